/* cli/moment.c: see cli/moment.h. */
#include "cli/moment.h"

#include <string.h>
#include <time.h>

#include "base/strbuf.h"

#define SECONDS_MOST 253402300799LL  /* 9999-12-31T23:59:59Z */
#define SECONDS_LEAST -62167219200LL /* 0000-01-01T00:00:00Z */

/* Exactly `digits` digits. */
static bool number_read(const char **at, int digits, int *value) {
  *value = 0;
  for (int i = 0; i < digits; i++, (*at)++) {
    if (**at < '0' || **at > '9') return false;
    *value = *value * 10 + (**at - '0');
  }
  return true;
}

static bool character_read(const char **at, const char *allowed) {
  if (**at == '\0' || strchr(allowed, **at) == NULL) return false;
  (*at)++;
  return true;
}

/* "Z", "+08:00", "-0530" or nothing. */
static bool zone_read(const char **at, int *offset_s) {
  int hours, minutes;
  *offset_s = 0;
  if (**at == '\0') return true;
  if (character_read(at, "Zz")) return true;
  int sign = **at == '-' ? -1 : 1;
  if (!character_read(at, "+-") || !number_read(at, 2, &hours)) return false;
  (void)character_read(at, ":");
  if (!number_read(at, 2, &minutes) || hours > 14 || minutes > 59) return false;
  *offset_s = sign * (hours * 3600 + minutes * 60);
  return true;
}

static bool clock_read(const char **at, struct tm *when) {
  if (!number_read(at, 2, &when->tm_hour) || !character_read(at, ":") || !number_read(at, 2, &when->tm_min))
    return false;
  if (character_read(at, ":") && !number_read(at, 2, &when->tm_sec)) return false;
  return when->tm_hour < 24 && when->tm_min < 60 && when->tm_sec < 60;
}

static bool iso_parse(const char *text, int64_t *seconds) {
  struct tm when = {0};
  int year, month, day, offset_s = 0;
  const char *at = text;
  if (!number_read(&at, 4, &year) || !character_read(&at, "-") || !number_read(&at, 2, &month)) return false;
  if (!character_read(&at, "-") || !number_read(&at, 2, &day)) return false;
  if (character_read(&at, "T ") && (!clock_read(&at, &when) || !zone_read(&at, &offset_s))) return false;
  if (*at != '\0') return false;
  when.tm_year = year - 1900;
  when.tm_mon = month - 1;
  when.tm_mday = day;
  int64_t found = (int64_t)timegm(&when);
  /* timegm makes March of the 30th of February; then the day is another one. */
  if (when.tm_mon != month - 1 || when.tm_mday != day) return false;
  *seconds = found - offset_s;
  return true;
}

bool moment_parse(const char *text, int64_t *seconds) {
  long long whole;
  if (iso_parse(text, seconds)) return true;
  if (!string_to_int64(text, &whole) || whole < SECONDS_LEAST || whole > SECONDS_MOST) return false;
  *seconds = whole;
  return true;
}

bool duration_parse(const char *text, double *seconds) {
  static const struct {
    char letter;
    double seconds;
  } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  char number[32];
  double unit = 1, value;
  size_t length = strlen(text);
  for (size_t i = 0; length > 0 && i < sizeof units / sizeof *units; i++) {
    if (text[length - 1] != units[i].letter) continue;
    unit = units[i].seconds;
    length--;
    break;
  }
  if (length == 0 || length >= sizeof number) return false;
  memcpy(number, text, length);
  number[length] = '\0';
  if (!string_to_double(number, &value) || !(value > 0) || !(value * unit <= SECONDS_MOST)) return false;
  *seconds = value * unit;
  return true;
}
