/* math/cholesky.c: positive definite systems and inverses, by blocks.
 *
 * Blocked as in LAPACK (Golub & Van Loan, "Matrix computations", 4.2.9), but with blocks and strips handed to our own
 * threads: OpenBLAS's threaded spotrf and spotri wait for each other's pieces by turning, and are not faster on two
 * cores than on one (PERFORMANCE.md). Blocks have one size, so the result is the same for any number of threads.
 *
 * Letters: a = uᵀ u with u in the upper triangle, v = u⁻ᵀ in the lower one, a⁻¹ = vᵀ v.
 */
#include <cblas.h>
#include <lapacke.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/clones.h"
#include "math/linear.h"

#define BLOCK ((size_t)128)
#define ALONE ((size_t)256) /* of a lower order one thread is quicker than waking others */

static size_t size_min(size_t a, size_t b) { return a < b ? a : b; }

static const char not_definite[] = "a matrix that should be positive definite is not; add more regularisation";

static medley_status size_check(size_t a, size_t b, medley_error *err) {
  if (a <= INT_MAX && b <= INT_MAX && (b == 0 || a <= SIZE_MAX / b / sizeof(float))) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_LIMIT, "a matrix of %zu x %zu is larger than LAPACK can take (%d rows or columns)",
                   a, b, INT_MAX);
}

/* c [m, n] -= or = or += op(a) b, blocks of matrices with `row` elements a row. */
static void block_multiply(bool transpose, size_t m, size_t n, size_t k, float alpha, const float *a, size_t row_a,
                           const float *b, size_t row_b, float beta, float *c, size_t row_c) {
  if (m == 0 || n == 0 || k == 0) return;
  cblas_sgemm(CblasRowMajor, transpose ? CblasTrans : CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, alpha, a,
              (int)row_a, b, (int)row_b, beta, c, (int)row_c);
}

/* b [n, columns] := u⁻ᵀ b, or u⁻¹ b. */
static void block_solve(bool transpose, const float *u, size_t n, size_t row_u, float *b, size_t columns,
                        size_t row_b) {
  if (n == 0 || columns == 0) return;
  cblas_strsm(CblasRowMajor, CblasLeft, CblasUpper, transpose ? CblasTrans : CblasNoTrans, CblasNonUnit, (int)n,
              (int)columns, 1, u, (int)row_u, b, (int)row_b);
}

/* ---- the factor ---- */

/* What is left of rows from … end of the upper triangle, once `wide` rows at `at` are done. */
static void rows_update(float *a, size_t n, size_t at, size_t wide, size_t from, size_t end) {
  const float *panel = a + at * n;
  cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)(end - from), (int)wide, -1, panel + from, (int)n, 1,
              a + from * n + from, (int)n);
  block_multiply(true, end - from, n - end, wide, -1, panel + from, n, panel + end, n, 1, a + from * n + end, n);
}

/* Each returns 0, or the 1-based row at which a is not positive definite. A value that is no number ends on the
 * diagonal, which LAPACK need not notice. */
static size_t factor_diagonal(float *a, size_t n, size_t at, size_t wide) {
  /* The upper triangle of a row-major matrix is what a column-major reader calls the lower one. */
  lapack_int info = LAPACKE_spotrf_work(LAPACK_COL_MAJOR, 'L', (lapack_int)wide, a + at * n + at, (lapack_int)n);
  if (info > 0) return at + (size_t)info;
  for (size_t d = at; d < at + wide; d++)
    if (!(a[d * n + d] > 0)) return d + 1;
  return 0;
}

static size_t factor(float *a, size_t n) {
  size_t bad = 0;
#pragma omp parallel if (n > ALONE)
  for (size_t at = 0; at < n; at += BLOCK) {
    size_t wide = size_min(BLOCK, n - at), next = at + wide;
#pragma omp single
    bad = factor_diagonal(a, n, at, wide);
    if (bad != 0) break;
#pragma omp for schedule(dynamic, 1)
    for (size_t from = next; from < n; from += BLOCK)
      block_solve(true, a + at * n + at, wide, n, a + at * n + from, size_min(BLOCK, n - from), n);
#pragma omp for schedule(dynamic, 1)
    for (size_t from = next; from < n; from += BLOCK) rows_update(a, n, at, wide, from, size_min(from + BLOCK, n));
  }
  return bad;
}

static bool upper_has_nan(const float *a, size_t n) {
  for (size_t r = 0; r < n; r++)
    for (size_t c = r; c < n; c++)
      if (isnan(a[r * n + c])) return true;
  return false;
}

static medley_status cholesky(float *a, size_t n, medley_error *err) {
  size_t bad = factor(a, n);
  if (bad == 0) return MEDLEY_OK;
  if (upper_has_nan(a, n))
    return error_set(err, MEDLEY_ERR_INPUT, "a matrix of order %zu holds a value that is not a number", n);
  return error_set(err, MEDLEY_ERR_INPUT, "%s (order %zu, at %zu)", not_definite, n, bad);
}

medley_status matrix_solve_spd(float *a, size_t n, float *b, size_t columns, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (n == 0 || columns == 0) return MEDLEY_OK;
  TRY(size_check(n, n, err));
  TRY(size_check(n, columns, err));
  TRY(cholesky(a, n, err));
#pragma omp parallel for schedule(dynamic, 1) if (n > ALONE)
  for (size_t from = 0; from < columns; from += BLOCK) {
    size_t wide = size_min(BLOCK, columns - from);
    block_solve(true, a, n, n, b + from, wide, columns);
    block_solve(false, a, n, n, b + from, wide, columns);
  }
done:
  return status;
}

