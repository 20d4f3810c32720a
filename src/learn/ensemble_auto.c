/* learn/ensemble_auto.c: one of the others: the one that ranks best for users whose events its weights were not found
 * on (four folds), the usual one unless another is better by two standard errors. */
#include "learn/ensemble.h"

const ensemble_kind ensemble_auto = {
    .name = "auto",
    .summary = "the kind that is best on held-out users; weighted unless another is surely better",
};
