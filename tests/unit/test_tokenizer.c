/* Tokenizers: ids, offsets and texts of the reference (tests/golden/make_tokenizers.py), the vectors of llama.cpp's
 * vocabularies, fast ways beside slow ones, refusals, memory that runs out, threads. 10,000 texts against the reference
 * itself: tests/long/test_tokenizers.py. */
#include "nn/tokenizer.h"

#include <pthread.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "test.h"

static const tokenizer_options with_offsets = {.offsets = true};
static const tokenizer_options plain = {.plain = true};

static const char *golden(const char *name, char path[512]) {
  snprintf(path, 512, "%s/tests/golden/tokenizers/%s", getenv("MEDLEY_SOURCE"), name);
  return path;
}

static tokenizer *load_golden(const char *name) {
  medley_error error;
  char path[512];
  tokenizer *t;
  assert_ok(tokenizer_load(golden(name, path), &t, &error));
  return t;
}

static tokenizer_bytes bytes_of(const char *text) { return (tokenizer_bytes){text, strlen(text)}; }

/* ---- the reference's own numbers ---- */

static size_t unhex(const char *hex, char *out) {
  size_t length = strlen(hex) / 2;
  for (size_t i = 0; i < length; i++) {
    char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
    out[i] = (char)strtol(digits, NULL, 16);
  }
  return length;
}

static void check_case(const tokenizer *t, const char *name, size_t number, const json_t *expected) {
  medley_error error;
  char text[512], *decoded;
  token_list list = {0};
  size_t length = unhex(json_member_string(expected, "text", ""), text);
  const json_t *ids = json_object_get(expected, "ids"), *offsets = json_object_get(expected, "offsets");
  assert_ok(tokenizer_encode(t, text, length, &with_offsets, &list, &error));
  if (list.count != json_array_size(ids))
    fail_msg("%s, text %zu: %zu tokens, expected %zu", name, number, list.count, json_array_size(ids));
  for (size_t i = 0; i < list.count; i++) {
    assert_int_equal(list.ids[i], json_integer_value(json_array_get(ids, i)));
    assert_true(list.offsets[i].begin <= list.offsets[i].end && list.offsets[i].end <= length);
    const json_t *span = json_array_get(offsets, i);
    if (span != NULL && (list.offsets[i].begin != json_integer_value(json_array_get(span, 0)) ||
                         list.offsets[i].end != json_integer_value(json_array_get(span, 1))))
      fail_msg("%s, text %zu, token %zu: bytes %u to %u", name, number, i, list.offsets[i].begin, list.offsets[i].end);
  }
  if (json_is_string(json_object_get(expected, "decoded"))) {
    assert_ok(tokenizer_decode(t, list.ids, list.count, true, &decoded, &error));
    assert_string_equal(decoded, json_member_string(expected, "decoded", ""));
    mem_free(decoded);
  }
  token_list_deinit(&list);
}

static json_t *golden_cases(void) {
  medley_error error;
  char path[512], *bytes;
  size_t length;
  json_t *cases;
  assert_ok(file_read(golden("cases.json", path), 1 << 24, &bytes, &length, &error));
  /* texts hold U+0000 */
  cases = json_loadb(bytes, length, JSON_ALLOW_NUL, NULL);
  assert_non_null(cases);
  mem_free(bytes);
  return cases;
}

/* Every kind: wordpiece, bpe, unigram, wordlevel, sentencepiece.bpe. */
static void golden_ids(void **state) {
  (void)state;
  json_t *cases = golden_cases(), *rows;
  const char *name;
  json_object_foreach(cases, name, rows) {
    tokenizer *t = load_golden(name);
    for (size_t i = 0; i < json_array_size(rows); i++) check_case(t, name, i, json_array_get(rows, i));
    tokenizer_free(t);
  }
  json_decref(cases);
}

