/* math/kmeans.h: k-means: centres that stand for many vectors, and the nearest centre of a vector. All float32,
 * row-major. Thread rule: any thread; each call spreads over the threads of OpenMP unless it is made inside a parallel
 * region. The same seed gives the same centres on the same machine, whatever the number of threads. */
#ifndef MATH_KMEANS_H
#define MATH_KMEANS_H

#include <medley/progress.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Where k-means begins. Rows: any k rows. Fewer of them far from the rest, more of them where rows lie close together,
 * which k-means++ gives to whatever is far away: the squared error is greater, but neighbours are told apart better. */
typedef enum kmeans_seeds { KMEANS_PLUS_PLUS, KMEANS_ROWS, KMEANS_WARM } kmeans_seeds;

typedef struct kmeans_options {
  int iterations; /* of Lloyd; 0: 10, most of them on an eighth of the rows when there are many */
  uint64_t seed;
  kmeans_seeds seeds;              /* KMEANS_WARM: `centres` holds where to begin */
  const medley_progress *progress; /* may be NULL; a receiver that asks to stop gets MEDLEY_ERR_CANCELLED */
  const char *stage;               /* its name for the progress; NULL: "k-means" */
} kmeans_options;

/* centres [k, dim] of x [count, dim], both at least one row. With count < k the centres beyond the rows repeat them.
 * k-means++ is Arthur & Vassilvitskii's (2007), in at most 64 rounds of several draws (as in k-means||, Bahmani et al.
 * 2012); a cluster that loses all its rows takes half of the largest one. On error `centres` is undefined. */
medley_status kmeans_fit(const float *x, size_t count, size_t dim, size_t k, const kmeans_options *o, float *centres,
                         medley_error *err) MEDLEY_CHECK;

/* nearest [count]: for each row of x [count, dim] the centre [k, dim] at the least Euclidean distance, the first of
 * equals. distance [count]: its square (never negative), or NULL. */
medley_status kmeans_assign(const float *x, size_t count, size_t dim, const float *centres, size_t k, uint32_t *nearest,
                            float *distance, medley_error *err) MEDLEY_CHECK;

#endif
