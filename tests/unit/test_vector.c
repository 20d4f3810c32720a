/* Vector kernels of every level against plain twins, half precision, the k best. */
#include "test.h"

#include "base/memory.h"
#include "base/rng.h"
#include "math/clones.h"
#include "math/vector.h"

enum { LENGTH = 300 };
static float a[LENGTH + 1], b[LENGTH + 1], y[LENGTH + 1];

static void fill(uint64_t seed) {
  rng r;
  rng_seed(&r, seed);
  for (int i = 0; i <= LENGTH; i++)
    a[i] = (float)rng_normal(&r), b[i] = (float)rng_normal(&r), y[i] = (float)rng_normal(&r);
}

/* All lengths up to some registers, and an unaligned start. */
static void test_kernels(void **state) {
  (void)state;
  for (int level = 0; level < VECTOR_LEVEL_COUNT; level++) {
    const vector_kernels *k = vector_kernels_at(level);
    if (k == NULL) continue;
    for (size_t dim = 0; dim < LENGTH; dim++) {
      fill(dim);
      const float *p = a + 1;
      double dot = 0, gap = 0, sum = 0;
      for (size_t i = 0; i < dim; i++) {
        dot += (double)p[i] * b[i];
        gap += ((double)p[i] - b[i]) * ((double)p[i] - b[i]);
        sum += p[i];
      }
      assert_near(k->dot(p, b, dim), dot, 1e-4);
      assert_near(k->squared_distance(p, b, dim), gap, 1e-4 * (1 + gap));
      assert_near(k->sum(p, dim), sum, 1e-4);
      float held[LENGTH + 1];
      memcpy(held, y, sizeof held);
      k->add_scaled(y, 0.5f, p, dim);
      for (size_t i = 0; i < dim; i++) assert_near(y[i], held[i] + 0.5 * p[i], 1e-6);
      k->scale(y, -2, dim);
      for (size_t i = 0; i < dim; i++) assert_near(y[i], -2 * (held[i] + 0.5 * p[i]), 3e-6);
      assert_true(y[dim] == held[dim]);
    }
  }
  assert_null(vector_kernels_at(VECTOR_LEVEL_COUNT));
}

static void test_weighted_rows(void **state) {
  (void)state;
  static const uint32_t row[] = {2, 0, 2};
  static const float weight[] = {1, -0.5f, 2};
  fill(7);
  for (int level = 0; level < VECTOR_LEVEL_COUNT; level++)
    for (size_t dim = 1; vector_kernels_at(level) && dim <= LENGTH / 3; dim++) {
      vector_kernels_at(level)->weighted_rows(a, dim, row, weight, 3, y);
      for (size_t d = 0; d < dim; d++) assert_near(y[d], 3 * a[2 * dim + d] - 0.5 * a[d], 1e-5);
    }
  vector_weighted_rows(a, 5, row, weight, 0, y);
  for (int d = 0; d < 5; d++) assert_true(y[d] == 0);
}

static void test_rows_reflect(void **state) {
  (void)state;
  static const uint32_t row[] = {2, 0, 2, 1, 0, 1, 2};
  static const float weight[] = {1, -0.5f, 2, 0.25f, 1, 3, -1};
  for (int level = 0; level < VECTOR_LEVEL_COUNT; level++)
    for (size_t dim = 1; vector_kernels_at(level) && dim <= LENGTH / 3; dim++)
      for (size_t count = 0; count <= 7; count++) {
        double expected[LENGTH], size = 1;
        fill(7);
        for (size_t d = 0; d < dim; d++) expected[d] = (double)y[d];
        for (size_t i = 0; i < count; i++) {
          double dot = 0;
          for (size_t d = 0; d < dim; d++) dot += (double)a[row[i] * dim + d] * (double)b[d];
          for (size_t d = 0; d < dim; d++) expected[d] += (double)weight[i] * dot * (double)a[row[i] * dim + d];
          size += fabs(dot);
        }
        float after = y[dim];
        vector_kernels_at(level)->rows_reflect(a, dim, row, weight, count, b, y);
        for (size_t d = 0; d < dim; d++) assert_near((double)y[d], expected[d], 1e-5 * size);
        assert_true(y[dim] == after);
      }
}

