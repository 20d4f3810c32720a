/* nn/tape.h: the record of one step: which op made what from what, so that gradients can be sent back.
 *
 * Define by run: calling an op (nn/op.h) computes its value at once and, when an operand needs a gradient, writes a
 * line on the tape. tape_backward reads the lines from the last to the first. A step looks like this:
 *
 *     tensor *x = tape_input(t, 2, (size_t[]){batch, width}, data);
 *     tensor *loss = op_mse(t, layer_forward(layer, t, x), target);
 *     TRY(tape_backward(t, loss, err));
 *     double value = tape_value(loss);
 *     tape_reset(t);
 *
 * Failure is remembered: an op whose operands do not fit, or that finds no memory, writes the sentence on the tape and
 * returns NULL; ops given NULL return NULL and do nothing. So models are written as expressions, and the one check is
 * tape_backward or tape_status at the end.
 *
 * Memory: all tensors of the step and their gradients lie in the tape's memory. Going backward, what is through is
 * reused at once: after tape_backward only the loss and what tape_keep named still hold values. A warm tape allocates
 * nothing. One tape per thread; ops use all cores inside. The same seed, data and number of threads give the same bits.
 */
#ifndef NN_TAPE_H
#define NN_TAPE_H

#include "base/error.h"
#include "nn/tensor.h"

typedef struct tape tape;

/* seed: for ops that draw random numbers (dropout). NULL when memory runs out. */
tape *tape_create(uint64_t seed);
void tape_free(tape *t);
/* The step is over: every tensor of the tape is gone, a remembered failure too. */
void tape_reset(tape *t);

/* Training (the default): gradients are recorded, dropout drops, batch norm looks at the batch. Otherwise nothing is
 * recorded. */
void tape_set_training(tape *t, bool training);
bool tape_is_training(const tape *t);
/* The step whose random numbers come next: 0 at first, one more with every tape_reset. A resumed run sets it. */
uint64_t tape_step(const tape *t);
void tape_set_step(tape *t, uint64_t step);

/* OK, or the first failure since tape_reset. */
medley_status tape_status(const tape *t, medley_error *err) MEDLEY_CHECK;

/* A tensor over the caller's numbers (row-major, borrowed until tape_reset). tape_variable wants a gradient, which
 * stays readable until tape_reset. */
tensor *tape_input(tape *t, int rank, const size_t *shape, const real *data);
tensor *tape_variable(tape *t, int rank, const size_t *shape, real *data);
/* Indices, borrowed; ops say what a negative one means. */
tensor *tape_indices(tape *t, int rank, const size_t *shape, const int32_t *data);
/* Indices [count] in the tape's memory until tape_reset, uninitialised, for the caller to fill. */
tensor *tape_indices_new(tape *t, size_t count);
/* A tensor in the tape's memory, uninitialised, for the caller to fill. */
tensor *tape_empty(tape *t, int rank, const size_t *shape);

/* d loss / d everything that needs it. loss has one element. Parameters' gradients are added to what is there. */
medley_status tape_backward(tape *t, tensor *loss, medley_error *err) MEDLEY_CHECK;
/* The only element of x; NAN when x is NULL or has several. */
double tape_value(const tensor *x);
/* x's values stay readable after tape_backward and tape_release, until tape_reset. NULL is passed through. */
tensor *tape_keep(tensor *x);

/* Without training nobody knows when an intermediate result is read for the last time; so the caller says it: what was
 * made since the mark is given back, except `result` and kept tensors. Does nothing where a gradient was recorded
 * since: in training, that is, but for layers that stay as they are below those that learn. size_t mark = tape_mark(t);
 * x = block_forward(...);  tape_release(t, mark, x); */
size_t tape_mark(const tape *t);
void tape_release(tape *t, size_t mark, const tensor *result);

/* Bytes of the step's memory in use at most, since the tape was made. */
size_t tape_peak_bytes(const tape *t);

#endif
