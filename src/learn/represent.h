/* learn/represent.h: the catalogue as vectors: one features table per modality and for tags, years and vectors from
 * outside.
 *
 * Media go through the worker pool and an encoder; raw vectors of encoders that need no fitting are kept in the store
 * beside a signature of the file (path, size, modification time) and of the encoder, so that only what changed is
 * decoded again. Encoders and normalisers are fitted on the items of fit_items only; then every item gets its vector. A
 * missing modality stays missing.
 */
#ifndef LEARN_REPRESENT_H
#define LEARN_REPRESENT_H

#include "base/config.h"
#include "data/catalogue.h"
#include "encode/encoder.h"
#include "encode/features.h"
#include "encode/normaliser.h"

typedef enum part_source { PART_MEDIA, PART_TAGS, PART_YEAR, PART_VECTORS } part_source;

typedef struct representation_part {
  char name[48]; /* "text", "image", …, "tags", "year", or the space of imported vectors */
  part_source source;
  modality modality; /* PART_MEDIA only */
  encoder *encoder;  /* PART_MEDIA only; owned */
  normaliser normaliser;
  features features;   /* all items; features.name points to name */
  uint32_t unreadable; /* files that could not be decoded */
  double seconds;
} representation_part;

typedef struct representation {
  representation_part parts[FEATURES_MAX];
  size_t count;
  uint32_t item_count;
} representation;

typedef struct represent_options {
  const uint8_t *fit_items; /* [items] nonzero: may be learned from; NULL: all */
  uint64_t seed;
  bool fresh;           /* ignore kept vectors */
  const config *config; /* encode.text = text.lsa, encode.image = …, encode.normalise = zscore; may be NULL */
  const char *root;     /* folder that relative media paths start from */
  size_t workers;       /* decoding processes; 0: one per processor */
} represent_options;

/* *out is the caller's (representation_free). Unreadable media are noted (with the first few reasons) and counted,
 * never an error. */
medley_status represent_catalogue(const catalogue *items, const store_kind *kind, store *s,
                                  const represent_options *options, const medley_progress *progress,
                                  representation **out, medley_error *err) MEDLEY_CHECK;
void representation_free(representation *r);
/* NULL when there is none of that name. */
representation_part *representation_find(representation *r, const char *name);
/* The features of all parts side by side, borrowed, for recommenders; returns how many. */
size_t representation_features(const representation *r, features out[FEATURES_MAX]);

/* What an item's text encoder reads: title, text and tags, one a line. */
medley_status represent_item_text(const catalogue *items, uint32_t item, strbuf *out, medley_error *err) MEDLEY_CHECK;

medley_status representation_save(const representation *r, safetensors_writer *w, json_t *manifest,
                                  medley_error *err) MEDLEY_CHECK;
medley_status representation_load(const safetensors *s, const json_t *manifest, representation **out,
                                  medley_error *err) MEDLEY_CHECK;

#endif
