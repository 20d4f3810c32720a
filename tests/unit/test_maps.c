/* The kernels for feature maps at every level that this machine has, beside plain loops. */
#include "test.h"

#include "base/memory.h"
#include "base/rng.h"
#include "math/clones.h"
#include "math/maps.h"
#include "math/maps_int8.h"
#include "math/vector.h"

enum { CHANNELS_MAX = 80, NUMBERS = 1 << 16 };
static float numbers[3][NUMBERS];

static void numbers_fill(rng *r) {
  for (int i = 0; i < 3; i++)
    for (size_t k = 0; k < NUMBERS; k++) numbers[i][k] = (float)(2 * rng_uniform(r) - 1);
}

static float clamped(double x, float low, float high) { return (float)fmin(fmax(x, low), high); }

/* To what bf16 keeps of them. */
static void round_all(float *x, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t bits = (uint32_t)bfloat_from_float(x[i]) << 16;
    memcpy(&x[i], &bits, sizeof bits);
  }
}

/* pixels, segments, depth, outs */
static void check_product(rng *r, const size_t size[4], bool add, float low, float high) {
  size_t pixels = size[0], patch = size[1] * size[2], outs = size[3], step = maps_round(outs);
  float *packed = mem_zalloc_aligned(step * patch, sizeof *packed), *y = mem_zalloc_aligned(pixels * step, sizeof *y);
  float *bias = mem_zalloc_aligned(step, sizeof *bias);
  numbers_fill(r);
  for (size_t o = 0; o < outs; o++) bias[o] = (float)rng_uniform(r);
  maps_pack(numbers[1], outs, patch, packed);
  uint16_t *small = mem_zalloc_aligned(step * patch, sizeof *small);
  maps_pack_bf16(numbers[1], outs, patch, small);
  maps_product p = {.x = numbers[0],
                    .x_step = size[2] + 2,
                    .segments = size[1],
                    .segment_step = pixels * (size[2] + 2) + 5,
                    .depth = size[2],
                    .bias = bias,
                    .panels = step / MAPS_LANES,
                    .pixels = pixels,
                    .y = y,
                    .y_step = step,
                    .add = add ? numbers[2] : NULL,
                    .add_step = step + 3,
                    .low = low,
                    .high = high};
  for (int run = 0; run < 2 * VECTOR_LEVEL_COUNT; run++) { /* in float32, then in bf16 */
    int level = run % VECTOR_LEVEL_COUNT;
    if (maps_kernels_at(level) == NULL) continue;
    p.weight = run < VECTOR_LEVEL_COUNT ? packed : NULL;
    p.weight_bf16 = run < VECTOR_LEVEL_COUNT ? NULL : small;
    if (run == VECTOR_LEVEL_COUNT) round_all(numbers[1], outs * patch);
    memset(y, 0, pixels * step * sizeof *y);
    maps_kernels_at(level)->multiply(&p);
    for (size_t i = 0; i < pixels; i++)
      for (size_t o = 0; o < outs; o++) {
        double sum = bias[o] + (add ? p.add[i * p.add_step + o] : 0);
        for (size_t k = 0; k < patch; k++)
          sum += (double)numbers[1][o * patch + k] * p.x[k / size[2] * p.segment_step + i * p.x_step + k % size[2]];
        assert_near(y[i * step + o], clamped(sum, low, high), 2e-5);
      }
  }
  mem_free(packed);
  mem_free(small);
  mem_free(bias);
  mem_free(y);
}

static void test_products(void **state) {
  (void)state;
  static const size_t sizes[][4] = {{1, 1, 7, 16},  {14, 1, 32, 32}, {29, 1, 24, 48}, {49, 1, 40, 80},
                                    {27, 1, 16, 5}, {13, 3, 9, 32},  {2, 3, 3, 33},   {6, 1, 100, 17}};
  rng r;
  rng_seed(&r, 5);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    check_product(&r, sizes[i], false, -INFINITY, INFINITY);
    check_product(&r, sizes[i], true, 0, 1);
  }
}

static void check_window(rng *r, size_t width, size_t channels, size_t stride, size_t before, int missing) {
  size_t out = (width + stride - 1) / stride;
  float *y = mem_zalloc_aligned(out * channels, sizeof *y);
  numbers_fill(r);
  maps_window w = {{numbers[0], numbers[0] + width * channels, numbers[0] + 2 * width * channels},
                   width,
                   channels,
                   stride,
                   before,
                   out,
                   numbers[1],
                   numbers[2],
                   y,
                   -0.5f,
                   6};
  if (missing >= 0) w.row[missing] = NULL;
  for (int level = 0; level < VECTOR_LEVEL_COUNT; level++) {
    if (maps_kernels_at(level) == NULL) continue;
    memset(y, 0, out * channels * sizeof *y);
    maps_kernels_at(level)->slide(&w);
    for (size_t i = 0; i < out; i++)
      for (size_t c = 0; c < channels; c++) {
        double sum = w.bias[c];
        for (size_t k = 0; k < 9; k++) {
          size_t at = i * stride + k % 3 - before;
          if (w.row[k / 3] != NULL && at < width)
            sum += (double)w.row[k / 3][at * channels + c] * w.weight[k * channels + c];
        }
        assert_near(y[i * channels + c], clamped(sum, w.low, w.high), 1e-5);
      }
  }
  mem_free(y);
}

