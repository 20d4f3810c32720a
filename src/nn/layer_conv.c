/* nn/layer_conv.c: see nn/layer_conv.h. */
#include "nn/layer_conv.h"

#include <string.h>

enum { NORM_GROUPS = 8 };

static size_t norm_groups(const layer_conv_options *o) {
  size_t groups = o->norm_groups ? o->norm_groups : NORM_GROUPS;
  while (o->norm_groups == 0 && o->out % groups != 0) groups--;
  return groups;
}

static void norm_init(layer_conv *l, parameters *p, const char *prefix, size_t channels) {
  initial one = {INITIAL_CONSTANT, 1}, zero = {INITIAL_ZERO, 0};
  l->norm_weight = parameters_add(p, prefix, "norm.weight", PARAMETER_PLAIN, one, 1, &channels);
  l->norm_bias = parameters_add(p, prefix, "norm.bias", PARAMETER_PLAIN, zero, 1, &channels);
  if (l->norm != LAYER_CONV_BATCH) return;
  l->norm_running_mean = parameters_add(p, prefix, "norm.running_mean", PARAMETER_FROZEN, zero, 1, &channels);
  l->norm_running_variance = parameters_add(p, prefix, "norm.running_var", PARAMETER_FROZEN, one, 1, &channels);
}

void layer_conv_init(layer_conv *l, parameters *p, const char *prefix, const layer_conv_options *o) {
  size_t groups = o->groups ? o->groups : 1, shape[] = {o->out, o->in / groups, o->kernel[0], o->kernel[1]};
  size_t inputs = shape[1] * shape[2] * (shape[3] ? shape[3] : 1);
  initial start = {INITIAL_UNIFORM, inputs > 0 ? (double)(1 / real_sqrt((real)inputs)) : 0};
  *l = (layer_conv){.conv = {.padding = o->padding, .groups = groups},
                    .norm = o->norm,
                    .norm_groups = norm_groups(o),
                    .activation = o->activation};
  memcpy(l->conv.stride, o->stride, sizeof o->stride);
  memcpy(l->conv.dilation, o->dilation, sizeof o->dilation);
  memcpy(l->conv.pad, o->pad, sizeof o->pad);
  l->weight = parameters_add(p, prefix, "conv.weight", PARAMETER_WEIGHT, start, o->kernel[1] ? 4 : 3, shape);
  if (o->norm == LAYER_CONV_NO_NORM)
    l->bias = parameters_add(p, prefix, "conv.bias", PARAMETER_PLAIN, start, 1, &o->out);
  else
    norm_init(l, p, prefix, o->out);
}

static tensor *norm_forward(tape *t, const layer_conv *l, tensor *x) {
  if (l->norm == LAYER_CONV_GROUP) return op_group_norm(t, x, l->norm_groups, l->norm_weight, l->norm_bias, 1e-5);
  if (l->norm == LAYER_CONV_NO_NORM) return x;
  return op_batch_norm(
      t, x,
      &(batch_norm_options){.weight = l->norm_weight,
                            .bias = l->norm_bias,
                            .running_mean = l->norm_running_mean,
                            .running_variance = l->norm_running_variance,
                            .epsilon = l->norm_epsilon,
                            .frozen = l->norm_fixed || (l->norm_weight != NULL && !l->norm_weight->needs_gradient)});
}

tensor *layer_conv_forward(tape *t, const layer_conv *l, tensor *x) {
  bool flat = l->weight != NULL && l->weight->rank == 3;
  x = flat ? op_conv1d(t, x, l->weight, l->bias, &l->conv) : op_conv2d(t, x, l->weight, l->bias, &l->conv);
  x = norm_forward(t, l, x);
  return l->activation != NULL ? l->activation(t, x) : x;
}
