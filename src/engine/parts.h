/* engine/parts.h: what the blend says of one item, as named parts, and in words. */
#ifndef ENGINE_PARTS_H
#define ENGINE_PARTS_H

#include "engine/answer_buffers.h"

/* The state after blend_score: b->columns holds the parts, b->total the scores. Borrowed. */
typedef struct blend_parts_request {
  const generation *g;
  answer_buffers *b;
  const history *h;
  const float *scales; /* from blend_score */
  size_t ahead;        /* places that pinned items take */
  bool diverse;        /* the list is not in order of score: what would stand in it otherwise is not told */
} blend_parts_request;

/* Adds the blend's parts for the item; models with sides (one per modality) are told side by side. They sum to what the
 * blend gave. */
medley_status blend_parts_add(const blend_parts_request *r, uint32_t item, answer_builder *out, medley_result *result,
                              medley_error *err) MEDLEY_CHECK;

/* Evidence [h->count]: how much each history item speaks for the item, summed over the models that can tell; needs no
 * room of its own. */
medley_status blend_parts_evidence(const blend_parts_request *r, uint32_t item, float *evidence,
                                   medley_error *err) MEDLEY_CHECK;

/* Fills because, why and counterfactual. shown: the length of the list the reader sees. */
medley_status blend_parts_why(const blend_parts_request *r, uint32_t item, size_t shown, answer_builder *out,
                              medley_result *result, medley_error *err) MEDLEY_CHECK;

/* The smallest set (up to three) of the strongest evidence without which the item is not among the first `shown`;
 * *count 0: none. rank_after is the 0-based rank then. without [3]: positions in the history. */
medley_status blend_parts_counterfactual(const blend_parts_request *r, uint32_t item, const float *evidence,
                                         size_t shown, size_t without[3], size_t *count, size_t *rank_after,
                                         medley_error *err) MEDLEY_CHECK;

#endif
