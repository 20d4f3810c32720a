/* Parameters, optimisers, schedules, early stopping and checkpoints: PyTorch's courses
 * (tests/golden/make_nn_training.py), tables against dense twins, and a run that is taken up again bit for bit. */
#include "test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "nn/training_run.h"
#include "nn/op.h"
#include "nn/optimiser.h"
#include "nn/schedule.h"
#include "nn_golden.h"

static const initial normal = {INITIAL_NORMAL, 0.5}, fan_in = {INITIAL_FAN_IN, 0}, zero = {INITIAL_ZERO, 0};

static const float *golden(const safetensors *s, const char *first, const char *second) {
  char name[64];
  snprintf(name, sizeof name, "%s%s", first, second);
  const tensor_view *v = safetensors_get(s, name);
  if (v == NULL) fail_msg("%s is not in tests/golden/make_nn_training.py", name);
  return v->data;
}

/* ---- optimisers ---- */

enum { SIZE = 37, STEPS = 6 };

static void course(const safetensors *s, const char *kind, const char *expected, const optimiser_options *options) {
  medley_error error = {0};
  parameters *p = parameters_create();
  tensor *x = parameters_add(p, NULL, "x", PARAMETER_WEIGHT, zero, 1, (size_t[]){SIZE});
  assert_ok(parameters_seal(p, 1, &error));
  memcpy(x->data, golden(s, "x", ""), SIZE * sizeof(float));
  optimiser *o;
  assert_ok(optimiser_create(optimiser_find(kind), p, options, &o, &error));
  for (int step = 0; step < STEPS; step++) {
    memcpy(x->gradient, golden(s, "g", "") + step * SIZE, SIZE * sizeof(float));
    x->has_gradient = true;
    double norm;
    assert_ok(optimiser_step(o, 0.05, &norm, &error));
    assert_true(norm > 1);
    assert_false(x->has_gradient);
    for (int i = 0; i < SIZE; i++) assert_near(real_data(x)[i], golden(s, expected, ".x")[step * SIZE + i], 2e-6);
  }
  assert_true(optimiser_steps(o) == STEPS);
  optimiser_free(o);
  parameters_free(p);
}

