/* medley_search, medley_similar and medley_answer_to_json over a small workspace made through public calls: the sample
 * catalogue, and a few items of our own. */
#include "../test.h"

#include <medley/medley.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

static char base[256], root[300], shop[300];
static medley_workspace *w;

/* ---- the workspace ---- */

static const medley_item own_items[] = {
    {.key = "kettle",
     .title = "Whistling copper kettle",
     .text = "Boils water for oolong on any stove.",
     .category = "kitchen"},
    {.key = "teapot",
     .title = "Porcelain teapot",
     .text = "Holds oolong for six, keeps it warm.",
     .category = "kitchen"},
    {.key = "shuihu", .title = "铜水壶", .text = "烧开水泡乌龙茶，放在炉子上会响。", .category = "kitchen"},
    {.key = "gone",
     .title = "Hidden copper kettle",
     .text = "Boils water for oolong.",
     .category = "kitchen",
     .hidden = 1},
};

static void import_table(const char *name, medley_import_kind kind) {
  medley_error error;
  medley_import_options options = {.kind = kind, .allow_rejects = 1000000};
  const char *user_map[] = {"user=id", NULL};
  if (kind == MEDLEY_IMPORT_USERS) options.map = user_map;
  char *path = path_join(shop, name);
  assert_ok(medley_import(w, path, &options, NULL, NULL, &error));
  mem_free(path);
}

static int shop_create(void **state) {
  (void)state;
  medley_error error;
  medley_sample_options sample = {.items = 150, .users = 40, .events_per_user = 12, .clips = 6, .seed = 5};
  const char *models[] = {"itemknn", NULL}; /* "similar" tells its taste */
  medley_train_options train = {.models = models};
  test_folder(base);
  snprintf(root, sizeof root, "%s/ws", base);
  snprintf(shop, sizeof shop, "%s/shop", base);
  assert_ok(medley_sample_create(shop, &sample, NULL, NULL, &error));
  assert_ok(medley_workspace_create(root, &error));
  assert_ok(medley_workspace_open(root, &w, &error));
  import_table("items.jsonl", MEDLEY_IMPORT_ITEMS);
  import_table("events.csv", MEDLEY_IMPORT_EVENTS);
  for (size_t i = 0; i < sizeof own_items / sizeof *own_items; i++)
    assert_ok(medley_put_item(w, &own_items[i], &error));
  assert_ok(medley_train(w, &train, NULL, NULL, &error));
  return 0;
}

static int shop_remove(void **state) {
  (void)state;
  medley_error error;
  medley_workspace_close(w);
  assert_ok(folder_remove(base, &error));
  return 0;
}

/* ---- what every answer keeps ---- */

static double part_of(const medley_result *r, const char *name) {
  for (size_t p = 0; p < r->part_count; p++)
    if (strcmp(r->parts[p].name, name) == 0) return r->parts[p].value;
  return 0;
}

static void check_answer(const medley_answer *a) {
  assert_string_equal(a->recall, "exact");
  assert_true(a->generation > 0);
  for (size_t i = 0; i < a->count; i++) {
    const medley_result *r = &a->results[i];
    double sum = 0;
    for (size_t p = 0; p < r->part_count; p++) sum += r->parts[p].value;
    assert_near(sum, r->score, 1e-5);
    if (i > 0) assert_true(r->score <= a->results[i - 1].score + 1e-5);
    assert_string_not_equal(r->item, "gone");
    for (size_t j = 0; j < i; j++) assert_string_not_equal(r->item, a->results[j].item);
  }
}

static medley_answer *search(const medley_search_query *q) {
  medley_error error;
  medley_answer *a;
  assert_ok(medley_search(w, q, &a, &error));
  check_answer(a);
  return a;
}

static medley_answer *similar(const medley_similar_query *q) {
  medley_error error;
  medley_answer *a;
  assert_ok(medley_similar(w, q, &a, &error));
  check_answer(a);
  return a;
}

static size_t place_of(const medley_answer *a, const char *item) {
  for (size_t i = 0; i < a->count; i++)
    if (strcmp(a->results[i].item, item) == 0) return i;
  return SIZE_MAX;
}

