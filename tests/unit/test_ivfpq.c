/* Inverted lists of product codes against their exact twin: recall over storages and distances, filters from all to
 * one, deletes and what comes in their place, growth and training anew, the same index for any number of threads,
 * readers beside a writer, what is written comes back, what is damaged does no harm. */
#include <omp.h>
#include <pthread.h>

#include "base/file.h"
#include "base/memory.h"
#include "index/file.h"
#include "index/ivfpq.h"
#include "index_world.h"
#include "test.h"

static const index_options options = {.lists = 30, .code_bytes = 6, .seed = 3, .search_breadth = 8};

static void lists_init(world *w, index_distance distance, row_storage storage, size_t count) {
  world_init(w, &index_ivfpq, &options, distance, storage, count);
  w->finds_all = true;
}

static void test_recall(void **state) {
  (void)state;
  for (int storage = ROW_F32; storage < ROW_STORAGE_COUNT; storage++)
    for (int distance = INDEX_COSINE; distance < INDEX_DISTANCE_COUNT; distance++) {
      world w;
      lists_init(&w, (index_distance)distance, (row_storage)storage, COUNT);
      index_check c = world_check(w.index);
      assert_true(c.alive == COUNT && c.reachable == COUNT && c.dead_links == 0);
      size_t scans = 0;
      double wide = world_recall(&w, w.index, NULL, 20, &scans), narrow = world_recall(&w, w.index, NULL, 1, NULL);
      assert_int_equal(scans, QUERIES);
      if (wide < 0.97 || narrow > wide + 0.001 || narrow < 0.3)
        fail_msg("%s %s: recall %.3f with 20 lists, %.3f with one", row_storage_name((row_storage)storage),
                 index_distance_name((index_distance)distance), wide, narrow);
      world_deinit(&w);
    }
}

/* Too few to train from are all compared. */
static void test_small(void **state) {
  (void)state;
  static const size_t counts[] = {0, 1, 2, 17, IVF_TRAIN_ROWS - 1, IVF_TRAIN_ROWS};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    world w;
    lists_init(&w, INDEX_COSINE, ROW_F32, counts[i]);
    size_t scans = 0;
    double got = world_recall(&w, w.index, NULL, 0, &scans);
    assert_int_equal(world_check(w.index).reachable, counts[i]);
    assert_int_equal(scans, counts[i] < IVF_TRAIN_ROWS ? 0 : QUERIES);
    if (scans == 0) assert_near(got, 1, 0);
    world_deinit(&w);
  }
}

/* Dimensions that no number of bytes divides, one byte, more bytes than dimensions, rows that are all alike. */
static void test_shapes(void **state) {
  (void)state;
  medley_error error = {0};
  static const struct {
    size_t dim, bytes, lists;
    bool alike;
  } cases[] = {{1, 0, 0, false},   {3, 2, 5, false}, {13, 4, 0, false}, {20, 64, 9, false},
               {300, 9, 0, false}, {8, 4, 7, true},  {40, 5, 1, false}, {5, 0, 5000, false}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    rows r;
    rng random;
    index_structure *s;
    size_t dim = cases[c].dim, linked, found;
    float *vector = mem_zalloc(dim, sizeof *vector);
    uint32_t slots[1200];
    scored got[K];
    row_query q = {0};
    index_effort effort;
    rng_seed(&random, c);
    assert_ok(rows_init(&r, dim, INDEX_L2, ROW_F32, 2000, &error));
    assert_ok(rows_reserve(&r, 1200, &error));
    for (uint32_t i = 0; i < 1200; i++) {
      for (size_t d = 0; d < dim; d++) vector[d] = cases[c].alike ? 1 : (float)rng_normal(&random);
      assert_ok(rows_set(&r, i, vector, &error));
      rows_set_alive(&r, i, true);
      slots[i] = i;
    }
    index_options o = {.lists = cases[c].lists, .code_bytes = cases[c].bytes, .search_breadth = 1200};
    assert_ok(index_ivfpq.create(&r, &o, &s, &error));
    assert_ok(index_ivfpq.insert(s, slots, 1200, NULL, &linked, &error));
    assert_int_equal(world_check(s).reachable, 1200);
    for (uint32_t i = 0; i < 1200; i += 100) {
      rows_get(&r, i, vector);
      assert_ok(row_query_init(&q, &r, vector, &error));
      assert_ok(index_ivfpq.search(s, &(index_query){.query = &q, .k = K}, got, &found, &effort, &error));
      assert_int_equal(found, K);
      assert_near(got[0].score, 0, 1e-4);
    }
    row_query_deinit(&q);
    index_ivfpq.free(s);
    rows_deinit(&r);
    mem_free(vector);
  }
}

