/* nn/gguf.h: reading the GGUF format (versions 2 and 3), in which language models and their vocabularies are published.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; docs/models.md draws it by byte.
 *
 *   "GGUF" | version u32 | tensor count u64 | value count u64
 *   value count  × | key: string | type u32 | value |            string = length u64, bytes
 *   tensor count × | name: string | rank u32 | rank × size u64, fastest first | type u32 | offset u64 |
 *   padding to general.alignment (32) | tensors, each padded to it
 *
 * All of it is checked before anything is handed out: counts and lengths against what is left of the file, every string
 * of every array, tensors against each other (no overlap, no hole beyond the padding). A file that is open is read-only
 * and may be used by several threads.
 */
#ifndef NN_GGUF_H
#define NN_GGUF_H

#include "base/error.h"
#include "base/file.h"
#include "base/map.h"
#include "base/memory.h"
#include "nn/tensor_view.h"

#define GGUF_VALUES_MAX ((uint64_t)1 << 16)
#define GGUF_TENSORS_MAX ((uint64_t)1 << 20)
#define GGUF_NAME_BYTES_MAX ((uint64_t)65535)
#define GGUF_STRING_BYTES_MAX ((uint64_t)16 << 20) /* of one value that is a string */
#define GGUF_ARRAY_DEPTH_MAX 4                     /* arrays in arrays; published files have none */

typedef enum gguf_type { /* numbers as in the file */
                         GGUF_U8,
                         GGUF_I8,
                         GGUF_U16,
                         GGUF_I16,
                         GGUF_U32,
                         GGUF_I32,
                         GGUF_F32,
                         GGUF_BOOL,
                         GGUF_STRING,
                         GGUF_ARRAY,
                         GGUF_U64,
                         GGUF_I64,
                         GGUF_F64,
                         GGUF_TYPE_COUNT
} gguf_type;
const char *gguf_type_name(gguf_type type); /* "u32" */

/* Bytes inside the file: not NUL-terminated, of any content. */
typedef struct gguf_text {
  const char *bytes;
  size_t length;
} gguf_text;

typedef struct gguf_value {
  const char *key; /* UTF-8 */
  gguf_type type;
  gguf_type element;         /* of an array */
  uint64_t count;            /* elements of an array; bytes of a string; else 1 */
  const unsigned char *data; /* first element, byte or number; little-endian, not aligned */
  const char *text;          /* of a string: a copy with a NUL behind it; else NULL */
} gguf_value;

typedef struct gguf { /* a file that is open for reading */
  file_map map;
  char *path;
  uint32_t version;
  uint64_t alignment;
  gguf_value *values; /* in the file's order */
  size_t value_count;
  strmap keys;          /* → index into values */
  tensor_view *tensors; /* in order of their data; shapes in row-major order, so reversed */
  size_t count;
  strmap names; /* → index into tensors */
  arena *memory;
} gguf;

medley_status gguf_open(gguf *g, const char *path, medley_error *err) MEDLEY_CHECK;
/* The same over bytes that the caller keeps alive (name is for sentences): for tests and fuzzing. */
medley_status gguf_open_bytes(gguf *g, const void *bytes, size_t length, const char *name,
                              medley_error *err) MEDLEY_CHECK;
void gguf_close(gguf *g); /* harmless on a zeroed one */

/* ---- metadata. Borrowed; absent or of another kind gives NULL or the fallback. ---- */

const gguf_value *gguf_get_value(const gguf *g, const char *key);
const char *gguf_string(const gguf *g, const char *key, const char *fallback);
int64_t gguf_integer(const gguf *g, const char *key, int64_t fallback); /* of any integer type that fits */
double gguf_number(const gguf *g, const char *key, double fallback);    /* of any number */
int gguf_boolean(const gguf *g, const char *key, int fallback);         /* 0 or 1 */
/* A single number (not in an array) as int64 or double; false when it is none, or does not fit. */
bool gguf_value_integer(const gguf_value *value, int64_t *out);
bool gguf_value_number(const gguf_value *value, double *out);
/* Element i of an array of numbers. */
double gguf_value_element(const gguf_value *value, uint64_t i);
/* Copies the slices of an array of strings into out [value->count]. */
void gguf_value_strings(const gguf_value *value, gguf_text *out);

/* ---- tensors ---- */

/* NULL when absent. */
const tensor_view *gguf_get(const gguf *g, const char *name);

/* ---- the vocabulary ---- */

typedef enum gguf_token_type { /* numbers as in the file (llama.cpp's LLAMA_TOKEN_TYPE) */
                               GGUF_TOKEN_UNDEFINED,
                               GGUF_TOKEN_NORMAL,
                               GGUF_TOKEN_UNKNOWN,
                               GGUF_TOKEN_CONTROL,
                               GGUF_TOKEN_USER_DEFINED,
                               GGUF_TOKEN_UNUSED,
                               GGUF_TOKEN_BYTE,
} gguf_token_type;

/* tokenizer.ggml.*. Texts are slices of the file, which must stay open. An absent id is -1, an absent switch -1. */
typedef struct gguf_vocabulary {
  const char *model; /* "llama" (SentencePiece BPE), "gpt2" (byte-level BPE), "bert" (WordPiece), "t5" (unigram) … */
  const char *pre;   /* how text is cut before BPE: "gpt-2", "llama-bpe", "qwen2" …; "" when the file does not say */
  size_t count;
  gguf_text *tokens; /* [count] as in the file: SentencePiece's ▁, GPT-2's printable bytes */
  float *scores;     /* [count], or NULL */
  int32_t *types;    /* [count] gguf_token_type, or NULL */
  size_t merge_count;
  gguf_text *merges; /* [merge_count] "left right", best first; NULL when there are none */
  int64_t bos, eos, unknown, separator, padding, cls, mask, eot;
  int add_bos, add_eos, add_space_prefix, remove_extra_whitespaces;
  gguf_text precompiled_charsmap; /* SentencePiece's normaliser; bytes NULL when absent */
} gguf_vocabulary;

/* Refused when there is none, when lists differ in length, when an id is beyond the tokens. */
medley_status gguf_vocabulary_load(const gguf *g, gguf_vocabulary *v, medley_error *err) MEDLEY_CHECK;
void gguf_vocabulary_deinit(gguf_vocabulary *v); /* harmless on a zeroed one */

#endif
