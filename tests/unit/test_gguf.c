/* The GGUF format: golden values of every dtype, published vocabularies, and every lie a header can tell. */
#include "test.h"

#include "base/memory.h"
#include "base/strbuf.h"
#include "nn/gguf.h"
#include "nn/safetensors.h"

static const char *golden(const char *name, char path[512]) {
  const char *source = getenv("MEDLEY_SOURCE");
  snprintf(path, 512, "%s/tests/golden/gguf/%s", source ? source : ".", name);
  return path;
}

/* ---- values equal the reference's (tests/golden/gguf/make.py) ---- */

static void check_rows(const tensor_view *got, const tensor_view *expected) {
  enum { columns = 256 };
  float row[columns], twice[2 * columns];
  assert_int_equal(got->rank, 2);
  assert_int_equal(got->shape[0], 2);
  assert_int_equal(got->shape[1], columns);
  assert_int_equal(tensor_view_rows(got), 2);
  const float *want = expected->data;
  tensor_view_read_rows(got, 0, 2, twice);
  for (uint64_t r = 0; r < 2; r++) {
    tensor_view_read_rows(got, r, 1, row);
    assert_memory_equal(row, twice + r * columns, sizeof row);
    for (size_t i = 0; i < columns; i++) /* Bit for bit but where the compiler fuses a product into a sum. */
      if (!(fabsf(row[i] - want[r * columns + i]) <= 1e-6f * fabsf(want[r * columns + i]) + 1e-8f))
        fail_msg("%s [%d, %zu] is %.9g, expected %.9g", got->name, (int)r, i, (double)row[i],
                 (double)want[r * columns + i]);
  }
}

static void test_dequantised_values(void **state) {
  (void)state;
  medley_error error = {0};
  char path[512];
  gguf g;
  safetensors expected;
  assert_ok(gguf_open(&g, golden("blocks.gguf", path), &error));
  assert_ok(safetensors_open(&expected, golden("blocks.safetensors", path), &error));
  assert_int_equal(g.count, expected.count);
  assert_int_equal(g.count, 11);
  for (size_t i = 0; i < g.count; i++) {
    const tensor_view *want = safetensors_get(&expected, g.tensors[i].name);
    assert_non_null(want);
    assert_ptr_equal(gguf_get(&g, want->name), &g.tensors[i]);
    check_rows(&g.tensors[i], want);
  }
  assert_null(gguf_get(&g, "absent"));
  safetensors_close(&expected);
  gguf_close(&g);
}

static void test_metadata_and_vocabulary(void **state) {
  (void)state;
  medley_error error = {0};
  char path[512];
  gguf g;
  gguf_vocabulary v;
  int64_t integer = 0;
  double real = 0;
  assert_ok(gguf_open(&g, golden("blocks.gguf", path), &error));
  assert_int_equal(g.version, 3);
  assert_string_equal(gguf_string(&g, "general.architecture", ""), "llama");
  assert_int_equal(gguf_integer(&g, "llama.block_count", 0), 3);
  assert_int_equal(gguf_integer(&g, "test.small", 0), -7);
  assert_int_equal(gguf_integer(&g, "test.large", 1), 1); /* does not fit */
  assert_true(gguf_value_number(gguf_get_value(&g, "test.large"), &real));
  assert_near(real, 0x1p63, 0x1p12);
  assert_false(gguf_value_integer(gguf_get_value(&g, "test.half"), &integer));
  assert_near(gguf_number(&g, "test.half", 0), 0.5, 0);
  assert_int_equal(gguf_boolean(&g, "test.yes", 0), 1);
  assert_int_equal(gguf_boolean(&g, "test.small", -1), -1);
  assert_null(gguf_string(&g, "test.small", NULL));
  const gguf_value *numbers = gguf_get_value(&g, "test.numbers");
  assert_int_equal(numbers->count, 5);
  assert_near(gguf_value_element(numbers, 2), 4, 0);

  assert_ok(gguf_vocabulary_load(&g, &v, &error));
  assert_string_equal(v.model, "llama");
  assert_string_equal(v.pre, "");
  assert_int_equal(v.count, 6);
  assert_int_equal(v.tokens[3].length, 6);
  assert_memory_equal(v.tokens[3].bytes, "\xE2\x96\x81\xE5\x90\x8D", 6);
  assert_near(v.scores[4], -2, 0);
  assert_int_equal(v.types[1], GGUF_TOKEN_CONTROL);
  assert_int_equal(v.merge_count, 2);
  assert_memory_equal(v.merges[0].bytes, "a b", 3);
  assert_int_equal(v.bos, 1);
  assert_int_equal(v.unknown, 0);
  assert_int_equal(v.mask, -1);
  assert_int_equal(v.add_bos, 1);
  assert_int_equal(v.add_eos, -1);
  assert_null(v.precompiled_charsmap.bytes);
  gguf_vocabulary_deinit(&v);
  gguf_close(&g);
}

