/* recommend/content_popular.c: how popular an item of this content tends to be: ridge regression from the features to
 * the logarithm of the number of people. For items with events it is a weak prior; for items without any it is the only
 * word on popularity there is, and on cold films it is worth as much as a modality.
 *
 * log(1 + c_i) − mean ≈ φ(i)·β, β = (S ΦᵀΦ S + λ I)⁻¹ S Φᵀ y; λ by the correlation on items held out from the training
 * part.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/content_map.h"
#include "recommend/ease_fit.h"
#include "recommend/kinds.h"

#define HELD_SHARE 0.2
#define FIT_ITEMS_MAX 20000 /* more items teach β nothing new */

typedef struct content_popular {
  recommender base;
  float *score; /* [items] */
} content_popular;

static void content_popular_free(recommender *r) {
  if (r == NULL) return;
  mem_free(((content_popular *)r)->score);
  mem_free(r);
}

/* The regression's data: rows of φ scaled by √share, targets, and which rows are held out. */
typedef struct regression {
  content_parts parts;
  size_t rows, dim;
  float *phi;    /* [rows, dim] */
  float *target; /* [rows] */
  uint8_t *held; /* [rows] */
} regression;

static void regression_deinit(regression *g) {
  mem_free(g->phi);
  mem_free(g->target);
  mem_free(g->held);
}

static void rows_weigh(const content_parts *parts, float *rows, size_t count) {
  for (size_t p = 0; p < parts->count; p++) {
    float root = sqrtf(content_share(parts->part[p].name));
    for (size_t r = 0; r < count; r++) vector_scale(rows + r * parts->dim + parts->offset[p], root, parts->part[p].dim);
  }
}

static medley_status regression_init(regression *g, const recommender_data *data, medley_error *err) {
  medley_status status = MEDLEY_OK;
  active_items active = {0};
  rng r;
  content_parts_init(&g->parts, data->features, data->feature_count);
  TRY(active_items_find(data->train, &active, err));
  rng_seed(&r, data->seed ^ 0x706f70u);
  rng_shuffle(&r, active.item, active.count);
  g->rows = active.count < FIT_ITEMS_MAX ? active.count : FIT_ITEMS_MAX;
  g->dim = g->parts.dim;
  TRY_NEW(g->phi, g->rows * g->dim + 1, "features");
  TRY_NEW(g->target, g->rows + 1, "popularity");
  TRY_NEW(g->held, g->rows + 1, "popularity");
  content_parts_rows(&g->parts, active.item, g->rows, g->phi);
  rows_weigh(&g->parts, g->phi, g->rows);
  double mean = 0;
  for (size_t i = 0; i < g->rows; i++) mean += g->target[i] = logf(1 + data->train->popularity[active.item[i]]);
  for (size_t i = 0; i < g->rows; i++) {
    g->target[i] -= (float)(mean / (double)g->rows);
    g->held[i] = rng_uniform(&r) < HELD_SHARE;
  }
done:
  active_items_deinit(&active);
  return status;
}

/* With fewer items than columns, the same β through the items: β = Φᵀ (Φ Φᵀ + λ I)⁻¹ y. targets is overwritten. */
static medley_status regression_solve_dual(const regression *g, const float *rows, float *targets, size_t count,
                                           float lambda, float *beta, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *k = NULL;
  TRY_NEW(k, count * count + 1, "features");
  matrix_multiply(false, true, count, count, g->dim, 1, rows, rows, 0, k);
  for (size_t i = 0; i < count; i++) k[i * count + i] += lambda;
  TRY(matrix_solve_spd(k, count, targets, 1, err));
  for (size_t i = 0; i < count; i++) vector_add_scaled(beta, targets[i], rows + i * g->dim, g->dim);
done:
  mem_free(k);
  return status;
}

