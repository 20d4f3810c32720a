/* What is known of people: which attributes become traits, whose they are, and how they come through a manifest. */
#include "test.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/interactions.h"

#define PEOPLE 120

/* Person i: a plan of three, one of which only two have; an age of many; languages as a list; a flag; a name of their
 * own; a long text; and one of whom nothing is known. */
static void person_put(store *s, int i) {
  medley_error error;
  char key[32], attributes[1024] = "", text[201];
  memset(text, 'x', 200);
  text[200] = '\0';
  snprintf(key, sizeof key, "p%d", i);
  if (i > 0)
    snprintf(attributes, sizeof attributes,
             "{\"plan\": \"%s\", \"age\": %s%d%s, \"speaks\": [\"en\"%s], \"new\": %s, \"name\": \"n%d\", "
             "\"about\": \"%s\", \"inner\": {\"a\": 1}, \"none\": null}",
             i < 3        ? "gold"
             : i % 2 == 0 ? "free"
                          : "paid",
             i % 3 ? "\"" : "", i, i % 3 ? "\"" : "", i % 4 == 0 ? ", \"zh\", \"zh\"" : "", i % 2 ? "true" : "false", i,
             text);
  assert_ok(store_sqlite.put_user(
      s, &(store_user){.key = key, .attributes = i > 0 ? attributes : NULL, .time_s = STORE_TIME_UNKNOWN}, NULL,
      &error));
}

static store *people_store(const char *folder, int people) {
  medley_error error;
  char *path = path_join(folder, "medley.db");
  store *s;
  assert_ok(store_sqlite.open(path, true, 1000, &s, &error));
  assert_ok(store_sqlite.begin(s, &error));
  for (int i = 0; i < people; i++) person_put(s, i);
  assert_ok(store_sqlite.commit(s, &error));
  mem_free(path);
  return s;
}

static const trait_field *field_of(const traits *t, const char *name) {
  for (uint32_t f = 0; f < t->field_count; f++)
    if (strcmp(t->field[f].name, name) == 0) return &t->field[f];
  return NULL;
}

/* The traits of somebody, as text: "new=true plan=free age[2]". */
static void told(const traits *t, const char *attributes, char text[512]) {
  medley_error error;
  uint32_t found[TRAITS_PERSON_MAX];
  size_t count, at = 0;
  assert_ok(traits_of(t, attributes, found, &count, &error));
  text[0] = '\0';
  for (size_t k = 0; k < count; k++) {
    const trait_field *f = &t->field[traits_field(t, found[k])];
    uint32_t own = found[k] - f->first;
    assert_true(own < f->count && (k == 0 || found[k] > found[k - 1]));
    at += (size_t)(f->value != NULL ? snprintf(text + at, 512 - at, "%s%s=%s", k ? " " : "", f->name, f->value[own])
                                    : snprintf(text + at, 512 - at, "%s%s[%u]", k ? " " : "", f->name, own));
  }
}

static void check_fields(const traits *t) {
  assert_int_equal(t->field_count, 4);
  const trait_field *age = field_of(t, "age"), *plan = field_of(t, "plan"), *speaks = field_of(t, "speaks");
  assert_true(age != NULL && plan != NULL && speaks != NULL && field_of(t, "new") != NULL);
  assert_true(age->value == NULL && age->count == 8);
  for (uint32_t k = 1; k + 1 < age->count; k++) assert_true(age->bound[k] > age->bound[k - 1]);
  assert_int_equal(plan->count, 2); /* two people share nothing that is told */
  assert_int_equal(speaks->count, 2);
  assert_int_equal(t->count, 8 + 2 + 2 + 2);
}

static void check_people(const traits *t) {
  char text[512];
  told(t, "{\"plan\": \"paid\", \"new\": false, \"speaks\": [\"zh\", \"en\", \"zh\"], \"age\": 1}", text);
  assert_string_equal(text, "age[0] new=false plan=paid speaks=en speaks=zh");
  told(t, "{\"age\": \"1000\", \"speaks\": \"en\"}", text);
  assert_string_equal(text, "age[7] speaks=en");
  told(t, "{\"plan\": \"gold\", \"age\": \"old\", \"name\": \"n7\"}", text);
  assert_string_equal(text, "");
  static const char *const nothing[] = {
      NULL, "", "[]", "3", "{\"plan\": ", "{\"plan\": [[\"free\"]]}", "{\"age\": 1e999}"};
  for (size_t k = 0; k < sizeof nothing / sizeof *nothing; k++) {
    told(t, nothing[k], text);
    assert_string_equal(text, "");
  }
}

