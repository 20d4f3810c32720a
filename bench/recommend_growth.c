/* bench/recommend_growth.c: see bench/recommend_growth.h. */
#include "bench/recommend_growth.h"

#include <math.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "bench/recommend_data.h"
#include "learn/measure.h"

enum { REQUESTS = 101 };
#define REQUESTS_S 2.0
#define FINE_S 0.1 /* below it the processor's account, kept by ticks, is too coarse */
#define GIB 1073741824.0

/* In an order in which both neighbours that a size is foretold from come before it. */
const growth_size growth_sizes[GROWTH_SIZES] = {
    {1000, 100000},     {10000, 1000000},    {100000, 1000000},  {10000, 10000000},   {1000000, 1000000},
    {100000, 10000000}, {1000000, 10000000}, {10000, 100000000}, {100000, 100000000}, {1000000, 100000000},
};

double *recommender_length(const recommender_kind *kind, double *values) {
  for (size_t s = 0; kind->settings != NULL && kind->settings[s].name != NULL; s++)
    if (strcmp(kind->settings[s].name, "epochs") == 0 || strcmp(kind->settings[s].name, "sweeps") == 0)
      return &values[s];
  return NULL;
}

/* ---- one model at one size, in the child ---- */

static double processor_now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double bytes_mapped(void) {
  unsigned long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f == NULL || fscanf(f, "%lu", &pages) != 1) pages = 0;
  if (f != NULL) fclose(f);
  return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* Processor time and not the clock's, because others may use the machine as well; the clock ends what waits. */
static void limits_set(const growth_options *o, double left_s) {
  struct rlimit processor = {(rlim_t)o->limit_s + 1, (rlim_t)o->limit_s + 5},
                memory = {(rlim_t)(bytes_mapped() + o->memory_gib * GIB), RLIM_INFINITY}, core = {0, 0};
  setrlimit(RLIMIT_CPU, &processor);
  setrlimit(RLIMIT_AS, &memory);
  setrlimit(RLIMIT_CORE, &core);
  alarm((unsigned)left_s + 1);
}

static medley_status fit_once(const recommender_kind *kind, const recommender_data *data, const double *values,
                              double *seconds, recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double clock = clock_now_s(), processor = processor_now_s();
  TRY(kind->fit(data, values, NULL, out, err));
  clock = clock_now_s() - clock, processor = processor_now_s() - processor;
  *seconds = processor < FINE_S ? fmin(clock, FINE_S) : processor;
done:
  return status;
}

/* Of what goes round in epochs or sweeps, one and two are run and the others foretold: they cost the same. */
static medley_status fit_measure(const recommender_kind *kind, const recommender_data *data, growth_cell *cell,
                                 recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double values[RECOMMENDER_SETTINGS_MAX], first, second;
  recommender_defaults(kind, values);
  double *length = recommender_length(kind, values), wanted = length ? *length : 0;
  if (length == NULL || wanted <= 3) {
    TRY(fit_once(kind, data, values, &cell->seconds, out, err));
    goto done;
  }
  *length = 1;
  TRY(fit_once(kind, data, values, &first, out, err));
  (*out)->kind->free(*out);
  *out = NULL;
  cell->seconds = first * wanted;
  *length = 2;
  TRY(fit_once(kind, data, values, &second, out, err));
  cell->seconds = second + (wanted - 2) * fmax(second - first, 0);
done:
  return status;
}

static int double_compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static medley_status requests_measure(const data_set *d, const recommender *model, growth_cell *cell,
                                      medley_error *err) {
  medley_status status = MEDLEY_OK;
  history_buffer buffer = {0};
  recommender_scratch scratch = {0};
  double times[REQUESTS], begin = clock_now_s();
  float *scores = NULL;
  size_t count = 0;
  uint32_t users = d->train.by_user.rows;
  TRY_NEW(scores, d->train.by_user.columns, "scores");
  for (size_t k = 0; k < REQUESTS && (count < 3 || clock_now_s() - begin < REQUESTS_S); k++) {
    history h;
    TRY(history_of_row(&d->train, (uint32_t)(k * (users / REQUESTS)), NULL, &buffer, &h, err));
    double started = clock_now_s();
    TRY(model->kind->score(model, &h, &scratch, scores, err));
    if (k > 0) times[count++] = clock_now_s() - started; /* the first one makes room */
  }
  qsort(times, count, sizeof *times, double_compare);
  cell->request_ms = 1e3 * times[count / 2];
done:
  history_buffer_deinit(&buffer);
  recommender_scratch_deinit(&scratch);
  mem_free(scores);
  return status;
}

