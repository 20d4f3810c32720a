/* recommend/smote.h: items made up between a rare one and one that is alike.
 *
 * Chawla, Bowyer, Hall & Kegelmeyer, "SMOTE: synthetic minority over-sampling technique", JAIR 2002: an example x of
 * the rare class and one of its k = 5 nearest of that class give x + λ (x' − x), λ even between 0 and 1.
 *
 * Here an example is a pair of a person and an item, and the item's side is interpolated, the person's kept: people are
 * sums over histories of their own, in which what lies between two of them is nobody's, while what lies between two
 * pictures of bought things is a thing somebody might make. Nearest are, by cosines of the content summed over the
 * modalities, items with an event of the goal or of a stronger one that have the same modalities: between a picture and
 * none there is nothing. The point is taken between the vectors that a network reads (as Zhao, Zhang & Wang,
 * "GraphSMOTE", WSDM 2021, take it), which for content, mapped by matrices, is the same as between the contents. */
#ifndef RECOMMEND_SMOTE_H
#define RECOMMEND_SMOTE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/rng.h"

#define SMOTE_NEIGHBOURS 5
#define SMOTE_ITEMS_MAX 20000u /* all are compared with all; of more, every n-th is */

typedef struct smote {
  uint32_t *place;     /* [items] row of near; UINT32_MAX: the item has none */
  uint32_t *near;      /* [rows, SMOTE_NEIGHBOURS] items */
  uint8_t *near_count; /* [rows] */
} smote;

/* content [parts] of [items, width] each, rows of unit length or zero; mask [items] which modalities there are; member
 * [items] nonzero: of the rare class. deinit frees, also after a failure. */
medley_status smote_init(smote *s, float *const *content, const size_t *width, size_t parts, const uint32_t *mask,
                         const uint8_t *member, uint32_t items, medley_error *err) MEDLEY_CHECK;
/* A point `towards` of the way, 0 to 1, from an item to one of its nearest; false where it has none. */
bool smote_draw(const smote *s, uint32_t item, rng *draw, uint32_t *other, float *towards);
void smote_deinit(smote *s);

#endif
