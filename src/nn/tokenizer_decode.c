/* nn/tokenizer_decode.c: ids back to text: the decoders of tokenizer.json, each a row of `text_decoders`.
 *
 * A decoder takes the list of token strings and changes each, or joins them (Fuse, ByteLevel); what is left at the end
 * is joined. Bytes that form no character become U+FFFD, as many as the reference writes. */
#include <stdlib.h>
#include <string.h>

#include "nn/tokenizer_parts.h"

typedef struct token_string token_string;

/* Replaces item i by the bytes of b, which is emptied. */
static void string_set(token_strings *tokens, size_t i, strbuf *b) {
  char *copy = b->failed ? NULL : arena_strndup(tokens->memory, b->text ? b->text : "", b->length);
  if (copy == NULL) {
    tokens->failed = true;
  } else {
    tokens->items[i] = (token_string){copy, b->length};
  }
  strbuf_reset(b);
}

/* All items from..count as one. */
static void strings_join(token_strings *tokens) {
  strbuf all = {0};
  if (tokens->count == 0) return;
  for (size_t i = 0; i < tokens->count; i++) strbuf_append_bytes(&all, tokens->items[i].bytes, tokens->items[i].length);
  string_set(tokens, 0, &all);
  tokens->count = 1;
  strbuf_deinit(&all);
}

static bool text_starts(token_string s, const char *with, size_t length) {
  return s.length >= length && memcmp(s.bytes, with, length) == 0;
}

/* b with every `what` replaced. */
static void append_replaced(strbuf *b, token_string s, const char *what, size_t what_length, const char *with,
                            size_t with_length) {
  size_t at = 0;
  while (what_length > 0 && at < s.length) {
    const char *hit = memmem(s.bytes + at, s.length - at, what, what_length);
    if (hit == NULL) break;
    strbuf_append_bytes(b, s.bytes + at, (size_t)(hit - s.bytes) - at);
    strbuf_append_bytes(b, with, with_length);
    at = (size_t)(hit - s.bytes) + what_length;
  }
  strbuf_append_bytes(b, s.bytes + at, s.length - at);
}

/* ---- the kinds ---- */

static void repaired_append(strbuf *b, const char *bytes, size_t length) {
  traced_text t = {0};
  (void)traced_read(&t, bytes, length, false);
  strbuf_append_bytes(b, t.bytes ? t.bytes : "", t.length);
  b->failed = b->failed || t.failed;
  traced_deinit(&t);
}

/* The token's characters as bytes; as it is when one of them is not of the alphabet. */
static void bytes_append(strbuf *b, token_string s) {
  size_t before = b->length;
  for (size_t at = 0; at < s.length;) {
    int byte = char_to_byte(text_next(s.bytes, &at));
    if (byte < 0) {
      b->length = before;
      strbuf_append_bytes(b, s.bytes, s.length);
      return;
    }
    strbuf_append_char(b, (char)byte);
  }
}

static void byte_level_apply(const text_step *step, token_strings *tokens) {
  strbuf bytes = {0}, text = {0};
  (void)step;
  if (tokens->count == 0) return;
  for (size_t i = 0; i < tokens->count; i++) bytes_append(&bytes, tokens->items[i]);
  repaired_append(&text, bytes.text ? bytes.text : "", bytes.length);
  text.failed = text.failed || bytes.failed;
  string_set(tokens, 0, &text);
  tokens->count = 1;
  strbuf_deinit(&bytes);
  strbuf_deinit(&text);
}

