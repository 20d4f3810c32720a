/* encode/whisper_features.h: what Whisper hears: the logarithm of 10 ms frames' power in mel bands, as its authors
 * compute it. */
#ifndef ENCODE_WHISPER_FEATURES_H
#define ENCODE_WHISPER_FEATURES_H

#include <stddef.h>

#include "base/error.h"

#define WHISPER_RATE_HZ 16000
#define WHISPER_HOP 160    /* samples from frame to frame */
#define WHISPER_WINDOW 400 /* samples of a frame, Hann */

/* Cosines, sines and bands: made once. Zero-initialise; read-only afterwards, for all threads. */
typedef struct whisper_ear {
  size_t mels;
  float *transform; /* [WHISPER_WINDOW, 2 bins] */
  float *bands;     /* [mels, bins] */
} whisper_ear;
medley_status whisper_ear_init(whisper_ear *ear, size_t mels, medley_error *err) MEDLEY_CHECK;
void whisper_ear_deinit(whisper_ear *ear);

/* samples [count] at 16 kHz, cut or filled up with silence to `frames` hops → *out [ear->mels, frames] (mem_free). */
medley_status whisper_features(const whisper_ear *ear, const float *samples, size_t count, size_t frames, float **out,
                               medley_error *err) MEDLEY_CHECK;

#endif
