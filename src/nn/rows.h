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
/* y = e^(x - shift); the sum of y. y may be x. */
real row_exp(const real *x, real shift, real *y, size_t count);
/* The sum of e^(x - shift). */
real row_exp_sum(const real *x, real shift, size_t count);
/* log of the sum of e^x; -INFINITY when all are. */
real row_log_sum_exp(const real *x, size_t count);
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
