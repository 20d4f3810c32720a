/* nn/tokenizer_regex.c: the regular expressions of pre-tokenizers.
 *
 * Nearly all published byte-level tokenizers split with one of a few expressions, and a general engine takes most of
 * their time: those are written out by hand here, and the others go to ICU, bounded in time and stack, because an
 * expression in a file from outside may backtrack for ever. The reference uses Oniguruma; what it and ICU understand
 * differently (\s and \d) is rewritten. */
#include <string.h>
#include <unicode/ustring.h>
#include <unicode/utext.h>

#include "nn/tokenizer_parts.h"

#define REGEX_PATTERN_MAX 4096
#define REGEX_TIME_LIMIT 2000 /* of ICU's own counting, about milliseconds */
#define REGEX_STACK_BYTES (8 << 20)

/* ---- by hand ---- */

const char regex_gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
#define CLIP "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"
#define NEWER(digits)                                                  \
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits \
  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"                     \
  "\\s+(?!\\S)|\\s+"

typedef enum char_class { CLASS_LETTER, CLASS_NUMBER, CLASS_SPACE, CLASS_OTHER } char_class;

static char_class class_of(UChar32 c) {
  static const uint8_t ascii[128] = {
      3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
      2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3,
      3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 3,
      3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 3,
  };
  if (c < 128) return (char_class)ascii[c];
  if (char_is_letter(c)) return CLASS_LETTER;
  if (char_is_number(c)) return CLASS_NUMBER;
  return char_is_space(c) ? CLASS_SPACE : CLASS_OTHER;
}

/* The length of an English ending such as 've at text, 0 when there is none. */
static size_t ending_length(const char *text, size_t left, bool any_case) {
  static const char *const endings[] = {"s", "t", "re", "ve", "m", "ll", "d"};
  if (left < 2 || text[0] != '\'') return 0;
  for (size_t e = 0; e < sizeof endings / sizeof *endings; e++) {
    size_t length = strlen(endings[e]);
    if (left <= length) continue;
    if (strncmp(text + 1, endings[e], length) == 0) return 1 + length;
    if (any_case && strncasecmp(text + 1, endings[e], length) == 0) return 1 + length;
  }
  /* U+017F ſ is an s when case does not matter. */
  return any_case && left >= 3 && memcmp(text + 1, "\xC5\xBF", 2) == 0 ? 3 : 0;
}

/* The end of the run of this class that begins at i, of at most `limit` characters. */
static size_t class_run(const char *text, size_t length, size_t i, char_class class, size_t limit) {
  while (i < length && limit-- > 0) {
    size_t next = i;
    if (class_of(text_next(text, &next)) != class) break;
    i = next;
  }
  return i;
}

/* \s+(?!\S)|\s+ at i, which is a space: all of the run at the end of the text, else all but its last character, unless
 * it is the only one. */
static size_t space_run(const char *text, size_t length, size_t i) {
  size_t last = i, at = i;
  while (at < length) {
    size_t next = at;
    if (class_of(text_next(text, &next)) != CLASS_SPACE) break;
    last = at;
    at = next;
  }
  return at == length || last == i ? at : last;
}

bool regex_gpt2_scan(const char *text, size_t length, size_t from, size_t *begin, size_t *end) {
  if (from >= length) return false;
  *begin = from;
  size_t ending = text[from] == '\'' ? ending_length(text + from, length - from, false) : 0;
  if (ending > 0) {
    *end = from + ending;
    return true;
  }
  size_t first = from + (text[from] == ' '), next = first;
  if (first < length) {
    char_class class = class_of(text_next(text, &next));
    if (class != CLASS_SPACE) {
      *end = class_run(text, length, next, class, SIZE_MAX);
      return true;
    }
  }
  *end = space_run(text, length, from);
  return true;
}

static bool clip_scan(const char *text, size_t length, size_t from, size_t *begin, size_t *end) {
  for (size_t next = from; from < length; from = next) {
    *begin = from;
    size_t ending = text[from] == '\'' ? ending_length(text + from, length - from, false) : 0;
    if (ending > 0) {
      *end = from + ending;
      return true;
    }
    char_class class = class_of(text_next(text, &next));
    if (class == CLASS_SPACE) continue;
    *end = class == CLASS_NUMBER ? next : class_run(text, length, next, class, SIZE_MAX);
    return true;
  }
  return false;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ : up to the last line break of the run of spaces, when it has one. */
static size_t space_run_lines(const char *text, size_t length, size_t i) {
  size_t end = class_run(text, length, i, CLASS_SPACE, SIZE_MAX), line = end;
  while (line > i && text[line - 1] != '\n' && text[line - 1] != '\r') line--;
  return line > i ? line : space_run(text, length, i);
}

/* cl100k's expression and those made after it, which take one to three digits at a time. */
static bool newer_scan(const char *text, size_t length, size_t from, size_t *begin, size_t *end, size_t digits) {
  if (from >= length) return false;
  *begin = from;
  size_t ending = text[from] == '\'' ? ending_length(text + from, length - from, true) : 0, next = from;
  if (ending > 0) {
    *end = from + ending;
    return true;
  }
  UChar32 c = text_next(text, &next);
  char_class class = class_of(c);
  if (class == CLASS_LETTER) {
    *end = class_run(text, length, next, CLASS_LETTER, SIZE_MAX);
    return true;
  }
  if (class == CLASS_NUMBER) {
    *end = class_run(text, length, from, CLASS_NUMBER, digits);
    return true;
  }
  size_t letters = c != '\r' && c != '\n' ? class_run(text, length, next, CLASS_LETTER, SIZE_MAX) : next;
  if (letters > next) {
    *end = letters;
    return true;
  }
  size_t first = c == ' ' ? next : from, others = class_run(text, length, first, CLASS_OTHER, SIZE_MAX);
  if (others > first) {
    while (others < length && (text[others] == '\r' || text[others] == '\n')) others++;
    *end = others;
    return true;
  }
  *end = space_run_lines(text, length, from);
  return true;
}

static bool three_digits_scan(const char *text, size_t length, size_t from, size_t *begin, size_t *end) {
  return newer_scan(text, length, from, begin, end, 3);
}

static bool one_digit_scan(const char *text, size_t length, size_t from, size_t *begin, size_t *end) {
  return newer_scan(text, length, from, begin, end, 1);
}

text_scanner regex_scanner_find(const char *pattern) {
  static const struct {
    const char *pattern;
    text_scanner scan;
  } known[] = {
      {regex_gpt2, regex_gpt2_scan},
      {CLIP, clip_scan},
      {NEWER("\\p{N}{1,3}"), three_digits_scan},
      {NEWER("\\p{N}"), one_digit_scan},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i].pattern, pattern) == 0) return known[i].scan;
  return NULL;
}

