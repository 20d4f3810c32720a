/* engine/training_curves.h: the losses of a long call's trainings, read off its progress and drawn when it is over.
 *
 * Whatever trains a network tells its loss and rate with its progress (nn/training_log.h), some ten times a second:
 * enough for a curve, without a place for it in every model. Stages that tell no loss are passed over. */
#ifndef ENGINE_TRAINING_CURVES_H
#define ENGINE_TRAINING_CURVES_H

#include "base/progress.h"
#include "nn/training_log.h"

#define TRAINING_CURVES_MAX 16 /* stages of one call; later ones are not drawn */

typedef struct training_curves {
  const medley_progress *to; /* whom everything is passed on to; NULL: nobody */
  medley_progress progress;  /* for the long call */
  const char *path;          /* NULL: nothing is drawn */
  struct {
    char stage[64];
    training_log log;
  } of[TRAINING_CURVES_MAX];
  size_t count;
} training_curves;

/* path ends in .svg or .png, which is checked at once; NULL: the progress is `to` itself. Both borrowed; so is what
 * training_curves_progress gives. */
medley_status training_curves_begin(training_curves *c, const char *path, const medley_progress *to,
                                    medley_error *err) MEDLEY_CHECK;
const medley_progress *training_curves_progress(const training_curves *c);
/* One stage becomes `path`; several become files beside it with the stage in their names. What could not be drawn is a
 * note: a training is not lost for its picture. Frees; harmless on a zeroed one. */
void training_curves_end(training_curves *c);

#endif
