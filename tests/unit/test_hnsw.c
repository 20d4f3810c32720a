/* The graph against its exact twin: recall over storages and distances, filters from all to one, deletes, the same
 * graph for any number of threads, what is written comes back, what is damaged does no harm. */
#include <omp.h>

#include "base/file.h"
#include "base/memory.h"
#include "index/file.h"
#include "index/hnsw_walk.h"
#include "index_world.h"
#include "test.h"

static void graph_init(world *w, index_distance distance, row_storage storage, size_t count) {
  world_init(w, &index_hnsw, &(index_options){.links = 8, .build_breadth = 60, .seed = 3}, distance, storage, count);
}

static void test_recall(void **state) {
  (void)state;
  for (int storage = ROW_F32; storage < ROW_STORAGE_COUNT; storage++)
    for (int distance = INDEX_COSINE; distance < INDEX_DISTANCE_COUNT; distance++) {
      world w;
      graph_init(&w, (index_distance)distance, (row_storage)storage, COUNT);
      index_check c = world_check(w.index);
      assert_int_equal(c.alive, COUNT);
      assert_int_equal(c.reachable, COUNT);
      assert_true(c.degree_max <= 16 && c.degree_min >= 1 && c.dead_links == 0);
      size_t walks = 0;
      double wide = world_recall(&w, w.index, NULL, 100, &walks), narrow = world_recall(&w, w.index, NULL, 10, NULL);
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
    graph_init(&w, INDEX_COSINE, ROW_F32, counts[i]);
    assert_int_equal(world_check(w.index).reachable, counts[i]);
    assert_near(world_recall(&w, w.index, NULL, 0, NULL), 1, 0.01);
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
    index_check c = world_check(graph);
    if (c.reachable != COUNT) fail_msg("%zu clusters: %zu of %d can be reached", table[t].clusters, c.reachable, COUNT);
    index_hnsw.free(graph);
    rows_deinit(&rows);
    mem_free(centres);
  }
}

/* A crowd of near-equal nodes, more than any beam has places for, and little islands around it: from within the crowd
 * nothing leads to them, yet narrow searches find nearly all that lies there. */
#define CROWD 1000
#define ISLANDS 50

static void crowd_draw(rng *r, uint32_t i, const float *centres, float vector[DIM]) {
  const float *centre = centres + (i < CROWD ? 0 : (1 + i % ISLANDS) * DIM);
  for (size_t d = 0; d < DIM; d++) vector[d] = centre[d] + 0.01f * (float)rng_normal(r);
}

static void test_crowd(void **state) {
  (void)state;
  medley_error error = {0};
  rows rows;
  index_structure *graph;
  rng r;
  float centres[(1 + ISLANDS) * DIM], vector[DIM];
  uint32_t slots[COUNT];
  size_t linked, lost = 0;
  row_query query = {0};
  rng_seed(&r, 5);
  for (size_t d = 0; d < DIM; d++) centres[d] = (float)rng_normal(&r);
  for (size_t i = DIM; i < (1 + ISLANDS) * DIM; i++) centres[i] = centres[i % DIM] + 0.1f * (float)rng_normal(&r);
  assert_ok(rows_init(&rows, DIM, INDEX_L2, ROW_F32, COUNT, &error));
  assert_ok(rows_reserve(&rows, COUNT, &error));
  for (uint32_t i = 0; i < COUNT; i++) {
    crowd_draw(&r, i, centres, vector);
    assert_ok(rows_set(&rows, i, vector, &error));
    rows_set_alive(&rows, i, true);
    slots[i] = i;
  }
  assert_ok(index_hnsw.create(&rows, &(index_options){.links = 8, .build_breadth = 60, .seed = 3}, &graph, &error));
  assert_ok(index_hnsw.insert(graph, slots, COUNT, NULL, &linked, &error));
  assert_int_equal(world_check(graph).reachable, COUNT);
  for (uint32_t i = 0; i < COUNT; i++) {
    scored nearest;
    size_t found;
    index_effort effort;
    rows_get(&rows, i, vector);
    assert_ok(row_query_init(&query, &rows, vector, &error));
    assert_ok(
        graph->kind->search(graph, &(index_query){&query, NULL, 1, 16, false}, &nearest, &found, &effort, &error));
    lost += found == 0 || nearest.score < 0;
  }
  if (lost > COUNT / 30) fail_msg("%zu of %d are not found", lost, COUNT); /* 61; 153 with links as they were chosen */
  row_query_deinit(&query);
  index_hnsw.free(graph);
  rows_deinit(&rows);
}

