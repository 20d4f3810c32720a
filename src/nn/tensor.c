/* nn/tensor.c: see nn/tensor.h. */
#include "nn/tensor.h"

#include <assert.h>
#include <stdio.h>

bool shape_count(int rank, const size_t *shape, size_t *count) {
  size_t product = 1;
  for (int d = 0; d < rank; d++)
    if (__builtin_mul_overflow(product, shape[d], &product)) return false;
  *count = product;
  return product <= PTRDIFF_MAX / sizeof(double);
}

void tensor_init(tensor *x, tensor_dtype dtype, int rank, const size_t *shape, void *data) {
  assert(rank >= 0 && rank <= TENSOR_RANK_MAX);
  *x = (tensor){.dtype = dtype, .rank = rank, .data = data};
  bool fits = shape_count(rank, shape, &x->count);
  assert(fits);
  (void)fits;
  size_t step = 1;
  for (int d = rank - 1; d >= 0; d--) {
    x->shape[d] = shape[d];
    x->stride[d] = step;
    step *= shape[d];
  }
}

bool shape_equal(const tensor *a, const tensor *b) {
  if (a->rank != b->rank) return false;
  for (int d = 0; d < a->rank; d++)
    if (a->shape[d] != b->shape[d]) return false;
  return true;
}

bool tensor_is_contiguous(const tensor *x) {
  size_t step = 1;
  for (int d = x->rank - 1; d >= 0; d--) {
    if (x->shape[d] != 1 && x->stride[d] != step) return x->count == 0;
    step *= x->shape[d];
  }
  return true;
}

size_t tensor_width(const tensor *x) { return x->rank ? x->shape[x->rank - 1] : 1; }

size_t tensor_height(const tensor *x) {
  size_t rows = 1;
  for (int d = 0; d + 1 < x->rank; d++) rows *= x->shape[d];
  return rows;
}

const char *shape_text(int rank, const size_t *shape, char text[TENSOR_TEXT_MAX]) {
  int used = snprintf(text, TENSOR_TEXT_MAX, "[");
  for (int d = 0; d < rank && used < TENSOR_TEXT_MAX; d++)
    used += snprintf(text + used, (size_t)(TENSOR_TEXT_MAX - used), d ? ", %zu" : "%zu", shape[d]);
  if (used < TENSOR_TEXT_MAX) snprintf(text + used, (size_t)(TENSOR_TEXT_MAX - used), "]");
  return text;
}

const char *tensor_text(const tensor *x, char text[TENSOR_TEXT_MAX]) { return shape_text(x->rank, x->shape, text); }
