/* recommend/rerank.c: see recommend/rerank.h. */
#include "recommend/rerank.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/memory.h"
#include "math/vector.h"
#include "recommend/model.h"
#include "store/store.h"

enum { POPULARITY, AGE, CATEGORY, LENGTH, TASTE };

void rerank_free(rerank *r) {
  if (r == NULL) return;
  for (size_t i = 0; i < sizeof r->owned / sizeof *r->owned; i++) mem_free(r->owned[i]);
  trees_deinit(&r->trees);
  mem_free(r);
}

/* ---- what is known of items ---- */

/* place → share of the others that stand before it, in steps: a number that means the same after another fit, and that
 * no single item can be known by (trees would learn from the events that they are tuned on how much each is asked
 * for). */
static medley_status shares_of(const float *values, const uint8_t *without, uint32_t count, float *out,
                               medley_error *err) {
  recommender_scratch scratch = {0};
  medley_status status = votes_places(values, without, count, &scratch, out, err);
  for (uint32_t i = 0; status == MEDLEY_OK && i < count; i++)
    if (out[i] >= 0) out[i] = floorf(out[i] / (float)count * RERANK_STEPS) / RERANK_STEPS;
  recommender_scratch_deinit(&scratch);
  return status;
}

static medley_status ages_find(const int64_t *time_s, uint32_t count, float *age, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t *without = NULL;
  float *days = NULL;
  TRY_NEW(without, count, "item ages");
  TRY_NEW(days, count, "item ages");
  for (uint32_t i = 0; i < count; i++) {
    without[i] = time_s == NULL || time_s[i] == STORE_TIME_UNKNOWN;
    days[i] = without[i] ? 0 : (float)time_s[i] / 86400;
  }
  TRY(shares_of(days, without, count, age, err));
done:
  mem_free(without);
  mem_free(days);
  return status;
}

static medley_status categories_find(const char *const *category, uint32_t count, uint32_t *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strmap known = {0};
  int64_t next = 1;
  for (uint32_t i = 0; category != NULL && i < count; i++) {
    if (category[i] == NULL || category[i][0] == '\0') continue;
    const int64_t *at = strmap_get(&known, category[i]);
    out[i] = (uint32_t)(at ? *at : next);
    if (at == NULL && !strmap_put(&known, category[i], next++)) {
      status = error_memory(err, "categories");
      break;
    }
  }
  strmap_deinit(&known);
  return status;
}

/* The first few fields. */
static medley_status fields_find(const traits *traits, rerank *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *field = NULL;
  if (traits == NULL) return MEDLEY_OK;
  TRY_NEW(field, (size_t)traits->count + 1, "a ranker");
  out->trait_field = out->owned[3] = field;
  for (; out->trait_count < traits->count; out->trait_count++) {
    field[out->trait_count] = traits_field(traits, out->trait_count);
    if (field[out->trait_count] >= RERANK_FIELDS_MAX) break;
    out->field_count = field[out->trait_count] + 1;
  }
done:
  return status;
}

medley_status rerank_create(const float *users, const int64_t *time_s, const char *const *category, uint32_t item_count,
                            const traits *traits, rerank **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rerank *r = NULL;
  float *popularity = NULL, *age = NULL, *few = NULL;
  uint32_t *categories = NULL;
  TRY_NEW(r, 1, "a ranker");
  r->item_count = item_count;
  TRY_NEW(popularity, item_count, "a ranker");
  r->popularity = r->owned[0] = popularity;
  TRY_NEW(age, item_count, "a ranker");
  r->age = r->owned[1] = age;
  TRY_NEW(categories, item_count, "a ranker");
  r->category = r->owned[2] = categories;
  TRY_NEW(few, item_count, "a ranker");
  for (uint32_t i = 0; i < item_count; i++) few[i] = -users[i];
  TRY(shares_of(few, NULL, item_count, popularity, err));
  TRY(ages_find(time_s, item_count, age, err));
  TRY(categories_find(category, item_count, categories, err));
  TRY(fields_find(traits, r, err));
  *out = r;
  r = NULL;
done:
  mem_free(few);
  rerank_free(r);
  return status;
}

