/* index/exact.c: the index that looks at every vector.
 *
 * It is the truth that approximate kinds are measured against, and the fastest choice up to some hundred thousand
 * vectors, because a scan is one sequential read. A single query walks the rows with the vector kernels, shared among
 * threads when there is enough to read; a batch is blocked so that a tile of scores stays in the cache between the
 * matrix product that writes it and the heaps that read it.
 */
#include <math.h>
#include <omp.h>

#include "base/memory.h"
#include "index/index.h"
#include "index/nearest.h"
#include "math/linear.h"

#define TILE_QUERIES 64
#define TILE_ROWS 1024
/* Below so many multiplications the start of a thread team costs more than it saves (measured on two cores). */
#define PARALLEL_WORK ((size_t)1 << 20)
#define PARALLEL_SCORES ((size_t)1 << 14) /* the same for offering a tile */

typedef struct exact_index {
  index_set base;
  const float *values; /* [count, dim] */
  size_t count, dim;
  index_distance distance;
  uint8_t *absent; /* [count] */
  float *norm;     /* [count]: 1 / length for the cosine, squared length for L2, NULL for the dot product */
} exact_index;

static void exact_free(index_set *s) {
  exact_index *x = (exact_index *)s;
  if (x == NULL) return;
  mem_free(x->absent);
  mem_free(x->norm);
  mem_free(x);
}

static float row_norm(const exact_index *x, const float *row) {
  float length = vector_norm(row, x->dim);
  if (x->distance == INDEX_L2) return length * length;
  return length > 0 ? 1 / length : 0;
}

static medley_status exact_create(const float *values, const uint8_t *present, size_t count, size_t dim,
                                  index_distance distance, index_set **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  exact_index *x = NULL;
  *out = NULL;
  if (dim == 0 || count > UINT32_MAX)
    FAIL(err, MEDLEY_ERR_USAGE,
         "index of %zu vectors with %zu dimensions: needs at least 1 dimension and at most %u vectors", count, dim,
         UINT32_MAX);
  TRY_NEW(x, 1, "index");
  *x = (exact_index){{&index_exact}, values, count, dim, distance, NULL, NULL};
  TRY_NEW(x->absent, count, "index");
  if (distance != INDEX_DOT) TRY_NEW(x->norm, count, "index norms");
  for (size_t i = 0; i < count; i++) {
    x->absent[i] = present != NULL && !present[i];
    if (!x->absent[i] && x->norm != NULL) x->norm[i] = row_norm(x, values + i * dim);
  }
  *out = &x->base;
  x = NULL;
done:
  exact_free((index_set *)x);
  return status;
}

static medley_status check_finite(const float *values, size_t count, medley_error *err) {
  for (size_t i = 0; i < count; i++)
    if (!isfinite(values[i])) return error_set(err, MEDLEY_ERR_INPUT, "query value %zu is not a finite number", i);
  return MEDLEY_OK;
}

/* ---- one query ---- */

typedef struct exact_query {
  const float *vector;
  const uint8_t *skip;
  float scale; /* 1 / length of the query for the cosine */
} exact_query;

static bool row_counts(const exact_index *x, const uint8_t *skip, size_t row) {
  return !x->absent[row] && (skip == NULL || !skip[row]);
}

static void scan_rows(const exact_index *x, const exact_query *q, size_t first, size_t end, nearest *best) {
  for (size_t i = first; i < end; i++) {
    if (!row_counts(x, q->skip, i)) continue;
    const float *row = x->values + i * x->dim;
    float score =
        x->distance == INDEX_L2 ? -vector_squared_distance(q->vector, row, x->dim) : vector_dot(q->vector, row, x->dim);
    if (x->distance == INDEX_COSINE) score *= q->scale * x->norm[i];
    nearest_push(best, (scored){score, (uint32_t)i});
  }
}

