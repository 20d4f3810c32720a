/* math/orthonormal.c: orthonormal columns by Cholesky factors of the Gram matrix, twice.
 *
 * Householder's method (sgelqf, sorglq) is the textbook way, but for tall matrices LAPACK spends its time in
 * matrix-vector products: on a 50,000 x 272 matrix this is several times faster, since all of it is matrix products.
 * One Cholesky pass loses as many digits as the columns are nearly dependent; the Gram matrix is therefore summed in
 * double, and a second pass mends what is left (CholeskyQR2: Yamamoto, Nakatsukasa, Yanagisawa & Fukaya 2015).
 */
#include <cblas.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/clones.h"
#include "math/linear.h"

enum { BLOCK_ROWS = 1024 };

/* A column of which less than this share is new is rounding noise in float32. */
static const double least_new = 1e-6;

/* Upper triangle of aᵀa in double; block [BLOCK_ROWS, n] is scratch. */
static void gram_in_double(const float *a, size_t m, size_t n, double *block, double *gram) {
  memset(gram, 0, n * n * sizeof *gram);
  for (size_t from = 0; from < m; from += BLOCK_ROWS) {
    size_t rows = m - from < BLOCK_ROWS ? m - from : BLOCK_ROWS;
    for (size_t i = 0; i < rows * n; i++) block[i] = a[from * n + i];
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)n, (int)rows, 1, block, (int)n, 1, gram, (int)n);
  }
}

/* gram = rᵀ r in place, r in the upper triangle. A dependent column gets the unit vector as its row and column of r,
 * and dependent[j]. */
static inline VECTOR_INLINE void gram_factor_body(double *gram, size_t n, double *diagonal, uint8_t *dependent) {
  for (size_t j = 0; j < n; j++) diagonal[j] = gram[j * n + j];
  for (size_t j = 0; j < n; j++) {
    double *row = gram + j * n;
    dependent[j] = !(row[j] > least_new * least_new * diagonal[j]);
    double scale = dependent[j] ? 0 : 1 / sqrt(row[j]);
    row[j] = dependent[j] ? 1 : row[j] * scale;
    for (size_t c = j + 1; c < n; c++) row[c] *= scale;
    for (size_t i = 0; dependent[j] && i < j; i++) gram[i * n + j] = 0;
    for (size_t i = j + 1; i < n && !dependent[j]; i++) {
      double *below = gram + i * n, factor = row[i];
      _Pragma("omp simd") for (size_t c = i; c < n; c++) below[c] -= factor * row[c];
    }
  }
}
VECTOR_CLONES(static, void, gram_factor, (double *gram, size_t n, double *diagonal, uint8_t *dependent),
              (gram, n, diagonal, dependent))

static void columns_clear(float *a, size_t m, size_t n, const uint8_t *dependent) {
  if (memchr(dependent, 1, n) == NULL) return;
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++)
      if (dependent[j]) a[i * n + j] = 0;
}

medley_status matrix_orthonormalise(float *a, size_t m, size_t n, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double *block = NULL, *gram = NULL, *diagonal = NULL;
  float *factor = NULL;
  uint8_t *dependent = NULL;
  if (m > INT_MAX || n > INT_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "a basis of %zu columns with %zu rows is larger than BLAS can take", n, m);
  TRY_NEW(block, BLOCK_ROWS * n, "an orthonormal basis");
  TRY_NEW(gram, n * n, "an orthonormal basis");
  TRY_NEW(diagonal, n, "an orthonormal basis");
  TRY_NEW(factor, n * n, "an orthonormal basis");
  TRY_NEW(dependent, n, "an orthonormal basis");
  for (int pass = 0; pass < 2 && n > 0; pass++) {
    gram_in_double(a, m, n, block, gram);
    for (size_t j = 0; j < n; j++)
      if (!isfinite(gram[j * n + j])) FAIL(err, MEDLEY_ERR_INPUT, "a matrix holds a value that is not a finite number");
    gram_factor(gram, n, diagonal, dependent);
    columns_clear(a, m, n, dependent);
    for (size_t i = 0; i < n * n; i++) factor[i] = (float)gram[i];
    cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, (int)m, (int)n, 1, factor, (int)n, a,
                (int)n);
  }
done:
  mem_free(block);
  mem_free(gram);
  mem_free(diagonal);
  mem_free(factor);
  mem_free(dependent);
  return status;
}
