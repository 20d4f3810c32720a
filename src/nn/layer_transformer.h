/* nn/layer_transformer.h: transformer blocks (Vaswani et al. 2017): attention and two linear layers, each with a
 * residual and a norm. Of encoders (text, patches of pictures, frames of sound), of causal decoders, and of decoders
 * that look at an encoder's output. Style: nn/layer.h. */
#ifndef NN_LAYER_TRANSFORMER_H
#define NN_LAYER_TRANSFORMER_H

#include "nn/layer.h"

/* ---- attention between linear layers ---- */

/* PyTorch's MultiheadAttention: names, shapes and first values. One product makes q, k and v. */
typedef struct layer_attention {
  layer_linear in;  /* [3 width, width], [3 width]: of q, k, v, one below the other; its bias NULL: none */
  layer_linear out; /* [width, width] */
  size_t heads;     /* width is a multiple of it */
} layer_attention;

void layer_attention_init(layer_attention *l, parameters *p, const char *prefix, size_t width, size_t heads);
/* x [samples, length, width], or [rows, width] when seen->starts says how samples are packed → the same shape. memory:
 * what keys and values are made of, another such tensor; NULL: x. seen: what each query sees; NULL: all. */
tensor *layer_attention_forward(tape *t, const layer_attention *l, tensor *x, tensor *memory,
                                const attention_options *seen);

/* ---- a block ---- */

typedef struct activation_kind {
  const char *name; /* as config.json's hidden_act has it */
  tensor *(*run)(tape *t, tensor *x);
} activation_kind;
/* Ended by a row without a name: gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu, silu. */
extern const activation_kind activation_kinds[];
const activation_kind *activation_find(const char *name); /* NULL: unknown */

typedef struct transformer_options {
  size_t width, heads;
  size_t feed_forward; /* 0: four times the width */
  bool norm_first;     /* norms before attention and linear layers ("pre-norm") rather than behind the residual */
  bool cross;          /* a decoder's: between both, attention to a memory */
  const activation_kind *activation; /* NULL: gelu */
  double epsilon;                    /* of norms; 0: 1e-5 */
  double dropout;                    /* of what is added to the residual, in training */
} transformer_options;

/* Names of PyTorch's TransformerEncoderLayer and TransformerDecoderLayer: self_attn, multihead_attn (cross), linear1,
 * linear2, norm1, norm2 and, with cross, norm3. */
typedef struct layer_transformer {
  transformer_options options;
  layer_attention self, cross;
  layer_linear wide, narrow;             /* [feed_forward, width] and back */
  tensor *norm_weight[3], *norm_bias[3]; /* [width]: of self-attention, (cross-attention,) linear layers */
} layer_transformer;

void layer_transformer_init(layer_transformer *l, parameters *p, const char *prefix,
                            const transformer_options *options);
/* x as in layer_attention_forward. memory and memory_seen: of a block with cross, else NULL. Outside of training,
 * what was made on the way is released (tape_release), x not. */
tensor *layer_transformer_forward(tape *t, const layer_transformer *l, tensor *x, const attention_options *seen,
                                  tensor *memory, const attention_options *memory_seen);

#endif
