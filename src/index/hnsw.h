/* index/hnsw.h: the layout of the graph, shared by the files of its life: hnsw_graph.c (memory), hnsw_walk.c (search of
 * a layer), hnsw_search.c (queries), hnsw_select.c (choice of neighbours), hnsw_insert.c, hnsw_reach.c, hnsw_repair.c
 * (deletes), hnsw_file.c, hnsw_check.c.
 *
 * Source: Malkov & Yashunin 2018, "Efficient and robust approximate nearest neighbor search using Hierarchical
 * Navigable Small World graphs", cited by algorithm number. M, efConstruction, ef and mL are its letters.
 *
 * Memory. A node of the lowest layer is 2 M slots in a row, filled from the front, the rest HNSW_NOBODY: one read of
 * 128 bytes at M = 16. Vectors lie elsewhere (rows.h), because a node's links are read once when it is expanded and its
 * vector once when it is met, at different times. The one node in M that reaches higher has a block in `upper`: its
 * level, then M slots per layer. `upper_of` finds it: 4 bytes per slot, HNSW_NOBODY for most.
 *
 * Threads. One writer at a time; searches run beside it and never wait. Every link is one atomic slot, stored with
 * release after the row and the links of the node it names, loaded with acquire. A search that reads a list while it is
 * rewritten sees some old and some new links, each a node that exists: it may walk a little differently, never wrongly.
 * A list is rewritten from the front and ends at the first HNSW_NOBODY or at its end. A removed node keeps its own
 * links until nobody links to it (hnsw_repair.c) and is given back then; the set waits for readers (guard.h) before it
 * uses the slot again.
 */
#ifndef INDEX_HNSW_H
#define INDEX_HNSW_H

#include <pthread.h>

#include "base/rng.h"
#include "index/index.h"

#define HNSW_NOBODY UINT32_MAX
#define HNSW_LEVEL_MAX 30
#define HNSW_LINKS_MIN 2
#define HNSW_LINKS_DEFAULT 16
#define HNSW_LINKS_MAX 128
#define HNSW_BUILD_DEFAULT 128 /* gives the recall of others at 200: PERFORMANCE.md */
#define HNSW_SEARCH_DEFAULT 64
#define HNSW_BREADTH_MAX 100000

typedef _Atomic uint32_t link_slot;

typedef struct hnsw_scratch hnsw_scratch; /* memory of one search (hnsw_walk.h) */

typedef struct hnsw_chunk {
  _Atomic(link_slot *) lowest;   /* [nodes per chunk, 2 M] */
  _Atomic(link_slot *) upper_of; /* [nodes per chunk] offsets into upper */
  uint8_t borrowed;              /* `lowest` lies in a mapped file */
} hnsw_chunk;

typedef struct hnsw {
  index_structure base;
  size_t links, build_breadth; /* M, efConstruction; ef is base.breadth */
  uint64_t seed;
  unsigned chunk_shift; /* nodes per chunk */
  size_t chunk_max;
  hnsw_chunk *chunks;                      /* [chunk_max] */
  size_t reserved;                         /* slots whose lists are there, empty, though their chunk may hold more */
  _Atomic(link_slot *) *upper;             /* [HNSW_UPPER_CHUNKS] chunks of HNSW_UPPER_CHUNK words */
  uint32_t upper_count;                    /* words used */
  uint32_t upper_free[HNSW_LEVEL_MAX + 1]; /* per level: first block given back, chained through its first link */
  _Atomic uint64_t entry;                  /* level << 32 | slot; HNSW_NOBODY in an empty graph */
  uint32_t *dead; /* slots removed and still linked to; the first `sweeping` are being swept out */
  size_t dead_count, dead_capacity, sweeping, sweep_at; /* hnsw_repair.c */
  size_t unlooked; /* nodes inserted since everybody was seen to be reached (hnsw_reach.c) */
  _Atomic size_t bytes;
  pthread_mutex_t scratch_lock;
  hnsw_scratch *scratches; /* a list of those not in use */
} hnsw;

/* ---- hnsw_graph.c ---- */

#define HNSW_UPPER_SHIFT 20
#define HNSW_UPPER_CHUNKS 4096

medley_status hnsw_create(const rows *rows, const index_options *o, index_structure **out,
                          medley_error *err) MEDLEY_CHECK;
void hnsw_free(index_structure *s);
size_t hnsw_bytes(const index_structure *s);
size_t hnsw_each_bytes(const index_structure *s);
void hnsw_describe(const index_structure *s, index_options *out);
medley_status hnsw_reserve(hnsw *h, size_t count, medley_error *err) MEDLEY_CHECK;
bool hnsw_dead_reserve(hnsw *h, size_t count); /* room in `dead`; false when memory runs out */
/* Gives a node its (empty) lists: layers 0 … level. */
medley_status hnsw_add_node(hnsw *h, uint32_t slot, uint32_t level, medley_error *err) MEDLEY_CHECK;
void hnsw_drop_node(hnsw *h, uint32_t slot); /* gives its upper block back; nobody may read the node any more */
/* mL = 1 / ln M; drawn from the seed and the slot, so the same for any order and thread count. */
uint32_t hnsw_draw_level(const hnsw *h, uint32_t slot);

