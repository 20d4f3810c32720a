/* encode/media_network.c: see encode/media_network.h. */
#include "encode/media_network.h"

#include <string.h>

#include "base/memory.h"
#include "encode/batches.h"
#include "encode/rows.h"
#include "encode/trained.h"
#include "math/vector.h"

enum { BATCH = 64, ENCODE_BATCH = 16, HEADS = 4 };
#define TEMPERATURE 0.1
#define RATE 2e-3
#define DROPOUT 0.1
#define EPSILON 1e-5

typedef struct media_network {
  encoder base;
  const media_network_kind *kind;
  uint64_t seed;
  size_t dim;
  const char *state; /* where a fit keeps its run; NULL: nowhere */
  parameters *parameters;
  media_layers layers;
  layer_linear head; /* [dim, dim] */
  bool fitted;
} media_network;

void media_network_free(encoder *e) {
  media_network *n = (media_network *)e;
  if (n == NULL) return;
  parameters_free(n->parameters);
  mem_free(n);
}

size_t media_network_dim(const encoder *e) { return ((const media_network *)e)->dim; }

medley_status media_network_create(const media_network_kind *kind, uint64_t seed, size_t dim, encoder **out,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  media_network *n = NULL;
  *out = NULL;
  if (dim > TRAINED_DIM_MAX)
    FAIL(err, MEDLEY_ERR_USAGE, "%s gives at most %d dimensions, not %zu", kind->kind->name, TRAINED_DIM_MAX, dim);
  TRY_NEW(n, 1, "an encoder");
  *n = (media_network){.base = {kind->kind}, .kind = kind, .seed = seed, .dim = dim ? dim : MEDIA_NETWORK_DIM_DEFAULT};
  n->parameters = parameters_create();
  if (n->parameters == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for an encoder");
  kind->init(&n->layers, n->parameters, n->dim);
  layer_linear_init(&n->head, n->parameters, "head", n->dim, n->dim, true);
  TRY(parameters_seal(n->parameters, seed, err));
  *out = &n->base;
  n = NULL;
done:
  media_network_free((encoder *)n);
  return status;
}

/* ---- blocks over tokens ---- */

void media_blocks_init(media_layers *l, parameters *p, size_t width, size_t tokens, size_t dim) {
  char name[SAFETENSORS_NAME_MAX];
  l->places =
      parameters_add(p, NULL, "places", PARAMETER_ROWS, (initial){INITIAL_NORMAL, 0.02}, 2, (size_t[]){tokens, width});
  for (int i = 0; i < MEDIA_NETWORK_BLOCKS; i++)
    layer_transformer_init(
        &l->blocks[i], p, layer_name(name, "blocks", "%d", i),
        &(transformer_options){
            .width = width, .heads = HEADS, .feed_forward = 2 * width, .norm_first = true, .dropout = DROPOUT});
  l->norm_weight = parameters_add(p, "norm", "weight", PARAMETER_PLAIN, (initial){INITIAL_CONSTANT, 1}, 1, &width);
  l->norm_bias = parameters_add(p, "norm", "bias", PARAMETER_PLAIN, (initial){INITIAL_ZERO, 0}, 1, &width);
  layer_linear_init(&l->out, p, "out", width, dim, true);
}

tensor *media_blocks_forward(tape *t, const media_layers *l, tensor *x, const attention_options *seen, tensor *share) {
  x = op_add(t, x, l->places);
  for (int i = 0; i < MEDIA_NETWORK_BLOCKS; i++) x = layer_transformer_forward(t, &l->blocks[i], x, seen, NULL, NULL);
  x = op_layer_norm(t, x, l->norm_weight, l->norm_bias, EPSILON);
  x = share != NULL ? op_sum(t, op_mul(t, x, share), 1) : op_mean(t, x, 1);
  return layer_linear_forward(t, &l->out, x);
}

/* ---- items ---- */

typedef struct item_rows {
  const media_network_kind *kind;
  const encoder_input *inputs;
  uint8_t *items; /* [count, bytes] */
} item_rows;

static medley_status item_prepare(void *context, void *scratch, size_t r, medley_error *err) {
  (void)scratch;
  const item_rows *rows = context;
  return rows->kind->prepare(&rows->inputs[r], rows->items + r * rows->kind->bytes, err);
}

medley_status media_network_items(const encoder *e, const encoder_input *inputs, size_t count, uint8_t **out,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  const media_network_kind *kind = ((const media_network *)e)->kind;
  TRY_NEW(*out, count * kind->bytes, "what an encoder sees of items");
  item_rows rows = {kind, inputs, *out};
  TRY(rows_run(&(row_work){&rows, NULL, NULL, item_prepare}, count, err));
done:
  return status;
}

static size_t windows_of(const media_network_kind *kind, const uint8_t *item) {
  return kind->windows != NULL ? kind->windows(item) : 1;
}

/* ---- training ---- */

typedef struct media_training {
  const media_network *network;
  const uint8_t *items;
  float *views; /* [2 BATCH, numbers] */
} media_training;

/* First views, then second ones. Each has random numbers of its own, so that threads can make them. */
static void views_draw(media_training *c, rng *r, const uint32_t *items, size_t count) {
  const media_network_kind *kind = c->network->kind;
  uint64_t seeds[2 * BATCH];
  for (size_t i = 0; i < 2 * count; i++) seeds[i] = rng_next(r);
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < 2 * count; i++) {
    rng own;
    rng_seed(&own, seeds[i]);
    const uint8_t *item = c->items + items[i % count] * kind->bytes;
    kind->view(&own, item, (size_t)rng_below(&own, windows_of(kind, item)), c->views + i * kind->numbers);
  }
}

