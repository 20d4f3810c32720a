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

#define FACTOR_MIN 1e-3f /* of a file: less would be no factor, and what is divided by it no number */

typedef struct content_map {
  recommender base;
  content_parts parts;
  active_items active;
  size_t rank;
  const float *history_factors; /* [active, rank] */
  const float *projection;      /* [dim, rank] */
  const float *item_factors;    /* [items, rank] */
  const float *item_factor;     /* [items] s(i) in them */
  content_map_fit owned;        /* what was fitted here; its weights are for describe */
  float *part_mean;             /* [parts + 2, rank] mean over items of φ_m(i) P_m, of what pairs and popularity add */
  uint32_t pairs;               /* 1: F has what pairs of properties add, 0: F is φ P */
} content_map;

static const recommender_setting content_map_settings_table[] = {
    {"ridge", "the middle of the λ of the EASE it starts from, as a multiple of the mean diagonal", 3, 1e-3, 1e5, NULL,
     0},
    {"output_exponent", "scores are divided by relative popularity to this power before they are learned", 0.4, -1, 1,
     NULL, 0},
    {"popularity", "scores are multiplied by the popularity that content speaks for, to this power", 0.2, 0, 2, NULL,
     0},
    {NULL},
};

static void content_map_free(recommender *r) {
  if (r == NULL) return;
  content_map *m = (content_map *)r;
  active_items_deinit(&m->active);
  content_map_fit_deinit(&m->owned);
  mem_free(m->part_mean);
  mem_free(m);
}

/* Where one modality puts an item, but for s(i): out [rank] += φ_m(i) P_m. */
static void part_place(const content_map *m, size_t p, uint32_t item, float *out) {
  const features *f = &m->parts.part[p];
  if (!f->present[item]) return;
  const float *row = f->values + (size_t)item * f->dim, *projection = m->projection + m->parts.offset[p] * m->rank;
  for (size_t d = 0; d < f->dim; d++)
    if (row[d] != 0) vector_add_scaled(out, row[d], projection + d * m->rank, m->rank);
}

/* Where all modalities put an item, but for s(i): out [rank] = φ(i) P. */
static void parts_place(const content_map *m, uint32_t item, float *out) {
  memcpy(out, m->projection + (m->parts.dim - 1) * m->rank, m->rank * sizeof *out);
  for (size_t p = 0; p < m->parts.count; p++) part_place(m, p, item, out);
}

static medley_status content_map_place(content_map *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t n = m->base.item_count;
  TRY_NEW(m->owned.item_factors, (size_t)n * m->rank + 1, "item factors");
#pragma omp parallel for schedule(static)
  for (uint32_t i = 0; i < n; i++) {
    float *place = m->owned.item_factors + (size_t)i * m->rank;
    parts_place(m, i, place);
    vector_scale(place, m->item_factor[i], m->rank);
  }
  m->item_factors = m->owned.item_factors;
done:
  return status;
}

/* What pairs of properties add to where an item is: what is not there by the modalities one by one. */
static void pairs_place(const content_map *m, uint32_t item, float *out) {
  parts_place(m, item, out);
  const float *place = m->item_factors + (size_t)item * m->rank;
  for (size_t d = 0; d < m->rank; d++) out[d] = place[d] / m->item_factor[item] - out[d];
}

/* What popularity adds: what is there with s(i) and not without. */
static void popularity_place(const content_map *m, uint32_t item, float *out) {
  const float *place = m->item_factors + (size_t)item * m->rank;
  for (size_t d = 0; d < m->rank; d++) out[d] = place[d] * (1 - 1 / m->item_factor[item]);
}

/* The mean over items of each modality's place is that of their mean row; what pairs add is what is left. */
static medley_status content_map_means(content_map *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t n = m->base.item_count;
  float *row = NULL, *pairs, *popularity;
  TRY_NEW(m->part_mean, (m->parts.count + 2) * m->rank, "item factors");
  TRY_NEW(row, m->parts.dim, "item factors");
  pairs = m->part_mean + m->parts.count * m->rank;
  popularity = pairs + m->rank;
  for (uint32_t i = 0; i < n; i++) {
    const float *place = m->item_factors + (size_t)i * m->rank;
    float without = 1 / m->item_factor[i];
    vector_add_scaled(pairs, without / (float)n, place, m->rank);
    vector_add_scaled(popularity, (1 - without) / (float)n, place, m->rank);
  }
  vector_add_scaled(pairs, -1, m->projection + (m->parts.dim - 1) * m->rank, m->rank);
  for (size_t p = 0; p < m->parts.count; p++) {
    const features *f = &m->parts.part[p];
    float *mean = m->part_mean + p * m->rank;
    memset(row, 0, f->dim * sizeof *row);
    for (uint32_t i = 0; i < n; i++)
      if (f->present[i]) vector_add_scaled(row, 1.0f / (float)n, f->values + (size_t)i * f->dim, f->dim);
    for (size_t d = 0; d < f->dim; d++)
      vector_add_scaled(mean, row[d], m->projection + (m->parts.offset[p] + d) * m->rank, m->rank);
    vector_add_scaled(pairs, -1, mean, m->rank);
  }
done:
  mem_free(row);
  return status;
}

