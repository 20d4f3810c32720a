/* cli/index_bench.c: medley index bench: how good and how fast an index of these vectors is.
 *
 * The truth is what an exact index of float32 vectors answers, whatever the measured one holds. Queries that were held
 * out are in neither: a vector that finds itself would make everything look better. Each measurement is made
 * `rounds` times over all queries (again and again when they are few); queries/s is the median round, latencies are
 * those of all rounds.
 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/rng.h"
#include "cli/index_actions.h"

#define QUERIES_DEFAULT 1000
#define HELD_OUT_SHARE 10    /* at most one row in so many is held out */
#define ROWS_MIN 20          /* for holding out */
#define TRUTH_BATCH 256      /* queries between two looks at Ctrl-C */
#define ASKS_MIN 1000        /* of a round */
#define EXACT_ASKS 100       /* of a round, one by one of the exact index */
#define RECALL_ENOUGH 0.9995 /* the default list of breadths ends here */
#define SHARE_ATTRIBUTE "share"

#define NARROWEST 3 /* of the graph, by itself no less than a third of the answers are followed */
static const size_t default_breadths[] = {4, 6, 8, 10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 0};
static const size_t default_lists[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 0};
static const double goals[] = {0.95, 0.99};

typedef struct bench {
  const arguments *a;
  const medley_progress *progress;
  medley_index_options options;
  medley_vectors data, given;
  float *rest, *held_out; /* of data, when no queries were given */
  const float *base;      /* [count, dim] what is in the index, ids 0 … */
  const float *queries;   /* [query_count, dim] */
  size_t dim, count, query_count, k, threads, rounds;
  medley_index *exact, *index;
  size_t asks;             /* of a round: query_count, or more when they are few */
  medley_index_hit *truth; /* [query_count, k] */
  size_t *truth_found;     /* [query_count] */
  medley_index_hit *hits;  /* [asks, k] */
  size_t *found;           /* [asks] */
  double *latency;         /* [rounds * asks] seconds */
  double *per_round;       /* [rounds] queries/s */
} bench;

/* ---- queries ---- */

static void rows_part(bench *b, const bool *held) {
  float *next_query = b->held_out, *next = b->rest;
  for (size_t i = 0; i < b->data.count; i++) {
    float **to = held[i] ? &next_query : &next;
    memcpy(*to, b->data.values + i * b->dim, b->dim * sizeof **to);
    *to += b->dim;
  }
}

static medley_status queries_hold_out(bench *b, size_t wanted, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t rows = b->data.count, most = rows / HELD_OUT_SHARE;
  bool *held = NULL;
  rng random;
  if (rows < ROWS_MIN)
    FAIL(err, MEDLEY_ERR_USAGE, "%zu vectors are too few to hold queries out of them (at least %d): give --queries",
         rows, ROWS_MIN);
  b->query_count = wanted < most ? wanted : most;
  b->count = rows - b->query_count;
  TRY_NEW(held, rows, "queries");
  TRY_NEW(b->held_out, b->query_count * b->dim, "queries");
  TRY_NEW(b->rest, b->count * b->dim, "vectors");
  rng_seed(&random, b->options.seed);
  for (size_t taken = 0; taken < b->query_count;) {
    size_t row = (size_t)rng_below(&random, rows);
    taken += !held[row];
    held[row] = true;
  }
  rows_part(b, held);
  medley_vectors_free(&b->data);
  b->base = b->rest;
  b->queries = b->held_out;
done:
  mem_free(held);
  return status;
}

static medley_status input_read(bench *b, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *path = arguments_text(b->a, "file"), *queries = arguments_text(b->a, "queries");
  size_t wanted = (size_t)arguments_integer(b->a, "count", QUERIES_DEFAULT);
  TRY(medley_vectors_read(path, &b->data, err));
  b->dim = b->data.dim;
  TRY(index_options_of(b->a, b->dim, &b->options, err));
  if (queries == NULL) {
    TRY(queries_hold_out(b, wanted, err));
    goto done;
  }
  TRY(index_vectors_read(queries, b->dim, path, &b->given, err));
  b->base = b->data.values;
  b->count = b->data.count;
  b->queries = b->given.values;
  b->query_count = wanted < b->given.count ? wanted : b->given.count;
done:
  return status;
}

static medley_status room_make(bench *b, medley_error *err) {
  medley_status status = MEDLEY_OK;
  b->asks = b->query_count > ASKS_MIN ? b->query_count : ASKS_MIN;
  TRY_NEW(b->truth, b->query_count * b->k, "hits");
  TRY_NEW(b->truth_found, b->query_count, "hits");
  TRY_NEW(b->hits, b->asks * b->k, "hits");
  TRY_NEW(b->found, b->asks, "hits");
  TRY_NEW(b->latency, b->asks * b->rounds, "latencies");
  TRY_NEW(b->per_round, b->rounds, "latencies");
done:
  return status;
}

