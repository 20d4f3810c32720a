/* math/maps_int8.c: see math/maps_int8.h. */
#include "math/maps_int8.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "math/clones.h"

enum { CODE_MAX = 127, CODE_ZERO = 128 };

bool maps_int8_is_fast(void) { return vector_has_vnni(); }

/* ---- codes ---- */

void maps_int8_pack(const float *weight, size_t outs, size_t depth, int8_t *packed, float *scale, int32_t *sum) {
  assert(depth % MAPS_INT8_GROUP == 0 && depth <= MAPS_INT8_DEPTH_MAX);
  size_t all = maps_round(outs);
  memset(packed, 0, all * depth);
  for (size_t o = 0; o < all; o++) {
    float most = 0;
    for (size_t k = 0; o < outs && k < depth; k++) most = fmaxf(most, fabsf(weight[o * depth + k]));
    scale[o] = most / CODE_MAX;
    sum[o] = 0;
    for (size_t k = 0; most > 0 && k < depth; k++) {
      int8_t code = (int8_t)lrintf(weight[o * depth + k] / scale[o]);
      packed[((o / MAPS_LANES * depth / 4 + k / 4) * MAPS_LANES + o % MAPS_LANES) * 4 + k % 4] = code;
      sum[o] += code;
    }
  }
}

void maps_int8_pack_codes(const int8_t *codes, size_t outs, size_t depth, int8_t *packed, int32_t *sum) {
  assert(depth % MAPS_INT8_GROUP == 0 && depth <= MAPS_INT8_DEPTH_MAX);
  size_t all = maps_round(outs);
  if (outs < all) memset(packed + (outs / MAPS_LANES) * MAPS_LANES * depth, 0, MAPS_LANES * depth);
  for (size_t o = 0; o < all; o++) {
    int8_t *to = packed + o / MAPS_LANES * depth * MAPS_LANES + o % MAPS_LANES * MAPS_INT8_GROUP;
    int32_t total = 0;
    for (size_t k = 0; o < outs && k < depth; k += MAPS_INT8_GROUP)
      memcpy(to + k * MAPS_LANES, codes + o * depth + k, MAPS_INT8_GROUP);
    if (o < outs) {
      const int8_t *row = codes + o * depth;
      _Pragma("omp simd reduction(+ : total)") for (size_t k = 0; k < depth; k++) total += row[k];
    }
    sum[o] = total;
  }
}

static void quantise_plain(const float *x, size_t depth, uint8_t *codes, float *scale) {
  float most = 0;
  for (size_t k = 0; k < depth; k++) most = fmaxf(most, fabsf(x[k]));
  *scale = most / CODE_MAX;
  float rate = most > 0 ? CODE_MAX / most : 0;
  for (size_t k = 0; k < depth; k++) codes[k] = (uint8_t)(lrintf(x[k] * rate) + CODE_ZERO);
}

#if defined(__x86_64__)
#include "math/vnni.h"

VECTOR_TARGET_VNNI static void quantise_vnni(const float *x, size_t depth, uint8_t *codes, float *scale) {
  __m512 most = _mm512_setzero_ps();
  for (size_t k = 0; k < depth; k += MAPS_LANES) most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(x + k)));
  *scale = _mm512_reduce_max_ps(most) / CODE_MAX;
  __m512 rate = _mm512_set1_ps(*scale > 0 ? 1 / *scale : 0);
  __m512i zero = _mm512_set1_epi32(CODE_ZERO);
  for (size_t k = 0; k < depth; k += MAPS_LANES) {
    __m512i code = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + k), rate));
    _mm_storeu_si128((__m128i *)(codes + k), _mm512_cvtusepi32_epi8(_mm512_add_epi32(code, zero)));
  }
}
#else
#define quantise_vnni quantise_plain
#endif

void maps_int8_quantise(const float *x, size_t x_step, size_t count, size_t depth, uint8_t *codes, size_t code_step,
                        float *scale) {
  bool fast = maps_int8_is_fast();
  for (size_t i = 0; i < count; i++)
    (fast ? quantise_vnni : quantise_plain)(x + i * x_step, depth, codes + i * code_step, scale + i);
}

/* ---- products ---- */

static float scale_of(const maps_product_int8 *p, size_t pixel) {
  return p->x_scale != NULL ? p->x_scale[pixel] : p->x_scale_of_all;
}

