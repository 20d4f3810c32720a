/* eval/metric.c: the ranking metrics, one row each, and what is measured over all users' lists.
 *
 * All of them are cheap beside producing the ranking, so each recomputes what it needs and stays readable by itself.
 */
#include "eval/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* ---- accuracy ---- */

static size_t shorter(size_t a, size_t b) { return a < b ? a : b; }

static bool is_relevant(const ranking *r, uint32_t item) {
  size_t lo = 0, hi = r->relevant_count;
  while (lo < hi) {
    size_t middle = lo + (hi - lo) / 2;
    if (r->relevant[middle] < item)
      lo = middle + 1;
    else
      hi = middle;
  }
  return lo < r->relevant_count && r->relevant[lo] == item;
}

static size_t count_hits(const ranking *r, size_t k) {
  size_t hits = 0;
  for (size_t i = 0; i < shorter(k, r->top_count); i++) hits += is_relevant(r, r->top[i]);
  return hits;
}

static double precision(const ranking *r, size_t k) {
  return r->relevant_count == 0 || k == 0 ? NAN : (double)count_hits(r, k) / (double)k;
}

static double recall(const ranking *r, size_t k) {
  return r->relevant_count == 0 ? NAN : (double)count_hits(r, k) / (double)r->relevant_count;
}

/* 2PR / (P + R) with P = hits/k and R = hits/relevant is this. */
static double f1(const ranking *r, size_t k) {
  return r->relevant_count == 0 || k == 0 ? NAN : 2 * (double)count_hits(r, k) / (double)(k + r->relevant_count);
}

static double hit(const ranking *r, size_t k) { return r->relevant_count == 0 ? NAN : count_hits(r, k) > 0; }

static double ndcg(const ranking *r, size_t k) {
  if (r->relevant_count == 0 || k == 0) return NAN;
  double gain = 0, ideal = 0;
  for (size_t i = 0; i < shorter(k, r->relevant_count); i++) ideal += 1 / log2((double)i + 2);
  for (size_t i = 0; i < shorter(k, r->top_count); i++)
    if (is_relevant(r, r->top[i])) gain += 1 / log2((double)i + 2);
  return gain / ideal;
}

static double average_precision(const ranking *r, size_t k) {
  if (r->relevant_count == 0 || k == 0) return NAN;
  double sum = 0;
  size_t hits = 0;
  for (size_t i = 0; i < shorter(k, r->top_count); i++)
    if (is_relevant(r, r->top[i])) sum += (double)++hits / (double)(i + 1);
  return sum / (double)shorter(k, r->relevant_count);
}

/* The whole ranking counts when no k is given and the ranks are known. */
static double reciprocal_rank(const ranking *r, size_t k) {
  if (r->relevant_count == 0) return NAN;
  size_t best = SIZE_MAX;
  for (size_t i = 0; r->relevant_rank != NULL && i < r->relevant_count; i++)
    if (r->relevant_rank[i] < best) best = r->relevant_rank[i];
  for (size_t i = 0; r->relevant_rank == NULL && best == SIZE_MAX && i < r->top_count; i++)
    if (is_relevant(r, r->top[i])) best = i;
  return best != SIZE_MAX && (k == 0 || best < k) ? 1 / (double)(best + 1) : 0;
}

/* Above the relevant item of rank p stand p candidates; those of them that are relevant themselves are no mistakes.
 * Their number over all relevant items is 0 + 1 + … + (R - 1). */
static double auc(const ranking *r, size_t k) {
  (void)k;
  double relevant = (double)r->relevant_count, others = (double)r->candidate_count - relevant, above = 0;
  if (relevant == 0 || others <= 0 || r->relevant_rank == NULL) return NAN;
  for (size_t i = 0; i < r->relevant_count; i++) above += r->relevant_rank[i];
  return 1 - (above - relevant * (relevant - 1) / 2) / (relevant * others);
}

/* ---- beyond accuracy ---- */

