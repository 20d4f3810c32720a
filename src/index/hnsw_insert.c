/* index/hnsw_insert.c: insertion (Algorithm 1), in batches.
 *
 * Many nodes at once are inserted in rounds: first every node of the round looks for its neighbours in the graph as it
 * is (in parallel, reading only), then the links back are sorted by the node they lead to and each such node's list is
 * rewritten by one thread. So no list needs a lock, and the graph is the same for any number of threads, which locking
 * node by node (the usual way) cannot give. The price: nodes of one round do not see each other. A round is at most
 * 1/64 of the graph, and the order is shuffled, so that neighbours that arrive together (frames of one film, patches
 * of one picture) fall into different rounds. Manohar et al. 2024 (ParlayANN) build this way, with rounds of 1/50.
 */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/progress.h"
#include "index/hnsw_walk.h"

#define ROUND_SHARE 64
#define ROUND_MAX 4096
#define ROUND_PARALLEL 8 /* below, waking the others takes longer than the work */
/* So many inserted, absolutely and as a share of the graph, are worth a look at who can be reached. */
#define REACH_MIN 256
#define REACH_SHARE 10

/* A link back: `source` has chosen `target`. */
typedef struct back_link {
  uint64_t target; /* layer << 32 | slot; UINT64_MAX: unused */
  uint32_t source, order;
  float score;
} back_link;

typedef struct insertion {
  hnsw *h;
  const uint32_t *slots; /* of this round, [count] */
  uint32_t *levels;      /* [count] */
  size_t *first;         /* [count] where a node's links back begin */
  size_t count;
  back_link *back;
  size_t back_count, back_capacity, capacity;
  size_t slot_limit; /* nodes below it exist */
  size_t living;     /* nodes that are linked and alive, without those of this round */
  int threads;
  hnsw_scratch **scratches; /* [threads] */
  row_query *queries;       /* [threads] the node being inserted */
} insertion;

static int back_link_order(const void *a, const void *b) {
  const back_link *x = a, *y = b;
  if (x->target != y->target) return x->target < y->target ? -1 : 1;
  return x->order < y->order ? -1 : x->order > y->order;
}

/* ---- first half: a node looks for its neighbours ---- */

/* A node that a file has linked to in a layer above its own is none of that layer's neighbours. */
static size_t beam_living(const hnsw *h, hnsw_scratch *s, uint32_t layer, uint32_t self) {
  size_t kept = 0;
  for (size_t i = 0; i < s->beam_count; i++)
    if (s->beam[i].slot != self && rows_alive(h->base.rows, s->beam[i].slot) &&
        (layer == 0 || hnsw_level(h, s->beam[i].slot) >= layer))
      s->found[kept++] = (scored){s->beam[i].score, s->beam[i].slot};
  return kept;
}

/* The living of the beam. When the place is full of dead ones, the walk goes on until it has found living ones, so that
 * nobody is ever linked to a node that a sweep has seen dead; without memory for that, those of the beam must do. */
static size_t candidates_find(const insertion *in, hnsw_scratch *s, const row_query *q, uint32_t layer, uint32_t self) {
  const hnsw *h = in->h;
  hnsw_walk(h, s, q, layer, h->build_breadth, in->slot_limit);
  size_t kept = beam_living(h, s, layer, self);
  if (kept >= h->links || layer > 0 || kept + 1 >= s->beam_count) return kept;
  size_t more = hnsw_walk_filtered(h, s, q, NULL, h->links + 1, SIZE_MAX, in->slot_limit);
  if (more == SIZE_MAX) return beam_living(h, s, layer, self);
  kept = 0;
  for (size_t i = 0; i < more; i++)
    if (s->found[i].index != self) s->found[kept++] = s->found[i];
  return kept;
}

static void node_choose(insertion *in, size_t i, hnsw_scratch *s, row_query *q) {
  hnsw *h = in->h;
  uint32_t slot = in->slots[i], top, entry = hnsw_entry(h, &top);
  back_link *back = in->back + in->first[i];
  row_query_from_row(q, h->base.rows, slot);
  uint32_t from = in->levels[i] < top ? in->levels[i] : top;
  hnsw_descend(h, s, q, entry, top, from, 1, in->slot_limit);
  for (uint32_t layer = from + 1; layer-- > 0;) {
    size_t count = candidates_find(in, s, q, layer, slot);
    link_slot *list = hnsw_list(h, slot, layer);
    if (hnsw_link(list, 0) != HNSW_NOBODY) continue; /* linked anew, for the sake of another layer */
    count = hnsw_select(h, s, s->found, count, layer, h->links);
    for (size_t k = 0; k < count; k++) {
      hnsw_link_set(list, k, s->found[k].index);
      uint32_t order = (uint32_t)(back - in->back);
      *back++ = (back_link){(uint64_t)layer << 32 | s->found[k].index, slot, order, s->found[k].score};
    }
  }
}

