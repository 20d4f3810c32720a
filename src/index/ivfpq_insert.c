/* index/ivfpq_insert.c: rows into lists: coded by all threads in steps, appended by the writer.
 *
 * Rows are coded before any list is touched, a batch at a time, so that a list grows once a batch and not once a row.
 * Training anew makes a whole model beside the old one, with all rows in it, and puts it in its place at the end: until
 * then, and when it fails or is stopped, nothing has changed for anybody.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/progress.h"
#include "index/guard.h"
#include "index/ivfpq.h"
#include "math/kmeans.h"
#include "math/vector.h"

#define BATCH_ROWS ((size_t)1 << 18) /* rows appended together: 24 bytes each at 16 bytes a code */
#define STEP_ROWS ((size_t)8192)     /* rows rotated and coded together */
#define FACTOR_MAX 2                 /* a decoded row is stretched at most so much: what it lost is not known */

static size_t size_min(size_t a, size_t b) { return a < b ? a : b; }

/* ---- coding ---- */

typedef struct coding {
  const rows *rows;
  const ivf_model *model;
  float *values;  /* [STEP_ROWS, out_dim] rotated rows, then what their centres leave over */
  float *lengths; /* [STEP_ROWS] */
} coding;

static medley_status coding_init(coding *c, const rows *r, const ivf_model *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *c = (coding){.rows = r, .model = m};
  TRY_NEW(c->values, STEP_ROWS * m->rotation.out_dim, "rows to be coded");
  TRY_NEW(c->lengths, STEP_ROWS, "rows to be coded");
done:
  return status;
}

static void coding_deinit(coding *c) {
  mem_free(c->values);
  mem_free(c->lengths);
}

/* The number beside a code (ivf_block). */
static float norm_of(index_distance distance, float length, const float *decoded, size_t dim) {
  float square = vector_dot(decoded, decoded, dim);
  if (distance == INDEX_L2) return square / 2;
  return square > 0 ? fminf(length / sqrtf(square), FACTOR_MAX) : 1;
}

/* Entry i of the batch, which is row `at` of the step; decoded [out_dim] is scratch. */
static void entry_code(coding *c, ivf_batch *b, size_t i, size_t at, float *decoded) {
  const ivf_model *m = c->model;
  size_t dim = m->rotation.out_dim;
  const float *centre = m->centres + b->list[i] * dim;
  float *rest = c->values + at * dim;
  uint8_t *code = b->codes + i * m->code_bytes;
  vector_add_scaled(rest, -1, centre, dim);
  product_encode(&m->product, rest, code);
  product_decode(&m->product, code, decoded);
  vector_add_scaled(decoded, 1, centre, dim);
  b->norms[i] = norm_of(c->rows->distance, c->lengths[at], decoded, dim);
}

/* Fills list, norms and codes of rows first … first + count of the batch. */
static medley_status step_code(coding *c, ivf_batch *b, size_t first, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const ivf_model *m = c->model;
  size_t dim = m->rotation.out_dim;
  TRY(ivf_rows_rotated(c->rows, &m->rotation, b->slots + first, count, c->values, c->lengths, err));
  TRY(kmeans_assign(c->values, count, dim, m->centres, m->lists, b->list + first, NULL, err));
#pragma omp parallel for schedule(dynamic, 64) if (count > 64)
  for (size_t i = 0; i < count; i++) {
    float decoded[IVF_DECODED_MAX];
    entry_code(c, b, first + i, i, decoded);
  }
done:
  return status;
}

static void batch_deinit(ivf_batch *b) {
  mem_free(b->list);
  mem_free(b->norms);
  mem_free(b->codes);
}

static medley_status batch_init(ivf_batch *b, size_t count, size_t code_bytes, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *b = (ivf_batch){0};
  TRY_NEW(b->list, count, "rows to be coded");
  TRY_NEW(b->norms, count, "rows to be coded");
  TRY_NEW(b->codes, count * code_bytes, "rows to be coded");
done:
  return status;
}

