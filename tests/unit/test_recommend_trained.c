/* Recommenders that are trained by gradients find what was planted: taste that divides people into two halves, items
 * that follow one another, also new ones that only their content tells of, and buys that follow another rule than
 * clicks. */
#include "base/memory.h"
#include "base/rng.h"
#include "recommend/recommender.h"
#include "test.h"

enum { PEOPLE = 60, THINGS = 24, SEEN = 20, STEPS = 8, DIM = 24, ACTS = 13 };

typedef struct planted {
  event event[PEOPLE * ACTS];
  size_t event_count;
  interactions train;
  float content[THINGS * DIM];
  uint8_t present[THINGS];
  features features;
  recommender_data data;
} planted;

static planted *planted_build(planted *p, bool with_content) {
  medley_error error;
  event_log log = {.user_count = PEOPLE,
                   .item_count = THINGS,
                   .events = p->event,
                   .event_count = p->event_count ? p->event_count : PEOPLE * STEPS,
                   .type_names = (char *[]){(char *)"click", (char *)"like", (char *)"buy"},
                   .type_count = 3,
                   .has_time = true};
  event_weights weights;
  event_weights_default(&log, &weights);
  assert_ok(interactions_build(&log, &weights, NULL, 0, &p->train, &error));
  p->features = (features){"text", THINGS, DIM, p->content, p->present};
  p->data = (recommender_data){
      .train = &p->train, .features = &p->features, .feature_count = with_content ? 1 : 0, .seed = 3};
  return p;
}

static void planted_free(planted *p) {
  interactions_deinit(&p->train);
  free(p);
}

/* A person of an even number chooses even things, one of an odd number odd ones; things from SEEN on are new where
 * their content, and that of all but every fifth, tells the half. */
static planted *halves(bool with_content) {
  planted *p = calloc(1, sizeof *p);
  uint32_t things = with_content ? SEEN : THINGS;
  rng r;
  rng_seed(&r, 2);
  for (uint32_t u = 0; u < PEOPLE; u++)
    for (uint32_t k = 0; k < STEPS; k++)
      p->event[u * STEPS + k] =
          (event){.user = u, .item = 2 * (uint32_t)rng_below(&r, things / 2) + u % 2, .value = 1, .time_s = 1000 + k};
  for (uint32_t i = 0; with_content && i < THINGS; i++) {
    p->present[i] = i >= SEEN || i % 5 != 0;
    for (uint32_t d = 0; p->present[i] && d < DIM; d++)
      p->content[i * DIM + d] = (float)(0.2 * rng_normal(&r) + (d % 2 == i % 2));
  }
  return planted_build(p, with_content);
}

/* Everybody begins somewhere and goes on to the next thing, round and round; things from SEEN on are new. The content
 * of a new thing is that of the one whose place it could take. */
static planted *rounds(bool with_content) {
  planted *p = calloc(1, sizeof *p);
  for (uint32_t u = 0; u < PEOPLE; u++)
    for (uint32_t k = 0; k < STEPS; k++)
      p->event[u * STEPS + k] =
          (event){.user = u, .item = (u * 7 + k) % SEEN, .value = 1, .time_s = 5000 + (int64_t)(u * 100 + k) * 60};
  for (uint32_t i = 0; i < THINGS; i++) p->content[i * DIM + (i < SEEN ? i : 3 * (i - SEEN))] = 1, p->present[i] = 1;
  return planted_build(p, with_content);
}

/* People look at things of their half and like some of them; what they buy is of one of three sorts. */
static planted *shoppers(bool clicks_alone) {
  planted *p = calloc(1, sizeof *p);
  rng r;
  rng_seed(&r, 4);
  for (uint32_t u = 0; u < PEOPLE; u++)
    for (uint32_t k = 0; k < ACTS; k++) {
      int32_t type = k < 6 ? 0 : k < 9 ? 1 : 2;
      uint32_t of_half = 2 * (uint32_t)rng_below(&r, THINGS / 2) + u % 2;
      uint32_t of_sort = 3 * (uint32_t)rng_below(&r, THINGS / 3) + u / 2 % 3;
      if (type > 0 && clicks_alone) continue;
      p->event[p->event_count++] =
          (event){.user = u, .item = type == 2 ? of_sort : of_half, .value = 1, .type = type, .time_s = 1000 + k};
    }
  return planted_build(p, false);
}

