/* encode/audio_whisper.c: the `whisper` encoder: the encoder half of a published Whisper (Radford et al. 2022). The
 * first half minute of the sound goes in, filled up with silence as in training; the vector is the mean over what is
 * sound. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "encode/batches.h"
#include "encode/block_weights.h"
#include "encode/encoder.h"
#include "encode/whisper_features.h"
#include "math/vector.h"
#include "media/sound.h"

typedef struct whisper_encoder {
  const encoder_kind *kind;
  checkpoint file;
  weights weights;
  size_t width, mels, positions;
  const activation_kind *activation;
  tensor *conv_weight[2], *conv_bias[2]; /* [width, mels, 3], [width, width, 3] */
  const float *places;                   /* [positions, width] */
  layer_transformer *blocks;
  size_t layers;
  tensor *norm_weight, *norm_bias;
} whisper_encoder;

#define EPSILON 1e-5
#define SAMPLES_PER_POSITION (2 * WHISPER_HOP)
enum { POSITIONS_MAX = 6000, MELS_MAX = 256, WIDTH_MAX = 16384 };

static void whisper_free(encoder *encoder) {
  whisper_encoder *e = (whisper_encoder *)encoder;
  if (e == NULL) return;
  weights_deinit(&e->weights);
  checkpoint_close(&e->file);
  mem_free(e);
}

/* ---- opening ---- */

static medley_status sizes_read(whisper_encoder *e, const model_architecture *a, transformer_options *o,
                                medley_error *err) {
  const char *activation = json_member_string(e->file.config, "activation_function", "gelu");
  e->width = (size_t)architecture_dimension_get(a, "width", 0);
  e->mels = (size_t)architecture_dimension_get(a, "mels", 0);
  e->positions = (size_t)architecture_dimension_get(a, "positions", 0);
  e->layers = (size_t)architecture_dimension_get(a, "layers", 0);
  e->activation = activation_find(activation);
  *o = (transformer_options){.width = e->width,
                             .heads = (size_t)architecture_dimension_get(a, "heads", (int64_t)(e->width / 64)),
                             .feed_forward = (size_t)architecture_dimension_get(a, "feed_forward", 0),
                             .norm_first = true,
                             .activation = e->activation,
                             .epsilon = EPSILON};
  if (e->activation == NULL)
    return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: config.json: activation_function '%.40s' is not known",
                     e->file.path, activation);
  if (e->width == 0 || e->layers == 0 || o->heads == 0 || o->feed_forward == 0 || e->positions == 0 || e->mels == 0 ||
      e->width > WIDTH_MAX || e->positions > POSITIONS_MAX || e->mels > MELS_MAX || e->width % o->heads != 0)
    return error_set(
        err, MEDLEY_ERR_INPUT,
        "%s: width %zu, %zu layers, %zu heads, feed-forward %zu, %zu positions, %zu mel bands do not make a network",
        e->file.path, e->width, e->layers, o->heads, o->feed_forward, e->positions, e->mels);
  return MEDLEY_OK;
}

static void tensors_take(whisper_encoder *e, const transformer_options *o) {
  weights *w = &e->weights;
  for (int i = 0; i < 2; i++) {
    size_t shape[] = {e->width, i ? e->width : e->mels, 3};
    e->conv_weight[i] = weights_get(w, 3, shape, "encoder.conv%d.weight", i + 1);
    e->conv_bias[i] = weights_vector(w, e->width, "encoder.conv%d.bias", i + 1);
  }
  const tensor *places = weights_numbers(w, e->positions * e->width, "encoder.embed_positions.weight");
  e->places = places != NULL ? places->data : NULL;
  e->blocks = blocks_take(w, &block_names_whisper, o, "encoder.layers.", e->layers);
  norm_take(w, "encoder.layer_norm", e->width, &e->norm_weight, &e->norm_bias);
}

