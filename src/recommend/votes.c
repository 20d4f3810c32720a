/* recommend/votes.c: see recommend/votes.h. */
#include "recommend/votes.h"

#include <string.h>

#define RRF_K 60

static double borda_worth(double place, double ballot) { return place < ballot ? (ballot - place) / ballot : 0; }

static double rrf_worth(double place, double ballot) { return (void)ballot, 1 / (RRF_K + 1 + place); }

const vote_kind votes_borda = {"borda", borda_worth};
const vote_kind votes_rrf = {"rrf", rrf_worth};

static const vote_kind *const all_votes[] = {&votes_borda, &votes_rrf};

const vote_kind *vote_kind_find(const char *name) {
  for (size_t v = 0; v < sizeof all_votes / sizeof *all_votes; v++)
    if (strcmp(all_votes[v]->name, name) == 0) return all_votes[v];
  return NULL;
}

/* ---- places ---- */

#define DIGIT_BITS 11
#define DIGITS 3 /* 33 bits: all of a float's */
#define BUCKETS (1u << DIGIT_BITS)

/* Greater floats give smaller keys; both zeros are one. */
static uint32_t key_of(float score) {
  uint32_t bits;
  score += 0.0f;
  memcpy(&bits, &score, sizeof bits);
  return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

/* One pass of a radix sort, by the digit at `shift`; stable. */
static void pass(const uint32_t *from, uint32_t *to, const uint32_t *keys, size_t count, int shift) {
  uint32_t at[BUCKETS] = {0}, sum = 0;
  for (size_t k = 0; k < count; k++) at[keys[from[k]] >> shift & (BUCKETS - 1)]++;
  for (size_t b = 0; b < BUCKETS; b++) {
    uint32_t here = at[b];
    at[b] = sum;
    sum += here;
  }
  for (size_t k = 0; k < count; k++) to[at[keys[from[k]] >> shift & (BUCKETS - 1)]++] = from[k];
}

medley_status votes_places(const float *scores, const uint8_t *without, size_t count, recommender_scratch *scratch,
                           float *places, medley_error *err) {
  uint32_t *keys = recommender_scratch_integers(scratch, 3 * count + 1), *order, *other;
  size_t taken = 0;
  if (keys == NULL) return error_memory(err, "votes");
  order = keys + count;
  other = order + count;
  for (size_t i = 0; i < count; i++) keys[i] = key_of(scores[i]);
  for (size_t i = 0; i < count; i++) {
    places[i] = -1;
    if (without == NULL || !without[i]) order[taken++] = (uint32_t)i;
  }
  for (int d = 0; d < DIGITS; d++) {
    pass(order, other, keys, taken, d * DIGIT_BITS);
    uint32_t *swap = order;
    order = other;
    other = swap;
  }
  for (size_t first = 0, end; first < taken; first = end) {
    for (end = first + 1; end < taken && keys[order[end]] == keys[order[first]];) end++;
    for (size_t k = first; k < end; k++) places[order[k]] = 0.5f * (float)(first + end - 1);
  }
  return MEDLEY_OK;
}

medley_status votes_cast(const vote_kind *kind, const uint8_t *without, size_t count, recommender_scratch *scratch,
                         float *scores, medley_error *err) {
  medley_status status = votes_places(scores, without, count, scratch, scores, err);
  if (status != MEDLEY_OK) return status;
  for (size_t i = 0; i < count; i++)
    scores[i] = scores[i] < 0 ? 0 : (float)kind->worth((double)scores[i], VOTES_BALLOT);
  return MEDLEY_OK;
}