/* ---- the inverse ---- */

/* Columns at … at + wide of v: its block on the diagonal, where u still is, goes to `diagonal` [wide, wide]. */
static void inverse_columns(float *a, size_t n, size_t at, size_t wide, float *diagonal) {
  size_t next = at + wide;
  const float *u = a + at * n;
  memset(diagonal, 0, wide * wide * sizeof *diagonal);
  for (size_t d = 0; d < wide; d++) diagonal[d * wide + d] = 1;
  block_solve(true, u + at, wide, n, diagonal, wide, wide);
  block_multiply(true, n - next, wide, wide, -1, u + next, n, diagonal, wide, 0, a + next * n + at, n);
  block_solve(true, a + next * n + next, n - next, n, a + next * n + at, wide, n);
}

/* Columns at … at + wide of the upper triangle of vᵀ v, over u. */
static void square_columns(float *a, size_t n, size_t at, size_t wide, const float *diagonal) {
  size_t next = at + wide;
  const float *below = a + next * n;
  block_multiply(true, at, wide, wide, 1, a + at * n, n, diagonal, wide, 0, a + at, n);
  block_multiply(true, at, wide, n - next, 1, below, n, below + at, n, 1, a + at, n);
  block_multiply(true, wide, wide, wide, 1, diagonal, wide, diagonal, wide, 0, a + at * n + at, n);
  block_multiply(true, wide, wide, n - next, 1, below + at, n, below + at, n, 1, a + at * n + at, n);
}

medley_status matrix_invert_spd(float *a, size_t n, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *diagonal = NULL; /* [n / BLOCK] blocks */
  if (n == 0) return MEDLEY_OK;
  TRY(size_check(n, n, err));
  TRY_NEW(diagonal, (n + BLOCK - 1) / BLOCK * BLOCK * BLOCK, "a matrix decomposition");
  TRY(cholesky(a, n, err));
#pragma omp parallel if (n > ALONE)
  {
#pragma omp for schedule(dynamic, 1)
    for (size_t at = 0; at < n; at += BLOCK) inverse_columns(a, n, at, size_min(BLOCK, n - at), diagonal + at * BLOCK);
#pragma omp for schedule(dynamic, 1)
    for (size_t at = 0; at < n; at += BLOCK) square_columns(a, n, at, size_min(BLOCK, n - at), diagonal + at * BLOCK);
  }
  matrix_mirror_upper(a, n);
done:
  mem_free(diagonal);
  return status;
}

/* ---- small ones ---- */

/* Makes row j of the factor from what is left of it, and the j-th step of uᵀ y = b. False when the pivot is not
 * positive. */
static inline VECTOR_INLINE bool factor_row(float *row, size_t j, size_t n, float *b) {
  if (!(row[j] > 0) || isinf(row[j])) return false;
  float scale = 1 / sqrtf(row[j]);
  row[j] = scale; /* the reciprocal of the diagonal: only multiplied with from here on */
  b[j] *= scale;
  _Pragma("omp simd") for (size_t c = j + 1; c < n; c++) row[c] *= scale;
  return true;
}

/* u x = y, from the last row up. */
static inline VECTOR_INLINE void factor_solve_back(const float *a, size_t n, float *b) {
  for (size_t i = n; i-- > 0;) {
    const float *row = a + i * n;
    float sum = 0;
    _Pragma("omp simd reduction(+:sum)") for (size_t c = i + 1; c < n; c++) sum += row[c] * b[c];
    b[i] = (b[i] - sum) * row[i];
  }
}

/* Two rows of the factor at a time (right-looking Cholesky, a = uᵀ u with u in the upper triangle): their products
 * leave the rows below in one pass, contiguous and independent of one another. The version that sums row by row waits
 * for each sum and took three times as long. Returns 0, or the 1-based row at which a is not positive definite. */
static inline VECTOR_INLINE size_t solve_small_body(float *a, size_t n, float *b) {
  for (size_t j = 0; j < n; j += 2) {
    float *first = a + j * n, *second = first + n;
    if (!factor_row(first, j, n, b)) return j + 1;
    if (j + 1 == n) break;
    float across = first[j + 1];
    b[j + 1] -= across * b[j];
    _Pragma("omp simd") for (size_t c = j + 1; c < n; c++) second[c] -= across * first[c];
    if (!factor_row(second, j + 1, n, b)) return j + 2;
    for (size_t i = j + 2; i < n; i++) {
      float *row = a + i * n, f = first[i], g = second[i];
      b[i] -= f * b[j] + g * b[j + 1];
      _Pragma("omp simd") for (size_t c = i; c < n; c++) row[c] -= f * first[c] + g * second[c];
    }
  }
  factor_solve_back(a, n, b);
  return 0;
}
VECTOR_CLONES(static, size_t, solve_small, (float *a, size_t n, float *b), (a, n, b))

medley_status matrix_solve_spd_small(float *a, size_t n, float *b, medley_error *err) {
  size_t at = solve_small(a, n, b);
  return at == 0 ? MEDLEY_OK : error_set(err, MEDLEY_ERR_INPUT, "%s (order %zu, at %zu)", not_definite, n, at);
}
