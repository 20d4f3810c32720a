/* encode/conv_weights.h: convolutions out of published files as they learn on: weight, and the batch norm behind it by
 * the figures that it has, which a few small batches would only spoil. Those that answer have the norm folded in. */
#ifndef ENCODE_CONV_WEIGHTS_H
#define ENCODE_CONV_WEIGHTS_H

#include "nn/layer_conv.h"
#include "nn/weights.h"

typedef struct conv_sizes {
  size_t outs, kernel; /* 0: as the file has it, a square with a middle */
  size_t ins, groups;  /* groups 0: 1 */
  size_t stride;
  bool tensorflow; /* pads as TensorFlow does; otherwise half of the kernel on all sides */
  double epsilon;  /* of the norm */
} conv_sizes;

/* norm NULL or "": the convolution has a bias instead. What is wrong is remembered by w. The outputs, 0 after a
 * failure.
 */
size_t conv_take(weights *w, layer_conv *l, const char *conv, const char *norm, const conv_sizes *sizes);
/* [count, channels, height, width] of the caller's numbers, copied. */
tensor *conv_input(tape *t, const float *values, size_t count, size_t channels, size_t height, size_t width);
/* LoRA is refused: it goes beside the matrices of transformers. */
medley_status conv_tuning_check(const struct weights_tuning *tuning, const char *path, medley_error *err) MEDLEY_CHECK;

#endif
