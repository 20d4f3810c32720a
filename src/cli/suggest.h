/* cli/suggest.h: "did you mean": the known word that is closest to a mistyped one. */
#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

#include <stddef.h>

#define SUGGEST_LENGTH_MAX 64 /* bytes; longer words are no typing mistakes */

typedef struct suggestion {
  const char *typed;
  const char *name; /* the closest so far; NULL while none is close enough */
  size_t distance;  /* its distance; at first the largest that still counts as close, plus one */
} suggestion;

suggestion suggestion_for(const char *typed);
void suggestion_try(suggestion *s, const char *name);

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string alignment). Words
 * longer than SUGGEST_LENGTH_MAX are infinitely far: SIZE_MAX. */
size_t typing_distance(const char *a, const char *b);

#endif
