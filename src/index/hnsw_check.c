/* index/hnsw_check.c: is the graph what it should be? Reads every link once; meant for `medley doctor`, tests and after
 * a restore, not beside a writer. */
#include <stdio.h>

#include "base/memory.h"
#include "index/hnsw.h"

static void fault(index_check *c, const char *what, uint32_t slot, uint32_t layer, uint32_t link) {
  if (c->broken++ == 0)
    snprintf(c->fault, sizeof c->fault, "node %u, layer %u: the link to %u %s", slot, layer, link, what);
}

static bool list_names(const hnsw *h, uint32_t slot, uint32_t layer, uint32_t wanted) {
  const link_slot *list = hnsw_list(h, slot, layer);
  for (size_t i = 0; i < hnsw_width(h, layer); i++)
    if (hnsw_link(list, i) == wanted) return true;
  return false;
}

/* One list: its links exist, are on this layer, name nobody twice nor the node itself. Returns its length. */
static size_t list_check(const hnsw *h, uint32_t slot, uint32_t layer, index_check *c) {
  const link_slot *list = hnsw_list(h, slot, layer);
  size_t width = hnsw_width(h, layer), degree = 0;
  uint32_t count = rows_count(h->base.rows);
  for (; degree < width; degree++) {
    uint32_t next = hnsw_link(list, degree);
    if (next == HNSW_NOBODY) break;
    if (next >= count)
      fault(c, "names a node that does not exist", slot, layer, next);
    else if (next == slot)
      fault(c, "leads to itself", slot, layer, next);
    else if (layer > 0 && hnsw_level(h, next) < layer)
      fault(c, "names a node that does not reach so high", slot, layer, next);
    else {
      for (size_t i = 0; i < degree; i++)
        if (hnsw_link(list, i) == next) fault(c, "is there twice", slot, layer, next);
      if (layer > 0) continue;
      c->dead_links += !rows_alive(h->base.rows, next);
      c->one_way += !list_names(h, next, 0, slot);
    }
  }
  return degree;
}

/* Who can be reached on the lowest layer from the entry: the alive ones are counted. */
static medley_status reach(const hnsw *h, index_check *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t count = rows_count(h->base.rows), top, entry = hnsw_entry(h, &top);
  uint32_t *queue = NULL;
  uint8_t *met = NULL;
  size_t head = 0, tail = 0;
  TRY_NEW(queue, count, "index check");
  TRY_NEW(met, count, "index check");
  if (entry < count) {
    queue[tail++] = entry;
    met[entry] = 1;
  }
  for (; head < tail; head++) {
    const link_slot *list = hnsw_lowest(h, queue[head]);
    c->reachable += rows_alive(h->base.rows, queue[head]);
    for (size_t i = 0; i < hnsw_width(h, 0); i++) {
      uint32_t next = hnsw_link(list, i);
      if (next == HNSW_NOBODY) break;
      if (next >= count || met[next]) continue;
      met[next] = 1;
      queue[tail++] = next;
    }
  }
done:
  mem_free(queue);
  mem_free(met);
  return status;
}

medley_status hnsw_check(const index_structure *s, index_check *out, medley_error *err) {
  const hnsw *h = (const hnsw *)s;
  uint32_t count = rows_count(s->rows), top, entry = hnsw_entry(h, &top);
  size_t degrees = 0;
  *out = (index_check){.degree_min = SIZE_MAX};
  for (uint32_t slot = 0; slot < count; slot++) {
    if (!rows_alive(s->rows, slot)) continue;
    for (uint32_t layer = hnsw_level(h, slot) + 1; layer-- > 0;) {
      size_t degree = list_check(h, slot, layer, out);
      if (layer > 0) continue;
      degrees += degree;
      if (degree < out->degree_min) out->degree_min = degree;
      if (degree > out->degree_max) out->degree_max = degree;
    }
    out->alive++;
  }
  if (out->alive == 0) out->degree_min = 0;
  out->degree_mean = out->alive ? (double)degrees / (double)out->alive : 0;
  if (out->alive > 0 && (entry >= count || hnsw_level(h, entry) < top)) fault(out, "is no entry", entry, top, entry);
  return reach(h, out, err);
}
