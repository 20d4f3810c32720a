/* encode/picture_tuning.h: fine-tuning of published networks of pictures: views of a picture, and what a step makes of
 * them. */
#ifndef ENCODE_PICTURE_TUNING_H
#define ENCODE_PICTURE_TUNING_H

#include "encode/encoder.h"
#include "encode/image_tensor.h"
#include "nn/op.h"

typedef struct picture_tuner {
  image_preparation preparation;
  tensor *(*vectors)(tape *t, const void *network, const float *pixels, size_t count); /* [count, dim] of any length */
  const void *network;
} picture_tuner;

/* inputs: pictures. */
medley_status picture_tune(const picture_tuner *tuner, weights *w, const encoder_tuning *how,
                           const encoder_input *inputs, size_t count, progress_stage *progress,
                           medley_error *err) MEDLEY_CHECK;

/* ---- for other objectives over pictures (encode/pair_tuning.c) ---- */

typedef struct picture_cut picture_cut;
typedef struct picture_views {
  image_preparation preparation;
  const encoder_input *inputs;
  picture_cut *cuts;
  float *pixels; /* [most, 3, side, side] */
} picture_views;
/* most: views at once. */
medley_status picture_views_init(picture_views *v, const image_preparation *p, const encoder_input *inputs, size_t most,
                                 medley_error *err) MEDLEY_CHECK;
void picture_views_deinit(picture_views *v); /* harmless on a zeroed one */
/* `each` views of some inputs, first the first one of each: [each count, 3, side, side], borrowed until the next draw.
 * NULL after a failure, which the tape remembers. */
const float *picture_views_draw(picture_views *v, tape *t, rng *r, const uint32_t *items, size_t count, size_t each);

#endif
