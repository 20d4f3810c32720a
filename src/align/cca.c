/* align/cca.c: regularised canonical correlation analysis.
 *
 * Letters of the paper: Σxx, Σyy, Σxy the covariances, ρ the canonical correlations. With the ridges added, the maps
 * are A = Σxx⁻¹ Σxy W V / ρ and B = W V, where W = Σyy^(-1/2) and V holds the eigenvectors of W Σyx Σxx⁻¹ Σxy W, whose
 * eigenvalues are ρ². That form needs one Cholesky factor of the large side and eigenvectors of the small side only, so
 * that trying another ridge costs a fraction of a second; y is made the smaller side.
 *
 * Directions are then weighted by ρ^power on both sides (Gong, Ke, Isard & Lazebnik 2014): with power 0 the weak
 * correlations, mostly noise, count like the strong, and retrieval falls by a quarter (PERFORMANCE.md).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "align/fits.h"
#include "base/memory.h"
#include "math/linear.h"

typedef struct cca_settings {
  float x_ridge, y_ridge; /* in mean variances of a column */
  size_t dim;
  float power;
} cca_settings;

static const cca_settings defaults = {1, 0.1f, 128, 1};
static const float ridges[] = {0.01f, 0.1f, 1, 10, 100};
static const size_t dims[] = {16, 32, 64, 128, 256, 512};
static const float powers[] = {0, 1, 2, 4};
#define RIDGES (sizeof ridges / sizeof *ridges)
#define DIMS (sizeof dims / sizeof *dims)
#define POWERS (sizeof powers / sizeof *powers)

/* The full set of directions for one pair of ridges, best first; dims and powers are cut from it. */
typedef struct cca_basis {
  float x_ridge, y_ridge;
  size_t rank;
  float *correlation; /* [rank] */
  float *x, *y;       /* [x_dim, rank], [y_dim, rank], for power 0 */
} cca_basis;

static void basis_deinit(cca_basis *b) {
  mem_free(b->correlation);
  mem_free(b->x);
  mem_free(b->y);
  *b = (cca_basis){0};
}

/* out [n, n] = (covariance + ridge)^(-1/2) */
static medley_status inverse_root(const float *covariance, size_t n, float ridge, float **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *vectors = NULL, *values = NULL;
  TRY(ridge_added(covariance, n, ridge, &vectors, err));
  TRY_NEW(values, n, "eigenvalues");
  TRY(matrix_eigen_symmetric(vectors, n, values, err));
  /* Each eigenvector times λ^(-1/4); the product of that with itself is the inverse root. */
  for (size_t i = 0; i < n; i++) {
    float scale = powf(fmaxf(values[i], 1e-7f * values[n - 1]), -0.25f);
    for (size_t d = 0; d < n; d++) vectors[i * n + d] *= scale;
  }
  TRY_NEW(*out, n * n, "an inverse root");
  matrix_gram(n, n, 1, vectors, 0, *out);
done:
  mem_free(vectors);
  mem_free(values);
  return status;
}

/* Directions with ρ below a thousandth of the first are rounding noise: ρ² is then at the float32 limit. */
static size_t count_directions(const float *squares, size_t n) {
  size_t rank = 0;
  float least = fmaxf(squares[n - 1] * 1e-6f, 1e-12f);
  while (rank < n && squares[n - 1 - rank] > least) rank++;
  return rank;
}

/* vectors [n, n]: rows ascending by squares [n], as matrix_eigen_symmetric leaves them; regress [x_dim, n]; root [n,
 * n]. */