static void test_windows(void **state) {
  (void)state;
  rng r;
  rng_seed(&r, 6);
  for (size_t width = 1; width <= 13; width++)
    for (size_t stride = 1; stride <= 2; stride++)
      for (size_t before = 0; before <= 1; before++)
        check_window(&r, width, width % 2 ? 16 : CHANNELS_MAX, stride, before, (int)(width + stride) % 4 - 1);
}

/* Codes of a window, of any level, are the rounded values. */
static void test_window_codes(void **state) {
  (void)state;
  enum { WIDTH = 9, CHANNELS = 32 };
  static float y[WIDTH * CHANNELS];
  static uint8_t codes[WIDTH * CHANNELS];
  rng r;
  rng_seed(&r, 7);
  numbers_fill(&r);
  maps_window w = {{numbers[0], numbers[0] + 500, numbers[0] + 1000},
                   WIDTH,
                   CHANNELS,
                   1,
                   1,
                   WIDTH,
                   numbers[1],
                   numbers[2],
                   y,
                   0,
                   1,
                   NULL,
                   255};
  for (int level = 0; level < VECTOR_LEVEL_COUNT; level++) {
    if (maps_kernels_at(level) == NULL) continue;
    w.codes = NULL;
    maps_kernels_at(level)->slide(&w);
    w.codes = codes;
    maps_kernels_at(level)->slide(&w);
    for (size_t i = 0; i < WIDTH * CHANNELS; i++) assert_near(codes[i], y[i] * 255, 0.501);
  }
}

/* Products in int8: the fast way gives what the plain one does, and both are near the product of the numbers. */
static void check_int8(rng *r, size_t pixels, size_t depth, size_t outs, bool add) {
  size_t all = maps_round(outs), step = maps_round(depth);
  float *x = mem_zalloc_aligned(pixels * step, sizeof *x), *y = mem_zalloc_aligned(2 * pixels * all, sizeof *y);
  float *scale = mem_zalloc_aligned(pixels + 2 * all, sizeof *scale), *bias = scale + pixels + all;
  uint8_t *codes = mem_zalloc_aligned(pixels * step, 1);
  int8_t *packed = mem_zalloc_aligned(all * depth, 1);
  int32_t *sum = mem_zalloc_aligned(all, sizeof *sum);
  numbers_fill(r);
  for (size_t i = 0; i < pixels; i++) /* the first pixel is all zeros */
    for (size_t k = 0; k < depth; k++) x[i * step + k] = i == 0 ? 0 : numbers[0][i * depth + k] * (float)(i + 1);
  maps_int8_pack(numbers[1], outs, depth, packed, scale + pixels, sum);
  maps_int8_quantise(x, step, pixels, depth, codes, step, scale);
  maps_product_int8 p = {codes,   step,   depth,
                         pixels,  128,    scale,
                         0,       packed, scale + pixels,
                         sum,     bias,   all / MAPS_LANES,
                         y,       all,    add ? numbers[2] : NULL,
                         all + 1, -5,     50};
  maps_int8_multiply(&p);
  p.y = y + pixels * all;
  maps_int8_multiply_plain(&p);
  for (size_t i = 0; i < pixels; i++)
    for (size_t o = 0; o < outs; o++) {
      double exact = add ? numbers[2][i * (all + 1) + o] : 0;
      for (size_t k = 0; k < depth; k++) exact += (double)numbers[1][o * depth + k] * x[i * step + k];
      assert_near(y[i * all + o], p.y[i * all + o], 1e-4);
      assert_near(y[i * all + o], clamped(exact, -5, 50), 0.02 * (double)(i + 1) * sqrt((double)depth));
    }
  mem_free(x);
  mem_free(y);
  mem_free(scale);
  mem_free(codes);
  mem_free(packed);
  mem_free(sum);
}

static void test_int8(void **state) {
  (void)state;
  rng r;
  rng_seed(&r, 8);
  if (!maps_int8_is_fast()) printf("this machine has no VNNI: the plain way beside itself\n");
  check_int8(&r, 29, 32, 48, false);
  check_int8(&r, 14, 16, 32, true);
  check_int8(&r, 3, 100, 17, true);
  check_int8(&r, 50, 24, 5, false);
}

static void test_clamp_keeps_no_number(void **state) {
  (void)state;
  static float x[1] = {NAN}, weight[16], bias[16], y[16];
  for (int i = 0; i < 16; i++) weight[i] = 1;
  maps_product p = {x, 1, 1, 0, 1, weight, NULL, bias, 1, 1, y, 16, NULL, 0, 0, 6};
  for (int level = 0; level < VECTOR_LEVEL_COUNT; level++) {
    if (maps_kernels_at(level) == NULL) continue;
    maps_kernels_at(level)->multiply(&p);
    assert_true(isnan(y[0]));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_products),
      cmocka_unit_test(test_windows),
      cmocka_unit_test(test_window_codes),
      cmocka_unit_test(test_int8),
      cmocka_unit_test(test_clamp_keeps_no_number),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
