/* Events out of a store, their weights, every split, and the matrices. */
#include "test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "data/interactions.h"

/* ---- a store with a few events ---- */

static void fill_store(store *s) {
  medley_error error;
  static const char *const users[] = {"ann", "bob", "cy"}, *const items[] = {"a", "b", "c", "d"},
                           *const types[] = {"view", "rate"};
  int64_t user[3], item[4];
  int32_t type[2];
  assert_ok(store_sqlite.begin(s, &error));
  for (int i = 0; i < 3; i++)
    assert_ok(store_sqlite.put_user(s, &(store_user){.key = users[i], .time_s = STORE_TIME_UNKNOWN}, &user[i], &error));
  for (int i = 0; i < 4; i++)
    assert_ok(store_sqlite.put_item(s, &(store_item){.key = items[i], .time_s = STORE_TIME_UNKNOWN}, &item[i], &error));
  for (int i = 0; i < 2; i++) assert_ok(store_sqlite.event_type(s, types[i], &type[i], &error));
  const store_event events[] = {
      {user[2], item[3], type[1], 5, 300, STORE_SPLIT_TRAIN, NULL},
      {user[0], item[1], type[0], 1, 100, STORE_SPLIT_TEST, NULL},
      {user[0], item[1], type[0], 1, 200, STORE_SPLIT_TRAIN, NULL},
      {user[2], item[0], type[1], 1, 250, STORE_SPLIT_NONE, NULL},
  };
  assert_ok(store_sqlite.put_events(s, events, 4, &error));
  const store_link links[] = {
      {'u', 'u', user[0], user[2], "follows", 2},   {'u', 'u', user[0], user[2], "friend", 1},
      {'u', 'u', user[2], user[1], "trusts", 0.5f}, {'u', 'u', user[0], user[1], "blocks", 1},
      {'u', 'u', user[1], user[0], "follows", -1},  {'u', 'u', user[1], user[1], "follows", 1},
      {'u', 'i', user[1], item[0], "owns", 1},
  };
  for (size_t i = 0; i < sizeof links / sizeof *links; i++) assert_ok(store_sqlite.put_link(s, &links[i], &error));
  assert_ok(store_sqlite.commit(s, &error));
}

static void check_loaded(const event_log *log) {
  assert_int_equal(log->user_count, 3);
  assert_int_equal(log->item_count, 4);
  assert_int_equal(log->event_count, 4);
  assert_int_equal(log->type_count, 2);
  assert_true(log->has_time && log->has_split);
  for (uint32_t i = 0; i < 4; i++) {
    if (i > 0) assert_true(log->item_id[i] > log->item_id[i - 1]);
    assert_int_equal(*intmap_get(&log->item_index, log->item_id[i]), i);
  }
  const event *e = log->events;
  assert_true(e[0].user == 2 && e[0].item == 3 && e[0].value == 5 && e[0].time_s == 300 &&
              e[0].split == STORE_SPLIT_TRAIN);
  assert_string_equal(log->type_names[e[0].type], "rate");
  assert_string_equal(log->type_names[e[1].type], "view");
  /* Of two links the stronger; not who is blocked or distrusted, oneself, or a thing. */
  const sparse *social = &log->social;
  assert_true(social->rows == 3 && social->columns == 3 && sparse_count(social) == 2);
  assert_true(sparse_has(social, 0, 2) && sparse_has(social, 2, 1));
  assert_true(social->value[0] == 2 && social->value[1] == 0.5f);
}

