/* encode/tuning.c: see encode/tuning.h. */
#include "encode/tuning.h"

/* The more learns, and the deeper, the smaller the steps; a LoRA begins at zero and takes large ones (Hu et al. 2021).
 */
static double rate_of(tuning_choice choice) {
  static const double rates[] = {[TUNING_ALL] = 2e-5, [TUNING_LAST] = 5e-5, [TUNING_LORA] = 5e-4};
  return rates[choice.part];
}

medley_status tuning_run(weights *w, const encoder_tuning *how, trained_plan plan, size_t items, const char *what,
                         progress_stage *stage, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(weights_status(w, err));
  TRY(weights_tuning_seal(w, how->seed, err));
  if (items < 2) FAIL(err, MEDLEY_ERR_INPUT, "%zu %s are too few to learn from", items, what);
  if (plan.batch == 0) plan.batch = TUNING_BATCH;
  plan.passes = how->passes > 0 ? how->passes : 1;
  plan.steps = how->steps;
  plan.rate = how->rate > 0 ? how->rate : rate_of(how->choice);
  plan.state = how->state;
  TRY(trained_fit(w->tuning->parameters, how->seed, &plan, items, stage, err));
  TRY(weights_tuning_save(w, how->out, err));
done:
  return status;
}

tensor *tuning_loss(tape *t, tensor *rows, size_t count) {
  rows = op_unit(t, rows);
  if (rows == NULL) return NULL;
  return op_infonce(t, op_slice(t, rows, 0, 0, count), op_slice(t, rows, 0, count, count), TUNING_TEMPERATURE, true);
}
