/* encode/resnet.h: what tests need of the encoder besides its row in the table: the network as it learns on. */
#ifndef ENCODE_RESNET_H
#define ENCODE_RESNET_H

#include "encode/encoder.h"
#include "nn/op.h"

/* A network whose convolutions learn by w's tuning, which must outlive it and is sealed afterwards; kind's free. */
medley_status resnet_learner_open(const char *path, weights_tuning *tuning, encoder **out,
                                  medley_error *err) MEDLEY_CHECK;
weights *resnet_learner_weights(encoder *e);
/* pixels [count, 3, side, side] → [count, dim], of a learner */
tensor *resnet_vectors(tape *t, const void *network, const float *pixels, size_t count);

#endif
