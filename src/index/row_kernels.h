/* index/row_kernels.h: how a row is laid out in each storage, and the scores over it.
 *
 *   f32    dim floats
 *   f16    dim IEEE halves
 *   int8   dim codes in -127 … 127, padding to 4 bytes, then row_int8_tail
 *
 * An int8 row stands for scale * code; scale is the greatest absolute value / 127, corrected for the cosine so that the
 * decoded row has length 1 (rounding makes it a little longer or shorter, and all scores of the row with it).
 */
#ifndef INDEX_ROW_KERNELS_H
#define INDEX_ROW_KERNELS_H

#include "index/rows.h"

typedef struct row_int8_tail {
  float scale;
  float square; /* |row|² as decoded */
  int32_t sum;  /* of the codes: products with queries are off by a multiple of it (math/int8_products.h) */
} row_int8_tail;

size_t row_bytes(row_storage storage, size_t dim);
/* unit: brought to length 1 first (a zero vector stays zero). */
void row_encode(row_storage storage, const float *vector, size_t dim, bool unit, void *row);
void row_decode(row_storage storage, const void *row, size_t dim, float *out);
/* Fills code, scale and square from q->vector; code_space has room for padded row_bytes. unit: for the cosine, a code
 * of length 1. */
void row_query_encode(row_query *q, row_storage storage, size_t dim, bool unit, void *code_space);
/* The same for the query that a stored row is; a row of floats is borrowed. q->vector has room for f16 rows. */
void row_query_encode_row(row_query *q, row_storage storage, const void *row, size_t dim, void *code_space);

/* A row has the very same score from each at one level. */
typedef struct row_kernels {
  row_score one;
  row_score4 four;
  row_score stream;
} row_kernels;

typedef enum row_level { ROW_BASELINE, ROW_AVX2, ROW_AVX512, ROW_VNNI, ROW_LEVEL_COUNT } row_level;

/* The kernels of one level, NULL when the machine lacks it or it has none of its own; for tests. */
const row_kernels *row_kernels_at(row_level level, row_storage storage, bool l2);
/* The best that the machine has. */
const row_kernels *row_kernels_choose(row_storage storage, bool l2);

#endif
