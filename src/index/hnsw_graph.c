/* index/hnsw_graph.c: the memory of the graph: who has how many layers, where lists lie, what it all takes. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "index/guard.h"
#include "index/hnsw_walk.h"

#define CHUNK_BYTES ((size_t)4 << 20)
#define RESERVE_STEP 256 /* slots at least, for those that come one by one; a chunk holds a multiple */
/* Of a node: its lowest list, where its upper ones are, and those, of which one node in M has one. */
#define EACH_BYTES(links) ((2 * (links) + 2) * sizeof(link_slot))
#define LINKS_OF_BYTES_MIN 8
#define UPPER_CHUNK ((size_t)1 << HNSW_UPPER_SHIFT)

static size_t or_default(size_t value, size_t fallback) { return value ? value : fallback; }

static size_t lowest_bytes(const hnsw *h) { return (2 * h->links * sizeof(link_slot)) << h->chunk_shift; }
static size_t upper_of_bytes(const hnsw *h) { return sizeof(link_slot) << h->chunk_shift; }
static size_t block_words(const hnsw *h, uint32_t level) { return 1 + level * h->links; }

/* Short rows of bytes are taken to save memory, and 16 links of theirs weigh as much as they do: as many links then as
 * leave 0.35 of what f32 rows and 16 links take (128 dimensions: 9; from 264 on 16), at least LINKS_OF_BYTES_MIN. */
static size_t links_default(const rows *r) {
  size_t whole = r->dim * sizeof(float) + EACH_BYTES(HNSW_LINKS_DEFAULT), room = whole * 35 / 100,
         links = LINKS_OF_BYTES_MIN;
  if (r->storage != ROW_INT8) return HNSW_LINKS_DEFAULT;
  while (links < HNSW_LINKS_DEFAULT && r->stride_bytes + EACH_BYTES(links + 1) <= room) links++;
  return links;
}

static medley_status options_check(const index_options *o, medley_error *err) {
  size_t links = or_default(o->links, HNSW_LINKS_DEFAULT), build = or_default(o->build_breadth, HNSW_BUILD_DEFAULT);
  if (links < HNSW_LINKS_MIN || links > HNSW_LINKS_MAX)
    return error_set(err, MEDLEY_ERR_USAGE, "%zu links per node: %d to %d are possible", links, HNSW_LINKS_MIN,
                     HNSW_LINKS_MAX);
  if (build > HNSW_BREADTH_MAX || o->search_breadth > HNSW_BREADTH_MAX)
    return error_set(err, MEDLEY_ERR_USAGE, "a breadth of %zu: at most %d is possible",
                     build > HNSW_BREADTH_MAX ? build : o->search_breadth, HNSW_BREADTH_MAX);
  return MEDLEY_OK;
}

medley_status hnsw_create(const rows *rows, const index_options *o, index_structure **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  hnsw *h = NULL;
  *out = NULL;
  TRY(options_check(o, err));
  TRY_NEW(h, 1, "index graph");
  *h = (hnsw){.base = {&index_hnsw, rows, or_default(o->search_breadth, HNSW_SEARCH_DEFAULT)},
              .links = or_default(o->links, links_default(rows)),
              .build_breadth = or_default(o->build_breadth, HNSW_BUILD_DEFAULT),
              .seed = o->seed,
              .entry = HNSW_NOBODY};
  pthread_mutex_init(&h->scratch_lock, NULL);
  memset(h->upper_free, 0xff, sizeof h->upper_free);
  while (lowest_bytes(h) < CHUNK_BYTES) h->chunk_shift++;
  h->chunk_max = (rows->chunk_max << rows->chunk_shift >> h->chunk_shift) + 1;
  h->chunks = mem_table(h->chunk_max, sizeof *h->chunks);
  h->upper = mem_table(HNSW_UPPER_CHUNKS, sizeof *h->upper);
  if (!h->chunks || !h->upper) status = error_memory(err, "index graph");
  if (status == MEDLEY_OK) {
    *out = &h->base;
    h = NULL;
  }
done:
  if (h != NULL) hnsw_free(&h->base);
  return status;
}

