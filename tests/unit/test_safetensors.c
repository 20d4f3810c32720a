/* The safetensors format: round trips, and every lie a header can tell. */
#include "test.h"

#include "base/memory.h"
#include "nn/safetensors.h"

static void test_round_trip(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/x.safetensors", folder);
  const uint8_t bytes[3] = {1, 2, 3};
  const float floats[6] = {0, 1, 2, 3, 4, 5};
  const int64_t longs[2] = {-1, 1};
  safetensors_writer w = {0};
  assert_ok(safetensors_add(&w, "bytes", DTYPE_U8, 1, (const uint64_t[]){3}, bytes, &error));
  assert_ok(safetensors_add_f32(&w, "floats", 2, 3, floats, &error));
  assert_ok(safetensors_add(&w, "longs", DTYPE_I64, 1, (const uint64_t[]){2}, longs, &error));
  assert_ok(safetensors_add(&w, "empty", DTYPE_F32, 2, (const uint64_t[]){0, 7}, NULL, &error));
  assert_ok(safetensors_add_metadata(&w, "format", "medley", &error));
  assert_refused(safetensors_add_f32(&w, "floats", 1, 1, floats, &error), MEDLEY_ERR_INTERNAL, "twice");
  assert_ok(safetensors_save(&w, path, &error));
  safetensors_writer_deinit(&w);

  safetensors s;
  assert_ok(safetensors_open(&s, path, &error));
  assert_int_equal(s.count, 4);
  assert_string_equal(json_member_string(s.metadata, "format", ""), "medley");
  const tensor_view *view;
  assert_ok(safetensors_need(&s, "floats", DTYPE_F32, 2, (const uint64_t[]){2, 0}, &view, &error));
  assert_memory_equal(view->data, floats, sizeof floats);
  assert_refused(safetensors_need(&s, "floats", DTYPE_F32, 2, (const uint64_t[]){3, 0}, &view, &error),
                 MEDLEY_ERR_CORRUPT, "dimension 0 of tensor 'floats' is 2, expected 3");
  assert_refused(safetensors_need(&s, "floats", DTYPE_I8, 2, (const uint64_t[]){2, 3}, &view, &error),
                 MEDLEY_ERR_CORRUPT, "is F32 with 2 dimensions, expected I8");
  assert_refused(safetensors_need(&s, "absent", DTYPE_I8, 0, NULL, &view, &error), MEDLEY_ERR_CORRUPT, "is missing");
  safetensors_close(&s);
  assert_ok(folder_remove(folder, &error));
}

static void test_lies(void **state) {
  (void)state;
  static const struct {
    const char *header;
    size_t data_bytes;
    medley_status status;
    const char *words;
  } rows[] = {
      {"{", 0, MEDLEY_ERR_INPUT, "not valid JSON"},
      {"[]", 0, MEDLEY_ERR_INPUT, "no JSON object"},
      {"{\"a\":{\"dtype\":\"F99\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, MEDLEY_ERR_UNSUPPORTED,
       "unknown dtype 'F99'"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, MEDLEY_ERR_INPUT, "no count"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, MEDLEY_ERR_INPUT,
       "has 4 bytes of data, its shape and dtype need 8"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4, MEDLEY_ERR_INPUT,
       "overflow"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 0, MEDLEY_ERR_INPUT, "outside the file"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 8, MEDLEY_ERR_INPUT, "outside the file"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, MEDLEY_ERR_INPUT, "gap"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_"
       "offsets\":[1,3]}}",
       3, MEDLEY_ERR_INPUT, "overlap"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],"
       "\"data_offsets\":[1,2]}}",
       2, MEDLEY_ERR_INPUT, "duplicate"},
      {"{\"a\":{\"dtype\":\"Q4_0\",\"shape\":[32],\"data_offsets\":[0,18]}}", 18, MEDLEY_ERR_UNSUPPORTED,
       "unknown dtype 'Q4_0'"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 3, MEDLEY_ERR_INPUT, "2 bytes at the end"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, MEDLEY_ERR_INPUT,
       "at most 8"},
  };
  medley_error error;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    size_t length = strlen(rows[i].header), total = 8 + length + rows[i].data_bytes;
    unsigned char *bytes = mem_zalloc_aligned(total, 1);
    bytes[0] = (unsigned char)length;
    memcpy(bytes + 8, rows[i].header, length);
    safetensors s;
    assert_refused(safetensors_open_bytes(&s, bytes, total, "lie", &error), rows[i].status, rows[i].words);
    mem_free(bytes);
  }
  safetensors s;
  assert_refused(safetensors_open_bytes(&s, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8, "huge", &error), MEDLEY_ERR_INPUT,
                 "claims");
  assert_refused(safetensors_open_bytes(&s, "abc", 3, "short", &error), MEDLEY_ERR_INPUT, "too short");
}

/* An F32 behind an odd number of bytes: published files have that. It is read by copying, never through a pointer. */
static void test_misaligned(void **state) {
  (void)state;
  static const char header[] =
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[1,9]}}";
  static const float values[2] = {1.5f, -2};
  float read[2];
  medley_error error;
  size_t length = sizeof header - 1, total = 8 + length + 9;
  unsigned char *bytes = mem_zalloc_aligned(total, 1);
  bytes[0] = (unsigned char)length;
  memcpy(bytes + 8, header, length);
  memcpy(bytes + 8 + length + 1, values, sizeof values);
  safetensors s;
  const tensor_view *view;
  assert_ok(safetensors_open_bytes(&s, bytes, total, "shifted", &error));
  view = safetensors_get(&s, "b");
  assert_false(tensor_view_is_aligned(view));
  tensor_view_read_rows(view, 0, 2, read);
  assert_memory_equal(read, values, sizeof values);
  assert_refused(safetensors_need(&s, "b", DTYPE_F32, 2, (const uint64_t[]){2, 1}, &view, &error), MEDLEY_ERR_CORRUPT,
                 "'b' are not aligned to the 4 bytes of F32");
  safetensors_close(&s);
  mem_free(bytes);
}

static void test_published_file(void **state) {
  (void)state;
  medley_error error;
  char path[512];
  if (test_data("models/mobilenet_v2.safetensors", path) == NULL) skip();
  safetensors s;
  assert_ok(safetensors_open(&s, path, &error));
  assert_true(s.count > 50);
  safetensors_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_lies),
                                     cmocka_unit_test(test_misaligned), cmocka_unit_test(test_published_file)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
