/* recommend/bm3.c: vectors that are drawn to one another without anything that they are kept away from.
 *
 * Zhou et al., "Bootstrap latent representations for multi-modal recommendation", WWW 2023. In the letters of
 * graph_model.h, with C(a, b) = 1 − cos(a, b) averaged over a batch, a dot for values that are held fixed and go
 * through dropout, and a predictor P:
 *
 *   e_u, i_g    the mean of the layers of LightGCN;  e_i = i_g + e_i⁰;  z_m = W_m f_i (section 3.2)
 *   graph       C(P e_u, ė_i) + C(P e_i, ė_u) of who chose what
 *   inter       Σ_m C(P z_m, ė_i): content is drawn to its item
 *   intra       Σ_m C(P z_m, ż_m): and to itself with a part left out (section 3.3)
 *   loss        graph + γ (inter + intra) + λ ‖E⁰‖²
 *   score       P e_u · P e_i
 *
 * What differs: P has no bias, which would be an item's constant; W_m f is affine, f is not trained. People and the
 * learning rate: graph_model.h, lightgcn.c.
 *
 * Cold items, which the paper leaves out, are found by P z_m, the mean over the modalities that they have, made as long
 * as vectors of items that somebody chose are on average: the loss draws both to the same place. One without any
 * modality is zero. An item that lacks a modality does not count in that modality's losses.
 */
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/graph_content.h"
#include "recommend/kinds.h"

enum { DROPOUT = GRAPH_SETTINGS, ALIGN, SETTINGS };

static const double epoch_counts[] = {40, 80, 160};
static const double layer_counts[] = {1, 2};
static const double decays[] = {0, 1e-3};
static const double dropouts[] = {0.3, 0.5};
static const double aligns[] = {0.2, 2};
static const recommender_setting bm3_settings[] = {
    {"epochs", "times that every event is trained on", 80, 1, 10000, epoch_counts, 3},
    {"layers", "steps along the edges", 1, 1, 8, layer_counts, 2},
    {"decay", "how much long vectors cost, λ", 0, 0, 10, decays, 2},
    GRAPH_COMMON_SETTINGS(0.03),
    {"dropout", "share of a vector left out of what others are drawn to", 0.5, 0, 0.9, dropouts, 2},
    {"align", "weight γ of drawing content to its item and to itself", 0.2, 0, 100, aligns, 2},
    {NULL},
};

typedef struct bm3 {
  graph_training g;
  graph_content c;
  graph_maps maps;
  tensor *predictor; /* [dim, dim] P */
  double dropout, align;
} bm3;

/* ---- training ---- */

static tensor *bm3_loss(tape *t, void *context, const uint32_t *events, size_t count) {
  bm3 *b = context;
  graph_training *g = &b->g;
  graph_rows rows = graph_draw(g, t, events, count, false);
  tensor *length = graph_length(g, t, &rows);
  tensor *ids = op_slice(t, op_embedding(t, g->nodes, rows.nodes), 0, count, count);
  tensor *vectors = op_embedding(t, op_propagate(t, &g->graph, &g->graph, g->nodes, g->layers), rows.nodes);
  tensor *users = op_slice(t, vectors, 0, 0, count);
  tensor *items = op_add(t, op_slice(t, vectors, 0, count, count), ids);
  tensor *held_items = graph_held(t, items, b->dropout);
  tensor *loss =
      op_add(t, graph_apart(t, op_linear(t, users, b->predictor, NULL), held_items, NULL),
             graph_apart(t, op_linear(t, items, b->predictor, NULL), graph_held(t, users, b->dropout), NULL));
  for (size_t m = 0; b->align > 0 && m < b->c.count; m++) {
    tensor *share = graph_content_share(&b->c, m, t, rows.item, NULL, count);
    tensor *content = graph_maps_rows(&b->maps, &b->c, m, t, rows.items);
    tensor *online = op_linear(t, content, b->predictor, NULL);
    tensor *both = op_add(t, graph_apart(t, online, held_items, share),
                          graph_apart(t, online, graph_held(t, content, b->dropout), share));
    loss = op_add(t, loss, op_affine(t, both, b->align, 0));
  }
  return graph_total(t, loss, length);
}

/* ---- what is kept ---- */

