/* nn/op_gather.c: rows by number: taking them (embedding), summing bags of them, putting them, picking one element of
 * each row.
 *
 * The gradient of a taken row goes back to its place, and several may share it. Threads therefore divide the places:
 * each walks all numbers and serves those of its own range, in the order they come, so the sum does not depend on how
 * many threads there are. An embedding table (tensor.rows) gets the touched rows only: a table of ten million rows
 * costs what the batch touches, in time and memory.
 */
#include <string.h>

#include "base/memory.h"
#include "nn/op.h"
#include "nn/op_kind.h"
#include "nn/rows.h"

/* ---- adding rows where numbers say ---- */

typedef struct scatter {
  size_t count, dim;
  const int32_t *index;   /* [count]; negative: nowhere */
  const uint32_t *source; /* [count] which row of `from`; NULL: row i */
  const real *weight;     /* [count]; NULL: 1 */
  const real *from;       /* [.., dim] */
  real *to;               /* [.., dim] */
  const uint32_t *slot;   /* to's row of index k is slot[k] - 1; NULL: k */
  size_t written;         /* of a table's touched rows: those from here on hold nothing yet, the first to come is set */
} scatter;

static void scatter_range(void *context, size_t from, size_t to) {
  const scatter *s = context;
  size_t written = s->slot ? s->written : SIZE_MAX; /* touched rows are numbered in order of first touch */
  for (size_t i = 0; i < s->count; i++) {
    if (s->index[i] < 0) continue;
    size_t place = s->slot ? s->slot[s->index[i]] - 1 : (size_t)s->index[i];
    bool first = place == written;
    written += first;
    if (place < from || place >= to) continue;
    const real *row = s->from + (s->source ? s->source[i] : i) * s->dim;
    (first ? row_set_scaled : row_add_scaled)(s->to + place * s->dim, s->weight ? s->weight[i] : 1, row, s->dim);
  }
}

/* Places for the numbers that have none yet. */
static bool rows_touch(tape *t, tensor_rows *rows, const scatter *s) {
  for (size_t i = 0; i < s->count; i++) {
    if (s->index[i] < 0 || rows->slot[s->index[i]] != 0) continue;
    void *row = rows->row, *value = rows->value;
    bool grown = mem_grow(&row, &rows->row_capacity, rows->count + 1, sizeof *rows->row);
    rows->row = row;
    grown = grown && mem_grow(&value, &rows->value_capacity, (rows->count + 1) * s->dim, sizeof(real));
    rows->value = value;
    if (!grown) {
      op_fail_memory(t, "the gradient of a table");
      return false;
    }
    rows->row[rows->count++] = (uint32_t)s->index[i];
    rows->slot[s->index[i]] = (uint32_t)rows->count;
  }
  return true;
}

/* Into the gradient of x [n, dim], which may be a table. */
static void scatter_gradient(tape *t, tensor *x, scatter *s) {
  if (!x->needs_gradient) return;
  size_t places = x->shape[0];
  if (x->rows != NULL) {
    s->written = x->rows->count;
    if (!rows_touch(t, x->rows, s)) return;
    s->to = x->rows->value, s->slot = x->rows->slot;
    places = x->rows->count;
    x->has_gradient = true;
  } else {
    s->to = tape_gradient_zeroed(t, x);
    if (s->to == NULL) return;
  }
  op_parallel(places, s->count * s->dim < 2 * OP_GRAIN ? places + 1 : 1, scatter_range, s);
}

/* ---- shapes ---- */

/* Rows of x by number: x is [n, ...] without gaps, every index below n. */
static bool indices_ready(tape *t, const char *name, const tensor *indices, size_t bound) {
  if (!op_ready_indices(t, name, indices)) return false;
  const int32_t *index = index_data(indices);
  for (size_t i = 0; i < indices->count; i++)
    if (index[i] >= 0 && (size_t)index[i] >= bound) {
      op_fail(t, "%s: index %d at %zu is not below %zu", name, (int)index[i], i, bound);
      return false;
    }
  return true;
}

