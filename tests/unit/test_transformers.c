/* Published transformers: small ones with random weights beside the reference's numbers (tests/golden/
 * make_transformers.py), files that are broken or contradict each other, and, when it is there, a real one. */
#include "test.h"

#include "base/file.h"
#include "base/memory.h"
#include "encode/encoder.h"
#include "encode/image_tensor.h"
#include "math/vector.h"

typedef struct published {
  const char *folder;
  modality modality;
  const char *kind;
  double tolerance;
  size_t dim;
} published;

static const published table[] = {
    {"bert", MODALITY_TEXT, "bert", 1e-5, 16},
    {"xlm_roberta", MODALITY_TEXT, "bert", 1e-5, 16},
    {"bert_gguf", MODALITY_TEXT, "bert", 1e-5, 16},
    {"bert", MODALITY_TEXT, "bert_bf16", 3e-2, 16},
    {"bert", MODALITY_TEXT, "bert_int8", 5e-2, 16},
    {"vit", MODALITY_IMAGE, "vit_bf16", 3e-2, 16},
    {"vit", MODALITY_IMAGE, "vit_int8", 5e-2, 16},
    {"clip", MODALITY_IMAGE, "clip_bf16", 3e-2, 8},
    {"clip", MODALITY_TEXT, "clip_bf16", 3e-2, 8},
    {"chinese_clip", MODALITY_TEXT, "clip_bf16", 3e-2, 8},
    {"siglip", MODALITY_IMAGE, "clip_int8", 5e-2, 16},
    {"openclip", MODALITY_TEXT, "clip_int8", 5e-2, 8},
    {"whisper", MODALITY_AUDIO, "whisper_bf16", 3e-2, 16},
    {"whisper", MODALITY_AUDIO, "whisper_int8", 5e-2, 16},
    {"vit", MODALITY_IMAGE, "vit", 1e-5, 16},
    {"vit_timm", MODALITY_IMAGE, "vit", 1e-5, 16},
    {"vit_timm_24", MODALITY_IMAGE, "vit", 1e-5, 16},
    {"clip_vision", MODALITY_IMAGE, "clip", 1e-5, 16},
    {"clip_text", MODALITY_TEXT, "clip", 1e-5, 16},
    {"siglip_vision", MODALITY_IMAGE, "clip", 1e-5, 16},
    {"resnet", MODALITY_IMAGE, "resnet", 1e-5, 16},
    {"resnet_bottleneck", MODALITY_IMAGE, "resnet", 1e-5, 16},
    {"resnet_torchvision", MODALITY_IMAGE, "resnet", 1e-5, 16},
    {"resnet", MODALITY_IMAGE, "resnet_bf16", 3e-2, 16},
    {"resnet_bottleneck", MODALITY_IMAGE, "resnet_int8", 5e-2, 16},
    {"mobilenet_v2", MODALITY_IMAGE, "mobilenet_v2", 1e-4, 128},
    {"mobilenet_v2_timm", MODALITY_IMAGE, "mobilenet_v2", 1e-4, 64},
    {"mobilenet_v2_timm", MODALITY_IMAGE, "mobilenet_v2_int8", 2e-1, 64},
    {"clip", MODALITY_IMAGE, "clip", 1e-5, 8},
    {"clip", MODALITY_TEXT, "clip", 1e-5, 8},
    {"openclip", MODALITY_IMAGE, "clip", 1e-5, 8},
    {"openclip", MODALITY_TEXT, "clip", 1e-5, 8},
    {"chinese_clip", MODALITY_IMAGE, "clip", 1e-5, 8},
    {"chinese_clip", MODALITY_TEXT, "clip", 1e-5, 8},
    {"siglip", MODALITY_IMAGE, "clip", 1e-5, 16},
    {"siglip", MODALITY_TEXT, "clip", 1e-5, 16},
    {"whisper", MODALITY_AUDIO, "whisper", 1e-4, 16},
    {NULL},
};

static const char *golden_path(char path[512], const char *folder, const char *file) {
  const char *source = getenv("MEDLEY_SOURCE");
  snprintf(path, 512, "%s/tests/golden/transformers/%s%s%s", source ? source : ".", folder, *file ? "/" : "", file);
  return path;
}

/* The folder, or the one file that is GGUF: beside golden.safetensors it would not be found. */
static const char *model_path(char path[512], const published *p) {
  golden_path(path, p->folder, "model.gguf");
  return access(path, R_OK) == 0 ? path : golden_path(path, p->folder, "");
}

