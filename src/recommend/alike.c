/* recommend/alike.c: see recommend/alike.h.
 *
 * The weights of modalities come from the events and not from validation: on a few thousand held-out events a search
 * over weights finds what suits those. With pictures and sounds of short clips the lifts of ten neighbours are 2.06 and
 * 1.47, and that of noise 1.02. One graph over all modalities side by side, as it was before, lets the poor ones choose
 * the neighbours too.
 */
#include "recommend/alike.h"

#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/content_map.h"

#define ROWS_AT_ONCE 256

/* The nearest of items from … from + count, whose products with all lie in products [count, n]: entries of K_m. */
static void nearest_take(const float *products, uint32_t n, uint32_t from, size_t count, const uint8_t *skip, size_t k,
                         scored *near, sparse_entry *entries) {
#pragma omp parallel for schedule(static)
  for (size_t r = 0; r < count; r++) {
    uint32_t item = from + (uint32_t)r;
    scored *mine = near + r * (k + 1);
    size_t found = top_k(products + r * n, n, skip, k + 1, mine), kept = 0;
    float sum = 0;
    for (size_t i = 0; i < found; i++) {
      if (mine[i].index == item || !(mine[i].score > 0) || kept == k) continue;
      mine[kept++] = mine[i];
      sum += mine[kept - 1].score;
    }
    for (size_t i = 0; i < k; i++)
      entries[r * k + i] =
          i < kept ? (sparse_entry){item, mine[i].index, mine[i].score / sum} : (sparse_entry){item, item, 0};
  }
}

/* entries [items · k] of K_m; what an item has too few neighbours for stays zero on the diagonal. skip as in top_k. */
static medley_status nearest_find(const features *f, const uint8_t *skip, size_t k, sparse_entry *entries,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *rows = NULL, *products = NULL;
  scored *near = NULL;
  size_t dim, n = f->count, at_once = n < ROWS_AT_ONCE ? n : ROWS_AT_ONCE;
  TRY(content_unit_rows(f, 1, f->count, &rows, &dim, err));
  TRY_NEW(products, at_once * n, "similarities");
  TRY_NEW(near, at_once * (k + 1), "neighbours");
  for (size_t from = 0; from < n; from += at_once) {
    size_t count = n - from < at_once ? n - from : at_once;
    matrix_multiply_rows(count, n, dim, rows + from * dim, rows, dim, products);
    nearest_take(products, (uint32_t)n, (uint32_t)from, count, skip, k, near, entries + from * k);
  }
done:
  mem_free(rows);
  mem_free(products);
  mem_free(near);
  return status;
}

/* ---- what a modality is worth ---- */

static double history_size(const interactions *x, uint32_t user) {
  return (double)(x->by_user.start[user + 1] - x->by_user.start[user]);
}

/* Σ 1 / d_u over the people who chose both. */
static double chosen_together(const interactions *x, uint32_t a, uint32_t b) {
  const sparse *by_item = &x->by_item;
  uint64_t i = by_item->start[a], j = by_item->start[b];
  double sum = 0;
  while (i < by_item->start[a + 1] && j < by_item->start[b + 1]) {
    uint32_t first = by_item->column[i], second = by_item->column[j];
    if (first == second) sum += 1 / history_size(x, first);
    i += first <= second;
    j += second <= first;
  }
  return sum;
}

/* An item's share in all pairs: sums [items] of chosen_together with all others; returns the sum of the sums. */
static double pairs_count(const interactions *x, double *sums) {
  double all = 0;
  for (uint32_t i = 0; i < x->by_item.rows; i++) {
    sums[i] = 0;
    for (uint64_t e = x->by_item.start[i]; e < x->by_item.start[i + 1]; e++)
      sums[i] += 1 - 1 / history_size(x, x->by_item.column[e]);
    all += sums[i];
  }
  return all;
}

/* How often neighbours are chosen together, as a multiple of what their popularity alone would bring; 1 where that
 * would bring nothing. */
static double lift_find(const interactions *x, const sparse_entry *entries, size_t count, const double *sums,
                        double all) {
  double seen = 0, expected = 0;
#pragma omp parallel for schedule(static) reduction(+ : seen, expected)
  for (size_t e = 0; e < count; e++) {
    if (!(entries[e].value > 0)) continue;
    seen += (double)entries[e].value * chosen_together(x, entries[e].row, entries[e].column);
    expected += (double)entries[e].value * sums[entries[e].row] * sums[entries[e].column];
  }
  return expected > 0 ? seen * all / expected : 1;
}

/* ---- all modalities ---- */

/* Entries of all K_m, [items · k] each, and the shares; *total is the sum that they were divided by. */
static medley_status modalities_find(const interactions *train, const features *list, size_t count, const uint8_t *skip,
                                     size_t k, double *share, sparse_entry *entries, double *total, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double *sums = NULL, all;
  size_t n = train->by_user.columns, each = n * k;
  *total = 0;
  TRY_NEW(sums, n + 1, "neighbours");
  all = pairs_count(train, sums);
  for (size_t m = 0; m < count; m++) {
    TRY(nearest_find(&list[m], skip, k, entries + m * each, err));
    double lift = lift_find(train, entries + m * each, each, sums, all);
    share[m] = lift > 1 ? lift - 1 : 0;
    *total += share[m];
  }
  for (size_t m = 0; *total > 0 && m < count; m++) share[m] /= *total;
done:
  mem_free(sums);
  return status;
}

medley_status alike_find(const interactions *train, const features *list, size_t count, size_t k, double *share,
                         sparse *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse_entry *entries = NULL;
  double total = 0;
  size_t n = train->by_user.columns, each = n * k;
  *out = (sparse){0};
  memset(share, 0, count * sizeof *share);
  if (count == 0 || n > ALIKE_ITEMS_MAX) return MEDLEY_OK;
  TRY_NEW(entries, 2 * each * count, "neighbours");
  TRY(modalities_find(train, list, count, NULL, k, share, entries, &total, err));
  if (!(total > 0)) goto done;
  for (size_t m = 0; m < count; m++)
    for (size_t e = m * each; e < (m + 1) * each; e++) entries[e].value *= (float)share[m];
  for (size_t e = 0; e < count * each; e++)
    entries[count * each + e] = (sparse_entry){entries[e].column, entries[e].row, entries[e].value};
  TRY(sparse_from_entries((uint32_t)n, (uint32_t)n, entries, 2 * each * count, SPARSE_SUM, out, err));
done:
  mem_free(entries);
  return status;
}

medley_status alike_find_each(const interactions *train, const features *list, size_t count, size_t k, double *share,
                              sparse *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse_entry *entries = NULL;
  uint8_t *skip = NULL;
  double total = 0;
  size_t n = train->by_user.columns, each = n * k;
  memset(share, 0, count * sizeof *share);
  TRY_NEW(entries, each * count + 1, "neighbours");
  TRY_NEW(skip, n + 1, "neighbours");
  for (size_t i = 0; i < n; i++) skip[i] = !(train->popularity[i] > 0);
  TRY(modalities_find(train, list, count, skip, k, share, entries, &total, err));
  for (size_t m = 0; m < count; m++) {
    size_t kept = 0;
    for (size_t e = m * each; e < (m + 1) * each; e++)
      if (entries[e].value > 0) entries[m * each + kept++] = entries[e];
    TRY(sparse_from_entries((uint32_t)n, (uint32_t)n, entries + m * each, kept, SPARSE_SUM, &out[m], err));
  }
done:
  mem_free(entries);
  mem_free(skip);
  return status;
}
