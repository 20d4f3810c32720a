/* index/rows.c: see index/rows.h. */
#include "index/rows.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "index/pages.h"
#include "index/row_kernels.h"

#define CHUNK_BYTES ((size_t)4 << 20)
#define HALF_MAX 65504.0f
#define CHUNK_ROWS_MIN 64 /* a word of `alive` belongs to one chunk */

static const char *const distance_names[INDEX_DISTANCE_COUNT] = {"cosine", "dot", "l2"};
static const char *const storage_names[ROW_STORAGE_COUNT] = {"f32", "f16", "int8"};

const char *index_distance_name(index_distance d) { return distance_names[d]; }
const char *row_storage_name(row_storage s) { return storage_names[s]; }

static size_t chunk_rows(const rows *r) { return (size_t)1 << r->chunk_shift; }
static size_t chunk_bytes(const rows *r) { return r->stride_bytes << r->chunk_shift; }
static size_t alive_bytes(const rows *r) { return chunk_rows(r) / 8; }

medley_status rows_init(rows *r, size_t dim, index_distance distance, row_storage storage, size_t limit,
                        medley_error *err) {
  medley_status status = MEDLEY_OK;
  *r = (rows){.dim = dim, .distance = distance, .storage = storage};
  if (dim == 0 || dim > ROWS_DIM_MAX)
    FAIL(err, MEDLEY_ERR_USAGE, "an index of vectors with %zu dimensions: 1 to %d are possible", dim, ROWS_DIM_MAX);
  if (limit == 0 || limit > ROWS_MAX) limit = ROWS_MAX;
  r->stride_bytes = (row_bytes(storage, dim) + 15) / 16 * 16;
  const row_kernels *kernels = row_kernels_choose(storage, distance == INDEX_L2);
  r->score = kernels->one;
  r->score4 = kernels->four;
  r->score_stream = kernels->stream;
  while (chunk_rows(r) < CHUNK_ROWS_MIN || chunk_bytes(r) < CHUNK_BYTES) r->chunk_shift++;
  r->chunk_max = (limit + chunk_rows(r) - 1) >> r->chunk_shift;
  r->chunks = mem_table(r->chunk_max, sizeof *r->chunks);
  if (r->chunks == NULL) status = error_memory(err, "index chunks");
done:
  if (status != MEDLEY_OK) rows_deinit(r);
  return status;
}

void rows_deinit(rows *r) {
  for (size_t c = 0; r->chunks != NULL && c < r->chunk_max && r->chunks[c].alive != NULL; c++) {
    if (r->chunks[c].place != ROWS_BORROWED) mem_unmap(r->chunks[c].bytes, chunk_bytes(r));
    mem_free(r->chunks[c].alive);
  }
  mem_table_free(r->chunks, r->chunk_max, sizeof *r->chunks);
  scratch_deinit(&r->scratch);
  *r = (rows){0};
}

medley_status rows_use_scratch(rows *r, const char *folder, medley_error *err) {
  return scratch_init(&r->scratch, folder, err);
}

/* `bytes` becomes chunk c; refused, it is unmapped unless it is borrowed. */
static medley_status chunk_put(rows *r, size_t c, unsigned char *bytes, rows_place place, medley_error *err) {
  _Atomic uint64_t *alive = mem_zalloc(alive_bytes(r), 1);
  if (alive == NULL) {
    if (place != ROWS_BORROWED) mem_unmap(bytes, chunk_bytes(r));
    return error_memory(err, "vectors of the index");
  }
  r->chunks[c].place = (uint8_t)place;
  r->bytes += alive_bytes(r);
  atomic_store_explicit(&r->chunks[c].bytes, bytes, memory_order_release);
  atomic_store_explicit(&r->chunks[c].alive, alive, memory_order_release);
  return MEDLEY_OK;
}

static medley_status chunk_add(rows *r, size_t c, rows_place place, medley_error *err) {
  medley_status status = MEDLEY_OK;
  void *mapped = NULL;
  if (place == ROWS_IN_FILE) {
    TRY(scratch_map(&r->scratch, chunk_bytes(r), &mapped, err));
  } else {
    mapped = mem_map(chunk_bytes(r), true);
    if (mapped == NULL) return error_memory(err, "vectors of the index");
  }
  TRY(chunk_put(r, c, mapped, place, err));
done:
  return status;
}

/* Huge pages for the rows below `count` and no more; a chunk's memory counts as far as it is used. */
static void chunks_use(rows *r, size_t count) {
  for (size_t c = r->reserved >> r->chunk_shift; r->reserved < count; c++) {
    size_t first = c << r->chunk_shift, end = first + chunk_rows(r) < count ? first + chunk_rows(r) : count;
    if (r->chunks[c].place == ROWS_IN_MEMORY) {
      mem_map_use(r->chunks[c].bytes, chunk_bytes(r), (r->reserved - first) * r->stride_bytes,
                  (end - first) * r->stride_bytes);
      r->bytes += (end - r->reserved) * r->stride_bytes;
    }
    r->reserved = end;
  }
}

medley_status rows_reserve(rows *r, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rows_place new_place = r->scratch.folder == NULL ? ROWS_IN_MEMORY : ROWS_IN_FILE;
  if (count > r->chunk_max << r->chunk_shift)
    FAIL(err, MEDLEY_ERR_LIMIT, "the index can hold %zu vectors, %zu are asked for", r->chunk_max << r->chunk_shift,
         count);
  for (size_t c = 0; c << r->chunk_shift < count; c++)
    if (r->chunks[c].bytes == NULL) TRY(chunk_add(r, c, new_place, err));
  chunks_use(r, count);
done:
  return status;
}

