/* recommend/graph_content.c: see recommend/graph_content.h. */
#include "recommend/graph_content.h"

#include <stdio.h>

#include "base/memory.h"
#include "recommend/alike.h"
#include "recommend/content_map.h"

medley_status graph_content_accepts(const recommender_data *data, medley_error *err) {
  uint32_t items = data->train->by_user.columns;
  if (items <= ALIKE_ITEMS_MAX) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_LIMIT, "compares the content of all items: %u of them, the limit is %u", items,
                   ALIKE_ITEMS_MAX);
}

void graph_content_deinit(graph_content *c) {
  for (size_t m = 0; m < FEATURES_MAX; m++) {
    mem_free(c->rows[m]);
    sparse_deinit(&c->near[m]);
    sparse_deinit(&c->back[m]);
  }
}

/* Rows that sum to one; without any worth all modalities are worth the same. */
static medley_status graphs_make(graph_content *c, const recommender_data *data, size_t neighbours, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double total = 0;
  TRY(alike_find_each(data->train, data->features, c->count, neighbours, c->share, c->near, err));
  for (size_t m = 0; m < c->count; m++) {
    TRY(sparse_transpose(&c->near[m], &c->back[m], err));
    total += c->share[m];
  }
  for (size_t m = 0; !(total > 0) && m < c->count; m++) c->share[m] = 1 / (double)c->count;
done:
  return status;
}

medley_status graph_content_init(graph_content *c, const recommender_data *data, size_t neighbours, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *c = (graph_content){.count = data->feature_count, .items = data->train->by_user.columns};
  for (size_t m = 0; m < c->count; m++) {
    TRY(content_unit_rows(&data->features[m], 1, (uint32_t)c->items, &c->rows[m], &c->dim[m], err));
    c->present[m] = data->features[m].present;
    c->share[m] = 1 / (double)c->count;
  }
  if (neighbours > 0) TRY(graphs_make(c, data, neighbours, err));
done:
  return status;
}

medley_status graph_content_merge(const graph_content *c, sparse *near, sparse *back, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t items = (uint32_t)c->items;
  size_t all = 0, at = 0;
  sparse_entry *entries = NULL;
  for (size_t m = 0; m < c->count; m++) all += (size_t)sparse_count(&c->near[m]);
  TRY_NEW(entries, all + 1, "a graph");
  for (size_t m = 0; m < c->count; m++)
    for (uint32_t i = 0; i < items; i++)
      for (uint64_t e = c->near[m].start[i]; e < c->near[m].start[i + 1]; e++)
        entries[at++] = (sparse_entry){i, c->near[m].column[e], (float)c->share[m] * c->near[m].value[e]};
  TRY(sparse_from_entries(items, items, entries, all, SPARSE_SUM, near, err));
  TRY(sparse_transpose(near, back, err));
done:
  mem_free(entries);
  return status;
}

tensor *graph_content_rows(const graph_content *c, size_t m, tape *t, tensor *index) {
  tensor *rows = tape_input(t, 2, (size_t[]){c->items, c->dim[m]}, c->rows[m]);
  return index != NULL ? op_embedding(t, rows, index) : rows;
}

tensor *graph_content_share(const graph_content *c, size_t m, tape *t, const int32_t *item, const int32_t *other,
                            size_t count) {
  tensor *share = tape_empty(t, 1, (size_t[]){count});
  size_t found = 0;
  if (share == NULL) return NULL;
  real *to = real_data(share);
  for (size_t i = 0; i < count; i++) {
    bool has = c->present[m][item[i]] && (other == NULL || c->present[m][other[i]]);
    to[i] = has;
    found += has;
  }
  for (size_t i = 0; found > 0 && i < count; i++) to[i] /= (real)found;
  return share;
}

void graph_maps_init(graph_maps *maps, const graph_content *c, graph_training *g) {
  for (size_t m = 0; m < c->count; m++) {
    char name[32];
    snprintf(name, sizeof name, "%zu", m);
    maps->weight[m] = parameters_add(g->weights, name, "weight", PARAMETER_WEIGHT, (initial){INITIAL_XAVIER, 0}, 2,
                                     (size_t[]){g->dim, c->dim[m]});
    maps->bias[m] =
        parameters_add(g->weights, name, "bias", PARAMETER_PLAIN, (initial){INITIAL_ZERO, 0}, 1, (size_t[]){g->dim});
  }
}

tensor *graph_maps_rows(const graph_maps *maps, const graph_content *c, size_t m, tape *t, tensor *index) {
  return op_linear(t, graph_content_rows(c, m, t, index), maps->weight[m], maps->bias[m]);
}
