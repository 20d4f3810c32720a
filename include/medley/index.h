/* medley/index.h: nearest vectors, usable on its own.
 *
 * An index holds float32 vectors of one dimension under 64-bit ids, and finds the ones nearest to a query. It takes
 * inserts, updates and deletes while it is searched, can filter by what is known of each vector, lives in one file
 * beside a journal, and says how good its answers are: "exact", or the recall it has measured against the exact search.
 *
 *     medley_index *index;
 *     medley_index_options options = {.dim = 384};                          // hnsw, cosine, float32
 *     if (medley_index_create("shop.index", &options, &index, &err)) …      // NULL instead of a name: memory only
 *     medley_index_add(index, ids, vectors, 1000, NULL, &err);              // on disk when it returns
 *     medley_index_query query = {.vector = q, .k = 10, .filter = "price < 50 and category = 'shoes'"};
 *     medley_index_search(index, &query, hits, &found, NULL, &err);
 *     medley_index_close(index);
 *
 * Threads: any number may search, get and ask for statistics at any time, also while one adds, removes, repairs or
 * saves; they do not wait for it. Writers take turns. Close when nobody uses it any more.
 *
 * Results are the same for the same vectors, options, seed and order of calls, whatever the number of threads.
 */
#ifndef MEDLEY_INDEX_H
#define MEDLEY_INDEX_H

#include <medley/error.h>
#include <medley/progress.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MEDLEY_INDEX_DIM_MAX 65536
#define MEDLEY_INDEX_VECTORS_MAX (1u << 30)
#define MEDLEY_INDEX_K_MAX 100000
#define MEDLEY_INDEX_FILTER_BYTES_MAX 65536

typedef struct medley_index medley_index;

/* 0 and NULL are the defaults. */
typedef struct medley_index_options {
  size_t dim;           /* 1 … MEDLEY_INDEX_DIM_MAX; must be given */
  const char *kind;     /* "hnsw" (default): a graph; "exact": looks at everything; "ivfpq": lists of product codes, for
                           sets larger than memory */
  const char *distance; /* "cosine" (default), "dot" or "l2" */
  const char *storage;  /* "f32" (default), "f16", "int8": how vectors are held in memory */
  const char *rerank; /* "f32" or "f16": full vectors besides, that the best of an int8 or f16 search are compared with
                         again; only in the file once it is saved and opened again. Default: none */
  size_t links;       /* hnsw: M, links of a node per layer, 2 … 128; default 16; int8: fewer below 264
                         dimensions (128: 9), so that they leave 0.35 of what f32 takes */
  size_t build_breadth;  /* hnsw: efConstruction; default 128. More: better graph, slower build */
  size_t search_breadth; /* hnsw: ef, nodes a search follows, default 64, and always as many as answers are wanted;
                            ivfpq: lists looked at, default 16. More: better recall, slower */
  size_t lists;          /* ivfpq: number of inverted lists; default √vectors at training */
  size_t code_bytes;     /* ivfpq: bytes of a product code; default dim / 8, 8 … 64 */
  uint64_t seed;
  uint64_t memory_limit_bytes; /* own memory (not the mapped file) it may take; adding beyond is refused. 0: none */
  const char *scratch; /* a folder: vectors that need not be in memory (those of ivfpq, and those to rank again with)
                          lie in a nameless file there until the index is saved and opened again. Default: the folder of
                          the index's own file; in memory for an index without one */
} medley_index_options;

/* ---- life ---- */

/* A new, empty index. path: its file; must not exist (MEDLEY_ERR_EXISTS); every accepted change is on disk when the
 * call that made it returns. path NULL: in memory, until medley_index_save. *index is the caller's
 * (medley_index_close). */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_create(const char *path, const medley_index_options *options,
                                                          medley_index **index, medley_error *err);

typedef enum medley_index_open_flags {
  MEDLEY_INDEX_READ_ONLY = 1, /* takes no lock and no changes; several processes may read one file */
  MEDLEY_INDEX_VERIFY = 2,    /* reads the whole file and compares all checksums first */
  MEDLEY_INDEX_SALVAGE = 4    /* a journal that is damaged is used up to the damage instead of refused */
} medley_index_open_flags;

