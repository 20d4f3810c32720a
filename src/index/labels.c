/* index/labels.c: see index/labels.h. */
#include "index/labels.h"

#include <string.h>

#include "base/memory.h"
#include "base/rwlock.h"
#include "index/pages.h"

#define CHUNK_IDS ((size_t)1 << LABELS_CHUNK_SHIFT)
#define TABLE_MIN 64

medley_status labels_init(labels *l, const rows *rows, medley_error *err) {
  *l = (labels){.rows = rows, .chunk_max = ((rows->chunk_max << rows->chunk_shift) >> LABELS_CHUNK_SHIFT) + 1};
  if (rwlock_init(&l->lock) != 0) return error_memory(err, "index ids");
  return MEDLEY_OK;
}

void labels_deinit(labels *l) {
  if (l->rows == NULL) return;
  for (size_t c = 0; l->chunks != NULL && l->borrowed != NULL && c < l->chunk_max; c++)
    if (l->chunks[c] != NULL && !l->borrowed[c]) mem_unmap(l->chunks[c], CHUNK_IDS * sizeof(uint64_t));
  mem_table_free(l->chunks, l->chunk_max, sizeof *l->chunks);
  mem_table_free(l->borrowed, l->chunk_max, 1);
  mem_free(l->table);
  pthread_rwlock_destroy(&l->lock);
  *l = (labels){0};
}

/* ---- slot → id ---- */

static medley_status chunks_create(labels *l, medley_error *err) {
  if (l->chunks != NULL) return MEDLEY_OK;
  _Atomic(_Atomic uint64_t *) *chunks = mem_table(l->chunk_max, sizeof *chunks);
  if (l->borrowed == NULL) l->borrowed = mem_table(l->chunk_max, 1);
  if (chunks == NULL || l->borrowed == NULL) {
    mem_table_free(chunks, l->chunk_max, sizeof *chunks);
    return error_memory(err, "index ids");
  }
  atomic_store_explicit(&l->chunks, chunks, memory_order_release);
  return MEDLEY_OK;
}

/* Fresh chunks say that ids are slots, so that readers may meet them while they are made. */
static medley_status chunk_create(labels *l, _Atomic(_Atomic uint64_t *) *chunks, size_t c, medley_error *err) {
  if (chunks[c] != NULL) return MEDLEY_OK;
  _Atomic uint64_t *chunk = mem_map(CHUNK_IDS * sizeof *chunk, false);
  if (chunk == NULL) return error_memory(err, "index ids");
  for (size_t i = 0; i < CHUNK_IDS; i++) atomic_init(&chunk[i], (c << LABELS_CHUNK_SHIFT) + i);
  l->bytes += CHUNK_IDS * sizeof *chunk;
  atomic_store_explicit(&chunks[c], chunk, memory_order_release);
  return MEDLEY_OK;
}

/* All or nothing: until the table of chunks is published, ids are slots. */
static medley_status chunks_reserve(labels *l, size_t slots, medley_error *err) {
  medley_status status = MEDLEY_OK;
  _Atomic(_Atomic uint64_t *) *chunks = l->chunks, *fresh = NULL;
  if (chunks == NULL) {
    chunks = fresh = mem_table(l->chunk_max, sizeof *fresh);
    if (l->borrowed == NULL) l->borrowed = mem_table(l->chunk_max, 1);
    if (chunks == NULL || l->borrowed == NULL) {
      mem_table_free(fresh, l->chunk_max, sizeof *fresh);
      return error_memory(err, "index ids");
    }
  }
  if (slots < rows_count(l->rows)) slots = rows_count(l->rows);
  for (size_t c = 0; c << LABELS_CHUNK_SHIFT < slots; c++) TRY(chunk_create(l, chunks, c, err));
  atomic_store_explicit(&l->chunks, chunks, memory_order_release);
  fresh = NULL;
done:
  for (size_t c = 0; fresh != NULL && c < l->chunk_max && fresh[c] != NULL; c++) {
    mem_unmap(fresh[c], CHUNK_IDS * sizeof(uint64_t));
    l->bytes -= CHUNK_IDS * sizeof(uint64_t);
  }
  mem_table_free(fresh, l->chunk_max, sizeof *fresh);
  return status;
}

void labels_want(const labels *l, uint32_t slot, pages *cold) {
  if (l->chunks == NULL) return;
  const _Atomic uint64_t *chunk = l->chunks[slot >> LABELS_CHUNK_SHIFT];
  pages_want(cold, (const void *)&chunk[slot & (CHUNK_IDS - 1)], sizeof *chunk);
}

/* ---- id → slot ---- */

/* The finaliser of splitmix64: ids are often consecutive, or multiples of something. */
static size_t hash_id(uint64_t id) {
  id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9u;
  id = (id ^ (id >> 27)) * 0x94d049bb133111ebu;
  return (size_t)(id ^ (id >> 31));
}

/* Where the id is in the table, or the empty place where it would be. */
static size_t table_place(const labels *l, uint64_t id) {
  size_t at = hash_id(id) & (l->table_size - 1);
  while (l->table[at] != LABELS_NONE && labels_id(l, l->table[at]) != id) at = (at + 1) & (l->table_size - 1);
  return at;
}

