/* learn/space.h: where words find pictures: every pair of modalities brought into a space of its own, and every item
 * looked up in it.
 *
 * A query has parts (words, a picture, a sound, another item); each part is compared with each side of the items: its
 * own modality in the encoder's space, another modality in the space of that pair. Similarities of different spaces are
 * not comparable, so each is calibrated once, at training: z = (similarity − mean of random pairs) / their deviation. A
 * side's weight is how well the pair finds its partner on held-out items (1 for the same modality).
 */
#ifndef LEARN_SPACE_H
#define LEARN_SPACE_H

#include "align/aligner.h"
#include "learn/represent.h"

#define SPACE_SIDES_MAX 32

/* Queries of one part meet items of another. */
typedef struct space_side {
  uint32_t query_part, item_part; /* indexes into the representation */
  const alignment *map;           /* NULL when both are the same */
  int query_side;                 /* which side of the map the query goes through */
  const float *rows;              /* [items, dim] unit rows of the items */
  const uint8_t *present;         /* [items] */
  size_t dim;
  float mean, deviation; /* of the similarity of random pairs */
  float weight;
} space_side;

typedef struct space_pair {
  uint32_t part[2];
  alignment map;
  alignment_report report; /* on held-out items */
  float *rows[2];          /* items of part[0] and part[1] in the shared space, [items, map.dim] */
  size_t train_count, valid_count;
} space_pair;

typedef struct space {
  const representation *content; /* borrowed */
  space_pair *pairs;
  size_t pair_count;
  space_side sides[SPACE_SIDES_MAX];
  size_t side_count;
} space;

#define SPACE_ALIGNERS_MAX 8
/* "align.cca, align.ridge" → rows of aligner_kinds; text NULL: the usual ones. INPUT naming medley.conf's align.kinds
 * when one is not known or none is left. */
medley_status space_aligners_read(const char *text, const aligner_kind *out[SPACE_ALIGNERS_MAX], size_t *count,
                                  medley_error *err) MEDLEY_CHECK;
/* fit_items as in represent_options. aligners: the kinds that are tried, as above. Pairs with too few common items are
 * left out. */
medley_status space_fit(const representation *content, const uint8_t *fit_items, const char *aligners, uint64_t seed,
                        const medley_progress *progress, space **out, medley_error *err) MEDLEY_CHECK;
void space_free(space *s);
medley_status space_save(const space *s, safetensors_writer *w, json_t *manifest, medley_error *err) MEDLEY_CHECK;
medley_status space_load(const safetensors *file, const json_t *manifest, const representation *content, space **out,
                         medley_error *err) MEDLEY_CHECK;

/* The query vector of a side from a unit vector of its query part; out [side->dim]. */
void space_side_query(const space_side *side, const float *query, float *out);
/* The calibrated similarity of an item to such a vector; 0 (the mean) where the item has not this side. */
float space_side_score(const space_side *side, const float *query, uint32_t item);

#endif
