/* data/npy.h: NumPy's .npy files (format 1.0 to 3.0, numpy.lib.format) with a matrix of floats, row by row, or a list
 * of integers, one by one.
 *
 * The header is a Python dictionary literal; it is read by a parser of its own that knows three keys, and nothing is
 * ever unpickled.
 */
#ifndef DATA_NPY_H
#define DATA_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "data/stream.h"

#define NPY_HEADER_MAX 65536
#define NPY_DIM_MAX 65536

typedef enum npy_dtype { NPY_F16, NPY_F32, NPY_F64, NPY_I32, NPY_U32, NPY_I64, NPY_U64 } npy_dtype;

typedef struct npy_reader {
  stream *in; /* borrowed */
  const char *name;
  bool integers; /* what is expected: a list of integers */
  npy_dtype dtype;
  uint64_t rows;
  uint32_t dim;
  uint64_t next;        /* row told next */
  uint64_t taken;       /* bytes read so far */
  unsigned char *bytes; /* [dim] of dtype */
  float *values;        /* [dim] */
} npy_reader;

/* Fortran order, objects, integers, big-endian numbers and other than two dimensions are refused, each with its
 * sentence. */
medley_status npy_open(npy_reader *r, stream *in, const char *name, medley_error *err) MEDLEY_CHECK;
/* The same of integers of 32 and 64 bits and one dimension; dim is 1 then. */
medley_status npy_open_integers(npy_reader *r, stream *in, const char *name, medley_error *err) MEDLEY_CHECK;
/* Right after npy_open: a file of so many bytes (not compressed) holds all rows that its header promises. So a file
 * that was cut off is refused before anything of it is taken. */
medley_status npy_length_check(const npy_reader *r, uint64_t file_bytes, medley_error *err) MEDLEY_CHECK;
/* [dim] values of the next row, valid until the next call; NULL at the end. A file that ends early is an error. */
medley_status npy_next(npy_reader *r, const float **values, medley_error *err) MEDLEY_CHECK;
/* After npy_open_integers: the next value; *more is false at the end. A negative one is refused with its row. */
medley_status npy_next_integer(npy_reader *r, uint64_t *value, bool *more, medley_error *err) MEDLEY_CHECK;
void npy_close(npy_reader *r);

/* The text of the header's dictionary; fills dtype, rows and dim. For opening and the fuzz target. */
medley_status npy_header_parse(npy_reader *r, const char *text, medley_error *err) MEDLEY_CHECK;

#endif
