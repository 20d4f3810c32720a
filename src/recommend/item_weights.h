/* recommend/item_weights.h: a model that is one sparse matrix: row j says what history item j adds to each item. */
#ifndef RECOMMEND_ITEM_WEIGHTS_H
#define RECOMMEND_ITEM_WEIGHTS_H

#include "recommend/model.h"

typedef struct item_weights {
  recommender base;
  sparse weights; /* [items, items] row: the history item, column: what it speaks for */
} item_weights;

/* What a kind puts into its row of the table. */
medley_status item_weights_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                 medley_error *err);
medley_status item_weights_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                 float *out, medley_error *err);
medley_status item_weights_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err);
void item_weights_free(recommender *r); /* NULL is fine */
medley_status item_weights_load(const recommender_kind *kind, const safetensors *s, const char *prefix,
                                const recommender_data *data, recommender **out, medley_error *err) MEDLEY_CHECK;
/* The model of by_target [items, items], whose rows are targets and columns history items; by_target stays the
 * caller's. */
medley_status item_weights_create(const recommender_kind *kind, const sparse *by_target, recommender **out,
                                  medley_error *err) MEDLEY_CHECK;

#endif
