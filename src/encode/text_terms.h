/* encode/text_terms.h: a text → the terms that text.lsa counts: its words, and the character n-grams that carry what
 * words miss (endings, typing errors, compounds, and Chinese or Japanese words that the segmenter cuts another way). */
#ifndef ENCODE_TEXT_TERMS_H
#define ENCODE_TEXT_TERMS_H

#include "base/error.h"
#include "base/strbuf.h"
#include "media/text.h"

#define TERM_BYTES_MAX 64       /* longer words are left to their n-grams */
#define TERM_TEXT_MAX 32768     /* bytes of a text that are looked at for words */
#define TERM_GRAM_TEXT_MAX 4096 /* bytes of the cleaned text that are looked at for n-grams */

/* The first byte of a term tells its block. */
#define TERM_WORD 'w'
#define TERM_GRAM 'g'

/* Borrowed bytes; false stops and makes text_terms fail with MEDLEY_ERR_MEMORY. */
typedef bool (*term_taker)(void *context, const char *term, size_t length);

/* All terms with repeats. Runs of letters in scripts written with spaces give 3- to 5-grams of " word "; runs of Han,
 * kana and Hangul give 1- to 3-grams. p is used by this thread alone meanwhile. */
medley_status text_terms(text_preparer *p, const char *text, term_taker take, void *context,
                         medley_error *err) MEDLEY_CHECK;

#endif
