/* base/config.h: medley.conf, an INI file whose every key is optional (inih). */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/error.h"
#include "base/map.h"

/* Keys are "section.key", or "key" before the first section. */
typedef struct config {
  strmap keys; /* → index into values */
  char **values;
  size_t count, capacity;
} config;

/* A file that does not exist gives an empty configuration. A malformed line is refused with its number. */
medley_status config_load(config *c, const char *path, medley_error *err) MEDLEY_CHECK;
void config_deinit(config *c);
const char *config_string(const config *c, const char *key, const char *fallback);
/* Absent gives the fallback; not a number or out of [min, max] is an error naming the key and the value. */
medley_status config_number(const config *c, const char *key, double min, double max, double fallback, double *value,
                            medley_error *err) MEDLEY_CHECK;

#endif
