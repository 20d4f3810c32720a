/* store/sqlite.c: opening, transactions and cached statements of the SQLite store.
 *
 * One file in WAL mode: readers never wait for the writer, and a commit is one append and one fsync (synchronous=FULL),
 * which is what makes an accepted event survive a power cut. Bulk imports are fast because they commit in large
 * batches, not because they sync less.
 */
#include "store/sqlite.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define CACHE_KIB 65536          /* page cache of a handle: the event index of some millions of events stays in it */
#define CHECKPOINT_PAGES 8192    /* log pages (32 MiB) after which a commit moves the log into the database */
#define LOG_KEPT_BYTES 67108864L /* what stays of a larger log afterwards */

/* ---- errors ---- */

static medley_status status_from_sqlite(int code) {
  switch (code & 0xff) {
    case SQLITE_NOMEM: return MEDLEY_ERR_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return MEDLEY_ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return MEDLEY_ERR_CORRUPT;
    case SQLITE_TOOBIG: return MEDLEY_ERR_LIMIT;
    case SQLITE_CONSTRAINT: return MEDLEY_ERR_INPUT;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN: return MEDLEY_ERR_IO;
    default: return MEDLEY_ERR_INTERNAL;
  }
}

medley_status sqlite_fail(store *s, int code, medley_error *err) {
  medley_status status = status_from_sqlite(code);
  if (status == MEDLEY_ERR_BUSY)
    return error_set(err, status, "another process writes to '%s' (waited %d ms): try again when it has finished",
                     s->path, s->busy_ms);
  if (status == MEDLEY_ERR_CORRUPT)
    return error_set(err, status, "'%s' is not a readable database (%s): restore it from a copy", s->path,
                     sqlite3_errstr(code));
  if (status == MEDLEY_ERR_MEMORY) return error_memory(err, "the database");
  return error_set(err, status, "database '%s': %s", s->path, s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code));
}

/* ---- statements ---- */

medley_status statement_take(store *s, const char *sql, sqlite3_stmt **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = NULL;
  for (size_t i = 0; i < s->cache_count; i++) {
    cached_statement *slot = &s->cache[i];
    if (slot->sql != sql || slot->busy) continue;
    slot->busy = true;
    *out = slot->statement;
    goto done;
  }
  TRY_GROW(s->cache, s->cache_capacity, s->cache_count + 1, "a statement");
  sqlite3_stmt *statement = NULL;
  int code = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
  if (code != SQLITE_OK) {
    status = sqlite_fail(s, code, err);
    goto done;
  }
  s->cache[s->cache_count++] = (cached_statement){.sql = sql, .statement = statement, .busy = true};
  *out = statement;
done:
  return status;
}

void statement_give(store *s, sqlite3_stmt *statement) {
  if (statement == NULL) return;
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  for (size_t i = 0; i < s->cache_count; i++)
    if (s->cache[i].statement == statement) s->cache[i].busy = false;
}

medley_status statement_step(store *s, sqlite3_stmt *statement, bool *row, medley_error *err) {
  int code = sqlite3_step(statement);
  *row = code == SQLITE_ROW;
  return code == SQLITE_ROW || code == SQLITE_DONE ? MEDLEY_OK : sqlite_fail(s, code, err);
}

medley_status statement_run(store *s, sqlite3_stmt *statement, medley_error *err) {
  int code = sqlite3_step(statement);
  medley_status status = code == SQLITE_DONE ? MEDLEY_OK : sqlite_fail(s, code, err);
  sqlite3_reset(statement);
  return status;
}

medley_status statement_run_id(store *s, const char *sql, int64_t id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s, sql, &st, err));
  sqlite3_bind_int64(st, 1, id);
  TRY(statement_run(s, st, err));
done:
  statement_give(s, st);
  return status;
}

void bind_text(sqlite3_stmt *statement, int index, const char *text) {
  if (text != NULL)
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
  else
    sqlite3_bind_null(statement, index);
}

void bind_time(sqlite3_stmt *statement, int index, int64_t time_s) {
  if (time_s != STORE_TIME_UNKNOWN)
    sqlite3_bind_int64(statement, index, time_s);
  else
    sqlite3_bind_null(statement, index);
}

const char *column_text(sqlite3_stmt *statement, int column) {
  return (const char *)sqlite3_column_text(statement, column);
}

int64_t column_time(sqlite3_stmt *statement, int column) {
  if (sqlite3_column_type(statement, column) == SQLITE_NULL) return STORE_TIME_UNKNOWN;
  return sqlite3_column_int64(statement, column);
}

static medley_status run_simple(store *s, const char *sql, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s, sql, &st, err));
  TRY(statement_run(s, st, err));
done:
  statement_give(s, st);
  return status;
}

medley_status savepoint_begin(store *s, medley_error *err) { return run_simple(s, "SAVEPOINT step", err); }

