/* recommend/itemknn.c: item neighbourhood (Sarwar et al., WWW 2001; normalisation after Cremonesi et al., RecSys 2010,
 * and Cooper et al.'s RP3β): w(i, j) = Σ_u x_ui x_uj |u|^−2a / (c_i^b · c_j^(1−b))… with the exponents on validation.
 * Only the k greatest weights of each item are kept, so memory is k entries an item whatever the catalogue's size.
 */
#include "base/memory.h"
#include "recommend/item_weights.h"
#include "recommend/kinds.h"

static const double user_exponents[] = {0, 0.25, 0.5};
static const double target_exponents[] = {0.3, 0.5, 0.7};
static const double neighbours[] = {50, 200};
static const recommender_setting itemknn_settings[] = {
    {"user_exponent", "users count by |history| to minus twice this", 0.25, 0, 1, user_exponents, 3},
    {"target_exponent", "how much the popularity of the scored item is divided out (the other gets one minus this)",
     0.5, 0, 1, target_exponents, 3},
    {"neighbours", "kept per item", 200, 1, 5000, neighbours, 2},
    {NULL},
};

/* Without the diagonal: an item is no neighbour of itself. */
static void diagonal_drop(sparse *a) {
  uint64_t kept = 0, from = 0;
  for (uint32_t r = 0; r < a->rows; r++) {
    uint64_t end = a->start[r + 1];
    a->start[r] = kept;
    for (; from < end; from++) {
      if (a->column[from] == r) continue;
      a->column[kept] = a->column[from];
      a->value[kept++] = a->value[from];
    }
  }
  a->start[a->rows] = kept;
}

static medley_status itemknn_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                 recommender **out, medley_error *err) {
  (void)progress;
  medley_status status = MEDLEY_OK;
  const interactions *x = data->train;
  sparse left = {0}, right = {0}, by_target = {0};
  float *items = NULL, *users = NULL;
  TRY_NEW(items, (size_t)x->by_user.columns + 1, "item weights");
  TRY_NEW(users, (size_t)x->by_user.rows + 1, "user weights");
  TRY(sparse_copy(&x->by_item, &left, err));
  TRY(sparse_copy(&x->by_user, &right, err));
  model_row_powers(&x->by_user, -values[0], users);
  model_row_powers(&x->by_item, -values[1], items);
  sparse_scale(&left, items, users);
  model_row_powers(&x->by_item, values[1] - 1, items);
  sparse_scale(&right, users, items);
  /* Rows are targets: each keeps its own best neighbours, one more for the diagonal that goes. */
  TRY(sparse_multiply(&left, &right, (size_t)values[2] + 1, &by_target, err));
  diagonal_drop(&by_target);
  TRY(item_weights_create(&recommender_itemknn, &by_target, out, err));
done:
  sparse_deinit(&left);
  sparse_deinit(&right);
  sparse_deinit(&by_target);
  mem_free(items);
  mem_free(users);
  return status;
}

static medley_status itemknn_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                  recommender **out, medley_error *err) {
  return item_weights_load(&recommender_itemknn, s, prefix, data, out, err);
}

const recommender_kind recommender_itemknn = {
    .name = "itemknn",
    .summary = "items that the same people chose",
    .source = "Sarwar et al. 2001; Cremonesi et al. 2010",
    .part = "taste",
    .settings = itemknn_settings,
    .needs_history = true,
    .fit = itemknn_fit,
    .score = item_weights_score,
    .trace = item_weights_trace,
    .save = item_weights_save,
    .load = itemknn_load,
    .free = item_weights_free,
};
