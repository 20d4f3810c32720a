/* learn/space.c: see learn/space.h. */
#include "learn/space.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "math/linear.h"
#include "math/vector.h"

#define PAIR_ITEMS_MIN 40  /* fewer common items teach nothing about each other */
#define PAIR_ITEMS_FEW 200 /* fewer are seen in the directions that they span */
#define VALID_SURE 40      /* with fewer held-out items a good recall proves less */
#define ALIGNERS_USUAL "align.cca, align.ridge"
#define VALID_SHARE 0.15
#define CALIBRATION_PAIRS 20000

void space_free(space *s) {
  if (s == NULL) return;
  for (size_t p = 0; p < s->pair_count; p++) {
    alignment_deinit(&s->pairs[p].map);
    mem_free(s->pairs[p].rows[0]);
    mem_free(s->pairs[p].rows[1]);
  }
  mem_free(s->pairs);
  mem_free(s);
}

/* ---- pairs ---- */

/* The rows of both parts for the items that have both; every item with a draw below VALID_SHARE goes to the second set.
 */
typedef struct pair_rows {
  float *x[2], *y[2]; /* [0] train, [1] valid */
  size_t count[2];
} pair_rows;

static void pair_rows_deinit(pair_rows *r) {
  for (int v = 0; v < 2; v++) {
    mem_free(r->x[v]);
    mem_free(r->y[v]);
  }
}

static medley_status pair_rows_collect(const features *a, const features *b, const uint8_t *fit_items, uint64_t seed,
                                       pair_rows *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng r;
  uint8_t *where = NULL;
  rng_seed(&r, seed);
  *out = (pair_rows){0};
  TRY_NEW(where, a->count, "pairs");
  for (size_t i = 0; i < a->count; i++) {
    bool valid = rng_uniform(&r) < VALID_SHARE;
    if (!a->present[i] || !b->present[i] || (fit_items != NULL && !fit_items[i])) continue;
    where[i] = valid ? 2 : 1;
    out->count[valid]++;
  }
  for (int v = 0; v < 2; v++) {
    TRY_NEW(out->x[v], out->count[v] * a->dim, "pairs");
    TRY_NEW(out->y[v], out->count[v] * b->dim, "pairs");
    size_t at = 0;
    for (size_t i = 0; i < a->count; i++) {
      if (where[i] != v + 1) continue;
      memcpy(out->x[v] + at * a->dim, a->values + i * a->dim, a->dim * sizeof(float));
      memcpy(out->y[v] + at * b->dim, b->values + i * b->dim, b->dim * sizeof(float));
      at++;
    }
  }
done:
  mem_free(where);
  if (status != MEDLEY_OK) pair_rows_deinit(out);
  return status;
}

static double report_mean(const alignment_report *r) { return (r->recall_10[0] + r->recall_10[1]) / 2; }

static medley_status alignment_report_make(const alignment *map, const aligner_pairs *pairs, alignment_report *out,
                                           medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *a = NULL, *b = NULL;
  TRY_NEW(a, pairs->count * map->dim, "aligned rows");
  TRY_NEW(b, pairs->count * map->dim, "aligned rows");
  alignment_apply(map, 0, pairs->x, pairs->count, a);
  alignment_apply(map, 1, pairs->y, pairs->count, b);
  TRY(alignment_measure(a, b, pairs->count, map->dim, out, err));
done:
  mem_free(a);
  mem_free(b);
  return status;
}

/* ---- few pairs ----
 *
 * Far fewer pairs than dimensions: both sides are seen in the directions that the pairs span, where any linear map of
 * them lies anyhow. Matrices of thousands of columns shrink to as many as there are pairs; and since ridges are given
 * in units of a mean column's variance, they become stronger by the same factor, which few pairs need. */

typedef struct reduction {
  float *mean;  /* [dim] */
  float *basis; /* [dim, rank] orthonormal columns */
  size_t dim, rank;
} reduction;

static void reduction_deinit(reduction *r) {
  mem_free(r->mean);
  mem_free(r->basis);
}

