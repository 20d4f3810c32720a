/* index/index.h: nearest vectors. One kind a file; "exact" scans all. */
#ifndef INDEX_INDEX_H
#define INDEX_INDEX_H

#include "base/error.h"
#include "math/vector.h"

typedef enum index_distance { INDEX_COSINE, INDEX_DOT, INDEX_L2 } index_distance;

typedef struct index_set index_set; /* each kind lays out its own, beginning with `const index_kind *kind` */

typedef struct index_query {
  const float *vector; /* [dim] */
  const uint8_t *skip; /* [count] nonzero: left out (filters, seen, absent); may be NULL */
  size_t k;
} index_query;

typedef struct index_kind {
  const char *name; /* "exact" */
  const char *summary;
  /* values [count, dim] are borrowed for the life of the index; present [count] may be NULL. */
  medley_status (*create)(const float *values, const uint8_t *present, size_t count, size_t dim,
                          index_distance distance, index_set **out, medley_error *err);
  /* Best first into out [k]; score is the cosine, the dot product or minus the squared distance. Thread-safe. */
  medley_status (*search)(const index_set *s, const index_query *q, scored *out, size_t *found, medley_error *err);
  void (*free)(index_set *s);
} index_kind;

struct index_set {
  const index_kind *kind;
};

extern const index_kind *const index_kinds[]; /* ended by NULL */
const index_kind *index_kind_find(const char *name);
const char *index_distance_name(index_distance d);

#endif
