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

#endif
