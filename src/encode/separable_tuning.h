/* encode/separable_tuning.h: the networks of nn/separable.h as they learn on: the same plan by ops that know their
 * gradients. Only the last layers may learn: weights_at_layer counts the plan's stages. */
#ifndef ENCODE_SEPARABLE_TUNING_H
#define ENCODE_SEPARABLE_TUNING_H

#include "encode/conv_weights.h"
#include "nn/separable.h"

typedef struct separable_learner {
  const separable_plan *plan;
  struct learning_layer *layers; /* [plan->layer_count] */
  layer_conv head;
} separable_learner;

/* plan must outlive it. w's prefix becomes the plan's; what is wrong is remembered by w. */
void separable_learner_init(separable_learner *n, weights *w, const separable_plan *plan);
/* x [count, channels, height, width] of the plan's picture → [count, dim] */
tensor *separable_learner_forward(tape *t, const separable_learner *n, tensor *x);

#endif
