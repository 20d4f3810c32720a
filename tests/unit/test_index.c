/* Exact search against a slow twin that compares everything, for all distances and storages, single and in batches,
 * with dead rows and with sets of allowed ones. */
#include "test.h"

#include "base/memory.h"
#include "base/rng.h"
#include "index/index.h"
#include "index/nearest.h"

/* Rows, queries and what may be answered, with the index over them. */
typedef struct world {
  size_t count, dim, queries;
  index_distance distance;
  float *given, *asked; /* [count, dim], [queries, dim] */
  double *held;         /* [count, dim] as the storage holds them */
  rows rows;
  row_query *query; /* [queries] */
  uint64_t *allowed;
  index_allow allow;
  index_structure *index;
} world;

static void world_init(world *w, rng *r, row_storage storage) {
  medley_error error = {0};
  w->given = mem_zalloc(w->count * w->dim, sizeof *w->given);
  w->asked = mem_zalloc(w->queries * w->dim, sizeof *w->asked);
  w->held = mem_zalloc(w->count * w->dim, sizeof *w->held);
  w->query = mem_zalloc(w->queries, sizeof *w->query);
  w->allowed = mem_zalloc(w->count / 64 + 1, sizeof *w->allowed);
  for (size_t i = 0; i < w->count * w->dim; i++) w->given[i] = i / w->dim == 3 ? 0 : (float)rng_normal(r);
  for (size_t i = 0; i < w->queries * w->dim; i++) w->asked[i] = (float)rng_normal(r);
  assert_ok(rows_init(&w->rows, w->dim, w->distance, storage, w->count, &error));
  assert_ok(rows_reserve(&w->rows, w->count, &error));
  float *row = mem_alloc(w->dim, sizeof *row);
  for (uint32_t i = 0; i < w->count; i++) {
    assert_ok(rows_set(&w->rows, i, w->given + i * w->dim, &error));
    rows_set_alive(&w->rows, i, rng_below(r, 10) > 0);
    rows_get(&w->rows, i, row);
    for (size_t d = 0; d < w->dim; d++) w->held[i * w->dim + d] = row[d];
  }
  mem_free(row);
  for (size_t i = 0; i < w->queries; i++)
    assert_ok(row_query_init(&w->query[i], &w->rows, w->asked + i * w->dim, &error));
  assert_ok(index_exact.create(&w->rows, &(index_options){0}, &w->index, &error));
}

static void world_allow(world *w, rng *r, uint64_t one_in) {
  w->allow = (index_allow){w->allowed, w->count - w->count / 50, 0};
  memset(w->allowed, 0, (w->count / 64 + 1) * sizeof *w->allowed);
  for (size_t i = 0; i < w->count; i++) /* bits beyond the slots must not count */
    if (rng_below(r, one_in) == 0) {
      w->allowed[i / 64] |= (uint64_t)1 << (i & 63);
      w->allow.count += i < w->allow.slots;
    }
}

static void world_deinit(world *w) {
  index_exact.free(w->index);
  for (size_t i = 0; i < w->queries; i++) row_query_deinit(&w->query[i]);
  rows_deinit(&w->rows);
  mem_free(w->given), mem_free(w->asked), mem_free(w->held), mem_free(w->query), mem_free(w->allowed);
}

/* By the definition, of the rows as held. */
static double slow_score(const world *w, size_t query, size_t slot) {
  double dot = 0, square = 0, gap = 0;
  const float *q = w->asked + query * w->dim;
  const double *x = w->held + slot * w->dim;
  for (size_t d = 0; d < w->dim; d++) {
    dot += q[d] * x[d];
    square += (double)q[d] * q[d];
    gap += (q[d] - x[d]) * (q[d] - x[d]);
  }
  if (w->distance == INDEX_L2) return -gap;
  return w->distance == INDEX_DOT ? dot : dot / sqrt(square);
}

/* How far summing in float32 may move a score. */
static double rounding(const world *w) { return 1e-5 + 1e-5 * (double)w->dim; }

/* The same with the storage's rounding of the query. */
static double slack(const world *w) {
  if (w->rows.storage != ROW_INT8) return 1e-3 + rounding(w);
  return w->distance == INDEX_COSINE ? 0.05 : 0.15 * sqrt((double)w->dim) + 0.05;
}

