/* recommend/imbalance.c: see recommend/imbalance.h. */
#include "recommend/imbalance.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

/* ---- goals ---- */

static double bounded(double times) { return times < IMBALANCE_TIMES_MAX ? times : IMBALANCE_TIMES_MAX; }

static void times_find(imbalance *b, const imbalance_exponents *by, const uint64_t *pairs) {
  double most = 0, least = INFINITY;
  for (size_t c = 0; c < GOAL_COUNT; c++) {
    if (pairs[c] == 0) continue;
    most = fmax(most, (double)pairs[c]);
    least = fmin(least, (double)pairs[c]);
  }
  for (size_t c = 0; c < GOAL_COUNT; c++) {
    double n = (double)pairs[c];
    b->plain[c] = n > 0 ? bounded(pow(most / n, by->over) * pow(least / n, by->under)) : 1;
    b->made[c] = n > 0 ? bounded(pow(most / n, by->smote)) - 1 : 0;
  }
}

void imbalance_init(imbalance *b, const imbalance_exponents *by, const uint64_t *pairs, size_t beside) {
  double asked[GOAL_COUNT], all = 0, yes = 0;
  times_find(b, by, pairs);
  for (size_t c = 0; c < GOAL_COUNT; c++) all += asked[c] = (double)pairs[c] * (b->plain[c] + b->made[c]);
  for (size_t g = GOAL_COUNT; g-- > 0;) {
    yes += asked[g];
    double share = all > 0 ? yes / all / (double)(1 + beside) : 0;
    b->weight[g][0] = (float)pow(0.5 / (1 - share), by->weigh);
    b->weight[g][1] = share > 0 ? (float)pow(0.5 / share, by->weigh) : 1;
  }
}

size_t imbalance_times(double mean, rng *draw) {
  mean = bounded(mean);
  double whole = floor(mean);
  return (size_t)whole + (mean > whole && rng_uniform(draw) < mean - whole);
}

/* ---- modalities ---- */

void modality_masks(const features *list, size_t count, uint32_t items, uint32_t *mask) {
  for (uint32_t i = 0; i < items; i++) {
    mask[i] = 0;
    for (size_t m = 0; m < count; m++) mask[i] |= (uint32_t)(list[m].present[i] != 0) << m;
  }
}

void modality_sets_deinit(modality_sets *s) {
  mem_free(s->set);
  mem_free(s->item);
  mem_free(s->event);
  mem_free(s->items_to);
  mem_free(s->events_to);
  mem_free(s->until);
  mem_free(s->times);
}

typedef struct masked {
  uint32_t mask, item;
} masked;

static int masked_compare(const void *a, const void *b) {
  const masked *x = a, *y = b;
  if (x->mask != y->mask) return x->mask < y->mask ? -1 : 1;
  return (x->item > y->item) - (x->item < y->item);
}

/* Sets in the order of their masks, items and events in theirs. */
static void sets_fill(modality_sets *s, const sparse *by_item, const masked *order) {
  size_t events = 0;
  for (uint32_t i = 0; i < by_item->rows; i++) {
    uint32_t item = order[i].item;
    if (i == 0 || order[i].mask != order[i - 1].mask) s->count++;
    s->set[item] = (uint32_t)s->count - 1;
    s->item[i] = item;
    for (uint64_t e = by_item->start[item]; e < by_item->start[item + 1]; e++) s->event[events++] = item;
    s->items_to[s->count - 1] = i + 1;
    s->events_to[s->count - 1] = events;
  }
}

/* How many of all lie in set k. */
static double part_of(const size_t *to, size_t k, double all) {
  return all > 0 ? (double)(to[k] - (k > 0 ? to[k - 1] : 0)) / all : 0;
}

static void chances_find(modality_sets *s, double items, double events, double exponent) {
  double drawn = 0, chosen = 0, until = 0;
  for (size_t k = 0; k < s->count; k++) {
    double of_events = part_of(s->events_to, k, events);
    double chance =
        events > 0 ? 0.5 * part_of(s->items_to, k, items) + 0.5 * of_events : part_of(s->items_to, k, items);
    s->times[k] = pow(chance, -exponent);
    s->until[k] = chance * s->times[k];
    drawn += s->until[k];
    chosen += of_events * s->times[k];
  }
  for (size_t k = 0; k < s->count; k++) {
    s->until[k] = until += s->until[k] / drawn;
    s->times[k] = chosen > 0 ? fmin(s->times[k] / chosen, IMBALANCE_TIMES_MAX) : 1;
  }
}

medley_status modality_sets_init(modality_sets *s, const interactions *train, const uint32_t *mask, double exponent,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t items = train->by_item.rows, events = (size_t)sparse_count(&train->by_item), sets = 1;
  masked *order = NULL;
  *s = (modality_sets){0};
  TRY_NEW(order, items + 1, "modalities");
  for (uint32_t i = 0; i < items; i++) order[i] = (masked){mask[i], i};
  qsort(order, items, sizeof *order, masked_compare);
  for (size_t i = 1; i < items; i++) sets += order[i].mask != order[i - 1].mask;
  TRY_NEW(s->set, items + 1, "modalities");
  TRY_NEW(s->item, items + 1, "modalities");
  TRY_NEW(s->event, events + 1, "modalities");
  TRY_NEW(s->items_to, sets, "modalities");
  TRY_NEW(s->events_to, sets, "modalities");
  TRY_NEW(s->until, sets, "modalities");
  TRY_NEW(s->times, sets, "modalities");
  sets_fill(s, &train->by_item, order);
  chances_find(s, (double)items, (double)events, exponent);
done:
  mem_free(order);
  return status;
}

uint32_t modality_sets_draw(const modality_sets *s, rng *draw) {
  double at = rng_uniform(draw);
  size_t k = 0;
  while (k + 1 < s->count && at >= s->until[k]) k++;
  size_t item = k > 0 ? s->items_to[k - 1] : 0, event = k > 0 ? s->events_to[k - 1] : 0;
  size_t items = s->items_to[k] - item, events = s->events_to[k] - event;
  /* Within a set as over all: half of what is drawn evenly, and half of what is drawn by events, lies in it. */
  double evenly = (double)items / (double)s->items_to[s->count - 1];
  double by_events = events > 0 ? (double)events / (double)s->events_to[s->count - 1] : 0;
  if (rng_uniform(draw) * (evenly + by_events) < evenly) return s->item[item + rng_below(draw, items)];
  return s->event[event + rng_below(draw, events)];
}
