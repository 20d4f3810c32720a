/* recommend/trees.c: see recommend/trees.h. */
#include "recommend/trees.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "recommend/model.h"

void trees_deinit(trees *t) {
  for (size_t i = 0; i < sizeof t->owned / sizeof *t->owned; i++) mem_free(t->owned[i]);
  *t = (trees){0};
}

static bool is_leaf(const trees *t, uint32_t node) { return t->feature[node] == t->feature_count; }

/* ---- checking ---- */

static medley_status node_refuse(const char *name, uint32_t node, const char *why, medley_error *err) {
  return error_set(err, MEDLEY_ERR_CORRUPT, "%s: node %u of the trees %s", name, node, why);
}

/* Depth of every node, by its parent, which comes before it; a node that no parent names has none. */
static medley_status depths_check(const trees *t, const char *name, uint8_t *depth, medley_error *err) {
  enum { UNKNOWN = 255 };
  memset(depth, UNKNOWN, t->node_count);
  for (uint32_t r = 0; r < t->count; r++) {
    if (depth[t->root[r]] != UNKNOWN) return node_refuse(name, t->root[r], "is the root of two", err);
    depth[t->root[r]] = 0;
  }
  for (uint32_t n = 0; n < t->node_count; n++) {
    if (depth[n] == UNKNOWN) return node_refuse(name, n, "hangs from nothing", err);
    if (!isfinite(t->value[n]) || !isfinite(t->cover[n]) || !(t->cover[n] > 0))
      return node_refuse(name, n, "holds no numbers that can be", err);
    if (is_leaf(t, n)) continue;
    const uint32_t children[2] = {t->left[n], t->right[n]};
    for (int c = 0; c < 2; c++) {
      if (children[c] <= n || children[c] >= t->node_count) return node_refuse(name, n, "has no child there", err);
      if (depth[children[c]] != UNKNOWN) return node_refuse(name, children[c], "has two parents", err);
      depth[children[c]] = depth[n] + 1;
    }
    if (depth[n] == TREES_DEPTH_MAX) return node_refuse(name, n, "lies too deep", err);
  }
  return MEDLEY_OK;
}

/* The mean of a subtree's leaves by cover. */
static double node_mean(const trees *t, uint32_t node) {
  if (is_leaf(t, node)) return (double)t->value[node];
  uint32_t left = t->left[node], right = t->right[node];
  double a = (double)t->cover[left], b = (double)t->cover[right];
  return (a * node_mean(t, left) + b * node_mean(t, right)) / (a + b);
}

medley_status trees_check(trees *t, const char *name, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t *depth = NULL;
  if (t->feature_count == 0 || t->feature_count > TREES_FEATURES_MAX || t->count > TREES_COUNT_MAX)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: %u trees over %u features", name, t->count, t->feature_count);
  for (uint32_t r = 0; r < t->count; r++)
    if (t->root[r] >= t->node_count) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: tree %u has no root", name, r);
  TRY_NEW(depth, t->node_count, "trees");
  TRY(depths_check(t, name, depth, err));
  t->expected = 0;
  for (uint32_t r = 0; r < t->count; r++) t->expected += node_mean(t, t->root[r]);
done:
  mem_free(depth);
  return status;
}

void trees_scale(trees *t, double factor) {
  for (uint32_t n = 0; n < t->node_count; n++)
    if (is_leaf(t, n)) ((float *)(uintptr_t)t->value)[n] *= (float)factor;
  t->expected *= factor;
}

/* ---- answering ---- */

double trees_predict(const trees *t, uint32_t from, uint32_t end, const float *row) {
  double sum = 0;
  for (uint32_t r = from; r < end; r++) {
    uint32_t node = t->root[r];
    while (!is_leaf(t, node)) node = row[t->feature[node]] < t->value[node] ? t->left[node] : t->right[node];
    sum += (double)t->value[node];
  }
  return sum;
}

/* ---- Shapley values ---- */

/* One feature on the way to a node: the share of orders in which it is among the known ones is kept by size of the set
 * (weight). zero: the share of data that goes this way when it is not known; one: whether the row does (1 or 0). The
 * first step stands for nothing yet known. Letters as in the paper: d feature, z zero, o one, w weight. */
typedef struct step {
  uint32_t d;
  double z, o, w;
} step;

#define STEPS_MAX (TREES_DEPTH_MAX + 2)

/* way [length] → way [length + 1]. */
static void way_extend(step *way, int length, double z, double o, uint32_t d) {
  way[length] = (step){d, z, o, length == 0 ? 1 : 0};
  for (int i = length - 1; i >= 0; i--) {
    way[i + 1].w += o * way[i].w * (i + 1) / (length + 1);
    way[i].w = z * way[i].w * (length - i) / (length + 1);
  }
}