static encoder *open_published(const published *p) {
  medley_error error = {0};
  char path[512];
  encoder *e = NULL;
  const encoder_kind *kind = encoder_kind_for(p->modality, p->kind);
  assert_non_null(kind);
  assert_ok(kind->open(model_path(path, p), &e, &error));
  assert_true(e->kind == kind && kind->dim(e) == p->dim);
  return e;
}

/* ---- golden numbers ---- */

static void test_golden(void **state) {
  (void)state;
  medley_error error = {0};
  char path[512];
  for (const published *p = table; p->folder != NULL; p++) {
    encoder *e = open_published(p);
    safetensors golden;
    golden_report report = {0};
    assert_ok(safetensors_open(&golden, golden_path(path, p->folder, "golden.safetensors"), &error));
    assert_ok(e->kind->check(e, &golden, &report, &error));
    for (size_t i = 0; i < report.count; i++)
      if (!(report.outputs[i].difference <= p->tolerance))
        fail_msg("%s, %s: %s differs by %g", p->folder, p->kind, report.outputs[i].name, report.outputs[i].difference);
    assert_true(report.count > 0);
    safetensors_close(&golden);
    e->kind->free(e);
  }
}

/* ---- texts ---- */

/* One at a time and all at once give the same vectors; the empty one gives zeros. */
static void test_texts(void **state) {
  (void)state;
  medley_error error = {0};
  const char *texts[] = {"red dress",
                         "",
                         "The sun and the sea!",
                         "红 鞋",
                         "   ",
                         "walking, walks of the red and blue shoes a b c d",
                         "broken \xff\xfe bytes"};
  enum { COUNT = sizeof texts / sizeof *texts };
  for (const published *p = table; p->folder != NULL; p++) {
    if (p->modality != MODALITY_TEXT) continue;
    encoder *e = open_published(p);
    float all[COUNT * 128], one[128];
    encoder_input inputs[COUNT];
    for (int i = 0; i < COUNT; i++) inputs[i] = (encoder_input){.text = texts[i]};
    assert_true(p->dim <= 32);
    assert_ok(e->kind->encode(e, inputs, COUNT, all, &error));
    for (int i = 0; i < COUNT; i++) {
      assert_ok(e->kind->encode(e, &inputs[i], 1, one, &error));
      bool empty = strspn(texts[i], " ") == strlen(texts[i]);
      assert_true((vector_norm(one, p->dim) == 0) == empty);
      for (size_t k = 0; k < p->dim; k++) assert_near(one[k], all[(size_t)i * p->dim + k], 1e-5);
    }
    e->kind->free(e);
  }
}

/* ---- pictures and sounds: any size gives a vector, together as alone ---- */

static const uint32_t picture_sizes[][2] = {{16, 16}, {1, 1}, {301, 40}, {23, 700}, {16, 17}};

static void test_pictures(void **state) {
  (void)state;
  medley_error error = {0};
  enum { COUNT = sizeof picture_sizes / sizeof *picture_sizes };
  image pictures[COUNT];
  encoder_input inputs[COUNT];
  for (int i = 0; i < COUNT; i++) {
    pictures[i] = (image){picture_sizes[i][0], picture_sizes[i][1], NULL};
    size_t bytes = (size_t)pictures[i].width * pictures[i].height * 3;
    pictures[i].rgb = mem_alloc(bytes, 1);
    for (size_t k = 0; k < bytes; k++) pictures[i].rgb[k] = (uint8_t)(k * 7 + k / 50);
    inputs[i] = (encoder_input){.image = &pictures[i]};
  }
  for (const published *p = table; p->folder != NULL; p++) {
    if (p->modality != MODALITY_IMAGE) continue;
    encoder *e = open_published(p);
    float all[COUNT * 128], one[128];
    media_request request = {0};
    e->kind->wish(e, &request);
    assert_true(request.image_side >= 2 * 16 && request.image_side <= 2 * 72); /* twice what it is scaled to */
    assert_ok(e->kind->encode(e, inputs, COUNT, all, &error));
    for (int i = 0; i < COUNT; i++) {
      assert_ok(e->kind->encode(e, &inputs[i], 1, one, &error));
      assert_true(vector_norm(one, p->dim) > 0);
      for (size_t k = 0; k < p->dim; k++) assert_near(one[k], all[(size_t)i * p->dim + k], 1e-5);
    }
    e->kind->free(e);
  }
  for (int i = 0; i < COUNT; i++) mem_free(pictures[i].rgb);
}

