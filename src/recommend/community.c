/* recommend/community.c: what the communities of a person choose beyond the average.
 *
 * Communities are those of who follows whom, or, where nobody follows anybody, of people with a like history: each
 * joined to the nearest of the others by the cosine of histories whose items weigh c_i^−½. communities.h finds them.
 * With n_ci members of c who chose i, |c| members, and q_i the share of all members who chose it,
 *
 *   score(i) = q_i^−e ( Σ_c m_c (n_ci + κ q_i) / (|c| + κ) − q_i ),   e = item_exponent, κ = smoothing
 *
 * m_c is how much the person belongs to c: as much of their trust as goes there, mixed with where what they chose is
 * chosen more than elsewhere, Σ_{j ∈ h} w_j max(0, n_cj / c_j − |c| / n); each sums to one, and where one is missing
 * the other stands alone. So a person who follows others has communities before the first click.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "recommend/communities.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

#define WORK_MAX 4e9 /* pairs of events that are multiplied for the graph of like histories: some ten seconds */

typedef struct community {
  recommender base;
  uint32_t *label; /* [users] community + 1; 0: none */
  uint32_t users;  /* of label */
  sparse members;  /* [communities, items] n_ci */
  sparse by_item;  /* its transpose */
  float *size;     /* [communities] */
  float *share;    /* [items] q_i */
  float *scale;    /* [items] q_i^−e */
  float everybody; /* n: who has a community */
  double values[5];
} community;

enum { RESOLUTION, SMOOTHING, ITEM_EXPONENT, FRIENDS, NEIGHBOURS };

static const double resolutions[] = {1, 4, 16};
static const double smoothings[] = {5, 20, 80};
static const double item_exponents[] = {0, 0.5};
static const double friend_shares[] = {0.3, 0.7};
static const recommender_setting community_settings[] = {
    {"resolution", "how small communities are", 4, 0.01, 1000, resolutions, 3},
    {"smoothing", "average people that join each community", 20, 0.01, 100000, smoothings, 3},
    {"item_exponent", "how much popularity is divided out", 0.5, 0, 1, item_exponents, 2},
    {"friends", "share of friends in where a person belongs", 0.7, 0, 1, friend_shares, 2},
    {"neighbours", "people joined to each by like histories, where nobody follows anybody", 20, 1, 1000, NULL, 0},
    {NULL},
};

static void community_free(recommender *r) {
  if (r == NULL) return;
  community *m = (community *)r;
  mem_free(m->label);
  sparse_deinit(&m->members);
  sparse_deinit(&m->by_item);
  mem_free(m->size);
  mem_free(m->share);
  mem_free(m->scale);
  mem_free(m);
}

static medley_status community_accepts(const recommender_data *data, medley_error *err) {
  double work = 0;
  for (uint32_t i = 0; data->train->social == NULL && i < data->train->by_user.columns; i++)
    work += (double)data->train->popularity[i] * (double)data->train->popularity[i];
  if (work <= WORK_MAX) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_LIMIT, "comparing everybody's history takes %.0f million steps, the limit is %.0f",
                   work / 1e6, WORK_MAX / 1e6);
}

static bool community_by_itself(const recommender_data *data) { return data->train->social != NULL; }

/* ---- the graph ---- */

/* a + aᵀ without the diagonal. */
static medley_status symmetric(const sparse *a, sparse *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse_entry *entries = NULL;
  size_t kept = 0;
  TRY_NEW(entries, 2 * sparse_count(a) + 1, "a graph");
  for (uint32_t u = 0; u < a->rows; u++)
    for (uint64_t e = a->start[u]; e < a->start[u + 1]; e++) {
      if (a->column[e] == u || !(a->value[e] > 0)) continue;
      entries[kept++] = (sparse_entry){u, a->column[e], a->value[e]};
      entries[kept++] = (sparse_entry){a->column[e], u, a->value[e]};
    }
  TRY(sparse_from_entries(a->rows, a->rows, entries, kept, SPARSE_SUM, out, err));
done:
  mem_free(entries);
  return status;
}

