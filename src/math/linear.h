/* math/linear.h: dense linear algebra over OpenBLAS and LAPACKE. Matrices are float32, row-major, [rows, columns],
 * without padding. Numerical failure (a matrix that is not positive definite, no convergence) is MEDLEY_ERR_INPUT with
 * a sentence. */
#ifndef MATH_LINEAR_H
#define MATH_LINEAR_H

#include "base/error.h"
#include "base/rng.h"
#include <stdbool.h>

#include "math/sparse.h"

/* c = alpha * op(a) op(b) + beta * c;  op(a) [m, k], op(b) [k, n], c [m, n]. */
void matrix_multiply(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha, const float *a,
                     const float *b, float beta, float *c);
/* c [m, n] = a bᵀ, a [m, k], b [n, k] with b_stride >= k floats from row to row. */
void matrix_multiply_rows(size_t m, size_t n, size_t k, const float *a, const float *b, size_t b_stride, float *c);
/* The same for blocks inside larger matrices: a row of a, b or c begins so many elements after the one before. */
void matrix_multiply_strided(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                             const float *a, size_t row_a, const float *b, size_t row_b, float beta, float *c,
                             size_t row_c);
/* y [rows] = a x, a [rows, dim]: one thread, for requests: waking others costs more than a few thousand rows take. */
void matrix_times_vector(size_t rows, size_t dim, const float *a, const float *x, float *y);
/* c [n, n] = alpha * aᵀ a + beta * c  (a [m, n]), both triangles filled (c symmetric before, unless beta is 0). */
void matrix_gram(size_t m, size_t n, float alpha, const float *a, float beta, float *c);
/* The lower triangle of c [n, n] becomes the mirror of the upper one. */
void matrix_mirror_upper(float *c, size_t n);

/* In place: a [n, n] symmetric positive definite → its inverse, both triangles. */
medley_status matrix_invert_spd(float *a, size_t n, medley_error *err) MEDLEY_CHECK;
/* Solves a x = b for b [n, columns] (row-major) in place; a is overwritten by its Cholesky factor. */
medley_status matrix_solve_spd(float *a, size_t n, float *b, size_t columns, medley_error *err) MEDLEY_CHECK;
/* The same for one small right side without LAPACK's overhead, any n up to a few hundred; safe inside OpenMP threads.
 * Only the upper triangle of a is read. */
medley_status matrix_solve_spd_small(float *a, size_t n, float *b, medley_error *err) MEDLEY_CHECK;
/* a [n, n] symmetric → eigenvalues ascending in values [n], eigenvectors in the rows of a. */
medley_status matrix_eigen_symmetric(float *a, size_t n, float *values, medley_error *err) MEDLEY_CHECK;
/* Thin SVD of a [m, n], r = min(m, n): u [m, r], s [r] descending, vt [r, n]; a is overwritten. u or vt may be NULL. */
medley_status matrix_svd(float *a, size_t m, size_t n, float *u, float *s, float *vt, medley_error *err) MEDLEY_CHECK;

/* In place: the columns of a [m, n] become orthonormal and span what they spanned; a column that depends on those
 * before it (as far as float32 can tell) becomes zero. */
medley_status matrix_orthonormalise(float *a, size_t m, size_t n, medley_error *err) MEDLEY_CHECK;

/* Truncated SVD by randomised subspace iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4) of a sparse or a dense
 * [rows, columns] matrix: u [rows, rank] (may be NULL), s [rank], v [columns, rank]. Vectors u of singular values that
 * are zero may be zero. rank is cut to min(rows, columns);
 * *rank_out is what came. iterations 0: 4. Deterministic for a given seed and thread count. */
medley_status sparse_svd(const sparse *a, size_t rank, int iterations, uint64_t seed, float *u, float *s, float *v,
                         size_t *rank_out, medley_error *err) MEDLEY_CHECK;
medley_status matrix_svd_truncated(const float *a, size_t rows, size_t columns, size_t rank, int iterations,
                                   uint64_t seed, float *u, float *s, float *v, size_t *rank_out,
                                   medley_error *err) MEDLEY_CHECK;

#endif