/* ---- rows ---- */

rerank_reader rerank_reader_make(const rerank *r, const history *h) {
  rerank_reader reader = {.h = h, .length = log1pf((float)h->count)};
  uint32_t first = 0;
  for (uint32_t f = 0; f < r->field_count; f++) {
    uint32_t end = first;
    while (end < r->trait_count && r->trait_field[end] == f) end++;
    reader.field[f] = -1;
    for (size_t k = h->trait_count; k-- > 0;)
      if (h->trait[k] >= first && h->trait[k] < end) reader.field[f] = (float)(h->trait[k] - first);
    first = end;
  }
  for (size_t j = 0; j < h->count; j++) reader.popularity += r->popularity[h->item[j]] / (float)h->count;
  return reader;
}

static float category_share(const rerank *r, const history *h, uint32_t item) {
  size_t same = 0;
  if (r->category[item] == 0 || h->count == 0) return -1;
  for (size_t j = 0; j < h->count; j++) same += r->category[h->item[j]] == r->category[item];
  return (float)same / (float)h->count;
}

void rerank_row(const rerank *r, const rerank_reader *reader, uint32_t item, const float *scores, const float *places,
                float *row) {
  for (uint32_t p = 0; p < r->part_count; p++) {
    row[2 * p] = scores[p];
    row[2 * p + 1] = places[p];
  }
  float *context = row + 2 * (size_t)r->part_count;
  context[POPULARITY] = r->popularity[item];
  context[AGE] = r->age[item];
  context[CATEGORY] = category_share(r, reader->h, item);
  context[LENGTH] = reader->length;
  context[TASTE] = reader->popularity;
  memcpy(context + RERANK_CONTEXT, reader->field, r->field_count * sizeof *context);
}

/* ---- correcting ---- */

typedef struct correction {
  const rerank *r;
  const float *rows;
  float *places; /* [part_count, items] */
  rerank_reader reader;
} correction;

static void item_correct(const correction *c, bool explain, size_t k, rerank_list *out) {
  const rerank *r = c->r;
  size_t n = r->item_count, item = out->item[k];
  float scores[RERANK_PARTS_MAX], places[RERANK_PARTS_MAX], row[TREES_FEATURES_MAX];
  double share[TREES_FEATURES_MAX];
  for (uint32_t p = 0; p < r->part_count; p++) {
    scores[p] = c->rows[r->part[p] * n + item];
    places[p] = c->places[p * n + item];
  }
  rerank_row(r, &c->reader, (uint32_t)item, scores, places, row);
  out->value[k] = (float)(trees_predict(&r->trees, 0, r->trees.count, row) - r->trees.expected);
  if (!explain) return;
  trees_explain(&r->trees, row, share);
  memset(out->share[k], 0, sizeof out->share[k]);
  for (uint32_t f = 0; f < rerank_features(r); f++)
    out->share[k][f < 2 * r->part_count ? f / 2 : r->part_count] += (float)share[f];
}

medley_status rerank_correct(const rerank *r, const history *h, const uint8_t *cold, const float *rows,
                             const float *total, bool explain, recommender_scratch *scratch, rerank_list *out,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t n = r->item_count;
  scored best[RERANK_DEPTH];
  uint8_t *skip = NULL;
  correction c = {.r = r, .rows = rows, .reader = rerank_reader_make(r, h)};
  TRY_NEW(skip, n, "a ranking");
  TRY_NEW(c.places, (size_t)r->part_count * n, "a ranking");
  memcpy(skip, cold, n);
  for (size_t j = 0; j < h->count; j++) skip[h->item[j]] = 1;
  for (uint32_t p = 0; p < r->part_count; p++)
    TRY(votes_places(rows + r->part[p] * n, NULL, n, scratch, c.places + p * n, err));
  out->count = top_k(total, n, skip, RERANK_DEPTH, best);
  for (size_t k = 0; k < out->count; k++) {
    out->item[k] = best[k].index;
    item_correct(&c, explain, k, out);
  }
done:
  mem_free(skip);
  mem_free(c.places);
  return status;
}

