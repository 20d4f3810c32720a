/* learn/tuner.h: which settings of a model to try next (F58). One way of choosing a file, one row in the table.
 *
 * A tuner keeps nothing: what it proposes follows from the seed and the trials so far. So a search that was stopped
 * goes on where it was as soon as its trials are read again (learn/trials.h), and by trials instead of by the clock it
 * proposes the same.
 */
#ifndef LEARN_TUNER_H
#define LEARN_TUNER_H

#include "base/rng.h"
#include "recommend/recommender.h"

/* One fit with some settings and what it reached on validation. */
typedef struct trial {
  double values[RECOMMENDER_SETTINGS_MAX];
  double share;     /* of the people it was fitted on, (0, 1]; below 1 only to sort out what is hopeless */
  double objective; /* higher is better; NAN: it came to nothing (refused, or too slow) */
  double seconds;
} trial;

/* The search for one model's settings. Borrows settings and start. */
typedef struct tuning_search {
  const recommender_setting *settings; /* ended by name NULL */
  const bool *settled;                 /* [settings] keeps its value from `start` */
  const double *start;                 /* [settings] the first trial */
  uint64_t seed;
  trial *trials; /* [count] in order, owned */
  size_t count, capacity;
} tuning_search;

/* Names are what --search takes. */
typedef struct tuner_kind {
  const char *name, *summary, *source;
  /* Fills values and share of trial number s->count, which is not the first. */
  void (*propose)(const tuning_search *s, rng *r, trial *next);
} tuner_kind;

extern const tuner_kind tuner_tpe, tuner_halving, tuner_random;
extern const tuner_kind *const tuner_kinds[];        /* ended by NULL; the first is the default */
const tuner_kind *tuner_kind_find(const char *name); /* NULL when there is none */

/* The next trial: first `start` with everybody, then as the kind proposes. Deterministic. */
void tuner_propose(const tuner_kind *kind, const tuning_search *s, trial *next);
medley_status tuning_search_add(tuning_search *s, const trial *t, medley_error *err) MEDLEY_CHECK;
/* The best with everybody, of equal ones the first; NULL when none came to anything. */
const trial *tuning_search_best(const tuning_search *s);
void tuning_search_deinit(tuning_search *s);

/* ---- settings as numbers from 0 to 1 ---- */

/* A setting is searched around its grid: from a step below the least to a step above the greatest value of it, within
 * its bounds; by ratios where the grid goes by ratios, in whole numbers where it has no others. Zero among ratios
 * ("without it") keeps a part of the range to itself. */
typedef enum setting_scale { SETTING_FIXED, SETTING_LINEAR, SETTING_RATIO } setting_scale;
typedef struct setting_range {
  setting_scale scale;
  bool whole;
  double lo, hi;
  double zero; /* share of the range that stands for 0 */
} setting_range;
setting_range setting_range_of(const recommender_setting *s, bool settled);
/* u in [0, 1) → a value; a value → the middle of what leads to it. */
double setting_value_at(const setting_range *range, double u);
double setting_place_of(const setting_range *range, double value);

/* Each setting that is searched by itself, half of the time from its grid and else uniform over its range; the others
 * as in s->start. */
void tuner_draw(const tuning_search *s, rng *r, double *values);

#endif
