/* learn/ensemble_selection.c: the best single model on the held-out events, and nothing else: the baseline that every
 * ensemble has to beat. */
#include "learn/ensemble.h"

static medley_status weigh(const weights_problem *p, float *weight, medley_error *err) {
  (void)err;
  weights_single(p, weight);
  return MEDLEY_OK;
}

const ensemble_kind ensemble_selection = {
    .name = "selection",
    .summary = "the single model that is best on validation",
    .weigh = weigh,
};
