/* nn/op_attention.c: scaled dot-product attention, softmax(q kᵀ scale + mask) v, in memory that is linear in length.
 *
 * The scores of BLOCK queries and BLOCK keys at a time lie in a buffer that the second cache holds; the softmax goes
 * along while key blocks pass (Milakov & Gimelshein 2018; Dao et al. 2022). What is kept for backward is one number per
 * query and head, the logarithm of its sum of exponentials, from which the weights are computed again.
 *
 * On the way forward keys and values are laid out once for the products of all queries, where heads are whole panels of
 * PRODUCT_LANES. Otherwise nothing is padded, permuted or copied: heads lie beside each other in a row, as a linear
 * layer makes them, and q, k and v may be slices of one product. Samples of unequal length can be packed one behind the
 * other (`starts`).
 *
 * A unit of work is one sample and one head of k and v, with all heads of q that share it: every sum is made by one
 * thread, so the numbers do not depend on how many there are.
 *
 * q, k, v: Vaswani et al. 2017.
 */
#include <math.h>
#include <string.h>

#include "math/clones.h"
#include "nn/op.h"
#include "nn/op_kind.h"
#include "nn/product.h"
#include "nn/rows.h"

enum { BLOCK = 128, Q = 0, K = 1, V = 2, MASK = 3, LENGTHS = 4, STARTS = 5, KEY_STARTS = 6, INPUT_COUNT = 7 };

typedef struct attention_args {
  real scale;
  bool causal;
} attention_args;

/* Where an operand's numbers lie: strides in elements. */
typedef struct attention_operand {
  real *data, *d;
  size_t sample, row, head;
} attention_operand;

typedef struct attention_pass {
  attention_args args;
  size_t samples, queries, keys; /* queries, keys: of each sample, unless packed */
  size_t heads, group;           /* of q; how many of them share a head of k and v */
  size_t dim, value_dim;
  const int32_t *lengths, *starts, *key_starts;
  attention_operand q, k, v, y;
  const real *mask;
  size_t mask_sample, mask_head, mask_row; /* strides, 0 where it is repeated */
  real *log_sum;                           /* [rows of y, heads] */
  real *packed;                            /* keys and values for product_by_packed, or NULL */
} attention_pass;

/* One sample and one head of q. */
typedef struct attention_unit {
  real *q, *k, *v, *y, *dq, *dk, *dv, *dy;
  real *packed_k, *packed_v; /* [keys in panels, dim]; [blocks of keys][value_dim in panels, BLOCK]; NULL: neither */
  const real *mask;
  real *log_sum;
  size_t queries, keys, visible; /* visible: keys that are not behind the sample's length */
} attention_unit;

static bool attention_is_packed(const op_node *n) { return n->input[STARTS] != NULL; }

static attention_operand attention_operand_of(const tensor *x, bool packed) {
  return (attention_operand){
      .data = real_data(x),
      .sample = packed ? 0 : x->stride[0],
      .row = x->stride[x->rank - 3],
      .head = x->stride[x->rank - 2],
  };
}

static const int32_t *optional_indices(const tensor *x) { return x != NULL ? index_data(x) : NULL; }

static size_t mask_stride(const tensor *mask, int from_end) {
  int d = mask->rank - from_end;
  return d < 0 || mask->shape[d] == 1 ? 0 : mask->stride[d];
}

static attention_pass attention_of(const op_node *n) {
  const tensor *q = n->input[Q], *k = n->input[K], *mask = n->input[MASK];
  bool packed = attention_is_packed(n);
  attention_pass p = {
      .args = *(const attention_args *)n->args,
      .samples = packed ? n->input[STARTS]->count - 1 : q->shape[0],
      .queries = q->shape[q->rank - 3],
      .keys = k->shape[k->rank - 3],
      .heads = q->shape[q->rank - 2],
      .dim = tensor_width(q),
      .value_dim = tensor_width(n->input[V]),
      .lengths = optional_indices(n->input[LENGTHS]),
      .starts = optional_indices(n->input[STARTS]),
      .key_starts = optional_indices(n->input[KEY_STARTS] ? n->input[KEY_STARTS] : n->input[STARTS]),
      .q = attention_operand_of(q, packed),
      .k = attention_operand_of(k, packed),
      .v = attention_operand_of(n->input[V], packed),
      .y = attention_operand_of(n->output, packed),
      .log_sum = n->saved[0],
  };
  p.group = p.heads / k->shape[k->rank - 2];
  if (mask != NULL) {
    p.mask = real_data(mask);
    p.mask_sample = mask_stride(mask, 4);
    p.mask_head = mask_stride(mask, 3);
    p.mask_row = mask_stride(mask, 2);
  }
  return p;
}

