/* nn/op_conv.c: convolution over one or two dimensions, grouped, strided, dilated (cross-correlation, as everywhere in
 * this field).
 *
 * The general case is a matrix product: the inputs that each output sees become the columns of a matrix [patch,
 * outputs] (im2col; Chellapilla et al. 2006), a sample and group at a time, so that the columns stay in the cache while
 * BLAS reads them. A kernel of one that moves by one needs no columns: the input is the matrix. Samples go to threads,
 * each with columns of its own; a single sample is left to BLAS's threads.
 *
 * Where a group has one input channel and hardly more outputs (depthwise), a product would multiply by vectors: instead
 * each tap adds a scaled row of the input to a row of the output, plane by plane.
 *
 * The weight's gradient is a sum over samples. It is taken sample by sample in order, all threads at one product, so
 * that no sum is cut by the number of threads and no copies of the weight are needed.
 */
#include <omp.h>
#include <string.h>

#include "nn/op.h"
#include "nn/op_kind.h"
#include "nn/product.h"
#include "nn/rows.h"
#include "nn/window.h"

enum { DEPTHWISE_OUTS = 4 };

typedef struct conv_args {
  window high, wide;
  size_t groups;
} conv_args;

typedef struct conv_pass {
  window high, wide;
  size_t samples, groups;
  size_t depth, outs;         /* channels of a group: that come in, that go out */
  size_t patch;               /* depth * kernel: numbers that one output is made of */
  size_t in_plane, out_plane; /* numbers in one channel */
  const real *x, *weight, *bias, *dy;
  real *y, *dx, *dweight, *dbias;
  real *columns; /* [slots, patch, out_plane]; NULL: the input itself is the matrix */
  size_t slots;
  bool add;
} conv_pass;

static const real *optional_data(const tensor *x) { return x != NULL ? real_data(x) : NULL; }

static conv_pass conv_of(op_node *n) {
  const conv_args *args = n->args;
  tensor *x = n->input[0], *weight = n->input[1];
  conv_pass p = {.high = args->high,
                 .wide = args->wide,
                 .samples = x->shape[0],
                 .groups = args->groups,
                 .depth = weight->shape[1],
                 .outs = weight->shape[0] / args->groups,
                 .x = real_data(x),
                 .bias = optional_data(n->input[2]),
                 .y = real_data(n->output)};
  p.patch = p.depth * p.high.kernel * p.wide.kernel;
  p.in_plane = p.high.in * p.wide.in;
  p.out_plane = p.high.out * p.wide.out;
  return p;
}

/* One input channel a group, and so few outputs of it that a product would multiply by vectors. */
static bool conv_is_depthwise(const conv_pass *p) { return p->depth == 1 && p->outs < DEPTHWISE_OUTS; }

static bool conv_is_plain(const conv_pass *p) { return window_is_identity(&p->high) && window_is_identity(&p->wide); }

/* ---- columns ---- */

/* One column row: what the tap (channel, ky, kx) sees, for all outputs. x: the group's channels. */
static void column_fill(const conv_pass *p, const real *x, size_t row, real *to) {
  size_t kx = row % p->wide.kernel, ky = row / p->wide.kernel % p->high.kernel;
  const real *plane = x + row / (p->wide.kernel * p->high.kernel) * p->in_plane;
  size_t left, right, top, bottom;
  window_span(&p->wide, kx, &left, &right);
  window_span(&p->high, ky, &top, &bottom);
  if (left == right) top = bottom;
  memset(to, 0, top * p->wide.out * sizeof(real));
  for (size_t oy = top; oy < bottom; oy++) {
    real *line = to + oy * p->wide.out;
    const real *from = plane + window_at(&p->high, oy, ky) * p->wide.in + window_at(&p->wide, left, kx);
    memset(line, 0, left * sizeof(real));
    if (p->wide.stride == 1)
      memcpy(line + left, from, (right - left) * sizeof(real));
    else
      for (size_t ox = left; ox < right; ox++) line[ox] = from[(ox - left) * p->wide.stride];
    memset(line + right, 0, (p->wide.out - right) * sizeof(real));
  }
  memset(to + bottom * p->wide.out, 0, (p->high.out - bottom) * p->wide.out * sizeof(real));
}

