/* encode/external_settings.c: the settings of a service. See encode/external.h. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "encode/external.h"

#define FILE_BYTES_MAX ((size_t)64 << 10)
#define TEXT_MAX 2048

/* ---- members ---- */

static medley_status text_member(const json_t *value, const char *key, const char *name, char **out,
                                 medley_error *err) {
  const json_t *member = json_object_get(value, key);
  const char *text = member ? json_string_value(member) : "";
  *out = NULL;
  if (text == NULL) return error_set(err, MEDLEY_ERR_INPUT, "%s: %s should be a text", name, key);
  if (strlen(text) > TEXT_MAX || (member != NULL && strlen(text) != json_string_length(member)))
    return error_set(err, MEDLEY_ERR_INPUT, "%s: %s is longer than %d bytes or holds a zero byte", name, key, TEXT_MAX);
  for (const char *c = text; *c != '\0'; c++)
    if ((unsigned char)*c < 0x20)
      return error_set(err, MEDLEY_ERR_INPUT, "%s: %s holds a control character", name, key);
  *out = mem_strdup(text);
  return *out ? MEDLEY_OK : error_memory(err, "settings");
}

static medley_status number_member(const json_t *value, const char *key, const char *name, double min, double max,
                                   double fallback, double *out, medley_error *err) {
  const json_t *member = json_object_get(value, key);
  *out = member ? json_number_value(member) : fallback;
  if (member == NULL || (json_is_number(member) && *out >= min && *out <= max)) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT, "%s: %s should be a number from %g to %g", name, key, min, max);
}

static medley_status whole_member(const json_t *value, const char *key, const char *name, uint32_t max,
                                  uint32_t fallback, uint32_t *out, medley_error *err) {
  const json_t *member = json_object_get(value, key);
  double number;
  *out = fallback;
  if (member != NULL && !json_is_integer(member))
    return error_set(err, MEDLEY_ERR_INPUT, "%s: %s should be a whole number from 1 to %u", name, key, max);
  medley_status status = number_member(value, key, name, 1, max, fallback, &number, err);
  if (status == MEDLEY_OK) *out = (uint32_t)number;
  return status;
}

static medley_status members_known(const json_t *value, const char *name, medley_error *err) {
  static const char *const known[] = {"url", "model", "key_variable", "dimensions",
                                      "dim", "batch", "attempts",     "timeout_s"};
  const char *key;
  json_t *member;
  if (!json_is_object(value)) return error_set(err, MEDLEY_ERR_INPUT, "%s should be a JSON object", name);
  json_object_foreach((json_t *)value, key, member) {
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) found |= strcmp(known[i], key) == 0;
    if (!found)
      return error_set(err, MEDLEY_ERR_INPUT,
                       "%s: there is no setting '%.60s'; there are url, model, key_variable, dimensions, batch, "
                       "attempts, timeout_s",
                       name, key);
  }
  return MEDLEY_OK;
}

/* ---- the address ---- */

static bool is_address(const char *text) { return string_starts(text, "http://") || string_starts(text, "https://"); }

/* "http://host" and "http://host/v1" are completed; an address with more is taken as it is. */
static medley_status url_complete(external_settings *s, const char *name, medley_error *err) {
  strbuf url = {0};
  if (!is_address(s->url))
    return error_set(err, MEDLEY_ERR_INPUT, "%s: url should begin with http:// or https://, found '%.100s'", name,
                     s->url);
  const char *host = strstr(s->url, "://") + 3, *path = strchr(host, '/');
  size_t length = strlen(s->url);
  if (*host == '\0' || *host == '/') return error_set(err, MEDLEY_ERR_INPUT, "%s: url names no host", name);
  if (strchr(host, '@') != NULL)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: url holds a name or password; name an environment variable instead",
                     name);
  if (string_ends(s->url, "/embeddings")) return MEDLEY_OK;
  while (s->url[length - 1] == '/') length--;
  strbuf_append_bytes(&url, s->url, length);
  strbuf_append(&url, path == NULL || path[1] == '\0' ? "/v1/embeddings" : "/embeddings");
  char *whole = strbuf_take(&url);
  strbuf_deinit(&url);
  if (whole == NULL) return error_memory(err, "settings");
  mem_free(s->url);
  s->url = whole;
  return MEDLEY_OK;
}

/* ---- the whole ---- */

medley_status external_settings_read(const json_t *value, const char *name, external_settings *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (external_settings){0};
  TRY(members_known(value, name, err));
  TRY(text_member(value, "url", name, &out->url, err));
  TRY(text_member(value, "model", name, &out->model, err));
  TRY(text_member(value, "key_variable", name, &out->key_variable, err));
  if (strchr(out->key_variable, '=') != NULL)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: key_variable is the name of an environment variable, without '='", name);
  TRY(whole_member(value, "dimensions", name, EXTERNAL_DIM_MAX, 0, &out->dimensions, err));
  TRY(whole_member(value, "dim", name, EXTERNAL_DIM_MAX, 0, &out->dim, err));
  TRY(whole_member(value, "batch", name, EXTERNAL_BATCH_MAX, EXTERNAL_BATCH_DEFAULT, &out->batch, err));
  TRY(whole_member(value, "attempts", name, EXTERNAL_ATTEMPTS_MAX, EXTERNAL_ATTEMPTS_DEFAULT, &out->attempts, err));
  TRY(number_member(value, "timeout_s", name, 0.1, 3600, EXTERNAL_TIMEOUT_DEFAULT_S, &out->timeout_s, err));
  TRY(url_complete(out, name, err));
done:
  if (status != MEDLEY_OK) external_settings_deinit(out);
  return status;
}

void external_settings_deinit(external_settings *s) {
  mem_free(s->url);
  mem_free(s->model);
  mem_free(s->key_variable);
  *s = (external_settings){0};
}

json_t *external_settings_to_json(const external_settings *s) {
  json_t *value =
      json_pack("{s:s, s:s, s:s, s:I, s:I, s:f}", "url", s->url, "model", s->model, "key_variable", s->key_variable,
                "batch", (json_int_t)s->batch, "attempts", (json_int_t)s->attempts, "timeout_s", s->timeout_s);
  if (s->dimensions > 0) json_object_set_new(value, "dimensions", json_integer(s->dimensions));
  if (s->dim > 0) json_object_set_new(value, "dim", json_integer(s->dim));
  return value;
}

medley_status external_settings_gather(const char *source, const json_t *given, external_settings *out,
                                       medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *value = NULL;
  char name[128];
  snprintf(name, sizeof name, "'%.100s'", source);
  *out = (external_settings){0};
  if (is_address(source))
    value = json_pack("{s:s}", "url", source);
  else
    TRY(json_parse_file(source, FILE_BYTES_MAX, &value, err));
  if (value == NULL) FAIL(err, MEDLEY_ERR_INPUT, "the address '%.100s' is no UTF-8", source);
  TRY(members_known(value, name, err));
  if (given != NULL && json_object_update(value, (json_t *)given) != 0) {
    status = error_memory(err, "settings");
    goto done;
  }
  json_object_del(value, "dim"); /* asked anew */
  TRY(external_settings_read(value, name, out, err));
done:
  json_decref(value);
  return status;
}
