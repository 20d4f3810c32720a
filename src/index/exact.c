/* index/exact.c: the index that looks at every row.
 *
 * It is the truth that approximate kinds are measured against, what they fall back to when few rows are allowed, and
 * the fastest choice up to some hundred thousand rows, because a scan is one sequential read.
 *
 * Rows are taken a tile at a time, small enough to stay in the second cache while all queries of a pass meet it, and
 * tiles are dealt to threads as they come free. A few queries go through the row kernels; many become one matrix
 * product a tile, over the rows as they lie when nearly all are to be compared and over a packed copy otherwise. int8
 * rows always take the kernels, whose integer products are faster than float ones after decoding, and which round a
 * query as single searches do. A matrix product of L2 loses digits where distances are small beside lengths, so some
 * more than k are kept, scored again by the kernel, and cut: a batch answers what its queries would one by one.
 *
 * There is nothing to build or keep: which rows are there is asked from the rows' own bits while the search runs.
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "index/index.h"
#include "index/nearest.h"
#include "index/row_kernels.h"
#include "math/linear.h"

#define TILE_ROWS_MIN 64 /* a word of `alive` */
#define TILE_ROWS_MAX 1024
#define TILE_BYTES ((size_t)256 << 10)
#define PASS_QUERIES 256
#define PASS_BYTES ((size_t)64 << 20) /* of kept answers, all threads together */
#define MATRIX_QUERIES 16             /* so many queries and more become a matrix product */
#define SPARE_ANSWERS 16              /* kept beyond k by the matrix product of L2 */
/* Below so many multiplications the start of a thread team costs more than it saves (measured on two cores). */
#define PARALLEL_WORK ((size_t)1 << 20)

/* The rows of a stretch of slots that are to be compared. */
typedef struct tile {
  uint32_t slot[TILE_ROWS_MAX];
  const void *row[TILE_ROWS_MAX];
  size_t count;
} tile;

/* A thread's own memory. rows and dots are there for matrix products only. */
typedef struct worker {
  nearest *best; /* [queries of the pass] */
  float *rows;   /* [tile_rows, dim] decoded or packed */
  float *dots;   /* [queries of the pass, tile_rows] */
  size_t distances;
} worker;

/* One walk over all rows for some queries. */
typedef struct pass {
  const rows *rows;
  const index_allow *allow;
  uint32_t slots; /* as the search began */
  size_t tile_rows;
  const row_query *queries;
  size_t count;
  float *matrix; /* [count, dim] the queries, or NULL: the kernels do it */
  size_t threads;
  worker *workers; /* [threads] */
} pass;

/* ---- tiles ---- */

static uint64_t low_bits(size_t count) { return count < 64 ? ((uint64_t)1 << count) - 1 : UINT64_MAX; }

/* A bit for each of the 64 slots from `slot` on that may be answered. */
static uint64_t slots_wanted(const pass *p, uint32_t slot) {
  const _Atomic uint64_t *alive =
      atomic_load_explicit(&p->rows->alive[slot >> p->rows->chunk_shift], memory_order_acquire);
  uint32_t in_chunk = slot & ((1u << p->rows->chunk_shift) - 1);
  uint64_t wanted = atomic_load_explicit(&alive[in_chunk >> 6], memory_order_acquire) & low_bits(p->slots - slot);
  if (p->allow == NULL) return wanted;
  return slot < p->allow->slots ? wanted & p->allow->words[slot >> 6] & low_bits(p->allow->slots - slot) : 0;
}

static void tile_fill(tile *t, const pass *p, uint32_t first, uint32_t end) {
  t->count = 0;
  for (uint32_t base = first; base < end; base += 64)
    for (uint64_t wanted = slots_wanted(p, base); wanted != 0; wanted &= wanted - 1)
      t->slot[t->count++] = base + (uint32_t)__builtin_ctzll(wanted);
  for (size_t i = 0; i < t->count; i++) t->row[i] = rows_at(p->rows, t->slot[i]);
}

static void offer(const float *scores, const tile *t, nearest *best) {
  for (size_t i = 0; i < t->count; i++)
    if (best->count < best->k || scores[i] >= best->entries[0].score)
      nearest_push(best, (scored){scores[i], t->slot[i]});
}

/* ---- a tile by the kernels ---- */

static void tile_score(const tile *t, const rows *r, const row_query *q, float *scores) {
  size_t i = 0;
  for (; i + 4 <= t->count; i += 4) r->score4(q, t->row + i, r->dim, scores + i);
  for (; i < t->count; i++) scores[i] = r->score(q, t->row[i], r->dim);
}

