/* media/sound_features.c: what a spectrogram says: mel bands, cepstrum, pitch classes, onsets, tempo, see
 * media/sound.h.
 *
 * Definitions are librosa's (0.10, center=False), so that golden values can be had from it; where ours differ it is
 * said. Letters: f frame, b frequency bin, m mel band. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "media/sound.h"
#include "media/spectrum.h"

#define WINDOW_DEFAULT 1024
#define HOP_DEFAULT 512
#define MEL_BANDS_DEFAULT 64
#define MEL_BANDS_MAX 1024
#define LOW_HZ_DEFAULT 20.0
#define LOG_FLOOR 1e-6f
#define PITCH_CLASSES 12

/* The spectrogram of one sound, made frame by frame. */
typedef struct frames {
  spectrum transform;
  const float *samples; /* the sound's, or `padded` when it is shorter than one window */
  float *padded;
  float *power; /* [bins] of the frame in hand */
  size_t count, hop;
  double low_hz, high_hz;
  uint32_t mel_bands;
} frames;

static void frames_deinit(frames *f) {
  spectrum_deinit(&f->transform);
  mem_free(f->padded);
  mem_free(f->power);
}

static medley_status frames_init(frames *f, const sound *s, const spectrum_options *o, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const spectrum_options defaults;
  if (o == NULL) o = &defaults;
  uint32_t window = o->window ? o->window : WINDOW_DEFAULT;
  double nyquist = s->rate_hz / 2.0;
  *f = (frames){.hop = o->hop ? o->hop : HOP_DEFAULT,
                .low_hz = o->low_hz > 0 ? o->low_hz : LOW_HZ_DEFAULT,
                .high_hz = o->high_hz > 0 ? o->high_hz : nyquist,
                .mel_bands = o->mel_bands ? o->mel_bands : MEL_BANDS_DEFAULT};
  if (s->rate_hz == 0) FAIL(err, MEDLEY_ERR_USAGE, "a sound without a sample rate has no spectrum");
  if (!(f->low_hz < f->high_hz && f->high_hz <= nyquist))
    FAIL(err, MEDLEY_ERR_USAGE, "a spectrum from %g to %g Hz; choose a range within 0 to %g Hz, half the sample rate",
         f->low_hz, f->high_hz, nyquist);
  if (f->mel_bands > MEL_BANDS_MAX)
    FAIL(err, MEDLEY_ERR_USAGE, "%u mel bands; choose at most %d", f->mel_bands, MEL_BANDS_MAX);
  TRY(spectrum_init(&f->transform, window, err));
  TRY_NEW(f->power, f->transform.bins, "a spectrum");
  f->samples = s->samples;
  f->count = s->count >= window ? 1 + (s->count - window) / f->hop : 1;
  if (s->count < window) {
    TRY_NEW(f->padded, window, "a spectrum");
    if (s->count > 0) memcpy(f->padded, s->samples, s->count * sizeof(float));
    f->samples = f->padded;
  }
done:
  if (status != MEDLEY_OK) frames_deinit(f);
  return status;
}

static const float *frames_power(frames *f, size_t index) {
  spectrum_power(&f->transform, f->samples + index * f->hop, f->power);
  return f->power;
}

/* ---- mel (M. Slaney, Auditory Toolbox, 1998): linear to 1 kHz, then logarithmic; triangles of equal area ---- */

#define MEL_HZ_STEP (200.0 / 3)
#define MEL_LOG_START_HZ 1000.0
#define MEL_LOG_START 15.0
#define MEL_LOG_STEP 0.06875177742094912 /* ln(6.4) / 27 */

static double mel_of_hz(double hz) {
  return hz < MEL_LOG_START_HZ ? hz / MEL_HZ_STEP : MEL_LOG_START + log(hz / MEL_LOG_START_HZ) / MEL_LOG_STEP;
}

static double hz_of_mel(double mel) {
  return mel < MEL_LOG_START ? mel * MEL_HZ_STEP : MEL_LOG_START_HZ * exp(MEL_LOG_STEP * (mel - MEL_LOG_START));
}

