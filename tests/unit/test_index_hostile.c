/* Index files whose numbers contradict each other, behind checksums that are right or not looked at: refused with a
 * sentence, or used and changed without harm. */
#include <medley/index.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "index/file_parts.h"
#include "test.h"

#define DIM 6
#define COUNT 1200

typedef struct world {
  char folder[256], path[300];
  char *bytes; /* of the file */
  size_t length;
  float vectors[COUNT * DIM];
  uint64_t ids[COUNT];
} world;

/* COUNT vectors, some of them gone and their slots free, some gone and still named. */
static void world_make(world *w, const char *kind) {
  medley_error error = {0};
  medley_index *index;
  rng r;
  rng_seed(&r, 4);
  test_folder(w->folder);
  snprintf(w->path, sizeof w->path, "%s/index", w->folder);
  for (size_t i = 0; i < COUNT * DIM; i++) w->vectors[i] = (float)rng_normal(&r);
  for (size_t i = 0; i < COUNT; i++) w->ids[i] = 3 * i;
  medley_index_options o = {.dim = DIM, .kind = kind, .links = 4, .build_breadth = 20, .lists = 8, .code_bytes = 2};
  assert_ok(medley_index_create(w->path, &o, &index, &error));
  assert_ok(medley_index_add(index, w->ids, w->vectors, COUNT, NULL, &error));
  assert_ok(medley_index_remove(index, w->ids, 30, NULL, &error));
  assert_ok(medley_index_repair(index, NULL, &error));
  assert_ok(medley_index_remove(index, w->ids + 30, 20, NULL, &error));
  assert_ok(medley_index_save(index, NULL, NULL, &error));
  medley_index_close(index);
  assert_ok(file_read(w->path, SIZE_MAX, &w->bytes, &w->length, &error));
}

static void world_remove(world *w) {
  medley_error error = {0};
  mem_free(w->bytes);
  assert_ok(folder_remove(w->folder, &error));
}

/* A section's numbers of 32 bits, in w->bytes. */
static uint32_t *section(const world *w, const char *name, size_t *count) {
  file_page page;
  memcpy(&page, w->bytes, sizeof page);
  int at = file_section_find(&page, name);
  assert_true(at >= 0);
  *count = page.section[at].length / sizeof(uint32_t);
  return (uint32_t *)(void *)(w->bytes + page.section[at].offset);
}

/* Adds, updates, removes and mends; whatever they say, nothing may break. */
static void change(const world *w, medley_index *index) {
  medley_error error = {0};
  medley_index_health health;
  medley_index_hit hits[10];
  size_t found;
  (void)!medley_index_remove(index, w->ids + 60, 200, NULL, &error);
  (void)!medley_index_add(index, w->ids, w->vectors, 300, NULL, &error);
  (void)!medley_index_repair(index, NULL, &error);
  (void)!medley_index_add(index, w->ids, w->vectors, 400, NULL, &error);
  (void)!medley_index_search(index, &(medley_index_query){.vector = w->vectors, .k = 10}, hits, &found, NULL, &error);
  (void)!medley_index_check(index, NULL, &health, &error);
}

static medley_status written_and_opened(const world *w, medley_index **index, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char journal[320];
  snprintf(journal, sizeof journal, "%s.journal", w->path);
  unlink(journal);
  TRY(file_write(w->path, w->bytes, w->length, err));
  TRY(medley_index_open(w->path, 0, index, err));
done:
  return status;
}

/* Slots that are named in two places would have two owners. */
static void test_named_twice(void **state) {
  (void)state;
  static const struct {
    const char *kind, *to, *from;
    size_t to_at, from_at;
    const char *words;
  } table[] = {{"hnsw", "free", "hnsw.dead", 0, 0, "is said to be removed"},
               {"hnsw", "hnsw.dead", "hnsw.dead", 1, 0, "is so twice"},
               {"hnsw", "free", "free", 1, 0, "is so twice"},
               {"hnsw", "hnsw.head", "free", 8, 0, "contradicts itself"},
               {"ivfpq", "ivf.slots", "free", 0, 0, "named before or is free"},
               {"ivfpq", "ivf.slots", "ivf.slots", 1, 0, "named before or is free"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    medley_error error = {0};
    medley_index *index = NULL;
    world w;
    size_t to_count, from_count;
    world_make(&w, table[i].kind);
    uint32_t *to = section(&w, table[i].to, &to_count), *from = section(&w, table[i].from, &from_count);
    assert_true(table[i].to_at < to_count && table[i].from_at < from_count);
    if (strcmp(table[i].to, "hnsw.head") == 0) to[9] = 0; /* the entry's level */
    to[table[i].to_at] = from[table[i].from_at];
    assert_refused(written_and_opened(&w, &index, &error), MEDLEY_ERR_CORRUPT, table[i].words);
    world_remove(&w);
  }
}

/* Two nodes with one block of upper layers. */
static void test_shared_layers(void **state) {
  (void)state;
  medley_error error = {0};
  medley_index *index = NULL;
  world w;
  size_t count, first = SIZE_MAX;
  world_make(&w, "hnsw");
  uint32_t *of = section(&w, "hnsw.upper-of", &count);
  for (size_t i = 0; i < count && first == SIZE_MAX; i++)
    if (of[i] != UINT32_MAX) first = i;
  of[first + 1] = of[first];
  assert_refused(written_and_opened(&w, &index, &error), MEDLEY_ERR_CORRUPT, "upper layers");
  world_remove(&w);
}

/* Links are read where they are mapped: those that lead nowhere are met by writers. */
static void test_links_to_nowhere(void **state) {
  (void)state;
  static const char *const layers[] = {"hnsw.lowest", "hnsw.upper"};
  for (size_t t = 0; t < 2; t++) {
    medley_error error = {0};
    medley_index *index = NULL;
    world w;
    size_t count;
    rng r;
    rng_seed(&r, 2);
    world_make(&w, "hnsw");
    uint32_t *links = section(&w, layers[t], &count);
    for (size_t i = 0; i < count; i++)
      if (links[i] > 30 && rng_below(&r, 10) == 0) links[i] ^= 1u << (12 + rng_below(&r, 18));
    assert_ok(written_and_opened(&w, &index, &error));
    change(&w, index);
    medley_index_close(index);
    world_remove(&w);
  }
}

/* Any bytes changed: opened for writing, changed. */
static void test_damage(void **state) {
  (void)state;
  static const char *const kinds[] = {"exact", "hnsw", "ivfpq"};
  size_t opened = 0;
  for (size_t k = 0; k < 3; k++) {
    medley_error error = {0};
    world w;
    rng r;
    rng_seed(&r, k);
    world_make(&w, kinds[k]);
    char *sound = mem_alloc(w.length, 1);
    memcpy(sound, w.bytes, w.length);
    for (int trial = 0; trial < 25; trial++) {
      medley_index *index = NULL;
      memcpy(w.bytes, sound, w.length);
      for (int i = 0; i < 10; i++)
        w.bytes[INDEX_FILE_PAGE_BYTES + rng_below(&r, w.length - INDEX_FILE_PAGE_BYTES)] ^=
            (char)(1 << rng_below(&r, 8));
      if (written_and_opened(&w, &index, &error) != MEDLEY_OK) continue;
      opened++;
      change(&w, index);
      medley_index_close(index);
    }
    mem_free(sound);
    world_remove(&w);
  }
  assert_true(opened > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_named_twice),
      cmocka_unit_test(test_shared_layers),
      cmocka_unit_test(test_links_to_nowhere),
      cmocka_unit_test(test_damage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