static medley_status cell_measure(const data_set *d, const recommender_kind *kind, growth_cell *cell,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  recommender *model = NULL;
  recommender_data data = {.train = &d->train, .seed = 1};
  if (kind->needs_features) data.features = d->features, data.feature_count = d->feature_count;
  cell->outcome = GROWTH_REFUSED;
  if (kind->accepts != NULL) TRY(kind->accepts(&data, err));
  cell->outcome = GROWTH_FAILED;
  memory_peak_reset();
  double base = (double)memory_peak_bytes(), begin = processor_now_s();
  TRY(fit_measure(kind, &data, cell, &model, err));
  cell->bytes = (double)memory_peak_bytes() - base;
  TRY(requests_measure(d, model, cell, err));
  cell->spent_s = processor_now_s() - begin;
  cell->outcome = GROWTH_FITTED;
done:
  if (status != MEDLEY_OK) snprintf(cell->why, sizeof cell->why, "%.150s", err->text);
  if (status == MEDLEY_ERR_MEMORY) cell->outcome = GROWTH_TOO_LARGE;
  return status;
}

/* ---- all of them, in the parent ---- */

static const char *const outcomes[] = {"not tried", "fitted", "refused", "too long", "too large", "failed"};

static medley_status cell_run(const growth *g, const data_set *d, const recommender_kind *kind, double left_s,
                              growth_cell *shared, growth_cell *out, medley_error *err) {
  int ended;
  *shared = (growth_cell){.outcome = GROWTH_FAILED, .request_ms = NAN};
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) return error_set(err, MEDLEY_ERR_IO, "no process for %s", kind->name);
  if (child == 0) {
    medley_error why = {0};
    limits_set(g->options, left_s);
    omp_set_num_threads((int)g->options->threads);
    _exit(cell_measure(d, kind, shared, &why) != MEDLEY_OK);
  }
  if (waitpid(child, &ended, 0) < 0) return error_set(err, MEDLEY_ERR_IO, "%s cannot be waited for", kind->name);
  *out = *shared;
  if (!WIFSIGNALED(ended)) return MEDLEY_OK;
  int by = WTERMSIG(ended);
  out->outcome = by == SIGXCPU || by == SIGKILL ? GROWTH_TOO_LONG : by == SIGALRM ? GROWTH_NOT_TRIED : GROWTH_FAILED;
  snprintf(out->why, sizeof out->why, by == SIGALRM ? "no time was left" : "ended by signal %d", by);
  return MEDLEY_OK;
}

static size_t size_find(double items, double events) {
  for (size_t s = 0; s < GROWTH_SIZES; s++)
    if (growth_sizes[s].items == items && (double)growth_sizes[s].events == events) return s;
  return GROWTH_SIZES;
}

/* From the size before on a line of sizes, and the one before that: it grows by what it grew, or `least`. */
static double foretold(double before, double earlier, double least) {
  return before * fmax(least, earlier > 0 ? before / earlier : 0);
}

/* Whether a model may be tried at a size, by what it did on the line of sizes through `before` and `earlier`. */
static bool line_allows(const growth *g, size_t model, size_t before, size_t earlier, double least, growth_cell *out) {
  static const growth_cell none = {0};
  if (before == GROWTH_SIZES) return true;
  const growth_cell *b = &g->cell[model][before], *e = earlier < GROWTH_SIZES ? &g->cell[model][earlier] : &none;
  if (b->outcome != GROWTH_FITTED) {
    out->outcome = b->outcome == GROWTH_REFUSED ? GROWTH_REFUSED : GROWTH_NOT_TRIED;
    snprintf(out->why, sizeof out->why, "%s with %u items and %llu events", outcomes[b->outcome],
             growth_sizes[before].items, (unsigned long long)growth_sizes[before].events);
    return false;
  }
  double seconds = foretold(b->spent_s, e->spent_s, least), bytes = foretold(b->bytes, e->bytes, 1);
  bool holds = seconds <= g->options->limit_s && bytes <= g->options->memory_gib * GIB;
  if (!holds) snprintf(out->why, sizeof out->why, "would need %.0f s and %.1f GB", seconds, bytes / 1e9);
  return holds;
}

static bool size_allows(const growth *g, size_t model, size_t s, growth_cell *out) {
  double items = growth_sizes[s].items, events = (double)growth_sizes[s].events;
  size_t small = s == 1 ? 0 : GROWTH_SIZES;
  return line_allows(g, model, small, GROWTH_SIZES, 10, out) &&
         line_allows(g, model, size_find(items, events / 10), size_find(items, events / 100), 10, out) &&
         line_allows(g, model, size_find(items / 10, events), size_find(items / 100, events), 1, out);
}