static void test_optimisers(void **state) {
  (void)state;
  safetensors s;
  nn_golden_open(&s, "nn_training.safetensors");
  for (const optimiser_kind *kind = optimiser_kinds; kind->name != NULL; kind++)
    course(&s, kind->name, kind->name, &(optimiser_options){.decay = 0.01});
  course(&s, "sgd", "clipped", &(optimiser_options){.clip_norm = 2});
  safetensors_close(&s);
  static const char *const names[] = {"sgd", "momentum", "nesterov", "adagrad", "adam", "adamw"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_non_null(optimiser_find(names[i]));
  assert_null(optimiser_find("magic"));
}

static void test_optimiser_refusals(void **state) {
  (void)state;
  medley_error error = {0};
  parameters *p = parameters_create();
  tensor *x = parameters_add(p, "layer", "x", PARAMETER_WEIGHT, zero, 1, (size_t[]){3});
  assert_ok(parameters_seal(p, 1, &error));
  optimiser *o = NULL;
  assert_refused(optimiser_create(optimiser_find("adam"), p, &(optimiser_options){.beta2 = 1}, &o, &error),
                 MEDLEY_ERR_USAGE, "optimiser adam: beta2 is 1; it must be at least 0 and below 1");
  assert_refused(optimiser_create(optimiser_find("sgd"), p, &(optimiser_options){.clip_norm = -1}, &o, &error),
                 MEDLEY_ERR_USAGE, "clip_norm is -1");
  assert_ok(optimiser_create(optimiser_find("sgd"), p, &(optimiser_options){.clip_norm = 1}, &o, &error));
  x->gradient[1] = NAN, x->has_gradient = true;
  assert_refused(optimiser_step(o, 1, NULL, &error), MEDLEY_ERR_INPUT, "the gradient of layer.x is not finite");
  assert_true(real_data(x)[1] == 0 && optimiser_steps(o) == 0 && !x->has_gradient);
  optimiser_free(o);
  assert_ok(optimiser_create(optimiser_find("sgd"), p, &(optimiser_options){.clip_value = 0.5}, &o, &error));
  x->gradient[0] = 3, x->gradient[1] = -0.25f, x->gradient[2] = -9, x->has_gradient = true;
  double norm;
  assert_ok(optimiser_step(o, 1, &norm, &error));
  assert_near(real_data(x)[0], -0.5, 0);
  assert_near(real_data(x)[1], 0.25, 0);
  assert_near(real_data(x)[2], 0.5, 0);
  assert_near(norm, 0.75, 1e-6);
  x->gradient[0] = 1, x->gradient[1] = NAN, x->gradient[2] = 1, x->has_gradient = true;
  assert_ok(optimiser_step(o, 1, NULL, &error)); /* nobody asked for the norm: it is seen in what is learnt */
  assert_true(real_data(x)[0] == -1 && isnan(real_data(x)[1]) && real_data(x)[2] == 0);
  optimiser_free(o);
  parameters_free(p);
}

/* ---- tables ---- */

enum { ROWS = 50, DIM = 20, BATCH = 400 };

/* One step over a table and over a dense twin: the same rows change in the same way, the others not at all. */
static void test_table_equals_dense(void **state) {
  (void)state;
  medley_error error = {0};
  parameters *p = parameters_create(), *q = parameters_create();
  size_t shape[] = {ROWS, DIM};
  tensor *table = parameters_add(p, NULL, "table", PARAMETER_TABLE, normal, 2, shape);
  tensor *dense = parameters_add(q, NULL, "table", PARAMETER_WEIGHT, normal, 2, shape);
  assert_ok(parameters_seal(p, 3, &error));
  assert_ok(parameters_seal(q, 3, &error));
  assert_memory_equal(table->data, dense->data, ROWS * DIM * sizeof(real));
  optimiser *sparse_one, *dense_one;
  optimiser_options options = {.clip_norm = 0.01};
  assert_ok(optimiser_create(optimiser_find("adagrad"), p, &options, &sparse_one, &error));
  assert_ok(optimiser_create(optimiser_find("adagrad"), q, &options, &dense_one, &error));
  tape *t = tape_create(1);
  rng r;
  rng_seed(&r, 9);
  static int32_t index[BATCH], starts[] = {0, 100, 250, 400};
  for (int step = 0; step < 4; step++) {
    for (int i = 0; i < BATCH; i++)
      index[i] = (int32_t)rng_below(&r, ROWS - 10) - 1; /* the last rows are never touched */
    double norm[2];
    for (int twin = 0; twin < 2; twin++) {
      tensor *from = twin ? dense : table, *ids = tape_indices(t, 1, (size_t[]){BATCH}, index);
      tensor *rows = op_embedding(t, from, ids);
      tensor *bags = op_embedding_bag(t, from, ids, tape_indices(t, 1, (size_t[]){4}, starts), NULL, true);
      tensor *loss = op_add(t, op_mean(t, op_square(t, rows), OP_ALL), op_sum(t, op_exp(t, bags), OP_ALL));
      assert_ok(tape_backward(t, loss, &error));
      tape_reset(t);
      assert_ok(optimiser_step(twin ? dense_one : sparse_one, 0.1, &norm[twin], &error));
    }
    assert_near(norm[0], norm[1], 1e-5 * norm[1]);
    for (size_t i = 0; i < ROWS * DIM; i++) assert_near(real_data(table)[i], real_data(dense)[i], 2e-6);
    assert_int_equal(table->rows->count, 0);
  }
  assert_null(op_relu(t, table));
  assert_refused(tape_status(t, &error), MEDLEY_ERR_INPUT, "relu: operand 1 is an embedding table");
  tape_free(t);
  optimiser_free(sparse_one);
  optimiser_free(dense_one);
  parameters_free(p);
  parameters_free(q);
}

/* ---- schedules, early stopping ---- */

static void test_schedules(void **state) {
  (void)state;
  medley_error error = {0};
  safetensors s;
  nn_golden_open(&s, "nn_training.safetensors");
  static const struct {
    const char *kind;
    schedule_options options;
  } rows[] = {{"constant", {.rate = 0.1}},
              {"step", {.rate = 0.1, .every = 10, .factor = 0.5}},
              {"cosine", {.rate = 0.1, .total_steps = 40, .floor = 0.1}},
              {"warmup", {.rate = 0.1, .warmup_steps = 8}},
              {"one_cycle", {.rate = 0.1, .total_steps = 41}}};
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
    const schedule_kind *kind = schedule_find(rows[k].kind);
    assert_ok(schedule_check(kind, &rows[k].options, &error));
    for (uint64_t step = 0; step < 40; step++)
      assert_near(schedule_rate(kind, &rows[k].options, step), golden(&s, rows[k].kind, ".rate")[step], 2e-8);
  }
  safetensors_close(&s);
  schedule_options warm = {.rate = 1, .total_steps = 20, .warmup_steps = 10};
  assert_near(schedule_rate(schedule_find("cosine"), &warm, 4), 0.5, 1e-12);
  assert_near(schedule_rate(schedule_find("cosine"), &warm, 15), 0.5, 1e-12);
  assert_near(schedule_rate(schedule_find("cosine"), &warm, 99), 0, 1e-12);
  assert_null(schedule_find("magic"));
  assert_refused(schedule_check(schedule_find("step"), &warm, &error), MEDLEY_ERR_USAGE, "every is 0");
  warm.factor = -0.5;
  assert_refused(schedule_check(schedule_find("step"), &warm, &error), MEDLEY_ERR_USAGE, "factor is -0.5");
  warm.factor = 0, warm.floor = NAN;
  assert_refused(schedule_check(schedule_find("cosine"), &warm, &error), MEDLEY_ERR_USAGE, "floor is nan");
  warm.floor = 0;
  assert_refused(schedule_check(schedule_find("one_cycle"), &warm, &error), MEDLEY_ERR_USAGE, "climbs by itself");
  warm.warmup_steps = 20;
  assert_refused(schedule_check(schedule_find("cosine"), &warm, &error), MEDLEY_ERR_USAGE, "20 steps of warm-up leave");
  warm = (schedule_options){.rate = 1};
  assert_refused(schedule_check(schedule_find("cosine"), &warm, &error), MEDLEY_ERR_USAGE, "total_steps is 0");
  assert_refused(schedule_check(schedule_find("warmup"), &warm, &error), MEDLEY_ERR_USAGE, "warmup_steps is 0");
  assert_refused(schedule_check(schedule_find("constant"), &(schedule_options){0}, &error), MEDLEY_ERR_USAGE,
                 "the rate is 0");
}

