/* index/exact.c: the index that looks at every row.
 *
 * It is the truth that approximate kinds are measured against, what they fall back to when few rows are allowed, and
 * the fastest choice up to some hundred thousand rows, because a scan is one sequential read.
 *
 * A pass walks all rows for up to PASS_QUERIES queries, a tile at a time; parts of the slots are dealt to
 * threads as they come free, and each thread keeps its own best. Scores come from the row kernels. Where many queries
 * meet a tile, a matrix product goes before them as a sieve: only what it says may reach the best so far, give or take
 * the most that its rounding can be wrong by, is scored by the kernel. The product is our own where registers are wide
 * (math/maps.h): queries are packed once for all rows, and rows are read where they lie, where a BLAS packs both for
 * each tile; 1.1 to 1.3 times as fast (PERFORMANCE.md). So a batch answers exactly what its queries
 * would one by one, even for L2 far from the origin, where products alone know distances to few digits (and where the
 * sieve holds little back, and all becomes as slow as the kernels). int8 rows do without: integer products are faster
 * than floats after decoding.
 *
 * There is nothing to build or keep: which rows are there is asked from the rows' own bits while the search runs.
 */
#include <float.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "index/index.h"
#include "index/nearest.h"
#include "index/row_kernels.h"
#include "math/clones.h"
#include "math/linear.h"
#include "math/maps.h"

#define PASS_QUERIES 256
#define PASS_BYTES ((size_t)64 << 20) /* of kept answers, all threads together */
#define SIEVE_QUERIES 32              /* so many queries and more are worth a matrix product */
#define TILE_ROWS_MIN 64              /* a word of `alive` */
#define TILE_ROWS_MAX 512
#define TILE_ROOM(rows) ((rows) + TILE_ROWS_MIN - 1) /* a word begun is taken to its end */
#define TILE_ROOM_MAX TILE_ROOM(TILE_ROWS_MAX)
#define PART_SLOTS_MAX 65536
#define TILE_SCORES ((size_t)64 << 10) /* queries * rows, which lie in the second cache until they are offered */
#define BLOCK_BYTES ((size_t)16 << 10) /* of rows, which stay in the first cache while all queries meet them */
/* Below so many multiplications the start of a thread team costs more than it saves (measured on two cores). */
#define PARALLEL_WORK ((size_t)1 << 20)

/* The rows of a stretch of slots that are to be compared. */
typedef struct tile {
  uint32_t slot[TILE_ROOM_MAX];
  const void *row[TILE_ROOM_MAX];
  size_t count;
} tile;

/* Slots from the first to the last. */
static size_t tile_span(const tile *t) { return t->slot[t->count - 1] - t->slot[0] + 1; }

/* A thread's own memory. */
typedef struct worker {
  nearest *best; /* [queries of the pass] */
  float *scores; /* [queries of the pass, TILE_ROOM]; of the sieve [TILE_ROOM, columns] */
  float *bar;    /* [queries of the pass] what a product of this tile must reach */
  float *rows;   /* [TILE_ROOM, packed_stride] decoded or packed, for the sieve */
  size_t distances;
} worker;

/* One walk over all rows for some queries. */
typedef struct pass {
  const rows *rows;
  const index_allow *allow;
  uint32_t slots; /* as the search began */
  size_t tile_rows;
  size_t part_slots; /* that a thread takes at a time */
  const row_query *queries;
  size_t count;
  float *matrix;  /* [count, dim] the queries for the sieve, or NULL */
  float *packed;  /* the same for maps_multiply, or NULL: they go to BLAS */
  size_t columns; /* of the sieve's products: count, or what whole panels make of it */
  float *length;  /* [count] of the queries, for the sieve */
  bool sieve;     /* false: all by the kernels */
  size_t threads;
  worker *workers; /* [threads] */
} pass;

/* ---- tiles ---- */

static uint64_t low_bits(size_t count) { return count < 64 ? ((uint64_t)1 << count) - 1 : UINT64_MAX; }