static medley_status like_histories(const interactions *train, size_t neighbours, sparse *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse rows = {0}, columns = {0}, near = {0};
  float *item = NULL, *user = NULL;
  uint32_t users = train->by_user.rows, items = train->by_user.columns;
  TRY_NEW(item, (size_t)items + 1, "a graph");
  TRY_NEW(user, (size_t)users + 1, "a graph");
  TRY(sparse_copy(&train->by_user, &rows, err));
  for (uint64_t e = 0; e < sparse_count(&rows); e++) rows.value[e] = 1;
  model_row_powers(&train->by_item, -0.5, item);
  sparse_scale(&rows, NULL, item);
  for (uint32_t u = 0; u < users; u++) {
    double square = 0;
    for (uint64_t e = rows.start[u]; e < rows.start[u + 1]; e++)
      square += (double)rows.value[e] * (double)rows.value[e];
    user[u] = square > 0 ? (float)(1 / sqrt(square)) : 0;
  }
  sparse_scale(&rows, user, NULL);
  TRY(sparse_transpose(&rows, &columns, err));
  TRY(sparse_multiply(&rows, &columns, neighbours + 1, &near, err)); /* the nearest is the person */
  TRY(symmetric(&near, out, err));
done:
  sparse_deinit(&rows);
  sparse_deinit(&columns);
  sparse_deinit(&near);
  mem_free(item);
  mem_free(user);
  return status;
}

/* ---- fitting ---- */

/* What follows from labels, members and settings. */
static medley_status community_finish(community *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  m->base = (recommender){&recommender_community, m->members.columns};
  TRY(sparse_transpose(&m->members, &m->by_item, err));
  TRY_NEW(m->size, (size_t)m->members.rows + 1, "communities");
  TRY_NEW(m->share, (size_t)m->members.columns + 1, "communities");
  TRY_NEW(m->scale, (size_t)m->members.columns + 1, "communities");
  for (uint32_t u = 0; u < m->users; u++) {
    if (m->label[u] == 0) continue;
    m->size[m->label[u] - 1] += 1;
    m->everybody += 1;
  }
  sparse_row_sums(&m->by_item, m->share);
  for (uint32_t i = 0; i < m->members.columns; i++) {
    m->share[i] = m->everybody > 0 ? m->share[i] / m->everybody : 0;
    m->scale[i] = m->share[i] > 0 ? powf(m->share[i], -(float)m->values[ITEM_EXPONENT]) : 0;
  }
done:
  return status;
}

static medley_status members_count(community *m, const sparse *by_user, uint32_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse_entry *entries = NULL;
  size_t kept = 0;
  TRY_NEW(entries, sparse_count(by_user) + 1, "communities");
  for (uint32_t u = 0; u < by_user->rows; u++)
    for (uint64_t e = by_user->start[u]; m->label[u] > 0 && e < by_user->start[u + 1]; e++)
      entries[kept++] = (sparse_entry){m->label[u] - 1, by_user->column[e], 1};
  TRY(sparse_from_entries(count, by_user->columns, entries, kept, SPARSE_SUM, &m->members, err));
done:
  mem_free(entries);
  return status;
}

static medley_status community_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                   recommender **out, medley_error *err) {
  (void)progress;
  medley_status status = MEDLEY_OK;
  community *m = NULL;
  sparse graph = {0};
  uint32_t count;
  TRY_NEW(m, 1, "a model");
  memcpy(m->values, values, sizeof m->values);
  m->users = data->train->by_user.rows;
  TRY_NEW(m->label, (size_t)m->users + 1, "communities");
  if (data->train->social != NULL)
    TRY(symmetric(data->train->social, &graph, err));
  else
    TRY(like_histories(data->train, (size_t)values[NEIGHBOURS], &graph, err));
  TRY(communities_find(&graph, values[RESOLUTION], data->seed, m->label, &count, err));
  for (uint32_t u = 0; u < m->users; u++) m->label[u]++; /* COMMUNITY_NONE becomes 0 */
  TRY(members_count(m, &data->train->by_user, count, err));
  TRY(community_finish(m, err));
  *out = &m->base;
  m = NULL;
done:
  sparse_deinit(&graph);
  community_free(m ? &m->base : NULL);
  return status;
}

/* ---- scoring ---- */

/* Adds `part` of a belonging that sums to `sum`. */
static void belong_add(const float *one, size_t count, double sum, double part, float *belongs) {
  for (size_t c = 0; c < count; c++) belongs[c] += (float)(part * (double)one[c] / sum);
}

static double friends_belong(const community *m, const history *h, float *one) {
  double sum = 0;
  memset(one, 0, m->members.rows * sizeof *one);
  for (size_t f = 0; f < h->friend_count; f++) {
    if (h->friends[f] >= m->users || m->label[h->friends[f]] == 0) continue;
    one[m->label[h->friends[f]] - 1] += h->trust[f];
    sum += (double)h->trust[f];
  }
  return sum;
}

