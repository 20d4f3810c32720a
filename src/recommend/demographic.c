/* recommend/demographic.c: what people alike choose (demographic filtering: Krulwich 1997; Pazzani 1999), as naive
 * Bayes over their traits: age group, country, plan … (data/traits.h).
 *
 * With q_i the share of all people who chose item i, n_ti how many of those with trait t did, and T_f the person's
 * traits of field f, naive Bayes says log q_i + Σ_f 1/|T_f| Σ_{t ∈ T_f} log (n_ti + κ q_i) / (n_t + κ) q_i, where κ
 * average people join those of each trait. Less what is the same for all items,
 *
 *   score(i) = popularity · log (q_i / q_0) + strength Σ_f 1/|T_f| Σ_{t ∈ T_f} log (1 + n_ti / κ q_i),   κ = smoothing
 *
 * with q_0 for half a person, as which an item counts that nobody chose: its score is 0. The history is not read:
 * somebody who has done nothing yet is answered, and whoever nothing is known of gets what is popular.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

typedef struct demographic {
  recommender base;
  sparse lift;           /* [traits, items] log (1 + n_ti / κ q_i) */
  const uint32_t *field; /* [traits] ascending */
  const float *all;      /* [items] log (q_i / q_0) */
  float *mean;           /* [traits + 1] mean of a row of `lift` over the items, and of `all` */
  float *owned_all;
  uint32_t *owned_field;
  double values[3];
} demographic;

enum { SMOOTHING, STRENGTH, POPULARITY };

static const double smoothings[] = {20, 80, 320};
static const double strengths[] = {0.5, 1};
static const recommender_setting demographic_settings[] = {
    {"smoothing", "average people that join those of each trait", 80, 0.01, 1e6, smoothings, 3},
    {"strength", "how much each field counts; less than 1 where fields tell the same", 1, 0, 10, strengths, 2},
    {"popularity", "how much it counts how many people chose the item", 1, 0, 10, NULL, 0},
    {NULL},
};

static void demographic_free(recommender *r) {
  if (r == NULL) return;
  demographic *m = (demographic *)r;
  sparse_deinit(&m->lift);
  mem_free(m->owned_all);
  mem_free(m->owned_field);
  mem_free(m->mean);
  mem_free(m);
}

static medley_status demographic_accepts(const recommender_data *data, medley_error *err) {
  if (data->train->traits != NULL) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "nothing is known of people but what they did (medley import … users)");
}

/* ---- fitting ---- */

/* One trait's people: count [items] += their items. Touched items into `which`; returns how many. */
static size_t trait_count(const sparse *by_user, const sparse *holders, uint32_t trait, float *count, uint32_t *which) {
  size_t touched = 0;
  for (uint64_t h = holders->start[trait]; h < holders->start[trait + 1]; h++) {
    uint32_t user = holders->column[h];
    for (uint64_t e = by_user->start[user]; e < by_user->start[user + 1]; e++) {
      uint32_t item = by_user->column[e];
      if (count[item] == 0) which[touched++] = item;
      count[item] += 1;
    }
  }
  return touched;
}

static float everybody(const sparse *by_user) {
  float people = 0;
  for (uint32_t u = 0; u < by_user->rows; u++) people += by_user->start[u] < by_user->start[u + 1];
  return people;
}

typedef struct lifts {
  sparse_entry *entries;
  size_t count, capacity;
} lifts;

static medley_status lift_add(lifts *l, const demographic *m, const recommender_data *data, const sparse *holders,
                              uint32_t trait, float people, float *count, uint32_t *which, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double smoothing = m->values[SMOOTHING];
  size_t touched = trait_count(&data->train->by_user, holders, trait, count, which);
  TRY_GROW(l->entries, l->capacity, l->count + touched, "traits");
  for (size_t k = 0; k < touched; k++) {
    double share = (double)data->train->popularity[which[k]] / (double)people;
    l->entries[l->count++] =
        (sparse_entry){trait, which[k], (float)log1p((double)count[which[k]] / (smoothing * share))};
    count[which[k]] = 0;
  }
done:
  return status;
}

static medley_status lifts_find(demographic *m, const recommender_data *data, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const traits *t = data->train->traits;
  uint32_t items = data->train->by_user.columns;
  float *count = NULL, people = everybody(&data->train->by_user);
  uint32_t *which = NULL;
  sparse holders = {0};
  lifts l = {0};
  TRY_NEW(count, (size_t)items + 1, "traits");
  TRY_NEW(which, (size_t)items + 1, "traits");
  TRY(sparse_transpose(&t->rows, &holders, err));
  for (uint32_t k = 0; k < t->count; k++) {
    m->owned_field[k] = traits_field(t, k);
    TRY(lift_add(&l, m, data, &holders, k, people, count, which, err));
  }
  TRY(sparse_from_entries(t->count, items, l.entries, l.count, SPARSE_LAST, &m->lift, err));
  for (uint32_t i = 0; i < items; i++) m->owned_all[i] = logf(fmaxf(data->train->popularity[i], 0.5f) / 0.5f);
done:
  mem_free(count);
  mem_free(which);
  mem_free(l.entries);
  sparse_deinit(&holders);
  return status;
}

