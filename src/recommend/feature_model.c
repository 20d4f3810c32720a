/* recommend/feature_model.c: see recommend/feature_model.h. */
#include "recommend/feature_model.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "encode/trained.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/content_map.h"
#include "recommend/imbalance.h"
#include "recommend/model.h"
#include "recommend/smote.h"

#define SIZES 12        /* classes of how much is in a history: doubling */
#define TARGETS_MAX 8   /* of one person in a step */
#define TARGET_SHARE 3  /* at most one in so many of a history is asked for, so that some of it is left */
#define SCORE_ROWS 1024 /* items at once in an answer */
#define DRAWS_MAX 8     /* tries for an item that the person has not chosen */
#define DEVIATION 0.1   /* of the first vectors */

struct feature_model {
  recommender base;
  const feature_network *network;
  double values[FEATURE_SETTINGS];
  uint32_t goal[GOAL_COUNT]; /* [layers.goals] which they are, ascending */
  feature_layers layers;
  layer_embedding sizes;       /* [SIZES, dim] */
  layer_embedding known_of;    /* [traits, dim] */
  const uint32_t *trait_field; /* [traits] ascending */
  uint32_t traits;
  parameters *weights;
  const float *vectors; /* [items, item_fields · dim] */
  const float *heard;   /* [items, dim] what an item says of a person who has it in the history */
  const float *prior;   /* [items] log q n */
  uint8_t *known;       /* [items] whose vectors are not zero */
  float *owned, *owned_heard, *owned_prior;
  uint32_t *owned_field;
};

static size_t settings_count(const recommender_kind *kind) {
  size_t count = 0;
  while (kind->settings[count].name != NULL) count++;
  return count;
}

void feature_free(recommender *r) {
  if (r == NULL) return;
  feature_model *m = (feature_model *)r;
  parameters_free(m->weights);
  mem_free(m->owned);
  mem_free(m->owned_heard);
  mem_free(m->owned_prior);
  mem_free(m->owned_field);
  mem_free(m->known);
  mem_free(m);
}

/* ---- parameters ---- */

/* Of a network, beside its settings. */
typedef struct feature_sizes {
  size_t goals, item_fields, trait_fields;
  uint32_t traits;
} feature_sizes;

/* The parameters that a model keeps; those of a fitting come behind. */
static void layers_init(feature_layers *l, layer_embedding *sizes, layer_embedding *known_of,
                        const feature_network *network, const double *values, const feature_sizes *n, parameters *p) {
  *l = (feature_layers){.dim = (size_t)values[FEATURE_DIM],
                        .hidden = (size_t)values[FEATURE_HIDDEN],
                        .goals = n->goals,
                        .experts = 1,
                        .bags = network->one_goal ? 1 : n->goals,
                        .item_fields = n->item_fields,
                        .dropout = values[FEATURE_DROPOUT]};
  l->person_fields = l->bags + 1 + n->trait_fields;
  if (settings_count(network->kind) > FEATURE_EXPERTS) l->experts = (size_t)values[FEATURE_EXPERTS];
  layer_embedding_init(sizes, p, "sizes", SIZES, l->dim, DEVIATION, false);
  if (n->traits > 0) layer_embedding_init(known_of, p, "traits", n->traits, l->dim, DEVIATION, false);
  network->init(l, p);
}

/* ---- goals ---- */

/* Which goals there are to learn; returns how many, at least one. */
static size_t goals_find(const interactions *x, uint32_t goal[GOAL_COUNT]) {
  uint64_t count = sparse_count(&x->by_user);
  size_t goals = 0;
  unsigned seen = 0;
  for (uint64_t e = 0; x->goals != NULL && e < count; e++) seen |= x->goals[e];
  for (uint32_t g = 0; g < GOAL_COUNT; g++)
    if (seen >> g & 1) goal[goals++] = g;
  if (goals == 0) goal[goals++] = GOAL_CLICK;
  return goals;
}

/* What a kind with one goal asks for: the one that its setting names or, where there is none so strong, the strongest.
 */
static uint32_t goal_wanted(const double *values, const uint32_t *goal, size_t goals) {
  uint32_t wanted = (uint32_t)values[FEATURE_GOAL];
  return wanted < goal[goals - 1] ? wanted : goal[goals - 1];
}

/* The strongest of the goals that such an event serves, by position among them. */
static size_t goal_of_event(const uint32_t *goal, size_t goals, float weight) {
  size_t found = 0;
  for (size_t g = 1; g < goals; g++)
    if (goal[g] <= (uint32_t)goal_of_weight(weight)) found = g;
  return found;
}

static size_t size_class(size_t count) {
  size_t class = 0;
  for (; count > 1 && class < SIZES - 1; count /= 2) class ++;
  return class;
}

/* ---- training ---- */

