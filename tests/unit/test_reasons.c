/* Profiles, explanations and lists: the pure profile against counts done by hand; the engine on a small trained
 * catalogue, where parts must add up and shares must be shares. */
#include "test.h"

#include <medley/medley.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "explain/profile.h"

static json_t *parse(char *text) {
  medley_error error;
  json_t *value;
  assert_ok(json_parse(text, strlen(text), "answer", &value, &error));
  medley_free(text);
  return value;
}

/* ---- the pure profile ---- */

static const profile_item items[] = {
    {"a", "Alpha", 1, 0.3},
    {"b", "Beta", 2, 0.2},
    {"c", "Gamma", 1, NAN},
    {"d", "Delta", 1, -0.1},
};
/* 2026-11-01 00:00 (a Sunday), 2026-11-02 23:59, 2026-12-24 18:00, 1969-12-31 12:00 */
static const int64_t times[] = {1793491200, 1793663940, 1798135200, -43200};
static const profile_term terms[] = {
    {"drama", PROFILE_TAG, 3, 2, 0.25},   {"rare", PROFILE_TAG, 1, 1, 0.01}, {"usual", PROFILE_TAG, 2, 1, 0.9},
    {"films", PROFILE_CATEGORY, 4, 2, 1}, {"sea", PROFILE_WORD, 2, 1, 0.05}, {"lamps", PROFILE_CATEGORY, 2, 0, 0.1},
};
static const profile_side sides[] = {
    {"image", 4, 0.9, 0.1, 0.4}, {"text", 3, 0.12, 0.1, 0.2}, {"audio", 1, 0, 0, 0}, {"video", 3, 0.3, 0.1, 0.5}};

static const json_t *first_of(const json_t *profile, const char *list, size_t count) {
  const json_t *found = json_object_get(profile, list);
  assert_int_equal(json_array_size(found), count);
  return json_array_get(found, 0);
}

static void test_profile(void **state) {
  (void)state;
  medley_error error;
  json_t *out;
  profile_input input = {"u", terms, 6, sides, 4, items, times, 4};
  assert_ok(profile_to_json(&input, &out, &error));
  /* 3 of 4 choices against 25 %: 0.75 ln 3; 1 of 4 against 1 %: 0.25 ln 25. The second is less, by little. */
  const json_t *drama = first_of(out, "tags", 2);
  assert_string_equal(json_member_string(drama, "name", ""), "drama");
  assert_near(json_member_number(drama, "strength", 0), 0.75 * log(3), 1e-9);
  assert_near(json_member_number(drama, "lift", 0), 3, 1e-9);
  assert_string_equal(json_member_string(first_of(out, "categories", 1), "name", ""), "lamps");
  assert_string_equal(json_member_string(first_of(out, "words", 1), "name", ""), "sea");
  const json_t *image = first_of(out, "modalities", 4);
  assert_near(json_member_number(image, "strength", 0), 2, 1e-9);
  assert_string_equal(json_member_string(image, "text", ""), "the chosen items are very alike in this");
  assert_string_equal(json_member_string(json_array_get(json_object_get(out, "modalities"), 2), "text", ""),
                      "too few items to tell");
  /* Weight times typicality: 2 × 0.2 before 1 × 0.3; what nothing is known of is left out. */
  assert_string_equal(json_member_string(first_of(out, "typical_items", 3), "item", ""), "b");
  const json_t *activity = json_object_get(out, "activity");
  assert_string_equal(json_member_string(activity, "first", ""), "1969-12-31");
  assert_string_equal(json_member_string(activity, "last", ""), "2026-12-24");
  assert_int_equal(json_member_integer(json_object_get(activity, "months"), "2026-11", 0), 2);
  const json_t *weekdays = json_object_get(activity, "weekdays");
  assert_int_equal(json_integer_value(json_array_get(weekdays, 6)), 1); /* the Sunday */
  assert_int_equal(json_integer_value(json_array_get(json_object_get(activity, "hours"), 23)), 1);
  const char *summary = json_member_string(out, "summary", "");
  assert_non_null(strstr(summary, "4 items chosen from 1969-12-31 to 2026-12-24."));
  assert_non_null(strstr(summary, "drama (75 % of the choices, 25 % of the catalogue)"));
  assert_non_null(strstr(summary, "The choices are alike in: image, video."));
  json_decref(out);
}

static void test_profile_of_nothing(void **state) {
  (void)state;
  medley_error error;
  json_t *out;
  profile_input input = {.user = "u"};
  assert_ok(profile_to_json(&input, &out, &error));
  assert_string_equal(json_member_string(out, "summary", ""), "Nothing was chosen yet.");
  assert_true(json_is_null(json_object_get(out, "activity")));
  json_decref(out);
}

