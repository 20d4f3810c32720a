/* Fine-tuning of published networks: the network that learns says what the one that answers says; it learns a small set
 * by all of its weights, the last layers, a LoRA; what does not learn keeps its bits; what came out is kept, opened,
 * gone on with; and what does not fit is refused. */
#include "test.h"

#include <omp.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "encode/bert.h"
#include "encode/encoder.h"
#include "encode/kept_model.h"
#include "encode/mobilenet_plan.h"
#include "encode/resnet.h"
#include "encode/separable_tuning.h"
#include "encode/yamnet.h"
#include "math/vector.h"

enum { ITEMS = 12, SIDE = 20 };

static const char *golden_folder(char path[512], const char *folder) {
  const char *source = getenv("MEDLEY_SOURCE");
  snprintf(path, 512, "%s/tests/golden/transformers/%s", source ? source : ".", folder);
  return path;
}

/* A YAMNet of a sixteenth of the channels with random weights; made once. */
static char small_yamnet[256];

typedef struct small_file {
  safetensors_writer writer;
  rng draw;
  float *tensors[64];
  size_t count;
} small_file;

static void small_add(small_file *f, const char *name, double deviation, int rank, const uint64_t *shape) {
  medley_error error = {0};
  size_t count = 1;
  for (int d = 0; d < rank; d++) count *= (size_t)shape[d];
  float *x = f->tensors[f->count++] = mem_alloc(count, sizeof *x);
  for (size_t i = 0; i < count; i++) x[i] = (float)(deviation * rng_normal(&f->draw));
  assert_ok(safetensors_add(&f->writer, name, DTYPE_F32, rank, shape, x, &error));
}

static void small_conv(small_file *f, size_t layer, const char *part, size_t outs, size_t ins, size_t kernel) {
  char name[64];
  snprintf(name, sizeof name, "layer%zu.%s.weight", layer, part);
  small_add(f, name, sqrt(2.0 / (double)(ins * kernel * kernel)), 4, (uint64_t[]){outs, ins, kernel, kernel});
  snprintf(name, sizeof name, "layer%zu.%s.bias", layer, part);
  small_add(f, name, 0.1, 1, (uint64_t[]){outs});
}

/* Bands of neighbouring bins. */
static void small_mel(small_file *f) {
  small_add(f, "mel.weight", 0, 2, (uint64_t[]){64, 257});
  float *mel = f->tensors[f->count - 1];
  for (size_t b = 0; b < 64; b++)
    for (size_t k = 0; k < 4; k++) mel[b * 257 + b * 4 + k] = 0.25f;
}

static void yamnet_make(void) {
  static const size_t outs[] = {4, 8, 8, 16, 16, 32, 32, 32, 32, 32, 32, 64, 64};
  medley_error error = {0};
  small_file f = {0};
  char path[300];
  rng_seed(&f.draw, 7);
  small_mel(&f);
  small_conv(&f, 1, "conv", 4, 1, 3);
  for (size_t i = 0, in = 4; i < 13; in = outs[i++]) {
    small_conv(&f, i + 2, "depthwise", in, 1, 3);
    small_conv(&f, i + 2, "pointwise", outs[i], in, 1);
  }
  small_add(&f, "classifier.weight", 0.1, 2, (uint64_t[]){5, 64});
  small_add(&f, "classifier.bias", 0.1, 1, (uint64_t[]){5});
  test_folder(small_yamnet);
  snprintf(path, sizeof path, "%s/model.safetensors", small_yamnet);
  assert_ok(safetensors_save(&f.writer, path, &error));
  safetensors_writer_deinit(&f.writer);
  for (size_t i = 0; i < f.count; i++) mem_free(f.tensors[i]);
}

static void folder_drop(const char *path) {
  medley_error error = {0};
  assert_ok(folder_remove(path, &error));
}

/* ---- a small catalogue of words that the models' vocabularies have, pictures of a colour each, or tones ---- */

typedef struct small_set {
  encoder_input inputs[ITEMS];
  char texts[ITEMS][80];
  image pictures[ITEMS];
  sound sounds[ITEMS];
} small_set;

