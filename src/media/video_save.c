/* media/video_save.c: our own clips → MP4 (MPEG-4 part 2 and AAC, FFmpeg's native encoders, which are in every build of
 * it).
 *
 * FFmpeg writes through our file_writer, so that the clip appears whole or not at all. Encoders and muxer are told to
 * be bit-exact: the same frames give the same file. */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "media/av_input.h"
#include "media/video.h"

#define IO_BUFFER_BYTES 65536
#define PICTURE_BITS_PER_PIXEL 0.25
#define SOUND_BITS_PER_S 64000

typedef struct saver {
  file_writer file;
  AVIOContext *io;
  AVFormatContext *format;
  AVPacket *packet;
  medley_error *err;
} saver;

typedef struct track {
  AVCodecContext *encoder;
  AVStream *stream;
  AVFrame *frame;
} track;

#if LIBAVFORMAT_VERSION_MAJOR >= 61
static int saver_write(void *opaque, const uint8_t *bytes, int size) {
#else
static int saver_write(void *opaque, uint8_t *bytes, int size) {
#endif
  saver *s = opaque;
  return fwrite(bytes, 1, (size_t)size, s->file.stream) == (size_t)size ? size : AVERROR(EIO);
}

static int64_t saver_seek(void *opaque, int64_t offset, int whence) {
  saver *s = opaque;
  if (whence == AVSEEK_SIZE) return AVERROR(ENOSYS);
  return fseeko(s->file.stream, offset, whence) == 0 ? (int64_t)ftello(s->file.stream) : AVERROR(EIO);
}

static medley_status failed(const saver *s, int code, const char *what) {
  char words[128];
  if (code == AVERROR(ENOMEM)) return error_memory(s->err, "a video encoder");
  return error_set(s->err, MEDLEY_ERR_IO, "cannot write '%s': %s (%s)", s->file.path, what, av_words(code, words));
}

static medley_status saver_open(saver *s, const char *path) {
  medley_status status = MEDLEY_OK;
  uint8_t *buffer = NULL;
  av_log_set_level(AV_LOG_QUIET);
  TRY(file_writer_open(&s->file, path, s->err));
  s->packet = av_packet_alloc();
  buffer = av_malloc(IO_BUFFER_BYTES);
  s->io = buffer ? avio_alloc_context(buffer, IO_BUFFER_BYTES, 1, s, NULL, saver_write, saver_seek) : NULL;
  if (s->io == NULL) av_free(buffer);
  int code = avformat_alloc_output_context2(&s->format, NULL, "mp4", NULL);
  if (s->packet == NULL || s->io == NULL || code < 0) FAIL(s->err, MEDLEY_ERR_MEMORY, "out of memory for a video file");
  s->format->pb = s->io;
  s->format->flags |= AVFMT_FLAG_BITEXACT;
done:
  return status;
}

static medley_status track_open(saver *s, track *t, enum AVCodecID id) {
  const AVCodec *codec = avcodec_find_encoder(id);
  if (codec == NULL)
    return error_set(s->err, MEDLEY_ERR_UNSUPPORTED, "this FFmpeg has no encoder for %s", avcodec_get_name(id));
  t->encoder = avcodec_alloc_context3(codec);
  t->stream = avformat_new_stream(s->format, NULL);
  t->frame = av_frame_alloc();
  if (t->encoder == NULL || t->stream == NULL || t->frame == NULL) return error_memory(s->err, "a video encoder");
  t->encoder->thread_count = 1;
  t->encoder->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER;
  return MEDLEY_OK;
}

static medley_status track_start(saver *s, track *t) {
  int code = avcodec_open2(t->encoder, NULL, NULL);
  if (code >= 0) code = avcodec_parameters_from_context(t->stream->codecpar, t->encoder);
  t->stream->time_base = t->encoder->time_base;
  if (code >= 0) code = av_frame_get_buffer(t->frame, 0);
  return code < 0 ? failed(s, code, "the encoder cannot be started") : MEDLEY_OK;
}

static medley_status picture_track_open(saver *s, track *t, const image *first, double frames_per_s) {
  medley_status status = MEDLEY_OK;
  TRY(track_open(s, t, AV_CODEC_ID_MPEG4));
  AVRational rate = av_d2q(frames_per_s, 1001000);
  t->encoder->width = (int)first->width;
  t->encoder->height = (int)first->height;
  t->encoder->pix_fmt = AV_PIX_FMT_YUV420P;
  t->encoder->time_base = av_inv_q(rate);
  t->encoder->framerate = rate;
  t->encoder->gop_size = 12;
  t->encoder->bit_rate = (int64_t)(PICTURE_BITS_PER_PIXEL * first->width * first->height * fmax(frames_per_s, 10));
  t->frame->format = AV_PIX_FMT_YUV420P;
  t->frame->width = (int)first->width;
  t->frame->height = (int)first->height;
  TRY(track_start(s, t));
done:
  return status;
}

static medley_status sound_track_open(saver *s, track *t, const sound *sound) {
  medley_status status = MEDLEY_OK;
  TRY(track_open(s, t, AV_CODEC_ID_AAC));
  t->encoder->sample_fmt = AV_SAMPLE_FMT_FLTP;
  t->encoder->sample_rate = (int)sound->rate_hz;
  av_channel_layout_default(&t->encoder->ch_layout, 1);
  t->encoder->time_base = (AVRational){1, (int)sound->rate_hz};
  t->encoder->bit_rate = SOUND_BITS_PER_S;
  t->frame->format = AV_SAMPLE_FMT_FLTP;
  t->frame->sample_rate = (int)sound->rate_hz;
  t->frame->nb_samples = 1024; /* what AAC-LC takes at a time */
  av_channel_layout_default(&t->frame->ch_layout, 1);
  TRY(track_start(s, t));
done:
  return status;
}

static void track_close(track *t) {
  avcodec_free_context(&t->encoder);
  av_frame_free(&t->frame);
}

/* Encodes t->frame, or with end what the encoder still holds, and writes what comes out. */
static medley_status track_push(saver *s, track *t, bool end) {
  int code = avcodec_send_frame(t->encoder, end ? NULL : t->frame);
  while (code >= 0) {
    code = avcodec_receive_packet(t->encoder, s->packet);
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return MEDLEY_OK;
    if (code < 0) break;
    av_packet_rescale_ts(s->packet, t->encoder->time_base, t->stream->time_base);
    s->packet->stream_index = t->stream->index;
    code = av_interleaved_write_frame(s->format, s->packet); /* takes the packet */
  }
  return failed(s, code, "encoding failed");
}

static medley_status pictures_write(saver *s, track *t, const image *frames, uint32_t count) {
  medley_status status = MEDLEY_OK;
  int width = t->encoder->width, height = t->encoder->height;
  struct SwsContext *scaler = sws_getContext(width, height, AV_PIX_FMT_RGB24, width, height, AV_PIX_FMT_YUV420P,
                                             SWS_BILINEAR | SWS_ACCURATE_RND | SWS_BITEXACT, NULL, NULL, NULL);
  if (scaler == NULL) FAIL(s->err, MEDLEY_ERR_MEMORY, "out of memory for a scaler");
  for (uint32_t i = 0; i < count; i++) {
    int code = av_frame_make_writable(t->frame);
    if (code < 0) {
      status = failed(s, code, "no frame");
      goto done;
    }
    const uint8_t *planes[4] = {frames[i].rgb};
    int strides[4] = {3 * width};
    sws_scale(scaler, planes, strides, 0, height, t->frame->data, t->frame->linesize);
    t->frame->pts = i;
    TRY(track_push(s, t, false));
  }
  TRY(track_push(s, t, true));
done:
  sws_freeContext(scaler);
  return status;
}

static medley_status samples_write(saver *s, track *t, const sound *sound) {
  medley_status status = MEDLEY_OK;
  size_t block = (size_t)t->frame->nb_samples;
  for (size_t at = 0; at < sound->count; at += block) {
    size_t count = sound->count - at < block ? sound->count - at : block;
    int code = av_frame_make_writable(t->frame);
    if (code < 0) {
      status = failed(s, code, "no frame");
      goto done;
    }
    memcpy(t->frame->data[0], sound->samples + at, count * sizeof(float));
    t->frame->nb_samples = (int)count; /* the encoder pads the last block itself */
    t->frame->pts = (int64_t)at;
    TRY(track_push(s, t, false));
  }
  TRY(track_push(s, t, true));
done:
  return status;
}

static medley_status clip_check(const image *frames, uint32_t frame_count, double frames_per_s, medley_error *err) {
  if (frame_count == 0 || !(frames_per_s >= 0.1 && frames_per_s <= 120))
    return error_set(err, MEDLEY_ERR_USAGE,
                     "%u frames at %g a second; a clip wants at least one, at 0.1 to 120 a second", frame_count,
                     frames_per_s);
  for (uint32_t i = 0; i < frame_count; i++)
    if (frames[i].width != frames[0].width || frames[i].height != frames[0].height || frames[i].width % 2 ||
        frames[i].height % 2 || frames[i].width == 0 || frames[i].height == 0 || frames[i].width > 4096 ||
        frames[i].height > 4096)
      return error_set(err, MEDLEY_ERR_USAGE, "frame %u is %u × %u; all frames must have one even size of at most 4096",
                       i, frames[i].width, frames[i].height);
  return MEDLEY_OK;
}

medley_status video_save_mp4(const image *frames, uint32_t frame_count, double frames_per_s, const sound *sound,
                             const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  saver s = {.err = err};
  track picture = {0}, audio = {0};
  bool has_sound = sound != NULL && sound->count > 0;
  TRY(clip_check(frames, frame_count, frames_per_s, err));
  TRY(saver_open(&s, path));
  TRY(picture_track_open(&s, &picture, &frames[0], frames_per_s));
  if (has_sound) TRY(sound_track_open(&s, &audio, sound));
  int code = avformat_write_header(s.format, NULL);
  if (code < 0) {
    status = failed(&s, code, "the header");
    goto done;
  }
  /* One track after the other: the muxer's queue interleaves them, and our clips are a few seconds. */
  TRY(pictures_write(&s, &picture, frames, frame_count));
  if (has_sound) TRY(samples_write(&s, &audio, sound));
  code = av_write_trailer(s.format);
  if (code >= 0) avio_flush(s.io);
  if (code < 0 || s.io->error < 0) {
    status = failed(&s, code < 0 ? code : s.io->error, "the trailer");
    goto done;
  }
  TRY(file_writer_commit(&s.file, err));
done:
  track_close(&picture);
  track_close(&audio);
  av_packet_free(&s.packet);
  avformat_free_context(s.format);
  if (s.io != NULL) {
    av_freep(&s.io->buffer);
    avio_context_free(&s.io);
  }
  file_writer_abort(&s.file);
  return status;
}
