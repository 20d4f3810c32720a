/* recommend/sequence_model.c: see recommend/sequence_model.h. */
#include "recommend/sequence_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "encode/trained.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/content_map.h"
#include "recommend/model.h"

#define GAPS 24 /* classes of time between two events: none known, then doubling from a minute on */
#define SETTINGS_MOST (SEQUENCE_HEADS + 1)

const double sequence_dropouts[2] = {0.3, 0.5};

struct sequence_model {
  recommender base;
  const sequence_network *network;
  double values[SETTINGS_MOST];
  sequence_layers layers;
  parameters *weights;
  const float *vectors; /* [items, dim] m_i; zero for items that nothing is known of */
  uint8_t *known;       /* [items] whose vector is not zero */
  float *owned;
};

static size_t settings_count(const recommender_kind *kind) {
  size_t count = 0;
  while (kind->settings[count].name != NULL) count++;
  return count;
}

void sequence_free(recommender *r) {
  if (r == NULL) return;
  sequence_model *m = (sequence_model *)r;
  parameters_free(m->weights);
  mem_free(m->owned);
  mem_free(m->known);
  mem_free(m);
}

static void layers_init(sequence_layers *l, const sequence_network *network, const double *values, parameters *p) {
  *l = (sequence_layers){.dim = (size_t)values[SEQUENCE_DIM],
                         .count = (size_t)values[SEQUENCE_LAYERS],
                         .dropout = values[SEQUENCE_DROPOUT],
                         .heads = 1};
  if (settings_count(network->kind) > SEQUENCE_HEADS) l->heads = (size_t)values[SEQUENCE_HEADS];
  while (l->dim % l->heads != 0) l->heads--;
  if (values[SEQUENCE_TIMES] >= 0.5) layer_embedding_init(&l->gap, p, "gap", GAPS, l->dim, 0.02, false);
  network->init(l, p, (size_t)values[SEQUENCE_LENGTH]);
}

/* ---- order ---- */

typedef struct timed {
  int64_t time_s; /* STORE_TIME_UNKNOWN, which is the least: first */
  uint32_t item, place;
} timed;

static int timed_compare(const void *a, const void *b) {
  const timed *x = a, *y = b;
  if (x->time_s != y->time_s) return x->time_s < y->time_s ? -1 : 1;
  return (x->place > y->place) - (x->place < y->place);
}

static int32_t gap_class(const timed *before, const timed *at) {
  if (before == NULL || before->time_s == STORE_TIME_UNKNOWN || at->time_s == STORE_TIME_UNKNOWN) return 0;
  double minutes = ((double)at->time_s - (double)before->time_s) / 60;
  double class = 1 + log2(1 + minutes);
  return class < GAPS - 1 ? (int32_t) class : GAPS - 1;
}

/* People's newest events in order; those with one event have nothing to learn from. */
typedef struct sequences {
  size_t count;
  uint64_t *start; /* [count + 1] */
  timed *event;    /* [start[count]] */
} sequences;

static medley_status sequences_make(const interactions *x, size_t longest, sequences *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *rows = &x->by_user;
  timed *room = NULL;
  size_t most = 0;
  for (uint32_t u = 0; u < rows->rows; u++)
    if (rows->start[u + 1] - rows->start[u] > most) most = (size_t)(rows->start[u + 1] - rows->start[u]);
  TRY_NEW(out->start, (size_t)rows->rows + 1, "sequences");
  TRY_NEW(out->event, (size_t)sparse_count(rows) + 1, "sequences");
  TRY_NEW(room, most + 1, "sequences");
  for (uint32_t u = 0; u < rows->rows; u++) {
    uint64_t from = rows->start[u];
    size_t count = (size_t)(rows->start[u + 1] - from), kept = count > longest ? longest : count;
    if (count < 2) continue;
    for (size_t k = 0; k < count; k++)
      room[k] =
          (timed){x->time_s != NULL ? x->time_s[from + k] : STORE_TIME_UNKNOWN, rows->column[from + k], (uint32_t)k};
    qsort(room, count, sizeof *room, timed_compare);
    uint64_t at = out->start[out->count];
    memcpy(out->event + at, room + count - kept, kept * sizeof *room);
    out->start[++out->count] = at + kept;
  }
done:
  mem_free(room);
  return status;
}

