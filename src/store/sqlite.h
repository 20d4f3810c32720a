/* store/sqlite.h: what the files of the SQLite store share: the handle, its cached statements, its error sentences.
 *
 * The store is cut by noun: sqlite.c opens, migrates and keeps statements; sqlite_<noun>.c holds what is done with one
 * kind of row, its SQL beside the code that binds it. The members of store_kind are declared at the end; sqlite.c puts
 * them into the table.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>

#include "store/store.h"

#define SQLITE_STORE_SPACE_BITS 40 /* vectors.id = space << 40 | item: see sqlite_vectors.c */

/* One prepared statement, known by the address of its SQL literal. Busy while a walk steps it, so that a receiver that
 * calls the store again gets a statement of its own. */
typedef struct cached_statement {
  const char *sql;
  sqlite3_stmt *statement;
  bool busy;
} cached_statement;

struct store {
  sqlite3 *db;
  char *path;
  int busy_ms;
  cached_statement *cache;
  size_t cache_count, cache_capacity;
  bool forgetting; /* a user was deleted in this transaction: the log is emptied after the commit */
};

/* The statement for this SQL literal, reset and unbound; goes back with statement_give (NULL is fine). */
medley_status statement_take(store *s, const char *sql, sqlite3_stmt **out, medley_error *err) MEDLEY_CHECK;
void statement_give(store *s, sqlite3_stmt *statement);
/* Steps once: *row tells whether there is a row. */
medley_status statement_step(store *s, sqlite3_stmt *statement, bool *row, medley_error *err) MEDLEY_CHECK;
/* Steps a statement that gives no rows, and resets it for the next binding. */
medley_status statement_run(store *s, sqlite3_stmt *statement, medley_error *err) MEDLEY_CHECK;
/* Takes, binds one integer (two of them), runs, gives back: for deletes. */
medley_status statement_run_id(store *s, const char *sql, int64_t id, medley_error *err) MEDLEY_CHECK;
/* Fills err from the connection's last error and the result code. */
medley_status sqlite_fail(store *s, int code, medley_error *err);

/* Binding text that outlives the step; NULL binds NULL. */
void bind_text(sqlite3_stmt *statement, int index, const char *text);
void bind_time(sqlite3_stmt *statement, int index, int64_t time_s); /* STORE_TIME_UNKNOWN binds NULL */
const char *column_text(sqlite3_stmt *statement, int column);       /* NULL for NULL; borrowed until the next step */
int64_t column_time(sqlite3_stmt *statement, int column);

/* Several statements that succeed or fail together, inside a transaction or without one. */
medley_status savepoint_begin(store *s, medley_error *err) MEDLEY_CHECK;
/* Keeps what was done when status is OK, undoes it otherwise; returns status, or why it could not be kept. */
medley_status savepoint_end(store *s, medley_status status, medley_error *err) MEDLEY_CHECK;

/* sqlite_schema.c: brings a database to the newest schema; refuses one of a newer Medley or of another program. */
medley_status schema_migrate(store *s, bool create, medley_error *err) MEDLEY_CHECK;

/* The members of store_kind; see store/store.h. */
medley_status sqlite_put_item(store *s, const store_item *item, int64_t *id, medley_error *err);
medley_status sqlite_delete_item(store *s, int64_t id, medley_error *err);
medley_status sqlite_each_item(store *s, int64_t after_id, uint64_t limit, store_item_receiver receive, void *context,
                               medley_error *err);
medley_status sqlite_get_item(store *s, int64_t id, store_item_receiver receive, void *context, medley_error *err);
medley_status sqlite_get_id(store *s, store_table table, const char *key, int64_t *id, medley_error *err);
medley_status sqlite_load_keys(store *s, store_table table, strmap *keys, medley_error *err);

medley_status sqlite_put_user(store *s, const store_user *user, int64_t *id, medley_error *err);
medley_status sqlite_delete_user(store *s, int64_t id, medley_error *err);
medley_status sqlite_each_user(store *s, int64_t after_id, uint64_t limit, store_user_receiver receive, void *context,
                               medley_error *err);
medley_status sqlite_put_link(store *s, const store_link *link, medley_error *err);
medley_status sqlite_each_link(store *s, store_link_receiver receive, void *context, medley_error *err);
medley_status sqlite_user_links(store *s, int64_t user_id, store_link_receiver receive, void *context,
                                medley_error *err);

medley_status sqlite_event_type(store *s, const char *name, int32_t *type, medley_error *err);
medley_status sqlite_event_type_name(store *s, int32_t type, strbuf *out, medley_error *err);
medley_status sqlite_put_events(store *s, const store_event *events, size_t count, medley_error *err);
medley_status sqlite_each_event(store *s, int64_t after_event, int64_t *last_event, store_event_receiver receive,
                                void *context, medley_error *err);
medley_status sqlite_user_events(store *s, int64_t user_id, size_t limit, store_event_receiver receive, void *context,
                                 medley_error *err);

medley_status sqlite_put_vector(store *s, const char *space, const store_vector *vector, medley_error *err);
medley_status sqlite_each_vector(store *s, const char *space, store_vector_receiver receive, void *context,
                                 medley_error *err);
medley_status sqlite_delete_space(store *s, const char *space, medley_error *err);

medley_status sqlite_put_words(store *s, int64_t item_id, const char *words, medley_error *err);
medley_status sqlite_search_words(store *s, const char *query, size_t limit, store_hit *hits, size_t *count,
                                  medley_error *err);

medley_status sqlite_import_get(store *s, const char *source, store_import *out, medley_error *err);
medley_status sqlite_import_put(store *s, const store_import *import, medley_error *err);
medley_status sqlite_import_before(store *s, const char *beginning, const char *source, bool *found, medley_error *err);
medley_status sqlite_put_generation(store *s, const store_generation *g, medley_error *err);
medley_status sqlite_put_run(store *s, const char *kind, int64_t started_s, double seconds, const char *report,
                             medley_error *err);
medley_status sqlite_meta_get(store *s, const char *key, strbuf *value, medley_error *err);
medley_status sqlite_meta_put(store *s, const char *key, const char *value, medley_error *err);
medley_status sqlite_counts(store *s, store_counts *out, medley_error *err);
medley_status sqlite_check(store *s, strbuf *report, medley_error *err);
medley_status sqlite_snapshot(store *s, const char *path, medley_error *err);

#endif
