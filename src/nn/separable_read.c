/* nn/separable_read.c: a separable network from the tensors of a checkpoint: shapes checked against the plan, weights
 * laid out as the kernels want them, sizes of every layer, memory that a picture will need. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "nn/batch_fold.h"
#include "nn/separable_parts.h"

/* ---- what a file has ---- */

const tensor_view *separable_tensor(const checkpoint *c, const separable_plan *plan, const char *conv,
                                    const char *field) {
  char full[ARCHITECTURE_PREFIX_MAX + SEPARABLE_NAME_MAX + 16];
  snprintf(full, sizeof full, "%s%s.%s", plan->prefix, conv, field);
  return checkpoint_get(c, full);
}

medley_status separable_outputs(const checkpoint *c, const separable_plan *plan, const char *conv, size_t *out,
                                medley_error *err) {
  const tensor_view *view = separable_tensor(c, plan, conv, "weight");
  if (view == NULL || view->rank == 0)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: tensor '%s%s.weight' is missing", c->path, plan->prefix, conv);
  uint64_t outs = view->shape[0];
  if (outs == 0 || outs > SEPARABLE_CHANNELS_MAX ||
      (plan->precision == WEIGHT_INT8 && outs % SEPARABLE_INT8_CHANNELS != 0))
    return error_set(err, MEDLEY_ERR_INPUT, "%s: '%s' has %" PRIu64 " outputs: 1 to %d%s are expected", c->path,
                     view->name, outs, SEPARABLE_CHANNELS_MAX, plan->precision == WEIGHT_INT8 ? ", in fours" : "");
  *out = (size_t)outs;
  return MEDLEY_OK;
}

/* ---- weights ---- */

/* Where a network is read from. */
typedef struct reading {
  separable *net;
  const checkpoint *file;
  const char *prefix; /* of names */
  double epsilon;     /* of norms */
} reading;

/* Copies "<prefix><name>.<field>". */
static medley_status copy(const reading *r, const char *name, const char *field, int rank, const uint64_t *shape,
                          float **out, medley_error *err) {
  char full[ARCHITECTURE_PREFIX_MAX + SEPARABLE_NAME_MAX + 16];
  snprintf(full, sizeof full, "%s%s.%s", r->prefix, name, field);
  return checkpoint_copy_f32(r->file, full, rank, shape, out, err);
}

/* The norm behind a convolution of `each` weights an output goes into them; bias [outs]. */
static medley_status fold_norm(const reading *r, const char *norm, size_t outs, size_t each, float *weight, float *bias,
                               medley_error *err) {
  static const char *const fields[] = {"weight", "bias", "running_mean", "running_var"};
  medley_status status = MEDLEY_OK;
  float *figures[4] = {NULL};
  double *factor = NULL;
  for (int i = 0; i < 4; i++) TRY(copy(r, norm, fields[i], 1, (uint64_t[]){outs}, &figures[i], err));
  TRY_NEW(factor, outs, "a network's weights");
  TRY(batch_fold(&(batch_figures){figures[0], figures[1], figures[2], figures[3], outs, r->epsilon}, r->file->path,
                 norm, factor, bias, err));
  for (size_t i = 0; i < outs * each; i++) weight[i] = (float)(weight[i] * factor[i / each]);
done:
  for (int i = 0; i < 4; i++) mem_free(figures[i]);
  mem_free(factor);
  return status;
}

/* The weight in the file's order, and the bias: [outs] → [rounded up], zeros behind. */
static medley_status read_conv(const reading *r, const separable_conv *conv, int rank, const uint64_t *shape,
                               float **weight, float **bias, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t outs = (size_t)shape[0], each = 1;
  float *read = NULL;
  for (int d = 1; d < rank; d++) each *= (size_t)shape[d];
  TRY(copy(r, conv->name, "weight", rank, shape, weight, err));
  TRY_NEW(*bias, maps_round(outs), "a network's weights");
  if (*conv->norm) {
    TRY(fold_norm(r, conv->norm, outs, each, *weight, *bias, err));
  } else {
    TRY(copy(r, conv->name, "bias", 1, (uint64_t[]){outs}, &read, err));
    memcpy(*bias, read, outs * sizeof *read);
  }
done:
  mem_free(read);
  return status;
}

/* [outs, channels, 3, 3] → [outs, 3, 3, channels]: the order in which a window meets the numbers of the picture. */
static medley_status channels_last(float **weight, size_t outs, size_t channels, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *turned;
  TRY_NEW(turned, outs * 9 * channels, "a network's weights");
  for (size_t o = 0; o < outs; o++)
    for (size_t c = 0; c < channels; c++)
      for (size_t k = 0; k < 9; k++) turned[(o * 9 + k) * channels + c] = (*weight)[(o * channels + c) * 9 + k];
  mem_free(*weight);
  *weight = turned;
done:
  return status;
}

