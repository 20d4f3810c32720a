/* Learning as a whole: the search for weights against all weights there are, measuring against a naive ranking, the
 * validation parts, fitting on data with a planted structure and on data with hardly any. */
#include "learn/fit.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "fuse/fuser.h"
#include "learn/fit_validation.h"
#include "learn/measure_pairs.h"
#include "learn/space.h"
#include "learn/weights.h"
#include "math/vector.h"
#include "planted.h"
#include "test.h"

/* ---- weights ---- */

/* A tuning problem made up: column 0 knows something, column 1 something else, column 2 nothing. */
static void problem_make(weights_problem *p, size_t users, size_t rows, uint64_t seed) {
  rng r;
  rng_seed(&r, seed);
  *p = (weights_problem){.column_count = 3, .user_count = users};
  p->start = calloc(users + 1, sizeof *p->start);
  p->columns = calloc(users * rows * 3, sizeof *p->columns);
  p->relevant = calloc(users * rows, 1);
  p->relevant_count = calloc(users, sizeof *p->relevant_count);
  for (size_t u = 0; u < users; u++) {
    p->start[u + 1] = p->start[u] + rows;
    for (size_t i = p->start[u]; i < p->start[u + 1]; i++) {
      p->relevant[i] = rng_below(&r, 8) == 0;
      p->relevant_count[u] += p->relevant[i];
      for (size_t c = 0; c < 3; c++) {
        static const double knows[] = {0.9, 0.7, 0};
        p->columns[(u * 3 + c) * rows + i - p->start[u]] = (float)(rng_normal(&r) + knows[c] * p->relevant[i]);
      }
    }
    p->relevant_count[u] += u % 3; /* items that no column ranks high are missed for good */
  }
}

static void problem_free(weights_problem *p) {
  free(p->start);
  free(p->columns);
  free(p->relevant);
  free(p->relevant_count);
}

/* The objective from the table of metrics, over lists sorted by hand. */
static void objective_by_metrics(const weights_problem *p, const float *weight, double *recall, double *ndcg) {
  double sums[2] = {0};
  static const char *const names[] = {"recall", "ndcg"};
  for (size_t u = 0; u < p->user_count; u++) {
    uint32_t top[200], relevant[220], rank[220];
    size_t count = p->start[u + 1] - p->start[u], known = 0;
    if (p->relevant_count[u] == 0) continue;
    for (uint32_t i = 0; i < count; i++) {
      const float *columns = p->columns + p->start[u] * 3;
      uint32_t ahead = 0;
      for (uint32_t k = 0; k < count; k++) {
        float a = 0, b = 0;
        for (size_t c = 0; c < 3; c++) a += weight[c] * columns[c * count + i], b += weight[c] * columns[c * count + k];
        ahead += b > a || (b == a && k < i);
      }
      top[ahead] = i;
      if (p->relevant[p->start[u] + i]) {
        relevant[known] = i;
        rank[known++] = ahead;
      }
    }
    for (; known < p->relevant_count[u]; known++) {
      relevant[known] = (uint32_t)(1000 + known);
      rank[known] = (uint32_t)(1000 + known);
    }
    ranking r = {.top = top,
                 .top_count = count < 20 ? count : 20,
                 .relevant = relevant,
                 .relevant_count = known,
                 .relevant_rank = rank,
                 .candidate_count = 2000};
    for (int m = 0; m < 2; m++) sums[m] += metric_find(names[m])->compute(&r, 20);
  }
  *recall = sums[0] / (double)p->user_count;
  *ndcg = sums[1] / (double)p->user_count;
}

static void test_objective_is_that_of_the_metrics(void **state) {
  (void)state;
  static const float weights[][3] = {{1, 0, 0}, {0, 1, 0}, {0.5f, 0.3f, 0.2f}, {0, 0, 0}, {0.1f, 0, 2}};
  static const size_t rows[] = {5, 20, 90};
  for (size_t s = 0; s < 3; s++) {
    weights_problem p;
    problem_make(&p, 25, rows[s], s);
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
      double recall, ndcg, expected_recall, expected_ndcg;
      double both = weights_objective(&p, weights[i], &recall, &ndcg);
      objective_by_metrics(&p, weights[i], &expected_recall, &expected_ndcg);
      assert_near(recall, expected_recall, 1e-9);
      assert_near(ndcg, expected_ndcg, 1e-9);
      assert_near(both, (recall + ndcg) / 2, 1e-9);
    }
    problem_free(&p);
  }
}

