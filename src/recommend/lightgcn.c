/* recommend/lightgcn.c: vectors of people and items that are propagated over the graph of both, trained by BPR.
 *
 * He et al., "LightGCN: simplifying and powering graph convolution network for recommendation", SIGIR 2020. With E⁰ the
 * trained vectors of all nodes and A the graph, an edge of person u and item i weighing 1 / √(|N_u| |N_i|):
 *
 *   E^k = A E^(k−1)                      (equation 3)
 *   E = 1/(K+1) Σ_k E^k                  (4, with equal weights α_k)
 *   score(u, i) = e_u · e_i              (5)
 *   loss = −Σ ln σ(score(u, i) − score(u, j)) + λ ‖E⁰‖² over the batch, j drawn evenly from what u did not choose (15)
 *
 * What differs from the paper: a model here keeps no vector of a person. Of a history N_u the layers from the first on
 * follow from the items' vectors alone, e_u^k = Σ_{j ∈ N_u} w_j e_j^(k−1) / √(Σ w |N_j|); the trained e_u^0 is replaced
 * by what a linear map makes of the sum of these layers, fitted to the trained ones by ridge regression. So a score is
 * a sum over the history, which `trace` tells, and a model is two vectors an item: what it says of who chose it, and
 * what it is found by. The rate goes up and comes down in half a cosine (encode/trained.h) rather than being constant,
 * which a tenth of the paper's epochs is enough for.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "encode/trained.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/kinds.h"
#include "recommend/model.h"

enum { EPOCHS, LAYERS, DECAY, RATE, DIM, BATCH, SETTINGS };

typedef struct lightgcn {
  recommender base;
  uint32_t dim;
  const float *said; /* [items, dim] what an item of the history says of its person; zero where nobody chose it */
  const float *own;  /* [items, dim] what an item is found by */
  float *owned;      /* both, of a model that was fitted */
} lightgcn;

static const double epoch_counts[] = {20, 40, 80};
static const double layer_counts[] = {3, 4};
static const double decays[] = {1e-3, 1e-2};
static const recommender_setting lightgcn_settings[] = {
    {"epochs", "times that every event is trained on", 40, 1, 10000, epoch_counts, 3},
    {"layers", "steps along the edges", 4, 1, 8, layer_counts, 2},
    {"decay", "how much long vectors cost, λ", 1e-3, 0, 10, decays, 2},
    {"rate", "the highest learning rate", 5e-3, 1e-6, 1, NULL, 0},
    {"dim", "numbers of a vector", 64, 4, 512, NULL, 0},
    {"batch", "events a step", 2048, 16, 1 << 20, NULL, 0},
    {NULL},
};

static void lightgcn_free(recommender *r) {
  if (r == NULL) return;
  lightgcn *m = (lightgcn *)r;
  mem_free(m->owned);
  mem_free(m);
}

/* ---- training ---- */

typedef struct fitting {
  const sparse *x;
  uint64_t seed;
  size_t dim, layers;
  float decay;
  sparse graph;        /* [users + items, users + items], symmetric */
  uint32_t *user;      /* [events] */
  parameters *weights; /* E⁰, one tensor */
  tensor *nodes;
  int32_t *index; /* [3 batch] users, items, drawn items of a step, as nodes */
} fitting;

static void fitting_deinit(fitting *f) {
  sparse_deinit(&f->graph);
  mem_free(f->user);
  mem_free(f->index);
  parameters_free(f->weights);
}

static medley_status graph_make(fitting *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *x = f->x;
  size_t events = (size_t)sparse_count(x);
  sparse_entry *entries = NULL;
  uint32_t *degree = NULL;
  TRY_NEW(entries, 2 * events, "a graph");
  TRY_NEW(degree, (size_t)x->columns + 1, "a graph");
  TRY_NEW(f->user, events + 1, "a graph");
  sparse_column_counts(x, degree);
  for (uint32_t u = 0; u < x->rows; u++)
    for (uint64_t e = x->start[u]; e < x->start[u + 1]; e++) {
      uint32_t item = x->column[e];
      float weight = 1 / sqrtf((float)(x->start[u + 1] - x->start[u]) * (float)degree[item]);
      f->user[e] = u;
      entries[2 * e] = (sparse_entry){u, x->rows + item, weight};
      entries[2 * e + 1] = (sparse_entry){x->rows + item, u, weight};
    }
  TRY(sparse_from_entries(x->rows + x->columns, x->rows + x->columns, entries, 2 * events, SPARSE_SUM, &f->graph, err));
done:
  mem_free(entries);
  mem_free(degree);
  return status;
}

/* One that u did not choose; after some tries any, for people who chose nearly everything. */
static uint32_t negative_draw(rng *r, const sparse *x, uint32_t user) {
  uint32_t item = 0;
  for (int k = 0; k < 20; k++) {
    item = (uint32_t)rng_below(r, x->columns);
    if (!sparse_has(x, user, item)) break;
  }
  return item;
}

