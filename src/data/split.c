/* data/split.c: which events a model may learn from and which it is asked about.
 *
 * Every kind is one function over the same working state; what they share is checked before and after, so that a split
 * that would leave one side empty is refused instead of measured.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/interactions.h"

/* Everything a kind may need. Labels are TRAIN for the events that are to be split and DROP for the others when it
 * starts. */
typedef struct splitter {
  const event_log *log;
  const split_options *options;
  double share;
  bool again; /* a train part is cut once more */
  rng random;
  uint8_t *label;   /* [event_count] */
  uint64_t *start;  /* [user_count + 1] into order */
  uint32_t *order;  /* events by user, within a user by time and insertion; without the dropped */
  uint8_t *is_cold; /* [item_count], or NULL */
} splitter;

/* ---- the events of each user ---- */

typedef struct timed_event {
  int64_t time_s;
  uint32_t at;
} timed_event;

static int timed_compare(const void *a, const void *b) {
  const timed_event *x = a, *y = b;
  if (x->time_s != y->time_s) return x->time_s < y->time_s ? -1 : 1;
  return (x->at > y->at) - (x->at < y->at);
}

/* Counting sort by user keeps the order of insertion. */
static medley_status group_by_user(splitter *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const event_log *log = s->log;
  TRY_NEW(s->start, (size_t)log->user_count + 2, "splitting the events");
  TRY_NEW(s->order, log->event_count, "splitting the events");
  for (size_t i = 0; i < log->event_count; i++)
    if (s->label[i] == LABEL_TRAIN) s->start[log->events[i].user + 2]++;
  for (size_t u = 2; u < (size_t)log->user_count + 2; u++) s->start[u] += s->start[u - 1];
  for (size_t i = 0; i < log->event_count; i++)
    if (s->label[i] == LABEL_TRAIN) s->order[s->start[log->events[i].user + 1]++] = (uint32_t)i;
done:
  return status;
}

static medley_status sort_by_time(splitter *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  timed_event *row = NULL;
  size_t capacity = 0;
  for (uint32_t u = 0; u < s->log->user_count; u++) {
    uint32_t *order = s->order + s->start[u];
    size_t count = s->start[u + 1] - s->start[u];
    TRY_GROW(row, capacity, count, "splitting the events");
    for (size_t i = 0; i < count; i++) row[i] = (timed_event){s->log->events[order[i]].time_s, order[i]};
    if (count > 1) qsort(row, count, sizeof *row, timed_compare);
    for (size_t i = 0; i < count; i++) order[i] = row[i].at;
  }
done:
  mem_free(row);
  return status;
}

/* ---- the kinds ---- */

/* How many of `count` are tested, leaving one to learn from. */
static size_t test_count(const splitter *s, size_t count) {
  size_t wanted = (size_t)(s->share * (double)count + 0.5);
  return count == 0 ? 0 : wanted < count ? wanted : count - 1;
}

/* Selection sampling (Knuth, algorithm S): exactly the wanted number, each event equally likely, no array. */
static medley_status split_random(splitter *s, medley_error *err) {
  (void)err;
  size_t left = 0;
  for (size_t i = 0; i < s->log->event_count; i++) left += s->label[i] == LABEL_TRAIN;
  size_t wanted = test_count(s, left);
  for (size_t i = 0; i < s->log->event_count; i++) {
    if (s->label[i] != LABEL_TRAIN) continue;
    if (rng_below(&s->random, left--) < wanted) {
      s->label[i] = LABEL_TEST;
      wanted--;
    }
  }
  return MEDLEY_OK;
}

static void label_tail(splitter *s, uint32_t user, size_t count, uint8_t label) {
  for (uint64_t i = s->start[user + 1] - count; i < s->start[user + 1]; i++) s->label[s->order[i]] = label;
}

static medley_status split_leave_one_out(splitter *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(sort_by_time(s, err));
  for (uint32_t u = 0; u < s->log->user_count; u++)
    if (s->start[u + 1] - s->start[u] > 1) label_tail(s, u, 1, LABEL_TEST);
done:
  return status;
}

static medley_status split_user_time(splitter *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(sort_by_time(s, err));
  for (uint32_t u = 0; u < s->log->user_count; u++)
    label_tail(s, u, test_count(s, s->start[u + 1] - s->start[u]), LABEL_TEST);
done:
  return status;
}

static medley_status split_user_random(splitter *s, medley_error *err) {
  (void)err;
  for (uint32_t u = 0; u < s->log->user_count; u++) {
    size_t count = s->start[u + 1] - s->start[u];
    rng_shuffle(&s->random, s->order + s->start[u], count);
    label_tail(s, u, test_count(s, count), LABEL_TEST);
  }
  return MEDLEY_OK;
}

