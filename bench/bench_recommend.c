/* bench/bench_recommend.c: recommenders by themselves: seconds, memory, how good they are, how their cost grows.
 *
 *     bench_recommend [FILE] [OPTIONS] MODEL[:setting=value,...]...
 *     bench_recommend --grow [OPTIONS] [MODEL]...           see bench/recommend_growth.h
 *
 * FILE has a line an event, "user item label" (MMRec's .inter), "user item time label" or "user item time label goal",
 * numbers from 0; label 0 is learned from, 1 is validation, 2 test; goal 0 is a click, 1 a like, 2 a buy. Without a
 * FILE made-up events are taken, so that it runs anywhere.
 *
 *     --features A.npy     vectors of the items, a row an item; may be repeated
 *     --ask valid|test     what the model must find; test
 *     --goal 0|1|2         … of one goal alone
 *     --cold               … and only items without an event in training are ranked
 *     --rounds N           each model is fitted N times, one model after the other; 1
 *     --seed N             1
 *     --worker             for bench/recommend_peers.py: one model; tells that it is ready, then fits once for every
 *                          line it reads, "fit N" or "measure N", N epochs or sweeps
 *
 *     --points N           of the ten sizes of --grow, the first N
 *     --threads N          1
 *     --limit SECONDS      of processor time for a model at a size; 60
 *     --memory GIB         a model may add; 8
 *     --minutes N          in all; 60
 *     --output BASE        tables in BASE.md, the plot in BASE.svg
 *     --resume FILE        lines that an earlier run printed: what is there is not measured again
 *
 * One line of JSON a model: seconds of each fit, the most memory the process held before (base_bytes) and while fitting
 * (peak_bytes), Recall@20, NDCG@20 and AUC over all users with something to find, the share of items that are in
 * somebody's first 20 (coverage), and how many people chose what is there, on average (arp).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "bench/recommend_data.h"
#include "bench/recommend_growth.h"
#include "learn/measure.h"

enum { MODELS_MAX = 64, ROUNDS_MAX = 100 };

typedef struct model_wanted {
  const recommender_kind *kind;
  const char *text;
  double values[RECOMMENDER_SETTINGS_MAX];
  double seconds[ROUNDS_MAX];
  double recall, ndcg, auc, coverage, arp;
  uint64_t base_bytes, peak_bytes;
} model_wanted;

typedef struct options {
  const char *file, *ask;
  bool cold, worker, grow;
  goal only; /* asked; GOAL_COUNT: any */
  int rounds;
  uint64_t seed;
  growth_options growth;
  const char *feature[FEATURES_MAX];
  size_t feature_count;
  model_wanted models[MODELS_MAX];
  size_t model_count;
} options;

static medley_status data_open(data_set *d, const options *o, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(data_set_read(d, o->file, strcmp(o->ask, "valid") == 0 ? LABEL_ASK_VALID : LABEL_ASK_TEST, o->only, err));
  for (size_t f = 0; f < o->feature_count; f++) TRY(data_set_add_features(d, o->feature[f], err));
  if (o->cold) TRY(data_set_ask_cold(d, err));
done:
  return status;
}

/* ---- models ---- */

static medley_status model_fit(const data_set *d, const options *o, model_wanted *m, int round, recommender **out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  recommender_data data = {
      .train = &d->train, .features = d->features, .feature_count = d->feature_count, .seed = o->seed};
  if (m->kind->needs_time && !d->has_time) FAIL(err, MEDLEY_ERR_USAGE, "%s wants events with a time", m->kind->name);
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
  measure_metric metrics[4];
  measurement found = {0};
  measure_task task = {.history = data_set_history(d, m->kind), .test = &d->asked, .candidate = d->candidate};
  uint32_t *users = NULL;
  TRY(measure_metric_parse("recall@20", &metrics[0], err));
  TRY(measure_metric_parse("ndcg@20", &metrics[1], err));
  TRY(measure_metric_parse("auc", &metrics[2], err));
  TRY(measure_metric_parse("arp@20", &metrics[3], err));
  TRY(measure_users(&task, 0, 1, &users, &task.user_count, err));
  task.users = users;
  scorer what = scorer_of_recommender(model);
  measure_options wanted = {.metrics = metrics, .metric_count = 4, .popularity = d->train.popularity, .keep_top = true};
  TRY(measure_scorer(&task, &what, &wanted, NULL, &found, err));
  m->recall = measurement_mean(&found, 0);
  m->ndcg = measurement_mean(&found, 1);
  m->auc = measurement_mean(&found, 2);
  m->arp = measurement_mean(&found, 3);
  m->coverage = metric_coverage(found.top, found.user_count, 20, d->train.by_user.columns);
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
  if (measured)
    printf(", \"recall\": %.5f, \"ndcg\": %.5f, \"auc\": %.5f, \"coverage\": %.4f, \"arp\": %.1f", m->recall, m->ndcg,
           m->auc, m->coverage, m->arp);
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

static medley_status worker_run(const data_set *d, options *o, double before, medley_error *err) {
  medley_status status = MEDLEY_OK;
  recommender *model = NULL;
  model_wanted *m = &o->models[0];
  double *length = recommender_length(m->kind, m->values);
  char line[64], word[16];
  if (o->model_count != 1 || length == NULL)
    FAIL(err, MEDLEY_ERR_USAGE, "--worker wants one model that has epochs or sweeps");
  printf("{\"version\": \"ours\", \"before_bytes\": %.0f}\n", before);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "%15s%lf", word, length) != 2) FAIL(err, MEDLEY_ERR_INPUT, "'fit N' or 'measure N' is wanted");
    bool measure = strcmp(word, "measure") == 0;
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

