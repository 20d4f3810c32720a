/* nn/tokenizer.h: text → token ids and back, from the files that models are published with.
 *
 * Readable are tokenizer.json (Hugging Face), vocab.txt (BERT), vocab.json with merges.txt (GPT-2, RoBERTa, CLIP),
 * CLIP's merges alone, SentencePiece's .model and the vocabulary inside a GGUF file. The ids are those of the reference
 * implementation of that file: of the `tokenizers` library for the JSON kinds, of sentencepiece for .model files, of
 * llama.cpp for GGUF. What cannot be honoured is refused by name when the file is loaded, never guessed at.
 *
 * A tokenizer is a pipeline: tokens that were added to the vocabulary are cut out of the text, the rest is normalised,
 * split into pieces, each piece turned into ids by a model (wordpiece, bpe, unigram, ...; see `tokenizer_kinds`), and a
 * template puts special tokens such as [CLS] around the ids.
 *
 * Text is UTF-8. Malformed bytes count as U+FFFD: one for each maximal part of a sequence, as Unicode recommends and
 * Python's errors="replace" does; with sentencepiece's own files one for each byte, as sentencepiece does.
 *
 * Threads: a tokenizer may be used by any number of threads at once. A token_list belongs to one of them.
 */
#ifndef NN_TOKENIZER_H
#define NN_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "nn/gguf.h"

#define TOKENIZER_FILE_MAX ((size_t)256 << 20) /* bytes of one file, unpacked */
#define TOKENIZER_TEXT_MAX ((size_t)64 << 20)  /* bytes of one text */
#define TOKENIZER_NO_LIMIT SIZE_MAX            /* for tokens_max */

typedef struct tokenizer tokenizer;

/* Zero means: with special tokens, special tokens in the text are recognised, cut off where the file says, no offsets,
 * no padding. */
typedef struct tokenizer_options {
  bool plain;           /* no special tokens around the text */
  bool literal_special; /* a special token's name inside the text is ordinary text: for text that nobody has vetted */
  bool offsets;         /* fill token_list.offsets */
  size_t tokens_max;    /* at most this many ids, special tokens included; 0: what the file says, else no limit */
  size_t pad_to;        /* fill up with the padding token (id 0 when there is none) to this many ids; 0: none */
} tokenizer_options;

typedef struct token_span {
  uint32_t begin, end; /* bytes [begin, end) of the text as it was given */
} token_span;

/* Zero-initialise; reused from call to call; token_list_deinit frees. All arrays are [count]. */
typedef struct token_list {
  int32_t *ids;
  uint8_t *segments;   /* 0 for the first text, 1 for the second, as the file's template says ("token type ids") */
  uint8_t *special;    /* 1: put there by the template or by padding */
  uint8_t *attention;  /* 0: padding */
  token_span *offsets; /* when asked for; {0, 0} for tokens of the template. A character that became several tokens, as
                        * bytes do, is named by each of them whole. */
  size_t count, capacity, offsets_capacity;
  size_t dropped; /* tokens that did not fit into tokens_max */
} token_list;
void token_list_deinit(token_list *list);

typedef enum tokenizer_special {
  TOKENIZER_UNKNOWN, /* [UNK], <unk> */
  TOKENIZER_BEGIN,   /* [CLS], <s>, <|startoftext|> */
  TOKENIZER_END,     /* [SEP], </s>, <|endoftext|> */
  TOKENIZER_PAD,     /* [PAD], <pad> */
  TOKENIZER_MASK,    /* [MASK], <mask> */
  TOKENIZER_SPECIAL_COUNT
} tokenizer_special;

/* A file of any of the kinds above, or a folder in which tokenizer.json, a .model, vocab.json or vocab.txt is looked
 * for in this order. `vocab.json` and `merges.txt` find each other; beside any but tokenizer.json,
 * tokenizer_config.json is heeded (do_lower_case, strip_accents, tokenize_chinese_chars, add_bos_token, add_eos_token).
 * Errors: NOT_FOUND, INPUT (malformed, or contradicting itself), LIMIT, UNSUPPORTED (a kind of step or model that is
 * not known, named). */
medley_status tokenizer_load(const char *path, tokenizer **out, medley_error *err) MEDLEY_CHECK;
void tokenizer_free(tokenizer *t);

/* The same from bytes; `name` is for sentences; nothing is kept of the arguments. config: the object in
 * tokenizer_config.json as text, or NULL. */
typedef struct tokenizer_bytes {
  const char *bytes;
  size_t length;
} tokenizer_bytes;
medley_status tokenizer_read_json(tokenizer_bytes json, const char *name, tokenizer **out,
                                  medley_error *err) MEDLEY_CHECK;
medley_status tokenizer_read_wordpiece(tokenizer_bytes vocab_txt, tokenizer_bytes config, const char *name,
                                       tokenizer **out, medley_error *err) MEDLEY_CHECK;
medley_status tokenizer_read_bpe(tokenizer_bytes vocab_json, tokenizer_bytes merges_txt, const char *name,
                                 tokenizer **out, medley_error *err) MEDLEY_CHECK;
/* OpenAI CLIP's bpe_simple_vocab_16e6.txt, unpacked: the vocabulary follows from the merges. */
medley_status tokenizer_read_clip(tokenizer_bytes merges_txt, const char *name, tokenizer **out,
                                  medley_error *err) MEDLEY_CHECK;
medley_status tokenizer_read_sentencepiece(tokenizer_bytes model, tokenizer_bytes config, const char *name,
                                           tokenizer **out, medley_error *err) MEDLEY_CHECK;

/* The vocabulary of a GGUF file; v may be freed afterwards. The ways to split text that `pre` names and that are known
 * are listed in nn/tokenizer_gguf.c. */
medley_status tokenizer_read_gguf(const gguf_vocabulary *v, const char *name, tokenizer **out,
                                  medley_error *err) MEDLEY_CHECK;

/* text [length bytes], which may hold any bytes. options NULL: all zero. */
medley_status tokenizer_encode(const tokenizer *t, const char *text, size_t length, const tokenizer_options *options,
                               token_list *out, medley_error *err) MEDLEY_CHECK;
/* Two texts in one sequence, as cross-encoders want them; when they are too long together, the longer one is cut first.
 */
medley_status tokenizer_encode_pair(const tokenizer *t, tokenizer_bytes first, tokenizer_bytes second,
                                    const tokenizer_options *options, token_list *out, medley_error *err) MEDLEY_CHECK;
/* ids [count] → *text (mem_free), UTF-8: bytes that do not form a character become U+FFFD. An id that is not in the
 * vocabulary is refused. */
medley_status tokenizer_decode(const tokenizer *t, const int32_t *ids, size_t count, bool skip_special, char **text,
                               medley_error *err) MEDLEY_CHECK;

/* ---- what is inside; borrowed, never NULL unless said ---- */

const char *tokenizer_kind_name(const tokenizer *t); /* "wordpiece", "bpe", ... */
size_t tokenizer_size(const tokenizer *t);           /* the largest id + 1: rows that an embedding table needs */
const char *tokenizer_token(const tokenizer *t, int32_t id, size_t *length); /* as written in the file; NULL: none */
int32_t tokenizer_find(const tokenizer *t, const char *token);               /* -1 when absent */
int32_t tokenizer_special_id(const tokenizer *t, tokenizer_special which);   /* -1 when there is none */
size_t tokenizer_tokens_max(const tokenizer *t);                             /* of the file; 0: it says nothing */

#endif
