/* index/ivfpq_search.c: the lists nearest to a query, their codes, and the best of them compared as rows.
 *
 * Three sieves, each finer and each for fewer: centres (all lists, a matrix product), codes (the rows of the lists
 * looked at, tables in bytes: math/code_sums.h), rows (`candidates` of them). How many candidates there are grows with
 * the lists looked at: whoever asks for more breadth wants a higher recall, and from some point on it is the codes that
 * lose neighbours.
 *
 * With a filter, a row that does not pass is dropped before it becomes a candidate, and lists are looked at until
 * enough rows have passed. When few rows pass in all, they are compared one by one, which is exact.
 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "index/ivfpq.h"
#include "index/nearest.h"
#include "index/pages.h"
#include "index/shortlist.h"
#include "math/code_sums.h"
#include "math/linear.h"

#define TILE_CODES ((size_t)1024) /* a multiple of CODE_GROUP */
#define CANDIDATES_PER_ANSWER 8
#define CANDIDATES_PER_LIST 4
#define BATCH_QUERIES ((size_t)64)
#define PREFETCH_BYTES 512
#define PASSED_PER_LIST 64
#define CODES_PER_ROW 40

static size_t size_min(size_t a, size_t b) { return a < b ? a : b; }

/* ---- one search ---- */

typedef struct ivf_search_state {
  const rows *rows;
  const ivf_model *model;
  const index_query *query;
  size_t breadth, candidates;
  /* One piece of memory, `own`: */
  float *vector; /* [out_dim] the query rotated */
  float *tables; /* [code_bytes, 256] */
  code_tables rounded;
  float *products; /* [lists] query · centre */
  float *nearness; /* [lists] of the centre, greater is nearer */
  scored *order;   /* [lists] the first of them in the order to be looked at */
  uint32_t *sums;  /* [TILE_CODES] */
  uint32_t *at;    /* [TILE_CODES] */
  float *value;    /* [TILE_CODES] */
  shortlist best;
  unsigned char *own;
  /* Of the query at hand: */
  float low, step;  /* of the tables in 8 bits */
  size_t seen;      /* codes looked at */
  size_t passed;    /* of them not dead and allowed; counted with a filter only */
  size_t offered;   /* candidates, those that were dropped later too */
  size_t distances; /* of all queries of this worker */
} ivf_search_state;

/* Takes `bytes` of the piece of memory; only counts when there is none yet. */
static void *piece(unsigned char *own, size_t *used, size_t bytes) {
  void *at = own == NULL ? NULL : own + *used;
  *used += (bytes + 63) / 64 * 64;
  return at;
}

static size_t search_lay_out(ivf_search_state *s, unsigned char *own) {
  const ivf_model *m = s->model;
  size_t used = 0, tables = m->code_bytes * PRODUCT_CODES;
  s->vector = piece(own, &used, m->rotation.out_dim * sizeof *s->vector);
  s->tables = piece(own, &used, tables * sizeof *s->tables);
  s->rounded.entries = piece(own, &used, tables * sizeof *s->rounded.entries);
  s->rounded.planes = piece(own, &used, 2 * tables);
  s->products = piece(own, &used, m->lists * sizeof *s->products);
  s->nearness = piece(own, &used, m->lists * sizeof *s->nearness);
  s->order = piece(own, &used, m->lists * sizeof *s->order);
  s->sums = piece(own, &used, TILE_CODES * sizeof *s->sums);
  s->at = piece(own, &used, TILE_CODES * sizeof *s->at);
  s->value = piece(own, &used, TILE_CODES * sizeof *s->value);
  s->best.scores = piece(own, &used, SHORTLIST_ROOM(s->candidates) * sizeof *s->best.scores);
  s->best.slots = piece(own, &used, SHORTLIST_ROOM(s->candidates) * sizeof *s->best.slots);
  return used;
}

static medley_status search_init(ivf_search_state *s, const rows *r, const ivf_model *m, const index_query *q,
                                 medley_error *err) {
  size_t breadth = size_min(q->breadth, m->lists);
  *s = (ivf_search_state){.rows = r, .model = m, .query = q, .breadth = breadth};
  s->candidates = q->k * CANDIDATES_PER_ANSWER + breadth * CANDIDATES_PER_LIST;
  if (s->candidates > rows_count(r)) s->candidates = rows_count(r) + 1;
  s->own = mem_alloc(search_lay_out(s, NULL) + 63, 1); /* not zeroed: that would take longer than the coarse search */
  if (s->own == NULL) return error_memory(err, "a search");
  search_lay_out(s, s->own + (64 - (uintptr_t)s->own % 64) % 64);
  return MEDLEY_OK;
}

static void search_deinit(ivf_search_state *s) { mem_free(s->own); }

