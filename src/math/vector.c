/* math/vector.c: the vector kernels and the choice between their versions (see clones.h, vector_kernels.h). */
#include "math/vector.h"

#include <math.h>
#include <string.h>

#include "math/clones.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define KERNEL(name) name##_baseline
#define KERNEL_TARGET
#define KERNEL_LANES 4
#include "math/vector_kernels.h"

#if defined(__x86_64__)
#define KERNEL(name) name##_avx2
#define KERNEL_TARGET VECTOR_TARGET_AVX2
#define KERNEL_LANES 8
#include "math/vector_kernels.h"

#define KERNEL(name) name##_avx512
#define KERNEL_TARGET VECTOR_TARGET_AVX512
#define KERNEL_LANES 16
#include "math/vector_kernels.h"

static const vector_kernels *const levels[VECTOR_LEVEL_COUNT] = {&kernels_baseline, &kernels_avx2, &kernels_avx512};
#else
static const vector_kernels *const levels[VECTOR_LEVEL_COUNT] = {&kernels_baseline, &kernels_baseline,
                                                                 &kernels_baseline};
#endif

const vector_kernels *vector_kernels_at(int level) {
  return level >= 0 && level <= (int)vector_level_get() ? levels[level] : NULL;
}

float vector_dot(const float *a, const float *b, size_t dim) { return levels[vector_level_get()]->dot(a, b, dim); }

float vector_squared_distance(const float *a, const float *b, size_t dim) {
  return levels[vector_level_get()]->squared_distance(a, b, dim);
}

float vector_sum(const float *a, size_t dim) { return levels[vector_level_get()]->sum(a, dim); }

void vector_add_scaled(float *y, float alpha, const float *x, size_t dim) {
  levels[vector_level_get()]->add_scaled(y, alpha, x, dim);
}

void vector_scale(float *x, float alpha, size_t dim) { levels[vector_level_get()]->scale(x, alpha, dim); }

void vector_weighted_rows(const float *x, size_t dim, const uint32_t *row, const float *weight, size_t count,
                          float *y) {
  levels[vector_level_get()]->weighted_rows(x, dim, row, weight, count, y);
}

void vector_rows_reflect(const float *x, size_t dim, const uint32_t *row, const float *weight, size_t count,
                         const float *p, float *y) {
  levels[vector_level_get()]->rows_reflect(x, dim, row, weight, count, p, y);
}

size_t vector_find(const float *x, size_t from, size_t count, float bar) {
  return levels[vector_level_get()]->find(x, from, count, bar);
}

size_t vector_find_all(const float *x, size_t count, float bar, uint32_t *out) {
  return levels[vector_level_get()]->find_all(x, count, bar, out);
}

size_t vector_find_each(const float *x, const float *bar, float more, size_t from, size_t count) {
  return levels[vector_level_get()]->find_each(x, bar, more, from, count);
}

/* Squares of ordinary numbers fit in float32; those of 1e20 or 1e-25 do not, and go the slow way. */
float vector_norm(const float *a, size_t dim) {
  float square = vector_dot(a, a, dim);
  if (square > 1e-30f && square < INFINITY) return sqrtf(square);
  double sum = 0;
  for (size_t i = 0; i < dim; i++) sum += (double)a[i] * a[i];
  return (float)sqrt(sum);
}

float vector_normalise(float *x, size_t dim) {
  float norm = vector_norm(x, dim);
  if (norm == 0) return 0;
  if (norm > 1e-35f && norm < 1e35f) {
    vector_scale(x, 1 / norm, dim);
  } else { /* the reciprocal would be subnormal or infinite */
    for (size_t i = 0; i < dim; i++) x[i] /= norm;
  }
  return norm;
}

void vector_moments(const float *a, size_t dim, double *mean, double *deviation) {
  double sum = 0, square = 0;
  for (size_t i = 0; i < dim; i++) sum += a[i];
  double centre = dim ? sum / (double)dim : 0;
  for (size_t i = 0; i < dim; i++) square += (a[i] - centre) * (a[i] - centre);
  *mean = centre;
  *deviation = dim ? sqrt(square / (double)dim) : 0;
}
