/* align/cca.c: regularised canonical correlation analysis.
 *
 * Letters of the paper: Σxx, Σyy, Σxy the covariances, ρ the canonical correlations. With the ridges added, the maps
 * are A = Σxx⁻¹ Σxy W V / ρ and B = W V, where W = Σyy^(-1/2) and V holds the eigenvectors of W Σyx Σxx⁻¹ Σxy W, whose
 * eigenvalues are ρ². That form needs one Cholesky factor of the large side a ridge and eigenvectors of the small side
 * only; y is made the smaller side. While settings are tried, all happens in as many dimensions as y has: validation
 * rows of x go through Σxx⁻¹ Σxy once a ridge, so that a trial costs milliseconds whatever the size of x.
 *
 * Directions are then weighted by ρ^power on both sides (Gong, Ke, Isard & Lazebnik 2014): with power 0 the weak
 * correlations, mostly noise, count like the strong, and retrieval falls by a quarter (PERFORMANCE.md).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "align/fits.h"
#include "base/memory.h"
#include "encode/rows.h"
#include "math/linear.h"
#include "math/vector.h"

typedef struct cca_settings {
  size_t x_ridge, y_ridge; /* which of ridges[], in mean variances of a column */
  size_t dim;
  float power;
} cca_settings;

static const cca_settings defaults = {1, 1, 128, 1}; /* both ridges 0.1 */
static const float ridges[] = {0.01f, 0.1f, 1, 10, 100};
static const size_t dims[] = {16, 32, 64, 128, 256, 512};
static const float powers[] = {0, 1, 2, 4};
#define RIDGES (sizeof ridges / sizeof *ridges)
#define DIMS (sizeof dims / sizeof *dims)
#define POWERS (sizeof powers / sizeof *powers)

/* ---- one side under one ridge ---- */

/* x: what is left of it in the dimensions of y. */
typedef struct x_half {
  float *regress; /* [x_dim, n] Σxx⁻¹ Σxy */
  float *inner;   /* [n, n] Σyx Σxx⁻¹ Σxy */
  float *valid;   /* [v, n] centred validation rows times regress */
} x_half;

static void x_half_deinit(x_half *h) {
  mem_free(h->regress);
  mem_free(h->inner);
  mem_free(h->valid);
  *h = (x_half){0};
}

/* out [count, columns] = (rows - mean) map; rows [count, n] */
static void map_centred(const float *rows, size_t count, size_t n, const float *mean, const float *map, size_t columns,
                        float *out) {
  if (count == 0) return;
  matrix_multiply(false, false, 1, columns, n, -1, mean, map, 0, out);
  for (size_t i = 1; i < count; i++) memcpy(out + i * columns, out, columns * sizeof *out);
  matrix_multiply(false, false, count, columns, n, 1, rows, map, 1, out);
}

static medley_status x_half_init(x_half *h, const pair_moments *m, const aligner_pairs *valid, float ridge,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t n = m->y_dim;
  float *xx = NULL;
  *h = (x_half){0};
  TRY(ridge_added(m->xx, m->x_dim, ridge * m->x_variance, &xx, err));
  TRY_NEW(h->regress, m->x_dim * n, "a regression");
  memcpy(h->regress, m->xy, m->x_dim * n * sizeof *h->regress);
  TRY(matrix_solve_spd(xx, m->x_dim, h->regress, n, err));
  TRY_NEW(h->inner, n * n, "correlations");
  matrix_multiply(true, false, n, n, m->x_dim, 1, m->xy, h->regress, 0, h->inner);
  TRY_NEW(h->valid, valid->count * n, "validation rows");
  map_centred(valid->x, valid->count, m->x_dim, m->x_mean, h->regress, n, h->valid);
done:
  mem_free(xx);
  if (status != MEDLEY_OK) x_half_deinit(h);
  return status;
}

