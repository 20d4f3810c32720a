/* Any bytes as model.safetensors.index.json: refused, or every tensor has a file with a harmless name. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "nn/shard_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  shard_index index;
  if (shard_index_parse(&index, (const char *)data, size, "fuzz", NULL) != MEDLEY_OK) return 0;
  const char *name;
  int64_t file;
  for (size_t cursor = 0; strmap_next(&index.file_of, &cursor, &name, &file);) {
    assert(file >= 0 && (size_t)file < index.file_count);
    assert(strchr(index.files[file], '/') == NULL && index.files[file][0] != '.');
  }
  shard_index_deinit(&index);
  return 0;
}