static void test_search_against_all_weights(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 3; seed++) {
    weights_problem p;
    float found[3], again[3];
    double best = 0, single = 0;
    problem_make(&p, 60, 80, seed);
    for (int a = 0; a <= 20; a++)
      for (int b = 0; a + b <= 20; b++) {
        float weight[3] = {(float)a / 20, (float)b / 20, (float)(20 - a - b) / 20};
        double reached = weights_objective(&p, weight, NULL, NULL);
        best = fmax(best, reached);
        if (a == 20 || b == 20 || a + b == 0) single = fmax(single, reached);
      }
    double reached = weights_search(&p, found);
    assert_near(reached, weights_objective(&p, found, NULL, NULL), 1e-9);
    assert_true(reached >= single);
    if (reached < 0.99 * best) fail_msg("the search reached %g, all weights %g", reached, best);
    assert_near((double)(found[0] + found[1] + found[2]), 1, 1e-5);
    for (int c = 0; c < 3; c++) assert_true(found[c] >= 0);
    assert_near(weights_search(&p, again), reached, 0);
    assert_memory_equal(found, again, sizeof found);
    /* What is remembered of lists makes it faster, and nothing else. */
    p.near = calloc(p.user_count * 20, sizeof *p.near);
    for (size_t k = 0; k < p.user_count * 20; k++) p.near[k] = (uint16_t)(79 - k % 20);
    assert_near(weights_search(&p, again), reached, 0);
    assert_memory_equal(found, again, sizeof found);
    free(p.near);
    problem_free(&p);
  }
}

static void test_search_with_nothing_to_find(void **state) {
  (void)state;
  weights_problem empty = {.column_count = 3}, p;
  float weight[3] = {7, 7, 7};
  assert_near(weights_search(&empty, weight), 0, 0);
  for (int c = 0; c < 3; c++) assert_true(weight[c] == 0);
  problem_make(&p, 5, 10, 1);
  memset(p.relevant, 0, 50);
  assert_near(weights_search(&p, weight), 0, 0);
  for (int c = 0; c < 3; c++) assert_true(weight[c] == 0);
  problem_free(&p);
}

/* Two votes, each with an error of .01 on its half, so .0071 on all. */
static void test_a_sum_gives_way_when_it_is_surely_worse(void **state) {
  (void)state;
  weights_problem p;
  float weight[3];
  weights_votes votes = {.sum = {3, 1, 0.05f}, .single_better = 2 * 0.006, .error_square = 2e-4, .count = 2};
  problem_make(&p, 60, 80, 1);
  weights_settle(&p, &votes, weight);
  assert_near((double)weight[0], 0.75, 1e-6);
  assert_near((double)weight[1], 0.25, 1e-6);
  assert_true(weight[2] == 0);
  votes.single_better = 2 * 0.008;
  weights_settle(&p, &votes, weight);
  assert_true(weight[0] == 1 && weight[1] == 0 && weight[2] == 0);
  problem_free(&p);

  votes = (weights_votes){0};
  problem_make(&p, 600, 80, 2);
  uint32_t users[600];
  weights_problem half[2] = {p, p};
  for (uint32_t u = 0; u < 600; u++) users[u] = u;
  for (int h = 0; h < 2; h++) {
    half[h].chosen = users + 300 * h;
    half[h].chosen_count = 300;
  }
  for (int h = 0; h < 2; h++) assert_int_equal(weights_vote(&half[h], &half[!h], &votes, NULL), MEDLEY_OK);
  assert_int_equal(votes.count, 2);
  assert_near((double)(votes.sum[0] + votes.sum[1] + votes.sum[2]), 2, 1e-4);
  assert_true(votes.single_better < 0 && votes.error_square > 0); /* the second column is worth having */
  problem_free(&p);
}

/* ---- measuring ---- */

#define USERS 30
#define ITEMS 40

typedef struct tables {
  interactions history, test;
  float score[USERS][ITEMS];
} tables;

static medley_status table_score(const void *context, const history *h, recommender_scratch *scratch, float *scores,
                                 medley_error *err) {
  (void)scratch, (void)err;
  const tables *t = context;
  /* The history says who it is: every user's history begins with an item of their own number. */
  memcpy(scores, t->score[h->count > 0 ? h->item[0] : 0], ITEMS * sizeof *scores);
  return MEDLEY_OK;
}

static void tables_make(tables *t) {
  medley_error error;
  rng r;
  event *history = calloc(USERS * ITEMS, sizeof *history), *test = calloc(USERS * ITEMS, sizeof *test);
  size_t history_count = 0, test_count = 0;
  event_weights weights = {.rating_threshold = NAN};
  for (int i = 0; i < 64; i++) weights.type_weight[i] = 1;
  rng_seed(&r, 3);
  for (uint32_t u = 0; u < USERS; u++)
    for (uint32_t i = u; i < ITEMS; i++) {
      if (i == u || rng_below(&r, 6) == 0) history[history_count++] = (event){.user = u, .item = i, .value = 1};
      if (rng_below(&r, 5) == 0) test[test_count++] = (event){.user = u, .item = i, .value = 1};
    }
  for (uint32_t u = 0; u < USERS; u++)
    for (uint32_t i = 0; i < ITEMS; i++) t->score[u][i] = (float)rng_below(&r, 12); /* with ties */
  event_log log = {.user_count = USERS, .item_count = ITEMS, .events = history, .event_count = history_count};
  assert_ok(interactions_build(&log, &weights, NULL, 0, &t->history, &error));
  log.events = test;
  log.event_count = test_count;
  assert_ok(interactions_build(&log, &weights, NULL, 0, &t->test, &error));
  free(history);
  free(test);
}

static void tables_free(tables *t) {
  interactions_deinit(&t->history);
  interactions_deinit(&t->test);
}