static medley_status keep_codes(const float *weight, size_t outs, separable_product *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static_assert(SEPARABLE_INT8_CHANNELS % MAPS_INT8_GROUP == 0, "what a plan promises");
  assert(p->depth % MAPS_INT8_GROUP == 0);
  TRY_NEW(p->codes, maps_round(outs) * p->depth, "a network's weights");
  TRY_NEW(p->code_scale, maps_round(outs), "a network's weights");
  TRY_NEW(p->code_sum, maps_round(outs), "a network's weights");
  maps_int8_pack(weight, outs, p->depth, p->codes, p->code_scale, p->code_sum);
done:
  return status;
}

/* coded: the weight becomes int8, where the network is so. kernel: 1, 3, or 0 for a linear layer's [outs, in]. */
static medley_status read_product(const reading *r, const separable_conv *conv, size_t in, size_t outs, size_t kernel,
                                  bool coded, separable_product *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *weight = NULL;
  TRY(read_conv(r, conv, kernel ? 4 : 2, (uint64_t[]){outs, in, kernel, kernel}, &weight, &p->bias, err));
  if (kernel == 3) TRY(channels_last(&weight, outs, in, err));
  p->depth = in * (kernel == 3 ? 9 : 1);
  p->panels = maps_round(outs) / MAPS_LANES;
  if (coded && r->net->precision == WEIGHT_INT8) {
    TRY(keep_codes(weight, outs, p, err));
  } else if (r->net->precision == WEIGHT_BF16) {
    TRY_NEW(p->small, maps_round(outs) * p->depth, "a network's weights");
    maps_pack_bf16(weight, outs, p->depth, p->small);
  } else {
    TRY_NEW(p->weight, maps_round(outs) * p->depth, "a network's weights");
    maps_pack(weight, outs, p->depth, p->weight);
  }
done:
  mem_free(weight);
  return status;
}

/* [channels, 1, 3, 3] → [9, rounded up] */
static medley_status read_window(const reading *r, const separable_conv *conv, size_t channels, separable_stage *s,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *weight = NULL;
  TRY(read_conv(r, conv, 4, (uint64_t[]){channels, 1, 3, 3}, &weight, &s->window_bias, err));
  TRY_NEW(s->window, 9 * s->middle, "a network's weights");
  for (size_t i = 0; i < channels; i++)
    for (size_t k = 0; k < 9; k++) s->window[k * s->middle + i] = weight[i * 9 + k];
done:
  mem_free(weight);
  return status;
}

/* Outputs and padding in front of a window of three: one, or as TensorFlow's "same" has it. Both have as many outputs.
 */
static void same(size_t in, size_t stride, bool centred, size_t *out, size_t *before) {
  *out = (in + stride - 1) / stride;
  size_t span = (*out - 1) * stride + 3;
  *before = centred ? 1 : span > in ? (span - in) / 2 : 0;
}

/* A strip should be some tiles of pixels high, so that weights are not loaded for a few pixels, and its widened rows
 * should stay in half of a second cache.
 */
enum { STRIP_PIXELS = 28, STRIP_BYTES = 512 * 1024 };

static void choose_strip(separable_stage *s) {
  s->strip = 1;
  while (s->strip < s->out_height && s->strip * s->out_width < STRIP_PIXELS &&
         ((s->strip * s->stride + 3) * s->in_width + (s->strip + 1) * s->out_width) * s->middle * sizeof(float) <
             STRIP_BYTES)
    s->strip++;
  s->ring_rows = separable_product_is_there(&s->expand) ? (s->strip - 1) * s->stride + 3 : 0;
  s->code_pixels = s->expand.codes != NULL ? maps_round(s->ring_rows * s->in_width) : 0;
  size_t slid = s->project.codes != NULL ? maps_round(s->strip * s->out_width) : 0;
  if (slid > s->code_pixels) s->code_pixels = slid;
  s->code_bytes = s->in_step > s->middle ? s->in_step : s->middle;
}

static void make_room(separable *net, const separable_stage *s) {
  size_t map = s->out_height * s->out_width * s->project.panels * MAPS_LANES;
  size_t strip = (s->ring_rows * s->in_width + s->strip * s->out_width) * s->middle;
  strip += s->code_pixels * (1 + s->code_bytes / sizeof(float)); /* scales and codes */
  if (map > net->map_floats) net->map_floats = map;
  if (strip > net->strip_floats) net->strip_floats = maps_round(strip);
}

