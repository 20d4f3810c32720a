/* media/worker_confine.h: what a worker may ask of the kernel, private to the media folder. */
#ifndef MEDIA_WORKER_CONFINE_H
#define MEDIA_WORKER_CONFINE_H

#include <stdbool.h>

/* From here on this process and its threads can read files, compute and talk over the descriptors they have, but start
 * no program or process, make no socket, open no file for writing, change no name or mode in the file system, signal or
 * trace no other process: such calls fail with EPERM. Cannot be undone. False where the kernel or the architecture has
 * no filter for that; resource limits then stand alone. */
bool worker_confine(void);

#endif
