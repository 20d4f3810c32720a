/* recommend/ials.c: implicit alternating least squares with frequency-scaled regularisation.
 *
 * Hu, Koren & Volinsky, ICDM 2008, in the form of Rendle et al., "Revisiting the performance of iALS on item
 * recommendation benchmarks", RecSys 2022: minimise Σ_{(u,i) ∈ S} (1 − w_u·h_i)² + α₀ Σ_{u,i} (w_u·h_i)² + λ (Σ_u
 * (|S_u| + α₀ |I|)^ν ‖w_u‖² + Σ_i …). A user's vector is solved for from the history whenever it is asked (fold_in.h),
 * so only item factors are kept.
 *
 * While training a row is not solved exactly: it takes `steps` of conjugate gradients from where the last sweep left
 * it, which cost |S_u| · dim each where a Cholesky factor costs |S_u| · dim² and dim³; a row's own error is small
 * beside what the other side still moves. 0 steps solve exactly.
 *
 * What is good lies along λ α₀ |I| = constant: that is what pulls a row with few events to zero. On 60,000 clicks on
 * 7,000 items λ .08 with α₀ .004 is best, on a million on 3,000 λ .01 with α₀ .2; a search that moves one of the two
 * away from the other finds neither, so α₀ goes along with λ unless it is set.
 *
 * Factors from several random starts (`restarts`), each with a fold-in of its own, give better scores together than one
 * start with as many dimensions (the means of networks trained apart, Hansen & Salamon 1990): on validation of clicks
 * on short films .1115 and .1127 of Recall@20, on a shop's .0885 and .0910, on films .2258 and .2301; four are as good
 * as eight, and cost four times as much. Fewer are taken where answers would become slow (ITEM_NUMBERS).
 *
 * Letters: W users, H items, d dimensions, α₀ unobserved weight, λ regularisation, ν its exponent (1 here).
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "math/linear.h"
#include "recommend/fold_in.h"
#include "recommend/kinds.h"

enum { REGULARISATION, UNOBSERVED, DIM, SWEEPS, STEPS, RESTARTS, SETTINGS };

#define UNOBSERVED_MOST 0.5
#define ITEM_NUMBERS (1u << 24) /* of all items together, beyond which there are no further sets of factors */
#define PULL 2.0                /* λ α₀ |I| where α₀ is not set */

static const double regularisations[] = {0.01, 0.02, 0.04, 0.08, 0.16}; /* the sparser the clicks, the larger */
static const double unobserveds[] = {0, 0.1, 0.2, 0.3};
static const double restartses[] = {1, 4};
static const recommender_setting ials_settings[] = {
    {"regularisation", "λ", 0.01, 1e-6, 10, regularisations, 5},
    {"unobserved", "weight α₀ of pairs without an event; 0: 2 / (λ · items)", 0, 0, 10, unobserveds, 4},
    {"dim", "dimensions of the factors", 64, 8, FOLD_IN_DIM_MAX, NULL, 0},
    {"sweeps", "times that users and items are solved for in turn", 8, 1, 100, NULL, 0},
    {"steps", "conjugate gradients a row takes in a sweep; 0: it is solved exactly", 3, 0, 100, NULL, 0},
    {"restarts", "random starts, whose scores are averaged", 1, 1, FOLD_IN_SETS_MAX, restartses, 2},
    {NULL},
};

/* One half sweep: all rows of `x` [rows, dim] from the other side's factors. Only factors with events count as the
 * other side's size, as in the fold-in: what was never seen is no evidence against a pair. */
static medley_status side_solve(const sparse *entries, const float *factors, size_t factor_count, size_t dim,
                                const double *values, float unobserved, float *x, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *gram = NULL, lambda = (float)values[REGULARISATION];
  float mass = unobserved * (float)fold_in_count(factors, factor_count, dim);
  int steps = (int)values[STEPS];
  TRY_NEW(gram, dim * dim, "factors");
  matrix_gram(factor_count, dim, unobserved, factors, 0, gram);
#pragma omp parallel shared(status)
  {
    float *room = mem_zalloc_aligned(fold_in_room(dim), sizeof *room);
    medley_error mine = {0};
    medley_status my_status = room ? MEDLEY_OK : error_memory(&mine, "factors");
#pragma omp for schedule(dynamic, 32)
    for (uint32_t r = 0; r < entries->rows; r++) {
      uint64_t from = entries->start[r];
      const fold_in_row row = {entries->column + from, entries->value + from, (size_t)(entries->start[r + 1] - from)};
      if (my_status != MEDLEY_OK || row.count == 0) continue;
      float ridge = lambda * ((float)row.count + mass), *own = x + (size_t)r * dim;
      if (steps > 0)
        fold_in_approach(factors, dim, gram, ridge, &row, steps, room, own);
      else
        my_status = fold_in_solve(factors, dim, gram, ridge, &row, room, own, &mine);
    }
    mem_free(room);
    if (my_status != MEDLEY_OK) {
#pragma omp critical(ials_failure)
      {
        if (err != NULL) *err = mine;
        status = my_status;
      }
    }
  }
done:
  mem_free(gram);
  return status;
}

