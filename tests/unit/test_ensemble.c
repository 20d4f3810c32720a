/* Ensembles: votes beside their definitions, every kind of ensemble finds what ranks well and ends in parts that add
 * up, through saving and loading. */
#include "learn/ensemble.h"

#include <math.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "learn/boost.h"
#include "learn/fit_blend.h"
#include "planted.h"
#include "test.h"

/* ---- votes ---- */

static void test_places_by_definition(void **state) {
  (void)state;
  enum { COUNT = 300 };
  medley_error error;
  recommender_scratch scratch = {0};
  float scores[COUNT], places[COUNT], votes[COUNT];
  uint8_t without[COUNT];
  rng r;
  rng_seed(&r, 1);
  for (int round = 0; round < 6; round++) {
    for (size_t i = 0; i < COUNT; i++) {
      scores[i] = round < 3 ? (float)rng_normal(&r) : (float)rng_below(&r, 9) - 4; /* with ties */
      if (scores[i] == 0 && i % 2 == 0) scores[i] = -0.0f;
      without[i] = round % 3 == 1 && rng_below(&r, 4) == 0;
    }
    const uint8_t *left_out = round % 3 == 1 ? without : NULL;
    assert_ok(votes_places(scores, left_out, COUNT, &scratch, places, &error));
    for (size_t i = 0; i < COUNT; i++) {
      double ahead = 0, equal = 0;
      for (size_t j = 0; j < COUNT; j++) {
        if (left_out && without[j]) continue;
        ahead += scores[j] > scores[i];
        equal += scores[j] == scores[i];
      }
      assert_near((double)places[i], left_out && without[i] ? -1 : ahead + (equal - 1) / 2, 0);
    }
    for (int k = 0; k < 2; k++) {
      memcpy(votes, scores, sizeof votes);
      assert_ok(votes_cast(k ? &votes_rrf : &votes_borda, left_out, COUNT, &scratch, votes, &error));
      for (size_t i = 0; i < COUNT; i++) {
        double place = (double)places[i], borda = fmax(0, (VOTES_BALLOT - place) / VOTES_BALLOT);
        assert_near((double)votes[i], place < 0 ? 0 : k ? 1 / (61 + place) : borda, 1e-6);
      }
    }
  }
  assert_ok(votes_places(scores, NULL, 0, &scratch, places, &error));
  assert_true(vote_kind_find("borda") == &votes_borda && vote_kind_find("rrf") == &votes_rrf);
  assert_null(vote_kind_find("acclamation"));
  recommender_scratch_deinit(&scratch);
}

/* ---- weights ---- */

#define USERS 400
#define ROWS 100

/* Column 0 and 1 know something each, column 2 is noise, column 3 knows the contrary. */
static void problem_make(weights_problem *p, uint64_t seed) {
  rng r;
  rng_seed(&r, seed);
  *p = (weights_problem){.column_count = 4, .user_count = USERS};
  p->start = calloc(USERS + 1, sizeof *p->start);
  p->columns = calloc(USERS * ROWS * 4, sizeof *p->columns);
  p->item = calloc(USERS * ROWS, sizeof *p->item);
  p->relevant = calloc(USERS * ROWS, 1);
  p->relevant_count = calloc(USERS, sizeof *p->relevant_count);
  for (size_t u = 0; u < USERS; u++) {
    p->start[u + 1] = p->start[u] + ROWS;
    float *columns = p->columns + p->start[u] * 4;
    for (size_t i = 0; i < ROWS; i++) {
      bool relevant = rng_below(&r, 12) == 0;
      p->relevant[p->start[u] + i] = relevant;
      p->relevant_count[u] += relevant;
      static const double known[4] = {1.4, 1, 0, -1};
      for (size_t c = 0; c < 4; c++) columns[c * ROWS + i] = (float)(known[c] * relevant + rng_normal(&r));
    }
  }
}

