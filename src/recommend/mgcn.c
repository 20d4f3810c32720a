/* recommend/mgcn.c: what content says of items, cleared by what people chose, over a graph of alike items, and joined
 * as far as each person cares for it.
 *
 * Yu et al., "Multi-view graph convolutional network for multimedia recommendation", ACM MM 2023. In the letters of
 * graph_model.h, with ⊙ element by element:
 *
 *   purifier   p_m = e_i⁰ ⊙ σ(W₂ (W₁ f_m + b₁) + b₂) (section 3.2.1)
 *   views      people and items: ē, the mean of the layers of LightGCN. Of modality m: items v_m = S_m p_m, S_m the
 *              means of the k items nearest by m; people Σ_{i ∈ N_u} v_m / √(|N_u| |N_i|) (section 3.2.2)
 *   fuser      a = softmax over m of q·tanh(W₃ v_m + b₃);  v = Σ_m a_m v_m, what modalities share;
 *              side = (v + Σ_m σ(W_m ē + b_m) ⊙ (v_m − v)) / (M + 1), what each adds as far as behaviour asks for it;
 *              e = ē + side (section 3.2.3)
 *   loss       −ln σ(e_u·e_i − e_u·e_j) + γ (InfoNCE of side and ē, people and items of the batch each) + λ ‖E⁰‖²
 *              (section 3.2.4)
 *
 * What differs: neighbours count by their cosines, and only items that somebody chose are any. The fuser is computed
 * for the rows of a batch rather than for all nodes. The rest of people's vectors that is no sum over the history is
 * mapped from the sums of the layers and of the views (graph_model.h), so that a score divides among a history.
 *
 * Cold items have no ē and are found by side, which their neighbours' purified vectors make. A view that an item, or a
 * person's whole history, lacks takes no part in a; without any modality a cold item is zero.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "math/vector.h"
#include "recommend/graph_content.h"
#include "recommend/kinds.h"

#define CONTRAST_ROWS 512 /* of a batch: the square of them is compared */

enum { CONTRAST = GRAPH_RANKING_SETTINGS, TEMPERATURE, NEIGHBOURS, SETTINGS };

static const double epoch_counts[] = {20, 40, 80};
static const double decays[] = {1e-3, 1e-2};
static const double contrasts[] = {1e-3, 1e-2, 1e-1};
static const recommender_setting mgcn_settings[] = {
    {"epochs", "times that every event is trained on", 20, 1, 10000, epoch_counts, 3},
    {"layers", "steps along the edges of people and items", 4, 1, 8, NULL, 0},
    {"decay", "how much long vectors cost, λ", 1e-3, 0, 10, decays, 2},
    GRAPH_COMMON_SETTINGS(5e-3),
    GRAPH_NEGATIVE_SETTINGS(1, NULL, 0),
    {"contrast", "weight γ of drawing what content says to what behaviour says", 1e-2, 0, 10, contrasts, 3},
    {"temperature", "of the contrast", 0.2, 0.01, 10, NULL, 0},
    {"neighbours", "items alike by a modality", 10, 1, 100, NULL, 0},
    {NULL},
};

/* A linear layer. */
typedef struct gate {
  tensor *weight, *bias;
} gate;

typedef struct mgcn {
  graph_training g;
  graph_content c;
  graph_maps maps;
  gate clear[FEATURES_MAX], prefer[FEATURES_MAX], ask; /* W₂, W_m, W₃ */
  tensor *query;                                       /* [1, dim] q */
  sparse people, back;                                 /* [users, items] of the graph, and its transpose */
  uint8_t *seen[FEATURES_MAX];                         /* [users + items] who has a view of the modality */
  int32_t *all;                                        /* [users + items] 0, 1, … */
  double contrast, temperature;
} mgcn;

