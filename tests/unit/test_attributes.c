/* Attributes by themselves: sets of slots against an array, slots and words used again, every refusal of rows and of
 * bytes, failing memory. How they hold many random rows is in test_filter.c. */
#include "test.h"

#include "base/memory.h"
#include "base/rng.h"
#include "index/attributes_parts.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* ---- sets of slots ---- */

static void check_set(const slotset *s, const bool *twin, size_t slots) {
  uint64_t words[SLOTSET_BLOCK_WORDS];
  size_t count = 0;
  for (size_t block = 0; block * SLOTSET_BLOCK_SLOTS < slots; block++) {
    memset(words, 0, sizeof words);
    slotset_mark(s, (uint32_t)block, words);
    for (size_t i = 0; i < SLOTSET_BLOCK_SLOTS; i++) {
      size_t slot = block * SLOTSET_BLOCK_SLOTS + i;
      bool in = words[i / 64] >> (i % 64) & 1;
      if (in != (slot < slots && twin[slot])) fail_msg("slot %zu is %d", slot, in);
      if (slot % 61 == 0 && slot < slots) assert_int_equal(slotset_has(s, (uint32_t)slot), in);
      count += in;
    }
  }
  assert_int_equal(s->count, count);
}

/* Grows a set through all forms of a block and back, at random places. */
static void test_slotset(void **state) {
  (void)state;
  enum { SLOTS = 3 * SLOTSET_BLOCK_SLOTS - 7 };
  bool *twin = mem_zalloc(SLOTS, sizeof *twin);
  uint32_t *sorted = mem_alloc(SLOTS, sizeof *sorted);
  slotset s = {0}, again = {0};
  size_t bytes = 0, again_bytes = 0, peak = 0;
  rng r;
  rng_seed(&r, 1);
  for (int phase = 0; phase < 6; phase++) {
    bool grows = phase % 2 == 0;
    for (size_t i = 0; i < (grows ? 12000 : 40000) + 3000 * (size_t)phase; i++) {
      uint32_t slot = (uint32_t)rng_below(&r, SLOTS / (phase < 2 ? 1 : 3));
      if (grows) {
        assert_true(slotset_add(&s, slot, &bytes));
        twin[slot] = true;
      } else {
        assert_int_equal(slotset_remove(&s, slot, &bytes), twin[slot]);
        twin[slot] = false;
      }
    }
    check_set(&s, twin, SLOTS);
    if (bytes > peak) peak = bytes;
  }
  size_t count = 0;
  for (uint32_t i = 0; i < SLOTS; i++)
    if (twin[i]) sorted[count++] = i;
  assert_true(slotset_init_sorted(&again, sorted, count, &again_bytes));
  check_set(&again, twin, SLOTS);
  for (uint32_t i = 0; i < SLOTS; i++) slotset_remove(&s, i, &bytes);
  assert_int_equal(s.count, 0);
  assert_true(bytes < peak / 20);
  slotset_deinit(&s, &bytes);
  slotset_deinit(&again, &again_bytes);
  assert_int_equal(bytes, 0);
  assert_int_equal(again_bytes, 0);
  mem_free(twin);
  mem_free(sorted);
}

/* ---- rows ---- */

/* A vocabulary without end: words that nobody has any more do not pile up, and neither do lists. */
static void test_reuse(void **state) {
  (void)state;
  medley_error error = {0};
  attributes *a;
  char word[32];
  size_t after_first = 0;
  assert_ok(attributes_create(&a, &error));
  for (int round = 0; round < 40; round++) {
    for (uint32_t slot = 0; slot < 300; slot++) {
      attributes_clear(a, slot);
      for (int w = 0; w < 6; w++) {
        snprintf(word, sizeof word, "%d-%u-%d", round, slot, w);
        assert_ok(attributes_add_word(a, slot, "tag", word, &error));
      }
    }
    if (round == 3) after_first = attributes_bytes(a);
  }
  assert_true(attributes_bytes(a) < after_first * 2);
  attributes_free(a);
}