/* Two tones that come and go; every fifth sound at half the rate. */
static sound tones(int i) {
  sound s = {.rate_hz = i % 5 == 4 ? 8000 : 16000};
  s.count = s.rate_hz * (size_t)(6 + i % 4) / 10;
  s.samples = mem_alloc(s.count, sizeof *s.samples);
  for (size_t k = 0; k < s.count; k++) {
    double at = (double)k / s.rate_hz * 2 * M_PI;
    s.samples[k] =
        (float)(0.3 * sin(at * (200 + 130 * i)) + 0.2 * sin(at * (3000 - 150 * i)) * (1 + sin(at * (4 + i))) / 2);
  }
  return s;
}

static void set_fill(small_set *s, modality m) {
  static const char *const colours[] = {"red", "blue", "green"}, *const things[] = {"dress", "shoe", "shirt", "hat"},
                           *const places[] = {"sun", "sea", "sky", "walk"};
  memset(s, 0, sizeof *s);
  for (int i = 0; i < ITEMS; i++) {
    snprintf(s->texts[i], sizeof s->texts[i], "%s %s\nthe %s and a %s of %s", colours[i % 3], things[i / 3],
             places[(i * 7 + 1) % 4], things[(i + 1 + i / 4) % 4], colours[(i / 3 + i) % 3]);
    if (m == MODALITY_AUDIO) s->sounds[i] = tones(i), s->inputs[i].sound = &s->sounds[i];
    if (m == MODALITY_AUDIO) continue;
    s->pictures[i] = (image){SIDE, SIDE, mem_alloc(SIDE * SIDE * 3, 1)};
    for (int k = 0; k < SIDE * SIDE * 3; k++)
      s->pictures[i].rgb[k] = (uint8_t)(i * 20 * (k % 3 == i % 3) + (k / 3 / (4 + i)) % 2 * 80 + k % 3 * 30);
    s->inputs[i] = (encoder_input){.text = s->texts[i], .image = m == MODALITY_IMAGE ? &s->pictures[i] : NULL};
  }
}

static void set_deinit(small_set *s) {
  for (int i = 0; i < ITEMS; i++) {
    image_deinit(&s->pictures[i]);
    sound_deinit(&s->sounds[i]);
  }
}

/* ---- the same numbers from the network that learns ---- */

static const bert_sizes small_bert = {.width = 16,
                                      .layers = 2,
                                      .heads = 2,
                                      .feed_forward = 24,
                                      .positions = 24,
                                      .vocabulary = 40,
                                      .segments = 2,
                                      .epsilon = 1e-12};

/* last_hidden_state of some tokens, by a tape that trains when there is a tuning. */
static void hidden_state(const char *folder, const bert_sizes *sizes, weights_tuning *tuning, const text_batch *batch,
                         float *out) {
  medley_error error = {0};
  checkpoint file;
  bert network;
  bert_sizes s = *sizes;
  s.activation = activation_find("gelu");
  assert_ok(checkpoint_open(&file, folder, &error));
  weights w = {.from = &file, .tuning = tuning};
  bert_init(&network, &w, &s);
  assert_ok(weights_status(&w, &error));
  if (tuning != NULL) assert_ok(weights_tuning_seal(&w, 3, &error));
  tape *t = tape_create(1);
  tape_set_training(t, tuning != NULL);
  const tensor *x = bert_forward(t, &network, batch);
  assert_ok(tape_status(t, &error));
  assert_true(tuning == NULL || x->needs_gradient);
  memcpy(out, x->data, x->count * sizeof *out);
  tape_free(t);
  weights_deinit(&w);
  checkpoint_close(&file);
}

static void forward_agrees(const char *folder, const bert_sizes *sizes) {
  medley_error error = {0};
  static const tuning_choice choices[] = {{TUNING_ALL, 0}, {TUNING_LAST, 1}, {TUNING_LORA, 2}};
  enum { ROWS = 17 };
  int32_t ids[ROWS], starts[] = {0, 5, 6, ROWS};
  uint8_t segments[ROWS];
  float *one = mem_alloc(ROWS * sizes->width, sizeof *one), *other = mem_alloc(ROWS * sizes->width, sizeof *other);
  for (int i = 0; i < ROWS; i++) ids[i] = i * 7 % 40, segments[i] = i % 4 == 0;
  text_batch batch = {3, ROWS, ids, segments, starts};
  hidden_state(folder, sizes, NULL, &batch, one);
  for (size_t c = 0; c < 3; c++) {
    weights_tuning tuning;
    assert_ok(weights_tuning_init(&tuning, choices[c], &error));
    hidden_state(folder, sizes, &tuning, &batch, other);
    for (size_t i = 0; i < ROWS * sizes->width; i++) assert_near(other[i], one[i], 1e-4 * (fabs(one[i]) + 0.01));
    weights_tuning_deinit(&tuning);
  }
  mem_free(one), mem_free(other);
}

