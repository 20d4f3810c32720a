/* math/code_sums.c: see math/code_sums.h.
 *
 * A lookup that goes through memory costs a load for the byte and a load for the entry. 256 bytes fit in four registers
 * of AVX-512, and two permutations look up 64 of them at once (VPERMI2B, AVX-512 VBMI: Intel from Ice Lake, AMD from
 * Zen 4); entries of 16 bits are two such tables. It is the idea of "fast scan" (André, Kermarrec & Le Scouarnec 2015),
 * without giving up 8-bit codes for 4-bit ones. AVX2 can only shuffle 16 entries; 16 shuffles a byte, of which one
 * counts, were slower than the plain loop and were dropped.
 */
#include "math/code_sums.h"

#include <string.h>

#include "math/clones.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static size_t size_min(size_t a, size_t b) { return a < b ? a : b; }

/* The width of the group that an entry is in. */
static size_t group_width(size_t capacity, size_t group) { return size_min(CODE_GROUP, capacity - group * CODE_GROUP); }

static size_t code_at(size_t capacity, size_t parts, size_t entry, size_t *step) {
  size_t group = entry / CODE_GROUP;
  *step = group_width(capacity, group);
  return group * CODE_GROUP * parts + entry % CODE_GROUP;
}

void code_put(uint8_t *codes, size_t capacity, size_t parts, size_t entry, const uint8_t *code) {
  size_t step, at = code_at(capacity, parts, entry, &step);
  for (size_t j = 0; j < parts; j++) codes[at + j * step] = code[j];
}

void code_get(const uint8_t *codes, size_t capacity, size_t parts, size_t entry, uint8_t *code) {
  size_t step, at = code_at(capacity, parts, entry, &step);
  for (size_t j = 0; j < parts; j++) code[j] = codes[at + j * step];
}

static inline VECTOR_INLINE void table_split_body(const uint16_t *entries, uint8_t *low, uint8_t *high) {
  _Pragma("omp simd") for (size_t c = 0; c < 256; c++) {
    low[c] = (uint8_t)entries[c];
    high[c] = (uint8_t)(entries[c] >> 8);
  }
}
VECTOR_CLONES(static, void, table_split, (const uint16_t *entries, uint8_t *low, uint8_t *high), (entries, low, high))

void code_tables_split(code_tables *t, size_t parts) {
  for (size_t j = 0; j < parts; j++) table_split(t->entries + j * 256, t->planes + j * 512, t->planes + j * 512 + 256);
}

/* Four bytes of an entry at a time: a sum goes through memory a quarter as often. */
static void group_sums(const uint8_t *group, size_t width, size_t entries, size_t parts, const uint16_t *tables,
                       uint32_t *out) {
  size_t j = 0;
  for (; j + 4 <= parts; j += 4) {
    const uint16_t *table = tables + j * 256;
    const uint8_t *bytes = group + j * width;
    for (size_t i = 0; i < entries; i++)
      out[i] += (uint32_t)table[bytes[i]] + table[256 + bytes[width + i]] + table[512 + bytes[2 * width + i]] +
                table[768 + bytes[3 * width + i]];
  }
  for (; j < parts; j++)
    for (size_t i = 0; i < entries; i++) out[i] += tables[j * 256 + group[j * width + i]];
}

static void code_sums_plain(const uint8_t *codes, size_t capacity, size_t count, size_t parts, const code_tables *t,
                            uint32_t *sums) {
  memset(sums, 0, count * sizeof *sums);
  for (size_t first = 0; first < count; first += CODE_GROUP)
    group_sums(codes + first * parts, group_width(capacity, first / CODE_GROUP), size_min(CODE_GROUP, count - first),
               parts, t->entries, sums + first);
}

/* ---- estimates ---- */

