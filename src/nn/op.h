/* nn/op.h: the ops. Each computes at once and writes on the tape how its gradient goes back (nn/tape.h).
 *
 * All return a tensor of the tape, or NULL after a failure, which the tape remembers. Shapes stand in brackets; "..."
 * is any number of leading dimensions. Definitions are PyTorch's, whose numbers the tests compare with. Operands may be
 * views; an op that needs rows without gaps makes a copy itself.
 */
#ifndef NN_OP_H
#define NN_OP_H

#include "math/sparse.h"
#include "nn/tape.h"

/* Every op kind by the name of its constant, `op_kind_<x>`, a line or more a file. */
/* clang-format off */
#define OP_LIST(X) \
  /* op_elementwise.c */ \
  X(add) X(sub) X(mul) X(div) X(maximum) X(minimum) \
  X(neg) X(exp) X(log) X(sqrt) X(square) X(abs) X(sin) X(cos) X(affine) \
  X(relu) X(leaky_relu) X(elu) X(gelu) X(gelu_tanh) X(silu) X(quick_gelu) X(sigmoid) X(tanh) X(softplus) \
  /* op_shape.c */ \
  X(contiguous) X(concat) \
  /* op_matmul.c */ \
  X(matmul) X(linear) \
  /* op_reduce.c */ \
  X(sum) X(mean) X(max) \
  /* op_softmax.c */ \
  X(softmax) X(log_softmax) \
  /* op_norm.c */ \
  X(layer_norm) X(rms_norm) X(group_norm) X(batch_norm) X(unit) \
  /* op_conv.c */ \
  X(conv) \
  /* op_pool.c */ \
  X(max_pool) X(average_pool) \
  /* op_dropout.c */ \
  X(dropout) \
  /* op_attention.c, op_rotary.c */ \
  X(attention) X(rotary) \
  /* op_gather.c */ \
  X(embedding) X(embedding_bag) X(scatter) X(pick) \
  /* op_sparse.c */ \
  X(sparse_matmul) X(propagate) \
  /* op_recurrent.c */ \
  X(gru) X(lstm) \
  /* op_loss.c */ \
  X(mse) X(bce) X(hinge) X(bpr) X(cross_entropy) \
  /* op_loss_ranking.c */ \
  X(infonce) X(sampled_softmax) X(triplet)
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
tensor *op_quick_gelu(tape *t, tensor *x);               /* x σ(1.702 x), as OpenAI's CLIP has it */
tensor *op_sigmoid(tape *t, tensor *x);
tensor *op_tanh(tape *t, tensor *x);
tensor *op_softplus(tape *t, tensor *x); /* log(1 + e^x) */

/* ---- shapes (op_shape.c): views cost nothing ---- */
/* The same elements in another shape; one size may be 0, which means what is left. A view where strides can say it,
 * else a copy. */
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
 * (with a scale per row), which is converted a panel at a time and gets no gradient. Outside of training, where the
 * processor has the instructions, products with int8 are made in int8, rows of x each by a scale of its own. */
tensor *op_linear(tape *t, tensor *x, tensor *weight, tensor *bias);

/* ---- reductions (op_reduce.c): over one dimension, which is gone from the result, or OP_ALL → rank 0 ---- */
#define OP_ALL (-1)
tensor *op_sum(tape *t, tensor *x, int dimension);
tensor *op_mean(tape *t, tensor *x, int dimension);
tensor *op_max(tape *t, tensor *x, int dimension); /* the gradient goes to the first of the greatest; NaN is */

/* ---- softmax (op_softmax.c): along the last dimension; a row of -INFINITY alone becomes zeros,
 * whose logarithms are -INFINITY ---- */
tensor *op_softmax(tape *t, tensor *x);
tensor *op_log_softmax(tape *t, tensor *x);

/* ---- normalisation (op_norm.c): weight and bias may be NULL ---- */
/* x [..., width], weight and bias [width]: each row to mean 0 and variance 1 (RMS: mean square 1), then affine. */
tensor *op_layer_norm(tape *t, tensor *x, tensor *weight, tensor *bias, double epsilon);
tensor *op_rms_norm(tape *t, tensor *x, tensor *weight, double epsilon);
/* x [n, channels, ...], weight and bias [channels]: so many groups of channels of each sample. */
tensor *op_group_norm(tape *t, tensor *x, size_t groups, tensor *weight, tensor *bias, double epsilon);
/* x [n, channels, ...]: each channel over all samples. Outside of training, or when frozen, by the running figures,
 * which training moves towards the batch's by `momentum` (the variance: the unbiased one). */
typedef struct batch_norm_options {
  tensor *weight, *bias;                   /* [channels] or NULL */
  tensor *running_mean, *running_variance; /* [channels], written in training; not on the tape */
  double momentum, epsilon;                /* 0: 0.1, 1e-5 */
  bool frozen;
} batch_norm_options;
tensor *op_batch_norm(tape *t, tensor *x, const batch_norm_options *options);
/* Each row [..., width] divided by its length (at least 1e-12). */
tensor *op_unit(tape *t, tensor *x);

