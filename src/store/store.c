/* store/store.c: the table of store kinds (a new one is a file and a line here), and what all of them ask of rows. */
#include "store/store.h"

#include <ctype.h>
#include <string.h>

#include "base/clock.h"

#define AHEAD_S 86400
#define YEAR_10000_S 253402300800LL /* what clock_format_utc still writes with four digits */

static const store_kind *const kinds[] = {&store_sqlite};

const store_kind *store_kind_find(const char *name) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(kinds[i]->name, name) == 0) return kinds[i];
  return NULL;
}

medley_status store_key_check(const char *what, const char *key, medley_error *err) {
  size_t length = key ? strnlen(key, STORE_KEY_MAX + 1) : 0;
  if (length == 0) return error_set(err, MEDLEY_ERR_INPUT, "%s key is empty", what);
  if (length > STORE_KEY_MAX)
    return error_set(err, MEDLEY_ERR_LIMIT, "%s key '%.40s...' is longer than %d bytes", what, key, STORE_KEY_MAX);
  if (!utf8_valid(key, length)) return error_set(err, MEDLEY_ERR_INPUT, "%s key is not UTF-8", what);
  for (size_t i = 0; i < length; i++)
    if (iscntrl((unsigned char)key[i]))
      return error_set(err, MEDLEY_ERR_INPUT, "%s key '%.60s' has a control character at byte %zu", what, key, i + 1);
  return MEDLEY_OK;
}

medley_status store_text_check(const char *what, const char *key, const char *field, const char *text,
                               medley_error *err) {
  if (text == NULL) return MEDLEY_OK;
  size_t length = strnlen(text, STORE_TEXT_MAX + 1);
  if (length > STORE_TEXT_MAX)
    return error_set(err, MEDLEY_ERR_LIMIT, "%s '%.60s': %s is longer than %d bytes", what, key, field, STORE_TEXT_MAX);
  if (!utf8_valid(text, length))
    return error_set(err, MEDLEY_ERR_INPUT, "%s '%.60s': %s is not UTF-8", what, key, field);
  return MEDLEY_OK;
}

medley_status store_event_time_check(int64_t time_s, int64_t now_s, medley_error *err) {
  char when[32] = "beyond the year 9999";
  if (time_s == STORE_TIME_UNKNOWN || (time_s >= 0 && time_s <= now_s + AHEAD_S)) return MEDLEY_OK;
  if (time_s < 0)
    return error_set(err, MEDLEY_ERR_INPUT, "time %lld is before 1970: seconds since 1970 are not negative",
                     (long long)time_s);
  if (time_s < YEAR_10000_S) clock_format_utc(time_s, when);
  return error_set(err, MEDLEY_ERR_INPUT,
                   "time %lld (%s) lies more than a day ahead of this machine's clock: an event has happened",
                   (long long)time_s, when);
}
