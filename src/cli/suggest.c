/* cli/suggest.c: see cli/suggest.h. */
#include "cli/suggest.h"

#include <stdint.h>
#include <string.h>

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t typing_distance(const char *a, const char *b) {
  size_t rows[3][SUGGEST_LENGTH_MAX + 1];
  size_t na = strlen(a), nb = strlen(b);
  if (na > SUGGEST_LENGTH_MAX || nb > SUGGEST_LENGTH_MAX) return SIZE_MAX;
  for (size_t j = 0; j <= nb; j++) rows[0][j] = j;
  for (size_t i = 1; i <= na; i++) {
    size_t *now = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
    now[0] = i;
    for (size_t j = 1; j <= nb; j++) {
      now[j] = least(above[j] + 1, now[j - 1] + 1);
      now[j] = least(now[j], above[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = least(now[j], two_above[j - 2] + 1);
    }
  }
  return rows[na % 3][nb];
}

suggestion suggestion_for(const char *typed) {
  size_t length = strlen(typed);
  /* A third of the word may be wrong: two mistakes in "recomend", none in "x". */
  return (suggestion){.typed = typed, .distance = (length + 2) / 3 + 1};
}

void suggestion_try(suggestion *s, const char *name) {
  size_t typed_length = strlen(s->typed);
  size_t distance = typing_distance(s->typed, name);
  /* The beginning of a word is as good as one mistake: "rec" for "recommend". */
  if (typed_length >= 2 && strncmp(s->typed, name, typed_length) == 0) distance = 1;
  if (distance >= s->distance) return;
  s->distance = distance;
  s->name = name;
}
