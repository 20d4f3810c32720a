/* bench/nn_works_recurrent.c: a training step of GRU and LSTM, 64 sequences of 50 steps of 256 numbers, 256 hidden. */
#include "base/memory.h"
#include "nn/layer.h"
#include "nn_training.h"
#include "nn_works.h"

enum { BATCH = 64, STEPS = 50, WIDTH = 256 };

typedef struct recurrent_work {
  nn_training training;
  layer_recurrent layer;
} recurrent_work;

static medley_status recurrent_create(void **out, bool lstm, medley_error *err) {
  medley_status status = MEDLEY_OK;
  recurrent_work *w = NULL;
  TRY_NEW(w, 1, "a benchmark");
  TRY(nn_training_begin(&w->training, BATCH * STEPS * WIDTH, err));
  layer_recurrent_options o = {.in = WIDTH, .hidden = WIDTH};
  (lstm ? layer_lstm_init : layer_gru_init)(&w->layer, w->training.parameters, NULL, &o);
  TRY(parameters_seal(w->training.parameters, 1, err));
  TRY(optimiser_create(optimiser_find("adam"), w->training.parameters, &(optimiser_options){0}, &w->training.optimiser,
                       err));
  *out = w;
  w = NULL;
done:
  nn_training_free(w);
  return status;
}

static medley_status gru_create(void **out, medley_error *err) { return recurrent_create(out, false, err); }
static medley_status lstm_create(void **out, medley_error *err) { return recurrent_create(out, true, err); }

static medley_status recurrent_step(void *state, double *value, medley_error *err) {
  medley_status status = MEDLEY_OK;
  recurrent_work *w = state;
  tape *t = w->training.tape;
  tensor *x = tape_input(t, 3, (size_t[]){BATCH, STEPS, WIDTH}, w->training.x);
  tensor *y = layer_recurrent_forward(t, &w->layer, x, NULL);
  tensor *loss = op_mean(t, op_square(t, y), OP_ALL);
  TRY(tape_backward(t, loss, err));
  *value = tape_value(loss);
  TRY(optimiser_step(w->training.optimiser, 1e-3, NULL, err));
done:
  tape_reset(t);
  return status;
}

/* Products with the input, with the state; each forward and twice backward, but nobody asks for the input's gradient.
 */
#define FLOPS(gates) (2.0 * BATCH * STEPS * WIDTH * WIDTH * (gates)*5)
#define BYTES(gates) (4.0 * BATCH * STEPS * WIDTH * (6 * (gates) + 6))

const nn_work nn_work_gru = {
    "gru",           "GRU, 64 x 50 x 256: forward, backward, Adam", FLOPS(3), BYTES(3), 5, gru_create, recurrent_step,
    nn_training_free};
const nn_work nn_work_lstm = {
    "lstm",          "LSTM, 64 x 50 x 256: forward, backward, Adam", FLOPS(4), BYTES(4), 5, lstm_create, recurrent_step,
    nn_training_free};