/* ---- training ---- */

typedef struct fitting {
  const sequence_network *network;
  const interactions *train;
  const double *values;
  uint64_t seed;
  uint32_t items;
  sequences order;
  uint32_t *drawn; /* [events] the items of all events: one of them by chance is one by popularity */
  float *log_q;    /* [items] log of the chance to be drawn as a negative */
  float *content;  /* [items, content_dim]; NULL: none */
  size_t content_dim;
  parameters *weights; /* items, content and the network */
  sequence_layers layers;
  layer_embedding table; /* e_i */
  layer_linear map;      /* W */
} fitting;

static void fitting_deinit(fitting *f) {
  mem_free(f->order.start);
  mem_free(f->order.event);
  mem_free(f->drawn);
  mem_free(f->log_q);
  mem_free(f->content);
  parameters_free(f->weights);
}

/* Half of the draws are even, half go by popularity. */
static medley_status draws_prepare(fitting *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *x = &f->train->by_user;
  double events = (double)sparse_count(x);
  TRY_NEW(f->drawn, (size_t)events + 1, "draws");
  TRY_NEW(f->log_q, (size_t)f->items + 1, "draws");
  memcpy(f->drawn, x->column, (size_t)events * sizeof *f->drawn);
  for (uint32_t i = 0; i < f->items; i++)
    f->log_q[i] =
        (float)log(0.5 / f->items + (events > 0 ? 0.5 * (double)f->train->popularity[i] / events : 0.5 / f->items));
done:
  return status;
}

static uint32_t draw_item(const fitting *f, rng *draw) {
  uint64_t events = sparse_count(&f->train->by_user);
  return rng_uniform(draw) < 0.5 ? (uint32_t)rng_below(draw, f->items) : f->drawn[rng_below(draw, events)];
}

/* m of items [count], some known by their content alone. */
static tensor *item_rows(tape *t, fitting *f, rng *draw, tensor *items) {
  if (f->content == NULL) return layer_embedding_forward(t, &f->table, items);
  tensor *shown = tape_indices_new(t, items->count);
  if (shown == NULL) return NULL;
  for (size_t i = 0; i < items->count; i++)
    ((int32_t *)shown->data)[i] = rng_uniform(draw) < f->values[SEQUENCE_CONTENT] ? -1 : index_data(items)[i];
  tensor *content = tape_input(t, 2, (size_t[]){f->items, f->content_dim}, f->content);
  return op_add(t, layer_embedding_forward(t, &f->table, shown),
                layer_linear_forward(t, &f->map, op_embedding(t, content, items)));
}

/* What the network reads: x [rows, dim] of vectors, with places and gaps [rows], NULL where they are not looked at. */
static tensor *input_rows(tape *t, const sequence_layers *l, tensor *x, tensor *place, tensor *gap) {
  x = op_affine(t, x, sqrt((double)l->dim), 0);
  if (l->place.weight != NULL) x = op_add(t, x, layer_embedding_forward(t, &l->place, place));
  if (l->gap.weight != NULL) x = op_add(t, x, layer_embedding_forward(t, &l->gap, gap));
  return l->dropout > 0 ? op_dropout(t, x, l->dropout) : x;
}

typedef struct packed {
  tensor *starts, *input, *target, *place, *gap;
} packed;

