/* encode/resnet.c: the `resnet` encoders: a published ResNet (He et al. 2015; strides as in its second version) in the
 * names of transformers or of torchvision, which are timm's as well: the means of the last map.
 *
 * A map is [places, channels]. A convolution is a product: the places that each output sees become a row (channels of a
 * place beside each other), and batch norm is in its weights and bias already; so bf16 and int8 are those of linear
 * layers. A convolution of 1 × 1 takes the map as it is. Threads take whole pictures.
 */
#include "encode/resnet.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "encode/batches.h"
#include "encode/conv_weights.h"
#include "encode/picture_tuning.h"
#include "encode/vision_encode.h"

enum { STAGES_MAX = 4, LAYERS_MAX = 128, SIDE = 224, RESIZE = 256, BATCH = 1 };
#define EPSILON 1e-5 /* of PyTorch's batch norm, which no file says */

typedef struct convolution {
  layer_linear product; /* [outs, kernel² ins], of one that answers */
  layer_conv learns;    /* of one that learns instead */
  size_t kernel, stride;
} convolution;

typedef struct resnet_block {
  convolution parts[3];
  size_t count;
  convolution shortcut;
  bool direct; /* no shortcut: the input itself */
} resnet_block;

typedef struct resnet {
  const encoder_kind *kind;
  checkpoint file;
  weights weights;
  image_preparation preparation;
  convolution stem;
  resnet_block *blocks;
  size_t count, dim;
} resnet;

/* ---- names ---- */

typedef struct resnet_names {
  const char *stem[2];                   /* convolution, norm */
  const char *block;                     /* format: stage, layer */
  const char *parts[3][2], *shortcut[2]; /* behind the block's */
  size_t first_stage;
} resnet_names;

static const resnet_names names_transformers = {
    .stem = {"embedder.embedder.convolution", "embedder.embedder.normalization"},
    .block = "encoder.stages.%zu.layers.%zu.",
    .parts = {{"layer.0.convolution", "layer.0.normalization"},
              {"layer.1.convolution", "layer.1.normalization"},
              {"layer.2.convolution", "layer.2.normalization"}},
    .shortcut = {"shortcut.convolution", "shortcut.normalization"}};
static const resnet_names names_torchvision = {.stem = {"conv1", "bn1"},
                                               .block = "layer%zu.%zu.",
                                               .parts = {{"conv1", "bn1"}, {"conv2", "bn2"}, {"conv3", "bn3"}},
                                               .shortcut = {"downsample.0", "downsample.1"},
                                               .first_stage = 1};

/* ---- opening ---- */

static void resnet_free(encoder *encoder) {
  resnet *e = (resnet *)encoder;
  if (e == NULL) return;
  weights_deinit(&e->weights);
  checkpoint_close(&e->file);
  mem_free(e);
}

/* The convolution of a stem, in whatever size the file has it for `ins` channels; its outputs. */
static size_t convolution_take(weights *w, convolution *c, const char *stem, const char *const names[2], size_t ins,
                               size_t stride) {
  char conv[160], norm[160];
  snprintf(conv, sizeof conv, "%s%s", stem, names[0]);
  snprintf(norm, sizeof norm, "%s%s", stem, names[1]);
  c->stride = stride;
  if (w->tuning != NULL)
    return conv_take(w, &c->learns, conv, norm, &(conv_sizes){.ins = ins, .stride = stride, .epsilon = EPSILON});
  c->product.weight = weights_convolution(w, conv, norm, ins, EPSILON, &c->kernel, &c->product.bias);
  return c->product.weight != NULL ? c->product.weight->shape[0] : 0;
}

/* narrow_first: of three convolutions the first moves by the stride, as in the paper; otherwise the one of 3 × 3. */
static size_t block_take_all(weights *w, resnet_block *b, const resnet_names *n, const char *stem, size_t ins,
                             size_t stride, bool narrow_first) {
  size_t outs = ins;
  b->count = weights_has(w, "%s%s.weight", stem, n->parts[2][0]) ? 3 : 2;
  for (size_t i = 0; i < b->count; i++) {
    bool moves = b->count == 2 || narrow_first ? i == 0 : i == 1;
    outs = convolution_take(w, &b->parts[i], stem, n->parts[i], outs, moves ? stride : 1);
  }
  b->direct = !weights_has(w, "%s%s.weight", stem, n->shortcut[0]);
  size_t beside = b->direct ? ins : convolution_take(w, &b->shortcut, stem, n->shortcut, ins, stride);
  bool fits = beside == outs && (stride == 1 || !b->direct);
  if (w->status == MEDLEY_OK && !fits)
    w->status = error_set(&w->error, MEDLEY_ERR_INPUT, "%s: block '%s' makes %zu channels, and %zu beside them",
                          w->from->path, stem, outs, beside);
  return outs;
}

