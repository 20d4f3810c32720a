/* recommend/feature_model.h: what recommenders share that learn from features of a person and of an item, for one goal
 * or several (clicks, likes, buys: data/interactions.h): fields, batches, losses, answers, files. A kind is one file
 * that says what becomes of the fields.
 *
 * Nobody has a vector of their own, so a person's fields come from the history: for each goal the weighted mean of the
 * vectors of what was done for it (h_j + Σ_m A_m c_jm, with h_j trained for the item and c_jm its content by modality
 * m, tags and category among them), one for how much there is in the history, and one for each field of what else is
 * known of people (data/traits.h), the mean of the vectors of their traits. An item's fields are a trained e_i
 * and W_m c_im of each modality; one that is missing is a field of zeros. In training e_i and h_j are left out now and
 * then, so that content alone comes to stand for items that nobody has chosen yet; where traits are known, so may whole
 * histories be (`strangers`), so that traits alone come to stand for people who have done nothing yet.
 *
 * A person's chosen items are asked for out of a history without them, each beside items drawn by chances q. What a
 * network learns then is how much likelier than q an item is (Gutmann & Hyvärinen 2010), and log q n goes to the score,
 * n being how many items there are: popularity need not be learned. A pair is labelled with a goal when it has an event
 * of that goal or of a stronger one: what was bought was also wanted.
 *
 *   loss = mean over pairs and goals of BCE(logit_g, y_g),     score = Σ_g weight_g (logit_g + log q n)
 *
 * What is asked for how often, and what an answer counts, can be evened out (recommend/imbalance.h); nothing is, unless
 * settings say so.
 */
#ifndef RECOMMEND_FEATURE_MODEL_H
#define RECOMMEND_FEATURE_MODEL_H

#include "nn/layer.h"
#include "recommend/recommender.h"

#define FEATURE_EXPERTS_MAX 8
/* Experts of one level of `ple`: so many of each goal and shared ones. */
#define FEATURE_TOWERS_MAX (FEATURE_EXPERTS_MAX * (GOAL_COUNT + 1))

/* The settings of every kind, in this order; those of several goals follow. */
enum {
  FEATURE_EPOCHS,
  FEATURE_RATE,
  FEATURE_DIM,
  FEATURE_HIDDEN,
  FEATURE_DROPOUT,
  FEATURE_NEGATIVES,
  FEATURE_CONTENT,
  FEATURE_BATCH,
  FEATURE_OVER,
  FEATURE_UNDER,
  FEATURE_SMOTE,
  FEATURE_WEIGH,
  FEATURE_MODAL,
  FEATURE_STRANGERS,
  FEATURE_CLICK, /* the three weights in the order of the goals */
  FEATURE_LIKE,
  FEATURE_BUY,
  FEATURE_EXPERTS,
  FEATURE_SETTINGS
};
#define FEATURE_GOAL FEATURE_CLICK /* of a kind with one goal: which */
#define FEATURE_FIELD_SETTINGS                                                                                           \
  {"epochs", "times that every person is trained on", 20, 1, 10000, NULL, 0},                                            \
      {"rate", "the highest learning rate", 5e-3, 1e-6, 1, NULL, 0},                                                     \
      {"dim", "numbers of a field's vector", 32, 2, 512, NULL, 0},                                                       \
      {"hidden", "width of the first layer; the second has half", 64, 2, 2048, NULL, 0},                                 \
      {"dropout", "share of numbers left out between layers in training", 0.2, 0, 0.9, NULL, 0},                         \
      {"negatives", "drawn items beside each chosen one, half evenly and half by popularity", 16, 1, 1024, NULL, 0},     \
      {"content", "how often an item is known in training by its content alone; 0: content is not read",                 \
       0.2,       0,                                                                                                     \
       0.9,       NULL,                                                                                                  \
       0},                                                                                                               \
      {"batch", "people a step", 32, 1, 65536, NULL, 0},                                                                 \
      {"over", "how far pairs of rare goals are asked for more often; 1: as many as of the frequent one", 0, 0, 1, NULL, \
       0},                                                                                                               \
      {"under", "how far pairs of frequent goals are asked for less often; 1: as few as of the rarest", 0, 0, 1, NULL,   \
       0},                                                                                                               \
      {"smote", "as over, with items made up between one and another that is alike by content", 0, 0, 1, NULL, 0},       \
      {"weigh", "how far a goal's yes and no count the same in the loss; 1: balanced", 0, 0, 1, NULL, 0},                \
      {"modal", "how evenly items are drawn over what modalities they have; 1: each combination as often",               \
       0,       0,                                                                                                       \
       1,       NULL,                                                                                                    \
       0},                                                                                                               \
  {                                                                                                                      \
    "strangers",                                                                                                         \
        "how often a whole history is left out in training, so that traits answer people without one; 0: never", 0, 0,   \
        0.9, NULL, 0                                                                                                     \
  }
