/* recommend/alike.h: a graph of items that are alike by content. */
#ifndef RECOMMEND_ALIKE_H
#define RECOMMEND_ALIKE_H

#include "data/interactions.h"
#include "encode/features.h"

#define ALIKE_ITEMS_MAX 50000u /* every item is compared with every other: 3 TFLOP at 512 dimensions */

/* *out [items, items] = A + Aᵀ, owned, with A = Σ_m a_m K_m over the modalities and Σ a_m = 1: row i of K_m holds the
 * cosines of the k items nearest to i by modality m, centred, summing to one. a_m grows with how much more often such
 * neighbours are chosen by the same people than chance would have it (lift − 1); a modality without any gets none, and
 * where none has, or there are more than ALIKE_ITEMS_MAX items, the matrix has no rows.
 * share [count]: a_m. */
medley_status alike_find(const interactions *train, const features *list, size_t count, size_t k, double *share,
                         sparse *out, medley_error *err) MEDLEY_CHECK;

/* out [count] zeroed before, each owned: K_m of each modality by itself, neighbours only among items that somebody
 * chose. share [count]: a_m; all zero where no modality has a lift. At most ALIKE_ITEMS_MAX items. */
medley_status alike_find_each(const interactions *train, const features *list, size_t count, size_t k, double *share,
                              sparse *out, medley_error *err) MEDLEY_CHECK;

#endif
