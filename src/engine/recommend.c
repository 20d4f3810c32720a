/* engine/recommend.c: medley_recommend: history → blend → rules → diversity → page. Reasons are in engine/parts.c.
 *
 * An item that came after the training has no score: it is answered where it is pinned, and a note says of what else
 * names it that it does not count yet. */
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

/* An item that is to stand before all others. */
typedef struct pinned {
  uint32_t item; /* UINT32_MAX: it came after the training */
  int64_t id;
} pinned;

/* One request on its way. */
typedef struct request {
  medley_workspace *w;
  const medley_recommend_query *query;
  generation *g;
  answer_buffers *b;
  history h;
  page page;
  uint64_t events, untrained; /* of the history; with items that came after the training */
  bool known;
  size_t count, offset; /* wanted */
  float scales[2 * BLEND_PARTS_MAX];
  pinned *pins; /* [pin_count], ours; b->ranked follows them */
  size_t pin_count;
  size_t ranked_count; /* of b->ranked: by score */
  strbuf note;         /* sentences */
} request;

static void request_deinit(request *r) {
  mem_free(r->pins);
  strbuf_deinit(&r->note);
}

static void note_begin(request *r) {
  if (r->note.length > 0) strbuf_append(&r->note, "; ");
}

/* role: what the item is named as, when it has to be in the generation for that; NULL: it does not. */
static medley_status item_by_key(request *r, const char *key, const char *role, pinned *out, medley_error *err) {
  medley_status status = workspace_item_id(r->w, key, &out->id, err);
  if (status != MEDLEY_OK) return status;
  out->item = generation_index(r->g, out->id);
  if (out->item != UINT32_MAX || role == NULL) return MEDLEY_OK;
  note_begin(r);
  strbuf_printf(&r->note, "item '%s' is not in the trained generation yet: %s it counts after the next 'medley train'",
                key, role);
  return MEDLEY_OK;
}

