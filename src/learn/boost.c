/* learn/boost.c: see learn/boost.h. */
#include "learn/boost.h"

medley_status boost_needed(medley_error *err) {
  if (boost_is_there()) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_UNSUPPORTED,
                   "this Medley was built without XGBoost: install libxgboost-dev and build it again, or take another "
                   "ensemble (medley list ensemble)");
}

#ifndef MEDLEY_XGBOOST

bool boost_is_there(void) { return false; }

medley_status boost_train(const boost_data *data, const boost_options *options, trees *out, medley_error *err) {
  (void)data, (void)options;
  *out = (trees){0};
  return boost_needed(err);
}

#else

#include <assert.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <xgboost/c_api.h>

#include "base/json.h"
#include "base/memory.h"

#define COVER_MIN 1e-6f

bool boost_is_there(void) { return true; }

static medley_status boost_refuse(medley_error *err) {
  return error_set(err, MEDLEY_ERR_INTERNAL, "XGBoost: %.300s", XGBGetLastError());
}

#define TRY_BOOST(call)           \
  do {                            \
    if ((call) != 0) {            \
      status = boost_refuse(err); \
      goto done;                  \
    }                             \
  } while (0)

/* ---- XGBoost's JSON → our arrays ---- */

/* One tree as XGBoost tells it; nodes that were pruned are still in there. */
typedef struct grown {
  const json_t *left, *right, *feature, *value, *cover;
  size_t nodes;
} grown;

/* Our arrays while they are filled, with room for as many nodes as XGBoost has. */
typedef struct filling {
  uint32_t *root, *feature, *left, *right;
  float *value, *cover;
  uint32_t count, node_count, room, feature_count;
} filling;

static bool grown_read(const json_t *tree, grown *out) {
  *out = (grown){.left = json_object_get(tree, "left_children"),
                 .right = json_object_get(tree, "right_children"),
                 .feature = json_object_get(tree, "split_indices"),
                 .value = json_object_get(tree, "split_conditions"),
                 .cover = json_object_get(tree, "sum_hessian"),
                 .nodes = json_array_size(json_object_get(tree, "left_children"))};
  const json_t *all[] = {out->right, out->feature, out->value, out->cover};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (json_array_size(all[i]) != out->nodes) return false;
  return out->nodes > 0;
}

static json_int_t whole_at(const json_t *list, size_t at) { return json_integer_value(json_array_get(list, at)); }

/* A node and what hangs from it, parents first. False when it is no tree of ours. */
static bool node_fill(filling *f, const grown *g, json_int_t from, int depth) {
  uint32_t at = f->node_count;
  if (from < 0 || (size_t)from >= g->nodes || depth > TREES_DEPTH_MAX || at == f->room) return false;
  json_int_t left = whole_at(g->left, (size_t)from), feature = whole_at(g->feature, (size_t)from);
  f->node_count++;
  f->value[at] = (float)json_number_value(json_array_get(g->value, (size_t)from));
  f->cover[at] = fmaxf(COVER_MIN, (float)json_number_value(json_array_get(g->cover, (size_t)from)));
  f->feature[at] = f->feature_count;
  if (left < 0) return true;
  if (feature < 0 || feature >= f->feature_count) return false;
  f->feature[at] = (uint32_t)feature;
  f->left[at] = f->node_count;
  if (!node_fill(f, g, left, depth + 1)) return false;
  f->right[at] = f->node_count;
  return node_fill(f, g, whole_at(g->right, (size_t)from), depth + 1);
}

static medley_status filling_room(filling *f, const json_t *list, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t i, nodes = 0;
  json_t *tree;
  json_array_foreach(list, i, tree) nodes += json_array_size(json_object_get(tree, "left_children"));
  f->room = (uint32_t)nodes;
  TRY_NEW(f->root, json_array_size(list), "trees");
  TRY_NEW(f->feature, nodes, "trees");
  TRY_NEW(f->left, nodes, "trees");
  TRY_NEW(f->right, nodes, "trees");
  TRY_NEW(f->value, nodes, "trees");
  TRY_NEW(f->cover, nodes, "trees");
done:
  return status;
}

