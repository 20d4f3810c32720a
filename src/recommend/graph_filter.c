/* recommend/graph_filter.c: a polynomial filter over the graph of people and items, and one step over a graph of alike
 * items; nothing is trained.
 *
 * Shen et al., "How powerful is graph convolution for recommendation?", CIKM 2021 (GF-CF), Park et al., "Turbo-CF",
 * SIGIR 2024 (the sharpness), and Roh et al., "Training-free graph filtering via multimodal feature refinement", 2025,
 * with exponents of degrees that are tuned on validation instead of one half everywhere. With X users × items, d_u and
 * d_i how many events each has, and
 *
 *   G = Xᵀ diag(d_u^−2a) X        one hop: to the people who chose an item, and to what else they chose
 *   z_1 = G diag(d_i^−b) x,  z_k = G diag(d_i)^−1 z_(k−1) / λ     the history x, hop after hop
 *   y_1 = S diag(d_i^−b) x with S_ij = G_ij^s, y_k = z_k for k > 1
 *   score(i) = d_i^−c Σ_k w_k y_k(i) / σ_k  +  w_m (x (A + Aᵀ))(i) / σ_m
 *
 * where A [items, items] leads to each item's `neighbours` nearest by content (alike.h); λ is what a hop multiplies a
 * popular signal by, and σ the mean deviation of a term over the items, for a sample of users: so that the weights mean
 * the same on every catalogue. w_1 is 1. With s > 1 a few items that many people share count for more than many items
 * that a few share.
 *
 * Every hop is two sparse products with all events, so a request costs 4 · hops · events operations and the model is
 * the events themselves: right for sparse clicks (a millisecond for 100,000), where it beats what is trained; not for a
 * catalogue where everybody saw a twentieth of everything. S is made when the model is fitted or loaded, an entry for
 * each two items that somebody chose; it is left out (s = 1) where people's histories have more than PAIRS_MAX pairs.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/vector.h"
#include "recommend/alike.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

#define HOPS 4
#define TERMS (HOPS + 1) /* the last is content */
#define SAMPLE_USERS 256
#define PAIRS_MAX 5e7        /* Σ d_u²: at most so many entries of S, 400 MB, and half a second */
#define EVENTS_MAX 3000000.0 /* by itself: 10 ms a request at one hop */
#define FILLED_MAX 0.01

enum {
  SHARPNESS, /* first: it decides which exponents are good */
  USER_EXPONENT,
  ITEM_EXPONENT,
  HOP_4, /* before the shorter ones: alone it says most of what they say */
  HOP_2,
  HOP_3,
  CONTENT,
  NEIGHBOURS,
  OUTPUT_EXPONENT, /* last: with the first hop alone it does badly what long hops do well */
  SETTINGS
};
static const int hop_settings[HOPS] = {-1, HOP_2, HOP_3, HOP_4};

typedef struct graph_filter {
  recommender base;
  double values[SETTINGS];
  sparse by_user, by_item;
  sparse sharp;                 /* [items, items] S; no rows when s is 1 */
  sparse alike;                 /* [items, items] A + Aᵀ; no rows when content is not looked at */
  float *user;                  /* [users] d_u^−2a */
  float *in, *between, *output; /* [items] d_i^−b; 1 / (d_i λ); d_i^−c; 0 where nobody chose the item */
  double lambda;
  double weight[TERMS]; /* of a term as it is: w / σ */
  json_t *shares;       /* what each modality has of A, for reports; NULL in a loaded model */
} graph_filter;

