/* encode/mobilenet_plan.c: see encode/mobilenet_plan.h.
 *
 * Both publishers' files have the same network in other names. transformers pads as TensorFlow did and divides batch
 * norm by a larger epsilon; timm does as PyTorch does. */
#include "encode/mobilenet_plan.h"

#include <stdio.h>
#include <string.h>

enum { SIDE_USUAL = 224, SIDE_LEAST = 32, SIDE_MOST = 2048 };

/* Table 2 of the paper: repetitions and first stride of each group; the others are the tensors'. */
static const struct { size_t repeats, stride; } groups[] = {{1, 1}, {2, 2}, {3, 2}, {4, 2}, {3, 1}, {3, 2}, {1, 1}};
enum { GROUPS = sizeof groups / sizeof *groups };

typedef struct planning {
  const checkpoint *file;
  separable_plan *plan;
  bool timm;
  size_t in; /* channels behind the last layer */
} planning;

/* ---- names ---- */

#define CONV_NAME(conv, ...) snprintf((conv)->name, sizeof(conv)->name, __VA_ARGS__)
#define CONV_NORM(conv, ...) snprintf((conv)->norm, sizeof(conv)->norm, __VA_ARGS__)

static void names_timm(separable_layer *l, size_t group, size_t block) {
  bool first = group == 0 && block == 0; /* its 1 × 1 is the stem, a convolution of 3 × 3 */
  CONV_NAME(&l->expand, first ? "conv_stem" : "blocks.%zu.%zu.conv_pw", group, block);
  CONV_NORM(&l->expand, first ? "bn1" : "blocks.%zu.%zu.bn1", group, block);
  CONV_NAME(&l->window, "blocks.%zu.%zu.conv_dw", group, block);
  CONV_NORM(&l->window, "blocks.%zu.%zu.bn%d", group, block, first ? 1 : 2);
  CONV_NAME(&l->project, "blocks.%zu.%zu.%s", group, block, first ? "conv_pw" : "conv_pwl");
  CONV_NORM(&l->project, "blocks.%zu.%zu.bn%d", group, block, first ? 2 : 3);
}

static void name_transformers(separable_conv *conv, size_t number, const char *part) {
  if (number == 0) {
    CONV_NAME(conv, "conv_stem.%s.convolution", part);
    CONV_NORM(conv, "conv_stem.%s.normalization", part);
  } else {
    CONV_NAME(conv, "layer.%zu.%s.convolution", number - 1, part);
    CONV_NORM(conv, "layer.%zu.%s.normalization", number - 1, part);
  }
}

static void names_transformers(separable_layer *l, size_t number) {
  name_transformers(&l->expand, number, number == 0 ? "first_conv" : "expand_1x1");
  name_transformers(&l->window, number, "conv_3x3");
  name_transformers(&l->project, number, "reduce_1x1");
}

/* ---- sizes ---- */

static medley_status outputs_of(const planning *p, const separable_conv *conv, size_t *out, medley_error *err) {
  return separable_outputs(p->file, p->plan, conv->name, out, err);
}

static medley_status layer_plan(planning *p, size_t group, size_t block, medley_error *err) {
  medley_status status = MEDLEY_OK;
  separable_plan *plan = p->plan;
  if (plan->layer_count == SEPARABLE_LAYERS_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "%s: more than %d blocks", p->file->path, SEPARABLE_LAYERS_MAX);
  separable_layer *l = &plan->layers[plan->layer_count];
  if (p->timm)
    names_timm(l, group, block);
  else
    names_transformers(l, plan->layer_count);
  TRY(outputs_of(p, &l->window, &l->middle, err));
  TRY(outputs_of(p, &l->project, &l->out, err));
  l->stride = block == 0 ? groups[group].stride : 1;
  l->stage = group;
  l->linear = true;
  l->residual = plan->layer_count > 0 && l->stride == 1 && l->out == p->in;
  if (p->timm && plan->layer_count == 0 && l->middle == l->out)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s: the first block has %zu channels in and out, which timm adds: not done here",
         p->file->path, l->out);
  plan->layer_count++;
  p->in = l->out;
done:
  return status;
}

/* Deeper ones than the paper's are published in timm's names. */
static size_t repeats_of(const planning *p, size_t group) {
  char name[SEPARABLE_NAME_MAX];
  size_t count = 1;
  if (!p->timm) return groups[group].repeats;
  for (;; count++) {
    snprintf(name, sizeof name, "blocks.%zu.%zu.conv_dw", group, count);
    if (count == SEPARABLE_LAYERS_MAX || separable_tensor(p->file, p->plan, name, "weight") == NULL) return count;
  }
}