/* In a long history one item is chance, and the newer half may differ from the older one. */
static void test_profile_trends(void **state) {
  (void)state;
  medley_error error;
  json_t *out;
  profile_item many[12];
  int64_t when[12];
  for (int i = 0; i < 12; i++) {
    many[i] = (profile_item){"k", "t", 1, NAN};
    when[i] = i * 86400;
  }
  const profile_term some[] = {{"once", PROFILE_TAG, 1, 0, 0.001},
                               {"new", PROFILE_TAG, 5, 5, 0.1},
                               {"old", PROFILE_TAG, 4, 0, 0.1},
                               {"both", PROFILE_TAG, 6, 3, 0.4}};
  profile_input input = {.user = "u", .terms = some, .term_count = 4, .items = many, .time_s = when, .item_count = 12};
  static const char *const expected[] = {"new rising", "old fading", "both steady"};
  assert_ok(profile_to_json(&input, &out, &error));
  const json_t *tags = json_object_get(out, "tags");
  assert_int_equal(json_array_size(tags), 3);
  for (size_t i = 0; i < 3; i++) {
    char told[64];
    const json_t *tag = json_array_get(tags, i);
    snprintf(told, sizeof told, "%s %s", json_member_string(tag, "name", ""), json_member_string(tag, "trend", ""));
    assert_string_equal(told, expected[i]);
  }
  json_decref(out);
}

