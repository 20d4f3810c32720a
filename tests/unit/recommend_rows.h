/* tests/unit/recommend_rows.h: every recommender with settings that are quick to fit, and its twin. */
#ifndef TESTS_RECOMMEND_ROWS_H
#define TESTS_RECOMMEND_ROWS_H

#include "recommend_twins.h"

struct recommend_row {
  const char *name;
  twin by_definition;
  double values[RECOMMENDER_SETTINGS_MAX]; /* all zero: the defaults */
  double tolerance;                        /* of the largest score: float32 sums; content_map also cuts its rank */
};
extern const struct recommend_row recommend_rows[];
extern const size_t recommend_row_count;

const recommender_kind *row_values(const struct recommend_row *row, double values[RECOMMENDER_SETTINGS_MAX]);
recommender *row_fit(const struct recommend_row *row, const world *w);

#endif
