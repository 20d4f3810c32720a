/* engine/model_tokens.c: medley_model_tokens of medley/model.h: what a published tokenizer makes of a text. */
#include <medley/model.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "nn/tokenizer.h"

static void special_add(json_t *report, const tokenizer *t) {
  static const struct {
    tokenizer_special which;
    const char *name;
  } rows[] = {{TOKENIZER_UNKNOWN, "unknown"},
              {TOKENIZER_BEGIN, "begin"},
              {TOKENIZER_END, "end"},
              {TOKENIZER_PAD, "padding"},
              {TOKENIZER_MASK, "mask"}};
  json_t *special = json_object();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int32_t id = tokenizer_special_id(t, rows[i].which);
    const char *token = tokenizer_token(t, id, NULL);
    if (token != NULL)
      json_object_set_new(special, rows[i].name, json_pack("{s:i, s:s}", "id", (int)id, "token", token));
  }
  json_object_set_new(report, "special", special);
}

static medley_status text_add(json_t *report, const tokenizer *t, const char *text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tokenizer_options options = {.offsets = true};
  token_list list = {0};
  char *decoded = NULL;
  json_t *rows = json_array();
  TRY(tokenizer_encode(t, text, strlen(text), &options, &list, err));
  TRY(tokenizer_decode(t, list.ids, list.count, true, &decoded, err));
  for (size_t i = 0; i < list.count; i++) {
    const char *token = tokenizer_token(t, list.ids[i], NULL);
    json_array_append_new(rows, json_pack("{s:i, s:s, s:I, s:I, s:b}", "id", (int)list.ids[i], "token", token, "begin",
                                          (json_int_t)list.offsets[i].begin, "end", (json_int_t)list.offsets[i].end,
                                          "special", list.special[i]));
  }
  json_object_set_new(report, "ids", rows);
  rows = NULL;
  json_object_set_new(report, "dropped", json_integer((json_int_t)list.dropped));
  json_object_set_new(report, "decoded", json_string(decoded));
done:
  json_decref(rows);
  mem_free(decoded);
  token_list_deinit(&list);
  return status;
}

medley_status medley_model_tokens(const char *path, const char *text, char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  tokenizer *t = NULL;
  json_t *report = NULL;
  *json = NULL;
  TRY(tokenizer_load(path, &t, err));
  report = json_pack("{s:s, s:s, s:I}", "file", path, "kind", tokenizer_kind_name(t), "tokens",
                     (json_int_t)tokenizer_size(t));
  if (report == NULL) FAIL(err, MEDLEY_ERR_USAGE, "the name of the file is not UTF-8");
  if (tokenizer_tokens_max(t) > 0)
    json_object_set_new(report, "tokens_max", json_integer((json_int_t)tokenizer_tokens_max(t)));
  special_add(report, t);
  if (text != NULL) TRY(text_add(report, t, text, err));
  *json = json_to_text(report);
  if (*json == NULL) status = error_memory(err, "a report");
done:
  json_decref(report);
  tokenizer_free(t);
  return status;
}