static void problem_free(weights_problem *p) {
  free(p->start);
  free(p->columns);
  free(p->item);
  free(p->relevant);
  free(p->relevant_count);
}

/* How each kind is expected to weigh the made-up problem. */
static const struct row {
  const char *name;
  bool single;
} rows[] = {{"weighted"}, {"borda"}, {"rrf"}, {"stacking_ridge"}, {"selection", true}, {"xgboost"}, {"auto"}};

static const struct row *row_of(const char *name) {
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strcmp(rows[i].name, name) == 0) return &rows[i];
  return NULL;
}

static void test_every_kind_finds_the_better_models(void **state) {
  (void)state;
  medley_error error;
  weights_problem p;
  problem_make(&p, 3);
  const float first[4] = {1}, second[4] = {0, 1};
  double alone = weights_objective(&p, first, NULL, NULL);
  assert_true(alone > weights_objective(&p, second, NULL, NULL));
  for (const ensemble_kind *const *k = ensemble_kinds; *k != NULL; k++) {
    float weight[WEIGHTS_MAX];
    const struct row *row = row_of((*k)->name);
    if (row == NULL) fail_msg("no row for '%s'", (*k)->name);
    assert_true(ensemble_kind_find((*k)->name) == *k);
    if ((*k)->weigh == NULL) continue;
    assert_ok((*k)->weigh(&p, weight, &error));
    double sum = 0, reached = weights_objective(&p, weight, NULL, NULL);
    for (int c = 0; c < 4; c++) {
      assert_true(weight[c] >= 0);
      sum += (double)weight[c];
    }
    assert_near(sum, 1, 1e-5);
    assert_true(weight[0] > weight[1] && weight[3] == 0);
    if (row->single)
      assert_near(reached, alone, 0);
    else if (!(reached > 1.03 * alone && weight[1] > 0.2f))
      fail_msg("%s reaches %g with weights %g %g %g, the best column %g", (*k)->name, reached, (double)weight[0],
               (double)weight[1], (double)weight[2], alone);
  }
  assert_null(ensemble_kind_find("oracle"));
  problem_free(&p);
}

/* Least squares with a penalty: at the optimum the gradient is 0 where a weight is, and not against it elsewhere. */
static void test_ridge_solves_its_equations(void **state) {
  (void)state;
  medley_error error;
  weights_problem p;
  float weight[WEIGHTS_MAX];
  problem_make(&p, 5);
  p.column_count = 4;
  assert_ok(ensemble_ridge.weigh(&p, weight, &error));
  double gradient[4] = {0}, along = 0, squares = 0;
  for (int pass = 0; pass < 2; pass++) /* first the scale that normalising took away, then the gradient */
    for (size_t u = 0; u < USERS; u++) {
      double mean[4] = {0}, hits = 0;
      const float *x = p.columns + p.start[u] * 4;
      for (size_t i = 0; i < ROWS; i++) {
        hits += p.relevant[p.start[u] + i] / (double)ROWS;
        for (size_t c = 0; c < 4; c++) mean[c] += (double)x[c * ROWS + i] / ROWS;
      }
      for (size_t i = 0; i < ROWS; i++) {
        double said = 0, y = p.relevant[p.start[u] + i] - hits;
        for (size_t c = 0; c < 4; c++) said += (double)weight[c] * ((double)x[c * ROWS + i] - mean[c]);
        if (pass == 0) {
          along += said * y;
          squares += said * said;
        } else {
          for (size_t c = 0; c < 4; c++)
            gradient[c] += (along / squares * said - y) * ((double)x[c * ROWS + i] - mean[c]);
        }
      }
    }
  /* The penalty keeps it from being exact: a thousandth of what a column says alone. */
  for (int c = 0; c < 4; c++)
    if (weight[c] > 0)
      assert_true(fabs(gradient[c]) < 0.1 * along);
    else
      assert_true(gradient[c] > -0.1 * along);
  problem_free(&p);
}

