/* math/vector_kernels.h: the kernels of vector.c, one copy per instruction set. vector.c includes this file once a
 * level, with what lanes.h wants. Four accumulators hide the latency of the multiply-add; the order of summation
 * depends on the level, not on anything else.
 */
#include "math/lanes.h"

KERNEL_TARGET static float KERNEL(lanes_sum)(const KERNEL(lanes) part[4]) {
  return KERNEL(lanes_total)((part[0] + part[1]) + (part[2] + part[3]));
}

KERNEL_TARGET static float KERNEL(dot)(const float *a, const float *b, size_t dim) {
  KERNEL(lanes) part[4] = {{0}};
  size_t i = 0;
  for (; i + 4 * KERNEL_LANES <= dim; i += 4 * KERNEL_LANES) {
    part[0] += LANES(a + i) * LANES(b + i);
    part[1] += LANES(a + i + KERNEL_LANES) * LANES(b + i + KERNEL_LANES);
    part[2] += LANES(a + i + 2 * KERNEL_LANES) * LANES(b + i + 2 * KERNEL_LANES);
    part[3] += LANES(a + i + 3 * KERNEL_LANES) * LANES(b + i + 3 * KERNEL_LANES);
  }
  for (; i + KERNEL_LANES <= dim; i += KERNEL_LANES) part[0] += LANES(a + i) * LANES(b + i);
  if (i < dim) part[1] += KERNEL(lanes_last)(a, i, dim - i) * KERNEL(lanes_last)(b, i, dim - i);
  return KERNEL(lanes_sum)(part);
}

KERNEL_TARGET static float KERNEL(squared_distance)(const float *a, const float *b, size_t dim) {
  KERNEL(lanes) part[4] = {{0}};
  size_t i = 0;
  for (; i + 4 * KERNEL_LANES <= dim; i += 4 * KERNEL_LANES)
    for (int k = 0; k < 4; k++) {
      KERNEL(lanes) gap = LANES(a + i + k * KERNEL_LANES) - LANES(b + i + k * KERNEL_LANES);
      part[k] += gap * gap;
    }
  for (; i + KERNEL_LANES <= dim; i += KERNEL_LANES) {
    KERNEL(lanes) gap = LANES(a + i) - LANES(b + i);
    part[0] += gap * gap;
  }
  if (i < dim) {
    KERNEL(lanes) gap = KERNEL(lanes_last)(a, i, dim - i) - KERNEL(lanes_last)(b, i, dim - i);
    part[1] += gap * gap;
  }
  return KERNEL(lanes_sum)(part);
}

KERNEL_TARGET static float KERNEL(sum)(const float *a, size_t dim) {
  KERNEL(lanes) part[4] = {{0}};
  size_t i = 0;
  for (; i + 4 * KERNEL_LANES <= dim; i += 4 * KERNEL_LANES)
    for (int k = 0; k < 4; k++) part[k] += LANES(a + i + k * KERNEL_LANES);
  for (; i + KERNEL_LANES <= dim; i += KERNEL_LANES) part[0] += LANES(a + i);
  if (i < dim) part[1] += KERNEL(lanes_last)(a, i, dim - i);
  return KERNEL(lanes_sum)(part);
}

KERNEL_TARGET static void KERNEL(add_scaled)(float *y, float alpha, const float *x, size_t dim) {
  size_t i = 0;
  for (; i + KERNEL_LANES <= dim; i += KERNEL_LANES) *(KERNEL(lanes) *)(y + i) += alpha * LANES(x + i);
  for (; i < dim; i++) y[i] += alpha * x[i];
}

KERNEL_TARGET static void KERNEL(scale)(float *x, float alpha, size_t dim) {
  size_t i = 0;
  for (; i + KERNEL_LANES <= dim; i += KERNEL_LANES) *(KERNEL(lanes) *)(x + i) *= alpha;
  for (; i < dim; i++) x[i] *= alpha;
}

/* The sums of four registers stay in registers over the whole list, so y is written once instead of once per row. */
KERNEL_TARGET static void KERNEL(weighted_rows)(const float *x, size_t dim, const uint32_t *row, const float *weight,
                                                size_t count, float *y) {
  size_t d = 0;
  for (; d + 4 * KERNEL_LANES <= dim; d += 4 * KERNEL_LANES) {
    KERNEL(lanes) s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    for (size_t i = 0; i < count; i++) {
      const float *from = x + (size_t)row[i] * dim + d;
      s0 += weight[i] * LANES(from);
      s1 += weight[i] * LANES(from + KERNEL_LANES);
      s2 += weight[i] * LANES(from + 2 * KERNEL_LANES);
      s3 += weight[i] * LANES(from + 3 * KERNEL_LANES);
    }
    *(KERNEL(lanes) *)(y + d) = s0;
    *(KERNEL(lanes) *)(y + d + KERNEL_LANES) = s1;
    *(KERNEL(lanes) *)(y + d + 2 * KERNEL_LANES) = s2;
    *(KERNEL(lanes) *)(y + d + 3 * KERNEL_LANES) = s3;
  }
  for (; d + KERNEL_LANES <= dim; d += KERNEL_LANES) {
    KERNEL(lanes) s = {0};
    for (size_t i = 0; i < count; i++) s += weight[i] * LANES(x + (size_t)row[i] * dim + d);
    *(KERNEL(lanes) *)(y + d) = s;
  }
  for (; d < dim; d++) {
    float s = 0;
    for (size_t i = 0; i < count; i++) s += weight[i] * x[(size_t)row[i] * dim + d];
    y[d] = s;
  }
}

