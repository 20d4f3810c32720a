/* math/int8_matrix.c: see math/int8_matrix.h.
 *
 * The instruction multiplies unsigned by signed bytes and adds four products to a lane. So a row of x is bytes from its
 * least value to its greatest, and the byte that stands for 0 times the sum of a row of w is taken away at the end. A
 * panel of 32 rows of w is laid out so that the lanes of two registers are its rows, four columns deep: half a megabyte
 * is turned in the time of a few rows of products, and weights can stay as they lie in memory. */
#include "math/int8_matrix.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "math/clones.h"
#if defined(__x86_64__)
#include "math/vnni.h"
#endif

bool int8_matrix_is_fast(void) { return vector_has_vnni(); }
size_t int8_matrix_row(size_t in) { return (in + 3) & ~(size_t)3; }

/* ---- x ---- */

/* The least and the greatest, 0 among them; flaw: 0, or NaN when a value is no finite number. */
typedef struct row_range {
  float least, most, flaw;
} row_range;

static inline VECTOR_INLINE row_range row_range_of_body(const float *x, size_t count) {
  float least = 0, most = 0, flaw = 0;
  _Pragma("omp simd reduction(min:least) reduction(max:most) reduction(+:flaw)") for (size_t i = 0; i < count; i++) {
    least = x[i] < least ? x[i] : least;
    most = x[i] > most ? x[i] : most;
    flaw += x[i] * 0;
  }
  return (row_range){least, most, flaw};
}
VECTOR_CLONES(static, row_range, row_range_of, (const float *x, size_t count), (x, count))

/* Adding 1.5 * 2^23 rounds to the nearest whole number, whose byte is then the last of the bits. */
static inline VECTOR_INLINE void row_bytes_body(const float *x, float factor, int32_t zero, uint8_t *out,
                                                size_t count) {
  _Pragma("omp simd") for (size_t i = 0; i < count; i++) {
    float rounded = x[i] * factor + 12582912.0f;
    int32_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    int32_t byte = bits - 0x4b400000 + zero;
    byte = byte < 0 ? 0 : byte;
    out[i] = (uint8_t)(byte > 255 ? 255 : byte);
  }
}
VECTOR_CLONES(static, void, row_bytes, (const float *x, float factor, int32_t zero, uint8_t *out, size_t count),
              (x, factor, zero, out, count))

/* Scale and zero of a row. factor: what its numbers are multiplied by. */
static int8_row row_scale(row_range range, float *factor) {
  if (range.flaw != 0) range.least = range.most = 0;
  float scale = range.most > range.least ? (range.most - range.least) / 255 : 1;
  *factor = 1 / scale;
  return (int8_row){range.flaw != 0 ? NAN : scale, (int32_t)lrintf(-range.least * *factor)};
}

static int8_row row_quantise(const float *x, size_t in, uint8_t *out) {
  float factor;
  int8_row row = row_scale(row_range_of(x, in), &factor);
  row_bytes(x, factor, row.zero, out, in);
  return row;
}

#if defined(__x86_64__)
/* Rows of small networks are a few registers long: there the calls of the plain way cost more than its work, and the
 * masks of a last register that is not whole more than a register. */

typedef struct range_lanes {
  __m512 least, most, flaw;
} range_lanes;

VECTOR_TARGET_VNNI static inline VECTOR_INLINE range_lanes range_add(range_lanes r, __m512 x) {
  return (range_lanes){_mm512_min_ps(r.least, x), _mm512_max_ps(r.most, x),
                       _mm512_fmadd_ps(x, _mm512_setzero_ps(), r.flaw)};
}

VECTOR_TARGET_VNNI static inline VECTOR_INLINE __m128i register_bytes(__m512 x, __m512 factor, __m512i zero) {
  __m512i code = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(x, factor)), zero);
  return _mm512_cvtusepi32_epi8(_mm512_max_epi32(code, _mm512_setzero_si512()));
}

