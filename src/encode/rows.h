/* encode/rows.h: the loop that all encoders share: rows spread over threads, each with scratch of its own, the first
 * error kept. */
#ifndef ENCODE_ROWS_H
#define ENCODE_ROWS_H

#include <stddef.h>

#include "base/error.h"

typedef struct row_work {
  void *context; /* handed to every call; shared, so read-only or locked */
  /* Scratch of one thread; both NULL when none is needed. */
  medley_status (*scratch_create)(void *context, void **scratch, medley_error *err);
  void (*scratch_free)(void *context, void *scratch);
  medley_status (*row)(void *context, void *scratch, size_t row, medley_error *err);
} row_work;

/* Calls row for 0 … count-1 in any order; after an error the remaining rows are skipped. Of several errors the one of
 * the smallest row is told, so that runs agree. */
medley_status rows_run(const row_work *w, size_t count, medley_error *err) MEDLEY_CHECK;

#endif
