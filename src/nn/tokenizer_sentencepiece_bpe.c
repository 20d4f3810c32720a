/* nn/tokenizer_sentencepiece_bpe.c: byte pair encoding as sentencepiece does it: two neighbours may merge when together
 * they are a piece, the piece of the highest score first (bpe_model.cc).
 *
 * There is no list of merges in the file, but one follows from the pieces: each way to cut a piece into two pieces (or
 * characters) is a merge, ranked by the piece's score; pieces of equal score share a rank, so that the leftmost wins as
 * it does there. With that table the merging is the one of nn/tokenizer_bpe.c, and no text is hashed while it runs.
 *
 * In nearly all vocabularies no piece goes on with ▁ after another character. Then nothing merges across the beginning
 * of a word, words are independent of each other, and their ids can be remembered.
 *
 * Pieces marked as unused (by a restricted vocabulary; published files have none) are left out; sentencepiece merges
 * through them. */
#include <stdlib.h>
#include <string.h>

#include "nn/tokenizer_bpe.h"

#define PIECE_BYTES_MAX 512 /* of a piece that results from merging */

static bool token_merges(const vocabulary_token *token) {
  return token->bytes != NULL && token->length > 0 &&
         (token->type == TOKEN_NORMAL || token->type == TOKEN_USER_DEFINED);
}

static size_t char_size(const char *text) {
  size_t next = 0;
  text_next(text, &next);
  return next;
}

static int rank_compare(const void *a, const void *b, void *context) {
  const vocabulary_token *tokens = context;
  double x = tokens[*(const uint32_t *)a].score, y = tokens[*(const uint32_t *)b].score;
  return x > y ? -1 : x < y;
}

/* Ranks by falling score, equal ones for equal scores. */
static medley_status ranks_make(const tokenizer_vocabulary *v, uint32_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *order = NULL, *ranks = NULL, rank = 0;
  TRY_NEW(order, v->count, "ranks of pieces");
  TRY_NEW(ranks, v->count, "ranks of pieces");
  for (size_t i = 0; i < v->count; i++) order[i] = (uint32_t)i;
  qsort_r(order, v->count, sizeof *order, rank_compare, v->tokens);
  for (size_t i = 0; i < v->count; i++) {
    if (i > 0 && v->tokens[order[i]].score != v->tokens[order[i - 1]].score) rank++;
    ranks[order[i]] = rank;
  }
  *out = ranks;
  ranks = NULL;
done:
  mem_free(order);
  mem_free(ranks);
  return status;
}

/* Characters of pieces that are no pieces themselves get ids beyond the vocabulary: they can take part in a merge. */
static medley_status singles_make(tokenizer *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tokenizer_vocabulary *v = &t->vocabulary;
  trie_key *keys = NULL;
  size_t count = 0, capacity = 0;
  for (size_t i = 0; i < v->count; i++) {
    const vocabulary_token *token = &v->tokens[i];
    if (!token_merges(token)) continue;
    for (size_t at = 0, next = 0; at < token->length; at = next) {
      text_next(token->bytes, &next);
      int32_t id = vocabulary_find(v, token->bytes + at, next - at);
      if (id >= 0 && token_merges(&v->tokens[id])) continue;
      TRY_GROW(keys, capacity, count + 1, "characters of pieces");
      keys[count] = (trie_key){token->bytes + at, (uint32_t)(next - at), (int32_t)(v->count + count)};
      count++;
    }
  }
  TRY(trie_build(&t->model.singles, keys, count, err));
done:
  mem_free(keys);
  return status;
}

/* The id of a piece or character; -1 when it can be no symbol. */
static int32_t symbol_id(const tokenizer *t, const char *text, size_t length) {
  const tokenizer_vocabulary *v = &t->vocabulary;
  int32_t id = vocabulary_find(v, text, length);
  size_t used = 0;
  if (id >= 0 && token_merges(&v->tokens[id])) return id;
  id = trie_longest(&t->model.singles, text, length, &used);
  return used == length ? id : -1;
}

/* Calls pairs_put for each way to cut the piece, or only counts them. */
static size_t piece_cut(tokenizer *t, int32_t id, uint32_t rank, bool count_only) {
  const vocabulary_token *token = &t->vocabulary.tokens[id];
  size_t cuts = 0;
  for (size_t at = char_size(token->bytes); at < token->length; at += char_size(token->bytes + at)) {
    if (count_only) {
      cuts++;
      continue;
    }
    int32_t left = symbol_id(t, token->bytes, at);
    int32_t right = left < 0 ? -1 : symbol_id(t, token->bytes + at, token->length - at);
    if (right >= 0) pairs_put(&t->model, left, right, rank, id, false);
  }
  return cuts;
}

static bool piece_crosses_mark(const vocabulary_token *token) {
  bool other = false;
  for (size_t at = 0; at < token->length; at += char_size(token->bytes + at)) {
    bool mark = token->length - at >= 3 && memcmp(token->bytes + at, SPACE_MARK, 3) == 0;
    if (mark && other) return true;
    other = other || !mark;
  }
  return false;
}