static void test_sounds(void **state) {
  (void)state;
  medley_error error = {0};
  static float samples[40000];
  const sound silent = {16000, 8000, samples + 20000}, none = {16000, 0, samples}, other = {8000, 20000, samples};
  const sound *sounds[] = {&silent, &none, &other};
  for (size_t i = 0; i < 20000; i++) samples[i] = (float)sin((double)i * 0.3);
  encoder *e = open_published(&(published){"whisper", MODALITY_AUDIO, "whisper", 0, 16});
  float out[3][16];
  for (int i = 0; i < 3; i++) assert_ok(e->kind->encode(e, &(encoder_input){.sound = sounds[i]}, 1, out[i], &error));
  for (int i = 0; i < 16; i++) assert_true(isfinite(out[0][i]) && isfinite(out[1][i]) && isfinite(out[2][i]));
  e->kind->free(e);
}

/* ---- scaling: as Pillow does it ---- */

static void test_image_prepare(void **state) {
  (void)state;
  medley_error error = {0};
  uint8_t rgb[4 * 8 * 3];
  for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(i * 37);
  const image in = {8, 4, rgb};
  float out[3 * 4 * 4];
  image_preparation p = {.side = 4, .resize = 4, .deviation = {1, 1, 1}};
  assert_ok(image_prepare(&p, &in, out, &error)); /* nothing to scale: the middle */
  for (size_t c = 0; c < 3; c++)
    for (size_t y = 0; y < 4; y++)
      for (size_t x = 0; x < 4; x++) assert_near(out[(c * 4 + y) * 4 + x], rgb[(y * 8 + x + 2) * 3 + c] / 255.0, 1e-6);
  const uint8_t grey[] = {0, 0, 0, 60, 60, 60, 120, 120, 120, 240, 240, 240};
  const image line = {4, 1, (uint8_t *)(uintptr_t)grey};
  p = (image_preparation){.side = 2, .mean = {.5f, .5f, .5f}, .deviation = {.5f, .5f, .5f}};
  assert_ok(image_prepare(&p, &line, out, &error)); /* Pillow: 43, 163 by its linear filter, rounded to bytes */
  assert_near(out[0], 43 / 127.5 - 1, 0.5 / 127.5);
  assert_near(out[1], 163 / 127.5 - 1, 0.5 / 127.5);
}

/* ---- what does not fit ---- */

/* A copy of the folder below `to` by cp. */
static void folder_copy(const char *name, char to[256]) {
  char from[512], command[1024];
  test_folder(to);
  snprintf(command, sizeof command, "cp -r %s/. %s", golden_path(from, name, ""), to);
  assert_int_equal(system(command), 0);
}

static void folder_drop(const char *path) {
  char command[512];
  snprintf(command, sizeof command, "rm -rf %s", path);
  assert_int_equal(system(command), 0);
}

static void file_put(const char *folder, const char *name, const char *text) {
  medley_error error = {0};
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_ok(file_write(path, text, strlen(text), &error));
}

/* The model's tensors again, without `drop`, with one value of `spoil` no number. */
static void weights_change(const char *folder, const char *drop, const char *spoil) {
  medley_error error = {0};
  char path[512];
  safetensors s;
  safetensors_writer w = {0};
  float copy[4096];
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  assert_ok(safetensors_open(&s, path, &error));
  for (size_t i = 0; i < s.count; i++) {
    const tensor_view *v = &s.tensors[i];
    if (drop != NULL && strcmp(v->name, drop) == 0) continue;
    bool spoiled = spoil != NULL && strcmp(v->name, spoil) == 0;
    assert_true(v->count <= 4096 || !spoiled);
    if (spoiled) {
      memcpy(copy, v->data, v->bytes);
      copy[v->count / 2] = NAN;
    }
    assert_ok(safetensors_add(&w, v->name, v->dtype, v->rank, v->shape, spoiled ? copy : v->data, &error));
  }
  char changed[600];
  snprintf(changed, sizeof changed, "%s.new", path);
  assert_ok(safetensors_save(&w, changed, &error));
  safetensors_writer_deinit(&w);
  safetensors_close(&s);
  assert_int_equal(rename(changed, path), 0);
}

/* expected OK: it opens. */
static void refused(const char *folder, const char *kind, medley_status expected, const char *words) {
  medley_error error = {0};
  encoder *e = NULL;
  assert_refused(encoder_kind_find(kind)->open(folder, &e, &error), expected, words);
  assert_true((e != NULL) == (expected == MEDLEY_OK));
  if (e != NULL) e->kind->free(e);
  folder_drop(folder);
}

