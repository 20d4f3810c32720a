/* nn/optimiser.h: from gradients to new parameters. Definitions are PyTorch's.
 *
 * One pass over a parameter, its gradient and what is remembered of it does everything: decay, clipping, moments,
 * update. A table is updated in the rows that the step touched and nowhere else: their moments age only when they are
 * touched ("lazy", as PyTorch's SparseAdam), so a step costs what the batch touches.
 */
#ifndef NN_OPTIMISER_H
#define NN_OPTIMISER_H

#include "base/error.h"
#include "nn/parameters.h"

#define OPTIMISER_STATES_MAX 2

/* Fields that are 0 mean the default. */
typedef struct optimiser_options {
  double momentum;     /* 0.9: momentum and nesterov */
  double beta1, beta2; /* 0.9, 0.999: adam and adamw */
  double epsilon;      /* 1e-8; adagrad 1e-10 */
  double decay;        /* weight decay, 0: none. Added to the gradient; adamw shrinks the weight itself */
  double clip_norm;    /* the length of all gradients together is cut to this; 0: not */
  double clip_value;   /* each gradient is cut to -this..this (before clip_norm); 0: not */
} optimiser_options;

/* The numbers of one step, in the type of the kernels. */
typedef struct optimiser_numbers {
  real rate, decay, scale; /* scale: of the gradient, by clip_norm */
  real clip_value;         /* INFINITY: none */
  real momentum, beta1, beta2, epsilon;
  real correction1, correction2; /* Adam's 1 - beta1^step, sqrt(1 - beta2^step) */
} optimiser_numbers;

typedef struct optimiser_kind {
  const char *name;
  const char *definition;
  int states; /* numbers remembered per parameter, zero at first */
  void (*update)(const optimiser_numbers *s, real *x, const real *gradient, real *state1, real *state2, size_t count);
} optimiser_kind;

/* The table, ended by a row with name NULL: sgd momentum nesterov adagrad adam adamw. */
extern const optimiser_kind optimiser_kinds[];
const optimiser_kind *optimiser_find(const char *name);

typedef struct optimiser optimiser;
/* p is sealed and must outlive the optimiser. Options are checked; err says what is out of range. */
medley_status optimiser_create(const optimiser_kind *kind, parameters *p, const optimiser_options *options,
                               optimiser **out, medley_error *err) MEDLEY_CHECK;
void optimiser_free(optimiser *o);

/* One step by the gradients that are there; parameters without one stay. Clears the gradients. *norm (may be NULL) is
 * their length before clipping, measured when clip_norm is set or norm is asked for; when it is measured and not
 * finite, that is an error, nothing is updated, and the gradients are cleared. */
medley_status optimiser_step(optimiser *o, double rate, double *norm, medley_error *err) MEDLEY_CHECK;

/* For training runs that are taken up again. */
const optimiser_kind *optimiser_kind_of(const optimiser *o);
uint64_t optimiser_steps(const optimiser *o);
void optimiser_set_steps(optimiser *o, uint64_t steps);
real *optimiser_state(optimiser *o, size_t parameter, int state); /* as large as the parameter; NULL when frozen */

#endif
