/* recommend/communities.c: see recommend/communities.h.
 *
 * Louvain and not Leiden (Traag et al. 2019): what Leiden mends are communities that fall apart inside, which it does
 * at the price of a second partition to keep; here a community is a crowd to average over, and its members need not be
 * connected to have the same taste.
 */
#include "recommend/communities.h"

#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

#define PASSES_MAX 30 /* over the nodes of a level; each moves fewer than the one before */
#define LEVELS_MAX 40

/* One level: the nodes are communities of the level below. */
typedef struct level {
  const sparse *graph;
  uint32_t *label;   /* [n] */
  double *degree;    /* [n] */
  double *total;     /* [n] by label: the degrees of its nodes */
  double *weight;    /* [n] by label: room */
  uint32_t *touched; /* [n] labels with a weight */
  uint32_t *order;   /* [n] */
  double all, resolution;
} level;

static void level_deinit(level *l) {
  mem_free(l->label);
  mem_free(l->degree);
  mem_free(l->total);
  mem_free(l->weight);
  mem_free(l->touched);
  mem_free(l->order);
  *l = (level){0};
}

static medley_status level_init(level *l, const sparse *graph, double resolution, rng *random, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t n = graph->rows;
  *l = (level){.graph = graph, .resolution = resolution};
  TRY_NEW(l->label, n + 1, "communities");
  TRY_NEW(l->degree, n + 1, "communities");
  TRY_NEW(l->total, n + 1, "communities");
  TRY_NEW(l->weight, n + 1, "communities");
  TRY_NEW(l->touched, n + 1, "communities");
  TRY_NEW(l->order, n + 1, "communities");
  for (uint32_t i = 0; i < n; i++) {
    l->label[i] = l->order[i] = i;
    for (uint64_t e = graph->start[i]; e < graph->start[i + 1]; e++) l->degree[i] += (double)graph->value[e];
    l->total[i] = l->degree[i];
    l->all += l->degree[i];
  }
  rng_shuffle(random, l->order, n);
done:
  return status;
}

/* Moves a node to where modularity grows the most; stays where nothing is better. */
static bool node_move(level *l, uint32_t node) {
  const sparse *g = l->graph;
  uint32_t own = l->label[node], best = own;
  size_t count = 0;
  for (uint64_t e = g->start[node]; e < g->start[node + 1]; e++) {
    uint32_t to = l->label[g->column[e]];
    if (g->column[e] == node || !(g->value[e] > 0)) continue;
    if (l->weight[to] == 0) l->touched[count++] = to;
    l->weight[to] += (double)g->value[e];
  }
  l->total[own] -= l->degree[node];
  double push = l->resolution * l->degree[node] / l->all;
  double most = l->weight[own] - push * l->total[own] + 1e-12 * l->all;
  for (size_t t = 0; t < count; t++) {
    uint32_t to = l->touched[t];
    double gain = l->weight[to] - push * l->total[to];
    if (gain > most) most = gain, best = to;
    l->weight[to] = 0;
  }
  l->weight[own] = 0;
  l->total[best] += l->degree[node];
  l->label[node] = best;
  return best != own;
}

static bool level_move(level *l) {
  bool any = false, moved = true;
  for (int pass = 0; pass < PASSES_MAX && moved; pass++) {
    moved = false;
    for (uint32_t i = 0; i < l->graph->rows; i++)
      if (l->degree[l->order[i]] > 0) moved |= node_move(l, l->order[i]);
    any |= moved;
  }
  return any;
}

/* Labels become 0, 1, … in order of first appearance; nodes without edges keep none. number [n] is room. */
static uint32_t labels_number(const double *degree, uint32_t *label, uint32_t n, uint32_t *number) {
  uint32_t count = 0;
  memset(number, 0xFF, n * sizeof *number);
  for (uint32_t i = 0; i < n; i++) {
    if (!(degree[i] > 0)) {
      label[i] = COMMUNITY_NONE;
      continue;
    }
    if (number[label[i]] == COMMUNITY_NONE) number[label[i]] = count++;
    label[i] = number[label[i]];
  }
  return count;
}

/* The graph of communities. */
static medley_status level_join(const level *l, uint32_t count, sparse *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse_entry *entries = NULL;
  size_t kept = 0;
  TRY_NEW(entries, sparse_count(l->graph) + 1, "communities");
  for (uint32_t i = 0; i < l->graph->rows; i++)
    for (uint64_t e = l->graph->start[i]; e < l->graph->start[i + 1]; e++)
      if (l->graph->value[e] > 0)
        entries[kept++] = (sparse_entry){l->label[i], l->label[l->graph->column[e]], l->graph->value[e]};
  TRY(sparse_from_entries(count, count, entries, kept, SPARSE_SUM, out, err));
done:
  mem_free(entries);
  return status;
}

medley_status communities_find(const sparse *graph, double resolution, uint64_t seed, uint32_t *label, uint32_t *count,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  level l = {0};
  sparse now = {0}, next = {0};
  rng random;
  rng_seed(&random, seed);
  *count = graph->rows;
  for (uint32_t i = 0; i < graph->rows; i++) label[i] = i;
  for (int depth = 0; depth < LEVELS_MAX; depth++) {
    level_deinit(&l);
    TRY(level_init(&l, depth == 0 ? graph : &now, resolution, &random, err));
    bool moved = level_move(&l);
    uint32_t found = labels_number(l.degree, l.label, l.graph->rows, l.order);
    for (uint32_t i = 0; i < graph->rows; i++)
      if (label[i] != COMMUNITY_NONE) label[i] = l.label[label[i]];
    *count = found;
    if (!moved) break;
    TRY(level_join(&l, found, &next, err));
    sparse_deinit(&now);
    now = next;
    next = (sparse){0};
  }
done:
  level_deinit(&l);
  sparse_deinit(&now);
  return status;
}
