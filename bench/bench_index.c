/* bench/bench_index.c: the vector index, measured through its public interface.
 *
 *     bench_index                                         a quick look: a mixture of our own drawing, one table
 *     bench_index --vectors BASE.npy QUERY.npy [ROWS]     the same with your vectors
 *     bench_index --bytes BASE.npy QUERY.npy [ROWS]       int8 rows with full vectors in the file, by links: what they
 *                                                         take and what they find, beside f32
 *     bench_index --open INDEX QUERY.npy [ROUNDS]         the first answers of a file in memory, and of one on the disk
 *     bench_index --mix BASE.npy QUERY.npy [ROWS [SECONDS]]   nine searches to one insert or delete, two threads:
 *                                                         latency beside reading only, recall beside a fresh build
 *     bench_index --worker ours|ours-i8|ours-ivfpq        asked over a pipe by index_peers.py, side by side with other
 *                                                         libraries (index_worker.py has the protocol)
 */
#include <jansson.h>
#include <malloc.h>
#include <math.h>
#include <medley/medley.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "bench/index_opening.h"
#include "data/npy.h"

#define K 10

typedef struct matrix {
  float *values; /* [rows, dim] */
  size_t rows, dim;
} matrix;

typedef struct bench {
  matrix base, query;
  const char *metric;
  bool bytes;                  /* int8 rows, ranked again with full vectors */
  bool lists;                  /* of product codes instead of a graph */
  medley_index *index, *exact; /* exact: made when it is first asked for */
  size_t masks;                /* attributes named so far: "m1", "m2" … */
  json_t *mask_names;          /* path → filter */
  char *path, *copy;           /* of the index that was opened; NULL: none was, is not needed yet */
} bench;

static void *must(void *block) {
  if (block != NULL) return block;
  fprintf(stderr, "bench_index: out of memory\n");
  exit(1);
}

static matrix matrix_read(const char *path, size_t limit, medley_error *err) {
  medley_status status = MEDLEY_OK;
  matrix m = {0};
  npy_reader reader = {0};
  stream *in = NULL;
  const float *row;
  TRY(stream_open(path, &in, err));
  TRY(npy_open(&reader, in, path, err));
  m.dim = reader.dim;
  size_t rows = limit && limit < reader.rows ? limit : reader.rows;
  m.values = must(mem_alloc(rows * m.dim, sizeof *m.values));
  for (; m.rows < rows; m.rows++) {
    TRY(npy_next(&reader, &row, err));
    if (row == NULL) break;
    memcpy(m.values + m.rows * m.dim, row, m.dim * sizeof *row);
  }
done:
  npy_close(&reader);
  stream_close(in);
  if (status != MEDLEY_OK) {
    mem_free(m.values);
    m = (matrix){0};
  }
  return m;
}

