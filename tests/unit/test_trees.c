/* Trees: what they say beside a walk by hand, Shapley values beside their definition over all sets of features, saving,
 * files of strangers, and growing by XGBoost. */
#include "recommend/trees.h"

#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "learn/boost.h"
#include "recommend/rerank.h"
#include "store/store.h"
#include "test.h"

#define FEATURES 7
#define NODES_MAX 4096

/* Trees made up, in arrays that the tests may spoil. */
typedef struct wood {
  trees t;
  uint32_t root[64], feature[NODES_MAX], left[NODES_MAX], right[NODES_MAX];
  float value[NODES_MAX], cover[NODES_MAX];
} wood;

static uint32_t grow(wood *w, rng *r, int depth, float cover) {
  uint32_t at = w->t.node_count++;
  w->cover[at] = cover;
  w->value[at] = (float)rng_normal(r);
  w->feature[at] = FEATURES;
  w->left[at] = w->right[at] = 0;
  if (depth == 0 || rng_below(r, 5) == 0) return at;
  float share = 0.1f + 0.8f * (float)rng_uniform(r);
  w->feature[at] = (uint32_t)rng_below(r, FEATURES);
  w->left[at] = grow(w, r, depth - 1, cover * share);
  w->right[at] = grow(w, r, depth - 1, cover * (1 - share));
  return at;
}

static wood *wood_make(uint64_t seed, uint32_t count, int depth) {
  wood *w = calloc(1, sizeof *w);
  rng r;
  rng_seed(&r, seed);
  for (uint32_t k = 0; k < count; k++) w->root[k] = grow(w, &r, depth, 100);
  w->t.count = count;
  w->t.feature_count = FEATURES;
  w->t.root = w->root;
  w->t.feature = w->feature;
  w->t.left = w->left;
  w->t.right = w->right;
  w->t.value = w->value;
  w->t.cover = w->cover;
  return w;
}

/* The mean of a subtree when only features in the set are known. */
static double told(const trees *t, uint32_t node, const float *row, unsigned known) {
  uint32_t f = t->feature[node];
  if (f == t->feature_count) return (double)t->value[node];
  if (known >> f & 1) return told(t, row[f] < t->value[node] ? t->left[node] : t->right[node], row, known);
  double a = (double)t->cover[t->left[node]], b = (double)t->cover[t->right[node]];
  return (a * told(t, t->left[node], row, known) + b * told(t, t->right[node], row, known)) / (a + b);
}

static double told_by_all(const trees *t, const float *row, unsigned known) {
  double sum = 0;
  for (uint32_t k = 0; k < t->count; k++) sum += told(t, t->root[k], row, known);
  return sum;
}

/* Σ over sets without f of |S|! (n - |S| - 1)! / n! · (with f - without). */
static double shapley(const trees *t, const float *row, unsigned f) {
  static const double factorial[] = {1, 1, 2, 6, 24, 120, 720, 5040};
  double sum = 0;
  for (unsigned set = 0; set < 1u << FEATURES; set++) {
    if (set >> f & 1) continue;
    int size = __builtin_popcount(set);
    sum += factorial[size] * factorial[FEATURES - size - 1] / factorial[FEATURES] *
           (told_by_all(t, row, set | 1u << f) - told_by_all(t, row, set));
  }
  return sum;
}

static void test_shapley_values_by_definition(void **state) {
  (void)state;
  medley_error error;
  rng r;
  rng_seed(&r, 9);
  for (int depth = 0; depth <= TREES_DEPTH_MAX; depth++) {
    wood *w = wood_make((uint64_t)depth + 1, 6, depth);
    assert_ok(trees_check(&w->t, "wood", &error));
    assert_near(w->t.expected, told_by_all(&w->t, (const float[FEATURES]){0}, 0), 1e-9);
    for (int round = 0; round < 8; round++) {
      float row[FEATURES];
      double share[FEATURES], sum = 0, said;
      for (int f = 0; f < FEATURES; f++) row[f] = (float)rng_normal(&r);
      said = trees_predict(&w->t, 0, w->t.count, row);
      assert_near(said, told_by_all(&w->t, row, (1u << FEATURES) - 1), 1e-6);
      assert_near(said, trees_predict(&w->t, 0, 2, row) + trees_predict(&w->t, 2, w->t.count, row), 1e-9);
      trees_explain(&w->t, row, share);
      for (unsigned f = 0; f < FEATURES; f++) {
        assert_near(share[f], shapley(&w->t, row, f), 1e-6);
        sum += share[f];
      }
      assert_near(sum, said - w->t.expected, 1e-6);
    }
    free(w);
  }
}

