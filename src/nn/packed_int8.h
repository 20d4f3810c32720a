/* nn/packed_int8.h: an int8 weight laid out once for many products (math/maps_int8.h), in a tape's scratch memory: what
 * networks use that only answer and meet one weight step by step or place by place. float32 builds only. */
#ifndef NN_PACKED_INT8_H
#define NN_PACKED_INT8_H

#include "math/maps_int8.h"
#include "nn/op_kind.h"

typedef struct packed_int8 {
  size_t outs, depth, panels;
  int8_t *codes;
  float *scale, *bias; /* [panels * MAPS_LANES] */
  int32_t *sum;
  void *block;
  size_t bytes;
} packed_int8;

/* Whether a product with this weight is to be made in int8: it is int8, nothing learns, the processor is fast at it. */
bool packed_int8_is_wanted(const tape *t, const tensor *w);
/* codes [outs, depth] with scale [outs], depth a multiple of MAPS_INT8_GROUP; bias [outs] or NULL. False: memory ran
 * out, which the tape remembers. */
bool packed_int8_take(tape *t, const int8_t *codes, const float *scale, const float *bias, size_t outs, size_t depth,
                      packed_int8 *out);
void packed_int8_give(tape *t, packed_int8 *p);

/* y [pixels, panels * MAPS_LANES] with steps of y_step = the product with `pixels` rows of codes, x_step bytes apart,
 * plus the bias. scale: of each row; NULL: scale_of_all. */
typedef struct packed_int8_rows {
  const uint8_t *codes;
  size_t x_step, pixels;
  int32_t zero;
  const float *scale;
  float scale_of_all;
  float *y;
  size_t y_step;
} packed_int8_rows;
void packed_int8_multiply(const packed_int8 *p, const packed_int8_rows *rows);

#endif
