/* nn/tokenizer_parts.h: what the parts of a tokenizer share: the text that knows where it came from, the steps of the
 * pipeline, the models. Private to nn/tokenizer*.c.
 *
 * One encoding runs through: nn/tokenizer.c (cut out added tokens) → nn/tokenizer_normalise.c → nn/tokenizer_split.c →
 * a model (nn/tokenizer_wordpiece.c, _bpe.c, _sentencepiece_bpe.c, _unigram.c, _wordlevel.c) → nn/tokenizer_template.c.
 */
#ifndef NN_TOKENIZER_PARTS_H
#define NN_TOKENIZER_PARTS_H

#include <pthread.h>
#include <unicode/uregex.h>
#include <unicode/utf8.h>

#include "base/json.h"
#include "base/strbuf.h"
#include "nn/tokenizer.h"
#include "nn/tokenizer_trie.h"
#include "nn/tokenizer_vocabulary.h"

#define TOKENIZER_STEPS_MAX 64
#define SPACE_MARK "\xE2\x96\x81" /* ▁ U+2581, sentencepiece's space */
#define SPACE_MARK_CODE 0x2581

/* ---- text that knows where each of its bytes came from ---- */

typedef struct traced_text {
  char *bytes; /* well-formed UTF-8, not NUL-terminated */
  size_t length, capacity;
  token_span *origins; /* [length] when traced: the span of the given text that the byte stands for */
  size_t origin_capacity;
  bool traced; /* origins are kept */
  bool failed; /* memory ran out; checked once a step */
} traced_text;

void traced_reset(traced_text *t, bool traced);
void traced_deinit(traced_text *t);
void traced_put(traced_text *t, const char *bytes, size_t length, token_span origin);
void traced_put_char(traced_text *t, UChar32 c, token_span origin);
/* Bytes [begin, end) of from, with their origins. */
void traced_copy(traced_text *t, const traced_text *from, size_t begin, size_t end);
/* {0, 0} when nothing is traced. */
static inline token_span traced_origin(const traced_text *t, size_t i) {
  return t->traced && i < t->length ? t->origins[i] : (token_span){0, 0};
}
/* Appends the given text, malformed bytes repaired; each_byte: one U+FFFD for each malformed byte. False when there was
 * any. */
bool traced_read(traced_text *t, const char *bytes, size_t length, bool each_byte);

static inline UChar32 text_next(const char *bytes, size_t *at) { /* well-formed text only */
  UChar32 c;
  const unsigned char *s = (const unsigned char *)bytes;
  U8_NEXT_UNSAFE(s, *at, c);
  return c;
}

/* ---- characters, as the reference's Rust libraries classify them ---- */

#define CATEGORIES_UNICODE 8   /* version of the tables of unicode_categories */
#define NORMAL_FORMS_UNICODE 9 /* and of unicode-normalization-alignments */
/* Assigned after this major version of Unicode. */
bool char_is_newer(UChar32 c, uint8_t version);
bool char_is_space(UChar32 c);            /* White_Space */
bool char_is_word(UChar32 c);             /* \w of Rust's regex */
bool char_is_number(UChar32 c);           /* Nd, Nl, No */
bool char_is_letter(UChar32 c);           /* L */
bool char_is_punctuation(UChar32 c);      /* ASCII punctuation or P */
bool char_is_mark(UChar32 c);             /* Mn, Mc, Me */
bool char_is_nonspacing_mark(UChar32 c);  /* Mn */
bool char_is_other(UChar32 c);            /* Cc, Cf, Co */
int char_lower(UChar32 c, UChar32 to[2]); /* its full lower case: 1 or 2 code points */
/* The byte-level alphabet (GPT-2): each byte as a printable character, and back (-1: not in it). */
UChar32 byte_to_char(unsigned char byte);
int char_to_byte(UChar32 c);

/* ---- steps: normalisers, splitters, decoders; one struct, each step uses what it needs ---- */