static void tile_by_kernels(const tile *t, const pass *p, worker *w) {
  float scores[TILE_ROWS_MAX];
  for (size_t q = 0; q < p->count; q++) {
    tile_score(t, p->rows, &p->queries[q], scores);
    offer(scores, t, &w->best[q]);
  }
}

/* ---- a tile by a matrix product ---- */

/* The tile's rows as a matrix with *stride floats from row to row. */
static const float *tile_matrix(const tile *t, const rows *r, float *packed, size_t *stride) {
  *stride = r->stride_bytes / sizeof(float);
  if (r->storage == ROW_F32 && t->slot[t->count - 1] - t->slot[0] == t->count - 1) return t->row[0];
  *stride = r->dim;
  for (size_t i = 0; i < t->count; i++) row_decode(r->storage, t->row[i], r->dim, packed + i * r->dim);
  return packed;
}

static void tile_by_product(const tile *t, const pass *p, worker *w) {
  size_t stride, dim = p->rows->dim;
  float square[TILE_ROWS_MAX];
  const float *matrix = tile_matrix(t, p->rows, w->rows, &stride);
  matrix_multiply_rows(p->count, t->count, dim, p->matrix, matrix, stride, w->dots);
  if (p->rows->distance == INDEX_L2)
    for (size_t i = 0; i < t->count; i++) square[i] = vector_dot(matrix + i * stride, matrix + i * stride, dim) / 2;
  for (size_t q = 0; q < p->count; q++) {
    float *scores = w->dots + q * t->count;
    /* (|q|² − distance) / 2 ranks as the distance does. */
    if (p->rows->distance == INDEX_L2) vector_add_scaled(scores, -1, square, t->count);
    offer(scores, t, &w->best[q]);
  }
}

/* ---- a pass ---- */

static void pass_tile(const pass *p, size_t part, worker *w) {
  tile t;
  size_t first = part * p->tile_rows, end = first + p->tile_rows;
  tile_fill(&t, p, (uint32_t)first, end < p->slots ? (uint32_t)end : p->slots);
  if (t.count == 0) return;
  w->distances += t.count * p->count;
  if (p->matrix != NULL)
    tile_by_product(&t, p, w);
  else
    tile_by_kernels(&t, p, w);
}

/* The order in which tiles are offered does not matter because ranking is total. */
static void pass_run(const pass *p) {
  size_t parts = (p->slots + p->tile_rows - 1) / p->tile_rows;
#pragma omp parallel for schedule(dynamic) num_threads((int)p->threads) if (p->threads > 1)
  for (size_t part = 0; part < parts; part++)
    pass_tile(p, part, &p->workers[p->threads > 1 ? omp_get_thread_num() : 0]);
  for (size_t t = 1; t < p->threads; t++)
    for (size_t q = 0; q < p->count; q++)
      for (size_t i = 0; i < p->workers[t].best[q].count; i++)
        nearest_push(&p->workers[0].best[q], p->workers[t].best[q].entries[i]);
}

/* Hands out the answers of query q, scored by the kernel when that has not been done. */
static size_t pass_answer(const pass *p, size_t q, size_t k, scored *out) {
  const nearest *all = &p->workers[0].best[q];
  nearest best = {out, 0, k};
  for (size_t i = 0; i < all->count; i++) {
    scored entry = all->entries[i];
    if (p->matrix != NULL) entry.score = p->rows->score(&p->queries[q], rows_at(p->rows, entry.index), p->rows->dim);
    nearest_push(&best, entry);
  }
  return nearest_finish(&best);
}

static void pass_deinit(pass *p) {
  for (size_t t = 0; p->workers != NULL && t < p->threads; t++) {
    mem_free(p->workers[t].best);
    mem_free(p->workers[t].rows);
    mem_free(p->workers[t].dots);
  }
  mem_free(p->workers);
  mem_free(p->matrix);
}

static medley_status worker_init(worker *w, const pass *p, size_t queries, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(w->best, queries, "search results");
  if (p->matrix == NULL) goto done;
  TRY_NEW(w->dots, queries * p->tile_rows, "search scores");
  TRY_NEW(w->rows, p->tile_rows * p->rows->dim, "search rows");
done:
  return status;
}

static size_t threads_for(const pass *p, size_t queries) {
  if (p->slots * p->rows->dim * queries < PARALLEL_WORK || omp_in_parallel()) return 1;
  return (size_t)omp_get_max_threads();
}

