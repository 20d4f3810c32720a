/* nn/tokenizer_steps.c: lists of steps and the settings that several kinds of step read alike. */
#include <string.h>

#include "nn/tokenizer_parts.h"

bool json_member_flag(const json_t *object, const char *key, bool fallback) {
  const json_t *value = json_object_get(object, key);
  return json_is_boolean(value) ? json_is_true(value) : fallback;
}

medley_status step_list_add(step_list *list, text_step **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (list->count >= TOKENIZER_STEPS_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "there are more than %d steps in a row", TOKENIZER_STEPS_MAX);
  TRY_GROW(list->steps, list->capacity, list->count + 1, "a tokenizer's steps");
  *out = &list->steps[list->count++];
  **out = (text_step){0};
done:
  return status;
}

void step_list_deinit(step_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    text_step *step = &list->steps[i];
    if (step->regex != NULL) uregex_close(step->regex);
    mem_free(step->pattern);
    mem_free(step->content);
    mem_free(step->charsmap);
    trie_deinit(&step->protected);
  }
  mem_free(list->steps);
  *list = (step_list){0};
}

medley_status step_read_text(char **out, size_t *length, const json_t *config, const char *key, medley_error *err) {
  const json_t *value = json_object_get(config, key);
  if (!json_is_string(value)) return error_set(err, MEDLEY_ERR_INPUT, "the text \"%s\" is missing", key);
  *length = json_string_length(value);
  *out = mem_strndup(json_string_value(value), *length);
  return *out ? MEDLEY_OK : error_memory(err, key);
}

medley_status step_read_pattern(text_step *step, const json_t *config, medley_error *err) {
  const json_t *pattern = json_object_get(config, "pattern");
  const char *regex = json_string_value(json_object_get(pattern, "Regex"));
  if (regex != NULL) return regex_compile(step, regex, err);
  if (json_is_string(json_object_get(pattern, "String")))
    return step_read_text(&step->pattern, &step->pattern_length, pattern, "String", err);
  return error_set(err, MEDLEY_ERR_INPUT, "\"pattern\" is neither {\"String\": ...} nor {\"Regex\": ...}");
}
