/* media/worker_pool.h: what tests see of a pool, beyond media/worker.h. */
#ifndef MEDIA_WORKER_POOL_H
#define MEDIA_WORKER_POOL_H

#include <sys/types.h>

#include "media/worker.h"

/* The process of the n-th worker, 0 while it is not running. */
pid_t media_pool_worker_pid(const media_pool *pool, size_t n);
/* Workers started since the pool was made: more than it holds when some were replaced. */
size_t media_pool_started(const media_pool *pool);

#endif
