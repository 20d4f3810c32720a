/* data/table.c: see data/table.h.
 *
 * A record without a quote is cut in place, which is nearly all of them; one with quotes is first gathered until the
 * last quote is closed, and only then cut, so that cutting never has to be undone. */
#include "data/table.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define RAW_BYTES 512 /* of a malformed row, kept for the rejects file */

/* ---- cutting ---- */

static bool at_delimiter(const table_dialect *d, const char *p) {
  return *p == d->delimiter[0] && (d->delimiter[1] == '\0' || p[1] == d->delimiter[1]);
}

/* A quoted cell from after its opening quote; *write receives it unquoted. NULL when it is not closed. */
static char *cut_quoted(char *p, char *write) {
  for (; *p != '\0'; p++) {
    if (*p != '"') {
      *write++ = *p;
    } else if (p[1] == '"') {
      *write++ = '"';
      p++;
    } else {
      *write = '\0';
      return p + 1;
    }
  }
  return NULL;
}

bool table_cut(const table_dialect *d, char *record, char **cells, size_t cell_max, size_t *cell_count,
               const char **fault) {
  size_t width = strlen(d->delimiter), count = 0;
  char *p = record;
  for (;;) {
    if (count == cell_max) {
      *fault = "has more than 4096 columns";
      return false;
    }
    cells[count++] = p;
    char *end;
    if (d->quotes && *p == '"') {
      end = cut_quoted(p + 1, p);
      if (end == NULL) {
        *fault = "opens a quote that is not closed: if the file has no quoting, say --format tsv";
        return false;
      }
      if (*end != '\0' && !at_delimiter(d, end)) {
        *fault = "has text behind a closing quote: if the file has no quoting, say --format tsv";
        return false;
      }
    } else {
      end = p;
      while (*end != '\0' && !at_delimiter(d, end)) end++;
    }
    if (*end == '\0') break;
    *end = '\0';
    p = end + width;
  }
  *cell_count = count;
  return true;
}

/* Whether the text ends inside quotes: *inside carries the state from line to line. A quote opens only at the start of
 * a cell; inside, two quotes are one and leave the state as it was, because it changes twice. */
static void follow_quotes(const table_dialect *d, const char *text, bool *inside) {
  bool cell_start = !*inside;
  for (const char *p = text; *p != '\0'; p++) {
    if (*inside) {
      if (*p != '"') continue;
      if (p[1] == '"')
        p++;
      else
        *inside = false;
    } else if (at_delimiter(d, p)) {
      cell_start = true;
      if (d->delimiter[1] != '\0') p++;
      continue;
    } else if (*p == '"' && cell_start) {
      *inside = true;
    }
    cell_start = false;
  }
}

/* ---- records ---- */

static void raw_keep(table_reader *t, const char *text) {
  strbuf_reset(&t->raw);
  size_t length = strnlen(text, RAW_BYTES);
  strbuf_append_utf8_repaired(&t->raw, text, length);
}

static void raw_join(table_reader *t, size_t count) {
  strbuf_reset(&t->raw);
  for (size_t i = 0; i < count && t->raw.length < RAW_BYTES; i++) {
    if (i > 0) strbuf_append(&t->raw, t->dialect.delimiter);
    strbuf_append_utf8_repaired(&t->raw, t->cells[i], strnlen(t->cells[i], RAW_BYTES));
  }
}

/* Appends lines to the record until its quotes are closed, or the file or the limit ends it. */
static medley_status record_gather(table_reader *t, char **record, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool inside = false;
  follow_quotes(&t->dialect, *record, &inside);
  if (!inside) goto done;
  strbuf_reset(&t->record);
  strbuf_append(&t->record, *record);
  while (inside && t->record.length <= t->lines.line_max) {
    char *line;
    size_t length;
    TRY(line_next(&t->lines, &line, &length, err));
    if (line == NULL) break;
    strbuf_append_char(&t->record, '\n');
    strbuf_append_bytes(&t->record, line, length);
    follow_quotes(&t->dialect, line, &inside);
  }
  if (t->record.failed) {
    status = error_memory(err, "a row");
    goto done;
  }
  *record = t->record.text;
done:
  return status;
}

static bool has_nul(const char *text, size_t length) { return memchr(text, '\0', length) != NULL; }

/* The next line that is not empty, gathered over line ends in quotes; *record NULL at the end. */
static medley_status record_next(table_reader *t, char **record, uint64_t *line, const char **fault,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t length = 0;
  *fault = NULL;
  do TRY(line_next(&t->lines, record, &length, err));
  while (*record != NULL && length == 0);
  *line = t->lines.number;
  if (*record == NULL) goto done;
  if (has_nul(*record, length))
    *fault = "has a NUL byte: this is no text file";
  else if (t->dialect.quotes && strchr(*record, '"') != NULL)
    TRY(record_gather(t, record, err));
done:
  return status;
}

static medley_status cells_reserve(table_reader *t, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(t->cells, t->cell_capacity, count, "columns");
done:
  return status;
}

