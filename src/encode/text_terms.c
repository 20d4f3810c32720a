/* encode/text_terms.c: see encode/text_terms.h. */
#include "encode/text_terms.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "base/memory.h"

#define RUN_MAX                                                                                        \
  128 /* characters; a longer run is cut: only unspaced scripts reach it, where a lost gram is nothing \
       */

typedef struct term_sink {
  term_taker take;
  void *context;
  bool failed;
  char last[TERM_BYTES_MAX]; /* the word before */
  size_t last_length;
} term_sink;

static void sink_put(term_sink *s, char block, const char *bytes, size_t length) {
  char term[TERM_BYTES_MAX];
  if (s->failed || length + 1 > sizeof term) return;
  term[0] = block;
  memcpy(term + 1, bytes, length);
  s->failed = !s->take(s->context, term, length + 1);
}

/* A word, and with the word before it a pair: "science fiction" is neither science nor fiction. On film descriptions
 * pairs are worth a hundredth of recall to the mapping of content. */
static bool put_word(void *context, const char *word, size_t length, size_t position) {
  term_sink *s = context;
  char pair[TERM_BYTES_MAX];
  sink_put(s, TERM_WORD, word, length);
  if (position > 0 && s->last_length > 0 && s->last_length + 1 + length < sizeof pair) {
    memcpy(pair, s->last, s->last_length);
    pair[s->last_length] = ' ';
    memcpy(pair + s->last_length + 1, word, length);
    sink_put(s, TERM_WORD, pair, s->last_length + 1 + length);
  }
  s->last_length = length < sizeof s->last ? length : 0;
  memcpy(s->last, word, s->last_length);
  return !s->failed;
}

/* ---- n-grams ---- */

typedef enum run_class { RUN_NONE, RUN_SPACED, RUN_DENSE } run_class;

static run_class classify(UChar32 c) {
  if (c < 0x80)
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? RUN_SPACED : RUN_NONE;
  if (!u_isalnum(c) && (U_GET_GC_MASK(c) & U_GC_M_MASK) == 0) return RUN_NONE;
  bool dense = (c >= 0x3040 && c <= 0x30FF) || (c >= 0x31F0 && c <= 0x31FF) || (c >= 0x3400 && c <= 0x9FFF) ||
               (c >= 0xAC00 && c <= 0xD7AF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x3FFFF) ||
               c == 0x3005 /* 々 */;
  return dense ? RUN_DENSE : RUN_SPACED;
}

/* One run, with where its characters begin; start [count] is its end. */
typedef struct gram_run {
  run_class kind;
  char bytes[4 * RUN_MAX + 2];
  uint16_t start[RUN_MAX + 3];
  size_t count;
} gram_run;

static void run_append(gram_run *r, const char *bytes, size_t length) {
  size_t at = r->start[r->count];
  memcpy(r->bytes + at, bytes, length);
  r->start[++r->count] = (uint16_t)(at + length);
}

static void run_begin(gram_run *r, run_class kind) {
  r->kind = kind;
  r->count = 0;
  r->start[0] = 0;
  if (kind == RUN_SPACED) run_append(r, " ", 1);
}

static void run_end(gram_run *r, term_sink *s) {
  static const struct { size_t low, high; } sizes[] = {[RUN_SPACED] = {3, 5}, [RUN_DENSE] = {1, 3}};
  if (r->kind == RUN_NONE) return;
  if (r->kind == RUN_SPACED) run_append(r, " ", 1);
  for (size_t n = sizes[r->kind].low; n <= sizes[r->kind].high; n++)
    for (size_t i = 0; i + n <= r->count; i++)
      sink_put(s, TERM_GRAM, r->bytes + r->start[i], (size_t)(r->start[i + n] - r->start[i]));
}

static void put_grams(term_sink *s, const char *text, size_t length) {
  gram_run run;
  run_begin(&run, RUN_NONE);
  for (size_t i = 0; i < length;) {
    size_t begin = i;
    UChar32 c;
    U8_NEXT((const uint8_t *)text, i, length, c);
    run_class kind = c < 0 ? RUN_NONE : classify(c);
    if (kind != run.kind || run.count > RUN_MAX - 2) {
      run_end(&run, s);
      run_begin(&run, kind);
    }
    if (kind != RUN_NONE) run_append(&run, text + begin, i - begin);
  }
  run_end(&run, s);
}

medley_status text_terms(text_preparer *p, const char *text, term_taker take, void *context, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf clean = {0};
  char *cut = NULL;
  term_sink sink = {take, context, false};
  if (strnlen(text, TERM_TEXT_MAX + 1) > TERM_TEXT_MAX) {
    text = cut = mem_strndup(text, TERM_TEXT_MAX);
    if (cut == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a text");
  }
  TRY(text_words(p, text, put_word, &sink, err));
  TRY(text_clean(p, text, &clean, err));
  if (clean.length > 0)
    put_grams(&sink, clean.text, clean.length < TERM_GRAM_TEXT_MAX ? clean.length : TERM_GRAM_TEXT_MAX);
  if (sink.failed) status = error_memory(err, "terms of a text");
done:
  strbuf_deinit(&clean);
  mem_free(cut);
  return status;
}