static void test_published_vocabularies(void **state) {
  (void)state;
  static const struct {
    const char *name, *model, *pre;
    size_t tokens, merges;
    bool scores;
    int64_t bos, separator;
  } rows[] = {
      {"gpt-2", "gpt2", "gpt-2", 50257, 50000, false, 50256, -1},
      {"bert-bge", "bert", "bert-bge", 30522, 0, false, -1, 102},
      {"llama-spm", "llama", "default", 32000, 0, true, 1, -1},
      {"baichuan", "llama", "", 64000, 0, true, 1, -1},
  };
  medley_error error = {0};
  char path[512], name[128];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    snprintf(name, sizeof name, "models/tokenizers/ggml-vocab-%s.gguf", rows[i].name);
    if (test_data(name, path) == NULL) skip();
    gguf g;
    gguf_vocabulary v;
    assert_ok(gguf_open(&g, path, &error));
    assert_int_equal(g.count, 0);
    assert_ok(gguf_vocabulary_load(&g, &v, &error));
    assert_string_equal(v.model, rows[i].model);
    assert_string_equal(v.pre, rows[i].pre);
    assert_int_equal(v.count, rows[i].tokens);
    assert_int_equal(v.merge_count, rows[i].merges);
    assert_int_equal(v.scores != NULL, rows[i].scores);
    assert_int_equal(v.bos, rows[i].bos);
    assert_int_equal(v.separator, rows[i].separator);
    gguf_vocabulary_deinit(&v);
    gguf_close(&g);
  }
}

/* ---- files made by hand ---- */

static void put_u32(strbuf *b, uint32_t value) { strbuf_append_bytes(b, &value, sizeof value); }
static void put_u64(strbuf *b, uint64_t value) { strbuf_append_bytes(b, &value, sizeof value); }
static void put_text(strbuf *b, const char *text) {
  put_u64(b, strlen(text));
  strbuf_append(b, text);
}
static void put_key(strbuf *b, const char *key, uint32_t type) {
  put_text(b, key);
  put_u32(b, type);
}
static void put_header(strbuf *b, uint32_t version, uint64_t tensors, uint64_t values) {
  strbuf_append(b, "GGUF");
  put_u32(b, version);
  put_u64(b, tensors);
  put_u64(b, values);
}
/* A matrix [rows, columns]. */
static void put_tensor(strbuf *b, const char *name, uint64_t columns, uint64_t rows, uint32_t type, uint64_t offset) {
  put_text(b, name);
  put_u32(b, 2);
  put_u64(b, columns);
  put_u64(b, rows);
  put_u32(b, type);
  put_u64(b, offset);
}
static void put_zeros(strbuf *b, size_t count) {
  for (size_t i = 0; i < count; i++) strbuf_append_char(b, 0);
}
static void put_padding(strbuf *b) { put_zeros(b, (32 - b->length % 32) % 32); }

static medley_status open_built(strbuf *b, medley_error *err) {
  gguf g;
  unsigned char *bytes = mem_zalloc_aligned(b->length + 1, 1);
  memcpy(bytes, b->text, b->length);
  medley_status status = gguf_open_bytes(&g, bytes, b->length, "lie", err);
  if (status == MEDLEY_OK) gguf_close(&g);
  mem_free(bytes);
  return status;
}

/* Two F32 tensors [2, 4] of 32 bytes each at these offsets, then so many bytes of data. */
static void two_tensors(strbuf *b, uint64_t first, uint64_t second, size_t data) {
  put_header(b, 3, 2, 0);
  put_tensor(b, "a", 4, 2, 0, first);
  put_tensor(b, "b", 4, 2, 0, second);
  put_padding(b);
  put_zeros(b, data);
}

static void one_tensor(strbuf *b, uint64_t columns, uint64_t rows, uint32_t type, size_t data) {
  put_header(b, 3, 1, 0);
  put_tensor(b, "a", columns, rows, type, 0);
  put_padding(b);
  put_zeros(b, data);
}

