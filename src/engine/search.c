/* engine/search.c: medley_search and medley_similar: a query (engine/query.h) held against all items
 * (engine/match.h), with BM25 beside the vectors, or with what people choose together. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "engine/match.h"
#include "engine/workspace.h"

#define WORDS_BEST 15 /* deviations */

/* ---- search ---- */

/* BM25 in the unit of all other evidence: one deviation over the catalogue, items without a hit counting as 0. A word
 * that stands in one item of thousands would make that item's evidence as large as the square root of their number; no
 * hit is worth more than WORDS_BEST. */
static double words_scale(const store_hit *hits, size_t count, size_t items) {
  double sum = 0, square = 0;
  for (size_t h = 0; h < count; h++) {
    sum += hits[h].score;
    square += hits[h].score * hits[h].score;
  }
  double mean = sum / (double)items, variance = square / (double)items - mean * mean;
  double scale = variance > 0 ? 1 / sqrt(variance) : 1;
  return fmin(scale, WORDS_BEST / hits[0].score);
}

static medley_status words_score(const query *q, float *words, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count, n = q->g->item_count;
  store_hit *hits = NULL;
  memset(words, 0, n * sizeof *words);
  TRY_NEW(hits, n, "words");
  TRY(q->w->kind->search_words(q->w->store, q->words, n, hits, &count, err));
  if (count == 0) goto done;
  double share = q->text_part == SIZE_MAX ? q->text_share : q->text_share * q->words_share;
  double scale = words_scale(hits, count, n);
  for (size_t h = 0; h < count; h++) {
    uint32_t item = generation_index(q->g, hits[h].item_id);
    if (item != UINT32_MAX) words[item] = (float)(share * scale * hits[h].score);
  }
done:
  mem_free(hits);
  return status;
}

medley_status medley_search(medley_workspace *workspace, const medley_search_query *asked, medley_answer **answer,
                            medley_error *err) {
  medley_status status = MEDLEY_OK;
  generation *g;
  query q = {0};
  match m = {.q = &q,
             .categories = asked->categories,
             .after = asked->after,
             .why = asked->why,
             .exact = asked->exact,
             .subject = WHY_QUERY};
  *answer = NULL;
  TRY(answer_count(asked->count, &m.count, err));
  TRY(workspace_trained(workspace, &g, err));
  TRY(query_init(&q, workspace, g, asked->answer_with, err));
  TRY(query_read(&q, asked, err));
  TRY(answer_buffers_reserve(workspace, g, 1, &m.b, err));
  if (q.words[0] != '\0') {
    TRY(words_score(&q, m.b->columns, err));
    m.words = m.b->columns;
  }
  TRY(match_answer(&m, answer, err));
done:
  query_deinit(&q);
  return status;
}

/* ---- similar ---- */

/* What people choose together with the item: the models that learn from clicks alone, with the item as the only
 * history. Brought to mean 0 and deviation 1 over the items that have clicks; the others are absent. values [items];
 * *any false: nobody chose the item, or no such model is in the blend. */
static medley_status taste_score(const generation *g, uint32_t item, answer_buffers *b, bool *any, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const blend *models = g->blend;
  const float weight = 1;
  float scales[2 * BLEND_PARTS_MAX], inverse;
  history h = {.item = &item, .weight = &weight, .count = 1, .now_s = STORE_TIME_UNKNOWN};
  size_t n = g->item_count;
  *any = false;
  if (models->cold[item]) return MEDLEY_OK;
  TRY(blend_score(models, &h, &b->scratch, b->total, b->columns, scales, err));
  memset(b->rule, 0, n * sizeof *b->rule);
  for (size_t p = 0; p < models->count; p++) {
    const recommender_kind *kind = models->parts[p].model->kind;
    if (!kind->needs_history || kind->needs_features) continue;
    vector_add_scaled(b->rule, 1, b->columns + p * n, n);
  }
  blend_standardise(models->cold, models->cold_count, n, false, b->rule, &inverse);
  *any = inverse > 0;
done:
  return status;
}

/* Taste weighs as much as all the content together. */
static void taste_look_add(query *q, query_part *part, const answer_buffers *b) {
  double squares = 0;
  for (size_t l = 0; l < part->look_count; l++) squares += (double)part->looks[l].weight * part->looks[l].weight;
  part->looks[part->look_count++] = (query_look){.name = "taste",
                                                 .weight = squares > 0 ? (float)sqrt(squares) : 1,
                                                 .values = b->rule,
                                                 .absent = q->g->blend->cold};
}

medley_status medley_similar(medley_workspace *workspace, const medley_similar_query *asked, medley_answer **answer,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  generation *g;
  query q = {0};
  query_part *part;
  bool chosen = false;
  match m = {.q = &q,
             .categories = asked->categories,
             .after = asked->after,
             .why = asked->why,
             .exact = asked->exact,
             .subject = WHY_ITEM};
  *answer = NULL;
  if (asked->item == NULL) FAIL(err, MEDLEY_ERR_USAGE, "which item should the answers be like?");
  TRY(answer_count(asked->count, &m.count, err));
  TRY(workspace_trained(workspace, &g, err));
  TRY(query_init(&q, workspace, g, asked->modality, err));
  TRY(query_add_item(&q, asked->item, 1, 1, &part, err));
  TRY(answer_buffers_reserve(workspace, g, blend_rows(g->blend), &m.b, err));
  if (asked->modality == NULL) TRY(taste_score(g, q.named[0], m.b, &chosen, err));
  if (chosen) taste_look_add(&q, part, m.b);
  if (part->look_count == 0)
    FAIL(err, MEDLEY_ERR_NOT_FOUND, "item '%s' has no %s that others could be compared with", asked->item,
         asked->modality ? asked->modality : "content and no history");
  TRY(match_answer(&m, answer, err));
done:
  query_deinit(&q);
  return status;
}