static void mgcn_deinit(mgcn *f) {
  graph_training_deinit(&f->g);
  graph_content_deinit(&f->c);
  sparse_deinit(&f->people);
  sparse_deinit(&f->back);
  for (size_t m = 0; m < FEATURES_MAX; m++) mem_free(f->seen[m]);
  mem_free(f->all);
}

/* ---- making ready ---- */

static gate gate_add(graph_training *g, const char *name, size_t number) {
  char prefix[32];
  snprintf(prefix, sizeof prefix, "%s.%zu", name, number);
  size_t dim = g->dim;
  return (gate){
      parameters_add(g->weights, prefix, "weight", PARAMETER_WEIGHT, (initial){INITIAL_FAN_IN, 0}, 2,
                     (size_t[]){dim, dim}),
      parameters_add(g->weights, prefix, "bias", PARAMETER_PLAIN, (initial){INITIAL_ZERO, 0}, 1, (size_t[]){dim})};
}

static medley_status views_init(mgcn *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const graph_training *g = &f->g;
  uint32_t users = g->x->rows, items = g->x->columns;
  TRY(sparse_copy(g->x, &f->people, err));
  for (uint64_t e = 0; e < sparse_count(g->x); e++)
    f->people.value[e] = g->graph.value[e]; /* people come first there */
  TRY(sparse_transpose(&f->people, &f->back, err));
  TRY_NEW(f->all, (size_t)users + items + 1, "items");
  for (uint32_t n = 0; n < users + items; n++) f->all[n] = (int32_t)n;
  for (size_t m = 0; m < f->c.count; m++) {
    const uint64_t *start = f->c.near[m].start;
    TRY_NEW(f->seen[m], (size_t)users + items + 1, "views");
    for (uint32_t i = 0; i < items; i++) f->seen[m][users + i] = start[i] < start[i + 1];
    for (uint32_t u = 0; u < users; u++)
      for (uint64_t e = g->x->start[u]; e < g->x->start[u + 1]; e++)
        f->seen[m][u] |= f->seen[m][users + g->x->column[e]];
  }
done:
  return status;
}

static void weights_init(mgcn *f) {
  graph_maps_init(&f->maps, &f->c, &f->g);
  for (size_t m = 0; m < f->c.count; m++) {
    f->clear[m] = gate_add(&f->g, "clear", m);
    f->prefer[m] = gate_add(&f->g, "prefer", m);
  }
  f->ask = gate_add(&f->g, "ask", 0);
  f->query = parameters_add(f->g.weights, NULL, "query", PARAMETER_WEIGHT, (initial){INITIAL_FAN_IN, 0}, 2,
                            (size_t[]){1, f->g.dim});
}

/* ---- the network ---- */

static tensor *gate_open(tape *t, const gate *g, tensor *x) {
  return op_sigmoid(t, op_linear(t, x, g->weight, g->bias));
}

/* v_m of all items. */
static tensor *view_make(mgcn *f, tape *t, size_t m) {
  const graph_training *g = &f->g;
  tensor *open = gate_open(t, &f->clear[m], graph_maps_rows(&f->maps, &f->c, m, t, NULL));
  tensor *ids = op_slice(t, g->nodes, 0, g->x->rows, g->x->columns);
  return op_sparse_matmul(t, &f->c.near[m], &f->c.back[m], op_mul(t, ids, open));
}

/* What a row lacks gets no share: 0, or -INFINITY where node [count] has no view of m. */
static tensor *views_mask(const mgcn *f, tape *t, const int32_t *node, size_t count) {
  tensor *mask = tape_empty(t, 2, (size_t[]){count, f->c.count});
  if (mask == NULL) return NULL;
  for (size_t i = 0; i < count; i++)
    for (size_t m = 0; m < f->c.count; m++) real_data(mask)[i * f->c.count + m] = f->seen[m][node[i]] ? 0 : -INFINITY;
  return mask;
}