static void scan_tile(ivf_search_state *s, const ivf_block *b, size_t first, size_t count, float base) {
  const index_allow *allow = s->query->allow;
  size_t parts = s->model->code_bytes, passed = 0;
  const uint32_t *slots = b->slots + first;
  if (allow != NULL) {
    for (size_t i = 0; i < count; i++) passed += index_allows(allow, slots[i]);
    s->passed += passed;
    if (passed == 0) return;
  }
  code_sums(b->codes + first * parts, b->capacity - first, count, parts, &s->rounded, s->sums);
  size_t above = code_estimates(s->sums, b->norms + first, count, base, s->step, s->rows->distance == INDEX_L2,
                                s->best.bar, s->at, s->value);
  s->seen += count;
  for (size_t i = 0; i < above; i++) {
    uint32_t slot = slots[s->at[i]];
    if (!(s->value[i] > s->best.bar) || !index_allows(allow, slot) || !rows_alive(s->rows, slot)) continue;
    shortlist_push(&s->best, s->value[i], slot);
    s->offered++;
  }
}

static void scan_list(ivf_search_state *s, size_t list) {
  const ivf_block *b = ivf_block_now(s->model, list);
  size_t count = ivf_block_count(b);
  for (size_t first = 0; first < count; first += TILE_CODES)
    scan_tile(s, b, first, size_min(TILE_CODES, count - first), s->products[list] + s->low);
}

static bool enough(const ivf_search_state *s) {
  if (s->offered < s->query->k) return false;
  return s->query->allow == NULL || s->passed >= s->breadth * PASSED_PER_LIST;
}

/* vector and products are there. */
static void scan(ivf_search_state *s) {
  const ivf_model *m = s->model;
  size_t ordered = 0;
  s->seen = s->passed = s->offered = 0;
  shortlist_begin(&s->best, s->candidates);
  product_tables(&m->product, s->vector, s->tables);
  product_tables_round(&m->product, s->tables, &s->rounded, &s->low, &s->step);
  /* |q - c|² at its least is q · c - |c|² / 2 at its greatest. */
  for (size_t l = 0; l < m->lists; l++) s->nearness[l] = s->products[l] - m->half[l];
  for (size_t i = 0; i < m->lists && (i < s->breadth || !enough(s)); i++) {
    if (i == ordered) /* beyond the breadth more and more at once: each time all are looked through */
      ordered = top_k(s->nearness, m->lists, NULL, ordered == 0 ? s->breadth : ordered * 4, s->order);
    if (i == ordered) break; /* the others are not near by any number: products beyond what floats hold */
    scan_list(s, s->order[i].index);
  }
  shortlist_thin(&s->best);
}

/* The first lines of a row; the processor sees by itself that the rest follows. */
static inline void row_prefetch(const rows *r, uint32_t slot) {
  const char *row = rows_at(r, slot);
  for (size_t line = 0; line < PREFETCH_BYTES && line < r->stride_bytes; line += 64) __builtin_prefetch(row + line);
}

/* The candidates as rows, four at a time; what comes next is fetched meanwhile. */
static size_t compare_rows(ivf_search_state *s, const row_query *q, scored *out) {
  const rows *r = s->rows;
  const uint32_t *slots = s->best.slots;
  nearest best = {out, 0, s->query->k};
  const void *row[4];
  float score[4];
  for (size_t i = 0; pages_cold(r->pages) && i < s->best.count; i++)
    pages_want(r->pages, rows_at(r, slots[i]), r->stride_bytes);
  for (size_t i = 0; i < s->best.count; i += 4) {
    size_t together = size_min(4, s->best.count - i);
    for (size_t ahead = i + 4; ahead < i + 8 && ahead < s->best.count; ahead++) row_prefetch(r, slots[ahead]);
    for (size_t j = 0; j < 4; j++) row[j] = rows_at(r, slots[i + (j < together ? j : 0)]);
    r->score4(q, row, r->dim, score);
    for (size_t j = 0; j < together; j++) nearest_push(&best, (scored){score[j], slots[i + j]});
  }
  return nearest_finish(&best);
}

/* Less than could be found: where sums leave the range of floats, lists and codes say nothing. Then all are compared.
 */
static bool too_few(const rows *r, const index_query *q, size_t found) {
  size_t alive = atomic_load(&r->alive_count);
  return found < q->k && found < alive && (q->allow == NULL || found < q->allow->count);
}

/* ---- the two searches ---- */

/* The query as floats, in the length it is compared in. */
static const float *query_vector(const rows *r, const row_query *q) {
  return r->storage == ROW_INT8 ? q->vector : q->code;
}

/* Comparing every row that passes costs less than looking through lists until enough have passed: with n rows, of which
 * p pass, some needed * n / p codes. */
static bool exact_is_better(const rows *r, const index_query *q) {
  double passing = (double)q->allow->count, rows = (double)rows_count(r);
  return passing * passing * CODES_PER_ROW <= (double)(q->breadth * PASSED_PER_LIST) * rows;
}

static bool asks_exact(const rows *r, const ivf_model *m, const index_query *q) {
  return q->exact || !ivf_trained(m) || (q->allow != NULL && exact_is_better(r, q));
}

static index_query query_with_breadth(const index_structure *s, const index_query *q) {
  index_query with = *q;
  if (with.breadth == 0) with.breadth = s->breadth;
  return with;
}

