/* explain/profile.c: see explain/profile.h. */
#include "explain/profile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/strbuf.h"

#define TERMS_TOLD 12
#define ITEMS_TOLD 5
#define SURE_ITEMS 2 /* a term of one item only is chance, unless the history is very short */
#define SHORT_HISTORY 5
#define ALIKE_CLEAR 0.3 /* Cohen's d: between small and medium; and large */
#define ALIKE_STRONG 0.8
#define TREND 1.5 /* times as frequent in one half as in the other */

/* ---- terms ---- */

static double share_of(const profile_input *in, const profile_term *t) {
  return (double)t->items / (double)in->item_count;
}

static double strength_of(const profile_input *in, const profile_term *t) {
  double share = share_of(in, t);
  return share * log(share / t->background);
}

static bool term_is_told(const profile_input *in, const profile_term *t) {
  if (t->items < SURE_ITEMS && in->item_count >= SHORT_HISTORY) return false;
  return t->background > 0 && share_of(in, t) > t->background;
}

/* "rising" and "fading" compare the newer half of the history with the older one; both are smoothed by one item. */
static const char *trend_of(const profile_input *in, const profile_term *t) {
  if (in->time_s == NULL || in->item_count < 2 * SHORT_HISTORY) return "steady";
  double recent = t->recent_items + 1.0, older = t->items - t->recent_items + 1.0;
  return recent >= TREND * older ? "rising" : older >= TREND * recent ? "fading" : "steady";
}

static json_t *term_to_json(const profile_input *in, const profile_term *t) {
  double share = share_of(in, t);
  return json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:s}", "name", t->name, "items", (json_int_t)t->items, "share",
                   share, "background", t->background, "lift", share / t->background, "strength", strength_of(in, t),
                   "trend", trend_of(in, t));
}

typedef struct ranked_term {
  const profile_term *term;
  double strength;
} ranked_term;

static int ranked_compare(const void *a, const void *b) {
  const ranked_term *x = a, *y = b;
  if (x->strength != y->strength) return x->strength < y->strength ? 1 : -1;
  return strcmp(x->term->name, y->term->name);
}

/* The terms of one sort that are told, strongest first; room has space for all terms. */
static size_t terms_rank(const profile_input *in, profile_sort sort, ranked_term *room) {
  size_t count = 0;
  for (size_t i = 0; i < in->term_count; i++)
    if (in->terms[i].sort == sort && term_is_told(in, &in->terms[i]))
      room[count++] = (ranked_term){&in->terms[i], strength_of(in, &in->terms[i])};
  if (count > 0) qsort(room, count, sizeof *room, ranked_compare);
  return count < TERMS_TOLD ? count : TERMS_TOLD;
}

static json_t *terms_to_json(const profile_input *in, const ranked_term *terms, size_t count) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) json_array_append_new(list, term_to_json(in, terms[i].term));
  return list;
}

/* ---- modalities ---- */

static double alike(const profile_side *s) {
  return s->items >= 2 && s->deviation > 0 ? (s->likeness - s->usual) / s->deviation : 0;
}

static const char *alike_words(const profile_side *s) {
  double d = alike(s);
  if (s->items < 2) return "too few items to tell";
  return d >= ALIKE_STRONG  ? "the chosen items are very alike in this"
         : d >= ALIKE_CLEAR ? "the chosen items are alike in this"
                            : "the chosen items vary as the catalogue does";
}

static json_t *sides_to_json(const profile_input *in) {
  json_t *list = json_array();
  for (size_t i = 0; i < in->side_count; i++) {
    const profile_side *s = &in->sides[i];
    json_array_append_new(
        list, json_pack("{s:s, s:I, s:f, s:f, s:f, s:s}", "modality", s->name, "items", (json_int_t)s->items,
                        "likeness", s->likeness, "usual", s->usual, "strength", alike(s), "text", alike_words(s)));
  }
  return list;
}

/* ---- items ---- */

static double item_worth(const profile_item *i) { return isfinite(i->typical) ? i->weight * i->typical : -INFINITY; }

static json_t *items_to_json(const profile_input *in) {
  json_t *list = json_array();
  double before = INFINITY;
  /* A few of many: the next best below the last one told, again and again. Equal ones are told together. */
  while (json_array_size(list) < ITEMS_TOLD) {
    double best = -INFINITY;
    for (size_t i = 0; i < in->item_count; i++)
      if (item_worth(&in->items[i]) < before && item_worth(&in->items[i]) > best) best = item_worth(&in->items[i]);
    if (best == -INFINITY) break;
    for (size_t i = 0; i < in->item_count && json_array_size(list) < ITEMS_TOLD; i++)
      if (item_worth(&in->items[i]) == best)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:f, s:f}", "item", in->items[i].key, "title", in->items[i].title, "weight",
                            in->items[i].weight, "typical", in->items[i].typical));
    before = best;
  }
  return list;
}

/* ---- activity ---- */

static bool utc_of(int64_t time_s, struct tm *out) {
  time_t t = (time_t)time_s;
  return gmtime_r(&t, out) != NULL && out->tm_year > -1900 && out->tm_year < 8100;
}

