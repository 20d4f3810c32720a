/* learn/ensemble.h: how the scores of several models become one ranking.
 *
 * Every kind ends in a sum over models, so that the answer explains itself by parts: what differs is what is summed
 * (standardised scores, or votes by rank) and how the weights are found. The scores that weights are found on are those
 * of models that were fitted without the held-out events (out-of-fold, as stacking wants them; Wolpert 1992).
 */
#ifndef LEARN_ENSEMBLE_H
#define LEARN_ENSEMBLE_H

#include "learn/weights.h"
#include "recommend/rerank.h"
#include "recommend/votes.h"

/* What a kind that corrects a sum learns from; borrowed. */
typedef struct ensemble_rows {
  const measure_task *task;      /* the users of both problems, in their order */
  const weights_problem *narrow; /* columns: the scores of every model */
  weights_problem *wide;         /* and their places among all items, negative, and one of zeros for corrections */
  size_t model_count;
  const uint8_t *personal; /* [model_count] 0: it says the same to everybody */
  uint64_t seed;
} ensemble_rows;

typedef struct ensemble_kind {
  const char *name;
  const char *summary;
  const char *source;     /* the paper */
  const vote_kind *votes; /* what is summed; NULL: standardised scores */
  /* Weights [p->column_count] >= 0 of the columns, found on the chosen users of p; all zero when no column helps. NULL:
   * the kind chooses among the others. */
  medley_status (*weigh)(const weights_problem *p, float *weight, medley_error *err);
  /* Trees, and the models they look at, into `out`, which knows the items already; no trees where they are no help. The
   * sum that they correct has `weight`; NULL: it is only tried. held_out [users] (may be NULL): as of
   * ensemble_held_out. NULL: the kind corrects nothing. */
  medley_status (*rerank)(ensemble_rows *rows, const float *weight, rerank *out, double *held_out, medley_error *err);
} ensemble_kind;

extern const ensemble_kind *const ensemble_kinds[]; /* ended by NULL; the first is the usual one */
const ensemble_kind *ensemble_kind_find(const char *name);

extern const ensemble_kind ensemble_weighted, ensemble_borda, ensemble_rrf, ensemble_ridge, ensemble_selection,
    ensemble_xgboost, ensemble_auto;

/* What a kind reaches on users it was not weighed on. */
typedef struct ensemble_trial {
  const ensemble_kind *kind;
  double reached;        /* (Recall@20 + NDCG@20) / 2, mean over users */
  double better, spread; /* than the first kind, mean over users, and its standard error */
} ensemble_trial;

#define ENSEMBLE_KINDS_MAX 16

#define ENSEMBLE_FOLDS 4
/* The users in an order drawn at random, twice over: fold f are order[f * users / FOLDS …], and as many from its end on
 * as are not in it are the others. *order is the caller's. */
medley_status ensemble_folds(size_t users, uint32_t **order, medley_error *err) MEDLEY_CHECK;

/* values [p->user_count]: of each user the objective under weights that were found on the users outside their fold. */
medley_status ensemble_held_out(const ensemble_kind *kind, const weights_problem *p, double *values,
                                medley_error *err) MEDLEY_CHECK;
/* Which of trials [count] to take, by values [count][users]: the best, but the first unless another is better by more
 * than chance would make it. Fills the figures. */
size_t ensemble_choose(ensemble_trial *trials, size_t count, double *const *values, size_t users);

#endif
