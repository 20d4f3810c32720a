/* nn/op_kind.h: what an op is to the tape, for those who write ops. Those who use them read nn/op.h.
 *
 * An op is a typed function that checks shapes, fills its arguments and calls op_run; and a constant op_kind with the
 * two passes. ADDING.md has the steps. The rules:
 *
 * - A shape that does not fit is op_fail with a sentence that names the op, what each operand is, and both values.
 * - forward reads n->input, n->args and writes every element of n->output (contiguous, uninitialised).
 * - backward reads the gradient of n->output (contiguous, n->output->gradient) and adds to those of the inputs that
 * need one. tape_gradient says whether to add to what is there or to overwrite it: the first writer overwrites, which
 * saves clearing a buffer and reading it.
 * - Operands may be views with any strides. An op that wants rows without gaps calls op_contiguous on its operand
 * first; then the input that it sees in forward and backward is contiguous, and so is its gradient.
 * - What forward must remember is tape_save; it lives until backward is through. Temporary buffers are tape_scratch.
 * - Sums across threads in a fixed order only: split rows or columns among threads, not the sum (op_parallel).
 */
#ifndef NN_OP_KIND_H
#define NN_OP_KIND_H

#include "nn/tape.h"

#define OP_INPUTS_MAX 8
#define OP_SAVED_MAX 4

typedef struct op_node op_node;

typedef struct op_kind {
  const char *name; /* as in sentences and docs/kinds.md */
  void (*forward)(tape *t, op_node *n);
  void (*backward)(tape *t, op_node *n); /* NULL: no gradient goes through */
  const void *detail;                    /* what members of one family differ in; the family's file knows the type */
  bool takes_table;                      /* its first operand may be an embedding table (tensor.rows) */
} op_kind;

/* A line on the tape. */
struct op_node {
  const op_kind *kind;
  tensor *input[OP_INPUTS_MAX]; /* may be NULL where the op says so */
  int input_count;
  tensor *output;
  const void *args; /* a copy of what op_run was given */
  void *saved[OP_SAVED_MAX];
  size_t saved_bytes[OP_SAVED_MAX];
};

/* Every kind, ended by NULL; from OP_LIST in nn/op.h. */
extern const op_kind *const op_kinds[];
const op_kind *op_kind_find(const char *name);

/* Makes the output, runs forward, and writes the line when the tape records and an input needs a gradient. NULL after
 * a failure, also when the tape had one before. args [args_bytes] may be NULL. */
tensor *op_run(tape *t, const op_kind *kind, int rank, const size_t *shape, tensor *const *inputs, int input_count,
               const void *args, size_t args_bytes);
/* A view: another shape and other strides over x's memory, `offset` elements further on. Gradients need no line: a
 * view's gradient is a view of its base's. */
tensor *op_view_of(tape *t, tensor *x, int rank, const size_t *shape, const size_t *stride, size_t offset);
/* Remembers the sentence (unless there is one already) and returns NULL, so that `return op_fail(...)` reads well. */
tensor *op_fail(tape *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void op_fail_memory(tape *t, const char *what);
/* The first thing an op calls. op_present: the tape has not failed and none of the operands is NULL. op_ready: and all
 * of them hold real numbers. op_ready_indices: indices are there, DTYPE_I32, contiguous. */
bool op_present(tape *t, const char *name, tensor *const *inputs, int input_count);
bool op_ready(tape *t, const char *name, tensor *const *inputs, int input_count);
bool op_ready_indices(tape *t, const char *name, const tensor *indices);

/* A weight that an op multiplies by may also be f16, bf16 or int8 with a scale for each row (its first dimension): then
 * it is only read. op_weight_ready: it can be (op_present comes first), or a sentence. op_weight_take: as reals, its
 * own or widened (NULL: memory ran out); op_weight_give gives that back. op_weight_rows: rows [from, from + count) of
 * one that is not real, widened. (op_weight.c) */
bool op_weight_ready(tape *t, const char *name, const tensor *w);
real *op_weight_take(tape *t, const tensor *w);
void op_weight_give(tape *t, const tensor *w, real *taken); /* taken NULL is fine */
void op_weight_rows(const tensor *w, size_t from, size_t count, real *out);

/* Where to write x's gradient (strides as x's), NULL when x needs none or memory runs out. *add: add to what is there;
 * otherwise every element must be written. Once a backward has asked, it must write. */
real *tape_gradient(tape *t, tensor *x, bool *add);
/* The same, always ready to be added to. */
real *tape_gradient_zeroed(tape *t, tensor *x);
/* n's output gradient becomes x's without copying, when x has none yet and both are contiguous and of one size: for the
 * last (or only) input of an op whose gradient is the output's unchanged. False: copy. n->output->gradient is NULL
 * then. */
bool tape_gradient_hand_over(tape *t, op_node *n, tensor *x);

/* count * size bytes in slot [0, OP_SAVED_MAX) of n, uninitialised, until n's backward is through (or forward, when
 * nothing is recorded). NULL: memory ran out, which the tape remembers; then just return. */
void *tape_save(tape *t, op_node *n, int slot, size_t count, size_t size);
/* A temporary buffer; give it back with the same size. */
void *tape_scratch(tape *t, size_t count, size_t size);
void tape_scratch_give(tape *t, void *buffer, size_t count, size_t size);
/* A number that no other op of this run gets: the key of an op's random numbers. */
uint64_t tape_random_key(tape *t);

/* body(context, from, to) over [0, count) in contiguous ranges, one per thread, when each gets at least `grain`
 * elements; inline otherwise. Deterministic for a number of threads. */
typedef void op_range_body(void *context, size_t from, size_t to);
void op_parallel(size_t count, size_t grain, op_range_body *body, void *context);
/* sums [columns] (+)= the sums of the columns of x [rows, columns], whose rows begin `row` apart (op_matmul.c). */
void op_column_sums(const real *x, size_t row, size_t rows, size_t columns, real *sums, bool add);
#define OP_GRAIN 16384 /* elements of simple arithmetic that are worth another thread */

#endif
