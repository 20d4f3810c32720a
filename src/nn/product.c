/* nn/product.c: see nn/product.h. */
#include "nn/product.h"

#include <assert.h>
#include <string.h>

#include "math/linear.h"
#include "math/maps.h"

void product_pack(size_t n, size_t k, real alpha, product_matrix b, real *packed) {
  for (size_t first = 0; first < n; first += PRODUCT_LANES, packed += k * PRODUCT_LANES) {
    size_t count = n - first < PRODUCT_LANES ? n - first : PRODUCT_LANES;
    if (count < PRODUCT_LANES) memset(packed, 0, k * PRODUCT_LANES * sizeof *packed);
    if (!b.transposed) {
      for (size_t l = 0; l < k; l++)
        for (size_t j = 0; j < count; j++) packed[l * PRODUCT_LANES + j] = alpha * b.data[l * b.row + first + j];
      continue;
    }
    for (size_t j = 0; j < count; j++) {
      const real *column = b.data + (first + j) * b.row;
      for (size_t l = 0; l < k; l++) packed[l * PRODUCT_LANES + j] = alpha * column[l];
    }
  }
}

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

void product_by_packed(size_t m, size_t n, size_t k, const real *a, size_t a_row, const real *packed, bool add, real *c,
                       size_t c_row) {
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < product_packed_columns(n); j++) {
      const real *b = packed + j / PRODUCT_LANES * k * PRODUCT_LANES + j % PRODUCT_LANES;
      real sum = add ? c[i * c_row + j] : 0;
      for (size_t l = 0; l < k; l++) sum += a[i * a_row + l] * b[l * PRODUCT_LANES];
      c[i * c_row + j] = sum;
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

enum { PANELS = 8 };

void product_by_packed(size_t m, size_t n, size_t k, const real *a, size_t a_row, const real *packed, bool add, real *c,
                       size_t c_row) {
  static_assert(PRODUCT_LANES == MAPS_LANES, "one layout");
  static const float zeros[PANELS * PRODUCT_LANES];
  for (size_t panel = 0, panels = product_packed_columns(n) / PRODUCT_LANES; panel < panels; panel += PANELS) {
    float *y = c + panel * PRODUCT_LANES;
    maps_multiply(&(maps_product){.x = a,
                                  .x_step = a_row,
                                  .segments = 1,
                                  .depth = k,
                                  .weight = packed + panel * k * PRODUCT_LANES,
                                  .bias = zeros,
                                  .panels = panels - panel < PANELS ? panels - panel : PANELS,
                                  .pixels = m,
                                  .y = y,
                                  .y_step = c_row,
                                  .add = add ? y : NULL,
                                  .add_step = c_row,
                                  .low = -INFINITY,
                                  .high = INFINITY});
  }
}

#endif