/* Recall@5, NDCG@5 and MRR of one user, item by item; false when nothing relevant is ranked. */
static bool measure_naively(const tables *t, uint32_t user, const uint8_t *candidate, double out[3]) {
  uint32_t order[ITEMS], count = 0, relevant = 0, hits = 0;
  double gain = 0, ideal = 0, first = 0;
  for (uint32_t i = 0; i < ITEMS; i++) {
    if ((candidate && !candidate[i]) || sparse_has(&t->history.by_user, user, i)) continue;
    uint32_t at = count++;
    for (; at > 0 && t->score[user][order[at - 1]] < t->score[user][i]; at--) order[at] = order[at - 1];
    order[at] = i;
    relevant += sparse_has(&t->test.by_user, user, i);
  }
  for (uint32_t k = 0; k < count; k++) {
    if (!sparse_has(&t->test.by_user, user, order[k])) continue;
    if (first == 0) first = 1.0 / (k + 1);
    if (k >= 5) continue;
    hits++;
    gain += 1 / log2(k + 2);
  }
  for (uint32_t k = 0; k < 5 && k < relevant; k++) ideal += 1 / log2(k + 2);
  if (relevant == 0) return false;
  out[0] = (double)hits / relevant;
  out[1] = gain / ideal;
  out[2] = first;
  return true;
}

static void test_measuring_against_a_naive_ranking(void **state) {
  (void)state;
  medley_error error;
  tables t;
  uint8_t some[ITEMS];
  static const char *const names[] = {"recall@5", "ndcg@5", "mrr"};
  measure_metric metrics[3];
  tables_make(&t);
  for (int m = 0; m < 3; m++)
    if (measure_metric_parse(names[m], &metrics[m], &error) != MEDLEY_OK)
      assert_ok(measure_metric_parse("mrr@40", &metrics[m], &error));
  for (uint32_t i = 0; i < ITEMS; i++) some[i] = i % 3 != 0;
  for (int restricted = 0; restricted < 2; restricted++) {
    measure_task task = {.history = &t.history, .test = &t.test, .candidate = restricted ? some : NULL};
    scorer what = {"table", table_score, &t};
    measure_options options = {.metrics = metrics, .metric_count = 3, .keep_top = true};
    measurement m = {0};
    uint32_t *users = NULL;
    size_t expected_users = 0;
    assert_ok(measure_users(&task, 0, 1, &users, &task.user_count, &error));
    task.users = users;
    assert_ok(measure_scorer(&task, &what, &options, NULL, &m, &error));
    for (uint32_t u = 0; u < USERS; u++) {
      double expected[3];
      if (!measure_naively(&t, u, task.candidate, expected)) continue;
      assert_true(expected_users < task.user_count);
      assert_int_equal(users[expected_users], u);
      for (size_t k = 0; k < 3; k++) assert_near(m.values[k * m.user_count + expected_users], expected[k], 1e-9);
      expected_users++;
    }
    assert_int_equal(task.user_count, expected_users);
    for (size_t s = 0; s < m.user_count; s++)
      for (size_t k = 0; k < m.list_size; k++) {
        uint32_t item = m.top[s * m.list_size + k];
        if (item == UINT32_MAX) continue;
        assert_true(!task.candidate || task.candidate[item]);
        assert_false(sparse_has(&t.history.by_user, users[s], item));
      }
    measurement_deinit(&m);
    mem_free(users);
  }
  tables_free(&t);
}

static void test_who_is_asked(void **state) {
  (void)state;
  medley_error error;
  tables t;
  uint32_t *all, *few, *again;
  size_t all_count, few_count, again_count;
  tables_make(&t);
  measure_task task = {.history = &t.history, .test = &t.test};
  assert_ok(measure_users(&task, 0, 1, &all, &all_count, &error));
  assert_ok(measure_users(&task, 7, 1, &few, &few_count, &error));
  assert_ok(measure_users(&task, 7, 1, &again, &again_count, &error));
  assert_true(all_count > 7 && few_count == 7 && again_count == 7);
  assert_memory_equal(few, again, 7 * sizeof *few);
  for (size_t i = 0; i < 7; i++) {
    size_t found = 0;
    for (size_t k = 0; k < all_count; k++) found += all[k] == few[i];
    assert_int_equal(found, 1);
    assert_true(i == 0 || few[i - 1] < few[i]);
  }
  uint8_t none[ITEMS] = {0};
  mem_free(again);
  task.candidate = none;
  assert_ok(measure_users(&task, 0, 1, &again, &again_count, &error));
  assert_int_equal(again_count, 0);
  mem_free(all);
  mem_free(few);
  mem_free(again);
  tables_free(&t);
}

static medley_status table_score_nan(const void *context, const history *h, recommender_scratch *scratch, float *scores,
                                     medley_error *err) {
  medley_status status = table_score(context, h, scratch, scores, err);
  scores[11] = NAN;
  return status;
}

