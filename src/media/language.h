/* media/language.h: which language a text is in, and which of its words are stop words. Used by media/text.c alone.
 *
 * A guesser is used by one thread at a time.
 */
#ifndef MEDIA_LANGUAGE_H
#define MEDIA_LANGUAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define LANGUAGE_SIZE 8 /* bytes of a code with its NUL */

typedef struct word_span {
  uint32_t start, end; /* bytes of the text, end exclusive */
} word_span;

typedef struct language_guesser language_guesser;
/* model_folder holds libexttextcat's fpdb.conf and its models; NULL: where the library's package puts them. They are
 * loaded when first needed; without them the guesser knows scripts and stop words only. */
medley_status language_guesser_create(const char *model_folder, language_guesser **out, medley_error *err) MEDLEY_CHECK;
void language_guesser_free(language_guesser *g);

/* text: clean, case-folded UTF-8 with its words. "" when it is too short to tell. */
void language_guess(language_guesser *g, const char *text, size_t length, const word_span *words, size_t word_count,
                    char language[LANGUAGE_SIZE]);

/* The bits of the languages that have this (case-folded) word in their stop list; bit i belongs to stop_lists[i]. */
uint32_t language_stop_bits(const language_guesser *g, const char *word, size_t length);
/* The bit of a language, 0 when it has no stop list. */
uint32_t language_bit(const char *language);
/* False for languages written in another script, such as "ru" or "zh". */
bool language_is_latin(const char *language);

#endif
