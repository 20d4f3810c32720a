/* base/scratch.h: memory in a file without a name: for what is large and seldom read, so that the system may drop its
 * pages when it needs the room and read them again. The file is gone when the process ends, however it ends.
 *
 * Threads: one at a time may map; what is mapped is anybody's.
 */
#ifndef BASE_SCRATCH_H
#define BASE_SCRATCH_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/error.h"

typedef struct scratch {
  char *folder;
  int file;             /* -1: not opened yet */
  _Atomic size_t bytes; /* anybody may ask */
} scratch;

/* The file will lie in `folder`, from the first scratch_map on. */
medley_status scratch_init(scratch *s, const char *folder, medley_error *err) MEDLEY_CHECK;
/* What is mapped stays. A zeroed one is fine. */
void scratch_deinit(scratch *s);

/* Zeroed pages, their room on the disk taken (writing to them later cannot fail); mem_unmap with the same size. */
medley_status scratch_map(scratch *s, size_t bytes, void **out, medley_error *err) MEDLEY_CHECK;

#endif
