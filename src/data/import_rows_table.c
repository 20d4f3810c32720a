/* data/import_rows_table.c: rows of delimited text. */
#include <string.h>

#include "data/import_parts.h"

#define COLUMN_NAME_MAX 256

/* A table of events without a header and without a map is read as user, item: the form of the many lists of pairs. */
static medley_status rows_table_guess(import_reader *r, medley_error *err) {
  static const char *const pair[] = {"user=1,item=2"};
  const import_part *part = r->part;
  bool pairs = part->kind == IMPORT_EVENTS && !part->dialect.header && r->table.column_count == 2;
  if (!pairs || r->mapping.mapped[FIELD_USER] || r->mapping.mapped[FIELD_ITEM]) return MEDLEY_OK;
  mapping_deinit(&r->mapping);
  return mapping_init(&r->mapping, part->kind, pair, 1, NULL, err);
}

/* RecBole's "genre:token_seq": spaces separate; the type is no part of the name. Types of features that are vectors
 * ("float_seq") stay attributes. */
static void columns_untype(import_reader *r) {
  for (size_t i = 0; i < r->table.column_count; i++) {
    char *colon = strrchr(r->table.columns[i], ':');
    if (colon == NULL) continue;
    if (string_ends(colon, "_seq")) r->separators[i] = ' ';
    *colon = '\0';
  }
}

/* The format's names for the columns of a table without a header; further columns keep their numbers. */
static medley_status columns_rename(import_reader *r, medley_error *err) {
  const char *p = r->part->columns;
  for (size_t i = 0; i < r->table.column_count && *p != '\0'; i++) {
    size_t length = strcspn(p, ",");
    char *name = mem_strndup(p, length);
    if (name == NULL) return error_memory(err, "column names");
    mem_free(r->table.columns[i]);
    r->table.columns[i] = name;
    p += length + (p[length] == ',');
  }
  return MEDLEY_OK;
}

/* Names become members of JSON objects, where each may be there once: a second "id" in column 5 is "id_5", a column
 * without a name is "column_5". */
static medley_status column_unique(import_reader *r, strmap *seen, size_t i, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf name = {0};
  bool added = false;
  const char *given = r->table.columns[i];
  if (strlen(given) > COLUMN_NAME_MAX || !utf8_valid(given, strlen(given)))
    FAIL(
        err, MEDLEY_ERR_INPUT,
        "the name of column %zu is longer than %d bytes or not UTF-8: if the first line is a row and not a header, say "
        "--no-header; if it is in Latin-1, --encoding latin-1",
        i + 1, COLUMN_NAME_MAX);
  if (*given != '\0' && strmap_get_or_put(seen, given, strlen(given), 0, &added) == NULL) goto memory;
  if (added) goto done;
  strbuf_printf(&name, "%s_%zu", *given ? given : "column", i + 1);
  for (added = false; !added && !name.failed; strbuf_append(&name, added ? "" : "_"))
    if (strmap_get_or_put(seen, name.text, name.length, 0, &added) == NULL) goto memory;
  char *unique = strbuf_take(&name);
  if (unique == NULL) goto memory;
  mem_free(r->table.columns[i]);
  r->table.columns[i] = unique;
  goto done;
memory:
  status = error_memory(err, "column names");
done:
  strbuf_deinit(&name);
  return status;
}

static medley_status columns_unique(import_reader *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strmap seen = {0};
  for (size_t i = 0; i < r->table.column_count && status == MEDLEY_OK; i++) status = column_unique(r, &seen, i, err);
  strmap_deinit(&seen);
  return status;
}

static medley_status rows_table_open(import_reader *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(table_open(&r->table, r->in, &r->part->dialect, r->part->latin1, IMPORT_LINE_MAX, err));
  TRY_NEW(r->fields, r->table.column_count, "columns");
  TRY_NEW(r->separators, r->table.column_count, "columns");
  if (r->part->typed) columns_untype(r);
  if (r->part->columns != NULL) TRY(columns_rename(r, err));
  TRY(columns_unique(r, err));
  if (r->table.column_count == 0) goto done;
  TRY(rows_table_guess(r, err));
  TRY(mapping_bind_columns(&r->mapping, r->table.columns, r->table.column_count, r->fields, err));
  TRY(mapping_check_columns(&r->mapping, (const char *const *)r->table.columns, r->fields, r->table.column_count, err));
  for (size_t i = 0; i < r->table.column_count; i++)
    if (r->fields[i] == FIELD_NONE && r->mapping.drop_rest) r->fields[i] = FIELD_SKIP;
done:
  return status;
}

static medley_status rows_table_next(import_reader *r, import_draft *d, bool *more, medley_error *err) {
  medley_status status = MEDLEY_OK;
  table_row row;
  TRY(table_next(&r->table, &row, more, err));
  if (!*more) goto done;
  draft_reset(d, row.line);
  if (row.fault != NULL) {
    draft_reject(d, IMPORT_BAD_ROW, FIELD_NONE, "line %llu %s", (unsigned long long)row.line, row.fault);
    d->raw = row.raw;
    goto done;
  }
  r->cell_count = row.cell_count;
  size_t count = row.cell_count < r->table.column_count ? row.cell_count : r->table.column_count;
  for (size_t i = 0; i < count; i++) {
    if (!utf8_valid(row.cells[i], strlen(row.cells[i]))) {
      draft_reject(d, IMPORT_BAD_ENCODING, r->fields[i],
                   "column '%s' is not UTF-8: if the file is in Latin-1, say --encoding latin-1", r->table.columns[i]);
      continue;
    }
    TRY(draft_add(d, r->fields[i], r->table.columns[i], row.cells[i], r->separators[i], err));
  }
done:
  return status;
}

static void rows_table_close(import_reader *r) {
  table_close(&r->table);
  mem_free(r->fields);
  mem_free(r->separators);
}

#define DESCRIBED_BYTES 512 /* of a cell */

static void append_repaired_json(strbuf *out, const char *text) {
  strbuf repaired = {0};
  strbuf_append_utf8_repaired(&repaired, text, strnlen(text, DESCRIBED_BYTES));
  strbuf_append_json(out, repaired.text ? repaired.text : "");
  out->failed |= repaired.failed;
  strbuf_deinit(&repaired);
}

static void rows_table_describe(const import_reader *r, const import_draft *d, strbuf *out) {
  if (d->raw != NULL) {
    append_repaired_json(out, d->raw);
    return;
  }
  strbuf_append_char(out, '{');
  for (size_t i = 0; i < r->cell_count && i < r->table.column_count; i++) {
    if (i > 0) strbuf_append_char(out, ',');
    append_repaired_json(out, r->table.columns[i]);
    strbuf_append_char(out, ':');
    append_repaired_json(out, r->table.cells[i]);
  }
  strbuf_append_char(out, '}');
}

const import_reader_kind import_rows_table = {
    .open = rows_table_open, .next = rows_table_next, .close = rows_table_close, .describe = rows_table_describe};