typedef enum split_behaviour {
  SPLIT_REMOVED,
  SPLIT_ISOLATED,
  SPLIT_MERGED_WITH_PREVIOUS,
  SPLIT_MERGED_WITH_NEXT,
  SPLIT_CONTIGUOUS
} split_behaviour;

typedef enum prepend_scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER } prepend_scheme;

typedef struct tokenizer_scratch tokenizer_scratch;
typedef struct text_step text_step;
typedef struct text_pieces text_pieces;

/* Finds the first match at or after `from` in text [length]; false when there is none. Empty matches do not count. */
typedef bool (*text_scanner)(const char *text, size_t length, size_t from, size_t *begin, size_t *end);

typedef struct normalizer_kind {
  const char *name;                                                                /* as in tokenizer.json */
  medley_status (*read)(text_step *step, const json_t *config, medley_error *err); /* NULL: nothing to read */
  medley_status (*apply)(const text_step *step, tokenizer_scratch *s, const traced_text *in, traced_text *out,
                         medley_error *err);
} normalizer_kind;

typedef struct splitter_kind {
  const char *name;
  medley_status (*read)(text_step *step, const json_t *config, medley_error *err);
  /* Replaces *in's pieces by out's; a step that changes the text writes it to out->text. */
  medley_status (*apply)(const text_step *step, tokenizer_scratch *s, text_pieces *in, text_pieces *out,
                         medley_error *err);
} splitter_kind;

typedef struct token_strings token_strings;
typedef struct decoder_kind {
  const char *name;
  medley_status (*read)(text_step *step, const json_t *config, medley_error *err);
  void (*apply)(const text_step *step, token_strings *tokens);
} decoder_kind;

struct text_step {
  union {
    const normalizer_kind *normalizer;
    const splitter_kind *splitter;
    const decoder_kind *decoder;
  } kind;
  bool clean, cjk, strip_accents, lowercase; /* BertNormalizer */
  bool left, right;                          /* Strip */
  bool add_prefix_space, use_regex;          /* ByteLevel */
  bool split, invert, individual, cleanup;   /* Metaspace; Split; Digits; WordPiece decoder */
  bool trim, mark_spaces;                    /* sentencepiece: extra white space goes; space becomes ▁ */
  bool suffix_space;                         /* sentencepiece: the space goes behind the word */
  prepend_scheme prepend;
  split_behaviour behaviour;
  int start, stop; /* Strip decoder */
  char *pattern;   /* literal text, unless regex; NULL: none */
  size_t pattern_length;
  char *content;
  size_t content_length;
  text_scanner scanner;      /* a regex that is written out by hand */
  URegularExpression *regex; /* cloned into the scratch at slot `regex_slot` */
  size_t regex_slot;
  unsigned char *charsmap; /* Precompiled: a darts-clone trie, then NUL-terminated replacements */
  size_t charsmap_length;
  trie protected; /* sentencepiece: user-defined pieces, passed as they are */
};

typedef struct step_list {
  text_step *steps;
  size_t count, capacity;
} step_list;

/* Reads a JSON step or a Sequence of them, appended to list. null appends nothing. An unknown type is refused by name.
 */
medley_status normalizers_read(step_list *list, const json_t *config, medley_error *err) MEDLEY_CHECK;
medley_status splitters_read(step_list *list, const json_t *config, medley_error *err) MEDLEY_CHECK;
medley_status decoders_read(step_list *list, const json_t *config, medley_error *err) MEDLEY_CHECK;
medley_status step_list_add(step_list *list, text_step **out, medley_error *err) MEDLEY_CHECK;
void step_list_deinit(step_list *list);
/* Reads "pattern": {"String": …} or {"Regex": …}. */
medley_status step_read_pattern(text_step *step, const json_t *config, medley_error *err) MEDLEY_CHECK;
/* A string member, copied. */
medley_status step_read_text(char **out, size_t *length, const json_t *config, const char *key,
                             medley_error *err) MEDLEY_CHECK;
bool json_member_flag(const json_t *object, const char *key, bool fallback);

