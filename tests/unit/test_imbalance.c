/* How often rare goals and modalities are asked for, what an answer counts, and what is made up between two items, each
 * against its formula. */
#include "base/memory.h"
#include "recommend/imbalance.h"
#include "recommend/smote.h"
#include "test.h"

enum { ITEMS = 40, DIM = 4, PEOPLE = 30, DRAWS = 40000, BESIDE = 4 };

static imbalance balanced(imbalance_exponents by, uint64_t clicks, uint64_t likes, uint64_t buys) {
  imbalance b;
  imbalance_init(&b, &by, (uint64_t[GOAL_COUNT]){clicks, likes, buys}, BESIDE);
  return b;
}

static void test_rare_goals_are_asked_for_more_often(void **state) {
  (void)state;
  imbalance none = balanced((imbalance_exponents){0}, 900, 90, 100);
  imbalance over = balanced((imbalance_exponents){.over = 1}, 900, 90, 100);
  imbalance under = balanced((imbalance_exponents){.under = 1}, 900, 90, 100);
  imbalance both = balanced((imbalance_exponents){.over = 0.3, .under = 0.7}, 900, 90, 100);
  imbalance made = balanced((imbalance_exponents){.smote = 0.5}, 900, 90, 100);
  const double n[] = {900, 90, 100};
  for (int c = 0; c < GOAL_COUNT; c++) {
    assert_true(none.plain[c] == 1 && none.made[c] == 0 && none.weight[c][0] == 1 && none.weight[c][1] == 1);
    assert_near(over.plain[c] * n[c], 900, 1e-9);
    assert_near(under.plain[c] * n[c], 90, 1e-9);
    assert_near(both.plain[c] * n[c], pow(900, 0.3) * pow(90, 0.7), 1e-9);
    assert_near(made.made[c], sqrt(900 / n[c]) - 1, 1e-9);
    assert_true(made.plain[c] == 1);
  }
}

/* No pairs, pairs of one class, one pair among very many. */
static void test_what_has_nothing_rare(void **state) {
  (void)state;
  const imbalance_exponents all = {1, 0, 1, 1, 1};
  imbalance nobody = balanced(all, 0, 0, 0), likes = balanced(all, 0, 7, 0), one = balanced(all, 1000000000, 0, 1);
  for (int c = 0; c < GOAL_COUNT; c++) {
    assert_true(nobody.plain[c] == 1 && nobody.made[c] == 0);
    assert_true(likes.plain[c] == 1 && likes.made[c] == 0);
    for (int y = 0; y < 2; y++)
      assert_true(nobody.weight[c][y] > 0 && likes.weight[c][y] > 0 && isfinite(one.weight[c][y]));
  }
  assert_true(one.plain[2] == IMBALANCE_TIMES_MAX && one.plain[1] == 1 && one.plain[0] == 1);
  /* Who liked it also clicked it: both goals have a yes for each pair, buys none. */
  assert_near((double)likes.weight[0][1], 0.5 * (1 + BESIDE), 1e-6);
  assert_near((double)likes.weight[1][1], 0.5 * (1 + BESIDE), 1e-6);
  assert_near((double)likes.weight[2][1], 1, 1e-6);
}

/* class_weight='balanced' of scikit-learn is n / (2 n_y), counted here row by row. */
static void test_answers_count_by_how_rare_they_are(void **state) {
  (void)state;
  const uint64_t pairs[] = {60, 30, 10};
  const double times[] = {1, 2, 6}; /* with over = 1 */
  imbalance b = balanced((imbalance_exponents){.weigh = 1}, 60, 30, 10);
  imbalance half = balanced((imbalance_exponents){.weigh = 0.5, .over = 1}, 60, 30, 10);
  for (int g = 0; g < GOAL_COUNT; g++) {
    double yes = 0, n = 0, yes_over = 0, n_over = 0;
    for (int c = 0; c < GOAL_COUNT; c++) {
      n += (double)(pairs[c] * (1 + BESIDE));
      n_over += (double)(pairs[c] * (1 + BESIDE)) * times[c];
      if (c >= g) yes += (double)pairs[c], yes_over += (double)pairs[c] * times[c];
    }
    assert_near((double)b.weight[g][1], n / (2 * yes), 1e-5);
    assert_near((double)b.weight[g][0], n / (2 * (n - yes)), 1e-5);
    assert_near((double)half.weight[g][1], sqrt(n_over / (2 * yes_over)), 1e-5);
    assert_near((double)half.weight[g][0], sqrt(n_over / (2 * (n_over - yes_over))), 1e-5);
  }
}

static void test_times_are_whole_and_right_on_average(void **state) {
  (void)state;
  rng a, b, untouched;
  rng_seed(&a, 3);
  rng_seed(&b, 3);
  untouched = a;
  assert_int_equal(imbalance_times(1, &a), 1);
  assert_int_equal(imbalance_times(0, &a), 0);
  assert_int_equal(imbalance_times(1e9, &a), IMBALANCE_TIMES_MAX);
  assert_memory_equal(&a, &untouched, sizeof a);
  for (double mean = 0.1; mean < 4; mean += 0.77) {
    double sum = 0;
    for (int i = 0; i < DRAWS; i++) {
      size_t times = imbalance_times(mean, &a);
      assert_int_equal(times, imbalance_times(mean, &b));
      assert_true(times == (size_t)mean || times == (size_t)mean + 1);
      sum += (double)times;
    }
    assert_near(sum / DRAWS, mean, 0.02);
  }
}

