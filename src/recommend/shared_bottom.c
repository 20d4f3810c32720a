/* recommend/shared_bottom.c: clicks, likes and buys by one network with a head for each.
 *
 * Caruana, "Multitask learning", Machine Learning 1997; as the baseline of Ma et al., KDD 2018 (equation 1):
 *
 *   y_k = h_k(f(x))
 *
 * f, the bottom, is two layers over the fields (feature_model.h), h_k one layer and a number.
 */
#include "recommend/feature_model.h"
#include "recommend/kinds.h"

static const recommender_setting shared_bottom_settings[] = {
    FEATURE_FIELD_SETTINGS,
    FEATURE_GOAL_SETTINGS,
    {NULL},
};

static void shared_bottom_init(feature_layers *l, parameters *p) {
  feature_tower_init(l, &l->tower[0], p, "bottom");
  for (size_t g = 0; g < l->goals; g++) feature_head_init(l, p, g);
}

static tensor *shared_bottom_forward(tape *t, const feature_layers *l, const feature_rows *x) {
  tensor *logit[GOAL_COUNT], *bottom = feature_tower_forward(t, l, &l->tower[0], x);
  for (size_t g = 0; g < l->goals; g++) logit[g] = feature_head_forward(t, l, g, bottom);
  return feature_side_by_side(t, logit, l->goals);
}

static const feature_network network = {&recommender_shared_bottom, false, shared_bottom_init, shared_bottom_forward};

static medley_status shared_bottom_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                       recommender **out, medley_error *err) {
  return feature_fit(&network, data, values, progress, out, err);
}

static medley_status shared_bottom_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                        recommender **out, medley_error *err) {
  return feature_load(&network, s, prefix, data, out, err);
}

const recommender_kind recommender_shared_bottom = {
    .name = "shared_bottom",
    .summary = "clicks, likes and buys at once, by one network with a head for each",
    .source = "Caruana 1997",
    .part = "goals",
    .settings = shared_bottom_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .reads_traits = true,
    .may_read_features = true,
    .by_itself = recommender_only_named,
    .fit = shared_bottom_fit,
    .score = feature_score,
    .describe = feature_describe,
    .save = feature_save,
    .load = shared_bottom_load,
    .free = feature_free,
};
