/* nn/tokenizer_files.c: the plain files from before tokenizer.json: vocab.txt (BERT), vocab.json with merges.txt
 * (GPT-2, RoBERTa, CLIP) and CLIP's own merges.
 *
 * They hold a vocabulary and say nothing about the steps around it, which were code. Those steps are written here as
 * the tokenizer.json that the reference makes of such files, and read like one. */
#include <stdio.h>
#include <string.h>

#include "nn/tokenizer_bpe.h"

#define CLIP_MERGES (49152 - 256 - 2)
#define CLIP_BEGIN "<|startoftext|>"
#define CLIP_END "<|endoftext|>"

const char tokenizer_bert_steps[] =
    "{\"normalizer\": {\"type\": \"BertNormalizer\"}, \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},"
    " \"decoder\": {\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true}}";
const char tokenizer_gpt2_steps[] =
    "{\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false},"
    " \"post_processor\": {\"type\": \"ByteLevel\", \"trim_offsets\": false}, \"decoder\": {\"type\": \"ByteLevel\"}}";
static const char clip_steps[] =
    "{\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"},"
    " {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"\\\\s+\"}, \"content\": \" \"}, {\"type\": \"Lowercase\"}]},"
    " \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\":"
    " \"'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]|[^\\\\s\\\\p{L}\\\\p{N}]+\"}, \"behavior\": \"Removed\","
    " \"invert\": true}, {\"type\": \"ByteLevel\", \"add_prefix_space\": false}]},"
    " \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"ByteLevel\"},"
    " {\"type\": \"Replace\", \"pattern\": {\"String\": \"</w>\"}, \"content\": \" \"}]}}";

/* The next line without its end; false after the last. */
static bool line_next(tokenizer_bytes text, size_t *at, tokenizer_bytes *line) {
  if (*at >= text.length) return false;
  const char *begin = text.bytes + *at, *end = memchr(begin, '\n', text.length - *at);
  line->bytes = begin;
  line->length = end != NULL ? (size_t)(end - begin) : text.length - *at;
  *at += line->length + (end != NULL);
  if (line->length > 0 && line->bytes[line->length - 1] == '\r') line->length--;
  return true;
}

/* ---- vocab.txt: a token per line, the id is the line's number ---- */

static medley_status bert_configure(tokenizer *t, tokenizer_bytes config, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *root = NULL;
  text_step *normalizer = &t->normalizers.steps[0];
  if (config.bytes == NULL) return MEDLEY_OK;
  TRY(json_parse(config.bytes, config.length, "tokenizer_config.json", &root, err));
  normalizer->lowercase = json_member_flag(root, "do_lower_case", true);
  normalizer->strip_accents = json_member_flag(root, "strip_accents", normalizer->lowercase);
  normalizer->cjk = json_member_flag(root, "tokenize_chinese_chars", true);
  /* "infinity" is written as a number with thirty digits: no limit */
  long long longest = json_member_integer(root, "model_max_length", 0);
  if (longest > 0 && longest < INT32_MAX) t->tokens_max = (size_t)longest;
done:
  json_decref(root);
  return status;
}

static medley_status vocab_txt_read(tokenizer *t, tokenizer_bytes text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  tokenizer_bytes line;
  long long id = 0;
  for (size_t at = 0; line_next(text, &at, &line); id++) {
    TRY(vocabulary_put(&t->vocabulary, id, line.bytes, line.length, true, err));
  }
  t->model.unknown_id = tokenizer_find(t, "[UNK]");
  if (t->model.unknown_id < 0)
    FAIL(err, MEDLEY_ERR_INPUT, "there is no line [UNK]: this is no vocabulary of BERT's kind");
done:
  return status;
}

