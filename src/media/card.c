/* media/card.c: owns the caption card (see media/card.h): picture, band, text, in this order, each blended over the
 * last.
 *
 * libvips lays out the text (through Pango, so any script that a font on this machine has) and gives a mask of
 * coverage; all blending is done here on bytes, which keeps the card's pixels ours to test. The band takes its tint
 * from the picture below it, darkened until white text is readable, and fades out at its upper edge, so that it belongs
 * to the picture.
 */
#include "media/card.h"

#include <math.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "base/memory.h"
#include "base/strbuf.h"
#include "media/image.h"
#include "media/vips.h"

#define WIDTH_DEFAULT 600
#define HEIGHT_DEFAULT 400
#define SIDE_MAX 4096
#define OPACITY_DEFAULT 0.65
#define CHARACTERS_MAX 300 /* of a title; more cannot be read on a card */
#define FONT_PIXELS_MIN 6.0
#define BAND_LUMA_MAX 70.0 /* of 255: white text on it has a contrast above 7 : 1 (WCAG 2, level AAA) */

/* Coverage of text, 255 where it is full. */
typedef struct text_mask {
  uint32_t width, height;
  uint8_t *coverage; /* [height, width]; NULL: nothing to draw */
  bool right_to_left;
} text_mask;

/* A place for text: its box and how the font starts. */
typedef struct text_place {
  uint32_t width, height; /* pixels it must fit */
  double font_pixels;     /* tried first, then less until it fits */
  bool bold;
} text_place;

/* ---- text ---- */

/* Valid UTF-8 without control characters, cut to CHARACTERS_MAX, its markup characters escaped. */
static medley_status make_markup(const char *text, strbuf *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf clean = {0};
  strbuf_append_utf8_repaired(&clean, text, strnlen(text, 4 * CHARACTERS_MAX + 4));
  if (clean.text == NULL || clean.failed) goto done;
  int32_t end = 0, length = (int32_t)clean.length;
  for (int count = 0; end < length && count < CHARACTERS_MAX; count++) {
    if ((unsigned char)clean.text[end] < ' ') clean.text[end] = ' ';
    U8_FWD_1(clean.text, end, length);
  }
  clean.text[end] = '\0';
  char *trimmed = string_trim(clean.text);
  strbuf_append_escaped(out, trimmed);
  if (end < length) strbuf_append(out, "…");
done:
  if (clean.failed || out->failed) status = error_memory(err, "a caption");
  strbuf_deinit(&clean);
  return status;
}

/* The first character with a direction decides (rule P2 of UAX 9). */
static bool starts_right_to_left(const char *text) {
  int32_t length = (int32_t)strlen(text);
  for (int32_t i = 0; i < length;) {
    UChar32 c;
    U8_NEXT(text, i, length, c);
    UCharDirection direction = u_charDirection(c);
    if (direction == U_LEFT_TO_RIGHT) return false;
    if (direction == U_RIGHT_TO_LEFT || direction == U_RIGHT_TO_LEFT_ARABIC) return true;
  }
  return false;
}

/* The text at one font size; *out is NULL when there is nothing to see in it. */
static medley_status lay_out(const char *markup, const text_place *place, double font_pixels, bool right_to_left,
                             VipsImage **out, medley_error *err) {
  char font[48];
  snprintf(font, sizeof font, "Sans %s%d", place->bold ? "Bold " : "", (int)font_pixels);
  *out = NULL;
  int failed = vips_text(out, markup, "font", font, "width", (int)place->width, "dpi", 72, "align",
                         right_to_left ? VIPS_ALIGN_HIGH : VIPS_ALIGN_LOW, "wrap", VIPS_TEXT_WRAP_WORD_CHAR, NULL);
  if (!failed) return MEDLEY_OK;
  if (strstr(vips_error_buffer(), "no text to render") == NULL)
    return vips_bridge_error(err, MEDLEY_ERR_INPUT, "the caption cannot be laid out");
  vips_error_clear();
  return MEDLEY_OK;
}

