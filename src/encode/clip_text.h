/* encode/clip_text.h: the text tower of CLIP (Radford et al. 2021) and SigLIP (Zhai et al. 2023): pre-norm blocks over
 * tokens, the last token's vector projected. */
#ifndef ENCODE_CLIP_TEXT_H
#define ENCODE_CLIP_TEXT_H

#include "encode/block_weights.h"
#include "encode/text_batch.h"

typedef struct clip_text_sizes {
  size_t width, layers, heads, feed_forward, positions, vocabulary, embedding;
  double epsilon;
  const activation_kind *activation;
  bool causal;
} clip_text_sizes;

/* Stems and whole names, as in encode/vision.h. */
typedef struct clip_text_names {
  const char *words, *places, *blocks; /* whole names of two tables; a stem */
  const block_names *block;
  const char *norm_after;
  const char *projection, *projection_bias; /* whole names; NULL: none */
  bool projection_turned;
} clip_text_names;

typedef struct clip_text {
  clip_text_sizes sizes;
  const tensor_view *words, *places;    /* stay in the file */
  tensor *words_learnt, *places_learnt; /* what they are instead when they learn; else NULL */
  layer_transformer *blocks;
  tensor *norm_weight, *norm_bias;
  layer_linear projection;
} clip_text;

void clip_text_init(clip_text *x, weights *w, const clip_text_names *names, const clip_text_sizes *sizes);
/* [samples, embedding] */
tensor *clip_text_forward(tape *t, const clip_text *x, const text_batch *batch);

#endif
