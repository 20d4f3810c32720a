/* Filters over attributes: rows against a model of JSON objects, filters against a twin that walks their tree for each
 * slot, golden answers, every refusal, failing memory, and the cache under threads. */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "index/attributes_parts.h"
#include "index/filter_parts.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* ---- a model: one JSON object a slot, as attributes_get gives it ---- */

enum { SLOTS = 70000, BUSY = 900 }; /* more than a block; values at BUSY places */

typedef struct model {
  attributes *attributes;
  json_t *rows[SLOTS]; /* NULL: nothing */
  rng rng;
} model;

static const char *const numbers[] = {"price", "year", "größe"};
static const char *const texts[] = {"tag", "colour", "and"}; /* `and` must be quoted in a filter */

static uint32_t random_slot(model *m) {
  uint32_t place = (uint32_t)rng_below(&m->rng, BUSY);
  return place < 300 ? place : place < 600 ? 65536 - 450 + place : (place * 7919) % SLOTS;
}

static double random_number(model *m) {
  return rng_below(&m->rng, 3) == 0 ? (double)rng_below(&m->rng, 40) * 0.25 - 2 : (double)rng_below(&m->rng, 10);
}

static json_t *number_json(double value) {
  return value == trunc(value) ? json_integer((json_int_t)value) : json_real(value);
}

static const char *random_word(model *m, char word[32]) {
  uint64_t kind = rng_below(&m->rng, 4);
  snprintf(word, 32, kind == 0 ? "it's \"%d\"" : kind == 1 ? "schön\\%d" : "w%d", (int)rng_below(&m->rng, 12));
  return word;
}

static bool row_has_word(const json_t *value, const char *word) {
  if (json_is_string(value)) return strcmp(json_string_value(value), word) == 0;
  for (size_t i = 0; i < json_array_size(value); i++)
    if (strcmp(json_string_value(json_array_get(value, i)), word) == 0) return true;
  return false;
}

static void row_add_word(json_t *row, const char *name, const char *word) {
  json_t *value = json_object_get(row, name);
  if (value == NULL) {
    json_object_set_new(row, name, json_string(word));
  } else if (!row_has_word(value, word)) {
    json_t *list = json_is_array(value) ? json_incref(value) : json_pack("[O]", value);
    json_array_append_new(list, json_string(word));
    json_object_set_new(row, name, list);
  }
}

static void write_some(model *m, size_t writes) {
  medley_error error = {0};
  char word[32];
  for (size_t i = 0; i < writes; i++) {
    uint32_t slot = random_slot(m);
    uint64_t what = rng_below(&m->rng, 10);
    if (m->rows[slot] == NULL) m->rows[slot] = json_object();
    json_t *row = m->rows[slot];
    if (what < 3) {
      const char *name = numbers[rng_below(&m->rng, COUNT_OF(numbers))];
      double value = random_number(m);
      assert_ok(attributes_set_number(m->attributes, slot, name, value, &error));
      json_object_set_new(row, name, number_json(value));
    } else if (what < 7) {
      const char *name = texts[rng_below(&m->rng, COUNT_OF(texts))];
      random_word(m, word);
      assert_ok(attributes_add_word(m->attributes, slot, name, word, &error));
      row_add_word(row, name, word);
    } else if (what < 8) {
      attributes_clear(m->attributes, slot);
      json_object_clear(row);
    } else {
      json_object_clear(row);
      if (rng_below(&m->rng, 2)) json_object_set_new(row, "price", number_json(random_number(m)));
      for (size_t w = rng_below(&m->rng, 7); w > 0; w--) row_add_word(row, "tag", random_word(m, word));
      assert_ok(attributes_set_json(m->attributes, slot, row, &error));
    }
  }
}

static void check_rows(const model *m, const attributes *a) {
  medley_error error = {0};
  for (uint32_t slot = 0; slot < SLOTS; slot++) {
    json_t *row;
    if (m->rows[slot] == NULL) continue;
    assert_ok(attributes_get(a, slot, &row, &error));
    if (!json_equal(row, m->rows[slot])) {
      char *is = json_to_text(row), *should = json_to_text(m->rows[slot]);
      fail_msg("slot %u is %s, expected %s", slot, is, should);
    }
    json_decref(row);
  }
}

