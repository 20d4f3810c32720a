/* nn/op_pool.c: pooling over one or two dimensions: the greatest or the mean of each window, or of all there is.
 *
 * Planes (a channel of a sample) go to threads whole, so windows that overlap never write the same gradient from two
 * threads. Backward of the greatest remembers where it stood.
 */
#include <string.h>

#include "nn/op.h"
#include "nn/op_kind.h"
#include "nn/window.h"

typedef struct pool_args {
  window high, wide;
  bool count_padding; /* mean: divide by the whole window */
} pool_args;

typedef struct pool_pass {
  pool_args args;
  size_t planes, in, out; /* numbers in a plane */
  const real *x, *dy;
  real *y, *dx;
  int32_t *at; /* [planes, out] place of the greatest in its plane */
  bool add;
} pool_pass;

static pool_pass pool_of(op_node *n) {
  pool_pass p = {.args = *(const pool_args *)n->args,
                 .planes = n->output->shape[0] * n->output->shape[1],
                 .x = real_data(n->input[0]),
                 .y = real_data(n->output),
                 .at = n->saved[0]};
  p.in = p.args.high.in * p.args.wide.in;
  p.out = p.args.high.out * p.args.wide.out;
  return p;
}

static size_t pool_grain(const pool_pass *p) {
  return 1 + OP_GRAIN / (p->out * p->args.high.kernel * p->args.wide.kernel + 1);
}

/* The inputs [from, to) of output o that exist. Windows are never dilated here. */
static void window_inputs(const window *w, size_t o, size_t *from, size_t *to) {
  size_t start = o * w->stride, end = start + w->kernel;
  *from = start > w->before ? start - w->before : 0;
  *to = end > w->before ? end - w->before : 0;
  if (*to > w->in) *to = w->in;
}

/* What an output sees: the plane that it is of, and the inputs of its window that exist. */
typedef struct pool_cell {
  size_t plane, top, bottom, left, right;
} pool_cell;

static pool_cell cell_of(const pool_pass *p, size_t output) {
  pool_cell c = {.plane = output / p->out * p->in};
  window_inputs(&p->args.high, output % p->out / p->args.wide.out, &c.top, &c.bottom);
  window_inputs(&p->args.wide, output % p->args.wide.out, &c.left, &c.right);
  return c;
}

/* ---- the greatest ---- */

static void max_range(void *context, size_t from, size_t to) {
  const pool_pass *p = context;
  size_t row = p->args.wide.in;
  for (size_t i = from * p->out; i < to * p->out; i++) {
    const pool_cell c = cell_of(p, i);
    const real *plane = p->x + c.plane;
    size_t best = c.top * row + c.left;
    for (size_t iy = c.top; iy < c.bottom; iy++)
      for (size_t at = iy * row + c.left; at < iy * row + c.right; at++)
        if (plane[at] > plane[best] || plane[at] != plane[at]) best = at; /* NaN wins, as in PyTorch */
    p->y[i] = plane[best];
    p->at[i] = (int32_t)best;
  }
}

static void max_back_range(void *context, size_t from, size_t to) {
  const pool_pass *p = context;
  if (!p->add) memset(p->dx + from * p->in, 0, (to - from) * p->in * sizeof(real));
  for (size_t i = from * p->out; i < to * p->out; i++) p->dx[i / p->out * p->in + (size_t)p->at[i]] += p->dy[i];
}

static void max_forward(tape *t, op_node *n) {
  pool_pass p = pool_of(n);
  p.at = tape_save(t, n, 0, n->output->count, sizeof *p.at);
  if (p.at != NULL) op_parallel(p.planes, pool_grain(&p), max_range, &p);
}

static void max_backward(tape *t, op_node *n) {
  pool_pass p = pool_of(n);
  p.dy = n->output->gradient;
  p.dx = tape_gradient(t, n->input[0], &p.add);
  if (p.dx != NULL) op_parallel(p.planes, pool_grain(&p), max_back_range, &p);
}

const op_kind op_kind_max_pool = {"max_pool", max_forward, max_backward, NULL};

/* ---- the mean ---- */

static real mean_share(const pool_pass *p, const pool_cell *c) {
  size_t seen = (c->bottom - c->top) * (c->right - c->left);
  return 1 / (real)(p->args.count_padding ? p->args.high.kernel * p->args.wide.kernel : seen);
}

static void average_range(void *context, size_t from, size_t to) {
  const pool_pass *p = context;
  size_t row = p->args.wide.in;
  for (size_t i = from * p->out; i < to * p->out; i++) {
    const pool_cell c = cell_of(p, i);
    const real *plane = p->x + c.plane;
    real sum = 0;
    for (size_t iy = c.top; iy < c.bottom; iy++)
      for (size_t ix = c.left; ix < c.right; ix++) sum += plane[iy * row + ix];
    p->y[i] = sum * mean_share(p, &c);
  }
}

static void average_back_range(void *context, size_t from, size_t to) {
  const pool_pass *p = context;
  size_t row = p->args.wide.in;
  if (!p->add) memset(p->dx + from * p->in, 0, (to - from) * p->in * sizeof(real));
  for (size_t i = from * p->out; i < to * p->out; i++) {
    const pool_cell c = cell_of(p, i);
    real *plane = p->dx + c.plane, share = p->dy[i] * mean_share(p, &c);
    for (size_t iy = c.top; iy < c.bottom; iy++)
      for (size_t ix = c.left; ix < c.right; ix++) plane[iy * row + ix] += share;
  }
}

