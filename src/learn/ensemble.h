/* learn/ensemble.h: how the scores of several models become one ranking.
 *
 * Every kind ends in a sum over models, so that the answer explains itself by parts: what differs is what is summed
 * (standardised scores, or votes by rank) and how the weights are found. The scores that weights are found on are those
 * of models that were fitted without the held-out events (out-of-fold, as stacking wants them; Wolpert 1992).
 */
#ifndef LEARN_ENSEMBLE_H
#define LEARN_ENSEMBLE_H

#include "learn/weights.h"
#include "recommend/votes.h"

typedef struct ensemble_kind {
  const char *name;
  const char *summary;
  const char *source;     /* the paper */
  const vote_kind *votes; /* what is summed; NULL: standardised scores */
  /* Weights [p->column_count] >= 0 of the columns, found on the chosen users of p; all zero when no column helps. NULL:
   * the kind chooses among the others. */
  medley_status (*weigh)(const weights_problem *p, float *weight, medley_error *err);
} ensemble_kind;

extern const ensemble_kind *const ensemble_kinds[]; /* ended by NULL; the first is the usual one */
const ensemble_kind *ensemble_kind_find(const char *name);

extern const ensemble_kind ensemble_weighted, ensemble_borda, ensemble_rrf, ensemble_ridge, ensemble_selection,
    ensemble_auto;

/* What a kind reaches on users it was not weighed on. */
typedef struct ensemble_trial {
  const ensemble_kind *kind;
  double reached;        /* (Recall@20 + NDCG@20) / 2, mean over users */
  double better, spread; /* than the first kind, mean over users, and its standard error */
} ensemble_trial;

#define ENSEMBLE_KINDS_MAX 16

/* values [p->user_count]: of each user the objective under weights that were found on the users outside their fold. */
medley_status ensemble_held_out(const ensemble_kind *kind, const weights_problem *p, double *values,
                                medley_error *err) MEDLEY_CHECK;
/* Which of trials [count] to take, by values [count][users]: the best, but the first unless another is better by more
 * than chance would make it. Fills the figures. */
size_t ensemble_choose(ensemble_trial *trials, size_t count, double *const *values, size_t users);

#endif
