/* encode/clip.c: the `clip` encoders: pictures and text in one space, by published models: CLIP (transformers' names
 * and OpenCLIP's), Chinese-CLIP (a BERT for text), SigLIP. One row for pictures, one for text, of the same name; both
 * open the same folder and take the tensors of their side only. Vectors have length 1. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "encode/bert.h"
#include "encode/clip_text.h"
#include "encode/open_clip.h"
#include "encode/pair_tuning.h"
#include "encode/text_golden.h"
#include "encode/vision_encode.h"
#include "math/vector.h"

/* ---- families ---- */

/* What differs between publishers. Layouts are those of nn/architecture_kinds.c. */
typedef struct clip_family {
  const char *architecture, *layout; /* the beginning of the layout's name */
  vision_names image;
  clip_text_names text; /* words NULL: a BERT */
  const char *bert;     /* prefix of its names */
  const char *activation;
  double epsilon;
  bool causal, bert_turned;
  float mean[3], deviation[3];
  bool whole; /* pictures are scaled to the square rather than cut */
} clip_family;

#define CLIP_COLOURS .mean = {.48145466f, .4578275f, .40821073f}, .deviation = {.26862954f, .26130258f, .27577711f}

#define CLIP_IMAGE_NAMES(tower)                                                                        \
  .patch = tower "embeddings.patch_embedding", .places = tower "embeddings.position_embedding.weight", \
  .blocks = tower "encoder.layers.", .block = &block_names_clip, .norm_after = tower "post_layernorm"
#define CLIP_TOKEN_NAMES(tower) .first = tower "embeddings.class_embedding", .norm_before = tower "pre_layrnorm"
#define OPENAI_IMAGE_NAMES                                                                                   \
  .patch = "visual.conv1", .first = "visual.class_embedding", .places = "visual.positional_embedding",       \
  .norm_before = "visual.ln_pre", .blocks = "visual.transformer.resblocks.", .block = &block_names_openclip, \
  .norm_after = "visual.ln_post", .projection = "visual.proj", .projection_turned = true
#define CLIP_TEXT_NAMES(tower)                                                                                \
  .words = tower "embeddings.token_embedding.weight", .places = tower "embeddings.position_embedding.weight", \
  .blocks = tower "encoder.layers.", .block = &block_names_clip, .norm_after = tower "final_layer_norm"
#define SIGLIP_SETTINGS                                                                                      \
  .activation = "gelu_pytorch_tanh", .epsilon = 1e-6, .mean = {.5f, .5f, .5f}, .deviation = {.5f, .5f, .5f}, \
  .whole = true

