/* base/json.c: see base/json.h. */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

/* Nesting of brackets outside strings; malformed text is left for the parser to refuse. */
static int nesting_of(const char *text, size_t length) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    if (in_string) {
      if (c == '\\')
        i++;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > deepest) deepest = depth;
    } else if (c == '}' || c == ']') {
      depth--;
    }
  }
  return deepest;
}

medley_status json_parse(const char *text, size_t length, const char *name, json_t **out, medley_error *err) {
  *out = NULL;
  int depth = nesting_of(text, length);
  if (depth > JSON_DEPTH_MAX)
    return error_set(err, MEDLEY_ERR_LIMIT, "%s: JSON is nested %d levels deep, the limit is %d", name, depth,
                     JSON_DEPTH_MAX);
  json_error_t reason;
  *out = json_loadb(text, length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &reason);
  if (*out == NULL)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: not valid JSON at line %d, column %d: %s", name, reason.line,
                     reason.column, reason.text);
  return MEDLEY_OK;
}

medley_status json_parse_file(const char *path, size_t limit, json_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *bytes = NULL;
  size_t length = 0;
  *out = NULL;
  TRY(file_read(path, limit, &bytes, &length, err));
  TRY(json_parse(bytes, length, path, out, err));
done:
  mem_free(bytes);
  return status;
}

medley_status json_write_file(const char *path, const json_t *value, medley_error *err) {
  char *text = json_dumps(value, JSON_INDENT(2) | JSON_SORT_KEYS);
  if (text == NULL) return error_memory(err, path);
  medley_status status = file_write(path, text, strlen(text), err);
  free(text); /* foreign: jansson's own allocation */
  return status;
}

char *json_to_text(const json_t *value) {
  char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
  char *copy = mem_strdup(text);
  free(text); /* foreign, as above */
  return copy;
}

const char *json_member_string(const json_t *object, const char *key, const char *fallback) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : fallback;
}

double json_member_number(const json_t *object, const char *key, double fallback) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : fallback;
}

long long json_member_integer(const json_t *object, const char *key, long long fallback) {
  const json_t *value = json_object_get(object, key);
  return json_is_integer(value) ? json_integer_value(value) : fallback;
}