/* Content tells the half, where there is some; things from SEEN on are new. */
static planted *halves_with_content(void) {
  planted *p = calloc(1, sizeof *p);
  rng r;
  rng_seed(&r, 6);
  for (uint32_t u = 0; u < PEOPLE; u++)
    for (uint32_t k = 0; k < STEPS; k++)
      p->event[u * STEPS + k] =
          (event){.user = u, .item = 2 * (uint32_t)rng_below(&r, SEEN / 2) + u % 2, .value = 1, .time_s = 1000 + k};
  for (uint32_t i = 0; i < THINGS; i++) {
    p->present[i] = i >= SEEN || i % 5 != 3;
    if (p->present[i]) p->content[i * DIM + i % 2] = 1, p->content[i * DIM + 2 + i % 7] = 0.5f;
  }
  return planted_build(p, true);
}

static recommender *fitted(const planted *p, const char *name, const char *const *settings, const double *chosen) {
  medley_error error;
  double values[RECOMMENDER_SETTINGS_MAX];
  const recommender_kind *kind = recommender_kind_find(name);
  recommender *model = NULL;
  recommender_defaults(kind, values);
  for (size_t i = 0; settings[i] != NULL; i++) {
    size_t s = 0;
    while (kind->settings[s].name != NULL && strcmp(kind->settings[s].name, settings[i]) != 0) s++;
    assert_non_null(kind->settings[s].name);
    values[s] = chosen[i];
  }
  assert_ok(kind->fit(&p->data, values, NULL, &model, &error));
  return model;
}

static void scores_of(const recommender *model, const uint32_t *items, const int64_t *times, size_t count,
                      float *scores) {
  medley_error error;
  recommender_scratch scratch = {0};
  const float ones[STEPS] = {1, 1, 1, 1, 1, 1, 1, 1};
  history h = {.item = items, .weight = ones, .time_s = times, .count = count, .now_s = STORE_TIME_UNKNOWN};
  assert_ok(model->kind->score(model, &h, &scratch, scores, &error));
  recommender_scratch_deinit(&scratch);
}

static void test_halves_are_told_apart(void **state) {
  (void)state;
  static const struct {
    const char *name;
    bool with_content;
    const char *settings[8];
    double values[8];
  } rows[] = {
      {"tag_cf", false, {"dim", "base", NULL}, {16, 0}},
      {"tag_cf", false, {"dim", "base", NULL}, {16, 1}},
      {"lightgcn", false, {"epochs", "dim", "batch", NULL}, {30, 16, 64}},
      {"lightgcn", false, {"epochs", "dim", "batch", "draws", "popular", NULL}, {30, 16, 64, 4, 0.5}},
      {"lightgcn", false, {"epochs", "dim", "batch", "in_batch", NULL}, {30, 16, 64, 1}},
      {"freedom", true, {"epochs", "dim", "batch", NULL}, {30, 16, 64}},
      {"bm3", true, {"epochs", "dim", "batch", NULL}, {60, 16, 64}},
      {"mgcn", true, {"epochs", "dim", "batch", NULL}, {30, 16, 64}},
      {"mentor", true, {"epochs", "dim", "batch", "neighbours", "contrast", "draws", NULL}, {30, 16, 64, 5, 0.01, 1}},
      {"freedom", true, {"epochs", "dim", "batch", "draws", "in_batch", NULL}, {30, 16, 64, 2, 0.5}},
      {"mgcn", true, {"epochs", "dim", "batch", "draws", NULL}, {30, 16, 64, 2}},
      {"mentor", true, {"epochs", "dim", "batch", "contrast", "in_batch", NULL}, {30, 16, 64, 0, 1}},
      {"multvae", false, {"epochs", "hidden", "batch", NULL}, {60, 16, 8}},
      {"autoencoder", false, {"epochs", "hidden", "batch", NULL}, {60, 16, 8}},
      {"deepfm", false, {"epochs", "rate", "batch", NULL}, {40, 0.02, 16}},
      {"deepfm", true, {"epochs", "rate", "modal", NULL}, {40, 0.02, 1}},
      {"deepfm", true, {"epochs", "rate", "weigh", NULL}, {40, 0.02, 1}},
      {"shared_bottom", false, {"epochs", "rate", "batch", NULL}, {40, 0.02, 16}},
      {"mmoe", false, {"epochs", "rate", "batch", NULL}, {40, 0.02, 16}},
      {"ple", false, {"epochs", "rate", "batch", NULL}, {40, 0.02, 16}},
      {"esmm", false, {"epochs", "rate", "batch", NULL}, {40, 0.02, 16}}};
  planted *both[2] = {halves(false), halves(true)};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    recommender *model = fitted(both[rows[i].with_content], rows[i].name, rows[i].settings, rows[i].values);
    for (uint32_t half = 0; half < 2; half++) {
      const uint32_t items[] = {half, 4 + half, 10 + half};
      float scores[THINGS], least = INFINITY, most = -INFINITY;
      scores_of(model, items, NULL, 3, scores);
      for (uint32_t k = 0; k < THINGS; k++) {
        if (k % 2 == half) least = fminf(least, scores[k]);
        if (k % 2 != half) most = fmaxf(most, scores[k]);
      }
      if (least <= most)
        fail_msg("%s: of half %u one has %g, of the other %g", rows[i].name, half, (double)least, (double)most);
    }
    model->kind->free(model);
  }
  planted_free(both[0]);
  planted_free(both[1]);
}

