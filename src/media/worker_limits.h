/* media/worker_limits.h: figures both ends of the worker pool need, private to the media folder. */
#ifndef MEDIA_WORKER_LIMITS_H
#define MEDIA_WORKER_LIMITS_H

#include <stdint.h>

#define WORKER_MEMORY_MAX ((uint64_t)600 << 20)

/* The sanitizers reserve terabytes of address space for their shadows: there the pool watches the resident size
 * instead. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WORKER_LIMITS_ADDRESS_SPACE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define WORKER_LIMITS_ADDRESS_SPACE 0
#endif
#endif
#ifndef WORKER_LIMITS_ADDRESS_SPACE
#define WORKER_LIMITS_ADDRESS_SPACE 1
#endif

#endif
