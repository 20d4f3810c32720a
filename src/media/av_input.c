/* media/av_input.c: opening and reading media by FFmpeg, see media/av_input.h. */
#include "media/av_input.h"

#include <errno.h>
#include <fcntl.h>
#include <libavutil/avstring.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define IO_BUFFER_BYTES 65536
#define PROBE_BYTES (2 << 20)
#define PROBE_SECONDS 5
#define STREAM_MAX 64
#define PIXEL_LIMIT_DEFAULT 100000000
#define BARE_MPEG_BYTES_MAX (1 << 20)

/* Containers that hold their media themselves. Playlists (hls, concat, dash), references (sdp, rtsp, imf), subtitles,
 * image sequences, text art and devices are left out on purpose: they open other files or have no use here. Names are
 * FFmpeg's. */
static const char formats[] =
    "3dostr,aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,ast,au,avi,caf,dsf,dts,dtshd,dv,eac3,flac,flv,gif,gsm,h264,hevc,iff,"
    "ivf,"
    "latm,loas,m4v,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mlp,mp3,mpc,mpc8,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,oma,rm,"
    "rso,sox,swf,tak,truehd,tta,voc,w64,wav,wtv,wv,xwma,y4m,yuv4mpegpipe";

struct av_source {
  int fd; /* -1: memory */
  const uint8_t *bytes;
  int64_t length, position;
};

const char *av_words(int code, char words[128]) {
  if (av_strerror(code, words, 128) < 0) snprintf(words, 128, "error %d", code);
  return words;
}

/* ---- bytes ---- */

static int source_read(void *opaque, uint8_t *buffer, int size) {
  av_source *s = opaque;
  if (s->fd >= 0) {
    ssize_t got;
    do got = read(s->fd, buffer, (size_t)size);
    while (got < 0 && errno == EINTR);
    return got > 0 ? (int)got : got == 0 ? AVERROR_EOF : AVERROR(errno);
  }
  int64_t left = s->length - s->position;
  if (left <= 0) return AVERROR_EOF;
  int count = left < size ? (int)left : size;
  memcpy(buffer, s->bytes + s->position, (size_t)count);
  s->position += count;
  return count;
}

static int64_t source_seek(void *opaque, int64_t offset, int whence) {
  av_source *s = opaque;
  whence &= ~AVSEEK_FORCE;
  if (whence == AVSEEK_SIZE) return s->length;
  if (s->fd >= 0) {
    off_t at = lseek(s->fd, offset, whence);
    return at < 0 ? AVERROR(errno) : at;
  }
  int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? s->position : s->length;
  if (offset < -from || offset > INT64_MAX - from) return AVERROR(EINVAL);
  return s->position = from + offset;
}

static medley_status source_open_file(av_source *s, const char *path, medley_error *err) {
  /* O_NONBLOCK: a named pipe must not stop us before we see that it is one. */
  s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (s->fd < 0)
    return error_set_errno(err, errno == ENOENT ? MEDLEY_ERR_NOT_FOUND : MEDLEY_ERR_IO, errno, "cannot open '%s'",
                           path);
  struct stat info;
  if (fstat(s->fd, &info) != 0 || !S_ISREG(info.st_mode))
    return error_set(err, MEDLEY_ERR_INPUT, "'%s' is not a regular file", path);
  s->length = info.st_size;
  return MEDLEY_OK;
}

/* ---- containers ---- */

static int open_nothing_else(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                             AVDictionary **options) {
  (void)format, (void)io, (void)url, (void)flags, (void)options;
  return AVERROR(EPERM);
}

static medley_status io_create(av_input *in, medley_error *err) {
  uint8_t *buffer = av_malloc(IO_BUFFER_BYTES);
  if (buffer == NULL) return error_memory(err, "a read buffer");
  in->io = avio_alloc_context(buffer, IO_BUFFER_BYTES, 0, in->source, source_read, NULL, source_seek);
  if (in->io == NULL) {
    av_free(buffer);
    return error_memory(err, "a reader");
  }
  return MEDLEY_OK;
}

