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
    {NULL},
};

const nn_row *nn_row_find(const char *name) {
  for (const nn_row *row = nn_rows; row->name != NULL; row++)
    if (strcmp(row->name, name) == 0) return row;
  return NULL;
}
