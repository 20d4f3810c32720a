/* math/sparse.c: building, copying, turning and scaling sparse matrices; sparse_multiply.c multiplies them. */
#include "math/sparse.h"

#include <string.h>

#include "base/memory.h"

void sparse_deinit(sparse *a) {
  mem_free(a->start);
  mem_free(a->column);
  mem_free(a->value);
  *a = (sparse){0};
}

uint64_t sparse_count(const sparse *a) { return a->start ? a->start[a->rows] : 0; }

medley_status sparse_create(uint32_t rows, uint32_t columns, uint64_t count, sparse *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (sparse){.rows = rows, .columns = columns};
  TRY_NEW(out->start, (size_t)rows + 1, "the rows of a sparse matrix");
  TRY_NEW(out->column, count, "the entries of a sparse matrix");
  TRY_NEW(out->value, count, "the entries of a sparse matrix");
done:
  if (status != MEDLEY_OK) sparse_deinit(out);
  return status;
}

/* Counts per bucket [buckets + 1] become the place where each bucket begins. */
static void counts_to_starts(uint64_t *counts, size_t buckets) {
  uint64_t sum = 0;
  for (size_t i = 0; i <= buckets; i++) {
    uint64_t count = counts[i];
    counts[i] = sum;
    sum += count;
  }
}

/* After filling, next[i] is where bucket i ends; one step to the right gives back where each begins. */
static void starts_restore(uint64_t *next, size_t buckets) {
  memmove(next + 1, next, buckets * sizeof *next);
  next[0] = 0;
}

static medley_status entries_check(uint32_t rows, uint32_t columns, const sparse_entry *entries, size_t count,
                                   medley_error *err) {
  for (size_t i = 0; i < count; i++)
    if (entries[i].row >= rows || entries[i].column >= columns)
      return error_set(err, MEDLEY_ERR_INPUT,
                       "entry %zu of a sparse matrix is at row %u, column %u, outside its %u rows and %u columns", i,
                       entries[i].row, entries[i].column, rows, columns);
  return MEDLEY_OK;
}

static float duplicate_join(sparse_duplicates how, float held, float next) {
  switch (how) {
    case SPARSE_SUM: return held + next;
    case SPARSE_MAX: return next > held ? next : held;
    default: return next;
  }
}

/* Neighbours with the same column become one; rows move left over the gaps. */
static void duplicates_merge(sparse *a, sparse_duplicates how) {
  uint64_t kept = 0, from = 0;
  for (uint32_t r = 0; r < a->rows; r++) {
    uint64_t end = a->start[r + 1], row_begin = kept;
    for (; from < end; from++) {
      if (kept > row_begin && a->column[kept - 1] == a->column[from]) {
        a->value[kept - 1] = duplicate_join(how, a->value[kept - 1], a->value[from]);
      } else {
        a->column[kept] = a->column[from];
        a->value[kept++] = a->value[from];
      }
    }
    a->start[r + 1] = kept;
  }
}

/* Two stable counting sorts, by column and then by row, so that repeats stay in the order they came. */
medley_status sparse_from_entries(uint32_t rows, uint32_t columns, const sparse_entry *entries, size_t count,
                                  sparse_duplicates duplicates, sparse *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t *next = NULL;
  uint32_t *by_column = NULL; /* places in entries */
  *out = (sparse){0};
  if (count > UINT32_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "%zu entries are more than the %u a sparse matrix can be built from", count,
         UINT32_MAX);
  TRY(entries_check(rows, columns, entries, count, err));
  TRY_NEW(next, (size_t)columns + 1, "sorting the entries of a sparse matrix");
  by_column = mem_alloc(count, sizeof *by_column);
  if (by_column == NULL) TRY(error_memory(err, "sorting the entries of a sparse matrix"));
  TRY(sparse_create(rows, columns, count, out, err));

  for (size_t i = 0; i < count; i++) next[entries[i].column]++;
  counts_to_starts(next, columns);
  for (size_t i = 0; i < count; i++) by_column[next[entries[i].column]++] = (uint32_t)i;

  for (size_t i = 0; i < count; i++) out->start[entries[i].row]++;
  counts_to_starts(out->start, rows);
  for (size_t i = 0; i < count; i++) {
    const sparse_entry *e = &entries[by_column[i]];
    uint64_t at = out->start[e->row]++;
    out->column[at] = e->column;
    out->value[at] = e->value;
  }
  starts_restore(out->start, rows);
  duplicates_merge(out, duplicates);
done:
  mem_free(next);
  mem_free(by_column);
  if (status != MEDLEY_OK) sparse_deinit(out);
  return status;
}

medley_status sparse_copy(const sparse *a, sparse *out, medley_error *err) {
  uint64_t count = sparse_count(a);
  medley_status status = sparse_create(a->rows, a->columns, count, out, err);
  if (status != MEDLEY_OK || a->start == NULL) return status;
  memcpy(out->start, a->start, ((size_t)a->rows + 1) * sizeof *a->start);
  memcpy(out->column, a->column, count * sizeof *a->column);
  memcpy(out->value, a->value, count * sizeof *a->value);
  return MEDLEY_OK;
}

medley_status sparse_transpose(const sparse *a, sparse *out, medley_error *err) {
  uint64_t count = sparse_count(a);
  medley_status status = sparse_create(a->columns, a->rows, count, out, err);
  if (status != MEDLEY_OK || count == 0) return status;
  for (uint64_t i = 0; i < count; i++) out->start[a->column[i]]++;
  counts_to_starts(out->start, out->rows);
  for (uint32_t r = 0; r < a->rows; r++) {
    for (uint64_t i = a->start[r]; i < a->start[r + 1]; i++) {
      uint64_t at = out->start[a->column[i]]++;
      out->column[at] = r;
      out->value[at] = a->value[i];
    }
  }
  starts_restore(out->start, out->rows);
  return MEDLEY_OK;
}

uint64_t sparse_find(const sparse *a, uint32_t row, uint32_t column) {
  uint64_t lo = a->start[row], hi = a->start[row + 1];
  while (lo < hi) {
    uint64_t middle = lo + (hi - lo) / 2;
    if (a->column[middle] < column)
      lo = middle + 1;
    else
      hi = middle;
  }
  return lo;
}

bool sparse_has(const sparse *a, uint32_t row, uint32_t column) {
  uint64_t at = sparse_find(a, row, column);
  return at < a->start[row + 1] && a->column[at] == column;
}

void sparse_row_sums(const sparse *a, float *out) {
  for (uint32_t r = 0; r < a->rows; r++) {
    double sum = 0;
    for (uint64_t i = a->start[r]; i < a->start[r + 1]; i++) sum += a->value[i];
    out[r] = (float)sum;
  }
}

void sparse_column_sums(const sparse *a, float *out) {
  memset(out, 0, a->columns * sizeof *out);
  uint64_t count = sparse_count(a);
  for (uint64_t i = 0; i < count; i++) out[a->column[i]] += a->value[i];
}

void sparse_column_counts(const sparse *a, uint32_t *out) {
  memset(out, 0, a->columns * sizeof *out);
  uint64_t count = sparse_count(a);
  for (uint64_t i = 0; i < count; i++) out[a->column[i]]++;
}

void sparse_scale(sparse *a, const float *row_scale, const float *column_scale) {
  for (uint32_t r = 0; r < a->rows; r++) {
    float scale = row_scale ? row_scale[r] : 1;
    for (uint64_t i = a->start[r]; i < a->start[r + 1]; i++)
      a->value[i] *= column_scale ? scale * column_scale[a->column[i]] : scale;
  }
}
