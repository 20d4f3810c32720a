/* Searching settings: ranges out of grids, what each tuner proposes, trials in a file, and medley_tune as a whole. */
#include "learn/tuner.h"

#include <medley/medley.h>
#include <math.h>

#include "base/file.h"
#include "base/memory.h"
#include "explain/trials_page.h"
#include "learn/trials.h"
#include "test.h"
#include "workspace_fixture.h"

/* ---- ranges ---- */

static const double ratios[] = {1, 10, 100}, lines[] = {0.3, 0.5, 0.7}, zeros[] = {0, 0.5, 2, 8}, one[] = {4};
static const recommender_setting settings[] = {
    /* clang-format off */
    {"ratio", "", 10, 0.5, 1e6, ratios, 3},
    {"line", "", 0.5, 0, 0.8, lines, 3},
    {"zero", "", 0, 0, 1000, zeros, 4},
    {"one", "", 4, 0, 100, one, 1},
    {"none", "", 7, 0, 100, NULL, 0},
    {NULL},
    /* clang-format on */
};
enum { RATIO, LINE, ZERO, ONE, NONE, COUNT };
static const double start[RECOMMENDER_SETTINGS_MAX] = {10, 0.5, 0, 4, 7};
static const bool open_to_all[RECOMMENDER_SETTINGS_MAX] = {false};

static tuning_search search_make(uint64_t seed) {
  return (tuning_search){.settings = settings, .settled = open_to_all, .start = start, .seed = seed};
}

static void test_ranges(void **state) {
  (void)state;
  setting_range ratio = setting_range_of(&settings[RATIO], false), line = setting_range_of(&settings[LINE], false);
  setting_range zero = setting_range_of(&settings[ZERO], false);
  assert_int_equal(ratio.scale, SETTING_RATIO);
  assert_true(ratio.whole && ratio.zero == 0);
  assert_near(ratio.lo, 0.5, 1e-12); /* a step below 1, but not below the bound */
  assert_near(ratio.hi, 1000, 1e-9);
  assert_int_equal(line.scale, SETTING_LINEAR);
  assert_false(line.whole);
  assert_near(line.lo, 0.1, 1e-12);
  assert_near(line.hi, 0.8, 1e-12);
  assert_int_equal(zero.scale, SETTING_RATIO);
  assert_near(zero.zero, 0.25, 1e-12);
  assert_near(zero.lo, 0.125, 1e-12);
  assert_near(zero.hi, 32, 1e-9);
  assert_near(setting_value_at(&zero, 0.1), 0, 0);
  assert_int_equal(setting_range_of(&settings[ONE], false).scale, SETTING_FIXED);
  assert_int_equal(setting_range_of(&settings[NONE], false).scale, SETTING_FIXED);
  assert_int_equal(setting_range_of(&settings[RATIO], true).scale, SETTING_FIXED);
  for (double u = 0.3; u < 1; u += 0.05) {
    assert_near(setting_place_of(&line, setting_value_at(&line, u)), u, 1e-9);
    assert_near(setting_place_of(&zero, setting_value_at(&zero, u)), u, 1e-9);
    double value = setting_value_at(&ratio, u);
    assert_true(value == floor(value) && value >= 1 && value <= 1000);
  }
}

/* ---- proposals ---- */

static void within_bounds(const trial *t) {
  for (int s = 0; s < COUNT; s++) {
    setting_range range = setting_range_of(&settings[s], false);
    if (range.scale == SETTING_FIXED)
      assert_near(t->values[s], start[s], 0);
    else
      assert_true(t->values[s] >= settings[s].min && t->values[s] <= settings[s].max);
  }
  assert_true(t->share > 0 && t->share <= 1);
}

/* Best at ratio 200, line .62, zero 0; nothing else counts. */
static double made_up(const double *v) {
  double r = log(v[RATIO] / 200), l = (v[LINE] - 0.62) * 6, z = v[ZERO] > 0 ? 0.5 + 0.2 * log(1 + v[ZERO]) : 0;
  return 1 - 0.1 * r * r - l * l - z;
}

