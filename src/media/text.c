/* media/text.c: owns the text preparer: repair → markup → addresses → normalisation → words → stop words → stems.
 *
 * ICU works on UTF-16 for normalisation and on UTF-8 (through UText) for word breaks, so words are byte ranges of the
 * clean text and nothing is copied. Text that is pure ASCII, most of it in practice, takes a short way round ICU in
 * both; the tests hold the two ways against each other.
 *
 * Words are ICU's, cut further by split_word: a dot between letters ("end.Next"), a colon and an underscore part words,
 * so that what was written without a space is found. Chinese, Japanese, Thai and their neighbours are cut by ICU's
 * dictionaries.
 */
#include "media/text.h"

#include <libstemmer.h>
#include <stdio.h>
#include <string.h>
#include <unicode/ubrk.h>
#include <unicode/ucasemap.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utext.h>

#include "base/memory.h"
#include "media/language.h"
#include "media/markup.h"

#define TEXT_BYTES_MAX ((size_t)16 << 20)
#define STEMMER_MAX 32
#define STEMMED_BYTES_MAX 64 /* longer words are identifiers or noise */
#define FOLDED_BYTES_MAX 128 /* longer words are in no stop list */

typedef struct stemmer_slot {
  char language[LANGUAGE_SIZE];
  struct sb_stemmer *stemmer; /* NULL: Snowball has none */
} stemmer_slot;

struct text_preparer {
  text_options options;
  char language[LANGUAGE_SIZE]; /* fixed by the options, or "" */
  const UNormalizer2 *normaliser;
  UBreakIterator *breaks;
  UCaseMap *cases;
  UText *bytes;
  language_guesser *guesser;
  stemmer_slot stemmers[STEMMER_MAX];
  size_t stemmer_count;
  strbuf scratch[2], clean;
  UChar *units[2]; /* scratch, UTF-16 */
  size_t unit_capacity[2];
  word_span *words; /* of clean */
  size_t word_count, word_capacity;
};

static medley_status icu_error(UErrorCode code, const char *what, medley_error *err) {
  if (code == U_MEMORY_ALLOCATION_ERROR) return error_memory(err, what);
  return error_set(err, MEDLEY_ERR_INTERNAL, "ICU fails on %s: %s", what, u_errorName(code));
}

#define TRY_ICU(code, what)                                   \
  do {                                                        \
    if (U_FAILURE(code)) TRY(icu_error((code), (what), err)); \
  } while (0)

/* ---- life ---- */

/* "zh-CN" and "pt_BR" stand for "zh" and "pt". */
static medley_status set_language(text_preparer *p, medley_error *err) {
  const char *given = p->options.language;
  size_t length = strcspn(given, "-_");
  if (length < 2 || length > 3 || strspn(given, "abcdefghijklmnopqrstuvwxyz") != length)
    return error_set(err, MEDLEY_ERR_USAGE, "language is '%.40s'; give a code of ISO 639, such as en or zh", given);
  memcpy(p->language, given, length);
  return MEDLEY_OK;
}

static const UNormalizer2 *choose_normaliser(const text_options *o, UErrorCode *code) {
  if (o->keep_compatibility) return unorm2_getNFCInstance(code);
  return o->keep_case ? unorm2_getNFKCInstance(code) : unorm2_getNFKCCasefoldInstance(code);
}

medley_status text_preparer_create(const text_options *options, text_preparer **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  UErrorCode code = U_ZERO_ERROR;
  text_preparer *p;
  TRY_NEW(p, 1, "the text preparer");
  if (options != NULL) p->options = *options;
  if (p->options.language != NULL) TRY(set_language(p, err));
  p->normaliser = choose_normaliser(&p->options, &code);
  TRY_ICU(code, "its normalisation data");
  p->breaks = ubrk_open(UBRK_WORD, "", NULL, 0, &code);
  TRY_ICU(code, "its word break data");
  p->cases = ucasemap_open("", U_FOLD_CASE_DEFAULT, &code);
  TRY_ICU(code, "its case data");
  TRY(language_guesser_create(p->options.language_models, &p->guesser, err));
  p->options.language = p->options.language_models = NULL; /* copied; the caller's may go */
done:
  if (status != MEDLEY_OK) {
    text_preparer_free(p);
    p = NULL;
  }
  *out = p;
  return status;
}

