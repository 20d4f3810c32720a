/* recommend/content.c: content-based recommendation (F42): items whose text, pictures, sound, tags are close to the
 * history's.
 *
 * With φ(i) the modalities of item i side by side, each of unit length, absent ones zero, and the whole divided by
 * √(number of modalities that i has): score(i) = Σ_j w_j φ(j)·φ(i) / Σ_j w_j. No event of anybody else is used, so it
 * works from the first item on; content_map is what learns from events how much each modality is worth.
 *
 * That is the fuser fuse.concat with equal weights. The setting `fuse`, which medley.conf settles, puts another in its
 * place (content_fuse.h): φ(i) is then the fused vector.
 *
 * The dot products are taken in the RANK leading directions of φ: thirteen hundred columns a row made this the slowest
 * model of all, for the fourth decimal of a similarity.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/content_fuse.h"
#include "recommend/content_map.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

#define RANK 128
#define SAMPLE_MAX 20000 /* items the directions are found from */
#define ROWS_AT_ONCE 1024

/* No other fuser is tried unless it is asked for: what looked best on the validation part alone made the blend worse
 * (films: recall@20 / ndcg@20 .2802 / .4037 with fuse.map to choose from, .2829 / .4211 without). */
static const double fusers_tried[] = {CONTENT_FUSE_USUAL};
static const recommender_setting content_settings[] = {
    {"fuse", "the fuser, by its number: 0 fuse.sum, 1 fuse.weighted, 2 fuse.concat, 3 fuse.map", CONTENT_FUSE_USUAL, 0,
     CONTENT_FUSE_LAST, fusers_tried, 1},
    {NULL},
};

typedef struct content {
  recommender base;
  uint32_t fuser;             /* index into fuser_kinds */
  float weight[FEATURES_MAX]; /* of each part; all 1 for the usual fuser */
  content_parts parts;        /* borrowed arrays of the data handed in, which outlive the model */
  size_t rank;
  const float *factors; /* [items, rank] */
  float *owned;
  float *mean; /* [dim] of φ over all items, for split */
} content;

static void content_free(recommender *r) {
  if (r == NULL) return;
  mem_free(((content *)r)->owned);
  mem_free(((content *)r)->mean);
  mem_free(r);
}

/* How many modalities an item has. */
static float sides_of(const content_parts *parts, uint32_t item) {
  float sides = 0;
  for (size_t p = 0; p < parts->count; p++) sides += parts->part[p].present[item];
  return sides;
}

static float weight_of(const content *m, uint32_t item) {
  float sum = 0;
  for (size_t p = 0; p < m->parts.count; p++)
    if (m->parts.part[p].present[item]) sum += m->weight[p];
  return sum;
}

/* By what φ of one item in one modality is scaled; 0 when it has none. */
static float side_scale(const content *m, size_t p, uint32_t item) {
  return m->parts.part[p].present[item] && m->weight[p] > 0 ? sqrtf(m->weight[p] / weight_of(m, item)) : 0;
}

static medley_status mean_make(content *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(m->mean, m->parts.dim, "features");
  for (size_t p = 0; p < m->parts.count; p++) {
    const features *f = &m->parts.part[p];
    for (uint32_t i = 0; i < m->base.item_count; i++)
      vector_add_scaled(m->mean + m->parts.offset[p], side_scale(m, p, i) / (float)m->base.item_count,
                        f->values + (size_t)i * f->dim, f->dim);
  }
done:
  return status;
}

static medley_status content_make(const recommender_data *data, uint32_t item_count, content **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  content *m = NULL;
  for (size_t p = 0; p < data->feature_count; p++)
    if (data->features[p].count != item_count)
      FAIL(err, MEDLEY_ERR_CORRUPT, "vectors of %zu items, %u were expected", data->features[p].count, item_count);
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_content, item_count};
  content_parts_init(&m->parts, data->features, data->feature_count);
  for (size_t p = 0; p < FEATURES_MAX; p++) m->weight[p] = 1;
  *out = m;
  m = NULL;
