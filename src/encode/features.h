/* encode/features.h: the vectors of one modality for all items, with a mask: what alignment, fusion and recommenders
 * eat. */
#ifndef ENCODE_FEATURES_H
#define ENCODE_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FEATURES_MAX 16

/* Owned by whoever made it; features_deinit frees. Rows of absent items are zero and must not be read as content. */
typedef struct features {
  const char
      *name; /* "text", "image", "audio", "video", "tags", "year": the name of the part in an explanation; borrowed */
  size_t count, dim;
  float *values;    /* [count, dim], unit length where present */
  uint8_t *present; /* [count] 0 or 1 */
} features;

void features_deinit(features *f);
size_t features_present_count(const features *f);

#endif
