/* bench/nn_works_recurrent.c: a training step of GRU and LSTM, 64 sequences of 50 steps of 256 numbers, 256 hidden. */
#include "base/memory.h"
#include "base/rng.h"
#include "nn/layer.h"
#include "nn/optimiser.h"
#include "nn_works.h"

enum { BATCH = 64, STEPS = 50, WIDTH = 256 };

typedef struct recurrent_work {
  parameters *parameters;
  optimiser *optimiser;
  tape *tape;
  layer_recurrent layer;
  float *x;
} recurrent_work;

static void recurrent_free(void *state) {
  recurrent_work *w = state;
  if (w == NULL) return;
  tape_free(w->tape);
  optimiser_free(w->optimiser);
  parameters_free(w->parameters);
  mem_free(w->x);
  mem_free(w);
}

static medley_status recurrent_create(void **out, bool lstm, medley_error *err) {
  medley_status status = MEDLEY_OK;
  recurrent_work *w = NULL;
  rng r;
  TRY_NEW(w, 1, "a benchmark");
  TRY_NEW(w->x, BATCH * STEPS * WIDTH, "a benchmark");
  rng_seed(&r, 1);
  for (size_t i = 0; i < BATCH * STEPS * WIDTH; i++) w->x[i] = (float)rng_normal(&r);
  w->parameters = parameters_create();
  w->tape = tape_create(1);
  if (w->parameters == NULL || w->tape == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a benchmark");
  layer_recurrent_options o = {.in = WIDTH, .hidden = WIDTH};
  (lstm ? layer_lstm_init : layer_gru_init)(&w->layer, w->parameters, NULL, &o);
  TRY(parameters_seal(w->parameters, 1, err));
  TRY(optimiser_create(optimiser_find("adam"), w->parameters, &(optimiser_options){0}, &w->optimiser, err));
  *out = w;
  w = NULL;
done:
  recurrent_free(w);
  return status;
}

static medley_status gru_create(void **out, medley_error *err) { return recurrent_create(out, false, err); }
static medley_status lstm_create(void **out, medley_error *err) { return recurrent_create(out, true, err); }

static medley_status recurrent_step(void *state, double *value, medley_error *err) {
  medley_status status = MEDLEY_OK;
  recurrent_work *w = state;
  tape *t = w->tape;
  tensor *x = tape_input(t, 3, (size_t[]){BATCH, STEPS, WIDTH}, w->x);
  tensor *y = layer_recurrent_forward(t, &w->layer, x, NULL);
  tensor *loss = op_mean(t, op_square(t, y), OP_ALL);
  TRY(tape_backward(t, loss, err));
  *value = tape_value(loss);
  TRY(optimiser_step(w->optimiser, 1e-3, NULL, err));
done:
  tape_reset(t);
  return status;
}

/* Products with the input, with the state; each forward and twice backward, but nobody asks for the input's gradient.
 */
#define FLOPS(gates) (2.0 * BATCH * STEPS * WIDTH * WIDTH * (gates)*5)
#define BYTES(gates) (4.0 * BATCH * STEPS * WIDTH * (6 * (gates) + 6))

const nn_work nn_work_gru = {
    "gru",         "GRU, 64 x 50 x 256: forward, backward, Adam", FLOPS(3), BYTES(3), 5, gru_create, recurrent_step,
    recurrent_free};
const nn_work nn_work_lstm = {
    "lstm",        "LSTM, 64 x 50 x 256: forward, backward, Adam", FLOPS(4), BYTES(4), 5, lstm_create, recurrent_step,
    recurrent_free};