/* The answers must have the true scores, come best first, and nothing that was left out may be better than the last. */
static void check_answers(const world *w, size_t query, const index_allow *allow, size_t k, const scored *got,
                          size_t found) {
  size_t wanted = 0;
  uint8_t *chosen = mem_zalloc(w->count, 1);
  for (size_t i = 0; i < found; i++) {
    assert_true(rows_alive(&w->rows, got[i].index) && index_allows(allow, got[i].index) && !chosen[got[i].index]);
    chosen[got[i].index] = 1;
    assert_near(got[i].score, slow_score(w, query, got[i].index), slack(w));
    assert_near(got[i].score, w->rows.score(&w->query[query], rows_at(&w->rows, got[i].index), w->dim), rounding(w));
    if (i > 0) assert_true(nearest_before(got[i - 1], got[i]));
  }
  for (uint32_t i = 0; i < w->count; i++) {
    if (!rows_alive(&w->rows, i) || !index_allows(allow, i)) continue;
    wanted++;
    if (!chosen[i] && found > 0) assert_true(slow_score(w, query, i) <= got[found - 1].score + slack(w));
  }
  assert_int_equal(found, k < wanted ? k : wanted);
  mem_free(chosen);
}

static void ask(const world *w, const index_allow *allow, size_t k) {
  medley_error error = {0};
  index_effort effort;
  scored *one = mem_alloc(k, sizeof *one), *all = mem_alloc(w->queries * k, sizeof *all);
  size_t found, *counts = mem_alloc(w->queries, sizeof *counts), compared = 0;
  index_query q = {.allow = allow, .k = k};
  assert_ok(index_exact.search_batch(w->index, &q, w->query, w->queries, all, counts, &effort, &error));
  for (uint32_t i = 0; i < w->count && k > 0; i++) compared += rows_alive(&w->rows, i) && index_allows(allow, i);
  assert_true(effort.exact && effort.distances == compared * w->queries);
  for (size_t i = 0; i < w->queries; i++) {
    check_answers(w, i, allow, k, all + i * k, counts[i]);
    q.query = &w->query[i];
    assert_ok(index_exact.search(w->index, &q, one, &found, &effort, &error));
    assert_true(effort.exact && effort.distances == compared);
    assert_int_equal(found, counts[i]);
    for (size_t j = 0; j < found; j++) {
      assert_int_equal(one[j].index, all[i * k + j].index);
      assert_true(one[j].score == all[i * k + j].score);
    }
  }
  mem_free(one), mem_free(all), mem_free(counts);
}

static void test_twin(void **state) {
  (void)state;
  static const struct {
    size_t count, dim, k, queries;
  } table[] = {{0, 3, 5, 2},     {1, 1, 1, 1},      {7, 5, 10, 3},     {1500, 17, 20, 40},
               {150, 9, 5, 300}, {2049, 64, 1, 5},  {5000, 32, 50, 3}, {100, 16, 0, 2},
               {20000, 4, 7, 2}, {64, 100, 64, 33}, {70, 16500, 3, 33}};
  rng r;
  rng_seed(&r, 7);
  for (size_t t = 0; t < sizeof table / sizeof *table; t++)
    for (int distance = 0; distance < INDEX_DISTANCE_COUNT; distance++)
      for (int storage = 0; storage < ROW_STORAGE_COUNT; storage++) {
        world w = {table[t].count, table[t].dim, table[t].queries, (index_distance)distance};
        world_init(&w, &r, (row_storage)storage);
        ask(&w, NULL, table[t].k);
        world_allow(&w, &r, 2);
        ask(&w, &w.allow, table[t].k);
        world_allow(&w, &r, 40);
        ask(&w, &w.allow, table[t].k);
        world_allow(&w, &r, 1000);
        ask(&w, &w.allow, table[t].k);
        world_deinit(&w);
      }
}

/* Far from the origin a matrix product knows distances to few digits, and beyond 1e19 it is not finite. A batch must
 * answer what single queries do all the same. */
static void test_far(void **state) {
  (void)state;
  static const float offsets[] = {20, 3000, 1e19f};
  for (size_t t = 0; t < sizeof offsets / sizeof *offsets; t++) {
    medley_error error = {0};
    rng r;
    rng_seed(&r, 8);
    world w = {3000, 24, 70, INDEX_L2};
    world_init(&w, &r, ROW_F32);
    for (size_t i = 0; i < w.count * w.dim; i++) w.given[i] += offsets[t];
    for (size_t i = 0; i < w.queries * w.dim; i++) w.asked[i] += offsets[t];
    for (uint32_t i = 0; i < w.count; i++) assert_ok(rows_set(&w.rows, i, w.given + i * w.dim, &error));
    for (size_t i = 0; i < w.count * w.dim; i++) w.held[i] = w.given[i];
    for (size_t i = 0; i < w.queries; i++) assert_ok(row_query_init(&w.query[i], &w.rows, w.asked + i * w.dim, &error));
    ask(&w, NULL, 10);
    world_deinit(&w);
  }
}

