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

/* ---- against PyTorch (tests/golden/make_nn_layers.py) ---- */

static const tensor_view *golden(const safetensors *s, const char *name, const char *field) {
  char full[2 * SAFETENSORS_NAME_MAX];
  snprintf(full, sizeof full, "%s.%s", name, field);
  const tensor_view *v = safetensors_get(s, full);
  if (v == NULL) fail_msg("%s is not in tests/golden/make_nn_layers.py", full);
  return v;
}

static void compare(const char *name, const char *what, const real *got, const tensor_view *want) {
  double largest = 1e-3;
  for (uint64_t i = 0; i < want->count; i++) largest = fmax(largest, fabs((double)((const float *)want->data)[i]));
  for (uint64_t i = 0; i < want->count; i++) {
    double expected = ((const float *)want->data)[i];
    if (!(fabs(got[i] - expected) <= 3e-6 * largest + 1e-6 * fabs(expected)))
      fail_msg("%s: %s at %llu is %.9g, PyTorch says %.9g", name, what, (unsigned long long)i, got[i], expected);
  }
}

/* Values of all parameters from the case `name`, or their gradients compared with it. */
static void golden_parameters(const safetensors *s, const char *name, parameters *p, bool gradients) {
  for (size_t i = 0; i < parameters_count(p); i++) {
    parameter *item = parameters_at(p, i);
    char field[64];
    snprintf(field, sizeof field, "%s%s", gradients ? "d." : "", item->name);
    const tensor_view *v = golden(s, name, field);
    assert_int_equal(v->count, item->value.count);
    if (gradients)
      compare(name, item->name, item->value.gradient, v);
    else
      memcpy(item->value.data, v->data, v->count * sizeof(float));
  }
}

static void recurrent_golden(const safetensors *s, const char *name, bool lstm, size_t layers) {
  medley_error error = {0};
  parameters *p = parameters_create();
  layer_recurrent l;
  layer_recurrent_options o = {.in = 6, .hidden = 9, .layers = layers, .both_directions = layers > 1};
  (lstm ? layer_lstm_init : layer_gru_init)(&l, p, NULL, &o);
  assert_ok(parameters_seal(p, 1, &error));
  golden_parameters(s, name, p, false);
  tape *t = tape_create(1);
  const tensor_view *x = golden(s, name, "x"), *dy = golden(s, name, "dy");
  tensor *in = tape_variable(t, 3, (size_t[]){5, 7, 6}, (real *)(uintptr_t)x->data);
  tensor *lengths = tape_indices(t, 1, (size_t[]){5}, golden(s, name, "lengths")->data);
  tensor *y = layer_recurrent_forward(t, &l, in, lengths);
  tensor *last = layer_recurrent_last(t, &l, y, lengths);
  assert_ok(tape_status(t, &error));
  compare(name, "value", real_data(y), golden(s, name, "y"));
  compare(name, "last", real_data(last), golden(s, name, "last"));
  tensor *w = tape_input(t, 2, (size_t[]){y->count, 1}, dy->data);
  assert_ok(tape_backward(t, op_matmul(t, op_reshape(t, y, 2, (size_t[]){1, y->count}), w), &error));
  compare(name, "dx", in->gradient, golden(s, name, "dx"));
  golden_parameters(s, name, p, true);
  tape_free(t);
  parameters_free(p);
}

static void test_golden(void **state) {
  (void)state;
  medley_error error = {0};
  safetensors s;
  const char *source = getenv("MEDLEY_SOURCE");
  char path[512];
  snprintf(path, sizeof path, "%s/tests/golden/nn_layers.safetensors", source ? source : ".");
  assert_ok(safetensors_open(&s, path, &error));
  recurrent_golden(&s, "gru", false, 2);
  recurrent_golden(&s, "lstm", true, 2);
  recurrent_golden(&s, "gru_plain", false, 1);
  safetensors_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_linear_and_embedding),
      cmocka_unit_test(test_golden),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
