/* encode/text_transformer.c: a text as the mean of its words after each has looked at all others (Vaswani et al. 2017).
 *
 * Small on purpose: two blocks of width 64. A catalogue teaches too little for more, and each word has been seen a few
 * times at most. Norms stand before attention ("pre-norm"), which trains without a long warm-up.
 */
#include "encode/text_network.h"

enum { WIDTH = 64, HEADS = 4 };
#define DROPOUT 0.1
#define DEVIATION 0.1 /* of the first embeddings; of positions a tenth of it: words say more than places */

static void transformer_init(text_layers *l, parameters *p, size_t dim) {
  layer_embedding_init(&l->words, p, "words", TEXT_NETWORK_WORDS, WIDTH, DEVIATION, true);
  layer_embedding_init(&l->places, p, "places", TEXT_NETWORK_LENGTH, WIDTH, DEVIATION / 10, false);
  char name[SAFETENSORS_NAME_MAX];
  for (int i = 0; i < TEXT_NETWORK_BLOCKS; i++)
    layer_transformer_init(
        &l->blocks[i], p, layer_name(name, "blocks", "%d", i),
        &(transformer_options){.width = WIDTH, .heads = HEADS, .norm_first = true, .dropout = DROPOUT});
  l->norm_weight =
      parameters_add(p, "norm", "weight", PARAMETER_PLAIN, (initial){INITIAL_CONSTANT, 1}, 1, (size_t[]){WIDTH});
  l->norm_bias = parameters_add(p, "norm", "bias", PARAMETER_PLAIN, (initial){INITIAL_ZERO, 0}, 1, (size_t[]){WIDTH});
  layer_linear_init(&l->out, p, "out", WIDTH, dim, true);
}

/* [batch, length, 1]: what each word counts in its text's mean; 0 behind the end. */
static tensor *shares(tape *t, const tensor *lengths, size_t length) {
  size_t batch = lengths->shape[0];
  tensor *share = tape_empty(t, 3, (size_t[]){batch, length, 1});
  for (size_t b = 0; share != NULL && b < batch; b++) {
    size_t own = (size_t)index_data(lengths)[b];
    for (size_t i = 0; i < length; i++) real_data(share)[b * length + i] = i < own ? 1 / (real)own : 0;
  }
  return share;
}

static tensor *transformer_forward(tape *t, const text_layers *l, tensor *ids, tensor *lengths) {
  if (ids == NULL || lengths == NULL) return NULL;
  size_t length = ids->shape[1];
  attention_options seen = {.lengths = lengths};
  tensor *x = op_add(t, layer_embedding_forward(t, &l->words, ids), op_slice(t, l->places.weight, 0, 0, length));
  for (int i = 0; i < TEXT_NETWORK_BLOCKS; i++) x = layer_transformer_forward(t, &l->blocks[i], x, &seen, NULL, NULL);
  x = op_layer_norm(t, x, l->norm_weight, l->norm_bias, 1e-5);
  return layer_linear_forward(t, &l->out, op_sum(t, op_mul(t, x, shares(t, lengths, length)), 1));
}

static const text_network_kind network = {&encoder_text_transformer, transformer_init, transformer_forward};

static medley_status transformer_create(uint64_t seed, size_t dim, encoder **out, medley_error *err) {
  return text_network_create(&network, seed, dim, out, err);
}

static medley_status transformer_load(const safetensors *s, const char *prefix, encoder **out, medley_error *err) {
  return text_network_load(&network, s, prefix, out, err);
}

const encoder_kind encoder_text_transformer = {
    .name = "text.transformer",
    .summary = "two transformer blocks over words, trained on the catalogue",
    .modality = MODALITY_TEXT,
    .version = 1,
    .needs_fit = true,
    .create = transformer_create,
    .fit = text_network_fit,
    .keep = text_network_keep,
    .narrow = text_network_narrow,
    .precision = text_network_precision,
    .dim = text_network_dim,
    .encode = text_network_encode,
    .save = text_network_save,
    .load = transformer_load,
    .free = text_network_free,
};
