/* nn/tensor_view.c: see nn/tensor_view.h. A dtype is one row of the table; all else follows from it. */
#include "nn/tensor_view.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "math/vector.h"
#include "nn/dequantise.h"

/* Values of a C type at an address that need not be aligned. */
#define DEFINE_READ(name, type, convert)                                  \
  static void name(const unsigned char *data, size_t count, float *out) { \
    for (size_t i = 0; i < count; i++) {                                  \
      type value;                                                         \
      memcpy(&value, data + i * sizeof value, sizeof value);              \
      out[i] = convert(value);                                            \
    }                                                                     \
  }
#define AS_FLOAT(value) (float)(value)
#define AS_TRUTH(value) ((value) != 0 ? 1.0f : 0.0f)

/* bfloat16 is the upper half of a float32. */
static float float_of_bfloat(uint16_t value) {
  uint32_t bits = (uint32_t)value << 16;
  float out;
  memcpy(&out, &bits, sizeof out);
  return out;
}

DEFINE_READ(read_f64, double, AS_FLOAT)
DEFINE_READ(read_bf16, uint16_t, float_of_bfloat)
DEFINE_READ(read_i64, int64_t, AS_FLOAT)
DEFINE_READ(read_i32, int32_t, AS_FLOAT)
DEFINE_READ(read_i16, int16_t, AS_FLOAT)
DEFINE_READ(read_i8, int8_t, AS_FLOAT)
DEFINE_READ(read_u8, uint8_t, AS_FLOAT)
DEFINE_READ(read_bool, uint8_t, AS_TRUTH)

static void read_f32(const unsigned char *data, size_t count, float *out) {
  if (count > 0) memcpy(out, data, count * sizeof *out);
}

static void read_f16(const unsigned char *data, size_t count, float *out) {
  uint16_t block[256];
  if ((uintptr_t)data % sizeof *block == 0) {
    float_from_half(out, (const uint16_t *)(const void *)data, count);
    return;
  }
  for (size_t i = 0, now; i < count; i += now) {
    now = count - i < 256 ? count - i : 256;
    memcpy(block, data + i * sizeof *block, now * sizeof *block);
    float_from_half(out + i, block, now);
  }
}

static const struct dtype_row {
  const char *name;
  size_t block, size; /* values in a block, its bytes */
  size_t alignment;   /* of the C type; 1 for blocks, which are read byte by byte */
  bool is_float;
  dequantise_blocks *read;
} dtypes[DTYPE_COUNT] = {
    [DTYPE_F64] = {"F64", 1, 8, 8, true, read_f64},
    [DTYPE_F32] = {"F32", 1, 4, 4, true, read_f32},
    [DTYPE_F16] = {"F16", 1, 2, 2, true, read_f16},
    [DTYPE_BF16] = {"BF16", 1, 2, 2, true, read_bf16},
    [DTYPE_I64] = {"I64", 1, 8, 8, false, read_i64},
    [DTYPE_I32] = {"I32", 1, 4, 4, false, read_i32},
    [DTYPE_I16] = {"I16", 1, 2, 2, false, read_i16},
    [DTYPE_I8] = {"I8", 1, 1, 1, false, read_i8},
    [DTYPE_U8] = {"U8", 1, 1, 1, false, read_u8},
    [DTYPE_BOOL] = {"BOOL", 1, 1, 1, false, read_bool},
    [DTYPE_Q4_0] = {"Q4_0", 32, 18, 1, true, dequantise_q4_0},
    [DTYPE_Q4_1] = {"Q4_1", 32, 20, 1, true, dequantise_q4_1},
    [DTYPE_Q5_0] = {"Q5_0", 32, 22, 1, true, dequantise_q5_0},
    [DTYPE_Q5_1] = {"Q5_1", 32, 24, 1, true, dequantise_q5_1},
    [DTYPE_Q8_0] = {"Q8_0", 32, 34, 1, true, dequantise_q8_0},
    [DTYPE_Q4_K] = {"Q4_K", 256, 144, 1, true, dequantise_q4_k},
    [DTYPE_Q5_K] = {"Q5_K", 256, 176, 1, true, dequantise_q5_k},
    [DTYPE_Q6_K] = {"Q6_K", 256, 210, 1, true, dequantise_q6_k},
};

const char *dtype_name(tensor_dtype dtype) { return dtypes[dtype].name; }
size_t dtype_block(tensor_dtype dtype) { return dtypes[dtype].block; }
size_t dtype_size(tensor_dtype dtype) { return dtypes[dtype].size; }
bool dtype_is_float(tensor_dtype dtype) { return dtypes[dtype].is_float; }

bool dtype_bytes(tensor_dtype dtype, uint64_t count, uint64_t *bytes) {
  const struct dtype_row *row = &dtypes[dtype];
  return count % row->block == 0 && !__builtin_mul_overflow(count / row->block, (uint64_t)row->size, bytes);
}

void dtype_to_float(tensor_dtype dtype, const void *data, size_t count, float *out) {
  assert(count % dtypes[dtype].block == 0);
  dtypes[dtype].read(data, count / dtypes[dtype].block, out);
}

uint64_t tensor_view_columns(const tensor_view *view) { return view->rank > 0 ? view->shape[view->rank - 1] : 1; }

uint64_t tensor_view_rows(const tensor_view *view) {
  uint64_t columns = tensor_view_columns(view);
  return columns > 0 ? view->count / columns : 0;
}

void tensor_view_read_rows(const tensor_view *view, uint64_t first, uint64_t count, float *out) {
  uint64_t columns = tensor_view_columns(view), row_bytes = 0;
  assert(first <= tensor_view_rows(view) && count <= tensor_view_rows(view) - first);
  if (count == 0 || !dtype_bytes(view->dtype, columns, &row_bytes)) return; /* the readers have checked the latter */
  dtype_to_float(view->dtype, (const unsigned char *)view->data + first * row_bytes, (size_t)(count * columns), out);
}

bool tensor_view_is_aligned(const tensor_view *view) {
  return (uintptr_t)view->data % dtypes[view->dtype].alignment == 0;
}

void tensor_view_shape_text(const tensor_view *view, char text[TENSOR_VIEW_SHAPE_TEXT_MAX]) {
  size_t used = 0;
  text[used++] = '[';
  for (int i = 0; i < view->rank; i++)
    used += (size_t)snprintf(text + used, TENSOR_VIEW_SHAPE_TEXT_MAX - used, "%s%" PRIu64, i > 0 ? ", " : "",
                             view->shape[i]);
  snprintf(text + used, TENSOR_VIEW_SHAPE_TEXT_MAX - used, "]");
}