/* in: channels; height, width: of the input, and then of the output. */
static medley_status read_layer(const reading *r, const separable_layer *layer, size_t in, size_t *height,
                                size_t *width, medley_error *err) {
  medley_status status = MEDLEY_OK;
  separable *net = r->net;
  separable_stage *s = &net->stages[net->stage_count++];
  s->stem = net->stage_count == 1;
  s->residual = layer->residual;
  s->middle = maps_round(layer->middle);
  s->in_step = s->stem ? in : maps_round(in);
  s->stride = layer->stride;
  s->in_height = s->stem ? *height / 2 : *height;
  s->in_width = s->stem ? *width / 2 : *width;
  same(s->in_height, s->stride, net->centred, &s->out_height, &s->before_high);
  same(s->in_width, s->stride, net->centred, &s->out_width, &s->before_wide);
  *height = s->out_height, *width = s->out_width;
  s->expand.high = s->project.high = net->ceiling;
  if (layer->linear) s->project.low = -INFINITY, s->project.high = INFINITY;
  if (*layer->expand.name)
    TRY(read_product(r, &layer->expand, in, layer->middle, s->stem ? 3 : 1, !s->stem, &s->expand, err));
  TRY(read_window(r, &layer->window, layer->middle, s, err));
  TRY(read_product(r, &layer->project, layer->middle, layer->out, 1, true, &s->project, err));
  choose_strip(s);
  make_room(net, s);
done:
  return status;
}

static medley_status read_all(separable *net, const checkpoint *c, const separable_plan *plan, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const reading r = {net, c, plan->prefix, plan->epsilon}, plain = {net, c, "", 0};
  size_t height = plan->height, width = plan->width, channels = plan->channels;
  for (size_t i = 0; i < plan->layer_count; i++) {
    const separable_layer *layer = &plan->layers[i];
    assert(*layer->expand.name || (i > 0 && layer->middle == channels));
    assert(!layer->residual || (layer->stride == 1 && layer->out == channels));
    TRY(read_layer(&r, layer, channels, &height, &width, err));
    channels = layer->out;
  }
  net->head.high = net->ceiling;
  if (*plan->head.name) TRY(read_product(&r, &plan->head, channels, plan->dim, 1, true, &net->head, err));
  net->classifier.low = -INFINITY, net->classifier.high = INFINITY;
  if (*plan->classifier.name)
    TRY(read_product(&plain, &plan->classifier, plan->dim, plan->classes, 0, false, &net->classifier, err));
  /* The head's map of two panels is made in the strip; in int8 the last map is there beside it. */
  size_t end = height * width * (2 * MAPS_LANES + 1 + maps_round(channels) / sizeof(float));
  if (net->strip_floats < end) net->strip_floats = maps_round(end);
done:
  return status;
}

medley_status separable_create(const checkpoint *c, const separable_plan *plan, separable **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  assert(plan->height % 2 == 0 && plan->width % 2 == 0 && plan->layer_count <= SEPARABLE_LAYERS_MAX);
  *out = NULL;
  separable *net = mem_zalloc(1, sizeof *net);
  if (net == NULL) return error_memory(err, "a network");
  pthread_mutex_init(&net->lock, NULL);
  net->height = plan->height, net->width = plan->width, net->channels = plan->channels;
  net->dim = plan->dim, net->classes = plan->classes, net->ceiling = plan->ceiling;
  net->centred = plan->centred;
  net->precision = plan->precision == WEIGHT_INT8 && !maps_int8_is_fast() ? WEIGHT_F32 : plan->precision;
  TRY(read_all(net, c, plan, err));
  *out = net;
done:
  if (status != MEDLEY_OK) separable_free(net);
  return status;
}

static void product_free(separable_product *p) {
  mem_free(p->weight);
  mem_free(p->bias);
  mem_free(p->small);
  mem_free(p->codes);
  mem_free(p->code_scale);
  mem_free(p->code_sum);
}

void separable_free(separable *net) {
  if (net == NULL) return;
  for (size_t i = 0; i < net->stage_count; i++) {
    product_free(&net->stages[i].expand);
    product_free(&net->stages[i].project);
    mem_free(net->stages[i].window);
    mem_free(net->stages[i].window_bias);
  }
  product_free(&net->head);
  product_free(&net->classifier);
  separable_spaces_free(net);
  pthread_mutex_destroy(&net->lock);
  mem_free(net);
}
