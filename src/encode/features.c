/* encode/features.c: see encode/features.h. */
#include "encode/features.h"

#include "base/memory.h"

void features_deinit(features *f) {
  mem_free(f->values);
  mem_free(f->present);
  *f = (features){0};
}

size_t features_present_count(const features *f) {
  size_t present = 0;
  for (size_t i = 0; i < f->count; i++) present += f->present[i] != 0;
  return present;
}