void text_preparer_free(text_preparer *p) {
  if (p == NULL) return;
  for (size_t i = 0; i < p->stemmer_count; i++)
    if (p->stemmers[i].stemmer != NULL) sb_stemmer_delete(p->stemmers[i].stemmer);
  if (p->breaks != NULL) ubrk_close(p->breaks);
  if (p->cases != NULL) ucasemap_close(p->cases);
  if (p->bytes != NULL) utext_close(p->bytes);
  language_guesser_free(p->guesser);
  strbuf_deinit(&p->scratch[0]);
  strbuf_deinit(&p->scratch[1]);
  strbuf_deinit(&p->clean);
  mem_free(p->units[0]);
  mem_free(p->units[1]);
  mem_free(p->words);
  mem_free(p);
}

/* ---- cleaning ---- */

static bool is_ascii(const char *text, size_t length) {
  unsigned char seen = 0;
  for (size_t i = 0; i < length; i++) seen |= (unsigned char)text[i];
  return seen < 0x80;
}

/* Lower case and white space for ASCII: the twin of the way through ICU. */
static void clean_ascii(const text_options *o, const char *text, size_t length, strbuf *out) {
  char block[256];
  size_t used = 0;
  bool space = false, any = false;
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    if ((unsigned char)c <= ' ' || c == 0x7F) {
      space = any;
      continue;
    }
    if (used + 2 > sizeof block) {
      strbuf_append_bytes(out, block, used);
      used = 0;
    }
    if (space) block[used++] = ' ';
    block[used++] = !o->keep_case && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    space = false;
    any = true;
  }
  strbuf_append_bytes(out, block, used);
}

/* Parts of emoji, looked for before normalisation, which would turn ™ into "tm". */
static bool is_emoji(UChar32 c) {
  return c >= 0xA9 &&
         (u_hasBinaryProperty(c, UCHAR_EXTENDED_PICTOGRAPHIC) || u_hasBinaryProperty(c, UCHAR_EMOJI_MODIFIER) ||
          u_hasBinaryProperty(c, UCHAR_REGIONAL_INDICATOR) || c == 0xFE0F || c == 0x20E3);
}

/* Before normalisation: emoji to spaces, the typographic apostrophe to the plain one, and the zero-width space, which
 * parts words in Thai and Khmer and which NFKC_Casefold would drop, to a space. Never grows. */
static size_t filter_before(const text_options *o, UChar *units, size_t count) {
  size_t kept = 0;
  for (size_t i = 0; i < count;) {
    UChar32 c;
    U16_NEXT(units, i, count, c);
    if (c == 0x2019 || c == 0x02BC) c = '\'';
    if (c == 0x200B || (!o->keep_emoji && is_emoji(c))) c = ' ';
    U16_APPEND_UNSAFE(units, kept, c);
  }
  return kept;
}

static bool is_dropped(UChar32 c) { return c > 0x7F && u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT); }

static bool is_blank(const text_options *o, UChar32 c) {
  if (c <= ' ' || c == 0x7F || u_isUWhiteSpace(c)) return true;
  if (c < 0x80) return false;
  int8_t type = u_charType(c);
  return type == U_CONTROL_CHAR || (type == U_OTHER_SYMBOL && !o->keep_emoji);
}

/* After normalisation: what cannot be seen goes, white space and other symbols collapse to single spaces. */
static size_t filter_after(const text_options *o, UChar *units, size_t count) {
  size_t kept = 0;
  bool space = false;
  for (size_t i = 0; i < count;) {
    UChar32 c;
    U16_NEXT(units, i, count, c);
    if (is_dropped(c)) continue;
    if (is_blank(o, c)) {
      space = kept > 0;
      continue;
    }
    if (space) units[kept++] = ' '; /* a blank was skipped, so there is room */
    space = false;
    U16_APPEND_UNSAFE(units, kept, c);
  }
  return kept;
}

/* Case folding that keeps compatibility characters; NFKC_Casefold does both in one step. units[0] → units[1] →
 * units[0]. */
