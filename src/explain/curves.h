/* explain/curves.h: how a training went, as a picture: the loss, the measure on held-out data, the rate. */
#ifndef EXPLAIN_CURVES_H
#define EXPLAIN_CURVES_H

#include "base/error.h"
#include "nn/training_log.h"

/* path ends in .svg (a whole document, light and dark) or .png. A log of fewer than two points is an error. The loss
 * stands on a logarithmic scale when it is positive and falls by more than ten times. */
medley_status curves_save(const training_log *log, const char *title, const char *path, medley_error *err) MEDLEY_CHECK;

#endif
