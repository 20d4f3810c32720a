/* base/memory.c: see base/memory.h. */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef MEDLEY_FAULTS
#include <stdatomic.h>
static atomic_long fault_countdown;
static atomic_bool fault_struck;

void memory_fault_after(long n) {
  atomic_store(&fault_struck, false);
  atomic_store(&fault_countdown, n);
}

bool memory_fault_struck(void) { return atomic_load(&fault_struck); }

static bool fault_due(void) {
  if (atomic_load(&fault_countdown) <= 0) return false;
  if (atomic_fetch_sub(&fault_countdown, 1) != 1) return false;
  atomic_store(&fault_struck, true);
  return true;
}
#else
static bool fault_due(void) { return false; }
#endif

static bool size_multiply(size_t count, size_t size, size_t *bytes) {
  return !__builtin_mul_overflow(count, size, bytes) && *bytes <= PTRDIFF_MAX;
}

void *mem_alloc(size_t count, size_t size) {
  size_t bytes;
  if (!size_multiply(count, size, &bytes) || fault_due()) return NULL;
  return malloc(bytes ? bytes : 1);
}

void *mem_zalloc(size_t count, size_t size) {
  size_t bytes;
  if (!size_multiply(count, size, &bytes) || fault_due()) return NULL;
  return calloc(1, bytes ? bytes : 1);
}

void *mem_zalloc_aligned(size_t count, size_t size) {
  size_t bytes;
  if (!size_multiply(count, size, &bytes) || bytes > PTRDIFF_MAX - 64 || fault_due()) return NULL;
  /* Small blocks gain nothing from their own cache line start; calloc's lazily zeroed pages matter for the large. */
  bytes = bytes ? (bytes + 63) & ~(size_t)63 : 64;
  void *block = aligned_alloc(64, bytes);
  if (block != NULL) memset(block, 0, bytes);
  return block;
}

void *mem_resize(void *block, size_t count, size_t size) {
  size_t bytes;
  if (!size_multiply(count, size, &bytes) || fault_due()) return NULL;
  return realloc(block, bytes ? bytes : 1);
}

void mem_free(void *block) { free(block); }

#define HUGE_PAGE_BYTES ((size_t)2 << 20)

/* munmap of whole pages; 0 pages is none. */
static void pages_unmap(unsigned char *from, const unsigned char *to) {
  if (from < to) munmap(from, (size_t)(to - from));
}

static bool pages_round(size_t *bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (*bytes > PTRDIFF_MAX - 2 * HUGE_PAGE_BYTES) return false;
  *bytes = (*bytes + (*bytes == 0) + page - 1) & ~(page - 1);
  return true;
}

