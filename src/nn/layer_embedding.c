/* nn/layer_embedding.c: a row of numbers for each index. */
#include "nn/layer.h"

void layer_embedding_init(layer_embedding *l, parameters *p, const char *prefix, size_t rows, size_t dim,
                          double deviation, bool as_table) {
  l->weight = parameters_add(p, prefix, "weight", as_table ? PARAMETER_TABLE : PARAMETER_ROWS,
                             (initial){INITIAL_NORMAL, deviation > 0 ? deviation : 1}, 2, (size_t[]){rows, dim});
}

tensor *layer_embedding_forward(tape *t, const layer_embedding *l, tensor *indices) {
  return op_embedding(t, l->weight, indices);
}