VECTOR_TARGET_VNNI static int8_row row_quantise_vnni(const float *x, size_t in, uint8_t *out) {
  size_t whole = in & ~(size_t)15;
  __mmask16 rest = (__mmask16)((1u << (in - whole)) - 1);
  range_lanes all = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
  float factor;
  for (size_t i = 0; i < whole; i += 16) all = range_add(all, _mm512_loadu_ps(x + i));
  if (rest != 0) all = range_add(all, _mm512_maskz_loadu_ps(rest, x + whole));
  bool flaw = _mm512_cmp_ps_mask(all.flaw, all.flaw, _CMP_UNORD_Q) != 0;
  row_range ends = {_mm512_reduce_min_ps(all.least), _mm512_reduce_max_ps(all.most), flaw ? NAN : 0};
  int8_row row = row_scale(ends, &factor);
  __m512i zero = _mm512_set1_epi32(row.zero);
  __m512 factors = _mm512_set1_ps(factor);
  for (size_t i = 0; i < whole; i += 16)
    _mm_storeu_si128((__m128i *)(out + i), register_bytes(_mm512_loadu_ps(x + i), factors, zero));
  if (rest != 0)
    _mm_mask_storeu_epi8(out + whole, rest, register_bytes(_mm512_maskz_loadu_ps(rest, x + whole), factors, zero));
  return row;
}
#else
#define row_quantise_vnni row_quantise
#endif

void int8_matrix_quantise(const float *x, size_t from, size_t to, size_t in, uint8_t *out, int8_row *row) {
  size_t bytes = int8_matrix_row(in);
  bool fast = int8_matrix_is_fast();
  for (size_t r = from; r < to; r++) {
    row[r] = (fast ? row_quantise_vnni : row_quantise)(x + r * in, in, out + r * bytes);
    memset(out + r * bytes + in, 0, bytes - in);
  }
}

/* ---- products ---- */

void int8_matrix_multiply_plain(const int8_matrix_product *p, size_t from, size_t to) {
  size_t bytes = int8_matrix_row(p->in);
  for (size_t o = from * INT8_MATRIX_PANEL; o < to * INT8_MATRIX_PANEL && o < p->out; o++)
    for (size_t r = 0; r < p->rows; r++) {
      int32_t sum = 0;
      for (size_t i = 0; i < p->in; i++) sum += ((int32_t)p->x[r * bytes + i] - p->row[r].zero) * p->w[o * p->in + i];
      p->y[r * p->out + o] = (float)sum * (p->row[r].scale * p->w_scale[o]) + (p->bias ? p->bias[o] : 0);
    }
}

#if defined(__x86_64__)

typedef struct panel {
  int8_t bytes[INT8_MATRIX_IN_MAX / 4][INT8_MATRIX_PANEL][4];
  int32_t sum[INT8_MATRIX_PANEL]; /* of each row of w */
  size_t groups, first, width;    /* groups of four columns; rows [first, first + width) of w */
} panel;

static void panel_fill(panel *b, const int8_matrix_product *p, size_t number) {
  b->groups = int8_matrix_row(p->in) / 4;
  b->first = number * INT8_MATRIX_PANEL;
  b->width = p->out - b->first < INT8_MATRIX_PANEL ? p->out - b->first : INT8_MATRIX_PANEL;
  for (size_t o = 0; o < INT8_MATRIX_PANEL; o++) {
    const int8_t *w = p->w + (b->first + o) * p->in;
    int32_t sum = 0;
    size_t whole = o < b->width ? p->in / 4 : 0;
    for (size_t g = 0; g < whole; g++) memcpy(b->bytes[g][o], w + 4 * g, 4);
    for (size_t g = whole; g < b->groups; g++)
      for (size_t k = 0; k < 4; k++) b->bytes[g][o][k] = o < b->width && 4 * g + k < p->in ? w[4 * g + k] : 0;
    size_t all = o < b->width ? p->in : 0;
    _Pragma("omp simd reduction(+ : sum)") for (size_t i = 0; i < all; i++) sum += w[i];
    b->sum[o] = sum;
  }
}

