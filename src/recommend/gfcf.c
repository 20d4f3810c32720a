/* recommend/gfcf.c: graph filtering in closed form: one linear filter and one ideal low-pass filter.
 *
 * Shen et al., "How powerful is graph convolution for recommendation?", CIKM 2021: with R = D_U^−a X D_I^−b, the first
 * k right singular vectors V of R and its greatest singular value σ,
 *
 *   score = x (D_I^−b Xᵀ D_U^−2a X D_I^−b) / σ²  +  α x D_I^−b V Vᵀ D_I^b
 *
 * The paper has a = b = ½, where σ = 1, and α = 0.3, k = 256; here they are tuned on validation. A request takes the
 * first term in two sparse products with all events, as graph_filter does, so that no item × item matrix is made; what
 * graph_filter reaches by more hops, this one reaches by the low-pass filter, which keeps the directions that a hop
 * damps least.
 */
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

#define SVD_ITERATIONS 3
#define RANK_MAX 1024

enum { USER_EXPONENT, ITEM_EXPONENT, LOW_PASS, RANK, SETTINGS };

typedef struct gfcf {
  recommender base;
  double values[SETTINGS];
  sparse by_user, by_item;
  float *user;          /* [users] |u|^−2a / σ² */
  float *in, *out;      /* [items] d_i^−b and d_i^b, 0 where nobody chose the item */
  double greatest;      /* σ */
  size_t rank;          /* 0: no low-pass filter */
  const float *vectors; /* [items, rank] V */
  float *owned;         /* vectors when they were found here; NULL when they lie in a mapped file */
} gfcf;

static const double user_exponents[] = {0.3, 0.5, 0.7};
static const double item_exponents[] = {0.3, 0.5};
static const double low_passes[] = {0, 0.1, 0.3, 1};
static const double ranks[] = {64, 256};
static const recommender_setting gfcf_settings[] = {
    {"user_exponent", "people count by the size of their history to minus twice this", 0.5, 0, 2, user_exponents, 3},
    {"item_exponent", "how much the popularity of items is divided out", 0.5, 0, 2, item_exponents, 2},
    {"low_pass", "α, the weight of the ideal low-pass filter", 0.3, 0, 1000, low_passes, 4},
    {"rank", "singular vectors that pass", 256, 1, RANK_MAX, ranks, 2},
    {NULL},
};

static void gfcf_free(recommender *r) {
  if (r == NULL) return;
  gfcf *m = (gfcf *)r;
  sparse_deinit(&m->by_user);
  sparse_deinit(&m->by_item);
  mem_free(m->user);
  mem_free(m->in);
  mem_free(m->out);
  mem_free(m->owned);
  mem_free(m);
}

/* ---- answers ---- */

static void multiply(float *x, const float *by, size_t count) {
  for (size_t i = 0; i < count; i++) x[i] *= by[i];
}

typedef struct room {
  float *z;      /* [items] */
  float *people; /* [users] */
  float *low;    /* [rank] */
} room;

static medley_status room_take(const gfcf *m, recommender_scratch *scratch, room *at, medley_error *err) {
  size_t n = m->base.item_count;
  at->z = recommender_scratch_floats(scratch, n + m->by_user.rows + m->rank);
  if (at->z == NULL) return error_memory(err, "scores");
  at->people = at->z + n;
  at->low = at->people + m->by_user.rows;
  memset(at->z, 0, n * sizeof *at->z);
  return MEDLEY_OK;
}

/* to [items] = D_I^−b Xᵀ D_U^−2a X z / σ², for z with D_I^−b in it. */
static void linear_filter(const gfcf *m, room at, float *to) {
  sparse_multiply_vector(&m->by_user, at.z, at.people);
  multiply(at.people, m->user, m->by_user.rows);
  sparse_multiply_vector(&m->by_item, at.people, to);
  multiply(to, m->in, m->base.item_count);
}

static medley_status gfcf_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                medley_error *err) {
  const gfcf *m = (const gfcf *)r;
  room at;
  medley_status status = room_take(m, scratch, &at, err);
  if (status != MEDLEY_OK) return status;
  memset(at.low, 0, m->rank * sizeof *at.low);
  for (size_t j = 0; j < h->count; j++) {
    uint32_t item = h->item[j];
    at.z[item] = h->weight[j] * m->in[item];
    if (m->rank > 0) vector_add_scaled(at.low, at.z[item], m->vectors + item * m->rank, m->rank);
  }
  linear_filter(m, at, scores);
  for (size_t i = 0; m->rank > 0 && i < r->item_count; i++)
    scores[i] += (float)m->values[LOW_PASS] * m->out[i] * vector_dot(m->vectors + i * m->rank, at.low, m->rank);
  return MEDLEY_OK;
}

/* The linear filter is symmetric: what an item has from each of the history is what it hands to them. */
static medley_status gfcf_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                float *out, medley_error *err) {
  const gfcf *m = (const gfcf *)r;
  room at;
  medley_status status = room_take(m, scratch, &at, err);
  if (status != MEDLEY_OK) return status;
  at.z[item] = m->in[item];
  linear_filter(m, at, at.z);
  float low = (float)m->values[LOW_PASS] * m->out[item];
  for (size_t j = 0; j < h->count; j++) {
    uint32_t from = h->item[j];
    out[j] = h->weight[j] * at.z[from];
    if (m->rank == 0) continue;
    const float *one = m->vectors + from * m->rank, *other = m->vectors + item * m->rank;
    out[j] += h->weight[j] * low * m->in[from] * vector_dot(one, other, m->rank);
  }
  return MEDLEY_OK;
}

