/* nn/checkpoint.c: see nn/checkpoint.h.
 *
 * Both formats have checked themselves when they hand out tensors; what is checked here is what only the whole can
 * tell: that index and shards name the same tensors, that none comes twice, that a folder is not ambiguous. */
#include "nn/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/strbuf.h"
#include "nn/shard_index.h"

#define CHUNK_VALUES 4096 /* whole blocks of every dtype */
#define INDEX_NAME "model.safetensors.index.json"

/* ---- which file ---- */

static bool is_index(const char *path) { return string_ends(path, ".safetensors.index.json"); }

static medley_status path_try(const char *folder, const char *name, char **out, medley_error *err) {
  char *path = path_join(folder, name);
  if (path == NULL) return error_memory(err, "a path");
  if (file_exists(path))
    *out = path;
  else
    mem_free(path);
  return MEDLEY_OK;
}

/* The only file with this extension; *out stays NULL when there is none. */
static medley_status path_only(const char *folder, const char *extension, char **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char **names = NULL;
  const char *found = NULL;
  size_t count = 0;
  TRY(folder_list(folder, &names, &count, err));
  for (size_t i = 0; i < count; i++) {
    if (strcmp(path_extension(names[i]), extension) != 0) continue;
    if (found != NULL)
      FAIL(err, MEDLEY_ERR_USAGE, "%s holds several .%s files (%.100s, %.100s …); name one of them", folder, extension,
           found, names[i]);
    found = names[i];
  }
  if (found != NULL) TRY(path_try(folder, found, out, err));
done:
  folder_list_free(names, count);
  return status;
}

static medley_status folder_choose(const char *folder, char **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *pickle = NULL;
  TRY(path_try(folder, "model.safetensors", out, err));
  if (*out == NULL) TRY(path_try(folder, INDEX_NAME, out, err));
  if (*out == NULL) TRY(path_only(folder, "safetensors", out, err));
  if (*out == NULL) TRY(path_only(folder, "gguf", out, err));
  if (*out != NULL) goto done;
  TRY(path_try(folder, "pytorch_model.bin", &pickle, err));
  if (pickle != NULL)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED,
         "%s holds pytorch_model.bin, a Python pickle that can run code; take the model's .safetensors", folder);
  FAIL(err, MEDLEY_ERR_NOT_FOUND, "%s holds no model (model.safetensors, %s or a .gguf file)", folder, INDEX_NAME);
done:
  mem_free(pickle);
  return status;
}

/* Sets path and folder. A file with the published name is taken with what lies beside it. */
static medley_status place_find(checkpoint *c, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *name = path_name(path);
  bool folder = file_is_folder(path), published = strcmp(name, "model.safetensors") == 0 || is_index(name);
  if (folder) {
    TRY(folder_choose(path, &c->path, err));
    c->folder = mem_strdup(path);
  } else {
    c->path = mem_strdup(path);
    if (published) c->folder = name == path ? mem_strdup(".") : mem_strndup(path, (size_t)(name - path));
  }
  if (c->path == NULL || ((folder || published) && c->folder == NULL)) status = error_memory(err, path);
done:
  return status;
}

static medley_status config_load_beside(checkpoint *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *path = NULL;
  if (c->folder == NULL) goto done;
  TRY(path_try(c->folder, "config.json", &path, err));
  if (path == NULL) goto done;
  TRY(json_parse_file(path, CHECKPOINT_CONFIG_BYTES_MAX, &c->config, err));
  if (!json_is_object(c->config)) FAIL(err, MEDLEY_ERR_INPUT, "%s: not a JSON object", path);
done:
  mem_free(path);
  return status;
}

/* ---- opening ---- */

/* All tensors of the shard are in the index, under this file. */
static medley_status shard_check(const safetensors *shard, const shard_index *index, int64_t number, const char *path,
                                 medley_error *err) {
  for (size_t i = 0; i < shard->count; i++) {
    const char *name = shard->tensors[i].name;
    const int64_t *listed = strmap_get(&index->file_of, name);
    if (listed == NULL || *listed != number)
      return error_set(err, MEDLEY_ERR_INPUT, "%s: tensor '%s' of %s is %s%s", path, name, index->files[number],
                       listed ? "said to be in " : "not listed", listed ? index->files[*listed] : "");
  }
  return MEDLEY_OK;
}

