/* index/ivfpq_lists.c: blocks of entries: made, grown, appended to and replaced beside readers. */
#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "index/guard.h"
#include "index/ivfpq.h"
#include "math/code_sums.h"

/* A list that is full grows by a quarter: copying costs four moves an entry in the long run, and an eighth of the room
 * is empty on average. */
#define GROWTH_SHARE 4

static size_t rounded(size_t entries) { return (entries + IVF_ENTRIES - 1) / IVF_ENTRIES * IVF_ENTRIES; }

/* One piece of memory: header, codes (64-byte aligned), slots, norms. */
static size_t header_bytes(void) { return (sizeof(ivf_block) + 63) / 64 * 64; }

size_t ivf_block_bytes(size_t capacity, size_t code_bytes) {
  return header_bytes() + capacity * (code_bytes + sizeof(uint32_t) + (code_bytes > 0 ? sizeof(float) : 0));
}

ivf_block *ivf_block_create(size_t capacity, size_t code_bytes) {
  assert(capacity % IVF_ENTRIES == 0 && capacity < UINT32_MAX);
  unsigned char *bytes = mem_zalloc_aligned(ivf_block_bytes(capacity, code_bytes), 1);
  if (bytes == NULL) return NULL;
  ivf_block *b = (ivf_block *)bytes;
  b->capacity = (uint32_t)capacity;
  b->codes = bytes + header_bytes();
  b->slots = (uint32_t *)(b->codes + capacity * code_bytes);
  if (code_bytes > 0) b->norms = (float *)(b->slots + capacity);
  return b;
}

void ivf_block_replace(const rows *r, ivf_model *m, size_t list, ivf_block *block) {
  ivf_block *old = ivf_block_now(m, list);
  m->bytes += ivf_block_bytes(block->capacity, m->code_bytes);
  atomic_store_explicit(&m->block[list], block, memory_order_release);
  if (old->mapped) return;
  m->bytes -= ivf_block_bytes(old->capacity, m->code_bytes);
  guard_retire(r->guard, old, mem_free);
}

/* `to` is as large at least; nobody else sees it yet. Groups that are whole in both are alike byte for byte. */
static void block_copy(const ivf_block *from, ivf_block *to, size_t code_bytes) {
  size_t count = ivf_block_count(from), alike = from->capacity / CODE_GROUP * CODE_GROUP;
  uint8_t code[CODE_PARTS_MAX];
  if (alike > count) alike = count / CODE_GROUP * CODE_GROUP;
  if (alike > 0) memcpy(to->codes, from->codes, alike * code_bytes);
  for (size_t i = alike; i < count; i++) {
    code_get(from->codes, from->capacity, code_bytes, i, code);
    code_put(to->codes, to->capacity, code_bytes, i, code);
  }
  if (count > 0) memcpy(to->slots, from->slots, count * sizeof *to->slots);
  if (count > 0 && code_bytes > 0) memcpy(to->norms, from->norms, count * sizeof *to->norms);
  atomic_init(&to->count, (uint32_t)count);
}

/* A list that gets `more` of this batch, of `share` of all that comes: room for what the rest will bring as well. */
static size_t capacity_for(const ivf_block *b, size_t more, double share) {
  size_t count = ivf_block_count(b), need = count + (size_t)((double)more * share);
  if (need < count + more) need = count + more;
  if (share <= 1 && need < count + count / GROWTH_SHARE) need = count + count / GROWTH_SHARE;
  return rounded(need);
}

/* grown [lists]: new blocks for the lists that are too small, NULL for the others. */
static medley_status blocks_grow(const ivf_model *m, const ivf_batch *batch, const uint32_t *more, ivf_block **grown,
                                 medley_error *err) {
  double share = 1 + (double)batch->still_to_come / (double)batch->count;
  for (size_t l = 0; l < m->lists; l++) {
    const ivf_block *b = ivf_block_now(m, l);
    if (ivf_block_count(b) + (size_t)more[l] <= b->capacity) continue;
    size_t capacity = capacity_for(b, more[l], share);
    if (capacity >= UINT32_MAX) return error_set(err, MEDLEY_ERR_LIMIT, "a list of the index with %zu rows", capacity);
    grown[l] = ivf_block_create(capacity, m->code_bytes);
    if (grown[l] == NULL) return error_memory(err, "inverted lists");
    block_copy(b, grown[l], m->code_bytes);
  }
  return MEDLEY_OK;
}

static void entry_append(ivf_model *m, const ivf_batch *batch, size_t i) {
  ivf_block *b = ivf_block_now(m, batch->list[i]);
  uint32_t at = ivf_block_count(b);
  if (m->code_bytes > 0) {
    code_put(b->codes, b->capacity, m->code_bytes, at, batch->codes + i * m->code_bytes);
    b->norms[at] = batch->norms[i];
  }
  b->slots[at] = batch->slots[i];
  atomic_store_explicit(&b->count, at + 1, memory_order_release);
}

medley_status ivf_append(const rows *r, ivf_model *m, const ivf_batch *batch, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ivf_block **grown = NULL;
  uint32_t *more = NULL;
  if (batch->count == 0) return MEDLEY_OK;
  TRY_NEW(grown, m->lists, "inverted lists");
  TRY_NEW(more, m->lists, "inverted lists");
  for (size_t i = 0; i < batch->count; i++) more[batch->list[i]]++;
  TRY(blocks_grow(m, batch, more, grown, err));
  for (size_t l = 0; l < m->lists; l++) {
    if (grown[l] == NULL) continue;
    ivf_block_replace(r, m, l, grown[l]);
    grown[l] = NULL;
  }
  for (size_t i = 0; i < batch->count; i++) entry_append(m, batch, i);
  m->entries += batch->count;
done:
  for (size_t l = 0; grown != NULL && l < m->lists; l++) mem_free(grown[l]);
  mem_free(grown);
  mem_free(more);
  return status;
}
