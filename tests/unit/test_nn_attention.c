/* Attention beyond one block against its slow twin, the whole matrix of scores through op_matmul and op_softmax;
 * memory; the same bits for any number of threads; sentences. Golden numbers are in test_nn_ops.c, finite differences
 * in test_nn_gradients.c. */
#include "test.h"

#include <omp.h>

#include "base/memory.h"
#include "base/rng.h"
#include "nn/op.h"

typedef struct trial {
  size_t samples, queries, keys, heads, shared, dim;
  bool causal, masked;
} trial;

static const trial trials[] = {
    {1, 300, 300, 1, 1, 16, false, false}, {2, 129, 257, 2, 1, 8, false, true},  {1, 260, 260, 4, 2, 8, true, false},
    {1, 130, 400, 2, 2, 12, true, true},   {3, 128, 128, 2, 2, 8, false, false}, {1, 1, 500, 2, 1, 8, true, false},
    {2, 129, 257, 4, 2, 32, false, true},  {1, 130, 395, 2, 2, 16, true, true},  {1, 270, 261, 6, 2, 16, true, false},
};

typedef struct operands {
  size_t count[3], shape[3][4];
  real *data[3], *mask;
} operands;

static void operands_init(operands *o, const trial *c, rng *r) {
  for (int i = 0; i < 3; i++) {
    memcpy(o->shape[i], (size_t[]){c->samples, i ? c->keys : c->queries, i ? c->shared : c->heads, c->dim},
           sizeof o->shape[i]);
    o->count[i] = o->shape[i][0] * o->shape[i][1] * o->shape[i][2] * o->shape[i][3];
    o->data[i] = mem_zalloc(o->count[i], sizeof(real));
    for (size_t k = 0; k < o->count[i]; k++) o->data[i][k] = (real)rng_normal(r);
  }
  o->mask = mem_zalloc(c->queries * c->keys, sizeof(real));
  for (size_t q = 0; q < c->queries; q++)
    for (size_t k = 0; k < c->keys; k++) {
      real *at = &o->mask[q * c->keys + k];
      if (c->masked) *at = rng_uniform(r) < 0.3 ? -INFINITY : (real)rng_normal(r);
      if (c->causal && k + c->queries > c->keys + q) *at = -INFINITY;
    }
}

static void operands_deinit(operands *o) {
  for (int i = 0; i < 3; i++) mem_free(o->data[i]);
  mem_free(o->mask);
}

/* [samples, length, heads, dim] → [samples, shared, 1 or group, length, dim] */
static tensor *by_head(tape *t, tensor *x, size_t shared) {
  size_t group = x->shape[2] / shared;
  tensor *y = op_reshape(t, x, 5, (size_t[]){x->shape[0], x->shape[1], shared, group, x->shape[3]});
  return op_permute(t, y, (const int[]){0, 2, 3, 1, 4});
}

static tensor *twin(tape *t, tensor **x, tensor *mask, size_t shared, double scale) {
  tensor *q = by_head(t, x[0], shared), *k = by_head(t, x[1], shared), *v = by_head(t, x[2], shared);
  tensor *scores = op_add(t, op_affine(t, op_matmul(t, q, op_transpose(t, k)), scale, 0), mask);
  tensor *y = op_permute(t, op_matmul(t, op_softmax(t, scores), v), (const int[]){0, 3, 1, 2, 4});
  return y == NULL ? NULL : op_reshape(t, y, 4, (size_t[]){y->shape[0], y->shape[1], 0, y->shape[4]});
}