/* out [count, rank] */
static void reduction_apply(const reduction *r, const float *rows, size_t count, float *centred, float *out) {
  for (size_t i = 0; i < count; i++)
    for (size_t d = 0; d < r->dim; d++) centred[i * r->dim + d] = rows[i * r->dim + d] - r->mean[d];
  matrix_multiply(false, false, count, r->rank, r->dim, 1, centred, r->basis, 0, out);
}

static medley_status reduction_make(const float *rows, size_t count, size_t dim, reduction *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *centred = NULL, *singular = NULL;
  *r = (reduction){.dim = dim, .rank = count - 1 < dim ? count - 1 : dim};
  TRY_NEW(r->mean, dim, "the directions of pairs");
  TRY_NEW(r->basis, dim * r->rank, "the directions of pairs");
  TRY_NEW(centred, count * dim, "the directions of pairs");
  TRY_NEW(singular, r->rank, "the directions of pairs");
  for (size_t i = 0; i < count; i++) vector_add_scaled(r->mean, 1.0f / (float)count, rows + i * dim, dim);
  for (size_t i = 0; i < count; i++)
    for (size_t d = 0; d < dim; d++) centred[i * dim + d] = rows[i * dim + d] - r->mean[d];
  TRY(matrix_svd_truncated(centred, count, dim, r->rank, 2, 1, NULL, singular, r->basis, &r->rank, err));
done:
  mem_free(centred);
  mem_free(singular);
  return status;
}

/* One side of a map of reduced rows as one of the rows themselves: (x - mean) B, less a shift, through a map. */
static medley_status side_widen(const reduction *r, size_t dim, float **shift, float **map, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *wide_shift = NULL, *wide_map = NULL;
  TRY_NEW(wide_shift, r->dim, "an alignment");
  TRY_NEW(wide_map, r->dim * dim, "an alignment");
  memcpy(wide_shift, r->mean, r->dim * sizeof *wide_shift);
  for (size_t d = 0; d < r->dim; d++) wide_shift[d] += vector_dot(r->basis + d * r->rank, *shift, r->rank);
  matrix_multiply(false, false, r->dim, dim, r->rank, 1, r->basis, *map, 0, wide_map);
  mem_free(*shift);
  mem_free(*map);
  *shift = wide_shift;
  *map = wide_map;
  wide_shift = wide_map = NULL;
done:
  mem_free(wide_shift);
  mem_free(wide_map);
  return status;
}

static medley_status aligner_fit_few(const aligner_kind *kind, const aligner_pairs *train, const aligner_pairs *valid,
                                     alignment *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  reduction r[2] = {0};
  float *small[2][2] = {0}, *centred = NULL; /* [train, valid][x, y] */
  const aligner_pairs *sets[2] = {train, valid};
  size_t dims[2] = {train->x_dim, train->y_dim}, most = train->count > valid->count ? train->count : valid->count;
  TRY_NEW(centred, most * (dims[0] > dims[1] ? dims[0] : dims[1]), "pairs");
  for (int side = 0; side < 2; side++) {
    TRY(reduction_make(side ? train->y : train->x, train->count, dims[side], &r[side], err));
    for (int set = 0; set < 2; set++) {
      TRY_NEW(small[set][side], sets[set]->count * r[side].rank, "pairs");
      reduction_apply(&r[side], side ? sets[set]->y : sets[set]->x, sets[set]->count, centred, small[set][side]);
    }
  }
  aligner_pairs few[2];
  for (int set = 0; set < 2; set++)
    few[set] = (aligner_pairs){small[set][0], small[set][1], sets[set]->count, r[0].rank, r[1].rank};
  TRY(kind->fit(&few[0], &few[1], out, err));
  TRY(side_widen(&r[0], out->dim, &out->x_shift, &out->x_map, err));
  out->x_dim = dims[0];
  TRY(side_widen(&r[1], out->dim, &out->y_shift, &out->y_map, err));
  out->y_dim = dims[1];
done:
  for (int i = 0; i < 4; i++) mem_free(small[i / 2][i % 2]);
  for (int side = 0; side < 2; side++) reduction_deinit(&r[side]);
  mem_free(centred);
  return status;
}

