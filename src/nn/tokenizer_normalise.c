/* nn/tokenizer_normalise.c: the normalisers of tokenizer.json, each a row of `text_normalizers`.
 *
 * Each reads one traced text and writes another, so that a token's offsets stay known however often the text was
 * rewritten. A character that is put in takes the origin of the one it stands beside; one that several were composed
 * into takes them all. */
#include <string.h>
#include <unicode/unorm2.h>

#include "nn/tokenizer_parts.h"

#define DECOMPOSED_MAX 32 /* code points; the longest compatibility decomposition has 18 */

static bool text_is_ascii(const traced_text *in) {
  for (size_t i = 0; i < in->length; i++)
    if ((unsigned char)in->bytes[i] >= 0x80) return false;
  return true;
}

/* ---- normal forms ---- */

typedef struct normal_form {
  const UNormalizer2 *decomposer; /* NFC or NFKC: getDecomposition is full for both */
  const UNormalizer2 *composer;   /* NULL: leave decomposed */
  UProperty quick_check;
} normal_form;

static uint8_t char_class(UChar32 c) {
  uint8_t class = u_getCombiningClass(c);
  return class != 0 && char_is_newer(c, NORMAL_FORMS_UNICODE) ? 0 : class;
}

/* The text is in this form already when no character says no and combining classes do not fall. */
static bool form_is_there(const normal_form *form, const traced_text *in) {
  uint8_t last = 0;
  for (size_t i = 0; i < in->length;) {
    UChar32 c = text_next(in->bytes, &i);
    if (c < 0x80) {
      last = 0;
      continue;
    }
    uint8_t class = char_class(c);
    if (class != 0 && class < last) return false;
    if (u_getIntPropertyValue(c, form->quick_check) != UNORM_YES && !char_is_newer(c, NORMAL_FORMS_UNICODE))
      return false;
    last = class;
  }
  return true;
}

static medley_status chars_reserve(tokenizer_scratch *s, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(s->chars, s->char_capacity, count, "characters");
  TRY_GROW(s->char_origins, s->origin_capacity, count, "characters");
  TRY_GROW(s->char_classes, s->class_capacity, count, "characters");
done:
  return status;
}

/* The decomposition of c into to [DECOMPOSED_MAX]; returns how many. */
static int char_decompose(const UNormalizer2 *decomposer, UChar32 c, UChar32 *to) {
  UChar units[64];
  UErrorCode code = U_ZERO_ERROR;
  int32_t length = c < 0x80 ? -1 : unorm2_getDecomposition(decomposer, c, units, 64, &code), i = 0;
  int count = 0;
  to[0] = c;
  if (length < 0 || U_FAILURE(code) || char_is_newer(c, NORMAL_FORMS_UNICODE)) return 1;
  for (; i < length && count < DECOMPOSED_MAX; count++) U16_NEXT(units, i, length, to[count]);
  return count;
}

/* Canonical ordering: a mark moves before those of a higher class, by insertion. */
static void chars_order(tokenizer_scratch *s, size_t at) {
  UChar32 c = s->chars[at];
  token_span origin = s->char_origins[at];
  uint8_t class = s->char_classes[at];
  size_t i = at;
  for (; class != 0 && i > 0 && s->char_classes[i - 1] > class; i--) {
    s->chars[i] = s->chars[i - 1];
    s->char_origins[i] = s->char_origins[i - 1];
    s->char_classes[i] = s->char_classes[i - 1];
  }
  s->chars[i] = c;
  s->char_origins[i] = origin;
  s->char_classes[i] = class;
}

/* Canonical composition (Unicode standard, D117), in place; returns the new count. */
static size_t chars_compose(tokenizer_scratch *s, size_t count, const UNormalizer2 *composer) {
  size_t starter = SIZE_MAX, out = 0;
  uint8_t last = 0; /* class of what stands before, since the starter */
  for (size_t i = 0; i < count; i++) {
    uint8_t class = s->char_classes[i];
    bool adjacent = starter != SIZE_MAX && out == starter + 1;
    if (starter != SIZE_MAX && (adjacent || (last != 0 && last < class))) {
      UChar32 joined = unorm2_composePair(composer, s->chars[starter], s->chars[i]);
      if (joined >= 0 && !char_is_newer(joined, NORMAL_FORMS_UNICODE)) {
        s->chars[starter] = joined;
        s->char_origins[starter].end = s->char_origins[i].end;
        continue;
      }
    }
    if (class == 0) starter = out;
    last = class;
    s->chars[out] = s->chars[i];
    s->char_classes[out] = class;
    s->char_origins[out++] = s->char_origins[i];
  }
  return out;
}