/* A walk is through when the links of the first `breadth` of its beam were followed: nobody whom they name and who is
 * missing would have a place there. */
static void test_walk_follows_all(void **state) {
  (void)state;
  enum { PLACED = 12 };
  static const size_t breadths[] = {1, 2, 5, PLACED};
  medley_error error = {0};
  world w;
  hnsw_scratch *s;
  row_query query = {0};
  graph_init(&w, INDEX_L2, ROW_F32, COUNT);
  const hnsw *h = (const hnsw *)w.index;
  assert_ok(hnsw_scratch_take(h, PLACED, &s, &error));
  for (size_t i = 0; i < 4 * QUERIES; i++) {
    uint32_t top, entry = hnsw_entry(h, &top);
    size_t breadth = breadths[i / QUERIES];
    assert_ok(row_query_init(&query, &w.rows, w.queries + i % QUERIES * DIM, &error));
    hnsw_descend(h, s, &query, entry, top, 0, 1, COUNT);
    hnsw_walk_lowest(h, s, &query, PLACED, breadth, COUNT);
    assert_int_equal(s->beam_count, PLACED);
    for (size_t b = 0; b < breadth; b++)
      for (size_t l = 0; l < hnsw_width(h, 0); l++) {
        uint32_t next = hnsw_link(hnsw_lowest(h, s->beam[b].slot), l);
        if (next == HNSW_NOBODY) break;
        bool there = false;
        for (size_t other = 0; other < PLACED; other++) there = there || s->beam[other].slot == next;
        if (!there && w.rows.score(&query, rows_at(&w.rows, next), DIM) > s->beam[PLACED - 1].score)
          fail_msg("query %zu: node %u, a neighbour of the beam's %zu., was not met", i, next, b + 1);
      }
  }
  hnsw_scratch_give(h, s);
  row_query_deinit(&query);
  world_deinit(&w);
}

/* Fewer nodes followed than answers wanted: as many answers, for less work, and no less of the truth when a few more
 * are followed. An index's own breadth is never less than the answers. */
