/* recommend/ple.c: clicks, likes and buys by experts of each goal and experts that are shared, in two levels.
 *
 * Tang et al., "Progressive layered extraction (PLE): a novel multi-task learning model for personalized
 * recommendations", RecSys 2020. In a level, goal k listens to its own experts E_k and the shared ones E_s, the shared
 * side to all (equations 1 to 3 for the first level, 6 for those behind):
 *
 *   g^k(x) = w^k(x) S^k(x),   w^k(x) = softmax(W_gk x),   S^k(x) = [E_k,1 …, E_s,1 …]
 *   y^k = t^k(g^k,2(x)),      level 2: E_k over g^k,1(x), E_s over the shared g^s,1(x), gate k by g^k,1(x)
 *
 * Private experts keep what helps one goal from being learned away by another; `experts` is how many each side has. An
 * expert of the first level is two layers over the fields, of the second one layer (feature_model.h). The last level
 * needs no shared gate.
 */
#include "recommend/feature_model.h"
#include "recommend/kinds.h"

static const recommender_setting ple_settings[] = {
    FEATURE_FIELD_SETTINGS,
    FEATURE_GOAL_SETTINGS,
    {"experts", "networks of each goal, and as many that are shared", 2, 1, FEATURE_EXPERTS_MAX, NULL, 0},
    {NULL},
};

/* Sides are the goals and, behind them, the shared one; side s has experts [s · experts, (s + 1) · experts). */
static void ple_init(feature_layers *l, parameters *p) {
  char name[SAFETENSORS_NAME_MAX];
  size_t sides = l->goals + 1, all = sides * l->experts, width = l->hidden / 2;
  for (size_t e = 0; e < all; e++) {
    feature_tower_init(l, &l->tower[e], p, layer_name(name, NULL, "experts.%zu", e));
    layer_linear_init(&l->inner[e], p, layer_name(name, NULL, "inner.%zu", e), width, width, true);
  }
  for (size_t s = 0; s < sides; s++)
    feature_gate_init(l, &l->gate[s], p, layer_name(name, NULL, "gates.%zu", s), s < l->goals ? 2 * l->experts : all);
  for (size_t g = 0; g < l->goals; g++) {
    layer_linear_init(&l->inner_gate[g], p, layer_name(name, NULL, "inner_gates.%zu", g), width, 2 * l->experts, true);
    feature_head_init(l, p, g);
  }
}

/* A goal's own experts and the shared ones side by side. */
static void experts_of(const feature_layers *l, tensor *const *expert, size_t goal, tensor **out) {
  for (size_t e = 0; e < l->experts; e++) {
    out[e] = expert[goal * l->experts + e];
    out[l->experts + e] = expert[l->goals * l->experts + e];
  }
}

static tensor *ple_forward(tape *t, const feature_layers *l, const feature_rows *x) {
  tensor *expert[FEATURE_TOWERS_MAX], *seen[2 * FEATURE_EXPERTS_MAX], *side[GOAL_COUNT + 1], *logit[GOAL_COUNT];
  size_t all = (l->goals + 1) * l->experts;
  for (size_t e = 0; e < all; e++) expert[e] = feature_tower_forward(t, l, &l->tower[e], x);
  for (size_t g = 0; g < l->goals; g++) {
    experts_of(l, expert, g, seen);
    side[g] = feature_mix(t, feature_gate_forward(t, &l->gate[g], x), seen, 2 * l->experts);
  }
  side[l->goals] = feature_mix(t, feature_gate_forward(t, &l->gate[l->goals], x), expert, all);
  for (size_t e = 0; e < all; e++) expert[e] = op_relu(t, layer_linear_forward(t, &l->inner[e], side[e / l->experts]));
  for (size_t g = 0; g < l->goals; g++) {
    experts_of(l, expert, g, seen);
    tensor *gate = op_softmax(t, layer_linear_forward(t, &l->inner_gate[g], side[g]));
    logit[g] = feature_head_forward(t, l, g, feature_mix(t, gate, seen, 2 * l->experts));
  }
  return feature_side_by_side(t, logit, l->goals);
}

static const feature_network network = {&recommender_ple, false, ple_init, ple_forward};

static medley_status ple_fit(const recommender_data *data, const double *values, progress_stage *progress,
                             recommender **out, medley_error *err) {
  return feature_fit(&network, data, values, progress, out, err);
}

static medley_status ple_load(const safetensors *s, const char *prefix, const recommender_data *data, recommender **out,
                              medley_error *err) {
  return feature_load(&network, s, prefix, data, out, err);
}

const recommender_kind recommender_ple = {
    .name = "ple",
    .summary = "clicks, likes and buys at once, by experts of each goal and shared ones",
    .source = "Tang et al. 2020",
    .part = "goals",
    .settings = ple_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .reads_traits = true,
    .may_read_features = true,
    .by_itself = recommender_only_named,
    .fit = ple_fit,
    .score = feature_score,
    .describe = feature_describe,
    .save = feature_save,
    .load = ple_load,
    .free = feature_free,
};