/* Each thread keeps its own k best of a contiguous part; the parts' order does not matter because ranking is total. */
static medley_status scan_parallel(const exact_index *x, const exact_query *q, nearest *best, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int threads = omp_get_max_threads();
  scored *kept = NULL;
  size_t *counts = NULL;
  TRY_NEW(kept, (size_t)threads * best->k, "search results");
  TRY_NEW(counts, (size_t)threads, "search results");
#pragma omp parallel num_threads(threads)
  {
    size_t t = (size_t)omp_get_thread_num(), n = (size_t)omp_get_num_threads();
    nearest own = {kept + t * best->k, 0, best->k};
    scan_rows(x, q, x->count * t / n, x->count * (t + 1) / n, &own);
    counts[t] = own.count;
  }
  for (int t = 0; t < threads; t++)
    for (size_t i = 0; i < counts[t]; i++) nearest_push(best, kept[(size_t)t * best->k + i]);
done:
  mem_free(kept);
  mem_free(counts);
  return status;
}

static medley_status exact_search(const index_set *s, const index_query *q, scored *out, size_t *found,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  const exact_index *x = (const exact_index *)s;
  *found = 0;
  TRY(check_finite(q->vector, x->dim, err));
  float length = vector_norm(q->vector, x->dim);
  exact_query query = {q->vector, q->skip, length > 0 ? 1 / length : 0};
  nearest best = {out, 0, q->k < x->count ? q->k : x->count};
  if (best.k == 0) goto done;
  if (x->count * x->dim >= PARALLEL_WORK && !omp_in_parallel() && omp_get_max_threads() > 1)
    TRY(scan_parallel(x, &query, &best, err));
  else
    scan_rows(x, &query, 0, x->count, &best);
  *found = nearest_finish(&best);
done:
  return status;
}

/* ---- a batch ---- */

/* Turns dot products of one query into scores and offers them. norm: the query's own, as in exact_index. */
static void offer_tile(const exact_index *x, const uint8_t *skip, float query_norm, const float *dots, size_t first,
                       size_t rows, nearest *best) {
  for (size_t j = 0; j < rows; j++) {
    size_t row = first + j;
    if (!row_counts(x, skip, row)) continue;
    float score = dots[j];
    if (x->distance == INDEX_COSINE) score *= query_norm * x->norm[row];
    if (x->distance == INDEX_L2) score = fminf(2 * score - query_norm - x->norm[row], 0);
    nearest_push(best, (scored){score, (uint32_t)row});
  }
}

static void search_tile(const exact_index *x, const index_batch *b, size_t first_query, size_t queries, float *dots,
                        nearest *best) {
  const float *vectors = b->vectors + first_query * x->dim;
  float norm[TILE_QUERIES];
  for (size_t i = 0; i < queries; i++) norm[i] = x->norm ? row_norm(x, vectors + i * x->dim) : 1;
  for (size_t first = 0; first < x->count; first += TILE_ROWS) {
    size_t rows = x->count - first < TILE_ROWS ? x->count - first : TILE_ROWS;
    matrix_multiply(false, true, queries, rows, x->dim, 1, vectors, x->values + first * x->dim, 0, dots);
#pragma omp parallel for schedule(static) if (queries * rows > PARALLEL_SCORES)
    for (size_t i = 0; i < queries; i++)
      offer_tile(x, b->skip, norm[i], dots + i * rows, first, rows, &best[first_query + i]);
  }
}

static medley_status exact_search_batch(const index_set *s, const index_batch *b, scored *out, size_t *found,
                                        medley_error *err) {
  medley_status status = MEDLEY_OK;
  const exact_index *x = (const exact_index *)s;
  nearest *best = NULL;
  float *dots = NULL;
  TRY(check_finite(b->vectors, b->count * x->dim, err));
  TRY_NEW(best, b->count, "search results");
  TRY_NEW(dots, (size_t)TILE_QUERIES * TILE_ROWS, "search scores");
  for (size_t i = 0; i < b->count; i++) best[i] = (nearest){out + i * b->k, 0, b->k < x->count ? b->k : x->count};
  for (size_t first = 0; first < b->count; first += TILE_QUERIES)
    search_tile(x, b, first, b->count - first < TILE_QUERIES ? b->count - first : TILE_QUERIES, dots, best);
  for (size_t i = 0; i < b->count; i++) found[i] = nearest_finish(&best[i]);
done:
  mem_free(best);
  mem_free(dots);
  return status;
}

const index_kind index_exact = {
    .name = "exact",
    .summary = "looks at every vector: exact, best up to some hundred thousand vectors",
    .create = exact_create,
    .search = exact_search,
    .search_batch = exact_search_batch,
    .free = exact_free,
};
