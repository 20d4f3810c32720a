/* nn/window.c: see nn/window.h. */
#include "nn/window.h"

#include "nn/op_kind.h"

#define WINDOW_MAX ((size_t)1 << 32) /* so that no product below overflows */

/* Zeros in front; *sum: in front and behind. */
static bool padding_find(tape *t, const char *name, const window_request *r, window *w, size_t *sum) {
  size_t reach = (w->kernel - 1) * w->dilation;
  w->before = r->pad;
  *sum = 2 * r->pad;
  if (r->padding == PADDING_EXPLICIT) return true;
  if (r->pad != 0) {
    op_fail(t, "%s: padding by %zu and \"same\" padding exclude each other", name, r->pad);
    return false;
  }
  if (r->padding == PADDING_SAME && w->stride != 1) {
    op_fail(t, "%s: \"same\" padding goes with a stride of 1, not %zu; TensorFlow's takes any", name, w->stride);
    return false;
  }
  size_t span = (w->in ? (w->in - 1) / w->stride * w->stride : 0) + reach + 1;
  *sum = span > w->in ? span - w->in : 0;
  w->before = *sum / 2;
  return true;
}

bool window_fit(tape *t, const char *name, const char *which, size_t in, const window_request *r, window *w) {
  *w = (window){
      .in = in, .kernel = r->kernel, .stride = r->stride ? r->stride : 1, .dilation = r->dilation ? r->dilation : 1};
  size_t sum;
  if (r->kernel == 0 || r->kernel > WINDOW_MAX || w->stride > WINDOW_MAX || r->pad > WINDOW_MAX ||
      w->dilation > WINDOW_MAX / r->kernel || in > WINDOW_MAX) {
    op_fail(t, "%s: a window of %zu, stride %zu, dilation %zu, padding %zu cannot move along a %s of %zu", name,
            r->kernel, w->stride, w->dilation, r->pad, which, in);
    return false;
  }
  if (!padding_find(t, name, r, w, &sum)) return false;
  size_t span = (w->kernel - 1) * w->dilation + 1;
  if (span > in + sum) {
    op_fail(t, "%s: the window spans %zu, the %s of the input is %zu with padding", name, span, which, in + sum);
    return false;
  }
  w->out = (in + sum - span) / w->stride + 1;
  return true;
}
