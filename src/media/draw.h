/* media/draw.h: lines and short texts on a picture, smooth at the edges: plots as PNG. Pictures with surfaces:
 * engine/sample_canvas.h. */
#ifndef MEDIA_DRAW_H
#define MEDIA_DRAW_H

#include "base/error.h"
#include "media/sample.h"

/* A picture of one colour; image_deinit it. */
medley_status draw_ground(uint32_t width, uint32_t height, const uint8_t colour[3], image *out,
                          medley_error *err) MEDLEY_CHECK;
/* From (x0, y0) to (x1, y1) in pixels, the middle of the upper left one being (0.5, 0.5). What lies outside is left
 * out. */
void draw_line(image *on, double x0, double y0, double x1, double y1, double width, const uint8_t colour[3]);
/* One line of UTF-8 in the system's sans font. (x, y): the middle of its height, and its left end, middle or right end
 * by anchor (0, 0.5, 1). Nothing happens when it is empty. */
medley_status draw_label(image *on, const char *text, double x, double y, double anchor, int font_pixels,
                         const uint8_t colour[3], medley_error *err) MEDLEY_CHECK;

#endif
