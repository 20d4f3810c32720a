/* nn/tokenizer.c: see nn/tokenizer.h. Encoding: the way of a text through the parts of a tokenizer, and what is put
 * around its ids. Loading is in nn/tokenizer_load.c.
 *
 * The memory that an encoding needs is a scratch, taken from a list of idle ones and given back: threads share a
 * tokenizer without sharing anything that is written, and a warm tokenizer allocates nothing. */
#include "nn/tokenizer.h"

#include <stdio.h>
#include <string.h>

#include "nn/tokenizer_parts.h"

/* ---- scratch ---- */

static void scratch_free(tokenizer_scratch *s) {
  if (s == NULL) return;
  for (size_t i = 0; s->regexes != NULL && i < s->owner->regex_count; i++)
    if (s->regexes[i] != NULL) uregex_close(s->regexes[i]);
  mem_free(s->regexes);
  traced_deinit(&s->source);
  for (int i = 0; i < 4; i++) traced_deinit(&s->texts[i]);
  traced_deinit(&s->scraps);
  mem_free(s->pieces[0].pieces);
  mem_free(s->pieces[1].pieces);
  mem_free(s->chars);
  mem_free(s->char_origins);
  mem_free(s->char_classes);
  mem_free(s->symbols);
  mem_free(s->heap);
  mem_free(s->nodes);
  mem_free(s->cache);
  mem_free(s->tokens);
  mem_free(s);
}

static tokenizer_scratch *scratch_create(const tokenizer *t) {
  tokenizer_scratch *s = mem_zalloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->owner = t;
  s->regexes = mem_zalloc(t->regex_count, sizeof(URegularExpression *));
  s->cache = mem_zalloc(WORD_CACHE_SLOTS, sizeof *s->cache);
  if (s->regexes != NULL && s->cache != NULL) return s;
  scratch_free(s);
  return NULL;
}

/* The list of idle ones is the one thing that changes in a tokenizer that is const to its users. */
static tokenizer_scratch *scratch_take(const tokenizer *t) {
  tokenizer *mine = (tokenizer *)t;
  pthread_mutex_lock(&mine->lock);
  tokenizer_scratch *s = mine->idle;
  if (s != NULL) mine->idle = s->next;
  pthread_mutex_unlock(&mine->lock);
  return s != NULL ? s : scratch_create(t);
}

static void scratch_give(const tokenizer *t, tokenizer_scratch *s) {
  tokenizer *mine = (tokenizer *)t;
  if (s == NULL) return;
  pthread_mutex_lock(&mine->lock);
  s->next = mine->idle;
  mine->idle = s;
  pthread_mutex_unlock(&mine->lock);
}

/* ---- tokens of a piece ---- */

int32_t model_find(const tokenizer *t, const char *bytes, size_t length) {
  int32_t id = vocabulary_find(&t->vocabulary, bytes, length);
  return id >= 0 && t->vocabulary.tokens[id].type == TOKEN_NORMAL ? id : -1;
}

void token_put(tokenizer_scratch *s, int32_t id, size_t begin, size_t end) {
  void *grown = s->tokens;
  if (s->token_count == s->token_capacity &&
      !mem_grow(&grown, &s->token_capacity, s->token_count + 1, sizeof *s->tokens)) {
    s->failed = true;
    return;
  }
  s->tokens = grown;
  scratch_token *token = &s->tokens[s->token_count++];
  *token = (scratch_token){.id = id, .end = (uint32_t)(s->piece_begin + end)};
  if (s->piece_text->traced && end > begin) {
    token->span.begin = s->piece_text->origins[s->piece_begin + begin].begin;
    token->span.end = s->piece_text->origins[s->piece_begin + end - 1].end;
  }
}

void unknown_put(const tokenizer *t, tokenizer_scratch *s, size_t first, const char *text, size_t begin, size_t end) {
  const tokenizer_model *m = &t->model;
  if (m->byte_fallback) {
    for (size_t i = begin; i < end; i++) token_put(s, m->byte_ids[(unsigned char)text[i]], i, i + 1);
  } else if (s->token_count > first && s->tokens[s->token_count - 1].id == m->unknown_id) {
    if (s->piece_text->traced)
      s->tokens[s->token_count - 1].span.end = s->piece_text->origins[s->piece_begin + end - 1].end;
  } else if (m->unknown_id >= 0) {
    token_put(s, m->unknown_id, begin, end);
  }
}

