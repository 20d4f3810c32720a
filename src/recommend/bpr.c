/* recommend/bpr.c: matrix factorisation whose order is learned, pair by pair.
 *
 * Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009: x_ui = u·h_i + b_i, trained as
 * bpr_sgd.h says. What differs from the paper:
 *
 *   people     a model keeps no vector of a person. The trained ones are thrown away; a history is answered with the
 *              least-squares vector of fold_in.h over the learned items, whose α₀, λ and scale are those that come
 * nearest to what the trained vectors say, for a sample of people. It is linear in the history, so scores divide.
 *   negatives  evenly as in the paper, or as often as they are chosen (`popular`), or the hardest of several draws
 *              (`draws`; Zhang et al., "Optimizing top-N collaborative filtering via dynamic negative item sampling",
 *              SIGIR 2013); both may be combined.
 *   positives  as often as they were chosen, or those of popular items less often (`balance`).
 *   rate       falls linearly to a tenth over the epochs.
 */
#include "recommend/bpr_sgd.h"
#include "recommend/kinds.h"

enum { REGULARISATION, DRAWS, POPULAR, RATE, DIM, EPOCHS, BALANCE };

static const double regularisations[] = {0.003, 0.01, 0.03};
static const double drawses[] = {1, 4};
static const double populars[] = {0, 0.5};
static const recommender_setting bpr_settings[] = {
    {"regularisation", "λ", 0.01, 0, 10, regularisations, 3},
    {"draws", "negatives drawn, of which the hardest is taken", 4, 1, BPR_DRAWS_MAX, drawses, 2},
    {"popular", "share of negatives that are drawn as often as they are chosen", 0, 0, 1, populars, 2},
    {"rate", "learning rate", 0.05, 1e-5, 1, NULL, 0},
    {"dim", "dimensions of the factors", 64, 8, FOLD_IN_DIM_MAX, NULL, 0},
    {"epochs", "times as many triples are drawn as there are events", 50, 1, 10000, NULL, 0},
    {"balance", "how much events of popular items are under-sampled", 0, 0, 1, NULL, 0},
    {NULL},
};

static medley_status bpr_fit(const recommender_data *data, const double *values, progress_stage *progress,
                             recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bpr_training t;
  int epochs = (int)values[EPOCHS];
  TRY(bpr_training_init(&t, data->train, (size_t)values[DIM], 0, data->seed, err));
  t.shrinkage = (float)values[REGULARISATION];
  t.popular = (float)values[POPULAR];
  t.draws = (int)values[DRAWS];
  TRY(bpr_balance(&t, values[BALANCE], err));
  for (int e = 0; e < epochs; e++) {
    t.rate = (float)(values[RATE] * (1 - 0.9 * e / epochs));
    bpr_epoch(&t, e, 1, NULL, NULL);
    if (progress != NULL) TRY(progress_update(progress, 0, err));
  }
  TRY(bpr_model_create(&recommender_bpr, &t, out, err));
done:
  bpr_training_deinit(&t);
  return status;
}

static medley_status bpr_load(const safetensors *s, const char *prefix, const recommender_data *data, recommender **out,
                              medley_error *err) {
  return fold_in_load(&recommender_bpr, true, s, prefix, data, out, err);
}

const recommender_kind recommender_bpr = {
    .name = "bpr",
    .summary = "factors learned from pairs of chosen and other items",
    .source = "Rendle et al. 2009",
    .part = "taste",
    .settings = bpr_settings,
    .needs_history = true,
    .by_itself = recommender_only_named,
    .fit = bpr_fit,
    .score = fold_in_score,
    .trace = fold_in_trace,
    .describe = bpr_describe,
    .save = fold_in_save,
    .load = bpr_load,
    .free = fold_in_free,
};
