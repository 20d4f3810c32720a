/* base/clock.c: see base/clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

double clock_now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int64_t clock_wall_s(void) { return (int64_t)time(NULL); }

uint64_t memory_peak_bytes(void) {
  FILE *f = fopen("/proc/self/status", "re");
  unsigned long long kib = 0;
  char line[256];
  while (f != NULL && fgets(line, sizeof line, f) != NULL)
    if (sscanf(line, "VmHWM: %llu kB", &kib) == 1) break;
  if (f != NULL) fclose(f);
  if (kib > 0) return kib * 1024;
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

void memory_peak_reset(void) {
  FILE *f = fopen("/proc/self/clear_refs", "we");
  if (f == NULL) return;
  fputs("5", f);
  fclose(f);
}

void clock_format_utc(int64_t wall_s, char out[32]) {
  time_t t = (time_t)wall_s;
  struct tm parts;
  if (gmtime_r(&t, &parts) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) strcpy(out, "?");
}
