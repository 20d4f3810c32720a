/* recommend/content_map_parts.c: the features that content_map learns from: one modality beside the other, wide ones
 * cut to their leading directions; and all of an item's content as one row, which other models read. */
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/content_map_solve.h"

#define PART_DIM_MAX 1024 /* a part with more dimensions is cut … */
#define PART_DIM_CUT 128  /* … to its leading directions: the solves cost the cube of all dimensions together */

void content_parts_init(content_parts *c, const features *list, size_t count) {
  *c = (content_parts){.count = count};
  for (size_t p = 0; p < count; p++) {
    c->part[p] = list[p];
    c->offset[p] = c->dim;
    c->dim += list[p].dim;
  }
  c->dim += 1;
}

void content_parts_rows(const content_parts *c, const uint32_t *item, size_t count, float *out) {
#pragma omp parallel for schedule(static)
  for (size_t r = 0; r < count; r++) {
    float *row = out + r * c->dim;
    for (size_t p = 0; p < c->count; p++) {
      const features *f = &c->part[p];
      if (f->present[item[r]])
        memcpy(row + c->offset[p], f->values + (size_t)item[r] * f->dim, f->dim * sizeof *row);
      else
        memset(row + c->offset[p], 0, f->dim * sizeof *row);
    }
    row[c->dim - 1] = 1;
  }
}

medley_status content_unit_rows(const features *list, size_t count, uint32_t items, float **out, size_t *dim,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  content_parts parts;
  float *rows = NULL, *mean = NULL;
  content_parts_init(&parts, list, count);
  TRY_NEW(rows, items * parts.dim + 1, "features");
  TRY_NEW(mean, parts.dim, "features");
  for (size_t p = 0; p < parts.count; p++) {
    const features *f = &parts.part[p];
    float *to = rows + parts.offset[p], *centre = mean + parts.offset[p];
    size_t present = features_present_count(f);
    for (uint32_t i = 0; i < items; i++)
      if (f->present[i]) vector_add_scaled(centre, 1 / (float)present, f->values + (size_t)i * f->dim, f->dim);
    for (uint32_t i = 0; i < items; i++) {
      if (!f->present[i]) continue;
      memcpy(to + i * parts.dim, f->values + (size_t)i * f->dim, f->dim * sizeof *to);
      vector_add_scaled(to + i * parts.dim, -1, centre, f->dim);
      vector_normalise(to + i * parts.dim, f->dim);
    }
  }
  for (uint32_t i = 0; i < items; i++) vector_normalise(rows + i * parts.dim, parts.dim);
  *out = rows;
  *dim = parts.dim;
  rows = NULL;
done:
  mem_free(rows);
  mem_free(mean);
  return status;
}

void reduced_deinit(reduced_parts *r) {
  for (size_t p = 0; p < FEATURES_MAX; p++) {
    mem_free(r->values[p]);
    mem_free(r->present[p]);
    mem_free(r->directions[p]);
  }
}

static medley_status part_reduce(reduced_parts *r, size_t p, size_t active, uint64_t seed, features *f,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *cut = NULL, *values = NULL;
  size_t rank = 0;
  size_t wanted = f->dim <= PART_DIM_MAX ? f->dim : PART_DIM_CUT;
  /* More directions than a quarter of the items learn the items by heart. */
  if (wanted > PART_DIM_CUT && wanted > active / 4) wanted = active / 4 > PART_DIM_CUT ? active / 4 : PART_DIM_CUT;
  if (wanted >= f->dim) return MEDLEY_OK;
  TRY_NEW(r->directions[p], f->dim * wanted, "features");
  TRY_NEW(values, wanted, "features");
  TRY(matrix_svd_truncated(f->values, active, f->dim, wanted, 1, seed, NULL, values, r->directions[p], &rank, err));
  TRY_NEW(cut, active * rank + 1, "features");
  matrix_multiply(false, false, active, rank, f->dim, 1, f->values, r->directions[p], 0, cut);
  mem_free(r->values[p]);
  r->values[p] = cut;
  f->values = cut;
  f->dim = rank;
done:
  mem_free(values);
  return status;
}

medley_status reduced_make(const content_parts *parts, const active_items *active, uint64_t seed, reduced_parts *r,
                           medley_error *err) {
  medley_status status = MEDLEY_OK;
  features list[FEATURES_MAX];
  for (size_t p = 0; p < parts->count; p++) {
    const features *f = &parts->part[p];
    TRY_NEW(r->values[p], (size_t)active->count * f->dim + 1, "features");
    TRY_NEW(r->present[p], (size_t)active->count + 1, "features");
    for (uint32_t a = 0; a < active->count; a++) {
      if (!f->present[active->item[a]]) continue;
      r->present[p][a] = 1;
      memcpy(r->values[p] + a * f->dim, f->values + (size_t)active->item[a] * f->dim, f->dim * sizeof(float));
    }
    list[p] = (features){
        .name = f->name, .count = active->count, .dim = f->dim, .values = r->values[p], .present = r->present[p]};
    TRY(part_reduce(r, p, active->count, seed, &list[p], err));
  }
  content_parts_init(&r->small, list, parts->count);
done:
  return status;
}

void reduced_rows(const content_parts *parts, const reduced_parts *r, uint32_t from, size_t count, float *out) {
  size_t dim = r->small.dim;
  for (size_t i = 0; i < count; i++) out[i * dim + dim - 1] = 1;
  for (size_t p = 0; p < parts->count; p++) {
    const features *f = &parts->part[p];
    float *to = out + r->small.offset[p];
    size_t cut = r->small.part[p].dim;
    if (r->directions[p] != NULL)
      matrix_multiply_strided(false, false, count, cut, f->dim, 1, f->values + (size_t)from * f->dim, f->dim,
                              r->directions[p], cut, 0, to, dim);
    for (size_t i = 0; i < count; i++)
      if (!f->present[from + i])
        memset(to + i * dim, 0, cut * sizeof *to);
      else if (r->directions[p] == NULL)
        memcpy(to + i * dim, f->values + (from + i) * f->dim, cut * sizeof *to);
  }
}

medley_status projection_expand(const content_parts *parts, const reduced_parts *r, size_t rank, float **projection,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *whole = NULL;
  TRY_NEW(whole, parts->dim * rank, "factors");
  for (size_t p = 0; p < parts->count; p++) {
    const float *from = *projection + r->small.offset[p] * rank;
    float *to = whole + parts->offset[p] * rank;
    size_t dim = parts->part[p].dim, cut = r->small.part[p].dim;
    if (r->directions[p] != NULL)
      matrix_multiply(false, false, dim, rank, cut, 1, r->directions[p], from, 0, to);
    else
      memcpy(to, from, dim * rank * sizeof *to);
  }
  memcpy(whole + (parts->dim - 1) * rank, *projection + (r->small.dim - 1) * rank, rank * sizeof *whole);
  mem_free(*projection);
  *projection = whole;
done:
  return status;
}
