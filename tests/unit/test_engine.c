/* A workspace from the outside: made, trained, asked. What an answer promises (parts that add up, stable pages, rules,
 * counterfactuals that hold), and what a generation promises (whole or not there, the old one serves when the new one
 * is broken, two trainings at once). */
#include <fcntl.h>
#include <medley/medley.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "engine/workspace.h"
#include "test.h"
#include "workspace_fixture.h"

#define GROUPS WORKSPACE_GROUPS
#define ITEMS WORKSPACE_ITEMS_MAX
#define USERS 40
#define PER_USER 9

extern char **environ;

static char root[256];      /* of this program */
static char workspace[300]; /* trained once, shared by the tests that do not change models */
static medley_workspace *shop;

static const char *const quick_models[] = {"popular", "ease", "content", NULL};

static void train(medley_workspace *w) {
  medley_error error;
  char *report = NULL;
  assert_ok(medley_train(w, &(medley_train_options){.models = quick_models}, NULL, &report, &error));
  assert_non_null(strstr(report, "\"generation\""));
  medley_free(report);
}

static int setup(void **state) {
  (void)state;
  medley_error error;
  test_folder(root);
  snprintf(workspace, sizeof workspace, "%s/shop", root);
  workspace_fill(workspace, USERS, ITEMS, PER_USER);
  assert_ok(medley_workspace_open(workspace, &shop, &error));
  train(shop);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  medley_workspace_close(shop);
  return folder_remove(root, NULL) == MEDLEY_OK ? 0 : 1;
}

static const char *path_of(const char *name, char path[512]) {
  snprintf(path, 512, "%s/%s", root, name);
  return path;
}

/* ---- asking ---- */

/* Every answer is checked on the way: parts add up, best first, no item twice. */
static medley_answer *ask(medley_workspace *w, const medley_recommend_query *query) {
  medley_error error;
  medley_answer *answer = NULL;
  assert_ok(medley_recommend(w, query, &answer, &error));
  for (size_t i = 0; i < answer->count; i++) {
    const medley_result *result = &answer->results[i];
    double sum = 0;
    for (size_t p = 0; p < result->part_count; p++) sum += result->parts[p].value;
    assert_near(sum, result->score, 1e-5);
    for (size_t k = 0; k < i; k++) assert_string_not_equal(answer->results[k].item, result->item);
    if (i > 0 && query->diversity == 0 && !answer->results[i - 1].pinned && !result->pinned)
      assert_true(answer->results[i - 1].score >= result->score - 1e-5);
  }
  return answer;
}

static bool answer_has(const medley_answer *answer, const char *key) {
  for (size_t i = 0; i < answer->count; i++)
    if (strcmp(answer->results[i].item, key) == 0) return true;
  return false;
}

static double score_in(const medley_answer *answer, const char *key) {
  for (size_t i = 0; i < answer->count; i++)
    if (strcmp(answer->results[i].item, key) == 0) return answer->results[i].score;
  return NAN;
}

static void assert_same_items(const medley_answer *a, const medley_answer *b) {
  assert_int_equal(a->count, b->count);
  for (size_t i = 0; i < a->count; i++) assert_string_equal(a->results[i].item, b->results[i].item);
}

static void put_event(medley_workspace *w, const char *user, const char *item, const char *type, double value) {
  medley_error error;
  assert_ok(medley_put_event(
      w, &(medley_event){.user = user, .item = item, .type = type, .value = value, .time_s = MEDLEY_TIME_UNKNOWN},
      &error));
}

/* ---- creating and opening ---- */