static void test_refusals(void **state) {
  (void)state;
  char folder[256], path[512];
  folder_copy("bert", folder);
  weights_change(folder, NULL, "encoder.layer.1.output.dense.weight");
  refused(folder, "bert", MEDLEY_ERR_INPUT,
          "value 192 of tensor 'encoder.layer.1.output.dense.weight' is not a finite number");
  folder_copy("bert", folder);
  weights_change(folder, NULL, "embeddings.word_embeddings.weight");
  refused(folder, "bert", MEDLEY_ERR_INPUT, "of tensor 'embeddings.word_embeddings.weight' is not a finite number");
  folder_copy("bert", folder);
  weights_change(folder, NULL, "encoder.layer.0.attention.self.query.weight");
  refused(folder, "bert_int8", MEDLEY_ERR_INPUT, "is not a finite number");
  folder_copy("bert", folder);
  weights_change(folder, "encoder.layer.1.attention.self.key.bias", NULL);
  refused(folder, "bert", MEDLEY_ERR_INPUT, "tensor 'encoder.layer.1.attention.self.key.bias' is missing");
  folder_copy("bert", folder);
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  assert_int_equal(truncate(path, 20000), 0);
  refused(folder, "bert", MEDLEY_ERR_INPUT, "model.safetensors");
}

static void test_other_refusals(void **state) {
  (void)state;
  char folder[256], path[512];
  folder_copy("vit", folder);
  refused(folder, "bert", MEDLEY_ERR_INPUT, "holds a network of the family 'vit', not bert");
  folder_copy("bert", folder);
  refused(folder, "clip", MEDLEY_ERR_INPUT, "not clip, chinese_clip or siglip");
  folder_copy("clip", folder);
  weights_change(folder, "text_model.final_layer_norm.bias", NULL);
  refused(folder, "clip", MEDLEY_OK, ""); /* the tower for pictures does not need it */
  folder_copy("clip", folder);
  weights_change(folder, "vision_model.post_layernorm.bias", NULL);
  refused(folder, "clip", MEDLEY_ERR_INPUT, "tensor 'vision_model.post_layernorm.bias' is missing");
  folder_copy("whisper", folder);
  weights_change(folder, NULL, "encoder.conv2.weight");
  refused(folder, "whisper", MEDLEY_ERR_INPUT, "of tensor 'encoder.conv2.weight' is not a finite number");
  folder_copy("whisper", folder);
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  assert_int_equal(truncate(path, 9000), 0);
  refused(folder, "whisper", MEDLEY_ERR_INPUT, "model.safetensors");
}

