/* recommend/blend.c: see recommend/blend.h. */
#include "recommend/blend.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "math/vector.h"

void blend_free(blend *b) {
  if (b == NULL) return;
  for (size_t p = 0; p < b->count; p++)
    if (b->parts[p].model != NULL) b->parts[p].model->kind->free(b->parts[p].model);
  rerank_free(b->rerank);
  mem_free(b->cold);
  mem_free(b);
}

bool blend_is_linear(const blend *b) { return b->votes == NULL && b->rerank == NULL; }

size_t blend_rows(const blend *b) { return b->count + 2; }

typedef struct moments {
  double sum, square;
  uint32_t count;
} moments;

/* Mean and inverse deviation; a constant score says nothing and becomes zero. */
static void moments_finish(const moments *m, float *mean, float *inverse) {
  double average = m->count ? m->sum / m->count : 0;
  double variance = m->count ? m->square / m->count - average * average : 0;
  double scale = average * average + m->square / (m->count ? m->count : 1);
  *mean = (float)average;
  *inverse = variance > 1e-12 * scale && variance > 0 ? (float)(1 / sqrt(variance)) : 0;
}

void blend_standardise(const uint8_t *cold, uint32_t cold_count, size_t item_count, bool cold_too, float *scores,
                       float *inverse_out) {
  moments m = {0};
  float mean, inverse;
  bool warm_only = cold_count > 0 && !cold_too;
  for (size_t i = 0; i < item_count; i++) {
    if (warm_only && cold[i]) continue;
    m.sum += scores[i];
    m.square += (double)scores[i] * scores[i];
    m.count++;
  }
  moments_finish(&m, &mean, &inverse);
  for (size_t i = 0; i < item_count; i++) scores[i] = warm_only && cold[i] ? 0 : (scores[i] - mean) * inverse;
  if (inverse_out != NULL) *inverse_out = inverse;
}

medley_status blend_prepare(const vote_kind *votes, const uint8_t *cold, uint32_t cold_count, size_t item_count,
                            bool cold_too, recommender_scratch *scratch, float *scores, float *inverse,
                            medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool warm_only = cold_count > 0 && !cold_too;
  if (votes != NULL) TRY(votes_cast(votes, warm_only ? cold : NULL, item_count, scratch, scores, err));
  blend_standardise(cold, cold_count, item_count, cold_too, scores, inverse);
done:
  return status;
}

/* One request on its way. */
typedef struct blend_sum {
  const blend *b;
  const history *h;
  recommender_scratch *scratch;
  bool stranger;
  bool asked, heard; /* some model that reads histories has a weight; one of them had something to say */
} blend_sum;

/* Which weight holds for an item. */
static float weight_of(const blend_sum *s, const blend_part *part, int temperature) {
  return part->weight[s->stranger ? BLEND_STRANGER : temperature];
}

/* One part into its row: scored and standardised. scale [2]: weight by deviation, warm and cold. */
static medley_status part_score(blend_sum *s, const blend_part *part, float *row, float scale[2], medley_error *err) {
  medley_status status = MEDLEY_OK;
  const blend *b = s->b;
  const recommender_kind *kind = part->model->kind;
  size_t n = b->item_count;
  float inverse, weight[2] = {weight_of(s, part, BLEND_WARM), weight_of(s, part, BLEND_COLD)};
  memset(scale, 0, 2 * sizeof *scale);
  if (weight[0] == 0 && weight[1] == 0) {
    memset(row, 0, n * sizeof *row);
    return MEDLEY_OK;
  }
  TRY(kind->score(part->model, s->h, s->scratch, row, err));
  TRY(blend_prepare(b->votes, b->cold, b->cold_count, n, kind->scores_cold_items || s->stranger, s->scratch, row,
                    &inverse, err));
  s->asked |= kind->needs_history;
  s->heard |= kind->needs_history && inverse > 0;
  for (int t = 0; t < 2; t++) scale[t] = inverse * weight[t];
done:
  return status;
}

/* Weighted, into `out` (may be the row itself). */
static void part_weigh(const blend_sum *s, const blend_part *part, const float *row, float *out) {
  const blend *b = s->b;
  float weight[2] = {weight_of(s, part, BLEND_WARM), weight_of(s, part, BLEND_COLD)};
  if (b->cold_count == 0 || weight[0] == weight[1])
    for (size_t i = 0; i < b->item_count; i++) out[i] = weight[0] * row[i];
  else
    for (size_t i = 0; i < b->item_count; i++) out[i] = weight[b->cold[i]] * row[i];
}