static void test_same_forward(void **state) {
  (void)state;
  char path[512];
  forward_agrees(golden_folder(path, "bert"), &small_bert);
  /* all-MiniLM-L6-v2, where it is there */
  const char *real = getenv("MEDLEY_MINILM");
  bert_sizes s = {384, 6, 12, 1536, 512, 30522, 2, 0, 1e-12, NULL, false};
  if (real != NULL) forward_agrees(real, &s);
}

/* What a network of convolutions says as it learns, beside the reference. */
static void picture_learner_agrees(const char *folder, const void *network,
                                   tensor *(*vectors)(tape *t, const void *network, const float *pixels,
                                                      size_t count)) {
  medley_error error = {0};
  safetensors golden;
  golden_report report = {0};
  char file[600];
  float *pixels = NULL;
  uint64_t shape[4];
  snprintf(file, sizeof file, "%s/golden.safetensors", folder);
  assert_ok(safetensors_open(&golden, file, &error));
  assert_ok(golden_read(&golden, "pixel_values", 4, (uint64_t[]){0, 3, 0, 0}, &pixels, shape, &error));
  tape *t = tape_create(1);
  const tensor *x = vectors(t, network, pixels, shape[0]);
  assert_ok(tape_status(t, &error));
  assert_true(x->needs_gradient);
  assert_ok(golden_compare(&report, &golden, "pooler_output", (const float *)x->data, x->count, &error));
  assert_true(report.outputs[0].difference < 1e-4);
  tape_free(t);
  mem_free(pixels);
  safetensors_close(&golden);
}

static medley_status fill_patch(void *context, size_t index, float *to, size_t row_step, medley_error *err) {
  (void)err;
  for (size_t f = 0; f < 96; f++) memcpy(to + f * row_step, (float *)context + (index * 96 + f) * 64, 64 * sizeof *to);
  return MEDLEY_OK;
}

/* Whoever asks has room for AudioSet's classes. */
static void yamnet_of_few_classes_is_refused(void) {
  medley_error error = {0};
  encoder *e;
  char path[300];
  float scores[YAMNET_CLASSES], samples[16000] = {0};
  snprintf(path, sizeof path, "%s/model.safetensors", small_yamnet);
  assert_ok(encoder_yamnet.open(path, &e, &error));
  assert_refused(yamnet_classify(e, &(sound){16000, 16000, samples}, scores, &error), MEDLEY_ERR_UNSUPPORTED,
                 "5 classes apart, not the 521 of AudioSet");
  encoder_yamnet.free(e);
}

/* A YAMNet that learns, beside the one that answers, over random patches. */
static void yamnet_agrees(const char *path, tuning_choice choice) {
  medley_error error = {0};
  checkpoint file;
  weights_tuning tuning;
  separable_plan plan;
  separable *net;
  separable_learner learner;
  enum { PATCHES = 2, VALUES = 96 * 64 };
  float *mel = mem_alloc(PATCHES * VALUES, sizeof *mel), *expected;
  rng r;
  rng_seed(&r, 4);
  for (size_t i = 0; i < PATCHES * VALUES; i++) mel[i] = (float)rng_normal(&r);
  assert_ok(weights_tuning_init(&tuning, choice, &error));
  assert_ok(checkpoint_open(&file, path, &error));
  assert_ok(yamnet_plan_make(&file, WEIGHT_F32, &plan, &error));
  weights w = {.from = &file, .tuning = &tuning};
  separable_learner_init(&learner, &w, &plan);
  assert_ok(weights_status(&w, &error));
  assert_ok(weights_tuning_seal(&w, 3, &error));
  assert_ok(separable_create(&file, &plan, &net, &error));
  expected = mem_alloc(PATCHES * plan.dim, sizeof *expected);
  assert_ok(separable_embed(net, fill_patch, mel, PATCHES, expected, &error));
  tape *t = tape_create(1);
  const tensor *x = separable_learner_forward(t, &learner, conv_input(t, mel, PATCHES, 1, 96, 64));
  assert_ok(tape_status(t, &error));
  assert_true(x->needs_gradient && x->count == PATCHES * plan.dim);
  for (size_t i = 0; i < x->count; i++) assert_near(real_data(x)[i], expected[i], 1e-4 * (fabs(expected[i]) + 0.1));
  tape_free(t);
  separable_free(net);
  weights_deinit(&w);
  checkpoint_close(&file);
  weights_tuning_deinit(&tuning);
  mem_free(mel), mem_free(expected);
}