/* weights: [mel_bands, bins] */
static void mel_fill_weights(const frames *f, uint32_t rate_hz, float *weights) {
  double low = mel_of_hz(f->low_hz), step = (mel_of_hz(f->high_hz) - low) / (f->mel_bands + 1);
  for (uint32_t m = 0; m < f->mel_bands; m++) {
    double left = hz_of_mel(low + m * step), centre = hz_of_mel(low + (m + 1) * step),
           right = hz_of_mel(low + (m + 2) * step);
    for (uint32_t b = 0; b < f->transform.bins; b++) {
      double hz = (double)b * rate_hz / f->transform.window;
      double height = fmin((hz - left) / (centre - left), (right - hz) / (right - centre));
      weights[(size_t)m * f->transform.bins + b] = height > 0 ? (float)(height * 2 / (right - left)) : 0;
    }
  }
}

/* Where a band's weights are not zero: most of the matrix is. */
static void mel_find_span(const float *weights, uint32_t bins, uint32_t *first, uint32_t *end) {
  *first = 0;
  *end = bins;
  while (*first < bins && weights[*first] == 0) ++*first;
  while (*end > *first && weights[*end - 1] == 0) --*end;
}

medley_status sound_log_mel(const sound *s, const spectrum_options *o, float **out, size_t *frame_count,
                            medley_error *err) {
  medley_status status = MEDLEY_OK;
  frames f;
  float *weights = NULL, *values = NULL;
  uint32_t *spans = NULL; /* [mel_bands, 2] */
  *out = NULL;
  TRY(frames_init(&f, s, o, err));
  uint32_t bins = f.transform.bins, bands = f.mel_bands;
  TRY_NEW(weights, (size_t)bands * bins, "mel bands");
  TRY_NEW(spans, (size_t)bands * 2, "mel bands");
  TRY_NEW(values, f.count * bands, "mel bands");
  mel_fill_weights(&f, s->rate_hz, weights);
  for (uint32_t m = 0; m < bands; m++)
    mel_find_span(weights + (size_t)m * bins, bins, &spans[2 * m], &spans[2 * m + 1]);
  for (size_t i = 0; i < f.count; i++) {
    const float *power = frames_power(&f, i);
    for (uint32_t m = 0; m < bands; m++) {
      float sum = 0;
      for (uint32_t b = spans[2 * m]; b < spans[2 * m + 1]; b++) sum += weights[(size_t)m * bins + b] * power[b];
      values[i * bands + m] = logf(LOG_FLOOR + sum);
    }
  }
  *out = values;
  *frame_count = f.count;
  values = NULL;
done:
  frames_deinit(&f);
  mem_free(weights);
  mem_free(spans);
  mem_free(values);
  return status;
}

/* ---- cepstrum ---- */

medley_status sound_mfcc(const sound *s, const spectrum_options *o, uint32_t coefficients, float **out,
                         size_t *frame_count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t bands = o && o->mel_bands ? o->mel_bands : MEL_BANDS_DEFAULT;
  float *mel = NULL, *values = NULL, *cosines = NULL; /* cosines: [coefficients, bands], the orthonormal DCT-II */
  *out = NULL;
  if (coefficients == 0 || coefficients > bands)
    FAIL(err, MEDLEY_ERR_USAGE, "%u cepstral coefficients of %u mel bands; choose 1 to %u", coefficients, bands, bands);
  TRY(sound_log_mel(s, o, &mel, frame_count, err));
  TRY_NEW(cosines, (size_t)coefficients * bands, "a cosine transform");
  TRY_NEW(values, *frame_count * coefficients, "cepstral coefficients");
  for (uint32_t k = 0; k < coefficients; k++)
    for (uint32_t m = 0; m < bands; m++)
      cosines[k * bands + m] = (float)(sqrt((k ? 2.0 : 1.0) / bands) * cos(M_PI * k * (m + 0.5) / bands));
  for (size_t i = 0; i < *frame_count; i++)
    for (uint32_t k = 0; k < coefficients; k++) {
      float sum = 0;
      for (uint32_t m = 0; m < bands; m++) sum += cosines[k * bands + m] * mel[i * bands + m];
      values[i * coefficients + k] = sum;
    }
  *out = values;
  values = NULL;
done:
  mem_free(mel);
  mem_free(cosines);
  mem_free(values);
  return status;
}

/* ---- chroma (D. Ellis, Chroma feature analysis and synthesis, 2007) ----
 *
 * Each bin falls on the circle of twelve pitch classes by a Gaussian as wide as the bin, weighted towards five octaves
 * above 27.5 Hz. Tuned to A = 440 Hz: librosa estimates the tuning by default, which we leave out for being unstable on
 * short sounds. */

