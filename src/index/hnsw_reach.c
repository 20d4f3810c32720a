/* index/hnsw_reach.c: every living node can be walked to from the entry.
 *
 * Choosing neighbours drops links back, and now and then all of a node's: it links to others and none to it, so no
 * search finds it. After a bulk insertion and after a sweep the lowest layer is walked through once; what was not met
 * is linked to from the nearest of its own neighbours that was met: in a free place of the list, or in the place of the
 * farthest link to a node that others link to as well.
 */
#include "base/memory.h"
#include "index/hnsw.h"

typedef struct reaching {
  const hnsw *h;
  uint32_t count;
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
  while (used < width && hnsw_link(list, used) != HNSW_NOBODY) used++;
  if (used < width) return used;
  while (used-- > 0)
    if (r->named[hnsw_link(list, used)] > 1) return used;
  return SIZE_MAX;
}

/* From the nearest neighbour (lists begin with it) that was met and has a place. */
static void link_to(reaching *r, uint32_t slot) {
  const link_slot *own = hnsw_lowest(r->h, slot);
  for (size_t i = 0; i < hnsw_width(r->h, 0); i++) {
    uint32_t neighbour = hnsw_link(own, i);
    if (neighbour == HNSW_NOBODY) return;
    if (neighbour >= r->count || !r->met[neighbour]) continue;
    link_slot *list = hnsw_lowest(r->h, neighbour);
    size_t place = place_find(r, list);
    if (place == SIZE_MAX) continue;
    uint32_t before = hnsw_link(list, place);
    if (before != HNSW_NOBODY) r->named[before]--;
    hnsw_link_set(list, place, slot);
    r->named[slot] = 1;
    meet(r, slot);
    follow(r);
    return;
  }
}

medley_status hnsw_reach(hnsw *h, medley_error *err) {
  medley_status status = MEDLEY_OK;
  reaching r = {.h = h, .count = rows_count(h->base.rows)};
  uint32_t top, entry = hnsw_entry(h, &top);
  if (entry == HNSW_NOBODY) return MEDLEY_OK;
  TRY_NEW(r.met, r.count, "index graph");
  TRY_NEW(r.named, r.count, "index graph");
  TRY_NEW(r.queue, r.count, "index graph");
  meet(&r, entry);
  follow(&r);
  for (uint32_t slot = 0; slot < r.count; slot++)
    if (!r.met[slot] && rows_alive(h->base.rows, slot)) link_to(&r, slot);
done:
  mem_free(r.met);
  mem_free(r.named);
  mem_free(r.queue);
  return status;
}
