/* media/vips.c: see media/vips.h. */
#include "media/vips.h"

#include <libavutil/log.h>
#include <pthread.h>
#include <string.h>

#include "base/memory.h"

static pthread_once_t started = PTHREAD_ONCE_INIT;
static bool start_failed;

static void ignore_message(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer context) {
  (void)domain, (void)level, (void)message, (void)context;
}

static void start(void) {
  start_failed = VIPS_INIT("medley") != 0;
  if (start_failed) return;
  /* Loaders that their authors do not call safe on hostile bytes (PDF, SVG, ImageMagick, matlab …) are no way in. */
  vips_block_untrusted_set(TRUE);
  /* Parallel work is done by processes, which also bound the memory; a cache would only hold pictures seen once. */
  vips_concurrency_set(1);
  vips_cache_set_max(0);
  vips_cache_set_max_mem(0);
  vips_cache_set_max_files(0);
  /* Warnings about odd files are for us, not for the terminal of the program we live in. */
  g_log_set_handler("VIPS", G_LOG_LEVEL_WARNING | G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG, ignore_message, NULL);
  av_log_set_level(AV_LOG_QUIET);
}

medley_status vips_bridge_start(medley_error *err) {
  pthread_once(&started, start);
  if (start_failed) return error_set(err, MEDLEY_ERR_INTERNAL, "libvips cannot be started");
  return MEDLEY_OK;
}

medley_status vips_bridge_error(medley_error *err, medley_status status, const char *what) {
  char *text = vips_error_buffer_copy();
  size_t length = strlen(text);
  while (length > 0 && strchr(" .:\r\n", text[length - 1]) != NULL) text[--length] = '\0';
  /* The lines before the last are warnings on the way to it, unless they filled the buffer (10 KiB) and cut it off. */
  char *newline = length < 10000 ? strrchr(text, '\n') : NULL, *line = newline != NULL ? newline + 1 : text;
  line[strcspn(line, "\n")] = '\0';
  /* Errors of sources begin with the path, which the caller names better. */
  if (line[0] == '/') line = strstr(line, ": ") != NULL ? strstr(line, ": ") + 2 : line + strlen(line);
  if (strstr(line, "out of memory") != NULL) status = MEDLEY_ERR_MEMORY;
  error_set(err, status, line[0] != '\0' ? "%s: %.300s" : "%s%s", what, line);
  g_free(text);
  return status;
}

VipsImage *vips_bridge_view(const image *in) {
  VipsImage *view = vips_image_new_from_memory(in->rgb, (size_t)in->width * in->height * 3, (int)in->width,
                                               (int)in->height, 3, VIPS_FORMAT_UCHAR);
  if (view != NULL) view->Type = VIPS_INTERPRETATION_sRGB;
  return view;
}

void vips_bridge_release(VipsImage **held) { g_clear_object(held); }

/* Any image to 8-bit sRGB of three bands without alpha. */
static int to_plain_rgb(VipsImage *in, VipsImage **out) {
  VipsImage *flat = NULL, *rgb = NULL, *three = NULL;
  double white = 255;
  int failed = vips_colourspace(in, &rgb, VIPS_INTERPRETATION_sRGB, NULL);
  if (!failed && vips_image_hasalpha(rgb)) {
    VipsArrayDouble *background = vips_array_double_new(&white, 1);
    failed = vips_flatten(rgb, &flat, "background", background, NULL);
    vips_area_unref(VIPS_AREA(background));
  } else if (!failed) {
    flat = g_object_ref(rgb);
  }
  /* Bands beyond alpha are depth maps, spot colours and the like. */
  if (!failed && flat->Bands > 3) failed = vips_extract_band(flat, &three, 0, "n", 3, NULL);
  if (!failed && flat->Bands < 3) {
    VipsImage *copies[3] = {flat, flat, flat};
    VipsImage *grey = NULL;
    failed = vips_extract_band(flat, &grey, 0, NULL);
    copies[0] = copies[1] = copies[2] = grey;
    if (!failed) failed = vips_bandjoin(copies, &three, 3, NULL);
    vips_bridge_release(&grey);
  }
  if (!failed && three == NULL) three = g_object_ref(flat);
  if (!failed) failed = vips_cast_uchar(three, out, NULL);
  vips_bridge_release(&flat);
  vips_bridge_release(&rgb);
  vips_bridge_release(&three);
  return failed;
}

#define STRIP_ROWS 64

/* In strips from the top, so that loaders may stream and the pixels are held once. */
static int copy_strips(VipsImage *rgb, uint8_t *pixels) {
  VipsRegion *region = vips_region_new(rgb);
  size_t row_bytes = (size_t)rgb->Xsize * 3;
  int failed = 0;
  for (int top = 0; top < rgb->Ysize && !failed; top += STRIP_ROWS) {
    VipsRect strip = {0, top, rgb->Xsize, VIPS_MIN(STRIP_ROWS, rgb->Ysize - top)};
    failed = vips_region_prepare(region, &strip);
    for (int y = top; y < top + strip.height && !failed; y++)
      memcpy(pixels + (size_t)y * row_bytes, VIPS_REGION_ADDR(region, 0, y), row_bytes);
  }
  g_object_unref(region);
  return failed;
}

medley_status vips_bridge_take(VipsImage *in, image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  VipsImage *rgb = NULL;
  *out = (image){0};
  if (to_plain_rgb(in, &rgb) != 0)
    TRY(vips_bridge_error(err, MEDLEY_ERR_INPUT, "the picture cannot be converted to sRGB"));
  TRY_NEW(out->rgb, (size_t)rgb->Xsize * (size_t)rgb->Ysize * 3, "a picture");
  out->width = (uint32_t)rgb->Xsize;
  out->height = (uint32_t)rgb->Ysize;
  if (copy_strips(rgb, out->rgb) != 0) TRY(vips_bridge_error(err, MEDLEY_ERR_INPUT, "the picture cannot be decoded"));
done:
  if (status != MEDLEY_OK) image_deinit(out);
  vips_bridge_release(&rgb);
  return status;
}
