/* Checkpoints of every shape: single files, shards, folders, GGUF; which architecture they hold; what they can lie
 * about. */
#include "test.h"

#include "base/memory.h"
#include "base/strbuf.h"
#include "nn/architecture.h"
#include "nn/checkpoint.h"
#include "nn/shard_index.h"
#include "nn/weights.h"

/* ---- small models made here ---- */

typedef struct spec {
  const char *name;
  int rank;
  uint64_t shape[4];
} spec;

/* All values 0.5, in `folder`/`file`; the specs end with a row without a name. */
static void model_write(const char *folder, const char *file, const spec *rows) {
  medley_error error = {0};
  char path[600];
  static float values[1 << 16];
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) values[i] = 0.5f;
  safetensors_writer w = {0};
  for (; rows->name != NULL; rows++)
    assert_ok(safetensors_add(&w, rows->name, DTYPE_F32, rows->rank, rows->shape, values, &error));
  snprintf(path, sizeof path, "%s/%s", folder, file);
  assert_ok(safetensors_save(&w, path, &error));
  safetensors_writer_deinit(&w);
}

static void text_write(const char *folder, const char *file, const char *text) {
  medley_error error = {0};
  char path[600];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  assert_ok(file_write(path, text, strlen(text), &error));
}

static const spec bert_specs[] = {{"bert.embeddings.word_embeddings.weight", 2, {10, 8}},
                                  {"bert.embeddings.token_type_embeddings.weight", 2, {2, 8}},
                                  {"bert.embeddings.position_embeddings.weight", 2, {16, 8}},
                                  {"bert.encoder.layer.0.attention.self.query.weight", 2, {8, 8}},
                                  {"bert.encoder.layer.2.attention.self.query.weight", 2, {8, 8}},
                                  {"bert.encoder.layer.10.attention.self.query.weight", 2, {8, 8}},
                                  {0}};

/* ---- tensors as layers want them ---- */

/* One value among many that is no number is found in whatever type and shape, by getters that copy and that do not. */
static void test_weights_are_finite(void **state) {
  (void)state;
  enum { WIDE = 20000 };
  static const struct {
    uint64_t rows, columns;
    size_t bad;
  } shapes[] = {{2, WIDE, WIDE + 7}, {WIDE, 2, 2 * WIDE - 1}, {2, WIDE, 0}};
  static uint16_t halves[2 * WIDE];
  medley_error error = {0};
  char folder[256], path[600];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/a.safetensors", folder);
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    size_t rows = shapes[i].rows, columns = shapes[i].columns;
    halves[shapes[i].bad] = 0x7e00; /* NaN */
    safetensors_writer writer = {0};
    assert_ok(safetensors_add(&writer, "x", DTYPE_F16, 2, (uint64_t[]){rows, columns}, halves, &error));
    assert_ok(safetensors_save(&writer, path, &error));
    safetensors_writer_deinit(&writer);
    halves[shapes[i].bad] = 0;
    for (int getter = 0; getter < 3; getter++) {
      checkpoint c;
      assert_ok(checkpoint_open(&c, path, &error));
      weights w = {.from = &c};
      if (getter == 0) assert_null(weights_table(&w, rows, columns, "x"));
      if (getter == 1) assert_null(weights_stack(&w, "", (const char *const[]){"x"}, 1, "", rows, columns));
      if (getter == 2) assert_null(weights_matrix(&w, rows, columns, "x"));
      assert_refused(weights_status(&w, &error), MEDLEY_ERR_INPUT, "of tensor 'x' is not a finite number");
      weights_deinit(&w);
      checkpoint_close(&c);
    }
  }
  assert_ok(folder_remove(folder, &error));
}

/* ---- folders and shards ---- */