static void test_narrow_search(void **state) {
  (void)state;
  medley_error error = {0};
  world w;
  double recall[K + 1] = {0};
  size_t compared[K + 1] = {0};
  row_query query = {0};
  scored hits[COUNT];
  size_t found;
  index_effort effort;
  world_init(&w, &index_hnsw, &(index_options){.links = 8, .build_breadth = 60, .search_breadth = 2, .seed = 3},
             INDEX_COSINE, ROW_F32, COUNT);
  for (size_t breadth = 0; breadth <= K; breadth++) {
    recall[breadth] = world_recall(&w, w.index, NULL, breadth, NULL);
    for (size_t i = 0; i < QUERIES; i++) {
      assert_ok(row_query_init(&query, &w.rows, w.queries + i * DIM, &error));
      index_query q = {.query = &query, .k = K, .breadth = breadth};
      assert_ok(w.index->kind->search(w.index, &q, hits, &found, &effort, &error));
      compared[breadth] += effort.distances;
    }
    if (breadth > 1 && (recall[breadth] < recall[breadth - 1] - 0.01 || compared[breadth] <= compared[breadth - 1]))
      fail_msg("breadth %zu: recall %.3f after %.3f, %zu compared after %zu", breadth, recall[breadth],
               recall[breadth - 1], compared[breadth], compared[breadth - 1]);
  }
  assert_true(recall[1] > 0.2 && recall[1] < recall[5] && recall[5] < recall[K]);
  assert_true(recall[0] == recall[K] && compared[0] == compared[K]);
  index_query many = {.query = &query, .k = COUNT / 8, .breadth = 1};
  assert_ok(w.index->kind->search(w.index, &many, hits, &found, &effort, &error));
  assert_true(found == many.k && !effort.exact);
  world_remove(&w, COUNT / 8);
  (void)world_recall(&w, w.index, NULL, 3, NULL); /* asserts that K are found though dead ones are met */
  world_filters(&w, 1);
  row_query_deinit(&query);
  world_deinit(&w);
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

/* Two threads against one, over building and repair. */
static void test_same_for_any_threads(void **state) {
  (void)state;
  medley_error error = {0};
  world w[2];
  uint32_t freed[COUNT];
  int threads = omp_get_max_threads();
  for (int i = 0; i < 2; i++) {
    size_t count;
    omp_set_num_threads(i + 1);
    graph_init(&w[i], INDEX_L2, ROW_F32, COUNT);
    world_remove(&w[i], COUNT / 3);
    assert_ok(index_hnsw.repair(w[i].index, SIZE_MAX, freed, &count, &error));
    assert_int_equal(count, COUNT / 3);
  }
  omp_set_num_threads(threads);
  assert_true(same_graph((hnsw *)w[0].index, (hnsw *)w[1].index, COUNT));
  for (int i = 0; i < 2; i++) world_deinit(&w[i]);
}

static void test_filters(void **state) {
  (void)state;
  world w;
  graph_init(&w, INDEX_COSINE, ROW_F32, COUNT);
  world_filters(&w, 60);
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
    size_t gone = COUNT / shares[s], count = 0, part = 0;
    graph_init(&w, INDEX_COSINE, ROW_F32, COUNT);
    world_remove(&w, gone);
    double before = world_recall(&w, w.index, NULL, 60, NULL);
    while (count == 0) { /* in small steps, as a set does it */
      assert_ok(index_hnsw.repair(w.index, 500, freed, &count, &error));
      assert_true(++part < 10);
    }
    assert_int_equal(count, gone);
    index_check c = world_check(w.index);
    assert_int_equal(c.dead_links, 0);
    assert_int_equal(c.alive, COUNT - gone);
    if (c.reachable != c.alive) fail_msg("%zu of %zu can be reached", c.reachable, c.alive);
    double after = world_recall(&w, w.index, NULL, 60, NULL);
    if (before < 0.95 || after < 0.95) fail_msg("%zu removed: recall %.3f, mended %.3f", gone, before, after);
    world_reuse(&w, freed, count);
    c = world_check(w.index);
    assert_int_equal(c.alive, COUNT);
    assert_true(world_recall(&w, w.index, NULL, 60, NULL) > 0.95);
    world_deinit(&w);
  }
}

/* Fewer nodes are looked at than links are wanted, and most of them are dead. */
static void test_narrow_building(void **state) {
  (void)state;
  world w;
  world_init(&w, &index_hnsw, &(index_options){.links = 16, .build_breadth = 4, .seed = 3}, INDEX_L2, ROW_F32, 1200);
  world_remove(&w, 1100);
  world_add(&w, 1200, 100);
  assert_int_equal(world_check(w.index).alive, 200);
  world_deinit(&w);
}

/* What comes into an index that was emptied, and not mended yet, is found. */
static void test_emptied(void **state) {
  (void)state;
  static const size_t counts[] = {1, 2, 17, 255, 256};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    world w;
    graph_init(&w, INDEX_COSINE, ROW_F32, COUNT);
    world_remove(&w, COUNT);
    world_add(&w, COUNT, counts[i]);
    world_add(&w, (uint32_t)(COUNT + counts[i]), 20);
    assert_int_equal(world_check(w.index).reachable, counts[i] + 20);
    assert_near(world_recall(&w, w.index, NULL, 60, NULL), 1, 0.02);
    world_deinit(&w);
  }
}

/* Orphans of a sweep look for neighbours anew on the layers where they have none: nobody is named twice. */
static void test_orphans(void **state) {
  (void)state;
  medley_error error = {0};
  uint32_t freed[COUNT];
  for (size_t kept = 3; kept < 200; kept += 20) {
    world w;
    size_t count;
    world_init(&w, &index_hnsw, &(index_options){.links = 2, .build_breadth = 8, .seed = kept}, INDEX_L2, ROW_F32, 800);
    world_remove(&w, 800 - kept);
    assert_ok(index_hnsw.repair(w.index, SIZE_MAX, freed, &count, &error));
    assert_int_equal(count, 800 - kept);
    assert_int_equal(world_check(w.index).alive, kept);
    world_deinit(&w);
  }
}

/* Slots given back, to be used again. */
typedef struct spare {
  uint32_t slots[4 * COUNT];
  size_t count;
} spare;