static tensor *separable_vectors(tape *t, const void *network, const float *pixels, size_t count) {
  const separable_learner *n = network;
  return separable_learner_forward(t, n, conv_input(t, pixels, count, 3, n->plan->height, n->plan->width));
}

static void test_same_convolutions(void **state) {
  (void)state;
  medley_error error = {0};
  static const char *const resnets[] = {"resnet", "resnet_bottleneck", "resnet_torchvision"}, *const mobilenets[] = {
                                                                                                  "mobilenet_v2",
                                                                                                  "mobilenet_v2_timm"};
  static const tuning_choice choices[] = {{TUNING_ALL, 0}, {TUNING_LAST, 1}};
  char path[512];
  for (int c = 0; c < 2; c++) {
    for (int i = 0; i < 3; i++) {
      weights_tuning tuning;
      encoder *e = NULL;
      assert_ok(weights_tuning_init(&tuning, choices[c], &error));
      assert_ok(resnet_learner_open(golden_folder(path, resnets[i]), &tuning, &e, &error));
      assert_ok(weights_tuning_seal(resnet_learner_weights(e), 3, &error));
      picture_learner_agrees(path, e, resnet_vectors);
      e->kind->free(e);
      weights_tuning_deinit(&tuning);
    }
    for (int i = 0; i < 2; i++) {
      weights_tuning tuning;
      checkpoint file;
      mobilenet_plan plan;
      separable_learner learner;
      assert_ok(weights_tuning_init(&tuning, choices[c], &error));
      assert_ok(checkpoint_open(&file, golden_folder(path, mobilenets[i]), &error));
      assert_ok(mobilenet_plan_make(&file, WEIGHT_F32, &plan, &error));
      weights w = {.from = &file, .tuning = &tuning};
      separable_learner_init(&learner, &w, &plan.network);
      assert_ok(weights_status(&w, &error));
      assert_ok(weights_tuning_seal(&w, 3, &error));
      picture_learner_agrees(path, &learner, separable_vectors);
      weights_deinit(&w);
      checkpoint_close(&file);
      weights_tuning_deinit(&tuning);
    }
    yamnet_agrees(small_yamnet, choices[c]);
    if (test_data("models/yamnet.safetensors", path) != NULL) yamnet_agrees(path, choices[c]);
  }
  yamnet_of_few_classes_is_refused();
}

/* ---- learning ---- */

typedef struct tuned_row {
  const char *folder, *kind;
  modality modality;
  double rate, bars[3];
  size_t steps, items;
} tuned_row;

/* The bars of all, last=2, lora=4; a bar of 0: not tried. By chance: 2.48 of twelve, 1.61 of five; never 0, since cuts
 * of a word or two fit several texts, the more so in CLIP's small model, which reads ten letters. */