/* A bit for each of the 64 slots from `slot` on that may be answered. */
static uint64_t slots_wanted(const pass *p, uint32_t slot) {
  uint64_t wanted = low_bits(p->slots - slot);
  if (p->allow != NULL) {
    if (slot >= p->allow->slots) return 0;
    wanted &= p->allow->words[slot >> 6] & low_bits(p->allow->slots - slot);
    if (wanted == 0) return 0;
  }
  const _Atomic uint64_t *alive =
      atomic_load_explicit(&p->rows->chunks[slot >> p->rows->chunk_shift].alive, memory_order_acquire);
  uint32_t in_chunk = slot & ((1u << p->rows->chunk_shift) - 1);
  return wanted & atomic_load_explicit(&alive[in_chunk >> 6], memory_order_acquire);
}

/* The wanted ones of the 64 slots from `first` on, whose rows lie in one chunk. */
static void tile_add(tile *t, const rows *r, uint32_t first, uint64_t wanted) {
  const unsigned char *rows = rows_at(r, first);
  size_t count = t->count, stride = r->stride_bytes;
  if (wanted == UINT64_MAX) {
    for (uint32_t i = 0; i < 64; i++) t->slot[count + i] = first + i;
    for (uint32_t i = 0; i < 64; i++) t->row[count + i] = rows + i * stride;
    t->count += 64;
    return;
  }
  for (; wanted != 0; wanted &= wanted - 1, count++) {
    uint32_t i = (uint32_t)__builtin_ctzll(wanted);
    t->slot[count] = first + i;
    t->row[count] = rows + i * stride;
  }
  t->count = count;
}

/* A tile is a stretch of slots where half of them and more are wanted, and gathers rows from far where fewer are. */
static bool tile_is_full(const tile *t, size_t rows, uint32_t end) {
  size_t walked = end - (t->slot[0] & ~63u);
  return t->count >= rows || (walked >= rows && t->count > walked / 2);
}

/* ---- by the kernels ---- */

/* Rows side by side in memory are read one after the other: the processor sees a stream and fetches ahead. Four at a
 * time are four streams in one page, which it does not follow (a third of the bandwidth), unless they are short. */
#define STREAM_BYTES_MIN 192

static bool tile_is_stream(const tile *t, const rows *r) {
  return r->stride_bytes >= STREAM_BYTES_MIN && t->count > tile_span(t) / 2;
}

static void score_stream(const tile *t, const rows *r, const row_query *q, size_t first, size_t end, float *scores) {
  for (size_t i = first; i < end; i++) scores[i] = r->score_stream(q, t->row[i], r->dim);
}

static void score_fours(const tile *t, const rows *r, const row_query *q, size_t first, size_t end, float *scores) {
  size_t i = first;
  for (; i + 4 <= end; i += 4) r->score4(q, t->row + i, r->dim, scores + i);
  for (; i < end; i++) scores[i] = r->score(q, t->row[i], r->dim);
}

/* Once k are kept, few scores reach the worst of them, so it is compared with registers of scores at once. */
static void offer(const float *scores, const tile *t, nearest *best) {
  for (size_t i = 0;; i++) {
    float bar = best->count < best->k ? -INFINITY : best->entries[0].score;
    if ((i = vector_find(scores, i, t->count, bar)) == t->count) return;
    nearest_push(best, (scored){scores[i], t->slot[i]});
  }
}

/* The first query brings a block of rows into the cache, the others find it there. */
static void tile_by_kernels(const tile *t, const pass *p, worker *w) {
  size_t block = p->count == 1 ? t->count : (BLOCK_BYTES / p->rows->stride_bytes + 4) / 4 * 4;
  for (size_t first = 0; first < t->count; first += block) {
    size_t end = first + block < t->count ? first + block : t->count;
    for (size_t q = 0; q < p->count; q++)
      (q == 0 && tile_is_stream(t, p->rows) ? score_stream : score_fours)(t, p->rows, &p->queries[q], first, end,
                                                                          w->scores + q * TILE_ROOM(p->tile_rows));
  }
  for (size_t q = 0; q < p->count; q++) offer(w->scores + q * TILE_ROOM(p->tile_rows), t, &w->best[q]);
}

/* ---- by a matrix product first ---- */

#define SIEVE_LENGTH_MAX 1e18f /* beyond it products may not be finite, and a sieve of them knows nothing */

/* The rows that are multiplied: all of the tile's span where they lie, or a packed copy of those wanted. */
typedef struct sieve {
  const float *matrix; /* [count, stride] */
  size_t count, stride;
  bool in_place;
  float square[TILE_ROOM_MAX]; /* |row|² / 2, for L2 */
  float length;                /* of the longest row */
} sieve;