static void test_shards(void **state) {
  (void)state;
  static const spec first[] = {{"a", 1, {3}}, {"c", 2, {2, 2}}, {0}}, second[] = {{"b", 1, {1}}, {0}};
  static const struct {
    const char *index;
    medley_status status;
    const char *words;
  } rows[] = {
      {"{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\",\"c\":\"1.safetensors\"}}", MEDLEY_OK, ""},
      {"{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}", MEDLEY_ERR_INPUT,
       "tensor 'c' of 1.safetensors is not listed"},
      {"{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\",\"c\":\"2.safetensors\"}}", MEDLEY_ERR_INPUT,
       "tensor 'c' of 1.safetensors is said to be in 2.safetensors"},
      {"{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\",\"c\":\"1.safetensors\","
       "\"d\":\"2.safetensors\"}}",
       MEDLEY_ERR_INPUT, "tensor 'd' is not in 2.safetensors"},
      {"{\"weight_map\":{\"a\":\"3.safetensors\"}}", MEDLEY_ERR_NOT_FOUND, "3.safetensors"},
      {"{\"weight_map\":{\"a\":\"../1.safetensors\"}}", MEDLEY_ERR_INPUT, "'../1.safetensors' is not the name"},
      {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", MEDLEY_ERR_INPUT, "is not the name"},
      {"{\"weight_map\":{\"a\":\"model.bin\"}}", MEDLEY_ERR_INPUT, "is not the name"},
      {"{\"weight_map\":{\"a\":7}}", MEDLEY_ERR_INPUT, "the file of tensor 'a' is not a string"},
      {"{\"weight_map\":{\"a\":\"1.safetensors\",\"a\":\"1.safetensors\"}}", MEDLEY_ERR_INPUT, "duplicate"},
      {"{\"weight_map\":{}}", MEDLEY_ERR_INPUT, "'weight_map' must be"},
      {"[]", MEDLEY_ERR_INPUT, "'weight_map' must be"},
      {"{", MEDLEY_ERR_INPUT, "not valid JSON"},
  };
  medley_error error = {0};
  char folder[256];
  test_folder(folder);
  model_write(folder, "1.safetensors", first);
  model_write(folder, "2.safetensors", second);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    checkpoint c;
    text_write(folder, "model.safetensors.index.json", rows[i].index);
    assert_refused(checkpoint_open(&c, folder, &error), rows[i].status, rows[i].words);
    if (rows[i].status != MEDLEY_OK) continue;
    assert_int_equal(c.count, 3);
    assert_string_equal(c.tensors[1].name, "b");
    assert_string_equal(checkpoint_format(&c), "sharded safetensors");
    checkpoint_close(&c);
  }
  assert_ok(folder_remove(folder, &error));
}

static void test_folders(void **state) {
  (void)state;
  static const spec one[] = {{"a", 1, {3}}, {0}};
  medley_error error = {0};
  char folder[256], path[600];
  checkpoint c;
  test_folder(folder);
  assert_refused(checkpoint_open(&c, folder, &error), MEDLEY_ERR_NOT_FOUND, "holds no model");
  text_write(folder, "pytorch_model.bin", "x");
  assert_refused(checkpoint_open(&c, folder, &error), MEDLEY_ERR_UNSUPPORTED, "pickle");
  model_write(folder, "x.safetensors", one);
  assert_ok(checkpoint_open(&c, folder, &error));
  checkpoint_close(&c);
  model_write(folder, "y.safetensors", one);
  assert_refused(checkpoint_open(&c, folder, &error), MEDLEY_ERR_USAGE, "several .safetensors files");
  model_write(folder, "model.safetensors", one);
  text_write(folder, "config.json", "[1]");
  assert_refused(checkpoint_open(&c, folder, &error), MEDLEY_ERR_INPUT, "not a JSON object");
  text_write(folder, "config.json", "{\"model_type\":\"bert\"}");
  snprintf(path, sizeof path, "%s/model.safetensors", folder); /* a published name brings its config.json along */
  assert_ok(checkpoint_open(&c, path, &error));
  assert_string_equal(json_member_string(c.config, "model_type", ""), "bert");
  checkpoint_close(&c);
  snprintf(path, sizeof path, "%s/x.safetensors", folder);
  assert_ok(checkpoint_open(&c, path, &error));
  assert_null(c.config);
  checkpoint_close(&c);
  text_write(folder, "text.gguf", "GGUFx");
  snprintf(path, sizeof path, "%s/text.gguf", folder);
  assert_refused(checkpoint_open(&c, path, &error), MEDLEY_ERR_INPUT, "text.gguf");
  assert_refused(checkpoint_open(&c, "no/such/file", &error), MEDLEY_ERR_NOT_FOUND, "no/such/file");
  assert_ok(folder_remove(folder, &error));
}

/* ---- tensors ---- */

