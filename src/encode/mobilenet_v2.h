/* encode/mobilenet_v2.h: what tests and the command need of the encoder besides its row in the table. */
#ifndef ENCODE_MOBILENET_V2_H
#define ENCODE_MOBILENET_V2_H

#include "encode/encoder.h"

#define MOBILENET_V2_SIDE 224
#define MOBILENET_V2_DIM 1280
#define MOBILENET_V2_CLASSES 1001 /* 0: background, then the 1000 of ImageNet in order */

/* logits [count, MOBILENET_V2_CLASSES] of what encode gave: embedding [count, MOBILENET_V2_DIM]. */
medley_status mobilenet_v2_classify(const encoder *e, const float *embedding, size_t count, float *logits,
                                    medley_error *err) MEDLEY_CHECK;

#endif
