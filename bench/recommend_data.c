/* bench/recommend_data.c: see bench/recommend_data.h. */
#include "bench/recommend_data.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/npy.h"
#include "math/vector.h"

enum {
  MADE_USERS = 20000,
  MADE_ITEMS = 5000,
  MADE_EVENTS = 400000,
  MADE_TASTES = 20,
  GENERATED_HISTORY = 50, /* events a person */
  GENERATED_DIM = 64
};

static char click[] = "click", like[] = "like", buy[] = "buy", *type_names[] = {click, like, buy};

/* ---- events out of a file, or made up ---- */

/* The label stands in event.split. */
typedef struct event_list {
  event_log log;
  size_t capacity;
} event_list;

static medley_status event_add(event_list *l, uint32_t user, uint32_t item, int64_t time_s, int label, int64_t type,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  event_log *log = &l->log;
  TRY_GROW(log->events, l->capacity, log->event_count + 1, "events");
  log->events[log->event_count++] =
      (event){.user = user, .item = item, .value = 1, .type = (int32_t)type, .time_s = time_s, .split = (uint8_t)label};
  if (user >= log->user_count) log->user_count = user + 1;
  if (item >= log->item_count) log->item_count = item + 1;
done:
  return status;
}

/* The first line may hold names; what the first line of numbers has, all have. */
static medley_status events_read(event_list *l, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char line[256];
  uint32_t user, item;
  int64_t third, fourth, fifth;
  int fields = 0;
  FILE *in = fopen(path, "r");
  if (in == NULL) FAIL(err, MEDLEY_ERR_IO, "%s cannot be opened", path);
  for (size_t number = 1; fgets(line, sizeof line, in) != NULL; number++) {
    int read =
        sscanf(line, "%" SCNu32 "%" SCNu32 "%" SCNd64 "%" SCNd64 "%" SCNd64, &user, &item, &third, &fourth, &fifth);
    if (read < 3 && number == 1) continue;
    if (fields == 0) fields = read;
    int64_t label = read >= 4 ? fourth : third, type = read == 5 ? fifth : GOAL_CLICK;
    if (read < 3 || read != fields || label < 0 || label > LABEL_ASK_TEST || type < 0 || type >= GOAL_COUNT)
      FAIL(err, MEDLEY_ERR_INPUT, "%s, line %zu is not 'user item label' or 'user item time label [goal]', each 0 to 2",
           path, number);
    TRY(event_add(l, user, item, read >= 4 ? third : STORE_TIME_UNKNOWN, (int)label, type, err));
  }
  l->log.has_time = fields >= 4;
done:
  if (in != NULL) fclose(in);
  return status;
}

/* People have one of a few tastes; popular items of theirs are likelier. */
static medley_status events_make(event_list *l, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng r;
  rng_seed(&r, 1);
  for (size_t e = 0; e < MADE_EVENTS; e++) {
    uint32_t user = (uint32_t)rng_below(&r, MADE_USERS);
    double place = rng_uniform(&r);
    uint32_t item = (uint32_t)(place * place * MADE_ITEMS / MADE_TASTES) * MADE_TASTES + user % MADE_TASTES;
    TRY(event_add(l, user, item, (int64_t)e,
                  e % 10 == 0   ? LABEL_ASK_TEST
                  : e % 10 == 1 ? LABEL_ASK_VALID
                                : 0,
                  GOAL_CLICK, err));
  }
  l->log.has_time = true;
done:
  return status;
}

/* Of the events with labels from `first` to `last`, of one goal or of any. */
static medley_status matrix_of(const event_log *log, int first, int last, goal only, interactions *out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t *wanted = NULL;
  event_weights weights;
  TRY_NEW(wanted, log->event_count, "labels");
  for (size_t e = 0; e < log->event_count; e++)
    wanted[e] = log->events[e].split >= first && log->events[e].split <= last &&
                (only == GOAL_COUNT || log->events[e].type == (int32_t)only);
  event_weights_default(log, &weights);
  TRY(interactions_build(log, &weights, wanted, 1, out, err));
done:
  mem_free(wanted);
  return status;
}

medley_status data_set_read(data_set *out, const char *path, int asked, goal only, medley_error *err) {
  medley_status status = MEDLEY_OK;
  event_list l = {0};
  TRY(path ? events_read(&l, path, err) : events_make(&l, err));
  if (l.log.event_count == 0) FAIL(err, MEDLEY_ERR_INPUT, "%s has no events", path);
  l.log.type_names = type_names;
  l.log.type_count = GOAL_COUNT;
  out->has_time = l.log.has_time;
  TRY(matrix_of(&l.log, 0, 0, GOAL_COUNT, &out->train, err));
  TRY(matrix_of(&l.log, asked, asked, only, &out->asked, err));
  if (asked > LABEL_ASK_VALID) TRY(matrix_of(&l.log, 0, asked - 1, GOAL_COUNT, &out->known, err));
done:
  mem_free(l.log.events);
  return status;
}

const interactions *data_set_history(const data_set *d, const recommender_kind *kind) {
  return kind->needs_time && d->known.by_user.rows > 0 ? &d->known : &d->train;
}