static medley_status format_open(av_input *in, const char *name, medley_error *err) {
  char words[128], hint[64];
  AVFormatContext *format = avformat_alloc_context();
  if (format == NULL) return error_memory(err, "a demuxer");
  format->pb = in->io;
  format->io_open = open_nothing_else;
  format->probesize = PROBE_BYTES;
  format->max_analyze_duration = (int64_t)PROBE_SECONDS * AV_TIME_BASE;
  format->max_streams = STREAM_MAX;
  format->format_whitelist = av_strdup(formats);
  format->protocol_whitelist = av_strdup("file");
  if (format->format_whitelist == NULL || format->protocol_whitelist == NULL) {
    avformat_free_context(format);
    return error_memory(err, "a demuxer");
  }
  /* The name is a hint for probing, never something that is opened: only its extension is given. */
  snprintf(hint, sizeof hint, "file.%.32s", path_extension(name));
  int code = avformat_open_input(&format, hint, NULL, NULL); /* frees format on failure */
  if (code == AVERROR(ENOMEM)) return error_memory(err, "a demuxer");
  if (code < 0)
    return error_set(err, MEDLEY_ERR_INPUT, "no sound or video format that is known here (%s)", av_words(code, words));
  in->format = format;
  return MEDLEY_OK;
}

/* Reads ahead until the streams' parameters are known, with the bounds on every decoder that it opens for that. */
static void format_probe_streams(av_input *in, uint64_t pixel_limit) {
  AVFormatContext *format = in->format;
  AVDictionary *options[STREAM_MAX] = {0};
  unsigned count = format->nb_streams < STREAM_MAX ? format->nb_streams : STREAM_MAX;
  for (unsigned i = 0; i < count; i++) av_dict_set_int(&options[i], "max_pixels", (int64_t)pixel_limit, 0);
  /* A failure here is no verdict: the decoder may still make something of the stream. */
  (void)avformat_find_stream_info(format, format->nb_streams <= STREAM_MAX ? options : NULL);
  for (unsigned i = 0; i < count; i++) av_dict_free(&options[i]);
}

/* The offset of MPEG audio frames without a container, after an ID3v2 tag; -1 when something else is there. */
static int64_t bare_mpeg_find(av_input *in) {
  uint8_t head[10];
  int64_t skip = 0;
  if (in->source->length > BARE_MPEG_BYTES_MAX || avio_seek(in->io, 0, SEEK_SET) < 0) return -1;
  if (avio_read(in->io, head, sizeof head) != sizeof head) return -1;
  if (memcmp(head, "ID3", 3) == 0) {
    skip = 10 + ((head[6] & 127) << 21 | (head[7] & 127) << 14 | (head[8] & 127) << 7 | (head[9] & 127));
    if (avio_seek(in->io, skip, SEEK_SET) < 0 || avio_read(in->io, head, 4) != 4) return -1;
  }
  /* 11 bits of sync; version, layer, bit rate and sample rate must not be the reserved values. */
  bool sync = head[0] == 0xFF && (head[1] & 0xE0) == 0xE0 && (head[1] & 0x18) != 0x08 && (head[1] & 0x06) != 0 &&
              (head[2] & 0xF0) != 0xF0 && (head[2] & 0x0C) != 0x0C;
  return sync ? skip : -1;
}

/* True when the first frame is the tag of an encoder (its delay, a seek table), which only the demuxer understands. */
static bool bare_mpeg_is_tag(av_input *in, int64_t at) {
  char frame[192];
  if (avio_seek(in->io, at, SEEK_SET) < 0) return false;
  int got = avio_read(in->io, (uint8_t *)frame, sizeof frame);
  return got > 0 && (memmem(frame, (size_t)got, "Xing", 4) || memmem(frame, (size_t)got, "Info", 4) ||
                     memmem(frame, (size_t)got, "VBRI", 4));
}

/* FFmpeg's mp3 demuxer wants several frames of one kind: it refuses a stream of one frame or finds nothing in it, and
 * passes over leading frames whose stereo mode differs from the next. Small streams of that sort are parsed here
 * instead. */
static bool bare_mpeg_is_better(av_input *in, int64_t demuxer_start) {
  AVFormatContext *format = in->format;
  /* A container without streams was probably mistaken for one. */
  if (format != NULL && format->nb_streams > 0 && strcmp(format->iformat->name, "mp3") != 0) return false;
  const AVCodecParameters *found = format != NULL && format->nb_streams > 0 ? format->streams[0]->codecpar : NULL;
  bool nothing = found == NULL || found->sample_rate == 0 || found->ch_layout.nb_channels == 0;
  int64_t here = avio_tell(in->io), start = bare_mpeg_find(in);
  bool better = start >= 0 && (nothing || (demuxer_start > start && !bare_mpeg_is_tag(in, start)));
  (void)avio_seek(in->io, better ? start : here, SEEK_SET);
  return better;
}

