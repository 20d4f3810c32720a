/* engine/sample_people.c: made-up people: what they like, what they meet, and what they then do.
 *
 * Tastes are mixtures of a few archetypes with something of one's own, so that people resemble each other (which
 * collaborative models need) without being copies. What they meet is skewed by exposure and newness, what they pick out
 * of it by taste and by the mood of the visit, and what they do with it by how it pleases them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "engine/sample_world.h"

#define ARCHETYPE_COUNT 10
#define SHELF 30        /* things met at each step of a visit; one is picked */
#define PICKINESS 2.8f  /* weight of the utility in the choice (softmax) */
#define MOOD_BONUS 0.9f /* for things that fit the visit's mood */
#define NOISE 0.45f     /* of how a thing pleases at the moment */
#define FRESH_DAYS 25.0 /* newness wears off with this time constant */

const char *const sample_event_names[] = {"view", "like", "buy", "rate", "skip", "dislike"};
const char *const sample_age_groups[] = {"under 18", "18-29", "30-44", "45-59", "60 and over"};
#define AGE_GROUPS 5

/* ---- tastes ---- */

/* Mostly mild with a few strong ones, as likings are: n·|n|, brought to variance 1. */
static float liking_draw(rng *r) {
  double n = rng_normal(r);
  return (float)(n * fabs(n) / 1.732);
}

static void taste_draw(rng *r, sample_user *u) {
  for (unsigned a = 0; a < ATTRIBUTE_COUNT; a++)
    for (unsigned v = 0; v < sample_attributes[a].count; v++) u->taste[a][v] = liking_draw(r);
  double sum = 0, share[SENSE_COUNT];
  for (unsigned s = 0; s < SENSE_COUNT; s++) sum += share[s] = 0.15 + rng_uniform(r);
  for (unsigned s = 0; s < SENSE_COUNT; s++) u->leaning[s] = (float)(SENSE_COUNT * share[s] / sum);
  u->age_group = (uint8_t)rng_below(r, AGE_GROUPS);
}

/* 0.8² + 0.4² + 0.45² = 1: a main archetype, a second one, and one's own. */
static void user_draw(rng *r, const sample_user *archetypes, sample_user *u) {
  const sample_user *main = &archetypes[rng_below(r, ARCHETYPE_COUNT)];
  const sample_user *second = &archetypes[rng_below(r, ARCHETYPE_COUNT)];
  taste_draw(r, u);
  for (unsigned a = 0; a < ATTRIBUTE_COUNT; a++)
    for (unsigned v = 0; v < sample_attributes[a].count; v++)
      u->taste[a][v] = 0.8f * main->taste[a][v] + 0.4f * second->taste[a][v] + 0.45f * u->taste[a][v];
  for (unsigned s = 0; s < SENSE_COUNT; s++) u->leaning[s] = 0.6f * main->leaning[s] + 0.4f * u->leaning[s];
  if (rng_uniform(r) < 0.6) u->age_group = main->age_group;
  u->language = rng_uniform(r) < 0.55 ? LANGUAGE_EN : LANGUAGE_ZH;
  u->activity = (float)exp(0.6 * rng_normal(r) - 0.18);
}

/* Whether anybody could know the value: by its medium, or because the words tell it. */
static bool attribute_shows(const sample_item *item, sample_attribute a) {
  if (item->told[a]) return true;
  switch (sample_attributes[a].sense) {
    case SENSE_LOOKS: return item->has_image;
    case SENSE_SOUNDS: return item->has_sound;
    default: return false;
  }
}

static bool words_suit(const sample_user *u, const sample_item *item) {
  return item->words == WORDS_EN_ZH || item->words == WORDS_ZH_EN ||
         item->words == (u->language == LANGUAGE_EN ? WORDS_EN : WORDS_ZH);
}

static float utility_of(const sample_user *u, const sample_item *item) {
  float sum = 0;
  for (unsigned a = 0; a < ATTRIBUTE_COUNT; a++) {
    const sample_attribute_row *row = &sample_attributes[a];
    if (attribute_shows(item, a)) sum += row->weight * u->leaning[row->sense] * u->taste[a][item->value[a]];
  }
  /* 0.36 brings the sum over the table's weights to about variance 1. */
  return 0.36f * sum + 0.25f * item->quality + (words_suit(u, item) ? 0.15f : -0.15f);
}

float sample_utility(const sample_world *w, uint32_t user, uint32_t item) {
  return utility_of(&w->users[user], &w->items[item]);
}

/* ---- visits ---- */