/* Without a branch that nobody can foretell: each value is written, and kept by counting it. */
static size_t estimates_plain(const uint32_t *sums, const float *norms, size_t first, size_t count, float base,
                              float step, bool subtract, float bar, uint32_t *at, float *value) {
  size_t kept = 0;
  for (size_t i = first; i < count; i++) {
    float v = base + step * (float)sums[i];
    v = subtract ? v - norms[i] : v * norms[i];
    at[kept] = (uint32_t)i;
    value[kept] = v;
    kept += v > bar;
  }
  return kept;
}

#if defined(__x86_64__)

/* ---- AVX-512 with VBMI ---- */

#define TARGET_VBMI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx2,fma,f16c")))

/* The entries of a table of 256 bytes that 64 bytes name. */
TARGET_VBMI static inline VECTOR_INLINE __m512i look_up_vbmi(const __m512i table[4], __m512i bytes) {
  __m512i low = _mm512_permutex2var_epi8(table[0], bytes, table[1]);
  __m512i high = _mm512_permutex2var_epi8(table[2], bytes, table[3]);
  return _mm512_mask_blend_epi8(_mm512_movepi8_mask(bytes), low, high);
}

/* Sums of 64 bytes each in 16 bits: `all` has had both bytes of a pair added as one number, `odd` the upper one. */
typedef struct sums_vbmi {
  __m512i all, odd;
} sums_vbmi;

TARGET_VBMI static inline VECTOR_INLINE void sums_add_vbmi(sums_vbmi *s, __m512i found) {
  s->all = _mm512_add_epi16(s->all, found);
  s->odd = _mm512_add_epi16(s->odd, _mm512_srli_epi16(found, 8));
}

/* out [64] = low + 256 * high. The pairs lie as low ones and high ones of 32-bit lanes after taking the odd ones off;
 * two permutations put them in order. */
TARGET_VBMI static inline VECTOR_INLINE void sums_store_vbmi(const sums_vbmi *low, const sums_vbmi *high,
                                                             uint32_t *out) {
  __m512i even_low = _mm512_sub_epi16(low->all, _mm512_slli_epi16(low->odd, 8));
  __m512i even_high = _mm512_sub_epi16(high->all, _mm512_slli_epi16(high->odd, 8));
  KERNEL_UNROLL for (int half = 0; half < 2; half++) {
    __m512i e = _mm512_add_epi32(
        _mm512_cvtepu16_epi32(half ? _mm512_extracti64x4_epi64(even_low, 1) : _mm512_castsi512_si256(even_low)),
        _mm512_slli_epi32(
            _mm512_cvtepu16_epi32(half ? _mm512_extracti64x4_epi64(even_high, 1) : _mm512_castsi512_si256(even_high)),
            8));
    __m512i o = _mm512_add_epi32(
        _mm512_cvtepu16_epi32(half ? _mm512_extracti64x4_epi64(low->odd, 1) : _mm512_castsi512_si256(low->odd)),
        _mm512_slli_epi32(
            _mm512_cvtepu16_epi32(half ? _mm512_extracti64x4_epi64(high->odd, 1) : _mm512_castsi512_si256(high->odd)),
            8));
    const __m512i first = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i second = _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
    _mm512_storeu_si512(out + 32 * half, _mm512_permutex2var_epi32(e, first, o));
    _mm512_storeu_si512(out + 32 * half + 16, _mm512_permutex2var_epi32(e, second, o));
  }
}

/* `groups` groups of 64 at a distance of 64 * parts, each [parts][width]; `mask` says which bytes may be read. */
TARGET_VBMI static inline VECTOR_INLINE void groups_vbmi(const uint8_t *codes, size_t width, __mmask64 mask, int groups,
                                                         size_t parts, const uint8_t *planes, uint32_t *out) {
  sums_vbmi low[4], high[4];
  KERNEL_UNROLL for (int g = 0; g < groups; g++) low[g].all = low[g].odd = high[g].all = high[g].odd =
      _mm512_setzero_si512();
  for (size_t j = 0; j < parts; j++) {
    __m512i low_table[4], high_table[4];
    KERNEL_UNROLL for (int i = 0; i < 4; i++) {
      low_table[i] = _mm512_loadu_si512(planes + j * 512 + 64 * i);
      high_table[i] = _mm512_loadu_si512(planes + j * 512 + 256 + 64 * i);
    }
    KERNEL_UNROLL for (int g = 0; g < groups; g++) {
      __m512i bytes = _mm512_maskz_loadu_epi8(mask, codes + (size_t)g * CODE_GROUP * parts + j * width);
      sums_add_vbmi(&low[g], look_up_vbmi(low_table, bytes));
      sums_add_vbmi(&high[g], look_up_vbmi(high_table, bytes));
    }
  }
  KERNEL_UNROLL for (int g = 0; g < groups; g++) sums_store_vbmi(&low[g], &high[g], out + g * CODE_GROUP);
}

