/* recommend/graph_model.c: see recommend/graph_model.h. */
#include "recommend/graph_model.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "encode/trained.h"
#include "math/linear.h"
#include "math/vector.h"

/* ---- training ---- */

void graph_training_deinit(graph_training *g) {
  sparse_deinit(&g->graph);
  mem_free(g->user);
  mem_free(g->warm);
  mem_free(g->index);
  mem_free(g->chosen);
  parameters_free(g->weights);
}

static medley_status graph_make(graph_training *g, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *x = g->x;
  size_t events = (size_t)sparse_count(x);
  sparse_entry *entries = NULL;
  uint32_t *degree = NULL;
  TRY_NEW(entries, 2 * events, "a graph");
  TRY_NEW(degree, (size_t)x->columns + 1, "a graph");
  TRY_NEW(g->user, events + 1, "a graph");
  TRY_NEW(g->warm, (size_t)x->columns + 1, "a graph");
  sparse_column_counts(x, degree);
  for (uint32_t i = 0; i < x->columns; i++)
    if (degree[i] > 0) g->warm[g->warm_count++] = i;
  for (uint32_t u = 0; u < x->rows; u++)
    for (uint64_t e = x->start[u]; e < x->start[u + 1]; e++) {
      uint32_t item = x->column[e];
      float weight = 1 / sqrtf((float)(x->start[u + 1] - x->start[u]) * (float)degree[item]);
      g->user[e] = u;
      entries[2 * e] = (sparse_entry){u, x->rows + item, weight};
      entries[2 * e + 1] = (sparse_entry){x->rows + item, u, weight};
    }
  TRY(sparse_from_entries(x->rows + x->columns, x->rows + x->columns, entries, 2 * events, SPARSE_SUM, &g->graph, err));
done:
  mem_free(entries);
  mem_free(degree);
  return status;
}