static medley_status whisper_open_as(const char *path, const encoder_kind *kind, weight_precision precision,
                                     encoder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  model_architecture a;
  transformer_options options;
  whisper_encoder *e = NULL;
  *out = NULL;
  TRY_NEW(e, 1, "an encoder");
  e->kind = kind;
  TRY(checkpoint_open(&e->file, path, err));
  TRY(architecture_recognise(&e->file, &a, err));
  if (strcmp(a.kind->name, "whisper") != 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: holds a network of the family '%s', not whisper", path, a.kind->name);
  TRY(sizes_read(e, &a, &options, err));
  e->weights = (weights){.from = &e->file, .precision = precision};
  memcpy(e->weights.prefix, a.prefix, sizeof a.prefix);
  tensors_take(e, &options);
  TRY(weights_status(&e->weights, err));
  *out = (encoder *)e;
  e = NULL;
done:
  whisper_free((encoder *)e);
  return status;
}

/* ---- forward ---- */

/* features [mels, 2 positions] → [1, positions, width] */
static tensor *whisper_forward(tape *t, const whisper_encoder *e, const float *features) {
  size_t mark = tape_mark(t), shape[] = {e->positions, e->width};
  tensor *x = tape_input(t, 3, (size_t[]){1, e->mels, 2 * e->positions}, features);
  for (int i = 0; i < 2; i++) {
    conv_options o = {.stride = {(size_t)i + 1}, .pad = {1}};
    x = op_conv1d(t, x, e->conv_weight[i], e->conv_bias[i], &o);
    x = x != NULL ? e->activation->run(t, x) : NULL;
  }
  x = x != NULL ? op_permute(t, x, (const int[]){0, 2, 1}) : NULL;
  x = op_add(t, x, tape_input(t, 2, shape, e->places));
  for (size_t i = 0; i < e->layers; i++) {
    x = layer_transformer_forward(t, &e->blocks[i], x, NULL, NULL, NULL);
    tape_release(t, mark, x);
  }
  return op_layer_norm(t, x, e->norm_weight, e->norm_bias, EPSILON);
}

static size_t whisper_dim(const encoder *e) { return ((const whisper_encoder *)e)->width; }

static void whisper_wish(const encoder *e, media_request *request) {
  (void)e;
  request->sound_rate_hz = WHISPER_RATE_HZ;
}

typedef struct whisper_run {
  const whisper_encoder *e;
  const encoder_input *inputs;
  float *out;
} whisper_run;

/* The mean over positions that have sound. */
static void mean_write(const whisper_encoder *e, const float *rows, size_t samples, float *out) {
  size_t count = (samples + SAMPLES_PER_POSITION - 1) / SAMPLES_PER_POSITION;
  count = count < 1 ? 1 : count > e->positions ? e->positions : count;
  memset(out, 0, e->width * sizeof *out);
  for (size_t r = 0; r < count; r++) vector_add_scaled(out, 1 / (float)count, rows + r * e->width, e->width);
}

static medley_status whisper_batch(void *context, tape *t, size_t from, size_t to, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const whisper_run *r = context;
  sound resampled = {0};
  float *features = NULL;
  for (size_t i = from; i < to; i++) {
    const sound *s = r->inputs[i].sound;
    if (s->rate_hz != WHISPER_RATE_HZ) {
      TRY(sound_resample(s, WHISPER_RATE_HZ, &resampled, err));
      s = &resampled;
    }
    TRY(whisper_features(s->samples, s->count, r->e->mels, 2 * r->e->positions, &features, err));
    const tensor *y = whisper_forward(t, r->e, features);
    TRY(tape_status(t, err));
    mean_write(r->e, real_data(y), s->count, r->out + i * r->e->width);
    mem_free(features);
    features = NULL;
    sound_deinit(&resampled);
  }
done:
  mem_free(features);
  sound_deinit(&resampled);
  return status;
}

static medley_status whisper_encode(const encoder *encoder, const encoder_input *inputs, size_t count, float *out,
                                    medley_error *err) {
  return batches_run(count, 1, whisper_batch, &(whisper_run){(const whisper_encoder *)encoder, inputs, out}, err);
}

/* ---- checking ---- */

/* waveform [samples] → input_features, when the file has it. */
static medley_status features_check(const whisper_encoder *e, const safetensors *golden, golden_report *report,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *wave = NULL, *features = NULL;
  uint64_t count;
  if (safetensors_get(golden, "waveform") == NULL) return MEDLEY_OK;
  TRY(golden_read(golden, "waveform", 1, (uint64_t[]){0}, &wave, &count, err));
  TRY(whisper_features(wave, (size_t)count, e->mels, 2 * e->positions, &features, err));
  TRY(golden_compare(report, golden, "input_features", features, e->mels * 2 * e->positions, err));
done:
  mem_free(wave);
  mem_free(features);
  return status;
}

/* Golden files: input_features [1, mels, 2 positions], last_hidden_state [1, positions, width]; waveform, perhaps. */
static medley_status whisper_check(const encoder *encoder, const safetensors *golden, golden_report *report,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  const whisper_encoder *e = (const whisper_encoder *)encoder;
  float *features = NULL;
  tape *t = tape_create(0);
  if (t == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a tape");
  tape_set_training(t, false);
  TRY(golden_read(golden, "input_features", 3, (uint64_t[]){1, e->mels, 2 * e->positions}, &features, NULL, err));
  const tensor *y = whisper_forward(t, e, features);
  TRY(tape_status(t, err));
  TRY(golden_compare(report, golden, "last_hidden_state", real_data(y), y->count, err));
  TRY(features_check(e, golden, report, err));
done:
  tape_free(t);
  mem_free(features);
  return status;
}

#define WHISPER_KIND(id, title, text, precision)                                       \
  static medley_status id##_open(const char *path, encoder **out, medley_error *err) { \
    return whisper_open_as(path, &encoder_##id, precision, out, err);                  \
  }                                                                                    \
  const encoder_kind encoder_##id = {.name = title,                                    \
                                     .summary = text,                                  \
                                     .modality = MODALITY_AUDIO,                       \
                                     .version = 1,                                     \
                                     .needs_file = true,                               \
                                     .open = id##_open,                                \
                                     .wish = whisper_wish,                             \
                                     .dim = whisper_dim,                               \
                                     .encode = whisper_encode,                         \
                                     .check = whisper_check,                           \
                                     .free = whisper_free};

WHISPER_KIND(whisper, "whisper", "speech and sound by the encoder of a published Whisper, the first half minute",
             WEIGHT_F32)
WHISPER_KIND(whisper_bf16, "whisper_bf16", "the same with bf16 weights", WEIGHT_BF16)
WHISPER_KIND(whisper_int8, "whisper_int8", "the same with int8 weights", WEIGHT_INT8)