static void test_create_and_open_refuse(void **state) {
  (void)state;
  medley_error error;
  medley_workspace *w = NULL;
  medley_answer *answer;
  char path[512], inside[600], *json;
  assert_refused(medley_workspace_create(workspace, &error), MEDLEY_ERR_EXISTS, "is a workspace already");
  assert_refused(medley_workspace_open(path_of("nowhere", path), &w, &error), MEDLEY_ERR_NOT_FOUND, "medley init");
  assert_null(w);
  assert_ok(file_write(path_of("file", path), "x", 1, &error));
  assert_refused(medley_workspace_create(path, &error), MEDLEY_ERR_EXISTS, "is a file");
  assert_refused(medley_workspace_create(path_of("no/parent/here", path), &error), MEDLEY_ERR_IO, "no/parent/here");
  assert_false(file_exists(path_of("no", path)));

  assert_ok(medley_workspace_create(path_of("empty", path), &error));
  assert_ok(medley_workspace_open(path, &w, &error));
  assert_refused(medley_train(w, NULL, NULL, NULL, &error), MEDLEY_ERR_USAGE, "no items yet");
  assert_refused(medley_evaluate(w, NULL, NULL, &json, &error), MEDLEY_ERR_USAGE, "no events yet");
  assert_null(json);
  assert_refused(medley_recommend(w, &(medley_recommend_query){0}, &answer, &error), MEDLEY_ERR_NOT_FOUND,
                 "medley train");
  assert_null(answer);
  assert_ok(medley_workspace_describe(w, &json, &error));
  assert_non_null(strstr(json, "\"generation\":null"));
  medley_free(json);
  medley_workspace_close(w);

  snprintf(inside, sizeof inside, "%s/medley.conf", path);
  assert_ok(file_write(inside, "[store]\nkind = papyrus\n", 23, &error));
  assert_refused(medley_workspace_open(path, &w, &error), MEDLEY_ERR_INPUT, "papyrus");
  snprintf(inside, sizeof inside, "%s/medley.db", path);
  assert_ok(file_write(inside, "this is no database, but long enough to look like one, perhaps", 60, &error));
  snprintf(inside, sizeof inside, "%s/medley.conf", path);
  assert_ok(file_write(inside, "", 0, &error));
  assert_refused(medley_workspace_open(path, &w, &error), MEDLEY_ERR_CORRUPT, "medley.db");
  assert_null(w);
}

