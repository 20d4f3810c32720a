/* The ops in float32: values and gradients against PyTorch's (tests/golden/make_nn_ops.py), sentences for shapes that
 * do not fit, memory. That gradients are gradients: test_nn_gradients.c. */
#include "test.h"

#include <float.h>

#include "base/memory.h"
#include "base/rng.h"
#include "math/vector.h"
#include "nn/op_kind.h"
#include "nn/precision.h"
#include "nn/rows.h"
#include "nn_golden.h"
#include "nn_rows.h"

/* ---- the functions of nn/real.h against <math.h> ---- */

static void test_real_functions(void **state) {
  (void)state;
  for (double x = -110; x < 88.7; x += 0.0173) {
    float f = (float)x;
    double e = exp(f);
    assert_near(real_exp(f), (float)e, e > FLT_MIN ? 3e-7 * e : 1e-44);
    if (x <= 88) assert_near(real_exp_shifted(f), x < -87 ? 0 : (float)e, 3e-7 * e + 2e-38);
    assert_near(real_tanh(f / 10), tanh(f / 10), 4e-7 * (fabs(tanh(f / 10)) + 1e-3));
    assert_near(real_erf(f / 20), erf(f / 20), 4e-7);
    assert_near(real_sigmoid(f), 1 / (1 + exp(-(double)f)), 3e-7);
    assert_near(real_softplus(f), f > 0 ? f + log1p(exp(-(double)f)) : log1p(e),
                1e-40 + 4e-7 * (log1p(e) + fabs(f > 0 ? f : 0)));
  }
  for (double x = 1e-37; x < 1e38; x *= 1.037)
    assert_near(real_log((float)x), log((float)x), 2e-7 * (1 + fabs(log(x))));
  assert_true(real_exp(89) == INFINITY && real_exp(-200) == 0 && isnan(real_exp(NAN)) && real_exp(0) == 1);
  assert_true(real_exp_shifted(-INFINITY) == 0 && real_exp_shifted(-8.8e6f) == 0 && isnan(real_exp_shifted(NAN)) &&
              real_exp_shifted(0) == 1);
  assert_true(real_log(0) == -INFINITY && isnan(real_log(-1)) && isnan(real_log(NAN)) &&
              real_log(INFINITY) == INFINITY);
  assert_true(real_tanh(50) == 1 && real_tanh(-50) == -1 && isnan(real_tanh(NAN)));
}

/* ---- rows by registers against rows by the plain loop (nn/rows.h) ---- */

enum { SHORT_ROWS = 3, SHORT_STEP = 160 };

static bool same(float a, float b, float by) {
  return (isnan(a) && isnan(b)) || a == b || fabsf(a - b) <= by * (1e-6f + fabsf(b));
}

/* Scores of which a seventh is masked, and in the last row one that is no number. */
static void short_rows_fill(rng *r, size_t width, float *x) {
  for (size_t i = 0; i < (size_t)SHORT_ROWS * SHORT_STEP; i++)
    x[i] = rng_below(r, 7) == 0 ? -INFINITY : (float)(rng_uniform(r) * 60 - 30);
  for (size_t i = 0; i < width; i++) x[SHORT_STEP + i] = -INFINITY;
  if (width > 1) x[2 * SHORT_STEP + rng_below(r, width)] = NAN;
}

static void test_short_rows(void **state) {
  (void)state;
  static float x[SHORT_ROWS * SHORT_STEP], y[SHORT_ROWS * SHORT_STEP];
  rng r;
  rng_seed(&r, 5);
  for (size_t width = 0; width <= SHORT_STEP - 16; width++) {
    float most[2][SHORT_ROWS], sum[2][SHORT_ROWS], mean[2], variance[2];
    for (int i = 0; i < SHORT_ROWS; i++) most[0][i] = most[1][i] = width % 2 == 0 ? -INFINITY : 3;
    short_rows_fill(&r, width, x);
    memcpy(y, x, sizeof x);
    rows_soften(x, SHORT_STEP, SHORT_ROWS, width, most[0], sum[0]);
    rows_soften_plain(y, SHORT_STEP, SHORT_ROWS, width, most[1], sum[1]);
    for (size_t i = 0; i < SHORT_ROWS; i++) {
      assert_true(most[0][i] == most[1][i] && same(sum[0][i], sum[1][i], 3e-6f));
      for (size_t k = 0; k < width; k++) assert_true(same(x[i * SHORT_STEP + k], y[i * SHORT_STEP + k], 1e-6f));
      assert_true(i != 1 || width == 0 || (x[SHORT_STEP] == 0 && sum[0][1] == 0));
    }
    if (width == 0) continue;
    for (size_t k = 0; k < width; k++) y[k] = (float)rng_uniform(&r) - 3;
    row_moments(y, width, &mean[0], &variance[0]);
    row_moments_plain(y, width, &mean[1], &variance[1]);
    assert_true(same(mean[0], mean[1], 1e-6f) && same(variance[0], variance[1], 1e-5f));
  }
}