typedef struct aligner_list {
  const aligner_kind *kinds[SPACE_ALIGNERS_MAX];
  size_t count;
} aligner_list;

medley_status space_aligners_read(const char *text, const aligner_kind *out[SPACE_ALIGNERS_MAX], size_t *count,
                                  medley_error *err) {
  const char *at = text != NULL ? text : ALIGNERS_USUAL;
  char name[64];
  *count = 0;
  for (at += strspn(at, ", \t"); *at != '\0'; at += strspn(at, ", \t")) {
    size_t length = strcspn(at, ", \t");
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), at);
    const aligner_kind *kind = aligner_kind_find(name);
    if (kind == NULL || *count == SPACE_ALIGNERS_MAX)
      return error_set(err, MEDLEY_ERR_INPUT,
                       "medley.conf: align.kinds names '%s', which is no aligner (medley list aligner)", name);
    out[(*count)++] = kind;
    at += length;
  }
  return *count > 0 ? MEDLEY_OK : error_set(err, MEDLEY_ERR_INPUT, "medley.conf: align.kinds names no aligner");
}

/* The aligner that pairs held-out items best. */
static medley_status pair_fit(const aligner_list *tried, const aligner_pairs *train, const aligner_pairs *valid,
                              space_pair *pair, medley_error *err) {
  medley_status status = MEDLEY_OK;
  alignment candidate = {0};
  double best = -1;
  for (size_t k = 0; k < tried->count; k++) {
    const aligner_kind *kind = tried->kinds[k];
    alignment_report report;
    bool few = train->count < PAIR_ITEMS_FEW && train->count < train->x_dim && train->count < train->y_dim;
    TRY(few ? aligner_fit_few(kind, train, valid, &candidate, err) : kind->fit(train, valid, &candidate, err));
    TRY(alignment_report_make(&candidate, valid, &report, err));
    if (report_mean(&report) > best) {
      best = report_mean(&report);
      alignment_deinit(&pair->map);
      pair->map = candidate;
      pair->report = report;
      candidate = (alignment){0};
    }
    alignment_deinit(&candidate);
  }
done:
  alignment_deinit(&candidate);
  return status;
}

static medley_status pair_project(const representation *content, space_pair *pair, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (int side = 0; side < 2; side++) {
    const features *f = &content->parts[pair->part[side]].features;
    TRY_NEW(pair->rows[side], f->count * pair->map.dim, "aligned items");
    alignment_apply(&pair->map, side, f->values, f->count, pair->rows[side]);
  }
done:
  return status;
}

static medley_status space_add_pair(space *s, const aligner_list *tried, uint32_t a, uint32_t b,
                                    const uint8_t *fit_items, uint64_t seed, medley_error *err) {
  medley_status status = MEDLEY_OK;
  pair_rows rows = {0};
  const features *x = &s->content->parts[a].features, *y = &s->content->parts[b].features;
  space_pair *pair = &s->pairs[s->pair_count];
  TRY(pair_rows_collect(x, y, fit_items, seed, &rows, err));
  if (rows.count[0] < PAIR_ITEMS_MIN || rows.count[1] < PAIR_ITEMS_MIN / 10) goto done;
  s->pair_count++;
  pair->part[0] = a;
  pair->part[1] = b;
  pair->train_count = rows.count[0];
  pair->valid_count = rows.count[1];
  aligner_pairs train = {rows.x[0], rows.y[0], rows.count[0], x->dim, y->dim};
  aligner_pairs valid = {rows.x[1], rows.y[1], rows.count[1], x->dim, y->dim};
  TRY(pair_fit(tried, &train, &valid, pair, err));
  TRY(pair_project(s->content, pair, err));
done:
  pair_rows_deinit(&rows);
  return status;
}

/* ---- sides ---- */