/* A file beside the weights that says what cannot be, or what is not known. */
static void test_files_refused(void **state) {
  (void)state;
  static const struct {
    const char *model, *file, *text;
    const char *kind;
    medley_status status;
    const char *words;
  } rows[] = {
      {"bert", "vocab.txt",
       "[PAD]\n[UNK]\n[CLS]\n[SEP]"
       "\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt\nu\nv\nw\nx\ny\nz\n0\n1\n2\n3\n4\n"
       "5\n6\n7\n8\n9\nmore\n",
       "bert", MEDLEY_ERR_INPUT, "they belong to two models"},
      {"bert", "config.json", "{\"model_type\": \"bert\", \"num_attention_heads\": 3}", "bert", MEDLEY_ERR_INPUT,
       "16 numbers cannot be cut into 3 heads"},
      {"bert", "config.json", "{\"model_type\": \"bert\", \"num_attention_heads\": 2, \"hidden_act\": \"swoosh\"}",
       "bert", MEDLEY_ERR_UNSUPPORTED, "hidden_act 'swoosh' is not known"},
      {"bert", "config.json",
       "{\"model_type\": \"bert\", \"num_attention_heads\": 2, \"position_embedding_type\": \"relative_key\"}", "bert",
       MEDLEY_ERR_UNSUPPORTED, "position_embedding_type is 'relative_key'"},
      {"bert", "1_Pooling/config.json", "{\"pooling_mode_weightedmean_tokens\": true}", "bert", MEDLEY_ERR_UNSUPPORTED,
       "the pooling is none of"},
      {"bert", "modules.json", "[{\"type\": \"sentence_transformers.models.Dense\", \"path\": \"2_Dense\"}]", "bert",
       MEDLEY_ERR_UNSUPPORTED, "module 'sentence_transformers.models.Dense' is none of"},
      {"bert", "modules.json", "[{\"type\": \"sentence_transformers.models.Pooling\", \"path\": \"../..\"}]", "bert",
       MEDLEY_ERR_INPUT, "is not a folder in this one"},
      {"bert", "modules.json", "[{\"type\": \"sentence_transformers.models.Pooling\", \"path\": \"\"}]", "bert",
       MEDLEY_ERR_INPUT, "is not a folder in this one"},
      {"bert", "config_sentence_transformers.json", "{\"default_prompt_name\": \"query\", \"prompts\": {}}", "bert",
       MEDLEY_ERR_INPUT, "the default prompt 'query' is not among the prompts"},
      {"vit", "preprocessor_config.json", "{\"size\": 384}", "vit", MEDLEY_ERR_INPUT,
       "pictures of 384 pixels are prepared for a network that takes 16"},
      {"vit", "preprocessor_config.json", "{\"image_std\": [1, 0, 1]}", "vit", MEDLEY_ERR_INPUT, "image_std has 0"},
      {"vit", "config.json", "{\"model_type\": \"vit\", \"num_attention_heads\": 2, \"image_size\": 20}", "vit",
       MEDLEY_ERR_INPUT, "pictures of 20 pixels are not whole patches of 8"},
      {"vit", "config.json", "{\"model_type\": \"vit\", \"num_attention_heads\": 2, \"image_size\": 32}", "vit",
       MEDLEY_ERR_INPUT, "tensor 'embeddings.position_embeddings' is [1, 5, 16]"},
      {"clip", "config.json",
       "{\"model_type\": \"clip\", \"vision_config\": {\"num_attention_heads\": 2, \"layer_norm_eps\": -1}}", "clip",
       MEDLEY_ERR_INPUT, "the norms' epsilon is -1"},
  };
  char folder[256];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    folder_copy(rows[i].model, folder);
    file_put(folder, rows[i].file, rows[i].text);
    refused(folder, rows[i].kind, rows[i].status, rows[i].words);
  }
}

/* Steps of preparing pictures: done as the file says, or refused. */
static void test_preparation_refusals(void **state) {
  (void)state;
  static const struct {
    const char *json;
    medley_status status;
    const char *words;
  } rows[] = {
      {"{\"image_mean\": [0.5, 1e300, 0.5]}", MEDLEY_ERR_INPUT, "image_mean should be three finite numbers"},
      {"{\"image_mean\": [0.5]}", MEDLEY_ERR_INPUT, "image_mean should be three finite numbers"},
      {"{\"image_std\": [\"1\", 1, 1]}", MEDLEY_ERR_INPUT, "image_std should be three finite numbers"},
      {"{\"image_std\": [1, -1, 1]}", MEDLEY_ERR_INPUT, "image_std has -1"},
      {"{\"do_rescale\": false}", MEDLEY_ERR_UNSUPPORTED, "do_rescale is false, which cannot be done here"},
      {"{\"do_resize\": false}", MEDLEY_ERR_UNSUPPORTED, "do_resize is false"},
      {"{\"do_pad\": true}", MEDLEY_ERR_UNSUPPORTED, "do_pad is true"},
      {"{\"rescale_factor\": 0.0078125}", MEDLEY_ERR_UNSUPPORTED, "rescale_factor is 0.0078125"},
      {"{\"resample\": 1}", MEDLEY_ERR_UNSUPPORTED, "resample is 1"},
      {"{\"size\": {\"height\": 16, \"width\": 20}}", MEDLEY_ERR_INPUT, "a size that is no square"},
  };
  char folder[256];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    folder_copy("vit", folder);
    file_put(folder, "preprocessor_config.json", rows[i].json);
    refused(folder, "vit", rows[i].status, rows[i].words);
  }
}

