/* engine/generation.h: one immutable result of training: models/<number>/ with
 *
 *   content.safetensors  vectors, encoders, normalisers, alignments, item ids
 *   models.safetensors   recommenders and the blend
 *   graph-*.index      graphs for searches over large catalogues (engine/graphs.h)
 *   manifest.json        what was fitted, with settings, weights and figures; written last, so that its presence means
 *                        that the folder is whole
 *
 * The folder is written beside its name and renamed; `current` then points to it. Old generations are removed but for
 * the last few.
 */
#ifndef ENGINE_GENERATION_H
#define ENGINE_GENERATION_H

#include "engine/graphs.h"
#include "learn/fit.h"
#include "learn/represent.h"
#include "learn/space.h"

#define GENERATIONS_KEPT 3

/* How events of a type become a weight in a history. */
typedef struct event_type_weight {
  float weight;
  bool rating; /* the value is held against the threshold */
} event_type_weight;

typedef struct generation {
  int64_t number;
  json_t *manifest;
  safetensors content_file, models_file;
  catalogue items;        /* as the store has them now, for titles, tags and rules */
  uint32_t item_count;    /* items of the generation */
  int64_t *item_id;       /* [item_count] */
  intmap item_index;      /* store id → index in the generation */
  uint32_t *catalogue_at; /* [item_count] index into `items`, UINT32_MAX when deleted since */
  uint8_t *blocked;       /* [item_count] 1: deleted or hidden: never answered */
  float *popularity;      /* [item_count] users in training */
  intmap user_row;        /* store id → row in training; empty when no model of the blend reads friends */
  traits traits;          /* how people are told apart; no fields when no model of the blend reads traits */
  strmap type_names;      /* event type → index into type_weight */
  event_type_weight *type_weight;
  float rating_threshold;
  representation *content;
  space *space;
  blend *blend;
  graphs graphs;
} generation;

/* What training hands over. Borrowed. */
typedef struct generation_parts {
  const catalogue *items;
  const event_log *log;
  const event_weights *weights;
  const representation *content;
  const space *space;
  const fit_result *fit;
  size_t graphs_from; /* sides with so many items get a graph; 0: none do */
  const medley_progress *progress;
  json_t *report; /* added to the manifest as "report" */
} generation_parts;

/* Writes the generation and makes it current; *number is its number. */
medley_status generation_publish(const char *workspace, const generation_parts *parts, int64_t *number,
                                 medley_error *err) MEDLEY_CHECK;
/* The number in `current`; 0 when there is none. */
medley_status generation_current(const char *workspace, int64_t *number, medley_error *err) MEDLEY_CHECK;
medley_status generation_load(const char *workspace, int64_t number, const store_kind *kind, store *s, generation **out,
                              medley_error *err) MEDLEY_CHECK;
void generation_free(generation *g);

/* The catalogue entry of an item, or NULL when it was deleted. */
const catalogue_item *generation_item(const generation *g, uint32_t index);
/* UINT32_MAX when the item is not part of the generation. */
uint32_t generation_index(const generation *g, int64_t item_id);

#endif
