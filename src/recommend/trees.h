/* recommend/trees.h: a sum of regression trees that was grown elsewhere: what it says of a row, and how much of that
 * each feature is to be credited with.
 *
 * Trees are kept as arrays that are checked when they are read from a file, and answered here: growing them takes
 * XGBoost (learn/boost.h), serving them takes neither that library nor its file format, and a file of a stranger's
 * reaches no other parser than the house's own.
 *
 * Thread-safe after loading.
 */
#ifndef RECOMMEND_TREES_H
#define RECOMMEND_TREES_H

#include "base/error.h"
#include "nn/safetensors.h"

#define TREES_FEATURES_MAX 64
#define TREES_DEPTH_MAX 8 /* edges from a root to a leaf: what a row may cost is bounded by it */
#define TREES_COUNT_MAX 4096

/* Nodes of all trees one after the other, a parent before its children. A row goes left when its feature is less than
 * the value; the value of a leaf (feature == feature_count, no children: both 0) is what the tree says. */
typedef struct trees {
  uint32_t count, feature_count, node_count;
  const uint32_t *root;                   /* [count] */
  const uint32_t *feature, *left, *right; /* [node_count] */
  const float *value;                     /* [node_count] */
  const float *cover;                     /* [node_count] how much of the training data came by; > 0 */
  double expected;                        /* the mean over that data */
  void *owned[6];                         /* what of these arrays is not borrowed */
} trees;

void trees_deinit(trees *t);

/* Checks what every other function relies on, and finds `expected`. name is for sentences. */
medley_status trees_check(trees *t, const char *name, medley_error *err) MEDLEY_CHECK;

/* Multiplies what the trees say; only of trees that own their arrays. */
void trees_scale(trees *t, double factor);

/* What trees from … up to `end` (not included) say of a row [feature_count], all finite. */
double trees_predict(const trees *t, uint32_t from, uint32_t end, const float *row);

/* Shapley values of all trees for a row: share [feature_count], which sum to what the trees say less `expected`. Where
 * a feature is not known both ways are gone, weighted by cover (Lundberg, Erion & Lee, "Consistent individualized
 * feature attribution for tree ensembles", 2018, algorithm 2). */
void trees_explain(const trees *t, const float *row, double *share);

medley_status trees_save(const trees *t, safetensors_writer *w, const char *prefix, medley_error *err) MEDLEY_CHECK;
/* Arrays are borrowed from s. */
medley_status trees_load(const safetensors *s, const char *prefix, uint32_t feature_count, trees *out,
                         medley_error *err) MEDLEY_CHECK;

#endif
