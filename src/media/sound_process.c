/* media/sound_process.c: plain arithmetic on samples: loudness, noise, silence, see media/sound.h. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "media/sound.h"
#include "media/spectrum.h"

/* ---- loudness: ITU-R BS.1770-4 weighting, EBU R 128 gating ---- */

#define LOUDNESS_TARGET_LUFS (-23.0)
#define LOUDNESS_ABSOLUTE_GATE_LUFS (-70.0)
#define LOUDNESS_RELATIVE_GATE_LU 10.0
#define PEAK_AFTER_GAIN_MAX 0.891f /* -1 dBFS, the recommendation's ceiling */

typedef struct biquad {
  double b0, b1, b2, a1, a2, z1, z2;
} biquad;

static double biquad_run(biquad *f, double x) { /* transposed direct form II */
  double y = f->b0 * x + f->z1;
  f->z1 = f->b1 * x - f->a1 * y + f->z2;
  f->z2 = f->b2 * x - f->a2 * y;
  return y;
}

/* The standard tabulates both filters for 48 kHz only. These are their analogue prototypes, warped to any rate; the
 * constants are those of libebur128, which reproduce the table. */
static biquad shelf_filter(double rate) {
  double frequency = fmin(1681.974450955533, 0.45 * rate), gain_db = 3.999843853973347, q = 0.7071752369554196;
  double k = tan(M_PI * frequency / rate), high = pow(10, gain_db / 20), band = pow(high, 0.4996667741545416);
  double a0 = 1 + k / q + k * k;
  return (biquad){.b0 = (high + band * k / q + k * k) / a0,
                  .b1 = 2 * (k * k - high) / a0,
                  .b2 = (high - band * k / q + k * k) / a0,
                  .a1 = 2 * (k * k - 1) / a0,
                  .a2 = (1 - k / q + k * k) / a0};
}

/* a0, by which the table leaves the numerator undivided: the gain so left in, 0.04 dB at 48 kHz, is kept at every rate.
 */
static double highpass_a0(double rate) {
  double k = tan(M_PI * 38.13547087602444 / rate), q = 0.5003270373238773;
  return 1 + k / q + k * k;
}

static biquad highpass_filter(double rate) {
  double k = tan(M_PI * 38.13547087602444 / rate), q = 0.5003270373238773, a0 = highpass_a0(rate);
  double gain = highpass_a0(48000) / a0;
  return (biquad){.b0 = gain, .b1 = -2 * gain, .b2 = gain, .a1 = 2 * (k * k - 1) / a0, .a2 = (1 - k / q + k * k) / a0};
}

static double lufs_of_power(double power) { return power > 0 ? -0.691 + 10 * log10(power) : -INFINITY; }

/* The mean power of the blocks louder than the gate. */
static double gated_power(const double *hops, size_t hop_count, double gate_lufs) {
  double sum = 0;
  size_t count = 0;
  for (size_t i = 0; i + 4 <= hop_count; i++) {
    double power = (hops[i] + hops[i + 1] + hops[i + 2] + hops[i + 3]) / 4;
    if (lufs_of_power(power) <= gate_lufs) continue;
    sum += power;
    count++;
  }
  return count ? sum / (double)count : 0;
}

/* Mean K-weighted power of each 100 ms; hops: [count / hop]. Returns the mean over everything. */
static double weighted_hops(const sound *s, size_t hop, double *hops) {
  biquad shelf = shelf_filter(s->rate_hz), highpass = highpass_filter(s->rate_hz);
  double sum = 0, total = 0;
  for (size_t i = 0; i < s->count; i++) {
    double y = biquad_run(&highpass, biquad_run(&shelf, s->samples[i]));
    sum += y * y;
    total += y * y;
    if ((i + 1) % hop != 0) continue;
    if (hops != NULL) hops[i / hop] = sum / (double)hop;
    sum = 0;
  }
  return s->count ? total / (double)s->count : 0;
}

