/* Any bytes as a sentencepiece model: refused, or a tokenizer that encodes. */
#include "nn/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char text[] = " the Caf\xC3\xA9 ab  \xE7\xBA\xA2\xE8\x89\xB2 keep\xEF\xBF\xBD\xFF \xE2\x96\x81<s>";
  tokenizer *t;
  token_list list = {0};
  const tokenizer_bytes none = {0};
  if (tokenizer_read_sentencepiece((tokenizer_bytes){(const char *)data, size}, none, "fuzz", &t, NULL) != MEDLEY_OK)
    return 0;
  if (tokenizer_encode(t, text, sizeof text - 1, NULL, &list, NULL) != MEDLEY_OK) list.count = 0;
  for (size_t i = 0; i < list.count; i++)
    if (list.ids[i] < 0 || (size_t)list.ids[i] >= tokenizer_size(t)) __builtin_trap();
  token_list_deinit(&list);
  tokenizer_free(t);
  return 0;
}
