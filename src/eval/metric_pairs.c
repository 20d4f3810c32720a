/* eval/metric_pairs.c: predicted values against true ones. What needs an order sorts a copy once. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "eval/metric.h"

double metric_mae(const metric_pairs *p) {
  double sum = 0;
  for (size_t i = 0; i < p->count; i++) sum += fabs((double)p->predicted[i] - p->truth[i]);
  return p->count ? sum / (double)p->count : NAN;
}

double metric_rmse(const metric_pairs *p) {
  double sum = 0;
  for (size_t i = 0; i < p->count; i++) {
    double gap = (double)p->predicted[i] - p->truth[i];
    sum += gap * gap;
  }
  return p->count ? sqrt(sum / (double)p->count) : NAN;
}

static bool is_positive(float truth) { return truth >= 0.5f; }

double metric_accuracy(const metric_pairs *p, double threshold) {
  size_t right = 0;
  for (size_t i = 0; i < p->count; i++) right += (p->predicted[i] >= threshold) == is_positive(p->truth[i]);
  return p->count ? (double)right / (double)p->count : NAN;
}

/* A probability of exactly 0 or 1 that is wrong would cost infinitely much; float32's epsilon is the clip others use.
 */
double metric_log_loss(const metric_pairs *p) {
  double sum = 0;
  for (size_t i = 0; i < p->count; i++) {
    double probability = p->predicted[i];
    if (isnan(probability)) return NAN;
    probability = fmin(fmax(probability, FLT_EPSILON), 1 - FLT_EPSILON);
    sum -= log(is_positive(p->truth[i]) ? probability : 1 - probability);
  }
  return p->count ? sum / (double)p->count : NAN;
}

/* ---- by order ---- */

typedef struct scored_pair {
  float predicted;
  uint32_t group;
  bool positive;
} scored_pair;

static int pair_compare(const void *a, const void *b) {
  const scored_pair *x = a, *y = b;
  if (x->group != y->group) return x->group < y->group ? -1 : 1;
  return (x->predicted > y->predicted) - (x->predicted < y->predicted);
}

/* Ascending by group and prediction; NULL when memory runs out or a prediction is NaN, which has no place in an order.
 */
static scored_pair *pairs_sort(const metric_pairs *p, bool by_group) {
  scored_pair *sorted = mem_alloc(p->count, sizeof *sorted);
  for (size_t i = 0; sorted != NULL && i < p->count; i++) {
    if (isnan(p->predicted[i])) {
      mem_free(sorted);
      return NULL;
    }
    sorted[i] = (scored_pair){p->predicted[i], by_group ? p->group[i] : 0, is_positive(p->truth[i])};
  }
  if (sorted != NULL) qsort(sorted, p->count, sizeof *sorted, pair_compare);
  return sorted;
}

/* Mann and Whitney: for each positive, the negatives below it, and half of those that tie. */
static double sorted_auc(const scored_pair *sorted, size_t count) {
  double below = 0, won = 0, positives = 0;
  for (size_t from = 0, to; from < count; from = to) {
    double tied_positives = 0, tied_negatives = 0;
    for (to = from; to < count && sorted[to].predicted == sorted[from].predicted; to++) {
      tied_positives += sorted[to].positive;
      tied_negatives += !sorted[to].positive;
    }
    won += tied_positives * (below + tied_negatives / 2);
    below += tied_negatives;
    positives += tied_positives;
  }
  return positives > 0 && below > 0 ? won / (positives * below) : NAN;
}

double metric_auc(const metric_pairs *p) {
  scored_pair *sorted = pairs_sort(p, false);
  double auc = sorted ? sorted_auc(sorted, p->count) : NAN;
  mem_free(sorted);
  return auc;
}

double metric_gauc(const metric_pairs *p) {
  if (p->group == NULL) return metric_auc(p);
  scored_pair *sorted = pairs_sort(p, true);
  double sum = 0, weight = 0;
  for (size_t from = 0, to; sorted != NULL && from < p->count; from = to) {
    for (to = from; to < p->count && sorted[to].group == sorted[from].group; to++) continue;
    double auc = sorted_auc(sorted + from, to - from), size = (double)(to - from);
    if (isnan(auc)) continue;
    sum += size * auc;
    weight += size;
  }
  mem_free(sorted);
  return weight > 0 ? sum / weight : NAN;
}

/* From the best prediction down, one corner after each distinct value. */
static size_t roc_corners(const scored_pair *sorted, size_t count, double *x, double *y) {
  size_t corners = 1, negatives = 0, positives = 0;
  x[0] = y[0] = 0;
  for (size_t i = count; i-- > 0;) {
    positives += sorted[i].positive;
    negatives += !sorted[i].positive;
    if (i > 0 && sorted[i - 1].predicted == sorted[i].predicted) continue;
    x[corners] = (double)negatives;
    y[corners++] = (double)positives;
  }
  for (size_t i = 0; i < corners; i++) {
    x[i] /= (double)negatives;
    y[i] /= (double)positives;
  }
  return negatives > 0 && positives > 0 ? corners : 0;
}

size_t metric_roc(const metric_pairs *p, size_t points, double *false_positive_rate, double *true_positive_rate) {
  scored_pair *sorted = points < 2 ? NULL : pairs_sort(p, false);
  double *x = mem_alloc(p->count + 1, sizeof *x), *y = mem_alloc(p->count + 1, sizeof *y);
  size_t corners = sorted && x && y ? roc_corners(sorted, p->count, x, y) : 0;
  size_t kept = corners < points ? corners : points;
  for (size_t i = 0; i < kept; i++) { /* evenly thinned; the first and the last corner stay */
    size_t at = kept == corners ? i : i * (corners - 1) / (kept - 1);
    false_positive_rate[i] = x[at];
    true_positive_rate[i] = y[at];
  }
  mem_free(sorted);
  mem_free(x);
  mem_free(y);
  return kept;
}
