/* nn/op_matmul.c: matrix products: batched with broadcasting, and the linear layer's x wᵀ + b.
 *
 * BLAS reads an operand that lies transposed as well as one that does not, so nothing is copied unless a view has gaps
 * in both of its last dimensions. A batch whose right side is one matrix is one tall product. A batch of small products
 * runs one product per thread (OpenBLAS is single-threaded inside a parallel region); few large ones each use all.
 */
#include <string.h>

#include "math/int8_matrix.h"
#include "nn/op.h"
#include "nn/op_kind.h"
#include "nn/product.h"
#include "nn/rows.h"

/* ---- where matrices lie ---- */

/* Where the last two dimensions of x lie; false when neither of them is without gaps. */
static bool matrix_at(const tensor *x, real *data, product_matrix *out) {
  size_t rows = x->shape[x->rank - 2], columns = x->shape[x->rank - 1];
  size_t down = x->stride[x->rank - 2], right = x->stride[x->rank - 1];
  if ((right == 1 || columns == 1) && (down >= columns || rows == 1)) {
    *out = (product_matrix){data, false, rows == 1 ? columns : down};
    return true;
  }
  if ((down == 1 || rows == 1) && (right >= rows || columns == 1)) {
    *out = (product_matrix){data, true, columns == 1 ? rows : right};
    return true;
  }
  return false;
}

/* The batch: leading dimensions of the output, and how each operand moves along them. */
typedef struct batch {
  int rank;
  size_t count, shape[TENSOR_RANK_MAX], a[TENSOR_RANK_MAX], b[TENSOR_RANK_MAX];
} batch;

static size_t batch_stride(const tensor *x, int rank, int d) {
  int own = d - (rank - (x->rank - 2));
  return own < 0 || x->shape[own] == 1 ? 0 : x->stride[own];
}

static batch batch_of(const tensor *a, const tensor *b, const tensor *y) {
  batch of = {.rank = y->rank - 2, .count = 1};
  for (int d = 0; d < of.rank; d++) {
    of.shape[d] = y->shape[d];
    of.count *= y->shape[d];
    of.a[d] = batch_stride(a, of.rank, d);
    of.b[d] = batch_stride(b, of.rank, d);
  }
  return of;
}

static void batch_find(const batch *of, size_t at, size_t *a, size_t *b) {
  *a = *b = 0;
  for (int d = of->rank - 1; d >= 0; d--) {
    size_t place = at % of->shape[d];
    at /= of->shape[d];
    *a += place * of->a[d];
    *b += place * of->b[d];
  }
}

/* Whether stride is 0 along some dimension: the operand is used again, or never (of 0), and its gradient is a sum. */
static bool batch_repeats(const batch *of, const size_t *stride) {
  for (int d = 0; d < of->rank; d++)
    if (stride[d] == 0 && of->shape[d] != 1) return true;
  return false;
}

/* From one row to the next; the stride of a single row means nothing. */
static size_t row_step(const tensor *x) {
  return x->shape[x->rank - 2] == 1 ? x->shape[x->rank - 1] : x->stride[x->rank - 2];
}

/* The right side is one matrix and the left sides lie below each other: then it is one product of so many rows. */
static bool batch_is_tall(const batch *of, const tensor *a, size_t rows) {
  if (a->stride[a->rank - 1] != 1) return false;
  size_t step = row_step(a) * rows;
  for (int d = of->rank - 1; d >= 0; step *= of->shape[d--])
    if (of->b[d] != 0 || (of->shape[d] > 1 && of->a[d] != step)) return false;
  return of->rank > 0;
}

/* ---- matmul ---- */

/* One of the three products of matmul: the value, or either gradient. */
typedef struct matmul_pass {
  batch of;
  size_t m, n, k;
  product_matrix a, b, y; /* of the first batch; y is the output or its gradient */
  product_matrix d;       /* the gradient that is asked for; data NULL: the value */
  bool for_a, add, shared;
} matmul_pass;

static product_matrix moved(product_matrix x, size_t by) {
  x.data += by;
  return x;
}