static inline size_t hnsw_width(const hnsw *h, uint32_t layer) { return layer == 0 ? 2 * h->links : h->links; }

static inline uint32_t hnsw_upper_of(const hnsw *h, uint32_t slot) {
  link_slot *chunk = atomic_load_explicit(&h->chunks[slot >> h->chunk_shift].upper_of, memory_order_acquire);
  return atomic_load_explicit(&chunk[slot & ((1u << h->chunk_shift) - 1)], memory_order_acquire);
}
static inline link_slot *hnsw_upper_at(const hnsw *h, uint32_t word) {
  return atomic_load_explicit(&h->upper[word >> HNSW_UPPER_SHIFT], memory_order_acquire) +
         (word & ((1u << HNSW_UPPER_SHIFT) - 1));
}
static inline uint32_t hnsw_level(const hnsw *h, uint32_t slot) {
  uint32_t word = hnsw_upper_of(h, slot);
  return word == HNSW_NOBODY ? 0 : atomic_load_explicit(hnsw_upper_at(h, word), memory_order_relaxed);
}
static inline link_slot *hnsw_lowest(const hnsw *h, uint32_t slot) {
  link_slot *chunk = atomic_load_explicit(&h->chunks[slot >> h->chunk_shift].lowest, memory_order_acquire);
  return chunk + (size_t)(slot & ((1u << h->chunk_shift) - 1)) * 2 * h->links;
}
/* The list of a node in a layer not above its level, [hnsw_width]. */
static inline link_slot *hnsw_list(const hnsw *h, uint32_t slot, uint32_t layer) {
  return layer == 0 ? hnsw_lowest(h, slot) : hnsw_upper_at(h, hnsw_upper_of(h, slot)) + 1 + (layer - 1) * h->links;
}
static inline uint32_t hnsw_link(const link_slot *list, size_t i) {
  return atomic_load_explicit(&list[i], memory_order_acquire);
}
/* What a file says is checked where it is used: a link to nobody in the place of one that leads nowhere. */
static inline uint32_t hnsw_link_or_nobody(const link_slot *list, size_t i, uint32_t count) {
  uint32_t next = hnsw_link(list, i);
  return next < count ? next : HNSW_NOBODY;
}
static inline void hnsw_link_set(link_slot *list, size_t i, uint32_t slot) {
  atomic_store_explicit(&list[i], slot, memory_order_release);
}
static inline uint32_t hnsw_entry(const hnsw *h, uint32_t *level) {
  uint64_t entry = atomic_load_explicit(&h->entry, memory_order_acquire);
  *level = (uint32_t)(entry >> 32);
  return (uint32_t)entry;
}
static inline void hnsw_entry_set(hnsw *h, uint32_t slot, uint32_t level) {
  atomic_store_explicit(&h->entry, (uint64_t)level << 32 | slot, memory_order_release);
}

/* ---- hnsw_select.c ---- */

/* Algorithm 4: of candidates [count] best first, at most `wanted` that are nearer to the base than to each other, for a
 * list of that layer. In place; returns how many. scratch holds the queries made from rows. */
size_t hnsw_select(const hnsw *h, hnsw_scratch *scratch, scored *candidates, size_t count, uint32_t layer,
                   size_t wanted);

int hnsw_nearest_first(const void *a, const void *b); /* for qsort of scored: best first */
/* The list becomes `chosen`, and HNSW_NOBODY behind. */
void hnsw_list_write(link_slot *list, size_t width, const scored *chosen, size_t count);

/* ---- the other lives ---- */

medley_status hnsw_insert(index_structure *s, uint32_t *slots, size_t count, const medley_progress *progress,
                          size_t *linked, medley_error *err) MEDLEY_CHECK;
/* Nodes that are in the graph already look for neighbours anew, and are linked back to. */
medley_status hnsw_relink(hnsw *h, const uint32_t *slots, size_t count, medley_error *err) MEDLEY_CHECK;
/* Links to what cannot be reached from the entry, and to what searches do not find, among as many of the nodes as suit
 * `changed` of them having come or lost neighbours; 0: among none (hnsw_reach.c). */
medley_status hnsw_reach(hnsw *h, size_t changed, medley_error *err) MEDLEY_CHECK;
medley_status hnsw_search(const index_structure *s, const index_query *q, scored *out, size_t *found,
                          index_effort *effort, medley_error *err) MEDLEY_CHECK;
void hnsw_remove(index_structure *s, uint32_t slot);
medley_status hnsw_repair(index_structure *s, size_t budget, uint32_t *out, size_t *freed,
                          medley_error *err) MEDLEY_CHECK;
medley_status hnsw_check(const index_structure *s, index_check *out, medley_error *err) MEDLEY_CHECK;
medley_status hnsw_write(const index_structure *s, struct index_file_writer *w, medley_error *err) MEDLEY_CHECK;
medley_status hnsw_open(const index_opening *from, index_structure **out, medley_error *err) MEDLEY_CHECK;

#endif
