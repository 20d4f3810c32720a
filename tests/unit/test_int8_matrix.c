/* Products in int8: special instructions beside plain ones, both beside float32; widths that are no whole registers. */
#include "test.h"

#include "base/memory.h"
#include "base/rng.h"
#include "math/int8_matrix.h"

typedef struct shape {
  size_t rows, in, out;
} shape;

static const shape shapes[] = {{1, 1, 1}, {3, 7, 31}, {8, 64, 32}, {13, 130, 77}, {21, 384, 100}, {5, 1000, 33}};

typedef struct fixture {
  float *x, *w_scale, *bias, *fast, *plain;
  uint8_t *bytes;
  int8_row *row;
  int8_t *w;
} fixture;

static void fixture_init(fixture *f, const shape *s, rng *r) {
  *f = (fixture){
      mem_alloc(s->rows * s->in, 4),        mem_alloc(s->out, 4),           mem_alloc(s->out, 4),
      mem_alloc(s->rows * s->out, 4),       mem_alloc(s->rows * s->out, 4), mem_alloc(s->rows, int8_matrix_row(s->in)),
      mem_alloc(s->rows, sizeof(int8_row)), mem_alloc(s->in, s->out)};
  for (size_t i = 0; i < s->rows * s->in; i++) f->x[i] = (float)rng_normal(r) + 1;
  for (size_t i = 0; i < s->in * s->out; i++) f->w[i] = (int8_t)((int)rng_below(r, 255) - 127);
  for (size_t i = 0; i < s->out; i++) f->w_scale[i] = 0.01f * (float)(1 + i % 3), f->bias[i] = (float)rng_normal(r);
}

static void fixture_deinit(fixture *f) {
  void *all[] = {f->x, f->w_scale, f->bias, f->fast, f->plain, f->bytes, f->row, f->w};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
}

static void test_twins(void **state) {
  (void)state;
  rng r;
  rng_seed(&r, 9);
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const shape *s = &shapes[i];
    fixture f;
    fixture_init(&f, s, &r);
    int8_matrix_quantise(f.x, 0, s->rows, s->in, f.bytes, f.row);
    int8_matrix_product p = {s->rows, s->in, s->out, f.bytes, f.row, f.w, f.w_scale, i % 2 ? f.bias : NULL, f.fast};
    int8_matrix_multiply(&p, 0, int8_matrix_panels(s->out));
    p.y = f.plain;
    int8_matrix_multiply_plain(&p, 0, int8_matrix_panels(s->out));
    for (size_t k = 0; k < s->rows; k++)
      for (size_t o = 0; o < s->out; o++) {
        double sum = p.bias ? p.bias[o] : 0, size = 0;
        for (size_t c = 0; c < s->in; c++) {
          double term = (double)f.x[k * s->in + c] * f.w[o * s->in + c] * f.w_scale[o];
          sum += term;
          size += term * term;
        }
        assert_near(f.fast[k * s->out + o], f.plain[k * s->out + o], 1e-6 * (1 + fabs(sum)));
        assert_near(f.fast[k * s->out + o], sum, 0.03 * sqrt(size) + 1e-4);
      }
    fixture_deinit(&f);
  }
}

/* A row of zeros, and one that has its greatest value alone. */
static void test_rows(void **state) {
  (void)state;
  float x[2][5] = {{0, 0, 0, 0, 0}, {0, -2, 3, 0, 0.01f}};
  uint8_t bytes[2][8];
  int8_row row[2];
  int8_matrix_quantise(x[0], 0, 2, 5, bytes[0], row);
  for (int r = 0; r < 2; r++)
    for (int i = 0; i < 5; i++) assert_near(row[r].scale * (float)(bytes[r][i] - row[r].zero), x[r][i], 0.011);
  assert_true(bytes[1][0] == row[1].zero && bytes[1][1] == 0 && bytes[1][2] == 255);
}

/* NaN and infinity are not hidden by bytes, and stay in their row. */
static void test_no_numbers(void **state) {
  (void)state;
  float x[3][5] = {{1, 2, NAN, 0, 1}, {0, -2, 3, 0, 1}, {-INFINITY, 1, 0, 0, 0}}, y[3][2];
  uint8_t bytes[3][8];
  int8_row row[3];
  const int8_t w[2][5] = {{1, 0, 0, 0, 0}, {3, 2, 0, 1, 9}};
  const float scale[2] = {1, 0.5f};
  int8_matrix_quantise(x[0], 0, 3, 5, bytes[0], row);
  int8_matrix_product p = {3, 5, 2, bytes[0], row, w[0], scale, NULL, y[0]};
  for (int plain = 0; plain < 2; plain++) {
    (plain ? int8_matrix_multiply_plain : int8_matrix_multiply)(&p, 0, 1);
    for (int o = 0; o < 2; o++) assert_true(isnan(y[0][o]) && isfinite(y[1][o]) && isnan(y[2][o]));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_twins), cmocka_unit_test(test_rows),
                                     cmocka_unit_test(test_no_numbers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
