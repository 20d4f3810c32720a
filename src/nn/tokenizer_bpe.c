/* nn/tokenizer_bpe.c: byte pair encoding with a list of merges (Sennrich et al. 2016), as GPT-2, RoBERTa, CLIP, Llama 3
 * and Qwen publish it; and the merging itself, which sentencepiece's variant shares.
 *
 * Words are short: with up to SHORT symbols the lowest rank is found by looking at all pairs. Longer pieces (a
 * tokenizer without pre-tokenizer sees the whole text as one) go through a heap of candidates over a linked list, so
 * that a text of n symbols takes n log n. Ids of short words are remembered, because a few thousand words are most of
 * any text.
 *
 * Byte-level vocabularies are written in an alphabet of 256 printable characters. Where nothing between the byte-level
 * step and the model could tell the difference, pieces stay raw bytes and only the first symbols are looked up through
 * the alphabet: half the bytes are never rewritten. */
#include "nn/tokenizer_bpe.h"

#include <stdio.h>
#include <string.h>

#define SHORT 24

/* ---- pairs ---- */

static size_t pair_hash(uint64_t key) {
  key *= 0x9E3779B97F4A7C15u;
  return (size_t)(key ^ key >> 32);
}

static uint64_t pair_key(int32_t left, int32_t right) { return ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) + 1; }

medley_status pairs_create(tokenizer_model *m, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  m->pair_slots = 1024;
  while (m->pair_slots < count * 2) m->pair_slots *= 2;
  TRY_NEW(m->pairs, m->pair_slots, "a table of merges");
done:
  return status;
}

static pair_slot *pairs_find(const tokenizer_model *m, uint64_t key) {
  size_t mask = m->pair_slots - 1, i = pair_hash(key) & mask;
  while (m->pairs[i].key != 0 && m->pairs[i].key != key) i = (i + 1) & mask;
  return &m->pairs[i];
}

void pairs_put(tokenizer_model *m, int32_t left, int32_t right, uint32_t rank, int32_t result, bool replace) {
  uint64_t key = pair_key(left, right);
  pair_slot *slot = pairs_find(m, key);
  if (slot->key == 0 || replace) *slot = (pair_slot){key, rank, result};
}

uint32_t pairs_get(const tokenizer_model *m, int32_t left, int32_t right, int32_t *result) {
  if (left < 0 || right < 0) return PAIR_RANK_NONE;
  const pair_slot *slot = pairs_find(m, pair_key(left, right));
  if (slot->key == 0) return PAIR_RANK_NONE;
  *result = slot->result;
  return slot->rank;
}

/* ---- merging ---- */

medley_status symbols_reserve(tokenizer_scratch *s, size_t length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(s->symbols, s->symbol_capacity, length + 1, "symbols of a text");
done:
  return status;
}

static uint32_t rank_of(const tokenizer_model *m, const bpe_symbol *left, const bpe_symbol *right, int32_t *result) {
  return left->frozen || right->frozen ? PAIR_RANK_NONE : pairs_get(m, left->id, right->id, result);
}

static size_t merge_short(const tokenizer_model *m, bpe_symbol *symbols, size_t count) {
  uint32_t ranks[SHORT];
  int32_t results[SHORT];
  for (size_t i = 0; i + 1 < count; i++) ranks[i] = rank_of(m, &symbols[i], &symbols[i + 1], &results[i]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; i++)
      if (ranks[i] < ranks[best]) best = i;
    if (ranks[best] == PAIR_RANK_NONE) break;
    symbols[best].id = results[best];
    symbols[best].size += symbols[best + 1].size;
    count--;
    for (size_t i = best + 1; i < count; i++) symbols[i] = symbols[i + 1];
    for (size_t i = best + 1; i + 1 < count; i++) {
      ranks[i] = ranks[i + 1];
      results[i] = results[i + 1];
    }
    if (best + 1 < count) ranks[best] = rank_of(m, &symbols[best], &symbols[best + 1], &results[best]);
    if (best > 0) ranks[best - 1] = rank_of(m, &symbols[best - 1], &symbols[best], &results[best - 1]);
  }
  return count;
}