/* Keys that room is made for: whole panels. */
static size_t packed_rows(size_t keys) { return product_packed_columns(keys); }

static attention_unit attention_unit_of(const attention_pass *p, size_t sample, size_t head) {
  size_t row = p->starts ? (size_t)p->starts[sample] : 0, key = p->starts ? (size_t)p->key_starts[sample] : 0;
  size_t at_q = sample * p->q.sample + row * p->q.row + head * p->q.head;
  size_t at_k = sample * p->k.sample + key * p->k.row + head / p->group * p->k.head;
  size_t at_v = sample * p->v.sample + key * p->v.row + head / p->group * p->v.head;
  size_t at_y = sample * p->y.sample + row * p->y.row + head * p->y.head;
  attention_unit u = {
      .q = p->q.data + at_q,
      .k = p->k.data + at_k,
      .v = p->v.data + at_v,
      .y = p->y.data + at_y,
      .dq = p->q.d ? p->q.d + at_q : NULL,
      .dk = p->k.d ? p->k.d + at_k : NULL,
      .dv = p->v.d ? p->v.d + at_v : NULL,
      .dy = p->y.d ? p->y.d + at_y : NULL,
      .mask = p->mask ? p->mask + sample * p->mask_sample + head * p->mask_head : NULL,
      .log_sum = p->log_sum + (p->starts ? row : sample * p->queries) * p->heads + head,
      .queries = p->starts ? (size_t)p->starts[sample + 1] - row : p->queries,
      .keys = p->starts ? (size_t)p->key_starts[sample + 1] - key : p->keys,
  };
  u.visible = p->lengths ? (size_t)p->lengths[sample] : u.keys;
  if (p->packed == NULL) return u;
  size_t shared = p->heads / p->group, rows = p->starts ? key + sample * PRODUCT_LANES : sample * packed_rows(p->keys);
  u.packed_k = p->packed + (rows * shared + head / p->group * packed_rows(u.keys)) * (p->dim + p->value_dim);
  u.packed_v = u.packed_k + packed_rows(u.keys) * p->dim;
  return u;
}

/* Keys that query i may see: the first so many. */
static size_t keys_seen(const attention_pass *p, const attention_unit *u, size_t i) {
  if (!p->args.causal) return u->visible;
  size_t reach = u->keys + i + 1 > u->queries ? u->keys + i + 1 - u->queries : 0;
  return reach < u->visible ? reach : u->visible;
}

static product_matrix matrix(real *data, size_t row) { return (product_matrix){data, false, row}; }

/* scores [queries, BLOCK] of queries [from, from + rows) and keys [key, key + columns); what a query may not see is
 * not looked at, so it is not computed away here. */
static void attention_scores(const attention_pass *p, const attention_unit *u, size_t from, size_t rows, size_t key,
                             size_t columns, real *scores) {
  if (u->packed_k != NULL)
    product_by_packed(rows, columns, p->dim, u->q + from * p->q.row, p->q.row, u->packed_k + key * p->dim, false,
                      scores, BLOCK);
  else
    product(rows, columns, p->dim, p->args.scale, matrix(u->q + from * p->q.row, p->q.row),
            product_transpose(matrix(u->k + key * p->k.row, p->k.row)), 0, matrix(scores, BLOCK));
  if (u->mask == NULL) return;
  for (size_t r = 0; r < rows; r++) row_add(scores + r * BLOCK, u->mask + (from + r) * p->mask_row + key, columns);
}

/* How many of the block's columns query i sees. */
static size_t columns_seen(const attention_pass *p, const attention_unit *u, size_t i, size_t key, size_t columns) {
  size_t seen = keys_seen(p, u, i);
  seen = seen > key ? seen - key : 0;
  return seen < columns ? seen : columns;
}

/* ---- forward ---- */

/* What a query has met so far: the greatest score and the sum of exponentials beyond it. */
typedef struct attention_course {
  real most[BLOCK], sum[BLOCK];
} attention_course;