static void test_early_stopping(void **state) {
  (void)state;
  early_stopping loss = {.patience = 2, .margin = 0.01};
  static const double values[] = {NAN, 1, 0.5, 0.495, 0.4, 0.6, NAN};
  static const bool better[] = {false, true, true, false, true, false, false};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    assert_false(early_stopping_over(&loss));
    assert_int_equal(early_stopping_look(&loss, values[i]), better[i]);
  }
  assert_true(early_stopping_over(&loss));
  assert_near(loss.best, 0.4, 0);
  early_stopping score = {.patience = 1, .higher_is_better = true};
  assert_true(early_stopping_look(&score, 0.1) && early_stopping_look(&score, 0.2) &&
              !early_stopping_look(&score, 0.2));
  assert_true(early_stopping_over(&score));
}

/* ---- a whole run ---- */

/* A small classifier: words → bag → hidden, with norms and dropout → classes. */
typedef struct model {
  parameters *parameters;
  tensor *words, *inner, *bias, *gain, *shift, *outer;
  optimiser *optimiser;
  tape *tape;
  rng order;
  early_stopping stopping;
} model;

enum { WORDS = 60, HIDDEN = 24, CLASSES = 4, DOCUMENTS = 32, WORDS_EACH = 5 };

static void model_init(model *m, const char *optimiser_name, uint64_t seed) {
  medley_error error = {0};
  *m = (model){.parameters = parameters_create(), .stopping = {.patience = 3}};
  parameters *p = m->parameters;
  m->words = parameters_add(p, "text", "words", PARAMETER_TABLE, normal, 2, (size_t[]){WORDS, HIDDEN});
  m->inner = parameters_add(p, "text.inner", "weight", PARAMETER_WEIGHT, fan_in, 2, (size_t[]){HIDDEN, HIDDEN});
  m->bias = parameters_add(p, "text.inner", "bias", PARAMETER_PLAIN, zero, 1, (size_t[]){HIDDEN});
  m->gain =
      parameters_add(p, "text.norm", "weight", PARAMETER_PLAIN, (initial){INITIAL_CONSTANT, 1}, 1, (size_t[]){HIDDEN});
  m->shift = parameters_add(p, "text.norm", "bias", PARAMETER_PLAIN, zero, 1, (size_t[]){HIDDEN});
  m->outer = parameters_add(p, "classes", "weight", PARAMETER_WEIGHT, (initial){INITIAL_XAVIER, 0}, 2,
                            (size_t[]){CLASSES, HIDDEN});
  parameters_add(p, NULL, "note", PARAMETER_FROZEN, (initial){INITIAL_UNIFORM, 2}, 1, (size_t[]){3});
  assert_ok(parameters_seal(p, seed, &error));
  assert_ok(optimiser_create(optimiser_find(optimiser_name), p, &(optimiser_options){.decay = 0.01, .clip_norm = 1},
                             &m->optimiser, &error));
  m->tape = tape_create(5);
  rng_seed(&m->order, 77);
}

