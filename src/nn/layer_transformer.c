/* nn/layer_transformer.c: see nn/layer_transformer.h. */
#include "nn/layer_transformer.h"

#include <string.h>

/* ---- attention ---- */

void layer_attention_init(layer_attention *l, parameters *p, const char *prefix, size_t width, size_t heads) {
  char name[SAFETENSORS_NAME_MAX];
  size_t in[] = {3 * width, width}, out[] = {width, width};
  *l = (layer_attention){.heads = heads};
  l->in.weight = parameters_add(p, prefix, "in_proj_weight", PARAMETER_WEIGHT, (initial){INITIAL_XAVIER, 1}, 2, in);
  l->in.bias = parameters_add(p, prefix, "in_proj_bias", PARAMETER_PLAIN, (initial){INITIAL_ZERO, 0}, 1, in);
  layer_name(name, prefix, "out_proj");
  l->out.weight = parameters_add(p, name, "weight", PARAMETER_WEIGHT, (initial){INITIAL_FAN_IN, 0}, 2, out);
  l->out.bias = parameters_add(p, name, "bias", PARAMETER_PLAIN, (initial){INITIAL_ZERO, 0}, 1, out);
}

/* Rows [from, from + count) widths of the three that lie one below the other. */
static tensor *part_of(tape *t, tensor *x, size_t width, size_t from, size_t count) {
  return x == NULL ? NULL : op_slice(t, x, 0, from * width, count * width);
}

/* x [..., parts width] → [..., parts, heads, dim], of which slices are q, k and v. */
static tensor *split(tape *t, tensor *x, size_t parts, size_t heads) {
  if (x == NULL) return NULL;
  size_t shape[TENSOR_RANK_MAX] = {0}, width = tensor_width(x) / parts;
  int leading = x->rank - 1;
  memcpy(shape, x->shape, (size_t)leading * sizeof *shape);
  shape[leading] = parts, shape[leading + 1] = heads, shape[leading + 2] = width / heads;
  return op_reshape(t, x, leading + 3, shape);
}

/* Part number `part` without its dimension: a view. */
static tensor *head_rows(tape *t, tensor *x, size_t part) {
  if (x == NULL) return NULL;
  int d = x->rank - 3;
  size_t shape[TENSOR_RANK_MAX];
  memcpy(shape, x->shape, (size_t)d * sizeof *shape);
  memcpy(shape + d, x->shape + d + 1, 2 * sizeof *shape);
  tensor *slice = op_slice(t, x, d, part, 1);
  return slice == NULL ? NULL : op_reshape(t, slice, x->rank - 1, shape);
}

tensor *layer_attention_forward(tape *t, const layer_attention *l, tensor *x, tensor *memory,
                                const attention_options *seen) {
  if (x == NULL || l->in.weight == NULL) return NULL;
  size_t width = l->in.weight->shape[1];
  tensor *q, *k, *v;
  if (memory == NULL) {
    tensor *all = split(t, layer_linear_forward(t, &l->in, x), 3, l->heads);
    q = head_rows(t, all, 0), k = head_rows(t, all, 1), v = head_rows(t, all, 2);
  } else {
    tensor *own = op_linear(t, x, part_of(t, l->in.weight, width, 0, 1), part_of(t, l->in.bias, width, 0, 1));
    tensor *far = op_linear(t, memory, part_of(t, l->in.weight, width, 1, 2), part_of(t, l->in.bias, width, 1, 2));
    far = split(t, far, 2, l->heads);
    q = head_rows(t, split(t, own, 1, l->heads), 0), k = head_rows(t, far, 0), v = head_rows(t, far, 1);
  }
  tensor *y = op_attention(t, q, k, v, seen);
  return y == NULL ? NULL : layer_linear_forward(t, &l->out, op_reshape(t, y, x->rank, x->shape));
}

/* ---- a block ---- */

const activation_kind activation_kinds[] = {
    {"gelu", op_gelu},
    {"gelu_new", op_gelu_tanh},
    {"gelu_pytorch_tanh", op_gelu_tanh},
    {"quick_gelu", op_quick_gelu},
    {"relu", op_relu},
    {"silu", op_silu},
    {NULL},
};

