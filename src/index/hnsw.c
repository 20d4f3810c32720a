/* index/hnsw.c: the row of the table; the layout and the order to read the files in is hnsw.h. */
#include "index/hnsw.h"

const index_kind index_hnsw = {
    .name = "hnsw",
    .summary = "a graph to walk along: fast for millions of vectors, a measured recall below 1",
    .create = hnsw_create,
    .insert = hnsw_insert,
    .remove = hnsw_remove,
    .repair = hnsw_repair,
    .search = hnsw_search,
    .describe = hnsw_describe,
    .bytes = hnsw_bytes,
    .each_bytes = hnsw_each_bytes,
    .check = hnsw_check,
    .write = hnsw_write,
    .open = hnsw_open,
    .free = hnsw_free,
};
