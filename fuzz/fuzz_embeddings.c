/* Any bytes as the answer of an embeddings service: refused, or as many finite vectors as were asked for. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "encode/external.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  float *rows = NULL;
  strbuf reason = {0};
  if (size == 0) return 0;
  /* "1" asks for one vector of any length, "9" for nine; an upper bit for two dimensions. */
  size_t count = data[0] % 16, dim = data[0] & 128 ? 2 : 0;
  const char *body = (const char *)data + 1;
  count += count == 0;
  if (external_answer_read(body, size - 1, count, &dim, &rows, NULL) == MEDLEY_OK)
    for (size_t i = 0; i < count * dim; i++)
      if (!isfinite(rows[i])) abort();
  external_answer_reason(body, size - 1, &reason);
  if (reason.length > 256) abort();
  strbuf_deinit(&reason);
  mem_free(rows);
  return 0;
}
