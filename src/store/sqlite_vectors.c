/* store/sqlite_vectors.c: one vector per space and item, as a little-endian blob.
 *
 * The row's number is the space's number shifted by 40 bits, plus the item's: the vectors of a space then lie together
 * in order of items, and walking them reads the file in one sweep. A primary key over both columns in a WITHOUT ROWID
 * table would do the same for short rows, but keeps blobs of some kilobytes in overflow pages. */
#include <string.h>

#include "base/hash.h"
#include "store/sqlite.h"

#define VECTOR_DIM_MAX 65536
#define ITEM_MASK (((int64_t)1 << SQLITE_STORE_SPACE_BITS) - 1)

static size_t dtype_bytes(store_dtype dtype) { return dtype == STORE_F16 ? 2 : 4; }

static medley_status space_find(store *s, const char *space, int64_t *id, bool *found, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(statement_take(s, "SELECT id FROM spaces WHERE name = ?1", &st, err));
  bind_text(st, 1, space);
  TRY(statement_step(s, st, found, err));
  if (*found) *id = sqlite3_column_int64(st, 0);
done:
  statement_give(s, st);
  return status;
}

static medley_status space_find_or_add(store *s, const char *space, int64_t *id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  bool found = false;
  TRY(space_find(s, space, id, &found, err));
  if (found) goto done;
  TRY(store_key_check("space", space, err));
  TRY(statement_take(s, "INSERT INTO spaces (name) VALUES (?1)", &st, err));
  bind_text(st, 1, space);
  TRY(statement_run(s, st, err));
  *id = sqlite3_last_insert_rowid(s->db);
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_put_vector(store *s, const char *space, const store_vector *v, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  int64_t space_id = 0;
  if (v->dim == 0 || v->dim > VECTOR_DIM_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "space '%s': a vector has 1 to %d dimensions, not %u", space, VECTOR_DIM_MAX, v->dim);
  if (v->item_id <= 0 || v->item_id > ITEM_MASK)
    FAIL(err, MEDLEY_ERR_USAGE, "space '%s': there is no item %lld", space, (long long)v->item_id);
  TRY(space_find_or_add(s, space, &space_id, err));
  TRY(statement_take(s,
                     "INSERT INTO vectors (id, content_hash, dtype, dim, content) VALUES (?1, ?2, ?3, ?4, ?5)"
                     " ON CONFLICT (id) DO UPDATE SET content_hash = excluded.content_hash, dtype = excluded.dtype,"
                     " dim = excluded.dim, content = excluded.content",
                     &st, err));
  static const unsigned char no_hash[HASH_BYTES];
  sqlite3_bind_int64(st, 1, space_id << SQLITE_STORE_SPACE_BITS | v->item_id);
  sqlite3_bind_blob(st, 2, v->content_hash ? v->content_hash : no_hash, HASH_BYTES, SQLITE_STATIC);
  sqlite3_bind_int(st, 3, (int)v->dtype);
  sqlite3_bind_int64(st, 4, v->dim);
  sqlite3_bind_blob64(st, 5, v->values, v->dim * dtype_bytes(v->dtype), SQLITE_STATIC);
  TRY(statement_run(s, st, err));
done:
  statement_give(s, st);
  return status;
}

/* A row whose sizes disagree is damage, not input: it is never handed on. */
static medley_status vector_read(store *s, sqlite3_stmt *st, store_vector *v, medley_error *err) {
  *v = (store_vector){
      .item_id = sqlite3_column_int64(st, 0) & ITEM_MASK,
      .content_hash = sqlite3_column_blob(st, 1),
      .dtype = (store_dtype)sqlite3_column_int(st, 2),
      .dim = (uint32_t)sqlite3_column_int64(st, 3),
      .values = sqlite3_column_blob(st, 4),
  };
  bool whole = sqlite3_column_bytes(st, 1) == HASH_BYTES && (v->dtype == STORE_F32 || v->dtype == STORE_F16) &&
               v->dim > 0 && v->dim <= VECTOR_DIM_MAX &&
               (size_t)sqlite3_column_bytes(st, 4) == v->dim * dtype_bytes(v->dtype) && v->values != NULL;
  if (whole) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_CORRUPT, "'%s': the vector of item %lld is damaged", s->path, (long long)v->item_id);
}

medley_status sqlite_each_vector(store *s, const char *space, store_vector_receiver receive, void *context,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  int64_t space_id = 0;
  bool found = false;
  TRY(space_find(s, space, &space_id, &found, err));
  if (!found) goto done;
  TRY(statement_take(
      s, "SELECT id, content_hash, dtype, dim, content FROM vectors WHERE id BETWEEN ?1 AND ?2 ORDER BY id", &st, err));
  sqlite3_bind_int64(st, 1, space_id << SQLITE_STORE_SPACE_BITS);
  sqlite3_bind_int64(st, 2, space_id << SQLITE_STORE_SPACE_BITS | ITEM_MASK);
  for (;;) {
    bool row;
    store_vector v;
    TRY(statement_step(s, st, &row, err));
    if (!row) break;
    TRY(vector_read(s, st, &v, err));
    TRY(receive(context, &v, err));
  }
done:
  statement_give(s, st);
  return status;
}

medley_status sqlite_delete_space(store *s, const char *space, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int64_t id = 0;
  bool found = false;
  TRY(space_find(s, space, &id, &found, err));
  if (!found) goto done;
  TRY(savepoint_begin(s, err));
  status = statement_run_id(s, "DELETE FROM vectors WHERE id BETWEEN ?1 << 40 AND (?1 << 40) + (1 << 40) - 1", id, err);
  if (status == MEDLEY_OK) status = statement_run_id(s, "DELETE FROM spaces WHERE id = ?1", id, err);
  status = savepoint_end(s, status, err);
done:
  return status;
}
