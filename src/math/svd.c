/* math/svd.c: the first singular vectors of a large matrix by randomised subspace iteration.
 *
 * Halko, Martinsson & Tropp, "Finding structure with randomness" (2011), algorithm 4.4 for the basis and 5.1 for the
 * values: a random subspace is drawn a few times through A and Aᵀ, orthonormalised each time, and the small matrix seen
 * from it is decomposed exactly. OVERSAMPLE more directions than asked for make the last ones trustworthy.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"

enum { OVERSAMPLE = 16, DEFAULT_ITERATIONS = 4 };

/* The two products are all the method needs to know of a matrix. Rows are the shorter side: a matrix that stands the
 * other way is looked at as its transpose, so that bases are orthonormalised on the short side only. */
typedef struct factored {
  size_t rows, columns;
  const float *dense; /* [rows, columns], or [columns, rows] when dense_turned; or NULL */
  bool dense_turned;
  const sparse *a, *turned; /* the sparse matrix and its transpose */
} factored;

/* y [rows, dim] = a x */
static void factored_apply(const factored *f, const float *x, size_t dim, float *y) {
  if (f->dense)
    matrix_multiply(f->dense_turned, false, f->rows, dim, f->columns, 1, f->dense, x, 0, y);
  else
    sparse_multiply_dense(f->a, x, dim, y);
}

/* x [columns, dim] = aᵀ y */
static void factored_apply_transposed(const factored *f, const float *y, size_t dim, float *x) {
  if (f->dense)
    matrix_multiply(!f->dense_turned, false, f->columns, dim, f->rows, 1, f->dense, y, 0, x);
  else
    sparse_multiply_dense(f->turned, y, dim, x);
}

/* An orthonormal basis y [rows, dim] of about the range of a; x [columns, dim] is scratch. Between Aᵀ and A nothing is
 * orthonormalised: with a vocabulary of 70,000 terms that was nine tenths of the time, and one step of A Aᵀ does not
 * flatten the spectrum beyond what float32 holds. */
static medley_status range_find(const factored *f, size_t dim, int iterations, uint64_t seed, float *x, float *y,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng random;
  rng_seed(&random, seed);
  for (size_t i = 0; i < f->rows * dim; i++) y[i] = (float)rng_normal(&random);
  for (int i = 0; i <= iterations; i++) {
    TRY(matrix_orthonormalise(y, f->rows, dim, err));
    factored_apply_transposed(f, y, dim, x);
    factored_apply(f, x, dim, y);
  }
  TRY(matrix_orthonormalise(y, f->rows, dim, err));
done:
  return status;
}

/* The thin SVD of x [n, dim], n >= dim: right [n, dim], values [dim], small [dim, dim] with x = right values small. The
 * long side is orthonormalised by products; LAPACK sees only the small triangle. */
static medley_status tall_svd(const float *x, size_t n, size_t dim, float *right, float *values, float *small,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *q = NULL, *r = NULL, *left = NULL;
  TRY_NEW(q, n * dim, "singular vectors");
  TRY_NEW(r, dim * dim, "singular vectors");
  TRY_NEW(left, dim * dim, "singular vectors");
  memcpy(q, x, n * dim * sizeof *q);
  TRY(matrix_orthonormalise(q, n, dim, err));
  matrix_multiply(true, false, dim, dim, n, 1, q, x, 0, r);
  TRY(matrix_svd(r, dim, dim, left, values, small, err));
  matrix_multiply(false, false, n, dim, dim, 1, q, left, 0, right);
done:
  mem_free(q);
  mem_free(r);
  mem_free(left);
  return status;
}

/* Columns [0, rank) of from [n, dim], each turned by its sign. */
static void columns_take(const float *from, size_t n, size_t dim, size_t rank, const float *sign, float *to) {
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < rank; k++) to[i * rank + k] = sign[k] * from[i * dim + k];
}

