/* nn/layer_conv.h: the block that convolutional networks are built of: convolution, normalisation, activation. In the
 * style of nn/layer.h.
 *
 *     layer_conv_init(&l, p, "stem", &(layer_conv_options){.in = 3, .out = 32,
 * .kernel = {3, 3}, .stride = {2, 2}, .padding = PADDING_SAME_TF, .norm = LAYER_CONV_BATCH, .activation = op_relu});
 */
#ifndef NN_LAYER_CONV_H
#define NN_LAYER_CONV_H

#include "nn/layer.h"

typedef enum layer_conv_norm {
  LAYER_CONV_NO_NORM, /* the convolution then has a bias */
  LAYER_CONV_BATCH,   /* batch norm: running figures in "norm.running_mean" and
                         "norm.running_var" */
  LAYER_CONV_GROUP    /* group norm: nothing depends on the batch, for small ones
                       */
} layer_conv_norm;

typedef struct layer_conv_options {
  size_t in, out;   /* channels */
  size_t kernel[2]; /* height, width; width 0: over one dimension, x is [n,
                       channels, length] */
  size_t stride[2], dilation[2], pad[2];
  window_padding padding;
  size_t groups; /* of channels in the convolution; 0: 1 */
  layer_conv_norm norm;
  size_t norm_groups;                        /* 0: 8, or as many as divide the channels */
  tensor *(*activation)(tape *t, tensor *x); /* op_relu, op_silu, op_gelu ...; NULL: none */
} layer_conv_options;

typedef struct layer_conv {
  tensor *weight;                                    /* [out, in / groups, height, width], or without height */
  tensor *bias;                                      /* [out]; NULL with a norm */
  tensor *norm_weight, *norm_bias;                   /* [out]; NULL without */
  tensor *norm_running_mean, *norm_running_variance; /* [out]; NULL unless batch norm */
  conv_options conv;
  layer_conv_norm norm;
  size_t norm_groups;
  double norm_epsilon; /* 0: 1e-5 */
  bool norm_fixed;     /* batch norm by its running figures in training, too: its weight and bias learn */
  tensor *(*activation)(tape *t, tensor *x);
} layer_conv;

/* Parameters "conv.weight", "conv.bias", "norm.weight" ... below the prefix, with PyTorch's first values. */
void layer_conv_init(layer_conv *l, parameters *p, const char *prefix, const layer_conv_options *options);
/* x [n, in, height, width] → [n, out, ...]; or [n, in, length]. Batch norm looks at the batch in training. */
tensor *layer_conv_forward(tape *t, const layer_conv *l, tensor *x);

#endif
