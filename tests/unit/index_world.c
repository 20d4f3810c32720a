/* tests/unit/index_world.c: see tests/unit/index_world.h. */
#include "index_world.h"

#include "../test.h"

#include "base/file.h"
#include "base/memory.h"
#include "index/file.h"

#define ROWS_LIMIT 100000
#define FILE_HEADER 4096
#define DAMAGED_BYTES 40
#define CHANGED 30

/* ---- the world ---- */

void world_draw(world *w, float out[DIM]) {
  const float *place = w->places + rng_below(&w->random, PLACES) * DIM;
  for (size_t d = 0; d < DIM; d++) out[d] = place[d] + 0.5f * (float)rng_normal(&w->random);
}

void world_add(world *w, uint32_t first, size_t count) {
  medley_error error = {0};
  float vector[DIM];
  uint32_t *slots = mem_alloc(count, sizeof *slots);
  size_t linked;
  assert_ok(rows_reserve(&w->rows, first + count, &error));
  for (uint32_t i = 0; i < count; i++) {
    if (i % 50 != 1) world_draw(w, vector);
    slots[i] = first + i;
    assert_ok(rows_set(&w->rows, slots[i], vector, &error));
    rows_set_alive(&w->rows, slots[i], true);
  }
  assert_ok(w->kind->insert(w->index, slots, count, NULL, &linked, &error));
  assert_int_equal(linked, count);
  mem_free(slots);
}

void world_init(world *w, const index_kind *kind, const index_options *o, index_distance distance, row_storage storage,
                size_t count) {
  medley_error error = {0};
  memset(w, 0, sizeof *w);
  w->kind = kind;
  rng_seed(&w->random, 5);
  for (size_t i = 0; i < PLACES * DIM; i++) w->places[i] = (float)rng_normal(&w->random);
  w->guard = guard_create();
  assert_ok(rows_init(&w->rows, DIM, distance, storage, ROWS_LIMIT, &error));
  w->rows.guard = w->guard;
  w->queries = mem_alloc(QUERIES * DIM, sizeof *w->queries);
  for (size_t i = 0; i < QUERIES; i++) world_draw(w, w->queries + i * DIM);
  assert_ok(kind->create(&w->rows, o, &w->index, &error));
  world_add(w, 0, count);
}

void world_deinit(world *w) {
  w->kind->free(w->index);
  guard_free(w->guard);
  rows_deinit(&w->rows);
  mem_free(w->queries);
}

void world_remove(world *w, size_t count) {
  for (size_t i = 0; i < count;) {
    uint32_t slot = (uint32_t)rng_below(&w->random, rows_count(&w->rows));
    if (!rows_alive(&w->rows, slot)) continue;
    rows_set_alive(&w->rows, slot, false);
    w->kind->remove(w->index, slot);
    i++;
  }
}

void world_reuse(world *w, uint32_t *slots, size_t count) {
  medley_error error = {0};
  size_t linked;
  for (size_t i = 0; i < count; i++) {
    float vector[DIM];
    world_draw(w, vector);
    assert_ok(rows_set(&w->rows, slots[i], vector, &error));
    rows_set_alive(&w->rows, slots[i], true);
  }
  assert_ok(w->kind->insert(w->index, slots, count, NULL, &linked, &error));
  assert_int_equal(linked, count);
}

/* ---- against the exact twin ---- */

static void answers_check(const world *w, const index_allow *allow, const scored *got, size_t found) {
  for (size_t a = 0; a < found; a++) {
    assert_true(rows_alive(&w->rows, got[a].index) && index_allows(allow, got[a].index));
    assert_true(a == 0 || got[a].score <= got[a - 1].score);
    for (size_t b = 0; b < a; b++) assert_int_not_equal(got[a].index, got[b].index);
  }
}

double world_recall(world *w, const index_structure *index, const index_allow *allow, size_t breadth, size_t *walked) {
  medley_error error = {0};
  index_structure exact = {&index_exact, &w->rows, 0};
  size_t good = 0, all = 0, together[QUERIES];
  row_query q[QUERIES] = {0};
  scored batch[QUERIES * K];
  index_query query = {.allow = allow, .k = K, .breadth = breadth};
  index_effort effort;
  bool batches = w->kind->search_batch != NULL;
  for (size_t i = 0; i < QUERIES; i++) assert_ok(row_query_init(&q[i], &w->rows, w->queries + i * DIM, &error));
  if (batches) assert_ok(w->kind->search_batch(index, &query, q, QUERIES, batch, together, &effort, &error));
  for (size_t i = 0; i < QUERIES; i++) {
    scored got[K], true_ones[K];
    size_t found, truth;
    query.query = &q[i];
    assert_ok(index_exact.search(&exact, &query, true_ones, &truth, &effort, &error));
    assert_ok(w->kind->search(index, &query, got, &found, &effort, &error));
    if (walked != NULL) *walked += !effort.exact;
    assert_true(w->finds_all ? found == truth : found <= truth);
    if (batches) assert_int_equal(together[i], found);
    answers_check(w, allow, got, found);
    for (size_t a = 0; a < found; a++) {
      if (batches) assert_near(batch[i * K + a].score, got[a].score, 1e-4);
      good += got[a].score >= true_ones[truth - 1].score - 1e-5f;
    }
    all += truth;
  }
  for (size_t i = 0; i < QUERIES; i++) row_query_deinit(&q[i]);
  return all ? (double)good / (double)all : 1;
}