static bool candidate_before(const bpe_candidate *a, const bpe_candidate *b) {
  return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(tokenizer_scratch *s, bpe_candidate c) {
  void *grown = s->heap;
  if (s->heap_count == s->heap_capacity && !mem_grow(&grown, &s->heap_capacity, s->heap_count + 1, sizeof c)) {
    s->failed = true;
    return;
  }
  s->heap = grown;
  size_t i = s->heap_count++;
  for (; i > 0 && candidate_before(&c, &s->heap[(i - 1) / 2]); i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
  s->heap[i] = c;
}

static bpe_candidate heap_pop(tokenizer_scratch *s) {
  bpe_candidate top = s->heap[0], last = s->heap[--s->heap_count];
  size_t i = 0, child;
  for (; (child = 2 * i + 1) < s->heap_count; i = child) {
    if (child + 1 < s->heap_count && candidate_before(&s->heap[child + 1], &s->heap[child])) child++;
    if (!candidate_before(&s->heap[child], &last)) break;
    s->heap[i] = s->heap[child];
  }
  if (s->heap_count > 0) s->heap[i] = last;
  return top;
}

static void candidate_add(const tokenizer_model *m, tokenizer_scratch *s, int32_t left) {
  int32_t right = left < 0 ? -1 : s->symbols[left].next, result = -1;
  if (right < 0) return;
  uint32_t rank = rank_of(m, &s->symbols[left], &s->symbols[right], &result);
  if (rank != PAIR_RANK_NONE)
    heap_push(s, (bpe_candidate){rank, left, s->symbols[left].id, s->symbols[right].id, result});
}

/* A merged symbol has size 0; candidates that name symbols as they no longer are, are passed over. */
static size_t merge_long(const tokenizer_model *m, tokenizer_scratch *s, size_t count) {
  bpe_symbol *symbols = s->symbols;
  s->heap_count = 0;
  for (size_t i = 0; i < count; i++) {
    symbols[i].previous = (int32_t)i - 1;
    symbols[i].next = i + 1 < count ? (int32_t)i + 1 : -1;
  }
  for (size_t i = 0; i + 1 < count; i++) candidate_add(m, s, (int32_t)i);
  while (s->heap_count > 0 && !s->failed) {
    bpe_candidate c = heap_pop(s);
    bpe_symbol *left = &symbols[c.at];
    if (left->size == 0 || left->id != c.left || left->next < 0 || symbols[left->next].id != c.right) continue;
    bpe_symbol *right = &symbols[left->next];
    left->id = c.result;
    left->size += right->size;
    right->size = 0;
    left->next = right->next;
    if (left->next >= 0) symbols[left->next].previous = c.at;
    candidate_add(m, s, left->previous);
    candidate_add(m, s, c.at);
  }
  size_t kept = 0;
  for (size_t i = 0; i < count; i++)
    if (symbols[i].size > 0) symbols[kept++] = symbols[i];
  return s->failed ? 0 : kept;
}

size_t symbols_merge(const tokenizer_model *m, tokenizer_scratch *s, size_t count) {
  return count <= SHORT ? merge_short(m, s->symbols, count) : merge_long(m, s, count);
}

/* ---- the kind ---- */

static medley_status affix_read(char **out, const json_t *model, const char *key, medley_error *err) {
  const char *text = json_member_string(model, key, "");
  if (*text == '\0') return MEDLEY_OK;
  *out = mem_strdup(text);
  return *out ? MEDLEY_OK : error_memory(err, "a tokenizer");
}

static medley_status bpe_read(tokenizer *t, const json_t *model, medley_error *err) {
  medley_status status = MEDLEY_OK;
  tokenizer_model *m = &t->model;
  const char *unknown = json_string_value(json_object_get(model, "unk_token"));
  if (unknown != NULL) {
    m->unknown_id = vocabulary_find(&t->vocabulary, unknown, strlen(unknown));
    if (m->unknown_id < 0) FAIL(err, MEDLEY_ERR_INPUT, "the unknown token '%.60s' is not in the vocabulary", unknown);
  }
  if (json_member_number(model, "dropout", 0) != 0)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "BPE with dropout gives other ids every time; set \"dropout\" to null");
  m->fuse_unknown = json_member_flag(model, "fuse_unk", false);
  m->byte_fallback = json_member_flag(model, "byte_fallback", false);
  m->ignore_merges = json_member_flag(model, "ignore_merges", false);
  TRY(affix_read(&m->prefix, model, "continuing_subword_prefix", err));
  TRY(affix_read(&m->suffix, model, "end_of_word_suffix", err));
done:
  return status;
}

/* Pieces can stay raw bytes when the byte-level step is the last one, and symbols have no prefix. */
static void bpe_choose_raw_bytes(tokenizer *t) {
  text_step *last = t->splitters.count > 0 ? &t->splitters.steps[t->splitters.count - 1] : NULL;
  if (last == NULL || strcmp(last->kind.splitter->name, "ByteLevel") != 0 || t->model.prefix != NULL) return;
  last->individual = t->model.raw_bytes = true;
}

static int32_t byte_id(const tokenizer *t, int byte, const char *suffix) {
  char text[64];
  int32_t length = 0;
  if (!t->model.raw_bytes) {
    length = snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
  } else {
    U8_APPEND_UNSAFE(text, length, byte_to_char((unsigned char)byte));
    length += snprintf(text + length, sizeof text - (size_t)length, "%s", suffix);
  }
  return (size_t)length < sizeof text ? vocabulary_find(&t->vocabulary, text, (size_t)length) : -1;
}

static medley_status bpe_build(tokenizer *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tokenizer_vocabulary *v = &t->vocabulary;
  TRY(pairs_create(&t->model, v->merge_count, err));
  for (size_t i = 0; i < v->merge_count; i++)
    pairs_put(&t->model, v->merges[i].left, v->merges[i].right, (uint32_t)i, v->merges[i].result, true);
  bpe_choose_raw_bytes(t);
  for (int b = 0; b < 256; b++) {
    t->model.byte_ids[b] = byte_id(t, b, "");
    t->model.byte_end_ids[b] = t->model.suffix != NULL ? byte_id(t, b, t->model.suffix) : t->model.byte_ids[b];
  }
done:
  return status;
}

/* The id of one character, with the affixes that its place in the word asks for; -1 when there is none. */
static int32_t char_id(const tokenizer *t, const char *text, size_t size, bool first, bool last) {
  char joined[U8_MAX_LENGTH + 128];
  const char *prefix = !first && t->model.prefix != NULL ? t->model.prefix : "";
  const char *suffix = last && t->model.suffix != NULL ? t->model.suffix : "";
  size_t before = strlen(prefix), after = strlen(suffix);
  if (before + after == 0) return model_find(t, text, size);
  if (before + size + after > sizeof joined) return -1;
  memcpy(joined, prefix, before);
  memcpy(joined + before, text, size);
  memcpy(joined + before + size, suffix, after);
  return model_find(t, joined, before + size + after);
}

typedef struct symbol_writer {
  bpe_symbol *symbols;
  size_t count;
  size_t unknown; /* bytes of the unknown run that is waiting to be written */
} symbol_writer;

static void writer_put(symbol_writer *w, int32_t id, size_t size) {
  w->symbols[w->count++] = (bpe_symbol){.id = id, .size = (uint32_t)size};
}

static void writer_flush(symbol_writer *w, int32_t unknown_id) {
  if (w->unknown > 0) writer_put(w, unknown_id, w->unknown);
  w->unknown = 0;
}

/* True when every byte of the character has its own token. */
static bool writer_put_bytes(symbol_writer *w, const tokenizer_model *m, const char *text, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (m->byte_ids[(unsigned char)text[i]] < 0) return false;
  for (size_t i = 0; i < size; i++) writer_put(w, m->byte_ids[(unsigned char)text[i]], 1);
  return true;
}

/* As the reference does it, whose bytes of an unknown character do not end a run of unknown ones before it. A character
 * that is unknown where no unknown token is named is lost. */
static size_t symbols_from_chars(const tokenizer *t, bpe_symbol *symbols, const char *text, size_t length) {
  const tokenizer_model *m = &t->model;
  symbol_writer w = {.symbols = symbols};
  for (size_t at = 0, next = 0; at < length; at = next) {
    text_next(text, &next);
    int32_t id = char_id(t, text + at, next - at, at == 0, next == length);
    if (id >= 0) {
      writer_flush(&w, m->unknown_id);
      writer_put(&w, id, next - at);
    } else if (!(m->byte_fallback && writer_put_bytes(&w, m, text + at, next - at)) && m->unknown_id >= 0) {
      if (!m->fuse_unknown) writer_flush(&w, m->unknown_id);
      w.unknown += next - at;
    }
  }
  writer_flush(&w, m->unknown_id);
  return w.count;
}

static size_t symbols_from_bytes(const tokenizer *t, bpe_symbol *symbols, const char *text, size_t length) {
  const tokenizer_model *m = &t->model;
  symbol_writer w = {.symbols = symbols};
  for (size_t i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)text[i];
    int32_t id = i + 1 == length ? m->byte_end_ids[byte] : m->byte_ids[byte];
    if (id >= 0) {
      writer_flush(&w, m->unknown_id);
      writer_put(&w, id, 1);
    } else if (m->unknown_id >= 0) {
      if (!m->fuse_unknown) writer_flush(&w, m->unknown_id);
      w.unknown += 1;
    }
  }
  writer_flush(&w, m->unknown_id);
  return w.count;
}