/* Spaces off that tokenising had put around English punctuation. */
static void cleanup_append(strbuf *b, token_string s) {
  static const struct {
    const char *what, *with;
  } rows[] = {{" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
              {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  strbuf from = {0}, to = {0};
  strbuf_append_bytes(&from, s.bytes, s.length);
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    token_string now = {from.text ? from.text : "", from.length};
    append_replaced(&to, now, rows[r].what, strlen(rows[r].what), rows[r].with, strlen(rows[r].with));
    strbuf swap = from;
    from = to;
    to = swap;
    strbuf_reset(&to);
  }
  strbuf_append_bytes(b, from.text ? from.text : "", from.length);
  b->failed = b->failed || from.failed || to.failed;
  strbuf_deinit(&from);
  strbuf_deinit(&to);
}

static medley_status wordpiece_read(text_step *step, const json_t *config, medley_error *err) {
  step->cleanup = json_member_flag(config, "cleanup", true);
  return step_read_text(&step->content, &step->content_length, config, "prefix", err);
}

static void wordpiece_apply(const text_step *step, token_strings *tokens) {
  strbuf b = {0}, cleaned = {0};
  for (size_t i = 0; i < tokens->count; i++) {
    token_string s = tokens->items[i];
    bool inner = text_starts(s, step->content, step->content_length);
    if (i > 0 && !inner) strbuf_append(&b, " ");
    size_t skip = i > 0 && inner ? step->content_length : 0;
    strbuf_append_bytes(&b, s.bytes + skip, s.length - skip);
    if (step->cleanup) {
      cleanup_append(&cleaned, (token_string){b.text ? b.text : "", b.length});
      strbuf_reset(&b);
      string_set(tokens, i, &cleaned);
    } else {
      string_set(tokens, i, &b);
    }
  }
  strbuf_deinit(&b);
  strbuf_deinit(&cleaned);
}

static medley_status metaspace_read(text_step *step, const json_t *config, medley_error *err) {
  const char *scheme = json_member_string(config, "prepend_scheme",
                                          json_member_flag(config, "add_prefix_space", true) ? "always" : "never");
  step->prepend = strcmp(scheme, "never") == 0 ? PREPEND_NEVER : PREPEND_ALWAYS;
  return step_read_text(&step->content, &step->content_length, config, "replacement", err);
}

/* The mark becomes a space, but goes at the very beginning when one was put there. */
static void metaspace_apply(const text_step *step, token_strings *tokens) {
  strbuf b = {0};
  for (size_t i = 0; i < tokens->count; i++) {
    token_string s = tokens->items[i];
    if (i == 0 && step->prepend != PREPEND_NEVER && text_starts(s, step->content, step->content_length))
      s = (token_string){s.bytes + step->content_length, s.length - step->content_length};
    append_replaced(&b, s, step->content, step->content_length, " ", 1);
    string_set(tokens, i, &b);
  }
  strbuf_deinit(&b);
}

static medley_status suffix_read(text_step *step, const json_t *config, medley_error *err) {
  return step_read_text(&step->content, &step->content_length, config, "suffix", err);
}

static void suffix_apply(const text_step *step, token_strings *tokens) {
  strbuf b = {0};
  for (size_t i = 0; i < tokens->count; i++) {
    append_replaced(&b, tokens->items[i], step->content, step->content_length, i + 1 < tokens->count ? " " : "",
                    i + 1 < tokens->count ? 1 : 0);
    string_set(tokens, i, &b);
  }
  strbuf_deinit(&b);
}

static void fuse_apply(const text_step *step, token_strings *tokens) {
  (void)step;
  strings_join(tokens);
}

/* The byte of a token like <0x41>, or -1. */
static int byte_token(token_string s) {
  if (s.length != 6 || memcmp(s.bytes, "<0x", 3) != 0 || s.bytes[5] != '>') return -1;
  char digits[3] = {s.bytes[3], s.bytes[4], '\0'}, *end;
  long value = strtol(digits, &end, 16);
  return end == digits + 2 ? (int)value : -1;
}

/* Runs of byte tokens become characters; a run that is not wholly UTF-8 becomes one U+FFFD for each byte. */
static void byte_fallback_apply(const text_step *step, token_strings *tokens) {
  strbuf run = {0};
  size_t out = 0;
  (void)step;
  for (size_t i = 0; i <= tokens->count; i++) {
    int byte = i < tokens->count ? byte_token(tokens->items[i]) : -1;
    if (byte >= 0) {
      strbuf_append_char(&run, (char)byte);
      continue;
    }
    if (run.length > 0) {
      size_t length = run.length;
      if (!utf8_valid(run.text, length)) {
        strbuf_reset(&run);
        for (size_t k = 0; k < length; k++) strbuf_append(&run, "\xEF\xBF\xBD");
      }
      string_set(tokens, out++, &run);
    }
    if (i < tokens->count) tokens->items[out++] = tokens->items[i];
  }
  tokens->count = out;
  strbuf_deinit(&run);
}

static medley_status replace_read(text_step *step, const json_t *config, medley_error *err) {
  medley_status status = step_read_text(&step->content, &step->content_length, config, "content", err);
  if (status == MEDLEY_OK) status = step_read_pattern(step, config, err);
  if (status == MEDLEY_OK && step->pattern == NULL)
    return error_set(err, MEDLEY_ERR_UNSUPPORTED, "replaces a regular expression, which is not known here");
  return status;
}

static void replace_apply(const text_step *step, token_strings *tokens) {
  strbuf b = {0};
  for (size_t i = 0; i < tokens->count; i++) {
    append_replaced(&b, tokens->items[i], step->pattern, step->pattern_length, step->content, step->content_length);
    string_set(tokens, i, &b);
  }
  strbuf_deinit(&b);
}

static medley_status strip_read(text_step *step, const json_t *config, medley_error *err) {
  step->start = (int)json_member_integer(config, "start", 0);
  step->stop = (int)json_member_integer(config, "stop", 0);
  return step_read_text(&step->content, &step->content_length, config, "content", err);
}

/* Up to `start` of the character at the front of each token and `stop` at its end. */
static void strip_apply(const text_step *step, token_strings *tokens) {
  size_t size = step->content_length;
  for (size_t i = 0; i < tokens->count; i++) {
    token_string *s = &tokens->items[i];
    for (int n = 0; n < step->start && size > 0 && text_starts(*s, step->content, size); n++)
      *s = (token_string){s->bytes + size, s->length - size};
    for (int n = 0; n < step->stop && size > 0 && s->length >= size &&
                    memcmp(s->bytes + s->length - size, step->content, size) == 0;
         n++)
      s->length -= size;
  }
}

static const decoder_kind text_decoders[] = {
    {"BPEDecoder", suffix_read, suffix_apply},
    {"ByteFallback", NULL, byte_fallback_apply},
    {"ByteLevel", NULL, byte_level_apply},
    {"Fuse", NULL, fuse_apply},
    {"Metaspace", metaspace_read, metaspace_apply},
    {"Replace", replace_read, replace_apply},
    {"Strip", strip_read, strip_apply},
    {"WordPiece", wordpiece_read, wordpiece_apply},
};

medley_status decoders_read(step_list *list, const json_t *config, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *type = json_member_string(config, "type", "?");
  const size_t kinds = sizeof text_decoders / sizeof *text_decoders;
  text_step *step;
  size_t i = 0;
  if (config == NULL || json_is_null(config)) return MEDLEY_OK;
  if (strcmp(type, "Sequence") == 0) {
    const json_t *inner = json_object_get(config, "decoders");
    for (size_t n = 0; n < json_array_size(inner); n++) TRY(decoders_read(list, json_array_get(inner, n), err));
    goto done;
  }
  while (i < kinds && strcmp(text_decoders[i].name, type) != 0) i++;
  if (i == kinds) FAIL(err, MEDLEY_ERR_UNSUPPORTED, "the decoder '%.60s' is not known here", type);
  TRY(step_list_add(list, &step, err));
  step->kind.decoder = &text_decoders[i];
  if (step->kind.decoder->read != NULL) status = step->kind.decoder->read(step, config, err);
  if (status != MEDLEY_OK) error_prefix(err, status, "the decoder %s", type);
done:
  return status;
}

/* ---- the call ---- */

static medley_status strings_collect(const tokenizer *t, const int32_t *ids, size_t count, bool skip_special,
                                     token_strings *tokens, medley_error *err) {
  const tokenizer_vocabulary *v = &t->vocabulary;
  for (size_t i = 0; i < count; i++) {
    if (ids[i] < 0 || (size_t)ids[i] >= v->count || v->tokens[ids[i]].bytes == NULL)
      return error_set(err, MEDLEY_ERR_INPUT, "id %d at place %zu is not in the vocabulary of %zu tokens", (int)ids[i],
                       i, v->count);
    if (skip_special && t->skipped[ids[i]]) continue;
    tokens->items[tokens->count++] = (token_string){v->tokens[ids[i]].bytes, v->tokens[ids[i]].length};
  }
  return MEDLEY_OK;
}

medley_status tokenizer_decode(const tokenizer *t, const int32_t *ids, size_t count, bool skip_special, char **text,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  token_strings tokens = {.memory = arena_create(0)};
  strbuf all = {0};
  *text = NULL;
  TRY_NEW(tokens.items, count, "tokens");
  TRY(strings_collect(t, ids, count, skip_special, &tokens, err));
  for (size_t d = 0; d < t->decoders.count && tokens.memory != NULL; d++)
    t->decoders.steps[d].kind.decoder->apply(&t->decoders.steps[d], &tokens);
  for (size_t i = 0; i < tokens.count; i++) {
    if (i > 0 && t->decoders.count == 0) strbuf_append(&all, " ");
    repaired_append(&all, tokens.items[i].bytes, tokens.items[i].length);
  }
  if (!tokens.failed && tokens.memory != NULL) *text = strbuf_take(&all);
  if (*text == NULL) status = error_memory(err, "a decoded text");
done:
  mem_free(tokens.items);
  arena_free(tokens.memory);
  strbuf_deinit(&all);
  return status;
}
