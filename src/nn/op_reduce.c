/* nn/op_reduce.c: sums, means and maxima, over one dimension or all.
 *
 * A contiguous operand is [outer, length, inner] around the dimension. inner 1
 * is a sum within a row; otherwise rows are added to each other. A sum over all
 * elements goes by blocks of fixed size, so its rounding does not depend on
 * threads.
 */
#include <string.h>

#include "nn/op.h"
#include "nn/op_kind.h"
#include "nn/rows.h"

enum { BLOCK = 16384 };

typedef struct reduce_args {
  size_t outer, length, inner;
  real factor; /* of the sum: 1, or 1 / length */
} reduce_args;

typedef struct reduce_pass {
  reduce_args by;
  const real *x, *dy;
  real *y, *dx;
  uint32_t *place; /* max: where in the dimension it stands, [outer, inner] */
  bool add;
} reduce_pass;

static reduce_pass reduce_of(op_node *n) {
  return (reduce_pass){.by = *(const reduce_args *)n->args, .x = real_data(n->input[0]), .y = real_data(n->output)};
}

/* ---- sum, mean ---- */

static void sum_range(void *context, size_t from, size_t to) {
  const reduce_pass *p = context;
  size_t length = p->by.length, inner = p->by.inner;
  for (size_t o = from; o < to; o++) {
    const real *x = p->x + o * length * inner;
    real *y = p->y + o * inner;
    if (inner == 1) {
      *y = row_sum(x, length) * p->by.factor;
      continue;
    }
    memset(y, 0, inner * sizeof(real));
    for (size_t i = 0; i < length; i++) row_add(y, x + i * inner, inner);
    if (p->by.factor != 1) row_scale(y, p->by.factor, inner);
  }
}

/* All of x: a sum for each block, then the sum of those. */
static void sum_blocks(void *context, size_t from, size_t to) {
  const reduce_pass *p = context;
  for (size_t k = from; k < to; k++) {
    size_t begin = k * BLOCK, left = p->by.length - begin;
    p->y[k] = row_sum(p->x + begin, left < BLOCK ? left : BLOCK);
  }
}

static void sum_forward(tape *t, op_node *n) {
  reduce_pass p = reduce_of(n);
  if (p.by.outer * p.by.inner != 1 || p.by.length <= BLOCK) {
    op_parallel(p.by.outer, 1 + OP_GRAIN / (p.by.length * p.by.inner + 1), sum_range, &p);
    return;
  }
  size_t blocks = (p.by.length + BLOCK - 1) / BLOCK;
  p.y = tape_scratch(t, blocks, sizeof(real));
  if (p.y == NULL) return;
  op_parallel(blocks, 1, sum_blocks, &p);
  *real_data(n->output) = row_sum(p.y, blocks) * p.by.factor;
  tape_scratch_give(t, p.y, blocks, sizeof(real));
}

static void sum_spread(void *context, size_t from, size_t to) {
  const reduce_pass *p = context;
  size_t length = p->by.length, inner = p->by.inner;
  for (size_t o = from; o < to; o++) {
    const real *dy = p->dy + o * inner;
    real *dx = p->dx + o * length * inner;
    if (inner == 1) row_shift(dx, *dy * p->by.factor, length, p->add);
    for (size_t i = 0; inner != 1 && i < length; i++)
      (p->add ? row_add_scaled : row_set_scaled)(dx + i * inner, p->by.factor, dy, inner);
  }
}

static void sum_backward(tape *t, op_node *n) {
  reduce_pass p = reduce_of(n);
  p.dy = n->output->gradient;
  p.dx = tape_gradient(t, n->input[0], &p.add);
  if (p.dx != NULL) op_parallel(p.by.outer, 1 + OP_GRAIN / (p.by.length * p.by.inner + 1), sum_spread, &p);
}

/* ---- max: the gradient goes to the first of the greatest ---- */

static void max_range(void *context, size_t from, size_t to) {
  const reduce_pass *p = context;
  size_t length = p->by.length, inner = p->by.inner;
  for (size_t at = from; at < to; at++) {
    const real *x = p->x + at / inner * length * inner + at % inner;
    size_t best = 0;
    for (size_t i = 1; i < length && x[best * inner] == x[best * inner]; i++) /* the first NaN wins, as in PyTorch */
      if (!(x[i * inner] <= x[best * inner])) best = i;
    p->y[at] = x[best * inner];
    p->place[at] = (uint32_t)best;
  }
}

static void max_forward(tape *t, op_node *n) {
  reduce_pass p = reduce_of(n);
  p.place = tape_save(t, n, 0, n->output->count, sizeof *p.place);
  if (p.place != NULL) op_parallel(n->output->count, 1 + OP_GRAIN / (p.by.length + 1), max_range, &p);
}

static void max_backward(tape *t, op_node *n) {
  reduce_pass p = reduce_of(n);
  const uint32_t *place = n->saved[0];
  p.dx = tape_gradient_zeroed(t, n->input[0]);
  for (size_t at = 0; p.dx != NULL && at < n->output->count; at++)
    p.dx[(at / p.by.inner * p.by.length + place[at]) * p.by.inner + at % p.by.inner] += n->output->gradient[at];
}

const op_kind op_kind_sum = {"sum", sum_forward, sum_backward, NULL};
const op_kind op_kind_mean = {"mean", sum_forward, sum_backward, NULL};
const op_kind op_kind_max = {"max", max_forward, max_backward, NULL};

static tensor *reduce_run(tape *t, const op_kind *kind, tensor *x, int dimension) {
  if (!op_ready(t, kind->name, &x, 1)) return NULL;
  char text[TENSOR_TEXT_MAX];
  if (dimension != OP_ALL && (dimension < 0 || dimension >= x->rank))
    return op_fail(t, "%s: %s has no dimension %d", kind->name, tensor_text(x, text), dimension);
  reduce_args by = {.outer = 1, .length = x->count, .inner = 1, .factor = 1};
  size_t shape[TENSOR_RANK_MAX];
  int rank = 0;
  for (int d = 0; dimension != OP_ALL && d < x->rank; d++) {
    if (d == dimension)
      by.length = x->shape[d];
    else
      shape[rank++] = x->shape[d];
    by.outer *= d < dimension ? x->shape[d] : 1;
    by.inner *= d > dimension ? x->shape[d] : 1;
  }
  if (by.length == 0 && kind != &op_kind_sum)
    return op_fail(t, "%s: there is nothing along the dimension of %s", kind->name, tensor_text(x, text));
  if (kind == &op_kind_mean) by.factor = 1 / (real)by.length;
  x = op_contiguous(t, x);
  return x == NULL ? NULL : op_run(t, kind, rank, shape, &x, 1, &by, sizeof by);
}

tensor *op_sum(tape *t, tensor *x, int dimension) { return reduce_run(t, &op_kind_sum, x, dimension); }
tensor *op_mean(tape *t, tensor *x, int dimension) { return reduce_run(t, &op_kind_mean, x, dimension); }
tensor *op_max(tape *t, tensor *x, int dimension) { return reduce_run(t, &op_kind_max, x, dimension); }