/* ---- modalities ---- */

typedef struct shelf {
  interactions train;
  float rows[2][ITEMS * DIM];
  uint8_t present[2][ITEMS];
  features list[2];
  uint32_t mask[ITEMS];
} shelf;

/* Pictures of all items but every eighth, which has a sound, as every tenth has, so that no item has neither; items
 * from 30 on are new. */
static shelf *shelf_create(bool with_events) {
  medley_error error;
  shelf *s = calloc(1, sizeof *s);
  event *events = calloc(PEOPLE * ITEMS, sizeof *events);
  rng r;
  rng_seed(&r, 4);
  event_log log = {.user_count = PEOPLE, .item_count = ITEMS, .events = events, .type_count = 1};
  log.type_names = (char *[]){(char *)"click"};
  for (uint32_t u = 0; u < PEOPLE; u++)
    for (uint32_t i = 0; with_events && i < 30; i++)
      if (rng_uniform(&r) < 8.0 / (8 + i)) events[log.event_count++] = (event){.user = u, .item = i, .value = 1};
  event_weights weights;
  event_weights_default(&log, &weights);
  assert_ok(interactions_build(&log, &weights, NULL, 0, &s->train, &error));
  for (uint32_t i = 0; i < ITEMS; i++) {
    s->present[0][i] = i % 8 != 0;
    s->present[1][i] = i % 8 == 0 || i % 10 == 0;
    for (int m = 0; m < 2; m++) {
      double norm = 0;
      float *row = s->rows[m] + i * DIM;
      for (int d = 0; d < DIM; d++) row[d] = (float)rng_normal(&r), norm += (double)row[d] * (double)row[d];
      for (int d = 0; d < DIM; d++) row[d] = s->present[m][i] ? row[d] / (float)sqrt(norm) : 0;
    }
  }
  s->list[0] = (features){"image", ITEMS, DIM, s->rows[0], s->present[0]};
  s->list[1] = (features){"audio", ITEMS, DIM, s->rows[1], s->present[1]};
  modality_masks(s->list, 2, ITEMS, s->mask);
  free(events);
  return s;
}

static void shelf_free(shelf *s) {
  interactions_deinit(&s->train);
  free(s);
}

/* The chance that an item is drawn, half evenly and half by events. */
static double chance_of(const shelf *s, uint32_t item) {
  double events = (double)sparse_count(&s->train.by_user);
  if (!(events > 0)) return 1.0 / ITEMS;
  return 0.5 / ITEMS + 0.5 * (double)s->train.popularity[item] / events;
}

/* Each set of modalities is drawn Q^(1 − exponent), an item of it by its own chance; chosen items are asked for as much
 * more often, once on average. */
static void test_items_are_drawn_evenly_over_modalities(void **state) {
  (void)state;
  medley_error error;
  for (int with_events = 0; with_events < 2; with_events++)
    for (double exponent = 0; exponent <= 1; exponent += 0.5) {
      shelf *s = shelf_create(with_events);
      modality_sets sets;
      double of_set[4] = {0}, all = 0, drawn[ITEMS] = {0}, set_drawn[4] = {0}, asked = 0;
      rng r;
      rng_seed(&r, 9);
      assert_ok(modality_sets_init(&sets, &s->train, s->mask, exponent, &error));
      assert_int_equal(sets.count, 3);
      for (uint32_t i = 0; i < ITEMS; i++) of_set[s->mask[i]] += chance_of(s, i);
      for (int k = 0; k < 4; k++) all += of_set[k] > 0 ? pow(of_set[k], 1 - exponent) : 0;
      for (int d = 0; d < DRAWS; d++) {
        uint32_t item = modality_sets_draw(&sets, &r);
        drawn[item]++;
        set_drawn[s->mask[item]]++;
      }
      for (int k = 1; k < 4; k++) assert_near(set_drawn[k] / DRAWS, pow(of_set[k], 1 - exponent) / all, 0.012);
      for (uint32_t i = 0; i < ITEMS; i++) {
        double times = sets.times[sets.set[i]], first = sets.times[sets.set[0]];
        assert_near(drawn[i] / DRAWS, chance_of(s, i) * pow(of_set[s->mask[i]], -exponent) / all, 0.012);
        double rarer = with_events ? pow(of_set[s->mask[i]] / of_set[s->mask[0]], -exponent) : 1;
        assert_near(times / first, rarer, 1e-9);
        asked += times * (double)s->train.popularity[i];
      }
      if (with_events) assert_near(asked / (double)sparse_count(&s->train.by_user), 1, 1e-9);
      modality_sets_deinit(&sets);
      shelf_free(s);
    }
}

