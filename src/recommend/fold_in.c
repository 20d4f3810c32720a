/* recommend/fold_in.c: see recommend/fold_in.h. */
#include "recommend/fold_in.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"

#define ROWS_AT_ONCE 256 /* gathered for one rank-k update; the rest of a long history follows in further blocks */

void fold_in_free(recommender *r) {
  if (r == NULL) return;
  fold_in *m = (fold_in *)r;
  mem_free(m->owned);
  mem_free(m->owned_bias);
  mem_free(m->gram);
  mem_free(m);
}

size_t fold_in_count(const float *factors, size_t count, size_t dim) {
  size_t found = 0;
  for (size_t f = 0; f < count; f++) found += vector_norm(factors + f * dim, dim) > 0;
  return found;
}

static size_t width_of(const fold_in *m) { return (size_t)m->sets * m->dim; }

medley_status fold_in_finish(fold_in *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = m->dim, items = m->base.item_count;
  float *set = NULL;
  if (m->gram == NULL) TRY_NEW(m->gram, m->sets * dim * dim, "factors");
  if (m->sets == 1) matrix_gram(items, dim, m->unobserved, m->factors, 0, m->gram);
  if (m->sets > 1) TRY_NEW(set, items * dim, "factors");
  for (size_t s = 0; set != NULL && s < m->sets; s++) {
    for (size_t i = 0; i < items; i++) memcpy(set + i * dim, m->factors + i * width_of(m) + s * dim, dim * sizeof *set);
    matrix_gram(items, dim, m->unobserved, set, 0, m->gram + s * dim * dim);
  }
  m->item_mass = m->unobserved * (float)fold_in_count(m->factors, items, width_of(m));
done:
  mem_free(set);
  return status;
}

/* ---- one row ---- */

size_t fold_in_room(size_t dim) { return dim * dim + (ROWS_AT_ONCE + 1) * dim; }

/* a [dim, dim] = gram + Σ_j w_j f_j f_jᵀ + ridge I, both triangles, f_j the first dim of a row of factors [·, width];
 * rows [ROWS_AT_ONCE, dim] is room. */
static void system_make(const float *factors, size_t width, size_t dim, const float *gram, float ridge,
                        const fold_in_row *row, float *rows, float *a) {
  memcpy(a, gram, dim * dim * sizeof *a);
  for (size_t from = 0; from < row->count; from += ROWS_AT_ONCE) {
    size_t block = row->count - from < ROWS_AT_ONCE ? row->count - from : ROWS_AT_ONCE;
    for (size_t j = 0; j < block; j++) {
      const float *f = factors + (size_t)row->entry[from + j] * width;
      float root = sqrtf(row->weight[from + j]);
      for (size_t d = 0; d < dim; d++) rows[j * dim + d] = root * f[d];
    }
    /* Only one triangle is computed: row-major, the upper one. */
    cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)dim, (int)block, 1, rows, (int)dim, 1, a, (int)dim);
  }
  for (size_t d = 0; d < dim; d++) a[d * dim + d] += ridge;
}

medley_status fold_in_solve(const float *factors, size_t dim, const float *gram, float ridge, const fold_in_row *row,
                            float *room, float *x, medley_error *err) {
  float *a = room, *rows = room + dim * dim;
  system_make(factors, dim, dim, gram, ridge, row, rows, a);
  vector_weighted_rows(factors, dim, row->entry, row->weight, row->count, x);
  return matrix_solve_spd_small(a, dim, x, err);
}

/* y [dim] = (gram + Σ_j w_j f_j f_jᵀ + ridge I) p */
static void system_apply(const float *factors, size_t dim, const float *gram, float ridge, const fold_in_row *row,
                         const float *p, float *y) {
  for (size_t d = 0; d < dim; d++) y[d] = ridge * p[d];
  for (size_t d = 0; d < dim; d++) vector_add_scaled(y, p[d], gram + d * dim, dim);
  vector_rows_reflect(factors, dim, row->entry, row->weight, row->count, p, y);
}

/* Takács, Pilászy & Tikk, "Applications of the conjugate gradient method for implicit feedback collaborative
 * filtering", RecSys 2011. */
void fold_in_approach(const float *factors, size_t dim, const float *gram, float ridge, const fold_in_row *row,
                      int steps, float *room, float *x) {
  float *left = room, *p = left + dim, *y = p + dim;
  vector_weighted_rows(factors, dim, row->entry, row->weight, row->count, left);
  system_apply(factors, dim, gram, ridge, row, x, y);
  vector_add_scaled(left, -1, y, dim);
  memcpy(p, left, dim * sizeof *p);
  float square = vector_dot(left, left, dim);
  for (int s = 0; s < steps && square > 1e-20f; s++) {
    system_apply(factors, dim, gram, ridge, row, p, y);
    float along = vector_dot(p, y, dim), step = square / along;
    if (!(along > 0)) return;
    vector_add_scaled(x, step, p, dim);
    vector_add_scaled(left, -step, y, dim);
    float next = vector_dot(left, left, dim);
    vector_scale(p, next / square, dim);
    vector_add_scaled(p, 1, left, dim);
    square = next;
  }
}

static float ridge_of(const fold_in *m, size_t count) { return m->regularisation * ((float)count + m->item_mass); }

