/* engine/profile.c: medley_profile: counts what a history is made of; explain/profile.h says what it means. */
#include <medley/answer.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "engine/answer_buffers.h"
#include "engine/word_background.h"
#include "engine/workspace.h"
#include "explain/profile.h"
#include "math/vector.h"

#define ITEMS_MAX 300 /* of the history, the newest: pairs of more would take longer than the answer is worth */
#define RANDOM_PAIRS 2000

typedef struct profiler {
  medley_workspace *w;
  generation *g;
  history h;                    /* at most ITEMS_MAX */
  const catalogue_item **entry; /* [h.count] of items that are still there */
  uint32_t *index;              /* [h.count] in the generation */
  size_t count;
  uint8_t *recent; /* [count] 1: of the newer half */
  profile_term *terms;
  size_t term_count, term_capacity;
  profile_side sides[FEATURES_MAX];
  size_t side_count;
  profile_item *items;
  int64_t *time_s;
  double *typical_sum; /* [count] */
  uint32_t *typical_sides;
  strmap words, recent_words;
} profiler;

static void profiler_deinit(profiler *p) {
  mem_free(p->entry);
  mem_free(p->index);
  mem_free(p->recent);
  mem_free(p->terms);
  mem_free(p->items);
  mem_free(p->time_s);
  mem_free(p->typical_sum);
  mem_free(p->typical_sides);
  strmap_deinit(&p->words);
  strmap_deinit(&p->recent_words);
}

/* ---- the history ---- */

static int time_compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

/* The newer half by time; without times nothing is newer. */
static medley_status recent_mark(profiler *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int64_t *sorted = NULL;
  if (p->h.time_s == NULL || p->count == 0) return MEDLEY_OK;
  TRY_NEW(sorted, p->count, "a profile");
  memcpy(sorted, p->time_s, p->count * sizeof *sorted);
  qsort(sorted, p->count, sizeof *sorted, time_compare);
  for (size_t i = 0; i < p->count; i++) p->recent[i] = p->time_s[i] > sorted[(p->count - 1) / 2];
done:
  mem_free(sorted);
  return status;
}

static medley_status history_take_newest(profiler *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t from = p->h.count > ITEMS_MAX ? p->h.count - ITEMS_MAX : 0;
  TRY_NEW(p->entry, p->h.count - from, "a profile");
  TRY_NEW(p->index, p->h.count - from, "a profile");
  TRY_NEW(p->recent, p->h.count - from, "a profile");
  TRY_NEW(p->items, p->h.count - from, "a profile");
  TRY_NEW(p->time_s, p->h.count - from, "a profile");
  TRY_NEW(p->typical_sum, p->h.count - from, "a profile");
  TRY_NEW(p->typical_sides, p->h.count - from, "a profile");
  for (size_t j = from; j < p->h.count; j++) {
    const catalogue_item *entry = generation_item(p->g, p->h.item[j]);
    if (entry == NULL) continue;
    p->entry[p->count] = entry;
    p->index[p->count] = p->h.item[j];
    p->time_s[p->count] = p->h.time_s ? p->h.time_s[j] : 0;
    p->items[p->count++] = (profile_item){entry->key, entry->title, p->h.weight[j], NAN};
  }
  TRY(recent_mark(p, err));
done:
  return status;
}

/* ---- tags and categories ---- */

static medley_status term_add(profiler *p, profile_term term, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(p->terms, p->term_capacity, p->term_count + 1, "a profile");
  p->terms[p->term_count++] = term;
done:
  return status;
}

static medley_status tags_count(profiler *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const catalogue *c = &p->g->items;
  uint32_t *all = NULL, *mine = NULL, *recent = NULL;
  uint8_t *category = NULL;
  TRY_NEW(all, c->tag_count, "a profile");
  TRY_NEW(mine, c->tag_count, "a profile");
  TRY_NEW(recent, c->tag_count, "a profile");
  TRY_NEW(category, c->tag_count, "a profile");
  for (uint32_t i = 0; i < c->count; i++)
    for (uint32_t t = 0; t < c->items[i].tag_count; t++) all[c->items[i].tags[t]]++;
  for (size_t j = 0; j < p->count; j++) {
    for (uint32_t t = 0; t < p->entry[j]->tag_count; t++) {
      mine[p->entry[j]->tags[t]]++;
      recent[p->entry[j]->tags[t]] += p->recent[j];
    }
    uint32_t named = p->entry[j]->category[0] ? catalogue_tag(c, p->entry[j]->category) : UINT32_MAX;
    if (named != UINT32_MAX) category[named] = 1;
  }
  for (uint32_t t = 0; t < c->tag_count; t++) {
    if (mine[t] == 0) continue;
    TRY(term_add(p,
                 (profile_term){c->tag_names[t], category[t] ? PROFILE_CATEGORY : PROFILE_TAG, mine[t], recent[t],
                                (double)all[t] / (double)c->count},
                 err));
  }
done:
  mem_free(all);
  mem_free(mine);
  mem_free(recent);
  mem_free(category);
  return status;
}

/* ---- words ---- */

static medley_status background_get(profiler *p, word_background **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = p->w;
  if (w->words != NULL && w->words->generation != p->g->number) {
    word_background_free(w->words);
    w->words = NULL;
  }
  if (w->words == NULL)
    TRY(word_background_create(&p->g->items, &p->g->content->prepare, p->g->number, &w->words, err));
  *out = w->words;
done:
  return status;
}