/* What turns the sums of a panel's half, its columns from `at` on, into outputs. */
typedef struct half_panel {
  __m512i sum;
  __m512 scale, bias;
  __mmask16 some;
  size_t first;
} half_panel;

VECTOR_TARGET_VNNI static inline VECTOR_INLINE half_panel half_of(const int8_matrix_product *p, const panel *b,
                                                                  size_t at) {
  size_t left = b->width > at ? b->width - at : 0, o = b->first + at;
  __mmask16 some = left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
  return (half_panel){_mm512_loadu_si512(b->sum + at), _mm512_maskz_loadu_ps(some, p->w_scale + o),
                      p->bias ? _mm512_maskz_loadu_ps(some, p->bias + o) : _mm512_setzero_ps(), some, o};
}

VECTOR_TARGET_VNNI static inline VECTOR_INLINE void half_finish(const int8_matrix_product *p, const half_panel *h,
                                                                __m512i sum, size_t r) {
  __m512i offset = _mm512_mullo_epi32(_mm512_set1_epi32(p->row[r].zero), h->sum);
  __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, offset));
  __m512 factor = _mm512_mul_ps(_mm512_set1_ps(p->row[r].scale), h->scale);
  _mm512_mask_storeu_ps(p->y + r * p->out + h->first, h->some, _mm512_fmadd_ps(value, factor, h->bias));
}

/* `count` rows (a constant where it is called, so that the sums are registers) times the panel. */
VECTOR_TARGET_VNNI static inline VECTOR_INLINE void rows_multiply(const int8_matrix_product *p, const panel *b,
                                                                  size_t r, size_t count) {
  size_t row = 4 * b->groups;
  const uint8_t *x = p->x + r * row;
  __m512i sum[8][2];
  _Pragma("GCC unroll 8") for (size_t i = 0; i < count; i++) sum[i][0] = sum[i][1] = _mm512_setzero_si512();
  for (size_t g = 0; g < b->groups; g++) {
    __m512i left = _mm512_loadu_si512(b->bytes[g][0]), right = _mm512_loadu_si512(b->bytes[g][16]);
    _Pragma("GCC unroll 8") for (size_t i = 0; i < count; i++) {
      int32_t four;
      memcpy(&four, x + i * row + 4 * g, sizeof four);
      __m512i same = _mm512_set1_epi32(four);
      sum[i][0] = vnni_dot(sum[i][0], same, left);
      sum[i][1] = vnni_dot(sum[i][1], same, right);
    }
  }
  half_panel low = half_of(p, b, 0), high = half_of(p, b, 16);
  _Pragma("GCC unroll 8") for (size_t i = 0; i < count; i++) {
    half_finish(p, &low, sum[i][0], r + i);
    half_finish(p, &high, sum[i][1], r + i);
  }
}

VECTOR_TARGET_VNNI static void panel_multiply(const int8_matrix_product *p, const panel *b) {
  size_t r = 0;
  for (; r + 8 <= p->rows; r += 8) rows_multiply(p, b, r, 8);
  for (; r + 4 <= p->rows; r += 4) rows_multiply(p, b, r, 4);
  for (; r < p->rows; r++) rows_multiply(p, b, r, 1);
}

void int8_matrix_multiply(const int8_matrix_product *p, size_t from, size_t to) {
  assert(p->in <= INT8_MATRIX_IN_MAX);
  if (!vector_has_vnni()) {
    int8_matrix_multiply_plain(p, from, to);
    return;
  }
  panel b;
  for (size_t number = from; number < to; number++) {
    panel_fill(&b, p, number);
    panel_multiply(p, &b);
  }
}

#else

void int8_matrix_multiply(const int8_matrix_product *p, size_t from, size_t to) {
  int8_matrix_multiply_plain(p, from, to);
}

#endif
