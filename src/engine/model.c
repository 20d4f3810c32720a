/* engine/model.c: medley/model.h: what a checkpoint holds, what this build recognises, what a workspace has trained.
 *
 * An unknown architecture is a remark here and an error where somebody wants to run it: looking inside must work for
 * any sound file. */
#include <medley/model.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "engine/workspace.h"
#include "nn/architecture.h"

#define TOKENIZER_BYTES_MAX ((size_t)256 << 20)

/* ---- the architecture ---- */

static json_t *architecture_to_json(const model_architecture *a) {
  json_t *dimensions = json_object();
  for (size_t i = 0; i < a->count; i++)
    json_object_set_new(dimensions, a->dimensions[i].name, json_integer(a->dimensions[i].value));
  return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:o}", "name", a->kind->name, "modality", a->kind->modality, "summary",
                   a->kind->summary, "told_by", a->told_by, "layout", a->layout, "dimensions", dimensions);
}

/* *vocabulary: rows of the token embedding, 0 when unknown. */
static medley_status architecture_describe(const checkpoint *c, json_t *report, json_t *remarks, int64_t *vocabulary,
                                           medley_error *err) {
  model_architecture a;
  medley_error reason;
  medley_status status = architecture_recognise(c, &a, &reason);
  *vocabulary = 0;
  if (status == MEDLEY_ERR_UNSUPPORTED) {
    json_object_set_new(report, "architecture", json_null());
    json_array_append_new(remarks, json_string(reason.text));
    return MEDLEY_OK;
  }
  if (status != MEDLEY_OK) return error_set(err, status, "%s", reason.text);
  json_object_set_new(report, "architecture", architecture_to_json(&a));
  *vocabulary = architecture_dimension_get(&a, "vocabulary", 0);
  return MEDLEY_OK;
}

/* ---- tensors ---- */

static void dtypes_describe(const checkpoint *c, json_t *report, json_t *remarks) {
  struct {
    uint64_t tensors, values, bytes;
  } sums[DTYPE_COUNT] = {0};
  uint64_t parameters = 0, misaligned = 0;
  for (size_t i = 0; i < c->count; i++) {
    const tensor_view *view = &c->tensors[i];
    sums[view->dtype].tensors++;
    sums[view->dtype].values += view->count;
    sums[view->dtype].bytes += view->bytes;
    parameters += dtype_is_float(view->dtype) ? view->count : 0;
    misaligned += !tensor_view_is_aligned(view);
  }
  json_t *rows = json_array();
  for (int d = 0; d < DTYPE_COUNT; d++)
    if (sums[d].tensors > 0)
      json_array_append_new(rows, json_pack("{s:s, s:I, s:I, s:I}", "dtype", dtype_name((tensor_dtype)d), "tensors",
                                            (json_int_t)sums[d].tensors, "values", (json_int_t)sums[d].values,
                                            "size_bytes", (json_int_t)sums[d].bytes));
  json_object_set_new(report, "parameters", json_integer((json_int_t)parameters));
  json_object_set_new(report, "tensor_count", json_integer((json_int_t)c->count));
  json_object_set_new(report, "dtypes", rows);
  if (misaligned > 0)
    json_array_append_new(remarks, json_sprintf("%llu tensor%s not aligned to the dtype: read by copying",
                                                (unsigned long long)misaligned, misaligned == 1 ? " is" : "s are"));
}

static json_t *tensors_to_json(const checkpoint *c) {
  json_t *rows = json_array();
  for (size_t i = 0; i < c->count; i++) {
    const tensor_view *view = &c->tensors[i];
    json_t *shape = json_array();
    for (int d = 0; d < view->rank; d++) json_array_append_new(shape, json_integer((json_int_t)view->shape[d]));
    json_array_append_new(rows, json_pack("{s:s, s:s, s:o, s:I}", "name", view->name, "dtype", dtype_name(view->dtype),
                                          "shape", shape, "size_bytes", (json_int_t)view->bytes));
  }
  return rows;
}