/* ---- convolution (op_conv.c) and pooling (op_pool.c) ---- */
typedef enum window_padding {
  PADDING_EXPLICIT, /* `pad` zeros at both ends */
  PADDING_SAME,     /* PyTorch's "same": as many outputs as inputs, the odd zero behind; goes with a stride of 1 */
  PADDING_SAME_TF   /* TensorFlow's "same": ceil(inputs / stride) outputs, the odd zero behind */
} window_padding;
/* [0] is the height, or the only dimension; [1] the width. 0 means 1 (pad: none). */
typedef struct conv_options {
  size_t stride[2], dilation[2], pad[2];
  window_padding padding;
  size_t groups; /* of channels, each convolved by itself; as many as channels: depthwise */
} conv_options;
/* x [n, channels, length], weight [outs, channels / groups, kernel], bias [outs] or NULL → [n, outs, outputs]. options
 * NULL: all zero. */
tensor *op_conv1d(tape *t, tensor *x, tensor *weight, tensor *bias, const conv_options *options);
/* x [n, channels, height, width], weight [outs, channels / groups, high, wide] → [n, outs, ...]. */
tensor *op_conv2d(tape *t, tensor *x, tensor *weight, tensor *bias, const conv_options *options);

typedef struct pool_options {
  size_t kernel[2], stride[2], pad[2]; /* stride 0: the kernel; pad: at most half of the kernel */
  window_padding padding;
  bool count_padding; /* the mean: zeros of the padding count (PyTorch does so unless told, TensorFlow never) */
} pool_options;
/* x [n, channels, length] or [n, channels, height, width]; what is padded is never the greatest. */
tensor *op_max_pool1d(tape *t, tensor *x, const pool_options *options);
tensor *op_max_pool2d(tape *t, tensor *x, const pool_options *options);
tensor *op_average_pool1d(tape *t, tensor *x, const pool_options *options);
tensor *op_average_pool2d(tape *t, tensor *x, const pool_options *options);
/* x [n, channels, ...] → [n, channels] */
tensor *op_global_max_pool(tape *t, tensor *x);
tensor *op_global_average_pool(tape *t, tensor *x);

/* ---- attention (op_attention.c), memory linear in length ---- */
typedef struct attention_options {
  tensor *mask;    /* added to the scores: [queries, keys], [heads, queries, keys] or [samples, heads, queries, keys],
                      1 where it is repeated; -INFINITY hides. A constant. NULL: none */
  tensor *lengths; /* [samples] indices: keys of each sample, those behind are padding. NULL: all */
  tensor *starts;  /* packed samples: [samples + 1] first row of each, then the number of rows. NULL: not packed */
  tensor *key_starts; /* of k and v, where they differ from q's */
  double scale;       /* of the scores; 0: 1 / sqrt(dim) */
  bool causal;        /* query i of m sees no key behind keys - m + i: both end at the same place */
} attention_options;
/* q [samples, queries, heads, dim], k [samples, keys, shared, dim], v [samples, keys, shared, value dim] →
 * [samples, queries, heads, value dim]: softmax(q kᵀ scale + mask) v for each head. `heads` is a multiple of `shared`:
 * query head h looks at head h / (heads / shared) of k and v (grouped queries, Ainslie et al. 2023). Packed: all
 * without the first dimension, samples one behind the other. A query that sees nothing gets zeros. options NULL: all
 * zero. */
tensor *op_attention(tape *t, tensor *q, tensor *k, tensor *v, const attention_options *options);

typedef struct rotary_options {
  double base;               /* 0: 10000 */
  size_t dims;               /* the first so many numbers of a head are turned; 0: all */
  bool interleaved;          /* pairs are neighbours (GPT-J) rather than a half apart (Llama, NeoX) */
  const double *frequencies; /* [dims / 2] instead of base^(-2i / dims); must stay until tape_backward is through */
} rotary_options;
/* x [..., length, heads, dim] turned pair by pair by position * frequency; positions [..., length] indices, NULL: 0, 1,
 * ... along the length (Su et al. 2021). */
tensor *op_rotary(tape *t, tensor *x, tensor *positions, const rotary_options *options);

/* ---- dropout (op_dropout.c): x itself outside of training ---- */
/* A share p of the elements becomes 0, the rest is divided by 1 - p. */
tensor *op_dropout(tape *t, tensor *x, double p);

/* ---- rows by number (op_gather.c): indices are DTYPE_I32 below the number of rows; a negative one is no row: zeros,
 * and no gradient. Indices must stay until tape_backward is through. ---- */
/* table [rows, ...], indices [i...] → [i..., ...]. A table (parameters_add_table) gets a gradient for touched rows
 * only. */
tensor *op_embedding(tape *t, tensor *table, tensor *indices);
/* table [rows, dim], indices [count], starts [bags + 1] (bag b is indices starts[b] to starts[b + 1]), weights [count]
 * or NULL → [bags, dim]: the weighted sum of each bag's rows, or that divided by how many there are. Empty: zeros. */
