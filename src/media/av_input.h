/* media/av_input.h: FFmpeg as Medley lets it in: one local file or one block of memory, known containers only, sizes
 * bounded.
 *
 * Private to the media folder. A container may name other files (playlists, references, image sequences). Two locks
 * keep it from opening them: demuxers outside a list of self-contained formats are refused, and the hook through which
 * FFmpeg opens anything else always fails. Bytes come through our own reader over a descriptor, so that no protocol is
 * involved. One thread per object. FFmpeg's messages are silenced for the process, since a library does not print.
 */
#ifndef MEDIA_AV_INPUT_H
#define MEDIA_AV_INPUT_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdbool.h>

#include "base/error.h"

typedef struct av_source av_source; /* where the bytes come from */

typedef struct av_input {
  av_source *source;
  AVIOContext *io;
  AVFormatContext *format; /* NULL when no container was recognised but a bare MPEG audio stream was */
} av_input;

/* Regular files only. pixel_limit bounds width * height while streams are probed; 0: 100 million. */
medley_status av_input_open_file(av_input *in, const char *path, uint64_t pixel_limit, medley_error *err) MEDLEY_CHECK;
/* bytes are borrowed until av_input_close. name may give an extension as a hint, or be "". */
medley_status av_input_open_bytes(av_input *in, const void *bytes, size_t length, const char *name,
                                  uint64_t pixel_limit, medley_error *err) MEDLEY_CHECK;
void av_input_close(av_input *in); /* harmless when zeroed */

/* Frames of the best stream of one type, in the decoder's order. */
typedef struct av_reader {
  av_input *in;
  AVCodecContext *decoder;
  AVCodecParserContext *parser; /* bare MPEG audio only */
  AVPacket *packet;
  AVFrame *frame; /* valid until the next av_reader_next */
  int stream;
  bool draining;
  size_t broken_packets;
} av_reader;

/* NOT_FOUND when the file has no such stream. Decodes on the calling thread only. */
medley_status av_reader_open(av_reader *r, av_input *in, enum AVMediaType type, uint64_t pixel_limit,
                             medley_error *err) MEDLEY_CHECK;
/* The next frame into r->frame, or *got = false at the end. Broken packets are counted and passed over, and a read that
 * fails ends the stream: what was decoded before it counts. Only memory running out is an error. */
medley_status av_reader_next(av_reader *r, bool *got, medley_error *err) MEDLEY_CHECK;
/* To the key frame at or before the time; false when the file cannot seek. */
bool av_reader_seek(av_reader *r, double time_s);
void av_reader_close(av_reader *r);

/* "Invalid data found when processing input". */
const char *av_words(int code, char words[128]);

#endif
