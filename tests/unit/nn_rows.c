/* The table of nn_rows.h: one row a way of calling an op. */
#include "nn_rows.h"

#include <string.h>

#define BUILD(id, expression) \
  static tensor *build_##id(tape *t, tensor **x) { return expression; }

BUILD(add, op_add(t, x[0], x[1]))
BUILD(sub, op_sub(t, x[0], x[1]))
BUILD(mul, op_mul(t, x[0], x[1]))
BUILD(div, op_div(t, x[0], x[1]))
BUILD(maximum, op_maximum(t, x[0], x[1]))
BUILD(minimum, op_minimum(t, x[0], x[1]))
BUILD(neg, op_neg(t, x[0]))
BUILD(exp, op_exp(t, x[0]))
BUILD(log, op_log(t, x[0]))
BUILD(sqrt, op_sqrt(t, x[0]))
BUILD(square, op_square(t, x[0]))
BUILD(abs, op_abs(t, x[0]))
BUILD(sin, op_sin(t, x[0]))
BUILD(cos, op_cos(t, x[0]))
BUILD(affine, op_affine(t, x[0], 1.5, -0.25))
BUILD(relu, op_relu(t, x[0]))
BUILD(leaky_relu, op_leaky_relu(t, x[0], 0.1))
BUILD(elu, op_elu(t, x[0], 0.7))
BUILD(gelu, op_gelu(t, x[0]))
BUILD(gelu_tanh, op_gelu_tanh(t, x[0]))
BUILD(silu, op_silu(t, x[0]))
BUILD(quick_gelu, op_quick_gelu(t, x[0]))
BUILD(sigmoid, op_sigmoid(t, x[0]))
BUILD(tanh, op_tanh(t, x[0]))
BUILD(softplus, op_softplus(t, x[0]))

BUILD(contiguous, op_contiguous(t, op_transpose(t, x[0])))
BUILD(permute, op_contiguous(t, op_permute(t, x[0], (const int[]){2, 0, 3, 1})))
BUILD(reshape, op_square(t, op_reshape(t, x[0], 2, (const size_t[]){0, x[0]->shape[2]})))
BUILD(slice, op_mul(t, op_slice(t, x[0], 1, 1, 2), op_slice(t, x[0], 1, 0, 2)))
BUILD(concat, op_concat(t, x, 3, 1))

BUILD(matmul, op_matmul(t, x[0], x[1]))
BUILD(matmul_transposed, op_matmul(t, op_transpose(t, x[0]), op_transpose(t, x[1])))
BUILD(matmul_heads, op_matmul(t, op_permute(t, x[0], (const int[]){0, 2, 1, 3}),
                              op_transpose(t, op_permute(t, x[1], (const int[]){0, 2, 1, 3}))))
BUILD(linear, op_linear(t, x[0], x[1], x[2]))
BUILD(linear_plain, op_linear(t, x[0], x[1], NULL))

BUILD(sum_all, op_sum(t, x[0], OP_ALL))
BUILD(sum_first, op_sum(t, x[0], 0))
BUILD(sum_last, op_sum(t, x[0], 2))
BUILD(mean_all, op_mean(t, x[0], OP_ALL))
BUILD(mean_middle, op_mean(t, x[0], 1))
BUILD(max_all, op_max(t, x[0], OP_ALL))
BUILD(max_middle, op_max(t, x[0], 1))
BUILD(softmax, op_softmax(t, x[0]))
BUILD(log_softmax, op_log_softmax(t, x[0]))
BUILD(layer_norm, op_layer_norm(t, x[0], x[1], x[2], 1e-5))
BUILD(layer_norm_weight, op_layer_norm(t, x[0], x[1], NULL, 1e-5))
BUILD(layer_norm_plain, op_layer_norm(t, x[0], NULL, NULL, 1e-5))
BUILD(rms_norm, op_rms_norm(t, x[0], x[1], 1e-6))
BUILD(group_norm, op_group_norm(t, x[0], 2, x[1], x[2], 1e-5))
BUILD(unit, op_unit(t, x[0]))

