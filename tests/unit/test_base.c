/* The ground floor: strings, maps, files, JSON, random numbers. */
#include <sys/mman.h>
#include <unistd.h>

#include "test.h"

#include "base/config.h"
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/strbuf.h"

static void test_utf8(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    bool valid;
  } rows[] = {
      {"", true},          {"abc", true},           {"\xE7\xBA\xA2", true},      {"\xF0\x9F\x98\x80", true},
      {"\xC0\x80", false}, {"\xED\xA0\x80", false}, {"\xF4\x90\x80\x80", false}, {"\xE7\xBA", false},
      {"\x80", false},     {"\xFF", false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_int_equal(utf8_valid(rows[i].bytes, strlen(rows[i].bytes)), rows[i].valid);
  strbuf b = {0};
  strbuf_append_utf8_repaired(&b,
                              "a\xFF"
                              "b",
                              3);
  assert_string_equal(b.text,
                      "a\xEF\xBF\xBD"
                      "b");
  strbuf_deinit(&b);
}

static void test_strbuf_limit(void **state) {
  (void)state;
  strbuf b = {.limit = 10};
  strbuf_append(&b, "12345");
  strbuf_append(&b, "67890");
  assert_true(b.failed);
  assert_null(strbuf_take(&b));
}

static void test_numbers(void **state) {
  (void)state;
  double d;
  long long i;
  assert_true(string_to_double("-1.5e3", &d) && d == -1500);
  static const char *const refused[] = {"", " 1", "1 ", "nan", "inf", "0x10", "1e999", "1.2.3"};
  for (size_t k = 0; k < sizeof refused / sizeof *refused; k++) assert_false(string_to_double(refused[k], &d));
  assert_true(string_to_int64("-42", &i) && i == -42);
  assert_false(string_to_int64("99999999999999999999", &i));
}

static void test_maps(void **state) {
  (void)state;
  strmap m = {0};
  intmap n = {0};
  char key[32];
  for (int i = 0; i < 5000; i++) {
    snprintf(key, sizeof key, "key%d", i);
    assert_true(strmap_put(&m, key, i));
    assert_true(intmap_put(&n, (int64_t)i * 7919 - 100, i));
  }
  for (int i = 0; i < 5000; i++) {
    snprintf(key, sizeof key, "key%d", i);
    assert_int_equal(*strmap_get(&m, key), i);
    assert_int_equal(*intmap_get(&n, (int64_t)i * 7919 - 100), i);
  }
  assert_null(strmap_get(&m, "absent"));
  assert_null(intmap_get(&n, 1));
  assert_int_equal(m.count, 5000);
  strmap_deinit(&m);
  intmap_deinit(&n);
}

static void test_pages(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 4096, 5000, (2 << 20) - 1, 2 << 20, (6 << 20) + 1};
  for (size_t i = 0; i < 2 * (sizeof sizes / sizeof *sizes); i++) {
    size_t bytes = sizes[i / 2];
    unsigned char *block = mem_map(bytes, i & 1);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block & (i & 1 ? (2 << 20) - 1 : 4095), 0);
    for (size_t b = 0; b < bytes; b++) assert_true(block[b] == 0);
    memset(block, 0xA5, bytes);
    mem_unmap(block, bytes);
  }
  assert_null(mem_map(SIZE_MAX, false));
  assert_null(mem_map(PTRDIFF_MAX, true));
  mem_unmap(NULL, 4096);
#ifdef MEDLEY_FAULTS
  memory_fault_after(1);
  assert_null(mem_map(4096, true));
  assert_true(memory_fault_struck());
#endif
}

static size_t resident_pages(void *block, size_t bytes) {
  unsigned char here[(8 << 20) / 4096];
  size_t count = 0;
  assert_true(bytes / 4096 <= sizeof here && mincore(block, bytes, here) == 0);
  for (size_t i = 0; i < bytes / 4096; i++) count += here[i] & 1;
  return count;
}

