/* data/table.h: delimited text: CSV after RFC 4180, TSV without quoting, and the "::" of MovieLens, row by row. */
#ifndef DATA_TABLE_H
#define DATA_TABLE_H

#include "data/lines.h"

#define TABLE_COLUMNS_MAX 4096

typedef struct table_dialect {
  char delimiter[3]; /* one or two characters, NUL-terminated */
  bool quotes;       /* a cell may stand in double quotes, with "" for a quote and line ends inside */
  bool header;       /* the first line names the columns */
  bool ragged;       /* rows may have another number of cells than the first */
} table_dialect;

typedef struct table_row {
  uint64_t line; /* where it begins */
  char **cells;  /* [cell_count] unquoted; valid until the next call */
  size_t cell_count;
  const char *fault; /* a sentence when the row is malformed (cells are then those of no use); NULL otherwise */
  const char *raw;   /* with fault: the beginning of the row as it stands in the file */
} table_row;

typedef struct table_reader {
  line_reader lines;
  table_dialect dialect;
  char **columns; /* [column_count] names of the header, or "1", "2", ... */
  size_t column_count;
  char **cells;
  size_t cell_capacity;
  strbuf record, fault_text, raw;
  char *pending; /* the first row of a table without a header, read to count its columns */
  uint64_t pending_line;
} table_reader;

/* Reads the header, or counts the columns of the first row. A file without any line has no columns. */
medley_status table_open(table_reader *t, stream *in, const table_dialect *dialect, bool latin1, size_t line_max,
                         medley_error *err) MEDLEY_CHECK;
/* The next row that is not empty; *more is false at the end. A malformed row is told with fault set. */
medley_status table_next(table_reader *t, table_row *row, bool *more, medley_error *err) MEDLEY_CHECK;
void table_close(table_reader *t);

/* Cuts one record (no line end outside quotes) in place; cells point into it. False, with *fault, when quotes are
 * wrong. */
bool table_cut(const table_dialect *dialect, char *record, char **cells, size_t cell_max, size_t *cell_count,
               const char **fault);
/* The most likely dialect for the first lines of a file: delimiter out of , ; tab | and space, header unless every cell
 * of the first line is a number. */
table_dialect table_sniff(const char *head, size_t length);

#endif
