/* bench/bench_trained.c: trained recommenders, measured.
 *
 *     bench_trained                                             a table on made-up events: how the cost grows
 *     bench_trained --worker NAME EVENTS [SETTING=VALUE...]     asked over a pipe by trained_peers.py
 *
 * EVENTS has a line an event, `user item time label [goal]`, label 0, 1 or 2 for train, valid and test, goal 0, 1 or 2
 * for clicks, likes and buys. The worker speaks lines: {"ready": ...}, then it answers "epoch" (a fit of EPOCHS_TIMED
 * epochs, seconds each, setting up and closing included), "measure L [GOAL]" (a fit with the settings on the events of
 * label 0, Recall@20, NDCG@20 and AUC of those with label L, or of one goal of them; histories: of all labels below for
 * what goes by time, of label 0 for others) and "peak".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "learn/measure.h"
#include "recommend/recommender.h"

enum { EPOCHS_TIMED = 4 };

typedef struct work {
  const recommender_kind *kind;
  double values[RECOMMENDER_SETTINGS_MAX];
  event_log log;
  uint8_t *label; /* [events] */
  interactions train;
} work;

static char click[] = "click", like[] = "like", buy[] = "buy", *type_names[] = {click, like, buy};

static medley_status events_read(const char *path, work *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t event_capacity = 0, label_capacity = 0;
  event *events = NULL;
  uint32_t user, item, label;
  int32_t goal = 0;
  int64_t time_s;
  char line[256];
  FILE *f = fopen(path, "r");
  if (f == NULL) FAIL(err, MEDLEY_ERR_IO, "%s: cannot be opened", path);
  while (fgets(line, sizeof line, f) != NULL) {
    if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNd64 " %" SCNu32 " %" SCNd32, &user, &item, &time_s, &label, &goal) <
        4)
      break;
    TRY_GROW(events, event_capacity, w->log.event_count + 1, "events");
    TRY_GROW(w->label, label_capacity, w->log.event_count + 1, "events");
    w->label[w->log.event_count] = (uint8_t)label;
    events[w->log.event_count++] =
        (event){.user = user, .item = item, .value = 1, .type = goal % GOAL_COUNT, .time_s = 1 + time_s};
    if (user >= w->log.user_count) w->log.user_count = user + 1;
    if (item >= w->log.item_count) w->log.item_count = item + 1;
  }
  w->log.events = events;
  w->log.has_time = true;
done:
  if (f != NULL) fclose(f);
  return status;
}

/* The events with labels below `bound`, or with that label alone, of one goal or of all (GOAL_COUNT). */
static medley_status matrix_of(const work *w, uint8_t bound, bool alone, goal only, interactions *out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t *wanted = NULL;
  event_weights weights;
  event_log log = w->log;
  log.type_names = type_names, log.type_count = GOAL_COUNT;
  event_weights_default(&log, &weights);
  TRY_NEW(wanted, w->log.event_count, "labels");
  for (size_t e = 0; e < w->log.event_count; e++)
    wanted[e] = (alone ? w->label[e] == bound : w->label[e] < bound) &&
                (only == GOAL_COUNT || w->log.events[e].type == (int32_t)only);
  TRY(interactions_build(&log, &weights, wanted, 1, out, err));
done:
  mem_free(wanted);
  return status;
}

static double *setting(work *w, const char *name) {
  for (size_t s = 0; w->kind->settings[s].name != NULL; s++)
    if (strcmp(w->kind->settings[s].name, name) == 0) return &w->values[s];
  return NULL;
}

static medley_status fit(const work *w, recommender **out, medley_error *err) {
  recommender_data data = {.train = &w->train, .seed = 1};
  return w->kind->fit(&data, w->values, NULL, out, err);
}

static medley_status measured(work *w, uint8_t label, goal only, double figures[3], medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const char *const names[] = {"recall@20", "ndcg@20", "auc"};
  measure_metric metrics[3];
  measurement m = {0};
  interactions known = {0}, test = {0};
  recommender *model = NULL;
  uint32_t *users = NULL;
  for (int i = 0; i < 3; i++) TRY(measure_metric_parse(names[i], &metrics[i], err));
  TRY(matrix_of(w, w->kind->needs_time ? label : 1, false, GOAL_COUNT, &known, err));
  TRY(matrix_of(w, label, true, only, &test, err));
  TRY(fit(w, &model, err));
  measure_task task = {.history = &known, .test = &test};
  TRY(measure_users(&task, 0, 1, &users, &task.user_count, err));
  task.users = users;
  scorer what = scorer_of_recommender(model);
  measure_options options = {.metrics = metrics, .metric_count = 3};
  TRY(measure_scorer(&task, &what, &options, NULL, &m, err));
  for (size_t i = 0; i < 3; i++) figures[i] = measurement_mean(&m, i);
done:
  measurement_deinit(&m);
  interactions_deinit(&known);
  interactions_deinit(&test);
  mem_free(users);
  if (model != NULL) model->kind->free(model);
  return status;
}