/* The other way: the gradients of a column row are added to the inputs that it was taken from. */
static void column_give(const conv_pass *p, const real *from, size_t row, real *dx) {
  size_t kx = row % p->wide.kernel, ky = row / p->wide.kernel % p->high.kernel;
  real *plane = dx + row / (p->wide.kernel * p->high.kernel) * p->in_plane;
  size_t left, right, top, bottom;
  window_span(&p->wide, kx, &left, &right);
  window_span(&p->high, ky, &top, &bottom);
  if (left == right) return;
  for (size_t oy = top; oy < bottom; oy++) {
    const real *line = from + oy * p->wide.out + left;
    real *to = plane + window_at(&p->high, oy, ky) * p->wide.in + window_at(&p->wide, left, kx);
    if (p->wide.stride == 1)
      row_add(to, line, right - left);
    else
      for (size_t i = 0; i < right - left; i++) to[i * p->wide.stride] += line[i];
  }
}

/* Where the group's inputs and outputs begin. */
static size_t group_in(const conv_pass *p, size_t n, size_t g) { return (n * p->groups + g) * p->depth * p->in_plane; }
static size_t group_out(const conv_pass *p, size_t n, size_t g) { return (n * p->groups + g) * p->outs * p->out_plane; }

/* Slots of samples: as many as threads can take, with columns for each. False: memory ran out. */
static bool slots_take(tape *t, conv_pass *p, size_t slots) {
  p->slots = slots;
  if (conv_is_plain(p)) return true;
  p->columns = tape_scratch(t, slots * p->patch * p->out_plane, sizeof(real));
  return p->columns != NULL;
}

static size_t slots_wanted(const conv_pass *p) {
  size_t threads = omp_in_parallel() ? 1 : (size_t)omp_get_max_threads();
  size_t work = p->samples * p->groups * p->outs * p->out_plane * p->patch;
  if (work < 4 * OP_GRAIN) return 1;
  return p->samples < threads ? p->samples : threads;
}

static void slots_give(tape *t, conv_pass *p) {
  tape_scratch_give(t, p->columns, p->slots * p->patch * p->out_plane, sizeof(real));
}

static product_matrix weight_of(const conv_pass *p, size_t g) {
  return (product_matrix){(real *)(uintptr_t)p->weight + g * p->outs * p->patch, false, p->patch};
}

/* ---- the value ---- */

static void conv_sample(const conv_pass *p, size_t n, real *columns) {
  for (size_t g = 0; g < p->groups; g++) {
    const real *x = p->x + group_in(p, n, g);
    real *y = p->y + group_out(p, n, g);
    for (size_t row = 0; columns != NULL && row < p->patch; row++) column_fill(p, x, row, columns + row * p->out_plane);
    for (size_t o = 0; p->bias != NULL && o < p->outs; o++)
      for (size_t i = 0; i < p->out_plane; i++) y[o * p->out_plane + i] = p->bias[g * p->outs + o];
    product_matrix seen = {columns != NULL ? columns : (real *)(uintptr_t)x, false, p->out_plane};
    product(p->outs, p->out_plane, p->patch, 1, weight_of(p, g), seen, p->bias != NULL,
            (product_matrix){y, false, p->out_plane});
  }
}

/* ---- gradients ---- */

static void conv_sample_back(const conv_pass *p, size_t n, real *columns) {
  for (size_t g = 0; g < p->groups; g++) {
    real *dx = p->dx + group_in(p, n, g);
    product_matrix dy = {(real *)(uintptr_t)p->dy + group_out(p, n, g), false, p->out_plane};
    product_matrix d = {columns != NULL ? columns : dx, false, p->out_plane};
    product(p->patch, p->out_plane, p->outs, 1, product_transpose(weight_of(p, g)), dy, columns == NULL && p->add, d);
    if (columns == NULL) continue;
    if (!p->add) memset(dx, 0, p->depth * p->in_plane * sizeof(real));
    for (size_t row = 0; row < p->patch; row++) column_give(p, columns + row * p->out_plane, row, dx);
  }
}

static void slots_range(void *context, size_t from, size_t to) {
  const conv_pass *p = context;
  for (size_t slot = from; slot < to; slot++) {
    real *columns = p->columns != NULL ? p->columns + slot * p->patch * p->out_plane : NULL;
    for (size_t n = p->samples * slot / p->slots; n < p->samples * (slot + 1) / p->slots; n++)
      (p->dx != NULL ? conv_sample_back : conv_sample)(p, n, columns);
  }
}

