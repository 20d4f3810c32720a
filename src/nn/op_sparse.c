/* nn/op_sparse.c: a sparse matrix, which is a constant, times a dense one: a step along the edges of a graph. The
 * gradient needs the transpose, which the caller makes once for all steps. Threads get rows with as many entries. */
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

/* Rows are counted as entries plus one each, so that empty rows are shared out too. */
static void sparse_rows(const sparse_pass *p, size_t from, size_t to) {
  for (size_t r = from; r < to; r++) {
    uint64_t start = p->a->start[r], count = p->a->start[r + 1] - start;
    real *y = p->y + r * p->dim;
#ifndef NN_DOUBLE
    if (!p->add) { /* sums stay in registers */
      vector_weighted_rows(p->x, p->dim, p->a->column + start, p->a->value + start, count, y);
      continue;
    }
#endif
    if (!p->add)
      for (size_t i = 0; i < p->dim; i++) y[i] = 0;
    for (uint64_t e = start; e < start + count; e++)
      row_add_scaled(y, p->a->value[e], p->x + p->a->column[e] * p->dim, p->dim);
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

static void sparse_forward(tape *t, op_node *n) {
  (void)t;
  const sparse_args *args = n->args;
  sparse_pass p = {args->a, n->output->shape[1], real_data(n->input[0]), real_data(n->output), false};
  sparse_run(&p);
}

static void sparse_backward(tape *t, op_node *n) {
  const sparse_args *args = n->args;
  sparse_pass p = {.a = args->transposed, .dim = n->output->shape[1], .x = n->output->gradient};
  p.y = tape_gradient(t, n->input[0], &p.add);
  if (p.y != NULL) sparse_run(&p);
}

const op_kind op_kind_sparse_matmul = {"sparse_matmul", sparse_forward, sparse_backward, NULL};

tensor *op_sparse_matmul(tape *t, const sparse *a, const sparse *transposed, tensor *x) {
  char text[TENSOR_TEXT_MAX];
  if (!op_ready(t, "sparse_matmul", &x, 1)) return NULL;
  if (x->rank != 2 || x->shape[0] != a->columns)
    return op_fail(t, "sparse_matmul: left is [%u, %u], right is %s: inner dimensions differ", a->rows, a->columns,
                   tensor_text(x, text));
  if (transposed->rows != a->columns || transposed->columns != a->rows || sparse_count(transposed) != sparse_count(a))
    return op_fail(t, "sparse_matmul: [%u, %u] with %llu entries is not the transpose of [%u, %u] with %llu",
                   transposed->rows, transposed->columns, (unsigned long long)sparse_count(transposed), a->rows,
                   a->columns, (unsigned long long)sparse_count(a));
  if ((x = op_contiguous(t, x)) == NULL) return NULL;
  sparse_args args = {a, transposed};
  return op_run(t, &op_kind_sparse_matmul, 2, (size_t[]){a->rows, x->shape[1]}, &x, 1, &args, sizeof args);
}
