/* encode/text_lsa.c: latent semantic analysis (Deerwester et al. 1990) over words and character n-grams.
 *
 * A text becomes a sparse row of weights (1 + ln tf) · idf, idf = ln((1 + texts) / (1 + df)) + 1; the block of words
 * and the block of n-grams are each brought to unit length, so that the many n-grams do not drown the words, and the
 * n-grams then count half. The row times the right singular vectors of the catalogue's matrix is the vector.
 *
 * N-grams are there for every language; on shop titles and on captions they lift retrieval even in English (see
 * PERFORMANCE.md). Vocabulary and projection are bounded, so that neither a large catalogue nor a hostile model file
 * can take more memory than said here.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "encode/rows.h"
#include "encode/text_lsa.h"
#include "encode/text_terms.h"
#include "math/vector.h"

#define TERMS_MAX (TEXT_LSA_WORDS_MAX + TEXT_LSA_GRAMS_MAX)
#define GRAM_WEIGHT 0.5f

void lsa_model_deinit(lsa_model *m) {
  strmap_deinit(&m->terms);
  mem_free(m->bytes);
  mem_free(m->offsets);
  mem_free(m->idf);
  mem_free(m->projection);
  *m = (lsa_model){0};
}

/* ---- creating ---- */

static void lsa_free(encoder *e) {
  text_lsa *l = (text_lsa *)e;
  if (l == NULL) return;
  lsa_model_deinit(&l->model);
  if (l->pool != NULL) preparer_pool_deinit(l->pool);
  mem_free(l->pool);
  mem_free(l);
}

static medley_status lsa_create(uint64_t seed, size_t dim, encoder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_lsa *l = NULL;
  *out = NULL;
  if (dim > TEXT_LSA_DIM_MAX)
    FAIL(err, MEDLEY_ERR_USAGE, "text.lsa gives at most %d dimensions, not %zu", TEXT_LSA_DIM_MAX, dim);
  TRY_NEW(l, 1, "text encoder");
  l->base.kind = &encoder_text_lsa;
  l->seed = seed;
  l->dim_wanted = dim ? dim : TEXT_LSA_DIM_DEFAULT;
  TRY_NEW(l->pool, 1, "text encoder");
  preparer_pool_init(l->pool);
  *out = &l->base;
  l = NULL;
done:
  lsa_free((encoder *)l);
  return status;
}

static void lsa_prepare(encoder *e, const preparation *p) { ((text_lsa *)e)->pool->prepare = *p; }

static size_t lsa_dim(const encoder *e) { return ((const text_lsa *)e)->model.dim; }

/* ---- rows of weights ---- */

