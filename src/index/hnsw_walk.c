/* index/hnsw_walk.c: the walk through a layer: where an HNSW search spends its time.
 *
 * Almost all of it is waiting for memory: each neighbour met is a random row. So all new neighbours of a node are
 * gathered first, their rows asked for, and then compared four at a time; the links of the node that will be expanded
 * next are asked for meanwhile. What was visited is a bitmap (an eighth of a byte per node stays in the second level
 * cache where the usual two bytes per node do not), cleaned by the list of words it touched. The beam is one sorted
 * array: with a hundred entries an insertion moves a few hundred bytes, which is cheaper than the two heaps of the
 * paper, and it ends with the answers in order.
 */
#include "index/hnsw_walk.h"

#include <string.h>

#include "base/memory.h"
#include "index/pages.h"
#include "math/clones.h"

#define PREFETCH_LINES 8 /* of a row; the processor follows by itself from there */
#define WANT_AHEAD 8     /* nodes of the beam whose pages are asked for before their turn */

static bool scratch_reserve(hnsw_scratch *s, const hnsw *h, size_t breadth) {
  size_t slots = rows_count(h->base.rows);
  if (s->visited_slots < slots) {
    size_t wanted = (slots + slots / 4 + 1024 + 63) / 64 * 64;
    uint64_t *visited = mem_zalloc(wanted / 64, sizeof *visited);
    if (visited == NULL) return false;
    mem_free(s->visited);
    s->visited = visited;
    s->visited_slots = wanted;
  }
  if (s->beam_capacity < breadth + 1) {
    beam_entry *beam = mem_resize(s->beam, breadth + 1, sizeof *beam);
    if (beam == NULL) return false;
    s->beam = beam;
    s->beam_capacity = breadth + 1;
  }
  if (s->found_capacity < breadth) {
    scored *found = mem_resize(s->found, breadth, sizeof *found);
    if (found == NULL) return false;
    s->found = found;
    s->found_capacity = breadth;
  }
  return true;
}

medley_status hnsw_scratch_take(const hnsw *h, size_t breadth, hnsw_scratch **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  hnsw *owner = (hnsw *)h; /* the pool of scratches is behind its own lock */
  pthread_mutex_lock(&owner->scratch_lock);
  hnsw_scratch *s = owner->scratches;
  if (s != NULL) owner->scratches = s->next;
  pthread_mutex_unlock(&owner->scratch_lock);
  if (s == NULL) {
    TRY_NEW(s, 1, "index search");
    TRY(row_query_reserve(&s->from_row, h->base.rows, err));
  }
  if (!scratch_reserve(s, h, breadth)) status = error_memory(err, "index search");
done:
  if (status != MEDLEY_OK) {
    hnsw_scratch_free(s);
    s = NULL;
  } else {
    s->distances = 0;
  }
  *out = s;
  return status;
}

void hnsw_scratch_give(const hnsw *h, hnsw_scratch *s) {
  hnsw *owner = (hnsw *)h;
  if (s == NULL) return;
  pthread_mutex_lock(&owner->scratch_lock);
  s->next = owner->scratches;
  owner->scratches = s;
  pthread_mutex_unlock(&owner->scratch_lock);
}

void hnsw_scratch_free(hnsw_scratch *s) {
  if (s == NULL) return;
  row_query_deinit(&s->from_row);
  mem_free(s->visited);
  mem_free(s->touched);
  mem_free(s->beam);
  mem_free(s->found);
  mem_free(s->open);
  mem_free(s);
}

void hnsw_scratch_clean(hnsw_scratch *s) {
  for (size_t i = 0; i < s->touched_count; i++) s->visited[s->touched[i]] = 0;
  s->touched_count = 0;
}

/* True the first time a slot is met. When the list of touched words cannot grow, the word is cleaned with all others.
 */
static inline bool visit(hnsw_scratch *s, uint32_t slot) {
  uint64_t *word = &s->visited[slot >> 6], bit = (uint64_t)1 << (slot & 63);
  if (*word & bit) return false;
  if (*word == 0) {
    if (s->touched_count == s->touched_capacity) {
      void *grown = s->touched;
      if (!mem_grow(&grown, &s->touched_capacity, s->touched_count + 1024, sizeof *s->touched)) return false;
      s->touched = grown;
    }
    s->touched[s->touched_count++] = slot >> 6;
  }
  *word |= bit;
  return true;
}