/* ---- the indexes ---- */

static medley_status base_add(bench *b, medley_index *index, double *seconds, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t *ids = NULL;
  TRY_NEW(ids, b->count, "ids");
  for (size_t i = 0; i < b->count; i++) ids[i] = i;
  double begun = clock_now_s();
  TRY(medley_index_add(index, ids, b->base, b->count, b->progress, err));
  *seconds = clock_now_s() - begun;
done:
  mem_free(ids);
  return status;
}

/* "share" is a different place between 0 and 1 for each vector, at random: a filter "share < 0.01" lets 1 % pass. */
static medley_status shares_set(bench *b, medley_index *index, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *order = NULL;
  char text[64];
  rng random;
  progress_stage stage;
  progress_begin(&stage, b->progress, "set attributes", b->count);
  TRY_NEW(order, b->count, "attributes");
  for (size_t i = 0; i < b->count; i++) order[i] = (uint32_t)i;
  rng_seed(&random, b->options.seed + 1);
  rng_shuffle(&random, order, b->count);
  for (size_t i = 0; i < b->count; i++) {
    snprintf(text, sizeof text, "{\"" SHARE_ATTRIBUTE "\": %.12f}", ((double)order[i] + 0.5) / (double)b->count);
    TRY(medley_index_set_attributes(index, i, text, err));
    TRY(progress_update(&stage, i, err));
  }
  progress_end(&stage, b->count);
done:
  mem_free(order);
  return status;
}

static medley_status indexes_make(bench *b, double *build_seconds, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index_options exact = {.dim = b->dim, .kind = "exact", .distance = b->options.distance};
  double ignored;
  bool shares = arguments_has(b->a, "filter-shares");
  TRY(medley_index_create(NULL, &b->options, &b->index, err));
  TRY(medley_index_create(NULL, &exact, &b->exact, err));
  TRY(base_add(b, b->exact, &ignored, err));
  TRY(base_add(b, b->index, build_seconds, err));
  if (shares) TRY(shares_set(b, b->exact, err));
  if (shares) TRY(shares_set(b, b->index, err));
done:
  return status;
}

/* *rate: queries a second. */
static medley_status truth_find(bench *b, const char *filter, double *rate, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index_query query = {.k = b->k, .filter = filter, .exact = 1};
  progress_stage stage;
  double begun = clock_now_s();
  progress_begin(&stage, b->progress, "exact search", b->query_count);
  for (size_t at = 0, batch = TRUTH_BATCH; at < b->query_count; at += batch) {
    if (batch > b->query_count - at) batch = b->query_count - at;
    TRY(medley_index_search_batch(b->exact, &query, b->queries + at * b->dim, batch, b->truth + at * b->k,
                                  b->truth_found + at, NULL, err));
    TRY(progress_update(&stage, at + batch, err));
  }
  *rate = (double)b->query_count / (clock_now_s() - begun);
  progress_end(&stage, b->query_count);
done:
  return status;
}

/* ---- one measurement ---- */

typedef struct run {
  medley_index_query query; /* without a vector */
  medley_index *index;
  size_t count, asks; /* different queries; asked in a round, not less */
  double recall, low, high;
  double rate, slowest, fastest; /* queries/s of the rounds */
  double p50_ms, p99_ms;
  double compared; /* vectors a query, mean */
  bool exact;
  size_t passing;
} run;

static int number_order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* A round over the threads. */
static medley_status round_ask(bench *b, run *r, double *latency, double *seconds, medley_error *err) {
  medley_status first = MEDLEY_OK;
  double compared = 0, begun = clock_now_s();
  bool exact = true;
  size_t passing = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)b->threads) reduction(+ : compared) \
    reduction(&& : exact) reduction(max : passing)
  for (size_t i = 0; i < r->asks; i++) {
    medley_error own_error = {0};
    medley_index_answer answer = {0};
    medley_index_query query = r->query;
    query.vector = b->queries + i % r->count * b->dim;
    double before = clock_now_s();
    medley_status status = medley_index_search(r->index, &query, b->hits + i * b->k, &b->found[i], &answer, &own_error);
    latency[i] = clock_now_s() - before;
    compared += (double)answer.distances;
    exact = exact && answer.exact;
    passing = answer.passing > passing ? answer.passing : passing;
    if (status == MEDLEY_OK) continue;
#pragma omp critical(index_bench)
    if (first == MEDLEY_OK) {
      first = status;
      *err = own_error;
    }
  }
  *seconds = clock_now_s() - begun;
  r->compared = compared / (double)r->asks;
  r->exact = exact;
  r->passing = passing;
  return first;
}

