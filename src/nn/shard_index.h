/* nn/shard_index.h: model.safetensors.index.json, which says in which file of a sharded model each tensor lies:
 *
 *   {"metadata": {"total_size": 15}, "weight_map": {"a.weight": "model-00001-of-00002.safetensors", …}}
 *
 * total_size is not looked at: tools that merge or convert models leave the old number behind. What counts is that
 * files and map name the same tensors, which nn/checkpoint.c checks. */
#ifndef NN_SHARD_INDEX_H
#define NN_SHARD_INDEX_H

#include "base/error.h"
#include "base/map.h"

#define SHARD_INDEX_BYTES_MAX ((size_t)64 << 20)
#define SHARD_INDEX_FILES_MAX 1024

typedef struct shard_index {
  char **files; /* names in the index's own folder, each once */
  size_t file_count, file_capacity;
  strmap file_of; /* tensor → index into files */
} shard_index;

/* Refused unless every file is a plain name ending in .safetensors: an index must not lead out of its folder. `name` is
 * for sentences. */
medley_status shard_index_parse(shard_index *s, const char *text, size_t length, const char *name,
                                medley_error *err) MEDLEY_CHECK;
medley_status shard_index_load(shard_index *s, const char *path, medley_error *err) MEDLEY_CHECK;
void shard_index_deinit(shard_index *s); /* harmless on a zeroed one */

#endif