/* ---- fit ---- */

/* What follows from the events and the settings but the singular vectors. */
static medley_status gfcf_finish(gfcf *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  m->base = (recommender){&recommender_gfcf, m->by_user.columns};
  TRY(sparse_transpose(&m->by_user, &m->by_item, err));
  TRY_NEW(m->user, (size_t)m->by_user.rows + 1, "user weights");
  TRY_NEW(m->in, (size_t)m->by_user.columns + 1, "item weights");
  TRY_NEW(m->out, (size_t)m->by_user.columns + 1, "item weights");
  model_row_powers(&m->by_user, -2 * m->values[USER_EXPONENT], m->user);
  model_row_powers(&m->by_item, -m->values[ITEM_EXPONENT], m->in);
  model_row_powers(&m->by_item, m->values[ITEM_EXPONENT], m->out);
done:
  return status;
}

static void greatest_divide(gfcf *m) {
  vector_scale(m->user, (float)(1 / (m->greatest * m->greatest)), m->by_user.rows);
}

/* σ, and V where it is wanted. */
static medley_status vectors_find(gfcf *m, uint64_t seed, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse x = {0};
  float *users = NULL, *values = NULL;
  size_t rank = m->values[LOW_PASS] > 0 ? (size_t)m->values[RANK] : 1, most = m->by_user.rows;
  if (most > m->by_user.columns) most = m->by_user.columns;
  if (rank > most) rank = most;
  m->greatest = 1;
  if (sparse_count(&m->by_user) == 0) return MEDLEY_OK;
  TRY(sparse_copy(&m->by_user, &x, err));
  TRY_NEW(users, (size_t)x.rows + 1, "user weights");
  model_row_powers(&x, -m->values[USER_EXPONENT], users);
  sparse_scale(&x, users, m->in);
  TRY_NEW(values, rank, "singular values");
  TRY_NEW(m->owned, (size_t)x.columns * rank, "singular vectors");
  TRY(sparse_svd(&x, rank, SVD_ITERATIONS, seed, NULL, values, m->owned, &rank, err));
  if (values[0] > 0) m->greatest = (double)values[0];
  m->vectors = m->owned;
  m->rank = m->values[LOW_PASS] > 0 ? rank : 0;
done:
  sparse_deinit(&x);
  mem_free(users);
  mem_free(values);
  return status;
}

static medley_status gfcf_fit(const recommender_data *data, const double *values, progress_stage *progress,
                              recommender **out, medley_error *err) {
  (void)progress;
  medley_status status = MEDLEY_OK;
  gfcf *m = NULL;
  TRY_NEW(m, 1, "a model");
  memcpy(m->values, values, sizeof m->values);
  TRY(sparse_copy(&data->train->by_user, &m->by_user, err));
  TRY(gfcf_finish(m, err));
  TRY(vectors_find(m, data->seed, err));
  greatest_divide(m);
  *out = &m->base;
  m = NULL;
done:
  gfcf_free(m ? &m->base : NULL);
  return status;
}

/* ---- files ---- */

static json_t *gfcf_describe(const recommender *r) {
  const gfcf *m = (const gfcf *)r;
  return json_pack("{s:f, s:i}", "greatest_singular_value", m->greatest, "rank", (int)m->rank);
}

static medley_status gfcf_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const gfcf *m = (const gfcf *)r;
  TRY(model_add_f64(w, prefix, "settings", SETTINGS, m->values, err));
  TRY(model_add_f64(w, prefix, "greatest", 1, &m->greatest, err));
  TRY(model_add_sparse(w, prefix, "by_user", &m->by_user, err));
  if (m->rank > 0) TRY(model_add_f32(w, prefix, "vectors", r->item_count, m->rank, m->vectors, err));
done:
  return status;
}

static medley_status gfcf_load(const safetensors *s, const char *prefix, const recommender_data *data,
                               recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  gfcf *m = NULL;
  uint64_t rank = 0;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_settings(s, prefix, gfcf_settings, m->values, err));
  TRY(model_get_f64(s, prefix, "greatest", 1, &m->greatest, err));
  if (!(m->greatest > 0))
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: the singular value of '%s' is %g", s->path, prefix, m->greatest);
  TRY(model_get_sparse(s, prefix, "by_user", &m->by_user, err));
  TRY(model_check_items(s, prefix, data, m->by_user.columns, err));
  if (m->values[LOW_PASS] > 0 && sparse_count(&m->by_user) > 0)
    TRY(model_get_f32(s, prefix, "vectors", m->by_user.columns, 0, &m->vectors, NULL, &rank, err));
  if (rank > RANK_MAX)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' has vectors of %llu, %d is the most", s->path, prefix,
         (unsigned long long)rank, RANK_MAX);
  m->rank = (size_t)rank;
  TRY(gfcf_finish(m, err));
  greatest_divide(m);
  *out = &m->base;
  m = NULL;
done:
  gfcf_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_gfcf = {
    .name = "gfcf",
    .summary = "a linear and an ideal low-pass filter over the graph of people and items; for sparse clicks",
    .source = "Shen et al. 2021",
    .part = "taste",
    .settings = gfcf_settings,
    .needs_history = true,
    .by_itself = recommender_only_named,
    .fit = gfcf_fit,
    .score = gfcf_score,
    .trace = gfcf_trace,
    .describe = gfcf_describe,
    .save = gfcf_save,
    .load = gfcf_load,
    .free = gfcf_free,
};
