/* index/hnsw_file.c: the graph as sections of the index file (file.h), all little endian:
 *
 *   "hnsw.head"    8 numbers of 64 bits: M, efConstruction, ef, seed, entry (level << 32 | slot), nodes, words in
 *                  "hnsw.upper", removed nodes that are still linked to
 *   "hnsw.lowest"  [nodes, 2 M] 32 bits: the lowest layer
 *   "hnsw.upper-of" [nodes] 32 bits: where a node's block begins in "hnsw.upper", all ones for most
 *   "hnsw.upper"   [words] 32 bits: blocks of 1 + level * M: the level, then M links per layer from layer 1
 *   "hnsw.dead"    [removed] 32 bits
 *
 * The lowest layer is used where it is mapped; the rest is a twentieth of it and copied. What the file says of upper
 * blocks is checked here, in one pass over "hnsw.upper-of"; a link is checked when it is followed (hnsw_expand), so
 * that opening does not read what it maps.
 */
#include <string.h>

#include "base/memory.h"
#include "index/file.h"
#include "index/hnsw.h"
#include "index/pages.h"

#define STRETCH_NODES 512 /* a chunk of upper_of holds a multiple of it */

static const char *const read_whole[] = {"hnsw.upper", "hnsw.upper-of", "hnsw.dead"};

enum { HEAD_LINKS, HEAD_BUILD, HEAD_SEARCH, HEAD_SEED, HEAD_ENTRY, HEAD_NODES, HEAD_UPPER, HEAD_DEAD, HEAD_COUNT };

/* What lies in chunks: a section each. */
typedef enum part { LOWEST, UPPER_OF, UPPER } part;

static const void *part_chunk(const hnsw *h, part p, size_t c) {
  return (const void *)(p == LOWEST ? h->chunks[c].lowest : p == UPPER_OF ? h->chunks[c].upper_of : h->upper[c]);
}

static medley_status part_write(index_file_writer *w, const char *name, const hnsw *h, part p, size_t items,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t per_chunk = (size_t)1 << (p == UPPER ? HNSW_UPPER_SHIFT : h->chunk_shift);
  size_t item_bytes = (p == LOWEST ? 2 * h->links : 1) * sizeof(link_slot);
  TRY(index_file_writer_begin_section(w, name, err));
  for (size_t done = 0; done < items; done += per_chunk) {
    size_t count = items - done < per_chunk ? items - done : per_chunk;
    TRY(index_file_writer_append(w, part_chunk(h, p, done / per_chunk), count * item_bytes, err));
  }
  TRY(index_file_writer_end_section(w, err));
done:
  return status;
}

medley_status hnsw_write(const index_structure *s, index_file_writer *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const hnsw *h = (const hnsw *)s;
  size_t nodes = rows_count(s->rows);
  TRY(hnsw_reserve((hnsw *)h, nodes, err)); /* slots that an insertion without memory left unlinked */
  uint64_t head[HEAD_COUNT] = {
      [HEAD_LINKS] = h->links,       [HEAD_BUILD] = h->build_breadth, [HEAD_SEARCH] = h->base.breadth,
      [HEAD_SEED] = h->seed,         [HEAD_ENTRY] = h->entry,         [HEAD_NODES] = nodes,
      [HEAD_UPPER] = h->upper_count, [HEAD_DEAD] = h->dead_count};
  TRY(index_file_writer_section(w, "hnsw.head", head, sizeof head, err));
  TRY(part_write(w, "hnsw.lowest", h, LOWEST, nodes, err));
  TRY(part_write(w, "hnsw.upper-of", h, UPPER_OF, nodes, err));
  TRY(part_write(w, "hnsw.upper", h, UPPER, h->upper_count, err));
  TRY(index_file_writer_section(w, "hnsw.dead", h->dead, h->dead_count * sizeof *h->dead, err));
done:
  return status;
}

/* ---- back ---- */

