/* engine/query.c: see engine/query.h. */
#include "engine/query.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "engine/workspace.h"
#include "math/vector.h"
#include "media/worker.h"

#define WORDS_SHARE_USUAL 0.5
/* Rocchio's feedback (1971) takes what is disliked into account less than what is liked: there are many ways to be
 * unlike something. */
#define UNLIKE_SHARE 0.5f
/* A year is one number: alike years say less than alike pictures. */
#define YEAR_WEIGHT 0.25f

/* ---- sides and parts ---- */

static const representation_part *part_at(const query *q, size_t index) { return &q->g->content->parts[index]; }

/* UINT32_MAX: no item has it. */
static uint32_t part_find(const generation *g, const char *name) {
  for (uint32_t p = 0; p < g->content->count; p++)
    if (strcmp(g->content->parts[p].name, name) == 0) return p;
  return UINT32_MAX;
}

static medley_status side_refuse(const generation *g, const char *side, medley_error *err) {
  strbuf known = {0};
  for (size_t p = 0; p < g->content->count; p++)
    strbuf_printf(&known, "%s%s", p ? ", " : "", g->content->parts[p].name);
  medley_status status =
      modality_from_name(side) < MODALITY_COUNT
          ? error_set(err, MEDLEY_ERR_NOT_FOUND, "no item of this catalogue has %s; the items have: %s", side,
                      known.text ? known.text : "nothing to compare")
          : error_set(err, MEDLEY_ERR_USAGE, "items have no side '%.60s'; they have: %s", side,
                      known.text ? known.text : "nothing to compare");
  strbuf_deinit(&known);
  return status;
}

medley_status query_init(query *q, medley_workspace *w, const generation *g, const char *side, medley_error *err) {
  *q = (query){.w = w, .g = g, .side = UINT32_MAX, .words = "", .text_part = SIZE_MAX};
  if (side != NULL) {
    q->side = part_find(g, side);
    if (q->side == UINT32_MAX) return side_refuse(g, side, err);
  }
  q->memory = arena_create(16 * 1024);
  return q->memory ? MEDLEY_OK : error_memory(err, "a query");
}

void query_deinit(query *q) {
  arena_free(q->memory);
  q->memory = NULL;
}

static medley_status query_reserve(query *q, size_t parts, medley_error *err) {
  q->parts = arena_alloc(q->memory, parts + 1, sizeof *q->parts);
  q->named = arena_alloc(q->memory, parts + 1, sizeof *q->named);
  q->capacity = parts;
  return q->parts && q->named ? MEDLEY_OK : error_memory(err, "a query");
}

static float look_weight(const query *q, const space_side *side) {
  return part_at(q, side->item_part)->source == PART_YEAR ? side->weight * YEAR_WEIGHT : side->weight;
}

/* A look through the side, from a unit vector of its query part; looks at nothing when the vector maps to nothing. */
static medley_status look_add(query *q, query_part *part, const space_side *side, const float *vector,
                              medley_error *err) {
  float *mapped = arena_alloc(q->memory, side->dim, sizeof *mapped);
  if (mapped == NULL) return error_memory(err, "a query");
  space_side_query(side, vector, mapped);
  if (!(vector_norm(mapped, side->dim) > 0) || !(side->weight > 0)) return MEDLEY_OK;
  part->looks[part->look_count++] = (query_look){
      .name = part_at(q, side->item_part)->name, .weight = look_weight(q, side), .side = side, .vector = mapped};
  return MEDLEY_OK;
}

static medley_status part_open(query *q, float share, size_t looks, query_part **out, medley_error *err) {
  query_part *part = &q->parts[q->count];
  *part = (query_part){.share = share, .looks = arena_alloc(q->memory, looks + 1, sizeof *part->looks)};
  if (part->looks == NULL) return error_memory(err, "a query");
  q->count++;
  *out = part;
  return MEDLEY_OK;
}

