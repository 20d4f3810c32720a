/* store/sqlite_schema.c: the tables, as numbered migrations.
 *
 * A migration is never changed once it was released; a new wish is a new number at the end. The number reached is
 * SQLite's own user_version, written in the same transaction as the tables, so that a kill in the middle leaves the old
 * schema whole. application_id tells our files from other people's databases.
 *
 * No foreign keys: each event would be checked twice, which halves the speed of imports, and ids only ever come from
 * put_item and put_user. sqlite_check counts rows that point nowhere.
 */
#include "store/sqlite.h"

#define APPLICATION_ID 0x4D444C59 /* "MDLY" */

static const char *const migrations[] = {
    /* 1: ids are AUTOINCREMENT because they are never reused. items.tags has one tag a line. time_s is NULL when
     * unknown, which sorts before every time. The index on events serves every request (one user's newest events);
     * there is none on item_id, since only the deletion of an item would use it. */
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE items (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, title TEXT,"
    " text TEXT CHECK (length(text) <= 1048576), category TEXT, language TEXT, tags TEXT, attributes TEXT,"
    " time_s INTEGER, hidden INTEGER NOT NULL);"
    "CREATE TABLE media (item_id INTEGER NOT NULL, modality INTEGER NOT NULL, position INTEGER NOT NULL,"
    " path TEXT NOT NULL, PRIMARY KEY (item_id, modality, position)) WITHOUT ROWID;"
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, attributes TEXT,"
    " time_s INTEGER);"
    "CREATE TABLE event_types (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL, item_id INTEGER NOT NULL,"
    " type INTEGER NOT NULL, value REAL NOT NULL, time_s INTEGER, split INTEGER NOT NULL, context TEXT);"
    "CREATE INDEX events_of_user ON events (user_id, time_s);"
    "CREATE TABLE links (from_kind TEXT NOT NULL, from_id INTEGER NOT NULL, to_kind TEXT NOT NULL,"
    " to_id INTEGER NOT NULL, type TEXT NOT NULL, weight REAL NOT NULL,"
    " PRIMARY KEY (from_kind, from_id, to_kind, to_id, type)) WITHOUT ROWID;"
    "CREATE INDEX links_to ON links (to_kind, to_id);"
    "CREATE TABLE spaces (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE vectors (id INTEGER PRIMARY KEY, content_hash BLOB NOT NULL, dtype INTEGER NOT NULL,"
    " dim INTEGER NOT NULL, content BLOB NOT NULL);"
    "CREATE VIRTUAL TABLE words USING fts5(content,"
    " tokenize = \"unicode61 remove_diacritics 0 categories 'L* M* N* P* S* Co'\");"
    "CREATE TABLE imports (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL UNIQUE,"
    " rows_done INTEGER NOT NULL, rows_accepted INTEGER NOT NULL, rows_rejected INTEGER NOT NULL,"
    " finished INTEGER NOT NULL, report TEXT NOT NULL);"
    "CREATE TABLE generations (number INTEGER PRIMARY KEY, created_s INTEGER NOT NULL, manifest TEXT NOT NULL);"
    "CREATE TABLE runs (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, started_s INTEGER NOT NULL,"
    " seconds REAL NOT NULL, report TEXT NOT NULL);",
};
#define SCHEMA_NEWEST ((int)(sizeof migrations / sizeof *migrations))

static medley_status pragma_integer(store *s, const char *sql, int *value, medley_error *err) {
  sqlite3_stmt *st = NULL;
  int code = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
  if (code == SQLITE_OK) code = sqlite3_step(st);
  if (code == SQLITE_ROW) *value = sqlite3_column_int(st, 0);
  sqlite3_finalize(st);
  return code == SQLITE_ROW ? MEDLEY_OK : sqlite_fail(s, code, err);
}

static medley_status schema_run(store *s, const char *sql, medley_error *err) {
  int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
  return code == SQLITE_OK ? MEDLEY_OK : sqlite_fail(s, code, err);
}

static medley_status schema_apply(store *s, int from, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char pragmas[128];
  for (int i = from; i < SCHEMA_NEWEST; i++) TRY(schema_run(s, migrations[i], err));
  sqlite3_snprintf(sizeof pragmas, pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d;", APPLICATION_ID,
                   SCHEMA_NEWEST);
  TRY(schema_run(s, pragmas, err));
done:
  return status;
}

/* Called inside the write lock, so that two processes do not migrate at once. */
static medley_status schema_migrate_locked(store *s, bool create, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int application = 0, version = 0, tables = 0;
  TRY(pragma_integer(s, "PRAGMA application_id", &application, err));
  TRY(pragma_integer(s, "PRAGMA user_version", &version, err));
  TRY(pragma_integer(s, "SELECT count(*) FROM sqlite_schema", &tables, err));
  if (application != APPLICATION_ID && (!create || tables > 0))
    FAIL(err, MEDLEY_ERR_CORRUPT, "'%s' is a SQLite database, but not one of Medley", s->path);
  if (version > SCHEMA_NEWEST)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED,
         "'%s' was written by a newer Medley (schema %d, this one knows up to %d): update Medley", s->path, version,
         SCHEMA_NEWEST);
  if (version < SCHEMA_NEWEST) TRY(schema_apply(s, version, err));
done:
  return status;
}

medley_status schema_migrate(store *s, bool create, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int application = 0, version = 0;
  TRY(pragma_integer(s, "PRAGMA application_id", &application, err));
  TRY(pragma_integer(s, "PRAGMA user_version", &version, err));
  /* The usual case takes no lock: readers can open while another process writes. */
  if (application == APPLICATION_ID && version == SCHEMA_NEWEST) goto done;
  TRY(store_sqlite.begin(s, err));
  status = schema_migrate_locked(s, create, err);
  if (status != MEDLEY_OK) {
    store_sqlite.rollback(s);
    goto done;
  }
  TRY(store_sqlite.commit(s, err));
done:
  return status;
}
