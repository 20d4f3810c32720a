/* bench/index_opening.h: how soon an index answers after it was opened. */
#ifndef BENCH_INDEX_OPENING_H
#define BENCH_INDEX_OPENING_H

#include <medley/medley.h>
#include <stddef.h>

/* Opens the index `rounds` times with its file in memory and as often without (the system is asked to drop it), and
 * prints when it was open, when the first queries [count, dim] were answered, and what was read for that. */
medley_status opening_bench(const char *path, const float *queries, size_t count, size_t dim, size_t rounds,
                            medley_error *err);

#endif
