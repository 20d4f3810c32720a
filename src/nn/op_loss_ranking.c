/* nn/op_loss_ranking.c: losses that compare one row with others: InfoNCE, sampled softmax, triplet.
 *
 * The first two live on one matrix of similarities, made by one product. Backward turns it in place into the gradient
 * of itself, from which two more products give the operands': three products and three passes in all, one buffer.
 */
#include <string.h>

#include "math/clones.h"
#include "nn/op.h"
#include "nn/op_kind.h"
#include "nn/product.h"
#include "nn/rows.h"

static product_matrix rows_of(const real *data, size_t width) {
  return (product_matrix){(real *)(uintptr_t)data, false, width};
}

static double sum_in_order(const real *x, size_t count) {
  double total = 0;
  for (size_t i = 0; i < count; i++) total += x[i];
  return total;
}

/* ---- InfoNCE (van den Oord et al. 2018; both directions as in CLIP, Radford et al. 2021) ---- */

typedef struct infonce_args {
  real temperature;
  bool symmetric;
} infonce_args;

typedef struct infonce_pass {
  infonce_args args;
  size_t count, dim;
  real *scores;               /* [count, count] a bᵀ / temperature */
  real *row_sum, *column_sum; /* [count] log of the sum of e^score */
  real factor;
} infonce_pass;

static void infonce_rows(void *context, size_t from, size_t to) {
  const infonce_pass *p = context;
  for (size_t i = from; i < to; i++) p->row_sum[i] = row_log_sum_exp(p->scores + i * p->count, p->count);
}

/* log sum e^score of columns [from, to), row by row so that memory is read as it lies. */
static inline VECTOR_INLINE void columns_log_sum_body(const real *x, size_t count, size_t from, size_t to, real *out) {
  real most[64], sum[64];
  for (; from < to; from += 64) {
    size_t width = to - from < 64 ? to - from : 64;
    for (size_t j = 0; j < width; j++) most[j] = x[from + j], sum[j] = 0;
    for (size_t i = 1; i < count; i++) {
      _Pragma("omp simd") for (size_t j = 0; j < width; j++) most[j] = real_max(most[j], x[i * count + from + j]);
    }
    for (size_t i = 0; i < count; i++) {
      _Pragma("omp simd") for (size_t j = 0; j < width; j++) sum[j] += real_exp(x[i * count + from + j] - most[j]);
    }
    _Pragma("omp simd") for (size_t j = 0; j < width; j++) out[from + j] = most[j] + real_log(sum[j]);
  }
}
VECTOR_CLONES(static, void, columns_log_sum, (const real *x, size_t count, size_t from, size_t to, real *out),
              (x, count, from, to, out))

static void infonce_columns(void *context, size_t from, size_t to) {
  const infonce_pass *p = context;
  columns_log_sum(p->scores, p->count, from, to, p->column_sum);
}

static infonce_pass infonce_of(op_node *n) {
  return (infonce_pass){.args = *(const infonce_args *)n->args,
                        .count = n->input[0]->shape[0],
                        .dim = n->input[0]->shape[1],
                        .scores = n->saved[0],
                        .row_sum = n->saved[1],
                        .column_sum = n->saved[2]};
}

static void infonce_forward(tape *t, op_node *n) {
  infonce_pass p = infonce_of(n);
  p.scores = tape_save(t, n, 0, p.count * p.count, sizeof(real));
  p.row_sum = tape_save(t, n, 1, p.count, sizeof(real));
  if (p.args.symmetric) p.column_sum = tape_save(t, n, 2, p.count, sizeof(real));
  if (p.scores == NULL || p.row_sum == NULL || (p.args.symmetric && p.column_sum == NULL)) return;
  product(p.count, p.count, p.dim, 1 / p.args.temperature, rows_of(real_data(n->input[0]), p.dim),
          product_transpose(rows_of(real_data(n->input[1]), p.dim)), 0, rows_of(p.scores, p.count));
  op_parallel(p.count, 1 + OP_GRAIN / 4 / p.count, infonce_rows, &p);
  double total = sum_in_order(p.row_sum, p.count);
  if (p.args.symmetric) {
    op_parallel(p.count, p.count < 128 ? p.count : 64, infonce_columns, &p);
    total = 0.5 * (total + sum_in_order(p.column_sum, p.count));
  }
  for (size_t i = 0; i < p.count; i++) total -= p.scores[i * p.count + i];
  *real_data(n->output) = (real)(total / (double)p.count);
}

