/* nn/tokenizer_split.c: the pre-tokenizers of tokenizer.json, each a row of `text_splitters`: text into pieces that the
 * model never joins.
 *
 * Most only cut; ByteLevel and Metaspace also rewrite the text, and then the pieces are of the new text. */
#include <string.h>

#include "nn/tokenizer_parts.h"

/* ---- matches into pieces: what the five behaviours do ---- */

typedef struct splitting {
  text_pieces *out;
  split_behaviour behaviour;
  bool invert;
  size_t offset, done; /* of the piece in its text; how far it was cut, relative to it */
  /* the piece that may still grow */
  size_t open_begin, open_end;
  bool open, last_matched;
} splitting;

static void splitting_flush(splitting *s) {
  if (s->open) pieces_put(s->out, s->offset + s->open_begin, s->offset + s->open_end);
  s->open = false;
}

static void splitting_start(splitting *s, size_t begin, size_t end) {
  splitting_flush(s);
  s->open = true;
  s->open_begin = begin;
  s->open_end = end;
}

/* One stretch, matched or between matches, in order. */
static void splitting_put(splitting *s, size_t begin, size_t end, bool matched) {
  bool joins = false, previous = s->last_matched;
  if (begin == end) return;
  s->last_matched = matched;
  switch (s->behaviour) {
    case SPLIT_REMOVED:
      splitting_flush(s);
      if (matched) return;
      break;
    case SPLIT_ISOLATED: break;
    case SPLIT_CONTIGUOUS: joins = matched == previous; break;
    case SPLIT_MERGED_WITH_PREVIOUS: joins = matched && !previous; break;
    case SPLIT_MERGED_WITH_NEXT: joins = !matched && previous; break;
  }
  if (joins && s->open)
    s->open_end = end;
  else
    splitting_start(s, begin, end);
}

static void splitting_match(void *context, size_t begin, size_t end) {
  splitting *s = context;
  splitting_put(s, s->done, begin, s->invert);
  splitting_put(s, begin, end, !s->invert);
  s->done = end;
}

/* Cuts one piece at every match of the step's pattern. */
static medley_status split_by_pattern(const text_step *step, tokenizer_scratch *scratch, const char *text,
                                      text_piece piece, splitting *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t length = piece.end - piece.begin;
  *s = (splitting){.out = s->out, .behaviour = step->behaviour, .invert = step->invert, .offset = piece.begin};
  if (step->pattern != NULL)
    literal_each(step, text + piece.begin, length, splitting_match, s);
  else
    status = regex_each(step, scratch, text + piece.begin, length, splitting_match, s, err);
  splitting_put(s, s->done, length, s->invert);
  splitting_flush(s);
  return status;
}

static medley_status split_apply(const text_step *step, tokenizer_scratch *scratch, text_pieces *in, text_pieces *out,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  splitting s = {.out = out};
  for (size_t i = 0; i < in->count; i++) TRY(split_by_pattern(step, scratch, in->text->bytes, in->pieces[i], &s, err));
done:
  return status;
}

static medley_status behaviour_read(text_step *step, const json_t *config, const char *fallback, medley_error *err) {
  static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
  const char *name = json_member_string(config, "behavior", fallback);
  for (int i = 0; i < 5; i++)
    if (strcmp(names[i], name) == 0) {
      step->behaviour = (split_behaviour)i;
      return MEDLEY_OK;
    }
  return error_set(err, MEDLEY_ERR_UNSUPPORTED, "the behavior '%.60s' is not known here", name);
}

static medley_status split_read(text_step *step, const json_t *config, medley_error *err) {
  medley_status status = MEDLEY_OK;
  step->invert = json_member_flag(config, "invert", false);
  TRY(behaviour_read(step, config, "?", err));
  TRY(step_read_pattern(step, config, err));
done:
  return status;
}

/* ---- cutting at characters ---- */

/* Cuts each piece at every character for which is() holds. */
static void split_at_chars(text_pieces *in, text_pieces *out, split_behaviour behaviour, bool (*is)(UChar32)) {
  splitting s = {.out = out};
  for (size_t i = 0; i < in->count; i++) {
    text_piece piece = in->pieces[i];
    s = (splitting){.out = out, .behaviour = behaviour, .offset = piece.begin};
    const char *text = in->text->bytes + piece.begin;
    size_t length = piece.end - piece.begin;
    for (size_t at = 0, next = 0; at < length; at = next)
      if (is(text_next(text, &next))) splitting_match(&s, at, next);
    splitting_put(&s, s.done, length, false);
    splitting_flush(&s);
  }
}

typedef enum bert_class { BERT_WORD, BERT_SPACE, BERT_PUNCTUATION } bert_class;

static bert_class bert_class_of(UChar32 c) {
  if (char_is_space(c)) return BERT_SPACE;
  return char_is_punctuation(c) ? BERT_PUNCTUATION : BERT_WORD;
}