static void test_conversion(void **state) {
  (void)state;
  static const double f64[] = {1.5, -2, 0.25, 3};
  static const uint16_t f16[] = {0x3E00, 0xC000, 0x3400, 0x4200}, bf16[] = {0x3FC0, 0xC000, 0x3E80, 0x4040};
  static const float f32[] = {1.5f, -2, 0.25f, 3};
  static const int64_t i64[] = {1, -2, 3, 1ll << 40};
  static const int32_t i32[] = {1, -2, 3, 1 << 20};
  static const int16_t i16[] = {1, -2, 3, 1000};
  static const int8_t i8[] = {1, -2, 3, 100};
  static const uint8_t u8[] = {1, 2, 3, 200}, boolean[] = {1, 0, 3, 1};
  static const struct {
    tensor_dtype dtype;
    const void *data;
    float want[4];
  } rows[] = {
      {DTYPE_F64, f64, {1.5f, -2, 0.25f, 3}}, {DTYPE_F32, f32, {1.5f, -2, 0.25f, 3}},
      {DTYPE_F16, f16, {1.5f, -2, 0.25f, 3}}, {DTYPE_BF16, bf16, {1.5f, -2, 0.25f, 3}},
      {DTYPE_I64, i64, {1, -2, 3, 0x1p40f}},  {DTYPE_I32, i32, {1, -2, 3, 0x1p20f}},
      {DTYPE_I16, i16, {1, -2, 3, 1000}},     {DTYPE_I8, i8, {1, -2, 3, 100}},
      {DTYPE_U8, u8, {1, 2, 3, 200}},         {DTYPE_BOOL, boolean, {1, 0, 1, 1}},
  };
  medley_error error = {0};
  char folder[256], path[600];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/x.safetensors", folder);
  safetensors_writer w = {0};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_ok(safetensors_add(&w, dtype_name(rows[i].dtype), rows[i].dtype, 2, (const uint64_t[]){2, 2}, rows[i].data,
                              &error));
  assert_ok(safetensors_save(&w, path, &error));
  safetensors_writer_deinit(&w);
  checkpoint c;
  assert_ok(checkpoint_open(&c, path, &error));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    float *copy, row[2], shifted[4];
    assert_ok(checkpoint_copy_f32(&c, dtype_name(rows[i].dtype), 2, (const uint64_t[]){2, 0}, &copy, &error));
    assert_memory_equal(copy, rows[i].want, sizeof rows[i].want);
    mem_free(copy);
    const tensor_view *view = checkpoint_get(&c, dtype_name(rows[i].dtype));
    tensor_view_read_rows(view, 1, 1, row);
    assert_memory_equal(row, rows[i].want + 2, sizeof row);
    /* The same from an odd address. */
    unsigned char *odd = mem_zalloc_aligned(view->bytes + 1, 1);
    memcpy(odd + 1, view->data, view->bytes);
    dtype_to_float(view->dtype, odd + 1, 4, shifted);
    assert_memory_equal(shifted, rows[i].want, sizeof shifted);
    mem_free(odd);
  }
  const tensor_view *view;
  float *copy;
  assert_refused(checkpoint_need(&c, "absent", 1, (const uint64_t[]){1}, &view, &error), MEDLEY_ERR_INPUT,
                 "tensor 'absent' is missing");
  assert_refused(checkpoint_need(&c, "F32", 2, (const uint64_t[]){2, 3}, &view, &error), MEDLEY_ERR_INPUT,
                 "tensor 'F32' is [2, 2], expected [2, 3]");
  assert_refused(checkpoint_copy_f32(&c, "F32", 1, (const uint64_t[]){4}, &copy, &error), MEDLEY_ERR_INPUT,
                 "is [2, 2], expected [4]");
  checkpoint_close(&c);
  assert_ok(folder_remove(folder, &error));
}

static int stop_at_once(void *context, const medley_progress_state *progress) {
  ++*(int *)context;
  return progress->finished == 0;
}

static void test_weights_that_are_no_numbers(void **state) {
  (void)state;
  static float values[10000];
  static const int64_t integers[2] = {-1, 1};
  values[17] = NAN, values[4096] = INFINITY, values[9999] = -INFINITY;
  medley_error error = {0};
  char folder[256], path[600];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/x.safetensors", folder);
  safetensors_writer w = {0};
  assert_ok(safetensors_add_f32(&w, "bad", 100, 100, values, &error));
  assert_ok(safetensors_add_f32(&w, "good", 4, 4, values, &error));
  assert_ok(safetensors_add(&w, "ids", DTYPE_I64, 1, (const uint64_t[]){2}, integers, &error));
  assert_ok(safetensors_save(&w, path, &error));
  safetensors_writer_deinit(&w);
  checkpoint c;
  uint64_t bad[3];
  float *copy;
  int calls = 0;
  assert_ok(checkpoint_open(&c, path, &error));
  assert_ok(checkpoint_count_bad(&c, bad, &(medley_progress){stop_at_once, NULL, &calls}, &error));
  assert_true(calls >= 2);
  assert_int_equal(bad[0], 3);
  assert_int_equal(bad[1], 0);
  assert_int_equal(bad[2], 0);
  assert_refused(checkpoint_copy_f32(&c, "bad", 2, (const uint64_t[]){100, 100}, &copy, &error), MEDLEY_ERR_INPUT,
                 "value 17 of tensor 'bad' is not a finite number");
  checkpoint_close(&c);
  assert_ok(folder_remove(folder, &error));
}