#define CHROMA_CENTRE_OCTAVE 5.0
#define CHROMA_OCTAVE_WIDTH 2.0

/* The pitch of a bin in semitones above 27.5 Hz; the 0 Hz bin lies an octave and a half below the first. */
static double chroma_pitch(uint32_t bin, uint32_t rate_hz, uint32_t window) {
  double semitones = PITCH_CLASSES * log2((double)(bin ? bin : 1) * rate_hz / window / 27.5);
  return bin ? semitones : semitones - 1.5 * PITCH_CLASSES;
}

/* weights: [12, bins], row 0 is C. */
static void chroma_fill_weights(uint32_t bins, uint32_t window, uint32_t rate_hz, float *weights) {
  for (uint32_t b = 0; b < bins; b++) {
    double pitch = chroma_pitch(b, rate_hz, window), width = fmax(chroma_pitch(b + 1, rate_hz, window) - pitch, 1);
    double column[PITCH_CLASSES], norm = 0;
    for (int c = 0; c < PITCH_CLASSES; c++) {
      double distance = fmod(pitch - c + PITCH_CLASSES / 2 + 10 * PITCH_CLASSES, PITCH_CLASSES) - PITCH_CLASSES / 2;
      column[c] = exp(-0.5 * pow(2 * distance / width, 2));
      norm += column[c] * column[c];
    }
    double octave = (pitch / PITCH_CLASSES - CHROMA_CENTRE_OCTAVE) / CHROMA_OCTAVE_WIDTH;
    double scale = exp(-0.5 * octave * octave) / sqrt(norm);
    /* Pitches count from A; the rows from C, three semitones higher. */
    for (int c = 0; c < PITCH_CLASSES; c++)
      weights[(size_t)((c + PITCH_CLASSES - 3) % PITCH_CLASSES) * bins + b] = (float)(column[c] * scale);
  }
}

static void chroma_of_power(const float *weights, const float *power, uint32_t bins, float *chroma) {
  float largest = 0;
  for (int c = 0; c < PITCH_CLASSES; c++) {
    float sum = 0;
    for (uint32_t b = 0; b < bins; b++) sum += weights[(size_t)c * bins + b] * power[b];
    chroma[c] = sum;
    largest = fmaxf(largest, sum);
  }
  for (int c = 0; c < PITCH_CLASSES; c++) chroma[c] = largest > 0 ? chroma[c] / largest : 0;
}

medley_status sound_chroma(const sound *s, const spectrum_options *o, float **out, size_t *frame_count,
                           medley_error *err) {
  medley_status status = MEDLEY_OK;
  frames f;
  float *weights = NULL, *values = NULL;
  *out = NULL;
  TRY(frames_init(&f, s, o, err));
  TRY_NEW(weights, (size_t)PITCH_CLASSES * f.transform.bins, "pitch classes");
  TRY_NEW(values, f.count * PITCH_CLASSES, "pitch classes");
  chroma_fill_weights(f.transform.bins, f.transform.window, s->rate_hz, weights);
  for (size_t i = 0; i < f.count; i++)
    chroma_of_power(weights, frames_power(&f, i), f.transform.bins, values + i * PITCH_CLASSES);
  *out = values;
  *frame_count = f.count;
  values = NULL;
done:
  frames_deinit(&f);
  mem_free(weights);
  mem_free(values);
  return status;
}

/* ---- onsets and tempo ---- */

medley_status sound_onset(const sound *s, const spectrum_options *o, float **out, size_t *frame_count,
                          medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t bands = o && o->mel_bands ? o->mel_bands : MEL_BANDS_DEFAULT;
  float *mel = NULL, *values = NULL;
  *out = NULL;
  TRY(sound_log_mel(s, o, &mel, frame_count, err));
  TRY_NEW(values, *frame_count, "onsets");
  for (size_t i = 1; i < *frame_count; i++) {
    float sum = 0;
    for (uint32_t m = 0; m < bands; m++) sum += fmaxf(0, mel[i * bands + m] - mel[(i - 1) * bands + m]);
    values[i] = sum / (float)bands;
  }
  *out = values;
  values = NULL;
done:
  mem_free(mel);
  mem_free(values);
  return status;
}

#define TEMPO_FRAMES_PER_S 100
#define TEMPO_MIN_BPM 40.0
#define TEMPO_MAX_BPM 240.0
#define TEMPO_USUAL_BPM 120.0
#define TEMPO_CORRELATION_MIN 0.2 /* a weaker beat is none; white noise of 10 s stays below */
#define TEMPO_DOUBLE_SHARE 0.9    /* the double tempo is taken when its peak is almost as high */