/* What one person's life needs while it is simulated. */
typedef struct life {
  sample_world *w;
  rng *r;
  uint32_t user;
  const float *cumulative; /* [items] exposure up to and with each thing, in order of arrival */
  uint8_t *seen;           /* [items] */
  uint32_t known;          /* things in the shop at the moment: a prefix of the items, never empty */
  int64_t now_s;
  sample_attribute mood;
  uint8_t mood_value;
  long left; /* events still to do */
} life;

static medley_status event_add(life *l, uint32_t item, sample_event_type type, float value, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sample_world *w = l->w;
  TRY_GROW(w->events, w->event_capacity, w->event_count + 1, "sample events");
  w->events[w->event_count++] = (sample_event){l->user, item, type, value, l->now_s};
  l->left--;
done:
  return status;
}

/* A thing by exposure, by bisection of the running sum. */
static uint32_t item_meet(const life *l) {
  float at = (float)rng_uniform(l->r) * l->cumulative[l->known - 1];
  uint32_t low = 0, high = l->known - 1;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (l->cumulative[middle] <= at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool item_fresh_enough(const life *l, uint32_t item) {
  double days = (double)(l->now_s - l->w->items[item].time_s) / SAMPLE_DAY_S;
  return rng_uniform(l->r) < 0.35 + 0.65 * exp(-days / FRESH_DAYS);
}

/* The thing picked from a shelf of unseen ones (Gumbel noise makes the greatest sum a softmax choice), and the least
 * liked one of the shelf; false when the shop has nothing new. */
static bool item_pick(const life *l, uint32_t *picked, uint32_t *worst) {
  float best = -INFINITY, least = INFINITY;
  for (int met = 0, tries = 0; met < SHELF && tries < 20 * SHELF; tries++) {
    uint32_t item = item_meet(l);
    if (l->seen[item] || !item_fresh_enough(l, item)) continue;
    met++;
    float liked = sample_utility(l->w, l->user, item);
    if (l->w->items[item].value[l->mood] == l->mood_value) liked += MOOD_BONUS;
    float score = PICKINESS * liked - (float)log(-log(rng_uniform(l->r) + 1e-12));
    if (score > best) best = score, *picked = item;
    if (liked < least) least = liked, *worst = item;
  }
  return best > -INFINITY;
}

/* After a view: what is done with the thing, by how it pleases at this moment. */
static medley_status item_react(life *l, uint32_t item, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float pleased = sample_utility(l->w, l->user, item) + NOISE * (float)rng_normal(l->r);
  double dice = rng_uniform(l->r);
  l->now_s += 5 + (int64_t)rng_below(l->r, 40);
  if (pleased > 0.8f && dice < 0.4)
    TRY(event_add(l, item, EVENT_LIKE, 1, err));
  else if (pleased < -0.4f && dice < 0.3)
    TRY(event_add(l, item, EVENT_DISLIKE, 1, err));
  if (pleased > 1.0f && rng_uniform(l->r) < 0.25) TRY(event_add(l, item, EVENT_BUY, 1, err));
  if (rng_uniform(l->r) < 0.12) {
    float stars = roundf(2.8f + 1.1f * pleased);
    TRY(event_add(l, item, EVENT_RATE, stars < 1 ? 1 : stars > 5 ? 5 : stars, err));
  }
done:
  return status;
}

/* How many things have come by this moment. */
static uint32_t items_known(const sample_world *w, int64_t now_s) {
  uint32_t low = 0, high = w->options.items;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (w->items[middle].time_s <= now_s)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static medley_status visit(life *l, medley_error *err) {
  medley_status status = MEDLEY_OK;
  long steps = 2 + (long)rng_below(l->r, 7);
  uint32_t item = 0, worst = 0;
  /* The mood is a kind or a theme that the person tends to like: the better of two. */
  const sample_user *u = &l->w->users[l->user];
  l->mood = rng_uniform(l->r) < 0.5 ? ATTRIBUTE_KIND : ATTRIBUTE_THEME;
  uint8_t one = (uint8_t)rng_below(l->r, 8), other = (uint8_t)rng_below(l->r, 8);
  l->mood_value = u->taste[l->mood][one] > u->taste[l->mood][other] ? one : other;
  l->known = items_known(l->w, l->now_s);
  for (; steps > 0 && l->left > 0; steps--) {
    if (!item_pick(l, &item, &worst)) break;
    l->seen[item] = 1;
    TRY(event_add(l, item, EVENT_VIEW, 1, err));
    TRY(item_react(l, item, err));
    if (worst != item && rng_uniform(l->r) < 0.08) {
      l->seen[worst] = 1;
      TRY(event_add(l, worst, EVENT_SKIP, 1, err));
    }
    l->now_s += 15 + (int64_t)rng_below(l->r, 90);
  }
done:
  return status;
}

/* Visits spread evenly over the days since the person joined, in the evening more often than not. */
static medley_status live(life *l, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sample_world *w = l->w;
  l->left = (long)fmax(4, w->options.events_per_user * (double)w->users[l->user].activity);
  long visits = l->left / 7 + 1;
  double joined = 0.7 * SAMPLE_OPEN_DAYS * rng_uniform(l->r) * rng_uniform(l->r);
  for (long v = 0; v < 4 * visits && l->left > 0; v++) {
    double day = joined + (SAMPLE_OPEN_DAYS - 1 - joined) * fmin(1, ((double)v + rng_uniform(l->r)) / (double)visits);
    double hour = rng_uniform(l->r) < 0.6 ? 18 + 5 * rng_uniform(l->r) : 7 + 11 * rng_uniform(l->r);
    l->now_s = SAMPLE_OPENS_S + (int64_t)floor(day) * SAMPLE_DAY_S + (int64_t)(hour * 3600);
    TRY(visit(l, err));
  }
done:
  return status;
}

/* ---- follows ---- */

static float taste_likeness(const sample_user *a, const sample_user *b) {
  float dot = 0, aa = 0, bb = 0;
  for (unsigned k = 0; k < ATTRIBUTE_COUNT; k++) {
    for (unsigned v = 0; v < sample_attributes[k].count; v++) {
      dot += a->taste[k][v] * b->taste[k][v];
      aa += a->taste[k][v] * a->taste[k][v];
      bb += b->taste[k][v] * b->taste[k][v];
    }
  }
  return dot / sqrtf(aa * bb + 1e-9f);
}

/* Everybody follows up to four of some people met by chance, preferring like minds; nobody twice. */
static medley_status links_draw(sample_world *w, rng *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (uint32_t u = 0; u < w->options.users; u++) {
    size_t first = w->link_count;
    for (uint64_t count = rng_below(r, 5); count > 0; count--) {
      uint32_t chosen = u;
      float best = -2;
      for (int met = 0; met < 12; met++) {
        uint32_t other = (uint32_t)rng_below(r, w->options.users);
        float likeness = other == u ? -2 : taste_likeness(&w->users[u], &w->users[other]);
        if (likeness > best) best = likeness, chosen = other;
      }
      for (size_t k = first; k < w->link_count; k++)
        if (w->links[k].to == chosen) chosen = u;
      if (chosen == u) continue;
      TRY_GROW(w->links, w->link_capacity, w->link_count + 1, "sample links");
      w->links[w->link_count++] = (sample_link){u, chosen, 1};
    }
  }
done:
  return status;
}

static int event_compare(const void *a, const void *b) {
  const sample_event *x = a, *y = b;
  if (x->time_s != y->time_s) return x->time_s < y->time_s ? -1 : 1;
  if (x->user != y->user) return x->user < y->user ? -1 : 1;
  if (x->type != y->type) return (int)x->type - (int)y->type;
  return x->item < y->item ? -1 : x->item > y->item;
}

medley_status sample_people_live(sample_world *w, rng *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *cumulative = NULL, sum = 0;
  uint8_t *seen = NULL;
  sample_user *archetypes = NULL;
  TRY_NEW(cumulative, w->options.items, "sample items");
  TRY_NEW(seen, w->options.items, "sample items");
  TRY_NEW(archetypes, ARCHETYPE_COUNT, "sample users");
  for (uint32_t i = 0; i < w->options.items; i++) cumulative[i] = sum += w->items[i].exposure;
  for (int k = 0; k < ARCHETYPE_COUNT; k++) taste_draw(r, &archetypes[k]);
  for (uint32_t u = 0; u < w->options.users; u++) user_draw(r, archetypes, &w->users[u]);
  for (uint32_t u = 0; u < w->options.users; u++) {
    memset(seen, 0, w->options.items);
    TRY(live(&(life){.w = w, .r = r, .user = u, .cumulative = cumulative, .seen = seen}, err));
  }
  if (w->event_count > 1) qsort(w->events, w->event_count, sizeof *w->events, event_compare);
  TRY(links_draw(w, r, err));
done:
  mem_free(cumulative);
  mem_free(seen);
  mem_free(archetypes);
  return status;
}
