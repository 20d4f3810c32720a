/* Searches over a catalogue that is large by its settings: graphs choose what is scored, answers say so, and everything
 * that graphs cannot do is done by comparing everything. */
#include "../test.h"

#include <medley/medley.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/strbuf.h"

#define ITEMS 3000
#define DIM 16
#define CLUSTERS 60

static char base[256], root[300];

/* ---- the catalogue: vectors in clusters, and an item in a category of its own here and there ---- */

static void vectors_write(const char *path) {
  medley_error error;
  rng r;
  strbuf file = {0};
  static float centre[CLUSTERS][DIM];
  rng_seed(&r, 7);
  strbuf_append_bytes(&file, "\x93NUMPY\x01\x00\x76\x00", 10);
  strbuf_printf(&file, "%-117s\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (3000, 16), }");
  for (int c = 0; c < CLUSTERS; c++)
    for (int d = 0; d < DIM; d++) centre[c][d] = (float)rng_normal(&r);
  for (int i = 0; i < ITEMS; i++)
    for (int d = 0; d < DIM; d++) {
      float value = centre[i % CLUSTERS][d] + 0.3f * (float)rng_normal(&r);
      strbuf_append_bytes(&file, (const char *)&value, sizeof value);
    }
  assert_false(file.failed);
  assert_ok(file_write(path, file.text, file.length, &error));
  strbuf_deinit(&file);
}

static void catalogue_make(const char *settings) {
  medley_error error;
  medley_workspace *w;
  char *path = path_join(base, "look.npy"), *conf = path_join(root, "medley.conf");
  medley_import_options options = {.kind = MEDLEY_IMPORT_VECTORS};
  vectors_write(path);
  assert_ok(medley_workspace_create(root, &error));
  assert_ok(file_write(conf, settings, strlen(settings), &error));
  assert_ok(medley_workspace_open(root, &w, &error));
  assert_ok(medley_import(w, path, &options, NULL, NULL, &error));
  for (int i = 0; i < ITEMS; i += 100) {
    char key[16];
    snprintf(key, sizeof key, "%d", i);
    medley_item item = {.key = key, .title = key, .category = "rare"};
    assert_ok(medley_put_item(w, &item, &error));
  }
  medley_event event = {.user = "u", .item = "5", .type = "click"};
  assert_ok(medley_put_event(w, &event, &error));
  medley_workspace_close(w);
  mem_free(path);
  mem_free(conf);
}

static medley_workspace *opened(void) {
  medley_error error;
  medley_workspace *w;
  assert_ok(medley_workspace_open(root, &w, &error));
  return w;
}

static void train(void) {
  medley_error error;
  const char *models[] = {"popular", NULL};
  medley_train_options options = {.models = models};
  medley_workspace *w = opened();
  assert_ok(medley_train(w, &options, NULL, NULL, &error));
  medley_workspace_close(w);
}

static medley_answer *like(medley_workspace *w, const char *key, const medley_search_query *how) {
  medley_error error;
  medley_answer *a;
  const char *keys[] = {key, NULL};
  medley_search_query q = *how;
  q.like = keys;
  assert_ok(medley_search(w, &q, &a, &error));
  return a;
}

/* ---- what must hold ---- */

static size_t shared(const medley_answer *a, const medley_answer *b) {
  size_t count = 0;
  for (size_t i = 0; i < a->count; i++)
    for (size_t j = 0; j < b->count; j++) count += strcmp(a->results[i].item, b->results[j].item) == 0;
  return count;
}

/* A graph finds what a comparison with everything finds, with the same scores; the answer says which it was, also in a
 * process that did not train. */
static void test_graph_answers(void **state) {
  (void)state;
  medley_workspace *w = opened();
  size_t found = 0, there = 0;
  for (int i = 0; i < 40; i++) {
    char key[16];
    snprintf(key, sizeof key, "%d", i * 71);
    medley_answer *near = like(w, key, &(medley_search_query){0});
    medley_answer *exact = like(w, key, &(medley_search_query){.exact = 1});
    assert_string_equal(exact->recall, "exact");
    assert_non_null(strstr(near->recall, "approximate, recall ≈ "));
    assert_int_equal(near->count, 10);
    assert_near(near->results[0].score, exact->results[0].score, 1e-5);
    found += shared(near, exact);
    there += exact->count;
    medley_answer_free(near);
    medley_answer_free(exact);
  }
  assert_true((double)found >= 0.98 * (double)there);
  medley_workspace_close(w);
}

