/* media/video_load.c: video files → a few frames that stand for them, and their sound, see media/video.h.
 *
 * One pass: frames are decoded in order, a thumbnail of each tells cuts, and every so often one is kept at its final
 * size in a bounded gathering (media/video_choose.h). Work is bounded by decoded pixels rather than by the clock, so
 * that a file gives the same frames on every machine: a video that is too long for that is read at its key frames only.
 */
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "media/av_input.h"
#include "media/sound_decode.h"
#include "media/video.h"
#include "media/video_choose.h"

#define SIDE_DEFAULT 256
#define SIDE_MAX 4096
#define FRAMES_DEFAULT 16
#define FRAMES_MAX 1024
#define SECONDS_DEFAULT 600.0
#define FULL_DECODE_PIXELS 1.5e9 /* 720 frames of 1080p: some 8 s on one core of 2020 */
#define FRAME_INTERVAL_S 0.25    /* between gathered frames, at first */
#define GATHERED_BYTES 64e6
#define GATHERED_MAX 256
#define THUMBNAIL_SIDE 64
#define LOOK_INTERVAL_S 0.06

typedef struct scan {
  const video_options *o;
  av_reader reader;
  struct SwsContext *small, *large;
  image thumbnail; /* reused */
  cut_finder cuts;
  video_gathering gathering;
  int quarter_turns; /* clockwise, to be applied */
  double last_s, looked_s, pixels;
  size_t decoded;
} scan;

/* ---- geometry ---- */

/* What the container says about how the camera was held, in quarter turns clockwise. */
static int stream_quarter_turns(const AVStream *stream) {
  const int32_t *matrix = NULL;
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 30, 100)
  const AVPacketSideData *data = av_packet_side_data_get(
      stream->codecpar->coded_side_data, stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  if (data != NULL && data->size >= 9 * sizeof(int32_t)) matrix = (const int32_t *)(const void *)data->data;
#else
  size_t size = 0;
  const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (data != NULL && size >= 9 * sizeof(int32_t)) matrix = (const int32_t *)(const void *)data;
#endif
  double degrees = matrix ? av_display_rotation_get(matrix) : 0; /* counter-clockwise */
  return isfinite(degrees) ? ((int)lround(-degrees / 90) % 4 + 4) % 4 : 0;
}

/* The size on the screen (pixels need not be square), scaled so that the longer side is at most `side`. */
static void target_size(const AVFrame *frame, uint32_t side, uint32_t *width, uint32_t *height) {
  double ratio =
      frame->sample_aspect_ratio.num > 0 && frame->sample_aspect_ratio.den > 0 ? av_q2d(frame->sample_aspect_ratio) : 1;
  if (ratio < 0.1 || ratio > 10) ratio = 1;
  double w = frame->width * fmax(ratio, 1), h = frame->height / fmin(ratio, 1), scale = fmin(1, side / fmax(w, h));
  *width = (uint32_t)fmax(1, lround(w * scale));
  *height = (uint32_t)fmax(1, lround(h * scale));
}

static medley_status image_turn(image *i, int quarter_turns, medley_error *err) {
  medley_status status = MEDLEY_OK;
  image to = {i->width, i->height, NULL};
  if (quarter_turns == 0) return MEDLEY_OK;
  if (quarter_turns % 2) to = (image){i->height, i->width, NULL};
  TRY_NEW(to.rgb, (size_t)i->width * i->height * 3, "a frame");
  for (uint32_t y = 0; y < i->height; y++)
    for (uint32_t x = 0; x < i->width; x++) {
      uint32_t tx = quarter_turns == 1 ? i->height - 1 - y : quarter_turns == 2 ? i->width - 1 - x : y;
      uint32_t ty = quarter_turns == 1 ? x : quarter_turns == 2 ? i->height - 1 - y : i->width - 1 - x;
      memcpy(to.rgb + 3 * ((size_t)ty * to.width + tx), i->rgb + 3 * ((size_t)y * i->width + x), 3);
    }
  image_deinit(i);
  *i = to;
done:
  return status;
}

