/* nn/training_run.h: a training run that can be taken up again bit for bit: parameters, what the optimiser remembers,
 * and where the run stood, in one safetensors file, written beside and renamed. */
#ifndef NN_TRAINING_RUN_H
#define NN_TRAINING_RUN_H

#include "base/error.h"
#include "base/rng.h"
#include "nn/optimiser.h"
#include "nn/parameters.h"
#include "nn/schedule.h"
#include "nn/tape.h"

/* What makes up a run. All but the parameters may be NULL: then it is neither saved nor restored. */
typedef struct training_run {
  parameters *parameters;
  optimiser *optimiser;
  tape *tape;               /* its step: the random numbers of dropout */
  rng *order;               /* the generator that shuffles */
  early_stopping *stopping; /* best, looks */
  uint64_t epoch, batch;    /* the caller's place in the data */
} training_run;

/* A value that is not finite is refused, and what was at path stays. */
medley_status training_run_save(const training_run *c, const char *path, medley_error *err) MEDLEY_CHECK;
/* Into what c points to, which must be made as it was for saving: a parameter that is missing or has another shape,
 * another optimiser, is an error, and then nothing has changed. Values that are not finite are refused. */
medley_status training_run_load(training_run *c, const char *path, medley_error *err) MEDLEY_CHECK;

#endif