typedef struct fitting {
  const feature_network *network;
  const interactions *train;
  const double *values;
  uint64_t seed;
  uint32_t items;
  uint32_t goal[GOAL_COUNT];
  uint32_t *user;               /* [users] with two things or more */
  size_t users, targets_most;   /* in a history */
  float *content[FEATURES_MAX]; /* [items, width] each */
  size_t width[FEATURES_MAX], parts;
  imbalance balance;
  uint32_t *mask;          /* [items] what each has; NULL where nobody asks */
  modality_sets sets;      /* none: items are drawn as they come */
  smote alike[GOAL_COUNT]; /* items with such an event, of goals that more are made up for */
  parameters *weights;
  feature_layers layers;
  layer_embedding sizes, known_of, own, heard;
  layer_linear shown[FEATURES_MAX], told[FEATURES_MAX]; /* W_m, A_m */
} fitting;

static void fitting_deinit(fitting *f) {
  for (size_t m = 0; m < FEATURES_MAX; m++) mem_free(f->content[m]);
  mem_free(f->user);
  mem_free(f->mask);
  modality_sets_deinit(&f->sets);
  for (size_t g = 0; g < GOAL_COUNT; g++) smote_deinit(&f->alike[g]);
  parameters_free(f->weights);
}

static double chance_of(const fitting *f, uint32_t item) {
  double events = (double)sparse_count(&f->train->by_user);
  return 0.5 / f->items + (events > 0 ? 0.5 * (double)f->train->popularity[item] / events : 0);
}

/* An item that the person has not chosen, where one is found. */
static uint32_t draw_item(const fitting *f, rng *draw, uint32_t user) {
  const sparse *x = &f->train->by_user;
  uint32_t item = 0;
  for (int tries = 0; tries < DRAWS_MAX; tries++) {
    item = f->sets.count > 0         ? modality_sets_draw(&f->sets, draw)
           : rng_uniform(draw) < 0.5 ? (uint32_t)rng_below(draw, f->items)
                                     : x->column[rng_below(draw, sparse_count(x))];
    if (!sparse_has(x, user, item)) break;
  }
  return item;
}

/* A row: whether the person takes the item, or the point `towards` of the way from it to the other. */
typedef struct asked_pair {
  uint32_t person, item, other;
  unsigned goals;
  float towards; /* 0: the item itself */
} asked_pair;

/* One field of what is known of people, a bag each. */
typedef struct batch_traits {
  tensor *start, *trait, *share; /* [people + 1], [entries], [entries] */
} batch_traits;

/* One step's people as bags of what is left in their histories, and the pairs that are asked for. */
typedef struct batch {
  size_t people, rows, negatives;
  asked_pair *pairs; /* [rows], in the tape's memory */
  size_t room;
  tensor *of, *label, *weight;                   /* [rows], [rows, goals], [rows, goals] or NULL: all ones */
  tensor *item, *item_start, *item_share;        /* [entries], [rows + 1], [entries] or NULL: each row is one item */
  tensor *start[GOAL_COUNT], *bag[GOAL_COUNT];   /* [people + 1], [entries] */
  tensor *shown[GOAL_COUNT], *share[GOAL_COUNT]; /* [entries]: the bag with some left out; what each counts */
  tensor *size;                                  /* [people] */
  batch_traits traits[TRAIT_FIELDS_MAX];
} batch;

/* The goals of an interaction, as bits. */
static unsigned goals_of(const fitting *f, uint64_t e) { return f->train->goals ? f->train->goals[e] : 1u; }

/* Whether it serves the first goal that is learned, or a stronger one: what is asked for. With several goals they all
 * do. */
static bool is_target(const fitting *f, uint64_t e) { return f->train->goals == NULL || goals_of(f, e) >> f->goal[0]; }

/* The strongest of some goals, as bits. */
static size_t class_of(unsigned goals) {
  size_t class = 0;
  while (goals >>= 1) class ++;
  return class;
}

static size_t targets_of(const fitting *f, uint32_t user) {
  uint64_t from = f->train->by_user.start[user], end = f->train->by_user.start[user + 1];
  size_t found = 0;
  for (uint64_t e = from; e < end; e++) found += is_target(f, e);
  size_t wanted = (found + TARGET_SHARE - 1) / TARGET_SHARE;
  return wanted > TARGETS_MAX ? TARGETS_MAX : wanted;
}

static bool pairs_room(tape *t, batch *b, size_t room) {
  tensor *block = tape_indices_new(t, room * sizeof(asked_pair) / sizeof(int32_t));
  if (block == NULL) return false;
  if (b->rows > 0) memcpy(block->data, b->pairs, b->rows * sizeof(asked_pair));
  b->pairs = block->data;
  b->room = room;
  return true;
}

static bool batch_room(tape *t, const fitting *f, const uint32_t *which, size_t count, batch *b) {
  size_t rows = 0, entries = 0, bags = f->layers.bags;
  *b = (batch){.people = count, .negatives = (size_t)f->values[FEATURE_NEGATIVES]};
  for (size_t i = 0; i < count; i++) {
    uint32_t user = f->user[which[i]];
    size_t targets = targets_of(f, user);
    rows += targets * (1 + b->negatives);
    entries += (size_t)(f->train->by_user.start[user + 1] - f->train->by_user.start[user]) - targets;
  }
  b->size = tape_indices_new(t, count);
  bool room = b->size && pairs_room(t, b, rows);
  for (size_t g = 0; g < bags; g++) {
    b->start[g] = tape_indices_new(t, count + 1), b->bag[g] = tape_indices_new(t, entries + 1);
    b->shown[g] = tape_indices_new(t, entries + 1), b->share[g] = tape_keep(tape_empty(t, 1, &(size_t){entries + 1}));
    room = room && b->start[g] && b->bag[g] && b->shown[g] && b->share[g];
    if (room) ((int32_t *)b->start[g]->data)[0] = 0;
  }
  return room;
}

