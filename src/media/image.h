/* media/image.h: pictures → samples, by libvips (F04). The functions that touch files or libvips run in a worker
 * process (media/worker.h) when the bytes are not ours. Initialises libvips on first use and blocks its untrusted
 * loaders. */
#ifndef MEDIA_IMAGE_H
#define MEDIA_IMAGE_H

#include "base/error.h"
#include "media/sample.h"

typedef enum image_crop { IMAGE_CROP_NONE, IMAGE_CROP_CENTRE, IMAGE_CROP_ATTENTION } image_crop;

/* Steps in this order: scale, crop, denoise, contrast, equalise, sharpen: scaling first, because files can be decoded
 * small, and because the others are meant for the pixels that are looked at. */
typedef struct image_options { /* zero means: decode, orient, sRGB, alpha over white, at full size */
  uint32_t
      side; /* scale so that the longer side (crop none) or both sides (crop) are this; never enlarges without crop */
  image_crop crop;
  int denoise;          /* 1: median 3×3 */
  int contrast;         /* 1: stretch to the 1st and 99th percentile */
  int equalise;         /* 1: histogram equalisation of lightness */
  int sharpen;          /* 1: unsharp mask on lightness */
  uint64_t pixel_limit; /* 0: 100 million, as stored in the file */
} image_options;

#define IMAGE_SIDE_MAX 65535
#define IMAGE_PIXEL_LIMIT_DEFAULT 100000000u

/* JPEG, PNG, WebP, GIF, TIFF, AVIF, HEIC, BMP, QOI, PNM, PSD, JPEG 2000. Shrink-on-load where the format can. Animated
 * files give their first frame. */
medley_status image_load(const char *path, const image_options *options, image *out, medley_error *err) MEDLEY_CHECK;
medley_status image_load_bytes(const void *bytes, size_t length, const image_options *options, image *out,
                               medley_error *err) MEDLEY_CHECK;
/* All frames of an animated GIF or WebP, at most frame_max evenly chosen, with their times. */
medley_status image_load_animation(const char *path, const image_options *options, uint32_t frame_max, video *out,
                                   medley_error *err) MEDLEY_CHECK;
/* The same steps on a sample that is already decoded. out must not alias in. */
medley_status image_process(const image *in, const image_options *options, image *out, medley_error *err) MEDLEY_CHECK;
/* By the extension of path: png, jpg, webp. Written beside and renamed. */
medley_status image_save(const image *in, const char *path, medley_error *err) MEDLEY_CHECK;

/* Area-averaging resize in plain C without libvips, for encoders. out owns its pixels. */
medley_status image_resize(const image *in, uint32_t width, uint32_t height, image *out,
                           medley_error *err) MEDLEY_CHECK;

#endif