static void test_strange_trees_are_refused(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    const char *words;
    int what;
  } rows[] = {{"no child there", 0},  {"no child there", 1}, {"two parents", 2},        {"root of two", 3},
              {"no numbers", 4},      {"no numbers", 5},     {"hangs from nothing", 6}, {"no root", 7},
              {"over 0 features", 8}, {"too deep", 9}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    wood *w = wood_make(3, 4, 4);
    uint32_t inner = 0;
    while (w->feature[inner] == FEATURES || w->feature[w->left[inner]] == FEATURES) inner++;
    switch (rows[i].what) {
      case 0: w->left[inner] = inner; break;
      case 1: w->right[inner] = w->t.node_count; break;
      case 2: w->right[inner] = w->left[inner]; break;
      case 3: w->root[1] = w->root[0]; break;
      case 4: w->value[inner] = NAN; break;
      case 5: w->cover[inner] = 0; break;
      case 6: w->feature[inner] = FEATURES; break;
      case 7: w->root[2] = NODES_MAX; break;
      case 8: w->t.feature_count = 0; break;
      case 9: /* one long way */
        w->t.count = 1;
        w->t.node_count = 2 * TREES_DEPTH_MAX + 5;
        for (uint32_t n = 0; n < w->t.node_count; n++) {
          bool leaf = n % 2 == 1 || n + 1 == w->t.node_count;
          w->feature[n] = leaf ? FEATURES : 0;
          w->left[n] = n + 1;
          w->right[n] = n + 2;
          w->cover[n] = 1;
        }
        w->root[0] = 0;
        break;
      default: break;
    }
    assert_refused(trees_check(&w->t, "wood", &error), MEDLEY_ERR_CORRUPT, rows[i].words);
    free(w);
  }
}

/* ---- in a file, with what is known of items ---- */

#define ITEMS 40

static rerank *ranker_make(wood *w) {
  medley_error error;
  rerank *r;
  float users[ITEMS];
  int64_t time_s[ITEMS];
  const char *category[ITEMS];
  for (int i = 0; i < ITEMS; i++) {
    users[i] = (float)(i % 7);
    time_s[i] = i % 3 == 0 ? STORE_TIME_UNKNOWN : 1600000000 + (int64_t)i * 86400;
    category[i] = i % 5 == 0 ? "" : i % 2 ? "odd" : "even";
  }
  trait_field fields[] = {{.first = 0, .count = 3}, {.first = 3, .count = 2}};
  traits known = {.field = fields, .field_count = 2, .count = 5};
  assert_ok(rerank_create(users, time_s, category, ITEMS, &known, &r, &error));
  r->part_count = 0; /* seven features: the context and two fields alone */
  assert_ok(trees_check(&w->t, "wood", &error));
  r->trees = w->t;
  return r;
}

static void test_what_is_known_of_items(void **state) {
  (void)state;
  wood *w = wood_make(4, 3, 3);
  rerank *r = ranker_make(w);
  const uint32_t items[] = {1, 2, 7};
  const float weights[] = {1, 1, 1};
  history h = {.item = items, .weight = weights, .count = 3, .now_s = STORE_TIME_UNKNOWN};
  h.trait = (const uint32_t[]){1, 2, 9}, h.trait_count = 3; /* two of the first field, and one that nobody knows */
  rerank_reader reader = rerank_reader_make(r, &h);
  for (uint32_t i = 0; i < ITEMS; i++) {
    float row[RERANK_CONTEXT + 2];
    double fewer = 0, equal = 0, later = 0;
    for (uint32_t j = 0; j < ITEMS; j++) {
      fewer += j % 7 < i % 7;
      equal += j % 7 == i % 7;
      later += j % 3 != 0 && j > i;
    }
    rerank_row(r, &reader, i, NULL, NULL, row);
    assert_near((double)row[0], floor((fewer + (equal - 1) / 2) / ITEMS * RERANK_STEPS) / RERANK_STEPS, 1e-6);
    assert_near((double)row[1], i % 3 == 0 ? -1 : floor(later / ITEMS * RERANK_STEPS) / RERANK_STEPS, 1e-6);
    assert_near((double)row[2], i % 5 == 0 ? -1 : i % 2 ? 2. / 3 : 1. / 3, 1e-6);
    assert_near((double)row[3], log(4), 1e-6);
    assert_near((double)row[4], (double)(r->popularity[1] + r->popularity[2] + r->popularity[7]) / 3, 1e-6);
    assert_true(row[5] == 1 && row[6] == -1);
  }
  r->trees = (trees){0};
  rerank_free(r);
  free(w);
}

