/* bench/index_opening.c: see bench/index_opening.h. */
#include "bench/index_opening.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#define K 10
#define ANSWERS 1024 /* the last of those that are timed; the 1st, 2nd, 4th … are shown */
#define SHOWN 11
#define ROUNDS_MAX 100

typedef struct opening_round {
  double opened_ms, answered_ms; /* from the beginning */
  double answer_ms[SHOWN];       /* of the 1st, 2nd, 4th … alone */
  double faults, read_mib;       /* until the first answer: waits for the disk, and what was read */
} opening_round;

/* Pages that were changed and not written stay: hence the fsync. */
static void file_drop(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
}

static void file_fetch(const char *path) {
  static char block[1 << 20];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  while (fd >= 0 && read(fd, block, sizeof block) > 0) continue;
  if (fd >= 0) close(fd);
}

/* Waits for the disk, and 512-byte blocks read from it, by this process. */
static void disk_count(double *faults, double *blocks) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  *faults = (double)u.ru_majflt;
  *blocks = (double)u.ru_inblock;
}

static medley_status round_run(const char *path, const float *queries, size_t count, size_t dim, opening_round *r,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index *index = NULL;
  medley_index_hit hits[K];
  size_t found, shown = 0;
  double faults[2], blocks[2], start = clock_now_s();
  disk_count(&faults[0], &blocks[0]);
  TRY(medley_index_open(path, MEDLEY_INDEX_READ_ONLY, &index, err));
  r->opened_ms = 1e3 * (clock_now_s() - start);
  for (size_t i = 0; i < ANSWERS; i++) {
    double asked = clock_now_s();
    medley_index_query query = {.vector = queries + i % count * dim, .k = K};
    TRY(medley_index_search(index, &query, hits, &found, NULL, err));
    if (((i + 1) & i) == 0) r->answer_ms[shown++] = 1e3 * (clock_now_s() - asked);
    if (i > 0) continue;
    r->answered_ms = 1e3 * (clock_now_s() - start);
    disk_count(&faults[1], &blocks[1]);
    r->faults = faults[1] - faults[0];
    r->read_mib = (blocks[1] - blocks[0]) / 2048;
  }
done:
  medley_index_close(index);
  return status;
}

static int double_order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* Of a member of all rounds: the median, the least and the most. */
static void spread(const opening_round *rounds, size_t count, size_t offset, double out[3]) {
  double values[ROUNDS_MAX];
  for (size_t i = 0; i < count; i++) values[i] = *(const double *)((const char *)&rounds[i] + offset);
  qsort(values, count, sizeof *values, double_order);
  out[0] = values[count / 2];
  out[1] = values[0];
  out[2] = values[count - 1];
}

static void rounds_show(const char *name, const opening_round *rounds, size_t count) {
  double opened[3], answered[3], other[3];
  spread(rounds, count, offsetof(opening_round, opened_ms), opened);
  spread(rounds, count, offsetof(opening_round, answered_ms), answered);
  printf("| %s | %.1f (%.1f–%.1f) | %.1f (%.1f–%.1f) |", name, opened[0], opened[1], opened[2], answered[0],
         answered[1], answered[2]);
  spread(rounds, count, offsetof(opening_round, faults), other);
  printf(" %.0f |", other[0]);
  spread(rounds, count, offsetof(opening_round, read_mib), other);
  printf(" %.1f |", other[0]);
  for (size_t i = 0; i < SHOWN; i++) {
    spread(rounds, count, offsetof(opening_round, answer_ms) + i * sizeof(double), other);
    printf(" %.2f", other[0]);
  }
  printf(" |\n");
  fflush(stdout);
}

medley_status opening_bench(const char *path, const float *queries, size_t count, size_t dim, size_t rounds,
                            medley_error *err) {
  medley_status status = MEDLEY_OK;
  opening_round *all = NULL;
  if (rounds < 1 || rounds > ROUNDS_MAX) rounds = ROUNDS_MAX;
  TRY_NEW(all, rounds, "rounds");
  printf("milliseconds, median of %zu (least–most); answers alone: the 1st, 2nd, 4th … %dth\n", rounds, ANSWERS);
  printf(
      "| file | opened | first answer | waits for the disk | MiB read | answers alone |\n|---|---|---|---|---|---|\n");
  for (int cold = 0; cold < 2; cold++) {
    for (size_t i = 0; i < rounds; i++) {
      (cold ? file_drop : file_fetch)(path);
      TRY(round_run(path, queries + i % count * dim, count - i % count, dim, &all[i], err));
    }
    rounds_show(cold ? "on the disk" : "in memory", all, rounds);
  }
done:
  mem_free(all);
  return status;
}