/* A table stays as it is; a view with gaps is copied. */
static tensor *rows_contiguous(tape *t, tensor *x) { return x->rows != NULL ? x : op_contiguous(t, x); }

/* ---- embedding ---- */

typedef struct gather_pass {
  size_t dim;
  const int32_t *index;
  const real *x;
  real *y;
} gather_pass;

static void embedding_range(void *context, size_t from, size_t to) {
  const gather_pass *p = context;
  for (size_t i = from; i < to; i++) {
    if (i + ROWS_AHEAD < to && p->index[i + ROWS_AHEAD] >= 0)
      row_prefetch(p->x + (size_t)p->index[i + ROWS_AHEAD] * p->dim, p->dim);
    if (p->index[i] < 0)
      memset(p->y + i * p->dim, 0, p->dim * sizeof(real));
    else
      memcpy(p->y + i * p->dim, p->x + (size_t)p->index[i] * p->dim, p->dim * sizeof(real));
  }
}

static size_t row_size(const tensor *x) { return x->shape[0] ? x->count / x->shape[0] : 0; }

static void embedding_forward(tape *t, op_node *n) {
  (void)t;
  gather_pass p = {row_size(n->input[0]), index_data(n->input[1]), real_data(n->input[0]), real_data(n->output)};
  op_parallel(n->input[1]->count, 1 + OP_GRAIN / (p.dim + 1), embedding_range, &p);
}

static void embedding_backward(tape *t, op_node *n) {
  scatter s = {.count = n->input[1]->count,
               .dim = row_size(n->input[0]),
               .index = index_data(n->input[1]),
               .from = n->output->gradient};
  scatter_gradient(t, n->input[0], &s);
}

const op_kind op_kind_embedding = {"embedding", embedding_forward, embedding_backward, NULL, true};

tensor *op_embedding(tape *t, tensor *table, tensor *indices) {
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  if (!op_ready(t, "embedding", &table, 1)) return NULL;
  if (table->rank < 1) return op_fail(t, "embedding: one number has no rows");
  if (!indices_ready(t, "embedding", indices, table->shape[0])) return NULL;
  int rank = indices->rank + table->rank - 1;
  if (rank > TENSOR_RANK_MAX)
    return op_fail(t, "embedding: table is %s, indices are %s: more than %d dimensions", tensor_text(table, left),
                   tensor_text(indices, right), TENSOR_RANK_MAX);
  size_t shape[TENSOR_RANK_MAX];
  for (int d = 0; d < rank; d++) shape[d] = d < indices->rank ? indices->shape[d] : table->shape[d - indices->rank + 1];
  table = rows_contiguous(t, table);
  tensor *inputs[] = {table, indices};
  return table == NULL ? NULL : op_run(t, &op_kind_embedding, rank, shape, inputs, 2, NULL, 0);
}

/* ---- embedding bag ---- */

typedef struct bag_args {
  bool mean;
} bag_args;

typedef struct bag_pass {
  size_t dim;
  const int32_t *index, *start; /* start [bags + 1] */
  const real *x, *weight;       /* weight [count] or NULL */
  real *y;
} bag_pass;

static void bag_range(void *context, size_t from, size_t to) {
  const bag_pass *p = context;
  int32_t last = p->start[to];
  for (size_t b = from; b < to; b++) {
    real *y = p->y + b * p->dim;
    memset(y, 0, p->dim * sizeof(real));
    for (int32_t i = p->start[b]; i < p->start[b + 1]; i++) {
      if (i + ROWS_AHEAD < last && p->index[i + ROWS_AHEAD] >= 0)
        row_prefetch(p->x + (size_t)p->index[i + ROWS_AHEAD] * p->dim, p->dim);
      if (p->index[i] >= 0) row_add_scaled(y, p->weight[i], p->x + (size_t)p->index[i] * p->dim, p->dim);
    }
  }
}