static medley_status take_mask(VipsImage *text, const text_place *place, text_mask *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t bytes;
  uint8_t *coverage = vips_image_write_to_memory(text, &bytes);
  if (coverage == NULL || bytes != (size_t)text->Xsize * (size_t)text->Ysize)
    TRY(vips_bridge_error(err, MEDLEY_ERR_INPUT, "the caption cannot be drawn"));
  /* A text that does not fit even at the smallest size is cut off at the box. */
  out->width = VIPS_MIN((uint32_t)text->Xsize, place->width);
  out->height = VIPS_MIN((uint32_t)text->Ysize, place->height);
  TRY_NEW(out->coverage, (size_t)out->width * out->height, "a caption");
  for (uint32_t y = 0; y < out->height; y++)
    memcpy(out->coverage + (size_t)y * out->width, coverage + (size_t)y * (size_t)text->Xsize, out->width);
done:
  g_free(coverage);
  return status;
}

static medley_status draw_text(const char *text, const text_place *place, text_mask *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf markup = {0};
  VipsImage *laid = NULL;
  *out = (text_mask){0};
  if (text == NULL) goto done;
  TRY(make_markup(text, &markup, err));
  if (markup.text == NULL || markup.text[0] == '\0') goto done;
  out->right_to_left = starts_right_to_left(markup.text);
  for (double pixels = place->font_pixels;; pixels = fmax(pixels * 0.85, FONT_PIXELS_MIN)) {
    TRY(lay_out(markup.text, place, pixels, out->right_to_left, &laid, err));
    if (laid == NULL) goto done;
    bool fits = (uint32_t)laid->Xsize <= place->width && (uint32_t)laid->Ysize <= place->height;
    if (fits || pixels <= FONT_PIXELS_MIN) break;
    vips_bridge_release(&laid);
  }
  TRY(take_mask(laid, place, out, err));
done:
  vips_bridge_release(&laid);
  strbuf_deinit(&markup);
  return status;
}

/* ---- ground ---- */

/* The middle of the picture in the card's proportions, scaled to the card; out has its pixels already. */
static medley_status cover(const image *picture, image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  image window = {0}, scaled = {0};
  double proportion = (double)out->width / out->height;
  window.width = (uint32_t)fmax(1, fmin(picture->width, round(picture->height * proportion)));
  window.height = (uint32_t)fmax(1, fmin(picture->height, round(picture->width / proportion)));
  uint32_t left = (picture->width - window.width) / 2, top = (picture->height - window.height) / 2;
  size_t row_bytes = (size_t)window.width * 3;
  TRY_NEW(window.rgb, row_bytes * window.height, "a card");
  for (uint32_t y = 0; y < window.height; y++)
    memcpy(window.rgb + y * row_bytes, picture->rgb + ((size_t)(y + top) * picture->width + left) * 3, row_bytes);
  TRY(image_resize(&window, out->width, out->height, &scaled, err));
  memcpy(out->rgb, scaled.rgb, (size_t)out->width * out->height * 3);
done:
  image_deinit(&window);
  image_deinit(&scaled);
  return status;
}

/* A slate that darkens downwards. */
static void draw_plain_ground(image *out) {
  static const uint8_t upper[3] = {126, 140, 158}, lower[3] = {66, 76, 94};
  for (uint32_t y = 0; y < out->height; y++) {
    double part = (double)y / out->height;
    for (uint32_t x = 0; x < out->width; x++)
      for (int c = 0; c < 3; c++)
        out->rgb[((size_t)y * out->width + x) * 3 + (size_t)c] =
            (uint8_t)(upper[c] + part * (lower[c] - upper[c]) + 0.5);
  }
}

static double luma(const double rgb[3]) { return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]; }

/* ---- band and text over it ---- */

/* The mean colour of the rows from top on, darkened to BAND_LUMA_MAX. */
static void band_colour(const image *card, uint32_t top, double colour[3]) {
  size_t first = (size_t)top * card->width, last = (size_t)card->height * card->width;
  for (int c = 0; c < 3; c++) colour[c] = 0;
  for (size_t i = first; i < last; i++)
    for (size_t c = 0; c < 3; c++) colour[c] += card->rgb[i * 3 + c];
  for (int c = 0; c < 3; c++) colour[c] /= (double)(last - first);
  double light = luma(colour), factor = light > BAND_LUMA_MAX ? BAND_LUMA_MAX / light : 1;
  for (int c = 0; c < 3; c++) colour[c] *= factor;
}

static void blend(uint8_t *pixel, const double colour[3], double part) {
  for (int c = 0; c < 3; c++) pixel[c] = (uint8_t)(pixel[c] + part * (colour[c] - pixel[c]) + 0.5);
}