bool hnsw_scratch_visit(hnsw_scratch *s, uint32_t slot) { return visit(s, slot); }

static inline void prefetch_row(const hnsw *h, uint32_t slot) {
  const char *row = rows_at(h->base.rows, slot);
  size_t bytes = h->base.rows->stride_bytes;
  if (bytes > PREFETCH_LINES * 64) bytes = PREFETCH_LINES * 64;
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at);
}

static inline void prefetch_list(const hnsw *h, uint32_t slot, uint32_t layer) {
  if (layer > 0 && hnsw_upper_of(h, slot) == HNSW_NOBODY) return; /* only a file can say that it is in that layer */
  const char *list = (const char *)hnsw_list(h, slot, layer);
  for (size_t at = 0; at < hnsw_width(h, layer) * sizeof(link_slot); at += 64) __builtin_prefetch(list + at);
}

/* ---- a file that is not in memory: what is going to be read is asked for together (pages.h) ---- */

static void want_row(const hnsw *h, uint32_t slot) {
  pages_want(h->base.rows->pages, rows_at(h->base.rows, slot), h->base.rows->stride_bytes);
}

/* ---- nodes ---- */

/* The neighbours of a node that are met for the first time, into s->met, their rows asked for; returns how many. */
static size_t gather(const hnsw *h, hnsw_scratch *s, uint32_t slot, uint32_t layer, size_t slots) {
  if (layer > 0 && hnsw_level(h, slot) < layer) return 0; /* only a file can say so */
  const link_slot *list = hnsw_list(h, slot, layer);
  size_t width = hnsw_width(h, layer), count = 0;
  for (size_t i = 0; i < width; i++) {
    uint32_t next = hnsw_link(list, i);
    if (next >= slots) { /* nobody, or younger than this search, or a lie of the file */
      if (next == HNSW_NOBODY) break;
      continue;
    }
    if (!visit(s, next)) continue;
    prefetch_row(h, next);
    s->met[count++] = next;
  }
  if (pages_cold(h->base.rows->pages))
    for (size_t i = 0; i < count; i++) want_row(h, s->met[i]);
  s->distances += count;
  return count;
}

/* scores of the slots from `at` on in s->met [count], of at most four; returns where the next begin. */
static inline size_t score_some(const hnsw *h, hnsw_scratch *s, const row_query *q, size_t at, size_t count) {
  const rows *r = h->base.rows;
  if (at + 4 <= count) {
    const void *row[4] = {rows_at(r, s->met[at]), rows_at(r, s->met[at + 1]), rows_at(r, s->met[at + 2]),
                          rows_at(r, s->met[at + 3])};
    r->score4(q, row, r->dim, s->scores + at);
    return at + 4;
  }
  for (; at < count; at++) s->scores[at] = r->score(q, rows_at(r, s->met[at]), r->dim);
  return at;
}

size_t hnsw_expand(const hnsw *h, hnsw_scratch *s, const row_query *q, uint32_t slot, uint32_t layer, size_t slots) {
  size_t count = gather(h, s, slot, layer, slots);
  for (size_t at = 0; at < count;) at = score_some(h, s, q, at, count);
  return count;
}

/* Puts an entry into the sorted beam of at most `breadth`; returns the place, or SIZE_MAX when it is too far. */
static inline size_t beam_add(beam_entry *beam, size_t *count, size_t breadth, beam_entry entry) {
  if (*count == breadth && entry.score <= beam[breadth - 1].score) return SIZE_MAX;
  size_t low = 0, high = *count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (beam[middle].score >= entry.score)
      low = middle + 1;
    else
      high = middle;
  }
  size_t moved = (*count < breadth ? *count : breadth - 1) - low;
  memmove(beam + low + 1, beam + low, moved * sizeof *beam);
  beam[low] = entry;
  if (*count < breadth) ++*count;
  return low;
}

/* A walk through a layer. The beam has a place for each answer that is wanted, and at least `breadth`; the first
 * `breadth` of them are expanded, and all as long as one is empty. */
typedef struct walk {
  const hnsw *h;
  hnsw_scratch *s;
  const row_query *q;
  uint32_t layer;
  size_t breadth, places, slots;
  size_t count; /* of the beam */
} walk;