/* The result and the three gradients of its sum of squares, one behind the other; mem_free. */
static real *answer(const trial *c, operands *o, bool slow) {
  medley_error error = {0};
  tape *t = tape_create(1);
  tensor *x[3], *mask = tape_input(t, 2, (size_t[]){c->queries, c->keys}, o->mask);
  for (int i = 0; i < 3; i++) x[i] = tape_variable(t, 4, o->shape[i], o->data[i]);
  attention_options options = {.mask = c->masked ? mask : NULL, .causal = c->causal, .scale = 0.3};
  tensor *y = tape_keep(slow ? twin(t, x, mask, c->shared, 0.3) : op_attention(t, x[0], x[1], x[2], &options));
  assert_ok(tape_backward(t, op_sum(t, op_square(t, y), OP_ALL), &error));
  real *out = mem_alloc(o->count[0] * 2 + o->count[1] * 2, sizeof *out), *at = out;
  y = op_contiguous(t, y);
  memcpy(at, real_data(y), o->count[0] * sizeof *out);
  at += o->count[0];
  for (int i = 0; i < 3; at += o->count[i++]) memcpy(at, x[i]->gradient, o->count[i] * sizeof *out);
  tape_free(t);
  return out;
}

static void test_twin(void **state) {
  (void)state;
  rng r;
  rng_seed(&r, 3);
  for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
    operands o;
    operands_init(&o, &trials[i], &r);
    real *fast = answer(&trials[i], &o, false), *slow = answer(&trials[i], &o, true);
    size_t count = 2 * (o.count[0] + o.count[1]);
    for (size_t k = 0; k < count; k++)
      if (!(fabsf(fast[k] - slow[k]) <= 2e-5f * (1 + fabsf(slow[k]))))
        fail_msg("trial %zu: number %zu of %zu is %.9g, the twin says %.9g", i, k, count, fast[k], slow[k]);
    mem_free(fast);
    mem_free(slow);
    operands_deinit(&o);
  }
}

static void test_threads(void **state) {
  (void)state;
  const trial c = {3, 140, 140, 4, 2, 32, true, false};
  rng r;
  rng_seed(&r, 4);
  operands o;
  operands_init(&o, &c, &r);
  int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  real *one = answer(&c, &o, false);
  omp_set_num_threads(3);
  real *three = answer(&c, &o, false);
  omp_set_num_threads(threads);
  assert_memory_equal(one, three, 2 * (o.count[0] + o.count[1]) * sizeof *one);
  mem_free(one);
  mem_free(three);
  operands_deinit(&o);
}

/* 4,096 queries and keys: the scores alone would be 64 MB. */
static void test_memory(void **state) {
  (void)state;
  const trial c = {1, 4096, 4096, 1, 1, 4, true, false};
  rng r;
  rng_seed(&r, 5);
  operands o;
  size_t shape[] = {1, 4096, 1, 4};
  medley_error error = {0};
  operands_init(&o, &(trial){1, 4096, 1, 1, 1, 4, false, false}, &r);
  tape *t = tape_create(1);
  tensor *x = tape_variable(t, 4, shape, o.data[0]);
  tensor *y = op_attention(t, x, x, x, &(attention_options){.causal = c.causal});
  assert_ok(tape_backward(t, op_sum(t, y, OP_ALL), &error));
  assert_true(tape_peak_bytes(t) < 1 << 20);
  tape_free(t);
  operands_deinit(&o);
}

/* Queries that see nothing get zeros; a NaN stays one. */
static void test_edges(void **state) {
  (void)state;
  medley_error error = {0};
  real data[2 * 3 * 1 * 2] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  int32_t lengths[] = {0, 3};
  tape *t = tape_create(1);
  tensor *x = tape_input(t, 4, (size_t[]){2, 3, 1, 2}, data);
  tensor *y = op_attention(t, x, x, x, &(attention_options){.lengths = tape_indices(t, 1, (size_t[]){2}, lengths)});
  assert_ok(tape_status(t, &error));
  for (int i = 0; i < 6; i++) assert_true(real_data(y)[i] == 0 && real_data(y)[6 + i] > 6);
  data[6] = NAN;
  y = op_attention(t, x, x, x, NULL);
  assert_true(isnan(real_data(y)[6]) && !isnan(real_data(y)[0]));
  tensor *none = tape_input(t, 4, (size_t[]){2, 0, 1, 2}, data);
  y = op_attention(t, x, none, none, NULL);
  assert_true(real_data(y)[0] == 0 && real_data(y)[11] == 0);
  y = op_attention(t, none, x, x, NULL);
  assert_ok(tape_status(t, &error));
  assert_true(y->count == 0);
  tape_free(t);
}

