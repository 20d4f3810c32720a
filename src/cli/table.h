/* cli/table.h: rows and columns for people, aligned by display width. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/strbuf.h"

typedef enum text_style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_BAD, STYLE_ACCENT } text_style;

/* The text between the terminal's codes of the style; bare without colour. */
void strbuf_append_styled(strbuf *b, const char *text, text_style style, bool colour);

#define TABLE_COLUMNS_MAX 32

typedef struct table_cell {
  const char *text;
  text_style style;
} table_cell;

typedef struct table_column {
  const char *heading; /* "" for none; a table whose headings are all empty has no heading line */
  bool right;          /* numbers */
  bool shrinks;        /* gives way when the table is wider than the terminal */
} table_column;

/* Zero-initialise; add columns, then cells row by row. A failed allocation sets `failed`: then table_append adds
 * nothing and marks the strbuf as failed. */
typedef struct table {
  table_column columns[TABLE_COLUMNS_MAX];
  size_t column_count;
  table_cell *cells; /* [row_count * column_count] in rows */
  size_t cell_count, cell_capacity;
  arena *memory;
  bool failed;
} table;

void table_add_column(table *t, const char *heading, bool right, bool shrinks);
/* The next cell of the current row; the text is copied and made printable. NULL is "". */
void table_add(table *t, const char *text, text_style style);
void table_add_printf(table *t, text_style style, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The table into b, each line behind `indent` spaces. columns: width of the terminal, 0 for no limit. */
void table_append(const table *t, strbuf *b, size_t indent, size_t columns, bool colour);
void table_deinit(table *t);

/* A bar of at most `columns` characters for value / largest, in eighths of a character; empty for 0. A negative value
 * gives a bar of light shade. */
void strbuf_append_bar(strbuf *b, double value, double largest, size_t columns);
/* 1234567 → "1,234,567" */
void strbuf_append_count(strbuf *b, uint64_t value);
/* 1572864 → "1.5 MiB" */
void strbuf_append_bytes_size(strbuf *b, double bytes);

#endif
