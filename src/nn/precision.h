/* nn/precision.h: what the matrices of a network that only answers are kept as. */
#ifndef NN_PRECISION_H
#define NN_PRECISION_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/tensor_view.h"

/* int8: each row by its own scale. */
typedef enum weight_precision { WEIGHT_F32, WEIGHT_BF16, WEIGHT_INT8 } weight_precision;

/* As settings call them: f32, bf16, int8. False when there is none of the name. */
bool precision_find(const char *name, weight_precision *out);
const char *precision_name(weight_precision precision);
/* DTYPE_F32, DTYPE_BF16, DTYPE_I8; and back, WEIGHT_F32 for any other. */
tensor_dtype precision_dtype(weight_precision precision);
weight_precision precision_of(tensor_dtype dtype);

/* x [rows, columns] → out [rows, columns] of the precision's dtype, not WEIGHT_F32's, and for int8 scale [rows]: what 1
 * is worth in each row, by the greatest of the row; -127 to 127. Both finite where x is. */
void precision_narrow(weight_precision precision, const float *x, size_t rows, size_t columns, void *out, float *scale);

#endif
