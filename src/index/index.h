/* index/index.h: what an index kind is: a way to find the nearest rows. One kind a file or folder of files.
 *
 * The set above (set.h, public as include/medley/index.h) owns ids, rows, filters, journal and file, and gives a kind
 * slots to link and queries to answer. So "exact", "hnsw" and "ivfpq" differ in nothing but how they find.
 *
 * Threads: insert, remove, repair, write are called by one thread at a time (the set's writer lock), search and
 * search_batch by any number beside them, without waiting. A slot that `repair` gave back is used again only after
 * every search that had begun before has ended (guard.h).
 */
#ifndef INDEX_INDEX_H
#define INDEX_INDEX_H

#include <medley/progress.h>

#include "index/rows.h"

struct index_file;
struct index_file_writer;

/* 0 is the default everywhere. */
typedef struct index_options {
  size_t links;          /* hnsw: M, links per node and layer, twice as many on the lowest; 2..128, default 16, of short
                            int8 rows fewer (hnsw_graph.c) */
  size_t build_breadth;  /* hnsw: efConstruction, default 128 */
  size_t search_breadth; /* hnsw: ef; ivfpq: lists looked at; default by kind */
  size_t lists;          /* ivfpq: inverted lists, default sqrt(count) */
  size_t code_bytes;     /* ivfpq: bytes of a product code, default dim / 8 */
  uint64_t seed;
  uint64_t memory_bytes; /* what the whole index may take: training keeps to a part of it; 0: no matter */
} index_options;

/* Which slots may be answered. Made by filter.h or from ids; read-only during the search. */
typedef struct index_allow {
  const uint64_t *words; /* a bit per slot, [(slots + 63) / 64] */
  size_t slots;          /* bits; a slot beyond is not allowed */
  size_t count;          /* bits set */
} index_allow;

typedef struct index_query {
  const row_query *query;
  const index_allow *allow; /* NULL: every alive slot */
  size_t k;
  size_t breadth; /* 0: the index's own search_breadth; of hnsw at least k then, otherwise it may be less */
  bool exact;     /* look at everything whatever the kind */
} index_query;

typedef struct index_effort {
  bool exact;       /* every allowed row was compared with the query itself */
  size_t distances; /* rows compared */
} index_effort;

/* What a structure is opened from. */
typedef struct index_opening {
  const rows *rows;
  const index_options *options;
  const struct index_file *file;
  const uint64_t *free; /* a bit per slot: to be given out again; NULL: none */
} index_opening;

static inline bool index_opening_free(const index_opening *o, uint32_t slot) {
  return o->free != NULL && o->free[slot >> 6] >> (slot & 63) & 1;
}

typedef struct index_kind index_kind;

/* Each kind lays out its own, beginning with this. */
typedef struct index_structure {
  const index_kind *kind;
  const rows *rows; /* borrowed */
  size_t breadth;   /* the search_breadth in use; 0: the kind has none */
} index_structure;

typedef struct index_check {
  size_t alive, reachable, one_way, dead_links, broken; /* of the lowest layer; broken: a fault that must not be */
  size_t degree_min, degree_max;
  double degree_mean;
  char fault[256]; /* the first broken thing in words; "" when there is none */
} index_check;

struct index_kind {
  const char *name, *summary;
  bool exact;        /* always: its recall is 1 by construction */
  bool rows_on_disk; /* a search reads few rows: they may lie in a file */
  medley_status (*create)(const rows *rows, const index_options *o, index_structure **out, medley_error *err);
  /* The rows are set and alive already. Runs over all threads of OpenMP. May reorder slots; on error, or when progress
   * asks to stop, the first *linked of them are findable and the rest is as before. */
  medley_status (*insert)(index_structure *s, uint32_t *slots, size_t count, const medley_progress *progress,
                          size_t *linked, medley_error *err);
  /* The row is dead already and not answered any more; a kind with links notes that they are to be repaired. NULL:
   * nothing to do. */
  void (*remove)(index_structure *s, uint32_t slot);
  /* Mends what dead rows left, at most about `budget` rows looked at (SIZE_MAX: all, and what no walk reaches is linked
   * to again); *freed counts slots that nothing names any more, written to out [the dead there are], also those of a
   * call that fails. NULL: slots are free at once. */
  medley_status (*repair)(index_structure *s, size_t budget, uint32_t *out, size_t *freed, medley_error *err);
  /* Best first into out [k]; equal scores by smaller slot. */
  medley_status (*search)(const index_structure *s, const index_query *q, scored *out, size_t *found,
                          index_effort *effort, medley_error *err);
  /* queries [count]; query i's answers in out [i * k ..]. NULL: the set asks one after the other, over threads. */
  medley_status (*search_batch)(const index_structure *s, const index_query *q, const row_query *queries, size_t count,
                                scored *out, size_t *found, index_effort *effort, medley_error *err);
  /* Fills those of the options that the kind uses, as they are now. NULL: it has none. */
  void (*describe)(const index_structure *s, index_options *out);
  size_t (*bytes)(const index_structure *s);      /* own memory beside the rows */
  size_t (*each_bytes)(const index_structure *s); /* about what one row more takes of it; NULL: nothing */
  medley_status (*check)(const index_structure *s, index_check *out, medley_error *err); /* NULL: nothing to check */
  /* Sections of the file, and back: every number is checked before it is trusted, and none of the free slots is still
   * named. A mapped section may be used in place and written to (the mapping is private). NULL: there is nothing to
   * keep. */
  medley_status (*write)(const index_structure *s, struct index_file_writer *w, medley_error *err);
  medley_status (*open)(const index_opening *from, index_structure **out, medley_error *err);
  void (*free)(index_structure *s);
};

extern const index_kind *const index_kinds[]; /* ended by NULL */
const index_kind *index_kind_find(const char *name);

/* The kinds. */
extern const index_kind index_exact;
extern const index_kind index_hnsw;
extern const index_kind index_ivfpq;

static inline bool index_allows(const index_allow *a, uint32_t slot) {
  return a == NULL || (slot < a->slots && a->words[slot >> 6] >> (slot & 63) & 1);
}

#endif