static int time_compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* Events of one second stay together. An event whose time is not known may have happened after the moment, so it is
 * dropped. */
static medley_status split_global_time(splitter *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const event_log *log = s->log;
  int64_t *times = NULL;
  size_t count = 0;
  TRY_NEW(times, log->event_count, "splitting the events");
  for (size_t i = 0; i < log->event_count; i++) {
    if (s->label[i] != LABEL_TRAIN) continue;
    if (log->events[i].time_s == STORE_TIME_UNKNOWN)
      s->label[i] = LABEL_DROP;
    else
      times[count++] = log->events[i].time_s;
  }
  if (count == 0) goto done;
  qsort(times, count, sizeof *times, time_compare);
  int64_t moment = times[count - 1 - test_count(s, count)];
  for (size_t i = 0; i < log->event_count; i++)
    if (s->label[i] == LABEL_TRAIN && log->events[i].time_s > moment) s->label[i] = LABEL_TEST;
done:
  mem_free(times);
  return status;
}

/* The first time valid belongs to train; when train is cut again, valid is what is cut. */
static medley_status split_given(splitter *s, medley_error *err) {
  (void)err;
  uint8_t tested = s->again ? STORE_SPLIT_VALID : STORE_SPLIT_TEST;
  for (size_t i = 0; i < s->log->event_count; i++) {
    if (s->label[i] != LABEL_TRAIN) continue;
    const event *e = &s->log->events[i];
    bool test = e->split == tested;
    if (s->is_cold != NULL && s->is_cold[e->item] != test)
      s->label[i] = LABEL_DROP;
    else if (test)
      s->label[i] = LABEL_TEST;
  }
  return MEDLEY_OK;
}

/* Draws a share of the marked (eligible) things: the chosen stay 1, the others become 0. */
static void draw_share(splitter *s, uint8_t *mark, size_t count) {
  size_t left = 0;
  for (size_t i = 0; i < count; i++) left += mark[i];
  size_t wanted = test_count(s, left);
  if (wanted == 0 && left > 1) wanted = 1;
  for (size_t i = 0; i < count; i++) {
    if (!mark[i]) continue;
    mark[i] = rng_below(&s->random, left--) < wanted;
    wanted -= mark[i];
  }
}

static medley_status split_cold_item(splitter *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (s->is_cold == NULL) {
    TRY_NEW(s->is_cold, s->log->item_count, "splitting the events");
    for (size_t i = 0; i < s->log->event_count; i++)
      if (s->label[i] == LABEL_TRAIN) s->is_cold[s->log->events[i].item] = 1;
    draw_share(s, s->is_cold, s->log->item_count);
  }
  for (size_t i = 0; i < s->log->event_count; i++)
    if (s->label[i] == LABEL_TRAIN && s->is_cold[s->log->events[i].item]) s->label[i] = LABEL_TEST;
done:
  return status;
}

/* A user with one event has nothing to be recognised by, so it cannot be drawn. */
static medley_status split_cold_user(splitter *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t *is_cold = NULL;
  TRY(sort_by_time(s, err));
  TRY_NEW(is_cold, s->log->user_count, "splitting the events");
  for (uint32_t u = 0; u < s->log->user_count; u++) is_cold[u] = s->start[u + 1] - s->start[u] > 1;
  draw_share(s, is_cold, s->log->user_count);
  for (uint32_t u = 0; u < s->log->user_count; u++) {
    size_t count = s->start[u + 1] - s->start[u];
    if (!is_cold[u]) continue;
    label_tail(s, u, count, LABEL_HISTORY);
    label_tail(s, u, count / 2, LABEL_TEST);
  }
done:
  mem_free(is_cold);
  return status;
}

static const struct split_row {
  const char *name;
  medley_status (*label)(splitter *s, medley_error *err);
  bool by_user; /* needs the events of each user */
} kinds[SPLIT_KIND_COUNT] = {
    [SPLIT_RANDOM] = {"random", split_random, false},
    [SPLIT_LEAVE_ONE_OUT] = {"leave-one-out", split_leave_one_out, true},
    [SPLIT_USER_TIME] = {"user-time", split_user_time, true},
    [SPLIT_GLOBAL_TIME] = {"global-time", split_global_time, false},
    [SPLIT_GIVEN] = {"given", split_given, false},
    [SPLIT_COLD_ITEM] = {"cold-item", split_cold_item, false},
    [SPLIT_COLD_USER] = {"cold-user", split_cold_user, true},
    [SPLIT_USER_RANDOM] = {"user-random", split_user_random, true},
};