medley_status graph_training_init(graph_training *g, const recommender_data *data, const double *values,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  *g = (graph_training){.x = &data->train->by_user,
                        .seed = data->seed,
                        .dim = (size_t)values[GRAPH_DIM],
                        .layers = (size_t)values[GRAPH_LAYERS],
                        .batch = (size_t)values[GRAPH_BATCH],
                        .decay = values[GRAPH_DECAY],
                        .draws = 1};
  size_t events = (size_t)sparse_count(g->x);
  if (g->batch > events) g->batch = events;
  TRY(graph_make(g, err));
  g->weights = parameters_create();
  if (g->weights == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a training");
  g->nodes = parameters_add(g->weights, NULL, "nodes", PARAMETER_PLAIN, (initial){INITIAL_NORMAL, 0.1}, 2,
                            (size_t[]){g->graph.rows, g->dim});
done:
  return status;
}

medley_status graph_negatives(graph_training *g, const double *values, medley_error *err) {
  medley_status status = MEDLEY_OK;
  g->draws = (size_t)values[GRAPH_DRAWS];
  g->popular = values[GRAPH_POPULAR];
  g->in_batch = values[GRAPH_IN_BATCH];
  g->temperature = values[GRAPH_SOFTNESS];
  if (g->in_batch > 0) TRY_NEW(g->chosen, (size_t)g->x->columns + 1, "a training");
done:
  return status;
}

static size_t steps_each(const graph_training *g) {
  return ((size_t)sparse_count(g->x) + g->batch - 1) / (g->batch > 0 ? g->batch : 1);
}

size_t graph_epoch(const graph_training *g, const tape *t) { return (size_t)tape_step(t) / steps_each(g); }

medley_status graph_train(graph_training *g, const double *values, graph_loss loss, void *context,
                          progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  progress_stage own = progress != NULL ? *progress : (progress_stage){0};
  trained_plan plan = {.batch = g->batch, .rate = values[GRAPH_RATE], .loss = loss, .context = context};
  plan.steps = (size_t)values[GRAPH_EPOCHS] * steps_each(g);
  TRY_NEW(g->index, (3 + 2 * g->draws) * g->batch + 1, "a training");
  TRY(parameters_seal(g->weights, g->seed, err));
  if (g->batch > 0)
    TRY(trained_fit(g->weights, g->seed, &plan, (size_t)sparse_count(g->x), progress != NULL ? &own : NULL, err));
done:
  return status;
}

/* ---- a step ---- */

/* One that u did not choose; after some tries any, for people who chose nearly everything. */
static uint32_t negative_draw(rng *r, const graph_training *g, uint32_t user) {
  uint32_t item = 0;
  for (int k = 0; k < 20; k++) {
    bool popular = g->popular > 0 && rng_uniform(r) < g->popular;
    item = popular ? g->x->column[rng_below(r, sparse_count(g->x))] : g->warm[rng_below(r, g->warm_count)];
    if (!sparse_has(g->x, user, item)) break;
  }
  return item;
}

graph_rows graph_draw(graph_training *g, tape *t, const uint32_t *events, size_t count, bool with_drawn) {
  size_t draws = with_drawn ? g->draws : 0, items = (1 + draws) * count;
  int32_t *nodes = g->index, *item = g->index + (2 + draws) * g->batch;
  rng draw;
  trained_draw_seed(&draw, g->seed, t);
  for (size_t i = 0; i < count; i++) {
    uint32_t user = g->user[events[i]];
    nodes[i] = (int32_t)user;
    item[i] = (int32_t)g->x->column[events[i]];
    for (size_t k = 1; k <= draws; k++) item[k * count + i] = (int32_t)negative_draw(&draw, g, user);
  }
  for (size_t i = 0; i < items; i++) nodes[count + i] = (int32_t)g->x->rows + item[i];
  return (graph_rows){.item = item,
                      .nodes = tape_indices(t, 1, (size_t[]){count + items}, nodes),
                      .items = tape_indices(t, 1, &items, item),
                      .pairs = draws > 0 ? tape_indices(t, 1, (size_t[]){2 * count}, item) : NULL,
                      .count = count,
                      .item_count = items};
}

tensor *graph_length(const graph_training *g, tape *t, const graph_rows *rows) {
  if (!(g->decay > 0)) return NULL;
  size_t some = rows->pairs != NULL ? 3 * rows->count : 2 * rows->count;
  tensor *nodes = tape_indices(t, 1, &some, g->index);
  tensor *sum = op_sum(t, op_square(t, op_embedding(t, g->nodes, nodes)), OP_ALL);
  return op_affine(t, sum, g->decay / (2.0 * (double)rows->count), 0);
}

tensor *graph_total(tape *t, tensor *loss, tensor *length) { return length != NULL ? op_add(t, loss, length) : loss; }

tensor *graph_bpr(tape *t, tensor *users, tensor *items, tensor *share) {
  if (users == NULL) return NULL;
  size_t count = users->shape[0];
  tensor *likes = op_sum(t, op_mul(t, users, op_slice(t, items, 0, 0, count)), 1);
  tensor *drawn = op_sum(t, op_mul(t, users, op_slice(t, items, 0, count, count)), 1);
  if (share == NULL) return op_bpr(t, likes, drawn);
  return op_sum(t, op_mul(t, op_softplus(t, op_sub(t, drawn, likes)), share), OP_ALL);
}

/* −ln σ(u·i − the greatest u·j). */
static tensor *bpr_hardest(tape *t, tensor *users, tensor *items, size_t draws) {
  size_t count = users->shape[0], dim = users->shape[1];
  tensor *likes = op_sum(t, op_mul(t, users, op_slice(t, items, 0, 0, count)), 1);
  tensor *drawn = op_reshape(t, op_slice(t, items, 0, count, draws * count), 3, (size_t[]){draws, count, dim});
  return op_bpr(t, likes, op_max(t, op_sum(t, op_mul(t, drawn, users), 2), 0));
}

/* [count, count] -INFINITY where the person of a row chose the item of a column. */
static tensor *collisions(graph_training *g, tape *t, const int32_t *user, const int32_t *item, size_t count) {
  const sparse *x = g->x;
  tensor *mask = tape_empty(t, 2, (size_t[]){count, count});
  for (size_t r = 0; mask != NULL && r < count; r++) {
    real *to = real_data(mask) + r * count;
    const uint32_t *from = x->column + x->start[user[r]], *end = x->column + x->start[user[r] + 1];
    for (const uint32_t *i = from; i < end; i++) g->chosen[*i] = 1;
    for (size_t c = 0; c < count; c++) to[c] = g->chosen[item[c]] ? -INFINITY : 0;
    for (const uint32_t *i = from; i < end; i++) g->chosen[*i] = 0;
  }
  return mask;
}

static tensor *log_shares(const graph_training *g, tape *t, const int32_t *item, size_t count) {
  tensor *q = tape_empty(t, 1, &count);
  for (size_t c = 0; q != NULL && c < count; c++) {
    const uint64_t *start = g->graph.start + g->x->rows + item[c];
    real_data(q)[c] = (real)log((double)(start[1] - start[0]) / (double)sparse_count(g->x));
  }
  return q;
}

static tensor *batch_softmax(graph_training *g, tape *t, const graph_rows *rows, tensor *users, tensor *items) {
  tensor *loss = NULL;
  users = op_affine(t, users, 1 / g->temperature, 0);
  for (size_t from = 0; from < rows->count; from += GRAPH_SOFTMAX_ROWS) {
    size_t count = rows->count - from < GRAPH_SOFTMAX_ROWS ? rows->count - from : GRAPH_SOFTMAX_ROWS;
    const int32_t *item = rows->item + from;
    tensor *chosen = op_slice(t, items, 0, from, count), *target = tape_indices(t, 1, &count, item);
    tensor *log_q = log_shares(g, t, item, count);
    sampled_softmax_rows among = {
        chosen, chosen, target, target, log_q, log_q, collisions(g, t, g->index + from, item, count)};
    tensor *part = op_sampled_softmax(t, op_slice(t, users, 0, from, count), &among);
    part = op_affine(t, part, (double)count / (double)rows->count, 0);
    loss = loss == NULL ? part : op_add(t, loss, part);
  }
  return loss;
}

tensor *graph_rank(graph_training *g, tape *t, const graph_rows *rows, tensor *users, tensor *items) {
  tensor *drawn = NULL;
  if (users == NULL || items == NULL) return NULL;
  if (g->in_batch < 1) drawn = g->draws > 1 ? bpr_hardest(t, users, items, g->draws) : graph_bpr(t, users, items, NULL);
  if (!(g->in_batch > 0)) return drawn;
  tensor *batch = op_affine(t, batch_softmax(g, t, rows, users, items), g->in_batch, 0);
  return drawn == NULL ? batch : op_add(t, batch, op_affine(t, drawn, 1 - g->in_batch, 0));
}

tensor *graph_held(tape *t, tensor *x, double dropout) {
  x = op_contiguous(t, x);
  if (x == NULL) return NULL;
  tensor *copy = tape_empty(t, x->rank, x->shape);
  if (copy == NULL) return NULL;
  memcpy(real_data(copy), real_data(x), x->count * sizeof(real));
  return op_dropout(t, copy, dropout);
}

tensor *graph_apart(tape *t, tensor *a, tensor *b, tensor *share) {
  tensor *cosines = op_sum(t, op_mul(t, op_unit(t, a), op_unit(t, b)), 1);
  cosines = share != NULL ? op_sum(t, op_mul(t, cosines, share), OP_ALL) : op_mean(t, cosines, OP_ALL);
  return op_affine(t, cosines, -1, 1);
}

/* ---- what is kept of it ---- */

void graph_model_free(recommender *r) {
  if (r == NULL) return;
  graph_model *m = (graph_model *)r;
  mem_free(m->owned);
  mem_free(m);
}

medley_status graph_model_create(const recommender_kind *kind, const graph_training *g, graph_model **out,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  graph_model *m = NULL;
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){kind, g->x->columns};
  m->dim = (uint32_t)g->dim;
  TRY_NEW(m->owned, 2 * g->x->columns * g->dim + 1, "item vectors");
  m->said = m->owned;
  m->own = m->owned + g->x->columns * g->dim;
  *out = m;
  m = NULL;
done:
  graph_model_free(m ? &m->base : NULL);
  return status;
}

