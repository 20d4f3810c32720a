/* nn/tokenizer_wordlevel.c: each piece is one token, or unknown. */
#include <string.h>

#include "nn/tokenizer_parts.h"

static medley_status wordlevel_read(tokenizer *t, const json_t *model, medley_error *err) {
  const char *unknown = json_member_string(model, "unk_token", "<unk>");
  (void)err;
  t->model.unknown_id = vocabulary_find(&t->vocabulary, unknown, strlen(unknown));
  return MEDLEY_OK;
}

static medley_status wordlevel_encode(const tokenizer *t, tokenizer_scratch *s, const char *text, size_t length,
                                      medley_error *err) {
  int32_t id = model_find(t, text, length);
  if (id < 0) id = t->model.unknown_id;
  if (id < 0)
    return error_set(err, MEDLEY_ERR_INPUT, "the word '%.*s' is not in the vocabulary, which has no unknown token",
                     (int)(length < 60 ? length : 60), text);
  token_put(s, id, 0, length);
  return MEDLEY_OK;
}

const tokenizer_kind tokenizer_wordlevel = {
    .name = "wordlevel",
    .json_type = "WordLevel",
    .summary = "each piece of the text is one token, or unknown",
    .read = wordlevel_read,
    .encode = wordlevel_encode,
};
