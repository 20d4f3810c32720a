/* nn/tokenizer_sentencepiece.c: sentencepiece's .model files, and the normaliser that they describe.
 *
 * The file is a Protocol Buffers message (sentencepiece_model.proto): ModelProto {1: pieces {1: piece, 2: score, 3:
 * type}, 2: trainer_spec {3: model_type, 24: treat_whitespace_as_suffix, 35: byte_fallback, 40: unk_id, 41: bos_id, 42:
 * eos_id, 43: pad_id}, 3: normalizer_spec {2: precompiled_charsmap, 3: add_dummy_prefix, 4: remove_extra_whitespaces,
 * 5: escape_whitespaces}}. Fields that are absent have the defaults of that file. */
#include <math.h>
#include <string.h>

#include "nn/tokenizer_parts.h"
#include "nn/tokenizer_protobuf.h"

/* ---- the normaliser (normalizer.cc) ---- */

typedef struct normal_prefix { /* what the beginning of the rest of the text becomes */
  const char *bytes;
  size_t length;
  size_t used; /* bytes of the text */
} normal_prefix;

/* Malformed bytes were replaced before, which shows in the origin: U+FFFD for one byte. They are not looked up in the
 * map, a U+FFFD that was written as such is. */
static bool prefix_is_repair(const traced_text *in, size_t at) {
  return in->traced && in->length - at >= 3 && memcmp(in->bytes + at, "\xEF\xBF\xBD", 3) == 0 &&
         in->origins[at].end - in->origins[at].begin == 1;
}

static normal_prefix prefix_next(const text_step *step, const traced_text *in, size_t at) {
  normal_prefix p = {.bytes = in->bytes + at};
  size_t next = at;
  if (trie_longest(&step->protected, p.bytes, in->length - at, &p.used) >= 0) {
    p.length = p.used;
    return p;
  }
  text_next(in->bytes, &next);
  if (step->charsmap != NULL && !prefix_is_repair(in, at)) {
    const char *replacement = charsmap_find(step, p.bytes, in->length - at, true, &p.used);
    if (replacement != NULL) return (normal_prefix){replacement, strlen(replacement), p.used};
  }
  p.length = p.used = next - at;
  return p;
}

static void prefix_put(const text_step *step, traced_text *out, const char *bytes, size_t length, token_span origin) {
  for (size_t i = 0; i < length; i++)
    if (step->mark_spaces && bytes[i] == ' ')
      traced_put(out, SPACE_MARK, 3, origin);
    else
      traced_put(out, bytes + i, 1, origin);
}

static void trailing_spaces_drop(const text_step *step, traced_text *out) {
  const char *space = step->mark_spaces ? SPACE_MARK : " ";
  size_t size = strlen(space);
  while (out->length >= size && memcmp(out->bytes + out->length - size, space, size) == 0) out->length -= size;
}

static medley_status sentencepiece_apply(const text_step *step, tokenizer_scratch *s, const traced_text *in,
                                         traced_text *out, medley_error *err) {
  (void)s, (void)err;
  size_t at = 0;
  bool after_space = step->trim;
  for (normal_prefix p; step->trim && at < in->length; at += p.used) {
    p = prefix_next(step, in, at);
    if (p.length != 1 || p.bytes[0] != ' ') break;
  }
  if (at == in->length) return MEDLEY_OK;
  if (step->add_prefix_space && !step->suffix_space) prefix_put(step, out, " ", 1, traced_origin(in, at));
  while (at < in->length) {
    normal_prefix p = prefix_next(step, in, at);
    token_span origin = traced_origin(in, at);
    if (in->traced) origin.end = in->origins[at + p.used - 1].end;
    while (after_space && p.length > 0 && p.bytes[0] == ' ') p.bytes++, p.length--;
    prefix_put(step, out, p.bytes, p.length, origin);
    if (p.length > 0) after_space = step->trim && p.bytes[p.length - 1] == ' ';
    at += p.used;
  }
  if (step->trim) trailing_spaces_drop(step, out);
  if (step->add_prefix_space && step->suffix_space) prefix_put(step, out, " ", 1, traced_origin(in, in->length - 1));
  return MEDLEY_OK;
}

