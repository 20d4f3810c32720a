/* Transformer blocks against PyTorch's TransformerEncoderLayer and TransformerDecoderLayer, value and gradients
 * (tests/golden/make_transformers.py); packed samples, memory released, int8 beside float32. */
#include "test.h"

#include "base/memory.h"
#include "base/rng.h"
#include "nn/layer_transformer.h"
#include "nn_golden.h"

static void compare(const char *name, const char *what, const real *got, const tensor_view *want) {
  nn_golden_compare(name, what, got, want, 5e-6);
}

typedef struct block_case {
  const char *name;
  transformer_options options;
  bool causal;
} block_case;

static const block_case cases[] = {
    {"encoder_post", {.width = 12, .heads = 3, .feed_forward = 20}, false},
    {"encoder_pre", {.width = 12, .heads = 2, .norm_first = true, .epsilon = 1e-6}, false},
    {"encoder_relu", {.width = 12, .heads = 3, .feed_forward = 20, .activation = &activation_kinds[4]}, true},
    {"decoder_post", {.width = 12, .heads = 3, .feed_forward = 20, .cross = true}, true},
    {"decoder_pre", {.width = 12, .heads = 3, .feed_forward = 20, .cross = true, .norm_first = true}, true},
    {NULL},
};

static tensor *variable(tape *t, const tensor_view *v) {
  size_t shape[TENSOR_RANK_MAX];
  for (int d = 0; d < v->rank; d++) shape[d] = (size_t)v->shape[d];
  return tape_variable(t, v->rank, shape, (real *)(uintptr_t)v->data);
}

static void parameters_fill(parameters *p, const safetensors *s, const char *name) {
  for (size_t i = 0; i < parameters_count(p); i++) {
    parameter *item = parameters_at(p, i);
    const tensor_view *v = nn_golden(s, name, item->name);
    assert_int_equal(v->count, item->value.count);
    memcpy(item->value.data, v->data, v->bytes);
  }
}

static void golden_run(const safetensors *s, const block_case *c) {
  medley_error error = {0};
  layer_transformer block;
  parameters *p = parameters_create();
  tape *t = tape_create(1);
  layer_transformer_init(&block, p, NULL, &c->options);
  assert_ok(parameters_seal(p, 1, &error));
  parameters_fill(p, s, c->name);
  tensor *x = variable(t, nn_golden(s, c->name, "x"));
  tensor *memory = c->options.cross ? variable(t, nn_golden(s, c->name, "memory")) : NULL;
  tensor *y = layer_transformer_forward(t, &block, x, &(attention_options){.causal = c->causal}, memory, NULL);
  assert_ok(tape_status(t, &error));
  compare(c->name, "value", real_data(y), nn_golden(s, c->name, "y"));
  tensor *w = tape_input(t, 3, y->shape, nn_golden(s, c->name, "dy")->data);
  assert_ok(tape_backward(t, op_sum(t, op_mul(t, y, w), OP_ALL), &error));
  compare(c->name, "dx", x->gradient, nn_golden(s, c->name, "dx"));
  if (memory != NULL) compare(c->name, "dmemory", memory->gradient, nn_golden(s, c->name, "dmemory"));
  for (size_t i = 0; i < parameters_count(p); i++) {
    char field[SAFETENSORS_NAME_MAX];
    snprintf(field, sizeof field, "d.%.180s", parameters_at(p, i)->name);
    compare(c->name, field, parameters_at(p, i)->value.gradient, nn_golden(s, c->name, field));
  }
  tape_free(t);
  parameters_free(p);
}

static void test_golden(void **state) {
  (void)state;
  safetensors s;
  nn_golden_open(&s, "nn_transformer.safetensors");
  assert_ptr_equal(activation_find("relu"), &activation_kinds[4]);
  assert_true(activation_find("gelu_new")->run == op_gelu_tanh);
  assert_true(activation_find("gelu_pytorch_tanh")->run == op_gelu_tanh);
  assert_null(activation_find("swoosh"));
  for (const block_case *c = cases; c->name != NULL; c++) golden_run(&s, c);
  safetensors_close(&s);
}

/* ---- three samples one behind the other, and each alone ---- */

enum { WIDTH = 64, ROWS = 23 };

typedef struct fixture {
  parameters *parameters;
  layer_transformer blocks[2];
  real x[ROWS * WIDTH];
  tape *tape;
} fixture;

static void fixture_init(fixture *f) {
  medley_error error = {0};
  rng r;
  rng_seed(&r, 5);
  f->parameters = parameters_create();
  f->tape = tape_create(1);
  for (int i = 0; i < 2; i++)
    layer_transformer_init(&f->blocks[i], f->parameters, i ? "b" : "a",
                           &(transformer_options){.width = WIDTH, .heads = 4});
  assert_ok(parameters_seal(f->parameters, 1, &error));
  for (size_t i = 0; i < ROWS * WIDTH; i++) f->x[i] = (real)rng_normal(&r);
  tape_set_training(f->tape, false);
}

static void fixture_deinit(fixture *f) {
  tape_free(f->tape);
  parameters_free(f->parameters);
}

static void test_packed(void **state) {
  (void)state;
  static fixture f;
  medley_error error = {0};
  fixture_init(&f);
  tape *t = f.tape;
  static const int32_t starts[] = {0, 5, 6, ROWS};
  attention_options seen = {.starts = tape_indices(t, 1, (size_t[]){4}, starts)};
  tensor *all = tape_input(t, 2, (size_t[]){ROWS, WIDTH}, f.x);
  for (int i = 0; i < 2; i++) all = layer_transformer_forward(t, &f.blocks[i], all, &seen, NULL, NULL);
  for (int s = 0; s < 3; s++) {
    size_t count = (size_t)(starts[s + 1] - starts[s]);
    tensor *x = tape_input(t, 3, (size_t[]){1, count, WIDTH}, f.x + starts[s] * WIDTH);
    for (int i = 0; i < 2; i++) x = layer_transformer_forward(t, &f.blocks[i], x, NULL, NULL, NULL);
    assert_ok(tape_status(t, &error));
    for (size_t i = 0; i < count * WIDTH; i++)
      assert_near(real_data(x)[i], real_data(all)[starts[s] * WIDTH + (int)i], 1e-5);
  }
  fixture_deinit(&f);
}

/* Of all that a block makes, only its result is held afterwards. */
static void test_released(void **state) {
  (void)state;
  static fixture f;
  medley_error error = {0};
  fixture_init(&f);
  size_t after_one = 0;
  tensor *x = tape_input(f.tape, 3, (size_t[]){1, ROWS, WIDTH}, f.x);
  for (int i = 0; i < 20; i++) {
    size_t mark = tape_mark(f.tape);
    x = layer_transformer_forward(f.tape, &f.blocks[0], x, NULL, NULL, NULL);
    tape_release(f.tape, mark, x);
    if (i == 0) after_one = tape_peak_bytes(f.tape);
  }
  assert_ok(tape_status(f.tape, &error));
  assert_true(tape_peak_bytes(f.tape) <= after_one + 19 * (ROWS * WIDTH * sizeof(real) + 64));
  fixture_deinit(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden),
      cmocka_unit_test(test_packed),
      cmocka_unit_test(test_released),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