static model *model_create(uint64_t seed) {
  medley_error error = {0};
  model *m = mem_zalloc(1, sizeof *m);
  rng_seed(&m->rng, seed);
  assert_ok(attributes_create(&m->attributes, &error));
  return m;
}

static void model_free(model *m) {
  attributes_free(m->attributes);
  for (size_t i = 0; i < SLOTS; i++) json_decref(m->rows[i]);
  mem_free(m);
}

/* ---- the twin ---- */

/* Ids are 3 times the slot, and odd slots have none; one id is an error. */
static medley_status label_find(void *context, uint64_t id, uint32_t *slot, medley_error *err) {
  (void)context;
  if (id == 999999) return error_set(err, MEDLEY_ERR_CORRUPT, "the ids are broken");
  *slot = id % 6 == 0 && id / 3 < SLOTS ? (uint32_t)(id / 3) : FILTER_NOBODY;
  return MEDLEY_OK;
}

static const filter_labels labels = {.find = label_find};

static bool value_holds(const filter_node *n, const filter_value *v, const json_t *cell, uint32_t slot) {
  uint32_t found = FILTER_NOBODY;
  if (n->is_id) return label_find(NULL, v->id, &found, NULL) == MEDLEY_OK && found == slot;
  if (v->quoted) return row_has_word(cell, v->text);
  double x = json_number_value(cell);
  switch (n->op) {
    case FILTER_LESS: return x < v->number;
    case FILTER_LESS_EQUAL: return x <= v->number;
    case FILTER_GREATER: return x > v->number;
    case FILTER_GREATER_EQUAL: return x >= v->number;
    case FILTER_BETWEEN: return x >= v[0].number && x <= v[1].number;
    default: return x == v->number;
  }
}

static bool twin_holds(const filter_node *n, const json_t *row, uint32_t slot) {
  bool holds = n->op == FILTER_AND;
  if (n->op == FILTER_NOT) return !twin_holds(n->child, row, slot);
  if (n->op == FILTER_AND || n->op == FILTER_OR) {
    for (const filter_node *c = n->child; c != NULL; c = c->next)
      holds = n->op == FILTER_AND ? holds && twin_holds(c, row, slot) : holds || twin_holds(c, row, slot);
    return holds;
  }
  const json_t *cell = row ? json_object_get(row, n->name) : NULL;
  if (cell == NULL && !n->is_id) return false;
  if (n->op == FILTER_HAS) return true;
  for (size_t i = 0; i < (n->op == FILTER_BETWEEN ? 1 : n->count); i++)
    holds = holds || value_holds(n, &n->values[i], cell, slot);
  return holds != n->negated;
}

static void append_quoted(strbuf *b, const char *word) {
  char quote = strlen(word) % 2 ? '"' : '\'';
  strbuf_append_char(b, quote);
  for (; *word; word++) {
    if (*word == quote || *word == '\\') strbuf_append_char(b, '\\');
    strbuf_append_char(b, *word);
  }
  strbuf_append_char(b, quote);
}

static void random_list(model *m, strbuf *b, int kind) {
  char word[32];
  size_t count = rng_below(&m->rng, 3) == 0 ? 12 : 1 + rng_below(&m->rng, 4);
  strbuf_append(b, rng_below(&m->rng, 2) ? " not in (" : " in (");
  for (size_t i = 0; i < count; i++) {
    strbuf_append(b, i ? "," : "");
    if (kind == 0) strbuf_printf(b, "%g", random_number(m));
    if (kind == 1) append_quoted(b, random_word(m, word));
    if (kind == 2) strbuf_printf(b, "%u", random_slot(m) * 3 + (uint32_t)rng_below(&m->rng, 2));
  }
  strbuf_append(b, ")");
}

