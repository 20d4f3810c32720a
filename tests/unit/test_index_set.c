/* The index as a user holds it, against a model that keeps everything in an array: random changes, reopened at random,
 * asked for what is known; readers beside a writer; refusals; each allocation failing. */
#include <medley/index.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "test.h"

#define DIM 8
#define IDS 1500
#define K 10

typedef struct model {
  float vectors[IDS][DIM];
  bool there[IDS];
  int price[IDS]; /* -1: unknown */
  size_t count;
} model;

static uint64_t id_of(size_t i) { return 1000 + 7 * i; }

static void draw(rng *r, float *out) {
  for (size_t d = 0; d < DIM; d++) out[d] = (float)rng_normal(r);
}

static double cosine(const float *a, const float *b) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t d = 0; d < DIM; d++) {
    dot += (double)a[d] * b[d];
    aa += (double)a[d] * a[d];
    bb += (double)b[d] * b[d];
  }
  return aa > 0 && bb > 0 ? dot / sqrt(aa * bb) : 0;
}

/* Every answer is there, passes, has its true score; and of the truly nearest at least `floor` are found. */
static double check_answers(const model *m, const float *q, int below, const medley_index_hit *hits, size_t found,
                            double tolerance) {
  size_t better = 0, passing = 0;
  for (size_t h = 0; h < found; h++) {
    size_t i = (hits[h].id - 1000) / 7;
    assert_true(i < IDS && id_of(i) == hits[h].id && m->there[i]);
    assert_true(below < 0 || (m->price[i] >= 0 && m->price[i] < below));
    assert_near(hits[h].score, cosine(q, m->vectors[i]), tolerance);
    for (size_t g = 0; g < h; g++) assert_true(hits[g].id != hits[h].id && hits[g].score >= hits[h].score);
  }
  for (size_t i = 0; i < IDS; i++) {
    if (!m->there[i] || (below >= 0 && !(m->price[i] >= 0 && m->price[i] < below))) continue;
    passing++;
    better += found > 0 && cosine(q, m->vectors[i]) > hits[found - 1].score + tolerance;
  }
  size_t wanted = passing < K ? passing : K;
  assert_true(found <= wanted);
  if (wanted == 0) return 1;
  if (found < wanted) return (double)found / (double)wanted;
  return better < found ? 1 : (double)found / (double)(better + 1);
}

static void check_model(const medley_index *index, const model *m, rng *r, double tolerance) {
  medley_error error = {0};
  medley_index_info info;
  double sum = 0;
  size_t asked = 0;
  medley_index_get_info(index, &info);
  assert_int_equal(info.vectors, m->count);
  for (int trial = 0; trial < 40; trial++) {
    float q[DIM];
    char filter[64];
    medley_index_hit hits[K];
    medley_index_answer answer;
    size_t found;
    int below = trial % 2 ? (int)rng_below(r, 100) : -1;
    draw(r, q);
    snprintf(filter, sizeof filter, "price < %d", below);
    medley_index_query query = {.vector = q, .k = K, .filter = below >= 0 ? filter : NULL, .exact = trial % 4 == 0};
    medley_status status = medley_index_search(index, &query, hits, &found, &answer, &error);
    if (status == MEDLEY_ERR_NOT_FOUND && strstr(error.text, "price") != NULL) continue; /* nobody had one yet */
    assert_ok(status);
    double got = check_answers(m, q, below, hits, found, tolerance);
    if (answer.exact) assert_near(got, 1, 0);
    sum += got;
    asked++;
  }
  if (sum < 0.93 * (double)asked) fail_msg("recall %.3f", sum / (double)asked);
  for (size_t i = 0; i < IDS; i += 37) {
    float back[DIM];
    if (!m->there[i]) {
      assert_refused(medley_index_get(index, id_of(i), back, &error), MEDLEY_ERR_NOT_FOUND, "no vector with id");
      continue;
    }
    assert_ok(medley_index_get(index, id_of(i), back, &error));
    assert_near(cosine(back, m->vectors[i]), 1, tolerance);
  }
}

