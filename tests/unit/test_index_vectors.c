/* Vectors and ids from files (medley/index.h): every type of number, mapped, read and unpacked; what is refused; each
 * allocation failing. */
#include <medley/index.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "test.h"

typedef struct file {
  char folder[256], path[300];
} file;

static int setup(void **state) {
  file *f = test_calloc(1, sizeof *f);
  test_folder(f->folder);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  file *f = *state;
  int failed = folder_remove(f->folder, NULL) != MEDLEY_OK;
  test_free(f);
  return failed;
}

static const char *written(file *f, const char *name, const void *bytes, size_t length) {
  medley_error error = {0};
  snprintf(f->path, sizeof f->path, "%s/%s", f->folder, name);
  assert_ok(file_write(f->path, bytes, length, &error));
  return f->path;
}

/* pad: bytes of the header beyond what it says, so that the data starts at an odd place. */
static size_t npy(char *out, const char *descr, const char *shape, size_t pad, const void *values, size_t length) {
  int header = snprintf(out + 10, 200, "{'descr': '%s', 'fortran_order': False, 'shape': %s}", descr, shape);
  memset(out + 10 + header, ' ', pad);
  header += (int)pad;
  memcpy(out, "\x93NUMPY\x01\x00", 8);
  out[8] = (char)header;
  out[9] = (char)(header >> 8);
  memcpy(out + 10 + header, values, length);
  return 10 + (size_t)header + length;
}

static const float floats[] = {1.5f, -2, 0.25f, 4, 5, 6};
static const double doubles[] = {1.5, -2, 0.25, 4, 5, 6};
static const uint16_t halves[] = {0x3E00, 0xC000, 0x3400, 0x4400, 0x4500, 0x4600};

static void test_vectors(void **state) {
  file *f = *state;
  medley_error error = {0};
  char bytes[512];
  const struct {
    const char *descr;
    const void *values;
    size_t size;
  } rows[] = {{"<f4", floats, sizeof floats}, {"<f8", doubles, sizeof doubles}, {"<f2", halves, sizeof halves}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (size_t pad = 0; pad < 5; pad++) { /* aligned and not: mapped and read */
      medley_vectors v;
      size_t length = npy(bytes, rows[i].descr, "(3, 2)", pad, rows[i].values, rows[i].size);
      assert_ok(medley_vectors_read(written(f, "v.npy", bytes, length), &v, &error));
      assert_int_equal(v.count, 3);
      assert_int_equal(v.dim, 2);
      assert_memory_equal(v.values, floats, sizeof floats);
      medley_vectors_free(&v);
      medley_vectors_free(&v);
    }
}

static void test_compressed(void **state) {
  file *f = *state;
  medley_error error = {0};
  char bytes[512], path[300];
  size_t length = npy(bytes, "<f4", "(3, 2)", 0, floats, sizeof floats);
  medley_vectors v;
  snprintf(path, sizeof path, "%s/v.npy.gz", f->folder);
  gzFile out = gzopen(path, "wb");
  assert_int_equal(gzwrite(out, bytes, (unsigned)length), (int)length);
  assert_int_equal(gzclose(out), Z_OK);
  assert_ok(medley_vectors_read(path, &v, &error));
  assert_int_equal(v.count, 3);
  assert_memory_equal(v.values, floats, sizeof floats);
  medley_vectors_free(&v);
  /* A header that promises much more costs no memory for it. */
  length = npy(bytes, "<f4", "(9999999999, 2)", 0, floats, sizeof floats);
  out = gzopen(path, "wb");
  assert_int_equal(gzwrite(out, bytes, (unsigned)length), (int)length);
  assert_int_equal(gzclose(out), Z_OK);
  assert_refused(medley_vectors_read(path, &v, &error), MEDLEY_ERR_INPUT, "ends in row 4 of 9999999999");
}

static void test_ids(void **state) {
  file *f = *state;
  medley_error error = {0};
  char bytes[512];
  static const int32_t i4[] = {7, 0, 2147483647};
  static const int64_t i8[] = {7, 0, INT64_MAX};
  static const uint32_t u4[] = {7, 0, UINT32_MAX};
  static const uint64_t u8[] = {7, 0, UINT64_MAX};
  const struct {
    const char *descr;
    const void *values;
    size_t size;
    uint64_t last;
  } rows[] = {{"<i4", i4, sizeof i4, INT32_MAX},
              {"<i8", i8, sizeof i8, INT64_MAX},
              {"<u4", u4, sizeof u4, UINT32_MAX},
              {"<u8", u8, sizeof u8, UINT64_MAX}};
  uint64_t *ids;
  size_t count;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    size_t length = npy(bytes, rows[i].descr, "(3,)", 0, rows[i].values, rows[i].size);
    assert_ok(medley_ids_read(written(f, "ids.npy", bytes, length), &ids, &count, &error));
    assert_int_equal(count, 3);
    assert_true(ids[0] == 7 && ids[1] == 0 && ids[2] == rows[i].last);
    medley_ids_free(ids);
  }
  static const char text[] = " 7 \r\n\n0\n18446744073709551615";
  assert_ok(medley_ids_read(written(f, "ids.txt", text, sizeof text - 1), &ids, &count, &error));
  assert_int_equal(count, 3);
  assert_true(ids[0] == 7 && ids[1] == 0 && ids[2] == UINT64_MAX);
  medley_ids_free(ids);
}