static medley_status option_take(options *o, const char *name, const char *value, medley_error *err) {
  struct {
    const char *name;
    double *out;
  } numbers[] = {{"--points", &o->growth.points},
                 {"--threads", &o->growth.threads},
                 {"--limit", &o->growth.limit_s},
                 {"--memory", &o->growth.memory_gib},
                 {"--minutes", &o->growth.minutes}};
  for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
    if (strcmp(name, numbers[n].name) == 0) {
      *numbers[n].out = strtod(value, NULL);
      return MEDLEY_OK;
    }
  if (strcmp(name, "--features") == 0 && o->feature_count < FEATURES_MAX)
    o->feature[o->feature_count++] = value;
  else if (strcmp(name, "--ask") == 0)
    o->ask = value;
  else if (strcmp(name, "--goal") == 0 && atoi(value) >= 0 && atoi(value) < GOAL_COUNT)
    o->only = (goal)atoi(value);
  else if (strcmp(name, "--rounds") == 0)
    o->rounds = atoi(value) > 0 && atoi(value) < ROUNDS_MAX ? atoi(value) : 1;
  else if (strcmp(name, "--seed") == 0)
    o->seed = strtoull(value, NULL, 10);
  else if (strcmp(name, "--output") == 0)
    o->growth.output = value;
  else if (strcmp(name, "--resume") == 0)
    o->growth.resume = value;
  else
    return error_set(err, MEDLEY_ERR_USAGE, "there is no option %s", name);
  return MEDLEY_OK;
}

static medley_status options_parse(int argc, char **argv, options *o, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (int a = 1; a < argc; a++) {
    bool *flag = strcmp(argv[a], "--cold") == 0     ? &o->cold
                 : strcmp(argv[a], "--worker") == 0 ? &o->worker
                 : strcmp(argv[a], "--grow") == 0   ? &o->grow
                                                    : NULL;
    if (flag != NULL) {
      *flag = true;
    } else if (strncmp(argv[a], "--", 2) == 0) {
      if (a + 1 == argc) FAIL(err, MEDLEY_ERR_USAGE, "%s wants a value", argv[a]);
      TRY(option_take(o, argv[a], argv[a + 1], err));
      a++;
    } else if (recommender_kind_find(argv[a]) == NULL && strchr(argv[a], ':') == NULL) {
      o->file = argv[a];
    } else if (o->model_count < MODELS_MAX) {
      TRY(model_parse(argv[a], &o->models[o->model_count++], err));
    }
  }
done:
  return status;
}

static medley_status grow(const options *o, medley_error *err) {
  const recommender_kind *kinds[MODELS_MAX];
  size_t count = 0;
  for (; count < o->model_count; count++) kinds[count] = o->models[count].kind;
  for (const recommender_kind *const *k = recommender_kinds; o->model_count == 0 && *k != NULL; k++)
    kinds[count++] = *k;
  return growth_run(&o->growth, kinds, count, err);
}

int main(int argc, char **argv) {
  medley_status status = MEDLEY_OK;
  medley_error error = {0}, *err = &error;
  static options o = {.ask = "test",
                      .only = GOAL_COUNT,
                      .rounds = 1,
                      .seed = 1,
                      .growth = {.threads = 1, .limit_s = 60, .memory_gib = 8, .minutes = 60, .points = 99}};
  static data_set d;
  double before = (double)memory_peak_bytes();
  TRY(options_parse(argc, argv, &o, err));
  if (o.grow) {
    TRY(grow(&o, err));
    goto done;
  }
  if (o.model_count == 0)
    for (const char *const *name = (const char *const[]){"ease", "ials", "itemknn", "slim", NULL}; *name; name++)
      TRY(model_parse(*name, &o.models[o.model_count++], err));
  TRY(data_open(&d, &o, err));
  TRY(o.worker ? worker_run(&d, &o, before, err) : models_run(&d, &o, err));
done:
  if (status != MEDLEY_OK) fprintf(stderr, "bench_recommend: %s\n", error.text);
  data_set_close(&d);
  return status != MEDLEY_OK;
}
