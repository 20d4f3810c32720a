/* data/events.c: the events of a store, numbered from 0.
 *
 * Users and items get their numbers in order of store id, all of them, also those without an event: an item nobody has
 * seen is what content models are for. Store ids only grow, so a user or item that is added while the events are read
 * goes to the end and the arrays stay ascending.
 */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/strbuf.h"
#include "data/interactions.h"

/* A numbering while it grows. */
typedef struct numbering {
  int64_t *id;
  size_t count, capacity;
  intmap index;
} numbering;

typedef struct event_reader {
  const store_kind *kind;
  store *store;
  progress_stage progress;
  numbering users, items;
  intmap type_index; /* the store's type → ours */
  event *events;
  size_t count, capacity, timed;
  char **type_names;
  size_t type_count, type_capacity;
  bool has_split;
} event_reader;

static medley_status numbering_add(numbering *n, int64_t id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (n->count >= UINT32_MAX) FAIL(err, MEDLEY_ERR_LIMIT, "more than %u users or items", UINT32_MAX);
  TRY_GROW(n->id, n->capacity, n->count + 1, "ids");
  if (!intmap_put(&n->index, id, (int64_t)n->count)) TRY(error_memory(err, "ids"));
  n->id[n->count++] = id;
done:
  return status;
}

static void numbering_deinit(numbering *n) {
  mem_free(n->id);
  intmap_deinit(&n->index);
}

static int id_compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* All ids of one table. Keys are read rather than rows, because rows bring their texts and media along. */
static medley_status numbering_load(event_reader *r, store_table table, numbering *n, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strmap keys = {0};
  int64_t *ids = NULL, id;
  size_t cursor = 0, count = 0;
  const char *key;
  TRY(r->kind->load_keys(r->store, table, &keys, err));
  TRY_NEW(ids, keys.count, "ids");
  while (strmap_next(&keys, &cursor, &key, &id)) ids[count++] = id;
  strmap_deinit(&keys);
  qsort(ids, count, sizeof *ids, id_compare);
  for (size_t i = 0; i < count; i++) TRY(numbering_add(n, ids[i], err));
done:
  strmap_deinit(&keys);
  mem_free(ids);
  return status;
}

/* The number of an id; false when it was deleted since its event was written. */
static medley_status numbering_find(numbering *n, int64_t id, uint32_t *index, bool *found, medley_error *err) {
  const int64_t *known = intmap_get(&n->index, id);
  *found = true;
  if (known != NULL) {
    *index = (uint32_t)*known;
    return MEDLEY_OK;
  }
  *found = n->count == 0 || id > n->id[n->count - 1];
  *index = (uint32_t)n->count;
  return *found ? numbering_add(n, id, err) : MEDLEY_OK;
}

static medley_status type_find(event_reader *r, int32_t stored, int32_t *type, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf name = {0};
  const int64_t *known = intmap_get(&r->type_index, stored);
  if (known != NULL) {
    *type = (int32_t)*known;
    return MEDLEY_OK;
  }
  TRY(r->kind->event_type_name(r->store, stored, &name, err));
  TRY_GROW(r->type_names, r->type_capacity, r->type_count + 1, "event types");
  if (!intmap_put(&r->type_index, stored, (int64_t)r->type_count)) TRY(error_memory(err, "event types"));
  *type = (int32_t)r->type_count;
  r->type_names[r->type_count] = strbuf_take(&name);
  if (r->type_names[r->type_count++] == NULL) status = error_memory(err, "event types");
done:
  strbuf_deinit(&name);
  return status;
}

static medley_status events_receive(void *context, const store_event *events, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  event_reader *r = context;
  TRY_GROW(r->events, r->capacity, r->count + count, "events");
  for (size_t i = 0; i < count; i++) {
    const store_event *from = &events[i];
    event *to = &r->events[r->count];
    bool user_found, item_found;
    *to = (event){.value = from->value, .time_s = from->time_s, .split = from->split};
    TRY(numbering_find(&r->users, from->user_id, &to->user, &user_found, err));
    TRY(numbering_find(&r->items, from->item_id, &to->item, &item_found, err));
    if (!user_found || !item_found) continue;
    TRY(type_find(r, from->type, &to->type, err));
    r->timed += from->time_s != STORE_TIME_UNKNOWN;
    r->has_split |= from->split != STORE_SPLIT_NONE;
    r->count++;
  }
  TRY(progress_update(&r->progress, r->count, err));
done:
  return status;
}