static void test_rows_refused(void **state) {
  (void)state;
  static const struct {
    const char *row;
    const char *words;
  } rows[] = {
      {"[1]", "no JSON object"},
      {"{\"price\":\"cheap\"}", "attribute 'price' holds numbers, so it cannot take words"},
      {"{\"category\":5}", "attribute 'category' holds words, so it cannot take numbers"},
      {"{\"tag\":[\"a\",1]}", "a list can hold words only, and entry 2 is none"},
      {"{\"tag\":[[]]}", "a list can hold words only, and entry 1 is none"},
      {"{\"tag\":{}}", "attribute 'tag' is an object"},
      {"{\"tag\":\"\"}", "has 0 bytes, expected 1 to 1024"},
      {"{\"id\":5}", "'id' is the row's own name"},
      {"{\"\":5}", "name has 0 bytes"},
      {"{\"a\\u0007\":5}", "control character 0x07"},
  };
  medley_error error = {0};
  attributes *a;
  json_t *row = json_pack("{s:i,s:s,s:b}", "price", 40, "category", "shoes", "sale", 1), *before, *after;
  assert_ok(attributes_create(&a, &error));
  assert_ok(attributes_set_json(a, 0, row, &error));
  json_decref(row);
  assert_ok(attributes_get(a, 0, &before, &error));
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    uint64_t version = attributes_version(a);
    assert_ok(json_parse(rows[i].row, strlen(rows[i].row), "row", &row, &error));
    assert_refused(attributes_set_json(a, 0, row, &error), MEDLEY_ERR_INPUT, rows[i].words);
    assert_int_equal(attributes_version(a), version);
    assert_ok(attributes_get(a, 0, &after, &error));
    assert_true(json_equal(before, after));
    json_decref(row);
    json_decref(after);
  }
  json_decref(before);
  char *word = mem_zalloc(ATTRIBUTES_WORD_BYTES_MAX + 2, 1);
  memset(word, 'x', ATTRIBUTES_WORD_BYTES_MAX + 1);
  assert_refused(attributes_add_word(a, 0, "tag", word, &error), MEDLEY_ERR_INPUT, "has 1025 bytes");
  assert_refused(attributes_add_word(a, 0, word, "x", &error), MEDLEY_ERR_INPUT, "name has 1025 bytes");
  mem_free(word);
  assert_refused(attributes_add_word(a, 0, "tag", "\xff", &error), MEDLEY_ERR_INPUT, "not UTF-8");
  assert_refused(attributes_set_number(a, 0, "\xff", 1, &error), MEDLEY_ERR_INPUT, "not UTF-8");
  assert_refused(attributes_set_number(a, 0, "price", NAN, &error), MEDLEY_ERR_INPUT, "expected a finite number");
  assert_refused(attributes_set_number(a, 0, "price", -INFINITY, &error), MEDLEY_ERR_INPUT, "expected a finite number");
  assert_refused(attributes_set_number(a, UINT32_MAX, "price", 1, &error), MEDLEY_ERR_LIMIT, "above the limit");
  char text[32];
  for (int i = 0; i < ATTRIBUTES_SLOT_WORDS_MAX; i++) {
    snprintf(text, sizeof text, "w%d", i);
    assert_ok(attributes_add_word(a, 0, "tag", text, &error));
  }
  assert_ok(attributes_add_word(a, 0, "tag", "w0", &error));
  assert_refused(attributes_add_word(a, 0, "tag", "more", &error), MEDLEY_ERR_LIMIT, "more than 256 words");
  for (int i = 0; i < ATTRIBUTES_COLUMNS_MAX - 4; i++) { /* three, and tag */
    snprintf(text, sizeof text, "column%d", i);
    assert_ok(attributes_set_number(a, 0, text, i, &error));
  }
  assert_refused(attributes_set_number(a, 0, "more", 1, &error), MEDLEY_ERR_LIMIT, "one name more than the limit");
  /* A name without a value left may change its kind. */
  attributes_clear(a, 0);
  assert_ok(attributes_add_word(a, 0, "price", "cheap", &error));
  attributes_free(a);
}

/* ---- bytes ---- */