static const tuned_row tuned_rows[] = {
    {"bert", "bert", MODALITY_TEXT, 5e-3, {1.6, 1.7, 1.9}, 400, ITEMS},
    {"vit", "vit", MODALITY_IMAGE, 3e-3, {1.4, 1.6, 1.9}, 120, ITEMS},
    {"vit_timm", "vit", MODALITY_IMAGE, 3e-3, {2.0, 0, 0}, 60, ITEMS},
    {"clip", "clip", MODALITY_IMAGE, 5e-3, {2.0, 2.1, 2.1}, 240, ITEMS},
    {"openclip", "clip", MODALITY_IMAGE, 5e-3, {2.2, 0, 0}, 150, ITEMS},
    {"chinese_clip", "clip", MODALITY_IMAGE, 5e-3, {2.2, 0, 0}, 150, ITEMS},
    {"siglip", "clip", MODALITY_IMAGE, 5e-3, {2.2, 0, 0}, 150, ITEMS},
    {"whisper", "whisper", MODALITY_AUDIO, 5e-3, {1.3, 1.4, 1.4}, 30, 6},
    {"resnet", "resnet", MODALITY_IMAGE, 2e-3, {0.9, 1.2, 0}, 90, 4},
    {"resnet_bottleneck", "resnet", MODALITY_IMAGE, 2e-3, {0.9, 0, 0}, 60, 4},
    {"mobilenet_v2_timm", "mobilenet_v2", MODALITY_IMAGE, 5e-4, {1.33, 1.33, 0}, 50, 4},
    {NULL, "yamnet", MODALITY_AUDIO, 5e-3, {1.1, 1.37, 0}, 60, 4},
};

static const char *model_of(const tuned_row *row, char path[512]) {
  if (row->folder != NULL) return golden_folder(path, row->folder);
  return strcpy(path, small_yamnet);
}

/* From the command line: "convolutions", or "blocks" for the rest; NULL: all. */
static const char *only;
static bool row_is_wanted(const tuned_row *row) {
  bool convolutions =
      strcmp(row->kind, "resnet") == 0 || strcmp(row->kind, "mobilenet_v2") == 0 || strcmp(row->kind, "yamnet") == 0;
  return only == NULL || (strcmp(only, "convolutions") == 0) == convolutions;
}

static const tuning_choice choices_of_test[] = {{TUNING_ALL, 0}, {TUNING_LAST, 2}, {TUNING_LORA, 4}};

static const encoder_kind *kind_of(const tuned_row *row) { return encoder_kind_for(row->modality, row->kind); }

/* The loss behind the last steps. */
static double tune(const tuned_row *row, const char *path, const encoder_tuning *how, const small_set *set) {
  medley_error error = {0};
  progress_stage stage;
  progress_begin(&stage, NULL, "tune", 0);
  assert_ok(kind_of(row)->tune(path, how, set->inputs, row->items, &stage, &error));
  return stage.loss;
}

/* Tensors that are as they were. */
static size_t unchanged_tensors(const char *before, const char *after, size_t *count) {
  medley_error error = {0};
  safetensors a, b;
  size_t same = 0;
  assert_ok(safetensors_open(&a, before, &error));
  assert_ok(safetensors_open(&b, after, &error));
  assert_int_equal(a.count, b.count);
  for (size_t i = 0; i < a.count; i++) {
    const tensor_view *x = &a.tensors[i], *y = safetensors_get(&b, x->name);
    assert_non_null(y);
    assert_int_equal(x->count, y->count);
    same += x->bytes == y->bytes && memcmp(x->data, y->data, x->bytes) == 0;
  }
  *count = a.count;
  safetensors_close(&a), safetensors_close(&b);
  return same;
}

/* The tuned model as it is kept in a workspace gives the vectors that its folder gives. */
static void kept_agrees(const tuned_row *row, const char *folder, const small_set *set) {
  medley_error error = {0};
  char workspace[256], id[KEPT_MODEL_ID_BYTES];
  float vectors[2][ITEMS * 128];
  encoder *e = NULL;
  test_folder(workspace);
  assert_ok(kept_model_add(workspace, folder, true, "tuned", NULL, id, &error));
  for (int k = 0; k < 2; k++) {
    assert_ok(k == 0 ? kind_of(row)->open(folder, &e, &error)
                     : kept_model_open(workspace, id, kind_of(row), &e, &error));
    assert_true(e->kind->dim(e) <= 128);
    assert_ok(e->kind->encode(e, set->inputs, ITEMS, vectors[k], &error));
    if (k == 1) assert_memory_equal(vectors[0], vectors[1], ITEMS * e->kind->dim(e) * sizeof(float));
    e->kind->free(e);
  }
  folder_drop(workspace);
}

