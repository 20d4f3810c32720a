/* medley_evaluate from end to end on a case small enough for pencil and paper, and what it refuses. */
#include <medley/medley.h>

#include "base/file.h"
#include "base/json.h"
#include "engine/workspace.h"
#include "test.h"

/* Who chose what, and which of it is asked about. In training a has 4 people, b 3, c 2, d 1, e and f none, so by
 * popularity the items not seen yet stand in the order of the alphabet:
 *
 *   user  seen   ranked    asked about   places   recall@2  ndcg@2             precision@2  auc
 *   u1    a b    c d e f   c d e         0 1 2    2/3       1 (2 of 2 first)   1            1
 *   u2    a b c  d e f     d             0        1         1                  1/2          1
 *   u3    a c    b d e f   e             2        0         0                  0            1/3
 *   u4    a b d  c e f     e f           1 2      1/2       0.6309/1.6309      1/2          0
 */
static const struct {
  const char *user, *train, *test;
} people[] = {{"u1", "ab", "cde"}, {"u2", "abc", "d"}, {"u3", "ac", "e"}, {"u4", "abd", "ef"}};

#define GAIN_2 0.63092975357145743710 /* 1 / log2(3) */
#define NDCG_U4 (GAIN_2 / (1 + GAIN_2))

static char root[256], path[300];
static medley_workspace *w;

static int setup(void **state) {
  (void)state;
  medley_error error;
  int32_t type;
  test_folder(root);
  snprintf(path, sizeof path, "%s/tiny", root);
  assert_ok(medley_workspace_create(path, &error));
  assert_ok(medley_workspace_open(path, &w, &error));
  assert_ok(w->kind->begin(w->store, &error));
  int64_t item[6], user;
  for (int i = 0; i < 6; i++) {
    char key[2] = {(char)('a' + i), 0};
    assert_ok(w->kind->put_item(w->store, &(store_item){.key = key, .time_s = STORE_TIME_UNKNOWN}, &item[i], &error));
  }
  assert_ok(w->kind->event_type(w->store, "click", &type, &error));
  for (size_t p = 0; p < 4; p++) {
    store_user row = {.key = people[p].user, .time_s = STORE_TIME_UNKNOWN};
    assert_ok(w->kind->put_user(w->store, &row, &user, &error));
    for (int test = 0; test < 2; test++)
      for (const char *i = test ? people[p].test : people[p].train; *i != '\0'; i++) {
        store_event event = {.user_id = user,
                             .item_id = item[*i - 'a'],
                             .type = type,
                             .value = 1,
                             .time_s = STORE_TIME_UNKNOWN,
                             .split = test ? STORE_SPLIT_TEST : STORE_SPLIT_TRAIN};
        assert_ok(w->kind->put_events(w->store, &event, 1, &error));
      }
  }
  assert_ok(w->kind->commit(w->store, &error));
  return 0;
}

static int teardown(void **state) {
  (void)state;
  medley_workspace_close(w);
  return folder_remove(root, NULL) == MEDLEY_OK ? 0 : 1;
}

static const char *const popular[] = {"popular", NULL};
static const char *const metrics[] = {"recall@2", "ndcg@2", "precision@2", "hit@2", "auc", "recall@1", NULL};

static json_t *evaluate(const medley_evaluate_options *options) {
  medley_error error;
  char *text = NULL;
  json_t *report = NULL;
  assert_ok(medley_evaluate(w, options, NULL, &text, &error));
  assert_ok(json_parse(text, strlen(text), "report", &report, &error));
  medley_free(text);
  return report;
}

static void expect(const json_t *metrics_of, const char *name, double mean) {
  const json_t *entry = json_object_get(metrics_of, name);
  if (entry == NULL) fail_msg("%s is not in the report", name);
  assert_near(json_member_number(entry, "mean", NAN), mean, 1e-9);
  if (json_object_get(entry, "lo") == NULL) return; /* of all lists at once: no interval */
  assert_true(json_member_number(entry, "lo", NAN) <= mean + 1e-9);
  assert_true(json_member_number(entry, "hi", NAN) >= mean - 1e-9);
}