/* The running figures are no operands: made anew for each call. */
static tensor *build_batch_norm_as(tape *t, tensor **x, bool frozen) {
  size_t channels = x[0]->shape[1];
  tensor *mean = tape_empty(t, 1, &channels), *variance = tape_empty(t, 1, &channels);
  for (size_t i = 0; mean != NULL && variance != NULL && i < channels; i++)
    real_data(mean)[i] = (real)0.125 * (real)i, real_data(variance)[i] = 1 + (real)0.25 * (real)i;
  batch_norm_options options = {
      .weight = x[1], .bias = x[2], .running_mean = mean, .running_variance = variance, .frozen = frozen};
  return op_batch_norm(t, x[0], &options);
}
BUILD(batch_norm, build_batch_norm_as(t, x, false))
BUILD(batch_norm_frozen, build_batch_norm_as(t, x, true))

#define CONV(...) (&(conv_options){__VA_ARGS__})
BUILD(conv1d, op_conv1d(t, x[0], x[1], x[2], NULL))
BUILD(conv1d_same, op_conv1d(t, x[0], x[1], NULL, CONV(.padding = PADDING_SAME, .dilation = {2})))
BUILD(conv1d_strided, op_conv1d(t, x[0], x[1], x[2], CONV(.stride = {2}, .pad = {1})))
BUILD(conv2d, op_conv2d(t, x[0], x[1], x[2], NULL))
BUILD(conv2d_padded,
      op_conv2d(t, x[0], x[1], x[2], CONV(.stride = {2, 1}, .dilation = {1, 2}, .pad = {1, 2}, .groups = 2)))
BUILD(conv2d_same_tf, op_conv2d(t, x[0], x[1], NULL, CONV(.stride = {2, 3}, .padding = PADDING_SAME_TF)))
BUILD(conv2d_one, op_conv2d(t, x[0], x[1], x[2], NULL))
BUILD(conv2d_depthwise, op_conv2d(t, x[0], x[1], x[2], CONV(.padding = PADDING_SAME, .groups = x[0]->shape[1])))
BUILD(conv2d_depthwise_strided,
      op_conv2d(t, x[0], x[1], x[2], CONV(.stride = {2, 2}, .padding = PADDING_SAME_TF, .groups = x[0]->shape[1])))
#define POOL(...) (&(pool_options){__VA_ARGS__})
BUILD(max_pool1d, op_max_pool1d(t, x[0], POOL(.kernel = {3}, .stride = {2}, .pad = {1})))
BUILD(max_pool2d, op_max_pool2d(t, x[0], POOL(.kernel = {2, 3}, .stride = {1, 2}, .pad = {1, 0})))
BUILD(max_pool_all, op_global_max_pool(t, x[0]))
BUILD(average_pool1d, op_average_pool1d(t, x[0], POOL(.kernel = {2})))
BUILD(average_pool2d,
      op_average_pool2d(t, x[0], POOL(.kernel = {3, 2}, .stride = {2, 1}, .pad = {1, 1}, .count_padding = true)))
BUILD(average_pool_same,
      op_average_pool2d(t, x[0], POOL(.kernel = {3, 3}, .stride = {2, 2}, .padding = PADDING_SAME_TF)))
BUILD(average_pool_all, op_global_average_pool(t, x[0]))
/* Targets and masks are constants: a copy that is not on the tape. */
static tensor *constant(tape *t, tensor *x) {
  x = op_contiguous(t, x);
  return x == NULL ? NULL : tape_input(t, x->rank, x->shape, real_data(x));
}
BUILD(attention, op_attention(t, x[0], x[1], x[2], NULL))
BUILD(attention_causal, op_attention(t, x[0], x[1], x[2], &(attention_options){.causal = true}))
BUILD(attention_mask, op_attention(t, x[0], x[1], x[2], &(attention_options){.mask = constant(t, x[3]), .scale = 0.25}))
BUILD(attention_lengths, op_attention(t, x[0], x[1], x[2], &(attention_options){.lengths = x[3]}))
static const int32_t packed_starts[] = {0, 2, 2, 5}, packed_keys[] = {0, 1, 2, 7};
#define PACKED(data) tape_indices(t, 1, (const size_t[]){4}, data)
BUILD(attention_packed,
      op_attention(t, x[0], x[1], x[2],
                   &(attention_options){.starts = PACKED(packed_starts), .key_starts = PACKED(packed_keys)}))
