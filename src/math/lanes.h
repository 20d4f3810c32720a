/* math/lanes.h: one register of floats at one instruction set, for kernels that are compiled once a level. A .c
 * includes this file once a level, with KERNEL(name)  the name at this level, KERNEL_TARGET  the function attribute,
 * KERNEL_LANES  floats in one register: 4 (baseline, NEON), 8 (AVX2) or 16 (AVX-512).
 *
 * Gives the type KERNEL(lanes) and the few things that plain vector arithmetic of gcc and clang cannot say: the last,
 * incomplete register of an array without reading beyond it, widening halves, and sums across.
 *
 * The vector type must be as wide as the register: gcc 12 takes wider ones through the stack and becomes six times
 * slower.
 */
typedef float KERNEL(lanes) __attribute__((vector_size(4 * KERNEL_LANES), aligned(4), may_alias));
#undef LANES
#define LANES(p) (*(const KERNEL(lanes) *)(p))

/* sum + a * b in one rounding where there is an instruction. In so many words, because a compiler that may contract
 * does so here and not there, and two versions of a sum then differ in the last bit. */
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes)
    KERNEL(lanes_multiply_add)(KERNEL(lanes) sum, KERNEL(lanes) a, KERNEL(lanes) b) {
#if KERNEL_LANES == 16
  return (KERNEL(lanes))_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)sum);
#elif KERNEL_LANES == 8
  return (KERNEL(lanes))_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)sum);
#elif defined(__aarch64__)
  return (KERNEL(lanes))vfmaq_f32((float32x4_t)sum, (float32x4_t)a, (float32x4_t)b);
#else
  return sum + a * b;
#endif
}

/* A register of an array that is read once, from memory. A line is taken in two loads where one would do: the fetching
 * ahead of a Zen 4 then follows better, and reads 3 (quiet machine) to 15 % more a second. From the cache it is slower.
 */
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes) KERNEL(lanes_stream)(const float *p) {
#if KERNEL_LANES == 16
  return (KERNEL(lanes))_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(p)), _mm256_loadu_ps(p + 8), 1);
#else
  return LANES(p);
#endif
}

KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes) KERNEL(lanes_all)(float value) {
#if KERNEL_LANES == 16
  return (KERNEL(lanes))_mm512_set1_ps(value);
#elif KERNEL_LANES == 8
  return (KERNEL(lanes))_mm256_set1_ps(value);
#else
  return (KERNEL(lanes)){value, value, value, value};
#endif
}

/* Between low and high; what is no number stays so. */
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes)
    KERNEL(lanes_clamp)(KERNEL(lanes) v, KERNEL(lanes) low, KERNEL(lanes) high) {
#if KERNEL_LANES == 16
  return (KERNEL(lanes))_mm512_min_ps((__m512)high, _mm512_max_ps((__m512)low, (__m512)v));
#elif KERNEL_LANES == 8
  return (KERNEL(lanes))_mm256_min_ps((__m256)high, _mm256_max_ps((__m256)low, (__m256)v));
#elif defined(__x86_64__)
  return (KERNEL(lanes))_mm_min_ps((__m128)high, _mm_max_ps((__m128)low, (__m128)v));
#elif defined(__aarch64__)
  return (KERNEL(lanes))vminq_f32((float32x4_t)high, vmaxq_f32((float32x4_t)low, (float32x4_t)v));
#else
  for (int i = 0; i < KERNEL_LANES; i++) v[i] = v[i] < low[i] ? low[i] : v[i] > high[i] ? high[i] : v[i];
  return v;
#endif
}

/* ---- widening ---- */

KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes) KERNEL(lanes_half)(const uint16_t *p) {
#if KERNEL_LANES == 16
  return (KERNEL(lanes))_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif KERNEL_LANES == 8
  return (KERNEL(lanes))_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#elif defined(__aarch64__)
  return (KERNEL(lanes))vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
#else
  /* The bits moved to their places make 2^-112 of the value, subnormals too. Rows hold no infinities. */
  typedef uint16_t halves __attribute__((vector_size(8), aligned(2), may_alias));
  typedef uint32_t words __attribute__((vector_size(16)));
  words bits = __builtin_convertvector(*(const halves *)p, words);
  KERNEL(lanes) size = (KERNEL(lanes))((bits & 0x7fff) << 13) * 0x1p112f;
  return (KERNEL(lanes))((words)size | (bits & 0x8000) << 16);
#endif
}

KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes) KERNEL(lanes_bfloat)(const uint16_t *p) {
#if KERNEL_LANES == 16
  return (KERNEL(lanes))_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16);
#elif KERNEL_LANES == 8
  return (KERNEL(lanes))_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16);
#else
  typedef uint16_t halves __attribute__((vector_size(2 * KERNEL_LANES), aligned(2), may_alias));
  typedef uint32_t words __attribute__((vector_size(4 * KERNEL_LANES)));
  return (KERNEL(lanes))(__builtin_convertvector(*(const halves *)p, words) << 16);
#endif
}

/* ---- the last register ---- */

/* The last `count` < KERNEL_LANES elements of an array, which begin at `at`; zeros fill the register, in front or
 * behind, in the same places for every array with the same at and count. */
#if KERNEL_LANES == 16

KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes) KERNEL(lanes_last)(const float *p, size_t at, size_t count) {
  return (KERNEL(lanes))_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p + at);
}
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes)
    KERNEL(lanes_half_last)(const uint16_t *p, size_t at, size_t count) {
  return (KERNEL(lanes))_mm512_cvtph_ps(_mm256_maskz_loadu_epi16((__mmask16)((1u << count) - 1), p + at));
}

#else

/* Keeps the last `count` lanes. An array at least as long as a register is read up to its end, and what the registers
 * before have had is made zero; a shorter one is copied first. */
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes) KERNEL(lanes_keep)(KERNEL(lanes) v, size_t count) {
  typedef int32_t masks __attribute__((vector_size(4 * KERNEL_LANES), aligned(4), may_alias));
  static const int32_t mask[2 * KERNEL_LANES] = {
#if KERNEL_LANES == 8
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    -1,
    -1,
    -1,
    -1,
    -1,
    -1,
    -1,
    -1
#else
    0,
    0,
    0,
    0,
    -1,
    -1,
    -1,
    -1
#endif
  };
  return (KERNEL(lanes))((masks)v & *(const masks *)(mask + count));
}
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes) KERNEL(lanes_last)(const float *p, size_t at, size_t count) {
  if (at > 0) return KERNEL(lanes_keep)(LANES(p + at + count - KERNEL_LANES), count);
  float whole[KERNEL_LANES] = {0};
  memcpy(whole, p, count * sizeof *p);
  return LANES(whole);
}
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes)
    KERNEL(lanes_half_last)(const uint16_t *p, size_t at, size_t count) {
  if (at > 0) return KERNEL(lanes_keep)(KERNEL(lanes_half)(p + at + count - KERNEL_LANES), count);
  uint16_t whole[KERNEL_LANES] = {0};
  memcpy(whole, p, count * sizeof *p);
  return KERNEL(lanes_half)(whole);
}

#endif

/* ---- sums ---- */

/* One sum and four are added in the same order. */
#if KERNEL_LANES > 4

KERNEL_TARGET static inline VECTOR_INLINE __m256 KERNEL(lanes_fold)(KERNEL(lanes) v) {
#if KERNEL_LANES == 16
  return _mm256_add_ps(_mm512_castps512_ps256((__m512)v), _mm512_extractf32x8_ps((__m512)v, 1));
#else
  return (__m256)v;
#endif
}
KERNEL_TARGET static inline VECTOR_INLINE float KERNEL(lanes_total)(KERNEL(lanes) v) {
  __m256 sum = KERNEL(lanes_fold)(v);
  sum = _mm256_hadd_ps(sum, sum);
  sum = _mm256_hadd_ps(sum, sum);
  return _mm_cvtss_f32(_mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1)));
}
KERNEL_TARGET static inline VECTOR_INLINE void KERNEL(lanes_totals)(const KERNEL(lanes) v[4], float out[4]) {
  __m256 low = _mm256_hadd_ps(KERNEL(lanes_fold)(v[0]), KERNEL(lanes_fold)(v[1]));
  __m256 high = _mm256_hadd_ps(KERNEL(lanes_fold)(v[2]), KERNEL(lanes_fold)(v[3]));
  __m256 sum = _mm256_hadd_ps(low, high);
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1)));
}

