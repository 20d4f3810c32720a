/* engine/explain.c: medley_explain: why a user would, or would not, see one item. Everything is read off the same sum
 * of parts that recommending adds up (engine/parts.h); nothing is estimated beside it. */
#include <medley/answer.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "engine/parts.h"
#include "engine/workspace.h"

#define PAGE 10 /* places that count as seen */

typedef struct explainer {
  medley_workspace *w;
  generation *g;
  answer_buffers *b;
  history h;
  bool known;
  uint32_t item;
  const catalogue_item *entry;
  float scales[2 * BLEND_PARTS_MAX];
  size_t rank, candidates; /* 0-based, among what could be shown */
  float page_score;        /* of the last place of the first page, without the item itself */
  bool has_page_score;
} explainer;

/* ---- scoring ---- */

static medley_status item_find(explainer *e, const char *key, medley_error *err) {
  int64_t id;
  medley_status status = workspace_item_id(e->w, key, &id, err);
  if (status != MEDLEY_OK) return status;
  e->item = generation_index(e->g, id);
  if (e->item == UINT32_MAX)
    return error_set(err, MEDLEY_ERR_NOT_FOUND, "item '%s' came after the last training: run 'medley train %s'", key,
                     e->w->path);
  e->entry = generation_item(e->g, e->item);
  return e->entry ? MEDLEY_OK : error_set(err, MEDLEY_ERR_NOT_FOUND, "there is no item '%s'", key);
}

static void rank_find(explainer *e) {
  const answer_buffers *b = e->b;
  scored page[PAGE];
  float mine = b->total[e->item];
  for (uint32_t i = 0; i < e->g->item_count; i++) {
    if (b->skip[i] && i != e->item) continue;
    e->candidates++;
    e->rank += i != e->item && b->total[i] > mine;
  }
  uint8_t kept = e->b->skip[e->item];
  e->b->skip[e->item] = 1;
  size_t found = top_k(b->total, e->g->item_count, b->skip, PAGE, page);
  e->b->skip[e->item] = kept;
  e->has_page_score = found == PAGE;
  if (e->has_page_score) e->page_score = page[PAGE - 1].score;
}

static medley_status explainer_score(explainer *e, const char *user, const char *item, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t events;
  int64_t id;
  TRY(workspace_generation(e->w, &e->g, err));
  if (e->g == NULL)
    FAIL(err, MEDLEY_ERR_NOT_FOUND, "nothing has been trained yet: run 'medley train %s' first", e->w->path);
  if (user != NULL) TRY(workspace_user_id(e->w, user, &id, err));
  TRY(item_find(e, item, err));
  TRY(answer_buffers_reserve(e->w, e->g, blend_rows(e->g->blend), &e->b, err));
  TRY(history_of_user(e->w, e->g, user, HISTORY_ALL, e->b, &e->h, &events, NULL, &e->known, err));
  TRY(blend_score(e->g->blend, &e->h, &e->b->scratch, e->b->total, e->b->columns, e->scales, err));
  /* Rules of an earlier request are still in the buffer; what was met is not shown again. */
  memset(e->b->rule, 0, e->g->item_count * sizeof *e->b->rule);
  for (uint32_t i = 0; i < e->g->item_count; i++) e->b->skip[i] |= e->b->seen[i] != 0;
  rank_find(e);
done:
  return status;
}

/* ---- parts ---- */

static int part_compare(const void *a, const void *b) {
  double x = fabs(((const medley_part *)a)->value), y = fabs(((const medley_part *)b)->value);
  return x < y ? 1 : x > y ? -1 : 0;
}

/* Largest first. share: of the sum of all absolute values. */
static json_t *parts_to_json(const medley_result *result) {
  medley_part sorted[ANSWER_PARTS_MAX];
  json_t *list = json_array();
  double sum = 0;
  if (result->part_count > 0) memcpy(sorted, result->parts, result->part_count * sizeof *sorted);
  qsort(sorted, result->part_count, sizeof *sorted, part_compare);
  for (size_t p = 0; p < result->part_count; p++) sum += fabs(sorted[p].value);
  for (size_t p = 0; p < result->part_count; p++)
    json_array_append_new(list, json_pack("{s:s, s:f, s:f}", "part", sorted[p].name, "value", sorted[p].value, "share",
                                          sum > 0 ? fabs(sorted[p].value) / sum : 0));
  return list;
}

static json_t *models_to_json(const explainer *e) {
  const blend *b = e->g->blend;
  bool cold = b->cold_count > 0 && b->cold[e->item];
  json_t *list = json_array();
  for (size_t p = 0; p < b->count; p++)
    json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:f}", "model", b->parts[p].model->kind->name, "part",
                                          b->parts[p].model->kind->part, "weight",
                                          (double)b->parts[p].weight[cold ? BLEND_COLD : BLEND_WARM], "adds",
                                          (double)e->b->columns[p * b->item_count + e->item]));
  return list;
}

