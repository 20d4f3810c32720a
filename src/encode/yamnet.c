/* encode/yamnet.c: a sound → the 1024 means of YAMNet's last map (Plakal & Ellis 2019: MobileNetV1 over patches of
 * log-mel, trained on AudioSet), mean over its patches. The network runs in nn/separable.h; here are its plan, the
 * front end, and the check.
 *
 * The front end is the original's: 16 kHz; windows of 25 ms every 10 ms; magnitudes (not power) through 64 mel bands,
 * which the checkpoint brings along; log(mel + 0.001). A patch is 96 frames (0.96 s), a new one begins every 48. A
 * sound is filled up with silence to whole patches, at least one.
 */
#include "encode/yamnet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "encode/rows.h"
#include "encode/separable_tuning.h"
#include "encode/sound_tuning.h"
#include "math/linear.h"
#include "math/vector.h"
#include "media/sound.h"
#include "nn/architecture.h"
#include "nn/weights_tuning.h"

enum {
  RATE_HZ = 16000,
  WINDOW = 400,
  HOP = 160,
  TRANSFORM = 512,
  BINS = TRANSFORM / 2 + 1,
  BANDS = 64,
  FRAMES = 96,
  FRAMES_HOP = 48,
  FIRST_SAMPLES = WINDOW + (FRAMES - 1) * HOP, /* what one patch looks at */
  PATCH_HOP = FRAMES_HOP * HOP
};
#define LOG_OFFSET 0.001f

typedef struct yamnet {
  encoder base;
  separable *net;
  size_t dim, classes;
  float *mel; /* [BANDS, BINS] */
} yamnet;

/* ---- the network ---- */

/* Of each layer's window; the first one's 1 × 1 is the stem. */
static const size_t strides[] = {1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1};

medley_status yamnet_plan_make(const checkpoint *c, weight_precision precision, separable_plan *plan,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  *plan = (separable_plan){.height = FRAMES,
                           .width = BANDS,
                           .channels = 1,
                           .ceiling = INFINITY,
                           .layer_count = sizeof strides / sizeof *strides,
                           .stage_count = sizeof strides / sizeof *strides,
                           .classifier = {.name = "classifier"},
                           .precision = precision};
  for (size_t i = 0; i < plan->layer_count; i++) {
    separable_layer *l = &plan->layers[i];
    if (i == 0) snprintf(l->expand.name, SEPARABLE_NAME_MAX, "layer1.conv");
    snprintf(l->window.name, SEPARABLE_NAME_MAX, "layer%zu.depthwise", i + 2);
    snprintf(l->project.name, SEPARABLE_NAME_MAX, "layer%zu.pointwise", i + 2);
    l->stage = i;
    l->stride = strides[i];
    TRY(separable_outputs(c, plan, l->window.name, &l->middle, err));
    TRY(separable_outputs(c, plan, l->project.name, &l->out, err));
    plan->dim = l->out;
  }
  TRY(separable_outputs(c, &(separable_plan){0}, "classifier", &plan->classes, err));
done:
  return status;
}

static void yamnet_free(encoder *e) {
  yamnet *y = (yamnet *)e;
  if (y == NULL) return;
  separable_free(y->net);
  mem_free(y->mel);
  mem_free(y);
}

static medley_status open_kind(const encoder_kind *kind, weight_precision precision, const char *path, encoder **out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  checkpoint c = {0};
  separable_plan plan;
  *out = NULL;
  yamnet *y = mem_zalloc(1, sizeof *y);
  if (y == NULL) return error_memory(err, "an encoder");
  y->base.kind = kind;
  TRY(checkpoint_open(&c, path, err));
  TRY(architecture_need(&c, "yamnet", err));
  TRY(yamnet_plan_make(&c, precision, &plan, err));
  TRY(separable_create(&c, &plan, &y->net, err));
  y->dim = plan.dim, y->classes = plan.classes;
  TRY(checkpoint_copy_f32(&c, "mel.weight", 2, (uint64_t[]){BANDS, BINS}, &y->mel, err));
  *out = &y->base;
done:
  checkpoint_close(&c);
  if (status != MEDLEY_OK) yamnet_free(&y->base);
  return status;
}

/* ---- the front end ---- */

static size_t patch_count(size_t samples) {
  return samples <= FIRST_SAMPLES ? 1 : 1 + (samples - FIRST_SAMPLES + PATCH_HOP - 1) / PATCH_HOP;
}

/* s at 16 kHz, filled up with silence to whole patches. Samples that are no number are silence: one of them would make
 * the whole vector none. */