/* How near a vector is, in double, so that equal vectors are equally near. */
static double nearness(const bench *b, const float *query, uint64_t id) {
  const float *v = b->base + id * b->dim;
  double dot = 0, own = 0, away = 0;
  for (size_t d = 0; d < b->dim; d++) {
    dot += (double)query[d] * v[d];
    own += (double)v[d] * v[d];
    away += ((double)query[d] - v[d]) * ((double)query[d] - v[d]);
  }
  if (b->options.distance != NULL && strcmp(b->options.distance, "l2") == 0) return -away;
  if (b->options.distance != NULL && strcmp(b->options.distance, "dot") == 0) return dot;
  return own > 0 ? dot / sqrt(own) : 0;
}

/* The share of the truth that was found. Of equal vectors, whichever was found is right. */
static double recall_of(const bench *b, size_t query) {
  const medley_index_hit *truth = b->truth + query * b->k, *hits = b->hits + query * b->k;
  const float *vector = b->queries + query * b->dim;
  size_t wanted = b->truth_found[query], good = 0;
  double worst = wanted > 0 ? nearness(b, vector, truth[wanted - 1].id) : 0;
  for (size_t i = 0; i < b->found[query]; i++) {
    bool known = false;
    for (size_t j = 0; j < wanted && !known; j++) known = truth[j].id == hits[i].id;
    good += known || nearness(b, vector, hits[i].id) >= worst;
  }
  return good < wanted ? (double)good / (double)wanted : 1;
}

static void recall_sum(const bench *b, run *r) {
  double sum = 0, square = 0, n = (double)r->count;
  for (size_t i = 0; i < r->count; i++) {
    double recall = recall_of(b, i);
    sum += recall;
    square += recall * recall;
  }
  double spread = 1.96 * sqrt(fmax(square / n - sum / n * (sum / n), 0) / n);
  r->recall = sum / n;
  r->low = fmax(r->recall - spread, 0);
  r->high = fmin(r->recall + spread, 1);
}

static medley_status run_measure(bench *b, run *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t asked = 0;
  for (size_t round = 0; round < b->rounds; round++, asked += r->asks) {
    double seconds;
    TRY(round_ask(b, r, b->latency + asked, &seconds, err));
    b->per_round[round] = (double)r->asks / fmax(seconds, 1e-9);
  }
  qsort(b->latency, asked, sizeof *b->latency, number_order);
  qsort(b->per_round, b->rounds, sizeof *b->per_round, number_order);
  r->rate = b->per_round[b->rounds / 2];
  r->slowest = b->per_round[0];
  r->fastest = b->per_round[b->rounds - 1];
  r->p50_ms = 1e3 * b->latency[asked / 2];
  r->p99_ms = 1e3 * b->latency[asked * 99 / 100];
  recall_sum(b, r);
done:
  return status;
}

static json_t *run_json(const run *r) {
  return json_pack("{s:I, s:f, s:f, s:f, s:b, s:f, s:f, s:f, s:f, s:f, s:f}", "breadth", (json_int_t)r->query.breadth,
                   "recall", r->recall, "low", r->low, "high", r->high, "exact", r->exact, "queries_per_second",
                   r->rate, "slowest", r->slowest, "fastest", r->fastest, "compared", r->compared, "p50_ms", r->p50_ms,
                   "p99_ms", r->p99_ms);
}

/* ---- all of them ---- */

static medley_status report_add(json_t *to, const char *key, json_t *value, medley_error *err) {
  int failed = json_is_array(to) ? json_array_append_new(to, value) : json_object_set_new(to, key, value);
  return failed ? error_memory(err, "the report") : MEDLEY_OK;
}

static bool kind_is(const bench *b, const char *kind) {
  return b->options.kind != NULL && strcmp(b->options.kind, kind) == 0;
}

static size_t breadth_at(const bench *b, size_t i, bool *given) {
  const char *const *typed = arguments_list(b->a, "breadths");
  long long value = 0;
  *given = typed != NULL;
  if (*given) return typed[i] != NULL && string_to_int64(typed[i], &value) ? (size_t)value : 0;
  return (kind_is(b, "ivfpq") ? default_lists : default_breadths)[i];
}

