/* align/procrustes.c: both sides in their principal directions, then the rotation that brings them together best.
 *
 * The rotation that minimises the distance of the pairs comes from the singular vectors of the cross-covariance U S Vᵀ;
 * turning x by U and y by V is the same as turning x onto y. */
#include <stdio.h>
#include <string.h>

#include "align/fits.h"
#include "base/memory.h"
#include "math/linear.h"

static const float dims[] = {32, 64, 128, 256};

/* basis [n, *dim]: the first principal directions; *dim may shrink. */
static medley_status principal(const float *covariance, size_t n, size_t *dim, float **basis, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *variance = NULL;
  TRY_NEW(variance, *dim, "principal directions");
  TRY_NEW(*basis, n * *dim, "principal directions");
  TRY(matrix_svd_truncated(covariance, n, n, *dim, 0, 1, NULL, variance, *basis, dim, err));
done:
  mem_free(variance);
  return status;
}

static medley_status fit_once(const pair_moments *m, float value, alignment *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = (size_t)value;
  float *px = NULL, *py = NULL, *half = NULL, *cross = NULL, *u = NULL, *vt = NULL, *s = NULL;
  size_t x_rank, y_rank;
  if (dim > m->x_dim) dim = m->x_dim;
  if (dim > m->y_dim) dim = m->y_dim;
  x_rank = y_rank = dim;
  TRY(principal(m->xx, m->x_dim, &x_rank, &px, err));
  TRY(principal(m->yy, m->y_dim, &y_rank, &py, err));
  if (x_rank != dim || y_rank != dim) FAIL(err, MEDLEY_ERR_INTERNAL, "principal directions were lost");
  TRY_NEW(half, dim * m->y_dim, "a rotation");
  TRY_NEW(cross, dim * dim, "a rotation");
  TRY_NEW(u, dim * dim, "a rotation");
  TRY_NEW(vt, dim * dim, "a rotation");
  TRY_NEW(s, dim, "a rotation");
  matrix_multiply(true, false, dim, m->y_dim, m->x_dim, 1, px, m->xy, 0, half);
  matrix_multiply(false, false, dim, dim, m->y_dim, 1, half, py, 0, cross);
  TRY(matrix_svd(cross, dim, dim, u, s, vt, err));
  TRY(alignment_alloc(out, m->x_dim, m->y_dim, dim, err));
  matrix_multiply(false, false, m->x_dim, dim, dim, 1, px, u, 0, out->x_map);
  matrix_multiply(false, true, m->y_dim, dim, dim, 1, py, vt, 0, out->y_map);
  memcpy(out->x_shift, m->x_mean, m->x_dim * sizeof *out->x_shift);
  memcpy(out->y_shift, m->y_mean, m->y_dim * sizeof *out->y_shift);
  snprintf(out->settings, sizeof out->settings, "procrustes dim=%zu", dim);
done:
  mem_free(px), mem_free(py), mem_free(half), mem_free(cross), mem_free(u), mem_free(vt), mem_free(s);
  return status;
}

medley_status align_procrustes_fit(const aligner_pairs *train, const aligner_pairs *valid, alignment *out,
                                   medley_error *err) {
  static const setting_list list = {dims, sizeof dims / sizeof *dims, 128, fit_once};
  return align_choose(train, valid, &list, out, err);
}
