/* Exact search against a slow twin that sorts everything, for all distances, single and in batches. */
#include "test.h"

#include "base/memory.h"
#include "base/rng.h"
#include "index/index.h"
#include "index/nearest.h"

static float *random_rows(rng *r, size_t count, size_t dim) {
  float *rows = mem_alloc(count * dim, sizeof *rows);
  assert_non_null(rows);
  for (size_t i = 0; i < count * dim; i++) rows[i] = (float)rng_normal(r);
  return rows;
}

static double slow_score(const float *q, const float *x, size_t dim, index_distance distance) {
  double dot = 0, q2 = 0, x2 = 0, d2 = 0;
  for (size_t d = 0; d < dim; d++) {
    dot += (double)q[d] * x[d];
    q2 += (double)q[d] * q[d];
    x2 += (double)x[d] * x[d];
    d2 += ((double)q[d] - x[d]) * ((double)q[d] - x[d]);
  }
  if (distance == INDEX_DOT) return dot;
  if (distance == INDEX_L2) return -d2;
  return q2 > 0 && x2 > 0 ? dot / sqrt(q2 * x2) : 0;
}

/* The answers must have the true scores, come best first, and nothing that was left out may be better than the last. */
static void check_answers(const float *q, const float *x, const uint8_t *leave, size_t count, size_t dim, size_t k,
                          index_distance distance, const scored *got, size_t found) {
  size_t allowed = 0;
  for (size_t i = 0; i < count; i++) allowed += !leave[i];
  assert_int_equal(found, k < allowed ? k : allowed);
  uint8_t *chosen = mem_zalloc(count, 1);
  for (size_t i = 0; i < found; i++) {
    assert_false(leave[got[i].index] || chosen[got[i].index]);
    chosen[got[i].index] = 1;
    assert_near(got[i].score, slow_score(q, x + got[i].index * dim, dim, distance), 1e-3);
    if (i > 0) assert_false(got[i].score > got[i - 1].score);
  }
  for (size_t i = 0; i < count && found > 0; i++)
    if (!leave[i] && !chosen[i]) assert_true(slow_score(q, x + i * dim, dim, distance) <= got[found - 1].score + 1e-3);
  mem_free(chosen);
}

static void test_twin(void **state) {
  (void)state;
  static const struct {
    size_t count, dim, k, queries;
  } rows[] = {{0, 3, 5, 2},     {1, 1, 1, 1},        {7, 5, 10, 3},  {1500, 17, 20, 70},
              {2049, 64, 1, 5}, {40000, 32, 100, 3}, {100, 16, 0, 2}};
  medley_error error = {0};
  rng r;
  rng_seed(&r, 7);
  for (size_t t = 0; t < sizeof rows / sizeof *rows; t++)
    for (int distance = INDEX_COSINE; distance <= INDEX_L2; distance++) {
      size_t count = rows[t].count, dim = rows[t].dim, k = rows[t].k, queries = rows[t].queries;
      float *x = random_rows(&r, count, dim), *q = random_rows(&r, queries, dim);
      uint8_t *present = mem_zalloc(count, 1), *skip = mem_zalloc(count, 1), *leave = mem_zalloc(count, 1);
      for (size_t i = 0; i < count; i++) {
        present[i] = rng_below(&r, 10) > 0;
        skip[i] = rng_below(&r, 5) == 0;
        leave[i] = !present[i] || skip[i];
      }
      if (count > 3) memset(x + 3 * dim, 0, dim * sizeof *x); /* a zero vector */
      index_set *s;
      assert_ok(index_exact.create(x, present, count, dim, (index_distance)distance, &s, &error));
      scored *out = mem_alloc(queries * k, sizeof *out);
      size_t found[128];
      for (size_t i = 0; i < queries; i++) {
        index_query query = {q + i * dim, skip, k};
        assert_ok(index_exact.search(s, &query, out, found, &error));
        check_answers(q + i * dim, x, leave, count, dim, k, (index_distance)distance, out, found[0]);
      }
      index_batch batch = {q, queries, skip, k};
      assert_ok(index_exact.search_batch(s, &batch, out, found, &error));
      for (size_t i = 0; i < queries; i++)
        check_answers(q + i * dim, x, leave, count, dim, k, (index_distance)distance, out + i * k, found[i]);
      index_exact.free(s);
      mem_free(x), mem_free(q), mem_free(present), mem_free(skip), mem_free(leave), mem_free(out);
    }
}

static void test_ties(void **state) {
  (void)state;
  medley_error error = {0};
  float x[12 * 2];
  for (size_t i = 0; i < 12; i++) x[2 * i] = 1, x[2 * i + 1] = i == 5;
  float q[2] = {1, 0};
  index_set *s;
  scored out[4];
  size_t found;
  assert_ok(index_exact.create(x, NULL, 12, 2, INDEX_DOT, &s, &error));
  assert_ok(index_exact.search(s, &(index_query){q, NULL, 4}, out, &found, &error));
  for (uint32_t i = 0; i < 4; i++) assert_int_equal(out[i].index, i);
  q[1] = NAN;
  assert_refused(index_exact.search(s, &(index_query){q, NULL, 4}, out, &found, &error), MEDLEY_ERR_INPUT, "value 1");
  index_exact.free(s);
  assert_refused(index_exact.create(x, NULL, 1, 0, INDEX_DOT, &s, &error), MEDLEY_ERR_USAGE, "0 dimensions");
}

static void test_table(void **state) {
  (void)state;
  assert_ptr_equal(index_kind_find("exact"), &index_exact);
  assert_null(index_kind_find("none such"));
  assert_string_equal(index_distance_name(INDEX_L2), "l2");
}

#ifdef MEDLEY_FAULTS
static void test_faults(void **state) {
  (void)state;
  static float x[1 << 19];
  float q[2 * 16] = {1};
  scored out[20];
  size_t found[2];
  for (long n = 1;; n++) {
    medley_error error = {0};
    index_set *s = NULL;
    memory_fault_after(n);
    medley_status status = index_exact.create(x, NULL, (1 << 19) / 16, 16, INDEX_COSINE, &s, &error);
    if (status == MEDLEY_OK) status = index_exact.search(s, &(index_query){q, NULL, 5}, out, found, &error);
    if (status == MEDLEY_OK) status = index_exact.search_batch(s, &(index_batch){q, 2, NULL, 5}, out, found, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (s != NULL) index_exact.free(s);
    if (!struck) break;
    assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_twin),
      cmocka_unit_test(test_ties),
      cmocka_unit_test(test_table),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_faults),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