/* nn/tokenizer_regex.c: regular expressions, by hand where known, else by ICU. */
text_scanner regex_scanner_find(const char *pattern);
extern const char regex_gpt2[];
bool regex_gpt2_scan(const char *text, size_t length, size_t from, size_t *begin, size_t *end);
medley_status regex_compile(text_step *step, const char *pattern, medley_error *err) MEDLEY_CHECK;
/* Calls found(context, begin, end) for every match of the step's pattern in text [length]. */
typedef void (*match_sink)(void *context, size_t begin, size_t end);
medley_status regex_each(const text_step *step, tokenizer_scratch *s, const char *text, size_t length, match_sink found,
                         void *context, medley_error *err) MEDLEY_CHECK;
/* The same for a literal. */
void literal_each(const text_step *step, const char *text, size_t length, match_sink found, void *context);

/* nn/tokenizer_sentencepiece.c: adds sentencepiece's own normaliser, which no tokenizer.json names, and the decoders
 * that undo it. User-defined pieces of the vocabulary pass it as they are. */
typedef struct sentencepiece_rules {
  bool add_prefix;   /* a space before the text */
  bool suffix_space; /* or behind it */
  bool trim;         /* white space at both ends goes, inside one is left of several */
  bool escape;       /* space becomes ▁ */
  const unsigned char *charsmap;
  size_t charsmap_length; /* 0: none */
} sentencepiece_rules;
medley_status sentencepiece_rules_add(tokenizer *t, const sentencepiece_rules *rules, medley_error *err) MEDLEY_CHECK;

/* nn/tokenizer_charsmap.c */
medley_status charsmap_check(const unsigned char *map, size_t length, medley_error *err) MEDLEY_CHECK;
/* The replacement of the shortest (or longest) key that begins at bytes; NULL when there is none. *used: the key's
 * length. NUL-terminated, well-formed UTF-8. */
const char *charsmap_find(const text_step *step, const char *bytes, size_t length, bool longest, size_t *used);
medley_status charsmap_apply(const text_step *step, tokenizer_scratch *s, const traced_text *in, traced_text *out,
                             medley_error *err);
medley_status charsmap_read(text_step *step, const json_t *config, medley_error *err);

/* ---- pieces ---- */

typedef struct text_piece {
  uint32_t begin, end; /* bytes of the text */
} text_piece;

struct text_pieces {
  traced_text *text;
  text_piece *pieces;
  size_t count, capacity;
  bool failed;
};
void pieces_put(text_pieces *p, size_t begin, size_t end); /* empty ones are dropped */

/* ---- the model ---- */

typedef struct tokenizer_kind {
  const char *name;      /* "wordpiece" */
  const char *json_type; /* "WordPiece"; NULL: never in a tokenizer.json */
  const char *summary;
  /* Reads its settings from the JSON's "model" object; the vocabulary and merges are there already. NULL: none. */
  medley_status (*read)(tokenizer *t, const json_t *model, medley_error *err);
  /* Makes its tables from the vocabulary. */
  medley_status (*build)(tokenizer *t, medley_error *err);
  /* Puts the ids of one piece, text [length] > 0. */
  medley_status (*encode)(const tokenizer *t, tokenizer_scratch *s, const char *text, size_t length, medley_error *err);
} tokenizer_kind;

/* Ended by NULL. */
extern const tokenizer_kind *const tokenizer_kinds[];
extern const tokenizer_kind tokenizer_wordpiece, tokenizer_bpe, tokenizer_sentencepiece_bpe, tokenizer_unigram,
    tokenizer_wordlevel;

typedef struct pair_slot {
  uint64_t key; /* left << 32 | right, + 1; 0: free */
  uint32_t rank;
  int32_t result;
} pair_slot;

