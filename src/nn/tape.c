/* nn/tape.c: see nn/tape.h and nn/op_kind.h.
 *
 * Structs (tensors, lines, arguments) lie in an arena, numbers in a tape_memory. `made` lists every tensor in the order
 * of making: read backwards it is the order of the gradients, and a position in it is a mark.
 */
#include "nn/tape.h"

#include <assert.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "nn/op_kind.h"
#include "nn/tape_memory.h"

/* A tensor and its line take some 600 bytes: one block is enough for the longest model in sight. */
enum { STRUCT_BLOCK_BYTES = 4 << 20 };

struct tape {
  arena *structs;
  tape_memory memory;
  tensor **made;
  size_t made_count, made_capacity;
  uint64_t seed, step, key_count;
  bool training, going_back;
  medley_status status;
  char sentence[sizeof((medley_error *)NULL)->text];
};

tape *tape_create(uint64_t seed) {
  tape *t = mem_zalloc(1, sizeof *t);
  if (t == NULL) return NULL;
  t->structs = arena_create(STRUCT_BLOCK_BYTES);
  if (t->structs == NULL) {
    mem_free(t);
    return NULL;
  }
  t->seed = seed;
  t->training = true;
  return t;
}

void tape_free(tape *t) {
  if (t == NULL) return;
  tape_memory_deinit(&t->memory);
  arena_free(t->structs);
  mem_free(t->made);
  mem_free(t);
}

void tape_reset(tape *t) {
  arena_reset(t->structs);
  tape_memory_reset(&t->memory);
  t->made_count = 0;
  t->status = MEDLEY_OK;
  t->step++;
  t->key_count = 0;
}

void tape_set_training(tape *t, bool training) { t->training = training; }
bool tape_is_training(const tape *t) { return t->training; }
uint64_t tape_step(const tape *t) { return t->step; }
void tape_set_step(tape *t, uint64_t step) { t->step = step; }
size_t tape_peak_bytes(const tape *t) { return t->memory.peak_bytes; }

/* ---- failure ---- */

tensor *op_fail(tape *t, const char *format, ...) {
  if (t->status != MEDLEY_OK) return NULL;
  t->status = MEDLEY_ERR_INPUT;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(t->sentence, sizeof t->sentence, format, arguments);
  va_end(arguments);
  return NULL;
}

void op_fail_memory(tape *t, const char *what) {
  if (t->status != MEDLEY_OK) return;
  t->status = MEDLEY_ERR_MEMORY;
  snprintf(t->sentence, sizeof t->sentence, "out of memory for %s", what);
}

medley_status tape_status(const tape *t, medley_error *err) {
  return t->status == MEDLEY_OK ? MEDLEY_OK : error_set(err, t->status, "%s", t->sentence);
}

bool op_present(tape *t, const char *name, tensor *const *inputs, int input_count) {
  if (t->status != MEDLEY_OK) return false;
  for (int i = 0; i < input_count; i++)
    if (inputs[i] == NULL) {
      op_fail(t, "%s: operand %d is missing", name, i + 1);
      return false;
    }
  return true;
}

bool op_ready(tape *t, const char *name, tensor *const *inputs, int input_count) {
  if (!op_present(t, name, inputs, input_count)) return false;
  for (int i = 0; i < input_count; i++)
    if (inputs[i]->dtype != DTYPE_REAL) {
      op_fail(t, "%s: operand %d has elements of type %s, not %s", name, i + 1, dtype_name(inputs[i]->dtype),
              dtype_name(DTYPE_REAL));
      return false;
    }
  return true;
}

bool op_ready_indices(tape *t, const char *name, const tensor *indices) {
  if (t->status != MEDLEY_OK) return false;
  if (indices == NULL)
    op_fail(t, "%s: the indices are missing", name);
  else if (indices->dtype != DTYPE_I32)
    op_fail(t, "%s: the indices have elements of type %s, not %s", name, dtype_name(indices->dtype),
            dtype_name(DTYPE_I32));
  else if (!tensor_is_contiguous(indices))
    op_fail(t, "%s: the indices are a view with gaps", name);
  else
    return true;
  return false;
}

