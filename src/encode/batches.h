/* encode/batches.h: work on many items in batches, one thread a batch: no thread waits for another inside a network. */
#ifndef ENCODE_BATCHES_H
#define ENCODE_BATCHES_H

#include "base/error.h"
#include "nn/tape.h"

/* Items [from, to) on a tape that was reset and does not train. */
typedef medley_status batch_body(void *context, tape *t, size_t from, size_t to, medley_error *err);
/* All items [0, count) in batches of `size`; the first failure is told. */
medley_status batches_run(size_t count, size_t size, batch_body *body, void *context, medley_error *err) MEDLEY_CHECK;

#endif