void byte_ids_find(tokenizer *t) {
  for (int b = 0; b < 256; b++) {
    char text[8];
    int length = snprintf(text, sizeof text, "<0x%02X>", (unsigned)b);
    t->model.byte_ids[b] = vocabulary_find(&t->vocabulary, text, (size_t)length);
    if (t->model.byte_ids[b] < 0) t->model.byte_fallback = false;
  }
}

/* ---- the cache of words: one slot for each hash, the last word wins ---- */

static word_cached *cache_slot(tokenizer_scratch *s, const char *word, size_t length) {
  return &s->cache[bytes_hash(word, length) & (WORD_CACHE_SLOTS - 1)];
}

bool word_cache_put(tokenizer_scratch *s, const char *word, size_t length) {
  if (length > WORD_CACHE_BYTES) return false;
  const word_cached *slot = cache_slot(s, word, length);
  if (slot->length != length || memcmp(slot->bytes, word, length) != 0) return false;
  for (size_t i = 0, begin = 0; i < slot->count; begin = slot->ends[i++])
    token_put(s, slot->ids[i], begin, slot->ends[i]);
  return true;
}

void word_cache_keep(tokenizer_scratch *s, const char *word, size_t length, size_t from) {
  size_t count = s->token_count - from;
  if (length > WORD_CACHE_BYTES || count > WORD_CACHE_IDS || s->failed) return;
  word_cached *slot = cache_slot(s, word, length);
  for (size_t i = 0; i < count; i++) {
    slot->ids[i] = s->tokens[from + i].id;
    slot->ends[i] = (uint8_t)(s->tokens[from + i].end - s->piece_begin);
  }
  slot->count = (uint8_t)count;
  memcpy(slot->bytes, word, length);
  slot->length = (uint8_t)length;
}

/* ---- the way of one text ---- */

/* The model over every piece. */
static medley_status pieces_encode(const tokenizer *t, tokenizer_scratch *s, const text_pieces *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  s->piece_text = p->text;
  for (size_t i = 0; i < p->count; i++) {
    s->piece_begin = p->pieces[i].begin;
    TRY(t->model.kind->encode(t, s, p->text->bytes + s->piece_begin, p->pieces[i].end - p->pieces[i].begin, err));
  }
done:
  return status;
}

/* Splits bytes [begin, end) of the normalised text and encodes the pieces. */
static medley_status stretch_encode(const tokenizer *t, tokenizer_scratch *s, traced_text *text, size_t begin,
                                    size_t end, medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_pieces *in = &s->pieces[0], *out = &s->pieces[1];
  size_t turn = 2;
  in->count = 0;
  in->text = text;
  pieces_put(in, begin, end);
  for (size_t i = 0; i < t->splitters.count; i++) {
    const text_step *step = &t->splitters.steps[i];
    out->count = 0;
    out->text = &s->texts[turn];
    traced_reset(out->text, text->traced);
    TRY(step->kind.splitter->apply(step, s, in, out, err));
    if (in->failed || out->failed || out->text->failed) {
      status = error_memory(err, "pieces of a text");
      goto done;
    }
    if (out->text->length == 0)
      out->text = in->text; /* it only cut */
    else
      turn = 5 - turn;
    text_pieces *swap = in;
    in = out;
    out = swap;
  }
  if (in->failed) {
    status = error_memory(err, "pieces of a text");
    goto done;
  }
  TRY(pieces_encode(t, s, in, err));
done:
  s->pieces[0].failed = s->pieces[1].failed = false;
  return status;
}

typedef struct added_match {
  const added_token *token;
  size_t begin, end;
} added_match;

static bool added_stands_alone(const traced_text *text, size_t begin, size_t end) {
  size_t at = begin, next = end;
  if (at > 0) {
    U8_BACK_1_UNSAFE((const unsigned char *)text->bytes, at);
    if (char_is_word(text_next(text->bytes, &at))) return false;
  }
  return end >= text->length || !char_is_word(text_next(text->bytes, &next));
}

/* White space before and after that belongs to the token. */
static void added_widen(const traced_text *text, size_t from, added_match *m) {
  while (m->token->strip_left && m->begin > from) {
    size_t at = m->begin, next;
    U8_BACK_1_UNSAFE((const unsigned char *)text->bytes, at);
    next = at;
    if (!char_is_space(text_next(text->bytes, &next))) break;
    m->begin = at;
  }
  while (m->token->strip_right && m->end < text->length) {
    size_t next = m->end;
    if (!char_is_space(text_next(text->bytes, &next))) break;
    m->end = next;
  }
}

/* The first added token at or after *search, the longest one there; nothing before `from` belongs to it. *search moves
 * behind it. */
