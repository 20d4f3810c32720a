/* The gradient of every op against central differences, over random shapes. This program holds the tensor code compiled
 * in double precision (nn/real.h), so that the differences are exact to 1e-8 and the comparison means something. */
#include "test.h"

#include <ctype.h>

#include "base/memory.h"
#include "base/rng.h"
#include "nn/op_kind.h"
#include "nn_rows.h"

enum { COUNT_MAX = 4096, TRIALS = 12 };

/* How the operands reach the op. */
typedef enum way {
  WAY_PLAIN,
  WAY_VIEW,  /* as views with gaps: stored transposed, or as every other column of something wider */
  WAY_TWICE, /* the op is called twice on the same operands: their gradients add up */
  WAY_COUNT
} way;

typedef struct operand {
  int rank;
  size_t shape[TENSOR_RANK_MAX], count;
  bool indices, constant; /* constant: the op sends no gradient there */
  real *values;           /* [count] */
  int32_t *index;         /* [count] */
  real *stored, *gradient;
} operand;

typedef struct trial {
  const nn_row *row;
  way way;
  int count;
  operand x[NN_ROW_INPUTS_MAX];
  real *weight; /* [2, COUNT_MAX]: the loss is the weighted sum of the result */
} trial;

static void operand_parse(operand *o, const char *text, const size_t sizes[26], size_t *bound, bool *negative) {
  *o = (operand){.count = 1};
  if (*text == '#') {
    o->indices = true;
    *negative = text[1] == '-';
    text += 1 + *negative;
    *bound = isdigit((unsigned char)*text) ? (size_t)(*text - '0') : sizes[*text - 'a'];
    text += 2;
  }
  o->constant = o->indices || *text == '=';
  text += *text == '=';
  for (; *text; text++) {
    o->shape[o->rank] = isdigit((unsigned char)*text) ? (size_t)(*text - '0') : sizes[*text - 'a'];
    o->count *= o->shape[o->rank++];
  }
  assert_true(o->count <= COUNT_MAX);
}

static void trial_init(trial *c, const nn_row *row, way way, rng *r) {
  *c = (trial){.row = row, .way = way};
  size_t sizes[26], bound = 0;
  bool negative = false;
  for (int i = 0; i < 26; i++) sizes[i] = 1 + (size_t)rng_below(r, 5);
  double low = row->low, high = row->high;
  if (low == 0 && high == 0) low = -2, high = 2;
  while (c->count < NN_ROW_INPUTS_MAX && row->shapes[c->count] != NULL) {
    operand *o = &c->x[c->count];
    operand_parse(o, row->shapes[c->count++], sizes, &bound, &negative);
    o->values = mem_zalloc(o->count, sizeof(real));
    o->index = mem_zalloc(o->count, sizeof(int32_t));
    o->stored = mem_zalloc(2 * o->count, sizeof(real));
    o->gradient = mem_zalloc(o->count, sizeof(real));
    for (size_t i = 0; i < o->count; i++) {
      o->values[i] = low + (high - low) * rng_uniform(r);
      o->index[i] = (int32_t)rng_below(r, bound + negative) - negative;
    }
  }
  c->weight = mem_zalloc(2 * COUNT_MAX, sizeof(real));
  for (size_t i = 0; i < 2 * COUNT_MAX; i++) c->weight[i] = rng_normal(r);
}

static void trial_deinit(trial *c) {
  for (int i = 0; i < c->count; i++) {
    mem_free(c->x[i].values);
    mem_free(c->x[i].index);
    mem_free(c->x[i].stored);
    mem_free(c->x[i].gradient);
  }
  mem_free(c->weight);
}

/* Elements are stored at `rows` transposed, or with a gap after each. */
static size_t stored_at(const operand *o, size_t i) {
  if (o->rank < 2) return 2 * i;
  size_t columns = o->shape[o->rank - 1], rows = o->shape[o->rank - 2], matrix = i / (rows * columns);
  size_t within = i % (rows * columns);
  return matrix * rows * columns + within % columns * rows + within / columns;
}

