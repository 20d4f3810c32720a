/* bench/bench_recommend.c: one recommender fitted by itself: seconds, memory, and how good it is.
 *
 *     bench_recommend FILE.inter [OPTIONS] MODEL[:setting=value,...]...
 *
 * FILE has a line of names and then lines "user item label" with tabs or blanks between (MMRec's .inter): numbers from
 * 0, label 0 learned from, 1 validation, 2 test. Without a FILE a made-up one is taken, so that it runs anywhere.
 *
 *     --features A.npy     vectors of the items, a row an item; may be repeated
 *     --ask valid|test     what the model must find; test
 *     --cold               … and only items without an event in training are ranked
 *     --rounds N           each model is fitted N times, one model after the other; 1
 *     --seed N             1
 *     --worker             for bench/recommend_peers.py: one model; tells that it is ready, then fits once for every
 * line it reads, and measures it when the line says "measure"
 *
 * One line of JSON a model: seconds of each fit, the most memory the process held before (base_bytes) and while fitting
 * (peak_bytes), Recall@20 and NDCG@20 over all users with something to find.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "data/npy.h"
#include "learn/measure.h"
#include "math/vector.h"

enum {
  MODELS_MAX = 64,
  ROUNDS_MAX = 100,
  MADE_USERS = 20000,
  MADE_ITEMS = 5000,
  MADE_EVENTS = 400000,
  MADE_TASTES = 20
};

typedef struct data_set {
  event *events;
  size_t count, capacity;
  uint32_t users, items;
  interactions train, asked;
  features features[FEATURES_MAX];
  size_t feature_count;
  uint8_t *candidate; /* [items] or NULL: all */
} data_set;

typedef struct model_wanted {
  const recommender_kind *kind;
  const char *text;
  double values[RECOMMENDER_SETTINGS_MAX];
  double seconds[ROUNDS_MAX];
  double recall, ndcg;
  uint64_t base_bytes, peak_bytes;
} model_wanted;

typedef struct options {
  const char *file, *ask;
  bool cold, worker;
  int rounds;
  uint64_t seed;
  model_wanted models[MODELS_MAX];
  size_t model_count;
} options;

/* ---- data ---- */

static medley_status event_add(data_set *d, uint32_t user, uint32_t item, int label, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(d->events, d->capacity, d->count + 1, "events");
  d->events[d->count++] = (event){.user = user, .item = item, .value = 1, .split = (uint8_t)label};
  if (user >= d->users) d->users = user + 1;
  if (item >= d->items) d->items = item + 1;
done:
  return status;
}

static medley_status file_read_events(data_set *d, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char line[256];
  unsigned user, item;
  int label;
  FILE *in = fopen(path, "r");
  if (in == NULL) FAIL(err, MEDLEY_ERR_IO, "%s cannot be opened", path);
  while (fgets(line, sizeof line, in) != NULL)
    if (sscanf(line, "%u%u%d", &user, &item, &label) == 3) TRY(event_add(d, user, item, label, err));
done:
  if (in != NULL) fclose(in);
  return status;
}

/* People have one of a few tastes; popular items of theirs are likelier. */
static medley_status events_make(data_set *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng r;
  rng_seed(&r, 1);
  for (size_t e = 0; e < MADE_EVENTS; e++) {
    uint32_t user = (uint32_t)rng_below(&r, MADE_USERS);
    double place = rng_uniform(&r);
    uint32_t within = (uint32_t)(place * place * MADE_ITEMS / MADE_TASTES);
    TRY(event_add(d, user, within * MADE_TASTES + user % MADE_TASTES, e % 10 == 0 ? 2 : e % 10 == 1 ? 1 : 0, err));
  }
done:
  return status;
}

static medley_status matrix_of(const data_set *d, int label, interactions *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t *labels = NULL;
  event_log log = {.user_count = d->users, .item_count = d->items, .events = d->events, .event_count = d->count};
  event_weights weights = {.type_weight = {1}};
  TRY_NEW(labels, d->count, "labels");
  for (size_t e = 0; e < d->count; e++) labels[e] = d->events[e].split == label;
  log.type_names = (char *[]){(char *)"click"};
  log.type_count = 1;
  event_weights_default(&log, &weights);
  TRY(interactions_build(&log, &weights, labels, 1, out, err));
done:
  mem_free(labels);
  return status;
}

