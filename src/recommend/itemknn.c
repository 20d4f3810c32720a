/* recommend/itemknn.c: item neighbourhood (Sarwar et al., WWW 2001; normalisation after Cremonesi et al., RecSys 2010,
 * and Cooper et al.'s RP3β): w(i, j) = Σ_u x_ui x_uj |u|^−2a / (c_i^b · c_j^(1−b))… with the exponents on validation.
 * Only the k greatest weights of each item are kept, so memory is k entries an item whatever the catalogue's size.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

typedef struct itemknn {
  recommender base;
  sparse weights; /* [items, items] row: the history item, column: what it speaks for */
} itemknn;

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

static void itemknn_free(recommender *r) {
  if (r == NULL) return;
  sparse_deinit(&((itemknn *)r)->weights);
  mem_free(r);
}

static void itemknn_scale(const interactions *x, double exponent, double user_exponent, float *items, float *users) {
  for (uint32_t i = 0; i < x->by_user.columns; i++)
    items[i] = x->popularity[i] > 0 ? (float)pow((double)x->popularity[i], -exponent) : 0;
  for (uint32_t u = 0; u < x->by_user.rows; u++) {
    double count = (double)(x->by_user.start[u + 1] - x->by_user.start[u]);
    users[u] = count > 0 ? (float)pow(count, -user_exponent) : 0;
  }
}

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

static medley_status itemknn_weights(const interactions *x, const double *values, sparse *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse left = {0}, right = {0}, by_target = {0};
  float *items = NULL, *users = NULL;
  TRY_NEW(items, (size_t)x->by_user.columns + 1, "item weights");
  TRY_NEW(users, (size_t)x->by_user.rows + 1, "user weights");
  TRY(sparse_copy(&x->by_item, &left, err));
  TRY(sparse_copy(&x->by_user, &right, err));
  itemknn_scale(x, values[1], values[0], items, users);
  sparse_scale(&left, items, users);
  itemknn_scale(x, 1 - values[1], values[0], items, users);
  sparse_scale(&right, users, items);
  /* Rows are targets: each keeps its own best neighbours, one more for the diagonal that goes. */
  TRY(sparse_multiply(&left, &right, (size_t)values[2] + 1, &by_target, err));
  diagonal_drop(&by_target);
  TRY(sparse_transpose(&by_target, out, err));
done:
  sparse_deinit(&left);
  sparse_deinit(&right);
  sparse_deinit(&by_target);
  mem_free(items);
  mem_free(users);
  return status;
}

static medley_status itemknn_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                 recommender **out, medley_error *err) {
  (void)progress;
  medley_status status = MEDLEY_OK;
  itemknn *m = NULL;
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_itemknn, data->train->by_user.columns};
  TRY(itemknn_weights(data->train, values, &m->weights, err));
  *out = &m->base;
  m = NULL;
done:
  itemknn_free(m ? &m->base : NULL);
  return status;
}

static medley_status itemknn_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                   medley_error *err) {
  (void)scratch;
  (void)err;
  const sparse *w = &((const itemknn *)r)->weights;
  memset(scores, 0, r->item_count * sizeof *scores);
  for (size_t j = 0; j < h->count; j++)
    for (uint64_t e = w->start[h->item[j]]; e < w->start[h->item[j] + 1]; e++)
      scores[w->column[e]] += h->weight[j] * w->value[e];
  return MEDLEY_OK;
}

static medley_status itemknn_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                   float *out, medley_error *err) {
  (void)scratch;
  (void)err;
  const sparse *w = &((const itemknn *)r)->weights;
  for (size_t j = 0; j < h->count; j++) {
    uint64_t at = sparse_find(w, h->item[j], item);
    out[j] = at < w->start[h->item[j] + 1] && w->column[at] == item ? h->weight[j] * w->value[at] : 0;
  }
  return MEDLEY_OK;
}

static medley_status itemknn_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  return model_add_sparse(w, prefix, "weights", &((const itemknn *)r)->weights, err);
}

static medley_status itemknn_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                  recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  itemknn *m = NULL;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_sparse(s, prefix, "weights", &m->weights, err));
  if (m->weights.rows != m->weights.columns) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' is not square", s->path, prefix);
  TRY(model_check_items(s, prefix, data, m->weights.columns, err));
  m->base = (recommender){&recommender_itemknn, m->weights.rows};
  *out = &m->base;
  m = NULL;
done:
  itemknn_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_itemknn = {
    .name = "itemknn",
    .summary = "items that the same people chose",
    .source = "Sarwar et al. 2001; Cremonesi et al. 2010",
    .part = "taste",
    .settings = itemknn_settings,
    .needs_history = true,
    .fit = itemknn_fit,
    .score = itemknn_score,
    .trace = itemknn_trace,
    .save = itemknn_save,
    .load = itemknn_load,
    .free = itemknn_free,
};
