/* Attributes that are read when they are first needed: what may happen before, what damage does, many threads at once;
 * and many of them set in one call. */
#include <medley/index.h>
#include <pthread.h>

#include "base/file.h"
#include "base/memory.h"
#include "test.h"

#define DIM 4
#define COUNT 300
#define ALL "has price"

typedef struct world {
  char folder[256], path[300];
  medley_index *index;
} world;

static void vector_of(uint64_t id, float *out) {
  for (size_t d = 0; d < DIM; d++) out[d] = (float)((id * 37 + d * 11) % 101) + 1;
}

static medley_status world_add(world *w, uint64_t id, medley_error *err) {
  float vector[DIM];
  vector_of(id, vector);
  return medley_index_add(w->index, &id, vector, 1, NULL, err);
}

/* COUNT vectors with a price (their id) and a tag, saved and closed. */
static void world_make(world *w, const char *kind) {
  medley_error error = {0};
  uint64_t ids[COUNT];
  char texts[COUNT][64];
  const char *json[COUNT];
  size_t accepted;
  test_folder(w->folder);
  snprintf(w->path, sizeof w->path, "%s/index", w->folder);
  assert_ok(medley_index_create(w->path, &(medley_index_options){.dim = DIM, .kind = kind}, &w->index, &error));
  for (uint64_t i = 0; i < COUNT; i++) {
    ids[i] = i;
    snprintf(texts[i], sizeof texts[i], "{\"price\": %d, \"tag\": \"%s\"}", (int)i, i % 2 ? "odd" : "even");
    json[i] = texts[i];
    assert_ok(world_add(w, i, &error));
  }
  assert_ok(medley_index_set_attributes_batch(w->index, ids, json, COUNT, &accepted, &error));
  assert_int_equal(accepted, COUNT);
  assert_ok(medley_index_save(w->index, NULL, NULL, &error));
  medley_index_close(w->index);
}

static void world_remove(world *w) {
  medley_error error = {0};
  assert_ok(folder_remove(w->folder, &error));
}

/* How many pass the filter; which of the ids did. */
static medley_status ask(const world *w, const char *filter, bool *passed, size_t *found, medley_error *err) {
  medley_status status;
  medley_index_hit hits[COUNT + 10];
  float vector[DIM] = {1, 2, 3, 4};
  memset(passed, 0, COUNT + 10);
  medley_index_query query = {.vector = vector, .k = COUNT + 10, .filter = filter, .exact = 1};
  status = medley_index_search(w->index, &query, hits, found, NULL, err);
  for (size_t i = 0; status == MEDLEY_OK && i < *found; i++) passed[hits[i].id] = true;
  return status;
}

/* What is removed, or removed and added anew in the same slot, before the attributes are read has none. */
static void test_changes_before(void **state) {
  (void)state;
  static const char *const of_kind[] = {"exact", "hnsw"};
  for (size_t k = 0; k < 2; k++) {
    medley_error error = {0};
    world w;
    bool passed[COUNT + 10];
    size_t found;
    world_make(&w, of_kind[k]);
    assert_ok(medley_index_open(w.path, 0, &w.index, &error));
    assert_ok(medley_index_remove(w.index, (uint64_t[]){3, 4}, 2, NULL, &error));
    assert_ok(world_add(&w, 4, &error));
    assert_ok(world_add(&w, COUNT, &error));
    assert_ok(ask(&w, NULL, passed, &found, &error));
    assert_int_equal(found, COUNT);
    assert_ok(ask(&w, ALL, passed, &found, &error));
    assert_int_equal(found, COUNT - 2);
    assert_true(!passed[3] && !passed[4] && passed[5] && !passed[COUNT]);
    assert_ok(ask(&w, "tag = 'odd' and price < 10", passed, &found, &error));
    assert_int_equal(found, 4);
    assert_ok(world_add(&w, 7, &error)); /* an update keeps them */
    medley_index_close(w.index);
    /* Once more from the journal, and then from a file. */
    for (int again = 0; again < 2; again++) {
      assert_ok(medley_index_open(w.path, 0, &w.index, &error));
      assert_ok(ask(&w, ALL, passed, &found, &error));
      assert_int_equal(found, COUNT - 2);
      assert_true(passed[7] && !passed[3] && !passed[4]);
      assert_ok(medley_index_save(w.index, NULL, NULL, &error));
      medley_index_close(w.index);
    }
    world_remove(&w);
  }
}

/* A bit of the section that holds them is turned. */
static void damage(const world *w) {
  medley_error error = {0};
  char *bytes;
  size_t length, at = 4096;
  assert_ok(file_read(w->path, SIZE_MAX, &bytes, &length, &error));
  while (at < length && memcmp(bytes + at, "MDLYATTR", 8) != 0) at += 4096;
  assert_true(at < length);
  bytes[at + 150] ^= 8;
  assert_ok(file_write(w->path, bytes, length, &error));
  mem_free(bytes);
}

