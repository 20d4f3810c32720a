/* index/hnsw_walk.h: the walk through one layer, and the memory it needs. */
#ifndef INDEX_HNSW_WALK_H
#define INDEX_HNSW_WALK_H

#include "index/hnsw.h"
#include "index/nearest.h"

/* A candidate of the beam. */
typedef struct beam_entry {
  float score;
  uint32_t slot; /* HNSW_EXPANDED is set once its links were followed */
} beam_entry;
#define HNSW_EXPANDED 0x80000000u
_Static_assert(ROWS_MAX <= HNSW_EXPANDED, "the mark of a beam entry is a bit no slot uses");

/* One search, or one insertion, at a time. */
struct hnsw_scratch {
  hnsw_scratch *next;
  uint64_t *visited; /* a bit per slot below visited_slots; all zero between walks */
  size_t visited_slots;
  uint32_t *touched; /* words of `visited` that are not zero */
  size_t touched_count, touched_capacity;
  beam_entry *beam; /* [beam_count] best first: what the last walk found and the next begins with */
  size_t beam_count, beam_capacity;
  scored *found; /* [breadth] heap of what may be answered; candidates during insertion */
  size_t found_capacity;
  scored *open; /* heap of nodes still to expand in a filtered walk */
  size_t open_count, open_capacity;
  uint32_t met[2 * HNSW_LINKS_MAX]; /* the new neighbours of the node being expanded */
  float scores[2 * HNSW_LINKS_MAX];
  row_query from_row; /* a stored row as the query */
  size_t distances;   /* rows compared, counted up */
};

medley_status hnsw_scratch_take(const hnsw *h, size_t breadth, hnsw_scratch **out, medley_error *err) MEDLEY_CHECK;
void hnsw_scratch_give(const hnsw *h, hnsw_scratch *scratch);
void hnsw_scratch_free(hnsw_scratch *scratch);
void hnsw_scratch_clean(hnsw_scratch *scratch); /* forgets what was visited */

bool hnsw_scratch_visit(hnsw_scratch *scratch, uint32_t slot); /* true the first time since it was cleaned */
/* The neighbours of a node that this walk meets for the first time: into met and scores; returns how many. */
size_t hnsw_expand(const hnsw *h, hnsw_scratch *scratch, const row_query *q, uint32_t slot, uint32_t layer,
                   size_t slots);
/* Algorithm 2: from what is in the beam to the (at most `breadth`) nearest nodes met. slots: nodes below this number
 * exist for this search. */
void hnsw_walk(const hnsw *h, hnsw_scratch *scratch, const row_query *q, uint32_t layer, size_t breadth, size_t slots);
/* The same on the lowest layer for k answers, where breadth may be less: only the `breadth` nearest are expanded (all,
 * as long as fewer than k were met), and the beam keeps the k nearest of those met. */
void hnsw_walk_lowest(const hnsw *h, hnsw_scratch *scratch, const row_query *q, size_t k, size_t breadth, size_t slots);
/* From `slot` down to the layer above `layer`: Algorithm 2 with ef = 1, and with ef = starts for the last step. They
 * are left in the beam. */
void hnsw_descend(const hnsw *h, hnsw_scratch *scratch, const row_query *q, uint32_t slot, uint32_t from_layer,
                  uint32_t layer, size_t starts, size_t slots);
/* From what is in the beam to the lowest layer's nearest living and allowed nodes, however many others lie between:
 * best first in scratch->found, at most `breadth`; returns how many, SIZE_MAX when more than `budget` rows would be
 * compared, or memory ran out. */
size_t hnsw_walk_filtered(const hnsw *h, hnsw_scratch *scratch, const row_query *q, const index_allow *allow,
                          size_t breadth, size_t budget, size_t slots);

#endif
