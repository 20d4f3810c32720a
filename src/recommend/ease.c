/* recommend/ease.c: EASE with weighted users and scaled outputs.
 *
 * Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019: B = I − P diag(P)⁻¹ with P = (XᵀX + λI)⁻¹,
 * scores x B. Three changes, each tuned on validation and each reducing to the paper at 0: users    rows of X are
 * divided by |history|^user_exponent, so that people with hundreds of events do not decide alone (on click graphs this
 * is most of the gain); ridge    λ grows with an item's own diagonal: λ_i = ridge · mean(diag G) + dropout · G_ii, the
 * closed form of dropout on the input (Steck, "Autoencoders that don't overfit towards the identity", NeurIPS 2020);
 *   outputs  the score of item i is divided by (G_ii / mean)^output_exponent, against or for popular items;
 *   content  content · mean(diag G) · K is added to G, where K is the sum of the modalities' kernels φφᵀ with fixed
 * shares: features as rows of further, pretended users (Jeunen et al., "Closed-form models for collaborative filtering
 * with side-information", 2020).
 *
 * Letters as in the paper: G Gram matrix, P its regularised inverse, B weights. Memory 4·a² bytes for a items with
 * events, twice while fitting; beyond EASE_ITEMS_MAX items the kind declines and item-kNN and iALS carry the catalogue.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/ease_fit.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

typedef struct ease {
  recommender base;
  active_items active;
  const float *b; /* [active, active] row j: what history item j adds to each item */
  float *owned;   /* b when it was fitted here; NULL when it lies in a mapped file */
} ease;

static const double user_exponents[] = {0, 0.35, 0.5};
static const double ridges[] = {3, 10, 30, 100};
static const double output_exponents[] = {-0.2, 0, 0.1};
static const double contents[] = {0, 0.2, 0.5};
static const recommender_setting ease_settings[] = {
    {"user_exponent", "users count by |history| to minus twice this", 0.35, 0, 1, user_exponents, 3},
    {"ridge", "λ as a multiple of the mean diagonal of XᵀX", 3, 1e-3, 1e5, ridges, 4},
    {"output_exponent", "scores are divided by relative popularity to this power", 0.1, -1, 1, output_exponents, 3},
    {"content", "weight of the items' content beside their users; 0 without vectors", 0.2, 0, 100, contents, 3},
    {"dropout", "λ added in proportion to an item's own diagonal", 0.33, 0, 10, NULL, 0},
    {NULL},
};

static void ease_free(recommender *r) {
  if (r == NULL) return;
  ease *m = (ease *)r;
  active_items_deinit(&m->active);
  mem_free(m->owned);
  mem_free(m);
}

static uint32_t active_count(const interactions *x) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < x->by_user.columns; i++) count += x->popularity[i] > 0;
  return count;
}

static medley_status ease_accepts(const recommender_data *data, medley_error *err) {
  uint32_t count = active_count(data->train);
  if (count <= EASE_ITEMS_MAX) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_LIMIT,
                   "needs a dense matrix of items × items: %.1f GB for %u items with events, the limit is %u items",
                   8e-9 * count * count, count, EASE_ITEMS_MAX);
}

/* Words say most of what an item is; what the others add is worth less per unit of likeness. Fixed, because the ridge
 * and `content` are tuned and the shares move little between catalogues. */
float content_share(const char *name) {
  static const struct {
    const char *name;
    float share;
  } shares[] = {{"text", 1}, {"tags", 0.3f}, {"year", 0.2f}, {"image", 0.1f}, {"audio", 0.1f}, {"video", 0.1f}};
  for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
    if (strcmp(shares[i].name, name) == 0) return shares[i].share;
  return 0.5f; /* vectors from outside */
}

/* g [active, active] += amount · Σ_m share_m φ_m φ_mᵀ. */
static medley_status content_add(const features *list, size_t count, const active_items *active, float amount, float *g,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *rows = NULL;
  size_t a = active->count;
  for (size_t p = 0; p < count; p++) {
    const features *f = &list[p];
    /* What counts a tenth is not worth the product of its thousand columns with themselves. */
    if (content_share(f->name) < 0.2f) continue;
    mem_free(rows);
    TRY_NEW(rows, a * f->dim + 1, "features");
    for (size_t i = 0; i < a; i++)
      if (f->present[active->item[i]])
        memcpy(rows + i * f->dim, f->values + (size_t)active->item[i] * f->dim, f->dim * sizeof *rows);
    matrix_multiply(false, true, a, a, f->dim, amount * content_share(f->name), rows, rows, 1, g);
  }
done:
  mem_free(rows);
  return status;
}