static void test_another_kind_has_to_be_surely_better(void **state) {
  (void)state;
  enum { MANY = 500 };
  static double first[MANY], little[MANY], surely[MANY], worse[MANY];
  double *values[4] = {first, little, surely, worse};
  rng r;
  rng_seed(&r, 4);
  for (size_t u = 0; u < MANY; u++) {
    first[u] = rng_uniform(&r);
    little[u] = first[u] + 0.2 * rng_normal(&r) + 0.004;
    surely[u] = first[u] + 0.2 * rng_normal(&r) + 0.05;
    worse[u] = first[u] - 0.05;
  }
  ensemble_trial trials[4] = {{.kind = &ensemble_weighted}, {.kind = &ensemble_rrf}, {.kind = &ensemble_borda}};
  assert_int_equal(ensemble_choose(trials, 4, values, MANY), 2);
  assert_true(trials[2].better > 0.03 && trials[2].spread > 0.005 && trials[2].spread < 0.02);
  assert_near(trials[3].better, -0.05, 1e-9);
  values[2] = little;
  assert_int_equal(ensemble_choose(trials, 4, values, MANY), 0);
  assert_int_equal(ensemble_choose(trials, 1, values, 0), 0);
}

static void test_held_out_users_are_strange_to_their_weights(void **state) {
  (void)state;
  medley_error error;
  weights_problem p;
  problem_make(&p, 6);
  double *values = calloc(USERS, sizeof *values), sum = 0;
  float first[4] = {1};
  assert_ok(ensemble_held_out(&ensemble_selection, &p, values, &error));
  for (size_t u = 0; u < USERS; u++) sum += values[u] / USERS;
  assert_near(sum, weights_objective(&p, first, NULL, NULL), 1e-9); /* every fold chooses the same column */
  free(values);
  problem_free(&p);
}

/* ---- the whole ---- */

static void parts_check(const blend *b, const char *name) {
  medley_error error;
  const uint32_t items[] = {3, 8, 13};
  const float weights[] = {1, 1, 1};
  size_t n = b->item_count;
  float *total = calloc(n, sizeof *total), *parts = calloc(blend_rows(b) * n, sizeof *parts);
  for (size_t count = 0; count <= 3; count += 3) {
    recommender_scratch scratch = {0};
    history h = {.item = items, .weight = weights, .count = count, .now_s = STORE_TIME_UNKNOWN};
    assert_ok(blend_score(b, &h, &scratch, total, parts, NULL, &error));
    for (size_t i = 0; i < n; i++) {
      double sum = 0;
      for (size_t p = 0; p < blend_rows(b); p++) sum += (double)parts[p * n + i];
      if (!(fabs(sum - (double)total[i]) < 1e-4)) fail_msg("%s: parts sum to %g, %g", name, sum, (double)total[i]);
    }
    recommender_scratch_deinit(&scratch);
  }
  free(total);
  free(parts);
}

static void save_check(const blend *b, const recommender_data *fitted, const char *name) {
  medley_error error;
  char folder[256], path[512];
  json_t *manifest = json_object();
  safetensors_writer out = {0};
  safetensors file = {0};
  blend *loaded = NULL;
  const uint32_t item = 4;
  const float weight = 1;
  recommender_data data = {.features = fitted->features, .feature_count = fitted->feature_count};
  history h = {.item = &item, .weight = &weight, .count = 1, .now_s = STORE_TIME_UNKNOWN};
  recommender_scratch scratch = {0};
  float *totals = calloc(2 * (size_t)b->item_count, sizeof *totals);
  test_folder(folder);
  snprintf(path, sizeof path, "%s/models.safetensors", folder);
  assert_ok(blend_save(b, &out, manifest, &error));
  assert_ok(safetensors_save(&out, path, &error));
  safetensors_writer_deinit(&out);
  assert_ok(safetensors_open(&file, path, &error));
  assert_ok(blend_load(&file, manifest, &data, &loaded, &error));
  assert_true(loaded->votes == b->votes && (loaded->rerank != NULL) == (b->rerank != NULL));
  assert_ok(blend_score(b, &h, &scratch, totals, NULL, NULL, &error));
  assert_ok(blend_score(loaded, &h, &scratch, totals + b->item_count, NULL, NULL, &error));
  if (memcmp(totals, totals + b->item_count, b->item_count * sizeof *totals) != 0) fail_msg("%s changed", name);
  blend_free(loaded);
  json_object_set_new(manifest, "votes", json_string("acclamation"));
  loaded = NULL;
  assert_refused(blend_load(&file, manifest, &data, &loaded, &error), MEDLEY_ERR_UNSUPPORTED, "acclamation");
  recommender_scratch_deinit(&scratch);
  safetensors_close(&file);
  json_decref(manifest);
  free(totals);
  assert_ok(folder_remove(folder, &error));
}

