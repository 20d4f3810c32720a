/* Communities of a graph against modularity by its definition, and the recommender that reads them where nobody follows
 * anybody. */
#include "base/rng.h"
#include "recommend/communities.h"
#include "recommend_twins.h"
#include "test.h"

/* Q of a labelling, by the definition. */
static double modularity(const sparse *g, const uint32_t *label, double resolution) {
  double all = 0, inside = 0, degree[USERS] = {0}, total[USERS] = {0}, square = 0;
  for (uint32_t a = 0; a < g->rows; a++)
    for (uint64_t e = g->start[a]; e < g->start[a + 1]; e++) {
      all += (double)g->value[e];
      degree[a] += (double)g->value[e];
      if (label[a] == label[g->column[e]]) inside += (double)g->value[e];
    }
  for (uint32_t a = 0; a < g->rows; a++)
    if (label[a] != COMMUNITY_NONE) total[label[a]] += degree[a];
  for (uint32_t c = 0; c < g->rows; c++) square += total[c] * total[c] / all / all;
  return inside / all - resolution * square;
}

/* Four planted circles with few edges between them, and one person alone: found, numbered in order, the same again, and
 * no move of one person makes the modularity greater; without a plan some partition is found, too. */
static void test_communities(void **state) {
  (void)state;
  medley_error error;
  sparse_entry entries[USERS * USERS];
  for (int planted = 0; planted < 2; planted++) {
    sparse graph;
    uint32_t label[USERS], again[USERS], count, members = USERS - 1;
    size_t kept = 0;
    rng r;
    rng_seed(&r, 3);
    for (uint32_t a = 0; a < members; a++)
      for (uint32_t b = 0; b < a; b++) {
        if (rng_uniform(&r) > (!planted ? 0.15 : a % 4 == b % 4 ? 0.9 : 0.05)) continue;
        float weight = (float)(1 + rng_below(&r, 3));
        entries[kept++] = (sparse_entry){a, b, weight};
        entries[kept++] = (sparse_entry){b, a, weight};
      }
    assert_ok(sparse_from_entries(USERS, USERS, entries, kept, SPARSE_SUM, &graph, &error));
    assert_ok(communities_find(&graph, 1, 9, label, &count, &error));
    assert_ok(communities_find(&graph, 1, 9, again, &count, &error));
    assert_memory_equal(label, again, sizeof label);
    assert_true(label[USERS - 1] == COMMUNITY_NONE);
    if (planted) assert_int_equal(count, 4);
    for (uint32_t u = 0; planted && u < members; u++) assert_int_equal(label[u], u % 4);
    double found = modularity(&graph, label, 1);
    assert_true(found > (planted ? 0.5 : 0.2));
    for (uint32_t c = 0; planted && c < count; c++)
      for (uint32_t u = 0; u < members; u++) {
        memcpy(again, label, sizeof again);
        again[u] = c;
        assert_true(modularity(&graph, again, 1) <= found + 1e-9);
      }
    sparse_deinit(&graph);
  }
}

/* Without anybody who follows anybody, communities are of people with a like history. */
static void test_community_of_like_histories(void **state) {
  (void)state;
  medley_error error;
  world *w = world_create(USERS, ITEMS, WARM);
  w->train.social = NULL;
  const double values[] = {1, 5, 0.5, 0.7, 8};
  recommender *model = NULL;
  const recommender_kind *kind = recommender_kind_find("community");
  assert_ok(kind->fit(&w->data, values, NULL, &model, &error));
  for (uint32_t half = 0; half < 2; half++) {
    const uint32_t item[] = {half, 4 + half, 8 + half, 12 + half};
    const float weight[] = {1, 1, 1, 1};
    history h = {.item = item, .weight = weight, .count = 4, .now_s = STORE_TIME_UNKNOWN};
    float scores[ITEMS];
    double right = 0, pairs = 0;
    score_of(model, &h, scores);
    for (uint32_t a = half; a < WARM; a += 2)
      for (uint32_t b = 1 - half; b < WARM; b += 2) right += scores[a] > scores[b], pairs++;
    assert_true(right >= 0.9 * pairs);
  }
  assert_refused(recommender_kind_find("trust")->accepts(&w->data, &error), MEDLEY_ERR_USAGE, "nobody follows");
  assert_false(kind->by_itself(&w->data));
  kind->free(model);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_communities),
      cmocka_unit_test(test_community_of_like_histories),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
