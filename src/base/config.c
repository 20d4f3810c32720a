/* base/config.c: see base/config.h. */
#include "base/config.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/strbuf.h"

static int config_take(void *context, const char *section, const char *name, const char *value) {
  config *c = context;
  char key[256];
  int length = snprintf(key, sizeof key, "%s%s%s", section, *section ? "." : "", name);
  if (length < 0 || (size_t)length >= sizeof key) return 0;
  void *grown = c->values;
  if (!mem_grow(&grown, &c->capacity, c->count + 1, sizeof *c->values)) return 0;
  c->values = grown;
  c->values[c->count] = mem_strdup(value);
  if (c->values[c->count] == NULL || !strmap_put(&c->keys, key, (int64_t)c->count)) return 0;
  c->count++;
  return 1;
}

medley_status config_load(config *c, const char *path, medley_error *err) {
  *c = (config){0};
  if (!file_exists(path)) return MEDLEY_OK;
  int line = ini_parse(path, config_take, c);
  if (line == 0) return MEDLEY_OK;
  config_deinit(c);
  if (line < 0) return error_set(err, MEDLEY_ERR_IO, "cannot read '%s'", path);
  return error_set(err, MEDLEY_ERR_INPUT, "%s line %d: expected 'key = value' or '[section]'", path, line);
}

void config_deinit(config *c) {
  for (size_t i = 0; i < c->count; i++) mem_free(c->values[i]);
  mem_free(c->values);
  strmap_deinit(&c->keys);
  *c = (config){0};
}

const char *config_string(const config *c, const char *key, const char *fallback) {
  const int64_t *index = strmap_get(&c->keys, key);
  return index ? c->values[*index] : fallback;
}

medley_status config_number(const config *c, const char *key, double min, double max, double fallback, double *value,
                            medley_error *err) {
  const char *text = config_string(c, key, NULL);
  *value = fallback;
  if (text == NULL) return MEDLEY_OK;
  if (!string_to_double(text, value) || *value < min || *value > max) {
    *value = fallback;
    return error_set(err, MEDLEY_ERR_INPUT, "medley.conf: %s is '%s', expected a number from %g to %g", key, text, min,
                     max);
  }
  return MEDLEY_OK;
}
