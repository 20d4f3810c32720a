/* learn/weights.h: the weights of a sum of score columns, chosen so that held-out items rank high.
 *
 * Scores are computed once for a sample of users, cut to the items that any column ranks high, and kept; trying a set
 * of weights then costs milliseconds, so a direct search over the real metric is possible where a smooth surrogate loss
 * would be the usual way out.
 */
#ifndef LEARN_WEIGHTS_H
#define LEARN_WEIGHTS_H

#include "learn/measure.h"
#include "recommend/blend.h"

#define WEIGHTS_MAX (2 * BLEND_PARTS_MAX + 1) /* scores and places of every model, and corrections */
#define WEIGHTS_ROWS_MAX 8192                 /* of a user */

/* Fills columns [column_count][items] for one user. Thread-safe. */
typedef medley_status (*weights_columns)(const void *context, const history *h, recommender_scratch *scratch,
                                         float *columns, medley_error *err);

typedef struct weights_problem {
  size_t column_count, user_count;
  size_t *start;            /* [user_count + 1] rows of each user */
  float *columns;           /* of each user, at start[u] · column_count: [column_count, rows of the user] */
  uint32_t *item;           /* [start[user_count]] whose row it is */
  uint8_t *relevant;        /* [start[user_count]] */
  uint32_t *relevant_count; /* [user_count] all relevant items, kept or not */
  uint16_t *near; /* [user_count, 20] rows of each user that were listed before: any different ones do, and near ones
                     are faster. Written while weights are tried, one search at a time; NULL: it takes longer */
  const uint32_t *chosen; /* [chosen_count] users that count, borrowed; NULL: all */
  size_t chosen_count;
} weights_problem;

/* keep: how many of the best items of each column stay, per user. */
medley_status weights_problem_build(const measure_task *task, weights_columns fill, const void *context,
                                    size_t column_count, size_t keep, weights_problem *out,
                                    medley_error *err) MEDLEY_CHECK;
void weights_problem_deinit(weights_problem *p);

/* The same rows of the same task with only those items relevant that have `value` in `in` [items]. Borrows from `of`,
 * which must outlive it. */
medley_status weights_view_make(const weights_problem *of, const measure_task *task, const uint8_t *in, uint8_t value,
                                weights_problem *out, medley_error *err) MEDLEY_CHECK;
void weights_view_deinit(weights_problem *view);

/* Only the rows of those items, and nothing else is relevant. Its own: weights_problem_deinit. */
medley_status weights_part_make(const weights_problem *of, const measure_task *task, const uint8_t *in, uint8_t value,
                                weights_problem *out, medley_error *err) MEDLEY_CHECK;

/* (Recall@20 + NDCG@20) / 2, mean over users; also both alone when the pointers are not NULL. */
double weights_objective(const weights_problem *p, const float *weight, double *recall, double *ndcg);

/* The mean of both for each of users [count], into value [p->user_count] at their own place. users NULL: the first. */
void weights_users(const weights_problem *p, const float *weight, const uint32_t *users, size_t count, double *value);

/* How much more b is than a, place by place of users [count] (NULL: the first). */
typedef struct weights_gap {
  double mean, error_square; /* its standard error, squared */
} weights_gap;
weights_gap weights_compare(const double *a, const double *b, const uint32_t *users, size_t count);

/* The weight 1 for the column that is best by itself, on the chosen users; none when no column helps. */
void weights_single(const weights_problem *p, float *weight);

/* Coordinate search from the best single column. weight [column_count] >= 0, summing to 1 (all zero when no column
 * helps). Columns whose removal costs nothing that can be told from noise are removed. Returns the objective reached.
 */
double weights_search(const weights_problem *p, float *weight);

/* What searches on parts of the data found: the sum of their weights, and how much better than what they reach on other
 * parts the column is that was best by itself on its own part: the means over users, their squared errors, and how many
 * there are. */
typedef struct weights_votes {
  float sum[WEIGHTS_MAX];
  double single_better, error_square;
  size_t count;
} weights_votes;

/* Searches on `mine` and tries on `other`, of the same columns. */
medley_status weights_vote(const weights_problem *mine, const weights_problem *other, weights_votes *v,
                           medley_error *err) MEDLEY_CHECK;
/* The mean of the votes, far steadier than one search on all; where a single column is better on the other parts by
 * more than a standard error, the best of p alone has the weight 1. */
void weights_settle(const weights_problem *p, const weights_votes *v, float *weight);

/* Weights that hold beyond the users they were searched on: votes of random halves of the chosen ones. Deterministic.
 */
medley_status weights_choose(const weights_problem *p, float *weight, medley_error *err) MEDLEY_CHECK;

#endif