/* scores become factor * d loss / d scores. */
static inline VECTOR_INLINE void infonce_slope_body(real *row, real row_sum, const real *column_sum, real factor,
                                                    size_t count) {
  if (column_sum != NULL) {
    _Pragma("omp simd") for (size_t j = 0; j < count; j++) row[j] =
        REAL(0.5) * factor * (real_exp(row[j] - row_sum) + real_exp(row[j] - column_sum[j]));
  } else {
    _Pragma("omp simd") for (size_t j = 0; j < count; j++) row[j] = factor * real_exp(row[j] - row_sum);
  }
}
VECTOR_CLONES(static, void, infonce_slope,
              (real * row, real row_sum, const real *column_sum, real factor, size_t count),
              (row, row_sum, column_sum, factor, count))

static void infonce_slopes(void *context, size_t from, size_t to) {
  const infonce_pass *p = context;
  for (size_t i = from; i < to; i++) {
    infonce_slope(p->scores + i * p->count, p->row_sum[i], p->column_sum, p->factor, p->count);
    p->scores[i * p->count + i] -= p->factor;
  }
}

static void infonce_backward(tape *t, op_node *n) {
  infonce_pass p = infonce_of(n);
  p.factor = *n->output->gradient / ((real)p.count * p.args.temperature);
  op_parallel(p.count, 1 + OP_GRAIN / 4 / p.count, infonce_slopes, &p);
  for (int i = 0; i < 2; i++) {
    bool add;
    real *d = tape_gradient(t, n->input[i], &add);
    product_matrix slopes = rows_of(p.scores, p.count);
    if (d != NULL)
      product(p.count, p.dim, p.count, 1, i ? product_transpose(slopes) : slopes,
              rows_of(real_data(n->input[1 - i]), p.dim), add, rows_of(d, p.dim));
  }
}

const op_kind op_kind_infonce = {"infonce", infonce_forward, infonce_backward, NULL};

tensor *op_infonce(tape *t, tensor *a, tensor *b, double temperature, bool symmetric) {
  tensor *x[] = {a, b};
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  if (!op_ready(t, "infonce", x, 2)) return NULL;
  if (a->rank != 2 || !shape_equal(a, b) || a->count == 0)
    return op_fail(t, "infonce: left is %s, right is %s: both must be the same [rows, dim]", tensor_text(a, left),
                   tensor_text(b, right));
  if (!(temperature > 0)) return op_fail(t, "infonce: a temperature of %g is not above 0", temperature);
  for (int i = 0; i < 2; i++)
    if ((x[i] = op_contiguous(t, x[i])) == NULL) return NULL;
  infonce_args args = {(real)temperature, symmetric};
  return op_run(t, &op_kind_infonce, 0, NULL, x, 2, &args, sizeof args);
}

/* ---- sampled softmax (Jean et al. 2015; logQ correction: Bengio & Senécal 2008) ---- */

typedef struct sampled_pass {
  size_t rows, samples, dim;
  const real *x, *positive, *negative, *positive_log_q, *negative_log_q, *mask;
  const int32_t *target, *sampled;
  real *scores, *own, *log_sum; /* [rows, samples], [rows], [rows] */
  real factor;
} sampled_pass;

static const real *optional(const tensor *x) { return x != NULL ? real_data(x) : NULL; }

/* Inputs: x, positive, negative, target, sampled, positive_log_q, negative_log_q, mask. */
static sampled_pass sampled_of(op_node *n) {
  return (sampled_pass){.rows = n->input[0]->shape[0],
                        .samples = n->input[2]->shape[0],
                        .dim = n->input[0]->shape[1],
                        .x = real_data(n->input[0]),
                        .positive = real_data(n->input[1]),
                        .negative = real_data(n->input[2]),
                        .target = index_data(n->input[3]),
                        .sampled = index_data(n->input[4]),
                        .positive_log_q = optional(n->input[5]),
                        .negative_log_q = optional(n->input[6]),
                        .mask = optional(n->input[7]),
                        .scores = n->saved[0],
                        .own = n->saved[1],
                        .log_sum = n->saved[2]};
}

/* A sample that is the row's own target is no negative: it does not count. */
static void sampled_range(void *context, size_t from, size_t to) {
  const sampled_pass *p = context;
  for (size_t r = from; r < to; r++) {
    real *scores = p->scores + r * p->samples;
    p->own[r] = row_dot(p->x + r * p->dim, p->positive + r * p->dim, p->dim);
    if (p->positive_log_q != NULL) p->own[r] -= p->positive_log_q[r];
    if (p->negative_log_q != NULL) row_add_scaled(scores, -1, p->negative_log_q, p->samples);
    if (p->mask != NULL) row_add_scaled(scores, 1, p->mask + r * p->samples, p->samples);
    for (size_t j = 0; j < p->samples; j++)
      if (p->sampled[j] == p->target[r]) scores[j] = -INFINITY;
    real most = real_max(row_max(scores, p->samples), p->own[r]);
    p->log_sum[r] = most + real_log(row_exp_sum(scores, most, p->samples) + real_exp(p->own[r] - most));
  }
}