/* ---- tensors ---- */

/* A tensor struct on the list, without numbers. NULL after a failure. */
static tensor *tensor_add(tape *t) {
  if (t->status != MEDLEY_OK) return NULL;
  void *grown = t->made;
  if (!mem_grow(&grown, &t->made_capacity, t->made_count + 1, sizeof *t->made)) {
    op_fail_memory(t, "a tape");
    return NULL;
  }
  t->made = grown;
  tensor *x = arena_alloc(t->structs, 1, sizeof *x);
  if (x == NULL) {
    op_fail_memory(t, "a tensor");
    return NULL;
  }
  return t->made[t->made_count++] = x;
}

/* The elements of a shape, or a sentence. */
static bool shape_check(tape *t, int rank, const size_t *shape, size_t *count) {
  if (rank >= 0 && rank <= TENSOR_RANK_MAX && shape_count(rank, shape, count)) return true;
  char text[TENSOR_TEXT_MAX];
  if (rank < 0 || rank > TENSOR_RANK_MAX)
    op_fail(t, "a tensor has at most %d dimensions, not %d", TENSOR_RANK_MAX, rank);
  else
    op_fail(t, "a tensor of %s has more elements than memory can hold", shape_text(rank, shape, text));
  return false;
}

static tensor *tensor_over(tape *t, tensor_dtype dtype, int rank, const size_t *shape, const void *data) {
  size_t count;
  if (!shape_check(t, rank, shape, &count)) return NULL;
  tensor *x = tensor_add(t);
  if (x != NULL) tensor_init(x, dtype, rank, shape, (void *)data);
  return x;
}

tensor *tape_input(tape *t, int rank, const size_t *shape, const real *data) {
  return tensor_over(t, DTYPE_REAL, rank, shape, data);
}

tensor *tape_variable(tape *t, int rank, const size_t *shape, real *data) {
  tensor *x = tensor_over(t, DTYPE_REAL, rank, shape, data);
  if (x != NULL) x->needs_gradient = x->keep = true;
  return x;
}

tensor *tape_indices(tape *t, int rank, const size_t *shape, const int32_t *data) {
  return tensor_over(t, DTYPE_I32, rank, shape, data);
}

tensor *tape_empty(tape *t, int rank, const size_t *shape) {
  size_t count;
  if (!shape_check(t, rank, shape, &count)) return NULL;
  tensor *x = tensor_add(t);
  if (x == NULL) return NULL;
  void *data = tape_memory_take(&t->memory, count * sizeof(real));
  if (data == NULL) {
    op_fail_memory(t, "the numbers of a tensor");
    return NULL;
  }
  tensor_init(x, DTYPE_REAL, rank, shape, data);
  x->bytes = count * sizeof(real);
  return x;
}

double tape_value(const tensor *x) { return x != NULL && x->count == 1 ? (double)real_data(x)[0] : NAN; }

tensor *tape_keep(tensor *x) {
  if (x != NULL) (x->base ? x->base : x)->keep = true;
  return x;
}

tensor *tape_indices_new(tape *t, size_t count) {
  tensor *x = tape_empty(t, 1, &count); /* a real has room for an index */
  if (x == NULL) return NULL;
  x->dtype = DTYPE_I32;
  return tape_keep(x);
}

/* ---- lines ---- */

static void saved_give(tape *t, op_node *n) {
  for (int slot = 0; slot < OP_SAVED_MAX; slot++) {
    if (n->saved[slot] == NULL) continue;
    tape_memory_give(&t->memory, n->saved[slot], n->saved_bytes[slot]);
    n->saved[slot] = NULL;
  }
}