double sound_loudness_lufs(const sound *s) {
  size_t hop = s->rate_hz / 10 ? s->rate_hz / 10 : 1, hop_count = s->count / hop;
  /* Shorter than one block of 400 ms (many sound effects are), or no memory for gating: ungated, over the whole. */
  double *hops = hop_count >= 4 ? mem_alloc(hop_count, sizeof *hops) : NULL;
  double whole = weighted_hops(s, hop, hops);
  if (hops == NULL) return lufs_of_power(whole);
  double power = gated_power(hops, hop_count, LOUDNESS_ABSOLUTE_GATE_LUFS);
  if (power > 0) power = gated_power(hops, hop_count, lufs_of_power(power) - LOUDNESS_RELATIVE_GATE_LU);
  mem_free(hops);
  return lufs_of_power(power);
}

static void loudness_normalise(sound *s) {
  double lufs = sound_loudness_lufs(s);
  if (!isfinite(lufs)) return; /* silence stays silence */
  float peak = 0, gain = (float)pow(10, (LOUDNESS_TARGET_LUFS - lufs) / 20);
  for (size_t i = 0; i < s->count; i++) peak = fmaxf(peak, fabsf(s->samples[i]));
  if (peak * gain > PEAK_AFTER_GAIN_MAX) gain = PEAK_AFTER_GAIN_MAX / peak;
  for (size_t i = 0; i < s->count; i++) s->samples[i] *= gain;
}

/* ---- silence ---- */

#define LEVEL_WINDOW_S 0.020
#define LEVEL_HOP_S 0.010
#define TRIM_THRESHOLD_DB 50.0
#define PAUSE_THRESHOLD_DB 40.0
#define PAUSE_LEAST_S 0.5 /* shorter ones are rhythm, not pauses */

typedef struct levels {
  size_t hop, window, count;
  float *power; /* [count] mean square of each window */
  float loudest;
} levels;

static medley_status levels_measure(const sound *s, levels *l, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *l = (levels){.hop = (size_t)fmax(1, s->rate_hz * LEVEL_HOP_S),
                .window = (size_t)fmax(1, s->rate_hz * LEVEL_WINDOW_S)};
  l->count = (s->count + l->hop - 1) / l->hop;
  TRY_NEW(l->power, l->count, "the levels of a sound");
  for (size_t f = 0; f < l->count; f++) {
    size_t start = f * l->hop, end = start + l->window < s->count ? start + l->window : s->count;
    double sum = 0;
    for (size_t i = start; i < end; i++) sum += (double)s->samples[i] * s->samples[i];
    l->power[f] = (float)(sum / (double)l->window);
    l->loudest = fmaxf(l->loudest, l->power[f]);
  }
done:
  return status;
}

medley_status sound_segments(const sound *s, double threshold_db, double minimum_s, double gap_s, sound_segment **out,
                             size_t *count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  levels l = {0};
  sound_segment *found = NULL;
  size_t used = 0, capacity = 0, kept = 0;
  *out = NULL;
  *count = 0;
  if (!(threshold_db > 0) || !(minimum_s >= 0) || !(gap_s >= 0))
    FAIL(err, MEDLEY_ERR_USAGE,
         "segments want a threshold above 0 dB and lengths of at least 0 s; got %g dB, %g s, %g s", threshold_db,
         minimum_s, gap_s);
  TRY(levels_measure(s, &l, err));
  float threshold = (float)(l.loudest * pow(10, -threshold_db / 10));
  for (size_t f = 0; f < l.count; f++) {
    if (l.power[f] <= 0 || l.power[f] < threshold) continue;
    size_t start = f * l.hop, end = start + l.window < s->count ? start + l.window : s->count;
    if (used > 0 && (double)start <= (double)found[used - 1].end + gap_s * s->rate_hz) {
      found[used - 1].end = end;
      continue;
    }
    TRY_GROW(found, capacity, used + 1, "segments");
    found[used++] = (sound_segment){start, end};
  }
  for (size_t i = 0; i < used; i++)
    if ((double)(found[i].end - found[i].start) >= minimum_s * s->rate_hz) found[kept++] = found[i];
  *out = found;
  *count = kept;
  found = NULL;
done:
  mem_free(found);
  mem_free(l.power);
  return status;
}