static void change(medley_index *index, model *m, rng *r) {
  medley_error error = {0};
  uint64_t ids[20];
  float vectors[20 * DIM];
  size_t count = 1 + rng_below(r, 20), removed, first = rng_below(r, IDS);
  uint64_t what = rng_below(r, 10);
  if (what < 5) {
    for (size_t c = 0; c < count; c++) {
      size_t i = (first + 13 * c) % IDS;
      ids[c] = id_of(i);
      draw(r, m->vectors[i]);
      memcpy(vectors + c * DIM, m->vectors[i], sizeof m->vectors[i]);
      m->count += !m->there[i];
      if (!m->there[i]) m->price[i] = -1;
      m->there[i] = true;
    }
    assert_ok(medley_index_add(index, ids, vectors, count, NULL, &error));
  } else if (what < 8) {
    size_t gone = 0;
    for (size_t c = 0; c < count; c++) {
      size_t i = (first + 13 * c) % IDS;
      ids[c] = id_of(i);
      gone += m->there[i];
      m->there[i] = false;
    }
    m->count -= gone;
    assert_ok(medley_index_remove(index, ids, count, &removed, &error));
    assert_int_equal(removed, gone);
  } else if (m->there[first]) {
    char json[64], *back;
    m->price[first] = (int)rng_below(r, 100);
    snprintf(json, sizeof json, "{\"price\": %d, \"tag\": [\"a\", \"b\"]}", m->price[first]);
    assert_ok(medley_index_set_attributes(index, id_of(first), json, &error));
    assert_ok(medley_index_get_attributes(index, id_of(first), &back, &error));
    assert_non_null(strstr(back, "\"tag\""));
    medley_index_text_free(back);
  }
}

static const struct {
  medley_index_options options;
  double tolerance;
  size_t begin; /* vectors that are there from the start: lists are trained from a thousand on */
} kinds[] = {
    {{.dim = DIM, .kind = "exact"}, 1e-5},
    {{.dim = DIM, .links = 8, .build_breadth = 40}, 1e-5},
    {{.dim = DIM, .kind = "hnsw", .storage = "f16", .links = 8, .build_breadth = 40}, 2e-3},
    {{.dim = DIM, .kind = "hnsw", .storage = "int8", .rerank = "f32", .links = 8, .build_breadth = 40}, 1e-5},
    {{.dim = DIM, .kind = "ivfpq", .lists = 20, .code_bytes = 4}, 1e-5, 1200},
    {{.dim = DIM, .kind = "ivfpq", .storage = "int8", .rerank = "f16"}, 2e-3, 990},
};

static void begin(medley_index *index, model *m, rng *r, size_t count) {
  medley_error error = {0};
  uint64_t ids[IDS];
  for (size_t i = 0; i < count; i++) {
    ids[i] = id_of(i);
    draw(r, m->vectors[i]);
    m->there[i] = true;
    m->price[i] = -1;
  }
  m->count = count;
  if (count > 0) assert_ok(medley_index_add(index, ids, m->vectors[0], count, NULL, &error));
}

/* Changes, saves, copies and reopens in any order. */
static void test_model(void **state) {
  (void)state;
  medley_error error = {0};
  for (size_t t = 0; t < sizeof kinds / sizeof *kinds; t++) {
    char folder[256], path[300], copy[300];
    medley_index *index;
    model *m = mem_zalloc(1, sizeof *m);
    rng r;
    rng_seed(&r, t);
    test_folder(folder);
    snprintf(path, sizeof path, "%s/index", folder);
    assert_ok(medley_index_create(path, &kinds[t].options, &index, &error));
    begin(index, m, &r, kinds[t].begin);
    for (int step = 0; step < 200; step++) {
      change(index, m, &r);
      uint64_t what = rng_below(&r, 40);
      if (what == 0) assert_ok(medley_index_save(index, NULL, NULL, &error));
      if (what == 1) assert_ok(medley_index_repair(index, NULL, &error));
      if (what <= 4) {
        medley_index_close(index);
        assert_ok(medley_index_open(path, what == 2 ? MEDLEY_INDEX_VERIFY : 0, &index, &error));
      }
      if (step % 20 == 19) check_model(index, m, &r, kinds[t].tolerance);
      if (step == 100) {
        snprintf(copy, sizeof copy, "%s/copy", folder);
        assert_ok(medley_index_save(index, copy, NULL, &error));
        medley_index *second;
        assert_ok(medley_index_open(copy, MEDLEY_INDEX_READ_ONLY, &second, &error));
        check_model(second, m, &r, kinds[t].tolerance);
        assert_refused(medley_index_remove(second, (uint64_t[]){1}, 1, NULL, &error), MEDLEY_ERR_USAGE, "reading only");
        medley_index_close(second);
      }
    }
    medley_index_health health;
    assert_ok(medley_index_check(index, NULL, &health, &error));
    medley_index_close(index);
    assert_ok(folder_remove(folder, &error));
    mem_free(m);
  }
}

