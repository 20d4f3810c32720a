/* bench/nn_training.c: see bench/nn_training.h. */
#include "nn_training.h"

#include "base/memory.h"
#include "base/rng.h"

medley_status nn_training_begin(nn_training *w, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng r;
  TRY_NEW(w->x, count, "a benchmark");
  rng_seed(&r, 1);
  for (size_t i = 0; i < count; i++) w->x[i] = (float)rng_normal(&r);
  w->parameters = parameters_create();
  w->tape = tape_create(1);
  if (w->parameters == NULL || w->tape == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a benchmark");
done:
  return status;
}

void nn_training_free(void *work) {
  nn_training *w = work;
  if (w == NULL) return;
  tape_free(w->tape);
  optimiser_free(w->optimiser);
  parameters_free(w->parameters);
  mem_free(w->x);
  mem_free(w);
}