int text_lsa_compare_ids(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* A text's terms as numbers, with repeats; what is not in the vocabulary is left out. */
typedef struct id_list {
  const strmap *terms;
  uint32_t *ids;
  size_t count, capacity;
} id_list;

static bool id_list_put(void *context, const char *term, size_t length) {
  id_list *l = context;
  const int64_t *id = strmap_get_bytes(l->terms, term, length);
  if (id == NULL) return true;
  void *grown = l->ids;
  if (!mem_grow(&grown, &l->capacity, l->count + 1, sizeof *l->ids)) return false;
  l->ids = grown;
  l->ids[l->count++] = (uint32_t)*id;
  return true;
}

static void scale_block(weighted_term *row, size_t count, float length) {
  float sum = 0;
  for (size_t i = 0; i < count; i++) sum += row[i].weight * row[i].weight;
  float scale = sum > 0 ? length / sqrtf(sum) : 0;
  for (size_t i = 0; i < count; i++) row[i].weight *= scale;
}

/* ids [count] are sorted in place; row has room for count; returns how many distinct terms there are. */
size_t text_lsa_weigh(const lsa_model *m, uint32_t *ids, size_t count, weighted_term *row) {
  size_t distinct = 0, words = 0;
  if (count == 0) return 0; /* row may be NULL then */
  if (count > 1) qsort(ids, count, sizeof *ids, text_lsa_compare_ids);
  for (size_t i = 0, next; i < count; i = next) {
    for (next = i + 1; next < count && ids[next] == ids[i];) next++;
    row[distinct++] = (weighted_term){ids[i], (1 + logf((float)(next - i))) * m->idf[ids[i]]};
    words += ids[i] < m->word_count;
  }
  scale_block(row, words, 1);
  scale_block(row + words, distinct - words, GRAM_WEIGHT);
  return distinct;
}

/* ---- encoding ---- */

typedef struct encode_job {
  const text_lsa *encoder;
  const encoder_input *inputs;
  float *out; /* [count, dim] */
} encode_job;

typedef struct encode_scratch {
  text_preparer *preparer;
  id_list list;
  weighted_term *row;
  size_t row_capacity;
} encode_scratch;

static void encode_scratch_free(void *context, void *scratch) {
  encode_scratch *x = scratch;
  if (x == NULL) return;
  if (x->preparer != NULL) preparer_pool_put(((encode_job *)context)->encoder->pool, x->preparer);
  mem_free(x->list.ids);
  mem_free(x->row);
  mem_free(x);
}

static medley_status encode_scratch_create(void *context, void **scratch, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const text_lsa *l = ((encode_job *)context)->encoder;
  encode_scratch *x = NULL;
  TRY_NEW(x, 1, "text encoder");
  TRY(preparer_pool_take(l->pool, &x->preparer, err));
  x->list.terms = &l->model.terms;
  *scratch = x;
  x = NULL;
done:
  encode_scratch_free(context, x);
  return status;
}

static medley_status encode_row(void *context, void *scratch, size_t row, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const encode_job *job = context;
  const lsa_model *m = &job->encoder->model;
  encode_scratch *x = scratch;
  float *out = job->out + row * m->dim;
  memset(out, 0, m->dim * sizeof *out);
  x->list.count = 0;
  TRY(text_terms(x->preparer, job->inputs[row].text, id_list_put, &x->list, err));
  TRY_GROW(x->row, x->row_capacity, x->list.count, "terms of a text");
  size_t distinct = text_lsa_weigh(m, x->list.ids, x->list.count, x->row);
  for (size_t i = 0; i < distinct; i++)
    vector_add_scaled(out, x->row[i].weight, m->projection + (size_t)x->row[i].id * m->dim, m->dim);
done:
  return status;
}

static medley_status lsa_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                medley_error *err) {
  encode_job job = {(const text_lsa *)e, inputs, out};
  if (job.encoder->model.dim == 0) return error_set(err, MEDLEY_ERR_USAGE, "text.lsa must be fitted before it encodes");
  return rows_run(&(row_work){&job, encode_scratch_create, encode_scratch_free, encode_row}, count, err);
}

/* ---- in model files ----
 * <prefix>.terms U8 [bytes]: all terms one after the other, words first, each with its block's letter before it;
 * <prefix>.offsets I64 [terms + 1] into them; <prefix>.idf F32 [1, terms]; <prefix>.projection F32 [terms, dim]. */

static medley_status lsa_save(const encoder *e, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const lsa_model *m = &((const text_lsa *)e)->model;
  char name[SAFETENSORS_NAME_MAX];
  if (m->dim == 0) FAIL(err, MEDLEY_ERR_USAGE, "text.lsa must be fitted before it is saved");
  snprintf(name, sizeof name, "%s.terms", prefix);
  TRY(safetensors_add(w, name, DTYPE_U8, 1, (uint64_t[]){m->byte_count}, m->bytes, err));
  snprintf(name, sizeof name, "%s.offsets", prefix);
  TRY(safetensors_add(w, name, DTYPE_I64, 1, (uint64_t[]){m->term_count + 1}, m->offsets, err));
  TRY(safetensors_add_field(w, prefix, "idf", 1, m->term_count, m->idf, err));
  TRY(safetensors_add_field(w, prefix, "projection", m->term_count, m->dim, m->projection, err));
done:
  return status;
}