/* What is left of one person's history into the bags of its goals: weights that sum to one in each. */
static void bags_fill(const fitting *f, rng *draw, batch *b, size_t person, uint32_t user, const uint8_t *asked) {
  uint64_t from = f->train->by_user.start[user], end = f->train->by_user.start[user + 1];
  size_t bags = f->layers.bags, left = 0;
  bool content = f->parts > 0;
  for (size_t g = 0; g < bags; g++) {
    int32_t *start = b->start[g]->data, at = start[person];
    double sum = 0;
    for (uint64_t e = from; e < end; e++) {
      float weight = f->train->by_user.value[e];
      if (asked[e - from] || goal_of_event(f->goal, bags, weight) != g) continue;
      bool hidden = content && rng_uniform(draw) < f->values[FEATURE_CONTENT];
      ((int32_t *)b->bag[g]->data)[at] = (int32_t)f->train->by_user.column[e];
      ((int32_t *)b->shown[g]->data)[at] = hidden ? -1 : (int32_t)f->train->by_user.column[e];
      real_data(b->share[g])[at++] = (real)weight;
      sum += (double)weight;
    }
    for (int32_t k = start[person]; k < at; k++) real_data(b->share[g])[k] /= (real)sum;
    left += (size_t)(at - start[person]);
    start[person + 1] = at;
  }
  ((int32_t *)b->size->data)[person] = (int32_t)size_class(left);
}

/* Whether a row serves a goal that is learned, by position. */
static bool serves(const fitting *f, unsigned goals, size_t g) {
  return f->train->goals == NULL ? goals != 0 : goals >> f->goal[g] != 0;
}

/* A pair, and items drawn beside it. */
static bool pair_ask(tape *t, const fitting *f, rng *draw, batch *b, uint32_t user, const asked_pair *pair) {
  if (b->rows + 1 + b->negatives > b->room && !pairs_room(t, b, 2 * b->room + 1 + b->negatives)) return false;
  b->pairs[b->rows++] = *pair;
  for (size_t n = 0; n < b->negatives; n++)
    b->pairs[b->rows++] = (asked_pair){.person = pair->person, .item = draw_item(f, draw, user)};
  return true;
}

/* As often as its goals and modalities are rare; `wanted`: at least once. */
static bool target_ask(tape *t, const fitting *f, rng *draw, batch *b, uint32_t user, const asked_pair *pair,
                       bool wanted) {
  size_t class = class_of(pair->goals);
  double even = f->sets.count > 0 ? f->sets.times[f->sets.set[pair->item]] : 1;
  size_t plain = imbalance_times(f->balance.plain[class] * even, draw);
  size_t made = imbalance_times(f->balance.made[class] * even, draw);
  if (plain + made == 0 && wanted) plain = 1;
  for (size_t k = 0; k < plain + made; k++) {
    asked_pair asked = *pair;
    if (k >= plain && !smote_draw(&f->alike[class], pair->item, draw, &asked.other, &asked.towards)) break;
    if (!pair_ask(t, f, draw, b, user, &asked)) return false;
  }
  return true;
}

/* Some of a person's things as targets; the last person's see to it that a step asks for anything at all. */
static bool person_fill(tape *t, const fitting *f, rng *draw, batch *b, size_t person, uint32_t user, uint8_t *asked) {
  const sparse *x = &f->train->by_user;
  uint64_t from = x->start[user];
  size_t count = (size_t)(x->start[user + 1] - from), targets = targets_of(f, user);
  memset(asked, 0, count);
  for (size_t k = 0; k < targets; k++) {
    size_t chosen;
    do chosen = (size_t)rng_below(draw, count);
    while (asked[chosen] || !is_target(f, from + chosen));
    asked[chosen] = 1;
    asked_pair pair = {(uint32_t)person, x->column[from + chosen], 0, goals_of(f, from + chosen), 0};
    bool wanted = b->rows == 0 && person + 1 == b->people && k + 1 == targets;
    if (!target_ask(t, f, draw, b, user, &pair, wanted)) return false;
  }
  double strangers = f->train->traits != NULL ? f->values[FEATURE_STRANGERS] : 0;
  if (strangers > 0 && rng_uniform(draw) < strangers) memset(asked, 1, count);
  bags_fill(f, draw, b, person, user, asked);
  return true;
}