medley_status tokenizer_read_wordpiece(tokenizer_bytes vocab_txt, tokenizer_bytes config, const char *name,
                                       tokenizer **out, medley_error *err) {
  static const char *const specials[] = {"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};
  medley_status status = MEDLEY_OK;
  tokenizer *t = NULL;
  *out = NULL;
  TRY(tokenizer_create(&t, err));
  t->model.kind = &tokenizer_wordpiece;
  t->model.word_chars_max = 100;
  t->model.prefix = mem_strdup("##");
  if (t->model.prefix == NULL) {
    status = error_memory(err, "a tokenizer");
    goto done;
  }
  TRY(vocab_txt_read(t, vocab_txt, err));
  TRY(tokenizer_read_steps(t, tokenizer_bert_steps, err));
  TRY(bert_configure(t, config, err));
  TRY(tokenizer_add_specials(t, specials, 5, err));
  int32_t begin = tokenizer_find(t, "[CLS]"), end = tokenizer_find(t, "[SEP]");
  if (begin >= 0 && end >= 0) TRY(template_set(&t->template, begin, end, false, true, err));
done:
  return tokenizer_hand_out(t, status, name, out, err);
}

/* ---- vocab.json and merges.txt ---- */

/* "left right" on each line; the first may be "#version: …". At most `limit` merges. */
static medley_status merges_txt_read(tokenizer *t, tokenizer_bytes text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  tokenizer_bytes line;
  size_t number = 0;
  for (size_t at = 0; line_next(text, &at, &line);) {
    number++;
    if (line.length == 0 || (line.length > 8 && memcmp(line.bytes, "#version", 8) == 0)) continue;
    const char *space = memchr(line.bytes, ' ', line.length);
    if (space == NULL) FAIL(err, MEDLEY_ERR_INPUT, "line %zu of the merges does not name two tokens", number);
    size_t left = (size_t)(space - line.bytes);
    TRY(vocabulary_put_merge(&t->vocabulary, line.bytes, left, space + 1, line.length - left - 1, 0, err));
  }
done:
  return status;
}

static medley_status vocab_json_read(tokenizer *t, tokenizer_bytes text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *root = NULL, *id;
  const char *token;
  TRY(json_parse(text.bytes, text.length, "vocab.json", &root, err));
  if (!json_is_object(root)) FAIL(err, MEDLEY_ERR_INPUT, "the vocabulary is no JSON object");
  json_object_foreach(root, token, id) {
    if (!json_is_integer(id)) FAIL(err, MEDLEY_ERR_INPUT, "the id of the token '%.60s' is no whole number", token);
    TRY(vocabulary_put(&t->vocabulary, json_integer_value(id), token, strlen(token), false, err));
  }
done:
  json_decref(root);
  return status;
}

/* CLIP marks the end of words; RoBERTa has <s> and </s>; the rest is as GPT-2. */
static medley_status bpe_configure(tokenizer *t, medley_error *err) {
  static const char *const specials[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>", CLIP_BEGIN, CLIP_END};
  medley_status status = MEDLEY_OK;
  int32_t begin = tokenizer_find(t, CLIP_BEGIN), end = tokenizer_find(t, CLIP_END);
  int32_t roberta_begin = tokenizer_find(t, "<s>"), roberta_end = tokenizer_find(t, "</s>");
  bool clip = begin >= 0 && end >= 0 && tokenizer_find(t, "a</w>") >= 0;
  TRY(tokenizer_read_steps(t, clip ? clip_steps : tokenizer_gpt2_steps, err));
  TRY(tokenizer_add_specials(t, specials, sizeof specials / sizeof *specials, err));
  if (clip) {
    t->model.suffix = mem_strdup("</w>");
    if (t->model.suffix == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a tokenizer");
    t->model.unknown_id = end;
    t->special[TOKENIZER_PAD] = end;
    TRY(template_set(&t->template, begin, end, true, false, err));
  } else if (roberta_begin >= 0 && roberta_end >= 0) {
    t->template.trim_offsets = t->template.trim_prefix_space = true;
    TRY(template_set(&t->template, roberta_begin, roberta_end, true, false, err));
  }
done:
  return status;
}

medley_status tokenizer_read_bpe(tokenizer_bytes vocab_json, tokenizer_bytes merges_txt, const char *name,
                                 tokenizer **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  tokenizer *t = NULL;
  *out = NULL;
  TRY(tokenizer_create(&t, err));
  t->model.kind = &tokenizer_bpe;
  TRY(vocab_json_read(t, vocab_json, err));
  TRY(merges_txt_read(t, merges_txt, err));
  TRY(bpe_configure(t, err));
done:
  return tokenizer_hand_out(t, status, name, out, err);
}

/* ---- CLIP's merges: 256 bytes, 256 bytes that end a word, the merges in order, two special tokens ---- */

static medley_status clip_bytes_put(tokenizer *t, const char *suffix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (int pass = 0; pass < 2; pass++) /* printable bytes come first */
    for (int b = 0; b < 256; b++) {
      char text[16];
      int32_t length = 0;
      UChar32 c = byte_to_char((unsigned char)b);
      if ((c != b) != pass) continue;
      U8_APPEND_UNSAFE(text, length, c);
      length += snprintf(text + length, sizeof text - (size_t)length, "%s", suffix);
      TRY(vocabulary_put(&t->vocabulary, (long long)t->vocabulary.count, text, (size_t)length, false, err));
    }
done:
  return status;
}

static medley_status clip_merge_put(tokenizer *t, tokenizer_bytes line, size_t number, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char joined[1024];
  const char *space = memchr(line.bytes, ' ', line.length);
  if (space == NULL || line.length > sizeof joined || !utf8_valid(line.bytes, line.length))
    FAIL(err, MEDLEY_ERR_INPUT, "line %zu of the merges does not name two tokens", number);
  size_t left = (size_t)(space - line.bytes), right = line.length - left - 1;
  memcpy(joined, line.bytes, left);
  memcpy(joined + left, space + 1, right);
  TRY(vocabulary_put(&t->vocabulary, (long long)t->vocabulary.count, joined, left + right, true, err));
  TRY(vocabulary_put_merge(&t->vocabulary, line.bytes, left, space + 1, right, 0, err));
done:
  return status;
}

static medley_status clip_read(tokenizer *t, tokenizer_bytes text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  tokenizer_bytes line;
  size_t number = 0;
  TRY(clip_bytes_put(t, "", err));
  TRY(clip_bytes_put(t, "</w>", err));
  for (size_t at = 0; line_next(text, &at, &line) && t->vocabulary.merge_count < CLIP_MERGES;) {
    if (++number == 1) continue; /* "bpe_simple_vocab_16e6.txt#version: 0.2" */
    if (line.length > 0) TRY(clip_merge_put(t, line, number, err));
  }
  TRY(vocabulary_put(&t->vocabulary, (long long)t->vocabulary.count, CLIP_BEGIN, strlen(CLIP_BEGIN), false, err));
  TRY(vocabulary_put(&t->vocabulary, (long long)t->vocabulary.count, CLIP_END, strlen(CLIP_END), false, err));
  TRY(bpe_configure(t, err));
done:
  return status;
}

medley_status tokenizer_read_clip(tokenizer_bytes merges_txt, const char *name, tokenizer **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  tokenizer *t = NULL;
  *out = NULL;
  TRY(tokenizer_create(&t, err));
  t->model.kind = &tokenizer_bpe;
  t->tokens_max = 77;
  TRY(clip_read(t, merges_txt, err));
done:
  return tokenizer_hand_out(t, status, name, out, err);
}
