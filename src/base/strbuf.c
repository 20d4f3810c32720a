/* base/strbuf.c: see base/strbuf.h. */
#include "base/strbuf.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static bool strbuf_reserve(strbuf *b, size_t extra) {
  size_t limit = b->limit ? b->limit : STRBUF_LIMIT_DEFAULT;
  if (b->failed) return false;
  if (extra >= limit || b->length > limit - extra - 1) {
    b->failed = true;
    return false;
  }
  void *grown = b->text;
  if (!mem_grow(&grown, &b->capacity, b->length + extra + 1, 1)) {
    b->failed = true;
    return false;
  }
  b->text = grown;
  return true;
}

void strbuf_append_bytes(strbuf *b, const void *bytes, size_t length) {
  if (!strbuf_reserve(b, length)) return;
  if (length > 0) memcpy(b->text + b->length, bytes, length);
  b->length += length;
  b->text[b->length] = '\0';
}

void strbuf_append(strbuf *b, const char *text) { strbuf_append_bytes(b, text, strlen(text)); }

void strbuf_append_char(strbuf *b, char c) { strbuf_append_bytes(b, &c, 1); }

void strbuf_printf(strbuf *b, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  if (length < 0) b->failed = true;
  if (length >= 0 && strbuf_reserve(b, (size_t)length)) {
    vsnprintf(b->text + b->length, (size_t)length + 1, format, again);
    b->length += (size_t)length;
  }
  va_end(again);
  va_end(args);
}

void strbuf_append_escaped(strbuf *b, const char *text) {
  for (; *text; text++) {
    switch (*text) {
      case '&': strbuf_append(b, "&amp;"); break;
      case '<': strbuf_append(b, "&lt;"); break;
      case '>': strbuf_append(b, "&gt;"); break;
      case '"': strbuf_append(b, "&quot;"); break;
      case '\'': strbuf_append(b, "&#39;"); break;
      default: strbuf_append_char(b, *text);
    }
  }
}

void strbuf_append_json(strbuf *b, const char *text) {
  strbuf_append_char(b, '"');
  for (const char *p = text; *p != '\0';) {
    size_t plain = strcspn(p,
                           "\"\\\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15"
                           "\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f");
    strbuf_append_bytes(b, p, plain);
    p += plain;
    if (*p == '\0') break;
    if (*p == '"' || *p == '\\')
      strbuf_printf(b, "\\%c", *p);
    else
      strbuf_printf(b, "\\u%04x", (unsigned char)*p);
    p++;
  }
  strbuf_append_char(b, '"');
}

void strbuf_reset(strbuf *b) {
  b->length = 0;
  b->failed = false;
  if (b->text != NULL) b->text[0] = '\0';
}

char *strbuf_take(strbuf *b) {
  if (b->text == NULL) strbuf_append(b, "");
  char *text = b->failed ? NULL : b->text;
  if (b->failed) mem_free(b->text);
  *b = (strbuf){.limit = b->limit};
  return text;
}

void strbuf_deinit(strbuf *b) {
  mem_free(b->text);
  *b = (strbuf){0};
}

/* The length of the well-formed sequence at bytes (1 to 4), or 0. Table 3-7 of the Unicode standard. */
static size_t utf8_sequence_length(const unsigned char *s, size_t left) {
  if (s[0] < 0x80) return 1;
  if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
  size_t length = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
  if (left < length) return 0;
  unsigned char low = 0x80, high = 0xBF; /* the range of the second byte */
  if (s[0] == 0xE0) low = 0xA0;
  if (s[0] == 0xED) high = 0x9F;
  if (s[0] == 0xF0) low = 0x90;
  if (s[0] == 0xF4) high = 0x8F;
  if (s[1] < low || s[1] > high) return 0;
  for (size_t i = 2; i < length; i++)
    if ((s[i] & 0xC0) != 0x80) return 0;
  return length;
}

bool utf8_valid(const char *bytes, size_t length) {
  const unsigned char *s = (const unsigned char *)bytes;
  for (size_t i = 0; i < length;) {
    size_t step = utf8_sequence_length(s + i, length - i);
    if (step == 0) return false;
    i += step;
  }
  return true;
}

void strbuf_append_utf8_repaired(strbuf *b, const char *bytes, size_t length) {
  const unsigned char *s = (const unsigned char *)bytes;
  for (size_t i = 0; i < length;) {
    size_t step = utf8_sequence_length(s + i, length - i);
    if (step == 0) {
      strbuf_append(b, "\xEF\xBF\xBD");
      i++;
    } else {
      strbuf_append_bytes(b, s + i, step);
      i += step;
    }
  }
}

char *string_trim(char *text) {
  while (isspace((unsigned char)*text)) text++;
  char *end = text + strlen(text);
  while (end > text && isspace((unsigned char)end[-1])) end--;
  *end = '\0';
  return text;
}

bool string_starts(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

bool string_ends(const char *text, const char *suffix) {
  size_t length = strlen(text), tail = strlen(suffix);
  return length >= tail && memcmp(text + length - tail, suffix, tail) == 0;
}

bool string_to_int64(const char *text, long long *value) {
  if (*text == '\0' || isspace((unsigned char)*text)) return false;
  char *end;
  errno = 0;
  long long parsed = strtoll(text, &end, 10);
  if (errno != 0 || *end != '\0') return false;
  *value = parsed;
  return true;
}

bool string_to_double(const char *text, double *value) {
  if (*text == '\0' || isspace((unsigned char)*text)) return false;
  /* Only digits, sign, point and exponent: strtod would also take "inf", "nan" and hexadecimal. */
  if (text[strspn(text, "0123456789+-.eE")] != '\0') return false;
  /* Medley never calls setlocale for LC_NUMERIC, but a host program may have: then the decimal point differs. */
  static _Thread_local locale_t c_locale;
  if (c_locale == (locale_t)0) c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
  if (c_locale == (locale_t)0) return false;
  char *end;
  double parsed = strtod_l(text, &end, c_locale);
  if (*end != '\0' || !isfinite(parsed)) return false;
  *value = parsed;
  return true;
}
