/* recommend/mentor.c: what people and items are to each modality, over the graph of both and one of alike items, drawn
 * to the way that who chose what is distributed, and to themselves with noise and with parts left out.
 *
 * Xu et al., "MENTOR: Multi-level self-supervised learning for multimodal recommendation", AAAI 2025 (arXiv
 * 2402.19407). In the letters of graph_model.h, with ‖ one vector behind another and C(a, b) = 1 − cos(a, b):
 *
 *   nodes      people p_id ‖ p_1 ‖ … ‖ p_M, a vector for each modality; items e_id ‖ z_1 ‖ … ‖ z_M,
 *              z_m = W₂ leaky(W₁ f_m + b₁) + b₂
 *   vectors    e_u, ī: the mean of the layers of LightGCN, each modality in its own numbers; e_i = ī + S S ī with the
 *              frozen graph S of alike items of freedom.c ("multimodal information encoder")
 *   alignment  Σ |μ_a − μ_b| + |σ²_a − σ²_b| over all pairs of the distributions of the ids' numbers, the fused ones
 *              (all of them), and each modality's: the levels id–fused, id–modality, fused–modality and
 *              modality–modality ("multilevel cross-modal alignment")
 *   masking    C(P e, dropout(e)) of people and items ("general feature enhancement")
 *   noise      InfoNCE of e + Δ' and e + Δ'', people and items each, Δ of the length ε ‖e‖ in e's orthant (Yu et al.,
 *              "Are graph augmentations necessary?", SIGIR 2022, to which the paper refers); views of one and the same
 *              are no negatives
 *   loss       −ln σ(e_u·e_i − e_u·e_j), j the hardest of four, + α alignment + β masking + γ noise + λ ‖E⁰‖²
 *
 * What differs. In the published code three of these have no say in what is scored: ids are trained by the alignment
 * alone, masking runs without gradients, and the noisy views come from networks of their own. Here ids are a part of
 * the vectors, masking is as in bm3.c, and the views are of the vectors themselves. Noise is added to the mean of the
 * layers, and not to each: propagation is linear, so what is added to one arrives at the end as a mean over neighbours,
 * and two more propagations are spared. A person's weight of a modality is how long p_m is, which is not made a unit
 * vector; the published one is a number for each trained person, but a model keeps none. Moments are those of the
 * batch's rows. Neighbours and shares of S: freedom.c; people and the learning rate: graph_model.h, lightgcn.c.
 *
 * A modality that an item lacks is masked: zero in the nodes, so that its numbers come from who chose it, not counted
 * in the alignment, no neighbour in S. Cold items have no e_id and no edges, and are found by z_m and by their
 * neighbours' vectors; one without any modality is zero. A cold person is the sum of a history like all.
 */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "encode/trained.h"
#include "math/vector.h"
#include "recommend/graph_content.h"
#include "recommend/kinds.h"

#define CONTRAST_ROWS 512 /* of a batch: the square of them is compared */

enum { ALIGN = GRAPH_RANKING_SETTINGS, MASKING, DROPOUT, CONTRAST, TEMPERATURE, NOISE, NEIGHBOURS, SETTINGS };

static const double epoch_counts[] = {20, 40, 80};
static const double decays[] = {1e-3, 1e-2};
static const double drawses[] = {1, 4};
static const double aligns[] = {0.01, 0.1};
static const double maskings[] = {0, 0.01};
static const double contrasts[] = {0, 0.01, 0.03};
static const recommender_setting mentor_settings[] = {
    {"epochs", "times that every event is trained on", 20, 1, 10000, epoch_counts, 3},
    {"layers", "steps along the edges of people and items", 4, 1, 8, NULL, 0},
    {"decay", "how much long vectors cost, λ", 1e-3, 0, 10, decays, 2},
    GRAPH_COMMON_SETTINGS(5e-3),
    GRAPH_NEGATIVE_SETTINGS(4, drawses, 2),
    {"align", "weight α of drawing the distributions of modalities to that of ids", 0.01, 0, 100, aligns, 2},
    {"masking", "weight β of drawing vectors to themselves with a part left out", 0.01, 0, 100, maskings, 2},
    {"dropout", "the share that is left out", 0.5, 0, 0.9, NULL, 0},
    {"contrast", "weight γ of telling noisy vectors apart", 0.01, 0, 10, contrasts, 3},
    {"temperature", "of the contrast", 0.2, 0.01, 10, NULL, 0},
    {"noise", "length ε of the noise, as a share of the vector's", 0.1, 0, 1, NULL, 0},
    {"neighbours", "items alike by a modality", 10, 1, 100, NULL, 0},
    {NULL},
};