/* Scores become weights e^(score - most); y of the blocks before shrinks when a greater score has come. */
static void attention_weigh(const attention_pass *p, const attention_unit *u, attention_course *course, size_t from,
                            size_t rows, size_t key, size_t columns, real *scores) {
  real before[BLOCK], sum[BLOCK];
  memcpy(before, course->most, rows * sizeof *before);
  for (size_t r = 0, alike = p->args.causal ? 1 : rows; r < rows; r += alike) { /* rows that see the same keys */
    size_t seen = columns_seen(p, u, from + r, key, columns);
    rows_soften(scores + r * BLOCK, BLOCK, alike, seen, course->most + r, sum + r);
    for (size_t i = r; seen < columns && i < r + alike; i++)
      memset(scores + i * BLOCK + seen, 0, (columns - seen) * sizeof *scores);
  }
  for (size_t r = 0; r < rows; r++) {
    real most = course->most[r], shrink = key == 0 || before[r] == -INFINITY ? 0 : real_exp_shifted(before[r] - most);
    if (key > 0 && most > before[r]) row_scale(u->y + (from + r) * p->y.row, shrink, p->value_dim);
    course->sum[r] = course->sum[r] * shrink + sum[r];
  }
}

static inline VECTOR_INLINE void attention_finish_body(const attention_pass *p, const attention_unit *u,
                                                       attention_course *course, size_t from, size_t rows) {
  for (size_t r = 0; r < rows; r++) {
    real sum = course->sum[r], share = sum > 0 || sum != sum ? 1 / sum : 0, *y = u->y + (from + r) * p->y.row;
    _Pragma("omp simd") for (size_t i = 0; i < p->value_dim; i++) y[i] *= share;
  }
  _Pragma("omp simd") for (size_t r = 0; r < rows; r++) course->sum[r] = real_log(course->sum[r]) + course->most[r];
  for (size_t r = 0; r < rows; r++) u->log_sum[(from + r) * p->heads] = course->sum[r];
}
VECTOR_CLONES(static, void, attention_finish,
              (const attention_pass *p, const attention_unit *u, attention_course *course, size_t from, size_t rows),
              (p, u, course, from, rows))

/* y of queries [from, from + rows) (+)= weights [rows, BLOCK] of the block's values. */
static void attention_gather(const attention_pass *p, const attention_unit *u, size_t from, size_t rows, size_t key,
                             size_t columns, real *weights) {
  real *y = u->y + from * p->y.row;
  if (u->packed_v != NULL)
    product_by_packed(rows, p->value_dim, columns, weights, BLOCK, u->packed_v + key * p->value_dim, key > 0, y,
                      p->y.row);
  else
    product(rows, p->value_dim, columns, 1, matrix(weights, BLOCK), matrix(u->v + key * p->v.row, p->v.row), key > 0,
            matrix(y, p->y.row));
}

/* rows <= BLOCK queries against all keys that the last of them sees; of packed keys the whole block, as it was laid
 * out. */
static void attention_queries(const attention_pass *p, const attention_unit *u, size_t from, size_t rows) {
  real scores[BLOCK * BLOCK];
  attention_course course;
  for (size_t r = 0; r < rows; r++) course.most[r] = -INFINITY, course.sum[r] = 0;
  size_t end = keys_seen(p, u, from + rows - 1);
  for (size_t key = 0; key < end; key += BLOCK) {
    size_t last = u->packed_k != NULL ? u->visible : end, columns = last - key < BLOCK ? last - key : BLOCK;
    attention_scores(p, u, from, rows, key, columns, scores);
    attention_weigh(p, u, &course, from, rows, key, columns, scores);
    attention_gather(p, u, from, rows, key, columns, scores);
  }
  for (size_t r = 0; end == 0 && r < rows; r++) memset(u->y + (from + r) * p->y.row, 0, p->value_dim * sizeof(real));
  attention_finish(p, u, &course, from, rows);
}

static void attention_range(void *context, size_t begin, size_t end) {
  const attention_pass *p = context;
  for (size_t at = begin; at < end; at++) {
    attention_unit u = attention_unit_of(p, at / p->heads, at % p->heads);
    for (size_t from = 0; from < u.queries; from += BLOCK)
      attention_queries(p, &u, from, u.queries - from < BLOCK ? u.queries - from : BLOCK);
  }
}

