/* encode/bert.c: see encode/bert.h. */
#include "encode/bert.h"

#include "math/vector.h"
#include "nn/op_kind.h"
#include "nn/weights_tuning.h"

/* How publishers call the same tensors: transformers (and the original BERT), GGUF. */
typedef struct bert_names {
  const char *words, *places, *segments, *norm, *blocks;
  const block_names *block;
} bert_names;

static const bert_names names_transformers = {"embeddings.word_embeddings.weight",
                                              "embeddings.position_embeddings.weight",
                                              "embeddings.token_type_embeddings.weight",
                                              "embeddings.LayerNorm",
                                              "encoder.layer.",
                                              &block_names_bert};
static const bert_names names_gguf = {
    "token_embd.weight",   "position_embd.weight", "token_types.weight", "token_embd_norm", "blk.",
    &block_names_bert_gguf};

void bert_init(bert *b, weights *w, const bert_sizes *s) {
  const bert_names *n = s->gguf ? &names_gguf : &names_transformers;
  transformer_options options = {.width = s->width,
                                 .heads = s->heads,
                                 .feed_forward = s->feed_forward,
                                 .activation = s->activation,
                                 .epsilon = s->epsilon};
  *b = (bert){.sizes = *s};
  weights_before_layers(w);
  b->words = weights_table(w, s->vocabulary, s->width, "%s", n->words);
  b->places = weights_table(w, s->positions, s->width, "%s", n->places);
  b->segments = weights_table(w, s->segments, s->width, "%s", n->segments);
  b->words_learnt = weights_table_learns(w, b->words, true);
  b->places_learnt = weights_table_learns(w, b->places, false);
  b->segments_learnt = weights_table_learns(w, b->segments, false);
  norm_take(w, n->norm, s->width, &b->norm_weight, &b->norm_bias);
  b->blocks = blocks_take(w, n->block, &options, n->blocks, s->layers);
}

size_t bert_length_max(const bert *b) { return b->sizes.positions - b->sizes.first_position; }

/* ---- forward ---- */

typedef struct embed_pass {
  const bert *b;
  const text_batch *batch;
  float *out;
} embed_pass;

static void embed_row(const bert *b, int32_t id, size_t place, uint8_t segment, float *row, float *more) {
  size_t width = b->sizes.width, kind = segment < b->sizes.segments ? segment : 0;
  tensor_view_read_rows(b->words, (uint64_t)id, 1, row);
  tensor_view_read_rows(b->segments, kind, 1, more);
  vector_add_scaled(row, 1, more, width);
  tensor_view_read_rows(b->places, b->sizes.first_position + place, 1, more);
  vector_add_scaled(row, 1, more, width);
}

static tensor *embed(tape *t, const bert *b, const text_batch *batch) {
  size_t width = b->sizes.width;
  tensor *x = tape_empty(t, 2, (size_t[]){batch->rows, width});
  float *more = x != NULL ? tape_scratch(t, width, sizeof *more) : NULL;
  if (more == NULL) return NULL;
  for (size_t s = 0; s < batch->samples; s++)
    for (int32_t r = batch->starts[s]; r < batch->starts[s + 1]; r++)
      embed_row(b, batch->ids[r], (size_t)(r - batch->starts[s]), batch->segments[r], real_data(x) + (size_t)r * width,
                more);
  tape_scratch_give(t, more, width, sizeof *more);
  return x;
}

/* The same sums by ops. */
static tensor *embed_learnt(tape *t, const bert *b, const text_batch *batch) {
  tensor *places = tape_indices_new(t, batch->rows), *segments = tape_indices_new(t, batch->rows);
  if (places == NULL || segments == NULL) return NULL;
  for (size_t s = 0; s < batch->samples; s++)
    for (int32_t r = batch->starts[s]; r < batch->starts[s + 1]; r++) {
      ((int32_t *)places->data)[r] = (int32_t)b->sizes.first_position + r - batch->starts[s];
      ((int32_t *)segments->data)[r] = batch->segments[r] < b->sizes.segments ? batch->segments[r] : 0;
    }
  tensor *x = op_embedding(t, b->words_learnt, tape_indices(t, 1, &batch->rows, batch->ids));
  x = op_add(t, x, op_embedding(t, b->segments_learnt, segments));
  return op_add(t, x, op_embedding(t, b->places_learnt, places));
}

tensor *bert_forward(tape *t, const bert *b, const text_batch *batch) {
  attention_options seen = {.starts = tape_indices(t, 1, (size_t[]){batch->samples + 1}, batch->starts)};
  size_t mark = tape_mark(t);
  tensor *x = b->words_learnt != NULL ? embed_learnt(t, b, batch) : embed(t, b, batch);
  x = op_layer_norm(t, x, b->norm_weight, b->norm_bias, b->sizes.epsilon);
  for (size_t i = 0; i < b->sizes.layers; i++) {
    x = layer_transformer_forward(t, &b->blocks[i], x, &seen, NULL, NULL);
    tape_release(t, mark, x);
  }
  return x;
}