static double cpu_s(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double status_bytes(const char *name) {
  char line[256], found[64];
  double kib = 0, value;
  FILE *f = fopen("/proc/self/status", "r");
  while (f != NULL && fgets(line, sizeof line, f))
    if (sscanf(line, "%63[^:]: %lf", found, &value) == 2 && strcmp(found, name) == 0) kib = value;
  if (f != NULL) fclose(f);
  return kib * 1024;
}

static double anonymous_bytes(void) {
  malloc_trim(0);
  return status_bytes("RssAnon");
}

/* `wanted` has the kind and its sizes. */
static medley_status index_build(const bench *b, medley_index_options wanted, medley_index **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t rows = b->base.rows;
  uint64_t *ids = must(mem_alloc(rows, sizeof *ids));
  for (size_t i = 0; i < rows; i++) ids[i] = i;
  wanted.dim = b->base.dim;
  wanted.distance = strcmp(b->metric, "l2") == 0 ? "l2" : "cosine";
  wanted.storage = b->bytes ? "int8" : "f32";
  wanted.rerank = b->bytes ? "f32" : NULL;
  wanted.seed = 1;
  TRY(medley_index_create(NULL, &wanted, out, err));
  TRY(medley_index_add(*out, ids, b->base.values, rows, NULL, err));
done:
  mem_free(ids);
  return status;
}

/* ---- worker ---- */

static const char *text_of(const json_t *ask, const char *key) { return json_string_value(json_object_get(ask, key)); }
static size_t number_of(const json_t *ask, const char *key, size_t fallback) {
  const json_t *value = json_object_get(ask, key);
  return json_is_integer(value) ? (size_t)json_integer_value(value) : fallback;
}

static json_t *do_data(bench *b, const json_t *ask, medley_error *err) {
  medley_index_close(b->exact);
  b->exact = NULL;
  mem_free(b->base.values);
  mem_free(b->query.values);
  b->base = matrix_read(text_of(ask, "base"), number_of(ask, "rows", 0), err);
  if (b->base.values == NULL) return NULL;
  b->query = matrix_read(text_of(ask, "query"), 0, err);
  if (b->query.values == NULL) return NULL;
  b->metric = strcmp(text_of(ask, "metric"), "l2") == 0 ? "l2" : "cos";
  return json_pack("{s:I,s:I}", "rows", (json_int_t)b->base.rows, "dim", (json_int_t)b->base.dim);
}

static json_t *do_build(bench *b, const json_t *ask, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *reply = NULL;
  const char *save = text_of(ask, "save");
  FILE *f = NULL;
  omp_set_num_threads((int)number_of(ask, "threads", 1));
  medley_index_close(b->index);
  b->index = NULL;
  double memory = anonymous_bytes(), start = clock_now_s(), cpu = cpu_s();
  TRY(index_build(
      b,
      b->lists ? (medley_index_options){.kind = "ivfpq",
                                        .lists = number_of(ask, "lists", 0),
                                        .code_bytes = number_of(ask, "code_bytes", 0)}
               : (medley_index_options){.links = number_of(ask, "m", 16), .build_breadth = number_of(ask, "efc", 200)},
      &b->index, err));
  double seconds = clock_now_s() - start, cpu_seconds = cpu_s() - cpu, file_bytes = 0;
  memory = anonymous_bytes() - memory;
  if (save != NULL) {
    remove(save);
    TRY(medley_index_save(b->index, save, NULL, err));
    f = fopen(save, "rb");
    if (f != NULL && fseek(f, 0, SEEK_END) == 0) file_bytes = (double)ftell(f);
  }
  reply = json_pack("{s:f,s:f,s:f,s:f}", "seconds", seconds, "cpu_seconds", cpu_seconds, "memory_bytes", memory,
                    "file_bytes", file_bytes);
done:
  if (f != NULL) fclose(f);
  return status == MEDLEY_OK ? reply : NULL;
}

static json_t *do_open(bench *b, const json_t *ask, medley_error *err) {
  medley_index_close(b->index);
  b->index = NULL;
  double memory = anonymous_bytes(), start = clock_now_s();
  const char *path = text_of(ask, "path");
  if (medley_index_open(path, MEDLEY_INDEX_READ_ONLY, &b->index, err) != MEDLEY_OK) return NULL;
  mem_free(b->path);
  b->path = must(mem_strdup(path));
  return json_pack("{s:f,s:f}", "seconds", clock_now_s() - start, "memory_bytes", anonymous_bytes() - memory);
}

/* A cached index takes no changes; a copy of it does. Both names of the copy are removed when the worker ends. */
static medley_status copy_open(bench *b, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *copy = must(mem_alloc(strlen(b->path) + 32, 1));
  sprintf(copy, "%s.masks-%d", b->path, (int)getpid());
  b->copy = copy;
  medley_index_close(b->index);
  b->index = NULL;
  TRY(file_copy(b->path, copy, err));
  TRY(medley_index_open(copy, 0, &b->index, err));
done:
  return status;
}

static void copy_remove(bench *b) {
  medley_index_close(b->index);
  b->index = NULL;
  if (b->copy == NULL) return;
  remove(b->copy);
  strcat(b->copy, ".journal");
  remove(b->copy);
  mem_free(b->copy);
}

/* The row's attributes with one more; the caller's (free). */
static medley_status mask_attributes(const bench *b, uint64_t row, char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *had = NULL;
  TRY(medley_index_get_attributes(b->index, row, &had, err));
  *json = must(malloc(strlen(had) + 32));
  sprintf(*json, "{\"m%zu\": 1%s%s", b->masks, strcmp(had, "{}") == 0 ? "" : ", ", had + 1);
done:
  medley_index_text_free(had);
  return status;
}

/* Rows of 1 in the mask get an attribute "m1" (m2 …) for it. */
static medley_status mask_set(bench *b, FILE *mask, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = 0;
  uint64_t *ids = must(mem_alloc(b->base.rows, sizeof *ids));
  char **json = must(mem_zalloc(b->base.rows, sizeof *json));
  for (uint64_t row = 0; row < b->base.rows; row++) {
    if (fgetc(mask) != 1) continue;
    ids[count] = row;
    TRY(mask_attributes(b, row, &json[count], err));
    count++;
  }
  TRY(medley_index_set_attributes_batch(b->index, ids, (const char *const *)json, count, NULL, err));
done:
  for (size_t i = 0; i < b->base.rows; i++) free(json[i]);
  mem_free(json);
  mem_free(ids);
  return status;
}

static medley_status mask_name(bench *b, const char *path, char name[32], medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *known = json_string_value(json_object_get(b->mask_names, path));
  unsigned char head[10];
  FILE *f = NULL;
  if (known != NULL) {
    snprintf(name, 32, "%s", known);
    return MEDLEY_OK;
  }
  if (b->path != NULL && b->copy == NULL) TRY(copy_open(b, err));
  snprintf(name, 32, "m%zu = 1", ++b->masks);
  f = fopen(path, "rb");
  if (f == NULL || fread(head, 1, 10, f) != 10 || fseek(f, head[8] + 256 * head[9], SEEK_CUR) != 0)
    FAIL(err, MEDLEY_ERR_IO, "%s cannot be read", path);
  TRY(mask_set(b, f, err));
  json_object_set_new(b->mask_names, path, json_string(name));
done:
  if (f != NULL) fclose(f);
  return status;
}

typedef struct pass {
  medley_index_query query;
  size_t count, batch; /* batch 1: one by one */
  medley_index_hit *hits;
  size_t *found;
  uint64_t distances; /* compared so far */
} pass;

static medley_status pass_run(const bench *b, pass *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const medley_index *index = p->query.exact ? b->exact : b->index;
  size_t dim = b->base.dim, k = p->query.k;
  medley_index_answer answer;
  for (size_t i = 0; i < p->count; i += p->batch) {
    size_t count = p->count - i < p->batch ? p->count - i : p->batch;
    if (p->batch > 1) {
      TRY(medley_index_search_batch(index, &p->query, b->query.values + i * dim, count, p->hits + i * k, p->found + i,
                                    &answer, err));
    } else {
      medley_index_query q = p->query;
      q.vector = b->query.values + i * dim;
      TRY(medley_index_search(index, &q, p->hits + i * k, p->found + i, &answer, err));
    }
    p->distances += answer.distances;
  }
done:
  return status;
}

static void ids_write(const char *path, const pass *p) {
  FILE *f = fopen(path, "wb");
  size_t k = p->query.k;
  for (size_t i = 0; f != NULL && i < p->count; i++)
    for (size_t h = 0; h < k; h++) {
      int32_t id = h < p->found[i] ? (int32_t)p->hits[i * k + h].id : -1;
      fwrite(&id, sizeof id, 1, f);
    }
  if (f != NULL) fclose(f);
}

static json_t *do_search(bench *b, const json_t *ask, bool exact, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *reply = NULL;
  char filter[32] = "";
  size_t threads = number_of(ask, "threads", 1), repeat = number_of(ask, "repeat", 1), k = number_of(ask, "k", K);
  pass p = {.query = {.k = k, .breadth = number_of(ask, "ef", 0), .exact = exact},
            .count = number_of(ask, "count", b->query.rows)};
  if (p.count == 0 || p.count > b->query.rows) p.count = b->query.rows;
  p.hits = must(mem_alloc(p.count * k, sizeof *p.hits));
  p.found = must(mem_alloc(p.count, sizeof *p.found));
  omp_set_num_threads((int)threads);
  if (exact && b->exact == NULL) TRY(index_build(b, (medley_index_options){.kind = "exact"}, &b->exact, err));
  p.batch = number_of(ask, "batch", !exact && threads > 1 ? p.count : 1);
  if (text_of(ask, "mask") != NULL) {
    TRY(mask_name(b, text_of(ask, "mask"), filter, err));
    p.query.filter = filter;
  }
  double start = clock_now_s(), cpu = cpu_s();
  for (size_t r = 0; r < repeat; r++) TRY(pass_run(b, &p, err));
  reply = json_pack("{s:f,s:f,s:f}", "seconds", (clock_now_s() - start) / (double)repeat, "cpu_seconds",
                    (cpu_s() - cpu) / (double)repeat, "distances", (double)p.distances / (double)(repeat * p.count));
  if (text_of(ask, "ids") != NULL) ids_write(text_of(ask, "ids"), &p);
done:
  mem_free(p.hits);
  mem_free(p.found);
  return status == MEDLEY_OK ? reply : NULL;
}

static json_t *answer(bench *b, const json_t *ask, medley_error *err) {
  const char *what = text_of(ask, "do");
  if (what == NULL) what = "";
  if (strcmp(what, "hello") == 0) return json_pack("{s:s}", "version", medley_version());
  if (strcmp(what, "data") == 0) return do_data(b, ask, err);
  if (strcmp(what, "build") == 0) return do_build(b, ask, err);
  if (strcmp(what, "open") == 0) return do_open(b, ask, err);
  if (strcmp(what, "search") == 0) return do_search(b, ask, false, err);
  if (strcmp(what, "exact") == 0) return do_search(b, ask, true, err);
  snprintf(err->text, sizeof err->text, "'%s' is nothing this worker does", what);
  return NULL;
}

static int worker(const char *name) {
  bench b = {.metric = "cos",
             .bytes = strcmp(name, "ours-i8") == 0,
             .lists = strcmp(name, "ours-ivfpq") == 0,
             .mask_names = json_object()};
  char *line = NULL;
  size_t capacity = 0;
  while (getline(&line, &capacity, stdin) > 0) {
    medley_error err = {0};
    json_t *ask = json_loads(line, 0, NULL), *reply = ask ? answer(&b, ask, &err) : NULL;
    if (reply == NULL) reply = json_pack("{s:s}", "error", err.text[0] ? err.text : "this is no JSON object");
    json_dumpf(reply, stdout, JSON_COMPACT);
    printf("\n");
    fflush(stdout);
    json_decref(reply);
    json_decref(ask);
  }
  free(line);
  copy_remove(&b);
  mem_free(b.path);
  medley_index_close(b.exact);
  mem_free(b.base.values);
  mem_free(b.query.values);
  json_decref(b.mask_names);
  return 0;
}

/* ---- a quick look ---- */

/* Two hundred clusters with a few strong directions each: what picture descriptors look like. */
static matrix mixture(size_t rows, size_t dim, uint64_t seed) {
  matrix m = {must(mem_alloc(rows * dim, sizeof(float))), rows, dim};
  float *centres = must(mem_alloc(200 * dim, sizeof *centres));
  rng r;
  rng_seed(&r, 1);
  for (size_t i = 0; i < 200 * dim; i++) centres[i] = (float)(rng_normal(&r) / (1 + 0.05 * (double)(i % dim)));
  rng_seed(&r, seed);
  for (size_t i = 0; i < rows; i++) {
    const float *centre = centres + rng_below(&r, 200) * dim;
    for (size_t d = 0; d < dim; d++)
      m.values[i * dim + d] = centre[d] + (float)(rng_normal(&r) / (1 + 0.05 * (double)d));
  }
  mem_free(centres);
  return m;
}

static medley_status look(bench *b, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const size_t breadths[] = {16, 32, 64, 128, 256};
  size_t queries = b->query.rows < 500 ? b->query.rows : 500;
  double start = clock_now_s();
  TRY(index_build(b, (medley_index_options){0}, &b->index, err));
  double built = clock_now_s() - start;
  medley_index_info info;
  medley_index_get_info(b->index, &info);
  printf("%zu x %zu, %s: built in %.1f s with %d threads, %.1f bytes a vector beside the vector\n", b->base.rows,
         b->base.dim, b->bytes ? "int8 + f32" : "f32", built, omp_get_max_threads(),
         (double)info.structure_bytes / (double)b->base.rows);
  printf("| breadth | recall@10 | queries/s | exact queries/s |\n|---|---|---|---|\n");
  for (size_t i = 0; i < sizeof breadths / sizeof *breadths; i++) {
    medley_index_recall r;
    TRY(medley_index_measure(b->index, b->query.values, queries, K, breadths[i], NULL, &r, err));
    printf("| %zu | %.4f (%.4f to %.4f) | %.0f | %.0f |\n", r.breadth, r.recall, r.low, r.high,
           (double)queries / r.seconds_index, (double)queries / r.seconds_exact);
    fflush(stdout);
  }
done:
  return status;
}

/* ---- bytes ---- */

/* What an index of some setting takes and finds, opened from its file as a search service would. */
typedef struct setting {
  const char *storage, *rerank;
  size_t links; /* 0: the default */
} setting;

static double resident_bytes(void) { return anonymous_bytes() + status_bytes("RssFile"); }

static medley_status setting_write(const bench *b, const setting *s, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index *index = NULL;
  uint64_t *ids = must(mem_alloc(b->base.rows, sizeof *ids));
  for (size_t i = 0; i < b->base.rows; i++) ids[i] = i;
  medley_index_options o = {
      .dim = b->base.dim, .storage = s->storage, .rerank = s->rerank, .links = s->links, .seed = 1};
  TRY(medley_index_create(NULL, &o, &index, err));
  TRY(medley_index_add(index, ids, b->base.values, b->base.rows, NULL, err));
  TRY(medley_index_save(index, path, NULL, err));
done:
  medley_index_close(index);
  mem_free(ids);
  return status;
}

/* Equal vectors are equally right: what scores no less than the K-th of the truth, but for rounding. */
static double hits_recall(const medley_index_hit *hits, const medley_index_hit *truth, size_t queries) {
  size_t good = 0;
  for (size_t q = 0; q < queries; q++)
    for (size_t h = 0; h < K; h++) good += hits[q * K + h].score >= truth[q * K + K - 1].score - 1e-6f;
  return (double)good / (double)(queries * K);
}

static medley_status setting_show(const bench *b, const setting *s, const char *path, const medley_index_hit *truth,
                                  medley_index_hit *hits, size_t *found, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index *index = NULL;
  medley_index_info info;
  double rows = (double)b->base.rows, before = resident_bytes(), full = s->rerank ? 4.0 * (double)b->base.dim : 0;
  TRY(medley_index_open(path, MEDLEY_INDEX_READ_ONLY, &index, err));
  medley_index_get_info(index, &info);
  printf("| %s%s | %zu | %.0f | %.0f |", s->storage, full > 0 ? " + f32" : "", info.links,
         (double)info.mapped_bytes / rows, (double)info.mapped_bytes / rows - full);
  for (size_t breadth = 32; breadth <= 128; breadth *= 2) {
    medley_index_query query = {.k = K, .breadth = breadth};
    double start = clock_now_s();
    TRY(medley_index_search_batch(index, &query, b->query.values, b->query.rows, hits, found, NULL, err));
    printf(" %.4f, %.0f |", hits_recall(hits, truth, b->query.rows), (double)b->query.rows / (clock_now_s() - start));
  }
  printf(" %.0f |\n", (resident_bytes() - before) / rows);
  fflush(stdout);
done:
  medley_index_close(index);
  return status;
}

static medley_status bytes_bench(bench *b, medley_error *err) {
  static const setting settings[] = {{"f32", NULL, 0},    {"int8", "f32", 0},  {"int8", "f32", 16},
                                     {"int8", "f32", 12}, {"int8", "f32", 10}, {"int8", "f32", 8}};
  medley_status status = MEDLEY_OK;
  char path[64];
  medley_index_hit *truth = must(mem_alloc(b->query.rows * K, sizeof *truth));
  medley_index_hit *hits = must(mem_alloc(b->query.rows * K, sizeof *hits));
  size_t *found = must(mem_alloc(b->query.rows, sizeof *found));
  snprintf(path, sizeof path, "/tmp/bench_index-%d.index", (int)getpid());
  TRY(index_build(b, (medley_index_options){.kind = "exact"}, &b->exact, err));
  TRY(medley_index_search_batch(b->exact, &(medley_index_query){.k = K}, b->query.values, b->query.rows, truth, found,
                                NULL, err));
  medley_index_close(b->exact);
  b->exact = NULL;
  printf("%zu x %zu, bytes a vector; recall@10, queries/s with %d threads at breadth 32, 64, 128\n", b->base.rows,
         b->base.dim, omp_get_max_threads());
  printf("| vectors | links | file | of it without full vectors | 32 | 64 | 128 | resident then |\n");
  printf("|---|---|---|---|---|---|---|---|\n");
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
    TRY(setting_write(b, &settings[i], path, err));
    TRY(setting_show(b, &settings[i], path, truth, hits, found, err));
    remove(path);
  }
done:
  remove(path);
  mem_free(truth);
  mem_free(hits);
  mem_free(found);
  return status;
}

