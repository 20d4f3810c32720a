/* Sound: decoding against reference PCM, processing, spectra against librosa, hostile files. */
#include "test.h"

#include "base/file.h"
#include "base/memory.h"
#include "media/sound.h"
#include "media/sound_decode.h"
#include "media/spectrum.h"

#define RATE 22050

static sound sound_make(uint32_t rate_hz, size_t count) {
  sound s = {.rate_hz = rate_hz, .count = count, .samples = mem_zalloc(count, sizeof(float))};
  assert_non_null(s.samples);
  return s;
}

static void add_tone(sound *s, double hz, double amplitude, double from_s, double to_s) {
  for (size_t i = (size_t)(from_s * s->rate_hz); i < (size_t)(to_s * s->rate_hz) && i < s->count; i++)
    s->samples[i] += (float)(amplitude * sin(2 * M_PI * hz * (double)i / s->rate_hz));
}

/* Numerical Recipes' generator: the same noise in the script that made the golden values. */
static void add_noise(sound *s, double amplitude) {
  uint32_t x = 1;
  for (size_t i = 0; i < s->count; i++) {
    x = x * 1664525u + 1013904223u;
    s->samples[i] += (float)(amplitude * ((x >> 8) / 8388608.0 - 1));
  }
}

/* ---- decoding ---- */

/* The suite's limit for full accuracy is an RMS of 2^-15 / sqrt(12) = 0.29 of a 16-bit step against exact reference
 * output. The references here are themselves rounded (some truncated) to 16 bits, which adds up to 0.58, and a peak
 * of 1.5. */
#define CONFORMANCE_RMS 0.6
#define CONFORMANCE_PEAK 1.5

static const struct {
  const char *name;
  const char *why;
} conformance_known[] = {
    {"M2L3_compl24", "FFmpeg's MPEG-2 intensity stereo differs from the reference"},
    {"l2-nonstandard-free_format", "FFmpeg has no free-format bit rates"},
    {"l2-nonstandard-fl1_fl2_ff", "FFmpeg has no free-format bit rates"},
};

static bool conformance_is_known(const char *name) {
  for (size_t i = 0; i < sizeof conformance_known / sizeof *conformance_known; i++)
    if (strncmp(conformance_known[i].name, name, strlen(conformance_known[i].name)) == 0) return true;
  return false;
}

/* 0: agrees; 1: differs; 2: refused. */
static int conformance_compare(const char *folder, const char *name) {
  medley_error error = {0};
  char path[1024], *reference;
  size_t length, compared = 0;
  av_input in;
  sound_pcm pcm;
  double sum = 0, peak = 0;
  snprintf(path, sizeof path, "%s/%.*s.pcm", folder, (int)strlen(name) - 4, name);
  assert_ok(file_read(path, 1 << 24, &reference, &length, &error));
  snprintf(path, sizeof path, "%s/%s", folder, name);
  medley_status status = av_input_open_file(&in, path, 0, &error);
  if (status == MEDLEY_OK) {
    status = sound_decode(&in, 0, 0, 600, &pcm, &error);
    av_input_close(&in);
  }
  if (status != MEDLEY_OK) {
    mem_free(reference);
    if (length > 0) printf("  %-40s refused: %s\n", name, error.text);
    return length > 0 ? 2 : 0;
  }
  for (size_t i = 0; i < pcm.frames * pcm.channels && 2 * i + 1 < length; i++, compared++) {
    int16_t expected;
    memcpy(&expected, reference + 2 * i, 2);
    double got = fmin(32767, fmax(-32768, pcm.samples[i] * 32768.0)), difference = fabs(got - expected);
    sum += difference * difference;
    peak = fmax(peak, difference);
  }
  double rms = compared ? sqrt(sum / (double)compared) : 0;
  size_t all = length / 2;
  bool good = rms <= CONFORMANCE_RMS && peak <= CONFORMANCE_PEAK && (compared > 0) == (all > 0);
  if (!good)
    printf("  %-40s rms %.3f peak %.1f, %zu of %zu samples, decoded %zu\n", name, rms, peak, compared, all,
           pcm.frames * pcm.channels);
  sound_pcm_deinit(&pcm);
  mem_free(reference);
  return good ? 0 : 1;
}

