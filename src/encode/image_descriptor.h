/* encode/image_descriptor.h: image.descriptor as a function, for encoders of things that hold pictures. */
#ifndef ENCODE_IMAGE_DESCRIPTOR_H
#define ENCODE_IMAGE_DESCRIPTOR_H

#include "base/error.h"
#include "media/sample.h"

#define IMAGE_DESCRIPTOR_DIM 1459

/* out [count, IMAGE_DESCRIPTOR_DIM], one row a frame, in the calling thread. */
medley_status image_descriptor_frames(const image *frames, size_t count, float *out, medley_error *err) MEDLEY_CHECK;

#endif
