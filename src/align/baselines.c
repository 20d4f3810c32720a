/* align/baselines.c: what the aligners are measured against: no alignment at all. */
#include <stdio.h>
#include <string.h>

#include "align/fits.h"

/* map [rows, dim]: the identity, beginning at column `first`. */
static void place(float *map, size_t rows, size_t dim, size_t first) {
  for (size_t d = 0; d < rows; d++) map[d * dim + first + d] = 1;
}

static medley_status fit_placed(const aligner_pairs *train, size_t dim, size_t y_first, const char *name,
                                alignment *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  pair_moments m = {0};
  *out = (alignment){0};
  TRY(pair_moments_init(&m, train, err));
  TRY(alignment_alloc(out, train->x_dim, train->y_dim, dim, err));
  memcpy(out->x_shift, m.x_mean, m.x_dim * sizeof *out->x_shift);
  memcpy(out->y_shift, m.y_mean, m.y_dim * sizeof *out->y_shift);
  place(out->x_map, train->x_dim, dim, 0);
  place(out->y_map, train->y_dim, dim, y_first);
  snprintf(out->settings, sizeof out->settings, "%s dim=%zu", name, dim);
done:
  pair_moments_deinit(&m);
  return status;
}

medley_status align_concat_fit(const aligner_pairs *train, const aligner_pairs *valid, alignment *out,
                               medley_error *err) {
  (void)valid;
  return fit_placed(train, train->x_dim + train->y_dim, train->x_dim, "concat", out, err);
}

/* The shorter side is padded with zeros. */
medley_status align_sum_fit(const aligner_pairs *train, const aligner_pairs *valid, alignment *out, medley_error *err) {
  (void)valid;
  return fit_placed(train, train->x_dim > train->y_dim ? train->x_dim : train->y_dim, 0, "sum", out, err);
}