/* side of some rows: view [modalities] of them, and ē. */
static tensor *views_fuse(const mgcn *f, tape *t, tensor *const *view, tensor *behaviour, const int32_t *node,
                          size_t count) {
  tensor *weights = NULL, *shared = NULL;
  size_t modalities = f->c.count;
  for (size_t m = 0; m < modalities; m++) {
    tensor *asked = op_linear(t, op_tanh(t, op_linear(t, view[m], f->ask.weight, f->ask.bias)), f->query, NULL);
    weights = m == 0 ? asked : op_concat(t, (tensor *[]){weights, asked}, 2, 1);
  }
  weights = op_softmax(t, op_add(t, weights, views_mask(f, t, node, count)));
  for (size_t m = 0; m < modalities; m++) {
    tensor *part = op_mul(t, view[m], op_slice(t, weights, 1, m, 1));
    shared = shared == NULL ? part : op_add(t, shared, part);
  }
  tensor *side = shared;
  for (size_t m = 0; m < modalities; m++)
    side = op_add(t, side, op_mul(t, gate_open(t, &f->prefer[m], behaviour), op_sub(t, view[m], shared)));
  return op_affine(t, side, 1 / (double)(modalities + 1), 0);
}

/* InfoNCE of the first rows of both. */
static tensor *contrast(const mgcn *f, tape *t, tensor *side, tensor *behaviour) {
  size_t rows = f->g.batch < CONTRAST_ROWS ? f->g.batch : CONTRAST_ROWS;
  return op_infonce(t, op_unit(t, op_slice(t, side, 0, 0, rows)), op_unit(t, op_slice(t, behaviour, 0, 0, rows)),
                    f->temperature, false);
}

static tensor *mgcn_loss(tape *t, void *context, const uint32_t *events, size_t count) {
  mgcn *f = context;
  graph_training *g = &f->g;
  graph_rows rows = graph_draw(g, t, events, count, true);
  tensor *length = graph_length(g, t, &rows), *of_people[FEATURES_MAX], *of_items[FEATURES_MAX];
  tensor *persons = tape_indices(t, 1, (size_t[]){count}, g->index);
  for (size_t m = 0; m < f->c.count; m++) {
    tensor *view = view_make(f, t, m);
    of_people[m] = op_embedding(t, op_sparse_matmul(t, &f->people, &f->back, view), persons);
    of_items[m] = op_embedding(t, view, rows.items);
  }
  tensor *vectors = op_embedding(t, op_propagate(t, &g->graph, &g->graph, g->nodes, g->layers), rows.nodes);
  tensor *users = op_slice(t, vectors, 0, 0, count), *items = op_slice(t, vectors, 0, count, rows.item_count);
  if (f->c.count == 0) return graph_total(t, graph_rank(g, t, &rows, users, items), length);
  tensor *user_sides = views_fuse(f, t, of_people, users, g->index, count);
  tensor *item_sides = views_fuse(f, t, of_items, items, g->index + count, rows.item_count);
  tensor *loss = graph_rank(g, t, &rows, op_add(t, users, user_sides), op_add(t, items, item_sides));
  if (f->contrast > 0) {
    tensor *apart = op_add(t, contrast(f, t, item_sides, items), contrast(f, t, user_sides, users));
    loss = op_add(t, loss, op_affine(t, apart, f->contrast, 0));
  }
  return graph_total(t, loss, length);
}

/* ---- what is kept ---- */

/* Vectors of everybody, as training leaves them. */
typedef struct vectors {
  float *target;   /* [users, dim] what e_u has beside the layers that follow from the history */
  float *features; /* [items, width] by which people are told: what the layers say, and v_m / √|N_i| */
  size_t width;
} vectors;

