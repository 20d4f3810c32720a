/* encode/batches.c: see encode/batches.h. */
#include "encode/batches.h"

typedef struct batches {
  size_t count, size;
  batch_body *body;
  void *context;
  medley_status status; /* the first failure */
  medley_error error;
} batches;

/* Remembers the first failure; true while there is none. */
static bool batches_go_on(batches *b, medley_status status, const medley_error *error) {
  bool good;
#pragma omp critical(batches)
  {
    if (status != MEDLEY_OK && b->status == MEDLEY_OK) b->status = status, b->error = *error;
    good = b->status == MEDLEY_OK;
  }
  return good;
}

medley_status batches_run(size_t count, size_t size, batch_body *body, void *context, medley_error *err) {
  batches b = {count, size, body, context, MEDLEY_OK, {0}};
  size_t rounds = (count + size - 1) / size;
#pragma omp parallel if (rounds > 1)
  {
    medley_error error = {0};
    tape *t = tape_create(0);
    if (t != NULL) tape_set_training(t, false);
    batches_go_on(&b, t != NULL ? MEDLEY_OK : error_memory(&error, "a tape"), &error);
#pragma omp for schedule(dynamic, 1)
    for (size_t i = 0; i < rounds; i++) {
      if (!batches_go_on(&b, MEDLEY_OK, NULL) || t == NULL) continue;
      tape_reset(t);
      size_t to = (i + 1) * size < count ? (i + 1) * size : count;
      batches_go_on(&b, body(context, t, i * size, to, &error), &error);
    }
    tape_free(t);
  }
  return b.status == MEDLEY_OK ? MEDLEY_OK : error_set(err, b.status, "%s", b.error.text);
}
