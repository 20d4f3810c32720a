/* math/int8_products.h: the products of a query in int8 with one row and with four. index/row_kernels.c
 * includes this file once a level, with KERNEL, KERNEL_TARGET (lanes.h) and
 *   KERNEL_INT8         INT8_PLAIN, INT8_NEON, INT8_AVX2 or INT8_VNNI
 *
 * Codes are -127 … 127. The query comes with 128 added to each, as uint8, because VNNI multiplies unsigned with signed:
 * the sum of products is then 128 times the row's sum too great, which the caller takes off, or nothing where the
 * instructions want signed codes and the query is turned back: KERNEL(int8_excess) is 128 or 0. All sums fit 32 bits up
 * to ROWS_DIM_MAX codes. They are exact, whatever the order.
 *
 *   VNNI      dpbusd: 64 products a step
 *   AVX2      pmaddubsw of |query| and the row with the query's signs, pmaddwd: 32; pairs stay below 2^15 because no
 *             code is -128. Widening both to 16 bits in 512-bit registers was slower, so AVX-512 alone uses this too.
 *   NEON      smull, smlal, sadalp: 16
 */
#if KERNEL_INT8 == INT8_PLAIN

enum { KERNEL(int8_excess) = 128 };

KERNEL_TARGET static inline int32_t KERNEL(int8_product)(const uint8_t *query, const int8_t *row, size_t dim) {
  int32_t sum = 0;
  _Pragma("omp simd reduction(+ : sum)") for (size_t d = 0; d < dim; d++) sum += query[d] * row[d];
  return sum;
}
KERNEL_TARGET static inline void KERNEL(int8_products)(const uint8_t *query, const void *const row[4], size_t dim,
                                                       int32_t out[4]) {
  for (int r = 0; r < 4; r++) out[r] = KERNEL(int8_product)(query, row[r], dim);
}

#else

#if KERNEL_INT8 == INT8_VNNI

enum { KERNEL(int8_excess) = 128, KERNEL(int8_step) = 64 };
typedef __m512i KERNEL(int8_sum);
typedef __m512i KERNEL(int8_codes), KERNEL(int8_query_codes);

KERNEL_TARGET static inline VECTOR_INLINE KERNEL(int8_codes) KERNEL(int8_last)(const void *p, size_t at, size_t count) {
  return _mm512_maskz_loadu_epi8(((__mmask64)1 << count) - 1, (const int8_t *)p + at);
}
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(int8_codes) KERNEL(int8_load)(const void *p) {
  return _mm512_loadu_si512(p);
}
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(int8_codes) KERNEL(int8_query)(KERNEL(int8_codes) q) { return q; }
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(int8_sum)
    KERNEL(int8_add)(KERNEL(int8_sum) sum, KERNEL(int8_codes) query, KERNEL(int8_codes) row) {
  return _mm512_dpbusd_epi32(sum, query, row);
}
KERNEL_TARGET static inline VECTOR_INLINE __m256i KERNEL(int8_fold)(KERNEL(int8_sum) v) {
  return _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
}

#elif KERNEL_INT8 == INT8_AVX2

enum { KERNEL(int8_excess) = 0, KERNEL(int8_step) = 32 };
typedef __m256i KERNEL(int8_sum);
typedef __m256i KERNEL(int8_codes), KERNEL(int8_query_codes);

KERNEL_TARGET static inline VECTOR_INLINE KERNEL(int8_codes) KERNEL(int8_load)(const void *p) {
  return _mm256_loadu_si256(p);
}
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(int8_codes) KERNEL(int8_last)(const void *p, size_t at, size_t count) {
  unsigned char whole[64] = {0};
  if (at == 0) {
    memcpy(whole, p, count);
    return _mm256_loadu_si256((const __m256i *)whole);
  }
  __m256i place = _mm256_setr_epi8(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11,
                                   10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0); /* from the end */
  __m256i keep = _mm256_cmpgt_epi8(_mm256_set1_epi8((char)count), place);
  return _mm256_and_si256(keep, _mm256_loadu_si256((const __m256i *)((const int8_t *)p + at + count - 32)));
}
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(int8_codes) KERNEL(int8_query)(KERNEL(int8_codes) q) {
  return _mm256_xor_si256(q, _mm256_set1_epi8(-128));
}
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(int8_sum)
    KERNEL(int8_add)(KERNEL(int8_sum) sum, KERNEL(int8_codes) query, KERNEL(int8_codes) row) {
  __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(query), _mm256_sign_epi8(row, query));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
KERNEL_TARGET static inline VECTOR_INLINE __m256i KERNEL(int8_fold)(KERNEL(int8_sum) v) { return v; }

