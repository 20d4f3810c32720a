/* The worker pool: good, bad and hostile files, and workers that die, hang or talk nonsense. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "media/sound.h"
#include "media/worker_confine.h"
#include "media/worker_frame.h"
#include "media/worker_limits.h"
#include "media/worker_pool.h"

/* ---- the protocol ---- */

static const request_head asked_image = {.kind = MODALITY_IMAGE, .image_side = 8};
static const request_head asked_video = {
    .kind = MODALITY_VIDEO, .image_side = 8, .sound_rate_hz = 8000, .frame_max = 4, .limits = {.sound_s = 1}};

static media_sample video_sample(void) {
  media_sample s = {.kind = MODALITY_VIDEO, .video = {.duration_s = 2.5, .frame_count = 2, .poster = 1}};
  s.video.frames = mem_zalloc(2, sizeof(image));
  s.video.frame_time_s = mem_zalloc(2, sizeof(double));
  for (uint32_t i = 0; i < 2; i++) {
    s.video.frames[i] = (image){4, 2 + i, mem_alloc(4 * (2 + i), 3)};
    memset(s.video.frames[i].rgb, 10 + (int)i, (size_t)4 * (2 + i) * 3);
    s.video.frame_time_s[i] = i;
  }
  s.video.sound = (sound){.rate_hz = 8000, .count = 100, .samples = mem_zalloc(100, sizeof(float))};
  return s;
}

static void test_reply_round_trip(void **state) {
  (void)state;
  medley_error error;
  media_sample in = video_sample(), out;
  uint8_t *bytes;
  size_t length;
  assert_ok(reply_encode(&in, &bytes, &length, &error));
  assert_ok(reply_parse(bytes, length, &asked_video, &out, &error));
  assert_int_equal(out.video.frame_count, 2);
  assert_int_equal(out.video.poster, 1);
  assert_near(out.video.duration_s, 2.5, 0);
  assert_memory_equal(out.video.frames[1].rgb, in.video.frames[1].rgb, 36);
  assert_int_equal(out.video.sound.count, 100);
  media_sample_deinit(&out);
  /* Every shorter answer is refused, and so is a longer one. */
  for (size_t cut = 0; cut < length; cut++) {
    uint8_t *exact = mem_alloc(cut, 1); /* so that reading beyond it is seen */
    memcpy(exact, bytes, cut);
    assert_refused(reply_parse(exact, cut, &asked_video, &out, &error), MEDLEY_ERR_INPUT, "makes no sense");
    mem_free(exact);
  }
  bytes = mem_resize(bytes, length + 1, 1);
  assert_refused(reply_parse(bytes, length + 1, &asked_video, &out, &error), MEDLEY_ERR_INPUT, "too long");
  assert_refused(reply_parse(bytes, length, &asked_image, &out, &error), MEDLEY_ERR_INPUT, "makes no sense");
  mem_free(bytes);
  media_sample_deinit(&in);
}

/* One field at a time set to what a hostile worker would say. */
static void test_reply_nonsense(void **state) {
  (void)state;
  medley_error error;
  media_sample in = video_sample(), out;
  uint8_t *bytes;
  size_t length;
  static const double nan_value = NAN, negative = -1;
  static const uint32_t huge = 0xFFFFFFFFu, zero = 0, nine = 9, two = 2;
  static const uint64_t many = UINT64_MAX / 4 + 1;
  static const float not_finite = INFINITY;
  static const struct {
    size_t at, length;
    const void *value;
    const char *words;
  } rows[] = {
      {0, 8, &nan_value, "size of a video"},    {0, 8, &negative, "size of a video"},
      {8, 4, &huge, "size of a video"},         {8, 4, &zero, "size of a video"},
      {12, 4, &two, "size of a video"},         {16, 4, &nine, "size of a sound"},
      {24, 8, &many, "size of a sound"},        {32, 4, &not_finite, "not finite"},
      {432, 8, &nan_value, "times of a video"}, {432, 8, &negative, "times of a video"},
      {440, 4, &huge, "size of a picture"},     {444, 4, &nine, "size of a picture"},
      {440, 4, &zero, "size of a picture"},
  };
  assert_ok(reply_encode(&in, &bytes, &length, &error));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    uint8_t before[8];
    memcpy(before, bytes + rows[i].at, rows[i].length);
    memcpy(bytes + rows[i].at, rows[i].value, rows[i].length);
    assert_refused(reply_parse(bytes, length, &asked_video, &out, &error), MEDLEY_ERR_INPUT, rows[i].words);
    memcpy(bytes + rows[i].at, before, rows[i].length);
  }
  mem_free(bytes);
  media_sample_deinit(&in);
}

