/* encode/encoder.h: content → vector. One encoder a file, one row in the table.
 *
 * An encoder turns the samples of one modality into raw vectors of a fixed dimension. Some must be fitted on the
 * catalogue first (text.lsa), others work at once (image.descriptor). What comes out is raw: encode/normaliser.h brings
 * it to a common scale, fitted on the training split only. A missing modality is no vector at all, never zeros.
 */
#ifndef ENCODE_ENCODER_H
#define ENCODE_ENCODER_H

#include "base/error.h"
#include "base/progress.h"
#include "media/sample.h"
#include "nn/safetensors.h"

typedef struct encoder encoder; /* each kind lays out its own, beginning with `const encoder_kind *kind` */

/* One item's content of the encoder's modality. Exactly the member of that modality is set. */
typedef struct encoder_input {
  const char *text; /* title, text and tags joined by newlines, UTF-8 */
  const image *image;
  const sound *sound;
  const video *video;
} encoder_input;

typedef struct encoder_kind {
  const char *name; /* "text.lsa" */
  const char *summary;
  modality modality;
  uint32_t version; /* part of the key under which raw vectors are kept: raise it when the output changes */
  bool needs_fit;   /* its vectors depend on the catalogue and are made anew in every training run */
  /* seed for what is drawn at random; dim 0: the kind's default, refused when the kind cannot give it. */
  medley_status (*create)(uint64_t seed, size_t dim, encoder **out, medley_error *err);
  /* NULL unless needs_fit. inputs [count]: the training split's items that have the modality. */
  medley_status (*fit)(encoder *e, const encoder_input *inputs, size_t count, progress_stage *progress,
                       medley_error *err);
  size_t (*dim)(const encoder *e); /* after fit */
  /* out [count, dim]. Thread-safe for several calls on one encoder after fit. A text without any known word gives a
   * zero vector: the caller takes that for missing. */
  medley_status (*encode)(const encoder *e, const encoder_input *inputs, size_t count, float *out, medley_error *err);
  medley_status (*save)(const encoder *e, safetensors_writer *w, const char *prefix,
                        medley_error *err); /* tensors "<prefix>.<name>"; data borrowed until the writer saves */
  /* Copies what it needs: s may be closed afterwards. A file that does not fit together is MEDLEY_ERR_CORRUPT. */
  medley_status (*load)(const safetensors *s, const char *prefix, encoder **out, medley_error *err);
  void (*free)(encoder *e);
} encoder_kind;

struct encoder {
  const encoder_kind *kind;
};

/* Ended by NULL; the first of a modality is its default. */
extern const encoder_kind *const encoder_kinds[];
const encoder_kind *encoder_kind_find(const char *name);
/* The one used when nothing is configured. */
const encoder_kind *encoder_kind_default(modality m);

/* The kinds, one file each. */
extern const encoder_kind encoder_text_lsa;
extern const encoder_kind encoder_image_descriptor;
extern const encoder_kind encoder_audio_mfcc;
extern const encoder_kind encoder_video_pooled;

/* What encoders without fitted state share: an encoder that is only its kind. dim must be 0 or the kind's own. */
medley_status encoder_create_fixed(const encoder_kind *kind, size_t dim, encoder **out, medley_error *err) MEDLEY_CHECK;
medley_status encoder_save_nothing(const encoder *e, safetensors_writer *w, const char *prefix, medley_error *err);
void encoder_free_fixed(encoder *e);

#endif
