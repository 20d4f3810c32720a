/* learn/ensemble.c: see learn/ensemble.h. */
#include "learn/ensemble.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

#define FOLD_SEED 0x666f6c64u
#define SURELY                                                                                            \
  2.0 /* standard errors: with seven kinds to choose from, one is a chance's best once in a few trainings \
       */

const ensemble_kind *const ensemble_kinds[] = {
    /* clang-format off */
    &ensemble_weighted,
    &ensemble_ridge,
    &ensemble_selection,
    &ensemble_borda,
    &ensemble_rrf,
    &ensemble_xgboost,
    &ensemble_auto,
    NULL,
    /* clang-format on */
};

const ensemble_kind *ensemble_kind_find(const char *name) {
  for (const ensemble_kind *const *k = ensemble_kinds; *k != NULL; k++)
    if (strcmp((*k)->name, name) == 0) return *k;
  return NULL;
}

medley_status ensemble_folds(size_t users, uint32_t **order, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng r;
  TRY_NEW(*order, 2 * users, "tuning users");
  for (uint32_t u = 0; u < users; u++) (*order)[u] = u;
  rng_seed(&r, FOLD_SEED);
  rng_shuffle(&r, *order, users);
  memcpy(*order + users, *order, users * sizeof **order);
done:
  return status;
}

medley_status ensemble_held_out(const ensemble_kind *kind, const weights_problem *p, double *values,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *order = NULL;
  float weight[WEIGHTS_MAX];
  size_t count = p->user_count;
  TRY(ensemble_folds(count, &order, err));
  for (size_t f = 0; f < ENSEMBLE_FOLDS; f++) {
    size_t from = f * count / ENSEMBLE_FOLDS, end = (f + 1) * count / ENSEMBLE_FOLDS;
    weights_problem mine = *p;
    mine.chosen = order + end;
    mine.chosen_count = count - (end - from);
    TRY(kind->weigh(&mine, weight, err));
    weights_users(p, weight, order + from, end - from, values);
  }
done:
  mem_free(order);
  return status;
}

size_t ensemble_choose(ensemble_trial *trials, size_t count, double *const *values, size_t users) {
  size_t best = 0;
  for (size_t t = 0; t < count; t++) {
    double sum = 0;
    for (size_t u = 0; u < users; u++) sum += values[t][u];
    weights_gap gap = weights_compare(values[0], values[t], NULL, users);
    trials[t].reached = sum / (users > 0 ? (double)users : 1);
    trials[t].better = gap.mean;
    trials[t].spread = sqrt(gap.error_square);
    if (gap.mean > SURELY * trials[t].spread && trials[t].reached > trials[best].reached) best = t;
  }
  return best;
}
