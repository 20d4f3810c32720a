/* recommend/graph_model.h: what recommenders share that train vectors over the graph of people and items, by batches of
 * what was chosen: the graph, the training, and the model that answers from a history.
 *
 * With E⁰ the trained vectors of all nodes and A the graph, an edge of person u and item i weighing 1 / √(|N_u| |N_i|),
 * E^k = A E^(k−1), and a node's vector is the mean of its layers 0 … K (He et al., "LightGCN", SIGIR 2020, equations 3
 * and 4). Of that each kind makes vectors of people and items, score(u, i) = e_u · e_i, and its own loss.
 *
 * A model keeps no vector of a person. Of a history N_u the layers from the first on follow from the items' vectors
 * alone, e_u^k = Σ_{j ∈ N_u} w_j e_j^(k−1) / √(Σ w |N_j|). The rest of e_u is replaced by what a linear map makes of
 * sums over the history, fitted to the trained vectors by ridge regression. So a score is a sum over the history,
 * which `trace` tells, and a model is two vectors an item: what it says of who chose it, and what it is found by.
 *
 * Items that nobody chose are no nodes to learn from: they are not drawn as negatives, and their rows of E⁰ go nowhere.
 */
#ifndef RECOMMEND_GRAPH_MODEL_H
#define RECOMMEND_GRAPH_MODEL_H

#include "base/rng.h"
#include "nn/op.h"
#include "nn/parameters.h"
#include "recommend/model.h"

#define GRAPH_DIM_MAX 512
#define GRAPH_DRAWS_MAX 16

/* The settings that all have, at the beginning of their tables; behind them those of kinds that learn by ranking. */
enum { GRAPH_EPOCHS, GRAPH_LAYERS, GRAPH_DECAY, GRAPH_RATE, GRAPH_DIM, GRAPH_BATCH, GRAPH_SETTINGS };
enum { GRAPH_DRAWS = GRAPH_SETTINGS, GRAPH_POPULAR, GRAPH_IN_BATCH, GRAPH_SOFTNESS, GRAPH_RANKING_SETTINGS };
#define GRAPH_COMMON_SETTINGS(highest)                                 \
  {"rate", "the highest learning rate", highest, 1e-6, 1, NULL, 0},    \
      {"dim", "numbers of a vector", 64, 4, GRAPH_DIM_MAX, NULL, 0}, { \
    "batch", "events a step", 2048, 16, 1 << 20, NULL, 0               \
  }
#define GRAPH_NEGATIVE_SETTINGS(usual, drawses, count)                                                             \
  {"draws", "negatives drawn, of which the hardest is taken", usual, 1, GRAPH_DRAWS_MAX, drawses, count},          \
      {"popular", "share of negatives that are drawn as often as they are chosen", 0, 0, 1, NULL, 0},              \
      {"in_batch", "share of the loss that is a softmax over what others in the batch chose", 0, 0, 1, NULL, 0}, { \
    "in_batch_temperature", "of that softmax", 1, 0.01, 100, NULL, 0                                               \
  }

/* ---- training ---- */

typedef struct graph_training {
  const sparse *x; /* [users, items] what was chosen; borrowed */
  uint64_t seed;
  size_t dim, layers, batch;
  double decay; /* λ */
  size_t draws; /* negatives of an event; 1 unless graph_negatives says otherwise */
  double popular, in_batch, temperature;
  sparse graph;   /* [users + items, users + items] A, symmetric */
  uint32_t *user; /* [events] */
  uint32_t *warm; /* [warm_count] items that somebody chose */
  size_t warm_count;
  parameters *weights; /* E⁰, and what the kind adds before graph_train */
  tensor *nodes;       /* [users + items, dim] E⁰ */
  int32_t *index;      /* [(3 + 2 draws) batch] of a step */
  uint8_t *chosen;     /* [items] a mark on what somebody chose, all zero between uses; NULL: no in_batch */
} graph_training;

/* values [GRAPH_SETTINGS …]. */
medley_status graph_training_init(graph_training *g, const recommender_data *data, const double *values,
                                  medley_error *err) MEDLEY_CHECK;
/* How a kind that learns by ranking takes its negatives, values [GRAPH_RANKING_SETTINGS …]. */
medley_status graph_negatives(graph_training *g, const double *values, medley_error *err) MEDLEY_CHECK;
void graph_training_deinit(graph_training *g);

/* The loss of a step: events [count] are entries of x. */
typedef tensor *(*graph_loss)(tape *t, void *context, const uint32_t *events, size_t count);
/* epochs over all events; seals g->weights. Without events nothing is learnt. progress may be NULL. */
medley_status graph_train(graph_training *g, const double *values, graph_loss loss, void *context,
                          progress_stage *progress, medley_error *err) MEDLEY_CHECK;