static void good(strbuf *b) { two_tensors(b, 0, 32, 64); }
static void good_unpadded(strbuf *b) { one_tensor(b, 1, 1, 0, 4); }
static void good_nested(strbuf *b) {
  put_header(b, 2, 0, 1);
  put_key(b, "x", 9);
  put_u32(b, 9), put_u64(b, 2);
  put_u32(b, 0), put_u64(b, 1), put_zeros(b, 1);
  put_u32(b, 8), put_u64(b, 1), put_text(b, "inner");
}
static void empty(strbuf *b) { strbuf_append(b, ""); }
static void other_magic(strbuf *b) { strbuf_append(b, "GGML0000000000000000"); }
static void version_1(strbuf *b) { put_header(b, 1, 0, 0); }
static void big_endian(strbuf *b) { put_header(b, 0x03000000, 0, 0); }
static void cut_header(strbuf *b) { strbuf_append(b, "GGUF\3"); }
static void many_values(strbuf *b) { put_header(b, 3, 0, 1000), put_zeros(b, 100); }
static void many_tensors(strbuf *b) { put_header(b, 3, UINT64_MAX, 0); }
static void long_key(strbuf *b) { put_header(b, 3, 0, 1), put_u64(b, UINT64_MAX), put_zeros(b, 100); }
static void cut_key(strbuf *b) { put_header(b, 3, 0, 1), put_u64(b, 1000), put_zeros(b, 100); }
static void broken_key(strbuf *b) { put_header(b, 3, 0, 1), put_key(b, "\xFF", 0), put_zeros(b, 100); }
static void unknown_type(strbuf *b) { put_header(b, 3, 0, 1), put_key(b, "x", 13), put_zeros(b, 100); }
static void long_string(strbuf *b) { put_header(b, 3, 0, 1), put_key(b, "x", 8), put_u64(b, 1 << 30); }
static void long_array(strbuf *b) {
  put_header(b, 3, 0, 1), put_key(b, "x", 9), put_u32(b, 6), put_u64(b, UINT64_MAX / 2), put_zeros(b, 100);
}
static void cut_strings(strbuf *b) {
  put_header(b, 3, 0, 1), put_key(b, "x", 9), put_u32(b, 8), put_u64(b, 2), put_text(b, "one"), put_u64(b, 99);
}
static void deep_array(strbuf *b) {
  put_header(b, 3, 0, 1), put_key(b, "x", 9);
  for (int i = 0; i < 30; i++) put_u32(b, 9), put_u64(b, 1);
}
static void same_key(strbuf *b) {
  put_header(b, 3, 0, 2);
  for (int i = 0; i < 2; i++) put_key(b, "x", 0), put_zeros(b, 1);
}
static void odd_alignment(strbuf *b) { put_header(b, 3, 0, 1), put_key(b, "general.alignment", 4), put_u32(b, 33); }
static void text_alignment(strbuf *b) { put_header(b, 3, 0, 1), put_key(b, "general.alignment", 8), put_text(b, "32"); }
static void same_name(strbuf *b) {
  put_header(b, 3, 2, 0);
  for (uint64_t i = 0; i < 2; i++) put_tensor(b, "a", 8, 1, 0, 32 * i);
  put_padding(b), put_zeros(b, 64);
}
static void rank_9(strbuf *b) { put_header(b, 3, 1, 0), put_text(b, "a"), put_u32(b, 9), put_zeros(b, 100); }
static void huge_sizes(strbuf *b) { one_tensor(b, 1ull << 33, 1ull << 33, 0, 64); }
static void ragged_blocks(strbuf *b) { one_tensor(b, 48, 2, 2, 64); }
static void unread_type(strbuf *b) { one_tensor(b, 256, 1, 10, 84); }
static void no_type(strbuf *b) { one_tensor(b, 256, 1, 99, 84); }
static void misaligned(strbuf *b) { two_tensors(b, 0, 36, 68); }
static void overlapping(strbuf *b) { two_tensors(b, 0, 0, 64); }
static void hole(strbuf *b) { two_tensors(b, 0, 64, 96); }
static void hole_before(strbuf *b) { two_tensors(b, 32, 64, 96); }
static void cut_data(strbuf *b) { two_tensors(b, 0, 32, 63); }
static void far_data(strbuf *b) { two_tensors(b, 0, UINT64_MAX - 31, 64); }
static void rest(strbuf *b) { two_tensors(b, 0, 32, 65); }

