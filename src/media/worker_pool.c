/* media/worker_pool.c: the outside of the workers, see media/worker.h.
 *
 * One thread and poll(): the work is in the workers, and what is left here is copying bytes. A worker is starting (no
 * hello yet), idle, or busy with one request; it gets the next one before its last answer is handed on, so that it
 * works while the receiver does. Whatever goes wrong with a worker ends in the same place, worker_lose: killed, reaped,
 * its file answered with a sentence, and a fresh one started when there is work. */
#include "media/worker_pool.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "media/worker_frame.h"
#include "media/worker_limits.h"
#include "media/worker_spawn.h"

#define WORKERS_MAX 256
#define NO_REQUEST SIZE_MAX
#define READ_BLOCK_BYTES ((size_t)256 << 10)
#define REASON_BYTES_MAX 4096
#define START_S_MAX 30.0
#define FAILED_STARTS_MAX 3
#define WATCH_INTERVAL_S 0.05 /* between looks at the resident size, where the address space cannot be limited */

#define IMAGE_SIDE_DEFAULT 256
#define SOUND_RATE_DEFAULT_HZ 22050
#define FRAMES_DEFAULT 16

static const media_limits limits_default = {.memory_bytes = WORKER_MEMORY_MAX,
                                            .cpu_s = 20,
                                            .wall_s = 30,
                                            .file_bytes = (uint64_t)512 << 20,
                                            .pixels = 100000000,
                                            .sound_s = 60,
                                            .video_s = 600};

typedef struct pool_worker {
  pid_t pid; /* 0: not running */
  int fd;
  bool ready;     /* has said hello */
  bool answered;  /* a request since then */
  size_t index;   /* of the request in hand, or NO_REQUEST */
  double limit_s; /* on clock_now_s: killed after it */
  request_head asked;
  char path[WORKER_PATH_MAX]; /* not terminated: asked.path_length bytes */
  size_t sent;                /* of the head and the path */
  uint8_t *in;                /* [in_used] of the answer, head included */
  size_t in_used, in_capacity;
} pool_worker;

struct media_pool {
  char *program;
  media_limits limits;
  pool_worker *workers;
  size_t count, started, failed_starts;
};

typedef struct run {
  media_pool *pool;
  const media_request *requests;
  size_t count, next, done;
  media_receiver receive;
  void *context;
  progress_stage *progress;
  medley_error *err;
} run;

/* ---- life of a pool ---- */

static uint64_t or_default(uint64_t value, uint64_t fallback) { return value ? value : fallback; }

static medley_status limits_complete(const media_limits *given, media_limits *l, medley_error *err) {
  *l = limits_default;
  if (given == NULL) return MEDLEY_OK;
  l->memory_bytes = or_default(given->memory_bytes, l->memory_bytes);
  l->cpu_s = (uint32_t)or_default(given->cpu_s, l->cpu_s);
  l->wall_s = (uint32_t)or_default(given->wall_s, l->wall_s);
  l->file_bytes = or_default(given->file_bytes, l->file_bytes);
  l->pixels = or_default(given->pixels, l->pixels);
  l->sound_s = (uint32_t)or_default(given->sound_s, l->sound_s);
  l->video_s = (uint32_t)or_default(given->video_s, l->video_s);
  if (l->memory_bytes > WORKER_MEMORY_MAX)
    return error_set(err, MEDLEY_ERR_USAGE,
                     "a decoding worker may have at most %d MiB of memory; %llu MiB are asked for",
                     (int)(WORKER_MEMORY_MAX >> 20), (unsigned long long)(l->memory_bytes >> 20));
  return MEDLEY_OK;
}

medley_status media_pool_create(size_t workers, const media_limits *limits, media_pool **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  media_pool *pool = NULL;
  *out = NULL;
  if (workers == 0) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    workers = processors < 1 ? 1 : (size_t)processors < WORKERS_MAX ? (size_t)processors : WORKERS_MAX;
  }
  if (workers > WORKERS_MAX)
    FAIL(err, MEDLEY_ERR_USAGE, "%zu decoding workers; choose at most %d", workers, WORKERS_MAX);
  TRY_NEW(pool, 1, "a worker pool");
  TRY(limits_complete(limits, &pool->limits, err));
  TRY(worker_program_find(&pool->program, err));
  TRY_NEW(pool->workers, workers, "a worker pool");
  pool->count = workers;
  for (size_t i = 0; i < workers; i++) pool->workers[i] = (pool_worker){.fd = -1, .index = NO_REQUEST};
  *out = pool;
  pool = NULL;
