/* math/maps_int8.h: the products of math/maps.h in int8, four numbers to a step of each lane: weights by a scale for
 * each output, pixels by one for each pixel, found when they come ("dynamic"), or by a fixed one where an activation
 * bounds them. Needs the dot products of AVX-512 (VNNI) to be worth it. Thread-safe; sums are exact.
 */
#ifndef MATH_MAPS_INT8_H
#define MATH_MAPS_INT8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "math/maps.h"

#define MAPS_INT8_GROUP 4         /* depth is a multiple of this */
#define MAPS_INT8_DEPTH_MAX 65536 /* so that no sum overflows 32 bits */

bool maps_int8_is_fast(void); /* on this machine */

typedef struct maps_product_int8 {
  const uint8_t *x; /* [pixels] with steps of x_step bytes: each code stands for
                       (code - zero) * scale */
  size_t x_step, depth, pixels;
  int32_t zero;         /* 128 for numbers of both signs, 0 where none is below 0 */
  const float *x_scale; /* [pixels], or NULL: the one below for all */
  float x_scale_of_all;
  const int8_t *weight;      /* [panels, depth / 4, MAPS_LANES, 4] by maps_int8_pack */
  const float *weight_scale; /* [panels * MAPS_LANES] */
  const int32_t *weight_sum; /* [panels * MAPS_LANES]: what a zero of 1 adds */
  const float *bias;         /* as in maps_product, from here on */
  size_t panels;
  float *y;
  size_t y_step;
  const float *add;
  size_t add_step;
  float low, high;
} maps_product_int8;
void maps_int8_multiply(const maps_product_int8 *p);
/* Without special instructions: what the tests compare with. */
void maps_int8_multiply_plain(const maps_product_int8 *p);

/* weight [outs, depth] → packed, scale, sum as above; behind the last output: zeros, scale 0. */
void maps_int8_pack(const float *weight, size_t outs, size_t depth, int8_t *packed, float *scale, int32_t *sum);

/* The same of a weight that is int8 already, -127 to 127, by scales that the caller has. */
void maps_int8_pack_codes(const int8_t *codes, size_t outs, size_t depth, int8_t *packed, int32_t *sum);

/* Pixels [count, depth] with steps of x_step → codes with a zero of 128 and steps of code_step bytes, and a scale each.
 * Both steps are at least maps_round(depth), and x has zeros behind depth, as maps do. */
void maps_int8_quantise(const float *x, size_t x_step, size_t count, size_t depth, uint8_t *codes, size_t code_step,
                        float *scale);

#endif
