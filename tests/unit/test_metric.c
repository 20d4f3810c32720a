/* Metrics against numbers from other implementations: precision, recall, f1, hit, ndcg and mrr from ranx 0.3 (ndcg and
 * auc also from scikit-learn 1.9), map and what lies beyond accuracy from a few lines of numpy (ranx divides map by all
 * relevant items, Medley by min(k, relevant)). */
#include "test.h"

#include <float.h>

#include "base/memory.h"
#include "eval/metric.h"

enum { ITEMS = 30, USERS = 4 };
/* Four users' full rankings, made by numpy's generator (seed 42), and their relevant items. */
static const uint32_t order[USERS][ITEMS] = {
    {29, 16, 7, 25, 24, 22, 5, 21, 26, 10, 19, 20, 9, 6, 18, 3, 0, 15, 17, 23, 12, 11, 14, 28, 2, 4, 27, 1, 13, 8},
    {5, 25, 20, 8, 6, 27, 1, 11, 10, 17, 22, 2, 0, 23, 18, 7, 4, 19, 29, 24, 13, 9, 28, 21, 26, 12, 16, 14, 3, 15},
    {6, 18, 2, 8, 13, 4, 11, 28, 16, 19, 14, 12, 24, 3, 15, 27, 5, 26, 0, 22, 25, 23, 29, 20, 1, 10, 17, 7, 9, 21},
    {4, 0, 28, 29, 27, 6, 2, 8, 13, 11, 20, 15, 25, 22, 21, 3, 5, 16, 9, 17, 1, 24, 7, 26, 12, 23, 14, 18, 10, 19},
};
static const struct {
  size_t count;
  uint32_t items[12];
} relevant[USERS] = {
    {1, {16}},
    {3, {3, 5, 13}},
    {7, {2, 10, 12, 16, 17, 23, 28}},
    {12, {3, 4, 9, 12, 13, 14, 15, 19, 20, 21, 24, 27}},
};

static ranking make_ranking(int user, uint32_t ranks[12]) {
  for (size_t i = 0; i < relevant[user].count; i++)
    for (uint32_t p = 0; p < ITEMS; p++)
      if (order[user][p] == relevant[user].items[i]) ranks[i] = p;
  return (ranking){.top = order[user],
                   .top_count = 10,
                   .relevant = relevant[user].items,
                   .relevant_count = relevant[user].count,
                   .candidate_count = ITEMS,
                   .relevant_rank = ranks};
}

