/* nn/op_recurrent.c: GRU and LSTM over whole sequences (Cho et al. 2014; Hochreiter & Schmidhuber 1997), with PyTorch's
 * gates and their order: reset, update, new; input, forget, cell, output.
 *
 * One op a sequence. What the inputs say to the gates is one product for all steps; a step is a small product with the
 * state and one pass over the gates. Going backward is the same turned round: each step sends its gates' gradients
 * through the hidden weights to the step before, and the weights' gradients are one product over all steps at the end.
 * The gates' buffer holds in turn what the input says, the open gates, and their gradients.
 *
 * Sequences of different lengths: rows are ranked by length, the longest first, so that the rows still running at step
 * s are the first active[s] of the state, and a step costs what runs. What lies behind a sequence's end is not read,
 * its result is zero, and no gradient comes from there.
 */
#include <string.h>

#include "math/clones.h"
#include "nn/op.h"
#include "nn/op_kind.h"
#ifndef NN_DOUBLE
#include "nn/packed_int8.h"
#endif
#include "nn/product.h"

enum { X, INPUT, HIDDEN, INPUT_BIAS, HIDDEN_BIAS, STATE, CELL, LENGTHS, OPERANDS }; /* inputs of both ops */

/* ---- one row of one step ----
 *
 * Everything a row's kernel reads and writes; all arrays [hidden], or [gates, hidden]. */
typedef struct cell_row {
  real *gates;               /* in: what the input says; out: the open gates. Backward: out: their gradients */
  const real *input_bias;    /* [gates, hidden] */
  const real *hidden_bias;   /* [gates, hidden] */
  real *said;                /* [gates, hidden] what the state says; backward: gradients of that, out */
  real *memory;              /* GRU: what the state says to the new gate, backward its gradient; LSTM: the cell, out */
  const real *memory_before; /* LSTM: the cell before the step */
  real *state;               /* forward: the state before the step in, after it out. Backward: its gradient, likewise */
  const real *state_before;  /* backward */
  real *dmemory;             /* LSTM backward: the cell's gradient, after the step in, before it out */
  real *y;                   /* forward: the result */
} cell_row;

static inline VECTOR_INLINE void gru_row_body(const cell_row *row, size_t h) {
  const cell_row c = *row;
  _Pragma("omp simd") for (size_t i = 0; i < h; i++) {
    real reset = real_sigmoid(c.gates[i] + c.input_bias[i] + c.said[i] + c.hidden_bias[i]);
    real update = real_sigmoid(c.gates[h + i] + c.input_bias[h + i] + c.said[h + i] + c.hidden_bias[h + i]);
    real memory = c.said[2 * h + i] + c.hidden_bias[2 * h + i];
    real new = real_tanh(c.gates[2 * h + i] + c.input_bias[2 * h + i] + reset * memory);
    c.gates[i] = reset, c.gates[h + i] = update, c.gates[2 * h + i] = new;
    c.memory[i] = memory;
    c.y[i] = c.state[i] = new + update *(c.state[i] - new);
  }
}
VECTOR_CLONES(static, void, gru_row, (const cell_row *row, size_t h), (row, h))

static inline VECTOR_INLINE void gru_row_back_body(const cell_row *row, size_t h) {
  const cell_row c = *row;
  _Pragma("omp simd") for (size_t i = 0; i < h; i++) {
    real reset = c.gates[i], update = c.gates[h + i], new = c.gates[2 * h + i], d = c.state[i];
    real dnew = d * (1 - update) * (1 - new *new);
    real dupdate = d * (c.state_before[i] - new) * update * (1 - update);
    real dreset = dnew * c.memory[i] * reset * (1 - reset);
    c.gates[i] = c.said[i] = dreset;
    c.gates[h + i] = c.said[h + i] = dupdate;
    c.gates[2 * h + i] = dnew;
    c.memory[i] = c.said[2 * h + i] = dnew * reset;
    c.state[i] = d * update;
  }
}
VECTOR_CLONES(static, void, gru_row_back, (const cell_row *row, size_t h), (row, h))

