/* nn/op_dropout.c: dropout. Which elements fall is a hash of the op's key and the element's number, so the mask is
 * computed again in backward rather than kept, and does not depend on threads. */
#include "math/clones.h"
#include "nn/op.h"
#include "nn/op_kind.h"

typedef struct dropout_args {
  uint32_t key, limit; /* an element falls when its hash is below the limit */
  real scale;          /* of what stays: 1 / (1 - p) */
} dropout_args;

/* 32 bits of element i: the rounds of MurmurHash3's finaliser (Appleby 2011) over the number and the key, twice. */
static inline uint32_t dropout_hash(uint32_t key, uint32_t i) {
  uint32_t h = i * 0x9e3779b1u + key;
  h = (h ^ h >> 16) * 0x85ebca6bu;
  h = (h ^ h >> 13) * 0xc2b2ae35u;
  h = (h ^ h >> 16) + key;
  h = (h ^ h >> 15) * 0x2c1b3c6du;
  return h ^ h >> 16;
}

/* y (+)= x where it stays, times the scale. */
static inline VECTOR_INLINE void dropout_row_body(const real *restrict x, real *restrict y, size_t from, size_t to,
                                                  const dropout_args *args, bool add) {
  uint32_t key = args->key, limit = args->limit;
  real scale = args->scale;
  if (add) {
    _Pragma("omp simd") for (size_t i = from; i < to; i++) y[i] +=
        dropout_hash(key, (uint32_t)i) < limit ? 0 : x[i] * scale;
  } else {
    _Pragma("omp simd") for (size_t i = from; i < to; i++) y[i] =
        dropout_hash(key, (uint32_t)i) < limit ? 0 : x[i] * scale;
  }
}
VECTOR_CLONES(static, void, dropout_row,
              (const real *x, real *y, size_t from, size_t to, const dropout_args *args, bool add),
              (x, y, from, to, args, add))

typedef struct dropout_pass {
  const dropout_args *args;
  const real *x;
  real *y;
  bool add;
} dropout_pass;

static void dropout_range(void *context, size_t from, size_t to) {
  const dropout_pass *p = context;
  dropout_row(p->x, p->y, from, to, p->args, p->add);
}

static void dropout_forward(tape *t, op_node *n) {
  (void)t;
  dropout_pass p = {.args = n->args, .x = real_data(n->input[0]), .y = real_data(n->output)};
  op_parallel(n->output->count, OP_GRAIN, dropout_range, &p);
}

static void dropout_backward(tape *t, op_node *n) {
  dropout_pass p = {.args = n->args, .x = n->output->gradient};
  p.y = tape_gradient(t, n->input[0], &p.add);
  if (p.y != NULL) op_parallel(n->output->count, OP_GRAIN, dropout_range, &p);
}

const op_kind op_kind_dropout = {"dropout", dropout_forward, dropout_backward, NULL};

tensor *op_dropout(tape *t, tensor *x, double p) {
  if (!op_ready(t, "dropout", &x, 1)) return NULL;
  if (!(p >= 0 && p < 1)) return op_fail(t, "dropout: a share of %g cannot fall; 0 or more, below 1", p);
  if (p == 0 || !tape_is_training(t)) return x;
  if ((x = op_contiguous(t, x)) == NULL) return NULL;
  dropout_args args = {(uint32_t)(tape_random_key(t) >> 32), (uint32_t)(p * 4294967296.0), (real)(1 / (1 - p))};
  return op_run(t, &op_kind_dropout, x->rank, x->shape, &x, 1, &args, sizeof args);
}
