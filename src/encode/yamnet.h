/* encode/yamnet.h: what tests and the command need of the encoder besides its row in the table. */
#ifndef ENCODE_YAMNET_H
#define ENCODE_YAMNET_H

#include "encode/encoder.h"

#define YAMNET_DIM 1024
#define YAMNET_CLASSES                                                                          \
  521 /* of AudioSet, in the order of the class map that is published with the model; 0: speech \
       */

/* scores [YAMNET_CLASSES]: how surely each class is heard, 0 to 1 each, mean over the sound. */
medley_status yamnet_classify(const encoder *e, const sound *s, float *scores, medley_error *err) MEDLEY_CHECK;

#endif