static inline VECTOR_INLINE void lstm_row_body(const cell_row *row, size_t h) {
  const cell_row c = *row;
  _Pragma("omp simd") for (size_t i = 0; i < h; i++) {
    real in = real_sigmoid(c.gates[i] + c.input_bias[i] + c.said[i] + c.hidden_bias[i]);
    real forget = real_sigmoid(c.gates[h + i] + c.input_bias[h + i] + c.said[h + i] + c.hidden_bias[h + i]);
    real new = real_tanh(c.gates[2 * h + i] + c.input_bias[2 * h + i] + c.said[2 * h + i] + c.hidden_bias[2 * h + i]);
    real out =
        real_sigmoid(c.gates[3 * h + i] + c.input_bias[3 * h + i] + c.said[3 * h + i] + c.hidden_bias[3 * h + i]);
    c.gates[i] = in, c.gates[h + i] = forget, c.gates[2 * h + i] = new, c.gates[3 * h + i] = out;
    c.memory[i] = forget * c.memory_before[i] + in * new;
    c.y[i] = c.state[i] = out * real_tanh(c.memory[i]);
  }
}
VECTOR_CLONES(static, void, lstm_row, (const cell_row *row, size_t h), (row, h))

static inline VECTOR_INLINE void lstm_row_back_body(const cell_row *row, size_t h) {
  const cell_row c = *row;
  _Pragma("omp simd") for (size_t i = 0; i < h; i++) {
    real in = c.gates[i], forget = c.gates[h + i], new = c.gates[2 * h + i], out = c.gates[3 * h + i];
    real d = c.state[i], shown = real_tanh(c.memory[i]);
    real dmemory = c.dmemory[i] + d * out * (1 - shown * shown);
    c.gates[i] = c.said[i] = dmemory * new *in *(1 - in);
    c.gates[h + i] = c.said[h + i] = dmemory * c.memory_before[i] * forget * (1 - forget);
    c.gates[2 * h + i] = c.said[2 * h + i] = dmemory * in * (1 - new *new);
    c.gates[3 * h + i] = c.said[3 * h + i] = d * shown * out * (1 - out);
    c.dmemory[i] = dmemory * forget;
    c.state[i] = 0; /* all of it goes by the gates */
  }
}
VECTOR_CLONES(static, void, lstm_row_back, (const cell_row *row, size_t h), (row, h))

typedef struct cell_kind {
  size_t gates;
  bool has_cell;
  void (*forward)(const cell_row *row, size_t hidden);
  void (*backward)(const cell_row *row, size_t hidden);
} cell_kind;

static const cell_kind gru_cell = {3, false, gru_row, gru_row_back};
static const cell_kind lstm_cell = {4, true, lstm_row, lstm_row_back};

/* ---- a pass over the steps ---- */

typedef struct recurrent_args {
  bool reverse, with_cell;
} recurrent_args;

typedef struct recurrent_pass {
  const cell_kind *kind;
  recurrent_args args;
  size_t batch, steps, in, hidden, wide; /* wide: all gates, kind->gates * hidden */
  const int32_t *length;                 /* [batch] or NULL */
  const uint32_t *rank, *active;         /* [batch] rows by length; [steps] how many of them still run */
  const real *input_bias, *hidden_bias;  /* [wide] */
  const real *state0, *cell0;            /* [batch, hidden]; zeros where not given */
  real *gates;                           /* [batch, steps, wide] */
  real *memory;                          /* [batch, steps] rows of hidden, memory_row apart */
  real *y;                               /* [batch, steps] rows of hidden, y_row apart */
  size_t y_row, memory_row;
  real *state, *said, *dmemory; /* by rank: [batch, hidden], [batch, wide], [batch, hidden] */
  const real *dy;               /* as y; NULL: forward */
  size_t step;
} recurrent_pass;

static size_t row_length(const recurrent_pass *p, size_t b) { return p->length ? (size_t)p->length[b] : p->steps; }

/* Where row b stands at a step, and where it stood one before: -1 is the beginning. */
static size_t row_time(const recurrent_pass *p, size_t b, size_t step) {
  return p->args.reverse ? row_length(p, b) - 1 - step : step;
}

static const real *before(const recurrent_pass *p, const real *of, size_t row, const real *first, size_t b,
                          size_t step) {
  return step == 0 ? first + b * p->hidden : of + (b * p->steps + row_time(p, b, step - 1)) * row;
}