static bool added_find(const tokenizer *t, const trie *tokens, const traced_text *text, size_t from, size_t *search,
                       const tokenizer_options *options, added_match *m) {
  if (tokens->count == 0) return false;
  for (size_t at = *search; at < text->length;) {
    size_t length = 0;
    int32_t index = trie_longest(tokens, text->bytes + at, text->length - at, &length);
    if (index < 0) {
      at++;
      continue;
    }
    *m = (added_match){&t->added[index], at, at + length};
    at += length;
    if (options->literal_special && m->token->special) continue;
    if (m->token->single_word && !added_stands_alone(text, m->begin, m->end)) continue;
    *search = at;
    added_widen(text, from, m);
    return true;
  }
  return false;
}

static void added_put(tokenizer_scratch *s, traced_text *text, const added_match *m) {
  s->piece_text = text;
  s->piece_begin = m->begin;
  token_put(s, m->token->id, 0, m->end - m->begin);
}

/* Normalises bytes [begin, end) of the source, cuts out the added tokens that are looked for there, encodes the rest.
 */
static medley_status section_encode(const tokenizer *t, tokenizer_scratch *s, size_t begin, size_t end,
                                    const tokenizer_options *options, medley_error *err) {
  medley_status status = MEDLEY_OK;
  traced_text *now = &s->source;
  if (begin > 0 || end < s->source.length) {
    now = &s->texts[0];
    traced_reset(now, s->source.traced);
    traced_copy(now, &s->source, begin, end);
  }
  for (size_t i = 0; i < t->normalizers.count; i++) {
    const text_step *step = &t->normalizers.steps[i];
    traced_text *out = now == &s->texts[0] ? &s->texts[1] : &s->texts[0];
    traced_reset(out, s->source.traced);
    TRY(step->kind.normalizer->apply(step, s, now, out, err));
    if (out->failed) {
      status = error_memory(err, "a normalised text");
      goto done;
    }
    if (out->length > 8 * TOKENIZER_TEXT_MAX)
      FAIL(err, MEDLEY_ERR_LIMIT, "normalised, the text has more than %zu bytes", 8 * TOKENIZER_TEXT_MAX);
    now = out;
  }
  size_t from = 0, search = 0;
  added_match m;
  while (added_find(t, &t->added_normalized, now, from, &search, options, &m)) {
    TRY(stretch_encode(t, s, now, from, m.begin, err));
    added_put(s, now, &m);
    from = m.end;
    if (search < from) search = from;
  }
  TRY(stretch_encode(t, s, now, from, now->length, err));
done:
  return status;
}

/* The text's tokens, appended to s->tokens. */
static medley_status text_encode(const tokenizer *t, tokenizer_scratch *s, tokenizer_bytes text,
                                 const tokenizer_options *options, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (text.length > TOKENIZER_TEXT_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "a text of %zu bytes is longer than %zu, which is as much as is encoded at once",
         text.length, TOKENIZER_TEXT_MAX);
  traced_reset(&s->source, options->offsets || t->always_traced);
  bool well_formed = traced_read(&s->source, text.bytes, text.length, t->repair_each_byte);
  if (!well_formed && t->repair_each_byte && !s->source.traced) { /* the normaliser tells repairs by their origin */
    traced_reset(&s->source, true);
    (void)traced_read(&s->source, text.bytes, text.length, true);
  }
  size_t from = 0, search = 0;
  added_match m;
  while (!s->source.failed && added_find(t, &t->added_raw, &s->source, from, &search, options, &m)) {
    if (m.begin > from) TRY(section_encode(t, s, from, m.begin, options, err));
    added_put(s, &s->source, &m);
    from = m.end;
    if (search < from) search = from;
  }
  if (!s->source.failed && (from < s->source.length)) TRY(section_encode(t, s, from, s->source.length, options, err));
  if (s->source.failed || s->failed) status = error_memory(err, "the tokens of a text");
done:
  s->failed = s->source.failed = false;
  return status;
}

/* ---- around the ids ---- */

void token_list_deinit(token_list *list) {
  mem_free(list->ids);
  mem_free(list->segments);
  mem_free(list->special);
  mem_free(list->attention);
  mem_free(list->offsets);
  *list = (token_list){0};
}

static medley_status list_reserve(token_list *list, size_t count, bool offsets, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (count > list->capacity) {
    size_t capacity = list->capacity;
    TRY_GROW(list->ids, capacity, count, "tokens");
    capacity = list->capacity;
    TRY_GROW(list->segments, capacity, count, "tokens");
    capacity = list->capacity;
    TRY_GROW(list->special, capacity, count, "tokens");
    capacity = list->capacity;
    TRY_GROW(list->attention, capacity, count, "tokens");
    list->capacity = capacity;
  }
  if (offsets) TRY_GROW(list->offsets, list->offsets_capacity, count, "offsets");
done:
  return status;
}

