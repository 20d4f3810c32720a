/* encode/text_batch.h: texts → vectors through a network of tokens: tokens, batches without padding, all cores.
 *
 * Sequences of a batch lie one behind the other ("packed"): no token is computed that no text has. Each thread runs
 * whole batches by itself, which costs no waiting; the products inside are then made by one thread. */
#ifndef ENCODE_TEXT_BATCH_H
#define ENCODE_TEXT_BATCH_H

#include "encode/encoder.h"
#include "nn/op.h"
#include "nn/tokenizer.h"

typedef struct text_batch {
  size_t samples, rows;    /* rows: tokens of all samples */
  const int32_t *ids;      /* [rows] */
  const uint8_t *segments; /* [rows] */
  const int32_t *starts;   /* [samples + 1] first row of each sample, then rows */
} text_batch;

/* out [samples, dim]; failures stay on the tape. */
typedef void text_batch_run(tape *t, const void *network, const text_batch *batch, float *out);

typedef struct text_batcher {
  const tokenizer *tokenizer;
  tokenizer_options options;
  const char *prompt; /* put before every text; NULL: none */
  text_batch_run *run;
  const void *network;
  size_t dim;
} text_batcher;

/* Enough rows for the products to run at full speed, few enough for what a layer makes to stay in the cache. */
#define TEXT_BATCH_ROWS 512

/* The numbers of each sample's first (or last) row: x [rows, width] → [samples, width]. */
tensor *text_batch_ends(tape *t, tensor *x, const text_batch *batch, bool last);

/* Texts as tokens, one behind the other. Zero-initialise; room is kept for the next batch. */
typedef struct packed_texts {
  int32_t *ids, *starts;
  uint8_t *segments;
  size_t *item; /* [samples] which input it is */
  size_t samples, rows, id_capacity, start_capacity, segment_capacity, item_capacity;
  token_list list;
  strbuf joined;
} packed_texts;
void packed_texts_clear(packed_texts *p);
void packed_texts_deinit(packed_texts *p);
/* A text without words is left out: samples stays as it was. */
medley_status packed_texts_add(packed_texts *p, const text_batcher *b, const char *text, size_t item,
                               medley_error *err) MEDLEY_CHECK;
text_batch packed_texts_batch(const packed_texts *p); /* borrowed until the next change */

/* out [count, dim]. A text of which no token remains (an empty one) gets zeros. Thread-safe. */
medley_status text_batches_encode(const text_batcher *b, const encoder_input *inputs, size_t count, float *out,
                                  medley_error *err) MEDLEY_CHECK;
/* An id that the network has no row for is a tokenizer of another model. names are for the sentence. */
medley_status text_tokenizer_check(const tokenizer *t, const char *tokenizer_path, size_t vocabulary,
                                   const char *model_path, medley_error *err) MEDLEY_CHECK;

#endif