/* Share of texts, or of a clip's pictures, that are nearest to their title. */
static double found_by_title(const tuned_row *row, const char *folder, const small_set *set) {
  medley_error error = {0};
  char titles[ITEMS][80];
  encoder_input asked[ITEMS], rest[ITEMS];
  float a[ITEMS * 32], b[ITEMS * 32];
  encoder *e = NULL, *titler = NULL;
  size_t right = 0;
  for (int i = 0; i < ITEMS; i++) {
    const char *line = strchr(set->texts[i], '\n');
    snprintf(titles[i], sizeof titles[i], "%.*s", (int)(line - set->texts[i]), set->texts[i]);
    asked[i] = (encoder_input){.text = titles[i]}, rest[i] = (encoder_input){.text = line + 1};
    if (row->modality == MODALITY_IMAGE) rest[i] = set->inputs[i];
  }
  assert_ok(kind_of(row)->open(folder, &e, &error));
  assert_ok(encoder_kind_for(MODALITY_TEXT, row->kind)->open(folder, &titler, &error));
  size_t dim = e->kind->dim(e);
  assert_ok(titler->kind->encode(titler, asked, ITEMS, a, &error));
  assert_ok(e->kind->encode(e, rest, ITEMS, b, &error));
  for (size_t i = 0; i < ITEMS; i++) {
    size_t best = 0;
    for (size_t k = 0; k < ITEMS; k++) {
      vector_normalise(b + k * dim, dim);
      if (vector_dot(a + i * dim, b + k * dim, dim) > vector_dot(a + i * dim, b + best * dim, dim)) best = k;
    }
    right += best == i;
  }
  e->kind->free(e);
  titler->kind->free(titler);
  return (double)right / ITEMS;
}

static void test_learns(void **state) {
  (void)state;
  medley_error error = {0};
  for (size_t r = 0; r < sizeof tuned_rows / sizeof *tuned_rows; r++) {
    static small_set set;
    const double *bars = tuned_rows[r].bars;
    if (!row_is_wanted(&tuned_rows[r])) continue;
    size_t same[3] = {0}, count = 0;
    set_fill(&set, tuned_rows[r].modality);
    for (size_t c = 0; c < 3 && bars[c] > 0; c++) {
      char path[512], folder[256], before[600], after[300];
      test_folder(folder);
      snprintf(before, sizeof before, "%s/model.safetensors", model_of(&tuned_rows[r], path));
      snprintf(after, sizeof after, "%s/model.safetensors", folder);
      assert_ok(kept_model_companions(path, folder, &error));
      encoder_tuning how = {
          .choice = choices_of_test[c], .steps = tuned_rows[r].steps, .rate = tuned_rows[r].rate, .out = after};
      double began = clock_now_s();
      double loss = tune(&tuned_rows[r], path, &how, &set);
      char text[TUNING_TEXT_MAX];
      printf("%s %s: loss %.3g, %.1f s\n", path_name(path), tuning_choice_text(how.choice, text), loss,
             clock_now_s() - began);
      if (!(loss < bars[c])) fail_msg("%s, %s: loss %.3g", path, tuning_choice_text(how.choice, text), loss);
      if (bars[2] > 0 && encoder_kind_for(MODALITY_TEXT, tuned_rows[r].kind) != NULL)
        assert_true(found_by_title(&tuned_rows[r], folder, &set) > found_by_title(&tuned_rows[r], path, &set) + 0.1);
      same[c] = unchanged_tensors(before, after, &count);
      kept_agrees(&tuned_rows[r], folder, &set);
      folder_drop(folder);
    }
    /* Keys' biases have no say. Of the last: not the embeddings. With a LoRA: norms and biases. */
    if (bars[2] > 0 || bars[1] == 0)
      assert_true(same[0] <= 2 * 2 || strncmp(tuned_rows[r].kind, "res", 3) == 0);
    else
      assert_true(same[1] > same[0] + 4); /* of convolutions; figures that ran along, classifiers never learn */
    if (bars[2] > 0) assert_true(same[1] >= 4 && same[2] >= count / 2 && same[1] < count / 2);
    set_deinit(&set);
  }
}

