/* media/worker_frame.h: what a pool and its workers say to each other, private to the media folder.
 *
 * Both ends are the same program on the same machine, so numbers are in its byte order and requests are plain
 * structures. Answers come from a process that has handled hostile bytes: reply_parse trusts nothing in them, not even
 * floats.
 *
 *     worker → pool, once:  hello  { magic, version }
 *     pool → worker:        request_head, then path_length bytes of path
 *     worker → pool:        reply_head, then `length` bytes: the sentence when status is not MEDLEY_OK, otherwise
 *         image   picture                                    picture: u32 width, u32 height, width * height * 3 bytes
 *         audio   sound                                      sound:   u32 rate, u32 0, u64 count, count floats
 *         video   f64 duration, u32 frames, u32 poster, sound, then per frame f64 time, picture
 */
#ifndef MEDIA_WORKER_FRAME_H
#define MEDIA_WORKER_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "media/sample.h"
#include "media/worker.h"

#define WORKER_MAGIC 0x4D6C6457u /* "WdlM" */
#define WORKER_VERSION 2u
#define WORKER_DESCRIPTOR 3
#define WORKER_PATH_MAX 4096u
#define WORKER_SIDE_MAX 4096u
#define WORKER_FRAMES_MAX 1024u
#define WORKER_REPLY_MAX ((uint64_t)400 << 20) /* bytes; nothing larger fits into a worker's memory */

typedef struct worker_hello {
  uint32_t magic, version;
} worker_hello;

typedef struct request_head {
  uint32_t magic, kind, image_side, sound_rate_hz, frame_max, path_length;
  media_limits limits;
  preparation prepare;
} request_head;

typedef struct reply_head {
  uint32_t magic, status;
  uint64_t length;
} reply_head;

/* The bytes of a successful answer; mem_free. */
medley_status reply_encode(const media_sample *sample, uint8_t **bytes, size_t *length, medley_error *err) MEDLEY_CHECK;
/* The answer to `asked`. INPUT when the bytes are not what a sound worker sends; sample is then zero. */
medley_status reply_parse(const uint8_t *bytes, size_t length, const request_head *asked, media_sample *sample,
                          medley_error *err) MEDLEY_CHECK;

#endif
