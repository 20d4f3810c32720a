/* nn/op_norm.c: normalisation: layer, RMS, group and batch norm, and rows of length 1.
 *
 * Layer and group norm are one computation: `groups` blocks of numbers, each shifted to mean 0 and scaled to variance
 * 1, then a weight and a bias per channel. RMS norm leaves out the mean. What backward needs of a block is its mean and
 * the reciprocal of its deviation, so no normalised copy is kept. Gradients of weight and bias are summed over fixed
 * parts of the rows, then over the parts: the rounding does not depend on the number of threads.
 */
#include <string.h>

#include "math/clones.h"
#include "nn/op.h"
#include "nn/op_kind.h"
#include "nn/rows.h"

/* ---- kernels on one block ---- */

/* y = (x - mean) * rate * weight + bias; weight or bias NULL: 1, 0. */
static inline VECTOR_INLINE void norm_row_body(const real *x, real mean, real rate, const real *weight,
                                               const real *bias, real *restrict y, size_t count) {
  if (weight != NULL && bias != NULL) {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) y[i] = (x[i] - mean) * rate * weight[i] + bias[i];
  } else if (weight != NULL) {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) y[i] = (x[i] - mean) * rate * weight[i];
  } else {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) y[i] = (x[i] - mean) * rate;
  }
}
VECTOR_CLONES(static, void, norm_row,
              (const real *x, real mean, real rate, const real *weight, const real *bias, real *y, size_t count),
              (x, mean, rate, weight, bias, y, count))

/* y = (x - mean) * factor + shift */
static inline VECTOR_INLINE void plane_row_body(const real *x, real mean, real factor, real shift, real *restrict y,
                                                size_t count) {
  _Pragma("omp simd") for (size_t i = 0; i < count; i++) y[i] = (x[i] - mean) * factor + shift;
}
VECTOR_CLONES(static, void, plane_row, (const real *x, real mean, real factor, real shift, real *y, size_t count),
              (x, mean, factor, shift, y, count))

/* sum of dy w, and of dy w x̂ with x̂ = (x - mean) rate. weight NULL: 1. */
static inline VECTOR_INLINE void norm_sums_body(const real *x, const real *dy, const real *weight, real mean, real rate,
                                                size_t count, real *plain, real *along) {
  real a = 0, b = 0;
  if (weight != NULL) {
    _Pragma("omp simd reduction(+:a,b)") for (size_t i = 0; i < count; i++) {
      real g = dy[i] * weight[i];
      a += g;
      b += g * (x[i] - mean);
    }
  } else {
    _Pragma("omp simd reduction(+:a,b)") for (size_t i = 0; i < count; i++) {
      a += dy[i];
      b += dy[i] * (x[i] - mean);
    }
  }
  *plain = a;
  *along = b * rate;
}
VECTOR_CLONES(static, void, norm_sums,
              (const real *x, const real *dy, const real *weight, real mean, real rate, size_t count, real *plain,
               real *along),
              (x, dy, weight, mean, rate, count, plain, along))

/* dx (+)= rate (dy w - plain - x̂ along). weight NULL: the constant `same`. */
static inline VECTOR_INLINE void norm_back_body(const real *x, const real *dy, const real *weight, real same, real mean,
                                                real rate, real plain, real along, real *restrict dx, size_t count,
                                                bool add) {
  real slope = rate * along;
  if (add) {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) dx[i] +=
        rate * (dy[i] * (weight ? weight[i] : same) - plain - (x[i] - mean) * slope);
  } else {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) dx[i] =
        rate * (dy[i] * (weight ? weight[i] : same) - plain - (x[i] - mean) * slope);
  }
}
VECTOR_CLONES(static, void, norm_back,
              (const real *x, const real *dy, const real *weight, real same, real mean, real rate, real plain,
               real along, real *dx, size_t count, bool add),
              (x, dy, weight, same, mean, rate, plain, along, dx, count, add))

/* dweight += dy x̂, dbias += dy (either may be NULL), element by element. */
static inline VECTOR_INLINE void norm_affine_back_body(const real *x, const real *dy, real mean, real rate,
                                                       real *restrict dweight, real *restrict dbias, size_t count) {
  if (dweight != NULL) {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) dweight[i] += dy[i] * (x[i] - mean) * rate;
  }
  if (dbias != NULL) {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) dbias[i] += dy[i];
  }
}
VECTOR_CLONES(static, void, norm_affine_back,
              (const real *x, const real *dy, real mean, real rate, real *dweight, real *dbias, size_t count),
              (x, dy, mean, rate, dweight, dbias, count))

/* ---- layer norm, RMS norm: a weight per element of the row ---- */

