/* k-means: the nearest centre against a slow twin, what a fit must end in, one thread against two, each allocation
 * failing. */
#include <omp.h>

#include "base/memory.h"
#include "base/rng.h"
#include "math/kmeans.h"
#include "test.h"

#define DIM 5

static double squared(const float *a, const float *b, size_t dim) {
  double sum = 0;
  for (size_t d = 0; d < dim; d++) sum += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
  return sum;
}

/* x [count, dim] around `clusters` places far apart, row i at place i % clusters. */
static float *clustered(size_t count, size_t dim, size_t clusters, uint64_t seed) {
  rng r;
  rng_seed(&r, seed);
  float *x = mem_alloc(count * dim, sizeof *x), *places = mem_alloc(clusters * dim, sizeof *places);
  for (size_t i = 0; i < clusters * dim; i++) places[i] = 20 * (float)rng_normal(&r);
  for (size_t i = 0; i < count * dim; i++)
    x[i] = places[i / dim % clusters * dim + i % dim] + 0.3f * (float)rng_normal(&r);
  mem_free(places);
  return x;
}

static double error_of(const float *x, size_t count, size_t dim, const float *centres, size_t k) {
  medley_error error = {0};
  uint32_t *nearest = mem_alloc(count, sizeof *nearest);
  double sum = 0;
  assert_ok(kmeans_assign(x, count, dim, centres, k, nearest, NULL, &error));
  for (size_t i = 0; i < count; i++) sum += squared(x + i * dim, centres + nearest[i] * dim, dim);
  mem_free(nearest);
  return sum / (double)count;
}

/* Around the edges of tiles and lanes; equal centres: the first counts. */
static void test_assign(void **state) {
  (void)state;
  medley_error error = {0};
  static const size_t counts[] = {1, 127, 128, 129, 700}, ks[] = {1, 2, 15, 16, 17, 511, 513, 1100};
  for (size_t a = 0; a < sizeof counts / sizeof *counts; a++)
    for (size_t b = 0; b < sizeof ks / sizeof *ks; b++) {
      size_t count = counts[a], k = ks[b];
      float *x = clustered(count, DIM, 30, a), *centres = clustered(k, DIM, 30, b + 7);
      uint32_t *nearest = mem_alloc(count, sizeof *nearest);
      float *distance = mem_alloc(count, sizeof *distance);
      memcpy(centres + (k - 1) * DIM, centres + k / 2 * DIM, DIM * sizeof *centres);
      assert_ok(kmeans_assign(x, count, DIM, centres, k, nearest, distance, &error));
      for (size_t i = 0; i < count; i++) {
        double least = INFINITY;
        for (size_t c = 0; c < k; c++) least = fmin(least, squared(x + i * DIM, centres + c * DIM, DIM));
        assert_true(nearest[i] < k && (nearest[i] < k - 1 || k == 1 || k / 2 == k - 1));
        assert_near(squared(x + i * DIM, centres + nearest[i] * DIM, DIM), least, 1e-2);
        assert_near(distance[i], least, 1e-2);
      }
      mem_free(x), mem_free(centres), mem_free(nearest), mem_free(distance);
    }
}

/* Clusters far apart are found by k-means++, one centre in each; every centre is the mean of its rows. */
static void test_fit(void **state) {
  (void)state;
  medley_error error = {0};
  size_t count = 1500, k = 25;
  float *x = clustered(count, DIM, k, 3), centres[25 * DIM];
  uint32_t *nearest = mem_alloc(count, sizeof *nearest);
  assert_ok(kmeans_fit(x, count, DIM, k, &(kmeans_options){.seed = 4, .iterations = 20}, centres, &error));
  /* Of 400 * DIM without any centre; two clusters may have been overlooked. */
  if (error_of(x, count, DIM, centres, k) > 0.01 * 400 * DIM) fail_msg("error %g", error_of(x, count, DIM, centres, k));
  assert_ok(kmeans_assign(x, count, DIM, centres, k, nearest, NULL, &error));
  for (size_t c = 0; c < k; c++)
    for (size_t d = 0; d < DIM; d++) {
      double sum = 0;
      size_t rows = 0;
      for (size_t i = 0; i < count; i++)
        if (nearest[i] == c) sum += x[i * DIM + d], rows++;
      assert_near(centres[c * DIM + d], sum / (double)rows, 1e-3);
    }
  mem_free(x), mem_free(nearest);
}

