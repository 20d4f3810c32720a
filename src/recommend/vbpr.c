/* recommend/vbpr.c: bpr with factors of the items' content beside their own.
 *
 * He & McAuley, "VBPR: Visual Bayesian personalized ranking from implicit feedback", AAAI 2016:
 *
 *   x_ui = b_i + u·h_i + θ_u·(f_i E) + f_i·e        E [features, content_dim], e [features]
 *
 * trained as bpr_sgd.h says. An item without any event has no h_i and is placed by its content alone. What differs from
 * the paper, beside what bpr.c says of people and negatives:
 *
 *   features   all modalities, not pictures alone: each centred and of unit length, side by side. One that an item
 * lacks is zero there, which is the mean of those that have it: it says nothing and learns nothing. E          the
 * paper moves all of E in every step, which costs features × content_dim and would be every thread's business. Here
 * θ_u·z_i is taken from z = f E as it was, what z should move by is added up, and PARTS times a round two matrix
 * products carry it into E and make z anew. A sum over thousands of triples has no natural step size, so each number of
 * E has its own (Duchi, Hazan & Singer, "Adaptive subgradient methods", JMLR 2011).
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/bpr_sgd.h"
#include "recommend/content_map.h"
#include "recommend/kinds.h"

#define PARTS 4
#define START_SIZE 0.01

enum { REGULARISATION, CONTENT_RATE, DRAWS, POPULAR, RATE, DIM, CONTENT_DIM, EPOCHS, SETTINGS };

static const double regularisations[] = {0.003, 0.01, 0.03};
static const double content_rates[] = {0.003, 0.01};
static const double drawses[] = {1, 4};
static const recommender_setting vbpr_settings[] = {
    {"regularisation", "λ", 0.01, 0, 10, regularisations, 3},
    {"content_rate", "learning rate of what maps content", 0.01, 1e-5, 10, content_rates, 2},
    {"draws", "negatives drawn, of which the hardest is taken", 4, 1, BPR_DRAWS_MAX, drawses, 2},
    {"popular", "share of negatives that are drawn as often as they are chosen", 0, 0, 1, NULL, 0},
    {"rate", "learning rate", 0.05, 1e-5, 1, NULL, 0},
    {"dim", "dimensions of the factors", 64, 8, FOLD_IN_DIM_MAX / 2, NULL, 0},
    {"content_dim", "dimensions of the factors that content is mapped to", 32, 8, FOLD_IN_DIM_MAX / 2, NULL, 0},
    {"epochs", "times as many triples are drawn as there are events", 50, 1, 10000, NULL, 0},
    {NULL},
};

/* E with e as the first of its columns, and what moves it. */
typedef struct mapping {
  bpr_training *t;
  size_t features, columns; /* columns: of the tail, padded */
  float *content;           /* [items, features] f */
  float *map;               /* [features, columns] */
  float *change;            /* [features, columns] */
  float *square;            /* [features, columns] of changes so far */
  float *mapped;            /* [items, columns] */
  float rate;
} mapping;

static void mapping_deinit(mapping *m) {
  mem_free(m->content);
  mem_free(m->map);
  mem_free(m->change);
  mem_free(m->square);
  mem_free(m->mapped);
}

/* z = f E into the items' rows. */
static void content_place(const mapping *m) {
  const bpr_training *t = m->t;
  size_t n = t->train->by_user.columns;
  matrix_multiply(false, false, n, m->columns, m->features, 1, m->content, m->map, 0, m->mapped);
  for (size_t i = 0; i < n; i++)
    memcpy(t->items + i * t->width + t->free, m->mapped + i * m->columns, m->columns * sizeof *m->mapped);
}

static void map_move(void *context) {
  mapping *m = context;
  const bpr_training *t = m->t;
  size_t n = t->train->by_user.columns, count = m->features * m->columns;
  matrix_multiply(true, false, m->features, m->columns, n, 1 / t->rate, m->content, t->gradients, 0, m->change);
  for (size_t k = 0; k < count; k++) {
    float by = m->change[k] - t->shrinkage * m->map[k];
    m->square[k] += by * by;
    if (m->square[k] > 0) m->map[k] += m->rate * by / sqrtf(m->square[k]);
  }
  memset(t->gradients, 0, n * m->columns * sizeof *t->gradients);
  content_place(m);
}

static medley_status mapping_init(mapping *m, bpr_training *t, const recommender_data *data, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t n = data->train->by_user.columns;
  rng r;
  *m = (mapping){.t = t, .columns = t->width - t->free};
  rng_seed(&r, data->seed + 1);
  TRY(content_unit_rows(data->features, data->feature_count, (uint32_t)n, &m->content, &m->features, err));
  TRY_NEW(m->map, m->features * m->columns, "a map of content");
  TRY_NEW(m->change, m->features * m->columns, "a map of content");
  TRY_NEW(m->square, m->features * m->columns, "a map of content");
  TRY_NEW(m->mapped, n * m->columns, "a map of content");
  for (size_t f = 0; f < m->features; f++)
    for (size_t k = 0; k < t->tail; k++) m->map[f * m->columns + 1 + k] = (float)(START_SIZE * rng_normal(&r));
  content_place(m);
done:
  return status;
}

static medley_status vbpr_fit(const recommender_data *data, const double *values, progress_stage *progress,
                              recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bpr_training t;
  mapping m = {0};
  int epochs = (int)values[EPOCHS];
  TRY(bpr_training_init(&t, data->train, (size_t)values[DIM], (size_t)values[CONTENT_DIM], data->seed, err));
  TRY(mapping_init(&m, &t, data, err));
  t.shrinkage = (float)values[REGULARISATION];
  t.popular = (float)values[POPULAR];
  t.draws = (int)values[DRAWS];
  for (int e = 0; e < epochs; e++) {
    t.rate = (float)(values[RATE] * (1 - 0.9 * e / epochs));
    m.rate = (float)(values[CONTENT_RATE] * (1 - 0.9 * e / epochs));
    bpr_epoch(&t, e, PARTS, map_move, &m);
    if (progress != NULL) TRY(progress_update(progress, 0, err));
  }
  TRY(bpr_model_create(&recommender_vbpr, &t, out, err));
done:
  mapping_deinit(&m);
  bpr_training_deinit(&t);
  return status;
}

static medley_status vbpr_load(const safetensors *s, const char *prefix, const recommender_data *data,
                               recommender **out, medley_error *err) {
  return fold_in_load(&recommender_vbpr, true, s, prefix, data, out, err);
}

const recommender_kind recommender_vbpr = {
    .name = "vbpr",
    .summary = "factors learned from pairs of chosen and other items, those of their content beside them",
    .source = "He & McAuley 2016",
    .part = "taste",
    .settings = vbpr_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .needs_features = true,
    .by_itself = recommender_only_named,
    .fit = vbpr_fit,
    .score = fold_in_score,
    .trace = fold_in_trace,
    .describe = bpr_describe,
    .save = fold_in_save,
    .load = vbpr_load,
    .free = fold_in_free,
};
