/* math/maps.c: the kernels for feature maps and the choice between their versions (see clones.h, maps_kernels.h). */
#include "math/maps.h"

#include <stdint.h>
#include <string.h>

#include "math/clones.h"
#include "math/vector.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define KERNEL(name) name##_baseline
#define KERNEL_TARGET
#define KERNEL_LANES 4
#define KERNEL_ROWS 2
#define KERNEL_PANELS 1
#include "math/maps_kernels.h"

#if defined(__x86_64__)
#define KERNEL(name) name##_avx2
#define KERNEL_TARGET VECTOR_TARGET_AVX2
#define KERNEL_LANES 8
#define KERNEL_ROWS 6
#define KERNEL_PANELS 1
#include "math/maps_kernels.h"

#define KERNEL(name) name##_avx512
#define KERNEL_TARGET VECTOR_TARGET_AVX512
#define KERNEL_LANES 16
#define KERNEL_ROWS 14
#define KERNEL_PANELS 2
#include "math/maps_kernels.h"

static const maps_kernels *const levels[VECTOR_LEVEL_COUNT] = {&kernels_baseline, &kernels_avx2, &kernels_avx512};
#else
static const maps_kernels *const levels[VECTOR_LEVEL_COUNT] = {&kernels_baseline, &kernels_baseline, &kernels_baseline};
#endif

const maps_kernels *maps_kernels_at(int level) {
  return level >= 0 && level <= (int)vector_level_get() ? levels[level] : NULL;
}

void maps_multiply(const maps_product *p) { levels[vector_level_get()]->multiply(p); }

void maps_slide(const maps_window *w) { levels[vector_level_get()]->slide(w); }

void maps_pack(const float *weight, size_t outs, size_t depth, float *packed) {
  memset(packed, 0, maps_round(outs) * depth * sizeof *packed);
  for (size_t o = 0; o < outs; o++)
    for (size_t k = 0; k < depth; k++)
      packed[(o / MAPS_LANES * depth + k) * MAPS_LANES + o % MAPS_LANES] = weight[o * depth + k];
}

void maps_pack_bf16(const float *weight, size_t outs, size_t depth, uint16_t *packed) {
  memset(packed, 0, maps_round(outs) * depth * sizeof *packed);
  for (size_t o = 0; o < outs; o++)
    for (size_t k = 0; k < depth; k++)
      packed[(o / MAPS_LANES * depth + k) * MAPS_LANES + o % MAPS_LANES] = bfloat_from_float(weight[o * depth + k]);
}