/* In steps of `budget`: one of them, or all until nobody removed is left. */
static void mend(world *w, spare *free_slots, size_t budget) {
  medley_error error = {0};
  size_t freed;
  do {
    assert_ok(index_hnsw.repair(w->index, budget, free_slots->slots + free_slots->count, &freed, &error));
    free_slots->count += freed;
  } while (budget == SIZE_MAX && ((hnsw *)w->index)->dead_count > 0);
}

static void fill(world *w, spare *free_slots, size_t count) {
  if (free_slots->count < count) {
    world_add(w, rows_count(&w->rows), count);
  } else {
    free_slots->count -= count;
    world_reuse(w, free_slots->slots + free_slots->count, count);
  }
}

/* Whatever comes and goes, in whatever order: no list says anything false, and once mended everybody can be reached,
 * however few links there are. */
static void test_any_sequence(void **state) {
  (void)state;
  static const size_t links[] = {2, 2, 2, 3, 4, 16};
  for (size_t trial = 0; trial < 24; trial++) {
    static spare free_slots;
    world w;
    index_options o = {.links = links[trial % 6], .build_breadth = 4 + 10 * (trial % 4), .seed = trial};
    free_slots.count = 0;
    world_init(&w, &index_hnsw, &o, (index_distance)(trial % INDEX_DISTANCE_COUNT), ROW_F32, 400 + 20 * trial);
    rng_seed(&w.random, 100 + trial);
    for (int step = 0; step < 16; step++) {
      size_t alive = world_check(w.index).alive;
      switch (rng_below(&w.random, 5)) {
        case 0: fill(&w, &free_slots, 1 + rng_below(&w.random, 500)); break;
        case 1: fill(&w, &free_slots, 1 + rng_below(&w.random, 3)); break;
        case 2: world_remove(&w, alive * 9 / 10); break;
        case 3: world_remove(&w, rng_below(&w.random, alive + 1)); break;
        default: mend(&w, &free_slots, 1 + rng_below(&w.random, 1500)); break;
      }
      if (step % 4 != 3) continue;
      mend(&w, &free_slots, SIZE_MAX);
      index_check c = world_check(w.index);
      if (c.reachable != c.alive || c.dead_links != 0)
        fail_msg("trial %zu, step %d: %zu of %zu can be reached, %zu links to removed ones", trial, step, c.reachable,
                 c.alive, c.dead_links);
    }
    world_deinit(&w);
  }
}

/* Clusters so tight that their lists are full of each other, and hardly any links: all of an island hangs on one. */
static void test_lost_with_two_links(void **state) {
  (void)state;
  medley_error error = {0};
  uint32_t freed[COUNT];
  for (size_t seed = 1; seed <= 5; seed++) {
    world w;
    size_t count, alive = COUNT / 10;
    world_init(&w, &index_hnsw, &(index_options){.links = 2, .build_breadth = 12 * seed, .seed = seed}, INDEX_L2,
               ROW_F32, COUNT);
    world_remove(&w, COUNT - alive);
    assert_ok(index_hnsw.repair(w.index, SIZE_MAX, freed, &count, &error));
    index_check c = world_check(w.index);
    if (c.alive != alive || c.reachable != alive)
      fail_msg("seed %zu: %zu of %zu can be reached", seed, c.reachable, c.alive);
    world_deinit(&w);
  }
}

/* One by one: what was lost on the way is looked for each time the graph has grown by a tenth. */
static void test_one_by_one(void **state) {
  (void)state;
  world w;
  world_init(&w, &index_hnsw, &(index_options){.links = 2, .build_breadth = 30, .seed = 1}, INDEX_L2, ROW_F32, COUNT);
  size_t lost = 0, most = 0;
  for (uint32_t i = COUNT; i < 2 * COUNT; i++) {
    world_add(&w, i, 1);
    if (i % 50 != 0) continue;
    index_check c = world_check(w.index);
    lost = c.alive - c.reachable;
    if (lost > most) most = lost;
  }
  if (most == 0 || most > COUNT / 12) fail_msg("%zu were lost at most", most);
  world_deinit(&w);
}