/* ---- second half: a node takes in who chose it ---- */

static bool list_names(const link_slot *list, size_t length, uint32_t slot) {
  for (size_t i = 0; i < length; i++)
    if (hnsw_link(list, i) == slot) return true;
  return false;
}

/* space [width + count] */
static void list_take_in(hnsw *h, hnsw_scratch *s, const back_link *back, size_t all, scored *space) {
  const rows *r = h->base.rows;
  uint32_t target = (uint32_t)back->target, layer = (uint32_t)(back->target >> 32), nodes = rows_count(r);
  link_slot *list = hnsw_list(h, target, layer);
  size_t width = hnsw_width(h, layer), had = 0, count = 0;
  while (had < width && hnsw_link_or_nobody(list, had, nodes) != HNSW_NOBODY) had++;
  for (size_t i = 0; i < all; i++) /* one that was linked anew may be named already */
    if (!list_names(list, had, back[i].source)) space[had + count++] = (scored){back[i].score, back[i].source};
  if (had + count <= width) {
    for (size_t i = had; i < had + count; i++) hnsw_link_set(list, i, space[i].index);
    return;
  }
  row_query_from_row(&s->from_row, r, target);
  for (size_t i = 0; i < had; i++) {
    uint32_t slot = hnsw_link(list, i);
    space[i] = (scored){r->score(&s->from_row, rows_at(r, slot), r->dim), slot};
  }
  qsort(space, had + count, sizeof *space, hnsw_nearest_first);
  hnsw_list_write(list, width, space, hnsw_select(h, s, space, had + count, layer, width));
}

/* ---- a round ---- */

static medley_status round_prepare(insertion *in, const uint32_t *slots, size_t count, bool new_nodes,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  hnsw *h = in->h;
  in->slots = slots;
  in->count = count;
  in->back_count = 0;
  if (count > in->capacity) {
    size_t capacity = in->capacity;
    TRY_GROW(in->levels, capacity, count, "index insertion");
    capacity = in->capacity;
    TRY_GROW(in->first, capacity, count, "index insertion");
    in->capacity = capacity;
  }
  for (size_t i = 0; i < count; i++) {
    in->levels[i] = new_nodes ? hnsw_draw_level(h, slots[i]) : hnsw_level(h, slots[i]);
    in->first[i] = in->back_count;
    in->back_count += (in->levels[i] + 1) * h->links;
  }
  TRY_GROW(in->back, in->back_capacity, in->back_count, "index insertion");
  for (size_t i = 0; i < in->back_count; i++) in->back[i].target = UINT64_MAX;
  for (size_t i = 0; i < count && new_nodes; i++) {
    status = hnsw_add_node(h, slots[i], in->levels[i], err);
    if (status == MEDLEY_OK) continue;
    while (i-- > 0) hnsw_drop_node(h, slots[i]);
    goto done;
  }
done:
  return status;
}

static void round_choose(insertion *in) {
#pragma omp parallel for schedule(dynamic, 1) if (in->count >= ROUND_PARALLEL)
  for (size_t i = 0; i < in->count; i++) {
    int t = omp_get_thread_num();
    node_choose(in, i, in->scratches[t], &in->queries[t]);
  }
}

static medley_status round_link(insertion *in, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t *starts = NULL, groups = 0, widest = 0, count = 0;
  scored *space = NULL;
  for (size_t i = 0; i < in->back_count; i++)
    if (in->back[i].target != UINT64_MAX) in->back[count++] = in->back[i];
  qsort(in->back, count, sizeof *in->back, back_link_order);
  TRY_NEW(starts, count + 1, "index insertion");
  for (size_t i = 0; i < count; i++)
    if (i == 0 || in->back[i].target != in->back[i - 1].target) starts[groups++] = i;
  starts[groups] = count;
  for (size_t g = 0; g < groups; g++)
    if (starts[g + 1] - starts[g] > widest) widest = starts[g + 1] - starts[g];
  size_t room = widest + 2 * in->h->links;
  TRY_NEW(space, room * (size_t)omp_get_max_threads(), "index insertion");
#pragma omp parallel for schedule(dynamic, 64) if (groups > 64)
  for (size_t g = 0; g < groups; g++) {
    size_t t = (size_t)omp_get_thread_num();
    list_take_in(in->h, in->scratches[t], in->back + starts[g], starts[g + 1] - starts[g], space + t * room);
  }
done:
  mem_free(starts);
  mem_free(space);
  return status;
}