/* What is read from each publisher's file. */
static void test_preparation_files(void **state) {
  (void)state;
  medley_error error = {0};
  static const struct {
    const char *file, *json;
    size_t resize;
    bool cubic;
    float mean, deviation;
  } rows[] = {
      {"preprocessor_config.json", "{\"do_normalize\": false, \"image_mean\": [0.1, 0.1, 0.1]}", 16, true, 0, 1},
      {"preprocessor_config.json", "{\"size\": {\"shortest_edge\": 20}, \"crop_size\": 16, \"resample\": 2}", 20, false,
       1, 2},
      {"open_clip_config.json",
       "{\"preprocess_cfg\": {\"size\": 16, \"mean\": [0.25, 0, 0], \"std\": [4, 1, 1], "
       "\"resize_mode\": \"squash\", \"interpolation\": \"bilinear\"}}",
       0, false, 0.25f, 4},
      {"open_clip_config.json", "{\"preprocess_cfg\": {\"size\": [16, 16]}}", 16, true, 1, 2},
      {"config.json",
       "{\"pretrained_cfg\": {\"input_size\": [3, 16, 16], \"crop_pct\": 0.9, \"mean\": [0.5, 0, 0], "
       "\"interpolation\": \"bicubic\"}}",
       17, true, 0.5f, 2},
  };
  char folder[256];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    checkpoint c;
    image_preparation p = {.side = 16, .resize = 16, .cubic = true, .mean = {1, 1, 1}, .deviation = {2, 2, 2}};
    folder_copy("openclip", folder);
    file_put(folder, rows[i].file, rows[i].json);
    assert_ok(checkpoint_open(&c, folder, &error));
    assert_ok(image_preparation_load(&p, &c, &error));
    assert_true(p.resize == rows[i].resize && p.cubic == rows[i].cubic);
    assert_near(p.mean[0], rows[i].mean, 0);
    assert_near(p.deviation[0], rows[i].deviation, 0);
    checkpoint_close(&c);
    folder_drop(folder);
  }
  folder_copy("openclip", folder);
  file_put(folder, "open_clip_config.json", "{\"preprocess_cfg\": {\"resize_mode\": \"longest\"}}");
  checkpoint c;
  image_preparation p = {.side = 16};
  assert_ok(checkpoint_open(&c, folder, &error));
  assert_refused(image_preparation_load(&p, &c, &error), MEDLEY_ERR_UNSUPPORTED, "resize_mode is 'longest'");
  checkpoint_close(&c);
  folder_drop(folder);
}

/* OpenCLIP's own file says heads and activation, and of the wrong tensors it is refused. */
#define OPEN_CLIP(model, image, text)                                              \
  "{\"model_cfg\": {" model " \"vision_cfg\": {\"width\": 16, \"layers\": 2" image \
  "}, \"text_cfg\": {\"width\": 16" text "}}}"
static void test_open_clip(void **state) {
  (void)state;
  medley_error error = {0};
  static const struct {
    const char *config, *json;
    medley_status status;
    const char *words;
  } rows[] = {
      {"{}", "{\"model_cfg\": {}}", MEDLEY_ERR_INPUT,
       "how many heads attention has is not said, and 16 numbers do not tell"},
      {"{}", OPEN_CLIP("", ", \"head_width\": 8", ", \"heads\": 2"), MEDLEY_OK, ""},
      {"{}", OPEN_CLIP("", ", \"head_width\": 8, \"pool_type\": \"tok\", \"no_ln_pre\": false, \"act_kwargs\": {}", ""),
       MEDLEY_OK, ""},
      {"{\"vision_config\": {\"num_attention_heads\": 4}}", OPEN_CLIP("", ", \"head_width\": 8", ""), MEDLEY_ERR_INPUT,
       "image_heads is 4 by config.json and 2 by open_clip_config.json"},
      {"{}", OPEN_CLIP("", ", \"head_width\": 8, \"no_ln_pre\": true", ""), MEDLEY_ERR_UNSUPPORTED,
       "vision_cfg says 'no_ln_pre'"},
      {"{}", OPEN_CLIP("", ", \"head_width\": 8", ", \"pool_type\": \"last\""), MEDLEY_ERR_UNSUPPORTED,
       "text_cfg says 'pool_type'"},
      {"{}", OPEN_CLIP("", ", \"head_width\": 0", ""), MEDLEY_ERR_INPUT, "'head_width' should be an integer from 1"},
      {"{}", "{\"model_cfg\": {\"vision_cfg\": {\"width\": 32}}}", MEDLEY_ERR_INPUT,
       "open_clip_config.json says width 32 and 0 layers, the tensors 16 and 2"},
      {"{}", "{}", MEDLEY_ERR_INPUT, "has no object model_cfg"},
  };
  char folder[256];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    folder_copy("openclip", folder);
    file_put(folder, "config.json", rows[i].config);
    file_put(folder, "open_clip_config.json", rows[i].json);
    refused(folder, "clip", rows[i].status, rows[i].words);
  }
  /* The same tensors with another activation: other vectors. */
  float plain[8], quick[8];
  for (int q = 0; q < 2; q++) {
    encoder *e;
    const char *json = q ? OPEN_CLIP("\"quick_gelu\": true,", ", \"head_width\": 8", ", \"heads\": 2")
                         : OPEN_CLIP("", ", \"head_width\": 8", ", \"heads\": 2");
    folder_copy("openclip", folder);
    file_put(folder, "config.json", "{}");
    file_put(folder, "open_clip_config.json", json);
    assert_ok(encoder_clip_text.open(folder, &e, &error));
    assert_ok(e->kind->encode(e, &(encoder_input){.text = "red dress"}, 1, q ? quick : plain, &error));
    e->kind->free(e);
    folder_drop(folder);
  }
  float away = 0;
  for (int i = 0; i < 8; i++) away = fmaxf(away, fabsf(plain[i] - quick[i]));
  assert_true(away > 1e-4f);
}

