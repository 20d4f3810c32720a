/* nn/tokenizer_charsmap.c: sentencepiece's precompiled character map: which sequences of bytes become which others.
 *
 *   u32 trie_bytes | trie_bytes / 4 × u32: a darts-clone double array | replacements, each ended by a NUL byte
 *
 * A unit of the array holds a label, an offset to its children and whether a key ends here; keys' values are positions
 * among the replacements (S. Yata, darts-clone, darts.h). Every index that the array gives is checked when it is used:
 * the map comes from a file. */
#include <sodium.h>
#include <string.h>
#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include "nn/tokenizer_parts.h"

#define CHARSMAP_BYTES_MAX ((size_t)64 << 20)
#define GRAPHEME_BYTES_MAX 6 /* the reference looks longer ones up character by character */

static uint32_t unit_at(const unsigned char *map, size_t index) {
  const unsigned char *p = map + 4 + 4 * index;
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static size_t map_units(const unsigned char *map) {
  return ((size_t)map[0] | (size_t)map[1] << 8 | (size_t)map[2] << 16 | (size_t)map[3] << 24) / 4;
}

static uint32_t unit_offset(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

medley_status charsmap_check(const unsigned char *map, size_t length, medley_error *err) {
  if (length > CHARSMAP_BYTES_MAX)
    return error_set(err, MEDLEY_ERR_LIMIT, "the character map has %zu bytes, the limit is %zu", length,
                     CHARSMAP_BYTES_MAX);
  if (length < 8 || map_units(map) == 0 || map_units(map) > (length - 4) / 4)
    return error_set(err, MEDLEY_ERR_INPUT, "the character map of %zu bytes claims a table of %zu entries", length,
                     length < 4 ? (size_t)0 : map_units(map));
  size_t text = 4 + 4 * map_units(map);
  if (text == length || map[length - 1] != '\0' || !utf8_valid((const char *)map + text, length - text))
    return error_set(err, MEDLEY_ERR_INPUT, "the replacements of the character map are no texts");
  return MEDLEY_OK;
}

const char *charsmap_find(const text_step *step, const char *bytes, size_t length, bool longest, size_t *used) {
  const unsigned char *map = step->charsmap;
  size_t units = map_units(map), node = unit_offset(unit_at(map, 0)), found = SIZE_MAX;
  for (size_t i = 0; i < length && bytes[i] != '\0'; i++) {
    node ^= (unsigned char)bytes[i];
    if (node >= units) break;
    uint32_t unit = unit_at(map, node);
    if ((unit & (1u << 31 | 0xFF)) != (unsigned char)bytes[i]) break;
    node ^= unit_offset(unit);
    if (node >= units) break;
    if (unit >> 8 & 1) {
      found = unit_at(map, node) & (uint32_t)INT32_MAX;
      *used = i + 1;
      if (!longest) break;
    }
  }
  size_t text = 4 + 4 * units;
  if (found == SIZE_MAX || found >= step->charsmap_length - text) return NULL;
  const char *replacement = (const char *)map + text + found;
  return U8_IS_TRAIL(*replacement) ? NULL : replacement; /* inside of a character: the map is wrong there */
}

/* The reference takes the replacement of the shortest key that begins the chunk for the whole chunk. */
static bool chunk_put(const text_step *step, const traced_text *in, size_t begin, size_t end, traced_text *out) {
  size_t used;
  const char *replacement = charsmap_find(step, in->bytes + begin, end - begin, false, &used);
  if (replacement == NULL) return false;
  token_span origin = traced_origin(in, begin);
  if (in->traced) origin.end = in->origins[end - 1].end;
  traced_put(out, replacement, strlen(replacement), origin);
  return true;
}

static void grapheme_put(const text_step *step, const traced_text *in, size_t begin, size_t end, traced_text *out) {
  if (end - begin < GRAPHEME_BYTES_MAX && chunk_put(step, in, begin, end, out)) return;
  for (size_t at = begin; at < end;) {
    size_t next = at;
    text_next(in->bytes, &next);
    if (!chunk_put(step, in, at, next, out)) traced_copy(out, in, at, next);
    at = next;
  }
}

medley_status charsmap_apply(const text_step *step, tokenizer_scratch *s, const traced_text *in, traced_text *out,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  UErrorCode code = U_ZERO_ERROR;
  UText *view = NULL;
  UBreakIterator *graphemes = NULL;
  (void)s;
  if (in->length == 0) return MEDLEY_OK;
  view = utext_openUTF8(NULL, in->bytes, (int64_t)in->length, &code);
  graphemes = ubrk_open(UBRK_CHARACTER, "", NULL, 0, &code);
  ubrk_setUText(graphemes, view, &code);
  if (U_FAILURE(code)) FAIL(err, MEDLEY_ERR_INTERNAL, "cannot find characters in text: %s", u_errorName(code));
  int32_t begin = ubrk_first(graphemes), end;
  for (; (end = ubrk_next(graphemes)) != UBRK_DONE; begin = end)
    grapheme_put(step, in, (size_t)begin, (size_t)end, out);
done:
  if (graphemes != NULL) ubrk_close(graphemes);
  utext_close(view);
  return status;
}

medley_status charsmap_read(text_step *step, const json_t *config, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *value = json_object_get(config, "precompiled_charsmap");
  size_t length = json_string_length(value);
  if (!json_is_string(value)) FAIL(err, MEDLEY_ERR_INPUT, "the Precompiled step has no precompiled_charsmap");
  TRY_NEW(step->charsmap, length + 1, "a character map");
  if (sodium_base642bin(step->charsmap, length + 1, json_string_value(value), length, NULL, &step->charsmap_length,
                        NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
    FAIL(err, MEDLEY_ERR_INPUT, "precompiled_charsmap is not base64");
  TRY(charsmap_check(step->charsmap, step->charsmap_length, err));
done:
  return status;
}