static void test_questions_that_are_refused(void **state) {
  (void)state;
  medley_error error;
  medley_answer *answer;
  static const char *const unknown[] = {"nothing", NULL};
  const medley_rule rule_item[] = {{.item = "nothing", .amount = 1}, {0}};
  const medley_rule rule_category[] = {{.category = "nothing", .amount = 1}, {0}};
  const medley_rule rule_nan[] = {{.item = "i1", .amount = NAN}, {0}};
  const struct {
    medley_recommend_query query;
    medley_status status;
    const char *words;
  } bad[] = {
      {{.count = 1001}, MEDLEY_ERR_USAGE, "1000"},
      {{.diversity = 1.5}, MEDLEY_ERR_USAGE, "from 0 to 1"},
      {{.diversity = NAN}, MEDLEY_ERR_USAGE, "from 0 to 1"},
      {{.history = unknown}, MEDLEY_ERR_NOT_FOUND, "no item 'nothing'"},
      {{.pin = unknown}, MEDLEY_ERR_NOT_FOUND, "no item 'nothing'"},
      {{.exclude = unknown}, MEDLEY_ERR_NOT_FOUND, "no item 'nothing'"},
      {{.categories = unknown}, MEDLEY_ERR_NOT_FOUND, "category or tag 'nothing'"},
      {{.boost = rule_item}, MEDLEY_ERR_NOT_FOUND, "no item 'nothing'"},
      {{.bury = rule_category}, MEDLEY_ERR_NOT_FOUND, "category or tag 'nothing'"},
      {{.boost = rule_nan}, MEDLEY_ERR_USAGE, "must be a number"},
      {{.after = "rubbish"}, MEDLEY_ERR_USAGE, "no page token"},
      {{.after = "1.2"}, MEDLEY_ERR_USAGE, "no page token"},
      {{.after = "1.2.3.4"}, MEDLEY_ERR_USAGE, "no page token"},
      {{.after = "1.-2.3"}, MEDLEY_ERR_USAGE, "no page token"},
      {{.after = "1.99999999999.3"}, MEDLEY_ERR_USAGE, "no page token"},
      {{.after = ""}, MEDLEY_ERR_USAGE, "no page token"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_refused(medley_recommend(shop, &bad[i].query, &answer, &error), bad[i].status, bad[i].words);
    assert_null(answer);
  }
  medley_answer *beyond = ask(shop, &(medley_recommend_query){.after = "1.1000000.3"});
  assert_int_equal(beyond->count, 0);
  assert_null(beyond->next);
  medley_answer_free(beyond);
}

/* ---- answers ---- */

static void test_taste(void **state) {
  (void)state;
  for (uint32_t u = 0; u < 8; u++) {
    char key[16];
    size_t own = 0;
    snprintf(key, sizeof key, "u%u", u);
    medley_answer *answer = ask(shop, &(medley_recommend_query){.user = key, .count = 5});
    assert_int_equal(answer->count, 5);
    assert_null(answer->note);
    for (size_t i = 0; i < 5; i++) own += strtoul(answer->results[i].item + 1, NULL, 10) % GROUPS == u % GROUPS;
    assert_true(own >= 3); /* by chance 1.25 */
    medley_answer_free(answer);
  }
}

static void test_strangers(void **state) {
  (void)state;
  medley_answer *nobody = ask(shop, &(medley_recommend_query){0});
  medley_answer *unknown = ask(shop, &(medley_recommend_query){.user = "who is this?"});
  assert_int_equal(nobody->count, 10);
  assert_same_items(nobody, unknown);
  assert_non_null(strstr(nobody->note, "no history"));
  assert_non_null(strstr(unknown->note, "not known"));
  medley_answer_free(nobody);
  medley_answer_free(unknown);
}

static void test_an_event_counts_at_once(void **state) {
  (void)state;
  medley_recommend_query query = {.user = "fresh", .count = ITEMS};
  medley_answer *before = ask(shop, &query);
  put_event(shop, "fresh", "i1", "click", 0);
  put_event(shop, "fresh", "i5", "click", 0);
  medley_answer *after = ask(shop, &query);
  assert_true(answer_has(before, "i1") && !answer_has(after, "i1"));
  assert_null(after->note);
  size_t music = 0;
  for (size_t i = 0; i < 5; i++) music += strtoul(after->results[i].item + 1, NULL, 10) % GROUPS == 1;
  assert_true(music >= 3);

  /* Another handle (as another process) sees it too. */
  medley_error error;
  medley_workspace *other;
  assert_ok(medley_workspace_open(workspace, &other, &error));
  medley_answer *elsewhere = ask(other, &query);
  assert_same_items(after, elsewhere);
  medley_workspace_close(other);
  medley_answer_free(elsewhere);

  /* A dislike, of a type that training has not seen, hides its item and speaks for nothing. */
  put_event(shop, "fresh", "i9", "dislike", 0);
  medley_answer *disliked = ask(shop, &query);
  assert_false(answer_has(disliked, "i9"));
  for (size_t i = 0; i < disliked->count; i++)
    assert_near(disliked->results[i].score, score_in(after, disliked->results[i].item), 1e-5);
  medley_answer_free(before);
  medley_answer_free(after);
  medley_answer_free(disliked);
}

static void test_rules(void **state) {
  (void)state;
  static const char *const music[] = {"music", NULL}, *const pins[] = {"i30", "i2", "i30", NULL},
                           *const never[] = {"i2", "i6", NULL};
  const medley_rule lift[] = {{.category = "water", .amount = 20}, {0}};
  const medley_rule one[] = {{.item = "i7", .amount = 50}, {.category = "kitchen", .amount = 1}, {0}};
  medley_recommend_query query = {.user = "u2", .count = ITEMS};
  medley_answer *plain = ask(shop, &query);

  query.categories = music;
  medley_answer *answer = ask(shop, &query);
  assert_true(answer->count > 5);
  for (size_t i = 0; i < answer->count; i++)
    assert_int_equal(strtoul(answer->results[i].item + 1, NULL, 10) % GROUPS, 1);
  medley_answer_free(answer);

  query = (medley_recommend_query){.user = "u1", .count = 8, .boost = lift};
  answer = ask(shop, &query);
  for (size_t i = 0; i < answer->count; i++)
    assert_int_equal(strtoul(answer->results[i].item + 1, NULL, 10) % GROUPS, 2);
  medley_answer_free(answer);

  query = (medley_recommend_query){.user = "u2", .count = ITEMS, .bury = one};
  answer = ask(shop, &query);
  if (answer_has(plain, "i7")) assert_string_equal(answer->results[answer->count - 1].item, "i7");
  medley_answer_free(answer);

  query = (medley_recommend_query){.user = "u2", .count = 6, .pin = pins};
  answer = ask(shop, &query);
  assert_string_equal(answer->results[0].item, "i30");
  assert_string_equal(answer->results[1].item, "i2");
  assert_true(answer->results[0].pinned && answer->results[1].pinned && !answer->results[2].pinned);
  medley_answer_free(answer);

  query.exclude = never;
  answer = ask(shop, &query);
  assert_false(answer_has(answer, "i2") || answer_has(answer, "i6"));
  medley_answer_free(answer);

  query = (medley_recommend_query){.user = "u2", .count = ITEMS, .include_seen = 1};
  answer = ask(shop, &query);
  assert_int_equal(answer->count, ITEMS);
  assert_true(plain->count < ITEMS);
  medley_answer_free(answer);
  medley_answer_free(plain);
}

static void test_hidden_and_deleted_items(void **state) {
  (void)state;
  medley_error error;
  medley_workspace *w;
  char path[512];
  workspace_fill(path_of("hide", path), 12, 20, 5);
  assert_ok(medley_workspace_open(path, &w, &error));
  train(w);
  medley_recommend_query query = {.count = 20};
  medley_answer *answer = ask(w, &query);
  assert_int_equal(answer->count, 20);
  medley_answer_free(answer);
  assert_ok(medley_put_item(w, &(medley_item){.key = "i3", .hidden = 1, .time_s = MEDLEY_TIME_UNKNOWN}, &error));
  assert_ok(medley_delete_item(w, "i4", &error));
  static const char *const pins[] = {"i3", NULL};
  query.pin = pins;
  for (int again = 0; again < 2; again++) {
    answer = ask(w, &query);
    assert_int_equal(answer->count, 18);
    assert_false(answer_has(answer, "i3") || answer_has(answer, "i4"));
    medley_answer_free(answer);
    medley_workspace_close(w); /* a fresh handle reads the same */
    assert_ok(medley_workspace_open(path, &w, &error));
  }
  medley_workspace_close(w);
}

/* ---- pages ---- */

static void test_pages_are_stable(void **state) {
  (void)state;
  static const struct {
    const char *user;
    double diversity;
  } cases[] = {{"u3", 0}, {"u3", 0.5}, {"page stranger", 0}, {"u5", 1}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    medley_recommend_query query = {.user = cases[c].user, .diversity = cases[c].diversity, .count = ITEMS};
    medley_answer *whole = ask(shop, &query);
    assert_null(whole->next);
    size_t at = 0;
    char after[64] = "";
    query.count = 7;
    for (;;) {
      medley_answer *page = ask(shop, &query);
      for (size_t i = 0; i < page->count; i++, at++)
        assert_string_equal(page->results[i].item, whole->results[at].item);
      if (page->next == NULL) {
        medley_answer_free(page);
        break;
      }
      snprintf(after, sizeof after, "%s", page->next);
      query.after = after;
      medley_answer_free(page);
      /* Things happen between two pages: neither what is left nor its order changes. */
      put_event(shop, cases[c].user, whole->results[whole->count - 1].item, "buy", 0);
      put_event(shop, cases[c].user, whole->results[0].item, "click", 0);
    }
    assert_int_equal(at, whole->count);
    medley_answer_free(whole);
  }
}

/* ---- items that came after the training ---- */

static void assert_noted(const medley_answer *answer, const char *words) {
  if (answer->note == NULL || strstr(answer->note, words) == NULL)
    fail_msg("the note '%s' does not say '%s'", answer->note ? answer->note : "", words);
}

static void test_untrained_items(void **state) {
  (void)state;
  medley_error error;
  static const char *const pins[] = {"i30", "late", "late", "dark", NULL}, *const late[] = {"late", NULL};
  static const medley_rule rule[] = {{.item = "late", .amount = 1}, {0}};
  assert_ok(medley_put_item(shop, &(medley_item){.key = "late", .title = "Latecomer", .time_s = MEDLEY_TIME_UNKNOWN},
                            &error));
  assert_ok(medley_put_item(shop, &(medley_item){.key = "dark", .hidden = 1, .time_s = MEDLEY_TIME_UNKNOWN}, &error));
  medley_recommend_query query = {.user = "u3", .count = 3, .why = 1};
  medley_answer *plain = ask(shop, &query);
  query.pin = pins;
  medley_answer *answer = ask(shop, &query);
  assert_string_equal(answer->results[0].item, "i30");
  assert_string_equal(answer->results[1].item, "late");
  assert_string_equal(answer->results[1].title, "Latecomer");
  assert_true(answer->results[1].pinned && answer->results[1].part_count == 0);
  assert_near(answer->results[1].score, 0, 0);
  assert_non_null(strstr(answer->results[1].why, "not in the trained generation yet"));
  assert_string_equal(answer->results[2].item, plain->results[0].item);
  medley_answer_free(plain);
  /* Pages go on behind it, and one that ends with it has a next one. */
  query.count = 2;
  medley_answer *first = ask(shop, &query);
  assert_string_equal(first->results[1].item, "late");
  query.after = first->next;
  medley_answer *second = ask(shop, &query);
  assert_string_equal(second->results[0].item, answer->results[2].item);
  medley_answer_free(first);
  medley_answer_free(second);
  medley_answer_free(answer);

  query = (medley_recommend_query){.user = "u3", .count = 3, .pin = late, .exclude = late};
  answer = ask(shop, &query);
  assert_false(answer->results[0].pinned);
  medley_answer_free(answer);
  query = (medley_recommend_query){.user = "u3", .count = 3, .boost = rule};
  answer = ask(shop, &query);
  assert_noted(answer, "item 'late' is not in the trained generation yet: boosting it counts after the next");
  medley_answer_free(answer);
  query = (medley_recommend_query){.history = late, .count = 3};
  answer = ask(shop, &query);
  assert_noted(answer, "1 event of the history is with an item that is not in the trained generation yet: it counts");
  assert_noted(answer, "; no history yet: a stranger's answer");
  medley_answer_free(answer);
  put_event(shop, "keen", "late", "click", 0);
  put_event(shop, "keen", "late", "buy", 0);
  query = (medley_recommend_query){.user = "keen", .count = 3};
  answer = ask(shop, &query);
  assert_noted(answer, "2 events of the history are with items that are not in the trained generation yet: they count");
  medley_answer_free(answer);
  assert_ok(medley_delete_item(shop, "late", &error));
  assert_ok(medley_delete_item(shop, "dark", &error));
}

static void test_diversity(void **state) {
  (void)state;
  size_t groups[2] = {0};
  for (int diverse = 0; diverse < 2; diverse++)
    for (uint32_t u = 0; u < 8; u++) {
      char key[16];
      bool seen[GROUPS] = {0};
      snprintf(key, sizeof key, "u%u", 10 + u);
      medley_answer *answer = ask(shop, &(medley_recommend_query){.user = key, .count = 6, .diversity = 0.8 * diverse});
      for (size_t i = 0; i < answer->count; i++) seen[strtoul(answer->results[i].item + 1, NULL, 10) % GROUPS] = true;
      for (int g = 0; g < GROUPS; g++) groups[diverse] += seen[g];
      medley_answer_free(answer);
    }
  assert_true(groups[1] > groups[0]);
}

/* ---- reasons ---- */

/* What a counterfactual claims is tried: without those history items the result is not in a list of the same length. */
static void test_counterfactuals_hold(void **state) {
  (void)state;
  static const char *const history[] = {"i1", "i5", "i9", "i13", "i2", "i20", NULL};
  static const char *const pins[] = {"i40", NULL};
  size_t told = 0;
  for (int pinned = 0; pinned < 2; pinned++)
    for (size_t count = 2; count <= 8; count += 3) {
      medley_recommend_query query = {.history = history, .count = count, .why = 1, .pin = pinned ? pins : NULL};
      medley_answer *answer = ask(shop, &query);
      for (size_t i = 0; i < answer->count; i++) {
        const medley_result *result = &answer->results[i];
        double share = 0;
        assert_non_null(result->why);
        for (size_t k = 0; k < result->because_count; k++) {
          assert_true(result->because[k].share > 0);
          share += result->because[k].share;
        }
        assert_true(share <= 1 + 1e-6);
        if (result->counterfactual == NULL) continue;
        const char *rest[8] = {0}, *without[8] = {0};
        size_t kept = 0, left_out = 0;
        for (size_t h = 0; history[h] != NULL; h++) {
          char title[16];
          snprintf(title, sizeof title, "“No%s ", history[h] + 1);
          if (strstr(result->counterfactual, title) != NULL)
            without[left_out++] = history[h];
          else
            rest[kept++] = history[h];
        }
        assert_true(left_out > 0);
        medley_recommend_query other = {.history = rest, .exclude = without, .count = count, .pin = query.pin};
        medley_answer *again = ask(shop, &other);
        if (answer_has(again, result->item)) fail_msg("%s: %s", result->item, result->counterfactual);
        medley_answer_free(again);
        told++;
      }
      medley_answer_free(answer);
    }
  assert_true(told > 0);
  /* A diverse list is not in order of score, so nothing is claimed. */
  medley_answer *diverse =
      ask(shop, &(medley_recommend_query){.history = history, .count = 5, .why = 1, .diversity = 0.5});
  for (size_t i = 0; i < diverse->count; i++) assert_null(diverse->results[i].counterfactual);
  medley_answer_free(diverse);
}

/* ---- generations ---- */

static void write_current(const char *folder, const char *text) {
  medley_error error;
  char path[600];
  snprintf(path, sizeof path, "%s/current", folder);
  assert_ok(file_write(path, text, strlen(text), &error));
}

/* models/<from> once more as models/<to>, file `changed` with other bytes. */
static void generation_copy(const char *folder, int from, int to, const char *changed, const char *bytes,
                            size_t length) {
  medley_error error;
  static const char *const names[] = {"manifest.json", "content.safetensors", "models.safetensors"};
  char path[700];
  snprintf(path, sizeof path, "%s/models/%d", folder, to);
  assert_ok(folder_remove(path, &error));
  assert_ok(folder_create(path, &error));
  for (size_t i = 0; i < 3; i++) {
    char *own = NULL;
    size_t own_length = length;
    if (strcmp(names[i], changed) != 0) {
      snprintf(path, sizeof path, "%s/models/%d/%s", folder, from, names[i]);
      assert_ok(file_read(path, 1 << 26, &own, &own_length, &error));
    }
    snprintf(path, sizeof path, "%s/models/%d/%s", folder, to, names[i]);
    assert_ok(file_write(path, own ? own : bytes, own_length, &error));
    mem_free(own);
  }
}

static void test_the_old_generation_serves_on(void **state) {
  (void)state;
  medley_error error;
  medley_workspace *w, *late;
  medley_answer *answer;
  char path[512];
  workspace_fill(path_of("serve", path), 12, 24, 6);
  assert_ok(medley_workspace_open(path, &w, &error));
  train(w);
  medley_answer *before = ask(w, &(medley_recommend_query){.user = "u1"});
  generation_copy(path, 1, 2, "models.safetensors", "rubbish!", 8);
  static const char *const broken[] = {"2\n", "7\n", "zero\n", "", "-1\n", "1 2\n"};
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    write_current(path, broken[i]);
    error = (medley_error){0};
    assert_true(medley_workspace_refresh(w, &error) != MEDLEY_OK);
    assert_true(error.text[0] != '\0');
    answer = ask(w, &(medley_recommend_query){.user = "u1"});
    assert_same_items(before, answer);
    assert_int_equal(answer->generation, 1);
    medley_answer_free(answer);
    /* Who comes now is told. */
    assert_ok(medley_workspace_open(path, &late, &error));
    assert_true(medley_recommend(late, &(medley_recommend_query){0}, &answer, &error) != MEDLEY_OK);
    assert_null(answer);
    medley_workspace_close(late);
  }
  /* The next training mends it, for both. */
  train(w);
  answer = ask(w, &(medley_recommend_query){.user = "u1"});
  medley_answer_free(answer);
  assert_ok(medley_workspace_refresh(w, &error));
  answer = ask(w, &(medley_recommend_query){.user = "u1"});
  assert_int_equal(answer->generation, 3);
  medley_answer_free(answer);
  medley_answer_free(before);
  medley_workspace_close(w);
}

