/* recommend/graph_content.h: items' content for models that train over graphs: each modality by itself, with a graph of
 * the items that are alike by it. What an item lacks is masked: its row is zero, it has no neighbours by that modality,
 * and no loss of that modality counts it. */
#ifndef RECOMMEND_GRAPH_CONTENT_H
#define RECOMMEND_GRAPH_CONTENT_H

#include "recommend/graph_model.h"

typedef struct graph_content {
  size_t count, items;
  size_t dim[FEATURES_MAX];
  float *rows[FEATURES_MAX];            /* [items, dim] centred, of unit length; zero where it is missing */
  const uint8_t *present[FEATURES_MAX]; /* [items] borrowed */
  sparse near[FEATURES_MAX];  /* [items, items] the means of an item's neighbours, who are items that somebody chose */
  sparse back[FEATURES_MAX];  /* their transposes */
  double share[FEATURES_MAX]; /* what each is worth, by how much its neighbours are chosen together (alike.h), sum 1 */
} graph_content;

/* `accepts` of kinds that read content: every item is compared with every other. */
medley_status graph_content_accepts(const recommender_data *data, medley_error *err);
/* neighbours 0: without graphs, and equal shares. */
medley_status graph_content_init(graph_content *c, const recommender_data *data, size_t neighbours,
                                 medley_error *err) MEDLEY_CHECK;
void graph_content_deinit(graph_content *c);
/* Σ share near, and its transpose. */
medley_status graph_content_merge(const graph_content *c, sparse *near, sparse *back, medley_error *err) MEDLEY_CHECK;

/* Modality m of some items: index [n] → [n, dim]; index NULL: of all. */
tensor *graph_content_rows(const graph_content *c, size_t m, tape *t, tensor *index);
/* [count]: 1 / n for the n of item[0 … count) that have modality m, zero for the others; with `other` [count] only
 * where both have it. */
tensor *graph_content_share(const graph_content *c, size_t m, tape *t, const int32_t *item, const int32_t *other,
                            size_t count);

/* A map of each modality to vectors of g's size, declared in g->weights: "<modality number>.weight" and ".bias". */
typedef struct graph_maps {
  tensor *weight[FEATURES_MAX], *bias[FEATURES_MAX]; /* [dim, content], [dim] */
} graph_maps;
void graph_maps_init(graph_maps *maps, const graph_content *c, graph_training *g);
/* The mapped rows of some items [n, dim of g]. */
tensor *graph_maps_rows(const graph_maps *maps, const graph_content *c, size_t m, tape *t, tensor *index);

#endif
