/* data/lines.h: the lines of a stream, numbered, bounded and in UTF-8. */
#ifndef DATA_LINES_H
#define DATA_LINES_H

#include <stdbool.h>

#include "base/strbuf.h"
#include "data/stream.h"

typedef struct line_reader {
  stream *in; /* borrowed */
  bool latin1;
  size_t line_max; /* bytes */
  uint64_t number; /* of the line told last, from 1 */
  char *buffer;
  size_t start, end, capacity;
  bool ended;
  strbuf converted;
} line_reader;

/* Nothing is read yet. */
void line_reader_init(line_reader *r, stream *in, bool latin1, size_t line_max);
/* The next line without its end (LF or CR LF) and, in the first line, without a byte order mark; NUL-terminated, the
 * caller may write into it, valid until the next call. *line is NULL at the end. A longer line than line_max is
 * MEDLEY_ERR_LIMIT. */
medley_status line_next(line_reader *r, char **line, size_t *length, medley_error *err) MEDLEY_CHECK;
void line_reader_deinit(line_reader *r);

/* ISO 8859-1 to UTF-8. */
void strbuf_append_latin1(strbuf *b, const char *bytes, size_t length);

#endif
