/* learn/measure_pairs.c: see learn/measure_pairs.h. */
#include "learn/measure_pairs.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

#define NEWTON_STEPS 25
#define LOGISTIC_RIDGE 1e-3 /* keeps the slope finite when the classes part perfectly */

static int judgement_compare(const void *a, const void *b) {
  const judgement *x = a, *y = b;
  if (x->user != y->user) return x->user < y->user ? -1 : 1;
  return (x->item > y->item) - (x->item < y->item);
}

static bool is_rating(const event_weights *w, const event *e) {
  return e->type >= 0 && e->type < 64 && (w->rating_types >> e->type & 1) && isfinite(e->value);
}

medley_status judgements_collect(const event_log *log, const event_weights *weights, const uint8_t *label, uint8_t want,
                                 judgements *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (judgements){0};
  TRY_NEW(out->list, log->event_count + 1, "judgements");
  for (size_t i = 0; i < log->event_count; i++) {
    const event *e = &log->events[i];
    if (label[i] != want) continue;
    bool rated = is_rating(weights, e), liked = event_weight(weights, e) > 0;
    out->list[out->count++] = (judgement){e->user, e->item, rated ? e->value : NAN, liked};
    out->rated += rated;
    out->liked += liked;
  }
  qsort(out->list, out->count, sizeof *out->list, judgement_compare);
done:
  return status;
}

void judgements_deinit(judgements *j) {
  mem_free(j->list);
  *j = (judgements){0};
}

bool judgements_rate(const judgements *j) {
  float least = INFINITY, most = -INFINITY;
  for (size_t i = 0; i < j->count; i++) {
    if (isnan(j->list[i].value)) continue;
    least = fminf(least, j->list[i].value);
    most = fmaxf(most, j->list[i].value);
  }
  return least < most;
}

bool judgements_part(const judgements *j) { return j->liked > 0 && j->liked < j->count; }

/* ---- scores ---- */

/* In deviations from the mean over all items, so that a line fits all users. */
static void standardise(float *scores, size_t count) {
  double sum = 0, square = 0;
  for (size_t i = 0; i < count; i++) sum += scores[i];
  double mean = count ? sum / (double)count : 0;
  for (size_t i = 0; i < count; i++) square += (scores[i] - mean) * (scores[i] - mean);
  double deviation = count ? sqrt(square / (double)count) : 0;
  for (size_t i = 0; i < count; i++) scores[i] = deviation > 0 ? (float)((scores[i] - mean) / deviation) : 0;
}

static medley_status scores_make(const judgements *j, const interactions *known, const scorer *what, float *out,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t items = known->by_user.columns;
  history_buffer buffer = {0};
  recommender_scratch scratch = {0};
  float *scores = NULL;
  TRY_NEW(scores, items + 1, "scores");
  for (size_t i = 0; i < j->count; i++) {
    if (i == 0 || j->list[i].user != j->list[i - 1].user) {
      history h;
      TRY(history_of_row(known, j->list[i].user, NULL, &buffer, &h, err));
      TRY(what->score(what->context, &h, &scratch, scores, err));
      standardise(scores, items);
    }
    out[i] = scores[j->list[i].item];
  }
done:
  history_buffer_deinit(&buffer);
  recommender_scratch_deinit(&scratch);
  mem_free(scores);
  return status;
}

/* ---- calibration ---- */

static bool in_half(const judgement *e, unsigned half) { return (e->user & 1) == half; }

typedef struct straight {
  double a, b; /* a + b score */
} straight;

static straight line_fit(const judgements *j, const float *score, unsigned half) {
  double n = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (size_t i = 0; i < j->count; i++) {
    const judgement *e = &j->list[i];
    if (!in_half(e, half) || isnan(e->value)) continue;
    n++, x += score[i], y += e->value, xx += (double)score[i] * score[i], xy += (double)score[i] * e->value;
  }
  if (n == 0) return (straight){0, 0};
  double variance = xx / n - x / n * x / n;
  double b = variance > 1e-12 ? (xy / n - x / n * y / n) / variance : 0;
  return (straight){y / n - b * x / n, b};
}