/* Cut or changed anywhere, a generation is refused or it is another valid one; never more than that. */
static void test_tampered_generations(void **state) {
  (void)state;
  medley_error error;
  static const char *const names[] = {"manifest.json", "content.safetensors", "models.safetensors"};
  medley_workspace *w;
  char path[512], file[700];
  rng r;
  rng_seed(&r, 1);
  workspace_fill(path_of("tamper", path), 12, 24, 6);
  assert_ok(medley_workspace_open(path, &w, &error));
  train(w);
  for (size_t f = 0; f < 3; f++) {
    char *bytes;
    size_t length, refused = 0;
    snprintf(file, sizeof file, "%s/models/1/%s", path, names[f]);
    assert_ok(file_read(file, 1 << 26, &bytes, &length, &error));
    for (int t = 0; t < 40; t++) {
      char *changed = malloc(length);
      size_t kept = length;
      memcpy(changed, bytes, length);
      if (t < 12)
        kept = t < 4 ? (size_t)t * 3 : (size_t)rng_below(&r, length);
      else if (t < 32) /* the header of the safetensors, anything of the manifest */
        changed[rng_below(&r, f == 0 || length < 2000 ? length : 2000)] = (char)rng_next(&r);
      else
        memset(changed + rng_below(&r, length - 8), t % 2 ? 0xFF : 0x7F, 8);
      generation *loaded = NULL;
      error = (medley_error){0};
      generation_copy(path, 1, 2, names[f], changed, kept);
      medley_status status = generation_load(path, 2, w->kind, w->store, &loaded, &error);
      if (t < 12 && status == MEDLEY_OK) fail_msg("%s is cut to %zu bytes and loads", names[f], kept);
      if (status != MEDLEY_OK) {
        assert_null(loaded);
        assert_true(error.text[0] != '\0');
        refused++;
      }
      generation_free(loaded);
      free(changed);
    }
    assert_true(refused >= 12);
    mem_free(bytes);
  }
  for (size_t f = 0; f < 3; f++) {
    generation *loaded = NULL;
    generation_copy(path, 1, 2, names[f], "", 0);
    snprintf(file, sizeof file, "%s/models/2/%s", path, names[f]);
    unlink(file);
    assert_true(generation_load(path, 2, w->kind, w->store, &loaded, &error) != MEDLEY_OK);
    assert_non_null(strstr(error.text, names[f]));
  }
  medley_workspace_close(w);
}

