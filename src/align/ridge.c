/* align/ridge.c: y is predicted from x by ridge regression; the shared space is that of y. The plain map that canonical
 * correlations must beat: it keeps all of y, also what x cannot tell. */
#include <stdio.h>
#include <string.h>

#include "align/fits.h"
#include "base/memory.h"
#include "math/linear.h"

static const float ridges[] = {0.01f, 0.1f, 1, 10, 100};

static medley_status fit_once(const pair_moments *m, float ridge, alignment *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *xx = NULL;
  TRY(alignment_alloc(out, m->x_dim, m->y_dim, m->y_dim, err));
  TRY(ridge_added(m->xx, m->x_dim, ridge * m->x_variance, &xx, err));
  memcpy(out->x_map, m->xy, m->x_dim * m->y_dim * sizeof *out->x_map);
  TRY(matrix_solve_spd(xx, m->x_dim, out->x_map, m->y_dim, err));
  for (size_t d = 0; d < m->y_dim; d++) out->y_map[d * m->y_dim + d] = 1;
  memcpy(out->x_shift, m->x_mean, m->x_dim * sizeof *out->x_shift);
  memcpy(out->y_shift, m->y_mean, m->y_dim * sizeof *out->y_shift);
  snprintf(out->settings, sizeof out->settings, "ridge ridge=%g", ridge);
done:
  mem_free(xx);
  if (status != MEDLEY_OK) alignment_deinit(out);
  return status;
}

medley_status align_ridge_fit(const aligner_pairs *train, const aligner_pairs *valid, alignment *out,
                              medley_error *err) {
  static const setting_list list = {ridges, sizeof ridges / sizeof *ridges, 1, fit_once};
  return align_choose(train, valid, &list, out, err);
}
