/* index/row_kernels.c: see index/row_kernels.h. */
#include "index/row_kernels.h"

#include <math.h>
#include <string.h>

#include "math/clones.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

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

/* Adding this makes a small float round to an integer, halves to even, in the last bits of the sum. A vector
 * instruction everywhere, unlike lrintf. */
#define ROUNDING 12582912.0f /* 1.5 * 2^23 */

/* What brings a vector to length 1. The reciprocal of a very small norm is infinite: then it is divided by. */
typedef struct unit_scale {
  float factor, norm; /* factor 0: divide */
} unit_scale;

static unit_scale scale_of(const float *vector, size_t dim, bool unit) {
  float norm = unit ? vector_norm(vector, dim) : 1;
  if (norm == 0) norm = 1;
  return (unit_scale){norm > 1e-35f && norm < 1e35f ? 1 / norm : 0, norm};
}

static inline float scaled(float value, unit_scale s) { return s.factor != 0 ? value * s.factor : value / s.norm; }

static row_int8_tail int8_encode(const float *vector, size_t dim, unit_scale unit_length, bool unit, int8_t *codes) {
  float greatest = 0;
  int64_t square = 0;
  row_int8_tail tail = {0};
  for (size_t d = 0; d < dim; d++) {
    float size = fabsf(scaled(vector[d], unit_length));
    greatest = size > greatest ? size : greatest;
  }
  float inverse = greatest > 1e-30f ? 127 / greatest : 0; /* below it is as good as zero, and 127 / it is not finite */
  for (size_t d = 0; d < dim; d++) {
    int32_t code = (int32_t)(scaled(vector[d], unit_length) * inverse + ROUNDING - ROUNDING);
    codes[d] = (int8_t)code;
    tail.sum += code;
    square += code * code;
  }
  tail.scale = greatest / 127;
  if (unit && square > 0) tail.scale = 1 / sqrtf((float)square);
  tail.square = tail.scale * tail.scale * (float)square;
  return tail;
}

static void half_encode(const float *vector, size_t dim, unit_scale unit_length, uint16_t *row) {
  float values[64];
  for (size_t d = 0; d < dim; d += 64) {
    size_t count = dim - d < 64 ? dim - d : 64;
    for (size_t i = 0; i < count; i++) values[i] = scaled(vector[d + i], unit_length);
    half_from_float(row + d, values, count);
  }
}