static void kinds_of_files(void **state) {
  (void)state;
  static const struct {
    const char *file, *kind;
  } rows[] = {{"wordpiece.json", "wordpiece"}, {"bpe-gpt2.json", "bpe"},        {"unigram.json", "unigram"},
              {"wordlevel.json", "wordlevel"}, {"sp-unigram.model", "unigram"}, {"sp-bpe.model", "sentencepiece.bpe"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    tokenizer *t = load_golden(rows[i].file);
    assert_string_equal(tokenizer_kind_name(t), rows[i].kind);
    assert_true(tokenizer_size(t) > 50);
    tokenizer_free(t);
  }
}

/* ---- llama.cpp's vectors, CLIP ---- */

#define SEPARATOR "\n__ggml_vocab_test__\n"

static void check_vectors(const char *name, const char *kind) {
  medley_error error;
  char path[512], file[64], *in, *out;
  size_t length, out_length, count = 0;
  tokenizer *t;
  token_list list = {0};
  snprintf(file, sizeof file, "models/tokenizers/ggml-vocab-%s.gguf", name);
  if (test_data(file, path) == NULL) skip();
  assert_ok(tokenizer_load(path, &t, &error));
  assert_string_equal(tokenizer_kind_name(t), kind);
  strcat(path, ".inp");
  assert_ok(file_read(path, 1 << 20, &in, &length, &error));
  strcpy(path + strlen(path) - 4, ".out");
  assert_ok(file_read(path, 1 << 20, &out, &out_length, &error));
  char *line = out;
  for (const char *at = in, *end; at <= in + length; at = end + strlen(SEPARATOR), count++) {
    end = memmem(at, (size_t)(in + length - at), SEPARATOR, strlen(SEPARATOR));
    if (end == NULL) end = in + length;
    assert_ok(tokenizer_encode(t, at, (size_t)(end - at), &plain, &list, &error));
    for (size_t i = 0; i < list.count; i++) assert_int_equal(list.ids[i], strtol(line, &line, 10));
    assert_true(*line == '\n' || *line == '\0');
    line += *line == '\n';
  }
  assert_int_equal(count, 47);
  token_list_deinit(&list);
  tokenizer_free(t);
  mem_free(in);
  mem_free(out);
}

static void vectors_bert(void **state) {
  (void)state;
  check_vectors("bert-bge", "wordpiece");
}
static void vectors_gpt2(void **state) {
  (void)state;
  check_vectors("gpt-2", "bpe");
}
static void vectors_llama(void **state) {
  (void)state;
  check_vectors("llama-spm", "sentencepiece.bpe");
}

static void clip_merges(void **state) {
  (void)state;
  static const int32_t expected[] = {49406, 320, 1125, 539, 320, 2368, 49407};
  medley_error error;
  char path[512], *text;
  tokenizer *t;
  token_list list = {0};
  if (test_data("models/tokenizers/clip_bpe_simple_vocab_16e6.txt.gz", path) == NULL) skip();
  assert_ok(tokenizer_load(path, &t, &error));
  assert_int_equal(tokenizer_size(t), 49408);
  assert_ok(tokenizer_encode(t, "a photo of  a Cat", 17, NULL, &list, &error));
  assert_int_equal(list.count, 7);
  assert_memory_equal(list.ids, expected, sizeof expected);
  assert_ok(tokenizer_decode(t, list.ids, list.count, true, &text, &error));
  assert_string_equal(text, "a photo of a cat ");
  mem_free(text);
  assert_ok(tokenizer_encode(t, "a cat", 5, &(tokenizer_options){.pad_to = 77}, &list, &error));
  assert_int_equal(list.count, 77);
  assert_int_equal(list.ids[76], 49407);
  token_list_deinit(&list);
  tokenizer_free(t);
}

/* ---- plain files ---- */

static void vocab_txt(void **state) {
  (void)state;
  static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\n\xE7\xBA\xA2\nA\n";
  static const int32_t expected[] = {2, 4, 5, 6, 7, 1, 3}, cased[] = {2, 8, 3};
  medley_error error;
  tokenizer *t;
  token_list list = {0};
  assert_ok(tokenizer_read_wordpiece(bytes_of(vocab), (tokenizer_bytes){0}, "vocab.txt", &t, &error));
  assert_ok(tokenizer_encode(t, "UnAffable\xE7\xBA\xA2 xyz", 16, NULL, &list, &error));
  assert_int_equal(list.count, 7);
  assert_memory_equal(list.ids, expected, sizeof expected);
  assert_int_equal(tokenizer_special_id(t, TOKENIZER_PAD), 0);
  assert_int_equal(tokenizer_special_id(t, TOKENIZER_MASK), -1);
  tokenizer_free(t);
  tokenizer_bytes config =
      bytes_of("{\"do_lower_case\": false, \"model_max_length\": 1000000000000000019884624838656}");
  assert_refused(tokenizer_read_wordpiece(bytes_of(vocab), config, "vocab.txt", &t, &error), MEDLEY_ERR_INPUT, "JSON");
  config = bytes_of("{\"do_lower_case\": false, \"model_max_length\": 512}");
  assert_ok(tokenizer_read_wordpiece(bytes_of(vocab), config, "vocab.txt", &t, &error));
  assert_int_equal(tokenizer_tokens_max(t), 512);
  assert_ok(tokenizer_encode(t, "A", 1, NULL, &list, &error));
  assert_memory_equal(list.ids, cased, sizeof cased);
  token_list_deinit(&list);
  tokenizer_free(t);
}

static const char small_vocab[] =
    "{\"a\": 0, \"b\": 1, \"\xC4\xA0\": 2, \"ab\": 3, \"\xC4\xA0"
    "ab\": 4}";
static const char small_merges[] = "#version: 0.2\na b\n\xC4\xA0 ab\n";

static void vocab_and_merges(void **state) {
  (void)state;
  static const int32_t expected[] = {3, 4, 0, 2};
  medley_error error;
  char folder[256], path[512];
  tokenizer *t;
  token_list list = {0};
  test_folder(folder);
  snprintf(path, sizeof path, "%s/vocab.json", folder);
  assert_ok(file_write(path, small_vocab, strlen(small_vocab), &error));
  assert_refused(tokenizer_load(path, &t, &error), MEDLEY_ERR_NOT_FOUND, "merges.txt");
  snprintf(path, sizeof path, "%s/merges.txt", folder);
  assert_ok(file_write(path, small_merges, strlen(small_merges), &error));
  assert_ok(tokenizer_load(folder, &t, &error));
  assert_ok(tokenizer_encode(t, "ab aba ", 7, NULL, &list, &error));
  assert_int_equal(list.count, 4);
  assert_memory_equal(list.ids, expected, sizeof expected);
  token_list_deinit(&list);
  tokenizer_free(t);
  assert_ok(folder_remove(folder, &error));
}

/* ---- options ---- */

static void lengths_and_pairs(void **state) {
  (void)state;
  medley_error error;
  tokenizer *t = load_golden("wordpiece.json");
  token_list list = {0};
  const char *text = "the quick brown fox jumps over the lazy dog";
  assert_ok(tokenizer_encode(t, text, strlen(text), &(tokenizer_options){.tokens_max = 5}, &list, &error));
  assert_int_equal(list.count, 5);
  assert_int_equal(list.dropped, 6);
  assert_int_equal(list.ids[0], 1);
  assert_int_equal(list.ids[4], 2);
  assert_refused(tokenizer_encode(t, text, 3, &(tokenizer_options){.tokens_max = 1}, &list, &error), MEDLEY_ERR_USAGE,
                 "special tokens alone are 2");
  assert_int_equal(list.count, 0);
  assert_ok(tokenizer_encode(t, text, 3, &(tokenizer_options){.pad_to = 6, .offsets = true}, &list, &error));
  assert_int_equal(list.count, 6);
  assert_int_equal(list.attention[2], 1);
  assert_int_equal(list.attention[3], 0);
  assert_int_equal(list.ids[5], 4); /* [PAD] */
  tokenizer_options options = {.tokens_max = 9};
  assert_ok(tokenizer_encode_pair(t, bytes_of("the dog"), bytes_of(text), &options, &list, &error));
  assert_int_equal(list.count, 9); /* [CLS] the dog [SEP] four of the longer one [SEP] */
  assert_int_equal(list.segments[3], 0);
  assert_int_equal(list.segments[4], 1);
  assert_int_equal(list.ids[8], 2);
  options.literal_special = true;
  assert_ok(tokenizer_encode(t, "[SEP]", 5, &options, &list, &error));
  for (size_t i = 1; i + 1 < list.count; i++) assert_int_not_equal(list.ids[i], 2);
  tokenizer_free(t);
  t = load_golden("bpe-gpt2.json"); /* no template: one text after the other */
  assert_ok(tokenizer_encode_pair(t, bytes_of("the"), bytes_of("fox"), NULL, &list, &error));
  assert_int_equal(list.segments[list.count - 1], 1);
  token_list_deinit(&list);
  tokenizer_free(t);
}

/* ---- fast ways beside slow ones ---- */

/* The golden file with a piece of its text replaced. */
static tokenizer *load_changed(const char *name, const char *from, const char *to) {
  medley_error error;
  char path[512], *bytes;
  size_t length;
  strbuf changed = {0};
  tokenizer *t;
  assert_ok(file_read(golden(name, path), 1 << 24, &bytes, &length, &error));
  const char *at = strstr(bytes, from);
  assert_non_null(at);
  strbuf_append_bytes(&changed, bytes, (size_t)(at - bytes));
  strbuf_append(&changed, to);
  strbuf_append(&changed, at + strlen(from));
  assert_ok(tokenizer_read_json((tokenizer_bytes){changed.text, changed.length}, name, &t, &error));
  strbuf_deinit(&changed);
  mem_free(bytes);
  return t;
}

static size_t random_text(rng *r, char *text, size_t capacity) {
  static const char *const parts[] = {
      "the ",         "fox", " ",     "  ", "\n",       "'s",   "'LL",       "\xE7\xBA\xA2",
      "\xE8\xA3\x99", "12",  "345",   "!",  "?!",       "\r\n", "e\xCC\x81", "\xF0\x9F\x98\x80",
      "Running",      "\t",  "dress", "x",  "\xC2\xA0", "\xFF", "keep",      "\xE2\x96\x81"};
  size_t length = 0;
  for (size_t n = rng_below(r, 30); n > 0; n--) {
    const char *part = parts[rng_below(r, sizeof parts / sizeof *parts)];
    if (length + strlen(part) > capacity) break;
    memcpy(text + length, part, strlen(part));
    length += strlen(part);
  }
  return length;
}

static void assert_same(const tokenizer *a, const tokenizer *b, const char *text, size_t length) {
  medley_error error;
  token_list x = {0}, y = {0};
  assert_ok(tokenizer_encode(a, text, length, &with_offsets, &x, &error));
  assert_ok(tokenizer_encode(b, text, length, &with_offsets, &y, &error));
  assert_int_equal(x.count, y.count);
  if (x.count > 0) assert_memory_equal(x.ids, y.ids, x.count * sizeof *x.ids);
  if (x.count > 0) assert_memory_equal(x.offsets, y.offsets, x.count * sizeof *x.offsets);
  assert_ok(tokenizer_encode(b, text, length, NULL, &y, &error)); /* untraced */
  assert_int_equal(x.count, y.count);
  if (x.count > 0) assert_memory_equal(x.ids, y.ids, x.count * sizeof *x.ids);
  token_list_deinit(&x);
  token_list_deinit(&y);
}

/* By hand and by ICU; raw bytes and the alphabet written out (a step behind ByteLevel switches the former off). */
static void fast_as_slow(void **state) {
  (void)state;
  static const struct {
    const char *file, *from, *to;
  } rows[] = {
      {"bpe-llama3.json", "(?i:'s|'t", "(?i:'s|(?:'t)"},
      {"bpe-roberta.json", "\"pre_tokenizer\":{",
       "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\",\"add_prefix_space\":true},"
       "{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"\\n\"}]},\"unused\":{"},
      {"bpe-gpt2.json", "\"pre_tokenizer\":{",
       "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"
       "\"(?:'s|'t|'re|'ve|'m|'ll|'d)| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|\\\\s+\"},"
       "\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":"
       "false}]},\"unused\":{"},
  };
  char text[512];
  rng r;
  rng_seed(&r, 5);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    tokenizer *fast = load_golden(rows[i].file), *slow = load_changed(rows[i].file, rows[i].from, rows[i].to);
    for (int n = 0; n < 300; n++) assert_same(fast, slow, text, random_text(&r, text, sizeof text));
    tokenizer_free(fast);
    tokenizer_free(slow);
  }
}