/* The model's arrays are those of `owned`. */
static medley_status content_map_settle(content_map *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  m->rank = m->owned.rank;
  m->history_factors = m->owned.history_factors;
  m->projection = m->owned.projection;
  m->item_factors = m->owned.item_factors;
  m->item_factor = m->owned.item_factor;
  m->pairs = m->item_factors != NULL;
  if (m->item_factors == NULL)
    TRY(content_map_place(m, err));
  else
    for (uint32_t i = 0; i < m->base.item_count; i++)
      vector_scale(m->owned.item_factors + (size_t)i * m->rank, m->item_factor[i], m->rank);
  TRY(content_map_means(m, err));
done:
  return status;
}

static medley_status content_map_fit_model(const recommender_data *data, const double *values, progress_stage *progress,
                                           recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  content_map *m = NULL;
  content_map_settings settings = {.ridge = values[0],
                                   .output_exponent = values[1],
                                   .popularity = values[2],
                                   .seed = data->seed,
                                   .progress = progress};
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_content_map, data->train->by_user.columns};
  content_parts_init(&m->parts, data->features, data->feature_count);
  TRY(active_items_find(data->train, &m->active, err));
  TRY(content_map_solve(data->train, &m->active, &m->parts, &settings, &m->owned, err));
  TRY(content_map_settle(m, err));
  *out = &m->base;
  m = NULL;
done:
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

/* What a part at place [rank] says to u, beside its mean over items. */
static float part_says(const content_map *m, const float *u, const float *place, size_t part) {
  return vector_dot(u, place, m->rank) - vector_dot(u, m->part_mean + part * m->rank, m->rank);
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
    values[count++] = part_says(m, u, place, p);
  }
  if (m->pairs && count < max) {
    pairs_place(m, item, place);
    names[count] = "pairs";
    values[count++] = part_says(m, u, place, m->parts.count);
  }
  if (count < max) {
    popularity_place(m, item, place);
    names[count] = "popularity";
    values[count++] = part_says(m, u, place, m->parts.count + 1);
  }
  return count;
}

static json_t *content_map_describe(const recommender *r) {
  const content_map *m = (const content_map *)r;
  json_t *weights = json_object();
  for (size_t p = 0; p < m->parts.count; p++)
    json_object_set_new(weights, m->parts.part[p].name, json_real((double)m->owned.weight[p]));
  return json_pack("{s:o, s:f, s:f, s:I}", "modality_weights", weights, "pairs", (double)m->owned.pairs, "lambda",
                   (double)m->owned.lambda, "rank", (json_int_t)m->rank);
}

static medley_status content_map_save(const recommender *r, safetensors_writer *w, const char *prefix,
                                      medley_error *err) {
  medley_status status = MEDLEY_OK;
  const content_map *m = (const content_map *)r;
  TRY(model_add_u32(w, prefix, "items", 1, &r->item_count, err));
  TRY(model_add_u32(w, prefix, "active", m->active.count, m->active.item, err));
  TRY(model_add_f32(w, prefix, "history_factors", m->active.count, m->rank, m->history_factors, err));
  TRY(model_add_f32(w, prefix, "projection", m->parts.dim, m->rank, m->projection, err));
  TRY(model_add_f32(w, prefix, "item_factors", r->item_count, m->rank, m->item_factors, err));
  TRY(model_add_f32(w, prefix, "item_factor", 1, r->item_count, m->item_factor, err));
  TRY(model_add_u32(w, prefix, "pairs", 1, &m->pairs, err));
done:
  return status;
}

static medley_status content_map_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                      recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  content_map *m = NULL;
  const uint32_t *items, *active, *pairs;
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
  TRY(model_get_f32(s, prefix, "item_factors", items[0], rank, &m->item_factors, NULL, NULL, err));
  TRY(model_get_f32(s, prefix, "item_factor", 1, items[0], &m->item_factor, NULL, NULL, err));
  for (uint32_t i = 0; i < items[0]; i++)
    if (!(m->item_factor[i] >= FACTOR_MIN))
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' multiplies an item's scores by %g", s->path, prefix,
           (double)m->item_factor[i]);
  TRY(model_get_u32(s, prefix, "pairs", 1, 2, &pairs, NULL, err));
  m->pairs = pairs[0];
  TRY(content_map_means(m, err));
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
