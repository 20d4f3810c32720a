/* align/aligner.c: the table of aligners, and what all alignments share: applying, saving, loading. */
#include "align/aligner.h"

#include <stdio.h>
#include <string.h>

#include "align/fits.h"
#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"

/* Values; below so many, threads cost more than they save, and much more on a busy machine. */
#define PARALLEL_WORK ((size_t)1 << 16)

const aligner_kind aligner_kinds[] = {
    {"align.cca", "canonical correlations: the directions in which both sides agree most, weighted by how much",
     "Hotelling 1936; ridge after Vinod 1976; weights after Gong et al. 2014", align_cca_fit},
    {"align.ridge", "predicts one side from the other by regularised least squares", "Hoerl & Kennard 1970",
     align_ridge_fit},
    {"align.procrustes", "turns the principal directions of one side onto those of the other",
     "Schönemann 1966; Conneau et al. 2018", align_procrustes_fit},
    {"align.concat", "baseline: both sides next to each other, nothing shared", "early fusion", align_concat_fit},
    {"align.sum", "baseline: both sides in the same coordinates as they are", "early fusion", align_sum_fit},
    {NULL, NULL, NULL, NULL},
};

const aligner_kind *aligner_kind_find(const char *name) {
  for (const aligner_kind *k = aligner_kinds; k->name != NULL; k++)
    if (strcmp(k->name, name) == 0) return k;
  return NULL;
}

void alignment_deinit(alignment *a) {
  mem_free(a->x_shift);
  mem_free(a->y_shift);
  mem_free(a->x_map);
  mem_free(a->y_map);
  *a = (alignment){0};
}

medley_status alignment_alloc(alignment *a, size_t x_dim, size_t y_dim, size_t dim, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *a = (alignment){.dim = dim, .x_dim = x_dim, .y_dim = y_dim};
  TRY_NEW(a->x_shift, x_dim, "an alignment");
  TRY_NEW(a->y_shift, y_dim, "an alignment");
  TRY_NEW(a->x_map, x_dim * dim, "an alignment");
  TRY_NEW(a->y_map, y_dim * dim, "an alignment");
done:
  if (status != MEDLEY_OK) alignment_deinit(a);
  return status;
}

/* (rows - shift) map: the constant row -shift map is written first and the product added, so that no centred copy is
 * needed. */
void alignment_apply(const alignment *a, int side, const float *rows, size_t count, float *out) {
  const float *shift = side == 0 ? a->x_shift : a->y_shift, *map = side == 0 ? a->x_map : a->y_map;
  size_t in_dim = side == 0 ? a->x_dim : a->y_dim;
  if (count == 0) return;
  matrix_multiply(false, false, 1, a->dim, in_dim, -1, shift, map, 0, out);
  for (size_t i = 1; i < count; i++) memcpy(out + i * a->dim, out, a->dim * sizeof *out);
  matrix_multiply(false, false, count, a->dim, in_dim, 1, rows, map, 1, out);
#pragma omp parallel for schedule(static) if (count * a->dim > PARALLEL_WORK)
  for (size_t i = 0; i < count; i++) vector_normalise(out + i * a->dim, a->dim);
}

/* ---- in model files ----
 * <prefix>.x_shift F32 [1, x_dim], .x_map F32 [x_dim, dim], likewise y; <prefix>.settings in the metadata. */

medley_status alignment_save(const alignment *a, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX];
  TRY(safetensors_add_field(w, prefix, "x_shift", 1, a->x_dim, a->x_shift, err));
  TRY(safetensors_add_field(w, prefix, "y_shift", 1, a->y_dim, a->y_shift, err));
  TRY(safetensors_add_field(w, prefix, "x_map", a->x_dim, a->dim, a->x_map, err));
  TRY(safetensors_add_field(w, prefix, "y_map", a->y_dim, a->dim, a->y_map, err));
  snprintf(name, sizeof name, "%s.settings", prefix);
  TRY(safetensors_add_metadata(w, name, a->settings, err));
done:
  return status;
}

medley_status alignment_load(const safetensors *s, const char *prefix, alignment *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX];
  uint64_t x[2], y[2];
  *out = (alignment){0};
  TRY(safetensors_copy_f32(s, prefix, "x_map", 0, 0, &out->x_map, x, err));
  TRY(safetensors_copy_f32(s, prefix, "y_map", 0, x[1], &out->y_map, y, err));
  TRY(safetensors_copy_f32(s, prefix, "x_shift", 1, x[0], &out->x_shift, NULL, err));
  TRY(safetensors_copy_f32(s, prefix, "y_shift", 1, y[0], &out->y_shift, NULL, err));
  out->dim = x[1];
  out->x_dim = x[0];
  out->y_dim = y[0];
  snprintf(name, sizeof name, "%s.settings", prefix);
  snprintf(out->settings, sizeof out->settings, "%s", s->metadata ? json_member_string(s->metadata, name, "") : "");
done:
  if (status != MEDLEY_OK) alignment_deinit(out);
  return status;
}