typedef struct column_pass {
  const conv_pass *p;
  const real *x;
} column_pass;

static void columns_range(void *context, size_t from, size_t to) {
  const column_pass *c = context;
  for (size_t row = from; row < to; row++) column_fill(c->p, c->x, row, c->p->columns + row * c->p->out_plane);
}

static void conv_weight_back(const conv_pass *p) {
  size_t grain = p->patch * p->out_plane < 2 * OP_GRAIN ? p->patch + 1 : 1;
  for (size_t n = 0; n < p->samples; n++)
    for (size_t g = 0; g < p->groups; g++) {
      column_pass c = {p, p->x + group_in(p, n, g)};
      if (p->columns != NULL) op_parallel(p->patch, grain, columns_range, &c);
      product_matrix seen = {p->columns != NULL ? p->columns : (real *)(uintptr_t)c.x, true, p->out_plane};
      product(p->outs, p->patch, p->out_plane, 1,
              (product_matrix){(real *)(uintptr_t)p->dy + group_out(p, n, g), false, p->out_plane}, seen,
              p->add || n > 0, (product_matrix){p->dweight + g * p->outs * p->patch, false, p->patch});
    }
}

static void bias_range(void *context, size_t from, size_t to) {
  const conv_pass *p = context;
  size_t channels = p->groups * p->outs;
  for (size_t o = from; o < to; o++) {
    real sum = p->add ? p->dbias[o] : 0;
    for (size_t n = 0; n < p->samples; n++) sum += row_sum(p->dy + (n * channels + o) * p->out_plane, p->out_plane);
    p->dbias[o] = sum;
  }
}

/* ---- depthwise: a group has one input channel ---- */

/* y[i y_step] += factor x[i x_step] */
static void tap_add(real *y, size_t y_step, real factor, const real *x, size_t x_step, size_t count) {
  if (y_step == 1 && x_step == 1)
    row_add_scaled(y, factor, x, count);
  else
    for (size_t i = 0; i < count; i++) y[i * y_step] += factor * x[i * x_step];
}

static real tap_dot(const real *dy, const real *x, size_t x_step, size_t count) {
  if (x_step == 1) return row_dot(dy, x, count);
  real sum = 0;
  for (size_t i = 0; i < count; i++) sum += dy[i] * x[i * x_step];
  return sum;
}

/* One tap of one plane, line by line: y takes from x, or dx takes from dy, or the weight's gradient is returned. */
typedef enum tap_work { TAP_VALUE, TAP_INPUT, TAP_WEIGHT } tap_work;

static inline real tap_run(const conv_pass *p, tap_work work, size_t tap, real factor, real *in, real *out) {
  size_t kx = tap % p->wide.kernel, ky = tap / p->wide.kernel, left, right, top, bottom;
  real sum = 0;
  window_span(&p->wide, kx, &left, &right);
  window_span(&p->high, ky, &top, &bottom);
  for (size_t oy = top; left < right && oy < bottom; oy++) {
    real *x = in + window_at(&p->high, oy, ky) * p->wide.in + window_at(&p->wide, left, kx);
    real *y = out + oy * p->wide.out + left;
    if (work == TAP_VALUE)
      tap_add(y, 1, factor, x, p->wide.stride, right - left);
    else if (work == TAP_INPUT)
      tap_add(x, p->wide.stride, factor, y, 1, right - left);
    else
      sum += tap_dot(y, x, p->wide.stride, right - left);
  }
  return sum;
}

/* Planes of the output. */
static void depthwise_range(void *context, size_t from, size_t to) {
  const conv_pass *p = context;
  size_t channels = p->groups * p->outs;
  for (size_t plane = from; plane < to; plane++) {
    size_t o = plane % channels;
    real *y = p->y + plane * p->out_plane, bias = p->bias != NULL ? p->bias[o] : 0;
    for (size_t i = 0; i < p->out_plane; i++) y[i] = bias;
    for (size_t tap = 0; tap < p->patch; tap++)
      tap_run(p, TAP_VALUE, tap, p->weight[o * p->patch + tap], (real *)(uintptr_t)p->x + plane / p->outs * p->in_plane,
              y);
  }
}

