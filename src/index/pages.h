/* index/pages.h: a mapped index file that is not in memory yet.
 *
 * The first searches of an index that nobody has read lately wait for the disk at every row: a page, the next page, one
 * after the other, each with what the system reads around it. A disk answers several questions at once in the time of
 * one, so a search of a cold file names the pages it is going to want (of all neighbours of a node; of the nodes that
 * are next in its beam) before it touches the first of them. Each page is asked for once. Behind each answer but the
 * first the file is read on from its start, a stretch a search; when its end is reached, or when it was in memory from
 * the start, it is warm and nothing of this happens any more. No thread is started for it: who asks once and leaves
 * reads little.
 *
 * Pages that came one by one lie apart in the system's cache, and a walk through them is a fifth slower than through
 * huge pages. So a mapping that nobody writes to is read on anew: what was fetched of a stretch is let go, and the
 * stretch comes back as huge pages where the file system has them.
 *
 * A file larger than half of the machine's memory is not read on; what was asked for is forgotten from time to time,
 * since the system may have dropped it.
 *
 * All of it are hints: whatever fails, the page is read when it is touched.
 *
 * Threads: any number.
 */
#ifndef INDEX_PAGES_H
#define INDEX_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct pages {
  unsigned char *bytes; /* the mapping, [length] */
  size_t length;
  int fd;               /* of the file, borrowed */
  bool large;           /* not to be read on */
  _Atomic bool replace; /* nobody writes to the mapping: what it holds may be let go */
  _Atomic bool cold;
  _Atomic uint64_t *asked;        /* a bit for each PAGES_BYTES of it */
  _Atomic bool answered;          /* at least once: from then on it is read on */
  _Atomic size_t ahead;           /* read on, or about to be, up to here */
  _Atomic size_t since_forgotten; /* pages asked for */
} pages;

#define PAGES_BYTES ((size_t)4096)

/* Looks at some of the mapping's pages to see whether it is cold; *out is NULL when it is not. fd: of the mapped file,
 * borrowed. MEDLEY_ERR_MEMORY. */
medley_status pages_open(int fd, void *bytes, size_t length, pages **out, medley_error *err) MEDLEY_CHECK;
void pages_close(pages *p); /* the mapping stays; NULL is fine */

/* The functions below are called while this is true. */
static inline bool pages_cold(const pages *p) {
  return p != NULL && atomic_load_explicit(&((pages *)p)->cold, memory_order_relaxed);
}
/* These bytes will be read soon. What does not lie in the mapping is nothing to be asked for. */
void pages_want(pages *p, const void *from, size_t bytes);
/* The page is in memory. */
bool pages_here(const void *at);
/* The mapping, which is private, is as the file is, and will stay so. p may be NULL. */
void pages_unwritten(pages *p);
/* An answer was found: unless it was the first, the file is read on. */
void pages_go_on(pages *p);

#endif