static medley_status head_check(const index_opening *from, const uint64_t *head, const char *path, medley_error *err) {
  const rows *rows = from->rows;
  size_t nodes = rows_count(rows);
  if (head[HEAD_NODES] != nodes)
    return error_set(err, MEDLEY_ERR_CORRUPT, "%s: the graph has %llu nodes, there are %zu vectors", path,
                     (unsigned long long)head[HEAD_NODES], nodes);
  uint32_t entry = (uint32_t)head[HEAD_ENTRY];
  bool entry_lies =
      entry == HNSW_NOBODY ? atomic_load(&rows->alive_count) > 0 : entry >= nodes || index_opening_free(from, entry);
  if (entry_lies || head[HEAD_DEAD] > nodes || head[HEAD_UPPER] > (uint64_t)(HNSW_UPPER_CHUNKS - 1) << HNSW_UPPER_SHIFT)
    return error_set(err, MEDLEY_ERR_CORRUPT, "%s: the head of the graph contradicts itself", path);
  return MEDLEY_OK;
}

static medley_status lowest_open(hnsw *h, unsigned char *bytes, size_t nodes, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t per_chunk = (size_t)1 << h->chunk_shift, node_bytes = 2 * h->links * sizeof(link_slot);
  size_t rest = nodes & (per_chunk - 1);
  pages *pages = h->base.rows->pages;
  if (pages_cold(pages)) pages_want(pages, bytes + (nodes - rest) * node_bytes, rest * node_bytes);
  for (size_t c = 0; (c + 1) * per_chunk <= nodes; c++) {
    h->chunks[c].lowest = (link_slot *)(bytes + c * per_chunk * node_bytes);
    h->chunks[c].borrowed = 1;
  }
  TRY(hnsw_reserve(h, nodes, err));
  if (rest > 0)
    memcpy((void *)h->chunks[nodes >> h->chunk_shift].lowest, bytes + (nodes - rest) * node_bytes, rest * node_bytes);
done:
  return status;
}