/* ---- the mix ---- */

#define MIX_THREADS 2
#define MIX_ROUNDS \
  10 /* of the mix, each behind a tenth as long of reading only: what else the machine does meets both */
#define MIX_SHARE 0.1
#define MIX_LATENCIES ((size_t)1 << 24) /* of a thread and a round */

typedef struct mix {
  bench *b;
  medley_index *index;
  double end_s;
  bool writes;
  uint64_t seed;
  size_t parity;
  float *latencies_ms;
  size_t searches, changes;
  bool failed;
} mix;

/* What the rounds of one kind took together. */
typedef struct mix_sum {
  float *latencies_ms;
  size_t searches, capacity, changes;
  double seconds;
} mix_sum;

/* A thread owns the ids of its parity: what it removes it may put back. */
static void change(mix *m, rng *r, uint8_t *gone) {
  medley_error err = {0};
  size_t dim = m->b->base.dim, row = rng_below(r, m->b->base.rows / MIX_THREADS) * MIX_THREADS + m->parity;
  uint64_t id = row;
  if (gone[row])
    m->failed |= medley_index_add(m->index, &id, m->b->base.values + row * dim, 1, NULL, &err) != MEDLEY_OK;
  else
    m->failed |= medley_index_remove(m->index, &id, 1, NULL, &err) != MEDLEY_OK;
  gone[row] ^= 1;
  m->changes++;
}

