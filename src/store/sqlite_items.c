/* store/sqlite_items.c: items with their tags and media, and the keys of items and users.
 *
 * Tags are one column with a tag a line: they are only ever read and written together, and a table of them would make
 * the walk over all items several times slower. */
#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "store/sqlite.h"

#define MEDIA_PATH_MAX 4096

/* ---- writing ---- */

static const char put_item_sql[] =
    "INSERT INTO items (key, title, text, category, language, tags, attributes, time_s, hidden)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    " ON CONFLICT (key) DO UPDATE SET title = coalesce(excluded.title, title),"
    " text = CASE WHEN NOT ?10 OR text IS NULL OR excluded.text IS NULL THEN coalesce(excluded.text, text)"
    "  WHEN instr(char(10) || text || char(10), char(10) || excluded.text || char(10)) THEN text"
    "  ELSE text || char(10) || excluded.text END,"
    " category = coalesce(excluded.category, category), language = coalesce(excluded.language, language),"
    " tags = coalesce(excluded.tags, tags), attributes = coalesce(excluded.attributes, attributes),"
    " time_s = coalesce(excluded.time_s, time_s), hidden = CASE WHEN ?11 THEN hidden ELSE excluded.hidden END"
    " RETURNING id";

static medley_status item_check(const store_item *item, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(store_key_check("item", item->key, err));
  TRY(store_text_check("item", item->key, "title", item->title, err));
  TRY(store_text_check("item", item->key, "text", item->text, err));
  TRY(store_text_check("item", item->key, "category", item->category, err));
  TRY(store_text_check("item", item->key, "language", item->language, err));
  TRY(store_text_check("item", item->key, "attributes", item->attributes, err));
  if (item->tag_count > STORE_TAG_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "item '%s' has %zu tags, the limit is %d", item->key, item->tag_count, STORE_TAG_MAX);
  size_t per_modality[8] = {0};
  for (size_t i = 0; i < item->media_count; i++) {
    const store_media *m = &item->media[i];
    if (m->modality < 0 || m->modality >= 8)
      FAIL(err, MEDLEY_ERR_USAGE, "item '%s': modality %d", item->key, m->modality);
    if (strnlen(m->path, MEDIA_PATH_MAX + 1) > MEDIA_PATH_MAX)
      FAIL(err, MEDLEY_ERR_LIMIT, "item '%s': a media path is longer than %d bytes", item->key, MEDIA_PATH_MAX);
    if (++per_modality[m->modality] > STORE_MEDIA_MAX)
      FAIL(err, MEDLEY_ERR_LIMIT, "item '%s' has more than %d files of one modality", item->key, STORE_MEDIA_MAX);
  }
done:
  return status;
}

/* One tag a line; white space inside a tag (also a line end) becomes a space, empty tags are left out. */
static medley_status tags_join(const store_item *item, strbuf *out, medley_error *err) {
  for (size_t i = 0; i < item->tag_count; i++) {
    const char *tag = item->tags[i];
    if (*tag == '\0') continue;
    if (out->length > 0) strbuf_append_char(out, '\n');
    for (; *tag; tag++) strbuf_append_char(out, isspace((unsigned char)*tag) ? ' ' : *tag);
  }
  if (out->text == NULL) strbuf_append(out, "");
  if (out->failed) return error_memory(err, "tags");
  return store_text_check("item", item->key, "list of tags", out->text, err);
}

static medley_status item_write(store *s, const store_item *item, const char *tags, int64_t *id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s, put_item_sql, &st, err));
  bind_text(st, 1, item->key);
  bind_text(st, 2, item->title);
  bind_text(st, 3, item->text);
  bind_text(st, 4, item->category);
  bind_text(st, 5, item->language);
  bind_text(st, 6, tags);
  bind_text(st, 7, item->attributes);
  bind_time(st, 8, item->time_s);
  sqlite3_bind_int(st, 9, item->hidden);
  sqlite3_bind_int(st, 10, item->append_text);
  sqlite3_bind_int(st, 11, item->keep_hidden);
  int code = sqlite3_step(st);
  if ((code & 0xff) == SQLITE_CONSTRAINT)
    FAIL(err, MEDLEY_ERR_LIMIT, "item '%s': text would be longer than %d characters", item->key, STORE_TEXT_MAX);
  if (code != SQLITE_ROW) {
    status = sqlite_fail(s, code, err);
    goto done;
  }
  *id = sqlite3_column_int64(st, 0);
  /* Only the step after the row ends the statement. */
  bool row;
  TRY(statement_step(s, st, &row, err));