static const clip_family families[] = {
    {.architecture = "clip", /* a tower alone, without what brings it into the common space */
     .layout = "transformers 5",
     .image = {CLIP_IMAGE_NAMES(""), CLIP_TOKEN_NAMES("")},
     .text = {CLIP_TEXT_NAMES("")},
     .activation = "quick_gelu",
     .epsilon = 1e-5,
     .causal = true,
     CLIP_COLOURS},
    {.architecture = "clip",
     .layout = "transformers",
     .image = {CLIP_IMAGE_NAMES("vision_model."), CLIP_TOKEN_NAMES("vision_model."),
               .projection = "visual_projection.weight"},
     .text = {CLIP_TEXT_NAMES("text_model."), .projection = "text_projection.weight"},
     .activation = "quick_gelu",
     .epsilon = 1e-5,
     .causal = true,
     CLIP_COLOURS},
    {.architecture = "clip",
     .layout = "openclip",
     .image = {OPENAI_IMAGE_NAMES},
     .text = {.words = "token_embedding.weight",
              .places = "positional_embedding",
              .blocks = "transformer.resblocks.",
              .block = &block_names_openclip,
              .norm_after = "ln_final",
              .projection = "text_projection",
              .projection_turned = true},
     .activation = "gelu",
     .epsilon = 1e-5,
     .causal = true,
     CLIP_COLOURS},
    {.architecture = "chinese_clip",
     .layout = "transformers",
     .image = {CLIP_IMAGE_NAMES("vision_model."), CLIP_TOKEN_NAMES("vision_model."),
               .projection = "visual_projection.weight"},
     .text = {.projection = "text_projection.weight"},
     .bert = "text_model.",
     .activation = "quick_gelu",
     .epsilon = 1e-5,
     CLIP_COLOURS,
     .whole = true},
    {.architecture = "chinese_clip",
     .layout = "ofa-sys",
     .image = {OPENAI_IMAGE_NAMES},
     .text = {.projection = "text_projection", .projection_turned = true},
     .bert = "bert.",
     .activation = "quick_gelu",
     .epsilon = 1e-5,
     CLIP_COLOURS,
     .whole = true},
    {.architecture = "siglip", /* a tower alone */
     .layout = "transformers 5",
     .image = {CLIP_IMAGE_NAMES(""), .patch_bias = true, .head = "head."},
     .text = {CLIP_TEXT_NAMES(""), .projection = "head.weight", .projection_bias = "head.bias"},
     SIGLIP_SETTINGS},
    {.architecture = "siglip",
     .layout = "transformers",
     .image = {CLIP_IMAGE_NAMES("vision_model."), .patch_bias = true, .head = "vision_model.head."},
     .text = {CLIP_TEXT_NAMES("text_model."), .projection = "text_model.head.weight",
              .projection_bias = "text_model.head.bias"},
     SIGLIP_SETTINGS},
};

static const clip_family *family_find(const model_architecture *a) {
  for (size_t i = 0; i < sizeof families / sizeof *families; i++)
    if (strcmp(a->kind->name, families[i].architecture) == 0 && a->layout != NULL &&
        strncmp(a->layout, families[i].layout, strlen(families[i].layout)) == 0)
      return &families[i];
  return NULL;
}

typedef struct clip_encoder {
  const encoder_kind *kind;
  checkpoint file;
  weights weights;
  const clip_family *family;
  open_clip_config said; /* of OpenCLIP's names; else nothing */
  image_preparation preparation;
  vision image;
  tokenizer *tokenizer;
  clip_text text;
  bert bert; /* of a family that has one instead */
  tensor *bert_projection;
} clip_encoder;

static void clip_free(encoder *encoder) {
  clip_encoder *e = (clip_encoder *)encoder;
  if (e == NULL) return;
  tokenizer_free(e->tokenizer);
  weights_deinit(&e->weights);
  checkpoint_close(&e->file);
  mem_free(e);
}

/* ---- sizes ---- */

#define DIMENSION_MOST (1 << 24)

/* The size of a tensor that is there, else 0. */
static size_t size_at(const weights *w, int axis, const char *stem, const char *end) {
  char name[448];
  snprintf(name, sizeof name, "%s%s%s", w->prefix, stem, end);
  const tensor_view *view = checkpoint_get(w->from, name);
  return view != NULL && axis < view->rank ? (size_t)view->shape[axis] : 0;
}

/* A member of config.json's object for one side, or of the file itself when it holds that side alone. */
static const json_t *side_config(const checkpoint *c, const char *side) {
  const json_t *inner = json_object_get(c->config, side);
  return json_is_object(inner) ? inner : c->config;
}

static medley_status activation_read(const clip_encoder *e, const json_t *config, const activation_kind **out,
                                     medley_error *err) {
  const char *name = json_member_string(config, "hidden_act", e->family->activation);
  if (strncmp(e->family->layout, "transformers", 12) != 0)
    name = e->said.activation ? e->said.activation : e->family->activation;
  *out = activation_find(name);
  if (*out != NULL) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: config.json: hidden_act '%.40s' is not known", e->file.path, name);
}

static size_t dimension(const model_architecture *a, const char *name, size_t fallback) {
  return (size_t)architecture_dimension_get(a, name, (int64_t)fallback);
}