/* The id of the whole piece, or -1. */
static int32_t whole_id(const tokenizer *t, const char *text, size_t length) {
  char written[2 * 256];
  int32_t size = 0;
  if (!t->model.raw_bytes) return model_find(t, text, length);
  if (length > sizeof written / 2) return -1;
  for (size_t i = 0; i < length; i++) U8_APPEND_UNSAFE(written, size, byte_to_char((unsigned char)text[i]));
  return model_find(t, written, (size_t)size);
}

static medley_status bpe_encode(const tokenizer *t, tokenizer_scratch *s, const char *text, size_t length,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t before = s->token_count;
  if (word_cache_put(s, text, length)) return MEDLEY_OK;
  int32_t whole = t->model.ignore_merges ? whole_id(t, text, length) : -1;
  if (whole >= 0) {
    token_put(s, whole, 0, length);
  } else {
    TRY(symbols_reserve(s, length, err));
    size_t count = t->model.raw_bytes ? symbols_from_bytes(t, s->symbols, text, length)
                                      : symbols_from_chars(t, s->symbols, text, length);
    count = symbols_merge(&t->model, s, count);
    for (size_t i = 0, at = 0; i < count; at += s->symbols[i++].size)
      token_put(s, s->symbols[i].id, at, at + s->symbols[i].size);
  }
  word_cache_keep(s, text, length, before);
done:
  return status;
}

const tokenizer_kind tokenizer_bpe = {
    .name = "bpe",
    .json_type = "BPE",
    .summary = "pairs of symbols joined in the order of a list of merges (GPT-2, CLIP, Llama 3)",
    .read = bpe_read,
    .build = bpe_build,
    .encode = bpe_encode,
};