static cell_row row_of(const recurrent_pass *p, size_t i) {
  size_t b = p->rank[i], place = b * p->steps + row_time(p, b, p->step);
  return (cell_row){.gates = p->gates + place * p->wide,
                    .input_bias = p->input_bias,
                    .hidden_bias = p->hidden_bias,
                    .said = p->said + i * p->wide,
                    .memory = p->memory + place * p->memory_row,
                    .memory_before = before(p, p->memory, p->memory_row, p->cell0, b, p->step),
                    .state = p->state + i * p->hidden,
                    .y = p->y + place * p->y_row};
}

static void forward_range(void *context, size_t from, size_t to) {
  const recurrent_pass *p = context;
  for (size_t i = from; i < to; i++) {
    cell_row row = row_of(p, i);
    p->kind->forward(&row, p->hidden);
  }
}

static void backward_range(void *context, size_t from, size_t to) {
  const recurrent_pass *p = context;
  for (size_t i = from; i < to; i++) {
    cell_row row = row_of(p, i);
    const real *dy = p->dy + (row.y - p->y);
    row.state_before = before(p, p->y, p->y_row, p->state0, p->rank[i], p->step);
    row.dmemory = p->dmemory + i * p->hidden;
    for (size_t k = 0; k < p->hidden; k++) row.state[k] += dy[k];
    for (size_t k = 0; p->args.with_cell && k < p->hidden; k++) row.dmemory[k] += dy[p->hidden + k];
    p->kind->backward(&row, p->hidden);
  }
}

/* What lies behind the ends: `row` numbers become 0. */
static void ends_clear(const recurrent_pass *p, real *of, size_t row) {
  for (size_t b = 0; p->length != NULL && b < p->batch; b++)
    memset(of + (b * p->steps + row_length(p, b)) * row, 0, (p->steps - row_length(p, b)) * row * sizeof(real));
}

/* Rows by length, the longest first, equal ones in order; and how many run at each step. */
static void rank_rows(const recurrent_pass *p, uint32_t *rank, uint32_t *active) {
  size_t count = 0;
  for (size_t length = p->steps + 1; length-- > 0;) {
    for (size_t b = 0; b < p->batch; b++)
      if (row_length(p, b) == length) rank[count++] = (uint32_t)b;
    if (length > 0) active[length - 1] = (uint32_t)count;
  }
}

static size_t pass_grain(const recurrent_pass *p) { return 1 + OP_GRAIN / 16 / p->hidden; }

/* What rows are multiplied by, ready: reals, or packed in int8 with room for `most` rows in int8. */
typedef struct rows_weight {
  real *weight; /* [wide, depth]; NULL: packed */
  size_t depth, most;
  uint8_t *bytes; /* [most, depth] */
  float *scale;   /* [most] */
#ifndef NN_DOUBLE
  packed_int8 packed;
#endif
} rows_weight;

static product_matrix rows_at(const real *data, size_t width) {
  return (product_matrix){(real *)(uintptr_t)data, false, width};
}

/* Constants that an operand may leave out: [wide] biases, [batch, hidden] first states. In one scratch buffer. */
static size_t zeros_count(const recurrent_pass *p) {
  size_t first = p->batch * p->hidden;
  return first > p->wide ? first : p->wide;
}

static recurrent_pass pass_of(op_node *n, const real *zeros) {
  const tensor *x = n->input[X], *y = n->output;
  recurrent_pass p = {.kind = n->kind->detail,
                      .args = *(const recurrent_args *)n->args,
                      .batch = x->shape[0],
                      .steps = x->shape[1],
                      .in = x->shape[2],
                      .hidden = n->input[HIDDEN]->shape[1],
                      .length = n->input[LENGTHS] ? index_data(n->input[LENGTHS]) : NULL,
                      .y = real_data(y),
                      .y_row = y->shape[2],
                      .gates = n->saved[0],
                      .memory = n->saved[1],
                      .rank = n->saved[2]};
  p.wide = p.kind->gates * p.hidden;
  p.active = p.rank != NULL ? p.rank + p.batch : NULL;
  p.memory_row = p.args.with_cell ? p.y_row : p.hidden;
  if (p.args.with_cell) p.memory = p.y + p.hidden;
  p.input_bias = n->input[INPUT_BIAS] ? real_data(n->input[INPUT_BIAS]) : zeros;
  p.hidden_bias = n->input[HIDDEN_BIAS] ? real_data(n->input[HIDDEN_BIAS]) : zeros;
  p.state0 = n->input[STATE] ? real_data(n->input[STATE]) : zeros;
  p.cell0 = n->input[CELL] ? real_data(n->input[CELL]) : zeros;
  return p;
}