static void random_test(model *m, strbuf *b) {
  static const char *const signs[] = {" < ", "<=", " >", ">= ", "=", " == ", "!="};
  char word[32];
  uint64_t kind = rng_below(&m->rng, 8);
  const char *name = numbers[rng_below(&m->rng, COUNT_OF(numbers))];
  if (kind == 0) {
    strbuf_printf(b, "id");
    random_list(m, b, 2);
  } else if (kind < 4) {
    strbuf_printf(b, "`%s`", texts[rng_below(&m->rng, COUNT_OF(texts))]);
    if (rng_below(&m->rng, 2)) return random_list(m, b, 1);
    strbuf_append(b, signs[4 + rng_below(&m->rng, 3)]);
    append_quoted(b, random_word(m, word));
  } else if (kind == 4) {
    strbuf_printf(b, "HAS %s", rng_below(&m->rng, 2) ? name : texts[rng_below(&m->rng, 2)]);
  } else if (kind == 5) {
    strbuf_append(b, name);
    random_list(m, b, 0);
  } else if (kind == 6) {
    strbuf_printf(b, "%s %s %g and %g", name, rng_below(&m->rng, 2) ? "between" : "Not Between", random_number(m),
                  random_number(m));
  } else {
    strbuf_printf(b, "%s%s%g", name, signs[rng_below(&m->rng, COUNT_OF(signs))], random_number(m));
  }
}

static void random_filter(model *m, strbuf *b, int depth) {
  uint64_t kind = rng_below(&m->rng, 6);
  if (depth == 0 || kind == 0) return random_test(m, b);
  if (kind == 1) strbuf_append(b, "not ");
  strbuf_append(b, "(");
  random_filter(m, b, depth - 1);
  for (size_t more = kind == 1 ? 0 : 1 + rng_below(&m->rng, 2); more > 0; more--) {
    strbuf_append(b, kind % 2 ? ")or(" : ")  AND\n(");
    random_filter(m, b, depth - 1);
  }
  strbuf_append(b, ")");
}

static void check_filter(const model *m, const attributes *a, const char *text, size_t slots) {
  medley_error error = {0};
  filter *f, *again;
  filter_set set, same;
  size_t count = 0;
  if (filter_parse(text, &f, &error) != MEDLEY_OK) fail_msg("%s: %s", text, error.text);
  assert_ok(filter_parse(filter_text(f), &again, &error));
  assert_string_equal(filter_text(again), filter_text(f));
  if (filter_compile(f, a, slots, &labels, &set, &error) != MEDLEY_OK) fail_msg("%s: %s", text, error.text);
  assert_ok(filter_compile(again, a, slots, &labels, &same, &error));
  assert_int_equal(set.slots, slots);
  assert_int_equal(set.version, attributes_version(a));
  for (size_t slot = 0; slot < (slots + 63) / 64 * 64; slot++) {
    bool in = set.words[slot / 64] >> (slot % 64) & 1;
    bool expected = slot < slots && twin_holds(f->root, m->rows[slot], (uint32_t)slot);
    if (in != expected) fail_msg("%s: slot %zu is %d, expected %d", text, slot, in, expected);
    count += in;
  }
  assert_int_equal(set.count, count);
  assert_memory_equal(set.words, same.words, (slots + 63) / 64 * sizeof *set.words);
  filter_set_deinit(&set);
  filter_set_deinit(&same);
  filter_free(f);
  filter_free(again);
}

static void check_filters(model *m, const attributes *a, size_t count) {
  for (size_t i = 0; i < count; i++) {
    strbuf b = {0};
    random_filter(m, &b, (int)(i % 4));
    check_filter(m, a, b.text, i % 5 == 0 ? SLOTS - 5 - rng_below(&m->rng, 6000) : SLOTS);
    strbuf_deinit(&b);
  }
}

/* Rows come, change and go, slots are used again; rows and filters are as the model says, also after bytes and back. */
static void test_twin(void **state) {
  (void)state;
  medley_error error = {0};
  model *m = model_create(7);
  for (int round = 0; round < 3; round++) {
    unsigned char *bytes, *again;
    size_t length, again_length;
    attributes *read;
    write_some(m, 4000);
    check_rows(m, m->attributes);
    check_filters(m, m->attributes, 25);
    assert_ok(attributes_write(m->attributes, &bytes, &length, &error));
    assert_ok(attributes_read(&read, bytes, length, "test", &error));
    assert_ok(attributes_write(read, &again, &again_length, &error));
    assert_int_equal(length, again_length);
    assert_memory_equal(bytes, again, length);
    check_rows(m, read);
    check_filters(m, read, 8);
    attributes_free(m->attributes); /* and it goes on with what was read */
    m->attributes = read;
    mem_free(bytes);
    mem_free(again);
  }
  model_free(m);
}