/* Singular vectors are known up to their sign; the entry of v with the greatest magnitude is made positive. */
static void signs_choose(const float *v, size_t n, size_t dim, float *sign) {
  for (size_t k = 0; k < dim; k++) {
    float greatest = 0;
    for (size_t i = 0; i < n; i++)
      if (fabsf(v[i * dim + k]) > fabsf(greatest)) greatest = v[i * dim + k];
    sign[k] = greatest < 0 ? -1 : 1;
  }
}

/* u [rows, rank] and v [columns, rank] of the short and the long side; either may be NULL. */
static medley_status factored_svd(const factored *f, size_t rank, int iterations, uint64_t seed, float *u, float *s,
                                  float *v, size_t *rank_out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t most = f->rows < f->columns ? f->rows : f->columns;
  if (rank > most) rank = most;
  size_t dim = most - rank < OVERSAMPLE ? most : rank + OVERSAMPLE;
  float *x = NULL, *y = NULL, *right = NULL, *small = NULL, *values = NULL, *sign = NULL, *left = NULL;
  TRY_NEW(x, f->columns * dim, "singular vectors");
  TRY_NEW(y, f->rows * dim, "singular vectors");
  TRY_NEW(right, f->columns * dim, "singular vectors");
  TRY_NEW(small, dim * dim, "singular vectors");
  TRY_NEW(values, dim, "singular values");
  TRY_NEW(sign, dim, "singular vectors");
  TRY(range_find(f, dim, iterations > 0 ? iterations : DEFAULT_ITERATIONS, seed, x, y, err));
  /* a ≈ y (yᵀ a), and (yᵀ a)ᵀ = x = right values small, so a ≈ (y smallᵀ) values rightᵀ. */
  factored_apply_transposed(f, y, dim, x);
  TRY(tall_svd(x, f->columns, dim, right, values, small, err));
  signs_choose(right, f->columns, dim, sign);
  if (v != NULL) columns_take(right, f->columns, dim, rank, sign, v);
  memcpy(s, values, rank * sizeof *s);
  if (u != NULL) {
    TRY_NEW(left, f->rows * dim, "singular vectors");
    matrix_multiply(false, true, f->rows, dim, dim, 1, y, small, 0, left);
    columns_take(left, f->rows, dim, rank, sign, u);
  }
  *rank_out = rank;
done:
  mem_free(x);
  mem_free(y);
  mem_free(right);
  mem_free(small);
  mem_free(values);
  mem_free(sign);
  mem_free(left);
  return status;
}

medley_status sparse_svd(const sparse *a, size_t rank, int iterations, uint64_t seed, float *u, float *s, float *v,
                         size_t *rank_out, medley_error *err) {
  sparse turned;
  medley_status status = sparse_transpose(a, &turned, err);
  if (status != MEDLEY_OK) return status;
  if (a->rows <= a->columns) {
    factored f = {.rows = a->rows, .columns = a->columns, .a = a, .turned = &turned};
    status = factored_svd(&f, rank, iterations, seed, u, s, v, rank_out, err);
  } else {
    factored f = {.rows = a->columns, .columns = a->rows, .a = &turned, .turned = a};
    status = factored_svd(&f, rank, iterations, seed, v, s, u, rank_out, err);
  }
  sparse_deinit(&turned);
  return status;
}

medley_status matrix_svd_truncated(const float *a, size_t rows, size_t columns, size_t rank, int iterations,
                                   uint64_t seed, float *u, float *s, float *v, size_t *rank_out, medley_error *err) {
  if (rows <= columns) {
    factored f = {.rows = rows, .columns = columns, .dense = a};
    return factored_svd(&f, rank, iterations, seed, u, s, v, rank_out, err);
  }
  factored f = {.rows = columns, .columns = rows, .dense = a, .dense_turned = true};
  return factored_svd(&f, rank, iterations, seed, v, s, u, rank_out, err);
}