index_check world_check(const index_structure *index) {
  medley_error error = {0};
  index_check c;
  assert_ok(index->kind->check(index, &c, &error));
  if (c.broken > 0) fail_msg("%zu broken: %s", c.broken, c.fault);
  return c;
}

void world_filters(world *w, size_t breadth) {
  size_t count = rows_count(&w->rows), words_count = (count + 63) / 64;
  uint64_t *words = mem_zalloc(words_count, sizeof *words);
  for (size_t share = 1; share <= count; share *= 4)
    for (int together = 0; together < 2; together++) {
      index_allow allow = {words, count, 0};
      memset(words, 0, words_count * sizeof *words);
      for (uint32_t slot = 0; slot < count; slot++)
        if (together ? slot < count / share : slot % share == 0) {
          words[slot >> 6] |= (uint64_t)1 << (slot & 63);
          allow.count++;
        }
      double got = world_recall(w, w->index, &allow, breadth, NULL);
      if (got < 0.95) fail_msg("1 of %zu %s: recall %.3f", share, together ? "in one place" : "spread", got);
    }
  memset(words, 0, words_count * sizeof *words);
  assert_near(world_recall(w, w->index, &(index_allow){words, count, 0}, breadth, NULL), 1, 0);
  mem_free(words);
}

/* ---- the file ---- */

void world_save(const world *w, const char *path) {
  medley_error error = {0};
  index_file_writer *writer = NULL;
  unsigned char id[INDEX_FILE_ID_BYTES];
  assert_ok(index_file_writer_create(path, w->kind->name, NULL, &writer, &error));
  assert_ok(w->kind->write(w->index, writer, &error));
  assert_ok(index_file_writer_commit(writer, id, &error));
}

static void asked_and_checked(const world *w, const index_structure *index) {
  medley_error error = {0};
  row_query q = {0};
  scored got[K];
  size_t found;
  index_effort effort;
  index_check c;
  for (size_t i = 0; i < QUERIES; i++) {
    assert_ok(row_query_init(&q, &w->rows, w->queries + i * DIM, &error));
    assert_ok(w->kind->search(index, &(index_query){.query = &q, .k = K}, got, &found, &effort, &error));
  }
  row_query_deinit(&q);
  assert_ok(w->kind->check(index, &c, &error));
}

medley_status world_open(const world *w, const index_file *file, index_structure **out, medley_error *err) {
  return w->kind->open(&(index_opening){.rows = &w->rows, .options = &(index_options){0}, .file = file}, out, err);
}

/* Rows go, links are mended, what was freed comes back: a writer follows every number of the file. */
static void changed(world *w, index_structure *index) {
  medley_error error = {0};
  index_check c;
  uint32_t gone[CHANGED], *freed = mem_alloc(rows_count(&w->rows), sizeof *freed);
  size_t count, linked;
  for (size_t i = 0; i < CHANGED;) {
    gone[i] = (uint32_t)rng_below(&w->random, rows_count(&w->rows));
    if (!rows_alive(&w->rows, gone[i])) continue;
    rows_set_alive(&w->rows, gone[i], false);
    w->kind->remove(index, gone[i++]);
  }
  assert_ok(w->kind->repair(index, SIZE_MAX, freed, &count, &error));
  for (size_t i = 0; i < count; i++) rows_set_alive(&w->rows, freed[i], true);
  assert_ok(w->kind->insert(index, freed, count, NULL, &linked, &error));
  assert_ok(w->kind->check(index, &c, &error));
  for (size_t i = 0; i < CHANGED; i++) rows_set_alive(&w->rows, gone[i], true);
  mem_free(freed);
}

/* Whether the file is refused; a file that opens is used. */
static bool refused(world *w, const char *path) {
  medley_error error = {0};
  index_file *file = NULL;
  index_structure *back = NULL;
  medley_status status = index_file_open(path, &file, &error);
  if (status == MEDLEY_OK) status = world_open(w, file, &back, &error);
  if (status == MEDLEY_OK) {
    asked_and_checked(w, back);
    changed(w, back);
    w->kind->free(back);
  } else {
    assert_true(status == MEDLEY_ERR_CORRUPT && error.text[0] != '\0');
  }
  index_file_close(file);
  return status != MEDLEY_OK;
}

void world_damage(world *w, int trials, size_t head) {
  medley_error error = {0};
  char folder[256], path[300], *bytes;
  size_t length, refusals = 0;
  rng r;
  rng_seed(&r, 8);
  test_folder(folder);
  snprintf(path, sizeof path, "%s/index", folder);
  world_save(w, path);
  assert_ok(file_read(path, SIZE_MAX, &bytes, &length, &error));
  for (int trial = 0; trial < trials; trial++) {
    bool in_head = head > 0 && trial % 4 == 0;
    char *copy = mem_alloc(length, 1);
    memcpy(copy, bytes, length);
    for (int i = in_head ? 1 : DAMAGED_BYTES; i > 0; i--)
      copy[FILE_HEADER + rng_below(&r, in_head ? head : length - FILE_HEADER)] = (char)rng_next(&r);
    assert_ok(file_write(path, copy, length, &error));
    mem_free(copy);
    refusals += refused(w, path);
  }
  assert_true(refusals > 0);
  mem_free(bytes);
  assert_ok(folder_remove(folder, &error));
}
