/* recommend/popular.c: popular, trending, latest (F41): one number per item, the same for everybody. What a stranger
 * sees, and the tie-break for everybody else. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

typedef struct fixed_scores {
  recommender base;
  float *score; /* [items] */
} fixed_scores;

static void fixed_free(recommender *r) {
  if (r == NULL) return;
  mem_free(((fixed_scores *)r)->score);
  mem_free(r);
}

static medley_status fixed_create(const recommender_kind *kind, uint32_t item_count, fixed_scores **out,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  fixed_scores *m = NULL;
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){kind, item_count};
  TRY_NEW(m->score, item_count, "a model");
  *out = m;
  m = NULL;
done:
  fixed_free(m ? &m->base : NULL);
  return status;
}

static medley_status fixed_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                 medley_error *err) {
  (void)h;
  (void)scratch;
  (void)err;
  memcpy(scores, ((const fixed_scores *)r)->score, r->item_count * sizeof *scores);
  return MEDLEY_OK;
}

static medley_status fixed_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  return model_add_f32(w, prefix, "score", 1, r->item_count, ((const fixed_scores *)r)->score, err);
}

static medley_status fixed_load(const recommender_kind *kind, const safetensors *s, const char *prefix,
                                const recommender_data *data, recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  fixed_scores *m = NULL;
  const float *score;
  uint64_t count;
  TRY(model_get_f32(s, prefix, "score", 1, 0, &score, NULL, &count, err));
  TRY(model_check_items(s, prefix, data, count, err));
  TRY(fixed_create(kind, (uint32_t)count, &m, err));
  if (count > 0) memcpy(m->score, score, count * sizeof *score);
  *out = &m->base;
done:
  return status;
}

/* ---- popular ---- */

static medley_status popular_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                 recommender **out, medley_error *err) {
  (void)values;
  (void)progress;
  medley_status status = MEDLEY_OK;
  fixed_scores *m;
  uint32_t n = data->train->by_user.columns;
  TRY(fixed_create(&recommender_popular, n, &m, err));
  for (uint32_t i = 0; i < n; i++) m->score[i] = data->train->popularity[i];
  *out = &m->base;
done:
  return status;
}

static medley_status popular_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                  recommender **out, medley_error *err) {
  return fixed_load(&recommender_popular, s, prefix, data, out, err);
}

const recommender_kind recommender_popular = {
    .name = "popular",
    .summary = "how many people chose the item",
    .source = "the baseline of every evaluation",
    .part = "popularity",
    .fit = popular_fit,
    .score = fixed_score,
    .save = fixed_save,
    .load = popular_load,
    .free = fixed_free,
};

/* ---- trending ---- */

static const double half_lives[] = {1, 7, 30, 120};
static const recommender_setting trending_settings[] = {
    {"half_life_days", "days after which an event counts half", 30, 0.01, 10000, half_lives, 4},
    {NULL},
};

static medley_status trending_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                  recommender **out, medley_error *err) {
  (void)progress;
  medley_status status = MEDLEY_OK;
  fixed_scores *m;
  const interactions *x = data->train;
  TRY(fixed_create(&recommender_trending, x->by_user.columns, &m, err));
  for (uint64_t e = 0; e < sparse_count(&x->by_user); e++) {
    if (x->time_s == NULL || x->time_s[e] == STORE_TIME_UNKNOWN) continue;
    double age_days = (double)(x->newest_s - x->time_s[e]) / 86400;
    m->score[x->by_user.column[e]] += (float)exp2(-age_days / values[0]);
  }
  *out = &m->base;
done:
  return status;
}

static medley_status trending_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                   recommender **out, medley_error *err) {
  return fixed_load(&recommender_trending, s, prefix, data, out, err);
}

const recommender_kind recommender_trending = {
    .name = "trending",
    .summary = "how many people chose the item lately, each event fading with its age",
    .source = "exponential decay of counts",
    .part = "popularity",
    .settings = trending_settings,
    .needs_time = true,
    .fit = trending_fit,
    .score = fixed_score,
    .save = fixed_save,
    .load = trending_load,
    .free = fixed_free,
};

/* ---- latest ---- */

/* An item without a time of its own appeared with its first event. Scores are −log2(1 + age in weeks): a day matters
 * for a new item, not for an old one. Items of unknown age stand with the oldest. */
static medley_status latest_ages(const recommender_data *data, int64_t **born, int64_t *newest, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const interactions *x = data->train;
  uint32_t n = x->by_user.columns;
  *newest = STORE_TIME_UNKNOWN;
  TRY_NEW(*born, n, "item ages");
  for (uint32_t i = 0; i < n; i++) (*born)[i] = data->item_time_s ? data->item_time_s[i] : STORE_TIME_UNKNOWN;
  for (uint64_t e = 0; x->time_s != NULL && e < sparse_count(&x->by_user); e++) {
    uint32_t i = x->by_user.column[e];
    bool own = data->item_time_s != NULL && data->item_time_s[i] != STORE_TIME_UNKNOWN;
    if (own || x->time_s[e] == STORE_TIME_UNKNOWN) continue;
    if ((*born)[i] == STORE_TIME_UNKNOWN || x->time_s[e] < (*born)[i]) (*born)[i] = x->time_s[e];
  }
  for (uint32_t i = 0; i < n; i++)
    if ((*born)[i] > *newest) *newest = (*born)[i];
done:
  return status;
}

static medley_status latest_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                recommender **out, medley_error *err) {
  (void)values;
  (void)progress;
  medley_status status = MEDLEY_OK;
  fixed_scores *m = NULL;
  int64_t *born = NULL, newest;
  uint32_t n = data->train->by_user.columns;
  float oldest = 0;
  TRY(latest_ages(data, &born, &newest, err));
  TRY(fixed_create(&recommender_latest, n, &m, err));
  for (uint32_t i = 0; i < n; i++) {
    if (born[i] == STORE_TIME_UNKNOWN) continue;
    m->score[i] = -(float)log2(1 + (double)(newest - born[i]) / (7 * 86400.0));
    if (m->score[i] < oldest) oldest = m->score[i];
  }
  for (uint32_t i = 0; i < n; i++)
    if (born[i] == STORE_TIME_UNKNOWN) m->score[i] = oldest;
  *out = &m->base;
done:
  mem_free(born);
  return status;
}

static medley_status latest_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                 recommender **out, medley_error *err) {
  return fixed_load(&recommender_latest, s, prefix, data, out, err);
}

static medley_status latest_accepts(const recommender_data *data, medley_error *err) {
  if (data->item_time_s != NULL || data->train->time_s != NULL) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "neither items nor events have times");
}

const recommender_kind recommender_latest = {
    .name = "latest",
    .summary = "how new the item is",
    .source = "−log2(1 + age in weeks)",
    .part = "freshness",
    .scores_cold_items = true,
    .accepts = latest_accepts,
    .fit = latest_fit,
    .score = fixed_score,
    .save = fixed_save,
    .load = latest_load,
    .free = fixed_free,
};