static medley_status check_describe(const checkpoint *c, json_t *report, const medley_progress *progress,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t *bad = NULL, total = 0;
  json_t *rows = json_array();
  TRY_NEW(bad, c->count, "counts");
  TRY(checkpoint_count_bad(c, bad, progress, err));
  for (size_t i = 0; i < c->count; i++) {
    total += bad[i];
    if (bad[i] > 0)
      json_array_append_new(rows, json_pack("{s:s, s:I}", "name", c->tensors[i].name, "values", (json_int_t)bad[i]));
  }
  json_object_set_new(report, "bad_values", json_integer((json_int_t)total));
  json_object_set(report, "bad_tensors", rows);
done:
  json_decref(rows);
  mem_free(bad);
  return status;
}

/* ---- the tokenizer ---- */

static json_t *tokenizer_make(const char *kind, size_t tokens, const char *file) {
  return json_pack("{s:s, s:o, s:s}", "kind", kind, "tokens",
                   tokens > 0 ? json_integer((json_int_t)tokens) : json_null(), "file", file);
}

/* GGUF's names for the kinds of tokenizer. */
static const char *gguf_tokenizer_kind(const char *model) {
  static const struct {
    const char *model, *kind;
  } rows[] = {{"llama", "SentencePiece BPE"}, {"gpt2", "byte-level BPE"}, {"bert", "WordPiece"}, {"t5", "unigram"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strcmp(rows[i].model, model) == 0) return rows[i].kind;
  return model;
}

static medley_status gguf_tokenizer(const checkpoint *c, json_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  gguf_vocabulary v = {0};
  if (gguf_get_value(c->gguf, "tokenizer.ggml.tokens") == NULL) goto done;
  TRY(gguf_vocabulary_load(c->gguf, &v, err));
  *out = tokenizer_make(gguf_tokenizer_kind(v.model), v.count, path_name(c->path));
done:
  gguf_vocabulary_deinit(&v);
  return status;
}

static size_t members_count(const json_t *value) {
  return json_is_array(value) ? json_array_size(value) : json_object_size(value);
}

static size_t lines_count(const char *text, size_t length) {
  size_t lines = length > 0 && text[length - 1] != '\n';
  for (size_t i = 0; i < length; i++) lines += text[i] == '\n';
  return lines;
}

/* tokenizer.json names its model; vocab.txt is a line a token; vocab.json an object; the rest is not opened. */
static medley_status tokenizer_file(const char *file, const char *path, const char *kind, json_t **out,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *json = NULL;
  char *text = NULL;
  size_t length = 0, tokens = 0;
  if (string_ends(file, ".json")) {
    TRY(json_parse_file(path, TOKENIZER_BYTES_MAX, &json, err));
    /* In vocab.json "model" is a token like any other. */
    const json_t *model = kind == NULL ? json_object_get(json, "model") : NULL;
    const json_t *vocabulary = model ? json_object_get(model, "vocab") : json;
    if (kind == NULL) kind = json_member_string(model, "type", "unknown");
    tokens = members_count(vocabulary);
  } else if (string_ends(file, ".txt")) {
    TRY(file_read(path, TOKENIZER_BYTES_MAX, &text, &length, err));
    tokens = lines_count(text, length);
  }
  *out = tokenizer_make(kind, tokens, file);
done:
  json_decref(json);
  mem_free(text);
  return status;
}

static medley_status folder_tokenizer(const checkpoint *c, json_t **out, medley_error *err) {
  static const struct {
    const char *file, *kind; /* kind NULL: the file says it */
  } rows[] = {{"tokenizer.json", NULL},          {"vocab.txt", "WordPiece"},
              {"vocab.json", "byte-level BPE"},  {"sentencepiece.bpe.model", "SentencePiece"},
              {"spiece.model", "SentencePiece"}, {"tokenizer.model", "SentencePiece"}};
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < sizeof rows / sizeof *rows && *out == NULL; i++) {
    char *path = path_join(c->folder, rows[i].file);
    if (path == NULL) return error_memory(err, "a path");
    if (file_exists(path)) status = tokenizer_file(rows[i].file, path, rows[i].kind, out, err);
    mem_free(path);
    if (status != MEDLEY_OK) return status;
  }
  return status;
}

