/* encode/text_lsa_fit.c: learning text.lsa from a catalogue: count all terms, keep the useful ones, decompose the
 * matrix.
 *
 * Words are found in parallel, a chunk of texts at a time, and counted by one thread, which keeps the numbering of
 * terms and so the result independent of the number of threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "encode/rows.h"
#include "encode/text_lsa.h"
#include "encode/text_terms.h"
#include "math/linear.h"

#define FIT_TEXTS_MAX 50000        /* a larger catalogue is fitted on a random part */
#define SEEN_MAX ((size_t)8 << 20) /* distinct terms met while fitting; later new ones are passed over */
#define SMALL_CATALOGUE 50         /* below so many texts a term seen once is kept, else it must be seen twice */
#define CHUNK 512
#define SMALL_RANK 128 /* directions of a small catalogue, as far as it has texts */
#define SVD_ITERATIONS \
  2 /* four find the last of 256 directions a little better and retrieve no better, in twice the time */

/* ---- counting ---- */

/* All terms of one text, each as a length byte and its bytes. */
static bool term_buffer_put(void *context, const char *term, size_t length) {
  strbuf *b = context;
  strbuf_append_char(b, (char)length);
  strbuf_append_bytes(b, term, length);
  return !b->failed;
}

/* Everything met while fitting. A text's distinct terms and counts are one stretch of `counts`. */
typedef struct term_count {
  uint32_t id, count;
} term_count;

typedef struct corpus {
  text_lsa *encoder;
  const encoder_input *inputs;
  const uint32_t *chosen; /* [text_count] rows of inputs */
  size_t text_count;
  strbuf chunk[CHUNK];
  size_t chunk_first;
  strmap seen;  /* term → id */
  uint32_t *df; /* [seen.count] */
  size_t df_capacity;
  term_count *counts;
  size_t count_total, count_capacity;
  size_t *ends; /* [text_count] */
  uint32_t *ids;
  size_t id_capacity;
} corpus;

static void corpus_deinit(corpus *c) {
  for (size_t i = 0; i < CHUNK; i++) strbuf_deinit(&c->chunk[i]);
  strmap_deinit(&c->seen);
  mem_free(c->df);
  mem_free(c->counts);
  mem_free(c->ends);
  mem_free(c->ids);
}

static medley_status corpus_scratch(void *context, void **scratch, medley_error *err) {
  text_preparer *p;
  medley_status status = preparer_pool_take(((corpus *)context)->encoder->pool, &p, err);
  *scratch = p;
  return status;
}

static void corpus_scratch_free(void *context, void *scratch) {
  preparer_pool_put(((corpus *)context)->encoder->pool, scratch);
}

static medley_status corpus_row(void *context, void *scratch, size_t row, medley_error *err) {
  corpus *c = context;
  strbuf_reset(&c->chunk[row]);
  return text_terms(scratch, c->inputs[c->chosen[c->chunk_first + row]].text, term_buffer_put, &c->chunk[row], err);
}

