/* math/sparse.h: sparse matrices in compressed rows (CSR), float32. */
#ifndef MATH_SPARSE_H
#define MATH_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Row r holds column[start[r] .. start[r+1]) ascending without repeats, and the values beside. Owned; deinit frees. */
typedef struct sparse {
  uint32_t rows, columns;
  uint64_t *start;  /* [rows + 1] */
  uint32_t *column; /* [start[rows]] */
  float *value;     /* [start[rows]] */
} sparse;

typedef struct sparse_entry {
  uint32_t row, column;
  float value;
} sparse_entry;

typedef enum sparse_duplicates { SPARSE_SUM, SPARSE_MAX, SPARSE_LAST } sparse_duplicates;

/* From entries in any order (they are not kept; sorted by counting, O(count + rows + columns)). An index out of range
 * is an error. */
medley_status sparse_from_entries(uint32_t rows, uint32_t columns, const sparse_entry *entries, size_t count,
                                  sparse_duplicates duplicates, sparse *out, medley_error *err) MEDLEY_CHECK;
/* Room for `count` entries, all zero; the caller fills start, column and value. */
medley_status sparse_create(uint32_t rows, uint32_t columns, uint64_t count, sparse *out,
                            medley_error *err) MEDLEY_CHECK;
medley_status sparse_copy(const sparse *a, sparse *out, medley_error *err) MEDLEY_CHECK;
medley_status sparse_transpose(const sparse *a, sparse *out, medley_error *err) MEDLEY_CHECK;
void sparse_deinit(sparse *a);
uint64_t sparse_count(const sparse *a);
bool sparse_has(const sparse *a, uint32_t row, uint32_t column); /* binary search */
/* Where row's first entry with a column >= `column` is, in [start[row], start[row + 1]]. */
uint64_t sparse_find(const sparse *a, uint32_t row, uint32_t column);

/* y [rows] = a x;  y [columns] = aᵀ x. */
void sparse_multiply_vector(const sparse *a, const float *x, float *y);
void sparse_transpose_multiply_vector(const sparse *a, const float *x, float *y);
/* y [rows, dim] = a x, x [columns, dim]; parallel over rows. */
void sparse_multiply_dense(const sparse *a, const float *x, size_t dim, float *y);
/* c [columns, columns] += aᵀ a, dense, both triangles, c symmetric before (zeros, a ridge); parallel. For EASE and
 * similarities. */
void sparse_gram(const sparse *a, float *c);
/* c = a b, sparse; at most row_limit greatest entries of each row are kept (0: all). Parallel over rows. */
medley_status sparse_multiply(const sparse *a, const sparse *b, size_t row_limit, sparse *out,
                              medley_error *err) MEDLEY_CHECK;
/* Sums of values (or counts) per row and per column; out [rows] or [columns], overwritten. */
void sparse_row_sums(const sparse *a, float *out);
void sparse_column_sums(const sparse *a, float *out);
void sparse_column_counts(const sparse *a, uint32_t *out);
/* value *= row_scale[row] * column_scale[column]; either may be NULL. */
void sparse_scale(sparse *a, const float *row_scale, const float *column_scale);

#endif
