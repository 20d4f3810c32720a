/* Layers: names, shapes and first values; what is frozen; that each trains, with the same bits every time. */
#include "test.h"

#include "base/memory.h"
#include "nn/layer.h"
#include "nn/optimiser.h"
#include "nn_golden.h"

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

static void compare(const char *name, const char *what, const real *got, const tensor_view *want) {
  nn_golden_compare(name, what, got, want, 3e-6);
}

/* Values of all parameters from the case `name`, or their gradients compared with it. */
static void golden_parameters(const safetensors *s, const char *name, parameters *p, bool gradients) {
  for (size_t i = 0; i < parameters_count(p); i++) {
    parameter *item = parameters_at(p, i);
    char field[64];
    snprintf(field, sizeof field, "%s%s", gradients ? "d." : "", item->name);
    const tensor_view *v = nn_golden(s, name, field);
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
  const tensor_view *x = nn_golden(s, name, "x"), *dy = nn_golden(s, name, "dy");
  tensor *in = tape_variable(t, 3, (size_t[]){5, 7, 6}, (real *)(uintptr_t)x->data);
  tensor *lengths = tape_indices(t, 1, (size_t[]){5}, nn_golden(s, name, "lengths")->data);
  tensor *y = layer_recurrent_forward(t, &l, in, lengths);
  tensor *last = layer_recurrent_last(t, &l, y, lengths);
  assert_ok(tape_status(t, &error));
  compare(name, "value", real_data(y), nn_golden(s, name, "y"));
  compare(name, "last", real_data(last), nn_golden(s, name, "last"));
  tensor *w = tape_input(t, 2, (size_t[]){y->count, 1}, dy->data);
  assert_ok(tape_backward(t, op_matmul(t, op_reshape(t, y, 2, (size_t[]){1, y->count}), w), &error));
  compare(name, "dx", in->gradient, nn_golden(s, name, "dx"));
  golden_parameters(s, name, p, true);
  tape_free(t);
  parameters_free(p);
}

static void test_golden(void **state) {
  (void)state;
  safetensors s;
  nn_golden_open(&s, "nn_layers.safetensors");
  recurrent_golden(&s, "gru", false, 2);
  recurrent_golden(&s, "lstm", true, 2);
  recurrent_golden(&s, "gru_plain", false, 1);
  safetensors_close(&s);
}

/* ---- LoRA ---- */

static void test_lora(void **state) {
  (void)state;
  enum { IN = 12, OUT = 7, ROWS = 9 };
  medley_error error = {0};
  parameters *p = parameters_create();
  layer_linear l;
  layer_linear_init(&l, p, "l", IN, OUT, true);
  layer_lora_init(&l, p, "l", 2, 4);
  assert_ok(parameters_seal(p, 1, &error));
  real x[ROWS * IN], target[ROWS * OUT], weight[OUT * IN], said[2][ROWS * OUT];
  for (size_t i = 0; i < ROWS * IN; i++) x[i] = (real)sin((double)i);
  for (size_t i = 0; i < ROWS * OUT; i++) target[i] = (real)cos((double)i);
  memcpy(weight, l.weight->data, sizeof weight);
  tape *t = tape_create(1);
  optimiser *o;
  assert_ok(optimiser_create(optimiser_find("adam"), p, &(optimiser_options){0}, &o, &error));
  double first = 0, last = 0;
  for (int step = 0; step < 200; step++) {
    tensor *in = tape_input(t, 2, (size_t[]){ROWS, IN}, x), *want = tape_input(t, 2, (size_t[]){ROWS, OUT}, target);
    tensor *loss = op_mse(t, layer_linear_forward(t, &l, in), want);
    if (step == 0) { /* B is zero: what the layer said before */
      tensor *plain = op_mse(t, op_linear(t, in, l.weight, l.bias), want);
      assert_near(tape_value(loss), tape_value(plain), 1e-6);
    }
    assert_ok(tape_backward(t, loss, &error));
    *(step == 0 ? &first : &last) = tape_value(loss);
    tape_reset(t);
    assert_ok(optimiser_step(o, 0.05, NULL, &error));
  }
  assert_true(last < 0.6 * first);
  assert_memory_equal(weight, l.weight->data, sizeof weight); /* only A and B have learnt */
  tape_set_training(t, false);
  for (int merged = 0; merged < 2; merged++) {
    if (merged) layer_lora_merge(&l), layer_lora_merge(&l);
    tensor *y = layer_linear_forward(t, &l, tape_input(t, 2, (size_t[]){ROWS, IN}, x));
    assert_ok(tape_status(t, &error));
    memcpy(said[merged], y->data, sizeof said[merged]);
    tape_reset(t);
  }
  for (size_t i = 0; i < ROWS * OUT; i++) assert_near(said[0][i], said[1][i], 1e-5);
  assert_true(memcmp(weight, l.weight->data, sizeof weight) != 0);
  layer_lora_unmerge(&l), layer_lora_unmerge(&l);
  for (size_t i = 0; i < OUT * IN; i++) assert_near(real_data(l.weight)[i], weight[i], 1e-6);
  optimiser_free(o);
  tape_free(t);
  parameters_free(p);
}

/* ---- text CNN ---- */

/* A text says the same alone, padded, and beside a longer one. */
static void test_text_cnn(void **state) {
  (void)state;
  enum { FILTERS = 5 };
  medley_error error = {0};
  parameters *p = parameters_create();
  layer_text_cnn l;
  layer_text_cnn_init(&l, p, "cnn", 20, 6, FILTERS);
  assert_ok(parameters_seal(p, 3, &error));
  tape *t = tape_create(1);
  static const int32_t alone[] = {3, 9, 4}, both[] = {3, 9, 4, -1, -1, -1, 7, 7, 1, 19, 0, 2}, none[] = {-1, -1};
  tensor *a = layer_text_cnn_forward(t, &l, tape_indices(t, 2, (size_t[]){1, 3}, alone));
  tensor *b = layer_text_cnn_forward(t, &l, tape_indices(t, 2, (size_t[]){2, 6}, both));
  tensor *c = layer_text_cnn_forward(t, &l, tape_indices(t, 2, (size_t[]){1, 2}, none));
  assert_ok(tape_status(t, &error));
  assert_true(a->shape[1] == 3 * FILTERS && b->shape[0] == 2 && c->count == 3 * FILTERS);
  for (size_t i = 0; i < 3 * FILTERS; i++) assert_near(real_data(a)[i], real_data(b)[i], 1e-6);
  assert_null(layer_text_cnn_forward(t, &l, tape_indices(t, 1, (size_t[]){2}, none)));
  assert_refused(tape_status(t, &error), MEDLEY_ERR_INPUT, "text_cnn: ids are [2], not [batch, length]");
  tape_free(t);
  parameters_free(p);
}

/* ---- every layer trains, without allocating once warm, with the same bits every time ---- */

enum { BATCH = 16, LENGTH = 6, WIDTH = 10, CODE = 4, WORDS = 12 };

typedef struct trial {
  layer_linear linear, out;
  layer_embedding embedding;
  layer_recurrent recurrent;
  layer_text_cnn cnn;
  layer_autoencoder autoencoder;
  real x[BATCH * LENGTH * WIDTH], target[BATCH * CODE];
  int32_t ids[BATCH * LENGTH], lengths[BATCH];
} trial;

typedef struct layer_row {
  const char *name;
  void (*init)(trial *c, parameters *p);
  tensor *(*loss)(tape *t, trial *c);
} layer_row;

static tensor *sequences(tape *t, trial *c) { return tape_input(t, 3, (size_t[]){BATCH, LENGTH, WIDTH}, c->x); }
static tensor *rows(tape *t, trial *c) { return tape_input(t, 2, (size_t[]){BATCH, LENGTH * WIDTH}, c->x); }
static tensor *words(tape *t, trial *c) { return tape_indices(t, 2, (size_t[]){BATCH, LENGTH}, c->ids); }
static tensor *lengths(tape *t, trial *c) { return tape_indices(t, 1, (size_t[]){BATCH}, c->lengths); }
static tensor *gap(tape *t, trial *c, tensor *y) {
  return op_mse(t, layer_linear_forward(t, &c->out, y), tape_input(t, 2, (size_t[]){BATCH, CODE}, c->target));
}

static void linear_init(trial *c, parameters *p) {
  layer_linear_init(&c->linear, p, "l", LENGTH * WIDTH, 32, true);
  layer_linear_init(&c->out, p, "out", 32, CODE, true);
}
static tensor *linear_loss(tape *t, trial *c) {
  return gap(t, c, op_dropout(t, op_relu(t, layer_linear_forward(t, &c->linear, rows(t, c))), 0.1));
}
static void lora_init(trial *c, parameters *p) {
  linear_init(c, p);
  layer_lora_init(&c->linear, p, "l", 4, 4);
}
static void embedding_init(trial *c, parameters *p, bool as_table) {
  layer_embedding_init(&c->embedding, p, "e", WORDS, 32, 1, as_table);
  layer_linear_init(&c->out, p, "out", 32, CODE, true);
}
static void embedding_dense_init(trial *c, parameters *p) { embedding_init(c, p, false); }
static void embedding_table_init(trial *c, parameters *p) { embedding_init(c, p, true); }
static tensor *embedding_loss(tape *t, trial *c) {
  return gap(t, c, op_tanh(t, op_mean(t, layer_embedding_forward(t, &c->embedding, words(t, c)), 1)));
}
static void recurrent_init(trial *c, parameters *p, bool lstm) {
  layer_recurrent_options o = {.in = WIDTH, .hidden = 8, .layers = 2, .both_directions = true, .dropout = 0.1};
  (lstm ? layer_lstm_init : layer_gru_init)(&c->recurrent, p, "r", &o);
  layer_linear_init(&c->out, p, "out", 16, CODE, true);
}
static void gru_init(trial *c, parameters *p) { recurrent_init(c, p, false); }
static void lstm_init(trial *c, parameters *p) { recurrent_init(c, p, true); }
static tensor *recurrent_loss(tape *t, trial *c) {
  tensor *y = layer_recurrent_forward(t, &c->recurrent, sequences(t, c), lengths(t, c));
  return gap(t, c, layer_recurrent_last(t, &c->recurrent, y, lengths(t, c)));
}
static void cnn_init(trial *c, parameters *p) {
  layer_text_cnn_init(&c->cnn, p, "cnn", WORDS, 8, 8);
  layer_linear_init(&c->out, p, "out", 24, CODE, true);
}
static tensor *cnn_loss(tape *t, trial *c) { return gap(t, c, layer_text_cnn_forward(t, &c->cnn, words(t, c))); }
static void autoencoder_init(trial *c, parameters *p) {
  layer_autoencoder_init(&c->autoencoder, p, "a", (size_t[]){LENGTH * WIDTH, 24, 8}, 2, false);
}
static void vae_init(trial *c, parameters *p) {
  layer_autoencoder_init(&c->autoencoder, p, "a", (size_t[]){LENGTH * WIDTH, 24, 8}, 2, true);
}
static tensor *autoencoder_loss(tape *t, trial *c) {
  tensor *x = rows(t, c);
  return layer_autoencoder_loss(t, &c->autoencoder, x, x, 0.01);
}

/* One line a layer. */
static const layer_row layer_rows[] = {
    {"linear", linear_init, linear_loss},
    {"lora", lora_init, linear_loss},
    {"embedding", embedding_dense_init, embedding_loss},
    {"embedding table", embedding_table_init, embedding_loss},
    {"gru", gru_init, recurrent_loss},
    {"lstm", lstm_init, recurrent_loss},
    {"text_cnn", cnn_init, cnn_loss},
    {"autoencoder", autoencoder_init, autoencoder_loss},
    {"vae", vae_init, autoencoder_loss},
};

static void trial_fill(trial *c) {
  *c = (trial){0};
  for (size_t i = 0; i < BATCH * LENGTH * WIDTH; i++) c->x[i] = (real)sin(0.7 * (double)(i * i % 1009));
  for (size_t i = 0; i < BATCH * CODE; i++) c->target[i] = (real)cos(1.3 * (double)i);
  for (size_t i = 0; i < BATCH * LENGTH; i++) c->ids[i] = (int32_t)(i * 7 % 31 % WORDS);
  for (size_t i = 0; i < BATCH; i++) c->lengths[i] = 1 + (int32_t)(i % LENGTH);
}

/* The last losses of a training, bit for bit what another run of it gives. */
static void train(const layer_row *row, double *first, double *last) {
  enum { STEPS = 300 };
  medley_error error = {0};
  static trial c;
  trial_fill(&c);
  parameters *p = parameters_create();
  row->init(&c, p);
  assert_ok(parameters_seal(p, 5, &error));
  optimiser *o;
  assert_ok(optimiser_create(optimiser_find("adam"), p, &(optimiser_options){.clip_norm = 5}, &o, &error));
  tape *t = tape_create(9);
  for (int step = 0; step < STEPS; step++) {
#ifdef MEDLEY_FAULTS
    if (step == 5) memory_fault_after(1); /* a warm step allocates nothing */
#endif
    tensor *loss = row->loss(t, &c);
    if (tape_backward(t, loss, &error) != MEDLEY_OK) fail_msg("%s: step %d: %s", row->name, step, error.text);
    *(step == 0 ? first : last) = tape_value(loss);
    tape_reset(t);
    assert_ok(optimiser_step(o, 0.01, NULL, &error));
  }
#ifdef MEDLEY_FAULTS
  assert_false(memory_fault_struck());
  memory_fault_after(0);
#endif
  tape_free(t);
  optimiser_free(o);
  parameters_free(p);
}

static void test_all_train(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof layer_rows / sizeof *layer_rows; k++) {
    double first[2] = {0}, last[2] = {0};
    for (int run = 0; run < 2; run++) train(&layer_rows[k], &first[run], &last[run]);
    if (!(last[0] < 0.7 * first[0]))
      fail_msg("%s: the loss went from %g to %g only", layer_rows[k].name, first[0], last[0]);
    if (last[0] != last[1]) fail_msg("%s: %.17g, and again %.17g", layer_rows[k].name, last[0], last[1]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),    cmocka_unit_test(test_linear_and_embedding),
      cmocka_unit_test(test_golden),   cmocka_unit_test(test_lora),
      cmocka_unit_test(test_text_cnn), cmocka_unit_test(test_all_train),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