/* Autocorrelation of x [count] at one lag, per overlapping sample, relative to lag 0. */
static double correlation(const float *x, size_t count, size_t lag, double energy) {
  double sum = 0;
  for (size_t i = lag; i < count; i++) sum += (double)x[i] * x[i - lag];
  return sum / energy * ((double)count / (double)(count - lag));
}

/* A local maximum at lag moved to the top of the parabola through its neighbours. */
static double peak_refine(const double *r, size_t lag) {
  double left = r[lag - 1], right = r[lag + 1], curve = left - 2 * r[lag] + right;
  return (double)lag + (curve < 0 ? 0.5 * (left - right) / curve : 0);
}

/* The lag of the best beat in r [last + 2], or 0. Tempi are preferred by a bell of one octave around 120 (Ellis 2007).
 */
static size_t tempo_find_lag(const double *r, size_t first, size_t last) {
  size_t best = 0;
  double best_score = 0;
  for (size_t lag = first; lag <= last; lag++) {
    if (r[lag] < TEMPO_CORRELATION_MIN || r[lag] < r[lag - 1] || r[lag] < r[lag + 1]) continue;
    double octaves = log2(60.0 * TEMPO_FRAMES_PER_S / (double)lag / TEMPO_USUAL_BPM);
    double score = r[lag] * exp(-0.5 * octaves * octaves);
    if (score <= best_score) continue;
    best = lag;
    best_score = score;
  }
  /* Every beat also repeats at twice its lag: if the half lag is as good, it is the beat. */
  for (size_t half = best / 2 - (best > 2); best > 0 && half <= best / 2 + 1; half++)
    if (half >= first && r[half] >= TEMPO_DOUBLE_SHARE * r[best] && r[half] >= r[half - 1] && r[half] >= r[half + 1])
      return half;
  return best;
}

/* x minus its mean, smoothed by 1 2 3 2 1: a beat period is no whole number of frames, and a one-frame onset would miss
 * itself at the next beat. */
static void onset_smooth(const float *x, size_t count, float *out) {
  double mean = 0;
  for (size_t i = 0; i < count; i++) mean += x[i] / (double)count;
  for (size_t i = 0; i < count; i++) {
    double sum = 0;
    for (int k = -2; k <= 2; k++) {
      size_t at = i + (size_t)(k + 2);
      if (at >= 2 && at - 2 < count) sum += (3 - abs(k)) * (x[at - 2] - mean);
    }
    out[i] = (float)(sum / 9);
  }
}

medley_status sound_tempo(const sound *s, double *beats_per_minute, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *onset = NULL, *smooth = NULL;
  double *r = NULL, energy = 0;
  size_t count = 0, first = (size_t)(60 * TEMPO_FRAMES_PER_S / TEMPO_MAX_BPM),
         last = (size_t)(60 * TEMPO_FRAMES_PER_S / TEMPO_MIN_BPM);
  spectrum_options o = {.window = 64, .hop = s->rate_hz / TEMPO_FRAMES_PER_S, .mel_bands = 40};
  *beats_per_minute = 0;
  while (o.window < 8192 && o.window < s->rate_hz / 32) o.window *= 2; /* about 46 ms */
  if (o.hop == 0 || s->count < 2 * o.window) goto done;
  TRY(sound_onset(s, &o, &onset, &count, err));
  /* Two periods must fit, or the correlation is of one beat with itself. */
  if (last > count / 2) last = count / 2;
  if (last <= first) goto done;
  TRY_NEW(smooth, count, "a tempo");
  onset_smooth(onset, count, smooth);
  for (size_t i = 0; i < count; i++) energy += (double)smooth[i] * smooth[i];
  if (energy <= 0) goto done;
  TRY_NEW(r, last + 2, "a tempo");
  for (size_t lag = first - 1; lag <= last + 1; lag++) r[lag] = correlation(smooth, count, lag, energy);
  size_t lag = tempo_find_lag(r, first, last);
  /* Hops are whole samples, so that frames per second are not quite 100. */
  if (lag > 0) *beats_per_minute = 60.0 * s->rate_hz / o.hop / peak_refine(r, lag);
done:
  mem_free(onset);
  mem_free(smooth);
  mem_free(r);
  return status;
}