typedef struct mentor {
  graph_training g;
  graph_content c;
  graph_maps maps;                                   /* W₁, b₁ */
  tensor *weight[FEATURES_MAX], *bias[FEATURES_MAX]; /* [block, dim], [block] W₂, b₂ */
  tensor *predictor;                                 /* [dim, dim] P */
  float *has[FEATURES_MAX];                          /* [items, 1] 1 where the modality is there */
  sparse frozen, back;                               /* S and its transpose */
  size_t ids, block;                                 /* numbers of a vector that are the ids', and each modality's */
  const double *values;
} mentor;

static void mentor_deinit(mentor *f) {
  graph_training_deinit(&f->g);
  graph_content_deinit(&f->c);
  sparse_deinit(&f->frozen);
  sparse_deinit(&f->back);
  for (size_t m = 0; m < FEATURES_MAX; m++) mem_free(f->has[m]);
}

/* ---- making ready ---- */

static medley_status blocks_init(mentor *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  graph_training *g = &f->g;
  size_t items = g->x->columns;
  f->block = g->dim / (1 + f->c.count);
  f->ids = g->dim - f->block * f->c.count;
  if (f->block == 0)
    FAIL(err, MEDLEY_ERR_USAGE, "mentor: vectors of %zu numbers have none for each of %zu modalities", g->dim,
         f->c.count);
  for (size_t m = 0; m < f->c.count; m++) {
    TRY_NEW(f->has[m], items + 1, "items");
    for (size_t i = 0; i < items; i++) f->has[m][i] = f->c.present[m][i] ? 1 : 0;
  }
done:
  return status;
}

static void weights_init(mentor *f) {
  graph_training *g = &f->g;
  graph_maps_init(&f->maps, &f->c, g);
  for (size_t m = 0; m < f->c.count; m++) {
    char name[32];
    snprintf(name, sizeof name, "out.%zu", m);
    f->weight[m] = parameters_add(g->weights, name, "weight", PARAMETER_WEIGHT, (initial){INITIAL_XAVIER, 0}, 2,
                                  (size_t[]){f->block, g->dim});
    f->bias[m] =
        parameters_add(g->weights, name, "bias", PARAMETER_PLAIN, (initial){INITIAL_ZERO, 0}, 1, (size_t[]){f->block});
  }
  f->predictor = parameters_add(g->weights, NULL, "predictor", PARAMETER_WEIGHT, (initial){INITIAL_XAVIER, 0}, 2,
                                (size_t[]){g->dim, g->dim});
}

/* ---- vectors ---- */

/* [users + items, dim] what is propagated. */
static tensor *nodes_make(const mentor *f, tape *t) {
  const graph_training *g = &f->g;
  size_t users = g->x->rows, items = g->x->columns;
  tensor *people = op_slice(t, g->nodes, 0, 0, users);
  tensor *rows = op_slice(t, op_slice(t, g->nodes, 0, users, items), 1, 0, f->ids);
  for (size_t m = 0; m < f->c.count; m++) {
    tensor *z = op_leaky_relu(t, graph_maps_rows(&f->maps, &f->c, m, t, NULL), 0.01);
    z = op_mul(t, op_linear(t, z, f->weight[m], f->bias[m]), tape_input(t, 2, (size_t[]){items, 1}, f->has[m]));
    rows = op_concat(t, (tensor *[]){rows, z}, 2, 1);
  }
  return op_concat(t, (tensor *[]){people, rows}, 2, 0);
}

/* ī + S S ī of all items. */
static tensor *alike_add(const mentor *f, tape *t, tensor *items) {
  tensor *once = op_sparse_matmul(t, &f->frozen, &f->back, items);
  return op_add(t, items, op_sparse_matmul(t, &f->frozen, &f->back, once));
}

/* ---- alignment ---- */

typedef struct moments {
  tensor *mean, *variance; /* one number each */
} moments;

