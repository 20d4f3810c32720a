/* Normalisers: golden values from NumPy, the promise of whitening, files that were tampered with. */
#include "test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "encode/normaliser.h"

/* np.array([[1,2,5],[2,4,5],[3,6,5],[10,8,5]]); the third column never varies. */
static const float golden[4 * 3] = {1, 2, 5, 2, 4, 5, 3, 6, 5, 10, 8, 5};

static void test_golden(void **state) {
  (void)state;
  static const struct {
    const char *name;
    float first[3], last[3]; /* rows 0 and 3 */
  } rows[] = {
      {"none", {1, 2, 5}, {10, 8, 5}},
      {"l2", {0.18257419f, 0.36514837f, 0.91287093f}, {0.72739297f, 0.58191437f, 0.36369648f}},
      {"zscore", {-0.84852814f, -1.34164079f, 0}, {1.69705627f, 1.34164079f, 0}},
      {"minmax", {0, 0, 0}, {1, 1, 0}},
      {"robust", {-0.5f, -1, 0}, {2.5f, 1, 0}}, /* medians 2.5 and 5, quartiles 1.75 … 4.75 and 3.5 … 6.5 */
  };
  medley_error error = {0};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    normaliser n;
    float y[12];
    assert_ok(normaliser_kind_find(rows[i].name)->fit(golden, 4, 3, 0, &n, &error));
    normaliser_apply(&n, golden, 4, y);
    for (size_t d = 0; d < 3; d++) {
      assert_near(y[d], rows[i].first[d], 1e-5);
      assert_near(y[9 + d], rows[i].last[d], 1e-5);
    }
    normaliser_deinit(&n);
  }
  assert_null(normaliser_kind_find("none such"));
}

static void test_whiten(void **state) {
  (void)state;
  enum { COUNT = 400, DIM = 6 };
  medley_error error = {0};
  rng r;
  rng_seed(&r, 3);
  float x[COUNT * DIM], y[COUNT * DIM];
  for (size_t i = 0; i < COUNT; i++) {
    double common = rng_normal(&r);
    for (size_t d = 0; d < DIM; d++) x[i * DIM + d] = (float)(d + common + (double)d * rng_normal(&r));
    x[i * DIM + 5] = x[i * DIM + 1] + x[i * DIM + 2]; /* a column that says nothing new */
  }
  normaliser n;
  assert_ok(normaliser_kind_find("whiten")->fit(x, COUNT, DIM, 0, &n, &error));
  assert_int_equal(n.out_dim, DIM - 1);
  normaliser_apply(&n, x, COUNT, y);
  for (size_t a = 0; a < n.out_dim; a++)
    for (size_t b = 0; b <= a; b++) {
      double sum = 0;
      for (size_t i = 0; i < COUNT; i++) sum += (double)y[i * n.out_dim + a] * y[i * n.out_dim + b];
      assert_near(sum / COUNT, a == b, 1e-3);
    }
  normaliser_deinit(&n);
  assert_ok(normaliser_kind_find("whiten")->fit(x, COUNT, DIM, 2, &n, &error));
  assert_int_equal(n.out_dim, 2);
  normaliser_deinit(&n);
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error = {0};
  normaliser n;
  float bad[6] = {1, 2, 3, 4, INFINITY, 6}, same[6] = {1, 2, 1, 2, 1, 2};
  for (const normaliser_kind *k = normaliser_kinds; k->name != NULL; k++) {
    assert_refused(k->fit(bad, 0, 2, 0, &n, &error), MEDLEY_ERR_INPUT, "at least 1 training row");
    assert_refused(k->fit(bad, 3, 2, 0, &n, &error), MEDLEY_ERR_INPUT, "training row 2, value 0");
  }
  assert_refused(normaliser_kind_find("whiten")->fit(same, 3, 2, 0, &n, &error), MEDLEY_ERR_INPUT, "alike");
}

static void write_and_load(safetensors_writer *w, const char *path, medley_status expected, const char *words,
                           normaliser *out) {
  medley_error error = {0};
  safetensors s;
  assert_ok(safetensors_save(w, path, &error));
  assert_ok(safetensors_open(&s, path, &error));
  if (expected == MEDLEY_OK)
    assert_ok(normaliser_load(&s, "text.normaliser", out, &error));
  else
    assert_refused(normaliser_load(&s, "text.normaliser", out, &error), expected, words);
  safetensors_close(&s);
  safetensors_writer_deinit(w);
}

static void test_files(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256];
  test_folder(folder);
  char *path = path_join(folder, "n.safetensors");
  for (const normaliser_kind *k = normaliser_kinds; k->name != NULL; k++) {
    normaliser n, back;
    float y[12], z[12];
    safetensors_writer w = {0};
    assert_ok(k->fit(golden, 4, 3, 0, &n, &error));
    assert_ok(normaliser_save(&n, &w, "text.normaliser", &error));
    write_and_load(&w, path, MEDLEY_OK, "", &back);
    assert_int_equal(back.out_dim, n.out_dim);
    assert_int_equal(back.unit, n.unit);
    normaliser_apply(&n, golden, 4, y);
    normaliser_apply(&back, golden, 4, z);
    assert_memory_equal(y, z, 4 * n.out_dim * sizeof *y);
    normaliser_deinit(&n);
    normaliser_deinit(&back);
  }
  static const float values[6] = {1, 2, 3, 4, 5, 6}, broken[3] = {1, NAN, 1};
  static const struct {
    size_t shift, scale, matrix_rows;
    const float *shift_values;
    const char *unit, *words;
  } rows[] = {
      {0, 3, 0, values, "1", "shift' is missing"},
      {3, 2, 0, values, "1", "is 2, expected 3"},
      {3, 3, 3, values, "1", "both a scale"},
      {3, 0, 2, values, "1", "is 2, expected 3"},
      {3, 3, 0, broken, "1", "not a finite"},
      {3, 3, 0, values, "yes", "is 'yes'"},
      {3, 3, 0, values, NULL, "is ''"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    safetensors_writer w = {0};
    normaliser back;
    const char *p = "text.normaliser";
    if (rows[i].shift) assert_ok(safetensors_add_field(&w, p, "shift", 1, rows[i].shift, rows[i].shift_values, &error));
    if (rows[i].scale) assert_ok(safetensors_add_field(&w, p, "scale", 1, rows[i].scale, values, &error));
    if (rows[i].matrix_rows) assert_ok(safetensors_add_field(&w, p, "matrix", rows[i].matrix_rows, 2, values, &error));
    if (rows[i].unit) assert_ok(safetensors_add_metadata(&w, "text.normaliser.unit", rows[i].unit, &error));
    write_and_load(&w, path, MEDLEY_ERR_CORRUPT, rows[i].words, &back);
    assert_null(back.shift);
  }
  mem_free(path);
  assert_ok(folder_remove(folder, &error));
}

#ifdef MEDLEY_FAULTS
static void test_faults(void **state) {
  (void)state;
  for (const normaliser_kind *k = normaliser_kinds; k->name != NULL; k++)
    for (long n = 1;; n++) {
      medley_error error = {0};
      normaliser out;
      memory_fault_after(n);
      medley_status status = k->fit(golden, 4, 3, 0, &out, &error);
      bool struck = memory_fault_struck();
      memory_fault_after(0);
      if (status == MEDLEY_OK) normaliser_deinit(&out);
      if (!struck) break;
      assert_int_equal(status, MEDLEY_ERR_MEMORY);
    }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden),   cmocka_unit_test(test_whiten),
      cmocka_unit_test(test_refusals), cmocka_unit_test(test_files),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_faults),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