static json_t *counts_to_json(const uint32_t *counts, size_t count) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) json_array_append_new(list, json_integer(counts[i]));
  return list;
}

static void date_of(int64_t time_s, char out[16]) {
  struct tm t;
  out[0] = '\0';
  if (utc_of(time_s, &t)) strftime(out, 16, "%Y-%m-%d", &t);
}

static json_t *activity_to_json(const profile_input *in, char first_day[16], char last_day[16]) {
  uint32_t hours[24] = {0}, weekdays[7] = {0};
  int64_t first = INT64_MAX, last = INT64_MIN;
  if (in->time_s == NULL || in->item_count == 0) return json_null();
  json_t *months = json_object();
  for (size_t i = 0; i < in->item_count; i++) {
    struct tm t;
    char month[16];
    if (!utc_of(in->time_s[i], &t)) continue;
    strftime(month, sizeof month, "%Y-%m", &t);
    json_object_set_new(months, month, json_integer(json_integer_value(json_object_get(months, month)) + 1));
    hours[t.tm_hour]++;
    weekdays[(t.tm_wday + 6) % 7]++;
    if (in->time_s[i] < first) first = in->time_s[i];
    if (in->time_s[i] > last) last = in->time_s[i];
  }
  date_of(first, first_day);
  date_of(last, last_day);
  return json_pack("{s:s, s:s, s:o, s:o, s:o}", "first", first_day, "last", last_day, "months", months, "hours",
                   counts_to_json(hours, 24), "weekdays", counts_to_json(weekdays, 7));
}

/* ---- in words ---- */

static void terms_say(const profile_input *in, const ranked_term *terms, size_t count, const char *opening,
                      strbuf *out) {
  if (count == 0) return;
  strbuf_printf(out, " %s ", opening);
  for (size_t i = 0; i < count && i < 3; i++) {
    double share = share_of(in, terms[i].term);
    strbuf_printf(out, "%s%s (%.0f %% of the choices, %.0f %% of the catalogue)", i > 0 ? ", " : "",
                  terms[i].term->name, 100 * share, 100 * terms[i].term->background);
  }
  strbuf_append_char(out, '.');
}

static void sides_say(const profile_input *in, strbuf *out) {
  bool any = false;
  for (size_t i = 0; i < in->side_count; i++) {
    if (alike(&in->sides[i]) < ALIKE_CLEAR) continue;
    strbuf_printf(out, "%s%s", any ? ", " : " The choices are alike in: ", in->sides[i].name);
    any = true;
  }
  if (any) strbuf_append_char(out, '.');
}

static void summary_say(const profile_input *in, const ranked_term *const terms[PROFILE_SORTS],
                        const size_t counts[PROFILE_SORTS], const char *first, const char *last, strbuf *out) {
  if (in->item_count == 0) {
    strbuf_append(out, "Nothing was chosen yet.");
    return;
  }
  strbuf_printf(out, "%zu item%s chosen", in->item_count, in->item_count == 1 ? "" : "s");
  if (first[0] != '\0') strbuf_printf(out, " from %s to %s", first, last);
  strbuf_append_char(out, '.');
  terms_say(in, terms[PROFILE_CATEGORY], counts[PROFILE_CATEGORY], "Categories that stand out:", out);
  terms_say(in, terms[PROFILE_TAG], counts[PROFILE_TAG], "Tags that stand out:", out);
  sides_say(in, out);
}

medley_status profile_to_json(const profile_input *input, json_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ranked_term *rows[PROFILE_SORTS] = {NULL};
  size_t counts[PROFILE_SORTS];
  char first[16] = "", last[16] = "";
  strbuf summary = {0};
  *out = NULL;
  for (int s = 0; s < PROFILE_SORTS; s++) {
    TRY_NEW(rows[s], input->term_count, "a profile");
    counts[s] = input->item_count > 0 ? terms_rank(input, (profile_sort)s, rows[s]) : 0;
  }
  json_t *activity = activity_to_json(input, first, last);
  const ranked_term *const terms[PROFILE_SORTS] = {rows[0], rows[1], rows[2]};
  summary_say(input, terms, counts, first, last, &summary);
  *out = json_pack("{s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "user", input->user, "items",
                   (json_int_t)input->item_count, "summary", summary.failed ? "" : summary.text, "categories",
                   terms_to_json(input, rows[PROFILE_CATEGORY], counts[PROFILE_CATEGORY]), "tags",
                   terms_to_json(input, rows[PROFILE_TAG], counts[PROFILE_TAG]), "words",
                   terms_to_json(input, rows[PROFILE_WORD], counts[PROFILE_WORD]), "modalities", sides_to_json(input),
                   "typical_items", items_to_json(input), "activity", activity);
  if (summary.failed || *out == NULL) status = error_memory(err, "a profile");
done:
  strbuf_deinit(&summary);
  for (int s = 0; s < PROFILE_SORTS; s++) mem_free(rows[s]);
  if (status != MEDLEY_OK) {
    json_decref(*out);
    *out = NULL;
  }
  return status;
}
