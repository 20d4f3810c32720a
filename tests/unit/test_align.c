/* Aligners: planted common directions must be found, golden correlations from scikit-learn's formula, measures against
 * a slow twin, files, faults. */
#include "test.h"

#include "align/aligner.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "math/vector.h"

enum { X_DIM = 20, Y_DIM = 12, COMMON = 5, COUNT = 400, VALID = 100 };

/* Both sides see COMMON hidden numbers through mixtures of their own, beside louder noise that they do not share. */
typedef struct planted {
  float x_mix[COMMON * X_DIM], y_mix[COMMON * Y_DIM];
  rng r;
} planted;

static void planted_init(planted *p, uint64_t seed) {
  rng_seed(&p->r, seed);
  for (size_t i = 0; i < COMMON * X_DIM; i++) p->x_mix[i] = (float)rng_normal(&p->r);
  for (size_t i = 0; i < COMMON * Y_DIM; i++) p->y_mix[i] = (float)rng_normal(&p->r);
}

static void planted_draw(planted *p, size_t count, float *x, float *y) {
  for (size_t i = 0; i < count; i++) {
    float hidden[COMMON];
    for (size_t k = 0; k < COMMON; k++) hidden[k] = (float)rng_normal(&p->r);
    for (size_t d = 0; d < X_DIM; d++) {
      x[i * X_DIM + d] = 3 + (float)rng_normal(&p->r) * (d < 10 ? 4.0f : 0.3f);
      for (size_t k = 0; k < COMMON; k++) x[i * X_DIM + d] += hidden[k] * p->x_mix[k * X_DIM + d];
    }
    for (size_t d = 0; d < Y_DIM; d++) {
      y[i * Y_DIM + d] = (float)rng_normal(&p->r) * (d < 4 ? 4.0f : 0.3f) - 1;
      for (size_t k = 0; k < COMMON; k++) y[i * Y_DIM + d] += hidden[k] * p->y_mix[k * Y_DIM + d];
    }
  }
}

static double recall_of(const aligner_kind *kind, bool swap, bool choose, char settings[128]) {
  medley_error error = {0};
  planted p;
  planted_init(&p, 5);
  static float x[COUNT * X_DIM], y[COUNT * Y_DIM], vx[VALID * X_DIM], vy[VALID * Y_DIM], a[VALID * 64], b[VALID * 64];
  planted_draw(&p, COUNT, x, y);
  planted_draw(&p, VALID, vx, vy);
  aligner_pairs train = {x, y, COUNT, X_DIM, Y_DIM}, valid = {vx, vy, VALID, X_DIM, Y_DIM};
  if (swap) {
    train = (aligner_pairs){y, x, COUNT, Y_DIM, X_DIM};
    valid = (aligner_pairs){vy, vx, VALID, Y_DIM, X_DIM};
  }
  alignment fit;
  alignment_report report;
  assert_ok(kind->fit(&train, choose ? &valid : NULL, &fit, &error));
  assert_true(fit.dim <= 64);
  planted_draw(&p, VALID, vx, vy); /* fresh pairs for the verdict */
  alignment_apply(&fit, swap, vx, VALID, a);
  alignment_apply(&fit, !swap, vy, VALID, b);
  for (size_t i = 0; i < VALID; i++) assert_near(vector_norm(a + i * fit.dim, fit.dim), 1, 1e-4);
  assert_ok(alignment_measure(a, b, VALID, fit.dim, &report, &error));
  snprintf(settings, 128, "%s", fit.settings);
  alignment_deinit(&fit);
  return (report.recall_10[0] + report.recall_10[1]) / 2;
}

