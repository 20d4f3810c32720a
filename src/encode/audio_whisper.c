/* encode/audio_whisper.c: the `whisper` encoder: the encoder half of a published Whisper (Radford et al. 2022). The
 * first half minute of the sound goes in, filled up with silence as in training; the vector is the mean over what is
 * sound. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "encode/batches.h"
#include "encode/block_weights.h"
#include "encode/sound_tuning.h"
#include "encode/whisper_features.h"
#include "math/vector.h"
#include "media/sound.h"
#include "nn/weights_tuning.h"

typedef struct whisper_encoder {
  const encoder_kind *kind;
  checkpoint file;
  weights weights;
  whisper_ear ear;
  size_t width, mels, positions;
  const activation_kind *activation;
  tensor *conv_weight[2], *conv_bias[2]; /* [width, mels, 3], [width, width, 3] */
  tensor *places;                        /* [positions, width] */
  layer_transformer *blocks;
  size_t layers;
  tensor *norm_weight, *norm_bias;
} whisper_encoder;

#define EPSILON 1e-5
#define SAMPLES_PER_POSITION (2 * WHISPER_HOP)
#define VIEW_S 5            /* of a view that the network learns from */
#define SILENT_POSITIONS 50 /* a second behind it */
enum { POSITIONS_MAX = 6000, MELS_MAX = 256, WIDTH_MAX = 16384 };

static void whisper_free(encoder *encoder) {
  whisper_encoder *e = (whisper_encoder *)encoder;
  if (e == NULL) return;
  whisper_ear_deinit(&e->ear);
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
  weights_before_layers(w);
  for (int i = 0; i < 2; i++) {
    size_t shape[] = {e->width, i ? e->width : e->mels, 3};
    e->conv_weight[i] = weights_get(w, 3, shape, "encoder.conv%d.weight", i + 1);
    e->conv_bias[i] = weights_vector(w, e->width, "encoder.conv%d.bias", i + 1);
  }
  e->places = weights_constant(w, e->positions * e->width, "encoder.embed_positions.weight"); /* sines: none learns */
  e->blocks = blocks_take(w, &block_names_whisper, o, "encoder.layers.", e->layers);
  norm_take(w, "encoder.layer_norm", e->width, &e->norm_weight, &e->norm_bias);
}

static medley_status whisper_open_as(const char *path, const encoder_kind *kind, weight_precision precision,
                                     weights_tuning *tuning, encoder **out, medley_error *err) {
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
  e->weights = (weights){.from = &e->file, .precision = precision, .tuning = tuning};
  memcpy(e->weights.prefix, a.prefix, sizeof a.prefix);
  tensors_take(e, &options);
  TRY(weights_status(&e->weights, err));
  TRY(whisper_ear_init(&e->ear, e->mels, err));
  *out = (encoder *)e;
  e = NULL;
done:
  whisper_free((encoder *)e);
  return status;
}

/* ---- forward ---- */

/* features [count, mels, 2 positions] → [count, positions, width]; at most the network's positions. */
static tensor *whisper_forward(tape *t, const whisper_encoder *e, const float *features, size_t count,
                               size_t positions) {
  size_t mark = tape_mark(t);
  tensor *x = tape_input(t, 3, (size_t[]){count, e->mels, 2 * positions}, features);
  for (int i = 0; i < 2; i++) {
    conv_options o = {.stride = {(size_t)i + 1}, .pad = {1}};
    x = op_conv1d(t, x, e->conv_weight[i], e->conv_bias[i], &o);
    x = x != NULL ? e->activation->run(t, x) : NULL;
  }
  x = x != NULL ? op_permute(t, x, (const int[]){0, 2, 1}) : NULL;
  x = op_add(t, x, tape_input(t, 2, (size_t[]){positions, e->width}, real_data(e->places)));
  for (size_t i = 0; i < e->layers; i++) {
    x = layer_transformer_forward(t, &e->blocks[i], x, NULL, NULL, NULL);
    tape_release(t, mark, x);
  }
  return op_layer_norm(t, x, e->norm_weight, e->norm_bias, EPSILON);
}

