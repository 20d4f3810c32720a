/* Any bytes as a GGUF file: refused, or its values, its vocabulary and every row of its tensors can be read. */
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "nn/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double sum_values(const gguf *g) {
  double sum = 0;
  for (size_t i = 0; i < g->value_count; i++) {
    const gguf_value *value = &g->values[i];
    sum += gguf_number(g, value->key, 0) + (double)gguf_integer(g, value->key, 0);
    bool numbers = value->type == GGUF_ARRAY && value->element != GGUF_STRING && value->element != GGUF_ARRAY;
    for (uint64_t e = 0; numbers && e < value->count; e++) sum += gguf_value_element(value, e);
  }
  return sum;
}

static double sum_vocabulary(const gguf *g) {
  double sum = 0;
  gguf_vocabulary v;
  if (gguf_vocabulary_load(g, &v, NULL) != MEDLEY_OK) return 0;
  for (size_t i = 0; i < v.count; i++)
    for (size_t b = 0; b < v.tokens[i].length; b++) sum += v.tokens[i].bytes[b];
  for (size_t i = 0; i < v.merge_count; i++)
    for (size_t b = 0; b < v.merges[i].length; b++) sum += v.merges[i].bytes[b];
  gguf_vocabulary_deinit(&v);
  return sum;
}

static double sum_tensors(const gguf *g) {
  double sum = 0;
  for (size_t i = 0; i < g->count; i++) {
    const tensor_view *view = &g->tensors[i];
    if (view->count == 0) continue; /* no rows, and columns as wide as the file likes to say */
    float *row = mem_alloc(tensor_view_columns(view), sizeof *row);
    for (uint64_t r = 0; row != NULL && r < tensor_view_rows(view); r++) {
      tensor_view_read_rows(view, r, 1, row);
      sum += (double)row[0];
    }
    mem_free(row);
  }
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned char *exact = mem_alloc(size, 1); /* its end is where the sanitizer looks */
  if (exact == NULL) return 0;
  if (size > 0) memcpy(exact, data, size);
  gguf g;
  double sum = 0;
  if (gguf_open_bytes(&g, exact, size, "fuzz", NULL) == MEDLEY_OK) {
    sum = sum_values(&g) + sum_vocabulary(&g) + sum_tensors(&g);
    gguf_close(&g);
  }
  mem_free(exact);
  return sum == 0x1p100;
}
