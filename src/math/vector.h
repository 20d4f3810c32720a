/* math/vector.h: the vector kernels, all float32, in a version for AVX-512, AVX2 and the baseline, the best
 * the machine has taken (math/clones.h). Each has a plain twin in the tests. Thread-safe; none allocates. Arrays may be
 * unaligned unless said otherwise. */
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

/* y [dim] = sum over i < count of weight[i] * x[row[i]], x [rows, dim]: a row of a sparse product, a bag of embeddings.
 */
void vector_weighted_rows(const float *x, size_t dim, const uint32_t *row, const float *weight, size_t count, float *y);

/* y [dim] += sum over i < count of weight[i] (x[row[i]]·p) x[row[i]], x [rows, dim], p [dim]: the product of Σ w x xᵀ
 * with a vector, without the matrix. */
void vector_rows_reflect(const float *x, size_t dim, const uint32_t *row, const float *weight, size_t count,
                         const float *p, float *y);

/* The first index >= from with x[index] >= bar, count when there is none; NaN is passed over. Made for few hits. */
size_t vector_find(const float *x, size_t from, size_t count, float bar);
/* Every index with x[index] >= bar, in order, into out, which has room for count; how many there are. */
size_t vector_find_all(const float *x, size_t count, float bar, uint32_t *out);
/* The same as vector_find where each x[index] has a bar of its own: x[index] >= bar[index] + more. */
size_t vector_find_each(const float *x, const float *bar, float more, size_t from, size_t count);

/* The versions of the kernels above, for tests; NULL when this machine lacks the level (math/clones.h). */
typedef struct vector_kernels {
  float (*dot)(const float *a, const float *b, size_t dim);
  float (*squared_distance)(const float *a, const float *b, size_t dim);
  float (*sum)(const float *a, size_t dim);
  void (*add_scaled)(float *y, float alpha, const float *x, size_t dim);
  void (*scale)(float *x, float alpha, size_t dim);
  void (*weighted_rows)(const float *x, size_t dim, const uint32_t *row, const float *weight, size_t count, float *y);
  void (*rows_reflect)(const float *x, size_t dim, const uint32_t *row, const float *weight, size_t count,
                       const float *p, float *y);
  size_t (*find)(const float *x, size_t from, size_t count, float bar);
  size_t (*find_all)(const float *x, size_t count, float bar, uint32_t *out);
  size_t (*find_each)(const float *x, const float *bar, float more, size_t from, size_t count);
} vector_kernels;
const vector_kernels *vector_kernels_at(int level);

/* IEEE half precision, round to nearest even. */
void half_from_float(uint16_t *out, const float *in, size_t dim);
void float_from_half(float *out, const uint16_t *in, size_t dim);

/* bfloat16, the upper half of a float, to nearest, ties to even; value is a number. */
uint16_t bfloat_from_float(float value);

/* ---- the k best ---- */

typedef struct scored {
  float score;
  uint32_t index;
} scored;

/* The k greatest of scores[count], best first, equal scores by smaller index; entries whose skip[i] != 0 are left out
 * (skip may be NULL), and so is -INFINITY. Returns how many. out has room for k. One pass with a bounded heap: nothing
 * is sorted whole. */
size_t top_k(const float *scores, size_t count, const uint8_t *skip, size_t k, scored *out);
/* The place of the score at `at` in such a list of all scores [count], 0 the first; count when it is left out. For a
 * few places that is far cheaper than the list. */
uint32_t top_place(const float *scores, size_t count, size_t at);

#endif