static void test_saved_loaded_and_spoiled(void **state) {
  (void)state;
  medley_error error;
  wood *w = wood_make(4, 3, 3);
  rerank *r = ranker_make(w), *loaded = NULL;
  char folder[256], path[512];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/models.safetensors", folder);
  for (int spoiled = -1; spoiled < 7; spoiled++) {
    safetensors_writer out = {0};
    safetensors file = {0};
    uint32_t kept_left = w->left[0], kept_feature = w->feature[0];
    float kept_value = w->value[0], popularity[ITEMS];
    memcpy(popularity, r->popularity, sizeof popularity);
    uint32_t field[] = {0, 0, 0, 1, 1};
    const uint32_t *kept_field = r->trait_field;
    r->trait_field = field;
    const float *kept = r->popularity;
    r->popularity = popularity;
    if (spoiled == 0) w->left[0] = 0;
    if (spoiled == 1) w->feature[0] = FEATURES + 1;
    if (spoiled == 2) w->value[0] = INFINITY;
    if (spoiled == 3) popularity[3] = NAN;
    if (spoiled == 4) r->part_count = 1, r->part[0] = 6; /* of a blend of two */
    if (spoiled == 5) field[1] = 1;
    if (spoiled == 6) field[4] = RERANK_FIELDS_MAX;
    assert_ok(rerank_save(r, &out, "rerank", &error));
    assert_ok(safetensors_save(&out, path, &error));
    safetensors_writer_deinit(&out);
    assert_ok(safetensors_open(&file, path, &error));
    medley_status status = rerank_load(&file, "rerank", ITEMS, 2, &loaded, &error);
    if (spoiled < 0) {
      assert_int_equal(status, MEDLEY_OK);
      assert_near(loaded->trees.expected, r->trees.expected, 1e-12);
      assert_memory_equal(loaded->category, r->category, ITEMS * sizeof *r->category);
      assert_true(loaded->trait_count == 5 && loaded->field_count == 2);
      float row[FEATURES] = {0.3f, -1, 0.5f, 2, 0.1f, 1, -1};
      assert_near(trees_predict(&loaded->trees, 0, 3, row), trees_predict(&r->trees, 0, 3, row), 0);
      rerank_free(loaded);
      assert_refused(rerank_load(&file, "rerank", ITEMS + 1, 2, &loaded, &error), MEDLEY_ERR_CORRUPT, "rerank");
      assert_ok(rerank_load(&file, "another", ITEMS, 2, &loaded, &error));
      assert_null(loaded);
    } else {
      if (status != MEDLEY_ERR_CORRUPT) fail_msg("spoiled %d: %s", spoiled, medley_status_name(status));
      assert_null(loaded);
    }
    safetensors_close(&file);
    w->left[0] = kept_left;
    w->feature[0] = kept_feature;
    w->value[0] = kept_value;
    r->popularity = kept;
    r->trait_field = kept_field;
    r->part_count = 0;
  }
  r->trees = (trees){0};
  rerank_free(r);
  free(w);
  assert_ok(folder_remove(folder, &error));
}

/* ---- growing ---- */

/* Lists in which what is chosen has feature 0 above its threshold, the threshold being feature 1's: no sum of the two
 * tells that as well. */
static void test_xgboost_grows_what_is_there(void **state) {
  (void)state;
  enum { LISTS = 200, ROWS = 20 };
  medley_error error;
  trees t;
  static float row[LISTS * ROWS * 3], label[LISTS * ROWS], margin[LISTS * ROWS];
  static uint32_t group[LISTS];
  rng r;
  rng_seed(&r, 2);
  for (size_t g = 0; g < LISTS; g++) {
    group[g] = ROWS;
    for (size_t k = g * ROWS; k < (g + 1) * ROWS; k++) {
      for (int f = 0; f < 3; f++) row[3 * k + (size_t)f] = (float)rng_uniform(&r);
      label[k] = (row[3 * k] > 0.5f) != (row[3 * k + 1] > 0.5f) && rng_below(&r, 3) == 0;
      margin[k] = 0.1f * row[3 * k + 2];
    }
  }
  boost_data data = {row, label, margin, group, LISTS * ROWS, LISTS, 3};
  boost_options options = {.rounds = 20, .seed = 1};
  if (!boost_is_there()) {
    assert_refused(boost_train(&data, &options, &t, &error), MEDLEY_ERR_UNSUPPORTED, "libxgboost-dev");
    assert_refused(boost_needed(&error), MEDLEY_ERR_UNSUPPORTED, "libxgboost-dev");
    return;
  }
  assert_ok(boost_needed(&error));
  assert_ok(boost_train(&data, &options, &t, &error));
  assert_int_equal(t.count, 20);
  double in = 0, out = 0, ins = 0, outs = 0;
  for (size_t k = 0; k < LISTS * ROWS; k++) {
    double said = trees_predict(&t, 0, t.count, row + 3 * k);
    bool wanted = (row[3 * k] > 0.5f) != (row[3 * k + 1] > 0.5f);
    *(wanted ? &in : &out) += said;
    *(wanted ? &ins : &outs) += 1;
  }
  if (!(in / ins > out / outs + 0.2)) fail_msg("wanted rows get %g, the others %g", in / ins, out / outs);
  double before = trees_predict(&t, 0, t.count, row), expected = t.expected;
  trees_scale(&t, 0.5);
  assert_near(trees_predict(&t, 0, t.count, row), before / 2, 1e-5);
  assert_near(t.expected, expected / 2, 1e-12);
  trees_deinit(&t);
}