/* ---- what is made up ---- */

static bool is_near(const smote *s, uint32_t item, uint32_t other) {
  const uint32_t *near = s->near + s->place[item] * SMOTE_NEIGHBOURS;
  for (int k = 0; k < s->near_count[s->place[item]]; k++)
    if (near[k] == other) return true;
  return false;
}

static double cosines(const shelf *s, uint32_t a, uint32_t b) {
  double sum = 0;
  for (int m = 0; m < 2; m++)
    for (int d = 0; d < DIM; d++) sum += (double)s->rows[m][a * DIM + d] * (double)s->rows[m][b * DIM + d];
  return sum;
}

static medley_status shelf_smote(const shelf *s, const uint8_t *member, smote *out, medley_error *err) {
  return smote_init(out, (float *const[]){(float *)s->rows[0], (float *)s->rows[1]}, (size_t[]){DIM, DIM}, 2, s->mask,
                    member, ITEMS, err);
}

/* The nearest rare items with the same modalities, and every point between its ends. */
static void test_points_lie_between_items_that_are_alike(void **state) {
  (void)state;
  medley_error error;
  shelf *s = shelf_create(true);
  uint8_t member[ITEMS];
  smote made;
  rng r, again;
  rng_seed(&r, 5);
  rng_seed(&again, 5);
  for (uint32_t i = 0; i < ITEMS; i++) member[i] = i % 3 != 0 || i % 8 == 0;
  assert_ok(shelf_smote(s, member, &made, &error));
  for (uint32_t i = 0; i < ITEMS; i++) {
    uint32_t other = 0, second = 0, fit = 0;
    float towards, same;
    for (uint32_t j = 0; j < ITEMS; j++) fit += j != i && member[i] && member[j] && s->mask[j] == s->mask[i];
    bool found = smote_draw(&made, i, &r, &other, &towards);
    assert_int_equal(found, fit > 0);
    assert_int_equal(found, smote_draw(&made, i, &again, &second, &same));
    if (!found) continue;
    assert_int_equal(made.near_count[made.place[i]], fit < SMOTE_NEIGHBOURS ? fit : SMOTE_NEIGHBOURS);
    assert_true(other == second && towards == same && towards >= 0 && towards < 1);
    assert_true(other != i && member[other] && s->mask[other] == s->mask[i] && is_near(&made, i, other));
    for (uint32_t j = 0; j < ITEMS; j++)
      if (j != i && member[j] && s->mask[j] == s->mask[i] && !is_near(&made, i, j))
        assert_true(cosines(s, i, j) <= cosines(s, i, other) + 1e-6);
  }
  smote_deinit(&made);
  shelf_free(s);
}

/* No rare item, one, and rare ones without content: nothing is made up. */
static void test_nothing_to_lie_between(void **state) {
  (void)state;
  medley_error error;
  shelf *s = shelf_create(true);
  uint8_t member[ITEMS] = {0};
  for (int round = 0; round < 3; round++) {
    smote made;
    uint32_t other;
    float towards;
    rng r;
    rng_seed(&r, 5);
    if (round == 1) member[9] = 1;
    for (uint32_t i = 0; round == 2 && i < ITEMS; i++) member[i] = 1, s->mask[i] = 0;
    assert_ok(shelf_smote(s, member, &made, &error));
    for (uint32_t i = 0; i < ITEMS; i++) assert_false(smote_draw(&made, i, &r, &other, &towards));
    smote_deinit(&made);
  }
  assert_false(smote_draw(&(smote){0}, 3, NULL, NULL, NULL));
  shelf_free(s);
}

#ifdef MEDLEY_FAULTS
static void test_memory_runs_out(void **state) {
  (void)state;
  shelf *s = shelf_create(true);
  uint8_t member[ITEMS];
  memset(member, 1, sizeof member);
  for (int which = 0; which < 2; which++)
    for (long n = 1;; n++) {
      medley_error error = {0};
      modality_sets sets = {0};
      smote made = {0};
      memory_fault_after(n);
      medley_status status =
          which ? shelf_smote(s, member, &made, &error) : modality_sets_init(&sets, &s->train, s->mask, 1, &error);
      bool struck = memory_fault_struck();
      memory_fault_after(0);
      modality_sets_deinit(&sets);
      smote_deinit(&made);
      if (!struck) {
        assert_int_equal(status, MEDLEY_OK);
        break;
      }
      if (status != MEDLEY_OK) assert_int_equal(status, MEDLEY_ERR_MEMORY);
    }
  shelf_free(s);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rare_goals_are_asked_for_more_often),
      cmocka_unit_test(test_what_has_nothing_rare),
      cmocka_unit_test(test_answers_count_by_how_rare_they_are),
      cmocka_unit_test(test_times_are_whole_and_right_on_average),
      cmocka_unit_test(test_items_are_drawn_evenly_over_modalities),
      cmocka_unit_test(test_points_lie_between_items_that_are_alike),
      cmocka_unit_test(test_nothing_to_lie_between),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_runs_out),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