/* Blocks that lack a part, figures that are none, an activation that is another. */
static void test_resnet_refusals(void **state) {
  (void)state;
  char folder[256];
  folder_copy("resnet", folder);
  weights_change(folder, "encoder.stages.1.layers.0.shortcut.convolution.weight", NULL);
  refused(folder, "resnet", MEDLEY_ERR_INPUT, "block 'encoder.stages.1.layers.0.' makes 8 channels, and 6 beside them");
  folder_copy("resnet", folder);
  weights_change(folder, "encoder.stages.0.layers.1.layer.1.normalization.running_var", NULL);
  refused(folder, "resnet", MEDLEY_ERR_INPUT, "normalization.running_var' is missing");
  folder_copy("resnet", folder);
  weights_change(folder, NULL, "embedder.embedder.normalization.running_var");
  refused(folder, "resnet_int8", MEDLEY_ERR_INPUT, "is not a finite number");
  folder_copy("resnet", folder);
  file_put(folder, "config.json", "{\"model_type\": \"resnet\", \"hidden_act\": \"silu\"}");
  refused(folder, "resnet", MEDLEY_ERR_UNSUPPORTED, "hidden_act 'silu'");
  folder_copy("resnet", folder);
  file_put(folder, "preprocessor_config.json", "{\"size\": {\"shortest_edge\": 32}, \"crop_pct\": 3}");
  refused(folder, "resnet", MEDLEY_ERR_INPUT, "crop_pct is 3");
  folder_copy("vit", folder);
  refused(folder, "resnet", MEDLEY_ERR_INPUT, "of the family 'vit', not resnet");
}

/* What would make another network of the same tensors. */
static void test_mobilenet_refusals(void **state) {
  (void)state;
  static const struct {
    const char *json, *words;
    medley_status status;
  } rows[] = {
      {"{\"model_type\": \"mobilenet_v2\", \"output_stride\": 16}", "output_stride 16", MEDLEY_ERR_UNSUPPORTED},
      {"{\"model_type\": \"mobilenet_v2\", \"hidden_act\": \"silu\"}", "hidden_act 'silu'", MEDLEY_ERR_UNSUPPORTED},
      {"{\"model_type\": \"mobilenet_v2\", \"first_layer_is_expansion\": false}", "without an expansion first",
       MEDLEY_ERR_UNSUPPORTED},
      {"{\"model_type\": \"mobilenet_v2\", \"layer_norm_eps\": -1}", "epsilon is -1", MEDLEY_ERR_INPUT},
      {"{\"model_type\": \"mobilenet_v2\", \"image_size\": 33}", "prepared for a network that takes 33",
       MEDLEY_ERR_INPUT},
  };
  char folder[256];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    folder_copy("mobilenet_v2", folder);
    file_put(folder, "config.json", rows[i].json);
    refused(folder, "mobilenet_v2", rows[i].status, rows[i].words);
  }
  folder_copy("mobilenet_v2", folder);
  file_put(folder, "preprocessor_config.json", "{\"size\": 33}");
  file_put(folder, "config.json", "{\"model_type\": \"mobilenet_v2\"}");
  refused(folder, "mobilenet_v2", MEDLEY_ERR_INPUT, "pictures of 33 pixels: an even number");
  folder_copy("mobilenet_v2", folder);
  weights_change(folder, "mobilenet_v2.layer.3.conv_3x3.normalization.running_var", NULL);
  refused(folder, "mobilenet_v2", MEDLEY_ERR_INPUT, "layer.3.conv_3x3.normalization.running_var' is missing");
  folder_copy("mobilenet_v2_timm", folder);
  weights_change(folder, "blocks.3.2.conv_pwl.weight", NULL);
  refused(folder, "mobilenet_v2", MEDLEY_ERR_INPUT, "tensor 'blocks.3.2.conv_pwl.weight' is missing");
  folder_copy("mobilenet_v2_timm", folder);
  weights_change(folder, NULL, "blocks.3.2.bn2.running_mean");
  refused(folder, "mobilenet_v2_int8", MEDLEY_ERR_INPUT, "is not a finite number");
}