#ifdef MEDLEY_XGBOOST
#include <xgboost/c_api.h>

/* XGBoost's own predictions and contributions of a booster that is grown here, beside ours of its JSON: through
 * boost_train the booster is gone, so it is grown twice from the same. */
static void test_xgboost_says_the_same(void **state) {
  (void)state;
  enum { ROWS = 60 };
  medley_error error;
  float row[ROWS * 3], label[ROWS], margin[ROWS] = {0};
  const uint32_t group[3] = {20, 20, 20};
  rng r;
  rng_seed(&r, 7);
  for (size_t k = 0; k < ROWS; k++) {
    for (size_t f = 0; f < 3; f++) row[3 * k + f] = (float)rng_normal(&r);
    label[k] = rng_below(&r, 4) == 0;
  }
  trees t;
  boost_data data = {row, label, margin, group, ROWS, 3, 3};
  boost_options options = {.rounds = 5, .seed = 1, .least = 0.01};
  assert_ok(boost_train(&data, &options, &t, &error));
  DMatrixHandle matrix;
  BoosterHandle booster;
  assert_int_equal(XGDMatrixCreateFromMat(row, ROWS, 3, NAN, &matrix), 0);
  assert_int_equal(XGDMatrixSetFloatInfo(matrix, "label", label, ROWS), 0);
  assert_int_equal(XGDMatrixSetFloatInfo(matrix, "base_margin", margin, ROWS), 0);
  assert_int_equal(XGDMatrixSetUIntInfo(matrix, "group", group, 3), 0);
  assert_int_equal(XGBoosterCreate(&matrix, 1, &booster), 0);
  const char *const names[][2] = {
      {"objective", "rank:ndcg"}, {"tree_method", "hist"}, {"base_score", "0"}, {"seed", "1"},
      {"max_depth", "3"},         {"eta", "0.1"},          {"lambda", "1"},     {"min_child_weight", "0.01"},
      {"verbosity", "0"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    assert_int_equal(XGBoosterSetParam(booster, names[i][0], names[i][1]), 0);
  for (int i = 0; i < 5; i++) assert_int_equal(XGBoosterUpdateOneIter(booster, i, matrix), 0);
  const bst_ulong *shape;
  bst_ulong dim;
  const float *found;
  assert_int_equal(XGBoosterPredictFromDMatrix(booster, matrix,
                                               "{\"type\":2,\"training\":false,\"iteration_begin\":0,"
                                               "\"iteration_end\":0,\"strict_shape\":false}",
                                               &shape, &dim, &found),
                   0);
  for (size_t k = 0; k < ROWS; k++) {
    double share[3], sum = 0;
    trees_explain(&t, row + 3 * k, share);
    for (size_t f = 0; f < 3; f++) {
      assert_near(share[f], (double)found[4 * k + f], 1e-4);
      sum += share[f];
    }
    assert_near(sum + t.expected, trees_predict(&t, 0, t.count, row + 3 * k), 1e-5);
  }
  XGBoosterFree(booster);
  XGDMatrixFree(matrix);
  trees_deinit(&t);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shapley_values_by_definition), cmocka_unit_test(test_strange_trees_are_refused),
      cmocka_unit_test(test_what_is_known_of_items),       cmocka_unit_test(test_saved_loaded_and_spoiled),
      cmocka_unit_test(test_xgboost_grows_what_is_there),
#ifdef MEDLEY_XGBOOST
      cmocka_unit_test(test_xgboost_says_the_same),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
