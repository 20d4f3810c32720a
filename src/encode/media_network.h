/* encode/media_network.h: what the encoders of pictures, sound and clips share that are networks trained on the
 * catalogue: items kept small for the time of training, views of them, the training itself, encoding in batches.
 *
 * Two views of an item, each cut and coloured or loudened by chance, are drawn to each other and away from all others
 * in the batch (Chen et al. 2020). What the loss looks at is one layer behind the vector ("head"): there the network
 * may forget what views differ in, which the vector then still has. The head is trained, saved and not used.
 */
#ifndef ENCODE_MEDIA_NETWORK_H
#define ENCODE_MEDIA_NETWORK_H

#include "base/rng.h"
#include "encode/conv_trunk.h"
#include "encode/encoder.h"
#include "nn/layer_transformer.h"

#define MEDIA_NETWORK_DIM_DEFAULT 128
#define MEDIA_NETWORK_BLOCKS 3

/* The layers of all kinds; which are used, a kind's functions know. */
typedef struct media_layers {
  conv_trunk pictures, sounds;
  layer_conv patches;
  layer_linear from_picture, from_sound; /* a trunk's result as a token */
  tensor *places;                        /* [tokens, width] */
  layer_transformer blocks[MEDIA_NETWORK_BLOCKS];
  tensor *norm_weight, *norm_bias;
  layer_linear out; /* to the encoder's dimension */
} media_layers;

typedef struct media_network_kind {
  const encoder_kind *kind;
  size_t bytes;   /* of an item while the network trains */
  size_t numbers; /* of a view, as the network takes it */
  size_t passes;  /* over all items */
  void (*init)(media_layers *l, parameters *p, size_t dim);
  medley_status (*prepare)(const encoder_input *input, uint8_t *item, medley_error *err);
  /* NULL: 1. How many views an item is encoded as: its vector is their mean. */
  size_t (*windows)(const uint8_t *item);
  /* draw NULL: window number `window` as it is; else any, altered by chance. */
  void (*view)(rng *draw, const uint8_t *item, size_t window, float *out);
  /* views [count, numbers], which stay until the tape is reset → [count, dim] */
  tensor *(*forward)(tape *t, const media_layers *l, const float *views, size_t count);
} media_network_kind;

/* ---- the two halves of encoding ---- */

/* What the network sees of each input, *out [count, kind->bytes], the caller's also after a failure. */
medley_status media_network_items(const encoder *e, const encoder_input *inputs, size_t count, uint8_t **out,
                                  medley_error *err) MEDLEY_CHECK;
/* Views of them through the network. out [count, dim] */
medley_status media_network_run(const encoder *e, const uint8_t *items, size_t count, float *out,
                                medley_error *err) MEDLEY_CHECK;

/* The members of an encoder_kind, given the kind's own part. */
medley_status media_network_create(const media_network_kind *kind, uint64_t seed, size_t dim, encoder **out,
                                   medley_error *err) MEDLEY_CHECK;
medley_status media_network_load(const media_network_kind *kind, const safetensors *s, const char *prefix,
                                 encoder **out, medley_error *err) MEDLEY_CHECK;
medley_status media_network_fit(encoder *e, const encoder_input *inputs, size_t count, progress_stage *progress,
                                medley_error *err);
void media_network_keep(encoder *e, const char *path);
medley_status media_network_narrow(encoder *e, weight_precision precision, medley_error *err);
weight_precision media_network_precision(const encoder *e);
medley_status media_network_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                   medley_error *err);
medley_status media_network_save(const encoder *e, safetensors_writer *w, const char *prefix, medley_error *err);
size_t media_network_dim(const encoder *e);
void media_network_free(encoder *e);

/* Blocks of this width, a norm behind them, "places" for so many tokens, and `out`: what vit and attention share. */
void media_blocks_init(media_layers *l, parameters *p, size_t width, size_t tokens, size_t dim);
/* x [n, tokens, width]; seen as in layer_transformer_forward; share [n, tokens, 1] what each token counts in the mean,
 * NULL: all the same → [n, dim] */
tensor *media_blocks_forward(tape *t, const media_layers *l, tensor *x, const attention_options *seen, tensor *share);

/* Defines encoder_<id> from `network`, a media_network_kind. */
#define MEDIA_NETWORK_KIND(id, title, text, modality_value, wish_function)                                     \
  static medley_status id##_create(uint64_t seed, size_t dim, encoder **out, medley_error *err) {              \
    return media_network_create(&network, seed, dim, out, err);                                                \
  }                                                                                                            \
  static medley_status id##_load(const safetensors *s, const char *prefix, encoder **out, medley_error *err) { \
    return media_network_load(&network, s, prefix, out, err);                                                  \
  }                                                                                                            \
  const encoder_kind encoder_##id = {.name = title,                                                            \
                                     .summary = text,                                                          \
                                     .modality = modality_value,                                               \
                                     .version = 1,                                                             \
                                     .needs_fit = true,                                                        \
                                     .wish = wish_function,                                                    \
                                     .create = id##_create,                                                    \
                                     .fit = media_network_fit,                                                 \
                                     .keep = media_network_keep,                                               \
                                     .narrow = media_network_narrow,                                           \
                                     .precision = media_network_precision,                                     \
                                     .dim = media_network_dim,                                                 \
                                     .encode = media_network_encode,                                           \
                                     .save = media_network_save,                                               \
                                     .load = id##_load,                                                        \
                                     .free = media_network_free};

#endif