static void model_deinit(model *m) {
  tape_free(m->tape);
  optimiser_free(m->optimiser);
  parameters_free(m->parameters);
}

/* Each document has words of its class mostly. */
static double model_step(model *m) {
  medley_error error = {0};
  int32_t words[DOCUMENTS * WORDS_EACH], starts[DOCUMENTS + 1], target[DOCUMENTS];
  for (int d = 0; d < DOCUMENTS; d++) {
    target[d] = (int32_t)rng_below(&m->order, CLASSES);
    starts[d] = d * WORDS_EACH;
    for (int i = 0; i < WORDS_EACH; i++)
      words[d * WORDS_EACH + i] =
          (int32_t)(rng_uniform(&m->order) < 0.7 ? (uint64_t)target[d] * (WORDS / CLASSES) + rng_below(&m->order, 9)
                                                 : rng_below(&m->order, WORDS));
  }
  starts[DOCUMENTS] = DOCUMENTS * WORDS_EACH;
  tape *t = m->tape;
  tensor *x = op_embedding_bag(t, m->words, tape_indices(t, 1, (size_t[]){DOCUMENTS * WORDS_EACH}, words),
                               tape_indices(t, 1, (size_t[]){DOCUMENTS + 1}, starts), NULL, true);
  x = op_gelu(t, op_linear(t, op_layer_norm(t, x, m->gain, m->shift, 1e-5), m->inner, m->bias));
  x = op_linear(t, op_dropout(t, x, 0.2), m->outer, NULL);
  tensor *loss = op_cross_entropy(t, x, tape_indices(t, 1, (size_t[]){DOCUMENTS}, target), 0.05);
  assert_ok(tape_backward(t, loss, &error));
  double value = tape_value(loss);
  tape_reset(t);
  assert_ok(optimiser_step(m->optimiser, 0.01, NULL, &error));
  early_stopping_look(&m->stopping, value);
  return value;
}

static void test_learns(void **state) {
  (void)state;
  for (const optimiser_kind *kind = optimiser_kinds; kind->name != NULL; kind++) {
    model m;
    model_init(&m, kind->name, 1);
    double first = 0, last = 0;
    int steps = kind->states == 0 ? 1200 : 250;
    for (int i = 0; i < steps; i++) {
      double loss = model_step(&m);
      first += i < 10 ? loss / 10 : 0;
      last += i >= steps - 10 ? loss / 10 : 0;
    }
    if (!(last < 0.7 * first)) fail_msg("%s: the loss went from %g to %g only", kind->name, first, last);
    model_deinit(&m);
  }
}