static void attention_pack_range(void *context, size_t begin, size_t end) {
  const attention_pass *p = context;
  size_t shared = p->heads / p->group;
  for (size_t at = begin; at < end; at++) {
    attention_unit u = attention_unit_of(p, at / shared, at % shared * p->group);
    product_pack(u.visible, p->dim, p->args.scale, product_transpose(matrix(u.k, p->k.row)), u.packed_k);
    for (size_t key = 0; key < u.visible; key += BLOCK)
      product_pack(p->value_dim, u.visible - key < BLOCK ? u.visible - key : BLOCK, 1,
                   matrix(u.v + key * p->v.row, p->v.row), u.packed_v + key * p->value_dim);
  }
}

/* Units that are worth a thread of their own. */
static size_t attention_grain(const attention_pass *p, const op_node *n) {
  size_t work = n->output->count / (p->samples * p->heads + 1) * (p->keys < BLOCK ? p->keys : BLOCK) / 4;
  return 1 + OP_GRAIN / (work + 1);
}

static void attention_forward(tape *t, op_node *n) {
  attention_pass p = attention_of(n);
  p.log_sum = tape_save(t, n, 0, n->output->count / p.value_dim, sizeof(real));
  if (p.log_sum == NULL) return;
  size_t shared = p.heads / p.group,
         keys = p.starts ? p.keys + p.samples * PRODUCT_LANES : p.samples * packed_rows(p.keys);
  size_t numbers = p.value_dim % PRODUCT_LANES == 0 ? keys * shared * (p.dim + p.value_dim) : 0;
  if (numbers > 0) {
    p.packed = tape_scratch(t, numbers, sizeof(real));
    if (p.packed == NULL) return;
    op_parallel(p.samples * shared, attention_grain(&p, n), attention_pack_range, &p);
  }
  op_parallel(p.samples * p.heads, attention_grain(&p, n), attention_range, &p);
  if (p.packed != NULL) tape_scratch_give(t, p.packed, numbers, sizeof(real));
}

/* ---- backward ---- */

/* Scores become weights again, e^(score - log of the sum). */
static void attention_weigh_again(const attention_pass *p, const attention_unit *u, size_t from, size_t rows,
                                  size_t key, size_t columns, real *scores) {
  for (size_t r = 0; r < rows; r++) {
    real *row = scores + r * BLOCK, log_sum = u->log_sum[(from + r) * p->heads];
    size_t seen = log_sum == -INFINITY ? 0 : columns_seen(p, u, from + r, key, columns);
    memset(row + seen, 0, (columns - seen) * sizeof *row);
    if (seen > 0) row_exp(row, log_sum, row, seen);
  }
}

/* d = weight * (d - inner) * scale: the softmax's slope */
static inline VECTOR_INLINE void attention_slope_body(const real *weight, real inner, real scale, real *restrict d,
                                                      size_t count) {
  _Pragma("omp simd") for (size_t i = 0; i < count; i++) d[i] = weight[i] * (d[i] - inner) * scale;
}
VECTOR_CLONES(static, void, attention_slope, (const real *weight, real inner, real scale, real *d, size_t count),
              (weight, inner, scale, d, count))

/* A block of queries and keys: its shares of dq, dk and dv. inner [rows]: dy · y of each query. */
static void attention_block_back(const attention_pass *p, const attention_unit *u, size_t from, size_t rows, size_t key,
                                 size_t columns, const real *inner) {
  real weight[BLOCK * BLOCK], d[BLOCK * BLOCK];
  product_matrix dy = matrix(u->dy + from * p->y.row, p->y.row);
  attention_scores(p, u, from, rows, key, columns, weight);
  attention_weigh_again(p, u, from, rows, key, columns, weight);
  if (u->dv != NULL)
    product(columns, p->value_dim, rows, 1, product_transpose(matrix(weight, BLOCK)), dy, 1,
            matrix(u->dv + key * p->v.row, p->v.row));
  if (u->dq == NULL && u->dk == NULL) return;
  product(rows, columns, p->value_dim, 1, dy, product_transpose(matrix(u->v + key * p->v.row, p->v.row)), 0,
          matrix(d, BLOCK));
  for (size_t r = 0; r < rows; r++)
    attention_slope(weight + r * BLOCK, inner[r], p->args.scale, d + r * BLOCK, columns);
  if (u->dq != NULL)
    product(rows, p->dim, columns, 1, matrix(d, BLOCK), matrix(u->k + key * p->k.row, p->k.row), 1,
            matrix(u->dq + from * p->q.row, p->q.row));
  if (u->dk != NULL)
    product(columns, p->dim, rows, 1, product_transpose(matrix(d, BLOCK)), matrix(u->q + from * p->q.row, p->q.row), 1,
            matrix(u->dk + key * p->k.row, p->k.row));
}