/* The sequences in `which`, the longest first, as rows: each event but the last, and what came after it. */
static bool batch_pack(tape *t, const fitting *f, uint32_t *which, size_t count, packed *out) {
  const sequences *s = &f->order;
  size_t rows = 0;
#define LENGTH(k) (s->start[(k) + 1] - s->start[k])
  for (size_t i = 1; i < count; i++) { /* insertion: batches are small, and equal lengths keep their order */
    uint32_t own = which[i];
    size_t at = i;
    for (; at > 0 && LENGTH(which[at - 1]) < LENGTH(own); at--) which[at] = which[at - 1];
    which[at] = own;
  }
  for (size_t i = 0; i < count; i++) rows += (size_t)LENGTH(which[i]) - 1;
#undef LENGTH
  *out = (packed){tape_indices_new(t, count + 1), tape_indices_new(t, rows), tape_indices_new(t, rows),
                  tape_indices_new(t, rows), tape_indices_new(t, rows)};
  if (!out->starts || !out->input || !out->target || !out->place || !out->gap) return false;
  int32_t *starts = out->starts->data, row = 0;
  for (size_t i = 0; i < count; i++) {
    uint64_t from = s->start[which[i]], last = s->start[which[i] + 1] - 1;
    starts[i] = row;
    for (uint64_t e = from; e < last; e++, row++) {
      ((int32_t *)out->input->data)[row] = (int32_t)s->event[e].item;
      ((int32_t *)out->target->data)[row] = (int32_t)s->event[e + 1].item;
      ((int32_t *)out->place->data)[row] = (int32_t)(last - 1 - e);
      ((int32_t *)out->gap->data)[row] = gap_class(e > from ? &s->event[e - 1] : NULL, &s->event[e]);
    }
  }
  starts[count] = row;
  return true;
}

/* Binary cross entropy of what came next and of one evenly drawn item a row. */
static tensor *loss_bce(tape *t, fitting *f, rng *draw, tensor *y, tensor *target) {
  tensor *drawn = tape_indices_new(t, target->count);
  for (size_t i = 0; drawn != NULL && i < target->count; i++) {
    int32_t *item = (int32_t *)drawn->data + i;
    do *item = (int32_t)rng_below(draw, f->items);
    while (*item == index_data(target)[i] && f->items > 1);
  }
  if (drawn == NULL) return NULL;
  tensor *likes = op_sum(t, op_mul(t, y, item_rows(t, f, draw, target)), 1);
  tensor *others = op_sum(t, op_mul(t, y, item_rows(t, f, draw, drawn)), 1);
  return op_add(t, op_mean(t, op_softplus(t, op_neg(t, likes)), OP_ALL), op_mean(t, op_softplus(t, others), OP_ALL));
}

static tensor *log_q_of(tape *t, const fitting *f, const tensor *items) {
  tensor *q = tape_empty(t, 1, &items->count);
  for (size_t i = 0; q != NULL && i < items->count; i++) real_data(q)[i] = (real)f->log_q[index_data(items)[i]];
  return q;
}

static tensor *loss_softmax(tape *t, fitting *f, rng *draw, tensor *y, tensor *target) {
  tensor *sampled = tape_indices_new(t, (size_t)f->values[SEQUENCE_NEGATIVES]);
  if (sampled == NULL) return NULL;
  for (size_t i = 0; i < sampled->count; i++) ((int32_t *)sampled->data)[i] = (int32_t)draw_item(f, draw);
  tensor *positive = item_rows(t, f, draw, target), *negative = item_rows(t, f, draw, sampled);
  return op_sampled_softmax(t, y,
                            &(sampled_softmax_rows){.positive = positive,
                                                    .negative = negative,
                                                    .target = target,
                                                    .sampled = sampled,
                                                    .positive_log_q = log_q_of(t, f, target),
                                                    .negative_log_q = log_q_of(t, f, sampled)});
}

static tensor *batch_loss(tape *t, void *context, const uint32_t *which, size_t count) {
  fitting *f = context;
  packed p;
  rng draw;
  tensor *own = tape_indices_new(t, count); /* which is only lent */
  trained_draw_seed(&draw, f->seed, t);
  if (own == NULL) return NULL;
  memcpy(own->data, which, count * sizeof *which);
  if (!batch_pack(t, f, own->data, count, &p)) return NULL;
  tensor *x = input_rows(t, &f->layers, item_rows(t, f, &draw, p.input), p.place, p.gap);
  tensor *y = f->network->forward(t, &f->layers, x, p.starts);
  bool softmax = f->values[SEQUENCE_LOSS] >= 0.5;
  return (softmax ? loss_softmax : loss_bce)(t, f, &draw, y, p.target);
}