static medley_status words_count(profiler *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  word_background *background;
  size_t cursor = 0;
  const char *word;
  int64_t items;
  TRY(background_get(p, &background, err));
  for (size_t j = 0; j < p->count; j++) {
    TRY(word_background_count(background, p->entry[j], &p->words, err));
    if (p->recent[j]) TRY(word_background_count(background, p->entry[j], &p->recent_words, err));
  }
  while (strmap_next(&p->words, &cursor, &word, &items)) {
    const int64_t *everywhere = strmap_get(&background->items_with, word);
    const int64_t *recent = strmap_get(&p->recent_words, word);
    /* A word that the sample has not is as rare as half an item of it. */
    double share = ((everywhere ? (double)*everywhere : 0) + 0.5) / ((double)background->items + 1);
    profile_term term = {word, PROFILE_WORD, (uint32_t)items, recent ? (uint32_t)*recent : 0, share};
    TRY(term_add(p, term, err));
  }
done:
  return status;
}

/* ---- modalities ---- */

static double cosine_of(const features *f, uint32_t a, uint32_t b) {
  return vector_dot(f->values + (size_t)a * f->dim, f->values + (size_t)b * f->dim, f->dim);
}

/* Mean and deviation of the cosine of random pairs. The seed is fixed: a profile is the same each time it is asked
 * for. */
static void usual_measure(const features *f, profile_side *side) {
  rng r;
  double sum = 0, square = 0;
  uint32_t pairs = 0;
  rng_seed(&r, 1);
  for (int i = 0; i < 4 * RANDOM_PAIRS && pairs < RANDOM_PAIRS; i++) {
    uint32_t a = (uint32_t)rng_below(&r, f->count), b = (uint32_t)rng_below(&r, f->count);
    if (a == b || !f->present[a] || !f->present[b]) continue;
    double cosine = cosine_of(f, a, b);
    sum += cosine;
    square += cosine * cosine;
    pairs++;
  }
  if (pairs == 0) return;
  side->usual = sum / pairs;
  double variance = square / pairs - side->usual * side->usual;
  side->deviation = variance > 0 ? sqrt(variance) : 0;
}

static medley_status likeness_measure(profiler *p, const features *f, profile_side *side, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double *row = NULL, sum = 0;
  size_t pairs = 0;
  TRY_NEW(row, p->count, "a profile");
  for (size_t i = 0; i < p->count; i++) {
    if (!f->present[p->index[i]]) continue;
    side->items++;
    for (size_t j = 0; j < i; j++) {
      if (!f->present[p->index[j]]) continue;
      double cosine = cosine_of(f, p->index[i], p->index[j]);
      row[i] += cosine;
      row[j] += cosine;
      sum += cosine;
      pairs++;
    }
  }
  if (pairs == 0) goto done;
  side->likeness = sum / (double)pairs;
  for (size_t i = 0; i < p->count; i++) {
    if (!f->present[p->index[i]]) continue;
    p->typical_sum[i] += row[i] / (double)(side->items - 1) - side->usual;
    p->typical_sides[i]++;
  }
done:
  mem_free(row);
  return status;
}

static medley_status sides_measure(profiler *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const representation *content = p->g->content;
  for (size_t s = 0; s < content->count; s++) {
    const features *f = &content->parts[s].features;
    if (content->parts[s].source != PART_MEDIA && content->parts[s].source != PART_VECTORS) continue;
    profile_side *side = &p->sides[p->side_count++];
    *side = (profile_side){.name = content->parts[s].name};
    usual_measure(f, side);
    TRY(likeness_measure(p, f, side, err));
  }
  for (size_t i = 0; i < p->count; i++)
    if (p->typical_sides[i] > 0) p->items[i].typical = p->typical_sum[i] / p->typical_sides[i];
done:
  return status;
}

/* ---- the whole ---- */

static medley_status profiler_count(profiler *p, const char *user, medley_error *err) {
  medley_status status = MEDLEY_OK;
  answer_buffers *b;
  uint64_t events;
  bool known;
  int64_t id;
  TRY(workspace_user_id(p->w, user, &id, err));
  TRY(workspace_generation(p->w, &p->g, err));
  if (p->g == NULL)
    FAIL(err, MEDLEY_ERR_NOT_FOUND, "nothing has been trained yet: run 'medley train %s' first", p->w->path);
  TRY(answer_buffers_reserve(p->w, p->g, blend_rows(p->g->blend), &b, err));
  TRY(history_of_user(p->w, p->g, user, HISTORY_ALL, b, &p->h, &events, NULL, &known, err));
  TRY(history_take_newest(p, err));
  TRY(tags_count(p, err));
  TRY(words_count(p, err));
  TRY(sides_measure(p, err));
done:
  return status;
}

medley_status medley_profile(medley_workspace *workspace, const char *user, char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  profiler p = {.w = workspace};
  json_t *out = NULL;
  *json = NULL;
  if (user == NULL) FAIL(err, MEDLEY_ERR_USAGE, "a profile needs a user");
  TRY(profiler_count(&p, user, err));
  profile_input input = {.user = user,
                         .terms = p.terms,
                         .term_count = p.term_count,
                         .sides = p.sides,
                         .side_count = p.side_count,
                         .items = p.items,
                         .time_s = p.h.time_s ? p.time_s : NULL,
                         .item_count = p.count};
  TRY(profile_to_json(&input, &out, err));
  *json = json_to_text(out);
  if (*json == NULL) status = error_memory(err, "a profile");
done:
  json_decref(out);
  profiler_deinit(&p);
  return status;
}
