/* encode/normaliser.c: the six normalisers. All share one form, so that applying, saving and loading are written once
 * and a fitted one is two or three small arrays. */
#include "encode/normaliser.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/strbuf.h"
#include "math/linear.h"
#include "math/vector.h"

/* Directions whose variance is below this share of the greatest are rounding noise of float32 sums. */
#define WHITEN_FLOOR 1e-5f
/* Values; below so many, threads cost more than they save, and much more on a busy machine. */
#define PARALLEL_WORK ((size_t)1 << 16)

void normaliser_deinit(normaliser *n) {
  mem_free(n->shift);
  mem_free(n->scale);
  mem_free(n->matrix);
  *n = (normaliser){0};
}

static medley_status check_rows(const float *x, size_t count, size_t dim, medley_error *err) {
  if (count == 0 || dim == 0 || dim > NORMALISER_DIM_MAX)
    return error_set(err, MEDLEY_ERR_INPUT,
                     "normaliser needs at least 1 training row of 1 to %d values, got %zu rows of %zu",
                     NORMALISER_DIM_MAX, count, dim);
  for (size_t i = 0; i < count; i++)
    for (size_t d = 0; d < dim; d++)
      if (!isfinite(x[i * dim + d]))
        return error_set(err, MEDLEY_ERR_INPUT, "training row %zu, value %zu is not a finite number", i, d);
  return MEDLEY_OK;
}

static medley_status normaliser_begin(const float *x, size_t count, size_t dim, bool scale, normaliser *out,
                                      medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (normaliser){.in_dim = dim, .out_dim = dim};
  TRY(check_rows(x, count, dim, err));
  TRY_NEW(out->shift, dim, "normaliser");
  if (scale) TRY_NEW(out->scale, dim, "normaliser");
done:
  if (status != MEDLEY_OK) normaliser_deinit(out);
  return status;
}

static float inverse_or_zero(double spread, double magnitude) {
  return spread > 1e-6 * magnitude && spread > 1e-30 ? (float)(1 / spread) : 0;
}

/* ---- one fit a kind ---- */

static medley_status fit_none(const float *x, size_t count, size_t dim, size_t dim_max, normaliser *out,
                              medley_error *err) {
  (void)dim_max;
  return normaliser_begin(x, count, dim, false, out, err);
}

static medley_status fit_l2(const float *x, size_t count, size_t dim, size_t dim_max, normaliser *out,
                            medley_error *err) {
  (void)dim_max;
  medley_status status = normaliser_begin(x, count, dim, false, out, err);
  out->unit = status == MEDLEY_OK;
  return status;
}

static medley_status fit_zscore(const float *x, size_t count, size_t dim, size_t dim_max, normaliser *out,
                                medley_error *err) {
  (void)dim_max;
  medley_status status = normaliser_begin(x, count, dim, true, out, err);
  if (status != MEDLEY_OK) return status;
#pragma omp parallel for schedule(static) if (count * dim > PARALLEL_WORK)
  for (size_t d = 0; d < dim; d++) {
    double mean = 0, square = 0;
    for (size_t i = 0; i < count; i++) mean += x[i * dim + d];
    mean /= (double)count;
    for (size_t i = 0; i < count; i++) square += (x[i * dim + d] - mean) * (x[i * dim + d] - mean);
    out->shift[d] = (float)mean;
    out->scale[d] = inverse_or_zero(sqrt(square / (double)count), fabs(mean));
  }
  return MEDLEY_OK;
}

static medley_status fit_minmax(const float *x, size_t count, size_t dim, size_t dim_max, normaliser *out,
                                medley_error *err) {
  (void)dim_max;
  medley_status status = normaliser_begin(x, count, dim, true, out, err);
  if (status != MEDLEY_OK) return status;
  for (size_t d = 0; d < dim; d++) {
    float low = x[d], high = x[d];
    for (size_t i = 1; i < count; i++) {
      low = fminf(low, x[i * dim + d]);
      high = fmaxf(high, x[i * dim + d]);
    }
    out->shift[d] = low;
    out->scale[d] = inverse_or_zero((double)high - low, fabs((double)low));
  }
  return MEDLEY_OK;
}