static medley_status form_apply(const normal_form *form, tokenizer_scratch *s, const traced_text *in, traced_text *out,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = 0;
  UChar32 parts[DECOMPOSED_MAX];
  if (text_is_ascii(in) || form_is_there(form, in)) {
    traced_copy(out, in, 0, in->length);
    return MEDLEY_OK;
  }
  for (size_t i = 0; i < in->length;) {
    token_span origin = traced_origin(in, i);
    int found = char_decompose(form->decomposer, text_next(in->bytes, &i), parts);
    TRY(chars_reserve(s, count + (size_t)found, err));
    for (int p = 0; p < found; p++, count++) {
      s->chars[count] = parts[p];
      s->char_origins[count] = origin;
      s->char_classes[count] = char_class(parts[p]);
      chars_order(s, count);
    }
  }
  if (form->composer != NULL) count = chars_compose(s, count, form->composer);
  for (size_t i = 0; i < count; i++) traced_put_char(out, s->chars[i], s->char_origins[i]);
done:
  return status;
}

static medley_status form_start(normal_form *form, bool compatible, bool composed, medley_error *err) {
  UErrorCode code = U_ZERO_ERROR;
  *form = (normal_form){.decomposer = compatible ? unorm2_getNFKCInstance(&code) : unorm2_getNFCInstance(&code),
                        .quick_check = compatible ? (composed ? UCHAR_NFKC_QUICK_CHECK : UCHAR_NFKD_QUICK_CHECK)
                                                  : (composed ? UCHAR_NFC_QUICK_CHECK : UCHAR_NFD_QUICK_CHECK)};
  if (composed) form->composer = unorm2_getNFCInstance(&code);
  if (U_FAILURE(code)) return error_set(err, MEDLEY_ERR_INTERNAL, "no normal forms: %s", u_errorName(code));
  return MEDLEY_OK;
}

#define FORM(name, compatible, composed)                                                                          \
  static medley_status name(const text_step *step, tokenizer_scratch *s, const traced_text *in, traced_text *out, \
                            medley_error *err) {                                                                  \
    normal_form form;                                                                                             \
    (void)step;                                                                                                   \
    medley_status status = form_start(&form, compatible, composed, err);                                          \
    return status == MEDLEY_OK ? form_apply(&form, s, in, out, err) : status;                                     \
  }
FORM(nfc_apply, false, true)
FORM(nfd_apply, false, false)
FORM(nfkc_apply, true, true)
FORM(nfkd_apply, true, false)

/* ---- BertNormalizer: clean, space around CJK, accents off, lower case; character by character ---- */