/* y: out [n, n] = (Σyy + ridge)^(-1/2) */
static medley_status inverse_root(const pair_moments *m, float ridge, float **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t n = m->y_dim;
  float *vectors = NULL, *values = NULL;
  TRY(ridge_added(m->yy, n, ridge * m->y_variance, &vectors, err));
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

/* ---- both sides ---- */

/* The full set of directions for one pair of ridges, best first; dims and powers are cut from it. */
typedef struct cca_basis {
  size_t rank;
  float *correlation; /* [rank] */
  float *x, *y;       /* [n, rank]: W V / ρ, to be multiplied by regress from the left; and W V */
} cca_basis;

static void basis_deinit(cca_basis *b) {
  mem_free(b->correlation);
  mem_free(b->x);
  mem_free(b->y);
  *b = (cca_basis){0};
}

/* Directions with ρ below a thousandth of the first are rounding noise: ρ² is then at the float32 limit. */
static size_t count_directions(const float *squares, size_t n) {
  size_t rank = 0;
  float least = fmaxf(squares[n - 1] * 1e-6f, 1e-12f);
  while (rank < n && squares[n - 1 - rank] > least) rank++;
  return rank;
}

/* vectors [n, n]: rows ascending by squares [n], as matrix_eigen_symmetric leaves them. */
static medley_status basis_fill(cca_basis *b, size_t n, const float *vectors, const float *squares, const float *root,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *turned = NULL; /* [n, rank] */
  b->rank = count_directions(squares, n);
  if (b->rank == 0) FAIL(err, MEDLEY_ERR_INPUT, "alignment: the two sides have nothing in common");
  TRY_NEW(turned, n * b->rank, "directions");
  TRY_NEW(b->correlation, b->rank, "directions");
  TRY_NEW(b->x, n * b->rank, "directions");
  TRY_NEW(b->y, n * b->rank, "directions");
  for (size_t k = 0; k < b->rank; k++) {
    b->correlation[k] = sqrtf(squares[n - 1 - k]);
    for (size_t d = 0; d < n; d++) turned[d * b->rank + k] = vectors[(n - 1 - k) * n + d];
  }
  matrix_multiply(false, false, n, b->rank, n, 1, root, turned, 0, b->y);
  for (size_t d = 0; d < n; d++)
    for (size_t k = 0; k < b->rank; k++) b->x[d * b->rank + k] = b->y[d * b->rank + k] / b->correlation[k];
done:
  mem_free(turned);
  return status;
}

static medley_status basis_init(cca_basis *b, size_t n, const float *inner, const float *root, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *half = NULL, *whole = NULL, *squares = NULL;
  *b = (cca_basis){0};
  TRY_NEW(half, n * n, "correlations");
  TRY_NEW(whole, n * n, "correlations");
  TRY_NEW(squares, n, "correlations");
  matrix_multiply(false, false, n, n, n, 1, root, inner, 0, half);
  matrix_multiply(false, false, n, n, n, 1, half, root, 0, whole);
  TRY(matrix_eigen_symmetric(whole, n, squares, err));
  TRY(basis_fill(b, n, whole, squares, root, err));
done:
  mem_free(half);
  mem_free(whole);
  mem_free(squares);
  if (status != MEDLEY_OK) basis_deinit(b);
  return status;
}

/* out [rows, dim]: the first columns of all [rows, rank], each times ρ^power. */
static void cut_columns(const float *all, size_t rows, const cca_basis *b, size_t dim, float power, float *out) {
  for (size_t i = 0; i < rows; i++)
    for (size_t k = 0; k < dim; k++) out[i * dim + k] = all[i * b->rank + k];
  for (size_t k = 0; k < dim; k++) {
    float weight = powf(b->correlation[k], power);
    for (size_t i = 0; i < rows; i++) out[i * dim + k] *= weight;
  }
}

/* ---- choosing on validation ---- */

/* Trials run side by side, one a thread, with BLAS single-threaded inside: its own threads gain nothing on matrices
 * this small, and on a busy machine their waiting for each other made a fit take minutes instead of two seconds. */

/* What all trials share. Each half and root belongs to one ridge. */
typedef struct cca_search {
  const pair_moments *m;
  const aligner_pairs *valid;
  x_half x[RIDGES];
  float *root[RIDGES];
  const cca_settings *trials;
  double *scores; /* [trials] */
  cca_settings best;
  double best_score;
} cca_search;

/* What one thread keeps from trial to trial: the directions of the last pair of ridges. */
typedef struct cca_walker {
  cca_settings at; /* the ridges of basis */
  cca_basis basis;
  float *vx, *vy; /* [v, rank] validation rows in all directions of basis */
  float *tx, *ty; /* [v, n] the same cut and weighted */
} cca_walker;

static void search_deinit(cca_search *s) {
  for (size_t i = 0; i < RIDGES; i++) {
    x_half_deinit(&s->x[i]);
    mem_free(s->root[i]);
  }
}

static medley_status search_prepare(void *context, void *scratch, size_t ridge, medley_error *err) {
  (void)scratch;
  cca_search *s = context;
  medley_status status = MEDLEY_OK;
  TRY(x_half_init(&s->x[ridge], s->m, s->valid, ridges[ridge], err));
  mem_free(s->x[ridge].regress); /* large, and made anew for the winner */
  s->x[ridge].regress = NULL;
  TRY(inverse_root(s->m, ridges[ridge], &s->root[ridge], err));
done:
  return status;
}

static void walker_free(void *context, void *scratch) {
  (void)context;
  cca_walker *w = scratch;
  if (w == NULL) return;
  basis_deinit(&w->basis);
  mem_free(w->vx), mem_free(w->vy), mem_free(w->tx), mem_free(w->ty);
  mem_free(w);
}

static medley_status walker_create(void *context, void **scratch, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const cca_search *s = context;
  size_t values = s->valid->count * s->m->y_dim;
  cca_walker *w = NULL;
  TRY_NEW(w, 1, "validation rows");
  TRY_NEW(w->vx, values, "validation rows");
  TRY_NEW(w->vy, values, "validation rows");
  TRY_NEW(w->tx, values, "validation rows");
  TRY_NEW(w->ty, values, "validation rows");
  *scratch = w;
  w = NULL;
done:
  walker_free(context, w);
  return status;
}

static medley_status walker_move(const cca_search *s, cca_walker *w, const cca_settings *to, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t n = s->m->y_dim, count = s->valid->count;
  if (w->basis.rank > 0 && w->at.x_ridge == to->x_ridge && w->at.y_ridge == to->y_ridge) return MEDLEY_OK;
  basis_deinit(&w->basis);
  TRY(basis_init(&w->basis, n, s->x[to->x_ridge].inner, s->root[to->y_ridge], err));
  w->at = *to;
  matrix_multiply(false, false, count, w->basis.rank, n, 1, s->x[to->x_ridge].valid, w->basis.x, 0, w->vx);
  map_centred(s->valid->y, count, n, s->m->y_mean, w->basis.y, w->basis.rank, w->vy);
done:
  return status;
}

static void normalise_rows(float *rows, size_t count, size_t dim) {
  for (size_t i = 0; i < count; i++) vector_normalise(rows + i * dim, dim);
}

static medley_status search_trial(void *context, void *scratch, size_t index, medley_error *err) {
  medley_status status = MEDLEY_OK;
  cca_search *s = context;
  cca_walker *w = scratch;
  const cca_settings *trial = &s->trials[index];
  size_t count = s->valid->count;
  alignment_report report;
  TRY(walker_move(s, w, trial, err));
  size_t dim = trial->dim < w->basis.rank ? trial->dim : w->basis.rank;
  cut_columns(w->vx, count, &w->basis, dim, trial->power, w->tx);
  cut_columns(w->vy, count, &w->basis, dim, trial->power, w->ty);
  normalise_rows(w->tx, count, dim);
  normalise_rows(w->ty, count, dim);
  TRY(alignment_measure(w->tx, w->ty, count, dim, &report, err));
  s->scores[index] = (report.recall_10[0] + report.recall_10[1]) / 2;
done:
  return status;
}

/* Of equal trials the first stays, so that the choice does not depend on threads. */
static medley_status search_round(cca_search *s, const cca_settings *trials, size_t count, medley_error *err) {
  double scores[RIDGES * RIDGES + DIMS * POWERS];
  s->trials = trials;
  s->scores = scores;
  medley_status status = rows_run(&(row_work){s, walker_create, walker_free, search_trial}, count, err);
  if (status != MEDLEY_OK) return status;
  for (size_t i = 0; i < count; i++)
    if (scores[i] > s->best_score) {
      s->best_score = scores[i];
      s->best = trials[i];
    }
  return MEDLEY_OK;
}

/* Both ridges on a grid with the other settings at their defaults, then dimensions and powers together, then the ridges
 * once more one by one: about 60 trials instead of the 600 of the full grid. */
static medley_status search_run(cca_search *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  cca_settings trials[RIDGES * RIDGES + DIMS * POWERS];
  size_t count = 0, n = s->m->y_dim;
  TRY(rows_run(&(row_work){s, NULL, NULL, search_prepare}, RIDGES, err));
  for (size_t i = 0; i < RIDGES; i++)
    for (size_t j = 0; j < RIDGES; j++) trials[count++] = (cca_settings){i, j, defaults.dim, defaults.power};
  TRY(search_round(s, trials, count, err));
  cca_settings best = s->best;
  count = 0;
  for (size_t i = 0; i < DIMS && (i == 0 || dims[i - 1] < n); i++)
    for (size_t j = 0; j < POWERS; j++)
      trials[count++] = (cca_settings){best.x_ridge, best.y_ridge, dims[i], powers[j]};
  TRY(search_round(s, trials, count, err));
  best = s->best;
  for (size_t i = 0; i < RIDGES; i++) trials[i] = (cca_settings){i, best.y_ridge, best.dim, best.power};
  TRY(search_round(s, trials, RIDGES, err));
  best = s->best;
  for (size_t j = 0; j < RIDGES; j++) trials[j] = (cca_settings){best.x_ridge, j, best.dim, best.power};
  TRY(search_round(s, trials, RIDGES, err));
done:
  return status;
}

/* ---- the fit ---- */

static medley_status fit_settings(const pair_moments *m, const cca_settings *s, alignment *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t n = m->y_dim;
  static const aligner_pairs nobody = {0};
  x_half half = {0};
  float *root = NULL, *cut = NULL;
  cca_basis b = {0};
  TRY(x_half_init(&half, m, &nobody, ridges[s->x_ridge], err));
  TRY(inverse_root(m, ridges[s->y_ridge], &root, err));
  TRY(basis_init(&b, n, half.inner, root, err));
  size_t dim = s->dim < b.rank ? s->dim : b.rank;
  TRY_NEW(cut, n * dim, "directions");
  TRY(alignment_alloc(out, m->x_dim, n, dim, err));
  memcpy(out->x_shift, m->x_mean, m->x_dim * sizeof *out->x_shift);
  memcpy(out->y_shift, m->y_mean, n * sizeof *out->y_shift);
  cut_columns(b.x, n, &b, dim, s->power, cut);
  matrix_multiply(false, false, m->x_dim, dim, n, 1, half.regress, cut, 0, out->x_map);
  cut_columns(b.y, n, &b, dim, s->power, out->y_map);
  snprintf(out->settings, sizeof out->settings, "cca ridge=%g,%g dim=%zu power=%g", ridges[s->x_ridge],
           ridges[s->y_ridge], dim, s->power);
done:
  x_half_deinit(&half);
  basis_deinit(&b);
  mem_free(root);
  mem_free(cut);
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
  s.m = &m;
  s.valid = &v.pairs;
  if (v.pairs.count > 0) TRY(search_run(&s, err));
  TRY(fit_settings(&m, &s.best, out, err));
done:
  search_deinit(&s);
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