/* Small additions to a trained index; and with four times the rows it is trained anew. */
static void test_growth(void **state) {
  (void)state;
  world w;
  lists_init(&w, INDEX_COSINE, ROW_F32, IVF_TRAIN_ROWS);
  const ivf_model *first = ivf_model_now((ivf_index *)w.index);
  uint32_t count = IVF_TRAIN_ROWS;
  for (size_t more = 1; count + more < IVF_GROWTH * IVF_TRAIN_ROWS; count += (uint32_t)more, more += 7)
    world_add(&w, count, more);
  assert_ptr_equal(ivf_model_now((ivf_index *)w.index), first);
  double before = world_recall(&w, w.index, NULL, 15, NULL);
  assert_true(before > 0.9);
  world_add(&w, count, 300);
  assert_int_equal(ivf_model_now((ivf_index *)w.index)->trained_rows, count + 300);
  assert_int_equal(world_check(w.index).reachable, count + 300);
  assert_true(world_recall(&w, w.index, NULL, 15, NULL) > 0.95);
  world_deinit(&w);
}

static bool same_lists(const index_structure *a, const index_structure *b) {
  const ivf_model *x = ivf_model_now((const ivf_index *)a), *y = ivf_model_now((const ivf_index *)b);
  uint8_t code[2][CODE_PARTS_MAX];
  if (x->lists != y->lists || x->code_bytes != y->code_bytes || x->entries != y->entries) return false;
  for (size_t l = 0; l < x->lists; l++) {
    const ivf_block *c = ivf_block_now(x, l), *d = ivf_block_now(y, l);
    uint32_t count = ivf_block_count(c);
    if (count != ivf_block_count(d) || memcmp(c->slots, d->slots, count * sizeof *c->slots) != 0) return false;
    for (size_t i = 0; x->code_bytes > 0 && i < count; i++) {
      code_get(c->codes, c->capacity, x->code_bytes, i, code[0]);
      code_get(d->codes, d->capacity, x->code_bytes, i, code[1]);
      if (memcmp(code[0], code[1], x->code_bytes) != 0 || c->norms[i] != d->norms[i]) return false;
    }
  }
  return true;
}

static void test_same_for_any_threads(void **state) {
  (void)state;
  medley_error error = {0};
  world w[2];
  uint32_t freed[COUNT];
  int threads = omp_get_max_threads();
  for (int i = 0; i < 2; i++) {
    size_t count;
    omp_set_num_threads(i < omp_get_thread_limit() ? i + 1 : 1); /* BLAS would wait for one that it is not given */
    lists_init(&w[i], INDEX_L2, ROW_F32, COUNT);
    world_remove(&w[i], COUNT / 3);
    assert_ok(index_ivfpq.repair(w[i].index, SIZE_MAX, freed, &count, &error));
    assert_int_equal(count, COUNT / 3);
  }
  omp_set_num_threads(threads);
  assert_true(same_lists(w[0].index, w[1].index));
  for (int i = 0; i < 2; i++) world_deinit(&w[i]);
}

