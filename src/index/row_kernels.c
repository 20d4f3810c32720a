/* index/row_kernels.c: see index/row_kernels.h. */
#include "index/row_kernels.h"

#include <math.h>
#include <string.h>

#include "math/clones.h"

size_t row_bytes(row_storage storage, size_t dim) {
  switch (storage) {
    case ROW_F16: return dim * sizeof(uint16_t);
    case ROW_INT8: return (dim + 3) / 4 * 4 + sizeof(row_int8_tail);
    default: return dim * sizeof(float);
  }
}

static row_int8_tail int8_tail(const void *row, size_t dim) {
  row_int8_tail tail;
  memcpy(&tail, (const unsigned char *)row + (dim + 3) / 4 * 4, sizeof tail);
  return tail;
}

static row_int8_tail int8_encode(const float *vector, size_t dim, float factor, bool unit, int8_t *codes) {
  float greatest = 0;
  int64_t square = 0;
  row_int8_tail tail = {0};
  for (size_t d = 0; d < dim; d++) greatest = fmaxf(greatest, fabsf(vector[d] * factor));
  float inverse = greatest > 0 ? 127 / greatest : 0;
  for (size_t d = 0; d < dim; d++) {
    codes[d] = (int8_t)lrintf(vector[d] * factor * inverse);
    tail.sum += codes[d];
    square += codes[d] * codes[d];
  }
  tail.scale = greatest / 127;
  if (unit && square > 0) tail.scale = 1 / sqrtf((float)square);
  tail.square = tail.scale * tail.scale * (float)square;
  return tail;
}

void row_encode(row_storage storage, const float *vector, size_t dim, bool unit, void *row) {
  float norm = unit ? vector_norm(vector, dim) : 1;
  float factor = norm > 0 ? 1 / norm : 0;
  if (storage == ROW_F32) {
    memcpy(row, vector, dim * sizeof *vector);
    if (unit) vector_normalise(row, dim);
  } else if (storage == ROW_F16) {
    for (size_t d = 0; d < dim; d++) half_from_float((uint16_t *)row + d, &(float){vector[d] * factor}, 1);
  } else {
    row_int8_tail tail = int8_encode(vector, dim, factor, unit, row);
    memcpy((unsigned char *)row + (dim + 3) / 4 * 4, &tail, sizeof tail);
  }
}

void row_decode(row_storage storage, const void *row, size_t dim, float *out) {
  if (storage == ROW_F32) {
    memcpy(out, row, dim * sizeof *out);
  } else if (storage == ROW_F16) {
    float_from_half(out, row, dim);
  } else {
    float scale = int8_tail(row, dim).scale;
    for (size_t d = 0; d < dim; d++) out[d] = scale * ((const int8_t *)row)[d];
  }
}

void row_query_encode(row_query *q, row_storage storage, size_t dim, void *code_space) {
  q->code = q->vector;
  q->square = vector_dot(q->vector, q->vector, dim);
  if (storage != ROW_INT8) return;
  row_int8_tail tail = int8_encode(q->vector, dim, 1, false, code_space);
  q->code = code_space;
  q->scale = tail.scale;
  q->square = tail.square;
}

/* ---- scores ---- */

static float f32_dot(const row_query *q, const void *row, size_t dim) { return vector_dot(q->code, row, dim); }
static float f32_l2(const row_query *q, const void *row, size_t dim) {
  return -vector_squared_distance(q->code, row, dim);
}

/* Halves are widened a few at a time. */
#define WIDENED 64
static float f16_dot(const row_query *q, const void *row, size_t dim) {
  float wide[WIDENED], sum = 0;
  for (size_t d = 0; d < dim; d += WIDENED) {
    size_t count = dim - d < WIDENED ? dim - d : WIDENED;
    float_from_half(wide, (const uint16_t *)row + d, count);
    sum += vector_dot((const float *)q->code + d, wide, count);
  }
  return sum;
}
static float f16_l2(const row_query *q, const void *row, size_t dim) {
  float wide[WIDENED], sum = 0;
  for (size_t d = 0; d < dim; d += WIDENED) {
    size_t count = dim - d < WIDENED ? dim - d : WIDENED;
    float_from_half(wide, (const uint16_t *)row + d, count);
    sum += vector_squared_distance((const float *)q->code + d, wide, count);
  }
  return -sum;
}

static inline VECTOR_INLINE int32_t int8_product_body(const int8_t *a, const int8_t *b, size_t dim) {
  int32_t sum = 0;
  _Pragma("omp simd reduction(+ : sum)") for (size_t d = 0; d < dim; d++) sum += (int16_t)(a[d] * b[d]);
  return sum;
}
VECTOR_CLONES(static, int32_t, int8_product, (const int8_t *a, const int8_t *b, size_t dim), (a, b, dim))

static float int8_dot(const row_query *q, const void *row, size_t dim) {
  return q->scale * int8_tail(row, dim).scale * (float)int8_product(q->code, row, dim);
}
static float int8_l2(const row_query *q, const void *row, size_t dim) {
  row_int8_tail tail = int8_tail(row, dim);
  float gap = q->square + tail.square - 2 * q->scale * tail.scale * (float)int8_product(q->code, row, dim);
  return -fmaxf(gap, 0);
}

#define FOUR(name)                                                                              \
  static void name##4(const row_query *q, const void *const row[4], size_t dim, float out[4]) { \
    for (int i = 0; i < 4; i++) out[i] = name(q, row[i], dim);                                  \
  }
FOUR(f32_dot)
FOUR(f32_l2)
FOUR(f16_dot)
FOUR(f16_l2)
FOUR(int8_dot)
FOUR(int8_l2)

void row_kernels_choose(row_storage storage, index_distance distance, row_score *one, row_score4 *four) {
  static const struct {
    row_score one;
    row_score4 four;
  } table[ROW_STORAGE_COUNT][2] = {{{f32_dot, f32_dot4}, {f32_l2, f32_l24}},
                                   {{f16_dot, f16_dot4}, {f16_l2, f16_l24}},
                                   {{int8_dot, int8_dot4}, {int8_l2, int8_l24}}};
  *one = table[storage][distance == INDEX_L2].one;
  *four = table[storage][distance == INDEX_L2].four;
}