static medley_status protected_make(tokenizer *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tokenizer_vocabulary *v = &t->vocabulary;
  trie_key *keys = NULL;
  size_t count = 0, capacity = 0;
  for (size_t i = 0; i < v->count; i++) {
    if (v->tokens[i].bytes == NULL || v->tokens[i].type != TOKEN_USER_DEFINED) continue;
    TRY_GROW(keys, capacity, count + 1, "user-defined pieces");
    keys[count++] = (trie_key){v->tokens[i].bytes, v->tokens[i].length, (int32_t)i};
  }
  TRY(trie_build(&t->model.protected, keys, count, err));
done:
  mem_free(keys);
  return status;
}

static medley_status pieces_check(tokenizer *t, size_t *cuts, medley_error *err) {
  const tokenizer_vocabulary *v = &t->vocabulary;
  t->model.split_at_marks = true;
  for (size_t i = 0; i < v->count; i++) {
    const vocabulary_token *token = &v->tokens[i];
    if (!token_merges(token)) continue;
    if (!utf8_valid(token->bytes, token->length)) return error_set(err, MEDLEY_ERR_INPUT, "piece %zu is not UTF-8", i);
    if (piece_crosses_mark(token)) t->model.split_at_marks = false;
    if (token->length > PIECE_BYTES_MAX && token->type == TOKEN_NORMAL)
      return error_set(err, MEDLEY_ERR_LIMIT, "piece %zu has %u bytes, the limit is %d", i, token->length,
                       PIECE_BYTES_MAX);
    if (token->length <= PIECE_BYTES_MAX) *cuts += piece_cut(t, (int32_t)i, 0, true);
  }
  if (*cuts > (size_t)1 << 26)
    return error_set(err, MEDLEY_ERR_LIMIT, "the pieces can be cut in %zu ways, the limit is %zu", *cuts,
                     (size_t)1 << 26);
  return MEDLEY_OK;
}

static medley_status sentencepiece_bpe_build(tokenizer *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *ranks = NULL;
  size_t cuts = 0;
  TRY(pieces_check(t, &cuts, err));
  TRY(ranks_make(&t->vocabulary, &ranks, err));
  TRY(singles_make(t, err));
  TRY(protected_make(t, err));
  TRY(pairs_create(&t->model, cuts, err));
  for (size_t i = 0; i < t->vocabulary.count; i++)
    if (token_merges(&t->vocabulary.tokens[i]) && t->vocabulary.tokens[i].length <= PIECE_BYTES_MAX)
      piece_cut(t, (int32_t)i, ranks[i], false);
  byte_ids_find(t);
done:
  mem_free(ranks);
  return status;
}

static size_t symbols_read(const tokenizer *t, bpe_symbol *symbols, const char *text, size_t length) {
  size_t count = 0, size = 0;
  for (size_t at = 0; at < length; at += size) {
    int32_t id = trie_longest(&t->model.protected, text + at, length - at, &size);
    bool frozen = id >= 0;
    if (!frozen) {
      size = char_size(text + at);
      id = symbol_id(t, text + at, size);
    }
    symbols[count++] = (bpe_symbol){.id = id, .size = (uint32_t)size, .frozen = frozen};
  }
  return count;
}

/* The tokens of the whole text began at `first`. */
static medley_status word_encode(const tokenizer *t, tokenizer_scratch *s, const char *text, size_t begin, size_t end,
                                 size_t first, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t piece_begin = s->piece_begin, before = s->token_count;
  bool all_known = true;
  s->piece_begin += begin;
  bool cached = t->model.split_at_marks && word_cache_put(s, text + begin, end - begin);
  s->piece_begin = piece_begin;
  if (cached) return MEDLEY_OK;
  TRY(symbols_reserve(s, end - begin, err));
  size_t count = symbols_merge(&t->model, s, symbols_read(t, s->symbols, text + begin, end - begin));
  for (size_t i = 0, at = begin; i < count; at += s->symbols[i++].size) {
    bool known = s->symbols[i].id >= 0 && (size_t)s->symbols[i].id < t->vocabulary.count;
    if (known)
      token_put(s, s->symbols[i].id, at, at + s->symbols[i].size);
    else
      unknown_put(t, s, first, text, at, at + s->symbols[i].size);
    all_known = all_known && known;
  }
  if (all_known && t->model.split_at_marks) {
    s->piece_begin += begin;
    word_cache_keep(s, text + begin, end - begin, before);
    s->piece_begin = piece_begin;
  }
done:
  return status;
}

/* Where the word that begins at `at` ends: before a ▁ that follows another character. */
static size_t word_end(const char *text, size_t length, size_t at) {
  bool other = false;
  while (at < length) {
    const char *mark = memmem(text + at, length - at, SPACE_MARK, 3);
    if (mark == NULL) return length;
    size_t found = (size_t)(mark - text);
    if (found > at || other) return found;
    at += 3;
    other = length - at < 3 || memcmp(text + at, SPACE_MARK, 3) != 0;
  }
  return length;
}

static medley_status sentencepiece_bpe_encode(const tokenizer *t, tokenizer_scratch *s, const char *text, size_t length,
                                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t first = s->token_count;
  for (size_t at = 0, end; at < length; at = end) {
    end = t->model.split_at_marks ? word_end(text, length, at) : length;
    TRY(word_encode(t, s, text, at, end, first, err));
  }
done:
  return status;
}

const tokenizer_kind tokenizer_sentencepiece_bpe = {
    .name = "sentencepiece.bpe",
    .summary = "neighbours joined into the piece of the highest score (Llama 2, Gemma, Mistral)",
    .build = sentencepiece_bpe_build,
    .encode = sentencepiece_bpe_encode,
};
