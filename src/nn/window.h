/* nn/window.h: how the window of a convolution or a pooling moves along one dimension; private to the ops.
 *
 * Output o looks at the inputs o * stride + tap * dilation - before, tap = 0 … kernel - 1; those outside are padding.
 */
#ifndef NN_WINDOW_H
#define NN_WINDOW_H

#include "nn/op.h"

typedef struct window {
  size_t in, out, kernel, stride, dilation, before;
} window;

/* What a caller asked for along one dimension, zeros meaning the default. */
typedef struct window_request {
  size_t kernel, stride, dilation, pad;
  window_padding padding;
} window_request;

/* Fills w, or leaves a sentence on the tape that begins with the op's name. which: "height", "width" or "length". */
bool window_fit(tape *t, const char *name, const char *which, size_t in, const window_request *request, window *w);

/* The outputs [*from, *to) whose tap lies inside the input. */
static inline void window_span(const window *w, size_t tap, size_t *from, size_t *to) {
  size_t reach = tap * w->dilation;
  *from = reach >= w->before ? 0 : (w->before - reach + w->stride - 1) / w->stride;
  *to = w->in + w->before <= reach ? 0 : (w->in + w->before - reach - 1) / w->stride + 1;
  if (*to > w->out) *to = w->out;
  if (*from > *to) *from = *to;
}

/* Where the tap of an output of that span lies. */
static inline size_t window_at(const window *w, size_t output, size_t tap) {
  return output * w->stride + tap * w->dilation - w->before;
}

/* Every output sees one input and the other way round: a kernel of one that moves by one. */
static inline bool window_is_identity(const window *w) { return w->kernel == 1 && w->stride == 1 && w->before == 0; }

#endif