static void test_filters(void **state) {
  (void)state;
  world w;
  lists_init(&w, INDEX_COSINE, ROW_F32, COUNT);
  world_filters(&w, 15);
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
    size_t gone = COUNT / shares[s], count = 0, some;
    lists_init(&w, INDEX_COSINE, ROW_F32, COUNT);
    world_remove(&w, gone);
    size_t left = COUNT - gone, bytes = index_ivfpq.bytes(w.index);
    double before = left > 0 ? world_recall(&w, w.index, NULL, 15, NULL) : 1;
    for (int part = 0; part < 20; part++, count += some) /* in small steps, as a set does it */
      assert_ok(index_ivfpq.repair(w.index, 500, freed + count, &some, &error));
    assert_int_equal(count, gone);
    index_check c = world_check(w.index);
    assert_true(c.dead_links == 0 && c.alive == left && c.reachable == left);
    assert_true(index_ivfpq.bytes(w.index) < bytes);
    double after = left > 0 ? world_recall(&w, w.index, NULL, 15, NULL) : 1;
    if (before < 0.95 || after < 0.95) fail_msg("%zu removed: recall %.3f, mended %.3f", gone, before, after);
    world_reuse(&w, freed, count);
    assert_int_equal(world_check(w.index).reachable, COUNT);
    assert_true(world_recall(&w, w.index, NULL, 15, NULL) > 0.95);
    world_deinit(&w);
  }
}

/* Sums that leave the range of floats say nothing of lists and codes: all rows are compared. */
static void test_far_queries(void **state) {
  (void)state;
  medley_error error = {0};
  static const index_distance distances[] = {INDEX_DOT, INDEX_L2};
  for (size_t i = 0; i < 2; i++)
    for (int sign = -1; sign <= 1; sign += 2) {
      world w;
      scored one[K], many[2 * K];
      size_t found, both[2];
      float far[DIM];
      row_query q[2] = {0};
      index_effort effort;
      lists_init(&w, distances[i], ROW_F32, COUNT);
      for (size_t d = 0; d < DIM; d++) far[d] = (float)sign * 3e38f;
      for (size_t j = 0; j < 2; j++) assert_ok(row_query_init(&q[j], &w.rows, far, &error));
      index_query query = {.query = &q[0], .k = K, .breadth = 30};
      assert_ok(index_ivfpq.search(w.index, &query, one, &found, &effort, &error));
      assert_ok(index_ivfpq.search_batch(w.index, &query, q, 2, many, both, &effort, &error));
      assert_true(found <= K && both[0] <= K && both[1] <= K);
      for (size_t j = 0; j < found; j++) assert_true(one[j].index < COUNT);
      for (size_t j = 0; j < both[1]; j++) assert_true(many[K + j].index < COUNT);
      for (size_t j = 0; j < 2; j++) row_query_deinit(&q[j]);
      world_deinit(&w);
    }
}

/* ---- readers beside a writer ---- */

typedef struct shared {
  world *world;
  _Atomic bool stop;
  _Atomic size_t searches, wrong;
} shared;

/* The first hundred rows stay: whatever the writer does, each finds itself. */
static void *reader(void *context) {
  shared *s = context;
  world *w = s->world;
  row_query q = {0};
  rng r;
  rng_seed(&r, (uint64_t)(uintptr_t)&r);
  while (!s->stop) {
    medley_error error = {0};
    float own[DIM];
    scored got[K];
    size_t found = 0;
    index_effort effort;
    uint32_t slot = (uint32_t)rng_below(&r, 100);
    bool itself = false;
    size_t cell = guard_enter(w->guard);
    rows_get(&w->rows, slot, own);
    if (row_query_init(&q, &w->rows, own, &error) != MEDLEY_OK) s->wrong++;
    index_query query = {.query = &q, .k = K};
    if (index_ivfpq.search(w->index, &query, got, &found, &effort, &error) != MEDLEY_OK) s->wrong++;
    for (size_t i = 0; i < found; i++) itself = itself || got[i].index == slot || got[i].score > 1 - 1e-5f;
    s->wrong += !itself;
    guard_leave(w->guard, cell);
    s->searches++;
  }
  row_query_deinit(&q);
  return NULL;
}