static const char *const models[] = {"popular", "itemknn", "ease", "content", NULL};

static void test_every_kind_in_a_fit(void **state) {
  (void)state;
  medley_error error;
  planted *p = planted_create(200, 300, 20, false, true);
  fit_input input = planted_input(p, NULL);
  double single = 0;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fit_options options = {
        .seed = 2, .validation = SPLIT_USER_RANDOM, .models = models, .ensemble = rows[i].name, .every_model = true};
    fit_result r;
    assert_ok(fit_run(&input, &options, NULL, &r, &error));
    for (size_t m = 0; i == 0 && m < r.model_count; m++)
      if (!r.models[m].tuned_cold) single = fmax(single, r.models[m].objective);
    double reached = (r.warm_recall + r.warm_ndcg) / 2;
    if (!(reached >= 0.9 * single)) fail_msg("%s reaches %g, the best model %g", rows[i].name, reached, single);
    assert_true((r.trial_count > 0) == (strcmp(rows[i].name, "auto") == 0));
    assert_non_null(r.ensemble->weigh);
    assert_true(r.blend->votes == r.ensemble->votes);
    size_t counted = 0;
    for (size_t m = 0; m < r.model_count; m++) counted += r.models[m].weight[BLEND_WARM] > 0;
    assert_true(counted == 1 || !rows[i].single);
    json_t *report = fit_result_to_json(&r);
    assert_string_equal(json_member_string(json_object_get(report, "ensemble"), "kind", ""), r.ensemble->name);
    json_decref(report);
    parts_check(r.blend, rows[i].name);
    save_check(r.blend, &r.data, rows[i].name);
    fit_result_deinit(&r);
  }
  fit_options unknown = {.seed = 2, .validation = SPLIT_USER_RANDOM, .models = models, .ensemble = "oracle"};
  fit_result r;
  assert_refused(fit_run(&input, &unknown, NULL, &r, &error), MEDLEY_ERR_USAGE, "oracle");
  planted_free(p);
}

/* Trees on top of a blend, made by hand: one looks at the first part's score, one at the second's place, one at the
 * length of the history and then at how popular the item is. */
static rerank *ranker_on(const planted *p, const fit_result *r) {
  medley_error error;
  rerank *out;
  static const uint32_t root[] = {0, 3, 6};
  static const float cover[] = {100, 30, 70, 100, 90, 10, 100, 60, 40, 20, 20};
  static const float value[] = {0.8f, -0.3f, 0.4f, 12.5f, 0.5f, -0.1f, 1, 0.2f, 0.5f, -0.2f, 0.3f};
  static uint32_t feature[11], left[11], right[11];
  assert_ok(fit_blend_items(&p->catalogue, &r->train, r->item_time_s, &out, &error));
  out->part_count = 2;
  out->part[0] = (uint32_t)r->blend->count - 1;
  out->part[1] = 0;
  for (int n = 0; n < 11; n++) feature[n] = rerank_features(out);
  static const uint32_t inner[][4] = {{0, 0, 1, 2}, {3, 3, 4, 5}, {6, 7, 7, 8}, {8, 4, 9, 10}};
  for (int n = 0; n < 4; n++) {
    feature[inner[n][0]] = inner[n][1];
    left[inner[n][0]] = inner[n][2];
    right[inner[n][0]] = inner[n][3];
  }
  out->trees = (trees){.count = 3,
                       .feature_count = rerank_features(out),
                       .node_count = 11,
                       .root = root,
                       .feature = feature,
                       .left = left,
                       .right = right,
                       .value = value,
                       .cover = cover};
  assert_ok(trees_check(&out->trees, "trees", &error));
  return out;
}