/* What each member counts: its weight, divided by the members of the bag for a mean. And which bag it is in. */
static bool bag_factors(tape *t, op_node *n) {
  const int32_t *index = index_data(n->input[1]), *start = index_data(n->input[2]);
  const real *weight = n->input[3] ? real_data(n->input[3]) : NULL;
  size_t count = n->input[1]->count, bags = n->output->shape[0];
  real *factor = tape_save(t, n, 0, count, sizeof *factor);
  uint32_t *bag = tape_save(t, n, 1, count, sizeof *bag);
  if (factor == NULL || bag == NULL) return false;
  for (size_t b = 0; b < bags; b++) {
    size_t members = 0;
    for (int32_t i = start[b]; i < start[b + 1]; i++) members += index[i] >= 0;
    real share = ((const bag_args *)n->args)->mean && members ? 1 / (real)members : 1;
    for (int32_t i = start[b]; i < start[b + 1]; i++) {
      factor[i] = weight ? weight[i] * share : share;
      bag[i] = (uint32_t)b;
    }
  }
  return true;
}

static void bag_forward(tape *t, op_node *n) {
  if (!bag_factors(t, n)) return;
  bag_pass p = {n->input[0]->shape[1], index_data(n->input[1]), index_data(n->input[2]), real_data(n->input[0]),
                n->saved[0],           real_data(n->output)};
  size_t bags = n->output->shape[0];
  op_parallel(bags, n->input[1]->count * p.dim < 2 * OP_GRAIN ? bags + 1 : 1, bag_range, &p);
}

/* The gradient of a member's weight: its row times the bag's gradient. */
static void bag_weight_backward(tape *t, op_node *n) {
  real *dweight = n->input[3] ? tape_gradient_zeroed(t, n->input[3]) : NULL;
  if (dweight == NULL) return;
  const int32_t *index = index_data(n->input[1]), *start = index_data(n->input[2]);
  size_t dim = n->input[0]->shape[1], bags = n->output->shape[0];
  for (size_t b = 0; b < bags; b++) {
    size_t members = 0;
    for (int32_t i = start[b]; i < start[b + 1]; i++) members += index[i] >= 0;
    real share = ((const bag_args *)n->args)->mean && members ? 1 / (real)members : 1;
    for (int32_t i = start[b]; i < start[b + 1]; i++)
      if (index[i] >= 0)
        dweight[i] +=
            share * row_dot(n->output->gradient + b * dim, real_data(n->input[0]) + (size_t)index[i] * dim, dim);
  }
}

static void bag_backward(tape *t, op_node *n) {
  scatter s = {.count = n->input[1]->count,
               .dim = n->input[0]->shape[1],
               .index = index_data(n->input[1]),
               .source = n->saved[1],
               .weight = n->saved[0],
               .from = n->output->gradient};
  bag_weight_backward(t, n);
  scatter_gradient(t, n->input[0], &s);
}

const op_kind op_kind_embedding_bag = {"embedding_bag", bag_forward, bag_backward, NULL, true};

static bool starts_ready(tape *t, const tensor *starts, size_t count) {
  if (!op_ready_indices(t, "embedding_bag", starts)) return false;
  const int32_t *start = index_data(starts);
  bool good = starts->rank == 1 && starts->count >= 1 && start[0] == 0 && (size_t)start[starts->count - 1] == count;
  for (size_t b = 0; good && b + 1 < starts->count; b++) good = start[b] <= start[b + 1];
  if (!good) op_fail(t, "embedding_bag: starts must ascend from 0 to the number of indices, %zu", count);
  return good;
}

tensor *op_embedding_bag(tape *t, tensor *table, tensor *indices, tensor *starts, tensor *weights, bool mean) {
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  if (!op_ready(t, "embedding_bag", &table, 1)) return NULL;
  if (table->rank != 2) return op_fail(t, "embedding_bag: the table is %s, not a matrix", tensor_text(table, left));
  if (!indices_ready(t, "embedding_bag", indices, table->shape[0]) || !starts_ready(t, starts, indices->count))
    return NULL;
  if (weights != NULL && !op_ready(t, "embedding_bag", &weights, 1)) return NULL;
  if (weights != NULL && (weights = op_contiguous(t, weights)) != NULL && weights->count != indices->count)
    return op_fail(t, "embedding_bag: weights are %s, indices are %s", tensor_text(weights, left),
                   tensor_text(indices, right));
  table = rows_contiguous(t, table);
  if (table == NULL) return NULL;
  bag_args args = {mean};
  tensor *inputs[] = {table, indices, starts, weights};
  return op_run(t, &op_kind_embedding_bag, 2, (size_t[]){starts->count - 1, table->shape[1]}, inputs, 4, &args,
                sizeof args);
}

