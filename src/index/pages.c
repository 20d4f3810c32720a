/* index/pages.c: see index/pages.h. */
#include "index/pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"

#define SAMPLES 256
#define SAMPLES_MISSING 4          /* so many are put up with in a file that is warm */
#define STEP_MIN ((size_t)4 << 20) /* read on behind an answer: as much as was read before, within these */
#define STEP_MAX ((size_t)32 << 20)
#define HUGE_BYTES ((size_t)2 << 20) /* STEP_MIN is a multiple */
#define BEYOND_BYTES (2 * HUGE_BYTES)
#define CALL_BYTES ((size_t)128 << 10) /* the system cuts a longer wish to its own window, which may be this small */

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }
static size_t memory_pages(void) {
  long known = sysconf(_SC_PHYS_PAGES);
  return known > 0 ? (size_t)known * (page_bytes() / PAGES_BYTES) : SIZE_MAX / PAGES_BYTES;
}

bool pages_here(const void *at) {
  unsigned char here;
  uintptr_t page = (uintptr_t)at & ~(uintptr_t)(page_bytes() - 1);
  return mincore((void *)page, 1, &here) != 0 || (here & 1);
}

static bool sample_cold(const unsigned char *bytes, size_t length) {
  size_t missing = 0, count = length / PAGES_BYTES;
  for (size_t i = 0; i < SAMPLES && i < count; i++)
    missing += !pages_here(bytes + (count <= SAMPLES ? i : i * (count / SAMPLES)) * PAGES_BYTES);
  return missing > (count < SAMPLES ? 0 : SAMPLES_MISSING);
}

medley_status pages_open(int fd, void *bytes, size_t length, pages **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  pages *p = NULL;
  *out = NULL;
  if (!sample_cold(bytes, length)) return MEDLEY_OK;
  TRY_NEW(p, 1, "the pages of an index");
  *p = (pages){
      .bytes = bytes, .length = length, .fd = fd, .large = length / PAGES_BYTES > memory_pages() / 2, .cold = true};
  TRY_NEW(p->asked, length / PAGES_BYTES / 64 + 1, "the pages of an index");
  *out = p;
  p = NULL;
done:
  pages_close(p);
  return status;
}

void pages_close(pages *p) {
  if (p == NULL) return;
  mem_free((void *)p->asked);
  mem_free(p);
}

static void ask(const pages *p, size_t from, size_t end) {
  for (size_t size = page_bytes() - 1, at = from & ~size; at < end; at += CALL_BYTES)
    (void)madvise(p->bytes + at, end - at < CALL_BYTES ? end - at : CALL_BYTES, MADV_WILLNEED);
}

/* True when nobody asked for it before. */
static bool claim(pages *p, size_t page) {
  _Atomic uint64_t *word = &p->asked[page / 64];
  uint64_t bit = (uint64_t)1 << page % 64;
  if (atomic_load_explicit(word, memory_order_relaxed) & bit) return false;
  return !(atomic_fetch_or_explicit(word, bit, memory_order_relaxed) & bit);
}

static void forget(pages *p) {
  for (size_t i = 0; i <= p->length / PAGES_BYTES / 64; i++)
    atomic_store_explicit(&p->asked[i], 0, memory_order_relaxed);
  atomic_store(&p->since_forgotten, 0);
}

void pages_want(pages *p, const void *from, size_t bytes) {
  size_t offset = (size_t)((const unsigned char *)from - p->bytes), claimed = 0;
  if (offset >= p->length || bytes == 0 || bytes > p->length - offset) return;
  size_t page = offset / PAGES_BYTES, last = (offset + bytes - 1) / PAGES_BYTES;
  for (size_t begin; page <= last; page++) {
    if (!claim(p, page)) continue;
    for (begin = page++; page <= last && claim(p, page);) page++;
    ask(p, begin * PAGES_BYTES, page * PAGES_BYTES < p->length ? page * PAGES_BYTES : p->length);
    claimed += page - begin;
  }
  if (claimed > 0 && p->large && atomic_fetch_add(&p->since_forgotten, claimed) > memory_pages() / 4) forget(p);
}

void pages_unwritten(pages *p) {
  if (p != NULL && madvise(p->bytes, p->length, MADV_HUGEPAGE) == 0) atomic_store(&p->replace, true);
}

/* Bytes from … end of the mapping: let go, with what the system reads ahead of the last of them, and read in. Readers
 * who meet them meanwhile wait for the disk as for any other. */
static void replace(const pages *p, size_t from, size_t end) {
  size_t let_go = p->length - end < BEYOND_BYTES ? p->length : end + BEYOND_BYTES;
  (void)madvise(p->bytes + from, let_go - from, MADV_DONTNEED);
  (void)posix_fadvise(p->fd, (off_t)from, (off_t)(let_go - from), POSIX_FADV_DONTNEED);
  for (size_t at = from; at < end; at += HUGE_BYTES) (void)*(const volatile unsigned char *)(p->bytes + at);
  ask(p, from, end); /* what did not come as a huge page */
}

void pages_go_on(pages *p) {
  if (p->large || !atomic_exchange(&p->answered, true)) return;
  size_t from = atomic_load(&p->ahead), step = from < STEP_MIN ? STEP_MIN : from > STEP_MAX ? STEP_MAX : from;
  if (from >= p->length) return;
  if (step > p->length - from) step = p->length - from;
  if (!atomic_compare_exchange_strong(&p->ahead, &from, from + step)) return; /* another answer does it */
  if (atomic_load(&p->replace)) {
    replace(p, from, from + step);
  } else {
    pages_want(p, p->bytes + from, step);
  }
  if (from + step == p->length) atomic_store(&p->cold, false);
}