/* ---- architectures ---- */

/* Every family is recognised by its tensors' names alone, in each layout it is published in. */
static void test_names(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[600], name[300];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/x.safetensors", folder);
  static const char *const prefixes[] = {"", "some.model."};
  for (const architecture_kind *const *k = architecture_kinds; *k != NULL; k++)
    for (const architecture_layout *layout = (*k)->layouts; layout->name != NULL; layout++)
      for (size_t p = 0; p < 2; p++) {
        spec rows[5] = {0};
        char names[4][300];
        for (int i = 0; i < 4 && layout->ends[i] != NULL; i++) {
          snprintf(names[i], sizeof names[i], "%s%s", prefixes[p], layout->ends[i]);
          rows[i] = (spec){names[i], 2, {i == 0 && layout->first ? layout->first : 4, 4}};
        }
        model_write(folder, "x.safetensors", rows);
        checkpoint c;
        model_architecture a;
        assert_ok(checkpoint_open(&c, path, &error));
        assert_ok(architecture_recognise(&c, &a, &error));
        snprintf(name, sizeof name, "%s as %s", (*k)->name, layout->name);
        if (a.kind != *k || strcmp(a.layout, layout->name) != 0)
          fail_msg("%s is taken for %s as %s", name, a.kind->name, a.layout);
        assert_string_equal(a.prefix, prefixes[p]);
        assert_string_equal(a.told_by, "tensor names");
        checkpoint_close(&c);
      }
  assert_ok(folder_remove(folder, &error));
}

static void test_table(void **state) {
  (void)state;
  static const char *const known[] = {"chinese_clip", "siglip", "clip",    "xlm_roberta", "bert",  "vit", "resnet",
                                      "mobilenet_v2", "yamnet", "whisper", "qwen2",       "llama", NULL};
  size_t count = 0;
  for (; known[count] != NULL; count++) assert_string_equal(architecture_kind_find(known[count])->name, known[count]);
  assert_null(architecture_kinds[count]);
  assert_null(architecture_kind_find("gpt2"));
  for (const architecture_kind *const *k = architecture_kinds; *k != NULL; k++) {
    size_t dimensions = 0;
    for (const architecture_dimension *d = (*k)->dimensions; d->name != NULL; d++) dimensions++;
    assert_true(dimensions <= ARCHITECTURE_DIMENSIONS_MAX);
  }
}

static void test_contradictions(void **state) {
  (void)state;
  static const struct {
    const char *config;
    medley_status status;
    const char *words;
  } rows[] = {
      {"{\"model_type\":\"bert\",\"hidden_size\":8,\"num_hidden_layers\":11,\"vocab_size\":10}", MEDLEY_OK, ""},
      {"{\"model_type\":\"bert\",\"hidden_size\":null}", MEDLEY_OK, ""},
      {"{}", MEDLEY_OK, ""},
      {"{\"model_type\":\"bert\",\"hidden_size\":16}", MEDLEY_ERR_INPUT,
       "the dimension 'width' is 16 by config.json's 'hidden_size' and 8 by tensor "
       "'bert.embeddings.word_embeddings.weight'"},
      {"{\"model_type\":\"bert\",\"num_hidden_layers\":6}", MEDLEY_ERR_INPUT,
       "the dimension 'layers' is 6 by config.json's 'num_hidden_layers' and 11 by the tensors named "
       "'bert.encoder.layer.'"},
      {"{\"model_type\":\"bert\",\"vocab_size\":\"many\"}", MEDLEY_ERR_INPUT, "'vocab_size' must be a positive"},
      {"{\"model_type\":\"bert\",\"vocab_size\":-1}", MEDLEY_ERR_INPUT, "'vocab_size' must be a positive"},
      {"{\"model_type\":\"deberta-v2\"}", MEDLEY_ERR_UNSUPPORTED,
       "the architecture 'deberta-v2' (model_type in config.json) is not known; known are chinese_clip"},
      {"{\"model_type\":\"whisper\"}", MEDLEY_ERR_INPUT, "its tensors have other names than any whisper"},
  };
  medley_error error = {0};
  char folder[256];
  test_folder(folder);
  model_write(folder, "model.safetensors", bert_specs);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    checkpoint c;
    model_architecture a;
    text_write(folder, "config.json", rows[i].config);
    assert_ok(checkpoint_open(&c, folder, &error));
    assert_refused(architecture_recognise(&c, &a, &error), rows[i].status, rows[i].words);
    if (rows[i].status == MEDLEY_OK) {
      assert_string_equal(a.kind->name, "bert");
      assert_string_equal(a.prefix, "bert.");
      assert_int_equal(architecture_dimension_get(&a, "layers", 0), 11);
      assert_int_equal(architecture_dimension_get(&a, "positions", 0), 16);
      assert_int_equal(architecture_dimension_get(&a, "heads", -1), -1);
    }
    checkpoint_close(&c);
  }
  static const spec strange[] = {{"some.weight", 1, {3}}, {0}};
  checkpoint c;
  model_architecture a;
  text_write(folder, "config.json", "{}");
  model_write(folder, "model.safetensors", strange);
  assert_ok(checkpoint_open(&c, folder, &error));
  assert_refused(architecture_recognise(&c, &a, &error), MEDLEY_ERR_UNSUPPORTED, "neither config.json, nor metadata");
  checkpoint_close(&c);
  assert_ok(folder_remove(folder, &error));
}

