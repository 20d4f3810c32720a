/* recommend/content.c: content-based recommendation (F42): items whose text, pictures, sound, tags are close to the
 * history's.
 *
 * score(i) = mean over the modalities that item i has of Σ_j w_j φ(j)·φ(i) / Σ_j w_j. A missing modality is left out of
 * the mean, on either side. No event of anybody else is used, so it works from the first item on; content_map is what
 * learns from events how much each modality is worth.
 */
#include <cblas.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "math/vector.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

typedef struct content {
  recommender base;
  const features *parts[FEATURES_MAX]; /* of the data handed in, which outlive the model */
  features copies[FEATURES_MAX];       /* the borrowed arrays, kept by value because the list itself may go */
  size_t count;
} content;

static void content_free(recommender *r) { mem_free(r); }

static medley_status content_make(const recommender_data *data, uint32_t item_count, recommender **out,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  content *m = NULL;
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_content, item_count};
  for (size_t p = 0; p < data->feature_count; p++) {
    if (data->features[p].count != item_count)
      FAIL(err, MEDLEY_ERR_CORRUPT, "vectors of %zu items, %u were expected", data->features[p].count, item_count);
    m->copies[m->count] = data->features[p];
    m->parts[m->count] = &m->copies[m->count];
    m->count++;
  }
  *out = &m->base;
  m = NULL;
done:
  mem_free(m);
  return status;
}

static medley_status content_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                 recommender **out, medley_error *err) {
  (void)values;
  (void)progress;
  return content_make(data, data->train->by_user.columns, out, err);
}

/* What the history is like in one modality: the weighted mean of its rows. False when no entry has the modality. */
static bool profile_of(const features *f, const history *h, float *profile) {
  float mass = 0;
  memset(profile, 0, f->dim * sizeof *profile);
  for (size_t j = 0; j < h->count; j++) {
    if (!f->present[h->item[j]]) continue;
    vector_add_scaled(profile, h->weight[j], f->values + (size_t)h->item[j] * f->dim, f->dim);
    mass += h->weight[j];
  }
  if (mass > 0) vector_scale(profile, 1 / mass, f->dim);
  return mass > 0;
}

static float sides_of(const content *m, uint32_t item) {
  float sides = 0;
  for (size_t p = 0; p < m->count; p++) sides += m->parts[p]->present[item];
  return sides;
}

static medley_status content_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                   medley_error *err) {
  const content *m = (const content *)r;
  size_t dim = 1;
  for (size_t p = 0; p < m->count; p++)
    if (m->parts[p]->dim > dim) dim = m->parts[p]->dim;
  float *profile = recommender_scratch_floats(scratch, dim + r->item_count);
  if (profile == NULL) return error_memory(err, "a profile");
  float *side = profile + dim;
  memset(scores, 0, r->item_count * sizeof *scores);
  for (size_t p = 0; p < m->count; p++) {
    const features *f = m->parts[p];
    if (!profile_of(f, h, profile)) continue;
    cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)f->count, (int)f->dim, 1, f->values, (int)f->dim, profile, 1, 0, side,
                1);
    for (size_t i = 0; i < f->count; i++)
      if (f->present[i]) scores[i] += side[i];
  }
  for (uint32_t i = 0; i < r->item_count; i++) {
    float sides = sides_of(m, i);
    if (sides > 0) scores[i] /= sides;
  }
  return MEDLEY_OK;
}

static medley_status content_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                   float *out, medley_error *err) {
  (void)scratch;
  (void)err;
  const content *m = (const content *)r;
  float sides = sides_of(m, item);
  memset(out, 0, h->count * sizeof *out);
  for (size_t p = 0; p < m->count && sides > 0; p++) {
    const features *f = m->parts[p];
    float mass = 0;
    for (size_t j = 0; j < h->count; j++) mass += f->present[h->item[j]] ? h->weight[j] : 0;
    if (!f->present[item] || mass == 0) continue;
    for (size_t j = 0; j < h->count; j++)
      if (f->present[h->item[j]])
        out[j] += h->weight[j] / (mass * sides) *
                  vector_dot(f->values + (size_t)h->item[j] * f->dim, f->values + (size_t)item * f->dim, f->dim);
  }
  return MEDLEY_OK;
}

static size_t content_split(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                            const char **names, float *values, size_t max) {
  const content *m = (const content *)r;
  size_t count = 0;
  float sides = sides_of(m, item);
  for (size_t p = 0; p < m->count && count < max; p++) {
    const features *f = m->parts[p];
    float *profile = recommender_scratch_floats(scratch, f->dim);
    if (profile == NULL || !f->present[item] || !profile_of(f, h, profile)) continue;
    names[count] = f->name;
    values[count++] = vector_dot(profile, f->values + (size_t)item * f->dim, f->dim) / sides;
  }
  return count;
}

static medley_status content_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  return model_add_u32(w, prefix, "items", 1, &r->item_count, err);
}

static medley_status content_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                  recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const uint32_t *items;
  TRY(model_get_u32(s, prefix, "items", 1, UINT32_MAX, &items, NULL, err));
  TRY(model_check_items(s, prefix, data, items[0], err));
  TRY(content_make(data, items[0], out, err));
done:
  return status;
}

const recommender_kind recommender_content = {
    .name = "content",
    .summary = "items like those in the history, by text, pictures, sound, video and tags",
    .source = "Pazzani & Billsus 2007",
    .part = "content",
    .scores_cold_items = true,
    .needs_history = true,
    .needs_features = true,
    .fit = content_fit,
    .score = content_score,
    .trace = content_trace,
    .split = content_split,
    .save = content_save,
    .load = content_load,
    .free = content_free,
};