static void matmul_one(const matmul_pass *p, size_t at) {
  size_t at_a, at_b;
  batch_find(&p->of, at, &at_a, &at_b);
  product_matrix a = moved(p->a, at_a), b = moved(p->b, at_b), y = moved(p->y, at * p->m * p->n);
  real beta = p->add ? 1 : 0;
  if (p->d.data == NULL)
    product(p->m, p->n, p->k, 1, a, b, 0, y);
  else if (p->for_a)
    product(p->m, p->k, p->n, 1, y, product_transpose(b), beta, moved(p->d, at_a));
  else
    product(p->k, p->n, p->m, 1, product_transpose(a), y, beta, moved(p->d, at_b));
}

static void matmul_range(void *context, size_t from, size_t to) {
  for (size_t at = from; at < to; at++) matmul_one(context, at);
}

/* A product that is large enough for all threads at once waits for no other; small ones go one to a thread. */
static void matmul_batches(matmul_pass *p) {
  enum { LARGE = 1 << 24 };
  bool alone = p->shared || p->m * p->n * p->k >= LARGE;
  op_parallel(p->of.count, alone ? p->of.count + 1 : 1, matmul_range, p);
}

static matmul_pass matmul_of(op_node *n, real *y) {
  tensor *a = n->input[0], *b = n->input[1];
  matmul_pass p = {.of = batch_of(a, b, n->output),
                   .m = a->shape[a->rank - 2],
                   .k = a->shape[a->rank - 1],
                   .n = b->shape[b->rank - 1]};
  matrix_at(a, real_data(a), &p.a);
  matrix_at(b, real_data(b), &p.b);
  p.y = (product_matrix){y, false, p.n};
  if (batch_is_tall(&p.of, a, p.m)) {
    p.m *= p.of.count;
    p.a.row = row_step(a), p.a.transposed = false;
    p.of = (batch){.count = 1};
  }
  return p;
}

static void matmul_forward(tape *t, op_node *n) {
  (void)t;
  matmul_pass p = matmul_of(n, real_data(n->output));
  matmul_batches(&p);
}

static void matmul_backward(tape *t, op_node *n) {
  for (int i = 0; i < 2; i++) {
    tensor *x = n->input[i];
    matmul_pass p = matmul_of(n, n->output->gradient);
    real *d = tape_gradient(t, x, &p.add);
    if (d == NULL) continue;
    p.for_a = i == 0;
    p.d = p.for_a ? p.a : p.b;
    p.d.data = d;
    p.shared = batch_repeats(&p.of, p.for_a ? p.of.a : p.of.b);
    if (p.shared && !p.add) { /* which batch comes first differs from matrix to matrix: all add, to zeros */
      memset(d, 0, x->count * sizeof(real));
      p.add = true;
    }
    matmul_batches(&p);
  }
}

const op_kind op_kind_matmul = {"matmul", matmul_forward, matmul_backward, NULL};

/* The output's shape, or a sentence. */
static bool matmul_shape(tape *t, const tensor *a, const tensor *b, int *rank, size_t *shape) {
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  tensor_text(a, left), tensor_text(b, right);
  if (a->rank < 2 || b->rank < 2) {
    op_fail(t, "matmul: left is %s, right is %s: each needs at least 2 dimensions", left, right);
    return false;
  }
  if (a->shape[a->rank - 1] != b->shape[b->rank - 2]) {
    op_fail(t, "matmul: left is %s, right is %s: inner dimensions %zu and %zu differ", left, right,
            a->shape[a->rank - 1], b->shape[b->rank - 2]);
    return false;
  }
  *rank = a->rank > b->rank ? a->rank : b->rank;
  for (int d = 0; d < *rank - 2; d++) {
    int own_a = d - (*rank - a->rank), own_b = d - (*rank - b->rank);
    size_t size_a = own_a < 0 ? 1 : a->shape[own_a], size_b = own_b < 0 ? 1 : b->shape[own_b];
    if (size_a != size_b && size_a != 1 && size_b != 1) {
      op_fail(t, "matmul: left is %s, right is %s: batch dimensions %zu and %zu differ", left, right, size_a, size_b);
      return false;
    }
    shape[d] = size_a == 1 ? size_b : size_a;
  }
  shape[*rank - 2] = a->shape[a->rank - 2];
  shape[*rank - 1] = b->shape[b->rank - 1];
  return true;
}

