/* nn/rows.c: see nn/rows.h. */
#include "nn/rows.h"

#include "math/clones.h"

static inline VECTOR_INLINE real row_sum_body(const real *x, size_t count) {
  real sum = 0;
  _Pragma("omp simd reduction(+:sum)") for (size_t i = 0; i < count; i++) sum += x[i];
  return sum;
}
VECTOR_CLONES(, real, row_sum, (const real *x, size_t count), (x, count))

static inline VECTOR_INLINE real row_dot_body(const real *x, const real *y, size_t count) {
  real sum = 0;
  _Pragma("omp simd reduction(+:sum)") for (size_t i = 0; i < count; i++) sum += x[i] * y[i];
  return sum;
}
VECTOR_CLONES(, real, row_dot, (const real *x, const real *y, size_t count), (x, y, count))

static inline VECTOR_INLINE real row_max_body(const real *x, size_t count) {
  real most = -INFINITY;
  _Pragma("omp simd reduction(max:most)") for (size_t i = 0; i < count; i++) most = x[i] > most ? x[i] : most;
  return most;
}
VECTOR_CLONES(, real, row_max, (const real *x, size_t count), (x, count))

static inline VECTOR_INLINE real row_exp_body(const real *x, real shift, real *y, size_t count) {
  real sum = 0;
  _Pragma("omp simd reduction(+:sum)") for (size_t i = 0; i < count; i++) {
    real e = real_exp(x[i] - shift);
    y[i] = e;
    sum += e;
  }
  return sum;
}
VECTOR_CLONES(, real, row_exp, (const real *x, real shift, real *y, size_t count), (x, shift, y, count))

static inline VECTOR_INLINE real row_exp_sum_body(const real *x, real shift, size_t count) {
  real sum = 0;
  _Pragma("omp simd reduction(+:sum)") for (size_t i = 0; i < count; i++) sum += real_exp(x[i] - shift);
  return sum;
}
VECTOR_CLONES(, real, row_exp_sum, (const real *x, real shift, size_t count), (x, shift, count))

real row_log_sum_exp(const real *x, size_t count) {
  real most = row_max(x, count);
  return most == -INFINITY ? most : most + real_log(row_exp_sum(x, most, count));
}

static inline VECTOR_INLINE void row_shift_body(real *x, real value, size_t count, bool add) {
  if (add) {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) x[i] += value;
  } else {
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) x[i] = value;
  }
}
VECTOR_CLONES(, void, row_shift, (real * x, real value, size_t count, bool add), (x, value, count, add))

static inline VECTOR_INLINE void row_scale_body(real *x, real factor, size_t count) {
  _Pragma("omp simd") for (size_t i = 0; i < count; i++) x[i] *= factor;
}
VECTOR_CLONES(, void, row_scale, (real * x, real factor, size_t count), (x, factor, count))

static inline VECTOR_INLINE void row_add_body(real *restrict y, const real *restrict x, size_t count) {
  _Pragma("omp simd") for (size_t i = 0; i < count; i++) y[i] += x[i];
}
VECTOR_CLONES(, void, row_add, (real * y, const real *x, size_t count), (y, x, count))

static inline VECTOR_INLINE void row_add_scaled_body(real *restrict y, real factor, const real *restrict x,
                                                     size_t count) {
  _Pragma("omp simd") for (size_t i = 0; i < count; i++) y[i] += factor * x[i];
}
VECTOR_CLONES(, void, row_add_scaled, (real * y, real factor, const real *x, size_t count), (y, factor, x, count))

static inline VECTOR_INLINE void row_set_scaled_body(real *restrict y, real factor, const real *restrict x,
                                                     size_t count) {
  _Pragma("omp simd") for (size_t i = 0; i < count; i++) y[i] = factor * x[i];
}
VECTOR_CLONES(, void, row_set_scaled, (real * y, real factor, const real *x, size_t count), (y, factor, x, count))
