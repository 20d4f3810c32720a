/* explain/profile.h: what somebody's choices say about them (F53), as a readable JSON profile. A pure function: what it
 * tells is counted by engine/profile.c and handed in.
 *
 * A tag, category or word speaks for a person by share · ln(share / background), its part of the Kullback-Leibler
 * divergence between the choices and the catalogue: common in the one and rare in the other, and seen often enough to
 * matter. A modality speaks when the chosen items are more alike in it than any two items are, told in deviations of
 * random pairs (Cohen's d).
 */
#ifndef EXPLAIN_PROFILE_H
#define EXPLAIN_PROFILE_H

#include <stdint.h>

#include "base/json.h"

typedef enum profile_sort { PROFILE_TAG, PROFILE_CATEGORY, PROFILE_WORD } profile_sort;
#define PROFILE_SORTS 3

typedef struct profile_term {
  const char *name;
  profile_sort sort;
  uint32_t items;        /* of the history that have it, at least 1 */
  uint32_t recent_items; /* of those among the newer half; only when times are known */
  double background;     /* share of the catalogue that has it, above 0 */
} profile_term;

typedef struct profile_side {
  const char *name;        /* "image" */
  uint32_t items;          /* of the history that have it */
  double likeness;         /* mean cosine of their pairs */
  double usual, deviation; /* mean and deviation of the cosine of random pairs of the catalogue */
} profile_side;

typedef struct profile_item {
  const char *key, *title;
  double weight;  /* of the event */
  double typical; /* mean cosine to the rest of the history, minus the usual one; NAN: unknown */
} profile_item;

typedef struct profile_input { /* all borrowed */
  const char *user;
  const profile_term *terms; /* [term_count] in any order */
  size_t term_count;
  const profile_side *sides; /* [side_count] */
  size_t side_count;
  const profile_item *items; /* [item_count] the history */
  const int64_t *time_s;     /* [item_count] or NULL */
  size_t item_count;
} profile_input;

/* {"user":…,"items":…,"summary":…,"categories":[{"name","items","share","background","lift","strength","trend"}…],
 * "tags":[…],"words":[…],"modalities":[{"modality","items","likeness","usual","strength","text"}…],"typical_items":[…],
 * "activity":{"first","last","months":{"2026-11":4},"hours":[24],"weekdays":[7, Monday first]} or null}. Times are
 * UTC. */
medley_status profile_to_json(const profile_input *input, json_t **out, medley_error *err) MEDLEY_CHECK;

#endif