static medley_status features_read(data_set *d, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  stream *in = NULL;
  npy_reader r = {0};
  const float *row;
  features *f = &d->features[d->feature_count];
  TRY(stream_open(path, &in, err));
  TRY(npy_open(&r, in, path, err));
  *f = (features){.name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, .count = d->items, .dim = r.dim};
  TRY_NEW(f->values, (size_t)d->items * r.dim, "features");
  TRY_NEW(f->present, d->items, "features");
  d->feature_count++;
  for (uint32_t i = 0; i < d->items; i++) {
    TRY(npy_next(&r, &row, err));
    if (row == NULL) break;
    memcpy(f->values + (size_t)i * r.dim, row, r.dim * sizeof *row);
    f->present[i] = vector_normalise(f->values + (size_t)i * r.dim, r.dim) > 0;
  }
done:
  npy_close(&r);
  stream_close(in);
  return status;
}

static medley_status data_open(data_set *d, const options *o, char **feature, size_t feature_count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(o->file ? file_read_events(d, o->file, err) : events_make(d, err));
  TRY(matrix_of(d, 0, &d->train, err));
  TRY(matrix_of(d, strcmp(o->ask, "valid") == 0 ? 1 : 2, &d->asked, err));
  mem_free(d->events);
  d->events = NULL;
  for (size_t f = 0; f < feature_count; f++) TRY(features_read(d, feature[f], err));
  if (o->cold) TRY_NEW(d->candidate, d->items, "items");
  for (uint32_t i = 0; o->cold && i < d->items; i++)
    d->candidate[i] = d->train.popularity[i] == 0 && d->asked.popularity[i] > 0;
done:
  return status;
}

static void data_close(data_set *d) {
  mem_free(d->events);
  interactions_deinit(&d->train);
  interactions_deinit(&d->asked);
  for (size_t f = 0; f < d->feature_count; f++) features_deinit(&d->features[f]);
  mem_free(d->candidate);
}

/* ---- models ---- */

static medley_status model_fit(const data_set *d, const options *o, model_wanted *m, int round, recommender **out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  recommender_data data = {
      .train = &d->train, .features = d->features, .feature_count = d->feature_count, .seed = o->seed};
  if (m->kind->accepts != NULL) TRY(m->kind->accepts(&data, err));
  memory_peak_reset();
  m->base_bytes = memory_peak_bytes();
  double started = clock_now_s();
  TRY(m->kind->fit(&data, m->values, NULL, out, err));
  m->seconds[round] = clock_now_s() - started;
  m->peak_bytes = memory_peak_bytes();
done:
  return status;
}

static medley_status model_measure(const data_set *d, model_wanted *m, const recommender *model, medley_error *err) {
  medley_status status = MEDLEY_OK;
  measure_metric metrics[2];
  measurement found = {0};
  measure_task task = {.history = &d->train, .test = &d->asked, .candidate = d->candidate};
  uint32_t *users = NULL;
  TRY(measure_metric_parse("recall@20", &metrics[0], err));
  TRY(measure_metric_parse("ndcg@20", &metrics[1], err));
  TRY(measure_users(&task, 0, 1, &users, &task.user_count, err));
  task.users = users;
  scorer what = scorer_of_recommender(model);
  TRY(measure_scorer(&task, &what, &(measure_options){.metrics = metrics, .metric_count = 2}, NULL, &found, err));
  m->recall = measurement_mean(&found, 0);
  m->ndcg = measurement_mean(&found, 1);
done:
  measurement_deinit(&found);
  mem_free(users);
  return status;
}

static void model_tell(const model_wanted *m, int rounds, bool measured) {
  printf("{\"model\": \"%s\", \"seconds\": [", m->text);
  for (int r = 0; r < rounds; r++) printf("%s%.4f", r ? ", " : "", m->seconds[r]);
  printf("], \"base_bytes\": %llu, \"peak_bytes\": %llu", (unsigned long long)m->base_bytes,
         (unsigned long long)m->peak_bytes);
  if (measured) printf(", \"recall@20\": %.5f, \"ndcg@20\": %.5f", m->recall, m->ndcg);
  printf("}\n");
  fflush(stdout);
}

static medley_status models_run(const data_set *d, options *o, medley_error *err) {
  medley_status status = MEDLEY_OK;
  recommender *model = NULL;
  for (int r = 0; r < o->rounds; r++)
    for (size_t i = 0; i < o->model_count; i++) {
      model_wanted *m = &o->models[i];
      TRY(model_fit(d, o, m, r, &model, err));
      if (r + 1 == o->rounds) {
        TRY(model_measure(d, m, model, err));
        model_tell(m, o->rounds, true);
      }
      model->kind->free(model);
      model = NULL;
    }
done:
  if (model != NULL) model->kind->free(model);
  return status;
}

