/* math/maps.h: what convolutional networks do to feature maps when they only answer: products of pixels with packed
 * weights, and depthwise windows of 3 × 3.
 *
 * A map is [height, width, channels] with the channels of a pixel next to each other (channels last) and their number
 * rounded up to a multiple of MAPS_LANES, zeros behind: no kernel then has a remainder of channels. Every result passes
 * through a bias and a clamp (ReLU, ReLU6, nothing) before it is stored, so that no map is read again for them.
 *
 * Why not BLAS for the 1 × 1 convolutions: their matrices are small (K of 16 to 960), and BLAS packs both operands anew
 * in each call, while weights can be packed once, pixels are rows without gaps already, and bias, clamp and residual
 * would be a second pass over the result.
 *
 * Thread-safe; the same numbers whatever else is computed in the same call: each output is one sum in one order.
 */
#ifndef MATH_MAPS_H
#define MATH_MAPS_H

#include <stddef.h>
#include <stdint.h>

#define MAPS_LANES 16
static inline size_t maps_round(size_t channels) { return (channels + MAPS_LANES - 1) / MAPS_LANES * MAPS_LANES; }

/* y[pixel] = clamp(bias + weight x[pixel] (+ add[pixel])). What a pixel sees is `segments` runs of `depth` numbers: one
 * run of all its channels for a 1 × 1 convolution, three runs, a row of the picture each, for one of 3 × 3. */
typedef struct maps_product {
  const float *x; /* the first pixel's first run */
  size_t x_step;  /* numbers from pixel to pixel */
  size_t segments, segment_step, depth;
  const float *weight; /* [panels, segments * depth, MAPS_LANES], by maps_pack; NULL: in the next */
  const uint16_t
      *weight_bf16;  /* the same rounded, by maps_pack_bf16: half the memory, widened on the way to a register */
  const float *bias; /* [panels * MAPS_LANES] */
  size_t panels, pixels;
  float *y;
  size_t y_step;
  const float *add; /* [pixels] with steps of add_step, or NULL */
  size_t add_step;
  float low, high; /* the clamp; -INFINITY, INFINITY for none */
} maps_product;
void maps_multiply(const maps_product *p);

/* weight [outs, depth] → packed [maps_round(outs) / MAPS_LANES, depth, MAPS_LANES], zeros behind the last output. */
void maps_pack(const float *weight, size_t outs, size_t depth, float *packed);
void maps_pack_bf16(const float *weight, size_t outs, size_t depth, uint16_t *packed);

/* One row of the output of a depthwise window of 3 × 3. */
typedef struct maps_window {
  const float *row[3];    /* [width, channels] of the input; NULL: outside */
  size_t width, channels; /* channels: a multiple of MAPS_LANES */
  size_t stride;          /* 1 or 2 */
  size_t before;          /* columns of padding in front: 0 or 1 */
  size_t out;             /* pixels of the output */
  const float *weight;    /* [9, channels] */
  const float *bias;      /* [channels] */
  float *y;               /* [out, channels] */
  float low, high;
  uint8_t *codes; /* [out, channels] takes the place of y unless NULL: round(y *
                     code_rate), at most 255; low is 0 */
  float code_rate;
} maps_window;
void maps_slide(const maps_window *w);

/* For tests: the kernels of one level (math/clones.h); NULL when this machine does not have it. */
typedef struct maps_kernels {
  void (*multiply)(const maps_product *p);
  void (*slide)(const maps_window *w);
} maps_kernels;
const maps_kernels *maps_kernels_at(int level);

#endif
