/* data/import_values.c: the texts of cells as times, splits, flags and numbers. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/import_parts.h"

/* ---- times ---- */

/* Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant, "chrono-compatible low-level date algorithms").
 */
static int64_t days_from_civil(int64_t year, int month, int day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

static bool date_valid(int year, int month, int day) {
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1) return false;
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day <= lengths[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Exactly (or, with fewest below most, at most) so many digits. */
static bool digits(const char **p, int fewest, int most, int *value) {
  int count = 0;
  *value = 0;
  while (count < most && isdigit((unsigned char)**p)) {
    *value = *value * 10 + (**p - '0');
    ++*p;
    count++;
  }
  return count >= fewest;
}

static bool literal(const char **p, char c) {
  if (**p != c) return false;
  ++*p;
  return true;
}

/* "+08:00", "+0800", "+08", "Z" or nothing (UTC): seconds east. */
static bool zone_parse(const char **p, int *offset_s) {
  int hours = 0, minutes = 0;
  *offset_s = 0;
  if (literal(p, 'Z') || literal(p, 'z') || **p == '\0') return true;
  int sign = **p == '-' ? -1 : 1;
  if (**p != '+' && **p != '-') return false;
  ++*p;
  if (!digits(p, 2, 2, &hours)) return false;
  literal(p, ':');
  if (**p != '\0' && !digits(p, 2, 2, &minutes)) return false;
  *offset_s = sign * (hours * 3600 + minutes * 60);
  return hours <= 14 && minutes < 60;
}

static bool clock_parse(const char **p, int *second_of_day, int *offset_s) {
  int hour, minute, second = 0;
  if (!digits(p, 2, 2, &hour) || !literal(p, ':') || !digits(p, 2, 2, &minute)) return false;
  if (literal(p, ':')) {
    if (!digits(p, 2, 2, &second)) return false;
    if (literal(p, '.') || literal(p, ',')) *p += strspn(*p, "0123456789");
  }
  if (hour > 24 || minute > 59 || second > 60) return false;
  *second_of_day = hour * 3600 + minute * 60 + second;
  if (**p == ' ') ++*p;
  return zone_parse(p, offset_s);
}

/* ISO 8601 "2026-11-22", "2026-11-22T17:34:00.5+08:00", "2026-11-22 17:34" and "2026/11/22". */
static bool iso_parse(const char *p, int64_t *time_s) {
  int year, month, day, second = 0, offset = 0;
  if (!digits(&p, 4, 4, &year)) return false;
  char separator = *p;
  if (separator != '-' && separator != '/') return false;
  ++p;
  if (!digits(&p, 1, 2, &month) || !literal(&p, separator) || !digits(&p, 1, 2, &day)) return false;
  if (!date_valid(year, month, day)) return false;
  if (*p == 'T' || *p == 't' || *p == ' ') {
    ++p;
    if (!clock_parse(&p, &second, &offset)) return false;
  }
  if (*p != '\0') return false;
  *time_s = days_from_civil(year, month, day) * 86400 + second - offset;
  return true;
}

/* "01-Jan-1995" of MovieLens 100K and "09 13, 2009" of Amazon. */
static bool old_date_parse(const char *p, int64_t *time_s) {
  static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
  int first, second = 0, year;
  if (!digits(&p, 1, 2, &first)) return false;
  if (literal(&p, '-')) {
    char name[4] = {0};
    for (int i = 0; i < 3; i++)
      if (!isalpha((unsigned char)p[i]))
        return false;
      else
        name[i] = (char)tolower((unsigned char)p[i]);
    const char *found = strstr(months, name);
    if (found == NULL || (found - months) % 3 != 0) return false;
    p += 3;
    if (!literal(&p, '-') || !digits(&p, 4, 4, &year) || *p != '\0') return false;
    second = first;
    first = (int)(found - months) / 3 + 1;
  } else {
    if (!literal(&p, ' ') || !digits(&p, 1, 2, &second) || !literal(&p, ',') || !literal(&p, ' ')) return false;
    if (!digits(&p, 4, 4, &year) || *p != '\0') return false;
  }
  if (!date_valid(year, first, second)) return false;
  *time_s = days_from_civil(year, first, second) * 86400;
  return true;
}

/* Seconds reach 1e11 in the year 5138; milliseconds were above that since March 1973. */
static bool epoch_parse(const char *text, int64_t *time_s) {
  double value;
  if (!string_to_double(text, &value)) return false;
  double size = fabs(value);
  double unit = size < 1e11 ? 1 : size < 1e14 ? 1e3 : size < 1e17 ? 1e6 : 1e9;
  if (size >= 1e20) return false;
  *time_s = (int64_t)floor(value / unit);
  return true;
}

bool value_time(const char *text, int64_t *time_s) {
  return epoch_parse(text, time_s) || iso_parse(text, time_s) || old_date_parse(text, time_s);
}

/* ---- words ---- */

bool value_split(const char *text, store_split *split) {
  static const struct {
    const char *text;
    store_split split;
  } known[] = {
      {"train", STORE_SPLIT_TRAIN},  {"training", STORE_SPLIT_TRAIN}, {"0", STORE_SPLIT_TRAIN},
      {"valid", STORE_SPLIT_VALID},  {"val", STORE_SPLIT_VALID},      {"validation", STORE_SPLIT_VALID},
      {"dev", STORE_SPLIT_VALID},    {"1", STORE_SPLIT_VALID},        {"test", STORE_SPLIT_TEST},
      {"testing", STORE_SPLIT_TEST}, {"2", STORE_SPLIT_TEST},         {"none", STORE_SPLIT_NONE},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcasecmp(known[i].text, text) == 0) {
      *split = known[i].split;
      return true;
    }
  return false;
}

bool value_flag(const char *text, bool *flag) {
  static const char *const yes[] = {"1", "true", "yes", "t", "y"}, *const no[] = {"0", "false", "no", "f", "n"};
  for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
    bool is_yes = strcasecmp(yes[i], text) == 0, is_no = strcasecmp(no[i], text) == 0;
    if (!is_yes && !is_no) continue;
    *flag = is_yes;
    return true;
  }
  return false;
}

bool value_number(const char *text, float *value) {
  double number;
  bool flag;
  if (string_to_double(text, &number))
    *value = (float)number;
  else if (value_flag(text, &flag))
    *value = flag ? 1 : 0;
  else
    return false;
  return isfinite(*value);
}
