/* encode/bert.h: the network of the BERT family (Devlin et al. 2018): embeddings of words, places and segments, and
 * post-norm transformer blocks. Also RoBERTa's kind, whose places begin later, and the text tower of Chinese-CLIP. */
#ifndef ENCODE_BERT_H
#define ENCODE_BERT_H

#include "encode/block_weights.h"
#include "encode/text_batch.h"

typedef struct bert_sizes {
  size_t width, layers, heads, feed_forward, positions, vocabulary, segments;
  size_t first_position; /* 0; RoBERTa: the padding id + 1 */
  double epsilon;
  const activation_kind *activation;
  bool gguf; /* names are those of GGUF */
} bert_sizes;

typedef struct bert {
  bert_sizes sizes;
  const tensor_view *words, *places, *segments;           /* stay in the file */
  tensor *words_learnt, *places_learnt, *segments_learnt; /* what they are instead where they learn; else NULL */
  tensor *norm_weight, *norm_bias;
  layer_transformer *blocks; /* [layers] */
} bert;

/* Takes the tensors from w, behind its prefix. What is wrong is remembered by w (weights_status). */
void bert_init(bert *b, weights *w, const bert_sizes *sizes);
/* The last layer's output [rows, width]. */
tensor *bert_forward(tape *t, const bert *b, const text_batch *batch);
/* Tokens that a sequence may have. */
size_t bert_length_max(const bert *b);

#endif
