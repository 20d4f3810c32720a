/* nn/schedule.h: the learning rate of a step, and when to stop. */
#ifndef NN_SCHEDULE_H
#define NN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Fields that are 0 mean the default. */
typedef struct schedule_options {
  double rate;           /* the highest */
  uint64_t total_steps;  /* of the training: cosine, one_cycle */
  uint64_t warmup_steps; /* the rate climbs linearly for so many steps before the kind's own course; not one_cycle */
  uint64_t every;        /* step: steps between two cuts */
  double factor;         /* step: what a cut leaves, 0.1 */
  double floor;          /* cosine: the last rate as a share of the highest, 0 */
} schedule_options;

typedef struct schedule_kind {
  const char *name;
  const char *definition;
  /* The rate as a share of the highest, at a step after warm-up of so many. */
  double (*share)(const schedule_options *o, uint64_t step, uint64_t steps);
} schedule_kind;

/* The table, ended by a row with name NULL: constant step cosine warmup one_cycle. */
extern const schedule_kind schedule_kinds[];
const schedule_kind *schedule_find(const char *name);
/* A sentence when an option is missing or out of range for the kind. */
medley_status schedule_check(const schedule_kind *kind, const schedule_options *o, medley_error *err) MEDLEY_CHECK;
/* The rate of step 0, 1, ... */
double schedule_rate(const schedule_kind *kind, const schedule_options *o, uint64_t step);

/* Early stopping: training is over when the measure has not become better for `patience` looks in a row. */
typedef struct early_stopping {
  uint64_t patience;
  double margin;         /* how much better counts */
  bool higher_is_better; /* false: a loss */
  double best;           /* so far */
  uint64_t looks, best_look;
} early_stopping;
/* True when this is the best so far (keep the parameters). A value that is not a number is never better. */
bool early_stopping_look(early_stopping *e, double value);
bool early_stopping_over(const early_stopping *e);

#endif
