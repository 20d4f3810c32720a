/* Any bytes as an .npy file of vectors and of integers, and as the dictionary in its header. */
#include "base/memory.h"
#include "data/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void vectors_read(npy_reader *r, stream *in) {
  medley_error error;
  const float *values;
  if (npy_open(r, in, "fuzz", &error) == MEDLEY_OK) do
      if (npy_next(r, &values, &error) != MEDLEY_OK) break;
    while (values != NULL);
}

static void integers_read(npy_reader *r, stream *in) {
  medley_error error;
  uint64_t value;
  bool more;
  if (npy_open_integers(r, in, "fuzz", &error) == MEDLEY_OK) do
      if (npy_next_integer(r, &value, &more, &error) != MEDLEY_OK) break;
    while (more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  npy_reader r = {.name = "fuzz"};
  stream *in = NULL;
  medley_error error;
  char *header = mem_strndup((const char *)data, size);
  if (header != NULL) (void)!npy_header_parse(&r, header, &error);
  mem_free(header);
  for (int integers = 0; integers < 2; integers++) {
    if (stream_open_memory("fuzz", data, size, &in, &error) != MEDLEY_OK) return 0;
    (integers ? integers_read : vectors_read)(&r, in);
    npy_close(&r);
    stream_close(in);
  }
  return 0;
}