/* Turns one text's buffered terms into counts. */
static medley_status corpus_count(corpus *c, size_t text, const strbuf *terms, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = 0;
  for (size_t at = 0; at < terms->length;) {
    size_t length = (unsigned char)terms->text[at];
    const char *term = terms->text + at + 1;
    at += 1 + length;
    if (c->seen.count >= SEEN_MAX && strmap_get_bytes(&c->seen, term, length) == NULL) continue;
    int64_t *id = strmap_get_or_put(&c->seen, term, length, (int64_t)c->seen.count, NULL);
    if (id == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the vocabulary");
    TRY_GROW(c->ids, c->id_capacity, count + 1, "terms of a text");
    c->ids[count++] = (uint32_t)*id;
  }
  size_t known = c->df_capacity;
  TRY_GROW(c->df, c->df_capacity, c->seen.count, "the vocabulary");
  if (c->df_capacity > known) memset(c->df + known, 0, (c->df_capacity - known) * sizeof *c->df);
  if (count > 1) qsort(c->ids, count, sizeof *c->ids, text_lsa_compare_ids);
  TRY_GROW(c->counts, c->count_capacity, c->count_total + count, "terms of all texts");
  for (size_t i = 0, next; i < count; i = next) {
    for (next = i + 1; next < count && c->ids[next] == c->ids[i];) next++;
    c->counts[c->count_total++] = (term_count){c->ids[i], (uint32_t)(next - i)};
    c->df[c->ids[i]]++;
  }
  c->ends[text] = c->count_total;
done:
  return status;
}

static medley_status corpus_read(corpus *c, progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const row_work work = {c, corpus_scratch, corpus_scratch_free, corpus_row};
  TRY_NEW(c->ends, c->text_count, "texts");
  for (c->chunk_first = 0; c->chunk_first < c->text_count; c->chunk_first += CHUNK) {
    size_t rows = c->text_count - c->chunk_first < CHUNK ? c->text_count - c->chunk_first : CHUNK;
    TRY(rows_run(&work, rows, err));
    for (size_t i = 0; i < rows; i++) TRY(corpus_count(c, c->chunk_first + i, &c->chunk[i], err));
    if (progress != NULL) TRY(progress_update(progress, c->chunk_first + rows, err));
  }
done:
  return status;
}

/* ---- the vocabulary ---- */

/* A term that may enter the vocabulary. */
typedef struct candidate {
  const char *term; /* NUL-terminated by the map; the first byte is the block */
  uint32_t id, df;
} candidate;

/* Words before n-grams, frequent ones first, then by bytes: the same order on every machine. */
static int compare_candidates(const void *a, const void *b) {
  const candidate *x = a, *y = b;
  if (x->term[0] != y->term[0]) return x->term[0] == TERM_WORD ? -1 : 1;
  if (x->df != y->df) return x->df > y->df ? -1 : 1;
  return strcmp(x->term, y->term);
}

static medley_status list_candidates(const corpus *c, candidate **out, size_t *count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t least = c->text_count < SMALL_CATALOGUE ? 1 : 2;
  const char *term;
  int64_t id;
  TRY_NEW(*out, c->seen.count, "the vocabulary");
  *count = 0;
  for (size_t cursor = 0; strmap_next(&c->seen, &cursor, &term, &id);)
    if (c->df[id] >= least) (*out)[(*count)++] = (candidate){term, (uint32_t)id, c->df[id]};
  if (*count > 1) qsort(*out, *count, sizeof **out, compare_candidates);
done:
  return status;
}

/* Cuts both blocks to their bounds, in place; returns what is left and sets *words. */
static size_t cut_candidates(candidate *list, size_t count, size_t *words) {
  size_t kept = 0, grams = 0;
  *words = 0;
  for (size_t i = 0; i < count; i++) {
    bool word = list[i].term[0] == TERM_WORD;
    if ((word ? *words : grams) >= (word ? TEXT_LSA_WORDS_MAX : TEXT_LSA_GRAMS_MAX)) continue;
    *(word ? words : &grams) += 1;
    list[kept++] = list[i];
  }
  return kept;
}

/* rename [seen.count] gets each kept term's final number + 1, 0 for the rest. */
static medley_status build_vocabulary(const corpus *c, lsa_model *m, uint32_t *rename, medley_error *err) {
  medley_status status = MEDLEY_OK;
  candidate *list = NULL;
  size_t count = 0;
  TRY(list_candidates(c, &list, &count, err));
  m->term_count = count = cut_candidates(list, count, &m->word_count);
  if (count == 0) FAIL(err, MEDLEY_ERR_INPUT, "%zu texts have no word in common: too few for text.lsa", c->text_count);
  for (size_t i = 0; i < count; i++) m->byte_count += strlen(list[i].term);
  TRY_NEW(m->bytes, m->byte_count, "the vocabulary");
  TRY_NEW(m->offsets, count + 1, "the vocabulary");
  TRY_NEW(m->idf, count, "the vocabulary");
  for (size_t i = 0; i < count; i++) {
    size_t length = strlen(list[i].term);
    memcpy(m->bytes + m->offsets[i], list[i].term, length);
    m->offsets[i + 1] = m->offsets[i] + (int64_t)length;
    m->idf[i] = logf((1 + (float)c->text_count) / (1 + (float)list[i].df)) + 1;
    rename[list[i].id] = (uint32_t)i + 1;
    if (!strmap_put(&m->terms, list[i].term, (int64_t)i))
      FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the vocabulary");
  }
done:
  mem_free(list);
  return status;
}

/* ---- the projection ---- */

/* Writes one text's entries; ids repeat as often as they were counted, because text_lsa_weigh() counts again. */
static medley_status corpus_weigh(corpus *c, const lsa_model *m, const uint32_t *rename, size_t text,
                                  weighted_term **row, size_t *capacity, size_t *distinct, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = 0;
  for (size_t i = text ? c->ends[text - 1] : 0; i < c->ends[text]; i++) {
    if (rename[c->counts[i].id] == 0) continue;
    TRY_GROW(c->ids, c->id_capacity, count + c->counts[i].count, "terms of a text");
    for (uint32_t k = 0; k < c->counts[i].count; k++) c->ids[count++] = rename[c->counts[i].id] - 1;
  }
  TRY_GROW(*row, *capacity, count, "terms of a text");
  *distinct = text_lsa_weigh(m, c->ids, count, *row);
done:
  return status;
}

static medley_status corpus_matrix(corpus *c, const lsa_model *m, const uint32_t *rename, sparse *out,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse_entry *entries = NULL;
  weighted_term *row = NULL;
  size_t total = 0, capacity = 0, distinct = 0;
  TRY_NEW(entries, c->count_total, "the matrix of texts and terms");
  for (size_t t = 0; t < c->text_count; t++) {
    TRY(corpus_weigh(c, m, rename, t, &row, &capacity, &distinct, err));
    for (size_t i = 0; i < distinct; i++) entries[total++] = (sparse_entry){(uint32_t)t, row[i].id, row[i].weight};
  }
  TRY(sparse_from_entries((uint32_t)c->text_count, (uint32_t)m->term_count, entries, total, SPARSE_SUM, out, err));
done:
  mem_free(entries);
  mem_free(row);
  return status;
}

static medley_status build_projection(const sparse *matrix, const text_lsa *l, lsa_model *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *singular = NULL;
  size_t rank = l->dim_wanted;
  /* Unless a number was asked for: more directions than a third of the texts learn the texts by heart, and cost their
   * square. */
  if (rank == TEXT_LSA_DIM_DEFAULT && rank > matrix->rows / 3)
    rank = matrix->rows / 3 > SMALL_RANK ? matrix->rows / 3 : SMALL_RANK;
  if (rank > matrix->rows) rank = matrix->rows;
  if (rank > matrix->columns) rank = matrix->columns;
  TRY_NEW(singular, rank, "singular values");
  TRY_NEW(m->projection, m->term_count * rank, "the projection");
  TRY(sparse_svd(matrix, rank, SVD_ITERATIONS, l->seed, NULL, singular, m->projection, &m->dim, err));
  if (m->dim == 0) FAIL(err, MEDLEY_ERR_INPUT, "the texts are too few or too alike for text.lsa");
done:
  mem_free(singular);
  return status;
}

static medley_status choose_texts(const text_lsa *l, const encoder_input *inputs, size_t count, uint32_t **out,
                                  size_t *chosen, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng r;
  if (count > UINT32_MAX) FAIL(err, MEDLEY_ERR_LIMIT, "%zu texts are more than text.lsa can number", count);
  TRY_NEW(*out, count, "texts");
  *chosen = 0;
  for (size_t i = 0; i < count; i++)
    if (inputs[i].text != NULL) (*out)[(*chosen)++] = (uint32_t)i;
  if (*chosen > FIT_TEXTS_MAX) {
    rng_seed(&r, l->seed);
    rng_shuffle(&r, *out, *chosen);
    *chosen = FIT_TEXTS_MAX;
  }
done:
  return status;
}

medley_status text_lsa_fit(encoder *e, const encoder_input *inputs, size_t count, progress_stage *progress,
                           medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_lsa *l = (text_lsa *)e;
  uint32_t *chosen = NULL, *rename = NULL;
  corpus *c = NULL;
  sparse matrix = {0};
  lsa_model fresh = {0};
  TRY_NEW(c, 1, "texts");
  TRY(choose_texts(l, inputs, count, &chosen, &c->text_count, err));
  c->encoder = l;
  c->inputs = inputs;
  c->chosen = chosen;
  TRY(corpus_read(c, progress, err));
  TRY_NEW(rename, c->seen.count, "the vocabulary");
  TRY(build_vocabulary(c, &fresh, rename, err));
  TRY(corpus_matrix(c, &fresh, rename, &matrix, err));
  TRY(build_projection(&matrix, l, &fresh, err));
  lsa_model_deinit(&l->model);
  l->model = fresh;
  fresh = (lsa_model){0};
done:
  if (c != NULL) corpus_deinit(c);
  mem_free(c);
  mem_free(chosen);
  mem_free(rename);
  sparse_deinit(&matrix);
  lsa_model_deinit(&fresh);
  return status;
}