/* Byte pair encoding as it is defined: the lowest rank anywhere, the leftmost of equals, again and again. */
static size_t naive_merge(const tokenizer *t, const char *const merges[][2], size_t merge_count, int32_t *ids,
                          size_t count) {
  char joined[64];
  for (;;) {
    size_t best = merge_count, at = 0;
    for (size_t i = 0; i + 1 < count; i++)
      for (size_t m = 0; m < best; m++)
        if (tokenizer_find(t, merges[m][0]) == ids[i] && tokenizer_find(t, merges[m][1]) == ids[i + 1]) {
          best = m;
          at = i;
        }
    if (best == merge_count) return count;
    snprintf(joined, sizeof joined, "%s%s", merges[best][0], merges[best][1]);
    ids[at] = tokenizer_find(t, joined);
    for (size_t i = at + 1; i + 1 < count; i++) ids[i] = ids[i + 1];
    count--;
  }
}

static void merging(void **state) {
  (void)state;
  static const char json[] =
      "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"c\": 2, \"ab\": 3, \"bc\": 4, \"abc\": 5, "
      "\"aa\": 6,"
      " \"aaa\": 7, \"ca\": 8, \"cab\": 9, \"aaaa\": 10}, \"merges\": [\"b c\", \"a b\", \"a a\", \"c ab\", \"a bc\", "
      "\"c a\","
      " \"aa a\", \"ab c\", \"aa aa\"]}}";
  static const char *const merges[][2] = {{"b", "c"}, {"a", "b"},  {"a", "a"},  {"c", "ab"}, {"a", "bc"},
                                          {"c", "a"}, {"aa", "a"}, {"ab", "c"}, {"aa", "aa"}};
  medley_error error;
  tokenizer *t;
  token_list list = {0};
  rng r;
  rng_seed(&r, 11);
  assert_ok(tokenizer_read_json(bytes_of(json), "merges", &t, &error));
  for (int n = 0; n < 200; n++) {
    char text[128];
    int32_t ids[128];
    size_t length = 1 + rng_below(&r, n % 2 ? 20 : 120);
    for (size_t i = 0; i < length; i++) ids[i] = (text[i] = (char)('a' + rng_below(&r, 3))) - 'a';
    size_t count = naive_merge(t, merges, sizeof merges / sizeof *merges, ids, length);
    assert_ok(tokenizer_encode(t, text, length, NULL, &list, &error));
    assert_int_equal(list.count, count);
    assert_memory_equal(list.ids, ids, count * sizeof *ids);
  }
  token_list_deinit(&list);
  tokenizer_free(t);
}

