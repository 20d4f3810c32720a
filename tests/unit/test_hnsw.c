/* The graph against its exact twin: recall over storages and distances, filters from all to one, deletes, the same
 * graph for any number of threads, what is written comes back, what is damaged does no harm. */
#include <omp.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "index/file.h"
#include "index/hnsw.h"
#include "test.h"

#define DIM 24
#define COUNT 3000
#define QUERIES 60
#define K 10

/* Clusters, as real vectors have them, and every 50th row twice: equal vectors are the hard case for a graph. */
typedef struct world {
  rows rows;
  index_structure *graph;
  float *queries; /* [QUERIES, DIM] */
  medley_error error;
} world;

static void draw(rng *r, const float *centres, float *out) {
  const float *centre = centres + rng_below(r, 40) * DIM;
  for (size_t d = 0; d < DIM; d++) out[d] = centre[d] + 0.5f * (float)rng_normal(r);
}

static void world_init(world *w, index_distance distance, row_storage storage, size_t count) {
  medley_error error = {0};
  rng r;
  float centres[40 * DIM], vector[DIM];
  uint32_t *slots = mem_alloc(count, sizeof *slots);
  size_t linked;
  memset(w, 0, sizeof *w);
  rng_seed(&r, 5);
  for (size_t i = 0; i < 40 * DIM; i++) centres[i] = (float)rng_normal(&r);
  assert_ok(rows_init(&w->rows, DIM, distance, storage, 100000, &error));
  assert_ok(rows_reserve(&w->rows, count, &error));
  for (uint32_t i = 0; i < count; i++) {
    if (i % 50 != 1) draw(&r, centres, vector);
    assert_ok(rows_set(&w->rows, i, vector, &error));
    rows_set_alive(&w->rows, i, true);
    slots[i] = i;
  }
  w->queries = mem_alloc(QUERIES * DIM, sizeof *w->queries);
  for (size_t i = 0; i < QUERIES; i++) draw(&r, centres, w->queries + i * DIM);
  assert_ok(
      index_hnsw.create(&w->rows, &(index_options){.links = 8, .build_breadth = 60, .seed = 3}, &w->graph, &error));
  assert_ok(index_hnsw.insert(w->graph, slots, count, NULL, &linked, &error));
  assert_int_equal(linked, count);
  mem_free(slots);
}

static void world_deinit(world *w) {
  index_hnsw.free(w->graph);
  rows_deinit(&w->rows);
  mem_free(w->queries);
}

/* The mean share of the exact answers found; scores decide, as equal rows are equally right. Nothing dead or not
 * allowed may be answered, nothing twice, and best comes first. */
static double recall(world *w, const index_structure *graph, const index_allow *allow, size_t breadth, size_t *walks) {
  medley_error error = {0};
  index_structure exact = {&index_exact, &w->rows, 0};
  size_t good = 0, all = 0;
  row_query q = {0};
  for (size_t i = 0; i < QUERIES; i++) {
    scored got[K], true_ones[K];
    size_t found, truth;
    index_effort effort;
    assert_ok(row_query_init(&q, &w->rows, w->queries + i * DIM, &error));
    index_query query = {.query = &q, .allow = allow, .k = K, .breadth = breadth};
    assert_ok(index_exact.search(&exact, &query, true_ones, &truth, &effort, &error));
    assert_ok(index_hnsw.search(graph, &query, got, &found, &effort, &error));
    if (walks != NULL) *walks += !effort.exact;
    assert_true(found <= truth);
    for (size_t a = 0; a < found; a++) {
      assert_true(rows_alive(&w->rows, got[a].index) && index_allows(allow, got[a].index));
      assert_true(a == 0 || got[a].score <= got[a - 1].score);
      for (size_t b = 0; b < a; b++) assert_int_not_equal(got[a].index, got[b].index);
      good += got[a].score >= true_ones[truth - 1].score - 1e-5f;
    }
    all += truth;
  }
  row_query_deinit(&q);
  return all ? (double)good / (double)all : 1;
}