static void test_bytes_refused(void **state) {
  (void)state;
  static const struct {
    size_t at;
    unsigned char byte;
    medley_status status;
    const char *words;
  } rows[] = {
      {0, 'X', MEDLEY_ERR_CORRUPT, "do not begin with MDLYATTR"},
      {8, 2, MEDLEY_ERR_UNSUPPORTED, "have version 2, this build reads 1"},
      {13, 9, MEDLEY_ERR_CORRUPT, "claim 2306 columns"},
      {20, 1, MEDLEY_ERR_CORRUPT, "claim 2 columns and 4294967299 slots"},
      {12, 3, MEDLEY_ERR_CORRUPT, "end before column 2"},
      {12, 1, MEDLEY_ERR_CORRUPT, "bytes follow the attributes"},
      {17, 4, MEDLEY_ERR_CORRUPT, "ends before its presence of 1027 slots"},
      /* column 0: price, from 24 */
      {24, 3, MEDLEY_ERR_CORRUPT, "has kind 3"},
      {28, 200, MEDLEY_ERR_CORRUPT, "a name of 200 bytes"},
      {28, 0, MEDLEY_ERR_CORRUPT, "no possible name"},
      {28, 6, MEDLEY_ERR_CORRUPT, "no possible name"},
      {32, 3, MEDLEY_ERR_CORRUPT, "has 2 slots present, its head says 3"},
      {40, 1, MEDLEY_ERR_CORRUPT, "holds numbers and has words"},
      {64, 'x', MEDLEY_ERR_CORRUPT, "'tag' of the attributes is out of order"},
      {72, 9, MEDLEY_ERR_CORRUPT, "has a slot above the 3 there are"},
      {87, 0x7f, MEDLEY_ERR_CORRUPT, "'price' of slot 0 is no finite number"},
      /* column 1: tag, from 96: head 40, name 8, presence 8, ends 8, text 8, values 16 */
      {112, 9, MEDLEY_ERR_CORRUPT, "ends before its 9 words"},
      {112, 1, MEDLEY_ERR_CORRUPT, "the words of attribute 'tag' end at byte 1 of 3"},
      {120, 4, MEDLEY_ERR_CORRUPT, "end at byte 3 of 4"},
      {120, 2, MEDLEY_ERR_CORRUPT, "ends at byte 3 of 2"},
      {128, 9, MEDLEY_ERR_CORRUPT, "ends before its 9 values"},
      {128, 2, MEDLEY_ERR_CORRUPT, "have no end"},
      {152, 0, MEDLEY_ERR_CORRUPT, "has 0 bytes"},
      {160, 0xff, MEDLEY_ERR_CORRUPT, "is not UTF-8"},
      {168, 7, MEDLEY_ERR_CORRUPT, "slot 0 has word 7 of the 2"},
      {172, 0, MEDLEY_ERR_CORRUPT, "slot 0 has word 0 of attribute 'tag' twice"},
      {171, 0x80, MEDLEY_ERR_CORRUPT, "has 3 values, its slots have 2"},
  };
  medley_error error = {0};
  attributes *a, *read = NULL;
  unsigned char *bytes;
  size_t length;
  assert_ok(attributes_create(&a, &error));
  assert_ok(attributes_set_number(a, 0, "price", 1.5, &error));
  assert_ok(attributes_set_number(a, 1, "price", 2, &error));
  assert_ok(attributes_add_word(a, 0, "tag", "a", &error));
  assert_ok(attributes_add_word(a, 0, "tag", "bc", &error));
  assert_ok(attributes_add_word(a, 2, "tag", "bc", &error));
  assert_ok(attributes_write(a, &bytes, &length, &error));
  assert_int_equal(length, 184);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    unsigned char kept = bytes[rows[i].at];
    bytes[rows[i].at] = rows[i].byte;
    assert_refused(attributes_read(&read, bytes, length, "test", &error), rows[i].status, rows[i].words);
    assert_null(read);
    bytes[rows[i].at] = kept;
  }
  for (size_t cut = 0; cut < length; cut++) {
    unsigned char *less = mem_alloc(cut, 1); /* its own block: the sanitizer sees a byte too far */
    memcpy(less, bytes, cut);
    assert_int_equal(attributes_read(&read, less, cut, "test", &error), MEDLEY_ERR_CORRUPT);
    mem_free(less);
  }
  for (size_t at = 0; at < length; at++)
    for (int bit = 0; bit < 8; bit++) {
      bytes[at] ^= (unsigned char)(1 << bit);
      if (attributes_read(&read, bytes, length, "test", &error) == MEDLEY_OK) attributes_free(read);
      bytes[at] ^= (unsigned char)(1 << bit);
    }
  assert_ok(attributes_read(&read, bytes, length, "test", &error));
  attributes_free(read);
  attributes_free(a);
  mem_free(bytes);
}

/* ---- failing memory ---- */

#ifdef MEDLEY_FAULTS
/* One row onto another with the n-th allocation failing: the row is the old one or the new one. False when there were
 * fewer allocations. */
static bool row_with_fault(long n, const json_t *old, const json_t *fresh) {
  medley_error error = {0};
  attributes *a;
  json_t *row;
  assert_ok(attributes_create(&a, &error));
  assert_ok(attributes_set_json(a, 5, old, &error));
  memory_fault_after(n);
  medley_status status = attributes_set_json(a, 5, fresh, &error);
  bool struck = memory_fault_struck();
  memory_fault_after(0);
  assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
  assert_ok(attributes_get(a, 5, &row, &error));
  assert_true(json_equal(row, struck ? old : fresh));
  json_decref(row);
  assert_ok(attributes_set_json(a, 5, fresh, &error));
  assert_ok(attributes_get(a, 5, &row, &error));
  assert_true(json_equal(row, fresh));
  json_decref(row);
  attributes_free(a);
  return struck;
}

static void test_memory(void **state) {
  (void)state;
  json_t *old = json_pack("{s:i,s:s,s:[s,s]}", "price", 5, "category", "hat", "tag", "a", "b");
  json_t *fresh = json_pack("{s:i,s:s,s:[s,s,s,s,s],s:i}", "price", 6, "category", "shoe", "tag", "b", "c", "d", "e",
                            "f", "new", 1);
  long n = 1;
  while (row_with_fault(n, old, fresh)) n++;
  assert_true(n > 10);
  json_decref(old);
  json_decref(fresh);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slotset),      cmocka_unit_test(test_reuse),
      cmocka_unit_test(test_rows_refused), cmocka_unit_test(test_bytes_refused),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
