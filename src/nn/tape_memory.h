/* nn/tape_memory.h: the memory of one training step: buffers that come and go in any order within it.
 *
 * A plain arena would hold every activation and every gradient at once. Going backward, an activation is dead as soon
 * as its op is through, and the gradients of the ops before it can lie there; so there is a list of free pieces, which
 * merge with their neighbours. The next step finds one block as large as all that this step needed, and allocates
 * nothing. Not thread-safe.
 */
#ifndef NN_TAPE_MEMORY_H
#define NN_TAPE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct tape_piece {
  unsigned char *start;
  size_t bytes;
} tape_piece;

/* Zero-initialise. */
typedef struct tape_memory {
  void **blocks; /* as allocated */
  size_t block_count, block_capacity;
  size_t block_bytes; /* of all blocks together */
  tape_piece *free;   /* by address, neighbours merged */
  size_t free_count, free_capacity;
  size_t used_count;             /* buffers handed out now */
  size_t used_bytes, peak_bytes; /* in them now, and at most since the memory was made */
} tape_memory;

/* `bytes` rounded up to 64, aligned to 64, uninitialised; NULL when memory runs out. */
void *tape_memory_take(tape_memory *m, size_t bytes);
/* Back again; bytes as taken. */
void tape_memory_give(tape_memory *m, void *start, size_t bytes);
/* All is free again, and in one block. */
void tape_memory_reset(tape_memory *m);
void tape_memory_deinit(tape_memory *m);

#endif
