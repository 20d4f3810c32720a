/* engine/match.h: every item against a query, as a sum of named parts; and the page of answers.
 *
 * Each look of a query part gives an item a calibrated similarity z: 0 for an item met at random, 1 a deviation above.
 * The part's score pools the sides the item has, as weighted z values are pooled: Σ w z over the deviation that this
 * sum has by chance, sqrt((1 - ρ) Σ w² + ρ (Σ w)²) with the correlation ρ of the sides (Hartung 1999). So an item met
 * at random has mean 0 and deviation 1 whatever it lacks, and nobody wins or loses by lacking a side.
 *
 * In a catalogue of usual size all items are scored, one read of each row: the order is exact and pages are stable
 * however deep. In a large one graphs say which items are worth scoring (engine/graphs.h), and the answer says so. In
 * both, the parts of every answer are the summands it was ranked by.
 */
#ifndef ENGINE_MATCH_H
#define ENGINE_MATCH_H

#include "engine/answer_buffers.h"
#include "engine/query.h"
#include "explain/why.h"

typedef struct match {
  const query *q;
  answer_buffers *b;  /* total, skip, ranked are filled here */
  const float *words; /* [items] what words add to the score, or NULL */
  const char *const *categories;
  const char *after;
  size_t count; /* wanted on the page */
  bool why;
  bool exact; /* score everything, whatever graphs there are */
  why_subject subject;
} match;

/* Scores, filters, ranks, cuts the page. *answer is the caller's (medley_answer_free). */
medley_status match_answer(const match *m, medley_answer **answer, medley_error *err) MEDLEY_CHECK;

#endif