static float unobserved_of(const interactions *x, const double *values) {
  uint32_t chosen = 0;
  if (values[UNOBSERVED] > 0) return (float)values[UNOBSERVED];
  for (uint32_t i = 0; i < x->by_user.columns; i++) chosen += x->popularity[i] > 0;
  double tied = PULL / (values[REGULARISATION] * (chosen > 0 ? chosen : 1));
  return (float)(tied < UNOBSERVED_MOST ? tied : UNOBSERVED_MOST);
}

static uint32_t sets_of(const interactions *x, const double *values) {
  double room = ITEM_NUMBERS / (values[DIM] * (x->by_user.columns > 0 ? x->by_user.columns : 1));
  double sets = fmin(values[RESTARTS], floor(room));
  return sets > 1 ? (uint32_t)sets : 1;
}

/* items [items, dim] from a start of its own, users [users, dim] is room. */
static medley_status set_train(const interactions *x, const fold_in *m, const double *values, rng *r, float *users,
                               float *items, progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = m->dim;
  memset(users, 0, x->by_user.rows * dim * sizeof *users);
  for (uint32_t i = 0; i < x->by_user.columns; i++)
    for (size_t d = 0; d < dim; d++) {
      float start = (float)(0.1 / sqrt((double)dim) * rng_normal(r));
      items[i * dim + d] = x->popularity[i] > 0 ? start : 0;
    }
  for (int sweep = 0; sweep < (int)values[SWEEPS]; sweep++) {
    TRY(side_solve(&x->by_user, items, x->by_user.columns, dim, values, m->unobserved, users, err));
    TRY(side_solve(&x->by_item, users, x->by_user.rows, dim, values, m->unobserved, items, err));
    if (progress != NULL) TRY(progress_update(progress, 0, err));
  }
done:
  return status;
}

static medley_status ials_fit(const recommender_data *data, const double *values, progress_stage *progress,
                              recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const interactions *x = data->train;
  fold_in *m = NULL;
  float *users = NULL, *set = NULL;
  rng r;
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_ials, x->by_user.columns};
  m->regularisation = (float)values[REGULARISATION];
  m->unobserved = unobserved_of(x, values);
  m->dim = (uint32_t)values[DIM];
  m->sets = sets_of(x, values);
  m->scale = 1 / (float)m->sets;
  size_t items = x->by_user.columns, row = m->dim * sizeof(float);
  TRY_NEW(m->owned, items * m->sets * m->dim, "item factors");
  TRY_NEW(users, (size_t)x->by_user.rows * m->dim, "user factors");
  TRY_NEW(set, items * m->dim, "item factors");
  m->factors = m->owned;
  rng_seed(&r, data->seed);
  for (size_t s = 0; s < m->sets; s++) {
    TRY(set_train(x, m, values, &r, users, set, progress, err));
    for (size_t i = 0; i < items; i++) memcpy(m->owned + (i * m->sets + s) * m->dim, set + i * m->dim, row);
  }
  TRY(fold_in_finish(m, err));
  *out = &m->base;
  m = NULL;
done:
  mem_free(users);
  mem_free(set);
  fold_in_free(m ? &m->base : NULL);
  return status;
}

static medley_status ials_load(const safetensors *s, const char *prefix, const recommender_data *data,
                               recommender **out, medley_error *err) {
  return fold_in_load(&recommender_ials, false, s, prefix, data, out, err);
}

const recommender_kind recommender_ials = {
    .name = "ials",
    .summary = "factors of users and items from implicit feedback",
    .source = "Hu, Koren & Volinsky 2008; Rendle et al. 2022",
    .part = "taste",
    .settings = ials_settings,
    .needs_history = true,
    .fit = ials_fit,
    .score = fold_in_score,
    .trace = fold_in_trace,
    .save = fold_in_save,
    .load = ials_load,
    .free = fold_in_free,
};