static medley_status silence_trim(sound *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sound_segment *whole = NULL;
  size_t count = 0;
  /* Every gap is bridged, so that one segment from the first to the last sound is left, or none in silence. */
  TRY(sound_segments(s, TRIM_THRESHOLD_DB, 0, INFINITY, &whole, &count, err));
  if (count == 0) goto done;
  s->count = whole[0].end - whole[0].start;
  memmove(s->samples, s->samples + whole[0].start, s->count * sizeof *s->samples);
done:
  mem_free(whole);
  return status;
}

/* Leaves a silent sound as it is. */
static medley_status pauses_cut(sound *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sound_segment *parts = NULL;
  size_t count = 0, kept = 0;
  TRY(sound_segments(s, PAUSE_THRESHOLD_DB, 0, PAUSE_LEAST_S, &parts, &count, err));
  for (size_t i = 0; i < count; i++) {
    size_t length = parts[i].end - parts[i].start;
    memmove(s->samples + kept, s->samples + parts[i].start, length * sizeof *s->samples);
    kept += length;
  }
  if (count > 0) s->count = kept;
done:
  mem_free(parts);
  return status;
}

/* ---- spectral gate ----
 *
 * The noise is what the quietest tenth of the frames holds, per frequency. A point of the spectrogram whose power,
 * averaged over its 3 × 3 neighbours, is not well above the noise is turned down by 20 dB; between the two thresholds
 * the gain rises smoothly, which leaves less "musical noise" than a hard gate (Boll 1979 names the problem). */

#define GATE_WINDOW_S 0.046
#define GATE_FLOOR 0.1f
#define GATE_CLOSED 1.5f /* times the noise: below, closed */
#define GATE_OPEN 4.0f   /* above, open */
#define GATE_QUIET_SHARE 0.1
#define GATE_CONTRAST \
  4.0 /* the loud tenth must have so many times the power of the quiet tenth, else nothing is known to be noise */

typedef struct gate {
  spectrum transform;
  size_t hop, frames, padded_count;
  float *padded;  /* [padded_count] a window of zeros before and after the samples */
  float *power;   /* [frames, bins] */
  float *noise;   /* [bins] */
  double *energy; /* [frames] */
} gate;