/* ---- golden ---- */

static attributes *shop(void) {
  static const char *const rows[] = {"{\"category\":\"shoes\",\"price\":40,\"colour\":[\"black\",\"white\"]}",
                                     "{\"category\":\"shoes\",\"price\":40.5,\"colour\":\"red\",\"sale\":true}",
                                     "{\"category\":\"hat\",\"price\":-1e3,\"colour\":[],\"sale\":false}",
                                     "{\"category\":null,\"größe\":42,\"sub category\":\"x\"}", "{}"};
  medley_error error = {0};
  attributes *a;
  assert_ok(attributes_create(&a, &error));
  for (uint32_t slot = 0; slot < COUNT_OF(rows); slot++) {
    json_t *row;
    assert_ok(json_parse(rows[slot], strlen(rows[slot]), "row", &row, &error));
    assert_ok(attributes_set_json(a, slot, row, &error));
    json_decref(row);
  }
  return a;
}

static void test_golden(void **state) {
  (void)state;
  static const struct {
    const char *text, *canonical;
    uint64_t slots; /* of five */
  } rows[] = {
      {"category = \"shoes\" and price<50 and not (colour in (\"red\", 'blue')) and id IN (0,6,12)",
       "category = \"shoes\" and price < 50 and not colour in (\"red\", \"blue\") and id in (0, 6, 12)", 0x01},
      {"price < 40.5", "price < 40.5", 0x05},
      {"price <= 40.5", "price <= 40.5", 0x07},
      {"price > 40", "price > 40", 0x02},
      {"not(price>40)", "not price > 40", 0x1d},
      {"price != 40", "price != 40", 0x06},
      {"price between -1000 and 40", "price between -1000 and 40", 0x05},
      {"price not between 0 and 40", "price not between 0 and 40", 0x06},
      {"price between 40 and 0", "price between 40 and 0", 0},
      {"colour != 'red'", "colour != \"red\"", 0x01},
      {"colour not in ('red', 'white')", "colour not in (\"red\", \"white\")", 0},
      {"not colour = 'red'", "not colour = \"red\"", 0x1d},
      {"colour = 'nobody has it'", "colour = \"nobody has it\"", 0},
      {"colour != 'nobody has it'", "colour != \"nobody has it\"", 0x03},
      {"sale = true or sale = FALSE", "sale = true or sale = FALSE", 0x06},
      {"has größe", "has größe", 0x08},
      {"`sub category` = 'x'", "`sub category` = \"x\"", 0x08},
      {"id = 6 or id = 3", "id = 6 or id = 3", 0x04},
      {"id != 6", "id != 6", 0x1b},
      {"id = 18446744073709551615", "id = 18446744073709551615", 0},
      {"(has sale and (has price)) and has colour", "has sale and has price and has colour", 0x02},
      {"has sale and (has price or has colour) or has größe", "has sale and (has price or has colour) or has größe",
       0x0e},
      {"not not has price", "not not has price", 0x07},
      {"not (has price or has größe)", "not (has price or has größe)", 0x10},
  };
  medley_error error = {0};
  attributes *a = shop();
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    filter *f;
    filter_set set;
    if (filter_parse(rows[i].text, &f, &error) != MEDLEY_OK) fail_msg("%s: %s", rows[i].text, error.text);
    assert_string_equal(filter_text(f), rows[i].canonical);
    assert_ok(filter_compile(f, a, 5, &labels, &set, &error));
    if (set.words[0] != rows[i].slots)
      fail_msg("%s: slots are 0x%02llx", rows[i].text, (unsigned long long)set.words[0]);
    filter_set_deinit(&set);
    filter_free(f);
  }
  attributes_free(a);
}

