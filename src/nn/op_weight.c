/* nn/op_weight.c: weights that are kept in fewer bits than a real: ops widen what they cannot multiply as it lies. */
#include <string.h>

#include "math/vector.h"
#include "nn/op_kind.h"

bool op_weight_ready(tape *t, const char *name, const tensor *w) {
  char text[TENSOR_TEXT_MAX];
  bool stored = w->dtype == DTYPE_F16 || w->dtype == DTYPE_BF16 || w->dtype == DTYPE_I8;
  if (w->dtype != DTYPE_REAL && !stored)
    op_fail(t, "%s: the weight has elements of type %s", name, dtype_name(w->dtype));
  else if (w->dtype == DTYPE_I8 && w->scale == NULL)
    op_fail(t, "%s: the int8 weight %s has no scale", name, tensor_text(w, text));
  else if (stored && (w->needs_gradient || !tensor_is_contiguous(w)))
    op_fail(t, "%s: a weight of type %s is only read, and has no gaps", name, dtype_name(w->dtype));
  else
    return true;
  return false;
}

static void half_row(const uint16_t *half, size_t width, real *out) {
#ifdef NN_DOUBLE
  for (size_t i = 0; i < width; i++) {
    float value;
    float_from_half(&value, half + i, 1);
    out[i] = value;
  }
#else
  float_from_half(out, half, width);
#endif
}

void op_weight_rows(const tensor *w, size_t from, size_t count, real *out) {
  size_t width = w->count / w->shape[0];
  for (size_t r = 0; r < count; r++, out += width) {
    const uint16_t *half = (const uint16_t *)w->data + (from + r) * width;
    const int8_t *byte = (const int8_t *)w->data + (from + r) * width;
    for (size_t i = 0; w->dtype == DTYPE_BF16 && i < width; i++) {
      uint32_t bits = (uint32_t)half[i] << 16;
      float value;
      memcpy(&value, &bits, sizeof value);
      out[i] = value;
    }
    for (size_t i = 0; w->dtype == DTYPE_I8 && i < width; i++) out[i] = (real)byte[i] * w->scale[from + r];
    if (w->dtype == DTYPE_F16) half_row(half, width, out);
  }
}

real *op_weight_take(tape *t, const tensor *w) {
  if (w->dtype == DTYPE_REAL) return real_data(w);
  real *wide = tape_scratch(t, w->count, sizeof(real));
  if (wide != NULL) op_weight_rows(w, 0, w->shape[0], wide);
  return wide;
}

void op_weight_give(tape *t, const tensor *w, real *taken) {
  if (w->dtype != DTYPE_REAL) tape_scratch_give(t, taken, w->count, sizeof(real));
}
