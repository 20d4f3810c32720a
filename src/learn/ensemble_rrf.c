/* learn/ensemble_rrf.c: reciprocal rank fusion: a model's vote for an item is 1 / (60 + rank). Only the first places
 * count for much, and what one model alone places far ahead does not outvote the others. */
#include "learn/ensemble.h"

const ensemble_kind ensemble_rrf = {
    .name = "rrf",
    .summary = "reciprocal rank fusion: sum of 1 / (60 + rank), weighted",
    .source = "Cormack, Clarke & Büttcher 2009",
    .votes = &votes_rrf,
    .weigh = weights_choose,
};
