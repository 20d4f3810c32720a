/* media/worker.h: decoding in worker processes, so that a hostile file costs one item and one sentence.
 *
 * A pool starts `workers` copies of the medley command in its hidden worker mode (found through $MEDLEY_WORKER, the
 * running program when it is medley, a medley beside it, the installed binary, then PATH), each under RLIMIT_AS,
 * RLIMIT_CPU, RLIMIT_FSIZE 0 and no core, at a lower priority, with an environment of our making and no other
 * descriptor, and behind a filter of system calls that leaves it no process, socket or write (worker_confine.h); it
 * dies with the thread that started it. Requests and samples travel over a socket pair in a length-checked frame. A
 * worker that dies, hangs past the time limit or answers nonsense is replaced, and its file is answered with a reason.
 */
#ifndef MEDIA_WORKER_H
#define MEDIA_WORKER_H

#include "base/error.h"
#include "base/progress.h"
#include "media/preparation.h"
#include "media/sample.h"

typedef struct media_limits { /* 0 means the default */
  uint64_t memory_bytes;      /* address space of one worker; default and maximum 600 MiB */
  uint32_t cpu_s;             /* CPU seconds per file; default 20 */
  uint32_t wall_s;            /* seconds per file before the worker is killed; default 30 */
  uint64_t file_bytes;        /* default 512 MiB */
  uint64_t pixels;            /* width * height as stored; default 100 million */
  uint32_t sound_s;           /* seconds of sound that are decoded, the rest is left; default 60 */
  uint32_t video_s;           /* seconds of video that are looked at; default 600 */
} media_limits;

typedef struct media_request {
  modality kind;              /* IMAGE, AUDIO or VIDEO */
  const char *path;           /* borrowed for the call */
  uint32_t image_side;        /* the longer side of pictures and frames after scaling (never enlarged); 0: 256 */
  uint32_t sound_rate_hz;     /* 0: 22050 */
  uint32_t frame_max;         /* 0: 16 */
  const preparation *prepare; /* borrowed; NULL: the usual steps */
} media_request;

typedef struct media_pool media_pool;

/* workers 0: one per processor. They start with the first run. NOT_FOUND: no medley program. */
medley_status media_pool_create(size_t workers, const media_limits *limits, media_pool **out,
                                medley_error *err) MEDLEY_CHECK;
void media_pool_free(media_pool *pool);

/* Called on the thread that runs the pool, once per request, in any order. `sample` is set when status is MEDLEY_OK,
 * and is the receiver's to keep or to deinit; otherwise `reason` is a sentence without the path. */
typedef medley_status (*media_receiver)(void *context, size_t index, medley_status status, media_sample *sample,
                                        const char *reason);

/* Decodes all requests; keeps every worker busy. Stops early when the receiver returns anything but MEDLEY_OK or the
 * progress asks to. One call at a time per pool. */
medley_status media_pool_run(media_pool *pool, const media_request *requests, size_t count, media_receiver receive,
                             void *context, progress_stage *progress, medley_error *err) MEDLEY_CHECK;

/* The whole life of a worker process: serves requests from descriptor 3 until it closes, then returns the exit status.
 */
int media_worker_main(void);

#endif
