/* nn/tensor_view.h: a tensor as a file holds it: dtype, shape, where its bytes lie; and its rows as float32.
 *
 * Weights stay in the mapped file, in the dtype they were published in, and become float32 row by row when they are
 * wanted: a model of 8 GB is opened in the time it takes to read its header. Everything here is thread-safe.
 */
#ifndef NN_TENSOR_VIEW_H
#define NN_TENSOR_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TENSOR_VIEW_RANK_MAX 8

/* The first ten are one value each. The others are GGUF's blocks of 32 or 256 values with a common scale
 * (docs/models.md draws them). */
typedef enum tensor_dtype {
  DTYPE_F64,
  DTYPE_F32,
  DTYPE_F16,
  DTYPE_BF16,
  DTYPE_I64,
  DTYPE_I32,
  DTYPE_I16,
  DTYPE_I8,
  DTYPE_U8,
  DTYPE_BOOL,
  DTYPE_Q4_0,
  DTYPE_Q4_1,
  DTYPE_Q5_0,
  DTYPE_Q5_1,
  DTYPE_Q8_0,
  DTYPE_Q4_K,
  DTYPE_Q5_K,
  DTYPE_Q6_K,
  DTYPE_COUNT
} tensor_dtype;

const char *dtype_name(tensor_dtype dtype); /* "BF16" */
/* Values in a block (1 for plain dtypes) and the bytes of one. */
size_t dtype_block(tensor_dtype dtype);
size_t dtype_size(tensor_dtype dtype);
bool dtype_is_float(tensor_dtype dtype); /* F64 F32 F16 BF16 and the blocks: what weights are made of */
/* Bytes of `count` values; false when count is not whole blocks or the number overflows. */
bool dtype_bytes(tensor_dtype dtype, uint64_t count, uint64_t *bytes);
/* count values (whole blocks) at data, which need not be aligned, as out [count]. Integers beyond 2^24 and doubles are
 * rounded; BOOL becomes 0 or 1. */
void dtype_to_float(tensor_dtype dtype, const void *data, size_t count, float *out);

/* A tensor inside a mapped file, its shape in row-major order (the last one varies fastest). Borrowed from the reader.
 */
typedef struct tensor_view {
  const char *name;
  tensor_dtype dtype;
  int rank;
  uint64_t shape[TENSOR_VIEW_RANK_MAX];
  uint64_t count; /* values */
  uint64_t bytes; /* of data */
  const void *data;
} tensor_view;

/* A tensor of rank r is `rows` rows (the product of all sizes but the last) of `columns` values; a scalar is 1 × 1. */
uint64_t tensor_view_columns(const tensor_view *view);
uint64_t tensor_view_rows(const tensor_view *view);
/* Rows first … first + count - 1, which must be there, as out [count, columns]. */
void tensor_view_read_rows(const tensor_view *view, uint64_t first, uint64_t count, float *out);
/* Whether data may be used through a pointer to the dtype's C type. Not so in files whose writer did not pad the
 * header: those are read through tensor_view_read_rows, which copies. */
bool tensor_view_is_aligned(const tensor_view *view);
/* "[30522, 384]" into text. */
#define TENSOR_VIEW_SHAPE_TEXT_MAX (TENSOR_VIEW_RANK_MAX * 22 + 3)
void tensor_view_shape_text(const tensor_view *view, char text[TENSOR_VIEW_SHAPE_TEXT_MAX]);

#endif
