/* nn/gguf_vocabulary.c: the tokenizer.ggml.* values of a GGUF file as one struct: see nn/gguf.h.
 *
 * Lists that go together must be of one length and ids must name a token; nobody who uses the vocabulary has to check
 * that again. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "nn/gguf.h"

#define PREFIX "tokenizer.ggml."

/* An array of this kind of element, NULL when the key is absent, refused when it is anything else. */
static medley_status array_get(const gguf *g, const char *key, bool of_strings, const gguf_value **out,
                               medley_error *err) {
  const gguf_value *value = gguf_get_value(g, key);
  *out = value;
  if (value == NULL) return MEDLEY_OK;
  bool strings = value->element == GGUF_STRING, arrays = value->element == GGUF_ARRAY;
  if (value->type == GGUF_ARRAY && !arrays && strings == of_strings) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT, "%s: %s is not an array of %s", g->path, key,
                   of_strings ? "strings" : "numbers");
}

static medley_status strings_load(const gguf *g, const char *key, gguf_text **out, size_t *count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const gguf_value *value;
  TRY(array_get(g, key, true, &value, err));
  if (value == NULL || value->count == 0) goto done;
  TRY_NEW(*out, value->count, key);
  gguf_value_strings(value, *out);
  *count = (size_t)value->count;
done:
  return status;
}

/* A number for each token; *value NULL when the file has none. */
static medley_status per_token(const gguf *g, const char *key, size_t tokens, const gguf_value **value,
                               medley_error *err) {
  medley_status status = array_get(g, key, false, value, err);
  if (status == MEDLEY_OK && *value != NULL && (*value)->count != tokens)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: %s has %" PRIu64 " numbers for %zu tokens", g->path, key,
                     (*value)->count, tokens);
  return status;
}

static medley_status scores_load(const gguf *g, gguf_vocabulary *v, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const gguf_value *value;
  TRY(per_token(g, PREFIX "scores", v->count, &value, err));
  if (value == NULL) goto done;
  TRY_NEW(v->scores, v->count, "token scores");
  for (size_t i = 0; i < v->count; i++) {
    v->scores[i] = (float)gguf_value_element(value, i);
    if (isnan(v->scores[i])) FAIL(err, MEDLEY_ERR_INPUT, "%s: the score of token %zu is not a number", g->path, i);
  }
done:
  return status;
}

static medley_status types_load(const gguf *g, gguf_vocabulary *v, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const gguf_value *value;
  TRY(per_token(g, PREFIX "token_type", v->count, &value, err));
  if (value == NULL) goto done;
  TRY_NEW(v->types, v->count, "token types");
  for (size_t i = 0; i < v->count; i++) {
    double type = gguf_value_element(value, i);
    if (!(type >= GGUF_TOKEN_UNDEFINED && type <= GGUF_TOKEN_BYTE))
      FAIL(err, MEDLEY_ERR_INPUT, "%s: token %zu has the unknown type %g (known are 0 to %d)", g->path, i, type,
           GGUF_TOKEN_BYTE);
    v->types[i] = (int32_t)type;
  }
done:
  return status;
}

/* "seperator" is how llama.cpp's converter spells it; the specification has it right. */
static medley_status ids_load(const gguf *g, gguf_vocabulary *v, medley_error *err) {
  const struct {
    const char *key;
    int64_t *id;
  } rows[] = {
      {PREFIX "bos_token_id", &v->bos},
      {PREFIX "eos_token_id", &v->eos},
      {PREFIX "unknown_token_id", &v->unknown},
      {PREFIX "separator_token_id", &v->separator},
      {PREFIX "seperator_token_id", &v->separator},
      {PREFIX "padding_token_id", &v->padding},
      {PREFIX "cls_token_id", &v->cls},
      {PREFIX "mask_token_id", &v->mask},
      {PREFIX "eot_token_id", &v->eot},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) *rows[i].id = -1;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const gguf_value *value = gguf_get_value(g, rows[i].key);
    if (value == NULL) continue;
    int64_t id = -1;
    if (!gguf_value_integer(value, &id) || id < 0 || (uint64_t)id >= v->count)
      return error_set(err, MEDLEY_ERR_INPUT, "%s: %s is %" PRId64 ", the vocabulary has %zu tokens", g->path,
                       rows[i].key, id, v->count);
    *rows[i].id = id;
  }
  return MEDLEY_OK;
}

/* An array of bytes, which some writers store as a string. */
static void charsmap_load(const gguf *g, gguf_vocabulary *v) {
  const gguf_value *value = gguf_get_value(g, PREFIX "precompiled_charsmap");
  bool bytes = value != NULL && value->type == GGUF_ARRAY && (value->element == GGUF_U8 || value->element == GGUF_I8);
  if (bytes || (value != NULL && value->type == GGUF_STRING))
    v->precompiled_charsmap = (gguf_text){(const char *)value->data, (size_t)value->count};
}

medley_status gguf_vocabulary_load(const gguf *g, gguf_vocabulary *v, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *v = (gguf_vocabulary){.model = gguf_string(g, PREFIX "model", NULL), .pre = gguf_string(g, PREFIX "pre", "")};
  TRY(strings_load(g, PREFIX "tokens", &v->tokens, &v->count, err));
  if (v->model == NULL || v->count == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: holds no vocabulary (tokenizer.ggml.model and tokenizer.ggml.tokens)", g->path);
  if (v->count > INT32_MAX) FAIL(err, MEDLEY_ERR_LIMIT, "%s: %zu tokens are too many", g->path, v->count);
  TRY(scores_load(g, v, err));
  TRY(types_load(g, v, err));
  TRY(strings_load(g, PREFIX "merges", &v->merges, &v->merge_count, err));
  TRY(ids_load(g, v, err));
  v->add_bos = gguf_boolean(g, PREFIX "add_bos_token", -1);
  v->add_eos = gguf_boolean(g, PREFIX "add_eos_token", -1);
  v->add_space_prefix = gguf_boolean(g, PREFIX "add_space_prefix", -1);
  v->remove_extra_whitespaces = gguf_boolean(g, PREFIX "remove_extra_whitespaces", -1);
  charsmap_load(g, v);
done:
  if (status != MEDLEY_OK) gguf_vocabulary_deinit(v);
  return status;
}

void gguf_vocabulary_deinit(gguf_vocabulary *v) {
  mem_free(v->tokens);
  mem_free(v->scores);
  mem_free(v->types);
  mem_free(v->merges);
  *v = (gguf_vocabulary){0};
}
