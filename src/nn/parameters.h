/* nn/parameters.h: what a model learns: named tensors in one block, their gradients in a second one.
 *
 * First everything is declared, in any order, by the layers; then parameters_seal makes the blocks and the first
 * values. A block, so that an optimiser and a checkpoint walk memory from end to end, and tensors stay valid for the
 * model's life. An embedding table is apart: its gradient are the rows that a step touched (tensor_rows), and neither
 * clearing nor updating ever walks the whole.
 *
 * Failure while declaring is remembered (the tensor is NULL) and told by parameters_seal, so that layers can declare
 * without a check each. Not thread-safe.
 */
#ifndef NN_PARAMETERS_H
#define NN_PARAMETERS_H

#include "base/error.h"
#include "nn/precision.h"
#include "nn/tensor.h"

typedef enum initial_kind {
  INITIAL_ZERO,
  INITIAL_CONSTANT, /* scale */
  INITIAL_NORMAL,   /* mean 0, deviation scale */
  INITIAL_UNIFORM,  /* -scale to scale */
  INITIAL_FAN_IN,   /* uniform within 1 / sqrt(inputs): PyTorch's linear and convolution layers */
  INITIAL_XAVIER    /* uniform within scale * sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010); scale 0: 1 */
} initial_kind;

typedef struct initial {
  initial_kind kind;
  double scale;
} initial;

typedef enum parameter_role {
  PARAMETER_WEIGHT, /* trained; weight decay applies. What products multiply by: [outputs, ...] */
  PARAMETER_ROWS,   /* the same of what is added, or taken row by row: never narrowed */
  PARAMETER_PLAIN,  /* trained without weight decay: biases, norms */
  PARAMETER_FROZEN, /* not trained: running means, frozen layers; saved with the rest */
  PARAMETER_TABLE   /* trained by rows */
} parameter_role;

typedef struct parameter {
  char *name;
  parameter_role role;
  initial start;
  tensor value; /* data and gradient point into the blocks once sealed */
} parameter;

typedef struct parameters parameters;

parameters *parameters_create(void); /* NULL when memory runs out */
void parameters_free(parameters *p);

/* The tensor of a new parameter "<prefix>.<name>" (prefix NULL or "": "<name>"). It lives as long as p. A name that is
 * taken is a failure. Tables are [rows, dim]. */
tensor *parameters_add(parameters *p, const char *prefix, const char *name, parameter_role role, initial start,
                       int rank, const size_t *shape);
/* Before sealing: what is declared so far and called `prefix` or "<prefix>..." stays as it is in training (all, when
 * prefix is NULL or ""). How many parameters that are. */
size_t parameters_freeze(parameters *p, const char *prefix);
/* Blocks and first values: the same for the same seed and order of declaration, whatever the number of threads. */
medley_status parameters_seal(parameters *p, uint64_t seed, medley_error *err) MEDLEY_CHECK;

/* Sealed parameters learn no more from now on, and give their gradients back; those of the role PARAMETER_WEIGHT become
 * bf16, or int8 with a scale for each of the outputs (tensor.scale). Layers go on with the tensors that they have.
 * WEIGHT_F32, or a failure: nothing changes. Once only. */
medley_status parameters_narrow(parameters *p, weight_precision precision, medley_error *err) MEDLEY_CHECK;
weight_precision parameters_precision(const parameters *p); /* what they were narrowed to; else WEIGHT_F32 */

/* Sealed or not: in order of declaration. */
size_t parameters_count(const parameters *p);
parameter *parameters_at(parameters *p, size_t index);
tensor *parameters_get(parameters *p, const char *name); /* NULL when absent */
size_t parameters_elements(const parameters *p);         /* numbers in all of them */
/* Nothing has a gradient any more. Costs nothing for dense ones: the next gradient overwrites. */
void parameters_clear_gradients(parameters *p);

#endif