/* The pairs as the network reads them. */
static bool rows_make(tape *t, const fitting *f, batch *b) {
  size_t goals = f->layers.goals, made = 0, at = 0;
  for (size_t r = 0; r < b->rows; r++) made += b->pairs[r].towards > 0;
  b->of = tape_indices_new(t, b->rows), b->item = tape_indices_new(t, b->rows + made);
  b->item_start = tape_indices_new(t, b->rows + 1);
  b->label = tape_keep(tape_empty(t, 2, (size_t[]){b->rows, goals}));
  if (made > 0) b->item_share = tape_keep(tape_empty(t, 1, &(size_t){b->rows + made}));
  if (f->values[FEATURE_WEIGH] > 0) b->weight = tape_keep(tape_empty(t, 2, (size_t[]){b->rows, goals}));
  if (tape_status(t, NULL) != MEDLEY_OK) return false;
  for (size_t r = 0; r < b->rows; r++) {
    const asked_pair *pair = &b->pairs[r];
    ((int32_t *)b->of->data)[r] = (int32_t)pair->person;
    ((int32_t *)b->item_start->data)[r] = (int32_t)at;
    if (made > 0) real_data(b->item_share)[at] = (real)1 - pair->towards;
    ((int32_t *)b->item->data)[at++] = (int32_t)pair->item;
    if (pair->towards > 0) {
      real_data(b->item_share)[at] = pair->towards;
      ((int32_t *)b->item->data)[at++] = (int32_t)pair->other;
    }
    for (size_t g = 0; g < goals; g++) {
      bool yes = serves(f, pair->goals, g);
      real_data(b->label)[r * goals + g] = yes;
      if (b->weight != NULL) real_data(b->weight)[r * goals + g] = f->balance.weight[f->goal[g]][yes];
    }
  }
  ((int32_t *)b->item_start->data)[b->rows] = (int32_t)at;
  return true;
}

/* What is known of the people of a step: one field's bags, and what each trait counts. As in batch_draw, the last bag
 * ends in a number that is no row. */
static bool field_fill(tape *t, const fitting *f, const uint32_t *which, size_t count, const trait_field *field,
                       batch_traits *out) {
  const sparse *rows = &f->train->traits->rows;
  size_t entries = 1, at = 0;
  for (size_t i = 0; i < count; i++)
    entries += (size_t)(sparse_find(rows, f->user[which[i]], field->first + field->count) -
                        sparse_find(rows, f->user[which[i]], field->first));
  *out = (batch_traits){tape_indices_new(t, count + 1), tape_indices_new(t, entries),
                        tape_keep(tape_empty(t, 1, &entries))};
  if (out->start == NULL || out->trait == NULL || out->share == NULL) return false;
  int32_t *start = out->start->data, *trait = out->trait->data;
  for (size_t i = 0; i < count; i++) {
    uint64_t from = sparse_find(rows, f->user[which[i]], field->first);
    uint64_t end = sparse_find(rows, f->user[which[i]], field->first + field->count);
    start[i] = (int32_t)at;
    for (uint64_t e = from; e < end; e++) {
      trait[at] = (int32_t)rows->column[e];
      real_data(out->share)[at++] = (real)1 / (real)(end - from);
    }
  }
  trait[at] = -1;
  real_data(out->share)[at++] = 0;
  start[count] = (int32_t)at;
  return true;
}

static bool traits_fill(tape *t, const fitting *f, const uint32_t *which, size_t count, batch *b) {
  const traits *known = f->train->traits;
  for (uint32_t k = 0; known != NULL && k < known->field_count; k++)
    if (!field_fill(t, f, which, count, &known->field[k], &b->traits[k])) return false;
  return true;
}

static bool batch_draw(tape *t, const fitting *f, rng *draw, const uint32_t *which, size_t count, batch *b) {
  tensor *asked = tape_indices_new(t, f->targets_most / sizeof(int32_t) + 1);
  if (asked == NULL || !batch_room(t, f, which, count, b)) return false;
  for (size_t i = 0; i < count; i++)
    if (!person_fill(t, f, draw, b, i, f->user[which[i]], asked->data)) return false;
  /* There was room for all entries in each of the bags: what is left is nothing, in the last one. */
  for (size_t g = 0; g < f->layers.bags; g++) {
    int32_t *start = b->start[g]->data;
    for (size_t k = (size_t)start[count]; k < b->bag[g]->count; k++) {
      ((int32_t *)b->bag[g]->data)[k] = ((int32_t *)b->shown[g]->data)[k] = -1;
      real_data(b->share[g])[k] = 0;
    }
    start[count] = (int32_t)b->bag[g]->count;
  }
  return rows_make(t, f, b) && traits_fill(t, f, which, count, b);
}

/* ---- fields ---- */

static tensor *content_input(tape *t, const fitting *f, size_t part) {
  return tape_input(t, 2, (size_t[]){f->items, f->width[part]}, f->content[part]);
}

static tensor *person_fields(tape *t, fitting *f, const batch *b) {
  tensor *field[GOAL_COUNT + 1 + TRAIT_FIELDS_MAX];
  size_t bags = f->layers.bags, count = 0;
  for (size_t g = 0; g < bags; g++) {
    field[g] = op_embedding_bag(t, f->heard.weight, b->shown[g], b->start[g], b->share[g], false);
    for (size_t m = 0; m < f->parts; m++)
      field[g] = op_add(
          t, field[g],
          layer_linear_forward(
              t, &f->told[m], op_embedding_bag(t, content_input(t, f, m), b->bag[g], b->start[g], b->share[g], false)));
  }
  field[bags + count++] = layer_embedding_forward(t, &f->sizes, b->size);
  for (size_t k = 0; bags + count < f->layers.person_fields; k++)
    field[bags + count++] =
        op_embedding_bag(t, f->known_of.weight, b->traits[k].trait, b->traits[k].start, b->traits[k].share, false);
  return feature_side_by_side(t, field, bags + count);
}

