/* encode/picture_view.h: pictures as image.cnn, image.vit and video.attention see them: squeezed into a small square
 * when they come, cut, mirrored and coloured by chance while a network trains. */
#ifndef ENCODE_PICTURE_VIEW_H
#define ENCODE_PICTURE_VIEW_H

#include "base/error.h"
#include "base/rng.h"
#include "media/sample.h"

/* out [side, side, 3] */
medley_status picture_squeeze(const image *in, size_t side, uint8_t *out, medley_error *err) MEDLEY_CHECK;
/* square [side, side, 3] → out [3, side, side] with mean near 0 and deviation near 1. draw NULL: as it is. */
void picture_view(rng *draw, const uint8_t *square, size_t side, float *out);

#endif