static medley_status tokenizer_describe(const checkpoint *c, json_t *report, json_t *remarks, int64_t vocabulary,
                                        medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *tokenizer = NULL;
  if (c->gguf != NULL) TRY(gguf_tokenizer(c, &tokenizer, err));
  if (c->gguf == NULL && c->folder != NULL) TRY(folder_tokenizer(c, &tokenizer, err));
  long long tokens = json_member_integer(tokenizer, "tokens", 0);
  if (vocabulary > 0 && tokens > vocabulary)
    json_array_append_new(remarks,
                          json_sprintf("%s has %lld tokens, the model only %lld embeddings",
                                       json_member_string(tokenizer, "file", ""), tokens, (long long)vocabulary));
  json_object_set_new(report, "tokenizer", tokenizer ? tokenizer : json_null());
done:
  return status;
}

/* ---- metadata ---- */

/* The shortest decimal that is this float32: 1e-05, where the double of it would read 9.9999997473787516e-06. */
static double float_shortest(double value) {
  char text[32];
  double shortest = value;
  for (int digits = 6; digits <= 9; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (string_to_double(text, &shortest) && (float)shortest == (float)value) return shortest;
  }
  return value;
}

static json_t *value_to_json(const gguf_value *value) {
  int64_t integer;
  double real = 0;
  if (value->type == GGUF_STRING) {
    json_t *text = json_stringn(value->text, strlen(value->text));
    return text ? text : json_string("(not UTF-8)");
  }
  if (value->type == GGUF_ARRAY)
    return json_sprintf("%llu × %s", (unsigned long long)value->count, gguf_type_name(value->element));
  if (value->type == GGUF_BOOL) return json_boolean(value->data[0] != 0);
  if (gguf_value_integer(value, &integer)) return json_integer(integer);
  json_t *number =
      gguf_value_number(value, &real) ? json_real(value->type == GGUF_F32 ? float_shortest(real) : real) : NULL;
  return number ? number : json_null(); /* JSON has no infinities */
}

static json_t *metadata_to_json(const checkpoint *c) {
  json_t *metadata = json_object();
  for (size_t i = 0; c->gguf != NULL && i < c->gguf->value_count; i++)
    json_object_set_new(metadata, c->gguf->values[i].key, value_to_json(&c->gguf->values[i]));
  if (c->gguf == NULL && c->shard_count > 0 && c->shards[0].metadata != NULL)
    json_object_update(metadata, c->shards[0].metadata);
  return metadata;
}

/* ---- describing ---- */

static json_int_t files_bytes(const checkpoint *c) {
  uint64_t total = c->gguf ? c->gguf->map.length : 0;
  for (size_t i = 0; i < c->shard_count; i++) total += c->shards[i].map.length;
  return (json_int_t)total;
}

static medley_status report_take(json_t *report, char **json, medley_error *err) {
  *json = json_to_text(report);
  return *json ? MEDLEY_OK : error_memory(err, "a report");
}

medley_status medley_model_describe(const char *path, const medley_model_options *options,
                                    const medley_progress *progress, char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  checkpoint c = {0};
  json_t *report = json_object(), *remarks = json_array();
  int64_t vocabulary = 0;
  *json = NULL;
  TRY(checkpoint_open(&c, path, err));
  json_object_set_new(report, "file", json_string(c.path));
  json_object_set_new(report, "format", json_string(checkpoint_format(&c)));
  json_object_set_new(report, "size_bytes", json_integer(files_bytes(&c)));
  TRY(architecture_describe(&c, report, remarks, &vocabulary, err));
  dtypes_describe(&c, report, remarks);
  TRY(tokenizer_describe(&c, report, remarks, vocabulary, err));
  json_object_set_new(report, "metadata", metadata_to_json(&c));
  if (options != NULL && options->check) TRY(check_describe(&c, report, progress, err));
  if (options != NULL && options->tensors) json_object_set_new(report, "tensors", tensors_to_json(&c));
  json_object_set(report, "remarks", remarks);
  TRY(report_take(report, json, err));
done:
  json_decref(remarks);
  json_decref(report);
  checkpoint_close(&c);
  return status;
}

/* ---- listing ---- */

static json_t *architectures_to_json(void) {
  json_t *rows = json_array();
  for (const architecture_kind *const *k = architecture_kinds; *k != NULL; k++) {
    json_t *types = json_array();
    for (const char *const *type = (*k)->model_types; *type != NULL; type++)
      json_array_append_new(types, json_string(*type));
    json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:o}", "name", (*k)->name, "modality", (*k)->modality,
                                          "summary", (*k)->summary, "model_types", types));
  }
  return rows;
}