static void test_load(void **state) {
  (void)state;
  medley_error error;
  char folder[256];
  test_folder(folder);
  char *path = path_join(folder, "medley.db");
  store *s;
  event_log log;
  assert_ok(store_sqlite.open(path, true, 1000, &s, &error));
  assert_ok(event_log_load(&store_sqlite, s, NULL, &log, &error));
  assert_true(log.event_count == 0 && !log.has_time);
  event_log_deinit(&log);
  fill_store(s);
  assert_ok(event_log_load(&store_sqlite, s, NULL, &log, &error));
  check_loaded(&log);
  assert_true(log.last_event >= 4);
  event_weights w;
  event_weights_default(&log, &w);
  assert_near(w.rating_threshold, 3, 0); /* ratings 1 and 5 */
  interactions x;
  assert_ok(interactions_build(&log, &w, NULL, 0, &x, &error));
  assert_int_equal(sparse_count(&x.by_user), 2); /* the rating of 1 is out, the two views are one pair */
  assert_true(x.time_s[0] == 200 && x.time_s[1] == 300 && x.newest_s == 300);
  assert_true(x.popularity[1] == 1 && x.popularity[0] == 0 && x.by_item.rows == 4 && sparse_has(&x.by_item, 3, 2));
  interactions_deinit(&x);
  event_log_deinit(&log);
#ifdef MEDLEY_FAULTS
  for (long n = 1;; n++) {
    memory_fault_after(n);
    medley_status status = event_log_load(&store_sqlite, s, NULL, &log, &error);
    if (status == MEDLEY_OK) status = interactions_build(&log, &w, NULL, 0, &x, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (!struck) break;
    assert_int_equal(status, MEDLEY_ERR_MEMORY);
    event_log_deinit(&log);
  }
  interactions_deinit(&x);
  event_log_deinit(&log);
#endif
  store_sqlite.close(s);
  mem_free(path);
  assert_ok(folder_remove(folder, &error));
}

/* ---- weights ---- */

static void test_weights(void **state) {
  (void)state;
  static const struct {
    const char *name;
    float weight;
  } rows[] = {
      {"view", 1},     {"Click", 1},      {"like", 2},    {"add_to_cart", 2}, {"favorite", 2},
      {"purchase", 3}, {"order", 3},      {"dislike", 0}, {"skip-intro", 0},  {"remove from cart", 0},
      {"rate", 1},     {"frobnicate", 1}, {"", 1},        {"viewer", 1},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char *name = (char *)rows[i].name;
    event_log log = {.type_names = &name, .type_count = 1};
    event_weights w;
    event_weights_default(&log, &w);
    event e = {.value = 1}, unknown = {.value = 1, .type = 99}, returned = {.value = -1};
    assert_true(event_weight(&w, &e) == rows[i].weight);
    assert_true(event_weight(&w, &unknown) == 1);
    if (strcmp(name, "rate") != 0) assert_true(event_weight(&w, &returned) == 0);
    assert_true(isnan(w.rating_threshold));
  }
}

static void test_rating_scale(void **state) {
  (void)state;
  static const struct {
    float values[6];
    size_t count;
    float threshold;
    int positive;
  } rows[] = {
      {{1, 2, 3, 4, 5, 3}, 6, 3, 4}, {{-1, 1, 1, -1}, 4, 0, 2}, {{4, 4, 4}, 3, NAN, 3},
      {{0.5f, 5}, 2, 2.75f, 1},      {{NAN, 1, 2}, 3, 1.5f, 1},
  };
  char *name = (char[]){"rating"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    event events[6] = {{0}};
    for (size_t k = 0; k < rows[i].count; k++) events[k].value = rows[i].values[k];
    event_log log = {.type_names = &name, .type_count = 1, .events = events, .event_count = rows[i].count};
    event_weights w;
    event_weights_default(&log, &w);
    if (isnan(rows[i].threshold))
      assert_true(isnan(w.rating_threshold));
    else
      assert_near(w.rating_threshold, rows[i].threshold, 0);
    int positive = 0;
    for (size_t k = 0; k < rows[i].count; k++) positive += event_weight(&w, &events[k]) > 0;
    assert_int_equal(positive, rows[i].positive);
  }
}

/* ---- splits ---- */

enum { USERS = 40, ITEMS = 60, EVENTS = 1000 };
static event events[EVENTS];
static uint8_t label[EVENTS], base[EVENTS];

/* Users have 1 to some 50 events; times run against the order of insertion for odd users. */
static event_log make_log(bool timed, bool marked) {
  rng r;
  rng_seed(&r, 9);
  for (int i = 0; i < EVENTS; i++) {
    events[i] = (event){.user = i < USERS ? (uint32_t)i : (uint32_t)rng_below(&r, USERS - 5),
                        .item = (uint32_t)rng_below(&r, ITEMS),
                        .value = 1};
    events[i].time_s = timed ? 1000 + (events[i].user % 2 ? EVENTS - i : i) : STORE_TIME_UNKNOWN;
    events[i].split = marked ? (uint8_t)(1 + rng_below(&r, 3)) : STORE_SPLIT_NONE;
  }
  return (event_log){.user_count = USERS,
                     .item_count = ITEMS,
                     .events = events,
                     .event_count = EVENTS,
                     .has_time = timed,
                     .has_split = marked};
}

static size_t count_label(uint8_t which) {
  size_t count = 0;
  for (int i = 0; i < EVENTS; i++) count += label[i] == which;
  return count;
}

static size_t count_user(uint32_t user, int which) { /* -1: all */
  size_t count = 0;
  for (int i = 0; i < EVENTS; i++) count += events[i].user == user && (which < 0 || label[i] == which);
  return count;
}

/* No training event of a user comes after one of its test events. */
static void assert_time_order(bool timed) {
  for (int i = 0; i < EVENTS; i++)
    for (int j = 0; j < EVENTS; j++) {
      if (events[i].user != events[j].user || label[i] != LABEL_TRAIN || label[j] != LABEL_TEST) continue;
      if (timed)
        assert_true(events[i].time_s < events[j].time_s);
      else
        assert_true(i < j);
    }
}

static void test_split_random(void **state) {
  (void)state;
  medley_error error;
  event_log log = make_log(false, false);
  split_options o = {.kind = SPLIT_RANDOM, .test_share = 0.3, .seed = 4};
  assert_ok(split_make(&log, &o, NULL, label, &error));
  assert_int_equal(count_label(LABEL_TEST), 300);
  memcpy(base, label, sizeof base);
  assert_ok(split_make(&log, &o, NULL, label, &error));
  assert_memory_equal(base, label, sizeof base); /* the seed decides */
  o.seed = 5;
  assert_ok(split_make(&log, &o, NULL, label, &error));
  assert_memory_not_equal(base, label, sizeof base);
  /* Validation out of train. */
  o.test_share = 0.1;
  assert_ok(split_make(&log, &o, base, label, &error));
  assert_int_equal(count_label(LABEL_DROP), 300);
  assert_int_equal(count_label(LABEL_TEST), 70);
  for (int i = 0; i < EVENTS; i++) assert_int_equal(label[i] == LABEL_DROP, base[i] == LABEL_TEST);
}

static void test_split_by_user(void **state) {
  (void)state;
  medley_error error;
  for (int timed = 0; timed < 2; timed++) {
    event_log log = make_log(timed, false);
    split_options o = {.kind = SPLIT_LEAVE_ONE_OUT};
    assert_ok(split_make(&log, &o, NULL, label, &error));
    for (uint32_t u = 0; u < USERS; u++) assert_int_equal(count_user(u, LABEL_TEST), count_user(u, -1) > 1);
    assert_time_order(timed);
    o.kind = SPLIT_USER_TIME;
    assert_ok(split_make(&log, &o, NULL, label, &error));
    for (uint32_t u = 0; u < USERS; u++) {
      size_t all = count_user(u, -1);
      assert_int_equal(count_user(u, LABEL_TEST), (size_t)(0.2 * (double)all + 0.5));
      assert_true(count_user(u, LABEL_TRAIN) > 0);
    }
    assert_time_order(timed);
    o.kind = SPLIT_USER_RANDOM;
    assert_ok(split_make(&log, &o, NULL, label, &error));
    for (uint32_t u = 0; u < USERS; u++)
      assert_int_equal(count_user(u, LABEL_TEST), (size_t)(0.2 * (double)count_user(u, -1) + 0.5));
  }
}

static void test_split_global_time(void **state) {
  (void)state;
  medley_error error;
  event_log log = make_log(true, false);
  split_options o = {.kind = SPLIT_GLOBAL_TIME, .test_share = 0.25};
  events[3].time_s = STORE_TIME_UNKNOWN;
  assert_ok(split_make(&log, &o, NULL, label, &error));
  assert_int_equal(label[3], LABEL_DROP);
  int64_t newest_train = 0, oldest_test = INT64_MAX;
  for (int i = 0; i < EVENTS; i++) {
    if (label[i] == LABEL_TRAIN && events[i].time_s > newest_train) newest_train = events[i].time_s;
    if (label[i] == LABEL_TEST && events[i].time_s < oldest_test) oldest_test = events[i].time_s;
  }
  assert_true(newest_train < oldest_test);
  assert_in_range(count_label(LABEL_TEST), 240, 250);
  log = make_log(false, false);
  assert_refused(split_make(&log, &o, NULL, label, &error), MEDLEY_ERR_USAGE,
                 "1000 of 1000 events have none; use user-random");
  log = make_log(true, false);
  for (int i = 0; i < EVENTS; i++) events[i].time_s = 7;
  assert_refused(split_make(&log, &o, NULL, label, &error), MEDLEY_ERR_USAGE,
                 "leaves 1000 events to learn from and 0 to test");
}

static void test_split_given(void **state) {
  (void)state;
  medley_error error;
  event_log log = make_log(false, true);
  split_options o = {.kind = SPLIT_GIVEN};
  assert_ok(split_make(&log, &o, NULL, label, &error));
  for (int i = 0; i < EVENTS; i++)
    assert_int_equal(label[i], events[i].split == STORE_SPLIT_TEST ? LABEL_TEST : LABEL_TRAIN);
  memcpy(base, label, sizeof base);
  assert_ok(split_make(&log, &o, base, label, &error));
  static const uint8_t expected[] = {0, LABEL_TRAIN, LABEL_TEST, LABEL_DROP};
  for (int i = 0; i < EVENTS; i++) assert_int_equal(label[i], expected[events[i].split]);
  /* Cold items within the given split. */
  static const uint32_t cold[] = {3, 17, 59};
  o.cold_items = cold;
  o.cold_item_count = 3;
  assert_ok(split_make(&log, &o, NULL, label, &error));
  for (int i = 0; i < EVENTS; i++) {
    bool is_cold = events[i].item == 3 || events[i].item == 17 || events[i].item == 59,
         test = events[i].split == STORE_SPLIT_TEST;
    assert_int_equal(label[i], is_cold != test ? LABEL_DROP : test ? LABEL_TEST : LABEL_TRAIN);
  }
  log = make_log(false, false);
  assert_refused(split_make(&log, &o, NULL, label, &error), MEDLEY_ERR_USAGE,
                 "none of the 1000 is; import them with a split column");
}

static void test_split_cold(void **state) {
  (void)state;
  medley_error error;
  event_log log = make_log(true, false);
  split_options o = {.kind = SPLIT_COLD_ITEM, .test_share = 0.1, .seed = 2};
  assert_ok(split_make(&log, &o, NULL, label, &error));
  int side[ITEMS], tested = 0;
  memset(side, -1, sizeof side);
  for (int i = 0; i < EVENTS; i++) {
    assert_true(side[events[i].item] < 0 || side[events[i].item] == label[i]); /* an item is on one side only */
    side[events[i].item] = label[i];
  }
  for (int i = 0; i < ITEMS; i++) tested += side[i] == LABEL_TEST;
  assert_int_equal(tested, 6);
  static const uint32_t cold[] = {5, 60};
  o.cold_items = cold;
  o.cold_item_count = 1;
  assert_ok(split_make(&log, &o, NULL, label, &error));
  for (int i = 0; i < EVENTS; i++) assert_int_equal(label[i] == LABEL_TEST, events[i].item == 5);
  o.cold_item_count = 2;
  assert_refused(split_make(&log, &o, NULL, label, &error), MEDLEY_ERR_USAGE,
                 "cold item 1 has index 60, but there are 60 items");

  o = (split_options){.kind = SPLIT_COLD_USER, .seed = 2};
  assert_ok(split_make(&log, &o, NULL, label, &error));
  int cold_users = 0;
  for (uint32_t u = 0; u < USERS; u++) {
    size_t all = count_user(u, -1), test = count_user(u, LABEL_TEST);
    if (test == 0) {
      assert_int_equal(count_user(u, LABEL_TRAIN), all);
      continue;
    }
    cold_users++;
    assert_int_equal(test, all / 2);
    assert_int_equal(count_user(u, LABEL_HISTORY), all - all / 2);
  }
  assert_int_equal(cold_users, 7); /* a fifth of the 35 with more than one event */
  for (int i = 0; i < EVENTS; i++)
    for (int j = 0; j < EVENTS; j++)
      if (events[i].user == events[j].user && label[i] == LABEL_HISTORY && label[j] == LABEL_TEST)
        assert_true(events[i].time_s < events[j].time_s);
}

static void test_split_refusals(void **state) {
  (void)state;
  medley_error error;
  event_log log = make_log(true, false), empty = {0};
  assert_refused(split_make(&empty, &(split_options){0}, NULL, label, &error), MEDLEY_ERR_USAGE, "no events to split");
  assert_refused(split_make(&log, &(split_options){.test_share = 1}, NULL, label, &error), MEDLEY_ERR_USAGE,
                 "test share is 1");
  assert_refused(split_make(&log, &(split_options){.test_share = NAN}, NULL, label, &error), MEDLEY_ERR_USAGE,
                 "test share");
  assert_refused(split_make(&log, &(split_options){.kind = SPLIT_KIND_COUNT}, NULL, label, &error), MEDLEY_ERR_USAGE,
                 "no split number 8");
  for (int kind = 0; kind < SPLIT_KIND_COUNT; kind++) {
    assert_int_equal(split_kind_find(split_kind_name((split_kind)kind)), kind);
#ifdef MEDLEY_FAULTS
    log = make_log(true, true);
    for (long n = 1;; n++) {
      memory_fault_after(n);
      medley_status status = split_make(&log, &(split_options){.kind = (split_kind)kind}, NULL, label, &error);
      bool struck = memory_fault_struck();
      memory_fault_after(0);
      if (!struck) break;
      assert_int_equal(status, MEDLEY_ERR_MEMORY);
    }
#endif
  }
  assert_int_equal(split_kind_find("by-moon"), SPLIT_KIND_COUNT);
}

static void test_matrices(void **state) {
  (void)state;
  medley_error error;
  event_log log = make_log(true, true);
  event_weights w;
  event_weights_default(&log, &w);
  for (int i = 0; i < EVENTS; i++) label[i] = (uint8_t)(i % 2), events[i].value = i % 5 ? 1 : -1;
  interactions x;
  assert_ok(interactions_build(&log, &w, label, LABEL_TEST, &x, &error));
  uint8_t seen[USERS][ITEMS] = {{0}};
  int64_t newest[USERS][ITEMS] = {{0}};
  size_t pairs = 0;
  for (int i = 0; i < EVENTS; i++) {
    const event *e = &events[i];
    if (i % 2 == 0 || i % 5 == 0) continue;
    pairs += !seen[e->user][e->item];
    seen[e->user][e->item] = 1;
    if (e->time_s > newest[e->user][e->item]) newest[e->user][e->item] = e->time_s;
  }
  assert_int_equal(sparse_count(&x.by_user), pairs);
  for (uint32_t u = 0; u < USERS; u++)
    for (uint64_t i = x.by_user.start[u]; i < x.by_user.start[u + 1]; i++) {
      assert_true(seen[u][x.by_user.column[i]] && x.by_user.value[i] == 1);
      assert_int_equal(x.time_s[i], newest[u][x.by_user.column[i]]);
    }
  for (uint32_t i = 0; i < ITEMS; i++) {
    float users = 0;
    for (int u = 0; u < USERS; u++) users += seen[u][i];
    assert_true(x.popularity[i] == users);
  }
  interactions_deinit(&x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_load),           cmocka_unit_test(test_weights),
      cmocka_unit_test(test_rating_scale),   cmocka_unit_test(test_split_random),
      cmocka_unit_test(test_split_by_user),  cmocka_unit_test(test_split_global_time),
      cmocka_unit_test(test_split_given),    cmocka_unit_test(test_split_cold),
      cmocka_unit_test(test_split_refusals), cmocka_unit_test(test_matrices),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
