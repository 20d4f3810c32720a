/* encode/mobilenet_v2.c: a picture → the means of MobileNetV2's last map (Sandler et al. 2018), pretrained on ImageNet.
 * The network runs in nn/separable.h, its plan is encode/mobilenet_plan.h; here are the preparation of pictures and the
 * check.
 *
 * In the file with batch norm folded in, which comes without a word about pictures, one is looked at through the
 * largest square in its middle: of 100 labelled photographs that gets 84 right, where the usual seven eighths of the
 * shorter side get 78 (the reference: 79). Pixels are (q - 128) / 128. As published by transformers or timm, pictures
 * are prepared as the files beside the weights say.
 */
#include "encode/mobilenet_v2.h"

#include <string.h>

#include "base/memory.h"
#include "encode/mobilenet_plan.h"
#include "encode/picture_tuning.h"
#include "encode/separable_tuning.h"
#include "encode/vision_encode.h"
#include "media/image.h"

typedef struct mobilenet_v2 {
  encoder base;
  separable *net;
  image_preparation preparation;
  bool folded;
  size_t dim, classes;
} mobilenet_v2;

static const separable *net_of(const encoder *e) { return ((const mobilenet_v2 *)e)->net; }

static void mobilenet_free(encoder *e) {
  if (e == NULL) return;
  separable_free(((mobilenet_v2 *)e)->net);
  mem_free(e);
}

static medley_status open_kind(const encoder_kind *kind, weight_precision precision, const char *path, encoder **out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  checkpoint c = {0};
  mobilenet_plan plan;
  *out = NULL;
  mobilenet_v2 *m = mem_zalloc(1, sizeof *m);
  if (m == NULL) return error_memory(err, "an encoder");
  m->base.kind = kind;
  TRY(checkpoint_open(&c, path, err));
  TRY(mobilenet_plan_make(&c, precision, &plan, err));
  TRY(separable_create(&c, &plan.network, &m->net, err));
  m->preparation = plan.preparation, m->folded = plan.folded;
  m->dim = plan.network.dim, m->classes = plan.network.classes;
  *out = &m->base;
done:
  checkpoint_close(&c);
  if (status != MEDLEY_OK) mobilenet_free(&m->base);
  return status;
}

/* ---- pictures ---- */

/* The square in the middle. Its pixels are copied: a strip of a picture is no picture. */
static medley_status cut_middle(const image *picture, image *square, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t side = picture->width < picture->height ? picture->width : picture->height;
  uint32_t left = (picture->width - side) / 2, top = (picture->height - side) / 2;
  *square = (image){side, side, NULL};
  TRY_NEW(square->rgb, (size_t)side * side * 3, "a picture");
  for (uint32_t y = 0; y < side; y++)
    memcpy(square->rgb + (size_t)y * side * 3, picture->rgb + ((size_t)(top + y) * picture->width + left) * 3,
           (size_t)side * 3);
done:
  return status;
}

static void pixels_to_floats(const uint8_t *rgb, size_t count, float *to) {
  _Pragma("omp simd") for (size_t i = 0; i < count; i++) to[i] = ((float)rgb[i] - 128) * 0.0078125f;
}

typedef struct picture_run {
  const mobilenet_v2 *encoder;
  const encoder_input *inputs;
  const float *prepared; /* [count, 3, side, side] instead of inputs, or NULL */
} picture_run;

/* [3, side, side] → rows of pixels. */
static void planes_to_rows(const float *planes, size_t side, float *to, size_t row_step) {
  for (size_t c = 0; c < 3; c++)
    for (size_t y = 0; y < side; y++)
      for (size_t x = 0; x < side; x++) to[y * row_step + 3 * x + c] = planes[(c * side + y) * side + x];
}

static medley_status fill_prepared(void *context, size_t index, float *to, size_t row_step, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const picture_run *r = context;
  const image_preparation *p = &r->encoder->preparation;
  float *planes = NULL;
  if (r->prepared != NULL) {
    planes_to_rows(r->prepared + index * 3 * p->side * p->side, p->side, to, row_step);
    return MEDLEY_OK;
  }
  TRY_NEW(planes, 3 * p->side * p->side, "a picture");
  TRY(image_prepare(p, r->inputs[index].image, planes, err));
  planes_to_rows(planes, p->side, to, row_step);
done:
  mem_free(planes);
  return status;
}

static medley_status fill_middle(void *context, size_t index, float *to, size_t row_step, medley_error *err) {
  medley_status status = MEDLEY_OK;
  image square = {0}, small = {0};
  const picture_run *r = context;
  const image *picture = r->inputs[index].image;
  uint32_t side = (uint32_t)r->encoder->preparation.side;
  if (picture->width != side || picture->height != side) { /* one that is as the network wants it is taken as it is */
    TRY(cut_middle(picture, &square, err));
    TRY(image_resize(&square, side, side, &small, err));
    picture = &small;
  }
  for (uint32_t y = 0; y < side; y++) pixels_to_floats(picture->rgb + y * side * 3, side * 3, to + y * row_step);
done:
  image_deinit(&square);
  image_deinit(&small);
  return status;
}

