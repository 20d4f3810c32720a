/* encode/yamnet.h: what tests and the command need of the encoder besides its row in the table. */
#ifndef ENCODE_YAMNET_H
#define ENCODE_YAMNET_H

#include "encode/encoder.h"
#include "nn/separable.h"

/* Of the published network; a narrower one has what its tensors say. */
#define YAMNET_DIM 1024
#define YAMNET_CLASSES                                                                          \
  521 /* of AudioSet, in the order of the class map that is published with the model; 0: speech \
       */

/* Channels are the tensors'; the rest is the paper's. Of a checkpoint of the family. */
medley_status yamnet_plan_make(const checkpoint *c, weight_precision precision, separable_plan *plan,
                               medley_error *err) MEDLEY_CHECK;

/* scores [YAMNET_CLASSES]: how surely each class is heard, 0 to 1 each, mean over the sound. A network of other classes
 * is refused. */
medley_status yamnet_classify(const encoder *e, const sound *s, float *scores, medley_error *err) MEDLEY_CHECK;

#endif
