/* nn/schedule.c: see nn/schedule.h. */
#include "nn/schedule.h"

#include <math.h>
#include <string.h>

/* From a to b along half a cosine. */
static double anneal(double a, double b, double share) { return b + (a - b) * (1 + cos(M_PI * share)) / 2; }

static double constant_share(const schedule_options *o, uint64_t step, uint64_t steps) {
  (void)o, (void)step, (void)steps;
  return 1;
}

static double step_share(const schedule_options *o, uint64_t step, uint64_t steps) {
  (void)steps;
  return pow(o->factor > 0 ? o->factor : 0.1, (double)(step / o->every));
}

static double cosine_share(const schedule_options *o, uint64_t step, uint64_t steps) {
  return step >= steps ? o->floor : anneal(1, o->floor, (double)step / (double)steps);
}

/* The numbers of PyTorch's OneCycleLR: from 1/25 up over the first 30 %, then down to 1/25 of 1e-4 (Smith 2018). */
static double one_cycle_share(const schedule_options *o, uint64_t step, uint64_t steps) {
  (void)o;
  double top = 0.3 * (double)steps - 1, end = (double)steps - 1, at = (double)step, start = 1.0 / 25;
  if (at > end) at = end;
  if (at <= top) return anneal(start, 1, at / top);
  return anneal(1, start * 1e-4, (at - top) / (end - top));
}

const schedule_kind schedule_kinds[] = {
    {"constant", "the same rate always", constant_share},
    {"step", "cut by a factor every so many steps", step_share},
    {"cosine", "down along half a cosine (Loshchilov & Hutter 2017)", cosine_share},
    {"warmup", "up linearly, then the same rate", constant_share},
    {"one_cycle", "up and down again, both along half a cosine (Smith 2018)", one_cycle_share},
    {NULL},
};

const schedule_kind *schedule_find(const char *name) {
  for (const schedule_kind *kind = schedule_kinds; kind->name != NULL; kind++)
    if (strcmp(kind->name, name) == 0) return kind;
  return NULL;
}

medley_status schedule_check(const schedule_kind *kind, const schedule_options *o, medley_error *err) {
  bool one_cycle = kind->share == one_cycle_share;
  if (!(o->rate > 0 && o->rate < INFINITY))
    return error_set(err, MEDLEY_ERR_USAGE, "schedule %s: the rate is %g; it must be above 0", kind->name, o->rate);
  if ((kind->share == cosine_share || one_cycle) && o->total_steps < 4)
    return error_set(err, MEDLEY_ERR_USAGE, "schedule %s: total_steps is %llu; it needs at least 4", kind->name,
                     (unsigned long long)o->total_steps);
  if (kind->share == cosine_share && o->warmup_steps >= o->total_steps)
    return error_set(err, MEDLEY_ERR_USAGE, "schedule %s: %llu steps of warm-up leave none of %llu", kind->name,
                     (unsigned long long)o->warmup_steps, (unsigned long long)o->total_steps);
  if (!(o->factor >= 0 && o->factor <= 1))
    return error_set(err, MEDLEY_ERR_USAGE, "schedule %s: factor is %g; it must be at least 0 and at most 1",
                     kind->name, o->factor);
  if (!(o->floor >= 0 && o->floor <= 1))
    return error_set(err, MEDLEY_ERR_USAGE, "schedule %s: floor is %g; it must be at least 0 and at most 1", kind->name,
                     o->floor);
  if (kind->share == step_share && o->every == 0)
    return error_set(err, MEDLEY_ERR_USAGE, "schedule %s: every is 0; it says how many steps lie between two cuts",
                     kind->name);
  if (strcmp(kind->name, "warmup") == 0 && o->warmup_steps == 0)
    return error_set(err, MEDLEY_ERR_USAGE, "schedule %s: warmup_steps is 0", kind->name);
  if (one_cycle && o->warmup_steps > 0)
    return error_set(err, MEDLEY_ERR_USAGE, "schedule %s climbs by itself; leave out warmup_steps", kind->name);
  return MEDLEY_OK;
}

double schedule_rate(const schedule_kind *kind, const schedule_options *o, uint64_t step) {
  if (step < o->warmup_steps) return o->rate * (double)(step + 1) / (double)o->warmup_steps;
  uint64_t steps = o->total_steps > o->warmup_steps ? o->total_steps - o->warmup_steps : 0;
  return o->rate * kind->share(o, step - o->warmup_steps, steps);
}

bool early_stopping_look(early_stopping *e, double value) {
  double gain = e->higher_is_better ? value - e->best : e->best - value;
  bool better = e->looks == 0 ? !isnan(value) : gain > e->margin || (isnan(e->best) && !isnan(value));
  e->looks++;
  if (e->looks == 1 || better) {
    e->best = value;
    e->best_look = e->looks;
  }
  return better;
}

bool early_stopping_over(const early_stopping *e) { return e->looks - e->best_look >= e->patience && e->looks > 0; }
