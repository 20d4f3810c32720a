/* engine/encoders.h: the encoders that were added to a workspace. */
#ifndef ENGINE_ENCODERS_H
#define ENGINE_ENCODERS_H

#include "engine/workspace.h"

/* out [MODALITY_COUNT]; kind NULL where none was added. */
medley_status encoders_chosen(medley_workspace *w, encoder_choice out[MODALITY_COUNT], medley_error *err) MEDLEY_CHECK;
/* Removes kept models that neither the workspace nor one of its generations uses. Failing to tidy is no failure. */
void encoders_tidy(medley_workspace *w);

#endif