void row_encode(row_storage storage, const float *vector, size_t dim, bool unit, void *row) {
  unit_scale unit_length = scale_of(vector, dim, unit);
  if (storage == ROW_F32) {
    memcpy(row, vector, dim * sizeof *vector);
    if (unit) vector_normalise(row, dim);
  } else if (storage == ROW_F16) {
    half_encode(vector, dim, unit_length, row);
  } else {
    row_int8_tail tail = int8_encode(vector, dim, unit_length, unit, row);
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

/* The products want codes of queries unsigned (math/int8_products.h). */
static void int8_shift(const int8_t *codes, size_t dim, uint8_t *out) {
  for (size_t d = 0; d < dim; d++) out[d] = (uint8_t)codes[d] ^ 0x80;
}

void row_query_encode(row_query *q, row_storage storage, size_t dim, bool unit, void *code_space) {
  q->code = q->vector;
  if (storage != ROW_INT8) return;
  row_int8_tail tail = int8_encode(q->vector, dim, (unit_scale){1, 1}, unit, code_space);
  int8_shift(code_space, dim, code_space);
  q->code = code_space;
  q->scale = tail.scale;
  q->square = tail.square;
}

void row_query_encode_row(row_query *q, row_storage storage, const void *row, size_t dim, void *code_space) {
  q->code = row;
  if (storage == ROW_F16) {
    float_from_half(q->vector, row, dim);
    q->code = q->vector;
  } else if (storage == ROW_INT8) {
    row_int8_tail tail = int8_tail(row, dim);
    int8_shift(row, dim, code_space);
    q->code = code_space;
    q->scale = tail.scale;
    q->square = tail.square;
  }
}

/* ---- scores ---- */

/* The scores of one storage over its products. */
#define FLOAT_SCORES(storage, half)       \
  FLOAT_SCORE(storage##_dot, half, false) \
  FLOAT_SCORE(storage##_l2, half, true)
#define FLOAT_SCORE(name, half, l2)                                                                       \
  KERNEL_TARGET static float KERNEL(name)(const row_query *q, const void *row, size_t dim) {              \
    float product = KERNEL(row_product)(q->code, row, dim, half, l2, false);                              \
    return (l2) ? -product : product;                                                                     \
  }                                                                                                       \
  KERNEL_TARGET static void KERNEL(name##_four)(const row_query *q, const void *const row[4], size_t dim, \
                                                float out[4]) {                                           \
    KERNEL(row_products)(q->code, row, dim, half, l2, out);                                               \
    for (int r = 0; (l2) && r < 4; r++) out[r] = -out[r];                                                 \
  }
#define STREAM_SCORE(name, l2)                                                                        \
  KERNEL_TARGET static float KERNEL(name##_stream)(const row_query *q, const void *row, size_t dim) { \
    float product = KERNEL(row_product)(q->code, row, dim, false, l2, true);                          \
    return (l2) ? -product : product;                                                                 \
  }
#define INT8_SCORES           \
  INT8_SCORE(int8_dot, false) \
  INT8_SCORE(int8_l2, true)
#define INT8_SCORE(name, l2)                                                                              \
  KERNEL_TARGET static float KERNEL(name)(const row_query *q, const void *row, size_t dim) {              \
    return int8_score(q, row, dim, KERNEL(int8_product)(q->code, row, dim), KERNEL(int8_excess), l2);     \
  }                                                                                                       \
  KERNEL_TARGET static void KERNEL(name##_four)(const row_query *q, const void *const row[4], size_t dim, \
                                                float out[4]) {                                           \
    int32_t product[4];                                                                                   \
    KERNEL(int8_products)(q->code, row, dim, product);                                                    \
    KERNEL_UNROLL for (int r = 0; r < 4; r++) out[r] =                                                    \
        int8_score(q, row[r], dim, product[r], KERNEL(int8_excess), l2);                                  \
  }
#define SCORES(name, level)                                              \
  {                                                                      \
    {name##_dot_##level, name##_dot_four_##level, name##_dot_##level}, { \
      name##_l2_##level, name##_l2_four_##level, name##_l2_##level       \
    }                                                                    \
  }
#define SCORES_STREAMED(name, level)                                            \
  {                                                                             \
    {name##_dot_##level, name##_dot_four_##level, name##_dot_stream_##level}, { \
      name##_l2_##level, name##_l2_four_##level, name##_l2_stream_##level       \
    }                                                                           \
  }

/* excess: by how often the row's sum the product is too great. Of a damaged row the sum may be any number: wrapped
 * round, not overflowed. */
static inline VECTOR_INLINE float int8_score(const row_query *q, const void *row, size_t dim, int32_t product,
                                             int32_t excess, bool l2) {
  row_int8_tail tail = int8_tail(row, dim);
  float dot = q->scale * tail.scale * (float)(int32_t)((uint32_t)product - (uint32_t)excess * (uint32_t)tail.sum);
  float gap = 2 * dot - q->square - tail.square;
  return !l2 ? dot : gap < 0 ? gap : 0;
}

/* What KERNEL_INT8 may be (math/int8_products.h). */
#define INT8_PLAIN 0
#define INT8_NEON 1
#define INT8_AVX2 2
#define INT8_VNNI 3

#define KERNEL(name) name##_baseline
#define KERNEL_TARGET
#define KERNEL_LANES 4
#if defined(__aarch64__)
#define KERNEL_INT8 INT8_NEON
#else
#define KERNEL_INT8 INT8_PLAIN
#endif
#include "math/int8_products.h"
#include "math/lanes.h"
#include "math/row_products.h"
FLOAT_SCORES(f32, false)
FLOAT_SCORES(f16, true)
INT8_SCORES
#undef KERNEL
#undef KERNEL_TARGET
#undef KERNEL_LANES
#undef KERNEL_INT8

#if defined(__x86_64__)

#define KERNEL(name) name##_avx2
#define KERNEL_TARGET VECTOR_TARGET_AVX2
#define KERNEL_LANES 8
#define KERNEL_INT8 INT8_AVX2
#include "math/int8_products.h"
#include "math/lanes.h"
#include "math/row_products.h"
FLOAT_SCORES(f32, false)
FLOAT_SCORES(f16, true)
INT8_SCORES
#undef KERNEL
#undef KERNEL_TARGET
#undef KERNEL_LANES
#undef KERNEL_INT8

/* Halves stay with AVX2: a Zen 4 takes 2 cycles to widen 16 of them at once, 0.7 for 8. */
#define KERNEL(name) name##_avx512
#define KERNEL_TARGET VECTOR_TARGET_AVX512
#define KERNEL_LANES 16
#include "math/lanes.h"
#include "math/row_products.h"
FLOAT_SCORES(f32, false)
STREAM_SCORE(f32_dot, false)
STREAM_SCORE(f32_l2, true)
#undef KERNEL
#undef KERNEL_TARGET
#undef KERNEL_LANES

#define KERNEL(name) name##_vnni
#define KERNEL_TARGET VECTOR_TARGET_VNNI
#define KERNEL_INT8 INT8_VNNI
#include "math/int8_products.h"
INT8_SCORES
#undef KERNEL
#undef KERNEL_TARGET
#undef KERNEL_INT8

#endif

/* ---- the choice ---- */

/* [level][storage][L2 or not]; NULL where the level below is used. */
static const row_kernels table[ROW_LEVEL_COUNT][ROW_STORAGE_COUNT][2] = {
    [ROW_BASELINE] =
        {[ROW_F32] = SCORES(f32, baseline), [ROW_F16] = SCORES(f16, baseline), [ROW_INT8] = SCORES(int8, baseline)},
#if defined(__x86_64__)
    [ROW_AVX2] = {[ROW_F32] = SCORES(f32, avx2), [ROW_F16] = SCORES(f16, avx2), [ROW_INT8] = SCORES(int8, avx2)},
    [ROW_AVX512] = {[ROW_F32] = SCORES_STREAMED(f32, avx512)},
    [ROW_VNNI] = {[ROW_INT8] = SCORES(int8, vnni)},
#endif
};

static bool level_there(row_level level) {
  return level == ROW_VNNI ? vector_has_vnni() : (int)level <= (int)vector_level_get();
}

const row_kernels *row_kernels_at(row_level level, row_storage storage, bool l2) {
  const row_kernels *k = &table[level][storage][l2];
  return k->one != NULL && level_there(level) ? k : NULL;
}

const row_kernels *row_kernels_choose(row_storage storage, bool l2) {
  const row_kernels *best = NULL;
  for (int level = ROW_LEVEL_COUNT - 1; best == NULL; level--) best = row_kernels_at((row_level)level, storage, l2);
  return best;
}
