/* media/worker_spawn.h: finding the program that decodes, and starting it, private to the media folder. */
#ifndef MEDIA_WORKER_SPAWN_H
#define MEDIA_WORKER_SPAWN_H

#include <sys/types.h>

#include "base/error.h"

/* $MEDLEY_WORKER, the running program when it is called medley, a medley beside it, the installed one, the first in
 * PATH. mem_free. */
medley_status worker_program_find(char **program, medley_error *err) MEDLEY_CHECK;
/* Starts it with one end of a new socket pair as descriptor 3 and nothing else open but /dev/null; *fd is our end,
 * non-blocking. */
medley_status worker_spawn(const char *program, pid_t *pid, int *fd, medley_error *err) MEDLEY_CHECK;

#endif