done:
  content_free(m ? &m->base : NULL);
  return status;
}

/* φ of items [count], without the constant that content_parts_rows puts last. */
static void phi_rows(const content_parts *parts, const uint32_t *item, size_t count, float *out) {
  content_parts_rows(parts, item, count, out);
  for (size_t r = 0; r < count; r++) {
    float sides = sides_of(parts, item[r]);
    out[r * parts->dim + parts->dim - 1] = 0;
    if (sides > 0) vector_scale(out + r * parts->dim, 1 / sqrtf(sides), parts->dim);
  }
}

/* directions [dim, rank]: the leading right singular vectors of φ over a sample of the items. */
static medley_status directions_find(const content_parts *parts, uint32_t n, uint64_t seed, float **directions,
                                     size_t *rank, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *item = NULL;
  float *rows = NULL, *values = NULL;
  rng r;
  TRY_NEW(item, (size_t)n + 1, "items");
  for (uint32_t i = 0; i < n; i++) item[i] = i;
  rng_seed(&r, seed);
  if (n > SAMPLE_MAX) rng_shuffle(&r, item, n);
  size_t count = n < SAMPLE_MAX ? n : SAMPLE_MAX;
  TRY_NEW(rows, count * parts->dim + 1, "features");
  phi_rows(parts, item, count, rows);
  TRY_NEW(*directions, parts->dim * RANK, "features");
  TRY_NEW(values, RANK, "features");
  TRY(matrix_svd_truncated(rows, count, parts->dim, RANK, 2, seed, NULL, values, *directions, rank, err));
done:
  mem_free(item);
  mem_free(rows);
  mem_free(values);
  return status;
}

static medley_status content_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                 recommender **out, medley_error *err) {
  (void)progress;
  medley_status status = MEDLEY_OK;
  content *m = NULL;
  float *directions = NULL, *rows = NULL;
  features fused = {0};
  content_parts parts;
  uint32_t n = data->train->by_user.columns, item[ROWS_AT_ONCE];
  TRY(content_make(data, n, &m, err));
  m->fuser = (uint32_t)values[0];
  parts = m->parts;
  if (m->fuser != CONTENT_FUSE_USUAL) {
    TRY(content_fuse(data, &fuser_kinds[m->fuser], m->weight, &fused, err));
    content_parts_init(&parts, &fused, 1);
  }
  TRY(mean_make(m, err));
  TRY(directions_find(&parts, n, data->seed, &directions, &m->rank, err));
  TRY_NEW(rows, (size_t)ROWS_AT_ONCE * parts.dim, "features");
  TRY_NEW(m->owned, (size_t)n * m->rank + 1, "item factors");
  for (uint32_t from = 0; from < n; from += ROWS_AT_ONCE) {
    size_t count = n - from < ROWS_AT_ONCE ? n - from : ROWS_AT_ONCE;
    for (size_t r = 0; r < count; r++) item[r] = from + (uint32_t)r;
    phi_rows(&parts, item, count, rows);
    matrix_multiply(false, false, count, m->rank, parts.dim, 1, rows, directions, 0, m->owned + (size_t)from * m->rank);
  }
  m->factors = m->owned;
  *out = &m->base;
  m = NULL;
done:
  features_deinit(&fused);
  mem_free(directions);
  mem_free(rows);
  content_free(m ? &m->base : NULL);
  return status;
}

static float history_mass(const history *h) {
  float mass = 0;
  for (size_t j = 0; j < h->count; j++) mass += h->weight[j];
  return mass > 0 ? mass : 1;
}

static medley_status content_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                   medley_error *err) {
  const content *m = (const content *)r;
  float *u = recommender_scratch_floats(scratch, m->rank + 1), mass = history_mass(h);
  if (u == NULL) return error_memory(err, "a profile");
  memset(u, 0, m->rank * sizeof *u);
  for (size_t j = 0; j < h->count; j++)
    vector_add_scaled(u, h->weight[j] / mass, m->factors + (size_t)h->item[j] * m->rank, m->rank);
  matrix_times_vector(r->item_count, m->rank, m->factors, u, scores);
  return MEDLEY_OK;
}

