/* recommend/trust.c: trust propagation (Golbeck 2005; Jamali & Ester, KDD 2009): what people within a few hops of those
 * that somebody follows have chosen.
 *
 * With T the graph of who follows whom, its rows summing to one, and p₁ the person's own row,
 *
 *   p_{k+1} = Tᵀ p_k,   reach = Σ_{k ≤ hops} damping^{k−1} p_k,   score(i) = c_i^−item_exponent Σ_v reach_v x_vi /
 * |v|^a
 *
 * with a = length_exponent. That is where TrustWalker's random walk is expected to be after each step; here it is
 * summed up instead of drawn, so that an answer is the same twice, and without its look at similar items, which the
 * models of items are there for. The person is known by their row alone, which is read when asked: somebody who follows
 * others and has chosen nothing gets an answer, and one more follow counts at once.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

typedef struct trust {
  recommender base;
  sparse by_user;                 /* [users, items] */
  sparse graph;                   /* [users, users] T */
  float *user_scale, *item_scale; /* [users] |v|^−a, [items] c_i^−item_exponent */
  double values[4];
} trust;

enum { HOPS, DAMPING, LENGTH_EXPONENT, ITEM_EXPONENT };

static const double hop_counts[] = {1, 2, 3};
static const double dampings[] = {0.2, 0.5, 0.8};
static const double length_exponents[] = {0, 0.5, 1};
static const double item_exponents[] = {0, 0.25, 0.5};
static const recommender_setting trust_settings[] = {
    {"hops", "how far trust reaches", 2, 1, 10, hop_counts, 3},
    {"damping", "what is left of it after one more hop", 0.5, 0, 1, dampings, 3},
    {"length_exponent", "how much long histories are divided out", 0.5, 0, 1, length_exponents, 3},
    {"item_exponent", "how much popularity is divided out", 0, 0, 1, item_exponents, 3},
    {NULL},
};

static void trust_free(recommender *r) {
  if (r == NULL) return;
  trust *m = (trust *)r;
  sparse_deinit(&m->by_user);
  sparse_deinit(&m->graph);
  mem_free(m->user_scale);
  mem_free(m->item_scale);
  mem_free(m);
}

static medley_status trust_accepts(const recommender_data *data, medley_error *err) {
  if (data->train->social != NULL) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "nobody follows anybody (medley import … links)");
}

/* Everything else follows from the two matrices and the settings. */
static medley_status trust_finish(trust *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  m->base = (recommender){&recommender_trust, m->by_user.columns};
  TRY_NEW(m->user_scale, (size_t)m->by_user.rows + 1, "user lengths");
  TRY_NEW(m->item_scale, (size_t)m->by_user.columns + 1, "item weights");
  model_row_powers(&m->by_user, -m->values[LENGTH_EXPONENT], m->user_scale);
  for (uint64_t e = 0; e < sparse_count(&m->by_user); e++) m->item_scale[m->by_user.column[e]] += 1;
  for (uint32_t i = 0; i < m->by_user.columns; i++)
    m->item_scale[i] = m->item_scale[i] > 0 ? powf(m->item_scale[i], -(float)m->values[ITEM_EXPONENT]) : 0;
done:
  return status;
}

static medley_status trust_fit(const recommender_data *data, const double *values, progress_stage *progress,
                               recommender **out, medley_error *err) {
  (void)progress;
  medley_status status = MEDLEY_OK;
  trust *m = NULL;
  float *sums = NULL;
  uint32_t users = data->train->by_user.rows;
  TRY_NEW(m, 1, "a model");
  TRY_NEW(sums, (size_t)users + 1, "trust");
  memcpy(m->values, values, sizeof m->values);
  TRY(sparse_copy(&data->train->by_user, &m->by_user, err));
  TRY(sparse_copy(data->train->social, &m->graph, err));
  sparse_row_sums(&m->graph, sums);
  for (uint32_t u = 0; u < users; u++) sums[u] = sums[u] > 0 ? 1 / sums[u] : 0;
  sparse_scale(&m->graph, sums, NULL);
  TRY(trust_finish(m, err));
  *out = &m->base;
  m = NULL;
done:
  mem_free(sums);
  trust_free(m ? &m->base : NULL);
  return status;
}