done:
  statement_give(s, st);
  return status;
}

static medley_status media_write(store *s, const store_item *item, int64_t id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *clear = NULL, *put = NULL;
  int next[8] = {0};
  TRY(statement_take(s, "DELETE FROM media WHERE item_id = ?1 AND modality = ?2", &clear, err));
  TRY(statement_take(s, "INSERT INTO media (item_id, modality, position, path) VALUES (?1, ?2, ?3, ?4)", &put, err));
  for (size_t i = 0; i < item->media_count; i++) {
    const store_media *m = &item->media[i];
    if (next[m->modality] == 0) {
      sqlite3_bind_int64(clear, 1, id);
      sqlite3_bind_int(clear, 2, m->modality);
      TRY(statement_run(s, clear, err));
    }
    sqlite3_bind_int64(put, 1, id);
    sqlite3_bind_int(put, 2, m->modality);
    sqlite3_bind_int(put, 3, next[m->modality]++);
    bind_text(put, 4, m->path);
    TRY(statement_run(s, put, err));
  }
done:
  statement_give(s, clear);
  statement_give(s, put);
  return status;
}

medley_status sqlite_put_item(store *s, const store_item *item, int64_t *id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf tags = {.limit = (size_t)4 * STORE_TEXT_MAX};
  int64_t row_id = 0;
  TRY(item_check(item, err));
  if (item->tags != NULL) TRY(tags_join(item, &tags, err));
  TRY(savepoint_begin(s, err));
  status = item_write(s, item, item->tags ? tags.text : NULL, &row_id, err);
  if (status == MEDLEY_OK && item->media_count > 0) status = media_write(s, item, row_id, err);
  TRY(savepoint_end(s, status, err));
  if (id != NULL) *id = row_id;
done:
  strbuf_deinit(&tags);
  return status;
}

medley_status sqlite_delete_item(store *s, int64_t id, medley_error *err) {
  /* "?1" stands in each: the id of the item. */
  static const char *const deletes[] = {
      "DELETE FROM media WHERE item_id = ?1",
      "DELETE FROM vectors WHERE id IN (SELECT (id << 40) | ?1 FROM spaces)",
      "DELETE FROM words WHERE rowid = ?1",
      "DELETE FROM events WHERE item_id = ?1",
      "DELETE FROM links WHERE from_kind = 'i' AND from_id = ?1",
      "DELETE FROM links WHERE to_kind = 'i' AND to_id = ?1",
      "DELETE FROM items WHERE id = ?1",
  };
  medley_status status = MEDLEY_OK;
  TRY(savepoint_begin(s, err));
  for (size_t i = 0; i < sizeof deletes / sizeof *deletes && status == MEDLEY_OK; i++)
    status = statement_run_id(s, deletes[i], id, err);
  status = savepoint_end(s, status, err);
done:
  return status;
}

/* ---- reading ---- */

/* What one item borrows while its receiver runs; used again for the next. */
typedef struct item_row {
  arena *memory;
  store_item item;
  const char **tags;
  size_t tag_capacity;
  store_media *media;
  size_t media_capacity;
} item_row;

static void item_row_deinit(item_row *r) {
  arena_free(r->memory);
  mem_free(r->tags);
  mem_free(r->media);
}

static medley_status tags_split(item_row *r, const char *joined, medley_error *err) {
  medley_status status = MEDLEY_OK;
  r->item.tag_count = 0;
  if (joined == NULL) {
    r->item.tags = NULL;
    goto done;
  }
  TRY_GROW(r->tags, r->tag_capacity, 1, "tags");
  for (const char *start = joined; *start;) {
    size_t length = strcspn(start, "\n");
    TRY_GROW(r->tags, r->tag_capacity, r->item.tag_count + 1, "tags");
    char *tag = arena_strndup(r->memory, start, length);
    if (tag == NULL) {
      status = error_memory(err, "tags");
      goto done;
    }
    r->tags[r->item.tag_count++] = tag;
    start += length + (start[length] == '\n');
  }
  r->item.tags = r->tags;
done:
  return status;
}

