/* index/slotset.h: a set of slots, small whatever its size, cheap to change anywhere.
 *
 * One such set stands behind every word of attributes.h. The slots are cut into blocks of 65536; a block holds the low
 * 16 bits of its slots, up to four of them in the block itself (most tags of a large vocabulary are rare), up to 4096
 * as a sorted array, more as a bitmap of 8 KiB. That is the layout of Roaring bitmaps (Chambi, Lemire, Kaser, Godin
 * 2016) without their runs, because slots are given out in the order of arrival, not of value. One sorted array for the
 * whole set would be simpler, but putting a slot into its middle would move megabytes.
 *
 * Every function that may allocate or release takes `bytes`, the owner's account of memory, and keeps it up to date.
 *
 * Threads: one writer and nobody beside it, or many readers.
 */
#ifndef INDEX_SLOTSET_H
#define INDEX_SLOTSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTSET_BLOCK_SLOTS 65536
#define SLOTSET_BLOCK_WORDS (SLOTSET_BLOCK_SLOTS / 64)
#define SLOTSET_FEW 4
#define SLOTSET_SORTED_MAX 4096

typedef struct slotset_block {
  union {
    uint16_t few[SLOTSET_FEW];
    uint16_t *sorted; /* [capacity] */
    uint64_t *bits;   /* [SLOTSET_BLOCK_WORDS] */
  };
  uint16_t key;      /* slot >> 16 */
  uint16_t capacity; /* SLOTSET_FEW: few; SLOTSET_DENSE: bits; else sorted */
  uint32_t count;    /* never 0 */
} slotset_block;

/* Zero-initialise. */
typedef struct slotset {
  slotset_block *blocks; /* ascending by key */
  uint32_t block_count, block_capacity;
  uint32_t count; /* slots */
} slotset;

bool slotset_has(const slotset *s, uint32_t slot);
/* Makes room so that the next slotset_add of this slot cannot fail, also after slots were removed. False: no memory. */
bool slotset_reserve(slotset *s, uint32_t slot, size_t *bytes);
/* False: no memory, and nothing has changed. Adding what is there already is allowed. */
bool slotset_add(slotset *s, uint32_t slot, size_t *bytes);
/* True when the slot was there. */
bool slotset_remove(slotset *s, uint32_t slot, size_t *bytes);
/* Fills a set that is all zeros: slots [count] ascending, each once. False: no memory; deinit it all the same. */
bool slotset_init_sorted(slotset *s, const uint32_t *slots, size_t count, size_t *bytes);
/* Sets the bits of the slots of one block, (block << 16) + 0 …, in words [SLOTSET_BLOCK_WORDS]. */
void slotset_mark(const slotset *s, uint32_t block, uint64_t *words);
void slotset_deinit(slotset *s, size_t *bytes);

#endif