/* Ids that are slots cost nothing; the first other one changes that and loses nobody. */
static void test_plain_ids(void **state) {
  (void)state;
  medley_error error = {0};
  medley_index *index;
  medley_index_info plain, other;
  float vectors[50 * DIM];
  uint64_t ids[50];
  rng r;
  rng_seed(&r, 2);
  for (size_t i = 0; i < 50; i++) {
    ids[i] = i;
    draw(&r, vectors + i * DIM);
  }
  assert_ok(medley_index_create(NULL, &(medley_index_options){.dim = DIM, .kind = "exact"}, &index, &error));
  assert_ok(medley_index_add(index, ids, vectors, 50, NULL, &error));
  medley_index_get_info(index, &plain);
  assert_ok(medley_index_add(index, (uint64_t[]){UINT64_MAX}, vectors, 1, NULL, &error));
  medley_index_get_info(index, &other);
  assert_true(other.structure_bytes > plain.structure_bytes);
  for (size_t i = 0; i < 50; i++) {
    medley_index_hit hits[2];
    size_t found;
    assert_ok(medley_index_search(index, &(medley_index_query){.vector = vectors + i * DIM, .k = 1}, hits, &found, NULL,
                                  &error));
    assert_true(hits[0].id == i || (i == 0 && hits[0].id == UINT64_MAX));
  }
  medley_index_close(index);
}

static void test_measure(void **state) {
  (void)state;
  medley_error error = {0};
  medley_index *index;
  medley_index_recall recall;
  medley_index_answer answer;
  medley_index_hit hits[K];
  size_t found, count = 3000;
  float *vectors = mem_alloc(count * DIM, sizeof *vectors);
  uint64_t *ids = mem_alloc(count, sizeof *ids);
  rng r;
  rng_seed(&r, 6);
  for (size_t i = 0; i < count; i++) {
    ids[i] = i;
    draw(&r, vectors + i * DIM);
  }
  assert_ok(
      medley_index_create(NULL, &(medley_index_options){.dim = DIM, .links = 4, .search_breadth = 10}, &index, &error));
  assert_refused(medley_index_measure(index, NULL, 0, K, 0, NULL, &recall, &error), MEDLEY_ERR_USAGE, "empty index");
  assert_ok(medley_index_add(index, ids, vectors, count, NULL, &error));
  medley_index_query query = {.vector = vectors, .k = K};
  assert_ok(medley_index_measure(index, NULL, 100, K, 0, NULL, &recall, &error));
  assert_int_equal(recall.real, 0);
  assert_int_equal(recall.queries, 100);
  assert_ok(medley_index_measure(index, NULL, 100, K, 0, NULL, &recall, &error));
  assert_int_equal(recall.real, 0); /* what a measurement asks is no real query */
  assert_refused(medley_index_measure(index, vectors, 0, K, 0, NULL, &recall, &error), MEDLEY_ERR_USAGE, "no queries");
  assert_ok(medley_index_search(index, &query, hits, &found, &answer, &error));
  assert_int_equal(answer.exact, 0);
  assert_near(answer.recall, recall.recall, 0);
  assert_true(recall.recall > 0.5 && recall.recall < 1 && recall.low <= recall.recall && recall.high >= recall.recall);
  query.breadth = 30;
  assert_ok(medley_index_search(index, &query, hits, &found, &answer, &error));
  assert_true(answer.recall < 0); /* not measured with this breadth */
  medley_index_recall wide;
  assert_ok(medley_index_measure(index, vectors, 100, K, 500, NULL, &wide, &error));
  assert_true(wide.recall > recall.recall && wide.recall > 0.98 && wide.real);
  query.exact = 1;
  assert_ok(medley_index_search(index, &query, hits, &found, &answer, &error));
  assert_true(answer.exact && answer.recall == 1 && answer.passing == SIZE_MAX);
  medley_index_close(index);
  assert_ok(medley_index_create(NULL, &(medley_index_options){.dim = DIM}, &index, &error));
  assert_ok(medley_index_add(index, ids, vectors, 300, NULL, &error));
  assert_ok(medley_index_remove(index, ids + 100, 150, NULL, &error));
  assert_ok(medley_index_measure(index, NULL, 140, K, 0, NULL, &recall, &error));
  assert_int_equal(recall.queries, 140); /* removed ones leave no gaps in the sample */
  medley_index_close(index);
  mem_free(vectors);
  mem_free(ids);
}

