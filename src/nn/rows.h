/* nn/rows.h: what is done to a row of numbers inside ops: sums, maxima,
 * exponentials, products. Vector code by math/clones.h, in float32 and, for the
 * tests, in double (nn/real.h). Thread-safe; none allocates; rows may be
 * unaligned.
 */
#ifndef NN_ROWS_H
#define NN_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/real.h"

real row_sum(const real *x, size_t count);
real row_dot(const real *x, const real *y, size_t count);
real row_max(const real *x, size_t count); /* -INFINITY when count is 0; NaN is passed over */
/* y = e^(x - shift), 0 where that is below e^-87; the sum of y. y may be x. x - shift is 88 at most. */
real row_exp(const real *x, real shift, real *y, size_t count);
/* The sum of the same. */
real row_exp_sum(const real *x, real shift, size_t count);
/* log of the sum of e^x; -INFINITY when all are. */
real row_log_sum_exp(const real *x, size_t count);
/* The scores of `count` rows, `step` apart, become weights: e^(x - most[r]), most[r] being the greatest of the row's
 * first `width` numbers and of what it was; sum[r] is set to their sum. Of -INFINITY alone: zeros. What lies behind
 * the width, up to the next multiple of 16, is spoilt. */
void rows_soften(real *x, size_t step, size_t count, size_t width, real *most, real *sum);
/* The mean and the variance of a row. */
void row_moments(const real *x, size_t count, real *mean, real *variance);
/* What either does without special instructions: what the tests compare with. */
void rows_soften_plain(real *x, size_t step, size_t count, size_t width, real *most, real *sum);
void row_moments_plain(const real *x, size_t count, real *mean, real *variance);
/* x (+)= value */
void row_shift(real *x, real value, size_t count, bool add);
void row_scale(real *x, real factor, size_t count);                     /* x *= factor */
void row_add(real *y, const real *x, size_t count);                     /* y += x */
void row_add_scaled(real *y, real factor, const real *x, size_t count); /* y += factor * x */
void row_set_scaled(real *y, real factor, const real *x, size_t count); /* y = factor * x */

/* Rows that lie anywhere in memory: asks for one before its turn comes, so that several are on their way at once. */
#define ROWS_AHEAD 3
static inline void row_prefetch(const real *x, size_t count) {
  for (size_t i = 0; i < count; i += 64 / sizeof(real)) __builtin_prefetch(x + i);
}

#endif