/* The same, or what the side's config.json says by another name: a tower alone. 0: not said. */
static size_t side_dimension(const model_architecture *a, const char *name, const json_t *config, const char *member) {
  long long said = json_member_integer(config, member, 0);
  return dimension(a, name, said > 0 && said <= DIMENSION_MOST ? (size_t)said : 0);
}

/* What open_clip_config.json says of a tower is of these tensors. */
static medley_status tower_check(const clip_encoder *e, const open_clip_tower *said, size_t width, size_t layers,
                                 medley_error *err) {
  if ((said->width == 0 || said->width == width) && (said->layers == 0 || said->layers == layers)) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT,
                   "%s: open_clip_config.json says width %zu and %zu layers, the tensors %zu and %zu", e->file.path,
                   said->width, said->layers, width, layers);
}

/* By config.json, open_clip_config.json, or what all of this width have. */
static medley_status heads_find(const clip_encoder *e, const model_architecture *a, const char *name,
                                const json_t *config, size_t width, size_t said, size_t *out, medley_error *err) {
  *out = dimension(a, name, said);
  if (*out == 0) *out = side_dimension(a, name, config, "num_attention_heads");
  if (said != 0 && *out != said)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: %s is %zu by config.json and %zu by open_clip_config.json",
                     e->file.path, name, *out, said);
  if (*out == 0) *out = heads_usual(width);
  if (*out != 0 || width == 0) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT,
                   "%s: how many heads attention has is not said, and %zu numbers do not tell: config.json or "
                   "open_clip_config.json is missing beside it",
                   e->file.path, width);
}

static medley_status image_open(clip_encoder *e, const model_architecture *a, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const clip_family *f = e->family;
  const json_t *config = side_config(&e->file, "vision_config");
  char first[128];
  snprintf(first, sizeof first, "%s0.", f->image.blocks);
  size_t width = side_dimension(a, "image_width", config, "hidden_size"),
         patch = side_dimension(a, "patch", config, "patch_size"),
         places = vision_image_size(&e->file, e->weights.prefix, &f->image, width, patch);
  vision_sizes s = {.width = width,
                    .layers = side_dimension(a, "image_layers", config, "num_hidden_layers"),
                    .patch = patch,
                    .image = dimension(a, "image_size", places),
                    .epsilon = json_member_number(config, "layer_norm_eps", f->epsilon)};
  snprintf(first, sizeof first, "%s0.%s", f->image.blocks, f->image.block->wide);
  s.feed_forward = size_at(&e->weights, 0, first, ".weight");
  if (f->image.projection != NULL)
    s.embedding = size_at(&e->weights, f->image.projection_turned ? 1 : 0, f->image.projection, "");
  if (size_at(&e->weights, 0, f->image.patch, ".weight") == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: holds no tower for pictures", e->file.path);
  TRY(tower_check(e, &e->said.image, s.width, s.layers, err));
  TRY(heads_find(e, a, "image_heads", config, width, e->said.image.heads, &s.heads, err));
  TRY(activation_read(e, config, &s.activation, err));
  TRY(vision_sizes_check(&s, e->file.path, err));
  vision_names names = f->image;
  if (s.embedding == 0) names.projection = NULL; /* the tower alone, without what brings it into the common space */
  vision_init(&e->image, &e->weights, &names, &s);
  TRY(weights_status(&e->weights, err));
  e->preparation = (image_preparation){.side = s.image, .resize = f->whole ? 0 : s.image, .cubic = true};
  memcpy(e->preparation.mean, f->mean, sizeof f->mean);
  memcpy(e->preparation.deviation, f->deviation, sizeof f->deviation);
  TRY(image_preparation_load(&e->preparation, &e->file, err));
done:
  return status;
}

/* ---- text ---- */

static medley_status text_sizes_check(const clip_encoder *e, const clip_text_sizes *s, medley_error *err) {
  if (s->width == 0 || s->vocabulary == 0)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: holds no tower for text", e->file.path);
  if (s->layers == 0 || s->heads == 0 || s->feed_forward == 0 || s->positions < 3 || s->embedding == 0)
    return error_set(
        err, MEDLEY_ERR_INPUT,
        "%s: text: %zu layers, %zu heads, feed-forward %zu, %zu positions, embedding %zu: what is 0 is not said",
        e->file.path, s->layers, s->heads, s->feed_forward, s->positions, s->embedding);
  if (s->width % s->heads != 0)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: %zu numbers cannot be cut into %zu heads", e->file.path, s->width,
                     s->heads);
  return epsilon_check(s->epsilon, e->file.path, err);
}

