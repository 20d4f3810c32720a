/* media/markup.c: see media/markup.h.
 *
 * This is no HTML parser: catalogue texts hold fragments, broken more often than not. A tag is '<', a letter or one of
 * "/!?", and a '>' not too far away; anything else is text. That keeps "x < y" and "<3", which a parser would eat to
 * the end of the text. Both passes copy by runs: `from` is the first byte not yet handed to out.
 */
#include "media/markup.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "media/entities.h"

/* A start tag longer than this is text with a stray '<'. Data URIs in <img src> are the long ones, and go below. */
#define TAG_BYTES_MAX ((size_t)1 << 20)

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_one_of(char c, const char *set) { return c != '\0' && strchr(set, c) != NULL; }

/* True when text starts with word, whatever the case. */
static bool starts_with(const char *text, size_t length, const char *word) {
  size_t n = strlen(word);
  return length >= n && strncasecmp(text, word, n) == 0;
}

/* ---- tags ---- */

/* Tags inside a line of text: they leave no space behind ("<b>H</b>ello" is one word). */
static const char *const inline_tags[] = {
    "a",    "abbr", "acronym", "b",   "bdi",  "bdo",   "big", "cite", "code",   "em",     "font", "i", "ins", "kbd",
    "mark", "s",    "sub",     "sup", "span", "small", "q",   "del",  "strike", "strong", "tt",   "u", "var", "wbr"};

static bool tag_is_inline(const char *name, size_t length) {
  for (size_t i = 0; i < sizeof inline_tags / sizeof *inline_tags; i++)
    if (strlen(inline_tags[i]) == length && strncasecmp(name, inline_tags[i], length) == 0) return true;
  return false;
}

static size_t tag_name_length(const char *name, size_t left) {
  size_t n = 0;
  while (n < left && (is_letter(name[n]) || is_digit(name[n]))) n++;
  return n;
}

/* Bytes of the tag at text ('<' to '>'), minding quoted attributes; 0 when it does not close. */
static size_t tag_length(const char *text, size_t left) {
  size_t limit = left < TAG_BYTES_MAX ? left : TAG_BYTES_MAX;
  char quote = '\0';
  for (size_t i = 1; i < limit; i++) {
    if (quote != '\0') {
      if (text[i] == quote) quote = '\0';
    } else if (text[i] == '>') {
      return i + 1;
    } else if (text[i] == '<') {
      return 0;
    } else if ((text[i] == '"' || text[i] == '\'') && text[i - 1] == '=') {
      quote = text[i];
    }
  }
  return 0;
}

/* Bytes up to and with the end tag of a <script> or <style> whose start tag was just passed; all when it never ends. */
static size_t raw_element_length(const char *text, size_t left, const char *name, size_t name_length) {
  for (size_t i = 0; i + 2 + name_length <= left; i++)
    if (text[i] == '<' && text[i + 1] == '/' && strncasecmp(text + i + 2, name, name_length) == 0) {
      const char *end = memchr(text + i, '>', left - i);
      return end != NULL ? (size_t)(end - text) + 1 : left;
    }
  return left;
}

/* Bytes to leave out at text[0] == '<', 0 when it is no tag; *space tells whether a space takes their place. */
static size_t markup_length(const char *text, size_t left, bool *space) {
  *space = true;
  if (starts_with(text, left, "<!--")) {
    const char *end = memmem(text + 4, left - 4, "-->", 3);
    return end != NULL ? (size_t)(end - text) + 3 : left;
  }
  if (left < 3 || !(is_letter(text[1]) || is_one_of(text[1], "/!?"))) return 0;
  if (text[1] == '/' && !is_letter(text[2])) return 0;
  size_t length = tag_length(text, left);
  if (length == 0) return 0;
  size_t skip = text[1] == '/' ? 2 : 1, name_length = tag_name_length(text + skip, left - skip);
  *space = !tag_is_inline(text + skip, name_length);
  if (skip == 1 && (name_length == 6 || name_length == 5) && text[length - 2] != '/' &&
      (starts_with(text + 1, name_length, "script") || starts_with(text + 1, name_length, "style")))
    length += raw_element_length(text + length, left - length, text + 1, name_length);
  return length;
}

/* ---- entities ---- */

