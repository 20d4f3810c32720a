/* math/maps_kernels.h: the kernels of maps.c, one copy per instruction set; maps.c includes this file once a level,
 * with what lanes.h wants, and with KERNEL_ROWS    pixels of a full tile KERNEL_PANELS  panels that a tile takes at
 * once
 *
 * A tile of the product holds ROWS x PANELS x 16 sums in registers; each step of the depth loads the weights of its
 * panels once and one number of each pixel, which is spread over a register. With 14 x 2 of the 32 registers of AVX-512
 * (6 x 1 of 16 in AVX2) the multiply-adds outnumber the loads far enough that neither the first nor the second cache
 * matters: weights may stream from L2.
 *
 * The sums must live in registers, which compilers only see to when every loop over them is unrolled: hence tiles of
 * few fixed heights instead of one loop bound.
 */
#include "math/lanes.h"

enum { KERNEL(tile_vectors) = MAPS_LANES / KERNEL_LANES };

#define TILE_UNROLL _Pragma("GCC unroll 32")

/* rows pixels from `pixel` on, `panels` panels from `panel` on; small: weights in bf16. */
KERNEL_TARGET static inline VECTOR_INLINE void KERNEL(tile)(const maps_product *p, size_t pixel, size_t panel,
                                                            const int rows, const int panels, const bool small) {
  enum { VECTORS = KERNEL(tile_vectors) };
  KERNEL(lanes) sum[KERNEL_ROWS][KERNEL_PANELS * VECTORS];
  size_t patch = p->segments * p->depth, step = p->x_step;
  size_t at = panel * patch * MAPS_LANES; /* of the weights */
  const float *bias = p->bias + panel * MAPS_LANES;
  TILE_UNROLL for (int v = 0; v < panels * VECTORS; v++) TILE_UNROLL for (int r = 0; r < rows; r++) sum[r][v] =
      LANES(bias + v * KERNEL_LANES);
  for (size_t s = 0; s < p->segments; s++) {
    const float *x = p->x + pixel * step + s * p->segment_step;
    for (size_t k = 0; k < p->depth; k++, x++, at += MAPS_LANES) {
      KERNEL(lanes) b[KERNEL_PANELS * VECTORS];
      TILE_UNROLL for (int v = 0; v < panels * VECTORS; v++) {
        size_t from = at + (size_t)(v / VECTORS) * patch * MAPS_LANES + (size_t)(v % VECTORS) * KERNEL_LANES;
        b[v] = small ? KERNEL(lanes_bfloat)(p->weight_bf16 + from) : LANES(p->weight + from);
      }
      TILE_UNROLL for (int r = 0; r < rows; r++) {
        KERNEL(lanes) a = KERNEL(lanes_all)(x[(size_t)r * step]);
        TILE_UNROLL for (int v = 0; v < panels * VECTORS; v++) sum[r][v] =
            KERNEL(lanes_multiply_add)(sum[r][v], a, b[v]);
      }
    }
  }
  const KERNEL(lanes) low = KERNEL(lanes_all)(p->low), high = KERNEL(lanes_all)(p->high);
  TILE_UNROLL for (int r = 0; r < rows; r++) TILE_UNROLL for (int v = 0; v < panels * VECTORS; v++) {
    size_t out = panel * MAPS_LANES + (size_t)v * KERNEL_LANES;
    KERNEL(lanes) y = sum[r][v];
    if (p->add != NULL) y += LANES(p->add + (pixel + (size_t)r) * p->add_step + out);
    *(KERNEL(lanes) *)(p->y + (pixel + (size_t)r) * p->y_step + out) = KERNEL(lanes_clamp)(y, low, high);
  }
}

/* A tile of each height, smaller by half, so that remainders take few tiles; each with weights in float32 and in bf16.
 */
#define TILE_OF(name, height, panels, small)                                                     \
  KERNEL_TARGET static __attribute__((noinline)) void KERNEL(tile_##name##_##height##_##panels)( \
      const maps_product *p, size_t pixel, size_t panel) {                                       \
    KERNEL(tile)(p, pixel, panel, height, panels, small);                                        \
  }
#define TILES_OF(height, panels)        \
  TILE_OF(whole, height, panels, false) \
  TILE_OF(small, height, panels, true)
typedef void KERNEL(tile_function)(const maps_product *p, size_t pixel, size_t panel);
TILES_OF(1, 1)
TILES_OF(2, 1)
#if KERNEL_ROWS > 2
TILES_OF(4, 1)
#endif
#if KERNEL_ROWS == 6
TILES_OF(6, 1)
#endif
#if KERNEL_ROWS == 14
TILES_OF(7, 1)
TILES_OF(14, 1)
TILES_OF(1, 2)
TILES_OF(2, 2)
TILES_OF(4, 2)
TILES_OF(7, 2)
TILES_OF(14, 2)
#endif