static double history_belongs(const community *m, const history *h, float *one) {
  double sum = 0;
  memset(one, 0, m->members.rows * sizeof *one);
  for (size_t j = 0; j < h->count; j++) {
    float chosen = m->share[h->item[j]] * m->everybody;
    for (uint64_t e = m->by_item.start[h->item[j]]; e < m->by_item.start[h->item[j] + 1]; e++) {
      uint32_t c = m->by_item.column[e];
      float beyond = m->by_item.value[e] / chosen - m->size[c] / m->everybody;
      if (!(beyond > 0)) continue;
      one[c] += h->weight[j] * beyond;
      sum += (double)(h->weight[j] * beyond);
    }
  }
  return sum;
}

/* belongs [communities]: m_c; false when nothing is known. one: room. */
static bool belongs_find(const community *m, const history *h, float *belongs, float *one) {
  size_t count = m->members.rows;
  memset(belongs, 0, count * sizeof *belongs);
  double by_friends = friends_belong(m, h, one);
  if (by_friends > 0) belong_add(one, count, by_friends, m->values[FRIENDS], belongs);
  double by_history = history_belongs(m, h, one);
  if (by_history > 0) belong_add(one, count, by_history, 1 - m->values[FRIENDS], belongs);
  double known = (by_friends > 0 ? m->values[FRIENDS] : 0) + (by_history > 0 ? 1 - m->values[FRIENDS] : 0);
  for (size_t c = 0; c < count && known > 0; c++) belongs[c] = (float)((double)belongs[c] / known);
  return known > 0;
}

static medley_status community_score(const recommender *r, const history *h, recommender_scratch *scratch,
                                     float *scores, medley_error *err) {
  const community *m = (const community *)r;
  size_t count = m->members.rows;
  float smoothing = (float)m->values[SMOOTHING], average = 0;
  float *belongs = recommender_scratch_floats(scratch, 2 * count + 1);
  memset(scores, 0, r->item_count * sizeof *scores);
  if (belongs == NULL) return error_memory(err, "communities");
  if (!belongs_find(m, h, belongs, belongs + count)) return MEDLEY_OK;
  for (uint32_t c = 0; c < count; c++) {
    float weight = belongs[c] / (m->size[c] + smoothing);
    if (weight == 0) continue;
    average += weight * smoothing;
    for (uint64_t e = m->members.start[c]; e < m->members.start[c + 1]; e++)
      scores[m->members.column[e]] += weight * m->members.value[e];
  }
  for (uint32_t i = 0; i < r->item_count; i++) scores[i] = (scores[i] + (average - 1) * m->share[i]) * m->scale[i];
  return MEDLEY_OK;
}

static json_t *community_describe(const recommender *r) {
  const community *m = (const community *)r;
  double largest = 0;
  for (uint32_t c = 0; c < m->members.rows; c++) largest = fmax(largest, (double)m->size[c]);
  return json_pack("{s:I, s:I, s:I}", "communities", (json_int_t)m->members.rows, "largest", (json_int_t)largest,
                   "people", (json_int_t)m->everybody);
}

/* ---- files ---- */

static medley_status community_save(const recommender *r, safetensors_writer *w, const char *prefix,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  const community *m = (const community *)r;
  TRY(model_add_f64(w, prefix, "settings", 5, m->values, err));
  TRY(model_add_u32(w, prefix, "label", m->users, m->label, err));
  TRY(model_add_sparse(w, prefix, "members", &m->members, err));
done:
  return status;
}

static medley_status community_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                    recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  community *m = NULL;
  const uint32_t *label;
  uint64_t users;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_settings(s, prefix, community_settings, m->values, err));
  TRY(model_get_sparse(s, prefix, "members", &m->members, err));
  TRY(model_check_items(s, prefix, data, m->members.columns, err));
  TRY(model_get_u32(s, prefix, "label", 0, m->members.rows + 1, &label, &users, err));
  if (users > UINT32_MAX - 1) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' has too many users", s->path, prefix);
  m->users = (uint32_t)users;
  TRY_NEW(m->label, (size_t)users + 1, "communities");
  if (users > 0) memcpy(m->label, label, users * sizeof *label);
  TRY(community_finish(m, err));
  *out = &m->base;
  m = NULL;
done:
  community_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_community = {
    .name = "community",
    .summary = "what the communities of a person choose beyond the average",
    .source = "Blondel et al. 2008",
    .part = "community",
    .settings = community_settings,
    .needs_history = true,
    .reads_friends = true,
    .accepts = community_accepts,
    .by_itself = community_by_itself,
    .fit = community_fit,
    .score = community_score,
    .describe = community_describe,
    .save = community_save,
    .load = community_load,
    .free = community_free,
};
