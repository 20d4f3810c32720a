/* media/sound_load.c: sound files → mono samples at the chosen rate, see media/sound.h and media/sound_decode.h.
 *
 * FFmpeg decodes; swresample brings every frame to float at the wanted rate and channel count at once, so that memory
 * holds the result and one frame, never the whole recording as stored. */
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <math.h>

#include "base/memory.h"
#include "media/sound.h"
#include "media/sound_decode.h"

#define CHANNELS_MAX 64
#define FLUSH_FRAMES 4096

typedef struct resampler {
  SwrContext *swr;
  AVChannelLayout in_layout; /* what swr was set up for */
  int in_rate, in_format;
  size_t capacity, limit; /* frames in and allowed in the output */
  sound_pcm *out;
} resampler;

void sound_pcm_deinit(sound_pcm *p) {
  mem_free(p->samples);
  *p = (sound_pcm){0};
}

/* Layouts FFmpeg can mix by itself; others (unknown or custom order, many channels) get equal weights. */
static bool layout_is_known(const AVChannelLayout *layout) { return layout->order == AV_CHANNEL_ORDER_NATIVE; }

static int resampler_set_equal_weights(SwrContext *swr, int in_channels, int out_channels) {
  double weights[CHANNELS_MAX];
  if (out_channels != 1) return 0;
  for (int i = 0; i < in_channels; i++) weights[i] = 1.0 / in_channels;
  return swr_set_matrix(swr, weights, in_channels);
}

static medley_status resampler_setup(resampler *r, const AVFrame *frame, medley_error *err) {
  medley_status status = MEDLEY_OK;
  AVChannelLayout from = {0}, to = {0};
  char words[128];
  int channels = frame->ch_layout.nb_channels, code = 0;
  if (channels < 1 || channels > CHANNELS_MAX || frame->sample_rate < 1 || frame->sample_rate > 10000000)
    FAIL(err, MEDLEY_ERR_LIMIT, "%d channels at %d Hz; at most %d channels are decoded", channels, frame->sample_rate,
         CHANNELS_MAX);
  if (r->out->channels == 0) r->out->channels = (uint32_t)channels;
  if (r->out->rate_hz == 0) r->out->rate_hz = (uint32_t)frame->sample_rate;
  if (layout_is_known(&frame->ch_layout))
    code = av_channel_layout_copy(&from, &frame->ch_layout);
  else
    av_channel_layout_default(&from, channels);
  if ((int)r->out->channels == channels && channels != 1)
    code = code < 0 ? code : av_channel_layout_copy(&to, &from); /* no mixing */
  else
    av_channel_layout_default(&to, (int)r->out->channels);
  swr_free(&r->swr);
  if (code >= 0)
    code = swr_alloc_set_opts2(&r->swr, &to, AV_SAMPLE_FMT_FLT, (int)r->out->rate_hz, &from, frame->format,
                               frame->sample_rate, 0, NULL);
  /* Float output is not scaled against clipping by default, which would make mono louder than its stereo. */
  if (code >= 0) code = av_opt_set_double(r->swr, "rematrix_maxval", 1.0, 0);
  if (code >= 0 && !layout_is_known(&from)) code = resampler_set_equal_weights(r->swr, channels, (int)r->out->channels);
  if (code >= 0) code = swr_init(r->swr);
  if (code == AVERROR(ENOMEM)) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the resampler");
  if (code < 0)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%d channels at %d Hz cannot be resampled to %u Hz (%s)", channels,
         frame->sample_rate, r->out->rate_hz, av_words(code, words));
  av_channel_layout_uninit(&r->in_layout);
  (void)av_channel_layout_copy(&r->in_layout, &frame->ch_layout);
  r->in_rate = frame->sample_rate;
  r->in_format = frame->format;
done:
  av_channel_layout_uninit(&from);
  av_channel_layout_uninit(&to);
  return status;
}

/* Converts `count` samples per channel (0 with planes NULL: what is left inside) and appends them. */
static medley_status resampler_push(resampler *r, const uint8_t **planes, int count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int wanted = planes ? swr_get_out_samples(r->swr, count) : FLUSH_FRAMES;
  if (wanted <= 0) return MEDLEY_OK;
  size_t channels = r->out->channels, capacity = r->capacity * channels;
  TRY_GROW(r->out->samples, capacity, (r->out->frames + (size_t)wanted) * channels, "the decoded sound");
  r->capacity = capacity / channels;
  uint8_t *to = (uint8_t *)(r->out->samples + r->out->frames * channels);
  int got = swr_convert(r->swr, &to, wanted, planes, count);
  if (got > 0) r->out->frames += (size_t)got;
  if (r->out->frames > r->limit) r->out->frames = r->limit;
done:
  return status;
}

static medley_status resampler_flush(resampler *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t before = SIZE_MAX; r->swr != NULL && before != r->out->frames && r->out->frames < r->limit;) {
    before = r->out->frames;
    TRY(resampler_push(r, NULL, 0, err));
  }
done:
  return status;
}

static medley_status resampler_take(resampler *r, const AVFrame *frame, double seconds, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool same = r->swr != NULL && r->in_rate == frame->sample_rate && r->in_format == frame->format &&
              av_channel_layout_compare(&r->in_layout, &frame->ch_layout) == 0;
  if (!same) {
    TRY(resampler_flush(r, err));
    TRY(resampler_setup(r, frame, err));
    r->limit = (size_t)(seconds * r->out->rate_hz);
  }
  TRY(resampler_push(r, (const uint8_t **)frame->extended_data, frame->nb_samples, err));
done:
  return status;
}

