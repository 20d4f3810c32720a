/* learn/tuner_tpe.c: the tree of Parzen estimators (Bergstra et al., "Algorithms for hyper-parameter optimization",
 * NeurIPS 2011), with settings as independent dimensions. After some draws at random, the trials are parted into the
 * best tenth and the rest; of CANDIDATES values drawn from the density l of the best, that one is tried where l stands
 * highest over the density g of the rest, which is where the expected improvement is greatest.
 *
 * Each density is a mixture of normal curves around the trials, as wide as the distance to the further neighbour
 * (bounded below, so that it does not close in on one point), and of the uniform draw, as one trial more. */
#include <math.h>

#include "base/memory.h"
#include "learn/tuner.h"

#define DRAWN_FIRST 8
#define GOOD_SHARE 0.1
#define GOOD_MOST 25
#define CANDIDATES 24
#define TRIALS_SEEN 512 /* the newest */
#define WIDTH_LEAST 0.04

typedef struct parzen {
  double at[TRIALS_SEEN], width[TRIALS_SEEN];
  size_t count;
} parzen;

static void widths_set(parzen *p) {
  for (size_t i = 0; i < p->count; i++) {
    double below = 1, above = 1; /* to the neighbours, or to the ends */
    for (size_t j = 0; j < p->count; j++) {
      double gap = p->at[j] - p->at[i];
      if (gap > 0) above = fmin(above, gap);
      if (gap < 0) below = fmin(below, -gap);
    }
    below = fmin(below, fmax(p->at[i], WIDTH_LEAST));
    above = fmin(above, fmax(1 - p->at[i], WIDTH_LEAST));
    double least = fmax(WIDTH_LEAST, 1 / (double)(1 + p->count) / 2);
    p->width[i] = fmax(least, fmax(below, above));
  }
}

/* The density over [0, 1], curves cut off at the ends and made whole again. */
static double density(const parzen *p, double u) {
  double sum = 1; /* the uniform draw */
  for (size_t i = 0; i < p->count; i++) {
    double w = p->width[i] * M_SQRT2, z = (u - p->at[i]) / p->width[i];
    double inside = 0.5 * (erf((1 - p->at[i]) / w) - erf(-p->at[i] / w));
    sum += exp(-0.5 * z * z) / (p->width[i] * sqrt(2 * M_PI) * fmax(inside, 1e-6));
  }
  return sum / (double)(p->count + 1);
}

static double draw(const parzen *p, rng *r) {
  size_t i = (size_t)rng_below(r, p->count + 1);
  for (int tries = 0; i < p->count && tries < 16; tries++) {
    double u = p->at[i] + p->width[i] * rng_normal(r);
    if (u >= 0 && u < 1) return u;
  }
  return rng_uniform(r);
}

static double worth(const trial *t) { return isfinite(t->objective) ? t->objective : -INFINITY; }

/* How many of the `whole` trials are better, so that the first GOOD_SHARE can be told. */
static size_t rank_of(const trial *const *whole, size_t count, size_t t) {
  size_t above = 0;
  for (size_t o = 0; o < count; o++)
    above += worth(whole[o]) > worth(whole[t]) || (o < t && worth(whole[o]) == worth(whole[t]));
  return above;
}

/* The value of one setting for which most speaks. */
static double setting_propose(const setting_range *range, size_t setting, const trial *const *whole, const bool *good,
                              size_t count, rng *r) {
  parzen better = {.count = 0}, rest = {.count = 0};
  double best = 0, most = -INFINITY;
  for (size_t t = 0; t < count; t++) {
    parzen *p = good[t] ? &better : &rest;
    p->at[p->count++] = setting_place_of(range, whole[t]->values[setting]);
  }
  widths_set(&better);
  widths_set(&rest);
  for (size_t c = 0; c < CANDIDATES; c++) {
    /* What is rounded is judged where it comes to lie. */
    double value = setting_value_at(range, draw(&better, r)), u = setting_place_of(range, value);
    double gain = density(&better, u) / density(&rest, u);
    if (!(gain > most)) continue;
    most = gain;
    best = value;
  }
  return best;
}

static void propose(const tuning_search *s, rng *r, trial *next) {
  const trial *whole[TRIALS_SEEN];
  bool good[TRIALS_SEEN];
  size_t count = 0;
  for (size_t t = s->count; t-- > 0 && count < TRIALS_SEEN;)
    if (s->trials[t].share >= 1) whole[count++] = &s->trials[t];
  if (count <= DRAWN_FIRST) {
    tuner_draw(s, r, next->values);
    return;
  }
  double wanted = fmin(ceil(GOOD_SHARE * (double)count), GOOD_MOST);
  for (size_t t = 0; t < count; t++) good[t] = (double)rank_of(whole, count, t) < wanted;
  for (size_t i = 0; s->settings[i].name != NULL; i++) {
    setting_range range = setting_range_of(&s->settings[i], s->settled[i]);
    if (range.scale != SETTING_FIXED) next->values[i] = setting_propose(&range, i, whole, good, count, r);
  }
}

const tuner_kind tuner_tpe = {"tpe", "by a model of which settings did well: the tree of Parzen estimators",
                              "Bergstra et al. 2011", propose};
