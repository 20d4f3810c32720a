/* nn/op_softmax.c: softmax and its logarithm along the last dimension. Three passes over a row that lies in the first
 * cache: the maximum, the exponentials with their sum, the division. */
#include "nn/op.h"
#include "nn/op_kind.h"
#include "nn/rows.h"

#include "math/clones.h"

typedef struct softmax_pass {
  size_t length;
  const real *x, *dy;
  real *y, *dx;
  bool add;
} softmax_pass;

/* A row of -INFINITY alone (all masked) becomes zeros. */
static void softmax_range(void *context, size_t from, size_t to) {
  const softmax_pass *p = context;
  for (size_t r = from; r < to; r++) {
    const real *x = p->x + r * p->length;
    real *y = p->y + r * p->length, most = row_max(x, p->length);
    real sum = row_exp(x, most == -INFINITY ? 0 : most, y, p->length);
    row_scale(y, sum > 0 || sum != sum ? 1 / sum : 0, p->length);
  }
}

/* The logarithm of those zeros: -INFINITY. */
static inline VECTOR_INLINE void log_softmax_row_body(const real *x, real shift, real *y, size_t count) {
  _Pragma("omp simd") for (size_t i = 0; i < count; i++) y[i] = x[i] - shift;
}
VECTOR_CLONES(static, void, log_softmax_row, (const real *x, real shift, real *y, size_t count), (x, shift, y, count))

static void log_softmax_range(void *context, size_t from, size_t to) {
  const softmax_pass *p = context;
  for (size_t r = from; r < to; r++) {
    const real *x = p->x + r * p->length;
    real sum = row_log_sum_exp(x, p->length);
    log_softmax_row(x, sum == -INFINITY ? 0 : sum, p->y + r * p->length, p->length);
  }
}

/* dx = y (dy - sum of dy y) */
static inline VECTOR_INLINE void softmax_row_back_body(const real *y, const real *dy, real inner, real *dx,
                                                       size_t count, bool add) {
  if (add) {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) dx[i] += y[i] * (dy[i] - inner);
  } else {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) dx[i] = y[i] * (dy[i] - inner);
  }
}
VECTOR_CLONES(static, void, softmax_row_back,
              (const real *y, const real *dy, real inner, real *dx, size_t count, bool add),
              (y, dy, inner, dx, count, add))

static void softmax_back_range(void *context, size_t from, size_t to) {
  const softmax_pass *p = context;
  for (size_t r = from; r < to; r++) {
    const real *y = p->y + r * p->length, *dy = p->dy + r * p->length;
    softmax_row_back(y, dy, row_dot(y, dy, p->length), p->dx + r * p->length, p->length, p->add);
  }
}

/* dx = dy - e^y sum of dy */
static inline VECTOR_INLINE void log_softmax_row_back_body(const real *y, const real *dy, real sum, real *dx,
                                                           size_t count, bool add) {
  if (add) {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) dx[i] += dy[i] - real_exp(y[i]) * sum;
  } else {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) dx[i] = dy[i] - real_exp(y[i]) * sum;
  }
}
VECTOR_CLONES(static, void, log_softmax_row_back,
              (const real *y, const real *dy, real sum, real *dx, size_t count, bool add), (y, dy, sum, dx, count, add))

static void log_softmax_back_range(void *context, size_t from, size_t to) {
  const softmax_pass *p = context;
  for (size_t r = from; r < to; r++) {
    const real *dy = p->dy + r * p->length;
    log_softmax_row_back(p->y + r * p->length, dy, row_sum(dy, p->length), p->dx + r * p->length, p->length, p->add);
  }
}

typedef struct softmax_ranges {
  op_range_body *forward, *backward;
} softmax_ranges;

static const softmax_ranges softmax_bodies = {softmax_range, softmax_back_range};
static const softmax_ranges log_softmax_bodies = {log_softmax_range, log_softmax_back_range};

static void softmax_forward(tape *t, op_node *n) {
  (void)t;
  softmax_pass p = {.length = tensor_width(n->output), .x = real_data(n->input[0]), .y = real_data(n->output)};
  op_parallel(tensor_height(n->output), 1 + OP_GRAIN / 4 / (p.length + 1),
              ((const softmax_ranges *)n->kind->detail)->forward, &p);
}

static void softmax_backward(tape *t, op_node *n) {
  softmax_pass p = {.length = tensor_width(n->output), .y = real_data(n->output), .dy = n->output->gradient};
  p.dx = tape_gradient(t, n->input[0], &p.add);
  if (p.dx != NULL)
    op_parallel(tensor_height(n->output), 1 + OP_GRAIN / 4 / (p.length + 1),
                ((const softmax_ranges *)n->kind->detail)->backward, &p);
}

const op_kind op_kind_softmax = {"softmax", softmax_forward, softmax_backward, &softmax_bodies};
const op_kind op_kind_log_softmax = {"log_softmax", softmax_forward, softmax_backward, &log_softmax_bodies};

static tensor *softmax_run(tape *t, const op_kind *kind, tensor *x) {
  if (!op_ready(t, kind->name, &x, 1)) return NULL;
  if (x->rank < 1) return op_fail(t, "%s: one number has no last dimension", kind->name);
  x = op_contiguous(t, x);
  return x == NULL ? NULL : op_run(t, kind, x->rank, x->shape, &x, 1, NULL, 0);
}

tensor *op_softmax(tape *t, tensor *x) { return softmax_run(t, &op_kind_softmax, x); }
tensor *op_log_softmax(tape *t, tensor *x) { return softmax_run(t, &op_kind_log_softmax, x); }