static void test_published_models(void **state) {
  (void)state;
  static const struct {
    const char *file, *name, *told_by, *dimension;
    int64_t value;
  } rows[] = {
      {"mobilenet_v2.safetensors", "mobilenet_v2", "metadata", "embedding", 1280},
      {"yamnet.safetensors", "yamnet", "metadata", "classes", 521},
      {"tokenizers/ggml-vocab-llama-spm.gguf", "llama", "general.architecture", "vocabulary", 32000},
      {"tokenizers/ggml-vocab-bert-bge.gguf", "bert", "general.architecture", "width", 384},
      {"tokenizers/ggml-vocab-gpt-2.gguf", NULL, "the architecture 'gpt2'", NULL, 0},
  };
  medley_error error = {0};
  char path[512], name[200];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    snprintf(name, sizeof name, "models/%s", rows[i].file);
    if (test_data(name, path) == NULL) skip();
    checkpoint c;
    model_architecture a;
    assert_ok(checkpoint_open(&c, path, &error));
    if (rows[i].name == NULL) {
      assert_refused(architecture_recognise(&c, &a, &error), MEDLEY_ERR_UNSUPPORTED, rows[i].told_by);
    } else {
      assert_ok(architecture_recognise(&c, &a, &error));
      assert_string_equal(a.kind->name, rows[i].name);
      assert_string_equal(a.told_by, rows[i].told_by);
      assert_int_equal(architecture_dimension_get(&a, rows[i].dimension, 0), rows[i].value);
    }
    checkpoint_close(&c);
  }
}

#ifdef MEDLEY_FAULTS
static void test_memory_runs_out(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256];
  test_folder(folder);
  model_write(folder, "1.safetensors", bert_specs);
  strbuf index = {0};
  for (const spec *s = bert_specs; s->name != NULL; s++)
    strbuf_printf(&index, "%s\"%s\":\"1.safetensors\"", index.length ? "," : "{\"weight_map\":{", s->name);
  strbuf_append(&index, "}}");
  text_write(folder, "model.safetensors.index.json", index.text);
  text_write(folder, "config.json", "{\"model_type\":\"bert\"}");
  bool struck = true;
  for (long n = 1; struck; n++) {
    checkpoint c = {0};
    float *copy = NULL;
    memory_fault_after(n);
    medley_status status = checkpoint_open(&c, folder, &error);
    if (status == MEDLEY_OK)
      status = checkpoint_copy_f32(&c, bert_specs[0].name, 2, bert_specs[0].shape, &copy, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    mem_free(copy);
    checkpoint_close(&c);
  }
  strbuf_deinit(&index);
  assert_ok(folder_remove(folder, &error));
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_weights_are_finite),
      cmocka_unit_test(test_shards),
      cmocka_unit_test(test_folders),
      cmocka_unit_test(test_conversion),
      cmocka_unit_test(test_weights_that_are_no_numbers),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_table),
      cmocka_unit_test(test_contradictions),
      cmocka_unit_test(test_published_models),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_runs_out),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