static void sampled_forward(tape *t, op_node *n) {
  sampled_pass p = sampled_of(n);
  p.scores = tape_save(t, n, 0, p.rows * p.samples, sizeof(real));
  p.own = tape_save(t, n, 1, p.rows, sizeof(real));
  p.log_sum = tape_save(t, n, 2, p.rows, sizeof(real));
  if (p.scores == NULL || p.own == NULL || p.log_sum == NULL) return;
  product(p.rows, p.samples, p.dim, 1, rows_of(p.x, p.dim), product_transpose(rows_of(p.negative, p.dim)), 0,
          rows_of(p.scores, p.samples));
  op_parallel(p.rows, 1 + OP_GRAIN / 4 / (p.samples + p.dim), sampled_range, &p);
  double total = sum_in_order(p.log_sum, p.rows) - sum_in_order(p.own, p.rows);
  *real_data(n->output) = (real)(total / (double)p.rows);
}

/* scores and own become the gradients of themselves. */
static void sampled_slopes(void *context, size_t from, size_t to) {
  const sampled_pass *p = context;
  for (size_t r = from; r < to; r++) {
    real *scores = p->scores + r * p->samples;
    row_exp(scores, p->log_sum[r], scores, p->samples);
    row_scale(scores, p->factor, p->samples);
    p->own[r] = p->factor * (real_exp(p->own[r] - p->log_sum[r]) - 1);
  }
}

static void sampled_backward(tape *t, op_node *n) {
  sampled_pass p = sampled_of(n);
  p.factor = *n->output->gradient / (real)p.rows;
  op_parallel(p.rows, 1 + OP_GRAIN / 4 / (p.samples + 1), sampled_slopes, &p);
  product_matrix slopes = rows_of(p.scores, p.samples);
  bool add;
  real *dx = tape_gradient(t, n->input[0], &add);
  if (dx != NULL) product(p.rows, p.dim, p.samples, 1, slopes, rows_of(p.negative, p.dim), add, rows_of(dx, p.dim));
  for (size_t r = 0; dx != NULL && r < p.rows; r++)
    row_add_scaled(dx + r * p.dim, p.own[r], p.positive + r * p.dim, p.dim);
  real *d = tape_gradient(t, n->input[1], &add);
  for (size_t r = 0; d != NULL && r < p.rows; r++)
    (add ? row_add_scaled : row_set_scaled)(d + r * p.dim, p.own[r], p.x + r * p.dim, p.dim);
  d = tape_gradient(t, n->input[2], &add);
  if (d != NULL)
    product(p.samples, p.dim, p.rows, 1, product_transpose(slopes), rows_of(p.x, p.dim), add, rows_of(d, p.dim));
}

const op_kind op_kind_sampled_softmax = {"sampled_softmax", sampled_forward, sampled_backward, NULL};

tensor *op_sampled_softmax(tape *t, tensor *x, const sampled_softmax_rows *rows) {
  tensor *inputs[] = {x,
                      rows->positive,
                      rows->negative,
                      rows->target,
                      rows->sampled,
                      rows->positive_log_q,
                      rows->negative_log_q,
                      rows->mask};
  char text[4][TENSOR_TEXT_MAX];
  if (!op_ready(t, "sampled_softmax", inputs, 3) || !op_ready_indices(t, "sampled_softmax", rows->target) ||
      !op_ready_indices(t, "sampled_softmax", rows->sampled))
    return NULL;
  bool fits = x->rank == 2 && x->count > 0 && shape_equal(x, inputs[1]) && inputs[2]->rank == 2 &&
              inputs[2]->shape[1] == x->shape[1] && rows->target->count == x->shape[0] &&
              rows->sampled->count == inputs[2]->shape[0];
  if (!fits)
    return op_fail(t, "sampled_softmax: input is %s, positive rows are %s for %zu targets, negative rows %s for %zu",
                   tensor_text(x, text[0]), tensor_text(inputs[1], text[1]), rows->target->count,
                   tensor_text(inputs[2], text[2]), rows->sampled->count);
  for (int i = 5; i < 7; i++) {
    if (inputs[i] == NULL) continue;
    if (!op_ready(t, "sampled_softmax", &inputs[i], 1)) return NULL;
    if (inputs[i]->count != inputs[i - 2]->count || inputs[i]->needs_gradient)
      return op_fail(t, "sampled_softmax: log probabilities are %s, not a constant for each of %zu rows",
                     tensor_text(inputs[i], text[3]), inputs[i - 2]->count);
    if ((inputs[i] = op_contiguous(t, inputs[i])) == NULL) return NULL;
  }
  if (rows->mask != NULL) {
    if (!op_ready(t, "sampled_softmax", &inputs[7], 1)) return NULL;
    if (rows->mask->rank != 2 || rows->mask->shape[0] != x->shape[0] || rows->mask->shape[1] != inputs[4]->count ||
        rows->mask->needs_gradient)
      return op_fail(t, "sampled_softmax: the mask is %s, not a constant for each of %zu rows and %zu samples",
                     tensor_text(rows->mask, text[3]), x->shape[0], inputs[4]->count);
    if ((inputs[7] = op_contiguous(t, inputs[7])) == NULL) return NULL;
  }
  for (int i = 0; i < 3; i++)
    if ((inputs[i] = op_contiguous(t, inputs[i])) == NULL) return NULL;
  return op_run(t, &op_kind_sampled_softmax, 0, NULL, inputs, 8, NULL, 0);
}