/* The line, copied from where forward ran into the arena. */
static void node_record(tape *t, const op_node *n, size_t args_bytes) {
  op_node *line = arena_alloc(t->structs, 1, sizeof *line);
  void *args = args_bytes ? arena_alloc(t->structs, args_bytes, 1) : NULL;
  if (line == NULL || (args_bytes && args == NULL)) {
    op_fail_memory(t, "a line of the tape");
    return;
  }
  *line = *n;
  if (args_bytes) line->args = memcpy(args, n->args, args_bytes);
  n->output->maker = line;
  n->output->needs_gradient = true;
}

tensor *op_run(tape *t, const op_kind *kind, int rank, const size_t *shape, tensor *const *inputs, int input_count,
               const void *args, size_t args_bytes) {
  assert(input_count <= OP_INPUTS_MAX);
  for (int i = kind->takes_table; i < input_count; i++)
    if (inputs[i] != NULL && inputs[i]->rows != NULL)
      return op_fail(t, "%s: operand %d is an embedding table, of which op_embedding takes rows", kind->name, i + 1);
  tensor *y = tape_empty(t, rank, shape);
  if (y == NULL) return NULL;
  op_node n = {.kind = kind, .input_count = input_count, .output = y, .args = args};
  bool record = false;
  for (int i = 0; i < input_count; i++) {
    n.input[i] = inputs[i];
    record |= t->training && kind->backward != NULL && inputs[i] != NULL && inputs[i]->needs_gradient;
  }
  kind->forward(t, &n);
  if (record)
    node_record(t, &n, args_bytes);
  else
    saved_give(t, &n);
  return t->status == MEDLEY_OK ? y : NULL;
}

tensor *op_view_of(tape *t, tensor *x, int rank, const size_t *shape, const size_t *stride, size_t offset) {
  tensor *base = x->base ? x->base : x;
  if (base->rows != NULL) return op_fail(t, "a view of an embedding table has no gradient; take its rows");
  tensor *y = tensor_over(t, x->dtype, rank, shape, (char *)x->data + offset * dtype_size(x->dtype));
  if (y == NULL) return NULL;
  memcpy(y->stride, stride, (size_t)rank * sizeof *stride);
  y->base = base;
  y->needs_gradient = base->needs_gradient;
  return y;
}

void *tape_save(tape *t, op_node *n, int slot, size_t count, size_t size) {
  assert(slot < OP_SAVED_MAX && n->saved[slot] == NULL);
  n->saved[slot] = tape_scratch(t, count, size);
  n->saved_bytes[slot] = count * size;
  return n->saved[slot];
}

void *tape_scratch(tape *t, size_t count, size_t size) {
  size_t bytes;
  void *buffer = __builtin_mul_overflow(count, size, &bytes) ? NULL : tape_memory_take(&t->memory, bytes);
  if (buffer == NULL) op_fail_memory(t, "a step");
  return buffer;
}

void tape_scratch_give(tape *t, void *buffer, size_t count, size_t size) {
  tape_memory_give(&t->memory, buffer, count * size);
}

uint64_t tape_random_key(tape *t) {
  uint64_t key = t->seed * 0x9e3779b97f4a7c15u + t->step;
  key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u + ++t->key_count; /* splitmix64's rounds over seed, step, op */
  key = (key ^ key >> 27) * 0x94d049bb133111ebu;
  return key ^ key >> 31;
}

/* ---- gradients ---- */

/* The gradient of a tensor that is no view. */
static real *gradient_own(tape *t, tensor *x, bool *add) {
  assert(x->base == NULL && x->rows == NULL);
  if (x->gradient == NULL) x->gradient = tape_scratch(t, x->count, sizeof(real));
  *add = x->has_gradient;
  if (x->gradient != NULL) x->has_gradient = true;
  return x->gradient;
}

