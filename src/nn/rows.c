/* nn/rows.c: see nn/rows.h. */
#include "nn/rows.h"

#include <float.h>

#include "math/clones.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

/* A reduction to the greatest begins at -INFINITY with gcc and at the least finite number with clang: nothing stood
 * above either. */
static inline VECTOR_INLINE real greatest_of(real reduced) {
  return reduced > (sizeof reduced == sizeof(float) ? (real)-FLT_MAX : (real)-DBL_MAX) ? reduced : -INFINITY;
}

static inline VECTOR_INLINE real row_max_body(const real *x, size_t count) {
  real most = -INFINITY;
  _Pragma("omp simd reduction(max:most)") for (size_t i = 0; i < count; i++) most = x[i] > most ? x[i] : most;
  return greatest_of(most);
}
VECTOR_CLONES(, real, row_max, (const real *x, size_t count), (x, count))

static inline VECTOR_INLINE real row_exp_body(const real *x, real shift, real *y, size_t count) {
  real sum = 0;
  _Pragma("omp simd reduction(+:sum)") for (size_t i = 0; i < count; i++) {
    real e = real_exp_shifted(x[i] - shift);
    y[i] = e;
    sum += e;
  }
  return sum;
}
VECTOR_CLONES(, real, row_exp, (const real *x, real shift, real *y, size_t count), (x, shift, y, count))

static inline VECTOR_INLINE real row_exp_sum_body(const real *x, real shift, size_t count) {
  real sum = 0;
  _Pragma("omp simd reduction(+:sum)") for (size_t i = 0; i < count; i++) sum += real_exp_shifted(x[i] - shift);
  return sum;
}
VECTOR_CLONES(, real, row_exp_sum, (const real *x, real shift, size_t count), (x, shift, count))

real row_log_sum_exp(const real *x, size_t count) {
  real most = row_max(x, count);
  return most == -INFINITY ? most : most + real_log(row_exp_sum(x, most, count));
}

/* ---- short rows ----
 *
 * What a simd loop sums, gcc 12 adds up number by number through the stack: of a row of a few registers that is two
 * thirds of the time. So there are versions by registers of what small networks spend theirs on. */

static inline VECTOR_INLINE void rows_soften_plain_body(real *x, size_t step, size_t count, size_t width, real *most,
                                                        real *sum) {
  for (size_t r = 0; r < count; r++, x += step) {
    real greatest = most[r], total = 0;
    size_t whole = (width + 15) / 16 * 16; /* a last register in part would be done number by number */
    for (size_t i = width; i < whole; i++) x[i] = -INFINITY;
    _Pragma("omp simd reduction(max:greatest)") for (size_t i = 0; i < whole; i++) greatest =
        x[i] > greatest ? x[i] : greatest;
    greatest = greatest_of(greatest);
    real shift = greatest == -INFINITY ? 0 : greatest;
    _Pragma("omp simd reduction(+:total)") for (size_t i = 0; i < whole; i++) {
      real e = real_exp_shifted(x[i] - shift);
      x[i] = e;
      total += e;
    }
    most[r] = greatest, sum[r] = total;
  }
}
VECTOR_CLONES(, void, rows_soften_plain, (real * x, size_t step, size_t count, size_t width, real *most, real *sum),
              (x, step, count, width, most, sum))

static inline VECTOR_INLINE void row_moments_plain_body(const real *x, size_t count, real *mean, real *variance) {
  real sum = 0, square = 0;
  _Pragma("omp simd reduction(+:sum)") for (size_t i = 0; i < count; i++) sum += x[i];
  real centre = sum / (real)count;
  _Pragma("omp simd reduction(+:square)") for (size_t i = 0; i < count; i++) square +=
      (x[i] - centre) * (x[i] - centre);
  *mean = centre;
  *variance = square / (real)count;
}
VECTOR_CLONES(, void, row_moments_plain, (const real *x, size_t count, real *mean, real *variance),
              (x, count, mean, variance))

#if defined(__x86_64__) && !defined(NN_DOUBLE)

#define ROW_TARGET VECTOR_TARGET_AVX512 static inline VECTOR_INLINE

/* The row's register from i on; of the last, only what is there. */
ROW_TARGET __mmask16 register_mask(size_t i, size_t count) {
  return count - i < 16 ? (__mmask16)((1u << (count - i)) - 1) : 0xffff;
}

/* real_exp_shifted of 16 numbers. */
ROW_TARGET __m512 register_exp_shifted(__m512 x) {
  __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fmadd_ps(n, _mm512_set1_ps(2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
  p = _mm512_add_ps(_mm512_fmadd_ps(_mm512_mul_ps(p, r), r, r), _mm512_set1_ps(1));
  __mmask16 counts = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87), _CMP_NLT_UQ);
  return _mm512_maskz_scalef_ps(counts, p, n);
}

VECTOR_TARGET_AVX512 static void rows_soften_avx512(real *x, size_t step, size_t count, size_t width, real *most,
                                                    real *sum) {
  __m512 nothing = _mm512_set1_ps(-INFINITY);
  for (size_t r = 0; r < count; r++, x += step) {
    __m512 greatest = _mm512_set1_ps(most[r]), total = _mm512_setzero_ps();
    for (size_t i = 0; i < width; i += 16) /* of a NaN the second operand remains */
      greatest = _mm512_max_ps(_mm512_mask_loadu_ps(nothing, register_mask(i, width), x + i), greatest);
    most[r] = _mm512_reduce_max_ps(greatest);
    __m512 shift = _mm512_set1_ps(most[r] == -INFINITY ? 0 : most[r]);
    for (size_t i = 0; i < width; i += 16) {
      __mmask16 some = register_mask(i, width);
      __m512 e = register_exp_shifted(_mm512_sub_ps(_mm512_mask_loadu_ps(nothing, some, x + i), shift));
      total = _mm512_add_ps(total, e);
      _mm512_mask_storeu_ps(x + i, some, e);
    }
    sum[r] = _mm512_reduce_add_ps(total);
  }
}

VECTOR_TARGET_AVX512 static void row_moments_avx512(const real *x, size_t count, real *mean, real *variance) {
  __m512 sum = _mm512_setzero_ps(), square = sum;
  for (size_t i = 0; i < count; i += 16)
    sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(register_mask(i, count), x + i));
  __m512 centre = _mm512_set1_ps(*mean = _mm512_reduce_add_ps(sum) / (real)count);
  for (size_t i = 0; i < count; i += 16) {
    __mmask16 some = register_mask(i, count);
    __m512 gap = _mm512_maskz_sub_ps(some, _mm512_maskz_loadu_ps(some, x + i), centre);
    square = _mm512_fmadd_ps(gap, gap, square);
  }
  *variance = _mm512_reduce_add_ps(square) / (real)count;
}

#define BY_REGISTERS(name, ...) (vector_level_get() == VECTOR_AVX512 ? name##_avx512 : name##_plain)(__VA_ARGS__)
#else
#define BY_REGISTERS(name, ...) name##_plain(__VA_ARGS__)
#endif

void rows_soften(real *x, size_t step, size_t count, size_t width, real *most, real *sum) {
  BY_REGISTERS(rows_soften, x, step, count, width, most, sum);
}

void row_moments(const real *x, size_t count, real *mean, real *variance) {
  BY_REGISTERS(row_moments, x, count, mean, variance);
}

/* ---- sums and products of rows ---- */

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
