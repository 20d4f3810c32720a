/* index/slotset.c: see index/slotset.h. */
#include "index/slotset.h"

#include <string.h>

#include "base/memory.h"

#define SLOTSET_DENSE UINT16_MAX /* a capacity that no array has */
/* A bitmap becomes an array again well below the size at which an array becomes a bitmap, else a set that breathes
 * around it would be copied at each step. */
#define SORTED_AGAIN (SLOTSET_SORTED_MAX * 3 / 4)

static bool block_few(const slotset_block *b) { return b->capacity == SLOTSET_FEW; }
static bool block_dense(const slotset_block *b) { return b->capacity == SLOTSET_DENSE; }
static uint16_t *block_array(slotset_block *b) { return block_few(b) ? b->few : b->sorted; }
static const uint16_t *block_items(const slotset_block *b) { return block_few(b) ? b->few : b->sorted; }

static size_t block_bytes(const slotset_block *b) {
  if (block_few(b)) return 0;
  return block_dense(b) ? SLOTSET_BLOCK_WORDS * sizeof *b->bits : b->capacity * sizeof *b->sorted;
}

static void block_release(slotset_block *b, size_t *bytes) {
  *bytes -= block_bytes(b);
  if (!block_few(b)) mem_free(block_dense(b) ? (void *)b->bits : (void *)b->sorted);
}