real *tape_gradient_zeroed(tape *t, tensor *x) {
  if (!x->needs_gradient) return NULL;
  tensor *owner = x->base ? x->base : x;
  bool add;
  real *gradient = gradient_own(t, owner, &add);
  if (gradient == NULL) return NULL;
  if (!add) memset(gradient, 0, owner->count * sizeof(real));
  return gradient + (real_data(x) - real_data(owner));
}

/* A view may show a part only, so what it does not show must be there as zeros. */
real *tape_gradient(tape *t, tensor *x, bool *add) {
  *add = true;
  if (!x->needs_gradient) return NULL;
  return x->base ? tape_gradient_zeroed(t, x) : gradient_own(t, x, add);
}

bool tape_gradient_hand_over(tape *t, op_node *n, tensor *x) {
  (void)t;
  tensor *y = n->output;
  if (!x->needs_gradient || x->base != NULL || x->rows != NULL || x->gradient != NULL || x->bytes != y->bytes ||
      x->bytes == 0 || y->keep)
    return false;
  x->gradient = y->gradient;
  x->has_gradient = true;
  y->gradient = NULL;
  return true;
}

/* What the step's memory holds of x. Parameters and inputs have bytes 0; their gradients stay. */
static void tensor_give(tape *t, tensor *x) {
  if (x->keep || x->bytes == 0) return;
  tape_memory_give(&t->memory, x->data, x->bytes);
  tape_memory_give(&t->memory, x->gradient, x->bytes);
  x->data = x->gradient = NULL;
  x->bytes = 0;
}

medley_status tape_backward(tape *t, tensor *loss, medley_error *err) {
  if (t->status == MEDLEY_OK && loss == NULL) op_fail(t, "backward: there is no loss");
  if (t->status == MEDLEY_OK && loss->count != 1) {
    char text[TENSOR_TEXT_MAX];
    op_fail(t, "backward: the loss must be one number, not %s", tensor_text(loss, text));
  }
  if (t->status == MEDLEY_OK && !loss->needs_gradient) op_fail(t, "backward: the loss depends on no parameter");
  if (t->status != MEDLEY_OK) return tape_status(t, err);
  tape_keep(loss);
  real *seed = tape_gradient_zeroed(t, loss);
  if (seed != NULL) *seed = 1;
  for (size_t i = t->made_count; i-- > 0;) {
    tensor *x = t->made[i];
    op_node *n = x->maker;
    if (n != NULL && x->has_gradient && t->status == MEDLEY_OK) n->kind->backward(t, n);
    if (n != NULL) saved_give(t, n);
    x->maker = NULL;
    tensor_give(t, x);
  }
  return tape_status(t, err);
}

size_t tape_mark(const tape *t) { return t->made_count; }

void tape_release(tape *t, size_t mark, const tensor *result) {
  for (size_t i = mark; t->training && i < t->made_count; i++)
    if (t->made[i]->maker != NULL) return;
  const tensor *owner = result != NULL && result->base != NULL ? result->base : result;
  for (size_t i = mark; i < t->made_count; i++)
    if (t->made[i] != owner) tensor_give(t, t->made[i]);
}

/* ---- threads ---- */

void op_parallel(size_t count, size_t grain, op_range_body *body, void *context) {
  size_t threads = (size_t)omp_get_max_threads();
  if (threads > count / grain) threads = count / grain;
  if (threads <= 1 || omp_in_parallel()) {
    if (count > 0) body(context, 0, count);
    return;
  }
#pragma omp parallel num_threads((int)threads)
  {
    size_t mine = (size_t)omp_get_thread_num(), team = (size_t)omp_get_num_threads();
    /* Elements go in whole cache lines, so that two threads never write one; rows as they are. */
    size_t mask = grain >= 64 ? ~(size_t)15 : ~(size_t)0;
    size_t from = count * mine / team & mask, to = mine + 1 == team ? count : count * (mine + 1) / team & mask;
    body(context, from, to);
  }
}
