/* nn/tokenizer_text.c: text that knows where its bytes came from, pieces of it, and what a character is.
 *
 * Classes of characters follow the libraries that the reference uses: Rust's char, the crates regex, unicode_categories
 * and unicode-normalization. Some of their tables are old: characters that Unicode got since count as unassigned there,
 * and so they do here. */
#include <string.h>
#include <unicode/uchar.h>

#include "nn/tokenizer_parts.h"

/* ---- traced text ---- */

void traced_reset(traced_text *t, bool traced) {
  t->length = 0;
  t->traced = traced;
  t->failed = false;
}

void traced_deinit(traced_text *t) {
  mem_free(t->bytes);
  mem_free(t->origins);
  *t = (traced_text){0};
}

static bool traced_reserve(traced_text *t, size_t extra) {
  void *bytes = t->bytes, *origins = t->origins;
  if (t->failed) return false;
  if (extra > UINT32_MAX - t->length - 1 || !mem_grow(&bytes, &t->capacity, t->length + extra + 1, 1)) {
    t->failed = true;
    return false;
  }
  t->bytes = bytes;
  if (t->traced && !mem_grow(&origins, &t->origin_capacity, t->length + extra + 1, sizeof *t->origins)) {
    t->failed = true;
    return false;
  }
  t->origins = origins;
  return true;
}

void traced_put(traced_text *t, const char *bytes, size_t length, token_span origin) {
  if (t->length + length >= t->capacity || t->traced) {
    if (!traced_reserve(t, length)) return;
    if (t->traced)
      for (size_t i = 0; i < length; i++) t->origins[t->length + i] = origin;
  }
  if (length > 0) memcpy(t->bytes + t->length, bytes, length);
  t->length += length;
}

void traced_put_char(traced_text *t, UChar32 c, token_span origin) {
  char bytes[U8_MAX_LENGTH];
  int32_t length = 0;
  U8_APPEND_UNSAFE(bytes, length, c);
  traced_put(t, bytes, (size_t)length, origin);
}

void traced_copy(traced_text *t, const traced_text *from, size_t begin, size_t end) {
  size_t length = end - begin;
  if (length == 0 || !traced_reserve(t, length)) return;
  memcpy(t->bytes + t->length, from->bytes + begin, length);
  if (t->traced) memcpy(t->origins + t->length, from->origins + begin, length * sizeof *t->origins);
  t->length += length;
}

/* The bytes of the character at s: > 0 when it is well-formed, else minus the length of its maximal part that could
 * have begun one. Table 3-7 of the Unicode standard. */
static int char_length(const unsigned char *s, size_t left) {
  if (s[0] < 0x80) return 1;
  if (s[0] < 0xC2 || s[0] > 0xF4) return -1;
  int length = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
  unsigned char low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
  unsigned char high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
  for (int i = 1; i < length; i++) {
    if ((size_t)i >= left || s[i] < low || s[i] > high) return -i;
    low = 0x80, high = 0xBF;
  }
  return length;
}

bool traced_read(traced_text *t, const char *bytes, size_t length, bool each_byte) {
  const unsigned char *s = (const unsigned char *)bytes;
  bool well_formed = true;
  size_t kept = 0; /* up to where the bytes were put */
  if (!traced_reserve(t, length)) return true;
  for (size_t i = 0; i < length;) {
    int step = char_length(s + i, length - i);
    size_t used = step > 0 ? (size_t)step : each_byte ? 1 : (size_t)-step;
    token_span origin = {(uint32_t)i, (uint32_t)(i + used)};
    if (step <= 0 || t->traced) traced_put(t, bytes + kept, i - kept, (token_span){0, 0});
    if (step <= 0) {
      traced_put(t, "\xEF\xBF\xBD", 3, origin);
      well_formed = false;
    } else if (t->traced) {
      traced_put(t, bytes + i, used, origin);
    }
    i += used;
    if (step <= 0 || t->traced) kept = i;
  }
  traced_put(t, bytes + kept, length - kept, (token_span){0, 0});
  return well_formed;
}

void pieces_put(text_pieces *p, size_t begin, size_t end) {
  void *grown = p->pieces;
  if (begin == end || p->failed) return;
  if (p->count == p->capacity && !mem_grow(&grown, &p->capacity, p->count + 1, sizeof *p->pieces)) {
    p->failed = true;
    return;
  }
  p->pieces = grown;
  p->pieces[p->count++] = (text_piece){(uint32_t)begin, (uint32_t)end};
}

/* ---- characters ---- */

bool char_is_newer(UChar32 c, uint8_t version) {
  UVersionInfo age;
  if (c < 0x80) return false;
  u_charAge(c, age);
  return age[0] > version;
}

bool char_is_space(UChar32 c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
  return u_isUWhiteSpace(c);
}

bool char_is_letter(UChar32 c) {
  if (c < 0x80) return (c | 32) >= 'a' && (c | 32) <= 'z';
  return (U_GET_GC_MASK(c) & U_GC_L_MASK) != 0;
}

bool char_is_number(UChar32 c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return (U_GET_GC_MASK(c) & U_GC_N_MASK) != 0;
}

bool char_is_word(UChar32 c) {
  if (c < 0x80) return char_is_letter(c) || char_is_number(c) || c == '_';
  return (U_GET_GC_MASK(c) & (U_GC_L_MASK | U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
         u_hasBinaryProperty(c, UCHAR_ALPHABETIC) || u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL);
}

bool char_is_punctuation(UChar32 c) {
  if (c < 0x80) return c > ' ' && c < 0x7F && !char_is_letter(c) && !char_is_number(c);
  if (c == 0x166D) return true; /* a symbol since Unicode 12 */
  return (U_GET_GC_MASK(c) & U_GC_P_MASK) != 0 && !char_is_newer(c, CATEGORIES_UNICODE);
}

bool char_is_mark(UChar32 c) {
  return c >= 0x300 && (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0 && !char_is_newer(c, NORMAL_FORMS_UNICODE);
}

bool char_is_nonspacing_mark(UChar32 c) {
  return c >= 0x300 && u_charType(c) == U_NON_SPACING_MARK && !char_is_newer(c, CATEGORIES_UNICODE);
}

bool char_is_other(UChar32 c) {
  if (c < 0x80) return c < ' ' || c == 0x7F;
  return (U_GET_GC_MASK(c) & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) != 0 &&
         !char_is_newer(c, CATEGORIES_UNICODE);
}

/* İ is the only character whose full lower case, without context, is more than one code point. */
int char_lower(UChar32 c, UChar32 to[2]) {
  if (c == 0x130) {
    to[0] = 'i';
    to[1] = 0x307;
    return 2;
  }
  to[0] = c < 0x80 ? (c >= 'A' && c <= 'Z' ? c | 32 : c) : u_tolower(c);
  return 1;
}

/* The alphabet of GPT-2: printable Latin-1 stands for itself, the 68 others follow from U+0100 on. */
static bool byte_is_printable(int b) { return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD); }

UChar32 byte_to_char(unsigned char byte) {
  if (byte_is_printable(byte)) return byte;
  if (byte <= 0x20) return 0x100 + byte;
  return byte == 0xAD ? 0x143 : 0x121 + (byte - 0x7F);
}

int char_to_byte(UChar32 c) {
  if (c < 0x100) return byte_is_printable(c) ? c : -1;
  if (c <= 0x120) return c - 0x100;
  return c == 0x143 ? 0xAD : c < 0x143 ? 0x7F + (c - 0x121) : -1;
}
