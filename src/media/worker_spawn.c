/* media/worker_spawn.c: see media/worker_spawn.h.
 *
 * posix_spawn rather than fork: the parent may have many threads and gigabytes mapped. */
#include "media/worker_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "media/worker_frame.h"
#include "media/worker_limits.h"

#define SOCKET_BUFFER_BYTES (1 << 20)
#define PROGRAM_PATH_MAX 4096

/* ---- finding ---- */

static bool is_program(const char *path) { return access(path, X_OK) == 0 && !file_is_folder(path); }

/* "<folder>/medley" when it is a program. */
static bool program_in(const char *folder, size_t length, char out[PROGRAM_PATH_MAX]) {
  int written = snprintf(out, PROGRAM_PATH_MAX, "%.*s/medley", (int)length, folder);
  return length > 0 && written < PROGRAM_PATH_MAX && is_program(out);
}

static bool program_in_path(char out[PROGRAM_PATH_MAX]) {
  const char *path = getenv("PATH");
  while (path != NULL && *path != '\0') {
    size_t length = strcspn(path, ":");
    if (path[0] == '/' && program_in(path, length, out)) return true;
    path += length + (path[length] == ':');
  }
  return false;
}

static bool program_search(char out[PROGRAM_PATH_MAX]) {
  const char *given = getenv("MEDLEY_WORKER");
  if (given != NULL && *given != '\0') return snprintf(out, PROGRAM_PATH_MAX, "%s", given) < PROGRAM_PATH_MAX;
  ssize_t length = readlink("/proc/self/exe", out, PROGRAM_PATH_MAX - 1);
  if (length > 0) {
    char self[PROGRAM_PATH_MAX];
    out[length] = '\0';
    memcpy(self, out, (size_t)length + 1);
    if (strcmp(path_name(self), "medley") == 0) return true;
    if (program_in(self, (size_t)(path_name(self) - self - 1), out)) return true;
  }
  return program_in(MEDLEY_BINDIR, strlen(MEDLEY_BINDIR), out) || program_in_path(out);
}

medley_status worker_program_find(char **program, medley_error *err) {
  char found[PROGRAM_PATH_MAX];
  if (!program_search(found))
    return error_set(
        err, MEDLEY_ERR_NOT_FOUND,
        "no medley program to decode media with: not beside the running program, not in %s, not in PATH; set "
        "MEDLEY_WORKER to its path",
        MEDLEY_BINDIR);
  if (!is_program(found))
    return error_set(err, MEDLEY_ERR_NOT_FOUND, "MEDLEY_WORKER names '%s', which is no program", found);
  *program = mem_strdup(found);
  return *program ? MEDLEY_OK : error_memory(err, "a path");
}

/* ---- starting ---- */

/* What a worker knows of the world. Nothing of the user's comes through but where libraries lie. One thread everywhere,
 * and one heap arena: each further arena would reserve 64 MiB of the address space. */
static const char *const environment[] = {
    "PATH=/usr/bin:/bin",
    "LC_ALL=C.UTF-8",
    "VIPS_CONCURRENCY=1",
    "OMP_NUM_THREADS=1",
    "OPENBLAS_NUM_THREADS=1",
    "MALLOC_ARENA_MAX=1",
#if !WORKER_LIMITS_ADDRESS_SPACE
    "ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=8:handle_abort=1",
    "UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS=report_bugs=0", /* GLib and libvips are not instrumented: it would report their locks as missing */
#endif
};
#define ENVIRONMENT_COUNT (sizeof environment / sizeof *environment)

static int actions_fill(posix_spawn_file_actions_t *actions, int theirs) {
  int code = posix_spawn_file_actions_adddup2(actions, theirs, WORKER_DESCRIPTOR);
  if (code == 0) code = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
  if (code == 0) code = posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
#if WORKER_LIMITS_ADDRESS_SPACE /* a sanitiser's report goes where the tests see it; libraries' chatter nowhere */
  if (code == 0) code = posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0);
#endif
  if (code == 0) code = posix_spawn_file_actions_addclosefrom_np(actions, WORKER_DESCRIPTOR + 1);
  return code;
}

/* Signals as in a fresh process, and a group of its own, so that Ctrl-C reaches the pool and not its workers. */
static int attributes_fill(posix_spawnattr_t *attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  int code = posix_spawnattr_setsigmask(attributes, &none);
  if (code == 0) code = posix_spawnattr_setsigdefault(attributes, &all);
  if (code == 0) code = posix_spawnattr_setpgroup(attributes, 0);
  if (code == 0)
    code = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  return code;
}

static int spawn_with(const char *program, int theirs, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  char libraries[PROGRAM_PATH_MAX];
  const char *variables[ENVIRONMENT_COUNT + 2] = {0}, *folders = getenv("LD_LIBRARY_PATH");
  memcpy(variables, environment, sizeof environment);
  if (folders != NULL && snprintf(libraries, sizeof libraries, "LD_LIBRARY_PATH=%s", folders) < (int)sizeof libraries)
    variables[ENVIRONMENT_COUNT] = libraries;
  char *arguments[] = {(char *)program, (char *)"media-worker", NULL};
  int code = posix_spawn_file_actions_init(&actions);
  if (code != 0) return code;
  code = posix_spawnattr_init(&attributes);
  if (code == 0) {
    code = actions_fill(&actions, theirs);
    if (code == 0) code = attributes_fill(&attributes);
    if (code == 0) code = posix_spawn(pid, program, &actions, &attributes, arguments, (char *const *)variables);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return code;
}

medley_status worker_spawn(const char *program, pid_t *pid, int *fd, medley_error *err) {
  int pair[2], bytes = SOCKET_BUFFER_BYTES;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot make a socket pair for a decoding worker");
  (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes,
                   sizeof bytes); /* an answer at a time, if the kernel allows it */
  int code = fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0 ? spawn_with(program, pair[1], pid) : errno;
  close(pair[1]);
  if (code != 0) {
    close(pair[0]);
    return error_set_errno(err, MEDLEY_ERR_IO, code, "cannot start the decoding worker '%s'", program);
  }
  *fd = pair[0];
  return MEDLEY_OK;
}
