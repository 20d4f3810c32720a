/* nn/tensor.h: what a tensor is: up to five dimensions over numbers that it owns, borrows or shows a part of.
 *
 * Activations and gradients are `real` (float32; nn/real.h). Weights that are only read may be kept as f16, bf16 or
 * int8: matrix products take them as they are. Indices are DTYPE_I32. A tensor never frees anything: the memory belongs
 * to a tape (nn/tape.h, until the step ends), to parameters (nn/parameters.h) or to the caller.
 */
#ifndef NN_TENSOR_H
#define NN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/real.h"
#include "nn/safetensors.h"

#define TENSOR_RANK_MAX 5
#define TENSOR_TEXT_MAX 128 /* bytes that tensor_text and shape_text need at most */

struct op_node;
typedef struct tensor_rows tensor_rows;

typedef struct tensor {
  tensor_dtype dtype; /* DTYPE_REAL, DTYPE_I32; weights also DTYPE_F16, DTYPE_BF16, DTYPE_I8 */
  int rank;           /* 0: one number */
  size_t shape[TENSOR_RANK_MAX];
  size_t stride[TENSOR_RANK_MAX]; /* in elements */
  size_t count;                   /* elements: the product of shape */
  void *data;                     /* real_data(), index_data() */
  const float *scale;             /* int8 weights: [shape[0]], what 1 is worth in each row */

  bool needs_gradient; /* it is a parameter, or was made from one */
  bool has_gradient;   /* something was added to gradient since it was last cleared */
  real *gradient;      /* strides as data; of a view NULL: ask tape_gradient */
  tensor_rows *rows;   /* an embedding table's gradient, instead of `gradient`; NULL in all others */

  struct tensor *base;   /* of a view: the tensor whose memory it shows; never itself a view. NULL otherwise */
  struct op_node *maker; /* the op whose backward turns this gradient into its inputs'; NULL: none */
  bool keep;             /* its values outlive tape_backward and tape_release */
  size_t bytes;          /* of tape memory behind data; 0: the data is not the tape's */
} tensor;

/* The gradient of a table of which a step touches few rows: the touched rows and their gradients, nothing else. It
 * lives as long as the table, so that a warm step allocates nothing. */
struct tensor_rows {
  uint32_t *slot; /* [shape[0]] 1 + where the row stands below, 0 when untouched */
  uint32_t *row;  /* [count] touched rows in order of first touch */
  real *value;    /* [count, dim] */
  size_t count, row_capacity, value_capacity;
};

static inline real *real_data(const tensor *x) { return x->data; }
static inline const int32_t *index_data(const tensor *x) { return x->data; }

/* Fills dtype, shape, row-major strides and count; everything else zero. The shape's product must fit (asserted). */
void tensor_init(tensor *x, tensor_dtype dtype, int rank, const size_t *shape, void *data);
/* Elements of a shape; false when the product or its size in bytes of a double overflows. */
bool shape_count(int rank, const size_t *shape, size_t *count);
bool shape_equal(const tensor *a, const tensor *b);
/* Row-major without gaps. Dimensions of size 1 may have any stride. */
bool tensor_is_contiguous(const tensor *x);
/* The last dimension, 1 for rank 0; and how many rows of that length there are. */
size_t tensor_width(const tensor *x);
size_t tensor_height(const tensor *x);
/* "[32, 128, 384]". Returns text. */
const char *shape_text(int rank, const size_t *shape, char text[TENSOR_TEXT_MAX]);
const char *tensor_text(const tensor *x, char text[TENSOR_TEXT_MAX]);

#endif
