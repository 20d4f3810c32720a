/* nn/op_shape.c: the same numbers in other shapes: views, and copies where a
 * view cannot say it. */
#include <string.h>

#include "nn/op.h"
#include "nn/op_kind.h"

/* ---- views: gradients go through the shared memory, so they need no line on
 * the tape ---- */

/* Fills in the size that was given as 0. */
static bool reshape_shape(tape *t, const tensor *x, int rank, const size_t *wanted, size_t *shape) {
  char from[TENSOR_TEXT_MAX], to[TENSOR_TEXT_MAX];
  int open = -1;
  size_t known = 1;
  bool good = rank >= 0 && rank <= TENSOR_RANK_MAX;
  for (int d = 0; good && d < rank; d++) {
    shape[d] = wanted[d];
    if (wanted[d] == 0 && x->count != 0) {
      good = open < 0;
      open = d;
    } else {
      good = !__builtin_mul_overflow(known, wanted[d], &known);
    }
  }
  if (good && open >= 0) {
    shape[open] = x->count / known;
    known *= shape[open];
  }
  if (good && known == x->count) return true;
  if (rank < 0 || rank > TENSOR_RANK_MAX)
    op_fail(t, "reshape: %s cannot have %d dimensions: at most %d", tensor_text(x, from), rank, TENSOR_RANK_MAX);
  else
    op_fail(t, "reshape: %s has %zu elements, which do not fill %s", tensor_text(x, from), x->count,
            shape_text(rank, wanted, to));
  return false;
}

/* Strides that show x in the shape without a copy: false when there are none. Dimensions of both shapes are taken in
 * the smallest groups that hold the same number of elements; within such a group, x must have no gaps (NumPy's rule).
 */
static bool reshape_strides(const tensor *x, int rank, const size_t *shape, size_t *stride) {
  size_t own[TENSOR_RANK_MAX], step[TENSOR_RANK_MAX];
  int count = 0;
  if (x->count == 0) return false;
  for (int d = 0; d < x->rank; d++)
    if (x->shape[d] != 1) own[count] = x->shape[d], step[count++] = x->stride[d];
  int old = 0, made = 0;
  while (made < rank) {
    int old_end = old, made_end = made;
    size_t have = old < count ? own[old_end++] : 1, want = shape[made_end++];
    while (have != want && (want < have ? made_end < rank : old_end < count)) {
      if (want < have)
        want *= shape[made_end++];
      else
        have *= own[old_end++];
    }
    if (have != want) return false;
    for (int d = old; d + 1 < old_end; d++)
      if (step[d] != step[d + 1] * own[d + 1]) return false;
    size_t next = old_end > old ? step[old_end - 1] : 1;
    for (int d = made_end; d-- > made; next *= shape[d]) stride[d] = next;
    old = old_end, made = made_end;
  }
  return old == count;
}

tensor *op_reshape(tape *t, tensor *x, int rank, const size_t *wanted) {
  size_t shape[TENSOR_RANK_MAX], stride[TENSOR_RANK_MAX];
  if (!op_present(t, "reshape", &x, 1) || !reshape_shape(t, x, rank, wanted, shape)) return NULL;
  if (reshape_strides(x, rank, shape, stride)) return op_view_of(t, x, rank, shape, stride, 0);
  x = op_contiguous(t, x);
  if (x == NULL) return NULL;
  tensor rows;
  tensor_init(&rows, x->dtype, rank, shape, NULL);
  return op_view_of(t, x, rank, shape, rows.stride, 0);
}

tensor *op_permute(tape *t, tensor *x, const int *order) {
  if (!op_present(t, "permute", &x, 1)) return NULL;
  size_t shape[TENSOR_RANK_MAX], stride[TENSOR_RANK_MAX];
  unsigned seen = 0;
  for (int d = 0; d < x->rank; d++) {
    if (order[d] < 0 || order[d] >= x->rank || seen >> order[d] & 1) {
      char text[TENSOR_TEXT_MAX];
      return op_fail(t,
                     "permute: dimension %d at place %d does not order the "
                     "dimensions of %s",
                     order[d], d, tensor_text(x, text));
    }
    seen |= 1u << order[d];
    shape[d] = x->shape[order[d]];
    stride[d] = x->stride[order[d]];
  }
  return op_view_of(t, x, x->rank, shape, stride, 0);
}

