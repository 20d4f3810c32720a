/* media/card.h: the caption card (F10): an item's title laid over its picture and blended, colour or grey. */
#ifndef MEDIA_CARD_H
#define MEDIA_CARD_H

#include "base/error.h"
#include "media/sample.h"

typedef struct card_options {
  uint32_t width, height; /* 0: 600 × 400; at most 4096 each */
  int grey;
  double opacity; /* of the band behind the text, 0 to 1; 0 means the default 0.65 */
} card_options;

/* picture may be NULL (no picture: a plain ground is drawn). title is UTF-8 in any script; it is wrapped and shrunk to
 * fit, and its markup characters are text. subtitle may be NULL. */
medley_status card_render(const image *picture, const char *title, const char *subtitle, const card_options *options,
                          image *out, medley_error *err) MEDLEY_CHECK;

#endif