/* Whether a walk from the entry can lead to somebody alive: when all were removed it only leads through the dead. */
static bool entry_serves(const insertion *in) {
  uint32_t top, entry = hnsw_entry(in->h, &top);
  return entry != HNSW_NOBODY && (in->living > 0 || rows_alive(in->h->base.rows, entry));
}

/* The highest of the round becomes the entry when it reaches above the present one, or when that serves nobody. */
static void round_entry(insertion *in, bool serves) {
  uint32_t top, entry = hnsw_entry(in->h, &top);
  if (!serves) entry = HNSW_NOBODY;
  for (size_t i = 0; i < in->count; i++)
    if (entry == HNSW_NOBODY || in->levels[i] > top) {
      entry = in->slots[i];
      top = in->levels[i];
    }
  hnsw_entry_set(in->h, entry, top);
}

/* ---- many rounds ---- */

static void insertion_deinit(insertion *in) {
  for (int t = 0; t < in->threads; t++) {
    if (in->scratches != NULL) hnsw_scratch_give(in->h, in->scratches[t]);
    if (in->queries != NULL) row_query_deinit(&in->queries[t]);
  }
  mem_free(in->scratches);
  mem_free(in->queries);
  mem_free(in->levels);
  mem_free(in->first);
  mem_free(in->back);
}

static medley_status insertion_init(insertion *in, hnsw *h, medley_error *err) {
  medley_status status = MEDLEY_OK;
  /* A walk keeps build_breadth nodes, the one among dead nodes links + 1. */
  size_t breadth = h->build_breadth > h->links ? h->build_breadth : h->links + 1;
  *in = (insertion){.h = h, .slot_limit = rows_count(h->base.rows), .threads = omp_get_max_threads()};
  TRY(hnsw_reserve(h, in->slot_limit, err));
  TRY_NEW(in->scratches, (size_t)in->threads, "index insertion");
  TRY_NEW(in->queries, (size_t)in->threads, "index insertion");
  for (int t = 0; t < in->threads; t++) {
    TRY(hnsw_scratch_take(h, breadth, &in->scratches[t], err));
    TRY(row_query_reserve(&in->queries[t], h->base.rows, err));
  }
done:
  return status;
}

static medley_status round_run(insertion *in, const uint32_t *slots, size_t count, bool new_nodes, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool serves = entry_serves(in);
  TRY(round_prepare(in, slots, count, new_nodes, err));
  if (serves) {
    round_choose(in);
    TRY(round_link(in, err));
  }
  round_entry(in, serves);
done:
  return status;
}

static size_t round_size(size_t graph, size_t left) {
  size_t round = graph / ROUND_SHARE;
  round = round < 1 ? 1 : round > ROUND_MAX ? ROUND_MAX : round;
  return round < left ? round : left;
}

medley_status hnsw_insert(index_structure *structure, uint32_t *slots, size_t count, const medley_progress *progress,
                          size_t *linked, medley_error *err) {
  medley_status status = MEDLEY_OK;
  insertion in;
  progress_stage stage;
  size_t before = atomic_load(&structure->rows->alive_count) - count;
  rng r;
  *linked = 0;
  progress_begin(&stage, progress, "link vectors", count);
  TRY(insertion_init(&in, (hnsw *)structure, err));
  rng_seed(&r, in.h->seed);
  rng_shuffle(&r, slots, count);
  while (*linked < count) {
    in.living = before + *linked;
    size_t round = round_size(in.living, count - *linked);
    TRY(round_run(&in, slots + *linked, round, true, err));
    *linked += round;
    TRY(progress_update(&stage, *linked, err));
  }
  in.h->unlooked += *linked;
  if (in.h->unlooked >= REACH_MIN && in.h->unlooked >= before / REACH_SHARE) TRY(hnsw_reach(in.h, in.h->unlooked, err));
  progress_end(&stage, *linked);
done:
  insertion_deinit(&in);
  return status;
}

medley_status hnsw_relink(hnsw *h, const uint32_t *slots, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  insertion in;
  size_t others = atomic_load(&h->base.rows->alive_count) - count;
  TRY(insertion_init(&in, h, err));
  for (size_t done = 0, round; done < count; done += round) {
    in.living = others + done;
    round = round_size(in.living, count - done);
    TRY(round_run(&in, slots + done, round, false, err));
  }
done:
  insertion_deinit(&in);
  return status;
}
