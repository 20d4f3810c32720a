/* learn/represent_parts.h: what the files represent*.c share. */
#ifndef LEARN_REPRESENT_PARTS_H
#define LEARN_REPRESENT_PARTS_H

#include "learn/represent.h"
#include "media/worker.h"

/* What one run over the catalogue has at hand. */
typedef struct represent_run {
  const catalogue *items;
  const store_kind *kind;
  store *store;
  const represent_options *options;
  const medley_progress *progress;
  const preparation *prepare;
  media_pool *pool; /* made when first needed */
} represent_run;

/* part->encoder is there; fills its features with raw vectors. */
medley_status represent_texts(represent_run *run, representation_part *part, medley_error *err) MEDLEY_CHECK;
medley_status represent_media(represent_run *run, representation_part *part, medley_error *err) MEDLEY_CHECK;

/* The inputs of the items that may be learnt from to `use`; of media as decoded for part->encoder. */
medley_status represent_use_texts(represent_run *run, represent_use *use, void *context,
                                  medley_error *err) MEDLEY_CHECK;
medley_status represent_use_media(represent_run *run, representation_part *part, represent_use *use, void *context,
                                  medley_error *err) MEDLEY_CHECK;
/* A represent_use: context is a represent_fitting, whose encoder is fitted. A fit that was stopped is gone on with when
 * the same encoder is to learn from the same inputs again: its run is kept in fitting/ below the workspace. */
typedef struct represent_fitting {
  const represent_run *run;
  encoder *encoder;
} represent_fitting;
medley_status represent_fit(void *context, const encoder_input *inputs, size_t count, const medley_progress *progress,
                            medley_error *err) MEDLEY_CHECK;

/* ---- vectors that are kept between runs (represent_kept.c) ---- */

typedef struct kept_vectors {
  const represent_run *run;
  const representation_part *part;
  char space[64];
  size_t dim;
  unsigned char *signatures; /* [items, HASH_BYTES], by whoever knows what the content is */
  float *rows;               /* [items, dim] */
  uint8_t *known;            /* [items] rows has the item's vector, from the store or from this run */
  uint32_t *fresh;           /* [items] of this run, not yet in the store */
  size_t fresh_count;
  double flushed_s; /* when the store was written last */
} kept_vectors;

/* Whether a kind's vectors stay the same as long as the content does. */
bool kept_vectors_apply(const representation_part *part);
medley_status kept_vectors_init(kept_vectors *k, const represent_run *run, const representation_part *part,
                                medley_error *err) MEDLEY_CHECK;
void kept_vectors_deinit(kept_vectors *k);
/* What a vector depends on besides the content, to begin the signature of an item with. */
void kept_vectors_identity(const kept_vectors *k, strbuf *out);
/* Reads what the store has for the signatures. */
medley_status kept_vectors_load(kept_vectors *k, medley_error *err) MEDLEY_CHECK;
/* The item's row is final. Written in transactions of some size, and by flush: also after an error or Ctrl-C, so that
 * the next run goes on from there. */
medley_status kept_vectors_put(kept_vectors *k, uint32_t item, medley_error *err) MEDLEY_CHECK;
medley_status kept_vectors_flush(kept_vectors *k, medley_error *err) MEDLEY_CHECK;

/* False when a number is not finite. */
bool represent_row_usable(const float *row, size_t dim);
/* Counts an item whose vector is not usable, and tells the first. */
void represent_note_bad(const represent_run *run, representation_part *part, uint32_t item);
/* Moves the rows into the part's features; a zero row is a missing modality. */
medley_status represent_take_rows(kept_vectors *k, representation_part *part, medley_error *err) MEDLEY_CHECK;

/* ---- tables ---- */

/* Builds the raw features of one table of facts (tags, years); features.count stays 0 when the catalogue has none. */
typedef medley_status (*represent_table)(const catalogue *items, const represent_options *options,
                                         representation_part *part, medley_error *err);
extern const represent_table represent_tables[]; /* ended by NULL */

/* Adds one part for every space of imported vectors. */
medley_status represent_spaces(const catalogue *items, const store_kind *kind, store *s,
                               const represent_options *options, representation *r, medley_error *err) MEDLEY_CHECK;

/* Fits the normaliser on the fit items, applies it to all, leaves unit rows. */
medley_status represent_normalise(representation_part *part, const char *name, const uint8_t *fit_items,
                                  medley_error *err) MEDLEY_CHECK;
/* Normalises the part and moves it into r, or frees it when no item has it (or r is full). *part must not be used
 * afterwards. */
medley_status representation_keep(representation *r, const represent_options *options, representation_part *part,
                                  const char *normaliser, medley_error *err) MEDLEY_CHECK;
void representation_part_deinit(representation_part *part);

#endif
