/* index/hnsw_reach.c: every living node can be walked to from the entry.
 *
 * Choosing neighbours drops links back, and now and then all of a node's: it links to others and none to it, so no
 * search finds it. After a bulk insertion and after a sweep the lowest layer is walked through; what was not met is
 * linked to from the nearest of its own neighbours that was met: in a free place of the list, or in the place of the
 * farthest link to a node that others link to as well. Where vectors lie in tight clusters, the nodes of one fill each
 * other's lists and none of them was met: such an island is linked to from the nearest nodes that a walk from the entry
 * finds. A place taken may have been somebody's only way after all (his other links came from an island), so it is
 * looked again until all are met.
 */
#include <string.h>

#include "base/memory.h"
#include "index/hnsw_walk.h"

#define REACH_PASSES 8

typedef struct reaching {
  const hnsw *h;
  uint32_t entry, count;
  hnsw_scratch *scratch;
  uint8_t *met;    /* [count] */
  uint8_t *named;  /* [count] how many lists name it, at most 255 */
  uint32_t *queue; /* [count] met, links not followed from `head` on */
  size_t head, tail;
} reaching;

static void meet(reaching *r, uint32_t slot) {
  if (r->met[slot]) return;
  r->met[slot] = 1;
  r->queue[r->tail++] = slot;
}

static void follow(reaching *r) {
  for (; r->head < r->tail; r->head++) {
    const link_slot *list = hnsw_lowest(r->h, r->queue[r->head]);
    for (size_t i = 0; i < hnsw_width(r->h, 0); i++) {
      uint32_t next = hnsw_link(list, i);
      if (next == HNSW_NOBODY) break;
      if (next >= r->count) continue;
      r->named[next] += r->named[next] < UINT8_MAX;
      meet(r, next);
    }
  }
}

/* The place in a list where a link may be put: free, or leading to somebody who has other links. SIZE_MAX: none. */
static size_t place_find(const reaching *r, const link_slot *list) {
  size_t width = hnsw_width(r->h, 0), used = 0;
  while (used < width && hnsw_link_or_nobody(list, used, r->count) != HNSW_NOBODY) used++;
  if (used < width) return used;
  while (used-- > 0)
    if (r->named[hnsw_link(list, used)] > 1) return used;
  return SIZE_MAX;
}

static bool link_from(reaching *r, uint32_t from, uint32_t slot) {
  link_slot *list = hnsw_lowest(r->h, from);
  size_t place = place_find(r, list);
  if (place == SIZE_MAX) return false;
  uint32_t before = hnsw_link_or_nobody(list, place, r->count);
  if (before != HNSW_NOBODY) r->named[before]--;
  hnsw_link_set(list, place, slot);
  r->named[slot] = 1;
  meet(r, slot);
  follow(r);
  return true;
}

/* From the nearest neighbour (lists begin with it) that was met and has a place. */
static bool link_from_neighbour(reaching *r, uint32_t slot) {
  const link_slot *own = hnsw_lowest(r->h, slot);
  for (size_t i = 0; i < hnsw_width(r->h, 0); i++) {
    uint32_t neighbour = hnsw_link(own, i);
    if (neighbour == HNSW_NOBODY) return false;
    if (neighbour < r->count && r->met[neighbour] && link_from(r, neighbour, slot)) return true;
  }
  return false;
}

/* Along the lowest layer alone: what is found there was met. */
static void link_from_afar(reaching *r, uint32_t slot) {
  const rows *rows = r->h->base.rows;
  hnsw_scratch *s = r->scratch;
  row_query_from_row(&s->from_row, rows, slot);
  s->beam[0] = (beam_entry){rows->score(&s->from_row, rows_at(rows, r->entry), rows->dim), r->entry};
  s->beam_count = 1;
  hnsw_walk(r->h, s, &s->from_row, 0, r->h->build_breadth, r->count);
  for (size_t i = 0; i < s->beam_count; i++)
    if (link_from(r, s->beam[i].slot, slot)) return;
}

/* Returns how many were not met. */
static size_t reach_once(reaching *r) {
  size_t missed = 0;
  memset(r->met, 0, r->count);
  memset(r->named, 0, r->count);
  r->head = r->tail = 0;
  meet(r, r->entry);
  follow(r);
  for (uint32_t slot = 0; slot < r->count; slot++) {
    if (r->met[slot] || !rows_alive(r->h->base.rows, slot)) continue;
    missed++;
    (void)link_from_neighbour(r, slot);
  }
  for (uint32_t slot = 0; missed > 0 && slot < r->count; slot++)
    if (!r->met[slot] && rows_alive(r->h->base.rows, slot)) link_from_afar(r, slot);
  return missed;
}

medley_status hnsw_reach(hnsw *h, medley_error *err) {
  medley_status status = MEDLEY_OK;
  reaching r = {.h = h, .count = rows_count(h->base.rows)};
  uint32_t top;
  r.entry = hnsw_entry(h, &top);
  if (r.entry == HNSW_NOBODY) return MEDLEY_OK;
  TRY(hnsw_reserve(h, r.count, err)); /* slots that an insertion without memory left unlinked */
  TRY_NEW(r.met, r.count, "index graph");
  TRY_NEW(r.named, r.count, "index graph");
  TRY_NEW(r.queue, r.count, "index graph");
  TRY(hnsw_scratch_take(h, h->build_breadth, &r.scratch, err));
  for (int pass = 0; pass < REACH_PASSES && reach_once(&r) > 0; pass++) continue;
done:
  hnsw_scratch_give(h, r.scratch);
  mem_free(r.met);
  mem_free(r.named);
  mem_free(r.queue);
  return status;
}
