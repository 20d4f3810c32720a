/* tests/unit/nn_golden.h: PyTorch's numbers for layers, as tests/golden/make_nn_*.py writes them. */
#ifndef TESTS_NN_GOLDEN_H
#define TESTS_NN_GOLDEN_H

#include "nn/real.h"
#include "nn/safetensors.h"

/* tests/golden/<file>; safetensors_close. */
void nn_golden_open(safetensors *s, const char *file);
/* "<name>.<field>", which must be there. */
const tensor_view *nn_golden(const safetensors *s, const char *name, const char *field);
/* Each number within `share` of the largest of them, and a millionth of its own. */
void nn_golden_compare(const char *name, const char *what, const real *got, const tensor_view *want, double share);

#endif