static tensor *media_loss(tape *t, void *context, const uint32_t *items, size_t count) {
  media_training *c = context;
  const media_network *n = c->network;
  rng r;
  trained_draw_seed(&r, n->seed + 1, t);
  views_draw(c, &r, items, count);
  tensor *y = n->kind->forward(t, &n->layers, c->views, 2 * count);
  y = op_unit(t, layer_linear_forward(t, &n->head, op_relu(t, y)));
  if (y == NULL) return NULL;
  return op_infonce(t, op_slice(t, y, 0, 0, count), op_slice(t, y, 0, count, count), TEMPERATURE, true);
}

void media_network_keep(encoder *e, const char *path) { ((media_network *)e)->state = path; }

medley_status media_network_fit(encoder *e, const encoder_input *inputs, size_t count, progress_stage *progress,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  media_network *n = (media_network *)e;
  uint8_t *items = NULL;
  media_training training = {.network = n};
  if (count < 2) FAIL(err, MEDLEY_ERR_INPUT, "%s: %zu items are too few to learn from", e->kind->name, count);
  TRY(media_network_items(e, inputs, count, &items, err));
  TRY_NEW(training.views, 2 * BATCH * n->kind->numbers, "what an encoder learns from");
  training.items = items;
  trained_plan plan = {.batch = BATCH,
                       .passes = n->kind->passes,
                       .rate = RATE,
                       .loss = media_loss,
                       .context = &training,
                       .state = n->state};
  TRY(trained_fit(n->parameters, n->seed, &plan, count, progress, err));
  n->fitted = true;
done:
  mem_free(items);
  mem_free(training.views);
  return status;
}

/* ---- encoding ---- */

medley_status media_network_narrow(encoder *e, weight_precision precision, medley_error *err) {
  return parameters_narrow(((media_network *)e)->parameters, precision, err);
}

weight_precision media_network_precision(const encoder *e) {
  return parameters_precision(((const media_network *)e)->parameters);
}

typedef struct encode_job {
  const media_network *network;
  const uint8_t *items;
  const size_t *first; /* [count + 1] number of each item's first window */
  size_t count;
  float *out; /* [first[count], dim]: a vector a window */
} encode_job;

static medley_status windows_encode(void *context, tape *t, size_t from, size_t to, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const encode_job *job = context;
  const media_network_kind *kind = job->network->kind;
  float *views = NULL;
  size_t dim = job->network->dim, item = 0;
  TRY_NEW(views, (to - from) * kind->numbers, "what an encoder sees of items");
  for (size_t w = from; w < to; w++) {
    while (job->first[item + 1] <= w) item++;
    kind->view(NULL, job->items + item * kind->bytes, w - job->first[item], views + (w - from) * kind->numbers);
  }
  tensor *y = op_unit(t, kind->forward(t, &job->network->layers, views, to - from));
  TRY(tape_status(t, err));
  memcpy(job->out + from * dim, y->data, (to - from) * dim * sizeof *job->out);
done:
  mem_free(views);
  return status;
}

/* The mean of each item's windows, of length 1. */
static void windows_join(const encode_job *job, float *out) {
  size_t dim = job->network->dim;
  for (size_t i = 0; i < job->count; i++) {
    float *row = out + i * dim;
    memset(row, 0, dim * sizeof *row);
    for (size_t w = job->first[i]; w < job->first[i + 1]; w++) vector_add_scaled(row, 1, job->out + w * dim, dim);
    float length = sqrtf(vector_dot(row, row, dim));
    if (length > 0) vector_scale(row, 1 / length, dim);
  }
}

medley_status media_network_run(const encoder *e, const uint8_t *items, size_t count, float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const media_network *n = (const media_network *)e;
  size_t *first = NULL;
  float *each = NULL;
  TRY_NEW(first, count + 1, "an encoder");
  for (size_t i = 0; i < count; i++) first[i + 1] = first[i] + windows_of(n->kind, items + i * n->kind->bytes);
  TRY_NEW(each, first[count] * n->dim, "an encoder");
  encode_job job = {n, items, first, count, each};
  TRY(batches_run(first[count], ENCODE_BATCH, windows_encode, &job, err));
  windows_join(&job, out);
done:
  mem_free(first);
  mem_free(each);
  return status;
}

medley_status media_network_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t *items = NULL;
  if (!((const media_network *)e)->fitted)
    FAIL(err, MEDLEY_ERR_USAGE, "%s must be fitted before it encodes", e->kind->name);
  TRY(media_network_items(e, inputs, count, &items, err));
  TRY(media_network_run(e, items, count, out, err));
done:
  mem_free(items);
  return status;
}

/* ---- in model files ---- */

medley_status media_network_save(const encoder *e, safetensors_writer *w, const char *prefix, medley_error *err) {
  const media_network *n = (const media_network *)e;
  if (!n->fitted) return error_set(err, MEDLEY_ERR_USAGE, "%s must be fitted before it is saved", e->kind->name);
  return trained_save(n->parameters, w, prefix, err);
}

medley_status media_network_load(const media_network_kind *kind, const safetensors *s, const char *prefix,
                                 encoder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder *e = NULL;
  size_t dim;
  *out = NULL;
  TRY(trained_rows(s, prefix, "out.weight", TRAINED_DIM_MAX, &dim, err));
  TRY(media_network_create(kind, 0, dim, &e, err));
  TRY(trained_load(((media_network *)e)->parameters, s, prefix, err));
  ((media_network *)e)->fitted = true;
  *out = e;
  e = NULL;
done:
  media_network_free(e);
  return status;
}
