/* encode/tuning.h: fine-tuning of published networks on the user's catalogue.
 *
 * The objective is that of the encoders trained from nothing (encode/trained.h): two views of an item, each with
 * something left out, are drawn to each other and away from the other items of the batch. What comes out is a
 * checkpoint with the names of the one it was made from, which is opened like that one (nn/weights_tuning.h): answering
 * knows nothing of tuning.
 */
#ifndef ENCODE_TUNING_H
#define ENCODE_TUNING_H

#include "base/rng.h"
#include "encode/trained.h"
#include "nn/weights_tuning.h"

typedef struct encoder_tuning {
  tuning_choice choice;
  size_t passes; /* over the items; 0: 1 */
  size_t steps;  /* so many instead; 0: as passes say */
  double rate;   /* the highest; 0: what suits the choice */
  uint64_t seed;
  const char *state; /* where the run is kept, to be gone on with; NULL: nowhere */
  const char *out;   /* the safetensors file that is written */
} encoder_tuning;

#define TUNING_BATCH 32        /* items a step */
#define TUNING_TEMPERATURE .05 /* Gao et al. 2021 */
#define TUNING_PASSES_MAX 1000

/* Trains what w's tuning opened and writes the file. plan: loss, context, and batch unless it is TUNING_BATCH. Fewer
 * than two items are refused in the name of `what`. */
medley_status tuning_run(weights *w, const encoder_tuning *how, trained_plan plan, size_t items, const char *what,
                         progress_stage *stage, medley_error *err) MEDLEY_CHECK;
/* The loss of rows [2 count, dim]: first each item's first view, then each one's second. */
tensor *tuning_loss(tape *t, tensor *rows, size_t count);

#endif
