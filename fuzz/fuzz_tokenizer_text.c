/* Any bytes as text, through one tokenizer of each kind: ids are in the vocabulary, offsets in the text and in order of
 * begin for each kind that keeps it, and the same with and without offsets. */
#include <string.h>

#include "nn/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS(normalizer, splitter) "\"normalizer\": " normalizer ", \"pre_tokenizer\": " splitter ", "
static const char *const models[] = {
    "{" STEPS("{\"type\": \"BertNormalizer\"}", "{\"type\": \"BertPreTokenizer\"}")
    "\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"[UNK]\": 0, \"a\": 1, \"##b\": 2, \"the\": 3, \"##\": 4}}}",
    "{" STEPS("{\"type\": \"NFKC\"}", "{\"type\": \"ByteLevel\", \"add_prefix_space\": true}")
    "\"added_tokens\": [{\"id\": 9, \"content\": \"ab\", \"lstrip\": true, \"rstrip\": true}],"
    "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"\xC4\xA0\": 2, \"\xC4\xA0" "a\": 3, \"ba\": 4}, \"merges\":"
    " [\"\xC4\xA0 a\", \"b a\"]}}",
    "{" STEPS("{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFD\"}, {\"type\": \"Nmt\"}, {\"type\": \"StripAccents\"}]}",
              "{\"type\": \"Metaspace\", \"replacement\": \"\xE2\x96\x81\", \"prepend_scheme\": \"first\"}")
    "\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"<unk>\", 0], [\"\xE2\x96\x81\", -1], [\"a\", -2], [\"ab\","
    " -2.5], [\"\xE2\x96\x81" "ab\", -3]]}}",
    "{" STEPS("{\"type\": \"Lowercase\"}", "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"\\\\w+\\\\s?|\\\\P{L}\"}, \"behavior\":"
              " \"MergedWithNext\"}")
    "\"model\": {\"type\": \"BPE\", \"unk_token\": \"u\", \"fuse_unk\": true, \"vocab\": {\"u\": 0, \"a\": 1, \"b\": 2, \"ab\": 3},"
    " \"merges\": [\"a b\"]}}",
};

static void check(const tokenizer *t, const char *text, size_t size) {
  token_list with = {0}, without = {0};
  const tokenizer_options options = {.offsets = true};
  if (tokenizer_encode(t, text, size, &options, &with, NULL) == MEDLEY_OK &&
      tokenizer_encode(t, text, size, NULL, &without, NULL) == MEDLEY_OK) {
    if (with.count != without.count) __builtin_trap();
    for (size_t i = 0; i < with.count; i++) {
      if (with.ids[i] != without.ids[i] || with.ids[i] < 0 || (size_t)with.ids[i] >= tokenizer_size(t))
        __builtin_trap();
      if (with.offsets[i].begin > with.offsets[i].end || with.offsets[i].end > size) __builtin_trap();
    }
  }
  token_list_deinit(&with);
  token_list_deinit(&without);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static tokenizer *loaded[sizeof models / sizeof *models]; /* once, for as long as the fuzzer runs */
  for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
    tokenizer_bytes json = {models[i], strlen(models[i])};
    if (loaded[i] == NULL && tokenizer_read_json(json, "fuzz", &loaded[i], NULL) != MEDLEY_OK) __builtin_trap();
    check(loaded[i], (const char *)data, size);
  }
  return 0;
}