/* rows of x times one of the weights, y [count, wide]. */
static void rows_multiply(const rows_weight *w, size_t count, size_t wide, const real *x, real *y) {
#ifndef NN_DOUBLE
  if (w->bytes != NULL) {
    size_t depth = w->packed.depth;
    maps_int8_quantise(x, depth, count, depth, w->bytes, depth, w->scale);
    packed_int8_multiply(&w->packed, &(packed_int8_rows){w->bytes, depth, count, 128, w->scale, 0, y, wide});
    return;
  }
#endif
  product(count, wide, w->depth, 1, rows_at(x, w->depth), product_transpose(rows_at(w->weight, w->depth)), 0,
          rows_at(y, wide));
}

/* most: rows at once. False: memory ran out. */
static bool rows_weight_take(tape *t, const tensor *w, const recurrent_pass *p, size_t most, rows_weight *out) {
  *out = (rows_weight){.depth = w->shape[1], .most = most};
#ifndef NN_DOUBLE
  if (packed_int8_is_wanted(t, w) && w->shape[1] % MAPS_LANES == 0 && p->wide % MAPS_LANES == 0) {
    out->bytes = tape_scratch(t, most, w->shape[1]);
    out->scale = tape_scratch(t, most, sizeof(float));
    return out->bytes != NULL && out->scale != NULL &&
           packed_int8_take(t, w->data, w->scale, NULL, p->wide, w->shape[1], &out->packed);
  }
#else
  (void)p;
#endif
  return (out->weight = op_weight_take(t, w)) != NULL;
}

static void rows_weight_give(tape *t, const tensor *w, rows_weight *taken) {
#ifndef NN_DOUBLE
  packed_int8_give(t, &taken->packed);
  tape_scratch_give(t, taken->scale, taken->most, sizeof(float));
  tape_scratch_give(t, taken->bytes, taken->most, taken->depth);
#endif
  if (taken->weight != NULL) op_weight_give(t, w, taken->weight);
}

static void steps_forward(recurrent_pass *p, const rows_weight *hidden) {
  for (size_t i = 0; i < p->batch; i++)
    memcpy(p->state + i * p->hidden, p->state0 + p->rank[i] * p->hidden, p->hidden * sizeof(real));
  for (p->step = 0; p->step < p->steps && p->active[p->step] > 0; p->step++) {
    size_t running = p->active[p->step];
    rows_multiply(hidden, running, p->wide, p->state, p->said);
    op_parallel(running, pass_grain(p), forward_range, p);
  }
}

static void weights_forward(tape *t, op_node *n, recurrent_pass *p) {
  size_t rows = p->batch * p->steps;
  rows_weight input, hidden;
  if (rows_weight_take(t, n->input[INPUT], p, rows, &input))
    rows_multiply(&input, rows, p->wide, real_data(n->input[X]), p->gates);
  rows_weight_give(t, n->input[INPUT], &input);
  if (rows_weight_take(t, n->input[HIDDEN], p, p->batch, &hidden)) steps_forward(p, &hidden);
  rows_weight_give(t, n->input[HIDDEN], &hidden);
}

static void recurrent_forward(tape *t, op_node *n) {
  recurrent_pass p = pass_of(n, NULL);
  size_t rows = p.batch * p.steps, spare = zeros_count(&p);
  p.gates = tape_save(t, n, 0, rows * p.wide, sizeof(real));
  if (!p.args.with_cell) p.memory = tape_save(t, n, 1, rows * p.hidden, sizeof(real));
  uint32_t *rank = tape_save(t, n, 2, p.batch + p.steps, sizeof *rank);
  real *work = tape_scratch(t, spare + p.batch * (p.hidden + p.wide), sizeof(real));
  if (p.gates == NULL || p.memory == NULL || rank == NULL || work == NULL) return;
  memset(work, 0, spare * sizeof(real));
  rank_rows(&p, rank, rank + p.batch);
  recurrent_pass whole = pass_of(n, work);
  whole.state = work + spare;
  whole.said = whole.state + p.batch * p.hidden;
  ends_clear(&whole, whole.y, whole.y_row);
  weights_forward(t, n, &whole);
  tape_scratch_give(t, work, spare + p.batch * (p.hidden + p.wide), sizeof(real));
}

