/* math/half.c: IEEE 754 binary16 ("half") to and from float32, by instruction where there is one, by bits elsewhere;
 * and to bfloat16. */
#include <string.h>

#include "math/clones.h"
#include "math/vector.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Round to nearest even by hand; too large becomes infinity, NaN stays a (quiet) NaN with the top of its payload. */
static uint16_t half_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
  if (magnitude >= 0x47800000) return sign | 0x7c00; /* 65536 and more */
  int shift = 13;
  uint32_t mantissa = magnitude - 0x38000000; /* the exponent's bias moves from 127 to 15 */
  if (magnitude < 0x38800000) {               /* below 2^-14: subnormal in half */
    if (magnitude < 0x33000000) return sign;  /* below 2^-25 */
    shift = 126 - (int)(magnitude >> 23);
    mantissa = (magnitude & 0x7fffff) | 0x800000;
  }
  uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1), middle = 1u << (shift - 1);
  if (rest > middle || (rest == middle && (kept & 1))) kept++; /* may carry into the exponent, which is right */
  return (uint16_t)(sign | kept);
}

static float float_of(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1f, mantissa = half & 0x3ff, bits;
  if (exponent == 0x1f) {
    bits = 0x7f800000 | mantissa << 13 | (mantissa ? 0x400000 : 0);
  } else if (exponent != 0) {
    bits = (exponent + 112) << 23 | mantissa << 13;
  } else {
    float tiny = (float)mantissa * 0x1p-24f;
    memcpy(&bits, &tiny, sizeof bits);
  }
  bits |= sign;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

#if defined(__x86_64__)
VECTOR_TARGET_AVX2 static size_t half_from_float_avx2(uint16_t *out, const float *in, size_t dim) {
  size_t i = 0;
  for (; i + 8 <= dim; i += 8)
    _mm_storeu_si128((__m128i *)(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
  return i;
}

VECTOR_TARGET_AVX2 static size_t float_from_half_avx2(float *out, const uint16_t *in, size_t dim) {
  size_t i = 0;
  for (; i + 8 <= dim; i += 8) _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + i))));
  return i;
}
/* Every processor with AVX2 has F16C. */
#define BY_INSTRUCTION(name) (vector_level_get() >= VECTOR_AVX2 ? name##_avx2(out, in, dim) : 0)
#else
#define BY_INSTRUCTION(name) 0
#endif

void half_from_float(uint16_t *out, const float *in, size_t dim) {
  for (size_t i = BY_INSTRUCTION(half_from_float); i < dim; i++) out[i] = half_of(in[i]);
}

void float_from_half(float *out, const uint16_t *in, size_t dim) {
  for (size_t i = BY_INSTRUCTION(float_from_half); i < dim; i++) out[i] = float_of(in[i]);
}

uint16_t bfloat_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