/* From `top` down; above it the band fades over `feather` rows (smoothstep). */
static void draw_band(image *card, uint32_t top, uint32_t feather, double opacity) {
  double colour[3];
  band_colour(card, top, colour);
  for (uint32_t y = top > feather ? top - feather : 0; y < card->height; y++) {
    double t = y >= top ? 1 : 1 - (double)(top - y) / feather;
    double part = opacity * t * t * (3 - 2 * t);
    for (uint32_t x = 0; x < card->width; x++) blend(card->rgb + ((size_t)y * card->width + x) * 3, colour, part);
  }
}

static void draw_mask(image *card, const text_mask *mask, uint32_t margin, uint32_t top, double strength) {
  static const double white[3] = {255, 255, 255};
  uint32_t left = mask->right_to_left ? card->width - margin - mask->width : margin;
  for (uint32_t y = 0; y < mask->height && top + y < card->height; y++)
    for (uint32_t x = 0; x < mask->width; x++) {
      double part = strength * mask->coverage[(size_t)y * mask->width + x] / 255;
      if (part > 0) blend(card->rgb + ((size_t)(top + y) * card->width + left + x) * 3, white, part);
    }
}

static void draw_caption(image *card, const text_mask *title, const text_mask *subtitle, uint32_t margin,
                         double opacity) {
  uint32_t gap = title->height > 0 && subtitle->height > 0 ? margin / 2 : 0;
  uint32_t inside = title->height + gap + subtitle->height;
  if (inside == 0) return;
  uint32_t top = card->height - VIPS_MIN(card->height, inside + margin);
  uint32_t band = top > margin ? top - margin : 0;
  draw_band(card, band, VIPS_MAX(1, card->height / 8), opacity);
  draw_mask(card, title, margin, top, 1);
  draw_mask(card, subtitle, margin, top + title->height + gap, 0.85);
}

static void make_grey(image *card) {
  for (size_t i = 0; i < (size_t)card->width * card->height; i++) {
    uint8_t *p = card->rgb + i * 3;
    const double rgb[3] = {p[0], p[1], p[2]};
    p[0] = p[1] = p[2] = (uint8_t)(luma(rgb) + 0.5);
  }
}

static medley_status check_options(card_options *o, medley_error *err) {
  if (o->width == 0) o->width = WIDTH_DEFAULT;
  if (o->height == 0) o->height = HEIGHT_DEFAULT;
  if (o->opacity == 0) o->opacity = OPACITY_DEFAULT;
  if (o->width > SIDE_MAX || o->height > SIDE_MAX)
    return error_set(err, MEDLEY_ERR_USAGE, "a card of %u x %u is asked for; at most %d x %d", o->width, o->height,
                     SIDE_MAX, SIDE_MAX);
  if (!(o->opacity >= 0 && o->opacity <= 1))
    return error_set(err, MEDLEY_ERR_USAGE, "the band's opacity is %g; it goes from 0 to 1", o->opacity);
  return MEDLEY_OK;
}

medley_status card_render(const image *picture, const char *title, const char *subtitle, const card_options *options,
                          image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  card_options o = options != NULL ? *options : (card_options){0};
  text_mask masks[2] = {{0}};
  *out = (image){0};
  TRY(vips_bridge_start(err));
  TRY(check_options(&o, err));
  uint32_t margin = VIPS_MIN(o.width, o.height) / 20, width = VIPS_MAX(1, o.width - 2 * margin);
  TRY(draw_text(title,
                &(text_place){width, VIPS_MAX(1, o.height * 2 / 5), fmax(FONT_PIXELS_MIN, o.height / 11.0), true},
                &masks[0], err));
  TRY(draw_text(subtitle,
                &(text_place){width, VIPS_MAX(1, o.height / 6), fmax(FONT_PIXELS_MIN, o.height / 20.0), false},
                &masks[1], err));
  TRY_NEW(out->rgb, (size_t)o.width * o.height * 3, "a card");
  out->width = o.width;
  out->height = o.height;
  if (picture != NULL && picture->width > 0 && picture->height > 0) {
    TRY(cover(picture, out, err));
  } else {
    draw_plain_ground(out);
  }
  draw_caption(out, &masks[0], &masks[1], margin, o.opacity);
  if (o.grey) make_grey(out);
done:
  if (status != MEDLEY_OK) image_deinit(out);
  mem_free(masks[0].coverage);
  mem_free(masks[1].coverage);
  return status;
}