static index_check checked(const index_structure *graph) {
  medley_error error = {0};
  index_check c;
  assert_ok(index_hnsw.check(graph, &c, &error));
  if (c.broken > 0) fail_msg("%zu broken: %s", c.broken, c.fault);
  return c;
}

static void test_recall(void **state) {
  (void)state;
  for (int storage = ROW_F32; storage < ROW_STORAGE_COUNT; storage++)
    for (int distance = INDEX_COSINE; distance < INDEX_DISTANCE_COUNT; distance++) {
      world w;
      world_init(&w, (index_distance)distance, (row_storage)storage, COUNT);
      index_check c = checked(w.graph);
      assert_int_equal(c.alive, COUNT);
      assert_int_equal(c.reachable, COUNT);
      assert_true(c.degree_max <= 16 && c.degree_min >= 1 && c.dead_links == 0);
      size_t walks = 0;
      double wide = recall(&w, w.graph, NULL, 100, &walks), narrow = recall(&w, w.graph, NULL, 10, NULL);
      /* Dot products are no distance: the graph is only near to the best there. */
      double floor = distance == INDEX_DOT ? 0.9 : 0.98;
      assert_int_equal(walks, QUERIES);
      if (wide < floor || narrow > wide + 0.001)
        fail_msg("%s %s: recall %.3f with breadth 100, %.3f with 10", row_storage_name((row_storage)storage),
                 index_distance_name((index_distance)distance), wide, narrow);
      world_deinit(&w);
    }
}

static void test_small(void **state) {
  (void)state;
  static const size_t counts[] = {0, 1, 2, 3, 17, 300};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    world w;
    world_init(&w, INDEX_COSINE, ROW_F32, counts[i]);
    assert_int_equal(checked(w.graph).reachable, counts[i]);
    assert_near(recall(&w, w.graph, NULL, 0, NULL), 1, 0.01);
    world_deinit(&w);
  }
}

/* Tight clusters fill each other's lists: islands, which must be linked to from afar. */
static void test_islands(void **state) {
  (void)state;
  static const struct {
    size_t clusters;
    float spread;
  } table[] = {{20, 0.02f}, {50, 0.01f}};
  for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
    medley_error error = {0};
    rows rows;
    index_structure *graph;
    rng r;
    float *centres = mem_alloc(table[t].clusters * DIM, sizeof *centres), vector[DIM];
    uint32_t slots[COUNT];
    size_t linked;
    rng_seed(&r, 5);
    for (size_t i = 0; i < table[t].clusters * DIM; i++) centres[i] = (float)rng_normal(&r);
    assert_ok(rows_init(&rows, DIM, INDEX_COSINE, ROW_F32, COUNT, &error));
    assert_ok(rows_reserve(&rows, COUNT, &error));
    for (uint32_t i = 0; i < COUNT; i++) {
      const float *centre = centres + rng_below(&r, table[t].clusters) * DIM;
      for (size_t d = 0; d < DIM; d++) vector[d] = centre[d] + table[t].spread * (float)rng_normal(&r);
      assert_ok(rows_set(&rows, i, vector, &error));
      rows_set_alive(&rows, i, true);
      slots[i] = i;
    }
    assert_ok(index_hnsw.create(&rows, &(index_options){.links = 4, .build_breadth = 60, .seed = 3}, &graph, &error));
    assert_ok(index_hnsw.insert(graph, slots, COUNT, NULL, &linked, &error));
    index_check c = checked(graph);
    if (c.reachable != COUNT) fail_msg("%zu clusters: %zu of %d can be reached", table[t].clusters, c.reachable, COUNT);
    index_hnsw.free(graph);
    rows_deinit(&rows);
    mem_free(centres);
  }
}