tensor *op_matmul(tape *t, tensor *a, tensor *b) {
  tensor *x[] = {a, b};
  int rank;
  size_t shape[TENSOR_RANK_MAX];
  if (!op_ready(t, "matmul", x, 2) || !matmul_shape(t, a, b, &rank, shape)) return NULL;
  product_matrix lies;
  for (int i = 0; i < 2; i++)
    if (!matrix_at(x[i], real_data(x[i]), &lies)) x[i] = op_contiguous(t, x[i]);
  if (!op_ready(t, "matmul", x, 2)) return NULL;
  return op_run(t, &op_kind_matmul, rank, shape, x, 2, NULL, 0);
}

/* ---- linear ---- */

typedef struct bias_pass {
  size_t rows, columns, row;
  const real *bias, *dy;
  real *y, *dbias;
  bool add;
} bias_pass;

/* y[r] = bias: the product then adds to it, which saves a pass over y. */
static void bias_fill(void *context, size_t from, size_t to) {
  const bias_pass *p = context;
  for (size_t r = from; r < to; r++) memcpy(p->y + r * p->columns, p->bias, p->columns * sizeof(real));
}

/* Each thread sums some columns over all rows: the order never depends on how many threads there are. */
static void bias_sum(void *context, size_t from, size_t to) {
  const bias_pass *p = context;
  if (!p->add) memset(p->dbias + from, 0, (to - from) * sizeof(real));
  for (size_t r = 0; r < p->rows; r++) row_add(p->dbias + from, p->dy + r * p->row + from, to - from);
}

void op_column_sums(const real *x, size_t row, size_t rows, size_t columns, real *sums, bool add) {
  bias_pass p = {.rows = rows, .columns = columns, .row = row, .dy = x, .dbias = sums, .add = add};
  op_parallel(columns, rows * columns < 2 * OP_GRAIN ? columns + 1 : 64, bias_sum, &p);
}

enum { PANEL_ELEMENTS = 1 << 17 }; /* half a megabyte of float32: stays in the second cache until it is used */

/* y [rows, out] (+)= x wᵀ, or dx [rows, in] (+)= dy w, a panel of w's rows at a time. */
static void linear_panels(tape *t, const tensor *w, size_t rows, real *x, real *y, bool back, bool add) {
  size_t out = w->shape[0], in = w->shape[1], height = PANEL_ELEMENTS / (in ? in : 1);
  if (height < 16) height = 16;
  if (height > out) height = out;
  real *panel = tape_scratch(t, height * in, sizeof(real));
  if (panel == NULL) return;
  for (size_t from = 0; from < out; from += height) {
    size_t count = out - from < height ? out - from : height;
    op_weight_rows(w, from, count, panel);
    product_matrix part = {panel, false, in}, left = {x, false, in}, right = {y + from, false, out};
    if (!back)
      product(rows, count, in, 1, left, product_transpose(part), add ? 1 : 0, right);
    else
      product(rows, in, count, 1, right, part, add || from > 0 ? 1 : 0, left);
  }
  tape_scratch_give(t, panel, height * in, sizeof(real));
}

#ifndef NN_DOUBLE

typedef struct int8_pass {
  int8_matrix_product product;
  const float *x;
  uint8_t *bytes;
  int8_row *row;
} int8_pass;

static void int8_rows(void *context, size_t from, size_t to) {
  const int8_pass *p = context;
  int8_matrix_quantise(p->x, from, to, p->product.in, p->bytes, p->row);
}

static void int8_panels(void *context, size_t from, size_t to) {
  const int8_pass *p = context;
  int8_matrix_multiply(&p->product, from, to);
}

/* Both sides in int8, which is only good for giving answers: in training the left side stays as it is. */
static bool linear_is_int8(const tape *t, const tensor *w) {
  return w->dtype == DTYPE_I8 && !tape_is_training(t) && int8_matrix_is_fast() && w->shape[1] <= INT8_MATRIX_IN_MAX;
}