static void test_accuracy(void **state) {
  (void)state;
  static const struct {
    const char *name;
    size_t k;
    double expected[USERS];
  } rows[] = {
      {"precision", 5, {0.2, 0.2, 0.2, 0.4}},
      {"precision", 10, {0.1, 0.1, 0.3, 0.3}},
      {"recall", 5, {1, 0.3333333333, 0.1428571429, 0.1666666667}},
      {"recall", 10, {1, 0.3333333333, 0.4285714286, 0.25}},
      {"f1", 5, {0.3333333333, 0.25, 0.1666666667, 0.2352941176}},
      {"f1", 10, {0.1818181818, 0.1538461538, 0.3529411765, 0.2727272727}},
      {"hit", 5, {1, 1, 1, 1}},
      {"hit", 1, {0, 1, 0, 1}},
      {"ndcg", 5, {0.6309297536, 0.469278726, 0.1695801026, 0.4703652828}},
      {"ndcg", 10, {0.6309297536, 0.469278726, 0.3068980163, 0.3714891074}},
      {"map", 5, {0.5, 0.3333333333, 0.0666666667, 0.28}},
      {"map", 10, {0.5, 0.3333333333, 0.130952381, 0.1733333333}},
      {"mrr", 10, {0.5, 1, 0.3333333333, 1}},
      {"mrr", 2, {0.5, 1, 0, 1}},
      {"auc", 0, {0.9655172413793104, 0.4444444444444444, 0.5093167701863355, 0.4722222222222222}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (int u = 0; u < USERS; u++) {
      uint32_t ranks[12];
      ranking r = make_ranking(u, ranks);
      const metric_kind *m = metric_find(rows[i].name);
      assert_non_null(m);
      double got = m->compute(&r, rows[i].k);
      if (!(fabs(got - rows[i].expected[u]) < 1e-9))
        fail_msg("%s@%zu of user %d is %.10f, expected %.10f", m->name, rows[i].k, u, got, rows[i].expected[u]);
      if (strcmp(m->name, "mrr") == 0) { /* from the list alone it is the same */
        r.relevant_rank = NULL;
        assert_near(m->compute(&r, rows[i].k), got, 0);
      }
    }
}

static void test_beyond(void **state) {
  (void)state;
  enum { DIM = 5 };
  float popularity[ITEMS], expected[ITEMS], vectors[(ITEMS + 1) * DIM] = {0};
  for (int i = 0; i < ITEMS; i++) {
    double square = 0;
    popularity[i] = (float)(2 * (i + 1));
    expected[i] = (float)(i + 1) / ITEMS;
    for (int d = 0; d < DIM; d++) square += sin(i * DIM + d + 1) * sin(i * DIM + d + 1);
    for (int d = 0; d < DIM; d++) vectors[i * DIM + d] = (float)(sin(i * DIM + d + 1) / sqrt(square));
  }
  static const struct {
    const char *name;
    double expected[2];
  } rows[] = {
      {"arp", {27.6, 20.8}},
      {"novelty", {2.1128562767, 2.5203512178}},
      {"serendipity", {0.16, 0.18}},
      {"diversity", {0.9251095911, 0.8712257949}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (int u = 0; u < 2; u++) {
      uint32_t ranks[12];
      ranking r = make_ranking(u + 1, ranks);
      const metric_kind *m = metric_find(rows[i].name);
      assert_true(isnan(m->compute(&r, 5))); /* nothing given, nothing measured */
      r.popularity = popularity;
      r.user_count = 100;
      r.item_vectors = vectors;
      r.item_dim = DIM;
      r.expected = expected;
      assert_near(m->compute(&r, 5), rows[i].expected[u], 1e-6);
    }
  /* An item without a vector changes nothing. */
  static const uint32_t with[] = {5, 25, ITEMS, 20}, without[] = {5, 25, 20};
  const metric_kind *diversity = metric_find("diversity");
  ranking a = {.top = with, .top_count = 4, .item_vectors = vectors, .item_dim = DIM}, b = a;
  b.top = without;
  b.top_count = 3;
  assert_near(diversity->compute(&a, 10), diversity->compute(&b, 10), 1e-12);
  b.top_count = 1;
  assert_true(isnan(diversity->compute(&b, 10)));
}

/* More dimensions than one block, beside the sum over all pairs. */
static void test_diversity_twin(void **state) {
  (void)state;
  enum { N = 20, DIM = 300 };
  float vectors[N * DIM];
  uint32_t top[N];
  rng r;
  rng_seed(&r, 8);
  for (uint32_t i = 0; i < N; i++) {
    double square = 0;
    top[i] = N - 1 - i;
    for (int d = 0; d < DIM; d++) vectors[i * DIM + d] = (float)rng_normal(&r) + 0.3f;
    for (int d = 0; d < DIM; d++) square += (double)vectors[i * DIM + d] * vectors[i * DIM + d];
    for (int d = 0; d < DIM; d++) vectors[i * DIM + d] /= (float)sqrt(square);
  }
  double sum = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < i; j++)
      for (int d = 0; d < DIM; d++) sum += (double)vectors[i * DIM + d] * vectors[j * DIM + d];
  ranking x = {.top = top, .top_count = N, .item_vectors = vectors, .item_dim = DIM};
  assert_near(metric_find("diversity")->compute(&x, N), 1 - sum / (N * (N - 1) / 2), 1e-6);
}

static void test_undefined(void **state) {
  (void)state;
  ranking nobody = {.top = order[0], .top_count = 10, .candidate_count = ITEMS};
  for (const metric_kind *m = metric_kinds; m->name != NULL; m++) {
    if (m->compute != NULL) assert_true(isnan(m->compute(&nobody, 10)));
    if (m->over_lists != NULL) assert_true(isnan(m->over_lists(NULL, 0, 10, 0)));
    if (m->over_pairs != NULL) assert_true(isnan(m->over_pairs(&(metric_pairs){0})));
    assert_int_equal((m->compute != NULL) + (m->over_lists != NULL) + (m->over_pairs != NULL), 1);
    assert_ptr_equal(metric_find(m->name), m);
    assert_true(strlen(m->definition) > 10 && m->definition[strlen(m->definition) - 1] != '.');
  }
  assert_null(metric_find("luck"));
  /* A list shorter than k, and all candidates relevant. */
  uint32_t ranks[12];
  ranking r = make_ranking(0, ranks);
  r.top_count = 3;
  assert_near(metric_find("precision")->compute(&r, 10), 0.1, 1e-12);
  r.candidate_count = 1;
  assert_true(isnan(metric_find("auc")->compute(&r, 0)));
}

static void test_coverage(void **state) {
  (void)state;
  uint32_t top[USERS * 6];
  for (int u = 0; u < USERS; u++) {
    memcpy(top + u * 6, order[u], 5 * sizeof *top);
    top[u * 6 + 5] = UINT32_MAX; /* an empty place */
  }
  assert_near(metric_coverage(top, USERS, 6, ITEMS), 0.5333333333, 1e-9);
  assert_near(metric_gini(top, USERS, 6, ITEMS), 0.5466666667, 1e-9);
  assert_near(metric_find("coverage")->over_lists(top, USERS, 6, ITEMS), 0.5333333333, 1e-9);
  assert_near(metric_find("gini")->over_lists(top, USERS, 6, ITEMS), 0.5466666667, 1e-9);
  assert_true(isnan(metric_coverage(top, USERS, 6, 0)) && isnan(metric_gini(top, 0, 6, ITEMS)));
}

/* ---- pairs ---- */

static const float predicted[] = {.1f, .4f, .35f, .8f, .8f, .35f, .65f, .2f, .9f, .5f},
                   truth[] = {0, 0, 1, 1, 0, 0, 1, 0, 1, 1};
static const uint32_t group[] = {0, 0, 0, 1, 1, 1, 1, 2, 2, 2};

static void test_pairs(void **state) { /* scikit-learn 1.9 */
  (void)state;
  metric_pairs p = {predicted, truth, group, 10}, none = {0};
  assert_near(metric_mae(&p), 0.365, 1e-7);
  assert_near(metric_rmse(&p), 0.42632148, 1e-7);
  assert_near(metric_accuracy(&p, 0.5), 0.8, 1e-12);
  assert_near(metric_log_loss(&p), 0.5381806938, 1e-7);
  assert_near(metric_auc(&p), 0.8, 1e-12);
  assert_near(metric_gauc(&p), 0.7, 1e-12);
  p.group = NULL;
  assert_near(metric_gauc(&p), 0.8, 1e-12);
  assert_true(isnan(metric_mae(&none)) && isnan(metric_rmse(&none)) && isnan(metric_accuracy(&none, 0)) &&
              isnan(metric_auc(&none)));
  static const float certain[] = {0, 1, NAN}, wrong[] = {1, 0, 1}, ones[] = {1, 1, 1};
  static const uint32_t single[] = {4, 4, 4};
  assert_near(metric_log_loss(&(metric_pairs){certain, wrong, NULL, 2}), -log(FLT_EPSILON), 1e-3);
  assert_true(isnan(metric_auc(&(metric_pairs){certain, wrong, NULL, 3})));
  assert_true(isnan(metric_log_loss(&(metric_pairs){certain, wrong, NULL, 3})));
  assert_true(isnan(metric_gauc(&(metric_pairs){predicted, ones, single, 3})));
}

static void test_roc(void **state) { /* sklearn.metrics.roc_curve, drop_intermediate=False */
  (void)state;
  static const double x[] = {0, 0, .2, .2, .2, .4, .6, .8, 1}, y[] = {0, .2, .4, .6, .8, .8, 1, 1, 1};
  metric_pairs p = {predicted, truth, NULL, 10};
  double false_positive[20], true_positive[20];
  assert_int_equal(metric_roc(&p, 20, false_positive, true_positive), 9);
  for (int i = 0; i < 9; i++) {
    assert_near(false_positive[i], x[i], 1e-12);
    assert_near(true_positive[i], y[i], 1e-12);
  }
  assert_int_equal(metric_roc(&p, 4, false_positive, true_positive), 4);
  assert_true(false_positive[0] == 0 && true_positive[0] == 0 && false_positive[3] == 1 && true_positive[3] == 1);
  assert_int_equal(metric_roc(&p, 1, false_positive, true_positive), 0);
  p.count = 2; /* both negative */
  assert_int_equal(metric_roc(&p, 20, false_positive, true_positive), 0);
}

/* ---- luck ---- */

static void test_bootstrap(void **state) {
  (void)state;
  medley_error error;
  enum { N = 4000 };
  double *values = mem_alloc(N, sizeof *values), sum = 0, square = 0;
  rng r;
  rng_seed(&r, 6);
  for (int i = 0; i < N; i++) values[i] = i % 10 == 3 ? NAN : rng_uniform(&r);
  for (int i = 0; i < N; i++)
    if (!isnan(values[i])) sum += values[i], square += values[i] * values[i];
  double n = N * 0.9, mean = sum / n, standard_error = sqrt((square / n - mean * mean) / n);
  estimate e, again;
  assert_ok(bootstrap_mean(values, N, 2000, 0.95, 1, &e, &error));
  assert_int_equal(e.count, 3600);
  assert_near(e.mean, mean, 1e-12);
  /* The normal interval; 2,000 rounds place each end within about 0.06 standard errors. */
  assert_near((e.hi - mean) / standard_error, 1.96, 0.25);
  assert_near((mean - e.lo) / standard_error, 1.96, 0.25);
  assert_ok(bootstrap_mean(values, N, 2000, 0.95, 1, &again, &error));
  assert_memory_equal(&e, &again, sizeof e);
  assert_ok(bootstrap_mean(values, N, 0, 0.5, 1, &again, &error));
  assert_true(again.hi - again.lo < e.hi - e.lo);
  assert_ok(bootstrap_mean(values, 0, 10, 0.95, 1, &again, &error));
  assert_true(isnan(again.mean) && again.count == 0);
  assert_refused(bootstrap_mean(values, N, 10, 95, 1, &again, &error), MEDLEY_ERR_USAGE, "confidence is 95");
#ifdef MEDLEY_FAULTS
  for (long k = 1; k <= 2; k++) {
    memory_fault_after(k);
    assert_int_equal(bootstrap_mean(values, N, 10, 0.95, 1, &again, &error), MEDLEY_ERR_MEMORY);
    memory_fault_after(0);
  }
#endif
  mem_free(values);
}

static void test_paired(void **state) {
  (void)state;
  medley_error error;
  /* scipy 1.17 permutation_test over all 2^8 signs: 0.1328125. */
  static const double a[] = {.3, .5, .2, .9, .4, .6, .1, .8, NAN}, b[] = {.2, .45, .25, .6, .35, .65, .05, .5, 1};
  double p, again;
  assert_ok(paired_test(a, b, 9, 100000, 3, &p, &error));
  assert_near(p, 0.1328125, 0.005); /* five standard errors of 100,000 rounds */
  assert_ok(paired_test(b, a, 9, 100000, 3, &again, &error));
  assert_near(p, again, 0);
  assert_ok(paired_test(a, a, 9, 0, 3, &p, &error));
  assert_near(p, 1, 0);
  double better[200], worse[200];
  for (int i = 0; i < 200; i++) better[i] = i % 7 + 0.5, worse[i] = i % 7;
  assert_ok(paired_test(better, worse, 200, 999, 3, &p, &error));
  assert_near(p, 0.001, 1e-12);
#ifdef MEDLEY_FAULTS
  memory_fault_after(1);
  assert_int_equal(paired_test(a, b, 8, 10, 1, &p, &error), MEDLEY_ERR_MEMORY);
  memory_fault_after(0);
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_accuracy),  cmocka_unit_test(test_beyond),    cmocka_unit_test(test_diversity_twin),
      cmocka_unit_test(test_undefined), cmocka_unit_test(test_coverage),  cmocka_unit_test(test_pairs),
      cmocka_unit_test(test_roc),       cmocka_unit_test(test_bootstrap), cmocka_unit_test(test_paired),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
