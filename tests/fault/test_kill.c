/* kill -9 at random moments of training while events come in: the workspace opens, what was accepted is there, the
 * generation that serves is whole.
 *
 * Usage: test_kill [KILLS]   (12 by default; the long suite says 200)
 *
 * Two processes are killed at once: the command that trains, and this program itself as a writer, which says on a pipe
 * each event that was accepted. */
#include <fcntl.h>
#include <medley/medley.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "engine/workspace.h"
#include "test.h"
#include "workspace_fixture.h"

#define USERS 30
#define ITEMS 40
#define PER_USER 8

extern char **environ;
static int kills_wanted = 12;
static char self[512];

/* The writer: a byte for each accepted event, until it is killed. */
static int write_events(const char *path) {
  medley_error error;
  medley_workspace *w;
  char user[16], item[16];
  if (medley_workspace_open(path, &w, &error) != MEDLEY_OK) return 2;
  for (int i = 0;; i++) {
    snprintf(user, sizeof user, "u%d", i % USERS);
    snprintf(item, sizeof item, "i%d", i * 7 % ITEMS);
    medley_event event = {.user = user, .item = item, .time_s = MEDLEY_TIME_UNKNOWN};
    medley_status status = medley_put_event(w, &event, &error);
    if (status == MEDLEY_ERR_BUSY) continue;
    if (status != MEDLEY_OK || write(1, "+", 1) != 1) return 3;
    usleep(1000);
  }
}

static pid_t start(const char *program, const char *const *arguments, int output) {
  pid_t child;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  if (posix_spawn(&child, program, &actions, NULL, (char *const *)arguments, environ) != 0)
    fail_msg("cannot run '%s'", program);
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

static pid_t start_training(const char *path) {
  const char *command = getenv("MEDLEY_COMMAND");
  const char *arguments[] = {"medley", "train", path, "--models", "popular,itemknn,content", "--quiet", NULL};
  int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
  assert_non_null(command);
  pid_t child = start(command, arguments, nothing);
  close(nothing);
  return child;
}

/* How the child ended: true when it had finished well by itself, false when it was killed. */
static bool end(pid_t child) {
  int outcome;
  kill(child, SIGKILL);
  assert_int_equal(waitpid(child, &outcome, 0), child);
  if (WIFEXITED(outcome)) {
    assert_int_equal(WEXITSTATUS(outcome), 0);
    return true;
  }
  assert_true(WIFSIGNALED(outcome) && WTERMSIG(outcome) == SIGKILL);
  return false;
}

static uint64_t accepted_so_far(int from) {
  char bytes[4096];
  uint64_t count = 0;
  for (ssize_t got; (got = read(from, bytes, sizeof bytes)) > 0;) count += (uint64_t)got;
  return count;
}

/* Every numbered generation is whole; anything else in models/ is what a killed run was writing. */
static void generations_check(medley_workspace *w, const char *path, size_t *unfinished) {
  medley_error error;
  char folder[600], **names;
  size_t count;
  int64_t current;
  bool there = false;
  snprintf(folder, sizeof folder, "%s/models", path);
  assert_ok(folder_list(folder, &names, &count, &error));
  assert_ok(generation_current(path, &current, &error));
  *unfinished = 0;
  for (size_t i = 0; i < count; i++) {
    long long number;
    generation *g;
    if (!string_to_int64(names[i], &number)) {
      assert_non_null(strstr(names[i], ".tmp-"));
      ++*unfinished;
      continue;
    }
    assert_ok(generation_load(path, number, w->kind, w->store, &g, &error));
    generation_free(g);
    there |= number == current;
  }
  assert_true(there);
  folder_list_free(names, count);
}

/* The workspace after everybody was killed. */
static void workspace_check(const char *path, uint64_t events, size_t *unfinished) {
  medley_error error;
  medley_workspace *w;
  medley_answer *answer;
  store_counts counts;
  strbuf report = {0};
  assert_ok(medley_workspace_open(path, &w, &error));
  assert_ok(w->kind->check(w->store, &report, &error));
  if (report.length > 0) fail_msg("%s", report.text);
  assert_ok(w->kind->counts(w->store, &counts, &error));
  /* An event may be on disk although its writer did not live to say so; never the other way round. */
  if (counts.events < events || counts.events > events + 1)
    fail_msg("%llu events were accepted, %llu are there", (unsigned long long)events,
             (unsigned long long)counts.events);
  assert_int_equal(counts.items, ITEMS);
  generations_check(w, path, unfinished);
  assert_ok(medley_recommend(w, &(medley_recommend_query){.user = "u3"}, &answer, &error));
  assert_true(answer->count > 0);
  medley_answer_free(answer);
  strbuf_deinit(&report);
  medley_workspace_close(w);
}

static uint64_t events_there(const char *path) {
  medley_error error;
  medley_workspace *w;
  store_counts counts;
  assert_ok(medley_workspace_open(path, &w, &error));
  assert_ok(w->kind->counts(w->store, &counts, &error));
  medley_workspace_close(w);
  return counts.events;
}

static void test_killed_training(void **state) {
  (void)state;
  medley_error error;
  char root[256], path[300];
  int outcome;
  size_t unfinished = 0, seen_unfinished = 0, killed = 0;
  rng r;
  rng_seed(&r, (uint64_t)getpid());
  test_folder(root);
  snprintf(path, sizeof path, "%s/shop", root);
  workspace_fill(path, USERS, ITEMS, PER_USER);
  double started = clock_now_s();
  pid_t child = start_training(path);
  assert_true(waitpid(child, &outcome, 0) == child && WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0);
  double usual_s = clock_now_s() - started;
  for (int k = 0; k < kills_wanted; k++) {
    int ends[2];
    uint64_t before = events_there(path);
    const char *arguments[] = {self, "--write", path, NULL};
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t writer = start(self, arguments, ends[1]);
    child = start_training(path);
    close(ends[1]);
    usleep((useconds_t)(1.1e6 * usual_s * rng_uniform(&r)));
    killed += !end(child);
    assert_false(end(writer));
    uint64_t accepted = accepted_so_far(ends[0]);
    close(ends[0]);
    workspace_check(path, before + accepted, &unfinished);
    seen_unfinished += unfinished > 0;
  }
  fprintf(stderr, "%zu of %d trainings were killed, %zu while they wrote their generation; one takes %.2f s\n", killed,
          kills_wanted, seen_unfinished, usual_s);
  assert_true(killed > 0);
  /* The next training that is left alone clears away what the killed ones left. */
  child = start_training(path);
  assert_true(waitpid(child, &outcome, 0) == child && WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0);
  workspace_check(path, events_there(path), &unfinished);
  assert_int_equal(unfinished, 0);
  assert_ok(folder_remove(root, &error));
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--write") == 0) return write_events(argv[2]);
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  self[length > 0 ? length : 0] = '\0';
  if (argc > 1) kills_wanted = atoi(argv[1]);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed_training)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
