/* encode/sound_view.c: see encode/sound_view.h. */
#include "encode/sound_view.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "media/sound.h"

enum { WINDOW = 512, HOP = 256, BANDS = SOUND_VIEW_BANDS, FRAMES = SOUND_VIEW_FRAMES, HEAD = 2 };
#define RANGE 18.42f   /* 80 dB, in natural logarithms of power */
#define SCALE 0.00588f /* a byte as the network takes it: 0 to 1.5 */
#define LOUDER_MOST 25 /* bytes: 8 dB */
#define BANDS_OUT_MOST 12
#define FRAMES_OUT_MOST 16

static size_t frames_of(const uint8_t *squeezed) { return (size_t)squeezed[0] | (size_t)squeezed[1] << 8; }

/* in at our rate, at most so many samples, all of them finite. */
static medley_status sound_even(const sound *in, size_t most, sound *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sound resampled = {0};
  *out = (sound){.rate_hz = SOUND_VIEW_RATE_HZ};
  if (in->count > 0 && in->rate_hz != 0 && in->rate_hz != SOUND_VIEW_RATE_HZ) {
    TRY(sound_resample(in, SOUND_VIEW_RATE_HZ, &resampled, err));
    in = &resampled;
  }
  out->count = in->count < 1 ? 1 : in->count < most ? in->count : most;
  TRY_NEW(out->samples, out->count, "a sound");
  for (size_t i = 0; i < out->count && i < in->count; i++)
    out->samples[i] = isfinite(in->samples[i]) ? in->samples[i] : 0;
done:
  sound_deinit(&resampled);
  return status;
}

/* mel [count] logarithms → bytes: the loudest 255, what is RANGE below it or as soft as silence 0. */
static void bytes_of(const float *mel, size_t count, float silence, uint8_t *out) {
  float loudest = silence;
  for (size_t i = 0; i < count; i++) loudest = fmaxf(loudest, mel[i]);
  float floor = fmaxf(loudest - RANGE, silence), factor = loudest > floor ? 255 / (loudest - floor) : 0;
  for (size_t i = 0; i < count; i++) out[i] = (uint8_t)(fmaxf(mel[i] - floor, 0) * factor + 0.5f);
}

medley_status sound_squeeze(const sound *in, size_t frames_most, uint8_t *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sound even = {0};
  float *mel = NULL;
  size_t frames;
  TRY(sound_even(in, WINDOW + (frames_most - 1) * HOP, &even, err));
  TRY(sound_log_mel(&even, &(spectrum_options){.window = WINDOW, .hop = HOP, .mel_bands = BANDS}, &mel, &frames, err));
  if (frames > frames_most) frames = frames_most;
  memset(out, 0, SOUND_VIEW_BYTES(frames_most));
  out[0] = (uint8_t)(frames & 255), out[1] = (uint8_t)(frames >> 8);
  bytes_of(mel, frames * BANDS, logf(2e-6f), out + HEAD);
done:
  sound_deinit(&even);
  mem_free(mel);
  return status;
}

size_t sound_view_windows(const uint8_t *squeezed) {
  size_t frames = frames_of(squeezed);
  return frames <= FRAMES ? 1 : (frames + FRAMES - 1) / FRAMES;
}

/* ---- what is left out ---- */

float sound_spectrum_mean(const sound_spectrum *s) {
  double sum = 0;
  for (size_t f = 0; f < s->frames; f++)
    for (size_t b = 0; b < s->bands; b++) sum += s->values[f * s->frame_step + b * s->band_step];
  return (float)(sum / (double)(s->frames * s->bands));
}

void sound_spectrum_leave_out(rng *draw, const sound_spectrum *s, bool of_frames, size_t most, float value) {
  size_t size = of_frames ? s->frames : s->bands, wide = (size_t)rng_below(draw, most + 1);
  size_t from = (size_t)rng_below(draw, size - wide + 1);
  for (size_t f = 0; f < s->frames; f++)
    for (size_t b = 0; b < s->bands; b++) {
      size_t at = of_frames ? f : b;
      if (at >= from && at < from + wide) s->values[f * s->frame_step + b * s->band_step] = value;
    }
}

/* ---- views ---- */

void sound_view(rng *draw, const uint8_t *squeezed, size_t window, float *out) {
  size_t frames = frames_of(squeezed), known = frames < FRAMES ? frames : FRAMES, room = frames - known;
  size_t from = window * FRAMES < room ? window * FRAMES : room, behind = (FRAMES - known) / 2;
  int louder = 0;
  if (draw != NULL) {
    from = (size_t)rng_below(draw, room + 1);
    behind = (size_t)rng_below(draw, FRAMES - known + 1);
    louder = (int)rng_below(draw, 2 * LOUDER_MOST + 1) - LOUDER_MOST;
  }
  memset(out, 0, sizeof *out * FRAMES * BANDS);
  for (size_t i = 0; i < known * BANDS; i++) {
    int value = squeezed[HEAD + from * BANDS + i];
    if (value > 0) out[behind * BANDS + i] = SCALE * (float)(value + louder > 0 ? value + louder : 0);
  }
  if (draw == NULL) return;
  sound_spectrum s = {out, FRAMES, BANDS, BANDS, 1};
  sound_spectrum_leave_out(draw, &s, false, BANDS_OUT_MOST, 0);
  sound_spectrum_leave_out(draw, &s, true, FRAMES_OUT_MOST, 0);
}
