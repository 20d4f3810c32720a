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

#endif