static void test_measuring_refuses(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    const char *name, *words;
  } bad[] = {{"recall", "list size"},     {"recall@0", "list size"}, {"recall@x", "list size"},
             {"recall@20x", "list size"}, {"recall@99999", "10000"}, {"nonsense@3", "known are"},
             {"", "known are"},           {"auc@5", "takes no"},     {"@20", "known are"},
             {"recall@-3", "list size"}};
  measure_metric metric;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_refused(measure_metric_parse(bad[i].name, &metric, &error), MEDLEY_ERR_USAGE, bad[i].words);
  tables t;
  uint32_t *users;
  measurement m;
  tables_make(&t);
  measure_task task = {.history = &t.history, .test = &t.test};
  assert_ok(measure_users(&task, 0, 1, &users, &task.user_count, &error));
  task.users = users;
  assert_ok(measure_metric_parse("recall@5", &metric, &error));
  scorer what = {"broken", table_score_nan, &t};
  measure_options options = {.metrics = &metric, .metric_count = 1};
  assert_refused(measure_scorer(&task, &what, &options, NULL, &m, &error), MEDLEY_ERR_INTERNAL, "broken gives item 11");
  mem_free(users);
  tables_free(&t);
}

/* ---- validation ---- */

static bool has_pair(const interactions *x, uint32_t user, uint32_t item) {
  return sparse_has(&x->by_user, user, item);
}

static void test_validation_parts(void **state) {
  (void)state;
  medley_error error;
  planted *p = planted_create(120, 400, 25, true, true);
  static const split_kind kinds[] = {SPLIT_USER_RANDOM, SPLIT_GLOBAL_TIME, SPLIT_LEAVE_ONE_OUT, SPLIT_RANDOM,
                                     SPLIT_COLD_USER};
  uint8_t *label = calloc(p->log.event_count, 1);
  for (size_t e = 0; e < p->log.event_count; e++) label[e] = e % 9 == 0 ? LABEL_TEST : LABEL_TRAIN;
  fit_input input = planted_input(p, label);
  interactions all;
  assert_ok(interactions_build(&p->log, &p->weights, label, LABEL_TRAIN, &all, &error));
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    fit_options options = {.seed = 4, .validation = kinds[k]};
    fit_validation v;
    assert_ok(fit_validation_make(&input, &options, &all, 50, &v, &error));
    assert_true(v.has_cold && v.cold.user_count > 0 && v.cold.user_count <= 50);
    /* Three events each to ask for: fifty users would say too little, so all are asked. */
    size_t askable = 0;
    for (uint32_t u = 0; u < v.warm_test.by_user.rows; u++)
      askable += v.warm_test.by_user.start[u] < v.warm_test.by_user.start[u + 1];
    assert_true(v.warm.user_count > 0 && v.warm.user_count <= askable && (v.warm.user_count > 50 || askable < 60));
    uint64_t train = sparse_count(&v.train.by_user), cold = sparse_count(&v.cold_test.by_user);
    assert_true(train > 0 && cold > 0 && sparse_count(&v.warm_test.by_user) > 0);
    assert_true(train + cold <= sparse_count(&all.by_user));
    for (size_t e = 0; e < p->log.event_count; e++) {
      uint32_t u = p->log.events[e].user, i = p->log.events[e].item;
      /* What may not be learned from is in no part, unless the pair came again in train. */
      if (!has_pair(&all, u, i))
        assert_false(has_pair(&v.train, u, i) || has_pair(&v.warm_test, u, i) || has_pair(&v.cold_test, u, i));
      if (v.made_cold[i]) {
        assert_true(v.cold_items[i]);
        assert_false(has_pair(&v.train, u, i) || has_pair(&v.warm_test, u, i));
      }
      /* What is asked of cold items and of warm ones is apart; together it is the demand, of made-cold items a draw. */
      assert_true(v.cold_items[i] || !has_pair(&v.cold_test, u, i));
      assert_true(!v.cold_items[i] || !has_pair(&v.warm_test, u, i));
      assert_true(!has_pair(&v.warm_test, u, i) || has_pair(&v.demand_test, u, i));
      assert_true(!has_pair(&v.demand_test, u, i) || has_pair(&v.warm_test, u, i) || has_pair(&v.cold_test, u, i));
      /* Nobody is asked for items made cold alone. */
      if (v.made_cold[i] && has_pair(&v.demand_test, u, i))
        assert_true(v.warm_test.by_user.start[u] < v.warm_test.by_user.start[u + 1]);
    }
    uint32_t cold_count = 0;
    for (uint32_t i = 0; i < p->catalogue.count; i++) {
      assert_int_equal(v.cold_items[i], v.train.popularity[i] == 0);
      cold_count += v.cold_items[i];
    }
    assert_int_equal(cold_count, v.cold_count);
    fit_validation_deinit(&v);
  }
  interactions_deinit(&all);
  free(label);
  planted_free(p);
}

/* ---- the whole fit ---- */

static double model_weight(const fit_result *r, const char *name, int temperature) {
  for (size_t m = 0; m < r->model_count; m++)
    if (strcmp(r->models[m].kind->name, name) == 0) return (double)r->models[m].weight[temperature];
  return NAN;
}