static double best_after(const tuner_kind *kind, uint64_t seed, size_t trials) {
  medley_error error = {0};
  tuning_search s = search_make(seed);
  for (size_t t = 0; t < trials; t++) {
    trial next, again;
    tuner_propose(kind, &s, &next);
    tuner_propose(kind, &s, &again);
    assert_memory_equal(next.values, again.values, sizeof next.values); /* follows from what there is */
    within_bounds(&next);
    next.objective = made_up(next.values) - 0.05 * (1 - next.share);
    assert_ok(tuning_search_add(&s, &next, &error));
  }
  assert_memory_equal(s.trials[0].values, start, COUNT * sizeof *start);
  double best = tuning_search_best(&s)->objective;
  tuning_search_deinit(&s);
  return best;
}

static void test_every_tuner_finds_what_is_good(void **state) {
  (void)state;
  double worst_start = made_up(start);
  for (const tuner_kind *const *k = tuner_kinds; *k != NULL; k++) {
    assert_ptr_equal(tuner_kind_find((*k)->name), *k);
    for (uint64_t seed = 1; seed <= 3; seed++) assert_true(best_after(*k, seed, 39) > worst_start + 0.2);
  }
  assert_null(tuner_kind_find("grid"));
  /* By name, since lint and readers look for them: "tpe", "halving", "random". A model of what did well beats chance.
   */
  double by_model = 0, by_chance = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    by_model += best_after(tuner_kind_find("tpe"), seed, 60) / 20;
    by_chance += best_after(tuner_kind_find("random"), seed, 60) / 20;
  }
  assert_true(by_model > by_chance + 0.05);
}

static void test_halving_goes_on_with_the_best(void **state) {
  (void)state;
  medley_error error = {0};
  tuning_search s = search_make(5);
  static const double shares[14] = {1,       1.0 / 9, 1.0 / 9, 1.0 / 9, 1.0 / 9, 1.0 / 9, 1.0 / 9,
                                    1.0 / 9, 1.0 / 9, 1.0 / 9, 1.0 / 3, 1.0 / 3, 1.0 / 3, 1};
  for (size_t t = 0; t < 28; t++) { /* a bracket, another, and one more */
    trial next;
    tuner_propose(tuner_kind_find("halving"), &s, &next);
    assert_near(next.share, shares[t == 0 ? 0 : 1 + (t - 1) % 13], 1e-12);
    next.objective = t == 3 ? NAN : made_up(next.values);
    assert_ok(tuning_search_add(&s, &next, &error));
  }
  const trial *best = &s.trials[1];
  for (size_t t = 1; t < 10; t++)
    if (s.trials[t].objective > best->objective) best = &s.trials[t];
  assert_memory_equal(s.trials[10].values, best->values, COUNT * sizeof *start);
  assert_memory_equal(s.trials[13].values, best->values, COUNT * sizeof *start);
  tuning_search_deinit(&s);
}

/* ---- the file ---- */

#define PROBLEM "00112233445566778899aabbccddeeff"
#define OTHER "ffeeddccbbaa99887766554433221100"

static size_t trials_in(const char *path, const char *problem, const recommender_kind *kind, double *last) {
  medley_error error = {0};
  trials_file f;
  double values[RECOMMENDER_SETTINGS_MAX] = {0};
  recommender_defaults(kind, values);
  tuning_search s = {.settings = kind->settings, .settled = open_to_all, .start = values};
  assert_ok(trials_open(&f, path, &error));
  assert_ok(trials_read(&f, problem, kind, &s, &error));
  size_t count = s.count;
  if (count > 0 && last != NULL) *last = s.trials[count - 1].values[0];
  tuning_search_deinit(&s);
  trials_close(&f);
  return count;
}

