/* recommend/fold_in.h: factors of items, and the vector of a person solved for from the history whenever it is asked.
 *
 * For a history of items S with weights w, item factors f_i [dim] and biases b_i,
 *
 *   x = (α₀ Σ_i f_i f_iᵀ + Σ_{i ∈ S} w_i f_i f_iᵀ + λ (|S| + α₀ n) I)⁻¹ Σ_{i ∈ S} w_i f_i,    score(i) = s x·f_i + b_i
 *
 * the least-squares answer of Hu, Koren & Volinsky, ICDM 2008, n being how many items have factors. It is linear in the
 * entries of the history, so a score divides among them (trace). What ials trains is made for this; bpr and vbpr, which
 * train vectors of people as well, find the α₀, λ and s with which it comes nearest to those.
 *
 * A model may have several sets of factors, each with an x of its own; x·f_i is then summed over them.
 */
#ifndef RECOMMEND_FOLD_IN_H
#define RECOMMEND_FOLD_IN_H

#include "recommend/model.h"

#define FOLD_IN_DIM_MAX 512
#define FOLD_IN_SETS_MAX 16

typedef struct fold_in {
  recommender base;
  uint32_t dim;                     /* of a set */
  uint32_t sets;                    /* 1 or more */
  const float *factors;             /* [items, sets, dim]; zero rows are of items nothing is known of */
  const float *bias;                /* [items]; NULL: none */
  float *owned, *owned_bias;        /* the two when they were made here; NULL when they lie in a mapped file */
  float unobserved, regularisation; /* α₀, λ */
  float scale;                      /* s */
  float *gram;                      /* [sets, dim, dim] α₀ Σ f fᵀ, made by fold_in_finish */
  float item_mass;                  /* α₀ n, so too */
} fold_in;

/* gram and item_mass from the rest; may be called again when unobserved has changed. */
medley_status fold_in_finish(fold_in *m, medley_error *err) MEDLEY_CHECK;

/* The linear system of one row: a row to solve has entries [count] among factors [·, dim], with weights. */
typedef struct fold_in_row {
  const uint32_t *entry;
  const float *weight;
  size_t count;
} fold_in_row;
/* Floats of room that fold_in_solve wants. */
size_t fold_in_room(size_t dim);
/* x [dim] exactly, by a Cholesky factor. gram [dim, dim] as above, ridge λ (|S| + α₀ n). */
medley_status fold_in_solve(const float *factors, size_t dim, const float *gram, float ridge, const fold_in_row *row,
                            float *room, float *x, medley_error *err) MEDLEY_CHECK;
/* x [dim] after `steps` of conjugate gradients from the x that is there. */
void fold_in_approach(const float *factors, size_t dim, const float *gram, float ridge, const fold_in_row *row,
                      int steps, float *room, float *x);
/* x [sets, dim] of a person, without the scale. */
medley_status fold_in_person(const fold_in *m, const history *h, float *room, float *x, medley_error *err) MEDLEY_CHECK;
/* How much each entry of the history adds to s x·row, row [sets, dim]: out [h->count]. room: fold_in_room(dim) + dim.
 */
medley_status fold_in_divide(const fold_in *m, const history *h, const float *row, float *room, float *out,
                             medley_error *err) MEDLEY_CHECK;
/* Rows that are not zero. */
size_t fold_in_count(const float *factors, size_t count, size_t dim);

/* What a kind puts into its row of the table. */
medley_status fold_in_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                            medley_error *err);
medley_status fold_in_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                            float *out, medley_error *err);
medley_status fold_in_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err);
void fold_in_free(recommender *r); /* NULL is fine */
/* with_bias: the kind has biases and one set of factors; else none and one or more. */
medley_status fold_in_load(const recommender_kind *kind, bool with_bias, const safetensors *s, const char *prefix,
                           const recommender_data *data, recommender **out, medley_error *err) MEDLEY_CHECK;

#endif