/* ---- save and load ---- */

medley_status rerank_save(const rerank *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(model_add_u32(w, prefix, "part", r->part_count, r->part, err));
  TRY(model_add_f32(w, prefix, "popularity", 1, r->item_count, r->popularity, err));
  TRY(model_add_f32(w, prefix, "age", 1, r->item_count, r->age, err));
  TRY(model_add_u32(w, prefix, "category", r->item_count, r->category, err));
  if (r->trait_count > 0) TRY(model_add_u32(w, prefix, "trait_field", r->trait_count, r->trait_field, err));
  TRY(trees_save(&r->trees, w, prefix, err));
done:
  return status;
}

static medley_status finite_check(const safetensors *s, const float *values, uint32_t count, medley_error *err) {
  for (uint32_t i = 0; i < count; i++)
    if (!isfinite(values[i]))
      return error_set(err, MEDLEY_ERR_CORRUPT, "%s: item %u of the ranker is no number", s->path, i);
  return MEDLEY_OK;
}

static medley_status fields_load(const safetensors *s, const char *prefix, rerank *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX];
  uint64_t count;
  snprintf(name, sizeof name, "%s.trait_field", prefix);
  if (safetensors_get(s, name) == NULL) return MEDLEY_OK;
  TRY(model_get_u32(s, prefix, "trait_field", 0, RERANK_FIELDS_MAX, &r->trait_field, &count, err));
  bool good = count > 0 && count <= TRAIT_FIELDS_MAX * TRAIT_VALUES_MAX;
  for (uint64_t k = 1; good && k < count; k++) good = r->trait_field[k - 1] <= r->trait_field[k];
  if (!good) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: the fields of '%s' do not ascend", s->path, name);
  r->trait_count = (uint32_t)count;
  r->field_count = r->trait_field[count - 1] + 1;
done:
  return status;
}

medley_status rerank_load(const safetensors *s, const char *prefix, uint32_t item_count, uint32_t part_count,
                          rerank **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rerank *r = NULL;
  const uint32_t *part;
  uint64_t parts;
  char name[SAFETENSORS_NAME_MAX];
  *out = NULL;
  snprintf(name, sizeof name, "%s.part", prefix);
  if (safetensors_get(s, name) == NULL) return MEDLEY_OK;
  TRY_NEW(r, 1, "a ranker");
  r->item_count = item_count;
  TRY(model_get_u32(s, prefix, "part", 0, part_count, &part, &parts, err));
  if (parts > RERANK_PARTS_MAX || 2 * parts + RERANK_CONTEXT + RERANK_FIELDS_MAX > TREES_FEATURES_MAX)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: a ranker of %zu parts", s->path, (size_t)parts);
  r->part_count = (uint32_t)parts;
  memcpy(r->part, part, parts * sizeof *part);
  TRY(model_get_f32(s, prefix, "popularity", 1, item_count, &r->popularity, NULL, NULL, err));
  TRY(model_get_f32(s, prefix, "age", 1, item_count, &r->age, NULL, NULL, err));
  TRY(finite_check(s, r->popularity, item_count, err));
  TRY(finite_check(s, r->age, item_count, err));
  TRY(model_get_u32(s, prefix, "category", item_count, UINT32_MAX, &r->category, NULL, err));
  TRY(fields_load(s, prefix, r, err));
  TRY(trees_load(s, prefix, rerank_features(r), &r->trees, err));
  *out = r;
  r = NULL;
done:
  rerank_free(r);
  return status;
}
