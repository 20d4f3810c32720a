/* recommend/content_map.c: the model of content mapped into the collaborative space: see content_map.h for its letters
 * and content_map_fit.c for how it is found. score(u, i) = (Σ_j x_j H_j) · F(i), for items with and without events
 * alike. */
#include "recommend/content_map.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/kinds.h"

typedef struct content_map {
  recommender base;
  content_parts parts;
  active_items active;
  size_t rank;
  const float *history_factors; /* [active, rank] */
  const float *projection;      /* [dim, rank] */
  float *owned_history, *owned_projection;
  float *item_factors;            /* [items, rank] */
  float *part_mean;               /* [parts, rank] mean of φ_m(i) P_m over items, for split */
  float weight[FEATURES_MAX + 1]; /* of each modality, as the fit found them; only for describe */
  float lambda;
} content_map;

static const recommender_setting content_map_settings_table[] = {
    {"ridge", "the middle of the λ of the EASE it starts from, as a multiple of the mean diagonal", 5, 1e-3, 1e5, NULL,
     0},
    {"output_exponent", "scores are divided by relative popularity to this power before they are learned", 0.1, -1, 1,
     NULL, 0},
    {NULL},
};

static void content_map_free(recommender *r) {
  if (r == NULL) return;
  content_map *m = (content_map *)r;
  active_items_deinit(&m->active);
  mem_free(m->owned_history);
  mem_free(m->owned_projection);
  mem_free(m->item_factors);
  mem_free(m->part_mean);
  mem_free(m);
}

/* Where one modality puts an item: out [rank] += φ_m(i) P_m. */
static void part_place(const content_map *m, size_t p, uint32_t item, float *out) {
  const features *f = &m->parts.part[p];
  if (!f->present[item]) return;
  const float *row = f->values + (size_t)item * f->dim, *projection = m->projection + m->parts.offset[p] * m->rank;
  for (size_t d = 0; d < f->dim; d++)
    if (row[d] != 0) vector_add_scaled(out, row[d], projection + d * m->rank, m->rank);
}

static medley_status content_map_place(content_map *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t n = m->base.item_count;
  const float *constant = m->projection + (m->parts.dim - 1) * m->rank;
  TRY_NEW(m->item_factors, (size_t)n * m->rank, "item factors");
  TRY_NEW(m->part_mean, (m->parts.count + 1) * m->rank, "item factors");
#pragma omp parallel for schedule(static)
  for (uint32_t i = 0; i < n; i++) {
    float *out = m->item_factors + (size_t)i * m->rank;
    memcpy(out, constant, m->rank * sizeof *out);
    for (size_t p = 0; p < m->parts.count; p++) part_place(m, p, i, out);
  }
  for (size_t p = 0; p < m->parts.count; p++) {
    float *mean = m->part_mean + p * m->rank;
    for (uint32_t i = 0; i < n; i++) part_place(m, p, i, mean);
    vector_scale(mean, n ? 1.0f / (float)n : 0, m->rank);
  }
done:
  return status;
}

static medley_status content_map_fit_model(const recommender_data *data, const double *values, progress_stage *progress,
                                           recommender **out, medley_error *err) {
  (void)progress;
  medley_status status = MEDLEY_OK;
  content_map *m = NULL;
  content_map_fit found = {0};
  content_map_settings settings = {.ridge = values[0], .output_exponent = values[1], .seed = data->seed};
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_content_map, data->train->by_user.columns};
  content_parts_init(&m->parts, data->features, data->feature_count);
  TRY(active_items_find(data->train, &m->active, err));
  TRY(content_map_solve(data->train, &m->active, &m->parts, &settings, &found, err));
  m->rank = found.rank;
  memcpy(m->weight, found.weight, sizeof m->weight);
  m->lambda = found.lambda;
  m->history_factors = m->owned_history = found.history_factors;
  m->projection = m->owned_projection = found.projection;
  found = (content_map_fit){.rank = found.rank};
  TRY(content_map_place(m, err));
  *out = &m->base;
  m = NULL;
done:
  mem_free(found.history_factors);
  mem_free(found.projection);
  content_map_free(m ? &m->base : NULL);
  return status;
}

/* u [rank] = Σ_j x_j H_j, in the scratch. */
static float *user_place(const content_map *m, const history *h, recommender_scratch *scratch) {
  float *u = recommender_scratch_floats(scratch, 2 * m->rank + 1);
  if (u == NULL) return NULL;
  memset(u, 0, m->rank * sizeof *u);
  for (size_t j = 0; j < h->count; j++) {
    uint32_t at = m->active.position[h->item[j]];
    if (at != UINT32_MAX) vector_add_scaled(u, h->weight[j], m->history_factors + (size_t)at * m->rank, m->rank);
  }
  return u;
}