static medley_status mobilenet_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                      medley_error *err) {
  picture_run run = {.encoder = (const mobilenet_v2 *)e, .inputs = inputs};
  return separable_embed(net_of(e), run.encoder->folded ? fill_middle : fill_prepared, &run, count, out, err);
}

medley_status mobilenet_v2_classify(const encoder *e, const float *embedding, size_t count, float *logits,
                                    medley_error *err) {
  return separable_classify(net_of(e), embedding, count, logits, err);
}

/* ---- learning on ---- */

static tensor *learner_vectors(tape *t, const void *network, const float *pixels, size_t count) {
  const separable_learner *n = network;
  return separable_learner_forward(t, n, conv_input(t, pixels, count, 3, n->plan->height, n->plan->width));
}

static medley_status mobilenet_tune(const char *path, const encoder_tuning *how, const encoder_input *inputs,
                                    size_t count, progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  checkpoint c = {0};
  weights_tuning tuning = {0};
  mobilenet_plan plan;
  separable_learner learner;
  weights w = {.from = &c, .tuning = &tuning};
  TRY(weights_tuning_init(&tuning, how->choice, err));
  TRY(conv_tuning_check(&tuning, path, err));
  TRY(checkpoint_open(&c, path, err));
  TRY(mobilenet_plan_make(&c, WEIGHT_F32, &plan, err));
  separable_learner_init(&learner, &w, &plan.network);
  picture_tuner tuner = {plan.preparation, learner_vectors, &learner};
  TRY(picture_tune(&tuner, &w, how, inputs, count, progress, err));
done:
  weights_deinit(&w);
  weights_tuning_deinit(&tuning);
  checkpoint_close(&c);
  return status;
}

/* ---- the check ---- */

typedef struct golden_run {
  const float *rgb;
  size_t side;
} golden_run;

static medley_status fill_from_golden(void *context, size_t index, float *to, size_t row_step, medley_error *err) {
  (void)err;
  const golden_run *g = context;
  size_t row = g->side * 3;
  const float *rgb = g->rgb + index * g->side * row;
  for (size_t y = 0; y < g->side; y++)
    for (size_t i = 0; i < row; i++) to[y * row_step + i] = (rgb[y * row + i] - 128) * 0.0078125f;
  return MEDLEY_OK;
}

/* Golden files: input_rgb [n, side, side, 3] of 0 to 255 with embedding and logits, for the folded file; pixel_values
 * [n, 3, side, side] as transformers and timm have them with pooler_output and logits. */
static medley_status mobilenet_check(const encoder *e, const safetensors *golden, golden_report *report,
                                     medley_error *err) {
  medley_status status = MEDLEY_OK;
  const mobilenet_v2 *m = (const mobilenet_v2 *)e;
  float *pixels = NULL, *embedding = NULL, *logits = NULL;
  uint64_t found[4], side = m->preparation.side;
  bool planes = safetensors_get(golden, "pixel_values") != NULL;
  if (planes)
    TRY(golden_read(golden, "pixel_values", 4, (uint64_t[]){0, 3, side, side}, &pixels, found, err));
  else
    TRY(golden_read(golden, "input_rgb", 4, (uint64_t[]){0, side, side, 3}, &pixels, found, err));
  TRY_NEW(embedding, found[0] * m->dim, "embeddings");
  TRY(separable_embed(m->net, planes ? fill_prepared : fill_from_golden,
                      planes ? (void *)&(picture_run){.encoder = m, .prepared = pixels}
                             : (void *)&(golden_run){pixels, m->preparation.side},
                      found[0], embedding, err));
  TRY(golden_compare(report, golden, planes ? "pooler_output" : "embedding", embedding, found[0] * m->dim, err));
  if (m->classes == 0 || safetensors_get(golden, "logits") == NULL) goto done;
  TRY_NEW(logits, found[0] * m->classes, "logits");
  TRY(separable_classify(m->net, embedding, found[0], logits, err));
  TRY(golden_compare(report, golden, "logits", logits, found[0] * m->classes, err));
done:
  mem_free(pixels);
  mem_free(embedding);
  mem_free(logits);
  return status;
}

static size_t mobilenet_dim(const encoder *e) { return ((const mobilenet_v2 *)e)->dim; }

static void mobilenet_wish(const encoder *e, media_request *request) {
  const mobilenet_v2 *m = (const mobilenet_v2 *)e;
  if (m->folded)
    request->image_side = 336; /* of a picture of 3 : 2 the square in the middle then has 224 */
  else
    vision_wish(&m->preparation, request);
}

#define MOBILENET_KIND(id, text, precision)                            \
  ENCODER_OF_FILE(id, mobilenet, MODALITY_IMAGE, text, mobilenet_wish, \
                  open_kind(&encoder_##id, precision, path, out, err))

MOBILENET_KIND(mobilenet_v2, "MobileNetV2, pretrained on ImageNet: what is in the picture", WEIGHT_F32)
MOBILENET_KIND(mobilenet_v2_bf16, "the same with bf16 weights", WEIGHT_BF16)
MOBILENET_KIND(mobilenet_v2_int8,
               "the same in int8 where the processor is fast at it (AVX-512 VNNI): less exact, faster", WEIGHT_INT8)