/* A content part of the query (a text, a picture) at every side that starts from its modality. */
static medley_status query_add_vector(query *q, uint32_t from, const float *vector, float share, medley_error *err) {
  medley_status status = MEDLEY_OK;
  query_part *part = NULL;
  TRY(part_open(q, share, SPACE_SIDES_MAX, &part, err));
  bool connected = false;
  for (size_t s = 0; s < q->g->space->side_count; s++) {
    const space_side *side = &q->g->space->sides[s];
    if (side->query_part != from || (q->side != UINT32_MAX && side->item_part != q->side)) continue;
    connected = true;
    TRY(look_add(q, part, side, vector, err));
  }
  if (!connected)
    FAIL(err, MEDLEY_ERR_NOT_FOUND,
         "nothing connects %s with %s in this catalogue: too few items have both for one to find the other",
         part_at(q, from)->name, part_at(q, q->side)->name);
done:
  return status;
}

/* ---- items ---- */

/* The side through which the item looks at a part of the answers: its own modality, else the best map from what it has.
 */
static const space_side *best_side(const query *q, uint32_t item, uint32_t target) {
  const space_side *best = NULL;
  for (size_t s = 0; s < q->g->space->side_count; s++) {
    const space_side *side = &q->g->space->sides[s];
    if (side->item_part != target || !part_at(q, side->query_part)->features.present[item]) continue;
    if (side->map == NULL) return side;
    if (best == NULL || side->weight > best->weight) best = side;
  }
  return best;
}

static medley_status item_find(const query *q, const char *key, uint32_t *item, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int64_t id;
  TRY(workspace_item_id(q->w, key, &id, err));
  *item = generation_index(q->g, id);
  if (*item == UINT32_MAX)
    FAIL(err, MEDLEY_ERR_NOT_FOUND, "item '%s' came after the last training: run 'medley train' first", key);
done:
  return status;
}

medley_status query_add_item(query *q, const char *key, float share, size_t spare_looks, query_part **out,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t item;
  query_part *part = NULL;
  if (q->parts == NULL) TRY(query_reserve(q, 1, err));
  TRY(item_find(q, key, &item, err));
  q->named[q->named_count++] = item;
  TRY(part_open(q, share, q->g->content->count + spare_looks, &part, err));
  for (uint32_t target = 0; target < q->g->content->count; target++) {
    if (q->side != UINT32_MAX && target != q->side) continue;
    const space_side *side = best_side(q, item, target);
    if (side == NULL) continue;
    const features *own = &part_at(q, side->query_part)->features;
    TRY(look_add(q, part, side, own->values + (size_t)item * own->dim, err));
  }
  if (out != NULL)
    *out = part;
  else if (part->look_count == 0)
    FAIL(err, MEDLEY_ERR_NOT_FOUND, "item '%s' has nothing to compare%s%s", key, q->side != UINT32_MAX ? " with " : "",
         q->side != UINT32_MAX ? part_at(q, q->side)->name : "");
done:
  return status;
}

/* ---- texts and files ---- */

/* The content part that encodes this modality. */
static medley_status encoder_find(const query *q, modality m, uint32_t *out, medley_error *err) {
  for (uint32_t p = 0; p < q->g->content->count; p++) {
    const representation_part *part = part_at(q, p);
    if (part->source != PART_MEDIA || part->modality != m || part->kind == NULL) continue;
    *out = p;
    return MEDLEY_OK;
  }
  return error_set(err, MEDLEY_ERR_NOT_FOUND,
                   "no item of this catalogue has %s, so there is nothing that %s %s could be compared with",
                   modality_name(m), m == MODALITY_IMAGE || m == MODALITY_AUDIO ? "an" : "a", modality_name(m));
}