/* ---- gone on with ---- */

/* Is told of every step and stops behind `most` of them. */
typedef struct stopper {
  progress_stage stage;
  uint64_t most;
} stopper;

static int stop_soon(void *context, const medley_progress_state *at) {
  stopper *s = context;
  s->stage.reported_s = 0;
  return at->done > s->most;
}

/* Stopped twice, it comes to the same bits. */
static void resumes(const tuned_row *row) {
  medley_error error = {0};
  static small_set set;
  char path[512], folder[256], out[2][300], kept[300];
  size_t count, stops = 0;
  set_fill(&set, row->modality);
  test_folder(folder);
  snprintf(out[0], sizeof out[0], "%s/whole.safetensors", folder);
  snprintf(out[1], sizeof out[1], "%s/parts.safetensors", folder);
  snprintf(kept, sizeof kept, "%s/run.safetensors", folder);
  model_of(row, path);
  encoder_tuning how = {.choice = {TUNING_ALL, 0}, .steps = 20, .rate = 1e-3, .seed = 5, .out = out[0]};
  tune(row, path, &how, &set);
  how.out = out[1], how.state = kept;
  stopper s = {.most = 6};
  for (medley_status status = MEDLEY_ERR_CANCELLED; status != MEDLEY_OK; s.most += 7) {
    medley_progress receiver = {.report = stop_soon, .context = &s};
    progress_begin(&s.stage, &receiver, "tune", 0);
    status = kind_of(row)->tune(path, &how, set.inputs, row->items, &s.stage, &error);
    assert_true(status == MEDLEY_OK || status == MEDLEY_ERR_CANCELLED);
    stops += status != MEDLEY_OK;
  }
  size_t same = unchanged_tensors(out[0], out[1], &count);
  assert_int_equal(same, count);
  assert_int_equal(stops, 2);
  /* A run of something else is no beginning of this one. */
  bool blocks = row->bars[2] > 0;
  how.choice = (tuning_choice){TUNING_LORA, 1};
  progress_stage stage;
  progress_begin(&stage, NULL, "tune", 0);
  if (blocks)
    assert_refused(kind_of(row)->tune(path, &how, set.inputs, ITEMS, &stage, &error), MEDLEY_ERR_CORRUPT,
                   "run.safetensors");
  set_deinit(&set);
  folder_drop(folder);
}

static void test_resumes(void **state) {
  (void)state;
  const char *before = "";
  for (size_t r = 0; r < sizeof tuned_rows / sizeof *tuned_rows; r++) {
    if (strcmp(tuned_rows[r].kind, before) != 0 && row_is_wanted(&tuned_rows[r])) resumes(&tuned_rows[r]);
    before = tuned_rows[r].kind;
  }
}

/* ---- what does not fit ---- */

