/* encode/preparer_pool.h: text preparers hold dictionaries and are costly to make, so those that rest wait here.
 * Thread-safe between init and deinit. */
#ifndef ENCODE_PREPARER_POOL_H
#define ENCODE_PREPARER_POOL_H

#include <pthread.h>

#include "base/error.h"
#include "media/preparation.h"

typedef struct preparer_pool {
  pthread_mutex_t lock;
  text_preparer **resting;
  size_t count, capacity;
  preparation prepare; /* of all of them; set before the first is taken */
} preparer_pool;

void preparer_pool_init(preparer_pool *pool);
void preparer_pool_deinit(preparer_pool *pool);
/* A resting preparer or a new one; put it back afterwards. */
medley_status preparer_pool_take(preparer_pool *pool, text_preparer **out, medley_error *err) MEDLEY_CHECK;
void preparer_pool_put(preparer_pool *pool, text_preparer *p);

#endif