/* ---- by ICU ---- */

/* \s, \S, \d, \D, \h as Oniguruma understands them. */
static void pattern_translate(strbuf *b, const char *pattern) {
  static const struct {
    char letter;
    const char *icu;
  } classes[] = {
      {'s', "\\p{White_Space}"}, {'S', "\\P{White_Space}"}, {'d', "\\p{Nd}"}, {'D', "\\P{Nd}"}, {'h', "[0-9A-Fa-f]"}};
  for (const char *p = pattern; *p != '\0'; p++) {
    const char *replaced = NULL;
    if (*p == '\\' && p[1] != '\0') {
      p++;
      for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (classes[i].letter == *p) replaced = classes[i].icu;
      if (replaced == NULL) strbuf_append_char(b, '\\');
    }
    if (replaced != NULL)
      strbuf_append(b, replaced);
    else
      strbuf_append_char(b, *p);
  }
}

medley_status regex_compile(text_step *step, const char *pattern, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf translated = {0};
  UErrorCode code = U_ZERO_ERROR;
  UParseError where = {0};
  UText *text = NULL;
  if (strlen(pattern) > REGEX_PATTERN_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "a regular expression has %zu bytes, the limit is %d", strlen(pattern),
         REGEX_PATTERN_MAX);
  step->scanner = regex_scanner_find(pattern);
  if (step->scanner != NULL) goto done;
  pattern_translate(&translated, pattern);
  if (translated.failed || translated.text == NULL)
    FAIL(err, translated.failed ? MEDLEY_ERR_MEMORY : MEDLEY_ERR_INPUT, "a regular expression is empty");
  text = utext_openUTF8(NULL, translated.text, (int64_t)translated.length, &code);
  step->regex = uregex_openUText(text, 0, &where, &code);
  if (U_FAILURE(code))
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "the regular expression '%.200s' is not understood: %s at character %d", pattern,
         u_errorName(code), (int)where.offset);
done:
  utext_close(text);
  strbuf_deinit(&translated);
  return status;
}

static medley_status regex_clone(const text_step *step, tokenizer_scratch *s, medley_error *err) {
  UErrorCode code = U_ZERO_ERROR;
  URegularExpression **mine = &s->regexes[step->regex_slot];
  if (*mine != NULL) return MEDLEY_OK;
  *mine = uregex_clone(step->regex, &code);
  if (U_FAILURE(code) || *mine == NULL) return error_memory(err, "a regular expression");
  uregex_setTimeLimit(*mine, REGEX_TIME_LIMIT, &code); /* limits are not cloned */
  uregex_setStackLimit(*mine, REGEX_STACK_BYTES, &code);
  return MEDLEY_OK;
}

medley_status regex_each(const text_step *step, tokenizer_scratch *s, const char *text, size_t length, match_sink found,
                         void *context, medley_error *err) {
  medley_status status = MEDLEY_OK;
  UErrorCode code = U_ZERO_ERROR;
  UText *view = NULL;
  size_t begin, end;
  if (step->scanner != NULL) {
    for (size_t at = 0; step->scanner(text, length, at, &begin, &end); at = end) found(context, begin, end);
    return MEDLEY_OK;
  }
  TRY(regex_clone(step, s, err));
  URegularExpression *regex = s->regexes[step->regex_slot];
  view = utext_openUTF8(NULL, text, (int64_t)length, &code);
  uregex_setUText(regex, view, &code);
  while (U_SUCCESS(code) && uregex_findNext(regex, &code)) {
    int64_t from = uregex_start64(regex, 0, &code), to = uregex_end64(regex, 0, &code);
    if (U_SUCCESS(code) && to > from) found(context, (size_t)from, (size_t)to);
  }
  if (code == U_REGEX_TIME_OUT || code == U_REGEX_STACK_OVERFLOW)
    FAIL(err, MEDLEY_ERR_LIMIT, "a regular expression of the tokenizer takes too long on this text of %zu bytes",
         length);
  if (U_FAILURE(code)) FAIL(err, MEDLEY_ERR_INTERNAL, "a regular expression failed: %s", u_errorName(code));
done:
  utext_close(view);
  return status;
}

void literal_each(const text_step *step, const char *text, size_t length, match_sink found, void *context) {
  size_t size = step->pattern_length;
  if (size == 0) return;
  for (size_t at = 0; at + size <= length;) {
    const char *hit = memmem(text + at, length - at, step->pattern, size);
    if (hit == NULL) return;
    size_t begin = (size_t)(hit - text);
    found(context, begin, begin + size);
    at = begin + size;
  }
}