/* q, k and v side by side, as one product makes them. */
static tensor *build_attention_slices(tape *t, tensor **x) {
  tensor *part[3];
  for (size_t i = 0; i < 3; i++) {
    tensor *slice = op_slice(t, x[0], 2, i, 1);
    part[i] =
        slice ? op_reshape(t, slice, 4, (size_t[]){slice->shape[0], slice->shape[1], slice->shape[3], slice->shape[4]})
              : NULL;
  }
  return op_attention(t, part[0], part[1], part[2], &(attention_options){.causal = true});
}
BUILD(rotary, op_rotary(t, x[0], NULL, NULL))
BUILD(rotary_positions, op_rotary(t, x[0], x[1], &(rotary_options){.interleaved = true, .base = 100, .dims = 4}))
BUILD(dropout, op_dropout(t, x[0], 0.4))
BUILD(dropout_none, op_dropout(t, x[0], 0))

BUILD(embedding, op_embedding(t, x[0], x[1]))
static const int32_t bag_starts[] = {0, 2, 2, 3, 7};
#define STARTS tape_indices(t, 1, (const size_t[]){5}, bag_starts)
BUILD(bag_sum, op_embedding_bag(t, x[0], x[1], STARTS, NULL, false))
BUILD(bag_mean, op_embedding_bag(t, x[0], x[1], STARTS, NULL, true))
BUILD(bag_weights, op_embedding_bag(t, x[0], x[1], STARTS, x[2], false))
BUILD(scatter, op_scatter(t, x[0], x[1], 5))
BUILD(pick, op_pick(t, x[0], x[1]))

/* [3, 4], the second row empty, and its transpose. */
static const sparse links = {3, 4, (uint64_t[]){0, 2, 2, 5}, (uint32_t[]){1, 3, 0, 1, 2},
                             (float[]){0.5, -1, 2, 0.25, 1}};
static const sparse links_back = {4, 3, (uint64_t[]){0, 1, 3, 4, 5}, (uint32_t[]){2, 0, 2, 2, 0},
                                  (float[]){2, 0.5, 0.25, 1, -1}};
BUILD(sparse_matmul, op_sparse_matmul(t, &links, &links_back, x[0]))

/* [4, 4], not symmetric, and its transpose. */
static const sparse web = {4, 4, (uint64_t[]){0, 2, 2, 5, 6}, (uint32_t[]){1, 3, 0, 1, 2, 0},
                           (float[]){0.5, -1, 2, 0.25, 1, 0.75}};
static const sparse web_back = {4, 4, (uint64_t[]){0, 2, 4, 5, 6}, (uint32_t[]){2, 3, 0, 2, 2, 0},
                                (float[]){2, 0.75, 0.5, 0.25, 1, -1}};
BUILD(propagate, op_propagate(t, &web, &web_back, x[0], 3))
BUILD(propagate_twice, op_add(t, op_propagate(t, &web, &web_back, x[0], 2), op_square(t, x[0])))

