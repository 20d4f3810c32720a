/* learn/represent_tables.c: tags, years and vectors from outside as features. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learn/represent_parts.h"
#include "math/vector.h"

#define TAG_DIM_MAX 512 /* the most frequent tags; rarer ones say little and cost a column each */
#define YEAR_STEP 3.0   /* years between the centres of the bumps */
#define YEAR_WIDTH 4.0  /* standard deviation of a bump: films four years apart are alike by exp(-1/4) */

/* ---- tags ---- */

typedef struct tag_count {
  uint32_t tag, items;
} tag_count;

static int tag_count_compare(const void *a, const void *b) {
  const tag_count *x = a, *y = b;
  if (x->items != y->items) return x->items > y->items ? -1 : 1;
  return x->tag < y->tag ? -1 : 1;
}

/* column [tag_count]: where a tag's weight goes, UINT32_MAX when it is left out; idf [dim]. */
static medley_status tags_choose(const catalogue *items, const uint8_t *fit_items, uint32_t *column, float **idf,
                                 size_t *dim, medley_error *err) {
  medley_status status = MEDLEY_OK;
  tag_count *counts = NULL;
  uint32_t fitted = 0;
  TRY_NEW(counts, items->tag_count, "tags");
  for (uint32_t t = 0; t < items->tag_count; t++) counts[t].tag = t;
  for (uint32_t i = 0; i < items->count; i++) {
    if (fit_items != NULL && !fit_items[i]) continue;
    fitted++;
    for (uint32_t t = 0; t < items->items[i].tag_count; t++) counts[items->items[i].tags[t]].items++;
  }
  qsort(counts, items->tag_count, sizeof *counts, tag_count_compare);
  *dim = items->tag_count < TAG_DIM_MAX ? items->tag_count : TAG_DIM_MAX;
  while (*dim > 0 && counts[*dim - 1].items == 0) (*dim)--;
  TRY_NEW(*idf, *dim + 1, "tags");
  for (uint32_t t = 0; t < items->tag_count; t++) column[counts[t].tag] = t < *dim ? t : UINT32_MAX;
  for (size_t t = 0; t < *dim; t++) (*idf)[t] = 1 + logf((float)(fitted + 1) / (float)(counts[t].items + 1));
done:
  mem_free(counts);
  return status;
}

static medley_status represent_tags(const catalogue *items, const represent_options *options, representation_part *part,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *column = NULL;
  float *idf = NULL;
  size_t dim = 0;
  if (items->tag_count == 0) return MEDLEY_OK;
  TRY_NEW(column, items->tag_count, "tags");
  TRY(tags_choose(items, options->fit_items, column, &idf, &dim, err));
  if (dim == 0) goto done;
  snprintf(part->name, sizeof part->name, "tags");
  part->source = PART_TAGS;
  part->features.count = items->count;
  part->features.dim = dim;
  TRY_NEW(part->features.values, (size_t)items->count * dim, "tag vectors");
  TRY_NEW(part->features.present, items->count, "tag vectors");
  for (uint32_t i = 0; i < items->count; i++)
    for (uint32_t t = 0; t < items->items[i].tag_count; t++) {
      uint32_t c = column[items->items[i].tags[t]];
      if (c == UINT32_MAX) continue;
      part->features.values[(size_t)i * dim + c] = idf[c];
      part->features.present[i] = 1;
    }
done:
  mem_free(column);
  mem_free(idf);
  return status;
}

/* ---- years ---- */

/* A year becomes a row of Gaussian bumps, so that the dot product of two items falls smoothly with the years between
 * them. */
static medley_status represent_years(const catalogue *items, const represent_options *options,
                                     representation_part *part, medley_error *err) {
  (void)options;
  medley_status status = MEDLEY_OK;
  int first = 0, last = 0;
  for (uint32_t i = 0; i < items->count; i++) {
    int year = items->items[i].year;
    if (year == 0) continue;
    if (first == 0 || year < first) first = year;
    if (year > last) last = year;
  }
  if (first == 0 || first == last) return MEDLEY_OK;
  size_t dim = (size_t)((last - first) / YEAR_STEP) + 2;
  snprintf(part->name, sizeof part->name, "year");
  part->source = PART_YEAR;
  part->features.count = items->count;
  part->features.dim = dim;
  TRY_NEW(part->features.values, (size_t)items->count * dim, "year vectors");
  TRY_NEW(part->features.present, items->count, "year vectors");
  for (uint32_t i = 0; i < items->count; i++) {
    if (items->items[i].year == 0) continue;
    part->features.present[i] = 1;
    for (size_t d = 0; d < dim; d++) {
      double away = (items->items[i].year - first - YEAR_STEP * (double)d) / YEAR_WIDTH;
      part->features.values[(size_t)i * dim + d] = (float)exp(-away * away);
    }
  }
done:
  return status;
}

const represent_table represent_tables[] = {represent_tags, represent_years, NULL};

/* ---- imported vectors ---- */

typedef struct space_job {
  const catalogue *items;
  representation_part *part;
} space_job;

static medley_status space_take(void *context, const store_vector *vector, medley_error *err) {
  medley_status status = MEDLEY_OK;
  space_job *job = context;
  features *f = &job->part->features;
  const int64_t *index = intmap_get(&job->items->index, vector->item_id);
  if (index == NULL || vector->dim == 0) return MEDLEY_OK;
  if (f->values == NULL) {
    f->count = job->items->count;
    f->dim = vector->dim;
    TRY_NEW(f->values, f->count * f->dim, "imported vectors");
    TRY_NEW(f->present, f->count, "imported vectors");
  }
  if (f->dim != vector->dim)
    FAIL(err, MEDLEY_ERR_INPUT,
         "vectors of space '%s' have %zu dimensions, that of item '%s' has %u: import them again", job->part->name,
         f->dim, job->items->items[*index].key, vector->dim);
  float *row = f->values + (size_t)*index * f->dim;
  if (vector->dtype == STORE_F16)
    float_from_half(row, vector->values, f->dim);
  else
    memcpy(row, vector->values, f->dim * sizeof *row);
  f->present[*index] = vector_norm(row, f->dim) > 0;
done:
  return status;
}

medley_status represent_spaces(const catalogue *items, const store_kind *kind, store *s,
                               const represent_options *options, representation *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf names = {0};
  status = kind->meta_get(s, "vector_spaces", &names, NULL);
  if (status == MEDLEY_ERR_NOT_FOUND) status = MEDLEY_OK;
  if (status != MEDLEY_OK || names.text == NULL) goto done;
  /* One name a line, as the import of vectors leaves them. */
  char *rest = names.text;
  for (char *name = strtok_r(rest, "\n", &rest); name != NULL; name = strtok_r(NULL, "\n", &rest)) {
    representation_part part = {.source = PART_VECTORS};
    space_job job = {items, &part};
    snprintf(part.name, sizeof part.name, "%s", name);
    status = kind->each_vector(s, name, space_take, &job, err);
    if (status != MEDLEY_OK) {
      representation_part_deinit(&part);
      goto done;
    }
    TRY(representation_keep(r, options, &part, "l2", err));
  }
done:
  strbuf_deinit(&names);
  return status;
}