medley_status ivf_search(const index_structure *s, const index_query *q, scored *out, size_t *found,
                         index_effort *effort, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const ivf_model *m = ivf_model_now((const ivf_index *)s);
  index_query query = query_with_breadth(s, q);
  ivf_search_state one = {0};
  if (asks_exact(s->rows, m, &query)) return index_exact.search(s, q, out, found, effort, err);
  *found = 0;
  *effort = (index_effort){0};
  if (q->k == 0) return MEDLEY_OK;
  TRY(search_init(&one, s->rows, m, &query, err));
  rotation_apply_one(&m->rotation, query_vector(s->rows, q->query), one.vector);
  matrix_times_vector(m->lists, m->rotation.out_dim, m->centres, one.vector, one.products);
  scan(&one);
  *found = compare_rows(&one, q->query, out);
  if (too_few(s->rows, q, *found)) TRY(index_exact.search(s, q, out, found, effort, err));
  effort->distances += one.seen + one.best.count;
done:
  search_deinit(&one);
  return status;
}

/* Queries side by side, so that rotation and centres are matrix products. */
typedef struct side_by_side {
  float *vectors;            /* [BATCH_QUERIES, dim] */
  float *rotated;            /* [BATCH_QUERIES, out_dim] */
  float *products;           /* [BATCH_QUERIES, lists] */
  ivf_search_state *workers; /* [threads] */
  size_t threads;
} side_by_side;

static void side_by_side_deinit(side_by_side *b) {
  for (size_t t = 0; b->workers != NULL && t < b->threads; t++) search_deinit(&b->workers[t]);
  mem_free(b->workers);
  mem_free(b->vectors);
  mem_free(b->rotated);
  mem_free(b->products);
}

static medley_status side_by_side_init(side_by_side *b, const rows *r, const ivf_model *m, const index_query *q,
                                       size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t most = size_min(count, BATCH_QUERIES);
  *b = (side_by_side){.threads = omp_in_parallel() ? 1 : size_min(most, (size_t)omp_get_max_threads())};
  TRY_NEW(b->vectors, most * r->dim, "search queries");
  TRY_NEW(b->rotated, most * m->rotation.out_dim, "search queries");
  TRY_NEW(b->products, most * m->lists, "search queries");
  TRY_NEW(b->workers, b->threads, "search threads");
  for (size_t t = 0; t < b->threads; t++) TRY(search_init(&b->workers[t], r, m, q, err));
done:
  return status;
}

static void side_by_side_begin(side_by_side *b, const rows *r, const ivf_model *m, const row_query *queries,
                               size_t count) {
  for (size_t i = 0; i < count; i++)
    memcpy(b->vectors + i * r->dim, query_vector(r, &queries[i]), r->dim * sizeof *b->vectors);
  rotation_apply(&m->rotation, b->vectors, count, b->rotated);
  matrix_multiply(false, true, count, m->lists, m->rotation.out_dim, 1, b->rotated, m->centres, 0, b->products);
}

/* Query i of those side by side; the worker's own vector and products make way. */
static size_t side_by_side_search(const side_by_side *b, ivf_search_state *w, size_t i, const row_query *query,
                                  scored *out) {
  w->vector = b->rotated + i * w->model->rotation.out_dim;
  w->products = b->products + i * w->model->lists;
  scan(w);
  w->distances += w->seen + w->best.count;
  return compare_rows(w, query, out);
}

medley_status ivf_search_batch(const index_structure *s, const index_query *q, const row_query *queries, size_t count,
                               scored *out, size_t *found, index_effort *effort, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const ivf_model *m = ivf_model_now((const ivf_index *)s);
  index_query query = query_with_breadth(s, q);
  side_by_side b = {0};
  if (asks_exact(s->rows, m, &query)) return index_exact.search_batch(s, q, queries, count, out, found, effort, err);
  for (size_t i = 0; i < count; i++) found[i] = 0;
  *effort = (index_effort){0};
  if (q->k == 0 || count == 0) return MEDLEY_OK;
  TRY(side_by_side_init(&b, s->rows, m, &query, count, err));
  for (size_t first = 0; first < count; first += BATCH_QUERIES) {
    size_t together = size_min(BATCH_QUERIES, count - first);
    side_by_side_begin(&b, s->rows, m, queries + first, together);
#pragma omp parallel for schedule(dynamic, 2) num_threads((int)b.threads) if (b.threads > 1)
    for (size_t i = 0; i < together; i++)
      found[first + i] = side_by_side_search(&b, &b.workers[b.threads > 1 ? omp_get_thread_num() : 0], i,
                                             &queries[first + i], out + (first + i) * q->k);
  }
  for (size_t t = 0; t < b.threads; t++) effort->distances += b.workers[t].distances;
  for (size_t i = 0; i < count; i++) {
    index_effort scan_effort;
    if (!too_few(s->rows, q, found[i])) continue;
    query.query = &queries[i];
    TRY(index_exact.search(s, &query, out + i * q->k, &found[i], &scan_effort, err));
    effort->distances += scan_effort.distances;
  }
done:
  side_by_side_deinit(&b);
  return status;
}
