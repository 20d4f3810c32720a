/* Every op of src/nn once or more, as the tests run it: shapes by letter, and how the result is made. */
#ifndef TESTS_NN_ROWS_H
#define TESTS_NN_ROWS_H

#include "nn/op.h"

#define NN_ROW_INPUTS_MAX 8

typedef struct nn_row {
  const char *name; /* the op kind, then perhaps "/variant" */
  /* A letter is a dimension of random size (the same letter, the same size), a digit that size. "#v:bt" are indices
   * below v of shape [b, t]; "#-v:bt" has negative ones as well; "=ab" gets no gradient. */
  const char *shapes[NN_ROW_INPUTS_MAX];
  tensor *(*build)(tape *t, tensor **x);
  double low, high;   /* of the random operands; both 0: -2 to 2 */
  bool training_only; /* draws random numbers: finite differences hold, golden numbers do not */
} nn_row;

/* Ended by a row without a name. */
extern const nn_row nn_rows[];
const nn_row *nn_row_find(const char *name);

#endif
