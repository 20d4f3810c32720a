/* Negatives of models over the graph: drawn as often as the settings say and never what the person chose; the loss of
 * every step equals its definition, in double precision from the vectors as they are. */
#include "base/memory.h"
#include "math/vector.h"
#include "recommend/graph_model.h"
#include "test.h"

enum { PEOPLE = 40, THINGS = 15, UNTOUCHED = 3, EPOCHS = 120, BATCH = 64 };

typedef struct watched {
  graph_training g;
  double drawn[THINGS], expected[THINGS], furthest;
  size_t steps;
} watched;

static bool chose(const watched *w, uint32_t user, uint32_t item) { return sparse_has(w->g.x, user, item); }

static double popularity(const watched *w, uint32_t item) {
  const uint64_t *start = w->g.graph.start + PEOPLE + item;
  return (double)(start[1] - start[0]);
}

static void draws_count(watched *w, const graph_rows *rows, const uint32_t *events) {
  const graph_training *g = &w->g;
  for (size_t i = 0; i < rows->count; i++) {
    uint32_t user = g->user[events[i]];
    double weight[THINGS], sum = 0;
    for (uint32_t k = 0; k < THINGS; k++) {
      double often = popularity(w, k);
      weight[k] = often > 0 && !chose(w, user, k)
                      ? (1 - g->popular) / (double)g->warm_count + g->popular * often / (double)sparse_count(g->x)
                      : 0;
      sum += weight[k];
    }
    for (uint32_t k = 0; k < THINGS; k++) w->expected[k] += (double)g->draws * weight[k] / sum;
    for (size_t d = 1; d <= g->draws; d++) {
      uint32_t item = (uint32_t)rows->item[d * rows->count + i];
      assert_false(chose(w, user, item));
      w->drawn[item]++;
    }
  }
}

static double score(const watched *w, uint32_t user, uint32_t item) {
  double sum = 0;
  const float *a = real_data(w->g.nodes) + user * w->g.dim, *b = real_data(w->g.nodes) + (PEOPLE + item) * w->g.dim;
  for (size_t d = 0; d < w->g.dim; d++) sum += (double)a[d] * (double)b[d];
  return sum;
}

/* Of one event, number i of the step. */
static double loss_of(const watched *w, const graph_rows *rows, const uint32_t *events, size_t i) {
  const graph_training *g = &w->g;
  uint32_t user = g->user[events[i]], item = (uint32_t)rows->item[i];
  double likes = score(w, user, item), hardest = -INFINITY;
  double own = likes / g->temperature - log(popularity(w, item)), sum = exp(own);
  for (size_t d = 1; d <= g->draws; d++)
    hardest = fmax(hardest, score(w, user, (uint32_t)rows->item[d * rows->count + i]));
  for (size_t k = 0; k < rows->count; k++) {
    uint32_t other = (uint32_t)rows->item[k];
    if (!chose(w, user, other)) sum += exp(score(w, user, other) / g->temperature - log(popularity(w, other)));
  }
  return (1 - g->in_batch) * log(1 + exp(hardest - likes)) + g->in_batch * (log(sum) - own);
}

static tensor *watch(tape *t, void *context, const uint32_t *events, size_t count) {
  watched *w = context;
  graph_rows rows = graph_draw(&w->g, t, events, count, true);
  assert_int_equal(rows.item_count, (1 + w->g.draws) * count);
  tensor *vectors = op_embedding(t, w->g.nodes, rows.nodes);
  tensor *loss =
      graph_rank(&w->g, t, &rows, op_slice(t, vectors, 0, 0, count), op_slice(t, vectors, 0, count, rows.item_count));
  double expected = 0;
  assert_non_null(loss);
  draws_count(w, &rows, events);
  for (size_t i = 0; i < count; i++) expected += loss_of(w, &rows, events, i) / (double)count;
  w->furthest = fmax(w->furthest, fabs(expected - (double)real_data(loss)[0]) / fabs(expected));
  w->steps++;
  return loss;
}

/* Thing k is chosen by fewer the greater k is; the last ones by nobody. */
static void events_make(interactions *out) {
  medley_error error;
  static event events[PEOPLE * THINGS];
  size_t count = 0;
  rng r;
  rng_seed(&r, 5);
  for (uint32_t u = 0; u < PEOPLE; u++)
    for (uint32_t k = 0; k < THINGS - UNTOUCHED; k++)
      if (rng_uniform(&r) < 0.4 / (1 + 0.3 * k))
        events[count++] = (event){.user = u, .item = k, .value = 1, .time_s = 1000};
  event_log log = {.user_count = PEOPLE,
                   .item_count = THINGS,
                   .events = events,
                   .event_count = count,
                   .type_names = (char *[]){(char *)"click"},
                   .type_count = 1};
  event_weights weights;
  event_weights_default(&log, &weights);
  assert_ok(interactions_build(&log, &weights, NULL, 0, out, &error));
}

static void test_negatives_are_as_the_settings_say(void **state) {
  (void)state;
  static const double rows[][4] = {
      /* draws, popular, in_batch, in_batch_temperature */
      {1, 0, 0, 1}, {1, 1, 0, 1}, {4, 0.5, 0, 1}, {1, 0, 1, 0.5}, {1, 0.7, 1, 1}, {2, 0.3, 0.4, 2}};
  medley_error error;
  interactions train;
  events_make(&train);
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    double values[GRAPH_RANKING_SETTINGS] = {EPOCHS, 1, 0, 0.01, 8, BATCH};
    memcpy(values + GRAPH_SETTINGS, rows[r], sizeof rows[r]);
    watched w = {0};
    recommender_data data = {.train = &train, .seed = 11};
    assert_ok(graph_training_init(&w.g, &data, values, &error));
    assert_ok(graph_negatives(&w.g, values, &error));
    assert_ok(graph_train(&w.g, values, watch, &w, NULL, &error));
    assert_int_equal(w.steps, EPOCHS * ((sparse_count(&train.by_user) + BATCH - 1) / BATCH));
    if (!(w.furthest < 1e-5)) fail_msg("row %zu: a loss is off by %g of itself", r, w.furthest);
    for (uint32_t k = 0; k < THINGS; k++)
      if (!(fabs(w.drawn[k] - w.expected[k]) <= 5 * sqrt(w.expected[k])))
        fail_msg("row %zu: thing %u was drawn %g times, expected %g", r, k, w.drawn[k], w.expected[k]);
    graph_training_deinit(&w.g);
  }
  interactions_deinit(&train);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_negatives_are_as_the_settings_say)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
