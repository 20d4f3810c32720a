/* media/raster.h: picture formats that libvips reads only through its blocked loaders, by FFmpeg's decoders. */
#ifndef MEDIA_RASTER_H
#define MEDIA_RASTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RASTER_SNIFF_BYTES 12

/* True when the first bytes are of a format that raster_decode reads: BMP, QOI, PBM, PGM, PPM, PSD, JPEG 2000. */
bool raster_recognises(const void *bytes, size_t length);

typedef struct raster {
  uint32_t width, height;
  uint8_t *rgba; /* [height, width, 4], alpha not premultiplied; mem_free */
} raster;

/* The size is checked against pixel_limit before the pixels are decoded. */
medley_status raster_decode(const void *bytes, size_t length, uint64_t pixel_limit, raster *out,
                            medley_error *err) MEDLEY_CHECK;

#endif