/* ---- a pool at work ---- */

#define FILES_MAX 64

typedef struct outcome {
  medley_status status;
  modality kind;
  char reason[256];
  int times; /* delivered */
} outcome;

typedef struct trial {
  outcome outcomes[FILES_MAX];
  media_pool *pool;
  size_t received, stop_after;
  int signal; /* sent to every worker after the first answer */
} trial;

static medley_status trial_receive(void *context, size_t index, medley_status status, media_sample *sample,
                                   const char *reason) {
  trial *t = context;
  outcome *o = &t->outcomes[index];
  o->status = status;
  o->times++;
  if (status == MEDLEY_OK) {
    assert_null(reason);
    o->kind = sample->kind;
    media_sample_deinit(sample);
  } else {
    assert_null(sample);
    assert_non_null(reason);
    snprintf(o->reason, sizeof o->reason, "%s", reason);
  }
  if (t->received++ == 0 && t->signal != 0)
    for (size_t i = 0; i < 8; i++)
      if (media_pool_worker_pid(t->pool, i) > 0) (void)kill(media_pool_worker_pid(t->pool, i), t->signal);
  return t->received == t->stop_after ? MEDLEY_ERR_CANCELLED : MEDLEY_OK;
}

static char folder[256];

static const char *file_path(const char *name) {
  static char paths[16][512];
  static int turn;
  char *path = paths[turn++ % 16];
  snprintf(path, 512, "%s/%s", folder, name);
  return path;
}

/* A folder with a sound, a picture, an animation and things that are none. */
static int make_files(void **state) {
  (void)state;
  medley_error error;
  test_folder(folder);
  sound s = {.rate_hz = 22050, .count = 22050, .samples = mem_zalloc(22050, sizeof(float))};
  for (size_t i = 0; i < s.count; i++) s.samples[i] = (float)(0.3 * sin(0.1 * (double)i));
  static const char ppm[] = "P6 4 2 255\n123456789012345678901234";
  /* Two frames of 1 × 1, from the GIF89a specification's blocks. */
  static const char gif[] =
      "GIF89a\1\0\1\0\x80\0\0\0\0\0\xFF\xFF\xFF!\xF9\4\0\x0A\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0!\xF9\4\0\x0A\0\0\0,"
      "\0\0\0\0\1\0\1\0\0\2\2L\1\0;";
  assert_ok(sound_save_wav(&s, file_path("tone.wav"), &error));
  assert_ok(file_write(file_path("dots.ppm"), ppm, sizeof ppm - 1, &error));
  assert_ok(file_write(file_path("two.gif"), gif, sizeof gif - 1, &error));
  assert_ok(file_write(file_path("empty.png"), "", 0, &error));
  assert_ok(file_write(file_path("text.png"), "no picture at all", 17, &error));
  assert_int_equal(mkfifo(file_path("pipe.mp3"), 0600), 0);
  sound_deinit(&s);
  return 0;
}

static int remove_files(void **state) {
  (void)state;
  return folder_remove(folder, NULL) == MEDLEY_OK ? 0 : -1;
}

