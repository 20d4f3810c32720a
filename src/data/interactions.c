/* data/interactions.c: events as the matrices that models learn from. */
#include "data/interactions.h"

#include <string.h>

#include "base/memory.h"

static bool event_wanted(const event *e, size_t at, const uint8_t *label, uint8_t want, const event_weights *weights) {
  return (label == NULL || label[at] == want) && event_weight(weights, e) > 0;
}

/* The newest time of each pair, beside by_user.value. */
static medley_status times_build(const event_log *log, const event_weights *weights, const uint8_t *label, uint8_t want,
                                 interactions *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t count = sparse_count(&out->by_user);
  TRY_NEW(out->time_s, count, "the times of interactions");
  for (uint64_t i = 0; i < count; i++) out->time_s[i] = STORE_TIME_UNKNOWN;
  for (size_t i = 0; i < log->event_count; i++) {
    const event *e = &log->events[i];
    if (!event_wanted(e, i, label, want, weights)) continue;
    int64_t *time_s = &out->time_s[sparse_find(&out->by_user, e->user, e->item)];
    if (e->time_s > *time_s) *time_s = e->time_s;
    if (e->time_s > out->newest_s) out->newest_s = e->time_s;
  }
done:
  return status;
}

/* Which goals each pair has events of, where there are several. */
static medley_status goals_build(const event_log *log, const event_weights *weights, const uint8_t *label, uint8_t want,
                                 interactions *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned seen = 0;
  for (size_t i = 0; i < log->event_count; i++)
    if (event_wanted(&log->events[i], i, label, want, weights))
      seen |= 1u << goal_of_weight(event_weight(weights, &log->events[i]));
  if ((seen & (seen - 1)) == 0) return MEDLEY_OK;
  TRY_NEW(out->goals, sparse_count(&out->by_user), "the goals of interactions");
  for (size_t i = 0; i < log->event_count; i++) {
    const event *e = &log->events[i];
    if (event_wanted(e, i, label, want, weights))
      out->goals[sparse_find(&out->by_user, e->user, e->item)] |=
          (uint8_t)(1u << goal_of_weight(event_weight(weights, e)));
  }
done:
  return status;
}

/* What follows from by_user. */
static medley_status items_count(interactions *x, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t items = x->by_user.columns;
  TRY(sparse_transpose(&x->by_user, &x->by_item, err));
  TRY_NEW(x->popularity, items, "the popularity of items");
  for (uint32_t i = 0; i < items; i++) x->popularity[i] = (float)(x->by_item.start[i + 1] - x->by_item.start[i]);
done:
  return status;
}

medley_status interactions_build(const event_log *log, const event_weights *weights, const uint8_t *label, uint8_t want,
                                 interactions *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse_entry *entries = NULL;
  size_t count = 0;
  *out = (interactions){.newest_s = STORE_TIME_UNKNOWN,
                        .social = log->social.rows > 0 ? &log->social : NULL,
                        .traits = log->traits.count > 0 ? &log->traits : NULL};
  TRY_NEW(entries, log->event_count, "interactions");
  for (size_t i = 0; i < log->event_count; i++) {
    const event *e = &log->events[i];
    if (event_wanted(e, i, label, want, weights))
      entries[count++] = (sparse_entry){e->user, e->item, event_weight(weights, e)};
  }
  TRY(sparse_from_entries(log->user_count, log->item_count, entries, count, SPARSE_MAX, &out->by_user, err));
  TRY(items_count(out, err));
  if (log->has_time) TRY(times_build(log, weights, label, want, out, err));
  TRY(goals_build(log, weights, label, want, out, err));
done:
  mem_free(entries);
  if (status != MEDLEY_OK) interactions_deinit(out);
  return status;
}

medley_status interactions_of_users(const interactions *x, const uint8_t *keep, interactions *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *all = &x->by_user;
  uint64_t count = 0;
  *out = (interactions){.newest_s = x->newest_s, .social = x->social, .traits = x->traits};
  for (uint32_t u = 0; u < all->rows; u++) count += keep[u] ? all->start[u + 1] - all->start[u] : 0;
  TRY(sparse_create(all->rows, all->columns, count, &out->by_user, err));
  if (x->time_s != NULL) TRY_NEW(out->time_s, count + 1, "times");
  if (x->goals != NULL) TRY_NEW(out->goals, count + 1, "goals");
  count = 0;
  for (uint32_t u = 0; u < all->rows; u++) {
    uint64_t from = all->start[u], length = keep[u] ? all->start[u + 1] - from : 0;
    out->by_user.start[u] = count;
    memcpy(out->by_user.column + count, all->column + from, length * sizeof *all->column);
    memcpy(out->by_user.value + count, all->value + from, length * sizeof *all->value);
    if (x->time_s != NULL) memcpy(out->time_s + count, x->time_s + from, length * sizeof *x->time_s);
    if (x->goals != NULL) memcpy(out->goals + count, x->goals + from, length);
    count += length;
  }
  out->by_user.start[all->rows] = count;
  TRY(items_count(out, err));
done:
  if (status != MEDLEY_OK) interactions_deinit(out);
  return status;
}

void interactions_deinit(interactions *x) {
  sparse_deinit(&x->by_user);
  sparse_deinit(&x->by_item);
  mem_free(x->time_s);
  mem_free(x->goals);
  mem_free(x->popularity);
  *x = (interactions){0};
}
