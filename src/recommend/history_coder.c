/* recommend/history_coder.c: see recommend/history_coder.h. */
#include "recommend/history_coder.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "encode/trained.h"
#include "nn/layer.h"
#include "recommend/model.h"

#define ITEMS_MAX 200000u /* logits of a batch: 400 MB, twice */

typedef struct history_coder {
  recommender base;
  double values[CODER_SETTINGS];
  parameters *weights;
  tensor *items, *bias; /* [items, hidden], [hidden]: the first layer */
  layer_linear mean, variance, wide, logits;
  active_items active;
} history_coder;

/* Whether the code is drawn: of kinds with a weight for its distance from a normal one. */
static bool is_variational(const recommender_kind *kind) { return kind->settings[CODER_KL].name != NULL; }

void history_coder_free(recommender *r) {
  if (r == NULL) return;
  history_coder *m = (history_coder *)r;
  parameters_free(m->weights);
  active_items_deinit(&m->active);
  mem_free(m);
}

medley_status history_coder_accepts(const recommender_data *data, medley_error *err) {
  uint32_t items = data->train->by_user.columns;
  if (items <= ITEMS_MAX) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_LIMIT, "every step scores all items: %u items, at most %u", items, ITEMS_MAX);
}

static medley_status history_coder_create(const recommender_kind *kind, uint32_t items, const double *values,
                                          uint64_t seed, history_coder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  history_coder *m = NULL;
  size_t hidden = (size_t)values[CODER_HIDDEN], code = (size_t)values[CODER_CODE];
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){kind, items};
  for (size_t s = 0; kind->settings[s].name != NULL; s++) m->values[s] = values[s];
  m->weights = parameters_create();
  if (m->weights == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a model");
  m->items = parameters_add(m->weights, "items", "weight", PARAMETER_WEIGHT,
                            (initial){INITIAL_NORMAL, 1 / sqrt((double)hidden)}, 2, (size_t[]){items, hidden});
  m->bias = parameters_add(m->weights, "items", "bias", PARAMETER_PLAIN, (initial){INITIAL_ZERO, 0}, 1, &hidden);
  layer_linear_init(&m->mean, m->weights, "mean", hidden, code, true);
  if (is_variational(kind)) layer_linear_init(&m->variance, m->weights, "variance", hidden, code, true);
  layer_linear_init(&m->wide, m->weights, "wide", code, hidden, true);
  layer_linear_init(&m->logits, m->weights, "logits", hidden, items, true);
  TRY(parameters_seal(m->weights, seed, err));
  *out = m;
  m = NULL;
done:
  history_coder_free(m ? &m->base : NULL);
  return status;
}

/* ---- the network ---- */

/* Histories as bags: items [count], weights [count], starts [bags + 1] → [bags, hidden]. */
static tensor *inner(tape *t, const history_coder *m, tensor *items, tensor *starts, tensor *weights) {
  return op_tanh(t, op_add(t, op_embedding_bag(t, m->items, items, starts, weights, false), m->bias));
}

static tensor *decoded(tape *t, const history_coder *m, tensor *code) {
  return layer_linear_forward(t, &m->logits, op_tanh(t, layer_linear_forward(t, &m->wide, code)));
}

/* ---- training ---- */

typedef struct fitting {
  history_coder *m;
  const sparse *x;
  const uint32_t *user; /* those with events */
  uint64_t seed, steps;
} fitting;

typedef struct bags {
  tensor *items, *weights, *starts; /* what is shown */
  tensor *asked, *share;            /* [events] row * items + item, and minus its weight over the number of rows */
} bags;

/* One history: all of it asked for, what dropout leaves shown, of unit length before that. Returns where it ends. */
static size_t bag_fill(const fitting *f, rng *draw, uint32_t user, size_t row, size_t rows, size_t at, bags *b) {
  uint64_t from = f->x->start[user], end = f->x->start[user + 1];
  double square = 0, dropout = f->m->values[CODER_DROPOUT];
  for (uint64_t e = from; e < end; e++) square += (double)f->x->value[e] * f->x->value[e];
  for (uint64_t e = from; e < end; e++, at++) {
    bool shown = rng_uniform(draw) >= dropout;
    ((int32_t *)b->items->data)[at] = (int32_t)f->x->column[e];
    real_data(b->weights)[at] = shown ? (real)(f->x->value[e] / sqrt(square) / (1 - dropout)) : 0;
    ((int32_t *)b->asked->data)[at] = (int32_t)(row * f->x->columns + f->x->column[e]);
    real_data(b->share)[at] = (real)(-(double)f->x->value[e] / (double)rows);
  }
  return at;
}

