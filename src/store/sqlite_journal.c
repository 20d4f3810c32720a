/* store/sqlite_journal.c: what the workspace knows about itself: imports under way, generations, runs, settings,
 * counts, and whether the database is sound. */
#include <stdio.h>
#include <string.h>

#include "store/sqlite.h"

/* ---- imports ---- */

static medley_status import_find(store *s, const char *source, store_import *out, bool *found, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s,
                     "SELECT id, rows_done, rows_accepted, rows_rejected, finished, report FROM imports"
                     " WHERE source = ?1",
                     &st, err));
  bind_text(st, 1, source);
  TRY(statement_step(s, st, found, err));
  if (!*found) goto done;
  out->id = sqlite3_column_int64(st, 0);
  out->rows_done = (uint64_t)sqlite3_column_int64(st, 1);
  out->rows_accepted = (uint64_t)sqlite3_column_int64(st, 2);
  out->rows_rejected = (uint64_t)sqlite3_column_int64(st, 3);
  out->finished = sqlite3_column_int(st, 4) != 0;
  snprintf(out->report, sizeof out->report, "%s", column_text(st, 5));
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_import_get(store *s, const char *source, store_import *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  bool found = false;
  *out = (store_import){0};
  if (strlen(source) >= sizeof out->source)
    FAIL(err, MEDLEY_ERR_LIMIT, "the name of an import is longer than %zu bytes: '%.60s...'", sizeof out->source - 1,
         source);
  strcpy(out->source, source);
  TRY(import_find(s, source, out, &found, err));
  if (found) goto done;
  TRY(statement_take(s,
                     "INSERT INTO imports (source, rows_done, rows_accepted, rows_rejected, finished, report)"
                     " VALUES (?1, 0, 0, 0, 0, '')",
                     &st, err));
  bind_text(st, 1, source);
  TRY(statement_run(s, st, err));
  out->id = sqlite3_last_insert_rowid(s->db);
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_import_put(store *s, const store_import *import, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s,
                     "UPDATE imports SET rows_done = ?2, rows_accepted = ?3, rows_rejected = ?4, finished = ?5,"
                     " report = ?6 WHERE id = ?1",
                     &st, err));
  sqlite3_bind_int64(st, 1, import->id);
  sqlite3_bind_int64(st, 2, (int64_t)import->rows_done);
  sqlite3_bind_int64(st, 3, (int64_t)import->rows_accepted);
  sqlite3_bind_int64(st, 4, (int64_t)import->rows_rejected);
  sqlite3_bind_int(st, 5, import->finished);
  bind_text(st, 6, import->report);
  TRY(statement_run(s, st, err));
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_import_before(store *s, const char *beginning, const char *source, bool *found,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s,
                     "SELECT 1 FROM imports WHERE substr(source, 1, length(?1)) = ?1 AND source <> ?2"
                     " AND rows_done > 0 LIMIT 1",
                     &st, err));
  bind_text(st, 1, beginning);
  bind_text(st, 2, source);
  TRY(statement_step(s, st, found, err));
done:
  statement_give(s, st);
  return status;
}

/* ---- generations, runs, settings ---- */