/* Float files may hold anything, infinities and NaN included: these become silence. */
static void samples_tame(float *samples, size_t count) {
  for (size_t i = 0; i < count; i++) {
    float x = samples[i];
    samples[i] = !isfinite(x) ? 0.0f : x > SOUND_PEAK_MAX ? SOUND_PEAK_MAX : x < -SOUND_PEAK_MAX ? -SOUND_PEAK_MAX : x;
  }
}

medley_status sound_decode(av_input *in, uint32_t rate_hz, uint32_t channels, double seconds, sound_pcm *out,
                           medley_error *err) {
  medley_status status = MEDLEY_OK;
  av_reader reader = {0};
  resampler r = {.out = out, .limit = SIZE_MAX};
  bool got = true;
  *out = (sound_pcm){.rate_hz = rate_hz, .channels = channels};
  TRY(av_reader_open(&reader, in, AVMEDIA_TYPE_AUDIO, 0, err));
  while (out->frames < r.limit) {
    TRY(av_reader_next(&reader, &got, err));
    if (!got) break;
    if (reader.frame->nb_samples > 0) TRY(resampler_take(&r, reader.frame, seconds, err));
  }
  TRY(resampler_flush(&r, err));
  if (out->frames == 0 && reader.broken_packets == 0) FAIL(err, MEDLEY_ERR_INPUT, "the sound stream is empty");
  if (out->frames == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "nothing in the sound stream can be decoded (%zu broken packets)",
         reader.broken_packets);
  samples_tame(out->samples, out->frames * out->channels);
done:
  swr_free(&r.swr);
  av_channel_layout_uninit(&r.in_layout);
  av_reader_close(&reader);
  if (status != MEDLEY_OK) sound_pcm_deinit(out);
  return status;
}

static medley_status options_check(const sound_options *o, medley_error *err) {
  if (o->rate_hz != 0 && (o->rate_hz < SOUND_RATE_MIN || o->rate_hz > SOUND_RATE_MAX))
    return error_set(err, MEDLEY_ERR_USAGE, "sample rate %u Hz; choose %d to %d", o->rate_hz, SOUND_RATE_MIN,
                     SOUND_RATE_MAX);
  if (!(o->seconds >= 0 && o->seconds <= SOUND_SECONDS_MAX))
    return error_set(err, MEDLEY_ERR_USAGE, "%g seconds of sound; choose up to %g", o->seconds, SOUND_SECONDS_MAX);
  return MEDLEY_OK;
}

/* Takes over `in`. */
static medley_status sound_from_input(av_input *in, const sound_options *options, sound *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const sound_options defaults;
  const sound_options *o = options ? options : &defaults;
  sound_pcm pcm = {0};
  sound raw = {0};
  *out = (sound){0};
  TRY(sound_decode(in, o->rate_hz ? o->rate_hz : SOUND_RATE_DEFAULT, 1,
                   o->seconds > 0 ? o->seconds : SOUND_SECONDS_DEFAULT, &pcm, err));
  raw = (sound){.rate_hz = pcm.rate_hz, .count = pcm.frames, .samples = pcm.samples};
  if (o->normalise || o->denoise || o->trim || o->segments) {
    TRY(sound_process(&raw, o, out, err));
  } else {
    *out = raw;
    raw = (sound){0};
  }
done:
  sound_deinit(&raw);
  av_input_close(in);
  return status;
}

medley_status sound_load(const char *path, const sound_options *options, sound *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  av_input in;
  *out = (sound){0};
  if (options) TRY(options_check(options, err));
  TRY(av_input_open_file(&in, path, 0, err));
  status = sound_from_input(&in, options, out, err);
  if (status != MEDLEY_OK) status = error_prefix(err, status, "'%s'", path);
done:
  return status;
}

medley_status sound_load_bytes(const void *bytes, size_t length, const char *name, const sound_options *options,
                               sound *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  av_input in;
  *out = (sound){0};
  if (options) TRY(options_check(options, err));
  TRY(av_input_open_bytes(&in, bytes, length, name, 0, err));
  status = sound_from_input(&in, options, out, err);
done:
  return status;
}

medley_status sound_resample(const sound *in, uint32_t rate_hz, sound *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  AVFrame *frame = NULL;
  sound_pcm pcm = {.rate_hz = rate_hz, .channels = 1};
  resampler r = {.out = &pcm};
  double seconds = in->rate_hz ? (double)in->count / in->rate_hz : 0;
  *out = (sound){0};
  TRY(options_check(&(sound_options){.rate_hz = rate_hz}, err));
  if (rate_hz == 0 || in->rate_hz == 0)
    FAIL(err, MEDLEY_ERR_USAGE, "a sound at %u Hz cannot be resampled to %u Hz", in->rate_hz, rate_hz);
  frame = av_frame_alloc(); /* only describes the samples, which stay where they are */
  if (frame == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a frame");
  frame->format = AV_SAMPLE_FMT_FLT;
  frame->sample_rate = (int)in->rate_hz;
  av_channel_layout_default(&frame->ch_layout, 1);
  for (size_t at = 0; at < in->count; at += INT16_MAX) {
    const uint8_t *plane = (const uint8_t *)(in->samples + at);
    frame->extended_data = (uint8_t **)&plane;
    frame->nb_samples = in->count - at < INT16_MAX ? (int)(in->count - at) : INT16_MAX;
    status = resampler_take(&r, frame, ceil(seconds) + 1, err);
    frame->extended_data = frame->data;
    if (status != MEDLEY_OK) goto done;
  }
  TRY(resampler_flush(&r, err));
  *out = (sound){.rate_hz = pcm.rate_hz, .count = pcm.frames, .samples = pcm.samples};
  pcm.samples = NULL;
done:
  swr_free(&r.swr);
  av_channel_layout_uninit(&r.in_layout);
  av_frame_free(&frame);
  sound_pcm_deinit(&pcm);
  return status;
}
