/* nn/tokenizer_vocabulary.c: see nn/tokenizer_vocabulary.h.
 *
 * Not base/map.h: ids are looked up for every piece of text, and a table of 32-bit ids beside the tokens' own bytes is
 * a quarter of the memory of one that keeps its keys again. */
#include "nn/tokenizer_vocabulary.h"

#include <string.h>

#include "base/strbuf.h"

static uint32_t *vocabulary_slot(const tokenizer_vocabulary *v, const char *bytes, size_t length) {
  size_t mask = v->slot_count - 1;
  for (size_t i = bytes_hash(bytes, length) & mask;; i = (i + 1) & mask) {
    if (v->slots[i] == 0) return &v->slots[i];
    const vocabulary_token *token = &v->tokens[v->slots[i] - 1];
    if (token->length == length && memcmp(token->bytes, bytes, length) == 0) return &v->slots[i];
  }
}

static bool vocabulary_grow_slots(tokenizer_vocabulary *v) {
  if (v->used * 2 < v->slot_count) return true;
  tokenizer_vocabulary old = *v;
  v->slot_count = old.slot_count ? old.slot_count * 2 : 1024;
  v->slots = mem_zalloc(v->slot_count, sizeof *v->slots);
  if (v->slots == NULL) {
    *v = old;
    return false;
  }
  for (size_t i = 0; i < old.slot_count; i++)
    if (old.slots[i] != 0) {
      const vocabulary_token *token = &v->tokens[old.slots[i] - 1];
      *vocabulary_slot(v, token->bytes, token->length) = old.slots[i];
    }
  mem_free(old.slots);
  return true;
}

medley_status vocabulary_put(tokenizer_vocabulary *v, long long id, const char *bytes, size_t length, bool replace,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (id < 0 || id >= (long long)VOCABULARY_TOKENS_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "token id %lld is outside 0 to %zu", id, VOCABULARY_TOKENS_MAX - 1);
  if (length > VOCABULARY_TOKEN_BYTES_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "token %lld has %zu bytes, the limit is %zu", id, length, VOCABULARY_TOKEN_BYTES_MAX);
  if (!utf8_valid(bytes, length)) FAIL(err, MEDLEY_ERR_INPUT, "token %lld is not UTF-8", id);
  size_t at = (size_t)id;
  if (at < v->count && v->tokens[at].bytes != NULL)
    FAIL(err, MEDLEY_ERR_INPUT, "token id %lld is given to '%.40s' and to '%.*s'", id, v->tokens[at].bytes,
         (int)(length < 40 ? length : 40), bytes);
  if (v->bytes == NULL) v->bytes = arena_create(1 << 16);
  char *copy = v->bytes ? arena_strndup(v->bytes, bytes, length) : NULL;
  if (copy == NULL || !vocabulary_grow_slots(v)) {
    status = error_memory(err, "a vocabulary");
    goto done;
  }
  TRY_GROW(v->tokens, v->capacity, at + 1, "a vocabulary");
  if (at >= v->count) {
    memset(v->tokens + v->count, 0, (at + 1 - v->count) * sizeof *v->tokens);
    v->count = at + 1;
  }
  v->tokens[at] = (vocabulary_token){.bytes = copy, .length = (uint32_t)length, .type = TOKEN_NORMAL};
  uint32_t *slot = vocabulary_slot(v, bytes, length);
  if (*slot == 0) v->used++;
  if (*slot == 0 || replace) *slot = (uint32_t)at + 1;
done:
  return status;
}

int32_t vocabulary_find(const tokenizer_vocabulary *v, const char *bytes, size_t length) {
  return v->slot_count == 0 ? -1 : (int32_t)*vocabulary_slot(v, bytes, length) - 1;
}

medley_status vocabulary_put_merge(tokenizer_vocabulary *v, const char *left, size_t left_length, const char *right,
                                   size_t right_length, size_t prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char joined[2 * VOCABULARY_TOKEN_BYTES_MAX];
  if (v->merge_count >= VOCABULARY_MERGES_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "there are more than %zu merges", VOCABULARY_MERGES_MAX);
  if (left_length > VOCABULARY_TOKEN_BYTES_MAX || right_length > VOCABULARY_TOKEN_BYTES_MAX || right_length < prefix)
    FAIL(err, MEDLEY_ERR_INPUT, "merge %zu joins no two tokens", v->merge_count + 1);
  memcpy(joined, left, left_length);
  memcpy(joined + left_length, right + prefix, right_length - prefix);
  const struct {
    const char *bytes;
    size_t length;
  } parts[3] = {{left, left_length}, {right, right_length}, {joined, left_length + right_length - prefix}};
  int32_t ids[3];
  for (int i = 0; i < 3; i++) {
    ids[i] = vocabulary_find(v, parts[i].bytes, parts[i].length);
    if (ids[i] < 0)
      FAIL(err, MEDLEY_ERR_INPUT,
           "merge %zu ('%.*s' with '%.*s') needs the token '%.*s', which is not in the vocabulary", v->merge_count + 1,
           (int)(left_length < 60 ? left_length : 60), left, (int)(right_length < 60 ? right_length : 60), right,
           (int)(parts[i].length < 60 ? parts[i].length : 60), parts[i].bytes);
  }
  TRY_GROW(v->merges, v->merge_capacity, v->merge_count + 1, "merges");
  v->merges[v->merge_count++] = (vocabulary_merge){ids[0], ids[1], ids[2]};
done:
  return status;
}

void vocabulary_deinit(tokenizer_vocabulary *v) {
  mem_free(v->tokens);
  mem_free(v->merges);
  mem_free(v->slots);
  arena_free(v->bytes);
  *v = (tokenizer_vocabulary){0};
}
