/* media/worker.c: the inside of a worker process: limits first, then one file after the other until the pool hangs up.
 *
 * The process is the medley command started as `medley media-worker` with a socket as descriptor 3. It cannot write
 * files (RLIMIT_FSIZE 0 and no descriptor open for writing but the socket), gain privileges, or outlive the pool. What
 * it links and how it is started is the pool's affair (media/worker_pool.c). */
#include "media/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/strbuf.h"
#include "media/preparation_media.h"
#include "media/video.h"
#include "media/worker_confine.h"
#include "media/worker_frame.h"
#include "media/worker_limits.h"

#define DESCRIPTORS_MAX 64
#define NICENESS 5

/* ---- limits ---- */

static void limit_set(__rlimit_resource_t resource, uint64_t value) {
  struct rlimit limit;
  if (getrlimit(resource, &limit) != 0) return;
  if (limit.rlim_max == RLIM_INFINITY || value < limit.rlim_max) limit.rlim_max = value;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(resource, &limit);
}

static void limits_apply(void) {
  /* Without the pool nobody wants the answers. The parent may have died before this line, so the socket's end counts as
   * well. */
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  (void)prctl(PR_SET_DUMPABLE, 0);
  (void)setpriority(PRIO_PROCESS, 0, NICENESS);
  (void)signal(SIGXFSZ, SIG_IGN); /* a library that wants a temporary file gets an error, not a signal */
  limit_set(RLIMIT_CORE, 0);
  limit_set(RLIMIT_FSIZE, 0);
  limit_set(RLIMIT_NOFILE, DESCRIPTORS_MAX);
  if (WORKER_LIMITS_ADDRESS_SPACE) limit_set(RLIMIT_AS, WORKER_MEMORY_MAX);
}

/* The soft limit moves on with each file; its signal ends the process. */
static void limits_extend(const media_limits *limits) {
  struct rusage usage;
  struct rlimit limit;
  if (WORKER_LIMITS_ADDRESS_SPACE) limit_set(RLIMIT_AS, limits->memory_bytes);
  if (getrusage(RUSAGE_SELF, &usage) != 0 || getrlimit(RLIMIT_CPU, &limit) != 0) return;
  /* The kernel counts whole seconds, so that one more is allowed. */
  limit.rlim_cur = (rlim_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + limits->cpu_s + 1;
  if (limit.rlim_max != RLIM_INFINITY && limit.rlim_cur > limit.rlim_max) limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_CPU, &limit);
}

/* ---- the socket ---- */

static bool read_whole(void *to, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t got = read(WORKER_DESCRIPTOR, (char *)to + done, length - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += (size_t)got;
  }
  return true;
}

static bool write_whole(const void *from, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t sent = send(WORKER_DESCRIPTOR, (const char *)from + done, length - done, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    done += (size_t)sent;
  }
  return true;
}

/* ---- one file ---- */