static void reader_deinit(event_reader *r) {
  numbering_deinit(&r->users);
  numbering_deinit(&r->items);
  intmap_deinit(&r->type_index);
  for (size_t i = 0; i < r->type_count; i++) mem_free(r->type_names[i]);
  mem_free(r->type_names);
  mem_free(r->events);
}

/* Hands what was read over to the log. */
static void reader_finish(event_reader *r, event_log *out) {
  *out = (event_log){
      .user_count = (uint32_t)r->users.count,
      .item_count = (uint32_t)r->items.count,
      .user_id = r->users.id,
      .item_id = r->items.id,
      .user_index = r->users.index,
      .item_index = r->items.index,
      .events = r->events,
      .event_count = r->count,
      .type_names = r->type_names,
      .type_count = (int32_t)r->type_count,
      .last_event = out->last_event,
      .has_time = r->count > 0 && r->timed >= r->count - r->count / 10,
      .has_split = r->has_split,
  };
  intmap_deinit(&r->type_index);
}

/* ---- who follows whom ---- */

typedef struct link_reader {
  const event_log *log;
  sparse_entry *entries;
  size_t count, capacity;
} link_reader;

float link_trust(const store_link *link) {
  bool rating;
  bool people = link->from_kind == 'u' && link->to_kind == 'u' && link->from_id != link->to_id;
  if (!people || !(link->weight > 0) || !isfinite(link->weight)) return 0;
  return event_type_weigh(link->type, &rating) > 0 ? link->weight : 0;
}

static medley_status link_receive(void *context, const store_link *link, medley_error *err) {
  medley_status status = MEDLEY_OK;
  link_reader *r = context;
  float trust = link_trust(link);
  const int64_t *from = intmap_get(&r->log->user_index, link->from_id);
  const int64_t *to = intmap_get(&r->log->user_index, link->to_id);
  if (!(trust > 0) || from == NULL || to == NULL) return MEDLEY_OK;
  TRY_GROW(r->entries, r->capacity, r->count + 1, "links");
  r->entries[r->count++] = (sparse_entry){(uint32_t)*from, (uint32_t)*to, trust};
done:
  return status;
}

/* Several links of one pair count as the strongest. */
static medley_status social_load(const store_kind *kind, store *s, event_log *log, medley_error *err) {
  medley_status status = MEDLEY_OK;
  link_reader r = {.log = log};
  TRY(kind->each_link(s, link_receive, &r, err));
  if (r.count == 0) goto done;
  TRY(sparse_from_entries(log->user_count, log->user_count, r.entries, r.count, SPARSE_MAX, &log->social, err));
done:
  mem_free(r.entries);
  return status;
}

medley_status event_log_load(const store_kind *kind, store *s, const medley_progress *progress, event_log *out,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  event_reader r = {.kind = kind, .store = s};
  store_counts counts;
  *out = (event_log){0};
  TRY(kind->counts(s, &counts, err));
  TRY(numbering_load(&r, STORE_USERS, &r.users, err));
  TRY(numbering_load(&r, STORE_ITEMS, &r.items, err));
  progress_begin(&r.progress, progress, "read events", counts.events);
  TRY(kind->each_event(s, 0, &out->last_event, events_receive, &r, err));
  progress_end(&r.progress, r.count);
  reader_finish(&r, out);
  status = social_load(kind, s, out, err);
  if (status == MEDLEY_OK) status = traits_load(kind, s, &out->user_index, out->user_count, &out->traits, err);
  if (status != MEDLEY_OK) event_log_deinit(out);
  return status;
done:
  reader_deinit(&r);
  *out = (event_log){0};
  return status;
}

void event_log_deinit(event_log *log) {
  mem_free(log->user_id);
  mem_free(log->item_id);
  intmap_deinit(&log->user_index);
  intmap_deinit(&log->item_index);
  mem_free(log->events);
  for (int32_t i = 0; i < log->type_count; i++) mem_free(log->type_names[i]);
  mem_free(log->type_names);
  sparse_deinit(&log->social);
  traits_deinit(&log->traits);
  *log = (event_log){0};
}