/* How many positions have sound; one at least. */
static size_t positions_known(const whisper_encoder *e, size_t samples) {
  size_t count = (samples + SAMPLES_PER_POSITION - 1) / SAMPLES_PER_POSITION;
  return count < 1 ? 1 : count > e->positions ? e->positions : count;
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
  size_t count = positions_known(e, samples);
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
    TRY(whisper_features(&r->e->ear, s->samples, s->count, 2 * r->e->positions, &features, err));
    const tensor *y = whisper_forward(t, r->e, features, 1, r->e->positions);
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

/* ---- learning on ---- */

typedef struct whisper_learner {
  const whisper_encoder *e;
  size_t positions; /* that a view is heard in */
} whisper_learner;

static medley_status learner_hear(const void *context, const sound *view, float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const whisper_learner *l = context;
  float *features = NULL;
  TRY(whisper_features(&l->e->ear, view->samples, view->count, 2 * l->positions, &features, err));
  memcpy(out, features, l->e->mels * 2 * l->positions * sizeof *out);
done:
  mem_free(features);
  return status;
}

/* The mean over positions that have sound, as a product with a row of shares for each view. */
static tensor *learner_vectors(tape *t, const void *context, const float *features, const size_t *samples,
                               size_t count) {
  const whisper_learner *l = context;
  tensor *rows = whisper_forward(t, l->e, features, count, l->positions);
  tensor *shares = tape_empty(t, 3, (size_t[]){count, 1, l->positions});
  for (size_t i = 0; shares != NULL && i < count; i++) {
    size_t known = positions_known(l->e, samples[i]);
    for (size_t p = 0; p < l->positions; p++) real_data(shares)[i * l->positions + p] = p < known ? 1 / (real)known : 0;
  }
  tensor *mean = rows != NULL ? op_matmul(t, shares, rows) : NULL;
  return mean != NULL ? op_reshape(t, mean, 2, (size_t[]){count, l->e->width}) : NULL;
}

/* Samples of the longest sound, at our rate. */
static size_t longest_of(const encoder_input *inputs, size_t count) {
  double most = 0;
  for (size_t i = 0; i < count; i++)
    most = fmax(most, (double)inputs[i].sound->count * WHISPER_RATE_HZ / inputs[i].sound->rate_hz);
  return (size_t)ceil(most);
}

/* Views are heard in a part of the half minute, as long as the longest sound of the catalogue but at most VIEW_S, and
 * in some silence behind it: a step in all of the half minute takes five times as long. */
static sound_tuner learner_of(whisper_learner *l, const encoder_input *inputs, size_t count) {
  size_t window = longest_of(inputs, count), most = VIEW_S * WHISPER_RATE_HZ;
  if (window > most) window = most;
  l->positions = window / SAMPLES_PER_POSITION + SILENT_POSITIONS;
  if (l->positions > l->e->positions) l->positions = l->e->positions;
  if (window > l->positions * SAMPLES_PER_POSITION) window = l->positions * SAMPLES_PER_POSITION;
  return (sound_tuner){.window = window,
                       .frames = 2 * l->positions,
                       .bands = l->e->mels,
                       .bands_first = true,
                       .context = l,
                       .hear = learner_hear,
                       .vectors = learner_vectors};
}

static medley_status whisper_tune(const char *path, const encoder_tuning *how, const encoder_input *inputs,
                                  size_t count, progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  weights_tuning tuning = {0};
  encoder *opened = NULL;
  TRY(weights_tuning_init(&tuning, how->choice, err));
  TRY(whisper_open_as(path, &encoder_whisper, WEIGHT_F32, &tuning, &opened, err));
  whisper_encoder *e = (whisper_encoder *)opened;
  whisper_learner l = {.e = e};
  sound_tuner tuner = learner_of(&l, inputs, count);
  TRY(sound_tune(&tuner, &e->weights, how, inputs, count, progress, err));
done:
  whisper_free(opened);
  weights_tuning_deinit(&tuning);
  return status;
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
  TRY(whisper_features(&e->ear, wave, (size_t)count, 2 * e->positions, &features, err));
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
  const tensor *y = whisper_forward(t, e, features, 1, e->positions);
  TRY(tape_status(t, err));
  TRY(golden_compare(report, golden, "last_hidden_state", real_data(y), y->count, err));
  TRY(features_check(e, golden, report, err));
done:
  tape_free(t);
  mem_free(features);
  return status;
}

#define WHISPER_KIND(id, text, precision)                          \
  ENCODER_OF_FILE(id, whisper, MODALITY_AUDIO, text, whisper_wish, \
                  whisper_open_as(path, &encoder_##id, precision, NULL, out, err))

WHISPER_KIND(whisper, "speech and sound by the encoder of a published Whisper, the first half minute", WEIGHT_F32)
WHISPER_KIND(whisper_bf16, "the same with bf16 weights", WEIGHT_BF16)
WHISPER_KIND(whisper_int8, "the same with int8 weights", WEIGHT_INT8)
