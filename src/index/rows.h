/* index/rows.h: the vectors of an index, by slot.
 *
 * A slot is a small number that an index kind links, lists and answers with; the user's ids are a table above
 * (labels.h). Vectors lie in chunks of a power of two rows, so that the set grows while readers scan it: a chunk never
 * moves, the table of chunks has its final size from the start. A chunk is our own memory (huge pages asked for:
 * the walk through a graph is random, and half of its time was page walks with 4 KiB pages), a private mapping of the
 * index file, or a piece of a nameless file, for rows that are read so seldom that they need not be in memory.
 *
 * A row is held as it was given (f32), in half precision (f16) or as int8 with one scale per row. For the cosine every
 * row is brought to length 1 on the way in and the score is a dot product; so it costs no division later, and
 * `rows_get` gives the unit vector back. A zero vector stays zero: its cosine with everything is 0.
 *
 * Threads: one writer; readers beside it see a row once the slot was given to them (index kinds publish slots with
 * release order). `alive` may be asked and cleared by anybody.
 */
#ifndef INDEX_ROWS_H
#define INDEX_ROWS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/scratch.h"
#include "math/vector.h"

#define ROWS_DIM_MAX 65536
#define ROWS_MAX ((size_t)1 << 30) /* slots; UINT32_MAX is nobody */

typedef enum index_distance { INDEX_COSINE, INDEX_DOT, INDEX_L2, INDEX_DISTANCE_COUNT } index_distance;
typedef enum row_storage { ROW_F32, ROW_F16, ROW_INT8, ROW_STORAGE_COUNT } row_storage;

/* "cosine", "dot", "l2"; "f32", "f16", "int8" */
const char *index_distance_name(index_distance d);
const char *row_storage_name(row_storage s);

/* A query in the form that the kernels of a storage read; the caller's memory. */
typedef struct row_query {
  const void *code;   /* floats for f32 and f16 rows, uint8 for int8 rows: row_kernels.h */
  float scale;        /* of int8 codes */
  float square;       /* |q|² as decoded, for L2 of int8 rows */
  float *vector;      /* [dim] as compared: unit length for the cosine */
  unsigned char *own; /* the memory behind both; row_query_deinit */
} row_query;

/* Greater is nearer: the dot product, or minus the squared distance. */
typedef float (*row_score)(const row_query *q, const void *row, size_t dim);
/* Four rows at once: their loads overlap, which a walk through random rows lives from. */
typedef void (*row_score4)(const row_query *q, const void *const row[4], size_t dim, float out[4]);

/* Where a chunk of rows lies. */
typedef enum rows_place {
  ROWS_IN_MEMORY, /* ours */
  ROWS_IN_FILE,   /* the scratch file's, mapped by us */
  ROWS_BORROWED   /* a piece of an index file, not ours to unmap */
} rows_place;

/* Together, so that a small set meets one page of its table and not three. */
typedef struct rows_chunk {
  _Atomic(unsigned char *) bytes;    /* of rows; NULL: not there yet */
  _Atomic(_Atomic uint64_t *) alive; /* a bit per row */
  uint8_t place;                     /* of rows_place */
} rows_chunk;

typedef struct rows {
  size_t dim, stride_bytes; /* of a row, a multiple of 16 */
  index_distance distance;
  row_storage storage;
  row_score score;
  row_score4 score4;
  row_score score_stream; /* one row of many that are read from memory side by side, one after the other */
  unsigned chunk_shift;   /* rows per chunk = 1 << chunk_shift, at least 64 */
  size_t chunk_max;
  rows_chunk *chunks;     /* [chunk_max] */
  size_t reserved;        /* slots that there is memory for, in the last chunk fewer than it could hold */
  _Atomic uint32_t count; /* slots ever given out, dead ones too; stored with release */
  _Atomic uint32_t alive_count;
  _Atomic size_t bytes; /* of our own memory, as far as it is used */
  scratch scratch;      /* folder NULL: new chunks are our own memory; otherwise they lie in there */
  struct pages *pages;  /* of the file that rows were borrowed from (pages.h); NULL: none were */
  struct guard *guard;  /* who reads (guard.h); borrowed; NULL: nobody beside the writer */
} rows;