static void test_fit_on_planted_structure(void **state) {
  (void)state;
  medley_error error;
  planted *p = planted_create(200, 300, 20, false, true);
  fit_input input = planted_input(p, NULL);
  static const char *const models[] = {"popular", "itemknn", "ease", "content", NULL};
  fit_options options = {.seed = 2, .validation = SPLIT_USER_RANDOM, .models = models, .every_model = true};
  fit_result r;
  assert_ok(fit_run(&input, &options, NULL, &r, &error));
  double best = 0;
  for (size_t m = 0; m < r.model_count; m++) {
    assert_true(r.models[m].skipped[0] == '\0');
    assert_non_null(fit_result_model(&r, m));
    if (!r.models[m].tuned_cold) best = fmax(best, r.models[m].objective);
  }
  /* The same users judge both, so the blend is no worse than its best member. */
  double reached = (r.warm_recall + r.warm_ndcg) / 2;
  if (!(reached >= best - 1e-3)) fail_msg("the blend reaches %g on validation, its best member %g", reached, best);
  assert_true(best > 0.1);
  /* By chance a cold item is found 20 times of 30; content knows the group. */
  assert_true(r.cold_recall > 0.8 && model_weight(&r, "content", BLEND_COLD) > 0);
  assert_true(model_weight(&r, "popular", BLEND_COLD) == 0 && model_weight(&r, "ease", BLEND_COLD) == 0);
  double sum = 0;
  for (size_t m = 0; m < r.model_count; m++) sum += (double)r.models[m].weight[BLEND_WARM];
  assert_near(sum, 1, 0.002);

  /* Parts add up, and cold items carry their shift. */
  const uint32_t items[] = {3, 8, 13};
  const float weights[] = {1, 1, 1};
  history h = {.item = items, .weight = weights, .count = 3, .now_s = STORE_TIME_UNKNOWN};
  recommender_scratch scratch = {0};
  float *total = calloc(300, sizeof *total), *parts = calloc(blend_rows(r.blend) * 300, sizeof *parts);
  assert_ok(blend_score(r.blend, &h, &scratch, total, parts, NULL, &error));
  for (uint32_t i = 0; i < 300; i++) {
    double all = 0;
    for (size_t part = 0; part <= r.blend->count; part++) all += (double)parts[part * 300 + i];
    assert_near(all, (double)total[i], 1e-5);
    assert_near((double)parts[r.blend->count * 300 + i], r.blend->cold[i] ? (double)r.blend->cold_shift : 0, 0);
    assert_int_equal(r.blend->cold[i], r.train.popularity[i] == 0);
  }
  recommender_scratch_deinit(&scratch);
  free(total);
  free(parts);

  json_t *report = fit_result_to_json(&r);
  assert_int_equal(json_array_size(json_object_get(report, "models")), r.model_count);
  json_decref(report);
  fit_result_deinit(&r);
  planted_free(p);
}

/* Content says little: new items have a place, but not at any price. */
static void test_place_of_cold_items_has_a_price(void **state) {
  (void)state;
  medley_error error;
  planted *p = planted_create(200, 600, 20, false, true);
  rng r;
  rng_seed(&r, 5);
  float *values = p->content.parts[0].features.values;
  for (size_t i = 0; i < (size_t)600 * PLANTED_DIM; i++) values[i] += 0.2f * (float)rng_normal(&r);
  fit_input input = planted_input(p, NULL);
  static const char *const models[] = {"popular", "ease", "content", NULL};
  fit_options options = {.seed = 2, .validation = SPLIT_USER_RANDOM, .models = models};
  fit_result found;
  assert_ok(fit_run(&input, &options, NULL, &found, &error));
  assert_true(model_weight(&found, "content", BLEND_COLD) > 0);
  if (!(found.demand >= 0.97 * found.demand_best * (1 - 1e-6)))
    fail_msg("%g of the demand is served, %g could be", found.demand, found.demand_best);
  fit_result_deinit(&found);
  planted_free(p);
}

/* One start while the other settings are tuned, and as many as by default when they are. */
static void test_what_is_meanwhile_is_not_kept(void **state) {
  (void)state;
  medley_error error;
  planted *p = planted_create(60, 80, 10, true, true);
  fit_input input = planted_input(p, NULL);
  static const char *const models[] = {"ials", NULL};
  fit_options options = {.seed = 2, .validation = SPLIT_USER_RANDOM, .models = models, .every_model = true};
  fit_result r;
  size_t found = 0;
  assert_ok(fit_run(&input, &options, NULL, &r, &error));
  assert_int_equal(r.model_count, 1);
  for (size_t s = 0; r.models[0].kind->settings[s].name != NULL; s++) {
    const recommender_setting *setting = &r.models[0].kind->settings[s];
    if (setting->meanwhile == 0) continue;
    found++;
    assert_true(setting->meanwhile != setting->fallback);
    assert_near(r.models[0].values[s], setting->fallback, 0);
  }
  assert_int_equal(found, 1);
  assert_true(r.models[0].objective > 0);
  fit_result_deinit(&r);
  planted_free(p);
}