medley_status ease_weights(const interactions *train, const active_items *active, const features *content,
                           size_t content_count, const ease_settings_values *v, float **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse x = {0};
  float *g = NULL, *scale = NULL, *diagonal = NULL;
  size_t a = active->count;
  TRY(active_rows(train, active, &x, err));
  TRY_NEW(scale, (size_t)x.rows + 1, "user weights");
  model_row_powers(&x, -v->user_exponent, scale);
  sparse_scale(&x, scale, NULL);
  TRY_NEW(g, a * a, "the item × item matrix");
  TRY_NEW(diagonal, a + 1, "the item × item matrix");
  sparse_gram(&x, g);
  double mean = 0;
  for (size_t i = 0; i < a; i++) mean += diagonal[i] = g[i * a + i];
  mean = a > 0 && mean > 0 ? mean / (double)a : 1;
  if (v->content > 0) TRY(content_add(content, content_count, active, (float)(v->content * mean), g, err));
  for (size_t i = 0; i < a; i++) g[i * a + i] += (float)(v->ridge * mean + v->dropout * diagonal[i]);
  TRY(matrix_invert_spd(g, a, err));
  /* B = −P / diag(P) by column, with the output scale folded in; the diagonal is zero by construction. P is symmetric.
   */
  float *column = diagonal; /* reused: from here on the factor of each column */
  for (size_t i = 0; i < a; i++)
    column[i] = -1.0f / g[i * a + i] * (float)pow(diagonal[i] > 0 ? diagonal[i] / mean : 1, -v->output_exponent);
#pragma omp parallel for schedule(static)
  for (size_t j = 0; j < a; j++) {
    float *row = g + j * a;
    for (size_t i = 0; i < a; i++) row[i] *= column[i];
    row[j] = 0;
  }
  *out = g;
  g = NULL;
done:
  sparse_deinit(&x);
  mem_free(scale);
  mem_free(diagonal);
  mem_free(g);
  return status;
}

static medley_status ease_fit(const recommender_data *data, const double *values, progress_stage *progress,
                              recommender **out, medley_error *err) {
  (void)progress;
  medley_status status = MEDLEY_OK;
  ease *m = NULL;
  ease_settings_values v = {.user_exponent = values[0],
                            .ridge = values[1],
                            .output_exponent = values[2],
                            .content = values[3],
                            .dropout = values[4]};
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_ease, data->train->by_user.columns};
  TRY(active_items_find(data->train, &m->active, err));
  TRY(ease_weights(data->train, &m->active, data->features, data->feature_count, &v, &m->owned, err));
  m->b = m->owned;
  *out = &m->base;
  m = NULL;
done:
  ease_free(m ? &m->base : NULL);
  return status;
}

static medley_status ease_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                medley_error *err) {
  const ease *m = (const ease *)r;
  size_t a = m->active.count;
  float *sum = recommender_scratch_floats(scratch, a + 1);
  if (sum == NULL) return error_memory(err, "scores");
  memset(sum, 0, a * sizeof *sum);
  for (size_t j = 0; j < h->count; j++) {
    uint32_t at = m->active.position[h->item[j]];
    if (at != UINT32_MAX) vector_add_scaled(sum, h->weight[j], m->b + (size_t)at * a, a);
  }
  memset(scores, 0, r->item_count * sizeof *scores);
  for (size_t i = 0; i < a; i++) scores[m->active.item[i]] = sum[i];
  return MEDLEY_OK;
}

static medley_status ease_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                float *out, medley_error *err) {
  (void)scratch;
  (void)err;
  const ease *m = (const ease *)r;
  uint32_t target = m->active.position[item];
  for (size_t j = 0; j < h->count; j++) {
    uint32_t at = m->active.position[h->item[j]];
    out[j] = at == UINT32_MAX || target == UINT32_MAX ? 0 : h->weight[j] * m->b[(size_t)at * m->active.count + target];
  }
  return MEDLEY_OK;
}

static medley_status ease_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const ease *m = (const ease *)r;
  TRY(model_add_u32(w, prefix, "active", m->active.count, m->active.item, err));
  TRY(model_add_f32(w, prefix, "b", m->active.count, m->active.count, m->b, err));
  TRY(model_add_u32(w, prefix, "items", 1, &r->item_count, err));
done:
  return status;
}

static medley_status ease_load(const safetensors *s, const char *prefix, const recommender_data *data,
                               recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ease *m = NULL;
  const uint32_t *items, *active;
  uint64_t count;
  TRY(model_get_u32(s, prefix, "items", 1, UINT32_MAX, &items, NULL, err));
  TRY(model_check_items(s, prefix, data, items[0], err));
  TRY(model_get_u32(s, prefix, "active", 0, items[0], &active, &count, err));
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_ease, items[0]};
  TRY(active_items_from(active, count, items[0], &m->active, err));
  TRY(model_get_f32(s, prefix, "b", count, count, &m->b, NULL, NULL, err));
  *out = &m->base;
  m = NULL;
done:
  ease_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_ease = {
    .name = "ease",
    .summary = "linear item-to-item weights in closed form",
    .source = "Steck 2019, 2020",
    .part = "taste",
    .settings = ease_settings,
    .needs_history = true,
    .may_read_features = true,
    .accepts = ease_accepts,
    .fit = ease_fit,
    .score = ease_score,
    .trace = ease_trace,
    .save = ease_save,
    .load = ease_load,
    .free = ease_free,
};