static const double user_exponents[] = {0.1, 0.2, 0.3, 0.5, 0.75};
static const double sharpnesses[] = {1, 1.2, 1.4};
static const double item_exponents[] = {0.3, 0.5, 0.7};
static const double output_exponents[] = {-0.2, 0, 0.2};
static const double hop_weights[] = {0, 0.5, 2, 8};
static const double content_weights[] = {0, 0.1, 0.2, 0.5, 1};
static const double neighbour_counts[] = {10, 30};
static const recommender_setting graph_filter_settings[] = {
    {"sharpness", "exponent of what two items have in common, in the first hop", 1, 0.1, 4, sharpnesses, 3},
    {"user_exponent", "people count by the size of their history to minus twice this", 0.5, -1, 2, user_exponents, 5},
    {"item_exponent", "how much the popularity of what was chosen is divided out", 0.5, -1, 2, item_exponents, 3},
    {"hop_4", "weight of the fourth hop, that of the first being 1", 0, 0, 1000, hop_weights, 4},
    {"hop_2", "weight of the second hop", 0, 0, 1000, hop_weights, 4},
    {"hop_3", "weight of the third hop", 0, 0, 1000, hop_weights, 4},
    {"content", "weight of items alike by content; 0 without vectors", 0.1, 0, 1000, content_weights, 5},
    {"neighbours", "alike items an item has", 10, 1, 1000, neighbour_counts, 2},
    {"output_exponent", "how much the popularity of what is scored is divided out", 0, -1, 2, output_exponents, 3},
    {NULL},
};

static void graph_filter_free(recommender *r) {
  if (r == NULL) return;
  graph_filter *m = (graph_filter *)r;
  sparse_deinit(&m->by_user);
  sparse_deinit(&m->by_item);
  sparse_deinit(&m->sharp);
  sparse_deinit(&m->alike);
  json_decref(m->shares);
  mem_free(m->user);
  mem_free(m->in);
  mem_free(m->between);
  mem_free(m->output);
  mem_free(m);
}

static bool graph_filter_by_itself(const recommender_data *data) {
  const sparse *x = &data->train->by_user;
  double events = (double)sparse_count(x);
  return events <= EVENTS_MAX && events <= FILLED_MAX * x->rows * x->columns;
}

/* ---- hops ---- */

static void multiply(float *x, const float *by, size_t count) {
  for (size_t i = 0; i < count; i++) x[i] *= by[i];
}

/* z [items] = G z; people [users] is room. */
static void hop(const graph_filter *m, float *z, float *people) {
  sparse_multiply_vector(&m->by_user, z, people);
  multiply(people, m->user, m->by_user.rows);
  sparse_multiply_vector(&m->by_item, people, z);
}

static size_t hops_used(const graph_filter *m) {
  size_t hops = 1;
  for (size_t k = 1; k < HOPS; k++)
    if (m->values[hop_settings[k]] > 0) hops = k + 1;
  return hops;
}

static bool is_sharp(const graph_filter *m) { return m->sharp.rows > 0; }

/* sum += weight S z; few of z are not zero. */
static void sharp_add(const graph_filter *m, const float *z, float weight, float *sum) {
  for (uint32_t i = 0; i < m->base.item_count; i++) {
    if (z[i] == 0) continue;
    for (uint64_t e = m->sharp.start[i]; e < m->sharp.start[i + 1]; e++)
      sum[m->sharp.column[e]] += weight * z[i] * m->sharp.value[e];
  }
}

/* sum [items] = Σ_k weight_k y_k for the history, times d_i^−b, in z, which is overwritten. */
static void filter(const graph_filter *m, float *z, float *people, float *sum) {
  uint32_t n = m->base.item_count;
  memset(sum, 0, n * sizeof *sum);
  if (is_sharp(m)) sharp_add(m, z, (float)m->weight[0], sum);
  if (is_sharp(m) && hops_used(m) == 1) return;
  for (size_t k = 0; k < hops_used(m); k++) {
    if (k > 0) multiply(z, m->between, n);
    hop(m, z, people);
    if (m->weight[k] > 0 && (k > 0 || !is_sharp(m))) vector_add_scaled(sum, (float)m->weight[k], z, n);
  }
}

typedef struct room {
  float *z, *people, *sum;
} room;