static void linear_int8(tape *t, op_node *n, size_t rows, size_t in, size_t out) {
  const tensor *w = n->input[1], *bias = n->input[2];
  int8_pass p = {.x = real_data(n->input[0])};
  p.bytes = tape_scratch(t, rows, int8_matrix_row(in));
  p.row = tape_scratch(t, rows, sizeof *p.row);
  p.product = (int8_matrix_product){
      rows, in, out, p.bytes, p.row, w->data, w->scale, bias ? real_data(bias) : NULL, real_data(n->output)};
  if (p.bytes != NULL && p.row != NULL) {
    op_parallel(rows, 1 + OP_GRAIN / (in + 1), int8_rows, &p);
    op_parallel(int8_matrix_panels(out), 1 + OP_GRAIN * 8 / (rows * in + 1), int8_panels, &p);
  }
  tape_scratch_give(t, p.row, rows, sizeof *p.row);
  tape_scratch_give(t, p.bytes, rows, int8_matrix_row(in));
}

#endif

static void linear_forward(tape *t, op_node *n) {
  tensor *x = n->input[0], *w = n->input[1], *bias = n->input[2];
  size_t rows = tensor_height(x), in = w->shape[1], out = w->shape[0];
  real *y = real_data(n->output);
#ifndef NN_DOUBLE
  if (linear_is_int8(t, w)) {
    linear_int8(t, n, rows, in, out);
    return;
  }
#endif
  if (bias != NULL) {
    bias_pass p = {.rows = rows, .columns = out, .bias = real_data(bias), .y = y};
    op_parallel(rows, rows * out < 2 * OP_GRAIN ? rows + 1 : 1, bias_fill, &p);
  }
  if (w->dtype != DTYPE_REAL)
    linear_panels(t, w, rows, real_data(x), y, false, bias != NULL);
  else
    product(rows, out, in, 1, (product_matrix){real_data(x), false, in}, (product_matrix){real_data(w), true, in},
            bias ? 1 : 0, (product_matrix){y, false, out});
}

static void linear_backward(tape *t, op_node *n) {
  tensor *x = n->input[0], *w = n->input[1], *bias = n->input[2];
  size_t rows = tensor_height(x), in = w->shape[1], out = w->shape[0];
  product_matrix dy = {n->output->gradient, false, out};
  bool add;
  real *d = tape_gradient(t, x, &add);
  if (d != NULL && w->dtype != DTYPE_REAL)
    linear_panels(t, w, rows, d, dy.data, true, add);
  else if (d != NULL)
    product(rows, in, out, 1, dy, (product_matrix){real_data(w), false, in}, add, (product_matrix){d, false, in});
  d = tape_gradient(t, w, &add);
  if (d != NULL)
    product(out, in, rows, 1, product_transpose(dy), (product_matrix){real_data(x), false, in}, add,
            (product_matrix){d, false, in});
  d = bias != NULL ? tape_gradient(t, bias, &add) : NULL;
  if (d != NULL) op_column_sums(dy.data, out, rows, out, d, add);
}

const op_kind op_kind_linear = {"linear", linear_forward, linear_backward, NULL};

tensor *op_linear(tape *t, tensor *x, tensor *weight, tensor *bias) {
  tensor *real_operands[] = {x, bias};
  if (!op_ready(t, "linear", real_operands, bias ? 2 : 1) || !op_present(t, "linear", &weight, 1) ||
      !op_weight_ready(t, "linear", weight))
    return NULL;
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  if (x->rank < 1 || weight->rank != 2 || tensor_width(x) != weight->shape[1])
    return op_fail(t, "linear: input is %s, weight is %s: the last dimension of the input must be the weight's second",
                   tensor_text(x, left), tensor_text(weight, right));
  if (bias != NULL && (bias->rank != 1 || bias->shape[0] != weight->shape[0]))
    return op_fail(t, "linear: weight is %s, bias is %s, which must be [%zu]", tensor_text(weight, left),
                   tensor_text(bias, right), weight->shape[0]);
  x = op_contiguous(t, x);
  if (weight->dtype == DTYPE_REAL) weight = op_contiguous(t, weight);
  if (bias != NULL) bias = op_contiguous(t, bias);
  if (x == NULL || weight == NULL) return NULL;
  size_t shape[TENSOR_RANK_MAX];
  memcpy(shape, x->shape, sizeof shape);
  shape[x->rank - 1] = weight->shape[0];
  tensor *inputs[] = {x, weight, bias};
  return op_run(t, &op_kind_linear, x->rank, shape, inputs, 3, NULL, 0);
}