typedef struct norm_args {
  real epsilon;
  bool centred; /* false: RMS */
} norm_args;

typedef struct norm_pass {
  norm_args args;
  size_t rows, width, part_rows;
  const real *x, *weight, *bias, *dy;
  real *y, *dx, *mean, *rate; /* mean, rate: [rows] */
  real *parts;                /* [NORM_PARTS, 2, width] gradients of weight and bias */
  bool add;
} norm_pass;

enum { NORM_PARTS = 16 };

static void norm_range(void *context, size_t from, size_t to) {
  const norm_pass *p = context;
  for (size_t r = from; r < to; r++) {
    const real *x = p->x + r * p->width;
    real mean = 0, variance;
    if (p->args.centred)
      row_moments(x, p->width, &mean, &variance);
    else
      variance = row_dot(x, x, p->width) / (real)p->width;
    p->mean[r] = mean;
    p->rate[r] = 1 / real_sqrt(variance + p->args.epsilon);
    norm_row(x, mean, p->rate[r], p->weight, p->bias, p->y + r * p->width, p->width);
  }
}

static const real *optional_data(const tensor *x) { return x != NULL ? real_data(x) : NULL; }

static norm_pass norm_of(op_node *n) {
  tensor *x = n->input[0];
  return (norm_pass){.args = *(const norm_args *)n->args,
                     .rows = tensor_height(x),
                     .width = tensor_width(x),
                     .x = real_data(x),
                     .weight = optional_data(n->input[1]),
                     .bias = optional_data(n->input[2]),
                     .y = real_data(n->output),
                     .mean = n->saved[0],
                     .rate = n->saved[1]};
}

static void norm_forward(tape *t, op_node *n) {
  norm_pass p = norm_of(n);
  p.mean = tape_save(t, n, 0, p.rows, sizeof(real));
  p.rate = tape_save(t, n, 1, p.rows, sizeof(real));
  if (p.mean != NULL && p.rate != NULL) op_parallel(p.rows, 1 + OP_GRAIN / (p.width + 1), norm_range, &p);
}

/* One part of the rows: its input gradients, and its share of the weight's and bias's. x and dy are read once. */
static void norm_back_parts(void *context, size_t from, size_t to) {
  const norm_pass *p = context;
  for (size_t part = from; part < to; part++) {
    real *dweight = p->parts != NULL ? p->parts + part * 2 * p->width : NULL;
    real *dbias = dweight != NULL ? dweight + p->width : NULL;
    if (dweight != NULL) memset(dweight, 0, 2 * p->width * sizeof(real));
    for (size_t r = part * p->part_rows; r < (part + 1) * p->part_rows && r < p->rows; r++) {
      const real *x = p->x + r * p->width, *dy = p->dy + r * p->width;
      real plain, along, mean = p->mean[r], rate = p->rate[r];
      if (p->dx != NULL) {
        norm_sums(x, dy, p->weight, mean, rate, p->width, &plain, &along);
        plain = p->args.centred ? plain / (real)p->width : 0;
        norm_back(x, dy, p->weight, 1, mean, rate, plain, along / (real)p->width, p->dx + r * p->width, p->width,
                  p->add);
      }
      if (dweight != NULL) norm_affine_back(x, dy, mean, rate, dweight, dbias, p->width);
    }
  }
}

static void norm_backward(tape *t, op_node *n) {
  norm_pass p = norm_of(n);
  p.dy = n->output->gradient;
  p.dx = tape_gradient(t, n->input[0], &p.add);
  bool wanted = false;
  for (int i = 1; i < 3; i++) wanted |= n->input[i] != NULL && n->input[i]->needs_gradient;
  if (wanted) p.parts = tape_scratch(t, NORM_PARTS * 2 * p.width, sizeof(real));
  p.part_rows = (p.rows + NORM_PARTS - 1) / NORM_PARTS;
  op_parallel(NORM_PARTS, p.rows * p.width < 2 * OP_GRAIN ? NORM_PARTS : 1, norm_back_parts, &p);
  for (int i = 1; p.parts != NULL && i < 3; i++) {
    real *d = n->input[i] != NULL ? tape_gradient_zeroed(t, n->input[i]) : NULL;
    for (size_t part = 0; d != NULL && part < NORM_PARTS; part++)
      row_add(d, p.parts + (part * 2 + (size_t)(i - 1)) * p.width, p.width);
  }
  tape_scratch_give(t, p.parts, NORM_PARTS * 2 * p.width, sizeof(real));
}

const op_kind op_kind_layer_norm = {"layer_norm", norm_forward, norm_backward, NULL};
const op_kind op_kind_rms_norm = {"rms_norm", norm_forward, norm_backward, NULL};

