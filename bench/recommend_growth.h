/* bench/recommend_growth.h: how the cost of each recommender grows with items and events (bench_recommend --grow).
 *
 * Sizes are 10⁴, 10⁵, 10⁶ items by 10⁶, 10⁷, 10⁸ generated events, and a small one before them. A model at a size runs
 * in a process of its own, forked after the events are there, with limits on its processor time and its memory. It is
 * not tried where what it took at smaller sizes says that it would pass a limit, or where it has refused or passed one
 * with less.
 */
#ifndef BENCH_RECOMMEND_GROWTH_H
#define BENCH_RECOMMEND_GROWTH_H

#include "recommend/recommender.h"

/* Doubles, because they come from a command line. */
typedef struct growth_options {
  double threads;
  double limit_s;    /* processor seconds of a model at a size */
  double memory_gib; /* that a model may add to what is there */
  double minutes;    /* after so many no model is begun, and the last one is ended */
  double points;     /* of the sizes, the first so many */
  const char *output;
  const char *resume; /* a file of the lines that an earlier run wrote; NULL */
} growth_options;

/* The number of epochs or sweeps of a kind among its values; NULL when it has none. */
double *recommender_length(const recommender_kind *kind, double *values);

/* A line of JSON a model and size, as they come; then the tables and the plot. */
medley_status growth_run(const growth_options *options, const recommender_kind *const *kinds, size_t kind_count,
                         medley_error *err) MEDLEY_CHECK;

/* ---- what was measured, for bench/recommend_growth_page.c ---- */

enum { GROWTH_SIZES = 10, GROWTH_MODELS_MAX = 64 };

typedef enum growth_outcome {
  GROWTH_NOT_TRIED, /* no time was left, or a limit would be passed */
  GROWTH_FITTED,
  GROWTH_REFUSED, /* by the kind itself */
  GROWTH_TOO_LONG,
  GROWTH_TOO_LARGE,
  GROWTH_FAILED
} growth_outcome;

typedef struct growth_cell {
  growth_outcome outcome;
  double seconds;    /* of a whole fit; epochs beyond the second are counted as the second */
  double spent_s;    /* of processor time here */
  double bytes;      /* the most that it added */
  double request_ms; /* median; NAN: not asked */
  char why[160];
} growth_cell;

typedef struct growth_size {
  uint32_t items;
  uint64_t events;
} growth_size;
extern const growth_size growth_sizes[GROWTH_SIZES];

typedef struct growth {
  const growth_options *options;
  const recommender_kind *const *kinds;
  size_t kind_count;
  growth_cell cell[GROWTH_MODELS_MAX][GROWTH_SIZES];
} growth;

medley_status growth_page_write(const growth *g, medley_error *err) MEDLEY_CHECK;

#endif