static void test_pool_answers(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    modality kind;
    const char *name;
    medley_status status;
    const char *words;
  } rows[] = {
      {MODALITY_AUDIO, "tone.wav", MEDLEY_OK, ""},
      {MODALITY_IMAGE, "dots.ppm", MEDLEY_OK, ""},
      {MODALITY_VIDEO, "two.gif", MEDLEY_OK, ""},
      {MODALITY_IMAGE, "empty.png", MEDLEY_ERR_INPUT, "the file is empty"},
      {MODALITY_IMAGE, "text.png", MEDLEY_ERR_UNSUPPORTED, "not a picture"},
      {MODALITY_AUDIO, "text.png", MEDLEY_ERR_INPUT, "no sound or video format that is known here"},
      {MODALITY_VIDEO, "tone.wav", MEDLEY_ERR_NOT_FOUND, "the file has no picture stream"},
      {MODALITY_AUDIO, "pipe.mp3", MEDLEY_ERR_INPUT, "not a regular file"},
      {MODALITY_AUDIO, ".", MEDLEY_ERR_INPUT, "not a regular file"},
      {MODALITY_VIDEO, "absent.mp4", MEDLEY_ERR_NOT_FOUND, "cannot open the file: No such file"},
      {MODALITY_TEXT, "text.png", MEDLEY_ERR_USAGE, "neither picture, sound nor video"},
  };
  enum { COUNT = sizeof rows / sizeof *rows };
  media_request requests[COUNT];
  trial t = {0};
  for (size_t i = 0; i < COUNT; i++)
    requests[i] = (media_request){.kind = rows[i].kind, .path = file_path(rows[i].name)};
  assert_ok(media_pool_create(2, NULL, &t.pool, &error));
  for (int round = 0; round < 2; round++) { /* a pool serves many runs */
    assert_ok(media_pool_run(t.pool, requests, COUNT, trial_receive, &t, NULL, &error));
    for (size_t i = 0; i < COUNT; i++) {
      assert_int_equal(t.outcomes[i].times, round + 1);
      if (t.outcomes[i].status != rows[i].status || strstr(t.outcomes[i].reason, rows[i].words) == NULL)
        fail_msg("%s: %s (%s)", rows[i].name, t.outcomes[i].reason, medley_status_name(t.outcomes[i].status));
      if (strstr(t.outcomes[i].reason, folder)) fail_msg("the path is told: %s", t.outcomes[i].reason);
      if (rows[i].status == MEDLEY_OK) assert_int_equal(t.outcomes[i].kind, rows[i].kind);
    }
  }
  assert_int_equal(media_pool_started(t.pool), 2);
  media_pool_free(t.pool);
}

static void test_relative_path_and_limits(void **state) {
  (void)state;
  medley_error error;
  char before[512];
  trial t = {0};
  assert_non_null(getcwd(before, sizeof before));
  assert_int_equal(chdir(folder), 0);
  media_request requests[] = {{.kind = MODALITY_AUDIO, .path = "tone.wav"},
                              {.kind = MODALITY_IMAGE, .path = "dots.ppm"},
                              {.kind = MODALITY_IMAGE, .path = "dots.ppm", .image_side = 5000}};
  assert_ok(media_pool_create(1, &(media_limits){.file_bytes = 1000}, &t.pool, &error));
  assert_ok(media_pool_run(t.pool, requests, 3, trial_receive, &t, NULL, &error));
  assert_int_equal(t.outcomes[0].status, MEDLEY_ERR_LIMIT);
  assert_string_equal(t.outcomes[0].reason, "the file has 44144 bytes, more than the limit of 1000");
  assert_int_equal(t.outcomes[1].status, MEDLEY_OK);
  assert_int_equal(t.outcomes[2].status, MEDLEY_ERR_USAGE);
  media_pool_free(t.pool);
  assert_int_equal(chdir(before), 0);
  assert_refused(media_pool_create(1, &(media_limits){.memory_bytes = (uint64_t)1 << 32}, &t.pool, &error),
                 MEDLEY_ERR_USAGE, "at most 600 MiB of memory; 4096 MiB are asked for");
  assert_refused(media_pool_create(1000, NULL, &t.pool, &error), MEDLEY_ERR_USAGE, "1000 decoding workers");
}

/* ---- workers in trouble ---- */

static void tones(media_request *requests, size_t count) {
  for (size_t i = 0; i < count; i++)
    requests[i] = (media_request){.kind = MODALITY_AUDIO, .path = file_path("tone.wav")};
}

/* All files are answered once; those that were in hand when the signal came may be lost, no more. */
static void signal_trial(int number, uint32_t wall_s, const char *words) {
  medley_error error;
  media_request requests[20];
  trial t = {.signal = number};
  size_t lost = 0;
  tones(requests, 20);
  assert_ok(media_pool_create(2, &(media_limits){.wall_s = wall_s}, &t.pool, &error));
  assert_ok(media_pool_run(t.pool, requests, 20, trial_receive, &t, NULL, &error));
  for (size_t i = 0; i < 20; i++) {
    assert_int_equal(t.outcomes[i].times, 1);
    if (t.outcomes[i].status == MEDLEY_OK) continue;
    if (strstr(t.outcomes[i].reason, words) == NULL) fail_msg("'%s' does not say '%s'", t.outcomes[i].reason, words);
    lost++;
  }
  assert_in_range(lost, 1, 2);
  assert_true(media_pool_started(t.pool) > 2 && media_pool_started(t.pool) <= 4);
  media_pool_free(t.pool);
}

static void test_worker_killed(void **state) {
  (void)state;
  signal_trial(SIGKILL, 30, "the decoder crashed (Killed)");
}

static void test_worker_out_of_time(void **state) {
  (void)state;
  signal_trial(SIGXCPU, 30, "more than the limit of 20 seconds of processor time");
}