/* Labels that cannot be looked up refuse the filter. */
static void test_broken_labels(void **state) {
  (void)state;
  medley_error error = {0};
  filter_set set;
  filter *f;
  assert_ok(filter_parse("id in (3, 999999)", &f, &error));
  assert_refused(filter_compile(f, NULL, 70, &labels, &set, &error), MEDLEY_ERR_CORRUPT, "broken");
  filter_free(f);
}

/* ---- refusals ---- */

static void test_text_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *words;
  } rows[] = {
      {"", "the filter is empty"},
      {" \n ", "the filter is empty"},
      {"price", "character 6: expected =, !=, <, <=, >, >=, in, not in or between after the name, but the filter ends"},
      {"price <", "character 8: expected a number, but the filter ends here"},
      {"price < \"5\"", "character 9: expected a number, found \"5\""},
      {"category = shoes", "character 12: expected a number or a word in quotes, found shoes"},
      {"größe = ?", "character 9: expected a name, a value or a sign of the filter language, found ?"},
      {"größe = €", "character 9: expected a number or a word in quotes, found €"},
      {"price < 5 price > 3", "character 11: expected and, or, or the end of the filter, found price"},
      {"(price < 5", "character 11: expected and, or or ), but the filter ends here"},
      {"price < 5)", "character 10: expected and, or, or the end of the filter, found )"},
      {"and price < 5", "character 1: expected the name of an attribute, id, has, not or (, found and"},
      {"price < 5 and", "character 14: expected the name of an attribute"},
      {"5 < price", "character 1: expected the name of an attribute"},
      {"price in 5", "character 10: expected ( after in, found 5"},
      {"price in ()", "character 11: expected a number or a word in quotes, found )"},
      {"price in (5 6)", "character 13: expected , or ) in the list, found 6"},
      {"price not 5", "character 11: expected in or between after not, found 5"},
      {"price between 5", "character 16: expected and between the two ends"},
      {"price between 'a' and 'b'", "character 15: expected a number, found 'a'"},
      {"tag = 'x", "character 7: the ' that opens here is not closed"},
      {"tag = 'x\\", "character 9: a \\ stands before"},
      {"tag = 'x\\n'", "character 9: a \\ stands before"},
      {"price < 12abc", "character 9: expected a number, found 12abc"},
      {"price < 1e999", "character 9: expected a number, found 1e999"},
      {"price < 1.2.3", "character 9: expected a number"},
      {"price < --1", "character 9: expected"},
      {"price < 11111111111111111111111111111111111111111111111111111111111111111111111",
       "found 1111111111111111111111111111111111111111..."},
      {"id < 5", "character 4: expected =, !=, in or not in after id, found <"},
      {"id = 'x'", "character 6: expected an id: digits alone"},
      {"id = -1", "character 6: expected an id: digits alone"},
      {"id = 1.0", "character 6: expected an id: digits alone"},
      {"id = 18446744073709551616", "character 6: expected an id: digits alone"},
      {"has id", "character 5: every row has an id"},
      {"has", "character 4: expected the name of an attribute"},
      {"`` = 5", "character 1: expected a name of 1 to 128 bytes"},
      {"price =! 5", "character 8: expected a name, a value or a sign"},
      {"tag = '\xff'", "the filter is not UTF-8"},
  };
  medley_error error;
  filter *f;
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    assert_refused(filter_parse(rows[i].text, &f, &error), MEDLEY_ERR_INPUT, rows[i].words);
}

/* prefix, count times unit, suffix */
static char *repeated(const char *prefix, size_t count, const char *unit, const char *suffix) {
  strbuf b = {0};
  strbuf_append(&b, prefix);
  for (size_t i = 0; i < count; i++) strbuf_append(&b, unit);
  strbuf_append(&b, suffix);
  return strbuf_take(&b);
}