static medley_status room_take(const graph_filter *m, recommender_scratch *scratch, room *out, medley_error *err) {
  size_t n = m->base.item_count;
  out->z = recommender_scratch_floats(scratch, 2 * n + m->by_user.rows);
  if (out->z == NULL) return error_memory(err, "scores");
  out->sum = out->z + n;
  out->people = out->sum + n;
  memset(out->z, 0, n * sizeof *out->z);
  return MEDLEY_OK;
}

static void content_add(const graph_filter *m, const history *h, float *scores) {
  for (size_t j = 0; m->weight[HOPS] > 0 && j < h->count; j++)
    for (uint64_t e = m->alike.start[h->item[j]]; e < m->alike.start[h->item[j] + 1]; e++)
      scores[m->alike.column[e]] += (float)m->weight[HOPS] * h->weight[j] * m->alike.value[e];
}

static medley_status graph_filter_score(const recommender *r, const history *h, recommender_scratch *scratch,
                                        float *scores, medley_error *err) {
  const graph_filter *m = (const graph_filter *)r;
  room at;
  medley_status status = room_take(m, scratch, &at, err);
  if (status != MEDLEY_OK) return status;
  for (size_t j = 0; j < h->count; j++) at.z[h->item[j]] = h->weight[j] * m->in[h->item[j]];
  filter(m, at.z, at.people, scores);
  multiply(scores, m->output, r->item_count);
  content_add(m, h, scores);
  return MEDLEY_OK;
}

/* G and S are symmetric, and so is every G D G: what an item has from each of the history is what it hands to them. */
static medley_status graph_filter_trace(const recommender *r, const history *h, uint32_t item,
                                        recommender_scratch *scratch, float *out, medley_error *err) {
  const graph_filter *m = (const graph_filter *)r;
  room at;
  medley_status status = room_take(m, scratch, &at, err);
  if (status != MEDLEY_OK) return status;
  at.z[item] = m->output[item];
  filter(m, at.z, at.people, at.sum);
  for (size_t j = 0; j < h->count; j++) {
    uint32_t from = h->item[j];
    out[j] = h->weight[j] * m->in[from] * at.sum[from];
    if (!(m->weight[HOPS] > 0)) continue;
    uint64_t e = sparse_find(&m->alike, from, item);
    if (e < m->alike.start[from + 1] && m->alike.column[e] == item)
      out[j] += (float)m->weight[HOPS] * h->weight[j] * m->alike.value[e];
  }
  return MEDLEY_OK;
}

/* ---- fit ---- */

/* 0 of what is not above 0, also in a file that somebody changed. */
static float power_of(double of, double exponent) { return of > 0 ? (float)pow(of, exponent) : 0; }

/* m->sharp, where it is wanted and not too large. */
static medley_status sharp_make(graph_filter *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse weighted = {0};
  double pairs = 0, exponent = m->values[SHARPNESS];
  uint64_t count;
  for (uint32_t u = 0; u < m->by_user.rows; u++) {
    double size = (double)(m->by_user.start[u + 1] - m->by_user.start[u]);
    pairs += size * size;
  }
  if (exponent == 1 || pairs > PAIRS_MAX) return MEDLEY_OK;
  TRY(sparse_copy(&m->by_item, &weighted, err));
  sparse_scale(&weighted, NULL, m->user);
  TRY(sparse_multiply(&weighted, &m->by_user, 0, &m->sharp, err));
  count = sparse_count(&m->sharp);
#pragma omp parallel for schedule(static)
  for (uint64_t e = 0; e < count; e++) m->sharp.value[e] = power_of((double)m->sharp.value[e], exponent);
done:
  sparse_deinit(&weighted);
  return status;
}

/* What follows from the events and the settings but λ and the weights. */
static medley_status graph_filter_finish(graph_filter *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t users = m->by_user.rows, n = m->by_user.columns;
  m->base = (recommender){&recommender_graph_filter, n};
  TRY(sparse_transpose(&m->by_user, &m->by_item, err));
  TRY_NEW(m->user, (size_t)users + 1, "user weights");
  TRY_NEW(m->in, (size_t)n + 1, "item weights");
  TRY_NEW(m->between, (size_t)n + 1, "item weights");
  TRY_NEW(m->output, (size_t)n + 1, "item weights");
  model_row_powers(&m->by_user, -2 * m->values[USER_EXPONENT], m->user);
  model_row_powers(&m->by_item, -m->values[ITEM_EXPONENT], m->in);
  model_row_powers(&m->by_item, -1, m->between);
  model_row_powers(&m->by_item, -m->values[OUTPUT_EXPONENT], m->output);
  TRY(sharp_make(m, err));
done:
  return status;
}

