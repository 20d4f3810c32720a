/* Any bytes as an .npy file, and as the dictionary in its header. */
#include "base/memory.h"
#include "data/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  npy_reader r = {.name = "fuzz"};
  stream *in = NULL;
  medley_error error;
  char *header = mem_strndup((const char *)data, size);
  if (header != NULL) (void)!npy_header_parse(&r, header, &error);
  mem_free(header);
  if (stream_open_memory("fuzz", data, size, &in, &error) != MEDLEY_OK) return 0;
  const float *values;
  if (npy_open(&r, in, "fuzz", &error) == MEDLEY_OK) do
      if (npy_next(&r, &values, &error) != MEDLEY_OK) break;
    while (values != NULL);
  npy_close(&r);
  stream_close(in);
  return 0;
}
