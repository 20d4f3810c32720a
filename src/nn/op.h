/* nn/op.h: the ops. Each computes at once and writes on the tape how its gradient goes back (nn/tape.h).
 *
 * All return a tensor of the tape, or NULL after a failure, which the tape remembers. Shapes stand in brackets; "..."
 * is any number of leading dimensions. Definitions are PyTorch's, whose numbers the tests compare with. Operands may be
 * views; an op that needs rows without gaps makes a copy itself.
 */
#ifndef NN_OP_H
#define NN_OP_H

#include "nn/tape.h"

/* Every op kind by the name of its constant, `op_kind_<x>`, a line or more a file. */
/* clang-format off */
#define OP_LIST(X) \
  /* op_elementwise.c */ \
  X(add) X(sub) X(mul) X(div) X(maximum) X(minimum) \
  X(neg) X(exp) X(log) X(sqrt) X(square) X(abs) X(sin) X(cos) X(affine) \
  X(relu) X(leaky_relu) X(elu) X(gelu) X(gelu_tanh) X(silu) X(sigmoid) X(tanh) X(softplus) \
  /* op_shape.c */ \
  X(contiguous) X(concat) \
  /* op_matmul.c */ \
  X(matmul) X(linear)
/* clang-format on */

/* ---- element-wise (op_elementwise.c) ----
 * Binary ops broadcast as NumPy does: shapes are aligned at the last dimension, and a dimension of size 1 (or missing)
 * is repeated. */
tensor *op_add(tape *t, tensor *a, tensor *b);
tensor *op_sub(tape *t, tensor *a, tensor *b);
tensor *op_mul(tape *t, tensor *a, tensor *b);
tensor *op_div(tape *t, tensor *a, tensor *b);
tensor *op_maximum(tape *t, tensor *a, tensor *b); /* where equal, the gradient is halved between both */
tensor *op_minimum(tape *t, tensor *a, tensor *b);

tensor *op_neg(tape *t, tensor *x);
tensor *op_exp(tape *t, tensor *x);
tensor *op_log(tape *t, tensor *x);
tensor *op_sqrt(tape *t, tensor *x);
tensor *op_square(tape *t, tensor *x);
tensor *op_abs(tape *t, tensor *x); /* gradient 0 at 0 */
tensor *op_sin(tape *t, tensor *x);
tensor *op_cos(tape *t, tensor *x);
tensor *op_affine(tape *t, tensor *x, double factor, double shift); /* factor * x + shift */
tensor *op_relu(tape *t, tensor *x);
tensor *op_leaky_relu(tape *t, tensor *x, double slope); /* x, and slope * x below 0 */
tensor *op_elu(tape *t, tensor *x, double alpha);        /* x, and alpha * (e^x - 1) below 0 */
tensor *op_gelu(tape *t, tensor *x);                     /* x Φ(x), by erf */
tensor *op_gelu_tanh(tape *t, tensor *x);                /* its approximation by tanh (Hendrycks & Gimpel 2016) */
tensor *op_silu(tape *t, tensor *x);                     /* x σ(x) */
tensor *op_sigmoid(tape *t, tensor *x);
tensor *op_tanh(tape *t, tensor *x);
tensor *op_softplus(tape *t, tensor *x); /* log(1 + e^x) */

/* ---- shapes (op_shape.c): views cost nothing ---- */
/* The same elements in another shape; one size may be 0, which means what is left. A view of a contiguous x, else a
 * copy. */
tensor *op_reshape(tape *t, tensor *x, int rank, const size_t *shape);
/* Dimensions in another order: result's dimension d is x's order[d]. A view. */
tensor *op_permute(tape *t, tensor *x, const int *order);
tensor *op_transpose(tape *t, tensor *x); /* the last two dimensions changed over. A view */
/* Elements [from, from + count) of one dimension. A view. */
tensor *op_slice(tape *t, tensor *x, int dimension, size_t from, size_t count);
tensor *op_contiguous(tape *t, tensor *x); /* x itself when it has no gaps, else a copy */
/* Along one dimension; the others must agree. At most OP_INPUTS_MAX operands. */
tensor *op_concat(tape *t, tensor *const *x, int count, int dimension);

/* ---- matrix products (op_matmul.c) ---- */
/* a [..., m, k] times b [..., k, n] → [..., m, n]; leading dimensions broadcast. A transposed operand is a view by
 * op_transpose: BLAS reads it as it lies. */
tensor *op_matmul(tape *t, tensor *a, tensor *b);
/* x [..., in] → [..., out] = x weightᵀ + bias; weight [out, in], bias [out] or NULL. weight may be f16, bf16 or int8
 * (with a scale per row), which is converted a panel at a time and gets no gradient. */
tensor *op_linear(tape *t, tensor *x, tensor *weight, tensor *bias);

#endif