static bool bags_make(tape *t, const fitting *f, const uint32_t *which, size_t count, bags *b) {
  rng draw;
  size_t events = 0, at = 0;
  for (size_t i = 0; i < count; i++)
    events += (size_t)(f->x->start[f->user[which[i]] + 1] - f->x->start[f->user[which[i]]]);
  *b = (bags){tape_indices_new(t, events), tape_empty(t, 1, &events), tape_indices_new(t, count + 1),
              tape_indices_new(t, events), tape_empty(t, 2, (size_t[]){events, 1})};
  if (!b->items || !b->weights || !b->starts || !b->asked || !b->share) return false;
  trained_draw_seed(&draw, f->seed, t);
  for (size_t i = 0; i < count; i++) {
    ((int32_t *)b->starts->data)[i] = (int32_t)at;
    at = bag_fill(f, &draw, f->user[which[i]], i, count, at, b);
  }
  ((int32_t *)b->starts->data)[count] = (int32_t)at;
  return true;
}

/* The code: its mean, or a draw, and then the mean over rows of its distance from a normal one. */
static tensor *code_make(tape *t, const fitting *f, tensor *inside, tensor **distance) {
  tensor *mean = layer_linear_forward(t, &f->m->mean, inside);
  *distance = NULL;
  if (!is_variational(f->m->base.kind)) return mean;
  tensor *log_variance = layer_linear_forward(t, &f->m->variance, inside);
  if (mean == NULL || log_variance == NULL) return NULL;
  tensor *noise = tape_empty(t, 2, mean->shape);
  rng draw;
  trained_draw_seed(&draw, ~f->seed, t);
  for (size_t i = 0; noise != NULL && i < noise->count; i++) real_data(noise)[i] = (real)rng_normal(&draw);
  /* ½ Σ (μ² + σ² − 1 − log σ²) */
  tensor *sum = op_sub(t, op_add(t, op_square(t, mean), op_exp(t, log_variance)), op_affine(t, log_variance, 1, 1));
  *distance = op_affine(t, op_sum(t, sum, OP_ALL), 0.5 / (double)mean->shape[0], 0);
  return op_add(t, mean, op_mul(t, noise, op_exp(t, op_affine(t, log_variance, 0.5, 0))));
}

static tensor *batch_loss(tape *t, void *context, const uint32_t *which, size_t count) {
  fitting *f = context;
  bags b;
  tensor *distance = NULL;
  if (!bags_make(t, f, which, count, &b)) return NULL;
  tensor *code = code_make(t, f, inner(t, f->m, b.items, b.starts, b.weights), &distance);
  tensor *log_share = op_log_softmax(t, decoded(t, f->m, code));
  if (log_share == NULL) return NULL;
  log_share = op_reshape(t, log_share, 2, (size_t[]){log_share->count, 1});
  tensor *loss = op_sum(t, op_mul(t, op_embedding(t, log_share, b.asked), b.share), OP_ALL);
  if (distance == NULL) return loss;
  double ramp = 2 * (double)tape_step(t) / (double)f->steps;
  return op_add(t, loss, op_affine(t, distance, f->m->values[CODER_KL] * (ramp < 1 ? ramp : 1), 0));
}

medley_status history_coder_fit(const recommender_kind *kind, const recommender_data *data, const double *values,
                                progress_stage *progress, recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *x = &data->train->by_user;
  uint32_t *user = NULL;
  history_coder *m = NULL;
  size_t people = 0, batch = (size_t)values[CODER_BATCH];
  progress_stage own = progress != NULL ? *progress : (progress_stage){0};
  TRY_NEW(user, (size_t)x->rows + 1, "people");
  for (uint32_t u = 0; u < x->rows; u++)
    if (x->start[u] < x->start[u + 1]) user[people++] = u;
  TRY(history_coder_create(kind, x->columns, values, data->seed, &m, err));
  TRY(active_items_find(data->train, &m->active, err));
  while (batch > 1 && batch * x->columns > INT32_MAX) batch /= 2; /* places of a batch's logits are 32 bits */
  if (batch > people) batch = people;
  fitting f = {.m = m, .x = x, .user = user, .seed = data->seed};
  if (people > 0) {
    f.steps = (uint64_t)values[CODER_EPOCHS] * ((people + batch - 1) / batch);
    trained_plan plan = {
        .batch = batch, .steps = (size_t)f.steps, .rate = values[CODER_RATE], .loss = batch_loss, .context = &f};
    TRY(trained_fit(m->weights, data->seed, &plan, people, progress != NULL ? &own : NULL, err));
  }
  *out = &m->base;
  m = NULL;
done:
  mem_free(user);
  history_coder_free(m ? &m->base : NULL);
  return status;
}