medley_status data_set_ask_cold(data_set *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t items = d->train.by_user.columns;
  TRY_NEW(d->candidate, items, "items");
  for (uint32_t i = 0; i < items; i++) d->candidate[i] = d->train.popularity[i] == 0 && d->asked.popularity[i] > 0;
done:
  return status;
}

/* ---- vectors of the items ---- */

static medley_status features_create(data_set *d, const char *name, size_t dim, features **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  features *f = &d->features[d->feature_count];
  *f = (features){.name = name, .count = d->train.by_user.columns, .dim = dim};
  d->feature_count++;
  TRY_NEW(f->values, f->count * dim, "features");
  TRY_NEW(f->present, f->count, "features");
  *out = f;
done:
  return status;
}

medley_status data_set_add_features(data_set *d, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  stream *in = NULL;
  npy_reader r = {0};
  const float *row;
  features *f;
  if (d->feature_count == FEATURES_MAX) FAIL(err, MEDLEY_ERR_USAGE, "at most %d --features", FEATURES_MAX);
  TRY(stream_open(path, &in, err));
  TRY(npy_open(&r, in, path, err));
  TRY(features_create(d, strrchr(path, '/') ? strrchr(path, '/') + 1 : path, r.dim, &f, err));
  for (size_t i = 0; i < f->count; i++) {
    TRY(npy_next(&r, &row, err));
    if (row == NULL) break;
    memcpy(f->values + i * f->dim, row, f->dim * sizeof *row);
    f->present[i] = vector_normalise(f->values + i * f->dim, f->dim) > 0;
  }
done:
  npy_close(&r);
  stream_close(in);
  return status;
}

/* ---- events by size ---- */

static int item_compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* Straight into the matrix: a list of 10⁸ events would be larger than what is fitted on it. */
static void history_draw(rng *r, data_set *d, uint32_t user) {
  sparse *x = &d->train.by_user;
  uint32_t row[GENERATED_HISTORY];
  uint64_t at = x->start[user];
  for (size_t e = 0; e < GENERATED_HISTORY; e++) {
    double place = rng_uniform(r);
    row[e] = (uint32_t)(place * place * place * x->columns);
  }
  qsort(row, GENERATED_HISTORY, sizeof *row, item_compare);
  for (size_t e = 0; e < GENERATED_HISTORY; e++) {
    if (e > 0 && row[e] == row[e - 1]) continue;
    x->column[at] = row[e];
    x->value[at] = 1;
    d->train.time_s[at++] = (int64_t)rng_below(r, 100000000);
    d->train.popularity[row[e]]++;
  }
  x->start[user + 1] = at;
}

static medley_status vectors_draw(rng *r, data_set *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  features *f;
  TRY(features_create(d, "image", GENERATED_DIM, &f, err));
  for (size_t i = 0; i < f->count; i++) {
    for (size_t c = 0; c < f->dim; c++) f->values[i * f->dim + c] = (float)rng_uniform(r) - 0.5f;
    f->present[i] = vector_normalise(f->values + i * f->dim, f->dim) > 0;
  }
done:
  return status;
}

static medley_status traits_draw(rng *r, data_set *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const uint32_t counts[] = {2, 7, 21};
  traits *t = &d->traits;
  uint32_t users = d->train.by_user.rows;
  t->field = d->fields;
  for (; t->field_count < 3; t->field_count++) {
    d->fields[t->field_count] = (trait_field){.first = t->count, .count = counts[t->field_count]};
    t->count += counts[t->field_count];
  }
  TRY(sparse_create(users, t->count, 3 * (uint64_t)users, &t->rows, err));
  for (uint32_t u = 0; u < users; u++) {
    for (uint32_t f = 0; f < 3; f++) {
      t->rows.column[3 * (uint64_t)u + f] = d->fields[f].first + (uint32_t)rng_below(r, counts[f]);
      t->rows.value[3 * (uint64_t)u + f] = 1;
    }
    t->rows.start[u + 1] = 3 * ((uint64_t)u + 1);
  }
  d->train.traits = t;
done:
  return status;
}

medley_status data_set_generate(data_set *out, uint32_t items, uint64_t events, medley_error *err) {
  medley_status status = MEDLEY_OK;
  interactions *train = &out->train;
  uint32_t users = (uint32_t)(events / GENERATED_HISTORY);
  rng r;
  rng_seed(&r, 1);
  *out = (data_set){.has_time = true};
  TRY(sparse_create(users, items, events, &train->by_user, err));
  TRY_NEW(train->time_s, events, "times");
  TRY_NEW(train->popularity, items, "items");
  for (uint32_t u = 0; u < users; u++) history_draw(&r, out, u);
  train->newest_s = 100000000;
  TRY(sparse_transpose(&train->by_user, &train->by_item, err));
  TRY(vectors_draw(&r, out, err));
  TRY(traits_draw(&r, out, err));
done:
  if (status != MEDLEY_OK) data_set_close(out);
  return status;
}

void data_set_close(data_set *d) {
  interactions_deinit(&d->train);
  interactions_deinit(&d->known);
  interactions_deinit(&d->asked);
  for (size_t f = 0; f < d->feature_count; f++) features_deinit(&d->features[f]);
  mem_free(d->candidate);
  sparse_deinit(&d->traits.rows);
  *d = (data_set){0};
}
