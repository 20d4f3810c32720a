/* nn/separable_parts.h: what a separable network is made of, for separable.c and separable_read.c alone. */
#ifndef NN_SEPARABLE_PARTS_H
#define NN_SEPARABLE_PARTS_H

#include <pthread.h>

#include "math/maps.h"
#include "math/maps_int8.h"
#include "nn/separable.h"

/* A convolution of 1 × 1 (the first one: of 3 × 3), packed for math/maps.h. */
typedef struct separable_product {
  size_t depth, panels; /* numbers that an output is made of; outputs / MAPS_LANES */
  float *weight, *bias; /* weight NULL: there is none, or it is in one of the next */
  uint16_t *small;      /* the weight in bf16 */
  int8_t *codes;        /* the weight in int8 (math/maps_int8.h) */
  float *code_scale;
  int32_t *code_sum;
  float low, high;
} separable_product;

static inline bool separable_product_is_there(const separable_product *p) {
  return p->weight != NULL || p->small != NULL || p->codes != NULL;
}

/* A layer with its weights and sizes; channels are rounded up (maps_round). */
typedef struct separable_stage {
  separable_product expand, project;
  float *window, *window_bias; /* [9, middle], [middle] */
  bool stem, residual;
  size_t in_step, middle; /* channels of a pixel of the input, and under the window */
  size_t stride, before_high, before_wide;
  size_t in_height, in_width; /* of what the window slides over */
  size_t out_height, out_width;
  size_t strip, ring_rows; /* output rows at a time, and widened rows that they look at */
  size_t code_pixels;      /* pixels that are brought to int8 at once: of the input, or of what lies slid */
  size_t code_bytes;       /* of each of them, at most */
} separable_stage;

typedef struct separable_space separable_space;

struct separable {
  size_t height, width, channels, dim, classes;
  float ceiling;
  weight_precision precision;
  bool centred;
  separable_stage stages[SEPARABLE_LAYERS_MAX];
  size_t stage_count;
  separable_product head, classifier;
  size_t map_floats, strip_floats; /* of the largest layer */

  pthread_mutex_t lock; /* over spaces */
  separable_space *spaces;
};

void separable_spaces_free(separable *net);

#endif
