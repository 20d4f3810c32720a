/* learn/tuner.c: see learn/tuner.h. */
#include "learn/tuner.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

#define RATIO_LEAST 4.0 /* a grid whose values differ by more goes by ratios … */
#define RATIO_STEP 1.5  /* … if one step is at least this */
#define USUAL_SHARE 0.5 /* of what is drawn is a value of the grid: somebody found those worth trying */

const tuner_kind *const tuner_kinds[] = {
    /* clang-format off */
    &tuner_tpe,
    &tuner_halving,
    &tuner_random,
    NULL,
    /* clang-format on */
};

const tuner_kind *tuner_kind_find(const char *name) {
  for (const tuner_kind *const *k = tuner_kinds; *k != NULL; k++)
    if (strcmp((*k)->name, name) == 0) return *k;
  return NULL;
}

/* ---- ranges ---- */

setting_range setting_range_of(const recommender_setting *s, bool settled) {
  setting_range out = {.scale = SETTING_FIXED, .lo = s->fallback, .hi = s->fallback, .whole = true};
  double least = INFINITY, most = -INFINITY;
  size_t zeros = 0;
  if (settled || s->grid_count < 2) return out;
  for (size_t g = 0; g < s->grid_count; g++) {
    double value = s->grid[g];
    out.whole &= value == floor(value);
    zeros += value == 0;
    if (value == 0) continue;
    least = fmin(least, value);
    most = fmax(most, value);
  }
  size_t others = s->grid_count - zeros;
  double ratio = others > 1 && least > 0 ? pow(most / least, 1 / (double)(others - 1)) : 0;
  if (others > 1 && least > 0 && most / least >= RATIO_LEAST && ratio >= RATIO_STEP) {
    out.scale = SETTING_RATIO;
    out.zero = zeros > 0 ? 1 / (double)s->grid_count : 0;
    out.lo = fmax(least / ratio, s->min > 0 ? s->min : least / ratio);
    out.hi = fmin(most * ratio, s->max);
  } else {
    if (zeros > 0) least = fmin(least, 0), most = fmax(most, 0);
    double step = (most - least) / (double)(s->grid_count - 1);
    out.scale = SETTING_LINEAR;
    out.lo = fmax(least - step, s->min);
    out.hi = fmin(most + step, s->max);
  }
  if (!(out.hi > out.lo)) out.scale = SETTING_FIXED;
  return out;
}

static double within(double value, double lo, double hi) { return value < lo ? lo : value > hi ? hi : value; }

double setting_value_at(const setting_range *range, double u) {
  double value = range->lo;
  if (range->scale == SETTING_FIXED) return value;
  if (range->scale == SETTING_LINEAR) {
    value = range->lo + u * (range->hi - range->lo);
  } else {
    if (u < range->zero) return 0;
    value = range->lo * pow(range->hi / range->lo, (u - range->zero) / (1 - range->zero));
  }
  if (range->whole) value = round(value);
  return within(value, range->lo, range->hi);
}

double setting_place_of(const setting_range *range, double value) {
  if (range->scale == SETTING_FIXED) return 0.5;
  if (range->scale == SETTING_LINEAR) return within((value - range->lo) / (range->hi - range->lo), 0, 1);
  if (!(value > 0)) return range->zero / 2;
  double share = log(value / range->lo) / log(range->hi / range->lo);
  return range->zero + (1 - range->zero) * within(share, 0, 1);
}

void tuner_draw(const tuning_search *s, rng *r, double *values) {
  for (size_t i = 0; s->settings[i].name != NULL; i++) {
    setting_range range = setting_range_of(&s->settings[i], s->settled[i]);
    double u = rng_uniform(r);
    uint64_t g = rng_below(r, s->settings[i].grid_count > 0 ? s->settings[i].grid_count : 1);
    bool usual = rng_uniform(r) < USUAL_SHARE;
    values[i] = range.scale == SETTING_FIXED ? s->start[i]
                : usual                      ? s->settings[i].grid[g]
                                             : setting_value_at(&range, u);
  }
}

/* ---- the search ---- */

void tuner_propose(const tuner_kind *kind, const tuning_search *s, trial *next) {
  rng r;
  *next = (trial){.share = 1, .objective = NAN};
  for (size_t i = 0; s->settings[i].name != NULL; i++) next->values[i] = s->start[i];
  rng_seed(&r, hash_finish(s->seed + s->count));
  if (s->count > 0) kind->propose(s, &r, next);
}

medley_status tuning_search_add(tuning_search *s, const trial *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(s->trials, s->capacity, s->count + 1, "trials");
  s->trials[s->count++] = *t;
done:
  return status;
}

const trial *tuning_search_best(const tuning_search *s) {
  const trial *best = NULL;
  for (size_t t = 0; t < s->count; t++) {
    if (s->trials[t].share < 1 || !isfinite(s->trials[t].objective)) continue;
    if (best == NULL || s->trials[t].objective > best->objective) best = &s->trials[t];
  }
  return best;
}

void tuning_search_deinit(tuning_search *s) {
  mem_free(s->trials);
  s->trials = NULL;
  s->count = s->capacity = 0;
}
