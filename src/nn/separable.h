/* nn/separable.h: networks of depthwise separable convolutions that only answer: MobileNetV2 (Sandler et al. 2018) and
 * YAMNet's body, a MobileNetV1 (Howard et al. 2017). Batch norm becomes part of weights and biases on reading.
 *
 * A layer widens its input by a 1 × 1 convolution (in the first layer of the network: by one of 3 × 3 that halves the
 * picture), slides a window of 3 × 3 over each channel by itself, and mixes the channels by a second 1 × 1. What lies
 * between is several times as large as what goes in and out, so it is never made whole: a few rows at a time run
 * through all three steps and stay in the second cache. Padding is TensorFlow's "same", or PyTorch's 1 on all sides.
 *
 * Read-only once open; calls from several threads are fine. Several pictures go to threads whole; one picture (or fewer
 * than threads) is cut into rows among all of them. The numbers are the same either way.
 */
#ifndef NN_SEPARABLE_H
#define NN_SEPARABLE_H

#include "base/error.h"
#include "nn/architecture.h"
#include "nn/weights.h"

#define SEPARABLE_NAME_MAX 48
#define SEPARABLE_LAYERS_MAX 32
#define SEPARABLE_CHANNELS_MAX 65536
#define SEPARABLE_INT8_CHANNELS 4

/* How the file calls a convolution: its tensors are "<name>.weight" and "<name>.bias". With a norm, the batch norm
 * behind it is not in them yet: it has "<norm>.weight", "bias", "running_mean" and "running_var", and the convolution
 * no bias. */
typedef struct separable_conv {
  char name[SEPARABLE_NAME_MAX]; /* "": there is none */
  char norm[SEPARABLE_NAME_MAX]; /* "": none */
} separable_conv;

typedef struct separable_layer {
  separable_conv expand; /* none: the window slides over the input itself */
  separable_conv window, project;
  size_t middle, out; /* channels under the window, and behind the layer */
  size_t stride;      /* of the window: 1 or 2 */
  size_t stage;       /* layers of one learn or stay together (encode/separable_tuning.h) */
  bool linear;        /* no activation behind project */
  bool residual;      /* the input is added; needs stride 1 and as many channels */
} separable_layer;

typedef struct separable_plan {
  char prefix[ARCHITECTURE_PREFIX_MAX]; /* of all names but the classifier's */
  size_t height, width, channels;       /* of a picture; height and width even */
  float ceiling;                        /* of the activation: 6 for ReLU6, INFINITY for ReLU */
  double epsilon;                       /* of batch norms */
  bool centred;                         /* a zero before and one behind, rather than TensorFlow's */
  separable_layer layers[SEPARABLE_LAYERS_MAX];
  size_t layer_count, stage_count;
  separable_conv head;       /* a last 1 × 1 convolution; or none */
  size_t dim;                /* channels that are averaged over all places at the end */
  separable_conv classifier; /* or none */
  size_t classes;
  /* Of 1 × 1 convolutions. int8 where the machine is fast at it (math/maps_int8.h), float32 elsewhere: channels are
   * multiples of SEPARABLE_INT8_CHANNELS. bf16: the classifier and the first convolution as well. */
  weight_precision precision;
} separable_plan;

/* ---- for those who make plans of what a file has ---- */

/* "<prefix><conv><.field>" of the file, NULL where it has none. */
const tensor_view *separable_tensor(const checkpoint *c, const separable_plan *plan, const char *conv,
                                    const char *field);
/* The outputs of a convolution as the file has them: 1 to SEPARABLE_CHANNELS_MAX, in int8 whole groups of
 * SEPARABLE_INT8_CHANNELS. */
medley_status separable_outputs(const checkpoint *c, const separable_plan *plan, const char *conv, size_t *out,
                                medley_error *err) MEDLEY_CHECK;

/* ---- networks ---- */

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
/* embedding [count, dim] → logits [count, classes], of a network with a classifier */
medley_status separable_classify(const separable *net, const float *embedding, size_t count, float *logits,
                                 medley_error *err) MEDLEY_CHECK;

#endif
