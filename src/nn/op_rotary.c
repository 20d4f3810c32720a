/* nn/op_rotary.c: rotary position embedding (Su et al. 2021): pairs of numbers in each head are turned by an angle that
 * grows with the position, so that the product of a query and a key depends on how far apart they are.
 *
 * Angles are computed in double and kept as cosine and sine per row: float32 angles of position 100,000 are off by a
 * hundredth. Backward turns the other way. */
#include <math.h>
#include <string.h>

#include "math/clones.h"
#include "nn/op.h"
#include "nn/op_kind.h"

typedef struct rotary_args {
  rotary_options o;
  bool counted; /* no positions given: the place along the length */
} rotary_args;

typedef struct rotary_pass {
  rotary_args args;
  size_t heads, width, length, turned; /* turned: numbers of a head that are turned */
  const int32_t *positions;
  const real *x;
  real *y, *turn; /* turn: [rows or length, 2, turned / 2] cosine, then sine */
  bool back, add;
} rotary_pass;

/* The other half of the pair is `apart` further on; pairs follow each other at `step`. */
static inline VECTOR_INLINE void rotary_head_body(const real *x, const real *cosine, const real *sine, real way,
                                                  real *restrict y, size_t pairs, size_t step, size_t apart, bool add) {
  if (add) {
    _Pragma("omp simd") for (size_t i = 0; i < pairs; i++) {
      real a = x[i * step], b = x[i * step + apart], s = way * sine[i];
      y[i * step] += a * cosine[i] - b * s;
      y[i * step + apart] += b * cosine[i] + a * s;
    }
  } else {
    _Pragma("omp simd") for (size_t i = 0; i < pairs; i++) {
      real a = x[i * step], b = x[i * step + apart], s = way * sine[i];
      y[i * step] = a * cosine[i] - b * s;
      y[i * step + apart] = b * cosine[i] + a * s;
    }
  }
}
VECTOR_CLONES(static, void, rotary_head,
              (const real *x, const real *cosine, const real *sine, real way, real *y, size_t pairs, size_t step,
               size_t apart, bool add),
              (x, cosine, sine, way, y, pairs, step, apart, add))

static void rotary_range(void *context, size_t from, size_t to) {
  const rotary_pass *p = context;
  size_t pairs = p->turned / 2, rest = p->width - p->turned;
  size_t step = p->args.o.interleaved ? 2 : 1, apart = p->args.o.interleaved ? 1 : pairs;
  for (size_t r = from; r < to; r++) {
    const real *turn = p->turn + (p->args.counted ? r % p->length : r) * p->turned;
    for (size_t h = 0; h < p->heads; h++) {
      size_t at = (r * p->heads + h) * p->width;
      rotary_head(p->x + at, turn, turn + pairs, p->back ? -1 : 1, p->y + at, pairs, step, apart, p->add);
      for (size_t i = p->turned; rest > 0 && i < p->width; i++)
        p->y[at + i] = p->x[at + i] + (p->add ? p->y[at + i] : 0);
    }
  }
}

static void rotary_angles(void *context, size_t from, size_t to) {
  const rotary_pass *p = context;
  size_t pairs = p->turned / 2;
  for (size_t i = 0; i < pairs; i++) {
    double frequency =
        p->args.o.frequencies ? p->args.o.frequencies[i] : pow(p->args.o.base, -2 * (double)i / (double)p->turned);
    for (size_t r = from; r < to; r++) {
      double angle = frequency * (p->positions ? (double)p->positions[r] : (double)r);
      p->turn[r * p->turned + i] = (real)cos(angle);
      p->turn[r * p->turned + pairs + i] = (real)sin(angle);
    }
  }
}

static rotary_pass rotary_of(const op_node *n) {
  const tensor *x = n->input[0];
  rotary_args args = *(const rotary_args *)n->args;
  return (rotary_pass){.args = args,
                       .heads = x->shape[x->rank - 2],
                       .width = tensor_width(x),
                       .length = x->shape[x->rank - 3],
                       .turned = args.o.dims,
                       .positions = n->input[1] ? index_data(n->input[1]) : NULL,
                       .turn = n->saved[0]};
}

static size_t rotary_rows(const rotary_pass *p, const tensor *x) {
  return p->heads * p->width == 0 ? 0 : x->count / (p->heads * p->width);
}

static void rotary_run(const rotary_pass *p, const tensor *x) {
  op_parallel(rotary_rows(p, x), 1 + OP_GRAIN / (p->heads * p->width + 1), rotary_range, (void *)p);
}

static void rotary_forward(tape *t, op_node *n) {
  rotary_pass p = rotary_of(n);
  size_t rows = p.args.counted ? p.length : rotary_rows(&p, n->output);
  p.x = real_data(n->input[0]);
  p.y = real_data(n->output);
  p.turn = tape_save(t, n, 0, rows * p.turned, sizeof(real));
  if (p.turn == NULL) return;
  op_parallel(rows, 1 + OP_GRAIN / 16 / (p.turned + 1), rotary_angles, &p);
  rotary_run(&p, n->output);
}

static void rotary_backward(tape *t, op_node *n) {
  rotary_pass p = rotary_of(n);
  p.back = true;
  p.x = n->output->gradient;
  p.y = tape_gradient(t, n->input[0], &p.add);
  if (p.y != NULL) rotary_run(&p, n->output);
}

const op_kind op_kind_rotary = {"rotary", rotary_forward, rotary_backward, NULL, false};

static bool rotary_positions_fit(tape *t, const tensor *x, const tensor *positions) {
  char a[TENSOR_TEXT_MAX], b[TENSOR_TEXT_MAX];
  if (!op_ready_indices(t, "rotary", positions)) return false;
  bool fits = positions->rank == x->rank - 2;
  for (int d = 0; fits && d < positions->rank; d++) fits = positions->shape[d] == x->shape[d];
  if (!fits)
    op_fail(t, "rotary: x is %s, positions are %s: one is wanted for each row of heads", tensor_text(x, a),
            tensor_text(positions, b));
  return fits;
}

tensor *op_rotary(tape *t, tensor *x, tensor *positions, const rotary_options *options) {
  char text[TENSOR_TEXT_MAX];
  if (!op_ready(t, "rotary", &x, 1)) return NULL;
  if (x->rank < 3) return op_fail(t, "rotary: x is %s, not [..., length, heads, dim]", tensor_text(x, text));
  rotary_args args = {.o = options ? *options : (rotary_options){0}, .counted = positions == NULL};
  if (args.o.dims == 0) args.o.dims = tensor_width(x);
  if (args.o.base == 0) args.o.base = 10000;
  if (args.o.dims % 2 != 0 || args.o.dims > tensor_width(x))
    return op_fail(t, "rotary: %zu of a head's %zu numbers cannot be turned in pairs", args.o.dims, tensor_width(x));
  if (positions != NULL && !rotary_positions_fit(t, x, positions)) return NULL;
  x = op_contiguous(t, x);
  tensor *inputs[] = {x, positions};
  return x == NULL ? NULL : op_run(t, &op_kind_rotary, x->rank, x->shape, inputs, 2, &args, sizeof args);
}
