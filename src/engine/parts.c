/* engine/parts.c: see engine/parts.h. */
#include "engine/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "explain/why.h"

#define SIDES_MAX (FEATURES_MAX + 1) /* and pairs of them */
#define EVIDENCE_TOLD 3

static int temperature_of(const generation *g, uint32_t item) {
  return g->blend->cold_count > 0 ? g->blend->cold[item] : BLEND_WARM;
}

/* By how much what model p says of the item, side by side or history item by history item (told: the sum of that), is
 * multiplied to become what the model adds. Where votes are summed that is a matter of the item: what is told becomes
 * the whole of it, or nothing where the one is for the item and the other against it. */
static double part_scale(const blend_parts_request *r, size_t p, uint32_t item, double told) {
  const blend *b = r->g->blend;
  if (blend_is_linear(b)) return (double)r->scales[2 * p + (size_t)temperature_of(r->g, item)];
  double value = (double)r->b->columns[p * b->item_count + item];
  return value * told > 0 ? value / told : 0;
}

/* ---- parts ---- */

/* A model with sides: each side's share, then what is left under the model's name. Of a model that reads nothing but
 * content all is content: what is left there are roundings of its low rank, and each side takes of them in proportion.
 */
static medley_status sides_add(const blend_parts_request *r, size_t p, uint32_t item, double value, answer_builder *out,
                               medley_result *result, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const recommender *model = r->g->blend->parts[p].model;
  const char *names[SIDES_MAX];
  float values[SIDES_MAX];
  double told = 0, size = 0;
  size_t count = model->kind->split(model, r->h, item, &r->b->scratch, names, values, SIDES_MAX);
  for (size_t s = 0; s < count; s++) {
    told += (double)values[s];
    size += fabs((double)values[s]);
  }
  double scale = part_scale(r, p, item, told);
  told *= scale;
  size *= fabs(scale);
  double left = value - told, spread = 0;
  if (model->kind->needs_features && size > 0) {
    spread = left / size;
    left = 0;
  }
  for (size_t s = 0; s < count; s++) {
    double mine = scale * values[s];
    TRY(answer_add_part(out, result, names[s], mine + spread * fabs(mine), err));
  }
  TRY(answer_add_part(out, result, model->kind->part, left, err));
done:
  return status;
}

medley_status blend_parts_add(const blend_parts_request *r, uint32_t item, answer_builder *out, medley_result *result,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  const blend *b = r->g->blend;
  for (size_t p = 0; p < b->count; p++) {
    double value = r->b->columns[p * b->item_count + item];
    const recommender_kind *kind = b->parts[p].model->kind;
    if (kind->split != NULL && value != 0)
      TRY(sides_add(r, p, item, value, out, result, err));
    else
      TRY(answer_add_part(out, result, kind->part, value, err));
  }
  TRY(answer_add_part(out, result, "new", r->b->columns[b->count * b->item_count + item], err));
  TRY(answer_add_part(out, result, "context", r->b->columns[(b->count + 1) * b->item_count + item], err));
done:
  return status;
}

/* ---- evidence ---- */

medley_status blend_parts_evidence(const blend_parts_request *r, uint32_t item, float *evidence, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const blend *b = r->g->blend;
  float *traced = NULL;
  TRY_NEW(traced, r->h->count + 1, "evidence");
  memset(evidence, 0, r->h->count * sizeof *evidence);
  for (size_t p = 0; p < b->count; p++) {
    const recommender *model = b->parts[p].model;
    if (model->kind->trace == NULL || r->scales[2 * p + (size_t)temperature_of(r->g, item)] == 0) continue;
    TRY(model->kind->trace(model, r->h, item, &r->b->scratch, traced, err));
    double told = 0;
    for (size_t j = 0; j < r->h->count; j++) told += (double)traced[j];
    float scale = (float)part_scale(r, p, item, told);
    for (size_t j = 0; j < r->h->count; j++) evidence[j] += scale * traced[j];
  }
done:
  mem_free(traced);
  return status;
}

/* Positions of the strongest evidence, best first; returns how many are positive. */
static size_t evidence_best(const float *evidence, size_t count, size_t *best, size_t wanted) {
  size_t found = 0;
  for (size_t j = 0; j < count; j++) {
    if (!(evidence[j] > 0)) continue;
    size_t at = found < wanted ? found++ : wanted;
    if (at == wanted && evidence[best[wanted - 1]] >= evidence[j]) continue;
    if (at == wanted) at--;
    for (; at > 0 && evidence[best[at - 1]] < evidence[j]; at--) best[at] = best[at - 1];
    best[at] = j;
  }
  return found;
}

/* ---- counterfactual ---- */