/* own [items, dim] += side of items; v->target of people, v->features of items. */
static medley_status vectors_make(mgcn *f, const float *said, float *own, vectors *v, medley_error *err) {
  medley_status status = MEDLEY_OK;
  graph_training *g = &f->g;
  size_t dim = g->dim, users = g->x->rows, items = g->x->columns;
  tensor *of_people[FEATURES_MAX], *of_items[FEATURES_MAX], *view = NULL;
  tape *t = tape_create(0);
  if (t == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for vectors");
  tape_set_training(t, false);
  v->width = (1 + f->c.count) * dim;
  TRY_NEW(v->features, items * v->width + 1, "item vectors");
  TRY_NEW(v->target, users * dim + 1, "vectors of people");
  for (size_t i = 0; i < items; i++) memcpy(v->features + i * v->width, said + i * dim, dim * sizeof *said);
  memcpy(v->target, real_data(g->nodes), users * dim * sizeof *v->target);
  vector_scale(v->target, 1 / (float)(g->layers + 1), users * dim);
  for (size_t m = 0; m < f->c.count; m++) {
    of_items[m] = view = view_make(f, t, m);
    of_people[m] = op_sparse_matmul(t, &f->people, &f->back, view);
    for (size_t i = 0; view != NULL && i < items; i++) {
      float popularity = (float)(f->back.start[i + 1] - f->back.start[i]);
      if (popularity > 0)
        vector_add_scaled(v->features + i * v->width + (1 + m) * dim, 1 / sqrtf(popularity), real_data(view) + i * dim,
                          dim);
    }
  }
  if (f->c.count == 0) goto done;
  tensor *behaviour = op_slice(t, op_propagate(t, &g->graph, &g->graph, g->nodes, g->layers), 0, 0, users);
  tensor *user_sides = views_fuse(f, t, of_people, behaviour, f->all, users);
  tensor *item_sides = views_fuse(f, t, of_items, tape_input(t, 2, (size_t[]){items, dim}, own), f->all + users, items);
  TRY(tape_status(t, err));
  vector_add_scaled(own, 1, real_data(item_sides), items * dim);
  vector_add_scaled(v->target, 1, real_data(user_sides), users * dim);
done:
  tape_free(t);
  return status;
}

static medley_status mgcn_fit(const recommender_data *data, const double *values, progress_stage *progress,
                              recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  mgcn f = {.contrast = values[CONTRAST], .temperature = values[TEMPERATURE]};
  graph_training *g = &f.g;
  graph_model *m = NULL;
  vectors v = {0};
  float *own;
  TRY(graph_training_init(g, data, values, err));
  TRY(graph_negatives(g, values, err));
  TRY(graph_content_init(&f.c, data, (size_t)values[NEIGHBOURS], err));
  TRY(views_init(&f, err));
  weights_init(&f);
  TRY(graph_train(g, values, mgcn_loss, &f, progress, err));
  TRY(graph_model_create(&recommender_mgcn, g, &m, err));
  own = m->owned + g->x->columns * g->dim;
  TRY(graph_layers(g, real_data(g->nodes), m->owned, own, err));
  TRY(vectors_make(&f, m->owned, own, &v, err));
  TRY(graph_people(g, v.features, v.width, v.target, m->owned, err));
  *out = &m->base;
  m = NULL;
done:
  mem_free(v.target);
  mem_free(v.features);
  mgcn_deinit(&f);
  graph_model_free(m ? &m->base : NULL);
  return status;
}

static medley_status mgcn_load(const safetensors *s, const char *prefix, const recommender_data *data,
                               recommender **out, medley_error *err) {
  return graph_model_load(&recommender_mgcn, s, prefix, data, out, err);
}

const recommender_kind recommender_mgcn = {
    .name = "mgcn",
    .summary =
        "content cleared by behaviour, over a graph of alike items for each modality, joined as far as people care",
    .source = "Yu et al. 2023",
    .part = "taste",
    .settings = mgcn_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .needs_features = true,
    .accepts = graph_content_accepts,
    .by_itself = recommender_only_named,
    .fit = mgcn_fit,
    .score = graph_model_score,
    .trace = graph_model_trace,
    .save = graph_model_save,
    .load = mgcn_load,
    .free = graph_model_free,
};
