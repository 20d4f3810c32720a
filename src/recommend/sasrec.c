/* recommend/sasrec.c: what comes next, by causal self-attention over what came before.
 *
 * Kang & McAuley, "Self-attentive sequential recommendation", ICDM 2018: vectors of the newest items with learnt
 * places, blocks of attention and two linear layers as wide as a vector, a last norm; the score of an item is the
 * product with its vector. What differs: places count from the newest event backwards in packed rows, where the paper
 * pads on the left, which is the same; queries, keys and values are all of the normed row (the usual pre-norm block);
 * the loss is a sampled softmax unless `loss` says BCE with one drawn item, which is the paper's and needs several
 * times as many epochs; items with content are known by it (sequence_model.h).
 */
#include "recommend/kinds.h"
#include "recommend/sequence_model.h"

static const recommender_setting sasrec_settings[] = {
    SEQUENCE_SETTINGS(0.5, 40, 2),
    {"heads", "of the attention; the width is shared out among them", 2, 1, 16, NULL, 0},
    {NULL},
};

static void sasrec_init(sequence_layers *l, parameters *p, size_t length) {
  char name[SAFETENSORS_NAME_MAX];
  transformer_options options = {.width = l->dim,
                                 .heads = l->heads,
                                 .feed_forward = l->dim,
                                 .norm_first = true,
                                 .activation = activation_find("relu"),
                                 .dropout = l->dropout};
  layer_embedding_init(&l->place, p, "place", length, l->dim, 0.02, false);
  for (size_t k = 0; k < l->count; k++)
    layer_transformer_init(&l->block[k], p, layer_name(name, NULL, "blocks.%zu", k), &options);
  l->norm_weight = parameters_add(p, "norm", "weight", PARAMETER_PLAIN, (initial){INITIAL_CONSTANT, 1}, 1, &l->dim);
  l->norm_bias = parameters_add(p, "norm", "bias", PARAMETER_PLAIN, (initial){INITIAL_ZERO, 0}, 1, &l->dim);
}

static tensor *sasrec_forward(tape *t, const sequence_layers *l, tensor *x, tensor *starts) {
  attention_options seen = {.starts = starts, .causal = true};
  for (size_t k = 0; k < l->count; k++) x = layer_transformer_forward(t, &l->block[k], x, &seen, NULL, NULL);
  return op_layer_norm(t, x, l->norm_weight, l->norm_bias, 1e-5);
}

static const sequence_network network = {&recommender_sasrec, sasrec_init, sasrec_forward};

static medley_status sasrec_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                recommender **out, medley_error *err) {
  return sequence_fit(&network, data, values, progress, out, err);
}

static medley_status sasrec_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                 recommender **out, medley_error *err) {
  return sequence_load(&network, s, prefix, data, out, err);
}

const recommender_kind recommender_sasrec = {
    .name = "sasrec",
    .summary = "what comes next, by self-attention over the history and by content",
    .source = "Kang & McAuley 2018",
    .part = "sequence",
    .settings = sasrec_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .may_read_features = true,
    .needs_time = true,
    .by_itself = recommender_only_named,
    .fit = sasrec_fit,
    .score = sequence_score,
    .save = sequence_save,
    .load = sasrec_load,
    .free = sequence_free,
};