static void test_corrections_are_parts(void **state) {
  (void)state;
  medley_error error;
  planted *p = planted_create(200, 300, 20, false, true);
  fit_input input = planted_input(p, NULL);
  fit_options options = {.seed = 2, .validation = SPLIT_USER_RANDOM, .models = models};
  fit_result r;
  const uint32_t items[] = {3, 8, 13};
  const float weights[] = {1, 1, 1};
  history h = {.item = items, .weight = weights, .count = 3, .now_s = STORE_TIME_UNKNOWN};
  recommender_scratch scratch = {0};
  float *before = calloc(300, sizeof *before), *after = calloc(300, sizeof *after), *parts;
  assert_ok(fit_run(&input, &options, NULL, &r, &error));
  assert_true(blend_is_linear(r.blend));
  assert_ok(blend_score(r.blend, &h, &scratch, before, NULL, NULL, &error));
  r.blend->rerank = ranker_on(p, &r);
  assert_false(blend_is_linear(r.blend));
  parts_check(r.blend, "trees");
  save_check(r.blend, &r.data, "trees");
  parts = calloc(blend_rows(r.blend) * 300, sizeof *parts);
  assert_ok(blend_score(r.blend, &h, &scratch, after, parts, NULL, &error));
  size_t changed = 0, context = 0;
  for (uint32_t i = 0; i < 300; i++) {
    changed += after[i] != before[i];
    context += parts[(r.blend->count + 1) * 300 + i] != 0;
    if (r.blend->cold[i] || i == 3 || i == 8 || i == 13) assert_true(after[i] == before[i]);
    assert_true(fabs((double)(after[i] - before[i])) < 3);
  }
  assert_true(changed > RERANK_DEPTH / 2 && changed <= RERANK_DEPTH && context > 0 && context <= RERANK_DEPTH);
  h.count = 0; /* strangers' lists are left as they are */
  assert_ok(blend_score(r.blend, &h, &scratch, after, NULL, NULL, &error));
  rerank_free(r.blend->rerank);
  r.blend->rerank = NULL;
  assert_ok(blend_score(r.blend, &h, &scratch, before, NULL, NULL, &error));
  assert_memory_equal(before, after, 300 * sizeof *before);
  recommender_scratch_deinit(&scratch);
  free(before);
  free(after);
  free(parts);
  fit_result_deinit(&r);
  planted_free(p);
}

/* Models that are right on one half of the items each, and by their scores cannot know on which: popularity tells. No
 * weighted sum can say that, trees can. */