void hnsw_free(index_structure *s) {
  hnsw *h = (hnsw *)s;
  if (h == NULL) return;
  for (size_t c = 0; h->chunks && c < h->chunk_max; c++) {
    if (h->chunks[c].lowest != NULL && !h->chunks[c].borrowed) mem_unmap(h->chunks[c].lowest, lowest_bytes(h));
    if (h->chunks[c].upper_of != NULL) mem_unmap(h->chunks[c].upper_of, upper_of_bytes(h));
    if (h->chunks[c].lowest == NULL && h->chunks[c].upper_of == NULL) break;
  }
  for (size_t c = 0; h->upper && c < HNSW_UPPER_CHUNKS && h->upper[c] != NULL; c++)
    mem_unmap(h->upper[c], UPPER_CHUNK * sizeof(link_slot));
  for (hnsw_scratch *next; h->scratches != NULL; h->scratches = next) {
    next = h->scratches->next;
    hnsw_scratch_free(h->scratches);
  }
  pthread_mutex_destroy(&h->scratch_lock);
  mem_table_free(h->chunks, h->chunk_max, sizeof *h->chunks);
  mem_table_free(h->upper, HNSW_UPPER_CHUNKS, sizeof *h->upper);
  mem_free(h->dead);
  mem_free(h);
}

size_t hnsw_bytes(const index_structure *s) { return atomic_load(&((hnsw *)s)->bytes); }

size_t hnsw_each_bytes(const index_structure *s) { return (2 * ((const hnsw *)s)->links + 4) * sizeof(uint32_t); }

void hnsw_describe(const index_structure *s, index_options *out) {
  out->links = ((const hnsw *)s)->links;
  out->build_breadth = ((const hnsw *)s)->build_breadth;
}

bool hnsw_dead_reserve(hnsw *h, size_t count) {
  size_t before = h->dead_capacity;
  void *grown = h->dead;
  if (!mem_grow(&grown, &h->dead_capacity, count, sizeof *h->dead)) return false;
  h->dead = grown;
  h->bytes += (h->dead_capacity - before) * sizeof *h->dead;
  return true;
}

/* One chunk of a table, unless it is there. */
static medley_status chunk_reserve(_Atomic(link_slot *) *chunk, size_t bytes, bool huge, medley_error *err) {
  if (*chunk != NULL) return MEDLEY_OK;
  link_slot *words = mem_map(bytes, huge);
  if (words == NULL) return error_memory(err, "index graph");
  atomic_store_explicit(chunk, words, memory_order_release);
  return MEDLEY_OK;
}

/* Slots from … end of chunk c name nobody. */
static void chunk_fill(hnsw *h, size_t c, size_t from, size_t end) {
  size_t node_bytes = 2 * h->links * sizeof(link_slot);
  memset((void *)(h->chunks[c].upper_of + from), 0xff, (end - from) * sizeof(link_slot));
  h->bytes += (end - from) * sizeof(link_slot);
  if (h->chunks[c].borrowed) return;
  mem_map_use(h->chunks[c].lowest, lowest_bytes(h), from * node_bytes, end * node_bytes);
  memset((void *)(h->chunks[c].lowest + from * 2 * h->links), 0xff, (end - from) * node_bytes);
  h->bytes += (end - from) * node_bytes;
}

medley_status hnsw_reserve(hnsw *h, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t per_chunk = (size_t)1 << h->chunk_shift, wanted = count;
  if (count > h->reserved && count - h->reserved < RESERVE_STEP)
    wanted = (count + RESERVE_STEP - 1) / RESERVE_STEP * RESERVE_STEP;
  for (size_t c = h->reserved >> h->chunk_shift; h->reserved < wanted; c++) {
    size_t first = c << h->chunk_shift, end = first + per_chunk < wanted ? first + per_chunk : wanted;
    TRY(chunk_reserve(&h->chunks[c].upper_of, upper_of_bytes(h), false, err));
    TRY(chunk_reserve(&h->chunks[c].lowest, lowest_bytes(h), true, err));
    chunk_fill(h, c, h->reserved - first, end - first);
    h->reserved = end;
  }
done:
  return status;
}