static size_t tile_rows_for(const rows *r) {
  size_t rows = TILE_ROWS_MIN;
  while (rows < TILE_ROWS_MAX && rows < (size_t)1 << r->chunk_shift && 2 * rows * r->stride_bytes <= TILE_BYTES)
    rows *= 2;
  return rows;
}

/* queries: the most that a pass will have. */
static medley_status pass_init(pass *p, const rows *r, const index_allow *allow, size_t queries, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *p = (pass){.rows = r, .allow = allow, .slots = rows_count(r), .tile_rows = tile_rows_for(r)};
  p->threads = threads_for(p, queries);
  if (queries >= MATRIX_QUERIES && r->storage != ROW_INT8) TRY_NEW(p->matrix, queries * r->dim, "search queries");
  TRY_NEW(p->workers, p->threads, "search threads");
  for (size_t t = 0; t < p->threads; t++) TRY(worker_init(&p->workers[t], p, queries, err));
done:
  return status;
}

/* Queries [count] of one pass; kept: [threads, queries the pass was made for, keep]. */
static void pass_begin(pass *p, const row_query *queries, size_t count, scored *kept, size_t keep) {
  p->queries = queries;
  p->count = count;
  for (size_t q = 0; q < count; q++) {
    if (p->matrix != NULL) memcpy(p->matrix + q * p->rows->dim, queries[q].code, p->rows->dim * sizeof(float));
    for (size_t t = 0; t < p->threads; t++) p->workers[t].best[q] = (nearest){kept + (t * count + q) * keep, 0, keep};
  }
}

static medley_status exact_search_batch(const index_structure *s, const index_query *q, const row_query *queries,
                                        size_t count, scored *out, size_t *found, index_effort *effort,
                                        medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t there = rows_count(s->rows), k = q->k < there ? q->k : there;
  size_t most = count < PASS_QUERIES ? count : PASS_QUERIES, keep = k;
  scored *kept = NULL;
  pass p = {0};
  *effort = (index_effort){.exact = true};
  for (size_t i = 0; i < count; i++) found[i] = 0;
  if (k == 0 || count == 0) goto done;
  while (most > MATRIX_QUERIES &&
         most * (k + SPARE_ANSWERS) * (size_t)omp_get_max_threads() * sizeof *kept > PASS_BYTES)
    most /= 2;
  TRY(pass_init(&p, s->rows, q->allow, most, err));
  if (p.matrix != NULL && s->rows->distance == INDEX_L2) keep += SPARE_ANSWERS;
  TRY_NEW(kept, p.threads * most * keep, "search results");
  for (size_t first = 0; first < count; first += most) {
    pass_begin(&p, queries + first, count - first < most ? count - first : most, kept, keep);
    pass_run(&p);
    for (size_t i = 0; i < p.count; i++) found[first + i] = pass_answer(&p, i, k, out + (first + i) * q->k);
  }
  for (size_t t = 0; t < p.threads; t++) effort->distances += p.workers[t].distances;
done:
  pass_deinit(&p);
  mem_free(kept);
  return status;
}

static medley_status exact_search(const index_structure *s, const index_query *q, scored *out, size_t *found,
                                  index_effort *effort, medley_error *err) {
  return exact_search_batch(s, q, q->query, 1, out, found, effort, err);
}

/* ---- life ---- */

static void exact_free(index_structure *s) { mem_free(s); }

static medley_status exact_create(const rows *rows, const index_options *o, index_structure **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  (void)o;
  TRY_NEW(*out, 1, "index");
  **out = (index_structure){&index_exact, rows};
done:
  return status;
}

static medley_status exact_open(const rows *rows, const index_options *o, const struct index_file *f,
                                index_structure **out, medley_error *err) {
  (void)f;
  return exact_create(rows, o, out, err);
}

static medley_status exact_insert(index_structure *s, uint32_t *slots, size_t count, const medley_progress *progress,
                                  size_t *linked, medley_error *err) {
  (void)s, (void)slots, (void)progress, (void)err;
  *linked = count;
  return MEDLEY_OK;
}

static size_t exact_bytes(const index_structure *s) { return sizeof *s; }

const index_kind index_exact = {
    .name = "exact",
    .summary = "looks at every vector: exact, best up to some hundred thousand vectors",
    .exact = true,
    .create = exact_create,
    .insert = exact_insert,
    .search = exact_search,
    .search_batch = exact_search_batch,
    .bytes = exact_bytes,
    .open = exact_open,
    .free = exact_free,
};
