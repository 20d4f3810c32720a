/* nn/tokenizer_gguf.c: the vocabulary of a GGUF file as a tokenizer: what llama.cpp does with it.
 *
 * The file names a model ("llama": sentencepiece's BPE, "t5": unigram, "bert": WordPiece, "gpt2": byte-level BPE) and,
 * for the last, the expression that splits text before it. WordPiece tokens are stored turned around: beginnings of
 * words carry ▁ and continuations nothing. */
#include <string.h>

#include "nn/tokenizer_parts.h"

/* ---- vocabularies ---- */

static medley_status tokens_put(tokenizer *t, const gguf_vocabulary *v, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < v->count; i++) {
    TRY(vocabulary_put(&t->vocabulary, (long long)i, v->tokens[i].bytes, v->tokens[i].length, false, err));
    vocabulary_token *token = &t->vocabulary.tokens[i];
    if (v->types != NULL && v->types[i] != GGUF_TOKEN_UNDEFINED) token->type = (uint8_t)v->types[i];
    if (v->scores != NULL) token->score = v->scores[i];
  }
done:
  return status;
}

/* Back to "word" and "##continuation"; [CLS] and its like stay. */
static medley_status wordpieces_put(tokenizer *t, const gguf_vocabulary *v, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf b = {0};
  for (size_t i = 0; i < v->count; i++) {
    gguf_text token = v->tokens[i];
    bool begins = token.length >= 3 && memcmp(token.bytes, SPACE_MARK, 3) == 0;
    bool bracket = token.length > 2 && token.bytes[0] == '[' && token.bytes[token.length - 1] == ']';
    strbuf_reset(&b);
    if (!begins && !bracket) strbuf_append(&b, "##");
    strbuf_append_bytes(&b, token.bytes + (begins ? 3 : 0), token.length - (begins ? 3 : 0));
    if (b.failed) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a vocabulary");
    TRY(vocabulary_put(&t->vocabulary, (long long)i, b.text, b.length, false, err));
    if (v->types != NULL && v->types[i] == GGUF_TOKEN_CONTROL) t->vocabulary.tokens[i].type = TOKEN_CONTROL;
  }
done:
  strbuf_deinit(&b);
  return status;
}

static medley_status merges_put(tokenizer *t, const gguf_vocabulary *v, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < v->merge_count; i++) {
    gguf_text merge = v->merges[i];
    const char *space = merge.length > 1 ? memchr(merge.bytes + 1, ' ', merge.length - 1) : NULL;
    if (space == NULL) FAIL(err, MEDLEY_ERR_INPUT, "merge %zu does not name two tokens", i + 1);
    size_t left = (size_t)(space - merge.bytes);
    TRY(vocabulary_put_merge(&t->vocabulary, merge.bytes, left, space + 1, merge.length - left - 1, 0, err));
  }
done:
  return status;
}

/* Control and user-defined tokens are found in text before anything else. */
static medley_status added_put(tokenizer *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < t->vocabulary.count; i++) {
    uint8_t type = t->vocabulary.tokens[i].type;
    if (type == TOKEN_CONTROL || type == TOKEN_USER_DEFINED)
      TRY(tokenizer_add(t, (added_token){.id = (int32_t)i, .special = type == TOKEN_CONTROL}, err));
  }
done:
  return status;
}

/* ---- models ---- */

static medley_status sentencepiece_read(tokenizer *t, const gguf_vocabulary *v, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sentencepiece_rules rules = {.add_prefix = v->add_space_prefix != 0,
                               .trim = v->remove_extra_whitespaces == 1,
                               .escape = true,
                               .charsmap = (const unsigned char *)v->precompiled_charsmap.bytes,
                               .charsmap_length = v->precompiled_charsmap.length};
  if (v->scores == NULL) FAIL(err, MEDLEY_ERR_INPUT, "the vocabulary has no scores, which its model needs");
  TRY(tokens_put(t, v, err));
  t->model.exact_sentencepiece = t->repair_each_byte = true;
  t->model.byte_fallback = true; /* switched off when a byte's token is missing */
  TRY(sentencepiece_rules_add(t, &rules, err));
  TRY(added_put(t, err));
done:
  return status;
}

static medley_status llama_read(tokenizer *t, const gguf_vocabulary *v, medley_error *err) {
  t->model.kind = &tokenizer_sentencepiece_bpe;
  return sentencepiece_read(t, v, err);
}

static medley_status t5_read(tokenizer *t, const gguf_vocabulary *v, medley_error *err) {
  t->model.kind = &tokenizer_unigram;
  return sentencepiece_read(t, v, err);
}