static medley_status layers_plan(planning *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  separable_plan *plan = p->plan;
  plan->channels = 3, plan->ceiling = 6, plan->stage_count = GROUPS;
  for (size_t g = 0; g < GROUPS; g++)
    for (size_t b = 0, repeats = repeats_of(p, g); b < repeats; b++) TRY(layer_plan(p, g, b, err));
  CONV_NAME(&plan->head, p->timm ? "conv_head" : "conv_1x1.convolution");
  CONV_NORM(&plan->head, p->timm ? "bn2" : "conv_1x1.normalization");
  TRY(outputs_of(p, &plan->head, &plan->dim, err));
  const tensor_view *classifier = checkpoint_get(p->file, "classifier.weight");
  if (classifier == NULL || classifier->shape[0] == 0 || classifier->shape[0] > SEPARABLE_CHANNELS_MAX) goto done;
  CONV_NAME(&plan->classifier, "classifier");
  plan->classes = (size_t)classifier->shape[0];
done:
  return status;
}

static void norms_drop(separable_plan *plan) {
  *plan->head.norm = '\0';
  for (size_t i = 0; i < plan->layer_count; i++)
    *plan->layers[i].expand.norm = *plan->layers[i].window.norm = *plan->layers[i].project.norm = '\0';
}

/* ---- what config.json says ---- */

static medley_status config_read(planning *p, medley_error *err) {
  const json_t *config = p->file->config;
  const char *activation = json_member_string(config, "hidden_act", "relu6");
  long long stride = json_member_integer(config, "output_stride", 32);
  if (strcmp(activation, "relu6") != 0)
    return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: config.json: hidden_act '%.40s'; a MobileNetV2 here has relu6",
                     p->file->path, activation);
  if (stride != 32 || json_is_false(json_object_get(config, "first_layer_is_expansion")))
    return error_set(err, MEDLEY_ERR_UNSUPPORTED,
                     "%s: config.json: output_stride %lld%s: only 32, with an expansion as first layer, is known here",
                     p->file->path, stride, stride == 32 ? " without an expansion first" : "");
  p->plan->centred = p->timm || json_is_false(json_object_get(config, "tf_padding"));
  p->plan->epsilon = json_member_number(config, "layer_norm_eps", p->timm ? 1e-5 : 1e-3);
  return p->plan->epsilon >= 0 && p->plan->epsilon < 1
             ? MEDLEY_OK
             : error_set(err, MEDLEY_ERR_INPUT, "%s: the norms' epsilon is %g", p->file->path, p->plan->epsilon);
}

/* A side that no file names is the usual one, and the shorter side of a picture eight sevenths of it. */
static medley_status preparation_read(const planning *p, mobilenet_plan *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  image_preparation *i = &out->preparation;
  *i = (image_preparation){.side = (size_t)json_member_integer(p->file->config, "image_size", 0),
                           .resize = 1,
                           .cubic = p->timm,
                           .mean = {.5f, .5f, .5f},
                           .deviation = {.5f, .5f, .5f}};
  if (p->timm)
    *i = (image_preparation){
        .resize = 1, .cubic = true, .mean = {.485f, .456f, .406f}, .deviation = {.229f, .224f, .225f}};
  if (out->folded)
    *i = (image_preparation){.side = SIDE_USUAL,
                             .mean = {128 / 255.f, 128 / 255.f, 128 / 255.f},
                             .deviation = {128 / 255.f, 128 / 255.f, 128 / 255.f}};
  else
    TRY(image_preparation_load(i, p->file, err));
  if (i->side == 0) i->side = SIDE_USUAL;
  if (i->resize == 1) i->resize = i->side * 8 / 7;
  if (i->side < SIDE_LEAST || i->side > SIDE_MOST || i->side % 2 != 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: pictures of %zu pixels: an even number from %d to %d is expected", p->file->path,
         i->side, SIDE_LEAST, SIDE_MOST);
  p->plan->height = p->plan->width = i->side;
done:
  return status;
}

medley_status mobilenet_plan_make(const checkpoint *c, weight_precision precision, mobilenet_plan *out,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  model_architecture a;
  *out = (mobilenet_plan){.network.precision = precision};
  planning p = {.file = c, .plan = &out->network};
  TRY(architecture_need(c, "mobilenet_v2", err));
  TRY(architecture_recognise(c, &a, err));
  if (a.layout == NULL) FAIL(err, MEDLEY_ERR_INPUT, "%s: holds no weights of a MobileNetV2", c->path);
  memcpy(out->network.prefix, a.prefix, sizeof a.prefix);
  p.timm = strcmp(a.layout, "timm") == 0;
  TRY(config_read(&p, err));
  TRY(layers_plan(&p, err));
  out->folded = separable_tensor(c, &out->network, out->network.layers[0].expand.name, "bias") != NULL;
  if (out->folded) {
    norms_drop(&out->network);
    out->network.centred = false;
  }
  TRY(preparation_read(&p, out, err));
done:
  return status;
}
