/* fuse/fuser.c: the linear fusers. All are masked: an item's weights are shared out among the parts it has, so that an
 * item without a picture is as long as the others and its text counts for the picture too. */
#include "fuse/fuser.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"

#define MAP_DIM_MAX 256
#define MAP_SEED 1
/* Values; below so many, threads cost more than they save, and much more on a busy machine. */
#define PARALLEL_WORK ((size_t)1 << 16)

const fuser_kind *fuser_kind_find(const char *name) {
  for (const fuser_kind *k = fuser_kinds; k->name != NULL; k++)
    if (strcmp(k->name, name) == 0) return k;
  return NULL;
}

/* ---- what all begin with ---- */

/* Weights as given, or 1 each; refused when they make no sense. */
static medley_status read_weights(const float *weight, size_t part_count, float out[FEATURES_MAX], medley_error *err) {
  float sum = 0;
  for (size_t p = 0; p < part_count; p++) {
    out[p] = weight ? weight[p] : 1;
    if (!(out[p] >= 0) || !isfinite(out[p]))
      return error_set(err, MEDLEY_ERR_USAGE, "fusion: weight %zu is %g, expected 0 or more", p, (double)out[p]);
    sum += out[p];
  }
  if (!(sum > 0)) return error_set(err, MEDLEY_ERR_USAGE, "fusion: all weights are 0");
  return MEDLEY_OK;
}

static medley_status check_parts(const features *parts, size_t part_count, bool same_dim, medley_error *err) {
  if (part_count == 0 || part_count > FEATURES_MAX)
    return error_set(err, MEDLEY_ERR_USAGE, "fusion takes 1 to %d parts, got %zu", FEATURES_MAX, part_count);
  for (size_t p = 1; p < part_count; p++) {
    if (parts[p].count != parts[0].count)
      return error_set(err, MEDLEY_ERR_USAGE, "fusion: '%s' has %zu rows, '%s' %zu", parts[0].name, parts[0].count,
                       parts[p].name, parts[p].count);
    if (same_dim && parts[p].dim != parts[0].dim)
      return error_set(err, MEDLEY_ERR_USAGE,
                       "fusion: '%s' has %zu dimensions, '%s' %zu; align them first or use fuse.concat", parts[0].name,
                       parts[0].dim, parts[p].name, parts[p].dim);
  }
  return MEDLEY_OK;
}

static medley_status fused_alloc(size_t count, size_t dim, features *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (features){.name = "fused", .count = count, .dim = dim};
  TRY_NEW(out->present, count, "fused rows");
  TRY_NEW(out->values, count * dim, "fused rows");
done:
  if (status != MEDLEY_OK) features_deinit(out);
  return status;
}

/* Sets present where a row is not zero, and its length to 1. */
static void finish_rows(features *out) {
#pragma omp parallel for schedule(static) if (out->count * out->dim > PARALLEL_WORK)
  for (size_t i = 0; i < out->count; i++) out->present[i] = vector_normalise(out->values + i * out->dim, out->dim) > 0;
}

/* ---- sum ---- */

static medley_status fuse_weighted(const features *parts, size_t part_count, const float *weight, features *out,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  float w[FEATURES_MAX];
  *out = (features){0};
  TRY(check_parts(parts, part_count, true, err));
  TRY(read_weights(weight, part_count, w, err));
  TRY(fused_alloc(parts[0].count, parts[0].dim, out, err));
  for (size_t p = 0; p < part_count; p++)
    for (size_t i = 0; i < out->count; i++)
      if (parts[p].present[i])
        vector_add_scaled(out->values + i * out->dim, w[p], parts[p].values + i * out->dim, out->dim);
  finish_rows(out); /* the length is set there, which shares a missing part's weight among the others */
done:
  return status;
}

static medley_status fuse_sum(const features *parts, size_t part_count, const float *weight, features *out,
                              medley_error *err) {
  (void)weight;
  return fuse_weighted(parts, part_count, NULL, out, err);
}

/* ---- concatenation ---- */

/* The dot product of two complete fused rows is the weighted mean of the parts' cosines, hence the square roots. */
static medley_status fuse_concat(const features *parts, size_t part_count, const float *weight, features *out,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  float w[FEATURES_MAX];
  size_t dim = 0, first = 0;
  *out = (features){0};
  TRY(check_parts(parts, part_count, false, err));
  TRY(read_weights(weight, part_count, w, err));
  for (size_t p = 0; p < part_count; p++) dim += parts[p].dim;
  TRY(fused_alloc(parts[0].count, dim, out, err));
  for (size_t p = 0; p < part_count; first += parts[p].dim, p++)
    for (size_t i = 0; i < out->count; i++)
      if (parts[p].present[i])
        vector_add_scaled(out->values + i * dim + first, sqrtf(w[p]), parts[p].values + i * parts[p].dim, parts[p].dim);
  finish_rows(out);
done:
  return status;
}

/* ---- feature mapping ---- */

/* The concatenation seen from its first MAP_DIM_MAX singular directions: each part gets its own linear map into one
 * space, in which directions that several parts share come first. Not centred, so that a missing part is exactly a
 * zero. */
static medley_status fuse_map(const features *parts, size_t part_count, const float *weight, features *out,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  features wide = {0};
  float *singular = NULL, *directions = NULL;
  *out = (features){0};
  TRY(fuse_concat(parts, part_count, weight, &wide, err));
  size_t rank = wide.dim < MAP_DIM_MAX ? wide.dim : MAP_DIM_MAX;
  if (rank > wide.count) rank = wide.count;
  if (features_present_count(&wide) == 0) rank = 1; /* nothing to look at: one column of zeros */
  TRY_NEW(singular, rank, "a feature map");
  TRY_NEW(directions, wide.dim * rank, "a feature map");
  if (features_present_count(&wide) > 0)
    TRY(matrix_svd_truncated(wide.values, wide.count, wide.dim, rank, 0, MAP_SEED, NULL, singular, directions, &rank,
                             err));
  TRY(fused_alloc(wide.count, rank, out, err));
  matrix_multiply(false, false, wide.count, rank, wide.dim, 1, wide.values, directions, 0, out->values);
  finish_rows(out);
done:
  features_deinit(&wide);
  mem_free(singular);
  mem_free(directions);
  return status;
}

const fuser_kind fuser_kinds[] = {
    {"fuse.sum", "sum of parts in one space, equal weights", fuse_sum},
    {"fuse.weighted", "weighted sum of parts in one space", fuse_weighted},
    {"fuse.concat", "parts side by side; weights scale the blocks", fuse_concat},
    {"fuse.map", "parts mapped linearly into one smaller space, the principal one of all", fuse_map},
    {NULL, NULL, NULL},
};