static void bert_open(clip_encoder *e, const clip_text_sizes *s) {
  const clip_family *f = e->family;
  char prefix[ARCHITECTURE_PREFIX_MAX];
  memcpy(prefix, e->weights.prefix, sizeof prefix);
  e->bert_projection = (f->text.projection_turned ? weights_matrix_transposed : weights_matrix)(
      &e->weights, s->embedding, s->width, "%s", f->text.projection);
  snprintf(e->weights.prefix, sizeof e->weights.prefix, "%.100s%s", prefix, f->bert);
  bert_sizes sizes = {.width = s->width,
                      .layers = s->layers,
                      .heads = s->heads,
                      .feed_forward = s->feed_forward,
                      .positions = s->positions,
                      .vocabulary = s->vocabulary,
                      .segments = 2,
                      .epsilon = s->epsilon,
                      .activation = s->activation};
  bert_init(&e->bert, &e->weights, &sizes);
  memcpy(e->weights.prefix, prefix, sizeof prefix);
}

static medley_status tokenizer_open(clip_encoder *e, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (e->file.folder == NULL)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: a file alone has no tokenizer: give the folder that the model was published in",
         e->file.path);
  TRY(tokenizer_load(e->file.folder, &e->tokenizer, err));
  TRY(text_tokenizer_check(e->tokenizer, e->file.folder, e->text.sizes.vocabulary, e->file.path, err));
done:
  return status;
}

static medley_status text_open(clip_encoder *e, const model_architecture *a, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const clip_family *f = e->family;
  const json_t *config = side_config(&e->file, "text_config");
  char wide[160];
  size_t width = side_dimension(a, "text_width", config, "hidden_size");
  clip_text_sizes s = {.width = width,
                       .layers = side_dimension(a, "text_layers", config, "num_hidden_layers"),
                       .positions = side_dimension(a, "positions", config, "max_position_embeddings"),
                       .vocabulary = side_dimension(a, "vocabulary", config, "vocab_size"),
                       .epsilon = json_member_number(config, "layer_norm_eps", f->bert ? 1e-12 : f->epsilon),
                       .causal = f->causal};
  if (f->bert != NULL)
    snprintf(wide, sizeof wide, "%sencoder.layer.0.intermediate.dense", f->bert);
  else
    snprintf(wide, sizeof wide, "%s0.%s", f->text.blocks, f->text.block->wide);
  s.feed_forward = size_at(&e->weights, 0, wide, ".weight");
  s.embedding = width;
  if (f->text.projection != NULL)
    s.embedding = size_at(&e->weights, f->text.projection_turned ? 1 : 0, f->text.projection, "");
  TRY(tower_check(e, &e->said.text, s.width, s.layers, err));
  TRY(heads_find(e, a, "text_heads", config, width, e->said.text.heads, &s.heads, err));
  TRY(text_sizes_check(e, &s, err));
  if (f->bert != NULL) {
    s.activation = activation_find(json_member_string(config, "hidden_act", "gelu"));
    if (s.activation == NULL)
      FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s: config.json: hidden_act is not known", e->file.path);
    e->text.sizes = s;
    bert_open(e, &s);
  } else {
    TRY(activation_read(e, config, &s.activation, err));
    clip_text_init(&e->text, &e->weights, &f->text, &s);
  }
  TRY(weights_status(&e->weights, err));
  TRY(tokenizer_open(e, err));
done:
  return status;
}