static medley_status load_bytes(const safetensors *s, const char *prefix, lsa_model *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX];
  const tensor_view *terms, *offsets;
  snprintf(name, sizeof name, "%s.terms", prefix);
  TRY(safetensors_need(s, name, DTYPE_U8, 1, (uint64_t[]){0}, &terms, err));
  snprintf(name, sizeof name, "%s.offsets", prefix);
  TRY(safetensors_need(s, name, DTYPE_I64, 1, (uint64_t[]){0}, &offsets, err));
  if (offsets->count < 2 || offsets->count > TERMS_MAX + 1)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' tells of %" PRIu64 " terms, expected 1 to %d", s->path, name,
         offsets->count - (offsets->count > 0), TERMS_MAX);
  m->term_count = offsets->count - 1;
  m->byte_count = terms->count;
  TRY_NEW(m->bytes, m->byte_count, "the vocabulary");
  TRY_NEW(m->offsets, offsets->count, "the vocabulary");
  if (terms->count > 0) memcpy(m->bytes, terms->data, terms->count);
  memcpy(m->offsets, offsets->data, offsets->count * sizeof *m->offsets);
done:
  return status;
}

/* True when the stretch [begin, end) can be a term: inside the bytes, of sane length, with a block letter, no NUL. */
static bool term_is_sane(const lsa_model *m, int64_t begin, int64_t end) {
  if (begin < 0 || end < begin || end > (int64_t)m->byte_count) return false;
  if (end - begin < 2 || end - begin > TERM_BYTES_MAX) return false;
  if (m->bytes[begin] != TERM_WORD && m->bytes[begin] != TERM_GRAM) return false;
  return memchr(m->bytes + begin, 0, (size_t)(end - begin)) == NULL;
}

static medley_status load_terms(const safetensors *s, lsa_model *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (m->offsets[0] != 0 || m->offsets[m->term_count] != (int64_t)m->byte_count)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: the vocabulary's offsets do not span its %zu bytes", s->path, m->byte_count);
  for (size_t i = 0; i < m->term_count; i++) {
    if (!term_is_sane(m, m->offsets[i], m->offsets[i + 1]))
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: term %zu of the vocabulary is malformed", s->path, i);
    const char *term = (const char *)m->bytes + m->offsets[i];
    bool word = term[0] == TERM_WORD, added;
    if (word && m->word_count < i) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: term %zu is a word after n-grams", s->path, i);
    m->word_count += word;
    if (strmap_get_or_put(&m->terms, term, (size_t)(m->offsets[i + 1] - m->offsets[i]), (int64_t)i, &added) == NULL)
      FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the vocabulary");
    if (!added) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: term %zu of the vocabulary is there twice", s->path, i);
  }
done:
  return status;
}

static medley_status lsa_load(const safetensors *s, const char *prefix, encoder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder *e = NULL;
  uint64_t shape[2];
  *out = NULL;
  TRY(lsa_create(0, 0, &e, err));
  lsa_model *m = &((text_lsa *)e)->model;
  TRY(load_bytes(s, prefix, m, err));
  TRY(load_terms(s, m, err));
  TRY(safetensors_copy_f32(s, prefix, "idf", 1, m->term_count, &m->idf, NULL, err));
  TRY(safetensors_copy_f32(s, prefix, "projection", m->term_count, 0, &m->projection, shape, err));
  if (shape[1] > TEXT_LSA_DIM_MAX)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s.projection' has %" PRIu64 " columns, expected 1 to %d", s->path, prefix,
         shape[1], TEXT_LSA_DIM_MAX);
  m->dim = shape[1];
  *out = e;
  e = NULL;
done:
  lsa_free(e);
  return status;
}

const encoder_kind encoder_text_lsa = {
    .name = "text.lsa",
    .summary = "latent semantic analysis of words and character n-grams, fitted on the catalogue",
    .modality = MODALITY_TEXT,
    .version = 1,
    .needs_fit = true,
    .create = lsa_create,
    .prepare = lsa_prepare,
    .fit = text_lsa_fit,
    .dim = lsa_dim,
    .encode = lsa_encode,
    .save = lsa_save,
    .load = lsa_load,
    .free = lsa_free,
};