/* What split centres on. */
static medley_status means_find(demographic *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double all = 0, items = m->base.item_count;
  TRY_NEW(m->mean, (size_t)m->lift.rows + 1, "traits");
  for (uint32_t t = 0; t < m->lift.rows; t++) {
    double sum = 0;
    for (uint64_t e = m->lift.start[t]; e < m->lift.start[t + 1]; e++) sum += (double)m->lift.value[e];
    m->mean[t] = (float)(sum / fmax(items, 1));
  }
  for (uint32_t i = 0; i < m->base.item_count; i++) all += (double)m->all[i];
  m->mean[m->lift.rows] = (float)(all / fmax(items, 1));
done:
  return status;
}

static medley_status demographic_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                     recommender **out, medley_error *err) {
  (void)progress;
  medley_status status = MEDLEY_OK;
  demographic *m = NULL;
  uint32_t items = data->train->by_user.columns;
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_demographic, items};
  memcpy(m->values, values, sizeof m->values);
  TRY_NEW(m->owned_all, items, "traits");
  TRY_NEW(m->owned_field, data->train->traits->count, "traits");
  m->all = m->owned_all, m->field = m->owned_field;
  TRY(lifts_find(m, data, err));
  TRY(means_find(m, err));
  *out = &m->base;
  m = NULL;
done:
  demographic_free(m ? &m->base : NULL);
  return status;
}

/* ---- scoring ---- */

/* How much a trait of a person counts: its field is shared by as many of the person's. */
static float trait_weight(const demographic *m, const history *h, uint32_t trait) {
  size_t same = 0;
  for (size_t k = 0; k < h->trait_count && h->trait[k] < m->lift.rows; k++)
    same += m->field[h->trait[k]] == m->field[trait];
  return (float)m->values[STRENGTH] / (float)same;
}

static medley_status demographic_score(const recommender *r, const history *h, recommender_scratch *scratch,
                                       float *scores, medley_error *err) {
  const demographic *m = (const demographic *)r;
  (void)scratch, (void)err;
  for (uint32_t i = 0; i < r->item_count; i++) scores[i] = (float)m->values[POPULARITY] * m->all[i];
  for (size_t k = 0; k < h->trait_count && h->trait[k] < m->lift.rows; k++) {
    uint32_t trait = h->trait[k];
    float weight = trait_weight(m, h, trait);
    for (uint64_t e = m->lift.start[trait]; e < m->lift.start[trait + 1]; e++)
      scores[m->lift.column[e]] += weight * m->lift.value[e];
  }
  return MEDLEY_OK;
}

/* So that what everybody chooses is not said to be chosen by people alike. */
static size_t demographic_split(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                const char **names, float *values, size_t max) {
  const demographic *m = (const demographic *)r;
  float alike = 0;
  (void)scratch;
  for (size_t k = 0; k < h->trait_count && h->trait[k] < m->lift.rows; k++) {
    uint32_t trait = h->trait[k];
    uint64_t at = sparse_find(&m->lift, trait, item);
    bool there = at < m->lift.start[trait + 1] && m->lift.column[at] == item;
    alike += trait_weight(m, h, trait) * ((there ? m->lift.value[at] : 0) - m->mean[trait]);
  }
  const char *const name[] = {"popularity", r->kind->part};
  const float value[] = {(float)m->values[POPULARITY] * (m->all[item] - m->mean[m->lift.rows]), alike};
  size_t count = max < 2 ? max : 2;
  for (size_t k = 0; k < count; k++) names[k] = name[k], values[k] = value[k];
  return count;
}

static json_t *demographic_describe(const recommender *r) {
  const demographic *m = (const demographic *)r;
  uint32_t traits = m->lift.rows;
  return json_pack("{s:I, s:I}", "fields", (json_int_t)(traits > 0 ? m->field[traits - 1] + 1 : 0), "traits",
                   (json_int_t)traits);
}

/* ---- files ---- */

static medley_status demographic_save(const recommender *r, safetensors_writer *w, const char *prefix,
                                      medley_error *err) {
  medley_status status = MEDLEY_OK;
  const demographic *m = (const demographic *)r;
  TRY(model_add_f64(w, prefix, "settings", 3, m->values, err));
  TRY(model_add_f32(w, prefix, "all", 1, r->item_count, m->all, err));
  TRY(model_add_u32(w, prefix, "field", m->lift.rows, m->field, err));
  TRY(model_add_sparse(w, prefix, "lift", &m->lift, err));
done:
  return status;
}

static medley_status demographic_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                      recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  demographic *m = NULL;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_settings(s, prefix, demographic_settings, m->values, err));
  TRY(model_get_sparse(s, prefix, "lift", &m->lift, err));
  TRY(model_check_items(s, prefix, data, m->lift.columns, err));
  m->base = (recommender){&recommender_demographic, m->lift.columns};
  TRY(model_get_f32(s, prefix, "all", 1, m->lift.columns, &m->all, NULL, NULL, err));
  TRY(model_get_u32(s, prefix, "field", m->lift.rows, TRAIT_FIELDS_MAX, &m->field, NULL, err));
  TRY(means_find(m, err));
  *out = &m->base;
  m = NULL;
done:
  demographic_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_demographic = {
    .name = "demographic",
    .summary = "what people of the same age group, country … choose more than others",
    .source = "Pazzani 1999",
    .part = "people",
    .settings = demographic_settings,
    .reads_traits = true,
    .accepts = demographic_accepts,
    .fit = demographic_fit,
    .score = demographic_score,
    .split = demographic_split,
    .describe = demographic_describe,
    .save = demographic_save,
    .load = demographic_load,
    .free = demographic_free,
};