static medley_status upper_open(hnsw *h, const unsigned char *bytes, size_t words, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t chunk_words = (size_t)1 << HNSW_UPPER_SHIFT;
  for (size_t done = 0; done < words; done += chunk_words) {
    link_slot *chunk = mem_map(chunk_words * sizeof *chunk, false);
    if (chunk == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the index graph");
    h->upper[done >> HNSW_UPPER_SHIFT] = chunk;
    memcpy((void *)chunk, bytes + done * sizeof *chunk,
           (words - done < chunk_words ? words - done : chunk_words) * sizeof *chunk);
  }
  h->upper_count = (uint32_t)words;
  h->bytes += words * sizeof(link_slot);
done:
  return status;
}

/* A block must lie within the words and within one chunk, and its level must be possible. */
static bool block_lies(const hnsw *h, uint32_t word) {
  if (word >= h->upper_count) return true;
  uint32_t level = *hnsw_upper_at(h, word);
  size_t need = 1 + level * h->links, chunk_words = (size_t)1 << HNSW_UPPER_SHIFT;
  return level == 0 || level > HNSW_LEVEL_MAX || word + need > h->upper_count ||
         (word & (chunk_words - 1)) + need > chunk_words;
}

/* The words of a block become its own; false when one of them is another's already. */
static bool block_claim(const hnsw *h, uint32_t word, uint64_t *claimed) {
  size_t end = word + 1 + *hnsw_upper_at(h, word) * h->links;
  uint64_t taken = 0;
  for (size_t at = word; at < end; at = (at | 63) + 1) {
    uint64_t bits = UINT64_MAX << (at & 63);
    if (end - (at & ~(size_t)63) < 64) bits &= ((uint64_t)1 << (end & 63)) - 1;
    taken |= claimed[at >> 6] & bits;
    claimed[at >> 6] |= bits;
  }
  return taken == 0;
}

/* Nodes first … end, within one chunk. Their blocks lie anywhere: all are asked for before the first is looked at. */
static medley_status stretch_open(hnsw *h, const unsigned char *bytes, uint32_t first, uint32_t end, uint64_t *claimed,
                                  const char *path, medley_error *err) {
  size_t in_chunk = first & (((size_t)1 << h->chunk_shift) - 1);
  memcpy((void *)(h->chunks[first >> h->chunk_shift].upper_of + in_chunk), bytes + first * sizeof(uint32_t),
         (end - first) * sizeof(uint32_t));
  for (uint32_t slot = first, word; slot < end; slot++)
    if ((word = hnsw_upper_of(h, slot)) < h->upper_count) __builtin_prefetch((const void *)hnsw_upper_at(h, word));
  for (uint32_t slot = first, word; slot < end; slot++)
    if ((word = hnsw_upper_of(h, slot)) != HNSW_NOBODY && (block_lies(h, word) || !block_claim(h, word, claimed)))
      return error_set(err, MEDLEY_ERR_CORRUPT, "%s: node %u has its upper layers at word %u, where they cannot be",
                       path, slot, word);
  return MEDLEY_OK;
}

static medley_status upper_of_open(hnsw *h, const unsigned char *bytes, size_t nodes, const char *path,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t *claimed = NULL;
  TRY_NEW(claimed, h->upper_count / 64 + 1, "index graph");
  for (size_t first = 0; first < nodes; first += STRETCH_NODES) {
    size_t end = nodes - first < STRETCH_NODES ? nodes : first + STRETCH_NODES;
    TRY(stretch_open(h, bytes, (uint32_t)first, (uint32_t)end, claimed, path, err));
  }
done:
  mem_free(claimed);
  return status;
}

/* The removed must be removed, not free yet, and each named once: a slot given back twice would have two owners. */
static medley_status dead_open(hnsw *h, const index_opening *from, const unsigned char *bytes, size_t count,
                               const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t nodes = rows_count(h->base.rows);
  uint8_t *named = NULL;
  TRY_NEW(named, nodes, "index graph");
  if (!hnsw_dead_reserve(h, count)) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the index graph");
  for (size_t i = 0; i < count; i++) {
    memcpy(&h->dead[i], bytes + i * sizeof *h->dead, sizeof *h->dead);
    if (h->dead[i] >= nodes || rows_alive(h->base.rows, h->dead[i]) || index_opening_free(from, h->dead[i]) ||
        named[h->dead[i]]++)
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: node %u is said to be removed and is not, or is so twice", path, h->dead[i]);
  }
  h->dead_count = count;
done:
  mem_free(named);
  return status;
}

medley_status hnsw_open(const index_opening *from, index_structure **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const rows *rows = from->rows;
  const index_options *o = from->options;
  const index_file *f = from->file;
  unsigned char *bytes;
  uint64_t head[HEAD_COUNT];
  index_structure *s = NULL;
  const char *path = index_file_path(f);
  *out = NULL;
  for (size_t i = 0; i < sizeof read_whole / sizeof *read_whole; i++) index_file_soon(f, read_whole[i]);
  TRY(index_file_array(f, "hnsw.head", HEAD_COUNT, sizeof *head, &bytes, err));
  memcpy(head, bytes, sizeof head);
  TRY(head_check(from, head, path, err));
  index_options stored = {.links = head[HEAD_LINKS],
                          .build_breadth = head[HEAD_BUILD],
                          .search_breadth = o->search_breadth ? o->search_breadth : head[HEAD_SEARCH],
                          .seed = head[HEAD_SEED]};
  status = hnsw_create(rows, &stored, &s, err);
  if (status == MEDLEY_ERR_USAGE) status = error_prefix(err, MEDLEY_ERR_CORRUPT, "%s", path);
  if (status != MEDLEY_OK) goto done;
  hnsw *h = (hnsw *)s;
  size_t nodes = head[HEAD_NODES];
  TRY(index_file_array(f, "hnsw.lowest", nodes, 2 * h->links * sizeof(link_slot), &bytes, err));
  TRY(lowest_open(h, bytes, nodes, err));
  TRY(index_file_array(f, "hnsw.upper", head[HEAD_UPPER], sizeof(link_slot), &bytes, err));
  TRY(upper_open(h, bytes, head[HEAD_UPPER], err));
  TRY(index_file_array(f, "hnsw.upper-of", nodes, sizeof(uint32_t), &bytes, err));
  TRY(upper_of_open(h, bytes, nodes, path, err));
  TRY(index_file_array(f, "hnsw.dead", head[HEAD_DEAD], sizeof *h->dead, &bytes, err));
  TRY(dead_open(h, from, bytes, head[HEAD_DEAD], path, err));
  h->entry = head[HEAD_ENTRY];
  if ((uint32_t)h->entry != HNSW_NOBODY && hnsw_level(h, (uint32_t)h->entry) < h->entry >> 32)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: the entry of the graph does not reach layer %u", path,
         (unsigned)(h->entry >> 32));
  *out = s;
  s = NULL;
done:
  hnsw_free(s);
  return status;
}