static medley_status filled_up(const sound *s, sound *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sound even = {0};
  *out = (sound){0};
  if (s->rate_hz != RATE_HZ) {
    TRY(sound_resample(s, RATE_HZ, &even, err));
    s = &even;
  }
  out->rate_hz = RATE_HZ;
  out->count = FIRST_SAMPLES + (patch_count(s->count) - 1) * PATCH_HOP;
  TRY_NEW(out->samples, out->count, "a sound");
  for (size_t i = 0; i < s->count && i < out->count; i++) out->samples[i] = isfinite(s->samples[i]) ? s->samples[i] : 0;
done:
  sound_deinit(&even);
  return status;
}

/* s filled up → *out [frames, BANDS] (mem_free), frames = FRAMES + (patches - 1) * FRAMES_HOP. */
static medley_status log_mel(const yamnet *y, const sound *s, float **out, size_t *patches, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sound whole = {0};
  float *magnitudes = NULL;
  size_t frames;
  *out = NULL;
  TRY(filled_up(s, &whole, err));
  TRY(sound_magnitudes(&whole, WINDOW, TRANSFORM, HOP, &magnitudes, &frames, err));
  TRY_NEW(*out, frames * BANDS, "a spectrum");
  matrix_multiply_rows(frames, BANDS, BINS, magnitudes, y->mel, BINS, *out);
  for (size_t i = 0; i < frames * BANDS; i++) (*out)[i] = logf((*out)[i] + LOG_OFFSET);
  *patches = patch_count(whole.count);
done:
  sound_deinit(&whole);
  mem_free(magnitudes);
  return status;
}

/* context: [.., BANDS]; patch `index` begins index * FRAMES_HOP frames in. */
static medley_status fill_patch(void *context, size_t index, float *to, size_t row_step, medley_error *err) {
  (void)err;
  const float *from = (const float *)context + index * FRAMES_HOP * BANDS;
  for (size_t f = 0; f < FRAMES; f++) memcpy(to + f * row_step, from + f * BANDS, BANDS * sizeof *to);
  return MEDLEY_OK;
}

/* ---- encoding ---- */

/* *out [patches, dim] (mem_free) */
static medley_status embed_patches(const yamnet *y, const sound *s, float **out, size_t *patches, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *mel = NULL;
  *out = NULL;
  TRY(log_mel(y, s, &mel, patches, err));
  TRY_NEW(*out, *patches * y->dim, "embeddings");
  TRY(separable_embed(y->net, fill_patch, mel, *patches, *out, err));
done:
  mem_free(mel);
  return status;
}

/* rows [count, width] → mean [width] */
static void mean_rows(const float *rows, size_t count, size_t width, float *mean) {
  memset(mean, 0, width * sizeof *mean);
  for (size_t i = 0; i < count; i++) vector_add_scaled(mean, 1 / (float)count, rows + i * width, width);
}

typedef struct encode_job {
  const yamnet *net;
  const encoder_input *inputs;
  float *out;
} encode_job;

static medley_status encode_row(void *context, void *scratch, size_t row, medley_error *err) {
  (void)scratch;
  const encode_job *j = context;
  float *embedding;
  size_t patches;
  medley_status status = embed_patches(j->net, j->inputs[row].sound, &embedding, &patches, err);
  if (status == MEDLEY_OK) mean_rows(embedding, patches, j->net->dim, j->out + row * j->net->dim);
  mem_free(embedding);
  return status;
}

static medley_status yamnet_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                   medley_error *err) {
  encode_job job = {(const yamnet *)e, inputs, out};
  if (count == 1) return encode_row(&job, NULL, 0, err); /* its patches go to threads */
  return rows_run(&(row_work){&job, NULL, NULL, encode_row}, count, err);
}

static void sigmoid(float *x, size_t count) {
  for (size_t i = 0; i < count; i++) x[i] = 1 / (1 + expf(-x[i]));
}

medley_status yamnet_classify(const encoder *e, const sound *s, float *scores, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const yamnet *y = (const yamnet *)e;
  float *embedding = NULL, *each = NULL;
  size_t patches;
  if (y->classes != YAMNET_CLASSES)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "this network tells %zu classes apart, not the %d of AudioSet", y->classes,
         YAMNET_CLASSES);
  TRY(embed_patches(y, s, &embedding, &patches, err));
  TRY_NEW(each, patches * y->classes, "scores");
  TRY(separable_classify(y->net, embedding, patches, each, err));
  sigmoid(each, patches * y->classes);
  mean_rows(each, patches, y->classes, scores);
done:
  mem_free(embedding);
  mem_free(each);
  return status;
}

/* ---- learning on ---- */

typedef struct yamnet_learner {
  encoder *heard; /* the published one, for its front end */
  separable_learner network;
} yamnet_learner;

/* A view is one patch. */
static medley_status learner_hear(const void *context, const sound *view, float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const yamnet_learner *l = context;
  float *mel = NULL;
  size_t patches;
  TRY(log_mel((const yamnet *)l->heard, view, &mel, &patches, err));
  memcpy(out, mel, FRAMES * BANDS * sizeof *out);
done:
  mem_free(mel);
  return status;
}

