/* engine/encoders.h: the encoders that were added to a workspace. */
#ifndef ENGINE_ENCODERS_H
#define ENGINE_ENCODERS_H

#include <medley/encoder.h>

#include "engine/workspace.h"

/* out [MODALITY_COUNT]; kind NULL where none was added. */
medley_status encoders_chosen(medley_workspace *w, encoder_choice out[MODALITY_COUNT], medley_error *err) MEDLEY_CHECK;

/* While anybody holds the models nothing is tidied away: held by who adds one that is not chosen yet, and by who reads
 * chosen ones before a generation names them. The lock is the workspace folder's own and ends with the process; a file
 * system without locks leaves everybody alone. Zero-initialise. */
typedef struct encoders_hold {
  bool held;
  int fd;
} encoders_hold;
medley_status encoders_hold_take(const medley_workspace *w, encoders_hold *hold, medley_error *err) MEDLEY_CHECK;
void encoders_hold_release(encoders_hold *hold); /* harmless when not held */
/* Trains the published network in source on the workspace's content and keeps the outcome as a model, whose id is in
 * `id`. A run that was stopped is gone on with, as long as the items, the file and the options are the same. */
medley_status encoders_tune(medley_workspace *w, const encoder_kind *kind, const char *source,
                            const medley_encoder_options *options, const medley_progress *progress,
                            char id[KEPT_MODEL_ID_BYTES], medley_error *err) MEDLEY_CHECK;

/* Removes kept models that neither the workspace nor one of its generations uses, and what killed additions left;
 * nothing while anybody, be it the caller, holds them. Failing to tidy is no failure. */
void encoders_tidy(medley_workspace *w);

#endif
