/* index/guard.c: see index/guard.h. */
#include "index/guard.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/memory.h"

/* A cell on a cache line of its own: readers on different cores must not share one. 0: free; else the epoch of entry.
 */
typedef struct guard_cell {
  _Alignas(64) _Atomic uint64_t epoch;
} guard_cell;

typedef struct guard_retired {
  void *block;
  void (*release)(void *block);
  uint64_t epoch;
} guard_retired;

struct guard {
  guard_cell cells[GUARD_READERS];
  _Alignas(64) _Atomic uint64_t now; /* from 1 */
  guard_retired *retired;
  size_t retired_count, retired_capacity;
};

/* Pages that no reader has met yet take no memory: a small index has little more. */
guard *guard_create(void) {
  guard *g = mem_table(1, sizeof *g);
  if (g != NULL) atomic_init(&g->now, 1);
  return g;
}

void guard_free(guard *g) {
  if (g == NULL) return;
  for (size_t i = 0; i < g->retired_count; i++) g->retired[i].release(g->retired[i].block);
  mem_free(g->retired);
  mem_table_free(g, 1, sizeof *g);
}

/* Where to look for a free cell first: by the page of the caller's stack, so that a thread comes back to the cell whose
 * line its core holds (a counter that all share was one more line to wait for). Every fourth cell at most, so that
 * threads that fall together find the next one free. */
static uint32_t first_cell(void) {
  char here;
  return (uint32_t)((uintptr_t)&here >> 12) * 0x9e3779b1u >> 26 << 2;
}

/* Having stored its epoch, a reader looks again: if the epoch is still that one, any later close comes after, and its
 * writer finds the cell taken; if not, reading the new epoch (which the writer stored with release) shows this reader
 * whatever was made unreachable before. So no fence is needed, which the thread sanitiser would not understand. */
size_t guard_enter(guard *g) {
  uint32_t from = first_cell();
  for (uint32_t tried = 1;; tried++, from++) {
    guard_cell *cell = &g->cells[from % GUARD_READERS];
    uint64_t none = 0, epoch = atomic_load(&g->now);
    if (atomic_compare_exchange_strong(&cell->epoch, &none, epoch)) {
      for (uint64_t now; (now = atomic_load(&g->now)) != epoch; epoch = now) atomic_store(&cell->epoch, now);
      return from % GUARD_READERS;
    }
    if (tried % GUARD_READERS == 0) sched_yield();
  }
}

void guard_leave(guard *g, size_t cell) { atomic_store_explicit(&g->cells[cell].epoch, 0, memory_order_release); }

uint64_t guard_close(guard *g) { return atomic_fetch_add(&g->now, 1); }

bool guard_passed(const guard *g, uint64_t epoch) {
  for (size_t i = 0; i < GUARD_READERS; i++) {
    uint64_t entered = atomic_load(&((guard *)g)->cells[i].epoch);
    if (entered != 0 && entered <= epoch) return false;
  }
  return true;
}

void guard_collect(guard *g) {
  size_t kept = 0;
  for (size_t i = 0; i < g->retired_count; i++) {
    if (guard_passed(g, g->retired[i].epoch))
      g->retired[i].release(g->retired[i].block);
    else
      g->retired[kept++] = g->retired[i];
  }
  g->retired_count = kept;
}

void guard_retire(guard *g, void *block, void (*release)(void *block)) {
  if (block == NULL) return;
  if (g == NULL) {
    release(block);
    return;
  }
  uint64_t epoch = guard_close(g);
  void *grown = g->retired;
  if (mem_grow(&grown, &g->retired_capacity, g->retired_count + 1, sizeof *g->retired)) {
    g->retired = grown;
    g->retired[g->retired_count++] = (guard_retired){block, release, epoch};
    guard_collect(g);
  } else {
    while (!guard_passed(g, epoch)) sched_yield();
    release(block);
  }
}
