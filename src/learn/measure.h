/* learn/measure.h: how good a scorer is on held-out events: full ranking, per-user values, intervals, slices, seconds.
 */
#ifndef LEARN_MEASURE_H
#define LEARN_MEASURE_H

#include "data/interactions.h"
#include "encode/features.h"
#include "eval/metric.h"
#include "recommend/recommender.h"

/* Anything that scores all items from a history: one recommender, or the blend. */
typedef struct scorer {
  const char *name;
  medley_status (*score)(const void *context, const history *h, recommender_scratch *scratch, float *scores,
                         medley_error *err);
  const void *context;
} scorer;
scorer scorer_of_recommender(const recommender *r);

/* One held-out task: who, what they had done, what they did next. Borrowed. */
typedef struct measure_task {
  const interactions *history; /* what the scorer may know of each user */
  const interactions *test;    /* what it must find */
  const uint8_t *candidate;    /* [items] nonzero: is ranked; NULL: all */
  const uint8_t *hidden_item;  /* [items] nonzero: never a history item; NULL */
  bool forget;                 /* the scorer is told nothing of the history, which is not ranked all the same */
  const uint32_t *users;       /* [user_count] to ask; from measure_users */
  size_t user_count;
} measure_task;

/* Users with at least one test item that is a candidate and not in their history; at most limit of them (0: all), drawn
 * by seed. *out is the caller's (mem_free). */
medley_status measure_users(const measure_task *task, size_t limit, uint64_t seed, uint32_t **out, size_t *count,
                            medley_error *err) MEDLEY_CHECK;

#define MEASURE_METRICS_MAX 32

typedef struct measure_metric {
  const metric_kind *kind;
  size_t k;      /* 0 when the metric takes none */
  char name[32]; /* "recall@20" */
} measure_metric;
/* "recall@20" → kind and k; a sentence that lists the metrics when it is none. */
medley_status measure_metric_parse(const char *text, measure_metric *out, medley_error *err) MEDLEY_CHECK;

typedef struct measure_options {
  const measure_metric *metrics;
  size_t metric_count;
  const features *content; /* for diversity; may be NULL */
  double fit_user_count;   /* users in training, for novelty */
  const float *popularity; /* [items] in training */
  bool keep_top;           /* keep the lists for coverage and Gini, at list_size */
} measure_options;

typedef struct measurement {
  size_t user_count, metric_count, list_size;
  double *values; /* [metric_count, user_count]; NAN where not defined */
  uint32_t *top;  /* [user_count, list_size] best first, UINT32_MAX after the end; NULL unless kept */
  double seconds;
} measurement;

/* Runs over all users in parallel. Deterministic. */
medley_status measure_scorer(const measure_task *task, const scorer *what, const measure_options *options,
                             progress_stage *progress, measurement *out, medley_error *err) MEDLEY_CHECK;
void measurement_deinit(measurement *m);
/* Mean over users where it is defined. */
double measurement_mean(const measurement *m, size_t metric);

/* A user's history out of a matrix row, without hidden items; points into arrays of at least the row's size that the
 * caller gives, and into x->social and x->traits for whom the user follows and what else is known. */
typedef struct history_buffer {
  uint32_t *item;
  float *weight;
  int64_t *time_s;
  size_t capacity;
} history_buffer;
medley_status history_of_row(const interactions *x, uint32_t user, const uint8_t *hidden_item, history_buffer *buffer,
                             history *out, medley_error *err) MEDLEY_CHECK;
void history_buffer_deinit(history_buffer *b);

#endif