static int compare_floats(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Linear interpolation between order statistics (type 7 of Hyndman & Fan 1996, NumPy's default). */
static float sorted_quantile(const float *sorted, size_t count, double q) {
  double at = q * (double)(count - 1);
  size_t below = (size_t)at, above = below + 1 < count ? below + 1 : below;
  return (float)(sorted[below] + (at - (double)below) * ((double)sorted[above] - sorted[below]));
}

/* Median and interquartile range: a few broken pictures or very long texts do not move the scale. */
static medley_status fit_robust(const float *x, size_t count, size_t dim, size_t dim_max, normaliser *out,
                                medley_error *err) {
  (void)dim_max;
  float *columns = NULL;
  medley_status status = normaliser_begin(x, count, dim, true, out, err);
  if (status != MEDLEY_OK) return status;
  TRY_NEW(columns, count * dim, "columns of training rows");
#pragma omp parallel for schedule(dynamic, 16) if (count * dim > PARALLEL_WORK)
  for (size_t d = 0; d < dim; d++) {
    float *column = columns + d * count;
    for (size_t i = 0; i < count; i++) column[i] = x[i * dim + d];
    qsort(column, count, sizeof *column, compare_floats);
    double low = sorted_quantile(column, count, 0.25), high = sorted_quantile(column, count, 0.75);
    out->shift[d] = sorted_quantile(column, count, 0.5);
    out->scale[d] = inverse_or_zero(high - low, fabs(out->shift[d]));
  }
done:
  mem_free(columns);
  if (status != MEDLEY_OK) normaliser_deinit(out);
  return status;
}

static size_t count_directions(const float *variance, size_t dim, size_t dim_max) {
  float floor = fmaxf(variance[dim - 1] * WHITEN_FLOOR, 1e-20f);
  size_t kept = 0;
  while (kept < dim && variance[dim - 1 - kept] > floor && (dim_max == 0 || kept < dim_max)) kept++;
  return kept;
}

/* PCA whitening: the covariance of the training rows becomes the identity. */
static medley_status fit_whiten(const float *x, size_t count, size_t dim, size_t dim_max, normaliser *out,
                                medley_error *err) {
  float *centred = NULL, *covariance = NULL, *variance = NULL;
  medley_status status = fit_zscore(x, count, dim, dim_max, out, err);
  if (status != MEDLEY_OK) return status;
  mem_free(out->scale);
  out->scale = NULL;
  TRY_NEW(centred, count * dim, "centred rows");
  TRY_NEW(covariance, dim * dim, "covariance");
  TRY_NEW(variance, dim, "covariance");
#pragma omp parallel for schedule(static) if (count * dim > PARALLEL_WORK)
  for (size_t i = 0; i < count; i++)
    for (size_t d = 0; d < dim; d++) centred[i * dim + d] = x[i * dim + d] - out->shift[d];
  matrix_gram(count, dim, 1.0f / (float)count, centred, 0, covariance);
  TRY(matrix_eigen_symmetric(covariance, dim, variance, err));
  out->out_dim = count_directions(variance, dim, dim_max);
  if (out->out_dim == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "whitening needs rows that differ: all %zu training rows are alike", count);
  TRY_NEW(out->matrix, dim * out->out_dim, "whitening matrix");
  for (size_t k = 0; k < out->out_dim; k++) {
    const float *direction = covariance + (dim - 1 - k) * dim;
    for (size_t d = 0; d < dim; d++) out->matrix[d * out->out_dim + k] = direction[d] / sqrtf(variance[dim - 1 - k]);
  }
done:
  mem_free(centred);
  mem_free(covariance);
  mem_free(variance);
  if (status != MEDLEY_OK) normaliser_deinit(out);
  return status;
}

const normaliser_kind normaliser_kinds[] = {
    {"none", "leaves the values as they are", fit_none},
    {"l2", "divides each row by its length", fit_l2},
    {"zscore", "mean 0 and standard deviation 1 per column", fit_zscore},
    {"minmax", "training minimum to 0 and maximum to 1 per column", fit_minmax},
    {"robust", "median to 0, interquartile range to 1 per column", fit_robust},
    {"whiten", "principal directions, uncorrelated and of equal variance", fit_whiten},
    {NULL, NULL, NULL},
};

const normaliser_kind *normaliser_kind_find(const char *name) {
  for (const normaliser_kind *k = normaliser_kinds; k->name != NULL; k++)
    if (strcmp(k->name, name) == 0) return k;
  return NULL;
}

/* ---- applying ---- */

static void apply_affine(const normaliser *n, const float *x, size_t count, float *y) {
#pragma omp parallel for schedule(static) if (count * n->in_dim > PARALLEL_WORK)
  for (size_t i = 0; i < count; i++)
    for (size_t d = 0; d < n->in_dim; d++) {
      float centred = x[i * n->in_dim + d] - n->shift[d];
      y[i * n->in_dim + d] = n->scale ? centred * n->scale[d] : centred;
    }
}

/* (x - shift) M = x M - shift M, so that x need not be copied to be centred: the constant row is written first and the
 * product added to it. */
static void apply_matrix(const normaliser *n, const float *x, size_t count, float *y) {
  if (count == 0) return;
  matrix_multiply(false, false, 1, n->out_dim, n->in_dim, -1, n->shift, n->matrix, 0, y);
  for (size_t i = 1; i < count; i++) memcpy(y + i * n->out_dim, y, n->out_dim * sizeof *y);
  matrix_multiply(false, false, count, n->out_dim, n->in_dim, 1, x, n->matrix, 1, y);
}

void normaliser_apply(const normaliser *n, const float *x, size_t count, float *y) {
  if (n->matrix != NULL)
    apply_matrix(n, x, count, y);
  else
    apply_affine(n, x, count, y);
  if (!n->unit) return;
#pragma omp parallel for schedule(static) if (count * n->out_dim > PARALLEL_WORK)
  for (size_t i = 0; i < count; i++) vector_normalise(y + i * n->out_dim, n->out_dim);
}

/* ---- in model files ----
 * <prefix>.shift F32 [1, in_dim], and one of <prefix>.scale F32 [1, in_dim], <prefix>.matrix F32 [in_dim, out_dim] or
 * neither; <prefix>.unit in the metadata is "1" or "0". */

medley_status normaliser_save(const normaliser *n, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX];
  TRY(safetensors_add_field(w, prefix, "shift", 1, n->in_dim, n->shift, err));
  if (n->scale != NULL) TRY(safetensors_add_field(w, prefix, "scale", 1, n->in_dim, n->scale, err));
  if (n->matrix != NULL) TRY(safetensors_add_field(w, prefix, "matrix", n->in_dim, n->out_dim, n->matrix, err));
  snprintf(name, sizeof name, "%s.unit", prefix);
  TRY(safetensors_add_metadata(w, name, n->unit ? "1" : "0", err));
done:
  return status;
}

static bool has_field(const safetensors *s, const char *prefix, const char *field) {
  char name[SAFETENSORS_NAME_MAX];
  snprintf(name, sizeof name, "%s.%s", prefix, field);
  return safetensors_get(s, name) != NULL;
}

medley_status normaliser_load(const safetensors *s, const char *prefix, normaliser *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX];
  uint64_t shape[2];
  *out = (normaliser){0};
  TRY(safetensors_copy_f32(s, prefix, "shift", 1, 0, &out->shift, shape, err));
  out->in_dim = out->out_dim = shape[1];
  if (has_field(s, prefix, "scale"))
    TRY(safetensors_copy_f32(s, prefix, "scale", 1, out->in_dim, &out->scale, NULL, err));
  if (has_field(s, prefix, "matrix")) {
    TRY(safetensors_copy_f32(s, prefix, "matrix", out->in_dim, 0, &out->matrix, shape, err));
    out->out_dim = shape[1];
  }
  if (out->matrix != NULL && out->scale != NULL)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' has both a scale and a matrix, expected one of them", s->path, prefix);
  snprintf(name, sizeof name, "%s.unit", prefix);
  const char *unit = s->metadata ? json_member_string(s->metadata, name, "") : "";
  if (strcmp(unit, "0") != 0 && strcmp(unit, "1") != 0)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: metadata '%s' is '%s', expected 0 or 1", s->path, name, unit);
  out->unit = unit[0] == '1';
done:
  if (status != MEDLEY_OK) normaliser_deinit(out);
  return status;
}
