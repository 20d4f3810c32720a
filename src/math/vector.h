/* math/vector.h: the vector kernels, all float32, chosen once by the compiler's target_clones (AVX-512, AVX2,
 * baseline). Each has a plain twin in the tests. Thread-safe; none allocates. Arrays may be unaligned unless said
 * otherwise. */
#ifndef MATH_VECTOR_H
#define MATH_VECTOR_H

#include <stddef.h>
#include <stdint.h>

float vector_dot(const float *a, const float *b, size_t dim);
float vector_squared_distance(const float *a, const float *b, size_t dim);
float vector_norm(const float *a, size_t dim); /* Euclidean */
/* y += alpha * x */
void vector_add_scaled(float *y, float alpha, const float *x, size_t dim);
void vector_scale(float *x, float alpha, size_t dim);
/* Divides by the norm; a zero vector stays zero. Returns the norm. */
float vector_normalise(float *x, size_t dim);
float vector_sum(const float *a, size_t dim);
/* Mean and population standard deviation, accumulated in double. */
void vector_moments(const float *a, size_t dim, double *mean, double *deviation);

/* IEEE half precision, round to nearest even. */
void half_from_float(uint16_t *out, const float *in, size_t dim);
void float_from_half(float *out, const uint16_t *in, size_t dim);

/* ---- the k best ---- */

typedef struct scored {
  float score;
  uint32_t index;
} scored;

/* The k greatest of scores[count], best first, equal scores by smaller index; entries whose skip[i] != 0 are left out
 * (skip may be NULL), and so is -INFINITY. Returns how many. out has room for k. One pass with a bounded heap: nothing
 * is sorted whole. */
size_t top_k(const float *scores, size_t count, const uint8_t *skip, size_t k, scored *out);

#endif