/* One value of a tensor in the file becomes infinite. */
static void run_spoil(const char *path, const char *name, size_t at) {
  medley_error error = {0};
  safetensors s;
  const real bad = INFINITY;
  assert_ok(safetensors_open(&s, path, &error));
  const tensor_view *view = safetensors_get(&s, name);
  long offset = (long)((const unsigned char *)view->data - s.map.bytes) + (long)(at * sizeof bad);
  safetensors_close(&s);
  FILE *file = fopen(path, "r+b");
  assert_true(file != NULL && fseek(file, offset, SEEK_SET) == 0 && fwrite(&bad, sizeof bad, 1, file) == 1);
  fclose(file);
}

static void test_resume(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/run.safetensors", folder);
  model whole, cut, other;
  model_init(&whole, "adamw", 1);
  model_init(&cut, "adamw", 1);
  model_init(&other, "adamw", 999);
  double last = 0;
  for (int i = 0; i < 20; i++) last = model_step(&whole);
  for (int i = 0; i < 8; i++) model_step(&cut);
  training_run c = {cut.parameters, cut.optimiser, cut.tape, &cut.order, &cut.stopping, 2, 8};
  assert_ok(training_run_save(&c, path, &error));
  training_run d = {other.parameters, other.optimiser, other.tape, &other.order, &other.stopping, 0, 0};
  assert_ok(training_run_load(&d, path, &error));
  assert_true(d.epoch == 2 && d.batch == 8);
  double resumed = 0;
  for (int i = 8; i < 20; i++) resumed = model_step(&other);
  assert_true(resumed == last);
  assert_true(whole.stopping.best == other.stopping.best && whole.stopping.looks == other.stopping.looks);
  for (size_t i = 0; i < parameters_count(whole.parameters); i++) {
    const tensor *a = &parameters_at(whole.parameters, i)->value, *b = &parameters_at(other.parameters, i)->value;
    assert_memory_equal(a->data, b->data, a->count * sizeof(real));
  }
  /* what does not belong to the run is refused, and nothing has changed */
  model adam;
  model_init(&adam, "adam", 5);
  training_run e = {adam.parameters, adam.optimiser, NULL, NULL, NULL, 0, 0};
  real before = real_data(adam.words)[0];
  assert_refused(training_run_load(&e, path, &error), MEDLEY_ERR_INPUT,
                 "was trained with adamw, this run is with adam");
  e.optimiser = NULL;
  parameters *p = parameters_create();
  parameters_add(p, NULL, "note", PARAMETER_FROZEN, zero, 1, (size_t[]){4});
  assert_ok(parameters_seal(p, 1, &error));
  e.parameters = p;
  assert_refused(training_run_load(&e, path, &error), MEDLEY_ERR_CORRUPT, "note");
  assert_true(real_data(adam.words)[0] == before && real_data(parameters_get(p, "note"))[0] == 0);
  e.parameters = adam.parameters; /* the weights alone */
  assert_ok(training_run_load(&e, path, &error));
  assert_true(real_data(adam.words)[0] == real_data(cut.words)[0]);
  /* a run that went astray is neither written over a good one nor gone on from */
  optimiser_state(cut.optimiser, 0, 1)[0] = NAN;
  assert_refused(training_run_save(&c, path, &error), MEDLEY_ERR_INPUT, "holds a value that is not finite, at 0");
  real_data(cut.words)[5] = INFINITY;
  assert_refused(training_run_save(&c, path, &error), MEDLEY_ERR_INPUT,
                 "text.words holds a value that is not finite, at 5");
  assert_ok(training_run_load(&d, path, &error));
  run_spoil(path, "text.words", 5);
  assert_refused(training_run_load(&e, path, &error), MEDLEY_ERR_INPUT,
                 "text.words holds a value that is not finite, at 5");
  optimiser_set_steps(adam.optimiser, UINT64_MAX);
  e.optimiser = adam.optimiser;
  assert_ok(training_run_save(&e, path, &error));
  assert_refused(training_run_load(&e, path, &error), MEDLEY_ERR_INPUT, "optimiser.steps is 18446744073709551615");
  rng nothing = {0};
  e.optimiser = NULL, e.order = &nothing;
  assert_ok(training_run_save(&e, path, &error));
  assert_refused(training_run_load(&e, path, &error), MEDLEY_ERR_INPUT, "order.0 to order.3 are all 0");
  training_run plain = {p, NULL, NULL, NULL, NULL, 0, 0};
  assert_ok(training_run_save(&plain, path, &error));
  plain.order = &cut.order;
  assert_refused(training_run_load(&plain, path, &error), MEDLEY_ERR_INPUT, "the metadata have no order.0");
  parameters_free(p);
  model_deinit(&whole);
  model_deinit(&cut);
  model_deinit(&other);
  model_deinit(&adam);
  unlink(path);
  rmdir(folder);
}