static medley_status fold_case(text_preparer *p, size_t *count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  UErrorCode code = U_ZERO_ERROR;
  TRY_GROW(p->units[1], p->unit_capacity[1], 3 * *count + 1, "text"); /* full folding: at most three units for one */
  int32_t folded = u_strFoldCase(p->units[1], (int32_t)p->unit_capacity[1], p->units[0], (int32_t)*count,
                                 U_FOLD_CASE_DEFAULT, &code);
  TRY_ICU(code, "case folding");
  UChar *swap = p->units[0];
  size_t capacity = p->unit_capacity[0];
  p->units[0] = p->units[1];
  p->unit_capacity[0] = p->unit_capacity[1];
  p->units[1] = swap;
  p->unit_capacity[1] = capacity;
  *count = (size_t)folded;
done:
  return status;
}

/* units[0] → units[1], grown as needed (one letter may become eighteen). */
static medley_status normalise(text_preparer *p, size_t *count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  UErrorCode code = U_ZERO_ERROR;
  TRY_GROW(p->units[1], p->unit_capacity[1], *count + *count / 4 + 64, "text");
  int32_t length = 0;
  for (int attempt = 0; attempt < 2; attempt++) {
    code = U_ZERO_ERROR;
    length =
        unorm2_normalize(p->normaliser, p->units[0], (int32_t)*count, p->units[1], (int32_t)p->unit_capacity[1], &code);
    if (code != U_BUFFER_OVERFLOW_ERROR) break;
    TRY_GROW(p->units[1], p->unit_capacity[1], (size_t)length + 1, "text");
  }
  TRY_ICU(code, "normalisation");
  *count = (size_t)length;
done:
  return status;
}

static medley_status append_units(strbuf *out, const UChar *units, size_t count, medley_error *err) {
  char block[1024];
  strbuf_append_bytes(out, "", 0); /* "" rather than NULL */
  for (size_t i = 0; i < count;) {
    int32_t used = 0;
    while (i < count && used < (int32_t)sizeof block - 4) {
      UChar32 c;
      U16_NEXT(units, i, count, c);
      U8_APPEND_UNSAFE(block, used, c);
    }
    strbuf_append_bytes(out, block, (size_t)used);
  }
  return out->failed ? error_memory(err, "text") : MEDLEY_OK;
}

static medley_status clean_unicode(text_preparer *p, const char *text, size_t length, strbuf *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  UErrorCode code = U_ZERO_ERROR;
  int32_t units = 0;
  TRY_GROW(p->units[0], p->unit_capacity[0], length + 1, "text"); /* UTF-16 never has more units than UTF-8 has bytes */
  u_strFromUTF8(p->units[0], (int32_t)p->unit_capacity[0], &units, text, (int32_t)length, &code);
  TRY_ICU(code, "UTF-8");
  size_t count = filter_before(&p->options, p->units[0], (size_t)units);
  if (p->options.keep_compatibility && !p->options.keep_case) TRY(fold_case(p, &count, err));
  TRY(normalise(p, &count, err));
  count = filter_after(&p->options, p->units[1], count);
  TRY(append_units(out, p->units[1], count, err));
done:
  return status;
}

static void repair(const char *text, size_t length, strbuf *out) { strbuf_append_utf8_repaired(out, text, length); }

/* Passes *text through a step into the scratch buffer that it is not in. */
static medley_status rewrite(text_preparer *p, void (*step)(const char *, size_t, strbuf *), const char **text,
                             size_t *length, medley_error *err) {
  strbuf *scratch = &p->scratch[*text == p->scratch[0].text];
  strbuf_reset(scratch);
  step(*text, *length, scratch);
  if (scratch->failed) return error_memory(err, "text");
  *text = scratch->text;
  *length = scratch->length;
  return MEDLEY_OK;
}

medley_status text_clean(text_preparer *p, const char *text, strbuf *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t length = strnlen(text, TEXT_BYTES_MAX + 1);
  if (length > TEXT_BYTES_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "the text is longer than %zu bytes; cut it into several", TEXT_BYTES_MAX);
  if (!is_ascii(text, length) && !utf8_valid(text, length)) TRY(rewrite(p, repair, &text, &length, err));
  if (!p->options.keep_html) TRY(rewrite(p, markup_strip, &text, &length, err));
  if (!p->options.keep_urls) TRY(rewrite(p, addresses_strip, &text, &length, err));
  if (is_ascii(text, length) && !p->options.without_shortcuts) {
    clean_ascii(&p->options, text, length, out);
  } else {
    TRY(clean_unicode(p, text, length, out, err));
  }
  if (out->failed) TRY(error_memory(err, "text"));
done:
  return status;
}