/* text: what XGBoost saves as JSON (https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html). */
static medley_status trees_read(const char *text, size_t length, size_t feature_count, trees *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *model = NULL;
  filling f = {.feature_count = (uint32_t)feature_count};
  grown g;
  size_t i;
  json_t *tree, *booster;
  TRY(json_parse(text, length, "XGBoost's trees", &model, err));
  booster = json_object_get(json_object_get(model, "learner"), "gradient_booster");
  json_t *list = json_object_get(json_object_get(booster, "model"), "trees");
  TRY(filling_room(&f, list, err));
  json_array_foreach(list, i, tree) {
    f.root[f.count++] = f.node_count;
    if (!grown_read(tree, &g) || !node_fill(&f, &g, 0, 0))
      FAIL(err, MEDLEY_ERR_UNSUPPORTED, "tree %zu of this XGBoost is not told as expected", i);
  }
  *out = (trees){.count = f.count,
                 .feature_count = f.feature_count,
                 .node_count = f.node_count,
                 .root = f.root,
                 .feature = f.feature,
                 .left = f.left,
                 .right = f.right,
                 .value = f.value,
                 .cover = f.cover,
                 .owned = {f.root, f.feature, f.left, f.right, f.value, f.cover}};
  f = (filling){0};
  TRY(trees_check(out, "XGBoost", err));
done:
  if (status != MEDLEY_OK) trees_deinit(out);
  void *all[] = {f.root, f.feature, f.left, f.right, f.value, f.cover};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mem_free(all[k]);
  json_decref(model);
  return status;
}

/* ---- growing ---- */

static medley_status parameters_set(BoosterHandle booster, const boost_options *o, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char text[9][32];
  const char *names[] = {"nthread", "seed", "max_depth", "eta", "lambda", "min_child_weight", "verbosity"};
  snprintf(text[0], sizeof text[0], "%d", omp_get_max_threads());
  snprintf(text[1], sizeof text[1], "%u", (unsigned)(o->seed & 0x7fffffff));
  snprintf(text[2], sizeof text[2], "%d", o->depth > 0 ? o->depth : 3);
  snprintf(text[3], sizeof text[3], "%g", o->rate > 0 ? o->rate : 0.1);
  snprintf(text[4], sizeof text[4], "%g", o->ridge > 0 ? o->ridge : 1);
  snprintf(text[5], sizeof text[5], "%g", o->least > 0 ? o->least : 1);
  snprintf(text[6], sizeof text[6], "0");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) TRY_BOOST(XGBoosterSetParam(booster, names[i], text[i]));
  TRY_BOOST(XGBoosterSetParam(booster, "objective", "rank:ndcg"));
  TRY_BOOST(XGBoosterSetParam(booster, "tree_method", "hist"));
  TRY_BOOST(XGBoosterSetParam(booster, "base_score", "0"));
done:
  return status;
}

medley_status boost_train(const boost_data *d, const boost_options *options, trees *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  DMatrixHandle matrix = NULL;
  BoosterHandle booster = NULL;
  const char *text;
  bst_ulong length;
  size_t rounds = options->rounds > 0 ? options->rounds : 50;
  *out = (trees){0};
  assert(rounds <= TREES_COUNT_MAX && d->feature_count <= TREES_FEATURES_MAX);
  TRY_BOOST(XGDMatrixCreateFromMat(d->row, d->row_count, d->feature_count, NAN, &matrix));
  TRY_BOOST(XGDMatrixSetFloatInfo(matrix, "label", d->label, d->row_count));
  TRY_BOOST(XGDMatrixSetFloatInfo(matrix, "base_margin", d->margin, d->row_count));
  TRY_BOOST(XGDMatrixSetUIntInfo(matrix, "group", d->group, d->group_count));
  TRY_BOOST(XGBoosterCreate(&matrix, 1, &booster));
  TRY(parameters_set(booster, options, err));
  for (size_t r = 0; r < rounds; r++) TRY_BOOST(XGBoosterUpdateOneIter(booster, (int)r, matrix));
  TRY_BOOST(XGBoosterSaveModelToBuffer(booster, "{\"format\": \"json\"}", &length, &text));
  TRY(trees_read(text, length, d->feature_count, out, err));
done:
  if (booster != NULL) XGBoosterFree(booster);
  if (matrix != NULL) XGDMatrixFree(matrix);
  return status;
}

#endif
