/* index/hnsw_reach.c: every living node can be walked to from the entry, and nearly every one is found.
 *
 * Choosing neighbours drops links back, and now and then all of a node's: it links to others and none to it, so no
 * search finds it. After a bulk insertion, each time many were inserted one by one, and after a sweep the lowest layer
 * is walked through; what was not met is linked to from the nearest of its own neighbours that was met. Where vectors
 * lie in tight clusters, the nodes of one fill each other's lists and none of them was met: such an island is linked to
 * from the nearest nodes that a walk from the entry finds, or, when they have no place either, from any that has one.
 *
 * A link may be put where the list has a free place, or where a link stands over which nobody was met first. The links
 * over which somebody was are a tree, and while they stay, everybody met stays met, however the others are replaced: so
 * one pass is enough. There is always a place: a tree of n nodes has n - 1 links, lists have 2 M >= 4 places each.
 *
 * That there is a way does not mean that a search takes it: a walk that comes upon a cluster with more nodes than its
 * beam has places sees nothing else, and the few links that lead out of it are somewhere among them. So a sample of the
 * nodes is searched for as a query would be; one that is not found is linked to from the nearest nodes that were, in
 * the place of a link that the tree does not need, and its own neighbours are searched for as well: whole islands are
 * lost together. On 50,000 patches of pictures 3 % of all nodes were lost; recall at breadth 24 went from .955 to .980
 * (PERFORMANCE.md).
 */
#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "index/hnsw_walk.h"

#define FIND_BREADTH 16
#define FIND_SHARE 4    /* of so many new nodes one is searched for */
#define FIND_BLOCK 1024 /* searched for at once, before what was lost is linked to */

typedef struct reaching {
  const hnsw *h;
  uint32_t entry, count;
  int threads;
  hnsw_scratch **scratches; /* [threads] */
  hnsw_scratch *scratch;    /* the first of them */
  uint32_t *met_from;       /* [count] whose link led to it first, HNSW_NOBODY: not met; the entry's is itself */
  uint32_t *queue;          /* [count] met, links not followed from `head` on */
  size_t head, tail;
  size_t full;     /* so many at the head of the queue have no place in their lists, nor will have */
  uint8_t *given;  /* [count] places of its list that were given to nodes not found */
  uint8_t *looked; /* [count] was searched for, or will be */
} reaching;

static bool met(const reaching *r, uint32_t slot) { return r->met_from[slot] != HNSW_NOBODY; }

static void meet(reaching *r, uint32_t from, uint32_t slot) {
  if (met(r, slot)) return;
  r->met_from[slot] = from;
  r->queue[r->tail++] = slot;
}

static void follow(reaching *r) {
  for (; r->head < r->tail; r->head++) {
    uint32_t from = r->queue[r->head];
    const link_slot *list = hnsw_lowest(r->h, from);
    for (size_t i = 0; i < hnsw_width(r->h, 0); i++) {
      uint32_t next = hnsw_link(list, i);
      if (next == HNSW_NOBODY) break;
      if (next < r->count) meet(r, from, next);
    }
  }
}

/* The place in a list where a link may be put: free, or the last that nobody was met over. SIZE_MAX: none. */
static size_t place_find(const reaching *r, uint32_t from) {
  const link_slot *list = hnsw_lowest(r->h, from);
  size_t width = hnsw_width(r->h, 0), used = 0;
  while (used < width && hnsw_link_or_nobody(list, used, r->count) != HNSW_NOBODY) used++;
  if (used < width) return used;
  while (used-- > 0)
    if (r->met_from[hnsw_link(list, used)] != from) return used;
  return SIZE_MAX;
}

static bool link_from(reaching *r, uint32_t from, uint32_t slot) {
  size_t place = place_find(r, from);
  if (place == SIZE_MAX) return false;
  hnsw_link_set(hnsw_lowest(r->h, from), place, slot);
  meet(r, from, slot);
  follow(r);
  return true;
}