/* Rows of a table by number, or what lies between two of them; index as b->item. */
static tensor *items_read(tape *t, tensor *table, const batch *b, tensor *index) {
  if (b->item_share == NULL) return op_embedding(t, table, index);
  return op_embedding_bag(t, table, index, b->item_start, b->item_share, false);
}

/* b->item with some left out, both ends of what lies between two. */
static tensor *items_hide(tape *t, const fitting *f, rng *draw, const batch *b) {
  tensor *shown = tape_indices_new(t, b->item->count);
  for (size_t r = 0; shown != NULL && r < b->rows; r++) {
    bool hidden = rng_uniform(draw) < f->values[FEATURE_CONTENT];
    for (int32_t k = index_data(b->item_start)[r]; k < index_data(b->item_start)[r + 1]; k++)
      ((int32_t *)shown->data)[k] = hidden ? -1 : index_data(b->item)[k];
  }
  return shown;
}

static tensor *item_fields(tape *t, fitting *f, rng *draw, const batch *b) {
  tensor *field[FEATURES_MAX + 1], *shown = f->parts > 0 ? items_hide(t, f, draw, b) : b->item;
  if (shown == NULL) return NULL;
  field[0] = items_read(t, f->own.weight, b, shown);
  for (size_t m = 0; m < f->parts; m++)
    field[m + 1] = layer_linear_forward(t, &f->shown[m], items_read(t, content_input(t, f, m), b, b->item));
  return feature_side_by_side(t, field, f->parts + 1);
}

/* As op_bce, with a weight for each element. */
static tensor *weighted_bce(tape *t, tensor *logits, const batch *b) {
  tensor *each = op_sub(t, op_softplus(t, logits), op_mul(t, logits, b->label));
  return op_mean(t, op_mul(t, each, b->weight), OP_ALL);
}

static tensor *batch_loss(tape *t, void *context, const uint32_t *which, size_t count) {
  fitting *f = context;
  batch b;
  rng draw;
  trained_draw_seed(&draw, f->seed, t);
  if (!batch_draw(t, f, &draw, which, count, &b)) return NULL;
  feature_rows x = {.people = b.people, .rows = b.rows, .of = b.of};
  x.person = person_fields(t, f, &b);
  x.item = item_fields(t, f, &draw, &b);
  feature_rows_prepare(t, &f->layers, &x);
  tensor *logits = f->network->forward(t, &f->layers, &x);
  return b.weight != NULL ? weighted_bce(t, logits, &b) : op_bce(t, logits, b.label);
}

static medley_status content_prepare(fitting *f, const recommender_data *data, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (f->values[FEATURE_CONTENT] <= 0) return MEDLEY_OK;
  for (size_t m = 0; m < data->feature_count; m++, f->parts++)
    TRY(content_unit_rows(&data->features[m], 1, f->items, &f->content[m], &f->width[m], err));
done:
  return status;
}

static medley_status people_find(fitting *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *x = &f->train->by_user;
  TRY_NEW(f->user, (size_t)x->rows + 1, "people");
  for (uint32_t u = 0; u < x->rows; u++) {
    size_t count = (size_t)(x->start[u + 1] - x->start[u]);
    if (count < 2 || targets_of(f, u) == 0) continue;
    f->user[f->users++] = u;
    if (count > f->targets_most) f->targets_most = count;
  }
done:
  return status;
}

/* The items that have an event of a goal or of a stronger one. */
static void items_of_goal(const fitting *f, size_t goal, uint8_t *member) {
  uint64_t count = sparse_count(&f->train->by_user);
  for (uint64_t e = 0; e < count; e++)
    if (class_of(goals_of(f, e)) >= goal) member[f->train->by_user.column[e]] = 1;
}

static medley_status alike_prepare(fitting *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t *member = NULL;
  for (size_t g = 0; g < GOAL_COUNT; g++) {
    if (!(f->balance.made[g] > 0)) continue;
    mem_free(member);
    TRY_NEW(member, (size_t)f->items + 1, "items");
    items_of_goal(f, g, member);
    TRY(smote_init(&f->alike[g], f->content, f->width, f->parts, f->mask, member, f->items, err));
  }
done:
  mem_free(member);
  return status;
}

static medley_status balance_prepare(fitting *f, const recommender_data *data, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const double *v = f->values;
  imbalance_exponents by = {v[FEATURE_OVER], v[FEATURE_UNDER], v[FEATURE_SMOTE], v[FEATURE_WEIGH], v[FEATURE_MODAL]};
  uint64_t pairs[GOAL_COUNT] = {0};
  for (size_t i = 0; i < f->users; i++)
    for (uint64_t e = f->train->by_user.start[f->user[i]]; e < f->train->by_user.start[f->user[i] + 1]; e++)
      if (is_target(f, e)) pairs[class_of(goals_of(f, e))]++;
  if (f->parts == 0) by.smote = by.modal = 0;
  imbalance_init(&f->balance, &by, pairs, (size_t)v[FEATURE_NEGATIVES]);
  if (!(by.smote > 0) && !(by.modal > 0)) goto done;
  TRY_NEW(f->mask, (size_t)f->items + 1, "items");
  modality_masks(data->features, f->parts, f->items, f->mask);
  if (by.modal > 0) TRY(modality_sets_init(&f->sets, f->train, f->mask, by.modal, err));
  TRY(alike_prepare(f, err));
done:
  return status;
}

