/* bench/nn_works_bags.c: two bags of items for each of 1024 pairs, out of a table of 1,000,000 x 128, drawn to each
 * other by InfoNCE; lazy Adam on the rows that were touched. */
#include "base/memory.h"
#include "base/rng.h"
#include "nn/layer.h"
#include "nn/optimiser.h"
#include "nn_works.h"

enum { ROWS = 1000000, DIM = 128, PAIRS = 1024, MEMBERS = 20, COUNT = PAIRS * MEMBERS };

typedef struct bags_work {
  parameters *parameters;
  optimiser *optimiser;
  tape *tape;
  layer_embedding table;
  rng draw;
  int32_t index[2][COUNT], starts[PAIRS + 1];
} bags_work;

static void bags_free(void *state) {
  bags_work *w = state;
  if (w == NULL) return;
  tape_free(w->tape);
  optimiser_free(w->optimiser);
  parameters_free(w->parameters);
  mem_free(w);
}

static medley_status bags_create(void **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bags_work *w = NULL;
  TRY_NEW(w, 1, "a benchmark");
  rng_seed(&w->draw, 1);
  for (int b = 0; b <= PAIRS; b++) w->starts[b] = b * MEMBERS;
  w->parameters = parameters_create();
  w->tape = tape_create(1);
  if (w->parameters == NULL || w->tape == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a benchmark");
  layer_embedding_init(&w->table, w->parameters, NULL, ROWS, DIM, 0.1, true);
  TRY(parameters_seal(w->parameters, 1, err));
  TRY(optimiser_create(optimiser_find("adam"), w->parameters, &(optimiser_options){0}, &w->optimiser, err));
  *out = w;
  w = NULL;
done:
  bags_free(w);
  return status;
}

static medley_status bags_step(void *state, double *value, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bags_work *w = state;
  tape *t = w->tape;
  tensor *side[2], *starts = tape_indices(t, 1, (size_t[]){PAIRS + 1}, w->starts);
  for (int k = 0; k < 2; k++) {
    for (int i = 0; i < COUNT; i++) w->index[k][i] = (int32_t)rng_below(&w->draw, ROWS);
    tensor *ids = tape_indices(t, 1, (size_t[]){COUNT}, w->index[k]);
    side[k] = op_unit(t, op_embedding_bag(t, w->table.weight, ids, starts, NULL, true));
  }
  tensor *loss = op_infonce(t, side[0], side[1], 0.1, true);
  TRY(tape_backward(t, loss, err));
  *value = tape_value(loss);
  TRY(optimiser_step(w->optimiser, 1e-3, NULL, err));
done:
  tape_reset(t);
  return status;
}

/* Each touched row: read for the bag; its gradient written, added to, read; row and two moments read and written. */
const nn_work nn_work_bags = {"bags",
                              "bags of 20 and InfoNCE over 1024 pairs, table 1,000,000 x 128, lazy Adam",
                              2.0 * PAIRS *PAIRS *DIM * 3,
                              2.0 * COUNT *DIM * 4 * (1 + 3 + 6),
                              150,
                              bags_create,
                              bags_step,
                              bags_free};