/* From the last step to the first; afterwards state and dmemory are the gradients of the first ones, by rank. */
static void steps_backward(recurrent_pass *p, const real *hidden_weight) {
  memset(p->state, 0, p->batch * p->hidden * sizeof(real));
  memset(p->dmemory, 0, p->batch * p->hidden * sizeof(real));
  for (p->step = p->steps; p->step-- > 0;) {
    size_t running = p->active[p->step];
    if (running == 0) continue;
    op_parallel(running, pass_grain(p), backward_range, p);
    product(running, p->hidden, p->wide, 1, rows_at(p->said, p->wide), rows_at(hidden_weight, p->hidden), 1,
            rows_at(p->state, p->hidden));
  }
}

/* out [batch, steps, hidden]: the state before each step; zero behind the ends. */
typedef struct states_pass {
  const recurrent_pass *pass;
  real *out;
} states_pass;

static void states_range(void *context, size_t from, size_t to) {
  const states_pass *s = context;
  const recurrent_pass *p = s->pass;
  for (size_t b = from; b < to; b++) {
    real *out = s->out + b * p->steps * p->hidden;
    size_t length = row_length(p, b);
    for (size_t step = 0; step < length; step++)
      memcpy(out + row_time(p, b, step) * p->hidden, before(p, p->y, p->y_row, p->state0, b, step),
             p->hidden * sizeof(real));
    memset(out + length * p->hidden, 0, (p->steps - length) * p->hidden * sizeof(real));
  }
}

/* The weights that the state meets: the gates' gradients over all steps times the states before them. GRU's new gate
 * hears the state by way of the reset gate: its part is in memory. */
static void hidden_backward(tape *t, op_node *n, const recurrent_pass *p) {
  size_t rows = p->batch * p->steps, plain = p->kind->has_cell ? p->wide : p->wide - p->hidden;
  bool add;
  real *d = tape_gradient(t, n->input[HIDDEN], &add);
  real *states = d != NULL ? tape_scratch(t, rows * p->hidden, sizeof(real)) : NULL;
  if (states != NULL) {
    states_pass s = {p, states};
    op_parallel(p->batch, 1 + OP_GRAIN / (p->steps * p->hidden + 1), states_range, &s);
    product_matrix before_all = rows_at(states, p->hidden), to = rows_at(d, p->hidden);
    product(plain, p->hidden, rows, 1, product_transpose(rows_at(p->gates, p->wide)), before_all, add, to);
    to.data += plain * p->hidden;
    if (plain < p->wide)
      product(p->hidden, p->hidden, rows, 1, product_transpose(rows_at(p->memory, p->hidden)), before_all, add, to);
    tape_scratch_give(t, states, rows * p->hidden, sizeof(real));
  }
  d = n->input[HIDDEN_BIAS] ? tape_gradient(t, n->input[HIDDEN_BIAS], &add) : NULL;
  if (d == NULL) return;
  op_column_sums(p->gates, p->wide, rows, plain, d, add);
  if (plain < p->wide) op_column_sums(p->memory, p->hidden, rows, p->hidden, d + plain, add);
}

static void input_backward(tape *t, op_node *n, const recurrent_pass *p) {
  size_t rows = p->batch * p->steps;
  product_matrix gates = rows_at(p->gates, p->wide);
  bool add;
  real *d = tape_gradient(t, n->input[INPUT], &add);
  if (d != NULL)
    product(p->wide, p->in, rows, 1, product_transpose(gates), rows_at(real_data(n->input[X]), p->in), add,
            rows_at(d, p->in));
  d = n->input[INPUT_BIAS] ? tape_gradient(t, n->input[INPUT_BIAS], &add) : NULL;
  if (d != NULL) op_column_sums(p->gates, p->wide, rows, p->wide, d, add);
  d = tape_gradient(t, n->input[X], &add);
  real *weight = d != NULL ? op_weight_take(t, n->input[INPUT]) : NULL;
  if (weight == NULL) return;
  product(rows, p->in, p->wide, 1, gates, rows_at(weight, p->in), add, rows_at(d, p->in));
  op_weight_give(t, n->input[INPUT], weight);
}