/* The epoch of the step that is being made, from 0 on. */
size_t graph_epoch(const graph_training *g, const tape *t);

/* A step's rows: who chose, what they chose, and, where it is wanted, the negatives: `draws` for each event, drawn from
 * what its person did not choose (after some tries from all), evenly or, a share `popular` of them, as often as they
 * are chosen. First all that were drawn first, then all that were drawn next. */
typedef struct graph_rows {
  const int32_t *item; /* [item_count] the chosen and the drawn; stays until the step is through */
  tensor *nodes;       /* [count + item_count] people and all of them as rows of E⁰ */
  tensor *items;       /* the items of `item` */
  tensor *pairs;       /* [2 count] those of the chosen and of the first drawn; NULL without drawn */
  size_t count, item_count;
} graph_rows;
graph_rows graph_draw(graph_training *g, tape *t, const uint32_t *events, size_t count, bool with_drawn);
/* λ Σ ‖E⁰‖² / (2 count) over the step's people, chosen and first drawn items; NULL when λ is 0. Which of several draws
 * is the hardest is known only later. To be called before anything else that reads E⁰: going back, the other gradient
 * is then written whole, and this one added to its rows. */
tensor *graph_length(const graph_training *g, tape *t, const graph_rows *rows);
/* loss + length, which may be NULL. */
tensor *graph_total(tape *t, tensor *loss, tensor *length);
/* −ln σ(u·i − u·j), users [count, dim], items [2 count, dim] the chosen, then the drawn (Rendle et al. 2009); share
 * [count] of each row in the sum, NULL: the mean. */
tensor *graph_bpr(tape *t, tensor *users, tensor *items, tensor *share);
/* The loss by which a kind learns to rank, users [count, dim], items [item_count, dim] of the step's rows:
 *
 *   (1 − s) −ln σ(u·i − max u·j) + s −ln e^(u·i/τ − ln q_i) / Σ_j e^(u·j/τ − ln q_j)
 *
 * with s = in_batch. The hardest of the draws j is taken (Zhang et al., SIGIR 2013); it alone gets a gradient. In the
 * softmax j goes over i and what the others of a batch chose, GRAPH_SOFTMAX_ROWS events at a time, without what u chose
 * as well. Items come into a batch as often as they are chosen, q, which is corrected for (Yi et al., "Sampling-bias-
 * corrected neural modeling for large corpus item recommendations", RecSys 2019). */
#define GRAPH_SOFTMAX_ROWS 1024
tensor *graph_rank(graph_training *g, tape *t, const graph_rows *rows, tensor *users, tensor *items);
/* The values of x, with a part left out, and no way back for gradients. */
tensor *graph_held(tape *t, tensor *x, double dropout);
/* 1 − cos(a, b) of rows [count, dim]; share [count] of each in the sum, NULL: the mean. */
tensor *graph_apart(tape *t, tensor *a, tensor *b, tensor *share);

/* ---- what is kept of it ---- */

typedef struct graph_model {
  recommender base;
  uint32_t dim;
  const float *said; /* [items, dim] what an item of the history says of its person; zero where nobody chose it */
  const float *own;  /* [items, dim] what an item is found by */
  float *owned;      /* both, of a model that was fitted; own begins at items × dim */
} graph_model;

/* An empty model with room for both. */
medley_status graph_model_create(const recommender_kind *kind, const graph_training *g, graph_model **out,
                                 medley_error *err) MEDLEY_CHECK;
/* said and own from nodes [users + items, dim], which stand for E⁰: the share of the layers 1 … K in e_u, and e_i of
 * the mean of all layers; zero for what nobody chose. */
medley_status graph_layers(const graph_training *g, const float *nodes, float *said, float *own,
                           medley_error *err) MEDLEY_CHECK;
/* said += features W, where W maps Σ_{j ∈ N_u} features_j / √|N_u| to target [users, dim] by ridge regression; features
 * [items, width], which may be said itself. */
medley_status graph_people(const graph_training *g, const float *features, size_t width, const float *target,
                           float *said, medley_error *err) MEDLEY_CHECK;

/* What a kind puts into its row of the table. */
medley_status graph_model_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                medley_error *err);
medley_status graph_model_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                float *out, medley_error *err);
medley_status graph_model_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err);
void graph_model_free(recommender *r); /* NULL is fine */
medley_status graph_model_load(const recommender_kind *kind, const safetensors *s, const char *prefix,
                               const recommender_data *data, recommender **out, medley_error *err) MEDLEY_CHECK;

#endif
