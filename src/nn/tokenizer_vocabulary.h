/* nn/tokenizer_vocabulary.h: the tokens of a tokenizer: id ↔ bytes, with scores, types and merges where the file has
 * them.
 *
 * Neutral between the file formats: each reader fills one of these, and the models (nn/tokenizer_parts.h) build their
 * own tables from it. */
#ifndef NN_TOKENIZER_VOCABULARY_H
#define NN_TOKENIZER_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

#define VOCABULARY_TOKENS_MAX ((size_t)1 << 22)
#define VOCABULARY_MERGES_MAX ((size_t)1 << 23)
#define VOCABULARY_TOKEN_BYTES_MAX ((size_t)1 << 14)

/* The numbers are sentencepiece's, and GGUF's. */
typedef enum token_type {
  TOKEN_ABSENT = 0, /* no token has this id */
  TOKEN_NORMAL = 1,
  TOKEN_UNKNOWN = 2,
  TOKEN_CONTROL = 3,      /* never found in text */
  TOKEN_USER_DEFINED = 4, /* found in text before anything else */
  TOKEN_UNUSED = 5,
  TOKEN_BYTE = 6, /* "<0x41>" */
} token_type;

typedef struct vocabulary_token {
  const char *bytes; /* NUL-terminated beyond length; NULL when no token has this id */
  uint32_t length;
  uint8_t type; /* token_type */
  double score; /* log probability (unigram) or priority (sentencepiece's BPE), 0 where there are none */
} vocabulary_token;

typedef struct vocabulary_merge {
  int32_t left, right, result; /* ids */
} vocabulary_merge;

/* Zero-initialise. Reading is thread-safe while nobody writes. */
typedef struct tokenizer_vocabulary {
  vocabulary_token *tokens;
  size_t count, capacity; /* the largest id + 1 */
  vocabulary_merge *merges;
  size_t merge_count, merge_capacity; /* in order of their rank */
  uint32_t *slots;                    /* open addressing, id + 1 */
  size_t slot_count, used;
  arena *bytes;
} tokenizer_vocabulary;

/* Sets token `id`, whose bytes are copied. When two ids have the same bytes, the first is found unless `replace`. An id
 * that is negative, too large or taken is refused. */
medley_status vocabulary_put(tokenizer_vocabulary *v, long long id, const char *bytes, size_t length, bool replace,
                             medley_error *err) MEDLEY_CHECK;
/* The id of these bytes, or -1. */
int32_t vocabulary_find(const tokenizer_vocabulary *v, const char *bytes, size_t length);
/* The merge of the tokens left and right (bytes) into the token of both together, right's first `prefix` bytes left
 * out. One of the three that is not in the vocabulary is refused by name. */
medley_status vocabulary_put_merge(tokenizer_vocabulary *v, const char *left, size_t left_length, const char *right,
                                   size_t right_length, size_t prefix, medley_error *err) MEDLEY_CHECK;
/* True when a token has this id. */
static inline bool vocabulary_has(const tokenizer_vocabulary *v, long long id) {
  return id >= 0 && (unsigned long long)id < v->count && v->tokens[id].bytes != NULL;
}
void vocabulary_deinit(tokenizer_vocabulary *v);

/* FNV-1a with a final mix; for tables of tokens and words. */
static inline uint64_t bytes_hash(const char *bytes, size_t length) {
  uint64_t h = 0xcbf29ce484222325u;
  for (size_t i = 0; i < length; i++) h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3u;
  return h ^ h >> 29;
}

#endif
