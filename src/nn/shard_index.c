/* nn/shard_index.c: see nn/shard_index.h. */
#include "nn/shard_index.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/strbuf.h"

static bool is_plain_name(const char *file) {
  return strchr(file, '/') == NULL && file[0] != '.' && string_ends(file, ".safetensors");
}

/* *number of the file; new ones are added. Models have a few files and many tensors, so the last one is tried first. */
static medley_status file_number(shard_index *s, const char *file, const char *name, int64_t *number,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = s->file_count; i > 0; i--)
    if (strcmp(s->files[i - 1], file) == 0) {
      *number = (int64_t)i - 1;
      goto done;
    }
  if (!is_plain_name(file))
    FAIL(err, MEDLEY_ERR_INPUT, "%s: '%.200s' is not the name of a .safetensors file in the same folder", name, file);
  if (s->file_count == SHARD_INDEX_FILES_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "%s: more than %d files", name, SHARD_INDEX_FILES_MAX);
  TRY_GROW(s->files, s->file_capacity, s->file_count + 1, "shard names");
  s->files[s->file_count] = mem_strdup(file);
  if (s->files[s->file_count] == NULL) {
    status = error_memory(err, "shard names");
    goto done;
  }
  *number = (int64_t)s->file_count++;
done:
  return status;
}

medley_status shard_index_parse(shard_index *s, const char *text, size_t length, const char *name, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *json = NULL, *file;
  const char *tensor;
  *s = (shard_index){0};
  TRY(json_parse(text, length, name, &json, err));
  json_t *map = json_object_get(json, "weight_map");
  if (!json_is_object(map) || json_object_size(map) == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: 'weight_map' must be an object that names a file for each tensor", name);
  json_object_foreach(map, tensor, file) {
    int64_t number = 0;
    if (!json_is_string(file))
      FAIL(err, MEDLEY_ERR_INPUT, "%s: the file of tensor '%.200s' is not a string", name, tensor);
    TRY(file_number(s, json_string_value(file), name, &number, err));
    if (!strmap_put(&s->file_of, tensor, number)) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for '%s'", name);
  }
done:
  json_decref(json);
  if (status != MEDLEY_OK) shard_index_deinit(s);
  return status;
}

medley_status shard_index_load(shard_index *s, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *text = NULL;
  size_t length = 0;
  *s = (shard_index){0};
  TRY(file_read(path, SHARD_INDEX_BYTES_MAX, &text, &length, err));
  TRY(shard_index_parse(s, text, length, path, err));
done:
  mem_free(text);
  return status;
}

void shard_index_deinit(shard_index *s) {
  for (size_t i = 0; i < s->file_count; i++) mem_free(s->files[i]);
  mem_free(s->files);
  strmap_deinit(&s->file_of);
  *s = (shard_index){0};
}