void *mem_map(size_t bytes, bool huge) {
  if (!pages_round(&bytes) || fault_due()) return NULL;
  size_t spare = huge ? HUGE_PAGE_BYTES : 0;
  unsigned char *start = mmap(NULL, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return NULL;
  if (!huge) return start;
  /* mmap aligns to small pages: take 2 MiB more, and give back what lies before and behind the aligned piece. */
  unsigned char *block = start + (-(uintptr_t)start & (HUGE_PAGE_BYTES - 1));
  pages_unmap(start, block);
  pages_unmap(block + bytes, start + bytes + spare);
  madvise(block, bytes, MADV_HUGEPAGE);
  return block;
}

void mem_map_use(void *block, size_t bytes, size_t before, size_t used) {
  unsigned char *start = block;
  size_t from = before & ~(HUGE_PAGE_BYTES - 1), to = used & ~(HUGE_PAGE_BYTES - 1);
  if (before == 0 && pages_round(&bytes) && to < bytes) madvise(start + to, bytes - to, MADV_NOHUGEPAGE);
  if (to <= from) return;
  madvise(start + from, to - from, MADV_HUGEPAGE);
#ifdef MADV_COLLAPSE /* Linux 6.1; without it the system does so when it finds the time */
  if (before > from) madvise(start + from, HUGE_PAGE_BYTES, MADV_COLLAPSE);
#endif
}

void mem_unmap(void *block, size_t bytes) {
  if (block != NULL && pages_round(&bytes)) pages_unmap(block, (unsigned char *)block + bytes);
}

/* The sanitizer's own header is not everywhere. */
#if defined(__SANITIZE_ADDRESS__)
#define LEAKS_ARE_LOOKED_FOR
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_ARE_LOOKED_FOR
#endif
#endif
#ifdef LEAKS_ARE_LOOKED_FOR
void __lsan_register_root_region(const void *from, size_t bytes);
void __lsan_unregister_root_region(const void *from, size_t bytes);
#else
#define __lsan_register_root_region(from, bytes) ((void)0)
#define __lsan_unregister_root_region(from, bytes) ((void)0)
#endif

void *mem_table(size_t count, size_t size) {
  size_t bytes;
  if (!size_multiply(count, size, &bytes)) return NULL;
  void *table = mem_map(bytes, false);
  if (table != NULL) __lsan_register_root_region(table, bytes);
  return table;
}

void mem_table_free(void *table, size_t count, size_t size) {
  if (table == NULL) return;
  __lsan_unregister_root_region(table, count * size);
  mem_unmap(table, count * size);
}

char *mem_strndup(const char *text, size_t length) {
  if (text == NULL || length == SIZE_MAX) return NULL;
  char *copy = mem_alloc(length + 1, 1);
  if (copy == NULL) return NULL;
  memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

char *mem_strdup(const char *text) { return text ? mem_strndup(text, strlen(text)) : NULL; }

bool mem_grow(void **block, size_t *capacity, size_t need, size_t size) {
  if (need <= *capacity) return true;
  size_t wanted = *capacity ? *capacity : 16;
  while (wanted < need) {
    if (wanted > SIZE_MAX / 2) return false;
    wanted *= 2;
  }
  void *grown = mem_resize(*block, wanted, size);
  if (grown == NULL) return false;
  *block = grown;
  *capacity = wanted;
  return true;
}

/* ---- arena ---- */

typedef struct arena_block {
  struct arena_block *next;
  size_t used, size;
  _Alignas(16) unsigned char bytes[];
} arena_block;

struct arena {
  arena_block *blocks; /* the newest first */
  size_t block_bytes;
  size_t total_bytes;
};

static arena_block *arena_block_create(size_t size) {
  arena_block *block = mem_alloc(1, sizeof(arena_block) + size);
  if (block == NULL) return NULL;
  *block = (arena_block){.size = size};
  return block;
}

arena *arena_create(size_t block_bytes) {
  arena *a = mem_zalloc(1, sizeof *a);
  if (a == NULL) return NULL;
  a->block_bytes = block_bytes ? block_bytes : 64 * 1024;
  return a;
}

void *arena_alloc(arena *a, size_t count, size_t size) {
  size_t bytes;
  if (!size_multiply(count, size, &bytes) || bytes > PTRDIFF_MAX - 4096) return NULL;
  bytes = (bytes + 15) & ~(size_t)15;
  arena_block *block = a->blocks;
  if (block == NULL || block->size - block->used < bytes) {
    block = arena_block_create(bytes > a->block_bytes ? bytes : a->block_bytes);
    if (block == NULL) return NULL;
    block->next = a->blocks;
    a->blocks = block;
    a->total_bytes += block->size;
  }
  void *start = block->bytes + block->used;
  block->used += bytes;
  return memset(start, 0, bytes);
}

char *arena_strndup(arena *a, const char *text, size_t length) {
  if (text == NULL || length == SIZE_MAX) return NULL;
  char *copy = arena_alloc(a, length + 1, 1);
  if (copy != NULL) memcpy(copy, text, length);
  return copy;
}

char *arena_strdup(arena *a, const char *text) { return text ? arena_strndup(a, text, strlen(text)) : NULL; }

void arena_reset(arena *a) {
  if (a == NULL || a->blocks == NULL) return;
  arena_block *keep = a->blocks;
  while (keep->next != NULL) {
    arena_block *next = keep->next;
    a->total_bytes -= keep->size;
    mem_free(keep);
    keep = next;
  }
  keep->used = 0;
  a->blocks = keep;
}

size_t arena_bytes(const arena *a) { return a ? a->total_bytes : 0; }

void arena_free(arena *a) {
  if (a == NULL) return;
  for (arena_block *block = a->blocks; block != NULL;) {
    arena_block *next = block->next;
    mem_free(block);
    block = next;
  }
  mem_free(a);
}