const normalizer_kind normalizer_sentencepiece = {.name = "sentencepiece", .apply = sentencepiece_apply};

#define MARKS(strip)                                                                                         \
  "{\"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": " \
  "\"" SPACE_MARK "\"}, \"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}" strip "]}}"
static const char marks_stripped[] = MARKS(", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}");
static const char marks_kept[] = MARKS("");

medley_status sentencepiece_rules_add(tokenizer *t, const sentencepiece_rules *rules, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tokenizer_vocabulary *v = &t->vocabulary;
  trie_key *keys = NULL;
  text_step *step;
  size_t count = 0;
  TRY(step_list_add(&t->normalizers, &step, err));
  step->kind.normalizer = &normalizer_sentencepiece;
  step->trim = rules->trim;
  step->mark_spaces = rules->escape;
  step->add_prefix_space = rules->add_prefix;
  step->suffix_space = rules->suffix_space;
  if (rules->charsmap_length > 0) {
    TRY(charsmap_check(rules->charsmap, rules->charsmap_length, err));
    TRY_NEW(step->charsmap, rules->charsmap_length, "a character map");
    memcpy(step->charsmap, rules->charsmap, rules->charsmap_length);
    step->charsmap_length = rules->charsmap_length;
  }
  TRY_NEW(keys, v->count, "user-defined pieces");
  for (size_t i = 0; i < v->count; i++)
    if (v->tokens[i].type == TOKEN_USER_DEFINED)
      keys[count++] = (trie_key){v->tokens[i].bytes, v->tokens[i].length, (int32_t)i};
  TRY(trie_build(&step->protected, keys, count, err));
  TRY(tokenizer_read_steps(t, rules->add_prefix ? marks_stripped : marks_kept, err));
done:
  mem_free(keys);
  return status;
}

/* ---- the file ---- */

typedef struct model_spec {
  uint64_t type; /* 1 unigram, 2 BPE, 3 words, 4 characters */
  bool byte_fallback;
  int32_t unknown, begin, end, pad;
  sentencepiece_rules rules;
} model_spec;

static medley_status piece_read(tokenizer *t, protobuf message, medley_error *err) {
  medley_status status = MEDLEY_OK;
  protobuf_field field;
  size_t id = t->vocabulary.count;
  const char *piece = "";
  size_t length = 0;
  float score = 0;
  uint64_t type = TOKEN_NORMAL;
  while (protobuf_next(&message, &field)) {
    if (field.number == 1 && field.wire == 2) {
      piece = (const char *)field.bytes;
      length = field.length;
    } else if (field.number == 2 && field.wire == 5) {
      uint32_t bits = (uint32_t)field.integer;
      memcpy(&score, &bits, sizeof score);
    } else if (field.number == 3 && field.wire == 0) {
      type = field.integer;
    }
  }
  if (message.broken || length == 0) FAIL(err, MEDLEY_ERR_INPUT, "piece %zu is broken or empty", id);
  if (type < TOKEN_NORMAL || type > TOKEN_BYTE || !isfinite(score))
    FAIL(err, MEDLEY_ERR_INPUT, "piece %zu has type %llu and score %g", id, (unsigned long long)type, (double)score);
  TRY(vocabulary_put(&t->vocabulary, (long long)id, piece, length, false, err));
  t->vocabulary.tokens[id].type = (uint8_t)type;
  t->vocabulary.tokens[id].score = score;
done:
  return status;
}

static void trainer_read(model_spec *spec, protobuf *message) {
  protobuf_field field;
  while (protobuf_next(message, &field)) {
    if (field.wire != 0) continue;
    int32_t id = (int32_t)(uint32_t)field.integer;
    switch (field.number) {
      case 3: spec->type = field.integer; break;
      case 24: spec->rules.suffix_space = field.integer != 0; break;
      case 35: spec->byte_fallback = field.integer != 0; break;
      case 40: spec->unknown = id; break;
      case 41: spec->begin = id; break;
      case 42: spec->end = id; break;
      case 43: spec->pad = id; break;
      default: break;
    }
  }
}