static double mean_popularity(const ranking *r, size_t k) {
  size_t count = shorter(k, r->top_count);
  double sum = 0;
  if (r->popularity == NULL || count == 0) return NAN;
  for (size_t i = 0; i < count; i++) sum += r->popularity[r->top[i]];
  return sum / (double)count;
}

static double novelty(const ranking *r, size_t k) {
  size_t count = shorter(k, r->top_count);
  double sum = 0;
  if (r->popularity == NULL || !(r->user_count > 0) || count == 0) return NAN;
  for (size_t i = 0; i < count; i++) sum -= log2(fmax(r->popularity[r->top[i]], 1) / r->user_count);
  return sum / (double)count;
}

/* The cosines of all pairs add up to (|Σv|² - Σ|v|²) / 2, so the list is read once instead of once per pair; a block of
 * dimensions at a time fits on the stack. Items without a vector (all zero) have no distance to others and are left
 * out. */
static double diversity(const ranking *r, size_t k) {
  enum { BLOCK = 128 };
  double whole = 0, single = 0, items = 0;
  if (r->item_vectors == NULL) return NAN;
  for (size_t i = 0; i < shorter(k, r->top_count); i++) {
    const float *v = r->item_vectors + (size_t)r->top[i] * r->item_dim;
    double square = 0;
    for (size_t d = 0; d < r->item_dim; d++) square += (double)v[d] * v[d];
    single += square;
    items += square > 0;
  }
  for (size_t from = 0; from < r->item_dim; from += BLOCK) {
    double sum[BLOCK] = {0};
    size_t dims = shorter(BLOCK, r->item_dim - from);
    for (size_t i = 0; i < shorter(k, r->top_count); i++)
      for (size_t d = 0; d < dims; d++) sum[d] += r->item_vectors[(size_t)r->top[i] * r->item_dim + from + d];
    for (size_t d = 0; d < dims; d++) whole += sum[d] * sum[d];
  }
  return items < 2 ? NAN : 1 - (whole - single) / (items * (items - 1));
}

static double serendipity(const ranking *r, size_t k) {
  double sum = 0;
  if (r->expected == NULL || r->relevant_count == 0 || k == 0) return NAN;
  for (size_t i = 0; i < shorter(k, r->top_count); i++)
    if (is_relevant(r, r->top[i])) sum += fmax(0, 1 - (double)r->expected[r->top[i]]);
  return sum / (double)k;
}

static double accuracy_at_half(const metric_pairs *p) { return metric_accuracy(p, 0.5); }