static void test_planted(void **state) {
  (void)state;
  static const struct {
    const char *name;
    double least[2], most; /* without validation and with */
  } rows[] = {{"align.cca", {0.85, 0.97}, 1},
              {"align.ridge", {0.5, 0.5}, 1},
              {"align.procrustes", {0.1, 0.1}, 1},
              {"align.concat", {0, 0}, 0.3},
              {"align.sum", {0, 0}, 0.3}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (int swap = 0; swap < 2; swap++)
      for (int choose = 0; choose < 2; choose++) {
        char settings[128];
        double recall = recall_of(aligner_kind_find(rows[i].name), swap, choose, settings);
        if (!(recall >= rows[i].least[choose] && recall <= rows[i].most))
          fail_msg("%s swap %d choose %d: recall@10 %.3f not in %.2f … %.2f (%s)", rows[i].name, swap, choose, recall,
                   rows[i].least[choose], rows[i].most, settings);
        if (strstr(settings, strchr(rows[i].name, '.') + 1) == NULL) fail_msg("settings '%s'", settings);
      }
  assert_null(aligner_kind_find("none such"));
}

/* Four points on two axes each; with ridge r the first canonical pair can be written down by hand: x = (t, u), y = (t,
 * v) with t, u, v uncorrelated and of variance 1, ridges in units of mean variance 1, so ρ = 1 / (1 + r) along t. */
static void test_by_hand(void **state) {
  (void)state;
  medley_error error = {0};
  static const float x[8 * 2] = {1, 1, 1, -1, 1, 1, 1, -1, -1, 1, -1, -1, -1, 1, -1, -1};
  static const float y[8 * 2] = {1, 1, 1, 1, 1, -1, 1, -1, -1, 1, -1, 1, -1, -1, -1, -1};
  alignment a;
  assert_ok(aligner_kind_find("align.cca")->fit(&(aligner_pairs){x, y, 8, 2, 2}, NULL, &a, &error));
  assert_int_equal(a.dim, 1);
  assert_string_equal(a.settings, "cca ridge=0.1,0.1 dim=1 power=1");
  /* Defaults: both ridges 0.1, ρ = 1 / 1.1, and the maps are ρ times t / √(1 + 0.1). */
  double rho = 1 / 1.1;
  assert_near(fabs(a.x_map[0]), rho / sqrt(1.1), 1e-4);
  assert_near(fabs(a.y_map[0]), rho / sqrt(1.1), 1e-4);
  assert_near(a.x_map[1], 0, 1e-4);
  assert_true(a.x_map[0] * a.y_map[0] > 0);
  alignment_deinit(&a);
}

static void test_measure_twin(void **state) {
  (void)state;
  enum { A = 150, B = 40, DIM = 6 };
  medley_error error = {0};
  rng r;
  rng_seed(&r, 9);
  float a[A * DIM], b[B * DIM];
  uint32_t a_group[A], b_group[B];
  for (size_t i = 0; i < B; i++) b_group[i] = (uint32_t)i;
  for (size_t i = 0; i < B * DIM; i++) b[i] = (float)rng_normal(&r);
  for (size_t i = 0; i < A; i++) {
    a_group[i] = (uint32_t)rng_below(&r, B + 3); /* some belong to nothing */
    for (size_t d = 0; d < DIM; d++)
      a[i * DIM + d] = (float)rng_normal(&r) + (a_group[i] < B ? b[a_group[i] * DIM + d] : 0);
  }
  alignment_report got;
  assert_ok(alignment_measure_groups(a, a_group, A, b, b_group, B, DIM, &got, &error));
  double within = 0, asked = 0;
  for (size_t i = 0; i < A; i++) {
    if (a_group[i] >= B) continue;
    size_t better = 0;
    float own = vector_dot(a + i * DIM, b + a_group[i] * DIM, DIM);
    for (size_t j = 0; j < B; j++) better += vector_dot(a + i * DIM, b + j * DIM, DIM) > own + 1e-5f;
    within += better < 5;
    asked++;
  }
  assert_near(got.recall_5[0], within / asked, 1e-9);
  within = asked = 0;
  for (size_t j = 0; j < B; j++) {
    float own = -INFINITY;
    size_t better = 0;
    for (size_t i = 0; i < A; i++)
      if (a_group[i] == j) own = fmaxf(own, vector_dot(a + i * DIM, b + j * DIM, DIM));
    for (size_t i = 0; i < A; i++) better += vector_dot(a + i * DIM, b + j * DIM, DIM) > own + 1e-5f;
    within += own > -INFINITY && better < 10;
    asked += own > -INFINITY;
  }
  assert_near(got.recall_10[1], within / asked, 1e-9);
  /* Perfect pairs. */
  assert_ok(alignment_measure(b, b, B, DIM, &got, &error));
  assert_ok(alignment_measure(b, b, 0, DIM, &got, &error));
  assert_near(got.recall_1[0], 0, 0);
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error = {0};
  float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, bad[8] = {1, 2, 3, NAN, 5, 6, 7, 8}, same[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  alignment a;
  for (const aligner_kind *k = aligner_kinds; k->name != NULL; k++) {
    assert_refused(k->fit(&(aligner_pairs){x, x, 1, 2, 2}, NULL, &a, &error), MEDLEY_ERR_INPUT, "at least 2 pairs");
    assert_refused(k->fit(&(aligner_pairs){x, bad, 4, 2, 2}, NULL, &a, &error), MEDLEY_ERR_INPUT, "row 1 of side");
    assert_refused(k->fit(&(aligner_pairs){x, same, 4, 2, 2}, NULL, &a, &error), MEDLEY_ERR_INPUT, "are alike");
    assert_refused(k->fit(&(aligner_pairs){x, x, 4, 0, 2}, NULL, &a, &error), MEDLEY_ERR_USAGE, "0 dimensions");
  }
}

static void test_files(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256];
  test_folder(folder);
  char *path = path_join(folder, "a.safetensors");
  float x[12] = {1, 2, 0, 3, 4, 1, 5, 7, 2, 8, 1, 1}, y[8] = {1, 0, 2, 1, 3, 3, 0, 4}, before[12], after[12];
  for (int tampered = 0; tampered < 3; tampered++) {
    alignment a, back;
    safetensors_writer w = {0};
    safetensors s;
    assert_ok(aligner_kind_find("align.sum")->fit(&(aligner_pairs){x, y, 4, 3, 2}, NULL, &a, &error));
    alignment_apply(&a, 0, x, 4, before);
    assert_ok(alignment_save(&a, &w, "space", &error));
    if (tampered == 1) w.tensors[0].shape[1] = --w.tensors[0].count;
    if (tampered == 2) a.y_map[0] = INFINITY;
    assert_ok(safetensors_save(&w, path, &error));
    assert_ok(safetensors_open(&s, path, &error));
    if (tampered) {
      assert_refused(alignment_load(&s, "space", &back, &error), MEDLEY_ERR_CORRUPT, "space.");
      assert_null(back.x_map);
    } else {
      assert_ok(alignment_load(&s, "space", &back, &error));
      assert_string_equal(back.settings, a.settings);
      alignment_apply(&back, 0, x, 4, after);
      assert_memory_equal(before, after, sizeof before);
      alignment_deinit(&back);
    }
    safetensors_close(&s);
    safetensors_writer_deinit(&w);
    alignment_deinit(&a);
  }
  mem_free(path);
  assert_ok(folder_remove(folder, &error));
}

#ifdef MEDLEY_FAULTS
static void test_faults(void **state) {
  (void)state;
  float x[12] = {1, 2, 0, 3, 4, 1, 5, 7, 2, 8, 1, 1}, y[8] = {1, 0, 2, 1, 3, 3, 0, 4};
  aligner_pairs pairs = {x, y, 4, 3, 2};
  for (const aligner_kind *k = aligner_kinds; k->name != NULL; k++)
    for (long n = 1;; n++) {
      medley_error error = {0};
      alignment a;
      memory_fault_after(n);
      medley_status status = k->fit(&pairs, n % 2 ? &pairs : NULL, &a, &error);
      bool struck = memory_fault_struck();
      memory_fault_after(0);
      if (status == MEDLEY_OK) alignment_deinit(&a);
      if (!struck && n % 2) break;
      if (struck) assert_int_equal(status, MEDLEY_ERR_MEMORY);
    }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_planted),  cmocka_unit_test(test_by_hand), cmocka_unit_test(test_measure_twin),
      cmocka_unit_test(test_refusals), cmocka_unit_test(test_files),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_faults),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
