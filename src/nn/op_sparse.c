/* nn/op_sparse.c: a sparse matrix, which is a constant, times a dense one: a step along the edges of a graph; and the
 * mean of several such steps (propagate). The gradient needs the transpose, which the caller makes once for all steps.
 * Threads get rows with as many entries. */
#include "math/sparse.h"

#include "math/vector.h"
#include "nn/op.h"
#include "nn/op_kind.h"
#include "nn/rows.h"

typedef struct sparse_args {
  const sparse *a, *transposed;
} sparse_args;

typedef struct sparse_pass {
  const sparse *a;
  size_t dim;
  const real *x;
  const real *plus; /* [rows, dim] added to each row; NULL: nothing */
  real scale;       /* of each row, last; 0: none */
  real *y;
  bool add;
} sparse_pass;

/* The first row that begins at entry `at` or after it. */
static size_t row_from(const sparse *a, uint64_t at) {
  size_t low = 0, high = a->rows;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (a->start[middle] < at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void row_add_entries(const sparse_pass *p, uint64_t start, uint64_t count, real *y) {
  for (uint64_t e = start; e < start + count; e++)
    row_add_scaled(y, p->a->value[e], p->x + p->a->column[e] * p->dim, p->dim);
}

static void row_sum_entries(const sparse_pass *p, uint64_t start, uint64_t count, real *y) {
#ifdef NN_DOUBLE
  for (size_t i = 0; i < p->dim; i++) y[i] = 0;
  row_add_entries(p, start, count, y);
#else /* sums stay in registers */
  vector_weighted_rows(p->x, p->dim, p->a->column + start, p->a->value + start, count, y);
#endif
}

static void sparse_rows(const sparse_pass *p, size_t from, size_t to) {
  for (size_t r = from; r < to; r++) {
    uint64_t start = p->a->start[r], count = p->a->start[r + 1] - start;
    real *y = p->y + r * p->dim;
    if (p->add)
      row_add_entries(p, start, count, y);
    else
      row_sum_entries(p, start, count, y);
    if (p->plus != NULL) row_add(y, p->plus + r * p->dim, p->dim);
    if (p->scale != 0) row_scale(y, p->scale, p->dim);
  }
}

static void sparse_range(void *context, size_t from, size_t to) {
  const sparse_pass *p = context;
  uint64_t all = p->a->start[p->a->rows];
  sparse_rows(p, from == 0 ? 0 : row_from(p->a, from), to >= all ? p->a->rows : row_from(p->a, to));
}

static void sparse_run(sparse_pass *p) {
  uint64_t entries = p->a->start[p->a->rows];
  if (entries * p->dim < 2 * OP_GRAIN)
    sparse_rows(p, 0, p->a->rows);
  else
    op_parallel((size_t)entries, 1 + OP_GRAIN / p->dim, sparse_range, p);
}

/* ---- one step ---- */

static void sparse_forward(tape *t, op_node *n) {
  (void)t;
  const sparse_args *args = n->args;
  sparse_pass p = {.a = args->a, .dim = n->output->shape[1], .x = real_data(n->input[0]), .y = real_data(n->output)};
  sparse_run(&p);
}

static void sparse_backward(tape *t, op_node *n) {
  const sparse_args *args = n->args;
  sparse_pass p = {.a = args->transposed, .dim = n->output->shape[1], .x = n->output->gradient};
  p.y = tape_gradient(t, n->input[0], &p.add);
  if (p.y != NULL) sparse_run(&p);
}

const op_kind op_kind_sparse_matmul = {"sparse_matmul", sparse_forward, sparse_backward, NULL};

static bool is_transpose(const sparse *a, const sparse *transposed) {
  return transposed->rows == a->columns && transposed->columns == a->rows &&
         sparse_count(transposed) == sparse_count(a);
}

static tensor *fail_transpose(tape *t, const char *name, const sparse *a, const sparse *transposed) {
  return op_fail(t, "%s: [%u, %u] with %llu entries is not the transpose of [%u, %u] with %llu", name, transposed->rows,
                 transposed->columns, (unsigned long long)sparse_count(transposed), a->rows, a->columns,
                 (unsigned long long)sparse_count(a));
}

tensor *op_sparse_matmul(tape *t, const sparse *a, const sparse *transposed, tensor *x) {
  char text[TENSOR_TEXT_MAX];
  if (!op_ready(t, "sparse_matmul", &x, 1)) return NULL;
  if (x->rank != 2 || x->shape[0] != a->columns)
    return op_fail(t, "sparse_matmul: left is [%u, %u], right is %s: inner dimensions differ", a->rows, a->columns,
                   tensor_text(x, text));
  if (!is_transpose(a, transposed)) return fail_transpose(t, "sparse_matmul", a, transposed);
  if ((x = op_contiguous(t, x)) == NULL) return NULL;
  sparse_args args = {a, transposed};
  return op_run(t, &op_kind_sparse_matmul, 2, (size_t[]){a->rows, x->shape[1]}, &x, 1, &args, sizeof args);
}

/* ---- the mean of several steps ----
 *
 * By Horner's rule h = x, then h = x + A h so many times: one buffer beside the result, and a row is added to while it
 * is in the cache. The gradient is the same with the transpose. */

typedef struct propagate_args {
  const sparse *a, *transposed;
  size_t steps;
} propagate_args;

/* y = mean over k <= steps of A^k x; room is as large as x. Neither may be x. */
static void propagate_run(const sparse *a, size_t steps, size_t dim, const real *x, real *room, real *y) {
  const real *from = x;
  for (size_t k = 1; k <= steps; k++) {
    sparse_pass p = {.a = a, .dim = dim, .x = from, .plus = x, .y = (steps - k) % 2 ? room : y};
    if (k == steps) p.scale = 1 / (real)(steps + 1);
    sparse_run(&p);
    from = p.y;
  }
}

static void propagate_forward(tape *t, op_node *n) {
  const propagate_args *args = n->args;
  size_t count = n->output->count;
  real *room = tape_scratch(t, count, sizeof *room);
  if (room == NULL) return;
  propagate_run(args->a, args->steps, n->output->shape[1], real_data(n->input[0]), room, real_data(n->output));
  tape_scratch_give(t, room, count, sizeof *room);
}

typedef struct sum_pass {
  const real *x;
  real *y;
} sum_pass;

static void sum_range(void *context, size_t from, size_t to) {
  const sum_pass *p = context;
  row_add(p->y + from, p->x + from, to - from);
}

static void propagate_backward(tape *t, op_node *n) {
  const propagate_args *args = n->args;
  size_t count = n->output->count;
  bool add;
  real *dx = tape_gradient(t, n->input[0], &add);
  real *room = dx != NULL ? tape_scratch(t, count, sizeof *room) : NULL;
  real *sum = room != NULL && add ? tape_scratch(t, count, sizeof *sum) : dx;
  if (room != NULL && sum != NULL) {
    propagate_run(args->transposed, args->steps, n->output->shape[1], n->output->gradient, room, sum);
    if (add) op_parallel(count, OP_GRAIN, sum_range, &(sum_pass){sum, dx});
  }
  if (add) tape_scratch_give(t, sum, count, sizeof *sum);
  tape_scratch_give(t, room, count, sizeof *room);
}

const op_kind op_kind_propagate = {"propagate", propagate_forward, propagate_backward, NULL};

tensor *op_propagate(tape *t, const sparse *a, const sparse *transposed, tensor *x, size_t steps) {
  char text[TENSOR_TEXT_MAX];
  if (!op_ready(t, "propagate", &x, 1)) return NULL;
  if (a->rows != a->columns || x->rank != 2 || x->shape[0] != a->columns)
    return op_fail(t, "propagate: the graph is [%u, %u], the rows are %s: both must have as many", a->rows, a->columns,
                   tensor_text(x, text));
  if (!is_transpose(a, transposed)) return fail_transpose(t, "propagate", a, transposed);
  if (steps == 0) return x;
  if ((x = op_contiguous(t, x)) == NULL) return NULL;
  propagate_args args = {a, transposed, steps};
  return op_run(t, &op_kind_propagate, 2, x->shape, &x, 1, &args, sizeof args);
}