/* The first item of the sample that has a file of this modality, its path in path[512]. */
static void item_with(const char *modality, char key[64], char path[512]) {
  medley_error error;
  char *items = path_join(shop, "items.jsonl"), *text;
  size_t length;
  assert_ok(file_read(items, 1 << 24, &text, &length, &error));
  key[0] = '\0';
  for (char *line = strtok(text, "\n"); line != NULL && key[0] == '\0'; line = strtok(NULL, "\n")) {
    json_t *row;
    assert_ok(json_parse(line, strlen(line), "items", &row, &error));
    const json_t *file = json_object_get(row, modality);
    const char *name = json_is_array(file) ? json_string_value(json_array_get(file, 0)) : json_string_value(file);
    if (name != NULL) {
      snprintf(key, 64, "%s", json_member_string(row, "id", ""));
      snprintf(path, 512, "%s/%s", shop, name);
    }
    json_decref(row);
  }
  assert_true(key[0] != '\0');
  mem_free(items);
  mem_free(text);
}

/* ---- texts ---- */

static void test_text(void **state) {
  (void)state;
  static const struct {
    const char *text, *first, *second;
  } cases[] = {
      {"copper kettle for oolong", "kettle", "teapot"},
      {"Kettles, WHISTLING", "kettle", NULL},
      {"铜水壶泡乌龙茶", "shuihu", NULL},
      {"<b>porcelain</b> teapot 😀", "teapot", NULL},
  };
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    medley_answer *a = search(&(medley_search_query){.text = cases[c].text, .why = 1});
    assert_string_equal(a->results[0].item, cases[c].first);
    if (cases[c].second != NULL) assert_string_equal(a->results[1].item, cases[c].second);
    assert_true(part_of(&a->results[0], "text") > 0);
    assert_true(part_of(&a->results[0], "words") > 0);
    assert_non_null(strstr(a->results[0].why, "It contains “"));
    medley_answer_free(a);
  }
}

static void test_words_weight(void **state) {
  (void)state;
  medley_answer *words = search(&(medley_search_query){.text = "oolong stove", .words_weight = 1});
  assert_int_equal(words->count, 2);
  assert_string_equal(words->results[0].item, "kettle");
  assert_int_equal(words->results[0].part_count, 1);
  assert_true(part_of(&words->results[0], "words") > 0);
  assert_null(words->next);
  medley_answer_free(words);
  medley_answer *vectors = search(&(medley_search_query){.text = "copper kettle", .words_weight = -1});
  assert_string_equal(vectors->results[0].item, "kettle");
  for (size_t i = 0; i < vectors->count; i++) assert_true(part_of(&vectors->results[i], "words") == 0);
  medley_answer_free(vectors);
}

static void test_unknown_words(void **state) {
  (void)state;
  medley_answer *a = search(&(medley_search_query){.text = "Ω"});
  assert_int_equal(a->count, 0);
  assert_non_null(strstr(a->note, "nothing in this catalogue answers that"));
  assert_null(a->next);
  medley_answer_free(a);
}

static void test_words_find_pictures(void **state) {
  (void)state;
  medley_answer *a = search(&(medley_search_query){.text = "red ship", .answer_with = "image", .count = 30});
  assert_true(a->count == 30);
  for (size_t i = 0; i < a->count; i++) {
    assert_int_equal(a->results[i].part_count, 1);
    assert_string_equal(a->results[i].parts[0].name, "image");
  }
  assert_true(place_of(a, "kettle") == SIZE_MAX); /* it has no picture */
  medley_answer_free(a);
}

/* ---- files and items ---- */

static void test_files(void **state) {
  (void)state;
  static const char *const modalities[] = {"image", "audio", "video"};
  for (int m = 0; m < 3; m++) {
    char key[64], path[512];
    item_with(modalities[m], key, path);
    medley_search_query q = {.why = 1};
    *(m == 0 ? &q.image : m == 1 ? &q.audio : &q.video) = path;
    medley_answer *a = search(&q);
    assert_string_equal(a->results[0].item, key);
    assert_true(part_of(&a->results[0], modalities[m]) > 0);
    assert_true(a->results[0].why[0] != '\0');
    medley_answer_free(a);
  }
}

