/* math/sparse_multiply.c: products with sparse matrices. Every output row is summed by one thread in the order of the
 * entries, so the results are the same for any number of threads. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"

void sparse_multiply_vector(const sparse *a, const float *x, float *y) {
#pragma omp parallel for schedule(static) if (sparse_count(a) > 100000)
  for (uint32_t r = 0; r < a->rows; r++) {
    float sum = 0;
    for (uint64_t i = a->start[r]; i < a->start[r + 1]; i++) sum += a->value[i] * x[a->column[i]];
    y[r] = sum;
  }
}

void sparse_transpose_multiply_vector(const sparse *a, const float *x, float *y) {
  memset(y, 0, a->columns * sizeof *y);
  for (uint32_t r = 0; r < a->rows; r++)
    for (uint64_t i = a->start[r]; i < a->start[r + 1]; i++) y[a->column[i]] += a->value[i] * x[r];
}

void sparse_multiply_dense(const sparse *a, const float *x, size_t dim, float *y) {
#pragma omp parallel for schedule(dynamic, 64) if (sparse_count(a) * dim > 100000)
  for (uint32_t r = 0; r < a->rows; r++) {
    uint64_t begin = a->start[r];
    vector_weighted_rows(x, dim, a->column + begin, a->value + begin, a->start[r + 1] - begin, y + (size_t)r * dim);
  }
}

/* ---- gram ---- */

/* Rows [from, to) of the upper triangle of c. They stay in the cache while all of a streams past. */
static void gram_block(const sparse *a, uint32_t from, uint32_t to, float *c) {
  for (uint32_t r = 0; r < a->rows; r++) {
    uint64_t end = a->start[r + 1];
    for (uint64_t i = sparse_find(a, r, from); i < end && a->column[i] < to; i++) {
      float *row = c + (size_t)a->column[i] * a->columns;
      float value = a->value[i];
      for (uint64_t j = i; j < end; j++) row[a->column[j]] += value * a->value[j];
    }
  }
}

/* Blocks of GRAM_ROWS rows of c: small enough for the second-level cache at some thousand columns, large enough that
 * looking for their entries in every row of a costs little. */
void sparse_gram(const sparse *a, float *c) {
  enum { GRAM_ROWS = 64 };
#pragma omp parallel for schedule(dynamic, 1)
  for (uint32_t from = 0; from < a->columns; from += GRAM_ROWS)
    gram_block(a, from, a->columns - from < GRAM_ROWS ? a->columns : from + GRAM_ROWS, c);
  matrix_mirror_upper(c, a->columns);
}

/* ---- sparse times sparse ---- */

/* Rows [first, first + count) of the product, made by one thread. */
typedef struct product_chunk {
  uint32_t *column; /* [used] */
  float *value;
  size_t used, column_capacity, value_capacity;
} product_chunk;

/* What one thread needs for a row: dense sums, a mark per column, the columns marked. */
typedef struct row_sums {
  float *sum;        /* [columns] */
  uint8_t *marked;   /* [columns] */
  uint32_t *touched; /* [columns] */
  float *compact;    /* [columns], only with a limit */
  scored *best;      /* [row_limit] */
} row_sums;

static void row_sums_deinit(row_sums *w) {
  mem_free(w->sum);
  mem_free(w->marked);
  mem_free(w->touched);
  mem_free(w->compact);
  mem_free(w->best);
}

static bool row_sums_init(row_sums *w, uint32_t columns, size_t row_limit) {
  *w = (row_sums){.sum = mem_zalloc_aligned(columns, sizeof(float)),
                  .marked = mem_zalloc(columns, 1),
                  .touched = mem_alloc(columns, sizeof(uint32_t)),
                  .compact = mem_alloc(row_limit ? columns : 0, sizeof(float)),
                  .best = mem_alloc(row_limit, sizeof(scored))};
  return w->sum && w->marked && w->touched && w->compact && w->best;
}

static int column_compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* A few columns are sorted; many are found faster by walking over all marks. */
static void columns_sort(row_sums *w, size_t count, uint32_t columns) {
  if (count < columns / 16) {
    qsort(w->touched, count, sizeof *w->touched, column_compare);
    return;
  }
  for (uint32_t c = 0, at = 0; at < count; c++)
    if (w->marked[c]) w->touched[at++] = c;
}

static size_t row_add_up(const sparse *a, const sparse *b, uint32_t row, row_sums *w) {
  size_t count = 0;
  for (uint64_t i = a->start[row]; i < a->start[row + 1]; i++) {
    uint32_t inner = a->column[i];
    for (uint64_t j = b->start[inner]; j < b->start[inner + 1]; j++) {
      uint32_t c = b->column[j];
      if (!w->marked[c]) {
        w->marked[c] = 1;
        w->touched[count++] = c;
      }
      w->sum[c] += a->value[i] * b->value[j];
    }
  }
  columns_sort(w, count, b->columns);
  return count;
}

