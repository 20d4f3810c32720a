/* What is refused leaves nothing behind, neither in memory nor on disk: vectors that cannot be held, disks that are
 * full, memory that ran out; and files that are saved over others, by any name. */
#include <medley/index.h>
#include <omp.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "test.h"

#define DIM 6
#define COUNT 1500

typedef struct world {
  char folder[256], path[300], other[300];
  float vectors[COUNT * DIM];
  uint64_t ids[COUNT];
} world;

static void world_init(world *w) {
  rng r;
  rng_seed(&r, 3);
  test_folder(w->folder);
  snprintf(w->path, sizeof w->path, "%s/index", w->folder);
  snprintf(w->other, sizeof w->other, "%s/other", w->folder);
  for (size_t i = 0; i < COUNT * DIM; i++) w->vectors[i] = (float)rng_normal(&r);
  for (size_t i = 0; i < COUNT; i++) w->ids[i] = 2 * i + 1;
}

static void world_deinit(world *w) {
  medley_error error = {0};
  assert_ok(folder_remove(w->folder, &error));
}

static medley_index *created(const char *path, const char *kind) {
  medley_error error = {0};
  medley_index *index;
  assert_ok(medley_index_create(
      path, &(medley_index_options){.dim = DIM, .kind = kind, .links = 6, .build_breadth = 20}, &index, &error));
  return index;
}

static void add(const world *w, medley_index *index, size_t first, size_t count) {
  medley_error error = {0};
  assert_ok(medley_index_add(index, w->ids + first, w->vectors + first * DIM, count, NULL, &error));
}

static void expect_vectors(const medley_index *index, size_t count) {
  medley_index_info info;
  medley_index_get_info(index, &info);
  assert_int_equal(info.vectors, count);
}

/* Closed, opened again, sound and with so many. */
static void expect_on_disk(const char *path, size_t count) {
  medley_error error = {0};
  medley_index *index;
  medley_index_health health;
  assert_ok(medley_index_open(path, 0, &index, &error));
  expect_vectors(index, count);
  assert_ok(medley_index_check(index, NULL, &health, &error));
  medley_index_close(index);
}

