/* nn/op_loss.c: losses of a prediction and a target, each the mean over what counts: squared error, cross entropies,
 * hinge, BPR.
 *
 * A loss is computed in one pass over its operands and keeps nothing but a number per row; backward computes the slopes
 * from the operands again, which costs less than writing and reading them. Sums go by blocks of fixed size in double.
 */
#include "math/clones.h"
#include "nn/op.h"
#include "nn/op_kind.h"
#include "nn/rows.h"

/* ---- a loss of each pair of elements ---- */

typedef struct pair_kernels {
  double (*forward)(const real *a, const real *b, size_t count);
  /* d (+)= factor * slope(a, b) */
  void (*backward)(const real *a, const real *b, real factor, real *d, size_t count, bool add);
  bool of_difference; /* a function of a - b: b's gradient is minus a's. Otherwise b is a constant */
} pair_kernels;

/* value and slope (of the value in a) in terms of the elements p and q. */
#define PAIR(name, value, slope, difference)                                                                 \
  static inline VECTOR_INLINE double name##_forward_body(const real *a, const real *b, size_t count) {       \
    double total = 0;                                                                                        \
    for (size_t from = 0; from < count; from += 256) {                                                       \
      size_t to = count - from < 256 ? count : from + 256;                                                   \
      real sum = 0;                                                                                          \
      _Pragma("omp simd reduction(+:sum)") for (size_t i = from; i < to; i++) {                              \
        real p = a[i], q = b[i];                                                                             \
        sum += (value);                                                                                      \
      }                                                                                                      \
      total += sum;                                                                                          \
    }                                                                                                        \
    return total;                                                                                            \
  }                                                                                                          \
  VECTOR_CLONES(static, double, name##_forward, (const real *a, const real *b, size_t count), (a, b, count)) \
  static inline VECTOR_INLINE void name##_backward_body(const real *a, const real *b, real factor, real *d,  \
                                                        size_t count, bool add) {                            \
    if (add) {                                                                                               \
      _Pragma("omp simd") for (size_t i = 0; i < count; i++) {                                               \
        real p = a[i], q = b[i];                                                                             \
        d[i] += factor * (slope);                                                                            \
      }                                                                                                      \
    } else {                                                                                                 \
      _Pragma("omp simd") for (size_t i = 0; i < count; i++) {                                               \
        real p = a[i], q = b[i];                                                                             \
        d[i] = factor * (slope);                                                                             \
      }                                                                                                      \
    }                                                                                                        \
  }                                                                                                          \
  VECTOR_CLONES(static, void, name##_backward,                                                               \
                (const real *a, const real *b, real factor, real *d, size_t count, bool add),                \
                (a, b, factor, d, count, add))                                                               \
  static const pair_kernels name##_kernels = {name##_forward, name##_backward, difference};

PAIR(mse, (p - q) * (p - q), 2 * (p - q), true)
PAIR(bce, real_softplus(p) - p * q, real_sigmoid(p) - q, false)
PAIR(hinge, real_max(0, 1 - p * q), p *q < 1 ? -q : 0, false)
PAIR(bpr, real_softplus(q - p), -real_sigmoid(q - p), true)

enum { BLOCK = 8192 };

typedef struct pair_pass {
  const pair_kernels *kernels;
  const real *a, *b;
  size_t count;
  double *sums; /* [blocks] */
  real factor, *d;
  bool add;
} pair_pass;

static void pair_blocks(void *context, size_t from, size_t to) {
  const pair_pass *p = context;
  for (size_t k = from; k < to; k++) {
    size_t begin = k * BLOCK, left = p->count - begin;
    p->sums[k] = p->kernels->forward(p->a + begin, p->b + begin, left < BLOCK ? left : BLOCK);
  }
}