/* The same seed gives the same bits, whatever is evened out, and each setting that has something to even out gives
 * others; what has nothing, none. */
static void test_evening_out_is_the_same_again(void **state) {
  (void)state;
  static const char *const each[] = {"over", "under", "smote", "weigh", "modal"};
  planted *all = shoppers(false), *plain = halves(true), *clicks = shoppers(true);
  all->data.features = &plain->features, all->data.feature_count = 1;
  const planted *worlds[] = {all, plain, clicks};
  static const bool moves[3][5] = {{1, 1, 1, 1, 1}, {0, 0, 0, 1, 1}, {0, 0, 0, 1, 0}};
  for (size_t w = 0; w < 3; w++)
    for (size_t i = 0; i < 5; i++) {
      float scores[3][THINGS];
      for (size_t again = 0; again < 3; again++) {
        const char *settings[] = {"epochs", "dim", "hidden", each[i], NULL};
        recommender *model = fitted(worlds[w], "esmm", settings, (double[]){2, 4, 8, again > 0});
        scores_of(model, (const uint32_t[]){2, 5, 9}, NULL, 3, scores[again]);
        model->kind->free(model);
      }
      assert_memory_equal(scores[1], scores[2], sizeof scores[1]);
      if ((memcmp(scores[0], scores[1], sizeof scores[0]) != 0) != moves[w][i])
        fail_msg("%s: world %zu %s", each[i], w, moves[w][i] ? "stays as it was" : "is another");
    }
  planted_free(all);
  planted_free(plain);
  planted_free(clicks);
}

/* The share of pairs in order, over all sorts of buyers: things of the sort that somebody buys before others. */
static double buys_in_order(const recommender *model) {
  medley_error error;
  recommender_scratch scratch = {0};
  double right = 0, pairs = 0;
  for (uint32_t kind = 0; kind < 6; kind++) {
    uint32_t half = kind % 2, sort = kind / 2;
    const uint32_t items[] = {half, half + 4, half + 10, sort, sort + 9};
    const float weights[] = {1, 1, 2, 3, 3};
    history h = {.item = items, .weight = weights, .count = 5, .now_s = STORE_TIME_UNKNOWN};
    float scores[THINGS];
    assert_ok(model->kind->score(model, &h, &scratch, scores, &error));
    for (uint32_t a = sort + 12; a < THINGS; a += 3)
      for (uint32_t b = 12; b < THINGS; b++)
        if (b % 3 != sort) right += scores[a] > scores[b], pairs++;
  }
  recommender_scratch_deinit(&scratch);
  return right / pairs;
}

/* A model of clicks alone does not find what is bought; one that was told of buys does, for their weight in the score,
 * also where pairs and answers are evened out. */
static void test_buys_are_found_beside_clicks(void **state) {
  (void)state;
  static const char *const names[] = {"shared_bottom", "mmoe", "ple", "esmm"};
  static const char *const settings[] = {"epochs", "rate", "batch", "click", "like",
                                         "buy",    "over", "under", "weigh", NULL};
  static const char *const plain[] = {"epochs", "rate", "batch", "goal", NULL};
  planted *clicks = shoppers(true), *all = shoppers(false);
  assert_null(clicks->train.goals);
  assert_non_null(all->train.goals);
  recommender *alone = fitted(clicks, "deepfm", plain, (double[]){60, 0.02, 16, 0});
  recommender *bought = fitted(all, "deepfm", plain, (double[]){60, 0.02, 16, 2});
  double by_clicks = buys_in_order(alone), by_buys = buys_in_order(bought);
  if (by_clicks > 0.7) fail_msg("clicks alone put %g of the buys in order", by_clicks);
  if (by_buys < 0.85) fail_msg("deepfm of buys puts %g of them in order", by_buys);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    double even = i % 2 == 0 ? 0.5 : 0;
    recommender *model = fitted(all, names[i], settings, (double[]){60, 0.02, 16, 0, 0, 1, even, even, even});
    double found = buys_in_order(model);
    if (found < by_clicks + 0.15 || found < 0.85)
      fail_msg("%s puts %g of the buys in order, clicks alone %g", names[i], found, by_clicks);
    json_t *told = model->kind->describe(model), *goals = json_object_get(told, "goals");
    assert_int_equal(json_array_size(goals), 3);
    assert_string_equal(json_string_value(json_array_get(goals, 2)), "buy");
    json_decref(told);
    model->kind->free(model);
  }
  alone->kind->free(alone);
  bought->kind->free(bought);
  planted_free(clicks);
  planted_free(all);
}

