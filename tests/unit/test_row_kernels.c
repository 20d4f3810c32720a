/* The kernels over stored rows: every level against the definition, one row and four, and what encoding loses. */
#include "test.h"

#include "base/memory.h"
#include "base/rng.h"
#include "index/row_kernels.h"
#include "math/clones.h"

/* A query and four rows, each in a block of its own size that begins off any alignment, so that a load beyond a row is
 * seen by the address sanitizer. */
typedef struct sample {
  size_t dim;
  row_storage storage;
  bool l2;
  float *vector, *decoded[4];
  unsigned char *block[4];
  const void *row[4];
  row_query query;
} sample;

static void sample_init(sample *s, rng *r) {
  size_t element = s->storage == ROW_F32 ? sizeof(float) : s->storage == ROW_F16 ? sizeof(uint16_t) : 1;
  size_t bytes = row_bytes(s->storage, s->dim);
  float *given = mem_alloc(s->dim, sizeof *given);
  s->vector = mem_alloc(s->dim, sizeof *s->vector);
  s->query.vector = s->vector;
  s->query.own = mem_alloc(bytes, 1);
  for (size_t d = 0; d < s->dim; d++) s->vector[d] = (float)rng_normal(r);
  row_query_encode(&s->query, s->storage, s->dim, false, s->query.own);
  for (int i = 0; i < 4; i++) {
    for (size_t d = 0; d < s->dim; d++) given[d] = (float)rng_normal(r);
    s->block[i] = mem_alloc(bytes + element, 1);
    s->row[i] = s->block[i] + element;
    row_encode(s->storage, given, s->dim, false, s->block[i] + element);
    s->decoded[i] = mem_alloc(s->dim, sizeof *s->decoded[i]);
    row_decode(s->storage, s->row[i], s->dim, s->decoded[i]);
  }
  mem_free(given);
}

static void sample_deinit(sample *s) {
  for (int i = 0; i < 4; i++) mem_free(s->block[i]), mem_free(s->decoded[i]);
  mem_free(s->vector);
  mem_free(s->query.own);
}

/* The query as the kernels see it: int8 rounds it too. */
static double query_value(const sample *s, size_t d) {
  if (s->storage != ROW_INT8) return s->vector[d];
  return (double)s->query.scale * (((const uint8_t *)s->query.code)[d] - 128);
}

static double slow_score(const sample *s, int row) {
  double dot = 0, gap = 0;
  for (size_t d = 0; d < s->dim; d++) {
    double q = query_value(s, d), x = s->decoded[row][d];
    dot += q * x;
    gap += (q - x) * (q - x);
  }
  return s->l2 ? -gap : dot;
}

static void check_level(const sample *s, const row_kernels *k) {
  float four[4];
  k->four(&s->query, s->row, s->dim, four);
  for (int i = 0; i < 4; i++) {
    assert_near(four[i], slow_score(s, i), 1e-6 * (double)s->dim + 1e-5);
    assert_true(k->one(&s->query, s->row[i], s->dim) == four[i]);
    assert_true(k->stream(&s->query, s->row[i], s->dim) == four[i]);
  }
}

static void test_levels(void **state) {
  (void)state;
  static const size_t more[] = {100, 128, 255, 384, 1280};
  rng r;
  rng_seed(&r, 4);
  for (size_t t = 1; t <= 70 + sizeof more / sizeof *more; t++)
    for (int storage = 0; storage < ROW_STORAGE_COUNT; storage++)
      for (int l2 = 0; l2 < 2; l2++) {
        sample s = {.dim = t <= 70 ? t : more[t - 71], .storage = (row_storage)storage, .l2 = l2};
        sample_init(&s, &r);
        for (int level = 0; level < ROW_LEVEL_COUNT; level++) {
          const row_kernels *k = row_kernels_at((row_level)level, s.storage, l2);
          if (k != NULL) check_level(&s, k);
        }
        sample_deinit(&s);
      }
}

static void test_choice(void **state) {
  (void)state;
  assert_non_null(row_kernels_at(ROW_BASELINE, ROW_F16, false));
  assert_true((row_kernels_at(ROW_AVX2, ROW_F32, false) != NULL) == (vector_level_get() >= VECTOR_AVX2));
  assert_true((row_kernels_at(ROW_VNNI, ROW_INT8, false) != NULL) == vector_has_vnni());
  for (int storage = 0; storage < ROW_STORAGE_COUNT; storage++) {
    const row_kernels *best = NULL;
    for (int level = 0; level < ROW_LEVEL_COUNT; level++) {
      const row_kernels *k = row_kernels_at((row_level)level, (row_storage)storage, true);
      if (k != NULL) best = k;
    }
    assert_ptr_equal(row_kernels_choose((row_storage)storage, true), best);
  }
}

