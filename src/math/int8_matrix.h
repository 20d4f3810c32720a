/* math/int8_matrix.h: products of a float32 matrix with an int8 one, made in int8: each row of the left side is brought
 * to int8 by its own greatest value when it comes ("dynamic"), each row of the right side was by its own scale. Needs
 * the dot products of AVX-512 (VNNI); elsewhere converting the weights and multiplying in float32 is faster.
 * Thread-safe; none allocates. */
#ifndef MATH_INT8_MATRIX_H
#define MATH_INT8_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool int8_matrix_is_fast(void); /* on this machine */

/* Bytes of a row that int8_matrix_quantise writes: `in` rounded up to whole groups of four. */
size_t int8_matrix_row(size_t in);
/* How a row of x became bytes: value = scale * (byte - zero). */
typedef struct int8_row {
  float scale;
  int32_t zero;
} int8_row;
/* Rows [from, to) of x [rows, in] as bytes into out [rows, int8_matrix_row(in)] and how into row [rows]. 0 stays
 * exactly 0; the least and the greatest of a row become the least and the greatest byte. A row with a value that is not
 * finite has the scale NaN, so that what is made from it is NaN as well. */
void int8_matrix_quantise(const float *x, size_t from, size_t to, size_t in, uint8_t *out, int8_row *row);

typedef struct int8_matrix_product {
  size_t rows, in, out;
  const uint8_t *x;     /* [rows, int8_matrix_row(in)] */
  const int8_row *row;  /* [rows] */
  const int8_t *w;      /* [out, in] -127 to 127 */
  const float *w_scale; /* [out] */
  const float *bias;    /* [out] or NULL */
  float *y;             /* [rows, out] = x wᵀ + bias */
} int8_matrix_product;

/* Outputs are made in panels of so many; one call makes panels [from, to). */
#define INT8_MATRIX_PANEL 32
#define INT8_MATRIX_IN_MAX 8192
static inline size_t int8_matrix_panels(size_t out) { return (out + INT8_MATRIX_PANEL - 1) / INT8_MATRIX_PANEL; }
/* in at most INT8_MATRIX_IN_MAX: a panel lies on the stack, and no sum overflows. */
void int8_matrix_multiply(const int8_matrix_product *p, size_t from, size_t to);
/* The same without special instructions: what the tests compare with. */
void int8_matrix_multiply_plain(const int8_matrix_product *p, size_t from, size_t to);

#endif