TARGET_VBMI static void code_sums_vbmi(const uint8_t *codes, size_t capacity, size_t count, size_t parts,
                                       const code_tables *t, uint32_t *sums) {
  size_t first = 0;
  for (; first + 4 * CODE_GROUP <= count; first += 4 * CODE_GROUP)
    groups_vbmi(codes + first * parts, CODE_GROUP, ~(__mmask64)0, 4, parts, t->planes, sums + first);
  for (; first < count; first += CODE_GROUP) {
    size_t entries = size_min(CODE_GROUP, count - first);
    __mmask64 mask = entries < CODE_GROUP ? ((__mmask64)1 << entries) - 1 : ~(__mmask64)0;
    groups_vbmi(codes + first * parts, group_width(capacity, first / CODE_GROUP), mask, 1, parts, t->planes,
                sums + first);
  }
}

/* Whole registers only. */
VECTOR_TARGET_AVX512 static size_t estimates_avx512(const uint32_t *sums, const float *norms, size_t count, float base,
                                                    float step, bool subtract, float bar, uint32_t *at, float *value) {
  size_t kept = 0;
  float lanes[16];
  for (size_t i = 0; i + 16 <= count; i += 16) {
    __m512 sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(sums + i));
    __m512 v = _mm512_fmadd_ps(_mm512_set1_ps(step), sum, _mm512_set1_ps(base)), norm = _mm512_loadu_ps(norms + i);
    v = subtract ? _mm512_sub_ps(v, norm) : _mm512_mul_ps(v, norm);
    unsigned above = _mm512_cmp_ps_mask(v, _mm512_set1_ps(bar), _CMP_GT_OQ);
    if (above == 0) continue;
    _mm512_storeu_ps(lanes, v);
    for (; above != 0; above &= above - 1) {
      unsigned lane = (unsigned)__builtin_ctz(above);
      at[kept] = (uint32_t)i + lane;
      value[kept++] = lanes[lane];
    }
  }
  return kept;
}

#define HAS_AVX512 (vector_level_get() >= VECTOR_AVX512)
#define HAS_VBMI (vector_level_get() >= VECTOR_AVX512 && __builtin_cpu_supports("avx512vbmi"))
#else
#define code_sums_vbmi code_sums_plain
#define estimates_avx512(...) 0
#define HAS_AVX512 false
#define HAS_VBMI false
#endif

code_sums_version code_sums_at(int level) {
  if (level == 0) return code_sums_plain;
  return level == 1 && HAS_VBMI ? code_sums_vbmi : NULL;
}

void code_sums(const uint8_t *codes, size_t capacity, size_t count, size_t parts, const code_tables *t,
               uint32_t *sums) {
  if (HAS_VBMI)
    code_sums_vbmi(codes, capacity, count, parts, t, sums);
  else
    code_sums_plain(codes, capacity, count, parts, t, sums);
}

size_t code_estimates(const uint32_t *sums, const float *norms, size_t count, float base, float step, bool subtract,
                      float bar, uint32_t *at, float *value) {
  size_t kept = 0, done = 0;
  if (HAS_AVX512) {
    kept = estimates_avx512(sums, norms, count, base, step, subtract, bar, at, value);
    done = count / 16 * 16;
  }
  return kept + estimates_plain(sums, norms, done, count, base, step, subtract, bar, at + kept, value + kept);
}