static medley_status config_check(const resnet *e, bool *narrow_first, size_t *first_stride, medley_error *err) {
  const json_t *config = e->file.config;
  const char *activation = json_member_string(config, "hidden_act", "relu");
  *narrow_first = json_is_true(json_object_get(config, "downsample_in_bottleneck"));
  *first_stride = json_is_true(json_object_get(config, "downsample_in_first_stage")) ? 2 : 1;
  if (strcmp(activation, "relu") == 0) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: config.json: hidden_act '%.40s'; a ResNet here has relu",
                   e->file.path, activation);
}

static bool block_is_there(const resnet *e, const resnet_names *n, size_t stage, size_t layer, char stem[96]) {
  snprintf(stem, 96, n->block, stage + n->first_stage, layer);
  return weights_has(&e->weights, "%s%s.weight", stem, n->parts[0][0]);
}

static medley_status network_take(resnet *e, const resnet_names *n, medley_error *err) {
  medley_status status = MEDLEY_OK;
  weights *w = &e->weights;
  char stem[96];
  bool narrow_first;
  size_t first_stride, stages = 0;
  while (stages < STAGES_MAX && block_is_there(e, n, stages, 0, stem)) stages++;
  weights_before_layers(w);
  TRY(config_check(e, &narrow_first, &first_stride, err));
  e->dim = convolution_take(w, &e->stem, "", n->stem, 3, 2);
  e->blocks = weights_memory(w, LAYERS_MAX, sizeof *e->blocks);
  for (size_t stage = 0; stage < stages && w->status == MEDLEY_OK; stage++) {
    weights_at_layer(w, stage, stages);
    for (size_t layer = 0; e->count < LAYERS_MAX && w->status == MEDLEY_OK; layer++) {
      if (!block_is_there(e, n, stage, layer, stem)) break;
      size_t stride = layer > 0 ? 1 : stage == 0 ? first_stride : 2;
      e->dim = block_take_all(w, &e->blocks[e->count++], n, stem, e->dim, stride, narrow_first);
    }
  }
  TRY(weights_status(w, err));
  if (e->count == 0 || e->count == LAYERS_MAX)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: %zu blocks are no ResNet", e->file.path, e->count);
done:
  return status;
}

