/* media/draw.c: see media/draw.h. A line covers a pixel by how far its middle is from it: exact enough for widths of
 * one to a few. */
#include "media/draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/strbuf.h"
#include "media/vips.h"

medley_status draw_ground(uint32_t width, uint32_t height, const uint8_t colour[3], image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (image){.width = width, .height = height};
  TRY_NEW(out->rgb, (size_t)width * height * 3, "a picture");
  for (size_t i = 0; i < (size_t)width * height; i++) memcpy(out->rgb + 3 * i, colour, 3);
done:
  return status;
}

static void pixel_blend(image *on, uint32_t x, uint32_t y, const uint8_t colour[3], double share) {
  uint8_t *pixel = on->rgb + ((size_t)y * on->width + x) * 3;
  for (int c = 0; c < 3; c++) pixel[c] = (uint8_t)(pixel[c] + (colour[c] - pixel[c]) * share + 0.5);
}

static double distance_to(double x, double y, double x0, double y0, double dx, double dy, double square) {
  double along = square > 0 ? ((x - x0) * dx + (y - y0) * dy) / square : 0;
  along = along < 0 ? 0 : along > 1 ? 1 : along;
  return hypot(x - x0 - along * dx, y - y0 - along * dy);
}

static uint32_t clamp(double value, uint32_t end) { return value <= 0 ? 0 : value >= end ? end : (uint32_t)value; }

void draw_line(image *on, double x0, double y0, double x1, double y1, double width, const uint8_t colour[3]) {
  double reach = width / 2 + 0.5, dx = x1 - x0, dy = y1 - y0, square = dx * dx + dy * dy;
  if (!isfinite(square)) return;
  uint32_t left = clamp(fmin(x0, x1) - reach, on->width), right = clamp(fmax(x0, x1) + reach + 1, on->width);
  uint32_t top = clamp(fmin(y0, y1) - reach, on->height), bottom = clamp(fmax(y0, y1) + reach + 1, on->height);
  for (uint32_t y = top; y < bottom; y++)
    for (uint32_t x = left; x < right; x++) {
      double share = reach - distance_to(x + 0.5, y + 0.5, x0, y0, dx, dy, square);
      if (share > 0) pixel_blend(on, x, y, colour, share < 1 ? share : 1);
    }
}

medley_status draw_label(image *on, const char *text, double x, double y, double anchor, int font_pixels,
                         const uint8_t colour[3], medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf markup = {0};
  VipsImage *laid = NULL;
  uint8_t *coverage = NULL;
  char font[32];
  if (*text == '\0') goto done;
  TRY(vips_bridge_start(err));
  strbuf_append_escaped(&markup, text);
  if (markup.failed) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a label");
  snprintf(font, sizeof font, "Sans %d", font_pixels);
  size_t bytes;
  if (vips_text(&laid, markup.text, "font", font, "dpi", 72, NULL) != 0 ||
      (coverage = vips_image_write_to_memory(laid, &bytes)) == NULL)
    TRY(vips_bridge_error(err, MEDLEY_ERR_INPUT, "a label cannot be drawn"));
  int left = (int)lround(x - anchor * laid->Xsize), top = (int)lround(y - 0.5 * laid->Ysize);
  for (int row = 0; row < laid->Ysize; row++)
    for (int column = 0; column < laid->Xsize; column++) {
      int to_x = left + column, to_y = top + row;
      if (to_x < 0 || to_y < 0 || to_x >= (int)on->width || to_y >= (int)on->height) continue;
      pixel_blend(on, (uint32_t)to_x, (uint32_t)to_y, colour, coverage[row * laid->Xsize + column] / 255.0);
    }
done:
  vips_bridge_release(&laid);
  g_free(coverage);
  strbuf_deinit(&markup);
  return status;
}