static uint8_t *mix_gone; /* [rows] of both threads, each its own parity */

static void *mix_run(void *context) {
  mix *m = context;
  rng r;
  rng_seed(&r, m->seed);
  while (clock_now_s() < m->end_s) {
    if (m->writes && rng_below(&r, 10) == 0) {
      change(m, &r, mix_gone);
      continue;
    }
    medley_error err = {0};
    medley_index_hit hits[K];
    size_t found;
    size_t which = rng_below(&r, m->b->query.rows);
    medley_index_query q = {.vector = m->b->query.values + which * m->b->query.dim, .k = K};
    double start = clock_now_s();
    m->failed |= medley_index_search(m->index, &q, hits, &found, NULL, &err) != MEDLEY_OK;
    if (m->searches < MIX_LATENCIES) m->latencies_ms[m->searches++] = (float)(1e3 * (clock_now_s() - start));
  }
  return NULL;
}

/* All threads for a while. */
static void mix_round(bench *b, double seconds, bool writes, uint64_t round, mix_sum *sum) {
  mix threads[MIX_THREADS];
  pthread_t handles[MIX_THREADS];
  for (size_t t = 0; t < MIX_THREADS; t++) {
    threads[t] = (mix){.b = b,
                       .index = b->index,
                       .end_s = clock_now_s() + seconds,
                       .writes = writes,
                       .seed = 2 + round * MIX_THREADS + t,
                       .parity = t,
                       .latencies_ms = must(mem_alloc(MIX_LATENCIES, sizeof(float)))};
    if (pthread_create(&handles[t], NULL, mix_run, &threads[t]) != 0) exit(1);
  }
  for (size_t t = 0; t < MIX_THREADS; t++) {
    pthread_join(handles[t], NULL);
    size_t all = sum->searches + threads[t].searches;
    void *grown = sum->latencies_ms;
    if (!mem_grow(&grown, &sum->capacity, all, sizeof(float))) must(NULL);
    sum->latencies_ms = grown;
    memcpy(sum->latencies_ms + sum->searches, threads[t].latencies_ms, threads[t].searches * sizeof(float));
    sum->searches = all;
    sum->changes += threads[t].changes;
    if (threads[t].failed) printf("a call has failed\n");
    mem_free(threads[t].latencies_ms);
  }
  sum->seconds += seconds;
}