static void test_choices(void **state) {
  (void)state;
  medley_error error = {0};
  tuning_choice choice;
  char text[TUNING_TEXT_MAX];
  static const char *const good[] = {"all", "last=2", "lora=16"};
  static const char *const bad[] = {"",       "al",      "all=1",  "last",       "last=0",    "lora=-1",
                                    "lora=x", "lora=8x", "last= ", "lora=99999", "everything"};
  for (size_t i = 0; i < 3; i++) {
    assert_ok(tuning_choice_read(good[i], &choice, &error));
    assert_string_equal(tuning_choice_text(choice, text), good[i]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_refused(tuning_choice_read(bad[i], &choice, &error), MEDLEY_ERR_USAGE, "all, last=LAYERS or lora=RANK");
}

static void refused_by(const encoder_kind *kind, const char *folder, tuning_choice choice, size_t count,
                       medley_status expected, const char *words) {
  medley_error error = {0};
  static small_set set;
  char path[512];
  progress_stage stage;
  encoder_tuning how = {.choice = choice, .out = "/nowhere/model.safetensors"};
  set_fill(&set, MODALITY_TEXT);
  set.inputs[0].text = "  ";
  progress_begin(&stage, NULL, "tune", 0);
  assert_refused(kind->tune(golden_folder(path, folder), &how, set.inputs, count, &stage, &error), expected, words);
  set_deinit(&set);
}

static void refused(const char *folder, tuning_choice choice, size_t count, medley_status expected, const char *words) {
  refused_by(&encoder_bert, folder, choice, count, expected, words);
}

static void test_refusals(void **state) {
  (void)state;
  refused("bert", (tuning_choice){TUNING_LAST, 3}, ITEMS, MEDLEY_ERR_USAGE, "last=3: the network has 2 layers");
  refused("bert", (tuning_choice){TUNING_LORA, 17}, ITEMS, MEDLEY_ERR_USAGE, "lora=17: the matrices have 16");
  refused("bert", (tuning_choice){TUNING_ALL, 0}, 2, MEDLEY_ERR_INPUT, "1 texts with words are too few");
  refused_by(&encoder_resnet, "resnet", (tuning_choice){TUNING_LORA, 4}, ITEMS, MEDLEY_ERR_USAGE,
             "lora goes beside the matrices of transformers");
  refused_by(&encoder_mobilenet_v2, "mobilenet_v2", (tuning_choice){TUNING_LORA, 4}, ITEMS, MEDLEY_ERR_USAGE,
             "lora goes beside the matrices of transformers");
  refused_by(&encoder_resnet, "resnet", (tuning_choice){TUNING_LAST, 5}, ITEMS, MEDLEY_ERR_USAGE,
             "last=5: the network has 4 layers");
  refused_by(&encoder_mobilenet_v2, "mobilenet_v2", (tuning_choice){TUNING_LAST, 8}, ITEMS, MEDLEY_ERR_USAGE,
             "last=8: the network has 7 layers");
  refused("bert_gguf/model.gguf", (tuning_choice){TUNING_ALL, 0}, ITEMS, MEDLEY_ERR_UNSUPPORTED,
          "GGUF is made for answering");
  refused("vit", (tuning_choice){TUNING_ALL, 0}, ITEMS, MEDLEY_ERR_INPUT, "of the family 'vit', not bert");
  refused("bert", (tuning_choice){TUNING_LORA, 2}, ITEMS, MEDLEY_ERR_IO, "/nowhere");
  medley_error error = {0};
  static small_set set; /* pictures without a word beside them */
  char path[512];
  encoder_tuning how = {.choice = {TUNING_ALL, 0}, .out = "/nowhere/model.safetensors"};
  set_fill(&set, MODALITY_IMAGE);
  for (int i = 0; i < ITEMS; i++) set.inputs[i].text = i < 2 ? NULL : " ";
  set.inputs[4].text = "red";
  assert_refused(encoder_clip_text.tune(golden_folder(path, "clip"), &how, set.inputs, ITEMS, NULL, &error),
                 MEDLEY_ERR_INPUT, "1 pictures with words beside them are too few");
  set_deinit(&set);
}

static void test_nth_allocation(void **state) {
  (void)state;
#ifdef MEDLEY_FAULTS
  static small_set set;
  char path[512], folder[256], out[300];
  test_folder(folder);
  snprintf(out, sizeof out, "%s/model.safetensors", folder);
  golden_folder(path, "bert");
  for (size_t c = 0; c < 3; c++) {
    medley_status status = MEDLEY_ERR_MEMORY;
    set_fill(&set, MODALITY_TEXT);
    for (long n = 1; status != MEDLEY_OK; n += n + 1) {
      medley_error error = {0};
      encoder_tuning how = {.choice = choices_of_test[c], .out = out};
      memory_fault_after(n);
      status = encoder_bert.tune(path, &how, set.inputs, ITEMS, NULL, &error);
      memory_fault_after(0);
      if (status != MEDLEY_OK && status != MEDLEY_ERR_MEMORY) fail_msg("%ld: %s", n, error.text);
    }
    set_deinit(&set);
  }
  folder_drop(folder);
#endif
}

int main(int argc, char **argv) {
  only = argc > 1 ? argv[1] : NULL;
  omp_set_num_threads(1); /* the networks are tiny */
  yamnet_make();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_forward),   cmocka_unit_test(test_same_convolutions), cmocka_unit_test(test_learns),
      cmocka_unit_test(test_resumes),        cmocka_unit_test(test_choices),           cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_nth_allocation),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  folder_drop(small_yamnet);
  return failed;
}