static medley_status resnet_open_as(const char *path, const encoder_kind *kind, weight_precision precision,
                                    weights_tuning *tuning, encoder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  model_architecture a;
  resnet *e = NULL;
  *out = NULL;
  TRY_NEW(e, 1, "an encoder");
  e->kind = kind;
  TRY(checkpoint_open(&e->file, path, err));
  TRY(architecture_recognise(&e->file, &a, err));
  if (strcmp(a.kind->name, "resnet") != 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: holds a network of the family '%s', not resnet", path, a.kind->name);
  if (a.layout == NULL) FAIL(err, MEDLEY_ERR_INPUT, "%s: holds no weights of a ResNet", path);
  TRY(conv_tuning_check(tuning, path, err));
  e->weights = (weights){.from = &e->file, .precision = precision, .tuning = tuning};
  memcpy(e->weights.prefix, a.prefix, sizeof a.prefix);
  TRY(network_take(e, strcmp(a.layout, "transformers") == 0 ? &names_transformers : &names_torchvision, err));
  e->preparation = (image_preparation){
      .resize = RESIZE, .mean = {.485f, .456f, .406f}, .deviation = {.229f, .224f, .225f}}; /* side: any */
  TRY(image_preparation_load(&e->preparation, &e->file, err));
  if (e->preparation.side == 0) e->preparation.side = SIDE;
  *out = (encoder *)e;
  e = NULL;
done:
  resnet_free((encoder *)e);
  return status;
}

/* ---- the network ---- */

/* [height, width, channels] in `at`; a square. */
typedef struct map {
  tensor *at; /* [height * width, channels] */
  size_t side;
} map;

/* What each output sees, a row each: [outs², kernel², channels], zeros beyond the edge. */
static tensor *seen(tape *t, const map *x, const convolution *c, size_t outs) {
  size_t channels = tensor_width(x->at), pad = c->kernel / 2;
  tensor *rows = tape_empty(t, 2, (size_t[]){outs * outs, c->kernel * c->kernel * channels});
  if (rows == NULL) return NULL;
  float *to = rows->data;
  for (size_t place = 0; place < outs * outs; place++)
    for (size_t k = 0; k < c->kernel * c->kernel; k++, to += channels) {
      size_t y = place / outs * c->stride + k / c->kernel, x0 = place % outs * c->stride + k % c->kernel;
      bool inside = y >= pad && x0 >= pad && y - pad < x->side && x0 - pad < x->side;
      if (inside)
        memcpy(to, (const float *)x->at->data + ((y - pad) * x->side + x0 - pad) * channels, channels * sizeof *to);
      else
        memset(to, 0, channels * sizeof *to);
    }
  return rows;
}

static map convolve(tape *t, map x, const convolution *c) {
  if (x.at == NULL) return x;
  size_t outs = (x.side + 2 * (c->kernel / 2) - c->kernel) / c->stride + 1;
  tensor *rows = c->kernel == 1 && c->stride == 1 ? x.at : seen(t, &x, c, outs);
  return (map){layer_linear_forward(t, &c->product, rows), outs};
}

/* Of windows of 3 × 3 that move by two. */
static map pool(tape *t, map x) {
  if (x.at == NULL) return x;
  size_t channels = tensor_width(x.at), outs = (x.side - 1) / 2 + 1;
  map y = {tape_empty(t, 2, (size_t[]){outs * outs, channels}), outs};
  for (size_t place = 0; y.at != NULL && place < outs * outs; place++) {
    float *to = (float *)y.at->data + place * channels;
    for (size_t i = 0; i < channels; i++) to[i] = 0; /* behind a relu nothing is less */
    for (size_t k = 0; k < 9; k++) {
      size_t row = place / outs * 2 + k / 3, column = place % outs * 2 + k % 3; /* counted from the padding on */
      if (row == 0 || column == 0 || row > x.side || column > x.side) continue;
      const float *from = (const float *)x.at->data + ((row - 1) * x.side + column - 1) * channels;
      _Pragma("omp simd") for (size_t i = 0; i < channels; i++) to[i] = from[i] > to[i] ? from[i] : to[i];
    }
  }
  return y;
}

static map block_forward(tape *t, const resnet_block *b, map x) {
  map y = x;
  for (size_t i = 0; i < b->count; i++) {
    y = convolve(t, y, &b->parts[i]);
    if (i + 1 < b->count) y.at = op_relu(t, y.at);
  }
  map beside = b->direct ? x : convolve(t, x, &b->shortcut);
  return (map){op_relu(t, op_add(t, y.at, beside.at)), y.side};
}

/* pixels [3, side, side] → the last map. */
static map network_forward(tape *t, const resnet *e, const float *pixels, size_t side) {
  size_t mark = tape_mark(t);
  map x = {tape_empty(t, 2, (size_t[]){side * side, 3}), side};
  for (size_t i = 0; x.at != NULL && i < 3 * side * side; i++)
    real_data(x.at)[i % (side * side) * 3 + i / (side * side)] = pixels[i];
  x = convolve(t, x, &e->stem);
  x.at = op_relu(t, x.at);
  x = pool(t, x);
  for (size_t i = 0; i < e->count; i++) {
    tape_release(t, mark, x.at);
    x = block_forward(t, &e->blocks[i], x);
  }
  tape_release(t, mark, x.at);
  return x;
}

/* ---- encoding ---- */

typedef struct resnet_run {
  const resnet *network;
  const encoder_input *inputs;
  float *out;
} resnet_run;

static medley_status picture_run(const resnet *e, tape *t, const float *pixels, float *out, const tensor **last,
                                 medley_error *err) {
  map x = network_forward(t, e, pixels, e->preparation.side);
  const tensor *y = op_mean(t, tape_keep(x.at), 0);
  if (y != NULL) memcpy(out, y->data, e->dim * sizeof *out);
  if (last != NULL) *last = x.at;
  return tape_status(t, err);
}

static medley_status resnet_batch(void *context, tape *t, size_t from, size_t to, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const resnet_run *r = context;
  const image_preparation *p = &r->network->preparation;
  float *pixels = NULL;
  TRY_NEW(pixels, 3 * p->side * p->side, "a picture");
  for (size_t i = from; i < to; i++) {
    TRY(image_prepare(p, r->inputs[i].image, pixels, err));
    TRY(picture_run(r->network, t, pixels, r->out + i * r->network->dim, NULL, err));
  }
done:
  mem_free(pixels);
  return status;
}

static medley_status resnet_encode(const encoder *encoder, const encoder_input *inputs, size_t count, float *out,
                                   medley_error *err) {
  resnet_run run = {(const resnet *)encoder, inputs, out};
  return batches_run(count, BATCH, resnet_batch, &run, err);
}

static medley_status resnet_check(const encoder *encoder, const safetensors *golden, golden_report *report,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  const resnet *e = (const resnet *)encoder;
  size_t side = e->preparation.side, values = 0;
  float *pixels = NULL, *pooled = NULL, *maps = NULL;
  uint64_t shape[4];
  tape *t = tape_create(0);
  if (t == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a tape");
  tape_set_training(t, false);
  TRY(golden_read(golden, "pixel_values", 4, (uint64_t[]){0, 3, side, side}, &pixels, shape, err));
  TRY_NEW(pooled, shape[0] * e->dim, "vectors");
  for (size_t i = 0; i < shape[0]; i++) {
    const tensor *last;
    tape_reset(t);
    TRY(picture_run(e, t, pixels + i * 3 * side * side, pooled + i * e->dim, &last, err));
    if (maps == NULL) {
      values = last->count;
      TRY_NEW(maps, shape[0] * values, "maps");
    }
    memcpy(maps + i * values, last->data, values * sizeof *maps);
  }
  if (safetensors_get(golden, "last_hidden_state") != NULL)
    TRY(golden_compare(report, golden, "last_hidden_state", maps, shape[0] * values, err));
  TRY(golden_compare(report, golden, "pooler_output", pooled, shape[0] * e->dim, err));
done:
  tape_free(t);
  mem_free(pixels);
  mem_free(pooled);
  mem_free(maps);
  return status;
}

static size_t resnet_dim(const encoder *e) { return ((const resnet *)e)->dim; }

static void resnet_wish(const encoder *e, media_request *request) {
  vision_wish(&((const resnet *)e)->preparation, request);
}

/* ---- learning on ---- */

medley_status resnet_learner_open(const char *path, weights_tuning *tuning, encoder **out, medley_error *err) {
  return resnet_open_as(path, &encoder_resnet, WEIGHT_F32, tuning, out, err);
}

weights *resnet_learner_weights(encoder *e) { return &((resnet *)e)->weights; }

static tensor *block_learn(tape *t, const resnet_block *b, tensor *x) {
  tensor *y = x;
  for (size_t i = 0; i < b->count; i++) {
    y = layer_conv_forward(t, &b->parts[i].learns, y);
    if (i + 1 < b->count) y = op_relu(t, y);
  }
  return op_relu(t, op_add(t, y, b->direct ? x : layer_conv_forward(t, &b->shortcut.learns, x)));
}

tensor *resnet_vectors(tape *t, const void *network, const float *pixels, size_t count) {
  const resnet *e = network;
  size_t side = e->preparation.side, mark = tape_mark(t);
  tensor *x = layer_conv_forward(t, &e->stem.learns, conv_input(t, pixels, count, 3, side, side));
  x = op_max_pool2d(t, op_relu(t, x), &(pool_options){.kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}});
  for (size_t i = 0; i < e->count; i++) {
    x = block_learn(t, &e->blocks[i], x);
    tape_release(t, mark, x); /* of stages that stay as they are */
  }
  return op_global_average_pool(t, x);
}

static medley_status resnet_tune(const char *path, const encoder_tuning *how, const encoder_input *inputs, size_t count,
                                 progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  weights_tuning tuning = {0};
  encoder *encoder = NULL;
  TRY(weights_tuning_init(&tuning, how->choice, err));
  TRY(resnet_learner_open(path, &tuning, &encoder, err));
  resnet *e = (resnet *)encoder;
  picture_tuner tuner = {e->preparation, resnet_vectors, e};
  TRY(picture_tune(&tuner, &e->weights, how, inputs, count, progress, err));
done:
  resnet_free(encoder);
  weights_tuning_deinit(&tuning);
  return status;
}

#define RESNET_KIND(id, text, precision)                         \
  ENCODER_OF_FILE(id, resnet, MODALITY_IMAGE, text, resnet_wish, \
                  resnet_open_as(path, &encoder_##id, precision, NULL, out, err))

RESNET_KIND(resnet, "a published ResNet, 18 to 152 layers: the means of its last map", WEIGHT_F32)
RESNET_KIND(resnet_bf16, "the same with bf16 weights", WEIGHT_BF16)
RESNET_KIND(resnet_int8, "the same with int8 weights", WEIGHT_INT8)