static bool same_graph(const hnsw *a, const hnsw *b, size_t count) {
  for (uint32_t slot = 0; slot < count; slot++) {
    if (hnsw_level(a, slot) != hnsw_level(b, slot)) return false;
    for (uint32_t layer = 0; layer <= hnsw_level(a, slot); layer++)
      for (size_t i = 0; i < hnsw_width(a, layer); i++)
        if (hnsw_link(hnsw_list(a, slot, layer), i) != hnsw_link(hnsw_list(b, slot, layer), i)) return false;
  }
  return a->entry == b->entry;
}

static void remove_some(world *w, rng *r, size_t count) {
  for (size_t i = 0; i < count;) {
    uint32_t slot = (uint32_t)rng_below(r, rows_count(&w->rows));
    if (!rows_alive(&w->rows, slot)) continue;
    rows_set_alive(&w->rows, slot, false);
    index_hnsw.remove(w->graph, slot);
    i++;
  }
}

/* Two threads against one, over building and repair. */
static void test_same_for_any_threads(void **state) {
  (void)state;
  medley_error error = {0};
  world w[2];
  uint32_t freed[COUNT];
  int threads = omp_get_max_threads();
  for (int i = 0; i < 2; i++) {
    rng r;
    size_t count;
    rng_seed(&r, 9);
    omp_set_num_threads(i + 1);
    world_init(&w[i], INDEX_L2, ROW_F32, COUNT);
    remove_some(&w[i], &r, COUNT / 3);
    assert_ok(index_hnsw.repair(w[i].graph, SIZE_MAX, freed, &count, &error));
    assert_int_equal(count, COUNT / 3);
  }
  omp_set_num_threads(threads);
  assert_true(same_graph((hnsw *)w[0].graph, (hnsw *)w[1].graph, COUNT));
  for (int i = 0; i < 2; i++) world_deinit(&w[i]);
}

/* From a filter that lets all pass to one that lets one pass, spread over the set or all in one place. */
static void test_filters(void **state) {
  (void)state;
  world w;
  uint64_t words[(COUNT + 63) / 64];
  world_init(&w, INDEX_COSINE, ROW_F32, COUNT);
  for (size_t share = 1; share <= COUNT; share *= 4)
    for (int together = 0; together < 2; together++) {
      index_allow allow = {words, COUNT, 0};
      memset(words, 0, sizeof words);
      for (uint32_t slot = 0; slot < COUNT; slot++)
        if (together ? slot < COUNT / share : slot % share == 0) {
          words[slot >> 6] |= (uint64_t)1 << (slot & 63);
          allow.count++;
        }
      double got = recall(&w, w.graph, &allow, 60, NULL);
      if (got < 0.95) fail_msg("1 of %zu %s: recall %.3f", share, together ? "in one place" : "spread", got);
    }
  memset(words, 0, sizeof words);
  assert_near(recall(&w, w.graph, &(index_allow){words, COUNT, 0}, 60, NULL), 1, 0);
  world_deinit(&w);
}

/* Removed rows are gone at once, their slots are named by nobody after the repair, and what comes in their place is
 * found. */
