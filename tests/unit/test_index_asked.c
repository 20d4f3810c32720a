/* The queries that an index remembers: how many, which, how near to what was asked, from many threads. */
#include <pthread.h>

#include "base/rng.h"
#include "index/asked.h"
#include "test.h"

#define DIM 70 /* more than a part, and no multiple of one */

static void draw(rng *r, float *out, float scale) {
  for (size_t d = 0; d < DIM; d++) out[d] = scale * (float)rng_normal(r);
}

static void ask(asked *a, const float *vector, size_t vectors) {
  for (int i = 0; i < ASKED_EVERY; i++) asked_remember(a, vector, vectors);
}

static void test_places(void **state) {
  (void)state;
  static const struct {
    size_t vectors, asked, expected;
  } cases[] = {
      {0, 1, 1},          {0, 100, ASKED_MIN}, {DIM * ASKED_MIN, 100, ASKED_MIN},
      {DIM * 40, 30, 30}, {DIM * 40, 100, 40}, {1000000000, 10000, ASKED_MAX},
  };
  float vector[DIM] = {1}, out[ASKED_MAX * DIM];
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    asked a;
    asked_init(&a, DIM);
    assert_int_equal(asked_take(&a, 5, out), 0);
    assert_int_equal(a.bytes, 0); /* nobody has asked */
    for (size_t i = 0; i < cases[c].asked; i++) ask(&a, vector, cases[c].vectors);
    assert_int_equal(asked_take(&a, ASKED_MAX, out), cases[c].expected);
    assert_true(a.bytes <= cases[c].vectors * ASKED_BYTES_EACH + ASKED_MIN * DIM * 2 + ASKED_MAX * sizeof(float));
    asked_deinit(&a);
  }
}

/* Of numbers of any size, up to the last bits; and the oldest makes room for the newest. */
static void test_values(void **state) {
  (void)state;
  static const float scales[] = {1, 1e-30f, 1e30f, 0};
  rng r;
  rng_seed(&r, 1);
  for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
    asked a;
    asked_init(&a, DIM);
    float vectors[ASKED_MIN + 3][DIM], out[ASKED_MIN][DIM];
    for (size_t i = 0; i < ASKED_MIN + 3; i++) {
      draw(&r, vectors[i], scales[s]);
      ask(&a, vectors[i], 0);
    }
    assert_int_equal(asked_take(&a, ASKED_MAX, out[0]), ASKED_MIN);
    for (size_t i = 0; i < ASKED_MIN; i++)
      for (size_t d = 0; d < DIM; d++)
        assert_near(out[i][d], vectors[i < 3 ? ASKED_MIN + i : i][d], 4 * 1e-3 * (double)scales[s]);
    assert_int_equal(asked_take(&a, 4, out[0]), 4);
    asked_deinit(&a);
  }
}

/* A full ring of an index that has grown gets more places at its end. */
static void test_grows(void **state) {
  (void)state;
  float vector[DIM] = {0}, out[ASKED_MAX * DIM];
  asked a;
  asked_init(&a, DIM);
  for (size_t i = 0; i < 200; i++) {
    vector[0] = (float)i;
    ask(&a, vector, DIM * i / 2);
  }
  size_t taken = asked_take(&a, ASKED_MAX, out);
  assert_true(taken > 64 && taken <= 100);
  for (size_t i = 1; i < taken; i++) { /* a ring: one step back at most */
    float step = out[i * DIM] - out[(i - 1) * DIM];
    assert_true(step == 1 || step < 0);
  }
  asked_deinit(&a);
}

typedef struct asking {
  asked *a;
  float value;
} asking;

static void *ask_all_day(void *context) {
  asking *own = context;
  float vector[DIM], out[8 * DIM];
  for (size_t d = 0; d < DIM; d++) vector[d] = own->value;
  for (size_t i = 0; i < 4000; i++) {
    asked_remember(own->a, vector, DIM * i / 10);
    if (i % 50 != 0) continue;
    size_t taken = asked_take(own->a, 8, out);
    for (size_t j = 0; j < taken; j++) /* whole queries, never parts of two */
      for (size_t d = 1; d < DIM; d++)
        if (out[j * DIM + d] != out[j * DIM]) return context;
  }
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  asked a;
  pthread_t threads[4];
  asking own[4];
  asked_init(&a, DIM);
  for (int t = 0; t < 4; t++) {
    own[t] = (asking){&a, (float)(1 + t)};
    assert_int_equal(pthread_create(&threads[t], NULL, ask_all_day, &own[t]), 0);
  }
  for (int t = 0; t < 4; t++) {
    void *torn;
    pthread_join(threads[t], &torn);
    assert_null(torn);
  }
  asked_deinit(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_places),
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_grows),
      cmocka_unit_test(test_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
