/* recommend/votes.h: what one model's scores count for in an ensemble: the scores themselves, or votes by rank.
 *
 * Scores of different models lie on different scales. Standardising them keeps how far ahead an item is; votes keep
 * only its place, so that a model whose scores have a long tail does not speak louder than the others. Votes are a
 * function of one model's scores alone, so a sum of votes is still a sum of parts.
 */
#ifndef RECOMMEND_VOTES_H
#define RECOMMEND_VOTES_H

#include "recommend/recommender.h"

typedef struct vote_kind {
  const char *name;
  /* place >= 0, of equal scores the mean of their places (so it may be a half); ballot: how many places count. */
  double (*worth)(double place, double ballot);
} vote_kind;

/* Borda's count on ballots of the first VOTES_BALLOT places: n, n - 1, … points, divided by n; none behind. */
extern const vote_kind votes_borda;
/* Reciprocal rank fusion: 1 / (60 + rank), rank from 1 (Cormack, Clarke & Büttcher, SIGIR 2009). */
extern const vote_kind votes_rrf;

#define VOTES_BALLOT 200

/* By name, NULL when there is none. */
const vote_kind *vote_kind_find(const char *name);

/* places [count]: how many have a greater score, equal ones sharing the mean of their places. out [i] (may be scores)
 * is -1 for those left out: without [count] nonzero; NULL: none. Scratch belongs to the thread. */
medley_status votes_places(const float *scores, const uint8_t *without, size_t count, recommender_scratch *scratch,
                           float *places, medley_error *err) MEDLEY_CHECK;

/* Replaces scores [count] by votes; those left out get none. */
medley_status votes_cast(const vote_kind *kind, const uint8_t *without, size_t count, recommender_scratch *scratch,
                         float *scores, medley_error *err) MEDLEY_CHECK;

#endif
