/* nn/batch_fold.c: see nn/batch_fold.h. */
#include "nn/batch_fold.h"

#include <math.h>

medley_status batch_fold(const batch_figures *f, const char *path, const char *norm, double *factor, float *added,
                         medley_error *err) {
  for (size_t c = 0; c < f->count; c++) {
    double spread = f->variance[c] + f->epsilon;
    if (!(spread > 0))
      return error_set(err, MEDLEY_ERR_INPUT, "%s: value %zu of '%s.running_var' is %g: no variance", path, c, norm,
                       (double)f->variance[c]);
    factor[c] = f->weight[c] / sqrt(spread);
    added[c] = (float)(f->bias[c] - f->mean[c] * factor[c]);
  }
  return MEDLEY_OK;
}