/* β [dim] from the rows that are not held out, or from all. */
static medley_status regression_solve(const regression *g, bool all, float lambda, float *beta, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *rows = NULL, *targets = NULL, *a = NULL;
  size_t count = 0;
  TRY_NEW(rows, g->rows * g->dim + 1, "features");
  TRY_NEW(targets, g->rows + 1, "popularity");
  memset(beta, 0, g->dim * sizeof *beta);
  for (size_t i = 0; i < g->rows; i++) {
    if (!all && g->held[i]) continue;
    memcpy(rows + count * g->dim, g->phi + i * g->dim, g->dim * sizeof *rows);
    targets[count++] = g->target[i];
  }
  if (count < g->dim) {
    TRY(regression_solve_dual(g, rows, targets, count, lambda, beta, err));
    goto done;
  }
  TRY_NEW(a, g->dim * g->dim, "features");
  for (size_t i = 0; i < count; i++) vector_add_scaled(beta, targets[i], rows + i * g->dim, g->dim);
  matrix_gram(count, g->dim, 1, rows, 0, a);
  for (size_t d = 0; d < g->dim; d++) a[d * g->dim + d] += lambda;
  TRY(matrix_solve_spd(a, g->dim, beta, 1, err));
done:
  mem_free(rows);
  mem_free(targets);
  mem_free(a);
  return status;
}

static double held_correlation(const regression *g, const float *beta) {
  double xy = 0, x = 0, y = 0, xx = 0, yy = 0, n = 0;
  for (size_t i = 0; i < g->rows; i++) {
    if (!g->held[i]) continue;
    double p = vector_dot(beta, g->phi + i * g->dim, g->dim), t = g->target[i];
    xy += p * t;
    x += p;
    y += t;
    xx += p * p;
    yy += t * t;
    n++;
  }
  double spread = (n * xx - x * x) * (n * yy - y * y);
  return spread > 0 ? (n * xy - x * y) / sqrt(spread) : 0;
}

static medley_status regression_run(const regression *g, float *beta, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const float lambdas[] = {0.3f, 1, 3, 10, 30};
  double best = -INFINITY;
  float chosen = 1;
  for (size_t l = 0; l < sizeof lambdas / sizeof *lambdas; l++) {
    TRY(regression_solve(g, false, lambdas[l], beta, err));
    double reached = held_correlation(g, beta);
    if (reached <= best) continue;
    best = reached;
    chosen = lambdas[l];
  }
  TRY(regression_solve(g, true, chosen, beta, err));
done:
  return status;
}

static medley_status content_popular_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                         recommender **out, medley_error *err) {
  (void)values;
  (void)progress;
  medley_status status = MEDLEY_OK;
  content_popular *m = NULL;
  regression g = {0};
  float *beta = NULL, *row = NULL;
  uint32_t n = data->train->by_user.columns;
  TRY(regression_init(&g, data, err));
  TRY_NEW(beta, g.dim, "features");
  TRY_NEW(row, g.dim, "features");
  TRY(regression_run(&g, beta, err));
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_content_popular, n};
  TRY_NEW(m->score, (size_t)n + 1, "a model");
  for (uint32_t i = 0; i < n; i++) {
    content_parts_rows(&g.parts, &i, 1, row);
    rows_weigh(&g.parts, row, 1);
    m->score[i] = vector_dot(beta, row, g.dim);
  }
  *out = &m->base;
  m = NULL;
done:
  regression_deinit(&g);
  mem_free(beta);
  mem_free(row);
  content_popular_free(m ? &m->base : NULL);
  return status;
}

static medley_status content_popular_score(const recommender *r, const history *h, recommender_scratch *scratch,
                                           float *scores, medley_error *err) {
  (void)h;
  (void)scratch;
  (void)err;
  memcpy(scores, ((const content_popular *)r)->score, r->item_count * sizeof *scores);
  return MEDLEY_OK;
}

static medley_status content_popular_save(const recommender *r, safetensors_writer *w, const char *prefix,
                                          medley_error *err) {
  return model_add_f32(w, prefix, "score", 1, r->item_count, ((const content_popular *)r)->score, err);
}

static medley_status content_popular_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                          recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  content_popular *m = NULL;
  const float *score;
  uint64_t count;
  TRY(model_get_f32(s, prefix, "score", 1, 0, &score, NULL, &count, err));
  if (count > UINT32_MAX) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' is too large", s->path, prefix);
  TRY(model_check_items(s, prefix, data, (uint32_t)count, err));
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_content_popular, (uint32_t)count};
  TRY_NEW(m->score, count + 1, "a model");
  memcpy(m->score, score, count * sizeof *score);
  *out = &m->base;
  m = NULL;
done:
  content_popular_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_content_popular = {
    .name = "content_popular",
    .summary = "how popular items of this content tend to be",
    .source = "ridge regression to log popularity",
    .part = "popularity",
    .scores_cold_items = true,
    .needs_features = true,
    .fit = content_popular_fit,
    .score = content_popular_score,
    .save = content_popular_save,
    .load = content_popular_load,
    .free = content_popular_free,
};
