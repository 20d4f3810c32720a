/* recommend/userknn.c: user neighbourhood (Resnick et al. 1994, on implicit feedback): people whose history is alike
 * vote for what they chose.
 *
 * sim(h, v) = Σ_{i ∈ h ∩ v} c_i^−½ / (|h| |v|)^length_exponent, cut to the k nearest, raised to sharpness. The
 * neighbours are found when asked, from the history that is handed in: nothing has to be fitted, and a new user has
 * neighbours at the first click. A person whose own events are in the matrix is their own nearest neighbour; that vote
 * falls on items already seen, which are not ranked.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/vector.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

typedef struct userknn {
  recommender base;
  sparse by_user, by_item;
  float *user_scale; /* [users] |v|^−length_exponent */
  float *item_scale; /* [items] c_i^−½ */
  double values[3];
} userknn;

static const double neighbour_counts[] = {50, 150, 500};
static const double length_exponents[] = {0.5, 0.8};
static const double sharpnesses[] = {1, 2};
static const recommender_setting userknn_settings[] = {
    {"neighbours", "how many people vote", 150, 1, 10000, neighbour_counts, 3},
    {"length_exponent", "how much long histories are divided out", 0.8, 0, 1, length_exponents, 2},
    {"sharpness", "power of the similarity in the vote", 2, 0.1, 10, sharpnesses, 2},
    {NULL},
};

static void userknn_free(recommender *r) {
  if (r == NULL) return;
  userknn *m = (userknn *)r;
  sparse_deinit(&m->by_user);
  sparse_deinit(&m->by_item);
  mem_free(m->user_scale);
  mem_free(m->item_scale);
  mem_free(m);
}

/* Everything follows from the matrix and the settings. */
static medley_status userknn_finish(userknn *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  m->base = (recommender){&recommender_userknn, m->by_user.columns};
  TRY(sparse_transpose(&m->by_user, &m->by_item, err));
  TRY_NEW(m->user_scale, (size_t)m->by_user.rows + 1, "user lengths");
  TRY_NEW(m->item_scale, (size_t)m->by_user.columns + 1, "item weights");
  for (uint32_t u = 0; u < m->by_user.rows; u++) {
    double count = (double)(m->by_user.start[u + 1] - m->by_user.start[u]);
    m->user_scale[u] = count > 0 ? (float)pow(count, -m->values[1]) : 0;
  }
  for (uint32_t i = 0; i < m->by_user.columns; i++) {
    double count = (double)(m->by_item.start[i + 1] - m->by_item.start[i]);
    m->item_scale[i] = count > 0 ? (float)(1 / sqrt(count)) : 0;
  }
done:
  return status;
}

static medley_status userknn_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                 recommender **out, medley_error *err) {
  (void)progress;
  medley_status status = MEDLEY_OK;
  userknn *m = NULL;
  TRY_NEW(m, 1, "a model");
  memcpy(m->values, values, sizeof m->values);
  TRY(sparse_copy(&data->train->by_user, &m->by_user, err));
  TRY(userknn_finish(m, err));
  *out = &m->base;
  m = NULL;
done:
  userknn_free(m ? &m->base : NULL);
  return status;
}

/* The k nearest users into the scratch; returns how many. near->score is the vote's weight. */
static size_t neighbours_find(const userknn *m, const history *h, float *similarity, scored *near) {
  uint32_t users = m->by_user.rows;
  memset(similarity, 0, users * sizeof *similarity);
  for (size_t j = 0; j < h->count; j++) {
    float add = m->item_scale[h->item[j]] * h->weight[j];
    for (uint64_t e = m->by_item.start[h->item[j]]; e < m->by_item.start[h->item[j] + 1]; e++)
      similarity[m->by_item.column[e]] += add;
  }
  for (uint32_t u = 0; u < users; u++) similarity[u] *= m->user_scale[u];
  size_t k = (size_t)m->values[0] < users ? (size_t)m->values[0] : users;
  size_t found = top_k(similarity, users, NULL, k, near), kept = 0;
  while (kept < found && near[kept].score > 0) kept++;
  float scale = kept ? 1 / near[0].score : 1; /* powers of tiny similarities would vanish */
  for (size_t n = 0; n < kept; n++) near[n].score = powf(near[n].score * scale, (float)m->values[2]);
  return kept;
}

static medley_status userknn_scratch(const userknn *m, recommender_scratch *scratch, float **similarity, scored **near,
                                     medley_error *err) {
  size_t users = m->by_user.rows, k = (size_t)m->values[0] + 1;
  *similarity = recommender_scratch_floats(scratch, users + 1);
  *near = (scored *)recommender_scratch_integers(scratch, k * sizeof(scored) / sizeof(uint32_t));
  return *similarity && *near ? MEDLEY_OK : error_memory(err, "neighbours");
}

static medley_status userknn_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                   medley_error *err) {
  const userknn *m = (const userknn *)r;
  float *similarity;
  scored *near;
  medley_status status = userknn_scratch(m, scratch, &similarity, &near, err);
  if (status != MEDLEY_OK) return status;
  size_t found = neighbours_find(m, h, similarity, near);
  memset(scores, 0, r->item_count * sizeof *scores);
  for (size_t n = 0; n < found; n++) {
    uint32_t u = near[n].index;
    for (uint64_t e = m->by_user.start[u]; e < m->by_user.start[u + 1]; e++)
      scores[m->by_user.column[e]] += near[n].score;
  }
  return MEDLEY_OK;
}

/* A vote is divided among the history items that made the neighbour one, in proportion to what each added to the
 * similarity. */
static medley_status userknn_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                   float *out, medley_error *err) {
  const userknn *m = (const userknn *)r;
  float *similarity;
  scored *near;
  medley_status status = userknn_scratch(m, scratch, &similarity, &near, err);
  if (status != MEDLEY_OK) return status;
  size_t found = neighbours_find(m, h, similarity, near);
  memset(out, 0, h->count * sizeof *out);
  for (size_t n = 0; n < found; n++) {
    uint32_t u = near[n].index;
    if (!sparse_has(&m->by_user, u, item) || !(similarity[u] > 0)) continue;
    for (size_t j = 0; j < h->count; j++)
      if (sparse_has(&m->by_user, u, h->item[j]))
        out[j] += near[n].score * m->item_scale[h->item[j]] * h->weight[j] * m->user_scale[u] / similarity[u];
  }
  return MEDLEY_OK;
}

static medley_status userknn_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const userknn *m = (const userknn *)r;
  TRY(model_add_f64(w, prefix, "settings", 3, m->values, err));
  TRY(model_add_sparse(w, prefix, "by_user", &m->by_user, err));
done:
  return status;
}

static medley_status userknn_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                  recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  userknn *m = NULL;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_settings(s, prefix, userknn_settings, m->values, err));
  TRY(model_get_sparse(s, prefix, "by_user", &m->by_user, err));
  TRY(model_check_items(s, prefix, data, m->by_user.columns, err));
  TRY(userknn_finish(m, err));
  *out = &m->base;
  m = NULL;
done:
  userknn_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_userknn = {
    .name = "userknn",
    .summary = "what people with a similar history chose",
    .source = "Resnick et al. 1994",
    .part = "taste",
    .settings = userknn_settings,
    .needs_history = true,
    .fit = userknn_fit,
    .score = userknn_score,
    .trace = userknn_trace,
    .save = userknn_save,
    .load = userknn_load,
    .free = userknn_free,
};
