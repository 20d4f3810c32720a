/* math/linear.c: dense products, eigenvalues and singular values; positive definite systems are cholesky.c.
 *
 * OpenBLAS and LAPACK want columns, Medley has rows. A row-major matrix is the column-major transpose, so every call is
 * turned round rather than the data: LAPACKE's own row-major mode would copy each matrix twice. The OpenMP build of
 * OpenBLAS runs on one thread inside a parallel region, so all of this may be called there.
 */
#include "math/linear.h"
#include "math/vector.h"

#include <assert.h>
#include <cblas.h>
#include <lapacke.h>
#include <limits.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/memory.h"

static size_t size_min(size_t a, size_t b) { return a < b ? a : b; }

/* One product as BLAS takes it: operands row-major, transposed or not, with the distance between rows. */
typedef struct product {
  CBLAS_TRANSPOSE transpose_a, transpose_b;
  size_t m, n, k, row_a, row_b, row_c;
  float alpha, beta;
  const float *a, *b;
  float *c;
} product;

#define TOGETHER_MIN ((size_t)1 << 18) /* multiplications; OpenBLAS, too, takes one thread for fewer */
#define STRIP_MIN 512                  /* rows or columns of a strip when there are more strips than threads */
#define STRIP_STEP 16

/* Strips a product is cut into, for threads that take one after the other. */
static size_t strips_of(const product *p) {
  size_t threads = omp_in_parallel() ? 1 : (size_t)omp_get_max_threads(), length = p->m > p->n ? p->m : p->n;
  if (threads == 1 || p->m * p->n < TOGETHER_MIN / p->k) return 1;
  size_t strips = size_min(4 * threads, length / STRIP_MIN / threads * threads);
  return size_min(strips > threads ? strips : threads, (length + STRIP_STEP - 1) / STRIP_STEP);
}

/* Rows (or columns, when they are more) from … end of the result. */
static void strip_multiply(const product *p, size_t from, size_t end) {
  bool rows = p->m >= p->n;
  const float *a = p->a, *b = p->b;
  if (rows) a += p->transpose_a == CblasTrans ? from : from * p->row_a;
  if (!rows) b += p->transpose_b == CblasTrans ? from * p->row_b : from;
  cblas_sgemm(CblasRowMajor, p->transpose_a, p->transpose_b, (int)(rows ? end - from : p->m),
              (int)(rows ? p->n : end - from), (int)p->k, p->alpha, a, (int)p->row_a, b, (int)p->row_b, p->beta,
              p->c + (rows ? from * p->row_c : from), (int)p->row_c);
}

/* OpenBLAS's own threads wait for each other's pieces by turning: on a machine that is busy, or with a test beside it,
 * each wait lasts until the system takes the processor away (ten times as long for all, with 0.3.29, which does not
 * even yield). Strips wait for nobody. */
static void multiply(const product *p) {
  size_t strips = strips_of(p), length = p->m >= p->n ? p->m : p->n;
  size_t steps = (length + STRIP_STEP - 1) / STRIP_STEP;
  if (strips == 1) {
    strip_multiply(p, 0, length);
    return;
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (size_t s = 0; s < strips; s++)
    strip_multiply(p, steps * s / strips * STRIP_STEP, size_min(steps * (s + 1) / strips * STRIP_STEP, length));
}

void matrix_multiply_strided(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                             const float *a, size_t row_a, const float *b, size_t row_b, float beta, float *c,
                             size_t row_c) {
  assert(m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && row_a <= INT_MAX && row_b <= INT_MAX && row_c <= INT_MAX);
  if (m == 0 || n == 0) return;
  if (k == 0) { /* BLAS refuses a leading dimension of 0 */
    for (size_t i = 0; i < m; i++)
      for (size_t j = 0; j < n; j++) c[i * row_c + j] = beta == 0 ? 0 : c[i * row_c + j] * beta;
    return;
  }
  multiply(&(product){transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans, m, n, k, row_a,
                      row_b, row_c, alpha, beta, a, b, c});
}

void matrix_multiply(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha, const float *a,
                     const float *b, float beta, float *c) {
  matrix_multiply_strided(transpose_a, transpose_b, m, n, k, alpha, a, transpose_a ? m : k, b, transpose_b ? k : n,
                          beta, c, n);
}

void matrix_multiply_rows(size_t m, size_t n, size_t k, const float *a, const float *b, size_t b_stride, float *c) {
  assert(m <= INT_MAX && n <= INT_MAX && k > 0 && k <= b_stride && b_stride <= INT_MAX);
  if (m == 0 || n == 0) return;
  multiply(&(product){CblasNoTrans, CblasTrans, m, n, k, k, b_stride, n, 1, 0, a, b, c});
}

void matrix_mirror_upper(float *c, size_t n) {
  enum { TILE = 32 };
#pragma omp parallel for schedule(dynamic, 4) if (n > 256)
  for (size_t row = 0; row < n; row += TILE)
    for (size_t column = 0; column <= row; column += TILE)
      for (size_t r = row; r < row + TILE && r < n; r++)
        for (size_t k = column; k < column + TILE && k < r; k++) c[r * n + k] = c[k * n + r];
}

void matrix_times_vector(size_t rows, size_t dim, const float *a, const float *x, float *y) {
  for (size_t r = 0; r < rows; r++) y[r] = vector_dot(a + r * dim, x, dim);
}

/* Rows from … end of the upper triangle of c = alpha aᵀ a + beta c. */
static void gram_strip(size_t m, size_t n, float alpha, const float *a, float beta, float *c, size_t from, size_t end) {
  int row = (int)n, wide = (int)(end - from);
  c += from * n;
  cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, wide, (int)m, alpha, a + from, row, beta, c + from, row);
  if (end == n) return;
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, wide, (int)(n - end), (int)m, alpha, a + from, row, a + end, row,
              beta, c + end, row);
}