/* From the nearest neighbour (lists begin with it) that was met and has a place. */
static bool link_from_neighbour(reaching *r, uint32_t slot) {
  const link_slot *own = hnsw_lowest(r->h, slot);
  for (size_t i = 0; i < hnsw_width(r->h, 0); i++) {
    uint32_t neighbour = hnsw_link(own, i);
    if (neighbour == HNSW_NOBODY) return false;
    if (neighbour < r->count && met(r, neighbour) && link_from(r, neighbour, slot)) return true;
  }
  return false;
}

/* Along the lowest layer alone: what is found there was met. */
static bool link_from_afar(reaching *r, uint32_t slot) {
  const rows *rows = r->h->base.rows;
  hnsw_scratch *s = r->scratch;
  row_query_from_row(&s->from_row, rows, slot);
  s->beam[0] = (beam_entry){rows->score(&s->from_row, rows_at(rows, r->entry), rows->dim), r->entry};
  s->beam_count = 1;
  hnsw_walk(r->h, s, &s->from_row, 0, r->h->build_breadth, r->count);
  for (size_t i = 0; i < s->beam_count; i++)
    if (link_from(r, s->beam[i].slot, slot)) return true;
  return false;
}

static void link_from_any(reaching *r, uint32_t slot) {
  while (r->full < r->tail && !link_from(r, r->queue[r->full], slot)) r->full++;
}

static void reach(reaching *r) {
  bool lost = false;
  memset(r->met_from, 0xff, r->count * sizeof *r->met_from);
  meet(r, r->entry, r->entry);
  follow(r);
  for (uint32_t slot = 0; slot < r->count; slot++)
    if (!met(r, slot) && rows_alive(r->h->base.rows, slot) && !link_from_neighbour(r, slot)) lost = true;
  for (uint32_t slot = 0; lost && slot < r->count; slot++)
    if (!met(r, slot) && rows_alive(r->h->base.rows, slot) && !link_from_afar(r, slot)) link_from_any(r, slot);
}

/* ---- searched for ---- */

/* A search for the node itself, which would have had a place in the beam, has not met it. */
static bool is_lost(const reaching *r, hnsw_scratch *s, uint32_t slot) {
  const hnsw *h = r->h;
  const rows *rows = h->base.rows;
  uint32_t top, entry = hnsw_entry(h, &top);
  row_query_from_row(&s->from_row, rows, slot);
  hnsw_descend(h, s, &s->from_row, entry, top, 0, 1, r->count);
  hnsw_walk(h, s, &s->from_row, 0, FIND_BREADTH, r->count);
  for (size_t i = 0; i < s->beam_count; i++)
    if (s->beam[i].slot == slot) return false;
  float own = rows->score(&s->from_row, rows_at(rows, slot), rows->dim);
  return s->beam_count < FIND_BREADTH || s->beam[FIND_BREADTH - 1].score < own;
}

/* As place_find, but without the places that were given already: the next one before them. A quarter of a list at most
 * is given away. */
static size_t place_give(reaching *r, uint32_t from) {
  const link_slot *list = hnsw_lowest(r->h, from);
  size_t width = hnsw_width(r->h, 0), used = 0, skip = r->given[from];
  if (skip >= width / 4 || !rows_alive(r->h->base.rows, from)) return SIZE_MAX;
  while (used < width && hnsw_link_or_nobody(list, used, r->count) != HNSW_NOBODY) used++;
  if (used < width) return used;
  while (used-- > 0)
    if (r->met_from[hnsw_link(list, used)] != from && skip-- == 0) return used;
  return SIZE_MAX;
}

/* From the nearest that the search for it has found. */
static void link_lost(reaching *r, uint32_t slot) {
  const hnsw_scratch *s = r->scratch;
  for (size_t i = 0; i < s->beam_count; i++) {
    uint32_t from = s->beam[i].slot;
    size_t place = place_give(r, from);
    if (place == SIZE_MAX) continue;
    r->given[from]++;
    hnsw_link_set(hnsw_lowest(r->h, from), place, slot);
    return;
  }
}

