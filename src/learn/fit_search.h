/* learn/fit_search.h: the settings of one model by search (learn/tuner.h), within its part of a budget. */
#ifndef LEARN_FIT_SEARCH_H
#define LEARN_FIT_SEARCH_H

#include "learn/fit.h"

/* (Recall@20 + NDCG@20) / 2 of a fitted model: what settings are chosen by. */
medley_status fit_objective(const measure_task *task, const recommender *model, double *objective,
                            medley_error *err) MEDLEY_CHECK;

/* Borrowed. */
typedef struct fit_subject {
  const recommender_kind *kind;
  const recommender_data *data; /* what it is fitted on */
  const measure_task *task;
  const char *problem; /* [HASH_HEX_BYTES] what the trials of other runs must have been about */
  const bool *settled; /* [settings] */
  const double *start; /* [settings] */
  double ends_s;       /* clock_now_s when its part of the budget is spent; INFINITY: never */
} fit_subject;

typedef struct fit_found {
  recommender *model; /* fitted on the data with the values; the caller's. NULL: no trial came to anything */
  double values[RECOMMENDER_SETTINGS_MAX];
  double objective;
  json_t *trials; /* as fit_model.trials; the caller's */
} fit_found;

/* At least one trial is made. One that takes twice as long as what was left of the model's part of the budget is broken
 * off and counts as hopeless; so may be all of a model that is too slow for the budget. */
medley_status fit_search_model(const fit_search *how, const fit_subject *subject, const medley_progress *progress,
                               fit_found *out, medley_error *err) MEDLEY_CHECK;

#endif
