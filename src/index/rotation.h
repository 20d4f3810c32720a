/* index/rotation.h: the vectors of an index turned, and perhaps shortened, before they are quantised.
 *
 * y = matrix (x - mean), the rows of the matrix orthonormal: dot products and distances of what is kept stay what they
 * were. Vectors of many dimensions keep the principal ones only. Then the axes are turned to the principal directions
 * of what is to be quantised and dealt to the parts of a product quantiser so that the variances of each part multiply
 * to about the same ("eigenvalue allocation", the parametric solution of Ge, He, Ke & Sun 2013, "Optimized product
 * quantization"): their alternating solution was 36 seconds of training for the same recall.
 */
#ifndef INDEX_ROTATION_H
#define INDEX_ROTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct rotation {
  size_t dim, out_dim; /* out_dim may be greater than dim: the rows beyond are zero */
  float *mean;         /* [dim] */
  float *matrix;       /* [out_dim, dim] */
  float *shift;        /* [out_dim] matrix * mean */
} rotation;

/* Zeros; rotation_deinit frees. */
medley_status rotation_init(rotation *r, size_t dim, size_t out_dim, medley_error *err) MEDLEY_CHECK;
void rotation_deinit(rotation *r);

/* From x [count, dim], which is used up: the mean when centred, zeros otherwise; the principal directions when out_dim
 * < dim, the axes as they are otherwise. */
medley_status rotation_fit(rotation *r, float *x, size_t count, bool centred, uint64_t seed,
                           medley_error *err) MEDLEY_CHECK;
/* turn [out_dim, out_dim]: from x [count, out_dim], mean 0, the principal directions dealt to `parts` parts. */
medley_status rotation_allocate(const float *x, size_t count, size_t out_dim, size_t parts, float *turn,
                                medley_error *err) MEDLEY_CHECK;
/* What is applied first and then turned is applied at once. */
medley_status rotation_turn(rotation *r, const float *turn, medley_error *err) MEDLEY_CHECK;
/* Fills `shift` after mean and matrix were written by other means. */
void rotation_prepare(rotation *r);

void rotation_apply(const rotation *r, const float *x, size_t count, float *out); /* [count, dim] → [count, out_dim] */
void rotation_apply_one(const rotation *r, const float *x, float *out);           /* without BLAS, for requests */

#endif