medley_status rows_borrow(rows *r, unsigned char *bytes, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t whole = count >> r->chunk_shift, rest = count & (chunk_rows(r) - 1);
  if (count > r->chunk_max << r->chunk_shift)
    FAIL(err, MEDLEY_ERR_LIMIT, "the index can hold %zu vectors, the file has %zu", r->chunk_max << r->chunk_shift,
         count);
  for (size_t c = 0; c < whole; c++) TRY(chunk_put(r, c, bytes + c * chunk_bytes(r), ROWS_BORROWED, err));
  if (rest > 0) {
    if (pages_cold(r->pages)) pages_want(r->pages, bytes + whole * chunk_bytes(r), rest * r->stride_bytes);
    TRY(chunk_add(r, whole, ROWS_IN_MEMORY, err));
    chunks_use(r, count);
    memcpy(r->chunks[whole].bytes, bytes + whole * chunk_bytes(r), rest * r->stride_bytes);
  }
  atomic_store_explicit(&r->count, (uint32_t)count, memory_order_release);
done:
  return status;
}

static medley_status check_finite(const float *vector, size_t dim, medley_error *err) {
  for (size_t d = 0; d < dim; d++)
    if (!isfinite(vector[d]))
      return error_set(err, MEDLEY_ERR_INPUT, "value %zu of the vector is not a finite number", d);
  return MEDLEY_OK;
}

static medley_status check_half(const float *vector, size_t dim, medley_error *err) {
  for (size_t d = 0; d < dim; d++)
    if (fabsf(vector[d]) > HALF_MAX)
      return error_set(err, MEDLEY_ERR_INPUT, "value %zu of the vector is %g; f16 holds up to %g, take f32 or int8", d,
                       (double)vector[d], (double)HALF_MAX);
  return MEDLEY_OK;
}

medley_status rows_check(const rows *r, const float *vector, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(check_finite(vector, r->dim, err));
  if (r->storage == ROW_F16 && r->distance != INDEX_COSINE) TRY(check_half(vector, r->dim, err));
done:
  return status;
}

medley_status rows_set(rows *r, uint32_t slot, const float *vector, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(rows_check(r, vector, err));
  void *row = (void *)rows_at(r, slot);
  row_encode(r->storage, vector, r->dim, r->distance == INDEX_COSINE, row);
  if (slot >= rows_count(r)) atomic_store_explicit(&r->count, slot + 1, memory_order_release);
done:
  return status;
}

void rows_cut(rows *r, uint32_t count) {
  if (count < rows_count(r)) atomic_store_explicit(&r->count, count, memory_order_release);
}

void rows_get(const rows *r, uint32_t slot, float *out) { row_decode(r->storage, rows_at(r, slot), r->dim, out); }

void rows_set_alive(rows *r, uint32_t slot, bool alive) {
  _Atomic uint64_t *words = atomic_load_explicit(&r->chunks[slot >> r->chunk_shift].alive, memory_order_acquire);
  uint32_t in_chunk = slot & (uint32_t)(chunk_rows(r) - 1);
  uint64_t bit = (uint64_t)1 << (in_chunk & 63);
  uint64_t before = alive ? atomic_fetch_or(&words[in_chunk >> 6], bit) : atomic_fetch_and(&words[in_chunk >> 6], ~bit);
  if (((before & bit) != 0) != alive) atomic_fetch_add(&r->alive_count, alive ? 1u : UINT32_MAX);
}

void rows_set_alive_word(rows *r, uint32_t slot, uint64_t word) {
  _Atomic uint64_t *words = atomic_load_explicit(&r->chunks[slot >> r->chunk_shift].alive, memory_order_acquire);
  atomic_store_explicit(&words[(slot & (uint32_t)(chunk_rows(r) - 1)) >> 6], word, memory_order_release);
  atomic_fetch_add(&r->alive_count, (uint32_t)__builtin_popcountll(word));
}

size_t rows_alive_allowed(const rows *r, const uint64_t *words, size_t slots) {
  size_t allowed = 0, count = rows_count(r);
  for (size_t slot = 0; slot < slots && slot < count; slot += 64) {
    const _Atomic uint64_t *alive =
        atomic_load_explicit(&r->chunks[slot >> r->chunk_shift].alive, memory_order_acquire);
    uint64_t both =
        words[slot >> 6] & atomic_load_explicit(&alive[(slot & (chunk_rows(r) - 1)) >> 6], memory_order_relaxed);
    allowed += (size_t)__builtin_popcountll(both);
  }
  return allowed;
}

/* ---- queries ---- */

static size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64; }

medley_status row_query_reserve(row_query *q, const rows *r, medley_error *err) {
  if (q->own != NULL) return MEDLEY_OK;
  size_t vector_bytes = padded(r->dim * sizeof(float));
  q->own = mem_zalloc_aligned(vector_bytes + padded(row_bytes(r->storage, r->dim)) + 64, 1);
  if (q->own == NULL) return error_memory(err, "index query");
  q->vector = (float *)q->own;
  return MEDLEY_OK;
}

medley_status row_query_init(row_query *q, const rows *r, const float *vector, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(check_finite(vector, r->dim, err));
  TRY(row_query_reserve(q, r, err));
  memcpy(q->vector, vector, r->dim * sizeof *vector);
  if (r->distance == INDEX_COSINE) vector_normalise(q->vector, r->dim);
  row_query_encode(q, r->storage, r->dim, r->distance == INDEX_COSINE, q->own + padded(r->dim * sizeof(float)));
done:
  return status;
}

void row_query_from_row(row_query *q, const rows *r, uint32_t slot) {
  row_query_encode_row(q, r->storage, rows_at(r, slot), r->dim, q->own + padded(r->dim * sizeof(float)));
}

void row_query_deinit(row_query *q) {
  mem_free(q->own);
  *q = (row_query){0};
}