static medley_status table_resize(labels *l, size_t need, medley_error *err) {
  size_t size = TABLE_MIN;
  while (size * 2 / 3 < need) size *= 2;
  if (l->table != NULL && size <= l->table_size) return MEDLEY_OK;
  uint32_t *old = l->table, *table = mem_alloc(size, sizeof *table);
  size_t old_size = l->table_size;
  if (table == NULL) return error_memory(err, "index ids");
  memset(table, 0xff, size * sizeof *table);
  l->table = table;
  l->table_size = size;
  for (size_t i = 0; old != NULL && i < old_size; i++)
    if (old[i] != LABELS_NONE) table[table_place(l, labels_id(l, old[i]))] = old[i];
  l->bytes += (size - old_size) * sizeof *table;
  mem_free(old);
  return MEDLEY_OK;
}

/* From the alive slots; the caller holds the lock for writing. */
static medley_status table_make(labels *l, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (l->table != NULL) return MEDLEY_OK;
  uint32_t slots = rows_count(l->rows);
  TRY(table_resize(l, atomic_load(&l->rows->alive_count), err));
  l->used = 0;
  for (uint32_t slot = 0; slot < slots; slot++) {
    if (!rows_alive(l->rows, slot)) continue;
    size_t at = table_place(l, labels_id(l, slot));
    if (l->table[at] != LABELS_NONE)
      FAIL(err, MEDLEY_ERR_CORRUPT, "the index has id %llu twice, in slots %u and %u",
           (unsigned long long)labels_id(l, slot), l->table[at], slot);
    l->table[at] = slot;
    l->used++;
  }
done:
  if (status != MEDLEY_OK) {
    l->bytes -= l->table ? l->table_size * sizeof *l->table : 0;
    mem_free(l->table);
    l->table = NULL;
    l->table_size = 0;
  }
  return status;
}

medley_status labels_slot(labels *l, uint64_t id, uint32_t *slot, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *slot = LABELS_NONE;
  pthread_rwlock_rdlock(&l->lock);
  if (l->chunks != NULL && l->table == NULL) {
    pthread_rwlock_unlock(&l->lock);
    pthread_rwlock_wrlock(&l->lock);
    TRY(table_make(l, err));
  }
  if (l->chunks != NULL)
    *slot = l->table[table_place(l, id)];
  else if (id < rows_count(l->rows) && rows_alive(l->rows, (uint32_t)id))
    *slot = (uint32_t)id;
done:
  pthread_rwlock_unlock(&l->lock);
  return status;
}

medley_status labels_reserve(labels *l, size_t count, size_t slots, bool plain, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (l->chunks == NULL && plain) return MEDLEY_OK;
  pthread_rwlock_wrlock(&l->lock);
  TRY(chunks_reserve(l, slots, err));
  TRY(table_make(l, err));
  TRY(table_resize(l, l->used + count, err));
done:
  pthread_rwlock_unlock(&l->lock);
  return status;
}

void labels_put(labels *l, uint64_t id, uint32_t slot) {
  if (l->chunks == NULL) return;
  _Atomic uint64_t *chunk = l->chunks[slot >> LABELS_CHUNK_SHIFT];
  pthread_rwlock_wrlock(&l->lock);
  size_t at = table_place(l, id);
  atomic_store_explicit(&chunk[slot & (CHUNK_IDS - 1)], id, memory_order_release);
  l->used += l->table[at] == LABELS_NONE;
  l->table[at] = slot;
  pthread_rwlock_unlock(&l->lock);
}

/* Linear probing without marks: what follows moves up (Knuth, The Art of Computer Programming 6.4, algorithm R). */
void labels_remove(labels *l, uint64_t id) {
  if (l->chunks == NULL) return;
  pthread_rwlock_wrlock(&l->lock);
  size_t mask = l->table_size - 1, hole = table_place(l, id);
  if (l->table[hole] != LABELS_NONE) {
    l->used--;
    for (size_t at = (hole + 1) & mask; l->table[at] != LABELS_NONE; at = (at + 1) & mask) {
      size_t home = hash_id(labels_id(l, l->table[at])) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      l->table[hole] = l->table[at];
      hole = at;
    }
    l->table[hole] = LABELS_NONE;
  }
  pthread_rwlock_unlock(&l->lock);
}

/* ---- file ---- */

medley_status labels_write(const labels *l, index_file_writer *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t slots = l->chunks != NULL ? rows_count(l->rows) : 0;
  TRY(index_file_writer_begin_section(w, "ids", err));
  for (size_t done = 0; done < slots; done += CHUNK_IDS) {
    size_t count = slots - done < CHUNK_IDS ? slots - done : CHUNK_IDS;
    TRY(index_file_writer_append(w, (const void *)l->chunks[done >> LABELS_CHUNK_SHIFT], count * sizeof(uint64_t),
                                 err));
  }
  TRY(index_file_writer_end_section(w, err));
done:
  return status;
}

medley_status labels_open(labels *l, const index_file *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t slots = rows_count(l->rows), length;
  unsigned char *bytes;
  TRY(index_file_section(f, "ids", &bytes, &length, err));
  if (length == 0) goto done;
  TRY(index_file_array(f, "ids", slots, sizeof(uint64_t), &bytes, err));
  TRY(chunks_create(l, err));
  for (size_t c = 0; (c + 1) * CHUNK_IDS <= slots; c++) {
    l->chunks[c] = (_Atomic uint64_t *)(bytes + c * CHUNK_IDS * sizeof(uint64_t));
    l->borrowed[c] = 1;
  }
  size_t rest = slots & (CHUNK_IDS - 1), last = slots >> LABELS_CHUNK_SHIFT;
  if (rest > 0) {
    TRY(chunk_create(l, l->chunks, last, err));
    memcpy((void *)l->chunks[last], bytes + (slots - rest) * sizeof(uint64_t), rest * sizeof(uint64_t));
  }
done:
  return status;
}