/* Planes of the input. */
static void depthwise_back_range(void *context, size_t from, size_t to) {
  const conv_pass *p = context;
  for (size_t plane = from; plane < to; plane++) {
    real *dx = p->dx + plane * p->in_plane;
    if (!p->add) memset(dx, 0, p->in_plane * sizeof(real));
    for (size_t k = 0; k < p->outs; k++) {
      size_t o = plane % p->groups * p->outs + k;
      real *dy = (real *)(uintptr_t)p->dy + (plane * p->outs + k) * p->out_plane;
      for (size_t tap = 0; tap < p->patch; tap++) tap_run(p, TAP_INPUT, tap, p->weight[o * p->patch + tap], dx, dy);
    }
  }
}

/* Channels of the output. */
static void depthwise_weight_range(void *context, size_t from, size_t to) {
  const conv_pass *p = context;
  size_t channels = p->groups * p->outs;
  for (size_t o = from; o < to; o++)
    for (size_t tap = 0; tap < p->patch; tap++) {
      real sum = p->add ? p->dweight[o * p->patch + tap] : 0;
      for (size_t n = 0; n < p->samples; n++) {
        size_t plane = n * channels + o;
        sum += tap_run(p, TAP_WEIGHT, tap, 0, (real *)(uintptr_t)p->x + plane / p->outs * p->in_plane,
                       (real *)(uintptr_t)p->dy + plane * p->out_plane);
      }
      p->dweight[o * p->patch + tap] = sum;
    }
}

/* ---- the op ---- */

static size_t plane_grain(const conv_pass *p) { return 1 + OP_GRAIN / (p->out_plane * p->patch + 1); }

static void conv_value(tape *t, conv_pass *p) {
  if (conv_is_depthwise(p)) {
    op_parallel(p->samples * p->groups * p->outs, plane_grain(p), depthwise_range, p);
  } else if (slots_take(t, p, slots_wanted(p))) {
    op_parallel(p->slots, 1, slots_range, p);
    slots_give(t, p);
  }
}

static void conv_forward(tape *t, op_node *n) {
  conv_pass p = conv_of(n);
  real *weight = op_weight_take(t, n->input[1]);
  p.weight = weight;
  if (weight != NULL) conv_value(t, &p);
  op_weight_give(t, n->input[1], weight);
}

static void conv_input_back(tape *t, conv_pass *p) {
  if (conv_is_depthwise(p)) {
    op_parallel(p->samples * p->groups, plane_grain(p), depthwise_back_range, p);
  } else if (slots_take(t, p, slots_wanted(p))) {
    op_parallel(p->slots, 1, slots_range, p);
    slots_give(t, p);
  }
}

static void conv_backward(tape *t, op_node *n) {
  conv_pass p = conv_of(n);
  size_t channels = p.groups * p.outs;
  p.dy = n->output->gradient;
  p.dx = tape_gradient(t, n->input[0], &p.add);
  real *weight = p.dx != NULL ? op_weight_take(t, n->input[1]) : NULL;
  p.weight = weight;
  if (weight != NULL) conv_input_back(t, &p);
  op_weight_give(t, n->input[1], weight);
  p.dx = NULL, p.columns = NULL;
  p.dweight = tape_gradient(t, n->input[1], &p.add);
  if (p.dweight != NULL && conv_is_depthwise(&p)) {
    op_parallel(channels, plane_grain(&p), depthwise_weight_range, &p);
  } else if (p.dweight != NULL && slots_take(t, &p, 1)) {
    conv_weight_back(&p);
    slots_give(t, &p);
  }
  p.dbias = n->input[2] != NULL ? tape_gradient(t, n->input[2], &p.add) : NULL;
  if (p.dbias != NULL) op_parallel(channels, plane_grain(&p), bias_range, &p);
}

const op_kind op_kind_conv = {"conv", conv_forward, conv_backward, NULL};

/* ---- shapes ---- */

/* Channels and groups fit, or a sentence. */
static bool conv_channels_fit(tape *t, const char *name, const tensor *x, const tensor *weight, const tensor *bias,
                              size_t groups) {
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  tensor_text(x, left), tensor_text(weight, right);
  if (x->shape[1] != weight->shape[1] * groups)
    op_fail(t, "%s: input is %s, weight is %s: %zu channels in %zu groups are %zu each, not %zu", name, left, right,
            x->shape[1], groups, x->shape[1] / groups, weight->shape[1]);
  else if (weight->shape[0] % groups != 0)
    op_fail(t, "%s: weight is %s: its %zu outputs are not divided by %zu groups", name, right, weight->shape[0],
            groups);
  else if (bias != NULL && (bias->rank != 1 || bias->shape[0] != weight->shape[0]))
    op_fail(t, "%s: weight is %s, bias is %s, which must be [%zu]", name, right, tensor_text(bias, left),
            weight->shape[0]);
  else if (x->count == 0 || weight->count == 0)
    op_fail(t, "%s: input is %s, weight is %s: nothing to do", name, left, right);
  else
    return true;
  return false;
}