done:
  media_pool_free(pool);
  return status;
}

/* Kills and reaps. Keeps the receive buffer. */
static void worker_end(pool_worker *w) {
  if (w->pid > 0) {
    (void)kill(w->pid, SIGKILL);
    while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR) continue;
  }
  if (w->fd >= 0) close(w->fd);
  w->pid = 0;
  w->fd = -1;
  w->ready = false;
  w->index = NO_REQUEST;
  w->in_used = 0;
}

void media_pool_free(media_pool *pool) {
  if (pool == NULL) return;
  for (size_t i = 0; i < pool->count; i++) {
    worker_end(&pool->workers[i]);
    mem_free(pool->workers[i].in);
  }
  mem_free(pool->workers);
  mem_free(pool->program);
  mem_free(pool);
}

pid_t media_pool_worker_pid(const media_pool *pool, size_t n) { return n < pool->count ? pool->workers[n].pid : 0; }
size_t media_pool_started(const media_pool *pool) { return pool->started; }

static medley_status worker_start(media_pool *pool, pool_worker *w, medley_error *err) {
  medley_status status = worker_spawn(pool->program, &w->pid, &w->fd, err);
  if (status != MEDLEY_OK) return status;
  w->limit_s = clock_now_s() + START_S_MAX;
  pool->started++;
  return MEDLEY_OK;
}

/* ---- requests ---- */

/* The path as the worker sees it: it was started in the folder that was current then. */
static bool path_write(const char *path, char to[WORKER_PATH_MAX], uint32_t *length) {
  char folder[PATH_MAX];
  int written = -1;
  if (path[0] == '/')
    written = snprintf(to, WORKER_PATH_MAX, "%s", path);
  else if (getcwd(folder, sizeof folder) != NULL)
    written = snprintf(to, WORKER_PATH_MAX, "%s/%s", folder, path);
  *length = written > 0 ? (uint32_t)written : 0;
  return written > 0 && (uint32_t)written < WORKER_PATH_MAX;
}

/* What is wrong with a request, or NULL. The worker is not asked about it. */
static const char *request_write(const media_pool *pool, const media_request *r, pool_worker *w) {
  w->asked = (request_head){.magic = WORKER_MAGIC,
                            .kind = (uint32_t)r->kind,
                            .image_side = r->image_side ? r->image_side : IMAGE_SIDE_DEFAULT,
                            .sound_rate_hz = r->sound_rate_hz ? r->sound_rate_hz : SOUND_RATE_DEFAULT_HZ,
                            .frame_max = r->frame_max ? r->frame_max : FRAMES_DEFAULT,
                            .limits = pool->limits};
  if (r->prepare != NULL) w->asked.prepare = *r->prepare;
  if (r->kind != MODALITY_IMAGE && r->kind != MODALITY_AUDIO && r->kind != MODALITY_VIDEO)
    return "neither picture, sound nor video was asked for";
  if (w->asked.image_side > WORKER_SIDE_MAX || w->asked.frame_max > WORKER_FRAMES_MAX)
    return "pictures larger than 4096 pixels or more than 1024 frames were asked for";
  if (!path_write(r->path, w->path, &w->asked.path_length)) return "the path is too long";
  return NULL;
}

/* False when the socket is broken. */
static bool request_send(pool_worker *w) {
  while (w->sent < sizeof w->asked + w->asked.path_length) {
    bool head = w->sent < sizeof w->asked;
    const char *from = head ? (const char *)&w->asked + w->sent : w->path + (w->sent - sizeof w->asked);
    size_t left = head ? sizeof w->asked - w->sent : w->asked.path_length - (w->sent - sizeof w->asked);
    ssize_t sent = send(w->fd, from, left, MSG_NOSIGNAL | (head ? MSG_MORE : 0));
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN;
    w->sent += (size_t)sent;
  }
  return true;
}

/* ---- answers ---- */