static void shift_add(const blend_sum *s, float *total, float *row) {
  const blend *b = s->b;
  for (size_t i = 0; b->cold_count > 0 && !s->stranger && i < b->item_count; i++) {
    if (!b->cold[i]) continue;
    total[i] += b->cold_shift;
    if (row != NULL) row[i] = b->cold_shift;
  }
}

/* What the trees add, into total and into the parts where these are wanted. rows: standardised scores. */
static void corrections_add(const blend *b, const rerank_list *list, float *total, float *parts) {
  size_t n = b->item_count;
  for (size_t k = 0; k < list->count; k++) {
    uint32_t item = list->item[k];
    total[item] += list->value[k];
    if (parts == NULL) continue;
    for (uint32_t p = 0; p < b->rerank->part_count; p++) parts[b->rerank->part[p] * n + item] += list->share[k][p];
    parts[(b->count + 1) * n + item] += list->share[k][b->rerank->part_count];
  }
}

/* rows [blend_rows, items] where `whole`, else room for one; parts are left in them where `parts`. */
static medley_status blend_add(blend_sum *s, float *total, float *rows, bool whole, bool parts, float *scales,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  const blend *b = s->b;
  size_t n = b->item_count;
  float *weighted = NULL;
  rerank_list list = {0};
  TRY_NEW(weighted, n, "scores");
  memset(total, 0, n * sizeof *total);
  for (size_t p = 0; p < b->count; p++) {
    float scale[2], *row = whole ? rows + p * n : rows;
    TRY(part_score(s, &b->parts[p], row, scale, err));
    part_weigh(s, &b->parts[p], row, weighted);
    for (size_t i = 0; i < n; i++) total[i] += weighted[i];
    if (scales != NULL) memcpy(scales + 2 * p, scale, sizeof scale);
  }
  if (b->rerank != NULL && !s->stranger)
    TRY(rerank_correct(b->rerank, s->h, b->cold, rows, total, parts, s->scratch, &list, err));
  if (parts) {
    for (size_t p = 0; p < b->count; p++) part_weigh(s, &b->parts[p], rows + p * n, rows + p * n);
    memset(rows + b->count * n, 0, 2 * n * sizeof *rows);
  }
  shift_add(s, total, parts ? rows + b->count * n : NULL);
  corrections_add(b, &list, total, parts ? rows : NULL);
done:
  mem_free(weighted);
  return status;
}

medley_status blend_score(const blend *b, const history *h, recommender_scratch *scratch, float *total, float *parts,
                          float *scales, medley_error *err) {
  medley_status status = MEDLEY_OK;
  blend_sum sum = {.b = b, .h = h, .scratch = scratch, .stranger = h->count == 0};
  bool whole = parts != NULL || b->rerank != NULL;
  float *own = NULL, *rows = parts;
  if (parts == NULL) TRY_NEW(own, (whole ? blend_rows(b) : 1) * b->item_count, "scores");
  if (parts == NULL) rows = own;
  TRY(blend_add(&sum, total, rows, whole, parts != NULL, scales, err));
  /* A history of which no model knows anything (only new items, and none of them with content) is as good as none. */
  if (!sum.stranger && sum.asked && !sum.heard) {
    sum.stranger = true;
    TRY(blend_add(&sum, total, rows, whole, parts != NULL, scales, err));
  }
done:
  mem_free(own);
  return status;
}

/* ---- save and load ---- */

static json_t *part_to_json(const blend_part *part) {
  json_t *settings = json_object();
  const recommender_kind *kind = part->model->kind;
  for (size_t s = 0; kind->settings != NULL && kind->settings[s].name != NULL; s++)
    json_object_set_new(settings, kind->settings[s].name, json_real(part->values[s]));
  return json_pack("{s:s, s:o, s:f, s:f, s:f}", "model", kind->name, "settings", settings, "weight_warm",
                   (double)part->weight[BLEND_WARM], "weight_cold", (double)part->weight[BLEND_COLD], "weight_stranger",
                   (double)part->weight[BLEND_STRANGER]);
}

