/* learn/tuner_halving.c: successive halving (Jamieson & Talwalkar, "Non-stochastic best arm identification and
 * hyperparameter optimization", AISTATS 2016): many draws on few people, the best third of them on three times as many,
 * and so on until one is tried on everybody; then again with new draws, as in a bracket of Hyperband (Li et al. 2018).
 *
 * What is spent is people, since every recommender has them, where rounds of training are known to some only. */
#include <math.h>

#include "learn/tuner.h"

#define KEPT 3 /* one of so many goes on, on so many times the people */
#define DRAWN 9
#define BRACKET (DRAWN + DRAWN / KEPT + DRAWN / (KEPT * KEPT))

static double worth(const trial *t) { return isfinite(t->objective) ? t->objective : -INFINITY; }

/* The rank-th best of trials [count], of equal ones the earlier. */
static const trial *ranked(const trial *trials, size_t count, size_t rank) {
  for (size_t t = 0; t < count; t++) {
    size_t above = 0;
    for (size_t o = 0; o < count; o++)
      above += worth(&trials[o]) > worth(&trials[t]) || (o < t && worth(&trials[o]) == worth(&trials[t]));
    if (above == rank) return &trials[t];
  }
  return &trials[0];
}

static void propose(const tuning_search *s, rng *r, trial *next) {
  size_t at = (s->count - 1) % BRACKET; /* the first trial stands before all brackets */
  const trial *rung = s->trials + (s->count - at);
  size_t size = DRAWN;
  next->share = 1.0 / DRAWN;
  if (at < DRAWN) {
    tuner_draw(s, r, next->values);
    return;
  }
  for (at -= size; at >= size / KEPT; at -= size) { /* the rung this trial belongs to */
    rung += size;
    size /= KEPT;
    next->share *= KEPT;
  }
  const trial *winner = ranked(rung, size, at);
  for (size_t i = 0; s->settings[i].name != NULL; i++) next->values[i] = winner->values[i];
  next->share *= KEPT;
  if (next->share > 1 - 1e-9) next->share = 1;
}

const tuner_kind tuner_halving = {"halving",
                                  "many draws on a ninth of the people, the best third on three times as many",
                                  "Jamieson & Talwalkar 2016; Li et al. 2018", propose};