/* Few that pass a filter, and pages far down, are compared one by one. */
static void test_exact_where_it_must(void **state) {
  (void)state;
  medley_workspace *w = opened();
  const char *rare[] = {"rare", NULL};
  medley_answer *a = like(w, "5", &(medley_search_query){.categories = rare, .count = 50});
  assert_int_equal(a->count, 30);
  assert_string_equal(a->recall, "exact");
  medley_answer_free(a);
  a = like(w, "5", &(medley_search_query){.count = 200});
  assert_int_equal(a->count, 200);
  assert_string_equal(a->recall, "exact");
  medley_answer_free(a);
  medley_workspace_close(w);
}

static void test_similar_and_doctor(void **state) {
  (void)state;
  medley_error error;
  medley_answer *a;
  char *json;
  medley_workspace *w = opened();
  assert_ok(medley_similar(w, &(medley_similar_query){.item = "11"}, &a, &error));
  assert_non_null(strstr(a->recall, "approximate"));
  medley_answer_free(a);
  assert_ok(medley_similar(w, &(medley_similar_query){.item = "11", .exact = 1}, &a, &error));
  assert_string_equal(a->recall, "exact");
  medley_answer_free(a);
  medley_workspace_close(w);
  assert_ok(medley_doctor(root, &json, &error));
  assert_non_null(strstr(json, "1 graph answers searches, with a recall of"));
  medley_free(json);
}

/* The only graph: of the vectors; few items have a text. */
static char *graph_path(void) {
  medley_error error;
  char **names, *folder = path_join(root, "models/1"), *path = NULL;
  size_t count;
  assert_ok(folder_list(folder, &names, &count, &error));
  for (size_t i = 0; i < count; i++) {
    if (!string_ends(names[i], ".index")) continue;
    assert_null(path);
    path = path_join(folder, names[i]);
  }
  assert_non_null(path);
  folder_list_free(names, count);
  mem_free(folder);
  return path;
}

/* A graph that is not what the manifest says is refused with its name; nothing is answered from it. */
static void test_broken_graph(void **state) {
  (void)state;
  medley_error error;
  medley_answer *a;
  char *path = graph_path(), *bytes;
  size_t length;
  const char *keys[] = {"5", NULL};
  assert_ok(file_read(path, 1 << 26, &bytes, &length, &error));
  for (int k = 0; k < 2; k++) {
    assert_ok(file_write(path, bytes, k ? length / 2 : 10, &error));
    medley_workspace *w = opened();
    assert_refused(medley_search(w, &(medley_search_query){.like = keys}, &a, &error), MEDLEY_ERR_CORRUPT,
                   path_name(path));
    medley_workspace_close(w);
  }
  assert_ok(file_write(path, bytes, length, &error));
  mem_free(bytes);
  mem_free(path);
}

/* Last: what the setting forbids is not made. */
static void test_never(void **state) {
  (void)state;
  medley_error error;
  static const char settings[] = "[search]\nindex_from = 0\n";
  char *conf = path_join(root, "medley.conf");
  assert_ok(file_write(conf, settings, sizeof settings - 1, &error));
  train();
  medley_workspace *w = opened();
  medley_answer *a = like(w, "5", &(medley_search_query){0});
  assert_string_equal(a->recall, "exact");
  medley_answer_free(a);
  medley_workspace_close(w);
  mem_free(conf);
}

static int make(void **state) {
  (void)state;
  test_folder(base);
  snprintf(root, sizeof root, "%s/ws", base);
  catalogue_make("[search]\nindex_from = 1000\n");
  train();
  return 0;
}

static int clean(void **state) {
  (void)state;
  medley_error error;
  assert_ok(folder_remove(base, &error));
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_graph_answers),
      cmocka_unit_test(test_exact_where_it_must),
      cmocka_unit_test(test_similar_and_doctor),
      cmocka_unit_test(test_broken_graph),
      cmocka_unit_test(test_never),
  };
  return cmocka_run_group_tests(tests, make, clean);
}
