/* Any bytes as a safetensors file: refused or wholly readable. */
#include <stdint.h>

#include "base/memory.h"
#include "nn/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned char *aligned = mem_zalloc_aligned(size + 1, 1);
  if (aligned == NULL) return 0;
  for (size_t i = 0; i < size; i++) aligned[i] = data[i];
  safetensors s;
  unsigned sum = 0;
  if (safetensors_open_bytes(&s, aligned, size, "fuzz", NULL) == MEDLEY_OK) {
    for (size_t i = 0; i < s.count; i++)
      for (uint64_t b = 0; b < s.tensors[i].count * dtype_size(s.tensors[i].dtype); b++)
        sum += ((const unsigned char *)s.tensors[i].data)[b];
    safetensors_close(&s);
  }
  mem_free(aligned);
  return sum == 1u << 31;
}