/* weight and bias must be [channels] when they are there. */
static bool affine_ready(tape *t, const char *name, const tensor *x, tensor **affine, size_t channels) {
  for (int i = 0; i < 2; i++) {
    char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
    if (affine[i] == NULL) continue;
    if (!op_ready(t, name, &affine[i], 1)) return false;
    if (affine[i]->rank != 1 || affine[i]->shape[0] != channels) {
      op_fail(t, "%s: input is %s, %s is %s, which must be [%zu]", name, tensor_text(x, left), i ? "bias" : "weight",
              tensor_text(affine[i], right), channels);
      return false;
    }
    if ((affine[i] = op_contiguous(t, affine[i])) == NULL) return false;
  }
  return true;
}

static tensor *norm_run(tape *t, const op_kind *kind, tensor *x, tensor *weight, tensor *bias, norm_args args) {
  tensor *affine[] = {weight, bias};
  if (!op_ready(t, kind->name, &x, 1) || !affine_ready(t, kind->name, x, affine, tensor_width(x))) return NULL;
  x = op_contiguous(t, x);
  tensor *inputs[] = {x, affine[0], affine[1]};
  return x == NULL ? NULL : op_run(t, kind, x->rank, x->shape, inputs, 3, &args, sizeof args);
}

tensor *op_layer_norm(tape *t, tensor *x, tensor *weight, tensor *bias, double epsilon) {
  if (weight == NULL && bias != NULL) return op_fail(t, "layer_norm: a bias without a weight");
  return norm_run(t, &op_kind_layer_norm, x, weight, bias, (norm_args){(real)epsilon, true});
}

tensor *op_rms_norm(tape *t, tensor *x, tensor *weight, double epsilon) {
  return norm_run(t, &op_kind_rms_norm, x, weight, NULL, (norm_args){(real)epsilon, false});
}

/* ---- group norm, batch norm: x [n, channels, ...], a weight per channel ----
 *
 * A plane is the numbers of one channel of one sample. Group norm's block is several planes next to each other, batch
 * norm's is the planes of one channel in all samples. Both walk planes. */

typedef struct plane_args {
  real epsilon, momentum;
  size_t groups;                         /* 0: batch norm */
  real *running_mean, *running_variance; /* [channels], batch norm's memory; NULL in group norm */
  bool fixed;                            /* batch norm outside of training: running figures, which are constants */
} plane_args;

typedef struct plane_pass {
  plane_args args;
  size_t samples, channels, size, blocks; /* x is [samples, channels, size] */
  const real *x, *weight, *bias, *dy;
  real *y, *dx, *mean, *rate; /* mean, rate: [blocks] */
  real *dweight, *dbias;      /* [channels], or per plane [samples, channels] */
  bool add;
} plane_pass;

/* The planes of a block are numbers first, first + step, ... below end. */
static void block_planes(const plane_pass *p, size_t block, size_t *first, size_t *step, size_t *end) {
  if (p->args.groups == 0) {
    *first = block, *step = p->channels, *end = p->samples * p->channels;
  } else {
    size_t planes = p->channels / p->args.groups;
    *first = block * planes, *step = 1, *end = *first + planes;
  }
}

static void plane_moments(const plane_pass *p, size_t block, double *mean, double *variance, double *count) {
  size_t first, step, end;
  block_planes(p, block, &first, &step, &end);
  double sum = 0, square = 0;
  *count = (double)((end - first + step - 1) / step * p->size);
  for (size_t plane = first; plane < end; plane += step) sum += row_sum(p->x + plane * p->size, p->size);
  double centre = sum / *count;
  for (size_t plane = first; plane < end; plane += step) {
    real own, spread;
    row_moments(p->x + plane * p->size, p->size, &own, &spread);
    square += (spread + (own - centre) * (own - centre)) * (double)p->size;
  }
  *mean = centre;
  *variance = square / *count;
}

/* PyTorch's running variance is the unbiased one. */
static void running_update(const plane_pass *p, size_t channel, double mean, double variance, double count) {
  real *m = &p->args.running_mean[channel], *v = &p->args.running_variance[channel];
  *m += p->args.momentum * ((real)mean - *m);
  *v += p->args.momentum * ((real)(variance * (count > 1 ? count / (count - 1) : 1)) - *v);
}