/* Lists grow, are swept, and the whole is trained anew under the readers' eyes. */
static void test_readers_beside_a_writer(void **state) {
  (void)state;
  medley_error error = {0};
  world w;
  pthread_t threads[2];
  uint32_t *freed = mem_alloc(40000, sizeof *freed);
  lists_init(&w, INDEX_COSINE, ROW_F32, 500);
  shared s = {.world = &w};
  uint32_t count = 500;
  size_t some;
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, reader, &s), 0);
  for (int step = 0; step < 100 || s.searches < 50; step++) {
    world_add(&w, count, 60);
    count += 60;
    for (int i = 0; i < 10; i++) {
      uint32_t slot = 100 + (uint32_t)rng_below(&w.random, count - 100);
      if (!rows_alive(&w.rows, slot)) continue;
      rows_set_alive(&w.rows, slot, false);
      index_ivfpq.remove(w.index, slot);
    }
    assert_ok(index_ivfpq.repair(w.index, 300, freed, &some, &error)); /* the slots are not used again here */
    if (count > 90000) break;
  }
  s.stop = true;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  assert_int_equal(s.wrong, 0);
  world_check(w.index);
  world_deinit(&w);
  mem_free(freed);
}

/* ---- the file ---- */

/* What comes back answers the same, and takes changes although its lists lie in the mapping. */
static void test_file(void **state) {
  (void)state;
  medley_error error = {0};
  static const size_t counts[] = {0, 300, COUNT};
  char folder[256], path[300];
  uint32_t freed[COUNT];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/lists", folder);
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
    index_file *file = NULL;
    index_structure *back = NULL;
    world w;
    size_t gone = counts[c] / 30, count;
    lists_init(&w, INDEX_L2, ROW_F32, counts[c]);
    world_remove(&w, gone);
    world_save(&w, path);
    assert_ok(index_file_open(path, &file, &error));
    assert_ok(world_open(&w, file, &back, &error));
    assert_true(same_lists(w.index, back));
    assert_int_equal(back->breadth, options.search_breadth);
    assert_near(world_recall(&w, back, NULL, 0, NULL), world_recall(&w, w.index, NULL, 0, NULL), 0);
    if (counts[c] == COUNT) assert_true(index_ivfpq.bytes(back) < index_ivfpq.bytes(w.index));
    index_ivfpq.free(w.index);
    w.index = back;
    assert_ok(index_ivfpq.repair(back, SIZE_MAX, freed, &count, &error));
    assert_int_equal(count, gone);
    world_add(&w, (uint32_t)counts[c], 500);
    assert_int_equal(world_check(back).reachable, counts[c] - gone + 500);
    assert_true(world_recall(&w, back, NULL, 15, NULL) > 0.95);
    world_deinit(&w);
    index_file_close(file);
  }
  assert_ok(folder_remove(folder, &error));
}

/* Most of the file is codes: the head gets its share. */
static void test_damaged_file(void **state) {
  (void)state;
  world w;
  lists_init(&w, INDEX_COSINE, ROW_F32, IVF_TRAIN_ROWS);
  world_damage(&w, 200, 400);
  world_deinit(&w);
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error = {0};
  rows r;
  index_structure *s;
  assert_ok(rows_init(&r, 4, INDEX_COSINE, ROW_F32, 100, &error));
  assert_refused(index_ivfpq.create(&r, &(index_options){.lists = 1 << 21}, &s, &error), MEDLEY_ERR_USAGE, "2097152");
  assert_refused(index_ivfpq.create(&r, &(index_options){.code_bytes = 1000}, &s, &error), MEDLEY_ERR_USAGE, "1000");
  rows_deinit(&r);
}

/* Reports are a tenth of a second apart. */
static int stop_at_once(void *context, const medley_progress_state *progress) {
  (void)context, (void)progress;
  usleep(110000);
  return 1;
}

/* A stop while training leaves everything as it was. */
static void test_stop(void **state) {
  (void)state;
  medley_error error = {0};
  world w;
  uint32_t slots[IVF_TRAIN_ROWS];
  size_t linked;
  float vector[DIM];
  medley_progress progress = {.report = stop_at_once};
  lists_init(&w, INDEX_COSINE, ROW_F32, 50);
  assert_ok(rows_reserve(&w.rows, 50 + IVF_TRAIN_ROWS, &error));
  for (uint32_t i = 0; i < IVF_TRAIN_ROWS; i++) {
    world_draw(&w, vector);
    slots[i] = 50 + i;
    assert_ok(rows_set(&w.rows, slots[i], vector, &error));
    rows_set_alive(&w.rows, slots[i], true);
  }
  assert_refused(index_ivfpq.insert(w.index, slots, IVF_TRAIN_ROWS, &progress, &linked, &error), MEDLEY_ERR_CANCELLED,
                 "");
  assert_int_equal(linked, 0);
  for (uint32_t i = 0; i < IVF_TRAIN_ROWS; i++) rows_set_alive(&w.rows, slots[i], false);
  assert_int_equal(world_check(w.index).reachable, 50);
  world_deinit(&w);
}