void maps_int8_multiply_plain(const maps_product_int8 *p) {
  for (size_t i = 0; i < p->pixels; i++)
    for (size_t o = 0; o < p->panels * MAPS_LANES; o++) {
      const int8_t *w = p->weight + (o / MAPS_LANES * p->depth * MAPS_LANES) + o % MAPS_LANES * 4;
      int32_t sum = -p->zero * p->weight_sum[o];
      for (size_t k = 0; k < p->depth; k++) sum += p->x[i * p->x_step + k] * w[k / 4 * 4 * MAPS_LANES + k % 4];
      float y = (float)sum * (scale_of(p, i) * p->weight_scale[o]) + p->bias[o];
      if (p->add != NULL) y += p->add[i * p->add_step + o];
      p->y[i * p->y_step + o] = y < p->low ? p->low : y > p->high ? p->high : y;
    }
}

#if defined(__x86_64__)

/* As the tile of math/maps_kernels.h: 14 pixels by two panels of sums in registers. */
enum { ROWS = 14, PANELS = 2 };
#define TILE_UNROLL _Pragma("GCC unroll 32")

VECTOR_TARGET_VNNI static inline VECTOR_INLINE void tile(const maps_product_int8 *p, size_t pixel, size_t panel,
                                                         const int rows, const int panels) {
  __m512i sum[ROWS][PANELS];
  const int8_t *w = p->weight + panel * p->depth * MAPS_LANES;
  const uint8_t *x = p->x + pixel * p->x_step;
  TILE_UNROLL for (int r = 0; r < rows; r++) TILE_UNROLL for (int v = 0; v < panels; v++) sum[r][v] =
      _mm512_setzero_si512();
  for (size_t k = 0; k < p->depth; k += 4, x += 4, w += 4 * MAPS_LANES) {
    __m512i b[PANELS];
    TILE_UNROLL for (int v = 0; v < panels; v++) b[v] = _mm512_loadu_si512(w + (size_t)v * p->depth * MAPS_LANES);
    TILE_UNROLL for (int r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, x + (size_t)r * p->x_step, sizeof four);
      __m512i a = _mm512_set1_epi32(four);
      TILE_UNROLL for (int v = 0; v < panels; v++) sum[r][v] = vnni_dot(sum[r][v], a, b[v]);
    }
  }
  __m512 low = _mm512_set1_ps(p->low), high = _mm512_set1_ps(p->high);
  __m512i zero = _mm512_set1_epi32(p->zero);
  TILE_UNROLL for (int v = 0; v < panels; v++) {
    size_t at = (panel + (size_t)v) * MAPS_LANES;
    __m512 scale = _mm512_loadu_ps(p->weight_scale + at), bias = _mm512_loadu_ps(p->bias + at);
    __m512i excess = _mm512_mullo_epi32(zero, _mm512_loadu_si512(p->weight_sum + at));
    TILE_UNROLL for (int r = 0; r < rows; r++) {
      size_t i = pixel + (size_t)r;
      __m512 y = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum[r][v], excess));
      y = _mm512_fmadd_ps(y, _mm512_mul_ps(_mm512_set1_ps(scale_of(p, i)), scale), bias);
      if (p->add != NULL) y = _mm512_add_ps(y, _mm512_loadu_ps(p->add + i * p->add_step + at));
      _mm512_storeu_ps(p->y + i * p->y_step + at, _mm512_min_ps(high, _mm512_max_ps(low, y)));
    }
  }
}

#define TILE_OF(height)                                                                                            \
  VECTOR_TARGET_VNNI static __attribute__((noinline)) void tile_##height(const maps_product_int8 *p, size_t pixel, \
                                                                         size_t panel, bool pair) {                \
    if (pair)                                                                                                      \
      tile(p, pixel, panel, height, 2);                                                                            \
    else                                                                                                           \
      tile(p, pixel, panel, height, 1);                                                                            \
  }
TILE_OF(14)
TILE_OF(7)
TILE_OF(4)
TILE_OF(2)
TILE_OF(1)

static const struct {
  size_t rows;
  void (*run)(const maps_product_int8 *p, size_t pixel, size_t panel, bool pair);
} tiles[] = {{14, tile_14}, {7, tile_7}, {4, tile_4}, {2, tile_2}, {1, tile_1}};

void maps_int8_multiply(const maps_product_int8 *p) {
  if (!maps_int8_is_fast()) {
    maps_int8_multiply_plain(p);
    return;
  }
  for (size_t panel = 0; panel < p->panels; panel += PANELS) {
    size_t kind = 0;
    for (size_t pixel = 0; pixel < p->pixels; pixel += tiles[kind].rows) {
      while (tiles[kind].rows > p->pixels - pixel) kind++;
      tiles[kind].run(p, pixel, panel, p->panels - panel >= PANELS);
    }
  }
}

#else
void maps_int8_multiply(const maps_product_int8 *p) { maps_int8_multiply_plain(p); }
#endif