/* The rank of the item when the history lacks the entries `without`. What is skipped stays skipped. */
static medley_status rank_without(const blend_parts_request *r, uint32_t item, const size_t *without,
                                  size_t without_count, size_t *rank, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const blend *b = r->g->blend;
  history_buffer shorter = {0};
  float *total = NULL;
  size_t count = 0;
  TRY_NEW(shorter.item, r->h->count + 1, "a history");
  TRY_NEW(shorter.weight, r->h->count + 1, "a history");
  TRY_NEW(shorter.time_s, r->h->count + 1, "a history");
  TRY_NEW(total, b->item_count, "scores");
  for (size_t j = 0; j < r->h->count; j++) {
    bool left_out = false;
    for (size_t k = 0; k < without_count; k++) left_out |= without[k] == j;
    if (left_out) continue;
    shorter.item[count] = r->h->item[j];
    shorter.weight[count] = r->h->weight[j];
    if (r->h->time_s != NULL) shorter.time_s[count] = r->h->time_s[j];
    count++;
  }
  history h = *r->h;
  h.item = shorter.item;
  h.weight = shorter.weight;
  h.time_s = r->h->time_s ? shorter.time_s : NULL;
  h.count = count;
  TRY(blend_score(b, &h, &r->b->scratch, total, NULL, NULL, err));
  float mine = total[item] + r->b->rule[item];
  *rank = r->ahead;
  for (uint32_t i = 0; i < b->item_count; i++)
    if (i != item && !r->b->skip[i]) *rank += total[i] + r->b->rule[i] > mine;
done:
  history_buffer_deinit(&shorter);
  mem_free(total);
  return status;
}

medley_status blend_parts_counterfactual(const blend_parts_request *r, uint32_t item, const float *evidence,
                                         size_t shown, size_t without[3], size_t *count, size_t *rank_after,
                                         medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t best = evidence_best(evidence, r->h->count, without, 3);
  *count = 0;
  for (size_t k = 1; k <= best; k++) {
    TRY(rank_without(r, item, without, k, rank_after, err));
    if (*rank_after < shown) continue;
    *count = k;
    break;
  }
done:
  return status;
}

/* ---- words ---- */

static const char *title_of(const generation *g, uint32_t item) {
  const catalogue_item *entry = generation_item(g, item);
  return entry == NULL ? "a deleted item" : entry->title[0] ? entry->title : entry->key;
}

static medley_status because_fill(const blend_parts_request *r, const float *evidence, answer_builder *out,
                                  medley_result *result, medley_error *err) {
  size_t best[EVIDENCE_TOLD], found = evidence_best(evidence, r->h->count, best, EVIDENCE_TOLD);
  double sum = 0;
  for (size_t j = 0; j < r->h->count; j++)
    if (evidence[j] > 0) sum += evidence[j];
  medley_because *because = arena_alloc(out->memory, found + 1, sizeof *because);
  if (because == NULL) return error_memory(err, "an answer");
  for (size_t k = 0; k < found; k++) {
    uint32_t item = r->h->item[best[k]];
    const catalogue_item *entry = generation_item(r->g, item);
    because[k].item = answer_keep(out, entry ? entry->key : "");
    because[k].title = answer_keep(out, title_of(r->g, item));
    because[k].share = evidence[best[k]] / sum;
    if (because[k].item == NULL || because[k].title == NULL) return error_memory(err, "an answer");
  }
  result->because = because;
  result->because_count = found;
  return MEDLEY_OK;
}

static void counterfactual_words(const blend_parts_request *r, const size_t *without, size_t count, size_t rank_after,
                                 strbuf *out) {
  strbuf_append(out, "Without ");
  for (size_t k = 0; k < count; k++)
    strbuf_printf(out, "%s“%s”", k == 0 ? "" : k + 1 == count ? " and " : ", ", title_of(r->g, r->h->item[without[k]]));
  strbuf_printf(out, " you would not see this: it would stand at place %zu.", rank_after + 1);
}

/* How many of those whom the person follows chose the item, where the part of a score is theirs; 0 of other parts. */
static size_t friends_of_part(const blend_parts_request *r, const char *part, uint32_t item) {
  const blend *b = r->g->blend;
  for (size_t p = 0; p < b->count; p++) {
    const recommender *model = b->parts[p].model;
    if (model->kind->count_friends != NULL && strcmp(model->kind->part, part) == 0)
      return model->kind->count_friends(model, r->h, item);
  }
  return 0;
}

medley_status blend_parts_why(const blend_parts_request *r, uint32_t item, size_t shown, answer_builder *out,
                              medley_result *result, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf text = {0};
  float *evidence = NULL;
  why_part parts[ANSWER_PARTS_MAX];
  why_item items[EVIDENCE_TOLD];
  size_t without[3], count = 0, rank_after = 0;
  TRY_NEW(evidence, r->h->count + 1, "evidence");
  TRY(blend_parts_evidence(r, item, evidence, err));
  TRY(because_fill(r, evidence, out, result, err));
  for (size_t p = 0; p < result->part_count; p++)
    parts[p] =
        (why_part){result->parts[p].name, result->parts[p].value, friends_of_part(r, result->parts[p].name, item)};
  for (size_t k = 0; k < result->because_count; k++)
    items[k] = (why_item){result->because[k].title, result->because[k].share};
  /* What is pinned, or not shown, may have more against it than for it. */
  why_telling telling = result->pinned ? WHY_FOR_AND_AGAINST : WHY_FOR;
  why_sentences(WHY_HISTORY, telling, parts, result->part_count, items, result->because_count, &text);
  result->why = answer_keep(out, text.text ? text.text : "");
  if (!result->pinned && !r->diverse)
    TRY(blend_parts_counterfactual(r, item, evidence, shown, without, &count, &rank_after, err));
  if (count > 0) {
    strbuf_reset(&text);
    counterfactual_words(r, without, count, rank_after, &text);
    result->counterfactual = answer_keep(out, text.text ? text.text : "");
  }
done:
  strbuf_deinit(&text);
  mem_free(evidence);
  return status;
}
