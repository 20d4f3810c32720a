/* engine/answer_buffers.c: see engine/answer_buffers.h. */
#include "engine/answer_buffers.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/workspace.h"

void answer_buffers_free(answer_buffers *b) {
  if (b == NULL) return;
  recommender_scratch_deinit(&b->scratch);
  history_buffer_deinit(&b->history);
  mem_free(b->friends);
  mem_free(b->trust);
  intmap_deinit(&b->type_index);
  mem_free(b->total);
  mem_free(b->columns);
  mem_free(b->rule);
  mem_free(b->skip);
  mem_free(b->ranked);
  mem_free(b->seen);
  mem_free(b);
}

medley_status answer_buffers_reserve(medley_workspace *w, const generation *g, size_t parts, answer_buffers **out,
                                     medley_error *err) {
  medley_status status = MEDLEY_OK;
  answer_buffers *b = w->buffers;
  if (b == NULL || b->items != g->item_count || b->parts < parts || b->type_generation != g->number) {
    answer_buffers_free(b);
    w->buffers = NULL;
    TRY_NEW(b, 1, "an answer");
    w->buffers = b;
    b->items = g->item_count;
    b->parts = parts;
    b->type_generation = g->number;
    TRY_NEW(b->total, b->items, "an answer");
    TRY_NEW(b->columns, b->items * parts, "an answer");
    TRY_NEW(b->rule, b->items, "an answer");
    TRY_NEW(b->skip, b->items, "an answer");
    TRY_NEW(b->ranked, b->items, "an answer");
    TRY_NEW(b->seen, b->items, "an answer");
  }
  memcpy(b->skip, g->blocked, b->items);
  memset(b->seen, 0, b->items);
  *out = b;
done:
  if (status != MEDLEY_OK) {
    answer_buffers_free(w->buffers);
    w->buffers = NULL;
  }
  return status;
}

/* ---- history ---- */

typedef struct history_reader {
  medley_workspace *w;
  const generation *g;
  answer_buffers *b;
  uint64_t limit, taken, untrained;
  size_t count, friend_count, trait_count;
} history_reader;

/* The weight of a stored event type, looked up by name once per handle and generation. */
static medley_status type_weight_of(history_reader *r, int32_t stored, event_type_weight *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf name = {0};
  const int64_t *index = intmap_get(&r->b->type_index, stored);
  if (index == NULL) {
    TRY(r->w->kind->event_type_name(r->w->store, stored, &name, err));
    const char *text = name.text ? name.text : "";
    const int64_t *known = strmap_get(&r->g->type_names, text);
    bool rating;
    int64_t weight = (int64_t)event_type_weigh(text, &rating); /* a small integer by the table */
    if (!intmap_put(&r->b->type_index, stored, known ? *known : -1 - (2 * weight + rating))) {
      status = error_memory(err, "event types");
      goto done;
    }
    index = intmap_get(&r->b->type_index, stored);
  }
  /* A type that came up after training weighs what its name says: a first "dislike" must not count as a click. */
  int64_t code = -1 - *index;
  *out = *index >= 0 ? r->g->type_weight[*index]
                     : (event_type_weight){.weight = (float)(code / 2), .rating = code % 2 != 0};
done:
  strbuf_deinit(&name);
  return status;
}

static medley_status history_room(history_buffer *h, size_t need, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (need <= h->capacity) return MEDLEY_OK;
  size_t capacity = h->capacity ? h->capacity * 2 : 256;
  history_buffer grown = {.capacity = capacity};
  TRY_NEW(grown.item, capacity, "a history");
  TRY_NEW(grown.weight, capacity, "a history");
  TRY_NEW(grown.time_s, capacity, "a history");
  if (h->capacity > 0) {
    memcpy(grown.item, h->item, h->capacity * sizeof *h->item);
    memcpy(grown.weight, h->weight, h->capacity * sizeof *h->weight);
    memcpy(grown.time_s, h->time_s, h->capacity * sizeof *h->time_s);
  }
  history_buffer_deinit(h);
  *h = grown;
  grown = (history_buffer){0};
done:
  history_buffer_deinit(&grown);
  return status;
}

/* seen [items]: 0 never, 1 met without a positive signal, 2 part of the history. */
static medley_status history_add(history_reader *r, uint32_t item, float weight, int64_t time_s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  history_buffer *h = &r->b->history;
  if (r->b->seen[item] == 2) {
    for (size_t i = 0; i < r->count; i++) {
      if (h->item[i] != item) continue;
      if (weight > h->weight[i]) h->weight[i] = weight;
      if (time_s > h->time_s[i]) h->time_s[i] = time_s;
    }
    return MEDLEY_OK;
  }
  TRY(history_room(h, r->count + 1, err));
  h->item[r->count] = item;
  h->weight[r->count] = weight;
  h->time_s[r->count++] = time_s;
  r->b->seen[item] = 2;
done:
  return status;
}

