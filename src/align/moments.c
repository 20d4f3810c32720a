/* align/moments.c: means and covariances of pairs. */
#include <math.h>
#include <string.h>

#include "align/fits.h"
#include "base/memory.h"
#include "math/linear.h"

#define BLOCK 2048 /* rows centred at a time: a copy of the whole would double the memory of a large catalogue */
#define PARALLEL_WORK ((size_t)1 << 16) /* values; below, threads cost more than they save */

void pair_moments_deinit(pair_moments *m) {
  mem_free(m->x_mean);
  mem_free(m->y_mean);
  mem_free(m->xx);
  mem_free(m->yy);
  mem_free(m->xy);
  *m = (pair_moments){0};
}

medley_status check_side(const char *side, const float *rows, size_t count, size_t dim, medley_error *err) {
  if (dim == 0 || dim > ALIGNER_DIM_MAX)
    return error_set(err, MEDLEY_ERR_USAGE, "alignment: side %s has %zu dimensions, expected 1 to %d", side, dim,
                     ALIGNER_DIM_MAX);
  for (size_t i = 0; i < count * dim; i++)
    if (!isfinite(rows[i]))
      return error_set(err, MEDLEY_ERR_INPUT, "alignment: row %zu of side %s, value %zu is not a finite number",
                       i / dim, side, i % dim);
  return MEDLEY_OK;
}

static void column_means(const float *rows, size_t count, size_t dim, double *sum, float *mean) {
  memset(sum, 0, dim * sizeof *sum);
  for (size_t i = 0; i < count; i++)
    for (size_t d = 0; d < dim; d++) sum[d] += rows[i * dim + d];
  for (size_t d = 0; d < dim; d++) mean[d] = (float)(sum[d] / (double)count);
}

static void centre(const float *rows, size_t count, size_t dim, const float *mean, float *out) {
#pragma omp parallel for schedule(static) if (count * dim > PARALLEL_WORK)
  for (size_t i = 0; i < count; i++)
    for (size_t d = 0; d < dim; d++) out[i * dim + d] = rows[i * dim + d] - mean[d];
}

static float mean_diagonal(const float *a, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += a[i * n + i];
  return (float)(sum / (double)n);
}

static medley_status add_products(pair_moments *m, const aligner_pairs *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *x = NULL, *y = NULL, share = 1 / (float)p->count;
  TRY_NEW(x, BLOCK * m->x_dim, "centred rows");
  TRY_NEW(y, BLOCK * m->y_dim, "centred rows");
  for (size_t first = 0; first < p->count; first += BLOCK) {
    size_t rows = p->count - first < BLOCK ? p->count - first : BLOCK;
    centre(p->x + first * m->x_dim, rows, m->x_dim, m->x_mean, x);
    centre(p->y + first * m->y_dim, rows, m->y_dim, m->y_mean, y);
    matrix_gram(rows, m->x_dim, share, x, 1, m->xx);
    matrix_gram(rows, m->y_dim, share, y, 1, m->yy);
    matrix_multiply(true, false, m->x_dim, m->y_dim, rows, share, x, y, 1, m->xy);
  }
done:
  mem_free(x);
  mem_free(y);
  return status;
}

medley_status pair_moments_init(pair_moments *m, const aligner_pairs *pairs, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double *sum = NULL;
  *m = (pair_moments){.x_dim = pairs->x_dim, .y_dim = pairs->y_dim};
  if (pairs->count < 2) FAIL(err, MEDLEY_ERR_INPUT, "alignment needs at least 2 pairs, got %zu", pairs->count);
  TRY(check_side("x", pairs->x, pairs->count, pairs->x_dim, err));
  TRY(check_side("y", pairs->y, pairs->count, pairs->y_dim, err));
  TRY_NEW(m->x_mean, m->x_dim, "means");
  TRY_NEW(m->y_mean, m->y_dim, "means");
  TRY_NEW(m->xx, m->x_dim * m->x_dim, "covariances");
  TRY_NEW(m->yy, m->y_dim * m->y_dim, "covariances");
  TRY_NEW(m->xy, m->x_dim * m->y_dim, "covariances");
  TRY_NEW(sum, m->x_dim > m->y_dim ? m->x_dim : m->y_dim, "means");
  column_means(pairs->x, pairs->count, m->x_dim, sum, m->x_mean);
  column_means(pairs->y, pairs->count, m->y_dim, sum, m->y_mean);
  TRY(add_products(m, pairs, err));
  m->x_variance = mean_diagonal(m->xx, m->x_dim);
  m->y_variance = mean_diagonal(m->yy, m->y_dim);
  if (!(m->x_variance > 0) || !(m->y_variance > 0))
    FAIL(err, MEDLEY_ERR_INPUT, "alignment: all %zu rows of side %s are alike", pairs->count,
         m->x_variance > 0 ? "y" : "x");
done:
  mem_free(sum);
  if (status != MEDLEY_OK) pair_moments_deinit(m);
  return status;
}

medley_status ridge_added(const float *covariance, size_t n, float ridge, float **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(*out, n * n, "a covariance");
  memcpy(*out, covariance, n * n * sizeof **out);
  for (size_t i = 0; i < n; i++) (*out)[i * n + i] += ridge;
done:
  return status;
}