static medley_status input_open(av_input *in, const char *name, uint64_t pixel_limit, medley_error *err) {
  medley_status status = MEDLEY_OK;
  av_log_set_level(AV_LOG_QUIET);
  TRY(io_create(in, err));
  status = format_open(in, name, err);
  int64_t start = avio_tell(in->io);
  if (in->format != NULL) format_probe_streams(in, pixel_limit ? pixel_limit : PIXEL_LIMIT_DEFAULT);
  if ((status == MEDLEY_OK || status == MEDLEY_ERR_INPUT) && bare_mpeg_is_better(in, start)) {
    status = MEDLEY_OK;
    avformat_close_input(&in->format);
  }
done:
  return status;
}

medley_status av_input_open_file(av_input *in, const char *path, uint64_t pixel_limit, medley_error *err) {
  *in = (av_input){.source = mem_zalloc(1, sizeof(av_source))};
  if (in->source == NULL) return error_memory(err, "a reader");
  medley_status status = source_open_file(in->source, path, err);
  if (status == MEDLEY_OK) {
    status = input_open(in, path, pixel_limit, err);
    if (status == MEDLEY_ERR_INPUT) status = error_prefix(err, status, "'%s'", path);
  }
  if (status != MEDLEY_OK) av_input_close(in);
  return status;
}

medley_status av_input_open_bytes(av_input *in, const void *bytes, size_t length, const char *name,
                                  uint64_t pixel_limit, medley_error *err) {
  *in = (av_input){.source = mem_zalloc(1, sizeof(av_source))};
  if (in->source == NULL) return error_memory(err, "a reader");
  *in->source = (av_source){.fd = -1, .bytes = bytes, .length = (int64_t)length};
  medley_status status = input_open(in, name, pixel_limit, err);
  if (status != MEDLEY_OK) av_input_close(in);
  return status;
}

void av_input_close(av_input *in) {
  avformat_close_input(&in->format); /* leaves the reader, which is ours */
  if (in->io != NULL) {
    av_freep(&in->io->buffer);
    avio_context_free(&in->io);
  }
  if (in->source != NULL && in->source->fd >= 0) close(in->source->fd);
  mem_free(in->source);
  *in = (av_input){0};
}

/* ---- frames ---- */

static const char *type_name(enum AVMediaType type) { return type == AVMEDIA_TYPE_AUDIO ? "sound" : "picture"; }

static medley_status reader_open_decoder(av_reader *r, const AVCodec *codec, const AVCodecParameters *parameters,
                                         uint64_t pixel_limit, medley_error *err) {
  char words[128];
  r->decoder = avcodec_alloc_context3(codec);
  if (r->decoder == NULL) return error_memory(err, "a decoder");
  int code = parameters ? avcodec_parameters_to_context(r->decoder, parameters) : 0;
  r->decoder->thread_count = 1;
  r->decoder->max_pixels = (int64_t)(pixel_limit ? pixel_limit : PIXEL_LIMIT_DEFAULT);
  if (parameters) r->decoder->pkt_timebase = r->in->format->streams[r->stream]->time_base;
  if (code >= 0) code = avcodec_open2(r->decoder, codec, NULL);
  if (code == AVERROR(ENOMEM)) return error_memory(err, "a decoder");
  if (code < 0)
    return error_set(err, MEDLEY_ERR_INPUT, "the %s decoder refuses the stream (%s)", codec->name,
                     av_words(code, words));
  return MEDLEY_OK;
}