static medley_status deliver(run *r, size_t index, medley_status result, media_sample *sample, const char *reason) {
  medley_status status = MEDLEY_OK;
  r->done++;
  TRY(r->receive(r->context, index, result, sample, reason));
  if (r->progress != NULL) TRY(progress_update(r->progress, r->done, r->err));
done:
  return status;
}

/* Tells the deaths apart that a user can do something about. */
static void death_describe(int wait_status, const media_limits *l, char reason[256]) {
  int number = wait_status != -1 && WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
  switch (number) {
    case SIGXCPU:
      snprintf(reason, 256, "decoding took more than the limit of %u seconds of processor time", l->cpu_s);
      break;
    case SIGABRT:
    case SIGTRAP: /* how GLib ends a process without memory */
      snprintf(reason, 256, "the decoder gave up, most likely at the memory limit of %llu MiB",
               (unsigned long long)(l->memory_bytes >> 20));
      break;
    case 0: snprintf(reason, 256, "the decoder ended before it answered"); break;
    default: snprintf(reason, 256, "the decoder crashed (%s)", strsignal(number)); break;
  }
}

/* The socket closed, so the worker is about to be gone by itself: a moment's patience tells how it died. -1: not known.
 */
static int worker_reap_soon(pool_worker *w) {
  int wait_status = -1;
  for (int i = 0; i < 200 && w->pid > 0; i++) {
    pid_t reaped = waitpid(w->pid, &wait_status, WNOHANG);
    if (reaped == 0) {
      usleep(1000);
      continue;
    }
    w->pid = reaped < 0 && errno == EINTR ? w->pid : 0; /* its number may belong to another process now */
  }
  return w->pid == 0 ? wait_status : -1;
}

/* A worker that never answered anything went: is the program one at all? */
static medley_status failed_start_count(run *r, const char *why) {
  if (++r->pool->failed_starts < FAILED_STARTS_MAX) return MEDLEY_OK;
  return error_set(r->err, MEDLEY_ERR_INTERNAL,
                   "the decoding worker '%s' does not work: %s; set MEDLEY_WORKER to a medley program of this version",
                   r->pool->program, why);
}

/* The worker is done for. `why` NULL: its socket closed, look at how it died. */
static medley_status worker_lose(run *r, pool_worker *w, const char *why) {
  char reason[256];
  size_t index = w->index;
  bool was_ready = w->ready;
  int wait_status = why == NULL ? worker_reap_soon(w) : -1;
  worker_end(w);
  death_describe(wait_status, &r->pool->limits, reason);
  if (why == NULL) why = reason;
  if (!was_ready) return failed_start_count(r, why);
  return index == NO_REQUEST ? MEDLEY_OK : deliver(r, index, MEDLEY_ERR_INPUT, NULL, why);
}

/* The largest answer that this request can have. */
static uint64_t reply_limit(const request_head *q) {
  uint64_t picture = 16 + (uint64_t)q->image_side * q->image_side * 3;
  uint64_t track = 16 + ((uint64_t)q->limits.sound_s + 1) * q->sound_rate_hz * sizeof(float), limit;
  limit = q->kind == MODALITY_IMAGE ? picture : q->kind == MODALITY_AUDIO ? track : 16 + track + q->frame_max * picture;
  return limit < WORKER_REPLY_MAX ? limit : WORKER_REPLY_MAX;
}

/* Reads what has come, up to `wanted` bytes in all. *open = false when the other end closed. */
static medley_status answer_read(pool_worker *w, size_t wanted, bool *open, medley_error *err) {
  medley_status status = MEDLEY_OK;
  while (w->in_used < wanted) {
    size_t block = wanted - w->in_used < READ_BLOCK_BYTES ? wanted - w->in_used : READ_BLOCK_BYTES;
    TRY_GROW(w->in, w->in_capacity, w->in_used + block, "a decoded sample");
    ssize_t got = recv(w->fd, w->in + w->in_used, block, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      *open = false;
      break;
    }
    w->in_used += (size_t)got;
  }
done:
  return status;
}

static medley_status worker_assign(run *r, pool_worker *w);

/* A complete answer stands in w->in. It is copied out of there first, then the worker gets its next request, and only
 * then does the receiver see the answer. */