#ifdef MEDLEY_FAULTS
/* Every allocation fails once: an error with a sentence, no leak, and the lists are whole. */
static void test_memory(void **state) {
  (void)state;
  medley_error error = {0};
  enum { ROWS = IVF_TRAIN_ROWS + 40, FIRST = IVF_TRAIN_ROWS + 10 };
  rows r;
  uint32_t slots[ROWS], freed[ROWS];
  int threads = omp_get_max_threads();
  omp_set_num_threads(1); /* some hundred trainings: waiting for each other would take most of the time */
  assert_ok(rows_init(&r, 4, INDEX_COSINE, ROW_F32, 2000, &error));
  assert_ok(rows_reserve(&r, ROWS, &error));
  for (uint32_t i = 0; i < ROWS; i++)
    assert_ok(rows_set(&r, i, (float[]){(float)i, 1, (float)(i % 7), (float)(i % 3)}, &error));
  for (long n = 1;; n++) {
    index_structure *s = NULL;
    size_t linked = 0, more = 0, count = 0;
    scored got[2 * K];
    index_effort effort;
    row_query q = {0};
    for (uint32_t i = 0; i < ROWS; i++) {
      slots[i] = i;
      rows_set_alive(&r, i, i < FIRST);
    }
    memory_fault_after(n);
    medley_status status = index_ivfpq.create(&r, &(index_options){.lists = 4, .code_bytes = 2}, &s, &error);
    if (status == MEDLEY_OK) status = index_ivfpq.insert(s, slots, FIRST, NULL, &linked, &error);
    for (uint32_t i = FIRST; status == MEDLEY_OK && i < ROWS; i++) rows_set_alive(&r, i, true);
    if (status == MEDLEY_OK) status = index_ivfpq.insert(s, slots + FIRST, ROWS - FIRST, NULL, &more, &error);
    for (size_t i = linked + more; i < ROWS; i++) rows_set_alive(&r, slots[i], false); /* as the set does */
    if (status == MEDLEY_OK) status = row_query_init(&q, &r, (float[]){1, 2, 3, 4}, &error);
    if (status == MEDLEY_OK)
      status = index_ivfpq.search(s, &(index_query){.query = &q, .k = K, .breadth = 2}, got, &count, &effort, &error);
    size_t both[2];
    row_query two[2] = {q, q};
    if (status == MEDLEY_OK)
      status = index_ivfpq.search_batch(s, &(index_query){.k = K}, two, 2, got, both, &effort, &error);
    if (status == MEDLEY_OK) {
      rows_set_alive(&r, 7, false);
      index_ivfpq.remove(s, 7);
      status = index_ivfpq.repair(s, SIZE_MAX, freed, &count, &error);
    }
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (status != MEDLEY_OK) assert_int_equal(status, MEDLEY_ERR_MEMORY);
    if (s != NULL) assert_int_equal(world_check(s).broken, 0);
    if (s != NULL) index_ivfpq.free(s);
    row_query_deinit(&q);
    if (!struck) break;
  }
  omp_set_num_threads(threads);
  rows_deinit(&r);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_recall),
      cmocka_unit_test(test_small),
      cmocka_unit_test(test_shapes),
      cmocka_unit_test(test_growth),
      cmocka_unit_test(test_same_for_any_threads),
      cmocka_unit_test(test_filters),
      cmocka_unit_test(test_remove_and_reuse),
      cmocka_unit_test(test_far_queries),
      cmocka_unit_test(test_readers_beside_a_writer),
      cmocka_unit_test(test_file),
      cmocka_unit_test(test_damaged_file),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_stop),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