static void test_find(void **state) {
  (void)state;
  float x[200], bar[200];
  for (int level = 0; level < VECTOR_LEVEL_COUNT; level++)
    for (size_t at = 0; vector_kernels_at(level) && at < 200; at++) {
      const vector_kernels *k = vector_kernels_at(level);
      for (size_t i = 0; i < 200; i++) x[i] = i % 3 == 0 ? NAN : 1;
      for (size_t i = 0; i < 200; i++) bar[i] = i == at ? 1.75f : 1.25f;
      assert_int_equal(k->find_each(x, bar, 0, 0, 200), 200);
      x[at] = 2;
      assert_int_equal(k->find_each(x, bar, 0.25f, 0, 200), at);
      assert_int_equal(k->find_each(x, bar, 0.25f, at / 3, at + 1), at);
      assert_int_equal(k->find_each(x, bar, 0.25f, at + 1, 200), 200);
      assert_int_equal(k->find_each(x, bar, 0.26f, 0, 200), 200);
      assert_int_equal(k->find(x, 0, 200, 2), at);
      assert_int_equal(k->find(x, at / 2, 200, 1.5f), at);
      assert_int_equal(k->find(x, at + 1, 200, 1.5f), 200);
      assert_int_equal(k->find(x, 0, at, 1.5f), at);
      assert_int_equal(k->find(x, 0, 200, 3), 200);
      uint32_t all[200], expected = 0;
      size_t found = k->find_all(x, at + 1, 1, all);
      for (uint32_t i = 0; i <= at; i++)
        if (x[i] >= 1) assert_true(expected < found && all[expected++] == i);
      assert_int_equal(found, expected);
    }
  assert_int_equal(vector_find(x, 0, 0, 0), 0);
  assert_int_equal(vector_find(x, 0, 200, -INFINITY), 1);
}

static void test_norm(void **state) {
  (void)state;
  float huge[2] = {3e30f, 4e30f}, tiny[2] = {3e-30f, 4e-30f}, smallest[2] = {3e-42f, 4e-42f}, zero[3] = {0},
        x[3] = {1, 2, -2};
  assert_near(vector_norm(huge, 2) / 5e30, 1, 1e-6);
  assert_near(vector_normalise(huge, 2) / 5e30, 1, 1e-6);
  assert_near(huge[1], 0.8, 1e-6);
  assert_near(vector_normalise(tiny, 2) / 5e-30, 1, 1e-6);
  assert_near(tiny[0], 0.6, 1e-6);
  vector_normalise(smallest, 2);
  assert_near(smallest[1], 0.8, 1e-2);
  assert_true(vector_normalise(zero, 3) == 0 && zero[2] == 0);
  assert_near(vector_normalise(x, 3), 3, 1e-6);
  assert_near(x[2], -2.0 / 3, 1e-6);
  double mean, deviation;
  float v[4] = {1, 2, 3, 6};
  vector_moments(v, 4, &mean, &deviation);
  assert_near(mean, 3, 1e-12);
  assert_near(deviation, sqrt(3.5), 1e-12);
  vector_moments(v, 0, &mean, &deviation);
  assert_true(mean == 0 && deviation == 0);
}

static uint16_t half_one(float value) { /* eight at once go by instruction, one by hand */
  float in[8];
  uint16_t wide[8], single;
  for (int i = 0; i < 8; i++) in[i] = value;
  half_from_float(wide, in, 8);
  half_from_float(&single, in, 1);
  if (wide[7] != single) fail_msg("%g is %04x by instruction and %04x by hand", (double)value, wide[7], single);
  return single;
}

