/* encode/audio_mfcc.c: a sound → how it is coloured, how that moves, its pitches and its rhythm.
 *
 * Timbre is 20 mel-cepstral coefficients and five shapes of the spectrum per frame; a sound of any length becomes their
 * mean, deviation and mean movement from frame to frame, and their means over the first, middle and last third, which
 * tell a bark that falls from one that rises. Pitch is the mean and deviation of twelve classes. Values have the units
 * they come in: bring them to one scale per column (zscore) before comparing.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "encode/audio_mfcc.h"
#include "encode/encoder.h"
#include "encode/rows.h"
#include "math/vector.h"
#include "media/sound.h"

#define COEFFICIENTS AUDIO_MFCC_COEFFICIENTS
#define SHAPES AUDIO_MFCC_SHAPES
#define TRACKS (COEFFICIENTS + SHAPES)
#define BANDS 64
#define HOP 512
#define ONSET_PEAK 1.5 /* deviations above the mean that make an onset */

/* ---- shapes of one frame's spectrum ---- */

/* mel [BANDS] log power → energy, centroid, spread and roll-off along the mel axis (0 … 1), and flatness. */
static void spectrum_shapes(const float *mel, float out[SHAPES]) {
  double sum = 0, first = 0, second = 0, logs = 0, below = 0;
  double power[BANDS];
  for (int b = 0; b < BANDS; b++) {
    power[b] = exp(mel[b]);
    double at = (b + 0.5) / BANDS;
    sum += power[b];
    first += power[b] * at;
    second += power[b] * at * at;
    logs += mel[b];
  }
  double centroid = first / sum;
  int rolloff = 0;
  while (rolloff < BANDS - 1 && (below += power[rolloff]) < 0.85 * sum) rolloff++;
  out[0] = (float)log(sum);
  out[1] = (float)centroid;
  out[2] = (float)sqrt(fmax(0, second / sum - centroid * centroid));
  out[3] = (float)(rolloff + 0.5) / BANDS;
  out[4] = (float)(logs / BANDS - log(sum / BANDS)); /* log of geometric over arithmetic mean: 0 when flat */
}

/* ---- statistics over time ---- */

static void mean_between(const float *tracks, size_t dim, size_t first, size_t end, float *out) {
  for (size_t d = 0; d < dim; d++) {
    double sum = 0;
    for (size_t f = first; f < end; f++) sum += tracks[f * dim + d];
    out[d] = end > first ? (float)(sum / (double)(end - first)) : 0;
  }
}

static void deviation_of(const float *tracks, size_t dim, size_t frames, const float *mean, float *out) {
  for (size_t d = 0; d < dim; d++) {
    double sum = 0;
    for (size_t f = 0; f < frames; f++) sum += pow((double)tracks[f * dim + d] - mean[d], 2);
    out[d] = frames > 0 ? (float)sqrt(sum / (double)frames) : 0;
  }
}

static void movement_of(const float *tracks, size_t dim, size_t frames, float *out) {
  for (size_t d = 0; d < dim; d++) {
    double sum = 0;
    for (size_t f = 1; f < frames; f++) sum += fabs((double)tracks[f * dim + d] - tracks[(f - 1) * dim + d]);
    out[d] = frames > 1 ? (float)(sum / (double)(frames - 1)) : 0;
  }
}

/* ---- the blocks ---- */

static medley_status describe_timbre(const sound *s, const spectrum_options *o, float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *mfcc = NULL, *mel = NULL, *tracks = NULL;
  size_t frames, mel_frames;
  TRY(sound_mfcc(s, o, COEFFICIENTS, &mfcc, &frames, err));
  TRY(sound_log_mel(s, o, &mel, &mel_frames, err));
  if (mel_frames < frames) frames = mel_frames;
  TRY_NEW(tracks, frames * TRACKS, "a sound's spectra");
  for (size_t f = 0; f < frames; f++) {
    memcpy(tracks + f * TRACKS, mfcc + f * COEFFICIENTS, COEFFICIENTS * sizeof *tracks);
    spectrum_shapes(mel + f * BANDS, tracks + f * TRACKS + COEFFICIENTS);
  }
  mean_between(tracks, TRACKS, 0, frames, out);
  deviation_of(tracks, TRACKS, frames, out, out + TRACKS);
  movement_of(tracks, TRACKS, frames, out + 2 * TRACKS);
  for (size_t t = 0; t < AUDIO_MFCC_THIRDS; t++) {
    size_t first = frames * t / AUDIO_MFCC_THIRDS, end = frames * (t + 1) / AUDIO_MFCC_THIRDS;
    if (end == first) end = first + (first < frames); /* fewer frames than thirds: one frame serves twice */
    mean_between(tracks, TRACKS, first, end, out + (3 + t) * TRACKS);
  }
done:
  mem_free(mfcc);
  mem_free(mel);
  mem_free(tracks);
  return status;
}

