/* encode/conv_trunk.c: see encode/conv_trunk.h. */
#include "encode/conv_trunk.h"

#include "encode/conv_trunk_int8.h"
#include "nn/packed_int8.h"

/* Few: a group of one or two channels forgets how strong they are on the average, which is a picture's colour. */
enum { NORM_GROUPS = 2 };

void conv_trunk_init(conv_trunk *c, parameters *p, const char *prefix, size_t in, const size_t *channels) {
  char name[SAFETENSORS_NAME_MAX];
  for (size_t i = 0; i < CONV_TRUNK_LAYERS; i++) {
    size_t stride = i + 1 < CONV_TRUNK_LAYERS ? 2 : 1;
    layer_conv_options o = {.in = i > 0 ? channels[i - 1] : in,
                            .out = channels[i],
                            .kernel = {3, 3},
                            .stride = {stride, stride},
                            .pad = {1, 1},
                            .norm = LAYER_CONV_GROUP,
                            .norm_groups = NORM_GROUPS,
                            .activation = op_relu};
    layer_conv_init(&c->layers[i], p, layer_name(name, prefix, "%zu", i), &o);
  }
}

tensor *conv_trunk_forward(tape *t, const conv_trunk *c, tensor *x) {
  if (x != NULL && packed_int8_is_wanted(t, c->layers[0].weight)) return conv_trunk_int8(t, c, op_contiguous(t, x));
  for (size_t i = 0; i < CONV_TRUNK_LAYERS; i++) x = layer_conv_forward(t, &c->layers[i], x);
  tensor *both[] = {op_global_average_pool(t, x), op_global_max_pool(t, x)};
  return x != NULL ? op_concat(t, both, 2, 1) : NULL;
}