/* A whole repair links to what nobody links to any more, also when nothing was removed. */
static void test_lost_is_found(void **state) {
  (void)state;
  medley_error error = {0};
  world w;
  uint32_t freed[COUNT];
  size_t count;
  graph_init(&w, INDEX_L2, ROW_F32, 500);
  hnsw *h = (hnsw *)w.index;
  for (uint32_t slot = 0; slot < 500; slot++) {
    uint32_t kept = 0, others[2 * HNSW_LINKS_MAX];
    link_slot *list = hnsw_lowest(h, slot);
    for (size_t i = 0; i < hnsw_width(h, 0); i++)
      if (hnsw_link(list, i) != 77) others[kept++] = hnsw_link(list, i);
    for (size_t i = 0; i < hnsw_width(h, 0); i++) hnsw_link_set(list, i, i < kept ? others[i] : HNSW_NOBODY);
  }
  assert_int_equal(world_check(w.index).reachable, 499);
  assert_ok(index_hnsw.repair(w.index, SIZE_MAX, freed, &count, &error));
  assert_int_equal(world_check(w.index).reachable, 500);
  world_deinit(&w);
}

/* ---- the file ---- */

static void test_file(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300];
  index_file *file = NULL;
  index_structure *back = NULL;
  world w;
  uint32_t freed[COUNT];
  size_t count;
  test_folder(folder);
  snprintf(path, sizeof path, "%s/graph", folder);
  graph_init(&w, INDEX_COSINE, ROW_F32, COUNT);
  world_remove(&w, 100);
  world_save(&w, path);
  assert_ok(index_file_open(path, &file, &error));
  assert_ok(world_open(&w, file, &back, &error));
  assert_true(same_graph((hnsw *)w.index, (hnsw *)back, COUNT));
  assert_near(world_recall(&w, back, NULL, 60, NULL), world_recall(&w, w.index, NULL, 60, NULL), 0);
  assert_ok(index_hnsw.repair(back, SIZE_MAX, freed, &count, &error)); /* in the mapping, which is ours */
  assert_int_equal(count, 100);
  assert_int_equal(world_check(back).dead_links, 0);
  index_hnsw.free(back);
  index_file_close(file);
  assert_ok(folder_remove(folder, &error));
  world_deinit(&w);
}

static void test_damaged_file(void **state) {
  (void)state;
  world w;
  graph_init(&w, INDEX_COSINE, ROW_F32, 700);
  world_damage(&w, 150, 0);
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
      assert_int_equal(world_check(s).broken, 0);
      index_hnsw.free(s);
    }
    row_query_deinit(&q);
    rows_deinit(&r);
    if (!struck) break;
  }
}
#endif

/* Short rows of bytes get as few links as keep them at 0.35 of what f32 takes; what is asked for is kept. */
static void test_links_default(void **state) {
  (void)state;
  static const struct {
    size_t dim, asked, links;
    row_storage storage;
  } cases[] = {
      {128, 0, 16, ROW_F32},  {128, 0, 16, ROW_F16},   {128, 0, 9, ROW_INT8},   {16, 0, 8, ROW_INT8},
      {384, 0, 16, ROW_INT8}, {1280, 0, 16, ROW_INT8}, {128, 24, 24, ROW_INT8},
  };
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    medley_error error = {0};
    rows r;
    index_structure *graph;
    index_options told = {0};
    assert_ok(rows_init(&r, cases[c].dim, INDEX_COSINE, cases[c].storage, 1000, &error));
    assert_ok(index_hnsw.create(&r, &(index_options){.links = cases[c].asked}, &graph, &error));
    index_hnsw.describe(graph, &told);
    assert_int_equal(told.links, cases[c].links);
    index_hnsw.free(graph);
    rows_deinit(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_links_default),
      cmocka_unit_test(test_recall),
      cmocka_unit_test(test_small),
      cmocka_unit_test(test_islands),
      cmocka_unit_test(test_crowd),
      cmocka_unit_test(test_walk_follows_all),
      cmocka_unit_test(test_narrow_search),
      cmocka_unit_test(test_same_for_any_threads),
      cmocka_unit_test(test_filters),
      cmocka_unit_test(test_remove_and_reuse),
      cmocka_unit_test(test_narrow_building),
      cmocka_unit_test(test_emptied),
      cmocka_unit_test(test_orphans),
      cmocka_unit_test(test_any_sequence),
      cmocka_unit_test(test_lost_with_two_links),
      cmocka_unit_test(test_one_by_one),
      cmocka_unit_test(test_lost_is_found),
      cmocka_unit_test(test_file),
      cmocka_unit_test(test_damaged_file),
      cmocka_unit_test(test_refusals),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
