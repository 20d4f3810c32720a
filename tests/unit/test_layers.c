/* Layers: names, shapes and first values; what is frozen; that each trains, with the same bits every time. */
#include "test.h"

#include "nn/layer.h"
#include "nn/optimiser.h"

static void test_names(void **state) {
  (void)state;
  char text[SAFETENSORS_NAME_MAX];
  assert_string_equal(layer_name(text, "model.layers", "%d.%s", 3, "norm"), "model.layers.3.norm");
  assert_string_equal(layer_name(text, NULL, "norm"), "norm");
  assert_string_equal(layer_name(text, "", "norm"), "norm");
}

static void test_linear_and_embedding(void **state) {
  (void)state;
  medley_error error = {0};
  parameters *p = parameters_create();
  layer_linear linear, plain;
  layer_embedding words, table;
  layer_linear_init(&linear, p, "a.linear", 4, 3, true);
  layer_linear_init(&plain, p, "a.plain", 4, 3, false);
  layer_embedding_init(&words, p, "words", 7, 4, 0.02, false);
  layer_embedding_init(&table, p, "table", 7, 4, 0, true);
  assert_int_equal(parameters_freeze(p, "a.plain"), 1);
  assert_int_equal(parameters_freeze(p, "a.pla"), 0);
  assert_ok(parameters_seal(p, 1, &error));
  assert_ptr_equal(parameters_get(p, "a.linear.bias"), linear.bias);
  assert_ptr_equal(parameters_get(p, "words.weight"), words.weight);
  assert_null(plain.bias);
  for (size_t i = 0; i < 12; i++) assert_true(fabs(real_data(linear.weight)[i]) <= 0.5);
  tape *t = tape_create(1);
  static const int32_t index[] = {1, -1, 6};
  tensor *ids = tape_indices(t, 1, (size_t[]){3}, index);
  tensor *x = op_add(t, layer_embedding_forward(t, &words, ids), layer_embedding_forward(t, &table, ids));
  tensor *y = op_add(t, layer_linear_forward(t, &linear, x), layer_linear_forward(t, &plain, x));
  assert_ok(tape_backward(t, op_mean(t, op_square(t, y), OP_ALL), &error));
  assert_true(linear.weight->has_gradient && words.weight->has_gradient && table.weight->has_gradient);
  assert_false(plain.weight->has_gradient);
  assert_int_equal(table.weight->rows->count, 2);
  assert_null(layer_linear_forward(t, &linear, NULL));
  tape_free(t);
  parameters_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_linear_and_embedding),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
