/* recommend/communities.h: communities of a graph by modularity (Louvain: Blondel et al. 2008), with a resolution γ
 * (Reichardt & Bornholdt 2006):
 *
 *   Q = Σ_c [ w_c / 2m − γ (k_c / 2m)² ]
 *
 * w_c: twice the weight of the edges inside c, k_c: the degrees of its nodes, 2m: all degrees.
 */
#ifndef RECOMMEND_COMMUNITIES_H
#define RECOMMEND_COMMUNITIES_H

#include "math/sparse.h"

#define COMMUNITY_NONE UINT32_MAX

/* graph [n, n] symmetric, values >= 0; what lies on the diagonal counts as an edge of a node with itself. label [n]:
 * the community of each node, numbered from 0 in order of first appearance; COMMUNITY_NONE for a node without edges.
 * The same seed gives the same labels: nodes are visited in an order drawn from it. */
medley_status communities_find(const sparse *graph, double resolution, uint64_t seed, uint32_t *label, uint32_t *count,
                               medley_error *err) MEDLEY_CHECK;

#endif