static void test_trials_survive(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300];
  const recommender_kind *ease = recommender_kind_find("ease");
  trials_file f;
  trial t = {.share = 1, .objective = 0.25, .seconds = 0.5};
  double last = 0;
  test_folder(folder);
  snprintf(path, sizeof path, "%s/trials.jsonl", folder);
  assert_ok(trials_open(&f, path, &error));
  recommender_defaults(ease, t.values);
  for (int i = 0; i < 3; i++) {
    t.values[0] = ease->settings[0].min + 0.1 * (i + 1) / 3.0;
    t.objective = i == 1 ? NAN : 0.25;
    assert_ok(trials_add(&f, PROBLEM, ease, &t, &error));
  }
  trials_close(&f);
  assert_int_equal(trials_in(path, PROBLEM, ease, &last), 3);
  assert_near(last, t.values[0], 0); /* to the bit */
  assert_int_equal(trials_in(path, OTHER, ease, NULL), 0);
  assert_int_equal(trials_in(path, PROBLEM, recommender_kind_find("ials"), NULL), 0);
  /* A line that a kill cut off is dropped, and the next one stands by itself. */
  FILE *torn = fopen(path, "a");
  fputs("{\"problem\": \"" PROBLEM "\", \"model\": \"ea", torn);
  fclose(torn);
  assert_ok(trials_open(&f, path, &error));
  assert_ok(trials_add(&f, PROBLEM, ease, &t, &error));
  trials_close(&f);
  assert_int_equal(trials_in(path, PROBLEM, ease, NULL), 4);
}

static void test_hostile_trials(void **state) {
  (void)state;
  static const struct {
    const char *line, *words;
  } bad[] = {
      {"what\n", "line 1"},
      {"[]\n", "no trial"},
      {"{\"problem\": 7, \"model\": \"ease\"}\n", "no trial"},
      {"{\"problem\": \"" PROBLEM "\", \"model\": \"ease\", \"settings\": []}\n", "are no object"},
      {"{\"problem\": \"" PROBLEM "\", \"model\": \"ease\", \"settings\": {\"x\": 1}}\n", "no setting 'x'"},
      {"{\"problem\": \"" PROBLEM "\", \"model\": \"ease\", \"settings\": {\"ridge\": -1e300}}\n", "ridge of ease"},
      {"{\"problem\": \"" PROBLEM "\", \"model\": \"ease\", \"settings\": {\"ridge\": \"5\"}}\n", "ridge of ease"},
      {"{\"problem\": \"" PROBLEM "\", \"model\": \"ease\", \"share\": 2, \"settings\": {}}\n", "share"},
  };
  char folder[256], path[300];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/trials.jsonl", folder);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    medley_error error = {0};
    trials_file f = {0};
    const recommender_kind *ease = recommender_kind_find("ease");
    double values[RECOMMENDER_SETTINGS_MAX] = {0};
    recommender_defaults(ease, values);
    tuning_search s = {.settings = ease->settings, .settled = open_to_all, .start = values};
    assert_ok(file_write(path, bad[i].line, strlen(bad[i].line), &error));
    medley_status status = trials_open(&f, path, &error);
    if (status == MEDLEY_OK) status = trials_read(&f, PROBLEM, ease, &s, &error);
    assert_int_equal(status, MEDLEY_ERR_INPUT);
    assert_non_null(strstr(error.text, bad[i].words));
    tuning_search_deinit(&s);
    trials_close(&f);
  }
}

/* ---- medley_tune ---- */

typedef struct patience {
  int reports, most;
} patience;

static int impatient(void *context, const medley_progress_state *s) {
  patience *p = context;
  return strncmp(s->stage, "search", 6) == 0 && s->done >= 3 && ++p->reports > p->most;
}

static json_t *tune(medley_workspace *w, const medley_tune_options *o) {
  medley_error error = {0};
  char *text;
  assert_ok(medley_tune(w, o, NULL, &text, &error));
  json_t *report = json_loads(text, 0, NULL);
  medley_free(text);
  assert_non_null(report);
  return report;
}

static const json_t *model_in(const json_t *models, const char *name) {
  size_t i;
  const json_t *model;
  json_array_foreach(models, i, model) if (strcmp(json_member_string(model, "model", ""), name) == 0) return model;
  return NULL;
}

static void workspace_make(char folder[256], char path[300], medley_workspace **w) {
  medley_error error = {0};
  test_folder(folder);
  snprintf(path, 300, "%s/shop", folder);
  workspace_fill(path, 60, 40, 8);
  assert_ok(medley_workspace_open(path, w, &error));
}

static const char *const tuned_models[] = {"itemknn", "userknn", NULL};