/* Vectors that int8 cannot tell apart: what ranks again sees only the best of a guess, and the measure says so. */
static void test_measure_ranked_again(void **state) {
  (void)state;
  medley_error error = {0};
  static float vectors[1000 * DIM];
  static uint64_t ids[1000];
  medley_index *index;
  medley_index_recall recall;
  rng r;
  rng_seed(&r, 7);
  for (size_t i = 0; i < 1000; i++) {
    ids[i] = i;
    for (size_t d = 0; d < DIM; d++) vectors[i * DIM + d] = 1 + 1e-4f * (float)rng_normal(&r);
  }
  medley_index_options o = {.dim = DIM, .kind = "exact", .distance = "l2", .storage = "int8", .rerank = "f32"};
  assert_ok(medley_index_create(NULL, &o, &index, &error));
  assert_ok(medley_index_add(index, ids, vectors, 1000, NULL, &error));
  assert_ok(medley_index_measure(index, vectors, 50, K, 0, NULL, &recall, &error));
  if (recall.recall > 0.8) fail_msg("recall %.3f", recall.recall);
  medley_index_close(index);
}

static void test_batch(void **state) {
  (void)state;
  medley_error error = {0};
  for (size_t t = 0; t < sizeof kinds / sizeof *kinds; t++) {
    medley_index *index;
    static float vectors[1200 * DIM];
    uint64_t ids[1200];
    size_t count = kinds[t].begin > 300 ? 1200 : 300;
    medley_index_hit one[K], many[20 * K];
    size_t found, all[20];
    rng r;
    rng_seed(&r, 3);
    for (size_t i = 0; i < count; i++) {
      ids[i] = 3 * i;
      draw(&r, vectors + i * DIM);
    }
    assert_ok(medley_index_create(NULL, &kinds[t].options, &index, &error));
    assert_ok(medley_index_add(index, ids, vectors, count, NULL, &error));
    for (int exact = 0; exact < 2; exact++) {
      medley_index_query query = {.k = K, .exact = exact, .breadth = 50};
      assert_ok(medley_index_search_batch(index, &query, vectors, 20, many, all, NULL, &error));
      for (size_t i = 0; i < 20; i++) {
        query.vector = vectors + i * DIM;
        assert_ok(medley_index_search(index, &query, one, &found, NULL, &error));
        assert_int_equal(found, all[i]);
        for (size_t h = 0; h < found; h++) assert_near(one[h].score, many[i * K + h].score, 1e-5);
      }
    }
    medley_index_close(index);
  }
}

/* ---- larger than memory ---- */