medley_status table_next(table_reader *t, table_row *row, bool *more, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *record = NULL;
  *row = (table_row){0};
  if (t->pending != NULL) {
    strbuf_reset(&t->record);
    strbuf_append(&t->record, t->pending);
    mem_free(t->pending);
    t->pending = NULL;
    if (t->record.failed) return error_memory(err, "a row");
    record = t->record.text;
    row->line = t->pending_line;
  } else {
    TRY(record_next(t, &record, &row->line, &row->fault, err));
  }
  *more = record != NULL;
  if (record == NULL) goto done;
  /* Cutting destroys quotes, and nothing else that could not be put together again. */
  bool kept = row->fault != NULL || (t->dialect.quotes && strchr(record, '"') != NULL);
  if (kept) raw_keep(t, record);
  row->cells = t->cells;
  if (row->fault == NULL) table_cut(&t->dialect, record, t->cells, TABLE_COLUMNS_MAX, &row->cell_count, &row->fault);
  if (row->fault == NULL && !t->dialect.ragged && row->cell_count != t->column_count) {
    strbuf_reset(&t->fault_text);
    strbuf_printf(&t->fault_text, "has %zu columns where %s has %zu", row->cell_count,
                  t->dialect.header ? "the header" : "the first row", t->column_count);
    row->fault = t->fault_text.text;
  }
  if (row->fault != NULL && !kept) raw_join(t, row->cell_count);
  row->raw = t->raw.text ? t->raw.text : "";
  if (t->raw.failed || t->fault_text.failed) status = error_memory(err, "a row");
done:
  return status;
}

/* ---- open and close ---- */

static medley_status columns_name(table_reader *t, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(t->columns, count, "column names");
  for (size_t i = 0; i < count; i++) {
    char number[24];
    snprintf(number, sizeof number, "%zu", i + 1);
    t->columns[i] = mem_strdup(t->dialect.header ? string_trim(t->cells[i]) : number);
    if (t->columns[i] == NULL) {
      status = error_memory(err, "column names");
      goto done;
    }
    t->column_count++;
  }
done:
  return status;
}

static medley_status table_begin(table_reader *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *fault = NULL;
  char *record = NULL;
  size_t count = 0;
  TRY(cells_reserve(t, TABLE_COLUMNS_MAX, err));
  TRY(record_next(t, &record, &t->pending_line, &fault, err));
  if (record == NULL) goto done;
  if (!t->dialect.header && fault == NULL) {
    t->pending = mem_strdup(record);
    if (t->pending == NULL) {
      status = error_memory(err, "a row");
      goto done;
    }
  }
  if (fault != NULL || !table_cut(&t->dialect, record, t->cells, TABLE_COLUMNS_MAX, &count, &fault))
    FAIL(err, MEDLEY_ERR_INPUT, "line %llu %s", (unsigned long long)t->pending_line, fault);
  TRY(columns_name(t, count, err));
done:
  return status;
}

medley_status table_open(table_reader *t, stream *in, const table_dialect *dialect, bool latin1, size_t line_max,
                         medley_error *err) {
  *t = (table_reader){.dialect = *dialect};
  t->record.limit = 3 * line_max;
  line_reader_init(&t->lines, in, latin1, line_max);
  medley_status status = table_begin(t, err);
  if (status != MEDLEY_OK) table_close(t);
  return status;
}

void table_close(table_reader *t) {
  line_reader_deinit(&t->lines);
  for (size_t i = 0; i < t->column_count; i++) mem_free(t->columns[i]);
  mem_free(t->columns);
  mem_free(t->cells);
  mem_free(t->pending);
  strbuf_deinit(&t->record);
  strbuf_deinit(&t->fault_text);
  strbuf_deinit(&t->raw);
  *t = (table_reader){0};
}

/* ---- sniffing ---- */

/* How often c stands outside quotes in the line. */
static size_t count_outside(const char *line, size_t length, char c) {
  size_t count = 0;
  bool inside = false;
  for (size_t i = 0; i < length; i++) {
    if (line[i] == '"')
      inside = !inside;
    else if (line[i] == c && !inside)
      count++;
  }
  return count;
}

static bool all_numbers(const char *line, size_t length, char delimiter) {
  char cell[64];
  size_t start = 0;
  double value;
  for (size_t i = 0; i <= length; i++) {
    if (i < length && line[i] != delimiter) continue;
    size_t size = i - start;
    if (size == 0 || size >= sizeof cell) return false;
    memcpy(cell, line + start, size);
    cell[size] = '\0';
    if (!string_to_double(string_trim(cell), &value)) return false;
    start = i + 1;
  }
  return true;
}

table_dialect table_sniff(const char *head, size_t length) {
  /* In order of preference when counts are equal; space only when none of the others is there. */
  static const char candidates[] = {'\t', ',', ';', '|'};
  if (length >= 3 && memcmp(head, "\xEF\xBB\xBF", 3) == 0) {
    head += 3;
    length -= 3;
  }
  const char *newline = length ? memchr(head, '\n', length) : NULL;
  size_t first = newline ? (size_t)(newline - head) : length, most = 0;
  if (first > 0 && head[first - 1] == '\r') first--;
  char best = ',';
  for (size_t i = 0; i < sizeof candidates; i++) {
    size_t count = count_outside(head, first, candidates[i]);
    if (count <= most) continue;
    most = count;
    best = candidates[i];
  }
  if (most == 0 && count_outside(head, first, ' ') > 0 && all_numbers(head, first, ' ')) best = ' ';
  return (table_dialect){
      .delimiter = {best}, .quotes = best != '\t' && best != ' ', .header = !all_numbers(head, first, best)};
}