/* ---- scatter: the other way round ---- */

static void scatter_forward(tape *t, op_node *n) {
  (void)t;
  scatter s = {.count = n->input[1]->count,
               .dim = row_size(n->output),
               .index = index_data(n->input[1]),
               .from = real_data(n->input[0]),
               .to = real_data(n->output)};
  size_t rows = n->output->shape[0];
  memset(s.to, 0, n->output->count * sizeof(real));
  op_parallel(rows, s.count * s.dim < 2 * OP_GRAIN ? rows + 1 : 1, scatter_range, &s);
}

static void scatter_backward(tape *t, op_node *n) {
  real *dx = tape_gradient_zeroed(t, n->input[0]);
  const int32_t *index = index_data(n->input[1]);
  size_t dim = row_size(n->output);
  for (size_t i = 0; dx != NULL && i < n->input[1]->count; i++)
    if (index[i] >= 0) row_add(dx + i * dim, n->output->gradient + (size_t)index[i] * dim, dim);
}

const op_kind op_kind_scatter = {"scatter", scatter_forward, scatter_backward, NULL};

tensor *op_scatter(tape *t, tensor *x, tensor *indices, size_t rows) {
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  if (!op_ready(t, "scatter", &x, 1) || !indices_ready(t, "scatter", indices, rows)) return NULL;
  if (x->rank < 1 || indices->rank != 1 || x->shape[0] != indices->count)
    return op_fail(t, "scatter: input is %s, indices are %s: there must be one for each row", tensor_text(x, left),
                   tensor_text(indices, right));
  if ((x = op_contiguous(t, x)) == NULL) return NULL;
  size_t shape[TENSOR_RANK_MAX];
  memcpy(shape, x->shape, sizeof shape);
  shape[0] = rows;
  tensor *inputs[] = {x, indices};
  return op_run(t, &op_kind_scatter, x->rank, shape, inputs, 2, NULL, 0);
}

/* ---- pick: one element of each row ---- */

static void pick_forward(tape *t, op_node *n) {
  (void)t;
  const int32_t *index = index_data(n->input[1]);
  size_t width = tensor_width(n->input[0]);
  for (size_t i = 0; i < n->output->count; i++)
    real_data(n->output)[i] = index[i] < 0 ? 0 : real_data(n->input[0])[i * width + (size_t)index[i]];
}

static void pick_backward(tape *t, op_node *n) {
  const int32_t *index = index_data(n->input[1]);
  size_t width = tensor_width(n->input[0]);
  real *dx = tape_gradient_zeroed(t, n->input[0]);
  for (size_t i = 0; dx != NULL && i < n->output->count; i++)
    if (index[i] >= 0) dx[i * width + (size_t)index[i]] += n->output->gradient[i];
}

const op_kind op_kind_pick = {"pick", pick_forward, pick_backward, NULL};

tensor *op_pick(tape *t, tensor *x, tensor *indices) {
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  if (!op_ready(t, "pick", &x, 1) || !indices_ready(t, "pick", indices, tensor_width(x))) return NULL;
  bool fits = x->rank == indices->rank + 1;
  for (int d = 0; fits && d < indices->rank; d++) fits = x->shape[d] == indices->shape[d];
  if (!fits)
    return op_fail(t, "pick: input is %s, indices are %s: there must be one for each row", tensor_text(x, left),
                   tensor_text(indices, right));
  if ((x = op_contiguous(t, x)) == NULL) return NULL;
  tensor *inputs[] = {x, indices};
  return op_run(t, &op_kind_pick, indices->rank, indices->shape, inputs, 2, NULL, 0);
}