static void test_mp3_conformance(void **state) {
  (void)state;
  medley_error error;
  char folder[512], **names;
  size_t count, tally[3] = {0}, surprises = 0;
  if (test_data("decoders/mp3-conformance", folder) == NULL) skip();
  assert_ok(folder_list(folder, &names, &count, &error));
  for (size_t i = 0; i < count; i++) {
    if (strcmp(path_extension(names[i]), "bit") != 0) continue;
    int verdict = conformance_compare(folder, names[i]);
    tally[verdict]++;
    surprises += verdict != 0 && !conformance_is_known(names[i]);
  }
  folder_list_free(names, count);
  printf("mp3-conformance: %zu agree, %zu differ, %zu refused\n", tally[0], tally[1], tally[2]);
  assert_int_equal(surprises, 0);
}

static void test_round_trip(void **state) {
  (void)state;
  medley_error error;
  char folder[256];
  test_folder(folder);
  char *path = path_join(folder, "tone.wav");
  sound s = sound_make(RATE, RATE), back;
  add_tone(&s, 440, 0.5, 0, 1);
  s.samples[7] = 1.5f; /* clips */
  assert_ok(sound_save_wav(&s, path, &error));
  assert_ok(sound_load(path, NULL, &back, &error));
  assert_int_equal(back.rate_hz, RATE);
  assert_int_equal(back.count, RATE);
  for (size_t i = 0; i < s.count; i++) assert_near(back.samples[i], fmin(s.samples[i], 32767.0 / 32768), 1.0 / 65000);
  sound_deinit(&back);
  /* Another rate: the same tone, the same length. */
  assert_ok(sound_load(path, &(sound_options){.rate_hz = 16000, .seconds = 0.5}, &back, &error));
  assert_int_equal(back.count, 8000);
  for (size_t i = 200; i < 7800; i++) assert_near(back.samples[i], 0.5 * sin(2 * M_PI * 440 * (double)i / 16000), 0.01);
  sound_deinit(&back);
  sound_deinit(&s);
  assert_ok(folder_remove(folder, &error));
  mem_free(path);
}