static medley_status answer_take(run *r, pool_worker *w, const reply_head *head) {
  medley_status status = MEDLEY_OK, answer = MEDLEY_OK;
  medley_error said = {0};
  media_sample sample = {0};
  const uint8_t *body = w->in + sizeof *head;
  size_t index = w->index;
  if (head->status == MEDLEY_OK) {
    answer = reply_parse(body, (size_t)head->length, &w->asked, &sample, &said);
    if (answer == MEDLEY_ERR_MEMORY) FAIL(r->err, MEDLEY_ERR_MEMORY, "%s", said.text);
    if (answer != MEDLEY_OK) return worker_lose(r, w, said.text);
  } else {
    answer = head->status <= MEDLEY_ERR_INTERNAL ? (medley_status)head->status : MEDLEY_ERR_INPUT;
    snprintf(said.text, sizeof said.text, "%.*s", (int)head->length, (const char *)body);
  }
  w->index = NO_REQUEST;
  w->in_used = 0;
  w->answered = true;
  r->pool->failed_starts = 0;
  status = worker_assign(r, w);
  if (status != MEDLEY_OK)
    media_sample_deinit(&sample);
  else
    status = deliver(r, index, answer, answer == MEDLEY_OK ? &sample : NULL, answer == MEDLEY_OK ? NULL : said.text);
done:
  return status;
}

static medley_status worker_hear_hello(run *r, pool_worker *w) {
  medley_status status = MEDLEY_OK;
  worker_hello hello;
  bool open = true;
  TRY(answer_read(w, sizeof hello, &open, r->err));
  if (w->in_used == sizeof hello) {
    memcpy(&hello, w->in, sizeof hello);
    w->in_used = 0;
    if (hello.magic != WORKER_MAGIC || hello.version != WORKER_VERSION)
      return worker_lose(r, w, "it does not speak like a worker of this version");
    w->ready = true;
    w->answered = false;
    return worker_assign(r, w);
  }
  if (!open) return worker_lose(r, w, NULL);
done:
  return status;
}

static medley_status worker_hear(run *r, pool_worker *w) {
  medley_status status = MEDLEY_OK;
  reply_head head;
  bool open = true;
  if (!w->ready) return worker_hear_hello(r, w);
  if (w->index == NO_REQUEST) return worker_lose(r, w, "it spoke unasked");
  TRY(answer_read(w, sizeof head, &open, r->err));
  if (w->in_used >= sizeof head) {
    memcpy(&head, w->in, sizeof head);
    uint64_t limit = head.status == MEDLEY_OK ? reply_limit(&w->asked) : REASON_BYTES_MAX;
    if (head.magic != WORKER_MAGIC || head.length > limit) return worker_lose(r, w, "the decoder answered nonsense");
    TRY(answer_read(w, sizeof head + (size_t)head.length, &open, r->err));
    if (w->in_used == sizeof head + head.length) return answer_take(r, w, &head);
  }
  if (!open) return worker_lose(r, w, NULL);
done:
  return status;
}

/* ---- the loop ---- */

/* Gives an idle worker the next request that can be sent; requests that make no sense are answered at once. */
static medley_status worker_assign(run *r, pool_worker *w) {
  medley_status status = MEDLEY_OK;
  char byte;
  while (r->next < r->count) {
    /* An idle worker has nothing to say. One that died or babbles since then must not cost a file. */
    ssize_t got = recv(w->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got >= 0 || errno != EAGAIN) {
      bool answered = w->answered;
      worker_end(w);
      if (!answered) TRY(failed_start_count(r, "it says hello and no more"));
      break;
    }
    size_t index = r->next++;
    const char *wrong = request_write(r->pool, &r->requests[index], w);
    if (wrong != NULL) {
      TRY(deliver(r, index, MEDLEY_ERR_USAGE, NULL, wrong));
      continue;
    }
    w->index = index;
    w->sent = 0;
    w->limit_s = clock_now_s() + r->pool->limits.wall_s;
    if (!request_send(w)) TRY(worker_lose(r, w, NULL));
    break;
  }
done:
  return status;
}

