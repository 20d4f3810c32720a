/* recommend/ials.c: implicit alternating least squares with frequency-scaled regularisation.
 *
 * Hu, Koren & Volinsky, ICDM 2008, in the form of Rendle et al., "Revisiting the performance of iALS on item
 * recommendation benchmarks", RecSys 2022: minimise Σ_{(u,i) ∈ S} (1 − w_u·h_i)² + α₀ Σ_{u,i} (w_u·h_i)² + λ (Σ_u
 * (|S_u| + α₀ |I|)^ν ‖w_u‖² + Σ_i …). A user's vector is solved for from the history whenever it is asked (fold-in), so
 * only item factors are kept.
 *
 * Letters: W users, H items, d dimensions, α₀ unobserved weight, λ regularisation, ν its exponent (1 here).
 */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

typedef struct ials {
  recommender base;
  uint32_t dim;
  const float *factors; /* [items, dim] H; rows of items without events are zero */
  float *owned;
  float *gram;                      /* [dim, dim] α₀ HᵀH */
  float unobserved, regularisation; /* α₀, and λ (|S_u| + α₀ |I|) is made from it */
  float item_mass;                  /* α₀ |I| over items with events */
} ials;

static const double regularisations[] = {0.005, 0.01, 0.02};
static const double unobserveds[] = {0.03, 0.1, 0.2, 0.3};
static const recommender_setting ials_settings[] = {
    {"unobserved", "weight α₀ of pairs without an event", 0.2, 1e-5, 10, unobserveds, 4},
    {"regularisation", "λ", 0.01, 1e-6, 10, regularisations, 3},
    {"dim", "dimensions of the factors", 64, 8, 512, NULL, 0},
    {"sweeps", "times that users and items are solved for in turn", 5, 1, 100, NULL, 0},
    {NULL},
};

#define ROWS_AT_ONCE                                                                               \
  256 /* rows gathered for one rank-k update; the rest of a long history follows in further blocks \
       */

static void ials_free(recommender *r) {
  if (r == NULL) return;
  ials *m = (ials *)r;
  mem_free(m->owned);
  mem_free(m->gram);
  mem_free(m);
}

/* x [dim] of one row: (gram + Σ_j c_j f_j f_jᵀ + λ I) x = Σ_j (1 + c_j … ) f_j, with c_j the weight of entry j. a [dim,
 * dim] and rows [ROWS_AT_ONCE, dim] are room. */
static medley_status row_solve(const float *factors, size_t dim, const float *gram, float ridge, const uint32_t *entry,
                               const float *weight, size_t count, float *a, float *rows, float *x, medley_error *err) {
  memcpy(a, gram, dim * dim * sizeof *a);
  memset(x, 0, dim * sizeof *x);
  for (size_t from = 0; from < count; from += ROWS_AT_ONCE) {
    size_t block = count - from < ROWS_AT_ONCE ? count - from : ROWS_AT_ONCE;
    for (size_t j = 0; j < block; j++) {
      const float *f = factors + (size_t)entry[from + j] * dim;
      float w = weight[from + j], root = sqrtf(w);
      for (size_t d = 0; d < dim; d++) rows[j * dim + d] = root * f[d];
      vector_add_scaled(x, w, f, dim);
    }
    /* Only one triangle is computed; the solver reads the lower one, which in row-major order is CblasLower. */
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, (int)dim, (int)block, 1, rows, (int)dim, 1, a, (int)dim);
  }
  for (size_t d = 0; d < dim; d++) {
    a[d * dim + d] += ridge;
    for (size_t e = d + 1; e < dim; e++) a[d * dim + e] = a[e * dim + d];
  }
  return matrix_solve_spd_small(a, dim, x, err);
}

/* Rows that are not zero: the items or users with events. */
static size_t factors_count(const float *factors, size_t count, size_t dim) {
  size_t found = 0;
  for (size_t f = 0; f < count; f++) found += vector_norm(factors + f * dim, dim) > 0;
  return found;
}