static void list_put(token_list *list, int32_t id, uint8_t segment, bool special, token_span span, bool offsets) {
  list->ids[list->count] = id;
  list->segments[list->count] = segment;
  list->special[list->count] = special;
  list->attention[list->count] = 1;
  if (offsets) list->offsets[list->count] = span;
  list->count++;
}

/* The tokens of one text, and how many of them are kept. */
typedef struct token_range {
  size_t begin, count;
} token_range;

static void range_cut(token_range *r, size_t count, bool left, size_t *dropped) {
  if (r->count <= count) return;
  *dropped += r->count - count;
  if (left) r->begin += r->count - count;
  r->count = count;
}

/* The shorter of the two keeps what it has, up to half of the room. */
static void ranges_cut(token_range r[2], size_t room, bool left, size_t *dropped) {
  size_t a = r[0].count, b = r[1].count;
  if (a + b <= room) return;
  size_t shorter = a < b ? a : b, other = shorter <= room / 2 ? room - shorter : 0;
  if (other == 0) {
    shorter = room / 2;
    other = shorter + room % 2;
  }
  range_cut(&r[0], a <= b ? shorter : other, left, dropped);
  range_cut(&r[1], a <= b ? other : shorter, left, dropped);
}

/* How many characters at this end of the token stand for white space. */
static size_t token_spaces(const vocabulary_token *token, bool leading) {
  size_t spaces = 0, at = leading ? 0 : token->length;
  while (leading ? at < token->length : at > 0) {
    if (!leading) U8_BACK_1_UNSAFE((const unsigned char *)token->bytes, at);
    size_t next = at;
    UChar32 c = text_next(token->bytes, &next);
    if (c != byte_to_char(' ') && !char_is_space(c)) break;
    spaces++;
    if (leading) at = next;
  }
  return spaces;
}

/* Offsets without the white space that belongs to a token of a byte-level vocabulary. */
static void spans_trim(const tokenizer *t, scratch_token *tokens, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const vocabulary_token *token = &t->vocabulary.tokens[tokens[i].id];
    token_span *span = &tokens[i].span;
    size_t before = token_spaces(token, true), after = token_spaces(token, false);
    if (i == 0 && t->template.trim_prefix_space && before == 1) {
      if (after > 0) span->end = span->begin; /* nothing but the space that was put in */
      before = after = 0;
    }
    span->begin = span->begin + before < span->end ? span->begin + (uint32_t)before : span->end;
    if (span->end >= after) span->end = span->end - after > span->begin ? span->end - (uint32_t)after : span->begin;
  }
}

static size_t template_specials(const template_item *items, size_t count) {
  size_t specials = 0;
  for (size_t i = 0; i < count; i++) specials += items[i].part == TEMPLATE_SPECIAL;
  return specials;
}

/* Lays out the template over the two texts' tokens. */
static medley_status list_fill(const tokenizer *t, const tokenizer_scratch *s, const template_item *items, size_t count,
                               const token_range ranges[2], const tokenizer_options *options, token_list *out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t total = 0;
  for (size_t i = 0; i < count; i++)
    total += items[i].part == TEMPLATE_SPECIAL ? 1 : ranges[items[i].part == TEMPLATE_SECOND].count;
  TRY(list_reserve(out, total > options->pad_to ? total : options->pad_to, options->offsets, err));
  for (size_t i = 0; i < count; i++) {
    if (items[i].part == TEMPLATE_SPECIAL) {
      list_put(out, items[i].id, items[i].segment, true, (token_span){0, 0}, options->offsets);
      continue;
    }
    const token_range *r = &ranges[items[i].part == TEMPLATE_SECOND];
    for (size_t k = r->begin; k < r->begin + r->count; k++)
      list_put(out, s->tokens[k].id, items[i].segment, false, s->tokens[k].span, options->offsets);
  }
  int32_t pad = t->special[TOKENIZER_PAD];
  while (out->count < options->pad_to) {
    list_put(out, pad < 0 ? 0 : pad, 0, true, (token_span){0, 0}, options->offsets);
    out->attention[out->count - 1] = 0;
  }
done:
  return status;
}