static void test_limits(void **state) {
  (void)state;
  static const struct {
    const char *prefix, *unit, *suffix;
    size_t most;
    const char *words;
  } rows[] = {
      {"", "(", "a=1", FILTER_DEPTH_MAX, "nested deeper than the limit of 32"},
      {"", "not ", "a=1", FILTER_DEPTH_MAX, "nested deeper than the limit of 32"},
      {"", "a=1 or ", "a=1", FILTER_TESTS_MAX - 1, "more than the limit of 256 tests"},
      {"a in (", "1,", "1)", FILTER_VALUES_MAX - 1, "more than the limit of 65536 values"},
      {"a=1", " ", "", FILTER_TEXT_MAX - 3, "longer than the limit of 1048576 bytes"},
  };
  medley_error error = {0};
  filter *f;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char *fits = repeated(rows[i].prefix, rows[i].most, rows[i].unit, rows[i].suffix);
    char *more = repeated(rows[i].prefix, rows[i].most + 1, rows[i].unit, rows[i].suffix);
    assert_int_not_equal(filter_parse(fits, &f, &error), MEDLEY_ERR_LIMIT); /* the parentheses are not closed */
    filter_free(f);
    assert_refused(filter_parse(more, &f, &error), MEDLEY_ERR_LIMIT, rows[i].words);
    mem_free(fits);
    mem_free(more);
  }
}

static void test_compile_refused(void **state) {
  (void)state;
  static const struct {
    const char *text;
    medley_status status;
    const char *words;
  } rows[] = {
      {"has price and categry = 'shoes'", MEDLEY_ERR_NOT_FOUND,
       "character 15: there is no attribute 'categry'; there are: category, colour, größe, price, sale, sub category"},
      {"category < 5", MEDLEY_ERR_INPUT, "'category' holds words: they can be compared by"},
      {"category between 1 and 2", MEDLEY_ERR_INPUT, "'category' holds words: they can be compared by"},
      {"category = 5", MEDLEY_ERR_INPUT, "'category' holds words: write the value in quotes"},
      {"category in ('a', 5)", MEDLEY_ERR_INPUT, "'category' holds words: write the value in quotes"},
      {"price = '5'", MEDLEY_ERR_INPUT, "'price' holds numbers: write the value without quotes"},
      {"price in (5, 'x')", MEDLEY_ERR_INPUT, "'price' holds numbers: write the value without quotes"},
      {"id = 5", MEDLEY_ERR_USAGE, "there are no ids to compare with here"},
  };
  medley_error error = {0};
  attributes *a = shop(), *none;
  filter *f;
  filter_set set;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    assert_ok(filter_parse(rows[i].text, &f, &error));
    assert_refused(filter_compile(f, a, 5, NULL, &set, &error), rows[i].status, rows[i].words);
    assert_null(set.words);
    filter_free(f);
  }
  assert_ok(attributes_create(&none, &error));
  assert_ok(filter_parse("has price", &f, &error));
  assert_refused(filter_compile(f, none, 5, NULL, &set, &error), MEDLEY_ERR_NOT_FOUND, "nor any other");
  assert_refused(filter_compile(f, a, ATTRIBUTES_SLOTS_MAX + 1, NULL, &set, &error), MEDLEY_ERR_LIMIT, "the limit is");
  char name[ATTRIBUTES_NAME_BYTES_MAX + 1];
  for (int i = 0; i < 6; i++) {
    memset(name, 'a' + i, sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_ok(attributes_set_number(none, 0, name, 1, &error));
  }
  assert_refused(filter_compile(f, none, 5, NULL, &set, &error), MEDLEY_ERR_NOT_FOUND, ", ...");
  filter_free(f);
  attributes_free(a);
  attributes_free(none);
}

/* ---- failing memory ---- */