/* Encoded and normalised like the items. vector [features.dim] of the part; *known false: the content says nothing. */
static medley_status content_encode(query *q, uint32_t index, const encoder_input *input, float **vector, bool *known,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  const representation_part *part = part_at(q, index);
  const encoder *e;
  TRY(representation_encoder(q->g->content, index, &e, err));
  size_t dim = e->kind->dim(e);
  float *raw = arena_alloc(q->memory, dim, sizeof *raw);
  *vector = arena_alloc(q->memory, part->normaliser.out_dim, sizeof **vector);
  if (raw == NULL || *vector == NULL) return error_memory(err, "a query");
  TRY(e->kind->encode(e, input, 1, raw, err));
  for (size_t i = 0; i < dim; i++)
    if (!isfinite(raw[i])) FAIL(err, MEDLEY_ERR_INPUT, "%s gave no finite numbers for the query", e->kind->name);
  *known = vector_norm(raw, dim) > 0;
  normaliser_apply(&part->normaliser, raw, 1, *vector);
  if (*known) *known = vector_normalise(*vector, part->normaliser.out_dim) > 0;
done:
  return status;
}

static medley_status text_prepare(query *q, const char *text, strbuf *words, medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_preparer *preparer;
  strbuf clean = {0};
  if (strlen(text) > QUERY_TEXT_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "the text has %zu bytes; a query has at most %d", strlen(text), QUERY_TEXT_MAX);
  TRY(workspace_preparer(q->w, &q->g->content->prepare, &preparer, err));
  TRY(text_clean(preparer, text, &clean, err));
  if (clean.length == 0) FAIL(err, MEDLEY_ERR_USAGE, "the text to search for has no words in it");
  TRY(text_words_joined(preparer, text, words, err));
done:
  strbuf_deinit(&clean);
  return status;
}

/* Words are looked up in texts: they are asked when the whole of the items or their text is. */
static bool words_are_asked(const query *q, uint32_t text) { return q->side == UINT32_MAX || q->side == text; }

static medley_status query_add_text(query *q, const char *text, double words_share, float share, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf words = {0};
  uint32_t from;
  float *vector;
  bool known;
  TRY(text_prepare(q, text, &words, err));
  TRY(encoder_find(q, MODALITY_TEXT, &from, err));
  q->text_share = share;
  q->texts = &part_at(q, from)->features;
  if (words_are_asked(q, from) && words_share > 0) {
    q->words = words.text ? arena_strdup(q->memory, words.text) : "";
    q->words_share = (float)words_share;
    if (q->words == NULL) {
      status = error_memory(err, "a query");
      goto done;
    }
  }
  TRY(content_encode(q, from, &(encoder_input){.text = text}, &vector, &known, err));
  if (!known || words_share >= 1) goto done;
  q->text_part = q->count;
  TRY(query_add_vector(q, from, vector, share, err));
done:
  strbuf_deinit(&words);
  return status;
}

typedef struct decoded {
  media_sample sample;
  bool arrived;
  char reason[512];
} decoded;

static medley_status decoded_take(void *context, size_t index, medley_status outcome, media_sample *sample,
                                  const char *reason) {
  (void)index;
  decoded *d = context;
  d->arrived = outcome == MEDLEY_OK;
  if (d->arrived)
    d->sample = *sample;
  else
    snprintf(d->reason, sizeof d->reason, "%s", reason ? reason : "it cannot be decoded");
  return MEDLEY_OK;
}