static void test_parts_together(void **state) {
  (void)state;
  char key[64], path[512];
  item_with("image", key, path);
  medley_search_query q = {.text = "copper kettle", .image = path, .count = 200};
  medley_answer *both = search(&q);
  assert_true(place_of(both, key) < 5);
  assert_true(place_of(both, "kettle") < 5);
  medley_answer_free(both);
}

static void test_like_and_unlike(void **state) {
  (void)state;
  const char *kettle[] = {"kettle", NULL}, *teapot[] = {"teapot", NULL};
  medley_answer *like = search(&(medley_search_query){.like = kettle, .answer_with = "text", .count = 200});
  assert_true(place_of(like, "kettle") == SIZE_MAX);
  assert_int_equal(place_of(like, "teapot"), 0);
  medley_answer *away = search(&(medley_search_query){.unlike = kettle, .answer_with = "text", .count = 200});
  assert_int_equal(place_of(away, "teapot"), away->count - 1);
  assert_near(away->results[away->count - 1].score, -like->results[0].score, 1e-5);
  medley_answer *both = search(&(medley_search_query){.text = "oolong", .unlike = teapot, .count = 200});
  assert_true(place_of(both, "teapot") == SIZE_MAX);
  assert_int_equal(place_of(both, "kettle"), 0);
  medley_answer_free(like);
  medley_answer_free(away);
  medley_answer_free(both);
}

/* An item met at random scores 0 on average and 1 in deviation, whatever it lacks. */
static void test_lacking_is_neutral(void **state) {
  (void)state;
  double sum[2] = {0}, square[2] = {0};
  size_t count[2] = {0};
  for (int k = 1; k <= 60; k++) {
    char key[16];
    const char *like[] = {key, NULL};
    medley_error error;
    medley_answer *a = NULL;
    snprintf(key, sizeof key, "i%d", k);
    medley_search_query q = {.like = like, .count = 1000};
    medley_status status = medley_search(w, &q, &a, &error);
    if (status == MEDLEY_ERR_NOT_FOUND) continue; /* no item of that key */
    assert_ok(status);
    for (size_t i = 0; i < a->count; i++) {
      bool whole = part_of(&a->results[i], "image") != 0;
      sum[whole] += a->results[i].score;
      square[whole] += a->results[i].score * a->results[i].score;
      count[whole]++;
    }
    medley_answer_free(a);
  }
  for (int whole = 0; whole < 2; whole++) {
    assert_true(count[whole] > 200);
    double mean = sum[whole] / (double)count[whole];
    assert_near(mean, 0, 0.25);
    assert_near(sqrt(square[whole] / (double)count[whole] - mean * mean), 1.1, 0.4);
  }
}

static void test_distances(void **state) {
  (void)state;
  medley_search_query q = {.text = "blue lamp", .words_weight = -1, .answer_with = "text", .count = 40};
  medley_answer *a[3];
  static const char *const names[] = {"cosine", "dot", "l2"};
  for (int d = 0; d < 3; d++) {
    q.distance = names[d];
    a[d] = search(&q);
    assert_int_equal(a[d]->count, a[0]->count);
    for (size_t i = 0; i < a[d]->count; i++) assert_string_equal(a[d]->results[i].item, a[0]->results[i].item);
  }
  assert_near(a[1]->results[0].score, a[0]->results[0].score, 1e-9);
  assert_true(a[2]->results[0].score > a[0]->results[0].score); /* opens towards the nearest */
  for (int d = 0; d < 3; d++) medley_answer_free(a[d]);
}

/* ---- similar items ---- */

static void test_similar(void **state) {
  (void)state;
  char key[64], path[512];
  item_with("image", key, path);
  medley_answer *all = similar(&(medley_similar_query){.item = key, .count = 200, .why = 1});
  bool taste = false;
  for (size_t i = 0; i < all->count; i++) taste |= part_of(&all->results[i], "taste") != 0;
  assert_true(taste);
  assert_true(place_of(all, key) == SIZE_MAX);
  assert_true(all->results[0].why[0] != '\0');
  medley_answer_free(all);
  medley_answer *looks = similar(&(medley_similar_query){.item = key, .modality = "image"});
  for (size_t i = 0; i < looks->count; i++) {
    assert_int_equal(looks->results[i].part_count, 1);
    assert_string_equal(looks->results[i].parts[0].name, "image");
  }
  medley_answer_free(looks);
  /* Nobody ever chose it: content alone answers. */
  medley_answer *fresh = similar(&(medley_similar_query){.item = "kettle"});
  assert_int_equal(place_of(fresh, "teapot"), 0);
  for (size_t i = 0; i < fresh->count; i++) assert_true(part_of(&fresh->results[i], "taste") == 0);
  medley_answer_free(fresh);
}

