/* recommend/esmm.c: clicks, likes and buys as one step after the other, each learned over everything that could have
 * been clicked.
 *
 * Ma et al., "Entire space multi-task model: an effective approach for estimating post-click conversion rate", SIGIR
 * 2018 (equations 1 and 4): of a click y and what follows it z
 *
 *   p(y = 1, z = 1 | x) = p(y = 1 | x) · p(z = 1 | y = 1, x)
 *
 * with one network for each factor over shared vectors, and losses on p(y) and p(y, z) alone, never on clicked pairs by
 * themselves: no sample is biased to what was clicked, and the rare steps share the vectors of the frequent one. Here
 * the chain goes on to buys. A step's logit is log p_g − log(1 − p_g) of the product p_g = σ(x_1) … σ(x_g), and
 * 1 − p_g the sum of the places where the chain may end, which is exact where p_g is near 1.
 */
#include "recommend/feature_model.h"
#include "recommend/kinds.h"

static const recommender_setting esmm_settings[] = {
    FEATURE_FIELD_SETTINGS,
    FEATURE_GOAL_SETTINGS,
    {NULL},
};

static void esmm_init(feature_layers *l, parameters *p) {
  char name[SAFETENSORS_NAME_MAX];
  for (size_t g = 0; g < l->goals; g++) {
    feature_tower_init(l, &l->tower[g], p, layer_name(name, NULL, "steps.%zu", g));
    layer_linear_init(&l->out[g], p, layer_name(name, NULL, "outs.%zu", g), l->hidden / 2, 1, true);
  }
}

static tensor *esmm_forward(tape *t, const feature_layers *l, const feature_rows *x) {
  tensor *logit[GOAL_COUNT], *taken = NULL, *ended = NULL; /* log p_g, 1 − p_g */
  for (size_t g = 0; g < l->goals; g++) {
    tensor *step = layer_linear_forward(t, &l->out[g], feature_tower_forward(t, l, &l->tower[g], x));
    tensor *goes_on = op_neg(t, op_softplus(t, op_neg(t, step))), *ends = op_sigmoid(t, op_neg(t, step));
    ended = g == 0 ? ends : op_add(t, ended, op_mul(t, op_exp(t, taken), ends));
    taken = g == 0 ? goes_on : op_add(t, taken, goes_on);
    logit[g] = op_sub(t, taken, op_log(t, op_affine(t, ended, 1, 1e-30)));
  }
  return feature_side_by_side(t, logit, l->goals);
}

static const feature_network network = {&recommender_esmm, false, esmm_init, esmm_forward};

static medley_status esmm_fit(const recommender_data *data, const double *values, progress_stage *progress,
                              recommender **out, medley_error *err) {
  return feature_fit(&network, data, values, progress, out, err);
}

static medley_status esmm_load(const safetensors *s, const char *prefix, const recommender_data *data,
                               recommender **out, medley_error *err) {
  return feature_load(&network, s, prefix, data, out, err);
}

const recommender_kind recommender_esmm = {
    .name = "esmm",
    .summary = "clicks, then likes, then buys, each a step behind the one before it",
    .source = "Ma et al. 2018 (ESMM)",
    .part = "goals",
    .settings = esmm_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .reads_traits = true,
    .may_read_features = true,
    .by_itself = recommender_only_named,
    .fit = esmm_fit,
    .score = feature_score,
    .describe = feature_describe,
    .save = feature_save,
    .load = esmm_load,
    .free = feature_free,
};
