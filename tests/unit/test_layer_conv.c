/* The convolution block: what it declares, that it is the ops it is made of,
 * what batch norm remembers, and that a small network of blocks learns, with
 * the same bits every time. */
#include "test.h"

#include "nn/layer_conv.h"
#include "nn/optimiser.h"

enum { COUNT = 12, SIDE = 9 };
static real pictures[COUNT * 2 * SIDE * SIDE];
static int32_t classes[COUNT];

/* Class 0 has upright stripes, class 1 lying ones, in noise. */
static void pictures_draw(void) {
  for (size_t i = 0; i < COUNT; i++) {
    classes[i] = (int32_t)(i % 2);
    for (size_t k = 0; k < 2 * SIDE * SIDE; k++) {
      size_t x = k % SIDE, y = k / SIDE % SIDE;
      pictures[i * 2 * SIDE * SIDE + k] = (real)((i % 2 ? y : x) % 3 == i % 3) + (real)(0.3 * sin((double)(k * i + k)));
    }
  }
}

static tensor *batch(tape *t) { return tape_input(t, 4, (size_t[]){COUNT, 2, SIDE, SIDE}, pictures); }

static void test_blocks(void **state) {
  (void)state;
  medley_error error = {0};
  parameters *p = parameters_create();
  layer_conv plain, grouped, batched, flat;
  layer_conv_init(&plain, p, "plain", &(layer_conv_options){.in = 2, .out = 6, .kernel = {3, 3}});
  layer_conv_init(&grouped, p, "grouped",
                  &(layer_conv_options){.in = 2, .out = 6, .kernel = {3, 3}, .groups = 2, .norm = LAYER_CONV_GROUP});
  layer_conv_init(&batched, p, "batched",
                  &(layer_conv_options){.in = 2,
                                        .out = 6,
                                        .kernel = {3, 3},
                                        .stride = {2, 2},
                                        .padding = PADDING_SAME_TF,
                                        .norm = LAYER_CONV_BATCH,
                                        .activation = op_relu});
  layer_conv_init(&flat, p, "flat", &(layer_conv_options){.in = 2, .out = 3, .kernel = {4}, .padding = PADDING_SAME});
  assert_ok(parameters_seal(p, 3, &error));
  assert_ptr_equal(parameters_get(p, "plain.conv.bias"), plain.bias);
  assert_ptr_equal(parameters_get(p, "batched.norm.running_var"), batched.norm_running_variance);
  assert_true(batched.bias == NULL && grouped.norm_running_mean == NULL && plain.norm_weight == NULL);
  assert_int_equal(grouped.norm_groups, 6); /* the most below 8 that divides the channels */
  for (size_t i = 0; i < plain.weight->count; i++) assert_true(fabs(real_data(plain.weight)[i]) <= 1 / sqrt(18));
  tape *t = tape_create(1);
  tensor *x = batch(t), *y = layer_conv_forward(t, &plain, x), *z = op_conv2d(t, x, plain.weight, plain.bias, NULL);
  tensor *half = layer_conv_forward(t, &batched, x), *g = layer_conv_forward(t, &grouped, x);
  tensor *line = layer_conv_forward(t, &flat, op_reshape(t, x, 3, (size_t[]){COUNT, 2, 0}));
  assert_ok(tape_status(t, &error));
  assert_memory_equal(y->data, z->data, y->count * sizeof(real));
  assert_true(half->shape[2] == 5 && half->shape[3] == 5 && g->shape[2] == 7 && line->shape[2] == SIDE * SIDE);
  bool moved = false;
  for (size_t i = 0; i < half->count; i++) assert_true(real_data(half)[i] >= 0);
  for (size_t i = 0; i < 6; i++) moved |= real_data(batched.norm_running_mean)[i] != 0;
  assert_true(moved);
  assert_null(layer_conv_forward(t, &plain, NULL));
  tape_free(t);
  parameters_free(p);
}

/* A frozen block's batch norm neither learns nor remembers: it answers as outside of training. */
static void test_frozen(void **state) {
  (void)state;
  medley_error error = {0};
  parameters *p = parameters_create();
  layer_conv c;
  layer_conv_init(&c, p, "c", &(layer_conv_options){.in = 2, .out = 6, .kernel = {3, 3}, .norm = LAYER_CONV_BATCH});
  assert_true(parameters_freeze(p, "c") > 0);
  assert_ok(parameters_seal(p, 3, &error));
  tape *t = tape_create(1);
  const tensor *training = tape_keep(layer_conv_forward(t, &c, batch(t)));
  tape_set_training(t, false);
  const tensor *answering = layer_conv_forward(t, &c, batch(t));
  assert_ok(tape_status(t, &error));
  assert_memory_equal(training->data, answering->data, answering->count * sizeof(real));
  for (size_t i = 0; i < 6; i++)
    assert_true(real_data(c.norm_running_mean)[i] == 0 && real_data(c.norm_running_variance)[i] == 1);
  tape_free(t);
  parameters_free(p);
}

static double train(int steps, double *first) {
  medley_error error = {0};
  parameters *p = parameters_create();
  optimiser *o;
  layer_conv one, two;
  layer_linear last;
  layer_conv_init(
      &one, p, "one",
      &(layer_conv_options){
          .in = 2, .out = 8, .kernel = {3, 3}, .pad = {1, 1}, .norm = LAYER_CONV_BATCH, .activation = op_relu});
  layer_conv_init(&two, p, "two",
                  &(layer_conv_options){.in = 8,
                                        .out = 8,
                                        .kernel = {3, 3},
                                        .stride = {2, 2},
                                        .groups = 8,
                                        .norm = LAYER_CONV_GROUP,
                                        .activation = op_silu});
  layer_linear_init(&last, p, "last", 8, 2, true);
  assert_ok(parameters_seal(p, 5, &error));
  assert_ok(optimiser_create(optimiser_find("adam"), p, &(optimiser_options){0}, &o, &error));
  tape *t = tape_create(1);
  double loss = 0;
  for (int step = 0; step < steps; step++) {
    tensor *x = op_global_average_pool(t, layer_conv_forward(t, &two, layer_conv_forward(t, &one, batch(t))));
    tensor *y =
        op_cross_entropy(t, layer_linear_forward(t, &last, x), tape_indices(t, 1, (size_t[]){COUNT}, classes), 0);
    assert_ok(tape_backward(t, y, &error));
    loss = tape_value(y);
    if (step == 0) *first = loss;
    assert_ok(optimiser_step(o, 0.02, NULL, &error));
    tape_reset(t);
  }
  tape_free(t);
  optimiser_free(o);
  parameters_free(p);
  return loss;
}

static void test_learns(void **state) {
  (void)state;
  double first, again;
  double loss = train(60, &first);
  assert_true(first > 0.5 && loss < 0.1);
  assert_true(train(60, &again) == loss && again == first);
}

int main(void) {
  pictures_draw();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_blocks), cmocka_unit_test(test_frozen),
                                     cmocka_unit_test(test_learns)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