/* With lists of codes, vectors of several times the limit are built, saved, opened and searched; a graph is refused. */
static void test_larger_than_the_limit(void **state) {
  (void)state;
  medley_error error = {0};
  enum { WIDE = 512, ROWS = 5000, LIMIT = 5 << 20 }; /* 10 MiB of vectors */
  char folder[256], path[300];
  float *vectors = mem_alloc((size_t)ROWS * WIDE, sizeof *vectors);
  uint64_t *ids = mem_alloc(ROWS, sizeof *ids);
  medley_index_options o = {.dim = WIDE, .kind = "ivfpq", .code_bytes = 16, .memory_limit_bytes = LIMIT};
  medley_index *index;
  medley_index_info info;
  medley_index_recall recall;
  rng r;
  rng_seed(&r, 6);
  test_folder(folder);
  snprintf(path, sizeof path, "%s/index", folder);
  for (size_t i = 0; i < ROWS; i++) {
    ids[i] = i;
    for (size_t d = 0; d < WIDE; d++) /* clusters: nothing is near anything in a round cloud of so many dimensions */
      vectors[i * WIDE + d] = (float)(((i % 50) * 31 + d * 17) % 101) / 50 - 1 + 0.3f * (float)rng_normal(&r);
  }
  assert_ok(medley_index_create(path, &o, &index, &error));
  for (size_t done = 0; done < ROWS; done += ROWS / 4)
    assert_ok(medley_index_add(index, ids + done, vectors + done * WIDE, ROWS / 4, NULL, &error));
  for (int opened = 0; opened < 2; opened++) {
    medley_index_get_info(index, &info);
    assert_int_equal(info.vectors, ROWS);
    if (info.vector_bytes + info.structure_bytes > LIMIT)
      fail_msg("%zu and %zu bytes of memory", (size_t)info.vector_bytes, (size_t)info.structure_bytes);
    assert_true(info.mapped_bytes >= (uint64_t)ROWS * WIDE * sizeof *vectors);
    assert_ok(medley_index_measure(index, vectors, 50, K, 0, NULL, &recall, &error));
    assert_true(recall.recall > 0.9);
    if (opened) break;
    assert_ok(medley_index_save(index, NULL, NULL, &error));
    medley_index_close(index);
    assert_ok(medley_index_open(path, 0, &index, &error));
  }
  medley_index_close(index);
  o.scratch = folder; /* in memory, but for them */
  assert_ok(medley_index_create(NULL, &o, &index, &error));
  assert_ok(medley_index_add(index, ids, vectors, ROWS, NULL, &error));
  medley_index_close(index);
  o.scratch = "/nowhere/at/all";
  assert_ok(medley_index_create(NULL, &o, &index, &error));
  assert_refused(medley_index_add(index, ids, vectors, ROWS, NULL, &error), MEDLEY_ERR_IO, "/nowhere/at/all");
  medley_index_close(index);
  o.kind = "hnsw";
  o.scratch = folder;
  assert_ok(medley_index_create(NULL, &o, &index, &error));
  assert_refused(medley_index_add(index, ids, vectors, ROWS, NULL, &error), MEDLEY_ERR_LIMIT, "the limit is 5 MiB");
  medley_index_close(index);
  assert_ok(folder_remove(folder, &error));
  mem_free(vectors);
  mem_free(ids);
}

/* ---- readers beside a writer ---- */

typedef struct shared {
  medley_index *index;
  _Atomic bool stop;
  _Atomic size_t searches, wrong;
} shared;

/* Vectors of ids below 100 never change: whatever the writer does, each finds itself. */
static void *reader(void *context) {
  shared *s = context;
  rng r;
  rng_seed(&r, (uint64_t)(uintptr_t)&r);
  while (!s->stop) {
    medley_error error = {0};
    medley_index_hit hits[K];
    size_t found;
    float own[DIM];
    uint64_t id = rng_below(&r, 100);
    bool filtered = rng_below(&r, 4) == 0;
    if (medley_index_get(s->index, id, own, &error) != MEDLEY_OK) s->wrong++;
    medley_index_query query = {.vector = own, .k = K, .filter = filtered ? "fixed = 1" : NULL};
    if (medley_index_search(s->index, &query, hits, &found, NULL, &error) != MEDLEY_OK) s->wrong++;
    bool itself = false;
    for (size_t h = 0; h < found; h++) {
      itself = itself || hits[h].id == id;
      if (filtered && hits[h].id >= 100) s->wrong++;
      for (size_t g = 0; g < h; g++) s->wrong += hits[g].id == hits[h].id;
    }
    s->wrong += !itself;
    s->searches++;
  }
  return NULL;
}