/* ---- evidence ---- */

typedef struct voice {
  uint32_t item;
  float value;
} voice;

static int voice_compare(const void *a, const void *b) {
  float x = ((const voice *)a)->value, y = ((const voice *)b)->value;
  return x < y ? 1 : x > y ? -1 : 0;
}

/* Every item of the history, strongest evidence first; shares are of what speaks for the item. */
static medley_status evidence_to_json(const explainer *e, const blend_parts_request *r, json_t *out,
                                      medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *evidence = NULL;
  voice *voices = NULL;
  double sum = 0;
  TRY_NEW(evidence, e->h.count + 1, "evidence");
  TRY_NEW(voices, e->h.count + 1, "evidence");
  TRY(blend_parts_evidence(r, e->item, evidence, err));
  for (size_t j = 0; j < e->h.count; j++) {
    voices[j] = (voice){e->h.item[j], evidence[j]};
    if (evidence[j] > 0) sum += evidence[j];
  }
  qsort(voices, e->h.count, sizeof *voices, voice_compare);
  for (size_t j = 0; j < e->h.count; j++) {
    const catalogue_item *entry = generation_item(e->g, voices[j].item);
    if (entry == NULL || voices[j].value == 0) continue;
    json_array_append_new(
        out, json_pack("{s:s, s:s, s:f, s:f}", "item", entry->key, "title", entry->title, "value",
                       (double)voices[j].value, "share", sum > 0 && voices[j].value > 0 ? voices[j].value / sum : 0.0));
  }
done:
  mem_free(evidence);
  mem_free(voices);
  return status;
}

/* ---- the whole ---- */

static const char *standing(const explainer *e) {
  if (e->g->blocked[e->item]) return "hidden: it is never shown";
  if (e->b->seen[e->item]) return "already met: it is not shown again unless asked for";
  if (e->rank < PAGE) return "shown on the first page";
  return "not on the first page";
}

static json_t *explanation_make(const explainer *e, const medley_result *result, json_t *evidence) {
  const blend *b = e->g->blend;
  json_t *out = json_pack(
      "{s:s, s:s, s:s, s:I, s:I, s:f, s:b, s:f, s:b, s:I, s:o, s:o, s:O, s:s}", "item", e->entry->key, "title",
      e->entry->title, "standing", standing(e), "rank", (json_int_t)(e->rank + 1), "of", (json_int_t)e->candidates,
      "score", result->score, "new_item", (int)(b->cold_count > 0 && b->cold[e->item]), "users_in_training",
      (double)e->g->popularity[e->item], "user_known", (int)e->known, "history", (json_int_t)e->h.count, "parts",
      parts_to_json(result), "models", models_to_json(e), "evidence", evidence, "why", result->why ? result->why : "");
  if (out == NULL) return NULL;
  json_object_set_new(out, "counterfactual",
                      result->counterfactual ? json_string(result->counterfactual) : json_null());
  json_object_set_new(
      out, "missing_to_first_page",
      e->rank >= PAGE && e->has_page_score ? json_real((double)e->page_score - result->score) : json_null());
  json_object_set_new(out, "generation", json_integer((json_int_t)e->g->number));
  return out;
}

medley_status medley_explain(medley_workspace *workspace, const char *user, const char *item, char **json,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  explainer e = {.w = workspace};
  answer_builder builder = {0};
  json_t *evidence = json_array(), *out = NULL;
  *json = NULL;
  TRY(explainer_score(&e, user, item, err));
  TRY(answer_builder_init(&builder, 1, err));
  medley_result *result = answer_add(&builder, e.entry->key, e.entry->title);
  if (result == NULL) {
    status = error_memory(err, "an explanation");
    goto done;
  }
  blend_parts_request request = {e.g, e.b, &e.h, e.scales};
  /* Evidence and counterfactual score again: what the columns hold is taken first. */
  TRY(blend_parts_add(&request, e.item, &builder, result, err));
  /* What is not on the first page cannot fall off it: like a pinned result it has no counterfactual. */
  result->pinned = e.rank >= PAGE;
  TRY(blend_parts_why(&request, e.item, PAGE, &builder, result, err));
  TRY(evidence_to_json(&e, &request, evidence, err));
  out = explanation_make(&e, result, evidence);
  *json = out ? json_to_text(out) : NULL;
  if (*json == NULL) status = error_memory(err, "an explanation");
done:
  json_decref(evidence);
  json_decref(out);
  answer_builder_deinit(&builder);
  return status;
}
