/* nn/tape_memory.c: see nn/tape_memory.h. Best fit: the smallest free piece that is large enough; the pieces are few,
 * since what is given back merges with its neighbours. */
#include "nn/tape_memory.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"

enum { ALIGNMENT = 64, BLOCK_MIN = 1 << 20 };

static size_t rounded(size_t bytes) { return bytes ? (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1) : ALIGNMENT; }

/* The first free piece that starts at `start` or after. */
static size_t piece_find(const tape_memory *m, const unsigned char *start) {
  size_t low = 0, high = m->free_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (m->free[middle].start < start)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void piece_remove(tape_memory *m, size_t at) {
  memmove(m->free + at, m->free + at + 1, (--m->free_count - at) * sizeof *m->free);
}

static void piece_insert(tape_memory *m, unsigned char *start, size_t bytes) {
  size_t at = piece_find(m, start);
  tape_piece *before = at > 0 ? &m->free[at - 1] : NULL, *after = at < m->free_count ? &m->free[at] : NULL;
  bool joins_before = before != NULL && before->start + before->bytes == start;
  bool joins_after = after != NULL && start + bytes == after->start;
  if (joins_before && joins_after) {
    before->bytes += bytes + after->bytes;
    piece_remove(m, at);
  } else if (joins_before) {
    before->bytes += bytes;
  } else if (joins_after) {
    after->start = start;
    after->bytes += bytes;
  } else {
    assert(m->free_count < m->free_capacity);
    memmove(m->free + at + 1, m->free + at, (m->free_count - at) * sizeof *m->free);
    m->free[at] = (tape_piece){start, bytes};
    m->free_count++;
  }
}

static unsigned char *block_start(void *block) {
  return (unsigned char *)(((uintptr_t)block + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
}

/* Malloc rather than zeroed memory: a page that no step touches then costs nothing. */
static bool block_add(tape_memory *m, size_t bytes) {
  void *grown = m->blocks;
  if (!mem_grow(&grown, &m->block_capacity, m->block_count + 1, sizeof *m->blocks)) return false;
  m->blocks = grown;
  if (bytes > PTRDIFF_MAX - ALIGNMENT) return false;
  void *block = mem_alloc(bytes + ALIGNMENT, 1);
  if (block == NULL) return false;
  m->blocks[m->block_count++] = block;
  m->block_bytes += bytes;
  piece_insert(m, block_start(block), bytes);
  return true;
}

/* Giving back must not fail, so the room for it is made while taking. Between two free pieces of a block there is a
 * buffer in use, so there are never more pieces than buffers and blocks together. */
static bool room_for_pieces(tape_memory *m) {
  void *grown = m->free;
  if (!mem_grow(&grown, &m->free_capacity, m->used_count + m->block_count + 2, sizeof *m->free)) return false;
  m->free = grown;
  return true;
}

void *tape_memory_take(tape_memory *m, size_t bytes) {
  if (bytes > PTRDIFF_MAX - ALIGNMENT || !room_for_pieces(m)) return NULL;
  bytes = rounded(bytes);
  size_t best = SIZE_MAX;
  for (size_t i = 0; i < m->free_count; i++)
    if (m->free[i].bytes >= bytes && (best == SIZE_MAX || m->free[i].bytes < m->free[best].bytes)) best = i;
  if (best == SIZE_MAX) {
    size_t wanted = bytes > BLOCK_MIN ? bytes : BLOCK_MIN;
    if (wanted < m->block_bytes / 2) wanted = rounded(m->block_bytes / 2);
    if (!block_add(m, wanted)) return NULL;
    return tape_memory_take(m, bytes);
  }
  tape_piece *piece = &m->free[best];
  void *start = piece->start;
  piece->start += bytes;
  piece->bytes -= bytes;
  if (piece->bytes == 0) piece_remove(m, best);
  m->used_count++;
  m->used_bytes += bytes;
  if (m->used_bytes > m->peak_bytes) m->peak_bytes = m->used_bytes;
  return start;
}

void tape_memory_give(tape_memory *m, void *start, size_t bytes) {
  if (start == NULL) return;
  bytes = rounded(bytes);
  assert(m->used_count > 0 && m->used_bytes >= bytes);
  m->used_count--;
  m->used_bytes -= bytes;
  piece_insert(m, start, bytes);
}

static void blocks_free(tape_memory *m) {
  for (size_t i = 0; i < m->block_count; i++) mem_free(m->blocks[i]);
  m->block_count = m->block_bytes = 0;
}

/* When one block cannot be had, the next step begins with none and says so itself. */
void tape_memory_reset(tape_memory *m) {
  m->free_count = m->used_count = m->used_bytes = 0;
  size_t bytes = m->block_bytes;
  if (m->block_count == 1) {
    piece_insert(m, block_start(m->blocks[0]), bytes);
  } else if (m->block_count > 1) {
    blocks_free(m);
    (void)block_add(m, bytes);
  }
}

void tape_memory_deinit(tape_memory *m) {
  blocks_free(m);
  mem_free(m->blocks);
  mem_free(m->free);
  *m = (tape_memory){0};
}
