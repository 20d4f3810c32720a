/* encode/image_tensor.h: pictures as networks want them: scaled, cut, brought to mean and deviation; by the first of
 * preprocessor_config.json (transformers), open_clip_config.json: preprocess_cfg (OpenCLIP), config.json:
 * pretrained_cfg (timm). */
#ifndef ENCODE_IMAGE_TENSOR_H
#define ENCODE_IMAGE_TENSOR_H

#include "media/sample.h"
#include "nn/checkpoint.h"

typedef struct image_preparation {
  size_t side;   /* of the square that comes out; 0 before loading: what the files say */
  size_t resize; /* the shorter side after scaling, then the middle is cut out; 0: both sides become `side` */
  bool cubic;    /* Catmull-Rom with a = -0.5 as Pillow has it; otherwise linear; both average when they shrink */
  float mean[3], deviation[3]; /* of values 0 to 1 */
} image_preparation;

/* *p holds the family's own settings when called; what the files beside the checkpoint say goes over them. Sizes that
 * the network does not take, and steps that are not done here, are refused. */
medley_status image_preparation_load(image_preparation *p, const checkpoint *c, medley_error *err) MEDLEY_CHECK;
/* out [3, side, side] */
medley_status image_prepare(const image_preparation *p, const image *in, float *out, medley_error *err) MEDLEY_CHECK;

#endif
