/* encode/text_network.h: what text.cnn, text.gru and text.transformer share: words as numbers, training on two halves
 * of a text, encoding in batches.
 *
 * A text's words are stemmed (media/text.h) and hashed into TEXT_NETWORK_WORDS rows of an embedding: no vocabulary to
 * keep, and two words in one row are rare enough. Rows that no text of the catalogue touched are words nobody knows:
 * they are left out.
 */
#ifndef ENCODE_TEXT_NETWORK_H
#define ENCODE_TEXT_NETWORK_H

#include "encode/encoder.h"
#include "nn/layer.h"
#include "nn/layer_transformer.h"

#define TEXT_NETWORK_WORDS 16384
#define TEXT_NETWORK_LENGTH 64 /* words of a text that are read */
#define TEXT_NETWORK_DIM_DEFAULT 128
#define TEXT_NETWORK_BLOCKS 2 /* of the transformer */

/* The layers of all kinds; which are used, its functions know. */
typedef struct text_layers {
  layer_text_cnn cnn;
  layer_embedding words;
  layer_recurrent recurrent;
  layer_embedding places; /* [TEXT_NETWORK_LENGTH, width]: first word, second word ... */
  layer_transformer blocks[TEXT_NETWORK_BLOCKS];
  tensor *norm_weight, *norm_bias;
  layer_linear out; /* to the encoder's dimension */
} text_layers;

typedef struct text_network_kind {
  const encoder_kind *kind;
  void (*init)(text_layers *l, parameters *p, size_t dim);
  /* ids [batch, length] with negative ones behind the ends, lengths [batch] (0 where a text has no word) → [batch, dim]
   */
  tensor *(*forward)(tape *t, const text_layers *l, tensor *ids, tensor *lengths);
} text_network_kind;

/* ---- the two halves of encoding ---- */

typedef struct text_network_words {
  int32_t *ids;   /* [texts, TEXT_NETWORK_LENGTH] -1 behind a text's end */
  int32_t *count; /* [texts] */
} text_network_words;
/* of: a fitted encoder, whose known words are taken. The caller frees, also after a failure. */
medley_status text_network_read(const encoder *of, const encoder_input *inputs, size_t count, text_network_words *out,
                                medley_error *err) MEDLEY_CHECK;
void text_network_words_deinit(text_network_words *w);
/* The network alone. out [count, dim]; zeros where a text has no word. */
medley_status text_network_run(const encoder *e, const text_network_words *words, size_t count, float *out,
                               medley_error *err) MEDLEY_CHECK;

/* The members of an encoder_kind, given the kind's own part. */
medley_status text_network_create(const text_network_kind *kind, uint64_t seed, size_t dim, encoder **out,
                                  medley_error *err) MEDLEY_CHECK;
medley_status text_network_load(const text_network_kind *kind, const safetensors *s, const char *prefix, encoder **out,
                                medley_error *err) MEDLEY_CHECK;
medley_status text_network_fit(encoder *e, const encoder_input *inputs, size_t count, progress_stage *progress,
                               medley_error *err);
void text_network_keep(encoder *e, const char *path);
medley_status text_network_narrow(encoder *e, weight_precision precision, medley_error *err);
weight_precision text_network_precision(const encoder *e);
medley_status text_network_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                  medley_error *err);
medley_status text_network_save(const encoder *e, safetensors_writer *w, const char *prefix, medley_error *err);
void text_network_prepare(encoder *e, const preparation *p);
size_t text_network_dim(const encoder *e);
void text_network_free(encoder *e);

#endif
