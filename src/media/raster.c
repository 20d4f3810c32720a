/* media/raster.c: see media/raster.h.
 *
 * libvips hands BMP and the like to ImageMagick, whose hundred other formats are the reason why untrusted loaders are
 * blocked. FFmpeg is here anyway, and its decoders can be picked one by one. A format is one line of the table below.
 */
#include "media/raster.h"

#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <limits.h>
#include <string.h>

#include "base/memory.h"

static const struct {
  const char *magic;
  size_t length;
  enum AVCodecID codec;
} formats[] = {
    {"BM", 2, AV_CODEC_ID_BMP},
    {"qoif", 4, AV_CODEC_ID_QOI},
    {"P1", 2, AV_CODEC_ID_PBM},
    {"P2", 2, AV_CODEC_ID_PGM},
    {"P3", 2, AV_CODEC_ID_PPM},
    {"P4", 2, AV_CODEC_ID_PBM},
    {"P5", 2, AV_CODEC_ID_PGM},
    {"P6", 2, AV_CODEC_ID_PPM},
    {"8BPS", 4, AV_CODEC_ID_PSD},
    {"\0\0\0\x0CjP  \r\n\x87\n", 12, AV_CODEC_ID_JPEG2000},
    {"\xFF\x4F\xFF\x51", 4, AV_CODEC_ID_JPEG2000},
};

static enum AVCodecID codec_of(const void *bytes, size_t length) {
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if (length >= formats[i].length && memcmp(bytes, formats[i].magic, formats[i].length) == 0) return formats[i].codec;
  return AV_CODEC_ID_NONE;
}

bool raster_recognises(const void *bytes, size_t length) { return codec_of(bytes, length) != AV_CODEC_ID_NONE; }

/* FFmpeg calls a picture above max_pixels invalid, like any other it does not like, so the sentence names both reasons.
 */
static medley_status decoder_error(medley_error *err, int code, uint64_t pixel_limit) {
  char text[AV_ERROR_MAX_STRING_SIZE];
  if (code == AVERROR(ENOMEM)) return error_memory(err, "a picture");
  av_strerror(code, text, sizeof text);
  return error_set(err, MEDLEY_ERR_INPUT, "the picture cannot be decoded, or has more than %llu pixels: %s",
                   (unsigned long long)pixel_limit, text);
}

static medley_status decode_frame(const void *bytes, size_t length, uint64_t pixel_limit, AVFrame *frame,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  const AVCodec *codec = avcodec_find_decoder(codec_of(bytes, length));
  AVCodecContext *context = NULL;
  AVPacket *packet = NULL;
  if (codec == NULL) FAIL(err, MEDLEY_ERR_UNSUPPORTED, "FFmpeg was built without the decoder of this picture");
  context = avcodec_alloc_context3(codec);
  packet = av_packet_alloc();
  if (context == NULL || packet == NULL || av_new_packet(packet, (int)length) != 0) TRY(error_memory(err, "a picture"));
  memcpy(packet->data, bytes, length);
  context->thread_count = 1;
  context->max_pixels = (int64_t)pixel_limit;
  int code = avcodec_open2(context, codec, NULL);
  if (code == 0) code = avcodec_send_packet(context, packet);
  if (code == 0) code = avcodec_send_packet(context, NULL);
  if (code == 0) code = avcodec_receive_frame(context, frame);
  if (code != 0) TRY(decoder_error(err, code, pixel_limit));
done:
  av_packet_free(&packet);
  avcodec_free_context(&context);
  return status;
}

static medley_status convert_frame(const AVFrame *frame, raster *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  struct SwsContext *scaler = sws_getContext(frame->width, frame->height, frame->format, frame->width, frame->height,
                                             AV_PIX_FMT_RGBA, SWS_POINT | SWS_ACCURATE_RND, NULL, NULL, NULL);
  if (scaler == NULL) FAIL(err, MEDLEY_ERR_INPUT, "the picture has pixels of a kind that cannot be converted");
  /* sws writes whole vectors; its rows need room behind the last. */
  TRY_NEW(out->rgba, (size_t)frame->width * (size_t)frame->height * 4 + 64, "a picture");
  uint8_t *planes[4] = {out->rgba};
  int strides[4] = {frame->width * 4};
  if (sws_scale(scaler, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, planes, strides) !=
      frame->height)
    FAIL(err, MEDLEY_ERR_INPUT, "the pixels of the picture cannot be converted");
  out->width = (uint32_t)frame->width;
  out->height = (uint32_t)frame->height;
done:
  sws_freeContext(scaler);
  return status;
}

medley_status raster_decode(const void *bytes, size_t length, uint64_t pixel_limit, raster *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  AVFrame *frame = av_frame_alloc();
  *out = (raster){0};
  if (frame == NULL) TRY(error_memory(err, "a picture"));
  if (length > INT_MAX / 2) FAIL(err, MEDLEY_ERR_LIMIT, "the picture file is larger than %d bytes", INT_MAX / 2);
  TRY(decode_frame(bytes, length, pixel_limit, frame, err));
  TRY(convert_frame(frame, out, err));
done:
  if (status != MEDLEY_OK) {
    mem_free(out->rgba);
    *out = (raster){0};
  }
  av_frame_free(&frame);
  return status;
}
