/* nn/product.c: see nn/product.h. */
#include "nn/product.h"

#include "math/linear.h"

#ifdef NN_DOUBLE

static real *element(product_matrix a, size_t i, size_t j) {
  return a.data + (a.transposed ? j * a.row + i : i * a.row + j);
}

void product(size_t m, size_t n, size_t k, real alpha, product_matrix a, product_matrix b, real beta,
             product_matrix c) {
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
      real sum = 0, *to = element(c, i, j);
      for (size_t l = 0; l < k; l++) sum += *element(a, i, l) * *element(b, l, j);
      *to = alpha * sum + (beta == 0 ? 0 : beta * *to);
    }
}

#else

/* A result that lies transposed is the product of the transposes in the other order. */
void product(size_t m, size_t n, size_t k, real alpha, product_matrix a, product_matrix b, real beta,
             product_matrix c) {
  if (c.transposed)
    matrix_multiply_strided(!b.transposed, !a.transposed, n, m, k, alpha, b.data, b.row, a.data, a.row, beta, c.data,
                            c.row);
  else
    matrix_multiply_strided(a.transposed, b.transposed, m, n, k, alpha, a.data, a.row, b.data, b.row, beta, c.data,
                            c.row);
}

#endif
