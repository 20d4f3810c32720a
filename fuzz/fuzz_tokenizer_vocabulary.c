/* Any bytes as vocab.txt, as merges of CLIP, and, cut at a NUL byte, as vocab.json and merges.txt. */
#include <string.h>

#include "nn/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The tokenizer by its place: what it holds is decided by the call that makes the status, in no set order. */
static void use(medley_status status, tokenizer **made) {
  static const char text[] = "unaffable a\xC3\xA9 \xE7\xBA\xA2 ab ba\xFF";
  token_list list = {0};
  tokenizer *t = *made;
  if (status != MEDLEY_OK) return;
  if (tokenizer_encode(t, text, sizeof text - 1, NULL, &list, NULL) != MEDLEY_OK) list.count = 0;
  token_list_deinit(&list);
  tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tokenizer *t = NULL;
  const tokenizer_bytes all = {(const char *)data, size}, none = {0};
  const uint8_t *cut = size > 0 ? memchr(data, '\0', size) : NULL;
  use(tokenizer_read_wordpiece(all, none, "fuzz", &t, NULL), &t);
  use(tokenizer_read_clip(all, "fuzz", &t, NULL), &t);
  if (cut == NULL) return 0;
  const tokenizer_bytes vocab = {(const char *)data, (size_t)(cut - data)};
  const tokenizer_bytes merges = {(const char *)cut + 1, size - vocab.length - 1};
  use(tokenizer_read_bpe(vocab, merges, "fuzz", &t, NULL), &t);
  return 0;
}