/* x, weights, biases, then what the case has. */
#define WEIGHTS (&(recurrent_weights){x[1], x[2], x[3], x[4]})
#define RUN(...) (&(recurrent_options){__VA_ARGS__})
BUILD(gru, op_gru(t, x[0], WEIGHTS, NULL))
BUILD(gru_plain, op_gru(t, x[0], &(recurrent_weights){x[1], x[2], NULL, NULL}, NULL))
BUILD(gru_lengths, op_gru(t, x[0], WEIGHTS, RUN(.state = x[5], .lengths = x[6])))
BUILD(gru_reverse, op_gru(t, x[0], WEIGHTS, RUN(.state = x[5], .lengths = x[6], .reverse = true)))
BUILD(gru_cell, op_gru_cell(t, x[0], x[5], WEIGHTS))
BUILD(lstm, op_lstm(t, x[0], WEIGHTS, NULL))
BUILD(lstm_plain, op_lstm(t, x[0], &(recurrent_weights){x[1], x[2], NULL, NULL}, RUN(.with_cell = true)))
BUILD(lstm_lengths, op_lstm(t, x[0], WEIGHTS, RUN(.state = x[5], .cell = x[6], .lengths = x[7])))
BUILD(lstm_reverse,
      op_lstm(t, x[0], WEIGHTS, RUN(.state = x[5], .cell = x[6], .lengths = x[7], .reverse = true, .with_cell = true)))
BUILD(lstm_cell, op_lstm_cell(t, x[0], x[5], WEIGHTS))

BUILD(mse, op_mse(t, x[0], x[1]))
BUILD(bce, op_bce(t, x[0], constant(t, op_sigmoid(t, x[1]))))
BUILD(hinge, op_hinge(t, x[0], constant(t, x[1])))
BUILD(bpr, op_bpr(t, x[0], x[1]))
BUILD(cross_entropy, op_cross_entropy(t, x[0], x[1], 0))
BUILD(cross_entropy_smooth, op_cross_entropy(t, x[0], x[1], 0.1))
BUILD(infonce, op_infonce(t, x[0], x[1], 0.5, false))
BUILD(infonce_both, op_infonce(t, x[0], x[1], 0.5, true))
BUILD(sampled_softmax, op_sampled_softmax(t, x[0], &(sampled_softmax_rows){x[1], x[2], x[3], x[4], NULL, NULL, NULL}))
BUILD(sampled_softmax_q,
      op_sampled_softmax(t, x[0],
                         &(sampled_softmax_rows){x[1], x[2], x[3], x[4], constant(t, x[5]), constant(t, x[6]), NULL}))
BUILD(sampled_softmax_mask,
      op_sampled_softmax(t, x[0], &(sampled_softmax_rows){x[1], x[2], x[3], x[4], NULL, NULL, constant(t, x[5])}))
BUILD(triplet, op_triplet(t, x[0], x[1], x[2], 0.5))