static void attention_unit_back(const attention_pass *p, const attention_unit *u) {
  for (size_t from = 0; from < u->queries; from += BLOCK) {
    size_t rows = u->queries - from < BLOCK ? u->queries - from : BLOCK, end = keys_seen(p, u, from + rows - 1);
    real inner[BLOCK];
    for (size_t r = 0; r < rows; r++)
      inner[r] = row_dot(u->dy + (from + r) * p->y.row, u->y + (from + r) * p->y.row, p->value_dim);
    for (size_t key = 0; key < end; key += BLOCK)
      attention_block_back(p, u, from, rows, key, end - key < BLOCK ? end - key : BLOCK, inner);
  }
}

static void attention_back_range(void *context, size_t begin, size_t end) {
  const attention_pass *p = context;
  size_t shared = p->heads / p->group;
  for (size_t at = begin; at < end; at++)
    for (size_t h = 0; h < p->group; h++) {
      attention_unit u = attention_unit_of(p, at / shared, at % shared * p->group + h);
      attention_unit_back(p, &u);
    }
}

/* Slices of one product share its gradient, and blocks add to what other blocks wrote: all begin from zeros. */
static void attention_backward(tape *t, op_node *n) {
  attention_pass p = attention_of(n);
  p.q.d = tape_gradient_zeroed(t, n->input[Q]);
  p.k.d = tape_gradient_zeroed(t, n->input[K]);
  p.v.d = tape_gradient_zeroed(t, n->input[V]);
  p.y.d = n->output->gradient;
  op_parallel(p.samples * p.heads / p.group, attention_grain(&p, n), attention_back_range, &p);
}

const op_kind op_kind_attention = {"attention", attention_forward, attention_backward, NULL, false};

/* ---- what fits ---- */

static bool attention_shapes_fit(tape *t, const tensor *q, const tensor *k, const tensor *v, int rank) {
  char a[TENSOR_TEXT_MAX], b[TENSOR_TEXT_MAX], c[TENSOR_TEXT_MAX];
  tensor_text(q, a), tensor_text(k, b), tensor_text(v, c);
  const char *form = rank == 4 ? "[samples, length, heads, dim]" : "[rows, heads, dim], as samples are packed";
  if (q->rank != rank || k->rank != rank || v->rank != rank)
    return op_fail(t, "attention: q is %s, k is %s, v is %s: each must be %s", a, b, c, form), false;
  if (tensor_width(q) != tensor_width(k))
    return op_fail(t, "attention: q is %s, k is %s: heads of %zu and of %zu numbers", a, b, tensor_width(q),
                   tensor_width(k)),
           false;
  if (tensor_width(v) == 0) return op_fail(t, "attention: v is %s: heads of no values", c), false;
  for (int d = 0; d < rank - 1; d++)
    if (k->shape[d] != v->shape[d])
      return op_fail(t, "attention: k is %s, v is %s: only the last dimension may differ", b, c), false;
  if (rank == 4 && q->shape[0] != k->shape[0])
    return op_fail(t, "attention: q is %s, k is %s: %zu and %zu samples", a, b, q->shape[0], k->shape[0]), false;
  size_t shared = k->shape[rank - 2];
  if (shared == 0 || q->shape[rank - 2] == 0 || q->shape[rank - 2] % shared != 0)
    return op_fail(t, "attention: q is %s, k is %s: %zu heads cannot share %zu", a, b, q->shape[rank - 2], shared),
           false;
  return true;
}