tensor *op_transpose(tape *t, tensor *x) {
  if (!op_present(t, "transpose", &x, 1)) return NULL;
  int order[TENSOR_RANK_MAX] = {0, 1, 2, 3, 4};
  char text[TENSOR_TEXT_MAX];
  if (x->rank < 2) return op_fail(t, "transpose: %s has fewer than 2 dimensions", tensor_text(x, text));
  order[x->rank - 2] = x->rank - 1;
  order[x->rank - 1] = x->rank - 2;
  return op_permute(t, x, order);
}

tensor *op_slice(tape *t, tensor *x, int dimension, size_t from, size_t count) {
  if (!op_present(t, "slice", &x, 1)) return NULL;
  char text[TENSOR_TEXT_MAX];
  if (dimension < 0 || dimension >= x->rank)
    return op_fail(t, "slice: %s has no dimension %d", tensor_text(x, text), dimension);
  if (from > x->shape[dimension] || count > x->shape[dimension] - from)
    return op_fail(t, "slice: %zu elements from %zu on are not within dimension %d of %s", count, from, dimension,
                   tensor_text(x, text));
  size_t shape[TENSOR_RANK_MAX];
  memcpy(shape, x->shape, sizeof shape);
  shape[dimension] = count;
  return op_view_of(t, x, x->rank, shape, x->stride, from * x->stride[dimension]);
}

/* ---- copies ---- */

typedef enum copy_way { COPY_OUT, COPY_BACK, COPY_ADD_BACK } copy_way;

/* One element each way. */
static inline void copy_one(real *place, real *row, copy_way way) {
  if (way == COPY_OUT)
    *row = *place;
  else if (way == COPY_BACK)
    *place = *row;
  else
    *place += *row;
}

/* Where element number `run` of the dimensions before `rank` begins. */
static size_t run_offset(int rank, const size_t *shape, const size_t *stride, size_t run) {
  size_t at = 0;
  for (int d = rank; d-- > 0; run /= shape[d]) at += run % shape[d] * stride[d];
  return at;
}

/* A transposed matrix (its columns lie without gaps), tile by tile: a tile's
 * lines of both sides stay in the first cache, while whole rows would fetch
 * every line of the other side anew for each element. */
static void transposed_copy(size_t height, size_t width, size_t step, real *place, real *row, copy_way way) {
  enum { TILE = 16 };
  for (size_t top = 0; top < height; top += TILE)
    for (size_t left = 0; left < width; left += TILE) {
      size_t bottom = height - top < TILE ? height : top + TILE, right = width - left < TILE ? width : left + TILE;
      for (size_t i = top; i < bottom; i++)
        for (size_t j = left; j < right; j++) copy_one(place + j * step + i, row + i * width + j, way);
    }
}

/* Between a block with strides and rows without gaps: `strided` [shape by
 * stride], `rows` [count]. */
static void strided_copy(int rank, const size_t *shape, const size_t *stride, real *strided, real *rows, copy_way way) {
  size_t length = rank ? shape[rank - 1] : 1, step = rank ? stride[rank - 1] : 1, runs = 1;
  bool transposed = rank > 1 && step != 1 && stride[rank - 2] == 1;
  int outer = transposed ? rank - 2 : rank ? rank - 1 : 0;
  size_t block = transposed ? shape[rank - 2] * length : length;
  for (int d = 0; d < outer; d++) runs *= shape[d];
  for (size_t run = 0; run < runs; run++, rows += block) {
    real *place = strided + run_offset(outer, shape, stride, run);
    if (transposed)
      transposed_copy(shape[rank - 2], length, step, place, rows, way);
    else if (way == COPY_OUT && step == 1)
      memcpy(rows, place, length * sizeof(real));
    else
      for (size_t i = 0; i < length; i++) copy_one(place + i * step, rows + i, way);
  }
}

typedef struct copy_pass {
  const tensor *x;
  real *strided, *rows;
  copy_way way;
} copy_pass;

/* Threads take parts of the first dimension. */
static void copy_range(void *context, size_t from, size_t to) {
  const copy_pass *c = context;
  size_t shape[TENSOR_RANK_MAX];
  memcpy(shape, c->x->shape, sizeof shape);
  shape[0] = to - from;
  strided_copy(c->x->rank, shape, c->x->stride, c->strided + from * c->x->stride[0],
               c->rows + from * (c->x->count / c->x->shape[0]), c->way);
}