static void test_trees_find_what_no_sum_can(void **state) {
  (void)state;
  enum { N = 60, PEOPLE = 500 };
  medley_error error;
  weights_problem narrow = {.column_count = 2, .user_count = PEOPLE}, wide = {.column_count = 5, .user_count = PEOPLE};
  rng r;
  rerank *ranker;
  float users[N], weight[WEIGHTS_MAX] = {0};
  static size_t start[PEOPLE + 1];
  static uint32_t item[PEOPLE * N], relevant_count[PEOPLE], people[PEOPLE];
  static uint8_t relevant[PEOPLE * N];
  static float few[PEOPLE * N * 2], many[PEOPLE * N * 5];
  static double held_out[PEOPLE];
  double before = 0, after = 0;
  if (!boost_is_there()) skip();
  rng_seed(&r, 8);
  for (uint32_t i = 0; i < N; i++) users[i] = (float)i;
  assert_ok(rerank_create(users, NULL, NULL, N, NULL, &ranker, &error));
  for (uint32_t u = 0; u < PEOPLE; u++) {
    people[u] = u;
    start[u + 1] = start[u] + N;
    float *scores = few + start[u] * 2, *all = many + start[u] * 5;
    for (uint32_t i = 0; i < N; i++) {
      size_t at = start[u] + i;
      item[at] = i;
      relevant[at] = rng_below(&r, 10) == 0;
      relevant_count[u] += relevant[at];
      for (uint32_t c = 0; c < 2; c++) {
        bool knows = (i < N / 2) == (c == 0);
        scores[c * N + i] = (float)((knows ? 2.5 * relevant[at] : 0) + rng_normal(&r));
      }
    }
    memcpy(all, scores, 2 * N * sizeof *all);
    recommender_scratch scratch = {0};
    for (int c = 0; c < 2; c++) assert_ok(votes_places(scores + c * N, NULL, N, &scratch, all + (2 + c) * N, &error));
    recommender_scratch_deinit(&scratch);
    for (size_t i = 2 * N; i < 4 * N; i++) all[i] = -all[i];
  }
  narrow.start = wide.start = start;
  narrow.item = wide.item = item;
  narrow.relevant = wide.relevant = relevant;
  narrow.relevant_count = wide.relevant_count = relevant_count;
  narrow.columns = few;
  wide.columns = many;
  event_log log = {.user_count = PEOPLE, .item_count = N};
  event_weights weights;
  interactions none;
  event_weights_default(&log, &weights);
  assert_ok(interactions_build(&log, &weights, NULL, 0, &none, &error));
  measure_task task = {.history = &none, .test = &none, .users = people, .user_count = PEOPLE};
  static const uint8_t all_personal[] = {1, 1};
  ensemble_rows rows_given = {&task, &narrow, &wide, 2, all_personal, 1};
  assert_ok(ensemble_xgboost.weigh(&narrow, weight, &error));
  assert_ok(ensemble_xgboost.rerank(&rows_given, weight, ranker, held_out, &error));
  static double plain[PEOPLE];
  assert_ok(ensemble_held_out(&ensemble_weighted, &narrow, plain, &error));
  for (size_t u = 0; u < PEOPLE; u++) {
    before += plain[u] / PEOPLE;
    after += held_out[u] / PEOPLE;
  }
  assert_true(ranker->trees.count > 0 && ranker->part_count == 2);
  if (!(after > 1.02 * before)) fail_msg("with trees %g, without %g", after, before);
  interactions_deinit(&none);
  rerank_free(ranker);
}

#ifdef MEDLEY_FAULTS
static void test_memory_runs_out(void **state) {
  (void)state;
  planted *p = planted_create(12, 40, 6, true, true);
  fit_input input = planted_input(p, NULL);
  static const char *const few[] = {"popular", "itemknn", "content", NULL};
  fit_options options = {.seed = 2, .validation = SPLIT_USER_RANDOM, .models = few, .ensemble = "auto"};
  for (long n = 1;; n += 1 + n / 8) {
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
      cmocka_unit_test(test_places_by_definition),
      cmocka_unit_test(test_every_kind_finds_the_better_models),
      cmocka_unit_test(test_ridge_solves_its_equations),
      cmocka_unit_test(test_another_kind_has_to_be_surely_better),
      cmocka_unit_test(test_held_out_users_are_strange_to_their_weights),
      cmocka_unit_test(test_every_kind_in_a_fit),
      cmocka_unit_test(test_corrections_are_parts),
      cmocka_unit_test(test_trees_find_what_no_sum_can),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_runs_out),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
