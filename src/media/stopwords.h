/* media/stopwords.h: the words that carry no topic, per language. Constant tables; thread-safe. */
#ifndef MEDIA_STOPWORDS_H
#define MEDIA_STOPWORDS_H

#include <stddef.h>

typedef struct stop_list {
  const char *language; /* ISO 639-1 */
  const char *words;    /* separated by single spaces, NFKC and case-folded, apostrophes as ' */
} stop_list;

/* At most 32 lists, so that a set of languages fits a word of bits. */
#define STOP_LIST_MAX 32
extern const stop_list stop_lists[];
extern const size_t stop_list_count;

#endif