/* Rows a multiple of so many bytes apart fall into one set of the first cache, which holds fewer than a tile of
 * registers reads side by side: 5 % slower than BLAS in place, instead of faster. */
#define CACHE_PERIOD_BYTES ((size_t)4096)
#define PERIOD_BROKEN 16 /* numbers: a line of the cache */

static size_t packed_stride(size_t dim) {
  return dim * sizeof(float) % CACHE_PERIOD_BYTES == 0 ? dim + PERIOD_BROKEN : dim;
}

/* Multiplying a few unwanted rows costs less than copying the wanted ones. */
static bool sieve_fits_in_place(const tile *t, const pass *p) {
  const rows *r = p->rows;
  if (p->packed != NULL && r->stride_bytes % CACHE_PERIOD_BYTES == 0) return false;
  bool one_chunk = t->slot[0] >> r->chunk_shift == t->slot[t->count - 1] >> r->chunk_shift;
  size_t span = tile_span(t);
  return r->storage == ROW_F32 && one_chunk && span <= TILE_ROOM(p->tile_rows) && t->count >= span - span / 4;
}

static void sieve_rows(sieve *x, const tile *t, const pass *p, float *packed) {
  const rows *r = p->rows;
  x->in_place = sieve_fits_in_place(t, p);
  x->matrix = x->in_place ? t->row[0] : packed;
  x->count = x->in_place ? tile_span(t) : t->count;
  x->stride = x->in_place ? r->stride_bytes / sizeof(float) : packed_stride(r->dim);
  for (size_t i = 0; i < t->count && !x->in_place; i++)
    row_decode(r->storage, t->row[i], r->dim, packed + i * x->stride);
}

static void sieve_lengths(sieve *x, const rows *r) {
  float greatest = 0;
  x->length = 1.01f;
  if (r->distance == INDEX_COSINE) return;
  for (size_t i = 0; i < x->count; i++) {
    float square = vector_dot(x->matrix + i * x->stride, x->matrix + i * x->stride, r->dim);
    greatest = fmaxf(greatest, square);
    x->square[i] = square / 2;
  }
  x->length = sqrtf(greatest);
}

/* What a product must reach for its row to be scored when the worst kept score is `worst`: that score as the product
 * shows it, less the most that sums of dim float32 terms can be off on both sides, by whatever order they were added
 * (Higham 2002, section 3.1: dim u |q| |x|; twice u for good measure). L2: (|q|² - distance) / 2 is the dot product
 * less |x|² / 2. */
static float sieve_bar(const sieve *x, const rows *r, float query_length, float worst) {
  double unit = ((double)r->dim + 16) * FLT_EPSILON, q = query_length, sum = q + x->length;
  if (r->distance == INDEX_L2) return (float)((q * q + worst) / 2 - unit * sum * sum);
  return (float)(worst - unit * q * x->length);
}

static float sieve_bar_of(const sieve *x, const pass *p, size_t q, const nearest *best) {
  return best->count < best->k ? -INFINITY : sieve_bar(x, p->rows, p->length[q], best->entries[0].score);
}

/* products [rows of the sieve, columns]. Queries are packed once for all rows; rows are read where they lie. */
static void sieve_multiply(const sieve *x, const pass *p, float *products) {
  static const float none[PASS_QUERIES];
  if (p->packed == NULL) {
    matrix_multiply_strided(false, true, x->count, p->count, p->rows->dim, 1, x->matrix, x->stride, p->matrix,
                            p->rows->dim, 0, products, p->columns);
    return;
  }
  maps_multiply(&(maps_product){.x = x->matrix,
                                .x_step = x->stride,
                                .segments = 1,
                                .depth = p->rows->dim,
                                .weight = p->packed,
                                .bias = none,
                                .panels = p->columns / MAPS_LANES,
                                .pixels = x->count,
                                .y = products,
                                .y_step = p->columns,
                                .low = -INFINITY,
                                .high = INFINITY});
}

/* Those queries that the row at `i` may be an answer to. */
static void sieve_offer(const sieve *x, const pass *p, worker *w, size_t i, uint32_t slot) {
  const rows *r = p->rows;
  const float *products = w->scores + i * p->columns;
  float more = r->distance == INDEX_L2 ? x->square[i] : 0;
  for (size_t q = 0; (q = vector_find_each(products, w->bar, more, q, p->count)) < p->count; q++) {
    nearest_push(&w->best[q], (scored){r->score(&p->queries[q], rows_at(r, slot), r->dim), slot});
    w->bar[q] = sieve_bar_of(x, p, q, &w->best[q]);
  }
}