void matrix_gram(size_t m, size_t n, float alpha, const float *a, float beta, float *c) {
  assert(m <= INT_MAX && n <= INT_MAX);
  if (n == 0) return;
  size_t strips = m == 0 ? 1 : strips_of(&(product){.m = n, .n = n, .k = m});
  if (strips == 1) {
    gram_strip(m, n, alpha, a, beta, c, 0, n);
  } else {
    size_t wide = (n + 2 * strips - 1) / (2 * strips); /* twice as many: the first are the longest */
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t from = 0; from < n; from += wide) gram_strip(m, n, alpha, a, beta, c, from, size_min(from + wide, n));
  }
  matrix_mirror_upper(c, n);
}

/* ---- what LAPACK says ---- */

static medley_status size_check(size_t a, size_t b, medley_error *err) {
  if (a <= INT_MAX && b <= INT_MAX && (b == 0 || a <= SIZE_MAX / b / sizeof(float))) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_LIMIT, "a matrix of %zu x %zu is larger than LAPACK can take (%d rows or columns)",
                   a, b, INT_MAX);
}

#define NOT_A_NUMBER "a matrix of order %zu holds a value that is not a number"

/* LAPACK's info: 0 good; below 0 an argument, which for us means a NaN in the matrix (LAPACKE looks for them); above 0
 * the reason. */
static medley_status info_check(lapack_int info, const char *reason, size_t n, medley_error *err) {
  if (info == 0) return MEDLEY_OK;
  if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
    return error_memory(err, "a matrix decomposition");
  if (info < 0) return error_set(err, MEDLEY_ERR_INPUT, NOT_A_NUMBER, n);
  return error_set(err, MEDLEY_ERR_INPUT, "%s (order %zu, at %d)", reason, n, (int)info);
}

/* ---- eigenvalues, singular values ---- */

/* LAPACKE_ssyevd asks LAPACK for the size of the work space and gets it as a float, which above order 2895 may be
 * rounded down; the call then fails. So the size comes from the documentation of SSYEVD. */
#define EIGEN_ORDER_MAX 32000 /* the work space is counted in 32 bits */

static bool has_nan(const float *a, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (isnan(a[i])) return true;
  return false;
}

medley_status matrix_eigen_symmetric(float *a, size_t n, float *values, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *work = NULL;
  lapack_int *integers = NULL;
  if (n == 0) return MEDLEY_OK;
  TRY(size_check(n, n, err));
  if (n > EIGEN_ORDER_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "a matrix of order %zu is too large for its eigenvalues (at most %d)", n,
         EIGEN_ORDER_MAX);
  if (has_nan(a, n * n)) FAIL(err, MEDLEY_ERR_INPUT, NOT_A_NUMBER, n);
  size_t work_size = 1 + 6 * n + 2 * n * n, integers_size = 3 + 5 * n;
  TRY_NEW(work, work_size, "a matrix decomposition");
  TRY_NEW(integers, integers_size, "a matrix decomposition");
  lapack_int info = LAPACKE_ssyevd_work(LAPACK_COL_MAJOR, 'V', 'L', (lapack_int)n, a, (lapack_int)n, values, work,
                                        (lapack_int)work_size, integers, (lapack_int)integers_size);
  TRY(info_check(info, "the eigenvalues of a matrix did not converge", n, err));
done:
  mem_free(work);
  mem_free(integers);
  return status;
}

/* LAPACK sees aᵀ = v s uᵀ, whose left vectors in columns are the rows of vt, and whose right vectors in rows are the
 * columns of u. */
medley_status matrix_svd(float *a, size_t m, size_t n, float *u, float *s, float *vt, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t r = size_min(m, n);
  float *spare_u = NULL, *spare_vt = NULL;
  char job = u == NULL && vt == NULL ? 'N' : 'S';
  if (r == 0) return MEDLEY_OK;
  TRY(size_check(m, n, err));
  if (job == 'S' && u == NULL) TRY_NEW(spare_u, m * r, "singular vectors");
  if (job == 'S' && vt == NULL) TRY_NEW(spare_vt, r * n, "singular vectors");
  lapack_int info = LAPACKE_sgesdd(LAPACK_COL_MAJOR, job, (lapack_int)n, (lapack_int)m, a, (lapack_int)n, s,
                                   vt ? vt : spare_vt, (lapack_int)n, u ? u : spare_u, (lapack_int)r);
  TRY(info_check(info, "the singular values of a matrix did not converge", r, err));
done:
  mem_free(spare_u);
  mem_free(spare_vt);
  return status;
}