static void test_lies(void **state) {
  (void)state;
  static const struct {
    void (*build)(strbuf *b);
    medley_status status;
    const char *words;
  } rows[] = {
      {empty, MEDLEY_ERR_INPUT, "not a GGUF file"},
      {other_magic, MEDLEY_ERR_INPUT, "not a GGUF file"},
      {version_1, MEDLEY_ERR_UNSUPPORTED, "version 1, read are 2 and 3"},
      {big_endian, MEDLEY_ERR_UNSUPPORTED, "big-endian"},
      {cut_header, MEDLEY_ERR_INPUT, "the version at byte 4 needs 4 bytes, the file has 1 more"},
      {many_values, MEDLEY_ERR_INPUT, "1000 metadata values are claimed"},
      {many_tensors, MEDLEY_ERR_INPUT, "tensors are claimed"},
      {long_key, MEDLEY_ERR_LIMIT, "the limit is 65535"},
      {cut_key, MEDLEY_ERR_INPUT, "a key at byte 32 needs 1000 bytes, the file has 100 more"},
      {broken_key, MEDLEY_ERR_INPUT, "not UTF-8"},
      {unknown_type, MEDLEY_ERR_INPUT, "'x' has the unknown value type 13"},
      {long_string, MEDLEY_ERR_LIMIT, "claims 1073741824 bytes"},
      {long_array, MEDLEY_ERR_INPUT, "'x' claims 9223372036854775807 elements"},
      {cut_strings, MEDLEY_ERR_INPUT, "needs 99 bytes"},
      {deep_array, MEDLEY_ERR_LIMIT, "nested deeper than 4"},
      {same_key, MEDLEY_ERR_INPUT, "the key 'x' is there twice"},
      {odd_alignment, MEDLEY_ERR_INPUT, "general.alignment is 33"},
      {text_alignment, MEDLEY_ERR_INPUT, "general.alignment is -1"},
      {same_name, MEDLEY_ERR_INPUT, "the tensor 'a' is there twice"},
      {rank_9, MEDLEY_ERR_INPUT, "9 dimensions, at most 8"},
      {huge_sizes, MEDLEY_ERR_INPUT, "overflow"},
      {ragged_blocks, MEDLEY_ERR_INPUT, "rows of 48 values of tensor 'a' are no whole blocks of Q4_0 (32)"},
      {unread_type, MEDLEY_ERR_UNSUPPORTED, "'a' is Q2_K, which is not read"},
      {no_type, MEDLEY_ERR_UNSUPPORTED, "unknown type 99"},
      {misaligned, MEDLEY_ERR_INPUT, "'b' begins at 36, which is not aligned to 32"},
      {overlapping, MEDLEY_ERR_INPUT, "begin at 0, inside another tensor, expected 32"},
      {hole, MEDLEY_ERR_INPUT, "begin at 64, behind a hole, expected 32"},
      {hole_before, MEDLEY_ERR_INPUT, "begin at 32, behind a hole, expected 0"},
      {cut_data, MEDLEY_ERR_INPUT, "'b' needs 32 bytes from 32 on, the file has 63"},
      {far_data, MEDLEY_ERR_INPUT, "cut off, or it lies"},
      {rest, MEDLEY_ERR_INPUT, "1 bytes at the end belong to no tensor"},
      {good, MEDLEY_OK, ""},
      {good_unpadded, MEDLEY_OK, ""},
      {good_nested, MEDLEY_OK, ""},
  };
  medley_error error;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    strbuf b = {0};
    rows[i].build(&b);
    assert_refused(open_built(&b, &error), rows[i].status, rows[i].words);
    strbuf_deinit(&b);
  }
}

/* Every file that is a beginning of a good one is refused, none reads beyond its end (the copy has its exact length).
 */
static void test_every_cut(void **state) {
  (void)state;
  medley_error error = {0};
  char path[512];
  file_map map;
  assert_ok(file_map_open(&map, golden("blocks.gguf", path), &error));
  for (size_t length = 0; length < map.length - 32; length += length < 3000 ? 1 : 97) {
    unsigned char *bytes = mem_alloc(length, 1);
    memcpy(bytes, map.bytes, length);
    gguf g;
    medley_status status = gguf_open_bytes(&g, bytes, length, "cut", &error);
    if (status == MEDLEY_OK) fail_msg("%zu of %zu bytes are accepted", length, map.length);
    mem_free(bytes);
  }
  file_map_close(&map);
}

