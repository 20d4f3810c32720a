/* recommend/content_map_solve.h: what the files of content_map's fit share: its features (content_map_parts.c) and the
 * last solve in two forms: over the dimensions of φ (content_map_solve.c), or over the items, which pairs of properties
 * ask for (content_map_pairs.c). */
#ifndef RECOMMEND_CONTENT_MAP_SOLVE_H
#define RECOMMEND_CONTENT_MAP_SOLVE_H

#include "recommend/content_map.h"

/* The parts of the active items, wide ones cut to their leading directions. `small` numbers the active items from 0. */
typedef struct reduced_parts {
  content_parts small;
  float *values[FEATURES_MAX]; /* owned rows of small */
  uint8_t *present[FEATURES_MAX];
  float *directions[FEATURES_MAX]; /* [dim, cut dim] or NULL: not cut */
} reduced_parts;
medley_status reduced_make(const content_parts *parts, const active_items *active, uint64_t seed, reduced_parts *r,
                           medley_error *err) MEDLEY_CHECK;
void reduced_deinit(reduced_parts *r);
/* out [count, small dim] = φ of the catalogue's items from `from` on, cut. */
void reduced_rows(const content_parts *parts, const reduced_parts *r, uint32_t from, size_t count, float *out);
/* A projection of the cut parts [small dim, rank] becomes one of the whole ones [parts dim, rank]. */
medley_status projection_expand(const content_parts *parts, const reduced_parts *r, size_t rank, float **projection,
                                medley_error *err) MEDLEY_CHECK;

/* The collaborative matrix, whole or as V Vᵀ. */
typedef struct base_matrix {
  float *b; /* [active, active] or NULL */
  float *v; /* [active, rank] when b is NULL */
  size_t rank;
} base_matrix;

/* S: the square root of each column's weight. weight [count + 1], the constant last; scale [dim]. */
void content_scale(const content_parts *c, const float *weight, float *scale);

/* How many of the values [count] that fall hold nearly all of the scores' sum of squares, at most CONTENT_MAP_RANK_MAX.
 */
size_t content_rank(const float *energy, size_t count, double all);

/* out [active, dim] = B phi. */
medley_status content_base_multiply(const base_matrix *b, size_t active, const float *phi, size_t dim, float *out,
                                    medley_error *err) MEDLEY_CHECK;

/* a [dim, dim] = S gram S + λ I. */
void content_system(const float *gram, const float *scale, float lambda, size_t dim, float *a);

/* history_factors and projection of out from its weight and lambda, and *popular [dim], the caller's: φ(i)·popular is
 * what content says of an item's popularity. phi [active, dim], popularity [active]. */
medley_status content_map_finish(const base_matrix *base, const content_parts *parts, const float *phi,
                                 const float *popularity, size_t active, content_map_fit *out, float **popular,
                                 medley_error *err) MEDLEY_CHECK;

/* ---- pairs of properties ---- */

/* Whether kernels of these items can be afforded. */
bool content_pairs_affordable(size_t active, size_t items);

/* *root [dim, dim], the caller's: A with S A Aᵀ S in the place of S S, from gram [dim, dim] = ΦᵀΦ and outer [dim, dim]
 * = (B Φ)ᵀ B Φ. MEDLEY_ERR_INPUT: it cannot be solved. */
medley_status content_metric(const float *gram, const float *outer, const float *scale, float lambda, size_t dim,
                             float **root, medley_error *err) MEDLEY_CHECK;

/* Rows of φ S A: the dot product of two is K. */
typedef struct scaled_rows {
  float *rows;    /* [count, dim] */
  float *squares; /* [count] their squared lengths */
  size_t count, dim;
  double mean_square;
} scaled_rows;
medley_status scaled_rows_make(const float *phi, size_t count, size_t dim, const float *scale, const float *root,
                               scaled_rows *out, medley_error *err) MEDLEY_CHECK;
void scaled_rows_deinit(scaled_rows *r);

/* out [a, b] = K₂ with that q. */
void content_pairs_kernel(const scaled_rows *a, const scaled_rows *b, float q, float *out);

/* right [known, columns] = (K₂ + λ I)⁻¹ right over the known items; pairs: their share of the kernel. */
medley_status content_pairs_solve(const scaled_rows *known, float pairs, float lambda, float *right, size_t columns,
                                  medley_error *err) MEDLEY_CHECK;

/* history_factors and projection of out as content_map_finish, from its pairs and lambda; known: of the active items,
 * by `scale` and `root`. And dual [active, rank] and popular [active], the caller's: K₂(i, active) dual places any
 * item, K₂(i, active) popular says how popular it may be. */
medley_status content_pairs_finish(const base_matrix *base, const scaled_rows *known, const float *scale,
                                   const float *root, const float *popularity, uint64_t seed, content_map_fit *out,
                                   float **dual, float **popular, medley_error *err) MEDLEY_CHECK;

#endif
