/* encode/mobilenet_plan.h: MobileNetV2 (Sandler et al. 2018) of any width, out of a checkpoint in the names of timm or
 * transformers, batch norm folded into it or beside it. */
#ifndef ENCODE_MOBILENET_PLAN_H
#define ENCODE_MOBILENET_PLAN_H

#include "encode/image_tensor.h"
#include "nn/separable.h"

typedef struct mobilenet_plan {
  separable_plan network;
  bool folded;                   /* no norms: the file that Medley's tools write, with preparation of its own */
  image_preparation preparation; /* of pictures; for a folded one: of a square as the network takes it */
} mobilenet_plan;

/* Sizes are the tensors'; what config.json says of the network is checked, and what would make it another is refused.
 */
medley_status mobilenet_plan_make(const checkpoint *c, weight_precision precision, mobilenet_plan *plan,
                                  medley_error *err) MEDLEY_CHECK;

#endif