/* Newton's method on the log-likelihood of two parameters. */
static straight logistic_fit(const judgements *j, const float *score, unsigned half) {
  straight s = {0, 0};
  for (int step = 0; step < NEWTON_STEPS; step++) {
    double ga = 0, gb = -LOGISTIC_RIDGE * s.b, haa = 1e-9, hab = 0, hbb = LOGISTIC_RIDGE;
    for (size_t i = 0; i < j->count; i++) {
      if (!in_half(&j->list[i], half)) continue;
      double p = 1 / (1 + exp(-(s.a + s.b * score[i]))), w = p * (1 - p), gap = j->list[i].liked - p;
      ga += gap, gb += gap * score[i];
      haa += w, hab += w * score[i], hbb += w * score[i] * score[i];
    }
    double determinant = haa * hbb - hab * hab;
    if (!(determinant > 1e-12)) break;
    double da = (hbb * ga - hab * gb) / determinant, db = (haa * gb - hab * ga) / determinant;
    /* One class only would send the constant to infinity. */
    s.a = fmax(-15, fmin(15, s.a + da));
    s.b = fmax(-50, fmin(50, s.b + db));
    if (fabs(da) + fabs(db) < 1e-9) break;
  }
  return s;
}

medley_status judgements_predict(const judgements *j, const interactions *known, const scorer *what, float **rating,
                                 float **probability, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *score = NULL;
  *rating = *probability = NULL;
  TRY_NEW(score, j->count + 1, "scores");
  TRY_NEW(*rating, j->count + 1, "predictions");
  TRY_NEW(*probability, j->count + 1, "predictions");
  TRY(scores_make(j, known, what, score, err));
  for (unsigned half = 0; half < 2; half++) {
    straight line = line_fit(j, score, !half), curve = logistic_fit(j, score, !half);
    for (size_t i = 0; i < j->count; i++) {
      if (!in_half(&j->list[i], half)) continue;
      (*rating)[i] = isnan(j->list[i].value) ? NAN : (float)(line.a + line.b * score[i]);
      (*probability)[i] = (float)(1 / (1 + exp(-(curve.a + curve.b * score[i]))));
    }
  }
done:
  mem_free(score);
  if (status != MEDLEY_OK) {
    mem_free(*rating);
    mem_free(*probability);
    *rating = *probability = NULL;
  }
  return status;
}

/* Predictions beside what was said, as the metrics want them. */
typedef struct said_pairs {
  float *predicted, *truth;
  uint32_t *group;
  size_t count;
} said_pairs;

static bool said_collect(const judgements *j, bool of_ratings, const float *rating, const float *probability,
                         said_pairs *out) {
  *out = (said_pairs){.predicted = mem_alloc(j->count + 1, sizeof *out->predicted),
                      .truth = mem_alloc(j->count + 1, sizeof *out->truth),
                      .group = mem_alloc(j->count + 1, sizeof *out->group)};
  if (out->predicted == NULL || out->truth == NULL || out->group == NULL) return false;
  for (size_t i = 0; i < j->count; i++) {
    const judgement *e = &j->list[i];
    if (of_ratings && isnan(e->value)) continue;
    out->predicted[out->count] = of_ratings ? rating[i] : probability[i];
    out->truth[out->count] = of_ratings ? e->value : (float)e->liked;
    out->group[out->count++] = e->user;
  }
  return true;
}

static metric_pairs said_view(const said_pairs *s) {
  return (metric_pairs){s->predicted, s->truth, s->group, s->count};
}

static void said_deinit(said_pairs *s) {
  mem_free(s->predicted);
  mem_free(s->truth);
  mem_free(s->group);
}

double judgements_measure(const judgements *j, const metric_kind *kind, const float *rating, const float *probability) {
  said_pairs said;
  double value = NAN;
  if (said_collect(j, kind->of_ratings, rating, probability, &said)) {
    metric_pairs pairs = said_view(&said);
    value = kind->over_pairs(&pairs);
  }
  said_deinit(&said);
  return value;
}

size_t judgements_roc(const judgements *j, const float *probability, size_t points, double *false_positive_rate,
                      double *true_positive_rate, double *area) {
  said_pairs said;
  size_t corners = 0;
  *area = NAN;
  if (said_collect(j, false, NULL, probability, &said)) {
    metric_pairs pairs = said_view(&said);
    *area = metric_auc(&pairs);
    corners = metric_roc(&pairs, points, false_positive_rate, true_positive_rate);
  }
  said_deinit(&said);
  return corners;
}
