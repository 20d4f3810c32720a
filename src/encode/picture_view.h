/* encode/picture_view.h: pictures as image.cnn, image.vit and video.attention see them: squeezed into a small square
 * when they come, cut, mirrored and coloured by chance while a network trains. */
#ifndef ENCODE_PICTURE_VIEW_H
#define ENCODE_PICTURE_VIEW_H

#include "base/error.h"
#include "base/rng.h"
#include "encode/encoder.h"
#include "media/sample.h"

/* out [side, side, 3] */
medley_status picture_squeeze(const image *in, size_t side, uint8_t *out, medley_error *err) MEDLEY_CHECK;
/* square [side, side, 3] → out [3, side, side] with mean near 0 and deviation near 1. draw NULL: as it is. */
void picture_view(rng *draw, const uint8_t *square, size_t side, float *out);

/* A whole item of image.cnn and image.vit is one square of this side, and `wish`, `prepare` and `view` are these. */
#define PICTURE_SIDE ((size_t)48)
#define PICTURE_BYTES (PICTURE_SIDE * PICTURE_SIDE * 3)

void picture_item_wish(const encoder *e, media_request *request);
medley_status picture_item_prepare(const encoder_input *input, uint8_t *item, medley_error *err) MEDLEY_CHECK;
void picture_item_view(rng *draw, const uint8_t *item, size_t window, float *out);

#endif