#ifdef MEDLEY_FAULTS
static void test_profile_memory(void **state) {
  (void)state;
  medley_error error;
  profile_input input = {"u", terms, 6, sides, 4, items, times, 4};
  for (long n = 1;; n++) {
    json_t *out;
    memory_fault_after(n);
    medley_status status = profile_to_json(&input, &out, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    json_decref(out);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    if (!struck) break;
  }
}
#endif

/* ---- on a trained catalogue ---- */

typedef struct fixture {
  char folder[256];
  medley_workspace *w;
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  medley_error error;
  char sample[300], shop[300], items_file[400], events_file[400];
  test_folder(f->folder);
  snprintf(sample, sizeof sample, "%s/catalogue", f->folder);
  snprintf(shop, sizeof shop, "%s/shop", f->folder);
  snprintf(items_file, sizeof items_file, "%s/items.jsonl", sample);
  snprintf(events_file, sizeof events_file, "%s/events.csv", sample);
  medley_sample_options small = {.items = 40, .users = 60, .events_per_user = 12, .clips = -1};
  assert_ok(medley_sample_create(sample, &small, NULL, NULL, &error));
  assert_ok(medley_workspace_create(shop, &error));
  assert_ok(medley_workspace_open(shop, &f->w, &error));
  medley_import_options of_items = {.kind = MEDLEY_IMPORT_ITEMS}, of_events = {.kind = MEDLEY_IMPORT_EVENTS};
  assert_ok(medley_import(f->w, items_file, &of_items, NULL, NULL, &error));
  assert_ok(medley_import(f->w, events_file, &of_events, NULL, NULL, &error));
  char *json = NULL;
  assert_refused(medley_explain(f->w, "u1", "i1", &json, &error), MEDLEY_ERR_NOT_FOUND, "nothing has been trained");
  assert_refused(medley_profile(f->w, "u1", &json, &error), MEDLEY_ERR_NOT_FOUND, "nothing has been trained");
  const char *models[] = {"popular", "itemknn", "content", NULL};
  medley_train_options options = {.models = models};
  assert_ok(medley_train(f->w, &options, NULL, NULL, &error));
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  medley_workspace_close(f->w);
  (void)!folder_remove(f->folder, NULL);
  free(f);
  return 0;
}

static double sum_of(const json_t *list, const char *member) {
  double sum = 0;
  size_t i;
  const json_t *entry;
  json_array_foreach(list, i, entry) sum += json_member_number(entry, member, NAN);
  return sum;
}

static json_t *explain(medley_workspace *w, const char *user, const char *item) {
  medley_error error;
  char *text;
  assert_ok(medley_explain(w, user, item, &text, &error));
  return parse(text);
}

static void test_explain(void **state) {
  fixture *f = *state;
  medley_error error;
  medley_answer *answer;
  medley_recommend_query query = {.user = "u1", .count = 40};
  assert_ok(medley_recommend(f->w, &query, &answer, &error));
  assert_true(answer->count > 12);
  for (size_t r = 0; r < answer->count; r += 6) {
    json_t *why = explain(f->w, "u1", answer->results[r].item);
    double score = json_member_number(why, "score", NAN);
    assert_near(score, answer->results[r].score, 1e-5);
    assert_near(sum_of(json_object_get(why, "parts"), "value"), score, 1e-5);
    assert_near(sum_of(json_object_get(why, "parts"), "share"), 1, 1e-6);
    /* What the models add is the score, but for the shift of new items. */
    if (!json_is_true(json_object_get(why, "new_item")))
      assert_near(sum_of(json_object_get(why, "models"), "adds"), score, 1e-5);
    assert_int_equal(json_member_integer(why, "rank", 0), r + 1);
    assert_int_equal(json_member_integer(why, "of", 0), answer->count);
    assert_true(sum_of(json_object_get(why, "evidence"), "share") < 1 + 1e-6);
    assert_string_equal(json_member_string(why, "standing", ""),
                        r < 10 ? "shown on the first page" : "not on the first page");
    const json_t *missing = json_object_get(why, "missing_to_first_page");
    assert_true(r < 10 ? json_is_null(missing) : json_number_value(missing) >= 0);
    json_decref(why);
  }
  medley_answer_free(answer);
  json_t *stranger = explain(f->w, NULL, "i1");
  assert_true(json_is_false(json_object_get(stranger, "user_known")));
  assert_int_equal(json_member_integer(stranger, "history", -1), 0);
  json_decref(stranger);
  /* What was met, what is hidden, what came too late. */
  medley_event click = {.user = "fresh", .item = "i1"};
  assert_ok(medley_put_event(f->w, &click, &error));
  json_t *met = explain(f->w, "fresh", "i1");
  assert_non_null(strstr(json_member_string(met, "standing", ""), "already met"));
  json_decref(met);
  medley_item hidden = {.key = "i2", .hidden = 1, .time_s = MEDLEY_TIME_UNKNOWN}, late = {.key = "late"};
  assert_ok(medley_put_item(f->w, &hidden, &error));
  assert_ok(medley_put_item(f->w, &late, &error));
  json_t *never = explain(f->w, "fresh", "i2");
  assert_non_null(strstr(json_member_string(never, "standing", ""), "hidden"));
  json_decref(never);
  char *json;
  assert_refused(medley_explain(f->w, "u1", "late", &json, &error), MEDLEY_ERR_NOT_FOUND, "after the last training");
  assert_refused(medley_explain(f->w, "u1", "none", &json, &error), MEDLEY_ERR_NOT_FOUND, "there is no item 'none'");
  assert_refused(medley_explain(f->w, "nobody", "i1", &json, &error), MEDLEY_ERR_NOT_FOUND,
                 "there is no user 'nobody'");
}

static void test_engine_profile(void **state) {
  fixture *f = *state;
  medley_error error;
  char *json;
  for (int pass = 0; pass < 2; pass++) { /* the second time with the words that were kept */
    assert_ok(medley_profile(f->w, "u1", &json, &error));
    json_t *profile = parse(json);
    assert_true(json_member_integer(profile, "items", 0) > 2);
    assert_true(json_array_size(json_object_get(profile, "modalities")) >= 2);
    assert_true(json_array_size(json_object_get(profile, "categories")) +
                    json_array_size(json_object_get(profile, "tags")) >
                0);
    assert_true(json_array_size(json_object_get(profile, "typical_items")) > 0);
    assert_true(json_is_object(json_object_get(profile, "activity")));
    json_decref(profile);
  }
  assert_refused(medley_profile(f->w, "nobody", &json, &error), MEDLEY_ERR_NOT_FOUND, "there is no user 'nobody'");
  assert_refused(medley_profile(f->w, NULL, &json, &error), MEDLEY_ERR_USAGE, "needs a user");
}

/* ---- lists ---- */

static void test_lists(void **state) {
  (void)state;
  medley_error error;
  char *json;
  static const struct {
    const char *family, *member;
  } rows[] = {{"recommender", "ease"}, {"encoder", "text.lsa"},  {"aligner", "align.cca"}, {"fuser", "fuse.sum"},
              {"index", "exact"},      {"normaliser", "zscore"}, {"metric", "ndcg"},       {"importer", "csv"}};
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    bool found = false;
    size_t i;
    json_t *member;
    assert_ok(medley_list(rows[r].family, &json, &error));
    json_t *list = parse(json);
    json_array_foreach(list, i, member) {
      found |= strcmp(json_member_string(member, "name", ""), rows[r].member) == 0;
      if (json_member_string(member, "summary", "")[0] == '\0')
        fail_msg("%s '%s' has no summary", rows[r].family, json_member_string(member, "name", ""));
      assert_true(json_is_array(json_object_get(member, "settings")));
    }
    if (!found) fail_msg("%s '%s' is not listed", rows[r].family, rows[r].member);
    json_decref(list);
  }
  assert_refused(medley_list("model", &json, &error), MEDLEY_ERR_USAGE, "known are recommender, encoder, aligner");
  assert_refused(medley_list(NULL, &json, &error), MEDLEY_ERR_USAGE, "no family ''");
}

int main(int argc, char **argv) {
  int exit_status;
  if (medley_worker_main(argc, argv, &exit_status)) return exit_status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_profile),        cmocka_unit_test(test_profile_of_nothing),
      cmocka_unit_test(test_profile_trends),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_profile_memory),
#endif
      cmocka_unit_test(test_engine_profile), cmocka_unit_test(test_explain),
      cmocka_unit_test(test_lists),
  };
  return cmocka_run_group_tests_name("reasons", tests, setup, teardown);
}