/* ---- answers ---- */

static bool is_known(const history_coder *m, uint32_t item) { return m->active.position[item] != UINT32_MAX; }

/* The known entries of the history, of unit length, as one bag; how many. */
static size_t history_bag(const history_coder *m, const history *h, int32_t *item, real *weight) {
  size_t count = 0;
  double square = 0;
  for (size_t j = 0; j < h->count; j++) {
    if (!is_known(m, h->item[j])) continue;
    item[count] = (int32_t)h->item[j];
    weight[count++] = (real)h->weight[j];
    square += (double)h->weight[j] * (double)h->weight[j];
  }
  for (size_t k = 0; k < count; k++) weight[k] /= (real)sqrt(square);
  return count;
}

/* Above the least likely, so that what was never seen has none. */
static void logits_place(const history_coder *m, const real *logits, float *scores) {
  float least = INFINITY;
  for (uint32_t k = 0; k < m->active.count; k++)
    if (logits[m->active.item[k]] < least) least = logits[m->active.item[k]];
  for (uint32_t k = 0; k < m->active.count; k++) scores[m->active.item[k]] = logits[m->active.item[k]] - least;
}

medley_status history_coder_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  const history_coder *m = (const history_coder *)r;
  tape *t = recommender_scratch_tape(scratch);
  if (t == NULL) return error_memory(err, "scores");
  memset(scores, 0, r->item_count * sizeof *scores);
  size_t room = h->count + 1;
  tensor *items = tape_indices_new(t, room), *weights = tape_empty(t, 1, &room), *starts = tape_indices_new(t, 2);
  TRY(tape_status(t, err));
  size_t count = history_bag(m, h, items->data, real_data(weights));
  if (count == 0) goto done;
  ((int32_t *)starts->data)[0] = 0, ((int32_t *)starts->data)[1] = (int32_t)count;
  tensor *code = layer_linear_forward(
      t, &m->mean, inner(t, m, tape_indices(t, 1, &count, items->data), starts, op_slice(t, weights, 0, 0, count)));
  tensor *logits = decoded(t, m, code);
  TRY(tape_status(t, err));
  logits_place(m, real_data(logits), scores);
done:
  tape_reset(t);
  return status;
}

/* ---- files ---- */

medley_status history_coder_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const history_coder *m = (const history_coder *)r;
  TRY(model_add_f64(w, prefix, "settings", is_variational(r->kind) ? CODER_SETTINGS : CODER_KL, m->values, err));
  TRY(model_add_u32(w, prefix, "active", m->active.count, m->active.item, err));
  TRY(trained_save(m->weights, w, prefix, err));
done:
  return status;
}

medley_status history_coder_load(const recommender_kind *kind, const safetensors *s, const char *prefix,
                                 const recommender_data *data, recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double values[CODER_SETTINGS] = {0};
  const uint32_t *active;
  const float *rows;
  uint64_t items, count;
  history_coder *m = NULL;
  TRY(model_get_settings(s, prefix, kind->settings, values, err));
  TRY(model_get_f32(s, prefix, "items.weight", 0, (uint64_t)values[CODER_HIDDEN], &rows, &items, NULL, err));
  TRY(model_check_items(s, prefix, data, items, err));
  TRY(model_get_u32(s, prefix, "active", 0, (uint32_t)items, &active, &count, err));
  TRY(history_coder_create(kind, (uint32_t)items, values, 0, &m, err));
  TRY(active_items_from(active, count, (uint32_t)items, &m->active, err));
  TRY(trained_load(m->weights, s, prefix, err));
  *out = &m->base;
  m = NULL;
done:
  history_coder_free(m ? &m->base : NULL);
  return status;
}