#else

KERNEL_TARGET static inline VECTOR_INLINE float KERNEL(lanes_total)(KERNEL(lanes) v) {
#if defined(__aarch64__)
  return vaddvq_f32((float32x4_t)v);
#else
  return (v[0] + v[2]) + (v[1] + v[3]);
#endif
}
KERNEL_TARGET static inline VECTOR_INLINE void KERNEL(lanes_totals)(const KERNEL(lanes) v[4], float out[4]) {
  KERNEL_UNROLL for (int i = 0; i < 4; i++) out[i] = KERNEL(lanes_total)(v[i]);
}

#endif

/* ---- comparisons ---- */

#if KERNEL_LANES != 16
typedef __typeof__((KERNEL(lanes)){0} >= (KERNEL(lanes)){0}) KERNEL(masks);

KERNEL_TARGET static inline VECTOR_INLINE bool KERNEL(masks_any)(KERNEL(masks) any) {
#if KERNEL_LANES == 8
  return _mm256_movemask_ps((__m256)any) != 0;
#elif defined(__x86_64__)
  return _mm_movemask_ps((__m128)any) != 0;
#elif defined(__aarch64__)
  return vmaxvq_u32((uint32x4_t)any) != 0;
#else
  return (any[0] | any[1] | any[2] | any[3]) != 0;
#endif
}
#endif

/* Whether any of the register at p is >= its own bar. NaN is not. */
KERNEL_TARGET static inline VECTOR_INLINE bool KERNEL(lanes_reach_each)(const float *p, KERNEL(lanes) bar) {
#if KERNEL_LANES == 16
  return _mm512_cmp_ps_mask(_mm512_loadu_ps(p), (__m512)bar, _CMP_GE_OQ) != 0;
#else
  return KERNEL(masks_any)(LANES(p) >= bar);
#endif
}

/* Whether any of the 4 registers at p has a float >= bar. NaN is not. */
KERNEL_TARGET static inline VECTOR_INLINE bool KERNEL(lanes_reach)(const float *p, float bar) {
#if KERNEL_LANES == 16
  __m512 b = _mm512_set1_ps(bar);
  __mmask16 low = _mm512_cmp_ps_mask(_mm512_loadu_ps(p), b, _CMP_GE_OQ) |
                  _mm512_cmp_ps_mask(_mm512_loadu_ps(p + 16), b, _CMP_GE_OQ);
  __mmask16 high = _mm512_cmp_ps_mask(_mm512_loadu_ps(p + 32), b, _CMP_GE_OQ) |
                   _mm512_cmp_ps_mask(_mm512_loadu_ps(p + 48), b, _CMP_GE_OQ);
  return (low | high) != 0;
#else
  KERNEL(lanes) b = bar - (KERNEL(lanes)){0};
  KERNEL(masks) low = (LANES(p) >= b) | (LANES(p + KERNEL_LANES) >= b);
  return KERNEL(masks_any)(low | (LANES(p + 2 * KERNEL_LANES) >= b) | (LANES(p + 3 * KERNEL_LANES) >= b));
#endif
}

/* Bit i: p[i] >= bar. NaN is not. */
KERNEL_TARGET static inline VECTOR_INLINE uint32_t KERNEL(lanes_reach_bits)(const float *p, float bar) {
#if KERNEL_LANES == 16
  return _mm512_cmp_ps_mask(_mm512_loadu_ps(p), _mm512_set1_ps(bar), _CMP_GE_OQ);
#elif KERNEL_LANES == 8
  return (uint32_t)_mm256_movemask_ps((__m256)(LANES(p) >= KERNEL(lanes_all)(bar)));
#elif defined(__x86_64__)
  return (uint32_t)_mm_movemask_ps((__m128)(LANES(p) >= KERNEL(lanes_all)(bar)));
#else
  KERNEL(masks) reach = LANES(p) >= KERNEL(lanes_all)(bar);
  return (reach[0] & 1u) | (reach[1] & 2u) | (reach[2] & 4u) | (reach[3] & 8u);
#endif
}
