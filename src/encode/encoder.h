/* encode/encoder.h: content → vector. One encoder a file, one row in the table.
 *
 * An encoder turns the samples of one modality into raw vectors of a fixed dimension. Some must be fitted on the
 * catalogue first (text.lsa), others work at once (image.descriptor), others need a file that somebody trained
 * elsewhere (mobilenet_v2) or that names a service (external). What comes out is raw: encode/normaliser.h brings it to
 * a common scale, fitted on the training split only. A missing modality is no vector at all, never zeros.
 *
 * A kind of several modalities (clip) has a row for each, all of the same name.
 */
#ifndef ENCODE_ENCODER_H
#define ENCODE_ENCODER_H

#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/strbuf.h"
#include "encode/golden.h"
#include "encode/tuning.h"
#include "media/sample.h"
#include "media/worker.h"
#include "nn/precision.h"
#include "nn/safetensors.h"

typedef struct encoder encoder; /* each kind lays out its own, beginning with `const encoder_kind *kind` */

/* One item's content of the encoder's modality. Exactly the member of that modality is set, and where a kind tunes
 * pairs, for tune, text as well. */
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
  bool needs_file;  /* made by open from a file, never by create; saved by keeping the file */
  /* NULL when needs_file. seed for what is drawn at random; dim 0: the kind's default, refused when the kind cannot
   * give it. */
  medley_status (*create)(uint64_t seed, size_t dim, encoder **out, medley_error *err);
  /* NULL unless needs_file. path: a checkpoint, or a folder as models are published (nn/checkpoint.h); it stays as it
   * is for the encoder's life, so weights may remain mapped. The file is a stranger's: everything is checked before the
   * first use, and what does not fit is MEDLEY_ERR_INPUT in a sentence that names the file. */
  medley_status (*open)(const char *path, encoder **out, medley_error *err);
  /* NULL: the user's file is kept as it is. Otherwise writes the file that open reads to path, from what the user named
   * (an address, a file of settings) and from settings, an object, or NULL; may ask the service for its dimensions. */
  medley_status (*adopt)(const char *source, const json_t *settings, const char *path, const medley_progress *progress,
                         medley_error *err);
  /* NULL: all bytes of the file count. Otherwise appends what the vectors depend on: part of the key under which they
   * are kept. */
  void (*identity)(const encoder *e, strbuf *out);
  /* NULL: encoding waits for nobody. Whom encode then asks, in its own thread, whether to stop while it waits for a
   * service; NULL: nobody. Stays until the next call. */
  void (*listen)(encoder *e, const medley_progress *progress);
  /* NULL: the usual media will do. Sets what the encoder asks of decoding: image_side, sound_rate_hz, frame_max. A
   * picture's image_side is its longer one: for a square of 224 cut from the middle ask for more. */
  void (*wish)(const encoder *e, media_request *request);
  /* NULL: takes its content as it comes (published networks bring their own tokenizer). Otherwise says how texts are
   * prepared; called after create or load, before anything else. Copied. */
  void (*prepare)(encoder *e, const preparation *p);
  /* NULL unless needs_fit. inputs [count]: the training split's items that have the modality. */
  medley_status (*fit)(encoder *e, const encoder_input *inputs, size_t count, progress_stage *progress,
                       medley_error *err);
  /* NULL: every fit begins anew. Where the next fit keeps its run every half minute and when it is stopped, and goes on
   * from to the same bits when the file is there: one for this encoder, seed and inputs alone. Borrowed until fit is
   * through. */
  void (*keep)(encoder *e, const char *path);
  /* NULL: it has no weights of its own, or came with them. After fit, which is then over for good: encodes with weights
   * in this precision from now on, and is saved and loaded so. Once only; WEIGHT_F32: nothing changes. */
  medley_status (*narrow)(encoder *e, weight_precision precision, medley_error *err);
  weight_precision (*precision)(const encoder *e); /* what it encodes with; NULL where narrow is */
  size_t (*dim)(const encoder *e);                 /* after fit */
  /* out [count, dim]. Thread-safe for several calls on one encoder after fit. A text without any known word gives a
   * zero vector: the caller takes that for missing. */
  medley_status (*encode)(const encoder *e, const encoder_input *inputs, size_t count, float *out, medley_error *err);
  /* For kinds of several modalities, ended by NULL: the outputs in a golden file that are this row's. A file with none
   * of them is about another row. */
  const char *const *outputs;
  /* NULL: there is nothing to compare. Runs the network on the inputs in the file, as they stand there (behind the
   * preparation of pictures or sound, or before it), and hands each output that the file has to golden_compare. */
  medley_status (*check)(const encoder *e, const safetensors *golden, golden_report *report, medley_error *err);
  /* NULL: the network stays as it was published. Otherwise trains the network in path (as open has it) on the inputs
   * and writes a checkpoint of the same layout, which the kind opens in the place of path's weights. */
  medley_status (*tune)(const char *path, const encoder_tuning *how, const encoder_input *inputs, size_t count,
                        progress_stage *progress, medley_error *err);
  /* tune takes pictures with their items' texts (NULL where an item has none), and what it makes is for all rows of the
   * kind's name. */
  bool tunes_pairs;
  /* Both NULL when needs_file. */
  medley_status (*save)(const encoder *e, safetensors_writer *w, const char *prefix,
                        medley_error *err); /* tensors "<prefix>.<name>"; data borrowed until the writer saves */
  /* Copies what it needs: s may be closed afterwards. A file that does not fit together is MEDLEY_ERR_CORRUPT. */
  medley_status (*load)(const safetensors *s, const char *prefix, encoder **out, medley_error *err);
  void (*free)(encoder *e);
} encoder_kind;