static void test_readers_beside_a_writer(void **state) {
  (void)state;
  medley_error error = {0};
  static const char *const of_kind[] = {"exact", "hnsw", "ivfpq"};
  for (size_t t = 0; t < 3; t++) {
    shared s = {0};
    pthread_t threads[2];
    float vectors[100 * DIM];
    uint64_t ids[100];
    rng r;
    rng_seed(&r, 11);
    assert_ok(medley_index_create(
        NULL, &(medley_index_options){.dim = DIM, .kind = of_kind[t], .links = 8, .build_breadth = 40}, &s.index,
        &error));
    for (size_t i = 0; i < 100; i++) {
      ids[i] = i;
      draw(&r, vectors + i * DIM);
    }
    assert_ok(medley_index_add(s.index, ids, vectors, 100, NULL, &error));
    for (uint64_t i = 0; i < 100; i++) assert_ok(medley_index_set_attributes(s.index, i, "{\"fixed\": true}", &error));
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, reader, &s), 0);
    for (int step = 0; step < 60 || s.searches < 50; step++) {
      size_t first = 100 + rng_below(&r, 400);
      for (size_t i = 0; i < 40; i++) {
        ids[i] = first + i;
        draw(&r, vectors + i * DIM);
      }
      if (step % 3 == 2)
        assert_ok(medley_index_remove(s.index, ids, 40, NULL, &error));
      else
        assert_ok(medley_index_add(s.index, ids, vectors, 40, NULL, &error));
    }
    s.stop = true;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_int_equal(s.wrong, 0);
    medley_index_health health;
    assert_ok(medley_index_check(s.index, NULL, &health, &error));
    medley_index_close(s.index);
  }
}

/* ---- refusals ---- */