static void test_fit_is_repeatable(void **state) {
  (void)state;
  medley_error error;
  planted *p = planted_create(60, 80, 10, true, true);
  fit_input input = planted_input(p, NULL);
  static const char *const models[] = {"trending", "ease", "content_map", NULL};
  fit_options options = {.seed = 2, .validation = SPLIT_GLOBAL_TIME, .models = models};
  fit_result a, b;
  assert_ok(fit_run(&input, &options, NULL, &a, &error));
  assert_ok(fit_run(&input, &options, NULL, &b, &error));
  assert_int_equal(a.blend->count, b.blend->count);
  for (size_t m = 0; m < a.model_count; m++) {
    assert_memory_equal(a.models[m].weight, b.models[m].weight, sizeof a.models[m].weight);
    assert_memory_equal(a.models[m].values, b.models[m].values, sizeof a.models[m].values);
  }
  fit_result_deinit(&a);
  fit_result_deinit(&b);
  planted_free(p);
}

static void test_fit_refuses(void **state) {
  (void)state;
  medley_error error;
  planted *p = planted_create(20, 30, 5, false, false);
  fit_input input = planted_input(p, NULL);
  fit_result r;
  static const struct {
    const char *models[3];
    const char *words;
  } bad[] = {{{"oracle"}, "no recommender 'oracle'"},
             {{"ease", "content"}, "content cannot take part"},
             {{"trending"}, "trending cannot take part: events have no times"},
             {{"latest"}, "latest cannot take part"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    fit_options options = {.seed = 1, .validation = SPLIT_USER_RANDOM, .models = bad[i].models};
    assert_refused(fit_run(&input, &options, NULL, &r, &error), MEDLEY_ERR_USAGE, bad[i].words);
  }
  planted_free(p);
}

/* medley.conf's fuse.kind settles what is otherwise tried. */
static void test_fuser_is_settled(void **state) {
  (void)state;
  medley_error error;
  planted *p = planted_create(60, 80, 10, false, true);
  fit_input input = planted_input(p, NULL);
  static const char *const models[] = {"content", NULL};
  for (size_t k = 0; fuser_kinds[k].name != NULL; k++) {
    fit_options options = {.seed = 1,
                           .fuser = fuser_kinds[k].name,
                           .models = models,
                           .validation = SPLIT_USER_RANDOM,
                           .every_model = true};
    fit_result r;
    assert_ok(fit_run(&input, &options, NULL, &r, &error));
    assert_near(r.models[0].values[0], (double)k, 0);
    assert_string_equal(json_member_string(r.models[0].learned, "fuse", ""), fuser_kinds[k].name);
    assert_true(r.models[0].objective > 0.1);
    fit_result_deinit(&r);
  }
  fit_options wrong = {.seed = 1, .fuser = "fuse.nothing", .validation = SPLIT_USER_RANDOM};
  fit_result r;
  assert_refused(fit_run(&input, &wrong, NULL, &r, &error), MEDLEY_ERR_INPUT,
                 "medley.conf: fuse.kind is 'fuse.nothing', which is no fuser");
  planted_free(p);
}

/* ---- one space ---- */

#define WIDE 300

/* Two views of the same three hidden numbers, in many columns. */
static void wide_part(representation *content, const char *name, size_t count, uint64_t seed) {
  rng r, hidden;
  rng_seed(&r, seed);
  rng_seed(&hidden, 99);
  float mix[3][WIDE];
  for (int k = 0; k < 3; k++)
    for (int d = 0; d < WIDE; d++) mix[k][d] = (float)rng_normal(&r);
  representation_part *part = &content->parts[content->count++];
  snprintf(part->name, sizeof part->name, "%s", name);
  part->encoder = (encoder *)content; /* only whether there is one is looked at */
  part->features = (features){.name = part->name,
                              .count = count,
                              .dim = WIDE,
                              .values = mem_zalloc_aligned(count * WIDE, sizeof(float)),
                              .present = mem_zalloc_aligned(count, 1)};
  for (size_t i = 0; i < count; i++) {
    float *row = part->features.values + i * WIDE, own[3];
    for (int k = 0; k < 3; k++) own[k] = (float)rng_normal(&hidden);
    part->features.present[i] = 1;
    for (int d = 0; d < WIDE; d++)
      row[d] = own[0] * mix[0][d] + own[1] * mix[1][d] + own[2] * mix[2][d] + 0.1f * (float)rng_normal(&r);
    vector_normalise(row, WIDE);
  }
}

/* Fewer pairs than columns: found all the same, and the map takes rows as they are. */
static void test_few_pairs_are_aligned(void **state) {
  (void)state;
  medley_error error;
  enum { FEW = 60 };
  representation content = {.item_count = FEW};
  static const char *const tried[] = {NULL, "align.procrustes", "align.cca,align.ridge align.procrustes"};
  wide_part(&content, "text", FEW, 5);
  wide_part(&content, "video", FEW, 6);
  for (size_t t = 0; t < sizeof tried / sizeof *tried; t++) {
    space *s;
    assert_ok(space_fit(&content, NULL, tried[t], 3, NULL, &s, &error));
    assert_int_equal(s->pair_count, 1);
    assert_int_equal(s->pairs[0].map.x_dim, WIDE);
    assert_true(s->pairs[0].report.median_rank[0] <= 2 && s->pairs[0].report.median_rank[1] <= 2);
    if (t == 1) assert_non_null(strstr(s->pairs[0].map.settings, "procrustes"));
    for (size_t side = 2; side < s->side_count; side++) /* the two of one modality come first */
      assert_true(s->sides[side].weight < 0.5f);        /* a handful of held-out items proves little */
    space_free(s);
  }
  space *none;
  assert_refused(space_fit(&content, NULL, "align.cca, align.magic", 3, NULL, &none, &error), MEDLEY_ERR_INPUT,
                 "align.kinds names 'align.magic', which is no aligner");
  assert_refused(space_fit(&content, NULL, " ,", 3, NULL, &none, &error), MEDLEY_ERR_INPUT, "names no aligner");
  for (size_t i = 0; i < content.count; i++) features_deinit(&content.parts[i].features);
}

/* ---- ratings and likes ---- */

static medley_status rising_score(const void *context, const history *h, recommender_scratch *scratch, float *scores,
                                  medley_error *err) {
  (void)context, (void)h, (void)scratch, (void)err;
  for (int i = 0; i < 4; i++) scores[i] = (float)i;
  return MEDLEY_OK;
}

/* Standardised, the scores are -1.3416, -0.4472, 0.4472, 1.3416. Through user 1's ratings goes 3.5 + 3.3541 s, which
 * predicts -1 and 8 of user 0's 1 and 5; through user 0's goes 3 + 1.4907 s, which predicts 2.3333 and 3.6667 of user
 * 1's 2 and 5. */
static void test_judgements_by_hand(void **state) {
  (void)state;
  medley_error error;
  char *types[] = {"rating"};
  event events[] = {{0, 0, 1, 0, 0, 0}, {1, 1, 2, 0, 0, 0}, {0, 3, 5, 0, 0, 0}, {1, 2, 5, 0, 0, 0}, {1, 3, 1, 0, 0, 0}};
  const uint8_t label[] = {LABEL_TEST, LABEL_TEST, LABEL_TEST, LABEL_TEST, LABEL_TRAIN};
  event_log log = {
      .user_count = 2, .item_count = 4, .events = events, .event_count = 5, .type_names = types, .type_count = 1};
  event_weights weights;
  interactions known;
  judgements j;
  float *rating, *probability;
  static const struct {
    const char *metric;
    double value;
  } rows[] = {{"mae", 20.0 / 12}, {"rmse", 1.92930615}, {"accuracy", 1}, {"gauc", 1}};
  event_weights_default(&log, &weights);
  assert_near((double)weights.rating_threshold, 3, 1e-6);
  assert_ok(interactions_build(&log, &weights, label, LABEL_TRAIN, &known, &error));
  assert_ok(judgements_collect(&log, &weights, label, LABEL_TEST, &j, &error));
  assert_int_equal(j.count, 4);
  assert_true(judgements_rate(&j) && judgements_part(&j));
  scorer what = {"rising", rising_score, NULL};
  assert_ok(judgements_predict(&j, &known, &what, &rating, &probability, &error));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_near(judgements_measure(&j, metric_find(rows[i].metric), rating, probability), rows[i].value, 1e-5);
  double loss = judgements_measure(&j, metric_find("log-loss"), rating, probability);
  assert_true(loss > 0 && loss < 0.2); /* both halves part the classes */
  double across[8], up[8], area;
  assert_true(judgements_roc(&j, probability, 8, across, up, &area) >= 3); /* up the left side, then to the right */
  assert_near(area, 1, 1e-12);
  assert_near(across[0] + up[0], 0, 0);
  for (int i = 0; up[i] < 1; i++) assert_near(across[i], 0, 0);
  mem_free(rating);
  mem_free(probability);
  judgements_deinit(&j);
  /* All alike: nothing to predict. */
  for (int i = 0; i < 4; i++) events[i].value = 4;
  assert_ok(judgements_collect(&log, &weights, label, LABEL_TEST, &j, &error));
  assert_false(judgements_rate(&j) || judgements_part(&j));
  judgements_deinit(&j);
  interactions_deinit(&known);
}

/* ---- hardly any data ---- */

static void degenerate_check(const char *what, const planted *p) {
  medley_error error;
  static const split_kind kinds[] = {SPLIT_USER_RANDOM, SPLIT_GLOBAL_TIME};
  for (size_t k = 0; k < 2; k++) {
    fit_input input = planted_input(p, NULL);
    fit_options options = {.seed = 1, .validation = kinds[k], .every_model = k == 0};
    fit_result r;
    medley_status status = fit_run(&input, &options, NULL, &r, &error);
    if (status != MEDLEY_OK) fail_msg("%s, %s: %s", what, split_kind_name(kinds[k]), error.text);
    uint32_t item = 0, n = p->catalogue.count;
    float weight = 1, *total = calloc(n + 1, sizeof *total);
    for (size_t count = 0; count < 2 && n > 0; count++) {
      recommender_scratch scratch = {0};
      history h = {.item = &item, .weight = &weight, .count = count, .now_s = STORE_TIME_UNKNOWN};
      assert_ok(blend_score(r.blend, &h, &scratch, total, NULL, NULL, &error));
      for (uint32_t i = 0; i < n; i++)
        if (!isfinite(total[i])) fail_msg("%s: item %u scores %g", what, i, (double)total[i]);
      recommender_scratch_deinit(&scratch);
    }
    free(total);
    json_t *report = fit_result_to_json(&r);
    assert_non_null(report);
    json_decref(report);
    fit_result_deinit(&r);
  }
}

static void test_hardly_any_data(void **state) {
  (void)state;
  static const struct {
    const char *what;
    uint32_t users, items;
    size_t per_user;
    bool timed, content;
  } cases[] = {
      {"no events", 3, 5, 0, false, true},
      {"no users, no events", 0, 5, 0, false, true},
      {"no content, no events", 0, 3, 0, false, false},
      {"one event", 1, 4, 1, true, true},
      {"one user", 1, 12, 6, true, true},
      {"one item", 9, 1, 2, true, true},
      {"one of each", 1, 1, 1, false, false},
      {"one event each", 8, 6, 1, false, true},
      {"no content", 20, 10, 4, true, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    planted *p = planted_create(cases[i].users, cases[i].items, cases[i].per_user, cases[i].timed, cases[i].content);
    degenerate_check(cases[i].what, p);
    for (size_t e = 0; e < p->log.event_count; e++) p->log.events[e].time_s = 1600000000;
    degenerate_check("… all at one moment", p);
    for (size_t e = 0; e < p->log.event_count; e++) p->log.events[e].item = 0;
    degenerate_check("… all on one item", p);
    for (size_t e = 0; e < p->log.event_count; e++) p->log.events[e].value = -1;
    degenerate_check("… all refused", p);
    planted_free(p);
  }
}

/* A small catalogue has too few items to hold some out; its new items are placed by content all the same. */
static void test_small_catalogue_places_new_items(void **state) {
  (void)state;
  medley_error error;
  planted *p = planted_create(40, 30, 6, false, true);
  for (size_t e = 0; e < p->log.event_count; e++)
    if (p->log.events[e].item >= 25) p->log.events[e].item -= 25; /* the same group; the last five are new */
  fit_input input = planted_input(p, NULL);
  static const char *const models[] = {"popular", "ease", "content", NULL};
  fit_options options = {.seed = 2, .validation = SPLIT_USER_RANDOM, .models = models};
  fit_result r;
  assert_ok(fit_run(&input, &options, NULL, &r, &error));
  assert_true(isnan(r.cold_recall) && isnan(r.demand));
  assert_true(r.blend->cold_count >= 5 && model_weight(&r, "content", BLEND_COLD) > 0);
  for (uint32_t group = 0; group < PLANTED_GROUPS; group++) {
    const uint32_t items[] = {group, group + 5, group + 10};
    const float weights[] = {1, 1, 1};
    history h = {.item = items, .weight = weights, .count = 3, .now_s = STORE_TIME_UNKNOWN};
    recommender_scratch scratch = {0};
    float total[30];
    assert_ok(blend_score(r.blend, &h, &scratch, total, NULL, NULL, &error));
    for (uint32_t i = 25; i < 30; i++) assert_true(i % PLANTED_GROUPS == group || total[i] < total[25 + group]);
    recommender_scratch_deinit(&scratch);
  }
  fit_result_deinit(&r);
  planted_free(p);
}

#ifdef MEDLEY_FAULTS
static void test_memory_runs_out(void **state) {
  (void)state;
  planted *p = planted_create(12, 40, 6, true, true);
  fit_input input = planted_input(p, NULL);
  static const char *const models[] = {"popular", "itemknn", "content", NULL};
  fit_options options = {.seed = 2, .validation = SPLIT_GLOBAL_TIME, .models = models};
  for (long n = 1;; n += 1 + n / 12) {
    medley_error error = {0};
    fit_result r;
    memory_fault_after(n);
    medley_status status = fit_run(&input, &options, NULL, &r, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (status == MEDLEY_OK)
      fit_result_deinit(&r);
    else if (status != MEDLEY_ERR_MEMORY || strstr(error.text, "memory") == NULL)
      fail_msg("allocation %ld failed: '%s' (%s)", n, error.text, medley_status_name(status));
    if (!struck) break;
  }
  planted_free(p);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_objective_is_that_of_the_metrics),
      cmocka_unit_test(test_search_against_all_weights),
      cmocka_unit_test(test_search_with_nothing_to_find),
      cmocka_unit_test(test_a_sum_gives_way_when_it_is_surely_worse),
      cmocka_unit_test(test_measuring_against_a_naive_ranking),
      cmocka_unit_test(test_who_is_asked),
      cmocka_unit_test(test_measuring_refuses),
      cmocka_unit_test(test_validation_parts),
      cmocka_unit_test(test_fit_on_planted_structure),
      cmocka_unit_test(test_place_of_cold_items_has_a_price),
      cmocka_unit_test(test_what_is_meanwhile_is_not_kept),
      cmocka_unit_test(test_fit_is_repeatable),
      cmocka_unit_test(test_fit_refuses),
      cmocka_unit_test(test_fuser_is_settled),
      cmocka_unit_test(test_few_pairs_are_aligned),
      cmocka_unit_test(test_judgements_by_hand),
      cmocka_unit_test(test_hardly_any_data),
      cmocka_unit_test(test_small_catalogue_places_new_items),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_runs_out),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
