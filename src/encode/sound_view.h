/* encode/sound_view.h: sounds as audio.cnn and video.attention see them: log-mel, a byte each, from the loudest down to
 * 80 dB below; windows of a second and a half. */
#ifndef ENCODE_SOUND_VIEW_H
#define ENCODE_SOUND_VIEW_H

#include <stdbool.h>

#include "base/error.h"
#include "base/rng.h"
#include "media/sample.h"

#define SOUND_VIEW_RATE_HZ 16000
#define SOUND_VIEW_BANDS 64
#define SOUND_VIEW_FRAMES 96 /* of a window: 1.5 s */
/* What is kept of a sound: how many frames of 16 ms, low byte first, and the frames. */
#define SOUND_VIEW_BYTES(frames_most) (2 + (frames_most)*SOUND_VIEW_BANDS)

/* The beginning, at most frames_most frames, as out [SOUND_VIEW_BYTES(frames_most)]. Silence, also no sound at all, is
 * zeros; samples that are no number count as silence. */
medley_status sound_squeeze(const sound *in, size_t frames_most, uint8_t *out, medley_error *err) MEDLEY_CHECK;
/* Windows that stand one behind the other, the last one flush with the end; 1 at least. */
size_t sound_view_windows(const uint8_t *squeezed);
/* out [SOUND_VIEW_FRAMES, SOUND_VIEW_BANDS], 0 to 1.5 or so. draw NULL: the window as it is, a short sound in the
 * middle; else any window, louder or softer, some bands and frames left out (Park et al. 2019). */
void sound_view(rng *draw, const uint8_t *squeezed, size_t window, float *out);

/* ---- what views of sounds leave out, also those of published networks (encode/sound_tuning.h) ---- */

/* Value of frame f and band b: values[f * frame_step + b * band_step]. */
typedef struct sound_spectrum {
  float *values;
  size_t frames, bands, frame_step, band_step;
} sound_spectrum;
float sound_spectrum_mean(const sound_spectrum *s);
/* A run of neighbouring bands (of_frames: frames), up to `most` wide, becomes `value`. */
void sound_spectrum_leave_out(rng *draw, const sound_spectrum *s, bool of_frames, size_t most, float value);

#endif
