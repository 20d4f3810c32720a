/* encode/mobilenet_v2.c: a picture → the 1280 means of MobileNetV2's last map (Sandler et al. 2018), pretrained on
 * ImageNet. The network runs in nn/separable.h; here are its plan, the preparation of pictures, and the check.
 *
 * A picture is looked at through the largest square in its middle: of 100 labelled photographs that gets 84 right,
 * where the usual seven eighths of the shorter side get 78 (the reference: 79). Pixels are (q - 128) / 128.
 */
#include "encode/mobilenet_v2.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "media/image.h"
#include "nn/architecture.h"
#include "nn/separable.h"

enum { SIDE = MOBILENET_V2_SIDE, DIM = MOBILENET_V2_DIM };

typedef struct mobilenet_v2 {
  encoder base;
  separable *net;
} mobilenet_v2;

static const separable *net_of(const encoder *e) { return ((const mobilenet_v2 *)e)->net; }

/* ---- the network ---- */

/* Table 2 of the paper: the widening, channels, repetitions and first stride of each group. Names are timm's. */
static const struct {
  size_t widen, out, repeats, stride;
} groups[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
              {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

static void plan_block(separable_plan *plan, size_t group, size_t block, size_t in) {
  separable_layer *l = &plan->layers[plan->layer_count++];
  bool first = plan->layer_count == 1; /* its 1 × 1 is the stem, a convolution of 3 × 3 */
  snprintf(l->expand, sizeof l->expand, first ? "conv_stem" : "blocks.%zu.%zu.conv_pw", group, block);
  snprintf(l->window, sizeof l->window, "blocks.%zu.%zu.conv_dw", group, block);
  snprintf(l->project, sizeof l->project, "blocks.%zu.%zu.%s", group, block, first ? "conv_pw" : "conv_pwl");
  l->middle = in * groups[group].widen;
  l->out = groups[group].out;
  l->stride = block == 0 ? groups[group].stride : 1;
  l->linear = true;
  l->residual = block > 0;
}

static void plan_make(separable_plan *plan, bool int8) {
  *plan = (separable_plan){.height = SIDE,
                           .width = SIDE,
                           .channels = 3,
                           .ceiling = 6,
                           .head = "conv_head",
                           .dim = DIM,
                           .classifier = "classifier",
                           .classes = MOBILENET_V2_CLASSES,
                           .int8 = int8};
  size_t in = 32;
  for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
    for (size_t b = 0; b < groups[g].repeats; b++) {
      plan_block(plan, g, b, in);
      in = groups[g].out;
    }
}

static void mobilenet_free(encoder *e) {
  if (e == NULL) return;
  separable_free(((mobilenet_v2 *)e)->net);
  mem_free(e);
}

static medley_status open_kind(const encoder_kind *kind, bool int8, const char *path, encoder **out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  checkpoint c = {0};
  separable_plan plan;
  *out = NULL;
  mobilenet_v2 *m = mem_zalloc(1, sizeof *m);
  if (m == NULL) return error_memory(err, "an encoder");
  m->base.kind = kind;
  TRY(checkpoint_open(&c, path, err));
  TRY(architecture_need(&c, "mobilenet_v2", err));
  plan_make(&plan, int8);
  TRY(separable_create(&c, &plan, &m->net, err));
  *out = &m->base;
done:
  checkpoint_close(&c);
  if (status != MEDLEY_OK) mobilenet_free(&m->base);
  return status;
}

static medley_status mobilenet_open(const char *path, encoder **out, medley_error *err) {
  return open_kind(&encoder_mobilenet_v2, false, path, out, err);
}

static medley_status mobilenet_open_int8(const char *path, encoder **out, medley_error *err) {
  return open_kind(&encoder_mobilenet_v2_int8, true, path, out, err);
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

static medley_status fill_from_picture(void *context, size_t index, float *to, size_t row_step, medley_error *err) {
  medley_status status = MEDLEY_OK;
  image square = {0}, small = {0};
  const image *picture = ((const encoder_input *)context)[index].image;
  if (picture->width != SIDE || picture->height != SIDE) { /* one that is as the network wants it is taken as it is */
    TRY(cut_middle(picture, &square, err));
    TRY(image_resize(&square, SIDE, SIDE, &small, err));
    picture = &small;
  }
  for (size_t y = 0; y < SIDE; y++) pixels_to_floats(picture->rgb + y * SIDE * 3, (size_t)SIDE * 3, to + y * row_step);
done:
  image_deinit(&square);
  image_deinit(&small);
  return status;
}

static medley_status mobilenet_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                      medley_error *err) {
  return separable_embed(net_of(e), fill_from_picture, (void *)(uintptr_t)inputs, count, out, err);
}

medley_status mobilenet_v2_classify(const encoder *e, const float *embedding, size_t count, float *logits,
                                    medley_error *err) {
  return separable_classify(net_of(e), embedding, count, logits, err);
}

/* ---- the check ---- */

static medley_status fill_from_golden(void *context, size_t index, float *to, size_t row_step, medley_error *err) {
  (void)err;
  const float *rgb = (const float *)context + index * SIDE * SIDE * 3;
  for (size_t y = 0; y < SIDE; y++)
    for (size_t i = 0; i < SIDE * 3; i++) to[y * row_step + i] = (rgb[y * SIDE * 3 + i] - 128) * 0.0078125f;
  return MEDLEY_OK;
}

static medley_status mobilenet_check(const encoder *e, const safetensors *golden, golden_report *report,
                                     medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *rgb = NULL, *embedding = NULL, *logits = NULL;
  uint64_t found[4];
  TRY(golden_read(golden, "input_rgb", 4, (uint64_t[]){0, SIDE, SIDE, 3}, &rgb, found, err));
  TRY_NEW(embedding, found[0] * DIM, "embeddings");
  TRY_NEW(logits, found[0] * MOBILENET_V2_CLASSES, "logits");
  TRY(separable_embed(net_of(e), fill_from_golden, rgb, found[0], embedding, err));
  TRY(separable_classify(net_of(e), embedding, found[0], logits, err));
  TRY(golden_compare(report, golden, "embedding", embedding, found[0] * DIM, err));
  TRY(golden_compare(report, golden, "logits", logits, found[0] * MOBILENET_V2_CLASSES, err));
done:
  mem_free(rgb);
  mem_free(embedding);
  mem_free(logits);
  return status;
}

static size_t mobilenet_dim(const encoder *e) {
  (void)e;
  return DIM;
}

static void mobilenet_wish(const encoder *e, media_request *request) {
  (void)e;
  request->image_side = 336; /* of a picture of 3 : 2 the square in the middle then has 224 */
}

const encoder_kind encoder_mobilenet_v2 = {
    .name = "mobilenet_v2",
    .summary = "MobileNetV2, pretrained on ImageNet: what is in the picture",
    .modality = MODALITY_IMAGE,
    .version = 1,
    .needs_file = true,
    .open = mobilenet_open,
    .wish = mobilenet_wish,
    .dim = mobilenet_dim,
    .encode = mobilenet_encode,
    .check = mobilenet_check,
    .free = mobilenet_free,
};

const encoder_kind encoder_mobilenet_v2_int8 = {
    .name = "mobilenet_v2_int8",
    .summary =
        "the same in int8 where the processor is fast at it (AVX-512 "
        "VNNI): less exact, faster",
    .modality = MODALITY_IMAGE,
    .version = 1,
    .needs_file = true,
    .open = mobilenet_open_int8,
    .wish = mobilenet_wish,
    .dim = mobilenet_dim,
    .encode = mobilenet_encode,
    .check = mobilenet_check,
    .free = mobilenet_free,
};