const char *split_kind_name(split_kind kind) { return (size_t)kind < SPLIT_KIND_COUNT ? kinds[kind].name : "unknown"; }

split_kind split_kind_find(const char *name) {
  int kind = 0;
  while (kind < SPLIT_KIND_COUNT && strcmp(kinds[kind].name, name) != 0) kind++;
  return kind;
}

/* ---- before and after ---- */

static medley_status times_check(const event_log *log, medley_error *err) {
  size_t missing = 0;
  for (size_t i = 0; i < log->event_count; i++) missing += log->events[i].time_s == STORE_TIME_UNKNOWN;
  return error_set(err, MEDLEY_ERR_USAGE,
                   "the split global-time needs the time of each event, and %zu of %zu events have none; use "
                   "user-random, or leave-one-out"
                   " when the events were imported in order of time",
                   missing, log->event_count);
}

static medley_status options_check(const event_log *log, const split_options *o, bool again, medley_error *err) {
  size_t of_kind = 0;
  uint8_t tested = again ? STORE_SPLIT_VALID : STORE_SPLIT_TEST;
  if ((size_t)o->kind >= SPLIT_KIND_COUNT)
    return error_set(err, MEDLEY_ERR_USAGE, "there is no split number %d", (int)o->kind);
  if (!(o->test_share >= 0 && o->test_share < 1))
    return error_set(err, MEDLEY_ERR_USAGE, "the test share is %g; it must be above 0 and below 1", o->test_share);
  if (log->event_count == 0) return error_set(err, MEDLEY_ERR_USAGE, "there are no events to split; import some first");
  if (log->event_count > UINT32_MAX)
    return error_set(err, MEDLEY_ERR_LIMIT, "%zu events are more than the %u that can be split", log->event_count,
                     UINT32_MAX);
  if (o->kind == SPLIT_GLOBAL_TIME && !log->has_time) return times_check(log, err);
  for (size_t i = 0; o->kind == SPLIT_GIVEN && i < log->event_count; i++) of_kind += log->events[i].split == tested;
  if (o->kind == SPLIT_GIVEN && of_kind == 0)
    return error_set(err, MEDLEY_ERR_USAGE,
                     "the split given needs events marked '%s', and none of the %zu is; import them with a"
                     " split column, or use user-random",
                     again ? "valid" : "test", log->event_count);
  for (size_t i = 0; o->cold_items != NULL && i < o->cold_item_count; i++)
    if (o->cold_items[i] >= log->item_count)
      return error_set(err, MEDLEY_ERR_USAGE, "cold item %zu has index %u, but there are %u items", i, o->cold_items[i],
                       log->item_count);
  return MEDLEY_OK;
}

static medley_status result_check(const splitter *s, medley_error *err) {
  size_t train = 0, test = 0;
  for (size_t i = 0; i < s->log->event_count; i++) {
    train += s->label[i] == LABEL_TRAIN;
    test += s->label[i] == LABEL_TEST;
  }
  if (train > 0 && test > 0) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE,
                   "the split %s leaves %zu events to learn from and %zu to test with; use another split, another "
                   "share or more events",
                   split_kind_name(s->options->kind), train, test);
}

static medley_status cold_items_mark(splitter *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const split_options *o = s->options;
  if (o->cold_items == NULL || (o->kind != SPLIT_GIVEN && o->kind != SPLIT_COLD_ITEM)) return MEDLEY_OK;
  TRY_NEW(s->is_cold, s->log->item_count, "splitting the events");
  for (size_t i = 0; i < o->cold_item_count; i++) s->is_cold[o->cold_items[i]] = 1;
done:
  return status;
}

medley_status split_make(const event_log *log, const split_options *options, const uint8_t *base, uint8_t *label,
                         medley_error *err) {
  medley_status status = MEDLEY_OK;
  splitter s = {.log = log,
                .options = options,
                .share = options->test_share > 0 ? options->test_share : 0.2,
                .again = base != NULL};
  TRY(options_check(log, options, s.again, err));
  s.label = label;
  rng_seed(&s.random, options->seed);
  for (size_t i = 0; i < log->event_count; i++)
    label[i] = base == NULL || base[i] == LABEL_TRAIN ? LABEL_TRAIN : LABEL_DROP;
  TRY(cold_items_mark(&s, err));
  if (kinds[options->kind].by_user) TRY(group_by_user(&s, err));
  TRY(kinds[options->kind].label(&s, err));
  TRY(result_check(&s, err));
done:
  mem_free(s.start);
  mem_free(s.order);
  mem_free(s.is_cold);
  return status;
}
