/* index/hnsw_repair.c: deletes.
 *
 * A removed node is not answered from that moment on, but it is still walked through: taking it out of the lists at
 * once would leave holes, and finding every list that names it means reading all links. So removed nodes gather, and a
 * sweep over all lists mends those that name one: the living neighbours and the living neighbours of the dead ones are
 * the candidates, chosen among as at insertion. After a sweep nobody names the nodes that were dead when it began, and
 * their slots are given back. (Singh et al. 2021, "FreshDiskANN", section 5.3, consolidates this way; links kept in
 * both directions would find the lists directly, but a node that many others chose could then not be linked by all of
 * them, and recall falls.) A sweep advances a little with each call, so that no write waits long.
 *
 * Blocks of nodes are mended in two steps, first computed in parallel, then written, so that the result does not depend
 * on the number of threads.
 */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "index/hnsw_walk.h"

#define BLOCK_NODES 1024

typedef struct mended_list {
  uint32_t slot, layer;
  uint32_t count; /* of links, SIZE of the list at most */
  uint32_t links[2 * HNSW_LINKS_MAX];
} mended_list;

typedef struct sweep {
  hnsw *h;
  hnsw_scratch **scratches; /* [threads] */
  scored **candidates;      /* [threads][2 M (2 M + 1)] */
  int threads;
  mended_list *lists; /* of the block */
  size_t list_count, list_capacity;
  uint32_t *orphans; /* left without a neighbour */
  size_t orphan_count, orphan_capacity;
} sweep;

void hnsw_remove(index_structure *s, uint32_t slot) {
  hnsw *h = (hnsw *)s;
  /* Without memory for the note the node stays dead and its slot unused: nothing is wrong, a little is lost. */
  if (!hnsw_dead_reserve(h, h->dead_count + 1)) return;
  h->dead[h->dead_count++] = slot;
}

static bool list_names_dead(const hnsw *h, uint32_t slot, uint32_t layer) {
  const link_slot *list = hnsw_list(h, slot, layer);
  size_t width = hnsw_width(h, layer);
  for (size_t i = 0; i < width; i++) {
    uint32_t next = hnsw_link(list, i);
    if (next == HNSW_NOBODY) return false;
    if (next >= rows_count(h->base.rows) || !rows_alive(h->base.rows, next))
      return true; /* a lie of the file goes too */
  }
  return false;
}

/* Adds the living of a list that were not met yet; the dead go to `dead`. */
static size_t gather(const hnsw *h, hnsw_scratch *s, uint32_t of, uint32_t layer, uint32_t self, scored *out,
                     size_t count, uint32_t *dead, size_t *dead_count) {
  const link_slot *list = hnsw_list(h, of, layer);
  size_t width = hnsw_width(h, layer);
  for (size_t i = 0; i < width; i++) {
    uint32_t next = hnsw_link_or_nobody(list, i, rows_count(h->base.rows));
    if (next == HNSW_NOBODY) break;
    if (next == self || !hnsw_scratch_visit(s, next)) continue;
    if (rows_alive(h->base.rows, next))
      out[count++].index = next;
    else if (dead != NULL)
      dead[(*dead_count)++] = next;
  }
  return count;
}

static void list_mend(const hnsw *h, hnsw_scratch *s, scored *candidates, mended_list *m) {
  const rows *r = h->base.rows;
  uint32_t dead[2 * HNSW_LINKS_MAX];
  size_t dead_count = 0, count = gather(h, s, m->slot, m->layer, m->slot, candidates, 0, dead, &dead_count);
  for (size_t i = 0; i < dead_count; i++)
    if (hnsw_level(h, dead[i]) >= m->layer)
      count = gather(h, s, dead[i], m->layer, m->slot, candidates, count, NULL, NULL);
  hnsw_scratch_clean(s);
  row_query_from_row(&s->from_row, r, m->slot);
  for (size_t i = 0; i < count; i++)
    candidates[i].score = r->score(&s->from_row, rows_at(r, candidates[i].index), r->dim);
  qsort(candidates, count, sizeof *candidates, hnsw_nearest_first);
  m->count = (uint32_t)hnsw_select(h, s, candidates, count, m->layer, hnsw_width(h, m->layer));
  for (size_t i = 0; i < m->count; i++) m->links[i] = candidates[i].index;
}

/* ---- a block of nodes ---- */

static medley_status block_find(sweep *w, uint32_t first, uint32_t end, medley_error *err) {
  medley_status status = MEDLEY_OK;
  w->list_count = 0;
  for (uint32_t slot = first; slot < end; slot++)
    for (uint32_t layer = 0; layer <= hnsw_level(w->h, slot); layer++) {
      if (!list_names_dead(w->h, slot, layer)) continue;
      TRY_GROW(w->lists, w->list_capacity, w->list_count + 1, "index repair");
      w->lists[w->list_count++] = (mended_list){.slot = slot, .layer = layer};
    }
done:
  return status;
}

