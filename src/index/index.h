/* index/index.h: nearest vectors. One kind a file; "exact" scans all. */
#ifndef INDEX_INDEX_H
#define INDEX_INDEX_H

#include "base/error.h"
#include "math/vector.h"

typedef enum index_distance { INDEX_COSINE, INDEX_DOT, INDEX_L2 } index_distance;

typedef struct index_set index_set; /* each kind lays out its own, beginning with `const index_kind *kind` */

typedef struct index_query {
  const float *vector; /* [dim], finite */
  const uint8_t *skip; /* [count] nonzero: left out (filters, seen, absent); may be NULL */
  size_t k;
} index_query;

/* Many queries at once, which the matrix product of BLAS answers several times faster than one after the other. */
typedef struct index_batch {
  const float *vectors; /* [count, dim], finite */
  size_t count;
  const uint8_t *skip; /* as above, the same for all queries */
  size_t k;
} index_batch;

typedef struct index_kind {
  const char *name; /* "exact" */
  const char *summary;
  /* values [count, dim] are borrowed for the life of the index and must be finite where present; present [count] may
   * be NULL (all are). */
  medley_status (*create)(const float *values, const uint8_t *present, size_t count, size_t dim,
                          index_distance distance, index_set **out, medley_error *err);
  /* Best first into out [k], equal scores by smaller index; score is the cosine, the dot product or minus the squared
   * distance. The cosine of a zero vector is 0. *found is below k when fewer are left. Thread-safe. */
  medley_status (*search)(const index_set *s, const index_query *q, scored *out, size_t *found, medley_error *err);
  /* The same for a batch: query i's answers in out [i * k ..], their number in found [i]. Scores may differ from those
   * of `search` in the last digits. Thread-safe. */
  medley_status (*search_batch)(const index_set *s, const index_batch *b, scored *out, size_t *found,
                                medley_error *err);
  void (*free)(index_set *s);
} index_kind;

struct index_set {
  const index_kind *kind;
};

extern const index_kind *const index_kinds[]; /* ended by NULL */
const index_kind *index_kind_find(const char *name);
const char *index_distance_name(index_distance d);

/* The kinds, one file each. */
extern const index_kind index_exact;

#endif