static void tile_by_product(const tile *t, const pass *p, worker *w) {
  sieve x;
  sieve_rows(&x, t, p, w->rows);
  sieve_lengths(&x, p->rows);
  if (!(x.length < SIEVE_LENGTH_MAX)) {
    tile_by_kernels(t, p, w);
    return;
  }
  sieve_multiply(&x, p, w->scores);
  for (size_t q = 0; q < p->count; q++) w->bar[q] = sieve_bar_of(&x, p, q, &w->best[q]);
  for (size_t i = 0; i < t->count; i++) sieve_offer(&x, p, w, x.in_place ? t->slot[i] - t->slot[0] : i, t->slot[i]);
}

/* ---- a pass ---- */

static void pass_tile(const pass *p, tile *t, worker *w) {
  if (t->count == 0) return;
  w->distances += t->count * p->count;
  if (p->sieve)
    tile_by_product(t, p, w);
  else
    tile_by_kernels(t, p, w);
  t->count = 0;
}

static void pass_part(const pass *p, size_t part, worker *w) {
  tile t;
  size_t first = part * p->part_slots, end = first + p->part_slots < p->slots ? first + p->part_slots : p->slots;
  t.count = 0;
  for (size_t slot = first; slot < end; slot += 64) {
    uint64_t wanted = slots_wanted(p, (uint32_t)slot);
    if (wanted == 0) continue;
    tile_add(&t, p->rows, (uint32_t)slot, wanted);
    if (tile_is_full(&t, p->tile_rows, (uint32_t)slot + 64)) pass_tile(p, &t, w);
  }
  pass_tile(p, &t, w);
}

/* Answers to best of worker 0. The order in which rows are met does not matter because ranking is total. */
static void pass_run(const pass *p) {
  size_t parts = (p->slots + p->part_slots - 1) / p->part_slots;
#pragma omp parallel for schedule(dynamic) num_threads((int)p->threads) if (p->threads > 1)
  for (size_t part = 0; part < parts; part++)
    pass_part(p, part, &p->workers[p->threads > 1 ? omp_get_thread_num() : 0]);
  for (size_t t = 1; t < p->threads; t++)
    for (size_t q = 0; q < p->count; q++)
      for (size_t i = 0; i < p->workers[t].best[q].count; i++)
        nearest_push(&p->workers[0].best[q], p->workers[t].best[q].entries[i]);
}

static void pass_deinit(pass *p) {
  for (size_t t = 0; p->workers != NULL && t < p->threads; t++) {
    mem_free(p->workers[t].best);
    mem_free(p->workers[t].scores);
    mem_free(p->workers[t].bar);
    mem_free(p->workers[t].rows);
  }
  mem_free(p->workers);
  mem_free(p->matrix);
  mem_free(p->packed);
  mem_free(p->length);
}

static medley_status worker_init(worker *w, const pass *p, size_t queries, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(w->best, queries, "search results");
  /* Not zeroed: each thread meets its pages itself, and often not all of them. */
  w->scores = mem_alloc(maps_round(queries) * TILE_ROOM(p->tile_rows), sizeof *w->scores);
  if (p->matrix != NULL) {
    TRY_NEW(w->bar, queries, "search scores");
    w->rows = mem_alloc(TILE_ROOM(p->tile_rows) * packed_stride(p->rows->dim), sizeof *w->rows);
  }
  if (w->scores == NULL || (p->matrix != NULL && w->rows == NULL)) status = error_memory(err, "search scores");
done:
  return status;
}

static size_t threads_for(const pass *p, size_t queries) {
  size_t rows = p->allow != NULL && p->allow->count < p->slots ? p->allow->count : p->slots;
  if (rows * p->rows->dim * queries < PARALLEL_WORK || omp_in_parallel()) return 1;
  return (size_t)omp_get_max_threads();
}

/* For one query small tiles, so that memory is not left idle while the next one is listed. */
static size_t tile_rows_for(const rows *r, size_t queries) {
  size_t rows = TILE_ROWS_MIN;
  if (queries == 1) return rows;
  while (rows < TILE_ROWS_MAX && rows < (size_t)1 << r->chunk_shift && 2 * rows * queries <= TILE_SCORES) rows *= 2;
  return rows;
}

