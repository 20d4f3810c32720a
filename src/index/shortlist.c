/* index/shortlist.c: see index/shortlist.h.
 *
 * The bar is found by guessing from a few entries and counting what is above, which vector units do quickly; a
 * quickselect took as long as the comparisons that it saved, because its branches are unforeseeable.
 */
#include "index/shortlist.h"

#include <math.h>
#include <stdbool.h>

#include "math/clones.h"

#define GUESSES 15
#define ROUNDS_MAX 24

void shortlist_begin(shortlist *s, size_t keep) {
  s->count = 0;
  s->keep = keep;
  s->bar = -INFINITY;
}

static inline VECTOR_INLINE uint32_t count_above_body(const float *scores, size_t count, float bar) {
  uint32_t above = 0;
  _Pragma("omp simd reduction(+ : above)") for (size_t i = 0; i < count; i++) above += scores[i] > bar;
  return above;
}
VECTOR_CLONES(static, uint32_t, count_above, (const float *scores, size_t count, float bar), (scores, count, bar))

static inline VECTOR_INLINE void range_body(const float *scores, size_t count, float *least, float *greatest) {
  float low = INFINITY, high = -INFINITY;
  _Pragma("omp simd reduction(min : low) reduction(max : high)") for (size_t i = 0; i < count; i++) {
    low = scores[i] < low ? scores[i] : low;
    high = scores[i] > high ? scores[i] : high;
  }
  *least = low;
  *greatest = high;
}
VECTOR_CLONES(static, void, range, (const float *scores, size_t count, float *least, float *greatest),
              (scores, count, least, greatest))

/* The score that about keep of the entries exceed, judged by a few that are spread over the list. */
static float guess(const shortlist *s) {
  float sorted[GUESSES];
  for (size_t g = 0; g < GUESSES; g++) {
    float value = s->scores[g * s->count / GUESSES];
    size_t at = g;
    for (; at > 0 && sorted[at - 1] > value; at--) sorted[at] = sorted[at - 1];
    sorted[at] = value;
  }
  return sorted[GUESSES - 1 - GUESSES * s->keep / (s->count + 1)];
}

/* At least keep entries exceed *low (when false is returned: reach it), fewer exceed *high; the two are the same when
 * the number is right, and neighbours when many entries tie. */
static bool bar_find(const shortlist *s, size_t limit, float *low, float *high) {
  bool enough = false;
  float pivot = guess(s);
  range(s->scores, s->count, low, high);
  for (int round = 0; round < ROUNDS_MAX; round++) {
    size_t above = count_above(s->scores, s->count, pivot);
    enough |= above >= s->keep;
    *(above >= s->keep ? low : high) = pivot;
    if (above >= s->keep && above <= limit) {
      *high = pivot;
      break;
    }
    pivot = *low + (*high - *low) / 2;
  }
  return enough;
}

void shortlist_thin(shortlist *s) {
  size_t limit = s->keep + s->keep / 4, kept = 0;
  float low, high;
  if (s->count <= limit) return;
  bool enough = bar_find(s, limit, &low, &high);
  size_t ties = limit - count_above(s->scores, s->count, high);
  for (size_t i = 0; i < s->count; i++) {
    float score = s->scores[i];
    bool tie = score <= high && (score > low || !enough) && ties > 0;
    s->scores[kept] = score;
    s->slots[kept] = s->slots[i];
    kept += score > high || tie;
    ties -= tie;
  }
  s->count = kept;
  s->bar = low;
}