static void plane_range(void *context, size_t from, size_t to) {
  const plane_pass *p = context;
  for (size_t block = from; block < to; block++) {
    double mean, variance, count;
    if (p->args.fixed) {
      mean = p->args.running_mean[block], variance = p->args.running_variance[block];
    } else {
      plane_moments(p, block, &mean, &variance, &count);
      if (p->args.running_mean != NULL) running_update(p, block, mean, variance, count);
    }
    p->mean[block] = (real)mean;
    p->rate[block] = 1 / real_sqrt((real)variance + p->args.epsilon);
    size_t first, step, end;
    block_planes(p, block, &first, &step, &end);
    for (size_t plane = first; plane < end; plane += step) {
      size_t channel = plane % p->channels;
      real factor = p->rate[block] * (p->weight ? p->weight[channel] : 1), shift = p->bias ? p->bias[channel] : 0;
      plane_row(p->x + plane * p->size, p->mean[block], factor, shift, p->y + plane * p->size, p->size);
    }
  }
}

static plane_pass plane_of(op_node *n) {
  tensor *x = n->input[0];
  plane_pass p = {.args = *(const plane_args *)n->args,
                  .samples = x->shape[0],
                  .channels = x->shape[1],
                  .x = real_data(x),
                  .weight = optional_data(n->input[1]),
                  .bias = optional_data(n->input[2]),
                  .y = real_data(n->output),
                  .mean = n->saved[0],
                  .rate = n->saved[1]};
  p.size = x->count / (p.samples * p.channels); /* an empty input was refused */
  p.blocks = p.args.groups ? p.samples * p.args.groups : p.channels;
  return p;
}

static void plane_forward(tape *t, op_node *n) {
  plane_pass p = plane_of(n);
  p.mean = tape_save(t, n, 0, p.blocks, sizeof(real));
  p.rate = tape_save(t, n, 1, p.blocks, sizeof(real));
  if (p.mean != NULL && p.rate != NULL)
    op_parallel(p.blocks, n->output->count < 2 * OP_GRAIN ? p.blocks + 1 : 1, plane_range, &p);
}

static void plane_back_range(void *context, size_t from, size_t to) {
  const plane_pass *p = context;
  for (size_t block = from; block < to; block++) {
    size_t first, step, end;
    block_planes(p, block, &first, &step, &end);
    real mean = p->mean[block], rate = p->rate[block];
    double plain = 0, along = 0, count = (double)((end - first + step - 1) / step * p->size);
    for (size_t plane = first; plane < end; plane += step) {
      real a, b, weight = p->weight ? p->weight[plane % p->channels] : 1;
      norm_sums(p->x + plane * p->size, p->dy + plane * p->size, NULL, mean, rate, p->size, &a, &b);
      plain += a * weight;
      along += b * weight;
      p->dbias[plane] = a;
      p->dweight[plane] = b;
    }
    if (p->args.fixed) plain = along = 0;
    for (size_t plane = first; p->dx != NULL && plane < end; plane += step)
      norm_back(p->x + plane * p->size, p->dy + plane * p->size, NULL, p->weight ? p->weight[plane % p->channels] : 1,
                mean, rate, (real)(plain / count), (real)(along / count), p->dx + plane * p->size, p->size, p->add);
  }
}

static void plane_backward(tape *t, op_node *n) {
  plane_pass p = plane_of(n);
  size_t planes = p.samples * p.channels;
  p.dy = n->output->gradient;
  p.dx = tape_gradient(t, n->input[0], &p.add);
  real *sums = tape_scratch(t, 2 * planes, sizeof(real));
  if (sums == NULL) return;
  p.dweight = sums, p.dbias = sums + planes;
  op_parallel(p.blocks, n->output->count < 2 * OP_GRAIN ? p.blocks + 1 : 1, plane_back_range, &p);
  for (int i = 1; i < 3; i++) {
    real *d = n->input[i] != NULL ? tape_gradient_zeroed(t, n->input[i]) : NULL;
    for (size_t s = 0; d != NULL && s < p.samples; s++)
      row_add(d, (i == 1 ? p.dweight : p.dbias) + s * p.channels, p.channels);
  }
  tape_scratch_give(t, sums, 2 * planes, sizeof(real));
}

const op_kind op_kind_group_norm = {"group_norm", plane_forward, plane_backward, NULL};
const op_kind op_kind_batch_norm = {"batch_norm", plane_forward, plane_backward, NULL};

