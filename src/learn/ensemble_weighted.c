/* learn/ensemble_weighted.c: a weighted sum of standardised scores, the weights searched on the metric itself.
 *
 * The search and why its result is the mean of searches on halves of the users stand in learn/weights.h.
 */
#include "learn/ensemble.h"

const ensemble_kind ensemble_weighted = {
    .name = "weighted",
    .summary = "sum of standardised scores, weights searched on the metric (the usual one)",
    .weigh = weights_choose,
};