/* placed [items, dim] = Σ_m W_m f over the modalities that an item has. */
static medley_status content_place(const bm3 *b, float *placed, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t items = b->c.items, dim = b->g.dim;
  float *mapped = NULL;
  TRY_NEW(mapped, items * dim + 1, "item vectors");
  for (size_t m = 0; m < b->c.count; m++) {
    matrix_multiply(false, true, items, dim, b->c.dim[m], 1, b->c.rows[m], real_data(b->maps.weight[m]), 0, mapped);
    for (size_t i = 0; i < items; i++) {
      if (!b->c.present[m][i]) continue;
      vector_add_scaled(placed + i * dim, 1, mapped + i * dim, dim);
      vector_add_scaled(placed + i * dim, 1, real_data(b->maps.bias[m]), dim);
    }
  }
done:
  mem_free(mapped);
  return status;
}

/* own [items, dim], i_g on entry, becomes P e_i, or what content says of items that nobody chose. */
static medley_status items_place(const bm3 *b, float *own, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const graph_training *g = &b->g;
  size_t items = g->x->columns, dim = g->dim;
  const float *ids = real_data(g->nodes) + g->x->rows * dim;
  float *vectors = NULL;
  double length = 0;
  TRY_NEW(vectors, items * dim + 1, "item vectors");
  TRY(content_place(b, vectors, err));
  for (size_t w = 0; w < g->warm_count; w++) {
    size_t at = g->warm[w] * dim;
    memcpy(vectors + at, own + at, dim * sizeof *vectors);
    vector_add_scaled(vectors + at, 1, ids + at, dim);
  }
  matrix_multiply(false, true, items, dim, dim, 1, vectors, real_data(b->predictor), 0, own);
  for (size_t w = 0; w < g->warm_count; w++)
    length += (double)vector_norm(own + g->warm[w] * dim, dim) / (double)g->warm_count;
  for (size_t i = 0, w = 0; i < items; i++) {
    if (w < g->warm_count && g->warm[w] == i)
      w++;
    else if (vector_normalise(own + i * dim, dim) > 0)
      vector_scale(own + i * dim, (float)length, dim);
  }
done:
  mem_free(vectors);
  return status;
}

/* said [items, dim] becomes P said. */
static medley_status said_predict(const bm3 *b, float *said, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t items = b->g.x->columns, dim = b->g.dim;
  float *before = NULL;
  TRY_NEW(before, items * dim + 1, "item vectors");
  memcpy(before, said, items * dim * sizeof *before);
  matrix_multiply(false, true, items, dim, dim, 1, before, real_data(b->predictor), 0, said);
done:
  mem_free(before);
  return status;
}

static medley_status bm3_fit(const recommender_data *data, const double *values, progress_stage *progress,
                             recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bm3 b = {.dropout = values[DROPOUT], .align = values[ALIGN]};
  graph_training *g = &b.g;
  graph_model *m = NULL;
  float *own;
  TRY(graph_training_init(g, data, values, err));
  TRY(graph_content_init(&b.c, data, 0, err));
  graph_maps_init(&b.maps, &b.c, g);
  b.predictor = parameters_add(g->weights, NULL, "predictor", PARAMETER_WEIGHT, (initial){INITIAL_XAVIER, 0}, 2,
                               (size_t[]){g->dim, g->dim});
  TRY(graph_train(g, values, bm3_loss, &b, progress, err));
  TRY(graph_model_create(&recommender_bm3, g, &m, err));
  own = m->owned + g->x->columns * g->dim;
  TRY(graph_layers(g, real_data(g->nodes), m->owned, own, err));
  TRY(graph_people(g, m->owned, g->dim, real_data(g->nodes), m->owned, err));
  TRY(said_predict(&b, m->owned, err));
  TRY(items_place(&b, own, err));
  *out = &m->base;
  m = NULL;
done:
  graph_training_deinit(g);
  graph_content_deinit(&b.c);
  graph_model_free(m ? &m->base : NULL);
  return status;
}

static medley_status bm3_load(const safetensors *s, const char *prefix, const recommender_data *data, recommender **out,
                              medley_error *err) {
  return graph_model_load(&recommender_bm3, s, prefix, data, out, err);
}

const recommender_kind recommender_bm3 = {
    .name = "bm3",
    .summary = "vectors of people, items and content drawn to one another over the graph, without negatives",
    .source = "Zhou et al. 2023",
    .part = "taste",
    .settings = bm3_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .needs_features = true,
    .by_itself = recommender_only_named,
    .fit = bm3_fit,
    .score = graph_model_score,
    .trace = graph_model_trace,
    .save = graph_model_save,
    .load = bm3_load,
    .free = graph_model_free,
};