/* ---- sentences ---- */

static real some[2 * 5 * 4 * 6];
static const int32_t numbers[] = {0, 2, 1, 5};
#define X(...) tape_input(t, sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), (size_t[]){__VA_ARGS__}, some)
#define I(count) tape_indices(t, 1, (size_t[]){count}, numbers)

static void refused(tape *t, const tensor *y, const char *sentence) {
  medley_error error = {0};
  assert_true(y == NULL);
  assert_refused(tape_status(t, &error), MEDLEY_ERR_INPUT, sentence);
  tape_reset(t);
}

static void test_sentences(void **state) {
  (void)state;
  tape *t = tape_create(1);
  refused(t, op_attention(t, X(2, 5, 6), X(2, 5, 6), X(2, 5, 6), NULL), "each must be [samples, length, heads, dim]");
  refused(t, op_attention(t, X(2, 5, 4, 6), X(2, 5, 4, 5), X(2, 5, 4, 5), NULL), "heads of 6 and of 5 numbers");
  refused(t, op_attention(t, X(2, 5, 4, 6), X(2, 5, 3, 6), X(2, 5, 3, 6), NULL), "4 heads cannot share 3");
  refused(t, op_attention(t, X(2, 5, 4, 6), X(2, 5, 4, 6), X(2, 4, 4, 6), NULL), "only the last dimension may differ");
  refused(t, op_attention(t, X(2, 5, 4, 6), X(1, 5, 4, 6), X(1, 5, 4, 6), NULL), "2 and 1 samples");
  attention_options mask = {.mask = X(5, 4)};
  refused(t, op_attention(t, X(2, 5, 4, 6), X(2, 5, 4, 6), X(2, 5, 4, 6), &mask), "the mask is [5, 4]");
  mask.mask = tape_variable(t, 2, (size_t[]){5, 5}, some);
  refused(t, op_attention(t, X(2, 5, 4, 6), X(2, 5, 4, 6), X(2, 5, 4, 6), &mask), "the mask is a constant");
  refused(t, op_attention(t, X(2, 5, 4, 6), X(2, 5, 4, 6), X(2, 5, 4, 0), NULL),
          "v is [2, 5, 4, 0]: heads of no values");
  attention_options lengths = {.lengths = I(3)};
  refused(t, op_attention(t, X(2, 5, 4, 6), X(2, 5, 4, 6), X(2, 5, 4, 6), &lengths), "3 lengths for 2 samples");
  lengths.lengths = I(2);
  refused(t, op_attention(t, X(2, 5, 4, 6), X(2, 1, 4, 6), X(2, 1, 4, 6), &lengths),
          "length 2 of sample 1 is not within 0 to 1");
  attention_options packed = {.starts = I(4)};
  refused(t, op_attention(t, X(5, 4, 6), X(5, 4, 6), X(5, 4, 6), &packed),
          "start 2 of packed sample 1 is behind the next, 1");
  packed.starts = I(2);
  refused(t, op_attention(t, X(5, 4, 6), X(5, 4, 6), X(5, 4, 6), &packed), "from 0 to the number of rows, 5");
  packed.key_starts = I(1), packed.starts = I(2);
  refused(t, op_attention(t, X(2, 4, 6), X(0, 4, 6), X(0, 4, 6), &packed), "packed from 1 samples, k from 0");
  refused(t, op_rotary(t, X(5, 6), NULL, NULL), "not [..., length, heads, dim]");
  refused(t, op_rotary(t, X(5, 4, 5), NULL, NULL), "5 of a head's 5 numbers cannot be turned in pairs");
  refused(t, op_rotary(t, X(5, 4, 6), I(4), NULL), "one is wanted for each row of heads");
  tape_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_twin),  cmocka_unit_test(test_threads),   cmocka_unit_test(test_memory),
      cmocka_unit_test(test_edges), cmocka_unit_test(test_sentences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