static void pair_forward(tape *t, op_node *n) {
  pair_pass p = {.kernels = n->kind->detail,
                 .a = real_data(n->input[0]),
                 .b = real_data(n->input[1]),
                 .count = n->input[0]->count};
  size_t blocks = (p.count + BLOCK - 1) / BLOCK;
  p.sums = tape_scratch(t, blocks, sizeof *p.sums);
  if (p.sums == NULL) return;
  op_parallel(blocks, 2, pair_blocks, &p);
  double total = 0;
  for (size_t k = 0; k < blocks; k++) total += p.sums[k];
  *real_data(n->output) = (real)(total / (double)p.count);
  tape_scratch_give(t, p.sums, blocks, sizeof *p.sums);
}

static void pair_back_range(void *context, size_t from, size_t to) {
  const pair_pass *p = context;
  p->kernels->backward(p->a + from, p->b + from, p->factor, p->d + from, to - from, p->add);
}

static void pair_backward(tape *t, op_node *n) {
  for (int i = 0; i < 2; i++) {
    pair_pass p = {.kernels = n->kind->detail,
                   .a = real_data(n->input[0]),
                   .b = real_data(n->input[1]),
                   .count = n->input[0]->count,
                   .factor = *n->output->gradient / (real)n->input[0]->count * (i ? -1 : 1)};
    p.d = tape_gradient(t, n->input[i], &p.add);
    if (p.d != NULL) op_parallel(p.count, OP_GRAIN, pair_back_range, &p);
  }
}

const op_kind op_kind_mse = {"mse", pair_forward, pair_backward, &mse_kernels};
const op_kind op_kind_bce = {"bce", pair_forward, pair_backward, &bce_kernels};
const op_kind op_kind_hinge = {"hinge", pair_forward, pair_backward, &hinge_kernels};
const op_kind op_kind_bpr = {"bpr", pair_forward, pair_backward, &bpr_kernels};

static tensor *pair_run(tape *t, const op_kind *kind, tensor *a, tensor *b) {
  tensor *x[] = {a, b};
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  if (!op_ready(t, kind->name, x, 2)) return NULL;
  if (!shape_equal(a, b))
    return op_fail(t, "%s: left is %s, right is %s: they must be alike", kind->name, tensor_text(a, left),
                   tensor_text(b, right));
  if (a->count == 0) return op_fail(t, "%s: nothing to take the mean of: %s", kind->name, tensor_text(a, left));
  if (b->needs_gradient && !((const pair_kernels *)kind->detail)->of_difference)
    return op_fail(t, "%s: the target is a constant, but this one wants a gradient", kind->name);
  for (int i = 0; i < 2; i++)
    if ((x[i] = op_contiguous(t, x[i])) == NULL) return NULL;
  return op_run(t, kind, 0, NULL, x, 2, NULL, 0);
}

tensor *op_mse(tape *t, tensor *x, tensor *target) { return pair_run(t, &op_kind_mse, x, target); }
tensor *op_bce(tape *t, tensor *logits, tensor *target) { return pair_run(t, &op_kind_bce, logits, target); }
tensor *op_hinge(tape *t, tensor *x, tensor *sign) { return pair_run(t, &op_kind_hinge, x, sign); }
tensor *op_bpr(tape *t, tensor *positive, tensor *negative) { return pair_run(t, &op_kind_bpr, positive, negative); }

/* ---- cross entropy over classes ---- */

typedef struct entropy_args {
  real smoothing;
  size_t counted; /* rows with a target */
} entropy_args;

typedef struct entropy_pass {
  entropy_args args;
  size_t classes;
  const real *x;
  const int32_t *target;
  real *log_sum, *loss, factor, *dx; /* log_sum, loss: [rows] */
  bool add;
} entropy_pass;

static void entropy_range(void *context, size_t from, size_t to) {
  const entropy_pass *p = context;
  for (size_t r = from; r < to; r++) {
    const real *x = p->x + r * p->classes;
    p->loss[r] = 0;
    if (p->target[r] < 0) continue;
    p->log_sum[r] = row_log_sum_exp(x, p->classes);
    real smooth = p->args.smoothing;
    p->loss[r] = p->log_sum[r] - (1 - smooth) * x[p->target[r]];
    if (smooth > 0) p->loss[r] -= smooth / (real)p->classes * row_sum(x, p->classes);
  }
}