/* Where the block with this key is, or belongs. New slots are mostly the greatest, so the last block is tried first. */
static size_t block_place(const slotset *s, uint16_t key) {
  if (s->block_count == 0 || s->blocks[s->block_count - 1].key < key) return s->block_count;
  if (s->blocks[s->block_count - 1].key == key) return s->block_count - 1;
  size_t low = 0, high = s->block_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (s->blocks[middle].key < key)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static slotset_block *block_find(const slotset *s, uint16_t key) {
  size_t at = block_place(s, key);
  return at < s->block_count && s->blocks[at].key == key ? &s->blocks[at] : NULL;
}

/* Where the value is, or belongs, in the array of a block. */
static size_t item_place(const slotset_block *b, uint16_t value) {
  const uint16_t *items = block_items(b);
  if (b->count > 0 && items[b->count - 1] < value) return b->count;
  size_t low = 0, high = b->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (items[middle] < value)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool block_has(const slotset_block *b, uint16_t value) {
  if (block_dense(b)) return b->bits[value >> 6] >> (value & 63) & 1;
  size_t at = item_place(b, value);
  return at < b->count && block_items(b)[at] == value;
}

bool slotset_has(const slotset *s, uint32_t slot) {
  const slotset_block *b = block_find(s, (uint16_t)(slot >> 16));
  return b != NULL && block_has(b, (uint16_t)slot);
}

/* ---- changing the form of a block: false when memory is short, with the block as it was ---- */

static bool block_to_sorted(slotset_block *b, uint16_t capacity, size_t *bytes) {
  slotset_block next = {.key = b->key, .capacity = capacity, .count = b->count};
  if (capacity > SLOTSET_FEW && (next.sorted = mem_alloc(capacity, sizeof *next.sorted)) == NULL) return false;
  uint16_t *to = block_array(&next);
  if (!block_dense(b)) {
    memcpy(to, block_items(b), b->count * sizeof *to);
  } else {
    for (uint32_t w = 0; w < SLOTSET_BLOCK_WORDS; w++)
      for (uint64_t bits = b->bits[w]; bits != 0; bits &= bits - 1)
        *to++ = (uint16_t)(w << 6 | (uint32_t)__builtin_ctzll(bits));
  }
  block_release(b, bytes);
  *b = next;
  *bytes += block_bytes(b);
  return true;
}

static bool block_to_bits(slotset_block *b, size_t *bytes) {
  uint64_t *bits = mem_zalloc(SLOTSET_BLOCK_WORDS, sizeof *bits);
  if (bits == NULL) return false;
  for (uint32_t i = 0; i < b->count; i++) bits[b->sorted[i] >> 6] |= 1ull << (b->sorted[i] & 63);
  block_release(b, bytes);
  b->bits = bits;
  b->capacity = SLOTSET_DENSE;
  *bytes += block_bytes(b);
  return true;
}

static bool block_reserve(slotset_block *b, size_t *bytes) {
  if (block_dense(b) || b->count < b->capacity) return true;
  if (b->count == SLOTSET_SORTED_MAX) return block_to_bits(b, bytes);
  return block_to_sorted(b, (uint16_t)(b->capacity * 2), bytes);
}

/* Gives memory back, when there is memory to do it with. Room for one more always stays: slotset_reserve promises it.
 */
static void block_shrink(slotset_block *b, size_t *bytes) {
  if (block_dense(b)) {
    if (b->count < SORTED_AGAIN) (void)block_to_sorted(b, SLOTSET_SORTED_MAX, bytes);
  } else if (b->capacity > SLOTSET_FEW && b->count * 4 < b->capacity) {
    (void)block_to_sorted(b, b->capacity / 2, bytes);
  }
}

/* ---- the set ---- */

static bool blocks_reserve(slotset *s, size_t *bytes) {
  if (s->block_count < s->block_capacity) return true;
  uint32_t capacity = s->block_capacity ? s->block_capacity * 2 : 1;
  slotset_block *blocks = mem_resize(s->blocks, capacity, sizeof *blocks);
  if (blocks == NULL) return false;
  *bytes += (capacity - s->block_capacity) * sizeof *blocks;
  s->blocks = blocks;
  s->block_capacity = capacity;
  return true;
}

bool slotset_reserve(slotset *s, uint32_t slot, size_t *bytes) {
  slotset_block *b = block_find(s, (uint16_t)(slot >> 16));
  if (b == NULL) return blocks_reserve(s, bytes);
  return block_has(b, (uint16_t)slot) || block_reserve(b, bytes);
}

bool slotset_add(slotset *s, uint32_t slot, size_t *bytes) {
  uint16_t key = (uint16_t)(slot >> 16), value = (uint16_t)slot;
  size_t at = block_place(s, key);
  if (at == s->block_count || s->blocks[at].key != key) {
    if (!blocks_reserve(s, bytes)) return false;
    memmove(s->blocks + at + 1, s->blocks + at, (s->block_count - at) * sizeof *s->blocks);
    s->blocks[at] = (slotset_block){.few = {value}, .key = key, .capacity = SLOTSET_FEW, .count = 1};
    s->block_count++;
    s->count++;
    return true;
  }
  slotset_block *b = &s->blocks[at];
  if (block_has(b, value)) return true;
  if (!block_reserve(b, bytes)) return false;
  if (block_dense(b)) {
    b->bits[value >> 6] |= 1ull << (value & 63);
  } else {
    uint16_t *items = block_array(b);
    size_t place = item_place(b, value);
    memmove(items + place + 1, items + place, (b->count - place) * sizeof *items);
    items[place] = value;
  }
  b->count++;
  s->count++;
  return true;
}

static bool block_init_sorted(slotset_block *b, const uint32_t *slots, size_t count, size_t *bytes) {
  *b = (slotset_block){.key = (uint16_t)(slots[0] >> 16), .capacity = SLOTSET_FEW, .count = (uint32_t)count};
  if (count > SLOTSET_SORTED_MAX) {
    b->capacity = SLOTSET_DENSE;
    if ((b->bits = mem_zalloc(SLOTSET_BLOCK_WORDS, sizeof *b->bits)) == NULL) return false;
    for (size_t i = 0; i < count; i++) b->bits[(slots[i] & 0xffff) >> 6] |= 1ull << (slots[i] & 63);
  } else {
    while (b->capacity < count) b->capacity = (uint16_t)(b->capacity * 2);
    if (!block_few(b) && (b->sorted = mem_alloc(b->capacity, sizeof *b->sorted)) == NULL) return false;
    uint16_t *items = block_array(b);
    for (size_t i = 0; i < count; i++) items[i] = (uint16_t)slots[i];
  }
  *bytes += block_bytes(b);
  return true;
}

bool slotset_init_sorted(slotset *s, const uint32_t *slots, size_t count, size_t *bytes) {
  uint32_t blocks = 0;
  for (size_t i = 0; i < count; i++) blocks += i == 0 || slots[i] >> 16 != slots[i - 1] >> 16;
  *s = (slotset){.blocks = mem_alloc(blocks, sizeof *s->blocks), .block_capacity = blocks};
  if (s->blocks == NULL) {
    s->block_capacity = 0;
    return false;
  }
  *bytes += blocks * sizeof *s->blocks;
  for (size_t i = 0, end; i < count; i = end) {
    for (end = i + 1; end < count && slots[end] >> 16 == slots[i] >> 16;) end++;
    if (!block_init_sorted(&s->blocks[s->block_count], slots + i, end - i, bytes)) return false;
    s->block_count++;
    s->count += (uint32_t)(end - i);
  }
  return true;
}

/* The array of blocks keeps its size, so that the slot can come back without memory. */
static void block_drop(slotset *s, slotset_block *b, size_t *bytes) {
  block_release(b, bytes);
  s->block_count--;
  memmove(b, b + 1, (size_t)(s->blocks + s->block_count - b) * sizeof *b);
}

bool slotset_remove(slotset *s, uint32_t slot, size_t *bytes) {
  uint16_t value = (uint16_t)slot;
  slotset_block *b = block_find(s, (uint16_t)(slot >> 16));
  if (b == NULL || !block_has(b, value)) return false;
  if (block_dense(b)) {
    b->bits[value >> 6] &= ~(1ull << (value & 63));
  } else {
    uint16_t *items = block_array(b);
    size_t place = item_place(b, value);
    memmove(items + place, items + place + 1, (b->count - place - 1) * sizeof *items);
  }
  s->count--;
  if (--b->count == 0)
    block_drop(s, b, bytes);
  else
    block_shrink(b, bytes);
  return true;
}

void slotset_mark(const slotset *s, uint32_t block, uint64_t *words) {
  const slotset_block *b = block_find(s, (uint16_t)block);
  if (b == NULL) return;
  if (block_dense(b)) {
    for (size_t w = 0; w < SLOTSET_BLOCK_WORDS; w++) words[w] |= b->bits[w];
  } else {
    const uint16_t *items = block_items(b);
    for (uint32_t i = 0; i < b->count; i++) words[items[i] >> 6] |= 1ull << (items[i] & 63);
  }
}

void slotset_deinit(slotset *s, size_t *bytes) {
  for (uint32_t i = 0; i < s->block_count; i++) block_release(&s->blocks[i], bytes);
  *bytes -= s->block_capacity * sizeof *s->blocks;
  mem_free(s->blocks);
  *s = (slotset){0};
}