static tensor *batch_loss(tape *t, void *context, const uint32_t *events, size_t count) {
  fitting *f = context;
  rng draw;
  trained_draw_seed(&draw, f->seed, t);
  for (size_t i = 0; i < count; i++) {
    uint32_t user = f->user[events[i]];
    f->index[i] = (int32_t)user;
    f->index[count + i] = (int32_t)(f->x->rows + f->x->column[events[i]]);
    f->index[2 * count + i] = (int32_t)(f->x->rows + negative_draw(&draw, f->x, user));
  }
  tensor *index = tape_indices(t, 1, (size_t[]){3 * count}, f->index), *length = NULL;
  if (f->decay > 0) /* first, so that going back the other gradient is written whole and this one added to its rows */
    length = op_sum(t, op_square(t, op_embedding(t, f->nodes, index)), OP_ALL);
  tensor *rows = op_embedding(t, op_propagate(t, &f->graph, &f->graph, f->nodes, f->layers), index);
  tensor *users = op_slice(t, rows, 0, 0, count);
  tensor *likes = op_sum(t, op_mul(t, users, op_slice(t, rows, 0, count, count)), 1);
  tensor *drawn = op_sum(t, op_mul(t, users, op_slice(t, rows, 0, 2 * count, count)), 1);
  tensor *loss = op_bpr(t, likes, drawn);
  return f->decay > 0 ? op_add(t, loss, op_affine(t, length, f->decay / (2.0 * (double)count), 0)) : loss;
}

static medley_status train(fitting *f, const double *values, progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t events = (size_t)sparse_count(f->x), batch = (size_t)values[BATCH];
  if (batch > events) batch = events;
  TRY(graph_make(f, err));
  TRY_NEW(f->index, 3 * batch + 1, "a training");
  f->weights = parameters_create();
  if (f->weights == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a training");
  f->nodes = parameters_add(f->weights, NULL, "nodes", PARAMETER_PLAIN, (initial){INITIAL_NORMAL, 0.1}, 2,
                            (size_t[]){f->graph.rows, f->dim});
  TRY(parameters_seal(f->weights, f->seed, err));
  if (events == 0) goto done;
  trained_plan plan = {.batch = batch,
                       .steps = (size_t)values[EPOCHS] * ((events + batch - 1) / batch),
                       .rate = values[RATE],
                       .loss = batch_loss,
                       .context = f};
  TRY(trained_fit(f->weights, f->seed, &plan, events, progress, err));
done:
  return status;
}

/* ---- what is kept of it ---- */

/* said [items, dim] += said W, where W maps the layers that follow from a history to the trained vectors of people:
 * (BᵀB + λ I) W = Bᵀ E⁰ with B [users, dim]. */
static medley_status strangers_learn(const fitting *f, float *said, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *x = f->x;
  size_t dim = f->dim;
  float *rows = NULL, *gram = NULL, *map = NULL, *more = NULL;
  double trace = 0;
  TRY_NEW(rows, x->rows * dim + 1, "vectors of people");
  TRY_NEW(gram, dim * dim, "vectors of people");
  TRY_NEW(map, dim * dim, "vectors of people");
  TRY_NEW(more, x->columns * dim + 1, "vectors of items");
  for (uint32_t u = 0; u < x->rows; u++) {
    uint64_t from = x->start[u], count = x->start[u + 1] - from;
    for (uint64_t e = from; e < from + count; e++)
      vector_add_scaled(rows + u * dim, 1 / sqrtf((float)count), said + (size_t)x->column[e] * dim, dim);
  }
  matrix_gram(x->rows, dim, 1, rows, 0, gram);
  for (size_t d = 0; d < dim; d++) trace += (double)gram[d * dim + d];
  for (size_t d = 0; d < dim; d++) gram[d * dim + d] += (float)(0.01 * trace / (double)dim) + 1e-12f;
  matrix_multiply(true, false, dim, dim, x->rows, 1, rows, real_data(f->nodes), 0, map);
  TRY(matrix_solve_spd(gram, dim, map, dim, err));
  matrix_multiply(false, false, x->columns, dim, dim, 1, said, map, 0, more);
  vector_add_scaled(said, 1, more, x->columns * dim);
done:
  mem_free(rows);
  mem_free(gram);
  mem_free(map);
  mem_free(more);
  return status;
}

/* said and own [items, dim] from the trained vectors: sums over the layers 0 … K−1 and 0 … K of the items. */
static medley_status layers_sum(const fitting *f, float *said, float *own, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = f->dim, nodes = f->graph.rows, first = f->x->rows, items = f->x->columns;
  float *layer = NULL, *next = NULL;
  TRY_NEW(layer, nodes * dim + 1, "layers");
  TRY_NEW(next, nodes * dim + 1, "layers");
  memcpy(layer, real_data(f->nodes), nodes * dim * sizeof *layer);
  for (size_t k = 0; k <= f->layers; k++) {
    if (k < f->layers) vector_add_scaled(said, 1, layer + first * dim, items * dim);
    vector_add_scaled(own, 1 / (float)(f->layers + 1), layer + first * dim, items * dim);
    if (k == f->layers) break;
    sparse_multiply_dense(&f->graph, layer, dim, next);
    float *swap = layer;
    layer = next, next = swap;
  }
  for (uint32_t i = 0; i < items; i++) {
    uint64_t count = f->graph.start[first + i + 1] - f->graph.start[first + i];
    vector_scale(said + i * dim, count > 0 ? 1 / (sqrtf((float)count) * (float)(f->layers + 1)) : 0, dim);
    if (count == 0) memset(own + i * dim, 0, dim * sizeof *own);
  }
done:
  mem_free(layer);
  mem_free(next);
  return status;
}

static medley_status lightgcn_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                  recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *x = &data->train->by_user;
  fitting f = {.x = x,
               .seed = data->seed,
               .dim = (size_t)values[DIM],
               .layers = (size_t)values[LAYERS],
               .decay = (float)values[DECAY]};
  lightgcn *m = NULL;
  float *said = NULL;
  progress_stage own = progress != NULL ? *progress : (progress_stage){0};
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_lightgcn, x->columns};
  m->dim = (uint32_t)f.dim;
  TRY(train(&f, values, progress != NULL ? &own : NULL, err));
  TRY_NEW(m->owned, 2 * x->columns * f.dim + 1, "item vectors");
  said = m->owned;
  m->said = said;
  m->own = said + x->columns * f.dim;
  TRY(layers_sum(&f, said, said + x->columns * f.dim, err));
  TRY(strangers_learn(&f, said, err));
  *out = &m->base;
  m = NULL;