/* Of all numbers of x [count, width]; share [count] of its rows, NULL: all the same. */
static moments moments_of(tape *t, tensor *x, tensor *share) {
  moments of = {NULL, NULL};
  if (x == NULL) return of;
  if (share == NULL) {
    of.mean = op_mean(t, x, OP_ALL);
    of.variance = op_mean(t, op_square(t, op_sub(t, x, of.mean)), OP_ALL);
  } else {
    double each = 1 / (double)x->shape[1];
    share = op_reshape(t, share, 2, (size_t[]){share->count, 1});
    of.mean = op_affine(t, op_sum(t, op_mul(t, x, share), OP_ALL), each, 0);
    of.variance = op_affine(t, op_sum(t, op_mul(t, op_square(t, op_sub(t, x, of.mean)), share), OP_ALL), each, 0);
  }
  return of;
}

static bool any(const tensor *share) {
  for (size_t i = 0; share != NULL && i < share->count; i++)
    if (real_data(share)[i] > 0) return true;
  return false;
}

/* Of vectors [count, dim]; item [count] which items they are of, NULL: of people. */
static tensor *alignment(const mentor *f, tape *t, tensor *vectors, const int32_t *item) {
  moments of[FEATURES_MAX + 2];
  size_t count = 0;
  tensor *sum = NULL;
  of[count++] = moments_of(t, op_slice(t, vectors, 1, 0, f->ids), NULL);
  of[count++] = moments_of(t, vectors, NULL);
  for (size_t m = 0; vectors != NULL && m < f->c.count; m++) {
    tensor *share = item != NULL ? graph_content_share(&f->c, m, t, item, NULL, vectors->shape[0]) : NULL;
    if (item == NULL || any(share))
      of[count++] = moments_of(t, op_slice(t, vectors, 1, f->ids + m * f->block, f->block), share);
  }
  for (size_t a = 0; a < count; a++)
    for (size_t b = a + 1; b < count; b++) {
      tensor *apart =
          op_add(t, op_abs(t, op_sub(t, of[a].mean, of[b].mean)), op_abs(t, op_sub(t, of[a].variance, of[b].variance)));
      sum = sum == NULL ? apart : op_add(t, sum, apart);
    }
  return sum;
}

/* ---- enhancement ---- */

static tensor *masking(const mentor *f, tape *t, tensor *vectors) {
  return graph_apart(t, op_linear(t, vectors, f->predictor, NULL), graph_held(t, vectors, f->values[DROPOUT]), NULL);
}

/* Vectors [count, dim] of unit length after noise that keeps their signs. */
static tensor *noisy(const mentor *f, tape *t, tensor *vectors, rng *draw) {
  if ((vectors = op_contiguous(t, vectors)) == NULL) return NULL;
  size_t dim = vectors->shape[1];
  tensor *noise = tape_empty(t, 2, vectors->shape);
  if (noise == NULL) return NULL;
  for (size_t r = 0; r < vectors->shape[0]; r++) {
    const real *x = real_data(vectors) + r * dim;
    real *to = real_data(noise) + r * dim;
    for (size_t d = 0; d < dim; d++) to[d] = (real)rng_uniform(draw);
    vector_normalise(to, dim);
    real length = (real)f->values[NOISE] * vector_norm(x, dim);
    for (size_t d = 0; d < dim; d++) to[d] *= x[d] < 0 ? -length : x[d] > 0 ? length : 0;
  }
  return op_unit(t, op_add(t, vectors, noise));
}

/* Of vectors [count, dim]; index [count] says whose they are: another view of the same one is no negative. */
static tensor *noise_contrast(const mentor *f, tape *t, tensor *vectors, const int32_t *index, size_t count,
                              rng *draw) {
  size_t rows = count < CONTRAST_ROWS ? count : CONTRAST_ROWS;
  vectors = op_slice(t, vectors, 0, 0, rows);
  tensor *one = noisy(f, t, vectors, draw), *other = noisy(f, t, vectors, draw);
  tensor *who = tape_indices(t, 1, &rows, index);
  return op_sampled_softmax(
      t, op_affine(t, one, 1 / f->values[TEMPERATURE], 0),
      &(sampled_softmax_rows){.positive = other, .negative = other, .target = who, .sampled = who});
}

/* ---- training ---- */

