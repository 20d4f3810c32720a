/* recommend/mmoe.c: clicks, likes and buys by experts that each goal listens to in its own way.
 *
 * Ma et al., "Modeling task relationships in multi-task learning with multi-gate mixture-of-experts", KDD 2018
 * (equations 6 and 7):
 *
 *   y_k = h_k(f^k(x)),   f^k(x) = Σ_i g^k(x)_i f_i(x),   g^k(x) = softmax(W_gk x)
 *
 * An expert f_i is two layers over the fields, a tower h_k one layer and a number (feature_model.h).
 */
#include "recommend/feature_model.h"
#include "recommend/kinds.h"

static const recommender_setting mmoe_settings[] = {
    FEATURE_FIELD_SETTINGS,
    FEATURE_GOAL_SETTINGS,
    {"experts", "networks that all goals share", 4, 1, FEATURE_EXPERTS_MAX, NULL, 0},
    {NULL},
};

static void mmoe_init(feature_layers *l, parameters *p) {
  char name[SAFETENSORS_NAME_MAX];
  for (size_t e = 0; e < l->experts; e++)
    feature_tower_init(l, &l->tower[e], p, layer_name(name, NULL, "experts.%zu", e));
  for (size_t g = 0; g < l->goals; g++) {
    feature_gate_init(l, &l->gate[g], p, layer_name(name, NULL, "gates.%zu", g), l->experts);
    feature_head_init(l, p, g);
  }
}

static tensor *mmoe_forward(tape *t, const feature_layers *l, const feature_rows *x) {
  tensor *logit[GOAL_COUNT], *expert[FEATURE_EXPERTS_MAX];
  for (size_t e = 0; e < l->experts; e++) expert[e] = feature_tower_forward(t, l, &l->tower[e], x);
  for (size_t g = 0; g < l->goals; g++) {
    tensor *heard = feature_mix(t, feature_gate_forward(t, &l->gate[g], x), expert, l->experts);
    logit[g] = feature_head_forward(t, l, g, heard);
  }
  return feature_side_by_side(t, logit, l->goals);
}

static const feature_network network = {&recommender_mmoe, false, mmoe_init, mmoe_forward};

static medley_status mmoe_fit(const recommender_data *data, const double *values, progress_stage *progress,
                              recommender **out, medley_error *err) {
  return feature_fit(&network, data, values, progress, out, err);
}

static medley_status mmoe_load(const safetensors *s, const char *prefix, const recommender_data *data,
                               recommender **out, medley_error *err) {
  return feature_load(&network, s, prefix, data, out, err);
}

const recommender_kind recommender_mmoe = {
    .name = "mmoe",
    .summary = "clicks, likes and buys at once, by experts that each goal weighs in its own way",
    .source = "Ma et al. 2018 (MMoE)",
    .part = "goals",
    .settings = mmoe_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .reads_traits = true,
    .may_read_features = true,
    .by_itself = recommender_only_named,
    .fit = mmoe_fit,
    .score = feature_score,
    .describe = feature_describe,
    .save = feature_save,
    .load = mmoe_load,
    .free = feature_free,
};