static inline size_t next_open(const walk *w, size_t at) {
  const beam_entry *beam = w->s->beam;
  size_t end = w->count < w->places ? w->count : w->breadth;
  while (at < end && beam[at].slot & HNSW_EXPANDED) at++;
  return at < end ? at : SIZE_MAX;
}

/* Expands beam[at] and takes in whom it meets; returns the first place that changed, SIZE_MAX when none did. The list
 * of whoever is the best so far is asked for while the others are still being compared: it is the next to be read. */
static inline VECTOR_INLINE size_t expand_into(walk *w, size_t at) {
  hnsw_scratch *s = w->s;
  beam_entry *beam = s->beam;
  uint32_t slot = beam[at].slot;
  size_t first = SIZE_MAX, after = next_open(w, at + 1);
  beam[at].slot |= HNSW_EXPANDED;
  if (after != SIZE_MAX) prefetch_list(w->h, beam[after].slot, w->layer);
  size_t met = gather(w->h, s, slot, w->layer, w->slots);
  for (size_t i = 0, end; i < met;) {
    size_t before = first;
    for (end = score_some(w->h, s, w->q, i, met); i < end; i++) {
      size_t place = beam_add(beam, &w->count, w->places, (beam_entry){s->scores[i], s->met[i]});
      if (place < first) first = place;
    }
    if (first < before && first <= after) prefetch_list(w->h, beam[first].slot, w->layer);
  }
  return first;
}

/* The next of the beam: their links, and the rows of those whose links have come. Nearly all of them will be expanded.
 */
static inline VECTOR_INLINE void want_ahead(const walk *w, size_t next) {
  pages *file = w->h->base.rows->pages;
  size_t width = hnsw_width(w->h, 0);
  for (size_t ahead = 0; ahead < WANT_AHEAD && next != SIZE_MAX; ahead++, next = next_open(w, next + 1)) {
    const link_slot *list = hnsw_lowest(w->h, w->s->beam[next].slot);
    pages_want(file, (const void *)list, width * sizeof *list);
    if (!pages_here((const void *)list)) continue;
    for (size_t i = 0; i < width; i++) {
      uint32_t slot = hnsw_link(list, i);
      if (slot == HNSW_NOBODY) break;
      if (slot < w->slots) want_row(w->h, slot);
    }
  }
}

/* By value, and all inlined: the count stays in a register, not in the caller's memory (2 % of a search). */
static void walk_run(walk w) {
  hnsw_scratch *s = w.s;
  bool cold = w.layer == 0 && pages_cold(w.h->base.rows->pages);
  w.count = s->beam_count < w.places ? s->beam_count : w.places;
  for (size_t i = 0; i < w.count; i++) (void)visit(s, s->beam[i].slot);
  for (size_t next = next_open(&w, 0); next != SIZE_MAX;) {
    if (cold) want_ahead(&w, next);
    size_t first = expand_into(&w, next);
    next = next_open(&w, first < next ? first : next);
  }
  for (size_t i = 0; i < w.count; i++) s->beam[i].slot &= ~HNSW_EXPANDED;
  hnsw_scratch_clean(s);
  s->beam_count = w.count;
}

void hnsw_walk(const hnsw *h, hnsw_scratch *s, const row_query *q, uint32_t layer, size_t breadth, size_t slots) {
  walk_run((walk){.h = h, .s = s, .q = q, .layer = layer, .breadth = breadth, .places = breadth, .slots = slots});
}

void hnsw_walk_lowest(const hnsw *h, hnsw_scratch *s, const row_query *q, size_t k, size_t breadth, size_t slots) {
  walk_run((walk){.h = h, .s = s, .q = q, .breadth = breadth, .places = k > breadth ? k : breadth, .slots = slots});
}

/* Algorithm 2 with ef = 1. */
static scored climb(const hnsw *h, hnsw_scratch *s, const row_query *q, scored best, uint32_t layer, size_t slots) {
  for (bool nearer = true; nearer;) {
    nearer = false;
    size_t count = hnsw_expand(h, s, q, best.index, layer, slots);
    for (size_t i = 0; i < count; i++)
      if (s->scores[i] > best.score) {
        best = (scored){s->scores[i], s->met[i]};
        nearer = true;
      }
  }
  hnsw_scratch_clean(s);
  return best;
}

