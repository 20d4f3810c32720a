/* nn/product.h: matrix products of reals for ops: float32 by math/linear.h; double (tests only) by a plain loop. */
#ifndef NN_PRODUCT_H
#define NN_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/real.h"

/* A matrix where it lies: element (i, j) is data[i * row + j], or data[j * row + i] when it lies transposed. */
typedef struct product_matrix {
  real *data;
  bool transposed;
  size_t row;
} product_matrix;

/* c [m, n] = alpha * a [m, k] b [k, n] + beta * c. */
void product(size_t m, size_t n, size_t k, real alpha, product_matrix a, product_matrix b, real beta, product_matrix c);
/* The same matrix read the other way. */
static inline product_matrix product_transpose(product_matrix a) {
  return (product_matrix){a.data, !a.transposed, a.row};
}

/* A right operand that is laid out once and then multiplied often: panels of PRODUCT_LANES columns, [panels, k,
 * PRODUCT_LANES], zeros behind the last column (math/maps.h, which is faster than a BLAS that does so in each call). */
#define PRODUCT_LANES 16
static inline size_t product_packed_columns(size_t n) {
  return (n + PRODUCT_LANES - 1) / PRODUCT_LANES * PRODUCT_LANES;
}
/* packed [product_packed_columns(n) * k] = alpha * b [k, n] */
void product_pack(size_t n, size_t k, real alpha, product_matrix b, real *packed);
/* c [m, n] (+)= a [m, k] packed, rows of a and c that many elements apart; whole panels of c are written. */
void product_by_packed(size_t m, size_t n, size_t k, const real *a, size_t a_row, const real *packed, bool add, real *c,
                       size_t c_row);

#endif