static uint32_t gate_window(uint32_t rate_hz) {
  uint32_t window = 64;
  while (window < 16384 && window * 1.5 < rate_hz * GATE_WINDOW_S) window *= 2;
  return window;
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static medley_status gate_init(gate *g, const sound *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *g = (gate){0};
  TRY(spectrum_init(&g->transform, gate_window(s->rate_hz), err));
  size_t window = g->transform.window;
  g->hop = window / 4;
  g->frames = (s->count + window) / g->hop + 1;
  g->padded_count = (g->frames - 1) * g->hop + window;
  TRY_NEW(g->padded, g->padded_count, "a sound");
  memcpy(g->padded + window - g->hop, s->samples, s->count * sizeof(float));
  if (g->frames > SIZE_MAX / g->transform.bins)
    FAIL(err, MEDLEY_ERR_LIMIT, "%zu samples are too many to denoise", s->count);
  TRY_NEW(g->power, g->frames * g->transform.bins, "a spectrogram");
  TRY_NEW(g->noise, g->transform.bins, "a spectrogram");
  TRY_NEW(g->energy, g->frames, "a spectrogram");
done:
  return status;
}

static void gate_deinit(gate *g) {
  spectrum_deinit(&g->transform);
  mem_free(g->padded);
  mem_free(g->power);
  mem_free(g->noise);
  mem_free(g->energy);
}

/* False when no frames stand out as quiet (an even hum or a very short sound): then nothing is known to be noise. */
static bool gate_learn_noise(gate *g, double *sorted) {
  uint32_t bins = g->transform.bins;
  size_t inner = 0, used = 0;
  for (size_t f = 0; f < g->frames; f++) {
    float *power = g->power + f * bins;
    spectrum_power(&g->transform, g->padded + f * g->hop, power);
    for (uint32_t b = 0; b < bins; b++) g->energy[f] += power[b];
    /* Frames that reach into the padding, and digital silence, say nothing about the noise. */
    if (f >= 3 && f + 4 < g->frames && g->energy[f] > 0) sorted[inner++] = g->energy[f];
  }
  if (inner < 20) return false;
  qsort(sorted, inner, sizeof *sorted, compare_doubles);
  double quiet = sorted[(size_t)((double)inner * GATE_QUIET_SHARE)],
         loud = sorted[inner - 1 - (size_t)((double)inner * GATE_QUIET_SHARE)];
  if (loud < GATE_CONTRAST * quiet) return false;
  for (size_t f = 3; f + 4 < g->frames; f++) {
    if (g->energy[f] <= 0 || g->energy[f] > quiet) continue;
    for (uint32_t b = 0; b < bins; b++) g->noise[b] += g->power[f * bins + b];
    used++;
  }
  for (uint32_t b = 0; b < bins; b++) g->noise[b] /= (float)used;
  return true;
}

static float gate_gain(const gate *g, size_t f, uint32_t b) {
  uint32_t bins = g->transform.bins, low = b > 0 ? b - 1 : 0, high = b + 1 < bins ? b + 1 : b;
  size_t first = f > 0 ? f - 1 : 0, last = f + 1 < g->frames ? f + 1 : f;
  float sum = 0;
  for (size_t t = first; t <= last; t++)
    for (uint32_t k = low; k <= high; k++) sum += g->power[t * bins + k];
  float mean = sum / (float)((last - first + 1) * (high - low + 1));
  if (mean >= GATE_OPEN * g->noise[b]) return 1;
  float open = (mean / g->noise[b] - GATE_CLOSED) / (GATE_OPEN - GATE_CLOSED);
  return open > 0 ? GATE_FLOOR + (1 - GATE_FLOOR) * open : GATE_FLOOR;
}

/* Overlap-add of the gated frames into `sum` [padded_count]. Hann twice at a quarter's hop adds up to 1.5. */
static void gate_apply(gate *g, float *sum) {
  spectrum *t = &g->transform;
  for (size_t f = 0; f < g->frames; f++) {
    spectrum_forward(t, g->padded + f * g->hop);
    for (uint32_t b = 0; b < t->bins; b++) {
      float gain = gate_gain(g, f, b);
      t->frequency[b][0] *= gain;
      t->frequency[b][1] *= gain;
    }
    spectrum_inverse(t);
    for (uint32_t i = 0; i < t->window; i++) sum[f * g->hop + i] += t->time[i] * t->weights[i] / 1.5f;
  }
}

static medley_status noise_gate(sound *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  gate g;
  double *sorted = NULL;
  float *sum = NULL;
  TRY(gate_init(&g, s, err));
  TRY_NEW(sorted, g.frames, "a spectrogram");
  if (!gate_learn_noise(&g, sorted)) goto done;
  TRY_NEW(sum, g.padded_count, "a sound");
  gate_apply(&g, sum);
  memcpy(s->samples, sum + g.transform.window - g.hop, s->count * sizeof(float));
done:
  gate_deinit(&g);
  mem_free(sorted);
  mem_free(sum);
  return status;
}

medley_status sound_process(const sound *in, const sound_options *options, sound *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sound work = {.rate_hz = in->rate_hz, .count = in->count};
  *out = (sound){0};
  if (options->rate_hz != 0 && options->rate_hz != in->rate_hz) {
    TRY(sound_resample(in, options->rate_hz, &work, err));
  } else {
    TRY_NEW(work.samples, in->count, "a sound");
    memcpy(work.samples, in->samples, in->count * sizeof(float));
  }
  if (options->seconds > 0 && options->seconds * work.rate_hz < (double)work.count)
    work.count = (size_t)(options->seconds * work.rate_hz);
  if (options->denoise) TRY(noise_gate(&work, err));
  if (options->trim) TRY(silence_trim(&work, err));
  if (options->segments) TRY(pauses_cut(&work, err));
  if (options->normalise) loudness_normalise(&work);
  *out = work;
  work = (sound){0};
done:
  sound_deinit(&work);
  return status;
}