tensor *op_embedding_bag(tape *t, tensor *table, tensor *indices, tensor *starts, tensor *weights, bool mean);
/* x [count, ...], indices [count] → [rows, ...]: row i of x is added to row indices[i]. */
tensor *op_scatter(tape *t, tensor *x, tensor *indices, size_t rows);
/* x [i..., width], indices [i...] → [i...]: one element of each row. */
tensor *op_pick(tape *t, tensor *x, tensor *indices);

/* ---- sparse products (op_sparse.c) ---- */
/* a [rows, columns] times x [columns, dim]; a is a constant. transposed: aᵀ, which may be a itself when symmetric. Both
 * must stay until tape_backward is through. */
tensor *op_sparse_matmul(tape *t, const sparse *a, const sparse *transposed, tensor *x);
/* The mean of x, a x, a² x … a^steps x, x [rows, dim] and a [rows, rows] (He et al. 2020, equations 7 and 8 with equal
 * weights). */
tensor *op_propagate(tape *t, const sparse *a, const sparse *transposed, tensor *x, size_t steps);

/* ---- recurrent networks (op_recurrent.c): whole sequences, x [batch, steps, in] → [batch, steps, hidden] ----
 * Gates in PyTorch's order. Behind a sequence's end the result is 0 and x is not read. */
typedef struct recurrent_weights {
  tensor *input, *hidden;           /* [gates * hidden, in], [gates * hidden, hidden]; gates: GRU 3, LSTM 4 */
  tensor *input_bias, *hidden_bias; /* [gates * hidden] or NULL */
} recurrent_weights;
typedef struct recurrent_options {
  tensor *state;   /* [batch, hidden] before the first step; NULL: zeros */
  tensor *cell;    /* the same, LSTM only */
  tensor *lengths; /* [batch] steps of each row, 0 to steps; NULL: all. Must stay until tape_backward is through */
  bool reverse;    /* from each row's last step to its first; results stand where their inputs do */
  bool with_cell;  /* LSTM: the result is [batch, steps, 2 hidden], each state followed by its cell */
} recurrent_options;
tensor *op_gru(tape *t, tensor *x, const recurrent_weights *weights, const recurrent_options *options);
tensor *op_lstm(tape *t, tensor *x, const recurrent_weights *weights, const recurrent_options *options);
/* One step: x [batch, in]; state [batch, hidden], for LSTM [batch, 2 hidden], the state followed by the cell (NULL:
 * zeros) → the next one. */
tensor *op_gru_cell(tape *t, tensor *x, tensor *state, const recurrent_weights *weights);
tensor *op_lstm_cell(tape *t, tensor *x, tensor *state, const recurrent_weights *weights);

/* ---- losses (op_loss.c, op_loss_ranking.c): one number, the mean over elements or rows ---- */
tensor *op_mse(tape *t, tensor *x, tensor *target);          /* (x - target)² */
tensor *op_bce(tape *t, tensor *logits, tensor *target);     /* binary cross entropy; target 0 to 1, a constant */
tensor *op_hinge(tape *t, tensor *x, tensor *sign);          /* max(0, 1 - x sign); sign -1 or 1, a constant */
tensor *op_bpr(tape *t, tensor *positive, tensor *negative); /* -log σ(positive - negative) (Rendle et al. 2009) */
/* Softmax cross entropy: logits [..., classes], targets [...] (negative: the row does not count), smoothing 0 to 1.
 * A row of -INFINITY alone is no distribution, and the loss NaN. */
tensor *op_cross_entropy(tape *t, tensor *logits, tensor *targets, double smoothing);
/* Rows of a [n, dim] against those of b [n, dim]: row i belongs to row i. Scores are a bᵀ / temperature (of unit rows:
 * op_unit). symmetric: the mean of both directions. */
tensor *op_infonce(tape *t, tensor *a, tensor *b, double temperature, bool symmetric);
/* Cross entropy of x [n, dim] over its own target and samples shared by all rows. */
typedef struct sampled_softmax_rows {
  tensor *positive, *negative; /* [n, dim] each row's target; [samples, dim]. op_embedding makes them */
  tensor *target, *sampled;    /* [n], [samples] their indices: a sample that is a row's target does not count there */
  tensor *positive_log_q, *negative_log_q; /* [n], [samples] log of the chance to be drawn, or NULL */
  tensor *mask; /* [n, samples] added to the scores: -INFINITY where a sample does not count, either. A constant. NULL:
                   none */
} sampled_softmax_rows;
tensor *op_sampled_softmax(tape *t, tensor *x, const sampled_softmax_rows *rows);
/* max(0, |anchor - positive| - |anchor - negative| + margin) over rows [..., dim]. */
tensor *op_triplet(tape *t, tensor *anchor, tensor *positive, tensor *negative, double margin);

#endif