static medley_status fitting_prepare(fitting *f, const recommender_data *data, const feature_sizes *n,
                                     medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX];
  size_t dim = (size_t)f->values[FEATURE_DIM];
  TRY(people_find(f, err));
  TRY(balance_prepare(f, data, err));
  f->weights = parameters_create();
  if (f->weights == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a training");
  layers_init(&f->layers, &f->sizes, &f->known_of, f->network, f->values, n, f->weights);
  layer_embedding_init(&f->own, f->weights, "own", f->items, dim, DEVIATION, true);
  layer_embedding_init(&f->heard, f->weights, "heard", f->items, dim, DEVIATION, true);
  for (size_t m = 0; m < f->parts; m++) {
    layer_linear_init(&f->shown[m], f->weights, layer_name(name, NULL, "shown.%zu", m), f->width[m], dim, false);
    layer_linear_init(&f->told[m], f->weights, layer_name(name, NULL, "told.%zu", m), f->width[m], dim, false);
  }
  TRY(parameters_seal(f->weights, f->seed, err));
done:
  return status;
}

static medley_status train(fitting *f, progress_stage *progress, medley_error *err) {
  size_t batch = (size_t)f->values[FEATURE_BATCH];
  if (f->users == 0) return MEDLEY_OK;
  if (batch > f->users) batch = f->users;
  trained_plan plan = {.batch = batch,
                       .steps = (size_t)f->values[FEATURE_EPOCHS] * ((f->users + batch - 1) / batch),
                       .rate = f->values[FEATURE_RATE],
                       .loss = batch_loss,
                       .context = f};
  return trained_fit(f->weights, f->seed, &plan, f->users, progress, err);
}

/* ---- the model ---- */

/* The network alone, ready to be filled. */
static medley_status model_create(const feature_network *network, const double *values, uint32_t items,
                                  const uint32_t *goal, const feature_sizes *n, feature_model **out,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  feature_model *m = NULL;
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){network->kind, items};
  m->network = network;
  memcpy(m->values, values, settings_count(network->kind) * sizeof *values);
  memcpy(m->goal, goal, n->goals * sizeof *goal);
  m->traits = n->traits;
  m->weights = parameters_create();
  if (m->weights == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a model");
  layers_init(&m->layers, &m->sizes, &m->known_of, network, m->values, n, m->weights);
  TRY(parameters_seal(m->weights, 0, err));
  TRY_NEW(m->known, (size_t)items + 1, "a model");
  *out = m;
  m = NULL;
done:
  feature_free(m ? &m->base : NULL);
  return status;
}

static void model_finish(feature_model *m) {
  size_t width = m->layers.item_fields * m->layers.dim;
  for (uint32_t i = 0; i < m->base.item_count; i++)
    for (size_t d = 0; d < width && !m->known[i]; d++) m->known[i] = m->vectors[i * width + d] != 0;
}

/* Of what was trained: the network's parameters, and both sides of every item. */
static medley_status model_take(feature_model *m, const fitting *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = m->layers.dim, width = m->layers.item_fields * dim;
  for (size_t i = 0; i < parameters_count(m->weights); i++) {
    parameter *to = parameters_at(m->weights, i);
    memcpy(to->value.data, parameters_get(f->weights, to->name)->data, to->value.count * sizeof(real));
  }
  TRY_NEW(m->owned, f->items * width + 1, "item vectors");
  TRY_NEW(m->owned_heard, f->items * dim + 1, "item vectors");
  TRY_NEW(m->owned_prior, (size_t)f->items + 1, "item vectors");
  TRY_NEW(m->owned_field, (size_t)m->traits + 1, "traits");
  for (uint32_t k = 0; k < m->traits; k++) m->owned_field[k] = traits_field(f->train->traits, k);
  m->vectors = m->owned, m->heard = m->owned_heard, m->prior = m->owned_prior, m->trait_field = m->owned_field;
  for (size_t p = 0; p < f->parts; p++) {
    matrix_multiply_strided(false, true, f->items, dim, f->width[p], 1, f->content[p], f->width[p],
                            real_data(f->shown[p].weight), f->width[p], 0, m->owned + (p + 1) * dim, width);
    matrix_multiply(false, true, f->items, dim, f->width[p], 1, f->content[p], real_data(f->told[p].weight), 1,
                    m->owned_heard);
  }
  for (uint32_t i = 0; i < f->items; i++) {
    m->owned_prior[i] = (float)log(chance_of(f, i) * f->items);
    if (!(f->train->popularity[i] > 0)) continue;
    memcpy(m->owned + i * width, real_data(f->own.weight) + i * dim, dim * sizeof(real));
    vector_add_scaled(m->owned_heard + i * dim, 1, real_data(f->heard.weight) + i * dim, dim);
  }
  model_finish(m);
done:
  return status;
}

