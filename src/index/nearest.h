/* index/nearest.h: the k best of a stream of scores, in the caller's array. Every index kind collects its answers here,
 * so that all rank ties alike: greater score first, then smaller index. */
#ifndef INDEX_NEAREST_H
#define INDEX_NEAREST_H

#include <stdbool.h>

#include "math/vector.h"

/* A heap with the worst kept entry at the root. entries [k] is borrowed. */
typedef struct nearest {
  scored *entries;
  size_t count, k;
} nearest;

/* True when a ranks before b. */
static inline bool nearest_before(scored a, scored b) {
  return a.score > b.score || (a.score == b.score && a.index < b.index);
}

/* Keeps the entry when it is among the k best so far. */
void nearest_push(nearest *n, scored entry);
/* Sorts the kept entries, best first; the heap is used up. Returns how many. */
size_t nearest_finish(nearest *n);

#endif