/* ---- golden numbers ---- */

static const tensor_view *part(const safetensors *s, const char *name, const char *field) {
  char full[SAFETENSORS_NAME_MAX];
  snprintf(full, sizeof full, "%s.%s", name, field);
  return safetensors_get(s, full);
}

static size_t *sizes(const tensor_view *v, size_t shape[TENSOR_RANK_MAX]) {
  for (int d = 0; d < v->rank; d++) shape[d] = (size_t)v->shape[d];
  return shape;
}

static void golden_run(tape *t, const safetensors *s, const nn_row *row) {
  medley_error error = {0};
  tensor *x[NN_ROW_INPUTS_MAX] = {0};
  size_t shape[TENSOR_RANK_MAX];
  const tensor_view *v;
  char field[8];
  for (int i = 0;
       i < NN_ROW_INPUTS_MAX && (snprintf(field, sizeof field, "x%d", i), (v = part(s, row->name, field)) != NULL); i++)
    x[i] = v->dtype == DTYPE_I32 ? tape_indices(t, v->rank, sizes(v, shape), v->data)
                                 : tape_variable(t, v->rank, sizes(v, shape), (real *)(uintptr_t)v->data);
  const tensor_view *want = part(s, row->name, "y"), *dy = part(s, row->name, "dy");
  tensor *y = row->build(t, x);
  assert_ok(tape_status(t, &error));
  if (y->rank != want->rank || y->count != want->count) {
    char text[TENSOR_TEXT_MAX];
    fail_msg("%s: the result is %s", row->name, tensor_text(y, text));
  }
  nn_golden_compare(row->name, "value", real_data(y), want, 2e-6);
  tensor *w = tape_input(t, 2, (size_t[]){y->count, 1}, dy->data);
  tensor *loss = op_matmul(t, op_reshape(t, y, 2, (size_t[]){1, y->count}), w);
  assert_ok(tape_backward(t, loss, &error));
  for (int i = 0; i < NN_ROW_INPUTS_MAX && x[i] != NULL; i++) {
    snprintf(field, sizeof field, "d%d", i);
    v = part(s, row->name, field);
    if (v != NULL && x[i]->has_gradient) nn_golden_compare(row->name, field, x[i]->gradient, v, 2e-6);
    for (uint64_t k = 0; v != NULL && !x[i]->has_gradient && k < v->count; k++)
      if (((const float *)v->data)[k] != 0) fail_msg("%s: %s has no gradient", row->name, field);
  }
  tape_reset(t);
}

static void test_golden(void **state) {
  (void)state;
  safetensors s;
  nn_golden_open(&s, "nn_ops.safetensors");
  tape *t = tape_create(1);
  for (const nn_row *row = nn_rows; row->name != NULL; row++) {
    if (part(&s, row->name, "y") != NULL)
      golden_run(t, &s, row);
    else if (!row->training_only)
      fail_msg("%s has no golden numbers: add it to tests/golden/make_nn_ops.py", row->name);
  }
  for (size_t i = 0; i < s.count; i++) {
    char name[SAFETENSORS_NAME_MAX];
    snprintf(name, sizeof name, "%s", s.tensors[i].name);
    *strrchr(name, '.') = 0;
    if (nn_row_find(name) == NULL) fail_msg("golden numbers %s belong to no row", name);
  }
  tape_free(t);
  safetensors_close(&s);
}

/* ---- the tape ---- */

/* A small network over fixed numbers; long enough to be worth several threads in its widest op. */
static tensor *network(tape *t, const real *numbers, real *weights) {
  tensor *x = tape_input(t, 2, (size_t[]){64, 96}, numbers);
  tensor *w = tape_variable(t, 2, (size_t[]){600, 96}, weights);
  tensor *bias = tape_variable(t, 1, (size_t[]){600}, weights + 600 * 96);
  tensor *h = op_gelu(t, op_linear(t, x, w, bias));
  h = op_add(t, h, op_mul(t, h, bias));
  tensor *row = tape_input(t, 2, (size_t[]){1, 64}, numbers), *column = tape_input(t, 2, (size_t[]){600, 1}, numbers);
  tensor *loss = op_matmul(t, op_matmul(t, row, h), column);
  return op_reshape(t, loss, 0, NULL);
}

static real numbers[64 * 96], weights[600 * 97];

static void numbers_fill(void) {
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) numbers[i] = (real)sin((double)i);
  for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) weights[i] = (real)(0.1 * cos((double)i));
}

