/* recommend/freedom.c: a graph of people and items that is thinned for training, and one of alike items that stays as
 * it is.
 *
 * Zhou & Shen, "A tale of two graphs: freezing and denoising graph structures for multimodal recommendation", ACM MM
 * 2023. In the letters of graph_model.h:
 *
 *   frozen    S = Σ_m a_m S_m, S_m the k items nearest to an item by modality m; never learnt (section 3.1)
 *   denoised  every epoch keeps a share 1 − ρ of the edges, drawn without replacement with chances that go with
 *             1 / √(|N_u| |N_i|), so that edges of popular nodes go first, and normalises what is left; answers use all
 *             edges (section 3.2)
 *   vectors   e_u, i_g: the mean of the layers of LightGCN;  e_i = i_g + S E⁰ (section 3.3)
 *   loss      −ln σ(e_u·e_i − e_u·e_j) + Σ_m λ_m (−ln σ(e_u·W_m f_i − e_u·W_m f_j)) + λ ‖E⁰‖² (section 3.4)
 *
 * What differs: neighbours count by their cosines rather than all the same, and only items that somebody chose are any,
 * since the others have nothing learnt to pass on. The shares a_m are not set by hand: they go with how much more often
 * neighbours are chosen together than chance would have it (alike.h). W_m f is affine, f is not trained. People and the
 * learning rate: graph_model.h, lightgcn.c.
 *
 * Cold items have no i_g and are found by S E⁰, by their neighbours' vectors; one without any modality is zero. A pair
 * of which one lacks modality m does not count in that modality's loss.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "math/vector.h"
#include "recommend/graph_content.h"
#include "recommend/kinds.h"

enum { PRUNED = GRAPH_RANKING_SETTINGS, MODAL, NEIGHBOURS, SETTINGS };

static const double epoch_counts[] = {20, 40, 80};
static const double decays[] = {1e-3, 1e-2};
static const double pruned_shares[] = {0, 0.2, 0.5};
static const double neighbour_counts[] = {5, 10};
static const double modals[] = {0, 1e-2, 1e-1};
static const recommender_setting freedom_settings[] = {
    {"epochs", "times that every event is trained on", 40, 1, 10000, epoch_counts, 3},
    {"layers", "steps along the edges of people and items", 4, 1, 8, NULL, 0},
    {"decay", "how much long vectors cost, λ", 1e-3, 0, 10, decays, 2},
    GRAPH_COMMON_SETTINGS(5e-3),
    GRAPH_NEGATIVE_SETTINGS(1, NULL, 0),
    {"pruned", "share ρ of the edges that an epoch goes without", 0.2, 0, 0.95, pruned_shares, 3},
    {"modal", "weight λ_m of what content alone must order", 0.1, 0, 10, modals, 3},
    {"neighbours", "items alike by a modality", 5, 1, 100, neighbour_counts, 2},
    {NULL},
};

typedef struct freedom {
  graph_training g;
  graph_content c;
  graph_maps maps;
  sparse frozen, back; /* S and its transpose */
  sparse pruned;       /* as the graph of g, with the edges of this epoch */
  float *key, *sorted; /* [events] what edges are drawn by */
  uint32_t *degree;    /* [users + items] in pruned */
  size_t kept, epoch;  /* edges of an epoch; the one that pruned is of */
  double modal;
} freedom;

static void freedom_deinit(freedom *f) {
  graph_training_deinit(&f->g);
  graph_content_deinit(&f->c);
  sparse_deinit(&f->frozen);
  sparse_deinit(&f->back);
  sparse_deinit(&f->pruned);
  mem_free(f->key);
  mem_free(f->sorted);
  mem_free(f->degree);
}

/* ---- the two graphs ---- */

static medley_status graphs_init(freedom *f, double pruned, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *x = f->g.x;
  size_t events = (size_t)sparse_count(x);
  TRY(graph_content_merge(&f->c, &f->frozen, &f->back, err));
  f->kept = events - (size_t)(pruned * (double)events);
  f->epoch = SIZE_MAX;
  TRY(sparse_create(f->g.graph.rows, f->g.graph.rows, 2 * f->kept, &f->pruned, err));
  TRY_NEW(f->key, events + 1, "a graph");
  TRY_NEW(f->sorted, events + 1, "a graph");
  TRY_NEW(f->degree, f->g.graph.rows + (size_t)1, "a graph");
done:
  return status;
}

