/* encode/conv_trunk.h: convolutions one behind the other, each over half the side, and what every channel says on the
 * average and at most: from a picture or a spectrum to a row of numbers. */
#ifndef ENCODE_CONV_TRUNK_H
#define ENCODE_CONV_TRUNK_H

#include "nn/layer_conv.h"

#define CONV_TRUNK_LAYERS 4

typedef struct conv_trunk {
  layer_conv layers[CONV_TRUNK_LAYERS];
} conv_trunk;

/* channels [CONV_TRUNK_LAYERS] behind each layer. The last layer keeps the side, the others halve it. 3 × 3, group norm
 * (nothing depends on the batch), ReLU. */
void conv_trunk_init(conv_trunk *c, parameters *p, const char *prefix, size_t in, const size_t *channels);
/* x [n, in, height, width] → [n, 2 channels]: means, then greatest. */
tensor *conv_trunk_forward(tape *t, const conv_trunk *c, tensor *x);

#endif
