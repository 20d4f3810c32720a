/* recommend/sequence_model.h: what recommenders share that read a history as a sequence and say what comes next: order,
 * batches, items by content, losses, answers, files. A network is one file that says what becomes of the rows.
 *
 * Item i has one vector for both sides, as input and as what is predicted: m_i = e_i + W c_i, e_i trained for the item,
 * c_i its content, where there is some (content_unit_rows). In training e_i is left out now and then, so that W c_i
 * alone comes to stand for items that nobody has chosen yet.
 *
 * Batches are packed: sequences lie one behind the other, so that a step costs what is in it and nothing is padded.
 * Every place of a sequence learns what came next, and one sequence holds a person's newest `length` + 1 events.
 */
#ifndef RECOMMEND_SEQUENCE_MODEL_H
#define RECOMMEND_SEQUENCE_MODEL_H

#include "nn/layer.h"
#include "nn/layer_transformer.h"
#include "recommend/recommender.h"

#define SEQUENCE_LAYERS_MAX 4
#define SEQUENCE_LENGTH_MAX 200

/* The settings of every kind, in this order; a kind that does without the last leaves it away. */
enum {
  SEQUENCE_DROPOUT,
  SEQUENCE_EPOCHS,
  SEQUENCE_LAYERS,
  SEQUENCE_LOSS,
  SEQUENCE_NEGATIVES,
  SEQUENCE_RATE,
  SEQUENCE_DIM,
  SEQUENCE_LENGTH,
  SEQUENCE_BATCH,
  SEQUENCE_CONTENT,
  SEQUENCE_TIMES,
  SEQUENCE_HEADS
};
enum { SEQUENCE_BCE, SEQUENCE_SOFTMAX };
#define SEQUENCE_SETTINGS(dropout, epochs, layers)                                                                \
  {"dropout", "share of numbers left out in training", dropout, 0, 0.9, sequence_dropouts, 2},                    \
      {"epochs", "times that every sequence is trained on", epochs, 1, 10000, NULL, 0},                           \
      {"layers", "networks on top of each other", layers, 1, SEQUENCE_LAYERS_MAX, NULL, 0},                       \
      {"loss", "0: each step against one drawn item (BCE); 1: against many (sampled softmax)", 1, 0, 1, NULL, 0}, \
      {"negatives", "drawn items that a batch shares, of the softmax", 512, 1, 65536, NULL, 0},                   \
      {"rate", "the highest learning rate", 2e-3, 1e-6, 1, NULL, 0},                                              \
      {"dim", "numbers of a vector", 64, 4, 512, NULL, 0},                                                        \
      {"length", "newest events that are looked at", 50, 1, SEQUENCE_LENGTH_MAX, NULL, 0},                        \
      {"batch", "sequences a step", 128, 1, 65536, NULL, 0},                                                      \
      {"content", "how often an item is known in training by its content alone; 0: content is not read",          \
       0.2,       0,                                                                                              \
       0.9,       NULL,                                                                                           \
       0},                                                                                                        \
  {                                                                                                               \
    "times", "1: an event also says how long after the one before it came", 0, 0, 1, NULL, 0                      \
  }
extern const double sequence_dropouts[2];

/* What a network is made of; each uses some. */
typedef struct sequence_layers {
  size_t dim, heads, count; /* count: layers */
  double dropout;
  layer_transformer block[SEQUENCE_LAYERS_MAX];
  layer_recurrent gru;
  layer_embedding place; /* by how many events come behind; weight NULL: order is known otherwise */
  layer_embedding gap;   /* by the time since the event before; weight NULL: not looked at */
  tensor *norm_weight, *norm_bias;
} sequence_layers;

typedef struct sequence_network {
  const recommender_kind *kind;
  /* Declares the parameters; dim, heads, count and dropout of l are set, and the gap is there. */
  void (*init)(sequence_layers *l, parameters *p, size_t length);
  /* x [rows, dim], starts [sequences + 1] first rows, the longest sequence first → [rows, dim]: what comes next. */
  tensor *(*forward)(tape *t, const sequence_layers *l, tensor *x, tensor *starts);
} sequence_network;

typedef struct sequence_model sequence_model; /* begins with a recommender */

medley_status sequence_fit(const sequence_network *network, const recommender_data *data, const double *values,
                           progress_stage *progress, recommender **out, medley_error *err) MEDLEY_CHECK;
medley_status sequence_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                             medley_error *err);
medley_status sequence_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err);
medley_status sequence_load(const sequence_network *network, const safetensors *s, const char *prefix,
                            const recommender_data *data, recommender **out, medley_error *err) MEDLEY_CHECK;
void sequence_free(recommender *r);

#endif