static void test_worker_stopped(void **state) {
  (void)state;
  double started = clock_now_s();
  signal_trial(SIGSTOP, 1, "decoding took more than the limit of 1 seconds");
  assert_true(clock_now_s() - started < 10);
}

/* Programs that are no workers. "WdlM\2\0\0\0" is the hello. */
static void test_false_workers(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    const char *script;
    medley_status status;
    const char *words;
  } rows[] = {
      {"exit 3", MEDLEY_ERR_INTERNAL, "the decoder ended before it answered; set MEDLEY_WORKER"},
      {"kill -SEGV $$", MEDLEY_ERR_INTERNAL, "crashed (Segmentation fault)"},
      {"cat /dev/zero >&3", MEDLEY_ERR_INTERNAL, "does not speak like a worker"},
      {"printf 'WdlM\\003\\000\\000\\000' >&3; cat", MEDLEY_ERR_INTERNAL,
       "does not speak like a worker of this version"},
      {"printf 'WdlM\\002\\000\\000\\000' >&3; cat <&3 >&3", MEDLEY_OK, "answered nonsense"}, /* an echo */
      {"printf 'WdlM\\002\\000\\000\\000' >&3; head -c 1 <&3; printf "
       "'WdlM\\000\\000\\000\\000\\377\\377\\377\\377\\377\\377\\377\\377' >&3; cat /dev/zero >&3",
       MEDLEY_OK, "answered nonsense"},
      {"printf 'WdlM\\002\\000\\000\\000' >&3; head -c 1 <&3; printf "
       "'WdlM\\000\\000\\000\\000\\020\\000\\000\\000\\000\\000\\000\\000x123456789012345' >&3; cat <&3",
       MEDLEY_OK, "makes no sense"},
      {"printf 'WdlM\\002\\000\\000\\000' >&3; head -c 1 <&3; kill -ABRT $$", MEDLEY_OK,
       "at the memory limit of 600 MiB"},
  };
  const char *real = getenv("MEDLEY_WORKER");
  char saved[1024];
  snprintf(saved, sizeof saved, "%s", real ? real : "");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char script[512];
    trial t = {0};
    media_request requests[3];
    int length = snprintf(script, sizeof script, "#!/bin/sh\nexec 2>/dev/null\n%s\n", rows[i].script);
    const char *path = file_path("false-worker");
    assert_ok(file_write(path, script, (size_t)length, &error));
    assert_int_equal(chmod(path, 0700), 0);
    setenv("MEDLEY_WORKER", path, 1);
    tones(requests, 3);
    assert_ok(media_pool_create(1, NULL, &t.pool, &error));
    medley_status status = media_pool_run(t.pool, requests, 3, trial_receive, &t, NULL, &error);
    const char *said = status == MEDLEY_OK ? t.outcomes[1].reason : error.text;
    if (status != rows[i].status || strstr(said, rows[i].words) == NULL)
      fail_msg("%s: %s: %s", rows[i].script, medley_status_name(status), said);
    media_pool_free(t.pool);
  }
  trial t = {0};
  setenv("MEDLEY_WORKER", "/no/such/medley", 1);
  assert_refused(media_pool_create(1, NULL, &t.pool, &error), MEDLEY_ERR_NOT_FOUND,
                 "'/no/such/medley', which is no program");
  setenv("MEDLEY_WORKER", saved, 1);
}

static void test_early_stop(void **state) {
  (void)state;
  medley_error error;
  media_request requests[20];
  trial t = {.stop_after = 3};
  tones(requests, 20);
  assert_ok(media_pool_create(2, NULL, &t.pool, &error));
  assert_int_equal(media_pool_run(t.pool, requests, 20, trial_receive, &t, NULL, &error), MEDLEY_ERR_CANCELLED);
  assert_int_equal(t.received, 3);
  assert_ok(media_pool_run(t.pool, requests, 4, trial_receive, &t, NULL, &error));
  assert_int_equal(t.received, 7);
  assert_ok(media_pool_run(t.pool, requests, 0, trial_receive, &t, NULL, &error));
  media_pool_free(t.pool);
}