static void test_warm_tape(void **state) {
  (void)state;
  medley_error error = {0};
  numbers_fill();
  tape *t = tape_create(1);
  double first = 0;
  for (int step = 0; step < 4; step++) {
#ifdef MEDLEY_FAULTS
    memory_fault_after(step >= 2 ? 1 : 0);
#endif
    tensor *loss = network(t, numbers, weights);
    assert_ok(tape_backward(t, loss, &error));
    if (step == 0) first = tape_value(loss);
    assert_true(tape_value(loss) == first);
    assert_true(tape_step(t) == (uint64_t)step);
    tape_reset(t);
  }
#ifdef MEDLEY_FAULTS
  assert_false(memory_fault_struck());
  memory_fault_after(0);
#endif
  /* activations are 3 x [64, 600]; their gradients take the place of those that are through */
  assert_true(tape_peak_bytes(t) < 6 * 64 * 600 * sizeof(real) + 3 * 600 * 97 * sizeof(real));
  tape_free(t);
}

#ifdef MEDLEY_FAULTS
static void test_nth_allocation(void **state) {
  (void)state;
  numbers_fill();
  bool struck = true;
  for (long n = 1; struck; n++) {
    medley_error error = {0};
    memory_fault_after(n);
    tape *t = tape_create(1);
    medley_status status = MEDLEY_ERR_MEMORY;
    if (t != NULL) status = tape_backward(t, network(t, numbers, weights), &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    tape_free(t);
  }
}
#endif

/* ---- edges ---- */

/* What is no number stays none, as in PyTorch. */
static void test_nan_stays(void **state) {
  (void)state;
  medley_error error = {0};
  real left[] = {NAN, 1, 3, -0.5f}, right[] = {2, NAN, -1, -0.5f};
  real rows[] = {1, NAN, 7, NAN, 2, 3, 1, 2, 5};
  tape *t = tape_create(1);
  tensor *a = tape_variable(t, 1, (size_t[]){4}, left), *b = tape_variable(t, 1, (size_t[]){4}, right);
  const real *most = real_data(op_maximum(t, a, b)), *least = real_data(op_minimum(t, a, b));
  for (int i = 0; i < 2; i++) assert_true(isnan(most[i]) && isnan(least[i]));
  assert_true(most[2] == 3 && least[2] == -1 && most[3] == -0.5f);
  const tensor *relu = tape_keep(op_relu(t, a));
  const real *y = real_data(relu);
  assert_true(isnan(y[0]) && y[1] == 1 && y[3] == 0);
  const real *max = real_data(op_max(t, tape_input(t, 2, (size_t[]){3, 3}, rows), 1));
  assert_true(isnan(max[0]) && isnan(max[1]) && max[2] == 5);
  assert_ok(tape_status(t, &error));
  tape_reset(t);
  a = tape_variable(t, 1, (size_t[]){4}, left);
  assert_ok(tape_backward(t, op_sum(t, op_relu(t, a), OP_ALL), &error));
  assert_true(a->gradient[0] == 1 && a->gradient[1] == 1 && a->gradient[3] == 0);
  tape_free(t);
}

/* A row that is masked all over: no probability, and the logarithm of none. */
static void test_masked_row(void **state) {
  (void)state;
  medley_error error = {0};
  real x[] = {-INFINITY, -INFINITY, 0, 0};
  tape *t = tape_create(1);
  tensor *in = tape_variable(t, 2, (size_t[]){2, 2}, x), *y = tape_keep(op_log_softmax(t, in));
  assert_true(real_data(y)[0] == -INFINITY && real_data(y)[1] == -INFINITY);
  assert_near(real_data(y)[2], -log(2), 1e-6);
  const int32_t targets[] = {1, 0};
  assert_true(isnan(tape_value(op_cross_entropy(t, in, tape_indices(t, 1, (size_t[]){2}, targets), 0))));
  assert_ok(tape_backward(t, op_sum(t, op_softmax(t, in), OP_ALL), &error));
  for (int i = 0; i < 4; i++) assert_near(in->gradient[i], 0, 1e-6);
  tape_free(t);
}

/* Single rows with the stride of a column, and batches of none. */
static void test_matmul_edges(void **state) {
  (void)state;
  medley_error error = {0};
  enum { K = 40, N = 7 };
  static real x[K], w[K * N];
  for (size_t i = 0; i < K; i++) x[i] = (real)i - 11;
  for (size_t i = 0; i < K * N; i++) w[i] = (real)(i % 13) - 5;
  tape *t = tape_create(1);
  tensor *column = tape_variable(t, 3, (size_t[]){1, K, 1}, x), *right = tape_variable(t, 2, (size_t[]){K, N}, w);
  tensor *y = tape_keep(op_matmul(t, op_transpose(t, column), right));
  assert_ok(tape_backward(t, op_sum(t, y, OP_ALL), &error));
  for (size_t n = 0; n < N; n++) {
    double sum = 0;
    for (size_t k = 0; k < K; k++) sum += (double)x[k] * w[k * N + n];
    assert_near(real_data(y)[n], sum, 1e-3);
  }
  for (size_t k = 0; k < K; k++) {
    double sum = 0;
    for (size_t n = 0; n < N; n++) sum += w[k * N + n];
    assert_near(column->gradient[k], sum, 1e-3);
    assert_near(right->gradient[k * N], x[k], 0);
  }
  tape_reset(t);
  tensor *left = tape_variable(t, 2, (size_t[]){3, K / 4}, x), *none = tape_input(t, 3, (size_t[]){0, K / 4, N}, w);
  assert_ok(tape_backward(t, op_sum(t, op_matmul(t, left, none), OP_ALL), &error));
  for (size_t i = 0; i < left->count; i++) assert_true(left->gradient[i] == 0);
  tape_free(t);
}

static void test_inference(void **state) {
  (void)state;
  medley_error error = {0};
  numbers_fill();
  tape *t = tape_create(1);
  double trained = tape_value(network(t, numbers, weights));
  tape_reset(t);
  tape_set_training(t, false);
  assert_false(tape_is_training(t));
  size_t mark = tape_mark(t);
  tensor *loss = network(t, numbers, weights);
  assert_null(loss->maker);
  tape_release(t, mark, loss);
  assert_true(tape_value(loss) == trained);
  size_t peak = tape_peak_bytes(t);
  for (int k = 0; k < 5; k++) {
    mark = tape_mark(t);
    loss = network(t, numbers, weights);
    tape_release(t, mark, loss);
  }
  assert_true(tape_peak_bytes(t) < peak + 4096);
  assert_refused(tape_backward(t, loss, &error), MEDLEY_ERR_INPUT, "the loss depends on no parameter");
  tape_free(t);
}

/* ---- weights that are not real ---- */

static void test_linear_dtypes(void **state) {
  (void)state;
  enum { OUT = 70, IN = 2000, ROWS = 3 };
  medley_error error = {0};
  static const tensor_dtype dtypes[] = {DTYPE_F16, DTYPE_BF16, DTYPE_I8};
  real *x = mem_alloc(ROWS * IN, sizeof(real)), *w = mem_alloc(OUT * IN, sizeof(real));
  uint16_t *half = mem_alloc(OUT * IN, 2);
  int8_t *byte = mem_alloc(OUT * IN, 1);
  float scale[OUT];
  tape *t = tape_create(1);
  for (size_t k = 0; k < sizeof dtypes / sizeof *dtypes; k++) {
    for (size_t i = 0; i < ROWS * IN; i++) x[i] = (real)sin((double)i);
    for (size_t i = 0; i < OUT * IN; i++) { /* numbers that each type holds exactly */
      byte[i] = (int8_t)(i * 37 % 255 - 127);
      scale[i / IN] = dtypes[k] == DTYPE_I8 ? 0.01f * (float)(i / IN + 1) : 0.0625f;
      w[i] = (real)byte[i] * scale[i / IN];
      float exact = (float)w[i];
      uint32_t bits;
      memcpy(&bits, &exact, sizeof bits);
      half[i] = (uint16_t)(bits >> 16);
      if (dtypes[k] == DTYPE_F16) half_from_float(&half[i], &exact, 1);
    }
    tensor stored;
    tensor_init(&stored, dtypes[k], 2, (size_t[]){OUT, IN}, dtypes[k] == DTYPE_I8 ? (void *)byte : half);
    stored.scale = scale;
    tensor *a = tape_variable(t, 2, (size_t[]){ROWS, IN}, x), *b = tape_variable(t, 2, (size_t[]){ROWS, IN}, x);
    tensor *plain = tape_input(t, 2, (size_t[]){OUT, IN}, w);
    tensor *y = op_linear(t, a, &stored, NULL), *z = op_linear(t, b, plain, NULL);
    assert_ok(tape_status(t, &error));
    for (size_t i = 0; i < ROWS * OUT; i++) assert_near(real_data(y)[i], real_data(z)[i], 1e-2);
    tensor *gap = op_matmul(t, op_reshape(t, op_mul(t, y, y), 2, (size_t[]){1, ROWS * OUT}),
                            tape_input(t, 2, (size_t[]){ROWS * OUT, 1}, x));
    tensor *same = op_matmul(t, op_reshape(t, op_mul(t, z, z), 2, (size_t[]){1, ROWS * OUT}),
                             tape_input(t, 2, (size_t[]){ROWS * OUT, 1}, x));
    assert_ok(tape_backward(t, op_add(t, gap, same), &error));
    for (size_t i = 0; i < ROWS * IN; i++)
      assert_near(a->gradient[i], b->gradient[i], 1e-4 * (1e3 + fabs(b->gradient[i])));
    tape_reset(t);
  }
  tape_free(t);
  mem_free(x);
  mem_free(w);
  mem_free(half);
  mem_free(byte);
}

/* A weight in the precision, beside the reals that it stands for. */
typedef struct narrow_weight {
  tensor stored;
  real wide[4096];
  uint8_t data[4096 * 2];
  float scale[256];
} narrow_weight;

static void narrow_weight_fill(narrow_weight *w, weight_precision precision, int rank, const size_t *shape) {
  float from[4096];
  tensor_init(&w->stored, precision_dtype(precision), rank, shape, w->data);
  assert_true(w->stored.count <= 4096 && shape[0] <= 256);
  for (size_t i = 0; i < w->stored.count; i++) from[i] = sinf((float)(i * i % 977));
  precision_narrow(precision, from, shape[0], w->stored.count / shape[0], w->data, w->scale);
  w->stored.scale = precision == WEIGHT_INT8 ? w->scale : NULL;
  op_weight_rows(&w->stored, 0, shape[0], w->wide);
}

/* Convolutions and GRU with weights in fewer bits: value and gradient are those of the widened weights; where nothing
 * learns and the processor has int8 products, nearly. */
static void test_narrow_weights(void **state) {
  (void)state;
  medley_error error = {0};
  static narrow_weight kernel, line, input, hidden;
  static real x[2 * 5 * 9 * 8];
  for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (real)cos((double)i);
  int32_t lengths[] = {9, 4};
  tape *t = tape_create(1);
  for (int answers = 0; answers < 2; answers++)
    for (int k = WEIGHT_BF16; k <= WEIGHT_INT8; k++) {
      tape_set_training(t, !answers);
      narrow_weight_fill(&kernel, (weight_precision)k, 4, (size_t[]){6, 5, 3, 3});
      narrow_weight_fill(&line, (weight_precision)k, 3, (size_t[]){4, 5, 3});
      narrow_weight_fill(&input, (weight_precision)k, 2, (size_t[]){48, 40});
      narrow_weight_fill(&hidden, (weight_precision)k, 2, (size_t[]){48, 16});
      tensor *said[2][3], *seen[2];
      for (int wide = 0; wide < 2; wide++) {
        tensor *a = seen[wide] = tape_variable(t, 4, (size_t[]){2, 5, 9, 8}, x);
        tensor *w[4];
        narrow_weight *const of[] = {&kernel, &line, &input, &hidden};
        for (int i = 0; i < 4; i++)
          w[i] = wide ? tape_input(t, of[i]->stored.rank, of[i]->stored.shape, of[i]->wide) : &of[i]->stored;
        said[wide][0] = op_conv2d(t, a, w[0], NULL, &(conv_options){.stride = {2, 1}, .pad = {1, 1}});
        said[wide][1] = op_conv1d(t, op_reshape(t, a, 3, (size_t[]){2, 5, 72}), w[1], NULL, NULL);
        tensor *rows = op_reshape(t, op_permute(t, a, (const int[]){0, 2, 1, 3}), 3, (size_t[]){2, 9, 40});
        said[wide][2] = op_gru(t, rows, &(recurrent_weights){.input = w[2], .hidden = w[3]},
                               &(recurrent_options){.lengths = tape_indices(t, 1, (size_t[]){2}, lengths)});
      }
      assert_ok(tape_status(t, &error));
      for (int i = 0; i < 3; i++)
        for (size_t n = 0; n < said[0][i]->count; n++)
          assert_near(real_data(said[0][i])[n], real_data(said[1][i])[n], answers && i == 2 ? 0.05 : 1e-5);
      tensor *sum = NULL;
      for (int i = 0; i < 6; i++) {
        tensor *each = op_sum(t, op_square(t, said[i / 3][i % 3]), OP_ALL);
        sum = sum == NULL ? each : op_add(t, sum, each);
      }
      if (!answers) {
        assert_ok(tape_backward(t, sum, &error));
        for (size_t n = 0; n < sizeof x / sizeof *x; n++)
          assert_near(seen[0]->gradient[n], seen[1]->gradient[n], 1e-3 * (1 + fabs(seen[1]->gradient[n])));
      }
      tape_reset(t);
    }
  tape_free(t);
}

/* ---- sentences ---- */

#define REFUSED(expression, words)                                                                      \
  do {                                                                                                  \
    assert_null(expression);                                                                            \
    assert_refused(tape_status(t, &error), MEDLEY_ERR_INPUT, words);                                    \
    assert_null(op_add(t, a, a)); /* nothing more happens, the sentence stays */                        \
    assert_refused(tape_backward(t, NULL, &error), MEDLEY_ERR_INPUT, words);                            \
    tape_reset(t);                                                                                      \
    a = tape_variable(t, 2, (size_t[]){32, 384}, big), b = tape_input(t, 2, (size_t[]){512, 384}, big); \
  } while (0)

static void test_refusals(void **state) {
  (void)state;
  medley_error error = {0};
  static real big[512 * 384];
  static int32_t index[8];
  sparse no_links = {2, 3, (uint64_t[]){0, 0, 0}, (uint32_t[]){0}, (float[]){0}};
  tape *t = tape_create(1);
  tensor *a = tape_variable(t, 2, (size_t[]){32, 384}, big), *b = tape_input(t, 2, (size_t[]){512, 384}, big);
  REFUSED(op_matmul(t, a, b), "matmul: left is [32, 384], right is [512, 384]: inner dimensions 384 and 512 differ");
  REFUSED(op_matmul(t, op_reshape(t, a, 3, (size_t[]){2, 16, 384}), op_reshape(t, b, 3, (size_t[]){4, 384, 128})),
          "batch dimensions 2 and 4 differ");
  REFUSED(op_matmul(t, a, op_reshape(t, b, 1, (size_t[]){0})), "each needs at least 2 dimensions");
  REFUSED(op_linear(t, a, op_transpose(t, b), NULL), "linear: input is [32, 384], weight is [384, 512]");
  REFUSED(op_linear(t, a, b, tape_input(t, 1, (size_t[]){384}, big)), "bias is [384], which must be [512]");
  REFUSED(op_add(t, a, b), "add: left is [32, 384], right is [512, 384]: dimension 2 from the end is 32 and 512");
  REFUSED(op_add(t, a, NULL), "add: operand 2 is missing");
  REFUSED(op_relu(t, tape_indices(t, 1, (size_t[]){8}, index)), "relu: operand 1 has elements of type I32");
  REFUSED(op_reshape(t, a, 2, (size_t[]){100, 100}),
          "reshape: [32, 384] has 12288 elements, which do not fill [100, 100]");
  REFUSED(op_reshape(t, a, 2, (size_t[]){0, 0}), "do not fill");
  REFUSED(op_reshape(t, a, 2, (size_t[]){0, 1000}), "do not fill");
  REFUSED(op_reshape(t, a, 6, (size_t[]){2, 2, 2, 2, 2, 384}), "cannot have 6 dimensions");
  REFUSED(op_permute(t, a, (int[]){0, 0}), "permute: dimension 0 at place 1");
  REFUSED(op_transpose(t, op_reshape(t, a, 1, (size_t[]){0})), "fewer than 2 dimensions");
  REFUSED(op_slice(t, a, 2, 0, 1), "has no dimension 2");
  REFUSED(op_slice(t, a, 1, 380, 5), "slice: 5 elements from 380 on are not within dimension 1 of [32, 384]");
  REFUSED(op_concat(t, (tensor *[]){a, b}, 2, 1), "operand 1 is [32, 384], operand 2 is [512, 384]: only dimension 1");
  REFUSED(op_concat(t, &a, 0, 0), "concat: 0 operands");
  REFUSED(tape_empty(t, 2, (size_t[]){SIZE_MAX / 2, 4}), "more elements than memory can hold");
  size_t three = 3;
  REFUSED(op_sum(t, a, 2), "sum: [32, 384] has no dimension 2");
  REFUSED(op_mean(t, op_slice(t, a, 0, 0, 0), 0), "mean: there is nothing along the dimension of [0, 384]");
  REFUSED(op_softmax(t, op_sum(t, a, OP_ALL)), "softmax: one number has no last dimension");
  REFUSED(op_layer_norm(t, a, tape_input(t, 1, &three, big), NULL, 1e-5),
          "layer_norm: input is [32, 384], weight is [3], which must be [384]");
  REFUSED(op_layer_norm(t, a, NULL, tape_input(t, 1, &three, big), 1e-5), "a bias without a weight");
  REFUSED(op_group_norm(t, a, 5, NULL, NULL, 1e-5), "the 384 channels of [32, 384] are not divided by 5 groups");
  REFUSED(op_group_norm(t, a, 0, NULL, NULL, 1e-5), "0 groups");
  REFUSED(op_group_norm(t, op_sum(t, a, 0), 1, NULL, NULL, 1e-5), "group_norm: [384] has no channels");
  REFUSED(op_batch_norm(t, a,
                        &(batch_norm_options){.running_mean = tape_input(t, 1, &three, big),
                                              .running_variance = tape_input(t, 1, &three, big)}),
          "batch_norm: input is [32, 384], the running mean is [3], which must be [384]");
#define PICTURE(x) op_reshape(t, x, 4, (size_t[]){2, 4, 32, 48})
#define KERNEL(...) tape_input(t, 4, (size_t[]){__VA_ARGS__}, big)
#define CONV(...) (&(conv_options){__VA_ARGS__})
#define POOL(...) (&(pool_options){__VA_ARGS__})
  REFUSED(op_conv2d(t, a, KERNEL(4, 4, 3, 3), NULL, NULL),
          "conv2d: input is [32, 384], weight is [4, 4, 3, 3]: both have 4 dim");
  REFUSED(op_conv1d(t, a, KERNEL(4, 4, 3, 3), NULL, NULL), "both have 3 dimensions, [n, channels, length]");
  REFUSED(op_conv2d(t, PICTURE(a), KERNEL(4, 3, 3, 3), NULL, NULL),
          "conv2d: input is [2, 4, 32, 48], weight is [4, 3, 3, 3]: 4 channels in 1 groups are 4 each, not 3");
  REFUSED(op_conv2d(t, PICTURE(a), KERNEL(5, 2, 3, 3), NULL, CONV(.groups = 2)),
          "its 5 outputs are not divided by 2 groups");
  REFUSED(op_conv2d(t, PICTURE(a), KERNEL(4, 4, 3, 3), a, NULL), "bias is [32, 384], which must be [4]");
  REFUSED(op_conv2d(t, PICTURE(a), KERNEL(0, 4, 3, 3), NULL, NULL), "nothing to do");
  REFUSED(op_conv2d(t, PICTURE(a), KERNEL(4, 4, 33, 3), NULL, NULL),
          "conv2d: the window spans 33, the height of the input is 32 with padding");
  REFUSED(op_conv2d(t, PICTURE(a), KERNEL(4, 4, 3, 3), NULL, CONV(.dilation = {1, 24})),
          "conv2d: the window spans 49, the width of the input is 48 with padding");
  REFUSED(op_conv2d(t, PICTURE(a), KERNEL(4, 4, 3, 3), NULL, CONV(.stride = {2}, .padding = PADDING_SAME)),
          "\"same\" padding goes with a stride of 1, not 2");
  REFUSED(op_conv2d(t, PICTURE(a), KERNEL(4, 4, 3, 3), NULL, CONV(.pad = {2}, .padding = PADDING_SAME_TF)),
          "padding by 2 and \"same\" padding exclude each other");
  REFUSED(op_conv2d(t, PICTURE(a), KERNEL(4, 4, 3, 3), NULL, CONV(.stride = {SIZE_MAX})),
          "cannot move along a height of 32");
  REFUSED(op_max_pool2d(t, PICTURE(a), POOL(.pad = {1})), "max_pool2d: a window of 0");
  REFUSED(op_max_pool2d(t, PICTURE(a), POOL(.kernel = {2, 3}, .pad = {1, 2})),
          "max_pool2d: padding by 2 is more than half of the window's width of 3");
  REFUSED(op_average_pool1d(t, PICTURE(a), POOL(.kernel = {2})),
          "average_pool1d: input is [2, 4, 32, 48], which must be");
  REFUSED(op_global_average_pool(t, a), "global_average_pool: input is [32, 384], which must be [n, channels, ...]");
  REFUSED(op_dropout(t, a, 1), "a share of 1 cannot fall");
  REFUSED(op_embedding(t, a, tape_indices(t, 1, &three, (int32_t[]){1, 0, 32})),
          "embedding: index 32 at 2 is not below 32");
  REFUSED(op_embedding(t, a, b), "embedding: the indices have elements of type F32, not I32");
  REFUSED(op_embedding(t, a, NULL), "embedding: the indices are missing");
  REFUSED(op_embedding(t, op_reshape(t, a, 4, (size_t[]){4, 8, 8, 48}),
                       tape_indices(t, 3, (size_t[]){1, 1, 3}, (int32_t[]){1, 0, 3})),
          "more than 5 dimensions");
  REFUSED(op_embedding_bag(t, a, tape_indices(t, 1, &three, (int32_t[]){1, 0, 3}),
                           tape_indices(t, 1, &three, (int32_t[]){0, 2, 1}), NULL, false),
          "starts must ascend from 0 to the number of indices, 3");
  REFUSED(op_scatter(t, a, tape_indices(t, 1, &three, (int32_t[]){1, 0, 3}), 9), "there must be one for each row");
  REFUSED(op_pick(t, a, tape_indices(t, 1, &three, (int32_t[]){1, 0, 3})), "there must be one for each row");
  REFUSED(op_sparse_matmul(t, &no_links, &no_links, a), "sparse_matmul: left is [2, 3], right is [32, 384]");
  REFUSED(op_sparse_matmul(t, &no_links, &no_links, op_slice(t, a, 0, 0, 3)), "is not the transpose of [2, 3]");
  REFUSED(op_propagate(t, &no_links, &no_links, a, 2), "propagate: the graph is [2, 3], the rows are [32, 384]");
  REFUSED(op_mse(t, a, b), "mse: left is [32, 384], right is [512, 384]: they must be alike");
  REFUSED(op_bce(t, a, a), "bce: the target is a constant");
  REFUSED(op_embedding(t, op_sum(t, a, OP_ALL), a), "embedding: one number has no rows");
  REFUSED(op_mse(t, op_slice(t, a, 0, 0, 0), op_slice(t, a, 0, 0, 0)), "nothing to take the mean of");
  REFUSED(op_cross_entropy(t, a, tape_indices(t, 1, &three, (int32_t[]){1, 0, 3}), 0),
          "there must be one for each row");
  REFUSED(op_cross_entropy(t, op_slice(t, a, 0, 0, 3), tape_indices(t, 1, &three, (int32_t[]){1, 384, 3}), 0),
          "cross_entropy: target 384 at 1 is not below 384");
  REFUSED(op_cross_entropy(t, op_slice(t, a, 0, 0, 3), tape_indices(t, 1, &three, (int32_t[]){-1, -1, -1}), 0),
          "no row has a target");
  REFUSED(op_cross_entropy(t, op_slice(t, a, 0, 0, 3), tape_indices(t, 1, &three, (int32_t[]){1, 1, 1}), 1),
          "smoothing by 1");
  tensor *x3 = NULL;
  recurrent_weights gates = {0};
#define RECURRENT(call, words)                                                                       \
  do {                                                                                               \
    x3 = op_reshape(t, b, 3, (size_t[]){8, 64, 384});                                                \
    gates = (recurrent_weights){op_slice(t, b, 0, 0, 12), tape_input(t, 2, (size_t[]){12, 4}, big)}; \
    REFUSED(call, words);                                                                            \
  } while (0)
  RECURRENT(op_gru(t, a, &gates, NULL), "gru: input is [32, 384], not [batch, steps, numbers]");
  RECURRENT(op_lstm(t, x3, &gates, NULL), "lstm: the hidden weight is [12, 4], it must be [16, 4]");
  RECURRENT(op_gru(t, op_slice(t, x3, 2, 0, 380), &gates, NULL),
            "gru: the input weight is [12, 384], it must be [12, 380]");
  RECURRENT(op_gru(t, x3, &gates, &(recurrent_options){.state = a}), "the first state is [32, 384], it must be [8, 4]");
  RECURRENT(op_gru(t, x3, &gates, &(recurrent_options){.with_cell = true}), "gru: there is no cell");
  RECURRENT(op_gru(t, x3, &gates, &(recurrent_options){.lengths = tape_indices(t, 1, &three, index)}),
            "lengths are [3], there must be one for each of 8 rows");
  static const int32_t lengths[8] = {64, 0, 65};
  RECURRENT(op_gru(t, x3, &gates, &(recurrent_options){.lengths = tape_indices(t, 1, (size_t[]){8}, lengths)}),
            "gru: row 2 has length 65, the input has 64 steps");
  RECURRENT(op_gru_cell(t, x3, NULL, &gates), "gru: one step takes [batch, numbers], not [8, 64, 384]");
  RECURRENT(op_lstm_cell(t, a, tape_input(t, 2, (size_t[]){32, 3}, big), &gates), "not [batch, 2 hidden]");
  REFUSED(op_infonce(t, a, b, 1, false), "infonce: left is [32, 384], right is [512, 384]");
  REFUSED(op_infonce(t, a, a, 0, false), "a temperature of 0 is not above 0");
  REFUSED(op_triplet(t, a, a, b, 1), "triplet: anchor is [32, 384], positive is [32, 384], negative is [512, 384]");
  REFUSED(op_sampled_softmax(t, a,
                             &(sampled_softmax_rows){a, b, tape_indices(t, 1, &three, (int32_t[]){1, 0, 3}),
                                                     tape_indices(t, 1, &three, (int32_t[]){1, 0, 3})}),
          "positive rows are [32, 384] for 3 targets");
  assert_refused(tape_backward(t, a, &error), MEDLEY_ERR_INPUT, "the loss must be one number, not [32, 384]");
  assert_true(isnan(tape_value(a)) && isnan(tape_value(NULL)));
  tape_free(t);
  tape_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_real_functions), cmocka_unit_test(test_golden),
      cmocka_unit_test(test_warm_tape),      cmocka_unit_test(test_short_rows),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_nth_allocation),
#endif
      cmocka_unit_test(test_nan_stays),      cmocka_unit_test(test_masked_row),
      cmocka_unit_test(test_matmul_edges),   cmocka_unit_test(test_inference),
      cmocka_unit_test(test_linear_dtypes),  cmocka_unit_test(test_narrow_weights),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
