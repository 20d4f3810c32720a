/* nn/separable.h: networks of depthwise separable convolutions that only answer: MobileNetV2 (Sandler et al. 2018) and
 * YAMNet's body, a MobileNetV1 (Howard et al. 2017). Batch norm is folded into weights and biases already.
 *
 * A layer widens its input by a 1 × 1 convolution (in the first layer of the network: by one of 3 × 3 that halves the
 * picture), slides a window of 3 × 3 over each channel by itself, and mixes the channels by a second 1 × 1. What lies
 * between is several times as large as what goes in and out, so it is never made whole: a few rows at a time run
 * through all three steps and stay in the second cache. Padding is TensorFlow's "same".
 *
 * Read-only once open; calls from several threads are fine. Several pictures go to threads whole; one picture (or fewer
 * than threads) is cut into rows among all of them. The numbers are the same either way.
 */
#ifndef NN_SEPARABLE_H
#define NN_SEPARABLE_H

#include "base/error.h"
#include "nn/checkpoint.h"

#define SEPARABLE_NAME_MAX 48
#define SEPARABLE_LAYERS_MAX 32

/* Tensors are "<name>.weight" and "<name>.bias". */
typedef struct separable_layer {
  char expand[SEPARABLE_NAME_MAX]; /* "": the window slides over the input
                                      itself */
  char window[SEPARABLE_NAME_MAX];
  char project[SEPARABLE_NAME_MAX];
  size_t middle, out; /* channels under the window, and behind the layer */
  size_t stride;      /* of the window: 1 or 2 */
  bool linear;        /* no activation behind project */
  bool residual;      /* the input is added; needs stride 1 and as many channels */
} separable_layer;

typedef struct separable_plan {
  size_t height, width, channels; /* of a picture; height and width even */
  float ceiling;                  /* of the activation: 6 for ReLU6, INFINITY for ReLU */
  separable_layer layers[SEPARABLE_LAYERS_MAX];
  size_t layer_count;
  char head[SEPARABLE_NAME_MAX]; /* a last 1 × 1 convolution; "": none */
  size_t dim;                    /* channels that are averaged over all places at the end */
  char classifier[SEPARABLE_NAME_MAX];
  size_t classes;
  bool int8; /* 1 × 1 convolutions in int8 where the machine is fast at it
                (math/maps_int8.h) */
} separable_plan;

typedef struct separable separable;

/* Every tensor must have the plan's shape, and finite numbers. Copies: the checkpoint may be closed afterwards. */
medley_status separable_create(const checkpoint *c, const separable_plan *plan, separable **out,
                               medley_error *err) MEDLEY_CHECK;
void separable_free(separable *net); /* NULL is fine */

/* Writes picture `index` to rows [height][width * channels] that begin row_step floats after each other. Several
 * threads call it at once, with different pictures. */
typedef medley_status separable_fill(void *context, size_t index, float *to, size_t row_step, medley_error *err);
/* embedding [count, dim]: means over all places of the last map. */
medley_status separable_embed(const separable *net, separable_fill *fill, void *context, size_t count, float *embedding,
                              medley_error *err) MEDLEY_CHECK;
/* embedding [count, dim] → logits [count, classes] */
medley_status separable_classify(const separable *net, const float *embedding, size_t count, float *logits,
                                 medley_error *err) MEDLEY_CHECK;

#endif