/* ---- vocabularies that contradict themselves ---- */

static void put_tokens(strbuf *b) {
  put_key(b, "tokenizer.ggml.model", 8), put_text(b, "bert");
  put_key(b, "tokenizer.ggml.tokens", 9), put_u32(b, 8), put_u64(b, 2), put_text(b, "a"), put_text(b, "b");
}
static void put_numbers(strbuf *b, const char *key, uint32_t type, uint64_t count, uint32_t value) {
  put_key(b, key, 9), put_u32(b, type), put_u64(b, count);
  for (uint64_t i = 0; i < count; i++) put_u32(b, value);
}
static void no_tokens(strbuf *b) { put_header(b, 3, 0, 1), put_key(b, "tokenizer.ggml.model", 8), put_text(b, "x"); }
static void tokens_of_numbers(strbuf *b) {
  put_header(b, 3, 0, 2), put_key(b, "tokenizer.ggml.model", 8), put_text(b, "x");
  put_numbers(b, "tokenizer.ggml.tokens", 4, 2, 1);
}
static void few_scores(strbuf *b) {
  put_header(b, 3, 0, 3), put_tokens(b), put_numbers(b, "tokenizer.ggml.scores", 6, 1, 0);
}
static void nan_scores(strbuf *b) {
  put_header(b, 3, 0, 3), put_tokens(b), put_numbers(b, "tokenizer.ggml.scores", 6, 2, 0x7FC00000);
}
static void odd_types(strbuf *b) {
  put_header(b, 3, 0, 3), put_tokens(b), put_numbers(b, "tokenizer.ggml.token_type", 5, 2, 7);
}
static void merges_of_numbers(strbuf *b) {
  put_header(b, 3, 0, 3), put_tokens(b), put_numbers(b, "tokenizer.ggml.merges", 5, 2, 7);
}
static void id_beyond(strbuf *b) {
  put_header(b, 3, 0, 3), put_tokens(b), put_key(b, "tokenizer.ggml.bos_token_id", 4), put_u32(b, 2);
}
static void id_of_text(strbuf *b) {
  put_header(b, 3, 0, 3), put_tokens(b), put_key(b, "tokenizer.ggml.bos_token_id", 8), put_text(b, "1");
}

static void test_contradicting_vocabularies(void **state) {
  (void)state;
  static const struct {
    void (*build)(strbuf *b);
    const char *words;
  } rows[] = {
      {no_tokens, "holds no vocabulary"},
      {tokens_of_numbers, "tokenizer.ggml.tokens is not an array of strings"},
      {few_scores, "tokenizer.ggml.scores has 1 numbers for 2 tokens"},
      {nan_scores, "the score of token 0 is not a number"},
      {odd_types, "token 0 has the unknown type 7"},
      {merges_of_numbers, "tokenizer.ggml.merges is not an array of strings"},
      {id_beyond, "tokenizer.ggml.bos_token_id is 2, the vocabulary has 2 tokens"},
      {id_of_text, "tokenizer.ggml.bos_token_id is -1"},
  };
  medley_error error = {0};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    strbuf b = {0};
    gguf g;
    gguf_vocabulary v;
    rows[i].build(&b);
    assert_ok(gguf_open_bytes(&g, b.text, b.length, "lie", &error));
    assert_refused(gguf_vocabulary_load(&g, &v, &error), MEDLEY_ERR_INPUT, rows[i].words);
    gguf_close(&g);
    strbuf_deinit(&b);
  }
}

#ifdef MEDLEY_FAULTS
static void test_memory_runs_out(void **state) {
  (void)state;
  medley_error error = {0};
  char path[512];
  golden("blocks.gguf", path);
  bool struck = true;
  for (long n = 1; struck; n++) {
    gguf g = {0};
    gguf_vocabulary v = {0};
    memory_fault_after(n);
    medley_status status = gguf_open(&g, path, &error);
    if (status == MEDLEY_OK) status = gguf_vocabulary_load(&g, &v, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    gguf_vocabulary_deinit(&v);
    gguf_close(&g);
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_dequantised_values),
      cmocka_unit_test(test_metadata_and_vocabulary),
      cmocka_unit_test(test_published_vocabularies),
      cmocka_unit_test(test_lies),
      cmocka_unit_test(test_every_cut),
      cmocka_unit_test(test_contradicting_vocabularies),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_runs_out),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