static bool attention_mask_fits(tape *t, const tensor *mask, const tensor *q, const tensor *k) {
  size_t whole[4] = {q->shape[0], q->shape[2], q->shape[1], k->shape[1]};
  char a[TENSOR_TEXT_MAX], b[TENSOR_TEXT_MAX];
  if (mask->needs_gradient) return op_fail(t, "attention: the mask is a constant; this one needs a gradient"), false;
  bool fits = mask->rank <= 4 && mask->rank >= 1 && tensor_width(mask) == whole[3];
  for (int d = 0; fits && d < mask->rank - 1; d++)
    fits = mask->shape[d] == 1 || mask->shape[d] == whole[4 - mask->rank + d];
  if (!fits)
    op_fail(t, "attention: the mask is %s, where %s or a 1 is wanted in front of the last", tensor_text(mask, a),
            shape_text(4, whole, b));
  return fits;
}

static bool attention_lengths_fit(tape *t, const tensor *lengths, size_t samples, size_t keys) {
  if (!op_ready_indices(t, "attention", lengths)) return false;
  if (lengths->count != samples)
    return op_fail(t, "attention: %zu lengths for %zu samples", lengths->count, samples), false;
  for (size_t i = 0; i < samples; i++) {
    int32_t length = index_data(lengths)[i];
    if (length < 0 || (size_t)length > keys)
      return op_fail(t, "attention: length %d of sample %zu is not within 0 to %zu", length, i, keys), false;
  }
  return true;
}

static bool attention_starts_fit(tape *t, const tensor *starts, size_t rows) {
  if (!op_ready_indices(t, "attention", starts)) return false;
  const int32_t *at = index_data(starts);
  if (starts->count < 1 || at[0] != 0 || (size_t)at[starts->count - 1] != rows)
    return op_fail(t, "attention: the starts of packed samples go from 0 to the number of rows, %zu", rows), false;
  for (size_t i = 1; i < starts->count; i++)
    if (at[i] < at[i - 1])
      return op_fail(t, "attention: start %d of packed sample %zu is behind the next, %d", at[i - 1], i - 1, at[i]),
             false;
  return true;
}

static bool attention_packing_fits(tape *t, const tensor *q, const tensor *k, const attention_options *o) {
  const tensor *keys = o->key_starts ? o->key_starts : o->starts;
  if (o->mask != NULL || o->lengths != NULL)
    return op_fail(t, "attention: packed samples take neither a mask nor lengths"), false;
  if (!attention_starts_fit(t, o->starts, q->shape[0]) || !attention_starts_fit(t, keys, k->shape[0])) return false;
  if (keys->count != o->starts->count)
    return op_fail(t, "attention: q is packed from %zu samples, k from %zu", o->starts->count - 1, keys->count - 1),
           false;
  return true;
}

/* Rows of a head without gaps; everything else may lie anywhere. */
static tensor *attention_operand_ready(tape *t, tensor *x) {
  return x->stride[x->rank - 1] == 1 || tensor_width(x) <= 1 ? x : op_contiguous(t, x);
}

tensor *op_attention(tape *t, tensor *q, tensor *k, tensor *v, const attention_options *options) {
  static const attention_options plain = {0};
  const attention_options *o = options ? options : &plain;
  tensor *x[INPUT_COUNT] = {q, k, v, o->mask, o->lengths, o->starts, o->key_starts};
  if (!op_ready(t, "attention", x, o->mask ? 4 : 3)) return NULL;
  int rank = o->starts ? 3 : 4;
  if (!attention_shapes_fit(t, q, k, v, rank)) return NULL;
  if (o->starts != NULL && !attention_packing_fits(t, q, k, o)) return NULL;
  if (o->mask != NULL && !attention_mask_fits(t, o->mask, q, k)) return NULL;
  if (o->lengths != NULL && !attention_lengths_fit(t, o->lengths, q->shape[0], k->shape[1])) return NULL;
  for (int i = Q; i <= V; i++) x[i] = attention_operand_ready(t, x[i]);
  if (x[MASK] != NULL) x[MASK] = op_contiguous(t, x[MASK]);
  if (!op_present(t, "attention", x, o->mask ? 4 : 3)) return NULL;
  size_t shape[TENSOR_RANK_MAX];
  memcpy(shape, q->shape, sizeof shape);
  shape[rank - 1] = tensor_width(v);
  double scale = o->scale != 0 ? o->scale : 1 / sqrt((double)(tensor_width(q) ? tensor_width(q) : 1));
  attention_args args = {(real)scale, o->causal};
  return op_run(t, &op_kind_attention, rank, shape, x, INPUT_COUNT, &args, sizeof args);
}