/* Mean and deviation of the similarity of items drawn at random, query side against item side. */
static void side_calibrate(space_side *side, const float *query_rows, const uint8_t *query_present, size_t count) {
  rng r;
  double sum = 0, square = 0;
  size_t pairs = 0;
  rng_seed(&r, 1);
  for (size_t t = 0; t < 4 * CALIBRATION_PAIRS && pairs < CALIBRATION_PAIRS; t++) {
    size_t i = rng_below(&r, count), j = rng_below(&r, count);
    if (i == j || !query_present[i] || !side->present[j]) continue;
    double similarity = vector_dot(query_rows + i * side->dim, side->rows + j * side->dim, side->dim);
    sum += similarity;
    square += similarity * similarity;
    pairs++;
  }
  side->mean = pairs ? (float)(sum / (double)pairs) : 0;
  double variance = pairs ? square / (double)pairs - (double)side->mean * side->mean : 0;
  side->deviation = variance > 1e-12 ? (float)sqrt(variance) : 1;
}

/* One too many is left out. */
static void space_add_side(space *s, space_side side, const float *query_rows, const uint8_t *query_present) {
  if (s->side_count == SPACE_SIDES_MAX) return;
  side_calibrate(&side, query_rows, query_present, s->content->item_count);
  s->sides[s->side_count++] = side;
}

/* Half of a handful of held-out items is found by chance, so that they must be some before a recall counts in full. */
static float pair_weight(const space_pair *pair) {
  double sure = pair->valid_count < VALID_SURE ? (double)pair->valid_count / VALID_SURE : 1;
  return (float)(sqrt(report_mean(&pair->report)) * sure);
}

static void space_add_sides(space *s) {
  for (uint32_t p = 0; p < s->content->count; p++) {
    const features *f = &s->content->parts[p].features;
    space_side own = {
        .query_part = p, .item_part = p, .rows = f->values, .present = f->present, .dim = f->dim, .weight = 1};
    space_add_side(s, own, f->values, f->present);
  }
  for (size_t k = 0; k < s->pair_count; k++) {
    const space_pair *pair = &s->pairs[k];
    for (int q = 0; q < 2; q++) {
      uint32_t query = pair->part[q], item = pair->part[1 - q];
      space_side side = {.query_part = query,
                         .item_part = item,
                         .map = &pair->map,
                         .query_side = q,
                         .rows = pair->rows[1 - q],
                         .present = s->content->parts[item].features.present,
                         .dim = pair->map.dim,
                         .weight = pair_weight(pair)};
      space_add_side(s, side, pair->rows[q], s->content->parts[query].features.present);
    }
  }
}

static bool part_takes_queries(const representation_part *p) { return p->encoder != NULL; }

medley_status space_fit(const representation *content, const uint8_t *fit_items, const char *aligners, uint64_t seed,
                        const medley_progress *progress, space **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  space *s = NULL;
  aligner_list kinds;
  progress_stage stage;
  uint64_t total = content->count * (content->count - 1) / 2, tried = 0;
  progress_begin(&stage, progress, "align modalities", total);
  TRY(space_aligners_read(aligners, kinds.kinds, &kinds.count, err));
  TRY_NEW(s, 1, "a search space");
  s->content = content;
  TRY_NEW(s->pairs, total + 1, "a search space");
  for (uint32_t a = 0; a < content->count; a++)
    for (uint32_t b = a + 1; b < content->count; b++) {
      if (part_takes_queries(&content->parts[a]) && part_takes_queries(&content->parts[b]))
        TRY(space_add_pair(s, &kinds, a, b, fit_items, seed, err));
      TRY(progress_update(&stage, ++tried, err));
    }
  space_add_sides(s);
  progress_end(&stage, total);
  *out = s;
  s = NULL;
done:
  space_free(s);
  return status;
}

/* ---- asking ---- */

void space_side_query(const space_side *side, const float *query, float *out) {
  if (side->map == NULL)
    memcpy(out, query, side->dim * sizeof *out);
  else
    alignment_apply(side->map, side->query_side, query, 1, out);
}

float space_side_score(const space_side *side, const float *query, uint32_t item) {
  if (!side->present[item]) return 0;
  float similarity = vector_dot(query, side->rows + (size_t)item * side->dim, side->dim);
  return (similarity - side->mean) / side->deviation;
}