/* Operands of `rank` dimensions that fit and have no gaps, or a sentence. */
static bool conv_ready(tape *t, const char *name, int rank, tensor **x, tensor **weight, tensor **bias, size_t groups) {
  static const char *const layout[] = {"[n, channels, length]", "[n, channels, height, width]"};
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  tensor *operands[] = {*x, *bias};
  if (!op_ready(t, name, operands, *bias != NULL ? 2 : 1) || !op_present(t, name, weight, 1) ||
      !op_weight_ready(t, name, *weight))
    return false;
  if ((*x)->rank != rank || (*weight)->rank != rank) {
    op_fail(t, "%s: input is %s, weight is %s: both have %d dimensions, %s", name, tensor_text(*x, left),
            tensor_text(*weight, right), rank, layout[rank - 3]);
    return false;
  }
  if (!conv_channels_fit(t, name, *x, *weight, *bias, groups)) return false;
  *x = op_contiguous(t, *x);
  if ((*weight)->dtype == DTYPE_REAL) *weight = op_contiguous(t, *weight);
  if (*bias != NULL && (*bias = op_contiguous(t, *bias)) == NULL) return false;
  return *x != NULL && *weight != NULL;
}

/* x [n, channels, high, wide], weight [outs, channels / groups, high, wide]. */
static tensor *conv_run(tape *t, tensor *x, tensor *weight, tensor *bias, const conv_args *args) {
  size_t shape[] = {x->shape[0], weight->shape[0], args->high.out, args->wide.out};
  tensor *inputs[] = {x, weight, bias};
  return op_run(t, &op_kind_conv, 4, shape, inputs, 3, args, sizeof *args);
}

tensor *op_conv2d(tape *t, tensor *x, tensor *weight, tensor *bias, const conv_options *options) {
  conv_options o = options != NULL ? *options : (conv_options){.groups = 1};
  conv_args args = {.groups = o.groups ? o.groups : 1};
  if (!conv_ready(t, "conv2d", 4, &x, &weight, &bias, args.groups)) return NULL;
  window_request high = {weight->shape[2], o.stride[0], o.dilation[0], o.pad[0], o.padding};
  window_request wide = {weight->shape[3], o.stride[1], o.dilation[1], o.pad[1], o.padding};
  if (!window_fit(t, "conv2d", "height", x->shape[2], &high, &args.high) ||
      !window_fit(t, "conv2d", "width", x->shape[3], &wide, &args.wide))
    return NULL;
  return conv_run(t, x, weight, bias, &args);
}

/* As a picture of height 1. */
static tensor *with_height(tape *t, tensor *x) {
  return op_reshape(t, x, 4, (const size_t[]){x->shape[0], x->shape[1], 1, x->shape[2]});
}

tensor *op_conv1d(tape *t, tensor *x, tensor *weight, tensor *bias, const conv_options *options) {
  conv_options o = options != NULL ? *options : (conv_options){.groups = 1};
  conv_args args = {.high = {1, 1, 1, 1, 1, 0}, .groups = o.groups ? o.groups : 1};
  if (!conv_ready(t, "conv1d", 3, &x, &weight, &bias, args.groups)) return NULL;
  window_request wide = {weight->shape[2], o.stride[0], o.dilation[0], o.pad[0], o.padding};
  if (!window_fit(t, "conv1d", "length", x->shape[2], &wide, &args.wide)) return NULL;
  const float *scale = weight->scale;
  x = with_height(t, x), weight = with_height(t, weight);
  if (weight != NULL) weight->scale = scale;
  tensor *y = x != NULL && weight != NULL ? conv_run(t, x, weight, bias, &args) : NULL;
  return y == NULL ? NULL : op_reshape(t, y, 3, (const size_t[]){y->shape[0], y->shape[1], y->shape[3]});
}