static void test_remove_and_reuse(void **state) {
  (void)state;
  medley_error error = {0};
  static const size_t shares[] = {20, 2, 1};
  uint32_t freed[COUNT];
  for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
    world w;
    rng r;
    size_t gone = COUNT / shares[s], count = 0, part = 0, linked;
    rng_seed(&r, s);
    world_init(&w, INDEX_COSINE, ROW_F32, COUNT);
    remove_some(&w, &r, gone);
    double before = recall(&w, w.graph, NULL, 60, NULL);
    while (count == 0) { /* in small steps, as a set does it */
      assert_ok(index_hnsw.repair(w.graph, 500, freed, &count, &error));
      assert_true(++part < 10);
    }
    assert_int_equal(count, gone);
    index_check c = checked(w.graph);
    assert_int_equal(c.dead_links, 0);
    assert_int_equal(c.alive, COUNT - gone);
    if (c.reachable != c.alive) fail_msg("%zu of %zu can be reached", c.reachable, c.alive);
    double after = recall(&w, w.graph, NULL, 60, NULL);
    if (before < 0.95 || after < 0.95) fail_msg("%zu removed: recall %.3f, mended %.3f", gone, before, after);
    for (size_t i = 0; i < count; i++) {
      float vector[DIM];
      for (size_t d = 0; d < DIM; d++) vector[d] = (float)rng_normal(&r);
      assert_ok(rows_set(&w.rows, freed[i], vector, &error));
      rows_set_alive(&w.rows, freed[i], true);
    }
    assert_ok(index_hnsw.insert(w.graph, freed, count, NULL, &linked, &error));
    c = checked(w.graph);
    assert_int_equal(c.alive, COUNT);
    assert_true(recall(&w, w.graph, NULL, 60, NULL) > 0.95);
    world_deinit(&w);
  }
}

/* ---- the file ---- */

static void save(const world *w, const char *path) {
  medley_error error = {0};
  index_file_writer *writer = NULL;
  unsigned char id[INDEX_FILE_ID_BYTES];
  assert_ok(index_file_writer_create(path, "hnsw", NULL, &writer, &error));
  assert_ok(index_hnsw.write(w->graph, writer, &error));
  assert_ok(index_file_writer_commit(writer, id, &error));
}

static void test_file(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300];
  index_file *file = NULL;
  index_structure *back = NULL;
  world w;
  rng r;
  uint32_t freed[COUNT];
  size_t count;
  rng_seed(&r, 4);
  test_folder(folder);
  snprintf(path, sizeof path, "%s/graph", folder);
  world_init(&w, INDEX_COSINE, ROW_F32, COUNT);
  remove_some(&w, &r, 100);
  save(&w, path);
  assert_ok(index_file_open(path, &file, &error));
  assert_ok(index_hnsw.open(&w.rows, &(index_options){0}, file, &back, &error));
  assert_true(same_graph((hnsw *)w.graph, (hnsw *)back, COUNT));
  assert_near(recall(&w, back, NULL, 60, NULL), recall(&w, w.graph, NULL, 60, NULL), 0);
  assert_ok(index_hnsw.repair(back, SIZE_MAX, freed, &count, &error)); /* in the mapping, which is ours */
  assert_int_equal(count, 100);
  assert_int_equal(checked(back).dead_links, 0);
  index_hnsw.free(back);
  index_file_close(file);
  assert_ok(folder_remove(folder, &error));
  world_deinit(&w);
}