/* Animations that FFmpeg's demuxers cannot read (WebP) or would read as plain video (GIF). */
static bool is_animation(const char *path) {
  unsigned char head[12] = {0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd >= 0 ? read(fd, head, sizeof head) : -1;
  if (fd >= 0) close(fd);
  return got == (ssize_t)sizeof head &&
         (memcmp(head, "GIF8", 4) == 0 || (memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WEBP", 4) == 0));
}

static medley_status file_check(const char *path, const media_limits *limits, medley_error *err) {
  struct stat info;
  if (stat(path, &info) != 0)
    return error_set_errno(err, errno == ENOENT ? MEDLEY_ERR_NOT_FOUND : MEDLEY_ERR_IO, errno, "cannot open the file");
  if (!S_ISREG(info.st_mode)) return error_set(err, MEDLEY_ERR_INPUT, "not a regular file");
  if (info.st_size == 0) return error_set(err, MEDLEY_ERR_INPUT, "the file is empty");
  if ((uint64_t)info.st_size > limits->file_bytes)
    return error_set(err, MEDLEY_ERR_LIMIT, "the file has %lld bytes, more than the limit of %llu",
                     (long long)info.st_size, (unsigned long long)limits->file_bytes);
  return MEDLEY_OK;
}

static medley_status file_decode(const request_head *r, const char *path, media_sample *sample, medley_error *err) {
  image_options picture = preparation_image(&r->prepare);
  sound_options audio = preparation_sound(&r->prepare);
  const video_options clip = {.side = r->image_side,
                              .frame_max = r->frame_max,
                              .sound_rate_hz = r->sound_rate_hz,
                              .seconds = r->limits.video_s,
                              .sound_seconds = r->limits.sound_s,
                              .pixel_limit = r->limits.pixels};
  medley_status status = file_check(path, &r->limits, err);
  *sample = (media_sample){.kind = (modality)r->kind};
  picture.side = r->image_side;
  picture.pixel_limit = r->limits.pixels;
  audio.rate_hz = r->sound_rate_hz;
  audio.seconds = r->limits.sound_s;
  if (status != MEDLEY_OK) return status;
  if (r->kind == MODALITY_IMAGE) return image_load(path, &picture, &sample->image, err);
  if (r->kind == MODALITY_AUDIO) return sound_load(path, &audio, &sample->sound, err);
  if (is_animation(path)) return image_load_animation(path, &picture, r->frame_max, &sample->video, err);
  status = video_load(path, &clip, &sample->video, err);
  return status == MEDLEY_OK ? preparation_clip(&r->prepare, r->image_side, &sample->video, err) : status;
}

/* "'/a/b.png': no pixels" → "no pixels"; "cannot open '/a/b.png'" → "cannot open the file": the pool's caller knows the
 * path and puts its own name of the file before the sentence. */
static void reason_strip_path(const char *text, const char *path, strbuf *out) {
  size_t length = strlen(path);
  const char *hit;
  while ((hit = strstr(text, path)) != NULL) {
    const char *end = hit + length;
    bool quoted = hit > text && hit[-1] == '\'' && *end == '\'';
    if (quoted) end++;
    strbuf_append_bytes(out, text, (size_t)(hit - text) - quoted);
    bool prefix = out->length == 0 && string_starts(end, ": ");
    if (!prefix) strbuf_append(out, "the file");
    text = prefix ? end + 2 : end;
  }
  strbuf_append(out, text);
}

static bool reply_send_reason(medley_status status, const char *text, const char *path) {
  strbuf reason = {.limit = MEDLEY_ERROR_TEXT_MAX * 2};
  reason_strip_path(text, path, &reason);
  const char *words = reason.text && !reason.failed ? reason.text : "the file cannot be decoded";
  reply_head head = {WORKER_MAGIC, status, strlen(words)};
  bool sent = write_whole(&head, sizeof head) && write_whole(words, head.length);
  strbuf_deinit(&reason);
  return sent;
}

static bool request_serve(const request_head *r, const char *path) {
  medley_error error = {0};
  media_sample sample;
  uint8_t *bytes = NULL;
  size_t length = 0;
  limits_extend(&r->limits);
  medley_status status = file_decode(r, path, &sample, &error);
  if (status == MEDLEY_OK) status = reply_encode(&sample, &bytes, &length, &error);
  media_sample_deinit(&sample);
  if (status != MEDLEY_OK) return reply_send_reason(status, error.text, path);
  reply_head head = {WORKER_MAGIC, MEDLEY_OK, length};
  bool sent = write_whole(&head, sizeof head) && write_whole(bytes, length);
  mem_free(bytes);
  return sent;
}

int media_worker_main(void) {
  static char path[WORKER_PATH_MAX + 1]; /* once for the process, which does nothing else */
  worker_hello hello = {WORKER_MAGIC, WORKER_VERSION};
  request_head request;
  limits_apply();
  (void)worker_confine();
  if (!write_whole(&hello, sizeof hello)) return 1;
  while (read_whole(&request, sizeof request)) {
    bool sane = request.magic == WORKER_MAGIC && request.path_length <= WORKER_PATH_MAX &&
                request.kind < MODALITY_COUNT && request.kind != MODALITY_TEXT;
    if (!sane || !read_whole(path, request.path_length)) return 1;
    path[request.path_length] = '\0';
    if (!request_serve(&request, path)) return 1;
  }
  return 0;
}