/* A file alone has neither heads nor a tokenizer. */
static void test_file_alone(void **state) {
  (void)state;
  char folder[256], command[600];
  medley_error error = {0};
  encoder *e = NULL;
  folder_copy("bert", folder);
  snprintf(command, sizeof command, "cd %s && mv model.safetensors alone.safetensors", folder);
  assert_int_equal(system(command), 0);
  snprintf(command, sizeof command, "%s/alone.safetensors", folder);
  assert_refused(encoder_bert.open(command, &e, &error), MEDLEY_ERR_INPUT, "config.json is missing beside it");
  folder_drop(folder);
}

/* The prompt is put before the text, and cls takes the first row: read back by two folders that differ in it. */
static void test_sentence_files(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256];
  float with[16], without[16], cls[16];
  encoder *e = NULL;
  folder_copy("bert", folder);
  file_put(folder, "config_sentence_transformers.json",
           "{\"default_prompt_name\": \"query\", \"prompts\": {\"query\": \"red \"}}");
  assert_ok(encoder_bert.open(folder, &e, &error));
  assert_ok(encoder_bert.encode(e, &(encoder_input){.text = "sea sky"}, 1, with, &error));
  encoder_bert.free(e);
  file_put(folder, "config_sentence_transformers.json", "{}");
  assert_ok(encoder_bert.open(folder, &e, &error));
  assert_ok(encoder_bert.encode(e, &(encoder_input){.text = "red sea sky"}, 1, without, &error));
  encoder_bert.free(e);
  assert_memory_equal(with, without, sizeof with);
  assert_near(vector_norm(with, 16), 1, 1e-5);
  file_put(folder, "1_Pooling/config.json", "{\"pooling_mode\": \"cls\"}");
  assert_ok(encoder_bert.open(folder, &e, &error));
  assert_ok(encoder_bert.encode(e, &(encoder_input){.text = "red sea sky"}, 1, cls, &error));
  encoder_bert.free(e);
  assert_true(fabsf(vector_dot(cls, with, 16)) < 0.999f);
  folder_drop(folder);
}

#ifdef MEDLEY_FAULTS
static medley_status open_and_encode(const published *p, const encoder_input *input, float *out, medley_error *err) {
  char path[512];
  encoder *e = NULL;
  const encoder_kind *kind = encoder_kind_for(p->modality, p->kind);
  medley_status status = kind->open(model_path(path, p), &e, err);
  if (status == MEDLEY_OK) status = kind->encode(e, input, 1, out, err);
  if (e != NULL) kind->free(e);
  return status;
}
#endif

static void test_nth_allocation(void **state) {
  (void)state;
#ifdef MEDLEY_FAULTS
  medley_error error = {0};
  uint8_t rgb[3 * 3 * 3] = {0};
  float samples[400] = {0}, out[128];
  const image picture = {3, 3, rgb};
  const sound tone = {16000, 400, samples};
  for (const published *p = table; p->folder != NULL; p++) {
    encoder_input input = {.text = p->modality == MODALITY_TEXT ? "red dress" : NULL,
                           .image = p->modality == MODALITY_IMAGE ? &picture : NULL,
                           .sound = p->modality == MODALITY_AUDIO ? &tone : NULL};
    medley_status status = MEDLEY_ERR_MEMORY;
    for (long n = 1; status != MEDLEY_OK; n += 1 + n / 4) {
      memory_fault_after(n);
      status = open_and_encode(p, &input, out, &error);
      memory_fault_after(0);
      assert_true(status == MEDLEY_OK || status == MEDLEY_ERR_MEMORY);
    }
  }
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden),
      cmocka_unit_test(test_texts),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_pictures),
      cmocka_unit_test(test_sounds),
      cmocka_unit_test(test_image_prepare),
      cmocka_unit_test(test_other_refusals),
      cmocka_unit_test(test_files_refused),
      cmocka_unit_test(test_file_alone),
      cmocka_unit_test(test_resnet_refusals),
      cmocka_unit_test(test_mobilenet_refusals),
      cmocka_unit_test(test_sentence_files),
      cmocka_unit_test(test_preparation_refusals),
      cmocka_unit_test(test_preparation_files),
      cmocka_unit_test(test_open_clip),
      cmocka_unit_test(test_nth_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