static medley_status media_read(store *s, item_row *r, sqlite3_stmt *st, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool row;
  r->item.media_count = 0;
  sqlite3_reset(st);
  sqlite3_bind_int64(st, 1, r->item.id);
  for (;;) {
    TRY(statement_step(s, st, &row, err));
    if (!row) break;
    TRY_GROW(r->media, r->media_capacity, r->item.media_count + 1, "media paths");
    char *path = arena_strdup(r->memory, column_text(st, 1));
    if (path == NULL) {
      status = error_memory(err, "media paths");
      goto done;
    }
    r->media[r->item.media_count++] = (store_media){.modality = sqlite3_column_int(st, 0), .path = path};
  }
  r->item.media = r->media;
done:
  return status;
}

static medley_status items_walk(store *s, sqlite3_stmt *st, store_item_receiver receive, void *context, uint64_t *seen,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  item_row r = {0};
  sqlite3_stmt *media = NULL;
  TRY(statement_take(s, "SELECT modality, path FROM media WHERE item_id = ?1 ORDER BY modality, position", &media,
                     err));
  r.memory = arena_create(0);
  if (r.memory == NULL) {
    status = error_memory(err, "items");
    goto done;
  }
  for (;; (*seen)++) {
    bool row;
    TRY(statement_step(s, st, &row, err));
    if (!row) break;
    arena_reset(r.memory);
    r.item = (store_item){
        .id = sqlite3_column_int64(st, 0),
        .key = column_text(st, 1),
        .title = column_text(st, 2),
        .text = column_text(st, 3),
        .category = column_text(st, 4),
        .language = column_text(st, 5),
        .attributes = column_text(st, 7),
        .time_s = column_time(st, 8),
        .hidden = sqlite3_column_int(st, 9) != 0,
    };
    TRY(tags_split(&r, column_text(st, 6), err));
    TRY(media_read(s, &r, media, err));
    TRY(receive(context, &r.item, err));
  }
done:
  statement_give(s, media);
  item_row_deinit(&r);
  return status;
}

medley_status sqlite_each_item(store *s, int64_t after_id, uint64_t limit, store_item_receiver receive, void *context,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  uint64_t seen = 0;
  TRY(statement_take(s,
                     "SELECT id, key, title, text, category, language, tags, attributes, time_s, hidden FROM items"
                     " WHERE id > ?1 ORDER BY id LIMIT ?2",
                     &st, err));
  sqlite3_bind_int64(st, 1, after_id);
  sqlite3_bind_int64(st, 2, limit == 0 || limit > INT64_MAX ? -1 : (int64_t)limit);
  TRY(items_walk(s, st, receive, context, &seen, err));
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_get_item(store *s, int64_t id, store_item_receiver receive, void *context, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  uint64_t seen = 0;
  TRY(statement_take(s,
                     "SELECT id, key, title, text, category, language, tags, attributes, time_s, hidden FROM items"
                     " WHERE id = ?1",
                     &st, err));
  sqlite3_bind_int64(st, 1, id);
  TRY(items_walk(s, st, receive, context, &seen, err));
  if (seen == 0) FAIL(err, MEDLEY_ERR_NOT_FOUND, "there is no item with the number %lld", (long long)id);
done:
  statement_give(s, st);
  return status;
}

/* ---- keys of items and users ---- */

medley_status sqlite_get_id(store *s, store_table table, const char *key, int64_t *id, medley_error *err) {
  static const char *const sql[] = {
      [STORE_ITEMS] = "SELECT id FROM items WHERE key = ?1", [STORE_USERS] = "SELECT id FROM users WHERE key = ?1"};
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  bool row;
  TRY(statement_take(s, sql[table], &st, err));
  bind_text(st, 1, key);
  TRY(statement_step(s, st, &row, err));
  if (!row) FAIL(err, MEDLEY_ERR_NOT_FOUND, "there is no %s '%s'", table == STORE_ITEMS ? "item" : "user", key);
  *id = sqlite3_column_int64(st, 0);
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_load_keys(store *s, store_table table, strmap *keys, medley_error *err) {
  static const char *const sql[] = {
      [STORE_ITEMS] = "SELECT id, key FROM items ORDER BY id", [STORE_USERS] = "SELECT id, key FROM users ORDER BY id"};
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s, sql[table], &st, err));
  for (;;) {
    bool row;
    TRY(statement_step(s, st, &row, err));
    if (!row) break;
    if (!strmap_put(keys, column_text(st, 1), sqlite3_column_int64(st, 0))) {
      status = error_memory(err, "keys");
      goto done;
    }
  }
done:
  statement_give(s, st);
  return status;
}
