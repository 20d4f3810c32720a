/* nn/precision.c: see nn/precision.h. */
#include "nn/precision.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "math/vector.h"

/* By weight_precision. */
static const struct {
  const char *name;
  tensor_dtype dtype;
} precisions[] = {{"f32", DTYPE_F32}, {"bf16", DTYPE_BF16}, {"int8", DTYPE_I8}};
enum { COUNT = sizeof precisions / sizeof *precisions };

bool precision_find(const char *name, weight_precision *out) {
  for (int i = 0; i < COUNT; i++)
    if (strcmp(precisions[i].name, name) == 0) {
      *out = (weight_precision)i;
      return true;
    }
  return false;
}

const char *precision_name(weight_precision precision) { return precisions[precision].name; }

tensor_dtype precision_dtype(weight_precision precision) { return precisions[precision].dtype; }

weight_precision precision_of(tensor_dtype dtype) {
  for (int i = 0; i < COUNT; i++)
    if (precisions[i].dtype == dtype) return (weight_precision)i;
  return WEIGHT_F32;
}

static float row_narrow(const float *row, size_t count, int8_t *out) {
  float most = 0;
  for (size_t i = 0; i < count; i++) most = fabsf(row[i]) > most ? fabsf(row[i]) : most;
  float scale = most > 0 ? most / 127 : 1;
  for (size_t i = 0; i < count; i++) out[i] = (int8_t)lrintf(row[i] / scale);
  return scale;
}

void precision_narrow(weight_precision precision, const float *x, size_t rows, size_t columns, void *out,
                      float *scale) {
  assert(precision != WEIGHT_F32);
  if (precision == WEIGHT_BF16)
    for (size_t i = 0; i < rows * columns; i++) ((uint16_t *)out)[i] = bfloat_from_float(x[i]);
  else
    for (size_t r = 0; r < rows; r++) scale[r] = row_narrow(x + r * columns, columns, (int8_t *)out + r * columns);
}
