/* store/sqlite_users.c: users, and the links between users and items. */
#include "store/sqlite.h"

medley_status sqlite_put_user(store *s, const store_user *user, int64_t *id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  bool row;
  TRY(store_key_check("user", user->key, err));
  TRY(store_text_check("user", user->key, "attributes", user->attributes, err));
  TRY(statement_take(
      s,
      "INSERT INTO users (key, attributes, time_s) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET"
      " attributes = coalesce(excluded.attributes, attributes), time_s = coalesce(excluded.time_s, time_s)"
      " RETURNING id",
      &st, err));
  bind_text(st, 1, user->key);
  bind_text(st, 2, user->attributes);
  bind_time(st, 3, user->time_s);
  TRY(statement_step(s, st, &row, err));
  if (row && id != NULL) *id = sqlite3_column_int64(st, 0);
  if (row) TRY(statement_step(s, st, &row, err));
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_delete_user(store *s, int64_t id, medley_error *err) {
  static const char *const deletes[] = {
      "DELETE FROM events WHERE user_id = ?1",
      "DELETE FROM links WHERE from_kind = 'u' AND from_id = ?1",
      "DELETE FROM links WHERE to_kind = 'u' AND to_id = ?1",
      "DELETE FROM users WHERE id = ?1",
  };
  medley_status status = MEDLEY_OK;
  TRY(savepoint_begin(s, err));
  for (size_t i = 0; i < sizeof deletes / sizeof *deletes && status == MEDLEY_OK; i++)
    status = statement_run_id(s, deletes[i], id, err);
  TRY(savepoint_end(s, status, err));
  s->forgetting = true;
done:
  return status;
}

medley_status sqlite_each_user(store *s, int64_t after_id, uint64_t limit, store_user_receiver receive, void *context,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s, "SELECT id, key, attributes, time_s FROM users WHERE id > ?1 ORDER BY id LIMIT ?2", &st, err));
  sqlite3_bind_int64(st, 1, after_id);
  sqlite3_bind_int64(st, 2, limit == 0 || limit > INT64_MAX ? -1 : (int64_t)limit);
  for (;;) {
    bool row;
    TRY(statement_step(s, st, &row, err));
    if (!row) break;
    store_user user = {
        .id = sqlite3_column_int64(st, 0),
        .key = column_text(st, 1),
        .attributes = column_text(st, 2),
        .time_s = column_time(st, 3),
    };
    TRY(receive(context, &user, err));
  }
done:
  statement_give(s, st);
  return status;
}

/* ---- links ---- */

static bool link_kind_valid(char kind) { return kind == 'u' || kind == 'i'; }

medley_status sqlite_put_link(store *s, const store_link *link, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  if (!link_kind_valid(link->from_kind) || !link_kind_valid(link->to_kind))
    FAIL(err, MEDLEY_ERR_USAGE, "a link goes from 'u' or 'i' to 'u' or 'i', not from '%c' to '%c'", link->from_kind,
         link->to_kind);
  TRY(store_key_check("link type", link->type, err));
  TRY(statement_take(s,
                     "INSERT INTO links (from_kind, from_id, to_kind, to_id, type, weight)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET weight = excluded.weight",
                     &st, err));
  sqlite3_bind_text(st, 1, &link->from_kind, 1, SQLITE_STATIC);
  sqlite3_bind_int64(st, 2, link->from_id);
  sqlite3_bind_text(st, 3, &link->to_kind, 1, SQLITE_STATIC);
  sqlite3_bind_int64(st, 4, link->to_id);
  bind_text(st, 5, link->type);
  sqlite3_bind_double(st, 6, (double)link->weight);
  TRY(statement_run(s, st, err));
done:
  statement_give(s, st);
  return status;
}

/* The rows of a statement on links. */
static medley_status links_walk(store *s, sqlite3_stmt *st, store_link_receiver receive, void *context,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (;;) {
    bool row;
    TRY(statement_step(s, st, &row, err));
    if (!row) break;
    store_link link = {
        .from_kind = column_text(st, 0)[0],
        .from_id = sqlite3_column_int64(st, 1),
        .to_kind = column_text(st, 2)[0],
        .to_id = sqlite3_column_int64(st, 3),
        .type = column_text(st, 4),
        .weight = (float)sqlite3_column_double(st, 5),
    };
    TRY(receive(context, &link, err));
  }
done:
  return status;
}

medley_status sqlite_each_link(store *s, store_link_receiver receive, void *context, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s,
                     "SELECT from_kind, from_id, to_kind, to_id, type, weight FROM links"
                     " ORDER BY from_kind, from_id, to_kind, to_id, type",
                     &st, err));
  TRY(links_walk(s, st, receive, context, err));
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_user_links(store *s, int64_t user_id, store_link_receiver receive, void *context,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s,
                     "SELECT from_kind, from_id, to_kind, to_id, type, weight FROM links"
                     " WHERE from_kind = 'u' AND from_id = ?1 ORDER BY to_kind, to_id, type",
                     &st, err));
  sqlite3_bind_int64(st, 1, user_id);
  TRY(links_walk(s, st, receive, context, err));
done:
  statement_give(s, st);
  return status;
}
