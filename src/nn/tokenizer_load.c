/* nn/tokenizer_load.c: which reader a path needs, and what all readers end with. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "nn/tokenizer_parts.h"

const tokenizer_kind *const tokenizer_kinds[] = {
    &tokenizer_wordpiece, &tokenizer_bpe, &tokenizer_sentencepiece_bpe, &tokenizer_unigram, &tokenizer_wordlevel, NULL};

/* ---- building ---- */

medley_status tokenizer_create(tokenizer **out, medley_error *err) {
  *out = NULL;
  tokenizer *t = mem_zalloc(1, sizeof *t);
  if (t == NULL) return error_memory(err, "a tokenizer");
  pthread_mutex_init(&t->lock, NULL);
  t->model.unknown_id = -1;
  for (int i = 0; i < TOKENIZER_SPECIAL_COUNT; i++) t->special[i] = -1;
  *out = t;
  return MEDLEY_OK;
}

medley_status tokenizer_add(tokenizer *t, added_token added, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(t->added, t->added_capacity, t->added_count + 1, "added tokens");
  t->added[t->added_count++] = added;
done:
  return status;
}

medley_status tokenizer_add_specials(tokenizer *t, const char *const *tokens, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < count; i++) {
    int32_t id = tokenizer_find(t, tokens[i]);
    if (id >= 0) TRY(tokenizer_add(t, (added_token){.id = id, .special = true}, err));
  }
done:
  return status;
}

/* An added token that is looked for in normalised text is normalised itself. The texts live in `memory`. */
static medley_status added_text(const tokenizer *t, tokenizer_scratch *s, const added_token *added, arena *memory,
                                trie_key *key, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const vocabulary_token *token = &t->vocabulary.tokens[added->id];
  traced_text *now = &s->texts[0];
  traced_reset(now, false);
  (void)traced_read(now, token->bytes, token->length, false);
  for (size_t i = 0; added->normalized && i < t->normalizers.count; i++) {
    traced_text *to = now == &s->texts[0] ? &s->texts[1] : &s->texts[0];
    traced_reset(to, false);
    TRY(t->normalizers.steps[i].kind.normalizer->apply(&t->normalizers.steps[i], s, now, to, err));
    now = to;
  }
  key->bytes = now->failed ? NULL : arena_strndup(memory, now->bytes, now->length);
  key->length = (uint32_t)now->length;
  if (key->bytes == NULL) status = error_memory(err, "added tokens");
done:
  return status;
}

static medley_status added_build(tokenizer *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  tokenizer_scratch s = {.owner = t};
  trie_key *keys[2] = {NULL, NULL};
  size_t counts[2] = {0, 0};
  arena *memory = arena_create(0);
  TRY_NEW(s.regexes, t->regex_count, "added tokens");
  TRY_NEW(keys[0], t->added_count, "added tokens");
  TRY_NEW(keys[1], t->added_count, "added tokens");
  if (memory == NULL) {
    status = error_memory(err, "added tokens");
    goto done;
  }
  for (size_t i = 0; i < t->added_count; i++) {
    int side = t->added[i].normalized;
    trie_key *key = &keys[side][counts[side]++];
    key->value = (int32_t)i;
    TRY(added_text(t, &s, &t->added[i], memory, key, err));
  }
  TRY(trie_build(&t->added_raw, keys[0], counts[0], err));
  TRY(trie_build(&t->added_normalized, keys[1], counts[1], err));
done:
  for (size_t i = 0; s.regexes != NULL && i < t->regex_count; i++)
    if (s.regexes[i] != NULL) uregex_close(s.regexes[i]);
  mem_free(s.regexes);
  for (int i = 0; i < 4; i++) traced_deinit(&s.texts[i]);
  mem_free(s.chars);
  mem_free(s.char_origins);
  mem_free(s.char_classes);
  mem_free(keys[0]);
  mem_free(keys[1]);
  arena_free(memory);
  return status;
}