static void between_divide(graph_filter *m) { vector_scale(m->between, (float)(1 / m->lambda), m->base.item_count); }

/* What a hop makes of the signal that is as great as items are popular. */
static medley_status lambda_find(graph_filter *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  recommender_scratch scratch = {0};
  room at;
  double sum = 0, events = (double)sparse_count(&m->by_user);
  TRY(room_take(m, &scratch, &at, err));
  for (uint32_t i = 0; i < m->base.item_count && events > 0; i++)
    at.z[i] = m->in[i] > 0 ? (float)(1 / events) : 0; /* d_i / Σ d over d_i */
  hop(m, at.z, at.people);
  for (uint32_t i = 0; i < m->base.item_count; i++) sum += (double)at.z[i];
  m->lambda = sum > 0 ? sum : 1;
  between_divide(m);
done:
  recommender_scratch_deinit(&scratch);
  return status;
}

static double deviation(const float *values, size_t count) {
  double mean, deviation;
  vector_moments(values, count, &mean, &deviation);
  return deviation;
}

/* The terms of one user's own history, each with weight 1, add their deviations to sum [TERMS]. */
static void terms_deviate(const graph_filter *m, uint32_t user, room at, double sum[TERMS]) {
  uint32_t n = m->base.item_count;
  uint64_t from = m->by_user.start[user], end = m->by_user.start[user + 1];
  memset(at.z, 0, n * sizeof *at.z);
  memset(at.sum, 0, n * sizeof *at.sum);
  for (uint64_t e = from; e < end; e++) {
    uint32_t item = m->by_user.column[e];
    at.z[item] = m->by_user.value[e] * m->in[item];
    for (uint64_t a = m->alike.rows > 0 ? m->alike.start[item] : 0; m->alike.rows > 0 && a < m->alike.start[item + 1];
         a++)
      at.sum[m->alike.column[a]] += m->by_user.value[e] * m->alike.value[a];
  }
  sum[HOPS] += deviation(at.sum, n);
  for (size_t k = 0; k < hops_used(m); k++) {
    memset(at.sum, 0, n * sizeof *at.sum);
    if (k == 0 && is_sharp(m)) sharp_add(m, at.z, 1, at.sum);
    if (k > 0) multiply(at.z, m->between, n);
    hop(m, at.z, at.people);
    if (k > 0 || !is_sharp(m)) memcpy(at.sum, at.z, n * sizeof *at.z);
    multiply(at.sum, m->output, n);
    sum[k] += deviation(at.sum, n);
  }
}

static medley_status weights_find(graph_filter *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  recommender_scratch scratch = {0};
  double sum[TERMS] = {0}, wanted[TERMS] = {1, [HOPS] = m->values[CONTENT]};
  uint32_t users = m->by_user.rows, taken = 0, step = users / SAMPLE_USERS + 1;
  room at;
  for (size_t k = 1; k < HOPS; k++) wanted[k] = m->values[hop_settings[k]];
  TRY(room_take(m, &scratch, &at, err));
  for (uint32_t u = 0; u < users; u += step) {
    if (m->by_user.start[u] == m->by_user.start[u + 1]) continue;
    terms_deviate(m, u, at, sum);
    taken++;
  }
  for (size_t k = 0; k < TERMS; k++) m->weight[k] = sum[k] > 0 ? wanted[k] * taken / sum[k] : 0;
done:
  recommender_scratch_deinit(&scratch);
  return status;
}

/* ---- fit ---- */