/* Maps the file and replays its journal. Reads only what it needs: a million vectors answer within milliseconds
 * (attributes are read when a filter first asks for them, and refused then if they are damaged). Of a file that is not
 * in memory the first answers read what they need from the disk, and behind each of them some more of the file is read
 * (not of one larger than half of the machine's memory); no thread is started for it.
 * Damaged and foreign files are refused with a sentence; a file damaged behind its header is found by VERIFY or
 * medley_index_check and can at worst give wrong answers, never a crash. MEDLEY_ERR_BUSY: another process has it open
 * for changes. */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_open(const char *path, unsigned flags, medley_index **index,
                                                        medley_error *err);

/* Writes the whole index beside `path`, renames it, begins a new journal. path NULL: where it came from. With another
 * path it is a copy, and the index stays where it was; an index in memory lives at `path` from then on. Searches go on
 * meanwhile, writers wait. */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_save(medley_index *index, const char *path,
                                                        const medley_progress *progress, medley_error *err);

/* Nothing accepted is lost, saved or not (an index in memory is gone). NULL is fine. */
MEDLEY_API void medley_index_close(medley_index *index);

/* ---- change ---- */

/* Adds vectors [count, dim] under ids [count]; an id that is there gets the new vector and keeps its attributes. All or
 * none on refusal (a value that is not finite, an id twice, the memory limit). When progress asks to stop, or memory
 * runs out in the middle, what was linked so far stays: not always the first in the order given, and
 * medley_index_get_info says how many there are now. */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_add(medley_index *index, const uint64_t *ids, const float *vectors,
                                                       size_t count, const medley_progress *progress,
                                                       medley_error *err);

/* Removes ids [count]; unknown ones are skipped. *removed (may be NULL) counts. They are not answered any more when the
 * call returns; links are mended and memory is used again as later writes go along, or by medley_index_repair. */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_remove(medley_index *index, const uint64_t *ids, size_t count,
                                                          size_t *removed, medley_error *err);

/* What is known of an id, as a JSON object of numbers, true, false, words and lists of words: {"price": 19.9,
 * "category": "shoes", "tag": ["red", "summer"]}. Replaces what was known; NULL forgets it. */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_set_attributes(medley_index *index, uint64_t id, const char *json,
                                                                  medley_error *err);
/* The same for ids [count] with json [count], in their order, with one wait for the disk. The first that is refused
 * ends it; *accepted (may be NULL) counts those before it, which stay. */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_set_attributes_batch(medley_index *index, const uint64_t *ids,
                                                                        const char *const *json, size_t count,
                                                                        size_t *accepted, medley_error *err);

/* Mends all links that removed vectors left, now. */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_repair(medley_index *index, const medley_progress *progress,
                                                          medley_error *err);

/* ---- ask ---- */

typedef struct medley_index_query {
  const float *vector; /* [dim], finite */
  size_t k;            /* 1 … MEDLEY_INDEX_K_MAX */
  const char *filter;  /* an expression over attributes and ids (docs/filters.md); NULL: all */
  size_t breadth; /* for this query; 0: the index's search_breadth. Of hnsw it may be less than k here: k answers all
                     the same, for less work and recall (with a filter k are followed nevertheless) */
  int exact;      /* nonzero: compare with everything, whatever the kind */
} medley_index_query;

typedef struct medley_index_hit {
  uint64_t id;
  float score; /* cosine, dot product, or minus the squared distance: greater is nearer */
} medley_index_hit;

/* How an answer was found. */
typedef struct medley_index_answer {
  int exact;        /* nonzero: nothing nearer was overlooked */
  double recall;    /* the measured recall at this index's search_breadth (medley_index_measure); 1 when exact, negative
                       when it was never measured, or not with this breadth, or with one of its own below k */
  size_t distances; /* vectors compared */
  size_t passing;   /* vectors that the filter allows; SIZE_MAX without */
} medley_index_answer;

/* hits [k], best first, equal scores by smaller slot of the index; *found may be less than k. answer may be NULL. */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_search(const medley_index *index, const medley_index_query *query,
                                                          medley_index_hit *hits, size_t *found,
                                                          medley_index_answer *answer, medley_error *err);

/* Queries [count, dim] at once, with query's other fields for all (its vector is not read): over all threads, and
 * several times faster than one by one where an exact scan answers. hits [count, k], found [count]. */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_search_batch(const medley_index *index,
                                                                const medley_index_query *query, const float *vectors,
                                                                size_t count, medley_index_hit *hits, size_t *found,
                                                                medley_index_answer *answer, medley_error *err);