medley_status feature_fit(const feature_network *network, const recommender_data *data, const double *values,
                          progress_stage *progress, recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  fitting f = {.network = network,
               .train = data->train,
               .values = values,
               .seed = data->seed,
               .items = data->train->by_user.columns};
  feature_model *m = NULL;
  progress_stage stage = progress != NULL ? *progress : (progress_stage){0};
  feature_sizes n = {.goals = goals_find(f.train, f.goal)};
  if (network->one_goal) {
    f.goal[0] = goal_wanted(values, f.goal, n.goals);
    n.goals = 1;
  }
  if (f.train->traits != NULL) n.trait_fields = f.train->traits->field_count, n.traits = f.train->traits->count;
  TRY(content_prepare(&f, data, err));
  n.item_fields = f.parts + 1;
  TRY(model_create(network, values, f.items, f.goal, &n, &m, err));
  TRY(fitting_prepare(&f, data, &n, err));
  TRY(train(&f, progress != NULL ? &stage : NULL, err));
  TRY(model_take(m, &f, err));
  *out = &m->base;
  m = NULL;
done:
  fitting_deinit(&f);
  feature_free(m ? &m->base : NULL);
  return status;
}

/* ---- answers ---- */

/* Adds fields of means of traits; whether there is any. */
static bool person_traits(const feature_model *m, const history *h, float *fields) {
  size_t dim = m->layers.dim;
  bool any = false;
  for (size_t k = 0, end; k < h->trait_count && h->trait[k] < m->traits; k = end, any = true) {
    uint32_t field = m->trait_field[h->trait[k]];
    for (end = k; end < h->trait_count && h->trait[end] < m->traits && m->trait_field[h->trait[end]] == field;) end++;
    for (size_t j = k; j < end; j++)
      vector_add_scaled(fields + field * dim, 1 / (float)(end - k), real_data(m->known_of.weight) + h->trait[j] * dim,
                        dim);
  }
  return any;
}

/* The fields of a person [person_fields · dim]; false when nothing is known of the person, or nothing that it was
 * learned to answer by. */
static bool person_make(const feature_model *m, const history *h, float *out) {
  const feature_layers *l = &m->layers;
  size_t bags = l->bags, count = 0;
  double sum[GOAL_COUNT] = {0};
  memset(out, 0, l->person_fields * l->dim * sizeof *out);
  for (size_t j = 0; j < h->count; j++) {
    if (!m->known[h->item[j]]) continue;
    size_t g = goal_of_event(m->goal, bags, h->weight[j]);
    vector_add_scaled(out + g * l->dim, h->weight[j], m->heard + h->item[j] * l->dim, l->dim);
    sum[g] += (double)h->weight[j];
    count++;
  }
  for (size_t g = 0; g < bags; g++)
    for (size_t d = 0; d < l->dim && sum[g] > 0; d++) out[g * l->dim + d] /= (float)sum[g];
  memcpy(out + bags * l->dim, real_data(m->sizes.weight) + size_class(count) * l->dim, l->dim * sizeof *out);
  bool known = person_traits(m, h, out + (bags + 1) * l->dim) && m->values[FEATURE_STRANGERS] > 0;
  return known || count > 0;
}

static double goal_weight(const feature_model *m, size_t goal) {
  return m->network->one_goal ? 1 : m->values[FEATURE_CLICK + m->goal[goal]];
}

/* The scores of items [from, from + count). */
static medley_status score_rows(const feature_model *m, tape *t, const float *person, size_t from, size_t count,
                                float *scores, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const feature_layers *l = &m->layers;
  size_t width = l->item_fields * l->dim;
  feature_rows x = {.people = 1, .rows = count};
  x.person = tape_input(t, 2, (size_t[]){1, l->person_fields * l->dim}, person);
  x.item = tape_input(t, 2, (size_t[]){count, width}, m->vectors + from * width);
  feature_rows_prepare(t, l, &x);
  tensor *logits = op_contiguous(t, m->network->forward(t, l, &x));
  TRY(tape_status(t, err));
  for (size_t i = 0; i < count; i++) {
    double sum = 0, prior = (double)m->prior[from + i];
    for (size_t g = 0; g < l->goals; g++)
      sum += goal_weight(m, g) * ((double)real_data(logits)[i * l->goals + g] + prior);
    scores[from + i] = (float)sum;
  }
done:
  tape_reset(t);
  return status;
}

/* Items that nothing is known of come last. */
static void unknown_place(const feature_model *m, float *scores) {
  float least = INFINITY;
  for (uint32_t i = 0; i < m->base.item_count; i++)
    if (m->known[i] && scores[i] < least) least = scores[i];
  for (uint32_t i = 0; i < m->base.item_count; i++)
    if (!m->known[i]) scores[i] = least;
}

