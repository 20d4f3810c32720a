/* Any bytes as a tokenizer.json: refused, or a tokenizer that encodes and decodes. */
#include "base/memory.h"
#include "nn/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char text[] =
      "The Caf\xC3\xA9 a b  \xE7\xBA\xA2\xE8\x89\xB2 keep 12\xF0\x9F\x98\x80\xFF they'll \xE2\x96\x81<s>";
  const tokenizer_options options = {.offsets = true};
  tokenizer *t;
  token_list list = {0};
  char *decoded = NULL;
  if (tokenizer_read_json((tokenizer_bytes){(const char *)data, size}, "fuzz", &t, NULL) != MEDLEY_OK) return 0;
  if (tokenizer_encode(t, text, sizeof text - 1, &options, &list, NULL) == MEDLEY_OK) {
    for (size_t i = 0; i < list.count; i++)
      if (list.offsets[i].begin > list.offsets[i].end || list.offsets[i].end >= sizeof text) __builtin_trap();
    if (tokenizer_decode(t, list.ids, list.count, true, &decoded, NULL) != MEDLEY_OK) __builtin_trap();
  }
  mem_free(decoded);
  token_list_deinit(&list);
  tokenizer_free(t);
  return 0;
}
