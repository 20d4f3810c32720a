/* align/fits.h: the fits behind the table in aligner.c, and what they share. */
#ifndef ALIGN_FITS_H
#define ALIGN_FITS_H

#include "align/aligner.h"

/* aligner_kind.fit, one file each (the two baselines share one). */
medley_status align_cca_fit(const aligner_pairs *train, const aligner_pairs *valid, alignment *out, medley_error *err);
medley_status align_ridge_fit(const aligner_pairs *train, const aligner_pairs *valid, alignment *out,
                              medley_error *err);
medley_status align_procrustes_fit(const aligner_pairs *train, const aligner_pairs *valid, alignment *out,
                                   medley_error *err);
medley_status align_concat_fit(const aligner_pairs *train, const aligner_pairs *valid, alignment *out,
                               medley_error *err);
medley_status align_sum_fit(const aligner_pairs *train, const aligner_pairs *valid, alignment *out, medley_error *err);

/* Zeroed arrays of these sizes. */
medley_status alignment_alloc(alignment *a, size_t x_dim, size_t y_dim, size_t dim, medley_error *err) MEDLEY_CHECK;

/* First and second moments of the pairs: what every closed form starts from. */
typedef struct pair_moments {
  size_t x_dim, y_dim;
  float *x_mean, *y_mean;
  float *xx, *yy, *xy;          /* covariances [x_dim, x_dim], [y_dim, y_dim], [x_dim, y_dim] */
  float x_variance, y_variance; /* mean variance of a column: the unit in which ridges are given */
} pair_moments;

/* Refuses fewer than two pairs, values that are not finite and dimensions above ALIGNER_DIM_MAX. */
medley_status pair_moments_init(pair_moments *m, const aligner_pairs *pairs, medley_error *err) MEDLEY_CHECK;
void pair_moments_deinit(pair_moments *m);
/* What pair_moments_init refuses about one side, named "x" or "y". */
medley_status check_side(const char *side, const float *rows, size_t count, size_t dim, medley_error *err) MEDLEY_CHECK;
/* covariance [n, n] + ridge · unit on the diagonal, a fresh copy. */
medley_status ridge_added(const float *covariance, size_t n, float ridge, float **out, medley_error *err) MEDLEY_CHECK;

/* At most VALID_MAX of the pairs, evenly chosen, so that a choice costs the same on any catalogue. */
#define VALID_MAX 1000
typedef struct valid_pairs {
  aligner_pairs pairs;
  float *x, *y; /* what pairs points to */
} valid_pairs;
medley_status valid_pairs_init(valid_pairs *v, const aligner_pairs *all, medley_error *err) MEDLEY_CHECK;
void valid_pairs_deinit(valid_pairs *v);
/* The mean of recall@10 in both directions of an alignment on these pairs. */
medley_status valid_pairs_score(const valid_pairs *v, const alignment *a, double *score,
                                medley_error *err) MEDLEY_CHECK;

/* For aligners with one setting: the best of the values on validation, or the fallback without. */
typedef struct setting_list {
  const float *values;
  size_t count;
  float fallback;
  medley_status (*fit)(const pair_moments *m, float value, alignment *out, medley_error *err); /* out is zeroed */
} setting_list;
medley_status align_choose(const aligner_pairs *train, const aligner_pairs *valid, const setting_list *list,
                           alignment *out, medley_error *err) MEDLEY_CHECK;

#endif