#elif KERNEL_INT8 == INT8_NEON

enum { KERNEL(int8_excess) = 0, KERNEL(int8_step) = 16 };
typedef int32x4_t KERNEL(int8_sum);
typedef int8x16_t KERNEL(int8_codes), KERNEL(int8_query_codes);

KERNEL_TARGET static inline VECTOR_INLINE KERNEL(int8_codes) KERNEL(int8_load)(const void *p) { return vld1q_s8(p); }
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(int8_codes) KERNEL(int8_last)(const void *p, size_t at, size_t count) {
  int8_t whole[16] = {0};
  memcpy(whole, (const int8_t *)p + at, count);
  return vld1q_s8(whole);
}
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(int8_codes) KERNEL(int8_query)(KERNEL(int8_codes) q) {
  return veorq_s8(q, vdupq_n_s8(-128));
}
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(int8_sum)
    KERNEL(int8_add)(KERNEL(int8_sum) sum, KERNEL(int8_codes) query, KERNEL(int8_codes) row) {
  int16x8_t pairs = vmull_s8(vget_low_s8(query), vget_low_s8(row));
  return vpadalq_s16(sum, vmlal_s8(pairs, vget_high_s8(query), vget_high_s8(row)));
}
KERNEL_TARGET static inline VECTOR_INLINE void KERNEL(int8_totals)(const KERNEL(int8_sum) v[4], int32_t out[4]) {
  KERNEL_UNROLL for (int r = 0; r < 4; r++) out[r] = vaddvq_s32(v[r]);
}

#endif

#if KERNEL_INT8 != INT8_NEON
KERNEL_TARGET static inline VECTOR_INLINE void KERNEL(int8_totals)(const KERNEL(int8_sum) v[4], int32_t out[4]) {
  __m256i low = _mm256_hadd_epi32(KERNEL(int8_fold)(v[0]), KERNEL(int8_fold)(v[1]));
  __m256i high = _mm256_hadd_epi32(KERNEL(int8_fold)(v[2]), KERNEL(int8_fold)(v[3]));
  __m256i sum = _mm256_hadd_epi32(low, high);
  _mm_storeu_si128((__m128i *)out, _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1)));
}
#endif

KERNEL_TARGET static inline VECTOR_INLINE void KERNEL(int8_products)(const uint8_t *query, const void *const row[4],
                                                                     size_t dim, int32_t out[4]) {
  enum { STEP = KERNEL(int8_step) };
  KERNEL(int8_sum) sum[4] = {{0}};
  size_t d = 0;
  for (; d + STEP <= dim; d += STEP) {
    KERNEL(int8_query_codes) codes = KERNEL(int8_query)(KERNEL(int8_load)(query + d));
    KERNEL_UNROLL for (int r = 0; r < 4; r++) sum[r] =
        KERNEL(int8_add)(sum[r], codes, KERNEL(int8_load)((const int8_t *)row[r] + d));
  }
  if (d < dim) {
    KERNEL(int8_query_codes) codes = KERNEL(int8_query)(KERNEL(int8_last)(query, d, dim - d));
    KERNEL_UNROLL for (int r = 0; r < 4; r++) sum[r] =
        KERNEL(int8_add)(sum[r], codes, KERNEL(int8_last)(row[r], d, dim - d));
  }
  KERNEL(int8_totals)(sum, out);
}

KERNEL_TARGET static inline VECTOR_INLINE int32_t KERNEL(int8_product)(const uint8_t *query, const int8_t *row,
                                                                       size_t dim) {
  enum { STEP = KERNEL(int8_step) };
  KERNEL(int8_sum) sum[4] = {{0}};
  int32_t parts[4];
  size_t d = 0;
  for (; d + 2 * STEP <= dim; d += 2 * STEP) KERNEL_UNROLL for (int r = 0; r < 2; r++) {
      KERNEL(int8_query_codes) codes = KERNEL(int8_query)(KERNEL(int8_load)(query + d + r * STEP));
      sum[r] = KERNEL(int8_add)(sum[r], codes, KERNEL(int8_load)(row + d + r * STEP));
    }
  if (d + STEP <= dim) {
    sum[2] = KERNEL(int8_add)(sum[2], KERNEL(int8_query)(KERNEL(int8_load)(query + d)), KERNEL(int8_load)(row + d));
    d += STEP;
  }
  if (d < dim)
    sum[3] = KERNEL(int8_add)(sum[3], KERNEL(int8_query)(KERNEL(int8_last)(query, d, dim - d)),
                              KERNEL(int8_last)(row, d, dim - d));
  KERNEL(int8_totals)(sum, parts);
  return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

#endif