/* Everything that needs no attributes works; what does is refused each time, and leaves nothing behind. */
static void test_damage(void **state) {
  (void)state;
  medley_error error = {0};
  world w;
  bool passed[COUNT + 10];
  size_t found;
  char *text;
  medley_index_health health;
  world_make(&w, "exact");
  damage(&w);
  assert_refused(medley_index_open(w.path, MEDLEY_INDEX_VERIFY, &w.index, &error), MEDLEY_ERR_CORRUPT, "attributes");
  assert_ok(medley_index_open(w.path, 0, &w.index, &error));
  for (int again = 0; again < 2; again++) {
    assert_ok(ask(&w, NULL, passed, &found, &error));
    assert_int_equal(found, COUNT - (size_t)again);
    assert_refused(ask(&w, ALL, passed, &found, &error), MEDLEY_ERR_CORRUPT, "attributes");
    assert_refused(medley_index_set_attributes(w.index, 5, "{\"price\": 1}", &error), MEDLEY_ERR_CORRUPT, "attributes");
    assert_refused(medley_index_get_attributes(w.index, 5, &text, &error), MEDLEY_ERR_CORRUPT, "attributes");
    assert_refused(world_add(&w, 5, &error), MEDLEY_ERR_CORRUPT, "attributes");
    assert_refused(medley_index_save(w.index, NULL, NULL, &error), MEDLEY_ERR_CORRUPT, "attributes");
    assert_refused(medley_index_check(w.index, NULL, &health, &error), MEDLEY_ERR_CORRUPT, "attributes");
    assert_ok(medley_index_remove(w.index, (uint64_t[]){9}, 1, NULL, &error));
  }
  medley_index_close(w.index);
  assert_ok(medley_index_open(w.path, 0, &w.index, &error));
  assert_ok(ask(&w, NULL, passed, &found, &error));
  assert_true(found == COUNT - 1 && passed[5] && !passed[9]);
  medley_index_close(w.index);
  world_remove(&w);
}

typedef struct asker {
  world *w;
  size_t found;
} asker;

static void *asker_run(void *context) {
  asker *a = context;
  bool passed[COUNT + 10];
  if (ask(a->w, "price < 200", passed, &a->found, NULL) != MEDLEY_OK) a->found = SIZE_MAX;
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  medley_error error = {0};
  world w;
  world_make(&w, "exact");
  for (int again = 0; again < 20; again++) {
    pthread_t threads[4];
    asker askers[4];
    assert_ok(medley_index_open(w.path, 0, &w.index, &error));
    for (int t = 0; t < 4; t++) {
      askers[t] = (asker){&w, 0};
      assert_int_equal(pthread_create(&threads[t], NULL, asker_run, &askers[t]), 0);
    }
    assert_ok(medley_index_remove(w.index, (uint64_t[]){250}, 1, NULL, &error));
    for (int t = 0; t < 4; t++) {
      pthread_join(threads[t], NULL);
      assert_int_equal(askers[t].found, 200);
    }
    medley_index_close(w.index);
  }
  world_remove(&w);
}

/* The first that is refused ends a batch; those before it are on disk. */
static void test_batch(void **state) {
  (void)state;
  medley_error error = {0};
  world w;
  bool passed[COUNT + 10];
  size_t found, accepted = 9;
  static const struct {
    const char *third;
    medley_status status;
    const char *words;
  } bad[] = {{"{\"price\": \"cheap\"}", MEDLEY_ERR_INPUT, "'price' holds numbers"},
             {"[", MEDLEY_ERR_INPUT, "attributes"},
             {"{\"id\": 4}", MEDLEY_ERR_INPUT, "'id'"}};
  world_make(&w, "exact");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    uint64_t ids[] = {10 * i, 10 * i + 1, 10 * i + 2, 10 * i + 3};
    const char *json[] = {NULL, "{\"new\": true}", bad[i].third, "{\"new\": true}"};
    assert_ok(medley_index_open(w.path, 0, &w.index, &error));
    assert_refused(medley_index_set_attributes_batch(w.index, ids, json, 4, &accepted, &error), bad[i].status,
                   bad[i].words);
    assert_int_equal(accepted, 2);
    medley_index_close(w.index);
    assert_ok(medley_index_open(w.path, 0, &w.index, &error));
    assert_ok(ask(&w, ALL, passed, &found, &error));
    assert_int_equal(found, COUNT - 2 * (i + 1));
    assert_ok(ask(&w, "new = 1", passed, &found, &error));
    assert_int_equal(found, i + 1);
    assert_true(passed[10 * i + 1] && !passed[10 * i + 3]);
    medley_index_close(w.index);
  }
  assert_ok(medley_index_open(w.path, 0, &w.index, &error));
  assert_ok(medley_index_set_attributes_batch(w.index, NULL, NULL, 0, &accepted, &error));
  assert_int_equal(accepted, 0);
  assert_refused(medley_index_set_attributes_batch(w.index, (uint64_t[]){1, COUNT}, (const char *[]){"{}", "{}"}, 2,
                                                   &accepted, &error),
                 MEDLEY_ERR_NOT_FOUND, "id 300");
  medley_index_close(w.index);
  world_remove(&w);
}

#ifdef MEDLEY_FAULTS
/* Each allocation of opening and the first filter fails once; what failed to be read is read the next time. */
static void test_memory(void **state) {
  (void)state;
  medley_error error = {0};
  world w;
  bool passed[COUNT + 10], struck = true;
  size_t found;
  world_make(&w, "exact");
  for (long n = 1; struck; n++) {
    w.index = NULL;
    memory_fault_after(n);
    medley_status status = medley_index_open(w.path, MEDLEY_INDEX_READ_ONLY, &w.index, &error);
    if (status == MEDLEY_OK) status = ask(&w, ALL, passed, &found, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    if (status != MEDLEY_OK) assert_int_equal(status, MEDLEY_ERR_MEMORY);
    if (w.index != NULL) {
      assert_ok(ask(&w, ALL, passed, &found, &error));
      assert_int_equal(found, COUNT);
    }
    medley_index_close(w.index);
  }
  world_remove(&w);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_changes_before), cmocka_unit_test(test_damage),
      cmocka_unit_test(test_threads),        cmocka_unit_test(test_batch),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
