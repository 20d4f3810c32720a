/* index/guard.h: who is reading, so that a writer knows when nobody can still see what it took away.
 *
 * Readers take no lock and wait for nobody. A reader enters (one atomic store into a cell of its own), reads what it
 * finds through acquire loads, and leaves. A writer first makes a thing unreachable, then retires it with the epoch of
 * that moment; it is freed, or its slot used again, once every reader inside entered after that epoch. This is epoch
 * based reclamation (Fraser 2004, "Practical lock-freedom", section 5.2.3), with one cell per reader rather than per
 * thread, because a library does not know its caller's threads.
 *
 * Threads: enter and leave from any; retire and collect by one writer at a time.
 */
#ifndef INDEX_GUARD_H
#define INDEX_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct guard guard;

guard *guard_create(void); /* NULL when memory runs out */
/* Frees what was retired; no reader may be inside. */
void guard_free(guard *g);

/* The cell to leave with. With all GUARD_READERS cells taken it waits for one. */
#define GUARD_READERS 256
size_t guard_enter(guard *g);
void guard_leave(guard *g, size_t cell);

/* The present epoch, closed: whoever enters from now on has a later one. */
uint64_t guard_close(guard *g);
/* True when every reader that entered in `epoch` or before has left. */
bool guard_passed(const guard *g, uint64_t epoch);

/* Frees `block` with `release` once all present readers have left; now when that cannot be noted (memory), after
 * waiting for them. g may be NULL: nobody else reads, freed at once. */
void guard_retire(guard *g, void *block, void (*release)(void *block));
void guard_collect(guard *g); /* frees what may be freed; called by retire as well */

#endif
