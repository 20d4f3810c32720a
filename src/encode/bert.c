/* encode/bert.c: see encode/bert.h. */
#include "encode/bert.h"

#include <stdio.h>
#include <string.h>

#include "math/vector.h"
#include "nn/op_kind.h"

/* ---- names ---- */

/* How publishers call the same tensor: transformers (and the original BERT), GGUF. */
typedef enum bert_name {
  NAME_WORDS,
  NAME_PLACES,
  NAME_SEGMENTS,
  NAME_NORM,
  NAME_BLOCK,
  NAME_Q,
  NAME_K,
  NAME_V,
  NAME_OUT,
  NAME_OUT_NORM,
  NAME_WIDE,
  NAME_NARROW,
  NAME_NARROW_NORM
} bert_name;

static const char *const names[][2] = {
    [NAME_WORDS] = {"embeddings.word_embeddings.weight", "token_embd.weight"},
    [NAME_PLACES] = {"embeddings.position_embeddings.weight", "position_embd.weight"},
    [NAME_SEGMENTS] = {"embeddings.token_type_embeddings.weight", "token_types.weight"},
    [NAME_NORM] = {"embeddings.LayerNorm", "token_embd_norm"},
    [NAME_BLOCK] = {"encoder.layer.", "blk."},
    [NAME_Q] = {"attention.self.query", "attn_q"},
    [NAME_K] = {"attention.self.key", "attn_k"},
    [NAME_V] = {"attention.self.value", "attn_v"},
    [NAME_OUT] = {"attention.output.dense", "attn_output"},
    [NAME_OUT_NORM] = {"attention.output.LayerNorm", "attn_output_norm"},
    [NAME_WIDE] = {"intermediate.dense", "ffn_up"},
    [NAME_NARROW] = {"output.dense", "ffn_down"},
    [NAME_NARROW_NORM] = {"output.LayerNorm", "layer_output_norm"},
};

static const char *name_of(const bert_sizes *s, bert_name name) { return names[name][s->gguf]; }

/* ---- weights ---- */

/* TensorFlow's checkpoints, and those converted from them long ago, call a norm's weight gamma and its bias beta. */
static void norm_take(weights *w, const char *stem, size_t width, tensor **weight, tensor **bias) {
  bool old = weights_has(w, "%s.gamma", stem);
  *weight = weights_vector(w, width, "%s.%s", stem, old ? "gamma" : "weight");
  *bias = weights_vector(w, width, "%s.%s", stem, old ? "beta" : "bias");
}

static layer_linear linear_take(weights *w, const char *stem, size_t out, size_t in) {
  return (layer_linear){weights_matrix(w, out, in, "%s.weight", stem), weights_vector(w, out, "%s.bias", stem)};
}

static void block_take(layer_transformer *l, weights *w, const bert_sizes *s, size_t number) {
  char stem[128], name[256];
  snprintf(stem, sizeof stem, "%s%zu.", name_of(s, NAME_BLOCK), number);
#define STEM(which) (snprintf(name, sizeof name, "%s%s", stem, name_of(s, which)), name)
  const char *const qkv[] = {name_of(s, NAME_Q), name_of(s, NAME_K), name_of(s, NAME_V)};
  *l = (layer_transformer){.options = {.width = s->width,
                                       .heads = s->heads,
                                       .feed_forward = s->feed_forward,
                                       .activation = s->activation,
                                       .epsilon = s->epsilon}};
  l->self.heads = s->heads;
  l->self.in_weight = weights_stack(w, stem, qkv, 3, ".weight", s->width, s->width);
  l->self.in_bias = weights_stack(w, stem, qkv, 3, ".bias", s->width, 0);
  l->self.out = linear_take(w, STEM(NAME_OUT), s->width, s->width);
  norm_take(w, STEM(NAME_OUT_NORM), s->width, &l->norm_weight[0], &l->norm_bias[0]);
  l->wide = linear_take(w, STEM(NAME_WIDE), s->feed_forward, s->width);
  l->narrow = linear_take(w, STEM(NAME_NARROW), s->width, s->feed_forward);
  norm_take(w, STEM(NAME_NARROW_NORM), s->width, &l->norm_weight[1], &l->norm_bias[1]);
#undef STEM
}

void bert_init(bert *b, weights *w, const bert_sizes *s) {
  *b = (bert){.sizes = *s};
  b->words = weights_table(w, s->vocabulary, s->width, "%s", name_of(s, NAME_WORDS));
  b->places = weights_table(w, s->positions, s->width, "%s", name_of(s, NAME_PLACES));
  b->segments = weights_table(w, s->segments, s->width, "%s", name_of(s, NAME_SEGMENTS));
  norm_take(w, name_of(s, NAME_NORM), s->width, &b->norm_weight, &b->norm_bias);
  b->blocks = weights_memory(w, s->layers, sizeof *b->blocks);
  for (size_t i = 0; b->blocks != NULL && i < s->layers; i++) block_take(&b->blocks[i], w, s, i);
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

tensor *bert_forward(tape *t, const bert *b, const text_batch *batch) {
  attention_options seen = {.starts = tape_indices(t, 1, (size_t[]){batch->samples + 1}, batch->starts)};
  size_t mark = tape_mark(t);
  tensor *x = op_layer_norm(t, embed(t, b, batch), b->norm_weight, b->norm_bias, b->sizes.epsilon);
  for (size_t i = 0; i < b->sizes.layers; i++) {
    x = layer_transformer_forward(t, &b->blocks[i], x, &seen, NULL, NULL);
    tape_release(t, mark, x);
  }
  return x;
}
