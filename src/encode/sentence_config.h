/* encode/sentence_config.h: what the files beside a text model say about making one vector of a sequence: the layout of
 * sentence-transformers (modules.json, 1_Pooling/config.json, sentence_bert_config.json,
 * config_sentence_transformers.json) and GGUF's pooling_type. https://sbert.net/docs/ */
#ifndef ENCODE_SENTENCE_CONFIG_H
#define ENCODE_SENTENCE_CONFIG_H

#include "nn/checkpoint.h"

typedef enum pooling { POOLING_MEAN, POOLING_CLS, POOLING_MAX, POOLING_LAST } pooling;

typedef struct sentence_config {
  pooling pooling;
  bool unit;         /* vectors get length 1 */
  bool lower;        /* texts are wanted in lower case */
  size_t tokens_max; /* 0: not said */
  char *prompt;      /* put before every text (E5's "query: "): the default prompt, or NULL */
} sentence_config;

/* Without such files: the mean, as it is. A module that is not one of Transformer, Pooling, Normalize is refused by its
 * name. */
medley_status sentence_config_load(sentence_config *s, const checkpoint *c, medley_error *err) MEDLEY_CHECK;
void sentence_config_deinit(sentence_config *s);
/* rows [count, width] of one sequence, count > 0 → out [width]. */
void sentence_pool(const sentence_config *s, const float *rows, size_t count, size_t width, float *out);

#endif
