/* index/ivfpq_train.c: where the lists, the rotation and the codebooks come from.
 *
 * All is learnt from a bounded sample of the rows, so that training takes the same time for ten million as for a
 * million. The order matters: rows of many dimensions are shortened first, k-means and everything after it then work on
 * what is kept; the axes are turned to what the centres leave over, since that is what the codes stand for.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/progress.h"
#include "base/rng.h"
#include "index/ivfpq.h"
#include "math/code_sums.h"
#include "math/kmeans.h"
#include "math/linear.h"
#include "math/vector.h"

#define SAMPLE_PER_LIST 256
#define SAMPLE_MIN ((size_t)65536)
#define SAMPLE_MAX ((size_t)1 << 18)
#define CODE_SAMPLE ((size_t)65536)        /* rows that codebooks are trained from */
#define ROTATION_SAMPLE ((size_t)16384)    /* rows that the kept dimensions are found from */
#define ROTATION_BYTES ((size_t)256 << 20) /* or fewer, when they are long */
#define CODE_BYTES_DEFAULT_MAX 64
#define TILE_ROWS 128

static size_t size_min(size_t a, size_t b) { return a < b ? a : b; }
static size_t size_max(size_t a, size_t b) { return a > b ? a : b; }

size_t ivf_lists_for(const index_options *o, size_t rows) {
  if (o->lists > 0) return size_min(o->lists, size_max(rows, 1));
  return size_min(size_max((size_t)sqrt((double)rows), 1), IVF_LISTS_MAX);
}

size_t ivf_code_bytes_for(const index_options *o, size_t dim) {
  if (o->code_bytes > 0) return size_min(size_min(o->code_bytes, dim), IVF_CODE_BYTES_MAX);
  return size_min(size_max(dim / 8, size_min(dim, 8)), CODE_BYTES_DEFAULT_MAX);
}

/* ---- a model's memory ---- */

static medley_status blocks_create(ivf_model *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(m->block, m->lists, "inverted lists");
  for (size_t l = 0; l < m->lists; l++) {
    ivf_block *block = ivf_block_create(0, m->code_bytes);
    if (block == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for inverted lists");
    m->bytes += ivf_block_bytes(0, m->code_bytes);
    atomic_init(&m->block[l], block);
  }
done:
  return status;
}

static medley_status model_trainable(ivf_model *m, size_t dim, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t kept = size_min(dim, size_max(IVF_DIM_KEPT, m->code_bytes));
  size_t part_dim = (kept + m->code_bytes - 1) / m->code_bytes, out_dim = part_dim * m->code_bytes;
  TRY(rotation_init(&m->rotation, dim, out_dim, err));
  TRY(product_init(&m->product, m->code_bytes, part_dim, err));
  TRY_NEW(m->centres, m->lists * out_dim, "list centres");
  TRY_NEW(m->half, m->lists, "list centres");
  m->bytes += sizeof(float) *
              (out_dim * (dim + 1) + dim + (part_dim + 1) * m->code_bytes * PRODUCT_CODES + m->lists * (out_dim + 1));
done:
  return status;
}

medley_status ivf_model_create(size_t dim, size_t lists, size_t code_bytes, bool with_blocks, ivf_model **out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  ivf_model *m = NULL;
  TRY_NEW(m, 1, "inverted lists");
  m->lists = lists;
  m->code_bytes = code_bytes;
  m->bytes = sizeof *m + lists * sizeof *m->block;
  if (with_blocks) TRY(blocks_create(m, err));
  if (code_bytes > 0) TRY(model_trainable(m, dim, err));
  *out = m;
  m = NULL;
done:
  ivf_model_free(m);
  return status;
}

void ivf_model_free(void *model) {
  ivf_model *m = model;
  if (m == NULL) return;
  for (size_t l = 0; m->block != NULL && l < m->lists; l++) {
    ivf_block *block = ivf_block_now(m, l);
    if (block != NULL && !block->mapped) mem_free(block);
  }
  rotation_deinit(&m->rotation);
  product_deinit(&m->product);
  mem_free(m->centres);
  mem_free(m->half);
  mem_free(m->block);
  mem_free(m->mapped);
  mem_free(m);
}

/* ---- rows as they are quantised ---- */

medley_status ivf_rows_rotated(const rows *r, const rotation *turn, const uint32_t *slots, size_t count, float *out,
                               float *lengths, medley_error *err) {
  int failed = 0;
#pragma omp parallel if (count > TILE_ROWS)
  {
    float *tile = mem_zalloc_aligned(TILE_ROWS * r->dim, sizeof *tile);
    if (tile == NULL) {
#pragma omp atomic write
      failed = 1;
    }
#pragma omp for schedule(dynamic, 4)
    for (size_t first = 0; first < count; first += TILE_ROWS) {
      size_t rows = size_min(TILE_ROWS, count - first);
      for (size_t i = 0; tile != NULL && i < rows; i++) rows_get(r, slots[first + i], tile + i * r->dim);
      if (tile != NULL) rotation_apply(turn, tile, rows, out + first * turn->out_dim);
      for (size_t i = 0; tile != NULL && lengths != NULL && i < rows; i++)
        lengths[first + i] = vector_norm(tile + i * r->dim, r->dim);
    }
    mem_free(tile);
  }
  return failed ? error_memory(err, "rows to be coded") : MEDLEY_OK;
}

/* ---- training ---- */

typedef struct training {
  const rows *rows;
  const index_options *options;
  const medley_progress *progress;
  ivf_model *model;
  uint32_t *sample; /* [count] slots */
  size_t count;
  float *values;     /* [count, out_dim] the sample rotated, then what its centres leave over */
  uint32_t *nearest; /* [count] */
} training;

/* What one array of training may take when the whole index is bounded: there are at most three at a time. */
static size_t memory_part(const index_options *o) { return o->memory_bytes ? (size_t)(o->memory_bytes / 8) : SIZE_MAX; }

/* `want` of the slots in their order, each set as likely as any other (Knuth's algorithm S). */
static medley_status sample_choose(training *t, const uint32_t *slots, size_t count, size_t want, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng random;
  rng_seed(&random, t->options->seed);
  TRY_NEW(t->sample, want, "training sample");
  for (size_t i = 0; i < count && t->count < want; i++)
    if (rng_below(&random, count - i) < want - t->count) t->sample[t->count++] = slots[i];
done:
  return status;
}

/* The mean, and which dimensions are kept. */
static medley_status rotation_learn(training *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const rows *r = t->rows;
  float *x = NULL;
  size_t bytes = size_min(ROTATION_BYTES, memory_part(t->options));
  size_t most = size_min(ROTATION_SAMPLE, size_max(bytes / (r->dim * sizeof *x), IVF_DIM_KEPT));
  size_t count = size_min(t->count, most);
  TRY_NEW(x, count * r->dim, "training sample");
  for (size_t i = 0; i < count; i++) rows_get(r, t->sample[i * t->count / count], x + i * r->dim);
  TRY(rotation_fit(&t->model->rotation, x, count, r->distance == INDEX_L2, t->options->seed, err));
done:
  mem_free(x);
  return status;
}

/* Centres of the sample; from here on `values` is what they leave over. */
static medley_status centres_learn(training *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ivf_model *m = t->model;
  size_t dim = m->rotation.out_dim;
  kmeans_options o = {.seed = t->options->seed, .seeds = KMEANS_ROWS, .progress = t->progress, .stage = "train lists"};
  TRY(kmeans_fit(t->values, t->count, dim, m->lists, &o, m->centres, err));
  TRY(kmeans_assign(t->values, t->count, dim, m->centres, m->lists, t->nearest, NULL, err));
  for (size_t i = 0; i < t->count; i++)
    vector_add_scaled(t->values + i * dim, -1, m->centres + t->nearest[i] * dim, dim);
done:
  return status;
}

/* x [count, dim] becomes x turnᵀ. */
static medley_status turn_rows(float *x, size_t count, size_t dim, const float *turn, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *turned = NULL;
  TRY_NEW(turned, count * dim, "rotation");
  matrix_multiply(false, true, count, dim, dim, 1, x, turn, 0, turned);
  memcpy(x, turned, count * dim * sizeof *x);
done:
  mem_free(turned);
  return status;
}

static medley_status codes_learn(training *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ivf_model *m = t->model;
  size_t dim = m->rotation.out_dim, count = size_min(t->count, CODE_SAMPLE);
  float *turn = NULL;
  TRY_NEW(turn, dim * dim, "rotation");
  for (size_t i = 0; i < count; i++)
    memmove(t->values + i * dim, t->values + i * t->count / count * dim, dim * sizeof *t->values);
  TRY(rotation_allocate(t->values, count, dim, m->code_bytes, turn, err));
  TRY(rotation_turn(&m->rotation, turn, err));
  TRY(turn_rows(m->centres, m->lists, dim, turn, err));
  TRY(turn_rows(t->values, count, dim, turn, err));
  TRY(product_train(&m->product, t->values, count, t->options->seed, t->progress, err));
  for (size_t l = 0; l < m->lists; l++) m->half[l] = vector_dot(m->centres + l * dim, m->centres + l * dim, dim) / 2;
done:
  mem_free(turn);
  return status;
}

static bool all_finite(const float *values, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!isfinite(values[i])) return false;
  return true;
}

