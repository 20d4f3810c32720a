/* learn/ensemble_ridge.c: stacking: whether an item was chosen, regressed on the models' out-of-fold scores.
 *
 * Minimise Σ_u Σ_i (y_ui − Σ_p w_p z_pui)² + λ ‖w‖² over w >= 0, where z and y are centred within each user, since only
 * the order within a user matters. Weights without a sign do worse and explain nothing (Breiman, "Stacked regressions",
 * Machine Learning 1996), so they are kept from below by coordinate descent. λ is chosen among a few by the metric.
 *
 * Letters: w weights, z columns, y 0 or 1, λ ridge, G = Σ z zᵀ, c = Σ z y.
 */
#include <string.h>

#include "base/memory.h"
#include "learn/ensemble.h"

#define SWEEPS 200

typedef struct normal_equations {
  double gram[WEIGHTS_MAX][WEIGHTS_MAX], right[WEIGHTS_MAX];
} normal_equations;

/* Adds the rows of one user. */
static void user_add(const weights_problem *p, size_t user, normal_equations *e) {
  size_t first = p->start[user], count = p->start[user + 1] - first;
  const float *columns = p->columns + first * p->column_count;
  double mean[WEIGHTS_MAX], hits = 0;
  if (count == 0) return;
  for (size_t r = 0; r < count; r++) hits += p->relevant[first + r];
  for (size_t a = 0; a < p->column_count; a++) {
    const float *x = columns + a * count;
    double sum = 0, chosen = 0;
    for (size_t r = 0; r < count; r++) {
      sum += (double)x[r];
      if (p->relevant[first + r]) chosen += (double)x[r];
    }
    mean[a] = sum / (double)count;
    e->right[a] += chosen - hits * mean[a];
    for (size_t b = 0; b <= a; b++) {
      const float *y = columns + b * count;
      double dot = 0;
      for (size_t r = 0; r < count; r++) dot += (double)x[r] * (double)y[r];
      e->gram[a][b] += dot - (double)count * mean[a] * mean[b];
    }
  }
}

static void solve(const normal_equations *e, size_t count, double lambda, float *weight) {
  double w[WEIGHTS_MAX] = {0}, most = 0;
  for (int sweep = 0; sweep < SWEEPS; sweep++)
    for (size_t a = 0; a < count; a++) {
      double left = e->right[a], own = e->gram[a][a] + lambda;
      for (size_t b = 0; b < count; b++)
        if (b != a) left -= (a > b ? e->gram[a][b] : e->gram[b][a]) * w[b];
      w[a] = left > 0 && own > 0 ? left / own : 0;
    }
  for (size_t a = 0; a < count; a++) most += w[a];
  for (size_t a = 0; a < count; a++) weight[a] = most > 0 ? (float)(w[a] / most) : 0;
}

static medley_status weigh(const weights_problem *p, float *weight, medley_error *err) {
  static const double shares[] = {1e-4, 1e-2, 0.1, 1};
  medley_status status = MEDLEY_OK;
  normal_equations *e = NULL;
  float tried[WEIGHTS_MAX];
  double trace = 0, best = 0;
  size_t users = p->chosen ? p->chosen_count : p->user_count, bytes = p->column_count * sizeof *weight;
  TRY_NEW(e, 1, "tuning weights");
  for (size_t k = 0; k < users; k++) user_add(p, p->chosen ? p->chosen[k] : k, e);
  for (size_t a = 0; a < p->column_count; a++) trace += e->gram[a][a] / (double)p->column_count;
  memset(weight, 0, bytes);
  for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
    solve(e, p->column_count, shares[s] * trace, tried);
    double reached = weights_objective(p, tried, NULL, NULL);
    if (reached <= best) continue;
    best = reached;
    memcpy(weight, tried, bytes);
  }
done:
  mem_free(e);
  return status;
}

const ensemble_kind ensemble_ridge = {
    .name = "stacking_ridge",
    .summary = "stacking: whether an item was chosen, regressed on the models' scores with weights >= 0",
    .source = "Wolpert 1992; Breiman 1996",
    .weigh = weigh,
};