#ifdef MEDLEY_FAULTS
/* All there is in a row, each step failing cleanly. */
static medley_status everything(const json_t *row, medley_error *err) {
  medley_status status = MEDLEY_OK;
  attributes *a = NULL, *read = NULL;
  unsigned char *bytes = NULL;
  size_t length;
  char word[16];
  filter *f = NULL;
  filter_cache *cache = NULL;
  const filter_set *set = NULL;
  TRY(attributes_create(&a, err));
  TRY(attributes_set_json(a, 70000, row, err));
  for (uint32_t i = 0; i < 40; i++) {
    snprintf(word, sizeof word, "w%u", i % 9);
    TRY(attributes_add_word(a, i / 3, "tag", word, err));
    TRY(attributes_set_number(a, i * 64, "year", i, err));
  }
  TRY(attributes_write(a, &bytes, &length, err));
  TRY(attributes_read(&read, bytes, length, "test", err));
  TRY(filter_parse("tag in ('w1', 'w2') and (price not in (1, 2) or `tag` != 'w3') or id in (3, 6)", &f, err));
  TRY(filter_cache_create(100000, &cache, err));
  TRY(filter_cache_get(cache, f, read, 70001, &labels, &set, err));
done:
  filter_cache_release(set);
  filter_cache_free(cache);
  filter_free(f);
  mem_free(bytes);
  attributes_free(read);
  attributes_free(a);
  return status;
}