/* ---- opening ---- */

/* One tower; with a tuning both. */
static medley_status clip_open_as(const char *path, const encoder_kind *kind, weight_precision precision,
                                  weights_tuning *tuning, encoder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  model_architecture a;
  clip_encoder *e = NULL;
  *out = NULL;
  TRY_NEW(e, 1, "an encoder");
  e->kind = kind;
  TRY(checkpoint_open(&e->file, path, err));
  TRY(architecture_recognise(&e->file, &a, err));
  e->family = family_find(&a);
  if (e->family == NULL)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: holds a network of the family '%s', not clip, chinese_clip or siglip", path,
         a.kind->name);
  if (strcmp(e->family->layout, "openclip") == 0) TRY(open_clip_config_load(&e->said, &e->file, err));
  e->weights = (weights){.from = &e->file, .precision = precision, .tuning = tuning};
  memcpy(e->weights.prefix, a.prefix, sizeof a.prefix);
  if (kind->modality == MODALITY_IMAGE || tuning != NULL) TRY(image_open(e, &a, err));
  if (kind->modality == MODALITY_TEXT || tuning != NULL) TRY(text_open(e, &a, err));
  *out = (encoder *)e;
  e = NULL;
done:
  clip_free((encoder *)e);
  return status;
}

/* ---- pictures ---- */

static size_t clip_image_dim(const encoder *e) { return vision_dim(&((const clip_encoder *)e)->image); }

static void clip_image_wish(const encoder *e, media_request *request) {
  vision_wish(&((const clip_encoder *)e)->preparation, request);
}

static medley_status clip_image_encode(const encoder *encoder, const encoder_input *inputs, size_t count, float *out,
                                       medley_error *err) {
  const clip_encoder *e = (const clip_encoder *)encoder;
  return vision_encode(&e->image, &e->preparation, true, inputs, count, out, err);
}

static medley_status clip_image_check(const encoder *encoder, const safetensors *golden, golden_report *report,
                                      medley_error *err) {
  return vision_check(&((const clip_encoder *)encoder)->image, true, "image_embeds", golden, report, err);
}

/* ---- texts ---- */

static size_t clip_text_dim(const encoder *e) { return ((const clip_encoder *)e)->text.sizes.embedding; }

/* A BERT's first row of each sample. */
static tensor *bert_rows(tape *t, const clip_encoder *e, const text_batch *batch) {
  return op_linear(t, text_batch_ends(t, bert_forward(t, &e->bert, batch), batch, false), e->bert_projection, NULL);
}

static tensor *text_vectors(tape *t, const void *network, const text_batch *batch) {
  const clip_encoder *e = network;
  return e->family->bert ? bert_rows(t, e, batch) : clip_text_forward(t, &e->text, batch);
}

static void clip_text_run(tape *t, const void *network, const text_batch *batch, float *out) {
  const tensor *y = text_vectors(t, network, batch);
  if (y == NULL) return;
  memcpy(out, real_data(y), y->count * sizeof *out);
  for (size_t s = 0; s < batch->samples; s++) vector_normalise(out + s * y->shape[1], y->shape[1]);
}

static text_batcher batcher_of(const clip_encoder *e) {
  bool padded = strcmp(e->family->architecture, "siglip") == 0;
  size_t most = e->text.sizes.positions;
  return (text_batcher){.tokenizer = e->tokenizer,
                        .options = {.tokens_max = most, .pad_to = padded ? most : 0, .literal_special = true},
                        .run = clip_text_run,
                        .network = e,
                        .dim = e->text.sizes.embedding};
}

static medley_status clip_text_encode(const encoder *encoder, const encoder_input *inputs, size_t count, float *out,
                                      medley_error *err) {
  text_batcher batcher = batcher_of((const clip_encoder *)encoder);
  return text_batches_encode(&batcher, inputs, count, out, err);
}

