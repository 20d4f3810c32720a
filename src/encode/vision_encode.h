/* encode/vision_encode.h: what the encoders of pictures by vision towers share: preparing, batches, golden files. */
#ifndef ENCODE_VISION_ENCODE_H
#define ENCODE_VISION_ENCODE_H

#include "encode/encoder.h"
#include "encode/image_tensor.h"
#include "encode/vision.h"

/* Sizes that can be computed with: the picture is whole patches, the width whole heads, nothing is 0 or beyond reason.
 */
medley_status vision_sizes_check(const vision_sizes *s, const char *path, medley_error *err) MEDLEY_CHECK;
/* The pictures that there are places for, of patches side by side in a square; 0: the tensor does not say. */
size_t vision_image_size(const checkpoint *c, const char *prefix, const vision_names *names, size_t width,
                         size_t patch);
/* A picture large enough that the square of the network can be cut from it. */
void vision_wish(const image_preparation *p, media_request *request);
/* out [count, vision_dim]; unit: of length 1. */
medley_status vision_encode(const vision *v, const image_preparation *p, bool unit, const encoder_input *inputs,
                            size_t count, float *out, medley_error *err) MEDLEY_CHECK;
/* Golden files: pixel_values [n, 3, image, image]; last_hidden_state [n, tokens, width] and `pooled` by its name. */
medley_status vision_check(const vision *v, bool unit, const char *pooled, const safetensors *golden,
                           golden_report *report, medley_error *err) MEDLEY_CHECK;

#endif