medley_status graph_layers(const graph_training *g, const float *nodes, float *said, float *own, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = g->dim, count = g->graph.rows, first = g->x->rows, items = g->x->columns;
  float *layer = NULL, *next = NULL;
  TRY_NEW(layer, count * dim + 1, "layers");
  TRY_NEW(next, count * dim + 1, "layers");
  memcpy(layer, nodes, count * dim * sizeof *layer);
  for (size_t k = 0; k <= g->layers; k++) {
    if (k < g->layers) vector_add_scaled(said, 1, layer + first * dim, items * dim);
    vector_add_scaled(own, 1 / (float)(g->layers + 1), layer + first * dim, items * dim);
    if (k == g->layers) break;
    sparse_multiply_dense(&g->graph, layer, dim, next);
    float *swap = layer;
    layer = next, next = swap;
  }
  for (uint32_t i = 0; i < items; i++) {
    uint64_t degree = g->graph.start[first + i + 1] - g->graph.start[first + i];
    vector_scale(said + i * dim, degree > 0 ? 1 / (sqrtf((float)degree) * (float)(g->layers + 1)) : 0, dim);
    if (degree == 0) memset(own + i * dim, 0, dim * sizeof *own);
  }
done:
  mem_free(layer);
  mem_free(next);
  return status;
}