static void test_by_hand(void **state) {
  (void)state;
  char html[400];
  snprintf(html, sizeof html, "%s/report.html", root);
  json_t *report =
      evaluate(&(medley_evaluate_options){.split = "given", .models = popular, .metrics = metrics, .html = html});
  const json_t *models = json_object_get(report, "models");
  assert_string_equal(json_member_string(report, "split", ""), "given");
  assert_string_equal(json_member_string(report, "model", ""), "blend");
  assert_int_equal(json_array_size(models), 2);
  /* A blend of popularity alone ranks as popularity does. */
  for (size_t m = 0; m < 2; m++) {
    const json_t *model = json_array_get(models, m), *of = json_object_get(model, "metrics");
    assert_string_equal(json_member_string(model, "model", ""), m == 0 ? "blend" : "popular");
    assert_int_equal(json_member_integer(model, "users", 0), 4);
    expect(of, "recall@2", (2.0 / 3 + 1 + 0 + 0.5) / 4);
    expect(of, "ndcg@2", (1 + 1 + 0 + NDCG_U4) / 4);
    expect(of, "precision@2", (1 + 0.5 + 0 + 0.5) / 4);
    expect(of, "hit@2", 0.75);
    expect(of, "auc", (1 + 1 + 1.0 / 3 + 0) / 4);
    expect(of, "recall@1", (1.0 / 3 + 1 + 0 + 0) / 4);
    expect(of, "coverage@2", 4.0 / 6); /* b c d e */
    const json_t *slices = json_object_get(model, "slices");
    const json_t *warm = json_object_get(slices, "warm"), *cold = json_object_get(slices, "cold");
    assert_int_equal(json_member_integer(warm, "users", 0), 2);
    expect(json_object_get(warm, "metrics"), "recall@2", 1);
    assert_int_equal(json_member_integer(cold, "users", 0), 3);
    expect(json_object_get(cold, "metrics"), "recall@2", 0.5 / 3);
    expect(json_object_get(cold, "metrics"), "ndcg@2", NDCG_U4 / 3);
    assert_true(json_member_number(json_object_get(model, "seconds"), "score", -1) >= 0);
    assert_true(json_member_integer(model, "peak_memory_bytes", 0) > 0);
  }
  /* Nothing tells the two apart. */
  const json_t *p_value = json_object_get(json_array_get(models, 1), "p_value");
  assert_near(json_member_number(p_value, "recall@2", NAN), 1, 1e-9);
  assert_int_equal(json_member_integer(report, "test_interactions", 0), 7);
  assert_true(file_exists(html));
  json_decref(report);
  char current[400];
  snprintf(current, sizeof current, "%s/current", path);
  assert_false(file_exists(current)); /* nothing was published */
}

static void test_cold_items_by_hand(void **state) {
  (void)state;
  medley_error error;
  char file[400];
  snprintf(file, sizeof file, "%s/cold.txt", root);
  assert_ok(file_write(file, "f\n\n  e \r\n", 9, &error));
  json_t *report = evaluate(&(medley_evaluate_options){.cold_items = file, .models = popular, .metrics = metrics});
  /* u1 and u3 look for e, u4 for both, and only these two are ranked: e stands first. */
  const json_t *of = json_object_get(report, "metrics");
  assert_int_equal(json_member_integer(report, "users", 0), 3);
  assert_int_equal(json_member_integer(report, "cold_items", 0), 2);
  expect(of, "recall@2", 1);
  expect(of, "recall@1", (1 + 1 + 0.5) / 3);
  expect(of, "ndcg@2", 1);
  json_decref(report);
}