static medley_status fitting_prepare(fitting *f, const recommender_data *data, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = (size_t)f->values[SEQUENCE_DIM];
  TRY(sequences_make(f->train, (size_t)f->values[SEQUENCE_LENGTH] + 1, &f->order, err));
  TRY(draws_prepare(f, err));
  if (f->values[SEQUENCE_CONTENT] > 0 && data->feature_count > 0)
    TRY(content_unit_rows(data->features, data->feature_count, f->items, &f->content, &f->content_dim, err));
  f->weights = parameters_create();
  if (f->weights == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a training");
  layers_init(&f->layers, f->network, f->values, f->weights);
  layer_embedding_init(&f->table, f->weights, "items", f->items, dim, 1 / sqrt((double)dim), true);
  if (f->content != NULL) layer_linear_init(&f->map, f->weights, "content", f->content_dim, dim, false);
  TRY(parameters_seal(f->weights, f->seed, err));
done:
  return status;
}

static medley_status train(fitting *f, progress_stage *progress, medley_error *err) {
  size_t batch = (size_t)f->values[SEQUENCE_BATCH];
  if (f->order.count == 0) return MEDLEY_OK;
  if (batch > f->order.count) batch = f->order.count;
  trained_plan plan = {.batch = batch,
                       .steps = (size_t)f->values[SEQUENCE_EPOCHS] * ((f->order.count + batch - 1) / batch),
                       .rate = f->values[SEQUENCE_RATE],
                       .loss = batch_loss,
                       .context = f};
  return trained_fit(f->weights, f->seed, &plan, f->order.count, progress, err);
}

/* ---- the model ---- */

/* The network alone, ready to be filled. */
static medley_status model_create(const sequence_network *network, const double *values, uint32_t items,
                                  sequence_model **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sequence_model *m = NULL;
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){network->kind, items};
  m->network = network;
  memcpy(m->values, values, settings_count(network->kind) * sizeof *values);
  m->weights = parameters_create();
  if (m->weights == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a model");
  layers_init(&m->layers, network, m->values, m->weights);
  TRY(parameters_seal(m->weights, 0, err));
  TRY_NEW(m->known, (size_t)items + 1, "a model");
  *out = m;
  m = NULL;
done:
  sequence_free(m ? &m->base : NULL);
  return status;
}

static void model_finish(sequence_model *m) {
  size_t dim = m->layers.dim;
  for (uint32_t i = 0; i < m->base.item_count; i++)
    for (size_t d = 0; d < dim && !m->known[i]; d++) m->known[i] = m->vectors[i * dim + d] != 0;
}

/* Of what was trained: the network's parameters, and m of every item. */
static medley_status model_take(sequence_model *m, const fitting *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = m->layers.dim;
  for (size_t i = 0; i < parameters_count(m->weights); i++) {
    parameter *to = parameters_at(m->weights, i);
    memcpy(to->value.data, parameters_get(f->weights, to->name)->data, to->value.count * sizeof(real));
  }
  TRY_NEW(m->owned, f->items * dim + 1, "item vectors");
  m->vectors = m->owned;
  if (f->content != NULL)
    matrix_multiply(false, true, f->items, dim, f->content_dim, 1, f->content, real_data(f->map.weight), 0, m->owned);
  for (uint32_t i = 0; i < f->items; i++)
    if (f->train->popularity[i] > 0)
      vector_add_scaled(m->owned + i * dim, 1, real_data(f->table.weight) + i * dim, dim);
  model_finish(m);
done:
  return status;
}

medley_status sequence_fit(const sequence_network *network, const recommender_data *data, const double *values,
                           progress_stage *progress, recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  fitting f = {.network = network,
               .train = data->train,
               .values = values,
               .seed = data->seed,
               .items = data->train->by_user.columns};
  sequence_model *m = NULL;
  progress_stage own = progress != NULL ? *progress : (progress_stage){0};
  TRY(model_create(network, values, f.items, &m, err));
  TRY(fitting_prepare(&f, data, err));
  TRY(train(&f, progress != NULL ? &own : NULL, err));
  TRY(model_take(m, &f, err));
  *out = &m->base;
  m = NULL;
done:
  fitting_deinit(&f);
  sequence_free(m ? &m->base : NULL);
  return status;
}

/* ---- answers ---- */

/* The newest entries whose items are known, in order of time; how many. */
static size_t history_order(const sequence_model *m, const history *h, timed *out) {
  size_t count = 0, longest = (size_t)m->values[SEQUENCE_LENGTH];
  for (size_t j = 0; j < h->count; j++)
    if (m->known[h->item[j]])
      out[count++] = (timed){h->time_s != NULL ? h->time_s[j] : STORE_TIME_UNKNOWN, h->item[j], (uint32_t)j};
  if (h->time_s != NULL) qsort(out, count, sizeof *out, timed_compare);
  if (count <= longest) return count;
  memmove(out, out + count - longest, longest * sizeof *out);
  return longest;
}

/* What comes after the events [count]: [1, dim]. */
static tensor *next_forward(tape *t, const sequence_model *m, const timed *event, size_t count) {
  const sequence_layers *l = &m->layers;
  tensor *starts = tape_indices_new(t, 2), *place = tape_indices_new(t, count), *gap = tape_indices_new(t, count);
  tensor *x = tape_empty(t, 2, (size_t[]){count, l->dim});
  if (starts == NULL || place == NULL || gap == NULL || x == NULL) return NULL;
  ((int32_t *)starts->data)[0] = 0, ((int32_t *)starts->data)[1] = (int32_t)count;
  for (size_t k = 0; k < count; k++) {
    ((int32_t *)place->data)[k] = (int32_t)(count - 1 - k);
    ((int32_t *)gap->data)[k] = gap_class(k > 0 ? &event[k - 1] : NULL, &event[k]);
    memcpy(real_data(x) + k * l->dim, m->vectors + (size_t)event[k].item * l->dim, l->dim * sizeof(real));
  }
  tensor *y = m->network->forward(t, l, input_rows(t, l, x, place, gap), starts);
  return y == NULL ? NULL : op_contiguous(t, op_slice(t, y, 0, count - 1, 1));
}

/* Items that nothing is known of come last. */
static void unknown_place(const sequence_model *m, float *scores) {
  float least = INFINITY;
  for (uint32_t i = 0; i < m->base.item_count; i++)
    if (m->known[i] && scores[i] < least) least = scores[i];
  for (uint32_t i = 0; i < m->base.item_count; i++)
    if (!m->known[i]) scores[i] = least;
}

medley_status sequence_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sequence_model *m = (const sequence_model *)r;
  timed *event = (timed *)recommender_scratch_integers(scratch, (h->count + 1) * sizeof *event / sizeof(uint32_t));
  tape *t = recommender_scratch_tape(scratch);
  if (event == NULL || t == NULL) return error_memory(err, "scores");
  size_t count = history_order(m, h, event);
  if (count == 0) {
    memset(scores, 0, r->item_count * sizeof *scores);
    return MEDLEY_OK;
  }
  tensor *y = next_forward(t, m, event, count);
  TRY(tape_status(t, err));
  matrix_times_vector(r->item_count, m->layers.dim, m->vectors, real_data(y), scores);
  unknown_place(m, scores);
done:
  tape_reset(t);
  return status;
}

/* ---- files ---- */

medley_status sequence_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sequence_model *m = (const sequence_model *)r;
  TRY(model_add_f64(w, prefix, "settings", settings_count(r->kind), m->values, err));
  TRY(model_add_f32(w, prefix, "vectors", r->item_count, m->layers.dim, m->vectors, err));
  TRY(trained_save(m->weights, w, prefix, err));
done:
  return status;
}

medley_status sequence_load(const sequence_network *network, const safetensors *s, const char *prefix,
                            const recommender_data *data, recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double values[SETTINGS_MOST];
  const float *vectors;
  sequence_model *m = NULL;
  uint64_t items;
  TRY(model_get_settings(s, prefix, network->kind->settings, values, err));
  TRY(model_get_f32(s, prefix, "vectors", 0, (uint64_t)values[SEQUENCE_DIM], &vectors, &items, NULL, err));
  TRY(model_check_items(s, prefix, data, items, err));
  TRY(model_create(network, values, (uint32_t)items, &m, err));
  m->vectors = vectors;
  TRY(trained_load(m->weights, s, prefix, err));
  model_finish(m);
  *out = &m->base;
  m = NULL;
done:
  sequence_free(m ? &m->base : NULL);
  return status;
}