static void test_refusals(void **state) {
  (void)state;
  medley_error error = {0};
  medley_index *index;
  static const struct {
    medley_index_options options;
    const char *words;
  } bad[] = {
      {{.dim = 0}, "0 dimensions"},
      {{.dim = 100000}, "1 to 65536"},
      {{.dim = 4, .kind = "tree"}, "unknown kind of index 'tree'"},
      {{.dim = 4, .distance = "manhattan"}, "unknown distance 'manhattan'"},
      {{.dim = 4, .storage = "f64"}, "unknown storage 'f64'"},
      {{.dim = 4, .rerank = "f32"}, "gains nothing"},
      {{.dim = 4, .links = 1}, "1 links per node"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_refused(medley_index_create(NULL, &bad[i].options, &index, &error), MEDLEY_ERR_USAGE, bad[i].words);

  float ones[DIM] = {1, 1, 1, 1, 1, 1, 1, 1}, wrong[2 * DIM] = {0};
  medley_index_hit hit;
  size_t found;
  wrong[DIM + 3] = NAN;
  assert_ok(
      medley_index_create(NULL, &(medley_index_options){.dim = DIM, .memory_limit_bytes = 64 << 20}, &index, &error));
  assert_refused(medley_index_add(index, (uint64_t[]){5, 6}, wrong, 2, NULL, &error), MEDLEY_ERR_INPUT,
                 "vector 1 (id 6): value 3");
  assert_refused(medley_index_add(index, (uint64_t[]){5, 5}, (float[2 * DIM]){0}, 2, NULL, &error), MEDLEY_ERR_INPUT,
                 "id 5 is there twice");
  float *many = mem_zalloc(2000000, DIM * sizeof *many);
  uint64_t *ids = mem_zalloc(2000000, sizeof *ids);
  for (size_t i = 0; i < 2000000; i++) ids[i] = i;
  assert_refused(medley_index_add(index, ids, many, 2000000, NULL, &error), MEDLEY_ERR_LIMIT, "the limit is 64 MiB");
  mem_free(many);
  mem_free(ids);
  assert_ok(medley_index_add(index, (uint64_t[]){5}, ones, 1, NULL, &error));
  assert_refused(
      medley_index_search(index, &(medley_index_query){.vector = wrong + DIM, .k = 1}, &hit, &found, NULL, &error),
      MEDLEY_ERR_INPUT, "not a finite number");
  assert_refused(medley_index_search(index, &(medley_index_query){.vector = ones, .k = 0}, &hit, &found, NULL, &error),
                 MEDLEY_ERR_USAGE, "0 nearest");
  assert_refused(medley_index_search(index, &(medley_index_query){.vector = ones, .k = 1, .filter = "price <"}, &hit,
                                     &found, NULL, &error),
                 MEDLEY_ERR_INPUT, "character 8");
  assert_refused(medley_index_set_attributes(index, 9, "{}", &error), MEDLEY_ERR_NOT_FOUND, "id 9");
  assert_refused(medley_index_set_attributes(index, 5, "[1]", &error), MEDLEY_ERR_INPUT, "object");
  assert_refused(medley_index_save(index, NULL, NULL, &error), MEDLEY_ERR_USAGE, "needs a path");
  medley_index_close(index);
  assert_refused(medley_index_open("/nowhere/at/all", 0, &index, &error), MEDLEY_ERR_NOT_FOUND, "there is no index");
}

/* Options that are left out count with their defaults: links take most of the memory of short vectors. */
static void test_memory_limit(void **state) {
  (void)state;
  medley_error error = {0};
  enum { MANY = 100000 };
  static const struct {
    medley_index_options options;
    bool fits;
  } table[] = {{{.kind = "hnsw"}, false}, {{.kind = "hnsw", .links = 4}, true}, {{.kind = "exact"}, true}};
  float *vectors = mem_zalloc(MANY * DIM, sizeof *vectors);
  uint64_t *ids = mem_zalloc(MANY, sizeof *ids);
  for (size_t i = 0; i < MANY; i++) ids[i] = i;
  for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
    medley_index *index;
    medley_index_options o = table[t].options;
    o.dim = DIM;
    assert_ok(medley_index_create(NULL, &o, &index, &error));
    medley_index_info info;
    medley_index_get_info(index, &info);
    medley_index_close(index);
    o.memory_limit_bytes = info.vector_bytes + info.structure_bytes + (12 << 20); /* beside what an empty one takes */
    assert_ok(medley_index_create(NULL, &o, &index, &error));
    if (!table[t].fits)
      assert_refused(medley_index_add(index, ids, vectors, MANY, NULL, &error), MEDLEY_ERR_LIMIT,
                     "100000 more vectors would need about 16 MiB");
    else
      assert_ok(medley_index_add(index, ids, vectors, 1000, NULL, &error));
    medley_index_close(index);
  }
  mem_free(vectors);
  mem_free(ids);
}

typedef struct told {
  char stages[200];
} told;

static int tell(void *context, const medley_progress_state *state) {
  told *t = context;
  if (strstr(t->stages, state->stage) == NULL && strlen(t->stages) < 150)
    snprintf(t->stages + strlen(t->stages), 40, "%s;", state->stage);
  return 0;
}

/* Repair and measure tell how far they are. */
static void test_progress(void **state) {
  (void)state;
  medley_error error = {0};
  float vectors[400 * DIM];
  uint64_t ids[400];
  medley_index *index;
  medley_index_info info;
  medley_index_recall recall;
  rng r;
  rng_seed(&r, 8);
  for (size_t i = 0; i < 400; i++) {
    ids[i] = i;
    draw(&r, vectors + i * DIM);
  }
  assert_ok(medley_index_create(NULL, &(medley_index_options){.dim = DIM, .links = 4}, &index, &error));
  assert_ok(medley_index_add(index, ids, vectors, 400, NULL, &error));
  assert_ok(medley_index_remove(index, ids, 15, NULL, &error));
  told t = {0};
  medley_progress progress = {.report = tell, .context = &t};
  assert_ok(medley_index_repair(index, &progress, &error));
  medley_index_get_info(index, &info);
  assert_int_equal(info.removed, 0);
  assert_ok(medley_index_measure(index, NULL, 50, K, 0, &progress, &recall, &error));
  assert_string_equal(t.stages, "mend links;measure recall;");
  medley_index_close(index);
}

/* A file in which anything behind the header may be wrong is refused or answers; it never crashes. */
static void test_damaged_file(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300], *bytes;
  size_t length, refused = 0;
  float vectors[200 * DIM];
  uint64_t ids[200];
  medley_index *index;
  rng r;
  rng_seed(&r, 21);
  test_folder(folder);
  snprintf(path, sizeof path, "%s/index", folder);
  for (size_t i = 0; i < 200; i++) {
    ids[i] = 5 * i;
    draw(&r, vectors + i * DIM);
  }
  assert_ok(medley_index_create(path, &(medley_index_options){.dim = DIM, .links = 4}, &index, &error));
  assert_ok(medley_index_add(index, ids, vectors, 200, NULL, &error));
  assert_ok(medley_index_set_attributes(index, 10, "{\"price\": 3}", &error));
  assert_ok(medley_index_remove(index, ids + 50, 20, NULL, &error));
  assert_ok(medley_index_save(index, NULL, NULL, &error));
  medley_index_close(index);
  assert_ok(file_read(path, SIZE_MAX, &bytes, &length, &error));
  for (int trial = 0; trial < 120; trial++) {
    char *copy = mem_alloc(length, 1);
    memcpy(copy, bytes, length);
    for (int i = 0; i < 60; i++) copy[4096 + rng_below(&r, length - 4096)] ^= (char)(1 << rng_below(&r, 8));
    assert_ok(file_write(path, copy, length, &error));
    mem_free(copy);
    assert_refused(medley_index_open(path, MEDLEY_INDEX_READ_ONLY | MEDLEY_INDEX_VERIFY, &index, &error),
                   MEDLEY_ERR_CORRUPT, "");
    medley_status status = medley_index_open(path, MEDLEY_INDEX_READ_ONLY, &index, &error);
    if (status != MEDLEY_OK) {
      assert_true(status == MEDLEY_ERR_CORRUPT || status == MEDLEY_ERR_INPUT || status == MEDLEY_ERR_LIMIT);
      assert_true(error.text[0] != '\0');
      refused++;
      continue;
    }
    for (size_t i = 0; i < 50; i++) {
      medley_index_hit hits[K];
      size_t found;
      assert_ok(medley_index_search(index, &(medley_index_query){.vector = vectors + i * DIM, .k = K}, hits, &found,
                                    NULL, &error));
      float out[DIM];
      (void)!medley_index_get(index, ids[i], out, &error);
    }
    medley_index_close(index);
  }
  assert_true(refused > 0);
  mem_free(bytes);
  assert_ok(folder_remove(folder, &error));
}