static void test_refused(void **state) {
  file *f = *state;
  medley_error error = {0};
  char bytes[512], line[400];
  medley_vectors v;
  uint64_t *ids;
  size_t count, length;
  static const int64_t negative[] = {3, -4};
  static const struct {
    const char *descr, *shape, *words;
  } vectors[] = {{"<f4", "(0, 6)", "holds no vectors"},
                 {"<f4", "(6,)", "has 1 dimensions, expected 2"},
                 {"<f4", "(4, 2)", "ends in row 4 of 4"},
                 {"<i8", "(3, 1)", "expected '<f2', '<f4' or '<f8'"},
                 {"|O", "(3, 2)", "pickled"}},
    lists[] = {{"<f4", "(6,)", "expected '<i4', '<u4', '<i8' or '<u8'"},
               {"<i8", "(1, 2)", "has 2 dimensions, expected 1"},
               {"<i8", "(2,)", "value 1 is -4"},
               {"<i8", "(3,)", "ends in row 3 of 3"},
               {"<i8", "(0,)", "holds no ids"},
               {"|O", "(3,)", "pickled"}};
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    length = npy(bytes, vectors[i].descr, vectors[i].shape, 0, floats, sizeof floats);
    assert_refused(medley_vectors_read(written(f, "v.npy", bytes, length), &v, &error), MEDLEY_ERR_INPUT,
                   vectors[i].words);
    assert_null(v.values);
  }
  assert_refused(medley_vectors_read("nowhere.npy", &v, &error), MEDLEY_ERR_NOT_FOUND, "nowhere.npy");
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    length = npy(bytes, lists[i].descr, lists[i].shape, 0, negative, sizeof negative);
    assert_refused(medley_ids_read(written(f, "ids.npy", bytes, length), &ids, &count, &error), MEDLEY_ERR_INPUT,
                   lists[i].words);
    assert_null(ids);
  }
  static const char *const texts[][2] = {{"1\n2 3\n", "line 2: '2 3'"},
                                         {"-1\n", "line 1: '-1'"},
                                         {"18446744073709551616\n", "line 1"},
                                         {"1.5\n", "'1.5'"},
                                         {"", "holds no ids"}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    assert_refused(medley_ids_read(written(f, "ids.txt", texts[i][0], strlen(texts[i][0])), &ids, &count, &error),
                   MEDLEY_ERR_INPUT, texts[i][1]);
  memset(line, '1', sizeof line);
  assert_refused(medley_ids_read(written(f, "ids.txt", line, sizeof line), &ids, &count, &error), MEDLEY_ERR_LIMIT,
                 "ids.txt': line 1 is longer");
}

#ifdef MEDLEY_FAULTS
static void test_memory(void **state) {
  file *f = *state;
  medley_error error = {0};
  char bytes[512], other[300];
  size_t length = npy(bytes, "<f8", "(3, 2)", 0, doubles, sizeof doubles), count;
  strcpy(other, written(f, "v.npy", bytes, length));
  written(f, "ids.txt", "1\n2\n", 4);
  medley_vectors v;
  uint64_t *ids;
  for (int what = 0; what < 2; what++) {
    medley_status status = MEDLEY_ERR_MEMORY;
    for (long n = 1; status != MEDLEY_OK; n++) {
      memory_fault_after(n);
      status = what == 0 ? medley_vectors_read(other, &v, &error) : medley_ids_read(f->path, &ids, &count, &error);
      assert_true(status == MEDLEY_OK || status == MEDLEY_ERR_MEMORY);
    }
    memory_fault_after(0);
  }
  medley_vectors_free(&v);
  medley_ids_free(ids);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_vectors, setup, teardown),
      cmocka_unit_test_setup_teardown(test_compressed, setup, teardown),
      cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