/* by rank → in the batch's order */
static void first_backward(tape *t, tensor *x, const recurrent_pass *p, const real *from) {
  real *d = x != NULL ? tape_gradient_zeroed(t, x) : NULL;
  for (size_t i = 0; d != NULL && i < p->batch; i++)
    for (size_t k = 0; k < p->hidden; k++) d[p->rank[i] * p->hidden + k] += from[i * p->hidden + k];
}

static void recurrent_backward(tape *t, op_node *n) {
  recurrent_pass p = pass_of(n, NULL);
  size_t spare = zeros_count(&p), own = p.batch * (2 * p.hidden + p.wide);
  real *work = tape_scratch(t, spare + own, sizeof(real));
  if (work == NULL) return;
  memset(work, 0, spare * sizeof(real));
  p = pass_of(n, work);
  p.state = work + spare;
  p.dmemory = p.state + p.batch * p.hidden;
  p.said = p.dmemory + p.batch * p.hidden;
  p.dy = n->output->gradient;
  real *hidden = op_weight_take(t, n->input[HIDDEN]);
  if (hidden == NULL) return;
  steps_backward(&p, hidden);
  op_weight_give(t, n->input[HIDDEN], hidden);
  ends_clear(&p, p.gates, p.wide);
  if (!p.kind->has_cell) ends_clear(&p, p.memory, p.memory_row);
  first_backward(t, n->input[STATE], &p, p.state);
  first_backward(t, n->input[CELL], &p, p.dmemory);
  hidden_backward(t, n, &p);
  input_backward(t, n, &p);
  tape_scratch_give(t, work, spare + own, sizeof(real));
}

const op_kind op_kind_gru = {"gru", recurrent_forward, recurrent_backward, &gru_cell};
const op_kind op_kind_lstm = {"lstm", recurrent_forward, recurrent_backward, &lstm_cell};

/* ---- calling ---- */

/* An operand of exactly this shape, without gaps; one that is NULL may be missing. Weights were looked at before. */
static bool shape_fits(tape *t, const char *name, const char *what, tensor **x, int rank, const size_t *shape) {
  char left[TENSOR_TEXT_MAX], right[TENSOR_TEXT_MAX];
  bool fits = (*x)->rank == rank;
  for (int d = 0; fits && d < rank; d++) fits = (*x)->shape[d] == shape[d];
  if (!fits) {
    op_fail(t, "%s: the %s is %s, it must be %s", name, what, tensor_text(*x, left), shape_text(rank, shape, right));
    return false;
  }
  return (*x)->dtype != DTYPE_REAL || (*x = op_contiguous(t, *x)) != NULL;
}

static bool operand_fits(tape *t, const char *name, const char *what, tensor **x, int rank, const size_t *shape) {
  if (*x == NULL) return true;
  return op_ready(t, name, x, 1) && shape_fits(t, name, what, x, rank, shape);
}

static bool lengths_fit(tape *t, const char *name, const tensor *lengths, size_t batch, size_t steps) {
  char text[TENSOR_TEXT_MAX];
  if (lengths == NULL) return true;
  if (!op_ready_indices(t, name, lengths)) return false;
  if (lengths->rank != 1 || lengths->shape[0] != batch) {
    op_fail(t, "%s: lengths are %s, there must be one for each of %zu rows", name, tensor_text(lengths, text), batch);
    return false;
  }
  for (size_t b = 0; b < batch; b++) {
    int32_t length = index_data(lengths)[b];
    if (length >= 0 && (size_t)length <= steps) continue;
    op_fail(t, "%s: row %zu has length %d, the input has %zu steps", name, b, (int)length, steps);
    return false;
  }
  return true;
}