static medley_status worker_run(const data_set *d, options *o, medley_error *err) {
  medley_status status = MEDLEY_OK;
  recommender *model = NULL;
  char line[64];
  puts("{\"ready\": true}");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    model_wanted *m = &o->models[0];
    bool measure = strncmp(line, "measure", 7) == 0;
    TRY(model_fit(d, o, m, 0, &model, err));
    if (measure) TRY(model_measure(d, m, model, err));
    model->kind->free(model);
    model = NULL;
    model_tell(m, 1, measure);
  }
done:
  if (model != NULL) model->kind->free(model);
  return status;
}

/* ---- the command line ---- */

/* "bpr:epochs=10,dim=64" */
static medley_status model_parse(const char *text, model_wanted *m, medley_error *err) {
  char name[64], setting[64];
  double value;
  size_t length = strcspn(text, ":");
  snprintf(name, sizeof name, "%.*s", (int)length, text);
  m->text = text;
  m->kind = recommender_kind_find(name);
  if (m->kind == NULL) return error_set(err, MEDLEY_ERR_USAGE, "there is no recommender '%s'", name);
  recommender_defaults(m->kind, m->values);
  for (text += length; *text != '\0';) {
    int read = 0;
    size_t s = 0;
    if (sscanf(text + 1, "%63[a-z0-9_]=%lf%n", setting, &value, &read) != 2)
      return error_set(err, MEDLEY_ERR_USAGE, "'%s': settings are name=value,...", m->text);
    while (m->kind->settings[s].name != NULL && strcmp(m->kind->settings[s].name, setting) != 0) s++;
    if (m->kind->settings[s].name == NULL)
      return error_set(err, MEDLEY_ERR_USAGE, "%s has no setting '%s'", name, setting);
    m->values[s] = value;
    text += 1 + read;
  }
  return MEDLEY_OK;
}

static medley_status options_parse(int argc, char **argv, options *o, char **feature, size_t *feature_count,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (int a = 1; a < argc; a++) {
    const char *next = a + 1 < argc ? argv[a + 1] : "";
    if (strcmp(argv[a], "--cold") == 0) {
      o->cold = true;
    } else if (strcmp(argv[a], "--worker") == 0) {
      o->worker = true;
    } else if (strncmp(argv[a], "--", 2) == 0) {
      if (strcmp(argv[a], "--features") == 0 && *feature_count < FEATURES_MAX)
        feature[(*feature_count)++] = argv[a + 1];
      else if (strcmp(argv[a], "--ask") == 0)
        o->ask = next;
      else if (strcmp(argv[a], "--rounds") == 0)
        o->rounds = atoi(next) > 0 && atoi(next) < ROUNDS_MAX ? atoi(next) : 1;
      else if (strcmp(argv[a], "--seed") == 0)
        o->seed = strtoull(next, NULL, 10);
      else
        FAIL(err, MEDLEY_ERR_USAGE, "there is no option %s", argv[a]);
      if (++a >= argc) FAIL(err, MEDLEY_ERR_USAGE, "the last option wants a value");
    } else if (recommender_kind_find(argv[a]) == NULL && strchr(argv[a], ':') == NULL) {
      o->file = argv[a];
    } else if (o->model_count < MODELS_MAX) {
      TRY(model_parse(argv[a], &o->models[o->model_count++], err));
    }
  }
done:
  return status;
}

int main(int argc, char **argv) {
  medley_status status = MEDLEY_OK;
  medley_error error = {0}, *err = &error;
  static options o = {.ask = "test", .rounds = 1, .seed = 1};
  static data_set d;
  char *feature[FEATURES_MAX];
  size_t feature_count = 0;
  TRY(options_parse(argc, argv, &o, feature, &feature_count, err));
  if (o.model_count == 0)
    for (const char *const *name = (const char *const[]){"ease", "ials", "itemknn", "slim", NULL}; *name; name++)
      TRY(model_parse(*name, &o.models[o.model_count++], err));
  TRY(data_open(&d, &o, feature, feature_count, err));
  TRY(o.worker ? worker_run(&d, &o, err) : models_run(&d, &o, err));
done:
  if (status != MEDLEY_OK) fprintf(stderr, "bench_recommend: %s\n", error.text);
  data_close(&d);
  return status != MEDLEY_OK;
}
