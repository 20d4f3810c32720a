/* data/weights.c: what an event says about taste, from the name of its type. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/interactions.h"

/* Buying says more than clicking; how much more hardly matters to any model, only the order does. */
static const struct word_weight {
  const char *word;
  float weight;
  bool rating;
} words[] = {
    {"view", 1, false},      {"click", 1, false},    {"watch", 1, false},    {"play", 1, false},
    {"listen", 1, false},    {"read", 1, false},     {"like", 2, false},     {"love", 2, false},
    {"favourite", 2, false}, {"favorite", 2, false}, {"bookmark", 2, false}, {"save", 2, false},
    {"share", 2, false},     {"cart", 2, false},     {"add", 2, false},      {"buy", 3, false},
    {"purchase", 3, false},  {"order", 3, false},    {"rate", 1, true},      {"rating", 1, true},
    {"dislike", 0, false},   {"unlike", 0, false},   {"skip", 0, false},     {"hide", 0, false},
    {"remove", 0, false},    {"report", 0, false},   {"block", 0, false},    {"mute", 0, false},
    {"ignore", 0, false},    {"distrust", 0, false}, {"not", 0, false},
};

/* "likes" is "like". */
static const struct word_weight *word_find(const char *word, size_t length) {
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    size_t known = strlen(words[i].word);
    bool plural = length == known + 1 && tolower((unsigned char)word[known]) == 's';
    if ((length == known || plural) && strncasecmp(words[i].word, word, known) == 0) return &words[i];
  }
  return NULL;
}

/* "add-to-cart" has several words: the strongest counts, but one that refuses ("remove from cart") beats them all. */
float event_type_weigh(const char *name, bool *rating) {
  float weight = -1;
  bool refused = false;
  *rating = false;
  while (*name != '\0') {
    size_t length = 0;
    while (isalpha((unsigned char)name[length])) length++;
    const struct word_weight *found = word_find(name, length);
    if (found != NULL) {
      refused |= found->weight == 0;
      *rating |= found->rating;
      if (found->weight > weight) weight = found->weight;
    }
    name += length ? length : 1;
  }
  return refused ? 0 : weight < 0 ? 1 : weight;
}

static bool is_rating(const event_weights *w, int32_t type) {
  return type >= 0 && type < 64 && (w->rating_types >> type & 1);
}

static int float_compare(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* The middle of the scale that the ratings use: 3 for one to five, 0 for thumbs of -1 and 1. The ends are the first and
 * the last hundredth of an even sample, so that one mistyped rating of 500 does not stretch the scale. NAN when all are
 * the same. */
static float rating_middle(const event_log *log, const event_weights *w) {
  enum { SAMPLE = 4096 };
  float sample[SAMPLE];
  size_t ratings = 0, seen = 0, taken = 0;
  for (size_t i = 0; i < log->event_count; i++) ratings += is_rating(w, log->events[i].type);
  size_t stride = ratings / SAMPLE + 1;
  for (size_t i = 0; i < log->event_count; i++) {
    const event *e = &log->events[i];
    if (is_rating(w, e->type) && seen++ % stride == 0 && isfinite(e->value)) sample[taken++] = e->value;
  }
  if (taken == 0) return NAN;
  qsort(sample, taken, sizeof *sample, float_compare);
  float lowest = sample[taken / 100], greatest = sample[taken - 1 - taken / 100];
  return lowest < greatest ? (lowest + greatest) / 2 : NAN;
}

void event_weights_default(const event_log *log, event_weights *out) {
  *out = (event_weights){.rating_threshold = NAN};
  for (int32_t type = 0; type < 64; type++) {
    bool rating = false;
    out->type_weight[type] = type < log->type_count ? event_type_weigh(log->type_names[type], &rating) : 1;
    if (rating) out->rating_types |= (uint64_t)1 << type;
  }
  out->rating_threshold = rating_middle(log, out);
}

float event_weight(const event_weights *w, const event *e) {
  if (is_rating(w, e->type)) {
    if (isnan(e->value) || e->value < w->rating_threshold) return 0;
  } else if (!(e->value >= 0)) { /* a returned order */
    return 0;
  }
  return e->type >= 0 && e->type < 64 ? w->type_weight[e->type] : 1;
}