/* frame → out at width × height. The context is kept for the next frame of the same form. */
static medley_status frame_to_rgb(const AVFrame *frame, struct SwsContext **context, int method, uint32_t width,
                                  uint32_t height, uint8_t *rgb, medley_error *err) {
  if (!sws_isSupportedInput(frame->format))
    return error_set(err, MEDLEY_ERR_UNSUPPORTED, "the pixel format of the video is not handled (%s)",
                     av_get_pix_fmt_name(frame->format) ? av_get_pix_fmt_name(frame->format) : "unknown");
  *context = sws_getCachedContext(*context, frame->width, frame->height, frame->format, (int)width, (int)height,
                                  AV_PIX_FMT_RGB24, method, NULL, NULL, NULL);
  if (*context == NULL) return error_memory(err, "a scaler");
  const int *matrix = sws_getCoefficients(frame->colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_DEFAULT);
  (void)sws_setColorspaceDetails(*context, matrix, frame->color_range == AVCOL_RANGE_JPEG,
                                 sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
  uint8_t *planes[4] = {rgb};
  int strides[4] = {(int)width * 3};
  if (sws_scale(*context, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, planes, strides) < 0)
    return error_set(err, MEDLEY_ERR_INPUT, "a frame of the video cannot be converted");
  return MEDLEY_OK;
}

/* ---- the pass ---- */

static medley_status scan_keep(scan *s, const AVFrame *frame, double time_s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  image picture = {0};
  target_size(frame, s->o->side, &picture.width, &picture.height);
  /* swscale writes whole vectors: some bytes more than the picture. */
  picture.rgb = mem_zalloc_aligned((size_t)picture.width * picture.height * 3 + 64, 1);
  if (picture.rgb == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a frame");
  TRY(frame_to_rgb(frame, &s->large, SWS_AREA, picture.width, picture.height, picture.rgb, err));
  TRY(image_turn(&picture, s->quarter_turns, err));
  TRY(video_gathering_add(&s->gathering, &picture, time_s, err));
done:
  image_deinit(&picture);
  return status;
}

static double frame_time(const scan *s, const AVFrame *frame) {
  const AVStream *stream = s->reader.in->format->streams[s->reader.stream];
  double rate = av_q2d(stream->avg_frame_rate.den > 0 ? stream->avg_frame_rate : (AVRational){25, 1});
  if (frame->best_effort_timestamp == AV_NOPTS_VALUE) return (double)s->decoded / (rate > 0 ? rate : 25);
  int64_t start = stream->start_time == AV_NOPTS_VALUE ? 0 : stream->start_time;
  return fmax(0, (double)(frame->best_effort_timestamp - start) * av_q2d(stream->time_base));
}

static medley_status scan_take(scan *s, const AVFrame *frame, double time_s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  frame_look look;
  /* Sixteen looks a second find every cut; more would be spent on slow motion. */
  if (s->decoded > 1 && time_s < s->looked_s + LOOK_INTERVAL_S && time_s >= s->looked_s) goto done;
  s->looked_s = time_s;
  TRY(frame_to_rgb(frame, &s->small, SWS_FAST_BILINEAR, s->thumbnail.width, s->thumbnail.height, s->thumbnail.rgb,
                   err));
  frame_look_measure(&s->thumbnail, &look);
  if (cut_finder_push(&s->cuts, &look, time_s)) TRY(video_gathering_begin_scene(&s->gathering, time_s, err));
  if (time_s >= s->gathering.next_s) TRY(scan_keep(s, frame, time_s, err));
done:
  return status;
}

/* Only key frames from here on: neither read nor decoded are the others. */
static void scan_skip_to_keys(scan *s) {
  s->reader.decoder->skip_frame = AVDISCARD_NONKEY;
  s->reader.in->format->streams[s->reader.stream]->discard = AVDISCARD_NONKEY;
}

static medley_status scan_run(scan *s, bool keys_only, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool got;
  if (keys_only) scan_skip_to_keys(s);
  for (;;) {
    TRY(av_reader_next(&s->reader, &got, err));
    if (!got) break;
    const AVFrame *frame = s->reader.frame;
    if (frame->width <= 0 || frame->height <= 0) continue;
    s->decoded++;
    double time_s = frame_time(s, frame);
    if (time_s > s->o->seconds) break;
    s->pixels += (double)frame->width * frame->height;
    /* Streams that lie about their length are caught here. */
    if (s->pixels > 2 * FULL_DECODE_PIXELS) scan_skip_to_keys(s);
    status = scan_take(s, frame, time_s, err);
    /* A damaged file may yield a frame of a form nothing else has: what was kept so far counts. */
    if (status == MEDLEY_ERR_UNSUPPORTED && s->gathering.count > 0) status = MEDLEY_OK;
    if (status != MEDLEY_OK) goto done;
    s->last_s = fmax(s->last_s, time_s);
  }
done:
  return status;
}

static double container_duration(const AVFormatContext *format, int stream) {
  const AVStream *s = format->streams[stream];
  if (s->duration > 0 && s->duration != AV_NOPTS_VALUE) return (double)s->duration * av_q2d(s->time_base);
  return format->duration > 0 && format->duration != AV_NOPTS_VALUE ? (double)format->duration / AV_TIME_BASE : 0;
}

/* Whether decoding every frame fits into the bound. */
static bool scan_is_long(const scan *s, double duration_s) {
  const AVStream *stream = s->reader.in->format->streams[s->reader.stream];
  double rate = stream->avg_frame_rate.den > 0 ? av_q2d(stream->avg_frame_rate) : 25;
  double pixels = (double)s->reader.decoder->width * s->reader.decoder->height;
  return fmin(duration_s, s->o->seconds) * rate * pixels > FULL_DECODE_PIXELS;
}

static void scan_deinit(scan *s) {
  av_reader_close(&s->reader);
  sws_freeContext(s->small);
  sws_freeContext(s->large);
  image_deinit(&s->thumbnail);
  video_gathering_deinit(&s->gathering);
}

static medley_status scan_frames(av_input *in, const video_options *o, video *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  scan s = {.o = o, .thumbnail = {THUMBNAIL_SIDE, THUMBNAIL_SIDE, NULL}};
  double room = GATHERED_BYTES / ((double)o->side * o->side * 3);
  s.gathering.interval_s = FRAME_INTERVAL_S;
  s.gathering.capacity = (size_t)fmax(fmin(room, GATHERED_MAX), 2.0 * o->frame_max);
  TRY(av_reader_open(&s.reader, in, AVMEDIA_TYPE_VIDEO, o->pixel_limit, err));
  if (in->format->streams[s.reader.stream]->codecpar->codec_id == AV_CODEC_ID_NONE)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "no decoder for the picture stream");
  TRY_NEW(s.thumbnail.rgb, THUMBNAIL_SIDE * THUMBNAIL_SIDE * 3 + 64, "a thumbnail");
  s.quarter_turns = stream_quarter_turns(in->format->streams[s.reader.stream]);
  out->duration_s = container_duration(in->format, s.reader.stream);
  TRY(scan_run(&s, scan_is_long(&s, out->duration_s), err));
  if (s.gathering.count == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "no frame of the video can be decoded (%zu broken packets)", s.reader.broken_packets);
  if (!(out->duration_s > 0)) out->duration_s = s.last_s;
  TRY(video_choose(&s.gathering, o->frame_max, out, err));
done:
  scan_deinit(&s);
  return status;
}

/* ---- the whole ---- */

/* A sound track that is absent or broken leaves the video silent. */
static medley_status sound_track(av_input *in, const video_options *o, sound *out, medley_error *err) {
  sound_pcm pcm;
  medley_error ignored;
  medley_status status = sound_decode(in, o->sound_rate_hz, 1, o->sound_seconds, &pcm, &ignored);
  if (status == MEDLEY_ERR_MEMORY) return error_memory(err, "the sound of a video");
  if (status == MEDLEY_OK) *out = (sound){.rate_hz = pcm.rate_hz, .count = pcm.frames, .samples = pcm.samples};
  return MEDLEY_OK;
}

static medley_status options_complete(const video_options *given, video_options *o, medley_error *err) {
  *o = given ? *given : (video_options){0};
  if (o->side == 0) o->side = SIDE_DEFAULT;
  if (o->frame_max == 0) o->frame_max = FRAMES_DEFAULT;
  if (o->sound_rate_hz == 0) o->sound_rate_hz = SOUND_RATE_DEFAULT;
  if (!(o->seconds > 0)) o->seconds = SECONDS_DEFAULT;
  if (!(o->sound_seconds > 0)) o->sound_seconds = SOUND_SECONDS_DEFAULT;
  if (o->side > SIDE_MAX || o->frame_max > FRAMES_MAX)
    return error_set(err, MEDLEY_ERR_USAGE, "%u frames of %u pixels; choose at most %d of %d", o->frame_max, o->side,
                     FRAMES_MAX, SIDE_MAX);
  if (o->sound_rate_hz < SOUND_RATE_MIN || o->sound_rate_hz > SOUND_RATE_MAX || o->sound_seconds > SOUND_SECONDS_MAX)
    return error_set(err, MEDLEY_ERR_USAGE, "%g s of sound at %u Hz; choose at most %g s at %d to %d Hz",
                     o->sound_seconds, o->sound_rate_hz, SOUND_SECONDS_MAX, SOUND_RATE_MIN, SOUND_RATE_MAX);
  return MEDLEY_OK;
}

/* Where the bytes come from: a path, or a block when path is NULL. The tracks are read one after the other, each from
 * the start. */
typedef struct video_from {
  const char *path;
  const void *bytes;
  size_t length;
} video_from;

static medley_status from_open(const video_from *from, av_input *in, uint64_t pixel_limit, medley_error *err) {
  return from->path ? av_input_open_file(in, from->path, pixel_limit, err)
                    : av_input_open_bytes(in, from->bytes, from->length, "", pixel_limit, err);
}

static medley_status video_read(const video_from *from, const video_options *options, video *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  video_options o;
  av_input in = {0};
  *out = (video){0};
  TRY(options_complete(options, &o, err));
  TRY(from_open(from, &in, o.pixel_limit, err));
  status = scan_frames(&in, &o, out, err);
  if (status != MEDLEY_OK && from->path) status = error_prefix(err, status, "'%s'", from->path);
  if (status != MEDLEY_OK) goto done;
  av_input_close(&in);
  TRY(from_open(from, &in, o.pixel_limit, err));
  TRY(sound_track(&in, &o, &out->sound, err));
done:
  av_input_close(&in);
  if (status != MEDLEY_OK) video_deinit(out);
  return status;
}

medley_status video_load(const char *path, const video_options *options, video *out, medley_error *err) {
  return video_read(&(video_from){.path = path}, options, out, err);
}

medley_status video_load_bytes(const void *bytes, size_t length, const video_options *options, video *out,
                               medley_error *err) {
  return video_read(&(video_from){.bytes = bytes, .length = length}, options, out, err);
}
