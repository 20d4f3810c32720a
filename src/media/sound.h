/* media/sound.h: sound → samples and spectra (F05): FFmpeg decodes and resamples, FFTW transforms.
 * sound_load runs in a worker process when the bytes are not ours; the rest is plain arithmetic on samples,
 * thread-safe. */
#ifndef MEDIA_SOUND_H
#define MEDIA_SOUND_H

#include "base/error.h"
#include "media/sample.h"

typedef struct sound_options { /* zero means: decode, mix to mono, resample */
  uint32_t rate_hz;            /* 1000 to 192000; 0: 22050 (sound_process: as it is) */
  double seconds;              /* at most so many; 0: 60 (sound_process: all) */
  int normalise; /* 1: to -23 LUFS (EBU R 128 integrated loudness), or as near as a peak of -1 dBFS allows */
  int denoise;   /* 1: spectral gate against the quietest frames; a sound without quieter parts stays as it is */
  int trim;      /* 1: silence cut at both ends (50 dB below the loudest) */
  int segments;  /* 1: only the parts that sound are kept, pauses between them cut out (40 dB below the loudest, for at
                  * least half a second) */
} sound_options;

/* Encoder delay and padding are left out where the file states them. INPUT: not a sound file, or nothing in it decodes.
 */
medley_status sound_load(const char *path, const sound_options *options, sound *out, medley_error *err) MEDLEY_CHECK;
/* seconds, denoise, trim, segments, normalise, in this order. */
medley_status sound_process(const sound *in, const sound_options *options, sound *out, medley_error *err) MEDLEY_CHECK;
/* Band-limited (FFmpeg's windowed sinc), without delay. */
medley_status sound_resample(const sound *in, uint32_t rate_hz, sound *out, medley_error *err) MEDLEY_CHECK;
/* 16-bit PCM RIFF/WAVE. Written beside and renamed. */
medley_status sound_save_wav(const sound *in, const char *path, medley_error *err) MEDLEY_CHECK;

/* Integrated loudness in LUFS (EBU R 128 gating); -INFINITY for silence. */
double sound_loudness_lufs(const sound *s);

typedef struct sound_segment {
  size_t start, end;
} sound_segment; /* samples, end exclusive */
/* Parts louder than threshold_db below the loudest, at least minimum_s long, gaps shorter than gap_s bridged. mem_free.
 */
medley_status sound_segments(const sound *s, double threshold_db, double minimum_s, double gap_s, sound_segment **out,
                             size_t *count, medley_error *err) MEDLEY_CHECK;

typedef struct spectrum_options {
  uint32_t window;        /* samples, Hann; 0: 1024 */
  uint32_t hop;           /* samples; 0: 512 */
  uint32_t mel_bands;     /* 0: 64 */
  double low_hz, high_hz; /* 0: 20 Hz, half the rate */
} spectrum_options;

/* |spectrum| of one short window after the other, for networks that bring mel bands of their own: [frames, transform /
 * 2
 * + 1], *out (mem_free). Hann, periodic, over `window` samples, zeros behind them up to `transform` (even). Whole
 * windows only: 1 + (count - window) / hop frames; none when the sound is shorter than that. */
medley_status sound_magnitudes(const sound *s, uint32_t window, uint32_t transform, uint32_t hop, float **out,
                               size_t *frames, medley_error *err) MEDLEY_CHECK;

/* All return [frames, columns] row-major in *out (mem_free); short sounds are padded with zeros to one window. */
/* log(1e-6 + mel power), mel after Slaney. */
medley_status sound_log_mel(const sound *s, const spectrum_options *o, float **out, size_t *frames,
                            medley_error *err) MEDLEY_CHECK;
/* DCT-II (orthonormal) of log-mel; columns = coefficients. */
medley_status sound_mfcc(const sound *s, const spectrum_options *o, uint32_t coefficients, float **out, size_t *frames,
                         medley_error *err) MEDLEY_CHECK;
/* 12 pitch classes, each frame scaled to a maximum of 1 (zero in silence). */
medley_status sound_chroma(const sound *s, const spectrum_options *o, float **out, size_t *frames,
                           medley_error *err) MEDLEY_CHECK;
/* Onset strength (positive spectral flux), [frames]. */
medley_status sound_onset(const sound *s, const spectrum_options *o, float **out, size_t *frames,
                          medley_error *err) MEDLEY_CHECK;
/* Beats per minute by autocorrelation of the onset strength, between 40 and 240; 0 when there is no beat. */
medley_status sound_tempo(const sound *s, double *beats_per_minute, medley_error *err) MEDLEY_CHECK;

#endif