/* ---- pages and filters ---- */

static void test_pages(void **state) {
  (void)state;
  medley_search_query q = {.text = "a striped lamp", .count = 1000};
  medley_answer *whole = search(&q);
  assert_true(whole->count > 40);
  assert_null(whole->next);
  char after[64] = "";
  size_t at = 0;
  q.count = 17;
  for (;;) {
    q.after = after[0] ? after : NULL;
    medley_answer *page = search(&q);
    for (size_t i = 0; i < page->count; i++, at++) {
      assert_string_equal(page->results[i].item, whole->results[at].item);
      assert_near(page->results[i].score, whole->results[at].score, 1e-9);
    }
    bool more = page->next != NULL;
    if (more) snprintf(after, sizeof after, "%s", page->next);
    medley_answer_free(page);
    if (!more) break;
  }
  assert_int_equal(at, whole->count);
  medley_answer_free(whole);
  q.after = "1.100000.0";
  medley_answer *beyond = search(&q);
  assert_int_equal(beyond->count, 0);
  assert_null(beyond->next);
  medley_answer_free(beyond);
  q.after = "99.0.0";
  medley_answer *stale = search(&q);
  assert_non_null(strstr(stale->note, "the models changed"));
  medley_answer_free(stale);
}

static void test_categories(void **state) {
  (void)state;
  const char *kitchen[] = {"kitchen", NULL};
  medley_answer *a = search(&(medley_search_query){.text = "striped lamp", .categories = kitchen});
  assert_int_equal(a->count, 3); /* the hidden one is none */
  medley_answer_free(a);
  medley_answer *b = similar(&(medley_similar_query){.item = "kettle", .categories = kitchen});
  assert_int_equal(b->count, 2);
  medley_answer_free(b);
}

/* ---- refusals ---- */

static void test_refusals(void **state) {
  (void)state;
  medley_error error;
  char broken[300], missing[300], *long_text = mem_alloc(70001, 1);
  memset(long_text, 'a', 70000);
  long_text[70000] = '\0';
  snprintf(broken, sizeof broken, "%s/broken.png", base);
  snprintf(missing, sizeof missing, "%s/missing.png", base);
  assert_ok(file_write(broken, "no picture at all", 17, &error));
  const char *nobody[] = {"nobody", NULL}, *kettle[] = {"kettle", NULL}, *no_tag[] = {"no such tag", NULL};
  const struct {
    medley_search_query query;
    medley_status status;
    const char *words;
  } cases[] = {
      {{0}, MEDLEY_ERR_USAGE, "nothing to search for"},
      {{.answer_with = "image"}, MEDLEY_ERR_USAGE, "nothing to search for"},
      {{.text = ""}, MEDLEY_ERR_USAGE, "no words in it"},
      {{.text = " \t<br>"}, MEDLEY_ERR_USAGE, "no words in it"},
      {{.text = long_text}, MEDLEY_ERR_LIMIT, "70000 bytes"},
      {{.text = "lamp", .count = 1001}, MEDLEY_ERR_USAGE, "at most 1000"},
      {{.text = "lamp", .after = "nonsense"}, MEDLEY_ERR_USAGE, "is no page token"},
      {{.text = "lamp", .distance = "manhattan"}, MEDLEY_ERR_USAGE, "cosine, dot and l2"},
      {{.text = "lamp", .words_weight = 1.5}, MEDLEY_ERR_USAGE, "not 1.5"},
      {{.text = "lamp", .words_weight = (double)NAN}, MEDLEY_ERR_USAGE, "a number up to 1"},
      {{.text = "lamp", .categories = no_tag}, MEDLEY_ERR_NOT_FOUND, "'no such tag'"},
      {{.text = "lamp", .answer_with = "smell"}, MEDLEY_ERR_USAGE, "no side 'smell'; they have: text, image"},
      {{.like = nobody}, MEDLEY_ERR_NOT_FOUND, "there is no item 'nobody'"},
      {{.unlike = nobody}, MEDLEY_ERR_NOT_FOUND, "there is no item 'nobody'"},
      {{.image = broken}, MEDLEY_ERR_INPUT, "cannot search with image"},
      {{.image = missing}, MEDLEY_ERR_NOT_FOUND, "missing.png"},
      {{.audio = broken}, MEDLEY_ERR_INPUT, "cannot search with audio"},
      {{.text = "lamp", .answer_with = "year"}, MEDLEY_ERR_USAGE, "no side 'year'"},
      {{.text = "lamp", .answer_with = "tags"}, MEDLEY_ERR_NOT_FOUND, "nothing connects text with tags"},
      {{.like = kettle, .after = "1.2"}, MEDLEY_ERR_USAGE, "is no page token"},
  };
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    medley_answer *a = (medley_answer *)1;
    assert_refused(medley_search(w, &cases[c].query, &a, &error), cases[c].status, cases[c].words);
    assert_null(a);
  }
  medley_answer *a;
  assert_refused(medley_similar(w, &(medley_similar_query){0}, &a, &error), MEDLEY_ERR_USAGE, "which item");
  assert_refused(medley_similar(w, &(medley_similar_query){.item = "nobody"}, &a, &error), MEDLEY_ERR_NOT_FOUND,
                 "there is no item 'nobody'");
  assert_refused(medley_similar(w, &(medley_similar_query){.item = "kettle", .modality = "smell"}, &a, &error),
                 MEDLEY_ERR_USAGE, "no side 'smell'");
  mem_free(long_text);
}