static void test_memory(void **state) {
  (void)state;
  medley_error error = {0};
  json_t *row = json_pack("{s:i,s:s,s:[s,s,s,s,s],s:i}", "price", 6, "category", "shoe", "tag", "b", "c", "d", "e", "f",
                          "new", 1);
  long n;
  for (n = 1;; n++) {
    memory_fault_after(n);
    medley_status status = everything(row, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (!struck) break;
    if (status != MEDLEY_OK) assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
  assert_true(n > 40);
  assert_ok(everything(row, &error));
  json_decref(row);
}
#endif

/* ---- the cache ---- */

static const filter_set *cached(filter_cache *c, const char *text, const attributes *a, const filter_labels *who) {
  medley_error error = {0};
  filter *f;
  const filter_set *set;
  assert_ok(filter_parse(text, &f, &error));
  assert_ok(filter_cache_get(c, f, a, 5, who, &set, &error));
  filter_free(f);
  return set;
}

static void test_cache(void **state) {
  (void)state;
  medley_error error = {0};
  attributes *a = shop();
  filter_cache *c;
  filter_cache_stats stats;
  assert_ok(filter_cache_create(1000, &c, &error));
  const filter_set *first = cached(c, "price < 50", a, NULL), *again = cached(c, "(price<50)", a, NULL);
  assert_ptr_equal(first, again);
  filter_cache_get_stats(c, &stats);
  assert_int_equal(stats.hits, 1);
  assert_int_equal(stats.misses, 1);
  assert_int_equal(stats.entries, 1);
  /* A write makes it anew, and the old one is still what it was for those who hold it. */
  attributes_clear(a, 0);
  const filter_set *fresh = cached(c, "price < 50", a, NULL);
  assert_int_equal(first->words[0], 0x07);
  assert_int_equal(fresh->words[0], 0x06);
  filter_cache_release(again);
  /* Ids: another version of the labels is another filter, but only for filters with ids. */
  filter_labels moved = {.find = label_find, .version = 1};
  const filter_set *ids = cached(c, "id = 6", a, &labels), *ids_moved = cached(c, "id = 6", a, &moved);
  assert_ptr_not_equal(ids, ids_moved);
  const filter_set *same = cached(c, "price < 50", a, &moved);
  assert_ptr_equal(fresh, same);
  /* Bounded: the one used longest ago goes, and what was taken remains valid. */
  for (int i = 0; i < 50; i++) {
    char text[32];
    snprintf(text, sizeof text, "price < %d", i);
    filter_cache_release(cached(c, text, a, NULL));
    filter_cache_get_stats(c, &stats);
    assert_true(stats.bytes <= 1000 && stats.entries > 0);
  }
  assert_int_equal(fresh->words[0], 0x06);
  filter_cache_release(NULL);
  const filter_set *held[] = {first, fresh, ids, ids_moved, same};
  for (size_t i = 0; i < COUNT_OF(held); i++) filter_cache_release(held[i]);
  filter_cache_free(c);
  /* No room at all: nothing is kept, all works. */
  assert_ok(filter_cache_create(0, &c, &error));
  first = cached(c, "price < 50", a, NULL);
  filter_cache_get_stats(c, &stats);
  assert_int_equal(stats.entries + stats.bytes, 0);
  filter_cache_release(first);
  filter_cache_free(c);
  attributes_free(a);
}

typedef struct shared {
  attributes *attributes;
  filter_cache *cache;
  atomic_int running; /* readers */
} shared;

enum { SHARED_SLOTS = 2000, READERS = 3, READS = 400 };

/* The writer keeps to a law: a row is "cheap" below 50 and "dear" above. No filter may ever see it broken. */
static void *write_law(void *argument) {
  shared *s = argument;
  rng r;
  rng_seed(&r, 3);
  while (atomic_load(&s->running) > 0) {
    uint32_t slot = (uint32_t)rng_below(&r, SHARED_SLOTS);
    if (rng_below(&r, 4) == 0) {
      attributes_clear(s->attributes, slot);
      continue;
    }
    int price = (int)rng_below(&r, 100);
    json_t *row = json_pack("{s:i,s:[s,s]}", "price", price, "tag", price < 50 ? "cheap" : "dear", "any");
    if (attributes_set_json(s->attributes, slot, row, NULL) != MEDLEY_OK) abort();
    json_decref(row);
  }
  return NULL;
}

static void *read_law(void *argument) {
  static const struct {
    const char *text;
    bool empty;
  } laws[] = {{"price < 50 and tag = 'dear'", true},
              {"tag = 'cheap' and not price < 50", true},
              {"has tag and not tag = 'any'", true},
              {"tag in ('cheap', 'dear')", false},
              {"price between 10 and 60 or tag = 'dear'", false}};
  shared *s = argument;
  medley_error error = {0};
  filter *filters[COUNT_OF(laws)];
  json_t *row;
  for (size_t i = 0; i < COUNT_OF(laws); i++)
    if (filter_parse(laws[i].text, &filters[i], &error) != MEDLEY_OK) abort();
  for (size_t n = 0; n < READS; n++) {
    size_t i = n % COUNT_OF(laws), count = 0;
    const filter_set *set;
    if (filter_cache_get(s->cache, filters[i], s->attributes, SHARED_SLOTS, NULL, &set, &error) != MEDLEY_OK) abort();
    for (size_t w = 0; w < (SHARED_SLOTS + 63) / 64; w++) count += (size_t)__builtin_popcountll(set->words[w]);
    if (count != set->count || (laws[i].empty && count > 0)) abort();
    filter_cache_release(set);
    if (attributes_get(s->attributes, (uint32_t)(n % SHARED_SLOTS), &row, &error) != MEDLEY_OK) abort();
    if (json_object_size(row) != 0 && json_object_size(row) != 2) abort();
    json_decref(row);
    if (n % 50 == 0 && attributes_bytes(s->attributes) == 0) abort();
  }
  for (size_t i = 0; i < COUNT_OF(laws); i++) filter_free(filters[i]);
  atomic_fetch_sub(&s->running, 1);
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  medley_error error = {0};
  shared s = {.running = READERS};
  filter_cache_stats stats;
  pthread_t threads[READERS + 1];
  assert_ok(attributes_create(&s.attributes, &error));
  assert_ok(attributes_set_number(s.attributes, 0, "price", 1, &error));
  assert_ok(attributes_add_word(s.attributes, 0, "tag", "cheap", &error));
  assert_ok(attributes_add_word(s.attributes, 0, "tag", "any", &error));
  assert_ok(filter_cache_create(2000, &s.cache, &error)); /* too small for all: entries come and go */
  assert_int_equal(pthread_create(&threads[READERS], NULL, write_law, &s), 0);
  for (int i = 0; i < READERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, read_law, &s), 0);
  for (int i = 0; i <= READERS; i++) pthread_join(threads[i], NULL);
  filter_cache_get_stats(s.cache, &stats);
  assert_int_equal(stats.hits + stats.misses, READERS * READS);
  filter_cache_free(s.cache);
  attributes_free(s.attributes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_twin),         cmocka_unit_test(test_golden),  cmocka_unit_test(test_broken_labels),
      cmocka_unit_test(test_text_refused), cmocka_unit_test(test_limits),  cmocka_unit_test(test_compile_refused),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory),
#endif
      cmocka_unit_test(test_cache),        cmocka_unit_test(test_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