static void average_forward(tape *t, op_node *n) {
  (void)t;
  pool_pass p = pool_of(n);
  op_parallel(p.planes, pool_grain(&p), average_range, &p);
}

static void average_backward(tape *t, op_node *n) {
  pool_pass p = pool_of(n);
  p.dy = n->output->gradient;
  p.dx = tape_gradient(t, n->input[0], &p.add);
  if (p.dx != NULL) op_parallel(p.planes, pool_grain(&p), average_back_range, &p);
}

const op_kind op_kind_average_pool = {"average_pool", average_forward, average_backward, NULL};

/* ---- shapes ---- */

/* A window that lies in the padding alone would have no greatest and no mean. */
static bool pool_window_fit(tape *t, const char *name, const char *which, size_t in, window_request request,
                            window *w) {
  if (request.stride == 0) request.stride = request.kernel;
  if (!window_fit(t, name, which, in, &request, w)) return false;
  if (2 * request.pad <= request.kernel) return true;
  op_fail(t, "%s: padding by %zu is more than half of the window's %s of %zu", name, request.pad, which,
          request.kernel);
  return false;
}

/* x without gaps and with `rank` dimensions, none of them 0; else a sentence and NULL. */
static tensor *pool_input(tape *t, const char *name, int rank, tensor *x) {
  char text[TENSOR_TEXT_MAX];
  if (!op_ready(t, name, &x, 1)) return NULL;
  if (x->rank != rank || x->count == 0)
    return op_fail(t, "%s: input is %s, which must be %s", name, tensor_text(x, text),
                   rank == 3 ? "[n, channels, length]" : "[n, channels, height, width]");
  if (x->count / (x->shape[0] * x->shape[1]) > INT32_MAX) /* places are remembered in 32 bits */
    return op_fail(t, "%s: the planes of %s have more than %d places", name, tensor_text(x, text), INT32_MAX);
  return op_contiguous(t, x);
}

static tensor *pool_1d(tape *t, const op_kind *kind, const char *name, tensor *x, const pool_options *o) {
  pool_args args = {.high = {1, 1, 1, 1, 1, 0}, .count_padding = o->count_padding};
  if ((x = pool_input(t, name, 3, x)) == NULL ||
      !pool_window_fit(t, name, "length", x->shape[2],
                       (window_request){o->kernel[0], o->stride[0], 1, o->pad[0], o->padding}, &args.wide))
    return NULL;
  size_t shape[] = {x->shape[0], x->shape[1], args.wide.out};
  return op_run(t, kind, 3, shape, &x, 1, &args, sizeof args);
}

static tensor *pool_2d(tape *t, const op_kind *kind, const char *name, tensor *x, const pool_options *o) {
  pool_args args = {.count_padding = o->count_padding};
  if ((x = pool_input(t, name, 4, x)) == NULL ||
      !pool_window_fit(t, name, "height", x->shape[2],
                       (window_request){o->kernel[0], o->stride[0], 1, o->pad[0], o->padding}, &args.high) ||
      !pool_window_fit(t, name, "width", x->shape[3],
                       (window_request){o->kernel[1], o->stride[1], 1, o->pad[1], o->padding}, &args.wide))
    return NULL;
  size_t shape[] = {x->shape[0], x->shape[1], args.high.out, args.wide.out};
  return op_run(t, kind, 4, shape, &x, 1, &args, sizeof args);
}

tensor *op_max_pool1d(tape *t, tensor *x, const pool_options *options) {
  return pool_1d(t, &op_kind_max_pool, "max_pool1d", x, options);
}

tensor *op_max_pool2d(tape *t, tensor *x, const pool_options *options) {
  return pool_2d(t, &op_kind_max_pool, "max_pool2d", x, options);
}

tensor *op_average_pool1d(tape *t, tensor *x, const pool_options *options) {
  return pool_1d(t, &op_kind_average_pool, "average_pool1d", x, options);
}

tensor *op_average_pool2d(tape *t, tensor *x, const pool_options *options) {
  return pool_2d(t, &op_kind_average_pool, "average_pool2d", x, options);
}

/* [n, channels, ...] → [n, channels, all places] */
static tensor *places(tape *t, const char *name, tensor *x) {
  char text[TENSOR_TEXT_MAX];
  if (!op_ready(t, name, &x, 1)) return NULL;
  if (x->rank < 3 || x->count == 0)
    return op_fail(t, "%s: input is %s, which must be [n, channels, ...]", name, tensor_text(x, text));
  return op_reshape(t, x, 3, (const size_t[]){x->shape[0], x->shape[1], 0});
}

tensor *op_global_max_pool(tape *t, tensor *x) {
  x = places(t, "global_max_pool", x);
  return x == NULL ? NULL : op_max(t, x, 2);
}

tensor *op_global_average_pool(tape *t, tensor *x) {
  x = places(t, "global_average_pool", x);
  return x == NULL ? NULL : op_mean(t, x, 2);
}