/* In numeric references 0x80 to 0x9F mean Windows-1252 (the HTML standard, section 13.2.5.80). */
static const uint16_t windows_1252[32] = {0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                          0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,   0x017D, 0x8F,
                                          0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                          0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

static int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The code point of "&#8364;" or "&#x20AC;" at text and its length, 0 when it is none. */
static size_t numeric_reference(const char *text, size_t left, uint32_t *code_point) {
  bool hex = left > 2 && (text[2] | 0x20) == 'x';
  size_t i = hex ? 3 : 2, first = i;
  uint32_t value = 0;
  for (; i < left; i++) {
    int digit = hex_value(text[i]);
    if (digit < 0 || (!hex && digit > 9)) break;
    if (value <= 0x10FFFF) value = value * (hex ? 16 : 10) + (uint32_t)digit;
  }
  if (i == first) return 0;
  if (value >= 0x80 && value <= 0x9F) value = windows_1252[value - 0x80];
  if (value == 0 || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) value = 0xFFFD;
  *code_point = value;
  return i < left && text[i] == ';' ? i + 1 : i;
}

/* As above for "&eacute;"; the semicolon is a must, or "AT&Tilde" and query strings would change. */
static size_t named_reference(const char *text, size_t left, uint32_t *code_point) {
  size_t n = 0;
  while (n < ENTITY_NAME_MAX && n + 1 < left && (is_letter(text[n + 1]) || is_digit(text[n + 1]))) n++;
  if (n + 1 >= left || text[n + 1] != ';') return 0;
  *code_point = entity_find(text + 1, n);
  return *code_point != 0 ? n + 2 : 0;
}

static void append_code_point(strbuf *out, uint32_t c) {
  char bytes[4];
  size_t n;
  if (c < 0x80) {
    bytes[0] = (char)c;
    n = 1;
  } else if (c < 0x800) {
    bytes[0] = (char)(0xC0 | c >> 6);
    n = 2;
  } else if (c < 0x10000) {
    bytes[0] = (char)(0xE0 | c >> 12);
    n = 3;
  } else {
    bytes[0] = (char)(0xF0 | c >> 18);
    n = 4;
  }
  for (size_t i = 1; i < n; i++) bytes[i] = (char)(0x80 | (c >> 6 * (n - 1 - i) & 0x3F));
  strbuf_append_bytes(out, bytes, n);
}

void markup_strip(const char *text, size_t length, strbuf *out) {
  size_t from = 0;
  for (size_t i = 0; i < length;) {
    if (text[i] != '<' && text[i] != '&') {
      i++;
      continue;
    }
    bool space = false;
    uint32_t code_point = 0;
    size_t skip;
    if (text[i] == '<')
      skip = markup_length(text + i, length - i, &space);
    else if (i + 1 < length && text[i + 1] == '#')
      skip = numeric_reference(text + i, length - i, &code_point);
    else
      skip = named_reference(text + i, length - i, &code_point);
    if (skip == 0) {
      i++;
      continue;
    }
    strbuf_append_bytes(out, text + from, i - from);
    if (space) strbuf_append_char(out, ' ');
    if (code_point != 0) append_code_point(out, code_point);
    from = i += skip;
  }
  strbuf_append_bytes(out, text + from, length - from);
}

/* ---- addresses ---- */

static const char *const url_starts[] = {"http://", "https://", "ftp://", "mailto:", "www."};

static bool is_url_byte(char c) { return c > ' ' && c < 0x7F && !is_one_of(c, "<>\"`{}|\\^"); }
static bool is_word_byte(char c) { return is_letter(c) || is_digit(c); }
static bool is_mailbox_byte(char c) { return is_word_byte(c) || is_one_of(c, "._%+-"); }
static bool is_host_byte(char c) { return is_word_byte(c) || c == '.' || c == '-'; }

/* "(see http://a.b/c)" but "http://a.b/c_(d)": a closing bracket belongs to the URL that opens it. */
static bool closes_itself(const char *url, size_t length) {
  int depth = 0;
  for (size_t i = 0; i < length; i++) depth += (url[i] == '(') - (url[i] == ')');
  return url[length - 1] == ')' && depth >= 0;
}

/* Bytes of the URL at text, 0 when there is none. Punctuation at its end belongs to the sentence around it. */
static size_t url_length(const char *text, size_t left) {
  size_t head = 0;
  for (size_t i = 0; i < sizeof url_starts / sizeof *url_starts && head == 0; i++)
    if (starts_with(text, left, url_starts[i])) head = strlen(url_starts[i]);
  if (head == 0 || head >= left || !is_url_byte(text[head])) return 0;
  size_t n = head;
  while (n < left && is_url_byte(text[n])) n++;
  while (n > head && is_one_of(text[n - 1], ".,;:!?'*)]") && !closes_itself(text, n)) n--;
  return n > head ? n : 0;
}

/* The address around the '@' at text[at], not reaching before `from`. True with its bounds. */
static bool mail_bounds(const char *text, size_t length, size_t from, size_t at, size_t *start, size_t *end) {
  size_t s = at, e = at + 1;
  while (s > from && is_mailbox_byte(text[s - 1])) s--;
  while (e < length && is_host_byte(text[e])) e++;
  while (e > at + 1 && !is_word_byte(text[e - 1])) e--;
  const char *dot = memrchr(text + at, '.', e - at);
  if (s == at || dot == NULL || dot == text + at + 1) return false;
  for (const char *c = dot + 1; c < text + e; c++)
    if (!is_letter(*c)) return false;
  *start = s;
  *end = e;
  return (size_t)(text + e - dot) > 2;
}

void addresses_strip(const char *text, size_t length, strbuf *out) {
  size_t from = 0;
  for (size_t i = 0; i < length; i++) {
    size_t start = i, end = i;
    if (text[i] == '@') {
      if (!mail_bounds(text, length, from, i, &start, &end)) continue;
    } else if (is_one_of(text[i], "hHfFmMwW") && (i == 0 || !is_word_byte(text[i - 1]))) {
      end = i + url_length(text + i, length - i);
    }
    if (end == start) continue;
    strbuf_append_bytes(out, text + from, start - from);
    strbuf_append_char(out, ' ');
    from = end;
    i = end - 1;
  }
  strbuf_append_bytes(out, text + from, length - from);
}