const activation_kind *activation_find(const char *name) {
  for (const activation_kind *kind = activation_kinds; kind->name != NULL; kind++)
    if (strcmp(kind->name, name) == 0) return kind;
  return NULL;
}

void layer_transformer_init(layer_transformer *l, parameters *p, const char *prefix,
                            const transformer_options *options) {
  char name[SAFETENSORS_NAME_MAX];
  *l = (layer_transformer){.options = *options};
  transformer_options *o = &l->options;
  if (o->feed_forward == 0) o->feed_forward = 4 * o->width;
  if (o->activation == NULL) o->activation = activation_kinds;
  if (o->epsilon == 0) o->epsilon = 1e-5;
  layer_attention_init(&l->self, p, layer_name(name, prefix, "self_attn"), o->width, o->heads);
  if (o->cross) layer_attention_init(&l->cross, p, layer_name(name, prefix, "multihead_attn"), o->width, o->heads);
  layer_linear_init(&l->wide, p, layer_name(name, prefix, "linear1"), o->width, o->feed_forward, true);
  layer_linear_init(&l->narrow, p, layer_name(name, prefix, "linear2"), o->feed_forward, o->width, true);
  for (int i = 0; i < (o->cross ? 3 : 2); i++) {
    layer_name(name, prefix, "norm%d", i + 1);
    l->norm_weight[i] =
        parameters_add(p, name, "weight", PARAMETER_PLAIN, (initial){INITIAL_CONSTANT, 1}, 1, &o->width);
    l->norm_bias[i] = parameters_add(p, name, "bias", PARAMETER_PLAIN, (initial){INITIAL_ZERO, 0}, 1, &o->width);
  }
}

static tensor *block_norm(tape *t, const layer_transformer *l, int which, tensor *x) {
  return op_layer_norm(t, x, l->norm_weight[which], l->norm_bias[which], l->options.epsilon);
}

/* x and what a part of the block makes of it. */
static tensor *block_add(tape *t, const layer_transformer *l, int which, tensor *x, tensor *y) {
  if (l->options.dropout > 0) y = op_dropout(t, y, l->options.dropout);
  x = op_add(t, x, y);
  return l->options.norm_first ? x : block_norm(t, l, which, x);
}

static tensor *block_ready(tape *t, const layer_transformer *l, int which, tensor *x) {
  return l->options.norm_first ? block_norm(t, l, which, x) : x;
}

static tensor *block_attend(tape *t, const layer_transformer *l, tensor *x, const attention_options *seen) {
  size_t mark = tape_mark(t);
  tensor *y = layer_attention_forward(t, &l->self, block_ready(t, l, 0, x), NULL, seen);
  x = block_add(t, l, 0, x, y);
  tape_release(t, mark, x);
  return x;
}

static tensor *block_attend_memory(tape *t, const layer_transformer *l, tensor *x, tensor *memory,
                                   const attention_options *seen) {
  size_t mark = tape_mark(t);
  tensor *y = layer_attention_forward(t, &l->cross, block_ready(t, l, 1, x), memory, seen);
  x = block_add(t, l, 1, x, y);
  tape_release(t, mark, x);
  return x;
}

static tensor *block_feed_forward(tape *t, const layer_transformer *l, tensor *x) {
  size_t mark = tape_mark(t);
  int which = l->options.cross ? 2 : 1;
  tensor *wide = layer_linear_forward(t, &l->wide, block_ready(t, l, which, x));
  tensor *y = layer_linear_forward(t, &l->narrow, l->options.activation->run(t, wide));
  x = block_add(t, l, which, x, y);
  tape_release(t, mark, x);
  return x;
}

tensor *layer_transformer_forward(tape *t, const layer_transformer *l, tensor *x, const attention_options *seen,
                                  tensor *memory, const attention_options *memory_seen) {
  size_t mark = tape_mark(t);
  x = block_attend(t, l, x, seen);
  if (l->options.cross) x = block_attend_memory(t, l, x, memory, memory_seen);
  x = block_feed_forward(t, l, x);
  tape_release(t, mark, x);
  return x;
}
