/* recommend/content_map.h: what the fit and the model of content_map share.
 *
 * The features of an item, one modality beside the other and a constant 1 last, form φ(i) [dim]; absent modalities are
 * zero. The model is two sets of factors: history factors H [active, rank] and item factors F [items, rank], for items
 * seen or new. F(i) = s(i) (φ(i) P + what pairs of properties add), with a projection P [dim, rank]
 * (content_map_pairs.c) and a factor s(i) for how popular items of such content are.
 */
#ifndef RECOMMEND_CONTENT_MAP_H
#define RECOMMEND_CONTENT_MAP_H

#include "recommend/model.h"

#define CONTENT_MAP_RANK_MAX 256

typedef struct content_parts {
  features part[FEATURES_MAX]; /* borrowed arrays */
  size_t offset[FEATURES_MAX]; /* where each part begins in φ */
  size_t count, dim;           /* dim includes the constant at the end */
} content_parts;

void content_parts_init(content_parts *c, const features *list, size_t count);
/* φ of items [count] into out [count, dim]. */
void content_parts_rows(const content_parts *c, const uint32_t *item, size_t count, float *out);
/* *out [items, *dim], the caller's: rows of unit length, each modality centred and of unit length, side by side; zero
 * where a modality is missing, and in the last column. */
medley_status content_unit_rows(const features *list, size_t count, uint32_t items, float **out, size_t *dim,
                                medley_error *err) MEDLEY_CHECK;

typedef struct content_map_fit {
  float weight[FEATURES_MAX + 1]; /* of each part's kernel, and of the constant */
  float lambda;
  float pairs;            /* share of pairs of properties in the kernel, 0: none */
  float metric_lambda;    /* λ of the linear map that root is from */
  float *history_factors; /* [active, rank], the caller's */
  float *projection;      /* [dim, rank], the caller's: what each modality by itself adds to an item's factors */
  float *item_factors;    /* [items, rank], the caller's, with pairs; NULL: φ P is all there is */
  float *item_factor;     /* [items], the caller's: what multiplies an item's scores, by how popular its content is */
  float *root;            /* [reduced dim, reduced dim], the caller's, with pairs: see content_metric */
  size_t rank;
  double quality; /* what the search for weights reached on held-out items */
} content_map_fit;
void content_map_fit_deinit(content_map_fit *f);

#define CONTENT_MAP_RIDGES 2
extern const double content_map_fan[CONTENT_MAP_RIDGES];

typedef struct content_map_settings {
  double ridge, output_exponent; /* of the EASE it starts from, whose mean over ridge × content_map_fan is taken */
  double popularity;             /* the power of the popularity that content speaks for */
  uint64_t seed;
  progress_stage *progress; /* asked now and then whether to stop; may be NULL */
} content_map_settings;

medley_status content_map_solve(const interactions *train, const active_items *active, const content_parts *parts,
                                const content_map_settings *settings, content_map_fit *out,
                                medley_error *err) MEDLEY_CHECK;

#endif