static medley_status content_find(graph_filter *m, const recommender_data *data, medley_error *err) {
  double share[FEATURES_MAX] = {0};
  medley_status status = alike_find(data->train, data->features, data->feature_count, (size_t)m->values[NEIGHBOURS],
                                    share, &m->alike, err);
  m->shares = status == MEDLEY_OK ? json_object() : NULL;
  for (size_t f = 0; m->shares != NULL && f < data->feature_count; f++)
    json_object_set_new(m->shares, data->features[f].name, json_real(share[f]));
  return status;
}

static medley_status graph_filter_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                      recommender **out, medley_error *err) {
  (void)progress;
  medley_status status = MEDLEY_OK;
  graph_filter *m = NULL;
  TRY_NEW(m, 1, "a model");
  memcpy(m->values, values, sizeof m->values);
  TRY(sparse_copy(&data->train->by_user, &m->by_user, err));
  TRY(graph_filter_finish(m, err));
  TRY(lambda_find(m, err));
  if (m->values[CONTENT] > 0) TRY(content_find(m, data, err));
  TRY(weights_find(m, err));
  *out = &m->base;
  m = NULL;
done:
  graph_filter_free(m ? &m->base : NULL);
  return status;
}

/* ---- files ---- */

static json_t *graph_filter_describe(const recommender *r) {
  const graph_filter *m = (const graph_filter *)r;
  return json_pack("{s:i, s:f, s:b, s:b, s:O*}", "hops", (int)hops_used(m), "lambda", m->lambda, "sharpened",
                   is_sharp(m), "content", m->weight[HOPS] > 0, "modalities", m->shares);
}

static medley_status graph_filter_save(const recommender *r, safetensors_writer *w, const char *prefix,
                                       medley_error *err) {
  medley_status status = MEDLEY_OK;
  const graph_filter *m = (const graph_filter *)r;
  TRY(model_add_f64(w, prefix, "settings", SETTINGS, m->values, err));
  TRY(model_add_f64(w, prefix, "weights", TERMS, m->weight, err));
  TRY(model_add_f64(w, prefix, "lambda", 1, &m->lambda, err));
  TRY(model_add_sparse(w, prefix, "by_user", &m->by_user, err));
  if (m->weight[HOPS] > 0) TRY(model_add_sparse(w, prefix, "alike", &m->alike, err));
done:
  return status;
}

static medley_status graph_filter_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                       recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  graph_filter *m = NULL;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_settings(s, prefix, graph_filter_settings, m->values, err));
  TRY(model_get_f64(s, prefix, "weights", TERMS, m->weight, err));
  TRY(model_get_f64(s, prefix, "lambda", 1, &m->lambda, err));
  if (!(m->lambda > 0)) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: lambda of '%s' is %g", s->path, prefix, m->lambda);
  TRY(model_get_sparse(s, prefix, "by_user", &m->by_user, err));
  TRY(model_check_items(s, prefix, data, m->by_user.columns, err));
  if (m->weight[HOPS] > 0) {
    TRY(model_get_sparse(s, prefix, "alike", &m->alike, err));
    if (m->alike.rows != m->by_user.columns || m->alike.columns != m->by_user.columns)
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' compares %u items with %u, it scores %u", s->path, prefix, m->alike.rows,
           m->alike.columns, m->by_user.columns);
  }
  TRY(graph_filter_finish(m, err));
  between_divide(m);
  *out = &m->base;
  m = NULL;
done:
  graph_filter_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_graph_filter = {
    .name = "graph_filter",
    .summary = "hops over the graph of people and items, and over items alike by content; for sparse clicks",
    .source = "Shen et al. 2021; Park et al. 2024; Roh et al. 2025",
    .part = "taste",
    .settings = graph_filter_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .may_read_features = true,
    .by_itself = graph_filter_by_itself,
    .fit = graph_filter_fit,
    .score = graph_filter_score,
    .trace = graph_filter_trace,
    .describe = graph_filter_describe,
    .save = graph_filter_save,
    .load = graph_filter_load,
    .free = graph_filter_free,
};
