/* index/shortlist.h: about the best few hundred of a long stream of estimates, in the caller's arrays.
 *
 * Estimates only say which rows are worth comparing, so it does not matter whether 200 or 240 of them are kept. That
 * makes it cheaper than a heap: entries are collected until the room is full, and then thinned by a bar that keeps
 * about the better half. What is below the bar need not be offered any more.
 */
#ifndef INDEX_SHORTLIST_H
#define INDEX_SHORTLIST_H

#include <stddef.h>
#include <stdint.h>

/* Entries that the arrays of a shortlist for `keep` must hold. */
#define SHORTLIST_ROOM(keep) (2 * (keep) + 1)

typedef struct shortlist {
  float *scores;   /* [SHORTLIST_ROOM(keep)] */
  uint32_t *slots; /* [SHORTLIST_ROOM(keep)] */
  size_t count, keep;
  float bar; /* what an estimate must exceed to be worth offering; -INFINITY at first */
} shortlist;

/* keep > 0. The arrays are set already. */
void shortlist_begin(shortlist *s, size_t keep);
/* Thins the entries when there are more than 5/4 keep: all that are above the new bar stay, at least keep and, ties
 * aside, at most 5/4 keep. */
void shortlist_thin(shortlist *s);

/* Not for NaN. */
static inline void shortlist_push(shortlist *s, float score, uint32_t slot) {
  s->scores[s->count] = score;
  s->slots[s->count++] = slot;
  if (s->count == SHORTLIST_ROOM(s->keep)) shortlist_thin(s);
}

#endif
