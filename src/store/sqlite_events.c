/* store/sqlite_events.c: events and the names of their types.
 *
 * Events are only ever appended. One user's newest events come through the index events_of_user; all events come in
 * order of their number, in batches, because a call per event would cost more than reading it. */
#include <string.h>

#include "base/memory.h"
#include "store/sqlite.h"

#define EVENT_BATCH 4096
#define EVENT_COLUMNS "id, user_id, item_id, type, value, time_s, split, context"

/* ---- types ---- */

static medley_status event_type_find(store *s, const char *name, int32_t *type, bool *found, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s, "SELECT id FROM event_types WHERE name = ?1", &st, err));
  bind_text(st, 1, name);
  TRY(statement_step(s, st, found, err));
  if (*found) *type = sqlite3_column_int(st, 0);
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_event_type(store *s, const char *name, int32_t *type, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  bool found = false;
  TRY(store_key_check("event type", name, err));
  TRY(event_type_find(s, name, type, &found, err));
  if (found) goto done;
  TRY(statement_take(s, "INSERT INTO event_types (name) VALUES (?1)", &st, err));
  bind_text(st, 1, name);
  TRY(statement_run(s, st, err));
  *type = (int32_t)sqlite3_last_insert_rowid(s->db);
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_event_type_name(store *s, int32_t type, strbuf *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  bool row;
  TRY(statement_take(s, "SELECT name FROM event_types WHERE id = ?1", &st, err));
  sqlite3_bind_int(st, 1, type);
  TRY(statement_step(s, st, &row, err));
  if (!row) FAIL(err, MEDLEY_ERR_NOT_FOUND, "there is no event type with the number %d", (int)type);
  strbuf_append(out, column_text(st, 0));
  if (out->failed) status = error_memory(err, "an event type");
done:
  statement_give(s, st);
  return status;
}

/* ---- writing ---- */

static medley_status events_write(store *s, const store_event *events, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s,
                     "INSERT INTO events (user_id, item_id, type, value, time_s, split, context)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                     &st, err));
  for (size_t i = 0; i < count; i++) {
    const store_event *e = &events[i];
    if (e->user_id <= 0 || e->item_id <= 0 || e->split > STORE_SPLIT_TEST)
      FAIL(err, MEDLEY_ERR_USAGE, "event of user %lld with item %lld, split %d", (long long)e->user_id,
           (long long)e->item_id, e->split);
    sqlite3_bind_int64(st, 1, e->user_id);
    sqlite3_bind_int64(st, 2, e->item_id);
    sqlite3_bind_int(st, 3, e->type);
    sqlite3_bind_double(st, 4, (double)e->value);
    bind_time(st, 5, e->time_s);
    sqlite3_bind_int(st, 6, e->split);
    bind_text(st, 7, e->context);
    TRY(statement_run(s, st, err));
  }
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_put_events(store *s, const store_event *events, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(savepoint_begin(s, err));
  status = events_write(s, events, count, err);
  status = savepoint_end(s, status, err);
done:
  return status;
}

/* ---- reading ---- */

typedef struct event_batch {
  store_event *events;
  size_t count, capacity;
  arena *contexts; /* texts of the batch */
} event_batch;

static void event_batch_deinit(event_batch *b) {
  mem_free(b->events);
  arena_free(b->contexts);
}

static medley_status event_batch_add(event_batch *b, sqlite3_stmt *st, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *context = column_text(st, 7);
  TRY_GROW(b->events, b->capacity, b->count + 1, "events");
  if (context != NULL) {
    if (b->contexts == NULL) b->contexts = arena_create(0);
    context = b->contexts ? arena_strdup(b->contexts, context) : NULL;
    if (context == NULL) {
      status = error_memory(err, "events");
      goto done;
    }
  }
  b->events[b->count++] = (store_event){
      .user_id = sqlite3_column_int64(st, 1),
      .item_id = sqlite3_column_int64(st, 2),
      .type = sqlite3_column_int(st, 3),
      .value = (float)sqlite3_column_double(st, 4),
      .time_s = column_time(st, 5),
      .split = (uint8_t)sqlite3_column_int(st, 6),
      .context = context,
  };
done:
  return status;
}

medley_status sqlite_each_event(store *s, int64_t after_event, int64_t *last_event, store_event_receiver receive,
                                void *context, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  event_batch b = {0};
  int64_t last = after_event;
  bool row = true;
  TRY(statement_take(s, "SELECT " EVENT_COLUMNS " FROM events WHERE id > ?1 ORDER BY id", &st, err));
  sqlite3_bind_int64(st, 1, after_event);
  while (row) {
    TRY(statement_step(s, st, &row, err));
    if (row) {
      TRY(event_batch_add(&b, st, err));
      last = sqlite3_column_int64(st, 0);
    }
    if (b.count == EVENT_BATCH || (!row && b.count > 0)) {
      TRY(receive(context, b.events, b.count, err));
      if (last_event != NULL) *last_event = last;
      b.count = 0;
      arena_reset(b.contexts);
    }
  }
  if (last_event != NULL) *last_event = last;
done:
  statement_give(s, st);
  event_batch_deinit(&b);
  return status;
}

static void events_reverse(store_event *events, size_t count) {
  for (size_t i = 0; i < count / 2; i++) {
    store_event other = events[i];
    events[i] = events[count - 1 - i];
    events[count - 1 - i] = other;
  }
}

medley_status sqlite_user_events(store *s, int64_t user_id, size_t limit, store_event_receiver receive, void *context,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  event_batch b = {0};
  /* The index ends in the rowid, which is id: no sorting. An unknown time counts as older than all known ones. */
  TRY(statement_take(
      s, "SELECT " EVENT_COLUMNS " FROM events WHERE user_id = ?1 ORDER BY time_s DESC, id DESC LIMIT ?2", &st, err));
  sqlite3_bind_int64(st, 1, user_id);
  sqlite3_bind_int64(st, 2, limit == 0 || limit > INT64_MAX ? -1 : (int64_t)limit);
  for (;;) {
    bool row;
    TRY(statement_step(s, st, &row, err));
    if (!row) break;
    TRY(event_batch_add(&b, st, err));
  }
  events_reverse(b.events, b.count);
  if (b.count > 0) TRY(receive(context, b.events, b.count, err));
done:
  statement_give(s, st);
  event_batch_deinit(&b);
  return status;
}