static void test_parameters(void **state) {
  (void)state;
  medley_error error = {0};
  parameters *p = parameters_create();
  size_t shape[] = {3, 5};
  tensor *a = parameters_add(p, "a", "weight", PARAMETER_WEIGHT, fan_in, 2, shape);
  parameters_add(p, "", "b", PARAMETER_PLAIN, zero, 0, NULL);
  assert_ok(parameters_seal(p, 1, &error));
  assert_ptr_equal(parameters_get(p, "a.weight"), a);
  assert_null(parameters_get(p, "weight"));
  assert_int_equal(parameters_elements(p), 16);
  for (size_t i = 0; i < 15; i++) assert_true(fabs(real_data(a)[i]) <= 1 / sqrt(5));
  parameters_free(p);
  p = parameters_create();
  parameters_add(p, "a", "weight", PARAMETER_WEIGHT, zero, 2, shape);
  assert_null(parameters_add(p, "a", "weight", PARAMETER_WEIGHT, zero, 2, shape));
  assert_null(parameters_add(p, "a", "bias", PARAMETER_WEIGHT, zero, 2, shape));
  assert_refused(parameters_seal(p, 1, &error), MEDLEY_ERR_INPUT, "two parameters are called a.weight");
  parameters_free(p);
  p = parameters_create();
  assert_null(parameters_add(p, NULL, "t", PARAMETER_TABLE, zero, 2, (size_t[]){(size_t)1 << 40, 2}));
  assert_refused(parameters_seal(p, 1, &error), MEDLEY_ERR_LIMIT, "parameter t cannot be [1099511627776, 2]");
  parameters_free(p);
  parameters_free(NULL);
}

#ifdef MEDLEY_FAULTS
/* Making, saving and loading a run, the n-th allocation failing. */
static medley_status make_save_load(const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  optimiser *o = NULL;
  parameters *p = parameters_create();
  if (p == NULL) return error_memory(err, "parameters");
  parameters_add(p, "a", "table", PARAMETER_TABLE, normal, 2, (size_t[]){4, 3});
  parameters_add(p, "a", "weight", PARAMETER_WEIGHT, normal, 2, (size_t[]){4, 3});
  TRY(parameters_seal(p, 1, err));
  TRY(optimiser_create(optimiser_find("adam"), p, &(optimiser_options){0}, &o, err));
  training_run c = {.parameters = p, .optimiser = o};
  TRY(training_run_save(&c, path, err));
  TRY(training_run_load(&c, path, err));
done:
  optimiser_free(o);
  parameters_free(p);
  return status;
}

static void test_nth_allocation(void **state) {
  (void)state;
  char folder[256], path[300];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/run.safetensors", folder);
  bool struck = true;
  for (long n = 1; struck; n++) {
    medley_error error = {0};
    memory_fault_after(n);
    medley_status status = make_save_load(path, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    if (struck != (status == MEDLEY_ERR_MEMORY))
      fail_msg("allocation %ld: %s (%s)", n, medley_status_name(status), error.text);
  }
  unlink(path);
  rmdir(folder);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_optimisers),
      cmocka_unit_test(test_optimiser_refusals),
      cmocka_unit_test(test_table_equals_dense),
      cmocka_unit_test(test_schedules),
      cmocka_unit_test(test_early_stopping),
      cmocka_unit_test(test_parameters),
      cmocka_unit_test(test_learns),
      cmocka_unit_test(test_resume),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_nth_allocation),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