/* Slots that are likely to fill a tile, and some hundred for one query. */
static size_t part_slots_for(const pass *p, size_t queries) {
  size_t slots = queries == 1 ? TILE_ROWS_MAX : p->tile_rows;
  size_t allowed = p->allow != NULL ? p->allow->count : p->slots;
  while (slots < PART_SLOTS_MAX && allowed < p->slots / (2 * slots / p->tile_rows)) slots *= 2;
  return slots;
}

/* most: queries that a pass will have at most. */
static medley_status pass_init(pass *p, const rows *r, const index_allow *allow, size_t most, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *p = (pass){.rows = r, .allow = allow, .slots = rows_count(r), .tile_rows = tile_rows_for(r, most)};
  p->part_slots = part_slots_for(p, most);
  p->threads = threads_for(p, most);
  if (most >= SIEVE_QUERIES && r->storage != ROW_INT8) {
    TRY_NEW(p->matrix, most * r->dim, "search queries");
    if (vector_level_get() > VECTOR_BASELINE) TRY_NEW(p->packed, maps_round(most) * r->dim, "search queries");
    TRY_NEW(p->length, most, "search queries");
  }
  TRY_NEW(p->workers, p->threads, "search threads");
  for (size_t t = 0; t < p->threads; t++) TRY(worker_init(&p->workers[t], p, most, err));
done:
  return status;
}

/* heaps: [threads - 1, count, k] for the further threads; the first one's are the answers themselves. */
static void pass_begin(pass *p, const row_query *queries, size_t count, size_t k, size_t out_stride, scored *out,
                       scored *heaps) {
  size_t dim = p->rows->dim;
  p->queries = queries;
  p->count = count;
  p->sieve = p->matrix != NULL;
  for (size_t q = 0; q < count && p->matrix != NULL; q++) {
    memcpy(p->matrix + q * dim, queries[q].code, dim * sizeof(float));
    p->length[q] = vector_norm(queries[q].code, dim);
    if (!(p->length[q] < SIEVE_LENGTH_MAX)) p->sieve = false;
  }
  p->columns = p->packed != NULL ? maps_round(count) : count;
  if (p->packed != NULL) maps_pack(p->matrix, count, dim, p->packed);
  for (size_t q = 0; q < count; q++) {
    p->workers[0].best[q] = (nearest){out + q * out_stride, 0, k};
    for (size_t t = 1; t < p->threads; t++) p->workers[t].best[q] = (nearest){heaps + ((t - 1) * count + q) * k, 0, k};
  }
}

static size_t pass_queries(size_t count, size_t k) {
  size_t most = count < PASS_QUERIES ? count : PASS_QUERIES;
  while (most > 1 && most * k * (size_t)omp_get_max_threads() * sizeof(scored) > PASS_BYTES) most /= 2;
  return most;
}

static medley_status exact_search_batch(const index_structure *s, const index_query *q, const row_query *queries,
                                        size_t count, scored *out, size_t *found, index_effort *effort,
                                        medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t there = rows_count(s->rows), k = q->k < there ? q->k : there, most = pass_queries(count, k);
  scored *heaps = NULL;
  pass p = {0};
  *effort = (index_effort){.exact = true};
  for (size_t i = 0; i < count; i++) found[i] = 0;
  if (k == 0 || count == 0) goto done;
  TRY(pass_init(&p, s->rows, q->allow, most, err));
  if (p.threads > 1) TRY_NEW(heaps, (p.threads - 1) * most * k, "search results");
  for (size_t first = 0; first < count; first += most) {
    pass_begin(&p, queries + first, count - first < most ? count - first : most, k, q->k, out + first * q->k, heaps);
    pass_run(&p);
    for (size_t i = 0; i < p.count; i++) found[first + i] = nearest_finish(&p.workers[0].best[i]);
  }
  for (size_t t = 0; t < p.threads; t++) effort->distances += p.workers[t].distances;
done:
  pass_deinit(&p);
  mem_free(heaps);
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

static medley_status exact_open(const index_opening *from, index_structure **out, medley_error *err) {
  return exact_create(from->rows, from->options, out, err);
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