/* ---- triplet (Schroff et al. 2015), distances as PyTorch's TripletMarginLoss: Euclidean, 1e-6 in each difference ----
 */

typedef struct triplet_args {
  real margin;
} triplet_args;

#define NUDGE REAL(1e-6)

static real nudged_distance(const real *a, const real *b, size_t count) {
  real sum = 0;
  for (size_t i = 0; i < count; i++) sum += (a[i] - b[i] + NUDGE) * (a[i] - b[i] + NUDGE);
  return real_sqrt(sum);
}

static void triplet_forward(tape *t, op_node *n) {
  size_t rows = tensor_height(n->input[0]), width = tensor_width(n->input[0]);
  real *distance = tape_save(t, n, 0, 2 * rows, sizeof(real)); /* to the positive, to the negative */
  if (distance == NULL) return;
  real margin = ((const triplet_args *)n->args)->margin;
  double total = 0;
  for (size_t r = 0; r < rows; r++) {
    const real *anchor = real_data(n->input[0]) + r * width;
    for (int i = 0; i < 2; i++)
      distance[2 * r + (size_t)i] = nudged_distance(anchor, real_data(n->input[1 + i]) + r * width, width);
    total += real_max(0, distance[2 * r] - distance[2 * r + 1] + margin);
  }
  *real_data(n->output) = (real)(total / (double)rows);
}

/* to -= factor * (a - b + nudge), and from += the same; either may be NULL. */
static void triplet_pull(const real *a, const real *b, real factor, real *from, real *to, size_t count) {
  for (size_t i = 0; i < count; i++) {
    real slope = factor * (a[i] - b[i] + NUDGE);
    if (from != NULL) from[i] += slope;
    if (to != NULL) to[i] -= slope;
  }
}

static void triplet_backward(tape *t, op_node *n) {
  size_t rows = tensor_height(n->input[0]), width = tensor_width(n->input[0]);
  const real *distance = n->saved[0], *anchor = real_data(n->input[0]);
  real margin = ((const triplet_args *)n->args)->margin, factor = *n->output->gradient / (real)rows;
  real *d[3];
  for (int i = 0; i < 3; i++) d[i] = tape_gradient_zeroed(t, n->input[i]);
  for (size_t r = 0; r < rows; r++) {
    if (distance[2 * r] - distance[2 * r + 1] + margin <= 0) continue;
    for (int i = 0; i < 2; i++) {
      real far = distance[2 * r + (size_t)i], slope = far > 0 ? (i ? -factor : factor) / far : 0;
      triplet_pull(anchor + r * width, real_data(n->input[1 + i]) + r * width, slope, d[0] ? d[0] + r * width : NULL,
                   d[1 + i] ? d[1 + i] + r * width : NULL, width);
    }
  }
}

const op_kind op_kind_triplet = {"triplet", triplet_forward, triplet_backward, NULL};

tensor *op_triplet(tape *t, tensor *anchor, tensor *positive, tensor *negative, double margin) {
  tensor *x[] = {anchor, positive, negative};
  char text[3][TENSOR_TEXT_MAX];
  if (!op_ready(t, "triplet", x, 3)) return NULL;
  if (!shape_equal(anchor, positive) || !shape_equal(anchor, negative) || anchor->count == 0)
    return op_fail(t, "triplet: anchor is %s, positive is %s, negative is %s: they must be alike",
                   tensor_text(anchor, text[0]), tensor_text(positive, text[1]), tensor_text(negative, text[2]));
  for (int i = 0; i < 3; i++)
    if ((x[i] = op_contiguous(t, x[i])) == NULL) return NULL;
  triplet_args args = {(real)margin};
  return op_run(t, &op_kind_triplet, 0, NULL, x, 3, &args, sizeof args);
}