static medley_status basis_fill(cca_basis *b, const pair_moments *m, const float *vectors, const float *squares,
                                const float *regress, const float *root, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t n = m->y_dim;
  float *turned = NULL; /* [n, rank] */
  b->rank = count_directions(squares, n);
  if (b->rank == 0) FAIL(err, MEDLEY_ERR_INPUT, "alignment: the two sides have nothing in common");
  TRY_NEW(turned, n * b->rank, "directions");
  TRY_NEW(b->correlation, b->rank, "directions");
  TRY_NEW(b->x, m->x_dim * b->rank, "directions");
  TRY_NEW(b->y, n * b->rank, "directions");
  for (size_t k = 0; k < b->rank; k++) {
    b->correlation[k] = sqrtf(squares[n - 1 - k]);
    for (size_t d = 0; d < n; d++) turned[d * b->rank + k] = vectors[(n - 1 - k) * n + d];
  }
  matrix_multiply(false, false, n, b->rank, n, 1, root, turned, 0, b->y);
  matrix_multiply(false, false, m->x_dim, b->rank, n, 1, regress, b->y, 0, b->x);
  for (size_t d = 0; d < m->x_dim; d++)
    for (size_t k = 0; k < b->rank; k++) b->x[d * b->rank + k] /= b->correlation[k];
done:
  mem_free(turned);
  return status;
}

static medley_status basis_init(cca_basis *b, const pair_moments *m, float x_ridge, float y_ridge, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t n = m->y_dim;
  float *xx = NULL, *regress = NULL, *root = NULL, *inner = NULL, *half = NULL, *squares = NULL;
  *b = (cca_basis){.x_ridge = x_ridge, .y_ridge = y_ridge};
  TRY(ridge_added(m->xx, m->x_dim, x_ridge * m->x_variance, &xx, err));
  TRY_NEW(regress, m->x_dim * n, "a regression");
  memcpy(regress, m->xy, m->x_dim * n * sizeof *regress);
  TRY(matrix_solve_spd(xx, m->x_dim, regress, n, err));
  TRY(inverse_root(m->yy, n, y_ridge * m->y_variance, &root, err));
  TRY_NEW(inner, n * n, "correlations");
  TRY_NEW(half, n * n, "correlations");
  TRY_NEW(squares, n, "correlations");
  matrix_multiply(true, false, n, n, m->x_dim, 1, m->xy, regress, 0, inner);
  matrix_multiply(false, false, n, n, n, 1, root, inner, 0, half);
  matrix_multiply(false, false, n, n, n, 1, half, root, 0, inner);
  TRY(matrix_eigen_symmetric(inner, n, squares, err));
  TRY(basis_fill(b, m, inner, squares, regress, root, err));
done:
  mem_free(xx);
  mem_free(regress);
  mem_free(root);
  mem_free(inner);
  mem_free(half);
  mem_free(squares);
  if (status != MEDLEY_OK) basis_deinit(b);
  return status;
}

static void cut_columns(const float *all, size_t rows, const cca_basis *b, const cca_settings *s, float *out) {
  for (size_t i = 0; i < rows; i++)
    for (size_t k = 0; k < s->dim; k++) out[i * s->dim + k] = all[i * b->rank + k] * powf(b->correlation[k], s->power);
}

static medley_status basis_alignment(const cca_basis *b, const pair_moments *m, const cca_settings *wanted,
                                     alignment *out, medley_error *err) {
  cca_settings s = *wanted;
  if (s.dim > b->rank) s.dim = b->rank;
  medley_status status = alignment_alloc(out, m->x_dim, m->y_dim, s.dim, err);
  if (status != MEDLEY_OK) return status;
  memcpy(out->x_shift, m->x_mean, m->x_dim * sizeof *out->x_shift);
  memcpy(out->y_shift, m->y_mean, m->y_dim * sizeof *out->y_shift);
  cut_columns(b->x, m->x_dim, b, &s, out->x_map);
  cut_columns(b->y, m->y_dim, b, &s, out->y_map);
  snprintf(out->settings, sizeof out->settings, "cca ridge=%g,%g dim=%zu power=%g", s.x_ridge, s.y_ridge, s.dim,
           s.power);
  return MEDLEY_OK;
}

/* ---- choosing on validation ---- */

