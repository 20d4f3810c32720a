/* engine/dataset.h: what training and evaluation read from a workspace: items, events, vectors. */
#ifndef ENGINE_DATASET_H
#define ENGINE_DATASET_H

#include "base/hash.h"
#include "engine/encoders.h"
#include "learn/fit.h"

typedef struct dataset {
  catalogue items;
  event_log log; /* numbered like items */
  event_weights weights;
  representation *content; /* after dataset_represent */
  encoders_hold models;    /* until deinit, or until a generation names what was used */
} dataset;

/* Items and events as of one moment. */
medley_status dataset_load(medley_workspace *w, const medley_progress *progress, dataset *out,
                           medley_error *err) MEDLEY_CHECK;
/* fit_items [items]: what encoders and normalisers may learn from; NULL: all. Replaces data->content. */
medley_status dataset_represent(medley_workspace *w, dataset *data, const uint8_t *fit_items, uint64_t seed, bool fresh,
                                const medley_progress *progress, medley_error *err) MEDLEY_CHECK;
/* Zero stands for what medley.conf says: train.seed (1) and train.threads (0: all processors). */
medley_status dataset_settings(const medley_workspace *w, uint64_t *seed, int *threads, medley_error *err) MEDLEY_CHECK;
/* The hash of all items' ids and texts, and of how texts are prepared. */
medley_status dataset_fingerprint(const catalogue *items, const preparation *prepare, char out[HASH_HEX_BYTES],
                                  medley_error *err) MEDLEY_CHECK;
/* medley.conf's fuse.kind, NULL for auto; and align.kinds, for space_fit. Borrowed. */
const char *dataset_fuser(const medley_workspace *w);
const char *dataset_aligners(const medley_workspace *w);
/* The ensemble that was asked for, or medley.conf's train.ensemble, or NULL. Borrowed. A name there is none of is an
 * error. */
medley_status dataset_ensemble(const medley_workspace *w, const char *asked, const char **name,
                               medley_error *err) MEDLEY_CHECK;
/* What finding new items may cost, as fit_options has it: as asked for, or medley.conf's train.new_items, or 0. */
medley_status dataset_new_items(const medley_workspace *w, double asked, double *share, medley_error *err) MEDLEY_CHECK;
/* How a validation part is cut where nothing says how a test is: by time, if there is any. */
split_kind dataset_validation(const dataset *data);
fit_input dataset_fit_input(const dataset *data, const uint8_t *label);
void dataset_deinit(dataset *data);

#endif