/* A catalogue of texts alone, asked before training, with a picture, and for an item that came later. */
static void test_texts_only(void **state) {
  (void)state;
  medley_error error;
  medley_workspace *texts;
  medley_answer *a;
  char folder[300], key[64], path[512];
  const char *models[] = {"popular", NULL}, *late[] = {"late", NULL};
  snprintf(folder, sizeof folder, "%s/texts", base);
  item_with("image", key, path);
  assert_ok(medley_workspace_create(folder, &error));
  assert_ok(medley_workspace_open(folder, &texts, &error));
  for (size_t i = 0; i < 3; i++) assert_ok(medley_put_item(texts, &own_items[i], &error));
  assert_ok(medley_put_event(texts, &(medley_event){.user = "u", .item = "kettle"}, &error));
  assert_refused(medley_search(texts, &(medley_search_query){.text = "kettle"}, &a, &error), MEDLEY_ERR_NOT_FOUND,
                 "nothing has been trained yet");
  assert_refused(medley_similar(texts, &(medley_similar_query){.item = "kettle"}, &a, &error), MEDLEY_ERR_NOT_FOUND,
                 "nothing has been trained yet");
  assert_ok(medley_train(texts, &(medley_train_options){.models = models}, NULL, NULL, &error));
  assert_ok(medley_workspace_refresh(texts, &error));
  assert_refused(medley_search(texts, &(medley_search_query){.image = path}, &a, &error), MEDLEY_ERR_NOT_FOUND,
                 "no item of this catalogue has image");
  assert_refused(medley_search(texts, &(medley_search_query){.text = "kettle", .answer_with = "audio"}, &a, &error),
                 MEDLEY_ERR_NOT_FOUND, "no item of this catalogue has audio; the items have: text");
  assert_ok(medley_put_item(texts, &(medley_item){.key = "late", .title = "Late kettle"}, &error));
  assert_refused(medley_search(texts, &(medley_search_query){.like = late}, &a, &error), MEDLEY_ERR_NOT_FOUND,
                 "came after the last training");
  assert_ok(medley_search(texts, &(medley_search_query){.text = "copper kettle"}, &a, &error));
  assert_string_equal(a->results[0].item, "kettle");
  medley_answer_free(a);
  medley_workspace_close(texts);
}

/* ---- JSON ---- */