static medley_status request_history(request *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(page_parse(r->query->after, &r->page, err));
  r->offset = r->page.offset;
  if (r->query->history != NULL) {
    TRY(history_of_keys(r->w, r->g, r->query->history, r->b, &r->h, &r->untrained, err));
    r->known = true;
  } else {
    uint64_t limit = r->query->after != NULL ? r->page.events : HISTORY_ALL;
    TRY(history_of_user(r->w, r->g, r->query->user, limit, r->b, &r->h, &r->events, &r->untrained, &r->known, err));
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

static medley_status rule_apply(request *r, const medley_rule *rule, double amount, const char *role,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (!isfinite(amount)) FAIL(err, MEDLEY_ERR_USAGE, "the amount of a boost or bury must be a number");
  if (rule->item != NULL) {
    pinned found;
    TRY(item_by_key(r, rule->item, role, &found, err));
    if (found.item != UINT32_MAX) r->b->rule[found.item] += (float)amount;
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
    TRY(rule_apply(r, rule, rule->amount * spread, "boosting", err));
  for (const medley_rule *rule = r->query->bury; rule != NULL && (rule->item || rule->category); rule++)
    TRY(rule_apply(r, rule, -rule->amount * spread, "burying", err));
  for (size_t i = 0; i < n; i++) r->b->total[i] += r->b->rule[i];
done:
  return status;
}

static medley_status request_filter(request *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  pinned found;
  TRY(filter_categories(r->g, r->query->categories, r->b->skip, err));
  for (const char *const *key = r->query->exclude; key != NULL && *key != NULL; key++) {
    TRY(item_by_key(r, *key, NULL, &found, err));
    if (found.item != UINT32_MAX) r->b->skip[found.item] |= SKIP_NEVER;
  }
  if (!r->query->include_seen)
    for (size_t i = 0; i < r->g->item_count; i++) r->b->skip[i] |= r->b->seen[i] != 0 ? SKIP_SOFT : 0;
done:
  return status;
}

/* ---- ranking ---- */

static medley_status hidden_take(void *context, const store_item *item, medley_error *err) {
  (void)err;
  *(bool *)context = item->hidden;
  return MEDLEY_OK;
}

static bool list_has(const char *const *list, const char *key) {
  while (list != NULL && *list != NULL && strcmp(*list, key) != 0) list++;
  return list != NULL && *list != NULL;
}

/* What the generation does not know is asked of the store. */
static medley_status pin_untrained(const request *r, const char *key, int64_t id, bool *wanted, medley_error *err) {
  bool hidden = false;
  medley_status status = r->w->kind->get_item(r->w->store, id, hidden_take, &hidden, err);
  *wanted = !hidden && !list_has(r->query->exclude, key);
  for (size_t p = 0; p < r->pin_count; p++) *wanted &= r->pins[p].id != id;
  return status;
}

/* Pinned items come first, in their order, seen or not, trained or not; hidden, deleted and excluded ones never. */
static medley_status rank_pins(request *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = 0;
  while (r->query->pin != NULL && r->query->pin[count] != NULL) count++;
  if (count > 0) TRY_NEW(r->pins, count, "pinned items");
  for (size_t p = 0; p < count; p++) {
    pinned pin;
    bool wanted;
    TRY(item_by_key(r, r->query->pin[p], NULL, &pin, err));
    if (pin.item == UINT32_MAX) {
      TRY(pin_untrained(r, r->query->pin[p], pin.id, &wanted, err));
    } else {
      wanted = !r->g->blocked[pin.item] && !(r->b->skip[pin.item] & SKIP_NEVER);
      r->b->skip[pin.item] |= SKIP_NEVER;
    }
    if (wanted) r->pins[r->pin_count++] = pin;
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
  TRY(rank_pins(r, err));
  size_t last = r->offset + r->count + 1; /* one more tells whether there is a next page */
  size_t wanted = last > r->pin_count ? last - r->pin_count : 0;
  /* With diversity the pool is the same for every page; what lies behind it follows by score. */
  bool diverse = r->query->diversity > 0 && r->g->content->count > 0;
  size_t pool = diverse && wanted < MMR_POOL ? MMR_POOL : wanted;
  size_t room = r->g->item_count;
  scored *ranked = r->b->ranked;
  r->ranked_count = top_k(r->b->total, room, r->b->skip, pool < room ? pool : room, ranked);
  if (diverse) TRY(rank_diverse(r, ranked, r->ranked_count < MMR_POOL ? r->ranked_count : MMR_POOL, wanted, err));
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

typedef struct untrained_result {
  const request *r;
  answer_builder *out;
} untrained_result;

/* Without a score, since nothing is known of how it fits. */
static medley_status untrained_take(void *context, const store_item *item, medley_error *err) {
  const untrained_result *u = context;
  medley_result *result = answer_add(u->out, item->key, item->title ? item->title : "");
  if (result == NULL) return error_memory(err, "an answer");
  result->pinned = 1;
  if (!u->r->query->why) return MEDLEY_OK;
  result->why = answer_keep(u->out,
                            "Pinned. It is not in the trained generation yet, so that nothing is known of how "
                            "it fits.");
  return result->why ? MEDLEY_OK : error_memory(err, "an answer");
}

static medley_status place_fill(request *r, answer_builder *out, size_t place, medley_error *err) {
  if (place >= r->pin_count) return result_fill(r, out, r->b->ranked[place - r->pin_count].index, false, err);
  const pinned *pin = &r->pins[place];
  if (pin->item != UINT32_MAX) return result_fill(r, out, pin->item, true, err);
  return r->w->kind->get_item(r->w->store, pin->id, untrained_take, &(untrained_result){r, out}, err);
}

/* What counts where there is no history: what those chose whom the user follows, or people alike. */
static const char *stranger_standing(const request *r) {
  const blend *b = r->g->blend;
  bool friends = false, traits = false;
  for (size_t p = 0; p < b->count; p++) {
    if (!(b->parts[p].weight[BLEND_STRANGER] > 0)) continue;
    friends |= b->parts[p].model->kind->reads_friends;
    traits |= b->parts[p].model->kind->reads_traits;
  }
  friends = friends && r->h.friend_count > 0;
  traits = traits && r->h.trait_count > 0;
  if (friends && traits) return "no history yet: an answer by those whom this user follows and by people alike";
  if (friends) return "no history yet: an answer by those whom this user follows";
  return traits ? "no history yet: an answer by people alike" : "no history yet: a stranger's answer";
}

static const char *request_standing(const request *r) {
  if (r->query->user != NULL && !r->known) return "this user is not known yet: a stranger's answer";
  if (r->h.count == 0) return stranger_standing(r);
  if (r->page.generation != 0 && r->page.generation != r->g->number) return "the models changed since the page before";
  return NULL;
}

/* How the answer was made, and what of the request does not count yet. */
static void request_note(request *r) {
  const char *standing = request_standing(r);
  if (r->untrained > 0) {
    note_begin(r);
    strbuf_printf(&r->note,
                  r->untrained == 1 ? "%llu event of the history is with an item that is not in the trained generation "
                                      "yet: it counts after the next 'medley train'"
                                    : "%llu events of the history are with items that are not in the trained "
                                      "generation yet: they count after the next 'medley train'",
                  (unsigned long long)r->untrained);
  }
  if (standing == NULL) return;
  note_begin(r);
  strbuf_append(&r->note, standing);
}

static medley_status answer_make(request *r, medley_answer **answer, medley_error *err) {
  medley_status status = MEDLEY_OK;
  answer_builder out;
  char next[64];
  size_t there = r->pin_count + r->ranked_count, left = there > r->offset ? there - r->offset : 0;
  size_t count = left < r->count ? left : r->count;
  TRY(answer_builder_init(&out, count, err));
  for (size_t i = 0; i < count; i++) TRY(place_fill(r, &out, r->offset + i, err));
  out.answer->generation = r->g->number;
  request_note(r);
  if (r->note.length > 0) out.answer->note = answer_keep(&out, r->note.text);
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
  TRY(answer_buffers_reserve(workspace, r.g, blend_rows(r.g->blend), &r.b, err));
  TRY(request_history(&r, err));
  TRY(blend_score(r.g->blend, &r.h, &r.b->scratch, r.b->total, r.b->columns, r.scales, err));
  TRY(request_filter(&r, err));
  TRY(rules_apply(&r, err));
  TRY(request_rank(&r, err));
  TRY(answer_make(&r, answer, err));
done:
  request_deinit(&r);
  return status;
}
