/* nn/tokenizer_unigram.c: the unigram language model (Kudo 2018): of all ways to cut the text into pieces, the one
 * whose log probabilities sum highest (Viterbi, over a trie of the pieces).
 *
 * One file, two references: the `tokenizers` library sums in double precision and takes every entry of the vocabulary
 * for a piece; sentencepiece itself (unigram_model.cc, EncodeOptimized) sums in float, knows unused and user-defined
 * pieces, and takes the lowest score over the normal pieces only. Where two ways are nearly equal the rounding decides,
 * so each is followed. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/tokenizer_parts.h"

#define UNKNOWN_PENALTY 10.0

static medley_status unigram_read(tokenizer *t, const json_t *model, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *id = json_object_get(model, "unk_id");
  t->model.byte_fallback = json_member_flag(model, "byte_fallback", false);
  if (!json_is_integer(id)) return MEDLEY_OK;
  if (!vocabulary_has(&t->vocabulary, json_integer_value(id)))
    FAIL(err, MEDLEY_ERR_INPUT, "unk_id is %lld, the vocabulary has %zu tokens", (long long)json_integer_value(id),
         t->vocabulary.count);
  t->model.unknown_id = (int32_t)json_integer_value(id);
done:
  return status;
}

static bool is_piece(const tokenizer *t, size_t id) {
  const vocabulary_token *token = &t->vocabulary.tokens[id];
  if (token->bytes == NULL) return false;
  if (t->model.exact_sentencepiece) return token->type == TOKEN_NORMAL || token->type == TOKEN_USER_DEFINED;
  return token->type == TOKEN_NORMAL && vocabulary_find(&t->vocabulary, token->bytes, token->length) == (int32_t)id;
}

static void scores_find(tokenizer *t) {
  const tokenizer_vocabulary *v = &t->vocabulary;
  double lowest = INFINITY, highest = FLT_MIN; /* sic: scores are negative, so user-defined pieces get about -0.1 */
  for (size_t i = 0; i < v->count; i++) {
    if (v->tokens[i].bytes == NULL || v->tokens[i].type != TOKEN_NORMAL) continue;
    lowest = fmin(lowest, v->tokens[i].score);
    highest = fmax(highest, v->tokens[i].score);
  }
  if (isinf(lowest)) lowest = t->model.exact_sentencepiece ? FLT_MAX : 0;
  t->model.unknown_score = lowest - UNKNOWN_PENALTY;
  if (t->model.exact_sentencepiece) t->model.unknown_score = (float)t->model.unknown_score;
  t->model.user_score = highest;
}

static medley_status unigram_build(tokenizer *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tokenizer_vocabulary *v = &t->vocabulary;
  trie_key *keys = NULL;
  size_t count = 0;
  TRY_NEW(keys, v->count, "pieces");
  for (size_t i = 0; i < v->count; i++) {
    if (!is_piece(t, i)) continue;
    if (!utf8_valid(v->tokens[i].bytes, v->tokens[i].length)) FAIL(err, MEDLEY_ERR_INPUT, "piece %zu is not UTF-8", i);
    keys[count++] = (trie_key){v->tokens[i].bytes, v->tokens[i].length, (int32_t)i};
  }
  TRY(trie_build(&t->model.words, keys, count, err));
  scores_find(t);
  byte_ids_find(t);
done:
  mem_free(keys);
  return status;
}

static double piece_score(const tokenizer *t, int32_t id, size_t length) {
  const vocabulary_token *token = &t->vocabulary.tokens[id];
  if (t->model.exact_sentencepiece && token->type == TOKEN_USER_DEFINED)
    return (float)((float)((float)length * (float)t->model.user_score) - 0.1);
  return token->score;
}

static void node_offer(const tokenizer *t, viterbi_node *node, double score, size_t begin, int32_t id) {
  if (t->model.exact_sentencepiece) score = (float)score;
  if (node->begin >= 0 && !(score > node->score)) return;
  node->score = score;
  node->begin = (int32_t)begin;
  node->id = id;
}

/* nodes [length + 1]: the best way to reach each byte. id -1: unknown. */
static void lattice_fill(const tokenizer *t, viterbi_node *nodes, const char *text, size_t length) {
  const trie *words = &t->model.words;
  for (size_t i = 0; i <= length; i++) nodes[i] = (viterbi_node){.begin = -1};
  for (size_t at = 0, next = 0; at < length; at = next) {
    double here = nodes[at].score;
    bool single = false;
    int32_t node = words->count > 0 ? 0 : -1;
    text_next(text, &next);
    for (size_t i = at; i < length && node >= 0 && (node = trie_step(words, node, (unsigned char)text[i])) >= 0; i++) {
      int32_t id = words->nodes[node].value;
      if (id < 0) continue;
      node_offer(t, &nodes[i + 1], piece_score(t, id, i + 1 - at) + here, at, id);
      single = single || i + 1 == next;
    }
    if (!single) {
      node_offer(t, &nodes[next], t->model.unknown_score + here, at, -1);
    }
  }
}

static medley_status unigram_encode(const tokenizer *t, tokenizer_scratch *s, const char *text, size_t length,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t first = s->token_count;
  if (word_cache_put(s, text, length)) return MEDLEY_OK;
  TRY_GROW(s->nodes, s->node_capacity, length + 1, "a lattice");
  lattice_fill(t, s->nodes, text, length);
  bool all_known = true;
  /* The path is found from its end: turn the links around, then walk it. */
  size_t end = length, after = 0;
  while (end > 0) {
    size_t begin = (size_t)s->nodes[end].begin;
    s->nodes[end].begin = (int32_t)after;
    after = end;
    end = begin;
  }
  for (size_t at = 0; after > 0; at = after, after = (size_t)s->nodes[after].begin) {
    int32_t id = s->nodes[after].id;
    all_known = all_known && id >= 0;
    if (id < 0 && t->model.unknown_id < 0 && !t->model.byte_fallback)
      FAIL(err, MEDLEY_ERR_INPUT, "'%.*s' is in no piece, and the vocabulary has no unknown token", (int)(after - at),
           text + at);
    if (id < 0 || id == t->model.unknown_id)
      unknown_put(t, s, first, text, at, after);
    else
      token_put(s, id, at, after);
  }
  if (all_known) word_cache_keep(s, text, length, first);
done:
  return status;
}

const tokenizer_kind tokenizer_unigram = {
    .name = "unigram",
    .json_type = "Unigram",
    .summary = "the most probable way to cut the text into pieces (T5, XLM-RoBERTa, multilingual E5)",
    .read = unigram_read,
    .build = unigram_build,
    .encode = unigram_encode,
};
