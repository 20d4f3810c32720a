/* encode/vision_tuning.h: fine-tuning of published networks over patches: views of a picture, and what a step makes of
 * them. */
#ifndef ENCODE_VISION_TUNING_H
#define ENCODE_VISION_TUNING_H

#include "encode/encoder.h"
#include "encode/image_tensor.h"
#include "encode/vision.h"

/* inputs: pictures. */
medley_status vision_tune(const vision *v, const image_preparation *p, weights *w, const encoder_tuning *how,
                          const encoder_input *inputs, size_t count, progress_stage *progress,
                          medley_error *err) MEDLEY_CHECK;

#endif