static void normalizer_read(model_spec *spec, protobuf *message) {
  protobuf_field field;
  while (protobuf_next(message, &field)) {
    if (field.number == 2 && field.wire == 2) {
      spec->rules.charsmap = field.bytes;
      spec->rules.charsmap_length = field.length;
    }
    if (field.wire != 0) continue;
    if (field.number == 3) spec->rules.add_prefix = field.integer != 0;
    if (field.number == 4) spec->rules.trim = field.integer != 0;
    if (field.number == 5) spec->rules.escape = field.integer != 0;
  }
}

static medley_status model_read(tokenizer *t, model_spec *spec, tokenizer_bytes model, medley_error *err) {
  medley_status status = MEDLEY_OK;
  protobuf message = {.at = (const unsigned char *)(model.length > 0 ? model.bytes : "")};
  protobuf_field field;
  message.end = message.at + model.length;
  while (protobuf_next(&message, &field)) {
    protobuf inner = protobuf_inner(&field);
    if (field.wire != 2) continue;
    if (field.number == 1) TRY(piece_read(t, inner, err));
    if (field.number == 2) trainer_read(spec, &inner);
    if (field.number == 3) normalizer_read(spec, &inner);
    if (inner.broken) FAIL(err, MEDLEY_ERR_INPUT, "part %u of the model is broken", field.number);
  }
  if (message.broken || t->vocabulary.count == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "this is no sentencepiece model, or it is cut off after %zu pieces",
         t->vocabulary.count);
done:
  return status;
}

/* Ids of the trainer that are not in the vocabulary are switched off there with -1. */
static int32_t id_checked(const tokenizer *t, int32_t id) { return vocabulary_has(&t->vocabulary, id) ? id : -1; }

static medley_status around_make(tokenizer *t, tokenizer_bytes config, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *root = NULL;
  if (config.bytes == NULL) return MEDLEY_OK;
  TRY(json_parse(config.bytes, config.length, "tokenizer_config.json", &root, err));
  int32_t begin = json_member_flag(root, "add_bos_token", false) ? t->special[TOKENIZER_BEGIN] : -1;
  int32_t end = json_member_flag(root, "add_eos_token", false) ? t->special[TOKENIZER_END] : -1;
  if (begin >= 0 || end >= 0) TRY(template_set(&t->template, begin, end, false, false, err));
done:
  json_decref(root);
  return status;
}

static medley_status kind_choose(tokenizer *t, const model_spec *spec, medley_error *err) {
  if (spec->type != 1 && spec->type != 2)
    return error_set(err, MEDLEY_ERR_UNSUPPORTED, "sentencepiece models of %s are not known here (unigram and bpe are)",
                     spec->type == 3   ? "words"
                     : spec->type == 4 ? "characters"
                                       : "an unknown type");
  t->model.kind = spec->type == 1 ? &tokenizer_unigram : &tokenizer_sentencepiece_bpe;
  t->model.exact_sentencepiece = true;
  t->model.byte_fallback = spec->byte_fallback;
  t->model.unknown_id = id_checked(t, spec->unknown);
  t->repair_each_byte = true;
  t->special[TOKENIZER_BEGIN] = id_checked(t, spec->begin);
  t->special[TOKENIZER_END] = id_checked(t, spec->end);
  t->special[TOKENIZER_PAD] = id_checked(t, spec->pad);
  if (t->model.unknown_id < 0)
    return error_set(err, MEDLEY_ERR_INPUT, "the unknown piece has id %d, there are %zu pieces", (int)spec->unknown,
                     t->vocabulary.count);
  return MEDLEY_OK;
}

medley_status tokenizer_read_sentencepiece(tokenizer_bytes model, tokenizer_bytes config, const char *name,
                                           tokenizer **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  model_spec spec = {.type = 1,
                     .unknown = 0,
                     .begin = 1,
                     .end = 2,
                     .pad = -1,
                     .rules = {.add_prefix = true, .trim = true, .escape = true}};
  tokenizer *t = NULL;
  TRY(tokenizer_create(&t, err));
  TRY(model_read(t, &spec, model, err));
  TRY(kind_choose(t, &spec, err));
  TRY(sentencepiece_rules_add(t, &spec.rules, err));
  TRY(around_make(t, config, err));
done:
  return tokenizer_hand_out(t, status, name, out, err);
}
