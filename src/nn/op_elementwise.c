/* nn/op_elementwise.c: ops on one element at a time: functions of one operand,
 * and arithmetic of two with broadcasting.
 *
 * Each member is two expressions: the value, and the slope by which a gradient
 * is multiplied. Macros make loops of them for every instruction set
 * (math/clones.h). These ops live on memory bandwidth, so each pass reads and
 * writes everything once: the first gradient that reaches an operand is
 * written, not added to zeros.
 */
#include <string.h>

#include "math/clones.h"
#include "nn/op.h"
#include "nn/op_kind.h"

/* ---- one operand ---- */

typedef struct unary_args {
  real p, q;
} unary_args;

typedef struct unary_kernels {
  void (*forward)(const real *x, real *y, size_t count, real p, real q);
  /* dx (+)= dy * slope(x, y) */
  void (*backward)(const real *x, const real *y, const real *dy, real *dx, size_t count, real p, real q, bool add);
} unary_kernels;

/* value: of x[i] as `a`; slope: of `a` and the value `v`; p and q are the op's
 * arguments. */
#define UNARY(name, value, slope)                                                                                      \
  static inline VECTOR_INLINE void name##_forward_body(const real *restrict x, real *restrict y, size_t count, real p, \
                                                       real q) {                                                       \
    (void)p, (void)q;                                                                                                  \
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) {                                                           \
      real a = x[i];                                                                                                   \
      y[i] = (value);                                                                                                  \
    }                                                                                                                  \
  }                                                                                                                    \
  VECTOR_CLONES(static, void, name##_forward, (const real *x, real *y, size_t count, real p, real q),                  \
                (x, y, count, p, q))                                                                                   \
  static inline VECTOR_INLINE void name##_backward_body(const real *restrict x, const real *restrict y,                \
                                                        const real *restrict dy, real *restrict dx, size_t count,      \
                                                        real p, real q, bool add) {                                    \
    (void)p, (void)q, (void)x, (void)y;                                                                                \
    if (add) {                                                                                                         \
      _Pragma("omp simd") for (size_t i = 0; i < count; i++) {                                                         \
        real a = x[i], v = y[i];                                                                                       \
        (void)a, (void)v;                                                                                              \
        dx[i] += dy[i] * (slope);                                                                                      \
      }                                                                                                                \
    } else {                                                                                                           \
      _Pragma("omp simd") for (size_t i = 0; i < count; i++) {                                                         \
        real a = x[i], v = y[i];                                                                                       \
        (void)a, (void)v;                                                                                              \
        dx[i] = dy[i] * (slope);                                                                                       \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
  VECTOR_CLONES(static, void, name##_backward,                                                                         \
                (const real *x, const real *y, const real *dy, real *dx, size_t count, real p, real q, bool add),      \
                (x, y, dy, dx, count, p, q, add))                                                                      \
  static const unary_kernels name##_kernels = {name##_forward, name##_backward};

#define ROOT_HALF REAL(0.70710678118654752440)  /* sqrt(1/2) */
#define DENSITY REAL(0.39894228040143267794)    /* 1 / sqrt(2 pi) */
#define GELU_OUTER REAL(0.79788456080286535588) /* sqrt(2 / pi) */
#define GELU_INNER REAL(0.044715)               /* Hendrycks & Gimpel's cubic term */

/* Φ(a) + a φ(a): both need e^(-a²/2), which is computed once. */
static inline real gelu_slope(real a) {
  real e = real_exp_shifted(REAL(-0.5) * a * a);
  return REAL(0.5) * (1 + real_erf_by(a * ROOT_HALF, e)) + a * DENSITY * e;
}

static inline real gelu_tanh_inner(real a) { return GELU_OUTER * (a + GELU_INNER * a * a * a); }

UNARY(neg, -a, -1)
UNARY(exp, real_exp(a), v)
UNARY(log, real_log(a), 1 / a)
UNARY(sqrt, real_sqrt(a), REAL(0.5) / v)
UNARY(square, a *a, 2 * a)
UNARY(abs, real_abs(a), (real)((a > 0) - (a < 0)))
UNARY(sin, REAL(sin(a)), REAL(cos(a)))
UNARY(cos, REAL(cos(a)), -REAL(sin(a)))
UNARY(affine, p *a + q, p)
UNARY(relu, real_max(0, a), v <= 0 ? REAL(0) : REAL(1)) /* real_max keeps a NaN on its right */
UNARY(leaky_relu, a > 0 ? a : p * a, a > 0 ? 1 : p)
UNARY(elu, a > 0 ? a : p * (real_exp(a) - 1), a > 0 ? 1 : v + p)
UNARY(gelu, REAL(0.5) * a * (1 + real_erf(a * ROOT_HALF)), gelu_slope(a))
UNARY(gelu_tanh, REAL(0.5) * a * (1 + real_tanh(gelu_tanh_inner(a))),
      REAL(0.5) * (1 + real_tanh(gelu_tanh_inner(a))) +
          REAL(0.5) * a * (1 - real_tanh(gelu_tanh_inner(a)) * real_tanh(gelu_tanh_inner(a))) * GELU_OUTER *
              (1 + 3 * GELU_INNER * a * a))
UNARY(silu, a *real_sigmoid(a), real_sigmoid(a) + v * (1 - real_sigmoid(a)))
UNARY(quick_gelu, a *real_sigmoid(p *a), real_sigmoid(p *a) + p * v * (1 - real_sigmoid(p * a)))
UNARY(sigmoid, real_sigmoid(a), v *(1 - v))
UNARY(tanh, real_tanh(a), 1 - v * v)
UNARY(softplus, real_softplus(a), real_sigmoid(a))

typedef struct unary_pass {
  const unary_kernels *kernels;
  const real *x, *dy;
  real *y, *dx;
  unary_args args;
  bool add;
} unary_pass;

static void unary_forward_range(void *context, size_t from, size_t to) {
  unary_pass *u = context;
  u->kernels->forward(u->x + from, u->y + from, to - from, u->args.p, u->args.q);
}

static void unary_backward_range(void *context, size_t from, size_t to) {
  unary_pass *u = context;
  u->kernels->backward(u->x + from, u->y + from, u->dy + from, u->dx + from, to - from, u->args.p, u->args.q, u->add);
}

static void unary_forward(tape *t, op_node *n) {
  (void)t;
  unary_pass u = {.kernels = n->kind->detail,
                  .x = real_data(n->input[0]),
                  .y = real_data(n->output),
                  .args = *(const unary_args *)n->args};
  op_parallel(n->output->count, OP_GRAIN, unary_forward_range, &u);
}

static void unary_backward(tape *t, op_node *n) {
  unary_pass u = {.kernels = n->kind->detail,
                  .x = real_data(n->input[0]),
                  .y = real_data(n->output),
                  .dy = n->output->gradient,
                  .args = *(const unary_args *)n->args};
  u.dx = tape_gradient(t, n->input[0], &u.add);
  if (u.dx != NULL) op_parallel(n->output->count, OP_GRAIN, unary_backward_range, &u);
}

static tensor *unary_run(tape *t, const op_kind *kind, tensor *x, double p, double q) {
  if (!op_ready(t, kind->name, &x, 1)) return NULL;
  x = op_contiguous(t, x);
  if (x == NULL) return NULL;
  unary_args args = {(real)p, (real)q};
  return op_run(t, kind, x->rank, x->shape, &x, 1, &args, sizeof args);
}

const op_kind op_kind_neg = {"neg", unary_forward, unary_backward, &neg_kernels};
const op_kind op_kind_exp = {"exp", unary_forward, unary_backward, &exp_kernels};
const op_kind op_kind_log = {"log", unary_forward, unary_backward, &log_kernels};
const op_kind op_kind_sqrt = {"sqrt", unary_forward, unary_backward, &sqrt_kernels};
const op_kind op_kind_square = {"square", unary_forward, unary_backward, &square_kernels};
const op_kind op_kind_abs = {"abs", unary_forward, unary_backward, &abs_kernels};
const op_kind op_kind_sin = {"sin", unary_forward, unary_backward, &sin_kernels};
const op_kind op_kind_cos = {"cos", unary_forward, unary_backward, &cos_kernels};
const op_kind op_kind_affine = {"affine", unary_forward, unary_backward, &affine_kernels};
const op_kind op_kind_relu = {"relu", unary_forward, unary_backward, &relu_kernels};
const op_kind op_kind_leaky_relu = {"leaky_relu", unary_forward, unary_backward, &leaky_relu_kernels};
const op_kind op_kind_elu = {"elu", unary_forward, unary_backward, &elu_kernels};
const op_kind op_kind_gelu = {"gelu", unary_forward, unary_backward, &gelu_kernels};
const op_kind op_kind_gelu_tanh = {"gelu_tanh", unary_forward, unary_backward, &gelu_tanh_kernels};
const op_kind op_kind_silu = {"silu", unary_forward, unary_backward, &silu_kernels};
const op_kind op_kind_quick_gelu = {"quick_gelu", unary_forward, unary_backward, &quick_gelu_kernels};
const op_kind op_kind_sigmoid = {"sigmoid", unary_forward, unary_backward, &sigmoid_kernels};
const op_kind op_kind_tanh = {"tanh", unary_forward, unary_backward, &tanh_kernels};
const op_kind op_kind_softplus = {"softplus", unary_forward, unary_backward, &softplus_kernels};

tensor *op_neg(tape *t, tensor *x) { return unary_run(t, &op_kind_neg, x, 0, 0); }
tensor *op_exp(tape *t, tensor *x) { return unary_run(t, &op_kind_exp, x, 0, 0); }
tensor *op_log(tape *t, tensor *x) { return unary_run(t, &op_kind_log, x, 0, 0); }
tensor *op_sqrt(tape *t, tensor *x) { return unary_run(t, &op_kind_sqrt, x, 0, 0); }
tensor *op_square(tape *t, tensor *x) { return unary_run(t, &op_kind_square, x, 0, 0); }
tensor *op_abs(tape *t, tensor *x) { return unary_run(t, &op_kind_abs, x, 0, 0); }
tensor *op_sin(tape *t, tensor *x) { return unary_run(t, &op_kind_sin, x, 0, 0); }
tensor *op_cos(tape *t, tensor *x) { return unary_run(t, &op_kind_cos, x, 0, 0); }
tensor *op_relu(tape *t, tensor *x) { return unary_run(t, &op_kind_relu, x, 0, 0); }
tensor *op_gelu(tape *t, tensor *x) { return unary_run(t, &op_kind_gelu, x, 0, 0); }
tensor *op_gelu_tanh(tape *t, tensor *x) { return unary_run(t, &op_kind_gelu_tanh, x, 0, 0); }
tensor *op_silu(tape *t, tensor *x) { return unary_run(t, &op_kind_silu, x, 0, 0); }
tensor *op_quick_gelu(tape *t, tensor *x) { return unary_run(t, &op_kind_quick_gelu, x, 1.702, 0); }
tensor *op_sigmoid(tape *t, tensor *x) { return unary_run(t, &op_kind_sigmoid, x, 0, 0); }
tensor *op_tanh(tape *t, tensor *x) { return unary_run(t, &op_kind_tanh, x, 0, 0); }
tensor *op_softplus(tape *t, tensor *x) { return unary_run(t, &op_kind_softplus, x, 0, 0); }
tensor *op_leaky_relu(tape *t, tensor *x, double slope) { return unary_run(t, &op_kind_leaky_relu, x, slope, 0); }
tensor *op_elu(tape *t, tensor *x, double alpha) { return unary_run(t, &op_kind_elu, x, alpha, 0); }
tensor *op_affine(tape *t, tensor *x, double factor, double shift) {
  return unary_run(t, &op_kind_affine, x, factor, shift);
}

/* ---- two operands ----
 *
 * A run is the innermost loop after dimensions that all operands walk alike
 * have been joined: [32, 128, 384] + [384] is 4096 runs of 384, [m, n] + [m, n]
 * is one. Within a run an operand steps by 0 (broadcast, or one element), 1 or more (a view).
 */

typedef struct binary_kernels {
  void (*forward)(const real *a, size_t step_a, const real *b, size_t step_b, real *y, size_t count);
  /* da (steps like a) += dy * d value / d a, and likewise db. add false, where
   * it steps by 1: written, not added */
  void (*backward_a)(const real *a, size_t step_a, const real *b, size_t step_b, const real *dy, real *da, size_t count,
                     bool add);
  void (*backward_b)(const real *a, size_t step_a, const real *b, size_t step_b, const real *dy, real *db, size_t count,
                     bool add);
  bool slope_is_one; /* of both: the gradient can be handed over */
} binary_kernels;

#define BINARY_LOOP(index_a, index_b, statement)           \
  _Pragma("omp simd") for (size_t i = 0; i < count; i++) { \
    real p = a[index_a], q = b[index_b];                   \
    (void)p, (void)q;                                      \
    statement;                                             \
  }

/* The four common ways to walk as loops of their own, which the compiler turns
 * into vector code; then the rest. */
#define BINARY_WALKS(statement)        \
  if (step_a == 1 && step_b == 1)      \
    BINARY_LOOP(i, i, statement)       \
  else if (step_a == 1 && step_b == 0) \
    BINARY_LOOP(i, 0, statement)       \
  else if (step_a == 0 && step_b == 1) \
    BINARY_LOOP(0, i, statement)       \
  else                                 \
    BINARY_LOOP(i *step_a, i *step_b, statement)

/* The gradient of an operand that is the same number over the whole run is a
 * sum. */
#define BINARY_SUM(index_a, index_b, slope)                                 \
  _Pragma("omp simd reduction(+:sum)") for (size_t i = 0; i < count; i++) { \
    real p = a[index_a], q = b[index_b];                                    \
    (void)p, (void)q;                                                       \
    sum += dy[i] * (slope);                                                 \
  }

/* clang-format off */
#define BINARY_BACKWARD(name, side, step, slope) \
  static inline VECTOR_INLINE void name##_##side##_body(const real *a, size_t step_a, const real *b, size_t step_b, \
                                                        const real *restrict dy, real *restrict d, size_t count, \
                                                        bool add) { \
    if (step == 0) { \
      real sum = 0; \
      if (step_a == 1 && step_b == 0) \
        BINARY_SUM(i, 0, slope) \
      else if (step_a == 0 && step_b == 1) \
        BINARY_SUM(0, i, slope) \
      else \
        BINARY_SUM(i * step_a, i * step_b, slope) \
      *d = add ? *d + sum : sum; \
    } else if (step == 1 && add) { \
      BINARY_WALKS(d[i] += dy[i] * (slope)) \
    } else if (step == 1) { \
      BINARY_WALKS(d[i] = dy[i] * (slope)) \
    } else { \
      BINARY_LOOP(i * step_a, i * step_b, d[i * step] += dy[i] * (slope)) \
    } \
  } \
  VECTOR_CLONES(static, void, name##_##side, \
                (const real *a, size_t step_a, const real *b, size_t step_b, const real *dy, real *d, size_t count, \
                 bool add), \
                (a, step_a, b, step_b, dy, d, count, add))

/* Values and slopes in terms of the operands `p` and `q`. */
#define BINARY(name, value, slope_a, slope_b, one) \
  static inline VECTOR_INLINE void name##_forward_body(const real *a, size_t step_a, const real *b, size_t step_b, \
                                                       real *restrict y, size_t count) { \
    BINARY_WALKS(y[i] = (value)) \
  } \
  VECTOR_CLONES(static, void, name##_forward, \
                (const real *a, size_t step_a, const real *b, size_t step_b, real *y, size_t count), \
                (a, step_a, b, step_b, y, count)) \
  BINARY_BACKWARD(name, backward_a, step_a, slope_a) \
  BINARY_BACKWARD(name, backward_b, step_b, slope_b) \
  static const binary_kernels name##_kernels = {name##_forward, name##_backward_a, name##_backward_b, one};
/* clang-format on */

/* NaN is neither smaller nor greater: as in PyTorch it is what comes out, and the gradient goes to both. */
#define CHOICE(lost) ((lost) ? REAL(0) : p == q ? REAL(0.5) : REAL(1))

BINARY(add, p + q, 1, 1, true)
BINARY(sub, p - q, 1, -1, false)
BINARY(mul, p *q, q, p, false)
BINARY(div, p / q, 1 / q, -p / (q * q), false)
BINARY(maximum, p > q || p != p ? p : q, CHOICE(p < q), CHOICE(q < p), false)
BINARY(minimum, p < q || p != p ? p : q, CHOICE(p > q), CHOICE(q > p), false)

/* How the output and both operands are walked: joined dimensions, the last is
 * the run. */
typedef struct binary_walk {
  int rank;
  size_t shape[TENSOR_RANK_MAX], a[TENSOR_RANK_MAX], b[TENSOR_RANK_MAX]; /* strides, 0: broadcast */
} binary_walk;

/* x's stride along the output's dimension d. */
static size_t broadcast_stride(const tensor *x, int rank, int d) {
  int own = d - (rank - x->rank);
  return own < 0 || x->shape[own] == 1 ? 0 : x->stride[own];
}

static binary_walk walk_of(const tensor *a, const tensor *b, const tensor *y) {
  binary_walk w = {.rank = 1, .shape = {1}};
  for (int d = 0; d < y->rank; d++) {
    size_t step_a = broadcast_stride(a, y->rank, d), step_b = broadcast_stride(b, y->rank, d);
    if (y->shape[d] == 1) continue;
    int last = w.rank - 1;
    bool first = w.shape[last] == 1;
    if (first || (w.a[last] == step_a * y->shape[d] && w.b[last] == step_b * y->shape[d])) {
      w.shape[last] *= y->shape[d];
    } else {
      last = w.rank++;
      w.shape[last] = y->shape[d];
    }
    w.a[last] = step_a, w.b[last] = step_b;
  }
  return w;
}

/* Where run number `run` begins in both operands. */
static void walk_find(const binary_walk *w, size_t run, size_t *a, size_t *b) {
  *a = *b = 0;
  for (int d = w->rank - 2; d >= 0; d--) {
    size_t at = run % w->shape[d];
    run /= w->shape[d];
    *a += at * w->a[d];
    *b += at * w->b[d];
  }
}

typedef struct binary_pass {
  const binary_kernels *kernels;
  binary_walk walk;
  const real *a, *b, *dy;
  real *y, *d;
  bool for_a; /* whose gradient d is */
  bool add;
} binary_pass;

/* The part [from, to) of one run, by `run` and its length. */
static void binary_piece(const binary_pass *p, size_t run, size_t from, size_t to) {
  const binary_walk *w = &p->walk;
  size_t length = w->shape[w->rank - 1], step_a = w->a[w->rank - 1], step_b = w->b[w->rank - 1], at_a, at_b;
  walk_find(w, run, &at_a, &at_b);
  at_a += from * step_a, at_b += from * step_b;
  if (p->d == NULL)
    p->kernels->forward(p->a + at_a, step_a, p->b + at_b, step_b, p->y + run * length + from, to - from);
  else
    (p->for_a ? p->kernels->backward_a : p->kernels->backward_b)(p->a + at_a, step_a, p->b + at_b, step_b,
                                                                 p->dy + run * length + from,
                                                                 p->d + (p->for_a ? at_a : at_b), to - from, p->add);
}

static void binary_range(void *context, size_t from, size_t to) {
  const binary_pass *p = context;
  size_t length = p->walk.shape[p->walk.rank - 1];
  for (size_t run = from / length; run * length < to; run++) {
    size_t begin = run * length > from ? 0 : from - run * length, end = to - run * length;
    binary_piece(p, run, begin, end < length ? end : length);
  }
}

static void binary_columns(void *context, size_t from, size_t to) {
  const binary_pass *p = context;
  size_t runs = 1;
  for (int d = 0; d + 1 < p->walk.rank; d++) runs *= p->walk.shape[d];
  for (size_t run = 0; run < runs; run++) binary_piece(p, run, from, to);
}

static void binary_forward(tape *t, op_node *n) {
  (void)t;
  binary_pass p = {.kernels = n->kind->detail,
                   .walk = walk_of(n->input[0], n->input[1], n->output),
                   .a = real_data(n->input[0]),
                   .b = real_data(n->input[1]),
                   .y = real_data(n->output)};
  op_parallel(n->output->count, OP_GRAIN, binary_range, &p);
}

/* Threads may share the elements when no two write one place: nothing is
 * broadcast in the operand. When only the outer dimensions are (a bias), each
 * takes some columns of all runs. Else one thread does it. */
static void binary_backward_one(op_node *n, bool for_a, real *d, bool add) {
  binary_pass p = {.kernels = n->kind->detail,
                   .walk = walk_of(n->input[0], n->input[1], n->output),
                   .a = real_data(n->input[0]),
                   .b = real_data(n->input[1]),
                   .dy = n->output->gradient,
                   .d = d,
                   .for_a = for_a,
                   .add = add};
  const size_t *stride = for_a ? p.walk.a : p.walk.b;
  size_t length = p.walk.shape[p.walk.rank - 1], count = n->output->count;
  bool outer = false;
  for (int k = 0; k + 1 < p.walk.rank; k++) outer |= stride[k] == 0;
  if (count == 0) return;
  if (stride[p.walk.rank - 1] == 0)
    op_parallel(count, count, binary_range, &p);
  else if (!outer)
    op_parallel(count, OP_GRAIN, binary_range, &p);
  else
    op_parallel(length, count >= 2 * OP_GRAIN && length >= 128 ? 64 : length, binary_columns, &p);
}

/* The operand that may take over the output's gradient comes last, when nobody
 * reads that any more. One that is as large as the output and without gaps is
 * written at once; others are added to, from zeros. */
static void binary_backward(tape *t, op_node *n) {
  const binary_kernels *kernels = n->kind->detail;
  int last = n->input[1]->needs_gradient && n->input[1]->count == n->output->count;
  for (int turn = 0; turn < 2; turn++) {
    int i = turn == 0 ? 1 - last : last;
    tensor *x = n->input[i];
    if (!x->needs_gradient) continue;
    if (turn == 1 && kernels->slope_is_one && tape_gradient_hand_over(t, n, x)) return;
    bool add = true, whole = x->count == n->output->count && tensor_is_contiguous(x);
    real *d = whole ? tape_gradient(t, x, &add) : tape_gradient_zeroed(t, x);
    if (d == NULL) return;
    binary_backward_one(n, i == 0, d, add);
  }
}

/* The shape that both broadcast to. */
static bool broadcast_shape(tape *t, const char *name, const tensor *a, const tensor *b, int *rank, size_t *shape) {
  *rank = a->rank > b->rank ? a->rank : b->rank;
  for (int d = 0; d < *rank; d++) {
    int own_a = d - (*rank - a->rank), own_b = d - (*rank - b->rank);
    size_t size_a = own_a < 0 ? 1 : a->shape[own_a], size_b = own_b < 0 ? 1 : b->shape[own_b];
    if (size_a != size_b && size_a != 1 && size_b != 1) {
      char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
      op_fail(t,
              "%s: left is %s, right is %s: dimension %d from the end is %zu "
              "and %zu, which cannot be broadcast",
              name, tensor_text(a, left), tensor_text(b, right), *rank - d, size_a, size_b);
      return false;
    }
    shape[d] = size_a == 1 ? size_b : size_a;
  }
  return true;
}

static tensor *binary_run(tape *t, const op_kind *kind, tensor *a, tensor *b) {
  tensor *operands[] = {a, b};
  int rank;
  size_t shape[TENSOR_RANK_MAX];
  if (!op_ready(t, kind->name, operands, 2) || !broadcast_shape(t, kind->name, a, b, &rank, shape)) return NULL;
  return op_run(t, kind, rank, shape, operands, 2, NULL, 0);
}

const op_kind op_kind_add = {"add", binary_forward, binary_backward, &add_kernels};
const op_kind op_kind_sub = {"sub", binary_forward, binary_backward, &sub_kernels};
const op_kind op_kind_mul = {"mul", binary_forward, binary_backward, &mul_kernels};
const op_kind op_kind_div = {"div", binary_forward, binary_backward, &div_kernels};
const op_kind op_kind_maximum = {"maximum", binary_forward, binary_backward, &maximum_kernels};
const op_kind op_kind_minimum = {"minimum", binary_forward, binary_backward, &minimum_kernels};

tensor *op_add(tape *t, tensor *a, tensor *b) { return binary_run(t, &op_kind_add, a, b); }
tensor *op_sub(tape *t, tensor *a, tensor *b) { return binary_run(t, &op_kind_sub, a, b); }
tensor *op_mul(tape *t, tensor *a, tensor *b) { return binary_run(t, &op_kind_mul, a, b); }
tensor *op_div(tape *t, tensor *a, tensor *b) { return binary_run(t, &op_kind_div, a, b); }
tensor *op_maximum(tape *t, tensor *a, tensor *b) { return binary_run(t, &op_kind_maximum, a, b); }
tensor *op_minimum(tape *t, tensor *a, tensor *b) { return binary_run(t, &op_kind_minimum, a, b); }