#define FEATURE_GOAL_SETTINGS                                                                                        \
  {"click", "weight of clicks in the score", 1, 0, 100, NULL, 0}, {"like", "weight of likes", 1, 0, 100, NULL, 0}, { \
    "buy", "weight of buys", 1, 0, 100, NULL, 0                                                                      \
  }

/* Two layers over all fields: relu(W relu(P p + Q v + R (p̂ ⊙ v̂) + b) + b'), p and v the fields of the person and of the
 * item side by side, p̂ and v̂ their sums: products of two vectors are what such a network learns worst by itself
 * (Rendle et al. 2020), so it is told them (the pooling of He & Chua 2017 across the two sides). */
typedef struct feature_tower {
  layer_linear person, item, product, next;
} feature_tower;

/* softmax(G p + H v): how much each expert is listened to. */
typedef struct feature_gate {
  layer_linear person, item;
} feature_gate;

/* What a network is made of; each kind uses some. */
typedef struct feature_layers {
  size_t dim, hidden, goals, experts; /* hidden: of the first layer */
  size_t bags;                        /* person fields: of the history, then its size, then traits */
  size_t person_fields, item_fields;
  double dropout;
  feature_tower tower[FEATURE_TOWERS_MAX];
  feature_gate gate[GOAL_COUNT + 1];
  layer_linear inner[FEATURE_TOWERS_MAX], inner_gate[GOAL_COUNT];
  layer_linear head[GOAL_COUNT], out[GOAL_COUNT];
  layer_linear order_person, order_item;
} feature_layers;

/* What a network reads. */
typedef struct feature_rows {
  size_t people, rows;
  tensor *person, *item;         /* [people, person_fields · dim], [rows, item_fields · dim] */
  tensor *person_sum, *item_sum; /* p̂ [people, dim], v̂ [rows, dim] */
  tensor *product;               /* p̂ ⊙ v̂ [rows, dim] */
  tensor *of;                    /* [rows] which person; NULL: the only one, for all rows */
} feature_rows;

typedef struct feature_network {
  const recommender_kind *kind;
  bool one_goal; /* learns the goal that setting FEATURE_GOAL says: 0, any event; 1, likes and buys; 2, buys */
  /* Declares the parameters; everything up to dropout is set. */
  void (*init)(feature_layers *l, parameters *p);
  /* → logits [rows, goals] */
  tensor *(*forward)(tape *t, const feature_layers *l, const feature_rows *x);
} feature_network;

/* What follows from person, item and of: the sums and their product. */
void feature_rows_prepare(tape *t, const feature_layers *l, feature_rows *x);
/* y [people, ...] for each row; broadcasting does it where there is one person. */
tensor *feature_spread(tape *t, const feature_rows *x, tensor *y);
void feature_tower_init(const feature_layers *l, feature_tower *tower, parameters *p, const char *prefix);
/* → [rows, hidden / 2] */
tensor *feature_tower_forward(tape *t, const feature_layers *l, const feature_tower *tower, const feature_rows *x);
void feature_gate_init(const feature_layers *l, feature_gate *gate, parameters *p, const char *prefix, size_t experts);
/* → [rows, experts] */
tensor *feature_gate_forward(tape *t, const feature_gate *gate, const feature_rows *x);
/* Σ_k gate_k · expert_k: gate [rows, count], experts [rows, width] each. */
tensor *feature_mix(tape *t, tensor *gate, tensor *const *expert, size_t count);
/* What a goal makes of its inputs [rows, hidden / 2]: relu of a layer as wide, then one number. */
void feature_head_init(feature_layers *l, parameters *p, size_t goal);
tensor *feature_head_forward(tape *t, const feature_layers *l, size_t goal, tensor *x);
/* x [rows, ...] side by side, however many; one is itself. */
tensor *feature_side_by_side(tape *t, tensor *const *x, size_t count);

typedef struct feature_model feature_model; /* begins with a recommender */

medley_status feature_fit(const feature_network *network, const recommender_data *data, const double *values,
                          progress_stage *progress, recommender **out, medley_error *err) MEDLEY_CHECK;
medley_status feature_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                            medley_error *err);
/* {"goals": ["click", …]} */
json_t *feature_describe(const recommender *r);
medley_status feature_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err);
medley_status feature_load(const feature_network *network, const safetensors *s, const char *prefix,
                           const recommender_data *data, recommender **out, medley_error *err) MEDLEY_CHECK;
void feature_free(recommender *r);

#endif
