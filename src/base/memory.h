/* base/memory.h: checked allocation and arenas.
 *
 * All heap memory of Medley comes from here, so that sizes are multiplied safely and tests can make the n-th
 * allocation fail (memory_fault_after, builds with MEDLEY_FAULTS only).
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* count * size bytes, uninitialised (mem_alloc) or zeroed (mem_zalloc). NULL when it overflows or fails; never NULL for
 * a zero count. */
void *mem_alloc(size_t count, size_t size);
void *mem_zalloc(size_t count, size_t size);
/* Like mem_zalloc, aligned to 64 bytes: for every array a vector kernel reads. Free with mem_free. */
void *mem_zalloc_aligned(size_t count, size_t size);
/* realloc with the multiplication checked; on failure the old block stays. */
void *mem_resize(void *block, size_t count, size_t size);
void mem_free(void *block);
/* A copy of a string, or NULL. mem_strdup(NULL) is NULL. */
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t length);

/* Zeroed pages straight from the system, for blocks of MiBs that live long; NULL on failure. huge: starts on a multiple
 * of 2 MiB and asks for huge pages, so that a random walk through it costs fewer page-table walks (a wish: the system
 * may be set otherwise). Unmap with the same size. LeakSanitizer looks for no pointers in here: what hangs from such a
 * block alone counts as lost. */
void *mem_map(size_t bytes, bool huge);
/* Of such a block of huge pages, [bytes], the first `used` are in use from now on, `before` were: huge pages are left
 * for what they fill whole. So what lies behind takes no memory, which it would as soon as its huge page was touched,
 * and small pages become a huge one when it is full. */
void mem_map_use(void *block, size_t bytes, size_t before, size_t used);
void mem_unmap(void *block, size_t bytes); /* NULL is fine */

/* A zeroed table of which most entries will never be touched, and take no memory: calloc clears whole blocks where it
 * uses old ones again. What hangs from it is not lost to LeakSanitizer. NULL on failure; free with the same sizes. */
void *mem_table(size_t count, size_t size);
void mem_table_free(void *table, size_t count, size_t size); /* NULL is fine */

/* Grows *block so that it holds at least `need` elements of `size` bytes; *capacity counts elements. Doubles. False on
 * failure, with block and capacity unchanged. */
bool mem_grow(void **block, size_t *capacity, size_t need, size_t size);

/* Allocates a zeroed, 64-byte aligned array into ptr, or leaves through `done` with MEDLEY_ERR_MEMORY. Needs `status`,
 * `err` and the label. */
#define TRY_NEW(ptr, count, what)                       \
  do {                                                  \
    (ptr) = mem_zalloc_aligned((count), sizeof *(ptr)); \
    if ((ptr) == NULL) {                                \
      status = error_memory(err, (what));               \
      goto done;                                        \
    }                                                   \
  } while (0)

/* TRY_GROW(rows, capacity, need, "rows") */
#define TRY_GROW(ptr, capacity, need, what)                       \
  do {                                                            \
    void *grown_ = (ptr);                                         \
    if (!mem_grow(&grown_, &(capacity), (need), sizeof *(ptr))) { \
      status = error_memory(err, (what));                         \
      goto done;                                                  \
    }                                                             \
    (ptr) = grown_;                                               \
  } while (0)

/* An arena: many small allocations with one lifetime, reset or freed together. Not thread-safe. */
typedef struct arena arena;
arena *arena_create(size_t block_bytes);                /* 0: 64 KiB. NULL on failure */
void *arena_alloc(arena *a, size_t count, size_t size); /* zeroed, 16-byte aligned; NULL on failure */
char *arena_strdup(arena *a, const char *text);
char *arena_strndup(arena *a, const char *text, size_t length);
void arena_reset(arena *a); /* keeps the first block */
size_t arena_bytes(const arena *a);
void arena_free(arena *a);

#ifdef MEDLEY_FAULTS
/* Test builds: the n-th allocation from now fails (1 = the next), once. 0 switches off. */
void memory_fault_after(long n);
/* True when the armed fault has struck since it was armed. */
bool memory_fault_struck(void);
#endif

#endif
