/* encode/vision.h: transformers over the patches of a picture (Dosovitskiy et al. 2020): ViT, and the picture towers of
 * CLIP, Chinese-CLIP and SigLIP. */
#ifndef ENCODE_VISION_H
#define ENCODE_VISION_H

#include "encode/block_weights.h"

typedef struct vision_sizes {
  size_t width, layers, heads, feed_forward, image, patch;
  size_t embedding; /* of the projection; 0: none */
  double epsilon;
  const activation_kind *activation;
} vision_sizes;

/* How a publisher calls the tensors; NULL where the family has none. Stems are followed by ".weight", ".bias". */
typedef struct vision_names {
  const char *patch; /* a convolution whose window is its stride */
  bool patch_bias;
  const char *first;  /* the token before the patches, a whole name */
  const char *places; /* a whole name */
  const char *norm_before;
  const char *blocks; /* "encoder.layer." */
  const block_names *block;
  const char *norm_after;
  const char *projection; /* a whole name */
  bool projection_turned; /* [width, embedding] rather than [embedding, width] */
  const char *head;       /* SigLIP's: attention of one learnt query to all patches, "vision_model.head." */
} vision_names;

typedef struct vision {
  vision_sizes sizes;
  size_t tokens;
  tensor *patch_weight, *patch_bias; /* [width, 3 patch²], [width] */
  tensor *first, *places;            /* width numbers or NULL, tokens * width numbers */
  tensor *before_weight, *before_bias, *after_weight, *after_bias;
  layer_transformer *blocks;
  tensor *projection; /* [embedding, width] or NULL */
  tensor *probe;      /* width numbers, of a head, else NULL */
  layer_attention head;
  tensor *head_norm_weight, *head_norm_bias;
  layer_linear head_wide, head_narrow;
} vision;

/* What is wrong is remembered by w. */
void vision_init(vision *v, weights *w, const vision_names *names, const vision_sizes *sizes);
size_t vision_dim(const vision *v); /* of what is pooled */
/* pixels [count, 3, image, image] → [count, tokens, width] behind the last norm. */
tensor *vision_forward(tape *t, const vision *v, const float *pixels, size_t count);
/* hidden → [count, vision_dim] */
tensor *vision_pool(tape *t, const vision *v, tensor *hidden);
/* Both, of a vision: what fine-tuning goes through (encode/picture_tuning.h). */
tensor *vision_vectors(tape *t, const void *network, const float *pixels, size_t count);

#endif