static void test_load(void **state) {
  (void)state;
  medley_error error;
  char folder[256];
  test_folder(folder);
  store *s = people_store(folder, PEOPLE);
  event_log log;
  assert_ok(event_log_load(&store_sqlite, s, NULL, &log, &error));
  const traits *t = &log.traits;
  check_fields(t);
  check_people(t);
  assert_true(t->rows.rows == PEOPLE && t->rows.columns == t->count);
  for (uint32_t u = 0; u < PEOPLE; u++)
    assert_int_equal(t->rows.start[u + 1] - t->rows.start[u], u == 0 ? 0 : 3 + (u >= 3) + (u % 4 == 0));
  /* As many in each range as can be. */
  float held[64];
  assert_true(t->count <= 64);
  sparse_column_sums(&t->rows, held);
  for (uint32_t k = 0; k < 8; k++) assert_true(held[field_of(t, "age")->first + k] >= 14);
  event_log_deinit(&log);
  store_sqlite.close(s);
  assert_ok(folder_remove(folder, &error));
}

/* Of a few people nothing is told apart. */
static void test_few(void **state) {
  (void)state;
  medley_error error;
  char folder[256];
  test_folder(folder);
  store *s = people_store(folder, TRAIT_PEOPLE_MIN);
  event_log log;
  interactions x;
  event_weights weights;
  assert_ok(event_log_load(&store_sqlite, s, NULL, &log, &error));
  assert_int_equal(log.traits.count, 0);
  event_weights_default(&log, &weights);
  assert_ok(interactions_build(&log, &weights, NULL, 0, &x, &error));
  assert_null(x.traits);
  interactions_deinit(&x);
  event_log_deinit(&log);
  store_sqlite.close(s);
  assert_ok(folder_remove(folder, &error));
}

static void test_manifest(void **state) {
  (void)state;
  medley_error error;
  char folder[256];
  test_folder(folder);
  store *s = people_store(folder, PEOPLE);
  event_log log;
  traits again;
  assert_ok(event_log_load(&store_sqlite, s, NULL, &log, &error));
  json_t *json = traits_to_json(&log.traits);
  assert_ok(traits_from_json(json, "manifest", &again, &error));
  check_fields(&again);
  check_people(&again);
  assert_int_equal(again.rows.rows, 0);
  traits_deinit(&again);
  json_decref(json);
  assert_ok(traits_from_json(NULL, "manifest", &again, &error));
  assert_int_equal(again.count, 0);
  event_log_deinit(&log);
  store_sqlite.close(s);
  assert_ok(folder_remove(folder, &error));
}

static void test_hostile_manifests(void **state) {
  (void)state;
  medley_error error;
  static const char *const bad[] = {
      "3",
      "{}",
      "[3]",
      "[{\"values\": [\"a\"]}]",
      "[{\"field\": \"f\"}]",
      "[{\"field\": \"f\", \"values\": []}]",
      "[{\"field\": \"f\", \"values\": [3]}]",
      "[{\"field\": \"f\", \"values\": [\"b\", \"a\"]}]",
      "[{\"field\": \"f\", \"bounds\": [1, 1]}]",
      "[{\"field\": \"f\", \"bounds\": [\"a\"]}]",
      "[{\"field\": \"f\", \"bounds\": []}]",
      "[{\"field\": \"f\", \"values\": [\"a\"]}, {\"field\": \"e\", \"values\": [\"a\"]}]",
  };
  for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
    traits t;
    json_t *json = json_loads(bad[k], JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    assert_int_equal(traits_from_json(json, "manifest", &t, &error), MEDLEY_ERR_CORRUPT);
    assert_non_null(strstr(error.text, "manifest: "));
    assert_int_equal(t.field_count, 0);
    json_decref(json);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_load),
      cmocka_unit_test(test_few),
      cmocka_unit_test(test_manifest),
      cmocka_unit_test(test_hostile_manifests),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