/* What a kind needs; each uses its part. */
typedef struct tokenizer_model {
  const tokenizer_kind *kind;
  int32_t unknown_id; /* -1: none */
  char *prefix;       /* of a piece that continues a word: "##"; NULL: none */
  char *suffix;       /* of the last piece of a word: "</w>"; NULL: none */
  bool fuse_unknown, byte_fallback, ignore_merges;
  bool raw_bytes;            /* bpe: pieces are raw bytes, the byte-level alphabet was resolved at build */
  bool exact_sentencepiece;  /* unigram: float scores, user-defined pieces, as the C++ library has them */
  size_t word_chars_max;     /* wordpiece: longer words are unknown */
  int32_t byte_ids[256];     /* bpe: of <0x00> … <0xFF>, or with raw_bytes of the alphabet's characters; -1: none */
  int32_t byte_end_ids[256]; /* raw_bytes with a suffix: of the character as the last of a word */
  trie words, inner;         /* wordpiece: starts of words, continuations; unigram: words only */
  pair_slot *pairs;          /* bpe: open addressing */
  size_t pair_slots;
  trie protected;       /* sentencepiece.bpe: user-defined pieces */
  trie singles;         /* sentencepiece.bpe: characters that are part of pieces, with ids beyond the vocabulary */
  bool split_at_marks;  /* sentencepiece.bpe: no piece crosses from a character to ▁ */
  double unknown_score; /* unigram */
  double user_score;    /* unigram: of each byte of a user-defined piece */
} tokenizer_model;

/* ---- around the ids ---- */

typedef enum template_part { TEMPLATE_FIRST, TEMPLATE_SECOND, TEMPLATE_SPECIAL } template_part;
typedef struct template_item {
  template_part part;
  int32_t id; /* of TEMPLATE_SPECIAL */
  uint8_t segment;
} template_item;

typedef struct token_template {
  template_item *single, *pair;
  size_t single_count, single_capacity, pair_count, pair_capacity;
  bool said; /* by the file; otherwise just the ids */
  bool trim_offsets, trim_prefix_space;
} token_template;

/* "post_processor"; null leaves the template empty. */
medley_status template_read(token_template *template, const tokenizer_vocabulary *v, const json_t *config,
                            medley_error *err) MEDLEY_CHECK;
/* The simplest one: begin and end (-1: none) around each text. */
medley_status template_set(token_template *template, int32_t begin, int32_t end, bool twice_between, bool segments,
                           medley_error *err) MEDLEY_CHECK;
void template_deinit(token_template *template);

typedef struct added_token {
  int32_t id;
  bool special, single_word, strip_left, strip_right, normalized;
} added_token;

/* ---- the whole ---- */

#define TOKENIZER_NAME_MAX 512

struct tokenizer {
  tokenizer_vocabulary vocabulary;
  tokenizer_model model;
  step_list normalizers, splitters, decoders;
  token_template template;
  added_token *added; /* [added_count] */
  size_t added_count, added_capacity;
  trie added_raw, added_normalized; /* → index into added */
  int32_t special[TOKENIZER_SPECIAL_COUNT];
  uint8_t *skipped; /* [vocabulary.count] 1: a special token, left out when decoding without them */
  size_t tokens_max;
  bool truncate_left;
  bool repair_each_byte;
  bool always_traced;   /* a step asks where its text came from */
  size_t regex_count;   /* slots */
  pthread_mutex_t lock; /* of idle */
  tokenizer_scratch *idle;
};

/* A zeroed tokenizer with its lock; tokenizer_finish builds the tables once everything is read. */
medley_status tokenizer_create(tokenizer **out, medley_error *err) MEDLEY_CHECK;
medley_status tokenizer_finish(tokenizer *t, medley_error *err) MEDLEY_CHECK;
/* Reads "normalizer", "pre_tokenizer", "post_processor" and "decoder" of the object. */
medley_status tokenizer_read_pipeline(tokenizer *t, const json_t *config, medley_error *err) MEDLEY_CHECK;
/* The same from the text of the object. */
medley_status tokenizer_read_steps(tokenizer *t, const char *text, medley_error *err) MEDLEY_CHECK;
extern const char tokenizer_bert_steps[], tokenizer_gpt2_steps[];
/* The end of every reader: finishes t into *out; with a status that is not OK already, or when that fails, frees it
 * (NULL is fine) and puts the file's name before the sentence. */
medley_status tokenizer_hand_out(tokenizer *t, medley_status status, const char *name, tokenizer **out,
                                 medley_error *err) MEDLEY_CHECK;