static int float_order(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

/* Prints and returns p99. */
static double mix_told(mix_sum *sum, const char *name) {
  float *all = sum->latencies_ms;
  size_t count = sum->searches;
  if (count == 0) return NAN;
  qsort(all, count, sizeof *all, float_order);
  double p99 = all[count * 99 / 100];
  printf("| %s | %.0f | %.0f | %.0f | %.3f | %.3f | %.3f | %.3f |\n", name, sum->seconds, (double)count / sum->seconds,
         (double)sum->changes / sum->seconds, all[count / 2], p99, all[count * 999 / 1000], all[count - 1]);
  mem_free(sum->latencies_ms);
  *sum = (mix_sum){0};
  return p99;
}

/* The rounds of both, and how p99 of the mix stands to that of reading only. */
static double mix_rounds(bench *b, double seconds) {
  mix_sum reading = {0}, mixed = {0};
  for (uint64_t round = 0; round < MIX_ROUNDS; round++) {
    mix_round(b, seconds / MIX_ROUNDS * MIX_SHARE, false, 2 * round, &reading);
    mix_round(b, seconds / MIX_ROUNDS, true, 2 * round + 1, &mixed);
  }
  printf(
      "| | seconds | searches/s | changes/s | p50 ms | p99 ms | p99.9 ms | worst ms |\n"
      "|---|---|---|---|---|---|---|---|\n");
  double read_only = mix_told(&reading, "reading only");
  return mix_told(&mixed, "mix") / read_only;
}

static medley_status mix_bench(bench *b, double seconds, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index *fresh = NULL;
  medley_index_recall before, after, anew;
  size_t queries = b->query.rows < 1000 ? b->query.rows : 1000, count = 0;
  uint64_t *ids = must(mem_alloc(b->base.rows, sizeof *ids));
  float *left = must(mem_alloc(b->base.rows * b->base.dim, sizeof *left));
  mix_gone = must(mem_zalloc(b->base.rows, 1));
  TRY(index_build(b, (medley_index_options){0}, &b->index, err));
  TRY(medley_index_measure(b->index, b->query.values, queries, K, 0, NULL, &before, err));
  omp_set_num_threads(1);
  double slower = mix_rounds(b, seconds);
  TRY(medley_index_measure(b->index, b->query.values, queries, K, 0, NULL, &after, err));
  for (size_t i = 0; i < b->base.rows; i++) {
    if (mix_gone[i]) continue;
    ids[count] = i;
    memcpy(left + count++ * b->base.dim, b->base.values + i * b->base.dim, b->base.dim * sizeof *left);
  }
  omp_set_num_threads(MIX_THREADS);
  TRY(medley_index_create(NULL, &(medley_index_options){.dim = b->base.dim, .seed = 1}, &fresh, err));
  TRY(medley_index_add(fresh, ids, left, count, NULL, err));
  TRY(medley_index_measure(fresh, b->query.values, queries, K, 0, NULL, &anew, err));
  printf(
      "recall@10 at the start %.4f, after the mix %.4f, of a fresh build of the same %zu vectors %.4f; p99 %.2f of "
      "reading only\n",
      before.recall, after.recall, count, anew.recall, slower);
  medley_index_health health;
  TRY(medley_index_check(b->index, NULL, &health, err));
  printf("healthy: %zu vectors, %zu can be reached, %zu links to removed ones\n", health.vectors, health.reachable,
         health.dead_links);
done:
  medley_index_close(fresh);
  mem_free(ids);
  mem_free(left);
  mem_free(mix_gone);
  return status;
}

int main(int count, char **words) {
  medley_error err = {0};
  bench b = {.metric = "cos"};
  medley_status status;
  if (count == 3 && strcmp(words[1], "--worker") == 0) return worker(words[2]);
  if (count > 3 && strcmp(words[1], "--open") == 0) {
    b.query = matrix_read(words[3], 0, &err);
    status = b.query.values == NULL ? MEDLEY_ERR_INPUT
                                    : opening_bench(words[2], b.query.values, b.query.rows, b.query.dim,
                                                    count > 4 ? strtoul(words[4], NULL, 10) : 5, &err);
    if (status != MEDLEY_OK) fprintf(stderr, "bench_index: %s\n", err.text);
    mem_free(b.query.values);
    return status == MEDLEY_OK ? 0 : 1;
  }
  bool mixed = count > 3 && strcmp(words[1], "--mix") == 0, bytes = count > 3 && strcmp(words[1], "--bytes") == 0;
  if (mixed || bytes || (count > 3 && strcmp(words[1], "--vectors") == 0)) {
    b.base = matrix_read(words[2], count > 4 ? strtoul(words[4], NULL, 10) : 0, &err);
    if (b.base.values != NULL) b.query = matrix_read(words[3], 0, &err);
    if (b.query.values == NULL) {
      fprintf(stderr, "bench_index: %s\n", err.text);
      return 1;
    }
  } else if (count == 1) {
    b.base = mixture(50000, 128, 2);
    b.query = mixture(500, 128, 3);
  } else {
    fprintf(stderr,
            "bench_index [--vectors | --bytes | --mix] BASE.npy QUERY.npy [ROWS [SECONDS]], or --worker NAME\n");
    return 2;
  }
  if (mixed)
    status = mix_bench(&b, count > 5 ? strtod(words[5], NULL) : 600, &err);
  else
    status = bytes ? bytes_bench(&b, &err) : look(&b, &err);
  if (status != MEDLEY_OK) fprintf(stderr, "bench_index: %s\n", err.text);
  medley_index_close(b.index);
  mem_free(b.base.values);
  mem_free(b.query.values);
  return status == MEDLEY_OK ? 0 : 1;
}