static uint64_t resident_bytes(pid_t pid) {
  char path[64];
  unsigned long long pages = 0;
  snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
  FILE *statm = fopen(path, "re");
  if (statm == NULL) return 0;
  if (fscanf(statm, "%*u %llu", &pages) != 1) pages = 0;
  fclose(statm);
  return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static medley_status workers_check_limits(run *r) {
  medley_status status = MEDLEY_OK;
  char reason[128];
  double now = clock_now_s();
  for (size_t i = 0; i < r->pool->count; i++) {
    pool_worker *w = &r->pool->workers[i];
    if (w->pid == 0 || (w->ready && w->index == NO_REQUEST)) continue;
    if (now >= w->limit_s) {
      snprintf(reason, sizeof reason, "decoding took more than the limit of %u seconds", r->pool->limits.wall_s);
      TRY(worker_lose(r, w, reason));
    } else if (!WORKER_LIMITS_ADDRESS_SPACE && resident_bytes(w->pid) > r->pool->limits.memory_bytes) {
      snprintf(reason, sizeof reason, "decoding took more than the memory limit of %llu MiB",
               (unsigned long long)(r->pool->limits.memory_bytes >> 20));
      TRY(worker_lose(r, w, reason));
    }
  }
done:
  return status;
}

/* As many workers as there is work for; those that run and are idle get some. */
static medley_status workers_fill(run *r) {
  medley_status status = MEDLEY_OK;
  size_t starting = 0;
  for (size_t i = 0; i < r->pool->count; i++) {
    pool_worker *w = &r->pool->workers[i];
    if (w->pid > 0 && w->ready && w->index == NO_REQUEST) TRY(worker_assign(r, w));
    starting += w->pid > 0 && !w->ready;
  }
  for (size_t i = 0; i < r->pool->count; i++) {
    pool_worker *w = &r->pool->workers[i];
    if (w->pid > 0 || r->count - r->next <= starting) continue;
    TRY(worker_start(r->pool, w, r->err));
    starting++;
  }
done:
  return status;
}

static int poll_timeout_ms(const media_pool *pool) {
  double now = clock_now_s(), left = WORKER_LIMITS_ADDRESS_SPACE ? 60 : WATCH_INTERVAL_S;
  for (size_t i = 0; i < pool->count; i++) {
    const pool_worker *w = &pool->workers[i];
    bool busy = w->pid > 0 && (!w->ready || w->index != NO_REQUEST);
    if (busy && w->limit_s - now < left) left = w->limit_s - now;
  }
  return left <= 0 ? 0 : (int)(left * 1000) + 1;
}

static medley_status run_step(run *r) {
  medley_status status = MEDLEY_OK;
  struct pollfd polled[WORKERS_MAX];
  media_pool *pool = r->pool;
  for (size_t i = 0; i < pool->count; i++) {
    const pool_worker *w = &pool->workers[i];
    bool sending = w->index != NO_REQUEST && w->sent < sizeof w->asked + w->asked.path_length;
    polled[i] =
        (struct pollfd){.fd = w->fd, .events = (short)(POLLIN | (sending ? POLLOUT : 0))}; /* fd -1 is passed over */
  }
  int ready = poll(polled, pool->count, poll_timeout_ms(pool));
  if (ready < 0 && errno != EINTR)
    FAIL(r->err, MEDLEY_ERR_IO, "cannot wait for the decoding workers (errno %d)", errno);
  for (size_t i = 0; ready > 0 && i < pool->count; i++) {
    pool_worker *w = &pool->workers[i];
    if (polled[i].revents == 0 || w->fd != polled[i].fd) continue;
    if ((polled[i].revents & POLLOUT) && !request_send(w)) TRY(worker_lose(r, w, NULL));
    if (w->fd >= 0 && (polled[i].revents & (POLLIN | POLLHUP | POLLERR))) TRY(worker_hear(r, w));
  }
  TRY(workers_check_limits(r));
done:
  return status;
}

medley_status media_pool_run(media_pool *pool, const media_request *requests, size_t count, media_receiver receive,
                             void *context, progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  run r = {.pool = pool,
           .requests = requests,
           .count = count,
           .receive = receive,
           .context = context,
           .progress = progress,
           .err = err};
  pool->failed_starts = 0;
  while (r.done < count) {
    TRY(workers_fill(&r));
    if (r.done < count) TRY(run_step(&r));
  }
done:
  /* After an early end the busy ones are at files that nobody wants any more. */
  for (size_t i = 0; i < pool->count; i++)
    if (pool->workers[i].index != NO_REQUEST) worker_end(&pool->workers[i]);
  return status;
}