/* Unmarks all but the greatest row_limit of the touched columns. Returns how many stay, still ascending. */
static size_t row_cut(row_sums *w, size_t count, size_t row_limit) {
  for (size_t i = 0; i < count; i++) w->compact[i] = w->sum[w->touched[i]];
  size_t kept = top_k(w->compact, count, NULL, row_limit, w->best);
  for (size_t i = 0; i < kept; i++) w->marked[w->touched[w->best[i].index]] = 2;
  size_t stay = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t c = w->touched[i];
    if (w->marked[c] == 2) {
      w->touched[stay++] = c;
    } else {
      w->marked[c] = 0;
      w->sum[c] = 0;
    }
  }
  return stay;
}

static bool row_make(const sparse *a, const sparse *b, uint32_t row, size_t row_limit, row_sums *w,
                     product_chunk *chunk, uint64_t *length) {
  size_t count = row_add_up(a, b, row, w);
  if (row_limit && count > row_limit) count = row_cut(w, count, row_limit);
  void *column = chunk->column, *value = chunk->value;
  bool ok = mem_grow(&column, &chunk->column_capacity, chunk->used + count, sizeof *chunk->column);
  chunk->column = column;
  ok = ok && mem_grow(&value, &chunk->value_capacity, chunk->used + count, sizeof *chunk->value);
  chunk->value = value;
  if (!ok) return false;
  for (size_t i = 0; i < count; i++) {
    uint32_t c = w->touched[i];
    chunk->column[chunk->used + i] = c;
    chunk->value[chunk->used + i] = w->sum[c];
    w->sum[c] = 0;
    w->marked[c] = 0;
  }
  chunk->used += count;
  *length = count;
  return true;
}

enum { CHUNK_ROWS = 64 };

/* All chunks in parallel; lengths [rows] get the rows' counts. False when memory runs out. */
static bool chunks_make(const sparse *a, const sparse *b, size_t row_limit, product_chunk *chunks, size_t chunk_count,
                        uint64_t *lengths) {
  bool failed = false;
#pragma omp parallel
  {
    row_sums w;
    bool ready = row_sums_init(&w, b->columns, row_limit);
#pragma omp for schedule(dynamic, 1) reduction(|| : failed)
    for (size_t k = 0; k < chunk_count; k++) {
      uint32_t first = (uint32_t)(k * CHUNK_ROWS);
      for (uint32_t r = first; ready && r < a->rows && r < first + CHUNK_ROWS; r++)
        ready = row_make(a, b, r, row_limit, &w, &chunks[k], &lengths[r]);
      if (!ready) failed = true;
    }
    row_sums_deinit(&w);
  }
  return !failed;
}

medley_status sparse_multiply(const sparse *a, const sparse *b, size_t row_limit, sparse *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t chunk_count = ((size_t)a->rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
  product_chunk *chunks = NULL;
  uint64_t *lengths = NULL, total = 0;
  *out = (sparse){0};
  if (a->columns != b->rows)
    FAIL(err, MEDLEY_ERR_USAGE, "a sparse product of %u x %u and %u x %u: the inner sizes differ", a->rows, a->columns,
         b->rows, b->columns);
  if (row_limit >= b->columns) row_limit = 0;
  TRY_NEW(chunks, chunk_count, "a sparse product");
  TRY_NEW(lengths, a->rows, "a sparse product");
  if (!chunks_make(a, b, row_limit, chunks, chunk_count, lengths)) TRY(error_memory(err, "a sparse product"));
  for (size_t k = 0; k < chunk_count; k++) total += chunks[k].used;
  TRY(sparse_create(a->rows, b->columns, total, out, err));
  for (uint32_t r = 0; r < a->rows; r++) out->start[r + 1] = out->start[r] + lengths[r];
  for (size_t k = 0; k < chunk_count; k++) {
    if (chunks[k].used == 0) continue;
    memcpy(out->column + out->start[k * CHUNK_ROWS], chunks[k].column, chunks[k].used * sizeof *out->column);
    memcpy(out->value + out->start[k * CHUNK_ROWS], chunks[k].value, chunks[k].used * sizeof *out->value);
  }
done:
  for (size_t k = 0; chunks != NULL && k < chunk_count; k++) {
    mem_free(chunks[k].column);
    mem_free(chunks[k].value);
  }
  mem_free(chunks);
  mem_free(lengths);
  return status;
}
