/* engine/recommend.c: medley_recommend: history → blend → rules → diversity → page. Reasons are in engine/why.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/answer_buffers.h"
#include "engine/parts.h"
#include "engine/workspace.h"

/* Bits of answer_buffers.skip. */
#define SKIP_SOFT 1  /* seen, outside the wanted categories: a pin brings it back */
#define SKIP_NEVER 2 /* excluded by name, or pinned already */

#define MMR_POOL 200 /* relevance decides who is in the pool, diversity only the order and choice within it */

/* One request on its way. */
typedef struct request {
  medley_workspace *w;
  const medley_recommend_query *query;
  generation *g;
  answer_buffers *b;
  history h;
  page page;
  uint64_t events;
  bool known;
  size_t count, offset; /* wanted */
  float scales[2 * BLEND_PARTS_MAX];
  size_t ranked_count; /* b->ranked: pins, then by score */
  size_t pin_count;
} request;

static medley_status item_by_key(request *r, const char *key, uint32_t *index, medley_error *err) {
  int64_t id;
  medley_status status = workspace_item_id(r->w, key, &id, err);
  if (status == MEDLEY_OK) *index = generation_index(r->g, id);
  return status;
}

static medley_status request_history(request *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(page_parse(r->query->after, &r->page, err));
  r->offset = r->page.offset;
  if (r->query->history != NULL) {
    TRY(history_of_keys(r->w, r->g, r->query->history, r->b, &r->h, err));
    r->known = true;
  } else {
    uint64_t limit = r->query->after != NULL ? r->page.events : HISTORY_ALL;
    TRY(history_of_user(r->w, r->g, r->query->user, limit, r->b, &r->h, &r->events, &r->known, err));
  }
done:
  return status;
}

/* ---- rules ---- */

static double spread_of(const float *scores, const uint8_t *skip, size_t count) {
  double sum = 0, square = 0;
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (skip[i]) continue;
    sum += scores[i];
    square += (double)scores[i] * scores[i];
    kept++;
  }
  if (kept == 0) return 1;
  double variance = square / (double)kept - sum * sum / ((double)kept * (double)kept);
  return variance > 1e-12 ? sqrt(variance) : 1;
}

static medley_status rule_apply(request *r, const medley_rule *rule, double amount, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (!isfinite(amount)) FAIL(err, MEDLEY_ERR_USAGE, "the amount of a boost or bury must be a number");
  if (rule->item != NULL) {
    uint32_t item;
    TRY(item_by_key(r, rule->item, &item, err));
    if (item != UINT32_MAX) r->b->rule[item] += (float)amount;
    return MEDLEY_OK;
  }
  uint32_t tag = catalogue_tag(&r->g->items, rule->category);
  if (tag == UINT32_MAX) FAIL(err, MEDLEY_ERR_NOT_FOUND, "no item has the category or tag '%s'", rule->category);
  for (uint32_t i = 0; i < r->g->item_count; i++)
    if (r->g->catalogue_at[i] != UINT32_MAX && catalogue_has_tag(&r->g->items, r->g->catalogue_at[i], tag))
      r->b->rule[i] += (float)amount;
done:
  return status;
}

static medley_status rules_apply(request *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t n = r->g->item_count;
  memset(r->b->rule, 0, n * sizeof *r->b->rule);
  if (r->query->boost == NULL && r->query->bury == NULL) return MEDLEY_OK;
  double spread = spread_of(r->b->total, r->b->skip, n);
  for (const medley_rule *rule = r->query->boost; rule != NULL && (rule->item || rule->category); rule++)
    TRY(rule_apply(r, rule, rule->amount * spread, err));
  for (const medley_rule *rule = r->query->bury; rule != NULL && (rule->item || rule->category); rule++)
    TRY(rule_apply(r, rule, -rule->amount * spread, err));
  for (size_t i = 0; i < n; i++) r->b->total[i] += r->b->rule[i];
done:
  return status;
}

static medley_status request_filter(request *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t item;
  TRY(filter_categories(r->g, r->query->categories, r->b->skip, err));
  for (const char *const *key = r->query->exclude; key != NULL && *key != NULL; key++) {
    TRY(item_by_key(r, *key, &item, err));
    if (item != UINT32_MAX) r->b->skip[item] |= SKIP_NEVER;
  }
  if (!r->query->include_seen)
    for (size_t i = 0; i < r->g->item_count; i++) r->b->skip[i] |= r->b->seen[i] != 0 ? SKIP_SOFT : 0;
done:
  return status;
}

/* ---- ranking ---- */

/* Pinned items come first, in their order, seen or not; hidden, deleted and excluded ones never. */
static medley_status rank_pins(request *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t item;
  for (const char *const *key = r->query->pin; key != NULL && *key != NULL; key++) {
    TRY(item_by_key(r, *key, &item, err));
    if (item == UINT32_MAX || r->g->blocked[item] || r->b->skip[item] & SKIP_NEVER) continue;
    r->b->skip[item] |= SKIP_NEVER;
    r->b->ranked[r->pin_count++] = (scored){r->b->total[item], item};
  }
done:
  return status;
}

/* How alike two items are: the mean cosine over the modalities that both have. */
static double likeness(const representation *content, uint32_t a, uint32_t b) {
  double sum = 0;
  int sides = 0;
  for (size_t p = 0; p < content->count; p++) {
    const features *f = &content->parts[p].features;
    if (!f->present[a] || !f->present[b]) continue;
    sum += vector_dot(f->values + a * f->dim, f->values + b * f->dim, f->dim);
    sides++;
  }
  return sides ? sum / sides : 0;
}