static void test_json(void **state) {
  (void)state;
  medley_error error;
  json_t *parsed;
  char *text;
  medley_answer *a = search(&(medley_search_query){.text = "铜水壶", .why = 1, .count = 3});
  assert_ok(medley_answer_to_json(a, &text, &error));
  assert_ok(json_parse(text, strlen(text), "answer", &parsed, &error));
  const json_t *first = json_array_get(json_object_get(parsed, "results"), 0);
  assert_int_equal(json_array_size(json_object_get(parsed, "results")), 3);
  assert_string_equal(json_member_string(first, "item", ""), "shuihu");
  assert_string_equal(json_member_string(first, "title", ""), "铜水壶");
  assert_near(json_member_number(first, "score", 0), a->results[0].score, 1e-9);
  assert_near(json_member_number(json_object_get(first, "parts"), "words", 0), part_of(&a->results[0], "words"), 1e-9);
  assert_true(json_member_string(first, "why", "")[0] != '\0');
  assert_string_equal(json_member_string(parsed, "next", ""), a->next);
  assert_null(json_object_get(first, "pinned"));
  assert_null(json_object_get(parsed, "note"));
  json_decref(parsed);
  medley_free(text);
  medley_answer_free(a);
}

static void test_json_whole(void **state) {
  (void)state;
  medley_error error;
  char *text;
  const medley_part parts[] = {{"taste", 1.5}, {"rule", -0.5}};
  const medley_because because[] = {{"x", "X", 0.25}};
  const medley_result results[] = {{.item = "a",
                                    .title = "A",
                                    .score = 1,
                                    .parts = parts,
                                    .part_count = 2,
                                    .pinned = 1,
                                    .because = because,
                                    .because_count = 1,
                                    .why = "w",
                                    .counterfactual = "c"}};
  const medley_answer answer = {
      .results = results, .count = 1, .next = "n", .generation = 3, .note = "o", .recall = "exact"};
  assert_ok(medley_answer_to_json(&answer, &text, &error));
  assert_string_equal(
      text,
      "{\"generation\":3,\"note\":\"o\",\"recall\":\"exact\",\"next\":\"n\",\"results\":[{\"item\":\"a\","
      "\"title\":\"A\",\"score\":1.0,\"parts\":{\"taste\":1.5,\"rule\":-0.5},\"pinned\":true,\"because\":"
      "[{\"item\":\"x\",\"title\":\"X\",\"share\":0.25}],\"why\":\"w\",\"counterfactual\":\"c\"}]}");
  medley_free(text);
}

/* ---- memory ---- */

#ifdef MEDLEY_FAULTS
static medley_status ask(int what, medley_error *error) {
  const char *like[] = {"teapot", NULL};
  medley_search_query q = {.text = "copper kettle", .like = like, .why = 1};
  medley_answer *a = NULL;
  medley_status status = what == 0 ? medley_search(w, &q, &a, error)
                                   : medley_similar(w, &(medley_similar_query){.item = "i10", .why = 1}, &a, error);
  if (status != MEDLEY_OK) assert_null(a);
  medley_answer_free(a);
  return status;
}

static void test_memory(void **state) {
  (void)state;
  medley_error error;
  for (int what = 0; what < 2; what++) {
    long n = 1;
    for (;; n += 1 + n / 20) {
      memory_fault_after(n);
      medley_status status = ask(what, &error);
      bool struck = memory_fault_struck();
      memory_fault_after(0);
      if (!struck) {
        assert_ok(status);
        break;
      }
      if (status != MEDLEY_ERR_LIMIT) /* a text that does not fit into memory */
        assert_int_equal(status, MEDLEY_ERR_MEMORY);
    }
    assert_true(n > 10);
    assert_ok(ask(what, &error));
  }
}
#endif

int main(int argc, char **argv) {
  int status;
  if (medley_worker_main(argc, argv, &status)) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_text),
      cmocka_unit_test(test_words_weight),
      cmocka_unit_test(test_unknown_words),
      cmocka_unit_test(test_words_find_pictures),
      cmocka_unit_test(test_files),
      cmocka_unit_test(test_parts_together),
      cmocka_unit_test(test_like_and_unlike),
      cmocka_unit_test(test_lacking_is_neutral),
      cmocka_unit_test(test_distances),
      cmocka_unit_test(test_similar),
      cmocka_unit_test(test_pages),
      cmocka_unit_test(test_categories),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_texts_only),
      cmocka_unit_test(test_json),
      cmocka_unit_test(test_json_whole),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory),
#endif
  };
  return cmocka_run_group_tests_name("search", tests, shop_create, shop_remove);
}
