/* encode/text_cnn.c: a text as what it says best to each of many filters over neighbouring words (Kim 2014). */
#include "encode/text_network.h"

enum { WORD_DIM = 64, FILTERS = 96 };

static void cnn_init(text_layers *l, parameters *p, size_t dim) {
  layer_text_cnn_init(&l->cnn, p, "cnn", TEXT_NETWORK_WORDS, WORD_DIM, FILTERS);
  layer_linear_init(&l->out, p, "out", 3 * FILTERS, dim, true);
}

static tensor *cnn_forward(tape *t, const text_layers *l, tensor *ids, tensor *lengths) {
  (void)lengths; /* the network sees where a text ends */
  return layer_linear_forward(t, &l->out, op_dropout(t, layer_text_cnn_forward(t, &l->cnn, ids), 0.1));
}

static const text_network_kind network = {&encoder_text_cnn, cnn_init, cnn_forward};

static medley_status cnn_create(uint64_t seed, size_t dim, encoder **out, medley_error *err) {
  return text_network_create(&network, seed, dim, out, err);
}

static medley_status cnn_load(const safetensors *s, const char *prefix, encoder **out, medley_error *err) {
  return text_network_load(&network, s, prefix, out, err);
}

const encoder_kind encoder_text_cnn = {
    .name = "text.cnn",
    .summary = "a convolutional network over words, trained on the catalogue",
    .modality = MODALITY_TEXT,
    .version = 1,
    .needs_fit = true,
    .create = cnn_create,
    .fit = text_network_fit,
    .keep = text_network_keep,
    .narrow = text_network_narrow,
    .precision = text_network_precision,
    .dim = text_network_dim,
    .encode = text_network_encode,
    .prepare = text_network_prepare,
    .save = text_network_save,
    .load = cnn_load,
    .free = text_network_free,
};
