/* cli/main.c: the medley command. */
#include <medley/error.h>
#include <stdio.h>
#include <string.h>

#include "media/worker.h"

int main(int argc, char **argv) {
  /* The hidden mode in which a pool starts this program to decode media: before anything else is set up. */
  if (argc == 2 && strcmp(argv[1], "media-worker") == 0) return media_worker_main();
  puts("medley");
  return 0;
}