void hnsw_descend(const hnsw *h, hnsw_scratch *s, const row_query *q, uint32_t slot, uint32_t from_layer,
                  uint32_t layer, size_t starts, size_t slots) {
  const rows *r = h->base.rows;
  if (pages_cold(r->pages)) want_row(h, slot);
  scored best = {r->score(q, rows_at(r, slot), r->dim), slot};
  s->distances++;
  for (uint32_t at = from_layer; at > layer + 1; at--) best = climb(h, s, q, best, at, slots);
  s->beam[0] = (beam_entry){best.score, best.index};
  s->beam_count = 1;
  if (from_layer > layer) hnsw_walk(h, s, q, layer + 1, starts, slots);
}

/* ---- a filtered walk: open nodes are a heap, nearest at the root ---- */

static bool open_push(hnsw_scratch *s, scored entry) {
  void *grown = s->open;
  if (!mem_grow(&grown, &s->open_capacity, s->open_count + 1, sizeof *s->open)) return false;
  s->open = grown;
  size_t at = s->open_count++;
  for (size_t parent; at > 0 && nearest_before(entry, s->open[parent = (at - 1) / 2]); at = parent)
    s->open[at] = s->open[parent];
  s->open[at] = entry;
  return true;
}

static scored open_pop(hnsw_scratch *s) {
  scored best = s->open[0], last = s->open[--s->open_count];
  size_t at = 0;
  for (size_t child; (child = 2 * at + 1) < s->open_count; at = child) {
    if (child + 1 < s->open_count && nearest_before(s->open[child + 1], s->open[child])) child++;
    if (!nearest_before(s->open[child], last)) break;
    s->open[at] = s->open[child];
  }
  s->open[at] = last;
  return best;
}

typedef struct filtered_walk {
  const hnsw *h;
  hnsw_scratch *s;
  const row_query *q;
  const index_allow *allow;
  size_t slots, budget;
  nearest kept;
} filtered_walk;

static bool passes(const filtered_walk *w, uint32_t slot) {
  return rows_alive(w->h->base.rows, slot) && index_allows(w->allow, slot);
}

/* A node is worth expanding while it may lead to something nearer than the worst kept. */
static bool offer(filtered_walk *w, scored entry) {
  if (w->kept.count == w->kept.k && entry.score <= w->kept.entries[0].score) return true;
  if (!open_push(w->s, entry)) return false;
  if (passes(w, entry.index)) nearest_push(&w->kept, entry);
  return true;
}

/* An eighth of the budget is spent, and at this rate it will not do: what passes lies elsewhere. */
static bool hopeless(const filtered_walk *w) {
  return w->s->distances > w->budget / 8 && w->kept.count * 8 < w->kept.k;
}

/* False when it gave up: too many compared, or no memory. */
static bool filtered_run(filtered_walk *w) {
  hnsw_scratch *s = w->s;
  bool whole = true;
  s->open_count = 0;
  for (size_t i = 0; i < s->beam_count && whole; i++) {
    (void)visit(s, s->beam[i].slot);
    whole = offer(w, (scored){s->beam[i].score, s->beam[i].slot});
  }
  while (whole && s->open_count > 0 && s->distances <= w->budget) {
    scored next = open_pop(s);
    if (w->kept.count == w->kept.k && next.score < w->kept.entries[0].score) break;
    if (hopeless(w)) return false;
    if (s->open_count > 0) prefetch_list(w->h, s->open[0].index, 0);
    size_t met = hnsw_expand(w->h, s, w->q, next.index, 0, w->slots);
    for (size_t i = 0; i < met && whole; i++) whole = offer(w, (scored){s->scores[i], s->met[i]});
  }
  return whole && s->distances <= w->budget;
}

size_t hnsw_walk_filtered(const hnsw *h, hnsw_scratch *s, const row_query *q, const index_allow *allow, size_t breadth,
                          size_t budget, size_t slots) {
  filtered_walk w = {h, s, q, allow, slots, budget, {s->found, 0, breadth}};
  hnsw_scratch_clean(s);
  bool whole = filtered_run(&w);
  hnsw_scratch_clean(s);
  return whole ? nearest_finish(&w.kept) : SIZE_MAX;
}
