/* Fusers: values by hand, masks, and what the weights mean. */
#include "test.h"

#include "base/memory.h"
#include "fuse/fuser.h"
#include "math/vector.h"

/* Four items: both parts, the first only, the second only, none. */
static float a_values[4 * 2] = {1, 0, 0, 1, 0, 0, 0, 0}, b_values[4 * 2] = {0, 1, 0, 0, 1, 0, 0, 0};
static float c_values[4 * 3] = {0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0};
static uint8_t a_present[4] = {1, 1, 0, 0}, b_present[4] = {1, 0, 1, 0};
static const features a = {"a", 4, 2, a_values, a_present}, b = {"b", 4, 2, b_values, b_present},
                      c = {"c", 4, 3, c_values, b_present};

static void test_by_hand(void **state) {
  (void)state;
  static const float weights[2] = {3, 4};
  static const struct {
    const char *name;
    const features *second;
    size_t dim;
    float row[3][5];
  } rows[] = {
      {"fuse.sum", &b, 2, {{0.70710678f, 0.70710678f}, {0, 1}, {1, 0}}},
      {"fuse.weighted", &b, 2, {{0.6f, 0.8f}, {0, 1}, {1, 0}}},
      {"fuse.concat", &c, 5, {{0.65465367f, 0, 0, 0, 0.75592895f}, {0, 1, 0, 0, 0}, {0, 0, 0, 1, 0}}},
  };
  medley_error error = {0};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    features out;
    const features parts[2] = {a, *rows[i].second};
    assert_ok(fuser_kind_find(rows[i].name)->fuse(parts, 2, weights, &out, &error));
    assert_int_equal(out.dim, rows[i].dim);
    assert_int_equal(features_present_count(&out), 3);
    assert_int_equal(out.present[3], 0);
    for (size_t r = 0; r < 3; r++)
      for (size_t d = 0; d < out.dim; d++) assert_near(out.values[r * out.dim + d], rows[i].row[r][d], 1e-6);
    features_deinit(&out);
  }
}

/* The map keeps all dot products of the concatenation while it has as many directions. */
static void test_map(void **state) {
  (void)state;
  medley_error error = {0};
  features wide, mapped;
  const features parts[2] = {a, c};
  assert_ok(fuser_kind_find("fuse.concat")->fuse(parts, 2, NULL, &wide, &error));
  assert_ok(fuser_kind_find("fuse.map")->fuse(parts, 2, NULL, &mapped, &error));
  for (size_t i = 0; i < 4; i++)
    for (size_t j = 0; j < 4; j++)
      assert_near(vector_dot(mapped.values + i * mapped.dim, mapped.values + j * mapped.dim, mapped.dim),
                  vector_dot(wide.values + i * wide.dim, wide.values + j * wide.dim, wide.dim), 1e-4);
  assert_int_equal(features_present_count(&mapped), 3);
  features_deinit(&wide);
  features_deinit(&mapped);
  static uint8_t nobody[4];
  const features empty = {"empty", 4, 2, a_values + 6, nobody};
  assert_ok(fuser_kind_find("fuse.map")->fuse(&empty, 1, NULL, &mapped, &error));
  assert_int_equal(features_present_count(&mapped), 0);
  features_deinit(&mapped);
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error = {0};
  features out, shorter = a;
  shorter.count = 3;
  const features unlike[2] = {a, c}, uneven[2] = {a, shorter}, fine[2] = {a, b};
  assert_refused(fuser_kind_find("fuse.sum")->fuse(unlike, 2, NULL, &out, &error), MEDLEY_ERR_USAGE,
                 "align them first");
  for (const fuser_kind *k = fuser_kinds; k->name != NULL; k++) {
    assert_refused(k->fuse(uneven, 2, NULL, &out, &error), MEDLEY_ERR_USAGE, "'a' has 4 rows, 'a' 3");
    assert_refused(k->fuse(fine, 0, NULL, &out, &error), MEDLEY_ERR_USAGE, "got 0");
    if (strcmp(k->name, "fuse.sum") == 0) continue;
    assert_refused(k->fuse(fine, 2, (float[]){0, 0}, &out, &error), MEDLEY_ERR_USAGE, "all weights are 0");
    assert_refused(k->fuse(fine, 2, (float[]){1, -1}, &out, &error), MEDLEY_ERR_USAGE, "weight 1 is -1");
    assert_refused(k->fuse(fine, 2, (float[]){NAN, 1}, &out, &error), MEDLEY_ERR_USAGE, "weight 0");
  }
  assert_null(fuser_kind_find("none such"));
}

#ifdef MEDLEY_FAULTS
static void test_faults(void **state) {
  (void)state;
  const features parts[2] = {a, b};
  for (const fuser_kind *k = fuser_kinds; k->name != NULL; k++)
    for (long n = 1;; n++) {
      medley_error error = {0};
      features out;
      memory_fault_after(n);
      medley_status status = k->fuse(parts, 2, NULL, &out, &error);
      bool struck = memory_fault_struck();
      memory_fault_after(0);
      if (status == MEDLEY_OK) features_deinit(&out);
      if (!struck) break;
      assert_int_equal(status, MEDLEY_ERR_MEMORY);
    }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_by_hand),
      cmocka_unit_test(test_map),
      cmocka_unit_test(test_refusals),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_faults),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