/* y += Σ_r share[r] x[r], four rows. */
KERNEL_TARGET static void KERNEL(add_four)(float *y, const float share[4], const float *const x[4], size_t dim) {
  size_t i = 0;
  for (; i + KERNEL_LANES <= dim; i += KERNEL_LANES)
    *(KERNEL(lanes) *)(y + i) += (share[0] * LANES(x[0] + i) + share[1] * LANES(x[1] + i)) +
                                 (share[2] * LANES(x[2] + i) + share[3] * LANES(x[3] + i));
  for (; i < dim; i++) y[i] += (share[0] * x[0][i] + share[1] * x[1][i]) + (share[2] * x[2][i] + share[3] * x[3][i]);
}

/* Four rows at a time: their sums do not wait for each other, and y is read and written once for the four. */
KERNEL_TARGET static void KERNEL(rows_reflect)(const float *x, size_t dim, const uint32_t *row, const float *weight,
                                               size_t count, const float *p, float *y) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const float *const from[4] = {x + (size_t)row[i] * dim, x + (size_t)row[i + 1] * dim, x + (size_t)row[i + 2] * dim,
                                  x + (size_t)row[i + 3] * dim};
    KERNEL(lanes) sum[4] = {{0}};
    float share[4];
    size_t d = 0;
    for (; d + KERNEL_LANES <= dim; d += KERNEL_LANES) {
      KERNEL(lanes) at = LANES(p + d);
      KERNEL_UNROLL
      for (int k = 0; k < 4; k++) sum[k] += at * LANES(from[k] + d);
    }
    KERNEL_UNROLL
    for (int k = 0; k < 4; k++) share[k] = KERNEL(lanes_total)(sum[k]);
    for (; d < dim; d++)
      for (int k = 0; k < 4; k++) share[k] += p[d] * from[k][d];
    for (int k = 0; k < 4; k++) share[k] *= weight[i + (size_t)k];
    KERNEL(add_four)(y, share, from, dim);
  }
  for (; i < count; i++) {
    const float *from = x + (size_t)row[i] * dim;
    KERNEL(add_scaled)(y, weight[i] * KERNEL(dot)(from, p, dim), from, dim);
  }
}

KERNEL_TARGET static size_t KERNEL(find)(const float *x, size_t from, size_t count, float bar) {
  size_t i = from;
  while (i + 4 * KERNEL_LANES <= count && !KERNEL(lanes_reach)(x + i, bar)) i += 4 * KERNEL_LANES;
  while (i < count && !(x[i] >= bar)) i++;
  return i;
}

KERNEL_TARGET static size_t KERNEL(find_all)(const float *x, size_t count, float bar, uint32_t *out) {
  size_t i = 0, found = 0;
  for (; i + KERNEL_LANES <= count; i += KERNEL_LANES)
    for (uint32_t bits = KERNEL(lanes_reach_bits)(x + i, bar); bits != 0; bits &= bits - 1)
      out[found++] = (uint32_t)i + (uint32_t)__builtin_ctz(bits);
  for (; i < count; i++)
    if (x[i] >= bar) out[found++] = (uint32_t)i;
  return found;
}

KERNEL_TARGET static size_t KERNEL(find_each)(const float *x, const float *bar, float more, size_t from, size_t count) {
  size_t i = from;
  while (i + KERNEL_LANES <= count && !KERNEL(lanes_reach_each)(x + i, LANES(bar + i) + more)) i += KERNEL_LANES;
  while (i < count && !(x[i] >= bar[i] + more)) i++;
  return i;
}

static const vector_kernels KERNEL(kernels) = {
    .dot = KERNEL(dot),
    .squared_distance = KERNEL(squared_distance),
    .sum = KERNEL(sum),
    .add_scaled = KERNEL(add_scaled),
    .scale = KERNEL(scale),
    .weighted_rows = KERNEL(weighted_rows),
    .rows_reflect = KERNEL(rows_reflect),
    .find = KERNEL(find),
    .find_all = KERNEL(find_all),
    .find_each = KERNEL(find_each),
};

#undef KERNEL
#undef KERNEL_TARGET
#undef KERNEL_LANES