medley_status blend_save(const blend *b, safetensors_writer *w, json_t *manifest, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *list = json_array();
  if (list == NULL) return error_memory(err, "a manifest");
  TRY(safetensors_add(w, "blend.cold", DTYPE_U8, 1, (const uint64_t[]){b->item_count}, b->cold, err));
  if (b->rerank != NULL) TRY(rerank_save(b->rerank, w, "rerank", err));
  for (size_t p = 0; p < b->count; p++) {
    char prefix[64];
    snprintf(prefix, sizeof prefix, "model.%zu", p);
    TRY(b->parts[p].model->kind->save(b->parts[p].model, w, prefix, err));
    json_t *entry = part_to_json(&b->parts[p]);
    if (entry == NULL || json_array_append_new(list, entry) != 0) {
      status = error_memory(err, "a manifest");
      goto done;
    }
  }
  if (json_object_set(manifest, "blend", list) != 0 ||
      json_object_set_new(manifest, "cold_shift", json_real((double)b->cold_shift)) != 0 ||
      (b->votes != NULL && json_object_set_new(manifest, "votes", json_string(b->votes->name)) != 0))
    status = error_memory(err, "a manifest");
done:
  json_decref(list);
  return status;
}

static medley_status part_load(const safetensors *s, const json_t *entry, size_t index, const recommender_data *data,
                               blend_part *part, medley_error *err) {
  const char *name = json_member_string(entry, "model", "?");
  const recommender_kind *kind = recommender_kind_find(name);
  if (kind == NULL)
    return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: was made with the recommender '%s', which this Medley has not",
                     s->path, name);
  recommender_defaults(kind, part->values);
  const json_t *settings = json_object_get(entry, "settings");
  for (size_t i = 0; kind->settings != NULL && kind->settings[i].name != NULL; i++)
    part->values[i] = json_member_number(settings, kind->settings[i].name, part->values[i]);
  part->weight[BLEND_WARM] = (float)json_member_number(entry, "weight_warm", 0);
  part->weight[BLEND_COLD] = (float)json_member_number(entry, "weight_cold", 0);
  /* Generations that know no weights for strangers gave them what the warm ones said. */
  part->weight[BLEND_STRANGER] =
      (float)json_member_number(entry, "weight_stranger", kind->needs_history ? 0 : (double)part->weight[BLEND_WARM]);
  for (int t = 0; t < BLEND_WEIGHTS; t++)
    if (!isfinite(part->weight[t]))
      return error_set(err, MEDLEY_ERR_CORRUPT, "%s: a weight of '%s' is no number", s->path, name);
  char prefix[64];
  snprintf(prefix, sizeof prefix, "model.%zu", index);
  return kind->load(s, prefix, data, &part->model, err);
}

static medley_status votes_load(const safetensors *s, const json_t *manifest, blend *b, medley_error *err) {
  const json_t *name = json_object_get(manifest, "votes");
  if (name == NULL) return MEDLEY_OK;
  b->votes = json_is_string(name) ? vote_kind_find(json_string_value(name)) : NULL;
  if (b->votes != NULL) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: its models vote by '%.60s', which this Medley has not", s->path,
                   json_is_string(name) ? json_string_value(name) : "?");
}

static medley_status cold_load(const safetensors *s, blend *b, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tensor_view *cold;
  TRY(safetensors_need(s, "blend.cold", DTYPE_U8, 1, (const uint64_t[]){0}, &cold, err));
  if (cold->count > UINT32_MAX) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: too many items", s->path);
  b->item_count = (uint32_t)cold->count;
  TRY_NEW(b->cold, b->item_count, "a blend");
  for (uint32_t i = 0; i < b->item_count; i++) {
    b->cold[i] = ((const uint8_t *)cold->data)[i] != 0;
    b->cold_count += b->cold[i];
  }
done:
  return status;
}

medley_status blend_load(const safetensors *s, const json_t *manifest, const recommender_data *data, blend **out,
                         medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *list = json_object_get(manifest, "blend");
  blend *b = NULL;
  if (json_array_size(list) > BLEND_PARTS_MAX)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: a blend of %zu models, at most %d are expected", s->path, json_array_size(list),
         BLEND_PARTS_MAX);
  TRY_NEW(b, 1, "a blend");
  TRY(cold_load(s, b, err));
  TRY(votes_load(s, manifest, b, err));
  b->cold_shift = (float)json_member_number(manifest, "cold_shift", 0);
  if (!isfinite(b->cold_shift)) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: the shift of cold items is no number", s->path);
  recommender_data mine = *data;
  mine.item_count = b->item_count;
  for (size_t p = 0; p < json_array_size(list); p++) {
    b->count = p + 1;
    TRY(part_load(s, json_array_get(list, p), p, &mine, &b->parts[p], err));
    if (b->parts[p].model->item_count != b->item_count)
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: model %zu scores %u items, the blend has %u", s->path, p,
           b->parts[p].model->item_count, b->item_count);
  }
  TRY(rerank_load(s, "rerank", b->item_count, (uint32_t)b->count, &b->rerank, err));
  *out = b;
  b = NULL;
done:
  blend_free(b);
  return status;
}