static medley_status texts_encode(const tokenizer *t, tokenizer_scratch *s, const tokenizer_bytes *texts, size_t count,
                                  const tokenizer_options *options, token_list *out, medley_error *err) {
  static const template_item plain[] = {{TEMPLATE_FIRST, -1, 0}, {TEMPLATE_SECOND, -1, 1}};
  medley_status status = MEDLEY_OK;
  token_range ranges[2] = {{0}};
  bool bare = options->plain || !t->template.said;
  const template_item *items = bare ? plain : count == 2 ? t->template.pair : t->template.single;
  size_t item_count = bare ? count : count == 2 ? t->template.pair_count : t->template.single_count;
  size_t limit = options->tokens_max > 0 ? options->tokens_max : t->tokens_max > 0 ? t->tokens_max : SIZE_MAX;
  size_t specials = template_specials(items, item_count);
  if (count == 2 && item_count == 0)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "this tokenizer does not say how two texts go together");
  if (limit < specials)
    FAIL(err, MEDLEY_ERR_USAGE, "%zu tokens are not enough: the special tokens alone are %zu", limit, specials);
  s->token_count = 0;
  for (size_t i = 0; i < count; i++) {
    ranges[i].begin = s->token_count;
    TRY(text_encode(t, s, texts[i], options, err));
    ranges[i].count = s->token_count - ranges[i].begin;
    if (options->offsets && t->template.trim_offsets && ranges[i].count > 0)
      spans_trim(t, s->tokens + ranges[i].begin, ranges[i].count);
  }
  if (count == 1) range_cut(&ranges[0], limit - specials, t->truncate_left, &out->dropped);
  if (count == 2) ranges_cut(ranges, limit - specials, t->truncate_left, &out->dropped);
  TRY(list_fill(t, s, items, item_count, ranges, options, out, err));
done:
  return status;
}

static medley_status encode(const tokenizer *t, const tokenizer_bytes *texts, size_t count,
                            const tokenizer_options *options, token_list *out, medley_error *err) {
  static const tokenizer_options nothing = {0};
  out->count = out->dropped = 0;
  tokenizer_scratch *s = scratch_take(t);
  if (s == NULL) return error_memory(err, "an encoding");
  medley_status status = texts_encode(t, s, texts, count, options != NULL ? options : &nothing, out, err);
  if (status != MEDLEY_OK) out->count = 0;
  scratch_give(t, s);
  return status;
}

medley_status tokenizer_encode(const tokenizer *t, const char *text, size_t length, const tokenizer_options *options,
                               token_list *out, medley_error *err) {
  return encode(t, &(tokenizer_bytes){text, length}, 1, options, out, err);
}

medley_status tokenizer_encode_pair(const tokenizer *t, tokenizer_bytes first, tokenizer_bytes second,
                                    const tokenizer_options *options, token_list *out, medley_error *err) {
  return encode(t, (tokenizer_bytes[]){first, second}, 2, options, out, err);
}

/* ---- what is inside ---- */

const char *tokenizer_kind_name(const tokenizer *t) { return t->model.kind->name; }
size_t tokenizer_size(const tokenizer *t) { return t->vocabulary.count; }
size_t tokenizer_tokens_max(const tokenizer *t) { return t->tokens_max; }
int32_t tokenizer_special_id(const tokenizer *t, tokenizer_special which) { return t->special[which]; }

const char *tokenizer_token(const tokenizer *t, int32_t id, size_t *length) {
  if (id < 0 || (size_t)id >= t->vocabulary.count || t->vocabulary.tokens[id].bytes == NULL) return NULL;
  if (length != NULL) *length = t->vocabulary.tokens[id].length;
  return t->vocabulary.tokens[id].bytes;
}

int32_t tokenizer_find(const tokenizer *t, const char *token) {
  return vocabulary_find(&t->vocabulary, token, strlen(token));
}

void tokenizer_free(tokenizer *t) {
  if (t == NULL) return;
  while (t->idle != NULL) {
    tokenizer_scratch *next = t->idle->next;
    scratch_free(t->idle);
    t->idle = next;
  }
  vocabulary_deinit(&t->vocabulary);
  mem_free(t->model.prefix);
  mem_free(t->model.suffix);
  mem_free(t->model.pairs);
  trie_deinit(&t->model.words);
  trie_deinit(&t->model.inner);
  trie_deinit(&t->model.protected);
  trie_deinit(&t->model.singles);
  step_list_deinit(&t->normalizers);
  step_list_deinit(&t->splitters);
  step_list_deinit(&t->decoders);
  template_deinit(&t->template);
  mem_free(t->added);
  trie_deinit(&t->added_raw);
  trie_deinit(&t->added_normalized);
  mem_free(t->skipped);
  pthread_mutex_destroy(&t->lock);
  mem_free(t);
}