/* Other seeds, with many rows (most rounds on a part of them) and warm: all below the error of the first k rows. */
static void test_seeds(void **state) {
  (void)state;
  medley_error error = {0};
  size_t count = 8000, k = 20;
  float *x = clustered(count, DIM, 60, 8), centres[20 * DIM];
  double without = error_of(x, count, DIM, x, k), part = 0;
  for (kmeans_seeds seeds = KMEANS_PLUS_PLUS; seeds <= KMEANS_WARM; seeds++) {
    assert_ok(kmeans_fit(x, count, DIM, k, &(kmeans_options){.seeds = seeds}, centres, &error));
    double left = error_of(x, count, DIM, centres, k);
    if (left > 0.9 * without) fail_msg("seeds %d: error %g, without %g", (int)seeds, left, without);
    if (seeds == KMEANS_WARM) assert_true(left <= part * 1.0001); /* it began where the last one ended */
    part = left;
  }
  mem_free(x);
}

/* Fewer rows than centres repeat; equal rows, rows that overflow when squared, and nothing at all. */
static void test_odd_inputs(void **state) {
  (void)state;
  medley_error error = {0};
  float rows[3 * 2] = {1, 2, 3, 4, 5, 6}, centres[8 * 2], same[40 * 2];
  uint32_t nearest[40];
  assert_ok(kmeans_fit(rows, 3, 2, 8, &(kmeans_options){0}, centres, &error));
  for (size_t c = 0; c < 8; c++) assert_memory_equal(centres + c * 2, rows + c % 3 * 2, 2 * sizeof *rows);
  for (size_t i = 0; i < 80; i++) same[i] = i % 2 ? -7 : 3;
  assert_ok(kmeans_fit(same, 40, 2, 8, &(kmeans_options){0}, centres, &error));
  assert_near(error_of(same, 40, 2, centres, 8), 0, 1e-3);
  for (size_t i = 0; i < 80; i++) same[i] = i % 3 ? 1e30f : -1e30f;
  assert_ok(kmeans_fit(same, 40, 2, 8, &(kmeans_options){0}, centres, &error));
  assert_ok(kmeans_assign(same, 40, 2, centres, 8, nearest, NULL, &error));
  for (size_t i = 0; i < 40; i++) assert_true(nearest[i] < 8);
  assert_refused(kmeans_fit(rows, 0, 2, 8, &(kmeans_options){0}, centres, &error), MEDLEY_ERR_USAGE, "0 vectors");
}

static void test_same_for_any_threads(void **state) {
  (void)state;
  medley_error error = {0};
  size_t count = 6000, k = 40, threads = (size_t)omp_get_max_threads();
  float *x = clustered(count, 24, 200, 8), *centres[2];
  for (int i = 0; i < 2; i++) {
    centres[i] = mem_alloc(k * 24, sizeof **centres);
    omp_set_num_threads(i + 1);
    assert_ok(kmeans_fit(x, count, 24, k, &(kmeans_options){.seed = 1}, centres[i], &error));
  }
  omp_set_num_threads((int)threads);
  assert_memory_equal(centres[0], centres[1], k * 24 * sizeof **centres);
  mem_free(x), mem_free(centres[0]), mem_free(centres[1]);
}

/* Reports are a tenth of a second apart. */
static int stop_at_once(void *context, const medley_progress_state *state) {
  (void)context, (void)state;
  usleep(110000);
  return 1;
}

static void test_stop(void **state) {
  (void)state;
  medley_error error = {0};
  float *x = clustered(500, DIM, 9, 8), centres[9 * DIM];
  medley_progress progress = {.report = stop_at_once};
  assert_refused(kmeans_fit(x, 500, DIM, 9, &(kmeans_options){.progress = &progress}, centres, &error),
                 MEDLEY_ERR_CANCELLED, "");
  mem_free(x);
}

#ifdef MEDLEY_FAULTS
static void test_memory(void **state) {
  (void)state;
  medley_error error = {0};
  float *x = clustered(4000, 2, 9, 8), centres[9 * 2];
  for (long n = 1;; n++) {
    memory_fault_after(n);
    medley_status status = kmeans_fit(x, 4000, 2, 9, &(kmeans_options){0}, centres, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    if (!struck) break;
  }
  mem_free(x);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_assign),
      cmocka_unit_test(test_fit),
      cmocka_unit_test(test_seeds),
      cmocka_unit_test(test_odd_inputs),
      cmocka_unit_test(test_same_for_any_threads),
      cmocka_unit_test(test_stop),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
