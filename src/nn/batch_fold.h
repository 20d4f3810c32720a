/* nn/batch_fold.h: batch norm behind a convolution as part of the convolution, for networks that only answer. */
#ifndef NN_BATCH_FOLD_H
#define NN_BATCH_FOLD_H

#include <stddef.h>

#include "base/error.h"

/* One number for each channel: the norm's weight and bias, and what it saw in training. */
typedef struct batch_figures {
  const float *weight, *bias, *mean, *variance; /* [count] */
  size_t count;
  double epsilon;
} batch_figures;

/* The convolution's weights of channel c are to be multiplied by factor[c], and added[c] is its bias. A variance that
 * is none is refused in the names of the file and the norm. */
medley_status batch_fold(const batch_figures *f, const char *path, const char *norm, double *factor, float *added,
                         medley_error *err) MEDLEY_CHECK;

#endif