static medley_status bert_read(tokenizer *t, const gguf_vocabulary *v, medley_error *err) {
  medley_status status = MEDLEY_OK;
  t->model.kind = &tokenizer_wordpiece;
  t->model.word_chars_max = 100;
  t->model.prefix = mem_strdup("##");
  if (t->model.prefix == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a tokenizer");
  TRY(wordpieces_put(t, v, err));
  TRY(tokenizer_read_steps(t, tokenizer_bert_steps, err));
  TRY(added_put(t, err));
done:
  return status;
}

typedef struct split_rule { /* what tokenizer.ggml.pre names */
  const char *name;
  const char *steps; /* {"pre_tokenizer": …}; NULL: GPT-2's */
  bool ignore_merges;
} split_rule;

#define SPLIT_BY(regex)                                                                                              \
  "{\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": " \
  "\"" regex                                                                                                         \
  "\"}, \"behavior\": \"Isolated\"}, {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\":"          \
  " false}]}, \"decoder\": {\"type\": \"ByteLevel\"}}"
#define NEWER(digits)                                                            \
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|" digits \
  "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
static const char llama3_steps[] = SPLIT_BY(NEWER("\\\\p{N}{1,3}"));
static const char qwen2_steps[] = SPLIT_BY(NEWER("\\\\p{N}"));
static const char starcoder_steps[] =
    "{\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", \"individual_digits\": "
    "true},"
    " {\"type\": \"ByteLevel\", \"add_prefix_space\": false}]}, \"decoder\": {\"type\": \"ByteLevel\"}}";

static const split_rule split_rules[] = {
    {"gpt-2", NULL, false},
    {"phi-2", NULL, false},
    {"roberta-bpe", NULL, false},
    {"mpt", NULL, false},
    {"olmo", NULL, false},
    {"jais", NULL, false},
    {"llama-bpe", llama3_steps, true},
    {"llama3", llama3_steps, true},
    {"llama-v3", llama3_steps, true},
    {"qwen2", qwen2_steps, false},
    {"stablelm2", qwen2_steps, false},
    {"deepseek-r1-qwen", qwen2_steps, false},
    {"starcoder", starcoder_steps, false},
    {"refact", starcoder_steps, false},
    {"smollm", starcoder_steps, false},
    {"command-r", starcoder_steps, false},
    {"codeshell", starcoder_steps, false},
};

static medley_status gpt2_read(tokenizer *t, const gguf_vocabulary *v, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t i = 0, count = sizeof split_rules / sizeof *split_rules;
  while (i < count && strcmp(split_rules[i].name, v->pre) != 0) i++;
  if (i == count)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "how '%.60s' (tokenizer.ggml.pre) splits text is not known here", v->pre);
  t->model.kind = &tokenizer_bpe;
  t->model.ignore_merges = split_rules[i].ignore_merges;
  TRY(tokens_put(t, v, err));
  TRY(merges_put(t, v, err));
  TRY(tokenizer_read_steps(t, split_rules[i].steps != NULL ? split_rules[i].steps : tokenizer_gpt2_steps, err));
  TRY(added_put(t, err));
done:
  return status;
}

/* begin, end: put around a text when the file does not say. */
static const struct {
  const char *name;
  bool begin, end;
  medley_status (*read)(tokenizer *t, const gguf_vocabulary *v, medley_error *err);
} models[] = {
    {"bert", true, true, bert_read},
    {"gpt2", false, false, gpt2_read},
    {"llama", true, false, llama_read},
    {"t5", false, true, t5_read},
};

/* ---- the call ---- */

static int32_t first_id(int64_t a, int64_t b) { return (int32_t)(a >= 0 ? a : b); }

static medley_status specials_set(tokenizer *t, const gguf_vocabulary *v, bool begin, bool end, medley_error *err) {
  int32_t *special = t->special;
  special[TOKENIZER_UNKNOWN] = t->model.unknown_id;
  special[TOKENIZER_BEGIN] = first_id(v->cls, v->bos);
  special[TOKENIZER_END] = first_id(v->separator, v->eos);
  special[TOKENIZER_PAD] = (int32_t)v->padding;
  special[TOKENIZER_MASK] = (int32_t)v->mask;
  begin = v->add_bos >= 0 ? v->add_bos == 1 : begin;
  end = v->add_eos >= 0 ? v->add_eos == 1 : end;
  return template_set(&t->template, begin ? special[TOKENIZER_BEGIN] : -1, end ? special[TOKENIZER_END] : -1, false,
                      true, err);
}

medley_status tokenizer_read_gguf(const gguf_vocabulary *v, const char *name, tokenizer **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  tokenizer *t = NULL;
  size_t i = 0;
  const size_t count = sizeof models / sizeof *models;
  TRY(tokenizer_create(&t, err));
  while (i < count && strcmp(models[i].name, v->model) != 0) i++;
  if (i == count)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "the vocabulary '%.60s' (tokenizer.ggml.model) is not known here", v->model);
  TRY(models[i].read(t, v, err));
  /* Older files do not name their unknown token. */
  int32_t unknown = (int32_t)v->unknown;
  for (size_t k = 0; unknown < 0 && v->types != NULL && k < v->count; k++)
    if (v->types[k] == GGUF_TOKEN_UNKNOWN) unknown = (int32_t)k;
  t->model.unknown_id = unknown;
  if (unknown < 0 && t->model.kind != &tokenizer_bpe)
    FAIL(err, MEDLEY_ERR_INPUT, "the vocabulary has no unknown token, which its model needs");
  TRY(specials_set(t, v, models[i].begin, models[i].end, err));
done:
  return tokenizer_hand_out(t, status, name, out, err);
}
