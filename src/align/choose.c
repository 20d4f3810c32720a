/* align/choose.c: the pairs on which settings are chosen, and the choice among a list. */
#include <string.h>

#include "align/fits.h"
#include "base/memory.h"

void valid_pairs_deinit(valid_pairs *v) {
  mem_free(v->x);
  mem_free(v->y);
  *v = (valid_pairs){0};
}

medley_status valid_pairs_init(valid_pairs *v, const aligner_pairs *all, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = all == NULL ? 0 : all->count < VALID_MAX ? all->count : VALID_MAX;
  *v = (valid_pairs){0};
  if (count == 0) return MEDLEY_OK;
  TRY(check_side("x", all->x, all->count, all->x_dim, err));
  TRY(check_side("y", all->y, all->count, all->y_dim, err));
  TRY_NEW(v->x, count * all->x_dim, "validation pairs");
  TRY_NEW(v->y, count * all->y_dim, "validation pairs");
  for (size_t i = 0; i < count; i++) {
    size_t from = i * all->count / count;
    memcpy(v->x + i * all->x_dim, all->x + from * all->x_dim, all->x_dim * sizeof *v->x);
    memcpy(v->y + i * all->y_dim, all->y + from * all->y_dim, all->y_dim * sizeof *v->y);
  }
  v->pairs = (aligner_pairs){v->x, v->y, count, all->x_dim, all->y_dim};
done:
  if (status != MEDLEY_OK) valid_pairs_deinit(v);
  return status;
}

medley_status valid_pairs_score(const valid_pairs *v, const alignment *a, double *score, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *x = NULL, *y = NULL;
  alignment_report report;
  TRY_NEW(x, v->pairs.count * a->dim, "aligned rows");
  TRY_NEW(y, v->pairs.count * a->dim, "aligned rows");
  alignment_apply(a, 0, v->pairs.x, v->pairs.count, x);
  alignment_apply(a, 1, v->pairs.y, v->pairs.count, y);
  TRY(alignment_measure(x, y, v->pairs.count, a->dim, &report, err));
  *score = (report.recall_10[0] + report.recall_10[1]) / 2;
done:
  mem_free(x);
  mem_free(y);
  return status;
}

medley_status align_choose(const aligner_pairs *train, const aligner_pairs *valid, const setting_list *list,
                           alignment *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  pair_moments m = {0};
  valid_pairs v = {0};
  alignment trial = {0};
  double best = -1, score;
  *out = (alignment){0};
  TRY(pair_moments_init(&m, train, err));
  TRY(valid_pairs_init(&v, valid, err));
  if (v.pairs.count == 0) TRY(list->fit(&m, list->fallback, out, err));
  for (size_t i = 0; v.pairs.count > 0 && i < list->count; i++) {
    TRY(list->fit(&m, list->values[i], &trial, err));
    TRY(valid_pairs_score(&v, &trial, &score, err));
    if (score > best) {
      best = score;
      alignment_deinit(out);
      *out = trial;
      trial = (alignment){0};
    }
    alignment_deinit(&trial);
  }
done:
  pair_moments_deinit(&m);
  valid_pairs_deinit(&v);
  alignment_deinit(&trial);
  if (status != MEDLEY_OK) alignment_deinit(out);
  return status;
}
