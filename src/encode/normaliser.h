/* encode/normaliser.h: raw vectors → comparable vectors (F07), fitted on the training split only, then applied to all.
 */
#ifndef ENCODE_NORMALISER_H
#define ENCODE_NORMALISER_H

#include "base/error.h"
#include "nn/safetensors.h"

/* A normaliser is an affine map and, last, an optional division by the norm: y = (x - shift) [scale | matrix]. */
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
  /* x [count, dim], training rows that have the modality. dim_max 0: no limit (whitening keeps at most so many
   * directions). */
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