/* Codes and appends the rows in slots [count]; the first *linked of them are in the lists, whatever happens. */
static medley_status rows_add(const rows *r, ivf_model *m, const uint32_t *slots, size_t count,
                              const medley_progress *progress, size_t *linked, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ivf_batch b = {0};
  coding c = {0};
  progress_stage stage;
  progress_begin(&stage, progress, "code vectors", count);
  TRY(batch_init(&b, size_min(count, BATCH_ROWS), m->code_bytes, err));
  if (ivf_trained(m)) TRY(coding_init(&c, r, m, err));
  for (*linked = 0; *linked < count; *linked += b.count) {
    b.slots = slots + *linked;
    b.count = size_min(BATCH_ROWS, count - *linked);
    b.still_to_come = count - *linked - b.count;
    for (size_t first = 0; ivf_trained(m) && first < b.count; first += STEP_ROWS) {
      TRY(progress_update(&stage, *linked + first, err));
      TRY(step_code(&c, &b, first, size_min(STEP_ROWS, b.count - first), err));
    }
    TRY(ivf_append(r, m, &b, err));
  }
  progress_end(&stage, count);
done:
  coding_deinit(&c);
  batch_deinit(&b);
  return status;
}

/* ---- training anew ---- */

/* A set that was trained when it was small has too few lists and coarse codes. Lists that the user fixed are made anew
 * all the same: their centres came from few rows. What failed is tried again with twice the rows. */
static bool training_due(const ivf_index *x, const ivf_model *m, size_t rows) {
  if (rows / 2 < x->untrainable) return false;
  return ivf_trained(m) ? rows / IVF_GROWTH >= m->trained_rows : rows >= IVF_TRAIN_ROWS;
}

/* The slots of all entries, dead ones too (repair has to find them again), then those of `more`. */
static medley_status slots_gather(const ivf_model *m, const uint32_t *more, size_t count, uint32_t **out,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *all = NULL;
  size_t done = 0;
  TRY_NEW(all, m->entries + count, "slots of the index");
  for (size_t l = 0; l < m->lists; l++) {
    const ivf_block *b = ivf_block_now(m, l);
    if (ivf_block_count(b) > 0) memcpy(all + done, b->slots, ivf_block_count(b) * sizeof *all);
    done += ivf_block_count(b);
  }
  memcpy(all + done, more, count * sizeof *all);
  *out = all;
done:
  return status;
}

static medley_status train_anew(ivf_index *x, const uint32_t *slots, size_t count, const medley_progress *progress,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  ivf_model *old = ivf_model_now(x), *fresh = NULL;
  size_t all_count = old->entries + count, linked;
  uint32_t *all = NULL;
  TRY(slots_gather(old, slots, count, &all, err));
  TRY(ivf_train(x->base.rows, &x->options, all, all_count, progress, &fresh, err));
  TRY(rows_add(x->base.rows, fresh, all, all_count, progress, &linked, err));
  atomic_store_explicit(&x->model, fresh, memory_order_release);
  guard_retire(x->base.rows->guard, old, ivf_model_free);
  fresh = NULL;
  ivf_sweep_again(x);
done:
  ivf_model_free(fresh);
  mem_free(all);
  return status;
}

medley_status ivf_insert(index_structure *s, uint32_t *slots, size_t count, const medley_progress *progress,
                         size_t *linked, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ivf_index *x = (ivf_index *)s;
  ivf_model *m = ivf_model_now(x);
  *linked = 0;
  if (count == 0) return MEDLEY_OK;
  if (training_due(x, m, m->entries + count)) {
    status = train_anew(x, slots, count, progress, err);
    if (status == MEDLEY_OK) *linked = count;
    if (status == MEDLEY_OK || status == MEDLEY_ERR_CANCELLED) return status;
    x->untrainable = m->entries + count; /* the lists there are take them: coarser, not wrong */
  }
  return rows_add(x->base.rows, m, slots, count, progress, linked, err);
}
