/* recommend/item_weights.c: see recommend/item_weights.h. */
#include "recommend/item_weights.h"

#include <string.h>

#include "base/memory.h"

void item_weights_free(recommender *r) {
  if (r == NULL) return;
  sparse_deinit(&((item_weights *)r)->weights);
  mem_free(r);
}

medley_status item_weights_create(const recommender_kind *kind, const sparse *by_target, recommender **out,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  item_weights *m = NULL;
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){kind, by_target->columns};
  TRY(sparse_transpose(by_target, &m->weights, err));
  *out = &m->base;
  m = NULL;
done:
  item_weights_free(m ? &m->base : NULL);
  return status;
}

medley_status item_weights_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                 medley_error *err) {
  (void)scratch;
  (void)err;
  const sparse *w = &((const item_weights *)r)->weights;
  memset(scores, 0, r->item_count * sizeof *scores);
  for (size_t j = 0; j < h->count; j++)
    for (uint64_t e = w->start[h->item[j]]; e < w->start[h->item[j] + 1]; e++)
      scores[w->column[e]] += h->weight[j] * w->value[e];
  return MEDLEY_OK;
}

medley_status item_weights_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                 float *out, medley_error *err) {
  (void)scratch;
  (void)err;
  const sparse *w = &((const item_weights *)r)->weights;
  for (size_t j = 0; j < h->count; j++) {
    uint64_t at = sparse_find(w, h->item[j], item);
    out[j] = at < w->start[h->item[j] + 1] && w->column[at] == item ? h->weight[j] * w->value[at] : 0;
  }
  return MEDLEY_OK;
}

medley_status item_weights_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  return model_add_sparse(w, prefix, "weights", &((const item_weights *)r)->weights, err);
}

medley_status item_weights_load(const recommender_kind *kind, const safetensors *s, const char *prefix,
                                const recommender_data *data, recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  item_weights *m = NULL;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_sparse(s, prefix, "weights", &m->weights, err));
  if (m->weights.rows != m->weights.columns) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' is not square", s->path, prefix);
  TRY(model_check_items(s, prefix, data, m->weights.columns, err));
  m->base = (recommender){kind, m->weights.rows};
  *out = &m->base;
  m = NULL;
done:
  item_weights_free(m ? &m->base : NULL);
  return status;
}