struct encoder {
  const encoder_kind *kind;
};

/* Ended by NULL; the first of a modality is its default and needs no file. */
extern const encoder_kind *const encoder_kinds[];
/* NULL when there is none. The first of that name; the one of that name for a modality. */
const encoder_kind *encoder_kind_find(const char *name);
const encoder_kind *encoder_kind_for(modality m, const char *name);
/* The one used when nothing is configured. */
const encoder_kind *encoder_kind_default(modality m);

/* A kind that reads a published file, one of a family's precisions: encoder_<id>, whose functions are <family>_dim and
 * so on. wished: its `wish`, or NULL; opened: the call that opens `path` as that kind. */
#define ENCODER_OF_FILE(id, family, of, text, wished, opened)                                           \
  static medley_status id##_open(const char *path, encoder **out, medley_error *err) { return opened; } \
  const encoder_kind encoder_##id = {.name = #id,                                                       \
                                     .summary = text,                                                   \
                                     .modality = of,                                                    \
                                     .version = 1,                                                      \
                                     .needs_file = true,                                                \
                                     .open = id##_open,                                                 \
                                     .wish = wished,                                                    \
                                     .dim = family##_dim,                                               \
                                     .encode = family##_encode,                                         \
                                     .check = family##_check,                                           \
                                     .tune = family##_tune,                                             \
                                     .free = family##_free};

/* The kinds, one file each. */
extern const encoder_kind encoder_text_lsa;
extern const encoder_kind encoder_image_descriptor;
extern const encoder_kind encoder_audio_mfcc;
extern const encoder_kind encoder_video_pooled;
extern const encoder_kind encoder_text_cnn, encoder_text_gru, encoder_text_transformer;
extern const encoder_kind encoder_image_cnn, encoder_image_patches, encoder_audio_cnn, encoder_video_attention;
extern const encoder_kind encoder_autoencoder_image, encoder_autoencoder_audio, encoder_autoencoder_video;
extern const encoder_kind encoder_vae_image, encoder_vae_audio, encoder_vae_video;
extern const encoder_kind encoder_external;
extern const encoder_kind encoder_mobilenet_v2, encoder_mobilenet_v2_bf16, encoder_mobilenet_v2_int8;
extern const encoder_kind encoder_yamnet, encoder_yamnet_bf16, encoder_yamnet_int8;
/* Published networks, and the same in other precisions (nn/weights.h). */
extern const encoder_kind encoder_bert, encoder_bert_bf16, encoder_bert_int8;
extern const encoder_kind encoder_vit, encoder_vit_bf16, encoder_vit_int8;
extern const encoder_kind encoder_resnet, encoder_resnet_bf16, encoder_resnet_int8;
extern const encoder_kind encoder_clip_image, encoder_clip_bf16_image, encoder_clip_int8_image;
extern const encoder_kind encoder_clip_text, encoder_clip_bf16_text, encoder_clip_int8_text;
extern const encoder_kind encoder_whisper, encoder_whisper_bf16, encoder_whisper_int8;

/* "f32", "bf16", "int8": of a network that was trained here. NULL: it is none, or was not loaded (e NULL). */
const char *encoder_precision(const encoder *e);

/* What decoding should make of the file for this encoder; path and p (NULL: the usual steps) are borrowed. */
media_request encoder_request(const encoder *e, const preparation *p, const char *path);

/* What encoders without fitted state share: an encoder that is only its kind. dim must be 0 or the kind's own. */
medley_status encoder_create_fixed(const encoder_kind *kind, size_t dim, encoder **out, medley_error *err) MEDLEY_CHECK;
medley_status encoder_save_nothing(const encoder *e, safetensors_writer *w, const char *prefix, medley_error *err);
void encoder_free_fixed(encoder *e);

#endif
