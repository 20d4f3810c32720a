/* encode/pair_tuning.h: fine-tuning of two towers with one space (CLIP): a picture and its item's text are drawn to
 * each other and away from the other items of the step (Radford et al. 2021). Both towers learn at once: one that moved
 * alone would leave the space that both share. */
#ifndef ENCODE_PAIR_TUNING_H
#define ENCODE_PAIR_TUNING_H

#include "encode/picture_tuning.h"
#include "encode/text_tuning.h"

/* inputs: pictures, with the text of their item beside them; those without words are passed over. Vectors of both
 * tuners have the same dimension. */
medley_status pair_tune(const picture_tuner *pictures, const text_tuner *texts, weights *w, const encoder_tuning *how,
                        const encoder_input *inputs, size_t count, progress_stage *progress,
                        medley_error *err) MEDLEY_CHECK;

#endif
