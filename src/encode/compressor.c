/* encode/compressor.c: see encode/compressor.h.
 *
 * Descriptors mix units, so each column is brought to mean 0 and deviation 1 over the catalogue, and cut to five
 * deviations: one odd picture must not pull the code towards itself. The plain kind also learns to fill in columns that
 * were left out (Vincent et al. 2008), without which a code that is wide enough would just copy.
 */
#include "encode/compressor.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "encode/batches.h"
#include "encode/trained.h"
#include "nn/layer.h"

enum { BATCH = 64, PASSES = 40, HIDDEN = 256, ENCODE_BATCH = 64 };
#define LEFT_OUT 0.2          /* share of the columns */
#define DIVERGENCE_WEIGHT 1.0 /* the evidence bound of Kingma & Welling (2014), up to a constant */
#define DEVIATIONS_MAX 5.0f

typedef struct compressor {
  encoder base;
  encoder *inner; /* gives the descriptor */
  bool variational, fitted;
  uint64_t seed;
  size_t width, dim; /* of the descriptor, of the code */
  const char *state; /* where a fit keeps its run; NULL: nowhere */
  parameters *parameters;
  layer_autoencoder layers;
  tensor *mean, *scale; /* [width] of each column; scale is 1 / deviation, 0 where nothing varies */
} compressor;

void compressor_free(encoder *e) {
  compressor *c = (compressor *)e;
  if (c == NULL) return;
  if (c->inner != NULL) c->inner->kind->free(c->inner);
  parameters_free(c->parameters);
  mem_free(c);
}

size_t compressor_dim(const encoder *e) { return ((const compressor *)e)->dim; }