static void test_tuning_a_workspace(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300], page[320], *report;
  medley_workspace *w;
  workspace_make(folder, path, &w);
  snprintf(page, sizeof page, "%s/tune.html", folder);
  medley_tune_options o = {.trials = 6, .models = tuned_models, .html = page};
  json_t *first = tune(w, &o), *again = tune(w, &o);
  o.fresh = 1;
  json_t *fresh = tune(w, &o);
  /* All six were there already; and six new ones are the same six. */
  const json_t *a = json_object_get(model_in(json_object_get(first, "models"), "userknn"), "trials");
  const json_t *b = json_object_get(model_in(json_object_get(again, "models"), "userknn"), "trials");
  const json_t *c = json_object_get(model_in(json_object_get(fresh, "models"), "userknn"), "trials");
  assert_int_equal(json_array_size(a), 6);
  assert_true(json_equal(a, b));
  for (size_t i = 0; i < 6; i++)
    assert_true(json_equal(json_object_get(json_array_get(a, i), "settings"),
                           json_object_get(json_array_get(c, i), "settings")));
  /* Training begins with what was found, and says so. */
  const json_t *found = json_object_get(model_in(json_object_get(fresh, "models"), "userknn"), "settings");
  for (int untuned = 0; untuned < 2; untuned++) {
    assert_ok(
        medley_train(w, &(medley_train_options){.models = tuned_models, .untuned = untuned}, NULL, &report, &error));
    json_t *trained = json_loads(report, 0, NULL);
    const json_t *model = model_in(json_object_get(json_object_get(trained, "fit"), "models"), "userknn");
    assert_int_equal(json_is_true(json_object_get(model, "known")), !untuned);
    if (!untuned) assert_true(json_equal(json_object_get(model, "settings"), found));
    json_decref(trained);
    medley_free(report);
  }
  char *html;
  size_t length;
  assert_ok(file_read(page, 1 << 22, &html, &length, &error));
  assert_non_null(strstr(html, "userknn"));
  assert_non_null(strstr(html, "<svg"));
  mem_free(html);
  json_decref(first);
  json_decref(again);
  json_decref(fresh);
  medley_workspace_close(w);
}

/* What medley.conf says of a model stays: in a search, in a training after it, and in one over the grids. */
static void test_settings_that_are_given_stay(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300], conf[320], *report;
  static const char given[] = "[model.userknn]\nneighbours = 17\n", wrong[] = "[model.userknn]\nneighbours = 0\n";
  medley_workspace *w;
  workspace_make(folder, path, &w);
  medley_workspace_close(w);
  snprintf(conf, sizeof conf, "%s/medley.conf", path);
  assert_ok(file_write(conf, given, strlen(given), &error));
  assert_ok(medley_workspace_open(path, &w, &error));
  json_t *tuned = tune(w, &(medley_tune_options){.trials = 4, .models = tuned_models});
  const json_t *trials = json_object_get(model_in(json_object_get(tuned, "models"), "userknn"), "trials");
  assert_int_equal(json_array_size(trials), 4);
  for (size_t i = 0; i < 4; i++)
    assert_true(json_member_number(json_object_get(json_array_get(trials, i), "settings"), "neighbours", 0) == 17);
  for (int untuned = 0; untuned < 2; untuned++) {
    assert_ok(
        medley_train(w, &(medley_train_options){.models = tuned_models, .untuned = untuned}, NULL, &report, &error));
    json_t *trained = json_loads(report, 0, NULL);
    const json_t *model = model_in(json_object_get(json_object_get(trained, "fit"), "models"), "userknn");
    assert_true(json_member_number(json_object_get(model, "settings"), "neighbours", 0) == 17);
    json_decref(trained);
    medley_free(report);
  }
  json_decref(tuned);
  medley_workspace_close(w);
  assert_ok(file_write(conf, wrong, strlen(wrong), &error));
  assert_ok(medley_workspace_open(path, &w, &error));
  assert_refused(medley_train(w, NULL, NULL, &report, &error), MEDLEY_ERR_INPUT, "model.userknn.neighbours");
  medley_workspace_close(w);
}

