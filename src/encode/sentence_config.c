/* encode/sentence_config.c: see encode/sentence_config.h. */
#include "encode/sentence_config.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "math/vector.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define MODULES_MAX 8

/* A JSON file in the folder, or NULL when it is not there. */
static medley_status beside(const char *folder, const char *name, json_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *path = path_join(folder, name);
  *out = NULL;
  if (path == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a path");
  if (file_exists(path)) TRY(json_parse_file(path, FILE_BYTES_MAX, out, err));
done:
  mem_free(path);
  return status;
}

/* ---- pooling ---- */

static const struct {
  const char *flag, *name;
  pooling pooling;
} pooling_names[] = {
    {"pooling_mode_mean_tokens", "mean", POOLING_MEAN},
    {"pooling_mode_cls_token", "cls", POOLING_CLS},
    {"pooling_mode_max_tokens", "max", POOLING_MAX},
    {"pooling_mode_lasttoken", "lasttoken", POOLING_LAST},
};

static medley_status pooling_read(sentence_config *s, const json_t *config, const char *folder, const char *path,
                                  medley_error *err) {
  const char *mode = json_member_string(config, "pooling_mode", NULL), *key;
  json_t *value;
  int found = 0, set = 0;
  json_object_foreach((json_t *)config, key, value) set +=
      strncmp(key, "pooling_mode_", 13) == 0 && json_is_true(value);
  for (size_t i = 0; i < sizeof pooling_names / sizeof *pooling_names; i++)
    if (mode ? strcmp(mode, pooling_names[i].name) == 0
             : json_is_true(json_object_get(config, pooling_names[i].flag))) {
      s->pooling = pooling_names[i].pooling;
      found++;
    }
  if (found == 1 && set <= 1) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_UNSUPPORTED,
                   "%s/%s/config.json: the pooling is none of mean, cls, max and last token, or several of them",
                   folder, path);
}

/* ---- modules ---- */

static medley_status module_read(sentence_config *s, const char *folder, const json_t *module, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *config = NULL;
  char name[256];
  const char *type = json_member_string(module, "type", ""), *path = json_member_string(module, "path", "");
  const char *dot = strrchr(type, '.'), *last = dot ? dot + 1 : type;
  if (strcmp(last, "Normalize") == 0) s->unit = true;
  if (strcmp(last, "Normalize") == 0 || strcmp(last, "Transformer") == 0) return MEDLEY_OK;
  if (strcmp(last, "Pooling") != 0)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s/modules.json: module '%.100s' is none of Transformer, Pooling, Normalize",
         folder, type);
  if (path[0] == '\0' || strchr(path, '/') != NULL || strcmp(path, "..") == 0 || strlen(path) > 100)
    FAIL(err, MEDLEY_ERR_INPUT, "%s/modules.json: the path of '%.100s' is not a folder in this one", folder, type);
  snprintf(name, sizeof name, "%s/config.json", path);
  TRY(beside(folder, name, &config, err));
  if (!json_is_object(config)) FAIL(err, MEDLEY_ERR_INPUT, "%s/%s: is missing, or not an object", folder, name);
  TRY(pooling_read(s, config, folder, path, err));
done:
  json_decref(config);
  return status;
}

static medley_status modules_read(sentence_config *s, const char *folder, const json_t *modules, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (!json_is_array(modules) || json_array_size(modules) > MODULES_MAX)
    FAIL(err, MEDLEY_ERR_INPUT, "%s/modules.json: not a list of at most %d modules", folder, MODULES_MAX);
  for (size_t i = 0; i < json_array_size(modules); i++) TRY(module_read(s, folder, json_array_get(modules, i), err));
done:
  return status;
}

/* ---- lengths and prompts ---- */

static medley_status limits_read(sentence_config *s, const char *folder, const json_t *config, medley_error *err) {
  long long most = json_member_integer(config, "max_seq_length", 0);
  if (most < 0 || most == 1)
    return error_set(err, MEDLEY_ERR_INPUT, "%s/sentence_bert_config.json: max_seq_length is %lld", folder, most);
  s->tokens_max = (size_t)most;
  s->lower = json_is_true(json_object_get(config, "do_lower_case"));
  return MEDLEY_OK;
}

static medley_status prompt_read(sentence_config *s, const char *folder, const json_t *config, medley_error *err) {
  const char *name = json_member_string(config, "default_prompt_name", NULL);
  if (name == NULL) return MEDLEY_OK;
  const char *prompt = json_member_string(json_object_get(config, "prompts"), name, NULL);
  if (prompt == NULL)
    return error_set(err, MEDLEY_ERR_INPUT,
                     "%s/config_sentence_transformers.json: the default prompt '%.100s' is not among the prompts",
                     folder, name);
  if (*prompt == '\0') return MEDLEY_OK;
  s->prompt = mem_strdup(prompt);
  return s->prompt != NULL ? MEDLEY_OK : error_memory(err, "a prompt");
}

/* Each is read where it is there. */
static const struct {
  const char *name;
  medley_status (*read)(sentence_config *s, const char *folder, const json_t *file, medley_error *err);
} files[] = {{"modules.json", modules_read},
             {"sentence_bert_config.json", limits_read},
             {"config_sentence_transformers.json", prompt_read}};

static void gguf_read(sentence_config *s, const checkpoint *c) {
  char key[160];
  snprintf(key, sizeof key, "%.100s.pooling_type", gguf_string(c->gguf, "general.architecture", ""));
  int64_t type = gguf_integer(c->gguf, key, 1);
  s->pooling = type == 2 ? POOLING_CLS : type == 3 ? POOLING_LAST : POOLING_MEAN;
  s->unit = true; /* as llama.cpp gives embeddings out */
}

medley_status sentence_config_load(sentence_config *s, const checkpoint *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *file = NULL;
  *s = (sentence_config){0};
  if (c->gguf != NULL) gguf_read(s, c);
  if (c->folder == NULL || c->gguf != NULL) return MEDLEY_OK;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    json_decref(file);
    TRY(beside(c->folder, files[i].name, &file, err));
    if (file != NULL) TRY(files[i].read(s, c->folder, file, err));
  }
done:
  json_decref(file);
  if (status != MEDLEY_OK) sentence_config_deinit(s);
  return status;
}

void sentence_config_deinit(sentence_config *s) {
  mem_free(s->prompt);
  s->prompt = NULL;
}

void sentence_pool(const sentence_config *s, const float *rows, size_t count, size_t width, float *out) {
  const float *one = s->pooling == POOLING_LAST ? rows + (count - 1) * width : rows;
  memcpy(out, one, width * sizeof *out);
  for (size_t r = 1; s->pooling == POOLING_MEAN && r < count; r++) vector_add_scaled(out, 1, rows + r * width, width);
  if (s->pooling == POOLING_MEAN) vector_scale(out, 1 / (float)count, width);
  for (size_t r = 1; s->pooling == POOLING_MAX && r < count; r++)
    for (size_t i = 0; i < width; i++) out[i] = rows[r * width + i] > out[i] ? rows[r * width + i] : out[i];
  if (s->unit) vector_normalise(out, width);
}