static medley_status shards_open(checkpoint *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  shard_index index = {0};
  char *path = NULL;
  size_t held = 0;
  TRY(shard_index_load(&index, c->path, err));
  TRY_NEW(c->shards, index.file_count, "shards");
  for (size_t i = 0; i < index.file_count; i++) {
    mem_free(path);
    path = path_join(c->folder, index.files[i]);
    if (path == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a path");
    TRY(safetensors_open(&c->shards[i], path, err));
    c->shard_count++;
    TRY(shard_check(&c->shards[i], &index, (int64_t)i, c->path, err));
    held += c->shards[i].count;
  }
  const char *name;
  int64_t file;
  for (size_t cursor = 0; held < index.file_of.count && strmap_next(&index.file_of, &cursor, &name, &file);)
    if (safetensors_get(&c->shards[file], name) == NULL)
      FAIL(err, MEDLEY_ERR_INPUT, "%s: tensor '%s' is not in %s", c->path, name, index.files[file]);
done:
  mem_free(path);
  shard_index_deinit(&index);
  return status;
}

static medley_status gguf_checked_open(checkpoint *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(c->gguf, 1, "a GGUF file");
  TRY(gguf_open(c->gguf, c->path, err));
  int64_t parts = gguf_integer(c->gguf, "split.count", 1);
  if (parts > 1)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s is one of %" PRId64 " parts; join them first (llama-gguf-split --merge)",
         c->path, parts);
done:
  return status;
}

static medley_status file_is_gguf(const char *path, bool *is, medley_error *err) {
  file_map map = {0};
  medley_status status = file_map_open(&map, path, err);
  *is = status == MEDLEY_OK && map.length >= 4 && memcmp(map.bytes, "GGUF", 4) == 0;
  file_map_close(&map);
  return status;
}

static medley_status files_open(checkpoint *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool is_gguf;
  TRY(file_is_gguf(c->path, &is_gguf, err));
  if (is_gguf) {
    TRY(gguf_checked_open(c, err));
  } else if (is_index(c->path)) {
    TRY(shards_open(c, err));
  } else {
    TRY_NEW(c->shards, 1, "a file");
    TRY(safetensors_open(c->shards, c->path, err));
    c->shard_count = 1;
  }
done:
  return status;
}

static int view_compare(const void *a, const void *b) {
  return strverscmp(((const tensor_view *)a)->name, ((const tensor_view *)b)->name);
}

static medley_status tensors_collect(checkpoint *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t total = c->gguf ? c->gguf->count : 0;
  for (size_t i = 0; i < c->shard_count; i++) total += c->shards[i].count;
  TRY_NEW(c->tensors, total, "tensors");
  for (size_t i = 0; i < c->shard_count; i++)
    for (size_t t = 0; t < c->shards[i].count; t++) c->tensors[c->count++] = c->shards[i].tensors[t];
  for (size_t t = 0; c->gguf != NULL && t < c->gguf->count; t++) c->tensors[c->count++] = c->gguf->tensors[t];
  qsort(c->tensors, c->count, sizeof *c->tensors, view_compare);
  for (size_t i = 0; i < c->count; i++)
    if (!strmap_put(&c->names, c->tensors[i].name, (int64_t)i)) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for names");
done:
  return status;
}

medley_status checkpoint_open(checkpoint *c, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *c = (checkpoint){0};
  TRY(place_find(c, path, err));
  TRY(files_open(c, err));
  TRY(config_load_beside(c, err));
  TRY(tensors_collect(c, err));
done:
  if (status != MEDLEY_OK) checkpoint_close(c);
  return status;
}

void checkpoint_close(checkpoint *c) {
  for (size_t i = 0; i < c->shard_count; i++) safetensors_close(&c->shards[i]);
  if (c->gguf != NULL) gguf_close(c->gguf);
  mem_free(c->shards);
  mem_free(c->gguf);
  mem_free(c->tensors);
  mem_free(c->path);
  mem_free(c->folder);
  strmap_deinit(&c->names);
  json_decref(c->config);
  *c = (checkpoint){0};
}