static void cell_tell(const growth *g, size_t model, size_t s) {
  const growth_cell *c = &g->cell[model][s];
  printf("{\"model\": \"%s\", \"items\": %u, \"events\": %llu, \"outcome\": \"%s\"", g->kinds[model]->name,
         growth_sizes[s].items, (unsigned long long)growth_sizes[s].events, outcomes[c->outcome]);
  if (c->outcome == GROWTH_FITTED)
    printf(", \"seconds\": %.4g, \"spent\": %.4g, \"bytes\": %.0f, \"request_ms\": %.4g", c->seconds, c->spent_s,
           c->bytes, c->request_ms);
  if (c->why[0] != '\0') printf(", \"why\": \"%s\"", c->why);
  printf("}\n");
  fflush(stdout);
}

/* ---- taking up an earlier run ---- */

static void cell_take(growth *g, const json_t *line) {
  const char *model = "", *outcome = "";
  double items = 0, events = 0;
  growth_cell c = {.request_ms = NAN};
  if (json_unpack((json_t *)line, "{s:s, s:F, s:F, s:s, s?F, s?F, s?F, s?F}", "model", &model, "items", &items,
                  "events", &events, "outcome", &outcome, "seconds", &c.seconds, "spent", &c.spent_s, "bytes", &c.bytes,
                  "request_ms", &c.request_ms) != 0)
    return;
  for (size_t o = 0; o < sizeof outcomes / sizeof *outcomes; o++)
    if (strcmp(outcomes[o], outcome) == 0) c.outcome = (growth_outcome)o;
  size_t s = size_find(items, events);
  for (size_t k = 0; k < g->kind_count && s < GROWTH_SIZES; k++)
    if (strcmp(g->kinds[k]->name, model) == 0) g->cell[k][s] = c;
}

/* Lines of JSON as cell_tell wrote them; what was not tried is tried now. */
static medley_status growth_resume(growth *g, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char line[1024];
  FILE *in = fopen(g->options->resume, "r");
  if (in == NULL) FAIL(err, MEDLEY_ERR_IO, "%s cannot be opened", g->options->resume);
  while (fgets(line, sizeof line, in) != NULL) {
    json_t *read = NULL;
    TRY(json_parse(line, strlen(line), g->options->resume, &read, err));
    cell_take(g, read);
    json_decref(read);
  }
done:
  if (in != NULL) fclose(in);
  return status;
}

/* The parent computes on one thread: a process whose threads have begun to work must not be forked. */
static medley_status size_run(growth *g, size_t s, double end_s, growth_cell *shared, medley_error *err) {
  medley_status status = MEDLEY_OK;
  data_set d = {0};
  omp_set_num_threads(1);
  for (size_t k = 0; k < g->kind_count; k++) {
    growth_cell *cell = &g->cell[k][s];
    if (cell->outcome != GROWTH_NOT_TRIED) continue;
    cell->request_ms = NAN;
    if (clock_now_s() >= end_s)
      snprintf(cell->why, sizeof cell->why, "no time was left");
    else if (size_allows(g, k, s, cell)) {
      if (d.train.by_user.rows == 0) TRY(data_set_generate(&d, growth_sizes[s].items, growth_sizes[s].events, err));
      TRY(cell_run(g, &d, g->kinds[k], fmax(end_s - clock_now_s(), 1), shared, cell, err));
    }
    cell_tell(g, k, s);
  }
done:
  data_set_close(&d);
  return status;
}

medley_status growth_run(const growth_options *options, const recommender_kind *const *kinds, size_t kind_count,
                         medley_error *err) {
  medley_status status = MEDLEY_OK;
  double end_s = clock_now_s() + 60 * options->minutes;
  growth *g = NULL;
  growth_cell *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return error_memory(err, "a result");
  TRY_NEW(g, 1, "results");
  g->options = options;
  g->kinds = kinds;
  g->kind_count = kind_count < GROWTH_MODELS_MAX ? kind_count : GROWTH_MODELS_MAX;
  if (options->resume != NULL) TRY(growth_resume(g, err));
  for (size_t s = 0; s < GROWTH_SIZES && (double)s < options->points; s++) TRY(size_run(g, s, end_s, shared, err));
  if (options->output != NULL) TRY(growth_page_write(g, err));
done:
  munmap(shared, sizeof *shared);
  mem_free(g);
  return status;
}