/* *good: the first breadth that reaches 0.95, or the last one. */
static medley_status breadths_measure(bench *b, json_t *report, size_t *good, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *runs = json_array(), *reached = json_object();
  bool given, over = false, is_graph = !kind_is(b, "ivfpq");
  progress_stage stage;
  TRY(report_add(report, "runs", runs, err));
  TRY(report_add(report, "reached", reached, err));
  progress_begin(&stage, b->progress, "search", 0);
  for (size_t i = 0, breadth; !over && (breadth = breadth_at(b, i, &given)) > 0; i++) {
    run r = {.query = {.k = b->k, .breadth = breadth}, .index = b->index, .count = b->query_count, .asks = b->asks};
    /* With the last of the list far below k, k itself, so that there is a run. */
    if (!given && is_graph && breadth * NARROWEST < b->k && !kind_is(b, "exact")) {
      if (breadth_at(b, i + 1, &given) > 0) continue;
      r.query.breadth = b->k;
    }
    if (kind_is(b, "exact")) r.query.breadth = 0;
    TRY(run_measure(b, &r, err));
    TRY(report_add(runs, NULL, run_json(&r), err));
    if (*good == 0 || json_object_size(reached) == 0) *good = r.query.breadth;
    for (size_t g = 0; g < sizeof goals / sizeof *goals; g++) {
      char name[16];
      snprintf(name, sizeof name, "%.2f", goals[g]);
      if (r.recall >= goals[g] && json_object_get(reached, name) == NULL)
        TRY(report_add(reached, name, run_json(&r), err));
    }
    over = kind_is(b, "exact") || (!given && r.recall >= RECALL_ENOUGH);
    TRY(progress_update(&stage, i + 1, err));
  }
  progress_end(&stage, 0);
done:
  return status;
}

static medley_status exact_measure(bench *b, json_t *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  run r = {.query = {.k = b->k, .exact = 1}, .index = b->exact, .count = b->query_count, .asks = EXACT_ASKS};
  double rate;
  TRY(truth_find(b, NULL, &rate, err));
  if (r.count > r.asks) r.count = r.asks;
  TRY(run_measure(b, &r, err));
  json_t *one = run_json(&r);
  TRY(report_add(report, "exact", one, err));
  TRY(report_add(one, "batch_queries_per_second", json_real(rate), err));
done:
  return status;
}

static medley_status filters_measure(bench *b, json_t *report, size_t breadth, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *const *shares = arguments_list(b->a, "filter-shares");
  json_t *rows = json_array();
  TRY(report_add(report, "filters", rows, err));
  for (size_t i = 0; shares != NULL && shares[i] != NULL; i++) {
    char filter[64];
    double share = 0, rate;
    (void)string_to_double(shares[i], &share); /* was checked when it was typed */
    snprintf(filter, sizeof filter, SHARE_ATTRIBUTE " < %.12g", share);
    run r = {.query = {.k = b->k, .breadth = breadth, .filter = filter},
             .index = b->index,
             .count = b->query_count,
             .asks = b->asks};
    TRY(truth_find(b, filter, &rate, err));
    TRY(run_measure(b, &r, err));
    json_t *row = run_json(&r);
    TRY(report_add(rows, NULL, row, err));
    TRY(report_add(row, "share", json_real(share), err));
    TRY(report_add(row, "passing", json_integer((json_int_t)r.passing), err));
    TRY(report_add(row, "exact_queries_per_second", json_real(rate), err));
  }
done:
  return status;
}

static json_t *head_json(const bench *b, double build_seconds) {
  medley_index_info info;
  medley_index_get_info(b->index, &info);
  return json_pack("{s:s, s:I, s:I, s:b, s:I, s:I, s:I, s:o, s:{s:f, s:f}}", "file", arguments_text(b->a, "file"),
                   "vectors", (json_int_t)b->count, "queries", (json_int_t)b->query_count, "held_out",
                   b->held_out != NULL, "k", (json_int_t)b->k, "threads", (json_int_t)b->threads, "rounds",
                   (json_int_t)b->rounds, "index", index_info_json(&info), "build", "seconds", build_seconds,
                   "vectors_per_second", (double)b->count / fmax(build_seconds, 1e-9));
}

static void bench_deinit(bench *b) {
  medley_index_close(b->exact);
  medley_index_close(b->index);
  medley_vectors_free(&b->data);
  medley_vectors_free(&b->given);
  mem_free(b->rest);
  mem_free(b->held_out);
  mem_free(b->truth);
  mem_free(b->hits);
  mem_free(b->truth_found);
  mem_free(b->found);
  mem_free(b->latency);
  mem_free(b->per_round);
}

medley_status index_bench_run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_progress progress = console_progress(c);
  bench b = {.a = a,
             .progress = &progress,
             .k = (size_t)arguments_integer(a, "nearest", 10),
             .threads = index_threads_use(a),
             .rounds = (size_t)arguments_integer(a, "rounds", 3)};
  double build_seconds;
  size_t good = 0;
  json_t *report = NULL;
  TRY(input_read(&b, err));
  TRY(room_make(&b, err));
  TRY(indexes_make(&b, &build_seconds, err));
  report = head_json(&b, build_seconds);
  if (report == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the report");
  TRY(exact_measure(&b, report, err));
  TRY(breadths_measure(&b, report, &good, err));
  if (arguments_has(a, "filter-shares")) TRY(filters_measure(&b, report, good, err));
  status = index_report(c, report, index_bench_show, err);
  report = NULL;
done:
  json_decref(report);
  bench_deinit(&b);
  return status;
}
