/* engine/sample_sound.c: a jingle for each thing, by additive synthesis: a short tune on a pentatonic scale, whose
 * timbre, tempo, register and rhythm are the item's.
 *
 * Each partial is a rotating, decaying complex number: one multiplication a sample instead of a sine and an
 * exponential.
 */
#include <math.h>

#include "base/memory.h"
#include "engine/sample_world.h"

#define PARTIAL_MAX 7
#define PI 3.14159265358979

typedef struct timbre {
  float ratio[PARTIAL_MAX], level[PARTIAL_MAX]; /* of the partials, ended by level 0 */
  float decay_s;                                /* time constant of the first partial */
  float damping;                                /* how much faster high partials die: 0 none, 1 in proportion */
  float attack_s;
  float breath;   /* noise beside the tone */
  bool sustained; /* held until the note ends instead of dying away */
  float glide;    /* how far above its pitch it starts, as a factor minus 1 (drums) */
} timbre;

/* In the order of the timbres in sample_world.c. Bell partials after Rossing, marimba bars 1 : 3.93 : 9.2. */
static const timbre timbres[] = {
    {{0.5f, 1, 1.19f, 1.5f, 2, 2.74f, 4.07f},
     {0.3f, 0.6f, 0.35f, 0.25f, 0.5f, 0.25f, 0.12f},
     0.8f,
     0.5f,
     0.002f,
     0,
     false,
     0},
    {{1, 2, 3, 4}, {0.8f, 0.22f, 0.1f, 0.03f}, 1, 0, 0.05f, 0.05f, true, 0},
    {{1, 2, 3, 4, 5, 6, 7}, {0.7f, 0.4f, 0.25f, 0.18f, 0.12f, 0.08f, 0.05f}, 0.55f, 0.8f, 0.002f, 0, false, 0},
    {{0.5f, 1, 2, 3, 4, 6, 8}, {0.35f, 0.5f, 0.4f, 0.25f, 0.25f, 0.12f, 0.1f}, 1, 0, 0.02f, 0, true, 0},
    {{1, 3.93f, 9.2f}, {0.9f, 0.25f, 0.08f}, 0.18f, 0.7f, 0.002f, 0, false, 0},
    {{0.5f, 0.8f, 1.15f}, {1, 0.45f, 0.25f}, 0.13f, 0.5f, 0.001f, 0.5f, false, 0.7f},
};

typedef struct note {
  double start_s, length_s, pitch_hz;
  float level;
} note;

static void note_play_partial(const timbre *t, unsigned k, const note *n, sound *out) {
  double rate = out->rate_hz, hz = n->pitch_hz * t->ratio[k];
  if (hz > 0.45 * rate) return;
  size_t start = (size_t)(n->start_s * rate), held = (size_t)(n->length_s * rate);
  double decay_s = t->decay_s / (1 + t->damping * (t->ratio[k] - 1));
  double shrink = t->sustained ? 1 : exp(-1 / (decay_s * rate)), release = exp(-1 / (0.03 * rate));
  double co = cos(2 * PI * hz / rate), si = sin(2 * PI * hz / rate), re = n->level * t->level[k], im = 0;
  double attack = fmax(1, t->attack_s * rate);
  for (size_t i = 0; start + i < out->count; i++) {
    double fade = (double)i < attack ? (double)i / attack : 1;
    out->samples[start + i] += (float)(im * fade);
    double fall = i < held ? shrink : release, next = (re * co - im * si) * fall;
    im = (re * si + im * co) * fall;
    re = next;
    if (re * re + im * im < 1e-9) break;
    /* A drum's skin loosens: every few samples the step gets a little nearer to the true pitch. */
    if (t->glide > 0 && i % 64 == 0) {
      double now = hz * (1 + t->glide * exp(-(double)i / (0.03 * rate)));
      co = cos(2 * PI * now / rate);
      si = sin(2 * PI * now / rate);
    }
  }
}

static void note_play_breath(const timbre *t, const note *n, rng *r, sound *out) {
  double rate = out->rate_hz, decay_s = t->sustained ? n->length_s : 0.04, smooth = 0;
  size_t start = (size_t)(n->start_s * rate), count = (size_t)(rate * (t->sustained ? n->length_s : 0.2));
  for (size_t i = 0; i < count && start + i < out->count; i++) {
    smooth = 0.5 * smooth + 0.5 * (2 * rng_uniform(r) - 1);
    out->samples[start + i] += (float)(t->breath * n->level * smooth * exp(-(double)i / (decay_s * rate)));
  }
}

static void note_play(const timbre *t, const note *n, rng *r, sound *out) {
  for (unsigned k = 0; k < PARTIAL_MAX && t->level[k] > 0; k++) note_play_partial(t, k, n, out);
  if (t->breath > 0) note_play_breath(t, n, r, out);
}

/* A walk on the pentatonic scale, so that every tune sounds like one. */
static void tune_play(const sample_item *item, rng *r, sound *out) {
  static const int scale[] = {0, 2, 4, 7, 9};
  static const double beat_s[] = {0.55, 0.28, 0.14}, base_midi[] = {43, 60, 77};
  /* How long each note lasts in beats, by rhythm; negative is a rest. */
  static const double rhythms[3][4] = {{1, 1, 1, 1}, {1.5, 0.5, 1.5, 0.5}, {0.5, 0.5, -1, 1}};
  const timbre *t = &timbres[item->value[ATTRIBUTE_TIMBRE]];
  double tempo = beat_s[item->value[ATTRIBUTE_TEMPO]] * (0.93 + 0.14 * rng_uniform(r)),
         end = (double)out->count / out->rate_hz;
  double base = base_midi[item->value[ATTRIBUTE_REGISTER]] + (double)rng_below(r, 5);
  int degree = (int)rng_below(r, 5);
  double now = 0.02;
  for (int k = 0; now < end - 0.1; k++) {
    double beats = rhythms[item->value[ATTRIBUTE_RHYTHM]][k % 4], length = fabs(beats) * tempo;
    if (beats > 0) {
      double pitch = base + 12.0 * (degree / 5) + scale[degree % 5];
      note n = {now, 0.9 * length, 440 * pow(2, (pitch - 69) / 12), (float)(0.75 + 0.25 * rng_uniform(r))};
      note_play(t, &n, r, out);
    }
    degree += (int)rng_below(r, 5) - 2;
    degree = degree < 0 ? 1 : degree > 7 ? 6 : degree;
    now += length;
  }
}

/* To a peak of 0.7, with the last 30 ms faded out. */
static void sound_finish(sound *s) {
  float peak = 1e-6f;
  size_t fade = s->rate_hz * 3 / 100;
  for (size_t i = 0; i < fade && i < s->count; i++) s->samples[s->count - 1 - i] *= (float)i / (float)fade;
  for (size_t i = 0; i < s->count; i++) peak = fmaxf(peak, fabsf(s->samples[i]));
  for (size_t i = 0; i < s->count; i++) s->samples[i] *= 0.7f / peak;
}

medley_status sample_sound_play(const sample_item *item, float seconds, sound *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng r;
  *out = (sound){.rate_hz = SAMPLE_SOUND_RATE_HZ};
  rng_seed(&r, item->seed ^ 0x50d4);
  /* Lengths differ a little: real collections are never cut to one length. */
  if (seconds <= 0) seconds = 1.4f + 0.5f * (float)rng_uniform(&r);
  out->count = (size_t)(seconds * SAMPLE_SOUND_RATE_HZ);
  TRY_NEW(out->samples, out->count, "a sound");
  tune_play(item, &r, out);
  sound_finish(out);
done:
  return status;
}