/* ---- reading ---- */

const char *checkpoint_format(const checkpoint *c) {
  if (c->gguf != NULL) return "GGUF";
  return is_index(c->path) ? "sharded safetensors" : "safetensors";
}

const char *checkpoint_metadata(const checkpoint *c, const char *key) {
  if (c->gguf != NULL) return gguf_string(c->gguf, key, NULL);
  return c->shard_count > 0 ? json_member_string(c->shards[0].metadata, key, NULL) : NULL;
}

const tensor_view *checkpoint_get(const checkpoint *c, const char *name) {
  const int64_t *index = strmap_get(&c->names, name);
  return index ? &c->tensors[*index] : NULL;
}

static bool shape_fits(const tensor_view *view, int rank, const uint64_t *shape) {
  if (view->rank != rank) return false;
  for (int i = 0; i < rank; i++)
    if (shape[i] != 0 && shape[i] != view->shape[i]) return false;
  return true;
}

medley_status checkpoint_need(const checkpoint *c, const char *name, int rank, const uint64_t *shape,
                              const tensor_view **out, medley_error *err) {
  const tensor_view *view = checkpoint_get(c, name);
  if (view == NULL) return error_set(err, MEDLEY_ERR_INPUT, "%s: tensor '%s' is missing", c->path, name);
  if (!shape_fits(view, rank, shape)) {
    char found[TENSOR_VIEW_SHAPE_TEXT_MAX], wanted[TENSOR_VIEW_SHAPE_TEXT_MAX];
    tensor_view want = {.rank = rank};
    for (int i = 0; i < rank; i++) want.shape[i] = shape[i];
    tensor_view_shape_text(view, found);
    tensor_view_shape_text(&want, wanted);
    return error_set(err, MEDLEY_ERR_INPUT, "%s: tensor '%s' is %s, expected %s (0: any)", c->path, name, found,
                     wanted);
  }
  *out = view;
  return MEDLEY_OK;
}

medley_status checkpoint_copy_f32(const checkpoint *c, const char *name, int rank, const uint64_t *shape, float **out,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tensor_view *view;
  float *copy = NULL;
  TRY(checkpoint_need(c, name, rank, shape, &view, err));
  TRY_NEW(copy, view->count, name);
  tensor_view_read_rows(view, 0, tensor_view_rows(view), copy);
  for (uint64_t i = 0; i < view->count; i++)
    if (!isfinite(copy[i]))
      FAIL(err, MEDLEY_ERR_INPUT, "%s: value %" PRIu64 " of tensor '%s' is not a finite number", c->path, i, name);
  *out = copy;
  copy = NULL;
done:
  mem_free(copy);
  return status;
}

static uint64_t chunk_count_bad(const tensor_view *view, uint64_t first, uint64_t count, float *values) {
  uint64_t offset = 0, bad = 0;
  if (!dtype_bytes(view->dtype, first, &offset)) return 0; /* never: chunks are whole blocks */
  dtype_to_float(view->dtype, (const unsigned char *)view->data + offset, (size_t)count, values);
  for (uint64_t i = 0; i < count; i++) bad += !isfinite(values[i]);
  return bad;
}

medley_status checkpoint_count_bad(const checkpoint *c, uint64_t *bad, const medley_progress *progress,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  progress_stage stage;
  float values[CHUNK_VALUES];
  uint64_t total = 0, done = 0;
  for (size_t t = 0; t < c->count; t++) total += c->tensors[t].count;
  progress_begin(&stage, progress, "check weights", total);
  for (size_t t = 0; t < c->count; t++) {
    const tensor_view *view = &c->tensors[t];
    bad[t] = 0;
    for (uint64_t i = 0, now; dtype_is_float(view->dtype) && i < view->count; i += now) {
      now = view->count - i < CHUNK_VALUES ? view->count - i : CHUNK_VALUES;
      bad[t] += chunk_count_bad(view, i, now, values);
      TRY(progress_update(&stage, done + i + now, err));
    }
    done += view->count;
  }
  progress_end(&stage, done);
done:
  return status;
}
