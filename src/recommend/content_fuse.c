/* recommend/content_fuse.c: see recommend/content_fuse.h. */
#include "recommend/content_fuse.h"

#include <math.h>
#include <string.h>

#include "align/aligner.h"
#include "base/memory.h"
#include "base/rng.h"
#include "math/vector.h"

#define PAIRS_LOOKED_AT 20000
#define PAIRS_LEAST 50     /* fewer show nothing */
#define ALIGN_ITEMS_MIN 20 /* items that have a part and the anchor; with fewer the part is left out of a sum */

/* ---- weights ---- */

typedef struct likeness {
  double sum, square;
  size_t count;
} likeness;

static void likeness_add(likeness *l, const features *f, uint32_t i, uint32_t j) {
  if (i == j || !f->present[i] || !f->present[j]) return;
  double value = vector_dot(f->values + (size_t)i * f->dim, f->values + (size_t)j * f->dim, f->dim);
  l->sum += value;
  l->square += value * value;
  l->count++;
}

/* How many deviations of random pairs lie between them and the pairs of one person; 0: none, or not known. */
static float separation(const features *f, const sparse *by_user, uint64_t seed) {
  likeness together = {0}, random = {0};
  rng r;
  rng_seed(&r, seed);
  for (size_t t = 0; by_user->rows > 0 && t < PAIRS_LOOKED_AT; t++) {
    size_t user = rng_below(&r, by_user->rows);
    size_t from = by_user->start[user], count = by_user->start[user + 1] - from;
    if (count > 1)
      likeness_add(&together, f, by_user->column[from + rng_below(&r, count)],
                   by_user->column[from + rng_below(&r, count)]);
    likeness_add(&random, f, (uint32_t)rng_below(&r, f->count), (uint32_t)rng_below(&r, f->count));
  }
  if (together.count < PAIRS_LEAST || random.count < PAIRS_LEAST) return 0;
  double mean = random.sum / (double)random.count;
  double variance = random.square / (double)random.count - mean * mean;
  double apart = together.sum / (double)together.count - mean;
  return variance > 1e-12 && apart > 0 ? (float)(apart / sqrt(variance)) : 0;
}

static void weights_find(const recommender_data *data, float weight[FEATURES_MAX]) {
  bool any = false;
  for (size_t p = 0; p < data->feature_count; p++) {
    weight[p] = separation(&data->features[p], &data->train->by_user, data->seed);
    any |= weight[p] > 0;
  }
  for (size_t p = 0; !any && p < data->feature_count; p++) weight[p] = 1;
}

/* ---- one space ---- */

static size_t anchor_find(const recommender_data *data) {
  size_t best = 0;
  for (size_t p = 0; p < data->feature_count; p++) {
    if (strcmp(data->features[p].name, "text") == 0) return p;
    if (features_present_count(&data->features[p]) > features_present_count(&data->features[best])) best = p;
  }
  return best;
}

/* The part in the anchor's space: [count, anchor->dim]; nobody has it when too few items have both. */
static medley_status part_map(const features *part, const features *anchor, features *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *x = NULL, *y = NULL;
  alignment map = {0};
  size_t pairs = 0;
  *out = (features){.name = part->name, .count = part->count, .dim = anchor->dim};
  TRY_NEW(out->values, out->count * out->dim, "aligned items");
  TRY_NEW(out->present, out->count, "aligned items");
  TRY_NEW(x, part->count * part->dim, "pairs");
  TRY_NEW(y, part->count * anchor->dim, "pairs");
  for (size_t i = 0; i < part->count; i++) {
    if (!part->present[i] || !anchor->present[i]) continue;
    memcpy(x + pairs * part->dim, part->values + i * part->dim, part->dim * sizeof *x);
    memcpy(y + pairs++ * anchor->dim, anchor->values + i * anchor->dim, anchor->dim * sizeof *y);
  }
  if (pairs < ALIGN_ITEMS_MIN) goto done;
  TRY(aligner_kind_find("align.ridge")->fit(&(aligner_pairs){x, y, pairs, part->dim, anchor->dim}, NULL, &map, err));
  alignment_apply(&map, 0, part->values, part->count, out->values);
  for (size_t i = 0; i < out->count; i++) {
    float *row = out->values + i * out->dim;
    out->present[i] = part->present[i] && vector_norm(row, out->dim) > 0;
    if (!out->present[i]) memset(row, 0, out->dim * sizeof *row);
  }
done:
  alignment_deinit(&map);
  mem_free(x);
  mem_free(y);
  return status;
}

static bool needs_one_space(const fuser_kind *fuser) {
  return strcmp(fuser->name, "fuse.sum") == 0 || strcmp(fuser->name, "fuse.weighted") == 0;
}

medley_status content_fuse(const recommender_data *data, const fuser_kind *fuser, float weight[FEATURES_MAX],
                           features *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  features mapped[FEATURES_MAX] = {0}, parts[FEATURES_MAX];
  size_t anchor = anchor_find(data);
  weights_find(data, weight);
  for (size_t p = 0; p < data->feature_count; p++) {
    parts[p] = data->features[p];
    if (p == anchor || !needs_one_space(fuser)) continue;
    TRY(part_map(&data->features[p], &data->features[anchor], &mapped[p], err));
    parts[p] = mapped[p];
  }
  TRY(fuser->fuse(parts, data->feature_count, weight, out, err));
done:
  for (size_t p = 0; p < data->feature_count; p++) features_deinit(&mapped[p]);
  return status;
}
