/* encode/text_gru.c: a text as what a GRU remembers of it, read in both directions. */
#include "encode/text_network.h"

enum { WORD_DIM = 64, HIDDEN = 96 };

static void gru_init(text_layers *l, parameters *p, size_t dim) {
  layer_embedding_init(&l->words, p, "words", TEXT_NETWORK_WORDS, WORD_DIM, 0.1, true);
  layer_gru_init(&l->recurrent, p, "gru",
                 &(layer_recurrent_options){.in = WORD_DIM, .hidden = HIDDEN, .both_directions = true});
  layer_linear_init(&l->out, p, "out", 2 * HIDDEN, dim, true);
}

static tensor *gru_forward(tape *t, const text_layers *l, tensor *ids, tensor *lengths) {
  tensor *said = layer_recurrent_forward(t, &l->recurrent, layer_embedding_forward(t, &l->words, ids), lengths);
  said = layer_recurrent_last(t, &l->recurrent, said, lengths);
  return layer_linear_forward(t, &l->out, op_dropout(t, said, 0.1));
}

static const text_network_kind network = {&encoder_text_gru, gru_init, gru_forward};

static medley_status gru_create(uint64_t seed, size_t dim, encoder **out, medley_error *err) {
  return text_network_create(&network, seed, dim, out, err);
}

static medley_status gru_load(const safetensors *s, const char *prefix, encoder **out, medley_error *err) {
  return text_network_load(&network, s, prefix, out, err);
}

const encoder_kind encoder_text_gru = {
    .name = "text.gru",
    .summary = "a recurrent network over words in both directions, trained on the catalogue",
    .modality = MODALITY_TEXT,
    .version = 1,
    .needs_fit = true,
    .create = gru_create,
    .fit = text_network_fit,
    .keep = text_network_keep,
    .narrow = text_network_narrow,
    .precision = text_network_precision,
    .dim = text_network_dim,
    .encode = text_network_encode,
    .prepare = text_network_prepare,
    .save = text_network_save,
    .load = gru_load,
    .free = text_network_free,
};
