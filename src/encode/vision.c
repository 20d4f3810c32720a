/* encode/vision.c: see encode/vision.h. */
#include "encode/vision.h"

#include <stdio.h>
#include <string.h>

#include "nn/weights_tuning.h"

/* The learnt query, and what its answer goes through. */
static void head_take(vision *v, weights *w, const char *stem) {
  const vision_sizes *s = &v->sizes;
  char name[128];
  v->probe = weights_numbers(w, s->width, "%sprobe", stem);
  v->head.heads = s->heads;
  v->head.in.weight = weights_get(w, 2, (size_t[]){3 * s->width, s->width}, "%sattention.in_proj_weight", stem);
  v->head.in.bias = weights_vector(w, 3 * s->width, "%sattention.in_proj_bias", stem);
#define STEM(end) (snprintf(name, sizeof name, "%s%s", stem, end), name)
  v->head.out = linear_take(w, STEM("attention.out_proj"), s->width, s->width);
  norm_take(w, STEM("layernorm"), s->width, &v->head_norm_weight, &v->head_norm_bias);
  v->head_wide = linear_take(w, STEM("mlp.fc1"), s->feed_forward, s->width);
  v->head_narrow = linear_take(w, STEM("mlp.fc2"), s->width, s->feed_forward);
#undef STEM
}

static size_t grid(const vision *v) { return v->sizes.image / v->sizes.patch; }

void vision_init(vision *v, weights *w, const vision_names *n, const vision_sizes *s) {
  *v = (vision){.sizes = *s};
  weights_before_layers(w);
  v->tokens = grid(v) * grid(v) + (n->first ? 1 : 0);
  v->patch_weight = weights_matrix(w, s->width, 3 * s->patch * s->patch, "%s.weight", n->patch);
  if (n->patch_bias) v->patch_bias = weights_vector(w, s->width, "%s.bias", n->patch);
  if (n->first != NULL) v->first = weights_numbers(w, s->width, "%s", n->first);
  v->places = weights_numbers(w, v->tokens * s->width, "%s", n->places);
  if (n->norm_before != NULL) norm_take(w, n->norm_before, s->width, &v->before_weight, &v->before_bias);
  transformer_options options = {.width = s->width,
                                 .heads = s->heads,
                                 .feed_forward = s->feed_forward,
                                 .norm_first = true,
                                 .activation = s->activation,
                                 .epsilon = s->epsilon};
  v->blocks = blocks_take(w, n->block, &options, n->blocks, s->layers);
  norm_take(w, n->norm_after, s->width, &v->after_weight, &v->after_bias);
  if (n->projection != NULL)
    v->projection = (n->projection_turned ? weights_matrix_transposed : weights_matrix)(w, s->embedding, s->width, "%s",
                                                                                        n->projection);
  if (n->head != NULL) head_take(v, w, n->head);
}

size_t vision_dim(const vision *v) { return v->projection != NULL ? v->sizes.embedding : v->sizes.width; }

/* One picture as rows of a patch each, in the order of the convolution's weight: channel, row, column. */
static void patches_write(const vision *v, const float *pixels, float *rows) {
  size_t side = v->sizes.image, patch = v->sizes.patch;
  for (size_t py = 0; py < grid(v); py++)
    for (size_t px = 0; px < grid(v); px++)
      for (size_t c = 0; c < 3; c++)
        for (size_t y = 0; y < patch; y++, rows += patch)
          memcpy(rows, pixels + (c * side + py * patch + y) * side + px * patch, patch * sizeof *rows);
}

/* The same `width` numbers for each picture: [count, 1, width]. */
static tensor *repeated(tape *t, tensor *x, size_t count, size_t width) {
  tensor *none = tape_empty(t, 3, (size_t[]){count, 1, width});
  if (none == NULL) return NULL;
  memset(none->data, 0, none->count * sizeof(real));
  return op_add(t, none, op_reshape(t, x, 1, &width));
}

/* Patches by their weights, the first token before them, places added: [count, tokens, width]. */
static tensor *embed(tape *t, const vision *v, const float *pixels, size_t count) {
  size_t cells = grid(v) * grid(v), width = v->sizes.width, values = 3 * v->sizes.patch * v->sizes.patch;
  tensor *rows = tape_empty(t, 2, (size_t[]){count * cells, values});
  for (size_t i = 0; rows != NULL && i < count; i++)
    patches_write(v, pixels + i * 3 * v->sizes.image * v->sizes.image, real_data(rows) + i * cells * values);
  tensor *x = op_linear(t, rows, v->patch_weight, v->patch_bias);
  if (x == NULL) return NULL;
  x = op_reshape(t, x, 3, (size_t[]){count, cells, width});
  if (v->first != NULL) x = op_concat(t, (tensor *[]){repeated(t, v->first, count, width), x}, 2, 1);
  return op_add(t, x, op_reshape(t, v->places, 2, (size_t[]){v->tokens, width}));
}

tensor *vision_forward(tape *t, const vision *v, const float *pixels, size_t count) {
  size_t mark = tape_mark(t);
  tensor *x = embed(t, v, pixels, count);
  if (v->before_weight != NULL) x = op_layer_norm(t, x, v->before_weight, v->before_bias, v->sizes.epsilon);
  for (size_t i = 0; i < v->sizes.layers; i++) {
    x = layer_transformer_forward(t, &v->blocks[i], x, NULL, NULL, NULL);
    tape_release(t, mark, x);
  }
  x = op_layer_norm(t, x, v->after_weight, v->after_bias, v->sizes.epsilon);
  tape_release(t, mark, x);
  return x;
}

/* The learnt query looks at all patches; then a residual of two linear layers. */
static tensor *head_forward(tape *t, const vision *v, tensor *hidden) {
  size_t count = hidden->shape[0], width = v->sizes.width;
  tensor *query = repeated(t, v->probe, count, width);
  tensor *x = layer_attention_forward(t, &v->head, query, hidden, NULL);
  tensor *wide = op_layer_norm(t, x, v->head_norm_weight, v->head_norm_bias, v->sizes.epsilon);
  wide = layer_linear_forward(t, &v->head_wide, wide);
  wide = wide != NULL ? v->sizes.activation->run(t, wide) : NULL;
  return op_add(t, x, layer_linear_forward(t, &v->head_narrow, wide));
}

tensor *vision_pool(tape *t, const vision *v, tensor *hidden) {
  if (hidden == NULL) return NULL;
  tensor *x = v->probe != NULL ? head_forward(t, v, hidden) : op_slice(t, hidden, 1, 0, 1);
  x = x != NULL ? op_reshape(t, x, 2, (size_t[]){hidden->shape[0], v->sizes.width}) : NULL;
  return v->projection != NULL ? op_linear(t, x, v->projection, NULL) : op_contiguous(t, x);
}

tensor *vision_vectors(tape *t, const void *network, const float *pixels, size_t count) {
  return vision_pool(t, network, vision_forward(t, network, pixels, count));
}