medley_status tokenizer_add(tokenizer *t, added_token added, medley_error *err) MEDLEY_CHECK;
/* Tokens of the vocabulary that are found in text as a whole; those that are not in it are passed over. */
medley_status tokenizer_add_specials(tokenizer *t, const char *const *tokens, size_t count,
                                     medley_error *err) MEDLEY_CHECK;
/* Sets the special ids that are not set from well-known names in the vocabulary. */
void tokenizer_guess_special(tokenizer *t);

/* ---- scratch: the memory of one running encoding; kept for the next ---- */

#define WORD_CACHE_SLOTS 8192
#define WORD_CACHE_BYTES 30
#define WORD_CACHE_IDS 7

typedef struct word_cached {
  uint8_t length, count; /* length 0: free */
  char bytes[WORD_CACHE_BYTES];
  uint8_t ends[WORD_CACHE_IDS]; /* bytes of the word that the ids up to here cover */
  int32_t ids[WORD_CACHE_IDS];
} word_cached;

typedef struct bpe_symbol {
  int32_t id;    /* -1: unknown, >= vocabulary.count: part of pieces, but no token */
  uint32_t size; /* bytes of the piece */
  int32_t previous, next;
  bool frozen; /* user-defined: never merged */
} bpe_symbol;

typedef struct bpe_candidate {
  uint32_t rank;
  int32_t at; /* the left symbol */
  int32_t left, right, result;
} bpe_candidate;

typedef struct viterbi_node {
  double score;
  int32_t begin; /* -1: not reached */
  int32_t id;
} viterbi_node;

typedef struct scratch_token {
  int32_t id;
  uint32_t end;    /* in its text, to which piece_begin was added */
  token_span span; /* of the given text */
} scratch_token;

struct tokenizer_scratch {
  const tokenizer *owner;
  tokenizer_scratch *next;
  traced_text source, texts[4], scraps; /* texts: 0 and 1 take turns in normalising, 2 and 3 in splitting */
  text_pieces pieces[2];
  UChar32 *chars; /* normal forms */
  token_span *char_origins;
  uint8_t *char_classes;
  size_t char_capacity, origin_capacity, class_capacity;
  URegularExpression **regexes; /* [owner->regex_count] */
  bpe_symbol *symbols;
  size_t symbol_capacity;
  bpe_candidate *heap;
  size_t heap_count, heap_capacity;
  viterbi_node *nodes;
  size_t node_capacity;
  word_cached *cache; /* [WORD_CACHE_SLOTS] */
  scratch_token *tokens;
  size_t token_count, token_capacity;
  /* where the piece that is being encoded lies, for token_put */
  const traced_text *piece_text;
  size_t piece_begin;
  bool failed;
};

/* The id of a token that belongs to the model: -1 for those that were only added beside it. */
int32_t model_find(const tokenizer *t, const char *bytes, size_t length);
/* A token of the running piece, covering its bytes [begin, end). */
void token_put(tokenizer_scratch *s, int32_t id, size_t begin, size_t end);
/* The word's ids from the cache, put; false when they are not there. */
bool word_cache_put(tokenizer_scratch *s, const char *word, size_t length);
/* An unknown stretch of a sentencepiece text whose tokens began at `first`: bytes where the vocabulary has them, else
 * one unknown token for each run of them. */
void unknown_put(const tokenizer *t, tokenizer_scratch *s, size_t first, const char *text, size_t begin, size_t end);
/* The ids of <0x00> to <0xFF> into the model; byte_fallback is off when one is missing. */
void byte_ids_find(tokenizer *t);
/* Remembers the tokens since `from` as those of word. */
void word_cache_keep(tokenizer_scratch *s, const char *word, size_t length, size_t from);

/* ---- decoding ---- */

struct token_strings { /* tokens [count] as they pass through the decoders; all in one arena */
  struct token_string {
    const char *bytes;
    size_t length;
  } * items;
  size_t count;
  arena *memory;
  bool failed;
};

#endif