/* reach [users]; now and next [users] are room. */
static void trust_walk(const trust *m, const history *h, float *reach, float *now, float *next) {
  uint32_t users = m->by_user.rows;
  double sum = 0, weight = 1;
  memset(reach, 0, users * sizeof *reach);
  memset(now, 0, users * sizeof *now);
  for (size_t f = 0; f < h->friend_count; f++)
    if (h->friends[f] < users) sum += (double)h->trust[f];
  for (size_t f = 0; f < h->friend_count; f++)
    if (h->friends[f] < users) now[h->friends[f]] = (float)((double)h->trust[f] / sum);
  for (int hop = 1; hop <= (int)m->values[HOPS] && weight > 0; hop++, weight *= m->values[DAMPING]) {
    memset(next, 0, users * sizeof *next);
    for (uint32_t v = 0; v < users; v++) {
      if (now[v] == 0) continue;
      reach[v] += (float)weight * now[v];
      for (uint64_t e = m->graph.start[v]; e < m->graph.start[v + 1]; e++)
        next[m->graph.column[e]] += now[v] * m->graph.value[e];
    }
    float *swap = now;
    now = next;
    next = swap;
  }
}

static medley_status trust_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                 medley_error *err) {
  const trust *m = (const trust *)r;
  size_t users = m->by_user.rows;
  memset(scores, 0, r->item_count * sizeof *scores);
  if (h->friend_count == 0) return MEDLEY_OK;
  float *reach = recommender_scratch_floats(scratch, 3 * users + 1);
  if (reach == NULL) return error_memory(err, "trust");
  trust_walk(m, h, reach, reach + users, reach + 2 * users);
  for (uint32_t v = 0; v < users; v++) {
    float vote = reach[v] * m->user_scale[v];
    if (vote == 0) continue;
    for (uint64_t e = m->by_user.start[v]; e < m->by_user.start[v + 1]; e++)
      scores[m->by_user.column[e]] += vote * m->by_user.value[e];
  }
  for (uint32_t i = 0; i < r->item_count; i++) scores[i] *= m->item_scale[i];
  return MEDLEY_OK;
}

static size_t trust_count_friends(const recommender *r, const history *h, uint32_t item) {
  const trust *m = (const trust *)r;
  size_t count = 0;
  for (size_t f = 0; f < h->friend_count; f++)
    count += h->friends[f] < m->by_user.rows && sparse_has(&m->by_user, h->friends[f], item);
  return count;
}

static medley_status trust_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const trust *m = (const trust *)r;
  TRY(model_add_f64(w, prefix, "settings", 4, m->values, err));
  TRY(model_add_sparse(w, prefix, "by_user", &m->by_user, err));
  TRY(model_add_sparse(w, prefix, "graph", &m->graph, err));
done:
  return status;
}

static medley_status trust_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  trust *m = NULL;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_settings(s, prefix, trust_settings, m->values, err));
  TRY(model_get_sparse(s, prefix, "by_user", &m->by_user, err));
  TRY(model_get_sparse(s, prefix, "graph", &m->graph, err));
  if (m->graph.rows != m->by_user.rows || m->graph.columns != m->by_user.rows)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' has %u users, and a graph of %u × %u", s->path, prefix, m->by_user.rows,
         m->graph.rows, m->graph.columns);
  TRY(model_check_items(s, prefix, data, m->by_user.columns, err));
  TRY(trust_finish(m, err));
  *out = &m->base;
  m = NULL;
done:
  trust_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_trust = {
    .name = "trust",
    .summary = "what those chose whom the person follows, and whom these follow",
    .source = "Golbeck 2005; Jamali & Ester 2009",
    .part = "trust",
    .settings = trust_settings,
    .needs_history = true,
    .reads_friends = true,
    .accepts = trust_accepts,
    .fit = trust_fit,
    .score = trust_score,
    .count_friends = trust_count_friends,
    .save = trust_save,
    .load = trust_load,
    .free = trust_free,
};
