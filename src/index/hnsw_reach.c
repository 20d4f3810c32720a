/* index/hnsw_reach.c: every living node can be walked to from the entry.
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
 */
#include <string.h>

#include "base/memory.h"
#include "index/hnsw_walk.h"

typedef struct reaching {
  const hnsw *h;
  uint32_t entry, count;
  hnsw_scratch *scratch;
  uint32_t *met_from; /* [count] whose link led to it first, HNSW_NOBODY: not met; the entry's is itself */
  uint32_t *queue;    /* [count] met, links not followed from `head` on */
  size_t head, tail;
  size_t full; /* so many at the head of the queue have no place in their lists, nor will have */
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

medley_status hnsw_reach(hnsw *h, medley_error *err) {
  medley_status status = MEDLEY_OK;
  reaching r = {.h = h, .count = rows_count(h->base.rows)};
  uint32_t top;
  r.entry = hnsw_entry(h, &top);
  if (r.entry == HNSW_NOBODY) return MEDLEY_OK;
  TRY(hnsw_reserve(h, r.count, err)); /* slots that an insertion without memory left unlinked */
  TRY_NEW(r.met_from, r.count, "index graph");
  TRY_NEW(r.queue, r.count, "index graph");
  TRY(hnsw_scratch_take(h, h->build_breadth, &r.scratch, err));
  reach(&r);
  h->unlooked = 0;
done:
  hnsw_scratch_give(h, r.scratch);
  mem_free(r.met_from);
  mem_free(r.queue);
  return status;
}
