/* encode/picture_view.c: see encode/picture_view.h.
 *
 * A view shows a part of the picture (Szegedy et al. 2015), perhaps mirrored, a little lighter or darker and tinted.
 * Colours change little: a shop's customer tells a red shirt from a blue one. */
#include "encode/picture_view.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "media/image.h"

#define AREA_LEAST 0.3  /* share of the picture in a view */
#define ASPECT_MOST 1.4 /* width by height, or the other way round */
#define LIGHT_MOST 0.25 /* factor of all channels, 1 more or less */
#define TINT_MOST 0.08  /* of each channel */
#define MIDDLE 0.5f
#define DEVIATION 0.28f
#define DECODED_SIDE 96 /* of what is squeezed into PICTURE_SIDE */

medley_status picture_squeeze(const image *in, size_t side, uint8_t *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  image small = {0};
  if (in->width == 0 || in->height == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "a picture of %u x %u pixels", in->width, in->height);
  TRY(image_resize(in, (uint32_t)side, (uint32_t)side, &small, err));
  memcpy(out, small.rgb, side * side * 3);
done:
  image_deinit(&small);
  return status;
}

/* What a view shows: output pixel (x, y) lies at (left + x across, top + y down) of the square. */
typedef struct picture_cut {
  float left, top, across, down, factor[3];
} picture_cut;

static picture_cut cut_draw(rng *draw, size_t side) {
  double area = AREA_LEAST + (1 - AREA_LEAST) * rng_uniform(draw);
  double aspect = exp((2 * rng_uniform(draw) - 1) * log(ASPECT_MOST));
  double wide = fmin(1, sqrt(area * aspect)), high = fmin(1, sqrt(area / aspect)), room = (double)side - 1;
  picture_cut cut = {.left = (float)(rng_uniform(draw) * (1 - wide) * room),
                     .top = (float)(rng_uniform(draw) * (1 - high) * room),
                     .across = (float)wide,
                     .down = (float)high};
  if (rng_below(draw, 2) == 0) cut.left += (float)(wide * room), cut.across = -cut.across;
  double light = 1 + LIGHT_MOST * (2 * rng_uniform(draw) - 1);
  for (int c = 0; c < 3; c++) cut.factor[c] = (float)(light * (1 + TINT_MOST * (2 * rng_uniform(draw) - 1)));
  return cut;
}

static float between(float a, float b, float at) { return a + (b - a) * at; }

/* The pixel at (x, y), which lies within the square: linear between four neighbours. */
static void pixel_at(const uint8_t *square, size_t side, float x, float y, float out[3]) {
  size_t left = (size_t)fmaxf(x, 0), top = (size_t)fmaxf(y, 0);
  left = left < side - 1 ? left : side - 2, top = top < side - 1 ? top : side - 2;
  const uint8_t *p = square + (top * side + left) * 3, *below = p + side * 3;
  for (int c = 0; c < 3; c++)
    out[c] = between(between(p[c], p[3 + c], x - (float)left), between(below[c], below[3 + c], x - (float)left),
                     y - (float)top);
}

static float scaled(float value) { return (fminf(value / 255, 1) - MIDDLE) / DEVIATION; }

static void whole_view(const uint8_t *square, size_t side, float *out) {
  float of[256];
  for (int i = 0; i < 256; i++) of[i] = scaled((float)i);
  for (size_t i = 0; i < side * side; i++)
    for (size_t c = 0; c < 3; c++) out[c * side * side + i] = of[square[3 * i + c]];
}

void picture_view(rng *draw, const uint8_t *square, size_t side, float *out) {
  if (draw == NULL) {
    whole_view(square, side, out);
    return;
  }
  picture_cut cut = cut_draw(draw, side);
  for (size_t y = 0; y < side; y++)
    for (size_t x = 0; x < side; x++) {
      float rgb[3];
      pixel_at(square, side, cut.left + (float)x * cut.across, cut.top + (float)y * cut.down, rgb);
      for (size_t c = 0; c < 3; c++) out[(c * side + y) * side + x] = scaled(rgb[c] * cut.factor[c]);
    }
}

/* ---- a picture as an item ---- */

void picture_item_wish(const encoder *e, media_request *request) {
  (void)e;
  request->image_side = DECODED_SIDE;
}

medley_status picture_item_prepare(const encoder_input *input, uint8_t *item, medley_error *err) {
  return picture_squeeze(input->image, PICTURE_SIDE, item, err);
}

void picture_item_view(rng *draw, const uint8_t *item, size_t window, float *out) {
  (void)window;
  picture_view(draw, item, PICTURE_SIDE, out);
}