/* What is not in use takes no memory, though its neighbours lie in huge pages; what was written stays. */
static void test_pages_in_use(void **state) {
  (void)state;
  static const size_t bytes = 8 << 20, uses[] = {4096, 1 << 20, 3 << 20, (3 << 20) + 8192, 5 << 20, 8 << 20};
  unsigned char *block = mem_map(bytes, true);
  assert_non_null(block);
  for (size_t i = 0, before = 0; i < sizeof uses / sizeof *uses; before = uses[i++]) {
    mem_map_use(block, bytes, before, uses[i]);
    for (size_t at = before; at < uses[i]; at++) block[at] = (unsigned char)(at % 251);
    if (sysconf(_SC_PAGESIZE) == 4096) assert_int_equal(resident_pages(block, bytes), uses[i] / 4096);
    for (size_t at = 0; at < uses[i]; at += 4093) assert_int_equal(block[at], at % 251);
  }
  mem_unmap(block, bytes);
}

static void test_files(void **state) {
  (void)state;
  medley_error error;
  char folder[256], *bytes;
  size_t length;
  test_folder(folder);
  char *path = path_join(folder, "x/y.txt"), *inner = path_join(folder, "x");
  assert_ok(folder_create(inner, &error));
  assert_ok(file_write(path, "hello", 5, &error));
  assert_ok(file_read(path, 5, &bytes, &length, &error));
  assert_string_equal(bytes, "hello");
  mem_free(bytes);
  assert_refused(file_read(path, 4, &bytes, &length, &error), MEDLEY_ERR_LIMIT, "larger than the limit of 4");
  assert_refused(file_read(inner, 4, &bytes, &length, &error), MEDLEY_ERR_INPUT, "is a folder");
  /* An aborted writer leaves the old file and no other. */
  file_writer w;
  assert_ok(file_writer_open(&w, path, &error));
  fputs("half", w.stream);
  file_writer_abort(&w);
  char **names;
  size_t count;
  assert_ok(folder_list(inner, &names, &count, &error));
  assert_int_equal(count, 1);
  folder_list_free(names, count);
  assert_ok(folder_remove(folder, &error));
  assert_false(file_exists(folder));
  mem_free(path);
  mem_free(inner);
  assert_string_equal(path_extension("a.b/c"), "");
  assert_string_equal(path_extension("a.b/c.tar.gz"), "gz");
}

static void test_json_limits(void **state) {
  (void)state;
  medley_error error;
  json_t *value;
  char deep[200];
  memset(deep, '[', 100);
  memset(deep + 100, ']', 100);
  assert_refused(json_parse(deep, 200, "deep", &value, &error), MEDLEY_ERR_LIMIT, "nested 100 levels");
  assert_refused(json_parse("{\"a\":}", 6, "bad.json", &value, &error), MEDLEY_ERR_INPUT,
                 "bad.json: not valid JSON at line 1");
  assert_ok(json_parse("{\"a\":\"[[[\"}", 11, "fine", &value, &error));
  assert_string_equal(json_member_string(value, "a", ""), "[[[");
  json_decref(value);
}

static void test_config(void **state) {
  (void)state;
  medley_error error;
  char folder[256];
  test_folder(folder);
  char *path = path_join(folder, "medley.conf");
  config c;
  double value;
  assert_ok(config_load(&c, path, &error));
  config_deinit(&c);
  assert_ok(file_write(path, "[train]\nseed = 7\nbad = x\n", 25, &error));
  assert_ok(config_load(&c, path, &error));
  assert_ok(config_number(&c, "train.seed", 0, 100, 1, &value, &error));
  assert_near(value, 7, 0);
  assert_refused(config_number(&c, "train.bad", 0, 100, 1, &value, &error), MEDLEY_ERR_INPUT, "train.bad is 'x'");
  config_deinit(&c);
  assert_ok(folder_remove(folder, &error));
  mem_free(path);
}

static void test_rng(void **state) {
  (void)state;
  rng a, b;
  rng_seed(&a, 1);
  rng_seed(&b, 1);
  double sum = 0, square = 0;
  for (int i = 0; i < 100000; i++) {
    double x = rng_normal(&a);
    assert_true(x == rng_normal(&b));
    sum += x;
    square += x * x;
  }
  assert_near(sum / 100000, 0, 0.02);
  assert_near(square / 100000, 1, 0.02);
  for (int i = 0; i < 1000; i++) assert_true(rng_below(&a, 7) < 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_utf8),  cmocka_unit_test(test_strbuf_limit), cmocka_unit_test(test_numbers),
      cmocka_unit_test(test_maps),  cmocka_unit_test(test_pages),        cmocka_unit_test(test_pages_in_use),
      cmocka_unit_test(test_files), cmocka_unit_test(test_json_limits),  cmocka_unit_test(test_config),
      cmocka_unit_test(test_rng),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