static medley_status bert_apply(const text_step *step, tokenizer_scratch *scratch, text_pieces *in, text_pieces *out,
                                medley_error *err) {
  (void)step, (void)scratch, (void)err;
  const char *text = in->text->bytes;
  for (size_t i = 0; i < in->count; i++) {
    size_t begin = in->pieces[i].begin, end = in->pieces[i].end;
    for (size_t at = begin, next = begin; at < end; at = next) {
      bert_class class = bert_class_of(text_next(text, &next));
      if (class == BERT_WORD) continue;
      pieces_put(out, begin, at);
      if (class == BERT_PUNCTUATION) pieces_put(out, at, next);
      begin = next;
    }
    pieces_put(out, begin, end);
  }
  return MEDLEY_OK;
}

static medley_status whitespace_split_apply(const text_step *step, tokenizer_scratch *scratch, text_pieces *in,
                                            text_pieces *out, medley_error *err) {
  (void)step, (void)scratch, (void)err;
  split_at_chars(in, out, SPLIT_REMOVED, char_is_space);
  return MEDLEY_OK;
}

static medley_status punctuation_read(text_step *step, const json_t *config, medley_error *err) {
  return behaviour_read(step, config, "Isolated", err);
}

static medley_status punctuation_apply(const text_step *step, tokenizer_scratch *scratch, text_pieces *in,
                                       text_pieces *out, medley_error *err) {
  (void)scratch, (void)err;
  split_at_chars(in, out, step->behaviour, char_is_punctuation);
  return MEDLEY_OK;
}

static medley_status digits_read(text_step *step, const json_t *config, medley_error *err) {
  (void)err;
  step->individual = json_member_flag(config, "individual_digits", false);
  return MEDLEY_OK;
}

static medley_status digits_apply(const text_step *step, tokenizer_scratch *scratch, text_pieces *in, text_pieces *out,
                                  medley_error *err) {
  (void)scratch, (void)err;
  split_at_chars(in, out, step->individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, char_is_number);
  return MEDLEY_OK;
}

static medley_status delimiter_read(text_step *step, const json_t *config, medley_error *err) {
  step->behaviour = SPLIT_REMOVED;
  return step_read_text(&step->pattern, &step->pattern_length, config, "delimiter", err);
}

/* \w+|[^\w\s]+ : words and what is between them, without white space. */
static medley_status whitespace_apply(const text_step *step, tokenizer_scratch *scratch, text_pieces *in,
                                      text_pieces *out, medley_error *err) {
  (void)step, (void)scratch, (void)err;
  const char *text = in->text->bytes;
  for (size_t i = 0; i < in->count; i++) {
    size_t begin = in->pieces[i].begin, end = in->pieces[i].end;
    int last = 0; /* 0 space, 1 word, 2 neither */
    for (size_t at = begin, next = begin; at < end; at = next) {
      UChar32 c = text_next(text, &next);
      int class = char_is_word(c) ? 1 : char_is_space(c) ? 0 : 2;
      if (class != last) {
        if (last != 0) pieces_put(out, begin, at);
        begin = at;
      }
      last = class;
    }
    if (last != 0) pieces_put(out, begin, end);
  }
  return MEDLEY_OK;
}

/* ---- those that rewrite ---- */

/* True when this piece begins with the first byte of what was given; its tokenizer always traces (tokenizer_finish). */
static bool piece_is_first(const text_pieces *in, size_t i) {
  return traced_origin(in->text, in->pieces[i].begin).begin == 0;
}

static bool piece_starts(const text_pieces *in, text_piece piece, const char *with, size_t length) {
  return piece.end - piece.begin >= length && memcmp(in->text->bytes + piece.begin, with, length) == 0;
}

static medley_status metaspace_read(text_step *step, const json_t *config, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool prefix = json_member_flag(config, "add_prefix_space", true); /* files from before prepend_scheme */
  const char *scheme = json_member_string(config, "prepend_scheme", prefix ? "always" : "never");
  TRY(step_read_text(&step->content, &step->content_length, config, "replacement", err));
  step->split = json_member_flag(config, "split", true);
  step->prepend = strcmp(scheme, "first") == 0 ? PREPEND_FIRST : PREPEND_ALWAYS;
  if (strcmp(scheme, "never") == 0) step->prepend = PREPEND_NEVER;
  if (step->content_length == 0 || step->content_length > U8_MAX_LENGTH)
    FAIL(err, MEDLEY_ERR_INPUT, "\"replacement\" is not one character");
done:
  return status;
}

static void metaspace_put(const text_step *step, const text_pieces *in, text_piece piece, bool prepend,
                          text_pieces *out) {
  size_t begin = out->text->length, size = step->content_length;
  const char *text = in->text->bytes;
  bool marked = piece_starts(in, piece, step->content, size) || text[piece.begin] == ' ';
  if (prepend && !marked) traced_put(out->text, step->content, size, traced_origin(in->text, piece.begin));
  for (size_t at = piece.begin, next = at; at < piece.end; at = next) {
    bool space = text[at] == ' ';
    text_next(text, &next);
    size_t here = out->text->length;
    bool mark = space || (next - at == size && memcmp(text + at, step->content, size) == 0);
    if (mark && step->split) {
      pieces_put(out, begin, here);
      begin = here;
    }
    if (space)
      traced_put(out->text, step->content, size, traced_origin(in->text, at));
    else
      traced_copy(out->text, in->text, at, next);
  }
  pieces_put(out, begin, out->text->length);
}