/* The blocks that BERT counts as Chinese, with the reference's own 2B920. */
static bool char_is_cjk(UChar32 c) {
  if (c < 0x3400) return false;
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static medley_status bert_read(text_step *step, const json_t *config, medley_error *err) {
  (void)err;
  step->clean = json_member_flag(config, "clean_text", true);
  step->cjk = json_member_flag(config, "handle_chinese_chars", true);
  step->lowercase = json_member_flag(config, "lowercase", true);
  step->strip_accents = json_member_flag(config, "strip_accents", step->lowercase);
  return MEDLEY_OK;
}

static void bert_put(const text_step *step, const UNormalizer2 *decomposer, UChar32 c, token_span origin,
                     traced_text *out) {
  UChar32 parts[DECOMPOSED_MAX], lower[2];
  int count = 1;
  parts[0] = c;
  if (step->strip_accents) count = char_decompose(decomposer, c, parts);
  for (int p = 0; p < count; p++) {
    if (step->strip_accents && char_is_nonspacing_mark(parts[p])) continue;
    int lowers = 1;
    lower[0] = parts[p];
    if (step->lowercase) lowers = char_lower(parts[p], lower);
    for (int l = 0; l < lowers; l++) traced_put_char(out, lower[l], origin);
  }
}

/* The same for one ASCII byte; 0: it goes. */
static char bert_ascii(const text_step *step, char c) {
  if (step->clean && (c == '\t' || c == '\n' || c == '\r')) return ' ';
  if (step->clean && ((unsigned char)c < ' ' || c == 0x7F)) return 0;
  return step->lowercase && c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

static medley_status bert_apply(const text_step *step, tokenizer_scratch *s, const traced_text *in, traced_text *out,
                                medley_error *err) {
  UErrorCode code = U_ZERO_ERROR;
  const UNormalizer2 *decomposer = unorm2_getNFCInstance(&code);
  (void)s;
  if (U_FAILURE(code)) return error_set(err, MEDLEY_ERR_INTERNAL, "no normal forms: %s", u_errorName(code));
  for (size_t i = 0; i < in->length;) {
    token_span origin = traced_origin(in, i);
    if ((unsigned char)in->bytes[i] < 0x80) {
      char c = bert_ascii(step, in->bytes[i++]);
      if (c != 0 || !step->clean) traced_put(out, &c, 1, origin);
      continue;
    }
    UChar32 c = text_next(in->bytes, &i);
    if (step->clean && (c == 0xFFFD || char_is_other(c))) continue;
    if (step->clean && char_is_space(c)) c = ' ';
    bool spaced = step->cjk && char_is_cjk(c);
    if (spaced) traced_put(out, " ", 1, origin);
    if (spaced && !step->strip_accents)
      traced_put_char(out, c, origin);
    else
      bert_put(step, decomposer, c, origin, out);
    if (spaced) traced_put(out, " ", 1, origin);
  }
  return MEDLEY_OK;
}

/* ---- small ones ---- */

static medley_status lowercase_apply(const text_step *step, tokenizer_scratch *s, const traced_text *in,
                                     traced_text *out, medley_error *err) {
  (void)step, (void)s, (void)err;
  for (size_t i = 0; i < in->length;) {
    token_span origin = traced_origin(in, i);
    UChar32 lower[2];
    int count = char_lower(text_next(in->bytes, &i), lower);
    for (int l = 0; l < count; l++) traced_put_char(out, lower[l], origin);
  }
  return MEDLEY_OK;
}

static medley_status strip_accents_apply(const text_step *step, tokenizer_scratch *s, const traced_text *in,
                                         traced_text *out, medley_error *err) {
  (void)step, (void)s, (void)err;
  for (size_t i = 0, next = 0; i < in->length; i = next)
    if (!char_is_mark(text_next(in->bytes, &next))) traced_copy(out, in, i, next);
  return MEDLEY_OK;
}

static medley_status strip_read(text_step *step, const json_t *config, medley_error *err) {
  (void)err;
  step->left = json_member_flag(config, "strip_left", true);
  step->right = json_member_flag(config, "strip_right", true);
  return MEDLEY_OK;
}

static medley_status strip_apply(const text_step *step, tokenizer_scratch *s, const traced_text *in, traced_text *out,
                                 medley_error *err) {
  (void)s, (void)err;
  size_t begin = SIZE_MAX, end = 0;
  for (size_t i = 0, next = 0; i < in->length; i = next)
    if (!char_is_space(text_next(in->bytes, &next))) {
      if (begin == SIZE_MAX) begin = i;
      end = next;
    }
  if (begin == SIZE_MAX && (step->left || step->right)) return MEDLEY_OK;
  traced_copy(out, in, step->left ? begin : 0, step->right ? end : in->length);
  return MEDLEY_OK;
}

static medley_status prepend_read(text_step *step, const json_t *config, medley_error *err) {
  return step_read_text(&step->content, &step->content_length, config, "prepend", err);
}

static medley_status prepend_apply(const text_step *step, tokenizer_scratch *s, const traced_text *in, traced_text *out,
                                   medley_error *err) {
  (void)s, (void)err;
  if (in->length == 0) return MEDLEY_OK;
  traced_put(out, step->content, step->content_length, traced_origin(in, 0));
  traced_copy(out, in, 0, in->length);
  return MEDLEY_OK;
}

static medley_status nmt_apply(const text_step *step, tokenizer_scratch *s, const traced_text *in, traced_text *out,
                               medley_error *err) {
  (void)step, (void)s, (void)err;
  for (size_t i = 0; i < in->length;) {
    token_span origin = traced_origin(in, i);
    UChar32 c = text_next(in->bytes, &i);
    if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) continue;
    bool space = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                 c == 0x2028 || c == 0x2029 || c == SPACE_MARK_CODE || c == 0xFEFF || c == 0xFFFD;
    traced_put_char(out, space ? ' ' : c, origin);
  }
  return MEDLEY_OK;
}

static medley_status bytes_apply(const text_step *step, tokenizer_scratch *s, const traced_text *in, traced_text *out,
                                 medley_error *err) {
  (void)step, (void)s, (void)err;
  for (size_t i = 0; i < in->length; i++)
    traced_put_char(out, byte_to_char((unsigned char)in->bytes[i]), traced_origin(in, i));
  return MEDLEY_OK;
}

/* ---- Replace ---- */

typedef struct replacing {
  const text_step *step;
  const traced_text *in;
  traced_text *out;
  size_t copied;
} replacing;

static void replace_match(void *context, size_t begin, size_t end) {
  replacing *r = context;
  traced_copy(r->out, r->in, r->copied, begin);
  token_span origin = traced_origin(r->in, begin);
  if (r->in->traced) origin.end = r->in->origins[end - 1].end;
  traced_put(r->out, r->step->content, r->step->content_length, origin);
  r->copied = end;
}

static medley_status replace_read(text_step *step, const json_t *config, medley_error *err) {
  medley_status status = step_read_text(&step->content, &step->content_length, config, "content", err);
  return status == MEDLEY_OK ? step_read_pattern(step, config, err) : status;
}

static medley_status replace_apply(const text_step *step, tokenizer_scratch *s, const traced_text *in, traced_text *out,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  replacing r = {.step = step, .in = in, .out = out};
  if (step->pattern != NULL)
    literal_each(step, in->bytes, in->length, replace_match, &r);
  else
    status = regex_each(step, s, in->bytes, in->length, replace_match, &r, err);
  traced_copy(out, in, r.copied, in->length);
  return status;
}

/* ---- the table ---- */

static const normalizer_kind text_normalizers[] = {
    {"BertNormalizer", bert_read, bert_apply},
    {"ByteLevel", NULL, bytes_apply},
    {"Lowercase", NULL, lowercase_apply},
    {"NFC", NULL, nfc_apply},
    {"NFD", NULL, nfd_apply},
    {"NFKC", NULL, nfkc_apply},
    {"NFKD", NULL, nfkd_apply},
    {"Nmt", NULL, nmt_apply},
    {"Precompiled", charsmap_read, charsmap_apply},
    {"Prepend", prepend_read, prepend_apply},
    {"Replace", replace_read, replace_apply},
    {"Strip", strip_read, strip_apply},
    {"StripAccents", NULL, strip_accents_apply},
};

medley_status normalizers_read(step_list *list, const json_t *config, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *type = json_member_string(config, "type", "?");
  text_step *step;
  size_t i = 0;
  if (config == NULL || json_is_null(config)) return MEDLEY_OK;
  if (strcmp(type, "Sequence") == 0) {
    const json_t *inner = json_object_get(config, "normalizers");
    for (size_t n = 0; n < json_array_size(inner); n++) TRY(normalizers_read(list, json_array_get(inner, n), err));
    goto done;
  }
  while (i < sizeof text_normalizers / sizeof *text_normalizers && strcmp(text_normalizers[i].name, type) != 0) i++;
  if (i == sizeof text_normalizers / sizeof *text_normalizers)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "the normalizer '%.60s' is not known here", type);
  TRY(step_list_add(list, &step, err));
  step->kind.normalizer = &text_normalizers[i];
  if (step->kind.normalizer->read != NULL) status = step->kind.normalizer->read(step, config, err);
  if (status != MEDLEY_OK) error_prefix(err, status, "the normalizer %s", type);
done:
  return status;
}
