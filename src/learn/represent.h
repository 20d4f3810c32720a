/* learn/represent.h: the catalogue as vectors: one features table per modality and for tags, years and vectors from
 * outside.
 *
 * Media go through the worker pool and an encoder; raw vectors of encoders that need no fitting are kept in the store
 * beside a signature of the content (for a file its path, size and modification time) and of the encoder with its
 * weights, so that only what changed is encoded again. They are kept as they come, so a run that was interrupted goes
 * on where it was. Encoders and normalisers are fitted on the items of fit_items only; then every item gets its vector.
 * A missing modality stays missing.
 */
#ifndef LEARN_REPRESENT_H
#define LEARN_REPRESENT_H

#include "base/config.h"
#include "data/catalogue.h"
#include "encode/encoder.h"
#include "encode/features.h"
#include "encode/kept_model.h"
#include "encode/normaliser.h"

typedef enum part_source { PART_MEDIA, PART_TAGS, PART_YEAR, PART_VECTORS } part_source;

typedef struct representation_part {
  char name[48]; /* "text", "image", …, "tags", "year", or the space of imported vectors */
  part_source source;
  modality modality;               /* PART_MEDIA only */
  const encoder_kind *kind;        /* PART_MEDIA only */
  char model[KEPT_MODEL_ID_BYTES]; /* the kept model that the kind opens; "" for one that needs no file */
  encoder *encoder;                /* PART_MEDIA only; owned; NULL until representation_encoder opens it */
  normaliser normaliser;
  features features;   /* all items; features.name points to name */
  uint32_t unreadable; /* files that could not be decoded */
  double seconds;
} representation_part;

typedef struct representation {
  char *root;          /* the workspace, where kept models lie; NULL when it was never loaded */
  preparation prepare; /* how texts and media were prepared; queries are prepared alike */
  representation_part parts[FEATURES_MAX];
  size_t count;
  uint32_t item_count;
} representation;

/* An encoder that somebody added to the workspace. */
typedef struct encoder_choice {
  const encoder_kind *kind; /* NULL: none was added; medley.conf or the default says which */
  char model[KEPT_MODEL_ID_BYTES];
} encoder_choice;

typedef struct represent_options {
  const uint8_t *fit_items; /* [items] nonzero: may be learned from; NULL: all */
  uint64_t seed;
  bool fresh;           /* ignore kept vectors */
  bool with_texts;      /* represent_inputs: a medium comes with its item's text, if there is one, beside it */
  const config *config; /* encode.text = text.lsa, encode.normalise.text = l2, encode.precision = int8 …; may be NULL */
  const encoder_choice *added; /* [MODALITY_COUNT] or NULL */
  const char *root;            /* the workspace: folder that relative media paths start from */
  size_t workers;              /* decoding processes; 0: one per processor */
} represent_options;

/* *out is the caller's (representation_free). Unreadable media are noted (with the first few reasons) and counted,
 * never an error. */
medley_status represent_catalogue(const catalogue *items, const store_kind *kind, store *s,
                                  const represent_options *options, const medley_progress *progress,
                                  representation **out, medley_error *err) MEDLEY_CHECK;
void representation_free(representation *r);
/* The encoder of a part, opened from its kept model when that was not done yet: answers that need no encoder do not
 * wait for a large file. Not thread-safe. *out is borrowed. */
medley_status representation_encoder(representation *r, size_t part, const encoder **out,
                                     medley_error *err) MEDLEY_CHECK;
/* NULL when there is none of that name. */
representation_part *representation_find(representation *r, const char *name);
/* The features of all parts side by side, borrowed, for recommenders; returns how many. */
size_t representation_features(const representation *r, features out[FEATURES_MAX]);

/* What an encoder of a modality looks at, all of it in memory: texts, or some thousand decoded media. Handed over at
 * once, on loan for the call, in the catalogue's order. */
typedef medley_status represent_use(void *context, const encoder_input *inputs, size_t count,
                                    const medley_progress *progress, medley_error *err);
/* e says how media are to be decoded. options: root, workers, config and fit_items count. */
medley_status represent_inputs(const catalogue *items, const encoder *e, const represent_options *options,
                               const medley_progress *progress, represent_use *use, void *context,
                               medley_error *err) MEDLEY_CHECK;

/* What an item's text encoder reads: title, text and tags, one a line. */
medley_status represent_item_text(const catalogue *items, uint32_t item, strbuf *out, medley_error *err) MEDLEY_CHECK;

medley_status representation_save(const representation *r, safetensors_writer *w, json_t *manifest,
                                  medley_error *err) MEDLEY_CHECK;
/* root: the workspace, which has the kept models. */
medley_status representation_load(const safetensors *s, const json_t *manifest, const char *root, representation **out,
                                  medley_error *err) MEDLEY_CHECK;

#endif