medley_status fold_in_person(const fold_in *m, const history *h, float *room, float *x, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const fold_in_row row = {h->item, h->weight, h->count};
  size_t dim = m->dim;
  vector_weighted_rows(m->factors, width_of(m), row.entry, row.weight, row.count, x);
  for (size_t s = 0; s < m->sets; s++) {
    system_make(m->factors + s * dim, width_of(m), dim, m->gram + s * dim * dim, ridge_of(m, h->count), &row,
                room + dim * dim, room);
    TRY(matrix_solve_spd_small(room, dim, x + s * dim, err));
  }
done:
  return status;
}

/* ---- answers ---- */

medley_status fold_in_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                            medley_error *err) {
  medley_status status = MEDLEY_OK;
  const fold_in *m = (const fold_in *)r;
  if (h->count == 0) {
    memset(scores, 0, r->item_count * sizeof *scores);
    return MEDLEY_OK;
  }
  float *room = recommender_scratch_floats(scratch, fold_in_room(m->dim) + width_of(m));
  if (room == NULL) return error_memory(err, "factors");
  float *x = room + fold_in_room(m->dim);
  TRY(fold_in_person(m, h, room, x, err));
  vector_scale(x, m->scale, width_of(m));
  matrix_times_vector(r->item_count, width_of(m), m->factors, x, scores);
  if (m->bias != NULL) vector_add_scaled(scores, 1, m->bias, r->item_count);
done:
  return status;
}

/* s rowᵀ A⁻¹ Σ_j w_j f_j: solve A y = row, then entry j adds s w_j y·f_j; so for each set. */
medley_status fold_in_divide(const fold_in *m, const history *h, const float *row, float *room, float *out,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = m->dim;
  float *y = room + fold_in_room(dim);
  const fold_in_row entries = {h->item, h->weight, h->count};
  for (size_t j = 0; j < h->count; j++) out[j] = 0;
  for (size_t s = 0; h->count > 0 && s < m->sets; s++) {
    const float *factors = m->factors + s * dim;
    system_make(factors, width_of(m), dim, m->gram + s * dim * dim, ridge_of(m, h->count), &entries, room + dim * dim,
                room);
    memcpy(y, row + s * dim, dim * sizeof *y);
    TRY(matrix_solve_spd_small(room, dim, y, err));
    for (size_t j = 0; j < h->count; j++)
      out[j] += m->scale * h->weight[j] * vector_dot(y, factors + (size_t)h->item[j] * width_of(m), dim);
  }
done:
  return status;
}

medley_status fold_in_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                            float *out, medley_error *err) {
  const fold_in *m = (const fold_in *)r;
  float *room = recommender_scratch_floats(scratch, fold_in_room(m->dim) + m->dim);
  if (room == NULL) return error_memory(err, "factors");
  return fold_in_divide(m, h, m->factors + (size_t)item * width_of(m), room, out, err);
}

/* ---- files ---- */

medley_status fold_in_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const fold_in *m = (const fold_in *)r;
  TRY(model_add_f32(w, prefix, "factors", r->item_count, width_of(m), m->factors, err));
  TRY(model_add_f32(w, prefix, "unobserved", 1, 1, &m->unobserved, err));
  TRY(model_add_f32(w, prefix, "regularisation", 1, 1, &m->regularisation, err));
  TRY(model_add_f32(w, prefix, "scale", 1, 1, &m->scale, err));
  if (m->bias != NULL) TRY(model_add_f32(w, prefix, "bias", 1, r->item_count, m->bias, err));
  if (m->bias == NULL) TRY(model_add_u32(w, prefix, "sets", 1, &m->sets, err));
done:
  return status;
}

medley_status fold_in_load(const recommender_kind *kind, bool with_bias, const safetensors *s, const char *prefix,
                           const recommender_data *data, recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  fold_in *m = NULL;
  const float *unobserved, *regularisation, *scale;
  const uint32_t *sets = &(uint32_t){1};
  uint64_t items, width;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_f32(s, prefix, "factors", 0, 0, &m->factors, &items, &width, err));
  if (!with_bias) TRY(model_get_u32(s, prefix, "sets", 1, FOLD_IN_SETS_MAX + 1, &sets, NULL, err));
  TRY(model_get_f32(s, prefix, "unobserved", 1, 1, &unobserved, NULL, NULL, err));
  TRY(model_get_f32(s, prefix, "regularisation", 1, 1, &regularisation, NULL, NULL, err));
  TRY(model_get_f32(s, prefix, "scale", 1, 1, &scale, NULL, NULL, err));
  if (*sets == 0) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' has no sets of factors", s->path, prefix);
  m->sets = *sets;
  if (width == 0 || width % m->sets != 0 || width / m->sets > FOLD_IN_DIM_MAX || items > UINT32_MAX ||
      !(*unobserved > 0) || !(*regularisation > 0) || !isfinite(*scale))
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: the settings of '%s' are out of bounds", s->path, prefix);
  TRY(model_check_items(s, prefix, data, items, err));
  if (with_bias) TRY(model_get_f32(s, prefix, "bias", 1, items, &m->bias, NULL, NULL, err));
  m->base = (recommender){kind, (uint32_t)items};
  m->dim = (uint32_t)(width / m->sets);
  m->unobserved = *unobserved;
  m->regularisation = *regularisation;
  m->scale = *scale;
  TRY(fold_in_finish(m, err));
  *out = &m->base;
  m = NULL;
done:
  fold_in_free(m ? &m->base : NULL);
  return status;
}
