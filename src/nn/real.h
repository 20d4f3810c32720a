/* nn/real.h: the number that tensors are made of, and the functions of it that
 * vector loops can hold.
 *
 * A real is float32. The tests compile the tensor code a second time with
 * -DNN_DOUBLE, where it is double: finite differences of the very same code
 * then agree with its gradients to 1e-6, while in float32 they would be noise.
 * So ops write `real`, constants as plain doubles in REAL(...), and the
 * functions below rather than those of <math.h>.
 *
 * The float32 versions are polynomials without branches or calls (coefficients
 * of Cephes, Moshier 1992; erf by Abramowitz & Stegun 7.1.26), because a loop
 * that calls expf stays scalar and takes ten times as long. They are within 2
 * units in the last place of <math.h>'s (erf: 4e-7 absolute), infinite and NaN
 * where those are.
 */
#ifndef NN_REAL_H
#define NN_REAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef NN_DOUBLE

typedef double real;
#define DTYPE_REAL DTYPE_F64
#define REAL(number) (number)

static inline real real_exp(real x) { return exp(x); }
static inline real real_exp_shifted(real x) { return exp(x); }
static inline real real_log(real x) { return log(x); }
static inline real real_tanh(real x) { return tanh(x); }
static inline real real_erf_by(real x, real e) { return (void)e, erf(x); }
static inline real real_sqrt(real x) { return sqrt(x); }
static inline real real_abs(real x) { return fabs(x); }

#else

typedef float real;
#define DTYPE_REAL DTYPE_F32
#define REAL(number) ((float)(number))

static inline float real_from_bits(int32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline int32_t real_to_bits(float value) {
  int32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* Exponents that are none come of NaN, whose power is multiplied by a NaN: shifted as unsigned, they are harmless. */
static inline float real_power_of_two(int32_t exponent) {
  return real_from_bits((int32_t)((uint32_t)(exponent + 127) << 23));
}

/* e^r of what is left of x without n ln 2. */
static inline float real_exp_rest(float x, float n) {
  float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * r * r + r + 1;
}

/* e^x = 2^n e^r with |r| <= ln 2 / 2. Adding and taking away 1.5 * 2^23 rounds
 * to the nearest whole number without the instruction that the baseline lacks.
 * 2^n in two halves reaches the subnormal and the last octave. */
static inline float real_exp(float x) {
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  float shifted = x * 1.44269504f + 12582912.0f, p = real_exp_rest(x, shifted - 12582912.0f);
  int32_t whole = real_to_bits(shifted) - real_to_bits(12582912.0f), half = whole >> 1; /* n; of NaN any number */
  return p * real_power_of_two(half) * real_power_of_two(whole - half);
}

/* The same of numbers that a shift has brought to 88 at most, as the scores of a softmax are; 0 below -87, where
 * nothing is left to count. In half the time: held at both ends, gcc 12 makes three results of which it takes one. */
static inline float real_exp_shifted(float x) {
  float shifted = x * 1.44269504f + 12582912.0f, p = real_exp_rest(x, shifted - 12582912.0f);
  uint32_t exponent = (uint32_t)real_to_bits(shifted) - (uint32_t)real_to_bits(12582912.0f); /* far below: any number */
  float value = p * real_from_bits((int32_t)((exponent + 127) << 23));
  return x < -87.0f ? 0.0f : value;
}

/* x = m 2^e with m in [sqrt(1/2), sqrt(2)). Subnormal numbers are taken for the
 * smallest normal one. */
static inline float real_log(float x) {
  float held = x < 1.17549435e-38f ? 1.17549435e-38f : x;
  int32_t bits = real_to_bits(held) - 0x3f3504f3;
  float e = (float)(bits >> 23), r = real_from_bits((bits & 0x007fffff) + 0x3f3504f3) - 1;
  float p = 7.0376836292e-2f;
  p = p * r - 1.1514610310e-1f;
  p = p * r + 1.1676998740e-1f;
  p = p * r - 1.2420140846e-1f;
  p = p * r + 1.4249322787e-1f;
  p = p * r - 1.6668057665e-1f;
  p = p * r + 2.0000714765e-1f;
  p = p * r - 2.4999993993e-1f;
  p = p * r + 3.3333331174e-1f;
  float square = r * r;
  float value = (r * square * p - 2.12194440e-4f * e) - 0.5f * square + r + 0.693359375f * e;
  value = x == INFINITY ? INFINITY : value;
  value = x == 0 ? -INFINITY : value;
  return x < 0 || x != x ? NAN : value;
}

/* A polynomial near zero, where 1 - 2 / (e^2x + 1) would lose its digits. */
static inline float real_tanh(float x) {
  float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  float near = p * z * x + x, far = 1 - 2 / (real_exp(2 * x) + 1);
  return z < 0.390625f ? near : far;
}

/* erf(x), given e = e^(-x²). A polynomial below 1, where Abramowitz & Stegun's
 * form would lose its digits. */
static inline float real_erf_by(float x, float e) {
  float a = x < 0 ? -x : x, z = x * x, t = 1 / (1 + 0.3275911f * a);
  float near = 7.853861353153693e-5f;
  near = near * z - 8.010193625184903e-4f;
  near = near * z + 5.188327685732524e-3f;
  near = near * z - 2.685381193529856e-2f;
  near = near * z + 1.128358514861418e-1f;
  near = near * z - 3.761262582423300e-1f;
  near = near * z + 1.128379165726710f;
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  float far = 1 - p * t * e;
  far = x < 0 ? -far : far;
  return z < 1 ? near * x : far;
}

static inline float real_sqrt(float x) { return __builtin_sqrtf(x); }
static inline float real_abs(float x) { return __builtin_fabsf(x); }

#endif

static inline real real_erf(real x) { return real_erf_by(x, real_exp_shifted(-x * x)); }

/* Of a NaN: b is what comes out, be it the NaN or not. */
static inline real real_max(real a, real b) { return a > b ? a : b; }
static inline real real_min(real a, real b) { return a < b ? a : b; }

static inline real real_sigmoid(real x) { return 1 / (1 + real_exp(-x)); }

/* log(1 + e^x), never infinite before x is. 1 + e is rounded, so log1p's
 * correction e / ((1 + e) - 1) brings the digits back (Kahan). */
static inline real real_softplus(real x) {
  real e = real_exp(-real_abs(x)), one = 1 + e, gap = one - 1;
  real tail = gap == 0 ? e : real_log(one) * (e / gap);
  return real_max(x, 0) + tail;
}

#endif