medley_status feature_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                            medley_error *err) {
  medley_status status = MEDLEY_OK;
  const feature_model *m = (const feature_model *)r;
  float *person = recommender_scratch_floats(scratch, m->layers.person_fields * m->layers.dim);
  tape *t = recommender_scratch_tape(scratch);
  if (person == NULL || t == NULL) return error_memory(err, "scores");
  if (!person_make(m, h, person)) {
    memset(scores, 0, r->item_count * sizeof *scores);
    return MEDLEY_OK;
  }
  for (size_t from = 0; from < r->item_count; from += SCORE_ROWS) {
    size_t count = r->item_count - from < SCORE_ROWS ? r->item_count - from : SCORE_ROWS;
    TRY(score_rows(m, t, person, from, count, scores, err));
  }
  unknown_place(m, scores);
done:
  return status;
}

json_t *feature_describe(const recommender *r) {
  const feature_model *m = (const feature_model *)r;
  json_t *names = json_array();
  if (m->network->one_goal) {
    json_decref(names);
    return NULL;
  }
  for (size_t g = 0; g < m->layers.goals; g++) json_array_append_new(names, json_string(goal_names[m->goal[g]]));
  return json_pack("{s:o}", "goals", names);
}

/* ---- files ---- */

medley_status feature_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const feature_model *m = (const feature_model *)r;
  size_t width = m->layers.item_fields * m->layers.dim;
  TRY(model_add_f64(w, prefix, "settings", settings_count(r->kind), m->values, err));
  TRY(model_add_u32(w, prefix, "goals", m->layers.goals, m->goal, err));
  if (m->traits > 0) TRY(model_add_u32(w, prefix, "trait_field", m->traits, m->trait_field, err));
  TRY(model_add_f32(w, prefix, "vectors", r->item_count, width, m->vectors, err));
  TRY(model_add_f32(w, prefix, "heard", r->item_count, m->layers.dim, m->heard, err));
  TRY(model_add_f32(w, prefix, "prior", 1, r->item_count, m->prior, err));
  TRY(trained_save(m->weights, w, prefix, err));
done:
  return status;
}

static medley_status goals_load(const feature_network *network, const safetensors *s, const char *prefix,
                                const uint32_t **goal, uint64_t *goals, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(model_get_u32(s, prefix, "goals", 0, GOAL_COUNT, goal, goals, err));
  bool good = *goals >= 1 && *goals <= (network->one_goal ? 1 : GOAL_COUNT);
  for (uint64_t g = 1; good && g < *goals; g++) good = (*goal)[g - 1] < (*goal)[g];
  if (!good)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s.goals' are %" PRIu64 " goals, not one to %d in ascending order", s->path,
         prefix, *goals, network->one_goal ? 1 : GOAL_COUNT);
done:
  return status;
}

/* Ascending, so that a person's traits come field by field; none where none were known. */
static medley_status trait_fields_load(const safetensors *s, const char *prefix, const uint32_t **field,
                                       uint64_t *traits, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX];
  *traits = 0;
  if (safetensors_get(s, layer_name(name, prefix, "trait_field")) == NULL) return MEDLEY_OK;
  TRY(model_get_u32(s, prefix, "trait_field", 0, TRAIT_FIELDS_MAX, field, traits, err));
  bool good = *traits <= TRAIT_FIELDS_MAX * TRAIT_VALUES_MAX;
  for (uint64_t k = 1; good && k < *traits; k++) good = (*field)[k - 1] <= (*field)[k];
  if (!good) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: the fields of '%s.trait_field' do not ascend", s->path, prefix);
done:
  return status;
}

medley_status feature_load(const feature_network *network, const safetensors *s, const char *prefix,
                           const recommender_data *data, recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double values[FEATURE_SETTINGS];
  const float *vectors, *heard, *prior;
  const uint32_t *goal;
  uint64_t items, width, goals, traits;
  const uint32_t *trait_field = NULL;
  feature_model *m = NULL;
  TRY(model_get_settings(s, prefix, network->kind->settings, values, err));
  TRY(goals_load(network, s, prefix, &goal, &goals, err));
  uint64_t dim = (uint64_t)values[FEATURE_DIM];
  TRY(model_get_f32(s, prefix, "vectors", 0, 0, &vectors, &items, &width, err));
  TRY(model_check_items(s, prefix, data, items, err));
  if (width == 0 || width % dim != 0 || width / dim > FEATURES_MAX + 1)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s.vectors' has %" PRIu64 " columns, not 1 to %d fields of %" PRIu64, s->path,
         prefix, width, FEATURES_MAX + 1, dim);
  TRY(model_get_f32(s, prefix, "heard", items, dim, &heard, NULL, NULL, err));
  TRY(model_get_f32(s, prefix, "prior", 1, items, &prior, NULL, NULL, err));
  TRY(trait_fields_load(s, prefix, &trait_field, &traits, err));
  feature_sizes n = {.goals = (size_t)goals, .item_fields = (size_t)(width / dim), .traits = (uint32_t)traits};
  if (traits > 0) n.trait_fields = trait_field[traits - 1] + 1;
  TRY(model_create(network, values, (uint32_t)items, goal, &n, &m, err));
  m->vectors = vectors, m->heard = heard, m->prior = prior, m->trait_field = trait_field;
  TRY(trained_load(m->weights, s, prefix, err));
  model_finish(m);
  *out = &m->base;
  m = NULL;
done:
  feature_free(m ? &m->base : NULL);
  return status;
}