static void test_the_same_for_the_same_seed(void **state) {
  (void)state;
  static const char *const splits[] = {"random", "leave-one-out", "user-random", "cold-item", "cold-user"};
  for (size_t s = 0; s < sizeof splits / sizeof *splits; s++) {
    medley_evaluate_options options = {
        .split = splits[s], .models = popular, .metrics = metrics, .test_share = 0.4, .seed = 9};
    json_t *a = evaluate(&options), *b = evaluate(&options);
    assert_string_equal(json_member_string(a, "split", ""), splits[s]);
    assert_true(json_equal(json_object_get(a, "metrics"), json_object_get(b, "metrics")));
    json_decref(a);
    json_decref(b);
  }
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error;
  static const char *const no_metric[] = {"recall@20", "luck@3", NULL}, *const no_model[] = {"oracle", NULL};
  char empty[400], wrong[400], absent[400];
  snprintf(empty, sizeof empty, "%s/empty.txt", root);
  snprintf(wrong, sizeof wrong, "%s/wrong.txt", root);
  snprintf(absent, sizeof absent, "%s/absent.txt", root);
  assert_ok(file_write(empty, "\n\n", 2, &error));
  assert_ok(file_write(wrong, "a\nzebra\n", 8, &error));
  const struct {
    medley_evaluate_options options;
    medley_status status;
    const char *words;
  } bad[] = {
      {{.split = "fair"}, MEDLEY_ERR_USAGE, "no split 'fair'"},
      {{.split = "global-time"}, MEDLEY_ERR_USAGE, "global-time"},
      {{.split = "random", .test_share = 2}, MEDLEY_ERR_USAGE, "test share is 2"},
      {{.metrics = no_metric}, MEDLEY_ERR_USAGE, "no metric 'luck@3'"},
      {{.models = no_model}, MEDLEY_ERR_USAGE, "no recommender 'oracle'"},
      {{.models = popular, .split = "given", .hold_valid = 1}, MEDLEY_ERR_USAGE, "is marked 'valid'"},
      {{.models = popular, .split = "random", .hold_valid = 1}, MEDLEY_ERR_USAGE, "not in random"},
      {{.models = popular, .baseline = "ease"}, MEDLEY_ERR_USAGE, "baseline 'ease' was not measured"},
      {{.cold_items = absent}, MEDLEY_ERR_NOT_FOUND, "absent.txt"},
      {{.cold_items = empty}, MEDLEY_ERR_INPUT, "names no item"},
      {{.cold_items = wrong}, MEDLEY_ERR_INPUT, "wrong.txt line 2: there is no item 'zebra'"},
      {{.cold_items = wrong, .split = "random"}, MEDLEY_ERR_INPUT, "zebra"},
      {{.models = popular, .html = "/nowhere/at/all.html"}, MEDLEY_ERR_IO, "/nowhere/at/all.html"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *json = (char *)"untouched";
    medley_evaluate_options options = bad[i].options;
    medley_status status = medley_evaluate(w, &options, NULL, &json, &error);
    if (status == MEDLEY_OK || strstr(error.text, bad[i].words) == NULL)
      fail_msg("row %zu: '%s' (%s), it should say '%s'", i, error.text, medley_status_name(status), bad[i].words);
    if (bad[i].status != MEDLEY_ERR_IO) assert_int_equal(status, bad[i].status);
    assert_null(json);
  }
}

/* Without its only model the blend is silent, and loses all it had. */
static void test_importance(void **state) {
  (void)state;
  json_t *report =
      evaluate(&(medley_evaluate_options){.split = "given", .models = popular, .metrics = metrics, .importance = 1});
  const json_t *rows = json_object_get(report, "importance"), *row = json_array_get(rows, 0);
  assert_int_equal(json_array_size(rows), 1);
  assert_string_equal(json_member_string(row, "without", ""), "popular");
  assert_string_equal(json_member_string(row, "kind", ""), "model");
  const json_t *auc = json_object_get(json_object_get(row, "metrics"), "auc");
  double lost = json_member_number(auc, "difference", NAN);
  assert_true(isfinite(lost) && json_member_number(auc, "lo", NAN) <= lost &&
              lost <= json_member_number(auc, "hi", NAN));
  json_decref(report);
}

/* u3 also chose f, marked as validation: held out it changes nothing of what is reported by hand above; learned from, f
 * is as popular as d and u3 is no longer asked about it. */
static void test_valid_is_held_out(void **state) {
  (void)state;
  medley_error error;
  int64_t user, item;
  int32_t type;
  assert_ok(w->kind->begin(w->store, &error));
  assert_ok(w->kind->put_user(w->store, &(store_user){.key = "u3", .time_s = STORE_TIME_UNKNOWN}, &user, &error));
  assert_ok(w->kind->put_item(w->store, &(store_item){.key = "f", .time_s = STORE_TIME_UNKNOWN}, &item, &error));
  assert_ok(w->kind->event_type(w->store, "click", &type, &error));
  store_event valid = {.user_id = user,
                       .item_id = item,
                       .type = type,
                       .value = 1,
                       .time_s = STORE_TIME_UNKNOWN,
                       .split = STORE_SPLIT_VALID};
  assert_ok(w->kind->put_events(w->store, &valid, 1, &error));
  assert_ok(w->kind->commit(w->store, &error));
  medley_evaluate_options options = {.split = "given", .models = popular, .metrics = metrics, .baseline = "best"};
  for (int held = 0; held < 2; held++) {
    options.hold_valid = held;
    json_t *report = evaluate(&options);
    const json_t *models = json_object_get(report, "models"), *fit = json_object_get(report, "fit");
    for (size_t m = 0; m < 2; m++)
      expect(json_object_get(json_array_get(models, m), "metrics"), "auc",
             held ? (1 + 1 + 1.0 / 3 + 0) / 4 : (2.0 / 3 + 1 + 0 + 0) / 4);
    assert_int_equal(json_member_integer(fit, "interactions", 0), held ? 10 : 11);
    /* The two are equal, so the first is the best. */
    assert_string_equal(json_member_string(json_array_get(models, 1), "baseline", ""), "blend");
    assert_null(json_object_get(json_array_get(models, 0), "baseline"));
    json_decref(report);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_importance),         cmocka_unit_test(test_by_hand),
      cmocka_unit_test(test_cold_items_by_hand), cmocka_unit_test(test_the_same_for_the_same_seed),
      cmocka_unit_test(test_refusals),           cmocka_unit_test(test_valid_is_held_out),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