static void test_half(void **state) {
  (void)state;
  /* Values from IEEE 754: the exact ones, ties to even, the borders of subnormals and of infinity. */
  static const struct {
    float value;
    uint16_t half;
  } rows[] = {
      {0, 0},
      {-0.0f, 0x8000},
      {1, 0x3c00},
      {-2, 0xc000},
      {65504, 0x7bff},
      {65519.996f, 0x7bff},
      {65520, 0x7c00},
      {1e9f, 0x7c00},
      {INFINITY, 0x7c00},
      {-INFINITY, 0xfc00},
      {0x1p-14f, 0x0400},
      {0x1p-24f, 1},
      {0x1p-25f, 0},
      {0x1.000002p-25f, 1},
      {0x1.8p-24f, 2},
      {0x1.ff8p-15f, 0x03ff},
      {0x1.ffap-15f, 0x03ff},
      {0x1.ffcp-15f, 0x0400},
      {1.0f + 0x1p-11f, 0x3c00},
      {1.0f + 0x1.8p-10f, 0x3c02},
      {0.1f, 0x2e66},
      {3.14159274f, 0x4248},
      {1e-30f, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_int_equal(half_one(rows[i].value), rows[i].half);
  assert_int_equal(half_one(NAN) & 0x7e00, 0x7e00);
  /* All 65,536 there and back. */
  uint16_t *all = mem_alloc(65536, 2), *back = mem_alloc(65536, 2);
  float *wide = mem_alloc(65536, 4), single;
  for (int i = 0; i < 65536; i++) all[i] = (uint16_t)i;
  float_from_half(wide, all, 65536);
  half_from_float(back, wide, 65536);
  for (int i = 0; i < 65536; i++) {
    float_from_half(&single, all + i, 1);
    if ((i & 0x7c00) == 0x7c00 && (i & 0x3ff)) {
      assert_true(isnan(wide[i]) && isnan(single));
      continue;
    }
    assert_true(single == wide[i] && back[i] == i && half_one(wide[i]) == i);
  }
  rng r;
  rng_seed(&r, 3);
  for (int i = 0; i < 100000; i++) half_one((float)ldexp(rng_normal(&r), (int)rng_below(&r, 50) - 30));
  mem_free(all);
  mem_free(back);
  mem_free(wide);
}

static int scored_compare(const void *p, const void *q) {
  const scored *x = p, *z = q;
  if (x->score != z->score) return x->score > z->score ? -1 : 1;
  return x->index < z->index ? -1 : 1;
}

/* The twin sorts everything. */
static void test_top_k(void **state) {
  (void)state;
  rng r;
  rng_seed(&r, 11);
  enum { MOST = 700 };
  float scores[MOST];
  uint8_t skip[MOST];
  scored out[MOST + 1], twin[MOST];
  for (int trial = 0; trial < 400; trial++) {
    size_t count = rng_below(&r, MOST), k = rng_below(&r, trial % 2 ? 20 : MOST + 1), all = 0;
    for (size_t i = 0; i < count; i++) {
      scores[i] = trial % 3 ? (float)rng_normal(&r) : (float)rng_below(&r, 5); /* many ties */
      if (rng_below(&r, 20) == 0) scores[i] = rng_below(&r, 2) ? NAN : -INFINITY;
      skip[i] = rng_below(&r, 4) == 0;
      if (scores[i] > -INFINITY && !(trial % 4 && skip[i])) twin[all++] = (scored){scores[i], (uint32_t)i};
    }
    qsort(twin, all, sizeof *twin, scored_compare);
    size_t got = top_k(scores, count, trial % 4 ? skip : NULL, k, out);
    assert_int_equal(got, k < all ? k : all);
    for (size_t i = 0; i < got; i++) assert_true(out[i].index == twin[i].index && out[i].score == twin[i].score);
    for (size_t i = 0; i < all && trial % 4 == 0; i++) assert_int_equal(top_place(scores, count, twin[i].index), i);
    for (size_t i = 0; i < count; i++)
      if (!(scores[i] > -INFINITY)) assert_int_equal(top_place(scores, count, i), count);
  }
  assert_int_equal(top_k(scores, 10, NULL, 0, NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kernels), cmocka_unit_test(test_weighted_rows), cmocka_unit_test(test_rows_reflect),
      cmocka_unit_test(test_find),    cmocka_unit_test(test_norm),          cmocka_unit_test(test_half),
      cmocka_unit_test(test_top_k),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