/* limit: the most slots it will ever hold, 0 for ROWS_MAX (it sizes the table of chunks, 24 bytes per chunk of about
 * 4 MiB). */
medley_status rows_init(rows *r, size_t dim, index_distance distance, row_storage storage, size_t limit,
                        medley_error *err) MEDLEY_CHECK;
void rows_deinit(rows *r);
/* Chunks to come lie in a nameless file in the folder (base/scratch.h). */
medley_status rows_use_scratch(rows *r, const char *folder, medley_error *err) MEDLEY_CHECK;

/* Makes room for slots below `count`; nothing is lost when it fails. */
medley_status rows_reserve(rows *r, size_t count, medley_error *err) MEDLEY_CHECK;
/* Whole chunks of rows that lie in a mapped file, [count, stride_bytes], become slots 0 … count of an empty set; what
 * fills no whole chunk is copied. The mapping must outlive the set. All are dead until rows_set_alive. */
medley_status rows_borrow(rows *r, unsigned char *bytes, size_t count, medley_error *err) MEDLEY_CHECK;
/* Refuses a vector [dim] that these rows cannot hold: not finite, or beyond f16. */
medley_status rows_check(const rows *r, const float *vector, medley_error *err) MEDLEY_CHECK;
/* Writes a vector [dim] into a reserved slot that no reader holds. Refuses what rows_check does. The slot is not alive
 * yet. */
medley_status rows_set(rows *r, uint32_t slot, const float *vector, medley_error *err) MEDLEY_CHECK;
void rows_get(const rows *r, uint32_t slot, float *out); /* [dim], decoded */
/* Takes back the slots from `count` on, none of which was alive. */
void rows_cut(rows *r, uint32_t count);

static inline const void *rows_at(const rows *r, uint32_t slot) {
  const unsigned char *chunk = atomic_load_explicit(&r->chunks[slot >> r->chunk_shift].bytes, memory_order_acquire);
  return chunk + (size_t)(slot & ((1u << r->chunk_shift) - 1)) * r->stride_bytes;
}
static inline uint32_t rows_count(const rows *r) { return atomic_load_explicit(&r->count, memory_order_acquire); }
static inline bool rows_alive(const rows *r, uint32_t slot) {
  const _Atomic uint64_t *words = atomic_load_explicit(&r->chunks[slot >> r->chunk_shift].alive, memory_order_acquire);
  uint32_t in_chunk = slot & ((1u << r->chunk_shift) - 1);
  return atomic_load_explicit(&words[in_chunk >> 6], memory_order_relaxed) >> (in_chunk & 63) & 1;
}
void rows_set_alive(rows *r, uint32_t slot, bool alive);
/* 64 of them at once, none of which was alive: slot is a multiple of 64. */
void rows_set_alive_word(rows *r, uint32_t slot, uint64_t word);

/* How many of the slots whose bit is set in words [(slots + 63) / 64] are alive. */
size_t rows_alive_allowed(const rows *r, const uint64_t *words, size_t slots);

/* code, scale … of a query; refuses what is not finite. Reuses q->own when it was initialised before with the same
 * rows. Zero-initialise q first. */
medley_status row_query_init(row_query *q, const rows *r, const float *vector, medley_error *err) MEDLEY_CHECK;
/* Only the memory, so that row_query_from_row cannot fail. */
medley_status row_query_reserve(row_query *q, const rows *r, medley_error *err) MEDLEY_CHECK;
/* The query that a stored row makes. f32 rows are borrowed, the others written into own memory. */
void row_query_from_row(row_query *q, const rows *r, uint32_t slot);
void row_query_deinit(row_query *q);

#endif