void tokenizer_guess_special(tokenizer *t) {
  static const struct {
    tokenizer_special which;
    const char *token;
  } names[] = {{TOKENIZER_UNKNOWN, "[UNK]"},
               {TOKENIZER_UNKNOWN, "<unk>"},
               {TOKENIZER_BEGIN, "[CLS]"},
               {TOKENIZER_BEGIN, "<s>"},
               {TOKENIZER_BEGIN, "<|startoftext|>"},
               {TOKENIZER_BEGIN, "<bos>"},
               {TOKENIZER_END, "[SEP]"},
               {TOKENIZER_END, "</s>"},
               {TOKENIZER_END, "<|endoftext|>"},
               {TOKENIZER_END, "<eos>"},
               {TOKENIZER_PAD, "[PAD]"},
               {TOKENIZER_PAD, "<pad>"},
               {TOKENIZER_MASK, "[MASK]"},
               {TOKENIZER_MASK, "<mask>"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (t->special[names[i].which] < 0) t->special[names[i].which] = tokenizer_find(t, names[i].token);
  if (t->special[TOKENIZER_UNKNOWN] < 0) t->special[TOKENIZER_UNKNOWN] = t->model.unknown_id;
}

medley_status tokenizer_finish(tokenizer *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (t->vocabulary.count == 0) FAIL(err, MEDLEY_ERR_INPUT, "the vocabulary is empty");
  for (size_t i = 0; i < t->normalizers.count + t->splitters.count; i++) {
    text_step *step =
        i < t->normalizers.count ? &t->normalizers.steps[i] : &t->splitters.steps[i - t->normalizers.count];
    if (step->regex != NULL) step->regex_slot = t->regex_count++;
    if (step->prepend == PREPEND_FIRST) t->always_traced = true;
  }
  if (t->model.kind->build != NULL) TRY(t->model.kind->build(t, err));
  TRY(added_build(t, err));
  TRY_NEW(t->skipped, t->vocabulary.count, "special tokens");
  for (size_t i = 0; i < t->added_count; i++)
    if (t->added[i].special) t->skipped[t->added[i].id] = 1;
  for (size_t i = 0; i < t->vocabulary.count; i++)
    if (t->vocabulary.tokens[i].type == TOKEN_CONTROL) t->skipped[i] = 1;
  tokenizer_guess_special(t);
done:
  return status;
}

medley_status tokenizer_read_pipeline(tokenizer *t, const json_t *config, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(normalizers_read(&t->normalizers, json_object_get(config, "normalizer"), err));
  TRY(splitters_read(&t->splitters, json_object_get(config, "pre_tokenizer"), err));
  TRY(template_read(&t->template, &t->vocabulary, json_object_get(config, "post_processor"), err));
  TRY(decoders_read(&t->decoders, json_object_get(config, "decoder"), err));
done:
  return status;
}

medley_status tokenizer_read_steps(tokenizer *t, const char *text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *config = NULL;
  TRY(json_parse(text, strlen(text), "a tokenizer's steps", &config, err));
  TRY(tokenizer_read_pipeline(t, config, err));
done:
  json_decref(config);
  return status;
}

medley_status tokenizer_hand_out(tokenizer *t, medley_status status, const char *name, tokenizer **out,
                                 medley_error *err) {
  if (status == MEDLEY_OK) status = tokenizer_finish(t, err);
  *out = status == MEDLEY_OK ? t : NULL;
  if (status == MEDLEY_OK) return status;
  tokenizer_free(t);
  return error_prefix(err, status, "%s", name);
}

/* ---- files ---- */

/* A whole file, unpacked when it is gzip. */
static medley_status bytes_read(const char *path, char **bytes, size_t *length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t capacity = 0;
  int got = 0;
  *bytes = NULL;
  *length = 0;
  if (!file_exists(path)) FAIL(err, MEDLEY_ERR_NOT_FOUND, "there is no file '%s'", path);
  gzFile in = gzopen(path, "rb");
  if (in == NULL) FAIL(err, MEDLEY_ERR_IO, "cannot open '%s'", path);
  do {
    void *grown = *bytes;
    if (!mem_grow(&grown, &capacity, *length + (1 << 16) + 1, 1)) {
      status = error_memory(err, path);
      break;
    }
    *bytes = grown;
    got = gzread(in, *bytes + *length, 1 << 16);
    if (got < 0) status = error_set(err, MEDLEY_ERR_INPUT, "%s: cannot be read or unpacked", path);
    if (got > 0) *length += (size_t)got;
    if (*length > TOKENIZER_FILE_MAX)
      status = error_set(err, MEDLEY_ERR_LIMIT, "%s: more than %zu bytes, which is the limit for a tokenizer", path,
                         TOKENIZER_FILE_MAX);
  } while (got > 0 && status == MEDLEY_OK);
  gzclose(in);
  if (status == MEDLEY_OK) (*bytes)[*length] = '\0';
done:
  return status;
}

/* The file `name` beside path: *out is NULL, without error, when there is none. */
static medley_status beside_read(const char *path, const char *name, tokenizer_bytes *out, char **owned,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t length = 0;
  char *folder = mem_strndup(path, (size_t)(path_name(path) - path));
  char *full = folder != NULL ? path_join(*folder != '\0' ? folder : ".", name) : NULL;
  *out = (tokenizer_bytes){0};
  if (full == NULL) {
    status = error_memory(err, name);
    goto done;
  }
  if (file_exists(full)) {
    TRY(bytes_read(full, owned, &length, err));
    *out = (tokenizer_bytes){*owned, length};
  }
done:
  mem_free(folder);
  mem_free(full);
  return status;
}

typedef struct tokenizer_format {
  const char *name;    /* how the file's name ends */
  const char *partner; /* read too, when it lies beside */
  medley_status (*read)(tokenizer_bytes file, tokenizer_bytes partner, const char *path, tokenizer **out,
                        medley_error *err);
} tokenizer_format;

static medley_status read_json(tokenizer_bytes file, tokenizer_bytes partner, const char *path, tokenizer **out,
                               medley_error *err) {
  (void)partner;
  return tokenizer_read_json(file, path, out, err);
}

static medley_status read_wordpiece(tokenizer_bytes file, tokenizer_bytes config, const char *path, tokenizer **out,
                                    medley_error *err) {
  return tokenizer_read_wordpiece(file, config, path, out, err);
}

static medley_status read_sentencepiece(tokenizer_bytes file, tokenizer_bytes config, const char *path, tokenizer **out,
                                        medley_error *err) {
  return tokenizer_read_sentencepiece(file, config, path, out, err);
}

static medley_status read_bpe(tokenizer_bytes file, tokenizer_bytes merges, const char *path, tokenizer **out,
                              medley_error *err) {
  if (merges.bytes == NULL) return error_set(err, MEDLEY_ERR_NOT_FOUND, "%s: there is no merges.txt beside it", path);
  return tokenizer_read_bpe(file, merges, path, out, err);
}

/* merges.txt without a vocab.json is CLIP's. */
static medley_status read_merges(tokenizer_bytes file, tokenizer_bytes vocab, const char *path, tokenizer **out,
                                 medley_error *err) {
  if (vocab.bytes == NULL) return tokenizer_read_clip(file, path, out, err);
  return tokenizer_read_bpe(vocab, file, path, out, err);
}

static medley_status read_clip(tokenizer_bytes file, tokenizer_bytes partner, const char *path, tokenizer **out,
                               medley_error *err) {
  (void)partner;
  return tokenizer_read_clip(file, path, out, err);
}

static const tokenizer_format formats[] = {
    {"vocab.json", "merges.txt", read_bpe},
    {"merges.txt", "vocab.json", read_merges},
    {".json", NULL, read_json},
    {".model", "tokenizer_config.json", read_sentencepiece},
    {".spm", "tokenizer_config.json", read_sentencepiece},
    {"bpe_simple_vocab_16e6.txt", NULL, read_clip},
    {"bpe_simple_vocab_16e6.txt.gz", NULL, read_clip},
    {".txt", "tokenizer_config.json", read_wordpiece},
};

static medley_status file_load(const char *path, tokenizer **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *bytes = NULL, *partner_bytes = NULL;
  size_t length = 0, i = 0;
  const size_t count = sizeof formats / sizeof *formats;
  tokenizer_bytes partner = {0};
  while (i < count && !string_ends(path, formats[i].name)) i++;
  if (i == count)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED,
         "%s: no tokenizer is called like this (tokenizer.json, vocab.txt, vocab.json, merges.txt, *.model, *.gguf)",
         path);
  TRY(bytes_read(path, &bytes, &length, err));
  if (formats[i].partner != NULL) TRY(beside_read(path, formats[i].partner, &partner, &partner_bytes, err));
  TRY(formats[i].read((tokenizer_bytes){bytes, length}, partner, path, out, err));
done:
  mem_free(bytes);
  mem_free(partner_bytes);
  return status;
}

/* What a folder is searched for, best first. */
static medley_status folder_load(const char *folder, tokenizer **out, medley_error *err) {
  static const char *const names[] = {"tokenizer.json", "tokenizer.model", "sentencepiece.bpe.model",
                                      "spiece.model",   "vocab.json",      "vocab.txt"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char *path = path_join(folder, names[i]);
    if (path == NULL) return error_memory(err, folder);
    bool there = file_exists(path);
    medley_status status = there ? file_load(path, out, err) : MEDLEY_OK;
    mem_free(path);
    if (there) return status;
  }
  return error_set(err, MEDLEY_ERR_NOT_FOUND,
                   "%s: holds no tokenizer (tokenizer.json, tokenizer.model, vocab.json or vocab.txt)", folder);
}

static medley_status gguf_load(const char *path, tokenizer **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  gguf g = {0};
  gguf_vocabulary v = {0};
  TRY(gguf_open(&g, path, err));
  TRY(gguf_vocabulary_load(&g, &v, err));
  TRY(tokenizer_read_gguf(&v, path, out, err));
done:
  gguf_vocabulary_deinit(&v);
  gguf_close(&g);
  return status;
}

medley_status tokenizer_load(const char *path, tokenizer **out, medley_error *err) {
  *out = NULL;
  if (string_ends(path, ".gguf")) return gguf_load(path, out, err);
  return file_is_folder(path) ? folder_load(path, out, err) : file_load(path, out, err);
}
