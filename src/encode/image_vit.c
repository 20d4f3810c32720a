/* encode/image_vit.c: the `vit` encoder: a published ViT in the names of transformers or timm; the vector is the first
 * token's behind the last norm. */
#include <string.h>

#include "base/memory.h"
#include "encode/picture_tuning.h"
#include "encode/vision_encode.h"

typedef struct vit_encoder {
  const encoder_kind *kind;
  checkpoint file;
  weights weights;
  image_preparation preparation;
  vision network;
} vit_encoder;

static const vision_names names_transformers = {.patch = "embeddings.patch_embeddings.projection",
                                                .patch_bias = true,
                                                .first = "embeddings.cls_token",
                                                .places = "embeddings.position_embeddings",
                                                .blocks = "encoder.layer.",
                                                .block = &block_names_vit,
                                                .norm_after = "layernorm"};
static const vision_names names_timm = {.patch = "patch_embed.proj",
                                        .patch_bias = true,
                                        .first = "cls_token",
                                        .places = "pos_embed",
                                        .blocks = "blocks.",
                                        .block = &block_names_vit_timm,
                                        .norm_after = "norm"};

static void vit_free(encoder *encoder) {
  vit_encoder *e = (vit_encoder *)encoder;
  if (e == NULL) return;
  weights_deinit(&e->weights);
  checkpoint_close(&e->file);
  mem_free(e);
}

/* timm's files say nothing of heads. */
static medley_status sizes_read(const checkpoint *c, const model_architecture *a, vision_sizes *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool timm = a->layout != NULL && strcmp(a->layout, "timm") == 0;
  const char *activation = json_member_string(c->config, "hidden_act", "gelu");
  *s = (vision_sizes){.width = (size_t)architecture_dimension_get(a, "width", 0),
                      .layers = (size_t)architecture_dimension_get(a, "layers", 0),
                      .heads = (size_t)architecture_dimension_get(a, "heads", 0),
                      .feed_forward = (size_t)architecture_dimension_get(a, "feed_forward", 0),
                      .patch = (size_t)architecture_dimension_get(a, "patch", 0),
                      .epsilon = json_member_number(c->config, "layer_norm_eps", timm ? 1e-6 : 1e-12),
                      .activation = activation_find(activation)};
  s->image = (size_t)architecture_dimension_get(
      a, "image_size",
      (int64_t)vision_image_size(c, a->prefix, timm ? &names_timm : &names_transformers, s->width, s->patch));
  if (s->heads == 0 && timm) s->heads = heads_usual(s->width);
  if (s->activation == NULL)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s: config.json: hidden_act '%.40s' is not known", c->path, activation);
  TRY(vision_sizes_check(s, c->path, err));
done:
  return status;
}

static medley_status vit_open_as(const char *path, const encoder_kind *kind, weight_precision precision,
                                 weights_tuning *tuning, encoder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  model_architecture a;
  vision_sizes sizes;
  vit_encoder *e = NULL;
  *out = NULL;
  TRY_NEW(e, 1, "an encoder");
  e->kind = kind;
  TRY(checkpoint_open(&e->file, path, err));
  TRY(architecture_recognise(&e->file, &a, err));
  if (strcmp(a.kind->name, "vit") != 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: holds a network of the family '%s', not vit", path, a.kind->name);
  TRY(sizes_read(&e->file, &a, &sizes, err));
  e->weights = (weights){.from = &e->file, .precision = precision, .tuning = tuning};
  memcpy(e->weights.prefix, a.prefix, sizeof a.prefix);
  bool timm = a.layout != NULL && strcmp(a.layout, "timm") == 0;
  vision_init(&e->network, &e->weights, timm ? &names_timm : &names_transformers, &sizes);
  TRY(weights_status(&e->weights, err));
  e->preparation = (image_preparation){.side = sizes.image, .mean = {.5f, .5f, .5f}, .deviation = {.5f, .5f, .5f}};
  TRY(image_preparation_load(&e->preparation, &e->file, err));
  *out = (encoder *)e;
  e = NULL;
done:
  vit_free((encoder *)e);
  return status;
}

static size_t vit_dim(const encoder *e) { return vision_dim(&((const vit_encoder *)e)->network); }

static void vit_wish(const encoder *e, media_request *request) {
  vision_wish(&((const vit_encoder *)e)->preparation, request);
}

static medley_status vit_encode(const encoder *encoder, const encoder_input *inputs, size_t count, float *out,
                                medley_error *err) {
  const vit_encoder *e = (const vit_encoder *)encoder;
  return vision_encode(&e->network, &e->preparation, false, inputs, count, out, err);
}

static medley_status vit_tune(const char *path, const encoder_tuning *how, const encoder_input *inputs, size_t count,
                              progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  weights_tuning tuning = {0};
  encoder *encoder = NULL;
  TRY(weights_tuning_init(&tuning, how->choice, err));
  TRY(vit_open_as(path, &encoder_vit, WEIGHT_F32, &tuning, &encoder, err));
  vit_encoder *e = (vit_encoder *)encoder;
  picture_tuner tuner = {e->preparation, vision_vectors, &e->network};
  TRY(picture_tune(&tuner, &e->weights, how, inputs, count, progress, err));
done:
  vit_free(encoder);
  weights_tuning_deinit(&tuning);
  return status;
}

static medley_status vit_check(const encoder *encoder, const safetensors *golden, golden_report *report,
                               medley_error *err) {
  const vit_encoder *e = (const vit_encoder *)encoder;
  return vision_check(&e->network, false, "pooler_output", golden, report, err);
}

#define VIT_KIND(id, text, precision) \
  ENCODER_OF_FILE(id, vit, MODALITY_IMAGE, text, vit_wish, vit_open_as(path, &encoder_##id, precision, NULL, out, err))

VIT_KIND(vit, "a published ViT over patches of the picture, the first token's vector", WEIGHT_F32)
VIT_KIND(vit_bf16, "the same with bf16 weights", WEIGHT_BF16)
VIT_KIND(vit_int8, "the same with int8 weights", WEIGHT_INT8)