/* Everybody was met, so the queue is free to hold who is still to be searched for. */
static void find_around(reaching *r, uint32_t slot) {
  size_t open = 0;
  r->queue[open++] = slot;
  while (open > 0) {
    uint32_t next = r->queue[--open];
    if (!is_lost(r, r->scratch, next)) continue;
    link_lost(r, next);
    const link_slot *list = hnsw_lowest(r->h, next);
    for (size_t i = 0; i < hnsw_width(r->h, 0); i++) {
      uint32_t neighbour = hnsw_link_or_nobody(list, i, r->count);
      if (neighbour == HNSW_NOBODY) break;
      if (r->looked[neighbour] || !rows_alive(r->h->base.rows, neighbour)) continue;
      r->looked[neighbour] = 1;
      r->queue[open++] = neighbour;
    }
  }
}

/* One node in `stride`. The graph is the same for any number of threads: they search it as the block has found it. */
static void find(reaching *r, size_t stride) {
  bool lost[FIND_BLOCK];
  size_t first = r->count % stride;
  for (size_t slot = first; slot < r->count; slot += stride) r->looked[slot] = 1;
  for (size_t block = first; block < r->count; block += FIND_BLOCK * stride) {
    size_t left = (r->count - block + stride - 1) / stride, count = left < FIND_BLOCK ? left : FIND_BLOCK;
#pragma omp parallel for schedule(dynamic, 16) num_threads(r->threads)
    for (size_t i = 0; i < count; i++) {
      uint32_t slot = (uint32_t)(block + i * stride);
      lost[i] = rows_alive(r->h->base.rows, slot) && is_lost(r, r->scratches[omp_get_thread_num()], slot);
    }
    for (size_t i = 0; i < count; i++)
      if (lost[i]) find_around(r, (uint32_t)(block + i * stride));
  }
}

/* ---- both ---- */

static medley_status reaching_init(reaching *r, const hnsw *h, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t breadth = h->build_breadth > FIND_BREADTH ? h->build_breadth : FIND_BREADTH;
  r->threads = omp_get_max_threads();
  TRY_NEW(r->met_from, r->count, "index graph");
  TRY_NEW(r->queue, r->count, "index graph");
  TRY_NEW(r->given, r->count, "index graph");
  TRY_NEW(r->looked, r->count, "index graph");
  TRY_NEW(r->scratches, (size_t)r->threads, "index graph");
  for (int t = 0; t < r->threads; t++) TRY(hnsw_scratch_take(h, breadth, &r->scratches[t], err));
  r->scratch = r->scratches[0];
done:
  return status;
}

static void reaching_deinit(reaching *r) {
  for (int t = 0; r->scratches != NULL && t < r->threads; t++) hnsw_scratch_give(r->h, r->scratches[t]);
  mem_free(r->scratches);
  mem_free(r->met_from);
  mem_free(r->queue);
  mem_free(r->given);
  mem_free(r->looked);
}

medley_status hnsw_reach(hnsw *h, size_t changed, medley_error *err) {
  medley_status status = MEDLEY_OK;
  reaching r = {.h = h, .count = rows_count(h->base.rows)};
  uint32_t top;
  r.entry = hnsw_entry(h, &top);
  if (r.entry == HNSW_NOBODY) return MEDLEY_OK;
  TRY(hnsw_reserve(h, r.count, err)); /* slots that an insertion without memory left unlinked */
  TRY(reaching_init(&r, h, err));
  reach(&r);
  if (changed > 0) find(&r, changed < r.count ? FIND_SHARE * (size_t)r.count / changed : FIND_SHARE);
  h->unlooked = 0;
done:
  reaching_deinit(&r);
  return status;
}
