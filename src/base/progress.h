/* base/progress.h: the library's side of medley/progress.h: counting, rate, time left, throttling, cancelling. */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <medley/progress.h>
#include <stdbool.h>

#include "base/error.h"

/* One stage at a time. Use from the calling thread only; workers count into an atomic that the caller reports. */
typedef struct progress_stage {
  const medley_progress *sink; /* may be NULL */
  const char *stage;
  uint64_t total;
  double started_s, reported_s;
  char detail[64];            /* written by whoever has something to say before progress_update; "" at first */
  double loss, learning_rate; /* by whoever trains a network; NAN at first */
} progress_stage;

/* `stage` must outlive the stage. total 0: unknown. */
void progress_begin(progress_stage *p, const medley_progress *sink, const char *stage, uint64_t total);
/* Cheap enough for every few hundred rows. MEDLEY_ERR_CANCELLED when the receiver asks to stop. */
medley_status progress_update(progress_stage *p, uint64_t done, medley_error *err) MEDLEY_CHECK;
void progress_end(progress_stage *p, uint64_t done);
void progress_note(const medley_progress *sink, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
