/* learn/ensemble_borda.c: Borda's count (1781): every model hands in a ballot with its first 200 items, the first is
 * worth most and each place less the same; models' ballots weigh as much as the search on the metric finds.
 *
 * In the original all items are on a ballot. Among thousands the first twenty places would then differ by next to
 * nothing, and what one model places in the middle would fall behind what all find mediocre.
 */
#include "learn/ensemble.h"

const ensemble_kind ensemble_borda = {
    .name = "borda",
    .summary = "sum of votes, one point less for each place, on ballots of 200 items",
    .source = "Borda 1781; Aslam & Montague 2001",
    .votes = &votes_borda,
    .weigh = weights_choose,
};