medley_status sqlite_put_generation(store *s, const store_generation *g, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s,
                     "INSERT INTO generations (number, created_s, manifest) VALUES (?1, ?2, ?3)"
                     " ON CONFLICT (number) DO UPDATE SET created_s = excluded.created_s, manifest = excluded.manifest",
                     &st, err));
  sqlite3_bind_int64(st, 1, g->number);
  sqlite3_bind_int64(st, 2, g->created_s);
  bind_text(st, 3, g->manifest);
  TRY(statement_run(s, st, err));
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_put_run(store *s, const char *kind, int64_t started_s, double seconds, const char *report,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s, "INSERT INTO runs (kind, started_s, seconds, report) VALUES (?1, ?2, ?3, ?4)", &st, err));
  bind_text(st, 1, kind);
  sqlite3_bind_int64(st, 2, started_s);
  sqlite3_bind_double(st, 3, seconds);
  bind_text(st, 4, report);
  TRY(statement_run(s, st, err));
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_meta_get(store *s, const char *key, strbuf *value, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  bool row;
  TRY(statement_take(s, "SELECT value FROM meta WHERE key = ?1", &st, err));
  bind_text(st, 1, key);
  TRY(statement_step(s, st, &row, err));
  if (!row) FAIL(err, MEDLEY_ERR_NOT_FOUND, "the workspace has no setting '%s'", key);
  strbuf_append(value, column_text(st, 0));
  if (value->failed) status = error_memory(err, "a setting");
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_meta_put(store *s, const char *key, const char *value, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(store_key_check("setting", key, err));
  TRY(statement_take(s,
                     "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET"
                     " value = excluded.value",
                     &st, err));
  bind_text(st, 1, key);
  bind_text(st, 2, value);
  TRY(statement_run(s, st, err));
done:
  statement_give(s, st);
  return status;
}

/* ---- counts and health ---- */

static medley_status count_rows(store *s, const char *sql, uint64_t *count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  bool row;
  TRY(statement_take(s, sql, &st, err));
  TRY(statement_step(s, st, &row, err));
  *count = row ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
done:
  statement_give(s, st);
  return status;
}

/* Items that have the modality, not files. */
static medley_status count_media(store *s, store_counts *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s, "SELECT modality, count(*) FROM media WHERE position = 0 GROUP BY modality", &st, err));
  for (;;) {
    bool row;
    TRY(statement_step(s, st, &row, err));
    if (!row) break;
    int modality = sqlite3_column_int(st, 0);
    if (modality >= 0 && (size_t)modality < sizeof out->media / sizeof out->media[0])
      out->media[modality] = (uint64_t)sqlite3_column_int64(st, 1);
  }
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_counts(store *s, store_counts *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (store_counts){0};
  TRY(count_rows(s, "SELECT count(*) FROM items", &out->items, err));
  TRY(count_rows(s, "SELECT count(*) FROM users", &out->users, err));
  TRY(count_rows(s, "SELECT count(*) FROM events", &out->events, err));
  TRY(count_rows(s, "SELECT count(*) FROM links", &out->links, err));
  TRY(count_rows(s, "SELECT count(*) FROM vectors", &out->vectors, err));
  TRY(count_rows(s, "SELECT count(*) FROM items WHERE coalesce(title, text) IS NOT NULL",
                 &out->media[STORE_MODALITY_TEXT], err));
  TRY(count_media(s, out, err));
done:
  return status;
}

static medley_status check_integrity(store *s, strbuf *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s, "PRAGMA integrity_check", &st, err));
  for (;;) {
    bool row;
    TRY(statement_step(s, st, &row, err));
    if (!row) break;
    if (strcmp(column_text(st, 0), "ok") != 0) strbuf_printf(report, "%s\n", column_text(st, 0));
  }
done:
  statement_give(s, st);
  return status;
}

static medley_status check_words(store *s, strbuf *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s, "INSERT INTO words (words) VALUES ('integrity-check')", &st, err));
  int code = sqlite3_step(st);
  if ((code & 0xff) == SQLITE_CORRUPT)
    strbuf_append(report, "the full-text index disagrees with its texts\n");
  else if (code != SQLITE_DONE)
    status = sqlite_fail(s, code, err);
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_check(store *s, strbuf *report, medley_error *err) {
  static const struct {
    const char *sql, *what;
  } orphans[] = {
      {"SELECT count(*) FROM events WHERE user_id NOT IN (SELECT id FROM users)", "events of users that are not there"},
      {"SELECT count(*) FROM events WHERE item_id NOT IN (SELECT id FROM items)",
       "events with items that are not there"},
      {"SELECT count(*) FROM media WHERE item_id NOT IN (SELECT id FROM items)", "media of items that are not there"},
      {"SELECT count(*) FROM words WHERE rowid NOT IN (SELECT id FROM items)", "words of items that are not there"},
      {"SELECT count(*) FROM vectors WHERE id & 1099511627775 NOT IN (SELECT id FROM items)",
       "vectors of items that are not there"},
  };
  medley_status status = MEDLEY_OK;
  TRY(check_integrity(s, report, err));
  TRY(check_words(s, report, err));
  for (size_t i = 0; i < sizeof orphans / sizeof *orphans; i++) {
    uint64_t count = 0;
    TRY(count_rows(s, orphans[i].sql, &count, err));
    if (count > 0) strbuf_printf(report, "%llu %s\n", (unsigned long long)count, orphans[i].what);
  }
  if (report->failed) status = error_memory(err, "the findings");
done:
  return status;
}

/* VACUUM INTO rather than the backup interface: it reads in one transaction, so that a writer beside it never makes it
 * start again, and it leaves out free pages. */
medley_status sqlite_snapshot(store *s, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  if (!sqlite3_get_autocommit(s->db)) FAIL(err, MEDLEY_ERR_INTERNAL, "a snapshot inside a transaction");
  TRY(statement_take(s, "VACUUM INTO ?1", &st, err));
  bind_text(st, 1, path);
  TRY(statement_run(s, st, err));
done:
  statement_give(s, st);
  return status;
}
