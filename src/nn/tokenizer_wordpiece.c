/* nn/tokenizer_wordpiece.c: WordPiece, BERT's model: the longest token that the rest of the word begins with, again and
 * again; a word that cannot be covered, or is too long, is unknown as a whole.
 *
 * Two tries, one for beginnings of words and one for tokens that continue them ("##ing", kept without the ##), find the
 * longest match in one walk. The reference tries ever shorter pieces against a hash map, which takes the square of the
 * word's length. */
#include <string.h>

#include "nn/tokenizer_parts.h"

#define WORD_CHARS_MAX_DEFAULT 100

static medley_status wordpiece_read(tokenizer *t, const json_t *model, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *unknown = json_member_string(model, "unk_token", "[UNK]");
  long long longest = json_member_integer(model, "max_input_chars_per_word", WORD_CHARS_MAX_DEFAULT);
  t->model.unknown_id = vocabulary_find(&t->vocabulary, unknown, strlen(unknown));
  t->model.word_chars_max = longest > 0 ? (size_t)longest : 0;
  t->model.prefix = mem_strdup(json_member_string(model, "continuing_subword_prefix", "##"));
  if (t->model.prefix == NULL) return error_memory(err, "a tokenizer");
  if (t->model.unknown_id < 0)
    FAIL(err, MEDLEY_ERR_INPUT, "the unknown token '%.60s' is not in the vocabulary", unknown);
done:
  return status;
}

static medley_status wordpiece_build(tokenizer *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tokenizer_vocabulary *v = &t->vocabulary;
  size_t prefix = strlen(t->model.prefix), inner = 0, words = 0;
  trie_key *keys[2] = {NULL, NULL};
  TRY_NEW(keys[0], v->count, "a vocabulary");
  TRY_NEW(keys[1], v->count, "a vocabulary");
  for (size_t i = 0; i < v->count; i++) {
    const vocabulary_token *token = &v->tokens[i];
    if (token->type != TOKEN_NORMAL || vocabulary_find(v, token->bytes, token->length) != (int32_t)i) continue;
    keys[0][words++] = (trie_key){token->bytes, token->length, (int32_t)i};
    if (token->length >= prefix && memcmp(token->bytes, t->model.prefix, prefix) == 0)
      keys[1][inner++] = (trie_key){token->bytes + prefix, token->length - (uint32_t)prefix, (int32_t)i};
  }
  TRY(trie_build(&t->model.words, keys[0], words, err));
  TRY(trie_build(&t->model.inner, keys[1], inner, err));
done:
  mem_free(keys[0]);
  mem_free(keys[1]);
  return status;
}

static bool word_is_too_long(const char *text, size_t length, size_t limit) {
  size_t chars = 0;
  if (length <= limit) return false;
  for (size_t i = 0; i < length; i++) chars += !U8_IS_TRAIL(text[i]);
  return chars > limit;
}

static medley_status wordpiece_encode(const tokenizer *t, tokenizer_scratch *s, const char *text, size_t length,
                                      medley_error *err) {
  (void)err;
  size_t before = s->token_count, used = 0;
  bool covered = !word_is_too_long(text, length, t->model.word_chars_max);
  for (size_t at = 0; covered && at < length; at += used) {
    int32_t id = trie_longest(at == 0 ? &t->model.words : &t->model.inner, text + at, length - at, &used);
    covered = id >= 0;
    if (covered) token_put(s, id, at, at + used);
  }
  if (!covered) {
    s->token_count = before;
    token_put(s, t->model.unknown_id, 0, length);
  }
  return MEDLEY_OK;
}

const tokenizer_kind tokenizer_wordpiece = {
    .name = "wordpiece",
    .json_type = "WordPiece",
    .summary = "the longest known beginning of the rest of the word, again and again (BERT)",
    .read = wordpiece_read,
    .build = wordpiece_build,
    .encode = wordpiece_encode,
};
