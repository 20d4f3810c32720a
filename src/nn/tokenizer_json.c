/* nn/tokenizer_json.c: tokenizer.json, the format of Hugging Face's `tokenizers` library.
 *
 *   {"truncation", "padding", "added_tokens": [{"id", "content", "special", …}], "normalizer", "pre_tokenizer",
 *    "post_processor", "decoder", "model": {"type", "vocab", "merges", …}}
 */
#include <string.h>

#include "nn/tokenizer_parts.h"

/* A vocabulary as an object of token → id (BPE, WordPiece, WordLevel). */
static medley_status vocab_read_object(tokenizer *t, const json_t *vocab, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *token;
  json_t *id;
  json_object_foreach((json_t *)vocab, token, id) {
    if (!json_is_integer(id)) FAIL(err, MEDLEY_ERR_INPUT, "the id of the token '%.60s' is no whole number", token);
    TRY(vocabulary_put(&t->vocabulary, json_integer_value(id), token, strlen(token), false, err));
  }
done:
  return status;
}

/* A vocabulary as a list of [token, score] (Unigram): of equal tokens the last is found, as in the reference. */
static medley_status vocab_read_list(tokenizer *t, const json_t *vocab, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < json_array_size(vocab); i++) {
    const json_t *entry = json_array_get(vocab, i), *token = json_array_get(entry, 0),
                 *score = json_array_get(entry, 1);
    if (!json_is_string(token) || !json_is_number(score))
      FAIL(err, MEDLEY_ERR_INPUT, "entry %zu of the vocabulary is not [token, score]", i);
    TRY(vocabulary_put(&t->vocabulary, (long long)i, json_string_value(token), json_string_length(token), true, err));
    t->vocabulary.tokens[i].score = json_number_value(score);
  }
done:
  return status;
}

/* "left right", or ["left", "right"] where tokens may hold spaces. */
static medley_status merges_read(tokenizer *t, const json_t *merges, size_t prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < json_array_size(merges); i++) {
    const json_t *merge = json_array_get(merges, i), *a = json_array_get(merge, 0), *b = json_array_get(merge, 1);
    const char *left = json_string_value(a), *right = json_string_value(b);
    size_t left_length = json_string_length(a), right_length = json_string_length(b);
    if (json_is_string(merge)) {
      const char *space = strchr(json_string_value(merge), ' ');
      left = json_string_value(merge);
      left_length = space != NULL ? (size_t)(space - left) : 0;
      right = space != NULL ? space + 1 : NULL;
      right_length = space != NULL ? json_string_length(merge) - left_length - 1 : 0;
    }
    if (left == NULL || right == NULL) FAIL(err, MEDLEY_ERR_INPUT, "merge %zu does not name two tokens", i + 1);
    TRY(vocabulary_put_merge(&t->vocabulary, left, left_length, right, right_length, right_length < prefix ? 0 : prefix,
                             err));
  }
done:
  return status;
}

/* Files from before "type" was written are known by what they hold. */
static const char *model_type(const json_t *model) {
  const json_t *vocab = json_object_get(model, "vocab");
  const char *guess = json_object_get(model, "merges") != NULL ? "BPE" : json_is_array(vocab) ? "Unigram" : "WordPiece";
  return json_member_string(model, "type", guess);
}

static medley_status model_read(tokenizer *t, const json_t *model, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *type = model_type(model), *prefix = json_member_string(model, "continuing_subword_prefix", "");
  const json_t *vocab = json_object_get(model, "vocab");
  size_t i = 0;
  while (tokenizer_kinds[i] != NULL &&
         (tokenizer_kinds[i]->json_type == NULL || strcmp(tokenizer_kinds[i]->json_type, type) != 0))
    i++;
  t->model.kind = tokenizer_kinds[i];
  if (t->model.kind == NULL) FAIL(err, MEDLEY_ERR_UNSUPPORTED, "the model '%.60s' is not known here", type);
  if (json_is_array(vocab) != (t->model.kind == &tokenizer_unigram) ||
      (!json_is_array(vocab) && !json_is_object(vocab)))
    FAIL(err, MEDLEY_ERR_INPUT, "the model %s has no \"vocab\" of its form", type);
  if (json_is_array(vocab))
    TRY(vocab_read_list(t, vocab, err));
  else
    TRY(vocab_read_object(t, vocab, err));
  TRY(merges_read(t, json_object_get(model, "merges"), strlen(prefix), err));
done:
  return status;
}

/* Tokens beside the vocabulary, or of it, that are found in text before anything else. */
static medley_status added_read(tokenizer *t, const json_t *tokens, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < json_array_size(tokens); i++) {
    const json_t *entry = json_array_get(tokens, i), *content = json_object_get(entry, "content");
    size_t length = json_string_length(content);
    long long id = json_member_integer(entry, "id", -1);
    if (!json_is_string(content) || id < 0)
      FAIL(err, MEDLEY_ERR_INPUT, "added token %zu needs an \"id\" and a \"content\"", i);
    if (length == 0) continue;
    int32_t known = vocabulary_find(&t->vocabulary, json_string_value(content), length);
    if (known >= 0 && known != id)
      FAIL(err, MEDLEY_ERR_INPUT, "the added token '%.60s' has id %lld, the vocabulary has it as %d",
           json_string_value(content), id, (int)known);
    bool special = json_member_flag(entry, "special", false);
    if (known < 0) {
      TRY(vocabulary_put(&t->vocabulary, id, json_string_value(content), length, false, err));
      t->vocabulary.tokens[id].type = special ? TOKEN_CONTROL : TOKEN_USER_DEFINED; /* no part of the model */
    }
    added_token added = {.id = (int32_t)id,
                         .special = special,
                         .single_word = json_member_flag(entry, "single_word", false),
                         .strip_left = json_member_flag(entry, "lstrip", false),
                         .strip_right = json_member_flag(entry, "rstrip", false),
                         .normalized = json_member_flag(entry, "normalized", !special)};
    TRY(tokenizer_add(t, added, err));
  }
done:
  return status;
}

static medley_status lengths_read(tokenizer *t, const json_t *root, medley_error *err) {
  const json_t *truncation = json_object_get(root, "truncation"), *padding = json_object_get(root, "padding");
  long long longest = json_member_integer(truncation, "max_length", 0);
  long long pad = json_member_integer(padding, "pad_id", -1);
  if (longest < 0) return error_set(err, MEDLEY_ERR_INPUT, "truncation.max_length is %lld", longest);
  t->tokens_max = (size_t)longest;
  t->truncate_left = strcmp(json_member_string(truncation, "direction", "Right"), "Left") == 0;
  if (vocabulary_has(&t->vocabulary, pad)) t->special[TOKENIZER_PAD] = (int32_t)pad;
  return MEDLEY_OK;
}

medley_status tokenizer_read_json(tokenizer_bytes json, const char *name, tokenizer **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *root = NULL;
  tokenizer *t = NULL;
  TRY(json_parse(json.bytes, json.length, "tokenizer.json", &root, err));
  TRY(tokenizer_create(&t, err));
  const json_t *model = json_object_get(root, "model");
  if (!json_is_object(model)) FAIL(err, MEDLEY_ERR_INPUT, "there is no \"model\": this is no tokenizer.json");
  TRY(model_read(t, model, err));
  TRY(added_read(t, json_object_get(root, "added_tokens"), err));
  if (t->model.kind->read != NULL) TRY(t->model.kind->read(t, model, err));
  TRY(tokenizer_read_pipeline(t, root, err));
  TRY(lengths_read(t, root, err));
done:
  json_decref(root);
  return tokenizer_hand_out(t, status, name, out, err);
}