/* New things of a person's half come before those of the other, though some things of the history have no content. */
static void test_new_things_go_by_content(void **state) {
  (void)state;
  static const char *const names[] = {"deepfm", "mmoe", "esmm"};
  static const char *const settings[] = {"epochs", "rate", "batch", "content", NULL};
  planted *p = halves_with_content();
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    recommender *model = fitted(p, names[i], settings, (double[]){60, 0.02, 16, 0.4});
    for (uint32_t half = 0; half < 2; half++) {
      const uint32_t items[] = {half, 4 + half, 8 + half, 12 + half};
      float scores[THINGS];
      scores_of(model, items, NULL, 4, scores);
      for (uint32_t a = SEEN + half; a < THINGS; a += 2)
        for (uint32_t b = SEEN + 1 - half; b < THINGS; b += 2)
          if (scores[a] <= scores[b])
            fail_msg("%s: new %u has %g, %u of the other half %g", names[i], a, (double)scores[a], b,
                     (double)scores[b]);
    }
    model->kind->free(model);
  }
  planted_free(p);
}

static uint32_t best_of(const float *scores, uint32_t count) {
  uint32_t best = 0;
  for (uint32_t k = 1; k < count; k++)
    if (scores[k] > scores[best]) best = k;
  return best;
}

/* Handed over in any order of rows: time says which was last. */
static void test_what_follows_is_found(void **state) {
  (void)state;
  static const char *const settings[] = {"epochs", "dim", "batch", "negatives", "layers", "loss", "rate", NULL};
  static const struct {
    const char *name;
    double loss;
  } rows[] = {{"sasrec", 1}, {"sasrec", 0}, {"gru4rec", 1}, {"gru4rec", 0}};
  planted *p = rounds(false);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const double values[] = {rows[i].loss > 0 ? 40 : 80, 16, 16, 24, 1, rows[i].loss, 0.01};
    recommender *model = fitted(p, rows[i].name, settings, values);
    for (uint32_t from = 0; from < SEEN; from += 3) {
      const uint32_t items[] = {(from + 2) % SEEN, from, (from + 1) % SEEN};
      const int64_t times[] = {300, 100, 200}, turned[] = {100, 300, 200};
      float scores[THINGS], backwards[THINGS];
      scores_of(model, items, times, 3, scores);
      scores_of(model, items, turned, 3, backwards);
      if (best_of(scores, SEEN) != (from + 3) % SEEN)
        fail_msg("%s, loss %g: after %u comes %u", rows[i].name, rows[i].loss, (from + 2) % SEEN,
                 best_of(scores, SEEN));
      assert_true(memcmp(scores, backwards, sizeof scores) != 0);
      for (uint32_t k = SEEN; k < THINGS; k++) assert_true(scores[k] <= scores[(from + 9) % SEEN]);
    }
    model->kind->free(model);
  }
  planted_free(p);
}

/* A new thing with the content of thing 3 k is expected where that would be. */
static void test_new_things_follow_by_content(void **state) {
  (void)state;
  static const char *const settings[] = {"epochs", "dim", "batch", "negatives", "layers", "content", "rate", NULL};
  static const double values[] = {60, 16, 8, 24, 1, 0.5, 0.01};
  static const char *const names[] = {"sasrec", "gru4rec"};
  planted *p = rounds(true);
  for (size_t i = 0; i < 2; i++) {
    recommender *model = fitted(p, names[i], settings, values);
    for (uint32_t k = SEEN; k < THINGS; k++) {
      uint32_t place = 3 * (k - SEEN), better = 0;
      const uint32_t items[] = {(place + SEEN - 2) % SEEN, (place + SEEN - 1) % SEEN};
      const int64_t times[] = {100, 200};
      float scores[THINGS];
      scores_of(model, items, times, 2, scores);
      for (uint32_t other = 0; other < SEEN; other++) better += other != place && scores[other] > scores[k];
      if (better > 1) fail_msg("%s: %u things are before the new one at %u", names[i], better, place);
    }
    model->kind->free(model);
  }
  planted_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_halves_are_told_apart),        cmocka_unit_test(test_buys_are_found_beside_clicks),
      cmocka_unit_test(test_new_things_go_by_content),     cmocka_unit_test(test_what_follows_is_found),
      cmocka_unit_test(test_new_things_follow_by_content), cmocka_unit_test(test_evening_out_is_the_same_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