static medley_status query_add_file(query *q, modality m, const char *path, float share, medley_error *err) {
  medley_status status = MEDLEY_OK;
  decoded d = {0};
  media_pool *pool;
  media_request request;
  const encoder *e;
  uint32_t from;
  float *vector;
  bool known;
  if (!file_exists(path))
    FAIL(err, MEDLEY_ERR_NOT_FOUND, "cannot search with %s '%s': there is no such file", modality_name(m), path);
  TRY(encoder_find(q, m, &from, err));
  TRY(representation_encoder(q->g->content, from, &e, err));
  request = encoder_request(e, &q->g->content->prepare, path);
  TRY(workspace_pool(q->w, &pool, err));
  TRY(media_pool_run(pool, &request, 1, decoded_take, &d, NULL, err));
  if (!d.arrived) FAIL(err, MEDLEY_ERR_INPUT, "cannot search with %s '%s': %s", modality_name(m), path, d.reason);
  encoder_input input = {.image = m == MODALITY_IMAGE ? &d.sample.image : NULL,
                         .sound = m == MODALITY_AUDIO ? &d.sample.sound : NULL,
                         .video = m == MODALITY_VIDEO ? &d.sample.video : NULL};
  TRY(content_encode(q, from, &input, &vector, &known, err));
  if (!known)
    FAIL(err, MEDLEY_ERR_INPUT, "cannot search with %s '%s': there is nothing in it to compare", modality_name(m),
         path);
  TRY(query_add_vector(q, from, vector, share, err));
done:
  if (d.arrived) media_sample_deinit(&d.sample);
  return status;
}

/* ---- the whole ---- */

static size_t keys_count(const char *const *keys) {
  size_t count = 0;
  while (keys != NULL && keys[count] != NULL) count++;
  return count;
}

static medley_status options_read(query *q, const medley_search_query *asked, double *words_share, medley_error *err) {
  static const char *const distances[] = {"cosine", "dot", "l2"};
  const char *distance = asked->distance ? asked->distance : distances[0];
  bool known = false;
  for (size_t d = 0; d < sizeof distances / sizeof *distances; d++) known |= strcmp(distance, distances[d]) == 0;
  if (!known)
    return error_set(err, MEDLEY_ERR_USAGE, "there is no distance '%.60s'; there are cosine, dot and l2", distance);
  q->euclidean = strcmp(distance, "l2") == 0;
  if (!(asked->words_weight <= 1))
    return error_set(err, MEDLEY_ERR_USAGE, "the weight of words is a number up to 1, not %g", asked->words_weight);
  *words_share = asked->words_weight == 0 ? WORDS_SHARE_USUAL : asked->words_weight > 0 ? asked->words_weight : 0;
  return MEDLEY_OK;
}

medley_status query_read(query *q, const medley_search_query *asked, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *files[MODALITY_COUNT] = {NULL, asked->image, asked->audio, asked->video};
  size_t like = keys_count(asked->like), unlike = keys_count(asked->unlike), wanted = like + (asked->text != NULL);
  double words_share = 0;
  for (int m = MODALITY_IMAGE; m < MODALITY_COUNT; m++) wanted += files[m] != NULL;
  if (wanted + unlike == 0)
    FAIL(err, MEDLEY_ERR_USAGE, "nothing to search for: give a text, an image, audio or video file, or an item");
  if (like > QUERY_LIKE_MAX || unlike > QUERY_LIKE_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "at most %d items to be like and %d to be unlike, %zu and %zu were named",
         QUERY_LIKE_MAX, QUERY_LIKE_MAX, like, unlike);
  TRY(options_read(q, asked, &words_share, err));
  TRY(query_reserve(q, wanted + unlike, err));
  float share = wanted ? 1.0f / (float)wanted : 0;
  if (asked->text != NULL) TRY(query_add_text(q, asked->text, words_share, share, err));
  for (int m = MODALITY_IMAGE; m < MODALITY_COUNT; m++)
    if (files[m] != NULL) TRY(query_add_file(q, (modality)m, files[m], share, err));
  for (size_t i = 0; i < like; i++) TRY(query_add_item(q, asked->like[i], share, 0, NULL, err));
  float away = wanted ? -UNLIKE_SHARE / (float)(unlike + !unlike) : -1.0f / (float)(unlike + !unlike);
  for (size_t i = 0; i < unlike; i++) TRY(query_add_item(q, asked->unlike[i], away, 0, NULL, err));
done:
  return status;
}