/* A megabyte without a space takes a moment, not its square. */
static void long_words(void **state) {
  (void)state;
  static const char *const names[] = {"bpe-gpt2.json", "sp-bpe.model", "sp-unigram.model", "wordpiece.json",
                                      "unigram-first.json"};
  medley_error error;
  size_t length = 1 << 18;
  char *text = mem_alloc(length, 1);
  for (size_t i = 0; i < length; i++) text[i] = "thefoxrunsoverandover"[i % 21];
  token_list list = {0};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    tokenizer *t = load_golden(names[i]);
    assert_ok(tokenizer_encode(t, text, length, NULL, &list, &error));
    tokenizer_free(t);
  }
  token_list_deinit(&list);
  mem_free(text);
}

/* ---- refusals ---- */

#define MODEL "\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", \"vocab\": {\"[UNK]\": 0, \"a\": 1}}"

static void json_refusals(void **state) {
  (void)state;
  static const struct {
    const char *json;
    medley_status status;
    const char *words;
  } rows[] = {
      {"{", MEDLEY_ERR_INPUT, "not valid JSON"},
      {"{}", MEDLEY_ERR_INPUT, "no \"model\""},
      {"[]", MEDLEY_ERR_INPUT, "no \"model\""},
      {"{\"model\": {\"type\": \"Neural\"}}", MEDLEY_ERR_UNSUPPORTED, "the model 'Neural' is not known"},
      {"{\"model\": {\"type\": \"BPE\", \"vocab\": []}}", MEDLEY_ERR_INPUT, "no \"vocab\" of its form"},
      {"{\"model\": {\"type\": \"BPE\", \"vocab\": {}, \"merges\": []}}", MEDLEY_ERR_INPUT, "vocabulary is empty"},
      {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": \"x\"}}}", MEDLEY_ERR_INPUT, "no whole number"},
      {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": -1}}}", MEDLEY_ERR_LIMIT, "token id -1 is outside"},
      {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 99999999}}}", MEDLEY_ERR_LIMIT, "99999999 is outside"},
      {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 0}}}", MEDLEY_ERR_INPUT,
       "is given to 'a' and to 'b'"},
      {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1}, \"merges\": [\"a b\"]}}", MEDLEY_ERR_INPUT,
       "needs the token 'ab'"},
      {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a\"]}}", MEDLEY_ERR_INPUT, "two tokens"},
      {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [], \"dropout\": 0.1}}",
       MEDLEY_ERR_UNSUPPORTED, "dropout"},
      {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"unk_token\": \"u\"}}", MEDLEY_ERR_INPUT, "token 'u'"},
      {"{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 0]], \"unk_id\": 7}}", MEDLEY_ERR_INPUT, "unk_id is 7"},
      {"{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\"]]}}", MEDLEY_ERR_INPUT, "[token, score]"},
      {"{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 0}}}", MEDLEY_ERR_INPUT, "'[UNK]' is not in"},
      {"{\"normalizer\": {\"type\": \"Magic\"}, " MODEL "}", MEDLEY_ERR_UNSUPPORTED, "normalizer 'Magic' is not known"},
      {"{\"pre_tokenizer\": {\"type\": \"UnicodeScripts\"}, " MODEL "}", MEDLEY_ERR_UNSUPPORTED,
       "'UnicodeScripts' is not"},
      {"{\"post_processor\": {\"type\": \"Magic\"}, " MODEL "}", MEDLEY_ERR_UNSUPPORTED, "post-processor 'Magic'"},
      {"{\"decoder\": {\"type\": \"CTC\"}, " MODEL "}", MEDLEY_ERR_UNSUPPORTED, "decoder 'CTC'"},
      {"{\"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"AAAA\"}, " MODEL "}", MEDLEY_ERR_INPUT,
       "character map"},
      {"{\"normalizer\": {\"type\": \"Replace\", \"content\": \"\", \"pattern\": {\"Regex\": \"(\"}}, " MODEL "}",
       MEDLEY_ERR_UNSUPPORTED, "regular expression '('"},
      {"{\"pre_tokenizer\": {\"type\": \"Split\", \"behavior\": \"Odd\", \"pattern\": {\"String\": \"a\"}}, " MODEL "}",
       MEDLEY_ERR_UNSUPPORTED, "behavior 'Odd'"},
      {"{\"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"x\", 9], \"cls\": [\"y\", 0]}, " MODEL "}",
       MEDLEY_ERR_INPUT, "\"sep\" names no token of the vocabulary of 2"},
      {"{\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": "
       "\"Z\"}}]}, " MODEL "}",
       MEDLEY_ERR_INPUT, "'Z' of the template has no ids"},
      {"{\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"Sequence\": {\"id\": \"A\"}}, "
       "{\"Sequence\": {\"id\": \"A\"}}]}, " MODEL "}",
       MEDLEY_ERR_UNSUPPORTED, "\"single\" names A 2 times and B 0 times, not A once"},
      {"{\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": []}, " MODEL "}", MEDLEY_ERR_UNSUPPORTED,
       "\"single\" names A 0 times and B 0 times, not A once"},
      {"{\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"Sequence\": {\"id\": \"A\"}}], "
       "\"pair\": [{\"Sequence\": {\"id\": \"A\"}}, {\"Sequence\": {\"id\": \"B\"}}, "
       "{\"Sequence\": {\"id\": \"B\"}}]}, " MODEL "}",
       MEDLEY_ERR_UNSUPPORTED, "\"pair\" names A 1 times and B 2 times, not each once"},
      {"{\"added_tokens\": [{\"id\": 1, \"content\": \"zz\"}], " MODEL "}", MEDLEY_ERR_INPUT,
       "given to 'a' and to 'zz'"},
      {"{\"added_tokens\": [{\"id\": 5, \"content\": \"a\"}], " MODEL "}", MEDLEY_ERR_INPUT, "has it as 1"},
      {"{\"added_tokens\": [{\"content\": \"a\"}], " MODEL "}", MEDLEY_ERR_INPUT, "added token 0 needs"},
      {"{\"truncation\": {\"max_length\": -4}, " MODEL "}", MEDLEY_ERR_INPUT, "max_length is -4"},
  };
  medley_error error;
  tokenizer *t;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_refused(tokenizer_read_json(bytes_of(rows[i].json), "t.json", &t, &error), rows[i].status, rows[i].words);
}