medley_status compressor_create(const encoder_kind *kind, bool variational, uint64_t seed, size_t dim, encoder **out,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  compressor *c = NULL;
  const encoder_kind *inner = encoder_kind_default(kind->modality);
  *out = NULL;
  if (dim > TRAINED_DIM_MAX)
    FAIL(err, MEDLEY_ERR_USAGE, "%s gives at most %d dimensions, not %zu", kind->name, TRAINED_DIM_MAX, dim);
  TRY_NEW(c, 1, "an encoder");
  *c =
      (compressor){.base = {kind}, .variational = variational, .seed = seed, .dim = dim ? dim : COMPRESSOR_DIM_DEFAULT};
  TRY(inner->create(seed, 0, &c->inner, err));
  c->width = inner->dim(c->inner);
  c->parameters = parameters_create();
  if (c->parameters == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for an encoder");
  layer_autoencoder_init(&c->layers, c->parameters, NULL, (size_t[]){c->width, HIDDEN, c->dim}, 2, variational);
  initial zero = {INITIAL_ZERO, 0};
  c->mean = parameters_add(c->parameters, NULL, "mean", PARAMETER_FROZEN, zero, 1, &c->width);
  c->scale = parameters_add(c->parameters, NULL, "scale", PARAMETER_FROZEN, zero, 1, &c->width);
  TRY(parameters_seal(c->parameters, seed, err));
  *out = &c->base;
  c = NULL;
done:
  compressor_free((encoder *)c);
  return status;
}

/* ---- columns ---- */

static void columns_measure(compressor *c, const float *rows, size_t count) {
  real *mean = real_data(c->mean), *scale = real_data(c->scale);
  for (size_t k = 0; k < c->width; k++) {
    double sum = 0, square = 0;
    for (size_t i = 0; i < count; i++) sum += rows[i * c->width + k];
    double centre = sum / (double)count;
    for (size_t i = 0; i < count; i++) square += (rows[i * c->width + k] - centre) * (rows[i * c->width + k] - centre);
    double deviation = sqrt(square / (double)count);
    mean[k] = (real)centre;
    scale[k] = deviation > 1e-6 ? (real)(1 / deviation) : 0;
  }
}

static void columns_standardise(const compressor *c, float *rows, size_t count) {
  const real *mean = real_data(c->mean), *scale = real_data(c->scale);
  for (size_t i = 0; i < count * c->width; i++) {
    float value = (rows[i] - mean[i % c->width]) * scale[i % c->width];
    rows[i] = value > DEVIATIONS_MAX ? DEVIATIONS_MAX : value < -DEVIATIONS_MAX ? -DEVIATIONS_MAX : value;
  }
}

/* ---- training ---- */

typedef struct compressor_training {
  const compressor *of;
  const float *rows;
  float *batch; /* [BATCH, width] */
} compressor_training;

static tensor *compressor_loss(tape *t, void *context, const uint32_t *items, size_t count) {
  compressor_training *c = context;
  size_t width = c->of->width;
  for (size_t i = 0; i < count; i++) memcpy(c->batch + i * width, c->rows + items[i] * width, width * sizeof *c->batch);
  tensor *x = tape_input(t, 2, (size_t[]){count, width}, c->batch);
  tensor *seen = c->of->variational ? x : op_dropout(t, x, LEFT_OUT);
  return op_affine(t, layer_autoencoder_loss(t, &c->of->layers, seen, x, DIVERGENCE_WEIGHT), 1 / (double)width, 0);
}

void compressor_keep(encoder *e, const char *path) { ((compressor *)e)->state = path; }

medley_status compressor_fit(encoder *e, const encoder_input *inputs, size_t count, progress_stage *progress,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  compressor *c = (compressor *)e;
  float *rows = NULL, *batch = NULL;
  if (count < 2) FAIL(err, MEDLEY_ERR_INPUT, "%s: %zu items are too few to learn from", e->kind->name, count);
  TRY_NEW(rows, count * c->width, "what an encoder learns from");
  TRY_NEW(batch, BATCH * c->width, "what an encoder learns from");
  TRY(c->inner->kind->encode(c->inner, inputs, count, rows, err));
  columns_measure(c, rows, count);
  columns_standardise(c, rows, count);
  compressor_training training = {c, rows, batch};
  trained_plan plan = {
      .batch = BATCH, .passes = PASSES, .rate = 1e-3, .loss = compressor_loss, .context = &training, .state = c->state};
  TRY(trained_fit(c->parameters, c->seed, &plan, count, progress, err));
  c->fitted = true;
done:
  mem_free(rows);
  mem_free(batch);
  return status;
}

/* ---- encoding ---- */

medley_status compressor_narrow(encoder *e, weight_precision precision, medley_error *err) {
  return parameters_narrow(((compressor *)e)->parameters, precision, err);
}

weight_precision compressor_precision(const encoder *e) {
  return parameters_precision(((const compressor *)e)->parameters);
}

typedef struct code_run {
  const compressor *of;
  const float *rows; /* [count, width] */
  float *out;        /* [count, dim] */
} code_run;

static medley_status batch_encode(void *context, tape *t, size_t from, size_t to, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const code_run *run = context;
  const compressor *c = run->of;
  tensor *x = tape_input(t, 2, (size_t[]){to - from, c->width}, run->rows + from * c->width);
  tensor *code = layer_autoencoder_encode(t, &c->layers, x, NULL);
  TRY(tape_status(t, err));
  memcpy(run->out + from * c->dim, code->data, (to - from) * c->dim * sizeof *run->out);
done:
  return status;
}

size_t compressor_width(const encoder *e) { return ((const compressor *)e)->width; }

medley_status compressor_run(const encoder *e, const float *rows, size_t count, float *out, medley_error *err) {
  code_run run = {(const compressor *)e, rows, out};
  return batches_run(count, ENCODE_BATCH, batch_encode, &run, err);
}

medley_status compressor_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  const compressor *c = (const compressor *)e;
  float *rows = NULL;
  if (!c->fitted) FAIL(err, MEDLEY_ERR_USAGE, "%s must be fitted before it encodes", e->kind->name);
  TRY_NEW(rows, count * c->width, "an encoder");
  TRY(c->inner->kind->encode(c->inner, inputs, count, rows, err));
  columns_standardise(c, rows, count);
  TRY(compressor_run(e, rows, count, out, err));
done:
  mem_free(rows);
  return status;
}

/* ---- in model files ---- */

medley_status compressor_save(const encoder *e, safetensors_writer *w, const char *prefix, medley_error *err) {
  const compressor *c = (const compressor *)e;
  if (!c->fitted) return error_set(err, MEDLEY_ERR_USAGE, "%s must be fitted before it is saved", e->kind->name);
  return trained_save(c->parameters, w, prefix, err);
}

medley_status compressor_load(const encoder_kind *kind, bool variational, const safetensors *s, const char *prefix,
                              encoder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder *e = NULL;
  size_t rows;
  *out = NULL;
  TRY(trained_rows(s, prefix, "inward.1.weight", TRAINED_DIM_MAX * (variational ? 2 : 1), &rows, err));
  TRY(compressor_create(kind, variational, 0, variational ? (rows + 1) / 2 : rows, &e, err));
  TRY(trained_load(((compressor *)e)->parameters, s, prefix, err));
  ((compressor *)e)->fitted = true;
  *out = e;
  e = NULL;
done:
  if (e != NULL) compressor_free(e);
  return status;
}