/* ---- words ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
/* Bytes of other characters than ASCII count as letters: ICU has already cut there. */
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80; }

/* Whether the byte at i, between start and end, is inside a word: letters and digits, an apostrophe between letters, a
 * dot or comma between digits (rules WB6, WB7, WB11 and WB12 of UAX 29, less the characters named above). */
static bool is_inside(const char *text, size_t start, size_t end, size_t i) {
  char c = text[i];
  if (is_letter(c) || is_digit(c)) return true;
  if (i == start || i + 1 >= end) return false;
  if (c == '\'') return is_letter(text[i - 1]) && is_letter(text[i + 1]);
  return (c == '.' || c == ',') && is_digit(text[i - 1]) && is_digit(text[i + 1]);
}

/* Adds the words of clean[start, end). For ASCII this is the whole segmentation. */
static medley_status split_word(text_preparer *p, size_t start, size_t end, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *text = p->clean.text;
  for (size_t i = start; i < end;) {
    if (!is_inside(text, start, end, i)) {
      i++;
      continue;
    }
    size_t first = i;
    while (i < end && is_inside(text, start, end, i)) i++;
    TRY_GROW(p->words, p->word_capacity, p->word_count + 1, "words");
    p->words[p->word_count++] = (word_span){(uint32_t)first, (uint32_t)i};
  }
done:
  return status;
}

/* ICU has no word status for emoji; when they are kept they are words. */
static bool is_kept_emoji(const text_preparer *p, size_t start, size_t end) {
  if (!p->options.keep_emoji || (unsigned char)p->clean.text[start] < 0x80) return false;
  UChar32 c;
  int32_t at = 0;
  U8_NEXT(p->clean.text + start, at, (int32_t)(end - start), c);
  return c >= 0 && (is_emoji(c) || u_charType(c) == U_OTHER_SYMBOL);
}

static medley_status segment_unicode(text_preparer *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  UErrorCode code = U_ZERO_ERROR;
  p->bytes = utext_openUTF8(p->bytes, p->clean.text, (int64_t)p->clean.length, &code);
  TRY_ICU(code, "text");
  ubrk_setUText(p->breaks, p->bytes, &code);
  TRY_ICU(code, "word breaks");
  int32_t start = ubrk_first(p->breaks), end;
  for (; (end = ubrk_next(p->breaks)) != UBRK_DONE; start = end)
    if (ubrk_getRuleStatus(p->breaks) >= UBRK_WORD_NONE_LIMIT || is_kept_emoji(p, (size_t)start, (size_t)end))
      TRY(split_word(p, (size_t)start, (size_t)end, err));
done:
  return status;
}

/* Fills p->clean and p->words. */
static medley_status segment(text_preparer *p, const char *text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf_reset(&p->clean);
  p->word_count = 0;
  TRY(text_clean(p, text, &p->clean, err));
  bool ascii = is_ascii(p->clean.text, p->clean.length) && !p->options.without_shortcuts;
  if (ascii || p->options.keep_together)
    TRY(split_word(p, 0, p->clean.length, err));
  else
    TRY(segment_unicode(p, err));
done:
  return status;
}

medley_status text_language(text_preparer *p, const char *text, char language[8], medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(segment(p, text, err));
  language_guess(p->guesser, p->clean.text, p->clean.length, p->words, p->word_count, language);
done:
  return status;
}

/* ---- stop words and endings ---- */

static struct sb_stemmer *find_stemmer(text_preparer *p, const char *language) {
  for (size_t i = 0; i < p->stemmer_count; i++)
    if (strcmp(p->stemmers[i].language, language) == 0) return p->stemmers[i].stemmer;
  if (p->stemmer_count == STEMMER_MAX) return NULL; /* more languages than Snowball knows */
  stemmer_slot *slot = &p->stemmers[p->stemmer_count++];
  snprintf(slot->language, LANGUAGE_SIZE, "%s", language);
  slot->stemmer = sb_stemmer_new(language, "UTF_8");
  return slot->stemmer;
}

