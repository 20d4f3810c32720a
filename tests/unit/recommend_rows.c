/* tests/unit/recommend_rows.c: see recommend_rows.h. */
#include "recommend_rows.h"

#include "test.h"

const struct recommend_row recommend_rows[] = {
    {"popular", twin_popular, {0}, 1e-6},
    {"demographic", twin_demographic, {0}, 1e-5},
    {"demographic", twin_demographic, {3, 0.7, 0.5}, 1e-5},
    {"trending", twin_trending, {0}, 1e-5},
    {"trending", twin_trending, {3}, 1e-5},
    {"latest", twin_latest, {0}, 1e-5},
    {"itemknn", twin_itemknn, {0}, 1e-5},
    {"itemknn", twin_itemknn, {0.5, 0.7, 200}, 1e-5},
    {"userknn", twin_userknn, {0}, 1e-5},
    {"userknn", twin_userknn, {7, 0.5, 1}, 1e-5},
    {"trust", twin_trust, {0}, 1e-5},
    {"trust", twin_trust, {3, 0.8, 1, 0.5}, 1e-5},
    {"trust", twin_trust, {1, 0.5, 0, 0}, 1e-5},
    {"community", twin_community, {0}, 1e-5},
    {"community", twin_community, {0.5, 5, 0, 0.3, 20}, 1e-5},
    {"ease", twin_ease, {0}, 1e-4},
    {"ease", twin_ease, {0.5, 0.5, -0.2, 0, 0.01}, 1e-4},
    {"ease", twin_ease, {0.5, 0.5, -0.2, 0.7, 0.01}, 1e-4},
    {"ials", twin_ials, {0.01, 0.1, 8, 3}, 2e-3},
    {"ials", twin_ials, {0.03, 0.3, 16, 5}, 2e-3},
    {"ials", twin_ials, {0.2, 0, 8, 3, 2, 3}, 2e-3},
    {"graph_filter", twin_graph_filter, {0}, 1e-5},
    {"graph_filter", twin_graph_filter, {1, 0.7, 0.3, 0, 2, 0, 0.2, 10, -0.2}, 1e-5},
    {"graph_filter", twin_graph_filter, {1.3, 0.3, 0.6, 2, 0.5, 3, 1, 4, 0.2}, 1e-5},
    {"graph_filter", twin_graph_filter, {1.2, 0.2, 0.5, 0, 0, 0, 0.5, 3, 0}, 1e-5},
    {"slim", twin_slim, {0}, 1e-3},
    {"slim", twin_slim, {0.5, 0.3, 0.02, -0.2, 500, 0.1}, 1e-3},
    {"gfcf", twin_gfcf, {0.5, 0.5, 0.3, 5}, 1e-4},
    {"gfcf", twin_gfcf, {0.3, 0.7, 0, 5}, 1e-4},
    {"bpr",
     twin_fold_in,
     {0.01, 4, 0.5, 0.1, 8, 5, 0.7},
     2e-3}, /* few epochs: the first row is fitted a hundred times */
    {"bpr", twin_fold_in, {0}, 2e-3},
    {"vbpr", twin_fold_in, {0.01, 0.1, 2, 0.5, 0.1, 8, 8, 5}, 2e-3},
    {"vbpr", twin_fold_in, {0}, 2e-3},
    {"tag_cf", twin_tag_cf, {1, -0.5, -0.5, 1, 8, 0.01, 0.1}, 2e-3},
    {"tag_cf", twin_tag_cf, {0.3, -1, 0, 0, 8, 0.01, 0.1}, 2e-3},
    {"lightgcn", twin_graph_model, {2, 2, 1e-3, 0.01, 8, 64, 3, 0.5, 0.5, 0.5}, 1e-5},
    {"freedom", twin_graph_model, {2, 2, 1e-3, 0.01, 8, 64, 1, 0, 0, 1, 0.5, 0.1, 5}, 1e-5},
    {"bm3", twin_graph_model, {2, 2, 1e-3, 0.01, 8, 64, 0.3, 2}, 1e-5},
    {"mgcn", twin_graph_model, {2, 2, 1e-3, 0.01, 8, 64, 2, 0, 0, 1, 0.01, 0.2, 5}, 1e-5},
    {"mentor", twin_graph_model, {2, 2, 1e-3, 0.01, 8, 64, 1, 0.2, 1, 0.5, 0.1, 0.1, 0.5, 0.01, 0.2, 0.1, 5}, 1e-5},
    {"sasrec", twin_sasrec, {0.1, 2, 2, 1, 16, 0.01, 8, 4, 16, 0.2, 0, 2}, 1e-4},
    {"sasrec", twin_sasrec, {0.1, 2, 1, 0, 16, 0.01, 8, 50, 16, 0.2, 1, 4}, 1e-4},
    {"gru4rec", twin_gru4rec, {0.1, 2, 1, 1, 16, 0.01, 8, 3, 16, 0.2, 1}, 1e-4},
    {"gru4rec", twin_gru4rec, {0.1, 2, 2, 0, 16, 0.01, 8, 50, 16, 0.2, 0}, 1e-4},
    {"multvae", twin_multvae, {2, 0.5, 16, 8, 0.01, 16, 0.3}, 1e-4},
    {"autoencoder", twin_multvae, {2, 0.5, 16, 8, 0.01, 16}, 1e-4},
    {"deepfm", twin_deepfm, {2, 0.01, 6, 4, 0.2, 2, 0.2, 16, 0.5, 0.3, 0.9, 0.7, 1, 0.3, 0}, 1e-4},
    {"deepfm", twin_deepfm, {2, 0.01, 6, 4, 0.2, 2, 0.2, 16, 0, 0, 0, 0, 0, 0.3, 2}, 1e-4},
    {"shared_bottom", twin_shared_bottom, {2, 0.01, 4, 8, 0, 3, 0, 64, 0, 0, 0, 0, 0, 0.3, 1, 0.5, 2}, 1e-4},
    {"shared_bottom", twin_shared_bottom, {2, 0.01, 4, 8, 0, 3, 0, 64, 1, 1, 1, 1, 1, 0.3, 1, 0.5, 2}, 1e-4},
    {"mmoe", twin_mmoe, {2, 0.01, 4, 8, 0.2, 3, 0.2, 16, 0, 0, 0, 0, 0, 0.3, 1, 0.5, 2, 3}, 1e-4},
    {"ple", twin_ple, {2, 0.01, 4, 8, 0.2, 3, 0.2, 16, 0, 0, 0, 0, 0, 0.3, 1, 0.5, 2, 2}, 1e-4},
    {"esmm", twin_esmm, {2, 0.01, 4, 8, 0.2, 3, 0.2, 1, 0, 1, 1, 1, 1, 0.3, 1, 0.5, 2}, 1e-4},
    {"content", twin_content, {0}, 1e-5},
    {"content", twin_content_fused, {1}, 1e-5}, /* fuse.weighted */
    {"content", twin_content_fused, {3}, 1e-5}, /* fuse.map */
    {"content_map", twin_content_map, {0}, 0.05},
    {"content_map", twin_content_map, {10, -0.2, 0.5}, 0.05},
    {"content_popular", twin_content_popular, {0}, 1e-4},
};
const size_t recommend_row_count = sizeof recommend_rows / sizeof *recommend_rows;

const recommender_kind *row_values(const struct recommend_row *row, double values[RECOMMENDER_SETTINGS_MAX]) {
  const recommender_kind *kind = recommender_kind_find(row->name);
  bool own = false;
  assert_non_null(kind);
  for (size_t s = 0; s < RECOMMENDER_SETTINGS_MAX; s++) own |= row->values[s] != 0;
  recommender_defaults(kind, values);
  if (own) memcpy(values, row->values, sizeof row->values);
  return kind;
}

recommender *row_fit(const struct recommend_row *row, const world *w) {
  medley_error error;
  double values[RECOMMENDER_SETTINGS_MAX] = {0};
  recommender *model = NULL;
  const recommender_kind *kind = row_values(row, values);
  assert_ok(kind->fit(&w->data, values, NULL, &model, &error));
  assert_ptr_equal(model->kind, kind);
  assert_int_equal(model->item_count, w->items);
  return model;
}