/* (BᵀB + λ I) W = Bᵀ T with B [users, width] the sums over histories. */
medley_status graph_people(const graph_training *g, const float *features, size_t width, const float *target,
                           float *said, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *x = g->x;
  size_t dim = g->dim;
  float *rows = NULL, *gram = NULL, *map = NULL, *more = NULL;
  double trace = 0;
  TRY_NEW(rows, x->rows * width + 1, "vectors of people");
  TRY_NEW(gram, width * width, "vectors of people");
  TRY_NEW(map, width * dim, "vectors of people");
  TRY_NEW(more, x->columns * dim + 1, "vectors of items");
  for (uint32_t u = 0; u < x->rows; u++) {
    uint64_t from = x->start[u], count = x->start[u + 1] - from;
    for (uint64_t e = from; e < from + count; e++)
      vector_add_scaled(rows + u * width, 1 / sqrtf((float)count), features + (size_t)x->column[e] * width, width);
  }
  matrix_gram(x->rows, width, 1, rows, 0, gram);
  for (size_t d = 0; d < width; d++) trace += (double)gram[d * width + d];
  for (size_t d = 0; d < width; d++) gram[d * width + d] += (float)(0.01 * trace / (double)width) + 1e-12f;
  matrix_multiply(true, false, width, dim, x->rows, 1, rows, target, 0, map);
  TRY(matrix_solve_spd(gram, width, map, dim, err));
  matrix_multiply(false, false, x->columns, dim, width, 1, features, map, 0, more);
  vector_add_scaled(said, 1, more, x->columns * dim);
done:
  mem_free(rows);
  mem_free(gram);
  mem_free(map);
  mem_free(more);
  return status;
}

/* ---- answers ---- */

static float history_scale(const history *h) {
  float mass = 0;
  for (size_t j = 0; j < h->count; j++) mass += h->weight[j];
  return mass > 0 ? 1 / sqrtf(mass) : 0;
}

medley_status graph_model_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                medley_error *err) {
  const graph_model *m = (const graph_model *)r;
  float *person = recommender_scratch_floats(scratch, m->dim), scale = history_scale(h);
  if (person == NULL) return error_memory(err, "scores");
  memset(person, 0, m->dim * sizeof *person);
  for (size_t j = 0; j < h->count; j++)
    vector_add_scaled(person, scale * h->weight[j], m->said + (size_t)h->item[j] * m->dim, m->dim);
  matrix_times_vector(r->item_count, m->dim, m->own, person, scores);
  return MEDLEY_OK;
}

medley_status graph_model_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                float *out, medley_error *err) {
  (void)scratch, (void)err;
  const graph_model *m = (const graph_model *)r;
  float scale = history_scale(h);
  for (size_t j = 0; j < h->count; j++)
    out[j] = scale * h->weight[j] *
             vector_dot(m->said + (size_t)h->item[j] * m->dim, m->own + (size_t)item * m->dim, m->dim);
  return MEDLEY_OK;
}

/* ---- files ---- */

medley_status graph_model_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const graph_model *m = (const graph_model *)r;
  TRY(model_add_f32(w, prefix, "said", r->item_count, m->dim, m->said, err));
  TRY(model_add_f32(w, prefix, "own", r->item_count, m->dim, m->own, err));
done:
  return status;
}

medley_status graph_model_load(const recommender_kind *kind, const safetensors *s, const char *prefix,
                               const recommender_data *data, recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  graph_model *m = NULL;
  uint64_t items, dim;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_f32(s, prefix, "said", 0, 0, &m->said, &items, &dim, err));
  if (dim == 0 || dim > GRAPH_DIM_MAX)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: vectors of '%s' have %llu numbers, expected 1 to %d", s->path, prefix,
         (unsigned long long)dim, GRAPH_DIM_MAX);
  TRY(model_check_items(s, prefix, data, items, err));
  TRY(model_get_f32(s, prefix, "own", items, dim, &m->own, NULL, NULL, err));
  m->base = (recommender){kind, (uint32_t)items};
  m->dim = (uint32_t)dim;
  *out = &m->base;
  m = NULL;
done:
  graph_model_free(m ? &m->base : NULL);
  return status;
}