/* A disk that is full: a limit on the length of files is one. */
static void disk_limit(rlim_t bytes) {
  struct rlimit limit;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static rlim_t journal_length(const world *w) {
  char journal[320];
  uint64_t bytes;
  int64_t modified;
  snprintf(journal, sizeof journal, "%s.journal", w->path);
  assert_true(file_stat(journal, &bytes, &modified));
  return bytes;
}

/* ---- vectors ---- */

static void test_halves(void **state) {
  (void)state;
  medley_error error = {0};
  static const medley_index_options table[] = {
      {.dim = DIM, .distance = "dot", .storage = "f16"},
      {.dim = DIM, .distance = "l2", .storage = "f16", .kind = "exact"},
      {.dim = DIM, .distance = "l2", .storage = "int8", .rerank = "f16", .kind = "ivfpq"}};
  for (size_t t = 0; t < sizeof table / sizeof *table; t++)
    for (int in_memory = 0; in_memory < 2; in_memory++) {
      medley_index *index;
      world w;
      world_init(&w);
      assert_ok(medley_index_create(in_memory ? NULL : w.path, &table[t], &index, &error));
      add(&w, index, 0, 20);
      w.vectors[25 * DIM + 2] = 70000;
      assert_refused(medley_index_add(index, w.ids + 20, w.vectors + 20 * DIM, 20, NULL, &error), MEDLEY_ERR_INPUT,
                     "vector 5 (id 51): value 2");
      expect_vectors(index, 20);
      add(&w, index, 40, 20);
      if (in_memory) assert_ok(medley_index_save(index, w.path, NULL, &error));
      medley_index_close(index);
      expect_on_disk(w.path, 40);
      world_deinit(&w);
    }
}

/* Squares beyond what floats hold: nothing can be trained from them, but they can be added and found. */
static void test_untrainable(void **state) {
  (void)state;
  static const char *const distances[] = {"dot", "l2", "cosine"};
  for (size_t t = 0; t < 3; t++) {
    medley_error error = {0};
    medley_index *index;
    medley_index_hit hits[5];
    size_t found;
    world w;
    world_init(&w);
    for (size_t i = 0; i < COUNT * DIM; i++) w.vectors[i] *= 1e20f;
    assert_ok(medley_index_create(
        w.path, &(medley_index_options){.dim = DIM, .kind = "ivfpq", .distance = distances[t]}, &index, &error));
    add(&w, index, 0, 1100);
    add(&w, index, 1100, 100);
    expect_vectors(index, 1200);
    assert_ok(
        medley_index_search(index, &(medley_index_query){.vector = w.vectors, .k = 5}, hits, &found, NULL, &error));
    assert_int_equal(found, 5);
    medley_index_close(index);
    expect_on_disk(w.path, 1200);
    assert_ok(medley_index_open(w.path, 0, &index, &error));
    assert_ok(medley_index_save(index, NULL, NULL, &error));
    medley_index_close(index);
    expect_on_disk(w.path, 1200);
    world_deinit(&w);
  }
}

/* ---- disks ---- */

/* Several batches of records: when a later one finds no room, the earlier ones go too. */
static void test_full_disk(void **state) {
  (void)state;
  medley_error error = {0};
  static const char *const kinds[] = {"exact", "hnsw"};
  for (size_t k = 0; k < 2; k++) {
    world w;
    world_init(&w);
    medley_index *index = created(w.path, kinds[k]);
    add(&w, index, 0, 100);
    assert_ok(medley_index_remove(index, w.ids, 20, NULL, &error));
    assert_ok(medley_index_repair(index, NULL, &error));
    disk_limit(journal_length(&w) + 600 * (20 + 8 + DIM * 4));
    assert_refused(medley_index_add(index, w.ids + 100, w.vectors + 100 * DIM, 1000, NULL, &error), MEDLEY_ERR_IO,
                   "cannot write");
    disk_limit(RLIM_INFINITY);
    expect_vectors(index, 80);
    add(&w, index, 10, 20); /* new ones and updates, in slots that were given back */
    expect_vectors(index, 90);
    medley_index_close(index);
    expect_on_disk(w.path, 90);
    assert_ok(medley_index_open(w.path, 0, &index, &error));
    assert_ok(medley_index_save(index, NULL, NULL, &error));
    medley_index_close(index);
    expect_on_disk(w.path, 90);
    world_deinit(&w);
  }
}

/* Made and not journaled: a save mends it, and until then the reason is told. */
static void test_journal_behind(void **state) {
  (void)state;
  medley_error error = {0};
  world w;
  char *text;
  world_init(&w);
  medley_index *index = created(w.path, "exact");
  add(&w, index, 0, 100);
  disk_limit(journal_length(&w));
  assert_refused(medley_index_set_attributes(index, 1, "{\"price\": 3}", &error), MEDLEY_ERR_IO, "cannot write");
  disk_limit(RLIM_INFINITY);
  assert_refused(medley_index_remove(index, w.ids, 1, NULL, &error), MEDLEY_ERR_IO, "save the index: cannot write");
  assert_ok(medley_index_save(index, NULL, NULL, &error));
  add(&w, index, 100, 10);
  medley_index_close(index);
  expect_on_disk(w.path, 110);
  assert_ok(medley_index_open(w.path, MEDLEY_INDEX_READ_ONLY, &index, &error));
  assert_ok(medley_index_get_attributes(index, 1, &text, &error));
  assert_non_null(strstr(text, "price"));
  medley_index_text_free(text);
  medley_index_close(index);
  world_deinit(&w);
}

/* ---- names ---- */

static void test_own_by_other_names(void **state) {
  (void)state;
  medley_error error = {0};
  world w;
  char dotted[600], link[300];
  world_init(&w);
  medley_index *index = created(w.path, "exact");
  snprintf(dotted, sizeof dotted, "%s/./../%s/index", w.folder, path_name(w.folder));
  snprintf(link, sizeof link, "%s/link", w.folder);
  assert_int_equal(symlink(w.path, link), 0);
  const char *const names[] = {dotted, link, w.path};
  for (size_t i = 0; i < 3; i++) {
    add(&w, index, 20 * i, 10);
    assert_ok(medley_index_save(index, names[i], NULL, &error));
    add(&w, index, 20 * i + 10, 10);
    medley_index_close(index);
    expect_on_disk(w.path, 20 * (i + 1));
    assert_ok(medley_index_open(w.path, 0, &index, &error));
  }
  medley_index_close(index);
  world_deinit(&w);
}

/* An index with 30 vectors in its file and 10 in its journal. */
static void other_make(const world *w) {
  medley_error error = {0};
  medley_index *index = created(w->other, "exact");
  add(w, index, 0, 30);
  assert_ok(medley_index_save(index, NULL, NULL, &error));
  add(w, index, 30, 10);
  medley_index_close(index);
}

/* Copies and first saves over an index that is there, with or without its file. */
static void test_over_another(void **state) {
  (void)state;
  medley_error error = {0};
  for (int in_memory = 0; in_memory < 2; in_memory++)
    for (int stale = 0; stale < 2; stale++) {
      medley_index *index, *second;
      world w;
      world_init(&w);
      index = created(in_memory ? NULL : w.path, "hnsw");
      add(&w, index, 0, 200);
      other_make(&w);
      assert_ok(medley_index_open(w.other, 0, &second, &error));
      assert_refused(medley_index_save(index, w.other, NULL, &error), MEDLEY_ERR_BUSY, "another process");
      medley_index_close(second);
      disk_limit(1000);
      assert_refused(medley_index_save(index, w.other, NULL, &error), MEDLEY_ERR_IO, "");
      disk_limit(RLIM_INFINITY);
      expect_on_disk(w.other, 40);
      if (stale) assert_int_equal(unlink(w.other), 0);
      assert_ok(medley_index_save(index, w.other, NULL, &error));
      add(&w, index, 200, 10); /* to the copy only when it is where the index lives now */
      medley_index_close(index);
      expect_on_disk(w.other, in_memory ? 210 : 200);
      if (!in_memory) expect_on_disk(w.path, 210);
      world_deinit(&w);
    }
}

/* A kill between a new file and what becomes of the journal beside it. */
static void test_killed_between(void **state) {
  (void)state;
  medley_error error = {0};
  world w;
  char journal[320], *bytes;
  size_t length;
  world_init(&w);
  other_make(&w);
  snprintf(journal, sizeof journal, "%s.journal", w.other);
  assert_ok(file_read(journal, SIZE_MAX, &bytes, &length, &error));
  medley_index *index = created(w.path, "exact");
  add(&w, index, 0, 200);
  assert_ok(medley_index_save(index, w.other, NULL, &error));
  medley_index_close(index);
  assert_ok(file_write(journal, bytes, length, &error));
  for (size_t i = 0; i < 3; i++) {
    expect_on_disk(w.other, 200 + 10 * i);
    assert_ok(medley_index_open(w.other, 0, &index, &error));
    add(&w, index, 200 + 10 * i, 10);
    medley_index_close(index);
  }
  mem_free(bytes);
  world_deinit(&w);
}

/* The file that is there now is read, not the one that was opened. */
static void test_check_after_save(void **state) {
  (void)state;
  medley_error error = {0};
  medley_index_health health;
  world w;
  char *bytes;
  size_t length;
  world_init(&w);
  medley_index *index = created(w.path, "exact");
  add(&w, index, 0, 100);
  assert_ok(medley_index_save(index, NULL, NULL, &error));
  assert_ok(medley_index_check(index, NULL, &health, &error));
  assert_ok(file_read(w.path, SIZE_MAX, &bytes, &length, &error));
  bytes[8200] ^= 1;
  assert_ok(file_write(w.path, bytes, length, &error));
  mem_free(bytes);
  assert_refused(medley_index_check(index, NULL, &health, &error), MEDLEY_ERR_CORRUPT, "is damaged");
  medley_index_close(index);
  world_deinit(&w);
}

/* A sweep that is under way saw none of those removed since. */
static void test_repair_all(void **state) {
  (void)state;
  medley_error error = {0};
  medley_index_info info;
  size_t left = 0;
  for (size_t steps = 17; steps < 23; steps++) {
    world w;
    world_init(&w);
    medley_index *index = created(NULL, "hnsw");
    for (size_t i = 0; i < 2; i++) {
      add(&w, index, 0, COUNT);
      for (size_t id = 0; id < COUNT && i == 0; id++) w.ids[id]++;
    }
    for (size_t i = 0; i < steps; i++) assert_ok(medley_index_remove(index, w.ids + 10 * i, 10, NULL, &error));
    medley_index_get_info(index, &info);
    left += info.removed;
    assert_ok(medley_index_repair(index, NULL, &error));
    medley_index_get_info(index, &info);
    assert_int_equal(info.removed, 0);
    medley_index_close(index);
    world_deinit(&w);
  }
  assert_true(left > 0);
}

#ifdef MEDLEY_FAULTS
/* Each allocation of an add fails once. What is journaled and not made can neither be changed nor saved away; what is
 * refused before can be tried again. */
static void test_memory(void **state) {
  (void)state;
  medley_error error = {0};
  size_t behind = 0;
  bool struck = true;
  for (long n = 1; struck; n++) {
    world w;
    world_init(&w);
    medley_index *index = created(w.path, "hnsw");
    add(&w, index, 0, 40);
    memory_fault_after(n);
    medley_status status = medley_index_add(index, w.ids + 30, w.vectors + 30 * DIM, 30, NULL, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    medley_status again = medley_index_add(index, w.ids + 70, w.vectors + 70 * DIM, 5, NULL, &error);
    size_t there = 65;
    if (again != MEDLEY_OK) {
      behind++;
      there = 60;
      assert_true(status == MEDLEY_ERR_MEMORY && again == status);
      assert_non_null(strstr(error.text, "could not be made"));
      assert_refused(medley_index_save(index, NULL, NULL, &error), MEDLEY_ERR_MEMORY, "could not be made");
      assert_refused(medley_index_save(index, w.other, NULL, &error), MEDLEY_ERR_MEMORY, "could not be made");
    } else {
      if (status != MEDLEY_OK) there = 45;
      assert_ok(medley_index_save(index, NULL, NULL, &error));
    }
    medley_index_close(index);
    expect_on_disk(w.path, there);
    world_deinit(&w);
  }
  assert_true(behind > 0);
}

/* In memory an add that came to nothing leaves an index that can be saved. */
static void test_memory_in_memory(void **state) {
  (void)state;
  medley_error error = {0};
  bool struck = true;
  for (long n = 1; struck; n++) {
    world w;
    medley_index_info info;
    world_init(&w);
    medley_index *index = created(NULL, "hnsw");
    memory_fault_after(n);
    medley_status status = medley_index_add(index, w.ids, w.vectors, 30, NULL, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    medley_index_get_info(index, &info);
    assert_true(status != MEDLEY_OK || info.vectors == 30);
    assert_ok(medley_index_save(index, w.path, NULL, &error));
    medley_index_close(index);
    expect_on_disk(w.path, info.vectors);
    world_deinit(&w);
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_halves),
      cmocka_unit_test(test_untrainable),
      cmocka_unit_test(test_full_disk),
      cmocka_unit_test(test_journal_behind),
      cmocka_unit_test(test_own_by_other_names),
      cmocka_unit_test(test_over_another),
      cmocka_unit_test(test_killed_between),
      cmocka_unit_test(test_check_after_save),
      cmocka_unit_test(test_repair_all),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory),
      cmocka_unit_test(test_memory_in_memory),
#endif
  };
  omp_set_num_threads(1); /* some hundred small indices: waiting for each other took most of the time */
  return cmocka_run_group_tests(tests, NULL, NULL);
}