/* The vector of an id as it is held (unit length for the cosine, rounded by f16 and int8): out [dim]. */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_get(const medley_index *index, uint64_t id, float *out,
                                                       medley_error *err);
/* Its attributes as JSON; *json is the caller's (medley_index_text_free). */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_get_attributes(const medley_index *index, uint64_t id, char **json,
                                                                  medley_error *err);
MEDLEY_API void medley_index_text_free(char *text);

/* ---- honesty ---- */

typedef struct medley_index_recall {
  double recall;    /* the mean share of the exact k nearest that the search finds */
  double low, high; /* 95 % interval over queries (normal approximation) */
  size_t queries, k, breadth;
  double seconds_index, seconds_exact; /* for all queries, one thread */
  int real; /* nonzero: queries were given, or asked of this index before; 0: its own vectors */
} medley_index_recall;

/* Measures recall@k against the exact search and remembers it for the answers. vectors [count, dim]: real queries;
 * NULL: at most `count` (0: 200) of those that were asked of this index since it was opened (it remembers 16 to 256 of
 * them, as two bytes a vector allow), or, when there were none, of its own vectors, each without itself. breadth 0: the
 * index's own. */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_measure(medley_index *index, const float *vectors, size_t count,
                                                           size_t k, size_t breadth, const medley_progress *progress,
                                                           medley_index_recall *out, medley_error *err);

typedef struct medley_index_info {
  const char *kind, *distance, *storage, *rerank; /* constants */
  size_t dim;
  size_t vectors;                              /* that can be answered */
  size_t removed;                              /* whose links are not mended yet */
  size_t links, build_breadth, search_breadth; /* 0 where the kind has none */
  size_t lists, code_bytes;                    /* likewise; also before there were enough vectors to train them */
  uint64_t vector_bytes;                       /* own memory of vectors */
  uint64_t structure_bytes;                    /* own memory beside them: links, ids, attributes */
  uint64_t mapped_bytes; /* of the file and of the nameless one, read when touched, dropped by the system when it needs
                            the room */
  uint64_t journal_bytes;
  double recall; /* as in medley_index_answer */
  int read_only;
} medley_index_info;
MEDLEY_API void medley_index_get_info(const medley_index *index, medley_index_info *out);

typedef struct medley_index_health {
  size_t vectors, reachable; /* of those alive, how many the graph can reach from its entry */
  size_t one_way_links, dead_links, broken;
  size_t degree_min, degree_max;
  double degree_mean;
  char fault[256]; /* the first thing that must not be, in words; "" when all is well */
} medley_index_health;

/* Reads every link, and every block of the file when it has one. Not beside writers. MEDLEY_ERR_CORRUPT when something
 * is broken; *out says what. */
MEDLEY_API MEDLEY_CHECK medley_status medley_index_check(const medley_index *index, const medley_progress *progress,
                                                         medley_index_health *out, medley_error *err);

/* ---- from files ---- */

typedef struct medley_vectors {
  const float *values; /* [count, dim] row-major */
  size_t count, dim;
  void *hold; /* the library's own */
} medley_vectors;

/* The matrix of an .npy file (NumPy, format 1 to 3) of float16, float32 or float64, plain or compressed with gzip or
 * zstd; free with medley_vectors_free. A plain float32 file is mapped rather than read, so that it takes no memory
 * twice: it must not be overwritten while it is used. Fortran order, pickled objects, other numbers, other than two
 * dimensions, no rows and files that were cut off are refused with a sentence. */
MEDLEY_API MEDLEY_CHECK medley_status medley_vectors_read(const char *path, medley_vectors *out, medley_error *err);
MEDLEY_API void medley_vectors_free(medley_vectors *vectors); /* harmless on a zeroed one, and twice */

/* Ids: the whole numbers of an .npy file of one dimension (32 or 64 bits, none negative), or of a text with one on each
 * line; either may be compressed. *ids [count] is the caller's (medley_ids_free). */
MEDLEY_API MEDLEY_CHECK medley_status medley_ids_read(const char *path, uint64_t **ids, size_t *count,
                                                      medley_error *err);
MEDLEY_API void medley_ids_free(uint64_t *ids);

#ifdef __cplusplus
}
#endif
#endif