/* Workers do not outlive a pool that went without a word. */
static void test_workers_end_with_the_pool(void **state) {
  (void)state;
  medley_error error;
  int pipe_ends[2];
  assert_int_equal(pipe(pipe_ends), 0);
  pid_t child = fork(), worker = 0;
  if (child == 0) {
    trial t = {0};
    media_request request = {.kind = MODALITY_AUDIO, .path = file_path("tone.wav")};
    if (media_pool_create(1, NULL, &t.pool, &error) != MEDLEY_OK) _exit(1);
    if (media_pool_run(t.pool, &request, 1, trial_receive, &t, NULL, &error) != MEDLEY_OK) _exit(2);
    worker = media_pool_worker_pid(t.pool, 0);
    if (write(pipe_ends[1], &worker, sizeof worker) != sizeof worker) _exit(3);
    (void)raise(SIGKILL);
  }
  close(pipe_ends[1]);
  assert_int_equal(read(pipe_ends[0], &worker, sizeof worker), sizeof worker);
  assert_true(worker > 0);
  bool gone = false;
  for (int i = 0; i < 300 && !gone; i++) {
    char path[64], line[512] = "";
    usleep(10000);
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)worker);
    FILE *stat = fopen(path, "re"); /* a zombie counts as gone: whose child it is now may never ask */
    gone = stat == NULL || fgets(line, sizeof line, stat) == NULL || strstr(line, ") Z ") != NULL ||
           strstr(line, ") X ") != NULL;
    if (stat != NULL) fclose(stat);
  }
  assert_true(gone);
  close(pipe_ends[0]);
}

/* ---- confinement ---- */

static void *thread_nothing(void *argument) { return argument; }

/* In a process of its own, since it cannot be undone: the number of the first thing that went otherwise than it should,
 * 0 when none did. */
static int confined_trial(pid_t parent, const char *readable, const char *writable) {
  pthread_t thread;
  char byte;
  if (!worker_confine()) return 77;
  int fd = open(readable, O_RDONLY);
  if (fd < 0 || read(fd, &byte, 1) != 1) return 1;
  if (pthread_create(&thread, NULL, thread_nothing, NULL) != 0 || pthread_join(thread, NULL) != 0) return 2;
  const struct {
    int step;
    bool refused;
  } rows[] = {
      {3, open(writable, O_WRONLY) < 0 && errno == EPERM},
      {4, open(writable, O_RDONLY | O_TRUNC) < 0 && errno == EPERM},
      {5, open("/tmp/new-file", O_CREAT | O_RDWR, 0600) < 0 && errno == EPERM},
      {6, unlink(writable) < 0 && errno == EPERM},
      {7, rename(writable, readable) < 0 && errno == EPERM},
      {8, fork() < 0 && errno == EPERM},
      {9, execl("/bin/true", "true", (char *)NULL) < 0 && errno == EPERM},
      {10, socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM},
      {11, kill(parent, 0) < 0 && errno == EPERM},
      {12, truncate(writable, 0) < 0 && errno == EPERM},
      {13, kill(getpid(), 0) == 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (!rows[i].refused) return rows[i].step;
  return 0;
}

static void test_confinement(void **state) {
  (void)state;
  int status;
  const char *readable = file_path("dots.ppm"), *writable = file_path("tone.wav");
  pid_t parent = getpid(), child = fork();
  if (child == 0) _exit(confined_trial(parent, readable, writable));
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    fprintf(stderr, "skipped: this kernel takes no filter\n");
    skip();
  }
  if (WEXITSTATUS(status) != 0) fail_msg("step %d", WEXITSTATUS(status));
}

#ifdef MEDLEY_FAULTS
static void test_memory_running_out(void **state) {
  (void)state;
  medley_error error;
  media_request requests[2];
  long n = 1;
  tones(requests, 2);
  for (bool struck = true; struck; n++) {
    trial t = {0};
    memory_fault_after(n);
    medley_status status = media_pool_create(1, NULL, &t.pool, &error);
    if (status == MEDLEY_OK) status = media_pool_run(t.pool, requests, 2, trial_receive, &t, NULL, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    media_pool_free(t.pool);
  }
  printf("%ld allocations failed in turn\n", n - 2);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reply_round_trip),   cmocka_unit_test(test_reply_nonsense),
      cmocka_unit_test(test_pool_answers),       cmocka_unit_test(test_relative_path_and_limits),
      cmocka_unit_test(test_worker_killed),      cmocka_unit_test(test_worker_out_of_time),
      cmocka_unit_test(test_worker_stopped),     cmocka_unit_test(test_false_workers),
      cmocka_unit_test(test_early_stop),         cmocka_unit_test(test_workers_end_with_the_pool),
      cmocka_unit_test(test_confinement),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_running_out),
#endif
  };
  return cmocka_run_group_tests(tests, make_files, remove_files);
}