/* Undoes the extension by step `at`: way [length] → way [length - 1]. */
static void way_unwind(step *way, int length, int at) {
  double z = way[at].z, o = way[at].o, next = way[length - 1].w;
  for (int i = length - 2; i >= 0; i--) {
    if (o != 0) {
      double kept = way[i].w;
      way[i].w = next * length / ((i + 1) * o);
      next = kept - way[i].w * z * (length - 1 - i) / length;
    } else {
      way[i].w = way[i].w * length / (z * (length - 1 - i));
    }
  }
  for (int i = at; i < length - 1; i++) {
    way[i].d = way[i + 1].d;
    way[i].z = way[i + 1].z;
    way[i].o = way[i + 1].o;
  }
}

/* The sum of the weights after such an unwinding. */
static double way_sum_without(const step *way, int length, int at) {
  step left[STEPS_MAX];
  double sum = 0;
  memcpy(left, way, (size_t)length * sizeof *left);
  way_unwind(left, length, at);
  for (int i = 0; i < length - 1; i++) sum += left[i].w;
  return sum;
}

/* way [length]: the steps to the parent; then comes the one by feature d. */
static void node_explain(const trees *t, const float *row, uint32_t node, const step *way, int length, double z,
                         double o, uint32_t d, double *share) {
  step mine[STEPS_MAX];
  memcpy(mine, way, (size_t)length * sizeof *mine);
  way_extend(mine, length++, z, o, d);
  if (is_leaf(t, node)) {
    for (int i = 1; i < length; i++)
      share[mine[i].d] += way_sum_without(mine, length, i) * (mine[i].o - mine[i].z) * (double)t->value[node];
    return;
  }
  uint32_t feature = t->feature[node], left = t->left[node], right = t->right[node];
  bool goes_left = row[feature] < t->value[node];
  double z_before = 1, o_before = 1, all = (double)t->cover[left] + (double)t->cover[right];
  for (int i = 1; i < length; i++) {
    if (mine[i].d != feature) continue;
    z_before = mine[i].z; /* asked before: what it says now replaces what it said */
    o_before = mine[i].o;
    way_unwind(mine, length--, i);
    break;
  }
  node_explain(t, row, left, mine, length, z_before * (double)t->cover[left] / all, goes_left ? o_before : 0, feature,
               share);
  node_explain(t, row, right, mine, length, z_before * (double)t->cover[right] / all, goes_left ? 0 : o_before, feature,
               share);
}

void trees_explain(const trees *t, const float *row, double *share) {
  step way[STEPS_MAX];
  memset(share, 0, t->feature_count * sizeof *share);
  for (uint32_t r = 0; r < t->count; r++) node_explain(t, row, t->root[r], way, 0, 1, 1, t->feature_count, share);
}

/* ---- save and load ---- */

medley_status trees_save(const trees *t, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(model_add_u32(w, prefix, "root", t->count, t->root, err));
  TRY(model_add_u32(w, prefix, "feature", t->node_count, t->feature, err));
  TRY(model_add_u32(w, prefix, "left", t->node_count, t->left, err));
  TRY(model_add_u32(w, prefix, "right", t->node_count, t->right, err));
  TRY(model_add_f32(w, prefix, "value", 1, t->node_count, t->value, err));
  TRY(model_add_f32(w, prefix, "cover", 1, t->node_count, t->cover, err));
done:
  return status;
}

medley_status trees_load(const safetensors *s, const char *prefix, uint32_t feature_count, trees *out,
                         medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t roots, nodes;
  *out = (trees){.feature_count = feature_count};
  TRY(model_get_f32(s, prefix, "value", 1, 0, &out->value, NULL, &nodes, err));
  if (nodes >= UINT32_MAX) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: too many nodes of trees", s->path);
  out->node_count = (uint32_t)nodes;
  TRY(model_get_f32(s, prefix, "cover", 1, nodes, &out->cover, NULL, NULL, err));
  TRY(model_get_u32(s, prefix, "root", 0, out->node_count, &out->root, &roots, err));
  TRY(model_get_u32(s, prefix, "feature", nodes, feature_count + 1, &out->feature, NULL, err));
  TRY(model_get_u32(s, prefix, "left", nodes, out->node_count, &out->left, NULL, err));
  TRY(model_get_u32(s, prefix, "right", nodes, out->node_count, &out->right, NULL, err));
  if (roots > TREES_COUNT_MAX) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: too many trees", s->path);
  out->count = (uint32_t)roots;
  TRY(trees_check(out, s->path, err));
done:
  return status;
}
