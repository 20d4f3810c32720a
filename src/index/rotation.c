/* index/rotation.c: see index/rotation.h. */
#include "index/rotation.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"

/* Of subspace iteration: the directions need not be the very principal ones. */
#define PRINCIPAL_ITERATIONS 2
/* LAPACK on several threads sums in an order that depends on how many there are, and the index would differ with it.
 * OpenBLAS stays on one thread inside a parallel region; two threads are asked for, as a region of one does not count.
 */
#define ON_ONE_THREAD _Pragma("omp parallel num_threads(2)") _Pragma("omp single")

medley_status rotation_init(rotation *r, size_t dim, size_t out_dim, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *r = (rotation){.dim = dim, .out_dim = out_dim};
  TRY_NEW(r->mean, dim, "rotation");
  TRY_NEW(r->matrix, out_dim * dim, "rotation");
  TRY_NEW(r->shift, out_dim, "rotation");
done:
  if (status != MEDLEY_OK) rotation_deinit(r);
  return status;
}

void rotation_deinit(rotation *r) {
  mem_free(r->mean);
  mem_free(r->matrix);
  mem_free(r->shift);
  *r = (rotation){0};
}

void rotation_prepare(rotation *r) { matrix_times_vector(r->out_dim, r->dim, r->matrix, r->mean, r->shift); }

static void centre(rotation *r, float *x, size_t count) {
  for (size_t i = 0; i < count; i++) vector_add_scaled(r->mean, 1 / (float)count, x + i * r->dim, r->dim);
  for (size_t i = 0; i < count; i++) vector_add_scaled(x + i * r->dim, -1, r->mean, r->dim);
}

static medley_status principal(rotation *r, const float *x, size_t count, uint64_t seed, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *values = NULL, *directions = NULL;
  size_t rank;
  TRY_NEW(values, r->out_dim, "rotation");
  TRY_NEW(directions, r->dim * r->out_dim, "rotation");
  ON_ONE_THREAD
  status = matrix_svd_truncated(x, count, r->dim, r->out_dim, PRINCIPAL_ITERATIONS, seed, NULL, values, directions,
                                &rank, err);
  TRY(status);
  for (size_t o = 0; o < rank; o++)
    for (size_t d = 0; d < r->dim; d++) r->matrix[o * r->dim + d] = directions[d * rank + o];
done:
  mem_free(values);
  mem_free(directions);
  return status;
}

medley_status rotation_fit(rotation *r, float *x, size_t count, bool centred, uint64_t seed, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (centred) centre(r, x, count);
  if (r->out_dim < r->dim)
    TRY(principal(r, x, count, seed, err));
  else
    for (size_t d = 0; d < r->dim; d++) r->matrix[d * r->dim + d] = 1;
  rotation_prepare(r);
done:
  return status;
}

/* ---- allocation ---- */

/* The part with room whose variances multiply to the least so far. */
static size_t part_choose(const double *weight, const size_t *taken, size_t parts, size_t room) {
  size_t best = parts;
  for (size_t j = 0; j < parts; j++)
    if (taken[j] < room && (best == parts || weight[j] < weight[best])) best = j;
  return best;
}

/* variance [n] ascending, directions in the rows of `rows` [n, n]. Variances are counted from the least one that is no
 * rounding noise, so that each direction adds to its part and the parts fill evenly. */
static void deal(const float *variance, const float *rows, size_t n, size_t parts, double *weight, size_t *taken,
                 float *turn) {
  size_t room = n / parts;
  double least = fmax(variance[n - 1], 1e-30) * 1e-6;
  memset(weight, 0, parts * sizeof *weight);
  memset(taken, 0, parts * sizeof *taken);
  for (size_t i = n; i-- > 0;) {
    size_t part = part_choose(weight, taken, parts, room);
    memcpy(turn + (part * room + taken[part]) * n, rows + i * n, n * sizeof *turn);
    weight[part] += log(fmax(variance[i], least) / least);
    taken[part]++;
  }
}

medley_status rotation_allocate(const float *x, size_t count, size_t out_dim, size_t parts, float *turn,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *covariance = NULL, *variance = NULL;
  double *weight = NULL;
  size_t *taken = NULL;
  TRY_NEW(covariance, out_dim * out_dim, "rotation");
  TRY_NEW(variance, out_dim, "rotation");
  TRY_NEW(weight, parts, "rotation");
  TRY_NEW(taken, parts, "rotation");
  ON_ONE_THREAD {
    matrix_gram(count, out_dim, 1 / (float)count, x, 0, covariance);
    status = matrix_eigen_symmetric(covariance, out_dim, variance, err);
  }
  TRY(status);
  deal(variance, covariance, out_dim, parts, weight, taken, turn);
done:
  mem_free(covariance);
  mem_free(variance);
  mem_free(weight);
  mem_free(taken);
  return status;
}

medley_status rotation_turn(rotation *r, const float *turn, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *matrix = NULL;
  TRY_NEW(matrix, r->out_dim * r->dim, "rotation");
  matrix_multiply(false, false, r->out_dim, r->dim, r->out_dim, 1, turn, r->matrix, 0, matrix);
  mem_free(r->matrix);
  r->matrix = matrix;
  rotation_prepare(r);
done:
  return status;
}

/* ---- use ---- */

void rotation_apply(const rotation *r, const float *x, size_t count, float *out) {
  matrix_multiply(false, true, count, r->out_dim, r->dim, 1, x, r->matrix, 0, out);
  for (size_t i = 0; i < count; i++) vector_add_scaled(out + i * r->out_dim, -1, r->shift, r->out_dim);
}

void rotation_apply_one(const rotation *r, const float *x, float *out) {
  matrix_times_vector(r->out_dim, r->dim, r->matrix, x, out);
  vector_add_scaled(out, -1, r->shift, r->out_dim);
}