static void test_resample(void **state) {
  (void)state;
  medley_error error;
  sound s = sound_make(48000, 96000), low;
  add_tone(&s, 1000, 0.5, 0, 2);
  assert_ok(sound_resample(&s, 16000, &low, &error));
  assert_near((double)low.count, 32000, 2);
  for (size_t i = 200; i < 31800; i++)
    assert_near(low.samples[i], 0.5 * sin(2 * M_PI * 1000 * (double)i / 16000), 0.01);
  sound_deinit(&low);
  assert_refused(sound_resample(&s, 0, &low, &error), MEDLEY_ERR_USAGE, "48000 Hz cannot be resampled to 0 Hz");
  assert_refused(sound_resample(&s, 999, &low, &error), MEDLEY_ERR_USAGE, "sample rate 999 Hz; choose 1000 to 192000");
  sound_deinit(&s);
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error;
  sound out;
  static const char playlist[] =
      "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
  static const char concat[] = "ffconcat version 1.0\nfile '/etc/passwd'\n";
  static const char sdp[] = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n";
  static const struct {
    const char *name, *bytes;
  } rows[] = {
      {"a.m3u8", playlist},
      {"a.mp3", playlist},
      {"a.ffconcat", concat},
      {"a.wav", concat},
      {"a.sdp", sdp},
      {"a.mp3", ""},
      {"a.txt", "hello, no sound here"},
      {"a.mpd", "<?xml version=\"1.0\"?><MPD></MPD>"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_refused(sound_load_bytes(rows[i].bytes, strlen(rows[i].bytes), rows[i].name, NULL, &out, &error),
                   MEDLEY_ERR_INPUT, "no sound or video format that is known here");
  assert_refused(sound_load("/no/such.mp3", NULL, &out, &error), MEDLEY_ERR_NOT_FOUND, "cannot open '/no/such.mp3'");
  assert_refused(sound_load("/", NULL, &out, &error), MEDLEY_ERR_INPUT, "'/' is not a regular file");
  assert_refused(sound_load("x", &(sound_options){.seconds = -1}, &out, &error), MEDLEY_ERR_USAGE,
                 "-1 seconds of sound");
  assert_refused(sound_load("x", &(sound_options){.rate_hz = 5}, &out, &error), MEDLEY_ERR_USAGE, "sample rate 5 Hz");
}

/* A WAV file of 32-bit floats: infinities, NaN and huge values must not reach the encoders. */
static void test_float_bombs(void **state) {
  (void)state;
  medley_error error;
  sound out;
  unsigned char wav[44 + 4 * 64] =
      "RIFF\x24\x01\0\0WAVEfmt \x10\0\0\0\x03\0\x01\0\x22\x56\0\0\x88\x58\x01\0\x04\0\x20\0data\0\x01\0\0";
  float *samples = (float *)(void *)(wav + 44);
  for (int i = 0; i < 64; i++) samples[i] = i == 3 ? NAN : i == 9 ? INFINITY : i == 20 ? -1e30f : 0.25f;
  assert_ok(sound_load_bytes(wav, sizeof wav, "a.wav", NULL, &out, &error));
  assert_int_equal(out.count, 64);
  for (int i = 0; i < 64; i++) assert_near(out.samples[i], i == 3 || i == 9 ? 0 : i == 20 ? -SOUND_PEAK_MAX : 0.25, 0);
  sound_deinit(&out);
}

static void test_stereo_to_mono(void **state) {
  (void)state;
  medley_error error;
  sound out;
  unsigned char wav[44 + 4 * 64] =
      "RIFF\x24\x01\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x22\x56\0\0\x88\x58\x01\0\x04\0\x10\0data\0\x01\0\0";
  for (int i = 0; i < 64; i++) memcpy(wav + 44 + 4 * i, (int16_t[]){16384, 8192}, 4);
  assert_ok(sound_load_bytes(wav, sizeof wav, "a.wav", NULL, &out, &error));
  assert_int_equal(out.count, 64);
  for (int i = 0; i < 64; i++) assert_near(out.samples[i], 0.375, 1e-6);
  sound_deinit(&out);
}

/* ---- processing ---- */

/* The first: BS.1770 says a full-scale 997 Hz sine in one channel reads -3.01. The others: pyloudnorm 0.1.1 and
 * FFmpeg's ebur128 agree on -23.4 (a second of near silence is gated out) and -18.85. 0.1 LU is EBU Tech 3341's
 * tolerance. */
static void test_loudness(void **state) {
  (void)state;
  static const struct {
    uint32_t rate;
    double hz, quiet, loud, lufs;
  } rows[] = {
      {48000, 997, 1, 1, -3.01},      {48000, 997, 0.001, 0.1, -23.40}, {22050, 997, 0.001, 0.1, -23.40},
      {48000, 100, 0.2, 0.2, -18.85}, {8000, 100, 0.2, 0.2, -18.85},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    sound s = sound_make(rows[i].rate, rows[i].rate * 3);
    add_tone(&s, rows[i].hz, rows[i].quiet, 0, 1);
    add_tone(&s, rows[i].hz, rows[i].loud, 1, 3);
    assert_near(sound_loudness_lufs(&s), rows[i].lufs, 0.1);
    sound_deinit(&s);
  }
  sound silence = sound_make(RATE, RATE), shortest = sound_make(RATE, 2205);
  assert_true(isinf(sound_loudness_lufs(&silence)));
  assert_true(isinf(sound_loudness_lufs(&(sound){.rate_hz = RATE})));
  add_tone(&shortest, 997, 0.5, 0, 1);
  assert_near(sound_loudness_lufs(&shortest), -9, 0.5);
  sound_deinit(&silence);
  sound_deinit(&shortest);
}

static void test_normalise(void **state) {
  (void)state;
  medley_error error;
  sound s = sound_make(RATE, 2 * RATE), out;
  add_tone(&s, 440, 0.9, 0, 2);
  assert_ok(sound_process(&s, &(sound_options){.normalise = 1}, &out, &error));
  assert_near(sound_loudness_lufs(&out), -23, 0.1);
  sound_deinit(&out);
  /* A click above a murmur: the peak limits the gain. */
  for (size_t i = 0; i < s.count; i++) s.samples[i] *= 0.01f;
  s.samples[100] = 0.9f;
  assert_ok(sound_process(&s, &(sound_options){.normalise = 1}, &out, &error));
  assert_near(out.samples[100], 0.891, 1e-3);
  sound_deinit(&out);
  sound_deinit(&s);
}

static void test_segments_and_trim(void **state) {
  (void)state;
  medley_error error;
  sound s = sound_make(RATE, 4 * RATE), out;
  sound_segment *segments;
  size_t count;
  add_tone(&s, 440, 0.5, 0.5, 1.0);
  add_tone(&s, 440, 0.5, 1.1, 1.5);  /* the gap of 0.1 s is bridged */
  add_tone(&s, 440, 0.5, 2.5, 2.52); /* too short */
  add_tone(&s, 440, 0.5, 3.0, 3.5);
  assert_ok(sound_segments(&s, 40, 0.1, 0.2, &segments, &count, &error));
  assert_int_equal(count, 2);
  static const double expected[] = {0.5, 1.5, 3.0, 3.5};
  for (size_t i = 0; i < 2; i++) {
    assert_near((double)segments[i].start / RATE, expected[2 * i], 0.021);
    assert_near((double)segments[i].end / RATE, expected[2 * i + 1], 0.021);
  }
  mem_free(segments);
  assert_refused(sound_segments(&s, -3, 0, 0, &segments, &count, &error), MEDLEY_ERR_USAGE, "got -3 dB");
  assert_ok(sound_process(&s, &(sound_options){.trim = 1}, &out, &error));
  assert_near((double)out.count / RATE, 3.0, 0.05);
  sound_deinit(&out);
  memset(s.samples, 0, s.count * sizeof(float));
  assert_ok(sound_segments(&s, 40, 0, 0, &segments, &count, &error));
  assert_int_equal(count, 0);
  mem_free(segments);
  sound_deinit(&s);
}

/* Power of the difference from the clean sound, in dB relative to the clean sound. */
static double error_db(const sound *clean, const sound *s) {
  double signal = 0, noise = 0;
  for (size_t i = 0; i < s->count; i++) {
    signal += pow(clean->samples[i], 2);
    noise += pow(s->samples[i] - clean->samples[i], 2);
  }
  return 10 * log10(noise / signal);
}

static void test_denoise(void **state) {
  (void)state;
  medley_error error;
  sound clean = sound_make(RATE, 3 * RATE), noisy = sound_make(RATE, 3 * RATE), out;
  add_tone(&clean, 600, 0.5, 0.6, 1.2);
  add_tone(&clean, 1500, 0.3, 1.6, 2.4);
  memcpy(noisy.samples, clean.samples, clean.count * sizeof(float));
  add_noise(&noisy, 0.1);
  assert_ok(sound_process(&noisy, &(sound_options){.denoise = 1}, &out, &error));
  assert_int_equal(out.count, noisy.count);
  printf("denoise: error %.1f dB before, %.1f dB after\n", error_db(&clean, &noisy), error_db(&clean, &out));
  assert_true(error_db(&clean, &out) < error_db(&clean, &noisy) - 10);
  sound_deinit(&out);
  /* An even tone has no quiet part: it must not be taken for noise. */
  memset(clean.samples, 0, clean.count * sizeof(float));
  add_tone(&clean, 600, 0.5, 0, 3);
  assert_ok(sound_process(&clean, &(sound_options){.denoise = 1}, &out, &error));
  assert_true(memcmp(out.samples, clean.samples, clean.count * sizeof(float)) == 0);
  sound_deinit(&out);
  sound_deinit(&clean);
  sound_deinit(&noisy);
}

/* ---- spectra ---- */

static sound golden_sound(void) {
  sound s = sound_make(RATE, 11025);
  add_tone(&s, 440, 0.4, 0, 1);
  for (size_t i = 0; i < s.count; i++)
    s.samples[i] += (float)(0.3 * sin(2 * M_PI * 1320 * (double)i / RATE) * (double)i / (double)s.count);
  add_noise(&s, 0.05);
  return s;
}

/* librosa 0.10 with center=False on the sound above, row 5 (and 19). It computes in float32 with another FFT:
 * logarithms of powers agree to 2e-3 where the noise is all there is, cepstra and onsets add up many of them. */
static void test_spectra_golden(void **state) {
  (void)state;
  medley_error error;
  sound s = golden_sound();
  static const float mel5[] = {-3.7092f, 4.3777f, -2.8233f, 1.726f, -4.2747f, -3.7929f, -4.0612f, -4.3473f};
  static const float mel19[] = {-5.3877f, 4.4022f, -4.6207f, 4.0614f, -5.4634f, -4.046f, -4.4527f, -4.0769f};
  static const float mfcc5[] = {-29.73f,  4.8996f,  1.6592f,  0.20835f, 0.3883f,  0.6389f,  -0.93169f,
                                -4.1682f, -6.2253f, -4.5782f, -1.8641f, 0.10172f, -0.17702f};
  static const float chroma5[] = {0.0009123f,  0.00073131f, 0.0011027f, 0.010856f, 0.06471f, 0.012045f,
                                  0.00095168f, 0.017817f,   0.38671f,   1,         0.41119f, 0.013278f};
  static const float onset[] = {0, 0.22705f, 0.23403f, 0.22255f, 0.33742f, 0.27309f};
  float *values;
  size_t frames;
  assert_ok(sound_log_mel(&s, NULL, &values, &frames, &error));
  assert_int_equal(frames, 20);
  for (int i = 0; i < 8; i++) {
    assert_near(values[5 * 64 + 8 * i], mel5[i], 2e-3);
    assert_near(values[19 * 64 + 8 * i], mel19[i], 2e-3);
  }
  mem_free(values);
  assert_ok(sound_mfcc(&s, NULL, 13, &values, &frames, &error));
  for (int i = 0; i < 13; i++) assert_near(values[5 * 13 + i], mfcc5[i], 3e-3);
  mem_free(values);
  assert_ok(sound_chroma(&s, NULL, &values, &frames, &error));
  for (int i = 0; i < 12; i++) assert_near(values[5 * 12 + i], chroma5[i], 1e-3);
  mem_free(values);
  assert_ok(sound_onset(&s, NULL, &values, &frames, &error));
  for (int i = 0; i < 6; i++) assert_near(values[i], onset[i], 1e-3);
  mem_free(values);
  sound_deinit(&s);
}

/* The slow twin of the transform. */
static void test_spectrum_against_dft(void **state) {
  (void)state;
  medley_error error;
  spectrum t;
  sound s = golden_sound();
  float power[51];
  assert_ok(spectrum_init(&t, 100, &error));
  spectrum_power(&t, s.samples, power);
  for (int b = 0; b <= 50; b++) {
    double re = 0, im = 0;
    for (int i = 0; i < 100; i++) {
      double x = s.samples[i] * (0.5 - 0.5 * cos(2 * M_PI * i / 100));
      re += x * cos(2 * M_PI * i * b / 100);
      im -= x * sin(2 * M_PI * i * b / 100);
    }
    assert_near(power[b], re * re + im * im, 1e-4);
  }
  spectrum_forward(&t, s.samples);
  spectrum_inverse(&t);
  for (int i = 0; i < 100; i++) assert_near(t.time[i], s.samples[i] * t.weights[i], 1e-6);
  spectrum_deinit(&t);
  sound_deinit(&s);
}

static void test_spectra_edges(void **state) {
  (void)state;
  medley_error error;
  sound s = sound_make(RATE, 100), empty = {.rate_hz = RATE};
  float *values;
  size_t frames;
  assert_ok(sound_chroma(&s, NULL, &values, &frames, &error)); /* silence, shorter than a window */
  assert_int_equal(frames, 1);
  for (int i = 0; i < 12; i++) assert_near(values[i], 0, 0);
  mem_free(values);
  assert_ok(sound_log_mel(&empty, NULL, &values, &frames, &error));
  assert_int_equal(frames, 1);
  assert_near(values[0], log(1e-6), 1e-4);
  mem_free(values);
  assert_refused(sound_log_mel(&s, &(spectrum_options){.window = 7}, &values, &frames, &error), MEDLEY_ERR_USAGE,
                 "a window of 7 samples");
  assert_refused(sound_log_mel(&s, &(spectrum_options){.high_hz = 20000}, &values, &frames, &error), MEDLEY_ERR_USAGE,
                 "within 0 to 11025 Hz");
  assert_refused(sound_log_mel(&s, &(spectrum_options){.mel_bands = 5000}, &values, &frames, &error), MEDLEY_ERR_USAGE,
                 "5000 mel bands");
  assert_refused(sound_mfcc(&s, NULL, 65, &values, &frames, &error), MEDLEY_ERR_USAGE, "choose 1 to 64");
  assert_refused(sound_chroma(&(sound){0}, NULL, &values, &frames, &error), MEDLEY_ERR_USAGE, "without a sample rate");
  sound_deinit(&s);
}

static void test_tempo(void **state) {
  (void)state;
  medley_error error;
  static const double tempi[] = {50, 60, 87, 100, 120, 128, 174, 200};
  double bpm;
  for (size_t k = 0; k < sizeof tempi / sizeof *tempi; k++) {
    sound s = sound_make(RATE, 12 * RATE);
    for (double at = 0.1; at < 11.9; at += 60 / tempi[k]) add_tone(&s, 900, 0.6, at, at + 0.03);
    add_noise(&s, 0.02);
    assert_ok(sound_tempo(&s, &bpm, &error));
    assert_near(bpm, tempi[k], 0.01 * tempi[k]);
    sound_deinit(&s);
  }
  sound noise = sound_make(RATE, 10 * RATE), none = {.rate_hz = RATE};
  assert_ok(sound_tempo(&none, &bpm, &error));
  assert_near(bpm, 0, 0);
  assert_ok(sound_tempo(&noise, &bpm, &error)); /* silence */
  assert_near(bpm, 0, 0);
  add_noise(&noise, 0.5);
  assert_ok(sound_tempo(&noise, &bpm, &error));
  assert_near(bpm, 0, 0);
  sound_deinit(&noise);
}

/* ---- memory running out ---- */

#ifdef MEDLEY_FAULTS
static medley_status everything(const unsigned char *wav, size_t length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sound s = {0};
  float *values = NULL;
  sound_segment *segments = NULL;
  size_t count;
  double bpm;
  const sound_options all = {.normalise = 1, .denoise = 1, .trim = 1};
  if (status == MEDLEY_OK) status = sound_load_bytes(wav, length, "a.wav", &all, &s, err);
  if (status == MEDLEY_OK) status = sound_mfcc(&s, NULL, 13, &values, &count, err);
  mem_free(values);
  values = NULL;
  if (status == MEDLEY_OK) status = sound_chroma(&s, NULL, &values, &count, err);
  mem_free(values);
  if (status == MEDLEY_OK) status = sound_tempo(&s, &bpm, err);
  if (status == MEDLEY_OK) status = sound_segments(&s, 40, 0, 0, &segments, &count, err);
  mem_free(segments);
  sound_deinit(&s);
  return status;
}

static void test_memory_running_out(void **state) {
  (void)state;
  medley_error error;
  char folder[256], *wav;
  size_t length;
  test_folder(folder);
  char *path = path_join(folder, "a.wav");
  sound s = golden_sound();
  assert_ok(sound_save_wav(&s, path, &error));
  assert_ok(file_read(path, 1 << 20, &wav, &length, &error));
  for (long n = 1; n < 10000; n++) {
    memory_fault_after(n);
    medley_status status = everything((unsigned char *)wav, length, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (!struck) {
      assert_int_equal(status, MEDLEY_OK);
      printf("%ld allocations failed in turn\n", n - 1);
      break;
    }
    /* Loudness falls back to the ungated measure instead of failing. */
    if (status != MEDLEY_OK) assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
  mem_free(wav);
  sound_deinit(&s);
  assert_ok(folder_remove(folder, &error));
  mem_free(path);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mp3_conformance),    cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_resample),           cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_float_bombs),        cmocka_unit_test(test_stereo_to_mono),
      cmocka_unit_test(test_loudness),           cmocka_unit_test(test_normalise),
      cmocka_unit_test(test_segments_and_trim),  cmocka_unit_test(test_denoise),
      cmocka_unit_test(test_spectra_golden),     cmocka_unit_test(test_spectrum_against_dft),
      cmocka_unit_test(test_spectra_edges),      cmocka_unit_test(test_tempo),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_running_out),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
