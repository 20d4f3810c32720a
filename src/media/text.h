/* media/text.h: text → clean text and words (F03), by ICU, libstemmer and libexttextcat. Thread-safe; a text_preparer
 * is used by one thread at a time. */
#ifndef MEDIA_TEXT_H
#define MEDIA_TEXT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/strbuf.h"

typedef struct text_options { /* zero means: everything on */
  bool keep_compatibility;    /* no NFKC */
  bool keep_case;             /* no case folding */
  bool keep_html;             /* tags and entities stay */
  bool keep_urls;             /* URLs and e-mail addresses stay */
  bool keep_emoji;            /* emoji and other symbols stay */
  bool keep_together;         /* no segmentation: words end at blanks and ASCII punctuation only, so that scripts
                               * without spaces stay whole */
  bool keep_stop_words;
  bool keep_endings;           /* no stemming */
  bool without_shortcuts;      /* ASCII goes through ICU too: slower, the same answer, for tests */
  const char *language;        /* ISO 639-1; NULL: detected per text. Copied */
  const char *language_models; /* folder of libexttextcat's fpdb.conf; NULL: where its package puts it. Copied. When it
                                * is missing, languages are told by script and stop words alone */
} text_options;

typedef struct text_preparer text_preparer;
medley_status text_preparer_create(const text_options *options, text_preparer **out, medley_error *err) MEDLEY_CHECK;
void text_preparer_free(text_preparer *p);

/* The text after normalisation and cleaning, white space collapsed. Malformed UTF-8 is repaired with U+FFFD first. */
medley_status text_clean(text_preparer *p, const char *text, strbuf *out, medley_error *err) MEDLEY_CHECK;
/* "en", "zh", "ja", "th", "de" …, or "" when the text is too short to tell. Scripts decide first, then n-grams. */
medley_status text_language(text_preparer *p, const char *text, char language[8], medley_error *err) MEDLEY_CHECK;

/* Words of a text, in order, cleaned, segmented, without stop words, stemmed: each is handed to `take` (borrowed bytes,
 * not terminated; position counts kept words from 0). take returns false to stop. */
typedef bool (*text_word_taker)(void *context, const char *word, size_t length, size_t position);
medley_status text_words(text_preparer *p, const char *text, text_word_taker take, void *context,
                         medley_error *err) MEDLEY_CHECK;
/* The words joined by single spaces: what goes into the full-text index and into its queries. */
medley_status text_words_joined(text_preparer *p, const char *text, strbuf *out, medley_error *err) MEDLEY_CHECK;

#endif
