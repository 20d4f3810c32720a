/* data/lines.c: see data/lines.h. */
#include "data/lines.h"

#include <string.h>

#include "base/memory.h"

#define READ_BYTES 262144

void line_reader_init(line_reader *r, stream *in, bool latin1, size_t line_max) {
  *r = (line_reader){.in = in, .latin1 = latin1, .line_max = line_max, .converted = {.limit = 2 * line_max + 2}};
}

void line_reader_deinit(line_reader *r) {
  mem_free(r->buffer);
  strbuf_deinit(&r->converted);
  *r = (line_reader){0};
}

/* Moves what is left to the front and reads more behind it. */
static medley_status lines_fill(line_reader *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t left = r->end - r->start, got = 0;
  if (r->start > 0 && left > 0) memmove(r->buffer, r->buffer + r->start, left);
  r->start = 0;
  r->end = left;
  TRY_GROW(r->buffer, r->capacity, left + READ_BYTES + 1, "a line");
  TRY(stream_read(r->in, r->buffer + left, READ_BYTES, &got, err));
  r->end += got;
  r->ended = got == 0;
done:
  return status;
}

void strbuf_append_latin1(strbuf *b, const char *bytes, size_t length) {
  for (size_t i = 0; i < length;) {
    size_t ascii = i;
    while (ascii < length && (unsigned char)bytes[ascii] < 0x80) ascii++;
    strbuf_append_bytes(b, bytes + i, ascii - i);
    if (ascii < length) {
      unsigned char c = (unsigned char)bytes[ascii++];
      strbuf_append_char(b, (char)(0xC0 | c >> 6));
      strbuf_append_char(b, (char)(0x80 | (c & 0x3F)));
    }
    i = ascii;
  }
}

static medley_status line_finish(line_reader *r, char **line, size_t *length, medley_error *err) {
  if (*length > 0 && (*line)[*length - 1] == '\r') --*length;
  if (r->number == 1 && *length >= 3 && memcmp(*line, "\xEF\xBB\xBF", 3) == 0) {
    *line += 3;
    *length -= 3;
  }
  (*line)[*length] = '\0';
  if (!r->latin1) return MEDLEY_OK;
  strbuf_reset(&r->converted);
  strbuf_append_latin1(&r->converted, *line, *length);
  strbuf_append(&r->converted, "");
  if (r->converted.failed) return error_memory(err, "a line");
  *line = r->converted.text;
  *length = r->converted.length;
  return MEDLEY_OK;
}

medley_status line_next(line_reader *r, char **line, size_t *length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t searched = 0;
  char *newline = NULL;
  *line = NULL;
  *length = 0;
  for (;;) {
    size_t left = r->end - r->start;
    if (left > searched) newline = memchr(r->buffer + r->start + searched, '\n', left - searched);
    if (newline != NULL || r->ended) break;
    searched = left;
    if (left > r->line_max)
      FAIL(err, MEDLEY_ERR_LIMIT, "line %llu is longer than %zu bytes", (unsigned long long)r->number + 1, r->line_max);
    TRY(lines_fill(r, err));
  }
  size_t left = r->end - r->start;
  if (newline == NULL && left == 0) goto done;
  *line = r->buffer + r->start;
  *length = newline ? (size_t)(newline - *line) : left;
  if (*length > r->line_max)
    FAIL(err, MEDLEY_ERR_LIMIT, "line %llu is longer than %zu bytes", (unsigned long long)r->number + 1, r->line_max);
  r->start += *length + (newline ? 1 : 0);
  r->number++;
  TRY(line_finish(r, line, length, err));
done:
  return status;
}