static medley_status history_take(void *context, const store_event *events, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  history_reader *r = context;
  for (size_t i = 0; i < count; i++) {
    if (r->taken >= r->limit) break;
    r->taken++;
    uint32_t item = generation_index(r->g, events[i].item_id);
    if (item == UINT32_MAX) {
      r->untrained++;
      continue;
    }
    event_type_weight type = {0};
    TRY(type_weight_of(r, events[i].type, &type, err));
    float value = events[i].value;
    bool positive = type.rating ? !isnan(value) && !(value < r->g->rating_threshold) : value >= 0; /* as event_weight */
    if (type.weight > 0 && positive)
      TRY(history_add(r, item, type.weight, events[i].time_s, err));
    else if (r->b->seen[item] == 0)
      r->b->seen[item] = 1;
  }
done:
  return status;
}

/* Links of one pair come one after the other: the strongest counts, as in training. */
static medley_status friend_take(void *context, const store_link *link, medley_error *err) {
  medley_status status = MEDLEY_OK;
  history_reader *r = context;
  answer_buffers *b = r->b;
  float trust = link_trust(link);
  const int64_t *row = intmap_get(&r->g->user_row, link->to_id);
  if (!(trust > 0) || row == NULL) return MEDLEY_OK;
  size_t count = r->friend_count;
  if (count > 0 && b->friends[count - 1] == (uint32_t)*row) {
    if (trust > b->trust[count - 1]) b->trust[count - 1] = trust;
    return MEDLEY_OK;
  }
  TRY_GROW(b->friends, b->friend_capacity, count + 1, "friends");
  TRY_GROW(b->trust, b->trust_capacity, count + 1, "friends");
  b->friends[count] = (uint32_t)*row;
  b->trust[count] = trust;
  r->friend_count++;
done:
  return status;
}

static medley_status person_take(void *context, const store_user *user, medley_error *err) {
  history_reader *r = context;
  return traits_of(&r->g->traits, user->attributes, r->b->trait, &r->trait_count, err);
}

static history history_finish(const history_reader *r) {
  const history_buffer *h = &r->b->history;
  bool timed = r->count > 0;
  for (size_t i = 0; i < r->count; i++) timed &= h->time_s[i] != STORE_TIME_UNKNOWN;
  return (history){.item = h->item,
                   .weight = h->weight,
                   .time_s = timed ? h->time_s : NULL,
                   .count = r->count,
                   .now_s = STORE_TIME_UNKNOWN,
                   .friends = r->b->friends,
                   .trust = r->b->trust,
                   .friend_count = r->friend_count,
                   .trait = r->b->trait,
                   .trait_count = r->trait_count};
}

medley_status history_of_user(medley_workspace *w, const generation *g, const char *user, uint64_t limit_events,
                              answer_buffers *b, history *out, uint64_t *event_count, uint64_t *untrained, bool *known,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  history_reader r = {.w = w, .g = g, .b = b, .limit = limit_events};
  int64_t id;
  *known = false;
  if (user != NULL) {
    status = w->kind->get_id(w->store, STORE_USERS, user, &id, err);
    *known = status == MEDLEY_OK;
    if (*known) {
      TRY(w->kind->user_events(w->store, id, 0, history_take, &r, err));
      if (g->user_row.count > 0) TRY(w->kind->user_links(w->store, id, friend_take, &r, err));
      if (g->traits.count > 0) TRY(w->kind->each_user(w->store, id - 1, 1, person_take, &r, err));
    } else if (status == MEDLEY_ERR_NOT_FOUND) {
      status = MEDLEY_OK;
    }
  }
  *event_count = r.taken;
  if (untrained != NULL) *untrained = r.untrained;
  *out = history_finish(&r);
done:
  return status;
}

medley_status history_of_keys(medley_workspace *w, const generation *g, const char *const *keys, answer_buffers *b,
                              history *out, uint64_t *untrained, medley_error *err) {
  medley_status status = MEDLEY_OK;
  history_reader r = {.w = w, .g = g, .b = b, .limit = HISTORY_ALL};
  *untrained = 0;
  for (; *keys != NULL; keys++) {
    int64_t id;
    TRY(workspace_item_id(w, *keys, &id, err));
    uint32_t item = generation_index(g, id);
    if (item != UINT32_MAX)
      TRY(history_add(&r, item, 1, STORE_TIME_UNKNOWN, err));
    else
      ++*untrained;
  }
  *out = history_finish(&r);
done:
  return status;
}

