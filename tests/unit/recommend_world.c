/* tests/unit/recommend_world.c: a small world for recommenders: see recommend_twins.h. */
#include "recommend_twins.h"

#include "base/rng.h"
#include "test.h"

static void unit_row(rng *r, double property, float *row, size_t dim) {
  double sum = 0;
  for (size_t d = 0; d < dim; d++) {
    row[d] = (float)(rng_normal(r) + (d == 0 ? property : 0));
    sum += (double)row[d] * row[d];
  }
  for (size_t d = 0; d < dim; d++) row[d] /= (float)sqrt(sum);
}

/* Nobody follows anybody where there is nobody else. */
static void follows_draw(world *w, rng *r) {
  medley_error error;
  sparse_entry entries[4 * USERS];
  size_t count = 0;
  for (uint32_t u = 0; u < w->users && w->users > 2; u++) {
    entries[count++] = (sparse_entry){u, (u + 1) % w->users, 1};
    for (int f = 0; f < 3; f++) {
      uint32_t to = (uint32_t)rng_below(r, w->users) / 2 * 2 + u % 2;
      if (to != u && to < w->users) entries[count++] = (sparse_entry){u, to, (float)(1 + rng_below(r, 3))};
    }
  }
  if (count == 0) return;
  assert_ok(sparse_from_entries(w->users, w->users, entries, count, SPARSE_MAX, &w->social, &error));
  w->train.social = &w->social;
}

static void traits_give(world *w) {
  medley_error error;
  sparse_entry entries[3 * USERS];
  size_t count = 0;
  for (uint32_t u = 0; u < w->users && w->users > 2; u++) {
    entries[count++] = (sparse_entry){u, u % 2, 1};
    if (u % 7 == 0) continue;
    entries[count++] = (sparse_entry){u, 2 + u % 3, 1};
    if (u % 5 == 0) entries[count++] = (sparse_entry){u, 2 + (u + 1) % 3, 1};
  }
  if (count == 0) return;
  w->fields[0] = (trait_field){.name = (char *)"half", .first = 0, .count = 2};
  w->fields[1] = (trait_field){.name = (char *)"third", .first = 2, .count = 3};
  w->traits = (traits){.field = w->fields, .field_count = 2, .count = TRAITS};
  assert_ok(sparse_from_entries(w->users, TRAITS, entries, count, SPARSE_MAX, &w->traits.rows, &error));
  w->train.traits = &w->traits;
}

world *world_create(uint32_t users, uint32_t items, uint32_t warm) {
  medley_error error;
  world *w = calloc(1, sizeof *w);
  rng r;
  rng_seed(&r, 7);
  w->users = users;
  w->items = items;
  for (uint32_t u = 0; u < users; u++)
    for (uint32_t i = 0; i < warm; i++) {
      if (rng_uniform(&r) > (u % 2 == i % 2 ? 0.4 : 0.08)) continue;
      w->event[w->event_count++] = (event){.user = u,
                                           .item = i,
                                           .value = 1,
                                           .type = (int32_t)rng_below(&r, 2),
                                           .time_s = NEWEST - (int64_t)rng_below(&r, 100 * DAY)};
    }
  event_log log = {.user_count = users,
                   .item_count = items,
                   .events = w->event,
                   .event_count = w->event_count,
                   .type_names = (char *[]){(char *)"click", (char *)"buy"},
                   .type_count = 2,
                   .has_time = true};
  event_weights weights;
  event_weights_default(&log, &weights);
  assert_ok(interactions_build(&log, &weights, NULL, 0, &w->train, &error));
  rng follows;
  rng_seed(&follows, 8);
  follows_draw(w, &follows);
  traits_give(w);
  for (uint32_t i = 0; i < items; i++) {
    w->has_text[i] = i % 7 != 3;
    w->has_tags[i] = i % 5 != 1;
    /* Which half an item is of, its text and its tags tell together and neither alone. */
    bool text = i / 2 % 2, tags = text != i % 2;
    if (w->has_text[i]) unit_row(&r, text ? 3 : -3, w->text + i * TEXT_DIM, TEXT_DIM);
    if (w->has_tags[i]) unit_row(&r, tags ? 3 : -3, w->tags + i * TAGS_DIM, TAGS_DIM);
    w->born[i] = i % 3 == 0 ? STORE_TIME_UNKNOWN : NEWEST - 200 * DAY + i * DAY;
  }
  w->features[0] = (features){"text", items, TEXT_DIM, w->text, w->has_text};
  w->features[1] = (features){"tags", items, TAGS_DIM, w->tags, w->has_tags};
  w->data = (recommender_data){
      .train = &w->train, .features = w->features, .feature_count = 2, .item_time_s = w->born, .seed = 5};
  return w;
}

void world_free(world *w) {
  interactions_deinit(&w->train);
  sparse_deinit(&w->social);
  sparse_deinit(&w->traits.rows);
  free(w);
}

static const uint32_t history_items[] = {2, 4, 9, 17, 28};
static const float history_weights[] = {1, 3, 1, 2, 1};
static const int64_t history_times[] = {NEWEST - 9 * DAY, NEWEST - 5 * DAY, NEWEST - 4 * DAY, NEWEST - DAY, NEWEST};

static const uint32_t friend_rows[] = {3, 11, 24};
static const float friend_trust[] = {1, 2, 0.5f};
static const uint32_t history_traits[] = {1, 2, 4};

history history_of(size_t count) {
  return (history){.item = history_items,
                   .weight = history_weights,
                   .time_s = history_times,
                   .count = count,
                   .now_s = STORE_TIME_UNKNOWN,
                   .friends = friend_rows,
                   .trust = friend_trust,
                   .friend_count = 3,
                   .trait = history_traits,
                   .trait_count = 3};
}