static medley_status content_map_score(const recommender *r, const history *h, recommender_scratch *scratch,
                                       float *scores, medley_error *err) {
  const content_map *m = (const content_map *)r;
  const float *u = user_place(m, h, scratch);
  if (u == NULL) return error_memory(err, "scores");
  matrix_times_vector(r->item_count, m->rank, m->item_factors, u, scores);
  return MEDLEY_OK;
}

static medley_status content_map_trace(const recommender *r, const history *h, uint32_t item,
                                       recommender_scratch *scratch, float *out, medley_error *err) {
  (void)scratch;
  (void)err;
  const content_map *m = (const content_map *)r;
  for (size_t j = 0; j < h->count; j++) {
    uint32_t at = m->active.position[h->item[j]];
    out[j] = at == UINT32_MAX ? 0
                              : h->weight[j] * vector_dot(m->history_factors + (size_t)at * m->rank,
                                                          m->item_factors + (size_t)item * m->rank, m->rank);
  }
  return MEDLEY_OK;
}

static size_t content_map_split(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                const char **names, float *values, size_t max) {
  const content_map *m = (const content_map *)r;
  const float *u = user_place(m, h, scratch);
  size_t count = 0;
  if (u == NULL) return 0;
  float *place = scratch->floats + m->rank;
  for (size_t p = 0; p < m->parts.count && count < max; p++) {
    memset(place, 0, m->rank * sizeof *place);
    part_place(m, p, item, place);
    names[count] = m->parts.part[p].name;
    values[count++] = vector_dot(u, place, m->rank) - vector_dot(u, m->part_mean + p * m->rank, m->rank);
  }
  return count;
}

static json_t *content_map_describe(const recommender *r) {
  const content_map *m = (const content_map *)r;
  json_t *weights = json_object();
  for (size_t p = 0; p < m->parts.count; p++)
    json_object_set_new(weights, m->parts.part[p].name, json_real((double)m->weight[p]));
  return json_pack("{s:o, s:f, s:I}", "modality_weights", weights, "lambda", (double)m->lambda, "rank",
                   (json_int_t)m->rank);
}

static medley_status content_map_save(const recommender *r, safetensors_writer *w, const char *prefix,
                                      medley_error *err) {
  medley_status status = MEDLEY_OK;
  const content_map *m = (const content_map *)r;
  TRY(model_add_u32(w, prefix, "items", 1, &r->item_count, err));
  TRY(model_add_u32(w, prefix, "active", m->active.count, m->active.item, err));
  TRY(model_add_f32(w, prefix, "history_factors", m->active.count, m->rank, m->history_factors, err));
  TRY(model_add_f32(w, prefix, "projection", m->parts.dim, m->rank, m->projection, err));
done:
  return status;
}

static medley_status content_map_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                      recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  content_map *m = NULL;
  const uint32_t *items, *active;
  uint64_t count, rank;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_u32(s, prefix, "items", 1, UINT32_MAX, &items, NULL, err));
  TRY(model_check_items(s, prefix, data, items[0], err));
  TRY(model_get_u32(s, prefix, "active", 0, items[0], &active, &count, err));
  m->base = (recommender){&recommender_content_map, items[0]};
  for (size_t p = 0; p < data->feature_count; p++)
    if (data->features[p].count != items[0])
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: vectors of %zu items, '%s' scores %u", s->path, data->features[p].count,
           prefix, items[0]);
  content_parts_init(&m->parts, data->features, data->feature_count);
  TRY(active_items_from(active, count, items[0], &m->active, err));
  TRY(model_get_f32(s, prefix, "history_factors", count, 0, &m->history_factors, NULL, &rank, err));
  TRY(model_get_f32(s, prefix, "projection", m->parts.dim, rank, &m->projection, NULL, NULL, err));
  m->rank = rank;
  TRY(content_map_place(m, err));
  *out = &m->base;
  m = NULL;
done:
  content_map_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_content_map = {
    .name = "content_map",
    .summary = "content mapped into the space of what people choose together, with a weight per modality",
    .source = "kernel ridge to the columns of EASE; after Gantner et al. 2010",
    .part = "content",
    .settings = content_map_settings_table,
    .scores_cold_items = true,
    .needs_history = true,
    .needs_features = true,
    .fit = content_map_fit_model,
    .score = content_map_score,
    .trace = content_map_trace,
    .split = content_map_split,
    .describe = content_map_describe,
    .save = content_map_save,
    .load = content_map_load,
    .free = content_map_free,
};