/* ---- building answers ---- */

/* The answer, and what it stands on, in one arena. */
typedef struct answer_block {
  medley_answer answer;
  arena *memory;
} answer_block;

medley_status answer_builder_init(answer_builder *b, size_t capacity, medley_error *err) {
  *b = (answer_builder){.memory = arena_create(32 * 1024), .capacity = capacity};
  answer_block *block = b->memory ? arena_alloc(b->memory, 1, sizeof *block) : NULL;
  b->results = block ? arena_alloc(b->memory, capacity + 1, sizeof *b->results) : NULL;
  if (b->results == NULL) {
    answer_builder_deinit(b);
    return error_memory(err, "an answer");
  }
  block->memory = b->memory;
  b->answer = &block->answer;
  b->answer->results = b->results;
  b->answer->recall = "exact";
  return MEDLEY_OK;
}

char *answer_keep(answer_builder *b, const char *text) { return arena_strdup(b->memory, text); }

medley_result *answer_add(answer_builder *b, const char *item, const char *title) {
  if (b->answer->count == b->capacity) return NULL;
  medley_result *result = &b->results[b->answer->count];
  result->item = answer_keep(b, item);
  result->title = answer_keep(b, title);
  result->parts = arena_alloc(b->memory, ANSWER_PARTS_MAX, sizeof(medley_part));
  if (result->item == NULL || result->title == NULL || result->parts == NULL) return NULL;
  b->answer->count++;
  return result;
}

medley_status answer_add_part(answer_builder *b, medley_result *result, const char *name, double value,
                              medley_error *err) {
  if (value == 0) return MEDLEY_OK;
  medley_part *parts = (medley_part *)result->parts; /* ours; const is for the receiver */
  result->score += value;
  for (size_t p = 0; p < result->part_count; p++)
    if (strcmp(parts[p].name, name) == 0) {
      parts[p].value += value;
      return MEDLEY_OK;
    }
  if (result->part_count == ANSWER_PARTS_MAX)
    return error_set(err, MEDLEY_ERR_INTERNAL, "more than %d parts", ANSWER_PARTS_MAX);
  char *kept = answer_keep(b, name);
  if (kept == NULL) return error_memory(err, "an answer");
  parts[result->part_count++] = (medley_part){kept, value};
  return MEDLEY_OK;
}

medley_answer *answer_builder_take(answer_builder *b) {
  medley_answer *answer = b->answer;
  *b = (answer_builder){0};
  return answer;
}

void answer_builder_deinit(answer_builder *b) {
  arena_free(b->memory);
  *b = (answer_builder){0};
}

void medley_answer_free(medley_answer *answer) {
  if (answer != NULL) arena_free(((answer_block *)answer)->memory);
}

/* ---- filters and pages ---- */

medley_status filter_categories(const generation *g, const char *const *categories, uint8_t *skip, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t *wanted = NULL;
  if (categories == NULL || *categories == NULL) return MEDLEY_OK;
  TRY_NEW(wanted, g->items.tag_count + 1, "a filter");
  for (; *categories != NULL; categories++) {
    uint32_t tag = catalogue_tag(&g->items, *categories);
    if (tag == UINT32_MAX) FAIL(err, MEDLEY_ERR_NOT_FOUND, "no item has the category or tag '%s'", *categories);
    wanted[tag] = 1;
  }
  for (uint32_t i = 0; i < g->item_count; i++) {
    const catalogue_item *item = generation_item(g, i);
    bool inside = false;
    for (uint32_t t = 0; item != NULL && t < item->tag_count; t++) inside |= wanted[item->tags[t]];
    skip[i] |= !inside;
  }
done:
  mem_free(wanted);
  return status;
}

medley_status answer_count(size_t asked, size_t *count, medley_error *err) {
  if (asked > ANSWER_COUNT_MAX)
    return error_set(err, MEDLEY_ERR_USAGE, "at most %d results at once, %zu were asked for", ANSWER_COUNT_MAX, asked);
  *count = asked ? asked : ANSWER_COUNT_USUAL;
  return MEDLEY_OK;
}

medley_status page_parse(const char *after, page *out, medley_error *err) {
  *out = (page){0};
  if (after == NULL) return MEDLEY_OK;
  int end = 0;
  bool fine =
      strspn(after, "0123456789.") == strlen(after) && strlen(after) < 60 &&
      sscanf(after, "%" SCNd64 ".%" SCNu64 ".%" SCNu64 "%n", &out->generation, &out->offset, &out->events, &end) == 3 &&
      after[end] == '\0' && out->offset < (1u << 30);
  if (fine) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "'%.60s' is no page token; hand back the 'next' of the page before", after);
}
