/* encode/text_tuning.h: fine-tuning of published networks of tokens: views of a text, and what a step makes of them. */
#ifndef ENCODE_TEXT_TUNING_H
#define ENCODE_TEXT_TUNING_H

#include "encode/text_batch.h"
#include "encode/tuning.h"

typedef struct text_tuner {
  text_batcher batcher;                                                      /* tokenizer, options and prompt */
  tensor *(*vectors)(tape *t, const void *network, const text_batch *batch); /* [samples, dim], of any length */
  const void *network;
} text_tuner;

/* inputs: texts of which the first line may be a title. Those without words are passed over. */
medley_status text_tune(const text_tuner *tuner, weights *w, const encoder_tuning *how, const encoder_input *inputs,
                        size_t count, progress_stage *progress, medley_error *err) MEDLEY_CHECK;

/* ---- for other objectives over texts (encode/pair_tuning.c) ---- */

typedef struct text_views {
  text_batcher batcher; /* with shorter texts */
  const encoder_input *inputs;
  packed_texts packed;
  strbuf view;
  uint32_t *usable; /* inputs of which the tokenizer leaves something: text_views_find */
} text_views;
void text_views_init(text_views *v, const text_batcher *batcher, const encoder_input *inputs);
void text_views_deinit(text_views *v); /* harmless on a zeroed one */
/* v->usable [*found], of the inputs [count]; those without a text are passed over. Once. */
medley_status text_views_find(text_views *v, size_t count, size_t *found, medley_error *err) MEDLEY_CHECK;
/* One more view of an input in v->packed (packed_texts_clear begins a batch): a run of its words, or with titles, where
 * it has both, its title (view 0) or the rest (view 1). False after a failure, which the tape remembers. */
bool text_views_add(text_views *v, tape *t, rng *r, uint32_t input, int view, bool titles);

#endif
