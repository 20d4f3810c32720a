/* tests/unit/index_world.h: rows and queries drawn from clusters, an index kind over them, and what every kind that is
 * not exact itself is held to against its exact twin. */
#ifndef TESTS_INDEX_WORLD_H
#define TESTS_INDEX_WORLD_H

#include "base/rng.h"
#include "index/guard.h"
#include "index/index.h"

#define DIM 24
#define COUNT 3000
#define QUERIES 60
#define K 10
#define PLACES 40

/* Clusters, as real vectors have them, and every 50th row twice: equal vectors are the hard case for a graph. */
typedef struct world {
  const index_kind *kind;
  bool finds_all; /* as many are answered as there are, up to k */
  rows rows;
  guard *guard;
  index_structure *index;
  float places[PLACES * DIM];
  float *queries; /* [QUERIES, DIM] */
  rng random;
} world;

void world_init(world *w, const index_kind *kind, const index_options *o, index_distance distance, row_storage storage,
                size_t count);
void world_deinit(world *w);
void world_draw(world *w, float out[DIM]);
/* New rows first … first + count are in the index. */
void world_add(world *w, uint32_t first, size_t count);
void world_remove(world *w, size_t count); /* drawn at random */
/* A new vector for each of the slots, and into the index. */
void world_reuse(world *w, uint32_t *slots, size_t count);

/* The mean share of the exact answers found by `index`, over w's rows; scores decide, as equal rows are equally right.
 * Nothing dead or not allowed may be answered, nothing twice, best comes first, batches find the same. *walked (may be
 * NULL) counts the queries that were not answered exactly. */
double world_recall(world *w, const index_structure *index, const index_allow *allow, size_t breadth, size_t *walked);
/* Its check, which must find nothing broken. */
index_check world_check(const index_structure *index);

/* From a filter that lets all pass to one that lets one pass, spread over the set or all in one place: recall 0.95. */
void world_filters(world *w, size_t breadth);

void world_save(const world *w, const char *path);
/* *out is the caller's, over w's rows. */
medley_status world_open(const world *w, const struct index_file *file, index_structure **out, medley_error *err);
/* Damages a saved index in `trials` ways; every fourth time one byte of the first `head` behind the file's header,
 * where a kind keeps what the rest hangs on (0: never). It is refused with a sentence at least once, and otherwise does
 * no harm when it is searched, checked and changed. */
void world_damage(world *w, int trials, size_t head);

#endif