static medley_status content_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                   float *out, medley_error *err) {
  (void)scratch;
  (void)err;
  const content *m = (const content *)r;
  float mass = history_mass(h);
  for (size_t j = 0; j < h->count; j++)
    out[j] = h->weight[j] / mass *
             vector_dot(m->factors + (size_t)h->item[j] * m->rank, m->factors + (size_t)item * m->rank, m->rank);
  return MEDLEY_OK;
}

/* Whether a part of one item is compared with another part of another: then what a picture says of a text cannot be
 * told apart. A map does not: it keeps the dot products of the parts side by side, each by its weight. */
static bool fuses_across(const content *m) { return m->fuser < CONTENT_FUSE_USUAL; }

static json_t *content_describe(const recommender *r) {
  return json_pack("{s:s}", "fuse", fuser_kinds[((const content *)r)->fuser].name);
}

/* The exact dot products of each modality, less what the mean of all items would have; they differ from the score by a
 * constant and by what the RANK directions leave out. */
static size_t content_split(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                            const char **names, float *values, size_t max) {
  const content *m = (const content *)r;
  size_t count = 0;
  if (fuses_across(m)) return 0;
  float mass = history_mass(h), *beside = recommender_scratch_floats(scratch, m->parts.dim);
  if (beside == NULL) return 0;
  for (size_t p = 0; p < m->parts.count && count < max; p++) {
    const features *f = &m->parts.part[p];
    float sum = 0, scale = side_scale(m, p, item);
    for (size_t d = 0; d < f->dim; d++)
      beside[d] = scale * f->values[(size_t)item * f->dim + d] - m->mean[m->parts.offset[p] + d];
    for (size_t j = 0; j < h->count; j++) {
      float mine = side_scale(m, p, h->item[j]);
      if (mine > 0)
        sum += h->weight[j] / mass * mine * vector_dot(f->values + (size_t)h->item[j] * f->dim, beside, f->dim);
    }
    names[count] = f->name;
    values[count++] = sum;
  }
  return count;
}

static medley_status content_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const content *m = (const content *)r;
  TRY(model_add_u32(w, prefix, "fuse", 1, &m->fuser, err));
  TRY(model_add_f32(w, prefix, "weights", 1, FEATURES_MAX, m->weight, err));
  TRY(model_add_f32(w, prefix, "factors", r->item_count, m->rank, m->factors, err));
done:
  return status;
}

static medley_status content_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                  recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  content *m = NULL;
  const float *factors, *weight;
  const uint32_t *fuser;
  uint64_t items, rank;
  TRY(model_get_u32(s, prefix, "fuse", 1, CONTENT_FUSE_LAST + 1, &fuser, NULL, err));
  TRY(model_get_f32(s, prefix, "weights", 1, FEATURES_MAX, &weight, NULL, NULL, err));
  TRY(model_get_f32(s, prefix, "factors", 0, 0, &factors, &items, &rank, err));
  if (items > UINT32_MAX || rank > RANK) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' is too large", s->path, prefix);
  TRY(model_check_items(s, prefix, data, (uint32_t)items, err));
  TRY(content_make(data, (uint32_t)items, &m, err));
  m->fuser = *fuser;
  memcpy(m->weight, weight, sizeof m->weight);
  TRY(mean_make(m, err));
  m->factors = factors;
  m->rank = rank;
  *out = &m->base;
  m = NULL;
done:
  content_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_content = {
    .name = "content",
    .summary = "items like those in the history, by text, pictures, sound, video and tags",
    .source = "Pazzani & Billsus 2007",
    .part = "content",
    .settings = content_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .needs_features = true,
    .fit = content_fit,
    .score = content_score,
    .trace = content_trace,
    .split = content_split,
    .describe = content_describe,
    .save = content_save,
    .load = content_load,
    .free = content_free,
};