/* One walk over settings: the basis last computed is kept, because many trials share it. */
typedef struct cca_search {
  const pair_moments *moments;
  const valid_pairs *valid;
  cca_basis basis;
  cca_settings best;
  double best_score;
} cca_search;

static medley_status search_try(cca_search *s, cca_settings trial, medley_error *err) {
  medley_status status = MEDLEY_OK;
  alignment a = {0};
  double score;
  if (s->basis.rank == 0 || s->basis.x_ridge != trial.x_ridge || s->basis.y_ridge != trial.y_ridge) {
    basis_deinit(&s->basis);
    TRY(basis_init(&s->basis, s->moments, trial.x_ridge, trial.y_ridge, err));
  }
  TRY(basis_alignment(&s->basis, s->moments, &trial, &a, err));
  TRY(valid_pairs_score(s->valid, &a, &score, err));
  if (score > s->best_score) {
    s->best_score = score;
    s->best = trial;
  }
done:
  alignment_deinit(&a);
  return status;
}

/* Both ridges on a grid with the other settings at their defaults, then dimensions and powers together, then the ridges
 * once more one by one: about 60 trials instead of the 500 of the full grid, which found nothing better on the packs.
 */
static medley_status search_run(cca_search *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < RIDGES; i++)
    for (size_t j = 0; j < RIDGES; j++) {
      cca_settings trial = defaults;
      trial.x_ridge = ridges[i];
      trial.y_ridge = ridges[j];
      TRY(search_try(s, trial, err));
    }
  cca_settings round = s->best;
  for (size_t i = 0; i < DIMS; i++)
    for (size_t j = 0; j < POWERS; j++)
      TRY(search_try(s, (cca_settings){round.x_ridge, round.y_ridge, dims[i], powers[j]}, err));
  round = s->best;
  for (size_t i = 0; i < RIDGES; i++)
    TRY(search_try(s, (cca_settings){ridges[i], round.y_ridge, round.dim, round.power}, err));
  round = s->best;
  for (size_t i = 0; i < RIDGES; i++)
    TRY(search_try(s, (cca_settings){round.x_ridge, ridges[i], round.dim, round.power}, err));
done:
  return status;
}

static medley_status fit_ordered(const aligner_pairs *train, const aligner_pairs *valid, alignment *out,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  pair_moments m = {0};
  valid_pairs v = {0};
  cca_search s = {.best = defaults, .best_score = -1};
  TRY(pair_moments_init(&m, train, err));
  TRY(valid_pairs_init(&v, valid, err));
  s.moments = &m;
  s.valid = &v;
  if (v.pairs.count > 0) TRY(search_run(&s, err));
  if (s.basis.rank == 0 || s.basis.x_ridge != s.best.x_ridge || s.basis.y_ridge != s.best.y_ridge) {
    basis_deinit(&s.basis);
    TRY(basis_init(&s.basis, &m, s.best.x_ridge, s.best.y_ridge, err));
  }
  TRY(basis_alignment(&s.basis, &m, &s.best, out, err));
done:
  basis_deinit(&s.basis);
  pair_moments_deinit(&m);
  valid_pairs_deinit(&v);
  return status;
}

static aligner_pairs swapped(const aligner_pairs *p) {
  return (aligner_pairs){p->y, p->x, p->count, p->y_dim, p->x_dim};
}

medley_status align_cca_fit(const aligner_pairs *train, const aligner_pairs *valid, alignment *out, medley_error *err) {
  *out = (alignment){0};
  if (train->y_dim <= train->x_dim) return fit_ordered(train, valid, out, err);
  aligner_pairs t = swapped(train), v = valid ? swapped(valid) : (aligner_pairs){0};
  alignment a;
  medley_status status = fit_ordered(&t, valid ? &v : NULL, &a, err);
  if (status != MEDLEY_OK) return status;
  *out = (alignment){a.dim, a.y_dim, a.x_dim, a.y_shift, a.x_shift, a.y_map, a.x_map, ""};
  memcpy(out->settings, a.settings, sizeof out->settings);
  return MEDLEY_OK;
}
