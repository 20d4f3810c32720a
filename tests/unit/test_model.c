/* medley/model.h: what a checkpoint holds, as users ask for it. The formats are tested in test_gguf, test_safetensors
 * and test_checkpoint. */
#include "test.h"

#include <medley/model.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "nn/safetensors.h"

static json_t *describe(const char *path, const medley_model_options *options) {
  medley_error error = {0};
  char *text;
  json_t *report;
  assert_ok(medley_model_describe(path, options, NULL, &text, &error));
  assert_ok(json_parse(text, strlen(text), "the report", &report, &error));
  medley_free(text);
  return report;
}

static const json_t *at(const json_t *report, const char *a, const char *b) {
  return json_object_get(json_object_get(report, a), b);
}

static const char *remark(const json_t *report, size_t i) {
  const char *text = json_string_value(json_array_get(json_object_get(report, "remarks"), i));
  return text ? text : "";
}

static void golden_path(char path[512]) {
  const char *source = getenv("MEDLEY_SOURCE");
  snprintf(path, 512, "%s/tests/golden/gguf/blocks.gguf", source ? source : ".");
}

/* A llama of 3 blocks with tensors of other names is a contradiction; the vocabulary alone is sound. */
static void test_gguf(void **state) {
  (void)state;
  medley_error error;
  char path[512], *text;
  golden_path(path);
  assert_refused(medley_model_describe(path, NULL, NULL, &text, &error), MEDLEY_ERR_INPUT,
                 "its tensors have other names than any llama (the first is 'bf16')");
  assert_null(text);
  if (test_data("models/tokenizers/ggml-vocab-llama-spm.gguf", path) == NULL) skip();
  json_t *report = describe(path, NULL);
  assert_string_equal(json_member_string(report, "format", ""), "GGUF");
  assert_string_equal(json_string_value(at(report, "architecture", "name")), "llama");
  assert_int_equal(json_integer_value(json_object_get(at(report, "architecture", "dimensions"), "layers")), 32);
  assert_string_equal(json_string_value(at(report, "tokenizer", "kind")), "SentencePiece BPE");
  assert_int_equal(json_integer_value(at(report, "tokenizer", "tokens")), 32000);
  assert_string_equal(json_string_value(at(report, "metadata", "tokenizer.ggml.tokens")), "32000 × string");
  assert_near(json_real_value(at(report, "metadata", "llama.attention.layer_norm_rms_epsilon")), 1e-5, 0);
  assert_true(json_is_true(at(report, "metadata", "tokenizer.ggml.add_bos_token")));
  assert_null(json_object_get(report, "tensors"));
  assert_null(json_object_get(report, "bad_values"));
  json_decref(report);
}

/* A folder with a tiny BERT; `nan`: one of its weights is no number. */
static void bert_write(const char *folder, bool nan) {
  medley_error error = {0};
  char path[512];
  float values[64] = {0};
  if (nan) values[3] = NAN;
  safetensors_writer w = {0};
  static const int64_t ids[4] = {0, 1, 2, 3};
  assert_ok(safetensors_add_f32(&w, "embeddings.word_embeddings.weight", 5, 4, values, &error));
  assert_ok(safetensors_add_f32(&w, "embeddings.token_type_embeddings.weight", 2, 4, values + 4, &error));
  assert_ok(safetensors_add_f32(&w, "encoder.layer.0.attention.self.query.weight", 4, 4, values + 4, &error));
  assert_ok(safetensors_add(&w, "embeddings.position_ids", DTYPE_I64, 1, (const uint64_t[]){4}, ids, &error));
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  assert_ok(safetensors_save(&w, path, &error));
  safetensors_writer_deinit(&w);
}

static void text_write(const char *folder, const char *file, const char *text) {
  medley_error error = {0};
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  assert_ok(file_write(path, text, strlen(text), &error));
}

static void test_folder_and_check(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[512];
  const medley_model_options all = {.tensors = 1, .check = 1};
  test_folder(folder);
  bert_write(folder, false);
  json_t *report = describe(folder, &all);
  assert_string_equal(json_string_value(at(report, "architecture", "told_by")), "tensor names");
  assert_int_equal(json_member_integer(report, "parameters", 0), 20 + 8 + 16);
  assert_int_equal(json_member_integer(report, "tensor_count", 0), 4);
  assert_int_equal(json_array_size(json_object_get(report, "dtypes")), 2);
  assert_int_equal(json_array_size(json_object_get(report, "tensors")), 4);
  assert_int_equal(json_member_integer(report, "bad_values", -1), 0);
  assert_true(json_is_null(json_object_get(report, "tokenizer")));
  json_decref(report);

  bert_write(folder, true);
  text_write(folder, "config.json", "{\"model_type\":\"bert\",\"num_attention_heads\":2}");
  text_write(folder, "vocab.txt", "a\nb\nc\nd\ne\nf\n");
  report = describe(folder, &all);
  assert_int_equal(json_member_integer(report, "bad_values", -1), 1);
  const json_t *bad = json_array_get(json_object_get(report, "bad_tensors"), 0);
  assert_string_equal(json_member_string(bad, "name", ""), "embeddings.word_embeddings.weight");
  assert_string_equal(json_string_value(at(report, "tokenizer", "kind")), "WordPiece");
  assert_string_equal(remark(report, 0), "vocab.txt has 6 tokens, the model only 5 embeddings");
  json_decref(report);

  text_write(folder, "tokenizer.json", "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0],[\"b\",-1]]}}");
  text_write(folder, "config.json", "{\"model_type\":\"gpt2\"}");
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  report = describe(path, NULL);
  assert_true(json_is_null(json_object_get(report, "architecture")));
  assert_non_null(strstr(remark(report, 0), "the architecture 'gpt2' (model_type in config.json) is not known"));
  assert_string_equal(json_string_value(at(report, "tokenizer", "kind")), "Unigram");
  assert_int_equal(json_integer_value(at(report, "tokenizer", "tokens")), 2);
  json_decref(report);

  /* vocab.json is tokens and their ids, "model" among them. */
  snprintf(path, sizeof path, "%s/tokenizer.json", folder);
  assert_int_equal(unlink(path), 0);
  snprintf(path, sizeof path, "%s/vocab.txt", folder);
  assert_int_equal(unlink(path), 0);
  text_write(folder, "vocab.json", "{\"a\": 0, \"model\": 1, \"b\": 2}");
  report = describe(folder, NULL);
  assert_string_equal(json_string_value(at(report, "tokenizer", "kind")), "byte-level BPE");
  assert_int_equal(json_integer_value(at(report, "tokenizer", "tokens")), 3);
  json_decref(report);

  char *text;
  text_write(folder, "tokenizer.json", "{");
  assert_refused(medley_model_describe(folder, NULL, NULL, &text, &error), MEDLEY_ERR_INPUT, "tokenizer.json");
  assert_ok(folder_remove(folder, &error));
}

