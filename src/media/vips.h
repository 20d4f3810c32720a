/* media/vips.h: the bridge to libvips that image.c and card.c share. Not for anybody else.
 *
 * libvips keeps state of the whole process (types, error buffer), as does GLib below it. The bridge sets it up once,
 * for programs that decode what others sent: untrusted loaders blocked, no threads of its own, no cache, nothing
 * printed.
 */
#ifndef MEDIA_VIPS_H
#define MEDIA_VIPS_H

#include <vips/vips.h>

#include "base/error.h"
#include "media/sample.h"

/* Call before anything else of libvips; any thread, any number of times. */
medley_status vips_bridge_start(medley_error *err) MEDLEY_CHECK;

/* "<what>: <the last line of libvips's error buffer>", and empties the buffer. */
medley_status vips_bridge_error(medley_error *err, medley_status status, const char *what);

/* A view of in as an sRGB image of libvips; in must outlive it. NULL when memory runs out. Unreference it. */
VipsImage *vips_bridge_view(const image *in);

/* Evaluates `in` (any bands and type; alpha is laid over white) into a sample, strip by strip. */
medley_status vips_bridge_take(VipsImage *in, image *out, medley_error *err) MEDLEY_CHECK;

/* Unreferences and forgets; NULL is fine. */
void vips_bridge_release(VipsImage **held);

#endif
