/* nn/training_log.h: how a training goes: the loss and the rate of each step, and a measure on held-out data now and
 * then. It feeds the progress (loss, steps a second, time left) and the training curves (explain/curves.h).
 *
 * A log has at most TRAINING_LOG_POINTS points of the loss: when it is full, neighbours are joined to their mean, and a
 * point stands for twice as many steps from then on. Not thread-safe.
 */
#ifndef NN_TRAINING_LOG_H
#define NN_TRAINING_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"

#define TRAINING_LOG_POINTS 2048

/* Zero-initialise. */
typedef struct training_log {
  size_t count;             /* points of loss and rate */
  uint64_t steps_each;      /* that a point stands for */
  double *step;             /* [count] the middle of each point's steps */
  double *loss, *rate;      /* [count] means */
  double sums[3];           /* of the point that is not yet full: step, loss, rate */
  uint64_t summed;          /* steps in it */
  double smooth_loss;       /* a running mean over the last 20 steps or so: what progress tells */
  uint64_t steps;           /* so far */
  double *look_step, *look; /* [look_count] the measure on held-out data */
  size_t look_count, look_step_capacity, look_capacity;
} training_log;

/* After each step. stage may be NULL; it gets loss and rate, as numbers and as `loss 0.4312, rate
 * 0.001`, and the number of steps. A loss that is not
 * finite is an error that says the step. MEDLEY_ERR_CANCELLED when the receiver of the progress asks to stop. */
medley_status training_log_step(training_log *l, progress_stage *stage, double loss, double rate,
                                medley_error *err) MEDLEY_CHECK;
medley_status training_log_look(training_log *l, double value, medley_error *err) MEDLEY_CHECK;
void training_log_deinit(training_log *l);

#endif
