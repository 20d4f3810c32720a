/* encode/normaliser.h: raw vectors → comparable vectors (F07), fitted on the training split only, then applied to all.
 */
#ifndef ENCODE_NORMALISER_H
#define ENCODE_NORMALISER_H

#include "base/error.h"
#include "nn/safetensors.h"

#define NORMALISER_DIM_MAX 65536

/* A normaliser is an affine map and, last, an optional division by the norm: y = (x - shift) [scale | matrix]. Every
 * kind but l2 leaves `unit` false: who needs rows of unit length (features.h) sets it after fit. A zero row stays zero
 * under l2 and none; elsewhere it is content like any other, so leave absent rows out. */
typedef struct normaliser {
  size_t in_dim, out_dim;
  float *shift;  /* [in_dim] */
  float *scale;  /* [in_dim] or NULL */
  float *matrix; /* [in_dim, out_dim] or NULL (whitening, PCA) */
  bool unit;     /* L2 at the end */
} normaliser;

typedef struct normaliser_kind {
  const char *name; /* "none" "l2" "zscore" "minmax" "robust" "whiten" */
  const char *summary;
  /* x [count, dim], training rows that have the modality; finite, at least one. dim_max 0: no limit (whitening keeps at
   * most so many directions, those of greatest variance). A column that never varies in training is mapped to 0: its
   * values in other rows have no scale to be judged by. */
  medley_status (*fit)(const float *x, size_t count, size_t dim, size_t dim_max, normaliser *out, medley_error *err);
} normaliser_kind;

extern const normaliser_kind normaliser_kinds[]; /* ended by name NULL */
const normaliser_kind *normaliser_kind_find(const char *name);

/* y [count, out_dim]; y may not alias x. Thread-safe. */
void normaliser_apply(const normaliser *n, const float *x, size_t count, float *y);
medley_status normaliser_save(const normaliser *n, safetensors_writer *w, const char *prefix,
                              medley_error *err) MEDLEY_CHECK;
medley_status normaliser_load(const safetensors *s, const char *prefix, normaliser *out,
                              medley_error *err) MEDLEY_CHECK;
void normaliser_deinit(normaliser *n);

#endif