medley_status av_reader_open(av_reader *r, av_input *in, enum AVMediaType type, uint64_t pixel_limit,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  const AVCodec *codec = NULL;
  *r = (av_reader){.in = in, .packet = av_packet_alloc(), .frame = av_frame_alloc()};
  if (r->packet == NULL || r->frame == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a frame");
  if (in->format == NULL) {
    codec = type == AVMEDIA_TYPE_AUDIO ? avcodec_find_decoder(AV_CODEC_ID_MP3) : NULL;
    if (codec == NULL) FAIL(err, MEDLEY_ERR_NOT_FOUND, "the file has no %s stream", type_name(type));
    r->parser = av_parser_init(AV_CODEC_ID_MP3);
    if (r->parser == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a parser");
    TRY(reader_open_decoder(r, codec, NULL, pixel_limit, err));
    goto done;
  }
  r->stream = av_find_best_stream(in->format, type, -1, -1, &codec, 0);
  if (r->stream == AVERROR_DECODER_NOT_FOUND)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "no decoder for the %s stream", type_name(type));
  if (r->stream < 0) FAIL(err, MEDLEY_ERR_NOT_FOUND, "the file has no %s stream", type_name(type));
  for (unsigned i = 0; i < in->format->nb_streams; i++)
    in->format->streams[i]->discard = (int)i == r->stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
  TRY(reader_open_decoder(r, codec, in->format->streams[r->stream]->codecpar, pixel_limit, err));
done:
  if (status != MEDLEY_OK) av_reader_close(r);
  return status;
}

/* One parsed packet from the bare stream; AVERROR_EOF at its end. */
static int bare_read(av_reader *r) {
  uint8_t block[1024 + AV_INPUT_BUFFER_PADDING_SIZE];
  uint8_t *data = NULL;
  int size = 0;
  while (size == 0) {
    int got = avio_read(r->in->io, block, 1024);
    if (got < 0) got = 0;
    memset(block + got, 0, AV_INPUT_BUFFER_PADDING_SIZE);
    int used = av_parser_parse2(r->parser, r->decoder, &data, &size, block, got, AV_NOPTS_VALUE, AV_NOPTS_VALUE, 0);
    if (used < 0) return AVERROR_INVALIDDATA;
    /* The parser stopped at a frame's end: the rest of the block is read again. */
    if (used < got && avio_seek(r->in->io, used - got, SEEK_CUR) < 0) return AVERROR_EOF;
    if (got == 0 && size == 0) return AVERROR_EOF;
  }
  int code = av_new_packet(r->packet, size);
  if (code >= 0) memcpy(r->packet->data, data, (size_t)size);
  return code;
}

static int reader_read_packet(av_reader *r) {
  if (r->in->format == NULL) return bare_read(r);
  for (;;) {
    int code = av_read_frame(r->in->format, r->packet);
    if (code < 0) return code;
    /* An empty packet would tell the decoder that the stream ends. */
    bool empty = r->packet->size == 0 && r->packet->side_data_elems == 0;
    if (r->packet->stream_index == r->stream && !empty) return 0;
    av_packet_unref(r->packet);
  }
}

medley_status av_reader_next(av_reader *r, bool *got, medley_error *err) {
  *got = false;
  for (;;) {
    av_frame_unref(r->frame);
    int code = avcodec_receive_frame(r->decoder, r->frame);
    if (code == AVERROR(ENOMEM)) return error_memory(err, "a decoded frame");
    if (code >= 0) {
      *got = true;
      return MEDLEY_OK;
    }
    if (code == AVERROR_EOF) return MEDLEY_OK;
    if (code != AVERROR(EAGAIN)) r->broken_packets++;
    if (r->draining) return MEDLEY_OK;
    code = reader_read_packet(r);
    r->draining = code < 0;
    code = avcodec_send_packet(r->decoder, r->draining ? NULL : r->packet);
    av_packet_unref(r->packet);
    if (code == AVERROR(ENOMEM)) return error_memory(err, "a packet");
    if (code < 0) r->broken_packets++;
  }
}

bool av_reader_seek(av_reader *r, double time_s) {
  if (r->in->format == NULL) return false;
  AVRational base = r->in->format->streams[r->stream]->time_base;
  int64_t start = r->in->format->streams[r->stream]->start_time;
  int64_t at = (int64_t)(time_s / av_q2d(base)) + (start == AV_NOPTS_VALUE ? 0 : start);
  if (av_seek_frame(r->in->format, r->stream, at, AVSEEK_FLAG_BACKWARD) < 0) return false;
  avcodec_flush_buffers(r->decoder);
  r->draining = false;
  return true;
}

void av_reader_close(av_reader *r) {
  if (r->parser != NULL) av_parser_close(r->parser);
  avcodec_free_context(&r->decoder);
  av_packet_free(&r->packet);
  av_frame_free(&r->frame);
  *r = (av_reader){0};
}