/* Values near the end of what floats hold have squares beyond it. */
static medley_status model_check(const ivf_model *m, medley_error *err) {
  size_t kept = m->rotation.out_dim;
  if (all_finite(m->rotation.mean, m->rotation.dim) && all_finite(m->rotation.matrix, kept * m->rotation.dim) &&
      all_finite(m->centres, m->lists * kept) && all_finite(m->half, m->lists) &&
      all_finite(m->product.codebook, kept * PRODUCT_CODES))
    return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT, "the values of the vectors are too large to train lists from");
}

medley_status ivf_train(const rows *r, const index_options *o, const uint32_t *slots, size_t count,
                        const medley_progress *progress, ivf_model **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  training t = {.rows = r, .options = o, .progress = progress};
  size_t lists = ivf_lists_for(o, count);
  size_t want = size_min(size_max(lists * SAMPLE_PER_LIST, SAMPLE_MIN), SAMPLE_MAX);
  TRY(ivf_model_create(r->dim, lists, ivf_code_bytes_for(o, r->dim), true, &t.model, err));
  size_t bounded = memory_part(o) / (t.model->rotation.out_dim * sizeof *t.values);
  want = size_min(want, size_max(bounded, size_max(lists, PRODUCT_CODES)));
  TRY(sample_choose(&t, slots, count, size_min(want, count), err));
  TRY_NEW(t.values, t.count * t.model->rotation.out_dim, "training sample");
  TRY_NEW(t.nearest, t.count, "training sample");
  TRY(rotation_learn(&t, err));
  TRY(ivf_rows_rotated(r, &t.model->rotation, t.sample, t.count, t.values, NULL, err));
  TRY(centres_learn(&t, err));
  TRY(codes_learn(&t, err));
  TRY(model_check(t.model, err));
  t.model->trained_rows = count;
  *out = t.model;
  t.model = NULL;
done:
  ivf_model_free(t.model);
  mem_free(t.sample);
  mem_free(t.values);
  mem_free(t.nearest);
  return status;
}