static medley_status block_write(sweep *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  hnsw *h = w->h;
  for (size_t i = 0; i < w->list_count; i++) {
    const mended_list *m = &w->lists[i];
    link_slot *list = hnsw_list(h, m->slot, m->layer);
    size_t width = hnsw_width(h, m->layer);
    for (size_t k = 0; k < width; k++) hnsw_link_set(list, k, k < m->count ? m->links[k] : HNSW_NOBODY);
    if (m->count > 0 || m->layer > 0 || !rows_alive(h->base.rows, m->slot)) continue;
    TRY_GROW(w->orphans, w->orphan_capacity, w->orphan_count + 1, "index repair");
    w->orphans[w->orphan_count++] = m->slot;
  }
done:
  return status;
}

static medley_status block_mend(sweep *w, uint32_t first, uint32_t end, medley_error *err) {
  medley_status status = MEDLEY_OK;
  w->orphan_count = 0;
  TRY(block_find(w, first, end, err));
#pragma omp parallel for schedule(dynamic, 8) if (w->list_count > 8)
  for (size_t i = 0; i < w->list_count; i++) {
    int t = omp_get_thread_num();
    list_mend(w->h, w->scratches[t], w->candidates[t], &w->lists[i]);
  }
  TRY(block_write(w, err));
  if (w->orphan_count > 0) TRY(hnsw_relink(w->h, w->orphans, w->orphan_count, err));
done:
  return status;
}

/* ---- the sweep ---- */

static void sweep_deinit(sweep *w) {
  for (int t = 0; t < w->threads; t++) {
    if (w->scratches != NULL) hnsw_scratch_give(w->h, w->scratches[t]);
    if (w->candidates != NULL) mem_free(w->candidates[t]);
  }
  mem_free(w->scratches);
  mem_free(w->candidates);
  mem_free(w->lists);
  mem_free(w->orphans);
}

static medley_status sweep_init(sweep *w, hnsw *h, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t room = 2 * h->links * (2 * h->links + 1);
  *w = (sweep){.h = h, .threads = omp_get_max_threads()};
  TRY(hnsw_reserve(h, rows_count(h->base.rows), err)); /* slots that an insertion without memory left unlinked */
  TRY_NEW(w->scratches, (size_t)w->threads, "index repair");
  TRY_NEW(w->candidates, (size_t)w->threads, "index repair");
  for (int t = 0; t < w->threads; t++) {
    TRY(hnsw_scratch_take(h, 1, &w->scratches[t], err));
    TRY_NEW(w->candidates[t], room, "index repair");
  }
done:
  return status;
}

/* The entry must live: the highest living node takes over. */
static void entry_renew(hnsw *h) {
  uint32_t top, entry = hnsw_entry(h, &top), best = HNSW_NOBODY, level = 0, count = rows_count(h->base.rows);
  if (entry == HNSW_NOBODY || rows_alive(h->base.rows, entry)) return;
  for (uint32_t slot = 0; slot < count; slot++) {
    if (!rows_alive(h->base.rows, slot)) continue;
    uint32_t own = hnsw_level(h, slot);
    if (best == HNSW_NOBODY || own > level) {
      best = slot;
      level = own;
    }
  }
  hnsw_entry_set(h, best, level);
}

static void sweep_finish(hnsw *h, uint32_t *out, size_t *freed) {
  memcpy(out, h->dead, h->sweeping * sizeof *out);
  *freed = h->sweeping;
  h->dead_count -= h->sweeping;
  memmove(h->dead, h->dead + h->sweeping, h->dead_count * sizeof *h->dead);
  h->sweeping = h->sweep_at = 0;
}

medley_status hnsw_repair(index_structure *s, size_t budget, uint32_t *out, size_t *freed, medley_error *err) {
  medley_status status = MEDLEY_OK;
  hnsw *h = (hnsw *)s;
  sweep w = {0};
  size_t count = rows_count(s->rows);
  *freed = 0;
  if (h->dead_count == 0) return budget == SIZE_MAX ? hnsw_reach(h, count, err) : MEDLEY_OK;
  TRY(sweep_init(&w, h, err));
  if (h->sweeping == 0) {
    h->sweeping = h->dead_count;
    h->sweep_at = 0;
  }
  for (size_t looked = 0; h->sweep_at < count && looked < budget; looked += BLOCK_NODES) {
    size_t end = h->sweep_at + BLOCK_NODES < count ? h->sweep_at + BLOCK_NODES : count;
    TRY(block_mend(&w, (uint32_t)h->sweep_at, (uint32_t)end, err));
    h->sweep_at = end;
  }
  if (h->sweep_at >= count) {
    entry_renew(h);
    TRY(hnsw_reach(h, h->unlooked + h->sweeping, err));
    sweep_finish(h, out, freed);
  }
done:
  sweep_deinit(&w);
  return status;
}