const nn_row nn_rows[] = {
    {"add", {"abc", "abc"}, build_add},
    {"add/bias", {"abc", "c"}, build_add},
    {"add/middle", {"abcd", "b1d"}, build_add},
    {"add/scalar", {"ab", ""}, build_add},
    {"add/both", {"a1c", "bc"}, build_add},
    {"sub", {"ab", "ab"}, build_sub},
    {"sub/column", {"ab", "a1"}, build_sub},
    {"mul", {"ab", "ab"}, build_mul},
    {"mul/outer", {"a1", "1b"}, build_mul},
    {"mul/five", {"abcde", "b1d1"}, build_mul},
    {"div", {"ab", "ab"}, build_div, 0.5, 2},
    {"div/row", {"cab", "b"}, build_div, 0.5, 2},
    {"maximum", {"ab", "ab"}, build_maximum},
    {"minimum", {"ab", "b"}, build_minimum},
    {"neg", {"ab"}, build_neg},
    {"exp", {"ab"}, build_exp},
    {"log", {"ab"}, build_log, 0.1, 4},
    {"sqrt", {"ab"}, build_sqrt, 0.1, 4},
    {"square", {"ab"}, build_square},
    {"abs", {"ab"}, build_abs},
    {"sin", {"ab"}, build_sin},
    {"cos", {"ab"}, build_cos},
    {"affine", {"abc"}, build_affine},
    {"relu", {"abc"}, build_relu},
    {"leaky_relu", {"ab"}, build_leaky_relu},
    {"elu", {"ab"}, build_elu},
    {"gelu", {"abc"}, build_gelu, -4, 4},
    {"gelu_tanh", {"ab"}, build_gelu_tanh, -4, 4},
    {"silu", {"ab"}, build_silu, -4, 4},
    {"quick_gelu", {"ab"}, build_quick_gelu, -4, 4},
    {"sigmoid", {"ab"}, build_sigmoid, -4, 4},
    {"tanh", {"ab"}, build_tanh, -4, 4},
    {"softplus", {"ab"}, build_softplus, -4, 4},

    {"contiguous", {"abc"}, build_contiguous},
    {"contiguous/permute", {"abcd"}, build_permute},
    {"contiguous/reshape", {"abc"}, build_reshape},
    {"mul/slice", {"a3b"}, build_slice},
    {"concat", {"abc", "adc", "aec"}, build_concat},

    {"matmul", {"ab", "bc"}, build_matmul},
    {"matmul/transposed", {"ba", "cb"}, build_matmul_transposed},
    {"matmul/batch", {"abcd", "abde"}, build_matmul},
    {"matmul/tall", {"abc", "cd"}, build_matmul},
    {"matmul/shared", {"bc", "adce"}, build_matmul},
    {"matmul/heads", {"abcd", "aecd"}, build_matmul_heads},
    {"linear", {"abc", "dc", "d"}, build_linear},
    {"linear/plain", {"ac", "dc"}, build_linear_plain},

    {"sum", {"abc"}, build_sum_all},
    {"sum/first", {"abc"}, build_sum_first},
    {"sum/last", {"abc"}, build_sum_last},
    {"mean", {"ab"}, build_mean_all},
    {"mean/middle", {"abcd"}, build_mean_middle},
    {"max", {"ab"}, build_max_all},
    {"max/middle", {"abc"}, build_max_middle},
    {"softmax", {"abc"}, build_softmax},
    {"log_softmax", {"ab"}, build_log_softmax},
    {"layer_norm", {"ab7", "7", "7"}, build_layer_norm},
    {"layer_norm/weight", {"a7", "7"}, build_layer_norm_weight},
    {"layer_norm/plain", {"ab7"}, build_layer_norm_plain},
    {"rms_norm", {"ab7", "7"}, build_rms_norm},
    {"group_norm", {"a4c3", "4", "4"}, build_group_norm},
    {"batch_norm", {"4bcd", "b", "b"}, build_batch_norm},
    {"batch_norm/rows", {"6b", "b", "b"}, build_batch_norm},
    {"batch_norm/frozen", {"abc", "b", "b"}, build_batch_norm_frozen},
    {"unit", {"ab5"}, build_unit},
    {"conv/1d", {"ab7", "cb3", "c"}, build_conv1d},
    {"conv/1d_same", {"ab8", "cb4"}, build_conv1d_same},
    {"conv/1d_strided", {"ab8", "cb3", "c"}, build_conv1d_strided},
    {"conv", {"ab56", "cb32", "c"}, build_conv2d},
    {"conv/padded", {"a456", "6232", "6"}, build_conv2d_padded},
    {"conv/same_tf", {"ab67", "cb33"}, build_conv2d_same_tf},
    {"conv/one", {"abcd", "eb11", "e"}, build_conv2d_one},
    {"conv/depthwise", {"ab54", "b133", "b"}, build_conv2d_depthwise},
    {"conv/depthwise_strided", {"a256", "4133", "4"}, build_conv2d_depthwise_strided},
    {"max_pool/1d", {"ab8"}, build_max_pool1d},
    {"max_pool", {"ab56"}, build_max_pool2d},
    {"max_pool/all", {"abcd"}, build_max_pool_all},
    {"average_pool/1d", {"ab7"}, build_average_pool1d},
    {"average_pool", {"ab56"}, build_average_pool2d},
    {"average_pool/same", {"ab67"}, build_average_pool_same},
    {"average_pool/all", {"abcd"}, build_average_pool_all},
    {"attention", {"abcd", "aecd", "aecf"}, build_attention},
    {"attention/causal", {"abcd", "aecd", "aecd"}, build_attention_causal},
    {"attention/groups", {"ab4d", "ae2d", "ae2d"}, build_attention},
    {"attention/mask", {"abcd", "aecd", "aecd", "=c1e"}, build_attention_mask},
    {"attention/lengths", {"abcd", "aecd", "aecd", "#e:a"}, build_attention_lengths},
    {"attention/packed", {"5cd", "7cd", "7cd"}, build_attention_packed},
    {"attention/slices", {"ab3cd"}, build_attention_slices},
    {"rotary", {"abc6"}, build_rotary},
    {"rotary/positions", {"abc6", "#9:ab"}, build_rotary_positions},
    {"dropout", {"abcd"}, build_dropout, .training_only = true},
    {"dropout/none", {"ab"}, build_dropout_none},

    {"embedding", {"va", "#-v:bc"}, build_embedding},
    {"embedding/blocks", {"vab", "#v:c"}, build_embedding},
    {"embedding_bag", {"va", "#-v:7"}, build_bag_sum},
    {"embedding_bag/mean", {"va", "#-v:7"}, build_bag_mean},
    {"embedding_bag/weights", {"va", "#v:7", "7"}, build_bag_weights},
    {"scatter", {"ab", "#-5:a"}, build_scatter},
    {"pick", {"abv", "#-v:ab"}, build_pick},
    {"sparse_matmul", {"4a"}, build_sparse_matmul},
    {"propagate", {"4a"}, build_propagate},
    {"propagate/added", {"4a"}, build_propagate_twice},

    {"gru", {"bti", "9i", "93", "9", "9"}, build_gru},
    {"gru/plain", {"bti", "6i", "62"}, build_gru_plain},
    {"gru/lengths", {"bti", "9i", "93", "9", "9", "b3", "#t:b"}, build_gru_lengths},
    {"gru/reverse", {"bti", "9i", "93", "9", "9", "b3", "#t:b"}, build_gru_reverse},
    {"gru/cell", {"bi", "9i", "93", "9", "9", "b3"}, build_gru_cell},
    {"lstm", {"bti", "8i", "82", "8", "8"}, build_lstm},
    {"lstm/plain", {"bti", "4i", "41"}, build_lstm_plain},
    {"lstm/lengths", {"bti", "8i", "82", "8", "8", "b2", "b2", "#t:b"}, build_lstm_lengths},
    {"lstm/reverse", {"bti", "8i", "82", "8", "8", "b2", "b2", "#t:b"}, build_lstm_reverse},
    {"lstm/cell", {"bi", "8i", "82", "8", "8", "b4"}, build_lstm_cell},

    {"mse", {"ab", "ab"}, build_mse},
    {"bce", {"ab", "=ab"}, build_bce},
    {"hinge", {"ab", "=ab"}, build_hinge},
    {"bpr", {"a", "a"}, build_bpr},
    {"cross_entropy", {"3v", "#v:3"}, build_cross_entropy},
    {"cross_entropy/smooth", {"abv", "#v:ab"}, build_cross_entropy_smooth},
    {"infonce", {"ab", "ab"}, build_infonce},
    {"infonce/both", {"ab", "ab"}, build_infonce_both},
    {"sampled_softmax", {"ad", "ad", "bd", "#9:a", "#9:b"}, build_sampled_softmax},
    {"sampled_softmax/q", {"ad", "ad", "bd", "#9:a", "#9:b", "=a", "=b"}, build_sampled_softmax_q},
    {"sampled_softmax/mask", {"ad", "ad", "bd", "#9:a", "#9:b", "=ab"}, build_sampled_softmax_mask},
    {"triplet", {"ab3", "ab3", "ab3"}, build_triplet},
    {NULL},
};

const nn_row *nn_row_find(const char *name) {
  for (const nn_row *row = nn_rows; row->name != NULL; row++)
    if (strcmp(row->name, name) == 0) return row;
  return NULL;
}