/* A block of the layers above the lowest: one given back at that level, or new ones at the end of a chunk. */
static uint32_t upper_take(hnsw *h, uint32_t level, medley_error *err) {
  uint32_t word = h->upper_free[level];
  if (word != HNSW_NOBODY) {
    h->upper_free[level] = atomic_load_explicit(hnsw_upper_at(h, word) + 1, memory_order_relaxed);
    return word;
  }
  size_t need = block_words(h, level), in_chunk = h->upper_count & (UPPER_CHUNK - 1);
  if (in_chunk + need > UPPER_CHUNK) h->upper_count += (uint32_t)(UPPER_CHUNK - in_chunk); /* a block is in one chunk */
  size_t chunk = h->upper_count >> HNSW_UPPER_SHIFT;
  if (chunk == HNSW_UPPER_CHUNKS - 1) {
    (void)error_set(err, MEDLEY_ERR_LIMIT, "the layers of the index are full");
    return HNSW_NOBODY;
  }
  if (h->upper[chunk] == NULL) {
    link_slot *words = mem_map(UPPER_CHUNK * sizeof(link_slot), false);
    if (words == NULL) {
      (void)error_memory(err, "index graph");
      return HNSW_NOBODY;
    }
    atomic_store_explicit(&h->upper[chunk], words, memory_order_release);
  }
  word = h->upper_count;
  h->upper_count += (uint32_t)need;
  h->bytes += need * sizeof(link_slot);
  return word;
}

medley_status hnsw_add_node(hnsw *h, uint32_t slot, uint32_t level, medley_error *err) {
  uint32_t word = HNSW_NOBODY;
  hnsw_drop_node(h, slot); /* what the slot's last owner left: nobody reads it any more */
  if (level > 0) {
    word = upper_take(h, level, err);
    if (word == HNSW_NOBODY) return err ? err->status : MEDLEY_ERR_MEMORY;
    link_slot *block = hnsw_upper_at(h, word);
    atomic_store_explicit(block, level, memory_order_relaxed);
    for (size_t i = 1; i < block_words(h, level); i++) hnsw_link_set(block, i, HNSW_NOBODY);
  }
  link_slot *list = hnsw_lowest(h, slot);
  for (size_t i = 0; i < 2 * h->links; i++) hnsw_link_set(list, i, HNSW_NOBODY);
  link_slot *chunk = h->chunks[slot >> h->chunk_shift].upper_of;
  hnsw_link_set(chunk, slot & ((1u << h->chunk_shift) - 1), word);
  return MEDLEY_OK;
}

void hnsw_drop_node(hnsw *h, uint32_t slot) {
  uint32_t word = hnsw_upper_of(h, slot);
  if (word == HNSW_NOBODY) return;
  uint32_t level = hnsw_level(h, slot);
  hnsw_link_set(h->chunks[slot >> h->chunk_shift].upper_of, slot & ((1u << h->chunk_shift) - 1), HNSW_NOBODY);
  hnsw_link_set(hnsw_upper_at(h, word), 1, h->upper_free[level]);
  h->upper_free[level] = word;
}

uint32_t hnsw_draw_level(const hnsw *h, uint32_t slot) {
  rng r;
  rng_seed(&r, h->seed ^ (0x9e3779b97f4a7c15u * (slot + 1)));
  double level = -log(1 - rng_uniform(&r)) / log((double)h->links);
  return level < HNSW_LEVEL_MAX ? (uint32_t)level : HNSW_LEVEL_MAX;
}