static medley_status describe_pitch(const sound *s, const spectrum_options *o, float *out, medley_error *err) {
  float *chroma = NULL;
  size_t frames;
  medley_status status = sound_chroma(s, o, &chroma, &frames, err);
  if (status != MEDLEY_OK) return status;
  mean_between(chroma, 12, 0, frames, out);
  deviation_of(chroma, 12, frames, out, out + 12);
  mem_free(chroma);
  return MEDLEY_OK;
}

static size_t count_peaks(const float *onset, size_t frames, double threshold) {
  size_t peaks = 0;
  for (size_t f = 1; f + 1 < frames; f++)
    peaks += onset[f] > threshold && onset[f] >= onset[f - 1] && onset[f] > onset[f + 1];
  return peaks;
}

/* Strength of onsets (mean, deviation, greatest), onsets per second, tempo, length; the wide ones as logarithms. */
static medley_status describe_rhythm(const sound *s, const spectrum_options *o, float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *onset = NULL;
  size_t frames;
  double tempo, mean = 0, deviation = 0, greatest = 0, seconds = (double)s->count / s->rate_hz;
  TRY(sound_onset(s, o, &onset, &frames, err));
  TRY(sound_tempo(s, &tempo, err));
  if (frames > 0) vector_moments(onset, frames, &mean, &deviation);
  for (size_t f = 0; f < frames; f++) greatest = fmax(greatest, onset[f]);
  double peaks = (double)count_peaks(onset, frames, mean + ONSET_PEAK * deviation);
  out[0] = (float)mean;
  out[1] = (float)deviation;
  out[2] = (float)greatest;
  out[3] = (float)log1p(seconds > 0 ? peaks / fmax(seconds, 0.1) : 0);
  out[4] = (float)log1p(tempo);
  out[5] = (float)log(seconds + 0.1);
done:
  mem_free(onset);
  return status;
}

medley_status audio_mfcc_describe(const sound *s, float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const spectrum_options options = {.hop = HOP, .mel_bands = BANDS};
  float nothing = 0;
  sound silence = {.rate_hz = 22050, .count = 1, .samples = &nothing};
  if (s->count == 0 || s->rate_hz == 0) s = &silence;
  TRY(describe_timbre(s, &options, out, err));
  TRY(describe_pitch(s, &options, out + (3 + AUDIO_MFCC_THIRDS) * TRACKS, err));
  TRY(describe_rhythm(s, &options, out + (3 + AUDIO_MFCC_THIRDS) * TRACKS + 24, err));
done:
  return status;
}

/* ---- the encoder ---- */

typedef struct audio_job {
  const encoder_input *inputs;
  float *out;
} audio_job;

static medley_status audio_row(void *context, void *scratch, size_t row, medley_error *err) {
  (void)scratch;
  const audio_job *job = context;
  return audio_mfcc_describe(job->inputs[row].sound, job->out + row * AUDIO_MFCC_DIM, err);
}

static medley_status audio_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                  medley_error *err) {
  (void)e;
  return rows_run(&(row_work){&(audio_job){inputs, out}, NULL, NULL, audio_row}, count, err);
}

static size_t audio_dim(const encoder *e) {
  (void)e;
  return AUDIO_MFCC_DIM;
}

static medley_status audio_create(uint64_t seed, size_t dim, encoder **out, medley_error *err) {
  (void)seed;
  return encoder_create_fixed(&encoder_audio_mfcc, dim, out, err);
}

static medley_status audio_load(const safetensors *s, const char *prefix, encoder **out, medley_error *err) {
  (void)s, (void)prefix;
  return encoder_create_fixed(&encoder_audio_mfcc, 0, out, err);
}

const encoder_kind encoder_audio_mfcc = {
    .name = "audio.mfcc",
    .summary = "statistics of mel cepstra, spectral shape, pitch classes and onsets; needs no fitting",
    .modality = MODALITY_AUDIO,
    .version = 1,
    .create = audio_create,
    .dim = audio_dim,
    .encode = audio_encode,
    .save = encoder_save_nothing,
    .load = audio_load,
    .free = encoder_free_fixed,
};