/* Each name once, of rows without a weight or with one. */
static json_t *names_of(const json_t *rows, const char *key) {
  json_t *names = json_object(), *list = json_array(), *row;
  size_t i;
  json_array_foreach(rows, i, row) {
    const char *name = json_member_string(row, key, NULL);
    bool idle = json_member_number(row, "weight_warm", 1) == 0 && json_member_number(row, "weight_cold", 1) == 0 &&
                json_member_number(row, "weight_stranger", 0) == 0;
    if (name == NULL || idle || json_object_get(names, name) != NULL) continue;
    json_object_set_new(names, name, json_true());
    json_array_append_new(list, json_string(name));
  }
  json_decref(names);
  return list;
}

static medley_status file_add(const char *folder, const char *name, json_int_t *values, json_int_t *bytes,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  safetensors file = {0};
  char *path = path_join(folder, name);
  if (path == NULL) return error_memory(err, "a path");
  TRY(safetensors_open(&file, path, err));
  for (size_t i = 0; i < file.count; i++)
    *values += dtype_is_float(file.tensors[i].dtype) ? (json_int_t)file.tensors[i].count : 0;
  *bytes += (json_int_t)file.map.length;
done:
  safetensors_close(&file);
  mem_free(path);
  return status;
}

static medley_status generation_describe(const char *folder, long long number, bool serves, json_t *rows,
                                         medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *manifest = NULL;
  json_int_t values = 0, bytes = 0;
  char *path = path_join(folder, "manifest.json");
  if (path == NULL) return error_memory(err, "a path");
  TRY(json_parse_file(path, CHECKPOINT_CONFIG_BYTES_MAX, &manifest, err));
  TRY(file_add(folder, "content.safetensors", &values, &bytes, err));
  TRY(file_add(folder, "models.safetensors", &values, &bytes, err));
  const json_t *report = json_object_get(manifest, "report"), *fit = json_object_get(report, "fit");
  json_array_append_new(rows, json_pack("{s:I, s:b, s:s, s:I, s:o, s:o, s:I, s:I}", "generation", (json_int_t)number,
                                        "serves", (int)serves, "made", json_member_string(manifest, "made", ""),
                                        "items", (json_int_t)json_member_integer(manifest, "items", 0), "recommenders",
                                        names_of(json_object_get(fit, "models"), "model"), "encoders",
                                        names_of(json_object_get(report, "content"), "encoder"), "parameters", values,
                                        "size_bytes", bytes));
done:
  json_decref(manifest);
  mem_free(path);
  return status;
}

static int number_compare(const void *a, const void *b) {
  long long x = *(const long long *)a, y = *(const long long *)b;
  return (x > y) - (x < y);
}

/* Folders named by a number, in the order of their numbers; others are being written or were left by a kill. */
static medley_status generations_to_json(medley_workspace *w, json_t *rows, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char **names = NULL, *models = workspace_path(w, "models"), name[32];
  long long *numbers = NULL;
  size_t count = 0, found = 0;
  int64_t current = 0;
  if (models == NULL) return error_memory(err, "a path");
  if (!file_is_folder(models)) goto done;
  TRY(generation_current(w->path, &current, err));
  TRY(folder_list(models, &names, &count, err));
  TRY_NEW(numbers, count, "generations");
  for (size_t i = 0; i < count; i++)
    if (string_to_int64(names[i], &numbers[found]) && numbers[found] > 0) found++;
  qsort(numbers, found, sizeof *numbers, number_compare);
  for (size_t i = 0; i < found; i++) {
    snprintf(name, sizeof name, "%lld", numbers[i]);
    char *folder = path_join(models, name);
    status = folder ? generation_describe(folder, numbers[i], numbers[i] == current, rows, err)
                    : error_memory(err, "a path");
    mem_free(folder);
    if (status != MEDLEY_OK) goto done;
  }
done:
  folder_list_free(names, count);
  mem_free(numbers);
  mem_free(models);
  return status;
}

medley_status medley_model_list(medley_workspace *workspace, char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *report = json_object(), *rows = workspace ? json_array() : architectures_to_json();
  *json = NULL;
  json_object_set_new(report, workspace ? "generations" : "architectures", rows);
  if (workspace != NULL) TRY(generations_to_json(workspace, rows, err));
  TRY(report_take(report, json, err));
done:
  json_decref(report);
  return status;
}