static tensor *operand_view(tape *t, operand *o, tensor **holder) {
  for (size_t i = 0; i < o->count; i++) o->stored[stored_at(o, i)] = o->values[i];
  size_t shape[TENSOR_RANK_MAX];
  memcpy(shape, o->shape, sizeof shape);
  if (o->rank < 2) {
    size_t wide[] = {o->count, 2};
    *holder = tape_variable(t, 2, wide, o->stored);
    tensor *column = op_slice(t, *holder, 1, 0, 1);
    return op_view_of(t, column, o->rank, o->shape, (const size_t[]){2}, 0);
  }
  shape[o->rank - 2] = o->shape[o->rank - 1];
  shape[o->rank - 1] = o->shape[o->rank - 2];
  *holder = tape_variable(t, o->rank, shape, o->stored);
  return op_transpose(t, *holder);
}

/* The loss; with gradients when asked. */
static double trial_run(tape *t, trial *c, bool gradients) {
  medley_error error = {0};
  tensor *x[NN_ROW_INPUTS_MAX] = {0}, *holder[NN_ROW_INPUTS_MAX] = {0};
  for (int i = 0; i < c->count; i++) {
    operand *o = &c->x[i];
    if (o->indices)
      x[i] = tape_indices(t, o->rank, o->shape, o->index);
    else if (c->way == WAY_VIEW)
      x[i] = operand_view(t, o, &holder[i]);
    else
      x[i] = holder[i] = tape_variable(t, o->rank, o->shape, o->values);
  }
  tensor *loss = NULL;
  for (int call = 0; call < (c->way == WAY_TWICE ? 2 : 1); call++) {
    tensor *y = c->row->build(t, x);
    if (y == NULL) break;
    assert_true(y->count <= COUNT_MAX);
    tensor *w = tape_input(t, 2, (const size_t[]){y->count, 1}, c->weight + (size_t)call * COUNT_MAX);
    tensor *part = op_matmul(t, op_reshape(t, y, 2, (const size_t[]){1, y->count}), w);
    loss = call ? op_add(t, loss, part) : part;
  }
  assert_ok(tape_status(t, &error));
  double value = tape_value(loss);
  if (gradients) {
    assert_ok(tape_backward(t, loss, &error));
    for (int i = 0; i < c->count; i++)
      for (size_t k = 0; !c->x[i].indices && k < c->x[i].count; k++)
        c->x[i].gradient[k] =
            !holder[i]->has_gradient ? 0 : holder[i]->gradient[c->way == WAY_VIEW ? stored_at(&c->x[i], k) : k];
  }
  uint64_t step = tape_step(t);
  tape_reset(t);
  tape_set_step(t, step); /* the same random numbers next time */
  return value;
}

static void gradient_check(tape *t, trial *c, rng *r) {
  trial_run(t, c, true);
  for (int i = 0; i < c->count; i++) {
    operand *o = &c->x[i];
    if (o->constant) continue;
    size_t checks = o->count < 12 ? o->count : 12;
    for (size_t k = 0; k < checks; k++) {
      size_t at = o->count <= 12 ? k : (size_t)rng_below(r, o->count);
      double held = o->values[at], step = 1e-5;
      o->values[at] = held + step;
      double above = trial_run(t, c, false);
      o->values[at] = held - step;
      double below = trial_run(t, c, false);
      o->values[at] = held;
      double expected = (above - below) / (2 * step), got = o->gradient[at];
      if (!(fabs(got - expected) <= 2e-6 * (1 + fabs(expected))))
        fail_msg("%s, way %d: gradient of operand %d at %zu is %.10g, finite differences say %.10g", c->row->name,
                 c->way, i, at, got, expected);
    }
  }
}

static void test_finite_differences(void **state) {
  (void)state;
  rng r;
  rng_seed(&r, 11);
  tape *t = tape_create(1);
  for (const nn_row *row = nn_rows; row->name != NULL; row++)
    for (int k = 0; k < TRIALS; k++) {
      trial c;
      trial_init(&c, row, (way)(k % WAY_COUNT), &r);
      gradient_check(t, &c, &r);
      trial_deinit(&c);
    }
  tape_free(t);
}

static void test_all_have_a_row(void **state) {
  (void)state;
  for (const op_kind *const *kind = op_kinds; *kind != NULL; kind++) {
    size_t length = strlen((*kind)->name);
    bool found = false;
    for (const nn_row *row = nn_rows; row->name != NULL && !found; row++)
      found = strncmp(row->name, (*kind)->name, length) == 0 && (row->name[length] == 0 || row->name[length] == '/');
    if (!found) fail_msg("op %s has no row in nn_rows.c", (*kind)->name);
    assert_ptr_equal(op_kind_find((*kind)->name), *kind);
  }
  assert_null(op_kind_find("nothing"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all_have_a_row),
      cmocka_unit_test(test_finite_differences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
