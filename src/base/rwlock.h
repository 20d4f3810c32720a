/* base/rwlock.h: read-write locks in which a writer gets its turn. */
#ifndef BASE_RWLOCK_H
#define BASE_RWLOCK_H

#include <pthread.h>

/* glibc's default lets readers pass a waiting writer, and a stream of them would stop every change. Not to be taken for
 * reading twice by one thread. An errno, or 0; pthread_rwlock_destroy. */
static inline int rwlock_init(pthread_rwlock_t *lock) {
  pthread_rwlockattr_t kind;
  pthread_rwlockattr_init(&kind);
  pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  int failed = pthread_rwlock_init(lock, &kind);
  pthread_rwlockattr_destroy(&kind);
  return failed;
}

#endif