const metric_kind metric_kinds[] = {
    {.name = "precision",
     .definition = "hits among the first k / k",
     .needs_k = 1,
     .higher_is_better = 1,
     .compute = precision},
    {.name = "recall",
     .definition = "hits among the first k / relevant items",
     .needs_k = 1,
     .higher_is_better = 1,
     .compute = recall},
    {.name = "f1",
     .definition = "2 x hits / (k + relevant items): the harmonic mean of precision and recall",
     .needs_k = 1,
     .higher_is_better = 1,
     .compute = f1},
    {.name = "hit",
     .definition = "1 when the first k hold a relevant item, else 0",
     .needs_k = 1,
     .higher_is_better = 1,
     .compute = hit},
    {.name = "ndcg",
     .definition = "sum of 1 / log2(rank + 1) over the hits among the first k / the same sum over ranks 1 to min(k, "
                   "relevant items)",
     .needs_k = 1,
     .higher_is_better = 1,
     .compute = ndcg},
    {.name = "map",
     .definition = "sum of the precision at each hit among the first k / min(k, relevant items)",
     .needs_k = 1,
     .higher_is_better = 1,
     .compute = average_precision},
    {.name = "mrr",
     .definition = "1 / rank of the first relevant item, 0 when it is not among the first k",
     .needs_k = 1,
     .higher_is_better = 1,
     .compute = reciprocal_rank},
    {.name = "auc",
     .definition = "share of pairs of a relevant and another candidate in which the relevant one ranks higher",
     .higher_is_better = 1,
     .compute = auc},
    {.name = "arp",
     .definition = "mean number of training users of the first k items; lower means less bias to the popular",
     .needs_k = 1,
     .compute = mean_popularity},
    {.name = "novelty",
     .definition = "mean of -log2(training users of the item / all training users) over the first k",
     .needs_k = 1,
     .higher_is_better = 1,
     .compute = novelty},
    {.name = "diversity",
     .definition = "1 - mean cosine of all pairs of the first k items' vectors",
     .needs_k = 1,
     .higher_is_better = 1,
     .compute = diversity},
    {.name = "serendipity",
     .definition = "sum of (1 - expectedness by popularity, 0 to 1) over the hits among the first k / k",
     .needs_k = 1,
     .higher_is_better = 1,
     .compute = serendipity},
    {.name = "coverage",
     .definition = "share of the catalogue that is in somebody's first k",
     .needs_k = 1,
     .higher_is_better = 1,
     .over_lists = metric_coverage},
    {.name = "gini",
     .definition = "Gini coefficient of how often each item is shown among the first k: 0 when all are shown alike",
     .needs_k = 1,
     .over_lists = metric_gini},
    {.name = "mae",
     .definition = "mean of |predicted - true| over test ratings, scores being brought to ratings by a line",
     .over_pairs = metric_mae,
     .of_ratings = 1},
    {.name = "rmse",
     .definition =
         "root of the mean of (predicted - true)^2 over test ratings, scores being brought to ratings by a line",
     .over_pairs = metric_rmse,
     .of_ratings = 1},
    {.name = "accuracy",
     .definition = "share of test events whose probability of being liked is on the right side of 1/2",
     .higher_is_better = 1,
     .over_pairs = accuracy_at_half},
    {.name = "log-loss",
     .definition = "mean of -log(probability given to what happened) over liked and disliked test events",
     .over_pairs = metric_log_loss},
    {.name = "gauc",
     .definition = "share of pairs of a user's liked and disliked test events in the right order, by the user's events",
     .higher_is_better = 1,
     .over_pairs = metric_gauc},
    {0},
};

const metric_kind *metric_find(const char *name) {
  for (const metric_kind *m = metric_kinds; m->name != NULL; m++)
    if (strcmp(m->name, name) == 0) return m;
  return NULL;
}

/* ---- over all users ---- */

/* How often each item is recommended; NULL when memory runs out. *shown: how many places were filled. */
static uint32_t *exposure_count(const uint32_t *top, size_t user_count, size_t k, size_t item_count, size_t *shown) {
  uint32_t *exposure = mem_zalloc(item_count, sizeof *exposure);
  *shown = 0;
  for (size_t i = 0; exposure != NULL && i < user_count * k; i++) {
    if (top[i] >= item_count) continue;
    exposure[top[i]]++;
    (*shown)++;
  }
  return exposure;
}

double metric_coverage(const uint32_t *top, size_t user_count, size_t k, size_t item_count) {
  size_t shown, covered = 0;
  if (item_count == 0) return NAN;
  uint32_t *exposure = exposure_count(top, user_count, k, item_count, &shown);
  if (exposure == NULL) return NAN;
  for (size_t i = 0; i < item_count; i++) covered += exposure[i] > 0;
  mem_free(exposure);
  return (double)covered / (double)item_count;
}

static int count_compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* With exposures c ascending: sum of (2i - n - 1) c_i over n times the sum of c. */
double metric_gini(const uint32_t *top, size_t user_count, size_t k, size_t item_count) {
  size_t shown;
  uint32_t *exposure = exposure_count(top, user_count, k, item_count, &shown);
  double sum = 0, n = (double)item_count;
  if (exposure == NULL) return NAN;
  qsort(exposure, item_count, sizeof *exposure, count_compare);
  for (size_t i = 0; i < item_count; i++) sum += (2 * ((double)i + 1) - n - 1) * exposure[i];
  mem_free(exposure);
  return shown == 0 ? NAN : sum / (n * (double)shown);
}