static medley_status clip_text_check(const encoder *encoder, const safetensors *golden, golden_report *report,
                                     medley_error *err) {
  medley_status status = MEDLEY_OK;
  const clip_encoder *e = (const clip_encoder *)encoder;
  const clip_text_sizes *s = &e->text.sizes;
  text_golden g = {0};
  tape *t = tape_create(0);
  if (t == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a tape");
  tape_set_training(t, false);
  TRY(text_golden_load(&g, golden, s->vocabulary, s->positions, err));
  TRY(text_golden_vectors(&g, t, clip_text_run, e, s->embedding, "text_embeds", report, err));
done:
  tape_free(t);
  text_golden_deinit(&g);
  return status;
}

/* ---- learning on ---- */

static medley_status clip_tune(const char *path, const encoder_tuning *how, const encoder_input *inputs, size_t count,
                               progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  weights_tuning tuning = {0};
  encoder *encoder = NULL;
  TRY(weights_tuning_init(&tuning, how->choice, err));
  TRY(clip_open_as(path, &encoder_clip_image, WEIGHT_F32, &tuning, &encoder, err));
  clip_encoder *e = (clip_encoder *)encoder;
  if (vision_dim(&e->image) != e->text.sizes.embedding)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: pictures become %zu numbers, texts %zu: the towers have no space in common", path,
         vision_dim(&e->image), e->text.sizes.embedding);
  picture_tuner pictures = {e->preparation, vision_vectors, &e->image};
  text_tuner texts = {batcher_of(e), text_vectors, e};
  TRY(pair_tune(&pictures, &texts, &e->weights, how, inputs, count, progress, err));
done:
  clip_free(encoder);
  weights_tuning_deinit(&tuning);
  return status;
}

static const char *const outputs_image[] = {"image_embeds", "last_hidden_state", NULL};
static const char *const outputs_text[] = {"text_embeds", NULL};

#define CLIP_KIND(id, title, text, content, wishes, precision)                                                   \
  static medley_status id##_open(const char *path, encoder **out, medley_error *err) {                           \
    return clip_open_as(path, &encoder_##id, precision, NULL, out, err);                                         \
  }                                                                                                              \
  const encoder_kind encoder_##id = {.name = title,                                                              \
                                     .summary = text,                                                            \
                                     .modality = content,                                                        \
                                     .version = 1,                                                               \
                                     .needs_file = true,                                                         \
                                     .open = id##_open,                                                          \
                                     .wish = wishes,                                                             \
                                     .dim = content == MODALITY_IMAGE ? clip_image_dim : clip_text_dim,          \
                                     .encode = content == MODALITY_IMAGE ? clip_image_encode : clip_text_encode, \
                                     .outputs = content == MODALITY_IMAGE ? outputs_image : outputs_text,        \
                                     .check = content == MODALITY_IMAGE ? clip_image_check : clip_text_check,    \
                                     .tune = clip_tune,                                                          \
                                     .tunes_pairs = true,                                                        \
                                     .free = clip_free};
#define CLIP_KINDS(id, title, images, texts, precision)                            \
  CLIP_KIND(id##_image, title, images, MODALITY_IMAGE, clip_image_wish, precision) \
  CLIP_KIND(id##_text, title, texts, MODALITY_TEXT, NULL, precision)

CLIP_KINDS(clip, "clip", "pictures by a published CLIP, OpenCLIP, Chinese-CLIP or SigLIP, in one space with text",
           "text by a published CLIP, OpenCLIP, Chinese-CLIP or SigLIP, in one space with pictures", WEIGHT_F32)
CLIP_KINDS(clip_bf16, "clip_bf16", "the same with bf16 weights", "the same with bf16 weights", WEIGHT_BF16)
CLIP_KINDS(clip_int8, "clip_int8", "the same with int8 weights", "the same with int8 weights", WEIGHT_INT8)
