/* encode/trained.h: what encoders share that are networks trained on the user's catalogue: the training itself, and
 * parameters in model files.
 *
 * A catalogue has no labels, so the objectives need none: two views of an item, each with something left out, are drawn
 * to each other and away from all others in the batch (van den Oord et al. 2018; Gao et al. 2021), or an item goes
 * through a narrow code and back.
 */
#ifndef ENCODE_TRAINED_H
#define ENCODE_TRAINED_H

#include "base/error.h"
#include "base/progress.h"
#include "base/rng.h"
#include "nn/op.h"
#include "nn/parameters.h"
#include "nn/safetensors.h"

#define TRAINED_DIM_MAX 1024

typedef struct trained_plan {
  size_t batch;  /* items a step */
  size_t passes; /* over all items; at least TRAINED_STEPS_MIN and at most TRAINED_STEPS_MAX steps are made */
  size_t steps;  /* so many instead; 0: as passes say */
  double rate;   /* the highest, of AdamW; warm-up, then half a cosine */
  /* The loss of some items, whose numbers stay until the step is through; indices that it hands to ops must, too. */
  tensor *(*loss)(tape *t, void *context, const uint32_t *items, size_t count);
  void *context;
  /* Where the run is kept every half minute, and when it is stopped: a file of the caller's, for this run alone. One
   * that is there is gone on with, to the same bits, if what the loss draws at random depends on tape_step only.
   * Failing to keep it is a note. NULL: nowhere. */
  const char *state;
} trained_plan;

#define TRAINED_STEPS_MIN 150
#define TRAINED_STEPS_MAX 4000

/* For what a loss draws at random in a step: the same again when the run is gone on with. */
void trained_draw_seed(rng *r, uint64_t seed, const tape *t);

/* The same seed, items and number of threads give the same bits. stage (may be NULL) is told steps and loss. */
medley_status trained_fit(parameters *p, uint64_t seed, const trained_plan *plan, size_t items, progress_stage *stage,
                          medley_error *err) MEDLEY_CHECK;

/* Each parameter as "<prefix>.<name>", in the type that it has; of int8 also "<prefix>.<name>.scale". */
medley_status trained_save(parameters *p, safetensors_writer *w, const char *prefix, medley_error *err) MEDLEY_CHECK;
/* Into sealed parameters, which are narrowed as those of the file were; each must be there in its shape and finite. */
medley_status trained_load(parameters *p, const safetensors *s, const char *prefix, medley_error *err) MEDLEY_CHECK;
/* Rows of the tensor "<prefix>.<name>", a matrix: how a file tells the encoder's dimension. 1 to `most`, or an error.
 */
medley_status trained_rows(const safetensors *s, const char *prefix, const char *name, size_t most, size_t *out,
                           medley_error *err) MEDLEY_CHECK;

#endif