/* What treating words in one language needs. */
typedef struct word_rules {
  uint32_t stop_bit;
  struct sb_stemmer *stemmer;
  bool elision; /* "l'été" is two words */
} word_rules;

static word_rules rules_of_language(text_preparer *p, const char *language) {
  word_rules r = {0};
  if (!p->options.keep_stop_words) r.stop_bit = language_bit(language);
  if (!p->options.keep_endings) r.stemmer = find_stemmer(p, language);
  r.elision = strcmp(language, "fr") == 0 || strcmp(language, "it") == 0 || strcmp(language, "ca") == 0;
  return r;
}

static bool is_stop_word(text_preparer *p, uint32_t bit, const char *word, size_t length) {
  char folded[FOLDED_BYTES_MAX];
  if (bit == 0 || length > FOLDED_BYTES_MAX / 2) return false;
  if (p->options.keep_case) {
    UErrorCode code = U_ZERO_ERROR;
    int32_t n = ucasemap_utf8FoldCase(p->cases, folded, sizeof folded, word, (int32_t)length, &code);
    if (U_FAILURE(code)) return false;
    word = folded;
    length = (size_t)n;
  }
  return (language_stop_bits(p->guesser, word, length) & bit) != 0;
}

typedef struct word_output {
  text_word_taker take;
  void *context;
  size_t position;
  bool stopped;
} word_output;

static medley_status give_word(text_preparer *p, const word_rules *r, const char *word, size_t length,
                               word_output *output, medley_error *err) {
  if (is_stop_word(p, r->stop_bit, word, length)) return MEDLEY_OK;
  if (r->stemmer != NULL && length <= STEMMED_BYTES_MAX) {
    const sb_symbol *stem = sb_stemmer_stem(r->stemmer, (const sb_symbol *)word, (int)length);
    if (stem == NULL) return error_memory(err, "word endings");
    size_t stem_length = (size_t)sb_stemmer_length(r->stemmer);
    if (stem_length > 0) {
      word = (const char *)stem;
      length = stem_length;
    }
  }
  output->stopped = !output->take(output->context, word, length, output->position++);
  return MEDLEY_OK;
}

static medley_status give_parts(text_preparer *p, const word_rules *r, const char *word, size_t length,
                                word_output *output, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *apostrophe;
  while (r->elision && !output->stopped && (apostrophe = memchr(word, '\'', length)) != NULL) {
    TRY(give_word(p, r, word, (size_t)(apostrophe - word), output, err));
    length -= (size_t)(apostrophe - word) + 1;
    word = apostrophe + 1;
  }
  if (!output->stopped) TRY(give_word(p, r, word, length, output, err));
done:
  return status;
}

medley_status text_words(text_preparer *p, const char *text, text_word_taker take, void *context, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char language[LANGUAGE_SIZE];
  word_output output = {.take = take, .context = context};
  TRY(segment(p, text, err));
  memcpy(language, p->language, sizeof language);
  bool needed = !p->options.keep_stop_words || !p->options.keep_endings;
  if (needed && language[0] == '\0')
    language_guess(p->guesser, p->clean.text, p->clean.length, p->words, p->word_count, language);
  /* Short queries and the long texts they look for must be treated alike, so the undecided are taken as English, and so
   * are Latin words amid another script ("iPhone cases" in a Chinese title). */
  if (language[0] == '\0') memcpy(language, "en", 3);
  word_rules own = rules_of_language(p, language);
  word_rules latin = language_is_latin(language) ? own : rules_of_language(p, "en");
  for (size_t i = 0; i < p->word_count && !output.stopped; i++) {
    const char *word = p->clean.text + p->words[i].start;
    bool plain = (unsigned char)word[0] < 0x80;
    TRY(give_parts(p, plain ? &latin : &own, word, p->words[i].end - p->words[i].start, &output, err));
  }
done:
  return status;
}

static bool join_word(void *context, const char *word, size_t length, size_t position) {
  strbuf *out = context;
  if (position > 0) strbuf_append_char(out, ' ');
  strbuf_append_bytes(out, word, length);
  return !out->failed;
}

medley_status text_words_joined(text_preparer *p, const char *text, strbuf *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf_append_bytes(out, "", 0);
  TRY(text_words(p, text, join_word, out, err));
  if (out->failed) TRY(error_memory(err, "words"));
done:
  return status;
}