done:
  fitting_deinit(&f);
  lightgcn_free(m ? &m->base : NULL);
  return status;
}

/* ---- answers ---- */

static float history_scale(const history *h) {
  float mass = 0;
  for (size_t j = 0; j < h->count; j++) mass += h->weight[j];
  return mass > 0 ? 1 / sqrtf(mass) : 0;
}

static medley_status lightgcn_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                    medley_error *err) {
  const lightgcn *m = (const lightgcn *)r;
  float *person = recommender_scratch_floats(scratch, m->dim), scale = history_scale(h);
  if (person == NULL) return error_memory(err, "scores");
  memset(person, 0, m->dim * sizeof *person);
  for (size_t j = 0; j < h->count; j++)
    vector_add_scaled(person, scale * h->weight[j], m->said + (size_t)h->item[j] * m->dim, m->dim);
  matrix_times_vector(r->item_count, m->dim, m->own, person, scores);
  return MEDLEY_OK;
}

static medley_status lightgcn_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                    float *out, medley_error *err) {
  (void)scratch, (void)err;
  const lightgcn *m = (const lightgcn *)r;
  float scale = history_scale(h);
  for (size_t j = 0; j < h->count; j++)
    out[j] = scale * h->weight[j] *
             vector_dot(m->said + (size_t)h->item[j] * m->dim, m->own + (size_t)item * m->dim, m->dim);
  return MEDLEY_OK;
}

/* ---- files ---- */

static medley_status lightgcn_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const lightgcn *m = (const lightgcn *)r;
  TRY(model_add_f32(w, prefix, "said", r->item_count, m->dim, m->said, err));
  TRY(model_add_f32(w, prefix, "own", r->item_count, m->dim, m->own, err));
done:
  return status;
}

static medley_status lightgcn_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                   recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  lightgcn *m = NULL;
  uint64_t items, dim;
  TRY_NEW(m, 1, "a model");
  TRY(model_get_f32(s, prefix, "said", 0, 0, &m->said, &items, &dim, err));
  if (dim == 0 || dim > 512)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: vectors of '%s' have %llu numbers, expected 1 to 512", s->path, prefix,
         (unsigned long long)dim);
  TRY(model_check_items(s, prefix, data, items, err));
  TRY(model_get_f32(s, prefix, "own", items, dim, &m->own, NULL, NULL, err));
  m->base = (recommender){&recommender_lightgcn, (uint32_t)items};
  m->dim = (uint32_t)dim;
  *out = &m->base;
  m = NULL;
done:
  lightgcn_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_lightgcn = {
    .name = "lightgcn",
    .summary = "vectors propagated over the graph of people and items, trained by pairwise ranking",
    .source = "He et al. 2020",
    .part = "taste",
    .settings = lightgcn_settings,
    .needs_history = true,
    .by_itself = recommender_only_named,
    .fit = lightgcn_fit,
    .score = lightgcn_score,
    .trace = lightgcn_trace,
    .save = lightgcn_save,
    .load = lightgcn_load,
    .free = lightgcn_free,
};
