/* data/interactions.c: events as the matrices that models learn from. */
#include "data/interactions.h"

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

medley_status interactions_build(const event_log *log, const event_weights *weights, const uint8_t *label, uint8_t want,
                                 interactions *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse_entry *entries = NULL;
  size_t count = 0;
  *out = (interactions){.newest_s = STORE_TIME_UNKNOWN};
  TRY_NEW(entries, log->event_count, "interactions");
  for (size_t i = 0; i < log->event_count; i++) {
    const event *e = &log->events[i];
    if (event_wanted(e, i, label, want, weights))
      entries[count++] = (sparse_entry){e->user, e->item, event_weight(weights, e)};
  }
  TRY(sparse_from_entries(log->user_count, log->item_count, entries, count, SPARSE_MAX, &out->by_user, err));
  TRY(sparse_transpose(&out->by_user, &out->by_item, err));
  TRY_NEW(out->popularity, log->item_count, "the popularity of items");
  for (uint32_t i = 0; i < log->item_count; i++)
    out->popularity[i] = (float)(out->by_item.start[i + 1] - out->by_item.start[i]);
  if (log->has_time) TRY(times_build(log, weights, label, want, out, err));
done:
  mem_free(entries);
  if (status != MEDLEY_OK) interactions_deinit(out);
  return status;
}

void interactions_deinit(interactions *x) {
  sparse_deinit(&x->by_user);
  sparse_deinit(&x->by_item);
  mem_free(x->time_s);
  mem_free(x->popularity);
  *x = (interactions){0};
}