/* Maximal marginal relevance (Carbonell & Goldstein 1998): the next item is the one with the best (1 − λ) relevance − λ
 * likeness to what is chosen already. Relevance is scaled to [0, 1] over the pool. closest [pool]: likeness to the
 * nearest chosen item. */
static medley_status rank_diverse(request *r, scored *pool, size_t pool_count, size_t wanted, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double *closest = NULL, lambda = r->query->diversity;
  if (pool_count < 2) return MEDLEY_OK;
  double high = pool[0].score, low = pool[pool_count - 1].score, range = high > low ? high - low : 1;
  TRY_NEW(closest, pool_count, "a diverse list");
  for (size_t chosen = 0; chosen < wanted && chosen < pool_count; chosen++) {
    size_t best = chosen;
    double best_value = -INFINITY;
    for (size_t i = chosen; i < pool_count; i++) {
      if (chosen > 0) {
        double near = likeness(r->g->content, pool[chosen - 1].index, pool[i].index);
        if (chosen == 1 || near > closest[i]) closest[i] = near;
      }
      double value = (1 - lambda) * (pool[i].score - low) / range - (chosen > 0 ? lambda * closest[i] : 0);
      if (value > best_value) {
        best_value = value;
        best = i;
      }
    }
    scored picked = pool[best];
    double picked_near = closest[best];
    memmove(pool + chosen + 1, pool + chosen, (best - chosen) * sizeof *pool);
    memmove(closest + chosen + 1, closest + chosen, (best - chosen) * sizeof *closest);
    pool[chosen] = picked;
    closest[chosen] = picked_near;
  }
done:
  mem_free(closest);
  return status;
}

static medley_status request_rank(request *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t wanted = r->offset + r->count + 1; /* one more tells whether there is a next page */
  TRY(rank_pins(r, err));
  /* With diversity the pool is the same for every page; what lies behind it follows by score. */
  bool diverse = r->query->diversity > 0 && r->g->content->count > 0;
  size_t pool = diverse && wanted < MMR_POOL ? MMR_POOL : wanted;
  scored *rest = r->b->ranked + r->pin_count;
  size_t room = r->g->item_count - r->pin_count;
  size_t found = top_k(r->b->total, r->g->item_count, r->b->skip, pool < room ? pool : room, rest);
  if (diverse) TRY(rank_diverse(r, rest, found < MMR_POOL ? found : MMR_POOL, wanted, err));
  r->ranked_count = r->pin_count + found;
done:
  return status;
}

/* ---- the answer ---- */

static medley_status result_fill(request *r, answer_builder *out, uint32_t item, bool pinned, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const catalogue_item *entry = generation_item(r->g, item);
  medley_result *result = answer_add(out, entry->key, entry->title);
  if (result == NULL) return error_memory(err, "an answer");
  result->pinned = pinned;
  blend_parts_request parts = {
      .g = r->g, .b = r->b, .h = &r->h, .scales = r->scales, .ahead = r->pin_count, .diverse = r->query->diversity > 0};
  TRY(blend_parts_add(&parts, item, out, result, err));
  TRY(answer_add_part(out, result, "rule", r->b->rule[item], err));
  if (r->query->why) TRY(blend_parts_why(&parts, item, r->offset + r->count, out, result, err));
done:
  return status;
}

static const char *request_note(const request *r) {
  if (r->query->user != NULL && !r->known) return "this user is not known yet: a stranger's answer";
  if (r->h.count == 0) return "no history yet: a stranger's answer";
  if (r->page.generation != 0 && r->page.generation != r->g->number) return "the models changed since the page before";
  return NULL;
}

static medley_status answer_make(request *r, medley_answer **answer, medley_error *err) {
  medley_status status = MEDLEY_OK;
  answer_builder out;
  char next[64];
  size_t left = r->ranked_count > r->offset ? r->ranked_count - r->offset : 0;
  size_t count = left < r->count ? left : r->count;
  TRY(answer_builder_init(&out, count, err));
  for (size_t i = 0; i < count; i++)
    TRY(result_fill(r, &out, r->b->ranked[r->offset + i].index, r->offset + i < r->pin_count, err));
  out.answer->generation = r->g->number;
  const char *note = request_note(r);
  if (note != NULL) out.answer->note = answer_keep(&out, note);
  if (left > r->count) {
    snprintf(next, sizeof next, "%lld.%zu.%llu", (long long)r->g->number, r->offset + count,
             (unsigned long long)r->events);
    out.answer->next = answer_keep(&out, next);
  }
  *answer = answer_builder_take(&out);
done:
  answer_builder_deinit(&out);
  return status;
}

medley_status medley_recommend(medley_workspace *workspace, const medley_recommend_query *query, medley_answer **answer,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  request r = {.w = workspace, .query = query};
  *answer = NULL;
  TRY(answer_count(query->count, &r.count, err));
  if (!(query->diversity >= 0 && query->diversity <= 1))
    FAIL(err, MEDLEY_ERR_USAGE, "diversity is a number from 0 to 1, not %g", query->diversity);
  TRY(workspace_trained(workspace, &r.g, err));
  TRY(answer_buffers_reserve(workspace, r.g, r.g->blend->count + 1, &r.b, err));
  TRY(request_history(&r, err));
  TRY(blend_score(r.g->blend, &r.h, &r.b->scratch, r.b->total, r.b->columns, r.scales, err));
  TRY(request_filter(&r, err));
  TRY(rules_apply(&r, err));
  TRY(request_rank(&r, err));
  TRY(answer_make(&r, answer, err));
done:
  return status;
}