/* ---- save and load ---- */

static json_t *report_to_json(const alignment_report *r) {
  return json_pack("{s:[f,f], s:[f,f], s:[f,f], s:[f,f], s:f}", "recall@1", r->recall_1[0], r->recall_1[1], "recall@5",
                   r->recall_5[0], r->recall_5[1], "recall@10", r->recall_10[0], r->recall_10[1], "median_rank",
                   r->median_rank[0], r->median_rank[1], "paired_distance", r->paired_distance);
}

medley_status space_save(const space *s, safetensors_writer *w, json_t *manifest, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *list = json_array();
  if (list == NULL) return error_memory(err, "a manifest");
  for (size_t k = 0; k < s->pair_count; k++) {
    const space_pair *pair = &s->pairs[k];
    char prefix[64];
    snprintf(prefix, sizeof prefix, "pair.%zu", k);
    TRY(alignment_save(&pair->map, w, prefix, err));
    json_t *entry = json_pack("{s:I, s:I, s:s, s:s, s:s, s:o, s:I, s:I}", "part_a", (json_int_t)pair->part[0], "part_b",
                              (json_int_t)pair->part[1], "a", s->content->parts[pair->part[0]].name, "b",
                              s->content->parts[pair->part[1]].name, "settings", pair->map.settings, "held_out",
                              report_to_json(&pair->report), "train_pairs", (json_int_t)pair->train_count,
                              "held_out_pairs", (json_int_t)pair->valid_count);
    if (entry == NULL || json_array_append_new(list, entry) != 0) {
      status = error_memory(err, "a manifest");
      goto done;
    }
  }
  if (json_object_set(manifest, "alignment", list) != 0) status = error_memory(err, "a manifest");
done:
  json_decref(list);
  return status;
}

static medley_status pair_load(const safetensors *file, const json_t *entry, size_t index,
                               const representation *content, space_pair *pair, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char prefix[64];
  long long a = json_member_integer(entry, "part_a", -1), b = json_member_integer(entry, "part_b", -1);
  if (a < 0 || b < 0 || (size_t)a >= content->count || (size_t)b >= content->count)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: alignment %zu joins parts that are not there", file->path, index);
  pair->part[0] = (uint32_t)a;
  pair->part[1] = (uint32_t)b;
  long long valid = json_member_integer(entry, "held_out_pairs", 0);
  pair->valid_count = valid > 0 ? (size_t)valid : 0;
  const json_t *recall = json_object_get(json_object_get(entry, "held_out"), "recall@10");
  for (size_t d = 0; d < 2; d++) pair->report.recall_10[d] = json_number_value(json_array_get(recall, d));
  if (!(report_mean(&pair->report) >= 0 && report_mean(&pair->report) <= 1))
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: alignment %zu has a recall that is none", file->path, index);
  snprintf(prefix, sizeof prefix, "pair.%zu", index);
  TRY(alignment_load(file, prefix, &pair->map, err));
  if (pair->map.x_dim != content->parts[a].features.dim || pair->map.y_dim != content->parts[b].features.dim)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: alignment %zu does not fit the vectors", file->path, index);
  TRY(pair_project(content, pair, err));
done:
  return status;
}

medley_status space_load(const safetensors *file, const json_t *manifest, const representation *content, space **out,
                         medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *list = json_object_get(manifest, "alignment");
  space *s = NULL;
  if (json_array_size(list) > SPACE_SIDES_MAX) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: too many alignments", file->path);
  TRY_NEW(s, 1, "a search space");
  s->content = content;
  TRY_NEW(s->pairs, json_array_size(list) + 1, "a search space");
  for (size_t k = 0; k < json_array_size(list); k++) {
    s->pair_count = k + 1;
    TRY(pair_load(file, json_array_get(list, k), k, content, &s->pairs[k], err));
  }
  space_add_sides(s);
  *out = s;
  s = NULL;
done:
  space_free(s);
  return status;
}