static int float_order(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Without replacement, chances going with p: the smallest of draws from exponential distributions of rate p (Efraimidis
 * & Spirakis 2006). What is kept has a key of at least 0 afterwards. */
static void edges_draw(freedom *f) {
  size_t events = (size_t)sparse_count(f->g.x), kept = 0;
  rng r;
  rng_seed(&r, f->g.seed * 0x9e3779b97f4a7c15u + 0x51ED270Bu * (f->epoch + 1));
  for (size_t e = 0; e < events; e++) {
    uint32_t item = f->g.x->rows + f->g.x->column[e], user = f->g.user[e];
    const uint64_t *start = f->g.graph.start;
    double degrees = (double)(start[user + 1] - start[user]) * (double)(start[item + 1] - start[item]);
    f->key[e] = f->sorted[e] = (float)(-log(1 - rng_uniform(&r)) * sqrt(degrees));
  }
  qsort(f->sorted, events, sizeof *f->sorted, float_order);
  float bar = f->kept > 0 ? f->sorted[f->kept - 1] : -1;
  for (size_t e = 0; e < events; e++) {
    bool keep = f->key[e] <= bar && kept < f->kept;
    kept += keep;
    if (!keep) f->key[e] = -1;
  }
}

/* Rows of people are filled in order of items and rows of items in order of people: as a sparse matrix wants it. */
static void pruned_fill(freedom *f) {
  const sparse *x = f->g.x;
  sparse *a = &f->pruned;
  size_t events = (size_t)sparse_count(x);
  memset(f->degree, 0, a->rows * sizeof *f->degree);
  for (size_t e = 0; e < events; e++)
    if (f->key[e] >= 0) f->degree[f->g.user[e]]++, f->degree[x->rows + x->column[e]]++;
  a->start[0] = 0;
  for (uint32_t n = 0; n < a->rows; n++) a->start[n + 1] = a->start[n] + f->degree[n];
  for (size_t e = 0; e < events; e++) {
    if (f->key[e] < 0) continue;
    uint32_t user = f->g.user[e], item = x->rows + x->column[e];
    float weight =
        1 / sqrtf((float)(a->start[user + 1] - a->start[user]) * (float)(a->start[item + 1] - a->start[item]));
    uint64_t first = a->start[user + 1] - f->degree[user]--, second = a->start[item + 1] - f->degree[item]--;
    a->column[first] = item, a->value[first] = weight;
    a->column[second] = user, a->value[second] = weight;
  }
}

/* ---- training ---- */

static tensor *freedom_loss(tape *t, void *context, const uint32_t *events, size_t count) {
  freedom *f = context;
  graph_training *g = &f->g;
  if (graph_epoch(g, t) != f->epoch) {
    f->epoch = graph_epoch(g, t);
    edges_draw(f);
    pruned_fill(f);
  }
  graph_rows rows = graph_draw(g, t, events, count, true);
  tensor *length = graph_length(g, t, &rows), *ids = op_slice(t, g->nodes, 0, g->x->rows, g->x->columns);
  tensor *alike = op_embedding(t, op_sparse_matmul(t, &f->frozen, &f->back, ids), rows.items);
  tensor *vectors = op_embedding(t, op_propagate(t, &f->pruned, &f->pruned, g->nodes, g->layers), rows.nodes);
  tensor *users = op_slice(t, vectors, 0, 0, count);
  tensor *items = op_add(t, op_slice(t, vectors, 0, count, rows.item_count), alike);
  tensor *loss = graph_rank(g, t, &rows, users, items);
  for (size_t m = 0; f->modal > 0 && m < f->c.count; m++) {
    tensor *share = graph_content_share(&f->c, m, t, rows.item, rows.item + count, count);
    tensor *alone = graph_bpr(t, users, graph_maps_rows(&f->maps, &f->c, m, t, rows.pairs), share);
    loss = op_add(t, loss, op_affine(t, alone, f->modal, 0));
  }
  return graph_total(t, loss, length);
}

/* own [items, dim] += S E⁰ */
static medley_status alike_add(const freedom *f, float *own, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t items = f->g.x->columns, dim = f->g.dim;
  float *alike = NULL;
  TRY_NEW(alike, items * dim + 1, "item vectors");
  sparse_multiply_dense(&f->frozen, real_data(f->g.nodes) + f->g.x->rows * dim, dim, alike);
  vector_add_scaled(own, 1, alike, items * dim);
done:
  mem_free(alike);
  return status;
}

static medley_status freedom_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                 recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  freedom f = {.modal = values[MODAL]};
  graph_training *g = &f.g;
  graph_model *m = NULL;
  TRY(graph_training_init(g, data, values, err));
  TRY(graph_negatives(g, values, err));
  TRY(graph_content_init(&f.c, data, (size_t)values[NEIGHBOURS], err));
  TRY(graphs_init(&f, values[PRUNED], err));
  graph_maps_init(&f.maps, &f.c, g);
  TRY(graph_train(g, values, freedom_loss, &f, progress, err));
  TRY(graph_model_create(&recommender_freedom, g, &m, err));
  TRY(graph_layers(g, real_data(g->nodes), m->owned, m->owned + g->x->columns * g->dim, err));
  TRY(graph_people(g, m->owned, g->dim, real_data(g->nodes), m->owned, err));
  TRY(alike_add(&f, m->owned + g->x->columns * g->dim, err));
  *out = &m->base;
  m = NULL;
done:
  freedom_deinit(&f);
  graph_model_free(m ? &m->base : NULL);
  return status;
}

static medley_status freedom_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                  recommender **out, medley_error *err) {
  return graph_model_load(&recommender_freedom, s, prefix, data, out, err);
}

const recommender_kind recommender_freedom = {
    .name = "freedom",
    .summary = "vectors over a thinned graph of people and items, and a graph of items alike by content",
    .source = "Zhou & Shen 2023",
    .part = "taste",
    .settings = freedom_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .needs_features = true,
    .accepts = graph_content_accepts,
    .by_itself = recommender_only_named,
    .fit = freedom_fit,
    .score = graph_model_score,
    .trace = graph_model_trace,
    .save = graph_model_save,
    .load = freedom_load,
    .free = graph_model_free,
};