/* The greatest int8 codes of the greatest dimension still fit the sums. */
static void test_greatest(void **state) {
  (void)state;
  float *ones = mem_alloc(ROWS_DIM_MAX, sizeof *ones);
  unsigned char *row = mem_alloc(row_bytes(ROW_INT8, ROWS_DIM_MAX), 1);
  for (int sign = -1; sign <= 1; sign += 2) {
    row_query q = {.vector = ones, .own = mem_alloc(ROWS_DIM_MAX, 1)};
    for (size_t d = 0; d < ROWS_DIM_MAX; d++) ones[d] = (float)sign;
    row_encode(ROW_INT8, ones, ROWS_DIM_MAX, false, row);
    for (size_t d = 0; d < ROWS_DIM_MAX; d++) ones[d] = 1;
    row_query_encode(&q, ROW_INT8, ROWS_DIM_MAX, false, q.own);
    for (int level = 0; level < ROW_LEVEL_COUNT; level++)
      for (int l2 = 0; l2 < 2; l2++) {
        const row_kernels *k = row_kernels_at((row_level)level, ROW_INT8, l2);
        double expected = l2 ? (sign < 0 ? -4.0 * ROWS_DIM_MAX : 0) : (double)sign * ROWS_DIM_MAX;
        if (k != NULL) assert_near(k->one(&q, row, ROWS_DIM_MAX), expected, 0.1);
      }
    mem_free(q.own);
  }
  mem_free(ones);
  mem_free(row);
}

/* A stored row as a query is the query that was stored, and its cosine with itself is 1. */
static void test_itself(void **state) {
  (void)state;
  enum { DIM = 77 };
  rng r;
  rng_seed(&r, 5);
  for (int storage = 0; storage < ROW_STORAGE_COUNT; storage++) {
    float given[DIM], vector[DIM], length = 0;
    unsigned char row[DIM * 4 + 64], code[DIM * 4 + 64];
    for (int d = 0; d < DIM; d++) given[d] = (float)rng_normal(&r), length += given[d] * given[d];
    row_encode((row_storage)storage, given, DIM, true, row);
    row_query q = {.vector = vector};
    row_query_encode_row(&q, (row_storage)storage, row, DIM, code);
    assert_near(row_kernels_choose((row_storage)storage, false)->one(&q, row, DIM), 1, 1e-3);
    assert_near(row_kernels_choose((row_storage)storage, true)->one(&q, row, DIM), 0, 1e-6);
    for (int d = 0; d < DIM; d++) vector[d] = given[d] / sqrtf(length);
    row_query_encode(&q, (row_storage)storage, DIM, true, code);
    assert_near(row_kernels_choose((row_storage)storage, false)->one(&q, row, DIM), 1, 1e-3);
  }
}

/* What is stored is what was given, as near as the storage can. */
static void test_round_trip(void **state) {
  (void)state;
  static const struct {
    row_storage storage;
    double share; /* of the greatest value */
  } rows[] = {{ROW_F32, 0}, {ROW_F16, 0.0005}, {ROW_INT8, 0.5 / 127 + 1e-6}};
  static const float scales[] = {1, 1000, 1e-3f};
  enum { DIM = 131 };
  rng r;
  rng_seed(&r, 6);
  for (size_t t = 0; t < sizeof rows / sizeof *rows; t++)
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
      float given[DIM], back[DIM], greatest = 0;
      unsigned char row[DIM * 4 + 64];
      for (int d = 0; d < DIM; d++) {
        given[d] = scales[k] * (float)rng_normal(&r);
        greatest = fmaxf(greatest, fabsf(given[d]));
      }
      row_encode(rows[t].storage, given, DIM, false, row);
      row_decode(rows[t].storage, row, DIM, back);
      for (int d = 0; d < DIM; d++) assert_near(back[d], given[d], rows[t].share * greatest);
      for (int d = 0; d < DIM; d++) given[d] = 0;
      row_encode(rows[t].storage, given, DIM, true, row);
      row_decode(rows[t].storage, row, DIM, back);
      for (int d = 0; d < DIM; d++) assert_true(back[d] == 0);
    }
}

/* The reciprocal of the norm would be infinite. */
static void test_tiny(void **state) {
  (void)state;
  for (int storage = ROW_F32; storage < ROW_STORAGE_COUNT; storage++)
    for (float size = 1e-36f; size > 1e-44f; size /= 10) {
      float vector[4] = {size, -size, size, size}, back[4];
      _Alignas(16) unsigned char row[64];
      row_encode((row_storage)storage, vector, 4, true, row);
      row_decode((row_storage)storage, row, 4, back);
      for (size_t d = 0; d < 4; d++) assert_near(back[d], d == 1 ? -0.5 : 0.5, 0.01);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_levels), cmocka_unit_test(test_choice),     cmocka_unit_test(test_greatest),
      cmocka_unit_test(test_itself), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_tiny),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
