/* bench/nn_training.h: what every work that trains holds besides its layers. */
#ifndef BENCH_NN_TRAINING_H
#define BENCH_NN_TRAINING_H

#include "nn/optimiser.h"
#include "nn/tape.h"

/* The first member of the work's struct. */
typedef struct nn_training {
  parameters *parameters;
  optimiser *optimiser;
  tape *tape;
  float *x; /* inputs */
} nn_training;

/* Parameters, a tape, and x [count] of normal numbers; the work adds layers and the optimiser. */
medley_status nn_training_begin(nn_training *w, size_t count, medley_error *err) MEDLEY_CHECK;
/* The whole work, which was one allocation; NULL is allowed. */
void nn_training_free(void *work);

#endif