static medley_status epoch(work *w, double *seconds, medley_error *err) {
  medley_status status = MEDLEY_OK;
  recommender *model = NULL;
  double *epochs = setting(w, "epochs"), before = *epochs, begin = clock_now_s();
  *epochs = EPOCHS_TIMED;
  TRY(fit(w, &model, err));
  *seconds = (clock_now_s() - begin) / EPOCHS_TIMED;
done:
  *epochs = before;
  if (model != NULL) model->kind->free(model);
  return status;
}

static medley_status answer(work *w, const char *line, double before, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double figures[3] = {0}, begin = clock_now_s();
  if (strncmp(line, "epoch", 5) == 0) {
    TRY(epoch(w, &figures[0], err));
    printf("{\"seconds\": %.9g}\n", figures[0]);
  } else if (strncmp(line, "measure ", 8) == 0) {
    char *rest;
    uint8_t label = (uint8_t)strtol(line + 8, &rest, 10);
    bool of_all = strspn(rest, " \n") == strlen(rest);
    TRY(measured(w, label, of_all ? GOAL_COUNT : (goal)strtol(rest, NULL, 10), figures, err));
    printf("{\"recall\": %.9g, \"ndcg\": %.9g, \"auc\": %.9g, \"seconds\": %.9g}\n", figures[0], figures[1], figures[2],
           clock_now_s() - begin);
  } else {
    printf("{\"peak\": %.0f, \"before\": %.0f}\n", (double)memory_peak_bytes(), before);
  }
  fflush(stdout);
done:
  return status;
}

/* ---- how the cost grows ---- */

/* Ten events a person, most on few items. */
static medley_status events_draw(work *w, uint32_t items, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng r;
  uint32_t users = 2 * items;
  event *events = NULL;
  rng_seed(&r, 1);
  TRY_NEW(events, (size_t)users * 10, "events");
  TRY_NEW(w->label, (size_t)users * 10, "events");
  for (size_t e = 0; e < (size_t)users * 10; e++) {
    double place = rng_uniform(&r);
    uint32_t item = (uint32_t)(place * place * place * items);
    events[e] = (event){.user = (uint32_t)(e / 10), .item = item, .value = 1, .time_s = (int64_t)e};
  }
  w->log = (event_log){.user_count = users, .item_count = items, .event_count = (size_t)users * 10, .has_time = true};
  w->log.events = events;
done:
  return status;
}

static medley_status look(const char *name, uint32_t items, medley_error *err) {
  medley_status status = MEDLEY_OK;
  work w = {.kind = recommender_kind_find(name)};
  double seconds;
  recommender_defaults(w.kind, w.values);
  TRY(events_draw(&w, items, err));
  TRY(matrix_of(&w, 1, false, GOAL_COUNT, &w.train, err));
  memory_peak_reset();
  double before = (double)memory_peak_bytes();
  TRY(epoch(&w, &seconds, err));
  printf("%-10s %8u %9u %10.3f %8.0f MB\n", name, items, 20 * items, seconds,
         ((double)memory_peak_bytes() - before) / 1e6);
  fflush(stdout);
done:
  interactions_deinit(&w.train);
  mem_free(w.log.events);
  mem_free(w.label);
  return status;
}

static medley_status table(medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const char *const names[] = {"lightgcn",      "sasrec", "gru4rec", "multvae", "deepfm",
                                      "shared_bottom", "mmoe",   "ple",     "esmm"};
  printf("%-10s %8s %9s %10s %11s\n", "model", "items", "events", "s an epoch", "memory");
  for (size_t k = 0; k < sizeof names / sizeof *names; k++)
    for (uint32_t items = 500; items <= 10000; items *= 4) TRY(look(names[k], items, err));
done:
  return status;
}

int main(int count, char **words) {
  medley_error err = {0};
  work w = {0};
  char line[256];
  double before = (double)memory_peak_bytes();
  if (count == 1) {
    if (table(&err) != MEDLEY_OK) fprintf(stderr, "bench_trained: %s\n", err.text);
    return err.text[0] != '\0';
  }
  if (count < 4 || strcmp(words[1], "--worker") != 0 || (w.kind = recommender_kind_find(words[2])) == NULL) {
    fprintf(stderr, "usage: bench_trained --worker NAME EVENTS [SETTING=VALUE...]\n");
    return 2;
  }
  recommender_defaults(w.kind, w.values);
  for (int i = 4; i < count; i++) {
    char *equals = strchr(words[i], '=');
    if (equals == NULL) continue;
    *equals = '\0';
    double *value = setting(&w, words[i]);
    if (value == NULL) {
      fprintf(stderr, "bench_trained: %s has no setting %s\n", words[2], words[i]);
      return 2;
    }
    *value = strtod(equals + 1, NULL);
  }
  medley_status status = events_read(words[3], &w, &err);
  if (status == MEDLEY_OK) status = matrix_of(&w, 1, false, GOAL_COUNT, &w.train, &err);
  if (status == MEDLEY_OK) printf("{\"ready\": true, \"version\": \"medley\"}\n");
  fflush(stdout);
  while (status == MEDLEY_OK && fgets(line, sizeof line, stdin) != NULL) status = answer(&w, line, before, &err);
  interactions_deinit(&w.train);
  mem_free(w.log.events);
  mem_free(w.label);
  if (status != MEDLEY_OK) fprintf(stderr, "bench_trained: %s\n", err.text);
  return status == MEDLEY_OK ? 0 : 1;
}