static void test_ties(void **state) {
  (void)state;
  medley_error error = {0};
  rows x;
  row_query query = {0};
  index_structure *s;
  index_effort effort;
  scored out[4];
  size_t found;
  assert_ok(rows_init(&x, 2, INDEX_DOT, ROW_F32, 12, &error));
  assert_ok(rows_reserve(&x, 12, &error));
  for (uint32_t i = 0; i < 12; i++) {
    assert_ok(rows_set(&x, i, (float[2]){1, i == 5}, &error));
    rows_set_alive(&x, i, true);
  }
  assert_ok(index_exact.create(&x, &(index_options){0}, &s, &error));
  assert_ok(row_query_init(&query, &x, (float[2]){1, 0}, &error));
  assert_ok(index_exact.search(s, &(index_query){.query = &query, .k = 4}, out, &found, &effort, &error));
  for (uint32_t i = 0; i < 4; i++) assert_int_equal(out[i].index, i);
  index_exact.free(s);
  row_query_deinit(&query);
  rows_deinit(&x);
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error = {0};
  rows x;
  row_query query = {0};
  assert_refused(rows_init(&x, 0, INDEX_DOT, ROW_F32, 1, &error), MEDLEY_ERR_USAGE, "0 dimensions");
  assert_refused(rows_init(&x, ROWS_DIM_MAX + 1, INDEX_DOT, ROW_F32, 1, &error), MEDLEY_ERR_USAGE, "65537");
  assert_ok(rows_init(&x, 2, INDEX_DOT, ROW_F32, 12, &error));
  assert_ok(rows_reserve(&x, 12, &error));
  assert_refused(rows_set(&x, 0, (float[2]){0, NAN}, &error), MEDLEY_ERR_INPUT, "value 1");
  assert_refused(row_query_init(&query, &x, (float[2]){INFINITY, 0}, &error), MEDLEY_ERR_INPUT, "value 0");
  assert_refused(rows_reserve(&x, (size_t)1 << 30, &error), MEDLEY_ERR_LIMIT, "can hold");
  row_query_deinit(&query);
  rows_deinit(&x);
  assert_ok(rows_init(&x, 2, INDEX_L2, ROW_F16, 12, &error));
  assert_ok(rows_reserve(&x, 12, &error));
  assert_refused(rows_set(&x, 0, (float[2]){65504, -7e4f}, &error), MEDLEY_ERR_INPUT,
                 "value 1 of the vector is -70000");
  assert_ok(rows_set(&x, 0, (float[2]){65504, -65504}, &error));
  rows_deinit(&x);
}

static void test_table(void **state) {
  (void)state;
  assert_ptr_equal(index_kind_find("exact"), &index_exact);
  assert_null(index_kind_find("none such"));
  assert_string_equal(index_distance_name(INDEX_L2), "l2");
  assert_string_equal(row_storage_name(ROW_INT8), "int8");
}

#ifdef MEDLEY_FAULTS
static void test_faults(void **state) {
  (void)state;
  enum { QUERIES = 70, K = 5 };
  rng r;
  rng_seed(&r, 9);
  world w = {40000, 16, QUERIES, INDEX_COSINE};
  world_init(&w, &r, ROW_F16);
  scored out[QUERIES * K];
  size_t found[QUERIES];
  index_query q = {.query = w.query, .k = K};
  for (long n = 1;; n++) {
    medley_error error = {0};
    index_effort effort;
    index_structure *s = NULL;
    memory_fault_after(n);
    medley_status status = index_exact.create(&w.rows, &(index_options){0}, &s, &error);
    if (status == MEDLEY_OK) status = index_exact.search(s, &q, out, found, &effort, &error);
    if (status == MEDLEY_OK) status = index_exact.search_batch(s, &q, w.query, QUERIES, out, found, &effort, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (s != NULL) index_exact.free(s);
    if (!struck) break;
    assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
  world_deinit(&w);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_twin),     cmocka_unit_test(test_far),   cmocka_unit_test(test_ties),
      cmocka_unit_test(test_refusals), cmocka_unit_test(test_table),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_faults),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