static tensor *mentor_loss(tape *t, void *context, const uint32_t *events, size_t count) {
  mentor *f = context;
  graph_training *g = &f->g;
  graph_rows rows = graph_draw(g, t, events, count, true);
  tensor *length = graph_length(g, t, &rows);
  tensor *all = op_propagate(t, &g->graph, &g->graph, nodes_make(f, t), g->layers);
  tensor *users = op_embedding(t, op_slice(t, all, 0, 0, g->x->rows), tape_indices(t, 1, &count, g->index));
  tensor *items = op_embedding(t, alike_add(f, t, op_slice(t, all, 0, g->x->rows, g->x->columns)), rows.items);
  tensor *loss = graph_rank(g, t, &rows, users, items), *chosen = op_slice(t, items, 0, 0, count);
  const double *weight = f->values;
  if (weight[ALIGN] > 0 && f->c.count > 0) {
    tensor *both = op_add(t, alignment(f, t, users, NULL), alignment(f, t, chosen, rows.item));
    loss = op_add(t, loss, op_affine(t, both, weight[ALIGN], 0));
  }
  if (weight[MASKING] > 0) {
    tensor *both = op_add(t, masking(f, t, users), masking(f, t, chosen));
    loss = op_add(t, loss, op_affine(t, both, weight[MASKING], 0));
  }
  if (weight[CONTRAST] > 0) {
    rng draw;
    trained_draw_seed(&draw, ~g->seed, t);
    tensor *both = op_add(t, noise_contrast(f, t, users, g->index, count, &draw),
                          noise_contrast(f, t, chosen, rows.item, count, &draw));
    loss = op_add(t, loss, op_affine(t, both, weight[CONTRAST], 0));
  }
  return graph_total(t, loss, length);
}

/* ---- what is kept ---- */

/* m's vectors from the trained nodes [users + items, dim]; what belongs to ids of items that nobody chose is lost. */
static medley_status vectors_make(const mentor *f, float *nodes, graph_model *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const graph_training *g = &f->g;
  size_t dim = g->dim, items = g->x->columns;
  float *said = m->owned, *own = said + items * dim, *once = NULL, *twice = NULL, *of_items = nodes + g->x->rows * dim;
  TRY_NEW(once, items * dim + 1, "item vectors");
  TRY_NEW(twice, items * dim + 1, "item vectors");
  TRY(graph_layers(g, nodes, said, own, err));
  for (size_t i = 0, w = 0; i < items; i++) {
    if (w < g->warm_count && g->warm[w] == i) {
      w++;
      continue;
    }
    memset(of_items + i * dim, 0, f->ids * sizeof *nodes);
    vector_add_scaled(own + i * dim, 1 / (float)(g->layers + 1), of_items + i * dim, dim);
  }
  sparse_multiply_dense(&f->frozen, own, dim, once);
  sparse_multiply_dense(&f->frozen, once, dim, twice);
  vector_add_scaled(own, 1, twice, items * dim);
  TRY(graph_people(g, said, dim, nodes, said, err));
done:
  mem_free(once);
  mem_free(twice);
  return status;
}

static medley_status mentor_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  mentor f = {.values = values};
  graph_model *m = NULL;
  tape *t = NULL;
  tensor *nodes = NULL;
  TRY(graph_training_init(&f.g, data, values, err));
  TRY(graph_negatives(&f.g, values, err));
  TRY(graph_content_init(&f.c, data, (size_t)values[NEIGHBOURS], err));
  TRY(graph_content_merge(&f.c, &f.frozen, &f.back, err));
  TRY(blocks_init(&f, err));
  weights_init(&f);
  TRY(graph_train(&f.g, values, mentor_loss, &f, progress, err));
  TRY(graph_model_create(&recommender_mentor, &f.g, &m, err));
  t = tape_create(0);
  if (t == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for vectors");
  tape_set_training(t, false);
  nodes = nodes_make(&f, t);
  TRY(tape_status(t, err));
  TRY(vectors_make(&f, real_data(nodes), m, err));
  *out = &m->base;
  m = NULL;
done:
  tape_free(t);
  mentor_deinit(&f);
  graph_model_free(m ? &m->base : NULL);
  return status;
}

static medley_status mentor_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                 recommender **out, medley_error *err) {
  return graph_model_load(&recommender_mentor, s, prefix, data, out, err);
}

const recommender_kind recommender_mentor = {
    .name = "mentor",
    .summary = "vectors for each modality over the graph and one of alike items, drawn to the ids' distribution",
    .source = "Xu et al. 2025",
    .part = "taste",
    .settings = mentor_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .needs_features = true,
    .accepts = graph_content_accepts,
    .by_itself = recommender_only_named,
    .fit = mentor_fit,
    .score = graph_model_score,
    .trace = graph_model_trace,
    .save = graph_model_save,
    .load = mentor_load,
    .free = graph_model_free,
};
