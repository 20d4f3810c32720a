/* encode/whisper_features.c: see encode/whisper_features.h.
 *
 * The transform of 400 samples is a matrix product with cosines and sines: frames together it is one large product, as
 * fast here as a transform library's, and exact. Mel bands are Slaney's, of equal area (librosa's). */
#include "encode/whisper_features.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"

enum { WINDOW = WHISPER_WINDOW, BINS = WINDOW / 2 + 1, BLOCK = 256 };

/* Slaney's scale: linear below 1000 Hz, then 27 steps to each factor of 6.4. */
static double mel_to_hz(double mel) { return mel < 15 ? mel * 200 / 3 : 1000 * exp((mel - 15) * log(6.4) / 27); }
static double hz_to_mel(double hz) { return hz < 1000 ? hz * 3 / 200 : 15 + 27 * log(hz / 1000) / log(6.4); }

/* weight [mels, BINS] */
static void mel_fill(size_t mels, float *weight) {
  double top = hz_to_mel(WHISPER_RATE_HZ / 2);
  for (size_t m = 0; m < mels; m++) {
    double low = mel_to_hz(top * (double)m / (double)(mels + 1)),
           middle = mel_to_hz(top * (double)(m + 1) / (double)(mels + 1));
    double high = mel_to_hz(top * (double)(m + 2) / (double)(mels + 1));
    for (size_t b = 0; b < BINS; b++) {
      double hz = (double)b * WHISPER_RATE_HZ / WINDOW;
      double rise = (hz - low) / (middle - low), fall = (high - hz) / (high - middle), value = fmin(rise, fall);
      weight[m * BINS + b] = value > 0 ? (float)(value * 2 / (high - low)) : 0;
    }
  }
}

/* Row n: the window at sample n times the cosine and the sine of each bin: [WINDOW, 2 BINS]. */
static void transform_fill(float *table) {
  double cosine[WINDOW], sine[WINDOW];
  for (size_t i = 0; i < WINDOW; i++) {
    cosine[i] = cos(2 * M_PI * (double)i / WINDOW);
    sine[i] = sin(2 * M_PI * (double)i / WINDOW);
  }
  for (size_t n = 0; n < WINDOW; n++) {
    double window = 0.5 - 0.5 * cosine[n];
    for (size_t b = 0; b < BINS; b++) {
      table[n * 2 * BINS + b] = (float)(window * cosine[n * b % WINDOW]);
      table[n * 2 * BINS + BINS + b] = (float)(window * sine[n * b % WINDOW]);
    }
  }
}

medley_status whisper_ear_init(whisper_ear *ear, size_t mels, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ear->mels = mels;
  TRY_NEW(ear->transform, WINDOW * 2 * BINS, "a spectrum");
  TRY_NEW(ear->bands, mels * BINS, "a spectrum");
  transform_fill(ear->transform);
  mel_fill(mels, ear->bands);
done:
  return status;
}

void whisper_ear_deinit(whisper_ear *ear) {
  mem_free(ear->transform);
  mem_free(ear->bands);
}

/* The sound with silence behind it and half a window reflected at both ends, as a centred transform wants it. */
static void wave_fill(const float *samples, size_t count, size_t length, float *wave) {
  size_t half = WINDOW / 2, known = count < length ? count : length;
  if (known > 0) memcpy(wave + half, samples, known * sizeof *wave);
  memset(wave + half + known, 0, (length - known) * sizeof *wave);
  for (size_t i = 1; i <= half; i++) {
    wave[half - i] = wave[half + i];
    wave[half + length - 1 + i] = wave[half + length - 1 - i];
  }
}

typedef struct feature_buffers {
  float *wave, *frames, *spectrum, *power, *bands;
} feature_buffers;

/* Frames [from, from + some) → columns of out [mels, count]. */
static void frames_write(const whisper_ear *ear, const feature_buffers *b, size_t count, size_t from, size_t some,
                         float *out) {
  for (size_t f = 0; f < some; f++)
    memcpy(b->frames + f * WINDOW, b->wave + (from + f) * WHISPER_HOP, WINDOW * sizeof(float));
  matrix_multiply(false, false, some, 2 * BINS, WINDOW, 1, b->frames, ear->transform, 0, b->spectrum);
  for (size_t f = 0; f < some; f++)
    for (size_t i = 0; i < BINS; i++) {
      float real = b->spectrum[f * 2 * BINS + i], imaginary = b->spectrum[f * 2 * BINS + BINS + i];
      b->power[f * BINS + i] = real * real + imaginary * imaginary;
    }
  matrix_multiply(false, true, ear->mels, some, BINS, 1, ear->bands, b->power, 0, b->bands);
  for (size_t m = 0; m < ear->mels; m++)
    for (size_t f = 0; f < some; f++) out[m * count + from + f] = log10f(fmaxf(b->bands[m * some + f], 1e-10f));
}

/* Nothing is further than 8 (80 dB) below the greatest; then about -1 to 1. */
static void range_limit(float *x, size_t count) {
  float most = -INFINITY;
  for (size_t i = 0; i < count; i++) most = x[i] > most ? x[i] : most;
  for (size_t i = 0; i < count; i++) x[i] = (fmaxf(x[i], most - 8) + 4) / 4;
}

medley_status whisper_features(const whisper_ear *ear, const float *samples, size_t count, size_t frames, float **out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  feature_buffers b = {0};
  float *made = NULL;
  size_t length = frames * WHISPER_HOP;
  if (length <= WINDOW) FAIL(err, MEDLEY_ERR_INPUT, "%zu frames are shorter than one window", frames);
  TRY_NEW(b.wave, length + WINDOW, "a spectrum");
  TRY_NEW(b.frames, BLOCK * WINDOW, "a spectrum");
  TRY_NEW(b.spectrum, BLOCK * 2 * BINS, "a spectrum");
  TRY_NEW(b.power, BLOCK * BINS, "a spectrum");
  TRY_NEW(b.bands, ear->mels * BLOCK, "a spectrum");
  TRY_NEW(made, ear->mels * frames, "a spectrum");
  wave_fill(samples, count, length, b.wave);
  for (size_t f = 0; f < frames; f += BLOCK)
    frames_write(ear, &b, frames, f, frames - f < BLOCK ? frames - f : BLOCK, made);
  range_limit(made, ear->mels * frames);
  *out = made;
  made = NULL;
done:
  mem_free(b.wave);
  mem_free(b.frames);
  mem_free(b.spectrum);
  mem_free(b.power);
  mem_free(b.bands);
  mem_free(made);
  return status;
}