static tensor *recurrent_run(tape *t, const op_kind *kind, tensor *x, const recurrent_weights *w,
                             const recurrent_options *given) {
  static const recurrent_options none = {0};
  const recurrent_options *o = given ? given : &none;
  const cell_kind *cell = kind->detail;
  char text[TENSOR_TEXT_MAX];
  tensor *in[OPERANDS] = {x, w->input, w->hidden, w->input_bias, w->hidden_bias, o->state, o->cell, o->lengths};
  if (!op_ready(t, kind->name, in, 1) || !op_present(t, kind->name, in + INPUT, 2) ||
      !op_weight_ready(t, kind->name, in[INPUT]) || !op_weight_ready(t, kind->name, in[HIDDEN]))
    return NULL;
  if (x->rank != 3 || x->count == 0)
    return op_fail(t, "%s: input is %s, not [batch, steps, numbers]", kind->name, tensor_text(x, text));
  if (in[HIDDEN]->rank != 2 || in[HIDDEN]->count == 0)
    return op_fail(t, "%s: the hidden weight is %s, not a matrix", kind->name, tensor_text(in[HIDDEN], text));
  size_t hidden = in[HIDDEN]->shape[1], wide = cell->gates * hidden, batch = x->shape[0];
  bool fits = shape_fits(t, kind->name, "hidden weight", &in[HIDDEN], 2, (size_t[]){wide, hidden}) &&
              shape_fits(t, kind->name, "input weight", &in[INPUT], 2, (size_t[]){wide, x->shape[2]}) &&
              operand_fits(t, kind->name, "input bias", &in[INPUT_BIAS], 1, &wide) &&
              operand_fits(t, kind->name, "hidden bias", &in[HIDDEN_BIAS], 1, &wide) &&
              operand_fits(t, kind->name, "first state", &in[STATE], 2, (size_t[]){batch, hidden}) &&
              operand_fits(t, kind->name, "first cell", &in[CELL], 2, (size_t[]){batch, hidden}) &&
              lengths_fit(t, kind->name, in[LENGTHS], batch, x->shape[1]);
  if (!fits || (in[X] = op_contiguous(t, x)) == NULL) return NULL;
  if (!cell->has_cell && (in[CELL] != NULL || o->with_cell)) return op_fail(t, "%s: there is no cell", kind->name);
  recurrent_args args = {o->reverse, o->with_cell};
  size_t shape[] = {batch, x->shape[1], o->with_cell ? 2 * hidden : hidden};
  return op_run(t, kind, 3, shape, in, OPERANDS, &args, sizeof args);
}

tensor *op_gru(tape *t, tensor *x, const recurrent_weights *weights, const recurrent_options *options) {
  return recurrent_run(t, &op_kind_gru, x, weights, options);
}

tensor *op_lstm(tape *t, tensor *x, const recurrent_weights *weights, const recurrent_options *options) {
  return recurrent_run(t, &op_kind_lstm, x, weights, options);
}

/* A step is a sequence of length one. */
static tensor *cell_run(tape *t, const op_kind *kind, tensor *x, const recurrent_weights *w,
                        const recurrent_options *options) {
  char text[TENSOR_TEXT_MAX];
  if (!op_ready(t, kind->name, &x, 1)) return NULL;
  if (x->rank != 2) return op_fail(t, "%s: one step takes [batch, numbers], not %s", kind->name, tensor_text(x, text));
  x = op_reshape(t, x, 3, (size_t[]){x->shape[0], 1, x->shape[1]});
  tensor *y = recurrent_run(t, kind, x, w, options);
  return y == NULL ? NULL : op_reshape(t, y, 2, (size_t[]){y->shape[0], y->shape[2]});
}

tensor *op_gru_cell(tape *t, tensor *x, tensor *state, const recurrent_weights *weights) {
  return cell_run(t, &op_kind_gru, x, weights, &(recurrent_options){.state = state});
}

tensor *op_lstm_cell(tape *t, tensor *x, tensor *state, const recurrent_weights *weights) {
  char text[TENSOR_TEXT_MAX];
  recurrent_options options = {.with_cell = true};
  if (state != NULL) {
    if (state->rank != 2 || state->shape[1] % 2 != 0)
      return op_fail(t, "lstm: state and cell are %s, not [batch, 2 hidden]", tensor_text(state, text));
    size_t hidden = state->shape[1] / 2;
    options.state = op_slice(t, state, 1, 0, hidden);
    options.cell = op_slice(t, state, 1, hidden, hidden);
    if (options.state == NULL || options.cell == NULL) return NULL;
  }
  return cell_run(t, &op_kind_lstm, x, weights, &options);
}
