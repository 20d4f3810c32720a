/* nn/training_log.c: see nn/training_log.h. */
#include "nn/training_log.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/memory.h"

void training_log_deinit(training_log *l) {
  mem_free(l->step);
  mem_free(l->loss);
  mem_free(l->rate);
  mem_free(l->look_step);
  mem_free(l->look);
  *l = (training_log){0};
}

static void point_add(training_log *l) {
  if (l->count == TRAINING_LOG_POINTS) {
    for (double **of = (double *[]){l->step, l->loss, l->rate, NULL}; *of != NULL; of++)
      for (size_t i = 0; i < TRAINING_LOG_POINTS / 2; i++) (*of)[i] = 0.5 * ((*of)[2 * i] + (*of)[2 * i + 1]);
    l->count /= 2;
    l->steps_each *= 2;
    return; /* the point that was full is half of one now: it goes on */
  }
  double steps = (double)l->summed;
  l->step[l->count] = l->sums[0] / steps;
  l->loss[l->count] = l->sums[1] / steps;
  l->rate[l->count++] = l->sums[2] / steps;
  l->summed = 0;
  l->sums[0] = l->sums[1] = l->sums[2] = 0;
}

medley_status training_log_step(training_log *l, progress_stage *stage, double loss, double rate, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (!isfinite(loss))
    FAIL(err, MEDLEY_ERR_INPUT,
         "the loss of step %" PRIu64
         " is not a number; a smaller rate or clipping may help, and the data may hold values "
         "that are not numbers",
         l->steps + 1);
  if (l->steps_each == 0) {
    TRY_NEW(l->step, TRAINING_LOG_POINTS, "a training log");
    TRY_NEW(l->loss, TRAINING_LOG_POINTS, "a training log");
    TRY_NEW(l->rate, TRAINING_LOG_POINTS, "a training log");
    l->steps_each = 1;
  }
  l->steps++;
  double memory = l->steps < 20 ? 1 - 1 / (double)l->steps : 0.95;
  l->smooth_loss = memory * l->smooth_loss + (1 - memory) * loss;
  l->sums[0] += (double)l->steps, l->sums[1] += loss, l->sums[2] += rate;
  if (++l->summed >= l->steps_each) point_add(l);
  if (stage == NULL) goto done;
  stage->loss = l->smooth_loss, stage->learning_rate = rate;
  snprintf(stage->detail, sizeof stage->detail, "loss %.4g, rate %.2g", l->smooth_loss, rate);
  TRY(progress_update(stage, l->steps, err));
done:
  return status;
}

medley_status training_log_look(training_log *l, double value, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(l->look_step, l->look_step_capacity, l->look_count + 1, "a training log");
  TRY_GROW(l->look, l->look_capacity, l->look_count + 1, "a training log");
  l->look_step[l->look_count] = (double)l->steps;
  l->look[l->look_count++] = value;
done:
  return status;
}