static medley_status metaspace_apply(const text_step *step, tokenizer_scratch *scratch, text_pieces *in,
                                     text_pieces *out, medley_error *err) {
  (void)scratch, (void)err;
  for (size_t i = 0; i < in->count; i++) {
    bool prepend = step->prepend == PREPEND_ALWAYS || (step->prepend == PREPEND_FIRST && piece_is_first(in, i));
    metaspace_put(step, in, in->pieces[i], prepend, out);
  }
  return MEDLEY_OK;
}

static medley_status byte_level_read(text_step *step, const json_t *config, medley_error *err) {
  (void)err;
  step->add_prefix_space = json_member_flag(config, "add_prefix_space", true);
  step->use_regex = json_member_flag(config, "use_regex", true);
  return MEDLEY_OK;
}

/* Cuts the stretch [begin, end) of the new text, which still is as given, then turns its bytes into the alphabet. */
static void byte_level_put(const text_step *step, const traced_text *plain, size_t begin, size_t end,
                           text_pieces *out) {
  size_t length = end - begin, from = 0, to = length;
  const char *text = plain->bytes + begin;
  for (size_t at = 0; at < length; at = to) {
    if (step->use_regex && !regex_gpt2_scan(text, length, at, &from, &to)) return;
    if (!step->use_regex) to = length;
    size_t here = out->text->length;
    if (step->individual) { /* set by the model: it reads bytes as they are */
      pieces_put(out, begin + at, begin + to);
      continue;
    }
    for (size_t i = at; i < to; i++)
      traced_put_char(out->text, byte_to_char((unsigned char)text[i]), traced_origin(plain, begin + i));
    pieces_put(out, here, out->text->length);
  }
}

static medley_status byte_level_apply(const text_step *step, tokenizer_scratch *s, text_pieces *in, text_pieces *out,
                                      medley_error *err) {
  (void)err;
  bool any = false;
  for (size_t i = 0; i < in->count; i++) any = any || in->text->bytes[in->pieces[i].begin] != ' ';
  const traced_text *plain = in->text;
  if (step->add_prefix_space && any) { /* with the spaces put in, before anything is cut */
    traced_reset(&s->scraps, in->text->traced);
    for (size_t i = 0; i < in->count; i++) {
      size_t begin = s->scraps.length;
      text_piece *piece = &in->pieces[i];
      if (in->text->bytes[piece->begin] != ' ') traced_put(&s->scraps, " ", 1, traced_origin(in->text, piece->begin));
      traced_copy(&s->scraps, in->text, piece->begin, piece->end);
      *piece = (text_piece){(uint32_t)begin, (uint32_t)s->scraps.length};
    }
    plain = &s->scraps;
    out->failed = out->failed || plain->failed;
  }
  if (step->individual && plain != in->text) {
    traced_copy(out->text, plain, 0, plain->length);
    plain = out->text;
  }
  for (size_t i = 0; i < in->count; i++) byte_level_put(step, plain, in->pieces[i].begin, in->pieces[i].end, out);
  return MEDLEY_OK;
}

/* ---- the table ---- */

static const splitter_kind text_splitters[] = {
    {"BertPreTokenizer", NULL, bert_apply},
    {"ByteLevel", byte_level_read, byte_level_apply},
    {"CharDelimiterSplit", delimiter_read, split_apply},
    {"Digits", digits_read, digits_apply},
    {"Metaspace", metaspace_read, metaspace_apply},
    {"Punctuation", punctuation_read, punctuation_apply},
    {"Split", split_read, split_apply},
    {"Whitespace", NULL, whitespace_apply},
    {"WhitespaceSplit", NULL, whitespace_split_apply},
};

medley_status splitters_read(step_list *list, const json_t *config, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *type = json_member_string(config, "type", "?");
  const size_t kinds = sizeof text_splitters / sizeof *text_splitters;
  text_step *step;
  size_t i = 0;
  if (config == NULL || json_is_null(config)) return MEDLEY_OK;
  if (strcmp(type, "Sequence") == 0) {
    const json_t *inner = json_object_get(config, "pretokenizers");
    for (size_t n = 0; n < json_array_size(inner); n++) TRY(splitters_read(list, json_array_get(inner, n), err));
    goto done;
  }
  while (i < kinds && strcmp(text_splitters[i].name, type) != 0) i++;
  if (i == kinds) FAIL(err, MEDLEY_ERR_UNSUPPORTED, "the pre-tokenizer '%.60s' is not known here", type);
  TRY(step_list_add(list, &step, err));
  step->kind.splitter = &text_splitters[i];
  if (step->kind.splitter->read != NULL) status = step->kind.splitter->read(step, config, err);
  if (status != MEDLEY_OK) error_prefix(err, status, "the pre-tokenizer %s", type);
done:
  return status;
}
