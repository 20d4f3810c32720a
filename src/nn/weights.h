/* nn/weights.h: the tensors of a published model as layers want them: under their names, in the shapes they must have,
 * checked for numbers that are none.
 *
 * float32 stays in the mapped file. Other types, and what is misaligned, becomes float32; matrices of linear layers may
 * become int8 or bf16 on the way. Failure is remembered, as by parameters (nn/parameters.h): getters then return NULL,
 * and the one check is weights_status, so that a model reads as the list of its tensors. Not thread-safe while getting;
 * the tensors are read-only afterwards and may be used by all threads.
 */
#ifndef NN_WEIGHTS_H
#define NN_WEIGHTS_H

#include "nn/architecture.h"
#include "nn/checkpoint.h"
#include "nn/precision.h"
#include "nn/tensor.h"

struct weights_tuning;

/* Zero-initialise with from and prefix. */
typedef struct weights {
  const checkpoint *from; /* must outlive the tensors */
  char prefix[ARCHITECTURE_PREFIX_MAX];
  weight_precision precision;    /* of the matrices of linear layers */
  struct weights_tuning *tuning; /* NULL: nothing learns. Goes with float32 (nn/weights_tuning.h) */
  void **owned;
  size_t owned_count, owned_capacity;
  medley_status status;
  medley_error error;
} weights;
void weights_deinit(weights *w); /* frees the tensors; harmless on a zeroed one */
/* OK, or the first failure. */
medley_status weights_status(const weights *w, medley_error *err) MEDLEY_CHECK;

/* "<prefix><what the format says>" with these sizes. A size is never 0. */
tensor *weights_get(weights *w, int rank, const size_t *shape, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
tensor *weights_vector(weights *w, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same in whatever shape the file has it, as long as it is `count` numbers: tokens that are learnt, places. */
tensor *weights_numbers(weights *w, size_t count, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same of what never learns: figures that a norm ran along with, places that are computed. */
tensor *weights_constant(weights *w, size_t count, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A linear layer's [rows, columns], in the precision that is wanted. Sizes that a file has in more dimensions (a
 * convolution whose window is its stride) are taken as one when they multiply to `columns`. */
tensor *weights_matrix(weights *w, size_t rows, size_t columns, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same whose file holds it transposed, as [columns, rows]. */
tensor *weights_matrix_transposed(weights *w, size_t rows, size_t columns, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Matrices [rows, columns] (vectors when columns is 0) one below the other: a name each, `stem` before and `end`
 * behind; a NULL among the names is zeros. */
tensor *weights_stack(weights *w, const char *stem, const char *const *names, size_t count, const char *end,
                      size_t rows, size_t columns);
/* A convolution, "<conv>.weight" [outs, ins, *kernel, *kernel], and the batch norm behind it, as one linear layer over
 * what a window sees, place after place with the channels of each: [outs, kernel² ins] in the precision that is wanted,
 * and *bias [outs]. Outputs and kernel (odd) are the file's. */
tensor *weights_convolution(weights *w, const char *conv, const char *norm, size_t ins, double epsilon, size_t *kernel,
                            tensor **bias);
/* A table of which rows are taken by number: stays in the file, in its type. NULL after a failure. */
const tensor_view *weights_table(weights *w, size_t rows, size_t columns, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* count * size zero bytes that live as long as w: for what holds the tensors. NULL after a failure. */
void *weights_memory(weights *w, size_t count, size_t size);
/* Whether the file has it. */
bool weights_has(const weights *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