static void test_a_stopped_search_goes_on(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300], *text;
  medley_workspace *w;
  workspace_make(folder, path, &w);
  medley_tune_options o = {.trials = 9, .models = tuned_models, .search = "random"};
  patience p = {.most = 0};
  medley_progress sink = {.report = impatient, .context = &p};
  medley_status status = medley_tune(w, &o, &sink, &text, &error);
  json_t *whole = tune(w, &o);
  if (status == MEDLEY_ERR_CANCELLED) assert_true(p.reports > 0); /* a fast machine is through before it is asked */
  o.fresh = 1;
  json_t *fresh = tune(w, &o);
  for (size_t m = 0; tuned_models[m] != NULL; m++) {
    const json_t *a = json_object_get(model_in(json_object_get(whole, "models"), tuned_models[m]), "trials");
    const json_t *b = json_object_get(model_in(json_object_get(fresh, "models"), tuned_models[m]), "trials");
    assert_int_equal(json_array_size(a), json_array_size(b));
    for (size_t i = 0; i < json_array_size(a); i++)
      assert_true(json_equal(json_object_get(json_array_get(a, i), "settings"),
                             json_object_get(json_array_get(b, i), "settings")));
  }
  if (status == MEDLEY_OK) medley_free(text);
  json_decref(whole);
  json_decref(fresh);
  medley_workspace_close(w);
}

static void test_tuning_asked_wrongly(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300], settings_path[340], *text = NULL;
  medley_workspace *w;
  workspace_make(folder, path, &w);
  static const char *const unknown[] = {"nobody", NULL};
  assert_refused(medley_tune(w, &(medley_tune_options){.search = "grid"}, NULL, &text, &error), MEDLEY_ERR_USAGE,
                 "there is no search 'grid'");
  assert_refused(medley_tune(w, &(medley_tune_options){.budget_s = NAN}, NULL, &text, &error), MEDLEY_ERR_USAGE,
                 "number of seconds");
  assert_refused(medley_tune(w, &(medley_tune_options){.models = unknown}, NULL, &text, &error), MEDLEY_ERR_USAGE,
                 "nobody");
  assert_refused(medley_tune(w, &(medley_tune_options){.html = folder}, NULL, &text, &error), MEDLEY_ERR_USAGE,
                 "is a folder");
  assert_null(text);
  snprintf(settings_path, sizeof settings_path, "%s/search/settings.json", path);
  static const char hostile[] = "{\"models\": {\"ease\": {\"settings\": {\"ridge\": -5}}, \"gone\": {}}}";
  assert_ok(file_write(settings_path, hostile, sizeof hostile - 1, &error));
  assert_refused(medley_train(w, NULL, NULL, NULL, &error), MEDLEY_ERR_INPUT, "ridge of ease");
  medley_workspace_close(w);
}

static void test_train_by_itself(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300], *report;
  medley_workspace *w;
  workspace_make(folder, path, &w);
  assert_ok(medley_train(w, &(medley_train_options){.automatic = 1, .budget_s = 2, .models = tuned_models}, NULL,
                         &report, &error));
  json_t *trained = json_loads(report, 0, NULL);
  const json_t *model = model_in(json_object_get(json_object_get(trained, "fit"), "models"), "itemknn");
  assert_true(json_array_size(json_object_get(model, "trials")) >= 1);
  json_decref(trained);
  medley_free(report);
  medley_workspace_close(w);
}

static void test_page_of_nothing(void **state) {
  (void)state;
  medley_error error = {0};
  strbuf out = {0};
  json_t *none = json_object(), *empty = json_pack("{s:[]}", "models");
  assert_refused(trials_page_html(none, &out, &error), MEDLEY_ERR_INPUT, "models");
  assert_ok(trials_page_html(empty, &out, &error));
  assert_non_null(strstr(out.text, "</html>"));
  strbuf_deinit(&out);
  json_decref(none);
  json_decref(empty);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ranges),
      cmocka_unit_test(test_every_tuner_finds_what_is_good),
      cmocka_unit_test(test_halving_goes_on_with_the_best),
      cmocka_unit_test(test_trials_survive),
      cmocka_unit_test(test_hostile_trials),
      cmocka_unit_test(test_tuning_a_workspace),
      cmocka_unit_test(test_settings_that_are_given_stay),
      cmocka_unit_test(test_a_stopped_search_goes_on),
      cmocka_unit_test(test_tuning_asked_wrongly),
      cmocka_unit_test(test_train_by_itself),
      cmocka_unit_test(test_page_of_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