static void deep_json(void **state) {
  (void)state;
  medley_error error;
  tokenizer *t;
  strbuf b = {0};
  for (int i = 0; i < 20; i++) strbuf_append(&b, "{\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [");
  assert_refused(tokenizer_read_json((tokenizer_bytes){b.text, b.length}, "deep", &t, &error), MEDLEY_ERR_INPUT,
                 "JSON");
  for (int i = 0; i < 50; i++) strbuf_append(&b, "[");
  assert_refused(tokenizer_read_json((tokenizer_bytes){b.text, b.length}, "deep", &t, &error), MEDLEY_ERR_LIMIT,
                 "nested");
  strbuf_reset(&b);
  strbuf_append(&b, "{\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}");
  for (int i = 0; i < 70; i++) strbuf_append(&b, ", {\"type\": \"NFC\"}");
  strbuf_append(&b, "]}, " MODEL "}");
  assert_refused(tokenizer_read_json((tokenizer_bytes){b.text, b.length}, "long", &t, &error), MEDLEY_ERR_LIMIT,
                 "more than 64 steps");
  strbuf_deinit(&b);
}

/* A regular expression that would backtrack for ever is stopped, and says so. */
static void endless_regex(void **state) {
  (void)state;
  static const char json[] =
      "{\"pre_tokenizer\": {\"type\": \"Split\", \"behavior\": \"Isolated\", \"pattern\": {\"Regex\": "
      "\"(a+)+$\"}}, " MODEL "}";
  medley_error error;
  tokenizer *t;
  token_list list = {0};
  assert_ok(tokenizer_read_json(bytes_of(json), "t.json", &t, &error));
  assert_refused(tokenizer_encode(t, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", 49, NULL, &list, &error),
                 MEDLEY_ERR_LIMIT, "takes too long");
  token_list_deinit(&list);
  tokenizer_free(t);
}

static void file_refusals(void **state) {
  (void)state;
  medley_error error;
  tokenizer *t;
  const tokenizer_bytes none = {0};
  assert_refused(tokenizer_load("/nowhere/tokenizer.json", &t, &error), MEDLEY_ERR_NOT_FOUND, "no file");
  assert_refused(tokenizer_load("model.bin", &t, &error), MEDLEY_ERR_UNSUPPORTED, "called like this");
  assert_refused(tokenizer_read_wordpiece(bytes_of("a\nb\n"), none, "v", &t, &error), MEDLEY_ERR_INPUT,
                 "no line [UNK]");
  assert_refused(tokenizer_read_wordpiece(bytes_of("[UNK]\n\xFF\n"), none, "v", &t, &error), MEDLEY_ERR_INPUT,
                 "not UTF-8");
  assert_refused(tokenizer_read_bpe(bytes_of("[]"), bytes_of(""), "v", &t, &error), MEDLEY_ERR_INPUT, "no JSON object");
  assert_refused(tokenizer_read_bpe(bytes_of(small_vocab), bytes_of("ab\n"), "v", &t, &error), MEDLEY_ERR_INPUT,
                 "line 1");
  assert_refused(tokenizer_read_bpe(bytes_of(small_vocab), bytes_of("a a\n"), "v", &t, &error), MEDLEY_ERR_INPUT,
                 "needs the token 'aa'");
  assert_refused(tokenizer_read_clip(bytes_of("head\nq\n"), "v", &t, &error), MEDLEY_ERR_INPUT, "line 2");
  assert_refused(tokenizer_read_sentencepiece(bytes_of("\x0a\x05zz"), none, "m", &t, &error), MEDLEY_ERR_INPUT,
                 "cut off");
  assert_refused(tokenizer_read_sentencepiece(none, none, "m", &t, &error), MEDLEY_ERR_INPUT, "no sentencepiece model");
  assert_refused(tokenizer_read_sentencepiece(bytes_of("\x0a\x03\x0a\x01\x61\x12\x02\x18\x04"), none, "m", &t, &error),
                 MEDLEY_ERR_UNSUPPORTED, "characters");
  assert_refused(
      tokenizer_read_sentencepiece(bytes_of("\x0a\x03\x0a\x01\x61\x12\x03\xC0\x02\x09"), none, "m", &t, &error),
      MEDLEY_ERR_INPUT, "unknown piece has id 9");
}

static void id_refusals(void **state) {
  (void)state;
  medley_error error;
  char *text;
  tokenizer *t = load_golden("wordpiece.json");
  assert_refused(tokenizer_decode(t, (const int32_t[]){1, 100000}, 2, false, &text, &error), MEDLEY_ERR_INPUT,
                 "id 100000 at place 1");
  assert_refused(tokenizer_decode(t, (const int32_t[]){-1}, 1, false, &text, &error), MEDLEY_ERR_INPUT, "id -1");
  assert_null(tokenizer_token(t, -1, NULL));
  assert_null(tokenizer_token(t, 1 << 20, NULL));
  assert_int_equal(tokenizer_find(t, "no such token"), -1);
  tokenizer_free(t);
}

/* "Replace", "ByteFallback", "Fuse", "Strip": bytes come together as characters, or as one U+FFFD each. */
static void decoding_bytes(void **state) {
  (void)state;
  static const char json[] =
      "{\"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": \"_\"},"
      " \"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}, {\"type\": \"Strip\", \"content\": \" "
      "\","
      " \"start\": 1, \"stop\": 0}]}, \"model\": {\"type\": \"BPE\", \"byte_fallback\": true, \"merges\": [], "
      "\"vocab\":"
      " {\"_a\": 0, \"<0xC3>\": 1, \"<0xA9>\": 2, \"b\": 3, \"a\": 4}}}";
  medley_error error;
  tokenizer *t;
  token_list list = {0};
  char *text;
  assert_ok(tokenizer_read_json(bytes_of(json), "t.json", &t, &error));
  assert_ok(tokenizer_decode(t, (const int32_t[]){0, 1, 2, 0, 1, 3}, 6, false, &text, &error));
  assert_string_equal(text,
                      "a\xC3\xA9 a\xEF\xBF\xBD"
                      "b");
  mem_free(text);
  assert_ok(tokenizer_encode(t, "b\xC3\xA9z", 4, NULL, &list, &error)); /* z has no byte token and is lost */
  assert_int_equal(list.count, 3);
  assert_memory_equal(list.ids, ((const int32_t[]){3, 1, 2}), 12);
  token_list_deinit(&list);
  tokenizer_free(t);
}

/* ---- memory that runs out, threads ---- */

#ifdef MEDLEY_FAULTS
static void no_memory(void **state) {
  (void)state;
  static const char *const names[] = {"wordpiece-steps.json", "bpe-icu.json", "unigram.json", "sp-bpe.model",
                                      "bpe-roberta.json"};
  static const char text[] = "The Caf\xC3\xA9 \xE7\xBA\xA2\xE8\x89\xB2 keep 12\xF0\x9F\x98\x80\xFF they'll";
  medley_error error;
  char path[512];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    for (long n = 1;; n += n < 40 ? 1 : 17) {
      tokenizer *t = NULL;
      token_list list = {0};
      char *decoded = NULL;
      memory_fault_after(n);
      medley_status status = tokenizer_load(golden(names[i], path), &t, &error);
      if (status == MEDLEY_OK) status = tokenizer_encode(t, text, strlen(text), &with_offsets, &list, &error);
      if (status == MEDLEY_OK) status = tokenizer_decode(t, list.ids, list.count, true, &decoded, &error);
      bool struck = memory_fault_struck();
      memory_fault_after(0);
      if (struck) assert_int_equal(status, MEDLEY_ERR_MEMORY);
      mem_free(decoded);
      token_list_deinit(&list);
      tokenizer_free(t);
      if (!struck) break;
    }
}
#endif

typedef struct worker {
  pthread_t thread;
  const tokenizer *t;
  uint64_t sum;
} worker;

static void *worker_run(void *context) {
  worker *w = context;
  token_list list = {0};
  char text[512];
  rng r;
  rng_seed(&r, 3);
  for (int n = 0; n < 500; n++) {
    size_t length = random_text(&r, text, sizeof text);
    if (tokenizer_encode(w->t, text, length, NULL, &list, NULL) != MEDLEY_OK) return NULL;
    for (size_t i = 0; i < list.count; i++) w->sum = w->sum * 31 + (uint64_t)list.ids[i];
  }
  token_list_deinit(&list);
  return NULL;
}

static void threads(void **state) {
  (void)state;
  tokenizer *t = load_golden("bpe-icu.json");
  worker workers[4] = {{0}};
  for (int i = 0; i < 4; i++) {
    workers[i].t = t;
    assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]), 0);
  }
  for (int i = 0; i < 4; i++) pthread_join(workers[i].thread, NULL);
  for (int i = 0; i < 4; i++) assert_true(workers[i].sum != 0 && workers[i].sum == workers[0].sum);
  tokenizer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(golden_ids),    cmocka_unit_test(kinds_of_files),   cmocka_unit_test(vectors_bert),
      cmocka_unit_test(vectors_gpt2),  cmocka_unit_test(vectors_llama),    cmocka_unit_test(clip_merges),
      cmocka_unit_test(vocab_txt),     cmocka_unit_test(vocab_and_merges), cmocka_unit_test(lengths_and_pairs),
      cmocka_unit_test(fast_as_slow),  cmocka_unit_test(merging),          cmocka_unit_test(long_words),
      cmocka_unit_test(json_refusals), cmocka_unit_test(deep_json),        cmocka_unit_test(endless_regex),
      cmocka_unit_test(file_refusals), cmocka_unit_test(id_refusals),      cmocka_unit_test(decoding_bytes),
      cmocka_unit_test(threads),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(no_memory),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