/* One half sweep: all rows of `x` [rows, dim] from the other side's factors. Only factors with events count as the
 * other side's size, as in the fold-in: what was never seen is no evidence against a pair. */
static medley_status side_solve(const sparse *entries, const float *factors, size_t factor_count, size_t dim,
                                float unobserved, float lambda, float *x, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *gram = NULL, mass = unobserved * (float)factors_count(factors, factor_count, dim);
  TRY_NEW(gram, dim * dim, "factors");
  matrix_gram(factor_count, dim, unobserved, factors, 0, gram);
#pragma omp parallel shared(status)
  {
    float *a = mem_zalloc_aligned(dim * dim, sizeof *a), *rows = mem_zalloc_aligned(ROWS_AT_ONCE * dim, sizeof *rows);
    medley_error mine = {0};
    medley_status my_status = a && rows ? MEDLEY_OK : error_memory(&mine, "factors");
#pragma omp for schedule(dynamic, 32)
    for (uint32_t r = 0; r < entries->rows; r++) {
      uint64_t from = entries->start[r];
      size_t count = (size_t)(entries->start[r + 1] - from);
      if (my_status != MEDLEY_OK || count == 0) continue;
      float ridge = lambda * ((float)count + mass);
      my_status = row_solve(factors, dim, gram, ridge, entries->column + from, entries->value + from, count, a, rows,
                            x + (size_t)r * dim, &mine);
    }
    mem_free(a);
    mem_free(rows);
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

static medley_status ials_finish(ials *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(m->gram, (size_t)m->dim * m->dim, "factors");
  matrix_gram(m->base.item_count, m->dim, m->unobserved, m->factors, 0, m->gram);
  m->item_mass = m->unobserved * (float)factors_count(m->factors, m->base.item_count, m->dim);
done:
  return status;
}

static medley_status ials_fit(const recommender_data *data, const double *values, progress_stage *progress,
                              recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const interactions *x = data->train;
  ials *m = NULL;
  float *users = NULL;
  rng r;
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_ials, x->by_user.columns};
  m->unobserved = (float)values[0];
  m->regularisation = (float)values[1];
  m->dim = (uint32_t)values[2];
  TRY_NEW(m->owned, (size_t)x->by_user.columns * m->dim, "item factors");
  TRY_NEW(users, (size_t)x->by_user.rows * m->dim, "user factors");
  m->factors = m->owned;
  rng_seed(&r, data->seed);
  for (uint32_t i = 0; i < x->by_user.columns; i++)
    for (uint32_t d = 0; d < m->dim; d++) {
      float start = (float)(0.1 / sqrt(m->dim) * rng_normal(&r));
      if (x->popularity[i] > 0) m->owned[(size_t)i * m->dim + d] = start;
    }
  for (int sweep = 0; sweep < (int)values[3]; sweep++) {
    TRY(side_solve(&x->by_user, m->owned, x->by_user.columns, m->dim, m->unobserved, m->regularisation, users, err));
    TRY(side_solve(&x->by_item, users, x->by_user.rows, m->dim, m->unobserved, m->regularisation, m->owned, err));
    if (progress != NULL) TRY(progress_update(progress, 0, err));
  }
  TRY(ials_finish(m, err));
  *out = &m->base;
  m = NULL;
done:
  mem_free(users);
  ials_free(m ? &m->base : NULL);
  return status;
}

/* a and rows in the scratch, x behind them. */
static float *ials_room(const ials *m, recommender_scratch *scratch, size_t more) {
  size_t dim = m->dim;
  return recommender_scratch_floats(scratch, dim * dim + ROWS_AT_ONCE * dim + dim + more);
}

static medley_status ials_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                medley_error *err) {
  const ials *m = (const ials *)r;
  size_t dim = m->dim;
  float *a = ials_room(m, scratch, 0);
  if (a == NULL) return error_memory(err, "factors");
  float *rows = a + dim * dim, *x = rows + ROWS_AT_ONCE * dim;
  float ridge = m->regularisation * ((float)h->count + m->item_mass);
  if (h->count == 0) {
    memset(scores, 0, r->item_count * sizeof *scores);
    return MEDLEY_OK;
  }
  medley_status status = row_solve(m->factors, dim, m->gram, ridge, h->item, h->weight, h->count, a, rows, x, err);
  if (status == MEDLEY_OK) matrix_times_vector(r->item_count, dim, m->factors, x, scores);
  return status;
}