static tensor *learner_vectors(tape *t, const void *context, const float *features, const size_t *samples,
                               size_t count) {
  (void)samples;
  const yamnet_learner *l = context;
  return separable_learner_forward(t, &l->network, conv_input(t, features, count, 1, FRAMES, BANDS));
}

static medley_status yamnet_tune(const char *path, const encoder_tuning *how, const encoder_input *inputs, size_t count,
                                 progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  checkpoint c = {0};
  weights_tuning tuning = {0};
  separable_plan plan;
  yamnet_learner l = {0};
  weights w = {.from = &c, .tuning = &tuning};
  TRY(weights_tuning_init(&tuning, how->choice, err));
  TRY(conv_tuning_check(&tuning, path, err));
  TRY(open_kind(&encoder_yamnet, WEIGHT_F32, path, &l.heard, err));
  TRY(checkpoint_open(&c, path, err));
  TRY(yamnet_plan_make(&c, WEIGHT_F32, &plan, err));
  separable_learner_init(&l.network, &w, &plan);
  sound_tuner tuner = {.window = FIRST_SAMPLES,
                       .frames = FRAMES,
                       .bands = BANDS,
                       .context = &l,
                       .hear = learner_hear,
                       .vectors = learner_vectors};
  TRY(sound_tune(&tuner, &w, how, inputs, count, progress, err));
done:
  weights_deinit(&w);
  weights_tuning_deinit(&tuning);
  checkpoint_close(&c);
  if (l.heard != NULL) yamnet_free(l.heard);
  return status;
}

/* ---- the check ---- */

/* Each clip of the file is as long as one patch. out: log_mel [clips, FRAMES, BANDS]. */
static medley_status check_front_end(const yamnet *y, const float *waveform, size_t clips, float *out,
                                     medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *mel = NULL;
  size_t patches;
  for (size_t i = 0; i < clips; i++) {
    sound clip = {RATE_HZ, FIRST_SAMPLES, (float *)(uintptr_t)waveform + i * FIRST_SAMPLES};
    TRY(log_mel(y, &clip, &mel, &patches, err));
    memcpy(out + i * FRAMES * BANDS, mel, FRAMES * BANDS * sizeof *mel);
    mem_free(mel);
    mel = NULL;
  }
done:
  mem_free(mel);
  return status;
}

static medley_status fill_clip(void *context, size_t index, float *to, size_t row_step, medley_error *err) {
  return fill_patch((float *)context + index * FRAMES * BANDS, 0, to, row_step, err);
}

static medley_status yamnet_check(const encoder *e, const safetensors *golden, golden_report *report,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  const yamnet *y = (const yamnet *)e;
  float *waveform = NULL, *mel = NULL, *embedding = NULL, *scores = NULL;
  uint64_t found[2];
  TRY(golden_read(golden, "waveform", 2, (uint64_t[]){0, FIRST_SAMPLES}, &waveform, found, err));
  size_t clips = found[0];
  TRY_NEW(mel, clips * FRAMES * BANDS, "spectra");
  TRY_NEW(embedding, clips * y->dim, "embeddings");
  TRY_NEW(scores, clips * y->classes, "scores");
  TRY(check_front_end(y, waveform, clips, mel, err));
  TRY(separable_embed(y->net, fill_clip, mel, clips, embedding, err));
  TRY(separable_classify(y->net, embedding, clips, scores, err));
  sigmoid(scores, clips * y->classes);
  TRY(golden_compare(report, golden, "log_mel", mel, clips * FRAMES * BANDS, err));
  TRY(golden_compare(report, golden, "embedding", embedding, clips * y->dim, err));
  TRY(golden_compare(report, golden, "scores", scores, clips * y->classes, err));
done:
  mem_free(waveform);
  mem_free(mel);
  mem_free(embedding);
  mem_free(scores);
  return status;
}

static size_t yamnet_dim(const encoder *e) { return ((const yamnet *)e)->dim; }

static void yamnet_wish(const encoder *e, media_request *request) {
  (void)e;
  request->sound_rate_hz = RATE_HZ;
}

#define YAMNET_KIND(id, text, precision) \
  ENCODER_OF_FILE(id, yamnet, MODALITY_AUDIO, text, yamnet_wish, open_kind(&encoder_##id, precision, path, out, err))

YAMNET_KIND(yamnet, "YAMNet, pretrained on AudioSet: what is in the sound", WEIGHT_F32)
YAMNET_KIND(yamnet_bf16, "the same with bf16 weights", WEIGHT_BF16)
YAMNET_KIND(yamnet_int8, "the same in int8 where the processor is fast at it (AVX-512 VNNI)", WEIGHT_INT8)
