/* recommend/deepfm.c: whether a person takes an item, by a factorisation machine and a network over the same fields.
 *
 * Guo et al., "DeepFM: a factorization-machine based neural network for CTR prediction", IJCAI 2017:
 *
 *   y = y_FM + y_DNN                               (equation 1, before its sigmoid)
 *   y_FM = ⟨w, x⟩ + Σ_a<b ⟨V_a, V_b⟩ x_a x_b       (equation 2)
 *   y_DNN = W a + b over layers of all fields      (equations 3 and 4)
 *
 * The pairs of fields are ½ (|Σ V|² − Σ |V|²) (Rendle 2010). What differs: fields that are lists (a history, tags,
 * content) come as one vector each (feature_model.h), so ⟨w, x⟩ is read off the fields' vectors by one layer; the
 * network is told the products of both sides as well.
 */
#include "recommend/feature_model.h"
#include "recommend/kinds.h"

static const recommender_setting deepfm_settings[] = {
    FEATURE_FIELD_SETTINGS,
    {"goal", "what is learned, where there are several goals: 0: any event; 1: likes and buys; 2: buys", 0, 0, 2, NULL,
     0},
    {NULL},
};

static void deepfm_init(feature_layers *l, parameters *p) {
  layer_linear_init(&l->order_person, p, "order.person", l->person_fields * l->dim, 1, false);
  layer_linear_init(&l->order_item, p, "order.item", l->item_fields * l->dim, 1, true);
  feature_tower_init(l, &l->tower[0], p, "deep");
  layer_linear_init(&l->out[0], p, "out", l->hidden / 2, 1, true);
}

/* Of vectors [n, fields · dim] and their sum [n, dim]: ½ (|Σ V|² − Σ |V|²), [n, 1]. */
static tensor *pairs_within(tape *t, tensor *x, tensor *sum) {
  if (x == NULL || sum == NULL) return NULL;
  tensor *y = op_sub(t, op_sum(t, op_square(t, sum), 1), op_sum(t, op_square(t, x), 1));
  return op_reshape(t, op_affine(t, y, 0.5, 0), 2, (size_t[]){x->shape[0], 1});
}

/* Pairs within the person, within the item, and across, which are ⟨p̂, v̂⟩. */
static tensor *deepfm_forward(tape *t, const feature_layers *l, const feature_rows *x) {
  tensor *person =
      op_add(t, layer_linear_forward(t, &l->order_person, x->person), pairs_within(t, x->person, x->person_sum));
  tensor *item = op_add(t, layer_linear_forward(t, &l->order_item, x->item), pairs_within(t, x->item, x->item_sum));
  tensor *across = op_reshape(t, op_sum(t, x->product, 1), 2, (size_t[]){x->rows, 1});
  tensor *deep = layer_linear_forward(t, &l->out[0], feature_tower_forward(t, l, &l->tower[0], x));
  return op_add(t, op_add(t, deep, across), op_add(t, item, feature_spread(t, x, person)));
}

static const feature_network network = {&recommender_deepfm, true, deepfm_init, deepfm_forward};

static medley_status deepfm_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                recommender **out, medley_error *err) {
  return feature_fit(&network, data, values, progress, out, err);
}

static medley_status deepfm_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                 recommender **out, medley_error *err) {
  return feature_load(&network, s, prefix, data, out, err);
}

const recommender_kind recommender_deepfm = {
    .name = "deepfm",
    .summary = "what is taken, by pairs of features of person and item and a network over them",
    .source = "Guo et al. 2017",
    .part = "goals",
    .settings = deepfm_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .reads_traits = true,
    .may_read_features = true,
    .by_itself = recommender_only_named,
    .fit = deepfm_fit,
    .score = feature_score,
    .describe = feature_describe,
    .save = feature_save,
    .load = deepfm_load,
    .free = feature_free,
};
