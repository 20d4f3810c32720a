/* encode/sound_tuning.h: fine-tuning of published networks of sounds: views of a sound, and what a step makes of them.
 */
#ifndef ENCODE_SOUND_TUNING_H
#define ENCODE_SOUND_TUNING_H

#include "encode/encoder.h"
#include "nn/op.h"

#define SOUND_TUNING_RATE_HZ 16000
#define SOUND_TUNING_HOP 160 /* samples from frame to frame */

typedef struct sound_tuner {
  size_t window;        /* samples of a view, at most */
  size_t frames, bands; /* of what the network takes: [frames, bands] */
  bool bands_first;     /* [bands, frames] instead */
  const void *context;  /* what `hear` and `vectors` are called with */
  /* A view, at most `window` samples at SOUND_TUNING_RATE_HZ, perhaps none → out [frames * bands]. Several threads call
   * it at once. */
  medley_status (*hear)(const void *context, const sound *view, float *out, medley_error *err);
  /* features [count, frames * bands] of views of so many samples → [count, dim] of any length. */
  tensor *(*vectors)(tape *t, const void *context, const float *features, const size_t *samples, size_t count);
} sound_tuner;

/* inputs: sounds. */
medley_status sound_tune(const sound_tuner *tuner, weights *w, const encoder_tuning *how, const encoder_input *inputs,
                         size_t count, progress_stage *progress, medley_error *err) MEDLEY_CHECK;

#endif
