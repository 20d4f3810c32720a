/* engine/graphs.h: graphs beside a generation, so that a search over a large catalogue need not compare everything.
 *
 * A side of the search space (learn/space.h) with at least `search.index_from` items gets an index file
 * models/<number>/graph-<side>.index: hnsw over int8 codes, ids are the items' numbers. A search asks the graph of each
 * look for its CANDIDATES nearest, adds the best by words and by taste, and scores those with the full vectors, exactly
 * as it scores everything in a small catalogue. So only what to score is approximate: an answer's parts still add up.
 *
 * The rest is exact, by comparing everything: sides below the size, pages beyond the first CANDIDATES / 4 results, and
 * filters that few items pass. How much of the exact answer is found is measured after each training, on items of the
 * catalogue as queries, and told with every answer that was made so.
 */
#ifndef ENGINE_GRAPHS_H
#define ENGINE_GRAPHS_H

#include <medley/index.h>

#include "base/config.h"
#include "base/json.h"
#include "learn/space.h"

#define GRAPHS_CANDIDATES 512    /* of each look; also the breadth of the walk */
#define GRAPHS_FROM_USUAL 100000 /* items: below, a scan of a side takes a few milliseconds */

struct medley_workspace;
struct query;

typedef struct graphs {
  medley_index *index[SPACE_SIDES_MAX]; /* by side of the space; NULL: the side is scanned */
  size_t count;                         /* of those that are there */
  double recall;                        /* recall@10 of whole answers; negative: not measured */
} graphs;

/* The setting search.index_from: 0 for never. */
medley_status graphs_from(const config *c, size_t *from, medley_error *err) MEDLEY_CHECK;
/* Builds and writes the graphs of all sides with at least `from` items into the folder, and says so in the manifest.
 * from 0: none. Takes the memory of one side's index at a time. */
medley_status graphs_write(const char *folder, const space *s, size_t from, const medley_progress *progress,
                           json_t *manifest, medley_error *err) MEDLEY_CHECK;
/* What the manifest names, mapped. Zero-initialise n. */
medley_status graphs_open(graphs *n, const char *folder, const json_t *manifest, const space *s,
                          medley_error *err) MEDLEY_CHECK;
void graphs_close(graphs *n);

/* Marks in chosen [items], zero at first, what is worth scoring; *narrowed false: everything must be scored (no graph
 * serves this query, or too little of what skip [items] lets pass was found). words [items] or NULL as in match. */
medley_status graphs_choose(const graphs *n, const struct query *q, const float *words, const uint8_t *skip,
                            size_t wanted, uint8_t *chosen, bool *narrowed, medley_error *err) MEDLEY_CHECK;

/* Measures the recall of the serving generation's answers, when it has graphs, and keeps it in the store. */
medley_status graphs_measure(struct medley_workspace *w, const medley_progress *progress,
                             medley_error *err) MEDLEY_CHECK;
/* What was measured for this generation, into n->recall. */
medley_status graphs_recall(graphs *n, struct medley_workspace *w, int64_t generation, medley_error *err) MEDLEY_CHECK;

#endif
