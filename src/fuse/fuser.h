/* fuse/fuser.h: the vectors of several modalities → one vector per item (F27). A missing modality is masked: the others
 * carry the item, with weights that sum to the same. */
#ifndef FUSE_FUSER_H
#define FUSE_FUSER_H

#include "base/error.h"
#include "encode/features.h"

typedef struct fuser_kind {
  const char *name; /* "fuse.sum" "fuse.weighted" "fuse.concat" "fuse.map" */
  const char *summary;
  /* parts [part_count], at most FEATURES_MAX, all of the same count (sum and weighted: also of the same dim). weight
   * [part_count], not negative, one at least above 0; NULL: equal (sum takes them as equal always). out is a fresh
   * table named "fused" of unit rows, zeroed here; present where any part of weight above 0 is, and not zero. */
  medley_status (*fuse)(const features *parts, size_t part_count, const float *weight, features *out,
                        medley_error *err);
} fuser_kind;

extern const fuser_kind fuser_kinds[]; /* ended by name NULL */
const fuser_kind *fuser_kind_find(const char *name);

#endif