#ifdef MEDLEY_FAULTS
/* Each allocation fails once; what was refused left nothing behind, what was accepted is there when opened again. */
static void test_memory(void **state) {
  (void)state;
  medley_error error = {0};
  for (long n = 1;; n++) {
    char folder[256], path[300];
    medley_index *index = NULL;
    float vectors[30 * DIM];
    uint64_t ids[30];
    bool accepted = false;
    rng r;
    rng_seed(&r, 1);
    test_folder(folder);
    snprintf(path, sizeof path, "%s/index", folder);
    for (size_t i = 0; i < 30; i++) {
      ids[i] = 2 * i;
      draw(&r, vectors + i * DIM);
    }
    memory_fault_after(n);
    medley_status status = medley_index_create(path, &(medley_index_options){.dim = DIM, .links = 4}, &index, &error);
    if (status == MEDLEY_OK) status = medley_index_add(index, ids, vectors, 30, NULL, &error);
    accepted = status == MEDLEY_OK;
    if (status == MEDLEY_OK) status = medley_index_set_attributes(index, 4, "{\"price\": 3}", &error);
    if (status == MEDLEY_OK) status = medley_index_save(index, NULL, NULL, &error);
    medley_index_hit hits[K];
    size_t found;
    if (status == MEDLEY_OK)
      status = medley_index_search(index, &(medley_index_query){.vector = vectors, .k = K, .filter = "price < 5"}, hits,
                                   &found, NULL, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (status != MEDLEY_OK) assert_int_equal(status, MEDLEY_ERR_MEMORY);
    bool made = index != NULL;
    medley_index_close(index);
    if (made) {
      assert_ok(medley_index_open(path, 0, &index, &error));
      medley_index_info info;
      medley_index_get_info(index, &info);
      if (accepted) assert_int_equal(info.vectors, 30);
      medley_index_close(index);
    }
    assert_ok(folder_remove(folder, &error));
    if (!struck) break;
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_model),
      cmocka_unit_test(test_plain_ids),
      cmocka_unit_test(test_measure),
      cmocka_unit_test(test_measure_ranked_again),
      cmocka_unit_test(test_batch),
      cmocka_unit_test(test_larger_than_the_limit),
      cmocka_unit_test(test_readers_beside_a_writer),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_memory_limit),
      cmocka_unit_test(test_progress),
      cmocka_unit_test(test_damaged_file),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
