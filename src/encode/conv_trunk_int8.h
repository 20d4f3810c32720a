/* encode/conv_trunk_int8.h: a trunk of convolutions in int8, for networks that only answer (encode/conv_trunk.c). */
#ifndef ENCODE_CONV_TRUNK_INT8_H
#define ENCODE_CONV_TRUNK_INT8_H

#include "encode/conv_trunk.h"

/* As conv_trunk_forward, weights in int8. */
tensor *conv_trunk_int8(tape *t, const conv_trunk *c, const tensor *x);

#endif
