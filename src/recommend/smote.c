/* recommend/smote.c: see recommend/smote.h. */
#include "recommend/smote.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"

#define ROWS_AT_ONCE 256

/* The items that are compared, [count]. */
typedef struct compared {
  uint32_t *item;
  size_t count, width;
  float *rows;     /* [count, width] all modalities side by side */
  float *products; /* [ROWS_AT_ONCE, count] */
} compared;

static void compared_deinit(compared *c) {
  mem_free(c->item);
  mem_free(c->rows);
  mem_free(c->products);
}

static medley_status compared_init(compared *c, float *const *content, const size_t *width, size_t parts,
                                   const uint32_t *mask, const uint8_t *member, uint32_t items, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t members = 0, seen = 0;
  *c = (compared){0};
  for (size_t m = 0; m < parts; m++) c->width += width[m];
  for (uint32_t i = 0; i < items; i++) members += member[i] && mask[i] != 0;
  size_t step = (members + SMOTE_ITEMS_MAX - 1) / SMOTE_ITEMS_MAX;
  TRY_NEW(c->item, members + 1, "items that are alike");
  for (uint32_t i = 0; i < items; i++)
    if (member[i] && mask[i] != 0 && seen++ % step == 0) c->item[c->count++] = i;
  TRY_NEW(c->rows, c->count * c->width + 1, "items that are alike");
  TRY_NEW(c->products, ROWS_AT_ONCE * c->count + 1, "items that are alike");
  for (size_t r = 0; r < c->count; r++)
    for (size_t m = 0, at = 0; m < parts; at += width[m++])
      memcpy(c->rows + r * c->width + at, content[m] + c->item[r] * width[m], width[m] * sizeof *c->rows);
done:
  return status;
}

/* The nearest of the compared items from … from + count. */
static void nearest_take(const compared *c, const uint32_t *mask, size_t from, size_t count, smote *s) {
#pragma omp parallel for schedule(static)
  for (size_t r = from; r < from + count; r++) {
    float *products = c->products + (r - from) * c->count;
    scored best[SMOTE_NEIGHBOURS];
    for (size_t k = 0; k < c->count; k++)
      if (k == r || mask[c->item[k]] != mask[c->item[r]]) products[k] = -INFINITY;
    size_t found = top_k(products, c->count, NULL, SMOTE_NEIGHBOURS, best);
    for (size_t k = 0; k < found; k++) s->near[r * SMOTE_NEIGHBOURS + k] = c->item[best[k].index];
    s->near_count[r] = (uint8_t)found;
  }
}

medley_status smote_init(smote *s, float *const *content, const size_t *width, size_t parts, const uint32_t *mask,
                         const uint8_t *member, uint32_t items, medley_error *err) {
  medley_status status = MEDLEY_OK;
  compared c = {0};
  *s = (smote){0};
  TRY(compared_init(&c, content, width, parts, mask, member, items, err));
  TRY_NEW(s->place, (size_t)items + 1, "items that are alike");
  TRY_NEW(s->near, c.count * SMOTE_NEIGHBOURS + 1, "items that are alike");
  TRY_NEW(s->near_count, c.count + 1, "items that are alike");
  for (uint32_t i = 0; i < items; i++) s->place[i] = UINT32_MAX;
  for (size_t r = 0; r < c.count; r++) s->place[c.item[r]] = (uint32_t)r;
  for (size_t from = 0; from < c.count; from += ROWS_AT_ONCE) {
    size_t count = c.count - from < ROWS_AT_ONCE ? c.count - from : ROWS_AT_ONCE;
    matrix_multiply_rows(count, c.count, c.width, c.rows + from * c.width, c.rows, c.width, c.products);
    nearest_take(&c, mask, from, count, s);
  }
done:
  compared_deinit(&c);
  return status;
}

bool smote_draw(const smote *s, uint32_t item, rng *draw, uint32_t *other, float *towards) {
  uint32_t row = s->place != NULL ? s->place[item] : UINT32_MAX;
  if (row == UINT32_MAX || s->near_count[row] == 0) return false;
  *other = s->near[row * SMOTE_NEIGHBOURS + rng_below(draw, s->near_count[row])];
  *towards = (float)rng_uniform(draw);
  return true;
}

void smote_deinit(smote *s) {
  mem_free(s->place);
  mem_free(s->near);
  mem_free(s->near_count);
}