static void test_list(void **state) {
  (void)state;
  medley_error error = {0};
  char *text, folder[256], path[512];
  json_t *report;
  assert_ok(medley_model_list(NULL, &text, &error));
  assert_ok(json_parse(text, strlen(text), "the report", &report, &error));
  medley_free(text);
  const json_t *rows = json_object_get(report, "architectures");
  assert_int_equal(json_array_size(rows), 12);
  assert_string_equal(json_member_string(json_array_get(rows, 4), "name", ""), "bert");
  json_decref(report);
  test_folder(folder);
  snprintf(path, sizeof path, "%s/shop", folder);
  medley_workspace *w;
  assert_ok(medley_workspace_create(path, &error));
  assert_ok(medley_workspace_open(path, &w, &error));
  assert_ok(medley_model_list(w, &text, &error));
  assert_string_equal(text, "{\"generations\":[]}");
  medley_free(text);
  medley_workspace_close(w);
  assert_ok(folder_remove(folder, &error));
}

/* ---- medley model check ---- */

static const char *transformer_path(char path[512], const char *file) {
  const char *source = getenv("MEDLEY_SOURCE");
  snprintf(path, 512, "%s/tests/golden/transformers/%s", source ? source : ".", file);
  return path;
}

/* A golden file of one output and one input: [rows, 16] zeros each. */
static void golden_write(const char *path, const char *output, const char *input, uint64_t rows) {
  medley_error error = {0};
  static const float zeros[2 * 3 * 16 * 16];
  safetensors_writer w = {0};
  bool pixels = strcmp(input, "pixel_values") == 0;
  assert_ok(safetensors_add(&w, output, DTYPE_F32, 2, (uint64_t[]){rows, 8}, zeros, &error));
  assert_ok(safetensors_add(&w, input, DTYPE_F32, pixels ? 4 : 2, (uint64_t[]){rows, 3, 16, 16}, zeros, &error));
  assert_ok(safetensors_save(&w, path, &error));
  safetensors_writer_deinit(&w);
}

/* One tower's failure is told when the golden file is about it, whatever the other says. */
static void test_check_towers(void **state) {
  (void)state;
  medley_error error = {0};
  char model[512], golden[512], folder[256], path[512], command[2400], *json;
  transformer_path(model, "clip");
  transformer_path(golden, "clip/golden.safetensors");
  assert_ok(medley_model_check("clip", model, golden, 0, &json, &error));
  assert_non_null(strstr(json, "image_embeds"));
  assert_non_null(strstr(json, "text_embeds"));
  medley_free(json);
  test_folder(folder);
  snprintf(path, sizeof path, "%s/golden.safetensors", folder);
  golden_write(path, "image_embeds", "pixel_values", 2); /* about pictures alone: differs, but can be compared */
  assert_ok(medley_model_check("clip", model, path, 0, &json, &error));
  assert_non_null(strstr(json, "\"agrees\":false"));
  medley_free(json);
  golden_write(path, "image_embeds", "pixel_values", 0);
  assert_refused(medley_model_check("clip", model, path, 0, &json, &error), MEDLEY_ERR_INPUT,
                 "'image_embeds' has no values");
  /* The tower for text cannot be opened. */
  snprintf(command, sizeof command, "cp -r %s/. %s && rm %s/vocab.json %s/golden.safetensors", model, folder, folder,
           folder);
  assert_int_equal(system(command), 0);
  assert_refused(medley_model_check("clip", folder, golden, 0, &json, &error), MEDLEY_ERR_NOT_FOUND, folder);
  assert_null(json);
  assert_ok(folder_remove(folder, &error));
}

#ifdef MEDLEY_FAULTS
static void test_memory_runs_out(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], *text = NULL;
  const medley_model_options all = {.tensors = 1, .check = 1};
  test_folder(folder);
  bert_write(folder, true);
  text_write(folder, "config.json", "{\"model_type\":\"bert\"}");
  text_write(folder, "vocab.txt", "a\nb\n");
  bool struck = true;
  for (long n = 1; struck; n++) {
    memory_fault_after(n);
    medley_status status = medley_model_describe(folder, &all, NULL, &text, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    medley_free(text);
  }
  assert_ok(folder_remove(folder, &error));
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gguf),
      cmocka_unit_test(test_folder_and_check),
      cmocka_unit_test(test_list),
      cmocka_unit_test(test_check_towers),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_runs_out),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
