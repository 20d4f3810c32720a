/* index/labels.h: the user's 64-bit ids and the slots they have.
 *
 * As long as every id equals its slot (vectors added as 0, 1, 2 …) nothing is kept at all. Otherwise 8 bytes per slot
 * say whose it is, and a table of slots, hashed by id (linear probing, at most 2/3 full), finds the slot of an id: 6 to
 * 12 bytes per vector. The table is made when it is first needed, so that opening a file does not pay for it: a search
 * only goes from slots to ids.
 *
 * Threads: one writer. labels_id beside it without waiting; labels_slot under a read-write lock, as the table moves.
 */
#ifndef INDEX_LABELS_H
#define INDEX_LABELS_H

#include <pthread.h>
#include <stdatomic.h>

#include "index/file.h"
#include "index/rows.h"

typedef struct labels {
  const rows *rows;                              /* borrowed: who is alive */
  _Atomic(_Atomic(_Atomic uint64_t *) *) chunks; /* NULL: every id is its slot */
  uint8_t *borrowed;                             /* [chunk_max] lies in a mapped file */
  size_t chunk_max;
  pthread_rwlock_t lock; /* of the table */
  uint32_t *table;       /* [table_size] slots, LABELS_NONE; NULL: not made yet */
  size_t table_size, used;
  _Atomic size_t bytes;
} labels;

#define LABELS_NONE UINT32_MAX

medley_status labels_init(labels *l, const rows *rows, medley_error *err) MEDLEY_CHECK;
void labels_deinit(labels *l);

/* *slot: the alive slot of the id, or LABELS_NONE. Fails only when the table has to be made and cannot be (memory, or a
 * file in which two slots have one id: MEDLEY_ERR_CORRUPT). */
medley_status labels_slot(labels *l, uint64_t id, uint32_t *slot, medley_error *err) MEDLEY_CHECK;
static inline uint64_t labels_id(const labels *l, uint32_t slot);
/* The id of a slot will be read (pages.h). */
void labels_want(const labels *l, uint32_t slot, struct pages *cold);
/* Room for `count` more ids, the greatest slot of which is below `slots`: labels_put cannot fail then. plain: all of
 * them equal their slots. */
medley_status labels_reserve(labels *l, size_t count, size_t slots, bool plain, medley_error *err) MEDLEY_CHECK;
/* The id has this slot from now on, whichever it had. */
void labels_put(labels *l, uint64_t id, uint32_t slot);
void labels_remove(labels *l, uint64_t id);

/* Section "ids": [slots] 64 bits each, empty when every id is its slot. */
medley_status labels_write(const labels *l, index_file_writer *w, medley_error *err) MEDLEY_CHECK;
medley_status labels_open(labels *l, const index_file *f, medley_error *err) MEDLEY_CHECK;

#define LABELS_CHUNK_SHIFT 16
static inline uint64_t labels_id(const labels *l, uint32_t slot) {
  _Atomic(_Atomic uint64_t *) *chunks = atomic_load_explicit(&l->chunks, memory_order_acquire);
  if (chunks == NULL) return slot;
  _Atomic uint64_t *chunk = atomic_load_explicit(&chunks[slot >> LABELS_CHUNK_SHIFT], memory_order_acquire);
  return atomic_load_explicit(&chunk[slot & ((1u << LABELS_CHUNK_SHIFT) - 1)], memory_order_relaxed);
}

#endif
