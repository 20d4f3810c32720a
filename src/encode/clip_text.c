/* encode/clip_text.c: see encode/clip_text.h.
 *
 * CLIP takes the vector at the end-of-text token. Sequences are not padded here and the tokenizer puts that token last,
 * so it is the last row. SigLIP was trained on texts filled up with padding to full length, which it looks at: there
 * the tokenizer pads, and the last row is what it takes as well. */
#include "encode/clip_text.h"

#include <string.h>

#include "math/vector.h"
#include "nn/op_kind.h"
#include "nn/weights_tuning.h"

void clip_text_init(clip_text *x, weights *w, const clip_text_names *n, const clip_text_sizes *s) {
  *x = (clip_text){.sizes = *s};
  weights_before_layers(w);
  transformer_options options = {.width = s->width,
                                 .heads = s->heads,
                                 .feed_forward = s->feed_forward,
                                 .norm_first = true,
                                 .activation = s->activation,
                                 .epsilon = s->epsilon};
  x->words = weights_table(w, s->vocabulary, s->width, "%s", n->words);
  x->places = weights_table(w, s->positions, s->width, "%s", n->places);
  x->words_learnt = weights_table_learns(w, x->words, true);
  x->places_learnt = weights_table_learns(w, x->places, false);
  x->blocks = blocks_take(w, n->block, &options, n->blocks, s->layers);
  norm_take(w, n->norm_after, s->width, &x->norm_weight, &x->norm_bias);
  if (n->projection == NULL) return; /* a tower alone */
  x->projection.weight = (n->projection_turned ? weights_matrix_transposed : weights_matrix)(w, s->embedding, s->width,
                                                                                             "%s", n->projection);
  if (n->projection_bias != NULL) x->projection.bias = weights_vector(w, s->embedding, "%s", n->projection_bias);
}

static tensor *embed(tape *t, const clip_text *x, const text_batch *batch) {
  size_t width = x->sizes.width;
  tensor *y = tape_empty(t, 2, (size_t[]){batch->rows, width});
  float *place = y != NULL ? tape_scratch(t, width, sizeof *place) : NULL;
  if (place == NULL) return NULL;
  for (size_t s = 0; s < batch->samples; s++)
    for (int32_t r = batch->starts[s]; r < batch->starts[s + 1]; r++) {
      float *row = real_data(y) + (size_t)r * width;
      tensor_view_read_rows(x->words, (uint64_t)batch->ids[r], 1, row);
      tensor_view_read_rows(x->places, (uint64_t)(r - batch->starts[s]), 1, place);
      vector_add_scaled(row, 1, place, width);
    }
  tape_scratch_give(t, place, width, sizeof *place);
  return y;
}

/* The same sums by ops. */
static tensor *embed_learnt(tape *t, const clip_text *x, const text_batch *batch) {
  tensor *places = tape_indices_new(t, batch->rows);
  if (places == NULL) return NULL;
  for (size_t s = 0; s < batch->samples; s++)
    for (int32_t r = batch->starts[s]; r < batch->starts[s + 1]; r++)
      ((int32_t *)places->data)[r] = r - batch->starts[s];
  tensor *y = op_embedding(t, x->words_learnt, tape_indices(t, 1, &batch->rows, batch->ids));
  return op_add(t, y, op_embedding(t, x->places_learnt, places));
}

tensor *clip_text_forward(tape *t, const clip_text *x, const text_batch *batch) {
  attention_options seen = {.starts = tape_indices(t, 1, (size_t[]){batch->samples + 1}, batch->starts),
                            .causal = x->sizes.causal};
  size_t mark = tape_mark(t);
  tensor *y = x->words_learnt != NULL ? embed_learnt(t, x, batch) : embed(t, x, batch);
  for (size_t i = 0; i < x->sizes.layers; i++) {
    y = layer_transformer_forward(t, &x->blocks[i], y, &seen, NULL, NULL);
    tape_release(t, mark, y);
  }
  y = op_layer_norm(t, text_batch_ends(t, y, batch, true), x->norm_weight, x->norm_bias, x->sizes.epsilon);
  return x->projection.weight != NULL ? layer_linear_forward(t, &x->projection, y) : y;
}
