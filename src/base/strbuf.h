/* base/strbuf.h: a growing byte string born with a maximum. */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialise. `text` is always NUL-terminated once anything was appended, and NULL before. A failed append (memory
 * or limit) sets `failed`, after which all appends do nothing: check once at the end. */
typedef struct strbuf {
  char *text;
  size_t length, capacity;
  size_t limit; /* bytes; 0 means STRBUF_LIMIT_DEFAULT */
  bool failed;
} strbuf;

#define STRBUF_LIMIT_DEFAULT ((size_t)1 << 30)

void strbuf_append(strbuf *b, const char *text);
void strbuf_append_bytes(strbuf *b, const void *bytes, size_t length);
void strbuf_append_char(strbuf *b, char c);
void strbuf_printf(strbuf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text with &, <, >, " and ' escaped for HTML, SVG and XML. */
void strbuf_append_escaped(strbuf *b, const char *text);
/* The text (UTF-8) in double quotes, escaped for JSON. */
void strbuf_append_json(strbuf *b, const char *text);
void strbuf_reset(strbuf *b); /* length 0, keeps the memory */
/* The text, whose ownership moves to the caller (mem_free); "" when empty; NULL when an append failed. */
char *strbuf_take(strbuf *b);
void strbuf_deinit(strbuf *b);

/* ---- small helpers on plain strings ---- */

/* True when the bytes are well-formed UTF-8 (no surrogates, no overlong forms, nothing above U+10FFFF). */
bool utf8_valid(const char *bytes, size_t length);
/* Replaces each malformed byte by U+FFFD, appending to b. */
void strbuf_append_utf8_repaired(strbuf *b, const char *bytes, size_t length);
/* Removes ASCII white space at both ends, in place; returns the start. */
char *string_trim(char *text);
bool string_starts(const char *text, const char *prefix);
bool string_ends(const char *text, const char *suffix);
/* Whole-string numbers; false when anything else is in the text or the value does not fit. */
bool string_to_int64(const char *text, long long *value);
bool string_to_double(const char *text, double *value); /* finite only; C locale whatever the process locale */

#endif