/* By height, whether weights are small, and panels. */
static const struct {
  size_t rows;
  KERNEL(tile_function) * run[2][KERNEL_PANELS];
} KERNEL(tiles)[] = {
#if KERNEL_ROWS == 14
#define TILES_AT(height)                                                    \
  {                                                                         \
    height, {                                                               \
      {KERNEL(tile_whole_##height##_1), KERNEL(tile_whole_##height##_2)}, { \
        KERNEL(tile_small_##height##_1), KERNEL(tile_small_##height##_2)    \
      }                                                                     \
    }                                                                       \
  }
    TILES_AT(14), TILES_AT(7), TILES_AT(4), TILES_AT(2), TILES_AT(1),
#else
#define TILES_AT(height)                                                     \
  {                                                                          \
    height, {                                                                \
      {KERNEL(tile_whole_##height##_1)}, { KERNEL(tile_small_##height##_1) } \
    }                                                                        \
  }
#if KERNEL_ROWS == 6
    TILES_AT(6),
#endif
#if KERNEL_ROWS > 2
    TILES_AT(4),
#endif
    TILES_AT(2),
    TILES_AT(1),
#endif
};

KERNEL_TARGET static void KERNEL(multiply)(const maps_product *p) {
  for (size_t panel = 0; panel < p->panels;) {
    size_t panels = p->panels - panel < KERNEL_PANELS ? p->panels - panel : KERNEL_PANELS, kind = 0;
    for (size_t pixel = 0; pixel < p->pixels; pixel += KERNEL(tiles)[kind].rows) {
      while (KERNEL(tiles)[kind].rows > p->pixels - pixel) kind++;
      KERNEL(tiles)[kind].run[p->weight == NULL][panels - 1](p, pixel, panel);
    }
    panel += panels;
  }
}

/* ---- depthwise ---- */

KERNEL_TARGET static inline VECTOR_INLINE void KERNEL(slide_store)(const maps_window *w, size_t at, KERNEL(lanes) y) {
  if (w->codes == NULL) {
    *(KERNEL(lanes) *)(w->y + at) = y;
    return;
  }
  y *= KERNEL(lanes_all)(w->code_rate);
#if KERNEL_LANES == 16
  _mm_storeu_si128((__m128i *)(w->codes + at), _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32((__m512)y)));
#else
  for (size_t i = 0; i < KERNEL_LANES; i++) w->codes[at + i] = (uint8_t)(y[i] < 255 ? y[i] + 0.5f : 255);
#endif
}

/* count outputs next to each other from `at` on, whose windows lie inside the rows: what they share is loaded once. */
KERNEL_TARGET static inline VECTOR_INLINE void KERNEL(slide_inside)(const maps_window *w, size_t at, const int count,
                                                                    const int stride) {
  enum { COLUMNS = 9 };
  size_t channels = w->channels, first = (at * (size_t)stride - w->before) * channels;
  const KERNEL(lanes) low = KERNEL(lanes_all)(w->low), high = KERNEL(lanes_all)(w->high);
  for (size_t c = 0; c < channels; c += KERNEL_LANES) {
    KERNEL(lanes) sum[4], x[COLUMNS];
    TILE_UNROLL for (int i = 0; i < count; i++) sum[i] = LANES(w->bias + c);
    TILE_UNROLL for (int ky = 0; ky < 3; ky++) {
      if (w->row[ky] == NULL) continue;
      const float *row = w->row[ky] + first + c, *weight = w->weight + (size_t)ky * 3 * channels + c;
      TILE_UNROLL for (int i = 0; i < (count - 1) * stride + 3; i++) x[i] = LANES(row + (size_t)i * channels);
      TILE_UNROLL for (int kx = 0; kx < 3; kx++) {
        KERNEL(lanes) f = LANES(weight + (size_t)kx * channels);
        TILE_UNROLL for (int i = 0; i < count; i++) sum[i] = KERNEL(lanes_multiply_add)(sum[i], x[i * stride + kx], f);
      }
    }
    TILE_UNROLL for (int i = 0; i < count; i++) {
      KERNEL(slide_store)(w, (at + (size_t)i) * channels + c, KERNEL(lanes_clamp)(sum[i], low, high));
    }
  }
}

/* One output whose window may stick out to the left or right. */
KERNEL_TARGET static void KERNEL(slide_edge)(const maps_window *w, size_t at) {
  size_t channels = w->channels, start = at * w->stride;
  const KERNEL(lanes) low = KERNEL(lanes_all)(w->low), high = KERNEL(lanes_all)(w->high);
  for (size_t c = 0; c < channels; c += KERNEL_LANES) {
    KERNEL(lanes) sum = LANES(w->bias + c);
    for (size_t ky = 0; ky < 3; ky++)
      for (size_t kx = 0; kx < 3; kx++)
        if (w->row[ky] != NULL && start + kx >= w->before && start + kx - w->before < w->width)
          sum = KERNEL(lanes_multiply_add)(sum, LANES(w->row[ky] + (start + kx - w->before) * channels + c),
                                           LANES(w->weight + (ky * 3 + kx) * channels + c));
    KERNEL(slide_store)(w, at * channels + c, KERNEL(lanes_clamp)(sum, low, high));
  }
}

KERNEL_TARGET static void KERNEL(slide)(const maps_window *w) {
  size_t at = 0, inside = 0; /* outputs [before, inside) have their windows inside */
  for (; at < w->out && at < w->before; at++) KERNEL(slide_edge)(w, at);
  if (w->width + w->before >= 3) inside = (w->width + w->before - 3) / w->stride + 1;
  if (inside > w->out) inside = w->out;
  if (w->stride == 1) {
    for (; at + 4 <= inside; at += 4) KERNEL(slide_inside)(w, at, 4, 1);
    for (; at + 2 <= inside; at += 2) KERNEL(slide_inside)(w, at, 2, 1);
    for (; at < inside; at++) KERNEL(slide_inside)(w, at, 1, 1);
  } else {
    for (; at + 2 <= inside; at += 2) KERNEL(slide_inside)(w, at, 2, 2);
    for (; at < inside; at++) KERNEL(slide_inside)(w, at, 1, 2);
  }
  for (; at < w->out; at++) KERNEL(slide_edge)(w, at);
}

static const maps_kernels KERNEL(kernels) = {.multiply = KERNEL(multiply), .slide = KERNEL(slide)};

#undef TILE_OF
#undef TILES_OF
#undef TILES_AT
#undef TILE_UNROLL
#undef KERNEL
#undef KERNEL_TARGET
#undef KERNEL_LANES
#undef KERNEL_ROWS
#undef KERNEL_PANELS
