/* learn/measure_pairs.h: scores held against what people said of single items: ratings, and likes beside dislikes
 * (F70).
 *
 * A score is no rating and no probability. Each is standardised over all items of its request, and brought to ratings
 * by a line and to probabilities by a logistic curve. Both are fitted on the judgements of one half of the users and
 * applied to those of the other half, and the other way round, so that nobody's own judgement calibrates what is
 * predicted of it. */
#ifndef LEARN_MEASURE_PAIRS_H
#define LEARN_MEASURE_PAIRS_H

#include "learn/measure.h"

/* A held-out event that says something about taste. */
typedef struct judgement {
  uint32_t user, item;
  float value; /* of a rating; NAN: the event is none */
  bool liked;
} judgement;

typedef struct judgements {
  judgement *list; /* [count] by user */
  size_t count, rated, liked;
} judgements;

/* Of the events with label[i] == want. */
medley_status judgements_collect(const event_log *log, const event_weights *weights, const uint8_t *label, uint8_t want,
                                 judgements *out, medley_error *err) MEDLEY_CHECK;
void judgements_deinit(judgements *j);
/* Whether there is anything to predict: ratings that differ; both likes and dislikes. */
bool judgements_rate(const judgements *j);
bool judgements_part(const judgements *j);

/* Predictions for all judgements by one scorer, of ratings (NAN for events that are none) and probabilities, [count]
 * each, the caller's (mem_free). known: what the scorer may know of each user. */
medley_status judgements_predict(const judgements *j, const interactions *known, const scorer *what, float **rating,
                                 float **probability, medley_error *err) MEDLEY_CHECK;

/* One metric over pairs of these predictions. */
double judgements_measure(const judgements *j, const metric_kind *kind, const float *rating, const float *probability);

/* ROC curve of the likes among likes and dislikes: at most `points` corners into the two arrays [points], and the area
 * under the whole curve; 0 corners when there is nothing to part, or no memory. */
size_t judgements_roc(const judgements *j, const float *probability, size_t points, double *false_positive_rate,
                      double *true_positive_rate, double *area);

#endif
