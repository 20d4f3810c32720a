/* eval/metric.h: what a ranking is worth, for one user at a time. Definitions follow the field; each row of the table
 * states its own.
 *
 * A ranking metric sees the ranks of the relevant items in the user's full ranking. Ratings and probabilities have
 * metrics of their own (metric_pairs). Averages are over users.
 */
#ifndef EVAL_METRIC_H
#define EVAL_METRIC_H

#include "base/error.h"
#include "base/rng.h"
#include <stdbool.h>

/* What is known about one user's ranking. */
typedef struct ranking {
  const uint32_t *top; /* [top_count] item indexes, best first */
  size_t top_count;
  const uint32_t *relevant; /* [relevant_count] item indexes, ascending */
  size_t relevant_count;
  size_t candidate_count;        /* items that were ranked */
  const uint32_t *relevant_rank; /* [relevant_count] 0-based rank among all candidates: for AUC, MRR */
  /* for metrics beyond accuracy; may be NULL, then these metrics are not computed */
  const float *popularity;   /* [items] users per item in training */
  double user_count;         /* in training */
  const float *item_vectors; /* [items, item_dim], unit length: for diversity */
  size_t item_dim;
  const float *expected; /* [items] 0 to 1, 1 for what popularity would recommend first: for serendipity */
} ranking;

struct metric_pairs;

/* One of the three functions is set: over one user's ranking, over all users' lists, over predicted and true values. */
typedef struct metric_kind {
  const char *name;       /* "recall", "ndcg", … as in "recall@20" */
  const char *definition; /* one sentence with the formula */
  int needs_k;            /* takes @k */
  int higher_is_better;
  /* NAN when not defined for this user: nothing relevant, or what it needs is not given. k 0 for those without @k; for
   * mrr, k 0 means the whole ranking. */
  double (*compute)(const ranking *r, size_t k);
  double (*over_lists)(const uint32_t *top, size_t user_count, size_t k, size_t item_count);
  double (*over_pairs)(const struct metric_pairs *p);
  int of_ratings; /* over_pairs takes rated values; otherwise truth is 0 or 1 and predictions are probabilities */
} metric_kind;

/* The table, ended by a row with name NULL: precision recall f1 hit ndcg map mrr auc, and arp (mean popularity),
 * novelty, diversity, serendipity; coverage, gini; mae, rmse, accuracy, log-loss, gauc. */
extern const metric_kind metric_kinds[];
const metric_kind *metric_find(const char *name);

/* Over all users' top-k lists [user_count, k] (entries >= item_count are empty places): share of the items that are
 * recommended at all; Gini coefficient of exposure (0: all alike, towards 1: all on one item). NAN when nothing is
 * shown or memory runs out. */
double metric_coverage(const uint32_t *top, size_t user_count, size_t k, size_t item_count);
double metric_gini(const uint32_t *top, size_t user_count, size_t k, size_t item_count);

/* Predicted values against true ones, for ratings and probabilities: mae rmse accuracy log-loss auc gauc. NAN when not
 * defined: no pairs, one class only, a prediction that is NaN, no memory. */
typedef struct metric_pairs {
  const float *predicted, *truth; /* [count]; truth is 0 or 1 for accuracy, log-loss, AUC */
  const uint32_t *group;          /* [count] user, for GAUC; may be NULL */
  size_t count;
} metric_pairs;
double metric_mae(const metric_pairs *p);
double metric_rmse(const metric_pairs *p);
double metric_accuracy(const metric_pairs *p, double threshold);
double metric_log_loss(const metric_pairs *p);
double metric_auc(const metric_pairs *p);  /* ties count half */
double metric_gauc(const metric_pairs *p); /* weighted by the group's size; groups of one class are left out */
/* ROC curve: at most `points` (false positive rate, true positive rate) pairs; returns how many. */
size_t metric_roc(const metric_pairs *p, size_t points, double *false_positive_rate, double *true_positive_rate);

/* Mean of values [count] (NAN left out) with a percentile bootstrap interval over users (Efron 1979).
 * rounds 0: 1000. Parallel; the same for any number of threads. */
typedef struct estimate {
  double mean, lo, hi;
  size_t count;
} estimate;
medley_status bootstrap_mean(const double *values, size_t count, size_t rounds, double confidence, uint64_t seed,
                             estimate *out, medley_error *err) MEDLEY_CHECK;
/* Paired two-sided permutation (sign-flip) test of mean(a - b) = 0: the p value. Pairs with a NAN are left out.
 * rounds 0: 1000. Parallel; the same for any number of threads. */
medley_status paired_test(const double *a, const double *b, size_t count, size_t rounds, uint64_t seed, double *p_value,
                          medley_error *err) MEDLEY_CHECK;

#endif