static entropy_pass entropy_of(op_node *n) {
  return (entropy_pass){.args = *(const entropy_args *)n->args,
                        .classes = tensor_width(n->input[0]),
                        .x = real_data(n->input[0]),
                        .target = index_data(n->input[1]),
                        .log_sum = n->saved[0]};
}

static void entropy_forward(tape *t, op_node *n) {
  entropy_pass p = entropy_of(n);
  size_t rows = n->input[1]->count;
  p.log_sum = tape_save(t, n, 0, rows, sizeof(real));
  p.loss = tape_scratch(t, rows, sizeof(real));
  if (p.log_sum != NULL && p.loss != NULL) {
    op_parallel(rows, 1 + OP_GRAIN / 4 / (p.classes + 1), entropy_range, &p);
    double total = 0;
    for (size_t r = 0; r < rows; r++) total += p.loss[r];
    *real_data(n->output) = (real)(total / (double)p.args.counted);
  }
  tape_scratch_give(t, p.loss, rows, sizeof(real));
}

/* d (+)= factor * (e^(x - log_sum) - even) */
static inline VECTOR_INLINE void entropy_row_body(const real *x, real log_sum, real factor, real even, real *d,
                                                  size_t count, bool add) {
  if (add) {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) d[i] += factor * (real_exp(x[i] - log_sum) - even);
  } else {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) d[i] = factor * (real_exp(x[i] - log_sum) - even);
  }
}
VECTOR_CLONES(static, void, entropy_row,
              (const real *x, real log_sum, real factor, real even, real *d, size_t count, bool add),
              (x, log_sum, factor, even, d, count, add))

static void entropy_back_range(void *context, size_t from, size_t to) {
  const entropy_pass *p = context;
  for (size_t r = from; r < to; r++) {
    real *dx = p->dx + r * p->classes;
    if (p->target[r] < 0) {
      for (size_t i = 0; !p->add && i < p->classes; i++) dx[i] = 0;
      continue;
    }
    entropy_row(p->x + r * p->classes, p->log_sum[r], p->factor, p->args.smoothing / (real)p->classes, dx, p->classes,
                p->add);
    dx[p->target[r]] -= p->factor * (1 - p->args.smoothing);
  }
}

static void entropy_backward(tape *t, op_node *n) {
  entropy_pass p = entropy_of(n);
  p.factor = *n->output->gradient / (real)p.args.counted;
  p.dx = tape_gradient(t, n->input[0], &p.add);
  if (p.dx != NULL) op_parallel(n->input[1]->count, 1 + OP_GRAIN / 4 / (p.classes + 1), entropy_back_range, &p);
}

const op_kind op_kind_cross_entropy = {"cross_entropy", entropy_forward, entropy_backward, NULL};

tensor *op_cross_entropy(tape *t, tensor *logits, tensor *targets, double smoothing) {
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  if (!op_ready(t, "cross_entropy", &logits, 1) || !op_ready_indices(t, "cross_entropy", targets)) return NULL;
  if (logits->rank < 1 || tensor_height(logits) != targets->count)
    return op_fail(t, "cross_entropy: logits are %s, targets are %s: there must be one for each row",
                   tensor_text(logits, left), tensor_text(targets, right));
  if (!(smoothing >= 0 && smoothing < 1))
    return op_fail(t, "cross_entropy: smoothing by %g; 0 or more, below 1", smoothing);
  entropy_args args = {.smoothing = (real)smoothing};
  for (size_t r = 0; r < targets->count; r++) {
    int32_t target = index_data(targets)[r];
    if (target >= 0 && (size_t)target >= tensor_width(logits))
      return op_fail(t, "cross_entropy: target %d at %zu is not below %zu", (int)target, r, tensor_width(logits));
    args.counted += target >= 0;
  }
  if (args.counted == 0) return op_fail(t, "cross_entropy: no row has a target");
  if ((logits = op_contiguous(t, logits)) == NULL) return NULL;
  tensor *inputs[] = {logits, targets};
  return op_run(t, &op_kind_cross_entropy, 0, NULL, inputs, 2, &args, sizeof args);
}