/* score(i) = h_iᵀ A⁻¹ Σ_j w_j h_j: solve A y = h_i once, then entry j adds w_j y·h_j. */
static medley_status ials_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const ials *m = (const ials *)r;
  size_t dim = m->dim;
  float *a = ials_room(m, scratch, dim);
  if (a == NULL) return error_memory(err, "factors");
  float *rows = a + dim * dim, *x = rows + ROWS_AT_ONCE * dim, *y = x + dim;
  float ridge = m->regularisation * ((float)h->count + m->item_mass);
  memset(out, 0, h->count * sizeof *out);
  if (h->count == 0) return MEDLEY_OK;
  TRY(row_solve(m->factors, dim, m->gram, ridge, h->item, h->weight, h->count, a, rows, x, err));
  /* The factorisation overwrote a: build it again for the second right side. One request, a few hundred entries. */
  memcpy(a, m->gram, dim * dim * sizeof *a);
  for (size_t j = 0; j < h->count; j++) {
    const float *f = m->factors + (size_t)h->item[j] * dim;
    for (size_t d = 0; d < dim; d++) vector_add_scaled(a + d * dim, h->weight[j] * f[d], f, dim);
  }
  for (size_t d = 0; d < dim; d++) a[d * dim + d] += ridge;
  memcpy(y, m->factors + (size_t)item * dim, dim * sizeof *y);
  TRY(matrix_solve_spd_small(a, dim, y, err));
  for (size_t j = 0; j < h->count; j++)
    out[j] = h->weight[j] * vector_dot(y, m->factors + (size_t)h->item[j] * dim, dim);
done:
  return status;
}

static medley_status ials_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const ials *m = (const ials *)r;
  TRY(model_add_f32(w, prefix, "factors", r->item_count, m->dim, m->factors, err));
  TRY(model_add_f32(w, prefix, "unobserved", 1, 1, &m->unobserved, err));
  TRY(model_add_f32(w, prefix, "regularisation", 1, 1, &m->regularisation, err));
done:
  return status;
}

static medley_status ials_load(const safetensors *s, const char *prefix, const recommender_data *data,
                               recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ials *m = NULL;
  const float *unobserved, *regularisation;
  uint64_t items, dim;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_f32(s, prefix, "factors", 0, 0, &m->factors, &items, &dim, err));
  TRY(model_get_f32(s, prefix, "unobserved", 1, 1, &unobserved, NULL, NULL, err));
  TRY(model_get_f32(s, prefix, "regularisation", 1, 1, &regularisation, NULL, NULL, err));
  if (dim == 0 || dim > 512 || items > UINT32_MAX || !(*unobserved > 0) || !(*regularisation > 0))
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: the settings of '%s' are out of bounds", s->path, prefix);
  TRY(model_check_items(s, prefix, data, items, err));
  m->base = (recommender){&recommender_ials, (uint32_t)items};
  m->dim = (uint32_t)dim;
  m->unobserved = *unobserved;
  m->regularisation = *regularisation;
  TRY(ials_finish(m, err));
  *out = &m->base;
  m = NULL;
done:
  ials_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_ials = {
    .name = "ials",
    .summary = "factors of users and items from implicit feedback",
    .source = "Hu, Koren & Volinsky 2008; Rendle et al. 2022",
    .part = "taste",
    .settings = ials_settings,
    .needs_history = true,
    .fit = ials_fit,
    .score = ials_score,
    .trace = ials_trace,
    .save = ials_save,
    .load = ials_load,
    .free = ials_free,
};
