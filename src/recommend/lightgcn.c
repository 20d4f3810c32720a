/* recommend/lightgcn.c: vectors of people and items that are propagated over the graph of both, trained by BPR.
 *
 * He et al., "LightGCN: simplifying and powering graph convolution network for recommendation", SIGIR 2020, in the
 * letters of graph_model.h:
 *
 *   E^k = A E^(k−1)                      (equation 3)
 *   E = 1/(K+1) Σ_k E^k                  (4, with equal weights α_k)
 *   score(u, i) = e_u · e_i              (5)
 *   loss = −Σ ln σ(score(u, i) − score(u, j)) + λ ‖E⁰‖² over the batch, j drawn evenly from what u did not choose (15);
 *   other negatives: graph_rank
 *
 * What differs from the paper, beside what graph_model.h says of people (what stands for e_u⁰ counts whole there, not
 * by 1/(K+1), which validation cannot tell apart): the rate goes up and comes down in half a cosine (encode/trained.h)
 * rather than being constant, which a tenth of the paper's epochs is enough for. Content is not read, and an item
 * without events has no vector: zero.
 */
#include "recommend/graph_model.h"
#include "recommend/kinds.h"

static const double epoch_counts[] = {20, 40, 80};
static const double layer_counts[] = {3, 4};
static const double decays[] = {1e-3, 1e-2};
static const double drawses[] = {1, 4};
static const recommender_setting lightgcn_settings[] = {
    {"epochs", "times that every event is trained on", 40, 1, 10000, epoch_counts, 3},
    {"layers", "steps along the edges", 4, 1, 8, layer_counts, 2},
    {"decay", "how much long vectors cost, λ", 1e-3, 0, 10, decays, 2},
    GRAPH_COMMON_SETTINGS(5e-3),
    GRAPH_NEGATIVE_SETTINGS(1, drawses, 2),
    {NULL},
};

static tensor *batch_loss(tape *t, void *context, const uint32_t *events, size_t count) {
  graph_training *g = context;
  graph_rows rows = graph_draw(g, t, events, count, true);
  tensor *length = graph_length(g, t, &rows);
  tensor *vectors = op_embedding(t, op_propagate(t, &g->graph, &g->graph, g->nodes, g->layers), rows.nodes);
  tensor *users = op_slice(t, vectors, 0, 0, count), *items = op_slice(t, vectors, 0, count, rows.item_count);
  return graph_total(t, graph_rank(g, t, &rows, users, items), length);
}

static medley_status lightgcn_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                  recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  graph_training g;
  graph_model *m = NULL;
  TRY(graph_training_init(&g, data, values, err));
  TRY(graph_negatives(&g, values, err));
  TRY(graph_train(&g, values, batch_loss, &g, progress, err));
  TRY(graph_model_create(&recommender_lightgcn, &g, &m, err));
  TRY(graph_layers(&g, real_data(g.nodes), m->owned, m->owned + g.x->columns * g.dim, err));
  TRY(graph_people(&g, m->owned, g.dim, real_data(g.nodes), m->owned, err));
  *out = &m->base;
  m = NULL;
done:
  graph_training_deinit(&g);
  graph_model_free(m ? &m->base : NULL);
  return status;
}

static medley_status lightgcn_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                   recommender **out, medley_error *err) {
  return graph_model_load(&recommender_lightgcn, s, prefix, data, out, err);
}

const recommender_kind recommender_lightgcn = {
    .name = "lightgcn",
    .summary = "vectors propagated over the graph of people and items, trained by pairwise ranking",
    .source = "He et al. 2020",
    .part = "taste",
    .settings = lightgcn_settings,
    .needs_history = true,
    .by_itself = recommender_only_named,
    .fit = lightgcn_fit,
    .score = graph_model_score,
    .trace = graph_model_trace,
    .save = graph_model_save,
    .load = lightgcn_load,
    .free = graph_model_free,
};
