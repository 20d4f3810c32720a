/* encode/block_weights.h: transformer blocks out of published files: how each publisher calls the parts of a block. */
#ifndef ENCODE_BLOCK_WEIGHTS_H
#define ENCODE_BLOCK_WEIGHTS_H

#include "nn/layer_transformer.h"
#include "nn/weights.h"

/* Stems behind the block's own: ".weight" and ".bias" follow. */
typedef struct block_names {
  const char *qkv[3]; /* of three linear layers; all NULL: `fused` */
  const char *fused;  /* of one, with the last dot or line: "attn.in_proj_" */
  bool no_key_bias;   /* k has no bias (Whisper) */
  const char *out, *attention_norm, *wide, *narrow, *feed_forward_norm;
} block_names;

extern const block_names block_names_bert, block_names_bert_gguf, block_names_vit, block_names_vit_timm,
    block_names_clip, block_names_openclip, block_names_whisper;

/* options: width, heads, feed_forward, norm_first, activation, epsilon all set. What is wrong is remembered by w. */
void block_take(layer_transformer *l, weights *w, const block_names *names, const transformer_options *options,
                const char *stem);
/* [layers] blocks that live as long as w, behind "<stem><number>."; NULL after a failure. */
layer_transformer *blocks_take(weights *w, const block_names *names, const transformer_options *options,
                               const char *stem, size_t layers);
layer_linear linear_take(weights *w, const char *stem, size_t out, size_t in);
/* "gamma" and "beta" are read as well: TensorFlow's checkpoints, and those converted from them long ago, say so. */
void norm_take(weights *w, const char *stem, size_t width, tensor **weight, tensor **bias);

/* How many heads a transformer of this width has in all that is published, for files that do not say; 0: that differs,
 * or is not known. */
size_t heads_usual(size_t width);
/* Refuses what cannot be under the root of a norm. */
medley_status epsilon_check(double epsilon, const char *path, medley_error *err) MEDLEY_CHECK;

#endif