medley_status savepoint_end(store *s, medley_status status, medley_error *err) {
  if (status == MEDLEY_OK) status = run_simple(s, "RELEASE step", err);
  /* Some failures (a full disk) have rolled the whole transaction back already: then there is nothing to undo. */
  if (status != MEDLEY_OK && !sqlite3_get_autocommit(s->db)) {
    sqlite3_exec(s->db, "ROLLBACK TO step", NULL, NULL, NULL);
    sqlite3_exec(s->db, "RELEASE step", NULL, NULL, NULL);
  }
  return status;
}

/* ---- transactions ---- */

static medley_status sqlite_begin(store *s, medley_error *err) {
  s->forgetting = false;
  return run_simple(s, "BEGIN IMMEDIATE", err);
}

static void sqlite_rollback(store *s) {
  s->forgetting = false;
  if (!sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

static medley_status sqlite_commit(store *s, medley_error *err) {
  bool forgetting = s->forgetting;
  medley_status status = run_simple(s, "COMMIT", err);
  if (status != MEDLEY_OK) sqlite_rollback(s);
  /* The log still holds pages with what was deleted: move it into the database now. When readers hold it back, a later
   * checkpoint does it. */
  else if (forgetting)
    sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  s->forgetting = false;
  return status;
}

/* ---- open and close ---- */

static void sqlite_close(store *s) {
  if (s == NULL) return;
  for (size_t i = 0; i < s->cache_count; i++) sqlite3_finalize(s->cache[i].statement);
  mem_free(s->cache);
  sqlite3_close_v2(s->db);
  mem_free(s->path);
  mem_free(s);
}

static medley_status sqlite_configure(store *s, medley_error *err) {
  char sql[512];
  /* secure_delete: what a deleted user leaves is overwritten, not merely unlinked. */
  sqlite3_snprintf(sizeof sql, sql,
                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
                   "PRAGMA cache_size = -%d; PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %ld;"
                   "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;",
                   CACHE_KIB, CHECKPOINT_PAGES, LOG_KEPT_BYTES);
  int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
  return code == SQLITE_OK ? MEDLEY_OK : sqlite_fail(s, code, err);
}

static medley_status sqlite_connect(store *s, bool create, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
  int code = sqlite3_open_v2(s->path, &s->db, flags, NULL);
  if (code != SQLITE_OK) {
    status = sqlite_fail(s, code, err);
    goto done;
  }
  sqlite3_extended_result_codes(s->db, 1);
  sqlite3_busy_timeout(s->db, s->busy_ms);
  TRY(sqlite_configure(s, err));
  TRY(schema_migrate(s, create, err));
done:
  return status;
}

/* A database that could not be created leaves no file that a second attempt would stumble over. */
static void sqlite_remove(const char *path) {
  static const char *const endings[] = {"", "-wal", "-shm"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    strbuf name = {0};
    strbuf_printf(&name, "%s%s", path, endings[i]);
    if (!name.failed) unlink(name.text);
    strbuf_deinit(&name);
  }
}

static medley_status sqlite_open(const char *url, bool create, int busy_ms, store **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  store *s = NULL;
  *out = NULL;
  if (create && file_exists(url)) return error_set(err, MEDLEY_ERR_EXISTS, "'%s' is there already", url);
  if (!create && !file_exists(url)) return error_set(err, MEDLEY_ERR_NOT_FOUND, "there is no database '%s'", url);
  TRY_NEW(s, 1, "a database handle");
  s->busy_ms = busy_ms;
  s->path = mem_strdup(url);
  if (s->path == NULL) {
    status = error_memory(err, "a database handle");
    goto done;
  }
  TRY(sqlite_connect(s, create, err));
  *out = s;
done:
  if (status != MEDLEY_OK) {
    sqlite_close(s);
    if (create) sqlite_remove(url);
  }
  return status;
}

const store_kind store_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .put_item = sqlite_put_item,
    .put_user = sqlite_put_user,
    .put_events = sqlite_put_events,
    .put_link = sqlite_put_link,
    .put_words = sqlite_put_words,
    .delete_item = sqlite_delete_item,
    .delete_user = sqlite_delete_user,
    .event_type = sqlite_event_type,
    .event_type_name = sqlite_event_type_name,
    .get_id = sqlite_get_id,
    .load_keys = sqlite_load_keys,
    .each_item = sqlite_each_item,
    .get_item = sqlite_get_item,
    .each_user = sqlite_each_user,
    .each_event = sqlite_each_event,
    .user_events = sqlite_user_events,
    .each_link = sqlite_each_link,
    .user_links = sqlite_user_links,
    .put_vector = sqlite_put_vector,
    .each_vector = sqlite_each_vector,
    .delete_space = sqlite_delete_space,
    .search_words = sqlite_search_words,
    .import_get = sqlite_import_get,
    .import_put = sqlite_import_put,
    .import_before = sqlite_import_before,
    .put_generation = sqlite_put_generation,
    .put_run = sqlite_put_run,
    .meta_get = sqlite_meta_get,
    .meta_put = sqlite_meta_put,
    .counts = sqlite_counts,
    .check = sqlite_check,
    .snapshot = sqlite_snapshot,
};