/* Damage behind the header is not looked for when opening: it is refused, or does no harm when walked through. */
static void test_damaged_file(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300], *bytes;
  size_t length;
  world w;
  rng r;
  rng_seed(&r, 8);
  test_folder(folder);
  snprintf(path, sizeof path, "%s/graph", folder);
  world_init(&w, INDEX_COSINE, ROW_F32, 700);
  save(&w, path);
  assert_ok(file_read(path, SIZE_MAX, &bytes, &length, &error));
  size_t refused = 0;
  for (int trial = 0; trial < 150; trial++) {
    index_file *file = NULL;
    index_structure *back = NULL;
    char *copy = mem_alloc(length, 1);
    memcpy(copy, bytes, length);
    for (int i = 0; i < 40; i++) copy[4096 + rng_below(&r, length - 4096)] = (char)rng_next(&r);
    assert_ok(file_write(path, copy, length, &error));
    mem_free(copy);
    medley_status status = index_file_open(path, &file, &error);
    if (status == MEDLEY_OK) status = index_hnsw.open(&w.rows, &(index_options){0}, file, &back, &error);
    if (status == MEDLEY_OK) {
      row_query q = {0};
      scored got[K];
      size_t found;
      index_effort effort;
      for (size_t i = 0; i < QUERIES; i++) {
        assert_ok(row_query_init(&q, &w.rows, w.queries + i * DIM, &error));
        assert_ok(index_hnsw.search(back, &(index_query){.query = &q, .k = K}, got, &found, &effort, &error));
      }
      row_query_deinit(&q);
      index_check c;
      assert_ok(index_hnsw.check(back, &c, &error));
      index_hnsw.free(back);
    } else {
      assert_true(status == MEDLEY_ERR_CORRUPT && error.text[0] != '\0');
      refused++;
    }
    index_file_close(file);
  }
  assert_true(refused > 0);
  mem_free(bytes);
  assert_ok(folder_remove(folder, &error));
  world_deinit(&w);
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error = {0};
  rows r;
  index_structure *s;
  assert_ok(rows_init(&r, 4, INDEX_COSINE, ROW_F32, 100, &error));
  assert_refused(index_hnsw.create(&r, &(index_options){.links = 1}, &s, &error), MEDLEY_ERR_USAGE, "1 links");
  assert_refused(index_hnsw.create(&r, &(index_options){.links = 1000}, &s, &error), MEDLEY_ERR_USAGE, "2 to 128");
  assert_refused(index_hnsw.create(&r, &(index_options){.build_breadth = 1u << 20}, &s, &error), MEDLEY_ERR_USAGE,
                 "1048576");
  rows_deinit(&r);
}

#ifdef MEDLEY_FAULTS
/* Every allocation fails once: an error with a sentence, no leak, and the graph is whole. */
static void test_memory(void **state) {
  (void)state;
  medley_error error = {0};
  for (long n = 1;; n++) {
    rows r;
    index_structure *s = NULL;
    size_t linked = 0, count = 0;
    uint32_t slots[120], freed[120];
    scored got[K];
    index_effort effort;
    row_query q = {0};
    assert_ok(rows_init(&r, 4, INDEX_COSINE, ROW_F32, 1000, &error));
    assert_ok(rows_reserve(&r, 120, &error));
    for (uint32_t i = 0; i < 120; i++) {
      assert_ok(rows_set(&r, i, (float[]){(float)i, 1, (float)(i % 7), (float)(i % 3)}, &error));
      rows_set_alive(&r, i, true);
      slots[i] = i;
    }
    memory_fault_after(n);
    medley_status status = index_hnsw.create(&r, &(index_options){.links = 4, .build_breadth = 16}, &s, &error);
    if (status == MEDLEY_OK) status = index_hnsw.insert(s, slots, 120, NULL, &linked, &error);
    if (status == MEDLEY_OK) status = row_query_init(&q, &r, (float[]){1, 2, 3, 4}, &error);
    if (status == MEDLEY_OK)
      status = index_hnsw.search(s, &(index_query){.query = &q, .k = 3, .breadth = 4}, got, &count, &effort, &error);
    if (status == MEDLEY_OK) {
      rows_set_alive(&r, 7, false);
      index_hnsw.remove(s, 7);
      status = index_hnsw.repair(s, SIZE_MAX, freed, &count, &error);
    }
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (status != MEDLEY_OK) assert_int_equal(status, MEDLEY_ERR_MEMORY);
    if (s != NULL) {
      for (size_t i = linked; i < 120; i++) rows_set_alive(&r, slots[i], false); /* as the set does */
      assert_int_equal(checked(s).broken, 0);
      index_hnsw.free(s);
    }
    row_query_deinit(&q);
    rows_deinit(&r);
    if (!struck) break;
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_recall),   cmocka_unit_test(test_small),
      cmocka_unit_test(test_islands),  cmocka_unit_test(test_same_for_any_threads),
      cmocka_unit_test(test_filters),  cmocka_unit_test(test_remove_and_reuse),
      cmocka_unit_test(test_file),     cmocka_unit_test(test_damaged_file),
      cmocka_unit_test(test_refusals),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
