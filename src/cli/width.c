/* cli/width.c: see cli/width.h. */
#include "cli/width.h"

#include <stdbool.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

/* The next code point, -1 for a malformed byte; *at moves behind it. */
static UChar32 code_next(const char *text, size_t length, size_t *at) {
  UChar32 code;
  const uint8_t *bytes = (const uint8_t *)text;
  size_t i = *at;
  U8_NEXT(bytes, i, length, code);
  *at = code < 0 ? *at + 1 : i;
  return code;
}

static size_t code_width(UChar32 code) {
  if (code < 0x300) return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0xAD ? 0 : 1;
  int8_t category = u_charType(code);
  if (category == U_NON_SPACING_MARK || category == U_ENCLOSING_MARK || category == U_FORMAT_CHAR) return 0;
  if (code >= 0x1160 && code <= 0x11FF) return 0; /* vowels and finals that join the Hangul syllable before them */
  int width = u_getIntPropertyValue(code, UCHAR_EAST_ASIAN_WIDTH);
  return width == U_EA_WIDE || width == U_EA_FULLWIDTH ? 2 : 1;
}

static size_t width_of(UChar32 code) { return code < 0 ? 1 : code_width(code); }

size_t display_width(const char *text) {
  size_t length = strlen(text), columns = 0;
  for (size_t at = 0; at < length;) columns += width_of(code_next(text, length, &at));
  return columns;
}

size_t display_fit(const char *text, size_t columns, size_t *used) {
  size_t length = strlen(text), at = 0, sum = 0;
  while (at < length) {
    size_t next = at;
    size_t width = width_of(code_next(text, length, &next));
    if (sum + width > columns) break;
    sum += width;
    at = next;
  }
  if (used != NULL) *used = sum;
  return at;
}

void strbuf_append_printable(strbuf *b, const char *text) {
  size_t length = strlen(text);
  for (size_t at = 0; at < length;) {
    size_t start = at;
    UChar32 code = code_next(text, length, &at);
    if (code < 0)
      strbuf_append(b, "\xEF\xBF\xBD");
    else if (code < 0x20 || (code >= 0x7F && code < 0xA0))
      strbuf_append_char(b, ' ');
    else if (code >= 0x202A && code <= 0x202E)
      continue; /* direction overrides would turn the rest of the line around */
    else
      strbuf_append_bytes(b, text + start, at - start);
  }
}

void strbuf_append_fitted(strbuf *b, const char *text, size_t columns) {
  if (display_width(text) <= columns) {
    strbuf_append(b, text);
    return;
  }
  if (columns == 0) return;
  strbuf_append_bytes(b, text, display_fit(text, columns - 1, NULL));
  strbuf_append(b, "…");
}

void strbuf_append_spaces(strbuf *b, size_t count) {
  for (size_t i = 0; i < count; i++) strbuf_append_char(b, ' ');
}

/* ---- wrapping ---- */

/* Where the piece that begins at `text` ends: a word, or one wide character with what must not begin a line. */
static size_t piece_length(const char *text) {
  size_t length = strcspn(text, " \n"), at = 0;
  while (at < length) {
    size_t next = at;
    UChar32 code = code_next(text, length, &next);
    bool wide = width_of(code) == 2;
    if (wide && at > 0) break;
    at = next;
    if (!wide) continue;
    while (at < length) { /* 。，、！？ and closing brackets stay with it */
      size_t after = at;
      UChar32 mark = code_next(text, length, &after);
      if (mark < 0 || !u_ispunct(mark)) break;
      at = after;
    }
    break;
  }
  return at;
}

static void paragraph_wrap(strbuf *b, const char *text, size_t length, size_t indent, size_t columns) {
  char piece[512];
  size_t column = 0;
  bool space = false;
  for (size_t at = 0; at < length;) {
    if (text[at] == ' ' || text[at] == '\n') {
      space = true;
      at++;
      continue;
    }
    size_t bytes = piece_length(text + at);
    if (bytes > length - at) bytes = length - at;
    if (bytes >= sizeof piece) bytes = sizeof piece - 1;
    memcpy(piece, text + at, bytes);
    piece[bytes] = '\0';
    size_t width = display_width(piece);
    if (column > 0 && column + space + width > columns) {
      strbuf_append_char(b, '\n');
      column = 0;
    }
    if (column == 0)
      strbuf_append_spaces(b, column = indent);
    else if (space)
      strbuf_append_char(b, ' ');
    column += width + (space && column > indent);
    strbuf_append(b, piece);
    space = false;
    at += bytes;
  }
  if (column > 0) strbuf_append_char(b, '\n');
}

void strbuf_append_wrapped(strbuf *b, const char *text, size_t indent, size_t columns) {
  for (bool first = true; text != NULL; first = false) {
    const char *end = strstr(text, "\n\n");
    if (!first) strbuf_append_char(b, '\n');
    paragraph_wrap(b, text, end ? (size_t)(end - text) : strlen(text), indent, columns);
    text = end ? end + 2 : NULL;
  }
}
