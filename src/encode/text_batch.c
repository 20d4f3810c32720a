/* encode/text_batch.c: see encode/text_batch.h. */
#include "encode/text_batch.h"

#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "base/strbuf.h"

typedef struct encode_run {
  const text_batcher *batcher;
  const encoder_input *inputs;
  float *out;
  size_t count, next;   /* next input to be taken */
  size_t share;         /* of few texts, a batch takes no more than leaves some for every thread */
  medley_status status; /* the first failure */
  medley_error error;
} encode_run;

/* ---- packing ---- */

void packed_texts_clear(packed_texts *p) { p->samples = p->rows = 0; }

void packed_texts_deinit(packed_texts *p) {
  mem_free(p->ids);
  mem_free(p->starts);
  mem_free(p->segments);
  mem_free(p->item);
  token_list_deinit(&p->list);
  strbuf_deinit(&p->joined);
}

static medley_status packed_append(packed_texts *p, const token_list *list, size_t item, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(p->ids, p->id_capacity, p->rows + list->count, "tokens");
  TRY_GROW(p->segments, p->segment_capacity, p->rows + list->count, "tokens");
  TRY_GROW(p->starts, p->start_capacity, p->samples + 2, "tokens");
  TRY_GROW(p->item, p->item_capacity, p->samples + 1, "tokens");
  memcpy(p->ids + p->rows, list->ids, list->count * sizeof *p->ids);
  memcpy(p->segments + p->rows, list->segments, list->count);
  p->starts[p->samples] = (int32_t)p->rows;
  p->rows += list->count;
  p->item[p->samples++] = item;
  p->starts[p->samples] = (int32_t)p->rows;
done:
  return status;
}

static medley_status text_tokens(const text_batcher *b, const char *text, strbuf *joined, token_list *list,
                                 medley_error *err) {
  if (b->prompt == NULL) return tokenizer_encode(b->tokenizer, text, strlen(text), &b->options, list, err);
  strbuf_reset(joined);
  joined->limit = TOKENIZER_TEXT_MAX;
  strbuf_append(joined, b->prompt);
  strbuf_append(joined, text);
  if (joined->failed) return error_memory(err, "a text");
  return tokenizer_encode(b->tokenizer, joined->text, joined->length, &b->options, list, err);
}

static bool has_words(const token_list *list) {
  for (size_t i = 0; i < list->count; i++)
    if (!list->special[i]) return true;
  return false;
}

medley_status packed_texts_add(packed_texts *p, const text_batcher *b, const char *text, size_t item,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(text_tokens(b, text, &p->joined, &p->list, err));
  if (has_words(&p->list)) TRY(packed_append(p, &p->list, item, err));
done:
  return status;
}

text_batch packed_texts_batch(const packed_texts *p) {
  return (text_batch){p->samples, p->rows, p->ids, p->segments, p->starts};
}

tensor *text_batch_ends(tape *t, tensor *x, const text_batch *batch, bool last) {
  tensor *rows = x != NULL ? tape_indices_new(t, batch->samples) : NULL;
  for (size_t s = 0; rows != NULL && s < batch->samples; s++)
    ((int32_t *)rows->data)[s] = last ? batch->starts[s + 1] - 1 : batch->starts[s];
  return rows != NULL ? op_embedding(t, x, rows) : NULL;
}

/* ---- all cores ---- */

/* The next inputs as one batch; false: none is left. One thread at a time, because the order of texts decides which
 * share a batch, and a batch should not depend on how fast somebody was; tokens take a hundredth of the time. */
static bool batch_take(encode_run *r, packed_texts *p) {
  const text_batcher *b = r->batcher;
  packed_texts_clear(p);
  while (r->status == MEDLEY_OK && r->next < r->count && p->rows < TEXT_BATCH_ROWS && p->samples < r->share) {
    size_t item = r->next++;
    memset(r->out + item * b->dim, 0, b->dim * sizeof *r->out);
    r->status = packed_texts_add(p, b, r->inputs[item].text, item, &r->error);
  }
  return r->status == MEDLEY_OK && p->samples > 0;
}

static medley_status batch_run(const text_batcher *b, tape *t, const packed_texts *p, float *rows, float *out,
                               medley_error *err) {
  text_batch batch = packed_texts_batch(p);
  tape_reset(t);
  b->run(t, b->network, &batch, rows);
  medley_status status = tape_status(t, err);
  for (size_t i = 0; status == MEDLEY_OK && i < p->samples; i++)
    memcpy(out + p->item[i] * b->dim, rows + i * b->dim, b->dim * sizeof *out);
  return status;
}

/* What one thread does: batches until none is left. */
static medley_status thread_run(encode_run *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  packed_texts p = {0};
  float *rows = NULL;
  size_t capacity = 0;
  tape *t = tape_create(0);
  if (t == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a tape");
  tape_set_training(t, false);
  for (;;) {
    bool some;
#pragma omp critical(text_batch_take)
    some = batch_take(r, &p);
    if (!some) break;
    TRY_GROW(rows, capacity, p.samples * r->batcher->dim, "vectors");
    TRY(batch_run(r->batcher, t, &p, rows, r->out, err));
  }
done:
  mem_free(rows);
  tape_free(t);
  packed_texts_deinit(&p);
  return status;
}

medley_status text_batches_encode(const text_batcher *b, const encoder_input *inputs, size_t count, float *out,
                                  medley_error *err) {
  size_t threads = (size_t)omp_get_max_threads();
  encode_run r = {.batcher = b, .inputs = inputs, .out = out, .count = count, .share = (count + threads - 1) / threads};
#pragma omp parallel if (count > 1)
  {
    medley_error error = {0};
    medley_status status = thread_run(&r, &error);
    if (status != MEDLEY_OK) {
#pragma omp critical(text_batch_take)
      if (r.status == MEDLEY_OK) r.status = status, r.error = error;
    }
  }
  return r.status == MEDLEY_OK ? MEDLEY_OK : error_set(err, r.status, "%s", r.error.text);
}

medley_status text_tokenizer_check(const tokenizer *t, const char *tokenizer_path, size_t vocabulary,
                                   const char *model_path, medley_error *err) {
  if (tokenizer_size(t) <= vocabulary) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT,
                   "%s: the tokenizer has ids up to %zu, the embeddings of %s have %zu rows: they belong to two models",
                   tokenizer_path, tokenizer_size(t) - 1, model_path, vocabulary);
}