static void copy_run(copy_pass *c) {
  if (c->x->count == 0) return;
  if (c->x->rank == 0)
    strided_copy(0, NULL, NULL, c->strided, c->rows, c->way);
  else
    op_parallel(c->x->shape[0], c->x->count < 2 * OP_GRAIN ? c->x->shape[0] : 1, copy_range, c);
}

static void contiguous_forward(tape *t, op_node *n) {
  (void)t;
  copy_pass c = {n->input[0], real_data(n->input[0]), real_data(n->output), COPY_OUT};
  copy_run(&c);
}

static void contiguous_backward(tape *t, op_node *n) {
  bool add;
  real *dx = tape_gradient(t, n->input[0], &add);
  if (dx == NULL) return;
  copy_pass c = {n->input[0], dx, n->output->gradient, add ? COPY_ADD_BACK : COPY_BACK};
  copy_run(&c);
}

const op_kind op_kind_contiguous = {"contiguous", contiguous_forward, contiguous_backward, NULL};

tensor *op_contiguous(tape *t, tensor *x) {
  if (!op_present(t, "contiguous", &x, 1)) return NULL;
  if (tensor_is_contiguous(x)) return x;
  if (!op_ready(t, "contiguous", &x, 1)) return NULL;
  return op_run(t, &op_kind_contiguous, x->rank, x->shape, &x, 1, NULL, 0);
}

/* ---- concat: the output's slices are the operands ---- */

typedef struct concat_args {
  int dimension;
} concat_args;

/* Runs `way` between every operand [outer, own] and its columns of the output
 * [outer, all]. */
static void concat_copy(tape *t, op_node *n, bool back) {
  int dimension = ((const concat_args *)n->args)->dimension;
  size_t inner = n->output->stride[dimension], all = n->output->shape[dimension] * inner;
  size_t outer = all ? n->output->count / all : 0, at = 0;
  for (int k = 0; k < n->input_count; k++) {
    tensor *x = n->input[k];
    size_t own = x->shape[dimension] * inner;
    bool add = false;
    real *part = back ? tape_gradient(t, x, &add) : real_data(x);
    real *whole = back ? n->output->gradient : real_data(n->output);
    for (size_t i = 0; part != NULL && i < outer; i++) {
      real *row = whole + i * all + at, *mine = part + i * own;
      if (!back)
        memcpy(row, mine, own * sizeof(real));
      else if (!add)
        memcpy(mine, row, own * sizeof(real));
      else
        for (size_t j = 0; j < own; j++) mine[j] += row[j];
    }
    at += own;
  }
}

static void concat_forward(tape *t, op_node *n) { concat_copy(t, n, false); }
static void concat_backward(tape *t, op_node *n) { concat_copy(t, n, true); }

const op_kind op_kind_concat = {"concat", concat_forward, concat_backward, NULL};

tensor *op_concat(tape *t, tensor *const *x, int count, int dimension) {
  if (count < 1 || count > OP_INPUTS_MAX) return op_fail(t, "concat: %d operands, not 1 to %d", count, OP_INPUTS_MAX);
  if (!op_ready(t, "concat", x, count)) return NULL;
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  if (dimension < 0 || dimension >= x[0]->rank)
    return op_fail(t, "concat: %s has no dimension %d", tensor_text(x[0], left), dimension);
  tensor *parts[OP_INPUTS_MAX];
  size_t shape[TENSOR_RANK_MAX];
  memcpy(shape, x[0]->shape, sizeof shape);
  shape[dimension] = 0;
  for (int k = 0; k < count; k++) {
    bool fits = x[k]->rank == x[0]->rank;
    for (int d = 0; fits && d < x[0]->rank; d++) fits = d == dimension || x[k]->shape[d] == x[0]->shape[d];
    if (!fits)
      return op_fail(t,
                     "concat: operand 1 is %s, operand %d is %s: only "
                     "dimension %d may differ",
                     tensor_text(x[0], left), k + 1, tensor_text(x[k], right), dimension);
    shape[dimension] += x[k]->shape[dimension];
    parts[k] = op_contiguous(t, x[k]);
  }
  if (!op_ready(t, "concat", parts, count)) return NULL;
  concat_args args = {dimension};
  return op_run(t, &op_kind_concat, x[0]->rank, shape, parts, count, &args, sizeof args);
}