/* Only numbers in models/, and `current` names one of them. */
static int64_t models_check(const char *path) {
  medley_error error;
  char folder[600], **names;
  size_t count;
  int64_t current;
  bool there = false;
  snprintf(folder, sizeof folder, "%s/models", path);
  assert_ok(folder_list(folder, &names, &count, &error));
  assert_ok(generation_current(path, &current, &error));
  for (size_t i = 0; i < count; i++) {
    long long number;
    if (!string_to_int64(names[i], &number)) fail_msg("'%s' was left in models/", names[i]);
    there |= number == current;
  }
  assert_true(there || current == 0);
  assert_true(count <= GENERATIONS_KEPT);
  folder_list_free(names, count);
  return current;
}

#ifdef MEDLEY_FAULTS
static void test_training_without_memory_changes_nothing(void **state) {
  (void)state;
  medley_error error;
  medley_workspace *w;
  char path[512];
  size_t failed = 0;
  static const char *const models[] = {"popular", "ease", NULL};
  medley_train_options options = {.models = models};
  workspace_fill(path_of("memory", path), 10, 20, 5);
  assert_ok(medley_workspace_open(path, &w, &error));
  train(w);
  for (long n = 3;; n += 1 + n / 3) {
    int64_t before = models_check(path);
    error = (medley_error){0};
    memory_fault_after(n);
    medley_status status = medley_train(w, &options, NULL, NULL, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    int64_t after = models_check(path);
    if (status == MEDLEY_OK) {
      assert_int_equal(after, before + 1);
    } else {
      if (status != MEDLEY_ERR_MEMORY) fail_msg("allocation %ld: %s (%s)", n, error.text, medley_status_name(status));
      assert_true(after == before || after == before + 1); /* published, but the run could not be noted down */
      failed++;
    }
    if (!struck) break;
  }
  assert_true(failed > 5);
  medley_answer_free(ask(w, &(medley_recommend_query){.user = "u1"}));
  medley_workspace_close(w);
}
#endif

static int cancel(void *context, const medley_progress_state *state) {
  return --*(int *)context < 0 || strcmp(state->stage, "nothing") == 0;
}

static void test_training_can_be_cancelled(void **state) {
  (void)state;
  medley_error error;
  medley_workspace *w;
  char path[512];
  workspace_fill(path_of("cancel", path), 10, 20, 5);
  assert_ok(medley_workspace_open(path, &w, &error));
  for (int reports = 0; reports < 40; reports += 3) {
    int left = reports;
    medley_progress progress = {.report = cancel, .context = &left};
    medley_status status = medley_train(w, &(medley_train_options){.models = quick_models}, &progress, NULL, &error);
    if (status != MEDLEY_OK) {
      assert_int_equal(status, MEDLEY_ERR_CANCELLED);
      assert_int_equal(models_check(path), 0);
      continue;
    }
    break;
  }
  medley_workspace_close(w);
}

/* ---- processes ---- */

static pid_t medley_start(const char *const *arguments) {
  pid_t child;
  const char *command = getenv("MEDLEY_COMMAND");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  if (command == NULL || posix_spawn(&child, command, &actions, NULL, (char *const *)arguments, environ) != 0)
    fail_msg("cannot run '%s'", command ? command : "$MEDLEY_COMMAND");
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

/* Two processes train the same workspace while this one answers and writes. */
static void test_two_processes_train(void **state) {
  (void)state;
  medley_error error;
  medley_workspace *w;
  char path[512];
  workspace_fill(path_of("both", path), 12, 24, 6);
  assert_ok(medley_workspace_open(path, &w, &error));
  train(w);
  const char *arguments[] = {"medley", "train", path, "--models", "popular", NULL};
  pid_t child[2];
  for (int c = 0; c < 2; c++) child[c] = medley_start(arguments);
  for (int running = 2; running > 0;) {
    int outcome;
    put_event(w, "u3", "i5", "click", 0);
    medley_answer_free(ask(w, &(medley_recommend_query){.user = "u3"}));
    for (int c = 0; c < 2; c++) {
      if (child[c] == 0 || waitpid(child[c], &outcome, WNOHANG) != child[c]) continue;
      assert_true(WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0);
      child[c] = 0;
      running--;
    }
    usleep(20000);
  }
  assert_int_equal(models_check(path), 3);
  assert_ok(medley_workspace_refresh(w, &error));
  medley_answer *answer = ask(w, &(medley_recommend_query){.user = "u3"});
  assert_int_equal(answer->generation, 3);
  medley_answer_free(answer);
  medley_workspace_close(w);
}

/* ---- small workspaces ---- */

static void test_hardly_anything(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    uint32_t users, items;
    size_t per_user;
  } sizes[] = {{0, 5, 0}, {1, 1, 1}, {1, 5, 1}, {2, 8, 3}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    char path[512], name[32];
    medley_workspace *w;
    snprintf(name, sizeof name, "tiny%zu", s);
    workspace_fill(path_of(name, path), sizes[s].users, sizes[s].items, sizes[s].per_user);
    assert_ok(medley_workspace_open(path, &w, &error));
    assert_ok(medley_train(w, NULL, NULL, NULL, &error));
    medley_answer *stranger = ask(w, &(medley_recommend_query){.why = 1, .diversity = 0.3});
    assert_int_equal(stranger->count, sizes[s].items);
    medley_answer_free(stranger);
    medley_answer_free(ask(w, &(medley_recommend_query){.user = "u0", .why = 1}));
    medley_workspace_close(w);
  }
}

int main(int argc, char **argv) {
  int status;
  if (medley_worker_main(argc, argv, &status)) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_create_and_open_refuse),
      cmocka_unit_test(test_questions_that_are_refused),
      cmocka_unit_test(test_taste),
      cmocka_unit_test(test_strangers),
      cmocka_unit_test(test_an_event_counts_at_once),
      cmocka_unit_test(test_rules),
      cmocka_unit_test(test_hidden_and_deleted_items),
      cmocka_unit_test(test_pages_are_stable),
      cmocka_unit_test(test_untrained_items),
      cmocka_unit_test(test_diversity),
      cmocka_unit_test(test_counterfactuals_hold),
      cmocka_unit_test(test_the_old_generation_serves_on),
      cmocka_unit_test(test_tampered_generations),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_training_without_memory_changes_nothing),
#endif
      cmocka_unit_test(test_training_can_be_cancelled),
      cmocka_unit_test(test_two_processes_train),
      cmocka_unit_test(test_hardly_anything),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