static tensor *plane_run(tape *t, const op_kind *kind, tensor *x, tensor *weight, tensor *bias, plane_args args) {
  tensor *affine[] = {weight, bias};
  char text[TENSOR_TEXT_MAX];
  if (!op_ready(t, kind->name, &x, 1)) return NULL;
  if (x->rank < 2)
    return op_fail(t, "%s: %s has no channels: at least [n, channels]", kind->name, tensor_text(x, text));
  if (x->count == 0) return op_fail(t, "%s: %s is empty", kind->name, tensor_text(x, text));
  if (!affine_ready(t, kind->name, x, affine, x->shape[1])) return NULL;
  if (args.groups > 0 && x->shape[1] % args.groups != 0)
    return op_fail(t, "%s: the %zu channels of %s are not divided by %zu groups", kind->name, x->shape[1],
                   tensor_text(x, text), args.groups);
  x = op_contiguous(t, x);
  tensor *inputs[] = {x, affine[0], affine[1]};
  return x == NULL ? NULL : op_run(t, kind, x->rank, x->shape, inputs, 3, &args, sizeof args);
}

tensor *op_group_norm(tape *t, tensor *x, size_t groups, tensor *weight, tensor *bias, double epsilon) {
  if (groups == 0) return op_fail(t, "group_norm: 0 groups");
  return plane_run(t, &op_kind_group_norm, x, weight, bias, (plane_args){.epsilon = (real)epsilon, .groups = groups});
}

tensor *op_batch_norm(tape *t, tensor *x, const batch_norm_options *options) {
  tensor *running[] = {options->running_mean, options->running_variance};
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  if (!op_ready(t, "batch_norm", &x, 1) || !op_ready(t, "batch_norm", running, 2)) return NULL;
  for (int i = 0; i < 2; i++)
    if (x->rank >= 2 && (running[i]->count != x->shape[1] || !tensor_is_contiguous(running[i])))
      return op_fail(t, "batch_norm: input is %s, the running %s is %s, which must be [%zu]", tensor_text(x, left),
                     i ? "variance" : "mean", tensor_text(running[i], right), x->shape[1]);
  plane_args args = {.epsilon = (real)(options->epsilon > 0 ? options->epsilon : 1e-5),
                     .momentum = (real)(options->momentum > 0 ? options->momentum : 0.1),
                     .running_mean = real_data(running[0]),
                     .running_variance = real_data(running[1]),
                     .fixed = options->frozen || !tape_is_training(t)};
  return plane_run(t, &op_kind_batch_norm, x, options->weight, options->bias, args);
}

/* ---- rows of length 1 ---- */

typedef struct unit_pass {
  size_t width;
  const real *x, *dy;
  real *y, *dx, *rate; /* rate: [rows] 1 / length */
  bool add;
} unit_pass;

#define LENGTH_MIN REAL(1e-12) /* as PyTorch's F.normalize: a shorter row is divided by this */

static void unit_range(void *context, size_t from, size_t to) {
  const unit_pass *p = context;
  for (size_t r = from; r < to; r++) {
    const real *x = p->x + r * p->width;
    p->rate[r] = 1 / real_max(LENGTH_MIN, real_sqrt(row_dot(x, x, p->width)));
    row_set_scaled(p->y + r * p->width, p->rate[r], x, p->width);
  }
}

/* dx = rate (dy - y (y · dy)) */
static void unit_back_range(void *context, size_t from, size_t to) {
  const unit_pass *p = context;
  for (size_t r = from; r < to; r++) {
    const real *y = p->y + r * p->width, *dy = p->dy + r * p->width;
    real *dx = p->dx + r * p->width;
    (p->add ? row_add_scaled : row_set_scaled)(dx, p->rate[r], dy, p->width);
    row_add_scaled(dx, -p->rate[r] * row_dot(y, dy, p->width), y, p->width);
  }
}

static void unit_forward(tape *t, op_node *n) {
  unit_pass p = {.width = tensor_width(n->output), .x = real_data(n->input[0]), .y = real_data(n->output)};
  p.rate = tape_save(t, n, 0, tensor_height(n->output), sizeof(real));
  if (p.rate != NULL) op_parallel(tensor_height(n->output), 1 + OP_GRAIN / (p.width + 1), unit_range, &p);
}

static void unit_backward(tape *t, op_node *n) {
  unit_pass p = {
      .width = tensor_width(n->output), .y = real_data(n->output), .dy = n->output->gradient, .rate = n->saved[0]};
  p.dx = tape_gradient(t, n->input[0], &p.add);
  if (p.dx != NULL) op_parallel(tensor_height(n->output), 1 + OP_GRAIN / (p.width + 1), unit_back_range, &p);
}

const op_kind op_kind_unit = {"unit", unit_forward, unit_backward, NULL};

tensor *op_unit(tape *t, tensor *x) {
  if (!op_ready(t, "unit", &x, 1) || (x = op_contiguous(t, x)) == NULL) return NULL;
  return op_run(t, &op_kind_unit, x->rank, x->shape, &x, 1, NULL, 0);
}
